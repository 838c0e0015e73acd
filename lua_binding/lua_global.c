/* lua_global.c - Global objects: g.value, g.mutable.
 */
#include "lua_wasm.h"

static Item *check(lua_State *L) {
  Item *item = wasm_known_item(L, 1, RILLE_EXTERN_GLOBAL);
  return LIKELY(item != NULL) ? item : wasm_check_item(L, 1, TYPE_GLOBAL, "global");
}

/* Pushes the group of the global at `at`, or nothing of use for numbers. */
static Home push_home(lua_State *L, int at, const Item *item) {
  compat_get_attached(L, at);
  return (Home){item->state, rille_global_store(item->global), NULL, lua_gettop(L)};
}

static int global_index(lua_State *L) {
  const Item *item = check(L);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  bool is_mutable;
  rille_ValueType type = rille_global_type(item->global, &is_mutable);
  if (strcmp(key, "value") == 0) {
    const Home home = push_home(L, 1, item);
    wasm_push_value(L, &home, type, rille_global_slots(item->global));
  } else if (strcmp(key, "mutable") == 0) {
    lua_pushboolean(L, is_mutable);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* Sets the global at `at` to the value at `value`; the error speaks of `what`. */
static void set_value(lua_State *L, int at, const Item *item, int value, const char *what) {
  rille_ValueType type = rille_global_type(item->global, NULL);
  rille_Slot slot[2] = {0, 0};
  const Home home = push_home(L, at, item);
  if (!wasm_read_value(L, value, &home, type, slot)) {
    luaL_error(L, "bad %s (%s)", what, wasm_expected(L, value, type));
  }
  memcpy(rille_global_slots(item->global), slot, wasm_slots_of(type) * sizeof slot[0]);
  lua_pop(L, 1);
}

static int global_newindex(lua_State *L) {
  const Item *item = check(L);
  bool is_mutable;
  (void)rille_global_type(item->global, &is_mutable);
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "value") != 0) {
    luaL_tolstring(L, 2, NULL);
    return luaL_error(L, "unknown field '%s' of a global (did you mean 'value'?)",
                      lua_tostring(L, -1));
  }
  if (!is_mutable) return luaL_error(L, "the global is immutable");
  set_value(L, 1, item, 3, "value of the global");
  return 0;
}

int wasm_global(lua_State *L) {
  State *state = wasm_state(L);
  lua_settop(L, 3);
  rille_ValueType type = wasm_check_type(L, 1, "global");
  if (!lua_isnil(L, 3) && !lua_isboolean(L, 3)) {
    return wasm_error_misuse(L, 3, "global", "boolean expected, got %s", luaL_typename(L, 3));
  }
  bool is_reference = wasm_is_reference(type);
  rille_Store *store = is_reference ? rille_new_store(state->engine) : NULL;
  const rille_Slot zero[2] = {0, 0};
  rille_Error *error = NULL;
  rille_Global *global =
      rille_new_global(state->engine, store, type, lua_toboolean(L, 3), zero, &error);
  if (store) rille_free_store(store); /* the global's handle keeps it */
  if (!global) {
    lua_pushstring(L, error ? rille_error_message(error) : "not enough memory");
    if (error) rille_free_error(error);
    return luaL_error(L, "bad call to 'global' (%s)", lua_tostring(L, -1));
  }
  const rille_Extern item = {RILLE_EXTERN_GLOBAL, {.global = global}};
  const Item *object = wasm_new_item(L, state, &item, true);
  if (is_reference) {
    wasm_new_group(L);
    compat_set_attached(L, -2);
  }
  set_value(L, lua_gettop(L), object, 2, "argument #2 to 'global'");
  return 1;
}

void wasm_open_global(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__index", global_index},
                                         {"__newindex", global_newindex},
                                         {"__gc", wasm_item_gc},
                                         {"__tostring", wasm_item_tostring},
                                         {NULL, NULL}};
  wasm_define_type(L, TYPE_GLOBAL, NULL, metamethods);
}
