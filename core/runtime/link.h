/* link.h - matching what a module imports with what it is given.
 */
#ifndef RILLE_LINK_H
#define RILLE_LINK_H

#include "store.h"

/* rille_Extern of the public header. `any` NULL: nothing by that name. */
typedef struct Extern {
  ExternKind kind;
  union {
    Func *func;
    Memory *memory;
    Table *table;
    Global *global;
    Tag *tag;
    void *any;
  };
} Extern;

/* One item for each import, in the module's order. False and *error (a link error that names the
 * import) when one is missing or of another type. */
bool link_check(const Module *module, const Extern *imports, Error *error);

/* Joins to `store` the stores of tables, of other instances' functions and of globals that hold
 * references. Nothing else joins. False when there is no memory. */
bool link_join(Store *store, const Module *module, const Extern *imports);

#endif
