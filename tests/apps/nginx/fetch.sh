#!/bin/sh
# Unpacks nginx with its Lua module into a folder: fetch.sh FOLDER. Installing the packages would take
# the program luajit away, whose library they replace.
set -eu
mkdir -p "$1"
cd "$1"
[ -x usr/sbin/nginx ] && exit 0
mkdir -p packages
cd packages
timeout 120 apt-get download -qq nginx libnginx-mod-http-lua libnginx-mod-http-ndk lua-resty-core \
  lua-resty-lrucache libluajit2-5.1-2 >/dev/null 2>&1 </dev/null
for package in *.deb; do dpkg -x "$package" ..; done
