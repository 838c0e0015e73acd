/* limits.h - memory budgets, and the ticker that makes running code look up.
 */
#ifndef RILLE_LIMITS_H
#define RILLE_LIMITS_H

#include "store.h"

/* Adds bytes to what the instance is charged; false when its limit does not allow them. */
bool limits_charge(Instance *instance, uint64_t bytes);
void limits_refund(Instance *instance, uint64_t bytes);

/* The store ends or joins another: the ticker must not touch it any more. */
void limits_forget(Store *store);

/* Fuel that an instance starts with. */
int64_t limits_initial_fuel(const RunLimits *limits, uint64_t fuel);

/* The clock of the outermost activation of a stack, which holds for all above it. It stands still
 * while the stack is detached. */
void limits_start_clock(Act *act);
void limits_clear_clock(Act *act);
void limits_stop_clock(Act *bottom);
void limits_continue_clock(Act *bottom);
/* Looks up for running code, at once: interrupt, deadline, the host's poll hook. */
RunStatus limits_look(Act *act, Slot *value_top);
/* The same, by a host function: on the C stack already. */
RunStatus limits_look_in_host(Act *act);
/* Would a look end the run? */
bool limits_is_due(const Act *act);
void limits_add_time(Act *act, uint64_t ns);

#endif
