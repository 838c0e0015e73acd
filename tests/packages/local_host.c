/* local_host.c - a host that loads Lua with local symbols: a module finds them only if it is linked
 * with liblua itself.
 *
 * local_host LIBRARY: runs a guest in the Lua of this shared library; status 0 when it answers.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>

typedef struct lua_State lua_State;

static const char program[] =
    "local wasm = require 'wasm'\n"
    "local e = assert(wasm.instantiate [[(module (func (export \"f\") (result i32)\n"
    "  (i32.const 42)))]]).exports\n"
    "assert(e.f() == 42)\n"
    "assert(require 'wasm.loader'.load)\n";

int main(int argc, char **argv) {
  void *library = dlopen(argc > 1 ? argv[1] : "", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  lua_State *(*new_state)(void) = (lua_State * (*)(void)) dlsym(library, "luaL_newstate");
  void (*open_libs)(lua_State *) = (void (*)(lua_State *))dlsym(library, "luaL_openlibs");
  int (*load_string)(lua_State *, const char *) =
      (int (*)(lua_State *, const char *))dlsym(library, "luaL_loadstring");
  int (*call)(lua_State *, int, int, int, ptrdiff_t, void *) =
      (int (*)(lua_State *, int, int, int, ptrdiff_t, void *))dlsym(library, "lua_pcallk");
  const char *(*to_string)(lua_State *, int, size_t *) =
      (const char *(*)(lua_State *, int, size_t *))dlsym(library, "lua_tolstring");
  void (*close)(lua_State *) = (void (*)(lua_State *))dlsym(library, "lua_close");
  lua_State *L = new_state();
  open_libs(L);
  int status = load_string(L, program);
  if (status == 0) status = call(L, 0, 0, 0, 0, NULL);
  if (status != 0) fprintf(stderr, "%s\n", to_string(L, -1, NULL));
  close(L);
  return status != 0;
}
