#!/usr/bin/env bash
# Every metric that the dashboard and the alerts speak of exists.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lint-tools.sh
. scripts/lint-tools.sh

if ! use_python_tools; then
  skip "metrics of the dashboard and the alerts: no Python 3 with venv"
  exit 0
fi
python scripts/lint-metrics.py
say "metrics of the dashboard and the alerts ok"
