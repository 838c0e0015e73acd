/* memory.h - making and counting memories; what guest code asks of them is in runtime.h.
 */
#ifndef RILLE_MEMORY_H
#define RILLE_MEMORY_H

#include "store.h"

/* One reference. Its bytes are charged to `charged` (NULL: nobody). NULL and *error on failure. */
Memory *memory_new(Engine *engine, const MemoryType *type, Instance *charged, Error *error);
void memory_retain(Memory *memory);
void memory_release(Memory *memory);
/* The instance ends: nobody pays any more. */
void memory_uncharge(Memory *memory, Instance *instance);

/* Another thread may be growing a shared memory. */
static inline uint64_t memory_size(const Memory *memory) {
  return __atomic_load_n(&memory->size, __ATOMIC_ACQUIRE);
}
static inline bool memory_fits(const Memory *memory, uint64_t at, uint64_t n) {
  uint64_t size = memory_size(memory);
  return at <= size && n <= size - at;
}
static inline uint64_t memory_pages(const Memory *memory) {
  return memory_size(memory) >> memory->type.page_log2;
}
bool memory_is_stable(const Memory *memory);

#endif
