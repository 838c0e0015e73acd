/* test_runtime_stack.c - guest stacks: entering, host calls, errors that cut frames, suspension,
 * nesting and the choice of what is dead. Guests are C functions behind an engine made here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/os.h"
#include "runtime/engine.h"
#include "runtime/limits.h"
#include "runtime/runtime.h"
#include "runtime/stack.h"
#include "runtime/stores.h"
#include "runtime/switch.h"

/* Where the caller stood: the same for every function that it calls, whatever their frames hold. */
#define HERE() ((char *)__builtin_dwarf_cfa())

typedef RunStatus Guest(Act *act);

static RunStatus run_guest(Act *act) {
  return ((Guest *)act->func->code)(act);
}

static bool prepare_nothing(Instance *instance) {
  (void)instance;
  return true;
}

static void drop_nothing(Module *module) {
  (void)module;
}

static const EngineOps guest_ops = {.name = "C",
                                    .prepare_instance = prepare_nothing,
                                    .run = run_guest,
                                    .drop_module = drop_nothing};

/* A world with one store and one instance, whose functions are made as needed. */
typedef struct World {
  Engine *engine;
  Store *store;
  Instance instance;
  Stack *stack;
} World;

static World world;

static int set_up(void **state) {
  (void)state;
  memset(&world, 0, sizeof world);
  world.engine = engine_new(NULL, NULL, &guest_ops);
  world.store = store_new(world.engine);
  world.instance = (Instance){
      .store = world.store, .ops = &guest_ops, .poll = &world.store->poll, .fuel = INT64_MAX};
  world.stack = stack_new(world.engine, NULL);
  return world.stack == NULL;
}

static int tear_down(void **state) {
  (void)state;
  stack_free(world.stack);
  store_release(world.store);
  bool leaks = atomic_load(&world.engine->alloc.used) != 0;
  engine_release(world.engine);
  return leaks;
}

static Func guest_func(Guest *guest) {
  return (Func){.code = (void *)guest, .instance = &world.instance, .n_slots = 4};
}

/* Host functions of the tests: each does as `plan` says. */
typedef enum Plan { RETURN, LEAP, YIELD, NEST, FAIL } Plan;
static Plan plan;
static jmp_buf caller;
static uint64_t depth;

static uint64_t call_guest(Stack *stack, Func *func, uint64_t arg);
static RunStatus sum_guest(Act *act);

static RunStatus host(Act *act, void *data, Slot *slots) {
  (void)data;
  switch (plan) {
    case LEAP: longjmp(caller, 1);
    case YIELD: stack_detach(act->stack); longjmp(caller, 2);
    case NEST:
      if (depth < 5) {
        Func sum = guest_func(sum_guest);
        depth++;
        slots[0] = call_guest(act->stack, &sum, 2);
        depth--;
        return RUN_DONE;
      }
      slots[0] = 1;
      return RUN_DONE;
    case FAIL: return run_trap(act, TRAP_UNREACHABLE);
    case RETURN: break;
  }
  slots[0] *= 2;
  return RUN_DONE;
}

static Func host_func = {.host = host, .n_slots = 1};

/* Adds up what the host makes of 1..n. Its frame holds callee-saved registers and a buffer, whose
 * bytes must be whole after every switch. */
static RunStatus sum_guest(Act *act) {
  uint64_t n = act->slots[0], sum = 0;
  volatile unsigned char pattern[64];
  for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = (unsigned char)(i * 7);
  Slot *values = act->slots + 8;
  for (uint64_t i = 1; i <= n; i++) {
    values[0] = i;
    RunStatus status = run_call_host(act, &host_func, values, values + 1);
    if (status != RUN_DONE) return status;
    sum += values[0];
  }
  for (size_t i = 0; i < sizeof pattern; i++) assert_int_equal(pattern[i], (unsigned char)(i * 7));
  act->slots[0] = sum;
  return RUN_DONE;
}

/* The host is called below n frames of the machine stack. */
static NO_INLINE uint64_t deep(Act *act, uint64_t n, RunStatus *status) {
  volatile uint64_t keep = n;
  if (n == 0) {
    Slot *values = act->slots + 8;
    values[0] = 0;
    *status = run_call_host(act, &host_func, values, values + 1);
    return values[0];
  }
  uint64_t below = deep(act, n - 1, status);
  return below + keep;
}

static RunStatus deep_guest(Act *act) {
  RunStatus status;
  act->slots[0] = deep(act, act->slots[0], &status);
  return status;
}

static NO_INLINE uint64_t call_guest(Stack *stack, Func *func, uint64_t arg) {
  Act *act = stack_prepare(stack, func, NULL, HERE());
  assert_non_null(act);
  act->slots[0] = arg;
  assert_int_equal(stack_run(act), RUN_DONE);
  uint64_t result = act->slots[0];
  stack_finish(act);
  return result;
}

/* What a host does: true when the call returned, else how it was left is in *left. */
static NO_INLINE Act *enter(Stack *stack, Func *func, uint64_t arg) {
  Act *act = stack_prepare(stack, func, NULL, HERE());
  assert_non_null(act);
  act->slots[0] = arg;
  stack_run(act);
  return act;
}

static void test_host_calls_return(void **state) {
  (void)state;
  plan = RETURN;
  Func sum = guest_func(sum_guest);
  assert_int_equal(call_guest(world.stack, &sum, 10), 110);
  assert_null(world.stack->top);
  assert_null(world.store->acts);
}

static void test_errors_cut_frames(void **state) {
  (void)state;
  Func sum = guest_func(sum_guest), under = guest_func(deep_guest);
  for (volatile int i = 0; i < 100000; i++) {
    plan = LEAP;
    if (setjmp(caller) == 0) {
      enter(world.stack, (i & 1) ? &sum : &under, (i & 1) ? 3 : 50);
      fail_msg("the host function returned");
    }
    /* What was left is found by the next entry. */
    plan = RETURN;
    assert_int_equal(call_guest(world.stack, &sum, 3), 12);
    assert_null(world.stack->top);
  }
  assert_null(world.store->acts);
}

static void test_traps_of_hosts_pass(void **state) {
  (void)state;
  plan = FAIL;
  Func sum = guest_func(sum_guest);
  Act *act = enter(world.stack, &sum, 3);
  assert_int_equal(act->status, RUN_TRAP);
  assert_int_equal(act->trap, TRAP_UNREACHABLE);
  stack_finish(act);
}

static NO_INLINE Entered enter_at_once(Func *func, uint64_t arg) {
  Slot slots[4] = {arg};
  return stack_enter(world.stack, func, NULL, slots, HERE());
}

static void assert_sum(Func *sum) {
  plan = RETURN;
  Entered entered = enter_at_once(sum, 3);
  assert_int_equal(entered.status, RUN_DONE);
  assert_int_equal(entered.act->slots[0], 12);
  assert_null(world.stack->top);
  assert_null(world.store->acts);
}

/* From a deeper place of the C stack than where the next entry is made. */
static NO_INLINE void leap_below(Func *func, uint64_t arg) {
  volatile RunStatus deeper[64];
  plan = LEAP;
  deeper[0] = enter_at_once(func, arg).status;
  (void)deeper[0];
}

/* Entering in one step does what the three steps do, whatever the entry before it left. */
static void test_entering_at_once(void **state) {
  (void)state;
  Func sum = guest_func(sum_guest), under = guest_func(deep_guest);
  assert_sum(&sum);
  assert_sum(&sum);
  plan = FAIL;
  Entered failed = enter_at_once(&sum, 3);
  assert_int_equal(failed.status, RUN_TRAP);
  assert_ptr_equal(world.stack->top, failed.act);
  assert_int_equal(failed.act->trap, TRAP_UNREACHABLE);
  stack_finish(failed.act);
  assert_sum(&sum);
  if (setjmp(caller) == 0) leap_below(&under, 50);
  assert_non_null(world.stack->top);
  assert_sum(&sum);
  plan = NEST;
  depth = 0;
  assert_int_equal(enter_at_once(&sum, 1).status, RUN_DONE);
  world.instance.is_closed = true;
  failed = enter_at_once(&sum, 3);
  assert_int_equal(failed.status, RUN_TRAP);
  assert_int_equal(failed.act->error_kind, ERROR_MISUSE);
  stack_finish(failed.act);
  world.instance.is_closed = false;
  assert_sum(&sum);
  store_interrupt(world.store); /* nothing runs: it is for nobody */
  assert_sum(&sum);
  assert_int_equal(atomic_load(&world.store->poll) & POLL_INTERRUPT, 0);
}

static void test_nesting(void **state) {
  (void)state;
  plan = NEST;
  depth = 0;
  Func sum = guest_func(sum_guest);
  assert_int_equal(call_guest(world.stack, &sum, 2), 64);
}

#ifndef RILLE_NO_SWITCH
enum { MANY = 1000 };

static void test_suspended_resume_in_any_order(void **state) {
  (void)state;
  static Stack *stacks[MANY];
  static Act *acts[MANY];
  Func under = guest_func(deep_guest);
  for (volatile int i = 0; i < MANY; i++) {
    stacks[i] = stack_new(world.engine, NULL);
    assert_non_null(stacks[i]);
    plan = YIELD;
    if (setjmp(caller) == 0) enter(stacks[i], &under, (uint64_t)i % 100);
    acts[i] = stacks[i]->top;
    assert_int_equal(acts[i]->state, ACT_DETACHED);
  }
  for (int i = 0; i < MANY; i++) {
    int k = (i * 617 + 5) % MANY;
    acts[k]->host_slots[0] = 7;
    assert_int_equal(stack_resume(acts[k], RUN_DONE, NULL, HERE()), RUN_DONE);
    uint64_t n = (uint64_t)k % 100;
    assert_int_equal(acts[k]->slots[0], 7 + n * (n + 1) / 2);
    stack_finish(acts[k]);
    stack_free(stacks[k]);
  }
}

static NO_INLINE int resume_once(Act *act) {
  act->host_slots[0] = 100;
  int left = setjmp(caller);
  if (left != 0) return left;
  return stack_resume(act, RUN_DONE, NULL, HERE()) == RUN_DONE ? 0 : -1;
}

static void test_yield_many_times(void **state) {
  (void)state;
  plan = YIELD;
  Func sum = guest_func(sum_guest);
  if (setjmp(caller) == 0) enter(world.stack, &sum, 10000);
  Act *act = world.stack->top;
  for (int i = 1; i < 10000; i++) assert_int_equal(resume_once(act), 2);
  assert_int_equal(resume_once(act), 0);
  assert_int_equal(act->slots[0], 1000000);
  stack_finish(act);
}

static void test_error_after_yield(void **state) {
  (void)state;
  plan = YIELD;
  Func sum = guest_func(sum_guest);
  if (setjmp(caller) == 0) enter(world.stack, &sum, 3);
  Act *act = world.stack->top;
  plan = LEAP;
  assert_int_equal(resume_once(act), 1);
  plan = RETURN;
  assert_int_equal(call_guest(world.stack, &sum, 2), 6);
  assert_null(world.stack->top);
}

/* A suspended activation stays, whatever is called on its stack. */
static void test_detached_stay(void **state) {
  (void)state;
  plan = YIELD;
  Func sum = guest_func(sum_guest);
  if (setjmp(caller) == 0) enter(world.stack, &sum, 1);
  Act *act = world.stack->top;
  plan = RETURN;
  assert_int_equal(call_guest(world.stack, &sum, 10), 110);
  assert_ptr_equal(world.stack->top, act);
  assert_int_equal(resume_once(act), 0);
  assert_int_equal(act->slots[0], 100);
  stack_finish(act);
}

static void test_closed_instances_are_not_resumed(void **state) {
  (void)state;
  plan = YIELD;
  Func sum = guest_func(sum_guest);
  if (setjmp(caller) == 0) enter(world.stack, &sum, 1);
  Act *act = world.stack->top;
  world.instance.is_closed = true;
  assert_int_equal(stack_resume(act, RUN_DONE, NULL, HERE()), RUN_TRAP);
  assert_string_equal(act->message, "instance is closed");
  stack_finish(act);
}
#endif

static RunStatus recurse_host(Act *act, void *data, Slot *slots);
static Func recurse_func = {.host = recurse_host, .n_slots = 1};

static RunStatus recurse_guest(Act *act) {
  Slot *values = act->slots + 8;
  values[0] = act->slots[0];
  RunStatus status = run_call_host(act, &recurse_func, values, values + 1);
  act->slots[0] = values[0];
  return status;
}

static RunStatus recurse_host(Act *act, void *data, Slot *slots) {
  (void)data;
  Func again = guest_func(recurse_guest);
  Act *inner = stack_prepare(act->stack, &again, NULL, HERE());
  if (inner == NULL) {
    slots[0] = act->depth;
    return RUN_DONE;
  }
  stack_run(inner);
  slots[0] = inner->slots[0];
  stack_finish(inner);
  return RUN_DONE;
}

static void test_nesting_has_a_limit(void **state) {
  (void)state;
  Func recurse = guest_func(recurse_guest);
  uint64_t reached = call_guest(world.stack, &recurse, 0);
  assert_in_range(reached, 50, STACK_NESTING_MAX - 1);
}

/* What another thread entered is dead for this one, wherever its C stack lies. */
static void leap_in_thread(void *done) {
  Func sum = guest_func(sum_guest);
  if (setjmp(caller) == 0) enter(world.stack, &sum, 3);
  atomic_store((_Atomic int *)done, 1);
}

static void test_threads_do_not_compare(void **state) {
  (void)state;
  static _Atomic int done;
  atomic_store(&done, 0);
  plan = LEAP;
  assert_true(os_thread_start(leap_in_thread, &done));
  while (atomic_load(&done) == 0) continue;
  assert_non_null(world.stack->top);
  plan = RETURN;
  Func sum = guest_func(sum_guest);
  call_guest(world.stack, &sum, 3);
  assert_null(world.stack->top);
}

static void test_stack_limit(void **state) {
  (void)state;
  Func sum = guest_func(sum_guest);
  world.instance.limits.stack_bytes = 8 * MIB;
  Act *act = stack_prepare(world.stack, &sum, NULL, HERE());
  assert_non_null(act);
  assert_int_equal((size_t)(act->value_end - world.stack->values) * sizeof(Slot), 8 * MIB);
  world.stack->values[(8 * MIB) / sizeof(Slot) - 1] = 1;
  stack_finish(act);
  world.instance.limits.stack_bytes = 16 * KIB;
  act = stack_prepare(world.stack, &sum, NULL, HERE());
  assert_int_equal((size_t)(act->value_end - world.stack->values) * sizeof(Slot), 16 * KIB);
  stack_finish(act);
}

/* Limits: an endless guest that looks up as engines do. */
static RunStatus endless_guest(Act *act) {
  for (;;) {
    if (atomic_load_explicit(act->func->instance->poll, memory_order_relaxed) == 0) continue;
    RunStatus status = run_poll(act, act->slots + 8);
    if (status != RUN_DONE) return status;
  }
}

static void test_deadline(void **state) {
  (void)state;
  Func endless = guest_func(endless_guest);
  world.instance.limits.timeout_ns = 50 * 1000 * 1000;
  uint64_t start = os_monotonic_ns();
  Act *act = enter(world.stack, &endless, 0);
  uint64_t took = os_monotonic_ns() - start;
  assert_int_equal(act->status, RUN_LIMIT);
  assert_int_equal(act->limit, LIMIT_TIMEOUT);
  assert_in_range(took, 50 * 1000 * 1000, UINT64_C(10) * 1000 * 1000 * 1000);
  stack_finish(act);
}

static void interrupt_later(void *store) {
  uint64_t until = os_monotonic_ns() + 30 * 1000 * 1000;
  while (os_monotonic_ns() < until) continue;
  store_interrupt(store);
}

static void test_interrupt(void **state) {
  (void)state;
  Func endless = guest_func(endless_guest);
  assert_true(os_thread_start(interrupt_later, world.store));
  Act *act = enter(world.stack, &endless, 0);
  assert_int_equal(act->status, RUN_LIMIT);
  assert_int_equal(act->limit, LIMIT_INTERRUPT);
  stack_finish(act);
}

static int n_polled;
static RunStatus count_polls(Act *act) {
  (void)act;
  return ++n_polled == 3 ? RUN_LIMIT : RUN_DONE;
}

static void test_poll_hook(void **state) {
  (void)state;
  Func endless = guest_func(endless_guest);
  world.engine->hooks.poll = count_polls;
  n_polled = 0;
  uint64_t start = os_monotonic_ns();
  Act *act = enter(world.stack, &endless, 0);
  assert_int_equal(act->status, RUN_LIMIT);
  assert_in_range(os_monotonic_ns() - start, 1, UINT64_C(10) * 1000 * 1000 * 1000);
  stack_finish(act);
}

/* What an entry and a host call cost; printed, not judged. */
static RunStatus nothing_guest(Act *act) {
  (void)act;
  return RUN_DONE;
}

static RunStatus nothing_host(Act *act, void *data, Slot *slots) {
  (void)act;
  (void)data;
  (void)slots;
  return RUN_DONE;
}
static Func nothing_host_func = {.host = nothing_host, .n_slots = 1};

static RunStatus busy_guest(Act *act) {
  Slot *values = act->slots + 8;
  for (uint64_t n = act->slots[0]; n != 0; n--) {
    run_call_host(act, &nothing_host_func, values, values + 1);
  }
  return RUN_DONE;
}

static void test_costs(void **state) {
  (void)state;
  enum { N = 2000000 };
  Func nothing = guest_func(nothing_guest), busy = guest_func(busy_guest);
  uint64_t start = os_monotonic_ns();
  for (int i = 0; i < N; i++) {
    Act *act = stack_prepare(world.stack, &nothing, NULL, HERE());
    stack_run(act);
    stack_finish(act);
  }
  uint64_t entries = os_monotonic_ns() - start;
  start = os_monotonic_ns();
  call_guest(world.stack, &busy, N);
  uint64_t calls = os_monotonic_ns() - start;
  print_message("entry %.1f ns, host call %.1f ns\n", (double)entries / N, (double)calls / N);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(test_host_calls_return),
      TEST(test_errors_cut_frames),
      TEST(test_traps_of_hosts_pass),
      TEST(test_entering_at_once),
      TEST(test_nesting),
#ifndef RILLE_NO_SWITCH
      TEST(test_suspended_resume_in_any_order),
      TEST(test_yield_many_times),
      TEST(test_error_after_yield),
      TEST(test_detached_stay),
      TEST(test_closed_instances_are_not_resumed),
#endif
      TEST(test_nesting_has_a_limit),
      TEST(test_threads_do_not_compare),
      TEST(test_stack_limit),
      TEST(test_deadline),
      TEST(test_interrupt),
      TEST(test_poll_hook),
      TEST(test_costs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
