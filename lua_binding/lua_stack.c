/* lua_stack.c - one guest stack for each coroutine that is inside guest code.
 *
 * The stack of the main thread is the State's; those of coroutines belong to userdata in a table
 * with weak keys, so that a collected coroutine frees its stack. (Addresses of coroutines are
 * reused: a cache by address would hand out a stack that is about to be freed.)
 *
 * Which activations are dead? On the main thread the engine tells by C stack addresses, since
 * nothing there can be suspended. In a coroutine addresses mean nothing after a yield: there every
 * frame of an exported function carries the serial of its activation as its first stack slot, and
 * the innermost frame that is still on Lua's stack tells which activations are alive. Luas without
 * lua_callk leave the C stack at every host call: for them this holds on the main thread too.
 */
#include "lua_wasm.h"

#include <stdlib.h>

typedef struct StackBox {
  State *state;
  rille_Stack *stack;
  struct StackBox *next, **link;
} StackBox;

typedef struct Deferred {
  rille_Instance *instance;
  struct Deferred *next;
} Deferred;

/* ---- Instances that dead activations point to -------------------------------------------------*/

static bool is_used(const rille_Stack *stack, const rille_Instance *instance) {
  for (rille_Activation *a = stack ? rille_stack_top(stack) : NULL; a; a = a->outer) {
    if (rille_func_instance(a->func) == instance) return true;
  }
  return false;
}

static bool is_used_anywhere(const State *state, const rille_Instance *instance) {
  if (is_used(state->main_stack, instance)) return true;
  for (const StackBox *box = state->stacks; box; box = box->next) {
    if (is_used(box->stack, instance)) return true;
  }
  return false;
}

void wasm_free_deferred(State *state) {
  for (Deferred **link = &state->deferred; *link;) {
    Deferred *deferred = *link;
    if (is_used_anywhere(state, deferred->instance)) {
      link = &deferred->next;
    } else {
      *link = deferred->next;
      rille_free_instance(deferred->instance);
      free(deferred);
    }
  }
}

/* The state is being closed: nothing of it runs any more. */
void wasm_free_main_stack(State *state) {
  if (state->main_stack) rille_free_stack(state->main_stack);
  state->main_stack = NULL;
  wasm_free_deferred(state);
}

void wasm_release_instance(State *state, rille_Instance *instance) {
  if (!is_used_anywhere(state, instance)) {
    rille_free_instance(instance);
    return;
  }
  Deferred *deferred = malloc(sizeof *deferred);
  if (!deferred) return; /* better lost than used after it was freed */
  deferred->instance = instance;
  deferred->next = state->deferred;
  state->deferred = deferred;
}

/* ---- Stacks of coroutines ---------------------------------------------------------------------*/

static int stack_gc(lua_State *L) {
  StackBox *box = luaL_checkudata(L, 1, TYPE_STACK);
  if (!box->stack) return 0;
  rille_free_stack(box->stack);
  box->stack = NULL;
  *box->link = box->next;
  if (box->next) box->next->link = box->link;
  wasm_free_deferred(box->state);
  wasm_state_drop(box->state);
  return 0;
}

static rille_Stack *new_stack(lua_State *L, State *state, StackBox *box) {
  rille_Stack *stack = rille_new_stack(state->engine, box);
  if (!stack) { /* collected coroutines may give some back */
    lua_gc(L, LUA_GCCOLLECT, 0);
    stack = rille_new_stack(state->engine, box);
  }
  if (!stack) luaL_error(L, "not enough memory for a guest stack");
  rille_keep_together(stack);
  return stack;
}

/* The thread is on top and is removed. */
static StackBox *new_box(lua_State *L, State *state) {
  if (state->is_closing) luaL_error(L, "the Lua state is being closed");
  StackBox *box = wasm_new_object(L, TYPE_STACK, sizeof *box);
  box->stack = new_stack(L, state, box);
  box->state = state;
  wasm_state_hold(state);
  box->next = state->stacks;
  box->link = &state->stacks;
  if (box->next) box->next->link = &box->next;
  state->stacks = box;
  lua_rawset(L, lua_upvalueindex(UP_THREADS));
  return box;
}

/* The stack of the running coroutine, if it is not the known main thread. */
static COLD rille_Stack *find_stack(lua_State *L, State *state, bool make) {
  if (lua_pushthread(L)) {
    state->main = L;
    lua_pop(L, 1);
    if (!state->main_stack) state->main_stack = new_stack(L, state, NULL);
    return state->main_stack;
  }
  lua_pushvalue(L, -1);
  (void)compat_rawget(L, lua_upvalueindex(UP_THREADS));
  StackBox *box = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (box || !make) {
    lua_pop(L, 1);
  } else {
    box = new_box(L, state);
  }
  return box ? box->stack : NULL;
}

rille_Stack *wasm_current_stack(lua_State *L, State *state) {
  return L == state->main ? state->main_stack : find_stack(L, state, false);
}

/* ---- Which activations are alive --------------------------------------------------------------*/

/* The serial that the frame at this level carries; 0: it is no frame of ours. Without lua_callk it
 * is a call of `check` once the C function has returned. */
static intptr_t serial_of_frame(lua_State *L, lua_Debug *frame) {
  lua_getinfo(L, "f", frame);
  int marked_slot = wasm_is_running_function(lua_tocfunction(L, -1)) ? 1 : 0;
#if !HAS_CALLK
  wasm_push_check(L);
  if (lua_rawequal(L, -1, -2)) marked_slot = 2;
  lua_pop(L, 1);
#endif
  lua_pop(L, 1);
  if (marked_slot == 0 || !lua_getlocal(L, frame, marked_slot)) return 0;
  intptr_t serial = lua_type(L, -1) == LUA_TLIGHTUSERDATA ? (intptr_t)lua_touserdata(L, -1) : 0;
  lua_pop(L, 1);
  return serial;
}

static rille_Activation *with_serial(rille_Stack *stack, intptr_t serial) {
  rille_Activation *a = rille_stack_top(stack);
  while (a && a->user != serial) a = a->outer;
  return a;
}

/* The activation of the frame, or NULL. */
static rille_Activation *of_frame(lua_State *L, const State *state, rille_Stack *stack,
                                  lua_Debug *frame) {
#if HAS_CALLK
  if (L == state->main) {
    rille_Activation *a = with_serial(stack, (intptr_t)frame->i_ci);
    if (!a) return NULL;
    lua_getinfo(L, "f", frame);
    bool is_ours = wasm_is_running_function(lua_tocfunction(L, -1));
    lua_pop(L, 1);
    return is_ours ? a : NULL;
  }
#else
  (void)state;
#endif
  intptr_t serial = serial_of_frame(L, frame);
  return serial ? with_serial(stack, serial) : NULL;
}

/* The innermost activation that has a frame on Lua's stack from `level` up, or NULL. */
static rille_Activation *innermost_alive(lua_State *L, const State *state, rille_Stack *stack,
                                         int level) {
  lua_Debug frame;
  for (; lua_getstack(L, level, &frame); level++) {
    rille_Activation *a = of_frame(L, state, stack, &frame);
    if (a) return a;
  }
  return NULL;
}

/* Drops what is above `alive`, or everything. */
static void drop_above(rille_Stack *stack, const rille_Activation *alive) {
  for (rille_Activation *top; (top = rille_stack_top(stack)) != alive;) rille_finish(top);
}

static COLD void drop_dead(lua_State *L, const State *state, rille_Stack *stack) {
  drop_above(stack, innermost_alive(L, state, stack, 1));
  rille_Activation *top = rille_stack_top(stack);
  if (!top) return;
  rille_pin(stack); /* the state may have moved to another thread */
  if (HAS_CALLK && L == state->main) return;
  rille_continue_clock(top);
}

rille_Stack *wasm_active_stack(lua_State *L, State *state) {
  rille_Stack *stack = wasm_current_stack(L, state);
  if (!stack || !rille_stack_top(stack)) return NULL;
  drop_above(stack, innermost_alive(L, state, stack, 1));
  return rille_stack_top(stack) ? stack : NULL;
}

bool wasm_main_is_running(lua_State *L, const State *state) {
  rille_Stack *stack = state->main_stack;
  if (!stack) return false;
  drop_above(stack, innermost_alive(L, state, stack, 1));
  return rille_stack_top(stack) != NULL;
}

/* ---- Entering ---------------------------------------------------------------------------------*/

rille_Activation *wasm_prepare(lua_State *L, State *state, rille_Func *func) {
  rille_Stack *stack = state->main_stack;
  if (UNLIKELY(L != state->main)) stack = find_stack(L, state, true);
  if (rille_stack_top(stack)) drop_dead(L, state, stack);
  rille_Activation *a = rille_prepare(stack, func, L);
  if (UNLIKELY(!a)) wasm_raise_out_of_bounds(L, "call stack exhausted");
#if HAS_CALLK
  if (LIKELY(L == state->main)) {
    wasm_name_frame(L, state, a);
    return a;
  }
#endif
  state->serial = state->serial % INT32_MAX + 1; /* 0 says that there is no mark */
  a->user = (intptr_t)state->serial;
  return a;
}

void wasm_mark_frame(lua_State *L, const State *state, const rille_Activation *activation) {
  if (HAS_CALLK && LIKELY(L == state->main)) return;
  lua_pushlightuserdata(L, (void *)activation->user);
  if (lua_gettop(L) > 1) lua_replace(L, 1);
}

void wasm_insert_mark(lua_State *L, const rille_Activation *activation) {
  lua_pushlightuserdata(L, (void *)activation->user);
  lua_insert(L, 1);
}

rille_Activation *wasm_find_activation(lua_State *L, State *state, intptr_t serial) {
  rille_Stack *stack = wasm_current_stack(L, state);
  rille_Activation *a = stack ? with_serial(stack, serial) : NULL;
  if (a) drop_above(stack, a);
  return a;
}

#if HAS_CALLK
#if LUA_VERSION_NUM >= 503
/* The context is the box of the coroutine's stack: that lives as long as the coroutine, in the
 * table of threads. */
intptr_t wasm_context(const rille_Activation *a) {
  return (intptr_t)rille_stack_user(a->stack);
}

rille_Activation *wasm_continued_activation(lua_State *L, State *state, intptr_t context) {
  (void)state;
  const StackBox *box = (const StackBox *)context;
  if (!box->stack) return NULL;
  rille_Activation *a = with_serial(box->stack, (intptr_t)lua_touserdata(L, 1));
  if (a && UNLIKELY(rille_stack_top(box->stack) != a)) drop_above(box->stack, a);
  return a;
}
#else
intptr_t wasm_context(const rille_Activation *a) {
  return a->user;
}

rille_Activation *wasm_continued_activation(lua_State *L, State *state, intptr_t context) {
  return wasm_find_activation(L, state, context);
}
#endif
#endif

/* ---- Closing an instance ----------------------------------------------------------------------*/

/* Has the coroutine, which is not suspended, a frame of a call of the instance? */
static bool runs_instance(lua_State *L, const Inst *inst, const rille_Stack *stack) {
  lua_Debug frame;
  if (!lua_checkstack(L, 4)) return true;
  for (int level = 0; lua_getstack(L, level, &frame); level++) {
#if HAS_CALLK
    lua_getinfo(L, "f", &frame);
    const Entry *entry = wasm_test_entry(L, -1);
    lua_pop(L, 1);
    if (entry && entry->inst == inst) return true;
#else
    for (rille_Activation *a = stack ? rille_stack_top(stack) : NULL; a; a = a->outer) {
      if (rille_func_instance(a->func) == inst->instance && a->user == serial_of_frame(L, &frame)) {
        return true;
      }
    }
#endif
  }
  (void)stack;
  return false;
}

static bool is_suspended(lua_State *L, lua_State *co) {
  lua_Debug frame;
  return co != L && (lua_status(co) != LUA_OK || !lua_getstack(co, 0, &frame));
}

static void drop_calls_on(rille_Stack *stack, const rille_Instance *instance) {
  rille_Activation *lowest = NULL;
  for (rille_Activation *a = rille_stack_top(stack); a; a = a->outer) {
    if (rille_func_instance(a->func) == instance) lowest = a;
  }
  if (lowest) rille_finish(lowest);
}

bool wasm_drop_calls(lua_State *L, State *state, const Inst *inst) {
  if (state->main && runs_instance(state->main, inst, state->main_stack)) return false;
  int threads = lua_upvalueindex(UP_THREADS);
  for (int drop = 0; drop < 2; drop++) {
    for (lua_pushnil(L); lua_next(L, threads) != 0; lua_pop(L, 1)) {
      lua_State *co = lua_tothread(L, -2);
      const StackBox *box = lua_touserdata(L, -1);
      if (!box->stack || !rille_stack_top(box->stack)) continue;
      if (is_suspended(L, co)) {
        if (drop) drop_calls_on(box->stack, inst->instance);
      } else if (!drop && runs_instance(co, inst, box->stack)) {
        return false;
      }
    }
  }
  return true;
}

void wasm_open_stack(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", stack_gc}, {NULL, NULL}};
  wasm_define_type(L, TYPE_STACK, NULL, metamethods);
}
