/* lua_value.c - values both ways: Lua value <-> slot of a guest.
 *
 * Numbers are read in the header's inline functions; here are the slow cases and the references. An
 * extern value is kept by id: strongly in its group, weakly in `refs`; its Cell is what the engine
 * knows of it. The same Lua value has one Cell in a group as long as guest code refers to it.
 */
#include "lua_wasm.h"

#include <math.h>
#include <stdlib.h>

struct Cell {
  State *state;
  rille_Slot slot; /* 0: released */
  uint32_t id;
  Cell *next; /* of State.released */
};

/* ---- Numbers ----------------------------------------------------------------------------------*/

int64_t wasm_take_float_as_i32(lua_State *L, int at) {
  if (lua_type(L, at) != LUA_TNUMBER) return INT64_MIN;
  double x = (double)lua_tonumber(L, at);
  if (!(x >= -2147483648.0 && x < 4294967296.0)) return INT64_MIN;
  int64_t integral = (int64_t)x;
  return (double)integral == x ? integral : INT64_MIN;
}

bool wasm_read_i64_slow(lua_State *L, int at, rille_Slot *out) {
  int64_t x;
  bool is_good;
  if (lua_type(L, at) == LUA_TNUMBER) {
    is_good = wasm_number_to_i64(lua_tonumber(L, at), &x);
  } else if (lua_type(L, at) == LUA_TSTRING) {
    size_t size;
    const char *text = lua_tolstring(L, at, &size);
    is_good = wasm_parse_i64(text, size, &x);
  } else {
    is_good = wasm_test_i64(L, at, &x);
  }
  if (is_good) *out = (rille_Slot)x;
  return is_good;
}

bool wasm_read_float(lua_State *L, int at, rille_ValueType type, rille_Slot *out) {
  if (lua_type(L, at) != LUA_TNUMBER) return false;
  double x = (double)lua_tonumber(L, at);
  if (type == RILLE_F64) {
    memcpy(out, &x, sizeof x);
  } else {
    float narrow = (float)x;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    *out = bits;
  }
  return true;
}

bool wasm_read_v128(lua_State *L, int at, rille_Slot *out) {
  size_t size;
  if (lua_type(L, at) != LUA_TSTRING) return false;
  const char *bytes = lua_tolstring(L, at, &size);
  if (size != 16) return false;
  memcpy(out, bytes, 16);
  return true;
}

void wasm_push_i64(lua_State *L, int64_t x, bool boxed) {
#if HAS_INTEGERS
  (void)boxed;
  lua_pushinteger(L, (lua_Integer)x);
#else
  const int64_t exact = (int64_t)1 << 53;
  if (boxed || x < -exact || x > exact) {
    wasm_box_i64(L, x);
  } else {
    lua_pushnumber(L, (lua_Number)x);
  }
#endif
}

/* ---- Extern values ----------------------------------------------------------------------------*/

static void free_cell(Cell *cell) {
  State *state = cell->state;
  state->n_cells--;
  free(cell);
  wasm_state_drop(state);
}

/* The engine's: no Lua state may be touched here. */
void wasm_release_extern(void *user, uint64_t payload) {
  (void)user;
  Cell *cell = (Cell *)(uintptr_t)payload;
  if (cell->state->is_closing) {
    free_cell(cell);
    return;
  }
  cell->slot = 0;
  cell->next = cell->state->released;
  cell->state->released = cell;
}

void wasm_free_released(State *state) {
  for (Cell *cell; (cell = state->released) != NULL;) {
    state->released = cell->next;
    free_cell(cell);
  }
}

/* Removes the value of a released cell from its group. */
static void forget_cell(lua_State *L, Cell *cell) {
  if (!wasm_find_object(L, cell)) return; /* the group is gone already */
  compat_rawgeti(L, -1, cell->id);
  lua_getfield(L, -2, "externs");
  lua_pushvalue(L, -2);
  if (lua_type(L, -1) != LUA_TNIL && compat_rawget(L, -2) == LUA_TLIGHTUSERDATA &&
      lua_touserdata(L, -1) == cell) {
    lua_pushvalue(L, -3);
    lua_pushnil(L);
    lua_rawset(L, -4);
  }
  lua_pop(L, 3);
  lua_pushnil(L);
  compat_rawseti(L, -2, cell->id);
  lua_pop(L, 1);
  lua_pushnil(L);
  wasm_set_object(L, cell);
  lua_pop(L, 1);
}

/* Gives back what the engine has released since the last call. */
void wasm_reap_externs(lua_State *L, State *state) {
  for (Cell *cell; (cell = state->released) != NULL;) {
    state->released = cell->next; /* Lua's collector, and thus this function, may run in between */
    forget_cell(L, cell);
    lua_pushnil(L);
    compat_rawseti(L, lua_upvalueindex(UP_REFS), cell->id);
    wasm_free_id(state, cell->id);
    free_cell(cell);
  }
}

/* Pushes the map from value to Cell of the group. */
static void push_cells(lua_State *L, int group) {
  if (compat_getfield(L, group, "externs") != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, group, "externs");
}

/* Floats are no usable keys: 3.0 would find 3, and NaN nothing. */
static bool is_usable_key(lua_State *L, int at) {
#if HAS_INTEGERS
  return lua_type(L, at) != LUA_TNUMBER || lua_isinteger(L, at);
#else
  return lua_type(L, at) != LUA_TNUMBER || lua_tonumber(L, at) == lua_tonumber(L, at);
#endif
}

/* Without its reference yet. */
static Cell *new_cell(lua_State *L, int at, const Home *home) {
  uint32_t id = wasm_new_id(L, home->state);
  Cell *cell = calloc(1, sizeof *cell);
  if (!cell) {
    wasm_free_id(home->state, id);
    luaL_error(L, "not enough memory");
  }
  cell->state = home->state;
  cell->id = id;
  lua_pushvalue(L, at);
  compat_rawseti(L, lua_upvalueindex(UP_REFS), id);
  lua_pushvalue(L, at);
  compat_rawseti(L, home->group, id);
  lua_pushvalue(L, home->group);
  wasm_set_object(L, cell);
  lua_pop(L, 1);
  return cell;
}

/* Comes last: nothing that runs Lua's collector, and with it ours, may follow until the reference
 * is where ours finds it. */
static rille_Slot set_reference(lua_State *L, Cell *cell, const Home *home) {
  cell->slot = rille_new_extern(home->store, (uint64_t)(uintptr_t)cell);
  if (!cell->slot) {
    forget_cell(L, cell);
    wasm_free_id(home->state, cell->id);
    free(cell);
    luaL_error(L, "not enough memory");
  }
  home->state->n_cells++;
  wasm_state_hold(home->state);
  return cell->slot;
}

rille_Slot wasm_read_extern(lua_State *L, int at, const Home *home) {
  rille_Slot inner;
  if (wasm_read_inner(L, at, home, &inner)) return inner;
  at = lua_absindex(L, at);
  if (UNLIKELY(home->state->released != NULL)) wasm_reap_externs(L, home->state);
  bool has_key = is_usable_key(L, at);
  push_cells(L, home->group);
  if (has_key) {
    lua_pushvalue(L, at);
    (void)compat_rawget(L, -2);
    const Cell *known = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (known && known->slot) {
      lua_pop(L, 1);
      return known->slot;
    }
  }
  Cell *cell = new_cell(L, at, home);
  if (has_key) {
    lua_pushvalue(L, at);
    lua_pushlightuserdata(L, cell);
    lua_rawset(L, -3);
  }
  lua_pop(L, 1);
  return set_reference(L, cell, home);
}

void wasm_push_extern(lua_State *L, rille_Slot ref) {
  uint64_t payload;
  if (!rille_extern_payload(ref, &payload)) luaL_error(L, "not a value of the host");
  compat_rawgeti(L, lua_upvalueindex(UP_REFS), ((const Cell *)(uintptr_t)payload)->id);
}

/* ---- References -------------------------------------------------------------------------------*/

bool wasm_is_reference(rille_ValueType type) {
  return type != RILLE_I32 && type != RILLE_I64 && type != RILLE_F32 && type != RILLE_F64 &&
         type != RILLE_V128;
}

/* What the function at `at` needs to live goes into the group. */
static void adopt_func(lua_State *L, int at, const Entry *entry, const Home *home) {
  at = lua_absindex(L, at);
  wasm_push_entry_group(L, at);
  bool is_at_home = lua_rawequal(L, -1, home->group);
  lua_pop(L, 1);
  if (is_at_home && !entry->is_host) return;
  lua_pushvalue(L, at);
  bool is_known = compat_rawget(L, home->group) != LUA_TNIL;
  lua_pop(L, 1);
  if (is_known) return;
  wasm_anchor(L, home->group, at);
  rille_Store *store = rille_func_store(entry->func);
  if (!store || is_at_home) return;
  if (!rille_join_stores(home->store, store)) luaL_error(L, "not enough memory");
  wasm_push_entry_group(L, at);
  wasm_join_groups(L, home->group, -1);
  lua_pop(L, 1);
}

static bool read_func(lua_State *L, int at, const Home *home, rille_ValueType type,
                      rille_Slot *out) {
  const Entry *entry = wasm_test_entry(L, at);
  if (!entry) return false;
  if (entry->inst && !entry->inst->instance) luaL_error(L, "instance is closed");
  *out = rille_ref_of_func(entry->func);
  if (!rille_check_ref(type, *out)) return false;
  adopt_func(L, at, entry, home);
  return true;
}

bool wasm_read_ref(lua_State *L, int at, const Home *home, rille_ValueType type, rille_Slot *out) {
  if (lua_isnoneornil(L, at)) {
    *out = 0;
    return lua_isnil(L, at) && rille_type_is_nullable(type);
  }
  switch (rille_type_family(type)) {
    case RILLE_FUNC_FAMILY: return read_func(L, at, home, type, out);
    case RILLE_EXTERN_FAMILY:
      *out = wasm_read_extern(L, at, home);
      return rille_check_ref(type, *out);
    case RILLE_ANY_FAMILY: return wasm_read_any(L, at, home, type, out);
    case RILLE_EXN_FAMILY:
      return wasm_read_exception(L, at, home, out) && rille_check_ref(type, *out);
    default: return false;
  }
}

void wasm_push_ref(lua_State *L, const Home *home, rille_ValueType type, rille_Slot ref) {
  if (ref == 0) {
    lua_pushnil(L);
    return;
  }
  switch (rille_type_family(type)) {
    case RILLE_FUNC_FAMILY:
      wasm_push_func(L, home->state, rille_func_of_ref(ref), NULL, 0, home->inst);
      break;
    case RILLE_EXTERN_FAMILY:
    case RILLE_ANY_FAMILY: wasm_push_any(L, home, ref); break;
    case RILLE_EXN_FAMILY: wasm_push_exception(L, home, ref); break;
    default: luaL_error(L, "references of this type do not cross into Lua yet");
  }
}

bool wasm_read_value(lua_State *L, int at, const Home *home, rille_ValueType type,
                     rille_Slot *out) {
  switch (type) {
    case RILLE_I32: return wasm_read_i32(L, at, out);
    case RILLE_I64: return wasm_read_i64(L, at, out);
    case RILLE_F32:
    case RILLE_F64: return wasm_read_float(L, at, type, out);
    case RILLE_V128: return wasm_read_v128(L, at, out);
    default: return wasm_read_ref(L, at, home, type, out);
  }
}

void wasm_push_value(lua_State *L, const Home *home, rille_ValueType type, const rille_Slot *slot) {
  switch (type) {
    case RILLE_I32: lua_pushinteger(L, (int32_t)*slot); break;
    case RILLE_I64: wasm_push_i64(L, (int64_t)*slot, false); break;
    case RILLE_F32: wasm_push_f32(L, *slot); break;
    case RILLE_F64: wasm_push_f64(L, *slot); break;
    case RILLE_V128: lua_pushlstring(L, (const char *)slot, 16); break;
    default: wasm_push_ref(L, home, type, *slot); break;
  }
}

/* ---- Texts ------------------------------------------------------------------------------------*/

static const char *push_given(lua_State *L, int at, rille_ValueType type) {
  const char *known = wasm_type_name(L, at);
  if (lua_type(L, at) == LUA_TNUMBER && !wasm_is_reference(type) && type != RILLE_V128) {
    luaL_tolstring(L, at, NULL);
  } else if (lua_type(L, at) == LUA_TSTRING && type == RILLE_V128) {
    lua_pushfstring(L, "string of %d bytes", (int)lua_rawlen(L, at));
  } else if (lua_type(L, at) == LUA_TFUNCTION && wasm_is_reference(type)) {
    lua_pushstring(L,
                   known ? "function of another type" : "function without a type, see wasm.func");
  } else {
    lua_pushstring(L, known ? known : luaL_typename(L, at));
  }
  return lua_tostring(L, -1);
}

const char *wasm_expected(lua_State *L, int at, rille_ValueType type) {
  char name[128];
  rille_print_type(type, name, sizeof name);
  const char *given = push_given(L, at, type);
  return lua_pushfstring(L, "%s expected, got %s",
                         type == RILLE_V128 ? "v128 as a string of 16 bytes" : name, given);
}

rille_ValueType wasm_check_type(lua_State *L, int at, const char *function) {
  rille_ValueType type = 0;
  if (lua_type(L, at) != LUA_TSTRING) {
    wasm_error_misuse(L, at, function, "value type as a string expected, got %s",
                      luaL_typename(L, at));
  }
  if (!rille_parse_type(lua_tostring(L, at), &type)) {
    wasm_error_misuse(L, at, function, "unknown value type '%s'", lua_tostring(L, at));
  }
  return type;
}
