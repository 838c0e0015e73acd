/* test_runtime_memory.c - memories: reuse, growth in both modes, images of initial data, and
 * threads that grow, wait and wake.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../include/rille.h"
#include "base/os.h"
#include "runtime/store.h"

static rille_Engine *engine;

static int set_up(void **state) {
  (void)state;
  engine = rille_new_engine(NULL, NULL);
  return engine == NULL;
}

static int tear_down(void **state) {
  (void)state;
  size_t left = rille_engine_bytes(engine);
  rille_free_engine(engine);
  return left != 0;
}

static rille_Memory *new_memory(rille_MemoryType type) {
  if (type.page_log2 == 0 && type.min < 65536) type.page_log2 = 16;
  rille_Error *error = NULL;
  rille_Memory *memory = rille_new_memory(engine, &type, &error);
  if (memory == NULL) fail_msg("%s", rille_error_message(error));
  return memory;
}

static bool is_zero(const uint8_t *at, size_t size) {
  return size == 0 || (at[0] == 0 && memcmp(at, at + 1, size - 1) == 0);
}

/* Whatever memories of whatever sizes left behind, a new one is zero. */
static void test_memories_start_as_zero(void **state) {
  (void)state;
  static const uint64_t pages[] = {1, 3, 1, 100, 3, 1, 0, 2, 100, 1};
  for (int round = 0; round < 50; round++) {
    rille_Memory *memories[COUNT_OF(pages)];
    for (size_t i = 0; i < COUNT_OF(pages); i++) {
      memories[i] = new_memory((rille_MemoryType){.min = pages[i], .max = 200});
      uint64_t size;
      uint8_t *bytes = rille_memory_bytes(memories[i], &size);
      assert_int_equal(size, pages[i] << 16);
      assert_true(is_zero(bytes, (size_t)size));
      assert_true(rille_grow_memory(memories[i], 1, NULL, NULL));
      assert_true(is_zero(bytes + size, 65536));
      for (uint64_t at = 0; at < size + 65536; at += 4096) bytes[at + 7] = 1;
    }
    for (size_t i = 0; i < COUNT_OF(pages); i++) rille_free_memory(memories[i]);
  }
}

static void test_growth(void **state) {
  (void)state;
  static const rille_MemoryType types[] = {{.min = 1, .max = 300},
                                           {.min = 1, .max = RILLE_NO_MAX, .is_64 = true},
                                           {.min = 1, .max = 300, .is_64 = true},
                                           {.min = 1, .max = 300, .is_shared = true}};
  for (size_t i = 0; i < COUNT_OF(types); i++) {
    rille_Memory *memory = new_memory(types[i]);
    const uint8_t *first = rille_memory_bytes(memory, NULL);
    for (uint64_t pages = 1; pages < 300; pages++) {
      uint64_t size, old;
      uint8_t *bytes = rille_memory_bytes(memory, &size);
      assert_int_equal(size, pages << 16);
      bytes[size - 1] = (uint8_t)pages;
      assert_true(rille_grow_memory(memory, 1, &old, NULL));
      assert_int_equal(old, pages);
    }
    const uint8_t *bytes = rille_memory_bytes(memory, NULL);
    for (uint64_t pages = 1; pages < 300; pages++) {
      assert_int_equal(bytes[(pages << 16) - 1], (uint8_t)pages);
    }
    if (rille_memory_is_stable(memory)) assert_ptr_equal(bytes, first);
    assert_int_equal(rille_grow_memory(memory, 1, NULL, NULL), types[i].max == RILLE_NO_MAX);
    rille_free_memory(memory);
  }
}

static void test_pages_of_one_byte(void **state) {
  (void)state;
  rille_MemoryType type = {.min = 70000, .max = 100000, .page_log2 = 0};
  rille_Memory *memory = new_memory(type);
  uint64_t size;
  rille_memory_bytes(memory, &size);
  assert_int_equal(size, 70000);
  assert_true(rille_grow_memory(memory, 30000, NULL, NULL));
  assert_false(rille_grow_memory(memory, 1, NULL, NULL));
  rille_memory_bytes(memory, &size)[99999] = 1;
  rille_free_memory(memory);
}

/* ---- Images ---------------------------------------------------------------------------------- */

enum { DATA = 200000, AT = 5000 };

/* A module with DATA bytes at AT, and three more far enough to share a page with nothing. */
static rille_Module *load_with_data(void) {
  static char text[DATA * 3 + 400];
  char *out = text + sprintf(text, "(module (memory (export \"m\") 5) (data (i32.const %d) \"", AT);
  for (int i = 0; i < DATA; i++) out += sprintf(out, "\\%02x", (i * 7 + i / 256) & 255);
  sprintf(out, "\") (data (i32.const %d) \"end\"))", AT + DATA + 8192);
  rille_Error *error = NULL;
  rille_Module *module = rille_load(engine, text, strlen(text), NULL, &error);
  if (module == NULL) fail_msg("%s", rille_error_message(error));
  return module;
}

static bool holds_data(const uint8_t *bytes) {
  for (int i = 0; i < DATA; i++) {
    if (bytes[AT + i] != ((i * 7 + i / 256) & 255)) return false;
  }
  return is_zero(bytes, AT) && is_zero(bytes + AT + DATA, 8192) &&
         memcmp(bytes + AT + DATA + 8192, "end", 4) == 0;
}

static void test_images(void **state) {
  (void)state;
  rille_Module *module = load_with_data();
  for (int i = 0; i < 10; i++) {
    rille_Store *store = rille_new_store(engine);
    rille_Instance *instance = rille_instantiate(store, module, NULL, NULL, NULL);
    rille_free_store(store);
    rille_Extern item;
    assert_true(rille_find_export(instance, "m", &item));
    assert_int_equal(((Memory *)item.memory)->has_image, i > 0);
    uint8_t *bytes = rille_memory_bytes(item.memory, NULL);
    assert_true(holds_data(bytes));
    memset(bytes, 0xEE, 5 << 16); /* nobody else's business */
    rille_free_instance(instance);
  }
  rille_free_module(module);
  /* A reservation with an image in it is clean when it comes back. */
  rille_Memory *memory = new_memory((rille_MemoryType){.min = 5, .max = 5});
  assert_true(is_zero(rille_memory_bytes(memory, NULL), 5 << 16));
  rille_free_memory(memory);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static const char waiter[] = "(module (import \"\" \"m\" (memory 1 10 shared))"
                             "  (func (export \"wait\") (param i32 i64) (result i32)"
                             "    (memory.atomic.wait32 (i32.const 8) (local.get 0) (local.get 1)))"
                             "  (func (export \"wake\") (param i32) (result i32)"
                             "    (memory.atomic.notify (i32.const 8) (local.get 0))))";

typedef struct World {
  rille_Module *module;
  rille_Memory *memory;
  rille_Instance *instance;
} World;

static World new_world(rille_Memory *memory, const rille_Limits *limits) {
  World world = {.memory = memory};
  world.module = rille_load(engine, waiter, sizeof waiter - 1, NULL, NULL);
  rille_Extern import = {.kind = RILLE_EXTERN_MEMORY, .memory = memory};
  rille_Store *store = rille_new_store(engine);
  world.instance = rille_instantiate(store, world.module, &import, limits, NULL);
  rille_free_store(store);
  assert_non_null(world.instance);
  return world;
}

static void free_world(World *world) {
  rille_free_instance(world->instance);
  rille_free_module(world->module);
}

static rille_Memory *new_shared(void) {
  return new_memory((rille_MemoryType){.min = 1, .max = 10, .is_shared = true});
}

static rille_Func *func_of_world(const World *world, const char *name) {
  rille_Extern item;
  assert_true(rille_find_export(world->instance, name, &item));
  return item.func;
}

static int wait_in(const World *world, int32_t expected, int64_t timeout, rille_Error **error) {
  rille_Value args[] = {{.type = RILLE_I32, .i32 = expected}, {.type = RILLE_I64, .i64 = timeout}};
  rille_Value result;
  bool ok = rille_call(func_of_world(world, "wait"), args, 2, &result, 1, error);
  return ok ? result.i32 : -1;
}

static int wake_in(const World *world, int32_t n) {
  rille_Value arg = {.type = RILLE_I32, .i32 = n}, result;
  assert_true(rille_call(func_of_world(world, "wake"), &arg, 1, &result, 1, NULL));
  return result.i32;
}

static void test_waits_end(void **state) {
  (void)state;
  rille_Memory *memory = new_shared();
  World world = new_world(memory, NULL);
  assert_int_equal(wait_in(&world, 1, -1, NULL), 1);
  uint64_t start = os_monotonic_ns();
  assert_int_equal(wait_in(&world, 0, 30 * 1000 * 1000, NULL), 2);
  assert_true(os_monotonic_ns() - start >= 30 * 1000 * 1000);
  assert_int_equal(wake_in(&world, 5), 0);
  free_world(&world);
  rille_free_memory(memory);
}

static _Atomic int n_woken, n_ended;

static void wait_in_thread(void *memory) {
  World world = new_world(memory, NULL);
  if (wait_in(&world, 0, -1, NULL) == 0) atomic_fetch_add(&n_woken, 1);
  free_world(&world);
  atomic_fetch_add(&n_ended, 1);
}

static void test_threads_wake(void **state) {
  (void)state;
  enum { N = 8 };
  rille_Memory *memory = new_shared();
  World world = new_world(memory, NULL);
  atomic_store(&n_woken, 0);
  atomic_store(&n_ended, 0);
  for (int i = 0; i < N; i++) assert_true(os_thread_start(wait_in_thread, memory));
  int woken = 0;
  while (woken < N) {
    int n = wake_in(&world, 3);
    assert_in_range(n, 0, 3);
    woken += n;
  }
  while (atomic_load(&n_ended) < N) continue;
  assert_int_equal(atomic_load(&n_woken), N);
  free_world(&world);
  rille_free_memory(memory);
}

static void interrupt_soon(void *store) {
  uint64_t until = os_monotonic_ns() + 30 * 1000 * 1000;
  while (os_monotonic_ns() < until) continue;
  rille_interrupt(store);
  rille_free_store(store);
}

static void test_waits_are_interrupted(void **state) {
  (void)state;
  rille_Memory *memory = new_shared();
  World world = new_world(memory, NULL);
  rille_Store *store = rille_instance_store(world.instance);
  rille_retain_store(store);
  assert_true(os_thread_start(interrupt_soon, store));
  rille_Error *error = NULL;
  assert_int_equal(wait_in(&world, 0, -1, &error), -1);
  assert_string_equal(rille_error_code(error), "interrupt");
  rille_free_error(error);
  free_world(&world);
  rille_Limits limits = {.timeout_ns = 40 * 1000 * 1000};
  world = new_world(memory, &limits);
  assert_int_equal(wait_in(&world, 0, -1, &error), -1);
  assert_string_equal(rille_error_code(error), "timeout");
  rille_free_error(error);
  free_world(&world);
  rille_free_memory(memory);
}

static jmp_buf out_of_wait;
static rille_Status leap(rille_Activation *activation) {
  (void)activation;
  longjmp(out_of_wait, 1);
}

/* A host that leaves a wait takes the waiter with it: nobody wakes what is no more. */
static void test_hosts_leave_waits(void **state) {
  (void)state;
  rille_Hooks hooks = {.poll = leap};
  rille_set_hooks(engine, &hooks);
  rille_Memory *memory = new_shared();
  World world = new_world(memory, NULL);
  rille_Stack *stack = rille_new_stack(engine, NULL);
  rille_Activation *run = rille_prepare(stack, func_of_world(&world, "wait"), NULL);
  run->slots[0] = 0;
  run->slots[1] = UINT64_MAX;
  if (setjmp(out_of_wait) == 0) {
    rille_run(run);
    fail_msg("the wait ended");
  }
  rille_free_stack(stack);
  assert_int_equal(wake_in(&world, 100), 0);
  free_world(&world);
  rille_free_memory(memory);
}

static _Atomic int n_grown;
static void grow_in_thread(void *memory) {
  while (rille_grow_memory(memory, 1, NULL, NULL)) {
    atomic_fetch_add(&n_grown, 1);
    uint64_t size;
    uint8_t *bytes = rille_memory_bytes(memory, &size);
    /* Two threads may see the same size. */
    __atomic_store_n(&bytes[size - 1], 1, __ATOMIC_RELAXED);
  }
  atomic_fetch_add(&n_ended, 1);
}

static void test_threads_grow(void **state) {
  (void)state;
  rille_Memory *memory = new_memory((rille_MemoryType){.min = 1, .max = 1000, .is_shared = true});
  atomic_store(&n_grown, 0);
  atomic_store(&n_ended, 0);
  for (int i = 0; i < 4; i++) assert_true(os_thread_start(grow_in_thread, memory));
  while (atomic_load(&n_ended) < 4) continue;
  assert_int_equal(atomic_load(&n_grown), 999);
  assert_int_equal(rille_memory_pages(memory), 1000);
  rille_free_memory(memory);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(test_memories_start_as_zero),
      TEST(test_growth),
      TEST(test_pages_of_one_byte),
      TEST(test_images),
      TEST(test_waits_end),
      TEST(test_threads_wake),
      TEST(test_waits_are_interrupted),
      TEST(test_hosts_leave_waits),
      TEST(test_threads_grow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
