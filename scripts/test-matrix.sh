#!/usr/bin/env bash
# The end-to-end suite under every placement and guarantee. What it is given goes to the test binary.
set -euo pipefail
cd "$(dirname "$0")/.."

for placement in staged fused; do
  for guarantee in at-least-once exactly-once; do
    echo "== $placement, $guarantee"
    export PRUNELLA__PROCESSING__PLACEMENT=$placement
    for service in ORCHESTRATOR EXTRACTOR TRANSFORMER VALIDATOR; do
      export "PRUNELLA__PROCESSING__GUARANTEE__$service=$guarantee"
    done
    cargo test --locked --package prunella --test e2e -- "$@"
  done
done
