# shellcheck shell=sh
# Sourced by the run.sh of each application, from the project's folder: a scratch folder, checks that
# are counted, servers on the loopback interface that are ended by their process id.

set -u
cd "$(dirname "$0")/../../.." || exit 1
root=$PWD
build=${RILLE_BUILD:-build/release}
case $build in /*) ;; *) build=$root/$build ;; esac
scratch=$(mktemp -d)
passed=0 failed=0 server=

finish() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null
    wait "$server" 2>/dev/null
  fi
  rm -rf "$scratch"
}
trap finish EXIT

# check NAME GOT WANTED
check() {
  if [ "$2" = "$3" ]; then
    passed=$((passed + 1))
    echo "ok: $1"
  else
    failed=$((failed + 1))
    echo "FAILED: $1: got '$2', wanted '$3'"
  fi
}

# succeeds NAME COMMAND...
succeeds() {
  name=$1
  shift
  if "$@"; then check "$name" yes yes; else check "$name" no yes; fi
}

total() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}

# A TCP port of the loopback interface that nobody listens on.
free_port() {
  port=$((20000 + $$ % 20000))
  while grep -qi ":$(printf '%04X' "$port") " /proc/net/tcp; do port=$((port + 1)); done
  echo "$port"
}

# answers URL: waits until a server does, ten seconds at most.
answers() {
  tries=0
  while [ "$tries" -lt 100 ]; do
    curl -s -o /dev/null --max-time 2 "$1" && return 0
    kill -0 "$server" 2>/dev/null || return 1
    sleep 0.1
    tries=$((tries + 1))
  done
  return 1
}

status_of() { # status_of CURL-ARGUMENTS...
  curl -s -o /dev/null --max-time 10 -w '%{http_code}' "$@"
}

# codes_of URL: the status codes of 400 requests for it with a number behind, eight at a time
codes_of() {
  curl -s -o /dev/null --max-time 30 --parallel --parallel-max 8 -w '%{http_code}\n' \
    "$1[1-400]" 2>/dev/null | sort | uniq -c | awk '{print $1 "*" $2}'
}
