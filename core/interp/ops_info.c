/* ops_info.c - which handlers stand for which instruction, made from the tables.
 */
#include "emit.h"

#define UN(name, r, a, expr)            [OP_##name] = {I_##name##_S, 1, false},
#define UNT(name, r, a, trap, expr)     [OP_##name] = {I_##name##_S, 1, true},
#define BIN(name, r, a, b, expr)        [OP_##name] = {I_##name##_SS, 2, false},
#define BINT(name, r, a, b, trap, expr) [OP_##name] = {I_##name##_SS, 2, true},
static const OpForm pure_forms[OP_COUNT] = {
#include "../tables/numeric.def"
};

#define OP(name, text, prefix, code, imm, sig, how, feature) ROW_##how
#define ROW_LOAD(name, t, m)                                 [OP_##name] = {I_##name##_S, 1, true},
#define ROW_STORE(name, t, m)                                [OP_##name] = {I_##name##_SS, 2, true},
#define ROW_SIMD(name)                                       [OP_##name] = {I_##name, 0, false},
#define ROW_SIMD_NAN(name)                                   ROW_SIMD(name)
#define ROW_SIMD_MEM(name, bytes)                            [OP_##name] = {I_##name, 0, true},
#define ROW_ATOMIC_LOAD(name, t, m)                          [OP_##name] = {I_##name, 1, true},
#define ROW_ATOMIC_STORE(name, t, m)                         [OP_##name] = {I_##name, 2, true},
#define ROW_ATOMIC_RMW(name, t, m, action)                   [OP_##name] = {I_##name, 2, true},
#define ROW_ATOMIC_CMPXCHG(name, t, m)                       [OP_##name] = {I_##name, 3, true},
#define ROW_ATOMIC_WAIT(name, bytes)                         [OP_##name] = {I_##name, 3, true},
#define ROW_PURE(name)
#define ROW_PURE_NAN(name)
#define ROW_CTL(name)
static const OpForm other_forms[OP_COUNT] = {
#include "../tables/opcodes.def"
};

const OpForm *op_form(Op op) {
  return pure_forms[op].base != 0 ? &pure_forms[op] : &other_forms[op];
}

bool op_is_commutative(Op op) {
  switch (op) {
    case OP_I32_ADD:
    case OP_I32_MUL:
    case OP_I32_AND:
    case OP_I32_OR:
    case OP_I32_XOR:
    case OP_I64_ADD:
    case OP_I64_MUL:
    case OP_I64_AND:
    case OP_I64_OR:
    case OP_I64_XOR: return true;
    default: return false;
  }
}

#define INT_GROUP(t)                                                       \
  [OP_##t##_EQ] = {OP_##t##_NE, OP_##t##_EQ, I_BR_##t##_EQ_SS, 0},         \
  [OP_##t##_NE] = {OP_##t##_EQ, OP_##t##_NE, I_BR_##t##_NE_SS, 0},         \
  [OP_##t##_LT_S] = {OP_##t##_GE_S, OP_##t##_GT_S, I_BR_##t##_LT_S_SS, 0}, \
  [OP_##t##_LT_U] = {OP_##t##_GE_U, OP_##t##_GT_U, I_BR_##t##_LT_U_SS, 0}, \
  [OP_##t##_GT_S] = {OP_##t##_LE_S, OP_##t##_LT_S, I_BR_##t##_GT_S_SS, 0}, \
  [OP_##t##_GT_U] = {OP_##t##_LE_U, OP_##t##_LT_U, I_BR_##t##_GT_U_SS, 0}, \
  [OP_##t##_LE_S] = {OP_##t##_GT_S, OP_##t##_GE_S, I_BR_##t##_LE_S_SS, 0}, \
  [OP_##t##_LE_U] = {OP_##t##_GT_U, OP_##t##_GE_U, I_BR_##t##_LE_U_SS, 0}, \
  [OP_##t##_GE_S] = {OP_##t##_LT_S, OP_##t##_LE_S, I_BR_##t##_GE_S_SS, 0}, \
  [OP_##t##_GE_U] = {OP_##t##_LT_U, OP_##t##_LE_U, I_BR_##t##_GE_U_SS, 0}
#define FLOAT_ROW(name, swapped) \
  [OP_##name] = {OP_INVALID, OP_##swapped, I_BR_##name##_SS, I_BRN_##name##_SS}
#define FLOAT_GROUP(t)                                                             \
  FLOAT_ROW(t##_EQ, t##_EQ), FLOAT_ROW(t##_NE, t##_NE), FLOAT_ROW(t##_LT, t##_GT), \
      FLOAT_ROW(t##_GT, t##_LT), FLOAT_ROW(t##_LE, t##_GE), FLOAT_ROW(t##_GE, t##_LE)

const CompareForm *compare_form(Op op) {
  static const CompareForm forms[OP_COUNT] = {INT_GROUP(I32), INT_GROUP(I64), FLOAT_GROUP(F32),
                                              FLOAT_GROUP(F64)};
  return &forms[op];
}
