/* hash.h - a strong hash of bytes: BLAKE2b with 32 bytes of result (RFC 7693).
 */
#ifndef RILLE_HASH_H
#define RILLE_HASH_H

#include "base.h"

enum { HASH_BYTES = 32 };

typedef struct Hash {
  uint64_t state[8];
  uint64_t count; /* of bytes in all blocks before this one */
  uint8_t block[128];
  size_t filled;
} Hash;

void hash_init(Hash *hash);
void hash_add(Hash *hash, const void *bytes, size_t size);
void hash_finish(Hash *hash, uint8_t out[HASH_BYTES]);
void hash_of(const void *bytes, size_t size, uint8_t out[HASH_BYTES]);

#endif
