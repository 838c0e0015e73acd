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

/* A module's code. Index of a space: the sum of what its code does otherwise. Code that is quiet
 * raises no faults: it checks everything itself, memory too. */
enum { SPACE_FUEL = 1, SPACE_CHECKS = 2, SPACE_QUIET = 4, SPACES = 8 };
struct JitModule {
  Module *module;
  OsMutex lock; /* held while code is made */
  CodeSpace *_Atomic spaces[SPACES];
  bool is_eager, is_quiet, notes_perf, notes_gdb;
  char *cache; /* a directory, or NULL */
  size_t cache_size;
  _Atomic uint64_t ns; /* spent compiling */
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
/* dump.c: a function after some passes, as text. */
bool dump_run(Module *module, uint32_t func, const char *what, const JitTarget *target, Buf *out);

/* How functions of the space are compiled. */
void jit_set_options(const CodeSpace *space, JitOptions *out);

/* keep.c: all functions of a module at once, from where they are kept or compiled. `native` may be
 * empty. Under the module's lock. */
bool keep_fill(CodeSpace *space, Str native, Error *error);
/* Compiles them and appends what keep_fill takes as `native`. */
bool keep_write(CodeSpace *space, Buf *out, Error *error);

#endif
