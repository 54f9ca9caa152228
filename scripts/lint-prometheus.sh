#!/usr/bin/env bash
# Prometheus' configuration, the alerts with their tests, and the dashboard's expressions, read by promtool. Not part of
# `make lint`: building promtool takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lint-tools.sh
. scripts/lint-tools.sh

version=v0.315.0
if ! use_go_tool promtool github.com/prometheus/prometheus "$version" github.com/prometheus/prometheus/cmd/promtool; then
  skip "deploy/prometheus: no Go to build promtool with"
  exit 0
fi
promtool=$tools/promtool-$version

"$promtool" check config --lint=all --lint-fatal deploy/prometheus/prometheus.yml
"$promtool" test rules deploy/prometheus/alerts.test.yml
if use_python_tools; then
  mkdir -p target/lint
  python scripts/lint-metrics.py target/lint/dashboard-rules.yml
  "$promtool" check rules --lint=none target/lint/dashboard-rules.yml
fi
say "deploy/prometheus ok"
