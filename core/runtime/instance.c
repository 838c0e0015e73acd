/* instance.c - instantiation. Spec: 3.0, "Instantiation".
 *
 * An instance is one block: the struct, then its index spaces. Order: link and join the stores,
 * allocate, make what the module defines (memories, tags, globals, tables), let the engine make the
 * functions callable, evaluate element segments, run active ones. From the first active segment of
 * an imported table on the functions may be in tables of others: a failure leaves the instance in
 * its store then, else it is taken back.
 */
#include "instance.h"

#include "constexpr.h"
#include "engine.h"
#include "externs.h"
#include "image.h"
#include "gc.h"
#include "limits.h"
#include "memory.h"
#include "runtime.h"
#include "stores.h"
#include "table.h"

/* Layout */

static size_t add_part(size_t *size, size_t n, size_t item_size) {
  size_t at = (size_t)align_up(*size, 8);
  *size = at + n * item_size;
  return at;
}

/* The size of the block; points the arrays of `instance` into it unless that is NULL. */
static size_t lay_out(const Module *module, Instance *instance) {
  char *base = (char *)instance;
  size_t size = sizeof *instance;
#define PART(field, n)                                                    \
  do {                                                                    \
    size_t at_ = add_part(&size, (n), sizeof *((Instance *)NULL)->field); \
    if (instance != NULL) instance->field = (void *)(base + at_);         \
  } while (0)
  PART(memories, module->n_memories);
  PART(globals, module->n_globals);
  PART(global_objects, module->n_globals);
  PART(tables, module->n_tables);
  PART(funcs, module->n_funcs);
  PART(tags, module->n_tags);
  PART(own_funcs, module->n_funcs - module->n_imported_funcs);
  PART(elem_items, module->n_elems);
  PART(elem_dropped, module->n_elems);
  PART(data_dropped, module->n_datas);
#undef PART
  return size;
}

static bool fail_memory(Error *error) {
  error_set(error, ERROR_MEMORY, "out of memory");
  return false;
}

InstanceLayout instance_layout(const Module *module) {
  Instance parts;
  lay_out(module, &parts);
#define OFFSET(field) (uint32_t)((char *)parts.field - (char *)&parts)
  return (InstanceLayout){.memories = OFFSET(memories),
                          .globals = OFFSET(globals),
                          .tables = OFFSET(tables),
                          .funcs = OFFSET(funcs),
                          .tags = OFFSET(tags),
                          .own_funcs = OFFSET(own_funcs)};
#undef OFFSET
}

/* Imports. Memories, numeric globals, tags and host functions gain a reference; the rest lives in
 * the joined store. */

static void take_import(Instance *instance, uint32_t index, const Extern *item) {
  switch (item->kind) {
    case EXTERN_FUNC:
      instance->funcs[index] = item->func;
      if (func_is_host(item->func)) func_retain(item->func);
      break;
    case EXTERN_TABLE: instance->tables[index] = item->table; break;
    case EXTERN_MEMORY:
      instance->memories[index] = item->memory;
      memory_retain(item->memory);
      break;
    case EXTERN_GLOBAL:
      instance->global_objects[index] = item->global;
      instance->globals[index] = item->global->cell;
      if (item->global->store == NULL) global_retain(item->global);
      break;
    case EXTERN_TAG:
      instance->tags[index] = item->tag;
      tag_retain(item->tag);
      break;
  }
}

static void take_imports(Instance *instance, const Extern *imports) {
  const Module *module = instance->module;
  for (uint32_t i = 0; i < module->n_imports; i++) {
    take_import(instance, module->imports[i].index, &imports[i]);
  }
}

/* Definitions */

static void define_funcs(Instance *instance) {
  const Module *module = instance->module;
  for (uint32_t i = module->n_imported_funcs; i < module->n_funcs; i++) {
    Func *func = &instance->own_funcs[i - module->n_imported_funcs];
    const Type *type = type_of_id(module->type_ids[module->funcs[i].type]);
    *func = (Func){.instance = instance,
                   .type = type,
                   .index = i,
                   .n_slots = MAX(type->n_param_slots, type->n_result_slots)};
    instance->funcs[i] = func;
  }
}

static bool define_memories(Instance *instance, Error *error) {
  const Module *module = instance->module;
  for (uint32_t i = module->n_imported_memories; i < module->n_memories; i++) {
    Engine *engine = instance->store->engine;
    instance->memories[i] = memory_new(engine, &module->memories[i], instance, error);
    if (instance->memories[i] == NULL) return false;
  }
  return true;
}

static bool define_tags(Instance *instance, Error *error) {
  const Module *module = instance->module;
  for (uint32_t i = module->n_imported_tags; i < module->n_tags; i++) {
    const Type *type = type_of_id(module->type_ids[module->tags[i]]);
    instance->tags[i] = tag_new(instance->store->engine, type);
    if (instance->tags[i] == NULL) return fail_memory(error);
  }
  return true;
}

static bool define_globals(Instance *instance, Error *error) {
  const Module *module = instance->module;
  for (uint32_t i = module->n_imported_globals; i < module->n_globals; i++) {
    GlobalType type = module->globals[i].type;
    type.type = type_canonical(type.type, module->type_ids);
    Global *global = global_new(instance->store->engine, instance->store, &type);
    if (global == NULL) return fail_memory(error);
    instance->global_objects[i] = global;
    instance->globals[i] = global->cell;
    if (!constexpr_eval(instance, module->globals[i].init, global->cell, error)) return false;
  }
  return true;
}

static bool define_tables(Instance *instance, Error *error) {
  const Module *module = instance->module;
  for (uint32_t i = module->n_imported_tables; i < module->n_tables; i++) {
    const TableDef *def = &module->tables[i];
    TableType type = def->type;
    type.type = type_canonical(type.type, module->type_ids);
    Slot init = 0;
    if (def->init.at != def->init.end && !constexpr_eval(instance, def->init, &init, error)) {
      return false;
    }
    instance->tables[i] = table_new(instance->store, &type, init, instance, error);
    if (instance->tables[i] == NULL) return false;
  }
  return true;
}

static bool define_elem(Instance *instance, uint32_t index, Error *error) {
  const ElemDef *def = &instance->module->elems[index];
  instance->elem_dropped[index] = def->mode == SEGMENT_DECLARED;
  if (def->mode == SEGMENT_DECLARED || def->n == 0) return true;
  Slot *items = alloc_zero(instance->store->alloc, def->n * sizeof *items);
  if (items == NULL) return fail_memory(error);
  instance->elem_items[index] = items;
  for (uint32_t i = 0; i < def->n; i++) {
    if (def->funcs != NULL) {
      items[i] = (Slot)(uintptr_t)instance->funcs[def->funcs[i]];
    } else if (!constexpr_eval(instance, def->exprs[i], &items[i], error)) {
      return false;
    }
  }
  return true;
}

static bool define_elems(Instance *instance, Error *error) {
  for (uint32_t i = 0; i < instance->module->n_elems; i++) {
    if (!define_elem(instance, i, error)) return false;
  }
  return true;
}

static bool define_all(Instance *instance, Error *error) {
  define_funcs(instance);
  return define_memories(instance, error) && define_tags(instance, error) &&
         define_globals(instance, error) && define_tables(instance, error) &&
         (instance->ops->prepare_instance(instance) || fail_memory(error)) &&
         define_elems(instance, error);
}

/* Active segments */

static bool fail_trap(Trap trap, Error *error) {
  error_set(error, ERROR_TRAP, "%s", trap_text(trap));
  error->code = (uint32_t)trap;
  return false;
}

/* Most offsets are one i32.const, and some modules have a hundred thousand segments. */
static bool is_plain_const(const Module *module, ConstExpr expr, uint64_t *value) {
  enum { I32_CONST = 0x41, END = 0x0B };
  const uint8_t *at = module->bytes + expr.at, *end = module->bytes + expr.end;
  uint64_t number = 0;
  if (at == end || *at++ != I32_CONST) return false;
  for (unsigned shift = 0; at != end && shift < 35; shift += 7) {
    uint8_t byte = *at++;
    number |= (uint64_t)(byte & 0x7F) << shift;
    if ((byte & 0x80) != 0) continue;
    if ((byte & 0x40) != 0) number |= UINT64_MAX << (shift + 7);
    *value = (uint32_t)number;
    return at != end && *at == END;
  }
  return false;
}

static bool eval_offset(Instance *instance, ConstExpr expr, bool is_64, uint64_t *offset,
                        Error *error) {
  Slot value;
  if (!is_64 && is_plain_const(instance->module, expr, offset)) return true;
  if (!constexpr_eval(instance, expr, &value, error)) return false;
  *offset = is_64 ? value : (uint32_t)value;
  return true;
}

static bool run_active_elem(Instance *instance, uint32_t index, Error *error) {
  const ElemDef *def = &instance->module->elems[index];
  uint64_t offset;
  bool is_64 = instance->tables[def->table]->type.limits.is_64;
  if (!eval_offset(instance, def->offset, is_64, &offset, error)) return false;
  Trap trap = table_init(instance, def->table, index, offset, 0, def->n);
  if (trap != TRAP_NONE) return fail_trap(trap, error);
  elem_drop(instance, index);
  return true;
}

static bool run_active_data(Instance *instance, uint32_t index, Error *error) {
  const DataDef *def = &instance->module->datas[index];
  uint64_t offset;
  bool is_64 = instance->memories[def->memory]->type.limits.is_64;
  if (!eval_offset(instance, def->offset, is_64, &offset, error)) return false;
  Trap trap = memory_init(instance, def->memory, index, offset, 0, def->size);
  if (trap != TRAP_NONE) return fail_trap(trap, error);
  data_drop(instance, index);
  return true;
}

static bool run_active(Instance *instance, Error *error) {
  const Module *module = instance->module;
  for (uint32_t i = 0; i < module->n_elems; i++) {
    if (module->elems[i].mode != SEGMENT_ACTIVE) continue;
    if (!run_active_elem(instance, i, error)) return false;
  }
  if (image_apply(instance)) return true;
  for (uint32_t i = 0; i < module->n_datas; i++) {
    if (module->datas[i].mode != SEGMENT_ACTIVE) continue;
    if (!run_active_data(instance, i, error)) return false;
  }
  return true;
}

/* Life */

static Instance *allocate(Store *store, Module *module, const InstanceStart *start) {
  Instance *instance = alloc_zero(store->alloc, lay_out(module, NULL));
  if (instance == NULL) return NULL;
  lay_out(module, instance);
  module_retain(module);
  instance->module = module;
  instance->ops = engine_ops_of(module);
  instance->poll = &store->poll;
  instance->store = store;
  instance->space = &gc_no_space;
  instance->limits = start->limits;
  instance->fuel = limits_initial_fuel(&start->limits, start->fuel);
  instance->next = store->instances;
  store->instances = instance;
  store->weight++;
  store->has_handlers |= module->has_handlers;
  return instance;
}

/* From an imported table, or from objects that the collector still knows. */
static bool may_be_reached(const Instance *instance) {
  const Module *module = instance->module;
  if (instance->space != &gc_no_space) return true;
  for (uint32_t i = 0; i < module->n_elems; i++) {
    const ElemDef *def = &module->elems[i];
    bool has_run = def->mode == SEGMENT_ACTIVE && instance->elem_dropped[i];
    if (has_run && def->n != 0 && def->table < module->n_imported_tables) return true;
  }
  return false;
}

/* Frees an instance that failed, the newest of its store, with the tables and globals that it put
 * in front of the old ones. */
static void take_back(Instance *instance, const Table *old_tables, const Global *old_globals) {
  Store *store = instance->store;
  instance_clear(instance);
  for (Table *table; (table = store->tables) != old_tables; store->weight--) {
    store->tables = table->next;
    table_free(table);
  }
  for (Global *global; (global = store->globals) != old_globals; store->weight--) {
    store->globals = global->next;
    global_free(global);
  }
  store->instances = instance->next;
  store->weight--;
  instance_free(instance);
}

Instance *instance_new(Store *store, Module *module, const Extern *imports,
                       const InstanceStart *start, Error *error) {
  if (!link_check(module, imports, error)) return NULL;
  Instance *instance = NULL;
  if (link_join(store, module, imports)) instance = allocate(store_of(store), module, start);
  if (instance == NULL) {
    fail_memory(error);
    return NULL;
  }
  const Table *old_tables = instance->store->tables;
  const Global *old_globals = instance->store->globals;
  take_imports(instance, imports);
  if (define_all(instance, error) && run_active(instance, error)) return instance;
  if (!may_be_reached(instance)) take_back(instance, old_tables, old_globals);
  return NULL;
}

static void release_memories(Instance *instance) {
  for (uint32_t i = 0; i < instance->module->n_memories; i++) {
    Memory *memory = instance->memories[i];
    if (memory == NULL) continue;
    memory_uncharge(memory, instance);
    memory_release(memory);
  }
}

static void release_externs(Instance *instance) {
  const Module *module = instance->module;
  for (uint32_t i = 0; i < module->n_imported_funcs; i++) {
    if (func_is_host(instance->funcs[i])) func_release(instance->funcs[i]);
  }
  for (uint32_t i = 0; i < module->n_globals; i++) {
    Global *global = instance->global_objects[i];
    if (global != NULL && !type_is_ref(module->globals[i].type.type)) global_release(global);
  }
  for (uint32_t i = 0; i < module->n_tags; i++) {
    if (instance->tags[i] != NULL) tag_release(instance->tags[i]);
  }
}

void instance_clear(Instance *instance) {
  release_memories(instance);
  release_externs(instance);
  for (uint32_t i = 0; i < instance->module->n_elems; i++) elem_drop(instance, i);
}

void instance_free(Instance *instance) {
  Module *module = instance->module;
  Alloc *alloc = instance->store->alloc;
  alloc_free(alloc, instance, lay_out(module, NULL));
  engine_release_module(module);
}

Extern instance_extern(const Instance *instance, ExternKind kind, uint32_t index) {
  Extern item = {.kind = kind};
  switch (kind) {
    case EXTERN_FUNC: item.func = instance->funcs[index]; break;
    case EXTERN_TABLE: item.table = instance->tables[index]; break;
    case EXTERN_MEMORY: item.memory = instance->memories[index]; break;
    case EXTERN_GLOBAL: item.global = instance->global_objects[index]; break;
    case EXTERN_TAG: item.tag = instance->tags[index]; break;
  }
  return item;
}
