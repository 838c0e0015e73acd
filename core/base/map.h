/* map.h - hash maps inside an arena: from bytes to a number, and from a number to a number.
 *
 * Hashes are seeded per map, so that hostile names cannot make them quadratic.
 */
#ifndef RILLE_MAP_H
#define RILLE_MAP_H

#include "arena.h"

typedef struct StrMapEntry StrMapEntry;
typedef struct StrMap {
  Arena *arena;
  StrMapEntry *entries;
  uint32_t n, room;
  uint64_t seed;
} StrMap;

void strmap_init(StrMap *map, Arena *arena);
/* Keeps the key's address, not a copy. False when the key was there already; *value is then what it
 * had. */
bool strmap_add(StrMap *map, Str key, uint32_t *value);
bool strmap_get(const StrMap *map, Str key, uint32_t *value);

typedef struct U64MapEntry U64MapEntry;
typedef struct U64Map {
  Arena *arena;
  U64MapEntry *entries;
  uint32_t n, room;
  uint64_t seed;
} U64Map;

void u64map_init(U64Map *map, Arena *arena);
void u64map_set(U64Map *map, uint64_t key, uint64_t value);
bool u64map_get(const U64Map *map, uint64_t key, uint64_t *value);

uint64_t hash_bytes(const void *bytes, size_t size, uint64_t seed);

#endif
