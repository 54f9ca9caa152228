#!/usr/bin/env bash
# Every prunella.yaml that we hand out, read by the binary itself. Those of the chart are there after lint-helm.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lint-tools.sh
. scripts/lint-tools.sh

shopt -s nullglob
files=(deploy/compose/prunella.yaml deploy/config/*.yaml target/lint/helm/*.prunella)
cargo build --quiet --locked --package prunella
for file in "${files[@]}"; do
  # Reads the whole configuration, and neither secrets nor Kafka.
  target/debug/prunella --config "$file" validate examples/orders/orders.yaml >/dev/null || {
    echo "$file: not accepted" >&2
    exit 1
  }
done
say "${#files[@]} configurations ok"
