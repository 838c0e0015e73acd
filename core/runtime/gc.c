/* gc.c - allocation from the heap of a store, and its life. See gc_heap.h for its shape.
 *
 * An instance is charged for whole blocks and for its large objects. Space for one is looked for in
 * this order: the hole at hand, the next hole of the instance's blocks, and, unless it is time to
 * collect, a free or a new block. A collection is tried once before the allocation fails.
 */
#include "gc_heap.h"

#include "externs.h"
#include "limits.h"
#include "stack.h"
#include "stores.h"

_Static_assert(offsetof(OwnSpace, small) == 0, "Instance.space is the head of an OwnSpace");
_Static_assert(sizeof(Block) < GC_BLOCK / 8, "a block is mostly objects");

enum { CHUNK_BLOCKS_MIN = 4, CHUNK_BLOCKS_MAX = 64, MAP_ROOM_MIN = 16 };

#if defined(RILLE_HARD)
enum { COLLECTS_ALWAYS = true };
#else
enum { COLLECTS_ALWAYS = false };
#endif

Space gc_no_space;

/* The map from addresses to blocks */

static size_t map_start(const UnitMap *map, uintptr_t number) {
  return (size_t)((uint64_t)number * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (map->room - 1);
}

static void map_put(UnitMap *map, uintptr_t number, Block *block) {
  size_t i = map_start(map, number);
  while (map->units[i].number != 0) i = (i + 1) & (map->room - 1);
  map->units[i] = (Unit){number, block};
  map->n++;
}

/* Room for n more at a load of at most one half. */
static bool map_reserve(UnitMap *map, Alloc *alloc, size_t n) {
  size_t room = MAX(map->room, MAP_ROOM_MIN);
  while (room < 2 * (map->n + n)) room *= 2;
  if (room == map->room) return true;
  UnitMap larger = {.room = room};
  larger.units = alloc_zero(alloc, room * sizeof(Unit));
  if (larger.units == NULL) return false;
  for (size_t i = 0; i < map->room; i++) {
    if (map->units[i].number != 0) map_put(&larger, map->units[i].number, map->units[i].block);
  }
  alloc_free(alloc, map->units, map->room * sizeof(Unit));
  *map = larger;
  return true;
}

/* Fills the gap with units that would be found no more. */
static void map_remove(UnitMap *map, uintptr_t number) {
  size_t mask = map->room - 1, gap = map_start(map, number);
  while (map->units[gap].number != number) gap = (gap + 1) & mask;
  for (size_t i = (gap + 1) & mask; map->units[i].number != 0; i = (i + 1) & mask) {
    size_t start = map_start(map, map->units[i].number);
    if (((i - start) & mask) < ((i - gap) & mask)) continue;
    map->units[gap] = map->units[i];
    gap = i;
  }
  map->units[gap].number = 0;
  map->n--;
}

static Block *map_find(const UnitMap *map, uintptr_t number) {
  if (map->room == 0) return NULL;
  size_t i = map_start(map, number);
  while (map->units[i].number != 0) {
    if (map->units[i].number == number) return map->units[i].block;
    i = (i + 1) & (map->room - 1);
  }
  return NULL;
}

static uintptr_t unit_number(const void *at) {
  return (uintptr_t)at / GC_BLOCK;
}

/* The last object that starts at or before the granule. */
static Object *start_before(const Block *block, size_t granule) {
  size_t word = granule / 64;
  uint64_t bits = block->starts[word] & (UINT64_MAX >> (63 - granule % 64));
  while (bits == 0) {
    if (word == 0) return NULL;
    bits = block->starts[--word];
  }
  size_t start = word * 64 + 63 - (size_t)__builtin_clzll(bits);
  return (Object *)(void *)((char *)(uintptr_t)block + start * GC_GRANULE);
}

size_t heap_object_size(const Object *object) {
  const Type *type = object->type;
  if (type == NULL) return sizeof(HostValue);
  switch (type->comp.kind) {
    case COMP_STRUCT: return (size_t)gc_struct_size(type);
    case COMP_ARRAY: return (size_t)gc_array_size(type, ((const Array *)(const void *)object)->n);
    default: return sizeof(Exception) + type->n_param_slots * sizeof(Slot);
  }
}

Object *heap_find(const Heap *heap, uintptr_t address) {
  Block *block = map_find(&heap->map, address / GC_BLOCK);
  if (block == NULL) return NULL;
  size_t offset = address - (uintptr_t)block;
  Object *object = start_before(block, MIN(offset, GC_BLOCK - 1) / GC_GRANULE);
  if (object == NULL || address - (uintptr_t)object >= heap_object_size(object)) return NULL;
  return object;
}

/* Chunks and blocks */

static void push_block(Block **list, Block *block) {
  block->next = *list;
  *list = block;
}

static void free_chunk(Heap *heap, Alloc *alloc, Chunk *chunk) {
  heap->n_blocks -= chunk->n;
  alloc_free(alloc, chunk->memory, chunk->size);
  alloc_free(alloc, chunk, sizeof *chunk);
}

/* Grows with the heap, so that small heaps stay small. */
static Chunk *new_chunk(Heap *heap, Alloc *alloc) {
  size_t n = MIN(MAX(heap->n_blocks, CHUNK_BLOCKS_MIN), CHUNK_BLOCKS_MAX);
  size_t size = (n + 1) * GC_BLOCK;
  if (!map_reserve(&heap->map, alloc, n)) return NULL;
  Chunk *chunk = alloc_new(alloc, sizeof *chunk);
  void *memory = alloc_new(alloc, size);
  if (chunk == NULL || memory == NULL) {
    alloc_free(alloc, chunk, sizeof *chunk);
    alloc_free(alloc, memory, size);
    return NULL;
  }
  *chunk = (Chunk){.next = heap->chunks,
                   .memory = memory,
                   .size = size,
                   .n = (uint32_t)n,
                   .n_free = (uint32_t)n};
  heap->chunks = chunk;
  heap->n_blocks += n;
  heap->n_free_blocks += n;
  return chunk;
}

static Block *chunk_block(const Chunk *chunk, size_t i) {
  char *first = (char *)(uintptr_t)align_up((uintptr_t)chunk->memory, GC_BLOCK);
  return (Block *)(void *)(first + i * GC_BLOCK);
}

static bool add_blocks(Heap *heap, Store *store) {
  Chunk *chunk = new_chunk(heap, store->alloc);
  if (chunk == NULL) return false;
  for (size_t i = chunk->n; i-- > 0;) {
    Block *block = chunk_block(chunk, i);
    memset(block, 0, sizeof *block);
    block->store = store;
    block->chunk = chunk;
    block->is_swept = true;
    push_block(&heap->free_blocks, block);
    map_put(&heap->map, unit_number(block), block);
  }
  return true;
}

static void forget_chunk_blocks(Heap *heap, const Chunk *chunk) {
  for (size_t i = 0; i < chunk->n; i++) {
    map_remove(&heap->map, unit_number(chunk_block(chunk, i)));
  }
  heap->n_free_blocks -= chunk->n;
}

/* Takes wholly free chunks out of the heap's list while more than `keep` blocks stay free; marks
 * them by saying that none of their blocks is. */
static Chunk *choose_spare(Heap *heap, size_t keep) {
  Chunk *spare = NULL;
  for (Chunk **link = &heap->chunks; *link != NULL;) {
    Chunk *chunk = *link;
    if (chunk->n_free != chunk->n || heap->n_free_blocks < keep + chunk->n) {
      link = &chunk->next;
      continue;
    }
    *link = chunk->next;
    chunk->next = spare;
    spare = chunk;
    forget_chunk_blocks(heap, chunk);
    chunk->n_free = 0;
  }
  return spare;
}

void heap_trim(Heap *heap, Alloc *alloc) {
  Chunk *spare = choose_spare(heap, heap->step / GC_BLOCK + 1);
  if (spare == NULL) return;
  for (Block **link = &heap->free_blocks; *link != NULL;) {
    if ((*link)->chunk->n_free == 0) {
      *link = (*link)->next;
    } else {
      link = &(*link)->next;
    }
  }
  for (Chunk *next; spare != NULL; spare = next) {
    next = spare->next;
    free_chunk(heap, alloc, spare);
  }
}

/* A block for the space, charged; NULL when it may not or cannot be had. */
static Block *take_block(Heap *heap, Store *store, OwnSpace *space) {
  if (space->charged != NULL && !limits_charge(space->charged, GC_BLOCK)) return NULL;
  if (heap->free_blocks == NULL && !add_blocks(heap, store)) {
    if (space->charged != NULL) limits_refund(space->charged, GC_BLOCK);
    return NULL;
  }
  Block *block = heap->free_blocks;
  heap->free_blocks = block->next;
  heap->n_free_blocks--;
  block->chunk->n_free--;
  block->space = space;
  push_block(&space->blocks, block);
  return block;
}

/* Holes */

void heap_sweep_block(Block *block) {
  memcpy(block->starts, block->marks, sizeof block->starts);
  block->is_swept = true;
}

/* Gives out the lines [from, end) of the block. */
static void take_lines(Heap *heap, Space *space, Block *block, size_t from, size_t end) {
  memset(block->lines + from, 1, end - from);
  space->at = (char *)block + from * GC_LINE;
  space->end = (char *)block + end * GC_LINE;
  heap->allocated += (end - from) * GC_LINE;
}

/* The next hole of the cursor's block with room for `size` bytes. */
static bool next_hole(Heap *heap, Space *space, Cursor *cursor, size_t size) {
  Block *block = cursor->block;
  for (size_t from = cursor->line; from < GC_LINES;) {
    const uint8_t *hole = memchr(block->lines + from, 0, GC_LINES - from);
    if (hole == NULL) return false;
    from = (size_t)(hole - block->lines);
    size_t end = from + 1;
    while (end < GC_LINES && block->lines[end] == 0) end++;
    if ((end - from) * GC_LINE >= size) {
      take_lines(heap, space, block, from, end);
      cursor->line = end;
      return true;
    }
    from = end;
  }
  return false;
}

/* Both cursors walk the same blocks; a block is swept by the first of them to come. */
static bool find_hole(Heap *heap, Space *space, Cursor *cursor, size_t size) {
  for (; cursor->block != NULL; cursor->block = cursor->block->next) {
    Block *block = cursor->block;
    if (!block->is_swept) heap_sweep_block(block);
    if (next_hole(heap, space, cursor, size)) return true;
    cursor->line = GC_FIRST_LINE;
  }
  return false;
}

/* Allocation */

static bool is_time(const Heap *heap) {
  return heap->allocated >= heap->step;
}

static Object *carve(Space *space, size_t size) {
  if ((size_t)(space->end - space->at) < size) return NULL;
  char *at = space->at;
  space->at = at + size;
  size_t granule = ((uintptr_t)at & (GC_BLOCK - 1)) / GC_GRANULE;
  gc_block_of(at)->starts[granule / 64] |= UINT64_C(1) << granule % 64;
  return (Object *)(void *)at;
}

static Object *alloc_in_block(Heap *heap, Store *store, OwnSpace *space, size_t size, bool force) {
  bool is_small = size <= GC_LINE;
  Space *from = is_small ? &space->small : &space->medium;
  Object *object = carve(from, size);
  if (object != NULL) return object;
  if (!find_hole(heap, from, is_small ? &space->small_cursor : &space->medium_cursor, size)) {
    if (is_time(heap) && !force) return NULL;
    Block *block = take_block(heap, store, space);
    if (block == NULL) return NULL;
    take_lines(heap, from, block, GC_FIRST_LINE, GC_LINES);
  }
  return carve(from, size);
}

static size_t large_units(size_t size) {
  return (GC_FIRST_LINE * GC_LINE + size + GC_BLOCK - 1) / GC_BLOCK;
}

static Block *new_large_block(Heap *heap, Store *store, size_t size) {
  size_t units = large_units(size), bytes = (units + 1) * GC_BLOCK;
  if (!map_reserve(&heap->map, store->alloc, units)) return NULL;
  void *memory = alloc_new(store->alloc, bytes);
  if (memory == NULL) return NULL;
  Block *block = (Block *)(uintptr_t)align_up((uintptr_t)memory, GC_BLOCK);
  memset(block, 0, sizeof *block);
  block->store = store;
  block->memory = memory;
  block->size = bytes;
  block->is_swept = true;
  for (size_t i = 0; i < units; i++) map_put(&heap->map, unit_number(block) + i, block);
  return block;
}

static Object *alloc_large(Heap *heap, Store *store, OwnSpace *space, size_t size, bool force) {
  if (heap->allocated + size > heap->step && !force) return NULL;
  if (space->charged != NULL && !limits_charge(space->charged, size)) return NULL;
  Block *block = new_large_block(heap, store, size);
  if (block == NULL) {
    if (space->charged != NULL) limits_refund(space->charged, size);
    return NULL;
  }
  block->space = space;
  block->charge = size;
  push_block(&heap->large, block);
  heap->large_bytes += size;
  heap->allocated += size;
  char *at = (char *)block + GC_FIRST_LINE * GC_LINE;
  return carve(&(Space){at, at + size}, size);
}

void heap_free_large(Heap *heap, Alloc *alloc, Block *block) {
  for (size_t i = 0; i < large_units(block->charge); i++) {
    map_remove(&heap->map, unit_number(block) + i);
  }
  if (block->space->charged != NULL) limits_refund(block->space->charged, block->charge);
  heap->large_bytes -= block->charge;
  alloc_free(alloc, block->memory, block->size);
}

static Heap *new_heap(Store *store) {
  Heap *heap = alloc_zero(store->alloc, sizeof *heap);
  if (heap == NULL) return NULL;
  heap->roots.next = heap->roots.previous = &heap->roots;
  heap->step = GC_STEP_MIN;
  store->heap = heap;
  return heap;
}

static Heap *heap_of(Store *store) {
  return store->heap != NULL ? store->heap : new_heap(store);
}

static OwnSpace *space_of(Heap *heap, Store *store, Instance *instance) {
  if (instance == NULL) return &heap->host;
  if (instance->space != &gc_no_space) return (OwnSpace *)(void *)instance->space;
  OwnSpace *space = alloc_zero(store->alloc, sizeof *space);
  if (space == NULL) return NULL;
  space->charged = instance;
  space->next = heap->spaces;
  heap->spaces = space;
  instance->space = &space->small;
  return space;
}

/* Values of the host */

static void release_one(Heap *heap, const Engine *engine) {
  HostValue *value = heap->released;
  heap->released = value->next;
  if (engine->hooks.release_extern != NULL) {
    engine->hooks.release_extern(engine->hooks.user, value->payload);
  }
}

static void release_all(Store *store) {
  Heap *heap = store->heap;
  while (heap != NULL && heap->released != NULL) release_one(heap, store->engine);
}

/* A host function in form only. */
static RunStatus release_on_host_stack(Act *act, void *store, Slot *slots) {
  (void)act;
  (void)slots;
  release_all(store);
  return RUN_DONE;
}

/* The hook of a dead value is called before anything else can be made of it: the host may still
 * know its reference. Guest code (`act`) goes to the host's stack for that. */
static RunStatus release_dead(Store *store, Act *act) {
  if (store->heap->released == NULL) return RUN_DONE;
  if (act != NULL) {
    return stack_call_host(act, release_on_host_stack, store, NULL, act->value_top);
  }
  release_all(store);
  return RUN_DONE;
}

/* Who allocates. */
typedef struct Request {
  Store *store;
  Instance *instance; /* or NULL: the host */
  Act *act;           /* guest code, or NULL */
  size_t size;
} Request;

static Object *try_alloc(const Request *request, bool force) {
  Store *store = store_of(request->store);
  Heap *heap = heap_of(store);
  OwnSpace *space = heap != NULL ? space_of(heap, store, request->instance) : NULL;
  if (space == NULL) return NULL;
  return request->size <= GC_SMALL_MAX ? alloc_in_block(heap, store, space, request->size, force)
                                       : alloc_large(heap, store, space, request->size, force);
}

/* When nothing but a limit asked for the collection and it freed next to nothing, more of them
 * would not help either: they would come at every allocation. */
static Object *collect_and_alloc(const Request *request, RunStatus *status) {
  Store *store = store_of(request->store);
  Heap *heap = store->heap;
  if (heap == NULL) return NULL;
  bool was_time = COLLECTS_ALWAYS || is_time(heap) || request->size > GC_SMALL_MAX;
  size_t before = heap->live + heap->allocated;
  heap_collect(heap, store);
  bool is_full = !was_time && before < heap->live + heap->live / 32;
  *status = release_dead(store, request->act);
  return *status == RUN_DONE && !is_full ? try_alloc(request, true) : NULL;
}

static Object *alloc(const Request *request, const Type *type, RunStatus *status) {
  Object *object = NULL;
  if (COLLECTS_ALWAYS) (void)heap_of(store_of(request->store));
  if (!COLLECTS_ALWAYS) object = try_alloc(request, false);
  if (object == NULL) object = collect_and_alloc(request, status);
  if (object != NULL) object->type = type;
  return object;
}

static bool is_too_large(uint64_t size) {
  return size > GC_ARRAY_BYTES_MAX + GC_ARRAY_HEADER;
}

Object *gc_alloc(Store *store, Instance *instance, const Type *type, uint64_t size) {
  RunStatus status = RUN_DONE;
  if (is_too_large(size)) return NULL;
  return alloc(&(Request){.store = store, .instance = instance, .size = (size_t)size}, type,
               &status);
}

Object *gc_alloc_in_run(Act *act, Instance *instance, const Type *type, uint64_t size,
                        RunStatus *status) {
  Object *object = NULL;
  *status = RUN_DONE;
  if (!is_too_large(size)) {
    object = alloc(&(Request){instance->store, instance, act, (size_t)size}, type, status);
  }
  if (object == NULL && *status == RUN_DONE) {
    act->limit = LIMIT_MEMORY;
    *status = RUN_LIMIT;
  }
  return object;
}

Array *gc_new_array(Store *store, Instance *instance, const Type *type, uint32_t n) {
  Array *array = (Array *)(void *)gc_alloc(store, instance, type, gc_array_size(type, n));
  if (array != NULL) array->n = n;
  return array;
}

Array *gc_new_array_in_run(Act *act, Instance *instance, const Type *type, uint32_t n,
                           RunStatus *status) {
  Array *array =
      (Array *)(void *)gc_alloc_in_run(act, instance, type, gc_array_size(type, n), status);
  if (array != NULL) array->n = n;
  return array;
}

Exception *gc_new_exception(Store *store, Instance *instance, Tag *tag) {
  size_t size = sizeof(Exception) + tag->type->n_param_slots * sizeof(Slot);
  Exception *exception = (Exception *)(void *)gc_alloc(store, instance, tag->type, size);
  if (exception == NULL) return NULL;
  exception->tag = tag;
  exception->next = NULL;
  if (instance == NULL) {
    Heap *heap = store_of(store)->heap;
    tag_retain(tag);
    exception->next = heap->exceptions;
    heap->exceptions = exception;
  }
  return exception;
}

bool gc_hold_type(Store *store, const Type *type) {
  store = store_of(store);
  Heap *heap = heap_of(store);
  if (heap == NULL) return false;
  if (map_find(&heap->types, (uintptr_t)type) != NULL) return true;
  if (!map_reserve(&heap->types, store->alloc, 1)) return false;
  types_retain(type->id);
  map_put(&heap->types, (uintptr_t)type, (Block *)(uintptr_t)type);
  return true;
}

static void release_types(UnitMap *types) {
  for (size_t i = 0; i < types->room; i++) {
    if (types->units[i].number != 0) types_release(((const Type *)types->units[i].number)->id);
  }
}

HostValue *gc_new_host_value(Store *store, uint64_t payload) {
  HostValue *value = (HostValue *)(void *)gc_alloc(store, NULL, NULL, sizeof *value);
  if (value == NULL) return NULL;
  store = store_of(store);
  value->payload = payload;
  value->next = store->host_values;
  store->host_values = value;
  store->heap->allocated += GC_HOST_WEIGHT;
  return value;
}

void gc_collect(Store *store) {
  store = store_of(store);
  if (store->heap == NULL) return;
  heap_collect(store->heap, store);
  release_all(store);
}

/* Roots of the host */

Root *gc_hold(Store *store, Slot ref) {
  store = store_of(store);
  Heap *heap = heap_of(store);
  Root *root = heap != NULL ? alloc_new(store->alloc, sizeof *root) : NULL;
  if (root == NULL) return NULL;
  *root =
      (Root){.ref = ref, .store = store, .next = &heap->roots, .previous = heap->roots.previous};
  root->previous->next = root->next->previous = root;
  store_retain(store);
  return root;
}

void gc_drop(Root *root) {
  Store *store = store_of(root->store);
  root->previous->next = root->next;
  root->next->previous = root->previous;
  alloc_free(store->alloc, root, sizeof *root);
  store_release(store);
}

static void link_scope(Heap *heap, GcScope *scope) {
  scope->next = heap->scopes;
  scope->link = &heap->scopes;
  if (scope->next != NULL) scope->next->link = &scope->next;
  heap->scopes = scope;
}

bool gc_open_scope(Store *store, GcScope *scope, const Slot *slots, uint64_t n) {
  Heap *heap = heap_of(store_of(store));
  if (heap == NULL) return false;
  scope->slots = slots;
  scope->n = n;
  link_scope(heap, scope);
  return true;
}

void gc_close_scope(GcScope *scope) {
  if (scope->link == NULL) return;
  *scope->link = scope->next;
  if (scope->next != NULL) scope->next->link = scope->link;
  scope->link = NULL;
}

Store *gc_store_of(Slot ref) {
  return store_of(gc_block_of(gc_object(ref))->store);
}

size_t gc_live_bytes(const Store *store) {
  return store->heap != NULL ? store->heap->live : 0;
}

size_t gc_held_bytes(const Store *store) {
  return store->heap != NULL ? store->heap->n_blocks * GC_BLOCK + store->heap->large_bytes : 0;
}

/* Joining */

size_t gc_weight(const Store *store) {
  return store->heap != NULL ? store->heap->map.n : 0;
}

bool gc_prepare_merge(Store *to, const Store *from) {
  if (from->heap == NULL) return true;
  Heap *heap = heap_of(to);
  return heap != NULL && map_reserve(&heap->map, to->alloc, from->heap->map.n) &&
         map_reserve(&heap->types, to->alloc, from->heap->types.n);
}

#define SPLICE(Item, to, from)                      \
  do {                                              \
    Item **last_ = &(from);                         \
    while (*last_ != NULL) last_ = &(*last_)->next; \
    *last_ = (to);                                  \
    (to) = (from);                                  \
  } while (0)

static void merge_roots(Heap *to, Heap *from) {
  Root *first = from->roots.next, *last = from->roots.previous;
  if (first == &from->roots) return;
  first->previous = to->roots.previous;
  first->previous->next = first;
  last->next = &to->roots;
  to->roots.previous = last;
}

static void merge_scopes(Heap *to, Heap *from) {
  for (GcScope *scope = from->scopes, *next; scope != NULL; scope = next) {
    next = scope->next;
    link_scope(to, scope);
  }
}

static void merge_map(UnitMap *to, const UnitMap *from) {
  for (size_t i = 0; i < from->room; i++) {
    if (from->units[i].number != 0) map_put(to, from->units[i].number, from->units[i].block);
  }
}

static void merge_types(UnitMap *to, const UnitMap *from) {
  for (size_t i = 0; i < from->room; i++) {
    uintptr_t type = from->units[i].number;
    if (type == 0) continue;
    if (map_find(to, type) != NULL) {
      types_release(((const Type *)type)->id);
    } else {
      map_put(to, type, from->units[i].block);
    }
  }
}

/* Blocks of the host's space go to the other's; its holes are found again after a collection. */
static void merge_host_space(OwnSpace *to, OwnSpace *from) {
  for (Block *block = from->blocks; block != NULL; block = block->next) block->space = to;
  SPLICE(Block, to->blocks, from->blocks);
}

static void merge_large(Heap *to, Heap *from) {
  for (Block *block = from->large; block != NULL; block = block->next) {
    if (block->space == &from->host) block->space = &to->host;
  }
  SPLICE(Block, to->large, from->large);
}

static void free_heap(Store *store) {
  Heap *heap = store->heap;
  alloc_free(store->alloc, heap->map.units, heap->map.room * sizeof(Unit));
  alloc_free(store->alloc, heap->types.units, heap->types.room * sizeof(Unit));
  alloc_free(store->alloc, heap->pending, heap->pending_room * sizeof(Object *));
  alloc_free(store->alloc, heap, sizeof *heap);
  store->heap = NULL;
}

void gc_merge(Store *into, Store *store) {
  Heap *to = into->heap, *from = store->heap;
  if (from == NULL) return;
  merge_map(&to->map, &from->map);
  merge_types(&to->types, &from->types);
  merge_host_space(&to->host, &from->host);
  merge_large(to, from);
  SPLICE(OwnSpace, to->spaces, from->spaces);
  SPLICE(Block, to->free_blocks, from->free_blocks);
  SPLICE(Chunk, to->chunks, from->chunks);
  SPLICE(HostValue, to->released, from->released);
  SPLICE(Exception, to->exceptions, from->exceptions);
  merge_roots(to, from);
  merge_scopes(to, from);
  to->n_blocks += from->n_blocks;
  to->n_free_blocks += from->n_free_blocks;
  to->large_bytes += from->large_bytes;
  to->allocated += from->allocated;
  to->live += from->live;
  to->step = MAX(to->live, GC_STEP_MIN);
  free_heap(store);
}

/* The end */

static void release_everything(Store *store) {
  SPLICE(HostValue, store->heap->released, store->host_values);
  store->host_values = NULL;
  release_all(store);
  for (Exception *it = store->heap->exceptions; it != NULL; it = it->next) tag_release(it->tag);
  for (GcScope *it = store->heap->scopes; it != NULL; it = it->next) it->link = NULL;
  release_types(&store->heap->types);
}

void gc_free(Store *store) {
  Heap *heap = store->heap;
  if (heap == NULL) return;
  release_everything(store);
  for (Block *block = heap->large, *next; block != NULL; block = next) {
    next = block->next;
    alloc_free(store->alloc, block->memory, block->size);
  }
  for (Chunk *chunk = heap->chunks, *next; chunk != NULL; chunk = next) {
    next = chunk->next;
    free_chunk(heap, store->alloc, chunk);
  }
  for (OwnSpace *space = heap->spaces, *next; space != NULL; space = next) {
    next = space->next;
    alloc_free(store->alloc, space, sizeof *space);
  }
  free_heap(store);
}
