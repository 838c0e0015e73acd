/* engine.c - the engine handle and the end of modules. */
#include "engine.h"

#include "image.h"
#include "stack.h"

_Static_assert(offsetof(Engine, alloc) == 0, "engine_of_module finds the engine by its allocator");

Engine *engine_new(ResizeFn *resize, void *user, const EngineOps *ops) {
  Alloc boot;
  alloc_init(&boot, resize, user);
  Engine *engine = alloc_zero(&boot, sizeof *engine);
  if (engine == NULL) return NULL;
  alloc_init(&engine->alloc, resize, user);
  atomic_init(&engine->refs, 1);
  engine->ops = ops;
  os_mutex_init(&engine->lock);
  return engine;
}

void engine_retain(Engine *engine) {
  atomic_fetch_add_explicit(&engine->refs, 1, memory_order_relaxed);
}

void engine_release(Engine *engine) {
  if (atomic_fetch_sub_explicit(&engine->refs, 1, memory_order_acq_rel) != 1) return;
  stack_free_pool(engine);
  os_mutex_clear(&engine->lock);
  Alloc boot;
  alloc_init(&boot, engine->alloc.resize, engine->alloc.user);
  alloc_free(&boot, engine, sizeof *engine);
}

const EngineOps *engine_ops_of(const Module *module) {
  return module->engine_ops != NULL ? module->engine_ops : engine_of_module(module)->ops;
}

void engine_adopt_module(Engine *engine, Module *module, const EngineOps *ops) {
  engine_retain(engine);
  module->engine_ops = ops;
}

void engine_release_module(Module *module) {
  if (atomic_fetch_sub_explicit(&module->refs, 1, memory_order_acq_rel) != 1) return;
  Engine *engine = engine_of_module(module);
  engine_ops_of(module)->drop_module(module);
  image_free(module);
  atomic_store_explicit(&module->refs, 1, memory_order_relaxed);
  module_release(module);
  engine_release(engine);
}
