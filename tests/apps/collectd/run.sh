#!/bin/sh
# collectd with a smoothing filter in Wasm. It loads Lua with local symbols, so the module has to be
# linked with liblua: $RILLE_LIBLUA is a build with -DRILLE_LINK_LIBLUA=ON, build/liblua by default.
# shellcheck source=tests/apps/lib.sh
. "$(dirname "$0")/../lib.sh"

home=$root/tests/apps/collectd
linked=${RILLE_LIBLUA:-$root/build/liblua}/lua/5.3
cat >"$scratch/collectd.conf" <<EOF
FQDNLookup false
BaseDir "$scratch"
LoadPlugin logfile
<Plugin logfile>
  LogLevel info
  File STDOUT
  Timestamp false
</Plugin>
<LoadPlugin lua>
  Globals false
</LoadPlugin>
<Plugin lua>
  BasePath "$home"
  Script "smooth.lua"
</Plugin>
EOF

# smoothed GUEST READING...: what collectd reports for them
smoothed() {
  guest=$1
  shift
  printf '%s\n' "$@" >"$scratch/readings"
  READINGS=$scratch/readings SMOOTH_WASM=$home/$guest LUA_PATH="$linked/?.lua;;" \
    LUA_CPATH="$linked/?.so" timeout 50 collectd -T -f -C "$scratch/collectd.conf" >"$scratch/out" 2>&1
  sed -nE 's/^.*(smooth|outliers): /\1 /p' "$scratch/out" | tr '\n' ' '
}

check "medians" "$(smoothed smooth.wasm 1 3 2 500 2.5 0.25)" \
  "smooth 1 smooth 2 smooth 2 smooth 2.5 smooth 2.5 smooth 2.5 outliers 2 "
check "collectd ends well" "$(grep -c 'Exiting normally' "$scratch/out")" 1
check "a filter that traps" "$(smoothed hostile.wat 0)" "smooth unreachable "
check "collectd goes on" "$(grep -c 'Exiting normally' "$scratch/out")" 1
check "a filter that loops" "$(smoothed hostile.wat 1)" "smooth timeout "
check "collectd goes on" "$(grep -c 'Exiting normally' "$scratch/out")" 1
total
