/* lua_instance.c - instantiation and Instance objects.
 *
 * wasm.instantiate is a function whose frame may be suspended: the start function runs in it. After
 * the start function has ended, start_complete finds everything through the activation, because
 * without lua_callk the frame is not there any more.
 */
#include "lua_wasm.h"

#define INSTANCE_OPTIONS "memory", "fuel", "timeout", "stack", "on_limit"
static const char *const instance_option_names[] = {INSTANCE_OPTIONS, NULL};
static const char *const all_option_names[] = {INSTANCE_OPTIONS, WASM_LOAD_OPTIONS, NULL};

/* What Lua's collector is told that an instance weighs besides its memories. */
enum { INSTANCE_BYTES = 8192 };

/* ---- Options ----------------------------------------------------------------------------------*/

static void read_limits(lua_State *L, int at, rille_Limits *limits) {
  static const char function[] = "instantiate";
  memset(limits, 0, sizeof *limits);
  if (wasm_option_count(L, at, function, "memory", &limits->memory_bytes) &&
      limits->memory_bytes == 0) {
    limits->memory_bytes = 1; /* 0 means no limit to the engine */
  }
  limits->has_fuel = wasm_option_count(L, at, function, "fuel", &limits->fuel);
  (void)wasm_option_seconds(L, at, function, "timeout", &limits->timeout_ns);
  if (wasm_option_stack(L, at, function, &limits->stack_bytes) && limits->stack_bytes == 0) {
    limits->stack_bytes = 1;
  }
  const char *on_limit = wasm_option_string(L, at, function, "on_limit");
  if (on_limit && strcmp(on_limit, "yield") != 0 && strcmp(on_limit, "raise") != 0) {
    luaL_error(L, "bad option 'on_limit' to '%s' ('raise' or 'yield' expected, got '%s')", function,
               on_limit);
  }
  limits->suspends = on_limit && strcmp(on_limit, "yield") == 0;
}

/* ---- Making -----------------------------------------------------------------------------------*/

/* Pushes an Inst that has its tables but no instance yet. */
static Inst *push_inst(lua_State *L, State *state, int module) {
  Inst *inst = wasm_new_object(L, TYPE_INSTANCE, sizeof *inst);
  inst->runner.state = state;
  wasm_state_hold(state);
  int at = lua_gettop(L);
  lua_createtable(L, INST_TRACE, 0);
  wasm_new_group(L);
  wasm_anchor(L, -1, at);
  compat_rawseti(L, -2, INST_GROUP);
  lua_newtable(L);
  compat_rawseti(L, -2, INST_EXPORTS);
  lua_pushvalue(L, module);
  compat_rawseti(L, -2, INST_MODULE);
  lua_newtable(L);
  compat_rawseti(L, -2, INST_ITEMS);
  compat_set_attached(L, at);
  wasm_set_object(L, inst);
  return inst;
}

/* Pushes the Lua object of an export. */
static void push_export(lua_State *L, const Inst *inst, const rille_ExportInfo *info,
                        const rille_Extern *item, int group, int items) {
  State *state = inst->runner.state;
  if (info->kind == RILLE_EXTERN_FUNC) {
    wasm_push_func(L, state, item->func, info->name, info->name_size, inst);
  } else if (info->kind == RILLE_EXTERN_TAG) {
    rille_retain_tag(item->tag);
    wasm_push_tag(L, state, item->tag);
  } else {
    bool has_group = item->kind == RILLE_EXTERN_TABLE ||
                     (item->kind == RILLE_EXTERN_GLOBAL && rille_global_store(item->global));
    wasm_push_item(L, state, item, has_group ? group : 0);
    wasm_use_item(L, items, lua_gettop(L));
  }
}

static void fill_exports(lua_State *L, Inst *inst, int at) {
  const rille_Module *module = rille_instance_module(inst->instance);
  wasm_push_inst_field(L, at, INST_GROUP);
  wasm_push_inst_field(L, at, INST_ITEMS);
  wasm_push_inst_field(L, at, INST_EXPORTS);
  int exports = lua_gettop(L);
  for (size_t i = 0, n = rille_module_exports(module); i < n; i++) {
    rille_ExportInfo info;
    rille_Extern item;
    rille_module_export(module, i, &info);
    if (!rille_instance_export(inst->instance, i, &item)) continue;
    lua_pushlstring(L, info.name, info.name_size);
    push_export(L, inst, &info, &item, exports - 2, exports - 1);
    lua_rawset(L, exports);
  }
  luaL_getmetatable(L, "wasm.exports");
  lua_setmetatable(L, exports);
  lua_pop(L, 3);
}

static bool is_shortage(const rille_Error *error) {
  rille_ErrorKind kind = rille_error_kind(error);
  return kind == RILLE_ERROR_MEMORY ||
         (kind == RILLE_ERROR_LIMIT && strcmp(rille_error_code(error), "memory") == 0);
}

/* Instances that Lua has not collected yet may hold what is missing: one more try after that. */
static rille_Instance *begin(lua_State *L, State *state, rille_Module *module,
                             const rille_Extern *imports, const rille_Limits *limits,
                             rille_Func **start, rille_Error **error) {
  for (int attempt = 0;; attempt++) {
    rille_Store *store = rille_new_store(state->engine);
    if (!store) luaL_error(L, "not enough memory");
    rille_Instance *instance = rille_begin_instance(store, module, imports, limits, start, error);
    rille_free_store(store);
    if (instance || attempt > 0 || !is_shortage(*error)) return instance;
    rille_free_error(*error);
    *error = NULL;
    lua_gc(L, LUA_GCCOLLECT, 0);
    lua_gc(L, LUA_GCCOLLECT, 0); /* what finalisers of the first let go */
  }
}

/* Active segments may have written functions to imported tables before one of them trapped: these
 * functions stay, and so must the closures that they call. */
static bool may_be_reached(const rille_Module *module, const rille_Error *error) {
  if (rille_error_kind(error) != RILLE_ERROR_TRAP) return false;
  for (size_t i = 0, n = rille_module_imports(module); i < n; i++) {
    rille_ImportInfo info;
    rille_module_import(module, i, &info);
    if (info.kind == RILLE_EXTERN_TABLE) return true;
  }
  return false;
}

static void end_instance(lua_State *L, Inst *inst, int at, bool closes) {
  if (!inst->instance) return;
  rille_Instance *instance = inst->instance;
  inst->instance = NULL;
  inst->is_plain = false;
  wasm_push_inst_field(L, at, INST_ITEMS);
  if (lua_istable(L, -1)) wasm_leave_items(L, lua_gettop(L), closes);
  lua_pop(L, 1);
  if (closes) rille_close_instance(instance);
  wasm_release_instance(inst->runner.state, instance);
}

/* The results of instantiate: two more in front where a Lua function looks at them first. */
static int return_instance(lua_State *L, int at) {
  if (!HAS_CALLK) {
    lua_pushboolean(L, false);
    lua_pushboolean(L, false);
  }
  lua_pushvalue(L, at);
  return HAS_CALLK ? 1 : 3;
}

static int return_failure(lua_State *L) {
  wasm_return_error(L);
  if (HAS_CALLK) return 2;
  lua_pushboolean(L, false);
  lua_insert(L, -3);
  lua_pushboolean(L, false);
  lua_insert(L, -3);
  return 4;
}

/* `a` is NULL when the start function was a closure of the host. */
static int start_complete(lua_State *L, Runner *self, rille_Activation *a, rille_Status status) {
  Inst *inst = (Inst *)(void *)self;
  if (!wasm_push_inst(L, inst)) return luaL_error(L, "instance is closed");
  int at = lua_gettop(L);
  if (a && a->outer && L != self->state->main) rille_pause_clock(a);
  if (status == RILLE_DONE) {
    if (a) rille_finish(a);
    return return_instance(L, at);
  }
  bool is_own = wasm_push_run_error(L, a);
  end_instance(L, inst, at, true);
  return is_own ? lua_error(L) : return_failure(L);
}

/* The module at index 1, loaded when it is a source; false with the error on top. */
static bool take_module(lua_State *L) {
  const ModuleBox *box = luaL_testudata(L, 1, TYPE_MODULE);
  if (box && box->module) {
    wasm_check_options(L, 3, "instantiate", instance_option_names);
    return true;
  }
  if (lua_type(L, 1) != LUA_TSTRING) {
    wasm_error_misuse(L, 1, "instantiate", "module or string expected, got %s",
                      luaL_typename(L, 1));
  }
  if (!wasm_load_source(L, "instantiate", 1, 3, all_option_names)) return false;
  lua_replace(L, 1);
  return true;
}

/* Runs the start function. The userdata of the instance is at WASM_START_INST. */
static int run_start(lua_State *L, Inst *inst, rille_Func *start) {
  State *state = inst->runner.state;
  uint32_t id = rille_func_instance(start) ? 0 : wasm_closure_id(start);
  if (id != 0) return wasm_call_start(L, &inst->runner, id);
  rille_Activation *a = wasm_prepare(L, state, start);
  wasm_mark_frame(L, state, a);
  return wasm_run(L, &inst->runner, WASM_START_INST, a);
}

int wasm_instantiate(lua_State *L) {
  enum { MARK = 1, IMPORTS, OPTIONS, MODULE, INST = WASM_START_INST, RESOLVED };
  State *state = wasm_state(L);
  rille_Limits limits;
  rille_Func *start = NULL;
  rille_Error *error = NULL;
  lua_settop(L, 3);
  if (!take_module(L)) return return_failure(L);
  lua_settop(L, 3);
  if (!lua_isnil(L, IMPORTS) && !lua_istable(L, IMPORTS) && !lua_isuserdata(L, IMPORTS)) {
    wasm_error_misuse(L, 2, "instantiate", "table of imports expected, got %s",
                      luaL_typename(L, IMPORTS));
  }
  read_limits(L, OPTIONS, &limits);
  lua_pushvalue(L, 1);
  const ModuleBox *box = lua_touserdata(L, MODULE);
  wasm_free_deferred(state);
  Inst *inst = push_inst(L, state, MODULE);
  inst->runner.complete = start_complete;
  inst->boxes_i64 = box->boxes_i64;
  inst->has_fuel = limits.has_fuel;
  inst->fuel = limits.fuel;
  inst->timeout_ns = limits.timeout_ns;
  if (!wasm_resolve_imports(L, INST, box->module, IMPORTS)) return return_failure(L);
  Imports *imports = lua_touserdata(L, RESOLVED);
  rille_Instance *instance = begin(L, state, box->module, imports->items, &limits, &start, &error);
  wasm_free_imports(imports);
  if (instance || may_be_reached(box->module, error)) wasm_join_imported(L, RESOLVED, INST);
  if (!instance) {
    wasm_push_error(L, error);
    return return_failure(L);
  }
  inst->instance = instance;
  inst->is_plain = true;
  state->has_handlers |= rille_instance_has_handlers(instance);
  state->has_timeouts |= limits.timeout_ns != 0;
  inst->store = rille_instance_store(instance);
  rille_set_instance_user(instance, inst);
  fill_exports(L, inst, INST);
  wasm_count_external(L, state, INSTANCE_BYTES + rille_instance_memory_bytes(instance));
  lua_settop(L, INST);
  return start ? run_start(L, inst, start) : return_instance(L, INST);
}

/* ---- Methods ----------------------------------------------------------------------------------*/

static Inst *check_inst(lua_State *L, const char *function) {
  Inst *inst = luaL_testudata(L, 1, TYPE_INSTANCE);
  if (!inst) wasm_error_misuse(L, 1, function, "instance expected, got %s", luaL_typename(L, 1));
  return inst;
}

static Inst *check_open(lua_State *L, const char *function) {
  Inst *inst = check_inst(L, function);
  if (!inst->instance) luaL_error(L, "bad call to '%s' (instance is closed)", function);
  return inst;
}

static int instance_close(lua_State *L) {
  Inst *inst = check_inst(L, "close");
  if (!inst->instance) return 0;
  if (!wasm_drop_calls(L, inst->runner.state, inst)) {
    return luaL_error(L, "bad call to 'close' (a call of the instance is running)");
  }
  end_instance(L, inst, 1, true);
  return 0;
}

static int instance_gc(lua_State *L) {
  Inst *inst = luaL_checkudata(L, 1, TYPE_INSTANCE);
  if (!inst->runner.state) return 0;
  State *state = inst->runner.state;
  end_instance(L, inst, 1, false);
  inst->runner.state = NULL;
  wasm_state_drop(state);
  return 0;
}

static int instance_usage(lua_State *L) {
  const Inst *inst = check_open(L, "usage");
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, (lua_Integer)rille_instance_memory_bytes(inst->instance));
  lua_setfield(L, -2, "memory");
  if (inst->has_fuel) {
    wasm_push_i64(L, (int64_t)rille_instance_fuel(inst->instance), false);
    lua_setfield(L, -2, "fuel");
  }
  rille_Stack *stack = wasm_current_stack(L, inst->runner.state);
  lua_pushinteger(L, stack ? (lua_Integer)rille_stack_bytes(stack) : 0);
  lua_setfield(L, -2, "stack");
  return 1;
}

static int instance_refuel(lua_State *L) {
  const Inst *inst = check_open(L, "refuel");
  uint64_t amount;
  if (!wasm_read_count(L, 2, INT64_MAX, &amount)) {
    return wasm_error_misuse(L, 1, "refuel", "count expected, got %s", luaL_typename(L, 2));
  }
  rille_add_fuel(inst->instance, amount);
  return 0;
}

static int instance_interrupt(lua_State *L) {
  rille_interrupt(check_open(L, "interrupt")->store);
  return 0;
}

static int instance_trace(lua_State *L) {
  Inst *inst = check_open(L, "trace");
  lua_settop(L, 2);
  if (!lua_isnil(L, 2) && lua_type(L, 2) != LUA_TFUNCTION) {
    return wasm_error_misuse(L, 1, "trace", "function or nil expected, got %s",
                             luaL_typename(L, 2));
  }
  inst->is_traced = !lua_isnil(L, 2);
  inst->is_plain = !inst->is_traced;
  compat_get_attached(L, 1);
  lua_insert(L, 2);
  compat_rawseti(L, 2, INST_TRACE);
  return 0;
}

static int snapshot_gc(lua_State *L) {
  rille_Snapshot **box = luaL_checkudata(L, 1, TYPE_SNAPSHOT);
  if (*box) rille_free_snapshot(*box);
  *box = NULL;
  return 0;
}

static int instance_snapshot(lua_State *L) {
  const Inst *inst = check_open(L, "snapshot");
  rille_Snapshot **box = wasm_new_object(L, TYPE_SNAPSHOT, sizeof(rille_Snapshot *));
  compat_get_attached(L, 1); /* references in it live as long as the instance */
  compat_set_attached(L, -2);
  rille_Error *error = NULL;
  *box = rille_new_snapshot(inst->instance, &error);
  if (*box) {
    wasm_count_external(L, inst->runner.state, rille_snapshot_bytes(*box));
    return 1;
  }
  wasm_push_error(L, error);
  return wasm_return_error(L);
}

static int instance_reset(lua_State *L) {
  const Inst *inst = check_open(L, "reset");
  rille_Snapshot **box = luaL_testudata(L, 2, TYPE_SNAPSHOT);
  if (!box || !*box) {
    return wasm_error_misuse(L, 1, "reset", "snapshot expected, got %s", luaL_typename(L, 2));
  }
  compat_get_attached(L, 1);
  compat_get_attached(L, 2);
  if (!lua_rawequal(L, -1, -2)) {
    return wasm_error_misuse(L, 1, "reset", "snapshot of this instance expected, got another's");
  }
  rille_Error *error = NULL;
  if (rille_reset_instance(inst->instance, *box, &error)) return 0;
  wasm_push_error(L, error);
  return wasm_raise(L);
}

static int instance_index(lua_State *L) {
  const Inst *inst = check_inst(L, "index");
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  bool is_exports = strcmp(key, "exports") == 0;
  if (is_exports || strcmp(key, "module") == 0) {
    if (!inst->instance) return luaL_error(L, "instance is closed");
    wasm_push_inst_field(L, 1, is_exports ? INST_EXPORTS : INST_MODULE);
  } else {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(N_SHARED_UPVALUES + 1));
  }
  return 1;
}

static int instance_tostring(lua_State *L) {
  const Inst *inst = check_inst(L, "tostring");
  if (inst->instance) {
    wasm_push_listing(L, "wasm instance", rille_instance_module(inst->instance), false);
  } else {
    lua_pushliteral(L, "wasm instance (closed)");
  }
  return 1;
}

/* ---- The table of exports ---------------------------------------------------------------------*/

/* Pushes the names in the table at 1, sorted. */
static int push_names(lua_State *L) {
  int n = 0;
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    lua_pushvalue(L, -2);
    compat_rawseti(L, -4, ++n);
  }
  lua_getglobal(L, "table");
  lua_getfield(L, -1, "sort");
  lua_remove(L, -2);
  lua_pushvalue(L, -2);
  lua_call(L, 1, 0);
  return n;
}

/* Pushes what the value at `at` is. */
static void push_description(lua_State *L, int at) {
  const Item *item = wasm_test_item(L, at);
  const Entry *entry = wasm_test_entry(L, at);
  const TagBox *tag = luaL_testudata(L, at, TYPE_TAG);
  rille_Extern what;
  if (item && !item->is_closed) {
    what = wasm_item_extern(item);
  } else if (entry && entry->inst && entry->inst->instance) {
    what = (rille_Extern){RILLE_EXTERN_FUNC, {.func = entry->func}};
  } else if (tag) {
    what = (rille_Extern){RILLE_EXTERN_TAG, {.tag = tag->tag}};
  } else {
    lua_pushfstring(L, "(%s)", luaL_typename(L, at));
    return;
  }
  wasm_push_text(L, &what);
}

static int exports_tostring(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  int n = push_names(L);
  lua_pushliteral(L, "wasm exports");
  for (int i = 1; i <= n; i++) {
    lua_pushliteral(L, "\n  ");
    compat_rawgeti(L, 2, i);
    lua_pushliteral(L, " ");
    lua_pushvalue(L, -2);
    lua_rawget(L, 1);
    push_description(L, lua_gettop(L));
    lua_remove(L, -2);
    lua_concat(L, 5);
  }
  return 1;
}

void wasm_open_instance(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", instance_close},   {"usage", instance_usage},
                                     {"refuel", instance_refuel}, {"interrupt", instance_interrupt},
                                     {"trace", instance_trace},   {"snapshot", instance_snapshot},
                                     {"reset", instance_reset},   {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", instance_gc},
                                         {"__close", instance_close},
                                         {"__tostring", instance_tostring},
                                         {NULL, NULL}};
  static const luaL_Reg exports[] = {{"__tostring", exports_tostring}, {NULL, NULL}};
  static const luaL_Reg snapshot[] = {{"__gc", snapshot_gc}, {NULL, NULL}};
  wasm_define_type(L, TYPE_INSTANCE, NULL, metamethods);
  wasm_define_type(L, "wasm.exports", NULL, exports);
  wasm_define_type(L, TYPE_SNAPSHOT, NULL, snapshot);
  luaL_getmetatable(L, TYPE_INSTANCE);
  wasm_push_shared(L);
  lua_newtable(L);
  wasm_set_functions(L, methods);
  lua_pushcclosure(L, instance_index, N_SHARED_UPVALUES + 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
