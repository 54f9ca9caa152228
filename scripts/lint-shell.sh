#!/usr/bin/env bash
# Shell scripts.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lint-tools.sh
. scripts/lint-tools.sh

if ! use_python_tools && ! command -v shellcheck >/dev/null; then
  skip "shell scripts: no shellcheck, and no Python to fetch it with"
  exit 0
fi
shellcheck --external-sources .ci/run scripts/*.sh
say "shell scripts ok"
