#!/bin/sh
# lighttpd with the request filter of ../guard in front of a folder of files.
# shellcheck source=tests/apps/lib.sh
. "$(dirname "$0")/../lib.sh"

home=$root/tests/apps/lighttpd
port=$(free_port)
here=http://127.0.0.1:$port
mkdir "$scratch/files"
echo "hello" >"$scratch/files/index.html"
cat >"$scratch/lighttpd.conf" <<EOF
server.document-root = "$scratch/files"
server.bind = "127.0.0.1"
server.port = $port
server.errorlog = "$scratch/log"
server.modules = ("mod_magnet")
index-file.names = ("index.html")
magnet.attract-raw-url-to = ("$home/guard_magnet.lua")
EOF
export LUA_PATH="$build/lua/5.4/?.lua;$root/tests/apps/guard/?.lua;;" LUA_CPATH="$build/lua/5.4/?.so;;"

serve() { # serve GUEST
  GUARD_WASM=$root/tests/apps/guard/$1 lighttpd -D -f "$scratch/lighttpd.conf" >"$scratch/out" 2>&1 &
  server=$!
  answers "$here/" && return
  cat "$scratch/out" "$scratch/log"
  check "starts" no yes
  total
  exit
}

header() { # header NAME URL
  curl -s -o /dev/null -D - "$2" | tr -d '\r' | sed -n "s/^$1: //p"
}

serve guard.wasm
check "a file" "$(curl -s "$here/")" hello
check "its score" "$(header X-Score "$here/")" 0
check "the fingerprint" "$(header X-Fingerprint "$here/?a=%20b")" "$(header X-Fingerprint "$here/?a=+b")"
check "a suspicious request" "$(header X-Score "$here/?x=sleep(5)")" 10
check "a bad request" "$(status_of "$here/?q=%253Cscript%253E")" 403
check "a bad header" "$(status_of -H 'User-Agent: sqlmap/1.0' "$here/")" 403
check "a file that is not there" "$(status_of "$here/nothing")" 404
check "good ones, eight at a time" "$(codes_of "$here/?n=")" "400*200"
check "bad ones, eight at a time" "$(codes_of "$here/?q=union+select+")" "400*403"
kill "$server"
wait "$server" 2>/dev/null

serve hostile.wat
check "a filter that traps" "$(status_of "$here/trap")" 500
check "a filter that exhausts memory" "$(status_of "$here/grow")" 500
check "a filter that loops" "$(status_of "$here/loop")" 500
check "the others are served" "$(codes_of "$here/?")" "400*200"
total
