/* memory.c - linear memories.
 *
 * A 32-bit memory with pages of 64 KiB reserves all addresses that an access can name: 4 GiB of
 * index, 4 GiB of offset and the width of the access. Its base never moves, growing makes pages
 * accessible, and compiled code checks nothing. Such reservations are kept for reuse by the whole
 * process. Every other memory, and every memory when the system refuses so much address space, is
 * in checked mode: as large as it is, with some room, and moved when it outgrows that. Shared
 * memories never move: they reserve their maximum.
 */
#include "memory.h"

#include <inttypes.h>

#include "engine.h"
#include "limits.h"
#include "runtime.h"

#define GUARDED_BYTES     ((UINT64_C(8) << 30) + 64 * KIB)
#define CHECKED_BYTES_MAX (sizeof(void *) == 8 ? UINT64_C(1) << 40 : UINT64_C(1) << 30)
#define EAGER_RESERVE_MAX (64 * (uint64_t)MIB) /* reserved whole, so that the memory stays put */
#define KEPT_BYTES_MAX    (4 * MIB) /* accessible bytes that a pooled reservation keeps */
enum { POOL_ROOM = 32 };

/* Reservations that were given back. The first bytes stay accessible, and are zero: the next memory
 * is often an instance of the same module. */
typedef struct Reservation {
  uint8_t *base;
  size_t committed;
} Reservation;

static struct {
  OsMutex mutex;
  Reservation free[POOL_ROOM];
  unsigned n;
} pool;
static _Atomic int pool_state;

static void lock_pool(void) {
  os_mutex_lock(&pool.mutex);
}

static void unlock_pool(void) {
  os_mutex_unlock(&pool.mutex);
}

static void open_pool(void) {
  os_mutex_init(&pool.mutex);
}

/* One with as many accessible bytes as wanted, else the last one given back. */
static Reservation take_pooled(size_t wanted) {
  Reservation taken = {NULL, 0};
  os_call_once(&pool_state, open_pool);
  lock_pool();
  if (pool.n != 0) {
    unsigned i = pool.n - 1;
    while (i > 0 && pool.free[i].committed != wanted) i--;
    if (pool.free[i].committed != wanted) i = pool.n - 1;
    taken = pool.free[i];
    pool.free[i] = pool.free[--pool.n];
  }
  unlock_pool();
  return taken;
}

/* A reservation with `size` accessible bytes, a multiple of the page size; base NULL: none. */
static uint8_t *take_reservation(size_t size) {
  Reservation taken = take_pooled(size);
  if (taken.base == NULL) taken.base = os_reserve((size_t)GUARDED_BYTES);
  if (taken.base == NULL) return NULL;
  if (taken.committed > size) {
    os_decommit(taken.base + size, taken.committed - size);
  } else if (!os_commit(taken.base + taken.committed, size - taken.committed)) {
    os_release(taken.base, (size_t)GUARDED_BYTES);
    return NULL;
  }
  return taken.base;
}

static void give_reservation(uint8_t *base, size_t used, bool has_image) {
  Reservation given = {base, used};
  if (has_image || used > KEPT_BYTES_MAX || !os_clear(base, used)) {
    os_decommit(base, used);
    given.committed = 0;
  }
  lock_pool();
  bool keep = pool.n < POOL_ROOM;
  if (keep) pool.free[pool.n++] = given;
  unlock_pool();
  if (!keep) os_release(base, (size_t)GUARDED_BYTES);
}

static uint64_t page_round(uint64_t size) {
  return align_up(size, os_page_size());
}

/* The largest size the memory may ever have. */
static uint64_t max_bytes(const Memory *memory) {
  return memory->max_pages << memory->type.page_log2;
}

static bool wants_guard(const MemoryType *type) {
  return sizeof(void *) == 8 && !type->limits.is_64 && type->page_log2 == 16;
}

static uint64_t implementation_pages(const MemoryType *type) {
  uint64_t bytes = type->limits.is_64 ? CHECKED_BYTES_MAX : UINT64_C(1) << 32;
  return MIN(bytes, CHECKED_BYTES_MAX) >> type->page_log2;
}

static bool reserve_checked(Memory *memory, uint64_t size) {
  uint64_t most = max_bytes(memory);
  uint64_t wanted = memory->type.is_shared || most <= EAGER_RESERVE_MAX ? most : size;
  wanted = page_round(MAX(wanted, 1));
  memory->base = os_reserve((size_t)wanted);
  if (memory->base == NULL && !memory->type.is_shared && wanted > size) {
    wanted = page_round(MAX(size, 1));
    memory->base = os_reserve((size_t)wanted);
  }
  memory->reserved = wanted;
  return memory->base != NULL;
}

static bool reserve(Memory *memory, uint64_t size) {
  if (wants_guard(&memory->type)) {
    memory->base = take_reservation((size_t)page_round(size));
    memory->is_guarded = memory->base != NULL;
    memory->reserved = GUARDED_BYTES;
    memory->size = memory->is_guarded ? size : 0;
    if (memory->is_guarded) return true;
  }
  return reserve_checked(memory, size);
}

static void give_back(Memory *memory) {
  if (memory->is_guarded) {
    give_reservation(memory->base, (size_t)page_round(memory->size), memory->has_image);
  } else {
    os_release(memory->base, (size_t)memory->reserved);
  }
}

/* Moves to a larger reservation, with room to double so that growing stays linear. */
static bool move(Memory *memory, uint64_t size) {
  uint64_t wanted = page_round(MAX(size, MIN(max_bytes(memory), memory->size * 2)));
  uint8_t *base = os_reserve((size_t)wanted);
  if (base == NULL && wanted > page_round(size)) {
    wanted = page_round(size);
    base = os_reserve((size_t)wanted);
  }
  if (base == NULL) return false;
  if (!os_commit(base, (size_t)page_round(size))) {
    os_release(base, (size_t)wanted);
    return false;
  }
  if (memory->size != 0) memcpy(base, memory->base, (size_t)memory->size);
  os_release(memory->base, (size_t)memory->reserved);
  memory->base = base;
  memory->reserved = wanted;
  return true;
}

/* Makes bytes up to `size` accessible; fresh ones are zero. */
static bool extend(Memory *memory, uint64_t size) {
  uint64_t from = page_round(memory->size), to = page_round(size);
  if (to > memory->reserved) {
    if (memory->type.is_shared || !move(memory, size)) return false;
  } else if (to > from && !os_commit(memory->base + from, (size_t)(to - from))) {
    return false;
  }
  __atomic_store_n(&memory->size, size, __ATOMIC_RELEASE);
  return true;
}

static bool fail_new(Memory *memory, Engine *engine, uint64_t charge, Error *error) {
  uint64_t pages = memory->type.limits.min;
  if (memory->charged != NULL) limits_refund(memory->charged, charge);
  alloc_free(&engine->alloc, memory, sizeof *memory);
  error_set(error, ERROR_MEMORY, "cannot allocate a memory of %" PRIu64 " pages", pages);
  return false;
}

/* Charges, reserves and commits the initial size. Frees the memory when that fails. */
static bool fill_new(Memory *memory, Engine *engine, Error *error) {
  uint64_t min = memory->type.limits.min;
  if (min > memory->max_pages) return fail_new(memory, engine, 0, error);
  uint64_t size = min << memory->type.page_log2;
  if (memory->charged != NULL && !limits_charge(memory->charged, size)) {
    alloc_free(&engine->alloc, memory, sizeof *memory);
    error_set(error, ERROR_LIMIT, "the memory limit does not allow a memory of %" PRIu64 " pages",
              min);
    error->code = LIMIT_MEMORY;
    return false;
  }
  if (!reserve(memory, size)) return fail_new(memory, engine, size, error);
  if (!extend(memory, size)) {
    give_back(memory);
    return fail_new(memory, engine, size, error);
  }
  return true;
}

Memory *memory_new(Engine *engine, const MemoryType *type, Instance *charged, Error *error) {
  Memory *memory = alloc_zero(&engine->alloc, sizeof *memory);
  if (memory == NULL) {
    error_set(error, ERROR_MEMORY, "out of memory");
    return NULL;
  }
  memory->type = *type;
  memory->max_pages = MIN(type->limits.max, implementation_pages(type));
  memory->engine = engine;
  memory->charged = charged;
  atomic_init(&memory->refs, 1);
  if (!fill_new(memory, engine, error)) return NULL;
  if (type->is_shared) os_mutex_init(&memory->lock);
  engine_retain(engine);
  return memory;
}

void memory_retain(Memory *memory) {
  atomic_fetch_add_explicit(&memory->refs, 1, memory_order_relaxed);
}

void memory_release(Memory *memory) {
  if (atomic_fetch_sub_explicit(&memory->refs, 1, memory_order_acq_rel) != 1) return;
  Engine *engine = memory->engine;
  give_back(memory);
  if (memory->type.is_shared) os_mutex_clear(&memory->lock);
  alloc_free(&engine->alloc, memory, sizeof *memory);
  engine_release(engine);
}

static void lock_shared(Memory *memory) {
  if (memory->type.is_shared) os_mutex_lock(&memory->lock);
}

static void unlock_shared(Memory *memory) {
  if (memory->type.is_shared) os_mutex_unlock(&memory->lock);
}

void memory_uncharge(Memory *memory, Instance *instance) {
  lock_shared(memory);
  if (memory->charged == instance) memory->charged = NULL;
  unlock_shared(memory);
}

bool memory_is_stable(const Memory *memory) {
  return memory->is_guarded || memory->reserved >= page_round(max_bytes(memory));
}

static uint64_t grow_locked(Memory *memory, uint64_t pages) {
  uint64_t old = memory->size >> memory->type.page_log2;
  if (pages > memory->max_pages - old) return UINT64_MAX;
  if (pages == 0) return old;
  uint64_t bytes = pages << memory->type.page_log2;
  if (memory->charged != NULL && !limits_charge(memory->charged, bytes)) return UINT64_MAX;
  if (!extend(memory, memory->size + bytes)) {
    if (memory->charged != NULL) limits_refund(memory->charged, bytes);
    return UINT64_MAX;
  }
  return old;
}

uint64_t memory_grow(Memory *memory, uint64_t pages) {
  lock_shared(memory);
  uint64_t old = grow_locked(memory, pages);
  unlock_shared(memory);
  return old;
}

Trap memory_init(Instance *instance, uint32_t memory, uint32_t data, uint64_t to, uint32_t from,
                 uint32_t n) {
  const DataDef *def = &instance->module->datas[data];
  Memory *target = instance->memories[memory];
  uint32_t size = instance->data_dropped[data] ? 0 : def->size;
  if (from > size || n > size - from || !memory_fits(target, to, n)) return TRAP_MEMORY_BOUNDS;
  if (n != 0) memcpy(target->base + to, instance->module->bytes + def->at + from, n);
  return TRAP_NONE;
}

Trap memory_copy(Memory *to, Memory *from, uint64_t to_at, uint64_t from_at, uint64_t n) {
  if (!memory_fits(from, from_at, n) || !memory_fits(to, to_at, n)) return TRAP_MEMORY_BOUNDS;
  if (n != 0) memmove(to->base + to_at, from->base + from_at, (size_t)n);
  return TRAP_NONE;
}

Trap memory_fill(Memory *memory, uint64_t at, uint8_t byte, uint64_t n) {
  if (!memory_fits(memory, at, n)) return TRAP_MEMORY_BOUNDS;
  if (n != 0) memset(memory->base + at, byte, (size_t)n);
  return TRAP_NONE;
}

void data_drop(Instance *instance, uint32_t data) {
  instance->data_dropped[data] = true;
}
