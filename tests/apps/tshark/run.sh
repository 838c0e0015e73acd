#!/bin/sh
# tshark with a dissector in Wasm: the fields of good packets, what is wrong with bad ones.
# shellcheck source=tests/apps/lib.sh
. "$(dirname "$0")/../lib.sh"

home=$root/tests/apps/tshark
lua5.4 "$home/capture.lua" "$scratch/x.pcap" || exit 1

# fields GUEST FIELD...: a line a packet, the fields separated by commas
fields() {
  guest=$1
  shift
  for field; do set -- "$@" -e "$field" && shift; done
  SENSOR_WASM=$home/$guest LUA_PATH="$build/lua/5.2/?.lua;;" LUA_CPATH="$build/lua/5.2/?.so;;" \
    HOME=$scratch timeout 50 tshark -X "lua_script:$home/dissector.lua" -r "$scratch/x.pcap" \
    -T fields -E separator=, "$@" 2>"$scratch/errors"
}

fields sensor.wasm sensor.version sensor.name sensor.temperature sensor.battery sensor.unknown \
  sensor.malformed >"$scratch/out"
line() { sed -n "$1p" "$scratch/out"; }
check "packets" "$(wc -l <"$scratch/out")" 8
check "all fields" "$(line 1)" "1,kitchen,2150,87,,"
check "a negative number" "$(line 2)" "1,attic,-525,,,"
check "an unknown record" "$(line 3)" "2,,,,010203,"
check "a missing record" "$(line 4)" "1,cellar,,,,a record is missing"
check "a record that is cut off" "$(line 5)" "1,,,,,a record is cut off"
check "a wrong value" "$(line 6)" "1,,,,,a record has a wrong value"
check "another protocol" "$(line 7)" ",,,,,"
check "no record" "$(line 8)" "1,,,,,"
check "complaints" "$(grep -v 'as user "root"' "$scratch/errors")" ""

check "guests that trap or loop" "$(fields hostile.wat sensor.failed | tr '\n' ' ')" \
  "unreachable unreachable timeout unreachable unreachable unreachable  unreachable "
total
