/* eager.c - compiling all functions of a module at once, on all cores.
 *
 * Each worker takes the next function, compiles it in an arena of its own and hands the code over
 * under a lock, so that no more than one function for each core is between the passes. The caller
 * is one of the workers: where no thread can be had it does everything.
 *
 * Memory: a compilation takes some two hundred times the bytes of the body. The largest functions
 * come first, when there is little code yet, and how many bytes of bodies are worked on at once is
 * limited. The others keep their order, so that neighbours stay neighbours.
 */
#if defined(__x86_64__)
#include "eager.h"

#include <stdlib.h>

#include "../base/os.h"
#include "engine.h"

enum { MOST_WORKERS = 64, LARGE_BODY = 32 * KIB, MOST_AT_ONCE = 128 * KIB };

typedef struct Crew {
  Fill *fill;
  OsMutex lock; /* of what follows, and of `fill` */
  OsCond ended;
  uint32_t n_helpers; /* that have not ended */
  bool stops;         /* something failed */
  Error error;
  uint64_t *order; /* of the functions: sizes of large bodies above, indices in the low half */
  uint32_t next;
  size_t body_bytes;  /* that are being compiled */
  uint32_t n_waiting; /* for bodies to be done */
  OsCond room;
} Crew;

static void fail(Crew *crew, const Error *error) {
  os_mutex_lock(&crew->lock);
  if (!crew->stops) crew->error = *error;
  crew->stops = true;
  os_mutex_unlock(&crew->lock);
}

static bool hand_over(Crew *crew, uint32_t own, const Compiled *compiled, Error *error) {
  os_mutex_lock(&crew->lock);
  bool is_added = fill_add(crew->fill, own, compiled);
  os_mutex_unlock(&crew->lock);
  if (!is_added) error_set(error, ERROR_MEMORY, "out of code memory");
  return is_added;
}

static bool compile_one(Crew *crew, Arena *arena, uint32_t own, Error *error) {
  const CodeSpace *space = crew->fill->space;
  Module *module = space->owner->module;
  JitOptions options;
  Compiled compiled = {0};
  Guard guard;
  jit_set_options(space, &options);
  if (!GUARD_TRY(&guard, arena, error)) return false;
  jit_compile(module, module->n_imported_funcs + own, &options, arena, &compiled);
  guard_leave(&guard);
  return hand_over(crew, own, &compiled, error);
}

static const FuncDef *def_of(const Crew *crew, uint32_t own) {
  const Module *module = crew->fill->space->owner->module;
  return &module->funcs[module->n_imported_funcs + own];
}

static size_t body_size(const Crew *crew, uint32_t own) {
  return def_of(crew, own)->end - def_of(crew, own)->at;
}

/* The next function, when there is room for its body; false when there is none. */
static bool take(Crew *crew, uint32_t *own) {
  os_mutex_lock(&crew->lock);
  for (;;) {
    if (crew->stops || crew->next == crew->fill->n_funcs) break;
    *own = (uint32_t)crew->order[crew->next];
    size_t size = body_size(crew, *own);
    if (crew->body_bytes == 0 || crew->body_bytes + size <= MOST_AT_ONCE) {
      crew->next++;
      crew->body_bytes += size;
      os_mutex_unlock(&crew->lock);
      return true;
    }
    crew->n_waiting++;
    (void)os_cond_wait(&crew->room, &crew->lock, UINT64_MAX);
    crew->n_waiting--;
  }
  os_mutex_unlock(&crew->lock);
  return false;
}

static void give_room(Crew *crew, uint32_t own) {
  os_mutex_lock(&crew->lock);
  crew->body_bytes -= body_size(crew, own);
  if (crew->n_waiting != 0) os_cond_wake(&crew->room, true);
  os_mutex_unlock(&crew->lock);
}

static void work(Crew *crew) {
  Arena arena;
  Error error;
  uint32_t own;
  arena_init(&arena, crew->fill->space->owner->module->alloc);
  while (take(crew, &own)) {
    if (!compile_one(crew, &arena, own, &error)) fail(crew, &error);
    arena_clear(&arena);
    if (body_size(crew, own) >= LARGE_BODY) os_trim_heap();
    give_room(crew, own);
  }
}

static void help(void *user) {
  Crew *crew = user;
  work(crew);
  os_mutex_lock(&crew->lock);
  crew->n_helpers--;
  os_cond_wake(&crew->ended, true);
  os_mutex_unlock(&crew->lock);
}

static void start_helpers(Crew *crew) {
  uint32_t wanted = MIN(MIN(os_cpu_count(), MOST_WORKERS), (crew->fill->n_funcs + 7) / 8);
  for (uint32_t i = 1; i < wanted; i++) {
    os_mutex_lock(&crew->lock);
    crew->n_helpers++;
    os_mutex_unlock(&crew->lock);
    if (os_thread_start(help, crew)) continue;
    os_mutex_lock(&crew->lock);
    crew->n_helpers--;
    os_mutex_unlock(&crew->lock);
    return;
  }
}

static void wait_for_helpers(Crew *crew) {
  os_mutex_lock(&crew->lock);
  while (crew->n_helpers != 0) (void)os_cond_wait(&crew->ended, &crew->lock, UINT64_MAX);
  os_mutex_unlock(&crew->lock);
}

static int compare_sizes(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? 1 : x > y ? -1 : 0;
}

/* Large ones first, by size. */
static void sort(Crew *crew) {
  uint32_t n = 0;
  for (unsigned pass = 0; pass < 2; pass++) {
    for (uint32_t i = 0; i < crew->fill->n_funcs; i++) {
      uint64_t size = body_size(crew, i);
      if ((size >= LARGE_BODY) != (pass == 0)) continue;
      crew->order[n++] = pass == 0 ? size << 32 | i : i;
    }
    if (pass == 0) qsort(crew->order, n, sizeof *crew->order, compare_sizes);
  }
}

static void run(Crew *crew) {
  os_mutex_init(&crew->lock);
  os_cond_init(&crew->ended);
  os_cond_init(&crew->room);
  start_helpers(crew);
  work(crew);
  wait_for_helpers(crew);
  os_cond_clear(&crew->room);
  os_cond_clear(&crew->ended);
  os_mutex_clear(&crew->lock);
}

bool eager_compile(Fill *fill, Error *error) {
  Alloc *alloc = fill->space->owner->module->alloc;
  Crew crew = {.fill = fill};
  size_t bytes = MAX(fill->n_funcs, 1) * sizeof *crew.order;
  crew.order = alloc_new(alloc, bytes);
  if (crew.order == NULL) {
    error_set(error, ERROR_MEMORY, "out of memory");
    return false;
  }
  sort(&crew);
  run(&crew);
  alloc_free(alloc, crew.order, bytes);
  if (crew.stops) *error = crew.error;
  return !crew.stops;
}
#endif
