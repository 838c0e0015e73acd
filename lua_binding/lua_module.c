/* lua_module.c - loading, and Module objects. */
#include "lua_wasm.h"

static const char *const load_option_names[] = {WASM_LOAD_OPTIONS, NULL};

/* ---- Loading ----------------------------------------------------------------------------------*/

/* Lists of features that are switched, in the memory of a userdata. */
typedef struct Features {
  const char *on[64], *off[64];
  size_t n_on, n_off;
} Features;

static void set_feature(Features *features, const char *name, bool is_on) {
  for (size_t i = 0; i < features->n_on; i++) {
    if (strcmp(features->on[i], name) == 0) features->on[i] = features->on[--features->n_on];
  }
  for (size_t i = 0; i < features->n_off; i++) {
    if (strcmp(features->off[i], name) == 0) features->off[i] = features->off[--features->n_off];
  }
  if (is_on && features->n_on < 63) features->on[features->n_on++] = name;
  if (!is_on && features->n_off < 63) features->off[features->n_off++] = name;
  features->on[features->n_on] = features->off[features->n_off] = NULL;
}

/* The engine's own copy of the name, or NULL. */
static const char *known_feature(const char *name) {
  for (size_t i = 0, n = rille_feature_count(); i < n; i++) {
    const char *known = rille_feature_name(i, NULL);
    if (strcmp(name, known) == 0) return known;
  }
  return NULL;
}

static void unknown_feature(lua_State *L, const char *name, const char *function) {
  const char *names[64];
  size_t n = rille_feature_count();
  n = n < 63 ? n : 63;
  for (size_t i = 0; i < n; i++) names[i] = rille_feature_name(i, NULL);
  names[n] = NULL;
  luaL_error(L, "unknown feature '%s' to '%s' (did you mean '%s'?)", name, function,
             wasm_nearest(name, names));
}

/* Reads the `features` table of the options at `at`. */
static void read_features(lua_State *L, int at, const char *function, Features *features) {
  if (lua_isnoneornil(L, at)) return;
  if (compat_getfield(L, at, "features") != LUA_TNIL) {
    if (!lua_istable(L, -1)) {
      luaL_error(L, "bad option 'features' to '%s' (table expected, got %s)", function,
                 luaL_typename(L, -1));
    }
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
      if (lua_type(L, -2) != LUA_TSTRING || !lua_isboolean(L, -1)) {
        luaL_error(L, "bad option 'features' to '%s' (names = booleans expected)", function);
      }
      const char *name = known_feature(lua_tostring(L, -2));
      if (!name) unknown_feature(L, lua_tostring(L, -2), function);
      set_feature(features, name, lua_toboolean(L, -1));
    }
  }
  lua_pop(L, 1);
}

static void check_engine(lua_State *L, const char *engine, const char *function) {
  if (engine && strcmp(engine, "compiler") != 0 && strcmp(engine, "interpreter") != 0) {
    luaL_error(L, "bad option 'engine' to '%s' ('compiler' or 'interpreter' expected, got '%s')",
               function, engine);
  }
}

typedef struct Options {
  rille_LoadOptions load;
  bool boxes_i64;
} Options;

/* Fills the options; strings in them are held by the tables, lists by a userdata that is pushed. */
static void read_options(lua_State *L, int at, const char *function, const char *const *names,
                         Options *out) {
  memset(out, 0, sizeof *out);
  wasm_check_options(L, at, function, names);
  Features *features = lua_newuserdata(L, sizeof *features);
  memset(features, 0, sizeof *features);
  wasm_push_config(L);
  int config = lua_gettop(L);
  read_features(L, config, function, features);
  read_features(L, at, function, features);
  out->load.on = features->on;
  out->load.off = features->off;
  out->load.engine = wasm_option_string(L, at, function, "engine");
  check_engine(L, out->load.engine, function);
  if (!out->load.engine) out->load.engine = wasm_option_string(L, config, function, "engine");
  out->load.name = wasm_option_string(L, at, function, "name");
  out->load.deterministic = wasm_option_bool(L, at, function, "deterministic", false);
  out->load.eager = wasm_option_bool(L, at, function, "eager", false);
  out->load.native = wasm_option_bool(L, at, function, "native", false);
  out->load.no_signals = !wasm_option_bool(L, config, function, "signals", true);
  out->load.perf = wasm_option_bool(L, config, function, "perf", false);
  out->load.gdb = wasm_option_bool(L, config, function, "gdb", false);
  out->load.cache = wasm_config_cache(L, config);
  const char *i64 = wasm_option_string(L, at, function, "i64");
  if (i64 && strcmp(i64, "boxed") != 0 && strcmp(i64, "auto") != 0) {
    luaL_error(L, "bad option 'i64' to '%s' ('boxed' or 'auto' expected, got '%s')", function, i64);
  }
  out->boxes_i64 = i64 && strcmp(i64, "boxed") == 0;
  lua_pop(L, 1);
}

void wasm_push_module(lua_State *L, State *state, rille_Module *module) {
  ModuleBox *box = wasm_new_object(L, TYPE_MODULE, sizeof *box);
  box->state = state;
  wasm_state_hold(state);
  box->module = module;
}

/* An error of the kind misuse is raised, not returned. */
static bool push_load_error(lua_State *L, rille_Error *error) {
  wasm_push_error(L, error);
  if (rille_error_kind(error) == RILLE_ERROR_MISUSE) {
    luaL_error(L, "%s", rille_error_message(error));
  }
  return false;
}

/* What `wasm.load` says of things that are something else. */
static const char *recognise(const unsigned char *bytes, size_t size) {
  if (size >= 8 && memcmp(bytes, "\0asm", 4) == 0 && bytes[4] == 0x0d && bytes[6] == 1) {
    return "a WebAssembly component; core modules only are supported";
  }
  return NULL;
}

/* Is a text that is no module the name of a file with one? */
static bool is_file_name(const char *text, size_t size) {
  if (size < 5 || memchr(text, '(', size) || memchr(text, '\n', size)) return false;
  const char *end = text + size;
  return memcmp(end - 5, ".wasm", 5) == 0 || memcmp(end - 4, ".wat", 4) == 0;
}

/* Adds to the message of the error on top. */
static void suggest_loadfile(lua_State *L) {
  lua_getfield(L, -1, "message");
  lua_pushliteral(L, " (a file name? wasm.loadfile reads files)");
  lua_concat(L, 2);
  wasm_set_error_field(L, "message");
}

bool wasm_load_source(lua_State *L, const char *function, int at, int options_at,
                      const char *const *names) {
  State *state = wasm_state(L);
  Options options;
  if (lua_type(L, at) != LUA_TSTRING) {
    wasm_error_misuse(L, at, function, "string expected, got %s", luaL_typename(L, at));
  }
  read_options(L, options_at, function, names, &options);
  size_t size;
  const char *bytes = lua_tolstring(L, at, &size);
  const char *what = recognise((const void *)bytes, size);
  if (what) {
    lua_pushfstring(L, "this is %s", what);
    wasm_push_new_error(L, RILLE_ERROR_UNSUPPORTED, NULL, lua_tostring(L, -1));
    return false;
  }
  rille_Error *error = NULL;
  rille_Module *module = rille_load(state->engine, bytes, size, &options.load, &error);
  if (!module) {
    push_load_error(L, error);
    if (is_file_name(bytes, size)) suggest_loadfile(L);
    return false;
  }
  wasm_push_module(L, state, module);
  ((ModuleBox *)lua_touserdata(L, -1))->boxes_i64 = options.boxes_i64;
  wasm_count_external(L, state, size * 4);
  return true;
}

int wasm_load(lua_State *L) {
  if (lua_gettop(L) > 0) lua_settop(L, 2); /* nothing given is said as such */
  return wasm_load_source(L, "load", 1, 2, load_option_names) ? 1 : wasm_return_error(L);
}

int wasm_loadfile(lua_State *L) {
  State *state = wasm_state(L);
  Options options;
  lua_settop(L, 2);
  if (lua_type(L, 1) != LUA_TSTRING) {
    return wasm_error_misuse(L, 1, "loadfile", "path expected, got %s", luaL_typename(L, 1));
  }
  read_options(L, 2, "loadfile", load_option_names, &options);
  rille_Error *error = NULL;
  rille_Module *module = rille_load_file(state->engine, lua_tostring(L, 1), &options.load, &error);
  if (!module) {
    push_load_error(L, error);
    wasm_set_error_file(L, lua_tostring(L, 1));
    return wasm_return_error(L);
  }
  wasm_push_module(L, state, module);
  ((ModuleBox *)lua_touserdata(L, -1))->boxes_i64 = options.boxes_i64;
  return 1;
}

int wasm_validate(lua_State *L) {
  if (lua_gettop(L) > 0) lua_settop(L, 2);
  if (!wasm_load_source(L, "validate", 1, 2, load_option_names)) return wasm_return_error(L);
  lua_pushboolean(L, true);
  return 1;
}

int wasm_wat2wasm(lua_State *L) {
  State *state = wasm_state(L);
  size_t size, out_size;
  if (lua_type(L, 1) != LUA_TSTRING) {
    return wasm_error_misuse(L, 1, "wat2wasm", "string expected, got %s", luaL_typename(L, 1));
  }
  const char *text = lua_tolstring(L, 1, &size);
  uint8_t *out;
  rille_Error *error = NULL;
  if (!rille_wat_to_wasm(state->engine, text, size, &out, &out_size, &error)) {
    push_load_error(L, error);
    return wasm_return_error(L);
  }
  lua_pushlstring(L, (const char *)out, out_size);
  rille_free_bytes(state->engine, out, out_size);
  return 1;
}

int wasm_wasm2wat(lua_State *L) {
  State *state = wasm_state(L);
  size_t size, out_size;
  if (lua_type(L, 1) != LUA_TSTRING) {
    return wasm_error_misuse(L, 1, "wasm2wat", "string expected, got %s", luaL_typename(L, 1));
  }
  const char *bytes = lua_tolstring(L, 1, &size);
  char *out;
  rille_Error *error = NULL;
  if (!rille_wasm_to_wat(state->engine, bytes, size, &out, &out_size, &error)) {
    push_load_error(L, error);
    return wasm_return_error(L);
  }
  lua_pushlstring(L, out, out_size);
  rille_free_bytes(state->engine, out, out_size);
  return 1;
}

/* ---- Module objects ---------------------------------------------------------------------------*/

static ModuleBox *check_module(lua_State *L, const char *function) {
  ModuleBox *box = luaL_testudata(L, 1, TYPE_MODULE);
  if (!box || !box->module) {
    wasm_error_misuse(L, 1, function, "module expected, got %s", luaL_typename(L, 1));
  }
  return box;
}

/* Pushes a text that may be longer than a buffer, as printed by `print`. */
static void push_type(lua_State *L, const rille_Module *module, size_t index,
                      size_t (*print)(const rille_Module *, size_t, char *, size_t)) {
  char text[256];
  size_t size = print(module, index, text, sizeof text);
  if (size < sizeof text) {
    lua_pushlstring(L, text, size);
    return;
  }
  char *longer = lua_newuserdata(L, size + 1);
  print(module, index, longer, size + 1);
  lua_pushlstring(L, longer, size);
  lua_remove(L, -2);
}

static void set_lstring(lua_State *L, const char *key, const char *text, size_t size) {
  lua_pushlstring(L, text, size);
  lua_setfield(L, -2, key);
}

static void push_imports(lua_State *L, const rille_Module *module) {
  size_t n = rille_module_imports(module);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    rille_ImportInfo info;
    rille_module_import(module, i, &info);
    lua_createtable(L, 0, 4);
    set_lstring(L, "module", info.module, info.module_size);
    set_lstring(L, "name", info.name, info.name_size);
    lua_pushstring(L, rille_extern_kind_name(info.kind));
    lua_setfield(L, -2, "kind");
    push_type(L, module, i, rille_print_import_type);
    lua_setfield(L, -2, "type");
    compat_rawseti(L, -2, i + 1);
  }
}

static void push_exports(lua_State *L, const rille_Module *module) {
  size_t n = rille_module_exports(module);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    rille_ExportInfo info;
    rille_module_export(module, i, &info);
    lua_createtable(L, 0, 3);
    set_lstring(L, "name", info.name, info.name_size);
    lua_pushstring(L, rille_extern_kind_name(info.kind));
    lua_setfield(L, -2, "kind");
    push_type(L, module, i, rille_print_export_type);
    lua_setfield(L, -2, "type");
    compat_rawseti(L, -2, i + 1);
  }
}

static void push_name(lua_State *L, const rille_Module *module) {
  size_t size = 0;
  const char *name = rille_module_name(module, &size);
  if (name && size > 0) {
    lua_pushlstring(L, name, size);
  } else {
    lua_pushnil(L);
  }
}

/* Methods are in the first upvalue behind the shared ones. */
static int module_index(lua_State *L) {
  const ModuleBox *box = check_module(L, "index");
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "imports") == 0) {
    push_imports(L, box->module);
  } else if (strcmp(key, "exports") == 0) {
    push_exports(L, box->module);
  } else if (strcmp(key, "name") == 0) {
    push_name(L, box->module);
  } else {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(N_SHARED_UPVALUES + 1));
  }
  return 1;
}

static int module_sections(lua_State *L) {
  const ModuleBox *box = check_module(L, "sections");
  size_t wanted_size;
  if (lua_type(L, 2) != LUA_TSTRING) {
    return wasm_error_misuse(L, 1, "sections", "string expected, got %s", luaL_typename(L, 2));
  }
  const char *wanted = lua_tolstring(L, 2, &wanted_size);
  lua_newtable(L);
  const char *name;
  const uint8_t *bytes;
  size_t name_size, size;
  int n = 0;
  for (size_t i = 0; rille_module_custom(box->module, i, &name, &name_size, &bytes, &size); i++) {
    if (name_size != wanted_size || memcmp(name, wanted, wanted_size) != 0) continue;
    lua_pushlstring(L, (const char *)bytes, size);
    compat_rawseti(L, -2, ++n);
  }
  return 1;
}

static void set_count(lua_State *L, const char *key, size_t n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, key);
}

static int module_stats(lua_State *L) {
  const ModuleBox *box = check_module(L, "stats");
  rille_ModuleStats stats;
  rille_module_stats(box->module, &stats);
  lua_newtable(L);
  set_count(L, "types", stats.types);
  set_count(L, "funcs", stats.funcs);
  set_count(L, "tables", stats.tables);
  set_count(L, "memories", stats.memories);
  set_count(L, "globals", stats.globals);
  set_count(L, "tags", stats.tags);
  set_count(L, "elements", stats.elements);
  set_count(L, "data", stats.data);
  set_count(L, "imports", stats.imports);
  set_count(L, "exports", stats.exports);
  set_count(L, "customs", stats.customs);
  set_count(L, "code_bytes", stats.code_bytes);
  set_count(L, "prepared_funcs", stats.prepared_funcs);
  set_count(L, "prepared_bytes", stats.prepared_bytes);
  set_count(L, "kept_funcs", stats.kept_funcs);
  lua_pushnumber(L, (lua_Number)stats.prepare_ns * 1e-9);
  lua_setfield(L, -2, "prepare_seconds");
  lua_pushstring(L, stats.engine);
  lua_setfield(L, -2, "engine");
  return 1;
}

static int module_serialize(lua_State *L) {
  const ModuleBox *box = check_module(L, "serialize");
  uint8_t *bytes;
  size_t size;
  rille_Error *error = NULL;
  if (!rille_serialize(box->module, &bytes, &size, &error)) {
    wasm_push_error(L, error);
    return wasm_return_error(L);
  }
  lua_pushlstring(L, (const char *)bytes, size);
  rille_free_bytes(box->state->engine, bytes, size);
  return 1;
}

static int module_type(lua_State *L) {
  return wasm_module_type(L, check_module(L, "type"));
}

static void add_list(lua_State *L, luaL_Buffer *b, const rille_Module *module, bool is_imports) {
  char text[512];
  size_t n = is_imports ? rille_module_imports(module) : rille_module_exports(module);
  for (size_t i = 0; i < n; i++) {
    luaL_addstring(b, is_imports ? "\n  import " : "\n  export ");
    if (is_imports) {
      rille_ImportInfo info;
      rille_module_import(module, i, &info);
      luaL_addlstring(b, info.module, info.module_size);
      luaL_addchar(b, '.');
      luaL_addlstring(b, info.name, info.name_size);
      rille_print_import_type(module, i, text, sizeof text);
    } else {
      rille_ExportInfo info;
      rille_module_export(module, i, &info);
      luaL_addlstring(b, info.name, info.name_size);
      rille_print_export_type(module, i, text, sizeof text);
    }
    luaL_addchar(b, ' ');
    luaL_addstring(b, text);
  }
  (void)L;
}

void wasm_push_listing(lua_State *L, const char *title, const rille_Module *module,
                       bool with_imports) {
  luaL_Buffer b;
  size_t size = 0;
  const char *name = rille_module_name(module, &size);
  luaL_buffinit(L, &b);
  luaL_addstring(&b, title);
  if (name && size > 0) {
    luaL_addchar(&b, ' ');
    luaL_addlstring(&b, name, size);
  }
  if (with_imports) add_list(L, &b, module, true);
  add_list(L, &b, module, false);
  luaL_pushresult(&b);
}

static int module_tostring(lua_State *L) {
  wasm_push_listing(L, "wasm module", check_module(L, "tostring")->module, true);
  return 1;
}

static int module_gc(lua_State *L) {
  ModuleBox *box = luaL_checkudata(L, 1, TYPE_MODULE);
  if (!box->module) return 0;
  wasm_forget_shared(box);
  rille_free_module(box->module);
  box->module = NULL;
  wasm_state_drop(box->state);
  return 0;
}

void wasm_open_module(lua_State *L) {
  static const luaL_Reg methods[] = {{"sections", module_sections},
                                     {"stats", module_stats},
                                     {"serialize", module_serialize},
                                     {"type", module_type},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__gc", module_gc}, {"__tostring", module_tostring}, {NULL, NULL}};
  wasm_define_type(L, TYPE_MODULE, NULL, metamethods);
  luaL_getmetatable(L, TYPE_MODULE);
  wasm_push_shared(L);
  lua_newtable(L);
  wasm_set_functions(L, methods);
  wasm_push_function(L, wasm_instantiate);
  wasm_wrap(L);
  lua_setfield(L, -2, "instantiate");
  lua_pushcclosure(L, module_index, N_SHARED_UPVALUES + 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
