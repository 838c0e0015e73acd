/* hash.c - BLAKE2b-256, unkeyed: RFC 7693. */
#include "hash.h"

enum { BLOCK = 128, ROUNDS = 12 };

static const uint64_t start[8] = {UINT64_C(0x6a09e667f3bcc908), UINT64_C(0xbb67ae8584caa73b),
                                  UINT64_C(0x3c6ef372fe94f82b), UINT64_C(0xa54ff53a5f1d36f1),
                                  UINT64_C(0x510e527fade682d1), UINT64_C(0x9b05688c2b3e6c1f),
                                  UINT64_C(0x1f83d9abfb41bd6b), UINT64_C(0x5be0cd19137e2179)};

static const uint8_t order[10][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                      {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                      {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                      {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                      {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                      {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                      {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                      {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                      {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                      {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

static inline uint64_t rotate(uint64_t x, unsigned n) {
  return x >> n | x << (64 - n);
}

static inline void mix(uint64_t *v, unsigned a, unsigned b, unsigned c, unsigned d, uint64_t x,
                       uint64_t y) {
  v[a] += v[b] + x;
  v[d] = rotate(v[d] ^ v[a], 32);
  v[c] += v[d];
  v[b] = rotate(v[b] ^ v[c], 24);
  v[a] += v[b] + y;
  v[d] = rotate(v[d] ^ v[a], 16);
  v[c] += v[d];
  v[b] = rotate(v[b] ^ v[c], 63);
}

static void compress(Hash *hash, const uint8_t *block, uint64_t count, bool is_last) {
  uint64_t v[16], m[16];
  for (unsigned i = 0; i < 16; i++) m[i] = load_u64(block + 8 * i);
  memcpy(v, hash->state, sizeof hash->state);
  memcpy(v + 8, start, sizeof start);
  v[12] ^= count;
  if (is_last) v[14] = ~v[14];
  for (unsigned round = 0; round < ROUNDS; round++) {
    const uint8_t *s = order[round % COUNT_OF(order)];
    mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
    mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
    mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
    mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
    mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
    mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
    mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
    mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
  }
  for (unsigned i = 0; i < 8; i++) hash->state[i] ^= v[i] ^ v[i + 8];
}

void hash_init(Hash *hash) {
  *hash = (Hash){0};
  memcpy(hash->state, start, sizeof start);
  hash->state[0] ^= 0x01010000 ^ HASH_BYTES; /* no key, fan-out and depth of one */
}

void hash_add(Hash *hash, const void *bytes, size_t size) {
  const uint8_t *at = bytes;
  while (size != 0) {
    if (hash->filled == BLOCK) { /* the last block, full or not, is left to hash_finish */
      hash->count += BLOCK;
      compress(hash, hash->block, hash->count, false);
      hash->filled = 0;
    }
    for (; hash->filled == 0 && size > BLOCK; at += BLOCK, size -= BLOCK) {
      hash->count += BLOCK;
      compress(hash, at, hash->count, false);
    }
    size_t n = MIN(size, BLOCK - hash->filled);
    memcpy(hash->block + hash->filled, at, n);
    hash->filled += n;
    at += n;
    size -= n;
  }
}

void hash_finish(Hash *hash, uint8_t out[HASH_BYTES]) {
  memset(hash->block + hash->filled, 0, BLOCK - hash->filled);
  compress(hash, hash->block, hash->count + hash->filled, true);
  for (unsigned i = 0; i < HASH_BYTES / 8; i++) store_u64(out + 8 * i, hash->state[i]);
}

void hash_of(const void *bytes, size_t size, uint8_t out[HASH_BYTES]) {
  Hash hash;
  hash_init(&hash);
  hash_add(&hash, bytes, size);
  hash_finish(&hash, out);
}
