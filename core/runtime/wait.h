/* wait.h - atomic waits; what guest code asks of them is in runtime.h.
 */
#ifndef RILLE_WAIT_H
#define RILLE_WAIT_H

#include "store.h"

/* The activation is dropped while it waits (act->waiter is set). */
void wait_cancel(Act *act);

#endif
