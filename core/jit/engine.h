/* engine.h - the compiler as an engine.
 */
#ifndef RILLE_JIT_ENGINE_H
#define RILLE_JIT_ENGINE_H

#include "../runtime/store.h"
#include "code.h"
#include "mach.h"

extern const EngineOps jit_engine;
/* Can this machine run compiled code? */
bool jit_is_available(void);

/* Compiles all functions that the instance's module defines, in the way that this instance needs.
 */
bool jit_compile_all(Instance *instance, Error *error);

struct JitModule {
  Module *module;
  OsMutex lock; /* held while code is made */
  CodeSpace *_Atomic spaces[4];
};

/* jit.c: one function, all passes. The arena has a guard. */
typedef struct JitOptions {
  bool counts_fuel, checks_memory, inlines;
  bool checks_passes; /* runs the checkers of the Ir and of the registers after each pass */
  const JitTarget *target;
  void (*dump)(void *user, const char *pass, const char *text, size_t size);
  void *user;
} JitOptions;
void jit_compile(Module *module, uint32_t func, const JitOptions *options, Arena *arena,
                 Compiled *out);
JitTarget jit_host_target(void);

#endif
