/* hashmap.c - loads whose addresses are not foreseen: a map with open addressing that counts 16-bit
 * words of a pseudo-random text, n million of them. */
#include "kernel.h"

#define KERNEL_N 3
#define ROOM     (1u << 17)

typedef struct Entry {
  uint32_t key, count;
} Entry;

static Entry entries[ROOM];

static uint32_t hash(uint32_t x) {
  x ^= x >> 15;
  x *= 0x2c1b3c6du;
  x ^= x >> 12;
  x *= 0x297a2d39u;
  return x ^ x >> 15;
}

static Entry *find(uint32_t key) {
  for (uint32_t i = hash(key) % ROOM;; i = (i + 1) % ROOM)
    if (entries[i].key == key || entries[i].count == 0) return &entries[i];
}

int32_t run(int32_t n) {
  uint32_t state = 1, most = 0;
  for (uint32_t i = 0; i < ROOM; i++) entries[i] = (Entry){0, 0};
  for (int32_t i = 0; i < n * 1000000; i++) {
    state = state * 1664525 + 1013904223;
    Entry *entry = find(state >> 16);
    entry->key = state >> 16;
    if (++entry->count > most) most = entry->count;
  }
  return (int32_t)most;
}

#include "tail.h"
