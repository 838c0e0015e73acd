/* table.c - tables and element segments. Items are canonical references; growing moves them. */
#include "table.h"

#include <inttypes.h>

#include "limits.h"
#include "runtime.h"
#include "stores.h"

/* Elements: as many as a program can want, and few enough that a hostile one does no harm. */
#define TABLE_MAX (UINT64_C(1) << 24)

static bool charge(const Table *table, uint64_t n) {
  return table->charged == NULL || limits_charge(table->charged, n * sizeof(Slot));
}

static void refund(const Table *table, uint64_t n) {
  if (table->charged != NULL) limits_refund(table->charged, n * sizeof(Slot));
}

static void fill(Slot *items, Slot value, uint64_t n) {
  for (uint64_t i = 0; i < n; i++) items[i] = value;
}

static bool resize(Table *table, uint64_t room) {
  Slot *items = alloc_resize(table->store->alloc, table->items, (size_t)table->room * sizeof(Slot),
                             (size_t)room * sizeof(Slot));
  if (items == NULL) return false;
  table->items = items;
  table->room = room;
  return true;
}

/* Room for n more items; doubled, so that growing one by one is linear. */
static bool make_room(Table *table, uint64_t n) {
  uint64_t wanted = table->n + n;
  if (wanted <= table->room) return true;
  return resize(table, MIN(MAX(wanted, table->room * 2), TABLE_MAX)) || resize(table, wanted);
}

static Table *fail_new(Table *table, Error *error) {
  uint64_t n = table->type.limits.min;
  alloc_free(table->store->alloc, table, sizeof *table);
  error_set(error, ERROR_MEMORY, "cannot allocate a table of %" PRIu64 " elements", n);
  return NULL;
}

static void join_store(Table *table) {
  table->next = table->store->tables;
  table->store->tables = table;
  table->store->weight++;
  if (type_is_indexed(table->type.type)) types_retain(type_heap(table->type.type));
}

Table *table_new(Store *store, const TableType *type, Slot init, Instance *charged, Error *error) {
  store = store_of(store);
  Table *table = alloc_zero(store->alloc, sizeof *table);
  if (table == NULL) {
    error_set(error, ERROR_MEMORY, "out of memory");
    return NULL;
  }
  uint64_t n = type->limits.min;
  table->type = *type;
  table->max = MIN(type->limits.max, TABLE_MAX);
  table->store = store;
  table->charged = charged;
  if (n > table->max) return fail_new(table, error);
  if (!charge(table, n)) {
    fail_new(table, error);
    error_set(error, ERROR_LIMIT, "the memory limit does not allow a table of %" PRIu64 " elements",
              n);
    error->code = LIMIT_MEMORY;
    return NULL;
  }
  if (!make_room(table, n)) {
    refund(table, n);
    return fail_new(table, error);
  }
  table->n = n;
  fill(table->items, init, n);
  join_store(table);
  return table;
}

void table_free(Table *table) {
  if (type_is_indexed(table->type.type)) types_release(type_heap(table->type.type));
  alloc_free(table->store->alloc, table->items, (size_t)table->room * sizeof(Slot));
  alloc_free(table->store->alloc, table, sizeof *table);
}

uint64_t table_grow(Table *table, uint64_t n, Slot init) {
  uint64_t old = table->n;
  if (n > table->max - old || !charge(table, n)) return UINT64_MAX;
  if (!make_room(table, n)) {
    refund(table, n);
    return UINT64_MAX;
  }
  fill(table->items + old, init, n);
  table->n = old + n;
  return old;
}

Trap table_fill(Table *table, uint64_t at, Slot value, uint64_t n) {
  if (!table_fits(table, at, n)) return TRAP_TABLE_BOUNDS;
  fill(table->items + at, value, n);
  return TRAP_NONE;
}

Trap table_copy(Table *to, Table *from, uint64_t to_at, uint64_t from_at, uint64_t n) {
  if (!table_fits(from, from_at, n) || !table_fits(to, to_at, n)) return TRAP_TABLE_BOUNDS;
  if (n != 0) memmove(to->items + to_at, from->items + from_at, (size_t)n * sizeof(Slot));
  return TRAP_NONE;
}

Trap table_init(Instance *instance, uint32_t table, uint32_t elem, uint64_t to, uint32_t from,
                uint32_t n) {
  Table *target = instance->tables[table];
  uint32_t size = instance->elem_dropped[elem] ? 0 : instance->module->elems[elem].n;
  if (from > size || n > size - from || !table_fits(target, to, n)) return TRAP_TABLE_BOUNDS;
  if (n != 0) {
    memcpy(target->items + to, instance->elem_items[elem] + from, n * sizeof(Slot));
  }
  return TRAP_NONE;
}

void elem_drop(Instance *instance, uint32_t elem) {
  if (instance->elem_dropped[elem]) return;
  instance->elem_dropped[elem] = true;
  alloc_free(&instance->store->engine->alloc, instance->elem_items[elem],
             instance->module->elems[elem].n * sizeof(Slot));
  instance->elem_items[elem] = NULL;
}
