/* module.c - the life of a module: loaded whole, shared by counting references, freed whole.
 */
#include "module.h"

#include "dwarf.h"
#include "names.h"

Module *module_load(Alloc *alloc, const uint8_t *bytes, size_t size, const LoadOptions *options,
                    Error *error) {
  Module *module = module_decode(alloc, bytes, size, options, error);
  if (!module) return NULL;
  if (!module_validate(module, error)) {
    module_release(module);
    return NULL;
  }
  if (module->name.size == 0) module->name = names_find_module(module);
  return module;
}

void module_retain(Module *module) {
  atomic_fetch_add_explicit(&module->refs, 1, memory_order_relaxed);
}

static void release_types(Module *module) {
  uint32_t i = 0;
  while (i < module->n_type_ids) {
    types_release(module->type_ids[i]);
    i += module->types[i].group_size;
  }
}

void module_release(Module *module) {
  if (atomic_fetch_sub_explicit(&module->refs, 1, memory_order_acq_rel) != 1) return;
  names_free(module);
  dwarf_free(module);
  release_types(module);
  Alloc *alloc = module->alloc;
  arena_clear(&module->arena);
  alloc_free(alloc, module, sizeof *module);
}
