/* lua_wasm.c - luaopen_wasm, the state behind it, and the functions that belong to no object.
 *
 * One engine serves the process, so that modules and memories can pass between Lua states; a State
 * exists once in each Lua state. The library is pinned in memory by the first luaopen_wasm:
 * lua_close unloads C modules, but signal handlers and helper threads stay.
 */
#define _GNU_SOURCE
#include "lua_wasm.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

/* Their addresses are keys in the registry. */
static const char key_state, key_refs, key_threads, key_objects, key_config, key_limit,
    key_lua_error;

/* ---- The engine of the process --------------------------------------------------------------- */

static pthread_mutex_t engine_lock = PTHREAD_MUTEX_INITIALIZER;
static rille_Engine *engine;
static unsigned n_engine_users;

/* The child of a fork finds the locks of this file and of lua_share.c free. They are registered
 * after those of the engine, and so are taken before: a thread that holds one may want the other.
 */
static void lock_for_fork(void) {
  pthread_mutex_lock(&engine_lock);
  wasm_lock_shared();
}

static void unlock_after_fork(void) {
  wasm_unlock_shared();
  pthread_mutex_unlock(&engine_lock);
}

static void prepare_forks(void) {
  (void)pthread_atfork(lock_for_fork, unlock_after_fork, unlock_after_fork);
}

static rille_Engine *acquire_engine(void) {
  pthread_mutex_lock(&engine_lock);
  if (!engine) {
    engine = rille_new_engine(NULL, NULL);
    const rille_Hooks hooks = {wasm_poll, wasm_on_limit, wasm_release_extern, NULL};
    if (engine) rille_set_hooks(engine, &hooks);
  }
  if (engine) n_engine_users++;
  rille_Engine *result = engine;
  pthread_mutex_unlock(&engine_lock);
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, prepare_forks);
  return result;
}

static void release_engine(void) {
  pthread_mutex_lock(&engine_lock);
  if (--n_engine_users == 0) {
    rille_free_engine(engine);
    engine = NULL;
  }
  pthread_mutex_unlock(&engine_lock);
}

static void pin_library(void) {
  Dl_info info;
  if (dladdr(&key_state, &info) && info.dli_fname) {
    (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  }
}

/* ---- The state --------------------------------------------------------------------------------*/

void wasm_state_hold(State *state) {
  state->n_holders++;
}

void wasm_state_drop(State *state) {
  if (--state->n_holders > 0) return;
  wasm_free_main_stack(state);
  release_engine();
  free(state->free_ids);
  free(state);
}

/* A finaliser that lua_close runs may call guest code, and that a closure which collects garbage:
 * then what runs is kept, as long as anything holds the State. */
static int state_gc(lua_State *L) {
  Runner *self = lua_touserdata(L, 1);
  State *state = self->state;
  if (!state) return 0;
  self->state = NULL;
  state->is_closing = true;
  if (!wasm_main_is_running(L, state)) {
    state->main = state->idle = NULL;
    wasm_free_main_stack(state);
    wasm_free_released(state);
  }
  wasm_state_drop(state);
  return 0;
}

void wasm_push_objects(lua_State *L) {
  (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_objects);
}

void wasm_push_refs(lua_State *L) {
  (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_refs);
}

void wasm_push_config(lua_State *L) {
  (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_config);
}

void wasm_push_limit(lua_State *L) {
  (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_limit);
}

uint32_t wasm_new_id(lua_State *L, State *state) {
  if (state->n_free_ids > 0) return state->free_ids[--state->n_free_ids];
  if (state->next_id == state->free_ids_room) {
    /* Room for every id that is out: freeing one can then not fail. */
    uint32_t room = state->free_ids_room ? state->free_ids_room * 2 : 64;
    uint32_t *ids = realloc(state->free_ids, room * sizeof *ids);
    if (!ids) luaL_error(L, "not enough memory");
    state->free_ids = ids;
    state->free_ids_room = room;
  }
  return ++state->next_id;
}

void wasm_free_id(State *state, uint32_t id) {
  state->free_ids[state->n_free_ids++] = id;
}

bool wasm_find_object(lua_State *L, const void *address) {
  wasm_push_objects(L);
  if (compat_rawgetp(L, -1, address) == LUA_TNIL) {
    lua_pop(L, 2);
    return false;
  }
  lua_remove(L, -2);
  return true;
}

void wasm_set_object(lua_State *L, const void *address) {
  wasm_push_objects(L);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, address);
  lua_pop(L, 1);
}

void wasm_count_external(lua_State *L, State *state, uint64_t bytes) {
  enum { MOST_KIB = 1 << 18 };
  state->external += bytes < SIZE_MAX / 2 ? (size_t)bytes : SIZE_MAX / 2;
  size_t kib = state->external >> 10;
  if (kib < 16) return;
  state->external = 0;
#ifdef LUA_GCISRUNNING
  if (!lua_gc(L, LUA_GCISRUNNING, 0)) return;
#endif
#if LUA_VERSION_NUM >= 505
  lua_gc(L, LUA_GCSTEP, (size_t)(kib < MOST_KIB ? kib : MOST_KIB) << 10); /* bytes there */
#else
  lua_gc(L, LUA_GCSTEP, (int)(kib < MOST_KIB ? kib : MOST_KIB));
#endif
}

/* ---- Types ------------------------------------------------------------------------------------*/

void wasm_push_shared(lua_State *L) {
  (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_state);
  (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_refs);
  (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_threads);
}

void wasm_set_functions(lua_State *L, const luaL_Reg *list) {
  wasm_push_shared(L);
  luaL_setfuncs(L, list, N_SHARED_UPVALUES);
}

void wasm_push_function(lua_State *L, lua_CFunction function) {
  wasm_push_shared(L);
  lua_pushcclosure(L, function, N_SHARED_UPVALUES);
}

void wasm_define_type(lua_State *L, const char *type, const luaL_Reg *methods,
                      const luaL_Reg *metamethods) {
  if (luaL_newmetatable(L, type)) {
    lua_pushstring(L, type);
    lua_setfield(L, -2, "__name");
    if (methods) {
      lua_newtable(L);
      wasm_set_functions(L, methods);
      lua_setfield(L, -2, "__index");
    }
    if (metamethods) wasm_set_functions(L, metamethods);
  }
  lua_pop(L, 1);
}

void *wasm_new_object(lua_State *L, const char *type, size_t size) {
  void *object = compat_new_userdata(L, size);
  memset(object, 0, size);
  luaL_setmetatable(L, type);
  return object;
}

const char *wasm_type_name(lua_State *L, int at) {
  static const struct {
    const char *type, *name;
  } types[] = {
      {TYPE_MODULE, "module"}, {TYPE_INSTANCE, "instance"},   {TYPE_MEMORY, "memory"},
      {TYPE_TABLE, "table"},   {TYPE_GLOBAL, "global"},       {TYPE_TAG, "tag"},
      {TYPE_ERROR, "error"},   {TYPE_EXCEPTION, "exception"}, {TYPE_STRUCT, "struct"},
      {TYPE_ARRAY, "array"},
  };
  if (lua_type(L, at) == LUA_TFUNCTION) return wasm_test_entry(L, at) ? "func" : NULL;
  if (lua_type(L, at) != LUA_TUSERDATA) return NULL;
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    if (luaL_testudata(L, at, types[i].type)) return types[i].name;
  }
  return NULL;
}

/* ---- Functions of the module ------------------------------------------------------------------*/

static int type_of(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushstring(L, wasm_type_name(L, 1));
  return 1;
}

/* Adds ` (export "name" type)` or ` (import ...)` for everything in the list. */
static void add_exports(lua_State *L, luaL_Buffer *b, const rille_Module *module) {
  char text[1024];
  for (size_t i = 0, n = rille_module_exports(module); i < n; i++) {
    rille_ExportInfo info;
    rille_module_export(module, i, &info);
    rille_print_export_type(module, i, text, sizeof text);
    luaL_addstring(b, " (export \"");
    luaL_addlstring(b, info.name, info.name_size);
    luaL_addstring(b, "\" ");
    luaL_addstring(b, text);
    luaL_addstring(b, ")");
  }
  (void)L;
}

static void push_module_signature(lua_State *L, const rille_Module *module, bool with_imports) {
  char text[1024];
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, with_imports ? "(module" : "(instance");
  for (size_t i = 0, n = with_imports ? rille_module_imports(module) : 0; i < n; i++) {
    rille_ImportInfo info;
    rille_module_import(module, i, &info);
    rille_print_import_type(module, i, text, sizeof text);
    luaL_addstring(&b, " (import \"");
    luaL_addlstring(&b, info.module, info.module_size);
    luaL_addstring(&b, "\" \"");
    luaL_addlstring(&b, info.name, info.name_size);
    luaL_addstring(&b, "\" ");
    luaL_addstring(&b, text);
    luaL_addstring(&b, ")");
  }
  add_exports(L, &b, module);
  luaL_addstring(&b, ")");
  luaL_pushresult(&b);
}

static int signature(lua_State *L) {
  luaL_checkany(L, 1);
  Entry *entry = wasm_test_entry(L, 1);
  if (entry) {
    if (entry->inst && !entry->inst->instance) return luaL_error(L, "instance is closed");
    const rille_Extern item = {RILLE_EXTERN_FUNC, {.func = entry->func}};
    return wasm_push_text(L, &item);
  }
  ModuleBox *module = luaL_testudata(L, 1, TYPE_MODULE);
  if (module && module->module) {
    push_module_signature(L, module->module, true);
    return 1;
  }
  Inst *inst = luaL_testudata(L, 1, TYPE_INSTANCE);
  if (inst) {
    if (!inst->instance) return luaL_error(L, "instance is closed");
    push_module_signature(L, rille_instance_module(inst->instance), false);
    return 1;
  }
  TagBox *tag = luaL_testudata(L, 1, TYPE_TAG);
  if (!tag && luaL_testudata(L, 1, TYPE_EXCEPTION)) {
    lua_getfield(L, 1, "tag");
    tag = luaL_testudata(L, -1, TYPE_TAG);
  }
  if (tag && tag->tag) {
    const rille_Extern item = {RILLE_EXTERN_TAG, {.tag = tag->tag}};
    return wasm_push_text(L, &item);
  }
  if (wasm_push_object_signature(L, 1)) return 1;
  Item *item = wasm_test_item(L, 1);
  if (!item)
    return wasm_error_misuse(L, 1, "signature", "a wasm object expected, got %s",
                             luaL_typename(L, 1));
  if (item->is_closed) return luaL_error(L, "instance is closed");
  const rille_Extern text = wasm_item_extern(item);
  return wasm_push_text(L, &text);
}

static bool is_engine_supported(State *state, const char *name) {
  static const uint8_t empty[8] = {0, 'a', 's', 'm', 1, 0, 0, 0};
  const rille_LoadOptions options = {.engine = name};
  rille_Module *module = rille_load(state->engine, empty, sizeof empty, &options, NULL);
  if (module) rille_free_module(module);
  return module != NULL;
}

/* Pushes {engines = {...}, features = {name = default, ...}}. */
static void push_supported(lua_State *L, State *state) {
  static const char *const engines[] = {"compiler", "interpreter"};
  lua_newtable(L);
  lua_newtable(L);
  for (int i = 0, n = 0; i < 2; i++) {
    if (!is_engine_supported(state, engines[i])) continue;
    lua_pushstring(L, engines[i]);
    compat_rawseti(L, -2, ++n);
  }
  lua_setfield(L, -2, "engines");
  lua_newtable(L);
  for (size_t i = 0, n = rille_feature_count(); i < n; i++) {
    bool is_on = false;
    const char *name = rille_feature_name(i, &is_on);
    lua_pushboolean(L, is_on);
    lua_setfield(L, -2, name);
  }
  lua_setfield(L, -2, "features");
}

static void check_features(lua_State *L, int at, const char *function) {
  if (!lua_istable(L, at)) {
    luaL_error(L, "bad option 'features' to '%s' (table expected, got %s)", function,
               luaL_typename(L, at));
  }
  const char *names[64];
  size_t n = rille_feature_count();
  n = n < 63 ? n : 63;
  for (size_t i = 0; i < n; i++) names[i] = rille_feature_name(i, NULL);
  names[n] = NULL;
  wasm_check_options(L, at, function, names);
}

const char *wasm_config_cache(lua_State *L, int at) {
  int type = compat_getfield(L, at, "cache");
  if (type != LUA_TNIL && type != LUA_TSTRING && (type != LUA_TBOOLEAN || lua_toboolean(L, -1)))
    luaL_error(L, "bad option 'cache' to 'config' (path or false expected, got %s)",
               luaL_typename(L, -1));
  const char *dir = type == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  lua_pop(L, 1); /* the table holds it */
  return dir;
}

static int config(lua_State *L) {
  static const char *const names[] = {"engine", "cache", "signals", "features",
                                      "errors", "perf",  "gdb",     NULL};
  State *state = wasm_state(L);
  lua_settop(L, 1);
  wasm_check_options(L, 1, "config", names);
  wasm_push_config(L);
  if (!lua_isnil(L, 1)) {
    const char *choice = wasm_option_string(L, 1, "config", "errors");
    if (choice && strcmp(choice, "string") != 0 && strcmp(choice, "object") != 0) {
      luaL_error(L, "bad option 'errors' to 'config' ('string' or 'object' expected)");
    }
    const char *wanted = wasm_option_string(L, 1, "config", "engine");
    if (wanted && strcmp(wanted, "compiler") != 0 && strcmp(wanted, "interpreter") != 0) {
      luaL_error(L, "bad option 'engine' to 'config' ('compiler' or 'interpreter' expected)");
    }
    (void)wasm_config_cache(L, 1);
    (void)wasm_option_bool(L, 1, "config", "signals", false);
    (void)wasm_option_bool(L, 1, "config", "perf", false);
    (void)wasm_option_bool(L, 1, "config", "gdb", false);
    lua_getfield(L, 1, "features");
    if (!lua_isnil(L, -1)) check_features(L, lua_gettop(L), "config");
    lua_pop(L, 1);
    for (int i = 0; names[i]; i++) {
      if (compat_getfield(L, 1, names[i]) == LUA_TNIL) {
        lua_pop(L, 1);
      } else {
        lua_setfield(L, 2, names[i]);
      }
    }
    if (choice) state->raises_strings = strcmp(choice, "string") == 0;
  }
  lua_newtable(L);
  for (int i = 0; names[i]; i++) {
    lua_getfield(L, 2, names[i]);
    lua_setfield(L, 3, names[i]);
  }
  push_supported(L, state);
  lua_setfield(L, 3, "supported");
  return 1;
}

static int limit_tostring(lua_State *L) {
  lua_pushliteral(L, "wasm.limit");
  return 1;
}

/* ---- Opening ----------------------------------------------------------------------------------*/

static void new_weak_table(lua_State *L, const char *mode, const void *key) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

static void new_config(lua_State *L) {
  lua_newtable(L);
  lua_pushliteral(L, "object");
  lua_setfield(L, -2, "errors");
  lua_pushboolean(L, true);
  lua_setfield(L, -2, "signals");
  lua_pushboolean(L, false);
  lua_setfield(L, -2, "perf");
  lua_pushboolean(L, false);
  lua_setfield(L, -2, "gdb");
  lua_newtable(L);
  lua_setfield(L, -2, "features");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_config);
}

/* The State of this Lua state and its tables, in the registry. */
static void open_state(lua_State *L) {
  Runner *box = lua_newuserdata(L, sizeof *box);
  memset(box, 0, sizeof *box);
  luaL_newmetatable(L, TYPE_STATE);
  lua_pushcfunction(L, state_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  State *state = calloc(1, sizeof *state);
  if (!state) luaL_error(L, "not enough memory");
  state->engine = acquire_engine();
  if (!state->engine) {
    free(state);
    luaL_error(L, "not enough memory");
  }
  state->n_holders = 1;
  box->state = state;
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_state);
  new_weak_table(L, "v", &key_refs);
  new_weak_table(L, "v", &key_objects);
  new_weak_table(L, "k", &key_threads);
  new_config(L);
  lua_newuserdata(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, limit_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_limit);
}

static const luaL_Reg functions[] = {
    {"load", wasm_load},
    {"loadfile", wasm_loadfile},
    {"validate", wasm_validate},
    {"wat2wasm", wasm_wat2wasm},
    {"wasm2wat", wasm_wasm2wat},
    {"memory", wasm_memory},
    {"table", wasm_table},
    {"global", wasm_global},
    {"tag", wasm_tag},
    {"exception", wasm_exception},
    {"func", wasm_func},
    {"type", type_of},
    {"signature", signature},
    {"trap", wasm_trap},
    {"traceback", wasm_traceback},
    {"share", wasm_share},
    {"adopt", wasm_adopt},
    {"config", config},
    {"i64", wasm_i64},
    {NULL, NULL},
};

/* One for the Lua state. */
static void new_lua_error_tag(lua_State *L, State *state) {
  const rille_ValueType param = RILLE_EXTERNREF;
  rille_FuncType *type = rille_new_func_type(1, &param, 0, NULL);
  rille_Tag *tag = type ? rille_new_tag(state->engine, type) : NULL;
  if (type) rille_free_func_type(type);
  if (!tag) luaL_error(L, "not enough memory");
  state->lua_error = tag;
  wasm_push_tag(L, state, tag);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_lua_error);
}

__attribute__((visibility("default"))) int luaopen_wasm(lua_State *L);

int luaopen_wasm(lua_State *L) {
  pin_library();
  if (compat_rawgetp(L, LUA_REGISTRYINDEX, &key_state) == LUA_TNIL) {
    open_state(L);
    wasm_open_i64(L);
    wasm_open_error(L);
    wasm_open_stack(L);
    wasm_open_call(L);
    wasm_open_func(L);
    wasm_open_module(L);
    wasm_open_import(L);
    wasm_open_instance(L);
    wasm_open_memory(L);
    wasm_open_view(L);
    wasm_open_table(L);
    wasm_open_global(L);
    wasm_open_tag(L);
    wasm_open_exception(L);
    wasm_open_gc(L);
    (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_state);
    new_lua_error_tag(L, ((Runner *)lua_touserdata(L, -1))->state);
  }
  lua_settop(L, 0);
  lua_newtable(L);
  wasm_set_functions(L, functions);
  wasm_push_function(L, wasm_instantiate);
  wasm_wrap(L);
  lua_setfield(L, -2, "instantiate");
  wasm_push_limit(L);
  lua_setfield(L, -2, "limit");
  (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_lua_error);
  lua_setfield(L, -2, "luaerror");
  lua_pushstring(L, rille_version());
  lua_setfield(L, -2, "_VERSION");
  return 1;
}
