/* alloc.h - the one door to the heap.
 *
 * Every allocation of the engine names its old and its new size, so that accounting, limits, leak
 * checks and fault injection live here and nowhere else. An Alloc may be used by several threads.
 */
#ifndef RILLE_ALLOC_H
#define RILLE_ALLOC_H

#include <stdatomic.h>

#include "base.h"

/* Like realloc, but told the old size: new_size 0 frees and returns NULL, ptr NULL allocates.
 * Returns NULL when there is no memory; the old block is then untouched. */
typedef void *ResizeFn(void *user, void *ptr, size_t old_size, size_t new_size);

typedef struct Alloc {
  ResizeFn *resize;
  void *user;
  _Atomic size_t used; /* bytes allocated now */
  _Atomic int64_t
      fail_after; /* tests: the n-th allocation from now on fails, and all after it; < 0: never */
} Alloc;

void alloc_init(Alloc *alloc, ResizeFn *resize, void *user); /* resize NULL: the C library's */

void *alloc_new(Alloc *alloc, size_t size);  /* NULL when out of memory; size 0 gives NULL */
void *alloc_zero(Alloc *alloc, size_t size); /* the same, cleared */
void *alloc_resize(Alloc *alloc, void *ptr, size_t old_size, size_t new_size);
void alloc_free(Alloc *alloc, void *ptr, size_t size);

#endif
