/* build.h - from a validated body to SSA.
 */
#ifndef RILLE_JIT_BUILD_H
#define RILLE_JIT_BUILD_H

#include "ir.h"

typedef struct BuildOptions {
  bool counts_fuel;
  bool checks_memory; /* explicit bounds checks also where guard pages would do */
  bool inlines;       /* small callees of the module */
} BuildOptions;

/* Fills *ir. The arena has a guard: raises when memory runs out, and ERROR_UNSUPPORTED when the
 * body is beyond all measure (see BUILD_VALUES_MAX). */
void ir_build(Ir *ir, Arena *arena, Module *module, uint32_t func, const BuildOptions *options);

#endif
