/* map.c - open addressing with linear probing; at most three quarters of the slots are taken.
 *
 * Entries are never removed, so a probe ends at the first empty slot. The number of slots is 0 or a
 * power of two.
 */
#include "map.h"

#include "os.h"

#define ROOM_MIN 16u

#define MIX_A    UINT64_C(0xA0B428DB8F5E21C7)
#define MIX_B    UINT64_C(0x9E3779B97F4A7C15) /* 2^64 / golden ratio: also the step between seeds */

struct StrMapEntry {
  Str key;
  uint32_t value;
  uint32_t hash; /* 0 marks an empty slot */
};

struct U64MapEntry {
  uint64_t key, value;
  bool taken;
};

static uint64_t rotated(uint64_t x, unsigned by) {
  return x << by | x >> (64 - by);
}

/* Both halves of the 128-bit product, folded: every bit of the inputs reaches the result. */
static uint64_t fold(uint64_t a, uint64_t b) {
#ifdef __SIZEOF_INT128__
  unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
  uint64_t a_low = a & UINT32_MAX, a_high = a >> 32, b_low = b & UINT32_MAX, b_high = b >> 32;
  uint64_t low = a_low * b_low, middle = a_high * b_low + (low >> 32);
  uint64_t other = a_low * b_high + (middle & UINT32_MAX);
  uint64_t high = a_high * b_high + (middle >> 32) + (other >> 32);
  return (other << 32 | (low & UINT32_MAX)) ^ high;
#endif
}

/* Both factors hold the secret state: nobody can choose bytes that make one of them zero. */
static uint64_t absorb(uint64_t state, uint64_t first, uint64_t second) {
  return fold(first ^ state, second ^ rotated(state, 29) ^ MIX_A);
}

uint64_t hash_bytes(const void *bytes, size_t size, uint64_t seed) {
  const uint8_t *at = bytes;
  uint64_t state = fold(seed ^ MIX_A, (uint64_t)size ^ MIX_B ^ rotated(seed, 32));
  size_t left = size;
  for (; left >= 16; left -= 16, at += 16) state = absorb(state, load_u64(at), load_u64(at + 8));
  if (left != 0) {
    uint8_t tail[16] = {0}; /* the length is part of the state: padding cannot be confused */
    memcpy(tail, at, left);
    state = absorb(state, load_u64(tail), load_u64(tail + 8));
  }
  return fold(state ^ MIX_B, rotated(state, 31) ^ MIX_A);
}

/* One random number per process, a different step from it per map. */
static uint64_t seed_new(void) {
  static _Atomic uint64_t next_seed;
  if (atomic_load_explicit(&next_seed, memory_order_relaxed) == 0) {
    uint64_t unset = 0;
    atomic_compare_exchange_strong_explicit(&next_seed, &unset, os_random_seed() | 1,
                                            memory_order_relaxed, memory_order_relaxed);
  }
  uint64_t seed = atomic_fetch_add_explicit(&next_seed, MIX_B, memory_order_relaxed);
  return fold(seed, MIX_A) ^ seed;
}

/* The size after growing; 0 when the map has to stay as it is. */
static uint64_t room_wanted(uint32_t n, uint32_t room) {
  if (n < room - room / 4) return 0;
  return room == 0 ? ROOM_MIN : (uint64_t)room * 2;
}

/* Fresh slots, cleared. More than can be counted or addressed is asked for as SIZE_MAX bytes, which
 * raises as lack of memory does. */
static void *slots_new(Arena *arena, uint64_t room, size_t entry_size) {
  bool fits = room <= UINT32_MAX && room <= SIZE_MAX / entry_size;
  return arena_zero(arena, fits ? (size_t)room * entry_size : SIZE_MAX);
}

void strmap_init(StrMap *map, Arena *arena) {
  *map = (StrMap){.arena = arena, .seed = seed_new()};
}

static uint32_t str_hash(const StrMap *map, Str key) {
  uint64_t hash = hash_bytes(key.at, key.size, map->seed);
  uint32_t folded = (uint32_t)(hash ^ hash >> 32);
  return folded != 0 ? folded : 1;
}

/* The slot that holds the key, or the empty one where it belongs. The map has a free slot. */
static StrMapEntry *str_slot(const StrMap *map, Str key, uint32_t hash) {
  uint32_t mask = map->room - 1;
  for (uint32_t i = hash & mask;; i = (i + 1) & mask) {
    StrMapEntry *entry = &map->entries[i];
    if (entry->hash == 0 || (entry->hash == hash && str_equal(entry->key, key))) return entry;
  }
}

static void str_grow(StrMap *map, uint64_t room) {
  StrMap old = *map;
  map->entries = slots_new(map->arena, room, sizeof *map->entries);
  map->room = (uint32_t)room;
  for (uint32_t i = 0; i < old.room; i++) {
    const StrMapEntry *entry = &old.entries[i];
    if (entry->hash != 0) *str_slot(map, entry->key, entry->hash) = *entry;
  }
}

bool strmap_add(StrMap *map, Str key, uint32_t *value) {
  uint64_t room = room_wanted(map->n, map->room);
  if (room != 0) str_grow(map, room);
  uint32_t hash = str_hash(map, key);
  StrMapEntry *entry = str_slot(map, key, hash);
  if (entry->hash != 0) {
    *value = entry->value;
    return false;
  }
  *entry = (StrMapEntry){key, *value, hash};
  map->n++;
  return true;
}

bool strmap_get(const StrMap *map, Str key, uint32_t *value) {
  if (map->n == 0) return false;
  const StrMapEntry *entry = str_slot(map, key, str_hash(map, key));
  if (entry->hash == 0) return false;
  *value = entry->value;
  return true;
}

void u64map_init(U64Map *map, Arena *arena) {
  *map = (U64Map){.arena = arena, .seed = seed_new()};
}

static U64MapEntry *u64_slot(const U64Map *map, uint64_t key) {
  uint64_t mask = map->room - 1;
  for (uint64_t i = absorb(map->seed, key, 0);; i++) {
    U64MapEntry *entry = &map->entries[i & mask];
    if (!entry->taken || entry->key == key) return entry;
  }
}

static void u64_grow(U64Map *map, uint64_t room) {
  U64Map old = *map;
  map->entries = slots_new(map->arena, room, sizeof *map->entries);
  map->room = (uint32_t)room;
  for (uint32_t i = 0; i < old.room; i++) {
    const U64MapEntry *entry = &old.entries[i];
    if (entry->taken) *u64_slot(map, entry->key) = *entry;
  }
}

void u64map_set(U64Map *map, uint64_t key, uint64_t value) {
  uint64_t room = room_wanted(map->n, map->room);
  if (room != 0) u64_grow(map, room);
  U64MapEntry *entry = u64_slot(map, key);
  map->n += !entry->taken;
  *entry = (U64MapEntry){key, value, true};
}

bool u64map_get(const U64Map *map, uint64_t key, uint64_t *value) {
  if (map->n == 0) return false;
  const U64MapEntry *entry = u64_slot(map, key);
  if (!entry->taken) return false;
  *value = entry->value;
  return true;
}
