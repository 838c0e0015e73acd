/* lua_share.c - modules and shared memories passed between Lua states of the process as tokens.
 *
 * A token is a word with a number; the list says what it means. An entry lives as long as the Lua
 * object that was shared or adopted under it: `owner` is its address, and its finaliser removes it.
 */
#include "lua_wasm.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Shared {
  uint64_t number;
  const void *owner;
  rille_Module *module; /* borrowed from the owner, as is memory */
  rille_Memory *memory;
  bool boxes_i64;
  struct Shared *next;
} Shared;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Shared *list;
static uint64_t last_number;

void wasm_lock_shared(void) {
  pthread_mutex_lock(&lock);
}

void wasm_unlock_shared(void) {
  pthread_mutex_unlock(&lock);
}

void wasm_forget_shared(const void *owner) {
  pthread_mutex_lock(&lock);
  for (Shared **link = &list; *link;) {
    Shared *shared = *link;
    if (shared->owner != owner) {
      link = &shared->next;
      continue;
    }
    *link = shared->next;
    free(shared);
  }
  pthread_mutex_unlock(&lock);
}

/* The entry is added, or its number read when the object was shared before; 0: no memory. */
static uint64_t add(const Shared *what) {
  uint64_t number = 0;
  pthread_mutex_lock(&lock);
  for (const Shared *shared = list; shared && number == 0; shared = shared->next) {
    if (shared->owner == what->owner) number = shared->number;
  }
  Shared *copy = number == 0 ? malloc(sizeof *copy) : NULL;
  if (copy) {
    *copy = *what;
    if (copy->number == 0) copy->number = ++last_number;
    number = copy->number;
    copy->next = list;
    list = copy;
  }
  pthread_mutex_unlock(&lock);
  return number;
}

/* Finds by number and retains what it means. */
static bool find(uint64_t number, Shared *out) {
  bool is_found = false;
  pthread_mutex_lock(&lock);
  for (const Shared *shared = list; shared && !is_found; shared = shared->next) {
    if (shared->number != number) continue;
    *out = *shared;
    if (out->module) rille_retain_module(out->module);
    if (out->memory) rille_retain_memory(out->memory);
    is_found = true;
  }
  pthread_mutex_unlock(&lock);
  return is_found;
}

int wasm_share(lua_State *L) {
  Shared shared = {0};
  const ModuleBox *module = luaL_testudata(L, 1, TYPE_MODULE);
  if (module && module->module) {
    shared.owner = module;
    shared.module = module->module;
    shared.boxes_i64 = module->boxes_i64;
  } else {
    const Item *memory = luaL_testudata(L, 1, TYPE_MEMORY);
    rille_MemoryType type = {0};
    if (memory && !memory->is_closed) rille_memory_type(memory->memory, &type);
    if (!type.is_shared) {
      return wasm_error_misuse(L, 1, "share", "module or shared memory expected, got %s",
                               memory ? "memory that is not shared" : luaL_typename(L, 1));
    }
    shared.owner = memory;
    shared.memory = memory->memory;
  }
  char token[64];
  uint64_t number = add(&shared);
  if (number == 0) return luaL_error(L, "not enough memory");
  snprintf(token, sizeof token, "rille:%s:%llu", shared.module ? "module" : "memory",
           (unsigned long long)number);
  lua_pushstring(L, token);
  return 1;
}

static uint64_t number_of(const char *token) {
  unsigned long long number = 0;
  if (sscanf(token, "rille:module:%llu", &number) != 1 &&
      sscanf(token, "rille:memory:%llu", &number) != 1) {
    return 0;
  }
  return number;
}

int wasm_adopt(lua_State *L) {
  State *state = wasm_state(L);
  Shared shared;
  if (lua_type(L, 1) != LUA_TSTRING) {
    return wasm_error_misuse(L, 1, "adopt", "string expected, got %s", luaL_typename(L, 1));
  }
  uint64_t number = number_of(lua_tostring(L, 1));
  if (number == 0) return wasm_error_misuse(L, 1, "adopt", "token of wasm.share expected");
  if (!find(number, &shared)) {
    wasm_push_new_error(L, RILLE_ERROR_LINK, NULL, "what was shared is gone");
    return wasm_return_error(L);
  }
  if (shared.module) {
    wasm_push_module(L, state, shared.module);
    ModuleBox *box = lua_touserdata(L, -1);
    box->boxes_i64 = shared.boxes_i64;
    shared.owner = box;
  } else if (wasm_find_object(L, shared.memory)) {
    rille_free_memory(shared.memory);
    return 1;
  } else {
    const rille_Extern item = {RILLE_EXTERN_MEMORY, {.memory = shared.memory}};
    shared.owner = wasm_new_item(L, state, &item, true);
  }
  (void)add(&shared);
  return 1;
}
