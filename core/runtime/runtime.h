/* runtime.h - the run-time functions that both engines call from guest code.
 *
 * Bulk operations check their bounds first and change nothing when they trap. They return a Trap
 * (TRAP_NONE: done). Everything here may run on a guest stack and uses little of it; what may run
 * host code (run_call_host, run_poll, run_limit) switches to the host's C stack first.
 */
#ifndef RILLE_RUNTIME_H
#define RILLE_RUNTIME_H

#include "store.h"

/* Memories */
uint64_t memory_grow(Memory *memory, uint64_t pages); /* old size in pages, or UINT64_MAX */
Trap memory_init(Instance *instance, uint32_t memory, uint32_t data, uint64_t to, uint32_t from,
                 uint32_t n);
Trap memory_copy(Memory *to, Memory *from, uint64_t to_at, uint64_t from_at, uint64_t n);
Trap memory_fill(Memory *memory, uint64_t at, uint8_t byte, uint64_t n);
void data_drop(Instance *instance, uint32_t data);
/* 0 woken, 1 not equal, 2 timed out; timeout in ns, negative: never. *status when it ended
 * otherwise (limit, interrupt). Bounds, alignment and sharedness are checked here. */
Trap memory_wait(Act *act, Memory *memory, uint64_t at, unsigned bytes, uint64_t expected,
                 int64_t timeout, uint32_t *out, RunStatus *status);
Trap memory_notify(Memory *memory, uint64_t at, uint32_t n, uint32_t *out);

/* Tables */
uint64_t table_grow(Table *table, uint64_t n, Slot init); /* old size, or UINT64_MAX */
Trap table_fill(Table *table, uint64_t at, Slot value, uint64_t n);
Trap table_copy(Table *to, Table *from, uint64_t to_at, uint64_t from_at, uint64_t n);
Trap table_init(Instance *instance, uint32_t table, uint32_t elem, uint64_t to, uint32_t from,
                uint32_t n);
void elem_drop(Instance *instance, uint32_t elem);

/* Calls a host function from guest code: saves the guest's stack pointer in act, switches to the C
 * stack of act->host_sp and calls callee->host there. `value_top` is the first slot of the value
 * stack that no frame uses (nested runs start there); act->frames must be set. Returns what the
 * host function returned, maybe long after, in another call of rille_resume. */
RunStatus run_call_host(Act *act, Func *callee, Slot *slots, Slot *value_top);

/* Calls a function that another engine runs: deeper on the guest stack, as a part of the same
 * activation, so that the host may suspend it. `slots` has the arguments, then the results, on top
 * of the value stack. The caller marks its frames again when that has ended. */
RunStatus run_call_other(Act *act, Func *callee, Slot *slots);

/* instance->poll was seen nonzero. False: nothing is to be done yet. True: run_look. */
bool run_wants_look(Act *act);
/* Interrupt, deadline, the host's poll hook. RUN_DONE: go on. */
RunStatus run_look(Act *act, Slot *value_top);
/* Both, for whoever has value_top at hand. */
RunStatus run_poll(Act *act, Slot *value_top);
/* The fuel of act->instance is below zero: RUN_DONE when the host added some, else RUN_LIMIT. The
 * engine subtracts the cost of a block at its start, then asks this when the result is negative. */
RunStatus run_out_of_fuel(Act *act, Slot *value_top);

/* Leave with a trap, exception ...: fills act and returns the status to return. act->frames must be
 * set. */
RunStatus run_trap(Act *act, Trap trap);

/* The bulk operations for long runs of bytes (more than a MiB): they look up after every MiB. Run
 * by act, whose frames are set, with value_top as above; status is not RUN_DONE when looking ended
 * the run. bulk.c */
typedef struct BulkRun {
  Act *act;
  Slot *value_top;
  RunStatus status; /* RUN_DONE at first */
} BulkRun;
Trap bulk_memory_fill(BulkRun *run, Memory *memory, uint64_t at, uint8_t byte, uint64_t n);
Trap bulk_memory_copy(BulkRun *run, Memory *to, Memory *from, uint64_t to_at, uint64_t from_at,
                      uint64_t n);
Trap bulk_table_fill(BulkRun *run, Table *table, uint64_t at, const Slot *value, uint64_t n);
Trap bulk_table_copy(BulkRun *run, Table *to, Table *from, uint64_t to_at, uint64_t from_at,
                     uint64_t n);
Trap bulk_array_fill(BulkRun *run, Slot array, uint32_t at, const Slot *value, uint32_t n);
Trap bulk_array_copy(BulkRun *run, Slot to, uint32_t to_at, Slot from, uint32_t from_at,
                     uint32_t n);
/* Elements of tables and arrays from which on it is one of these. */
enum { BULK_ELEMENTS = 1 << 17 };

/* Is `func`, called through a table or reference, of the type with this id or a subtype of it? */
static inline bool func_has_type(const Func *func, const Type *type) {
  return func->type == type || type_is_subtype(func->type, type);
}

#endif
