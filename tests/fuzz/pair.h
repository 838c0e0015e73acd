/* pair.h - one module in the interpreter and in another engine: does every call give the same?
 */
#ifndef RILLE_TESTS_PAIR_H
#define RILLE_TESTS_PAIR_H

#include "../../include/rille.h"
#include "runtime/store.h"

typedef struct PairOptions {
  const EngineOps *other; /* NULL: the compiler */
  bool has_fuel;
  bool is_quiet;
} PairOptions;

typedef enum PairResult {
  PAIR_SAME,
  PAIR_DIFFERS,
  PAIR_REFUSED, /* does not load, link or start: in both */
} PairResult;

/* Calls all exported functions several times, with arguments made from the seed, and compares
 * results, traps, memories, numeric globals and the fuel left. Imported functions return zeros;
 * other imports are refused. A function "reset" is called before each of the others. What differs
 * is printed. */
PairResult pair_run(const Buf *bytes, uint64_t seed, const PairOptions *options);
/* The same in a process of its own; a crash or a hang is a difference. */
PairResult pair_run_apart(const Buf *bytes, uint64_t seed, const PairOptions *options);

#endif
