/* run_numeric.c - handlers of the scalar pure instructions: numeric.def in all operand variants.
 */
#include "handler.h"

/* Two handlers: the result in the accumulator only, and written too. */
#define PAIR(name, t, operands, trap, expr, size) \
  HANDLER(name) {                                 \
    operands;                                     \
    CHECK_TRAP(trap);                             \
    SET_##t(expr);                                \
    NEXT(size);                                   \
  }                                               \
  HANDLER(name##_W) {                             \
    operands;                                     \
    CHECK_TRAP(trap);                             \
    SET_##t(expr);                                \
    WRITE_##t();                                  \
    NEXT(size);                                   \
  }

#define UNT(name, r, ta, trap, expr)                       \
  PAIR(name##_S, r, C_##ta a = S_##ta(10), trap, expr, 16) \
  PAIR(name##_A, r, C_##ta a = A_##ta, trap, expr, 16)

#define TWO(ta, x, tb, y) \
  C_##ta a = x;           \
  C_##tb b = y
#define BINT(name, r, ta, tb, trap, expr)                                          \
  PAIR(name##_SS, r, TWO(ta, S_##ta(10), tb, S_##tb(12)), trap, expr, 16)          \
  PAIR(name##_SI, r, TWO(ta, S_##ta(10), tb, IMM_##tb), trap, expr, IMM_SIZE_##tb) \
  PAIR(name##_IS, r, TWO(ta, IMM_##ta, tb, S_##tb(10)), trap, expr, IMM_SIZE_##ta) \
  PAIR(name##_AS, r, TWO(ta, A_##ta, tb, S_##tb(10)), trap, expr, 16)              \
  PAIR(name##_SA, r, TWO(ta, S_##ta(10), tb, A_##tb), trap, expr, 16)              \
  PAIR(name##_AI, r, TWO(ta, A_##ta, tb, IMM_##tb), trap, expr, IMM_SIZE_##tb)     \
  PAIR(name##_IA, r, TWO(ta, IMM_##ta, tb, A_##tb), trap, expr, IMM_SIZE_##ta)

#define UN(name, r, ta, expr)      UNT(name, r, ta, TRAP_NONE, expr)
#define BIN(name, r, ta, tb, expr) BINT(name, r, ta, tb, TRAP_NONE, expr)
#include "../tables/numeric.def"

/* A step of many hash functions and ciphers: exclusive or, then a rotation by a constant. */
PAIR(I32_XOR_ROTL_SS, i32, TWO(i32, S_i32(10), i32, S_i32(12)), TRAP_NONE, i32_rotl(a ^ b, U16(14)),
     16)
PAIR(I32_XOR_ROTL_AS, i32, TWO(i32, A_i32, i32, S_i32(10)), TRAP_NONE, i32_rotl(a ^ b, U16(14)), 16)
PAIR(I64_XOR_ROTL_SS, i64, TWO(i64, S_i64(10), i64, S_i64(12)), TRAP_NONE, i64_rotl(a ^ b, U16(14)),
     16)
PAIR(I64_XOR_ROTL_AS, i64, TWO(i64, A_i64, i64, S_i64(10)), TRAP_NONE, i64_rotl(a ^ b, U16(14)), 16)

PAIR(F32_CANONICAL_S, f32, float a = S_f32(10), TRAP_NONE, f32_canonical(a), 16)
PAIR(F32_CANONICAL_A, f32, float a = f, TRAP_NONE, f32_canonical(a), 16)
PAIR(F64_CANONICAL_S, f64, double a = S_f64(10), TRAP_NONE, f64_canonical(a), 16)
PAIR(F64_CANONICAL_A, f64, double a = d, TRAP_NONE, f64_canonical(a), 16)
