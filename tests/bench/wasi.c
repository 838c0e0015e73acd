/* wasi.c - what WASI costs: a guest and the same C code side by side, in one process.
 *
 * A file of 1 GiB (of the size given, in MiB) is read in pieces of 64 KiB; a file is opened and
 * closed. Prints medians of several rounds, which take turns; the files are in $TMPDIR.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../include/rille.h"

enum { PIECE = 64 * 1024, ROUNDS = 7, OPENS = 20000 };

static const char guest_text[] =
    "(module"
    "  (import \"wasi_snapshot_preview1\" \"fd_read\""
    "    (func $fd_read (param i32 i32 i32 i32) (result i32)))"
    "  (import \"wasi_snapshot_preview1\" \"fd_close\" (func $fd_close (param i32) (result i32)))"
    "  (import \"wasi_snapshot_preview1\" \"path_open\""
    "    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"
    "  (memory (export \"memory\") 4)"
    "  (data (i32.const 0) \"\\00\\00\\01\\00\\00\\00\\01\\00\")" /* 64 KiB at 64 KiB */
    "  (data (i32.const 16) \"data\")"
    "  (func $open (result i32)"
    "    (if (call $path_open (i32.const 3) (i32.const 1) (i32.const 16) (i32.const 4)"
    "          (i32.const 0) (i64.const 6) (i64.const 0) (i32.const 0) (i32.const 32))"
    "      (then unreachable))"
    "    (i32.load (i32.const 32)))"
    "  (func (export \"open\") (param $n i32)"
    "    (loop $again"
    "      (if (call $fd_close (call $open)) (then unreachable))"
    "      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"
    "  (func (export \"read\") (result i64) (local $fd i32) (local $n i64)"
    "    (local.set $fd (call $open))"
    "    (loop $again"
    "      (if (call $fd_read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))"
    "        (then unreachable))"
    "      (local.set $n (i64.add (local.get $n) (i64.load32_u (i32.const 8))))"
    "      (br_if $again (i32.load (i32.const 8))))"
    "    (drop (call $fd_close (local.get $fd)))"
    "    (local.get $n)))";

static char folder[256], path[300];
static rille_Instance *instance;

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void make_file(uint64_t size) {
  const char *base = getenv("TMPDIR");
  static char piece[PIECE];
  snprintf(folder, sizeof folder, "%.200s/rille-bench-XXXXXX", base != NULL ? base : "/tmp");
  if (mkdtemp(folder) == NULL) fail("no folder can be made");
  snprintf(path, sizeof path, "%s/data", folder);
  FILE *file = fopen(path, "wb");
  if (file == NULL) fail("no file can be made");
  for (size_t i = 0; i < sizeof piece; i++) piece[i] = (char)(i * 7);
  for (uint64_t at = 0; at < size; at += PIECE) {
    if (fwrite(piece, PIECE, 1, file) != 1) fail("the file cannot be written");
  }
  fclose(file);
}

static void remove_file(void) {
  unlink(path);
  rmdir(folder);
}

static void make_guest(void) {
  rille_Engine *engine = rille_new_engine(NULL, NULL);
  rille_Error *error = NULL;
  const rille_WasiDir dir = {"/", folder, false};
  rille_Wasi *wasi =
      rille_new_wasi(engine, &(rille_WasiOptions){.dirs = &dir, .n_dirs = 1}, &error);
  rille_Module *module = rille_load(engine, guest_text, sizeof guest_text - 1, NULL, &error);
  rille_Extern imports[8];
  if (wasi == NULL || module == NULL) fail(rille_error_message(error));
  for (size_t i = 0; i < rille_module_imports(module); i++) {
    static const char *const names[] = {"fd_read", "fd_close", "path_open"};
    imports[i].kind = RILLE_EXTERN_FUNC;
    imports[i].func = rille_wasi_func(wasi, "wasi_snapshot_preview1", names[i]);
  }
  instance = rille_instantiate(rille_new_store(engine), module, imports, NULL, &error);
  if (instance == NULL) fail(rille_error_message(error));
}

static uint64_t call(const char *name, const rille_Value *arg, size_t n_results) {
  rille_Extern item;
  rille_Value result = {.i64 = 0};
  rille_Error *error = NULL;
  if (!rille_find_export(instance, name, &item)) fail(name);
  if (!rille_call(item.func, arg, arg != NULL, &result, n_results, &error)) {
    fail(rille_error_message(error));
  }
  return (uint64_t)result.i64;
}

static uint64_t read_native(void) {
  static char piece[PIECE];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  uint64_t size = 0;
  for (ssize_t n; (n = read(fd, piece, sizeof piece)) > 0;) size += (uint64_t)n;
  close(fd);
  return size;
}

static void open_native(int n) {
  int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; i < n; i++) {
    int fd = openat(dir, "data", O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail("openat");
    close(fd);
  }
  close(dir);
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *times) {
  qsort(times, ROUNDS, sizeof *times, compare);
  return times[ROUNDS / 2];
}

int main(int argc, char **argv) {
  uint64_t size = (argc > 1 ? strtoull(argv[1], NULL, 10) : 1024) << 20;
  double native[ROUNDS], guest[ROUNDS];
  make_file(size);
  make_guest();
  for (int i = -1; i < ROUNDS; i++) { /* the first one warms up */
    double began = now();
    if (read_native() != size) fail("read");
    double between = now();
    if (call("read", NULL, 1) != size) fail("guest's read");
    if (i < 0) continue;
    native[i] = between - began;
    guest[i] = now() - between;
  }
  double n = median(native), g = median(guest);
  printf("read %llu MiB in 64 KiB pieces: native %.1f ms, guest %.1f ms, %.3f times\n",
         (unsigned long long)(size >> 20), n * 1e3, g * 1e3, g / n);
  for (int i = -1; i < ROUNDS; i++) {
    const rille_Value count = {.type = RILLE_I32, .i32 = OPENS};
    double began = now();
    open_native(OPENS);
    double between = now();
    call("open", &count, 0);
    if (i < 0) continue;
    native[i] = (between - began) / OPENS;
    guest[i] = (now() - between) / OPENS;
  }
  n = median(native), g = median(guest);
  printf("open and close: native %.2f us, guest %.2f us, %.2f us more\n", n * 1e6, g * 1e6,
         (g - n) * 1e6);
  remove_file();
  return 0;
}
