/* limits.c - memory budgets, fuel, deadlines, interrupts, and the ticker.
 *
 * Running code looks at one flag, Store.poll, on back edges and tail calls. An interrupt sets it,
 * and so does the ticker: a thread of the process that every 25 ms sets POLL_TICK in the stores
 * that run. Nobody tells it which these are. A store that it does not tick has POLL_TICK set, so
 * that the first look of running code ends up in run_poll, which enters the store into the
 * ticker's list; the ticker drops a store whose flag was not cleared since the last tick, and
 * sleeps when its list is empty. So entering guest code costs nothing, and a run that looks up
 * only a few times starts no thread.
 */
#include "limits.h"

#include "runtime.h"
#include "stack.h"
#include "stores.h"

#define TICK_NS (UINT64_C(25) * 1000 * 1000)
/* Without a ticker every look is a slow one; after so many of them the clock is read, and when the
 * first was so long ago, ticks are asked for. */
enum { SLOW_POLLS = 64 };
#define SLOW_NS (UINT64_C(100) * 1000)

/* Budgets */

bool limits_charge(Instance *instance, uint64_t bytes) {
  uint64_t limit = instance->limits.memory_bytes != 0 ? instance->limits.memory_bytes : UINT64_MAX;
  uint64_t used = __atomic_load_n(&instance->memory_used, __ATOMIC_RELAXED);
  do {
    if (used > limit || bytes > limit - used) return false;
  } while (!__atomic_compare_exchange_n(&instance->memory_used, &used, used + bytes, true,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return true;
}

void limits_refund(Instance *instance, uint64_t bytes) {
  __atomic_fetch_sub(&instance->memory_used, bytes, __ATOMIC_RELAXED);
}

int64_t limits_initial_fuel(const RunLimits *limits, uint64_t fuel) {
  return limits->has_fuel ? (int64_t)MIN(fuel, (uint64_t)INT64_MAX) : INT64_MAX;
}

/* The ticker */

static struct {
  OsMutex mutex;
  OsCond wake;
  Store *ticked;
  bool is_running, is_asleep;
} ticker;
static _Atomic int ticker_state;

static void lock_ticker(void) {
  os_mutex_lock(&ticker.mutex);
}

static void unlock_ticker(void) {
  os_mutex_unlock(&ticker.mutex);
}

/* The flag stays set while the store is in no list. */
static void untick(Store *store) {
  atomic_store_explicit(&store->is_ticked, false, memory_order_relaxed);
  atomic_fetch_or(&store->poll, POLL_TICK);
}

/* The child has no ticker thread: it starts one when its stores ask again. */
static void reset_in_child(void) {
  for (; ticker.ticked != NULL; ticker.ticked = ticker.ticked->next_ticked) untick(ticker.ticked);
  ticker.is_running = ticker.is_asleep = false;
  os_cond_init(&ticker.wake);
}

static void open_ticker(void) {
  os_mutex_init(&ticker.mutex);
  os_cond_init(&ticker.wake);
  os_at_fork(reset_in_child);
}

/* Stores that did not look since the last tick leave the list. */
static void tick_all(void) {
  for (Store **link = &ticker.ticked; *link != NULL;) {
    Store *store = *link;
    if ((atomic_fetch_or(&store->poll, POLL_TICK) & POLL_TICK) != 0) {
      *link = store->next_ticked;
      untick(store);
    } else {
      link = &store->next_ticked;
    }
  }
}

static void run_ticker(void *unused) {
  (void)unused;
  lock_ticker();
  for (;;) {
    while (ticker.ticked == NULL) {
      ticker.is_asleep = true;
      os_cond_wait(&ticker.wake, &ticker.mutex, UINT64_MAX);
    }
    ticker.is_asleep = false;
    os_cond_wait(&ticker.wake, &ticker.mutex, os_monotonic_ns() + TICK_NS);
    tick_all();
  }
}

static bool start_ticker(void) {
  if (!ticker.is_running) {
    ticker.is_running = os_thread_start(run_ticker, NULL);
  } else if (ticker.is_asleep) {
    os_cond_wake(&ticker.wake, false);
  }
  return ticker.is_running;
}

/* Where no thread can be had, the flag stays set and every look is a slow one. */
static void ask_for_ticks(Store *store) {
  os_call_once(&ticker_state, open_ticker);
  lock_ticker();
  if (start_ticker()) {
    store->was_ticked = true;
    atomic_store_explicit(&store->is_ticked, true, memory_order_relaxed);
    store->next_ticked = ticker.ticked;
    ticker.ticked = store;
    atomic_fetch_and(&store->poll, ~(uint32_t)POLL_TICK);
  }
  unlock_ticker();
}

/* Only the store's own thread enters it into the list, so a store seen outside of it stays there.
 */
static bool is_ticked(Store *store) {
  return atomic_load_explicit(&store->is_ticked, memory_order_relaxed);
}

void limits_forget(Store *store) {
  /* One that left the list may still be in the ticker's hands: its flag is set last. */
  if (!store->was_ticked) return;
  lock_ticker();
  if (is_ticked(store)) {
    Store **link = &ticker.ticked;
    while (*link != store) link = &(*link)->next_ticked;
    *link = store->next_ticked;
    untick(store);
  }
  unlock_ticker();
}

static bool is_slow_for_long(Store *store) {
  uint64_t now = os_monotonic_ns();
  if (store->slow_polls == SLOW_POLLS) store->slow_since_ns = now;
  if (now - store->slow_since_ns < SLOW_NS) return false;
  store->slow_polls = 0;
  return true;
}

/* Clears the flag of a ticked store. False: too early to ask for ticks, nothing to do. */
static bool take_tick(Store *store) {
  if (!is_ticked(store)) {
    if (++store->slow_polls % SLOW_POLLS != 0 || !is_slow_for_long(store)) return false;
    ask_for_ticks(store);
    return true;
  }
  lock_ticker();
  if (is_ticked(store)) atomic_fetch_and(&store->poll, ~(uint32_t)POLL_TICK);
  unlock_ticker();
  return true;
}

/* The clock */

static Act *bottom_of(Act *act) {
  while (act->outer != NULL) act = act->outer;
  return act;
}

void limits_start_clock(Act *act) {
  act->deadline_ns = os_monotonic_ns() + act->instance->limits.timeout_ns;
}

void limits_clear_clock(Act *act) {
  act->deadline_ns = UINT64_MAX;
  act->time_left_ns = 0;
}

void limits_stop_clock(Act *bottom) {
  if (bottom->deadline_ns == UINT64_MAX) return;
  uint64_t now = os_monotonic_ns();
  bottom->time_left_ns = bottom->deadline_ns > now ? bottom->deadline_ns - now : 1;
  bottom->deadline_ns = UINT64_MAX;
}

void limits_continue_clock(Act *bottom) {
  if (bottom->time_left_ns == 0) return;
  bottom->deadline_ns = os_monotonic_ns() + bottom->time_left_ns;
  bottom->time_left_ns = 0;
}

void limits_add_time(Act *act, uint64_t ns) {
  Act *bottom = bottom_of(act);
  if (bottom->time_left_ns != 0) {
    bottom->time_left_ns += ns;
  } else if (bottom->deadline_ns != UINT64_MAX) {
    bottom->deadline_ns = MAX(bottom->deadline_ns, os_monotonic_ns()) + ns;
  }
}

/* Asked by running code */

static RunStatus stop_at(Act *act, LimitKind limit) {
  act->limit = limit;
  act->status = RUN_LIMIT;
  return RUN_LIMIT;
}

/* Both hooks run on the host's stack, as host functions do. */
static RunStatus call_limit_hook(Act *act, void *limit, Slot *slots) {
  (void)slots;
  return act->stack->engine->hooks.on_limit(act, act->instance, limit);
}

static RunStatus call_poll_hook(Act *act, void *data, Slot *slots) {
  (void)data;
  (void)slots;
  return act->stack->engine->hooks.poll(act);
}

/* A host function asks for itself: it is on the C stack already. */
static RunStatus call_hook(Act *act, HostFn *hook, void *data, Slot *value_top) {
  if (act->state != ACT_IN_HOST) return stack_call_host(act, hook, data, NULL, value_top);
  Func *host_func = act->host_func;
  act->host_func = NULL;
  RunStatus status = hook(act, data, NULL);
  act->host_func = host_func;
  return status;
}

/* Lets the host of an instance that suspends move the limit; else, or when the host did not,
 * RUN_LIMIT. */
static RunStatus ask_host(Act *act, LimitKind limit, Slot *value_top) {
  static char fuel[] = "fuel", timeout[] = "timeout";
  if (act->instance->limits.suspends && act->stack->engine->hooks.on_limit != NULL) {
    RunStatus status =
        call_hook(act, call_limit_hook, limit == LIMIT_FUEL ? fuel : timeout, value_top);
    if (status != RUN_LIMIT) return status;
  }
  return stop_at(act, limit);
}

/* Code of another store runs inside a call of one that was interrupted. */
static bool outer_is_interrupted(const Act *act) {
  for (act = act->outer; act != NULL; act = act->outer) {
    const Instance *instance = act->func->instance;
    if (instance == NULL) continue;
    if ((atomic_load(&store_of(instance->store)->poll) & POLL_INTERRUPT) != 0) return true;
  }
  return false;
}

static RunStatus check_deadline(Act *act, Slot *value_top) {
  Act *bottom = bottom_of(act);
  if (bottom->deadline_ns == UINT64_MAX || os_monotonic_ns() < bottom->deadline_ns) return RUN_DONE;
  RunStatus status = ask_host(act, LIMIT_TIMEOUT, value_top);
  if (status != RUN_DONE) return status;
  return os_monotonic_ns() < bottom->deadline_ns ? RUN_DONE : stop_at(act, LIMIT_TIMEOUT);
}

static bool take_interrupt(Store *store) {
  return (atomic_fetch_and(&store->poll, ~(uint32_t)POLL_INTERRUPT) & POLL_INTERRUPT) != 0;
}

RunStatus limits_look(Act *act, Slot *value_top) {
  if (take_interrupt(store_of(act->func->instance->store))) return stop_at(act, LIMIT_INTERRUPT);
  if (outer_is_interrupted(act)) return stop_at(act, LIMIT_INTERRUPT);
  RunStatus status = check_deadline(act, value_top);
  if (status != RUN_DONE || act->stack->engine->hooks.poll == NULL) return status;
  status = call_hook(act, call_poll_hook, NULL, value_top);
  return status == RUN_LIMIT ? stop_at(act, LIMIT_INTERRUPT) : status;
}

RunStatus limits_look_in_host(Act *act) {
  return act->func->instance != NULL ? limits_look(act, act->value_top) : RUN_DONE;
}

bool limits_is_due(const Act *act) {
  const Act *bottom = act;
  while (bottom->outer != NULL) bottom = bottom->outer;
  const Instance *instance = act->func->instance;
  if (instance != NULL && (atomic_load(&store_of(instance->store)->poll) & POLL_INTERRUPT) != 0) {
    return true;
  }
  return outer_is_interrupted(act) || os_monotonic_ns() >= bottom->deadline_ns;
}

bool run_wants_look(Act *act) {
  Store *store = store_of(act->func->instance->store);
  return (atomic_load(&store->poll) & POLL_INTERRUPT) != 0 || take_tick(store);
}

RunStatus run_look(Act *act, Slot *value_top) {
  return limits_look(act, value_top);
}

RunStatus run_poll(Act *act, Slot *value_top) {
  return run_wants_look(act) ? limits_look(act, value_top) : RUN_DONE;
}

RunStatus run_out_of_fuel(Act *act, Slot *value_top) {
  Instance *instance = act->instance;
  RunStatus status = ask_host(act, LIMIT_FUEL, value_top);
  if (status != RUN_DONE) {
    instance->fuel = 0;
    return status;
  }
  if (instance->fuel >= 0) return RUN_DONE;
  instance->fuel = 0;
  return stop_at(act, LIMIT_FUEL);
}
