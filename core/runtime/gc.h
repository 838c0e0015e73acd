/* gc.h - the garbage-collected heap of a store.
 *
 * Objects never move. Collections happen only inside the functions that are said to allocate here;
 * they find references in globals, tables, element segments, held roots and, conservatively, in the
 * values of the store's activations. A reference in a variable of C is not found: whoever allocates
 * twice puts the first one where it is (GcScope, gc_hold, a slot of an activation).
 */
#ifndef RILLE_GC_H
#define RILLE_GC_H

#include "store.h"

#define GC_BLOCK     (32 * KIB)
#define GC_LINE      ((size_t)128)
#define GC_LINES     (GC_BLOCK / GC_LINE)
#define GC_GRANULE   ((size_t)8) /* objects start at multiples */
#define GC_MAP_WORDS (GC_BLOCK / GC_GRANULE / 64)

/* What stands at the start of GC_BLOCK aligned bytes that hold objects. An object too large for one
 * block has a block of its own that is longer. */
typedef struct Block Block;
typedef struct OwnSpace OwnSpace;
typedef struct Chunk Chunk;
struct Block {
  Store *store;                  /* through store_of */
  OwnSpace *space;               /* whose objects it holds; NULL: free */
  Chunk *chunk;                  /* NULL: a large object's block, an allocation of its own */
  Block *next;                   /* of the space's, of the free or of the large ones */
  void *memory;                  /* large: what was allocated */
  size_t size;                   /* large: of `memory` */
  size_t charge;                 /* large: bytes charged */
  bool is_live;                  /* something in it was marked */
  bool is_swept;                 /* since the last collection */
  uint8_t lines[GC_LINES];       /* not 0: holds live objects, or was given out */
  uint64_t starts[GC_MAP_WORDS]; /* where objects start: exact once the block is swept */
  uint64_t marks[GC_MAP_WORDS];  /* objects reached by the last collection */
};

enum { GC_OBJECT_HEADER = sizeof(Object), GC_ARRAY_HEADER = sizeof(Array) };
#define GC_ARRAY_BYTES_MAX (UINT64_C(1) << 30) /* elements of one array; more is a limit error */

static inline Block *gc_block_of(const void *object) {
  return (Block *)((uintptr_t)object & ~(uintptr_t)(GC_BLOCK - 1));
}

/* What instances start with. Nothing fits into it. */
extern Space gc_no_space;

/* The common case of allocation: NULL sends the caller to gc_alloc. `size` counts the header and is
 * a multiple of GC_GRANULE; what is behind the header is not cleared. */
static FORCE_INLINE Object *gc_try_alloc(const Instance *instance, const Type *type, size_t size) {
#if defined(RILLE_HARD)
  (void)instance, (void)type, (void)size;
  return NULL;
#else
  Space *space = instance->space;
  char *at = space->at;
  if (UNLIKELY((size_t)(space->end - at) < size)) return NULL;
  space->at = at + size;
  size_t granule = ((uintptr_t)at & (GC_BLOCK - 1)) / GC_GRANULE;
  gc_block_of(at)->starts[granule / 64] |= UINT64_C(1) << granule % 64;
  Object *object = (Object *)(void *)at;
  object->type = type;
  return object;
#endif
}

/* Allocates, and collects first when it is time. `instance` NULL: for the host, charged to nobody.
 * NULL: the instance's memory limit or the machine's memory is reached, also after a collection. */
Object *gc_alloc(Store *store, Instance *instance, const Type *type, uint64_t size);
/* An array of n elements, not cleared. */
Array *gc_new_array(Store *store, Instance *instance, const Type *type, uint32_t n);

/* From guest code, which has noted its frames in act (act->value_top included): what these leave to
 * the host's hooks is done on the host's stack. NULL: *status is how the run ends. */
Object *gc_alloc_in_run(Act *act, Instance *instance, const Type *type, uint64_t size,
                        RunStatus *status);
Array *gc_new_array_in_run(Act *act, Instance *instance, const Type *type, uint32_t n,
                           RunStatus *status);

static inline uint64_t gc_struct_size(const Type *type) {
  return GC_OBJECT_HEADER + (uint64_t)type->size;
}
static inline uint64_t gc_array_size(const Type *type, uint32_t n) {
  return align_up(GC_ARRAY_HEADER + (uint64_t)n * type->size, GC_GRANULE);
}
static inline uint8_t *gc_fields(const Object *object) {
  return (uint8_t *)(uintptr_t)(object + 1);
}
static inline uint8_t *gc_elements(const Array *array) {
  return (uint8_t *)(uintptr_t)(array + 1);
}
static inline Object *gc_object(Slot ref) {
  return (Object *)(uintptr_t)ref;
}
static inline Array *gc_array(Slot ref) {
  return (Array *)(uintptr_t)ref;
}
static inline Exception *gc_exception(Slot ref) {
  return (Exception *)(uintptr_t)ref;
}
static inline Slot gc_ref(const void *object) {
  return (Slot)(uintptr_t)object;
}

/* An exception whose values are not yet set. For the host (`instance` NULL) it holds the tag. */
Exception *gc_new_exception(Store *store, Instance *instance, Tag *tag);
/* The type lives as long as the store. For objects that the host makes: no instance may hold it. */
bool gc_hold_type(Store *store, const Type *type);
/* A reference for a value of the host. */
HostValue *gc_new_host_value(Store *store, uint64_t payload);

/* A reference that the host holds: the object, and the store, live until gc_drop. */
typedef struct Root Root;
struct Root {
  Slot ref;
  Store *store; /* through store_of; holds a handle of it */
  Root *next, *previous;
};
Root *gc_hold(Store *store, Slot ref); /* NULL when there is no memory */
void gc_drop(Root *root);

/* Slots of C that are looked at while the scope is open; they need not hold references only. The
 * scope itself stays where it is. False when there is no memory. */
typedef struct GcScope GcScope;
struct GcScope {
  GcScope *next, **link; /* of the heap's; no link: closed, or the store has ended */
  const Slot *slots;
  uint64_t n;
};
bool gc_open_scope(Store *store, GcScope *scope, const Slot *slots, uint64_t n);
void gc_close_scope(GcScope *scope);

/* The store that an object, not an i31, belongs to. */
Store *gc_store_of(Slot ref);

/* Collects now. Host values that nobody needs are released before it returns: not from guest code.
 */
void gc_collect(Store *store);
size_t gc_live_bytes(const Store *store); /* after the last collection */
size_t gc_held_bytes(const Store *store); /* in blocks and large objects now */

/* Joining: makes room first, so that the second cannot fail. */
bool gc_prepare_merge(Store *to, const Store *from);
void gc_merge(Store *to, Store *from);
size_t gc_weight(const Store *store); /* what merging it into another costs */

/* The store ends. */
void gc_free(Store *store);

#endif
