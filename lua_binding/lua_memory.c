/* lua_memory.c - Memory objects: bytes of a guest.
 *
 * Addresses are the guest's. In a 32-bit memory an address may also come as the signed i32 that a
 * guest returned: it is taken modulo 2^32. What is out of bounds raises the guest's own trap.
 */
#include "lua_wasm.h"

#include <stdio.h>

static const char out_of_bounds[] = "out of bounds memory access";

static FORCE_INLINE Item *check(lua_State *L, const char *function) {
  Item *item = wasm_known_item(L, 1, RILLE_EXTERN_MEMORY);
  return LIKELY(item != NULL) ? item : wasm_check_item(L, 1, TYPE_MEMORY, function);
}

/* ---- Addresses --------------------------------------------------------------------------------*/

static COLD int raise_range(lua_State *L, uint64_t at, uint64_t n, uint64_t size) {
  char message[128];
  snprintf(message, sizeof message, "%s (%llu %s at %llu of %llu)", out_of_bounds,
           (unsigned long long)n, n == 1 ? "byte" : "bytes", (unsigned long long)at,
           (unsigned long long)size);
  return wasm_raise_trap(L, out_of_bounds, message);
}

static FORCE_INLINE uint8_t *range_of(lua_State *L, const Item *memory, uint64_t at, uint64_t n) {
  uint64_t size;
  uint8_t *bytes = rille_memory_bytes(memory->memory, &size);
  if (UNLIKELY(n > size || at > size - n)) raise_range(L, at, n, size);
  return bytes + at;
}

uint8_t *wasm_memory_range(lua_State *L, const Item *memory, uint64_t at, uint64_t n) {
  return range_of(L, memory, at, n);
}

/* An integer from 0 up, as nearly all addresses and counts are. */
static FORCE_INLINE bool is_small_integer(lua_State *L, int arg, uint64_t *x) {
#if HAS_INTEGERS
  if (UNLIKELY(!lua_isinteger(L, arg))) return false;
  *x = (uint64_t)lua_tointegerx(L, arg, NULL);
  return (int64_t)*x >= 0;
#else
  if (UNLIKELY(lua_type(L, arg) != LUA_TNUMBER)) return false;
  lua_Number given = lua_tonumber(L, arg);
  if (UNLIKELY(!(given >= 0 && given < 9007199254740992.0))) return false;
  *x = (uint64_t)(int64_t)given;
  return (lua_Number)(int64_t)*x == given;
#endif
}

static COLD uint64_t check_address_slowly(lua_State *L, int arg, const Item *memory,
                                          const char *function) {
  rille_Slot at = 0;
  if (UNLIKELY(lua_type(L, arg) == LUA_TSTRING || !wasm_read_i64(L, arg, &at))) {
    lua_settop(L, arg);
    wasm_error_misuse(
        L, arg - 1, function, "address expected, got %s",
        lua_type(L, arg) == LUA_TNUMBER ? lua_tostring(L, arg) : luaL_typename(L, arg));
  }
  if (UNLIKELY((int64_t)at < 0)) {
    rille_MemoryType type;
    rille_memory_type(memory->memory, &type);
    if (!type.is_64 && (int64_t)at >= INT32_MIN) at = (uint32_t)at;
  }
  return at;
}

static FORCE_INLINE uint64_t check_address(lua_State *L, int arg, const Item *memory,
                                           const char *function) {
  uint64_t at = 0;
  if (LIKELY(is_small_integer(L, arg, &at))) return at;
  return check_address_slowly(L, arg, memory, function);
}

uint64_t wasm_check_address(lua_State *L, int arg, const Item *memory, const char *function) {
  return check_address(L, arg, memory, function);
}

uint64_t wasm_check_count(lua_State *L, int arg, const char *function) {
  uint64_t n = 0;
  if (is_small_integer(L, arg, &n)) return n;
  if (UNLIKELY(!wasm_read_count(L, arg, INT64_MAX, &n))) {
    lua_settop(L, arg);
    wasm_error_misuse(
        L, arg - 1, function, "count expected, got %s",
        lua_type(L, arg) == LUA_TNUMBER ? lua_tostring(L, arg) : luaL_typename(L, arg));
  }
  return n;
}

/* ---- Typed access -----------------------------------------------------------------------------*/

static const char *const access_names[N_ACCESSES + 1] = {"i8",  "u8",  "i16", "u16",  "i32", "u32",
                                                         "i64", "f32", "f64", "v128", NULL};
static const uint8_t access_sizes[N_ACCESSES] = {1, 1, 2, 2, 4, 4, 8, 4, 8, 16};

size_t wasm_access_size(Access access) {
  return access_sizes[access];
}

/* Names of three characters, as most are, by the first two, which no two of them share. */
enum { N_PLACES = 16, LONG_NAME = 4 };
#define PLACE(first, second) ((((unsigned)(first) << 2) + (unsigned)(second)) >> 1 & (N_PLACES - 1))
typedef struct Named {
  char name[LONG_NAME];
  uint8_t access;
} Named;
static const Named named[N_PLACES] = {
    [PLACE('i', '1')] = {"i16", I16}, [PLACE('u', '1')] = {"u16", U16},
    [PLACE('i', '3')] = {"i32", I32}, [PLACE('u', '3')] = {"u32", U32},
    [PLACE('i', '6')] = {"i64", I64}, [PLACE('f', '3')] = {"f32", F32},
    [PLACE('f', '6')] = {"f64", F64},
};

static bool is_access_name(const char *name) {
  for (int i = 0; name && i < N_ACCESSES; i++) {
    if (strcmp(name, access_names[i]) == 0) return true;
  }
  return false;
}

/* A number is a text, too, to lua_tolstring, but not one of the names. */
static Access find_access(lua_State *L, int arg, const char *function, const char *name) {
  for (int i = 0; name && i < N_ACCESSES; i++) {
    if (strcmp(name, access_names[i]) == 0) return (Access)i;
  }
  if (lua_type(L, arg) != LUA_TSTRING) {
    wasm_error_misuse(L, arg - 1, function, "type as a string expected, got %s",
                      luaL_typename(L, arg));
  }
  if (is_access_name(lua_tostring(L, arg + 1))) {
    wasm_error_misuse(L, arg - 1, function, "type expected, got '%s': the type comes first", name);
  }
  const char *nearest = wasm_nearest(name, access_names);
  if (wasm_near(name, nearest) == NOT_NEAR) {
    wasm_error_misuse(L, arg - 1, function,
                      "unknown type '%s' (i8, u8, i16, u16, i32, u32, i64, f32, f64 or v128)",
                      name);
  }
  wasm_error_misuse(L, arg - 1, function, "unknown type '%s' (did you mean '%s'?)", name, nearest);
  return I8;
}

static FORCE_INLINE Access check_access(lua_State *L, int arg, const char *function) {
  size_t size;
  const char *name = lua_tolstring(L, arg, &size);
  if (LIKELY(name != NULL) && LIKELY(size + 1 == LONG_NAME)) {
    const Named *entry = &named[PLACE(name[0], name[1])];
    if (LIKELY(memcmp(entry->name, name, LONG_NAME) == 0)) return (Access)entry->access;
  }
  return find_access(L, arg, function, name);
}

Access wasm_check_access(lua_State *L, int arg, const char *function) {
  return check_access(L, arg, function);
}

void wasm_push_access(lua_State *L, Access access, const uint8_t *from) {
  int8_t i8;
  int16_t i16;
  int32_t i32;
  uint64_t x = 0;
  switch (access) {
    case I8: memcpy(&i8, from, 1), lua_pushinteger(L, i8); break;
    case U8: lua_pushinteger(L, *from); break;
    case I16: memcpy(&i16, from, 2), lua_pushinteger(L, i16); break;
    case U16: memcpy(&x, from, 2), lua_pushinteger(L, (lua_Integer)x); break;
    case I32: memcpy(&i32, from, 4), lua_pushinteger(L, i32); break;
    case U32: memcpy(&x, from, 4), lua_pushinteger(L, (lua_Integer)x); break;
    case I64: memcpy(&x, from, 8), wasm_push_i64(L, (int64_t)x, false); break;
    case F32: memcpy(&x, from, 4), wasm_push_f32(L, x); break;
    case F64: memcpy(&x, from, 8), wasm_push_f64(L, x); break;
    default: lua_pushlstring(L, (const char *)from, 16); break;
  }
}

/* Is x a signed or unsigned number of so many bits? */
static bool fits(int64_t x, unsigned bits) {
  return x >= -((int64_t)1 << (bits - 1)) && x < ((int64_t)1 << bits);
}

/* Whether the value at `arg` could be stored as `access`, and its bytes. */
static bool read_access(lua_State *L, Access access, int arg, rille_Slot *slot) {
  switch (access) {
    case F32: return wasm_read_float(L, arg, RILLE_F32, slot);
    case F64: return wasm_read_float(L, arg, RILLE_F64, slot);
    case V128: return wasm_read_v128(L, arg, slot);
    case I64: return wasm_read_i64(L, arg, slot);
    default:
      return lua_type(L, arg) == LUA_TNUMBER && wasm_read_i64(L, arg, slot) &&
             fits((int64_t)*slot, access_sizes[access] * 8u);
  }
}

void wasm_store_access(lua_State *L, Access access, int arg, uint8_t *to, const char *function) {
  rille_Slot slot[2];
  if (UNLIKELY(!read_access(L, access, arg, slot))) {
    const char *given = luaL_typename(L, arg);
    if (lua_type(L, arg) == LUA_TNUMBER) {
      lua_pushvalue(L, arg);
      given = lua_tostring(L, -1);
    }
    wasm_error_misuse(L, arg - 1, function, "%s expected, got %s", access_names[access], given);
  }
  memcpy(to, slot, access_sizes[access]);
}

static int memory_load(lua_State *L) {
  const Item *memory = check(L, "load");
  Access access = check_access(L, 2, "load");
  uint64_t at = check_address(L, 3, memory, "load");
  const uint8_t *from = range_of(L, memory, at, access_sizes[access]);
  if (LIKELY(access == I32)) {
    int32_t x;
    memcpy(&x, from, sizeof x);
    lua_pushinteger(L, x);
  } else {
    wasm_push_access(L, access, from);
  }
  return 1;
}

static int memory_store(lua_State *L) {
  const Item *memory = check(L, "store");
  Access access = check_access(L, 2, "store");
  uint64_t at = check_address(L, 3, memory, "store");
  uint8_t *to = range_of(L, memory, at, access_sizes[access]);
  rille_Slot slot;
  if (LIKELY(access == I32) && LIKELY(wasm_read_i32(L, 4, &slot))) {
    memcpy(to, &slot, sizeof(uint32_t));
  } else {
    wasm_store_access(L, access, 4, to, "store");
  }
  return 0;
}

/* ---- Strings and blocks -----------------------------------------------------------------------*/

static int memory_read(lua_State *L) {
  const Item *memory = check(L, "read");
  uint64_t at = check_address(L, 2, memory, "read");
  uint64_t n = wasm_check_count(L, 3, "read");
  const uint8_t *from = range_of(L, memory, at, n);
  lua_pushlstring(L, (const char *)from, (size_t)n);
  return 1;
}

static int memory_write(lua_State *L) {
  const Item *memory = check(L, "write");
  uint64_t at = wasm_check_address(L, 2, memory, "write");
  if (lua_type(L, 3) != LUA_TSTRING) {
    return wasm_error_misuse(L, 2, "write", "string expected, got %s", luaL_typename(L, 3));
  }
  size_t size;
  const char *bytes = lua_tolstring(L, 3, &size);
  memcpy(wasm_memory_range(L, memory, at, size), bytes, size);
  lua_pushinteger(L, (lua_Integer)(at + size));
  return 1;
}

static int memory_cstring(lua_State *L) {
  const Item *memory = check(L, "cstring");
  uint64_t at = wasm_check_address(L, 2, memory, "cstring"), size;
  uint64_t most = lua_isnoneornil(L, 3) ? UINT64_MAX : wasm_check_count(L, 3, "cstring");
  const uint8_t *bytes = rille_memory_bytes(memory->memory, &size);
  if (at > size) return raise_range(L, at, 1, size);
  uint64_t room = size - at < most ? size - at : most;
  const uint8_t *end = room > 0 ? memchr(bytes + at, 0, (size_t)room) : NULL;
  if (!end && room < most) return wasm_raise_out_of_bounds(L, out_of_bounds);
  lua_pushlstring(L, (const char *)bytes + at,
                  end ? (size_t)((uint64_t)(end - bytes) - at) : (size_t)room);
  return 1;
}

static int memory_fill(lua_State *L) {
  const Item *memory = check(L, "fill");
  uint64_t at = wasm_check_address(L, 2, memory, "fill");
  rille_Slot byte;
  if (!read_access(L, U8, 3, &byte)) {
    return wasm_error_misuse(L, 2, "fill", "byte expected, got %s", luaL_typename(L, 3));
  }
  uint64_t n = wasm_check_count(L, 4, "fill");
  memset(wasm_memory_range(L, memory, at, n), (int)(uint8_t)byte, (size_t)n);
  return 0;
}

static int memory_copy(lua_State *L) {
  const Item *memory = check(L, "copy");
  uint64_t to = wasm_check_address(L, 2, memory, "copy");
  uint64_t from = wasm_check_address(L, 3, memory, "copy");
  uint64_t n = wasm_check_count(L, 4, "copy");
  uint8_t *target = wasm_memory_range(L, memory, to, n);
  memmove(target, wasm_memory_range(L, memory, from, n), (size_t)n);
  return 0;
}

/* ---- The whole --------------------------------------------------------------------------------*/

static int memory_len(lua_State *L) {
  uint64_t size;
  rille_memory_bytes(check(L, "len")->memory, &size);
  lua_pushinteger(L, (lua_Integer)size);
  return 1;
}

static int memory_pages(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)rille_memory_pages(check(L, "pages")->memory));
  return 1;
}

static int memory_grow(lua_State *L) {
  const Item *memory = check(L, "grow");
  uint64_t pages = wasm_check_count(L, 2, "grow"), old = 0, before, after;
  rille_Error *error = NULL;
  rille_memory_bytes(memory->memory, &before);
  if (!rille_grow_memory(memory->memory, pages, &old, &error)) {
    wasm_push_error(L, error);
    return wasm_return_error(L);
  }
  rille_memory_bytes(memory->memory, &after);
  wasm_count_external(L, memory->state, after - before);
  lua_pushinteger(L, (lua_Integer)old);
  return 1;
}

static int memory_pointer(lua_State *L) {
  const Item *memory = check(L, "pointer");
  uint64_t size;
  lua_pushlightuserdata(L, rille_memory_bytes(memory->memory, &size));
  lua_pushboolean(L, rille_memory_is_stable(memory->memory));
  return 2;
}

static unsigned log2_of(lua_State *L, uint64_t size) {
  unsigned n = 0;
  while (n < 16 && (uint64_t)1 << n != size) n++;
  if ((uint64_t)1 << n != size) {
    luaL_error(L, "bad option 'pagesize' to 'memory' (1 or 65536 expected)");
  }
  return n;
}

static bool reads_64(lua_State *L, int at, const char *function) {
  const char *index = wasm_option_string(L, at, function, "index");
  if (index && strcmp(index, "i32") != 0 && strcmp(index, "i64") != 0) {
    luaL_error(L, "bad option 'index' to '%s' ('i32' or 'i64' expected, got '%s')", function,
               index);
  }
  return index && strcmp(index, "i64") == 0;
}

int wasm_memory(lua_State *L) {
  static const char *const names[] = {"min", "max", "shared", "index", "pagesize", NULL};
  State *state = wasm_state(L);
  rille_MemoryType type = {.max = RILLE_NO_MAX, .page_log2 = 16};
  lua_settop(L, 1);
  wasm_check_options(L, 1, "memory", names);
  (void)wasm_option_count(L, 1, "memory", "min", &type.min);
  (void)wasm_option_count(L, 1, "memory", "max", &type.max);
  type.is_shared = wasm_option_bool(L, 1, "memory", "shared", false);
  type.is_64 = reads_64(L, 1, "memory");
  uint64_t page_size = 65536;
  (void)wasm_option_count(L, 1, "memory", "pagesize", &page_size);
  type.page_log2 = (uint8_t)log2_of(L, page_size);
  if (type.is_shared && type.max == RILLE_NO_MAX) {
    return luaL_error(L, "bad options to 'memory' (a shared memory needs 'max')");
  }
  rille_Error *error = NULL;
  rille_Memory *memory = rille_new_memory(state->engine, &type, &error);
  if (!memory && rille_error_kind(error) == RILLE_ERROR_MEMORY) {
    rille_free_error(error);
    lua_gc(L, LUA_GCCOLLECT, 0);
    memory = rille_new_memory(state->engine, &type, &error);
  }
  if (!memory) {
    wasm_push_error(L, error);
    return wasm_return_error(L);
  }
  const rille_Extern item = {RILLE_EXTERN_MEMORY, {.memory = memory}};
  (void)wasm_new_item(L, state, &item, true);
  wasm_count_external(L, state, 4096 + (type.min << type.page_log2));
  return 1;
}

void wasm_open_memory(lua_State *L) {
  static const luaL_Reg methods[] = {{"load", memory_load},       {"store", memory_store},
                                     {"read", memory_read},       {"write", memory_write},
                                     {"cstring", memory_cstring}, {"fill", memory_fill},
                                     {"copy", memory_copy},       {"pages", memory_pages},
                                     {"grow", memory_grow},       {"pointer", memory_pointer},
                                     {"pack", wasm_memory_pack},  {"unpack", wasm_memory_unpack},
                                     {"view", wasm_memory_view},  {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__len", memory_len},
                                         {"__gc", wasm_item_gc},
                                         {"__tostring", wasm_item_tostring},
                                         {NULL, NULL}};
  wasm_define_type(L, TYPE_MEMORY, methods, metamethods);
}
