# shellcheck shell=sh
# Sourced by quickstart.sh and test.sh: Debian packages and builds.

# is_here THING: a command on PATH, or a file when it starts with a slash.
is_here() {
  case $1 in
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

# need_packages THING:PACKAGE...: installs the packages of missing things when we are root on a
# machine with apt-get, else names them. True when nothing is missing in the end.
need_packages() {
  missing=
  for pair; do
    is_here "${pair%%:*}" || missing="$missing ${pair#*:}"
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" = 0 ] && is_here apt-get; then
    echo "installing:$missing"
    # shellcheck disable=SC2086 # several words
    install_packages $missing
  fi
  missing=
  for pair; do
    is_here "${pair%%:*}" || missing="$missing ${pair#*:}"
  done
  [ -z "$missing" ] || {
    echo "missing Debian packages:$missing" >&2
    return 1
  }
}

# One package that cannot be had keeps none of the others away.
install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 </dev/null && return
  apt-get update -qq >/dev/null 2>&1 </dev/null || :
  apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 </dev/null && return
  for package; do
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 </dev/null || :
  done
}

# configure_and_build PRESET [TARGET...]: into build/PRESET, quiet unless it fails. CMAKE_ARGS may
# hold more options.
configure_and_build() {
  preset=$1
  shift
  if [ -z "${CMAKE_GENERATOR:-}" ] && is_here ninja; then
    CMAKE_GENERATOR=Ninja
    export CMAKE_GENERATOR
  fi
  build_log=$(mktemp)
  # shellcheck disable=SC2086 # several words
  if cmake --preset "$preset" ${CMAKE_ARGS:-} >"$build_log" 2>&1 &&
    cmake --build "build/$preset" -j "$(nproc)" ${1:+--target "$@"} >>"$build_log" 2>&1; then
    rm -f "$build_log"
  else
    tail -n 60 "$build_log" >&2
    rm -f "$build_log"
    return 1
  fi
}
