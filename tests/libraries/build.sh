#!/bin/sh
# Builds the libraries that fetch.sh fetched as WebAssembly modules: build.sh DIR [NAME...] makes
# DIR/NAME.wasm. Needs clang, wasm-ld, wasi-libc and compiler-rt for it (Debian: clang lld wasi-libc
# libclang-rt-dev-wasm32); sqlite3 also a C compiler, make and tclsh for the machine itself.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$(cd "$1" && pwd)
shift
# Reactors: no main, everything that is not named stays inside. errno is a thread-local variable,
# which clang has to be told how to reach where there is one thread.
compile() {
  clang --target=wasm32-wasi -isystem /usr/include/wasm32-wasi -O2 -mbulk-memory -w \
    -fvisibility=hidden -ftls-model=local-exec -c "$@"
}
# link NAME OBJECT... -- EXPORT...
link() {
  name=$1 objects='' exports='--export=malloc --export=free'
  shift
  while [ "$1" != -- ]; do
    objects="$objects $1"
    shift
  done
  shift
  for export; do exports="$exports --export=$export"; done
  # shellcheck disable=SC2086 # several words
  wasm-ld --no-entry -z stack-size=131072 --export-table --growable-table $exports \
    -o "$dir/$name.wasm" $objects -L/usr/lib/wasm32-wasi -lc \
    "$(clang --target=wasm32-wasi -print-libgcc-file-name)"
}

build_zlib() {
  for file in adler32 crc32 deflate inflate inffast inftrees trees zutil compress uncompr; do
    compile -o "$file.o" "$dir/src/zlib/$file.c"
  done
  link zlib ./*.o -- zlibVersion compressBound compress2 uncompress crc32 adler32 \
    deflateInit2_ deflate deflateEnd inflateInit2_ inflate inflateEnd
}

build_md4c() {
  for file in md4c md4c-html entity; do compile -o "$file.o" "$dir/src/md4c/src/$file.c"; done
  link md4c ./*.o -- md_html md_parse
}

build_libstb() {
  compile -o image.o -I "$dir/src/libstb" "$here/image.c"
  link libstb image.o -- stbi_load_from_memory stbi_info_from_memory stbi_image_free \
    stbi_failure_reason stbi_write_png_to_func stbi_write_jpg_to_func
}

# All of SQLite as one file is made by its own scripts, on the machine itself.
build_sqlite3() {
  "$dir/src/sqlite3/configure" --disable-shared --disable-readline >configure.log 2>&1
  make sqlite3.c >make.log 2>&1
  # -O1: most of the time goes into this file.
  compile -O1 -o sqlite3.o -DSQLITE_OS_OTHER=1 -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_WAL \
    -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_TEMP_STORE=3 -DSQLITE_OMIT_DEPRECATED sqlite3.c
  compile -o os.o -I . "$here/sqlite_os.c"
  link sqlite3 sqlite3.o os.o -- sqlite3_open sqlite3_close sqlite3_exec sqlite3_errmsg \
    sqlite3_prepare_v2 sqlite3_step sqlite3_finalize sqlite3_reset sqlite3_column_count \
    sqlite3_column_name sqlite3_column_type sqlite3_column_int64 sqlite3_column_double \
    sqlite3_column_text sqlite3_column_bytes sqlite3_column_blob sqlite3_bind_int64 \
    sqlite3_bind_double sqlite3_bind_text sqlite3_bind_null sqlite3_bind_parameter_index \
    sqlite3_create_function_v2 sqlite3_result_int64 sqlite3_result_double sqlite3_result_text \
    sqlite3_result_error sqlite3_value_int64 sqlite3_value_double sqlite3_value_text \
    sqlite3_value_type sqlite3_changes sqlite3_last_insert_rowid sqlite3_free sqlite3_libversion \
    sqlite3_progress_handler
}

for name in "${@:-zlib md4c libstb sqlite3}"; do
  for library in $name; do
    [ -f "$dir/$library.wasm" ] && continue
    work=$dir/work-$library
    rm -rf "$work"
    mkdir -p "$work"
    (cd "$work" && "build_$library")
    rm -rf "$work"
  done
done
