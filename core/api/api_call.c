/* api_call.c - calls, guest stacks and what host functions return. */
#include "../runtime/limits.h"
#include "../runtime/stack.h"
#include "../runtime/stores.h"
#include "../runtime/trap.h"
#include "api.h"

#if defined(__GNUC__)
#define CALLER_FRAME() ((char *)__builtin_frame_address(0))
#else
#define CALLER_FRAME() ((char *)&(volatile char){0})
#endif

rille_Stack *rille_new_stack(rille_Engine *engine, void *user) {
  return stack_handle(stack_new(engine_of(engine), user));
}

void rille_free_stack(rille_Stack *stack) {
  if (stack != NULL) stack_free(stack_of(stack));
}

void rille_keep_together(rille_Stack *stack) {
  stack_of(stack)->stays = true;
}

void *rille_stack_user(const rille_Stack *stack) {
  return stack_of(stack)->user;
}

rille_Activation *rille_stack_top(const rille_Stack *stack) {
  return act_handle(stack_of(stack)->top);
}

void rille_drop_left(rille_Stack *stack) {
  stack_drop_left(stack_of(stack), CALLER_FRAME());
}

rille_Activation *rille_prepare(rille_Stack *stack, rille_Func *func, void *context) {
  return act_handle(stack_prepare(stack_of(stack), func_of(func), context, CALLER_FRAME()));
}

rille_Status rille_run(rille_Activation *activation) {
  return (rille_Status)stack_run(act_of(activation));
}

rille_Entered rille_enter(rille_Stack *stack, rille_Func *func, void *context,
                          const rille_Slot *slots) {
  Entered entered = stack_enter(stack_of(stack), func_of(func), context, slots, CALLER_FRAME());
  return (rille_Entered){act_handle(entered.act), (rille_Status)entered.status};
}

rille_DirectFn *rille_direct_entry(const rille_Func *handle) {
  const Func *func = (const Func *)handle;
  const Instance *instance = func->instance;
  if (instance == NULL || instance->ops->direct_entry == NULL) return NULL;
  return (rille_DirectFn *)(uintptr_t)instance->ops->direct_entry(func);
}

rille_Status rille_resume(rille_Activation *activation, rille_Status host_status, void *context) {
  return (rille_Status)stack_resume(act_of(activation), (RunStatus)host_status, context,
                                    CALLER_FRAME());
}

void rille_finish(rille_Activation *activation) {
  stack_finish(act_of(activation));
}

void rille_detach(rille_Stack *stack) {
  stack_detach(stack_of(stack));
}

bool rille_is_detached(const rille_Activation *activation) {
  return act_of(activation)->state == ACT_DETACHED;
}

rille_Slot rille_activation_exception(rille_Activation *activation) {
  return act_of(activation)->exception;
}

void rille_add_time(rille_Activation *activation, uint64_t ns) {
  limits_add_time(act_of(activation), ns);
}

rille_Instance *rille_caller(const rille_Activation *activation) {
  const Act *act = act_of(activation);
  const Instance *entered = act->func->instance;
  return entered != NULL && act->frames != NULL ? instance_handle(entered->ops->caller(act)) : NULL;
}

rille_Status rille_look_up(rille_Activation *activation) {
  return (rille_Status)limits_look_in_host(act_of(activation));
}

bool rille_is_due(const rille_Activation *activation) {
  return limits_is_due(act_of(activation));
}

rille_Status rille_trap(rille_Activation *activation, const char *message) {
  return (rille_Status)trap_by_host(act_of(activation), message);
}

rille_Status rille_exit(rille_Activation *activation, int status) {
  return (rille_Status)trap_exit(act_of(activation), status);
}

rille_Status rille_throw(rille_Activation *activation, rille_Slot exception) {
  return (rille_Status)trap_throw(act_of(activation), exception);
}

/* Checked calls */

static Slot *put_value(Slot *at, const rille_Value *value) {
  switch (type_kind(value->type)) {
    case KIND_I32:
    case KIND_F32: *at = (uint32_t)value->i32; return at + 1;
    case KIND_V128: memcpy(at, value->v128, sizeof value->v128); return at + 2;
    default: *at = (Slot)value->i64; return at + 1;
  }
}

static const Slot *get_value(const Slot *at, ValType type, rille_Value *value) {
  value->type = type;
  switch (type_kind(type)) {
    case KIND_I32:
    case KIND_F32: value->i32 = (int32_t)(uint32_t)*at; return at + 1;
    case KIND_V128: memcpy(value->v128, at, sizeof value->v128); return at + 2;
    default: value->i64 = (int64_t)*at; return at + 1;
  }
}

static bool value_fits(const rille_Value *value, ValType wanted) {
  if (!type_is_ref(wanted)) return value->type == wanted;
  return type_is_ref(value->type) && ref_has_type(value->ref, wanted);
}

static bool check_args(const Func *func, const rille_Value *args, size_t n_args, size_t n_results,
                       rille_Error **error) {
  const CompType *type = &func->type->comp;
  if (n_args != type->n_params || n_results != type->n_results) {
    return api_fail_text(error, ERROR_MISUSE,
                         "wanted %u arguments and room for %u results, given %zu and %zu",
                         (unsigned)type->n_params, (unsigned)type->n_results, n_args, n_results);
  }
  for (size_t i = 0; i < n_args; i++) {
    if (value_fits(&args[i], type->types[i])) continue;
    char wanted[64], given[64];
    type_print(type->types[i], wanted, sizeof wanted);
    type_print(args[i].type, given, sizeof given);
    return api_fail_text(error, ERROR_MISUSE, "argument %zu: wanted %s, given %s", i + 1, wanted,
                         given);
  }
  return true;
}

/* References that go in stay alive with the store they go into. */
static bool adopt_args(const Func *func, const rille_Value *args, size_t n_args) {
  if (func->instance == NULL) return true;
  for (size_t i = 0; i < n_args; i++) {
    if (!type_is_ref(args[i].type)) continue;
    if (!store_adopt_ref(func->instance->store, args[i].type, args[i].ref)) return false;
  }
  return true;
}

static bool run_call(Stack *stack, Func *func, const rille_Value *args, size_t n_args,
                     rille_Value *results, rille_Error **error) {
  Act *act = stack_prepare(stack, func, NULL, CALLER_FRAME());
  if (act == NULL) {
    Error failure;
    error_set(&failure, ERROR_TRAP, "%s", trap_text(TRAP_STACK_EXHAUSTED));
    failure.code = TRAP_STACK_EXHAUSTED;
    return api_fail(error, &failure);
  }
  Slot *in = act->slots;
  for (size_t i = 0; i < n_args; i++) in = put_value(in, &args[i]);
  bool ok = stack_run(act) == RUN_DONE;
  if (!ok && error != NULL) *error = api_error_of_act(act);
  const CompType *type = &func->type->comp;
  const Slot *out = act->slots;
  for (uint32_t i = 0; ok && i < type->n_results; i++) {
    out = get_value(out, type->types[type->n_params + i], &results[i]);
  }
  stack_finish(act);
  return ok;
}

bool rille_call(rille_Func *handle, const rille_Value *args, size_t n_args, rille_Value *results,
                size_t n_results, rille_Error **error) {
  Func *func = func_of(handle);
  if (!check_args(func, args, n_args, n_results, error)) return false;
  if (!adopt_args(func, args, n_args)) return api_fail_memory(error);
  Engine *engine = func->instance != NULL ? func->instance->store->engine : func->engine;
  Stack *stack = stack_new(engine, NULL);
  if (stack == NULL) return api_fail_memory(error);
  bool ok = run_call(stack, func, args, n_args, results, error);
  stack_free(stack);
  return ok;
}
