#!/usr/bin/env bash
# Makes sure that a C compiler and the headers of OpenSSL are there: librdkafka and the HTTP client are built against
# them. Does nothing when they are; installs what is missing with apt-get on Debian as root; says what to install
# everywhere else.
set -euo pipefail

has_openssl() {
  [ -n "${OPENSSL_DIR:-}" ] || pkg-config --exists openssl 2>/dev/null
}

missing=()
command -v cc >/dev/null && command -v c++ >/dev/null && command -v make >/dev/null || missing+=(build-essential)
command -v pkg-config >/dev/null || missing+=(pkg-config)
has_openssl || missing+=(libssl-dev)
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  {
    echo "Building Prunella needs a C and C++ compiler, make, pkg-config and OpenSSL 3's headers. Please install what is missing:"
    echo "  Debian, Ubuntu:  sudo apt-get install ${missing[*]}"
    echo "  Fedora:          sudo dnf install gcc gcc-c++ make pkgconf-pkg-config openssl-devel"
    echo "  macOS:           xcode-select --install; brew install pkgconf openssl@3"
  } >&2
  exit 1
fi

echo "setup: installing ${missing[*]} with apt-get" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}"
if ! has_openssl; then
  echo "setup: ${missing[*]} installed, and pkg-config still does not find openssl" >&2
  exit 1
fi
echo "setup: installed ${missing[*]}" >&2
