#!/bin/sh
# Builds the guests next to their sources. Needs clang and wasm-ld (Debian: clang lld); the .wasm files
# are committed. Paths in them are relative: build.sh FOLDER puts them elsewhere.
set -eu
cd "$(dirname "$0")"
folder=${1:-.}
object=$(mktemp)
trap 'rm -f "$object"' EXIT
for version in 4 5; do
  clang --target=wasm32 -std=c11 -O2 -gdwarf-$version -fdebug-compilation-dir=. -nostdlib \
    -fvisibility=hidden -c -o "$object" inlined.c
  wasm-ld --no-entry -z stack-size=16384 -o "$folder/inlined$version.wasm" "$object"
done
