/* gc_heap.h - the inside of a heap, shared by gc.c, which allocates, and gc_mark.c, which collects.
 *
 * A mark-region heap after Blackburn and McKinley, "Immix" (2008), without moving: blocks are
 * divided into lines; allocation fills runs of free lines (holes), large objects stand alone. A
 * collection marks objects and their lines. Sweeping a block is copying its marks over its starts,
 * which is done when the allocator comes to it or, at the latest, when the next collection begins.
 */
#ifndef RILLE_GC_HEAP_H
#define RILLE_GC_HEAP_H

#include "gc.h"

#define GC_FIRST_LINE  ((sizeof(Block) + GC_LINE - 1) / GC_LINE)
#define GC_SMALL_MAX   (GC_BLOCK - GC_FIRST_LINE * GC_LINE) /* larger objects stand alone */
#define GC_STEP_MIN    MIB           /* allocate at least so much between two collections */
#define GC_HOST_WEIGHT ((size_t)192) /* what a host's value counts besides its object */

/* Blocks are allocated several at once. */
struct Chunk {
  Chunk *next;
  void *memory;
  size_t size;
  uint32_t n, n_free;
};

/* Where the next hole is looked for. */
typedef struct Cursor {
  Block *block; /* NULL: no block is left */
  size_t line;
} Cursor;

/* The blocks that hold the objects of one instance, or of the host. Objects longer than a line have
 * a hole of their own, so that they do not make small ones skip the short holes. */
struct OwnSpace {
  Space small; /* first: Instance.space points here */
  Space medium;
  Cursor small_cursor, medium_cursor;
  Instance *charged; /* NULL: the host's */
  Block *blocks;
  OwnSpace *next;
};

/* From an address to the block that holds it: units of GC_BLOCK bytes, open addressing. */
typedef struct Unit {
  uintptr_t number; /* address / GC_BLOCK; 0: none */
  Block *block;
} Unit;
typedef struct UnitMap {
  Unit *units;
  size_t n, room; /* room is a power of two */
} UnitMap;

struct Heap {
  OwnSpace host;
  OwnSpace *spaces; /* of instances */
  Block *free_blocks;
  Block *large;
  Chunk *chunks;
  UnitMap map;
  size_t n_blocks, n_free_blocks, large_bytes;
  size_t allocated; /* since the last collection */
  size_t step;      /* when that is reached, it is time for the next */
  size_t live;      /* bytes of objects marked by the last one */
  Root roots;       /* a ring */
  GcScope *scopes;
  HostValue *released;   /* dead, their hook is not called yet */
  Exception *exceptions; /* those that hold their tag */
  UnitMap types;         /* a set: those that objects of the host hold, by address */
  Object **pending;      /* marked, their references not yet followed */
  size_t n_pending, pending_room;
  bool lost_pending; /* there was no room: such objects are looked for */
};

/* Sweeps one block. */
void heap_sweep_block(Block *block);
/* Gives chunks back that hold free blocks only, while more is free than the next step needs. */
void heap_trim(Heap *heap, Alloc *alloc);
void heap_free_large(Heap *heap, Alloc *alloc, Block *block);
/* The object that holds the address, or NULL. */
Object *heap_find(const Heap *heap, uintptr_t address);
size_t heap_object_size(const Object *object);

/* Marks and classifies; leaves dead host values in heap->released. */
void heap_collect(Heap *heap, Store *store);

#endif
