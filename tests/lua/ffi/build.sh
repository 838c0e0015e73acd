#!/bin/sh
# Builds the C library of the tests of wasm.ffi, into the folder that is named. Needs clang and
# wasm-ld (Debian: clang lld); abi.wasm is committed, so only those who change it need them. The
# linker is called directly, because the clang driver would run a wasm-opt that it finds.
set -eu
cd "$(dirname "$0")"
object=$(mktemp)
trap 'rm -f "$object"' EXIT
clang --target=wasm32 -std=c11 -O2 -Wall -Wextra -ffreestanding -fno-builtin -nostdlib \
  -mbulk-memory -fvisibility=default -c -o "$object" abi.c
wasm-ld --no-entry --export-dynamic --export-table --growable-table -z stack-size=16384 \
  -o "${1:-.}/abi.wasm" "$object"
