/* run.h - what running code and its surroundings (interp.c) share.
 */
#ifndef RILLE_INTERP_RUN_H
#define RILLE_INTERP_RUN_H

#include "handler.h"

/* An instruction to return to, with the frame offset that a call instruction would have had. */
typedef struct ReturnStub {
  uint8_t pad[6];
  uint16_t frame_offset;
  Handler *handler;
} ReturnStub;
extern const ReturnStub run_exit_stub;

/* Return addresses that are no place in prepared code: the end of the run, and the return into the
 * instance that the record under the frame names. */
static FORCE_INLINE const uint8_t *run_exit_address(void) {
  return (const uint8_t *)&run_exit_stub.handler;
}
static FORCE_INLINE bool run_is_exit(const uint8_t *pc) {
  return pc == run_exit_address();
}
bool run_is_instance_return(const uint8_t *pc);
enum { RUN_RECORD_SLOTS = 3 };
const Instance *run_record_instance(const Slot *record);
const uint8_t *run_record_return(const Slot *record);

static FORCE_INLINE void run_set_instance(Run *run, Instance *instance) {
  run->instance = instance;
  run->poll = instance->poll;
  run->globals = instance->globals;
}

/* Something was thrown, act->exception: looks for the clause that catches it, from pc on outwards.
 * acc is the Code that pc is in; with acc 0 pc is the address that the frame returns to. */
Handler interp_throw;

/* Allocates an object for the instruction at pc of the code, the slow way: collects, takes a new
 * block. NULL: act->status is how the run ends. Hosts may have run meanwhile. */
void *run_alloc(Run *run, const uint8_t *pc, Slot *fp, const Code *code, const Type *type,
                uint64_t size);

/* A bulk operation that looks up, for the instruction at pc; and how it went. Hosts may have run
 * meanwhile: memory 0 is to be loaded again. */
BulkRun run_begin_bulk(Run *run, const uint8_t *pc, Slot *fp);
RunStatus run_end_bulk(Run *run, const BulkRun *bulk, Trap trap);
/* What takes long is done by a function of its own, so that the handler's frame stays empty. */
#define LONG(name, operation)                                         \
  static COLD RunStatus name(const uint8_t *pc, Slot *fp, Run *run) { \
    BulkRun bulk = run_begin_bulk(run, pc, fp);                       \
    return run_end_bulk(run, &bulk, operation);                       \
  }
#define DO_LONG(name, size)                \
  do {                                     \
    RunStatus status = name(pc, fp, run);  \
    if (status != RUN_DONE) return status; \
    RELOAD_MEMORY();                       \
    NEXT(size);                            \
  } while (0)

/* The prepared code of the instance's module that holds pc, or NULL. */
const Ops *interp_find_ops(const Instance *instance, const uint8_t *pc);

#endif
