#!/bin/sh
# Builds the kernels for WebAssembly next to their sources. Needs clang and wasm-ld; the .wasm files
# are committed, so only those who change a kernel need them. MVP plus what every engine has.
set -eu
cd "$(dirname "$0")"
object=$(mktemp)
trap 'rm -f "$object"' EXIT
for source in *.c; do
  [ "$source" = native.c ] && continue
  case $source in
  *_simd.c) feature=-msimd128 ;;
  *) feature=-mno-simd128 ;;
  esac
  clang --target=wasm32 -std=c11 -O2 -Wall -Wextra -nostdlib -ffreestanding -fvisibility=hidden \
    "$feature" -c -o "$object" "$source"
  wasm-ld --no-entry -o "${source%.c}.wasm" "$object"
done
