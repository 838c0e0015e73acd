/* stores.c - the life of stores: handles, joining, what they hold, and the end. */
#include "stores.h"

#include "engine.h"
#include "externs.h"
#include "gc.h"
#include "instance.h"
#include "limits.h"
#include "table.h"

enum { HELD_ROOM_MIN = 8 };

Store *store_new(Engine *engine) {
  Store *store = alloc_zero(&engine->alloc, sizeof *store);
  if (store == NULL) return NULL;
  store->engine = engine;
  store->alloc = &engine->alloc;
  atomic_init(&store->refs, 1);
  atomic_init(&store->poll, POLL_TICK); /* limits.c: a store that is not ticked has it set */
  engine_retain(engine);
  return store;
}

/* The store that counts a handle. */
static Store *counting(Store *store) {
  return store->is_alias ? store : store_of(store);
}

void store_retain(Store *store) {
  atomic_fetch_add_explicit(&counting(store)->refs, 1, memory_order_relaxed);
}

/* Functions that are held: a set that only grows. */

static size_t held_start(const Store *store, const Func *func) {
  return ((uintptr_t)func >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32 & (store->held_room - 1);
}

static bool held_add(Store *store, Func *func) {
  size_t i = held_start(store, func);
  while (store->held[i] != NULL) {
    if (store->held[i] == func) return false;
    i = (i + 1) & (store->held_room - 1);
  }
  store->held[i] = func;
  store->n_held++;
  return true;
}

/* Room for n more at a load of at most one half. */
static bool held_reserve(Store *store, uint32_t n) {
  uint64_t room = MAX(store->held_room, HELD_ROOM_MIN);
  while (room < 2 * ((uint64_t)store->n_held + n)) room *= 2;
  if (room == store->held_room) return true;
  if (room > UINT32_MAX) return false;
  Func **old = store->held, **held = alloc_zero(store->alloc, (size_t)room * sizeof *held);
  uint32_t old_room = store->held_room;
  if (held == NULL) return false;
  store->held = held;
  store->held_room = (uint32_t)room;
  store->n_held = 0;
  for (uint32_t i = 0; i < old_room; i++) {
    if (old[i] != NULL) held_add(store, old[i]);
  }
  alloc_free(store->alloc, old, old_room * sizeof *old);
  return true;
}

static bool hold_func(Store *store, Func *func) {
  if (!held_reserve(store, 1)) return false;
  if (held_add(store, func)) {
    func_retain(func);
    store->weight++;
  }
  return true;
}

/* Joining. */

static void move_instances(Store *to, Store *from) {
  Instance **last = &from->instances;
  while (*last != NULL) {
    (*last)->poll = &to->poll;
    last = &(*last)->next;
  }
  *last = to->instances;
  to->instances = from->instances;
  from->instances = NULL;
}

#define MOVE_LIST(to, from, Type, list, link)       \
  do {                                              \
    Type **last_ = &(from)->list;                   \
    while (*last_ != NULL) last_ = &(*last_)->link; \
    *last_ = (to)->list;                            \
    (to)->list = (from)->list;                      \
    (from)->list = NULL;                            \
  } while (0)

static void move_acts(Store *to, Store *from) {
  for (Act *act = from->acts, *next; act != NULL; act = next) {
    next = act->next_act;
    store_add_act(to, act);
  }
  from->acts = NULL;
}

static void move_held(Store *to, Store *from) {
  for (uint32_t i = 0; i < from->held_room; i++) {
    Func *func = from->held[i];
    if (func != NULL && !held_add(to, func)) func_release(func);
  }
  alloc_free(from->alloc, from->held, from->held_room * sizeof *from->held);
  from->held = NULL;
  from->held_room = from->n_held = 0;
}

static void move_all(Store *to, Store *from) {
  move_instances(to, from);
  MOVE_LIST(to, from, Table, tables, next);
  MOVE_LIST(to, from, Global, globals, next);
  MOVE_LIST(to, from, HostValue, host_values, next);
  move_acts(to, from);
  gc_merge(to, from);
  if (from->n_held != 0) move_held(to, from);
  to->weight += from->weight;
  to->has_handlers |= from->has_handlers;
  uint32_t handles = atomic_exchange_explicit(&from->refs, 0, memory_order_relaxed);
  atomic_fetch_add_explicit(&to->refs, handles, memory_order_relaxed);
}

static bool is_empty(const Store *store) {
  return store->weight == 0 && store->heap == NULL && store->acts == NULL && store->held == NULL &&
         store->merged == NULL;
}

/* Nothing but handles points to an empty store: it goes with the last of them. A host that makes a
 * store for each instance of a plugin leaves nothing behind in the store that these join. */
static void join_empty(Store *to, Store *from) {
  limits_forget(from);
  from->is_alias = true;
  store_retain(to);
}

static void join_contents(Store *to, Store *from) {
  limits_forget(from);
  move_all(to, from);
  from->next_merged = to->merged;
  to->merged = from;
}

bool store_merge(Store *a, Store *b) {
  Store *to = store_of(a), *from = store_of(b);
  if (to == from) return true;
  if (to->weight + gc_weight(to) < from->weight + gc_weight(from)) {
    Store *lighter = to;
    to = from;
    from = lighter;
  }
  if (from->n_held != 0 && !held_reserve(to, from->n_held)) return false;
  if (!gc_prepare_merge(to, from)) return false;
  if (is_empty(from)) {
    join_empty(to, from);
  } else {
    join_contents(to, from);
  }
  /* In this order, so that an interrupt is either moved here or lands in `to` (store_interrupt). */
  atomic_store(&from->into, to);
  uint32_t bits = atomic_exchange(&from->poll, 0);
  if ((bits & POLL_INTERRUPT) != 0) atomic_fetch_or(&to->poll, POLL_INTERRUPT);
  return true;
}

void store_interrupt(Store *store) {
  do {
    store = store_of(store);
    atomic_fetch_or(&store->poll, POLL_INTERRUPT);
  } while (atomic_load(&store->into) != NULL);
}

bool store_adopt_func(Store *store, Func *func) {
  if (func->instance != NULL) return store_merge(store, func->instance->store);
  return hold_func(store_of(store), func);
}

bool store_adopt_ref(Store *store, ValType type, Slot ref) {
  if (ref == 0 || !type_is_ref(type)) return true;
  if (heap_top(type_heap(type)) == HEAP_FUNC) {
    return store_adopt_func(store, (Func *)(uintptr_t)ref);
  }
  return (ref & 1) != 0 || store_merge(store, gc_store_of(ref));
}

/* Values of the host. */

Slot store_new_host_value(Store *store, uint64_t payload) {
  return gc_ref(gc_new_host_value(store, payload));
}

bool store_host_payload(Slot ref, uint64_t *payload) {
  if (ref == 0 || (ref & 1) != 0) return false;
  const Object *object = (const Object *)(uintptr_t)ref;
  if (object->type != NULL) return false;
  *payload = ((const HostValue *)(const void *)object)->payload;
  return true;
}

/* Types of the any family; the host's own values are any and nothing below it. */
static bool object_has_heap(Slot ref, uint32_t heap) {
  if ((ref & 1) != 0) return heap_matches(HEAP_I31, heap);
  const Type *type = ((const Object *)(uintptr_t)ref)->type;
  return type != NULL ? heap_matches(type->id, heap) : heap == HEAP_ANY;
}

bool ref_has_type(Slot ref, ValType type) {
  if (!type_is_ref(type)) return false;
  if (ref == 0) return type_is_nullable(type);
  uint32_t heap = type_heap(type);
  switch (heap_top(heap)) {
    case HEAP_FUNC: return heap_matches(((const Func *)(uintptr_t)ref)->type->id, heap);
    case HEAP_ANY: return object_has_heap(ref, heap);
    default: return heap == heap_top(heap); /* extern, exn: the only other type has no values */
  }
}

/* The end. */

/* Suspended calls that nobody will resume still lie on their stacks, and so do idle activations. */
static void forget_acts(Store *store) {
  for (Act *act = store->acts; act != NULL; act = act->next_act) {
    act->act_link = NULL;
    act->idle_in = 0;
  }
}

static void free_held(Store *store) {
  for (uint32_t i = 0; i < store->held_room; i++) {
    if (store->held[i] != NULL) func_release(store->held[i]);
  }
  alloc_free(store->alloc, store->held, store->held_room * sizeof *store->held);
}

/* The lighter store always joins the heavier one, so this is as deep as a logarithm. */
static void free_merged(Store *store) {
  for (Store *merged = store->merged, *next; merged != NULL; merged = next) {
    next = merged->next_merged;
    free_merged(merged);
    Engine *engine = merged->engine;
    alloc_free(merged->alloc, merged, sizeof *merged);
    engine_release(engine);
  }
}

static void free_store(Store *store) {
  limits_forget(store);
  for (Instance *instance = store->instances; instance != NULL; instance = instance->next) {
    instance_clear(instance);
  }
  for (Instance *instance = store->instances, *next; instance != NULL; instance = next) {
    next = instance->next;
    instance_free(instance);
  }
  for (Table *table = store->tables, *next; table != NULL; table = next) {
    next = table->next;
    table_free(table);
  }
  for (Global *global = store->globals, *next; global != NULL; global = next) {
    next = global->next;
    global_free(global);
  }
  forget_acts(store);
  gc_free(store);
  free_held(store);
  free_merged(store);
  Engine *engine = store->engine;
  alloc_free(store->alloc, store, sizeof *store);
  engine_release(engine);
}

static void free_alias(Store *alias) {
  Engine *engine = alias->engine;
  store_release(alias->into);
  alloc_free(alias->alloc, alias, sizeof *alias);
  engine_release(engine);
}

void store_release(Store *store) {
  store = counting(store);
  if (atomic_fetch_sub_explicit(&store->refs, 1, memory_order_acq_rel) != 1) return;
  if (store->is_alias) {
    free_alias(store);
  } else {
    free_store(store);
  }
}
