/* fold.h - makes floating nodes: simplified, and one for each different computation.
 */
#ifndef RILLE_JIT_FOLD_H
#define RILLE_JIT_FOLD_H

#include "ir.h"

/* Room for about n nodes in the table of shared ones. Before any of the functions below. */
void fold_init(Ir *ir, uint32_t n);

Ref fold_const(Ir *ir, unsigned type, uint64_t bits);
Ref fold_v128(Ir *ir, const uint8_t bytes[16]);
static inline Ref fold_i32(Ir *ir, uint32_t x) {
  return fold_const(ir, KIND_I32, x);
}
static inline Ref fold_i64(Ir *ir, uint64_t x) {
  return fold_const(ir, KIND_I64, x);
}
/* The default value of a type. */
Ref fold_zero(Ir *ir, unsigned type);

/* A row of numeric.def that cannot trap. */
Ref fold_unary(Ir *ir, Op op, Ref a);
Ref fold_binary(Ir *ir, Op op, Ref a, Ref b);
/* A row of simd.def. `lanes`: an index into Ir.vectors, of a shuffle. */
Ref fold_simd(Ir *ir, Op op, Ref a, Ref b, Ref c, uint8_t lane, uint64_t lanes);
Ref fold_select(Ir *ir, Ref condition, Ref a, Ref b);
/* A VALUE operation of ir.def that has at most two operands and a number. */
Ref fold_value(Ir *ir, unsigned op, unsigned type, Ref a, Ref b, uint64_t imm);

/* A division or remainder that cannot trap, since its divisor is a constant: 0 when it can. */
Ref fold_division(Ir *ir, Op op, Ref a, Ref b);

/* A conversion that may trap, of a constant: 0 when it does, or when the operand is none. */
Ref fold_constant_trunc(Ir *ir, Op op, Ref a);

/* The result with a canonical NaN, for rows with OPF_NAN in deterministic modules. */
Ref fold_canonical_nan(Ir *ir, Op op, Ref x);

/* A condition for branches, selects and traps: nonzero when x is, or (*is_negated) when it is not.
 */
Ref fold_condition(const Ir *ir, Ref x, bool *is_negated);
/* What a store of so many bytes writes is the same for the result. */
Ref fold_stored(const Ir *ir, Ref x, unsigned bytes);
/* Moves constants from the address into the offset where that cannot change the sum. */
void fold_address(Ir *ir, Ref *address, uint64_t *offset);

/* The largest value that an integer can have; of an i32 its low 32 bits count. */
uint64_t fold_max(const Ir *ir, Ref x);
static inline bool fold_is_const(const Ir *ir, Ref x, uint64_t *bits) {
  const Node *node = NODE(ir, x);
  *bits = node->imm;
  return node->op == IR_CONST;
}

/* Folds and shares a node whose operands were changed; returns itself when there is nothing better.
 */
Ref fold_again(Ir *ir, Ref ref);
/* A floating node like this one, folded and shared; it is none of the Ir's nodes. */
Ref fold_node(Ir *ir, const Node *node);

#endif
