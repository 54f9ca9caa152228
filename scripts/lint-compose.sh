#!/usr/bin/env bash
# docker-compose.yml against the schema of the compose specification and against our own rules, and the Dockerfile.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lint-tools.sh
. scripts/lint-tools.sh

if ! use_python_tools; then
  skip "docker-compose.yml and Dockerfile: no Python 3 with venv to run the checkers"
  exit 0
fi
check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
python scripts/lint-compose.py docker-compose.yml
# DL3008: pinned Debian packages cannot be installed any more once Debian has a security update of them.
hadolint --ignore DL3008 Dockerfile
if docker compose version >/dev/null 2>&1; then
  PRUNELLA_TOKEN=lint docker compose config --quiet
  say "docker compose reads docker-compose.yml"
fi
say "docker-compose.yml and Dockerfile ok"
