/* lua_item.c - what memories, tables and globals share as Lua objects.
 *
 * The object of something is the same as long as Lua holds it. It is closed when the last open
 * instance that defines or imports it is closed; what Lua made itself never is.
 */
#include "lua_wasm.h"

static const char *const types[] = {[RILLE_EXTERN_TABLE] = TYPE_TABLE,
                                    [RILLE_EXTERN_MEMORY] = TYPE_MEMORY,
                                    [RILLE_EXTERN_GLOBAL] = TYPE_GLOBAL};

const char wasm_item_marks[RILLE_EXTERN_TAG] = {0};

rille_Extern wasm_item_extern(const Item *item) {
  rille_Extern result = {.kind = item->kind};
  switch (item->kind) {
    case RILLE_EXTERN_MEMORY: result.memory = item->memory; break;
    case RILLE_EXTERN_TABLE: result.table = item->table; break;
    default: result.global = item->global; break;
  }
  return result;
}

static const void *address_of(const rille_Extern *item) {
  switch (item->kind) {
    case RILLE_EXTERN_MEMORY: return item->memory;
    case RILLE_EXTERN_TABLE: return item->table;
    default: return item->global;
  }
}

Item *wasm_new_item(lua_State *L, State *state, const rille_Extern *item, bool stands_alone) {
  Item *object = wasm_new_object(L, types[item->kind], sizeof *object);
  object->mark = &wasm_item_marks[item->kind];
  object->state = state;
  wasm_state_hold(state);
  object->kind = item->kind;
  object->stands_alone = stands_alone;
  switch (item->kind) {
    case RILLE_EXTERN_MEMORY: object->memory = item->memory; break;
    case RILLE_EXTERN_TABLE: object->table = item->table; break;
    default: object->global = item->global; break;
  }
  wasm_set_object(L, address_of(item));
  return object;
}

static void retain(const rille_Extern *item) {
  switch (item->kind) {
    case RILLE_EXTERN_MEMORY: rille_retain_memory(item->memory); break;
    case RILLE_EXTERN_TABLE: rille_retain_table(item->table); break;
    default: rille_retain_global(item->global); break;
  }
}

/* Pushes the object of it, if Lua has one. What stood for the address before may still be there: a
 * function of an instance that is closed. */
static bool find_item(lua_State *L, const rille_Extern *item) {
  if (!wasm_find_object(L, address_of(item))) return false;
  const Item *known = wasm_test_item(L, -1);
  if (known && !known->is_closed && known->kind == item->kind) return true;
  lua_pop(L, 1);
  return false;
}

void wasm_push_item(lua_State *L, State *state, const rille_Extern *item, int group) {
  if (find_item(L, item)) return;
  (void)wasm_new_item(L, state, item, false);
  retain(item);
  if (group != 0) {
    lua_pushvalue(L, group);
    compat_set_attached(L, -2);
  }
}

static void release(Item *item) {
  if (item->kind == RILLE_EXTERN_MEMORY)
    wasm_forget_shared(item); /* nobody adopts it from now on */
  switch (item->kind) {
    case RILLE_EXTERN_MEMORY: rille_free_memory(item->memory); break;
    case RILLE_EXTERN_TABLE: rille_free_table(item->table); break;
    default: rille_free_global(item->global); break;
  }
  item->is_closed = true;
}

void wasm_use_item(lua_State *L, int items, int at) {
  lua_pushvalue(L, at);
  if (compat_rawget(L, items) == LUA_TNIL) {
    Item *item = lua_touserdata(L, at);
    item->n_users++;
    lua_pushvalue(L, at);
    lua_pushboolean(L, true);
    lua_rawset(L, items);
  }
  lua_pop(L, 1);
}

void wasm_leave_items(lua_State *L, int items, bool closes) {
  for (lua_pushnil(L); lua_next(L, items) != 0; lua_pop(L, 1)) {
    Item *item = lua_touserdata(L, -2);
    item->n_users--;
    if (!closes || item->n_users > 0 || item->stands_alone || item->is_closed) continue;
    const rille_Extern gone = wasm_item_extern(item);
    lua_pushnil(L); /* its address may come again */
    wasm_set_object(L, address_of(&gone));
    lua_pop(L, 1);
    release(item);
  }
}

Item *wasm_test_item(lua_State *L, int at) {
  Item *item = luaL_testudata(L, at, TYPE_MEMORY);
  if (!item) item = luaL_testudata(L, at, TYPE_TABLE);
  return item ? item : luaL_testudata(L, at, TYPE_GLOBAL);
}

Item *wasm_check_item(lua_State *L, int at, const char *type, const char *function) {
  Item *item = luaL_testudata(L, at, type);
  if (UNLIKELY(!item)) {
    wasm_error_misuse(L, at, function, "%s expected, got %s", type + sizeof "wasm." - 1,
                      luaL_typename(L, at));
  }
  if (UNLIKELY(item->is_closed)) luaL_error(L, "bad call to '%s' (instance is closed)", function);
  return item;
}

int wasm_item_gc(lua_State *L) {
  Item *item = wasm_test_item(L, 1);
  if (!item || !item->state) return 0;
  if (!item->is_closed) release(item);
  wasm_state_drop(item->state);
  item->state = NULL;
  return 0;
}

int wasm_push_text(lua_State *L, const rille_Extern *item) {
  char text[256];
  size_t size = rille_print_extern(item, text, sizeof text);
  if (size < sizeof text) {
    lua_pushlstring(L, text, size);
    return 1;
  }
  char *longer = lua_newuserdata(L, size + 1);
  rille_print_extern(item, longer, size + 1);
  lua_pushlstring(L, longer, size);
  lua_remove(L, -2);
  return 1;
}

int wasm_item_tostring(lua_State *L) {
  const Item *item = wasm_test_item(L, 1);
  if (!item) return wasm_error_misuse(L, 1, "tostring", "wasm object expected");
  if (item->is_closed) {
    lua_pushfstring(L, "wasm %s (closed)", rille_extern_kind_name(item->kind));
    return 1;
  }
  const rille_Extern text = wasm_item_extern(item);
  lua_pushliteral(L, "wasm ");
  wasm_push_text(L, &text);
  lua_pushfstring(L, ": %p", (const void *)item);
  lua_concat(L, 3);
  return 1;
}
