#!/usr/bin/env bash
# Repairs every case below a directory and grades the repairs: bench-heal.sh CASES [INGREDIENT|all]
# With an ingredient, once without it; with `all`, once without each. Node's packages are fetched once, into ~/.cache/prunella.
set -euo pipefail

cases=${1:?usage: bench-heal.sh CASES [INGREDIENT|all]}
without=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/prunella/heal-grader

if [ ! -d "$cases" ]; then
  echo "bench-heal: there is no directory $cases; name one with CASES=" >&2
  exit 2
fi
if [ ! -d "$cache/node_modules/jsonata" ] || [ ! -d "$cache/node_modules/yaml" ]; then
  command -v npm >/dev/null || { echo "bench-heal: npm is missing; install it (Debian: npm) and try again" >&2; exit 1; }
  mkdir -p "$cache"
  npm install --silent --no-audit --no-fund --prefix "$cache" jsonata@2.2.2 yaml@2.8.1 >/dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --quiet --release --locked -p prunella-repair --example bench
bench=${CARGO_TARGET_DIR:-$here/../target}/release/examples/bench

grade() { # TITLE [--without INGREDIENT]
  local title=$1 status=0
  shift
  rm -rf "${work:?}/results"
  "$bench" "$cases" "$work/results" "$@"
  echo "== $title"
  PRUNELLA_NODE_MODULES=$cache/node_modules node "$here/grade-heal.mjs" "$cases" "$work/results" ${DETAIL:+--cases} || status=$?
  echo
  return "$status"
}

case $without in
  '') grade "all ingredients" ;;
  all)
    grade "all ingredients"
    for ingredient in names values overlap structure conversions ambiguity profile; do
      # Without some ingredients there is harm: that is what they prevent.
      grade "without $ingredient" --without "$ingredient" || true
    done
    ;;
  *) grade "without $without" --without "$without" ;;
esac
