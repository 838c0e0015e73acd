#!/bin/sh
# HAProxy with the request filter of ../guard: answers, refusals, waits under concurrent load, and a
# filter that misbehaves.
# shellcheck source=tests/apps/lib.sh
. "$(dirname "$0")/../lib.sh"

APP_PORT=$(free_port)
APP_LUA=$build/lua/5.3 APP_HOME=$root/tests/apps/haproxy APP_GUARD=$root/tests/apps/guard
export APP_PORT APP_LUA APP_HOME APP_GUARD
here=http://127.0.0.1:$APP_PORT

serve() { # serve GUEST: the server, with that filter
  GUARD_WASM=$1 haproxy -db -f "$APP_HOME/haproxy.cfg" >"$scratch/log" 2>&1 &
  server=$!
  answers "$here/state" && return
  cat "$scratch/log"
  check "starts" no yes
  total
  exit
}

serve "$APP_GUARD/guard.wasm"
check "a good request" "$(curl -s "$here/shop?q=tea" | cut -d ' ' -f 1-3)" "score 0 fingerprint"
check "the same again has the same fingerprint" "$(curl -s "$here/a?b=%20c")" "$(curl -s "$here/a?b=+c")"
check "a bad request" "$(status_of "$here/?q=%253Cscript%253E")" 403
check "a bad header" "$(status_of -H 'user-agent: sqlmap/1.0' "$here/")" 403
check "a suspicious request" "$(curl -s "$here/?file=..%2fx" | cut -d ' ' -f 1-2)" "score 10"
check "good ones, eight at a time" "$(codes_of "$here/shop?n=")" "400*200"
check "bad ones, eight at a time" "$(codes_of "$here/?q=union+select+")" "400*403"
# One after another these would take eight seconds of waiting alone.
began=$(date +%s)
check "suspicious ones, eight at a time" "$(codes_of "$here/?file=..%2f")" "400*200"
succeeds "they wait beside each other" [ $(($(date +%s) - began)) -lt 8 ]
check "waits" "$(curl -s "$here/state" | cut -d ' ' -f 1-2)" "401 waits,"
kill "$server"
wait "$server" 2>/dev/null

serve "$APP_GUARD/hostile.wat"
check "a filter that traps" "$(status_of "$here/trap")" 500
check "a filter that exhausts memory" "$(status_of "$here/grow")" 500
check "a filter that loops" "$(status_of "$here/loop")" 500
check "the others are served" "$(codes_of "$here/ok")" "400*200"
check "eight that trap" "$(codes_of "$here/trap")" "400*500"
check "failures" "$(curl -s "$here/state" | cut -d ' ' -f 3-4)" "403 failures,"
total
