/* lua_threads.c - Lua states in threads of their own that contend for one shared memory.
 *
 * The first state makes a module and a memory and shares both; every thread adopts them in a state
 * of its own, instantiates, and counts, waits, grows and adopts again while the others do. Run
 * under the thread sanitizer; the module is found through LUA_CPATH.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include <lauxlib.h>
#include <lualib.h>

enum { N_THREADS = 4 };

static const char shared_source[] =
    "local wasm = require 'wasm'\n"
    "memory = wasm.memory {min = 1, max = 64, shared = true}\n"
    "module = assert(wasm.load [[(module (import \"e\" \"m\" (memory 1 64 shared))\n"
    "  (func $lock (loop $again\n"
    "    (if (i32.atomic.rmw.cmpxchg (i32.const 8) (i32.const 0) (i32.const 1)) (then\n"
    "      (drop (memory.atomic.wait32 (i32.const 8) (i32.const 1) (i64.const 1000000)))\n"
    "      (br $again)))))\n"
    "  (func $unlock (i32.atomic.store (i32.const 8) (i32.const 0))\n"
    "    (drop (memory.atomic.notify (i32.const 8) (i32.const 1))))\n"
    "  (func (export \"count\") (param $n i32) (loop $l\n"
    "    (drop (i64.atomic.rmw.add (i32.const 0) (i64.const 1)))\n"
    "    (call $lock)\n"
    "    (i32.atomic.store (i32.const 16) (i32.add (i32.atomic.load (i32.const 16))"
    "      (i32.const 1)))\n"
    "    (call $unlock)\n"
    "    (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))\n"
    "  (func (export \"grow\") (result i32) (memory.grow (i32.const 1)))\n"
    "  (func (export \"last\") (result i32) (i32.atomic.load\n"
    "    (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 4)))))]])\n"
    "return wasm.share(module), wasm.share(memory)\n";

static const char worker_source[] =
    "local wasm = require 'wasm'\n"
    "local module_token, memory_token = ...\n"
    "for round = 1, 20 do\n"
    "  local module = assert(wasm.adopt(module_token))\n"
    "  local memory = assert(wasm.adopt(memory_token))\n"
    "  local instance = assert(module:instantiate {e = {m = memory}})\n"
    "  instance.exports.count(500)\n"
    "  if round % 2 == 0 then instance.exports.grow() end\n"
    "  assert(instance.exports.last() == 0)\n"
    "  assert(wasm.share(memory) == memory_token)\n"
    "  module, memory, instance = nil, nil, nil\n"
    "  collectgarbage() collectgarbage()\n"
    "end\n";

/* Workers add 4 * 20 * 500; the memory holds 1 page and one for every other round. */
static const char check_source[] =
    "local n = 4 * 20 * 500\n"
    "assert(memory:load('i32', 0) == n and memory:load('i32', 16) == n, 'lost counts')\n"
    "assert(memory:pages() == 1 + 4 * 10, 'lost pages')\n";

static char module_token[64], memory_token[64];

static void *work(void *unused) {
  lua_State *L = luaL_newstate();
  (void)unused;
  luaL_openlibs(L);
  int status = luaL_loadstring(L, worker_source);
  lua_pushstring(L, module_token);
  lua_pushstring(L, memory_token);
  if (status == LUA_OK) status = lua_pcall(L, 2, 0, 0);
  if (status != LUA_OK) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return status == LUA_OK ? module_token : NULL;
}

static int run_workers(void) {
  pthread_t threads[N_THREADS];
  int n_done = 0;
  for (int i = 0; i < N_THREADS; i++) {
    if (pthread_create(&threads[i], NULL, work, NULL) != 0) return 0;
  }
  for (int i = 0; i < N_THREADS; i++) {
    void *result = NULL;
    pthread_join(threads[i], &result);
    n_done += result != NULL;
  }
  return n_done;
}

int main(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  bool ok = luaL_dostring(L, shared_source) == LUA_OK;
  if (ok) {
    snprintf(module_token, sizeof module_token, "%s", lua_tostring(L, -2));
    snprintf(memory_token, sizeof memory_token, "%s", lua_tostring(L, -1));
    ok = run_workers() == N_THREADS && luaL_dostring(L, check_source) == LUA_OK;
  }
  if (!ok && lua_isstring(L, -1)) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  printf("%d passed, %d failed\n", ok, !ok);
  return ok ? 0 : 1;
}
