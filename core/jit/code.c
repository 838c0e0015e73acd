/* code.c - reserving, filling and searching code memory: see code.h.
 *
 * The list of regions is read by the signal handler while others change it: its nodes live forever
 * and are used again, and their fields are atomic.
 */
#if defined(__x86_64__)
#include "code.h"

#include <stdlib.h>

#include "engine.h"
#include "helper.h"
#include "perfmap.h"

/* Of what a thread was about to publish when the process forked, and the child makes anew. */
enum { SPARE_RECORDS = 128 };

struct Region {
  _Atomic uintptr_t start, end;
  CodeSpace *_Atomic space;
  Region *next;
};
static Region *_Atomic regions;

static Region *take_region(CodeSpace *space) {
  for (Region *region = atomic_load(&regions); region != NULL; region = region->next) {
    CodeSpace *none = NULL;
    if (atomic_compare_exchange_strong(&region->space, &none, space)) return region;
  }
  Region *region = calloc(1, sizeof *region);
  if (region == NULL) return NULL;
  atomic_init(&region->space, space);
  region->next = atomic_load(&regions);
  while (!atomic_compare_exchange_weak(&regions, &region->next, region)) continue;
  return region;
}

static bool add_region(CodeSpace *space) {
  Region *region = take_region(space);
  if (region == NULL) return false;
  space->region = region;
  atomic_store(&region->end, (uintptr_t)space->base + space->size);
  atomic_store(&region->start, (uintptr_t)space->base);
  return true;
}

static void remove_region(CodeSpace *space) {
  if (space->region == NULL) return;
  atomic_store(&space->region->start, 0);
  atomic_store(&space->region->end, 0);
  atomic_store(&space->region->space, NULL);
}

/* Searching */

const CodeRecord *code_find(const uint8_t *pc, CodeSpace **out) {
  CodeSpace *space = NULL;
  for (Region *region = atomic_load(&regions); region != NULL; region = region->next) {
    if ((uintptr_t)pc < atomic_load(&region->start) || (uintptr_t)pc >= atomic_load(&region->end))
      continue;
    space = atomic_load(&region->space);
    break;
  }
  if (space == NULL) return NULL;
  *out = space;
  uint32_t low = 0, high = atomic_load_explicit(&space->n_records, memory_order_acquire);
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (space->records[middle].end <= pc) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == atomic_load(&space->n_records) || space->records[low].start > pc) return NULL;
  return &space->records[low];
}

static const CodeSite *find_site(const CodeRecord *record, const uint8_t *pc, bool is_call) {
  uint32_t at = (uint32_t)(pc - record->start), low = 0, high = record->n_sites;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (record->sites[middle].at < at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  for (; low < record->n_sites && record->sites[low].at == at; low++) {
    if ((record->sites[low].trap == TRAP_NONE) == is_call) return &record->sites[low];
  }
  return NULL;
}

const CodeSite *code_fault_site(const CodeRecord *record, const uint8_t *pc) {
  return find_site(record, pc, false);
}

const CodeSite *code_call_site(const CodeRecord *record, const uint8_t *pc) {
  return find_site(record, pc, true);
}

/* Pages */

static size_t page_round(size_t size) {
  return (size_t)align_up(size, os_page_size());
}

/* Fresh pages, still to be written; NULL when there is no room. */
static uint8_t *begin_pages(CodeSpace *space, size_t size) {
  size = page_round(size);
  if (size > space->size - space->used) return NULL;
  char *at = space->base + space->used;
  return os_commit(at, size) ? (uint8_t *)at : NULL;
}

static bool end_pages(CodeSpace *space, size_t size) {
  size = page_round(size);
  if (!os_make_executable(space->base + space->used, size)) return false;
  space->used += size;
  return true;
}

uint8_t *code_next_page(const CodeSpace *space) {
  return (uint8_t *)space->base + space->used;
}

bool code_extend(CodeSpace *space, size_t from, size_t size) {
  size_t left = space->size - space->used;
  return from <= left && size <= left - from && os_commit(space->base + space->used + from, size);
}

bool code_end(CodeSpace *space, size_t size, size_t room) {
  size_t kept = page_round(size);
  if (room > kept) os_decommit(space->base + space->used + kept, room - kept);
  return end_pages(space, size);
}

/* Opening */

static const uintptr_t helper_addresses[] = {
#define HELPER(name, signature, clobbers) (uintptr_t) helper_##name,
#include "helper.def"
};

/* Machine code takes some four times the bytes of the module's; the rest is for what is wasted at
 * ends of pages. Only addresses are reserved. */
static size_t wanted_size(const Module *module) {
  size_t size = 4 * MIB + 32 * (size_t)module->code_size +
                8192 * (size_t)MIN(module->n_funcs, 1000u) + 64 * (size_t)module->n_funcs;
  return page_round(MIN(size, (size_t)1900 * MIB));
}

static bool open_data(CodeSpace *space, uint32_t n_funcs) {
  const Module *module = space->owner->module;
  size_t n_words = COUNT_OF(helper_addresses) + n_funcs + module->n_types + 1;
  space->data_bytes = page_round(n_words * sizeof(void *));
  if (!os_commit(space->base, space->data_bytes)) return false;
  space->helpers = (void **)(void *)space->base;
  space->slots = (void *_Atomic *)(void *)(space->helpers + COUNT_OF(helper_addresses));
  space->types = (const Type **)(void *)(space->slots + n_funcs);
  for (size_t i = 0; i < COUNT_OF(helper_addresses); i++)
    space->helpers[i] = (void *)helper_addresses[i];
  for (uint32_t i = 0; i < module->n_types; i++) space->types[i] = type_of_id(module->type_ids[i]);
  space->used = space->data_bytes;
  return true;
}

static bool open_stubs(CodeSpace *space, const StubCalls *calls, bool has_avx, uint32_t n_funcs,
                       uint32_t n_imported) {
  Arena arena;
  Guard guard;
  Error error;
  volatile bool is_open = false;
  arena_init(&arena, space->owner->module->alloc);
  if (GUARD_TRY(&guard, &arena, &error)) {
    Buf stubs;
    buf_init(&stubs, &arena);
    stubs_common(&stubs, calls, has_avx, n_funcs, n_imported, &space->offsets);
    uint8_t *at = begin_pages(space, stubs.size);
    if (at != NULL) {
      memcpy(at, stubs.at, stubs.size);
      space->common = at;
      is_open = end_pages(space, stubs.size);
    }
    guard_leave(&guard);
  }
  arena_clear(&arena);
  if (!is_open) return false;
  for (uint32_t i = 0; i < n_funcs; i++) {
    const uint8_t *lazy = space->common + space->offsets.lazy + i * LAZY_BYTES;
    atomic_init(&space->slots[i], (void *)(uintptr_t)lazy);
  }
  return true;
}

bool code_open(CodeSpace *space, JitModule *owner, const StubCalls *calls, bool has_avx) {
  const Module *module = owner->module;
  uint32_t n_funcs = module->n_funcs - module->n_imported_funcs;
  space->owner = owner;
  space->room_records = n_funcs + 2 * module->n_types + SPARE_RECORDS;
  space->records = alloc_zero(module->alloc, MAX(space->room_records, 1) * sizeof *space->records);
  space->adapters = alloc_zero(module->alloc, MAX(module->n_types, 1) * sizeof *space->adapters);
  space->entries = alloc_zero(module->alloc, MAX(module->n_types, 1) * sizeof *space->entries);
  if (space->records == NULL || space->adapters == NULL || space->entries == NULL) return false;
  space->size = wanted_size(module);
  space->base = os_reserve(space->size);
  return space->base != NULL && open_data(space, n_funcs) &&
         open_stubs(space, calls, has_avx, n_funcs, module->n_imported_funcs) && add_region(space);
}

static void free_sites(const CodeSpace *space) {
  for (uint32_t i = 0; i < atomic_load(&space->n_records); i++) {
    const CodeRecord *record = &space->records[i];
    alloc_free(space->owner->module->alloc, (void *)(uintptr_t)record->sites,
               record->n_sites * sizeof *record->sites);
  }
}

void code_close(CodeSpace *space) {
  const Module *module = space->owner->module;
  remove_region(space);
  if (space->records != NULL) free_sites(space);
  if (space->base != NULL) os_release(space->base, space->size);
  alloc_free(module->alloc, space->records, MAX(space->room_records, 1) * sizeof *space->records);
  alloc_free(module->alloc, (void *)(uintptr_t)space->adapters,
             MAX(module->n_types, 1) * sizeof *space->adapters);
  alloc_free(module->alloc, (void *)(uintptr_t)space->entries,
             MAX(module->n_types, 1) * sizeof *space->entries);
}

/* Placing */

typedef struct Placing {
  CodeSpace *space;
  const CodePiece *pieces;
  uint32_t n;
  uint8_t *at;                  /* the first page */
  const uint8_t *const *placed; /* by own function: what else has its place, or NULL */
} Placing;

static uint32_t padded(uint32_t size) {
  return (uint32_t)align_up(size, 16);
}

/* An adapter is there already, or among the pieces. */
static const uint8_t *adapter_of(const Placing *p, uint32_t type) {
  const uint8_t *made = atomic_load(&p->space->adapters[type]);
  if (made != NULL) return made;
  const uint8_t *at = p->at;
  for (uint32_t i = 0; i < p->n; i++) {
    if (p->pieces[i].kind == RECORD_ADAPTER && p->pieces[i].index == type) return at;
    at += padded(p->pieces[i].compiled.size);
  }
  return NULL;
}

static const uint8_t *link_target(const Placing *p, const CodeLink *link) {
  const CodeSpace *space = p->space;
  switch ((LinkKind)link->kind) {
    case LINK_SLOT:
      return (const uint8_t *)&space->slots[link->index - space->owner->module->n_imported_funcs];
    case LINK_STUB: return space->common + space->offsets.stubs[link->index];
    case LINK_HELPER: return (const uint8_t *)&space->helpers[link->index];
    case LINK_TYPE: return (const uint8_t *)&space->types[link->index];
    default: return adapter_of(p, link->index);
  }
}

/* A function that has its place, now or among the pieces; NULL when it waits for its first call. */
static const uint8_t *placed_func(const Placing *p, uint32_t func) {
  const CodeSpace *space = p->space;
  const uint8_t *at = p->at;
  for (uint32_t i = 0; i < p->n; i++) {
    if (p->pieces[i].kind == RECORD_FUNC && p->pieces[i].index == func) return at;
    at += padded(p->pieces[i].compiled.size);
  }
  uint32_t own = func - space->owner->module->n_imported_funcs;
  if (p->placed != NULL && p->placed[own] != NULL) return p->placed[own];
  const uint8_t *lazy = space->common + space->offsets.lazy + own * LAZY_BYTES;
  const uint8_t *now = atomic_load(&space->slots[own]);
  return now != lazy ? now : NULL;
}

/* A call through the slot of a function that has its place already becomes a direct one, of the
 * same length: a prefix without meaning takes the byte that is left. */
static bool link_directly(const Placing *p, const CodeLink *link, uint8_t *field) {
  enum { CALL_MEMORY = 0x15FF, CALL = 0xE867 };
  if (link->kind != LINK_SLOT || load_u16(field - 2) != CALL_MEMORY) return false;
  const uint8_t *target = placed_func(p, link->index);
  if (target == NULL) return false;
  store_u16(field - 2, CALL);
  store_u32(field, (uint32_t)(target - (field + 4)));
  return true;
}

static void link_piece(const Placing *p, const Compiled *compiled, uint8_t *at) {
  for (uint32_t i = 0; i < compiled->n_links; i++) {
    const CodeLink *link = &compiled->links[i];
    uint8_t *field = at + link->at;
    if (link_directly(p, link, field)) continue;
    int64_t distance = link_target(p, link) - (field + 4 + link->tail);
    store_u32(field, load_u32(field) + (uint32_t)distance);
  }
}

void code_link(CodeSpace *space, const uint8_t *const *placed, const Compiled *compiled,
               uint8_t *at) {
  Placing p = {.space = space, .placed = placed};
  link_piece(&p, compiled, at);
}

void code_add_record(CodeSpace *space, const CodePiece *piece, const uint8_t *at,
                     const CodeSite *sites) {
  const Compiled *compiled = &piece->compiled;
  uint32_t n = atomic_load(&space->n_records);
  space->records[n] = (CodeRecord){.start = at,
                                   .end = at + padded(compiled->size),
                                   .sites = sites,
                                   .n_sites = compiled->n_sites,
                                   .index = piece->index,
                                   .frame_bytes = compiled->frame_bytes,
                                   .param_bytes = compiled->param_bytes,
                                   .kind = piece->kind};
  if (space->owner->notes_perf) perfmap_add(space, &space->records[n]);
  atomic_store_explicit(&space->n_records, n + 1, memory_order_release);
}

/* From here on it can be called. */
void code_publish(CodeSpace *space, const CodePiece *piece, const uint8_t *at) {
  void *code = (void *)(uintptr_t)at;
  if (piece->kind == RECORD_FUNC) {
    uint32_t n_imported = space->owner->module->n_imported_funcs;
    atomic_store_explicit(&space->slots[piece->index - n_imported], code, memory_order_release);
    atomic_fetch_add(&space->n_prepared, 1);
    atomic_fetch_add(&space->n_bytes, piece->compiled.size);
  } else {
    atomic_store_explicit(piece->kind == RECORD_ADAPTER ? &space->adapters[piece->index]
                                                        : &space->entries[piece->index],
                          code, memory_order_release);
  }
}

static void free_copies(Alloc *alloc, CodeSite **copies, const CodePiece *pieces, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    alloc_free(alloc, copies[i], pieces[i].compiled.n_sites * sizeof **copies);
}

static CodeSite **copy_sites(Alloc *alloc, const CodePiece *pieces, uint32_t n) {
  CodeSite **copies = alloc_zero(alloc, n * sizeof *copies);
  if (copies == NULL) return NULL;
  for (uint32_t i = 0; i < n; i++) {
    size_t size = pieces[i].compiled.n_sites * sizeof **copies;
    if (size == 0) continue;
    copies[i] = alloc_new(alloc, size);
    if (copies[i] == NULL) {
      free_copies(alloc, copies, pieces, i);
      alloc_free(alloc, copies, n * sizeof *copies);
      return NULL;
    }
    memcpy(copies[i], pieces[i].compiled.sites, size);
  }
  return copies;
}

bool code_place(CodeSpace *space, const CodePiece *pieces, uint32_t n) {
  Alloc *alloc = space->owner->module->alloc;
  size_t size = 0;
  if (n > space->room_records - atomic_load(&space->n_records)) return false;
  for (uint32_t i = 0; i < n; i++) size += padded(pieces[i].compiled.size);
  Placing p = {.space = space, .pieces = pieces, .n = n, .at = begin_pages(space, size)};
  CodeSite **sites = p.at != NULL ? copy_sites(alloc, pieces, n) : NULL;
  if (sites == NULL) return false;
  uint8_t *at = p.at;
  for (uint32_t i = 0; i < n; i++) {
    memcpy(at, pieces[i].compiled.code, pieces[i].compiled.size);
    link_piece(&p, &pieces[i].compiled, at);
    at += padded(pieces[i].compiled.size);
  }
  bool is_placed = end_pages(space, size);
  at = p.at;
  for (uint32_t i = 0; i < n && is_placed; i++) {
    code_add_record(space, &pieces[i], at, sites[i]);
    at += padded(pieces[i].compiled.size);
  }
  at = p.at;
  for (uint32_t i = 0; i < n && is_placed; i++) {
    code_publish(space, &pieces[i], at);
    at += padded(pieces[i].compiled.size);
  }
  if (!is_placed) free_copies(alloc, sites, pieces, n);
  alloc_free(alloc, sites, n * sizeof *sites);
  return is_placed;
}
#endif
