/* lua_exception.c - exceptions between guests and Lua.
 *
 * A guest's exception that reaches Lua becomes a userdata that holds it; `objects` finds it again
 * when it comes back. One that Lua makes has no guest side until it is thrown into a guest. Any
 * other error of Lua travels through guests as an exception of the tag wasm.luaerror, and leaves
 * them as what it was. Attached to the userdata is a table of its fields.
 */
#include "lua_wasm.h"

typedef struct ExceptionBox {
  State *state;     /* held while `held` is set */
  rille_Held *held; /* NULL: not thrown into any guest yet */
} ExceptionBox;

static int exception_index(lua_State *L) {
  luaL_checkudata(L, 1, TYPE_EXCEPTION);
  compat_get_attached(L, 1);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  if (!lua_isnil(L, -1)) return 1;
  lua_getfield(L, -2, "error");
  if (lua_isnil(L, -1)) return 1;
  lua_pushvalue(L, 2);
  lua_gettable(L, -2);
  return 1;
}

static int exception_tostring(lua_State *L) {
  luaL_checkudata(L, 1, TYPE_EXCEPTION);
  compat_get_attached(L, 1);
  lua_getfield(L, -1, "error");
  if (lua_isnil(L, -1)) {
    lua_getfield(L, -2, "message");
  } else {
    luaL_tolstring(L, -1, NULL);
  }
  return 1;
}

static int exception_gc(lua_State *L) {
  ExceptionBox *box = lua_touserdata(L, 1);
  if (!box->held) return 0;
  rille_drop_ref(box->held);
  box->held = NULL;
  wasm_state_drop(box->state);
  return 0;
}

/* Pushes an exception with an empty table attached, which is pushed too. */
static ExceptionBox *push_box(lua_State *L, size_t n_values) {
  ExceptionBox *box = wasm_new_object(L, TYPE_EXCEPTION, sizeof *box);
  lua_createtable(L, (int)n_values, 4);
  lua_pushvalue(L, -1);
  compat_set_attached(L, -3);
  lua_pushliteral(L, "exception");
  lua_setfield(L, -2, "kind");
  return box;
}

/* Lets the exception on top be the object. */
static void hold(lua_State *L, ExceptionBox *box, State *state, rille_Slot ref) {
  box->held = rille_hold_ref(rille_ref_store(ref), ref);
  if (!box->held) luaL_error(L, "not enough memory");
  box->state = state;
  wasm_state_hold(state);
  wasm_set_object(L, (const void *)(uintptr_t)ref);
}

/* ---- Out of guests ----------------------------------------------------------------------------*/

static bool find_exception(lua_State *L, rille_Slot ref) {
  if (!wasm_find_object(L, (const void *)(uintptr_t)ref)) return false;
  const ExceptionBox *box = luaL_testudata(L, -1, TYPE_EXCEPTION);
  if (box && box->held && rille_held_ref(box->held) == ref) return true;
  lua_pop(L, 1);
  return false;
}

/* Sets the fields 1, 2, ... and `tag` of the table on top. The exception is held. */
static void set_fields(lua_State *L, const Home *home, rille_Slot ref) {
  int fields = lua_gettop(L);
  rille_Tag *tag = rille_exception_tag(ref);
  const rille_ValueType *params;
  size_t n = rille_func_params(rille_tag_type(tag), &params);
  const rille_Slot *slot = rille_exception_values(ref);
  for (size_t i = 0; i < n; i++) {
    wasm_push_value(L, home, params[i], slot);
    compat_rawseti(L, fields, i + 1);
    slot += wasm_slots_of(params[i]);
  }
  rille_retain_tag(tag);
  wasm_push_tag(L, home->state, tag);
  lua_setfield(L, fields, "tag");
}

void wasm_push_exception(lua_State *L, const Home *home, rille_Slot ref) {
  luaL_checkstack(L, 12, "too many values");
  if (find_exception(L, ref)) return;
  wasm_push_ref_group(L, home, ref);
  Home inner = *home;
  inner.group = lua_gettop(L);
  ExceptionBox *box = push_box(L, 0);
  lua_pushvalue(L, inner.group);
  lua_setfield(L, -2, "group");
  lua_pushvalue(L, -2);
  hold(L, box, home->state, ref);
  lua_pop(L, 1);
  set_fields(L, &inner, ref);
  lua_pushliteral(L, "uncaught exception");
  lua_setfield(L, -2, "message");
  lua_pop(L, 1);
  lua_remove(L, -2);
}

/* Gives the exception on top the error below it, with which it left the guest: its first one. */
static void set_error(lua_State *L) {
  compat_get_attached(L, -1);
  lua_getfield(L, -1, "error");
  if (lua_isnil(L, -1)) {
    lua_pushvalue(L, -4);
    lua_setfield(L, -3, "error");
    lua_pushnil(L);
    lua_setfield(L, -3, "message");
    lua_pushnil(L);
    lua_setfield(L, -3, "frames");
  }
  lua_pop(L, 2);
}

bool wasm_push_thrown(lua_State *L, rille_Activation *a) {
  State *state = wasm_state(L);
  rille_Slot ref = rille_activation_exception(a);
  rille_Instance *instance = rille_func_instance(a->func);
  const Home home = {state, NULL, instance ? rille_instance_user(instance) : NULL, 0};
  bool is_own = rille_exception_tag(ref) == state->lua_error;
  if (is_own) {
    wasm_push_value(L, &home, RILLE_EXTERNREF, rille_exception_values(ref));
  } else {
    wasm_push_exception(L, &home, ref);
    set_error(L);
  }
  lua_remove(L, -2);
  return is_own;
}

/* ---- Into guests ------------------------------------------------------------------------------*/

static rille_Slot finish(lua_State *L, rille_Slot ref, rille_Error *error) {
  if (ref != 0) return ref;
  wasm_push_error(L, error);
  wasm_raise(L);
  return 0;
}

/* The guest side of the exception at `at`, which Lua made. */
static rille_Slot materialize(lua_State *L, int at, ExceptionBox *box, const Home *home) {
  int top = lua_gettop(L);
  rille_Error *error = NULL;
  uint32_t bad = 0;
  compat_get_attached(L, at);
  int fields = top + 1;
  lua_getfield(L, fields, "tag");
  rille_Tag *tag = ((const TagBox *)lua_touserdata(L, -1))->tag;
  const rille_ValueType *params;
  uint32_t n = (uint32_t)rille_func_params(rille_tag_type(tag), &params);
  luaL_checkstack(L, (int)n + 12, "too many values");
  for (uint32_t i = 0; i < n; i++) compat_rawgeti(L, fields, i + 1);
  const rille_Slot *values = wasm_read_row(L, fields + 2, home, params, n, &bad);
  if (!values) {
    luaL_error(L, "bad value #%d of an exception (%s)", (int)bad + 1,
               wasm_expected(L, fields + 2 + (int)bad, params[bad]));
  }
  rille_Slot ref = finish(L, rille_new_exception(home->store, tag, values, &error), error);
  lua_pushvalue(L, at);
  hold(L, box, home->state, ref);
  lua_pushvalue(L, home->group);
  lua_setfield(L, fields, "group");
  lua_settop(L, top);
  return ref;
}

bool wasm_read_exception(lua_State *L, int at, const Home *home, rille_Slot *out) {
  at = lua_absindex(L, at);
  ExceptionBox *box = luaL_testudata(L, at, TYPE_EXCEPTION);
  if (!box) return false;
  if (!box->held) {
    *out = materialize(L, at, box, home);
    return true;
  }
  *out = rille_held_ref(box->held);
  if (!rille_join_stores(home->store, rille_ref_store(*out))) luaL_error(L, "not enough memory");
  compat_get_attached(L, at);
  lua_getfield(L, -1, "group");
  wasm_join_groups(L, home->group, -1);
  lua_pop(L, 2);
  return true;
}

/* No guest sees the end of a call that a trap, an exit or a limit ended. */
static bool passes_guests(lua_State *L, int at) {
  if (!luaL_testudata(L, at, TYPE_ERROR)) return false;
  lua_getfield(L, at, "kind");
  const char *kind = lua_tostring(L, -1);
  bool passes = kind && (strcmp(kind, "trap") == 0 || strcmp(kind, "exit") == 0 ||
                         strcmp(kind, "limit") == 0);
  lua_pop(L, 1);
  return passes;
}

/* The error at `at` as an exception of wasm.luaerror. */
static rille_Slot wrap_error(lua_State *L, int at, const Home *home) {
  rille_Slot value = lua_isnil(L, at) ? 0 : wasm_read_extern(L, at, home);
  rille_Error *error = NULL;
  return finish(L, rille_new_exception(home->store, home->state->lua_error, &value, &error), error);
}

rille_Status wasm_offer_error(lua_State *L, rille_Activation *a) {
  int at = lua_gettop(L);
  if (passes_guests(L, at)) return (rille_Status)lua_error(L);
  luaL_checkstack(L, 12, "too many values");
  const Inst *inst = rille_instance_user(rille_func_instance(a->func));
  wasm_push_inst_group(L, inst);
  const Home home = {inst->runner.state, inst->store, inst, at + 1};
  rille_Slot ref;
  if (!wasm_read_exception(L, at, &home, &ref)) ref = wrap_error(L, at, &home);
  rille_Status status = rille_throw(a, ref);
  lua_settop(L, at - 1);
  return status;
}

/* ---- Made by Lua ------------------------------------------------------------------------------*/

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
  const TagBox *box = wasm_check_tag(L, 1, "exception");
  const rille_ValueType *params;
  size_t n = rille_func_params(rille_tag_type(box->tag), &params);
  if (lua_gettop(L) < (int)n + 1) {
    return wasm_error_misuse(L, lua_gettop(L) + 1, "exception", "value expected");
  }
  luaL_checkstack(L, 8, "too many values");
  (void)push_box(L, n);
  int fields = lua_gettop(L);
  for (size_t i = 0; i < n; i++) {
    push_checked(L, (int)i + 2, params[i]);
    compat_rawseti(L, fields, i + 1);
  }
  lua_pushvalue(L, 1);
  lua_setfield(L, fields, "tag");
  lua_pushliteral(L, "uncaught exception");
  lua_setfield(L, fields, "message");
  lua_newtable(L);
  lua_setfield(L, fields, "frames");
  lua_pop(L, 1);
  return 1;
}

void wasm_open_exception(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__index", exception_index},
                                         {"__tostring", exception_tostring},
                                         {"__gc", exception_gc},
                                         {NULL, NULL}};
  wasm_define_type(L, TYPE_EXCEPTION, NULL, metamethods);
}
