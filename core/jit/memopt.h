/* memopt.h - forwards what was stored or loaded before.
 */
#ifndef RILLE_JIT_MEMOPT_H
#define RILLE_JIT_MEMOPT_H

#include "ir.h"

void memopt_run(Ir *ir);

#endif
