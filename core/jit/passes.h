/* passes.h - the machine-independent half of the compiler, as one call.
 */
#ifndef RILLE_JIT_PASSES_H
#define RILLE_JIT_PASSES_H

#include "build.h"

/* Called after each pass: for dumps and checks. */
typedef void PassHook(const Ir *ir, IrStage stage, void *user);

/* Makes the placed IR of a function. Raises like ir_build. hook may be NULL. */
void passes_run(Ir *ir, Arena *arena, Module *module, uint32_t func, const BuildOptions *options,
                PassHook *hook, void *user);

#endif
