/* stack.h - guest stacks and activations (architecture.md, "Guest stacks").
 *
 * The public functions of rille.h are these, cast. What an activation goes through:
 *   ACT_NEW --run--> ACT_RUNNING <--host call--> ACT_IN_HOST --detach--> ACT_DETACHED
 *   ACT_RUNNING --> ACT_ENDED;  ACT_DETACHED --resume--> ACT_RUNNING
 */
#ifndef RILLE_STACK_H
#define RILLE_STACK_H

#include "store.h"

enum { STACK_NESTING_MAX = 200 }; /* activations on one stack */

Stack *stack_new(Engine *engine, void *user); /* NULL when there is no memory */
void stack_free(Stack *stack);                /* drops every activation; back to the pool */
void stack_free_pool(Engine *engine);         /* the engine ends */

/* Pushes an activation for func after dropping the dead ones; NULL: nested too deeply. `here` is an
 * address in the frame of the public function that the host called. */
Act *stack_prepare(Stack *stack, Func *func, void *context, char *here);
/* Drops what a prepare from `here` would. */
void stack_drop_left(Stack *stack, const char *here);
RunStatus stack_run(Act *act);
/* The two in one, with arguments from `args`, func->n_slots of them, and stack_finish after
 * RUN_DONE: the activation's slots then stay as they are until the stack is used again. NULL: as
 * prepare. */
typedef struct Entered {
  Act *act;
  RunStatus status;
} Entered;
Entered stack_enter(Stack *stack, Func *func, void *context, const Slot *args, char *here);
RunStatus stack_resume(Act *act, RunStatus host_status, void *context, char *here);
void stack_finish(Act *act);
void stack_detach(Stack *stack);

/* The host function that the activation was in has returned. */
void stack_leave_host(Act *act);

/* Where the calling thread keeps its token, of the value of Act.thread. */
const uint64_t *stack_thread_token(void);

/* Entered, not ended and not suspended. */
static inline bool act_is_running(const Act *act) {
  return act->state == ACT_RUNNING || act->state == ACT_IN_HOST;
}

/* From guest code: runs fn on the C stack, as a host function is run, but that act->host_func is
 * NULL meanwhile. */
RunStatus stack_call_host(Act *act, HostFn *fn, void *data, Slot *slots, Slot *value_top);

#endif
