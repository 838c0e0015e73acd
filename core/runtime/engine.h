/* engine.h - the engine handle: what modules and stores allocate from, and who frees a module.
 */
#ifndef RILLE_ENGINE_H
#define RILLE_ENGINE_H

#include "store.h"

/* One reference; NULL when there is no memory. The engine's own bytes are not counted in
 * alloc.used, so that it is zero when everything made from the engine is gone. */
Engine *engine_new(ResizeFn *resize, void *user, const EngineOps *ops);
void engine_retain(Engine *engine);
void engine_release(Engine *engine);

/* A module that was loaded through an engine is allocated from its `alloc`, the first field. */
static inline Engine *engine_of_module(const Module *module) {
  return (Engine *)(void *)module->alloc;
}

/* The engine that the module was loaded for. */
const EngineOps *engine_ops_of(const Module *module);

/* Ties a fresh module to its engine, which it keeps alive. */
void engine_adopt_module(Engine *engine, Module *module, const EngineOps *ops);
/* Drops one reference; with the last one go the engine's data and the reference to the engine. */
void engine_release_module(Module *module);

#endif
