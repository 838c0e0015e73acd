/* helper.c - run-time functions as compiled code calls them: indices become objects, a Trap that is
 * returned leaves the run.
 */
#if defined(__x86_64__) || defined(RILLE_EVAL_HELPERS)
#include "helper.h"

#include "../runtime/gc.h"
#include "../runtime/object.h"
#include "../runtime/runtime.h"
#include "../runtime/stores.h"

static void check(Instance *instance, Trap trap) {
  if (UNLIKELY(trap != TRAP_NONE)) helper_trap(instance, trap);
}

/* Long bulk operations, in which others may run. */

static BulkRun bulk_begin(Instance *instance) {
  helper_mark(instance);
  return (BulkRun){.act = instance->act, .value_top = instance->act->value_top};
}

#define DO_LONG(instance, operation)                     \
  do {                                                   \
    BulkRun bulk = bulk_begin(instance);                 \
    Trap trap = operation;                               \
    helper_go_on(instance, bulk.act, trap, bulk.status); \
  } while (0)

/* Memories */

uint64_t helper_memory_grow(Instance *instance, uint32_t memory, uint64_t pages) {
  return memory_grow(instance->memories[memory], pages);
}

void helper_memory_init(Instance *instance, uint32_t memory, uint32_t data, uint64_t to,
                        uint32_t from, uint32_t n) {
  check(instance, memory_init(instance, memory, data, to, from, n));
}

void helper_memory_copy(Instance *instance, uint32_t to_memory, uint32_t from_memory, uint64_t to,
                        uint64_t from, uint64_t n) {
  Memory *target = instance->memories[to_memory], *source = instance->memories[from_memory];
  if (UNLIKELY(n > MIB)) {
    DO_LONG(instance, bulk_memory_copy(&bulk, target, source, to, from, n));
  } else {
    check(instance, memory_copy(target, source, to, from, n));
  }
}

void helper_memory_fill(Instance *instance, uint32_t memory, uint64_t at, uint32_t byte,
                        uint64_t n) {
  Memory *target = instance->memories[memory];
  if (UNLIKELY(n > MIB)) {
    DO_LONG(instance, bulk_memory_fill(&bulk, target, at, (uint8_t)byte, n));
  } else {
    check(instance, memory_fill(target, at, (uint8_t)byte, n));
  }
}

void helper_data_drop(Instance *instance, uint32_t data) {
  data_drop(instance, data);
}

/* A multiple of eight that no memory reaches, when the sum wraps. */
static uint64_t effective_address(uint64_t address, uint64_t offset) {
  return address + offset < offset ? UINT64_MAX & ~(uint64_t)7 : address + offset;
}

static uint32_t wait(Instance *instance, uint32_t memory, uint64_t at, unsigned bytes,
                     uint64_t expected, uint64_t timeout) {
  uint32_t result = 0;
  RunStatus status = RUN_DONE;
  Act *act = instance->act;
  helper_mark(instance);
  Trap trap = memory_wait(act, instance->memories[memory], at, bytes, expected, (int64_t)timeout,
                          &result, &status);
  helper_go_on(instance, act, trap, status);
  return result;
}

uint32_t helper_memory_wait32(Instance *instance, uint32_t memory, uint64_t address,
                              uint64_t offset, uint32_t expected, uint64_t timeout) {
  return wait(instance, memory, effective_address(address, offset), 4, expected, timeout);
}

uint32_t helper_memory_wait64(Instance *instance, uint32_t memory, uint64_t address,
                              uint64_t offset, uint64_t expected, uint64_t timeout) {
  return wait(instance, memory, effective_address(address, offset), 8, expected, timeout);
}

uint32_t helper_memory_notify(Instance *instance, uint32_t memory, uint64_t address,
                              uint64_t offset, uint32_t n) {
  uint32_t woken = 0;
  uint64_t at = effective_address(address, offset);
  check(instance, memory_notify(instance->memories[memory], at, n, &woken));
  return woken;
}

/* Tables */

uint64_t helper_table_grow(Instance *instance, uint32_t table, Slot init, uint64_t n) {
  return table_grow(instance->tables[table], n, init);
}

void helper_table_fill(Instance *instance, uint32_t table, uint64_t at, Slot value, uint64_t n) {
  Table *target = instance->tables[table];
  if (UNLIKELY(n > BULK_ELEMENTS)) {
    DO_LONG(instance, bulk_table_fill(&bulk, target, at, &value, n));
  } else {
    check(instance, table_fill(target, at, value, n));
  }
}

void helper_table_copy(Instance *instance, uint32_t to_table, uint32_t from_table, uint64_t to,
                       uint64_t from, uint64_t n) {
  Table *target = instance->tables[to_table], *source = instance->tables[from_table];
  if (UNLIKELY(n > BULK_ELEMENTS)) {
    DO_LONG(instance, bulk_table_copy(&bulk, target, source, to, from, n));
  } else {
    check(instance, table_copy(target, source, to, from, n));
  }
}

void helper_table_init(Instance *instance, uint32_t table, uint32_t elem, uint64_t to,
                       uint32_t from, uint32_t n) {
  check(instance, table_init(instance, table, elem, to, from, n));
}

void helper_elem_drop(Instance *instance, uint32_t elem) {
  elem_drop(instance, elem);
}

/* References */

uint32_t helper_ref_test(Instance *instance, Slot ref, uint32_t type) {
  return ref_has_type(ref, type_canonical(type, instance->module->type_ids));
}

/* The heap: the common case first, else with a collection. */

static const Type *type_of(const Instance *instance, uint32_t type) {
  return type_of_id(instance->module->type_ids[type]);
}

static NO_INLINE Object *alloc_slowly(Instance *instance, const Type *type, uint64_t size) {
  RunStatus status = RUN_DONE;
  Act *act = instance->act;
  helper_mark(instance);
  Object *object = gc_alloc_in_run(act, instance, type, size, &status);
  helper_go_on(instance, act, TRAP_NONE, status);
  return object;
}

static Object *alloc(Instance *instance, const Type *type, uint64_t size) {
  Object *object = size <= GC_BLOCK ? gc_try_alloc(instance, type, (size_t)size) : NULL;
  return LIKELY(object != NULL) ? object : alloc_slowly(instance, type, size);
}

static Array *alloc_array(Instance *instance, const Type *type, uint32_t n) {
  Array *array = (Array *)(void *)alloc(instance, type, gc_array_size(type, n));
  array->n = n;
  return array;
}

Slot helper_struct_alloc(Instance *instance, uint32_t type) {
  const Type *canonical = type_of(instance, type);
  return gc_ref(alloc(instance, canonical, gc_struct_size(canonical)));
}

Slot helper_array_alloc(Instance *instance, uint32_t type, uint32_t n) {
  return gc_ref(alloc_array(instance, type_of(instance, type), n));
}

Slot helper_array_new(Instance *instance, uint32_t type, uint32_t n, uint64_t low, uint64_t high) {
  Slot value[2] = {low, high};
  Array *array = alloc_array(instance, type_of(instance, type), n);
  array_set_all(array, 0, n, value);
  return gc_ref(array);
}

Slot helper_array_new_data(Instance *instance, uint32_t type, uint32_t data, uint32_t from,
                           uint32_t n) {
  const Type *canonical = type_of(instance, type);
  check(instance, array_check_data(instance, canonical, data, from, n));
  Slot array = gc_ref(alloc_array(instance, canonical, n));
  (void)array_init_data(instance, array, 0, data, from, n);
  return array;
}

Slot helper_array_new_elem(Instance *instance, uint32_t type, uint32_t elem, uint32_t from,
                           uint32_t n) {
  check(instance, array_check_elem(instance, elem, from, n));
  Slot array = gc_ref(alloc_array(instance, type_of(instance, type), n));
  (void)array_init_elem(instance, array, 0, elem, from, n);
  return array;
}

void helper_array_fill(Instance *instance, Slot array, uint32_t at, uint32_t n, uint64_t low,
                       uint64_t high) {
  Slot value[2] = {low, high};
  if (UNLIKELY(n > BULK_ELEMENTS)) {
    DO_LONG(instance, bulk_array_fill(&bulk, array, at, value, n));
  } else {
    check(instance, array_fill(array, at, value, n));
  }
}

void helper_array_copy(Instance *instance, Slot to, uint32_t to_at, Slot from, uint32_t from_at,
                       uint32_t n) {
  if (UNLIKELY(n > BULK_ELEMENTS)) {
    DO_LONG(instance, bulk_array_copy(&bulk, to, to_at, from, from_at, n));
  } else {
    check(instance, array_copy(to, to_at, from, from_at, n));
  }
}

void helper_array_init_data(Instance *instance, Slot array, uint32_t at, uint32_t data,
                            uint32_t from, uint32_t n) {
  check(instance, array_init_data(instance, array, at, data, from, n));
}

void helper_array_init_elem(Instance *instance, Slot array, uint32_t at, uint32_t elem,
                            uint32_t from, uint32_t n) {
  check(instance, array_init_elem(instance, array, at, elem, from, n));
}

Slot helper_exn_alloc(Instance *instance, uint32_t tag_index) {
  Tag *tag = instance->tags[tag_index];
  uint64_t size = sizeof(Exception) + (uint64_t)tag->type->n_param_slots * sizeof(Slot);
  Exception *exception = (Exception *)(void *)alloc(instance, tag->type, size);
  exception->tag = tag;
  exception->next = NULL;
  return gc_ref(exception);
}
#endif
