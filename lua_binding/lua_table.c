/* lua_table.c - Table objects: references of a guest, counted from 0.
 */
#include "lua_wasm.h"

#include <stdio.h>

static Item *check(lua_State *L, const char *function) {
  Item *item = wasm_known_item(L, 1, RILLE_EXTERN_TABLE);
  return LIKELY(item != NULL) ? item : wasm_check_item(L, 1, TYPE_TABLE, function);
}

/* Pushes the group of the table at 1. */
static Home push_home(lua_State *L, const Item *item) {
  compat_get_attached(L, 1);
  return (Home){item->state, rille_table_store(item->table), NULL, lua_gettop(L)};
}

static uint64_t check_index(lua_State *L, int arg, const Item *item, const char *function) {
  rille_Slot at = 0;
  if (lua_type(L, arg) != LUA_TNUMBER || !wasm_read_i64(L, arg, &at)) {
    lua_settop(L, arg);
    wasm_error_misuse(
        L, arg - 1, function, "index expected, got %s",
        lua_type(L, arg) == LUA_TNUMBER ? lua_tostring(L, arg) : luaL_typename(L, arg));
  }
  uint64_t min, max;
  bool is_64;
  rille_table_limits(item->table, &min, &max, &is_64);
  return !is_64 && (int64_t)at < 0 && (int64_t)at >= INT32_MIN ? (uint32_t)at : at;
}

/* Reads the reference at `arg`, which has to be given. */
static rille_Slot check_value(lua_State *L, int arg, const Item *item, const char *function) {
  rille_ValueType type = rille_table_type(item->table);
  rille_Slot slot;
  const Home home = push_home(L, item);
  if (!wasm_read_ref(L, arg, &home, type, &slot)) {
    wasm_error_misuse(L, arg - 1, function, "%s", wasm_expected(L, arg, type));
  }
  lua_pop(L, 1);
  return slot;
}

static COLD int out_of_bounds(lua_State *L, const Item *item, uint64_t at) {
  static const char code[] = "out of bounds table access";
  char message[96];
  snprintf(message, sizeof message, "%s (element %llu of %llu)", code, (unsigned long long)at,
           (unsigned long long)rille_table_size(item->table));
  return wasm_raise_trap(L, code, message);
}

static int table_get(lua_State *L) {
  const Item *item = check(L, "get");
  uint64_t at = check_index(L, 2, item, "get");
  rille_Slot slot;
  if (!rille_get_element(item->table, at, &slot)) return out_of_bounds(L, item, at);
  const Home home = push_home(L, item);
  wasm_push_ref(L, &home, rille_table_type(item->table), slot);
  return 1;
}

static int table_set(lua_State *L) {
  const Item *item = check(L, "set");
  uint64_t at = check_index(L, 2, item, "set");
  if (lua_gettop(L) < 3) return wasm_error_misuse(L, 2, "set", "value expected");
  rille_Slot slot = check_value(L, 3, item, "set");
  return rille_set_element(item->table, at, slot) ? 0 : out_of_bounds(L, item, at);
}

static int table_grow(lua_State *L) {
  const Item *item = check(L, "grow");
  uint64_t n = wasm_check_count(L, 2, "grow"), old;
  lua_settop(L, 3);
  rille_Slot init = check_value(L, 3, item, "grow");
  rille_Error *error = NULL;
  if (!rille_grow_table(item->table, n, init, &old, &error)) {
    wasm_push_error(L, error);
    return wasm_return_error(L);
  }
  wasm_count_external(L, item->state, n * 8);
  lua_pushinteger(L, (lua_Integer)old);
  return 1;
}

static int table_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)rille_table_size(check(L, "len")->table));
  return 1;
}

static rille_ValueType option_type(lua_State *L) {
  const char *text = wasm_option_string(L, 1, "table", "type");
  rille_ValueType type = RILLE_FUNCREF;
  if (text && (!rille_parse_type(text, &type) || !wasm_is_reference(type))) {
    luaL_error(L, "bad option 'type' to 'table' (reference type expected, got '%s')", text);
  }
  return type;
}

/* Pushes the group of a new store's table; fills it and its elements. */
static rille_Table *new_table(lua_State *L, State *state, rille_Store *store, rille_Error **error) {
  uint64_t min = 0, max = RILLE_NO_MAX;
  (void)state;
  rille_ValueType type = option_type(L);
  (void)wasm_option_count(L, 1, "table", "min", &min);
  (void)wasm_option_count(L, 1, "table", "max", &max);
  const char *index = wasm_option_string(L, 1, "table", "index");
  bool is_64 = index && strcmp(index, "i64") == 0;
  return rille_new_table(store, type, min, max, is_64, 0, error);
}

/* Fills the table on top with the option `init`. */
static void fill(lua_State *L, const Item *item) {
  int at = lua_gettop(L);
  rille_ValueType type = rille_table_type(item->table);
  rille_Slot slot;
  compat_get_attached(L, at);
  const Home home = {item->state, rille_table_store(item->table), NULL, at + 1};
  lua_getfield(L, 1, "init");
  if (!wasm_read_ref(L, at + 2, &home, type, &slot)) {
    luaL_error(L, "bad option 'init' to 'table' (%s)", wasm_expected(L, at + 2, type));
  }
  for (uint64_t i = 0, n = rille_table_size(item->table); i < n; i++) {
    rille_set_element(item->table, i, slot);
  }
  lua_settop(L, at);
}

int wasm_table(lua_State *L) {
  static const char *const names[] = {"type", "min", "max", "init", "index", NULL};
  State *state = wasm_state(L);
  lua_settop(L, 1);
  wasm_check_options(L, 1, "table", names);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  (void)option_type(L);
  const char *index = wasm_option_string(L, 1, "table", "index");
  if (index && strcmp(index, "i32") != 0 && strcmp(index, "i64") != 0) {
    return luaL_error(L, "bad option 'index' to 'table' ('i32' or 'i64' expected, got '%s')",
                      index);
  }
  rille_Error *error = NULL;
  rille_Store *store = rille_new_store(state->engine);
  if (!store) return luaL_error(L, "not enough memory");
  rille_Table *table = new_table(L, state, store, &error);
  rille_free_store(store); /* the table's handle keeps it */
  if (!table) {
    wasm_push_error(L, error);
    return wasm_return_error(L);
  }
  const rille_Extern extern_table = {RILLE_EXTERN_TABLE, {.table = table}};
  const Item *item = wasm_new_item(L, state, &extern_table, true);
  wasm_new_group(L);
  compat_set_attached(L, -2);
  fill(L, item);
  wasm_count_external(L, state, 256 + rille_table_size(table) * 8);
  return 1;
}

void wasm_open_table(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"get", table_get}, {"set", table_set}, {"grow", table_grow}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__len", table_len},
                                         {"__gc", wasm_item_gc},
                                         {"__tostring", wasm_item_tostring},
                                         {NULL, NULL}};
  wasm_define_type(L, TYPE_TABLE, methods, metamethods);
}
