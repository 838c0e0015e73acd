/* api_values.c - memories, tables, globals, tags and references. */
#include <inttypes.h>

#include "../runtime/externs.h"
#include "../runtime/memory.h"
#include "../runtime/runtime.h"
#include "../runtime/stores.h"
#include "../runtime/table.h"
#include "api.h"

/* Memories */

static bool check_limits(uint64_t min, uint64_t max, rille_Error **error) {
  if (min <= max) return true;
  return api_fail_text(error, ERROR_MISUSE,
                       "the minimum %" PRIu64 " is larger than the maximum %" PRIu64, min, max);
}

static bool check_memory_type(const rille_MemoryType *type, rille_Error **error) {
  if (!check_limits(type->min, type->max, error)) return false;
  if (type->page_log2 != 16 && type->page_log2 != 0) {
    return api_fail_text(error, ERROR_MISUSE, "a page has 65536 bytes or 1 byte");
  }
  if (type->is_shared && type->max == RILLE_NO_MAX) {
    return api_fail_text(error, ERROR_MISUSE, "a shared memory needs a maximum");
  }
  unsigned bits = (type->is_64 ? 64u : 32u) - type->page_log2;
  if (bits < 64 && type->min > UINT64_C(1) << bits) {
    return api_fail_text(error, ERROR_MISUSE, "more pages than addresses: %" PRIu64, type->min);
  }
  return true;
}

rille_Memory *rille_new_memory(rille_Engine *engine, const rille_MemoryType *type,
                               rille_Error **error) {
  if (!check_memory_type(type, error)) return NULL;
  MemoryType wanted = {.limits = {.min = type->min, .max = type->max, .is_64 = type->is_64},
                       .is_shared = type->is_shared,
                       .page_log2 = type->page_log2};
  Error failure;
  Memory *memory = memory_new(engine_of(engine), &wanted, NULL, &failure);
  if (memory == NULL) api_fail(error, &failure);
  return memory_handle(memory);
}

void rille_retain_memory(rille_Memory *memory) {
  memory_retain(memory_of(memory));
}

void rille_free_memory(rille_Memory *memory) {
  if (memory != NULL) memory_release(memory_of(memory));
}

void rille_memory_type(const rille_Memory *handle, rille_MemoryType *out) {
  const MemoryType *type = &memory_of(handle)->type;
  *out = (rille_MemoryType){.min = type->limits.min,
                            .max = type->limits.max,
                            .is_64 = type->limits.is_64,
                            .is_shared = type->is_shared,
                            .page_log2 = type->page_log2};
}

uint8_t *rille_memory_bytes(const rille_Memory *memory, uint64_t *size) {
  if (size != NULL) *size = memory_size(memory_of(memory));
  return memory_of(memory)->base;
}

bool rille_memory_is_stable(const rille_Memory *memory) {
  return memory_is_stable(memory_of(memory));
}

uint64_t rille_memory_pages(const rille_Memory *memory) {
  return memory_pages(memory_of(memory));
}

bool rille_grow_memory(rille_Memory *memory, uint64_t pages, uint64_t *old_pages,
                       rille_Error **error) {
  uint64_t old = memory_grow(memory_of(memory), pages);
  if (old == UINT64_MAX) {
    Error failure;
    error_set(&failure, ERROR_LIMIT, "the memory cannot grow by %" PRIu64 " pages", pages);
    failure.code = LIMIT_MEMORY;
    return api_fail(error, &failure);
  }
  if (old_pages != NULL) *old_pages = old;
  return true;
}

uint64_t rille_memory_reserved(const rille_Memory *memory) {
  return memory_of(memory)->reserved;
}

/* Tables */

rille_Table *rille_new_table(rille_Store *store, rille_ValueType type, uint64_t min, uint64_t max,
                             bool is_64, rille_Slot init, rille_Error **error) {
  if (!check_limits(min, max, error)) return NULL;
  if (!type_is_ref(type) || !ref_has_type(init, type)) {
    api_fail_text(error, ERROR_MISUSE, "the initial value is not of the table's type");
    return NULL;
  }
  if (!store_adopt_ref(root_of(store), type, init)) {
    api_fail_memory(error);
    return NULL;
  }
  TableType wanted = {.limits = {.min = min, .max = max, .is_64 = is_64}, .type = type};
  Error failure;
  Table *table = table_new(root_of(store), &wanted, init, NULL, &failure);
  if (table == NULL) {
    api_fail(error, &failure);
    return NULL;
  }
  store_retain(table->store);
  return table_handle(table);
}

void rille_retain_table(rille_Table *table) {
  store_retain(table_of(table)->store);
}

void rille_free_table(rille_Table *table) {
  if (table != NULL) store_release(table_of(table)->store);
}

rille_Store *rille_table_store(const rille_Table *table) {
  return root_handle(store_of(table_of(table)->store));
}

rille_ValueType rille_table_type(const rille_Table *table) {
  return table_of(table)->type.type;
}

void rille_table_limits(const rille_Table *table, uint64_t *min, uint64_t *max, bool *is_64) {
  const Limits *limits = &table_of(table)->type.limits;
  *min = limits->min;
  *max = limits->max;
  *is_64 = limits->is_64;
}

uint64_t rille_table_size(const rille_Table *table) {
  return table_of(table)->n;
}

bool rille_get_element(const rille_Table *handle, uint64_t index, rille_Slot *out) {
  const Table *table = table_of(handle);
  if (index >= table->n) return false;
  *out = table->items[index];
  return true;
}

bool rille_set_element(rille_Table *handle, uint64_t index, rille_Slot ref) {
  Table *table = table_of(handle);
  if (index >= table->n || !store_adopt_ref(table->store, table->type.type, ref)) return false;
  table->items[index] = ref;
  return true;
}

bool rille_grow_table(rille_Table *handle, uint64_t n, rille_Slot init, uint64_t *old_size,
                      rille_Error **error) {
  Table *table = table_of(handle);
  if (!store_adopt_ref(table->store, table->type.type, init)) return api_fail_memory(error);
  uint64_t old = table_grow(table, n, init);
  if (old == UINT64_MAX) {
    Error failure;
    error_set(&failure, ERROR_LIMIT, "the table cannot grow by %" PRIu64 " elements", n);
    failure.code = LIMIT_MEMORY;
    return api_fail(error, &failure);
  }
  if (old_size != NULL) *old_size = old;
  return true;
}

/* Globals */

static Global *new_global(Engine *engine, Store *store, const GlobalType *type, Slot init) {
  if (type_is_ref(type->type) && !store_adopt_ref(store, type->type, init)) return NULL;
  return global_new(engine, store, type);
}

rille_Global *rille_new_global(rille_Engine *engine, rille_Store *store, rille_ValueType type,
                               bool is_mutable, const rille_Slot *init, rille_Error **error) {
  if (type_is_ref(type) && (store == NULL || !ref_has_type(init[0], type))) {
    api_fail_text(error, ERROR_MISUSE,
                  store == NULL ? "a global that holds references needs a store"
                                : "the initial value is not of the global's type");
    return NULL;
  }
  GlobalType wanted = {.type = type, .is_mutable = is_mutable};
  Global *global = new_global(engine_of(engine), root_of(store), &wanted, init[0]);
  if (global == NULL) {
    api_fail_memory(error);
    return NULL;
  }
  memcpy(global->cell, init, type_slots(type) * sizeof(Slot));
  if (global->store != NULL) store_retain(global->store);
  return global_handle(global);
}

void rille_retain_global(rille_Global *global) {
  global_retain(global_of(global));
}

void rille_free_global(rille_Global *global) {
  if (global != NULL) global_release(global_of(global));
}

rille_Store *rille_global_store(const rille_Global *handle) {
  Store *store = global_of(handle)->store;
  return store != NULL ? root_handle(store_of(store)) : NULL;
}

rille_ValueType rille_global_type(const rille_Global *global, bool *is_mutable) {
  if (is_mutable != NULL) *is_mutable = global_of(global)->type.is_mutable;
  return global_of(global)->type.type;
}

rille_Slot *rille_global_slots(rille_Global *global) {
  return global_of(global)->cell;
}

/* Tags */

rille_Tag *rille_new_tag(rille_Engine *engine, const rille_FuncType *type) {
  return tag_handle(tag_new(engine_of(engine), func_type_of(type)));
}

void rille_retain_tag(rille_Tag *tag) {
  tag_retain(tag_of(tag));
}

void rille_free_tag(rille_Tag *tag) {
  if (tag != NULL) tag_release(tag_of(tag));
}

const rille_FuncType *rille_tag_type(const rille_Tag *tag) {
  return func_type_handle(tag_of(tag)->type);
}

/* References */

bool rille_adopt_ref(rille_Store *store, rille_ValueType type, rille_Slot ref) {
  return store_adopt_ref(root_of(store), type, ref);
}

rille_Slot rille_new_extern(rille_Store *store, uint64_t payload) {
  return store_new_host_value(root_of(store), payload);
}

bool rille_extern_payload(rille_Slot ref, uint64_t *payload) {
  return store_host_payload(ref, payload);
}
