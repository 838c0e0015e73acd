/* interp.h - the interpreter: an engine behind EngineOps, and the oracle the compiler is tested
 * against.
 *
 * Functions are translated on their first call to code for a register machine (translate.c), which
 * a chain of handlers runs (run_*.c). Nothing here uses signals or guard pages.
 */
#ifndef RILLE_INTERP_H
#define RILLE_INTERP_H

#include "../runtime/store.h"

extern const EngineOps interp_engine;

#endif
