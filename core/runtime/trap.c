/* trap.c - how guest code ends early: what is noted in the activation for the error made later. */
#include "trap.h"

#include "runtime.h"
#include "stores.h"
#include "switch.h"

RunStatus run_trap(Act *act, Trap trap) {
  act->trap = trap;
  act->error_kind = ERROR_TRAP;
  if (trap != TRAP_HOST) act->message[0] = '\0';
  return act->status = RUN_TRAP;
}

/* A host may raise one of the specification's own traps by its text. */
static Trap trap_of_text(const char *text) {
  for (int trap = TRAP_NONE + 1; trap < TRAP_HOST; trap++) {
    if (strcmp(text, trap_text((Trap)trap)) == 0) return (Trap)trap;
  }
  return TRAP_HOST;
}

RunStatus trap_by_host(Act *act, const char *message) {
  run_trap(act, trap_of_text(message));
  if (act->trap != TRAP_HOST) return RUN_TRAP;
  size_t size = MIN(strlen(message), sizeof act->message - 1);
  while (size > 0 && message[size] != '\0' && ((unsigned char)message[size] & 0xC0) == 0x80) size--;
  memcpy(act->message, message, size);
  act->message[size] = '\0';
  return RUN_TRAP;
}

RunStatus trap_exit(Act *act, int status) {
  act->exit_status = status;
  return act->status = RUN_EXIT;
}

RunStatus trap_throw(Act *act, Slot exception) {
  const Instance *instance = act->func->instance;
  if (instance != NULL && !store_adopt_ref(instance->store, TYPE_EXNREF, exception)) {
    return trap_by_host(act, "out of memory");
  }
  act->exception = exception;
  return act->status = RUN_THROW;
}

const char *trap_limit_name(LimitKind limit) {
  static const char *const names[] = {[LIMIT_NONE] = "",
                                      [LIMIT_MEMORY] = "memory",
                                      [LIMIT_FUEL] = "fuel",
                                      [LIMIT_TIMEOUT] = "timeout",
                                      [LIMIT_INTERRUPT] = "interrupt"};
  return names[limit];
}

static void set_limit_error(LimitKind limit, Error *error) {
  static const char *const messages[] = {[LIMIT_NONE] = "stopped by the host",
                                         [LIMIT_MEMORY] = "the memory limit was reached",
                                         [LIMIT_FUEL] = "all fuel is used up",
                                         [LIMIT_TIMEOUT] = "the time limit was reached",
                                         [LIMIT_INTERRUPT] = "interrupted"};
  error_set(error, ERROR_LIMIT, "%s", messages[limit]);
  error->code = (uint32_t)limit;
}

void trap_describe(const Act *act, Error *error) {
  switch (act->status) {
    case RUN_DONE: error_clear(error); break;
    case RUN_TRAP:
      error_set(
          error, act->error_kind == ERROR_NONE ? ERROR_TRAP : act->error_kind, "%s",
          act->trap == TRAP_HOST && act->message[0] != '\0' ? act->message : trap_text(act->trap));
      error->code = (uint32_t)act->trap;
      break;
    case RUN_THROW: error_set(error, ERROR_EXCEPTION, "uncaught exception"); break;
    case RUN_LIMIT: set_limit_error(act->limit, error); break;
    case RUN_EXIT:
      error_set(error, ERROR_EXIT, "exit with status %d", act->exit_status);
      error->code = (uint32_t)act->exit_status;
      break;
  }
}

/* Frames of one activation; 0 when it has none to show. */
static uint32_t frames_of(const Act *act, FrameInfo *out, uint32_t room) {
  const Instance *instance = act->func->instance;
  if (instance == NULL || act->frames == NULL) return 0;
  uint32_t n = instance->ops->backtrace(act, out, room);
  /* A place that an engine does not know is the start of the function's body. */
  for (uint32_t i = 0; i < MIN(n, room); i++) {
    if (out[i].offset == 0) out[i].offset = out[i].module->funcs[out[i].func].at;
  }
  return n;
}

/* Without stack switches the frames of a run that a host function left went with the C stack, on
 * which the engine notes where it stands. */
static bool has_frames(const Act *act) {
#if defined(RILLE_NO_SWITCH)
  if (act->state == ACT_DETACHED) return false;
#endif
  return act->state != ACT_NEW;
}

uint32_t trap_frames(const Act *act, FrameInfo *out, uint32_t room) {
  uint32_t n = 0;
  for (; act != NULL && n < room; act = act->outer) {
    if (!has_frames(act)) continue;
    uint32_t found = frames_of(act, out + n, room - n);
    n += MIN(found, room - n);
  }
  return n;
}
