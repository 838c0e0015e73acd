#!/bin/sh
# Builds the guests of the applications next to their sources. Needs clang and wasm-ld (Debian: clang
# lld); the .wasm files are committed, so only those who change a guest need them.
set -eu
cd "$(dirname "$0")"
object=$(mktemp)
trap 'rm -f "$object"' EXIT
for source in */*.c; do
  clang --target=wasm32 -std=c11 -O2 -Wall -Wextra -nostdlib -mbulk-memory -fvisibility=hidden \
    -c -o "$object" "$source"
  wasm-ld --no-entry -z stack-size=16384 -o "${source%.c}.wasm" "$object"
done
