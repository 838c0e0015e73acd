/* lua_call.c - calls between guest code and Lua, in both directions.
 *
 * Guest code runs on its own stack; the engine calls `host_call` on the C stack of the function
 * that entered it. An error that the closure raises cuts C frames only; the guest frames are found
 * and dropped at the next entry.
 *
 * Where Lua has lua_callk, a yield cuts the C frames too and Lua later calls the continuation. On
 * 5.1 and LuaJIT every host call leaves the C function (a jump to its Step): it returns what is to
 * be called to a Lua function, which calls it and passes the results to `resume_step`. Only Lua
 * frames are then on Lua's stack while a closure runs, so that it may yield.
 *
 *   local function check(self, call, ...)            -- what a C step returned
 *     if not self then return ... end                -- it is done: these are the results
 *     return check(resume_step(self, call, apply(...)))
 *   end
 */
#include "lua_wasm.h"

#include <stdlib.h>
#if !HAS_CALLK
#include <setjmp.h>
#endif

/* Data of a host function: the Lua closure behind an import or a wasm.func. */
typedef struct Closure {
  State *state;
  Inst *inst; /* the importing instance, or NULL */
  uint32_t id;
  uint32_t n_params, n_results;
  bool needs_room;
  char name[];
} Closure;

#if !HAS_CALLK
typedef struct Step {
  jmp_buf jump;
  struct Step *outer;
  int n_values; /* on Lua's stack: what to return to the Lua function; negative: raise it */
} Step;
#endif

/* ---- Results of a run -------------------------------------------------------------------------*/

static const char key_tick, key_yield;

void wasm_trace(lua_State *L, const Inst *inst, const char *event, const char *name, int n_values) {
  int first = lua_gettop(L) - n_values + 1;
  luaL_checkstack(L, n_values + 6, "too many values to trace");
  if (!wasm_push_inst(L, inst)) return;
  wasm_push_inst_field(L, -1, INST_TRACE);
  lua_remove(L, -2);
  lua_pushstring(L, event);
  lua_pushstring(L, name);
  for (int i = 0; i < n_values; i++) lua_pushvalue(L, first + i);
  lua_call(L, n_values + 2, 0);
}

static void push_values(lua_State *L, State *state, const Inst *inst, bool boxed,
                        const rille_ValueType *types, uint32_t n, const rille_Slot *slot) {
  const Home home = {state, NULL, inst, 0};
  for (uint32_t i = 0; i < n; i++) {
    if (types[i] == RILLE_I64) {
      wasm_push_i64(L, (int64_t)*slot, boxed);
    } else {
      wasm_push_value(L, &home, types[i], slot);
    }
    slot += wasm_slots_of(types[i]);
  }
}

static void push_results(lua_State *L, const Entry *entry, const rille_Slot *slot) {
  if (UNLIKELY(entry->needs_room)) {
    luaL_checkstack(L, (int)entry->n_results + 4, "too many results");
  }
  push_values(L, entry->runner.state, entry->inst, entry->boxes_i64, entry->results,
              entry->n_results, slot);
}

static COLD int fail_run(lua_State *L, rille_Activation *a) {
  if (a->outer) rille_pause_clock(a);
  return wasm_raise_run(L, a);
}

static int complete_entry(lua_State *L, Runner *self, rille_Activation *a, rille_Status status) {
  const Entry *entry = (const Entry *)self;
  if (UNLIKELY(status != RILLE_DONE)) return fail_run(L, a);
#if !HAS_CALLK
  lua_pushboolean(L, false);
  lua_pushboolean(L, false);
#endif
  push_results(L, entry, a->slots);
  int n = (int)entry->n_results;
  if (UNLIKELY(a->outer != NULL) && L != entry->runner.state->main) rille_pause_clock(a);
#if HAS_CALLK
  if (LIKELY(L == entry->runner.state->main)) wasm_left_nothing(L, entry->runner.state, a);
#endif
  rille_finish(a);
  if (UNLIKELY(entry->inst->is_traced)) wasm_trace(L, entry->inst, "return", entry->name, n);
  return HAS_CALLK ? n : n + 2;
}

/* ---- Host calls: arguments and results --------------------------------------------------------*/

/* Pushes the group of the instance whose code was entered. */
static int push_home(lua_State *L, State *state, const rille_Activation *a, Home *home) {
  const Inst *inst = rille_instance_user(rille_func_instance(a->func));
  wasm_push_inst_group(L, inst);
  *home = (Home){state, inst->store, inst, lua_gettop(L)};
  return home->group;
}

static bool is_traced(const Closure *closure) {
  return closure->inst && closure->inst->is_traced;
}

/* Pushes the closure and its arguments. */
static void push_call(lua_State *L, const Closure *closure, const rille_FuncType *type,
                      const rille_Slot *slots) {
  const rille_ValueType *params;
  size_t n = rille_func_params(type, &params);
  if (UNLIKELY(closure->needs_room)) {
    luaL_checkstack(L, (int)(closure->n_params + closure->n_results) + 8, "too many values");
  }
  compat_rawgeti(L, lua_upvalueindex(UP_REFS), closure->id);
  push_values(L, closure->state, closure->inst, false, params, (uint32_t)n, slots);
  if (UNLIKELY(is_traced(closure))) {
    wasm_trace(L, closure->inst, "call", closure->name, (int)n);
  }
}

static COLD void bad_result(lua_State *L, const Closure *closure, uint32_t i, int at,
                            rille_ValueType type) {
  luaL_error(L, "bad result #%d of '%s' (%s)", (int)i + 1, closure->name,
             wasm_expected(L, at, type));
}

/* Reads the results, which are on top, and pops them. */
static void take_results(lua_State *L, const Closure *closure, const rille_FuncType *type,
                         const rille_Activation *a, rille_Slot *slot) {
  const rille_ValueType *results;
  size_t n = rille_func_results(type, &results);
  if (n == 0 && LIKELY(!is_traced(closure))) return;
  int first = lua_gettop(L) - (int)n + 1;
  if (UNLIKELY(is_traced(closure))) {
    wasm_trace(L, closure->inst, "return", closure->name, (int)n);
  }
  Home home = {closure->state, NULL, NULL, 0};
  for (uint32_t i = 0; i < n; i++) {
    if (wasm_is_reference(results[i]) && home.group == 0) push_home(L, closure->state, a, &home);
    if (UNLIKELY(!wasm_read_value(L, first + (int)i, &home, results[i], slot))) {
      bad_result(L, closure, i, first + (int)i, results[i]);
    }
    slot += wasm_slots_of(results[i]);
  }
  lua_settop(L, first - 1);
}

/* Some code of the store that was entered has exception handlers. */
static FORCE_INLINE bool may_catch(const State *state, const rille_Activation *a) {
  if (LIKELY(!state->has_handlers)) return false;
  rille_Instance *instance = rille_func_instance(a->func);
  return instance && rille_instance_has_handlers(instance);
}

/* ---- Limits -----------------------------------------------------------------------------------*/

/* What resume passed, at `at`, moves the limit. */
static rille_Status move_limit(lua_State *L, int at, rille_Activation *a, bool is_fuel) {
  rille_Activation *bottom = a;
  while (bottom->outer) bottom = bottom->outer;
  rille_Instance *instance = rille_func_instance(bottom->func);
  const Inst *inst = rille_instance_user(instance);
  if (lua_type(L, at) == LUA_TBOOLEAN && !lua_toboolean(L, at)) return RILLE_LIMITED;
  if (is_fuel) {
    uint64_t amount = inst->fuel;
    if (!lua_isnoneornil(L, at) && !wasm_read_count(L, at, INT64_MAX, &amount)) {
      luaL_error(L, "bad value to resume at a fuel limit (count, nil or false expected, got %s)",
                 luaL_typename(L, at));
    }
    rille_add_fuel(instance, amount);
  } else {
    uint64_t ns = inst->timeout_ns;
    if (!lua_isnoneornil(L, at)) {
      lua_Number seconds = lua_type(L, at) == LUA_TNUMBER ? lua_tonumber(L, at) : -1;
      if (!(seconds >= 0)) {
        luaL_error(L, "bad value to resume at a timeout (seconds, nil or false expected, got %s)",
                   luaL_typename(L, at));
      }
      ns = seconds < 1e9 ? (uint64_t)(seconds * 1e9) : UINT64_MAX / 4;
    }
    rille_add_time(a, ns);
  }
  return RILLE_DONE;
}

/* Pushes a function that yields, and its arguments; it gives the limit's name, true, and what
 * resume passed; or the name and false where one cannot yield. */
static int push_limit_yield(lua_State *L, rille_Instance *instance, const char *limit) {
  (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_yield);
  lua_pushstring(L, limit);
  wasm_push_limit(L);
  lua_pushstring(L, limit);
  if (!wasm_push_inst(L, rille_instance_user(instance))) lua_pushnil(L);
  return 4;
}

/* The three values from `at` on, as push_limit_yield says. */
static rille_Status take_limit(lua_State *L, int at, rille_Activation *a) {
  if (!lua_toboolean(L, at + 1)) return RILLE_LIMITED;
  return move_limit(L, at + 2, a, strcmp(lua_tostring(L, at), "fuel") == 0);
}

static bool can_yield(lua_State *L, const State *state) {
#if LUA_VERSION_NUM >= 503
  (void)state;
  return lua_isyieldable(L);
#else
  return L != state->main;
#endif
}

/* ---- With lua_callk ---------------------------------------------------------------------------*/

#if HAS_CALLK

static COLD int raise_dropped(lua_State *L) {
  return luaL_error(L, "instance is closed");
}

/* The upvalue UP_SELF of the function whose continuation runs now, and its activation. */
typedef struct Continued {
  Runner *self;
  rille_Activation *activation;
} Continued;

static FORCE_INLINE Continued continued(lua_State *L, intptr_t context) {
  Continued it = {lua_touserdata(L, lua_upvalueindex(UP_SELF)), NULL};
  if (LIKELY(it.self->state != NULL)) {
    it.activation = wasm_continued_activation(L, it.self->state, context);
  }
  if (UNLIKELY(!it.activation)) raise_dropped(L);
  return it;
}

/* What runs is an exported function, or wasm.instantiate starts an instance. */
static FORCE_INLINE int go_on(lua_State *L, Continued it, rille_Status host_status) {
  Runner *self = LIKELY(it.self->complete != NULL) ? it.self : lua_touserdata(L, WASM_START_INST);
  return self->complete(L, self, it.activation, rille_resume(it.activation, host_status, L));
}

static int host_returned_go_on(lua_State *L, intptr_t context) {
  Continued it = continued(L, context);
  rille_Activation *a = it.activation;
  const Closure *closure = rille_host_func_data(a->host_func);
  take_results(L, closure, rille_func_type(a->host_func), a, a->host_slots);
  return go_on(L, it, RILLE_DONE);
}
DEFINE_CONTINUATION(host_returned)

static int guarded_returned_go_on(lua_State *L, int status, intptr_t context) {
  if (status == LUA_OK || status == LUA_YIELD) return host_returned_go_on(L, context);
  Continued it = continued(L, context);
  return go_on(L, it, wasm_offer_error(L, it.activation));
}
DEFINE_GUARDED_CONTINUATION(guarded_returned)

/* The clock stands still while a coroutine may be suspended. */
static FORCE_INLINE void pause_clock(const State *state, rille_Activation *a) {
  if (UNLIKELY(state->has_timeouts)) rille_pause_clock(a);
}

static FORCE_INLINE void continue_clock(const State *state, rille_Activation *a) {
  if (UNLIKELY(state->has_timeouts)) rille_continue_clock(a);
}

/* Calls what push_call pushed where some code of the store catches: an error is offered to it. */
static rille_Status call_guarded(lua_State *L, rille_Activation *a, const Closure *closure,
                                 const rille_FuncType *type, rille_Slot *slots) {
  const State *state = closure->state;
  int n_params = (int)closure->n_params, n_results = (int)closure->n_results, status;
  if (L == state->main) {
    status = lua_pcall(L, n_params, n_results, 0);
  } else {
    pause_clock(state, a);
    status = compat_pcallk(L, n_params, n_results, wasm_context(a), guarded_returned);
    continue_clock(state, a);
  }
  if (status != LUA_OK) return wasm_offer_error(L, a);
  take_results(L, closure, type, a, slots);
  return RILLE_DONE;
}

static rille_Status host_call(rille_Activation *a, void *data, rille_Slot *slots) {
  const Closure *closure = data;
  State *state = closure->state;
  lua_State *L = a->context;
  const rille_FuncType *type = rille_func_type(a->host_func);
  int n_params = (int)closure->n_params, n_results = (int)closure->n_results;
  bool is_main = L == state->main;
  if (LIKELY(is_main)) wasm_name_frame(L, state, a);
  push_call(L, closure, type, slots);
  if (UNLIKELY(may_catch(state, a))) return call_guarded(L, a, closure, type, slots);
  if (LIKELY(is_main)) {
    lua_call(L, n_params, n_results);
  } else {
    pause_clock(state, a);
    compat_callk(L, n_params, n_results, wasm_context(a), host_returned);
    continue_clock(state, a);
  }
  take_results(L, closure, type, a, slots);
  if (LIKELY(is_main)) wasm_left_nothing(L, state, a);
  return RILLE_DONE;
}

/* The same for i32 alone. */

static FORCE_INLINE void take_i32(lua_State *L, const Closure *closure, rille_Slot *slots) {
  if (UNLIKELY(!wasm_read_i32(L, -1, slots))) bad_result(L, closure, 0, -1, RILLE_I32);
  lua_pop(L, 1);
}

static int i32_returned_go_on(lua_State *L, intptr_t context) {
  Continued it = continued(L, context);
  const Closure *closure = rille_host_func_data(it.activation->host_func);
  if (closure->n_results > 0) take_i32(L, closure, it.activation->host_slots);
  return go_on(L, it, RILLE_DONE);
}
DEFINE_CONTINUATION(i32_returned)

/* Both numbers are constants where that pays. */
static FORCE_INLINE rille_Status call_i32(rille_Activation *a, const Closure *closure,
                                          rille_Slot *slots, int n_params, int n_results) {
  State *state = closure->state;
  lua_State *L = a->context;
  bool is_main = L == state->main;
  if (UNLIKELY(is_traced(closure) || may_catch(state, a))) {
    return host_call(a, (void *)(uintptr_t)closure, slots);
  }
  compat_rawgeti(L, lua_upvalueindex(UP_REFS), closure->id);
  for (int i = 0; i < n_params; i++) lua_pushinteger(L, (int32_t)slots[i]);
  if (is_main) {
    wasm_name_frame(L, state, a);
    lua_call(L, n_params, n_results);
  } else {
    pause_clock(state, a);
    compat_callk(L, n_params, n_results, wasm_context(a), i32_returned);
    continue_clock(state, a);
  }
  if (n_results > 0) take_i32(L, closure, slots);
  if (is_main) wasm_left_nothing(L, state, a);
  return RILLE_DONE;
}

static rille_Status host_call_i32(rille_Activation *a, void *data, rille_Slot *slots) {
  const Closure *closure = data;
  return call_i32(a, closure, slots, (int)closure->n_params, (int)closure->n_results);
}

#define HOST_CALL_I32(name, n_params, n_results)                                 \
  static rille_Status name(rille_Activation *a, void *data, rille_Slot *slots) { \
    return call_i32(a, (const Closure *)data, slots, n_params, n_results);       \
  }
HOST_CALL_I32(host_call_1_to_0, 1, 0)
HOST_CALL_I32(host_call_2_to_0, 2, 0)
HOST_CALL_I32(host_call_1_to_1, 1, 1)
HOST_CALL_I32(host_call_2_to_1, 2, 1)

static int limit_moved_go_on(lua_State *L, intptr_t context) {
  Continued it = continued(L, context);
  return go_on(L, it, take_limit(L, lua_gettop(L) - 2, it.activation));
}
DEFINE_CONTINUATION(limit_moved)

rille_Status wasm_on_limit(rille_Activation *a, rille_Instance *instance, const char *limit) {
  lua_State *L = a->context;
  const Inst *inst = rille_instance_user(instance);
  if (!inst || !can_yield(L, inst->runner.state)) return RILLE_LIMITED;
  int n = push_limit_yield(L, instance, limit);
  rille_pause_clock(a);
  compat_callk(L, n, 3, wasm_context(a), limit_moved);
  rille_continue_clock(a);
  rille_Status status = take_limit(L, lua_gettop(L) - 2, a);
  lua_pop(L, 3);
  return status;
}

static int hooks_ran_go_on(lua_State *L, intptr_t context) {
  return go_on(L, continued(L, context), RILLE_DONE);
}
DEFINE_CONTINUATION(hooks_ran)

static void run_tick(lua_State *L, rille_Activation *a) {
  compat_callk(L, 1, 0, wasm_context(a), hooks_ran);
}

int wasm_run(lua_State *L, Runner *self, int self_at, rille_Activation *a) {
  (void)self_at;
  return self->complete(L, self, a, rille_run(a));
}

static int started_go_on(lua_State *L, intptr_t unused) {
  (void)unused;
  Runner *self = lua_touserdata(L, WASM_START_INST);
  return self->complete(L, self, NULL, RILLE_DONE);
}
DEFINE_CONTINUATION(started)

int wasm_call_start(lua_State *L, Runner *self, uint32_t id) {
  compat_rawgeti(L, lua_upvalueindex(UP_REFS), id);
  compat_callk(L, 0, 0, 0, started);
  return self->complete(L, self, NULL, RILLE_DONE);
}

void wasm_wrap(lua_State *L) {
  (void)L;
}

#else

/* ---- Without lua_callk ------------------------------------------------------------------------*/

static const char key_check, key_wrap, key_guard, key_failed;

/* Leaves the C step: the values on top go to the Lua function. */
static _Noreturn void leave_step(const Closure *closure, State *state, int n_values) {
  (void)closure;
  state->step->n_values = n_values;
  longjmp(state->step->jump, 1);
}

static rille_Status host_call(rille_Activation *a, void *data, rille_Slot *slots) {
  const Closure *closure = data;
  lua_State *L = a->context;
  bool is_guarded = may_catch(closure->state, a);
  lua_pushlightuserdata(L, (void *)a->user);
  if (is_guarded) (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_guard);
  push_call(L, closure, rille_func_type(a->host_func), slots);
  rille_pause_clock(a);
  leave_step(closure, closure->state, (int)closure->n_params + 2 + is_guarded);
}

rille_Status wasm_on_limit(rille_Activation *a, rille_Instance *instance, const char *limit) {
  lua_State *L = a->context;
  const Inst *inst = rille_instance_user(instance);
  if (!inst || !can_yield(L, inst->runner.state)) return RILLE_LIMITED;
  lua_pushlightuserdata(L, (void *)a->user);
  int n = push_limit_yield(L, instance, limit);
  rille_pause_clock(a);
  leave_step(NULL, inst->runner.state, n + 2);
}

/* An error of the hook must not cross guest frames: LuaJIT unwinds C frames by their tables. */
static void run_tick(lua_State *L, rille_Activation *a) {
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
  const Inst *inst = rille_instance_user(rille_func_instance(a->func));
  leave_step(NULL, inst->runner.state, -1);
}

/* Runs or resumes guest code: its results, or what the Lua function has to call. */
static int run_step(lua_State *L, Runner *self, int self_at, rille_Activation *a, bool resumes,
                    rille_Status host_status) {
  State *state = self->state;
  Step step;
  step.outer = state->step;
  state->step = &step;
  if (setjmp(step.jump) == 0) {
    rille_Status status = resumes ? rille_resume(a, host_status, L) : rille_run(a);
    state->step = step.outer;
    return self->complete(L, self, a, status);
  }
  state->step = step.outer;
  if (step.n_values < 0) return lua_error(L);
  lua_pushvalue(L, self_at);
  lua_insert(L, -step.n_values - 1);
  return step.n_values + 1;
}

int wasm_run(lua_State *L, Runner *self, int self_at, rille_Activation *a) {
  return run_step(L, self, self_at, a, false, RILLE_DONE);
}

int wasm_call_start(lua_State *L, Runner *self, uint32_t id) {
  (void)self;
  lua_pushvalue(L, WASM_START_INST);
  lua_pushlightuserdata(L, NULL);
  compat_rawgeti(L, lua_upvalueindex(UP_REFS), id);
  return 3;
}

/* Of a typed function, or of a start function of the host. */
static int complete_without_guest(lua_State *L, Runner *self) {
  if (self->complete == complete_entry) return wasm_typed_results(L, (const Entry *)self);
  return self->complete(L, self, NULL, RILLE_DONE);
}

/* resume_step(self, call, results...) */
static int resume_step(lua_State *L) {
  Runner *self = lua_touserdata(L, 1);
  intptr_t serial = (intptr_t)lua_touserdata(L, 2);
  if (serial == 0) return complete_without_guest(L, self);
  State *state = wasm_state(L);
  rille_Activation *a = wasm_find_activation(L, state, serial);
  if (!a) return luaL_error(L, "instance is closed");
  rille_Status status = RILLE_DONE;
  if (a->host_func && lua_touserdata(L, 3) == &key_failed) {
    lua_settop(L, 4);
    status = wasm_offer_error(L, a);
  } else if (a->host_func) {
    const Closure *closure = rille_host_func_data(a->host_func);
    lua_settop(L, 2 + (int)closure->n_results);
    take_results(L, closure, rille_func_type(a->host_func), a, a->host_slots);
  } else {
    lua_settop(L, 5);
    status = take_limit(L, 3, a);
  }
  return run_step(L, self, 1, a, true, status);
}

void wasm_push_check(lua_State *L) {
  (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_check);
}

void wasm_wrap(lua_State *L) {
  (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_wrap);
  lua_insert(L, -2);
  lua_call(L, 1, 1);
}

/* A guarded call gives `failed` and the error instead of raising it. It runs in a coroutine of its
 * own where pcall cannot be yielded across, and passes on what that yields. */
static void open_steps(lua_State *L) {
  static const char source[] =
      "local resume_step, failed = ...\n"
      "local create, resume, status = coroutine.create, coroutine.resume, coroutine.status\n"
      "local yield, running, pcall = coroutine.yield, coroutine.running, pcall\n"
      "local has_yieldable_pcall = jit ~= nil\n"
      "local function finish(ok, ...)\n"
      "  if ok then return ... end\n"
      "  return failed, (...)\n"
      "end\n"
      "local function forward(co, ok, ...)\n"
      "  if ok and status(co) == 'suspended' then return forward(co, resume(co, yield(...))) end\n"
      "  return finish(ok, ...)\n"
      "end\n"
      "local function guard(f, ...)\n"
      "  if has_yieldable_pcall or not running() then return finish(pcall(f, ...)) end\n"
      "  local co = create(f)\n"
      "  return forward(co, resume(co, ...))\n"
      "end\n"
      "local function apply(f, ...) return f(...) end\n"
      "local check\n"
      "function check(self, call, ...)\n"
      "  if not self then return ... end\n"
      "  return check(resume_step(self, call, apply(...)))\n"
      "end\n"
      "return check, function(step)\n"
      "  return function(...) return check(step(...)) end\n"
      "end, guard\n";
  if (luaL_loadbuffer(L, source, sizeof source - 1, "=wasm")) lua_error(L);
  wasm_push_function(L, resume_step);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&key_failed);
  lua_call(L, 2, 3);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_guard);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_wrap);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key_check);
}

#endif

/* ---- Entering ---------------------------------------------------------------------------------*/

static COLD int bad_argument(lua_State *L, const Entry *entry, uint32_t i, int at) {
  const char *expected = wasm_expected(L, at, entry->params[i]);
  return wasm_error_misuse(L, (int)i + 1, entry->name, "%s", expected);
}

static COLD int raise_closed(lua_State *L, const Entry *entry) {
  return luaL_error(L, "bad call to '%s' (instance is closed)", entry->name);
}

/* Reads arguments when some are references: they need the group of the instance. The first argument
 * is at index 2, behind the mark. */
static COLD void read_references(lua_State *L, const Entry *entry, rille_Slot *slot) {
  int n_given = lua_gettop(L) - 1;
  if (n_given < (int)entry->n_params) bad_argument(L, entry, (uint32_t)n_given, n_given + 2);
  luaL_checkstack(L, 8, "too many arguments");
  wasm_push_inst_group(L, entry->inst);
  const Home home = {entry->runner.state, entry->inst->store, entry->inst, lua_gettop(L)};
  for (uint32_t i = 0; i < entry->n_params; i++) {
    rille_ValueType type = entry->params[i];
    if (!wasm_read_value(L, (int)i + 2, &home, type, slot)) bad_argument(L, entry, i, (int)i + 2);
    slot += wasm_slots_of(type);
  }
  lua_pop(L, 1);
}

/* Whatever may run Lua code before the guest runs (a finaliser while references are read, a trace
 * function) may call guest code, too: the frame is marked first, below its arguments. */
static COLD void read_marked(lua_State *L, const Entry *entry, rille_Activation *a) {
  luaL_checkstack(L, 2, "too many arguments");
  wasm_insert_mark(L, a);
  read_references(L, entry, a->slots);
  if (LIKELY(!entry->inst->is_traced)) return;
  lua_settop(L, 1 + (int)entry->n_params);
  wasm_trace(L, entry->inst, "call", entry->name, (int)entry->n_params);
}

static FORCE_INLINE void read_arguments(lua_State *L, const Entry *entry, rille_Slot *slot) {
  for (uint32_t i = 0; i < entry->n_params; i++) {
    bool is_good;
    switch (entry->params[i]) {
      case RILLE_I32: is_good = wasm_read_i32(L, (int)i + 1, slot); break;
      case RILLE_I64: is_good = wasm_read_i64(L, (int)i + 1, slot); break;
      case RILLE_V128: is_good = wasm_read_v128(L, (int)i + 1, slot++); break;
      default: is_good = wasm_read_float(L, (int)i + 1, entry->params[i], slot); break;
    }
    if (UNLIKELY(!is_good)) bad_argument(L, entry, i, (int)i + 1);
    slot++;
  }
}

int wasm_entry(lua_State *L) {
  Entry *entry = lua_touserdata(L, lua_upvalueindex(UP_SELF));
  Inst *inst = entry->inst;
  if (UNLIKELY(!inst->instance)) return raise_closed(L, entry);
  State *state = inst->runner.state;
  rille_Activation *a = wasm_prepare(L, state, entry->func);
  if (UNLIKELY(entry->has_refs || inst->is_traced)) {
    read_marked(L, entry, a);
  } else {
    read_arguments(L, entry, a->slots);
    wasm_mark_frame(L, state, a);
  }
#if HAS_CALLK
  return complete_entry(L, &entry->runner, a, rille_run(a));
#else
  return wasm_run(L, &entry->runner, lua_upvalueindex(UP_SELF), a);
#endif
}

#if HAS_CALLK
enum { MOST_SIMPLE_PARAMS = 8, MOST_DIRECT_PARAMS = 4 }; /* and results */

/* i32 alone, few of them, and one result at most. */
static bool is_i32_alone(const rille_FuncType *type) {
  const rille_ValueType *params, *results;
  size_t n_params = rille_func_params(type, &params),
         n_results = rille_func_results(type, &results);
  if (n_params > MOST_SIMPLE_PARAMS || n_results > 1) return false;
  for (size_t i = 0; i < n_params; i++) {
    if (params[i] != RILLE_I32) return false;
  }
  return n_results == 0 || results[0] == RILLE_I32;
}

static rille_HostFn *host_fn_for(const rille_FuncType *type) {
  static rille_HostFn *const some[2][2] = {{host_call_1_to_0, host_call_2_to_0},
                                           {host_call_1_to_1, host_call_2_to_1}};
  const rille_ValueType *types;
  if (!is_i32_alone(type)) return host_call;
  size_t n_params = rille_func_params(type, &types), n_results = rille_func_results(type, &types);
  bool is_one = n_params == 1 || n_params == 2;
  return is_one ? some[n_results][n_params - 1] : host_call_i32;
}

static bool is_ours(rille_HostFn *fn) {
  return fn == host_call || fn == host_call_i32 || fn == host_call_1_to_0 ||
         fn == host_call_2_to_0 || fn == host_call_1_to_1 || fn == host_call_2_to_1;
}

static bool is_simple_number(const Entry *entry, rille_ValueType type) {
  if (type == RILLE_I64) return HAS_INTEGERS && !entry->boxes_i64;
  return type == RILLE_I32 || type == RILLE_F32 || type == RILLE_F64;
}

/* Numbers alone, few of them. Pushing them allocates nothing, so that no finaliser gets to use the
 * guest stack before the results are read. */
static bool is_numbers_alone(const Entry *entry) {
  if (entry->n_params > MOST_SIMPLE_PARAMS || entry->needs_room) return false;
  for (uint32_t i = 0; i < entry->n_params; i++) {
    if (!is_simple_number(entry, entry->params[i])) return false;
  }
  for (uint32_t i = 0; i < entry->n_results; i++) {
    if (!is_simple_number(entry, entry->results[i])) return false;
  }
  return true;
}

/* Calls that most are of, on the idle main thread, when nothing needs a second look. What is not as
 * expected starts over in wasm_entry. */
static FORCE_INLINE bool may_enter_at_once(const lua_State *L, const Entry *entry) {
  return LIKELY(entry->inst->is_plain && L == entry->runner.state->idle);
}

static FORCE_INLINE rille_Entered enter_at_once(lua_State *L, const Entry *entry,
                                                const rille_Slot *slots) {
  return rille_enter(entry->runner.state->main_stack, entry->func, L, slots);
}

static COLD int not_done_at_once(lua_State *L, rille_Activation *a) {
  return a ? fail_run(L, a) : wasm_entry(L);
}

static int entry_i32(lua_State *L) {
  const Entry *entry = lua_touserdata(L, lua_upvalueindex(UP_SELF));
  if (!may_enter_at_once(L, entry)) return wasm_entry(L);
  rille_Slot slots[MOST_SIMPLE_PARAMS];
  int n_params = (int)entry->n_params, n_results = (int)entry->n_results;
  for (int i = 0; i < n_params; i++) {
    if (UNLIKELY(!wasm_read_i32(L, i + 1, &slots[i]))) return wasm_entry(L);
  }
  rille_Entered entered = enter_at_once(L, entry, slots);
  if (UNLIKELY(entered.status != RILLE_DONE)) return not_done_at_once(L, entered.activation);
  if (n_results > 0) lua_pushinteger(L, (int32_t)entered.activation->slots[0]);
  return n_results;
}

static int entry_numbers(lua_State *L) {
  const Entry *entry = lua_touserdata(L, lua_upvalueindex(UP_SELF));
  if (!may_enter_at_once(L, entry)) return wasm_entry(L);
  rille_Slot slots[MOST_SIMPLE_PARAMS];
  read_arguments(L, entry, slots);
  rille_Entered entered = enter_at_once(L, entry, slots);
  if (UNLIKELY(entered.status != RILLE_DONE)) return not_done_at_once(L, entered.activation);
  push_results(L, entry, entered.activation->slots);
  return (int)entry->n_results;
}

/* ---- Straight into compiled code --------------------------------------------------------------*/

/* The run did not end well, or did not begin. */
static COLD int not_done_directly(lua_State *L, const Entry *entry, uint64_t status) {
  if (status == RILLE_NOT_ENTERED) return entry_numbers(L);
  return fail_run(L, rille_stack_top(entry->runner.state->main_stack));
}

/* n i32, and one or no result of that type: what most calls are. Both are constants, and each
 * argument stays in a register. */
static FORCE_INLINE int enter_i32(lua_State *L, int n_params, int n_results) {
  const Entry *entry = lua_touserdata(L, lua_upvalueindex(UP_SELF));
  if (!may_enter_at_once(L, entry)) return wasm_entry(L);
  int64_t a = n_params > 0 ? wasm_take_i32(L, 1) : 0;
  if (UNLIKELY(!wasm_is_i32(a))) return wasm_entry(L);
  int64_t b = n_params > 1 ? wasm_take_i32(L, 2) : 0;
  if (UNLIKELY(!wasm_is_i32(b))) return wasm_entry(L);
  int64_t c = n_params > 2 ? wasm_take_i32(L, 3) : 0;
  if (UNLIKELY(!wasm_is_i32(c))) return wasm_entry(L);
  int64_t d = n_params > 3 ? wasm_take_i32(L, 4) : 0;
  if (UNLIKELY(!wasm_is_i32(d))) return wasm_entry(L);
  rille_Direct end = ((rille_DirectIntFn *)(void (*)(void))entry->direct)(
      (uint32_t)a, (uint32_t)b, (uint32_t)c, (uint32_t)d, entry->runner.state->main_stack,
      entry->func);
  if (UNLIKELY(end.status != RILLE_DONE)) return not_done_directly(L, entry, end.status);
  if (n_results > 0) lua_pushinteger(L, (int32_t)end.value);
  return n_results;
}

#define DIRECT_I32(name, n_params, n_results) \
  static int name(lua_State *L) {             \
    return enter_i32(L, n_params, n_results); \
  }
DIRECT_I32(direct_0_to_0, 0, 0)
DIRECT_I32(direct_1_to_0, 1, 0)
DIRECT_I32(direct_2_to_0, 2, 0)
DIRECT_I32(direct_3_to_0, 3, 0)
DIRECT_I32(direct_4_to_0, 4, 0)
DIRECT_I32(direct_0_to_1, 0, 1)
DIRECT_I32(direct_1_to_1, 1, 1)
DIRECT_I32(direct_2_to_1, 2, 1)
DIRECT_I32(direct_3_to_1, 3, 1)
DIRECT_I32(direct_4_to_1, 4, 1)

/* Arguments by the kind of register that they travel in. */
typedef struct Registers {
  rille_Slot ints[MOST_DIRECT_PARAMS];
  union {
    rille_Slot bits;
    double value;
  } floats[MOST_DIRECT_PARAMS];
} Registers;

static FORCE_INLINE bool read_registers(lua_State *L, const Entry *entry, Registers *registers) {
  int n_ints = 0, n_floats = 0, n = (int)entry->n_params;
  for (int i = 0; i < n; i++) {
    bool is_good;
    switch (entry->params[i]) {
      case RILLE_I32: is_good = wasm_read_i32(L, i + 1, &registers->ints[n_ints++]); break;
      case RILLE_I64: is_good = wasm_read_i64(L, i + 1, &registers->ints[n_ints++]); break;
      default:
        is_good = wasm_read_float(L, i + 1, entry->params[i], &registers->floats[n_floats++].bits);
        break;
    }
    if (UNLIKELY(!is_good)) return false;
  }
  return true;
}

static int direct_to_int(lua_State *L) {
  const Entry *entry = lua_touserdata(L, lua_upvalueindex(UP_SELF));
  Registers in = {{0}, {{0}}};
  if (!may_enter_at_once(L, entry) || !read_registers(L, entry, &in)) return wasm_entry(L);
  rille_Direct end = entry->direct(in.ints[0], in.ints[1], in.ints[2], in.ints[3],
                                   entry->runner.state->main_stack, entry->func, in.floats[0].value,
                                   in.floats[1].value, in.floats[2].value, in.floats[3].value);
  if (UNLIKELY(end.status != RILLE_DONE)) return not_done_directly(L, entry, end.status);
  push_results(L, entry, &end.value);
  return (int)entry->n_results;
}

static int direct_to_float(lua_State *L) {
  const Entry *entry = lua_touserdata(L, lua_upvalueindex(UP_SELF));
  Registers in = {{0}, {{0}}};
  if (!may_enter_at_once(L, entry) || !read_registers(L, entry, &in)) return wasm_entry(L);
  rille_DirectFloat end = ((rille_DirectFloatFn *)(void (*)(void))entry->direct)(
      in.ints[0], in.ints[1], in.ints[2], in.ints[3], entry->runner.state->main_stack, entry->func,
      in.floats[0].value, in.floats[1].value, in.floats[2].value, in.floats[3].value);
  if (UNLIKELY(end.status != RILLE_DONE)) return not_done_directly(L, entry, end.status);
  rille_Slot slot;
  memcpy(&slot, &end.value, sizeof slot);
  push_results(L, entry, &slot);
  return 1;
}

static const lua_CFunction direct_i32[2][MOST_DIRECT_PARAMS + 1] = {
    {direct_0_to_0, direct_1_to_0, direct_2_to_0, direct_3_to_0, direct_4_to_0},
    {direct_0_to_1, direct_1_to_1, direct_2_to_1, direct_3_to_1, direct_4_to_1}};

static lua_CFunction direct_for(const Entry *entry) {
  if (is_i32_alone(rille_func_type(entry->func))) {
    return direct_i32[entry->n_results][entry->n_params];
  }
  bool is_float =
      entry->n_results > 0 && entry->results[0] != RILLE_I32 && entry->results[0] != RILLE_I64;
  return is_float ? direct_to_float : direct_to_int;
}

/* What compiled code gives, its status first. */
static FORCE_INLINE rille_Direct call_direct(const Entry *entry, const rille_Slot *slots) {
  Registers in = {{0}, {{0}}};
  int n_ints = 0, n_floats = 0;
  for (uint32_t i = 0; i < entry->n_params; i++) {
    bool is_float = entry->params[i] == RILLE_F32 || entry->params[i] == RILLE_F64;
    if (is_float) {
      in.floats[n_floats++].bits = slots[i];
    } else {
      in.ints[n_ints++] = slots[i];
    }
  }
  rille_Stack *stack = entry->runner.state->main_stack;
  bool gives_float =
      entry->n_results > 0 && (entry->results[0] == RILLE_F32 || entry->results[0] == RILLE_F64);
  if (!gives_float) {
    return entry->direct(in.ints[0], in.ints[1], in.ints[2], in.ints[3], stack, entry->func,
                         in.floats[0].value, in.floats[1].value, in.floats[2].value,
                         in.floats[3].value);
  }
  rille_DirectFloat end = ((rille_DirectFloatFn *)(void (*)(void))entry->direct)(
      in.ints[0], in.ints[1], in.ints[2], in.ints[3], stack, entry->func, in.floats[0].value,
      in.floats[1].value, in.floats[2].value, in.floats[3].value);
  rille_Direct result = {.status = end.status};
  memcpy(&result.value, &end.value, sizeof end.value);
  return result;
}

bool wasm_enter_now(lua_State *L, const Entry *entry, const rille_Slot *slots, rille_Slot *result) {
  if (!may_enter_at_once(L, entry)) return false;
  if (entry->direct) {
    rille_Direct end = call_direct(entry, slots);
    *result = end.value;
    if (LIKELY(end.status == RILLE_DONE)) return true;
    if (end.status != RILLE_NOT_ENTERED) {
      fail_run(L, rille_stack_top(entry->runner.state->main_stack));
    }
  }
  rille_Entered entered = enter_at_once(L, entry, slots);
  if (UNLIKELY(entered.status != RILLE_DONE)) {
    if (entered.activation) fail_run(L, entered.activation);
    return false;
  }
  if (entry->n_results > 0) *result = entered.activation->slots[0];
  return true;
}

lua_CFunction wasm_entry_for(Entry *entry) {
  if (entry->is_host || !is_numbers_alone(entry)) return wasm_entry;
  entry->direct = rille_direct_entry(entry->func);
  if (entry->direct) return direct_for(entry);
  return is_i32_alone(rille_func_type(entry->func)) ? entry_i32 : entry_numbers;
}

bool wasm_is_entry(lua_CFunction function) {
  if (function == wasm_entry || function == entry_i32 || function == entry_numbers ||
      function == direct_to_int || function == direct_to_float || function == wasm_ffi_call) {
    return true;
  }
  for (int i = 0; i < 2 * (MOST_DIRECT_PARAMS + 1); i++) {
    if (function == direct_i32[i / (MOST_DIRECT_PARAMS + 1)][i % (MOST_DIRECT_PARAMS + 1)]) {
      return true;
    }
  }
  return false;
}
#else
static rille_HostFn *host_fn_for(const rille_FuncType *type) {
  (void)type;
  return host_call;
}

static bool is_ours(rille_HostFn *fn) {
  return fn == host_call;
}

lua_CFunction wasm_entry_for(Entry *entry) {
  (void)entry;
  return wasm_entry;
}

bool wasm_is_entry(lua_CFunction function) {
  return function == wasm_entry || function == wasm_ffi_call;
}
#endif

/* ---- Hooks ------------------------------------------------------------------------------------*/

#if HAS_CALLK
/* A frame that called a host function has a name already, and that function may be what is polled
 * now, from a frame of its own. */
static void name_polled_frame(lua_State *L, rille_Activation *a) {
  State *state = ((const Inst *)rille_instance_user(rille_func_instance(a->func)))->runner.state;
  if (L == state->main && a->user == 0) wasm_name_frame(L, state, a);
}
#endif

/* Pending hooks of Lua run when Lua code runs: a loop of as many instructions as the count hook
 * waits for, within reason. */
rille_Status wasm_poll(rille_Activation *a) {
  enum { MOST_TICKS = 1 << 20 };
  lua_State *L = a->context;
  if (!L || !lua_gethook(L)) return RILLE_DONE;
  int n = lua_gethookmask(L) & LUA_MASKCOUNT ? lua_gethookcount(L) : 1;
  (void)compat_rawgetp(L, LUA_REGISTRYINDEX, &key_tick);
  lua_pushinteger(L, n < MOST_TICKS ? n : MOST_TICKS);
#if HAS_CALLK
  name_polled_frame(L, a);
#endif
  run_tick(L, a);
  return RILLE_DONE;
}

/* ---- Host functions ---------------------------------------------------------------------------*/

static void drop_closure(void *data) {
  Closure *closure = data;
  wasm_free_id(closure->state, closure->id);
  wasm_state_drop(closure->state);
  free(closure);
}

rille_Func *wasm_new_closure(lua_State *L, State *state, Inst *inst, int closure_at,
                             const rille_FuncType *type, const char *name, size_t size,
                             uint32_t *id) {
  const rille_ValueType *types;
  closure_at = lua_absindex(L, closure_at);
  uint32_t new_id = wasm_new_id(L, state);
  Closure *closure = calloc(1, sizeof *closure + size + 1);
  if (!closure) luaL_error(L, "not enough memory");
  closure->state = state;
  closure->inst = inst;
  closure->id = *id = new_id;
  closure->n_params = (uint32_t)rille_func_params(type, &types);
  closure->n_results = (uint32_t)rille_func_results(type, &types);
  closure->needs_room = closure->n_params + closure->n_results > 8;
  memcpy(closure->name, name, size);
  rille_Func *func =
      rille_new_host_func(state->engine, type, host_fn_for(type), closure, drop_closure);
  if (!func) {
    wasm_free_id(state, new_id);
    free(closure);
    luaL_error(L, "not enough memory");
  }
  wasm_state_hold(state);
  lua_pushvalue(L, closure_at);
  compat_rawseti(L, lua_upvalueindex(UP_REFS), new_id);
  return func;
}

uint32_t wasm_closure_id(const rille_Func *func) {
  if (!is_ours(rille_host_func_code(func))) return 0;
  return ((const Closure *)rille_host_func_data(func))->id;
}

Inst *wasm_closure_inst(const rille_Func *func) {
  if (!is_ours(rille_host_func_code(func))) return NULL;
  return ((const Closure *)rille_host_func_data(func))->inst;
}

bool wasm_is_running_function(lua_CFunction function) {
  return wasm_is_entry(function) || function == wasm_instantiate;
}

void wasm_init_entry(Entry *entry) {
  entry->runner.complete = complete_entry;
}

static void keep_chunk(lua_State *L, const char *source, const void *key) {
  if (luaL_loadbuffer(L, source, strlen(source), "=wasm hook")) lua_error(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void wasm_open_call(lua_State *L) {
  /* Compiled code of LuaJIT runs no hooks. */
  keep_chunk(L, "if jit then jit.off(true) end local n = ... for _ = 1, n do end", &key_tick);
#if HAS_CALLK && !HAS_INTEGERS
  /* 5.2 cannot say beforehand whether it can yield, but its pcall may be yielded across. */
  keep_chunk(L, "local limit = ... return limit, pcall(coroutine.yield, select(2, ...))",
             &key_yield);
#else
  keep_chunk(L, "local limit = ... return limit, true, coroutine.yield(select(2, ...))",
             &key_yield);
#endif
#if !HAS_CALLK
  open_steps(L);
#endif
}
