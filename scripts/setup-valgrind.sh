#!/usr/bin/env bash
# Installs valgrind, which counts the instructions of the hot path, on Debian as root. Elsewhere the benchmark says that it
# is missing and leaves that part out.
set -euo pipefail

command -v valgrind >/dev/null && exit 0
command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ] || exit 0

echo "setup: installing valgrind with apt-get" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --yes --quiet=2 --no-install-recommends valgrind
