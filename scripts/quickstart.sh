#!/bin/sh
# Installs missing Debian packages when it may, else names them; builds; runs quickstart.lua.
set -eu
cd "$(dirname "$0")/.."
. scripts/packages.sh

need_packages gcc:gcc make:make cmake:cmake lua5.4:lua5.4 /usr/include/lua5.4/lua.h:liblua5.4-dev ||
  exit 1
configure_and_build release wasm_lua5.4 wasm_lua5.4_files
exec lua5.4 scripts/quickstart.lua
