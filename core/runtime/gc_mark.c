/* gc_mark.c - collections: roots, marking, and sorting out what is free.
 *
 * References in globals, tables, element segments, roots and objects are precise. The values of
 * activations and the machine stacks are looked at word by word: what looks like the address of an
 * object, or of a byte inside it, keeps the object. Marking keeps a list of objects whose
 * references are not yet followed; when there is no memory to make it longer, the objects that were
 * left out are found again by looking through all marked ones.
 */
#include <setjmp.h>

#include "externs.h"
#include "gc_heap.h"
#include "limits.h"

/* A stack is looked at as it is: what was never written is no mistake here. */
#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#endif
#endif
#ifndef VALGRIND_MAKE_MEM_DEFINED
#define VALGRIND_MAKE_MEM_DEFINED(at, size) ((void)(at))
#endif

enum { PENDING_ROOM_MIN = 256 };

/* Marking */

static void push_pending(Heap *heap, Alloc *alloc, Object *object) {
  if (UNLIKELY(heap->n_pending == heap->pending_room)) {
    size_t room = MAX(heap->pending_room * 2, (size_t)PENDING_ROOM_MIN);
    Object **longer = alloc_resize(alloc, heap->pending, heap->pending_room * sizeof *longer,
                                   room * sizeof *longer);
    if (longer == NULL) {
      heap->lost_pending = true;
      return;
    }
    heap->pending = longer;
    heap->pending_room = room;
  }
  heap->pending[heap->n_pending++] = object;
}

static bool is_marked(const void *object) {
  size_t granule = ((uintptr_t)object & (GC_BLOCK - 1)) / GC_GRANULE;
  return gc_block_of(object)->marks[granule / 64] >> granule % 64 & 1;
}

static void mark_object(Heap *heap, Alloc *alloc, Object *object) {
  Block *block = gc_block_of(object);
  size_t granule = ((uintptr_t)object & (GC_BLOCK - 1)) / GC_GRANULE;
  uint64_t bit = UINT64_C(1) << granule % 64;
  if (block->marks[granule / 64] & bit) return;
  block->marks[granule / 64] |= bit;
  push_pending(heap, alloc, object);
}

static FORCE_INLINE void mark_ref(Heap *heap, Alloc *alloc, Slot ref) {
  if (ref == 0 || (ref & 1) != 0) return;
  mark_object(heap, alloc, gc_object(ref));
}

static void mark_refs(Heap *heap, Alloc *alloc, const Slot *refs, uint64_t n) {
  for (uint64_t i = 0; i < n; i++) mark_ref(heap, alloc, refs[i]);
}

/* What the object takes is in use. */
static void mark_lines(Heap *heap, const Object *object) {
  Block *block = gc_block_of(object);
  size_t size = heap_object_size(object);
  block->is_live = true;
  heap->live += size;
  if (block->chunk == NULL) return;
  size_t offset = (uintptr_t)object & (GC_BLOCK - 1);
  size_t from = offset / GC_LINE, last = (offset + size - 1) / GC_LINE;
  for (size_t line = from; line <= last; line++) block->lines[line] = 1;
}

static void follow_struct(Heap *heap, Alloc *alloc, const Object *object) {
  const Type *type = object->type;
  const Slot *words = (const Slot *)(const void *)gc_fields(object);
  for (uint64_t left = type->traced; left != 0; left &= left - 1) {
    mark_ref(heap, alloc, words[__builtin_ctzll(left)]);
  }
  if (LIKELY(type->size <= 64 * sizeof(Slot))) return;
  for (uint32_t i = 0; i < type->comp.n_fields; i++) {
    if (type->offsets[i] < 64 * sizeof(Slot) || !type_is_traced(type->comp.fields[i].type))
      continue;
    mark_ref(heap, alloc, words[type->offsets[i] / sizeof(Slot)]);
  }
}

static void follow_exception(Heap *heap, Alloc *alloc, const Exception *exception) {
  const CompType *comp = &exception->object.type->comp;
  const Slot *value = exception->values;
  for (uint32_t i = 0; i < comp->n_params; i++) {
    if (type_is_traced(comp->types[i])) mark_ref(heap, alloc, *value);
    value += type_slots(comp->types[i]);
  }
}

static void follow(Heap *heap, Alloc *alloc, const Object *object) {
  const Type *type = object->type;
  if (type == NULL) return;
  if (type->comp.kind == COMP_STRUCT) {
    follow_struct(heap, alloc, object);
  } else if (type->comp.kind == COMP_ARRAY) {
    const Array *array = (const Array *)(const void *)object;
    if (type->traced == 0) return;
    mark_refs(heap, alloc, (const Slot *)(const void *)gc_elements(array), array->n);
  } else {
    follow_exception(heap, alloc, (const Exception *)(const void *)object);
  }
}

static void follow_pending(Heap *heap, Alloc *alloc) {
  while (heap->n_pending != 0) {
    const Object *object = heap->pending[--heap->n_pending];
    mark_lines(heap, object);
    follow(heap, alloc, object);
  }
}

/* Every marked object of a block, as if it were pending. What has been followed before is followed
 * again, which changes nothing but the sum of live bytes. */
static void follow_block(Heap *heap, Alloc *alloc, const Block *block) {
  for (size_t word = 0; word < GC_MAP_WORDS; word++) {
    for (uint64_t left = block->marks[word]; left != 0; left &= left - 1) {
      size_t granule = word * 64 + (size_t)__builtin_ctzll(left);
      const Object *object =
          (const Object *)(const void *)((const char *)block + granule * GC_GRANULE);
      mark_lines(heap, object);
      follow(heap, alloc, object);
      follow_pending(heap, alloc);
    }
  }
}

static void each_block(Heap *heap, Alloc *alloc, void (*fn)(Heap *, Alloc *, Block *)) {
  for (Block *block = heap->large; block != NULL; block = block->next) fn(heap, alloc, block);
  for (Block *block = heap->host.blocks; block != NULL; block = block->next) fn(heap, alloc, block);
  for (OwnSpace *space = heap->spaces; space != NULL; space = space->next) {
    for (Block *block = space->blocks; block != NULL; block = block->next) fn(heap, alloc, block);
  }
}

static void follow_in_block(Heap *heap, Alloc *alloc, Block *block) {
  follow_block(heap, alloc, block);
}

static void follow_all(Heap *heap, Alloc *alloc) {
  follow_pending(heap, alloc);
  while (heap->lost_pending) {
    heap->lost_pending = false;
    heap->live = 0;
    each_block(heap, alloc, follow_in_block);
  }
}

/* Roots */

static void mark_globals(Heap *heap, const Store *store) {
  for (const Global *global = store->globals; global != NULL; global = global->next) {
    if (type_is_traced(global->type.type)) mark_ref(heap, store->alloc, global->cell[0]);
  }
}

static void mark_tables(Heap *heap, const Store *store) {
  for (const Table *table = store->tables; table != NULL; table = table->next) {
    if (!type_is_traced(table->type.type)) continue;
    mark_refs(heap, store->alloc, table->items, table->n);
  }
}

static void mark_segments(Heap *heap, const Store *store) {
  for (const Instance *instance = store->instances; instance != NULL; instance = instance->next) {
    const Module *module = instance->module;
    for (uint32_t i = 0; i < module->n_elems; i++) {
      const ElemDef *def = &module->elems[i];
      if (instance->elem_items[i] == NULL) continue;
      if (!type_is_traced(type_canonical(def->type, module->type_ids))) continue;
      mark_refs(heap, store->alloc, instance->elem_items[i], def->n);
    }
  }
}

static void mark_held(Heap *heap, Alloc *alloc) {
  for (const Root *root = heap->roots.next; root != &heap->roots; root = root->next) {
    mark_ref(heap, alloc, root->ref);
  }
}

/* Words that may be anything; those of stacks are no objects to the sanitizer. */
#if defined(__GNUC__)
__attribute__((no_sanitize_address))
#endif
static void
mark_words(Heap *heap, Alloc *alloc, const void *from, const void *end) {
  const uintptr_t *word = (const uintptr_t *)(uintptr_t)align_up((uintptr_t)from, sizeof *word);
  for (; word + 1 <= (const uintptr_t *)end; word++) {
    uintptr_t address = *word;
    VALGRIND_MAKE_MEM_DEFINED(&address, sizeof address);
    Object *object = heap_find(heap, address);
    if (object != NULL) mark_object(heap, alloc, object);
  }
}

static void mark_scopes(Heap *heap, Alloc *alloc) {
  for (const GcScope *scope = heap->scopes; scope != NULL; scope = scope->next) {
    mark_words(heap, alloc, scope->slots, scope->slots + scope->n);
  }
}

/* The machine stack of an activation ends where that of the one below it left off. */
static const char *machine_end(const Act *act) {
  return act->outer != NULL ? act->outer->guest_sp : act->stack->machine_top;
}

static void mark_machine_stack(Heap *heap, Alloc *alloc, const Act *act, const char *here) {
  const char *from = act->state == ACT_RUNNING ? here : act->guest_sp, *end = machine_end(act);
  if (act->state == ACT_NEW || act->state == ACT_ENDED) return;
  if (from < (const char *)act->stack->values_end || from >= end) return;
  mark_words(heap, alloc, from, end);
}

static void mark_acts(Heap *heap, const Store *store, const char *here) {
  for (const Act *act = store->acts; act != NULL; act = act->next_act) {
    if (act->idle_in != 0) continue;
    const Slot *own_end = act->slots + act->func->n_slots;
    const Slot *end = act->state == ACT_NEW || act->state == ACT_ENDED ? own_end : act->value_top;
    /* Not from act->slots: while another engine runs a part, these are that part's. */
    const Slot *first = (const Slot *)(const void *)(act + 1);
    mark_words(heap, store->alloc, first, MAX(end, own_end));
    mark_words(heap, store->alloc, &act->exception, &act->exception + 1);
    mark_machine_stack(heap, store->alloc, act, here);
  }
}

static void mark_roots(Heap *heap, Store *store, const char *here) {
  mark_globals(heap, store);
  mark_tables(heap, store);
  mark_segments(heap, store);
  mark_held(heap, store->alloc);
  mark_scopes(heap, store->alloc);
  mark_acts(heap, store, here);
}

/* Before and after */

static void forget_holes(OwnSpace *space) {
  space->small = space->medium = (Space){NULL, NULL};
}

static void prepare_block(Heap *heap, Alloc *alloc, Block *block) {
  (void)heap;
  (void)alloc;
  if (!block->is_swept) heap_sweep_block(block);
  memset(block->lines, 0, sizeof block->lines);
  memset(block->marks, 0, sizeof block->marks);
  block->is_live = false;
}

static void prepare(Heap *heap, Alloc *alloc) {
  forget_holes(&heap->host);
  for (OwnSpace *space = heap->spaces; space != NULL; space = space->next) forget_holes(space);
  each_block(heap, alloc, prepare_block);
  heap->live = 0;
}

/* Dead values of the host stay in the heap until their hook has run: they are marked once more. */
static void sort_host_values(Heap *heap, Store *store) {
  for (HostValue **link = &store->host_values; *link != NULL;) {
    HostValue *value = *link;
    if (is_marked(value)) {
      link = &value->next;
      continue;
    }
    *link = value->next;
    value->next = heap->released;
    heap->released = value;
  }
  for (HostValue *value = heap->released; value != NULL; value = value->next) {
    mark_object(heap, store->alloc, &value->object);
  }
  follow_all(heap, store->alloc);
}

static void sort_exceptions(Heap *heap) {
  for (Exception **link = &heap->exceptions; *link != NULL;) {
    Exception *exception = *link;
    if (is_marked(exception)) {
      link = &exception->next;
      continue;
    }
    *link = exception->next;
    tag_release(exception->tag);
  }
}

static void free_block(Heap *heap, Block *block) {
  memset(block->starts, 0, sizeof block->starts);
  block->space = NULL;
  block->is_swept = true;
  block->chunk->n_free++;
  block->next = heap->free_blocks;
  heap->free_blocks = block;
  heap->n_free_blocks++;
}

static void refund(const OwnSpace *space, size_t bytes) {
  if (space->charged != NULL) limits_refund(space->charged, bytes);
}

static void sort_blocks(Heap *heap, OwnSpace *space) {
  for (Block **link = &space->blocks; *link != NULL;) {
    Block *block = *link;
    if (block->is_live) {
      block->is_swept = false;
      memset(block->lines, 1, GC_FIRST_LINE);
      link = &block->next;
      continue;
    }
    *link = block->next;
    free_block(heap, block);
    refund(space, GC_BLOCK);
  }
  space->small_cursor = space->medium_cursor = (Cursor){space->blocks, GC_FIRST_LINE};
}

static void sort_large(Heap *heap, Alloc *alloc) {
  for (Block **link = &heap->large; *link != NULL;) {
    Block *block = *link;
    if (block->is_live) {
      link = &block->next;
      continue;
    }
    *link = block->next;
    heap_free_large(heap, alloc, block);
  }
}

static NO_INLINE void collect_from(Heap *heap, Store *store, const char *here) {
  prepare(heap, store->alloc);
  mark_roots(heap, store, here);
  follow_all(heap, store->alloc);
  sort_host_values(heap, store);
  sort_exceptions(heap);
  sort_blocks(heap, &heap->host);
  for (OwnSpace *space = heap->spaces; space != NULL; space = space->next) {
    sort_blocks(heap, space);
  }
  sort_large(heap, store->alloc);
  heap->allocated = 0;
  heap->step = MAX(heap->live, GC_STEP_MIN);
  heap_trim(heap, store->alloc);
}

/* Registers that hold references of compiled callers are written to the stack first. */
void heap_collect(Heap *heap, Store *store) {
  jmp_buf registers;
#if defined(__GNUC__)
  __builtin_unwind_init();
#endif
  (void)setjmp(registers);
  collect_from(heap, store, (const char *)(const void *)&registers);
}
