/* stack.c - guest stacks: mapping, pooling, entering, leaving and dropping activations.
 *
 * One mapping holds a guard page, the value stack, growing up, and the machine stack, growing down
 * from the end. An activation lies on the value stack below its slots. Values may fill the mapping
 * up to `values_end`; what is above belongs to the machine stack, of which every entry needs
 * MACHINE_ROOM: an engine's frame, a host's signal handler and what runtime.h offers fit in it.
 *
 * A host function may leave by longjmp at any time. Its activation then stays on the stack as
 * garbage, to be found by the next prepare: it was entered from a place of the C stack that the
 * caller has left since, or in a thread that does not use the stack any more.
 */
#include "stack.h"

#include "engine.h"
#include "limits.h"
#include "runtime.h"
#include "stores.h"
#include "switch.h"
#include "wait.h"

#if defined(RILLE_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id)       ((void)(id))
#define VALGRIND_MAKE_MEM_UNDEFINED(at, n)  ((void)(at))
#endif

#define STACK_BYTES   (2 * MIB)
#define MACHINE_BYTES (MIB + MACHINE_ROOM) /* of STACK_BYTES, or more where more is wanted */
#define MACHINE_ROOM  (64 * KIB)
#define C_STACK_ROOM  (128 * KIB) /* of the host's stack, for what a host function may do */
#define VALUES_MIN    64          /* slots that an entry needs besides its own */
enum { POOL_ROOM = 64 };

/* Mapping */

static bool map_stack(Stack *stack, size_t size, size_t machine_bytes) {
  size_t guard = os_page_size();
  char *map = os_reserve(size);
  if (map == NULL) return false;
  if (!os_commit(map + guard, size - guard)) {
    os_release(map, size);
    return false;
  }
  stack->map = map;
  stack->size = size;
  stack->values = (Slot *)(void *)(map + guard);
  stack->values_end = (Slot *)(void *)(map + size - machine_bytes);
  stack->machine_top = map + size;
  stack->valgrind = VALGRIND_STACK_REGISTER(map + guard, map + size - 1);
  return true;
}

static void unmap_stack(const Stack *stack) {
  VALGRIND_STACK_DEREGISTER(stack->valgrind);
  os_release(stack->map, stack->size);
}

static FORCE_INLINE Act *first_act(const Stack *stack) {
  return (Act *)(void *)stack->values;
}

/* Ends the rest of the activation that the last outermost run left in its store's list. */
static void wake(const Stack *stack) {
  Act *act = first_act(stack);
  if (act->idle_in == 0) return;
  act->idle_in = 0;
  store_remove_act(act);
}

/* Replaces an empty stack by one that holds `bytes` of values or of machine frames. */
static void enlarge(Stack *stack, uint64_t bytes) {
  size_t guard = os_page_size();
  if (bytes > SIZE_MAX / 4) return;
  size_t machine_bytes = (size_t)align_up(bytes + MACHINE_ROOM, guard);
  machine_bytes = MAX(machine_bytes, MACHINE_BYTES);
  size_t size = (size_t)align_up(bytes + machine_bytes + guard + 64 * KIB, guard);
  Stack larger = *stack;
  if (size <= stack->size || !map_stack(&larger, size, machine_bytes)) return;
  wake(stack);
  unmap_stack(stack);
  *stack = larger;
}

/* The pool */

static bool page_is_used(const char *page) {
  /* Each word is like the one before it, and the first is zero: memcmp is the fast way to see. */
  return load_u64(page) != 0 || memcmp(page, page + 8, 4 * KIB - 8) != 0;
}

/* Gives memory back when deep runs have left any: frames hold addresses, so a page of them is not
 * all zero. Reading a page that was never written takes no memory. */
static void trim(Stack *stack) {
  char *deep = stack->map + 64 * KIB, *deep_machine = stack->machine_top - 64 * KIB;
  if (!page_is_used(deep) && !page_is_used(deep_machine - 4 * KIB)) return;
  (void)os_discard(deep, (size_t)(deep_machine - deep));
}

/* A mapping in the pool holds its own description, so that the pool takes nothing from the engine's
 * allocator. It stands where no activation starts: an old one of these is reused as it is. */
static Stack *description_in(const Stack *stack) {
  return (Stack *)(void *)((char *)stack->values + 2 * KIB);
}

static bool take_pooled(Engine *engine, Stack *stack) {
  os_mutex_lock(&engine->lock);
  Stack *pooled = engine->stack_pool;
  if (pooled != NULL) {
    engine->stack_pool = pooled->next;
    engine->n_pooled--;
  }
  os_mutex_unlock(&engine->lock);
  if (pooled == NULL) return false;
  *stack = *pooled;
  return true;
}

static bool give_pooled(Engine *engine, const Stack *stack) {
  if (stack->size != STACK_BYTES) return false;
  Stack *pooled = description_in(stack);
  os_mutex_lock(&engine->lock);
  bool keep = engine->n_pooled < POOL_ROOM;
  if (keep) {
    *pooled = *stack;
    pooled->next = engine->stack_pool;
    engine->stack_pool = pooled;
    engine->n_pooled++;
  }
  os_mutex_unlock(&engine->lock);
  return keep;
}

Stack *stack_new(Engine *engine, void *user) {
  Stack *stack = alloc_zero(&engine->alloc, sizeof *stack);
  if (stack == NULL) return NULL;
  if (!take_pooled(engine, stack) && !map_stack(stack, STACK_BYTES, MACHINE_BYTES)) {
    alloc_free(&engine->alloc, stack, sizeof *stack);
    return NULL;
  }
  engine_retain(engine);
  stack->engine = engine;
  stack->user = user;
  stack->stays = false;
  return stack;
}

void stack_free_pool(Engine *engine) {
  for (Stack *pooled = engine->stack_pool; pooled != NULL;) {
    Stack stack = *pooled;
    pooled = stack.next;
    unmap_stack(&stack);
  }
}

void stack_free(Stack *stack) {
  Engine *engine = stack->engine;
  if (stack->top != NULL) {
    Act *bottom = stack->top;
    while (bottom->outer != NULL) bottom = bottom->outer;
    stack_finish(bottom);
  }
  wake(stack);
  trim(stack);
  if (!give_pooled(engine, stack)) unmap_stack(stack);
  alloc_free(&engine->alloc, stack, sizeof *stack);
  engine_release(engine);
}

/* Dropping */

/* Frames that were cut are still marked in the sanitizer's shadow. */
static void forget_frames(const Stack *stack) {
#if defined(RILLE_ASAN)
  const char *from = (const char *)stack->values_end;
  __asan_unpoison_memory_region(from, (size_t)(stack->machine_top - from));
#else
  (void)stack;
#endif
}

static void drop_top(Stack *stack) {
  Act *act = stack->top;
  if (UNLIKELY(act->waiter != NULL)) wait_cancel(act);
  store_remove_act(act);
  stack->top = act->outer;
}

static void drop_above(Act *act) {
  while (act->stack->top != act) drop_top(act->stack);
  forget_frames(act->stack);
}

static COLD void finish_cut(Act *act) {
  Stack *stack = act->stack;
  while (stack->top != act) drop_top(stack);
  drop_top(stack);
  forget_frames(stack);
}

/* The calling thread: who it is, and the addresses where its C stack is nearly full. In a shared
 * library this access is worth its own words: the general way calls a function. (musl gives late
 * libraries no room for the fast one.) */
#define NO_THREAD UINT64_MAX
typedef struct Thread {
  uint64_t token; /* NO_THREAD: not known yet */
  const char *full;
  size_t full_size;
} Thread;
#if defined(__GLIBC__)
__attribute__((tls_model("initial-exec")))
#endif
static _Thread_local Thread this_thread = {.token = NO_THREAD};

/* Hosts that nest without end have to meet a limit of ours before that of the stack. */
static COLD uint64_t learn_thread(Thread *thread) {
  size_t size;
  if (os_stack_bounds(&thread->full, &size)) thread->full_size = MIN(size / 4, C_STACK_ROOM);
  return thread->token = os_thread_token();
}

static FORCE_INLINE uint64_t current_thread(Thread *thread) {
  uint64_t token = thread->token;
  return LIKELY(token != NO_THREAD) ? token : learn_thread(thread);
}

const uint64_t *stack_thread_token(void) {
  return &this_thread.token;
}

static FORCE_INLINE bool is_nearly_full(const Thread *thread, const char *here) {
  return (uintptr_t)here - (uintptr_t)thread->full < thread->full_size;
}

/* The C stack grows down: whoever was entered from a lower address than `here` has been left. */
static FORCE_INLINE bool is_dead(const Act *act, const char *here, uint64_t thread) {
  return act->state != ACT_DETACHED && (act->thread != thread || act->anchor <= here);
}

static COLD void drop_dead(Stack *stack, const char *here, uint64_t thread) {
  do {
    drop_top(stack);
  } while (stack->top != NULL && is_dead(stack->top, here, thread));
  forget_frames(stack);
}

/* Entering */

/* Where an activation goes, and what it takes over from the one below it. */
typedef struct Place {
  Slot *at, *end;
  char *machine;
  Instance *instance;
  uint32_t depth;
} Place;

/* An outermost entry: its own instance's limits hold. */
static FORCE_INLINE Place place_first(const Stack *stack, Instance *instance) {
  return (Place){stack->values, stack->values_end, stack->machine_top, instance, 0};
}

static COLD void limit_values(Stack *stack, Place *place) {
  uint64_t bytes = place->instance->limits.stack_bytes;
  enlarge(stack, bytes);
  *place = place_first(stack, place->instance);
  uint64_t room = (uint64_t)(place->end - place->at) * sizeof(Slot);
  place->end = place->at + MIN(room, bytes) / sizeof(Slot);
}

/* An entry from a host function: the limits of the outermost one hold. False: no room. */
static bool place_nested(const Act *outer, Instance *instance, Place *place) {
  *place = (Place){.at = (Slot *)(void *)align_up((uintptr_t)outer->value_top, 16),
                   .end = outer->value_end,
                   .machine = (char *)(((uintptr_t)outer->guest_sp - 128) & ~(uintptr_t)15),
                   .instance = outer->instance != NULL ? outer->instance : instance,
                   .depth = outer->depth + 1};
  /* Frames that have returned lay there. */
  VALGRIND_MAKE_MEM_UNDEFINED(place->machine - 4 * KIB, 4 * KIB);
  return place->depth < STACK_NESTING_MAX &&
         place->machine - (char *)outer->stack->values_end >= (ptrdiff_t)MACHINE_ROOM;
}

#define ACT_BYTES ((sizeof(Act) + 15) & ~(size_t)15)

static FORCE_INLINE bool has_room(Place place, const Func *func) {
  size_t needed = ACT_BYTES + (func->n_slots + VALUES_MIN) * sizeof(Slot);
  return (char *)place.end - (char *)place.at >= (ptrdiff_t)needed;
}

/* Everything that stays as it is through a run which ends well. */
static void init_act(Act *act, Stack *stack, uint32_t depth) {
  memset(act, 0, offsetof(Act, message) + 1);
  act->slots = (Slot *)(void *)((char *)act + ACT_BYTES);
  act->stack = stack;
  act->outer = stack->top;
  act->depth = depth;
  act->deadline_ns = UINT64_MAX;
}

static FORCE_INLINE void push_act(Stack *stack, Act *act, const Instance *instance) {
  stack->top = act;
  if (LIKELY(instance != NULL)) store_add_act(store_of(instance->store), act);
}

/* The rest. */
static void fill_act(Act *act, Place place, Func *func, void *context, char *here,
                     uint64_t thread) {
  act->context = context;
  act->func = func;
  act->guest_sp = place.machine;
  act->thread = thread;
  act->instance = place.instance;
  act->value_end = place.end;
  act->value_top = act->slots + func->n_slots;
  act->anchor = here;
}

static NO_INLINE Act *prepare_slowly(Stack *stack, Func *func, void *context, char *here) {
  uint64_t thread = current_thread(&this_thread);
  if (is_nearly_full(&this_thread, here)) return NULL;
  if (stack->top != NULL && is_dead(stack->top, here, thread)) drop_dead(stack, here, thread);
  if (stack->top == NULL) wake(stack);
  Instance *instance = func->instance;
  Place place = place_first(stack, instance);
  if (stack->top != NULL) {
    if (!place_nested(stack->top, instance, &place)) return NULL;
  } else if (instance != NULL && instance->limits.stack_bytes != 0) {
    limit_values(stack, &place);
  }
  if (!has_room(place, func)) return NULL;
  Act *act = (Act *)(void *)place.at;
  init_act(act, stack, place.depth);
  fill_act(act, place, func, context, here, thread);
  push_act(stack, act, instance);
  return act;
}

/* The last outermost run on the stack was this thread's, ended well and had all of it. A page that
 * was never used is ACT_NEW. */
static FORCE_INLINE bool is_reusable(const Act *act, const Stack *stack) {
  return act->state == ACT_ENDED && act->status == RUN_DONE && act->stack == stack &&
         act->value_end == stack->values_end && act->thread == this_thread.token;
}

/* The activation of the last outermost run, if it can be used again as it lies there. No function
 * of an instance has so many parameters that they would not fit on an empty stack. */
static FORCE_INLINE Act *find_reusable(Stack *stack, const char *here) {
  Act *act = first_act(stack);
  if (UNLIKELY(stack->top != NULL || is_nearly_full(&this_thread, here))) return NULL;
  if (UNLIKELY(!is_reusable(act, stack))) return NULL;
  wake(stack);
  return act;
}

/* What the last run may have left otherwise. There is about one store a cycle, so their number is
 * what an entry costs. */
static FORCE_INLINE void reuse_act(Act *act, Func *func, Instance *instance, void *context,
                                   char *here) {
  act->context = context;
  act->func = func;
  act->instance = instance;
  act->value_top = act->slots + func->n_slots;
  act->anchor = here;
  act->user = 0;
  act->frames = NULL;
  act->exception = 0;
}

/* An outermost run has ended well. Its activation stays in the list of its store where the next run
 * probably wants it. */
static FORCE_INLINE void rest(Stack *stack, Act *act) {
  stack->top = NULL;
  if (LIKELY(stack->stays && act->act_link != NULL)) {
    act->idle_in = act->thread = this_thread.token;
  } else {
    store_remove_act(act);
  }
}

Act *stack_prepare(Stack *stack, Func *func, void *context, char *here) {
  Act *act = find_reusable(stack, here);
  Instance *instance = func->instance;
  if (UNLIKELY(act == NULL || instance == NULL || instance->limits.stack_bytes != 0)) {
    return prepare_slowly(stack, func, context, here);
  }
  reuse_act(act, func, instance, context, here);
  act->guest_sp = stack->machine_top;
  act->state = ACT_NEW;
  push_act(stack, act, instance);
  return act;
}

void stack_finish(Act *act) {
  Stack *stack = act->stack;
  if (UNLIKELY(act->state != ACT_ENDED || stack->top != act)) {
    finish_cut(act);
  } else if (act == first_act(stack) && is_reusable(act, stack)) {
    rest(stack, act);
  } else {
    store_remove_act(act);
    stack->top = act->outer;
  }
}

void stack_drop_left(Stack *stack, const char *here) {
  uint64_t thread = current_thread(&this_thread);
  if (stack->top != NULL && is_dead(stack->top, here, thread)) drop_dead(stack, here, thread);
}

static RunStatus refuse(Act *act, const char *message) {
  act->state = ACT_ENDED;
  act->trap = TRAP_HOST;
  act->error_kind = ERROR_MISUSE;
  size_t size = MIN(strlen(message), sizeof act->message - 1);
  memcpy(act->message, message, size);
  act->message[size] = '\0';
  return act->status = RUN_TRAP;
}

static RunStatus end_run(Act *act, RunStatus status) {
  act->state = ACT_ENDED;
  if (UNLIKELY((~act->deadline_ns | act->time_left_ns) != 0)) limits_clear_clock(act);
  act->status = status;
  return status;
}

/* The switches, as the sanitizer wants to be told of them */

#if defined(RILLE_NO_SWITCH)
static RunStatus enter_guest(Act *act, const Instance *instance, void *machine) {
  (void)machine;
  return instance->ops->run(act);
}

static FORCE_INLINE RunStatus leave_guest(Act *act, HostFn *fn, void *data, Slot *slots) {
  return fn(act, data, slots);
}

static RunStatus resume_guest(Act *act, RunStatus status) {
  (void)status;
  return refuse(act, "guest code cannot be resumed: there is no stack switch for this processor");
}
#elif defined(RILLE_ASAN)
static size_t asan_size(const Act *act) {
  return (size_t)(act->stack->machine_top - (const char *)act->stack->values_end);
}

static RunStatus guest_main(Act *act) {
  __sanitizer_finish_switch_fiber(NULL, &act->host_bottom, &act->host_size);
  RunStatus status = act->func->instance->ops->run(act);
  __sanitizer_start_switch_fiber(NULL, act->host_bottom, act->host_size);
  return status;
}

static RunStatus enter_guest(Act *act, const Instance *instance, void *machine) {
  (void)instance;
  __sanitizer_start_switch_fiber(&act->host_fake, act->stack->values_end, asan_size(act));
  RunStatus status = rille_switch_enter(act, guest_main, machine);
  __sanitizer_finish_switch_fiber(act->host_fake, NULL, NULL);
  return status;
}

typedef struct HostCall {
  HostFn *fn;
  void *data;
} HostCall;

static RunStatus host_main(Act *act, void *call, Slot *slots) {
  HostCall host = *(const HostCall *)call;
  __sanitizer_finish_switch_fiber(act->host_fake, NULL, NULL);
  RunStatus status = host.fn(act, host.data, slots);
  __sanitizer_start_switch_fiber(&act->host_fake, act->stack->values_end, asan_size(act));
  return status;
}

static RunStatus leave_guest(Act *act, HostFn *fn, void *data, Slot *slots) {
  HostCall call = {fn, data};
  __sanitizer_start_switch_fiber(&act->guest_fake, act->host_bottom, act->host_size);
  RunStatus status = rille_switch_host(act, host_main, &call, slots);
  __sanitizer_finish_switch_fiber(act->guest_fake, &act->host_bottom, &act->host_size);
  return status;
}

static RunStatus resume_guest(Act *act, RunStatus status) {
  __sanitizer_start_switch_fiber(&act->host_fake, act->stack->values_end, asan_size(act));
  status = rille_switch_resume(act, status);
  __sanitizer_finish_switch_fiber(act->host_fake, NULL, NULL);
  return status;
}
#else
static FORCE_INLINE RunStatus enter_guest(Act *act, const Instance *instance, void *machine) {
  return rille_switch_enter(act, instance->ops->run, machine);
}

static FORCE_INLINE RunStatus leave_guest(Act *act, HostFn *fn, void *data, Slot *slots) {
  return rille_switch_host(act, fn, data, slots);
}

static RunStatus resume_guest(Act *act, RunStatus status) {
  return rille_switch_resume(act, status);
}
#endif

/* An interrupt that came while nothing ran was for what had run before. */
static COLD void clear_interrupt(const Act *entered) {
  Store *store = store_of(entered->func->instance->store);
  for (const Act *act = store->acts; act != NULL; act = act->next_act) {
    if (act_is_running(act)) return;
  }
  atomic_fetch_and(&store->poll, ~(uint32_t)POLL_INTERRUPT);
}

/* A host function that the host calls itself: it is on the right stack already. */
static RunStatus run_host_func(Act *act) {
  Func *func = act->func;
  act->state = ACT_IN_HOST;
  act->host_func = func;
  act->host_slots = act->slots;
  return end_run(act, func->host(act, func->host_data, act->slots));
}

RunStatus stack_run(Act *act) {
  Instance *instance = act->func->instance;
  if (UNLIKELY(instance == NULL)) return run_host_func(act);
  if (UNLIKELY(instance->is_closed)) return refuse(act, "instance is closed");
  uint32_t poll = atomic_load_explicit(instance->poll, memory_order_relaxed);
  if (UNLIKELY((poll & POLL_INTERRUPT) != 0)) clear_interrupt(act);
  if (UNLIKELY(act->stack->top != act)) drop_above(act); /* left since it was prepared */
  act->state = ACT_RUNNING;
  if (UNLIKELY(act->instance->limits.timeout_ns != 0) && act->outer == NULL) {
    limits_start_clock(act);
  }
  return end_run(act, enter_guest(act, instance, act->guest_sp));
}

/* Most functions take one or two: these are copied in any case. */
static FORCE_INLINE void copy_args(Slot *to, const Slot *from, uint32_t n) {
  to[0] = from[0], to[1] = from[1];
  for (uint32_t i = 2; UNLIKELY(i < n); i++) to[i] = from[i];
}

static NO_INLINE Entered enter_slowly(Stack *stack, Func *func, void *context, const Slot *args,
                                      char *here) {
  Act *act = stack_prepare(stack, func, context, here);
  if (act == NULL) return (Entered){NULL, RUN_TRAP};
  copy_args(act->slots, args, func->n_slots);
  RunStatus status = stack_run(act);
  if (status == RUN_DONE) stack_finish(act);
  return (Entered){act, status};
}

/* What prepare and run ask about the instance, as far as one answer does. */
static FORCE_INLINE bool may_run_at_once(const Instance *instance) {
  if (UNLIKELY(instance == NULL)) return false;
  uint32_t poll = atomic_load_explicit(instance->poll, memory_order_relaxed) & POLL_INTERRUPT;
  uint64_t limits = instance->limits.stack_bytes | instance->limits.timeout_ns;
  return (limits | poll | instance->is_closed) == 0;
}

/* The activation rests in the list of the instance's store. */
static FORCE_INLINE bool is_idle_for(const Act *act, const Instance *instance, const char *here) {
  return act->idle_in == this_thread.token && act->instance == instance &&
         !is_nearly_full(&this_thread, here);
}

Entered stack_enter(Stack *stack, Func *func, void *context, const Slot *args, char *here) {
  Act *act = first_act(stack);
  Instance *instance = func->instance;
  if (UNLIKELY(!may_run_at_once(instance))) {
    return enter_slowly(stack, func, context, args, here);
  }
  if (LIKELY(is_idle_for(act, instance, here))) {
    act->idle_in = 0;
    stack->top = act;
  } else {
    act = find_reusable(stack, here);
    if (UNLIKELY(act == NULL)) return enter_slowly(stack, func, context, args, here);
    push_act(stack, act, instance);
  }
  reuse_act(act, func, instance, context, here);
  copy_args(act->slots, args, func->n_slots);
  act->state = ACT_RUNNING;
  RunStatus status = enter_guest(act, instance, stack->machine_top);
  act->state = ACT_ENDED;
  act->status = status;
  if (LIKELY(status == RUN_DONE)) rest(act->stack, act);
  return (Entered){act, status};
}

RunStatus stack_resume(Act *act, RunStatus host_status, void *context, char *here) {
  if (act->state != ACT_IN_HOST && act->state != ACT_DETACHED) {
    return refuse(act, "only a run that a host function left can be resumed");
  }
  drop_above(act);
  Instance *instance = act->func->instance;
  if (instance != NULL && instance->is_closed) return refuse(act, "instance is closed");
  Act *bottom = act;
  while (bottom->outer != NULL) bottom = bottom->outer;
  limits_continue_clock(bottom);
  act->context = context;
  act->anchor = here;
  act->thread = current_thread(&this_thread);
  act->state = ACT_RUNNING;
  RunStatus status = instance != NULL ? resume_guest(act, host_status) : host_status;
  act->is_resumed = 0;
  return end_run(act, status);
}

void stack_detach(Stack *stack) {
  Act *bottom = NULL;
  for (Act *act = stack->top; act != NULL; act = act->outer) {
    bottom = act;
    if (act->state == ACT_IN_HOST) act->state = ACT_DETACHED;
  }
  if (bottom != NULL) limits_stop_clock(bottom);
}

/* Host calls */

void stack_leave_host(Act *act) {
  act->state = ACT_RUNNING;
  if (act->stack->top != act) drop_above(act);
}

RunStatus stack_call_host(Act *act, HostFn *fn, void *data, Slot *slots, Slot *value_top) {
  act->host_func = NULL;
  act->host_slots = slots;
  act->value_top = value_top;
  act->state = ACT_IN_HOST;
  RunStatus status = leave_guest(act, fn, data, slots);
  act->state = ACT_RUNNING;
  if (UNLIKELY(act->stack->top != act)) drop_above(act);
  return status;
}

RunStatus run_call_host(Act *act, Func *callee, Slot *slots, Slot *value_top) {
  act->host_func = callee;
  act->host_slots = slots;
  act->value_top = value_top;
  act->state = ACT_IN_HOST;
  RunStatus status = leave_guest(act, callee->host, callee->host_data, slots);
  act->state = ACT_RUNNING;
  if (UNLIKELY(act->stack->top != act)) drop_above(act);
  return status;
}

RunStatus run_call_other(Act *act, Func *callee, Slot *slots) {
  char here;
  if (&here - (const char *)act->stack->values_end < (ptrdiff_t)MACHINE_ROOM) {
    return run_trap(act, TRAP_STACK_EXHAUSTED);
  }
  Func *func = act->func;
  Slot *own_slots = act->slots, *value_top = act->value_top;
  void *entry_sp = act->entry_sp, *frames = act->frames;
  act->func = callee;
  act->slots = slots;
  act->value_top = slots + callee->n_slots;
  act->frames = NULL;
  RunStatus status = callee->instance->ops->run(act);
  act->func = func;
  act->slots = own_slots;
  act->value_top = value_top;
  act->entry_sp = entry_sp;
  act->frames = frames;
  return status;
}
