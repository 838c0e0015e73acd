/* pure.h - evaluates the pure instructions one at a time: for constant folding, constant
 * expressions and tests.
 *
 * The meaning is that of numeric.def and simd.def, from which the engines make their handlers too.
 */
#ifndef RILLE_PURE_H
#define RILLE_PURE_H

#include "numeric.h"
#include "opcode.h"

/* A value of any type but a reference. A value narrower than the cell is in its first bytes. */
typedef union Cell {
  uint32_t i32;
  uint64_t i64;
  float f32;
  double f64;
  V128 v128;
} Cell;

/* Computes the result of a row with OPF_PURE or OPF_SIMD from as many operands as its signature
 * has. `immediate` holds the lane number in u8[0], or the sixteen lanes of a shuffle; it may be
 * NULL for rows without one. True when there is a result: then the bytes of *out behind it are
 * zero. False with *trap set when the instruction traps, and with TRAP_NONE when the row is not
 * pure. `out` may be one of the operands. */
bool pure_eval(Op op, const Cell *args, const V128 *immediate, Cell *out, Trap *trap);

/* Replaces NaNs in the result of a row with OPF_NAN by the canonical one. */
void pure_canonicalize(Op op, Cell *result);

#endif
