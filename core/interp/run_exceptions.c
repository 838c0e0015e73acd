/* run_exceptions.c - throwing, and the search for the clause that catches.
 *
 * Entering a try does nothing. What is thrown walks up the frames by their return addresses,
 * through records of other instances too, and asks the clauses that stand behind each function's
 * code. Traps, exits and limits never come here.
 */
#include "../runtime/gc.h"
#include "run.h"

static const CallTail *tail_of(const uint8_t *return_address) {
  return (const CallTail *)(const void *)return_address - 1;
}

/* Where the search stands. */
typedef struct Frame {
  const Code *code;
  const uint8_t *pc; /* inside the instruction that threw, or that called */
  Slot *fp;
  Instance *instance;
} Frame;

/* To the caller, by the address that a frame returns to; false when the run ends there. */
static bool to_caller(Frame *frame, const uint8_t *to) {
  if (run_is_instance_return(to)) {
    frame->fp -= RUN_RECORD_SLOTS;
    to = run_record_return(frame->fp);
    frame->instance = (Instance *)(uintptr_t)run_record_instance(frame->fp);
  }
  if (run_is_exit(to)) return false;
  frame->fp -= tail_of(to)->frame_offset;
  frame->pc = to - 1;
  frame->code = tail_of(to)->caller;
  return true;
}

static bool catches(const Catch *clause, const Instance *instance, const Exception *exception) {
  return (clause->what & CATCHES_ALL) != 0 || instance->tags[clause->tag] == exception->tag;
}

static const Catch *find_clause(const Ops *ops, const Frame *frame, const Exception *exception) {
  uint32_t at = (uint32_t)(frame->pc - ops->bytes), level = UINT32_MAX;
  const Catch *clauses = ops_catches(ops);
  for (uint32_t i = 0; i < ops->n_catches; i++) {
    const Catch *clause = &clauses[i];
    if (at < clause->from || at >= clause->end || clause->own_level > level) continue;
    if (clause->what == CATCHES_NOTHING) {
      level = clause->level;
    } else if (catches(clause, frame->instance, exception)) {
      return clause;
    }
  }
  return NULL;
}

/* What the clause passes to its label. */
static void land(const Catch *clause, Slot *fp, Exception *exception) {
  Slot *to = fp + clause->slot;
  size_t n = exception->object.type->n_param_slots;
  if (clause->what & CATCHES_FIRST) *to++ = gc_ref(exception);
  if (clause->what & CATCHES_VALUES) {
    memcpy(to, exception->values, n * sizeof(Slot));
    to += n;
  }
  if (clause->what & CATCHES_REF) *to = gc_ref(exception);
}

/* Sets run->landing; false when nothing catches. */
static NO_INLINE bool search(Run *run, Frame *frame) {
  Exception *exception = gc_exception(run->act->exception);
  for (;;) {
    const Ops *ops = code_ops_at(frame->code, frame->pc);
    const Catch *clause = find_clause(ops, frame, exception);
    if (clause != NULL) {
      land(clause, frame->fp, exception);
      run->act->exception = 0;
      run->landing = (Landing){ops->bytes + clause->target, frame->fp};
      run_set_instance(run, frame->instance);
      return true;
    }
    const Slot *back = frame->fp + frame->code->n_param_slots;
    if (!to_caller(frame, (const uint8_t *)(uintptr_t)*back)) return false;
  }
}

static NO_INLINE bool search_from(Run *run, const Code *code, const uint8_t *pc, Slot *fp) {
  Frame frame = {code, pc, fp, run->instance};
  if (code == NULL && !to_caller(&frame, pc)) return false;
  return search(run, &frame);
}

RunStatus interp_throw(PARAMS) {
  if (!search_from(run, (const Code *)(uintptr_t)acc, pc, fp)) return run->act->status = RUN_THROW;
  pc = run->landing.pc;
  fp = run->landing.fp;
  RELOAD_MEMORY();
  if (UNLIKELY(poll_wanted(run))) LEAVE_TO(interp_poll, 0);
  DISPATCH();
}

#define CODE_OPERAND load_pointer(pc + 16)

static NO_INLINE Exception *new_exception(Run *run, const uint8_t *pc, Slot *fp) {
  Tag *tag = run->instance->tags[U32(12)];
  size_t n = tag->type->n_param_slots * sizeof(Slot);
  Exception *exception = run_alloc(run, pc, fp, CODE_OPERAND, tag->type, sizeof(Exception) + n);
  if (exception == NULL) return NULL;
  exception->tag = tag;
  exception->next = NULL;
  memcpy(exception->values, &SLOT(10), n);
  return exception;
}

HANDLER(THROW) {
  Exception *exception = new_exception(run, pc, fp);
  if (exception == NULL) return run->act->status;
  run->act->exception = gc_ref(exception);
  interp_mark(run, pc, fp);
  LEAVE_TO(interp_throw, (uintptr_t)CODE_OPERAND);
}
HANDLER(THROW_REF) {
  CHECK_TRAP(SLOT(10) != 0 ? TRAP_NONE : TRAP_NULL_EXCEPTION);
  run->act->exception = SLOT(10);
  interp_mark(run, pc, fp);
  LEAVE_TO(interp_throw, (uintptr_t)CODE_OPERAND);
}
