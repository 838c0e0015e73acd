#!/bin/sh
# Builds what needs a compiler from npm into a folder: build.sh FOLDER. What npm fetches stays in
# there, too. The last line says "built" or why not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
if ! command -v npm >/dev/null; then
  echo "npm is missing"
  exit 1
fi
if [ ! -x node_modules/.bin/asc ] || [ ! -d node_modules/@extism/as-pdk ]; then
  printf '{"private": true}\n' >package.json
  timeout 300 npm install --no-audit --no-fund assemblyscript@0.27.37 @extism/as-pdk@1.0.0 \
    >npm.log 2>&1 </dev/null || {
    echo "npm cannot install assemblyscript and @extism/as-pdk"
    exit 1
  }
fi
cp "$here"/*.ts .
node_modules/.bin/asc words.ts --outFile words.wasm --optimize --use abort=words/myAbort
node_modules/.bin/asc objects.ts --outFile objects.wasm --optimize --exportRuntime
node_modules/.bin/asc objects.ts --outFile plain.wasm --optimize --runtime stub
echo built
