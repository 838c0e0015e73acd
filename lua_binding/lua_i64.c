/* lua_i64.c - 64-bit integers: the texts of integers everywhere, and a boxed integer for Luas that
 * have none (int64_t cdata on LuaJIT).
 */
#include "lua_wasm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LUAJIT_CDATA = 10 };

bool wasm_number_to_i64(lua_Number x, int64_t *out) {
  double d = (double)x;
  if (!(d >= -9223372036854775808.0 && d < 18446744073709551616.0) || d != floor(d)) return false;
  *out = d < 9223372036854775808.0 ? (int64_t)d : (int64_t)(uint64_t)d;
  return true;
}

static int digit_of(char c, unsigned base) {
  int d = c >= '0' && c <= '9'                 ? c - '0'
          : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                               : 99;
  return d < (int)base ? d : -1;
}

bool wasm_parse_i64(const char *text, size_t size, int64_t *out) {
  const char *end = text + size;
  bool is_negative = text < end && *text == '-';
  if (text < end && (*text == '-' || *text == '+')) text++;
  unsigned base = 10;
  if (end - text > 2 && text[0] == '0' && (text[1] | 32) == 'x') {
    base = 16;
    text += 2;
  }
  if (text == end) return false;
  uint64_t x = 0;
  for (; text < end; text++) {
    int digit = digit_of(*text, base);
    if (digit < 0 || x > (UINT64_MAX - (unsigned)digit) / base) return false;
    x = x * base + (unsigned)digit;
  }
  if (is_negative && x > (uint64_t)1 << 63) return false;
  *out = (int64_t)(is_negative ? 0 - x : x);
  return true;
}

#if HAS_INTEGERS

void wasm_open_i64(lua_State *L) {
  (void)L;
}

bool wasm_test_i64(lua_State *L, int at, int64_t *out) {
  (void)L;
  (void)at;
  (void)out;
  return false;
}

void wasm_box_i64(lua_State *L, int64_t x) {
  lua_pushinteger(L, (lua_Integer)x);
}

#else

static const char key_cdata; /* registry: LuaJIT's ffi.typeof "int64_t", or false */

bool wasm_test_i64(lua_State *L, int at, int64_t *out) {
  if (lua_type(L, at) == LUAJIT_CDATA) {
    /* int64_t and uint64_t keep their 8 bytes at lua_topointer; others are told apart by text. */
    lua_getglobal(L, "tostring");
    lua_pushvalue(L, at < 0 ? at - 1 : at);
    lua_call(L, 1, 1);
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    bool is_integer = size > 2 && (strcmp(text + size - 2, "LL") == 0);
    lua_pop(L, 1);
    if (is_integer) memcpy(out, lua_topointer(L, at), sizeof *out);
    return is_integer;
  }
  const int64_t *box = luaL_testudata(L, at, TYPE_I64);
  if (box) *out = *box;
  return box != NULL;
}

void wasm_box_i64(lua_State *L, int64_t x) {
  (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_cdata);
  if (lua_toboolean(L, -1)) {
    lua_call(L, 0, 1);
    memcpy((void *)(uintptr_t)lua_topointer(L, -1), &x, sizeof x);
    return;
  }
  lua_pop(L, 1);
  int64_t *box = wasm_new_object(L, TYPE_I64, sizeof *box);
  *box = x;
}

static int64_t operand(lua_State *L, int at) {
  rille_Slot slot;
  if (!wasm_read_i64(L, at, &slot)) {
    luaL_error(L, "attempt to perform 64-bit arithmetic on a %s value", luaL_typename(L, at));
  }
  return (int64_t)slot;
}

static int64_t divide(lua_State *L, int64_t a, int64_t b, bool wants_rest) {
  if (b == 0) luaL_error(L, "attempt to divide by zero");
  if (b == -1) return wants_rest ? 0 : (int64_t)(0 - (uint64_t)a);
  int64_t q = a / b, r = a % b;
  if (r != 0 && (r ^ b) < 0) { /* towards minus infinity, as Lua does */
    q--;
    r += b;
  }
  return wants_rest ? r : q;
}

#define ARITHMETIC(name, expression)              \
  static int name(lua_State *L) {                 \
    int64_t a = operand(L, 1), b = operand(L, 2); \
    wasm_box_i64(L, (int64_t)(expression));       \
    return 1;                                     \
  }
ARITHMETIC(i64_add, (uint64_t)a + (uint64_t)b)
ARITHMETIC(i64_sub, (uint64_t)a - (uint64_t)b)
ARITHMETIC(i64_mul, (uint64_t)a *(uint64_t)b)
ARITHMETIC(i64_div, divide(L, a, b, false))
ARITHMETIC(i64_mod, divide(L, a, b, true))
#undef ARITHMETIC

static int i64_unm(lua_State *L) {
  wasm_box_i64(L, (int64_t)(0 - (uint64_t)operand(L, 1)));
  return 1;
}

#define COMPARISON(name, operator)                            \
  static int name(lua_State *L) {                             \
    lua_pushboolean(L, operand(L, 1) operator operand(L, 2)); \
    return 1;                                                 \
  }
COMPARISON(i64_eq, ==)
COMPARISON(i64_lt, <)
COMPARISON(i64_le, <=)
#undef COMPARISON

static int i64_tonumber(lua_State *L) {
  lua_pushnumber(L, (lua_Number)operand(L, 1));
  return 1;
}

static int i64_tostring(lua_State *L) {
  char text[32];
  snprintf(text, sizeof text, "%lld", (long long)operand(L, 1));
  lua_pushstring(L, text);
  return 1;
}

static int i64_concat(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

/* On LuaJIT with its ffi: keeps ffi.typeof "int64_t". */
static void find_cdata(lua_State *L) {
  lua_pushboolean(L, false);
  lua_getglobal(L, "jit");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "ffi");
  if (lua_istable(L, -3) && lua_pcall(L, 1, 1, 0) == LUA_OK && lua_istable(L, -1)) {
    lua_getfield(L, -1, "typeof");
    lua_pushliteral(L, "int64_t");
    if (lua_pcall(L, 1, 1, 0) == LUA_OK) lua_replace(L, 1);
  }
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_cdata);
}

static int run_find_cdata(lua_State *L) {
  lua_settop(L, 0);
  find_cdata(L);
  return 0;
}

void wasm_open_i64(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"tonumber", i64_tonumber}, {"eq", i64_eq}, {"lt", i64_lt}, {"le", i64_le}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__add", i64_add},       {"__sub", i64_sub},
                                         {"__mul", i64_mul},       {"__div", i64_div},
                                         {"__mod", i64_mod},       {"__unm", i64_unm},
                                         {"__eq", i64_eq},         {"__lt", i64_lt},
                                         {"__le", i64_le},         {"__tostring", i64_tostring},
                                         {"__concat", i64_concat}, {NULL, NULL}};
  wasm_define_type(L, TYPE_I64, methods, metamethods);
  lua_pushcfunction(L, run_find_cdata);
  lua_call(L, 0, 0);
}

#endif

int wasm_i64(lua_State *L) {
  rille_Slot slot;
  if (!wasm_read_i64(L, 1, &slot)) {
    return wasm_error_misuse(L, 1, "i64", "%s", wasm_expected(L, 1, RILLE_I64));
  }
  wasm_box_i64(L, (int64_t)slot);
  return 1;
}
