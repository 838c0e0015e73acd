#!/bin/sh
# Every test of the project: scripts/test.sh [GROUP...], groups being the names of the lanes below.
#
# Installs missing Debian packages when it may, else names them and skips what needs them. Each
# suite's output is in build/test-logs; the last line here is the total. A suite says how it went in
# its last line of the form "N passed, N failed[, N skipped]"; one that dies without such a line, or
# with another status than its counts explain, is one more failure.
set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/packages.sh

# The groups run in two lanes, side by side, once the build is there.
lane_one="unit spec ir fuzz corpus text lua wasi kits libraries apps module command interpreter valgrind"
lane_two="asan tsan hard clang aarch64 packages style"
shared=${RILLE_SHARED:-../shared}
spec_repository=https://github.com/WebAssembly/spec
spec_commit=285a9032950cbad6a9f84de11183008e286092a2
root=$PWD
logs=$root/build/test-logs
# What modules are run with when they do not say.
engines=interpreter
[ "$(uname -m)" = x86_64 ] && engines="compiler interpreter"
total_passed=0 total_failed=0 total_skipped=0
export ASAN_OPTIONS="${ASAN_OPTIONS:-abort_on_error=0:detect_leaks=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

# ---- Counting ------------------------------------------------------------------------------------

# add_counts LINE: takes "N passed, N failed, N skipped" apart into p, f and s and adds them to the
# totals; a line without counts is a failure.
add_counts() {
  p=$(printf '%s' "$1" | sed -nE 's/^([0-9]+) passed.*/\1/p')
  f=$(printf '%s' "$1" | sed -nE 's/.* ([0-9]+) failed.*/\1/p')
  s=$(printf '%s' "$1" | sed -nE 's/.* ([0-9]+) skipped.*/\1/p')
  p=${p:-0} f=${f:-1} s=${s:-0}
  total_passed=$((total_passed + p))
  total_failed=$((total_failed + f))
  total_skipped=$((total_skipped + s))
}

last_counts() { # last_counts LOG
  grep -aoE '[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?' "$1" | tail -n 1
}

# suite NAME COMMAND...: runs it with its output in a log and adds its counts to the totals.
suite() {
  name=$1
  shift
  log=$logs/$(printf '%s' "$name" | tr -c 'A-Za-z0-9.\n' '_').log
  began=$(date +%s)
  ("$@") >"$log" 2>&1 </dev/null
  status=$?
  add_counts "$(last_counts "$log")"
  if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
    f=1
    total_failed=$((total_failed + 1))
  fi
  printf '%-34s %6d passed %4d failed %3d skipped  %4d s\n' \
    "$name" "$p" "$f" "$s" $(($(date +%s) - began))
  if [ "$f" -ne 0 ]; then
    echo "--- end of $log (status $status)"
    tail -n 25 "$log" | cut -c 1-200
    echo "---"
  fi
}

skip() { # skip NAME WHY
  printf '%-34s skipped: %s\n' "$1" "$2"
  total_skipped=$((total_skipped + 1))
}

# check NAME COMMAND...: a suite of one test, which is the command's status.
check() {
  check_name=$1
  shift
  suite "$check_name" one_check "$@"
}
one_check() {
  if "$@"; then echo "1 passed, 0 failed"; else echo "0 passed, 1 failed"; fi
}

# ---- Suites --------------------------------------------------------------------------------------

# The cmocka programs of a build, run through the words after it (an emulator, say).
run_unit_tests() {
  build=$1
  shift
  unit_passed=0 unit_failed=0
  output=$(mktemp)
  for program in "$build"/tests/test_* "$build"/tests/example; do
    [ -x "$program" ] || continue
    echo "== $program"
    "$@" "$program" >"$output" 2>&1
    status=$?
    cat "$output"
    p=$(sed -nE 's/.*PASSED[^0-9]*([0-9]+) test.*/\1/p' "$output" | awk '{n += $1} END {print n + 0}')
    f=$(sed -nE 's/.*FAILED[^0-9]*([0-9]+) test.*/\1/p' "$output" | awk '{n += $1} END {print n + 0}')
    if [ $((p + f)) -eq 0 ] && [ "$status" -eq 0 ]; then p=1; fi
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
    unit_passed=$((unit_passed + p))
    unit_failed=$((unit_failed + f))
  done
  rm -f "$output"
  if [ $((unit_passed + unit_failed)) -eq 0 ]; then
    echo "no unit test was built"
    unit_failed=1
  fi
  echo "$unit_passed passed, $unit_failed failed"
}

# env_engine ENGINE COMMAND...: with this engine for modules that name none.
env_engine() {
  export RILLE_ENGINE="$1"
  shift
  "$@"
}

# Sets spec_dir to a folder with core/, from ../shared or from the public repository.
find_spec_tests() {
  spec_dir=
  if [ -d "$shared/spec/core" ]; then
    spec_dir=$shared/spec
  elif [ -d build/spec/test/core ]; then
    spec_dir=build/spec/test
  elif is_here git && mkdir -p build/spec && git -C build/spec init -q &&
    timeout 120 git -C build/spec fetch -q --depth 1 "$spec_repository" "$spec_commit" \
      </dev/null >/dev/null 2>&1 &&
    git -C build/spec checkout -q FETCH_HEAD; then
    spec_dir=build/spec/test
  fi
  [ -n "$spec_dir" ]
}

# run_wast BUILD DIR...: the scripts below, through the words in $wast_runner, by
# the program $wast.
run_wast() {
  build=$1
  shift
  scripts=$(find "$@" -name '*.wast' | sort)
  [ -n "$scripts" ] || { echo "no script below $*: 0 passed, 0 failed" && return; }
  # shellcheck disable=SC2086 # several words
  ${wast_runner:-} "$build/tests/${wast:-wast}" ${wast_options:-} $scripts
}

run_real_corpus() {
  find "$shared/real" -name '*.wasm' -exec build/release/tests/corpus {} +
}

mutate_modules() {
  set -- scripts/plugins/*.wasm tests/bench/kernels/*.wasm
  if [ -d "$shared/spec-bin" ]; then
    find "$shared/spec-bin" -name '*5.valid.wasm' -exec build/asan/tests/mutate 20 1 "$@" {} +
  else
    build/asan/tests/mutate 20 1 "$@"
  fi
}

# The Lua programs of the machine: "program version" a line. LuaJIT loads the module of 5.1.
lua_programs() {
  for version in 5.1 5.2 5.3 5.4 5.5; do
    is_here "lua$version" && echo "lua$version $version"
  done
  is_here luajit && echo "luajit 5.1"
}

# run_lua_suite BUILD PROGRAM VERSION [RUNNER...]: tests/lua on one Lua, or those in $lua_tests.
run_lua_suite() {
  build=$1 program=$2 version=$3
  shift 3
  use_lua_module "$build" "$version"
  LUA_PATH="$root/tests/lua/?.lua;$LUA_PATH"
  export RILLE_SHARED="$shared" RILLE_BUILD="$build"
  # shellcheck disable=SC2086 # several words
  "$@" "$program" tests/lua/run.lua ${lua_tests:-}
}

use_lua_module() { # use_lua_module BUILD VERSION
  export LUA_PATH="$root/$1/lua/$2/?.lua;;" LUA_CPATH="$root/$1/lua/$2/?.so"
}

run_libraries() { # run_libraries PROGRAM VERSION
  use_lua_module build/release "$2"
  "$1" tests/libraries/run.lua build/libraries
}

run_wasi_suite() { # run_wasi_suite BUILD [RUNNER...]
  use_lua_module "$1" 5.4
  shift
  "$@" lua5.4 tests/wasi/suite.lua "$shared/wasi"
}

# The sightglass programs; those that an interpreter is done with in some seconds.
run_sightglass() {
  use_lua_module build/release 5.4
  lua5.4 tests/wasi/sightglass.lua "$shared/real/sightglass"
}
run_short_sightglass() {
  use_lua_module build/release 5.4
  for program in blake3-scalar blake3-simd bz2 noop quicksort regex shootout-ackermann \
    shootout-base64 shootout-gimli shootout-heapsort shootout-keccak shootout-matrix \
    shootout-memmove shootout-minicsv shootout-nestedloop shootout-random shootout-ratelimit; do
    lua5.4 tests/wasi/sightglass.lua "$shared/real/sightglass" "/$program"
  done >"$logs/sightglass"
  cat "$logs/sightglass"
  awk '/ passed, / {p += $1; f += $3} END {print p + 0 " passed, " f + 0 " failed"}' \
    "$logs/sightglass"
}

run_lua_threads() { # run_lua_threads BUILD
  if [ -x "$1/tests/lua_threads" ]; then
    use_lua_module "$1" 5.4
    "$1/tests/lua_threads"
  else
    echo "no library of Lua 5.4: 0 passed, 0 failed, 1 skipped"
  fi
}

run_threaded_tests() {
  for program in api base_os runtime_memory; do
    RILLE_EMULATED=1 "build/tsan/tests/test_$program" || threads_failed=1
  done >"$logs/tsan_unit" 2>&1
  cat "$logs/tsan_unit"
  sed -nE 's/.*PASSED[^0-9]*([0-9]+) test.*/\1/p' "$logs/tsan_unit" |
    awk -v f="${threads_failed:-0}" '{n += $1} END {print n + 0 " passed, " f " failed"}'
}

sanitizer_preload() {
  for library in libasan.so libubsan.so; do
    path=$(gcc -print-file-name=$library)
    case $path in /*) printf '%s ' "$path" ;; esac
  done
}

# ---- Checks of what was built --------------------------------------------------------------------

module_is_small() { # module_is_small FILE: stripped, at most 1.5 MB
  stripped=$(mktemp)
  strip -o "$stripped" "$1" && size=$(wc -c <"$stripped")
  rm -f "$stripped"
  echo "$1: $size bytes stripped"
  [ "$size" -le 1500000 ]
}

module_exports_only_luaopen() {
  ! nm -D --defined-only "$1" | awk '{print $3}' | grep -v '^luaopen_'
}

module_links_no_lua() {
  ! readelf -d "$1" | grep -E 'NEEDED.*lua'
}

library_exports_only_rille() {
  ! nm -D --defined-only build/release/librille.so | awk '{print $3}' | grep -vE '^(rille_|RILLE_)'
}

installs_usable_library() {
  prefix=$root/build/install
  rm -rf "$prefix"
  cmake --install build/release --prefix "$prefix" >/dev/null || return 1
  [ -f "$prefix/include/rille.h" ] || return 1
  flags=$(PKG_CONFIG_PATH=$(find "$prefix" -name pkgconfig) pkg-config --cflags --libs rille) || return 1
  printf '#include <rille.h>\n#include <stdio.h>\nint main(void) { return puts(rille_version()) < 0; }\n' \
    >"$prefix/use.c"
  # shellcheck disable=SC2086 # several words
  cc "$prefix/use.c" -o "$prefix/use" $flags &&
    LD_LIBRARY_PATH=$(dirname "$(find "$prefix" -name librille.so)") "$prefix/use"
}

# Sources in `git ls-files` only: what is built or not yet added is nobody's style.
c_sources() {
  git ls-files '*.c' '*.h' 2>/dev/null | grep -v '^tests/data/'
}

formatted() {
  c_sources | xargs clang-format --dry-run -Werror
}

# ---- Groups: what runs, in this order ------------------------------------------------------------

group_release() {
  check "build release" configure_and_build release
}

group_build() {
  group_release
  check "build asan" configure_and_build asan
}

group_unit() {
  for engine in $engines; do
    suite "unit tests, $engine" env_engine "$engine" run_unit_tests build/release
  done
}

group_spec() {
  find_spec_tests || skip "spec" "no $shared/spec and no $spec_repository at $spec_commit"
  for engine in $engines; do
    wast_options=--engine=$engine
    for part in core legacy custom proposals/threads proposals/wide-arithmetic \
      proposals/custom-page-sizes; do
      [ -n "$spec_dir" ] && [ -d "$spec_dir/$part" ] &&
        suite "spec ${part#proposals/}, $engine" run_wast build/release "$spec_dir/$part"
    done
    suite "regressions, $engine" run_wast build/release tests/wat/regress
  done
  if [ "$engines" != interpreter ] && [ -n "$spec_dir" ]; then
    wast_options=--no-signals
    suite "spec core, compiler without signals" run_wast build/release "$spec_dir/core"
  fi
  wast_options=
}

group_ir() {
  if find_spec_tests; then
    wast=wast_ir wast_options=--engine=interpreter
    for stage in 0 3; do
      export IR_STAGE=$stage
      suite "compiler's IR, stage $stage: spec core" run_wast build/release "$spec_dir/core"
    done
    unset IR_STAGE
    wast=wast wast_options=
  else
    skip "compiler's IR" "no official scripts"
  fi
}

# Random modules and damaged ones of the specification in the interpreter and in the compiler, from
# seeds that never change. For a hunt, other seeds: build/release/tests/ir_differ, see differ.c.
group_fuzz() {
  if [ "$engines" = interpreter ]; then
    skip "differential fuzzing" "the compiler makes code for x86-64 only"
    return
  fi
  for options in "" "--refs" "--refs --simd --no-fuel" "--memory64 --simd"; do
    # shellcheck disable=SC2086 # several words
    check "random modules $options" build/release/tests/ir_differ --compiler $options 1 1000
  done
  if find_spec_tests; then
    check "damaged modules of the specification" damage_spec_modules
  fi
}

damage_spec_modules() {
  find "$spec_dir/core" "$spec_dir/legacy" -name '*.wast' | sort |
    xargs build/release/tests/ir_differ --compiler 1 4000
}

group_corpus() {
  if [ -d "$shared/spec-bin" ]; then
    suite "corpus of spec modules" build/release/tests/corpus "$shared/spec-bin/modules"
  else
    skip "corpus of spec modules" "no $shared/spec-bin"
  fi
  if [ -d "$shared/real" ]; then
    suite "corpus of real modules" run_real_corpus
  else
    skip "corpus of real modules" "no $shared/real"
  fi
}

group_text() {
  if [ -d "$shared/spec-bin" ]; then
    suite "round trips of spec modules" build/release/tests/roundtrip \
      "$shared/spec-bin/modules/core" "$shared/spec-bin/modules/custom"
    suite "round trips of real modules" build/release/tests/roundtrip "$shared/real"
  else
    skip "round trips" "no $shared/spec-bin"
  fi
  suite "round trips of our modules" build/release/tests/roundtrip scripts/plugins tests/bench
}

group_lua() {
  lua_programs >"$logs/lua_programs"
  while read -r program version; do
    if [ -f "build/release/lua/$version/wasm.so" ]; then
      for engine in $engines; do
        suite "lua tests on $program, $engine" \
          env_engine "$engine" run_lua_suite build/release "$program" "$version"
      done
    else
      skip "lua tests on $program" "its headers were not found"
    fi
  done <"$logs/lua_programs"
}

group_wasi() {
  if [ -d "$shared/wasi" ]; then
    for engine in $engines; do
      suite "wasi suite, $engine" env_engine "$engine" run_wasi_suite build/release
    done
    suite "wasi suite, paths walked by us" run_wasi_suite build/release env RILLE_WALK=1
    suite "short sightglass programs" env_engine interpreter run_short_sightglass
    [ "$engines" != interpreter ] && suite "sightglass programs" run_sightglass
  else
    skip "wasi suite" "no $shared/wasi"
  fi
}

# Modules that npm's compilers and kits make, in build/kits.
group_kits() {
  if ! sh tests/kits/build.sh build/kits >"$logs/kits" 2>&1 </dev/null; then
    skip "kits" "$(tail -n 1 "$logs/kits")"
    return
  fi
  lua_tests=tests/kits/kits.lua
  lua_programs >"$logs/lua_programs"
  while read -r program version; do
    [ -f "build/release/lua/$version/wasm.so" ] &&
      suite "kits on $program" run_lua_suite build/release "$program" "$version"
  done <"$logs/lua_programs"
  lua_tests=
}

# For hosts that load Lua with local symbols.
build_with_liblua() {
  cmake -S . -B build/liblua -DCMAKE_BUILD_TYPE=Release -DRILLE_LINK_LIBLUA=ON \
    -DRILLE_LUA_VERSIONS=5.3 -DRILLE_TESTS=OFF >"$logs/liblua" 2>&1 &&
    cmake --build build/liblua -j "$(nproc)" >>"$logs/liblua" 2>&1
}

# Applications that embed Lua, each with what it is started by. Servers start when they are installed,
# so that is left to continuous integration; of nginx a copy of its own is taken, since its packages
# replace LuaJIT.
group_apps() {
  [ -z "${CI:-}" ] ||
    need_packages nvim:neovim haproxy:haproxy lighttpd:lighttpd tshark:tshark pandoc:pandoc curl:curl \
      /usr/lib/lighttpd/mod_magnet.so:lighttpd-modules-lua collectd:collectd-core ||
    echo "going on without them"
  for app in neovim haproxy lighttpd tshark pandoc collectd nginx; do
    case $app in
      neovim) needs=nvim ;;
      lighttpd) needs=/usr/lib/lighttpd/mod_magnet.so ;;
      collectd)
        needs=collectd
        is_here collectd && check "build with liblua" build_with_liblua
        ;;
      nginx)
        sh tests/apps/nginx/fetch.sh build/nginx >/dev/null 2>&1 || :
        needs=$root/build/nginx/usr/sbin/nginx
        ;;
      *) needs=$app ;;
    esac
    if is_here "$needs" && is_here curl; then
      suite "app $app" env RILLE_BUILD=build/release sh "tests/apps/$app/run.sh"
    else
      skip "app $app" "$needs or curl is missing"
    fi
  done
}

# C libraries from Debian's source packages, which are fetched and built for the tests.
group_libraries() {
  need_packages clang:clang wasm-ld:lld /usr/lib/wasm32-wasi/libc.a:wasi-libc tclsh:tcl ||
    echo "going on without them"
  builtins=$(clang --target=wasm32-wasi -print-libgcc-file-name 2>/dev/null) &&
    need_packages "$builtins:libclang-rt-dev-wasm32"
  if ! { is_here wasm-ld && is_here "$builtins" && is_here /usr/lib/wasm32-wasi/libc.a; }; then
    skip "C libraries" "clang, wasm-ld, wasi-libc or its builtins are missing"
    return
  fi
  if ! { sh tests/libraries/fetch.sh build/libraries && sh tests/libraries/build.sh build/libraries; } \
    >"$logs/libraries" 2>&1 </dev/null; then
    tail -n 3 "$logs/libraries"
  fi
  if ! ls build/libraries/*.wasm >/dev/null 2>&1; then
    skip "C libraries" "no source package can be had"
    return
  fi
  lua_programs >"$logs/lua_programs"
  while read -r program version; do
    [ -f "build/release/lua/$version/wasm.so" ] &&
      suite "C libraries on $program" run_libraries "$program" "$version"
  done <"$logs/lua_programs"
}

group_module() {
  for module in build/release/lua/*/wasm.so; do
    version=$(basename "$(dirname "$module")")
    check "wasm.so $version is small" module_is_small "$module"
    check "wasm.so $version exports" module_exports_only_luaopen "$module"
    check "wasm.so $version links no lua" module_links_no_lua "$module"
  done
  check "librille exports" library_exports_only_rille
  check "install and pkg-config" installs_usable_library
}

group_packages() {
  suite "packages" sh scripts/test_packages.sh
}

group_command() {
  check "quickstart" lua5.4 scripts/quickstart.lua
  suite "command" sh scripts/test_command.sh
}

group_asan() {
  suite "asan: unit tests" run_unit_tests build/asan
  for engine in $engines; do
    wast_options=--engine=$engine
    if find_spec_tests; then
      suite "asan: spec core, $engine" run_wast build/asan "$spec_dir/core"
    fi
    suite "asan: regressions, $engine" run_wast build/asan tests/wat/regress
  done
  wast_options=
  check "asan: damaged modules" mutate_modules
  suite "asan: damaged debug information" build/asan/tests/dwarf 300 1 tests/data/inlined4.wasm \
    tests/data/inlined5.wasm
  if [ -f build/asan/lua/5.4/wasm.so ]; then
    for engine in $engines; do
      suite "asan: lua tests on lua5.4, $engine" run_lua_suite build/asan lua5.4 5.4 \
        env RILLE_SANITIZED=1 RILLE_ENGINE="$engine" LD_PRELOAD="$(sanitizer_preload)"
    done
    [ -d "$shared/wasi" ] && suite "asan: wasi suite" run_wasi_suite build/asan \
      env LD_PRELOAD="$(sanitizer_preload)"
  fi
}

# What has threads: the memory that several stores share, in C and in Lua states. A child of a fork that
# starts a thread is more than this sanitizer follows.
group_tsan() {
  check "build tsan" configure_and_build tsan
  suite "tsan: unit tests" run_threaded_tests
  if [ -d "$shared/spec/proposals/threads" ]; then
    suite "tsan: spec threads" run_wast build/tsan "$shared/spec/proposals/threads"
  fi
  suite "tsan: Lua states" run_lua_threads build/tsan
}

# The attack build collects garbage at every allocation, checks what each pass of the compiler left and
# takes registers at random: from seeds that never change.
group_hard() {
  check "build hard" configure_and_build hard
  wast_options=--engine=interpreter
  suite "hard: unit tests" run_unit_tests build/hard
  suite "hard: regressions" run_wast build/hard tests/wat/regress
  if find_spec_tests; then
    suite "hard: spec" run_wast build/hard "$spec_dir/core" "$spec_dir/legacy"
  fi
  wast_options=
  [ "$engines" != interpreter ] || return
  wast_options=--engine=compiler
  suite "hard, compiler: regressions" run_wast build/hard tests/wat/regress
  for RILLE_SEED in 1 2 3; do
    export RILLE_SEED
    [ -n "$spec_dir" ] && suite "hard, compiler, seed $RILLE_SEED: spec" \
      run_wast build/hard "$spec_dir/core" "$spec_dir/legacy"
  done
  unset RILLE_SEED
  wast_options=
}

group_clang() {
  if ! is_here clang; then
    skip "clang" "clang is not installed"
    return
  fi
  check "build clang" configure_and_build clang
  suite "clang: unit tests" run_unit_tests build/clang
  if find_spec_tests; then suite "clang: spec core" run_wast build/clang "$spec_dir/core"; fi
}

# Without the compiler, as on other processors.
group_interpreter() {
  CMAKE_ARGS="${CMAKE_ARGS:-} -DRILLE_LUA_VERSIONS=5.1;5.4" \
    check "build interpreter" configure_and_build interpreter
  suite "without the compiler: unit tests" run_unit_tests build/interpreter
  suite "without the compiler: lua tests" run_lua_suite build/interpreter lua5.4 5.4
}

# Of the build that group interpreter made: valgrind does not know what stack compiled code uses, and
# stops at the divisions that it lets the processor trap.
group_valgrind() {
  if ! is_here valgrind; then
    skip "valgrind" "valgrind is not installed"
    return
  fi
  # Not those that make very many calls, coroutines or types.
  lua_tests="values misuse errors module imports instance memory pack table global func gc exception"
  lua_tests="$lua_tests coroutine wasi loader repl examples reference ffi ffi_parser dwarf"
  for version in 5.1 5.4; do
    if is_here "lua$version" && [ -f "build/interpreter/lua/$version/wasm.so" ]; then
      suite "valgrind: lua tests on lua$version" \
        run_lua_suite build/interpreter "lua$version" "$version" \
        env RILLE_SANITIZED=1 valgrind -q --error-exitcode=99 --leak-check=full \
        --show-leak-kinds=definite --errors-for-leak-kinds=definite
    else
      skip "valgrind: lua tests on lua$version" "lua$version or its headers were not found"
    fi
  done
  lua_tests=
}

# cmocka for AArch64 is unpacked beside the build, so that the machine stays as it is.
fetch_arm_cmocka() {
  arm_root=$root/build/aarch64-root
  [ -f "$arm_root/usr/include/cmocka.h" ] && return
  is_here apt-get && is_here dpkg || return 1
  state=$root/build/aarch64-apt
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$arm_root"
  : >"$state/status"
  (cd "$state" || exit 1
    set -- -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State="$state" \
      -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" -o APT::Sandbox::User=
    timeout 180 apt-get "$@" update && timeout 60 apt-get "$@" download libcmocka-dev libcmocka0 &&
      for package in *.deb; do dpkg -x "$package" "$arm_root"; done)
}

group_aarch64() {
  if ! is_here qemu-aarch64 || ! is_here aarch64-linux-gnu-gcc; then
    skip "aarch64" "qemu-aarch64 or aarch64-linux-gnu-gcc is missing"
    return
  fi
  if fetch_arm_cmocka >/dev/null 2>&1 </dev/null; then
    CMAKE_ARGS="${CMAKE_ARGS:-} -DCMOCKA_INCLUDE=$arm_root/usr/include
      -DCMOCKA_LIBRARY=$arm_root/usr/lib/aarch64-linux-gnu/libcmocka.so" \
      check "build aarch64" configure_and_build aarch64
  else
    skip "aarch64: unit tests" "cmocka for arm64 cannot be had"
    check "build aarch64" configure_and_build aarch64
  fi
  emulator="qemu-aarch64 -L /usr/aarch64-linux-gnu"
  emulator="$emulator -E LD_LIBRARY_PATH=$arm_root/usr/lib/aarch64-linux-gnu:$root/build/aarch64"
  emulator="$emulator -E RILLE_EMULATED=1"
  # shellcheck disable=SC2086 # several words
  suite "aarch64: unit tests" run_unit_tests build/aarch64 $emulator
  wast_runner=$emulator
  if find_spec_tests; then suite "aarch64: spec core" run_wast build/aarch64 "$spec_dir/core"; fi
  wast_runner=
}

group_style() {
  check "lists of files" lua5.4 scripts/rockspec.lua --check
  if [ -z "$(c_sources)" ]; then
    skip "clang-format" "no git repository"
  elif is_here clang-format; then
    check "clang-format" formatted
  else
    skip "clang-format" "clang-format is not installed"
  fi
  if is_here luacheck; then
    check "luacheck" luacheck -q .
  else
    skip "luacheck" "luacheck is not installed"
  fi
  if is_here shellcheck; then
    check "shellcheck" shellcheck -x scripts/*.sh tests/lua/ffi/*.sh scripts/plugins/*.sh tests/*/*.sh tests/apps/*/run.sh tests/apps/*/fetch.sh \
      .ci/run
  else
    skip "shellcheck" "shellcheck is not installed"
  fi
}

install_what_is_missing() {
  need_packages gcc:gcc make:make cmake:cmake ninja:ninja-build git:git \
    pkg-config:pkg-config /usr/include/cmocka.h:libcmocka-dev \
    lua5.1:lua5.1 lua5.2:lua5.2 lua5.3:lua5.3 lua5.4:lua5.4 luajit:luajit \
    /usr/include/lua5.1/lua.h:liblua5.1-0-dev /usr/include/lua5.2/lua.h:liblua5.2-dev \
    /usr/include/lua5.3/lua.h:liblua5.3-dev /usr/include/lua5.4/lua.h:liblua5.4-dev \
    luarocks:luarocks clang:clang clang-format:clang-format luacheck:lua-check valgrind:valgrind \
    shellcheck:shellcheck qemu-aarch64:qemu-user aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu \
    /usr/aarch64-linux-gnu/include/stdio.h:libc6-dev-arm64-cross ||
    echo "going on without them"
}

run_groups() {
  for group; do
    "group_$group"
  done
}

# Runs the second lane as a process of its own and adds what its last line says.
run_lanes() {
  second=$logs/second_lane.log
  # shellcheck disable=SC2086 # several words
  RILLE_LANE=2 sh scripts/test.sh $lane_two >"$second" 2>&1 </dev/null &
  # shellcheck disable=SC2086 # several words
  run_groups $lane_one
  wait
  sed '$d' "$second"
  add_counts "$(tail -n 1 "$second")"
}

mkdir -p "$logs"
[ -n "${RILLE_LANE:-}" ] || install_what_is_missing
if [ -n "${CI:-}" ]; then export CMAKE_ARGS="-DRILLE_WERROR=ON"; fi
if [ $# -gt 0 ]; then
  run_groups "$@"
else
  group_build
  run_lanes
fi
echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
[ "$total_failed" -eq 0 ]
