/* keep.c - all functions of a module at once: from a serialised module, from the cache, or compiled
 * and then put into the cache.
 */
#if defined(__x86_64__)
#include "cache.h"
#include "eager.h"
#include "engine.h"
#include "serialize.h"

static bool read_native(Fill *fill, Str native) {
  uint8_t key[HASH_BYTES];
  return native.size != 0 && serialize_key(fill->space, key) &&
         serialize_read(fill, key, (const uint8_t *)native.at, native.size);
}

static bool fail_memory(Error *error) {
  error_set(error, ERROR_MEMORY, "out of code memory");
  return false;
}

/* True: all functions are there. */
static bool get_all(Fill *fill, Str native, bool *is_kept, Error *error) {
  const JitModule *owner = fill->space->owner;
  *is_kept = read_native(fill, native);
  if (*is_kept) return true;
  if (!owner->is_eager && owner->cache == NULL) return false; /* others are compiled when called */
  *is_kept = owner->cache != NULL && cache_read(fill, owner->cache);
  if (*is_kept) return true;
  if (!eager_compile(fill, error)) return false;
  if (owner->cache != NULL) cache_write(fill, owner->cache);
  return true;
}

bool keep_fill(CodeSpace *space, Str native, Error *error) {
  Fill fill;
  bool is_kept = false, is_done = false;
  error_set(error, ERROR_UNSUPPORTED, "the code is not for this build or machine");
  if (!fill_begin(&fill, space)) {
    fail_memory(error);
  } else if (get_all(&fill, native, &is_kept, error)) {
    is_done = fill_finish(&fill) || fail_memory(error);
    if (is_done && is_kept) atomic_fetch_add(&space->n_kept, fill.n_placed);
  }
  fill_clear(&fill);
  return is_done;
}

/* Raises nothing while it owns something that is not the arena's. */
bool keep_write(CodeSpace *space, Buf *out, Error *error) {
  Fill fill;
  uint8_t key[HASH_BYTES];
  Guard guard;
  volatile bool is_done = false;
  if (!serialize_key(space, key)) {
    error_set(error, ERROR_UNSUPPORTED, "this system does not tell builds apart");
    return false;
  }
  if (!fill_begin(&fill, space)) {
    fail_memory(error);
  } else if (eager_compile(&fill, error) && GUARD_TRY(&guard, out->arena, error)) {
    serialize_write(&fill, key, out);
    guard_leave(&guard);
    is_done = true;
  }
  fill_clear(&fill);
  return is_done;
}
#endif
