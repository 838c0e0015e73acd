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
#include "switch.h"
#include "wait.h"

#if defined(RILLE_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id)       ((void)(id))
#endif

#define STACK_BYTES   MIB
#define MACHINE_BYTES (256 * KIB) /* of STACK_BYTES */
#define MACHINE_ROOM  (64 * KIB)
#define VALUES_MIN    64 /* slots that an entry needs besides its own */
enum { POOL_ROOM = 64 };

/* Mapping */

static bool map_stack(Stack *stack, size_t size) {
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
  stack->values_end = (Slot *)(void *)(map + size - MACHINE_BYTES);
  stack->machine_top = map + size;
  stack->valgrind = VALGRIND_STACK_REGISTER(map + guard, map + size - 1);
  return true;
}

static void unmap_stack(Stack *stack) {
  VALGRIND_STACK_DEREGISTER(stack->valgrind);
  os_release(stack->map, stack->size);
}

/* Replaces an empty stack by one that holds `bytes` of values. */
static void enlarge(Stack *stack, uint64_t bytes) {
  size_t guard = os_page_size();
  if (bytes > SIZE_MAX / 4) return;
  size_t size = (size_t)align_up(bytes + MACHINE_BYTES + guard + 64 * KIB, guard);
  Stack larger = *stack;
  if (size <= stack->size || !map_stack(&larger, size)) return;
  unmap_stack(stack);
  *stack = larger;
}

/* The pool */

static bool page_is_used(const char *page) {
  const uint64_t *words = (const uint64_t *)(const void *)page;
  for (size_t i = 0; i < 4 * KIB / sizeof *words; i++) {
    if (words[i] != 0) return true;
  }
  return false;
}

/* Gives memory back when deep runs have left any: frames hold addresses, so a page of them is not
 * all zero. Reading a page that was never written takes no memory. */
static void trim(Stack *stack) {
  char *deep = stack->map + 64 * KIB, *deep_machine = stack->machine_top - 64 * KIB;
  if (!page_is_used(deep) && !page_is_used(deep_machine - 4 * KIB)) return;
  (void)os_discard(deep, (size_t)(deep_machine - deep));
}

static Stack *take_pooled(Engine *engine) {
  os_mutex_lock(&engine->lock);
  Stack *stack = engine->stack_pool;
  if (stack != NULL) {
    engine->stack_pool = stack->next;
    engine->n_pooled--;
  }
  os_mutex_unlock(&engine->lock);
  return stack;
}

static bool give_pooled(Engine *engine, Stack *stack) {
  if (stack->size != STACK_BYTES) return false;
  os_mutex_lock(&engine->lock);
  bool keep = engine->n_pooled < POOL_ROOM;
  if (keep) {
    stack->next = engine->stack_pool;
    engine->stack_pool = stack;
    engine->n_pooled++;
  }
  os_mutex_unlock(&engine->lock);
  return keep;
}

Stack *stack_new(Engine *engine, void *user) {
  Stack *stack = take_pooled(engine);
  if (stack == NULL) {
    Alloc *alloc = &engine->alloc;
    stack = alloc_zero(alloc, sizeof *stack);
    if (stack == NULL) return NULL;
    if (!map_stack(stack, STACK_BYTES)) {
      alloc_free(alloc, stack, sizeof *stack);
      return NULL;
    }
    stack->engine = engine;
  }
  engine_retain(engine);
  stack->user = user;
  return stack;
}

static void free_stack(Engine *engine, Stack *stack) {
  unmap_stack(stack);
  alloc_free(&engine->alloc, stack, sizeof *stack);
}

void stack_free_pool(Engine *engine) {
  for (Stack *stack = engine->stack_pool, *next; stack != NULL; stack = next) {
    next = stack->next;
    free_stack(engine, stack);
  }
}

void stack_free(Stack *stack) {
  Engine *engine = stack->engine;
  if (stack->top != NULL) {
    Act *bottom = stack->top;
    while (bottom->outer != NULL) bottom = bottom->outer;
    stack_finish(bottom);
  }
  trim(stack);
  if (!give_pooled(engine, stack)) free_stack(engine, stack);
  engine_release(engine);
}

/* Dropping */

static void count_running(const Act *act, int change) {
  Instance *instance = act->func->instance;
  if (instance == NULL) return;
  instance->n_running += (uint32_t)change;
  store_of(instance->store)->n_running += (uint32_t)change;
}

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
  if (act->state == ACT_RUNNING || act->state == ACT_IN_HOST) count_running(act, -1);
  stack->top = act->outer;
}

static void drop_above(Act *act) {
  while (act->stack->top != act) drop_top(act->stack);
  forget_frames(act->stack);
}

void stack_finish(Act *act) {
  Stack *stack = act->stack;
  bool is_whole = act->state == ACT_ENDED && stack->top == act;
  while (stack->top != act) drop_top(stack);
  drop_top(stack);
  if (UNLIKELY(!is_whole)) forget_frames(stack);
}

/* The calling thread. In a shared library this access is worth its own words: the general way calls
 * a function. (musl gives late libraries no room for the fast one.) */
#if defined(__GLIBC__)
__attribute__((tls_model("initial-exec")))
#endif
static _Thread_local uint64_t thread_token;

static FORCE_INLINE uint64_t current_thread(void) {
  if (UNLIKELY(thread_token == 0)) thread_token = os_thread_token();
  return thread_token;
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

/* Where the values of an outermost entry end. */
static COLD Slot *limited_end(Stack *stack, uint64_t bytes) {
  enlarge(stack, bytes);
  uint64_t room = (uint64_t)(stack->values_end - stack->values) * sizeof(Slot);
  return stack->values + MIN(room, bytes) / sizeof(Slot);
}

static void init_act(Act *act, Func *func, void *context, Slot *slots) {
  act->slots = slots;
  act->host_slots = NULL;
  act->host_func = NULL;
  act->context = context;
  act->func = func;
  act->user = 0;
  act->value_top = slots + func->n_slots;
  act->frames = NULL;
  act->deadline_ns = UINT64_MAX;
  act->time_left_ns = 0;
  act->state = ACT_NEW;
  act->status = RUN_DONE;
  act->trap = TRAP_NONE;
  act->limit = LIMIT_NONE;
  act->exit_status = 0;
  act->exception = 0;
  act->error_kind = ERROR_NONE;
  act->waiter = NULL;
  act->message[0] = '\0';
}

Act *stack_prepare(Stack *stack, Func *func, void *context, char *here) {
  uint64_t thread = current_thread();
  if (UNLIKELY(stack->top != NULL) && is_dead(stack->top, here, thread)) {
    drop_dead(stack, here, thread);
  }
  Act *outer = stack->top;
  Instance *instance = func->instance;
  uint64_t stack_bytes = outer == NULL && instance != NULL ? instance->limits.stack_bytes : 0;
  Slot *end = stack_bytes == 0 ? stack->values_end : limited_end(stack, stack_bytes);
  Slot *at = stack->values;
  char *machine = stack->machine_top;
  uint32_t depth = 0;
  if (outer != NULL) {
    depth = outer->depth + 1;
    at = (Slot *)(void *)align_up((uintptr_t)outer->value_top, 16);
    end = outer->value_end;
    machine = (char *)(((uintptr_t)outer->guest_sp - 128) & ~(uintptr_t)15);
    if (outer->instance != NULL) instance = outer->instance;
    if (machine - (char *)stack->values_end < (ptrdiff_t)MACHINE_ROOM) return NULL;
  }
  Act *act = (Act *)(void *)at;
  Slot *slots = (Slot *)(void *)((char *)act + align_up(sizeof *act, 16));
  if (end < slots || end - slots < (ptrdiff_t)(func->n_slots + VALUES_MIN)) return NULL;
  if (depth >= STACK_NESTING_MAX) return NULL;
  init_act(act, func, context, slots);
  act->outer = outer;
  act->stack = stack;
  act->instance = instance;
  act->guest_sp = machine;
  act->thread = thread;
  act->anchor = here;
  act->depth = depth;
  act->value_end = end;
  stack->top = act;
  return act;
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
  act->status = status;
  count_running(act, -1);
  return status;
}

/* The switches, as the sanitizer wants to be told of them */

#if defined(RILLE_NO_SWITCH)
static RunStatus enter_guest(Act *act) {
  return act->func->instance->ops->run(act);
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

static RunStatus enter_guest(Act *act) {
  __sanitizer_start_switch_fiber(&act->host_fake, act->stack->values_end, asan_size(act));
  RunStatus status = rille_switch_enter(act, guest_main, act->guest_sp);
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
static FORCE_INLINE RunStatus enter_guest(Act *act) {
  return rille_switch_enter(act, act->func->instance->ops->run, act->guest_sp);
}

static FORCE_INLINE RunStatus leave_guest(Act *act, HostFn *fn, void *data, Slot *slots) {
  return rille_switch_host(act, fn, data, slots);
}

static RunStatus resume_guest(Act *act, RunStatus status) {
  return rille_switch_resume(act, status);
}
#endif

/* An interrupt that came while nothing ran was for what had run before. */
static COLD void clear_interrupt(Store *store) {
  if (store->n_running == 0) atomic_fetch_and(&store->poll, ~(uint32_t)POLL_INTERRUPT);
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
  Store *store = store_of(instance->store);
  uint32_t poll = atomic_load_explicit(&store->poll, memory_order_relaxed);
  if (UNLIKELY((poll & POLL_INTERRUPT) != 0)) clear_interrupt(store);
  instance->n_running++;
  store->n_running++;
  act->state = ACT_RUNNING;
  if (UNLIKELY(act->instance->limits.timeout_ns != 0) && act->outer == NULL) {
    limits_start_clock(act);
  }
  return end_run(act, enter_guest(act));
}

RunStatus stack_resume(Act *act, RunStatus host_status, void *context, char *here) {
  if (act->state != ACT_IN_HOST && act->state != ACT_DETACHED) {
    return refuse(act, "only a run that a host function left can be resumed");
  }
  drop_above(act);
  if (act->state == ACT_IN_HOST) count_running(act, -1);
  Instance *instance = act->func->instance;
  if (instance != NULL && instance->is_closed) return refuse(act, "instance is closed");
  Act *bottom = act;
  while (bottom->outer != NULL) bottom = bottom->outer;
  limits_continue_clock(bottom);
  act->context = context;
  act->anchor = here;
  act->thread = current_thread();
  act->state = ACT_RUNNING;
  count_running(act, 1);
  return end_run(act, instance != NULL ? resume_guest(act, host_status) : host_status);
}

void stack_detach(Stack *stack) {
  Act *bottom = NULL;
  for (Act *act = stack->top; act != NULL; act = act->outer) {
    bottom = act;
    if (act->state != ACT_IN_HOST) continue;
    act->state = ACT_DETACHED;
    count_running(act, -1);
  }
  if (bottom != NULL) limits_stop_clock(bottom);
}

/* Host calls */

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
