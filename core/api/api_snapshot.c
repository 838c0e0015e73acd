/* api_snapshot.c - snapshots of instances.
 *
 * A snapshot is one block: the struct, a part for each memory, table and global that the instance
 * defines, and the bits of dropped segments. Bytes of a memory are an image that is mapped over it
 * (copy-on-write) when the memory is large, stays where it is, and the system has images; else a
 * copy.
 */
#include "../runtime/gc.h"
#include "../runtime/limits.h"
#include "../runtime/memory.h"
#include "api.h"

#define IMAGE_BYTES_MIN (256 * KIB)

typedef struct MemoryPart {
  uint64_t size;
  uint8_t *bytes; /* NULL when there is an image, or nothing */
  int image;      /* -1: none */
} MemoryPart;

typedef struct TablePart {
  uint64_t n;
  Slot *items;
  GcScope scope; /* keeps what items refer to */
} TablePart;

struct rille_Snapshot {
  Alloc *alloc;
  uint64_t bytes;
  uint32_t n_memories, n_tables, n_globals, n_elems, n_datas;
  MemoryPart *memories;
  TablePart *tables;
  Slot (*globals)[2];
  GcScope scope; /* keeps what globals refer to */
  bool *elem_dropped, *data_dropped;
};

static void *take(rille_Snapshot *snapshot, size_t n, size_t size) {
  if (n == 0) return NULL;
  void *block = alloc_zero(snapshot->alloc, n * size);
  if (block != NULL) snapshot->bytes += n * size;
  return block;
}

static void give(const rille_Snapshot *snapshot, void *block, size_t size) {
  if (block != NULL) alloc_free(snapshot->alloc, block, size);
}

static bool save_memory(rille_Snapshot *snapshot, MemoryPart *part, const Memory *memory) {
  part->size = memory->size;
  part->image = -1;
  if (part->size == 0) return true;
  if (memory->is_guarded && !memory->type.is_shared && part->size >= IMAGE_BYTES_MIN) {
    part->image = os_image_new(memory->base, (size_t)part->size);
    if (part->image >= 0) {
      snapshot->bytes += part->size;
      return true;
    }
  }
  part->bytes = take(snapshot, (size_t)part->size, 1);
  if (part->bytes != NULL) memcpy(part->bytes, memory->base, (size_t)part->size);
  return part->bytes != NULL;
}

static bool save_table(rille_Snapshot *snapshot, TablePart *part, const Table *table) {
  part->n = table->n;
  part->items = take(snapshot, (size_t)part->n, sizeof *part->items);
  if (part->n == 0) return true;
  if (part->items == NULL) return false;
  memcpy(part->items, table->items, (size_t)part->n * sizeof(Slot));
  return !type_is_traced(table->type.type) ||
         gc_open_scope(table->store, &part->scope, part->items, part->n);
}

static bool make_parts(rille_Snapshot *snapshot, const Module *module) {
  snapshot->n_memories = module->n_memories - module->n_imported_memories;
  snapshot->n_tables = module->n_tables - module->n_imported_tables;
  snapshot->n_globals = module->n_globals - module->n_imported_globals;
  snapshot->n_elems = module->n_elems;
  snapshot->n_datas = module->n_datas;
  snapshot->memories = take(snapshot, snapshot->n_memories, sizeof *snapshot->memories);
  snapshot->tables = take(snapshot, snapshot->n_tables, sizeof *snapshot->tables);
  snapshot->globals = take(snapshot, snapshot->n_globals, sizeof *snapshot->globals);
  snapshot->elem_dropped = take(snapshot, snapshot->n_elems, sizeof(bool));
  snapshot->data_dropped = take(snapshot, snapshot->n_datas, sizeof(bool));
  for (uint32_t i = 0; snapshot->memories != NULL && i < snapshot->n_memories; i++) {
    snapshot->memories[i].image = -1;
  }
  return (snapshot->memories != NULL || snapshot->n_memories == 0) &&
         (snapshot->tables != NULL || snapshot->n_tables == 0) &&
         (snapshot->globals != NULL || snapshot->n_globals == 0) &&
         (snapshot->elem_dropped != NULL || snapshot->n_elems == 0) &&
         (snapshot->data_dropped != NULL || snapshot->n_datas == 0);
}

static void copy_flags(bool *to, const bool *from, uint32_t n) {
  if (n != 0) memcpy(to, from, n * sizeof *to);
}

/* Their words are looked at as what they may be: numbers among them do no harm. */
static bool hold_globals(rille_Snapshot *snapshot, const Instance *instance) {
  const Module *module = instance->module;
  bool has_refs = false;
  for (uint32_t i = 0; i < snapshot->n_globals; i++) {
    const Global *global = instance->global_objects[module->n_imported_globals + i];
    has_refs |= type_is_traced(global->type.type);
  }
  return !has_refs || gc_open_scope(instance->store, &snapshot->scope, snapshot->globals[0],
                                    2 * (uint64_t)snapshot->n_globals);
}

static bool save(rille_Snapshot *snapshot, const Instance *instance) {
  const Module *module = instance->module;
  if (!make_parts(snapshot, module)) return false;
  for (uint32_t i = 0; i < snapshot->n_memories; i++) {
    const Memory *memory = instance->memories[module->n_imported_memories + i];
    if (!save_memory(snapshot, &snapshot->memories[i], memory)) return false;
  }
  for (uint32_t i = 0; i < snapshot->n_tables; i++) {
    const Table *table = instance->tables[module->n_imported_tables + i];
    if (!save_table(snapshot, &snapshot->tables[i], table)) return false;
  }
  for (uint32_t i = 0; i < snapshot->n_globals; i++) {
    const Slot *cell = instance->globals[module->n_imported_globals + i];
    memcpy(snapshot->globals[i], cell, sizeof snapshot->globals[i]);
  }
  if (!hold_globals(snapshot, instance)) return false;
  copy_flags(snapshot->elem_dropped, instance->elem_dropped, snapshot->n_elems);
  copy_flags(snapshot->data_dropped, instance->data_dropped, snapshot->n_datas);
  return true;
}

rille_Snapshot *rille_new_snapshot(rille_Instance *handle, rille_Error **error) {
  const Instance *instance = instance_of(handle);
  Alloc *alloc = &instance->store->engine->alloc;
  rille_Snapshot *snapshot = alloc_zero(alloc, sizeof *snapshot);
  if (snapshot == NULL) {
    api_fail_memory(error);
    return NULL;
  }
  snapshot->alloc = alloc;
  if (save(snapshot, instance)) return snapshot;
  rille_free_snapshot(snapshot);
  api_fail_memory(error);
  return NULL;
}

void rille_free_snapshot(rille_Snapshot *snapshot) {
  if (snapshot == NULL) return;
  for (uint32_t i = 0; snapshot->memories != NULL && i < snapshot->n_memories; i++) {
    os_image_free(snapshot->memories[i].image);
    give(snapshot, snapshot->memories[i].bytes, (size_t)snapshot->memories[i].size);
  }
  for (uint32_t i = 0; snapshot->tables != NULL && i < snapshot->n_tables; i++) {
    gc_close_scope(&snapshot->tables[i].scope);
    give(snapshot, snapshot->tables[i].items, (size_t)snapshot->tables[i].n * sizeof(Slot));
  }
  gc_close_scope(&snapshot->scope);
  give(snapshot, snapshot->memories, snapshot->n_memories * sizeof *snapshot->memories);
  give(snapshot, snapshot->tables, snapshot->n_tables * sizeof *snapshot->tables);
  give(snapshot, snapshot->globals, snapshot->n_globals * sizeof *snapshot->globals);
  give(snapshot, snapshot->elem_dropped, snapshot->n_elems * sizeof(bool));
  give(snapshot, snapshot->data_dropped, snapshot->n_datas * sizeof(bool));
  alloc_free(snapshot->alloc, snapshot, sizeof *snapshot);
}

uint64_t rille_snapshot_bytes(const rille_Snapshot *snapshot) {
  return snapshot->bytes;
}

/* Takes away what has grown since. What stays mapped is zero when the memory grows again. */
static void shrink_memory(Memory *memory, uint64_t size) {
  if (memory->type.is_shared || memory->size <= size) return;
  uint64_t from = align_up(size, os_page_size()), to = align_up(memory->size, os_page_size());
  memset(memory->base + size, 0, (size_t)(MIN(from, memory->size) - size));
  os_decommit(memory->base + from, (size_t)(to - from));
  if (memory->charged != NULL) limits_refund(memory->charged, memory->size - size);
  memory->size = size;
}

static bool restore_memory(Memory *memory, const MemoryPart *part) {
  shrink_memory(memory, part->size);
  if (part->image >= 0) {
    memory->has_image = true;
    return os_image_map(part->image, memory->base, (size_t)part->size);
  }
  if (part->size != 0) memcpy(memory->base, part->bytes, (size_t)part->size);
  return true;
}

static void restore_table(Table *table, const TablePart *part) {
  if (table->n > part->n) {
    memset(table->items + part->n, 0, (size_t)(table->n - part->n) * sizeof(Slot));
    if (table->charged != NULL) {
      limits_refund(table->charged, (table->n - part->n) * sizeof(Slot));
    }
    table->n = part->n;
  }
  if (part->n != 0) memcpy(table->items, part->items, (size_t)part->n * sizeof(Slot));
}

/* Dropped segments were freed: they cannot come back. */
static bool segments_fit(const Instance *instance, const rille_Snapshot *snapshot) {
  for (uint32_t i = 0; i < snapshot->n_elems; i++) {
    if (instance->elem_dropped[i] && !snapshot->elem_dropped[i]) return false;
  }
  return true;
}

bool rille_reset_instance(rille_Instance *handle, const rille_Snapshot *snapshot,
                          rille_Error **error) {
  Instance *instance = instance_of(handle);
  const Module *module = instance->module;
  if (!segments_fit(instance, snapshot)) {
    return api_fail_text(error, ERROR_UNSUPPORTED,
                         "an element segment was dropped since the snapshot");
  }
  for (uint32_t i = 0; i < snapshot->n_memories; i++) {
    Memory *memory = instance->memories[module->n_imported_memories + i];
    if (!restore_memory(memory, &snapshot->memories[i])) return api_fail_memory(error);
  }
  for (uint32_t i = 0; i < snapshot->n_tables; i++) {
    restore_table(instance->tables[module->n_imported_tables + i], &snapshot->tables[i]);
  }
  for (uint32_t i = 0; i < snapshot->n_globals; i++) {
    memcpy(instance->globals[module->n_imported_globals + i], snapshot->globals[i],
           sizeof snapshot->globals[i]);
  }
  copy_flags(instance->data_dropped, snapshot->data_dropped, snapshot->n_datas);
  return true;
}
