/* api_coroutine.c - the public functions for hosts with coroutines of their own, and the joining of
 * stores that they need when values pass between instances.
 */
#include "../../include/rille.h"

#include "../runtime/limits.h"
#include "../runtime/stack.h"
#include "../runtime/stores.h"

bool rille_join_stores(rille_Store *a, rille_Store *b) {
  Store *one = store_of((Store *)a), *other = store_of((Store *)b);
  return one == other || store_merge(one, other);
}

/* No caller lies above the highest address, so that the search for dead activations stops here. */
void rille_pin(rille_Stack *stack) {
  uint64_t thread = os_thread_token();
  for (Act *act = ((Stack *)stack)->top; act != NULL; act = act->outer) {
    act->anchor = (char *)UINTPTR_MAX;
    act->thread = thread;
  }
}

static Act *bottom_of(rille_Activation *activation) {
  Act *act = (Act *)activation;
  while (act->outer != NULL) act = act->outer;
  return act;
}

void rille_pause_clock(rille_Activation *activation) {
  limits_stop_clock(bottom_of(activation));
}

void rille_continue_clock(rille_Activation *activation) {
  limits_continue_clock(bottom_of(activation));
}

rille_HostFn *rille_host_func_code(const rille_Func *func) {
  return (rille_HostFn *)(void (*)(void))((const Func *)func)->host;
}

size_t rille_stack_bytes(const rille_Stack *handle) {
  const Stack *stack = (const Stack *)handle;
  if (stack->top == NULL) return 0;
  return (size_t)((const char *)stack->top->value_top - (const char *)stack->values);
}
