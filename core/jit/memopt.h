/* memopt.h - forwards what was stored or loaded before, and drops checks that were made before.
 */
#ifndef RILLE_JIT_MEMOPT_H
#define RILLE_JIT_MEMOPT_H

#include "ir.h"

/* True when the end of some block became known: cfg_run once more. */
bool memopt_run(Ir *ir);

#endif
