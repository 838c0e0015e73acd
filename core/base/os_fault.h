/* os_fault.h - faults of generated code: signals on systems that have them.
 */
#ifndef RILLE_OS_FAULT_H
#define RILLE_OS_FAULT_H

#include "base.h"

/* A processor fault. `handler` looks at pc; when the fault is its own it changes pc and the first
 * argument's register and returns true. It runs on a signal stack: it must not allocate, lock or
 * touch thread-local data.
 */
typedef struct OsFault {
  const uint8_t *pc;
  uintptr_t argument;
} OsFault;
typedef bool OsFaultHandler(OsFault *fault);

/* Installs the handler once for the process; every fault that it does not want goes to whoever was
 * there before. False when this system has no such thing. */
bool os_catch_faults(OsFaultHandler *handler);
/* After os_catch_faults: takes the place again when somebody installed another handler since, who
 * then gets every fault that is not wanted. */
void os_keep_catching_faults(void);
/* Gives the calling thread a stack for its handlers, once; it is freed with the thread. */
bool os_prepare_thread(void);

#endif
