/* eager.h - compiling all functions of a module at once, on all cores.
 */
#ifndef RILLE_JIT_EAGER_H
#define RILLE_JIT_EAGER_H

#include "fill.h"

/* Compiles what is not in `fill` yet. False with the first error: then some functions are missing.
 */
bool eager_compile(Fill *fill, Error *error);

#endif
