#!/bin/sh
# Tests of what others install: rocks for each Lua, `cmake --install`, the module that links liblua,
# and the engine as one file. Everything happens below build/packages.
set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/packages.sh
root=$PWD
work=$root/build/packages
shared=${RILLE_SHARED:-../shared}
compiler=cc
is_here ccache && compiler="ccache cc"
passed=0 failed=0 skipped=0
# Everything that crosses between Lua and guests; what measures time or memory runs elsewhere.
lua_tests="values module imports instance memory pack table global func errors coroutine loader wasi"

# step NAME COMMAND...: one test, which is the command's status.
step() {
  name=$1
  shift
  if ("$@") >"$work/log" 2>&1 </dev/null; then
    passed=$((passed + 1))
    echo "ok: $name"
  else
    failed=$((failed + 1))
    echo "failed: $name"
    tail -n 30 "$work/log" | cut -c 1-300
  fi
}

skip() {
  skipped=$((skipped + 1))
  echo "skipped: $1"
}

# The files of the checkout as they are now, since LuaRocks puts objects next to sources.
copy_sources() {
  rm -rf "$work/rille-0.1.0" && mkdir -p "$work/rille-0.1.0" || return 1
  if [ -d .git ]; then
    git ls-files --cached --others --exclude-standard
  else
    find . -path ./build -prune -o -type f -print
  fi | while read -r file; do [ -f "$file" ] && echo "$file"; done | tar c -T - |
    tar x -C "$work/rille-0.1.0"
}

# run_suite PROGRAM LUADIR SODIR: the basic part of the Lua tests on an installed module.
run_suite() {
  cd "$work/rille-0.1.0" && export LUA_PATH="tests/lua/?.lua;$2/?.lua;;" LUA_CPATH="$3/?.so;;"
  # shellcheck disable=SC2086 # several words
  "$1" tests/lua/run.lua $lua_tests
}

make_rock() { # make_rock VERSION
  cd "$work/rille-0.1.0" &&
    luarocks --lua-version "$1" --tree "$work/rocks" CC="$compiler" make
}

# The other way in: from the archive that the rockspec names.
build_rock_from_archive() { # build_rock_from_archive VERSION
  mkdir -p "$work/archive" && cp ./*.rockspec "$work/archive" && cd "$work" &&
    tar cz -f archive/rille-0.1.0.tar.gz --exclude='*.o' --exclude='*.so' rille-0.1.0 &&
    cd archive &&
    luarocks --lua-version "$1" --tree "$work/rocks" CC="$compiler" build rille-0.1.0-1.rockspec
}

rock_runs() { # rock_runs PROGRAM VERSION
  run_suite "$1" "$work/rocks/share/lua/$2" "$work/rocks/lib/lua/$2"
}

rock_exports_only_luaopen() {
  nm -D --defined-only "$work/rocks/lib/lua/$1/wasm.so" | awk '{print $3}' >"$work/names"
  grep -q '^luaopen_wasm$' "$work/names" && ! grep -v '^luaopen_' "$work/names"
}

# The command finds its module by the paths that the wrapper of LuaRocks sets.
rock_has_command() {
  "$work/rocks/bin/wasm.lua" inspect scripts/plugins/ledger.wasm | grep ledger.keep
}

test_rocks() {
  step "the rockspec lists the files" lua5.4 scripts/rockspec.lua --check
  step "copy of the sources" copy_sources
  for version in 5.1 5.2 5.3 5.4; do
    if ! is_here "lua$version" || [ ! -e "/usr/include/lua$version/lua.h" ]; then
      skip "rock for Lua $version: it is not installed"
      continue
    fi
    if [ $version = 5.3 ]; then
      step "luarocks build $version, from an archive" build_rock_from_archive $version
    else
      step "luarocks make $version" make_rock $version
    fi
    step "rock $version exports" rock_exports_only_luaopen $version
    step "rock on lua$version" rock_runs "lua$version" $version
  done
  step "command of the rock" rock_has_command
  if is_here luajit; then step "rock on luajit" rock_runs luajit 5.1; fi
}

# ---- cmake --install -----------------------------------------------------------------------------

configure() { # configure FOLDER OPTION...: a small build for Lua 5.4
  folder=$1
  shift
  cmake -S . -B "$work/$folder" -DRILLE_TESTS=OFF -DRILLE_LUA_VERSIONS=5.4 "$@" &&
    cmake --build "$work/$folder" -j "$(nproc)"
}

installs() {
  configure install-build && rm -rf "$work/prefix" &&
    cmake --install "$work/install-build" --prefix "$work/prefix" || return 1
  find "$work/prefix" -type f | sort
  for file in include/rille.h bin/wasm.lua share/man/man1/wasm.lua.1 share/lua/5.4/wasm/loader.lua \
    share/lua/5.4/wasm/meta.lua; do
    [ -f "$work/prefix/$file" ] || { echo "no $file" && return 1; }
  done
}

install_runs() {
  so=$(dirname "$(find "$work/prefix" -name wasm.so)")
  run_suite lua5.4 "$work/prefix/share/lua/5.4" "$so"
}

# The C example as a user would build it: by pkg-config, against the shared library.
installed_library_works() {
  PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name rille.pc)")
  export PKG_CONFIG_PATH
  # shellcheck disable=SC2046 # several words
  cc -Wall -Werror tests/unit/example.c -o "$work/example" \
    $(pkg-config --cflags --libs rille) &&
    LD_LIBRARY_PATH=$(dirname "$(find "$work/prefix" -name librille.so)") "$work/example"
}

# A host that loads Lua with local symbols, as VLC does, finds them through the module alone.
links_liblua() {
  configure liblua-build -DRILLE_LINK_LIBLUA=ON || return 1
  module=$work/liblua-build/lua/5.4
  readelf -d "$module/wasm.so" | grep -E 'NEEDED.*lua5.4' || return 1
  library=$(readelf -d "$module/wasm.so" | sed -nE 's/.*NEEDED.*\[(liblua[^]]*)\].*/\1/p')
  cc -Wall -Werror tests/packages/local_host.c -o "$work/local_host" -ldl &&
    LUA_PATH="$module/?.lua" LUA_CPATH="$module/?.so" "$work/local_host" "$library"
}

test_install() {
  [ -d "$work/rille-0.1.0" ] || step "copy of the sources" copy_sources
  step "cmake --install" installs
  step "installed module on lua5.4" install_runs
  step "installed library, by pkg-config" installed_library_works
  step "module that links liblua" links_liblua
}

# ---- One file ------------------------------------------------------------------------------------

amalgamates() {
  mkdir -p "$work/one" && lua5.4 scripts/amalgamate.lua "$work/one" || return 1
  # shellcheck disable=SC2086 # several words
  $compiler -std=gnu11 -Wall -Werror -O2 -ffp-contract=off -fno-math-errno \
    -c "$work/one/rille.c" -o "$work/one/rille.o"
}

one_file_exports_only_rille() {
  nm -g --defined-only "$work/one/rille.o" | awk '{print $3}' >"$work/names"
  grep -q '^rille_call$' "$work/names" && ! grep -vE '^(rille_|RILLE_|h_|interp_|wasi_)' "$work/names"
}

one_file_runs_example() {
  cc -Wall -Werror -I "$work/one" tests/unit/example.c "$work/one/rille.o" -o "$work/one/example" \
    -lm -pthread && "$work/one/example"
}

# The runner of the official scripts looks inside the engine: its names have to be the plain ones.
one_file_runs_spec() {
  # shellcheck disable=SC2086 # several words
  $compiler -std=gnu11 -Wall -Werror -O2 -ffp-contract=off -fno-math-errno -DRILLE_PLAIN_NAMES \
    -c "$work/one/rille.c" -o "$work/one/plain.o" &&
    $compiler -std=gnu11 -D_GNU_SOURCE -DRILLE_STATIC -I core -I tests -I include -O1 \
      -c tests/spec/wast.c -o "$work/one/wast.o" &&
    cc "$work/one/wast.o" "$work/one/plain.o" -o "$work/one/wast" -lm -pthread &&
    find "$@" -name '*.wast' | sort | xargs "$work/one/wast"
}

one_file_compiles_for_arm() {
  aarch64-linux-gnu-gcc -std=gnu11 -Wall -Werror -O2 -ffp-contract=off -fno-math-errno \
    -I "$work/one" tests/unit/example.c "$work/one/rille.c" -o "$work/one/example_arm" \
    -lm -pthread && qemu-aarch64 -L /usr/aarch64-linux-gnu "$work/one/example_arm"
}

test_one_file() {
  step "one file compiles without a warning" amalgamates
  step "one file exports" one_file_exports_only_rille
  step "one file runs the C example" one_file_runs_example
  if [ -d "$shared/spec/core" ]; then
    step "one file passes the official scripts" one_file_runs_spec "$shared/spec/core"
  else
    skip "official scripts: no $shared/spec"
  fi
  step "one file passes the regressions" one_file_runs_spec tests/wat/regress
  if is_here qemu-aarch64 && is_here aarch64-linux-gnu-gcc; then
    step "one file for AArch64" one_file_compiles_for_arm
  else
    skip "one file for AArch64"
  fi
}

mkdir -p "$work"
parts=${*:-install one_file}
if [ $# -eq 0 ] && is_here luarocks; then
  parts="rocks $parts"
elif [ $# -eq 0 ]; then
  skip "rocks: luarocks is not installed"
fi
for part in $parts; do
  "test_$part"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
