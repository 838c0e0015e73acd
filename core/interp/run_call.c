/* run_call.c - calls, tail calls, traps, limits: whatever leaves a function or the run.
 *
 * A call inside an instance stores the return address in the callee's frame and moves the frame
 * pointer; nothing is on the machine stack. A call into another instance puts a record under the
 * callee's frame, and the callee returns to an instruction that restores the caller from it:
 *
 *   arguments moved up by three slots; below them: the caller's instance, the return address, the
 *   number of result slots
 *
 * Tail calls between instances reuse the record that is there, so their stack is constant too.
 */
#include "run.h"

#include <stdio.h>

enum { RECORD_INSTANCE, RECORD_RETURN, RECORD_RESULTS, RECORD_SLOTS = RUN_RECORD_SLOTS };

const ReturnStub run_exit_stub = {{0}, 0, h_EXIT};
static const ReturnStub instance_stub = {{0}, RECORD_SLOTS, h_RETURN_INSTANCE};
#define STUB_ADDRESS(stub) ((const uint8_t *)&(stub).handler)

bool run_is_instance_return(const uint8_t *pc) {
  return pc == STUB_ADDRESS(instance_stub);
}
const Instance *run_record_instance(const Slot *fp) {
  return (const Instance *)(uintptr_t)fp[RECORD_INSTANCE];
}
const uint8_t *run_record_return(const Slot *fp) {
  return (const uint8_t *)(uintptr_t)fp[RECORD_RETURN];
}

/* The call instruction's tail, given the address behind it. */
#define TAIL_OF(pc)         ((const CallTail *)(const void *)(pc)-1)
#define TO_SLOT(address)    ((Slot)(uintptr_t)(address))
#define TO_CODE(slot)       ((const uint8_t *)(uintptr_t)(slot))
#define HAS_ROOM(at, bytes) ((size_t)((char *)run->value_end - (char *)(at)) >= (bytes))
/* Instances of one store may use different engines. */
#define IS_FOREIGN(func) ((func)->host || (func)->instance->ops != run->instance->ops)
#define LOAD_RESULTS()                                  \
  do {                                                  \
    acc = fp_results[0];                                \
    f = load_f32(fp_results), d = load_f64(fp_results); \
  } while (0)

/* Leaving with a trap, from an instruction's handler. */
RunStatus interp_trap(PARAMS) {
  (void)mem, (void)mem_size, (void)f, (void)d;
  interp_mark(run, pc, fp);
  return run_trap(run->act, (Trap)acc);
}

RunStatus interp_memory_bounds(PARAMS) {
  const Memory *memory = run->instance->module->n_memories != 0 ? run->instance->memories[0] : NULL;
  if (memory && (memory_size_now(memory) != mem_size || memory->base != mem)) {
    RELOAD_MEMORY();
    DISPATCH();
  }
  LEAVE_TO(interp_trap, TRAP_MEMORY_BOUNDS);
}

/* Where frames end, for a run that stands at pc in the frame fp. */
static Slot *frame_end(const Run *run, const uint8_t *pc, Slot *fp) {
  const Ops *ops = interp_find_ops(run->instance, pc);
  return ops ? fp + ops->frame_bytes / sizeof(Slot) : fp;
}

/* Hosts may run while the guest is polled: memory may grow, stores may merge. */
static RunStatus poll_now(Run *run, const uint8_t *pc, Slot *fp) {
  if (!run_wants_look(run->act)) return RUN_DONE;
  interp_mark(run, pc, fp);
  RunStatus status = run_look(run->act, frame_end(run, pc, fp));
  run_set_instance(run, run->instance);
  return status;
}

RunStatus interp_poll(PARAMS) {
  RunStatus status = poll_now(run, pc, fp);
  if (status != RUN_DONE) return status;
  RELOAD_MEMORY();
  DISPATCH();
}

BulkRun run_begin_bulk(Run *run, const uint8_t *pc, Slot *fp) {
  interp_mark(run, pc, fp);
  return (BulkRun){run->act, frame_end(run, pc, fp), RUN_DONE};
}

RunStatus run_end_bulk(Run *run, const BulkRun *bulk, Trap trap) {
  run_set_instance(run, run->instance);
  return trap != TRAP_NONE ? run_trap(run->act, trap) : bulk->status;
}

static RunStatus out_of_fuel(PARAMS) {
  interp_mark(run, pc, fp);
  RunStatus status = run_out_of_fuel(run->act, frame_end(run, pc, fp));
  if (status != RUN_DONE) return status;
  run_set_instance(run, run->instance);
  RELOAD_MEMORY();
  NEXT(16);
}
HANDLER(FUEL) {
  *run->fuel -= U32(12);
  if (UNLIKELY(*run->fuel < 0)) LEAVE_TO(out_of_fuel, 0);
  NEXT(16);
}
HANDLER(FUEL_BULK) {
  uint64_t n = U16(10) ? SLOT(8) : (uint32_t)SLOT(8);
  n >>= U32(12);
  *run->fuel -= (int64_t)MIN(n, (uint64_t)1 << 62);
  if (UNLIKELY(*run->fuel < 0)) LEAVE_TO(out_of_fuel, 0);
  NEXT(16);
}

HANDLER(UNREACHABLE) {
  LEAVE_TO(interp_trap, TRAP_UNREACHABLE);
}
HANDLER(OUT_OF_BOUNDS) {
  LEAVE_TO(interp_trap, TRAP_MEMORY_BOUNDS);
}
HANDLER(EXIT) {
  (void)pc, (void)fp, (void)mem, (void)mem_size, (void)acc, (void)run, (void)f, (void)d;
  return RUN_DONE;
}

/* Locals are cleared in blocks of four slots; what is cleared behind them is operand stack. */
HANDLER(ENTER) {
  Slot *at = &SLOT(8), *end = at + 4 * (size_t)U32(12);
  for (; at < end; at += 4) at[0] = at[1] = at[2] = at[3] = 0;
  NEXT(16);
}

/* NULL: act says why the call fails. In a function of its own, as handlers take no addresses. */
static NO_INLINE const Ops *translate_for(Act *act, Code *code, unsigned variant) {
  Error error;
  const Ops *ops = interp_translate(code, variant, &error);
  if (ops) return ops;
  run_trap(act, TRAP_HOST);
  act->error_kind = error.kind;
  snprintf(act->message, sizeof act->message, "%.*s", (int)sizeof act->message - 1, error.message);
  return NULL;
}

/* First call of a function; acc is its Code. The frame is the callee's, the place is the call. */
static RunStatus prepare(PARAMS) {
  Code *code = (Code *)(uintptr_t)acc;
  const uint8_t *to = TO_CODE(fp[code->n_param_slots]);
  const Slot *caller_fp = run_is_exit(to) ? fp : fp - load_u16(to - 2);
  const Ops *ops = translate_for(run->act, code, run->variant);
  if (UNLIKELY(!ops || !HAS_ROOM(fp, ops->frame_bytes))) {
    interp_mark(run, to - 1, caller_fp);
    return ops ? run_trap(run->act, TRAP_STACK_EXHAUSTED) : RUN_TRAP;
  }
  pc = ops->bytes;
  DISPATCH();
}
HANDLER(PREPARE) {
  LEAVE_TO(prepare, acc);
}
HANDLER(PREPARE_FUEL) {
  LEAVE_TO(prepare, acc);
}

/* Calls. In what follows pc is the address behind the call instruction, where its tail ends. */

/* Of another instance; acc is the Func. */
static RunStatus call_across(PARAMS) {
  const Func *func = (const Func *)(uintptr_t)acc;
  const Code *code = func->code;
  Slot *record = fp + TAIL_OF(pc)->frame_offset, *callee = record + RECORD_SLOTS;
  uint32_t n_params = code->n_param_slots;
  const Ops *ops = code_ops(code, run->variant);
  if (!HAS_ROOM(callee, MAX(ops->frame_bytes, (n_params + 4) * sizeof(Slot)))) {
    pc--;
    LEAVE_TO(interp_trap, TRAP_STACK_EXHAUSTED);
  }
  memmove(callee, record, n_params * sizeof(Slot));
  record[RECORD_INSTANCE] = TO_SLOT(run->instance);
  record[RECORD_RETURN] = TO_SLOT(pc);
  record[RECORD_RESULTS] = func->type->n_result_slots;
  callee[n_params] = TO_SLOT(STUB_ADDRESS(instance_stub));
  run_set_instance(run, func->instance);
  RELOAD_MEMORY();
  fp = callee, pc = ops->bytes, acc = (uint64_t)(uintptr_t)code;
  DISPATCH();
}

/* Back in the caller's instance: fp is at the record, the results lie above it. */
HANDLER(RETURN_INSTANCE) {
  const uint8_t *to = TO_CODE(fp[RECORD_RETURN]);
  size_t n = (size_t)fp[RECORD_RESULTS];
  run_set_instance(run, (Instance *)(uintptr_t)fp[RECORD_INSTANCE]);
  RELOAD_MEMORY();
  memmove(fp, fp + RECORD_SLOTS, n * sizeof(Slot));
  pc = to;
  fp -= load_u16(pc - 2);
  DISPATCH();
}

static RunStatus call_foreign(Act *act, Func *func, Slot *slots) {
  return LIKELY(func->host != NULL) ? run_call_host(act, func, slots, slots + func->n_slots)
                                    : run_call_other(act, func, slots);
}

/* Of the host, or of another engine; acc is the Func. */
static RunStatus call_host(PARAMS) {
  Func *func = (Func *)(uintptr_t)acc;
  Slot *fp_results = fp + TAIL_OF(pc)->frame_offset;
  if (!HAS_ROOM(fp_results, (func->n_slots + 1) * sizeof(Slot))) {
    pc--;
    LEAVE_TO(interp_trap, TRAP_STACK_EXHAUSTED);
  }
  interp_mark(run, pc - 1, fp);
  RunStatus status = call_foreign(run->act, func, fp_results);
  run_set_instance(run, run->instance);
  if (UNLIKELY(status != RUN_DONE)) {
    if (status != RUN_THROW) return status;
    pc--;
    LEAVE_TO(interp_throw, (uintptr_t)TAIL_OF(pc + 1)->caller);
  }
  RELOAD_MEMORY();
  LOAD_RESULTS();
  DISPATCH();
}

/* Of the same instance, with all checks; acc is the Code. */
static RunStatus call_code(PARAMS) {
  const Code *code = (const Code *)(uintptr_t)acc;
  if (poll_wanted(run)) {
    RunStatus status = poll_now(run, pc - 1, fp);
    if (status != RUN_DONE) return status;
    RELOAD_MEMORY();
  }
  const Ops *ops = code_ops(code, run->variant);
  Slot *callee = fp + TAIL_OF(pc)->frame_offset;
  if (!HAS_ROOM(callee, ops->frame_bytes)) {
    pc--;
    LEAVE_TO(interp_trap, TRAP_STACK_EXHAUSTED);
  }
  callee[code->n_param_slots] = TO_SLOT(pc);
  fp = callee, pc = ops->bytes;
  DISPATCH();
}

/* Any function; acc is the Func. */
static RunStatus call_any(PARAMS) {
  const Func *func = (const Func *)(uintptr_t)acc;
  if (IS_FOREIGN(func)) LEAVE_TO(call_host, acc);
  if (func->instance == run->instance) LEAVE_TO(call_code, func->code);
  LEAVE_TO(call_across, acc);
}

/* The common case: the same instance, room, nobody asks to look up. A direct call names the Code.
 */
#define CALL_INSIDE(called, ops_, size)                                      \
  do {                                                                       \
    const Code *callee_code = (called);                                      \
    const Ops *ops = (ops_);                                                 \
    Slot *callee = fp + U16((size)-2);                                       \
    acc = (uint64_t)(uintptr_t)callee_code;                                  \
    if (UNLIKELY(!HAS_ROOM(callee, ops->frame_bytes) || poll_wanted(run))) { \
      pc += (size);                                                          \
      TAIL return call_code(ARGS);                                           \
    }                                                                        \
    fp[U16((size)-4)] = TO_SLOT(pc + (size));                                \
    fp = callee, pc = ops->bytes;                                            \
    DISPATCH();                                                              \
  } while (0)
#define CALL_FUNC(func_, size)                              \
  do {                                                      \
    const Func *func = (func_);                             \
    if (func->instance != run->instance) {                  \
      pc += (size);                                         \
      if (func->host) LEAVE_TO(call_host, (uintptr_t)func); \
      LEAVE_TO(call_any, (uintptr_t)func);                  \
    }                                                       \
    const Code *code = func->code;                          \
    CALL_INSIDE(code, code_ops(code, run->variant), size);  \
  } while (0)

#define CALLED_CODE ((const Code *)load_pointer(pc + 8))
HANDLER(CALL) {
  CALL_INSIDE(CALLED_CODE, code_ops(callee_code, VARIANT_PLAIN), 32);
}
HANDLER(CALL_FUEL) {
  CALL_INSIDE(CALLED_CODE, code_ops(callee_code, VARIANT_FUEL), 32);
}
HANDLER(CALL_IMPORT) {
  CALL_FUNC(run->instance->funcs[U32(8)], 32);
}
HANDLER(CALL_REF) {
  const Func *called = (const Func *)(uintptr_t)SLOT(8);
  CHECK_TRAP(called ? TRAP_NONE : TRAP_NULL_FUNCTION);
  CALL_FUNC(called, 32);
}

/* The function in a table, checked against a type. */
static FORCE_INLINE Trap table_func(const Table *table, uint64_t index, const Type *type,
                                    const Func **func) {
  if (UNLIKELY(index >= table->n)) return TRAP_UNDEFINED_ELEMENT;
  *func = (const Func *)(uintptr_t)table->items[index];
  if (UNLIKELY(!*func)) return TRAP_UNINITIALIZED_ELEMENT;
  if (UNLIKELY(!func_has_type(*func, type))) return TRAP_INDIRECT_CALL_TYPE;
  return TRAP_NONE;
}
#define CALL_INDIRECT(index)                                                                  \
  do {                                                                                        \
    const Func *called = NULL;                                                                \
    CHECK_TRAP(                                                                               \
        table_func(run->instance->tables[U32(12)], (index), load_pointer(pc + 16), &called)); \
    CALL_FUNC(called, 40);                                                                    \
  } while (0)
HANDLER(CALL_INDIRECT_S) {
  CALL_INDIRECT(S_i32(8));
}
HANDLER(CALL_INDIRECT_A) {
  CALL_INDIRECT(A_i32);
}
HANDLER(CALL_INDIRECT_64) {
  CALL_INDIRECT(S_i64(8));
}

/* Tail calls. pc is at the instruction: arguments' slot and number, where the return address is and
 * where it goes. */
#define TAIL_ARGS     (&SLOT(8))
#define TAIL_N_ARGS   U16(10)
#define TAIL_RETURN   SLOT(12)
#define TAIL_NEW_SLOT U16(14)

/* Of the same instance; acc is the Code. */
static RunStatus tail_code(PARAMS) {
  const Code *code = (const Code *)(uintptr_t)acc;
  const Ops *ops = code_ops(code, run->variant);
  if (UNLIKELY(!HAS_ROOM(fp, ops->frame_bytes))) LEAVE_TO(interp_trap, TRAP_STACK_EXHAUSTED);
  Slot to = TAIL_RETURN;
  memmove(fp, TAIL_ARGS, TAIL_N_ARGS * sizeof(Slot));
  fp[TAIL_NEW_SLOT] = to;
  pc = ops->bytes;
  DISPATCH();
}

/* Of another instance; acc is the Func. */
static RunStatus tail_across(PARAMS) {
  const Func *func = (const Func *)(uintptr_t)acc;
  const Code *code = func->code;
  const Ops *ops = code_ops(code, run->variant);
  Slot to = TAIL_RETURN;
  size_t n = TAIL_N_ARGS;
  bool has_record = run_is_instance_return(TO_CODE(to));
  Slot *callee = has_record ? fp : fp + RECORD_SLOTS;
  if (!HAS_ROOM(callee, MAX(ops->frame_bytes, (n + 4) * sizeof(Slot))))
    LEAVE_TO(interp_trap, TRAP_STACK_EXHAUSTED);
  memmove(callee, TAIL_ARGS, n * sizeof(Slot));
  if (!has_record) {
    fp[RECORD_INSTANCE] = TO_SLOT(run->instance);
    fp[RECORD_RETURN] = to;
    fp[RECORD_RESULTS] = func->type->n_result_slots;
  }
  callee[code->n_param_slots] = TO_SLOT(STUB_ADDRESS(instance_stub));
  run_set_instance(run, func->instance);
  RELOAD_MEMORY();
  fp = callee, pc = ops->bytes, acc = (uint64_t)(uintptr_t)code;
  DISPATCH();
}

/* Of the host: a call, then a return; acc is the Func. */
static RunStatus tail_host(PARAMS) {
  Func *func = (Func *)(uintptr_t)acc;
  Slot *fp_results = TAIL_ARGS;
  if (!HAS_ROOM(fp_results, (func->n_slots + 1) * sizeof(Slot)))
    LEAVE_TO(interp_trap, TRAP_STACK_EXHAUSTED);
  interp_mark(run, pc, fp);
  RunStatus status = call_foreign(run->act, func, fp_results);
  run_set_instance(run, run->instance);
  if (UNLIKELY(status != RUN_DONE)) {
    if (status != RUN_THROW) return status;
    pc = TO_CODE(TAIL_RETURN);
    LEAVE_TO(interp_throw, 0);
  }
  RELOAD_MEMORY();
  LOAD_RESULTS();
  const uint8_t *to = TO_CODE(TAIL_RETURN);
  memmove(fp, fp_results, func->type->n_result_slots * sizeof(Slot));
  pc = to;
  fp -= load_u16(pc - 2);
  DISPATCH();
}

/* Any function; acc is the Func. */
static RunStatus tail_any(PARAMS) {
  const Func *func = (const Func *)(uintptr_t)acc;
  if (poll_wanted(run)) {
    RunStatus status = poll_now(run, pc, fp);
    if (status != RUN_DONE) return status;
    RELOAD_MEMORY();
  }
  if (IS_FOREIGN(func)) LEAVE_TO(tail_host, acc);
  if (func->instance == run->instance) LEAVE_TO(tail_code, func->code);
  LEAVE_TO(tail_across, acc);
}

static RunStatus tail_poll(PARAMS) {
  RunStatus status = poll_now(run, pc, fp);
  if (status != RUN_DONE) return status;
  RELOAD_MEMORY();
  LEAVE_TO(tail_code, U64(16));
}
HANDLER(TAIL_CALL) {
  if (UNLIKELY(poll_wanted(run))) LEAVE_TO(tail_poll, acc);
  LEAVE_TO(tail_code, U64(16));
}
HANDLER(TAIL_CALL_IMPORT) {
  LEAVE_TO(tail_any, (uintptr_t)run->instance->funcs[U32(16)]);
}
HANDLER(TAIL_CALL_REF) {
  CHECK_TRAP(SLOT(16) != 0 ? TRAP_NONE : TRAP_NULL_FUNCTION);
  LEAVE_TO(tail_any, SLOT(16));
}
HANDLER(TAIL_CALL_INDIRECT) {
  const Func *called = NULL;
  uint64_t index = U32(24) & ADDRESS_64 ? SLOT(28) : (uint32_t)SLOT(28);
  CHECK_TRAP(table_func(run->instance->tables[U32(24) & ~ADDRESS_64], index, load_pointer(pc + 16),
                        &called));
  LEAVE_TO(tail_any, (uintptr_t)called);
}
