# shellcheck shell=bash
# Sourced by the lint scripts: fetches a checker into the user's cache once, and says so. A check whose tool cannot be had
# on this machine is left out with a line that says which one and why.

tools=${XDG_CACHE_HOME:-$HOME/.cache}/prunella/tools

say() {
  echo "lint: $*"
}

skip() {
  echo "lint: SKIPPED $*" >&2
}

fail() {
  echo "lint: $*" >&2
  exit 1
}

# Puts the checkers of lint-requirements.txt on the PATH. False when this machine has no Python for them.
use_python_tools() {
  local wanted=scripts/lint-requirements.txt home
  command -v python3 >/dev/null || return 1
  home=$tools/python-$( (python3 --version && cat "$wanted") | cksum | cut -d ' ' -f 1)
  if [ ! -e "$home/complete" ]; then
    say "installing the checkers of $wanted into $home (half a minute, once)"
    rm -rf "$home"
    if ! python3 -m venv "$home"; then
      rm -rf "$home"
      return 1
    fi
    "$home/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --requirement "$wanted" \
      || fail "the checkers of $wanted could not be installed"
    touch "$home/complete"
  fi
  PATH=$home/bin:$PATH
}

# Builds the program of a Go package: use_go_tool NAME MODULE VERSION PACKAGE. Afterwards $tools/NAME-VERSION is there.
# False without Go.
use_go_tool() {
  local name=$1 module=$2 version=$3 package=$4 program work
  program=$tools/$name-$version
  [ -x "$program" ] && return 0
  command -v go >/dev/null || return 1
  say "building $name $version into $program (some minutes, once)"
  mkdir -p "$tools"
  work=$(mktemp -d)
  # As a dependency of a module of its own: `go install` refuses modules with replace directives.
  {
    cd "$work" \
      && go mod init lint \
      && go get "$module@$version" "$package@$version" \
      && go build -trimpath -o "$name" "$package"
  } >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; fail "$name $version could not be built"; }
  cd - >/dev/null || fail "the way back is gone"
  mv "$work/$name" "$program"
  rm -rf "$work"
  say "built $name in $SECONDS s"
}
