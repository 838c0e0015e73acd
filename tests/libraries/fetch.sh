#!/bin/sh
# Fetches the Debian source packages of the libraries that the tests build, into DIR/src/NAME:
# fetch.sh DIR [NAME...]. Nothing of the machine's apt is changed: the lists of sources are read from
# its configuration, and everything else is below DIR.
set -eu
mkdir -p "$1"
dir=$(cd "$1" && pwd)
shift
apt=$dir/apt
mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial" "$dir/src"
: >"$apt/status"
for list in /etc/apt/sources.list /etc/apt/sources.list.d/debian.list; do
  [ -f "$list" ] && sed -n 's/^deb /deb-src /p' "$list" >"$apt/parts/$(basename "$list" .list).list"
done
list=/etc/apt/sources.list.d/debian.sources
if [ -f "$list" ]; then sed "s/^Types: .*/Types: deb-src/" "$list" >"$apt/parts/debian.sources"; fi
run_apt() {
  timeout 180 apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt/parts" \
    -o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
    -o APT::Sandbox::User= "$@"
}
run_apt update
for name in "${@:-zlib md4c libstb sqlite3}"; do
  for package in $name; do
    [ -d "$dir/src/$package" ] && continue
    work=$dir/fetch-$package
    rm -rf "$work"
    mkdir -p "$work"
    (cd "$work" && run_apt source --download-only "$package" >/dev/null) || true
    archive=$(find "$work" -name "${package}_*.orig.tar.*" ! -name '*.asc' | head -n 1)
    [ -n "$archive" ] || { echo "no source of $package" >&2 && exit 1; }
    mkdir -p "$dir/src/$package"
    tar -xf "$archive" -C "$dir/src/$package" --strip-components=1
    rm -rf "$work"
  done
done
