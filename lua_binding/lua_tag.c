/* lua_tag.c - tags.
 */
#include "lua_wasm.h"

TagBox *wasm_check_tag(lua_State *L, int at, const char *function) {
  TagBox *box = luaL_testudata(L, at, TYPE_TAG);
  if (!box || !box->tag) {
    wasm_error_misuse(L, at, function, "tag expected, got %s", luaL_typename(L, at));
  }
  return box;
}

void wasm_push_tag(lua_State *L, State *state, rille_Tag *tag) {
  if (wasm_find_object(L, tag)) {
    const TagBox *known = luaL_testudata(L, -1, TYPE_TAG);
    if (known && known->tag == tag) {
      rille_free_tag(tag);
      return;
    }
    lua_pop(L, 1); /* what was at the address before: of a closed instance, or a finalised tag */
  }
  TagBox *box = wasm_new_object(L, TYPE_TAG, sizeof *box);
  box->state = state;
  wasm_state_hold(state);
  box->tag = tag;
  wasm_set_object(L, tag);
}

static int tag_gc(lua_State *L) {
  TagBox *box = luaL_checkudata(L, 1, TYPE_TAG);
  if (!box->tag) return 0;
  rille_free_tag(box->tag);
  box->tag = NULL;
  wasm_state_drop(box->state);
  return 0;
}

static int tag_tostring(lua_State *L) {
  const rille_Extern item = {RILLE_EXTERN_TAG, {.tag = wasm_check_tag(L, 1, "tostring")->tag}};
  lua_pushliteral(L, "wasm ");
  wasm_push_text(L, &item);
  lua_concat(L, 2);
  return 1;
}

int wasm_tag(lua_State *L) {
  enum { MOST = 64 };
  State *state = wasm_state(L);
  rille_ValueType params[MOST];
  int n = lua_gettop(L);
  if (n > MOST) return luaL_error(L, "too many types to 'tag'");
  for (int i = 0; i < n; i++) params[i] = wasm_check_type(L, i + 1, "tag");
  rille_FuncType *type = rille_new_func_type((size_t)n, params, 0, NULL);
  rille_Tag *tag = type ? rille_new_tag(state->engine, type) : NULL;
  if (type) rille_free_func_type(type);
  if (!tag) return luaL_error(L, "not enough memory");
  wasm_push_tag(L, state, tag);
  return 1;
}

void wasm_open_tag(lua_State *L) {
  static const luaL_Reg tag[] = {{"__gc", tag_gc}, {"__tostring", tag_tostring}, {NULL, NULL}};
  wasm_define_type(L, TYPE_TAG, NULL, tag);
}
