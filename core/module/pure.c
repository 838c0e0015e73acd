/* pure.c - one switch over the rows of numeric.def and simd.def.
 */
#include "pure.h"

bool pure_eval(Op op, const Cell *args, const V128 *immediate, Cell *out, Trap *trap) {
  Cell result = {.v128 = {{0}}};
  Trap why = TRAP_NONE;

  switch (op) {
#define UNT(name, tr, ta, trap_expr, expr)  \
  case OP_##name: {                         \
    C_##ta a = args[0].ta;                  \
    why = (trap_expr);                      \
    if (why == TRAP_NONE) result.tr = expr; \
    break;                                  \
  }
#define BINT(name, tr, ta, tb, trap_expr, expr) \
  case OP_##name: {                             \
    C_##ta a = args[0].ta;                      \
    C_##tb b = args[1].tb;                      \
    why = (trap_expr);                          \
    if (why == TRAP_NONE) result.tr = expr;     \
    break;                                      \
  }
#define UN(name, tr, ta, expr)      UNT(name, tr, ta, TRAP_NONE, expr)
#define BIN(name, tr, ta, tb, expr) BINT(name, tr, ta, tb, TRAP_NONE, expr)
#include "../tables/numeric.def"

/* A row of simd.def: its operands are declared, then the body fills r. */
#define ROW(name, result_member, declarations, body) \
  case OP_##name: {                                  \
    declarations;                                    \
    body;                                            \
    result.result_member = r;                        \
    break;                                           \
  }
#define OPERAND(i)       args[i].v128
#define VUN(name, body)  ROW(name, v128, V128 a = OPERAND(0); V128 r, body)
#define VBIN(name, body) ROW(name, v128, V128 a = OPERAND(0); V128 b = OPERAND(1); V128 r, body)
#define VTER(name, body) \
  ROW(name, v128, V128 a = OPERAND(0); V128 b = OPERAND(1); V128 c = OPERAND(2); V128 r, body)
#define VSHIFT(name, body) \
  ROW(name, v128, V128 a = OPERAND(0); uint32_t n = args[1].i32; V128 r, body)
#define VTEST(name, body)     ROW(name, i32, V128 a = OPERAND(0); uint32_t r, body)
#define VSPLAT(name, t, body) ROW(name, v128, C_##t x = args[0].t; V128 r, body)
#define VEXTRACT(name, t, body) \
  ROW(name, t, V128 a = OPERAND(0); uint8_t lane = immediate->u8[0]; C_##t r, body)
#define VREPLACE(name, t, body)                                                              \
  ROW(name, v128, V128 a = OPERAND(0); uint8_t lane = immediate->u8[0]; C_##t x = args[1].t; \
      V128 r, body)
#define VSHUFFLE(name, body) \
  ROW(name, v128, V128 a = OPERAND(0); V128 b = OPERAND(1); V128 lanes = *immediate; V128 r, body)
#include "../tables/simd.def"
#undef OPERAND
#undef ROW

    default: *trap = TRAP_NONE; return false;
  }
  *trap = why;
  if (why != TRAP_NONE) return false;
  *out = result;
  return true;
}

void pure_canonicalize(Op op, Cell *result) {
  const OpInfo *info = &op_info[op];
  if (!(info->flags & OPF_NAN)) return;
  switch (strchr(info->sig, '>')[1]) {
    case 'f': result->f32 = f32_canonical(result->f32); break;
    case 'd': result->f64 = f64_canonical(result->f64); break;
    default:
      /* The lanes of a vector result are named by the mnemonic. */
      result->v128 = memcmp(info->text, "f32x4", 5) == 0 ? f32x4_canonical(result->v128)
                                                         : f64x2_canonical(result->v128);
  }
}
