/* unroll.h - see unroll.c.
 */
#ifndef RILLE_JIT_UNROLL_H
#define RILLE_JIT_UNROLL_H

#include "ir.h"

/* Requires cfg. True: the graph was changed, and cfg has to run again. */
bool unroll_run(Ir *ir);

#endif
