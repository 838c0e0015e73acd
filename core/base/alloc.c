/* alloc.c - the default allocator, its accounting and the injection of failures.
 *
 * Counters are relaxed atomics: they are statistics and never order other memory.
 */
#include "alloc.h"

#include <stdlib.h>

static void *resize_with_libc(void *user, void *ptr, size_t old_size, size_t new_size) {
  (void)user;
  (void)old_size;
  if (new_size == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, new_size);
}

void alloc_init(Alloc *alloc, ResizeFn *resize, void *user) {
  alloc->resize = resize != NULL ? resize : resize_with_libc;
  alloc->user = user;
  atomic_init(&alloc->used, 0);
  atomic_init(&alloc->fail_after, -1);
}

/* Counts one request down. Once the counter has reached 1 it stays there, so that everything after
 * the first failure fails too, as it would in a host that is really out of memory. */
static bool fails_now(Alloc *alloc) {
  int64_t left = atomic_load_explicit(&alloc->fail_after, memory_order_relaxed);
  while (left > 1) {
    if (atomic_compare_exchange_weak_explicit(&alloc->fail_after, &left, left - 1,
                                              memory_order_relaxed, memory_order_relaxed)) {
      return false;
    }
  }
  return left >= 0;
}

void *alloc_resize(Alloc *alloc, void *ptr, size_t old_size, size_t new_size) {
  if (new_size == 0) {
    alloc_free(alloc, ptr, old_size);
    return NULL;
  }
  if (UNLIKELY(fails_now(alloc))) return NULL;
  void *moved = alloc->resize(alloc->user, ptr, old_size, new_size);
  if (moved == NULL) return NULL;
  /* The difference may be negative; unsigned arithmetic wraps to the right sum. */
  size_t change = new_size - (ptr != NULL ? old_size : 0);
  atomic_fetch_add_explicit(&alloc->used, change, memory_order_relaxed);
  return moved;
}

void *alloc_new(Alloc *alloc, size_t size) {
  return size != 0 ? alloc_resize(alloc, NULL, 0, size) : NULL;
}

void *alloc_zero(Alloc *alloc, size_t size) {
  void *ptr = alloc_new(alloc, size);
  if (ptr != NULL) memset(ptr, 0, size);
  return ptr;
}

void alloc_free(Alloc *alloc, void *ptr, size_t size) {
  if (ptr == NULL) return;
  alloc->resize(alloc->user, ptr, size, 0);
  atomic_fetch_sub_explicit(&alloc->used, size, memory_order_relaxed);
}
