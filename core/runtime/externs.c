/* externs.c - host functions, globals and tags. */
#include "externs.h"

#include "engine.h"
#include "stores.h"

static bool drops_last(_Atomic uint32_t *refs) {
  return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

/* Host functions */

Func *func_new_host(Engine *engine, const Type *type, HostFn *fn, void *data,
                    void (*drop)(void *)) {
  Func *func = alloc_zero(&engine->alloc, sizeof *func);
  if (func == NULL) return NULL;
  types_retain(type->id);
  engine_retain(engine);
  func->type = type;
  func->n_slots = MAX(type->n_param_slots, type->n_result_slots);
  func->host = fn;
  func->host_data = data;
  func->host_drop = drop;
  func->engine = engine;
  atomic_init(&func->refs, 1);
  return func;
}

void func_retain(Func *func) {
  if (!func_is_host(func)) {
    store_retain(func->instance->store);
  } else {
    atomic_fetch_add_explicit(&func->refs, 1, memory_order_relaxed);
  }
}

void func_release(Func *func) {
  if (!func_is_host(func)) {
    store_release(func->instance->store);
    return;
  }
  if (!drops_last(&func->refs)) return;
  if (func->host_drop != NULL) func->host_drop(func->host_data);
  Engine *engine = func->engine;
  types_release(func->type->id);
  alloc_free(&engine->alloc, func, sizeof *func);
  engine_release(engine);
}

/* Globals */

Global *global_new(Engine *engine, Store *store, const GlobalType *type) {
  Global *global = alloc_zero(&engine->alloc, sizeof *global);
  if (global == NULL) return NULL;
  global->type = *type;
  global->engine = engine;
  atomic_init(&global->refs, 1);
  if (type_is_ref(type->type)) {
    if (type_is_indexed(type->type)) types_retain(type_heap(type->type));
    store = store_of(store);
    global->store = store;
    global->next = store->globals;
    store->globals = global;
    store->weight++;
  } else {
    engine_retain(engine);
  }
  return global;
}

void global_retain(Global *global) {
  if (global->store != NULL) {
    store_retain(global->store);
  } else {
    atomic_fetch_add_explicit(&global->refs, 1, memory_order_relaxed);
  }
}

void global_free(Global *global) {
  if (type_is_indexed(global->type.type)) types_release(type_heap(global->type.type));
  alloc_free(&global->engine->alloc, global, sizeof *global);
}

void global_release(Global *global) {
  if (global->store != NULL) {
    store_release(global->store);
  } else if (drops_last(&global->refs)) {
    Engine *engine = global->engine;
    global_free(global);
    engine_release(engine);
  }
}

/* Tags */

Tag *tag_new(Engine *engine, const Type *type) {
  Tag *tag = alloc_zero(&engine->alloc, sizeof *tag);
  if (tag == NULL) return NULL;
  types_retain(type->id);
  engine_retain(engine);
  tag->type = type;
  tag->engine = engine;
  atomic_init(&tag->refs, 1);
  return tag;
}

void tag_retain(Tag *tag) {
  atomic_fetch_add_explicit(&tag->refs, 1, memory_order_relaxed);
}

void tag_release(Tag *tag) {
  if (!drops_last(&tag->refs)) return;
  Engine *engine = tag->engine;
  types_release(tag->type->id);
  alloc_free(&engine->alloc, tag, sizeof *tag);
  engine_release(engine);
}
