/* lua_error.c - error objects: what running guest code raises and what `nil, err` returns.
 *
 * An object has fields of two sources: a table attached to it (what this module or Lua code set),
 * and the engine's error, asked when a field is read. `frames` is built when it is first read.
 */
#include "lua_wasm.h"

#include <stdarg.h>
#include <stdio.h>

typedef struct ErrorBox {
  State *state;
  rille_Error *error; /* NULL: everything is in the attached table */
} ErrorBox;

static State *registered_state(lua_State *L) {
  return wasm_state(L);
}

/* Pushes an object without an error yet. */
static ErrorBox *push_box(lua_State *L, State *state) {
  ErrorBox *box = wasm_new_object(L, TYPE_ERROR, sizeof *box);
  box->state = state;
  wasm_state_hold(state);
  lua_newtable(L);
  compat_set_attached(L, -2);
  return box;
}

void wasm_push_error(lua_State *L, rille_Error *error) {
  push_box(L, registered_state(L))->error = error;
}

void wasm_set_error_field(lua_State *L, const char *name) {
  compat_get_attached(L, -2);
  lua_insert(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void wasm_push_new_error(lua_State *L, rille_ErrorKind kind, const char *code,
                         const char *message) {
  lua_pushstring(L, message); /* the caller's text may move with its stack */
  push_box(L, registered_state(L));
  lua_pushstring(L, rille_error_kind_name(kind));
  wasm_set_error_field(L, "kind");
  lua_pushvalue(L, -2);
  wasm_set_error_field(L, "message");
  lua_pushstring(L, code);
  wasm_set_error_field(L, "code");
  lua_remove(L, -2);
}

int wasm_return_error(lua_State *L) {
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

int wasm_raise(lua_State *L) {
  if (registered_state(L)->raises_strings) luaL_tolstring(L, -1, NULL);
  return lua_error(L);
}

bool wasm_push_run_error(lua_State *L, rille_Activation *activation) {
  ErrorBox *box = push_box(L, registered_state(L));
  box->error = rille_activation_error(activation);
  bool is_own =
      rille_error_kind(box->error) == RILLE_ERROR_EXCEPTION && wasm_push_thrown(L, activation);
  rille_finish(activation);
  return is_own;
}

int wasm_raise_run(lua_State *L, rille_Activation *activation) {
  return wasm_push_run_error(L, activation) ? lua_error(L) : wasm_raise(L);
}

int wasm_error_misuse(lua_State *L, int arg, const char *function, const char *format, ...) {
  va_list args;
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  return luaL_error(L, "bad argument #%d to '%s' (%s)", arg, function, lua_tostring(L, -1));
}

void wasm_set_error_file(lua_State *L, const char *path) {
  lua_pushstring(L, path);
  wasm_set_error_field(L, "file");
  lua_getfield(L, -1, "message");
  const char *message = lua_tostring(L, -1);
  if (!message || strncmp(message, path, strlen(path)) == 0) {
    lua_pop(L, 1);
    return;
  }
  lua_getfield(L, -2, "line");
  lua_pushfstring(L, "%s:%s%s", path, lua_isnil(L, -1) ? " " : "", message);
  lua_replace(L, -3);
  lua_pop(L, 1);
  wasm_set_error_field(L, "message");
}

/* Adds the guest frames that are active in this coroutine to the error on top. */
static void add_active_frames(lua_State *L, State *state) {
  rille_Stack *stack = wasm_active_stack(L, state);
  if (!stack) return;
  ErrorBox *frames = push_box(L, state);
  frames->error = rille_capture_frames(stack);
  lua_getfield(L, -1, "frames");
  lua_remove(L, -2);
  wasm_set_error_field(L, "frames");
}

int wasm_raise_trap(lua_State *L, const char *code, const char *message) {
  wasm_push_new_error(L, RILLE_ERROR_TRAP, code, message);
  add_active_frames(L, registered_state(L));
  return wasm_raise(L);
}

int wasm_raise_out_of_bounds(lua_State *L, const char *code) {
  return wasm_raise_trap(L, code, code);
}

int wasm_trap(lua_State *L) {
  if (lua_type(L, 1) != LUA_TSTRING) {
    return wasm_error_misuse(L, 1, "trap", "string expected, got %s", luaL_typename(L, 1));
  }
  return wasm_raise_out_of_bounds(L, lua_tostring(L, 1));
}

/* Replaces the text on top, when guest code is active, by itself and the guest's frames. */
static void append_active_frames(lua_State *L, State *state) {
  rille_Stack *stack = wasm_active_stack(L, state);
  if (!stack) return;
  push_box(L, state)->error = rille_capture_frames(stack);
  luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
  lua_concat(L, 2);
}

int wasm_traceback(lua_State *L) {
  lua_settop(L, 2);
  bool is_text = lua_isnil(L, 1) || lua_type(L, 1) == LUA_TSTRING || lua_type(L, 1) == LUA_TNUMBER;
  if (!is_text && !wasm_type_name(L, 1)) {
    lua_settop(L, 1);
    return 1;
  }
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  lua_getfield(L, -1, "debug");
  if (lua_istable(L, -1)) lua_getfield(L, -1, "traceback");
  lua_insert(L, 3);
  lua_settop(L, 3);
  if (lua_isnil(L, 1)) {
    lua_pushliteral(L, "");
  } else {
    luaL_tolstring(L, 1, NULL);
  }
  if (is_text) append_active_frames(L, registered_state(L));
  if (!lua_isfunction(L, 3)) return 1;
  lua_pushvalue(L, 3);
  lua_insert(L, -2);
  lua_pushinteger(L, luaL_optinteger(L, 2, 1) + 1);
  lua_call(L, 2, 1);
  return 1;
}

/* ---- Fields -----------------------------------------------------------------------------------*/

static void set_text(lua_State *L, const char *name, const char *text) {
  if (!text || !*text) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static void push_frames(lua_State *L, const rille_Error *error) {
  const rille_Frame *frames = NULL;
  size_t n = error ? rille_error_frames(error, &frames) : 0;
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_createtable(L, 0, 6);
    set_text(L, "module", frames[i].module);
    set_text(L, "func", frames[i].func);
    set_text(L, "file", frames[i].file);
    lua_pushinteger(L, (lua_Integer)frames[i].index);
    lua_setfield(L, -2, "index");
    lua_pushinteger(L, (lua_Integer)frames[i].offset);
    lua_setfield(L, -2, "offset");
    if (frames[i].line) {
      lua_pushinteger(L, (lua_Integer)frames[i].line);
      lua_setfield(L, -2, "line");
    }
    compat_rawseti(L, -2, i + 1);
  }
}

static void push_text(lua_State *L, const char *text) {
  lua_pushstring(L, text && *text ? text : NULL);
}

static void push_code(lua_State *L, const rille_Error *error) {
  if (rille_error_kind(error) == RILLE_ERROR_EXIT) {
    lua_pushinteger(L, rille_error_status(error));
  } else {
    push_text(L, rille_error_code(error));
  }
}

/* Pushes a field of the engine's error. */
static void push_field(lua_State *L, const rille_Error *error, const char *name) {
  if (strcmp(name, "kind") == 0) {
    lua_pushstring(L, rille_error_kind_name(rille_error_kind(error)));
  } else if (strcmp(name, "message") == 0) {
    lua_pushstring(L, rille_error_message(error));
  } else if (strcmp(name, "code") == 0) {
    push_code(L, error);
  } else if (strcmp(name, "func") == 0) {
    push_text(L, rille_error_func(error));
  } else if (strcmp(name, "line") == 0 && rille_error_line(error) > 0) {
    lua_pushinteger(L, (lua_Integer)rille_error_line(error));
  } else if (strcmp(name, "column") == 0 && rille_error_line(error) > 0) {
    lua_pushinteger(L, (lua_Integer)rille_error_column(error));
  } else if (strcmp(name, "offset") == 0 && rille_error_offset(error) != RILLE_NO_OFFSET) {
    lua_pushinteger(L, (lua_Integer)rille_error_offset(error));
  } else {
    lua_pushnil(L);
  }
}

static int error_index(lua_State *L) {
  const ErrorBox *box = luaL_checkudata(L, 1, TYPE_ERROR);
  compat_get_attached(L, 1);
  lua_pushvalue(L, 2);
  if (compat_rawget(L, -2) != LUA_TNIL || lua_type(L, 2) != LUA_TSTRING) return 1;
  const char *name = lua_tostring(L, 2);
  if (strcmp(name, "frames") == 0) {
    push_frames(L, box->error);
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, "frames");
  } else if (box->error) {
    push_field(L, box->error, name);
  }
  return 1;
}

/* Pushes the frame in the table on top as a line. */
static void push_frame_line(lua_State *L, int i) {
  char offset[32];
  int frame = lua_gettop(L);
  lua_getfield(L, frame, "offset");
  snprintf(offset, sizeof offset, "0x%llx", (unsigned long long)lua_tonumber(L, -1));
  lua_getfield(L, frame, "module");
  lua_getfield(L, frame, "func");
  if (lua_isnil(L, -1)) {
    lua_getfield(L, frame, "index");
    lua_pushfstring(L, "func[%d]", (int)lua_tointeger(L, -1));
  }
  const char *module = lua_tostring(L, frame + 2);
  lua_pushfstring(L, "\n  %d: %s%s%s (offset %s)", i, module ? module : "", module ? "!" : "",
                  lua_tostring(L, -1), offset);
  lua_getfield(L, frame, "file");
  lua_getfield(L, frame, "line");
  if (lua_isstring(L, -2)) {
    lua_pushfstring(L, "%s %s:%d", lua_tostring(L, -3), lua_tostring(L, -2),
                    (int)lua_tointeger(L, -1));
    lua_replace(L, -4);
  }
  lua_pop(L, 2);
  lua_replace(L, frame + 1);
  lua_settop(L, frame + 1);
}

/* Recursion: n frames more of the same place. */
static void add_repeats(lua_State *L, int n) {
  if (n == 0) return;
  lua_pushfstring(L, "\n     (%d more of this)", n);
  lua_concat(L, 2);
}

static bool is_same_place(lua_State *L, int frames, int i) {
  static const char *const fields[] = {"module", "index", "offset", "func", "line"};
  bool is_same = i > 1;
  for (int k = 0; is_same && k < 5; k++) {
    compat_rawgeti(L, frames, i - 1);
    compat_rawgeti(L, frames, i);
    lua_getfield(L, -2, fields[k]);
    lua_getfield(L, -2, fields[k]);
    is_same = lua_rawequal(L, -1, -2);
    lua_pop(L, 4);
  }
  return is_same;
}

static int error_tostring(lua_State *L) {
  luaL_checkudata(L, 1, TYPE_ERROR);
  lua_settop(L, 1);
  lua_getfield(L, 1, "message");
  lua_getfield(L, 1, "frames");
  if (!lua_istable(L, 3) || lua_rawlen(L, 3) == 0) {
    lua_settop(L, 2);
    return 1;
  }
  lua_pushvalue(L, 2);
  lua_pushliteral(L, "\nwasm backtrace:");
  lua_concat(L, 2);
  int n = (int)lua_rawlen(L, 3), n_repeats = 0;
  for (int i = 1; i <= n; i++) {
    if (is_same_place(L, 3, i)) {
      n_repeats++;
      continue;
    }
    add_repeats(L, n_repeats);
    n_repeats = 0;
    compat_rawgeti(L, 3, i);
    push_frame_line(L, i - 1);
    lua_remove(L, -2);
    lua_concat(L, 2);
  }
  add_repeats(L, n_repeats);
  return 1;
}

static int error_gc(lua_State *L) {
  ErrorBox *box = luaL_checkudata(L, 1, TYPE_ERROR);
  if (box->error) rille_free_error(box->error);
  if (box->state) wasm_state_drop(box->state);
  box->error = NULL;
  box->state = NULL;
  return 0;
}

void wasm_open_error(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__index", error_index}, {"__tostring", error_tostring}, {"__gc", error_gc}, {NULL, NULL}};
  wasm_define_type(L, TYPE_ERROR, NULL, metamethods);
}
