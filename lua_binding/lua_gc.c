/* lua_gc.c - structures and arrays of guests as Lua values, their types as constructors, and the
 * references of the any and extern families in general.
 *
 * An object that Lua holds is a userdata which holds the object in its store; `objects` finds it by
 * the object's address, which never changes. Attached is the group of the store, so that Lua sees
 * what fields may refer to. Host values in the store are found dead by the store's own collector,
 * which runs when guests allocate; a Lua program that only drops things runs it through a userdata
 * that dies in every cycle of Lua's collector.
 */
#include "lua_wasm.h"

typedef struct ObjectBox {
  State *state;
  rille_Held *held;
  rille_Slot ref;
} ObjectBox;

/* What module:type gives. Attached: its group, in which `module` is the module. */
typedef struct TypeBox {
  State *state;
  rille_Store *store; /* retained; NULL: finalised */
  rille_ValueType type;
} TypeBox;

static ObjectBox *test_object(lua_State *L, int at) {
  if (lua_type(L, at) != LUA_TUSERDATA) return NULL;
  ObjectBox *box = luaL_testudata(L, at, TYPE_STRUCT);
  return box ? box : luaL_testudata(L, at, TYPE_ARRAY);
}

static ObjectBox *check_object(lua_State *L, int at, const char *function) {
  ObjectBox *box = test_object(L, at);
  if (!box || !box->held) {
    wasm_error_misuse(L, at, function, "struct or array expected, got %s", luaL_typename(L, at));
  }
  return box;
}

/* ---- Pushing ----------------------------------------------------------------------------------*/

void wasm_push_ref_group(lua_State *L, const Home *home, rille_Slot ref) {
  if (home->group != 0) {
    lua_pushvalue(L, home->group);
    return;
  }
  const Inst *inst = home->inst;
  if (!inst) {
    rille_Instance *instance = rille_store_instance(rille_ref_store(ref));
    inst = instance ? rille_instance_user(instance) : NULL;
  }
  if (inst) {
    wasm_push_inst_group(L, inst);
  } else {
    wasm_new_group(L);
  }
}

static void push_object(lua_State *L, const Home *home, rille_Slot ref, bool is_array) {
  luaL_checkstack(L, 8, "too many values");
  if (wasm_find_object(L, (const void *)(uintptr_t)ref)) {
    const ObjectBox *known = test_object(L, -1);
    if (known && known->held && known->ref == ref) return;
    lua_pop(L, 1);
  }
  wasm_push_ref_group(L, home, ref);
  ObjectBox *box = wasm_new_object(L, is_array ? TYPE_ARRAY : TYPE_STRUCT, sizeof *box);
  box->held = rille_hold_ref(rille_ref_store(ref), ref);
  if (!box->held) luaL_error(L, "not enough memory");
  box->ref = ref;
  box->state = home->state;
  wasm_state_hold(home->state);
  lua_insert(L, -2);
  compat_set_attached(L, -2);
  wasm_set_object(L, (const void *)(uintptr_t)ref);
}

void wasm_push_any(lua_State *L, const Home *home, rille_Slot ref) {
  switch (rille_ref_kind(ref)) {
    case RILLE_REF_I31: lua_pushinteger(L, rille_i31_of_ref(ref)); break;
    case RILLE_REF_HOST: wasm_push_extern(L, ref); break;
    case RILLE_REF_STRUCT: push_object(L, home, ref, false); break;
    case RILLE_REF_ARRAY: push_object(L, home, ref, true); break;
    default: lua_pushnil(L); break;
  }
}

static int object_gc(lua_State *L) {
  ObjectBox *box = lua_touserdata(L, 1);
  if (!box->held) return 0;
  rille_drop_ref(box->held);
  box->held = NULL;
  wasm_state_drop(box->state);
  return 0;
}

/* ---- Reading ----------------------------------------------------------------------------------*/

void wasm_join_ref(lua_State *L, int at, rille_Slot ref, const Home *home) {
  at = lua_absindex(L, at);
  if (!rille_join_stores(home->store, rille_ref_store(ref))) luaL_error(L, "not enough memory");
  if (home->group == 0) return;
  compat_get_attached(L, at);
  wasm_join_groups(L, home->group, -1);
  lua_pop(L, 1);
}

/* An integer that a reference can hold itself. */
static bool read_i31(lua_State *L, int at, rille_Slot *out) {
  const lua_Number limit = 1073741824;
#if HAS_INTEGERS
  if (!lua_isinteger(L, at)) return false;
#else
  if (lua_type(L, at) != LUA_TNUMBER) return false;
#endif
  lua_Number x = lua_tonumber(L, at);
  if (!(x >= -limit && x < limit)) return false;
  int32_t value = (int32_t)x;
  if ((lua_Number)value != x || (value == 0 && 1 / x < 0)) return false;
  *out = rille_ref_of_i31(value);
  return true;
}

bool wasm_read_inner(lua_State *L, int at, const Home *home, rille_Slot *out) {
  const ObjectBox *box = test_object(L, at);
  if (!box) return read_i31(L, at, out);
  if (!box->held) return false;
  *out = box->ref;
  wasm_join_ref(L, at, box->ref, home);
  return true;
}

/* (ref any): the one type of its family that a value of the host is of. */
static bool is_any(rille_ValueType type) {
  rille_ValueType any;
  return type == RILLE_ANYREF || (rille_parse_type("(ref any)", &any) && type == any);
}

bool wasm_read_any(lua_State *L, int at, const Home *home, rille_ValueType type, rille_Slot *out) {
  if (wasm_read_inner(L, at, home, out)) return rille_check_ref(type, *out);
  if (!is_any(type)) return false;
  *out = wasm_read_extern(L, at, home);
  return true;
}

/* ---- Rows of values ---------------------------------------------------------------------------*/

/* Host values that were made for a row hold on here until the object that they go into exists. */
typedef struct Row {
  uint32_t n_slots, n_held;
  rille_Held **held;
  rille_Slot slots[];
} Row;

static int row_gc(lua_State *L) {
  Row *row = lua_touserdata(L, 1);
  while (row->n_held > 0) rille_drop_ref(row->held[--row->n_held]);
  return 0;
}

/* Pushes a Row with room for n values. */
static Row *push_row(lua_State *L, uint32_t n) {
  size_t slots_size = 2 * (size_t)n * sizeof(rille_Slot);
  Row *row = wasm_new_object(L, TYPE_ROW, sizeof *row + slots_size + n * sizeof(rille_Held *));
  row->held = (rille_Held **)(void *)((char *)row->slots + slots_size);
  return row;
}

/* Appends the value at `at`. */
static bool add_to_row(lua_State *L, Row *row, int at, const Home *home, rille_ValueType type) {
  rille_Slot *slot = &row->slots[row->n_slots];
  if (!wasm_read_value(L, at, home, type, slot)) return false;
  row->n_slots += wasm_slots_of(type);
  if (wasm_is_reference(type) && rille_type_family(type) != RILLE_FUNC_FAMILY && *slot != 0 &&
      rille_ref_kind(*slot) != RILLE_REF_I31) {
    rille_Held *held = rille_hold_ref(home->store, *slot);
    if (!held) luaL_error(L, "not enough memory");
    row->held[row->n_held++] = held;
  }
  return true;
}

const rille_Slot *wasm_read_row(lua_State *L, int first, const Home *home,
                                const rille_ValueType *types, uint32_t n, uint32_t *bad) {
  first = lua_absindex(L, first);
  Row *row = push_row(L, n);
  for (uint32_t i = 0; i < n; i++) {
    if (add_to_row(L, row, first + (int)i, home, types[i])) continue;
    *bad = i;
    return NULL;
  }
  return row->slots;
}

/* ---- Fields -----------------------------------------------------------------------------------*/

/* Pushes the map from names to fields of the type, or false, that the group at `group` keeps. */
static void push_known_fields(lua_State *L, int group, rille_ValueType type) {
  if (compat_getfield(L, group, "fields") == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, group, "fields");
  }
  compat_rawgeti(L, -1, type);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    compat_rawseti(L, -3, type);
  }
  lua_remove(L, -2);
}

static rille_Module *group_module(lua_State *L, int group) {
  lua_getfield(L, group, "module");
  const ModuleBox *box = lua_isnil(L, -1) ? NULL : lua_touserdata(L, -1);
  lua_pop(L, 1);
  return box ? box->module : NULL;
}

/* The field that the name at `at` means. */
static bool find_name(lua_State *L, const ObjectBox *box, int self, int at, uint32_t *field) {
  rille_ValueType type = rille_object_type(box->ref);
  compat_get_attached(L, self);
  int group = lua_gettop(L);
  push_known_fields(L, group, type);
  lua_pushvalue(L, at);
  lua_rawget(L, -2);
  bool is_found = lua_type(L, -1) == LUA_TNUMBER;
  if (is_found) {
    *field = (uint32_t)lua_tointeger(L, -1);
  } else {
    size_t size;
    const char *name = lua_tolstring(L, at, &size);
    is_found = rille_find_field(rille_ref_store(box->ref), group_module(L, group), type, name, size,
                                field);
    if (is_found) {
      lua_pushvalue(L, at);
      lua_pushinteger(L, (lua_Integer)*field);
      lua_rawset(L, group + 1);
    }
  }
  lua_settop(L, group - 1);
  return is_found;
}

static bool is_array(const ObjectBox *box) {
  return rille_ref_kind(box->ref) == RILLE_REF_ARRAY;
}

static uint32_t count_fields(const ObjectBox *box) {
  return is_array(box) ? rille_array_length(box->ref)
                       : rille_type_fields(rille_object_type(box->ref));
}

static int raise_no_field(lua_State *L, const ObjectBox *box, int at) {
  if (is_array(box) && lua_type(L, at) == LUA_TNUMBER) {
    return wasm_raise_out_of_bounds(L, "out of bounds array access");
  }
  luaL_tolstring(L, at, NULL);
  return luaL_error(L, "no field '%s' in %s", lua_tostring(L, -1),
                    is_array(box) ? "array" : "struct");
}

/* The index of the field that the key at `at` names. */
static uint32_t check_field(lua_State *L, const ObjectBox *box, int self, int at) {
  uint64_t index;
  uint32_t field;
  if (lua_type(L, at) == LUA_TNUMBER) {
    if (wasm_read_count(L, at, UINT32_MAX, &index) && index < count_fields(box)) {
      return (uint32_t)index;
    }
  } else if (lua_type(L, at) == LUA_TSTRING && !is_array(box)) {
    if (find_name(L, box, self, at, &field)) return field;
  }
  raise_no_field(L, box, at);
  return 0;
}

static rille_Field field_of(const ObjectBox *box, uint32_t index) {
  rille_Field field;
  rille_type_field(rille_object_type(box->ref), is_array(box) ? 0 : index, &field);
  return field;
}

/* Pushes the group of the object at `self`. */
static Home push_home(lua_State *L, const ObjectBox *box, int self) {
  compat_get_attached(L, self);
  return (Home){box->state, rille_ref_store(box->ref), NULL, lua_gettop(L)};
}

static int push_field(lua_State *L, const ObjectBox *box, int self, uint32_t index,
                      bool is_signed) {
  rille_Slot slot[2];
  rille_get_field(box->ref, index, is_signed, slot);
  const Home home = push_home(L, box, self);
  wasm_push_value(L, &home, field_of(box, index).type, slot);
  return 1;
}

static int object_index(lua_State *L) {
  const ObjectBox *box = check_object(L, 1, "index");
  if (lua_type(L, 2) == LUA_TSTRING) {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(N_SHARED_UPVALUES + 1));
    if (!lua_isnil(L, -1)) return 1;
    lua_pop(L, 1);
  }
  return push_field(L, box, 1, check_field(L, box, 1, 2), false);
}

static int object_newindex(lua_State *L) {
  const ObjectBox *box = check_object(L, 1, "newindex");
  uint32_t index = check_field(L, box, 1, 2);
  rille_Field field = field_of(box, index);
  rille_Slot slot[2];
  lua_settop(L, 3);
  if (!field.is_mutable) {
    luaL_tolstring(L, 2, NULL);
    return luaL_error(L, "field '%s' is immutable", lua_tostring(L, -1));
  }
  const Home home = push_home(L, box, 1);
  if (!wasm_read_value(L, 3, &home, field.type, slot)) {
    luaL_tolstring(L, 2, NULL);
    const char *name = lua_tostring(L, -1);
    return luaL_error(L, "bad field '%s' (%s)", name, wasm_expected(L, 3, field.type));
  }
  if (!rille_set_field(box->ref, index, slot)) return luaL_error(L, "not enough memory");
  return 0;
}

static int object_get_s(lua_State *L) {
  const ObjectBox *box = check_object(L, 1, "get_s");
  luaL_checkany(L, 2);
  return push_field(L, box, 1, check_field(L, box, 1, 2), true);
}

static int array_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)count_fields(check_object(L, 1, "len")));
  return 1;
}

/* Pushes the type as text. */
static void push_type_text(lua_State *L, rille_ValueType type) {
  char text[256];
  size_t size = rille_print_object_type(type, text, sizeof text);
  if (size < sizeof text) {
    lua_pushlstring(L, text, size);
    return;
  }
  char *longer = lua_newuserdata(L, size + 1);
  rille_print_object_type(type, longer, size + 1);
  lua_pushlstring(L, longer, size);
  lua_remove(L, -2);
}

bool wasm_push_object_signature(lua_State *L, int at) {
  const ObjectBox *box = test_object(L, at);
  const TypeBox *type = luaL_testudata(L, at, TYPE_TYPE);
  if (box && box->held) {
    push_type_text(L, rille_object_type(box->ref));
  } else if (type && type->store) {
    push_type_text(L, type->type);
  } else {
    return false;
  }
  return true;
}

static int object_tostring(lua_State *L) {
  const ObjectBox *box = check_object(L, 1, "tostring");
  lua_pushfstring(L, "wasm %s: %p ", is_array(box) ? "array" : "struct",
                  (const void *)(uintptr_t)box->ref);
  push_type_text(L, rille_object_type(box->ref));
  lua_concat(L, 2);
  return 1;
}

/* ---- Constructors -----------------------------------------------------------------------------*/

static TypeBox *check_type(lua_State *L, int at) {
  TypeBox *box = luaL_testudata(L, at, TYPE_TYPE);
  if (!box || !box->store) {
    wasm_error_misuse(L, at, "new", "type expected, got %s", luaL_typename(L, at));
  }
  return box;
}

static int finish_new(lua_State *L, const Home *home, rille_Slot ref, rille_Error *error) {
  if (ref == 0) {
    wasm_push_error(L, error);
    return wasm_raise(L);
  }
  wasm_push_any(L, home, ref);
  wasm_count_external(L, home->state, 64);
  return 1;
}

/* The fields from stack index `first` on; none at all: defaults. */
static int new_struct(lua_State *L, const TypeBox *box, const Home *home, int first) {
  uint32_t n = rille_type_fields(box->type);
  int n_given = home->group - first;
  rille_Error *error = NULL;
  if (n_given == 0) {
    return finish_new(L, home, rille_new_struct(box->store, box->type, NULL, &error), error);
  }
  luaL_checkstack(L, 16, "too many fields");
  Row *row = push_row(L, n);
  for (uint32_t i = 0; i < n; i++) {
    rille_Field field;
    rille_type_field(box->type, i, &field);
    int at = (int)i < n_given ? first + (int)i : lua_gettop(L) + 1;
    if (add_to_row(L, row, at, home, field.type)) continue;
    wasm_error_misuse(L, (int)i + 1, "new", "%s", wasm_expected(L, at, field.type));
  }
  return finish_new(L, home, rille_new_struct(box->store, box->type, row->slots, &error), error);
}

static int fail_element(lua_State *L, int at, rille_ValueType type) {
  return wasm_error_misuse(L, 1, "new", "element: %s", wasm_expected(L, at, type));
}

/* From the elements of the table at `list`. An array without a default starts with the first. */
static int new_from_list(lua_State *L, const TypeBox *box, const Home *home, int list,
                         rille_ValueType type) {
  size_t n = lua_rawlen(L, list);
  rille_Error *error = NULL;
  rille_Slot slot[2] = {0, 0};
  if (n > UINT32_MAX) return luaL_error(L, "too many elements");
  if (n > 0) {
    compat_rawgeti(L, list, 1);
    if (!wasm_read_value(L, -1, home, type, slot)) return fail_element(L, -1, type);
  }
  rille_Slot ref = rille_new_array(box->store, box->type, (uint32_t)n, n > 0 ? slot : NULL, &error);
  finish_new(L, home, ref, error);
  for (size_t i = 1; i < n; i++) {
    compat_rawgeti(L, list, i + 1);
    if (!wasm_read_value(L, -1, home, type, slot)) return fail_element(L, -1, type);
    lua_pop(L, 1);
    rille_init_field(ref, (uint32_t)i, slot);
  }
  return 1;
}

/* Bytes for packed integers of 8 bits. */
static int new_from_string(lua_State *L, const TypeBox *box, const Home *home, int at) {
  size_t n;
  const char *bytes = lua_tolstring(L, at, &n);
  rille_Error *error = NULL;
  if (n > UINT32_MAX) return luaL_error(L, "too many elements");
  rille_Slot ref = rille_new_array(box->store, box->type, (uint32_t)n, NULL, &error);
  for (size_t i = 0; ref != 0 && i < n; i++) {
    const rille_Slot byte = (uint8_t)bytes[i];
    rille_init_field(ref, (uint32_t)i, &byte);
  }
  return finish_new(L, home, ref, error);
}

/* A count and a value; or a list; or a string. */
static int new_array(lua_State *L, const TypeBox *box, const Home *home, int first) {
  rille_Field field;
  uint64_t n;
  rille_Slot slot[2];
  rille_Error *error = NULL;
  bool has_value = home->group - first >= 2;
  rille_type_field(box->type, 0, &field);
  if (home->group == first) wasm_error_misuse(L, 1, "new", "count, list or string expected");
  if (lua_istable(L, first)) return new_from_list(L, box, home, first, field.type);
  if (lua_type(L, first) == LUA_TSTRING && field.packed_bits == 8) {
    return new_from_string(L, box, home, first);
  }
  if (!wasm_read_count(L, first, UINT32_MAX, &n)) {
    wasm_error_misuse(L, 1, "new", "count, list or string expected, got %s",
                      luaL_typename(L, first));
  }
  if (has_value && !wasm_read_value(L, first + 1, home, field.type, slot)) {
    wasm_error_misuse(L, 2, "new", "%s", wasm_expected(L, first + 1, field.type));
  }
  rille_Slot ref =
      rille_new_array(box->store, box->type, (uint32_t)n, has_value ? slot : NULL, &error);
  return finish_new(L, home, ref, error);
}

/* The type is at `self`, what is given from `first` on. */
static int construct(lua_State *L, int self, int first) {
  const TypeBox *box = check_type(L, self);
  luaL_checkstack(L, 8, "too many values");
  compat_get_attached(L, self);
  const Home home = {box->state, box->store, NULL, lua_gettop(L)};
  return rille_type_kind(box->type) == RILLE_REF_STRUCT ? new_struct(L, box, &home, first)
                                                        : new_array(L, box, &home, first);
}

static int type_call(lua_State *L) {
  return construct(L, 1, 2);
}

/* type.new(...); the type is behind the shared upvalues. type:new(...) works too. */
static int type_new(lua_State *L) {
  int self = lua_upvalueindex(N_SHARED_UPVALUES + 1);
  return construct(L, self, lua_gettop(L) > 0 && lua_rawequal(L, 1, self) ? 2 : 1);
}

static int type_index(lua_State *L) {
  check_type(L, 1);
  if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "new") == 0) {
    wasm_push_shared(L);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, type_new, N_SHARED_UPVALUES + 1);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static int type_tostring(lua_State *L) {
  lua_pushliteral(L, "wasm type ");
  push_type_text(L, check_type(L, 1)->type);
  lua_concat(L, 2);
  return 1;
}

static int type_gc(lua_State *L) {
  TypeBox *box = lua_touserdata(L, 1);
  if (!box->store) return 0;
  rille_free_store(box->store);
  box->store = NULL;
  wasm_state_drop(box->state);
  return 0;
}

static uint32_t check_type_index(lua_State *L, rille_Module *module) {
  uint64_t number;
  uint32_t index = 0;
  if (lua_type(L, 2) == LUA_TNUMBER && wasm_read_count(L, 2, UINT32_MAX, &number)) {
    return (uint32_t)number;
  }
  if (lua_type(L, 2) != LUA_TSTRING) {
    wasm_error_misuse(L, 1, "type", "name or index expected, got %s", luaL_typename(L, 2));
  }
  size_t size;
  const char *name = lua_tolstring(L, 2, &size);
  if (!rille_find_type(module, name, size, &index)) {
    wasm_error_misuse(L, 1, "type", "no type named '%s' in the module", name);
  }
  return index;
}

/* The store that objects are made in: that of the instance at index 3, or a new one. Pushes its
 * group. */
static rille_Store *push_type_store(lua_State *L, State *state) {
  if (lua_isnoneornil(L, 3)) {
    wasm_new_group(L);
    return rille_new_store(state->engine);
  }
  const Inst *inst = luaL_testudata(L, 3, TYPE_INSTANCE);
  if (!inst) wasm_error_misuse(L, 2, "type", "instance expected, got %s", luaL_typename(L, 3));
  if (!inst->instance) luaL_error(L, "bad call to 'type' (instance is closed)");
  wasm_push_inst_group(L, inst);
  rille_retain_store(inst->store);
  return inst->store;
}

int wasm_module_type(lua_State *L, const ModuleBox *module) {
  State *state = wasm_state(L);
  rille_ValueType type;
  lua_settop(L, 3);
  if (!rille_module_type(module->module, check_type_index(L, module->module), &type)) {
    return wasm_error_misuse(L, 1, "type", "the type is neither struct nor array");
  }
  TypeBox *box = wasm_new_object(L, TYPE_TYPE, sizeof *box);
  rille_Store *store = push_type_store(L, state);
  if (!store) return luaL_error(L, "not enough memory");
  box->store = store;
  box->type = type;
  box->state = state;
  wasm_state_hold(state);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "module");
  compat_set_attached(L, -2);
  return 1;
}

/* ---- Following Lua's collector ----------------------------------------------------------------*/

static rille_Store *store_at(lua_State *L, int at) {
  if (lua_type(L, at) != LUA_TUSERDATA) return NULL;
  const Inst *inst = luaL_testudata(L, at, TYPE_INSTANCE);
  if (inst) return inst->instance ? inst->store : NULL;
  const Item *item = wasm_test_item(L, at);
  if (!item || item->is_closed) return NULL;
  if (item->kind == RILLE_EXTERN_TABLE) return rille_table_store(item->table);
  return item->kind == RILLE_EXTERN_GLOBAL ? rille_global_store(item->global) : NULL;
}

/* Collects every store that Lua has something of, once. */
static void collect_stores(lua_State *L) {
  enum { MOST_SEEN = 64 };
  const rille_Store *seen[MOST_SEEN];
  size_t n_seen = 0;
  wasm_push_objects(L);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    rille_Store *store = store_at(L, -1);
    size_t i = 0;
    while (i < n_seen && seen[i] != store) i++;
    if (!store || i < n_seen) continue;
    if (n_seen < MOST_SEEN) seen[n_seen++] = store;
    rille_collect(store);
  }
  lua_pop(L, 1);
}

static void new_collector(lua_State *L) {
  (void)wasm_new_object(L, TYPE_COLLECTOR, 1);
  lua_pop(L, 1);
}

static int collector_gc(lua_State *L) {
  const Runner *self = lua_touserdata(L, lua_upvalueindex(UP_SELF));
  State *state = self->state;
  if (!state || state->is_closing) return 0;
  if (state->n_cells > 0) {
    collect_stores(L);
    wasm_reap_externs(L, state);
  }
  new_collector(L);
  return 0;
}

/* ---- Opening ----------------------------------------------------------------------------------*/

static void define_object(lua_State *L, const char *type, const luaL_Reg *metamethods) {
  static const luaL_Reg methods[] = {{"get_s", object_get_s}, {NULL, NULL}};
  wasm_define_type(L, type, NULL, metamethods);
  luaL_getmetatable(L, type);
  wasm_push_shared(L);
  lua_newtable(L);
  wasm_set_functions(L, methods);
  lua_pushcclosure(L, object_index, N_SHARED_UPVALUES + 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void wasm_open_gc(lua_State *L) {
  static const luaL_Reg structure[] = {{"__newindex", object_newindex},
                                       {"__gc", object_gc},
                                       {"__tostring", object_tostring},
                                       {NULL, NULL}};
  static const luaL_Reg array[] = {{"__newindex", object_newindex},
                                   {"__len", array_len},
                                   {"__gc", object_gc},
                                   {"__tostring", object_tostring},
                                   {NULL, NULL}};
  static const luaL_Reg type[] = {{"__index", type_index},
                                  {"__call", type_call},
                                  {"__tostring", type_tostring},
                                  {"__gc", type_gc},
                                  {NULL, NULL}};
  static const luaL_Reg row[] = {{"__gc", row_gc}, {NULL, NULL}};
  static const luaL_Reg collector[] = {{"__gc", collector_gc}, {NULL, NULL}};
  define_object(L, TYPE_STRUCT, structure);
  define_object(L, TYPE_ARRAY, array);
  wasm_define_type(L, TYPE_TYPE, NULL, type);
  wasm_define_type(L, TYPE_ROW, NULL, row);
  wasm_define_type(L, TYPE_COLLECTOR, NULL, collector);
  new_collector(L);
}
