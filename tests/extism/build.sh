#!/bin/sh
# Builds the plugin in C next to its source. Needs clang and wasm-ld (Debian: clang lld); tally.wasm
# is committed, so only those who change it need them. Another folder may be given instead.
set -eu
cd "$(dirname "$0")"
object=$(mktemp)
trap 'rm -f "$object"' EXIT
clang --target=wasm32 -std=c11 -O2 -Wall -Wextra -nostdlib -mbulk-memory -fvisibility=hidden \
  -c -o "$object" tally.c
wasm-ld --no-entry -z stack-size=16384 -o "${1:-.}/tally.wasm" "$object"
