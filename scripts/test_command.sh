#!/bin/sh
# Tests of the command scripts/wasm.lua: what each subcommand prints and its exit status.
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
lua=${LUA:-lua5.4}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

output_has() {
  if [ -n "$1" ]; then grep -qE -e "$1" "$work/out"; else [ ! -s "$work/out" ]; fi
}

# expect NAME STATUS PATTERN ARG...: the command's exit status, and a line in its output or errors
# (an empty pattern: no output).
expect() {
  name=$1 status=$2 pattern=$3
  shift 3
  "$lua" scripts/wasm.lua "$@" >"$work/out" 2>&1 <"$work/in"
  got=$?
  if [ "$got" -eq "$status" ] && output_has "$pattern"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "$name: status $got, wanted $status and a line like: $pattern"
    cat "$work/out"
  fi
}

: >"$work/in"
cat >"$work/add.wat" <<'END'
(module $calc
  (memory (export "memory") 1)
  (func $add (export "add") (param i32 i64) (result i64)
    (i64.add (i64.extend_i32_s (local.get 0)) (i64.extend8_s (local.get 1)))))
END
cat >"$work/hello.wat" <<'END'
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\06\00\00\00hello\n")
  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))
    (call $proc_exit (i32.const 7))))
END
cat >"$work/quiet.wat" <<'END'
(module (memory (export "memory") 1) (func (export "_start")))
END
cat >"$work/trap.wat" <<'END'
(module (memory (export "memory") 1) (func $oops (export "_start") unreachable))
END
cat >"$work/open.wat" <<'END'
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "made")
  (func (export "_start")
    (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1)
      (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16)))))
END
cat >"$work/spin.wat" <<'END'
(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))
END
mkdir "$work/dir"
echo '(module (func (result i32)))' >"$work/invalid.wat"

expect "no command" 2 'a command is wanted.*--help'
expect "help" 0 'inspect' help
expect "-h" 0 'inspect' -h
expect "help of a command" 0 'inspect' run --help
expect "version" 0 '[0-9]+\.[0-9]+\.[0-9]+' --version
expect "unknown command" 2 'unknown command frob' frob
expect "unknown option" 2 'unknown option --frob' run --frob x
expect "missing file" 1 'nowhere.wasm' wat "$work/nowhere.wasm"
expect "invalid module" 1 'type mismatch' inspect "$work/invalid.wat"
expect "inspect exports" 0 'add +\(func .*param i32 i64.*result i64' inspect "$work/add.wat"
expect "inspect features" 0 'features.*sign' inspect "$work/add.wat"
expect "inspect plugin" 0 'ledger.keep' inspect scripts/plugins/ledger.wasm
expect "inspect names" 0 'names: .*functions' inspect scripts/plugins/ledger.wasm
expect "inspect json" 0 '"module":"ledger"' inspect --json scripts/plugins/ledger.wasm
expect "wat" 0 'i64.extend8_s' wat "$work/add.wat"
expect "compile" 0 'made [0-9]+ bytes of [0-9]+, [0-9]+ functions' compile "$work/add.wat"
expect "compile output" 0 'made' compile --output="$work/add.rille" "$work/add.wat"
expect "compiled files are not loaded" 1 'serialised module' inspect "$work/add.rille"
if [ "$(uname -m)" = x86_64 ] && [ -z "${RILLE_ENGINE:-}" ]; then
  expect "compile dump" 0 '^--- color' compile --dump=ir,mach "$work/add.wat" add
  expect "compile dump of passes" 0 '^--- place' compile --dump=place "$work/add.wat" 0
  expect "compile listing" 0 'ret$' compile --dump=asm "$work/add.wat" add
  expect "compile dump of all" 0 '^=== function 0' compile --dump "$work/add.wat"
  expect "compile no pass" 1 'no pass is named' compile --dump=none "$work/add.wat"
  expect "compile no function" 1 'no function' compile --dump "$work/add.wat" sub
  expect "compile dump of the interpreter" 1 'no passes' \
    compile --dump=asm --engine=interpreter "$work/add.wat"
fi
expect "bench" 0 'ns a call' bench --seconds=0.05 "$work/add.wat" add 1 2
expect "bench argument count" 2 '2 arguments' bench "$work/add.wat" add 1
expect "bench no export" 1 'no exported function' bench "$work/add.wat" sub 1
expect "run status" 7 '^hello$' run "$work/hello.wat"
expect "run without exit" 0 '' run "$work/quiet.wat"
expect "run trap" 1 'unreachable' run "$work/trap.wat"
expect "run dir" 0 '' run --dir="$work/dir::/" "$work/open.wat"
expect "run without dir" 8 '' run "$work/open.wat"
expect "run read-only dir" 69 '' run --dir="$work/dir::/::ro" "$work/open.wat"
expect "run trace" 7 '^fd_write\(fd=1, .*= SUCCESS nwritten=6$' run --trace=wasi "$work/hello.wat"
expect "run fuel" 1 'fuel' run --fuel=10K "$work/spin.wat"
expect "run timeout" 1 'time limit' run --timeout=0.1 "$work/spin.wat"
expect "run memory" 1 'memory limit' run --memory=1K "$work/quiet.wat"
expect "run bad number" 2 'wants a number' run --memory=lots "$work/quiet.wat"
expect "run bad timeout" 2 '--timeout wants a number' run --timeout=-1 "$work/quiet.wat"
expect "run bad address" 1 'nowhere' run --listen=nowhere "$work/quiet.wat"
expect "run dir without a value" 2 '^wasm: --dir wants HOST::GUEST or DIR' run --dir . "$work/hello.wat"
expect "run empty dir" 2 '^wasm: --dir wants HOST::GUEST or DIR' run --dir= "$work/hello.wat"
expect "run dir without a guest" 2 'HOST::GUEST or DIR, not' run --dir=.:: "$work/hello.wat"
expect "run env without a value" 2 'wants NAME=VALUE, behind' run --env HOME=/x "$work/hello.wat"
expect "run trace without a value" 2 'wants wasi, behind' run --trace "$work/hello.wat"
expect "run bad engine" 2 '^wasm: --engine wants interpreter or compiler, not "foo"' \
  run --engine=foo "$work/hello.wat"
expect "run what is no program" 1 "no '_start': not a WASI program" run "$work/add.wat"
printf 'int main;\n' >"$work/words.c"
for command in run inspect wat compile repl; do
  expect "$command names the file" 1 '^wasm: [^ ]*/words.c:1:1: unknown operator int' \
    "$command" "$work/words.c"
done
printf '\0asm\1\0\0\0\11\1' >"$work/cut.wasm"
for command in inspect wat; do
  expect "$command names the binary file" 1 'cut.wasm: .*\(at offset 0x' "$command" "$work/cut.wasm"
done
{
  printf '(module (memory 32) (func (export "f")) (data (i32.const 0) "'
  head -c 1200000 /dev/zero | tr '\0' a
  printf '"))\n'
} >"$work/big.wat"
expect "no status in a pipe" 0 'big.wat: the' compile "$work/big.wat"
if grep -q compiling "$work/out"; then
  failed=$((failed + 1))
  echo "a status line was written into a pipe"
fi
if command -v script >"$work/out"; then
  script -qec "$lua scripts/wasm.lua compile $work/big.wat" /dev/null >"$work/out" 2>&1 </dev/null
  if tr '\r' '\n' <"$work/out" | grep -q 'compiling .*big.wat (1.2 MB) \.\.\.'; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "no status line on a terminal"
    cat "$work/out"
  fi
fi
expect "run engine" 7 '^hello$' run --engine=interpreter "$work/hello.wat"
printf 'add(40, 2)\nx = 5\nadd(x, 1)\nnonsense)\nmemory\n' >"$work/in"
expect "repl call" 0 '42' repl "$work/add.wat"
expect "repl error" 0 '^> error:' repl "$work/add.wat"
expect "repl assignment" 0 '\b6$' repl "$work/add.wat"

# The manual page and --help name the same commands and options.
"$lua" scripts/wasm.lua --help >"$work/out"
sed 's/\\-/-/g; s/\\f[BRI]//g; s/"//g' scripts/wasm.1 >"$work/man"
grep -oE -e '--[a-z]+' "$work/out" | sort -u >"$work/help_options"
grep -oE -e '--[a-z]+' "$work/man" | sort -u >"$work/man_options"
sed -nE 's/^  ([a-z]+) .*/\1/p' "$work/out" | sort -u >"$work/help_commands"
sed -nE 's/^\.B ([a-z]+)$/\1/p' "$work/man" | grep -xF -f "$work/help_commands" | sort -u \
  >"$work/man_commands"
for list in options commands; do
  if [ -s "$work/help_$list" ] && diff "$work/help_$list" "$work/man_$list"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "the $list of --help (<) and of the manual page (>) differ"
  fi
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
