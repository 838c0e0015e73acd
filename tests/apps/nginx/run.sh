#!/bin/sh
# nginx with its Lua module and the request filter of ../guard, from the folder that fetch.sh made:
# $NGINX_ROOT, or build/nginx.
# shellcheck source=tests/apps/lib.sh
. "$(dirname "$0")/../lib.sh"

nginx=${NGINX_ROOT:-$root/build/nginx}
home=$root/tests/apps/nginx
port=$(free_port)
here=http://127.0.0.1:$port
sed -e "s|@SCRATCH@|$scratch|" -e "s|@MODULES@|$nginx/usr/lib/nginx/modules|" -e "s|@PORT@|$port|" \
  -e "s|@LUA@|$build/lua/5.1|g" -e "s|@GUARD@|$root/tests/apps/guard|" -e "s|@HOME@|$home|" \
  -e "s|@SHARE@|$nginx/usr/share/lua/5.1|" "$home/nginx.conf" >"$scratch/nginx.conf"
libraries=$(dirname "$(find "$nginx/usr/lib" -name 'libluajit-5.1.so.2' | head -n 1)")

serve() { # serve GUEST
  GUARD_WASM=$root/tests/apps/guard/$1 LD_LIBRARY_PATH=$libraries "$nginx/usr/sbin/nginx" \
    -p "$scratch" -c "$scratch/nginx.conf" >"$scratch/out" 2>&1 &
  server=$!
  answers "$here/" && return
  cat "$scratch/out" "$scratch/log"
  check "starts" no yes
  total
  exit
}

serve guard.wasm
check "a good request" "$(curl -s "$here/shop?q=tea" | cut -d ' ' -f 1-3)" "score 0 fingerprint"
check "the same again has the same fingerprint" "$(curl -s "$here/a?b=%20c")" "$(curl -s "$here/a?b=+c")"
check "a bad request" "$(status_of "$here/?q=%253Cscript%253E")" 403
check "a bad header" "$(status_of -H 'user-agent: sqlmap/1.0' "$here/")" 403
check "a suspicious request" "$(curl -s "$here/?x=sleep(5)" | cut -d ' ' -f 1-2)" "score 10"
check "good ones, eight at a time" "$(codes_of "$here/shop?n=")" "400*200"
check "bad ones, eight at a time" "$(codes_of "$here/?q=union+select+")" "400*403"
began=$(date +%s)
check "suspicious ones, eight at a time" "$(codes_of "$here/?file=..%2f")" "400*200"
succeeds "they wait beside each other" [ $(($(date +%s) - began)) -lt 8 ]
kill "$server"
wait "$server" 2>/dev/null

serve hostile.wat
check "a filter that traps" "$(status_of "$here/trap")" 500
check "a filter that exhausts memory" "$(status_of "$here/grow")" 500
check "a filter that loops" "$(status_of "$here/loop")" 500
check "the others are served" "$(codes_of "$here/ok")" "400*200"
check "no worker died" "$(grep -c 'exited on signal' "$scratch/log")" 0
total
