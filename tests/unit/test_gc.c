/* test_gc.c - the heap: objects keep their contents while they are reachable, memory stays flat,
 * limits hold, values of the host are released, heaps join.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "runtime/engine.h"
#include "runtime/externs.h"
#include "runtime/gc.h"
#include "runtime/gc_heap.h"
#include "runtime/stores.h"

/* Attack builds collect at every allocation: less will do. */
#if defined(RILLE_HARD)
enum { N_ROOTS = 16, LESS = 100 };
#else
enum { N_ROOTS = 64, LESS = 1 };
#endif

static struct {
  Engine *engine;
  Store *store;
  uint32_t ids[3];
  const Type *node, *nodes, *bytes; /* (struct i64 anyref anyref), (array anyref), (array i8) */
  unsigned n_released;
  uint64_t released_sum;
} world;

static void note_release(void *user, uint64_t payload) {
  (void)user;
  world.n_released++;
  world.released_sum += payload;
}

static void make_types(void) {
  static const FieldType fields[] = {{TYPE_I64, true}, {TYPE_ANYREF, true}, {TYPE_ANYREF, true}};
  static const FieldType element = {TYPE_ANYREF, true}, byte = {TYPE_I8, true};
  const SubType defs[] = {
      {.comp = {.kind = COMP_STRUCT, .n_fields = 3, .fields = fields}, .super = NO_SUPER},
      {.comp = {.kind = COMP_ARRAY, .n_fields = 1, .fields = &element}, .super = NO_SUPER},
      {.comp = {.kind = COMP_ARRAY, .n_fields = 1, .fields = &byte}, .super = NO_SUPER}};
  for (uint32_t i = 0; i < 3; i++) assert_true(types_add_group(defs + i, i, 1, world.ids));
  world.node = type_of_id(world.ids[0]);
  world.nodes = type_of_id(world.ids[1]);
  world.bytes = type_of_id(world.ids[2]);
}

static int set_up(void **state) {
  (void)state;
  memset(&world, 0, sizeof world);
  world.engine = engine_new(NULL, NULL, NULL);
  world.engine->hooks.release_extern = note_release;
  world.store = store_new(world.engine);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  if (world.store != NULL) store_release(world.store);
  bool leaks = atomic_load(&world.engine->alloc.used) != 0;
  for (uint32_t i = 0; world.node != NULL && i < 3; i++) types_release(world.ids[i]);
  engine_release(world.engine);
  return leaks;
}

/* A node whose number tells where it is. */
static Slot new_node(Store *store, Instance *instance, uint64_t number) {
  Object *object = gc_alloc(store, instance, world.node, gc_struct_size(world.node));
  if (object == NULL) return 0;
  Slot *words = (Slot *)(void *)gc_fields(object);
  words[0] = number;
  words[1] = words[2] = 0;
  return gc_ref(object);
}

static Slot *words_of(Slot ref) {
  return (Slot *)(void *)gc_fields(gc_object(ref));
}

static uint32_t random_next(uint32_t *seed) {
  return *seed = *seed * 1664525u + 1013904223u, *seed >> 8;
}

/* A list of `n` nodes from number `from`, its head in *head. */
static void build_list(Store *store, Slot *head, uint64_t from, unsigned n) {
  GcScope scope;
  *head = 0;
  assert_true(gc_open_scope(store, &scope, head, 1));
  for (unsigned i = 0; i < n; i++) {
    Slot node = new_node(store, NULL, from + i);
    assert_int_not_equal(node, 0);
    words_of(node)[1] = *head;
    *head = node;
  }
  gc_close_scope(&scope);
}

static void check_list(Slot head, uint64_t from, unsigned n) {
  for (unsigned i = n; i-- > 0; head = words_of(head)[1]) {
    assert_int_not_equal(head, 0);
    assert_ptr_equal(gc_object(head)->type, world.node);
    assert_int_equal(words_of(head)[0], from + i);
  }
  assert_int_equal(head, 0);
}

static void test_lists_survive(void **state) {
  (void)state;
  make_types();
  uint32_t seed = 1;
  Slot heads[N_ROOTS] = {0};
  unsigned sizes[N_ROOTS] = {0};
  GcScope scope;
  assert_true(gc_open_scope(world.store, &scope, heads, N_ROOTS));
  for (unsigned round = 0; round < 2000 / LESS; round++) {
    unsigned i = random_next(&seed) % N_ROOTS;
    sizes[i] = random_next(&seed) % 300;
    build_list(world.store, &heads[i], (uint64_t)i << 32, sizes[i]);
    if (round % 100 == 0) gc_collect(world.store);
  }
  for (unsigned i = 0; i < N_ROOTS; i++) check_list(heads[i], (uint64_t)i << 32, sizes[i]);
  gc_close_scope(&scope);
  assert_true(gc_held_bytes(world.store) < 8 * MIB);
  gc_collect(world.store);
  assert_int_equal(gc_live_bytes(world.store), 0);
}

/* Arrays of all sizes, filled with a pattern, in a window of live ones. */
static void test_arrays_of_all_sizes(void **state) {
  (void)state;
  make_types();
  uint32_t seed = 7;
  Slot held[N_ROOTS] = {0};
  uint32_t sizes[N_ROOTS] = {0};
  GcScope scope;
  assert_true(gc_open_scope(world.store, &scope, held, N_ROOTS));
  for (unsigned round = 0; round < 20000 / LESS; round++) {
    unsigned i = random_next(&seed) % N_ROOTS, shift = random_next(&seed) % 18;
    for (uint32_t k = 0; k < sizes[i]; k += 97) {
      assert_int_equal(gc_elements(gc_array(held[i]))[k], (uint8_t)(i + k));
    }
    sizes[i] = random_next(&seed) & ((1u << shift) - 1);
    Array *array = gc_new_array(world.store, NULL, world.bytes, sizes[i]);
    assert_non_null(array);
    for (uint32_t k = 0; k < sizes[i]; k++) gc_elements(array)[k] = (uint8_t)(i + k);
    held[i] = gc_ref(array);
  }
  assert_true(gc_held_bytes(world.store) < 24 * MIB);
  gc_close_scope(&scope);
}

static void test_any_byte_finds_the_object(void **state) {
  (void)state;
  make_types();
  Array *large = gc_new_array(world.store, NULL, world.bytes, 200000);
  Root *root = gc_hold(world.store, gc_ref(large));
  Slot node = new_node(world.store, NULL, 1);
  const Heap *heap = world.store->heap;
  for (uintptr_t i = 0; i < 200000; i += 1001) {
    assert_ptr_equal(heap_find(heap, gc_ref(large) + i), large);
  }
  for (uintptr_t i = 0; i < gc_struct_size(world.node); i++) {
    assert_ptr_equal(heap_find(heap, node + i), gc_object(node));
  }
  assert_null(heap_find(heap, node + gc_struct_size(world.node)));
  assert_null(heap_find(heap, node - 1));
  assert_null(heap_find(heap, (uintptr_t)gc_block_of(gc_object(node))));
  assert_null(heap_find(heap, 0));
  assert_null(heap_find(heap, UINTPTR_MAX));
  gc_drop(root);
}

static void test_roots_hold(void **state) {
  (void)state;
  make_types();
  Root *roots[N_ROOTS];
  for (uint64_t i = 0; i < N_ROOTS; i++) {
    roots[i] = gc_hold(world.store, new_node(world.store, NULL, i));
  }
  gc_collect(world.store);
  assert_int_equal(gc_live_bytes(world.store), N_ROOTS * gc_struct_size(world.node));
  for (uint64_t i = 0; i < N_ROOTS; i++) {
    assert_int_equal(words_of(roots[i]->ref)[0], i);
    if (i % 2 == 0) gc_drop(roots[i]);
  }
  gc_collect(world.store);
  assert_int_equal(gc_live_bytes(world.store), N_ROOTS / 2 * gc_struct_size(world.node));
  for (uint64_t i = 1; i < N_ROOTS; i += 2) gc_drop(roots[i]);
}

/* A wide and deep graph while the list of pending objects cannot grow. */
static void test_marks_without_memory(void **state) {
  (void)state;
  make_types();
  enum { WIDTH = 3000 / LESS };
  Array *array = gc_new_array(world.store, NULL, world.nodes, WIDTH);
  Slot *items = (Slot *)(void *)gc_elements(array);
  memset(items, 0, WIDTH * sizeof *items);
  Root *root = gc_hold(world.store, gc_ref(array));
  for (uint32_t i = 0; i < WIDTH; i++) {
    Slot list;
    build_list(world.store, &list, i, 5);
    items[i] = list;
  }
  atomic_store(&world.engine->alloc.fail_after, 0);
  gc_collect(world.store);
  atomic_store(&world.engine->alloc.fail_after, -1);
  for (uint32_t i = 0; i < WIDTH; i++) check_list(items[i], i, 5);
  gc_drop(root);
}

static void test_limit(void **state) {
  (void)state;
  make_types();
  const uint32_t limit = LESS == 1 ? 4 << 20 : 8 * GC_BLOCK;
  Instance instance = {
      .store = world.store, .space = &gc_no_space, .limits = {.memory_bytes = limit}};
  Slot head = 0, node;
  GcScope scope;
  assert_true(gc_open_scope(world.store, &scope, &head, 1));
  for (unsigned round = 0; round < 3; round++) {
    size_t n = 0;
    while ((node = new_node(world.store, &instance, n)) != 0) {
      words_of(node)[1] = head;
      head = node;
      n++;
    }
    /* A collection at every allocation leaves one object in each line. */
    assert_in_range(n * gc_struct_size(world.node), LESS == 1 ? limit * 3 / 4 : limit / 8, limit);
    assert_null(gc_new_array(world.store, &instance, world.bytes, limit / 2));
    assert_true(instance.memory_used <= limit);
    head = 0;
    assert_non_null(gc_new_array(world.store, &instance, world.bytes, limit / 2));
  }
  for (unsigned i = 0; i < 200000 / LESS; i++) {
    assert_int_not_equal(new_node(world.store, &instance, i), 0);
  }
  gc_close_scope(&scope);
  gc_collect(world.store);
  assert_int_equal(instance.memory_used, 0);
}

static void test_host_values_are_released(void **state) {
  (void)state;
  make_types();
  Root *held[10];
  uint64_t sum = 0;
  for (unsigned i = 0; i < 1000; i++) {
    Slot ref = store_new_host_value(world.store, i);
    uint64_t payload;
    assert_true(store_host_payload(ref, &payload));
    assert_int_equal(payload, i);
    if (i % 100 == 0) {
      held[i / 100] = gc_hold(world.store, ref);
    } else {
      sum += i;
    }
  }
  gc_collect(world.store);
  assert_int_equal(world.n_released, 990);
  assert_int_equal(world.released_sum, sum);
  for (unsigned i = 0; i < 10; i++) gc_drop(held[i]);
  store_release(world.store);
  world.store = NULL;
  assert_int_equal(world.n_released, 1000);
}

/* Values made without end are released on the way. */
static void test_host_values_are_not_hoarded(void **state) {
  (void)state;
  for (unsigned i = 0; i < 100000 / LESS; i++) store_new_host_value(world.store, i);
  assert_true(world.n_released > 80000 / LESS);
  assert_true(gc_held_bytes(world.store) < 2 * MIB);
}

static void test_exceptions_hold_values_and_tags(void **state) {
  (void)state;
  make_types();
  const ValType params[] = {TYPE_I32, TYPE_V128, TYPE_ANYREF};
  const Type *type = types_add_func(3, 0, params);
  Tag *tag = tag_new(world.engine, type);
  types_release(type->id);
  Exception *exception = gc_new_exception(world.store, NULL, tag);
  tag_release(tag);
  memset(exception->values, 0, 4 * sizeof(Slot));
  Root *root = gc_hold(world.store, gc_ref(exception));
  build_list(world.store, &exception->values[3], 0, 100);
  gc_collect(world.store);
  check_list(exception->values[3], 0, 100);
  assert_ptr_equal(exception->tag, tag);
  gc_drop(root);
  gc_collect(world.store);
  assert_null(world.store->heap->exceptions);
}

static void test_heaps_join(void **state) {
  (void)state;
  make_types();
  enum { N_STORES = 20 };
  Root *roots[N_STORES];
  Store *stores[N_STORES];
  for (unsigned i = 0; i < N_STORES; i++) {
    Slot list;
    stores[i] = store_new(world.engine);
    build_list(stores[i], &list, i, 20 * i);
    roots[i] = gc_hold(stores[i], list);
    store_new_host_value(stores[i], 1);
  }
  for (unsigned i = 1; i < N_STORES; i++) assert_true(store_merge(stores[0], stores[i]));
  for (unsigned i = 0; i < N_STORES; i++) store_release(stores[i]);
  gc_collect(stores[0]);
  assert_int_equal(world.n_released, N_STORES);
  for (unsigned i = 0; i < N_STORES; i++) {
    check_list(roots[i]->ref, i, 20 * i);
    if (i > 0) assert_ptr_equal(gc_store_of(roots[i]->ref), store_of(stores[0]));
  }
  for (unsigned i = 0; i < N_STORES; i++) gc_drop(roots[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_lists_survive),
      TEST(test_arrays_of_all_sizes),
      TEST(test_any_byte_finds_the_object),
      TEST(test_roots_hold),
      TEST(test_marks_without_memory),
      TEST(test_limit),
      TEST(test_host_values_are_released),
      TEST(test_host_values_are_not_hoarded),
      TEST(test_exceptions_hold_values_and_tags),
      TEST(test_heaps_join),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
