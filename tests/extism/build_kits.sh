#!/bin/sh
# Builds the plugins of other kits than C's into a folder: build_kits.sh FOLDER. What npm fetches stays
# in there, too. The last line says "built" or why not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
command -v npm >/dev/null || { echo "npm is missing"; exit 1; }
if [ ! -x node_modules/.bin/asc ] || [ ! -d node_modules/@extism/as-pdk ]; then
  printf '{"private": true}\n' >package.json
  timeout 300 npm install --no-audit --no-fund assemblyscript@0.27.37 @extism/as-pdk@1.0.0 \
    >npm.log 2>&1 </dev/null || { echo "npm cannot install assemblyscript and @extism/as-pdk"; exit 1; }
fi
for source in "$here"/*.ts; do
  name=$(basename "$source" .ts)
  cp "$source" .
  node_modules/.bin/asc "$name.ts" --outFile "$name.wasm" --optimize --use "abort=$name/myAbort"
done
echo built
