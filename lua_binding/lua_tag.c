/* lua_tag.c - tags, and exceptions that Lua makes.
 */
#include "lua_wasm.h"

static TagBox *check_tag(lua_State *L, int at, const char *function) {
  TagBox *box = luaL_testudata(L, at, TYPE_TAG);
  if (!box || !box->tag) {
    wasm_error_misuse(L, at, function, "tag expected, got %s", luaL_typename(L, at));
  }
  return box;
}

void wasm_push_tag(lua_State *L, State *state, rille_Tag *tag) {
  if (wasm_find_object(L, tag)) {
    rille_free_tag(tag);
    return;
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
  const rille_Extern item = {RILLE_EXTERN_TAG, {.tag = check_tag(L, 1, "tostring")->tag}};
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

/* ---- Exceptions: a userdata with a table of fields --------------------------------------------*/

static int exception_index(lua_State *L) {
  luaL_checkudata(L, 1, TYPE_EXCEPTION);
  compat_get_attached(L, 1);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  return 1;
}

static int exception_tostring(lua_State *L) {
  luaL_checkudata(L, 1, TYPE_EXCEPTION);
  compat_get_attached(L, 1);
  lua_getfield(L, -1, "message");
  return 1;
}

/* A value of the type, checked and pushed as it would come back. */
static void push_checked(lua_State *L, int at, rille_ValueType type) {
  rille_Slot slot[2];
  if (wasm_is_reference(type)) {
    lua_pushvalue(L, at);
    return;
  }
  if (!wasm_read_value(L, at, NULL, type, slot)) {
    wasm_error_misuse(L, at, "exception", "%s", wasm_expected(L, at, type));
  }
  wasm_push_value(L, NULL, type, slot);
}

int wasm_exception(lua_State *L) {
  const TagBox *box = check_tag(L, 1, "exception");
  const rille_ValueType *params;
  size_t n = rille_func_params(rille_tag_type(box->tag), &params);
  if (lua_gettop(L) < (int)n + 1) {
    return wasm_error_misuse(L, lua_gettop(L) + 1, "exception", "value expected");
  }
  compat_new_userdata(L, 1);
  luaL_setmetatable(L, TYPE_EXCEPTION);
  lua_createtable(L, (int)n, 4);
  int fields = lua_gettop(L);
  for (size_t i = 0; i < n; i++) {
    push_checked(L, (int)i + 2, params[i]);
    compat_rawseti(L, fields, i + 1);
  }
  lua_pushvalue(L, 1);
  lua_setfield(L, fields, "tag");
  lua_pushliteral(L, "exception");
  lua_setfield(L, fields, "kind");
  lua_pushliteral(L, "uncaught exception");
  lua_setfield(L, fields, "message");
  lua_newtable(L);
  lua_setfield(L, fields, "frames");
  compat_set_attached(L, -2);
  return 1;
}

void wasm_open_tag(lua_State *L) {
  static const luaL_Reg tag[] = {{"__gc", tag_gc}, {"__tostring", tag_tostring}, {NULL, NULL}};
  static const luaL_Reg exception[] = {
      {"__index", exception_index}, {"__tostring", exception_tostring}, {NULL, NULL}};
  wasm_define_type(L, TYPE_TAG, NULL, tag);
  wasm_define_type(L, TYPE_EXCEPTION, NULL, exception);
}
