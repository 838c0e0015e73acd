#!/bin/sh
# The request filter in Wasm beside the same in Lua, in HAProxy: requests a second of 8 clients, in
# turns, and the memory of the process before and after. Needs ab (Debian: apache2-utils); not one of
# the timed tests. bench.sh [REQUESTS [ROUNDS]]: 100,000 for each filter by default, in 5 rounds.
# shellcheck source=tests/apps/lib.sh
. "$(dirname "$0")/../lib.sh"

requests=${1:-100000} rounds=${2:-5}
APP_LUA=$build/lua/5.3 APP_HOME=$root/tests/apps/haproxy APP_GUARD=$root/tests/apps/guard
export APP_LUA APP_HOME APP_GUARD
servers='' wasm_port='' lua_port=''
stop_all() {
  for server in $servers; do
    kill "$server" 2>/dev/null
    wait "$server" 2>/dev/null
  done
  rm -rf "$scratch"
}
trap stop_all EXIT

serve() { # serve PORT: sets server; the filter is what GUARD and GUARD_WASM say
  APP_PORT=$1 haproxy -db -f "$APP_HOME/haproxy.cfg" >"$scratch/log$1" 2>&1 &
  server=$!
  servers="$servers $server"
  answers "http://127.0.0.1:$1/state" || {
    cat "$scratch/log$1"
    exit 1
  }
}

resident() { # resident PID: kB
  sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$1/status"
}

# round PORT: requests a second, and what failed; added to a file
round() {
  ab -q -k -c 8 -n $((requests / rounds)) \
    -H 'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0' \
    -H 'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8' \
    -H 'Accept-Language: en-US,en;q=0.5' -H 'Referer: https://www.example.org/shop/?q=%C3%BCber' \
    -H 'Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes%2Cno' \
    "http://127.0.0.1:$1/shop/item?id=1234&name=%48ello%20World%2520again&sort=price+asc" |
    awk -v port="$1" '/^Requests per second/ {rate = $4} /^Failed requests/ {failed = $3}
      /^Non-2xx/ {failed += $3} /^Complete requests/ {done = $3}
      END {print port, rate, failed, done}'
}

lua_port=$(free_port)
GUARD=guard_lua GUARD_WASM='' serve "$lua_port"
wasm_port=$(free_port)
GUARD=guard GUARD_WASM=$APP_GUARD/guard.wasm serve "$wasm_port"
wasm_server=$server

# The first requests compile and grow what they need.
round "$lua_port" >/dev/null
round "$wasm_port" >/dev/null
before=$(resident "$wasm_server")
i=0
while [ "$i" -lt "$rounds" ]; do
  round "$lua_port"
  round "$wasm_port"
  i=$((i + 1))
done >"$scratch/rates"
after=$(resident "$wasm_server")
awk -v wasm="$wasm_port" -v before="$before" -v after="$after" '
  {n[$1] += $4; failed[$1] += $3; if ($2 > best[$1]) best[$1] = $2}
  END {
    for (port in n)
      printf "%s: %d requests, %d failed, %d a second at best\n", port == wasm ? "wasm" : "lua", n[port],
        failed[port], best[port]
    for (port in n) if (port != wasm) printf "wasm is %.2f of lua\n", best[wasm] / best[port]
    printf "memory of the process: %d kB before, %d kB after\n", before, after
  }' "$scratch/rates"
