/* cfg.h - the shape of the control-flow graph.
 */
#ifndef RILLE_JIT_CFG_H
#define RILLE_JIT_CFG_H

#include "ir.h"

/* Sets what ir.h says holds after cfg. */
void cfg_run(Ir *ir);

/* The nearest block that dominates both, by jump pointers: after cfg_run. */
Block cfg_common_dominator(const Ir *ir, Block a, Block b);

#endif
