/* native.c - the Lua module `bench_native`: a clock, and the plain C functions that calls into and
 * out of guests are compared with. Built by scripts/bench.lua for the Lua it runs in. */
#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <time.h>

int luaopen_bench_native(lua_State *L);

static int64_t read_clock(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* cpu() -> nanoseconds that this thread has run */
static int bench_cpu(lua_State *L) {
  lua_pushnumber(L, (lua_Number)read_clock(CLOCK_THREAD_CPUTIME_ID));
  return 1;
}

/* now() -> nanoseconds of a clock that never jumps */
static int bench_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)read_clock(CLOCK_MONOTONIC));
  return 1;
}

/* busy() -> nanoseconds that this thread has run: other programs do not count */
static int bench_busy(lua_State *L) {
  lua_pushnumber(L, (lua_Number)read_clock(CLOCK_THREAD_CPUTIME_ID));
  return 1;
}

/* add(a, b) -> a + b: what the cheapest useful C function costs */
static int bench_add(lua_State *L) {
  lua_pushinteger(L, luaL_checkinteger(L, 1) + luaL_checkinteger(L, 2));
  return 1;
}

/* call(f, n) -> nanoseconds for n times f(i, 1) by lua_call */
static int bench_call(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 2), sum = 0;
  int64_t began = read_clock(CLOCK_THREAD_CPUTIME_ID);
  for (lua_Integer i = 0; i < n; i++) {
    lua_pushvalue(L, 1);
    lua_pushinteger(L, i);
    lua_pushinteger(L, 1);
    lua_call(L, 2, 1);
    sum += lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
  lua_pushnumber(L, (lua_Number)(read_clock(CLOCK_THREAD_CPUTIME_ID) - began));
  lua_pushinteger(L, sum);
  return 2;
}

static int bench_nothing(lua_State *L) {
  (void)L;
  return 0;
}

static const char object_type[] = "bench.object";

/* object:checked(type, at) -> at: what a method costs that only looks at what it got */
static int bench_checked(lua_State *L) {
  luaL_checkudata(L, 1, object_type);
  luaL_checkstring(L, 2);
  lua_pushinteger(L, luaL_checkinteger(L, 3));
  return 1;
}

/* object() -> a userdata whose method `nothing` does nothing, and `checked` as above */
static int bench_object(lua_State *L) {
  lua_newuserdata(L, 8);
  luaL_newmetatable(L, object_type);
  lua_newtable(L);
  lua_pushcfunction(L, bench_nothing);
  lua_setfield(L, -2, "nothing");
  lua_pushcfunction(L, bench_checked);
  lua_setfield(L, -2, "checked");
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  return 1;
}

int luaopen_bench_native(lua_State *L) {
  static const struct {
    const char *name;
    lua_CFunction function;
  } functions[] = {{"now", bench_now}, {"cpu", bench_cpu},   {"busy", bench_busy},
                   {"add", bench_add}, {"call", bench_call}, {"object", bench_object}};
  lua_newtable(L);
  for (unsigned i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    lua_pushcfunction(L, functions[i].function);
    lua_setfield(L, -2, functions[i].name);
  }
  return 1;
}
