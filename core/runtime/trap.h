/* trap.h - what ends a run early, and how that is told.
 */
#ifndef RILLE_TRAP_H
#define RILLE_TRAP_H

#include "store.h"

/* What a host function returns to end the run. */
RunStatus trap_by_host(Act *act, const char *message);
RunStatus trap_exit(Act *act, int status);
RunStatus trap_throw(Act *act, Slot exception);

const char *trap_limit_name(LimitKind limit); /* "fuel", ..., "" for none */

/* The error of the activation's last run, without its place. */
void trap_describe(const Act *act, Error *error);
/* Guest frames of the activation and those below it, innermost first; at most `room`. */
uint32_t trap_frames(const Act *act, FrameInfo *out, uint32_t room);

#endif
