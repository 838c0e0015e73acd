/* lua_tools.c - `wasm.tools`: what the parts of the module that are written in Lua need of C.
 *
 * Option tables and error objects as the C parts make them, and the text of functions.
 */
#include "lua_wasm.h"

/* The level of the first caller from another file: of the user, where a part of the module checks
 * what it was given. */
static int level_of_user(lua_State *L) {
  lua_Debug here, frame;
  if (!lua_getstack(L, 1, &here) || !lua_getinfo(L, "S", &here)) return 1;
  int level = 2;
  while (lua_getstack(L, level, &frame) && lua_getinfo(L, "S", &frame) &&
         strcmp(frame.source, here.source) == 0) {
    level++;
  }
  return level;
}

/* check(function, options, list of names): raises for an unknown option, naming the nearest. */
static int check_options(lua_State *L) {
  enum { MOST = 63 };
  const char *names[MOST + 1];
  const char *function = luaL_checkstring(L, 1);
  luaL_checktype(L, 3, LUA_TTABLE);
  size_t n = lua_rawlen(L, 3);
  if (n > MOST) n = MOST;
  for (size_t i = 0; i < n; i++) {
    compat_rawgeti(L, 3, i + 1);
    names[i] = luaL_checkstring(L, -1);
    lua_pop(L, 1); /* the table holds it */
  }
  names[n] = NULL;
  if (!wasm_complain_of_options(L, 2, function, names)) return 0;
  luaL_where(L, level_of_user(L));
  lua_insert(L, -2);
  lua_concat(L, 2);
  return lua_error(L);
}

/* misuse(message): raises it with the place of the user's call. */
static int raise_misuse(lua_State *L) {
  luaL_where(L, level_of_user(L));
  lua_pushstring(L, luaL_checkstring(L, 1));
  lua_concat(L, 2);
  return lua_error(L);
}

/* name_file(error, path) -> the error, whose message begins with the path. */
static int name_file(lua_State *L) {
  lua_settop(L, 2);
  const char *path = luaL_checkstring(L, 2);
  lua_pushvalue(L, 1);
  wasm_set_error_file(L, path);
  return 1;
}

/* error(kind, message [, fields]) -> an error object with these fields */
static int new_error(lua_State *L) {
  const char *wanted = luaL_checkstring(L, 1);
  rille_ErrorKind kind = RILLE_ERROR_IO;
  static const rille_ErrorKind kinds[] = {
      RILLE_ERROR_IO,   RILLE_ERROR_MALFORMED, RILLE_ERROR_INVALID, RILLE_ERROR_UNSUPPORTED,
      RILLE_ERROR_LINK, RILLE_ERROR_LIMIT,     RILLE_ERROR_TRAP,    RILLE_ERROR_EXIT};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    if (strcmp(rille_error_kind_name(kinds[i]), wanted) == 0) kind = kinds[i];
  }
  lua_settop(L, 3);
  wasm_push_new_error(L, kind, NULL, luaL_checkstring(L, 2));
  if (!lua_istable(L, 3)) return 1;
  for (lua_pushnil(L); lua_next(L, 3) != 0;) {
    const char *name = luaL_checkstring(L, -2);
    lua_pushvalue(L, 4);
    lua_insert(L, -2);
    wasm_set_error_field(L, name);
    lua_pop(L, 1);
  }
  return 1;
}

/* Pushes the text of a function and returns 1, or nil and an error. */
static int push_func_text(lua_State *L, rille_Module *module, uint32_t index) {
  State *state = wasm_state(L);
  char *text;
  size_t size;
  rille_Error *error = NULL;
  if (!rille_print_func(state->engine, module, index, &text, &size, &error)) {
    wasm_push_error(L, error);
    return wasm_return_error(L);
  }
  lua_pushlstring(L, text, size);
  rille_free_bytes(state->engine, text, size);
  return 1;
}

/* Pushes what the compiler makes of a function after some passes and returns 1, or nil and an
 * error.
 */
static int push_func_dump(lua_State *L, rille_Module *module, uint32_t index, const char *what) {
  State *state = wasm_state(L);
  char *text;
  size_t size;
  rille_Error *error = NULL;
  if (!rille_dump_func(state->engine, module, index, what, &text, &size, &error)) {
    wasm_push_error(L, error);
    return wasm_return_error(L);
  }
  lua_pushlstring(L, text, size);
  rille_free_bytes(state->engine, text, size);
  return 1;
}

/* disassemble(exported function, or module and index [, passes]) -> text, or nil and an error: the
 * function as WAT, or what the compiler makes of it after the passes */
static int disassemble(lua_State *L) {
  const Entry *entry = wasm_test_entry(L, 1);
  if (entry && entry->inst && entry->inst->instance && rille_func_instance(entry->func)) {
    rille_Instance *owner = rille_func_instance(entry->func);
    rille_Module *module = rille_instance_module(owner);
    const char *passes = luaL_optstring(L, 2, NULL);
    if (passes) return push_func_dump(L, module, rille_func_index(entry->func), passes);
    return push_func_text(L, module, rille_func_index(entry->func));
  }
  const ModuleBox *box = luaL_testudata(L, 1, TYPE_MODULE);
  uint64_t index;
  if (!box || !box->module) {
    return wasm_error_misuse(L, 1, "disassemble",
                             "function of an open instance or module expected, got %s",
                             luaL_typename(L, 1));
  }
  if (!wasm_read_count(L, 2, UINT32_MAX, &index)) {
    return wasm_error_misuse(L, 2, "disassemble", "index expected, got %s", luaL_typename(L, 2));
  }
  const char *what = luaL_optstring(L, 3, NULL);
  if (what) return push_func_dump(L, box->module, (uint32_t)index, what);
  return push_func_text(L, box->module, (uint32_t)index);
}

/* export_index(module, name) -> the index of the function that it exports so, or nil */
static int export_index(lua_State *L) {
  const ModuleBox *box = luaL_testudata(L, 1, TYPE_MODULE);
  size_t size;
  if (!box || !box->module)
    return wasm_error_misuse(L, 1, "export_index", "module expected, got %s", luaL_typename(L, 1));
  const char *name = luaL_checklstring(L, 2, &size);
  for (size_t i = 0, n = rille_module_exports(box->module); i < n; i++) {
    rille_ExportInfo info;
    rille_module_export(box->module, i, &info);
    if (info.kind != RILLE_EXTERN_FUNC || info.name_size != size) continue;
    if (memcmp(info.name, name, size) != 0) continue;
    lua_pushinteger(L, (lua_Integer)info.index);
    return 1;
  }
  return 0;
}

/* bytes(module) -> its binary */
static int bytes_of(lua_State *L) {
  const ModuleBox *box = luaL_testudata(L, 1, TYPE_MODULE);
  if (!box || !box->module)
    return wasm_error_misuse(L, 1, "bytes", "module expected, got %s", luaL_typename(L, 1));
  size_t size;
  const uint8_t *bytes = rille_module_bytes(box->module, &size);
  lua_pushlstring(L, (const char *)bytes, size);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_wasm_tools(lua_State *L);

/* Needs wasm to be open in this Lua state. */
int luaopen_wasm_tools(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"check", check_options},       {"error", new_error},         {"misuse", raise_misuse},
      {"name_file", name_file},       {"disassemble", disassemble}, {"bytes", bytes_of},
      {"export_index", export_index}, {"sha256", wasm_sha256},      {NULL, NULL}};
  luaL_getmetatable(L, TYPE_MODULE);
  if (lua_isnil(L, -1)) return luaL_error(L, "require \"wasm\" comes before \"wasm.tools\"");
  lua_newtable(L);
  wasm_set_functions(L, functions);
  return 1;
}
