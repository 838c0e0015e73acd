/* instance.h - making instances.
 */
#ifndef RILLE_INSTANCE_H
#define RILLE_INSTANCE_H

#include "link.h"

/* How a start of an instance ended. */
typedef struct InstanceStart {
  RunLimits limits;
  uint64_t fuel;
} InstanceStart;

/* Links, allocates and initialises; runs active segments, but not the start function. The instance
 * belongs to the store. NULL and *error on failure; what active segments wrote until then stays,
 * and so does an instance whose functions they may have given away. */
Instance *instance_new(Store *store, Module *module, const Extern *imports,
                       const InstanceStart *start, Error *error);
/* The store ends: first every instance lets go of what it holds, for which it may look at functions
 * of the others, then every one is freed. */
void instance_clear(Instance *instance);
void instance_free(Instance *instance);

/* Where the index spaces lie in an instance of the module, in bytes from its start. */
typedef struct InstanceLayout {
  uint32_t memories, globals, tables, funcs, tags, own_funcs;
} InstanceLayout;
InstanceLayout instance_layout(const Module *module);

Extern instance_extern(const Instance *instance, ExternKind kind, uint32_t index);

#endif
