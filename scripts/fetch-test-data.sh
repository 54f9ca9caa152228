#!/usr/bin/env bash
# Fetches the data of the world that the end-to-end tests work on: the countries of the npm package `world-countries`,
# pinned by version and checked by SHA-256. Does nothing when it is there. It is not committed: it has a licence of its own (ODbL).
set -euo pipefail

package=world-countries
version=5.1.0
archive_sum=329eb6ef4099ffb590219c9beb634bf489a5e4b10d8ab0ac52a58ebf7b9f8495
file_sum=359431fb9475666dfad1ea5e72e53521cef40520f65eecd08e02ba569eb8491b

cache=${XDG_CACHE_HOME:-$HOME/.cache}/prunella/test-data
target=$cache/$package-$version.json

has_sum() { # FILE SUM
  [ -f "$1" ] && echo "$2  $1" | sha256sum --check --status
}

has_sum "$target" "$file_sum" && exit 0

if ! command -v npm >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "test data: installing npm with apt-get"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends npm
  else
    echo "test data: npm is missing and fetches $package@$version; install it (Debian: npm) and try again" >&2
    exit 1
  fi
fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "test data: fetching $package@$version with npm (6 MB, once)"
if ! (cd "$work" && npm pack --silent "$package@$version" >/dev/null); then
  echo "test data: npm could not fetch $package@$version; check the network and npm's own configuration" >&2
  exit 1
fi
archive=$work/$package-$version.tgz
if ! has_sum "$archive" "$archive_sum"; then
  echo "test data: $package-$version.tgz is not the file it should be: expected SHA-256 $archive_sum, got $(sha256sum <"$archive" | cut -d' ' -f1)" >&2
  exit 1
fi
tar -xzf "$archive" -C "$work" package/countries.json
has_sum "$work/package/countries.json" "$file_sum" || { echo "test data: countries.json is not the file it should be" >&2; exit 1; }
# In one step: whoever looks sees the whole file or none.
mv "$work/package/countries.json" "$target"
echo "test data: $target"
