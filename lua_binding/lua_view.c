/* lua_view.c - views: arrays of numbers that live in a memory, counted from 1.
 *
 * A view keeps its memory alive, not its place: every access asks where the memory is and how
 * large.
 */
#include "lua_wasm.h"

typedef struct View {
  Item *memory; /* attached */
  uint64_t at, n;
  Access access;
} View;

int wasm_memory_view(lua_State *L) {
  Item *memory = wasm_check_item(L, 1, TYPE_MEMORY, "view");
  Access access = wasm_check_access(L, 2, "view");
  uint64_t at = wasm_check_address(L, 3, memory, "view");
  uint64_t n = wasm_check_count(L, 4, "view");
  if (n > UINT64_MAX / 16) n = UINT64_MAX / 16; /* out of bounds as it is */
  wasm_memory_range(L, memory, at, n * wasm_access_size(access));
  View *view = wasm_new_object(L, TYPE_VIEW, sizeof *view);
  *view = (View){memory, at, n, access};
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 1);
  compat_rawseti(L, -2, 1);
  compat_set_attached(L, -2);
  return 1;
}

static View *check(lua_State *L) {
  View *view = luaL_checkudata(L, 1, TYPE_VIEW);
  if (UNLIKELY(view->memory->is_closed)) luaL_error(L, "the memory of the view is closed");
  return view;
}

/* The element that the key at 2 means, or NULL. */
static uint8_t *element(lua_State *L, const View *view) {
  uint64_t i;
  if (!wasm_read_count(L, 2, INT64_MAX, &i) || i < 1 || i > view->n) return NULL;
  size_t size = wasm_access_size(view->access);
  return wasm_memory_range(L, view->memory, view->at + (i - 1) * size, size);
}

static int view_index(lua_State *L) {
  const View *view = check(L);
  const uint8_t *from = element(L, view);
  if (from) {
    wasm_push_access(L, view->access, from);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static int view_newindex(lua_State *L) {
  const View *view = check(L);
  uint8_t *to = element(L, view);
  if (!to) {
    luaL_tolstring(L, 2, NULL);
    return luaL_error(L, "bad index to a view of %d elements (%s)", (int)view->n,
                      lua_tostring(L, -1));
  }
  wasm_store_access(L, view->access, 3, to, "view");
  return 0;
}

static int view_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L)->n);
  return 1;
}

void wasm_open_view(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__index", view_index}, {"__newindex", view_newindex}, {"__len", view_len}, {NULL, NULL}};
  wasm_define_type(L, TYPE_VIEW, NULL, metamethods);
}
