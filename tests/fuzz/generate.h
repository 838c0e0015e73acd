/* generate.h - makes random valid modules that end.
 */
#ifndef RILLE_TESTS_GENERATE_H
#define RILLE_TESTS_GENERATE_H

#include "base/arena.h"

typedef struct GenerateOptions {
  uint32_t size; /* about how many instructions a function has */
  bool has_simd;
  bool is_64;    /* the memory has 64-bit addresses */
  bool has_refs; /* references, garbage collection, exceptions, tail calls */
} GenerateOptions;

/* The same module for the same seed and options. It exports functions "f0", "f1", ... with number
 * parameters and results, the memory as "m", its mutable globals as "g0", "g1", ..., and "reset",
 * which gives it back the steps that its loops and calls may take: it is to be called before each
 * of the others. When they are used up it traps. The module is to be loaded as deterministic. */
void generate_module(Buf *out, uint64_t seed, const GenerateOptions *options);

#endif
