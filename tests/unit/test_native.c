/* test_native.c - the strong hash, sealed bytes, and compiled code that is kept: made by several
 * threads, damaged below a right seal, in files that others could have written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../include/rille.h"
#include "base/hash.h"
#include "base/os.h"
#include "base/sealed.h"

/* The hash */

static void hash_is(const char *wanted, const void *bytes, size_t size, size_t step) {
  Hash hash;
  uint8_t out[HASH_BYTES];
  char text[2 * HASH_BYTES + 1];
  hash_init(&hash);
  for (size_t i = 0; i < size; i += step)
    hash_add(&hash, (const char *)bytes + i, MIN(step, size - i));
  hash_finish(&hash, out);
  for (unsigned i = 0; i < HASH_BYTES; i++) snprintf(text + 2 * (size_t)i, 3, "%02x", out[i]);
  assert_string_equal(text, wanted);
}

/* Results of another implementation. */
static void test_hash(void **state) {
  (void)state;
  uint8_t bytes[1000];
  hash_is("0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8", "", 0, 1);
  hash_is("bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319", "abc", 3, 1);
  for (unsigned i = 0; i < 128; i++) bytes[i] = (uint8_t)i;
  hash_is("c3582f71ebb2be66fa5dd750f80baae97554f3b015663c8be377cfcb2488c1d1", bytes, 128, 128);
  for (unsigned i = 0; i < 1000; i++) bytes[i] = (uint8_t)(7 * i);
  for (size_t step = 1; step <= 1000; step += 37)
    hash_is("6ac4bea923678eb024090384d6e767b5870f849057dc19b172d8d9f2df30bf8e", bytes, 1000, step);
}

/* Modules */

static rille_Engine *engine;
static const char *engine_name;

static int set_up(void **state) {
  (void)state;
  engine = rille_new_engine(NULL, NULL);
  rille_LoadOptions options = {.engine = "compiler"};
  rille_Module *module = rille_load(engine, "(module)", 8, &options, NULL);
  engine_name = module != NULL ? "compiler" : "interpreter";
  if (module != NULL) rille_free_module(module);
  return engine == NULL;
}

static int tear_down(void **state) {
  (void)state;
  size_t left = rille_engine_bytes(engine);
  if (left != 0) print_message("%zu bytes were not given back\n", left);
  rille_free_engine(engine);
  return left != 0;
}

static bool has_compiler(void) {
  return strcmp(engine_name, "compiler") == 0;
}

enum { FUNCS = 400 };

/* Each function calls one before, directly and through the table. */
static char *source(void) {
  size_t room = 200 * (FUNCS + 1), at = 0;
  char *text = malloc(room);
  at +=
      (size_t)snprintf(text, room,
                       "(module (memory 1) (type $t (func (param i32) (result i32)))"
                       "(table funcref (elem 0 1 2)) (func (export \"f0\") (type $t) local.get 0)");
  for (int i = 1; i < FUNCS; i++)
    at += (size_t)snprintf(text + at, room - at,
                           "(func (export \"f%d\") (type $t) (i32.add (i32.const %d) (call %d "
                           "(call_indirect (type $t) (local.get 0) (i32.const 0)))))",
                           i, i, i % 10 == 0 ? 0 : i - 1);
  snprintf(text + at, room - at, ")");
  return text;
}

static rille_Module *load(const void *bytes, size_t size, const rille_LoadOptions *more) {
  rille_LoadOptions options = {0};
  if (more != NULL) options = *more;
  if (options.engine == NULL) options.engine = engine_name;
  return rille_load(engine, bytes, size, &options, NULL);
}

static rille_Module *load_source(const rille_LoadOptions *more) {
  char *text = source();
  rille_Module *module = load(text, strlen(text), more);
  free(text);
  assert_non_null(module);
  return module;
}

static int32_t call(rille_Instance *instance, int index) {
  char name[16];
  rille_Extern found;
  rille_Value value = {.type = RILLE_I32, .i32 = 1}, result = {0};
  snprintf(name, sizeof name, "f%d", index);
  assert_true(rille_find_export(instance, name, &found));
  assert_true(rille_call(found.func, &value, 1, &result, 1, NULL));
  return result.i32;
}

static void check_runs(rille_Module *module) {
  rille_Store *store = rille_new_store(engine);
  rille_Instance *instance = rille_instantiate(store, module, NULL, NULL, NULL);
  assert_non_null(instance);
  assert_int_equal(call(instance, 0), 1);
  assert_int_equal(call(instance, 9), 1 + 9 * 10 / 2);
  assert_int_equal(call(instance, FUNCS - 1), call(instance, FUNCS - 2) + FUNCS - 1);
  rille_free_instance(instance);
  rille_free_store(store);
}

static size_t kept(const rille_Module *module) {
  rille_ModuleStats stats;
  rille_module_stats(module, &stats);
  return stats.kept_funcs;
}

static void test_eager(void **state) {
  (void)state;
  rille_LoadOptions options = {.eager = true};
  for (int i = 0; i < 5; i++) {
    rille_Module *module = load_source(&options);
    rille_ModuleStats stats;
    rille_module_stats(module, &stats);
    assert_string_equal(stats.engine, engine_name);
    if (has_compiler()) assert_int_equal(stats.prepared_funcs, FUNCS);
    check_runs(module);
    rille_free_module(module);
  }
}

static void *load_eagerly(void *user) {
  (void)user;
  test_eager(NULL);
  return NULL;
}

static void test_eager_in_threads(void **state) {
  (void)state;
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, load_eagerly, NULL), 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

/* An allocator that fails after some time: what was made is given back, by all threads. */
typedef struct Failing {
  _Atomic long left;
} Failing;

static void *resize(void *user, void *ptr, size_t old_size, size_t new_size) {
  Failing *failing = user;
  (void)old_size;
  if (new_size == 0) {
    free(ptr);
    return NULL;
  }
  return atomic_fetch_sub(&failing->left, 1) > 0 ? realloc(ptr, new_size) : NULL;
}

static void test_eager_without_memory(void **state) {
  (void)state;
  char *text = source();
  rille_LoadOptions options = {.eager = true, .engine = engine_name};
  for (long n = 40; n < 40000; n += n / 3) {
    Failing failing;
    atomic_init(&failing.left, n);
    rille_Engine *poor = rille_new_engine(resize, &failing);
    assert_non_null(poor);
    rille_Module *module = rille_load(poor, text, strlen(text), &options, NULL);
    if (module != NULL) rille_free_module(module);
    assert_int_equal(rille_engine_bytes(poor), 0);
    rille_free_engine(poor);
  }
  free(text);
}

/* Serialised */

static uint8_t *serialize(size_t *size) {
  rille_Module *module = load_source(NULL);
  uint8_t *bytes = NULL;
  assert_true(rille_serialize(module, &bytes, size, NULL));
  rille_free_module(module);
  return bytes;
}

static void test_serialize(void **state) {
  (void)state;
  size_t size;
  uint8_t *bytes = serialize(&size);
  rille_LoadOptions native = {.native = true};
  assert_null(load(bytes, size, NULL));
  rille_Module *module = load(bytes, size, &native);
  assert_non_null(module);
  if (has_compiler()) assert_int_equal(kept(module), FUNCS);
  check_runs(module);
  rille_free_module(module);
  for (size_t at = 0; at < size; at += 1 + size / 300) {
    bytes[at] ^= 0x10;
    assert_null(load(bytes, size, &native));
    bytes[at] ^= 0x10;
  }
  rille_free_bytes(engine, bytes, size);
}

static void test_files_are_never_native(void **state) {
  (void)state;
  size_t size;
  uint8_t *bytes = serialize(&size);
  char path[] = "/tmp/rille-native-XXXXXX";
  int file = mkstemp(path);
  assert_true(file >= 0);
  assert_int_equal(write(file, bytes, size), size);
  close(file);
  rille_LoadOptions native = {.native = true};
  rille_Error *error = NULL;
  assert_null(rille_load_file(engine, path, &native, &error));
  assert_int_equal(rille_error_kind(error), RILLE_ERROR_UNSUPPORTED);
  rille_free_error(error);
  unlink(path);
  rille_free_bytes(engine, bytes, size);
}

/* Tables that are damaged below a right seal must not lead the reader out of bounds. What the code
 * itself does nobody can check, so it is not run. */
static void test_resealed(void **state) {
  (void)state;
  size_t size;
  uint8_t *bytes = serialize(&size), *copy = malloc(size);
  rille_LoadOptions native = {.native = true};
  uint64_t random = 1;
  for (int i = 0; i < 1500; i++) {
    memcpy(copy, bytes, size);
    for (int k = 0; k < 3; k++) {
      random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
      copy[SEALED_HEADER + (random >> 33) % (size - SEALED_HEADER)] = (uint8_t)(random >> 24);
    }
    hash_of(copy + SEALED_HEADER, size - SEALED_HEADER, copy + SEALED_MAGIC + 8);
    rille_Module *module = load(copy, size, &native);
    if (module != NULL) rille_free_module(module);
  }
  free(copy);
  rille_free_bytes(engine, bytes, size);
}

/* The cache */

static char cache[] = "/tmp/rille-cache-XXXXXX";
static char cached_file[512];

static void run(const char *format, const char *path) {
  char command[1200];
  snprintf(command, sizeof command, format, path, path, path, path);
  assert_int_equal(system(command), 0);
}

static bool is_hit(void) {
  rille_LoadOptions options = {.cache = cache};
  rille_Module *module = load_source(&options);
  check_runs(module);
  size_t n = kept(module);
  rille_free_module(module);
  assert_true(n == 0 || n == FUNCS);
  return n != 0;
}

static void find_file(void) {
  char command[600];
  snprintf(command, sizeof command, "ls -A %s", cache);
  FILE *pipe = popen(command, "r");
  char name[256] = "";
  assert_non_null(fgets(name, sizeof name, pipe));
  name[strcspn(name, "\n")] = 0;
  assert_null(fgets(cached_file, sizeof cached_file, pipe));
  pclose(pipe);
  snprintf(cached_file, sizeof cached_file, "%s/%s", cache, name);
}

static void spoiled_by(const char *command) {
  assert_true(is_hit());
  run(command, cached_file);
  assert_false(is_hit());
}

static void test_cache(void **state) {
  (void)state;
  if (!has_compiler()) skip();
  assert_non_null(mkdtemp(cache));
  assert_false(is_hit());
  find_file();
  struct stat info;
  assert_int_equal(stat(cached_file, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  spoiled_by("chmod g+w %s");
  spoiled_by("chmod o+w %s");
  if (geteuid() == 0) spoiled_by("chown 12345 %s");
  spoiled_by("mv %s %s.1 && ln -s %s.1 %s");
  spoiled_by("rm %s && mkfifo -m 600 %s");
  spoiled_by("truncate -s -1 %s");
  spoiled_by("truncate -s 0 %s");
  spoiled_by("printf x | dd of=%s bs=1 seek=70 conv=notrunc 2>/dev/null");
  assert_true(is_hit());
  run("rm %s && mkdir %s", cached_file); /* nothing takes its place */
  assert_false(is_hit());
  assert_false(is_hit());
  run("rm -rf %s", cache);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hash), TEST(test_eager),
      TEST(test_eager_in_threads), TEST(test_eager_without_memory),
      TEST(test_serialize),        TEST(test_files_are_never_native),
      TEST(test_resealed),         TEST(test_cache),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
