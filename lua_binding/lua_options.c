/* lua_options.c - reading option tables: unknown keys are misuse, and the nearest known one is
 * named.
 */
#include "lua_wasm.h"

#include <math.h>

/* Edit distance, where an exchange of neighbours counts one; long words are cut. */
static unsigned distance(const char *a, const char *b) {
  enum { LONGEST = 24 };
  unsigned rows[3][LONGEST + 1];
  size_t n = strlen(b);
  if (n > LONGEST) n = LONGEST;
  unsigned *before = rows[0], *last = rows[1], *now = rows[2];
  for (unsigned j = 0; j <= n; j++) last[j] = j;
  for (size_t i = 0; i < LONGEST && a[i]; i++) {
    now[0] = (unsigned)i + 1;
    for (size_t j = 0; j < n; j++) {
      unsigned best = last[j] + (a[i] != b[j]);
      if (last[j + 1] + 1 < best) best = last[j + 1] + 1;
      if (now[j] + 1 < best) best = now[j] + 1;
      if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] && before[j - 1] + 1 < best) {
        best = before[j - 1] + 1;
      }
      now[j + 1] = best;
    }
    unsigned *oldest = before;
    before = last;
    last = now;
    now = oldest;
  }
  return last[n];
}

const char *wasm_nearest(const char *word, const char *const *names) {
  const char *best = names[0];
  unsigned least = UINT32_MAX;
  for (; *names; names++) {
    unsigned d = distance(word, *names);
    if (d < least) {
      least = d;
      best = *names;
    }
  }
  return best;
}

unsigned wasm_near(const char *word, const char *name) {
  size_t allowed = strlen(word) / 3;
  unsigned d = distance(word, name);
  return d <= (allowed > 1 ? allowed : 1) ? d : NOT_NEAR;
}

static bool is_listed(const char *word, const char *const *names) {
  for (; *names; names++) {
    if (strcmp(word, *names) == 0) return true;
  }
  return false;
}

bool wasm_complain_of_options(lua_State *L, int at, const char *function,
                              const char *const *names) {
  if (lua_isnoneornil(L, at)) return false;
  if (!lua_istable(L, at)) {
    lua_pushfstring(L, "bad argument #%d to '%s' (table expected, got %s)", at, function,
                    luaL_typename(L, at));
    return true;
  }
  at = lua_absindex(L, at);
  for (lua_pushnil(L); lua_next(L, at) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      lua_pushfstring(L, "bad options to '%s' (a key is a %s, not a name)", function,
                      luaL_typename(L, -2));
      return true;
    }
    const char *key = lua_tostring(L, -2);
    if (is_listed(key, names)) continue;
    lua_pushfstring(L, "unknown option '%s' to '%s' (did you mean '%s'?)", key, function,
                    wasm_nearest(key, names));
    return true;
  }
  return false;
}

void wasm_check_options(lua_State *L, int at, const char *function, const char *const *names) {
  if (wasm_complain_of_options(L, at, function, names)) luaL_error(L, "%s", lua_tostring(L, -1));
}

/* Pushes the option and returns its type. */
static int get(lua_State *L, int at, const char *name) {
  if (lua_isnoneornil(L, at)) {
    lua_pushnil(L);
    return LUA_TNIL;
  }
  return compat_getfield(L, at, name);
}

static void bad_option(lua_State *L, const char *function, const char *name, const char *wanted) {
  luaL_tolstring(L, -1, NULL);
  luaL_error(L, "bad option '%s' to '%s' (%s expected, got %s)", name, function, wanted,
             lua_type(L, -2) == LUA_TNUMBER ? lua_tostring(L, -1) : luaL_typename(L, -2));
}

const char *wasm_option_string(lua_State *L, int at, const char *function, const char *name) {
  int type = get(L, at, name);
  if (type != LUA_TNIL && type != LUA_TSTRING) bad_option(L, function, name, "string");
  const char *text = type == LUA_TNIL ? NULL : lua_tostring(L, -1);
  lua_pop(L, 1); /* the table holds it */
  return text;
}

bool wasm_option_bool(lua_State *L, int at, const char *function, const char *name,
                      bool otherwise) {
  int type = get(L, at, name);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN) bad_option(L, function, name, "boolean");
  bool value = type == LUA_TNIL ? otherwise : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

bool wasm_read_count(lua_State *L, int at, uint64_t limit, uint64_t *out) {
  rille_Slot slot;
  if (lua_type(L, at) != LUA_TNUMBER || !wasm_read_i64(L, at, &slot)) return false;
  *out = slot;
  return lua_tonumber(L, at) >= 0 && slot <= limit;
}

static bool option_count(lua_State *L, int at, const char *function, const char *name,
                         uint64_t limit, const char *wanted, uint64_t *out) {
  int type = get(L, at, name);
  if (type != LUA_TNIL && !wasm_read_count(L, -1, limit, out)) {
    bad_option(L, function, name, wanted);
  }
  lua_pop(L, 1);
  return type != LUA_TNIL;
}

bool wasm_option_count(lua_State *L, int at, const char *function, const char *name,
                       uint64_t *out) {
  return option_count(L, at, function, name, INT64_MAX, "count", out);
}

bool wasm_option_stack(lua_State *L, int at, const char *function, uint64_t *out) {
  return option_count(L, at, function, "stack", RILLE_STACK_MAX, "count of at most 1 GiB", out);
}

bool wasm_option_seconds(lua_State *L, int at, const char *function, const char *name,
                         uint64_t *ns) {
  int type = get(L, at, name);
  if (type != LUA_TNIL) {
    lua_Number seconds = type == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    if (!(seconds >= 0)) bad_option(L, function, name, "seconds");
    *ns = seconds < 1e9 ? (uint64_t)(seconds * 1e9) : (uint64_t)1000000000 * 1000000000;
    if (*ns == 0) *ns = 1;
  }
  lua_pop(L, 1);
  return type != LUA_TNIL;
}
