/* cache.c - compiled code in files of a directory.
 *
 * The name of a file is the key of the part that it holds (serialize.h). A file is read only when
 * nobody but the user can have written it, and it holds a hash of itself: what is damaged, foreign
 * or open to others is compiled again, and replaced when the directory allows it.
 */
#if defined(__x86_64__)
#include "cache.h"

#include "../base/os.h"
#include "../base/sealed.h"
#include "engine.h"
#include "serialize.h"

enum { NAME_SIZE = 2 * HASH_BYTES + sizeof ".rille" };

static void name_of(const uint8_t key[HASH_BYTES], char out[NAME_SIZE]) {
  for (unsigned i = 0; i < HASH_BYTES; i++) {
    out[2 * i] = "0123456789abcdef"[key[i] >> 4];
    out[2 * i + 1] = "0123456789abcdef"[key[i] & 15];
  }
  memcpy(out + 2 * (size_t)HASH_BYTES, ".rille", sizeof ".rille");
}

bool cache_read(Fill *fill, const char *dir) {
  uint8_t key[HASH_BYTES];
  char name[NAME_SIZE];
  if (!serialize_key(fill->space, key)) return false;
  name_of(key, name);
  size_t size;
  const void *bytes = os_read_private(dir, name, &size);
  if (bytes == NULL) return false;
  Str inside;
  bool is_read = sealed_open((Str){bytes, size}, SEALED_CODE, &inside) &&
                 serialize_read(fill, key, (const uint8_t *)inside.at, inside.size);
  os_unmap_file(bytes, size);
  return is_read;
}

void cache_write(const Fill *fill, const char *dir) {
  uint8_t key[HASH_BYTES];
  char name[NAME_SIZE];
  Arena arena;
  Guard guard;
  Error error;
  if (!serialize_key(fill->space, key)) return;
  name_of(key, name);
  arena_init(&arena, fill->space->owner->module->alloc);
  if (GUARD_TRY(&guard, &arena, &error)) {
    Buf out;
    buf_init(&out, &arena);
    sealed_begin(&out, SEALED_CODE);
    serialize_write(fill, key, &out);
    sealed_end(&out);
    (void)os_write_private(dir, name, out.at, out.size);
    guard_leave(&guard);
  }
  arena_clear(&arena);
}
#endif
