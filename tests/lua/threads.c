/* threads.c - the Lua module `threads`, for tests/lua/schedule.lua: Lua states and OS threads.
 * Built by that file for the Lua it runs in. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdlib.h>

int luaopen_threads(lua_State *L);

/* A thread that calls the function with its arguments on L, which waits meanwhile. */
typedef struct Job {
  pthread_t thread;
  lua_State *L;
  int n_args, status;
} Job;

static void *run_job(void *data) {
  Job *job = data;
  job->status = lua_pcall(job->L, job->n_args, LUA_MULTRET, 0);
  return NULL;
}

/* elsewhere(f, ...): pcall(f, ...) in a new OS thread, with the same Lua state. */
static int elsewhere(lua_State *L) {
  Job job = {.L = L, .n_args = lua_gettop(L) - 1};
  if (pthread_create(&job.thread, NULL, run_job, &job) != 0) return luaL_error(L, "no thread");
  pthread_join(job.thread, NULL);
  lua_pushboolean(L, job.status == 0);
  lua_insert(L, 1);
  return lua_gettop(L);
}

/* What a state of its own needs to find the modules. */
static const char preamble[] = "package.path, package.cpath = ...";

static lua_State *new_state(lua_State *from, const char *chunk, int number) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return NULL;
  luaL_openlibs(L);
  lua_getglobal(from, "package");
  lua_getfield(from, -1, "path");
  lua_getfield(from, -2, "cpath");
  if (luaL_loadstring(L, preamble) == 0) {
    lua_pushstring(L, lua_tostring(from, -2));
    lua_pushstring(L, lua_tostring(from, -1));
    lua_call(L, 2, 0);
  }
  lua_pop(from, 3);
  luaL_loadstring(L, chunk);
  lua_pushinteger(L, number);
  return L;
}

/* together(n, chunk): runs the chunk n times, each in a state and an OS thread of its own, with its
 * number. Gives their results, strings, or what they raised. */
static int together(lua_State *L) {
  int n = (int)luaL_checkinteger(L, 1);
  const char *chunk = luaL_checkstring(L, 2);
  Job *jobs = calloc((size_t)n, sizeof *jobs);
  if (jobs == NULL) return luaL_error(L, "no memory");
  for (int i = 0; i < n; i++) {
    jobs[i].L = new_state(L, chunk, i + 1);
    jobs[i].n_args = 1;
  }
  for (int i = 0; i < n; i++) pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]);
  luaL_checkstack(L, n, "too many threads");
  for (int i = 0; i < n; i++) {
    pthread_join(jobs[i].thread, NULL);
    const char *result = lua_tostring(jobs[i].L, -1);
    lua_pushstring(L, result != NULL ? result : "no string");
    lua_close(jobs[i].L);
  }
  free(jobs);
  return n;
}

int luaopen_threads(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, elsewhere);
  lua_setfield(L, -2, "elsewhere");
  lua_pushcfunction(L, together);
  lua_setfield(L, -2, "together");
  return 1;
}
