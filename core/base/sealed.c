/* sealed.c - bytes with a header: see sealed.h. */
#include "sealed.h"

bool sealed_is(Str bytes, const char *magic) {
  return bytes.size >= SEALED_MAGIC && memcmp(bytes.at, magic, SEALED_MAGIC) == 0;
}

bool sealed_open(Str bytes, const char *magic, Str *inside) {
  uint8_t hash[HASH_BYTES];
  if (bytes.size < SEALED_HEADER || !sealed_is(bytes, magic)) return false;
  *inside = (Str){bytes.at + SEALED_HEADER, bytes.size - SEALED_HEADER};
  if (load_u64(bytes.at + SEALED_MAGIC) != inside->size) return false;
  hash_of(inside->at, inside->size, hash);
  return memcmp(hash, bytes.at + SEALED_MAGIC + 8, HASH_BYTES) == 0;
}

void sealed_begin(Buf *out, const char *magic) {
  static const uint8_t room[SEALED_HEADER];
  buf_bytes(out, magic, SEALED_MAGIC);
  buf_bytes(out, room, SEALED_HEADER - SEALED_MAGIC);
}

void sealed_end(Buf *out) {
  size_t size = out->size - SEALED_HEADER;
  store_u64(out->at + SEALED_MAGIC, size);
  hash_of(out->at + SEALED_HEADER, size, out->at + SEALED_MAGIC + 8);
}
