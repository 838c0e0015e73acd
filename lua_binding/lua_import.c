/* lua_import.c - finds what a module imports among what the user gave.
 *
 * Lua functions become host functions whose closures live in the group of the instance. Its group
 * holds those of the items it imports at once; they hold it when there is an instance. Kinds are
 * checked here, types by the engine.
 */
#include "lua_wasm.h"

/* Where the resolving stands: stack indices. */
typedef struct Search {
  State *state;
  Inst *inst;
  int inst_at, group, items, imports, joined;
  size_t n_wrong; /* complaints so far */
} Search;

void wasm_free_imports(Imports *imports) {
  for (size_t i = 0; i < imports->n; i++) {
    if (imports->owned[i]) rille_free_func(imports->items[i].func);
    imports->owned[i] = false;
  }
}

static int imports_gc(lua_State *L) {
  wasm_free_imports(luaL_checkudata(L, 1, TYPE_IMPORTS));
  return 0;
}

static Imports *push_imports(lua_State *L, size_t n) {
  size_t items = sizeof(Imports), owned = items + n * sizeof(rille_Extern);
  char *block = wasm_new_object(L, TYPE_IMPORTS, owned + n * sizeof(bool));
  Imports *imports = (Imports *)(void *)block;
  imports->items = (rille_Extern *)(void *)(block + items);
  imports->owned = (bool *)(block + owned);
  imports->n = n;
  return imports;
}

enum { MOST_COMPLAINTS = 16 };

/* Pushes " (did you mean 'NAME'?)" with the key of the table at `at` that is nearest to the name,
 * or nothing. */
static void push_nearest_key(lua_State *L, int at, const char *name) {
  const char *best = NULL;
  unsigned least = NOT_NEAR;
  for (lua_pushnil(L); lua_istable(L, at) && lua_next(L, at) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    const char *key = lua_tostring(L, -2);
    unsigned d = wasm_near(name, key);
    if (d > least || d == NOT_NEAR || (d == least && strcmp(key, best) >= 0)) continue;
    least = d;
    best = key;
  }
  if (best) {
    lua_pushfstring(L, " (did you mean '%s'?)", best);
  } else {
    lua_pushliteral(L, "");
  }
}

/* Tells what an import that was not found lacks: nobody gave any, the module's name, or its own.
 * Metamethods have had their say; they are not asked again. */
static const char *lack_of(lua_State *L, int imports, const char *from, const char *name) {
  if (lua_isnoneornil(L, imports)) return ": no imports";
  if (!lua_istable(L, imports)) return "";
  lua_pushstring(L, from);
  lua_rawget(L, imports);
  int at = lua_gettop(L), type = lua_type(L, at);
  if (type == LUA_TNIL) {
    push_nearest_key(L, imports, from);
    return lua_pushfstring(L, ": imports has no '%s'%s", from, lua_tostring(L, -1));
  }
  if (type != LUA_TTABLE && type != LUA_TUSERDATA) {
    return lua_pushfstring(L, ": %s is a %s", from, luaL_typename(L, at));
  }
  push_nearest_key(L, at, name);
  return lua_pushfstring(L, ": %s has no '%s'%s", from, name, lua_tostring(L, -1));
}

/* Pushes what is wrong with import i. */
static bool complain(lua_State *L, const Search *search, const rille_Module *module, size_t i,
                     const char *given) {
  rille_ImportInfo info;
  char type[512];
  luaL_checkstack(L, 12, "too many values");
  rille_module_import(module, i, &info);
  rille_print_import_type(module, i, type, sizeof type);
  lua_pushlstring(L, info.module, info.module_size);
  lua_pushlstring(L, info.name, info.name_size);
  const char *name = lua_tostring(L, -1), *from = lua_tostring(L, -2);
  bool is_told = strcmp(given, "nil") == 0 && search->n_wrong < MOST_COMPLAINTS;
  const char *lack = is_told ? lack_of(L, search->imports, from, name) : "";
  lua_pushfstring(L, "import \"%s\" \"%s\": wanted %s, given %s%s", from, name, type, given, lack);
  return false;
}

/* What was given, as a type when it has one. */
static const char *push_given(lua_State *L, int at) {
  const char *kind = wasm_type_name(L, at);
  rille_Extern item;
  const Entry *entry = wasm_test_entry(L, at);
  const Item *given = wasm_test_item(L, at);
  if (entry) {
    item = (rille_Extern){RILLE_EXTERN_FUNC, {.func = entry->func}};
  } else if (given && !given->is_closed) {
    item = wasm_item_extern(given);
  } else {
    lua_pushstring(L, kind ? kind : luaL_typename(L, at));
    return lua_tostring(L, -1);
  }
  wasm_push_text(L, &item);
  return lua_tostring(L, -1);
}

static void join_table(lua_State *L, const Search *search, int group) {
  if (!lua_istable(L, group)) return;
  wasm_anchor(L, search->group, group);
  wasm_anchor(L, search->joined, group);
}

void wasm_join_imported(lua_State *L, int imports, int inst) {
  wasm_push_inst_field(L, inst, INST_GROUP);
  compat_get_attached(L, imports);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) wasm_join_groups(L, -2, -4);
  lua_pop(L, 2);
}

/* A Lua function: a new host function whose closure the group keeps. */
static void take_closure(lua_State *L, const Search *search, int at, const rille_ImportInfo *info,
                         Imports *out, size_t i) {
  uint32_t id;
  lua_pushlstring(L, info->module, info->module_size);
  lua_pushliteral(L, ".");
  lua_pushlstring(L, info->name, info->name_size);
  lua_concat(L, 3);
  size_t size;
  const char *name = lua_tolstring(L, -1, &size);
  out->items[i].func =
      wasm_new_closure(L, search->state, search->inst, at, info->func_type, name, size, &id);
  out->owned[i] = true;
  lua_pushvalue(L, at);
  compat_rawseti(L, search->group, id);
  lua_pop(L, 1);
}

static bool take_func(lua_State *L, const Search *search, int at, const rille_ImportInfo *info,
                      Imports *out, size_t i) {
  if (lua_type(L, at) != LUA_TFUNCTION) return false;
  const Entry *entry = wasm_test_entry(L, at);
  if (!entry) {
    take_closure(L, search, at, info, out, i);
    return true;
  }
  if (entry->inst && !entry->inst->instance) luaL_error(L, "instance is closed");
  out->items[i].func = entry->func;
  wasm_anchor(L, search->group, at);
  wasm_push_entry_group(L, at);
  join_table(L, search, -1);
  lua_pop(L, 1);
  return true;
}

static bool is_of_reference(const Item *item) {
  return item->kind == RILLE_EXTERN_TABLE ||
         (item->kind == RILLE_EXTERN_GLOBAL &&
          wasm_is_reference(rille_global_type(item->global, NULL)));
}

static bool take_item(lua_State *L, const Search *search, int at, const rille_ImportInfo *info,
                      Imports *out, size_t i) {
  const Item *item = wasm_test_item(L, at);
  if (!item || item->kind != info->kind) return false;
  if (item->is_closed) luaL_error(L, "instance is closed");
  out->items[i] = wasm_item_extern(item);
  wasm_use_item(L, search->items, at);
  if (is_of_reference(item)) {
    compat_get_attached(L, at);
    join_table(L, search, -1);
    lua_pop(L, 1);
  }
  return true;
}

static bool take_tag(lua_State *L, int at, Imports *out, size_t i) {
  const TagBox *tag = luaL_testudata(L, at, TYPE_TAG);
  if (!tag) return false;
  out->items[i].tag = tag->tag;
  return true;
}

/* Pushes imports[module][name], or nil. */
static void push_value(lua_State *L, const Search *search, const rille_ImportInfo *info) {
  int type = lua_type(L, search->imports);
  if (type == LUA_TNIL || type == LUA_TNONE) {
    lua_pushnil(L);
    return;
  }
  lua_pushlstring(L, info->module, info->module_size);
  lua_gettable(L, search->imports);
  const Inst *instance = luaL_testudata(L, -1, TYPE_INSTANCE);
  if (instance) {
    if (!instance->instance) luaL_error(L, "instance is closed");
    wasm_push_inst_field(L, lua_gettop(L), INST_EXPORTS);
    lua_replace(L, -2);
  }
  type = lua_type(L, -1);
  if (luaL_testudata(L, -1, TYPE_WASI)) {
    lua_pushlstring(L, info->module, info->module_size);
    lua_pushlstring(L, info->name, info->name_size);
    wasm_push_wasi_func(L, lua_gettop(L) - 2, lua_tostring(L, -2), lua_tostring(L, -1));
    lua_replace(L, -4);
    lua_pop(L, 2);
    return;
  }
  if (type == LUA_TTABLE || type == LUA_TUSERDATA) {
    lua_pushlstring(L, info->name, info->name_size);
    lua_gettable(L, -2);
  } else {
    lua_pushnil(L);
  }
  lua_remove(L, -2);
}

/* False with a complaint on top. */
static bool take(lua_State *L, const Search *search, const rille_Module *module, Imports *out,
                 size_t i) {
  rille_ImportInfo info;
  rille_module_import(module, i, &info);
  push_value(L, search, &info);
  int at = lua_gettop(L);
  out->items[i].kind = info.kind;
  bool is_found = false;
  switch (info.kind) {
    case RILLE_EXTERN_FUNC: is_found = take_func(L, search, at, &info, out, i); break;
    case RILLE_EXTERN_TAG: is_found = take_tag(L, at, out, i); break;
    default: is_found = take_item(L, search, at, &info, out, i); break;
  }
  if (!is_found) return complain(L, search, module, i, push_given(L, at));
  lua_settop(L, at - 1);
  return true;
}

/* Appends the complaint on top to the text at `at`, a line each. */
static void add_complaint(lua_State *L, int at, size_t n) {
  if (n > MOST_COMPLAINTS) return;
  lua_pushvalue(L, at);
  if (n > 1) lua_pushliteral(L, "\n");
  lua_pushvalue(L, n > 1 ? -3 : -2);
  lua_concat(L, n > 1 ? 3 : 2);
  lua_replace(L, at);
}

/* Pushes the link error with the complaints at `at`. */
static bool fail(lua_State *L, int at, size_t n) {
  if (n > MOST_COMPLAINTS) {
    lua_pushfstring(L, "%s\nand %d more", lua_tostring(L, at), (int)(n - MOST_COMPLAINTS));
    lua_replace(L, at);
  }
  wasm_push_new_error(L, RILLE_ERROR_LINK, NULL, lua_tostring(L, at));
  return false;
}

bool wasm_resolve_imports(lua_State *L, int inst_at, rille_Module *module, int imports) {
  Inst *inst = lua_touserdata(L, inst_at);
  size_t n = rille_module_imports(module);
  wasm_push_inst_field(L, inst_at, INST_GROUP);
  wasm_push_inst_field(L, inst_at, INST_ITEMS);
  int top = lua_gettop(L);
  Imports *out = push_imports(L, n);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  compat_set_attached(L, top + 1);
  Search search = {inst->runner.state, inst, inst_at, top - 1, top, imports, top + 2, 0};
  lua_pushliteral(L, "");
  int complaints = lua_gettop(L);
  for (size_t i = 0; i < n; i++) {
    if (take(L, &search, module, out, i)) continue;
    add_complaint(L, complaints, ++search.n_wrong);
    lua_settop(L, complaints);
  }
  if (search.n_wrong != 0) return fail(L, complaints, search.n_wrong);
  lua_settop(L, top + 1);
  lua_replace(L, top - 1);
  lua_settop(L, top - 1);
  return true;
}

void wasm_open_import(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", imports_gc}, {NULL, NULL}};
  wasm_define_type(L, TYPE_IMPORTS, NULL, metamethods);
}
