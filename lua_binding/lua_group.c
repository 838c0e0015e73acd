/* lua_group.c - groups: what lives and dies together, as Lua tables.
 *
 * A group holds its instances, closures, extern values and the functions that guest code may have
 * got. Joined groups hold each other, so that Lua's collector sees them as one.
 */
#include "lua_wasm.h"

void wasm_new_group(lua_State *L) {
  lua_newtable(L);
}

static void hold(lua_State *L, int group, int value) {
  lua_pushvalue(L, value);
  lua_pushboolean(L, true);
  lua_rawset(L, group);
}

void wasm_anchor(lua_State *L, int group, int value) {
  hold(L, lua_absindex(L, group), lua_absindex(L, value));
}

void wasm_join_groups(lua_State *L, int a, int b) {
  a = lua_absindex(L, a);
  b = lua_absindex(L, b);
  if (lua_rawequal(L, a, b)) return;
  hold(L, a, b);
  hold(L, b, a);
}

void wasm_push_inst_field(lua_State *L, int inst, int field) {
  compat_get_attached(L, inst);
  compat_rawgeti(L, -1, field);
  lua_remove(L, -2);
}

bool wasm_push_inst(lua_State *L, const Inst *inst) {
  return wasm_find_object(L, inst);
}

void wasm_push_inst_group(lua_State *L, const Inst *inst) {
  if (!wasm_push_inst(L, inst)) luaL_error(L, "instance is closed");
  wasm_push_inst_field(L, -1, INST_GROUP);
  lua_remove(L, -2);
}
