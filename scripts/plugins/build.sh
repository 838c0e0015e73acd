#!/bin/sh
# Builds the plugins next to their sources. Needs clang and wasm-ld (Debian: clang lld); the .wasm
# files are committed, so only those who change a plugin need them. Name sections are kept: they
# give the backtraces their function names. The linker is called directly, because the clang driver
# would run a wasm-opt that it finds and lose them.
set -eu
cd "$(dirname "$0")"
object=$(mktemp)
trap 'rm -f "$object"' EXIT
for source in *.c; do
  clang --target=wasm32 -std=c11 -O2 -Wall -Wextra -nostdlib -mbulk-memory -fvisibility=hidden \
    -c -o "$object" "$source"
  wasm-ld --no-entry -z stack-size=16384 -o "${source%.c}.wasm" "$object"
done
ls -l ./*.wasm
