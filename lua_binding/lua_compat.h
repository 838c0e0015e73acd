/* lua_compat.h - one C source for Lua 5.1 to 5.5 and LuaJIT.
 *
 * The code is written for 5.4; what an older Lua lacks is defined here under its 5.4 name, and what
 * has no such name starts with compat_. 5.1 and LuaJIT share one library, so what only LuaJIT has
 * is looked for at run time.
 */
#ifndef LUA_COMPAT_H
#define LUA_COMPAT_H

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../core/base/rock.h"

#define HAS_INTEGERS (LUA_VERSION_NUM >= 503)
/* Without lua_callk a host function cannot be called from C such that it may yield: the functions
 * that users see are Lua closures around C steps (lua_call.c). */
#define HAS_CALLK (LUA_VERSION_NUM >= 502)

#if defined(__GNUC__)
#define LIKELY(x)                  __builtin_expect(!!(x), 1)
#define UNLIKELY(x)                __builtin_expect(!!(x), 0)
#define FORCE_INLINE               inline __attribute__((always_inline))
#define COLD                       __attribute__((cold, noinline))
#define PRINTF_LIKE(string, first) __attribute__((format(printf, string, first)))
#else
#define LIKELY(x)    (x)
#define UNLIKELY(x)  (x)
#define FORCE_INLINE inline
#define COLD
#define PRINTF_LIKE(string, first)
#endif

#ifndef LUA_OK
#define LUA_OK 0
#endif

/* Every userdata here has one value attached, a table. */
#if LUA_VERSION_NUM >= 504
#define compat_new_userdata(L, size) lua_newuserdatauv((L), (size), 1)
#define compat_set_attached(L, at)   ((void)lua_setiuservalue((L), (at), 1))
#define compat_get_attached(L, at)   ((void)lua_getiuservalue((L), (at), 1))
#elif LUA_VERSION_NUM >= 502
#define compat_new_userdata(L, size) lua_newuserdata((L), (size))
#define compat_set_attached(L, at)   lua_setuservalue((L), (at))
#define compat_get_attached(L, at)   ((void)lua_getuservalue((L), (at)))
#else
#define compat_new_userdata(L, size) lua_newuserdata((L), (size))
#define compat_set_attached(L, at)   ((void)lua_setfenv((L), (at)))
#define compat_get_attached(L, at)   lua_getfenv((L), (at))
#endif

#if LUA_VERSION_NUM >= 503
#define compat_rawgeti(L, at, n)  ((void)lua_rawgeti((L), (at), (lua_Integer)(n)))
#define compat_rawget(L, at)      (lua_rawget((L), (at)))
#define compat_rawgetp(L, at, p)  (lua_rawgetp((L), (at), (p)))
#define compat_getfield(L, at, k) (lua_getfield((L), (at), (k)))
#define compat_rawseti(L, at, n)  lua_rawseti((L), (at), (lua_Integer)(n))
#else
#define compat_rawgeti(L, at, n)  lua_rawgeti((L), (at), (int)(n))
#define compat_rawget(L, at)      (lua_rawget((L), (at)), lua_type((L), -1))
#define compat_rawgetp(L, at, p)  (lua_rawgetp((L), (at), (p)), lua_type((L), -1))
#define compat_getfield(L, at, k) (lua_getfield((L), (at), (k)), lua_type((L), -1))
#define compat_rawseti(L, at, n)  lua_rawseti((L), (at), (int)(n))
#endif

/* A continuation for lua_callk, written as `static int name_go_on(lua_State *L, intptr_t context)`
 * before DEFINE_CONTINUATION(name). One for lua_pcallk also gets a status, LUA_YIELD when all went
 * well. */
#if LUA_VERSION_NUM >= 503
#define DEFINE_CONTINUATION(name)                                   \
  static int name(lua_State *L, int status, lua_KContext context) { \
    (void)status;                                                   \
    return name##_go_on(L, (intptr_t)context);                      \
  }
#define DEFINE_GUARDED_CONTINUATION(name)                           \
  static int name(lua_State *L, int status, lua_KContext context) { \
    return name##_go_on(L, status, (intptr_t)context);              \
  }
#define compat_callk(L, n, r, context, k) lua_callk((L), (n), (r), (lua_KContext)(context), (k))
#define compat_pcallk(L, n, r, context, k) \
  lua_pcallk((L), (n), (r), 0, (lua_KContext)(context), (k))
#elif LUA_VERSION_NUM == 502
#define DEFINE_CONTINUATION(name)    \
  static int name(lua_State *L) {    \
    int context = 0;                 \
    (void)lua_getctx(L, &context);   \
    return name##_go_on(L, context); \
  }
#define DEFINE_GUARDED_CONTINUATION(name)    \
  static int name(lua_State *L) {            \
    int context = 0;                         \
    int status = lua_getctx(L, &context);    \
    return name##_go_on(L, status, context); \
  }
#define compat_callk(L, n, r, context, k)  lua_callk((L), (n), (r), (int)(context), (k))
#define compat_pcallk(L, n, r, context, k) lua_pcallk((L), (n), (r), 0, (int)(context), (k))
#endif

#if LUA_VERSION_NUM < 503
static inline void lua_rotate(lua_State *L, int at, int n) {
  for (; n > 0; n--) lua_insert(L, at);
}
#endif

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen

static inline int lua_absindex(lua_State *L, int at) {
  return at > 0 || at <= LUA_REGISTRYINDEX ? at : lua_gettop(L) + at + 1;
}

static inline void lua_rawgetp(lua_State *L, int at, const void *key) {
  at = lua_absindex(L, at);
  lua_pushlightuserdata(L, (void *)(uintptr_t)key);
  lua_rawget(L, at);
}

/* Sets t[key] to the value on top. */
static inline void lua_rawsetp(lua_State *L, int at, const void *key) {
  at = lua_absindex(L, at);
  lua_pushlightuserdata(L, (void *)(uintptr_t)key);
  lua_insert(L, -2);
  lua_rawset(L, at);
}

static inline void compat_setfuncs(lua_State *L, const luaL_Reg *list, int n_upvalues) {
  for (; list->name; list++) {
    for (int i = 0; i < n_upvalues; i++) lua_pushvalue(L, -n_upvalues);
    lua_pushcclosure(L, list->func, n_upvalues);
    lua_setfield(L, -(n_upvalues + 2), list->name);
  }
  lua_pop(L, n_upvalues);
}
#define luaL_setfuncs compat_setfuncs

static inline void *compat_testudata(lua_State *L, int at, const char *name) {
  void *found = lua_touserdata(L, at);
  if (!found || !lua_getmetatable(L, at)) return NULL;
  lua_getfield(L, LUA_REGISTRYINDEX, name);
  if (!lua_rawequal(L, -1, -2)) found = NULL;
  lua_pop(L, 2);
  return found;
}
#define luaL_testudata compat_testudata

static inline void compat_setmetatable(lua_State *L, const char *name) {
  lua_getfield(L, LUA_REGISTRYINDEX, name);
  lua_setmetatable(L, -2);
}
#define luaL_setmetatable compat_setmetatable

static inline const char *compat_tolstring(lua_State *L, int at, size_t *size) {
  at = lua_absindex(L, at);
  if (!luaL_callmeta(L, at, "__tostring")) {
    switch (lua_type(L, at)) {
      case LUA_TSTRING:
      case LUA_TNUMBER: lua_pushvalue(L, at); break;
      case LUA_TBOOLEAN: lua_pushstring(L, lua_toboolean(L, at) ? "true" : "false"); break;
      case LUA_TNIL: lua_pushliteral(L, "nil"); break;
      default: lua_pushfstring(L, "%s: %p", luaL_typename(L, at), lua_topointer(L, at)); break;
    }
  }
  return lua_tolstring(L, -1, size);
}
#define luaL_tolstring compat_tolstring
#endif

#if !HAS_CALLK
/* luaL_error, but the position is that of the user's call, not of the Lua closure in between (whose
 * chunk is called "wasm"). */
static inline int compat_error(lua_State *L, const char *format, ...) {
  lua_Debug caller;
  va_list args;
  bool is_wrapped = lua_getstack(L, 1, &caller) && lua_getinfo(L, "S", &caller) &&
                    strcmp(caller.source, "=wasm") == 0;
  luaL_where(L, is_wrapped ? 2 : 1);
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}
#define luaL_error compat_error
#endif

#endif
