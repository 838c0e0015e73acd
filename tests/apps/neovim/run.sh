#!/bin/sh
# Neovim with a plugin in Wasm; its own prints are the checks.
# shellcheck source=tests/apps/lib.sh
. "$(dirname "$0")/../lib.sh"

APP_HOME=$root/tests/apps/neovim
export APP_HOME
LUA_PATH="$build/lua/5.1/?.lua;;" LUA_CPATH="$build/lua/5.1/?.so;;" HOME=$scratch XDG_STATE_HOME=$scratch \
  timeout 60 nvim --headless -u NONE -i NONE -c "luafile $APP_HOME/test.lua" -c 'cq!' 2>&1 </dev/null
