#!/bin/sh
# pandoc with a filter whose charts are drawn in Wasm.
# shellcheck source=tests/apps/lib.sh
. "$(dirname "$0")/../lib.sh"

home=$root/tests/apps/pandoc

# convert GUEST: Markdown from standard input, filtered, as plain text
convert() {
  CHART_WASM=$home/$1 LUA_PATH="$build/lua/5.3/?.lua;;" LUA_CPATH="$build/lua/5.3/?.so;;" \
    timeout 50 pandoc -f markdown -t plain --lua-filter "$home/chart.lua" 2>"$scratch/errors"
}

fence() { printf '~~~ %s\n%s\n~~~\n' "$1" "$2"; }

fence '{.chart}' 'tea 10
green tea 40
öl 5' | convert chart.wasm >"$scratch/out"
check "the longest bar" "$(grep -c '^ *green tea ████████████████████████████████████████ 40$' "$scratch/out")" 1
check "a quarter of it" "$(grep -c '^ *tea       ██████████ 10$' "$scratch/out")" 1
check "a label with other letters" "$(grep -c '^ *öl        █████ 5$' "$scratch/out")" 1
check "no complaint" "$(cat "$scratch/errors")" ""
check "other blocks stay" "$(fence '{.lua}' 'x 1' | convert chart.wasm | tr -d ' \n')" "x1"
check "a wrong line stays" "$(fence '{.chart}' 'a 1
b' | convert chart.wasm | tr -d ' \n')" "a1b"
check "and is named" "$(cat "$scratch/errors")" "chart: line 2 is no label and number"
lines=$(awk 'BEGIN { for (i = 1; i <= 200; i++) print "row" i " " i }')
check "many rows" "$(fence '{.chart}' "$lines" | convert chart.wasm | grep -c ' [█▌]* [0-9]*$')" 200
check "a guest that traps" "$(fence '{.chart}' 'a 1' | convert hostile.wat | tr -d ' \n')" "a1"
check "is named" "$(cat "$scratch/errors")" "chart: unreachable"
check "a guest that loops" "$(fence '{.chart}' 'x' | convert hostile.wat | tr -d ' \n')" "x"
check "is stopped" "$(cat "$scratch/errors")" "chart: timeout"
total
