/* link.c - import matching. Spec: 3.0, "Matching", "External Types"; the two messages begin as the
 * specification's test scripts want them to.
 */
#include "link.h"

#include "describe.h"
#include "memory.h"
#include "stores.h"

static bool limits_match(uint64_t size, const Limits *given, const Limits *wanted) {
  return given->is_64 == wanted->is_64 && size >= wanted->min &&
         (wanted->max == NO_MAX || (given->max != NO_MAX && given->max <= wanted->max));
}

static ValType canonical(const Module *module, ValType type) {
  return type_canonical(type, module->type_ids);
}

static bool func_matches(const Module *module, uint32_t index, const Func *given) {
  const Type *wanted = type_of_id(module->type_ids[module->funcs[index].type]);
  return type_is_subtype(given->type, wanted);
}

static bool table_matches(const Module *module, uint32_t index, const Table *given) {
  const TableType *wanted = &module->tables[index].type;
  return limits_match(given->n, &given->type.limits, &wanted->limits) &&
         given->type.type == canonical(module, wanted->type);
}

static bool memory_matches(const Module *module, uint32_t index, const Memory *given) {
  const MemoryType *wanted = &module->memories[index];
  return given->type.is_shared == wanted->is_shared && given->type.page_log2 == wanted->page_log2 &&
         limits_match(memory_pages(given), &given->type.limits, &wanted->limits);
}

static bool global_matches(const Module *module, uint32_t index, const Global *given) {
  GlobalType wanted = module->globals[index].type;
  wanted.type = canonical(module, wanted.type);
  if (given->type.is_mutable != wanted.is_mutable) return false;
  return wanted.is_mutable ? given->type.type == wanted.type
                           : type_matches(given->type.type, wanted.type);
}

static bool tag_matches(const Module *module, uint32_t index, const Tag *given) {
  return given->type == type_of_id(module->type_ids[module->tags[index]]);
}

static bool matches(const Module *module, const Import *import, const Extern *given) {
  if (import->kind != given->kind) return false;
  switch (import->kind) {
    case EXTERN_FUNC: return func_matches(module, import->index, given->func);
    case EXTERN_TABLE: return table_matches(module, import->index, given->table);
    case EXTERN_MEMORY: return memory_matches(module, import->index, given->memory);
    case EXTERN_GLOBAL: return global_matches(module, import->index, given->global);
    case EXTERN_TAG: return tag_matches(module, import->index, given->tag);
  }
  return false;
}

static int name_width(Str name) {
  return (int)MIN(name.size, 64);
}

static void fail(const Module *module, const Import *import, const Extern *given, Error *error) {
  char wanted_text[160], given_text[160];
  describe_module_item(module, import->kind, import->index, wanted_text, sizeof wanted_text);
  const Str *from = &import->module, *name = &import->name;
  if (given->any == NULL) {
    error_set(error, ERROR_LINK, "unknown import \"%.*s\" \"%.*s\": wanted %s", name_width(*from),
              from->at, name_width(*name), name->at, wanted_text);
    return;
  }
  describe_extern(given, given_text, sizeof given_text);
  error_set(error, ERROR_LINK, "incompatible import type of \"%.*s\" \"%.*s\": wanted %s, given %s",
            name_width(*from), from->at, name_width(*name), name->at, wanted_text, given_text);
}

bool link_check(const Module *module, const Extern *imports, Error *error) {
  for (uint32_t i = 0; i < module->n_imports; i++) {
    if (imports[i].any != NULL && matches(module, &module->imports[i], &imports[i])) continue;
    fail(module, &module->imports[i], &imports[i], error);
    return false;
  }
  return true;
}

/* The store that importing the item joins, or NULL. */
static Store *joined_store(const Extern *item) {
  switch (item->kind) {
    case EXTERN_FUNC: return item->func->instance != NULL ? item->func->instance->store : NULL;
    case EXTERN_TABLE: return item->table->store;
    case EXTERN_GLOBAL: return item->global->store;
    default: return NULL;
  }
}

bool link_join(Store *store, const Module *module, const Extern *imports) {
  for (uint32_t i = 0; i < module->n_imports; i++) {
    Store *other = joined_store(&imports[i]);
    if (other != NULL && !store_merge(store, other)) return false;
  }
  return true;
}
