/* lua_func.c - functions as Lua values: exported functions, and typed ones made by wasm.func.
 *
 * The same Wasm function is the same Lua function as long as Lua holds it: `objects` remembers it.
 * A typed function that Lua calls itself needs no guest: values are converted as if they crossed.
 */
#include "lua_wasm.h"

#if HAS_CALLK
Entry *wasm_test_entry(lua_State *L, int at) {
  lua_CFunction function = lua_tocfunction(L, at);
  if (!function || (!wasm_is_entry(function) && function != wasm_typed_entry) ||
      !lua_getupvalue(L, at, UP_SELF)) {
    return NULL;
  }
  Entry *entry = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return entry;
}
#else
/* Functions that may call Lua are Lua closures with two upvalues: `check`, and the C step. */
Entry *wasm_test_entry(lua_State *L, int at) {
  if (lua_type(L, at) != LUA_TFUNCTION || lua_iscfunction(L, at)) return NULL;
  if (!lua_getupvalue(L, at, 1)) return NULL;
  wasm_push_check(L);
  bool is_ours = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  if (!is_ours || !lua_getupvalue(L, at, 2)) return NULL;
  lua_CFunction function = lua_tocfunction(L, -1);
  if ((function != wasm_entry && function != wasm_typed_entry && function != wasm_ffi_call) ||
      !lua_getupvalue(L, -1, UP_SELF)) {
    lua_pop(L, 1);
    return NULL;
  }
  Entry *entry = lua_touserdata(L, -1);
  if (function == wasm_ffi_call) entry = wasm_ffi_entry(entry);
  lua_pop(L, 2);
  return entry;
}
#endif

void wasm_push_entry_group(lua_State *L, int at) {
  const Entry *entry = wasm_test_entry(L, at);
  if (entry && entry->inst) {
    wasm_push_inst_group(L, entry->inst);
  } else {
    lua_pushnil(L);
  }
}

/* Pushes an Entry for the function. */
static Entry *push_entry(lua_State *L, State *state, rille_Func *func, const char *name,
                         size_t size, const char *type) {
  char printed[256];
  if (!name) {
    size = rille_print_func_name(func, printed, sizeof printed);
    if (size >= sizeof printed) size = sizeof printed - 1;
    name = printed;
  }
  Entry *entry = wasm_new_object(L, type, sizeof *entry + size + 1);
  memcpy(entry->name, name, size);
  wasm_init_entry(entry);
  entry->runner.state = state;
  entry->func = func;
  entry->is_host = rille_func_instance(func) == NULL;
  const rille_FuncType *signature = rille_func_type(func);
  entry->n_params = (uint32_t)rille_func_params(signature, &entry->params);
  entry->n_results = (uint32_t)rille_func_results(signature, &entry->results);
  entry->needs_room = entry->n_results > 8;
  for (uint32_t i = 0; i < entry->n_params; i++) {
    entry->has_refs |= wasm_is_reference(entry->params[i]);
  }
  return entry;
}

/* The function on top was found by address. That of a closed instance may have come again. */
static bool is_current(lua_State *L, const rille_Func *func) {
  const Entry *entry = wasm_test_entry(L, -1);
  return entry && entry->func == func &&
         (!entry->inst || (entry->inst->instance &&
                           (entry->is_host || rille_func_instance(func) == entry->inst->instance)));
}

void wasm_push_func(lua_State *L, State *state, rille_Func *func, const char *name, size_t size,
                    const Inst *owner) {
  luaL_checkstack(L, 8, "too many values");
  if (wasm_find_object(L, func)) {
    if (is_current(L, func)) return;
    lua_pop(L, 1);
  }
  rille_Instance *instance = rille_func_instance(func);
  Inst *inst = instance ? rille_instance_user(instance) : wasm_closure_inst(func);
  if (!inst) inst = (Inst *)(uintptr_t)owner;
  Entry *entry = push_entry(L, state, func, name, size, TYPE_ENTRY);
  entry->inst = inst;
  entry->boxes_i64 = inst && inst->boxes_i64;
  lua_pushvalue(L, lua_upvalueindex(UP_REFS));
  lua_pushvalue(L, lua_upvalueindex(UP_THREADS));
  if (!inst || !wasm_push_inst(L, inst)) luaL_error(L, "instance is closed");
  compat_get_attached(L, -1);
  compat_set_attached(L, -5);
  bool is_closure = !instance && wasm_closure_id(func) != 0;
  lua_pushcclosure(L, is_closure ? wasm_typed_entry : wasm_entry_for(entry), UP_OWNER);
  wasm_wrap(L);
  wasm_set_object(L, func);
}

/* ---- Typed functions --------------------------------------------------------------------------*/

/* A value of that type, pushed, as it would come out of guest code. */
static bool push_passed(lua_State *L, int at, rille_ValueType type) {
  rille_Slot slot[2];
  if (!wasm_is_reference(type)) {
    if (!wasm_read_value(L, at, NULL, type, slot)) return false;
    wasm_push_value(L, NULL, type, slot);
    return true;
  }
  if (lua_isnone(L, at) || (lua_isnil(L, at) && !rille_type_is_nullable(type))) return false;
  if (rille_type_family(type) == RILLE_FUNC_FAMILY && !lua_isnil(L, at)) {
    const Entry *entry = wasm_test_entry(L, at);
    if (!entry || !rille_check_ref(type, rille_ref_of_func(entry->func))) return false;
  }
  lua_pushvalue(L, at);
  return true;
}

int wasm_typed_results(lua_State *L, const Entry *entry) {
  int n = (int)entry->n_results;
#if !HAS_CALLK
  lua_settop(L, 2 + n); /* self, call, results */
  lua_pushboolean(L, false);
  lua_pushboolean(L, false);
  int first = 3;
#else
  int first = lua_gettop(L) - n + 1;
#endif
  luaL_checkstack(L, n + 4, "too many results");
  for (int i = 0; i < n; i++) {
    rille_ValueType type = entry->results[i];
    if (push_passed(L, first + i, type)) continue;
    luaL_error(L, "bad result #%d of '%s' (%s)", i + 1, entry->name,
               wasm_expected(L, first + i, type));
  }
  return HAS_CALLK ? n : n + 2;
}

#if HAS_CALLK
static int typed_returned_go_on(lua_State *L, intptr_t unused) {
  (void)unused;
  return wasm_typed_results(L, lua_touserdata(L, lua_upvalueindex(UP_SELF)));
}
DEFINE_CONTINUATION(typed_returned)
#endif

int wasm_typed_entry(lua_State *L) {
  const Entry *entry = lua_touserdata(L, lua_upvalueindex(UP_SELF));
  if (entry->inst && !entry->inst->instance) {
    return luaL_error(L, "bad call to '%s' (instance is closed)", entry->name);
  }
  if (wasm_closure_id(entry->func) == 0) {
    return luaL_error(L, "bad call to '%s' (it works on the memory of guest code that calls it)",
                      entry->name);
  }
  int n = (int)entry->n_params;
  int n_given = lua_gettop(L);
  luaL_checkstack(L, n + (int)entry->n_results + 8, "too many arguments");
#if !HAS_CALLK
  lua_pushvalue(L, lua_upvalueindex(UP_SELF));
  lua_pushlightuserdata(L, NULL);
#endif
  compat_rawgeti(L, lua_upvalueindex(UP_REFS), wasm_closure_id(entry->func));
  for (int i = 0; i < n; i++) {
    /* What was pushed above must not pass for an argument. */
    int at = i < n_given ? i + 1 : lua_gettop(L) + 1;
    if (push_passed(L, at, entry->params[i])) continue;
    wasm_error_misuse(L, i + 1, entry->name, "%s", wasm_expected(L, at, entry->params[i]));
  }
#if HAS_CALLK
  compat_callk(L, n, (int)entry->n_results, 0, typed_returned);
  return wasm_typed_results(L, entry);
#else
  return n + 3;
#endif
}

/* A parsed type until it is in use. */
static int func_type_gc(lua_State *L) {
  rille_FuncType **box = luaL_checkudata(L, 1, TYPE_FUNC_TYPE);
  if (*box) rille_free_func_type(*box);
  *box = NULL;
  return 0;
}

static rille_FuncType *check_func_type(lua_State *L, int at) {
  if (lua_type(L, at) != LUA_TSTRING) {
    wasm_error_misuse(L, at, "func", "function type as a string expected, got %s",
                      luaL_typename(L, at));
  }
  rille_FuncType **box = wasm_new_object(L, TYPE_FUNC_TYPE, sizeof(rille_FuncType *));
  rille_Error *error = NULL;
  *box = rille_parse_func_type(lua_tostring(L, at), &error);
  if (!*box) {
    lua_pushstring(L, error ? rille_error_message(error) : "not a function type");
    if (error) rille_free_error(error);
    wasm_error_misuse(L, at, "func", "%s", lua_tostring(L, -1));
  }
  return *box;
}

int wasm_func(lua_State *L) {
  State *state = wasm_state(L);
  lua_settop(L, 2);
  rille_FuncType *type = check_func_type(L, 1);
  if (lua_type(L, 2) != LUA_TFUNCTION) {
    return wasm_error_misuse(L, 2, "func", "function expected, got %s", luaL_typename(L, 2));
  }
  uint32_t id;
  rille_Func *func = wasm_new_closure(L, state, NULL, 2, type, "func", 4, &id);
  Entry *entry = push_entry(L, state, func, "func", 4, TYPE_OWN_ENTRY);
  wasm_state_hold(state);
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 2);
  compat_rawseti(L, -2, 1);
  compat_set_attached(L, -2);
  lua_pushvalue(L, lua_upvalueindex(UP_REFS));
  lua_pushvalue(L, lua_upvalueindex(UP_THREADS));
  lua_pushcclosure(L, wasm_typed_entry, N_SHARED_UPVALUES);
  wasm_wrap(L);
  wasm_set_object(L, entry->func);
  return 1;
}

void wasm_push_host_func(lua_State *L, State *state, rille_Func *func, const char *name, int keep) {
  keep = lua_absindex(L, keep);
  Entry *entry = push_entry(L, state, func, name, strlen(name), TYPE_OWN_ENTRY);
  wasm_state_hold(state);
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, keep);
  compat_rawseti(L, -2, 1);
  compat_set_attached(L, -2);
  lua_pushvalue(L, lua_upvalueindex(UP_REFS));
  lua_pushvalue(L, lua_upvalueindex(UP_THREADS));
  lua_pushcclosure(L, wasm_typed_entry, N_SHARED_UPVALUES);
  wasm_wrap(L);
  wasm_set_object(L, entry->func);
}

static int own_entry_gc(lua_State *L) {
  Entry *entry = luaL_checkudata(L, 1, TYPE_OWN_ENTRY);
  if (!entry->func) return 0;
  rille_free_func(entry->func);
  entry->func = NULL;
  wasm_state_drop(entry->runner.state);
  return 0;
}

void wasm_open_func(lua_State *L) {
  static const luaL_Reg own[] = {{"__gc", own_entry_gc}, {NULL, NULL}};
  static const luaL_Reg type[] = {{"__gc", func_type_gc}, {NULL, NULL}};
  wasm_define_type(L, TYPE_ENTRY, NULL, NULL);
  wasm_define_type(L, TYPE_OWN_ENTRY, NULL, own);
  wasm_define_type(L, TYPE_FUNC_TYPE, NULL, type);
}
