#!/usr/bin/env bash
# Installs redis-server, which tests of the shared cache start for themselves, on Debian as root; says what to install
# elsewhere. Prunella itself needs none.
set -euo pipefail

command -v redis-server >/dev/null && exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  {
    echo "Tests of the shared cache start a Redis. Please install it:"
    echo "  Debian, Ubuntu:  sudo apt-get install redis-server"
    echo "  Fedora:          sudo dnf install redis"
    echo "  macOS:           brew install redis"
  } >&2
  exit 1
fi

echo "setup: installing redis-server with apt-get" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --yes --quiet=2 --no-install-recommends redis-server
echo "setup: installed redis-server" >&2
