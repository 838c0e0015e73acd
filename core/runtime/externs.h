/* externs.h - what is imported and exported besides memories and tables: functions of the host,
 * globals and tags.
 *
 * Host functions, numeric globals and tags are counted on their own; a global of a reference type
 * belongs to its store, and counting it counts the store.
 */
#ifndef RILLE_EXTERNS_H
#define RILLE_EXTERNS_H

#include "store.h"

/* The function takes a reference of its own to the type. NULL when there is no memory. */
Func *func_new_host(Engine *engine, const Type *type, HostFn *fn, void *data, void (*drop)(void *));
void func_retain(Func *func);
void func_release(Func *func);
static inline bool func_is_host(const Func *func) {
  return func->instance == NULL;
}

/* `type` is canonical; `store` is needed for reference types only. Zero, or null, at first. */
Global *global_new(Engine *engine, Store *store, const GlobalType *type);
void global_retain(Global *global);
void global_release(Global *global);
void global_free(Global *global); /* of a store that ends */

Tag *tag_new(Engine *engine, const Type *type);
void tag_retain(Tag *tag);
void tag_release(Tag *tag);

#endif
