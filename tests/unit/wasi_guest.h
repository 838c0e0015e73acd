/* wasi_guest.h - a guest for the tests of WASI: a module that exports each function of the table as
 * it imports it, so that a test calls them like a program would, with arguments in its memory.
 */
#ifndef RILLE_TEST_WASI_GUEST_H
#define RILLE_TEST_WASI_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../include/rille.h"

enum {
#define ERRNO(name, number, host) E_##name = number,
#include "wasi/errno.def"
};
enum RightBits {
#define RIGHT(name) BIT_##name,
#include "wasi/right.def"
  N_RIGHTS
};
#define RIGHT_OF(name) (UINT64_C(1) << BIT_##name)
#define ALL_RIGHTS     ((UINT64_C(1) << N_RIGHTS) - 1)

typedef struct Guest {
  rille_Engine *engine;
  rille_Wasi *wasi;
  rille_Instance *instance;
  rille_Error *error; /* of a call that ended otherwise, until the next call */
  size_t fds_before;
} Guest;

enum { PATH_AT = 1024, PATH2_AT = 6144, OUT_AT = 16, DATA_AT = 16384, LIST_AT = 512 };

/* ---- Files ----------------------------------------------------------------------------------- */

static char work[64];

static inline size_t count_fds(void) {
  DIR *dir = opendir("/proc/self/fd");
  size_t n = 0;
  while (dir != NULL && readdir(dir) != NULL) n++;
  if (dir != NULL) closedir(dir);
  return n;
}

static inline const char *in_work(const char *name) {
  static char paths[4][1024];
  static unsigned next;
  char *out = paths[next++ % 4];
  snprintf(out, sizeof paths[0], "%s/%s", work, name);
  return out;
}

static inline void write_file(const char *name, const char *text) {
  FILE *file = fopen(in_work(name), "wb");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static inline void make_dir(const char *name) {
  assert_int_equal(mkdir(in_work(name), 0777), 0);
}

static inline void make_link(const char *target, const char *name) {
  assert_int_equal(symlink(target, in_work(name)), 0);
}

static int remove_one(const char *path, const struct stat *about, int flag, struct FTW *walk) {
  (void)about, (void)flag, (void)walk;
  return remove(path);
}

static inline void make_work(void) {
  const char *base = getenv("TMPDIR");
  snprintf(work, sizeof work, "%.40s/rille-wasi-XXXXXX", base != NULL ? base : "/tmp");
  assert_non_null(mkdtemp(work));
}

static inline void remove_work(void) {
  nftw(work, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

/* ---- The guest ------------------------------------------------------------------------------- */

static size_t add_wrapper(char *out, size_t room, const char *module, const char *name,
                          const rille_FuncType *type) {
  const rille_ValueType *params, *results;
  size_t n = rille_func_params(type, &params), n_results = rille_func_results(type, &results);
  const char *prefix = strcmp(module, "wasi_unstable") == 0 ? "u_" : "";
  char signature[128] = "", arguments[512] = "";
  for (size_t i = 0; i < n; i++) {
    strcat(signature, params[i] == RILLE_I64 ? " (param i64)" : " (param i32)");
    sprintf(arguments + strlen(arguments), " (local.get %zu)", i);
  }
  if (n_results != 0) strcat(signature, " (result i32)");
  return (size_t)snprintf(out, room,
                          "(func (export \"%s%s\")%s (call $%s%s%s))\n"
                          "(import \"%s\" \"%s\" (func $%s%s%s))\n",
                          prefix, name, signature, prefix, name, arguments, module, name, prefix,
                          name, signature);
}

/* Imports have to come first: two passes over the same lines. */
static void add_lines(char *out, size_t room, const char *lines, char first) {
  size_t at = strlen(out);
  for (const char *line = lines; *line != '\0'; line = strchr(line, '\n') + 1) {
    size_t size = (size_t)(strchr(line, '\n') - line) + 1;
    if (line[1] != first || at + size >= room) continue;
    memcpy(out + at, line, size);
    out[at += size] = '\0';
  }
}

static void make_instance(Guest *guest, const rille_Limits *limits) {
  static const char *const modules[] = {"wasi_snapshot_preview1", "wasi_unstable"};
  enum { ROOM = 65536 };
  char *lines = calloc(1, ROOM), *text = calloc(1, ROOM);
  rille_Extern imports[128];
  size_t n = 0, at = 0;
  for (int m = 0; m < 2; m++) {
    for (size_t i = 0; rille_wasi_name(i) != NULL; i++) {
      rille_Func *func = rille_wasi_func(guest->wasi, modules[m], rille_wasi_name(i));
      if (func == NULL) continue;
      imports[n].kind = RILLE_EXTERN_FUNC;
      imports[n++].func = func;
      at +=
          add_wrapper(lines + at, ROOM - at, modules[m], rille_wasi_name(i), rille_func_type(func));
    }
  }
  strcpy(text, "(module ");
  add_lines(text, ROOM, lines, 'i');
  strcat(text, "(memory (export \"memory\") 2)\n");
  add_lines(text, ROOM, lines, 'f');
  strcat(text, ")");
  rille_Error *error = NULL;
  rille_Module *module = rille_load(guest->engine, text, strlen(text), NULL, &error);
  if (module == NULL) fail_msg("%s", rille_error_message(error));
  rille_Store *store = rille_new_store(guest->engine);
  guest->instance = rille_instantiate(store, module, imports, limits, &error);
  if (guest->instance == NULL) fail_msg("%s", rille_error_message(error));
  rille_free_store(store);
  rille_free_module(module);
  for (size_t i = 0; i < n; i++) rille_free_func(imports[i].func);
  free(lines);
  free(text);
}

static inline Guest new_guest(const rille_WasiOptions *options, const rille_Limits *limits) {
  Guest guest = {.fds_before = count_fds(), .engine = rille_new_engine(NULL, NULL)};
  rille_Error *error = NULL;
  guest.wasi = rille_new_wasi(guest.engine, options, &error);
  if (guest.wasi == NULL) fail_msg("%s", rille_error_message(error));
  make_instance(&guest, limits);
  return guest;
}

/* Nothing may be left: neither memory nor descriptors. */
static inline void free_guest(Guest *guest) {
  if (guest->error != NULL) rille_free_error(guest->error);
  rille_free_instance(guest->instance);
  rille_free_wasi(guest->wasi);
  assert_int_equal(rille_engine_bytes(guest->engine), 0);
  rille_free_engine(guest->engine);
  assert_int_equal(count_fds(), guest->fds_before);
}

static inline uint8_t *bytes_at(const Guest *guest, uint32_t at) {
  uint64_t size;
  return rille_memory_bytes(rille_instance_memory(guest->instance), &size) + at;
}

static inline uint32_t u32_at(const Guest *guest, uint32_t at) {
  uint32_t x;
  memcpy(&x, bytes_at(guest, at), sizeof x);
  return x;
}

static inline uint64_t u64_at(const Guest *guest, uint32_t at) {
  uint64_t x;
  memcpy(&x, bytes_at(guest, at), sizeof x);
  return x;
}

static inline void put_u32(const Guest *guest, uint32_t at, uint32_t x) {
  memcpy(bytes_at(guest, at), &x, sizeof x);
}

static inline void put_u64(const Guest *guest, uint32_t at, uint64_t x) {
  memcpy(bytes_at(guest, at), &x, sizeof x);
}

/* The errno of a call; -1 when it ended otherwise, with guest->error. */
static inline int call_values(Guest *guest, const char *name, const uint64_t *args, size_t n) {
  rille_Extern item;
  rille_Value values[16], result = {.type = RILLE_I32};
  const rille_ValueType *params, *results;
  assert_true(rille_find_export(guest->instance, name, &item));
  const rille_FuncType *type = rille_func_type(item.func);
  assert_int_equal(rille_func_params(type, &params), n);
  for (size_t i = 0; i < n; i++) {
    values[i].type = params[i];
    values[i].i64 = (int64_t)args[i];
    if (params[i] == RILLE_I32) values[i].i32 = (int32_t)(uint32_t)args[i];
  }
  if (guest->error != NULL) rille_free_error(guest->error);
  guest->error = NULL;
  size_t n_results = rille_func_results(type, &results);
  bool ok = rille_call(item.func, values, n, &result, n_results, &guest->error);
  return !ok ? -1 : (n_results == 0 ? 0 : result.i32);
}

#define ARGS_OF(...) ((const uint64_t[]){__VA_ARGS__})
#define CALL(guest, name, ...) \
  call_values((guest), (name), ARGS_OF(__VA_ARGS__), sizeof ARGS_OF(__VA_ARGS__) / sizeof(uint64_t))

/* Puts a path into memory and expands to its two arguments. */
static inline uint32_t put_text(const Guest *guest, uint32_t at, const char *text) {
  memcpy(bytes_at(guest, at), text, strlen(text));
  return at;
}
#define PATH(guest, text)  put_text((guest), PATH_AT, (text)), strlen(text)
#define PATH2(guest, text) put_text((guest), PATH2_AT, (text)), strlen(text)

/* A list of one buffer of that size at DATA_AT, as two arguments. */
static inline uint32_t put_buffer(const Guest *guest, uint32_t size) {
  put_u32(guest, LIST_AT, DATA_AT);
  put_u32(guest, LIST_AT + 4, size);
  return LIST_AT;
}
#define BUFFER(guest, size) put_buffer((guest), (size)), 1

enum { O_FLAG_CREAT = 1, O_FLAG_DIRECTORY = 2, O_FLAG_EXCL = 4, O_FLAG_TRUNC = 8 };

/* path_open below descriptor `dir`; *fd is valid when the result is 0. */
static inline int open_path(Guest *guest, uint32_t dir, const char *path, bool follows,
                            uint32_t oflags, uint64_t rights, uint32_t *fd) {
  int result = CALL(guest, "path_open", dir, follows, PATH(guest, path), oflags, rights, ALL_RIGHTS,
                    0, OUT_AT);
  *fd = u32_at(guest, OUT_AT);
  return result;
}

#endif
