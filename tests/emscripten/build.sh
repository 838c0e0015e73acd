#!/bin/sh
# Builds jumps.wasm next to its sources. Needs clang and wasm-ld (Debian: clang lld) of LLVM 14, whose
# code asks for what setjmp.c has; the .wasm file is committed.
set -eu
cd "$(dirname "$0")"
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
clang --target=wasm32-unknown-emscripten -c -o "$objects/stack.o" stack.s
for source in jumps.c setjmp.c; do
  clang --target=wasm32-unknown-emscripten -std=c11 -O1 -ffreestanding -fvisibility=hidden \
    -mllvm -enable-emscripten-sjlj -c -o "$objects/$source.o" "$source"
done
wasm-ld --no-entry --export-table -z stack-size=16384 --export=emscripten_stack_get_current \
  --export=_emscripten_stack_restore -o jumps.wasm "$objects"/*.o
