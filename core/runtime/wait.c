/* wait.c - atomic waits and wakes: one table of queues for the process, keyed by the byte's address
 * in this process, since threads share memories and not instances. Spec: threads, "memory.atomic".
 *
 * A waiter looks up every tick, so that deadlines, interrupts from signal handlers and the host's
 * poll hook work while it sleeps.
 */
#include "wait.h"

#include "limits.h"
#include "memory.h"
#include "runtime.h"
#include "trap.h"

#define LOOK_NS (UINT64_C(20) * 1000 * 1000)
enum { QUEUES = 64 };

typedef struct Waiter Waiter;
struct Waiter {
  const uint8_t *key;
  bool is_woken;
  OsCond wake;
  Waiter *next;
};

/* Waiters of several addresses, oldest first. */
typedef struct Queue {
  OsMutex mutex;
  Waiter *first;
} Queue;

static Queue queues[QUEUES];
static _Atomic int queues_state;

/* Threads that waited do not exist in the child. */
static void reset_queues(void) {
  for (int i = 0; i < QUEUES; i++) queues[i].first = NULL;
}

static void open_queues(void) {
  for (int i = 0; i < QUEUES; i++) os_mutex_init(&queues[i].mutex);
  os_at_fork(reset_queues);
}

static Queue *queue_of(const uint8_t *key) {
  os_call_once(&queues_state, open_queues);
  return &queues[((uintptr_t)key >> 2) * UINT64_C(0x9E3779B97F4A7C15) >> 58];
}

static void enqueue(Queue *queue, Waiter *waiter) {
  Waiter **link = &queue->first;
  while (*link != NULL) link = &(*link)->next;
  *link = waiter;
}

static void dequeue(Queue *queue, Waiter *waiter) {
  Waiter **link = &queue->first;
  while (*link != NULL && *link != waiter) link = &(*link)->next;
  if (*link != NULL) *link = waiter->next; /* in a child of a fork it is in no queue */
}

static Trap check_place(const Memory *memory, uint64_t at, unsigned bytes) {
  if ((at & (bytes - 1)) != 0) return TRAP_UNALIGNED_ATOMIC;
  return memory_fits(memory, at, bytes) ? TRAP_NONE : TRAP_MEMORY_BOUNDS;
}

static bool holds(const uint8_t *key, unsigned bytes, uint64_t expected) {
  if (bytes == 4) {
    return __atomic_load_n((const uint32_t *)(const void *)key, __ATOMIC_SEQ_CST) ==
           (uint32_t)expected;
  }
  return __atomic_load_n((const uint64_t *)(const void *)key, __ATOMIC_SEQ_CST) == expected;
}

static uint64_t deadline_of(int64_t timeout) {
  uint64_t now = os_monotonic_ns();
  return timeout < 0 || (uint64_t)timeout > UINT64_MAX - 1 - now ? UINT64_MAX
                                                                 : now + (uint64_t)timeout;
}

/* Sleeps until woken or the deadline; with the queue locked, but for looks at the host. Nothing may
 * run on the values behind the waiting frame, of which only the engine knows the end. */
static RunStatus sleep_until(Act *act, Queue *queue, Waiter *waiter, uint64_t deadline) {
  for (;;) {
    uint64_t now = os_monotonic_ns();
    if (waiter->is_woken || now >= deadline) return RUN_DONE;
    os_cond_wait(&waiter->wake, &queue->mutex, MIN(now + LOOK_NS, deadline));
    if (waiter->is_woken) return RUN_DONE;
    os_mutex_unlock(&queue->mutex);
    RunStatus status = limits_look(act, act->value_end);
    os_mutex_lock(&queue->mutex);
    if (status != RUN_DONE) return status;
  }
}

/* A host may leave by longjmp while it is looked at: the waiter is the activation's until it is
 * taken back. With the queue locked. */
static RunStatus wait_in(Act *act, Queue *queue, const uint8_t *key, uint64_t deadline,
                         bool *is_woken) {
  Alloc *alloc = &act->stack->engine->alloc;
  Waiter *waiter = alloc_zero(alloc, sizeof *waiter);
  if (waiter == NULL) return trap_by_host(act, "out of memory");
  waiter->key = key;
  os_cond_init(&waiter->wake);
  enqueue(queue, waiter);
  act->waiter = waiter;
  RunStatus status = sleep_until(act, queue, waiter, deadline);
  act->waiter = NULL;
  *is_woken = waiter->is_woken;
  if (!waiter->is_woken) dequeue(queue, waiter);
  os_cond_clear(&waiter->wake);
  alloc_free(alloc, waiter, sizeof *waiter);
  return status;
}

void wait_cancel(Act *act) {
  Waiter *waiter = act->waiter;
  Queue *queue = queue_of(waiter->key);
  os_mutex_lock(&queue->mutex);
  if (!waiter->is_woken) dequeue(queue, waiter);
  os_mutex_unlock(&queue->mutex);
  os_cond_clear(&waiter->wake);
  alloc_free(&act->stack->engine->alloc, waiter, sizeof *waiter);
  act->waiter = NULL;
}

Trap memory_wait(Act *act, Memory *memory, uint64_t at, unsigned bytes, uint64_t expected,
                 int64_t timeout, uint32_t *out, RunStatus *status) {
  enum { WOKEN, NOT_EQUAL, TIMED_OUT };
  *status = RUN_DONE;
  Trap trap = check_place(memory, at, bytes);
  if (trap != TRAP_NONE) return trap;
  if (!memory->type.is_shared) return TRAP_UNSHARED_WAIT;
  const uint8_t *key = memory->base + at;
  Queue *queue = queue_of(key);
  os_mutex_lock(&queue->mutex);
  if (!holds(key, bytes, expected)) {
    *out = NOT_EQUAL;
  } else {
    bool is_woken = false;
    *status = wait_in(act, queue, key, deadline_of(timeout), &is_woken);
    *out = is_woken ? WOKEN : TIMED_OUT;
  }
  os_mutex_unlock(&queue->mutex);
  return TRAP_NONE;
}

Trap memory_notify(Memory *memory, uint64_t at, uint32_t n, uint32_t *out) {
  Trap trap = check_place(memory, at, 4);
  if (trap != TRAP_NONE) return trap;
  *out = 0;
  if (!memory->type.is_shared) return TRAP_NONE;
  const uint8_t *key = memory->base + at;
  Queue *queue = queue_of(key);
  os_mutex_lock(&queue->mutex);
  for (Waiter **link = &queue->first; *link != NULL && *out < n;) {
    Waiter *waiter = *link;
    if (waiter->key != key) {
      link = &waiter->next;
      continue;
    }
    *link = waiter->next;
    waiter->is_woken = true;
    os_cond_wake(&waiter->wake, false);
    ++*out;
  }
  os_mutex_unlock(&queue->mutex);
  return TRAP_NONE;
}
