/* isel_simd.c - vector instructions. Those that the processor has come from tables; the rest is
 * short sequences, most of them known from the literature on SSE.
 */
#if defined(__x86_64__)
#include "isel.h"

typedef struct Row {
  uint16_t op;
  Enc row;
} Row;

enum { COMMUTES = 1, EXCHANGED = 2 };

/* d <- a op b, or b op a */
static const struct {
  uint16_t op;
  Enc row;
  uint8_t how, imm8;
} binaries[] = {
    {OP_I8X16_EQ, ENC_PCMPEQB, COMMUTES, 0},
    {OP_I16X8_EQ, ENC_PCMPEQW, COMMUTES, 0},
    {OP_I32X4_EQ, ENC_PCMPEQD, COMMUTES, 0},
    {OP_I64X2_EQ, ENC_PCMPEQQ, COMMUTES, 0},
    {OP_I8X16_GT_S, ENC_PCMPGTB, 0, 0},
    {OP_I16X8_GT_S, ENC_PCMPGTW, 0, 0},
    {OP_I32X4_GT_S, ENC_PCMPGTD, 0, 0},
    {OP_I8X16_LT_S, ENC_PCMPGTB, EXCHANGED, 0},
    {OP_I16X8_LT_S, ENC_PCMPGTW, EXCHANGED, 0},
    {OP_I32X4_LT_S, ENC_PCMPGTD, EXCHANGED, 0},
    {OP_F32X4_EQ, ENC_CMPPS, COMMUTES, 0},
    {OP_F32X4_LT, ENC_CMPPS, 0, 1},
    {OP_F32X4_LE, ENC_CMPPS, 0, 2},
    {OP_F32X4_NE, ENC_CMPPS, COMMUTES, 4},
    {OP_F32X4_GT, ENC_CMPPS, EXCHANGED, 1},
    {OP_F32X4_GE, ENC_CMPPS, EXCHANGED, 2},
    {OP_F64X2_EQ, ENC_CMPPD, COMMUTES, 0},
    {OP_F64X2_LT, ENC_CMPPD, 0, 1},
    {OP_F64X2_LE, ENC_CMPPD, 0, 2},
    {OP_F64X2_NE, ENC_CMPPD, COMMUTES, 4},
    {OP_F64X2_GT, ENC_CMPPD, EXCHANGED, 1},
    {OP_F64X2_GE, ENC_CMPPD, EXCHANGED, 2},
    {OP_V128_AND, ENC_PAND, COMMUTES, 0},
    {OP_V128_OR, ENC_POR, COMMUTES, 0},
    {OP_V128_XOR, ENC_PXOR, COMMUTES, 0},
    {OP_V128_ANDNOT, ENC_PANDN, EXCHANGED, 0},
    {OP_I8X16_ADD, ENC_PADDB, COMMUTES, 0},
    {OP_I16X8_ADD, ENC_PADDW, COMMUTES, 0},
    {OP_I32X4_ADD, ENC_PADDD, COMMUTES, 0},
    {OP_I64X2_ADD, ENC_PADDQ, COMMUTES, 0},
    {OP_I8X16_SUB, ENC_PSUBB, 0, 0},
    {OP_I16X8_SUB, ENC_PSUBW, 0, 0},
    {OP_I32X4_SUB, ENC_PSUBD, 0, 0},
    {OP_I64X2_SUB, ENC_PSUBQ, 0, 0},
    {OP_I8X16_ADD_SAT_S, ENC_PADDSB, COMMUTES, 0},
    {OP_I8X16_ADD_SAT_U, ENC_PADDUSB, COMMUTES, 0},
    {OP_I16X8_ADD_SAT_S, ENC_PADDSW, COMMUTES, 0},
    {OP_I16X8_ADD_SAT_U, ENC_PADDUSW, COMMUTES, 0},
    {OP_I8X16_SUB_SAT_S, ENC_PSUBSB, 0, 0},
    {OP_I8X16_SUB_SAT_U, ENC_PSUBUSB, 0, 0},
    {OP_I16X8_SUB_SAT_S, ENC_PSUBSW, 0, 0},
    {OP_I16X8_SUB_SAT_U, ENC_PSUBUSW, 0, 0},
    {OP_I16X8_MUL, ENC_PMULLW, COMMUTES, 0},
    {OP_I32X4_MUL, ENC_PMULLD, COMMUTES, 0},
    {OP_I8X16_MIN_S, ENC_PMINSB, COMMUTES, 0},
    {OP_I8X16_MIN_U, ENC_PMINUB, COMMUTES, 0},
    {OP_I8X16_MAX_S, ENC_PMAXSB, COMMUTES, 0},
    {OP_I8X16_MAX_U, ENC_PMAXUB, COMMUTES, 0},
    {OP_I16X8_MIN_S, ENC_PMINSW, COMMUTES, 0},
    {OP_I16X8_MIN_U, ENC_PMINUW, COMMUTES, 0},
    {OP_I16X8_MAX_S, ENC_PMAXSW, COMMUTES, 0},
    {OP_I16X8_MAX_U, ENC_PMAXUW, COMMUTES, 0},
    {OP_I32X4_MIN_S, ENC_PMINSD, COMMUTES, 0},
    {OP_I32X4_MIN_U, ENC_PMINUD, COMMUTES, 0},
    {OP_I32X4_MAX_S, ENC_PMAXSD, COMMUTES, 0},
    {OP_I32X4_MAX_U, ENC_PMAXUD, COMMUTES, 0},
    {OP_I8X16_AVGR_U, ENC_PAVGB, COMMUTES, 0},
    {OP_I16X8_AVGR_U, ENC_PAVGW, COMMUTES, 0},
    {OP_I8X16_NARROW_I16X8_S, ENC_PACKSSWB, 0, 0},
    {OP_I8X16_NARROW_I16X8_U, ENC_PACKUSWB, 0, 0},
    {OP_I16X8_NARROW_I32X4_S, ENC_PACKSSDW, 0, 0},
    {OP_I16X8_NARROW_I32X4_U, ENC_PACKUSDW, 0, 0},
    {OP_I32X4_DOT_I16X8_S, ENC_PMADDWD, COMMUTES, 0},
    {OP_F32X4_ADD, ENC_ADDPS, COMMUTES, 0},
    {OP_F32X4_SUB, ENC_SUBPS, 0, 0},
    {OP_F32X4_MUL, ENC_MULPS, COMMUTES, 0},
    {OP_F32X4_DIV, ENC_DIVPS, 0, 0},
    {OP_F64X2_ADD, ENC_ADDPD, COMMUTES, 0},
    {OP_F64X2_SUB, ENC_SUBPD, 0, 0},
    {OP_F64X2_MUL, ENC_MULPD, COMMUTES, 0},
    {OP_F64X2_DIV, ENC_DIVPD, 0, 0},
    {OP_F32X4_PMIN, ENC_MINPS, EXCHANGED, 0}, /* the second operand wins when they are unordered */
    {OP_F32X4_PMAX, ENC_MAXPS, EXCHANGED, 0},
    {OP_F64X2_PMIN, ENC_MINPD, EXCHANGED, 0},
    {OP_F64X2_PMAX, ENC_MAXPD, EXCHANGED, 0},
};

/* d <- op a */
static const struct {
  uint16_t op;
  Enc row;
  uint8_t imm8;
} unaries[] = {
    {OP_I8X16_ABS, ENC_PABSB, 0},
    {OP_I16X8_ABS, ENC_PABSW, 0},
    {OP_I32X4_ABS, ENC_PABSD, 0},
    {OP_I16X8_EXTEND_LOW_I8X16_S, ENC_PMOVSXBW, 0},
    {OP_I16X8_EXTEND_LOW_I8X16_U, ENC_PMOVZXBW, 0},
    {OP_I32X4_EXTEND_LOW_I16X8_S, ENC_PMOVSXWD, 0},
    {OP_I32X4_EXTEND_LOW_I16X8_U, ENC_PMOVZXWD, 0},
    {OP_I64X2_EXTEND_LOW_I32X4_S, ENC_PMOVSXDQ, 0},
    {OP_I64X2_EXTEND_LOW_I32X4_U, ENC_PMOVZXDQ, 0},
    {OP_F32X4_SQRT, ENC_SQRTPS, 0},
    {OP_F64X2_SQRT, ENC_SQRTPD, 0},
    {OP_F32X4_NEAREST, ENC_ROUNDPS, 8},
    {OP_F32X4_FLOOR, ENC_ROUNDPS, 9},
    {OP_F32X4_CEIL, ENC_ROUNDPS, 10},
    {OP_F32X4_TRUNC, ENC_ROUNDPS, 11},
    {OP_F64X2_NEAREST, ENC_ROUNDPD, 8},
    {OP_F64X2_FLOOR, ENC_ROUNDPD, 9},
    {OP_F64X2_CEIL, ENC_ROUNDPD, 10},
    {OP_F64X2_TRUNC, ENC_ROUNDPD, 11},
    {OP_F32X4_DEMOTE_F64X2_ZERO, ENC_CVTPD2PS, 0},
    {OP_F64X2_PROMOTE_LOW_F32X4, ENC_CVTPS2PD, 0},
    {OP_F32X4_CONVERT_I32X4_S, ENC_CVTDQ2PS, 0},
    {OP_F64X2_CONVERT_LOW_I32X4_S, ENC_CVTDQ2PD, 0},
};

/* The work of one node. */
typedef struct Simd {
  Isel *s;
  const Node *node;
  VReg d;
} Simd;

static Source reg(VReg v) {
  return isel_source_reg(v);
}

static Source word(Simd *t, uint64_t low) {
  return isel_pool(t->s, low, low, 16);
}

static uint64_t repeat32(uint32_t x) {
  return (uint64_t)x << 32 | x;
}

static uint64_t repeat16(uint16_t x) {
  return repeat32((uint32_t)x << 16 | x);
}

static uint64_t repeat8(uint8_t x) {
  return repeat16((uint16_t)(x << 8 | x));
}

static VReg op(Simd *t, Enc row, VReg a, Source b) {
  return isel_sse(t->s, row, 0, a, b, 0);
}

static VReg op_imm(Simd *t, Enc row, VReg a, Source b, unsigned imm8) {
  return isel_sse(t->s, row, 0, a, b, imm8);
}

static void op_to(Simd *t, Enc row, VReg a, Source b) {
  isel_sse(t->s, row, t->d, a, b, 0);
}

static VReg unary(Simd *t, Enc row, VReg a, unsigned imm8) {
  return isel_get(t->s, row, 4, isel_new(t->s, KIND_V128), reg(a), imm8);
}

static void unary_to(Simd *t, Enc row, VReg a, unsigned imm8) {
  isel_get(t->s, row, 4, t->d, reg(a), imm8);
}

static VReg zero(Simd *t) {
  VReg v = isel_new(t->s, KIND_V128);
  Ins *ins = isel_begin(t->s, MOP_FLOAT_CONST, 16);
  isel_add_def(t->s, ins, v);
  return v;
}

static VReg constant(Simd *t, uint64_t low) {
  return low == 0 ? zero(t)
                  : isel_get(t->s, ENC_MOVUPS, 16, isel_new(t->s, KIND_V128), word(t, low), 0);
}

static VReg shift_imm(Simd *t, unsigned opcode, unsigned group, VReg a, unsigned count, VReg d) {
  if (d == 0) d = isel_new(t->s, KIND_V128);
  Ins *ins = isel_begin(t->s, MOP_VSHIFT, 16);
  ins->row = opcode;
  ins->sub = (uint8_t)group;
  ins->imm = count;
  if (!t->s->f->target->has_avx) ins->flags |= INS_TIED;
  isel_add_def(t->s, ins, d);
  isel_add_use(t->s, ins, a);
  return d;
}

static VReg a_of(Simd *t) {
  return isel_value(t->s, t->node->a);
}

static VReg b_of(Simd *t) {
  return isel_value(t->s, t->node->b);
}

static VReg c_of(Simd *t) {
  return isel_value(t->s, t->node->c);
}

static void invert_to(Simd *t, VReg a) {
  op_to(t, ENC_PXOR, a, word(t, UINT64_MAX));
}

/* From the tables */

static bool binary(Simd *t) {
  unsigned i = 0;
  while (i < COUNT_OF(binaries) && binaries[i].op != t->node->op) i++;
  if (i == COUNT_OF(binaries)) return false;
  Ref left = t->node->a, right = t->node->b;
  if (binaries[i].how == EXCHANGED) {
    left = t->node->b;
    right = t->node->a;
  }
  Source b = isel_source(t->s, right, 16);
  VReg a;
  Source other =
      b.kind == SOURCE_REG && binaries[i].how == COMMUTES ? isel_source(t->s, left, 16) : reg(0);
  if (other.kind == SOURCE_MEM) {
    a = b.v;
    b = other;
  } else {
    a = isel_value(t->s, left);
  }
  isel_sse(t->s, binaries[i].row, t->d, a, b, binaries[i].imm8);
  if (binaries[i].how == COMMUTES) isel_let_commute(t->s);
  return true;
}

static bool unary_of_table(Simd *t) {
  unsigned i = 0;
  while (i < COUNT_OF(unaries) && unaries[i].op != t->node->op) i++;
  if (i == COUNT_OF(unaries)) return false;
  unary_to(t, unaries[i].row, a_of(t), unaries[i].imm8);
  return true;
}

/* Comparisons that are two */

static void not_equal(Simd *t, Enc row) {
  VReg a = a_of(t), b = b_of(t);
  invert_to(t, op(t, row, a, reg(b)));
}

/* a is the larger (smaller) of both: a >= b (a <= b). */
static void by_extreme(Simd *t, Enc extreme, Enc equal, bool inverts) {
  VReg a = a_of(t), b = b_of(t), most = op(t, extreme, a, reg(b));
  if (inverts) {
    invert_to(t, op(t, equal, most, reg(a)));
  } else {
    op_to(t, equal, most, reg(a));
  }
}

static VReg greater64(Simd *t, VReg a, VReg b) {
  if (t->s->f->target->has_sse42) return op(t, ENC_PCMPGTQ, a, reg(b));
  VReg difference = op(t, ENC_PSUBQ, b, reg(a)), equal = op(t, ENC_PCMPEQD, a, reg(b));
  VReg low = op(t, ENC_PAND, difference, reg(equal)), high = op(t, ENC_PCMPGTD, a, reg(b));
  VReg signs = op(t, ENC_POR, low, reg(high));
  return shift_imm(t, 0x72, VECTOR_SRA, unary(t, ENC_PSHUFD, signs, 0xF5), 31, 0);
}

static void compare64(Simd *t, bool exchanges, bool inverts) {
  VReg a = a_of(t), b = b_of(t);
  VReg greater = exchanges ? greater64(t, b, a) : greater64(t, a, b);
  if (inverts) {
    invert_to(t, greater);
  } else {
    unary_to(t, ENC_MOVAPS, greater, 0);
  }
}

static bool comparison(Simd *t) {
  switch (t->node->op) {
    case OP_I8X16_NE: not_equal(t, ENC_PCMPEQB); return true;
    case OP_I16X8_NE: not_equal(t, ENC_PCMPEQW); return true;
    case OP_I32X4_NE: not_equal(t, ENC_PCMPEQD); return true;
    case OP_I64X2_NE: not_equal(t, ENC_PCMPEQQ); return true;
    case OP_I8X16_GE_S: by_extreme(t, ENC_PMAXSB, ENC_PCMPEQB, false); return true;
    case OP_I8X16_GE_U: by_extreme(t, ENC_PMAXUB, ENC_PCMPEQB, false); return true;
    case OP_I8X16_LE_S: by_extreme(t, ENC_PMINSB, ENC_PCMPEQB, false); return true;
    case OP_I8X16_LE_U: by_extreme(t, ENC_PMINUB, ENC_PCMPEQB, false); return true;
    case OP_I8X16_LT_U: by_extreme(t, ENC_PMAXUB, ENC_PCMPEQB, true); return true;
    case OP_I8X16_GT_U: by_extreme(t, ENC_PMINUB, ENC_PCMPEQB, true); return true;
    case OP_I16X8_GE_S: by_extreme(t, ENC_PMAXSW, ENC_PCMPEQW, false); return true;
    case OP_I16X8_GE_U: by_extreme(t, ENC_PMAXUW, ENC_PCMPEQW, false); return true;
    case OP_I16X8_LE_S: by_extreme(t, ENC_PMINSW, ENC_PCMPEQW, false); return true;
    case OP_I16X8_LE_U: by_extreme(t, ENC_PMINUW, ENC_PCMPEQW, false); return true;
    case OP_I16X8_LT_U: by_extreme(t, ENC_PMAXUW, ENC_PCMPEQW, true); return true;
    case OP_I16X8_GT_U: by_extreme(t, ENC_PMINUW, ENC_PCMPEQW, true); return true;
    case OP_I32X4_GE_S: by_extreme(t, ENC_PMAXSD, ENC_PCMPEQD, false); return true;
    case OP_I32X4_GE_U: by_extreme(t, ENC_PMAXUD, ENC_PCMPEQD, false); return true;
    case OP_I32X4_LE_S: by_extreme(t, ENC_PMINSD, ENC_PCMPEQD, false); return true;
    case OP_I32X4_LE_U: by_extreme(t, ENC_PMINUD, ENC_PCMPEQD, false); return true;
    case OP_I32X4_LT_U: by_extreme(t, ENC_PMAXUD, ENC_PCMPEQD, true); return true;
    case OP_I32X4_GT_U: by_extreme(t, ENC_PMINUD, ENC_PCMPEQD, true); return true;
    case OP_I64X2_GT_S: compare64(t, false, false); return true;
    case OP_I64X2_LT_S: compare64(t, true, false); return true;
    case OP_I64X2_LE_S: compare64(t, false, true); return true;
    case OP_I64X2_GE_S: compare64(t, true, true); return true;
    default: return false;
  }
}

/* Bits and tests */

static void bitselect(Simd *t) {
  VReg a = a_of(t), b = b_of(t), c = c_of(t);
  VReg first = op(t, ENC_PAND, a, reg(c)), second = op(t, ENC_PANDN, c, reg(b));
  op_to(t, ENC_POR, first, reg(second));
}

static void set_by_ptest(Simd *t, VReg v, unsigned cc) {
  Ins *ins = isel_begin(t->s, MOP_SET, 16);
  ins->compare = COMPARE_PTEST;
  ins->cc = (uint8_t)cc;
  isel_add_def(t->s, ins, t->d);
  isel_add_use(t->s, ins, v);
  isel_add_use(t->s, ins, v);
}

static void all_true(Simd *t, Enc equal) {
  VReg a = a_of(t), nothing = zero(t);
  set_by_ptest(t, op(t, equal, a, reg(nothing)), CC_E);
}

static void bitmask(Simd *t, Enc row, VReg v) {
  isel_get(t->s, row, 4, t->d, reg(v), 0);
}

static void bitmask16(Simd *t) {
  VReg a = a_of(t), packed = op(t, ENC_PACKSSWB, a, reg(a));
  VReg bits = isel_get(t->s, ENC_PMOVMSKB, 4, isel_new(t->s, KIND_I32), reg(packed), 0);
  isel_get(t->s, ENC_MOVZX8, 4, t->d, reg(bits), 0);
}

static void popcnt8(Simd *t) {
  VReg a = a_of(t);
  VReg table = isel_get(t->s, ENC_MOVUPS, 16, isel_new(t->s, KIND_V128),
                        isel_pool(t->s, 0x0302020102010100u, 0x0403030203020201u, 16), 0);
  VReg low = op(t, ENC_PAND, a, word(t, repeat8(15)));
  VReg high = op(t, ENC_PAND, shift_imm(t, 0x71, VECTOR_SRL, a, 4, 0), word(t, repeat8(15)));
  VReg first = op(t, ENC_PSHUFB, table, reg(low)), second = op(t, ENC_PSHUFB, table, reg(high));
  op_to(t, ENC_PADDB, first, reg(second));
}

static bool bits(Simd *t) {
  switch (t->node->op) {
    case OP_V128_NOT: invert_to(t, a_of(t)); return true;
    case OP_V128_BITSELECT:
    case OP_I8X16_RELAXED_LANESELECT:
    case OP_I16X8_RELAXED_LANESELECT:
    case OP_I32X4_RELAXED_LANESELECT:
    case OP_I64X2_RELAXED_LANESELECT: bitselect(t); return true;
    case OP_V128_ANY_TRUE: set_by_ptest(t, a_of(t), CC_NE); return true;
    case OP_I8X16_ALL_TRUE: all_true(t, ENC_PCMPEQB); return true;
    case OP_I16X8_ALL_TRUE: all_true(t, ENC_PCMPEQW); return true;
    case OP_I32X4_ALL_TRUE: all_true(t, ENC_PCMPEQD); return true;
    case OP_I64X2_ALL_TRUE: all_true(t, ENC_PCMPEQQ); return true;
    case OP_I8X16_BITMASK: bitmask(t, ENC_PMOVMSKB, a_of(t)); return true;
    case OP_I16X8_BITMASK: bitmask16(t); return true;
    case OP_I32X4_BITMASK: bitmask(t, ENC_MOVMSKPS, a_of(t)); return true;
    case OP_I64X2_BITMASK: bitmask(t, ENC_MOVMSKPD, a_of(t)); return true;
    case OP_I8X16_POPCNT: popcnt8(t); return true;
    default: return false;
  }
}

/* Integer arithmetic and shifts */

static void negate(Simd *t, Enc row) {
  VReg a = a_of(t), nothing = zero(t);
  op_to(t, row, nothing, reg(a));
}

static void abs64(Simd *t) {
  VReg a = a_of(t);
  VReg sign = unary(t, ENC_PSHUFD, shift_imm(t, 0x72, VECTOR_SRA, a, 31, 0), 0xF5);
  op_to(t, ENC_PSUBQ, op(t, ENC_PXOR, a, reg(sign)), reg(sign));
}

static void mul64(Simd *t) {
  VReg a = a_of(t), b = b_of(t);
  VReg first = op(t, ENC_PMULUDQ, shift_imm(t, 0x73, VECTOR_SRL, a, 32, 0), reg(b));
  VReg second = op(t, ENC_PMULUDQ, shift_imm(t, 0x73, VECTOR_SRL, b, 32, 0), reg(a));
  VReg high = shift_imm(t, 0x73, VECTOR_SLL, op(t, ENC_PADDQ, first, reg(second)), 32, 0);
  op_to(t, ENC_PADDQ, op(t, ENC_PMULUDQ, a, reg(b)), reg(high));
}

static bool const_count(const Simd *t, unsigned bits_of_lane, unsigned *count) {
  Ref ref = t->node->b;
  const Node *node = isel_node(t->s, &ref);
  if (node->op != IR_CONST) return false;
  *count = (unsigned)node->imm & (bits_of_lane - 1);
  return true;
}

/* The count modulo the width, plus `more`, in a vector register. */
static VReg count_of(Simd *t, unsigned bits_of_lane, int32_t more) {
  Isel *s = t->s;
  VReg b = isel_value32(s, t->node->b), masked = isel_new(s, KIND_I32);
  Ins *ins = isel_begin(s, MOP_ALU, 4);
  ins->sub = ALU_AND;
  ins->flags |= INS_TIED;
  ins->has_imm = true;
  ins->imm = bits_of_lane - 1;
  isel_add_def(s, ins, masked);
  isel_add_use(s, ins, b);
  if (more != 0) {
    VReg sum = isel_new(s, KIND_I32);
    ins = isel_begin(s, MOP_ADD, 4);
    ins->has_imm = true;
    ins->imm = (uint64_t)more;
    isel_add_def(s, ins, sum);
    isel_add_use(s, ins, masked);
    masked = sum;
  }
  return isel_get(s, ENC_MOVD, 4, isel_new(s, KIND_V128), reg(masked), 0);
}

static void shift(Simd *t, unsigned lane_bits, unsigned opcode, unsigned group, Enc row) {
  VReg a = a_of(t);
  unsigned count;
  if (const_count(t, lane_bits, &count)) {
    shift_imm(t, opcode, group, a, count, t->d);
  } else {
    op_to(t, row, a, reg(count_of(t, lane_bits, 0)));
  }
}

/* Bytes are shifted as words, and bits that crossed from one to the other are cleared. */
static void shift_bytes(Simd *t, unsigned group, Enc row, uint8_t left_over(unsigned)) {
  VReg a = a_of(t);
  unsigned count;
  if (const_count(t, 8, &count)) {
    VReg shifted = shift_imm(t, 0x71, group, a, count, 0);
    op_to(t, ENC_PAND, shifted, word(t, repeat8(left_over(count))));
    return;
  }
  VReg by = count_of(t, 8, 0), shifted = op(t, row, a, reg(by));
  VReg ones = constant(t, group == VECTOR_SLL ? UINT64_MAX : repeat16(0xFF));
  VReg mask = op(t, ENC_PSHUFB, op(t, row, ones, reg(by)), reg(zero(t)));
  op_to(t, ENC_PAND, shifted, reg(mask));
}

static uint8_t mask_left(unsigned count) {
  return (uint8_t)(0xFF << count);
}

static uint8_t mask_right(unsigned count) {
  return (uint8_t)(0xFF >> count);
}

static void shift_bytes_signed(Simd *t) {
  VReg a = a_of(t);
  VReg low = op(t, ENC_PUNPCKLBW, a, reg(a)), high = op(t, ENC_PUNPCKHBW, a, reg(a));
  unsigned count;
  if (const_count(t, 8, &count)) {
    low = shift_imm(t, 0x71, VECTOR_SRA, low, count + 8, 0);
    high = shift_imm(t, 0x71, VECTOR_SRA, high, count + 8, 0);
  } else {
    VReg by = count_of(t, 8, 8);
    low = op(t, ENC_PSRAW, low, reg(by));
    high = op(t, ENC_PSRAW, high, reg(by));
  }
  op_to(t, ENC_PACKSSWB, low, reg(high));
}

/* There is no arithmetic shift of quadwords: the sign bit is extended by an exclusive or and a
 * subtraction. */
static void shift64_signed(Simd *t) {
  VReg a = a_of(t), sign = constant(t, (uint64_t)1 << 63), shifted, mask;
  unsigned count;
  if (const_count(t, 64, &count)) {
    shifted = shift_imm(t, 0x73, VECTOR_SRL, a, count, 0);
    mask = shift_imm(t, 0x73, VECTOR_SRL, sign, count, 0);
  } else {
    VReg by = count_of(t, 64, 0);
    shifted = op(t, ENC_PSRLQ, a, reg(by));
    mask = op(t, ENC_PSRLQ, sign, reg(by));
  }
  op_to(t, ENC_PSUBQ, op(t, ENC_PXOR, shifted, reg(mask)), reg(mask));
}

static void q15mulr(Simd *t) {
  VReg a = a_of(t), b = b_of(t), product = op(t, ENC_PMULHRSW, a, reg(b));
  VReg overflow = op(t, ENC_PCMPEQW, product, word(t, repeat16(0x8000)));
  op_to(t, ENC_PXOR, product, reg(overflow));
}

static bool integer(Simd *t) {
  switch (t->node->op) {
    case OP_I8X16_NEG: negate(t, ENC_PSUBB); return true;
    case OP_I16X8_NEG: negate(t, ENC_PSUBW); return true;
    case OP_I32X4_NEG: negate(t, ENC_PSUBD); return true;
    case OP_I64X2_NEG: negate(t, ENC_PSUBQ); return true;
    case OP_I64X2_ABS: abs64(t); return true;
    case OP_I64X2_MUL: mul64(t); return true;
    case OP_I8X16_SHL: shift_bytes(t, VECTOR_SLL, ENC_PSLLW, mask_left); return true;
    case OP_I8X16_SHR_U: shift_bytes(t, VECTOR_SRL, ENC_PSRLW, mask_right); return true;
    case OP_I8X16_SHR_S: shift_bytes_signed(t); return true;
    case OP_I16X8_SHL: shift(t, 16, 0x71, VECTOR_SLL, ENC_PSLLW); return true;
    case OP_I16X8_SHR_U: shift(t, 16, 0x71, VECTOR_SRL, ENC_PSRLW); return true;
    case OP_I16X8_SHR_S: shift(t, 16, 0x71, VECTOR_SRA, ENC_PSRAW); return true;
    case OP_I32X4_SHL: shift(t, 32, 0x72, VECTOR_SLL, ENC_PSLLD); return true;
    case OP_I32X4_SHR_U: shift(t, 32, 0x72, VECTOR_SRL, ENC_PSRLD); return true;
    case OP_I32X4_SHR_S: shift(t, 32, 0x72, VECTOR_SRA, ENC_PSRAD); return true;
    case OP_I64X2_SHL: shift(t, 64, 0x73, VECTOR_SLL, ENC_PSLLQ); return true;
    case OP_I64X2_SHR_U: shift(t, 64, 0x73, VECTOR_SRL, ENC_PSRLQ); return true;
    case OP_I64X2_SHR_S: shift64_signed(t); return true;
    case OP_I16X8_Q15MULR_SAT_S:
    case OP_I16X8_RELAXED_Q15MULR_S: q15mulr(t); return true;
    default: return false;
  }
}

/* Wider lanes */

static VReg high_half(Simd *t, VReg a) {
  return unary(t, ENC_PSHUFD, a, 0xEE);
}

static void extmul8(Simd *t, Enc extend, bool high) {
  VReg a = a_of(t), b = b_of(t);
  VReg x = unary(t, extend, high ? high_half(t, a) : a, 0),
       y = unary(t, extend, high ? high_half(t, b) : b, 0);
  op_to(t, ENC_PMULLW, x, reg(y));
}

static void extmul16(Simd *t, Enc mul_high, Enc unpack) {
  VReg a = a_of(t), b = b_of(t);
  VReg low = op(t, ENC_PMULLW, a, reg(b)), high = op(t, mul_high, a, reg(b));
  op_to(t, unpack, low, reg(high));
}

static void extmul32(Simd *t, Enc mul, unsigned lanes) {
  VReg a = a_of(t), b = b_of(t);
  VReg x = unary(t, ENC_PSHUFD, a, lanes), y = unary(t, ENC_PSHUFD, b, lanes);
  op_to(t, mul, x, reg(y));
}

static void extadd16u(Simd *t) {
  VReg biased = op(t, ENC_PXOR, a_of(t), word(t, repeat16(0x8000)));
  VReg sums = op(t, ENC_PMADDWD, biased, word(t, repeat16(1)));
  op_to(t, ENC_PADDD, sums, word(t, repeat32(0x10000)));
}

static VReg dot8(Simd *t) {
  VReg a = a_of(t), b = b_of(t);
  VReg low = op(t, ENC_PMADDWD, unary(t, ENC_PMOVSXBW, a, 0), reg(unary(t, ENC_PMOVSXBW, b, 0)));
  VReg x = unary(t, ENC_PMOVSXBW, high_half(t, a), 0),
       y = unary(t, ENC_PMOVSXBW, high_half(t, b), 0);
  return op(t, ENC_PACKSSDW, low, reg(op(t, ENC_PMADDWD, x, reg(y))));
}

static bool widening(Simd *t) {
  switch (t->node->op) {
    case OP_I16X8_EXTEND_HIGH_I8X16_S:
      unary_to(t, ENC_PMOVSXBW, high_half(t, a_of(t)), 0);
      return true;
    case OP_I16X8_EXTEND_HIGH_I8X16_U:
      unary_to(t, ENC_PMOVZXBW, high_half(t, a_of(t)), 0);
      return true;
    case OP_I32X4_EXTEND_HIGH_I16X8_S:
      unary_to(t, ENC_PMOVSXWD, high_half(t, a_of(t)), 0);
      return true;
    case OP_I32X4_EXTEND_HIGH_I16X8_U:
      unary_to(t, ENC_PMOVZXWD, high_half(t, a_of(t)), 0);
      return true;
    case OP_I64X2_EXTEND_HIGH_I32X4_S:
      unary_to(t, ENC_PMOVSXDQ, high_half(t, a_of(t)), 0);
      return true;
    case OP_I64X2_EXTEND_HIGH_I32X4_U:
      unary_to(t, ENC_PMOVZXDQ, high_half(t, a_of(t)), 0);
      return true;
    case OP_I16X8_EXTMUL_LOW_I8X16_S: extmul8(t, ENC_PMOVSXBW, false); return true;
    case OP_I16X8_EXTMUL_LOW_I8X16_U: extmul8(t, ENC_PMOVZXBW, false); return true;
    case OP_I16X8_EXTMUL_HIGH_I8X16_S: extmul8(t, ENC_PMOVSXBW, true); return true;
    case OP_I16X8_EXTMUL_HIGH_I8X16_U: extmul8(t, ENC_PMOVZXBW, true); return true;
    case OP_I32X4_EXTMUL_LOW_I16X8_S: extmul16(t, ENC_PMULHW, ENC_PUNPCKLWD); return true;
    case OP_I32X4_EXTMUL_LOW_I16X8_U: extmul16(t, ENC_PMULHUW, ENC_PUNPCKLWD); return true;
    case OP_I32X4_EXTMUL_HIGH_I16X8_S: extmul16(t, ENC_PMULHW, ENC_PUNPCKHWD); return true;
    case OP_I32X4_EXTMUL_HIGH_I16X8_U: extmul16(t, ENC_PMULHUW, ENC_PUNPCKHWD); return true;
    case OP_I64X2_EXTMUL_LOW_I32X4_S: extmul32(t, ENC_PMULDQ, 0x50); return true;
    case OP_I64X2_EXTMUL_LOW_I32X4_U: extmul32(t, ENC_PMULUDQ, 0x50); return true;
    case OP_I64X2_EXTMUL_HIGH_I32X4_S: extmul32(t, ENC_PMULDQ, 0xFA); return true;
    case OP_I64X2_EXTMUL_HIGH_I32X4_U: extmul32(t, ENC_PMULUDQ, 0xFA); return true;
    case OP_I16X8_EXTADD_PAIRWISE_I8X16_S: {
      VReg a = a_of(t), ones = constant(t, repeat8(1));
      op_to(t, ENC_PMADDUBSW, ones, reg(a)); /* unsigned by signed */
      return true;
    }
    case OP_I16X8_EXTADD_PAIRWISE_I8X16_U:
      op_to(t, ENC_PMADDUBSW, a_of(t), word(t, repeat8(1)));
      return true;
    case OP_I32X4_EXTADD_PAIRWISE_I16X8_S:
      op_to(t, ENC_PMADDWD, a_of(t), word(t, repeat16(1)));
      return true;
    case OP_I32X4_EXTADD_PAIRWISE_I16X8_U: extadd16u(t); return true;
    case OP_I16X8_RELAXED_DOT_I8X16_I7X16_S: unary_to(t, ENC_MOVAPS, dot8(t), 0); return true;
    case OP_I32X4_RELAXED_DOT_I8X16_I7X16_ADD_S: {
      VReg c = c_of(t), sums = op(t, ENC_PMADDWD, dot8(t), word(t, repeat16(1)));
      op_to(t, ENC_PADDD, sums, reg(c));
      return true;
    }
    default: return false;
  }
}

/* Lanes */

static VReg to_vector(Simd *t, Enc row) {
  VReg a = row == ENC_MOVD ? isel_value32(t->s, t->node->a) : a_of(t);
  return isel_get(t->s, row, 4, isel_new(t->s, KIND_V128), reg(a), 0);
}

static void splat16(Simd *t, VReg v) {
  unary_to(t, ENC_PSHUFD, unary(t, ENC_PSHUFLW, v, 0), 0);
}

static void extract(Simd *t, Enc row, unsigned lane, Enc extension) {
  VReg v = a_of(t);
  Ins *ins;
  VReg d = extension != 0 ? isel_new(t->s, KIND_I32) : t->d;
  if (lane == 0 && row == ENC_PEXTRD) row = ENC_MOVD_STORE;
  if (lane == 0 && row == ENC_PEXTRQ) row = ENC_MOVQ_STORE;
  ins = isel_begin(t->s, MOP_GET, 4);
  ins->row = row;
  ins->imm = lane;
  isel_add_def(t->s, ins, d);
  isel_add_use(t->s, ins, v);
  if (extension != 0) isel_get(t->s, extension, 4, t->d, reg(d), 0);
}

static void extract_float(Simd *t, unsigned lane, unsigned shuffle) {
  VReg v = a_of(t);
  if (lane == 0) {
    unary_to(t, ENC_MOVAPS, v, 0);
  } else {
    unary_to(t, ENC_PSHUFD, v, shuffle);
  }
}

static void replace(Simd *t, Enc row, unsigned imm8) {
  VReg b = row == ENC_PINSRQ || row == ENC_INSERTPS ? b_of(t) : isel_value32(t->s, t->node->b);
  VReg a = a_of(t);
  isel_sse(t->s, row, t->d, a, reg(b), imm8);
}

static void replace_f64(Simd *t, unsigned lane) {
  VReg a = a_of(t), b = b_of(t);
  if (lane == 0) {
    isel_sse(t->s, ENC_PBLENDW, t->d, a, reg(b), 0x0F);
  } else {
    op_to(t, ENC_MOVLHPS, a, reg(b));
  }
}

static bool lanes(Simd *t) {
  unsigned lane = t->node->lane;
  switch (t->node->op) {
    case OP_I8X16_SPLAT: op_to(t, ENC_PSHUFB, to_vector(t, ENC_MOVD), reg(zero(t))); return true;
    case OP_I16X8_SPLAT: splat16(t, to_vector(t, ENC_MOVD)); return true;
    case OP_I32X4_SPLAT: unary_to(t, ENC_PSHUFD, to_vector(t, ENC_MOVD), 0); return true;
    case OP_I64X2_SPLAT: unary_to(t, ENC_PSHUFD, to_vector(t, ENC_MOVQ), 0x44); return true;
    case OP_F32X4_SPLAT: unary_to(t, ENC_PSHUFD, a_of(t), 0); return true;
    case OP_F64X2_SPLAT: unary_to(t, ENC_MOVDDUP, a_of(t), 0); return true;
    case OP_I8X16_EXTRACT_LANE_S: extract(t, ENC_PEXTRB, lane, ENC_MOVSX8); return true;
    case OP_I8X16_EXTRACT_LANE_U: extract(t, ENC_PEXTRB, lane, 0); return true;
    case OP_I16X8_EXTRACT_LANE_S: extract(t, ENC_PEXTRW_REG, lane, ENC_MOVSX16); return true;
    case OP_I16X8_EXTRACT_LANE_U: extract(t, ENC_PEXTRW_REG, lane, 0); return true;
    case OP_I32X4_EXTRACT_LANE: extract(t, ENC_PEXTRD, lane, 0); return true;
    case OP_I64X2_EXTRACT_LANE: extract(t, ENC_PEXTRQ, lane, 0); return true;
    case OP_F32X4_EXTRACT_LANE: extract_float(t, lane, lane * 0x55); return true;
    case OP_F64X2_EXTRACT_LANE: extract_float(t, lane, 0xEE); return true;
    case OP_I8X16_REPLACE_LANE: replace(t, ENC_PINSRB, lane); return true;
    case OP_I16X8_REPLACE_LANE: replace(t, ENC_PINSRW, lane); return true;
    case OP_I32X4_REPLACE_LANE: replace(t, ENC_PINSRD, lane); return true;
    case OP_I64X2_REPLACE_LANE: replace(t, ENC_PINSRQ, lane); return true;
    case OP_F32X4_REPLACE_LANE: replace(t, ENC_INSERTPS, lane << 4); return true;
    case OP_F64X2_REPLACE_LANE: replace_f64(t, lane); return true;
    case OP_I8X16_SWIZZLE:
    case OP_I8X16_RELAXED_SWIZZLE: {
      VReg b = op(t, ENC_PADDUSB, b_of(t), word(t, repeat8(0x70)));
      op_to(t, ENC_PSHUFB, a_of(t), reg(b));
      return true;
    }
    default: return false;
  }
}

/* Shuffles with constant lanes */

static bool is_lane_wise(const uint8_t *from, unsigned bytes) {
  for (unsigned i = 0; i < 16; i++) {
    if (from[i] % bytes != i % bytes || from[i] / bytes != from[i - i % bytes] / bytes)
      return false;
  }
  return true;
}

/* Lanes of a below `limit`, lanes of b, alternating: an unpacking instruction. */
static bool is_unpacking(const uint8_t *from, unsigned bytes, unsigned start) {
  for (unsigned i = 0; i < 16; i++) {
    unsigned pair = i / (2 * bytes), in_pair = i % (2 * bytes);
    unsigned wanted = start + pair * bytes + in_pair % bytes + (in_pair >= bytes ? 16 : 0);
    if (from[i] != wanted) return false;
  }
  return true;
}

static bool unpacking(Simd *t, const uint8_t *from) {
  static const Enc low[] = {ENC_PUNPCKLBW, ENC_PUNPCKLWD, ENC_PUNPCKLDQ, ENC_PUNPCKLQDQ};
  static const Enc high[] = {ENC_PUNPCKHBW, ENC_PUNPCKHWD, ENC_PUNPCKHDQ, ENC_PUNPCKHQDQ};
  for (unsigned log2 = 0; log2 < 4; log2++) {
    bool is_low = is_unpacking(from, 1u << log2, 0), is_high = is_unpacking(from, 1u << log2, 8);
    if (!is_low && !is_high) continue;
    VReg a = a_of(t), b = b_of(t);
    op_to(t, is_low ? low[log2] : high[log2], a, reg(b));
    return true;
  }
  return false;
}

static bool rotation(Simd *t, const uint8_t *from) {
  for (unsigned i = 1; i < 16; i++) {
    if (from[i] != from[0] + i) return false;
  }
  VReg a = a_of(t), b = b_of(t);
  isel_sse(t->s, ENC_PALIGNR, t->d, b, reg(a), from[0]);
  return true;
}

static bool words32(Simd *t, const uint8_t *from) {
  if (!is_lane_wise(from, 4)) return false;
  unsigned lane[4];
  for (unsigned i = 0; i < 4; i++) lane[i] = from[4 * i] / 4u;
  unsigned imm8 = (lane[0] & 3) | (lane[1] & 3) << 2 | (lane[2] & 3) << 4 | (lane[3] & 3) << 6;
  unsigned n_second = (lane[0] >> 2) + (lane[1] >> 2) + (lane[2] >> 2) + (lane[3] >> 2);
  if (n_second == 0 || n_second == 4) {
    unary_to(t, ENC_PSHUFD, n_second == 0 ? a_of(t) : b_of(t), imm8);
    return true;
  }
  if (lane[0] >> 2 != lane[1] >> 2 || lane[2] >> 2 != lane[3] >> 2) return false;
  VReg first = lane[0] < 4 ? a_of(t) : b_of(t), second = lane[2] < 4 ? a_of(t) : b_of(t);
  isel_sse(t->s, ENC_SHUFPS, t->d, first, reg(second), imm8);
  return true;
}

static bool blend16(Simd *t, const uint8_t *from) {
  unsigned imm8 = 0;
  for (unsigned i = 0; i < 16; i++) {
    if (from[i] % 16 != i || from[i] / 16 != from[i & ~1u] / 16) return false;
    if (from[i] >= 16) imm8 |= 1u << i / 2;
  }
  VReg a = a_of(t), b = b_of(t);
  isel_sse(t->s, ENC_PBLENDW, t->d, a, reg(b), imm8);
  return true;
}

static VReg pick_bytes(Simd *t, VReg v, const uint8_t *from, unsigned base, VReg d) {
  uint8_t mask[16];
  for (unsigned i = 0; i < 16; i++)
    mask[i] = from[i] / 16u == base / 16u ? (uint8_t)(from[i] - base) : 0x80;
  return isel_sse(t->s, ENC_PSHUFB, d, v, isel_pool(t->s, load_u64(mask), load_u64(mask + 8), 16),
                  0);
}

static void shuffle(Simd *t) {
  uint8_t from[16];
  memcpy(from, t->s->ir->vectors.items[t->node->imm], 16);
  bool is_same = t->node->a == t->node->b;
  unsigned n_second = 0;
  for (unsigned i = 0; i < 16; i++) {
    if (is_same) from[i] &= 15;
    n_second += from[i] >= 16;
  }
  if (words32(t, from) || rotation(t, from) || unpacking(t, from) || blend16(t, from)) return;
  if (n_second == 0 || n_second == 16) {
    pick_bytes(t, n_second == 0 ? a_of(t) : b_of(t), from, n_second, t->d);
    return;
  }
  VReg a = a_of(t), b = b_of(t);
  VReg first = pick_bytes(t, a, from, 0, 0), second = pick_bytes(t, b, from, 16, 0);
  op_to(t, ENC_POR, first, reg(second));
}

/* Floats */

static void float_bits(Simd *t, Enc row, uint64_t mask) {
  op_to(t, row, a_of(t), word(t, mask));
}

typedef struct Shape {
  Enc min, max, sub, compare;
  unsigned shift, payload_bits;
} Shape;
static const Shape f32x4 = {ENC_MINPS, ENC_MAXPS, ENC_SUBPS, ENC_CMPPS, 0x72, 10};
static const Shape f64x2 = {ENC_MINPD, ENC_MAXPD, ENC_SUBPD, ENC_CMPPD, 0x73, 13};
enum { CMP_UNORDERED = 3 };

/* The processor's min and max give their second operand when one is a NaN or both are zero: taken
 * both ways round, the results differ in these cases only. NaNs are made canonical, since their
 * bits got mixed. */
static void min_(Simd *t, const Shape *shape) {
  VReg a = a_of(t), b = b_of(t);
  VReg both = op(t, ENC_ORPS, op(t, shape->min, a, reg(b)), reg(op(t, shape->min, b, reg(a))));
  VReg nans = op_imm(t, shape->compare, both, reg(both), CMP_UNORDERED);
  VReg filled = op(t, ENC_ORPS, both, reg(nans));
  op_to(t, ENC_ANDNPS, shift_imm(t, shape->shift, VECTOR_SRL, nans, shape->payload_bits, 0),
        reg(filled));
}

static void max_(Simd *t, const Shape *shape) {
  VReg a = a_of(t), b = b_of(t);
  VReg x = op(t, shape->max, a, reg(b)), y = op(t, shape->max, b, reg(a));
  VReg different = op(t, ENC_XORPS, x, reg(y));
  VReg sum = op(t, shape->sub, op(t, ENC_ORPS, x, reg(different)), reg(different));
  VReg nans = op_imm(t, shape->compare, sum, reg(sum), CMP_UNORDERED);
  op_to(t, ENC_ANDNPS, shift_imm(t, shape->shift, VECTOR_SRL, nans, shape->payload_bits, 0),
        reg(sum));
}

static void multiply_add(Simd *t, Enc mul, Enc add) {
  VReg a = a_of(t), b = b_of(t), c = c_of(t), product = op(t, mul, a, reg(b));
  op_to(t, add, c, reg(product));
}

static bool float_(Simd *t) {
  switch (t->node->op) {
    case OP_F32X4_ABS: float_bits(t, ENC_ANDPS, repeat32(0x7FFFFFFF)); return true;
    case OP_F64X2_ABS: float_bits(t, ENC_ANDPS, INT64_MAX); return true;
    case OP_F32X4_NEG: float_bits(t, ENC_XORPS, repeat32(0x80000000u)); return true;
    case OP_F64X2_NEG: float_bits(t, ENC_XORPS, (uint64_t)1 << 63); return true;
    case OP_F32X4_MIN:
    case OP_F32X4_RELAXED_MIN: min_(t, &f32x4); return true;
    case OP_F64X2_MIN:
    case OP_F64X2_RELAXED_MIN: min_(t, &f64x2); return true;
    case OP_F32X4_MAX:
    case OP_F32X4_RELAXED_MAX: max_(t, &f32x4); return true;
    case OP_F64X2_MAX:
    case OP_F64X2_RELAXED_MAX: max_(t, &f64x2); return true;
    case OP_F32X4_RELAXED_MADD: multiply_add(t, ENC_MULPS, ENC_ADDPS); return true;
    case OP_F32X4_RELAXED_NMADD: multiply_add(t, ENC_MULPS, ENC_SUBPS); return true;
    case OP_F64X2_RELAXED_MADD: multiply_add(t, ENC_MULPD, ENC_ADDPD); return true;
    case OP_F64X2_RELAXED_NMADD: multiply_add(t, ENC_MULPD, ENC_SUBPD); return true;
    default: return false;
  }
}

/* Conversions */

enum { CMP_EQUAL = 0, CMP_LESS_EQUAL = 2 };
static const uint64_t two31_f32 = 0x4F0000004F000000u, two16_f32 = 0x4780000047800000u;
static const uint64_t two52 = 0x4330000000000000u;
static const uint64_t i32_max_f64 = 0x41DFFFFFFFC00000u, u32_max_f64 = 0x41EFFFFFFFE00000u;

static void convert_u32(Simd *t) {
  VReg a = a_of(t);
  VReg high = unary(t, ENC_CVTDQ2PS, shift_imm(t, 0x72, VECTOR_SRL, a, 16, 0), 0);
  VReg low = unary(t, ENC_CVTDQ2PS, op(t, ENC_PAND, a, word(t, repeat32(0xFFFF))), 0);
  op_to(t, ENC_ADDPS, op(t, ENC_MULPS, high, word(t, two16_f32)), reg(low));
}

/* Four bytes of the number under the exponent of 2^52. */
static void convert_low_u32(Simd *t) {
  VReg biased = op(t, ENC_PUNPCKLDQ, a_of(t), isel_pool(t->s, repeat32(0x43300000), 0, 16));
  op_to(t, ENC_SUBPD, biased, word(t, two52));
}

/* Out of range gives the least integer: where the number is large and positive all bits are
 * flipped. */
static VReg trunc_signed(Simd *t, VReg x) {
  VReg limit = constant(t, two31_f32);
  VReg over = op_imm(t, ENC_CMPPS, limit, reg(x), CMP_LESS_EQUAL);
  return op(t, ENC_PXOR, unary(t, ENC_CVTTPS2DQ, x, 0), reg(over));
}

static void trunc_f32_s(Simd *t) {
  VReg a = a_of(t), numbers = op_imm(t, ENC_CMPPS, a, reg(a), CMP_EQUAL);
  unary_to(t, ENC_MOVAPS, trunc_signed(t, op(t, ENC_ANDPS, a, reg(numbers))), 0);
}

/* What is above 2^31 is converted apart and added. */
static void trunc_f32_u(Simd *t) {
  VReg a = a_of(t), nothing = zero(t), x = op(t, ENC_MAXPS, a, reg(nothing));
  VReg low = unary(t, ENC_CVTTPS2DQ, x, 0);
  VReg above = trunc_signed(t, op(t, ENC_SUBPS, x, word(t, two31_f32)));
  op_to(t, ENC_PADDD, low, reg(op(t, ENC_PMAXSD, above, reg(nothing))));
}

static void trunc_f64_s(Simd *t) {
  VReg a = a_of(t), numbers = op_imm(t, ENC_CMPPD, a, reg(a), CMP_EQUAL);
  VReg most = op(t, ENC_ANDPS, numbers, word(t, i32_max_f64));
  unary_to(t, ENC_CVTTPD2DQ, op(t, ENC_MINPD, a, reg(most)), 0);
}

static void trunc_f64_u(Simd *t) {
  VReg a = a_of(t), nothing = zero(t);
  VReg x = op(t, ENC_MINPD, op(t, ENC_MAXPD, a, reg(nothing)), word(t, u32_max_f64));
  VReg biased = op(t, ENC_ADDPD, unary(t, ENC_ROUNDPD, x, 11), word(t, two52));
  isel_sse(t->s, ENC_SHUFPS, t->d, biased, reg(nothing), 0x88);
}

static bool conversion(Simd *t) {
  switch (t->node->op) {
    case OP_F32X4_CONVERT_I32X4_U: convert_u32(t); return true;
    case OP_F64X2_CONVERT_LOW_I32X4_U: convert_low_u32(t); return true;
    case OP_I32X4_TRUNC_SAT_F32X4_S:
    case OP_I32X4_RELAXED_TRUNC_F32X4_S: trunc_f32_s(t); return true;
    case OP_I32X4_TRUNC_SAT_F32X4_U:
    case OP_I32X4_RELAXED_TRUNC_F32X4_U: trunc_f32_u(t); return true;
    case OP_I32X4_TRUNC_SAT_F64X2_S_ZERO:
    case OP_I32X4_RELAXED_TRUNC_F64X2_S_ZERO: trunc_f64_s(t); return true;
    case OP_I32X4_TRUNC_SAT_F64X2_U_ZERO:
    case OP_I32X4_RELAXED_TRUNC_F64X2_U_ZERO: trunc_f64_u(t); return true;
    default: return false;
  }
}

/* Memory */

static Source place(Simd *t) {
  return (Source){.kind = SOURCE_MEM, .mem = isel_address(t->s, t->node)};
}

static void load(Simd *t, Enc row) {
  isel_get(t->s, row, 4, t->d, place(t), 0);
}

static void load_lane(Simd *t, Enc row) {
  Source source = place(t);
  VReg b = b_of(t);
  isel_sse(t->s, row, t->d, b, source, t->node->lane);
}

static void load_splat(Simd *t, unsigned bytes) {
  Source source = place(t);
  if (bytes == 8) {
    isel_get(t->s, ENC_MOVDDUP, 4, t->d, source, 0);
  } else if (bytes == 4 && t->s->f->target->has_avx) {
    isel_get(t->s, ENC_VBROADCASTSS, 4, t->d, source, 0);
  } else if (bytes == 4) {
    unary_to(t, ENC_PSHUFD, isel_get(t->s, ENC_MOVSS, 4, isel_new(t->s, KIND_V128), source, 0), 0);
  } else if (bytes == 2) {
    splat16(t, op(t, ENC_PINSRW, zero(t), source));
  } else {
    VReg nothing = zero(t);
    op_to(t, ENC_PSHUFB, op(t, ENC_PINSRB, nothing, source), reg(nothing));
  }
}

static void store_lane(Simd *t, Enc row) {
  Address address = isel_address(t->s, t->node);
  VReg b = b_of(t);
  unsigned lane = t->node->lane;
  if (row == ENC_PEXTRD && lane == 0) row = ENC_MOVSS_STORE;
  if (row == ENC_PEXTRQ) row = lane == 0 ? ENC_MOVSD_STORE : ENC_MOVHPS_STORE;
  Ins *ins = isel_begin(t->s, MOP_PUT, 4);
  ins->row = row;
  ins->imm = lane;
  isel_add_use(t->s, ins, b);
  isel_add_address(t->s, ins, address);
}

static bool memory(Simd *t) {
  switch (t->node->op) {
    case OP_V128_LOAD8X8_S: load(t, ENC_PMOVSXBW); return true;
    case OP_V128_LOAD8X8_U: load(t, ENC_PMOVZXBW); return true;
    case OP_V128_LOAD16X4_S: load(t, ENC_PMOVSXWD); return true;
    case OP_V128_LOAD16X4_U: load(t, ENC_PMOVZXWD); return true;
    case OP_V128_LOAD32X2_S: load(t, ENC_PMOVSXDQ); return true;
    case OP_V128_LOAD32X2_U: load(t, ENC_PMOVZXDQ); return true;
    case OP_V128_LOAD32_ZERO: load(t, ENC_MOVSS); return true;
    case OP_V128_LOAD64_ZERO: load(t, ENC_MOVSD); return true;
    case OP_V128_LOAD8_SPLAT: load_splat(t, 1); return true;
    case OP_V128_LOAD16_SPLAT: load_splat(t, 2); return true;
    case OP_V128_LOAD32_SPLAT: load_splat(t, 4); return true;
    case OP_V128_LOAD64_SPLAT: load_splat(t, 8); return true;
    case OP_V128_LOAD8_LANE: load_lane(t, ENC_PINSRB); return true;
    case OP_V128_LOAD16_LANE: load_lane(t, ENC_PINSRW); return true;
    case OP_V128_LOAD32_LANE: load_lane(t, ENC_PINSRD); return true;
    case OP_V128_LOAD64_LANE: load_lane(t, ENC_PINSRQ); return true;
    case OP_V128_STORE8_LANE: store_lane(t, ENC_PEXTRB); return true;
    case OP_V128_STORE16_LANE: store_lane(t, ENC_PEXTRW); return true;
    case OP_V128_STORE32_LANE: store_lane(t, ENC_PEXTRD); return true;
    case OP_V128_STORE64_LANE: store_lane(t, ENC_PEXTRQ); return true;
    default: return false;
  }
}

bool isel_simd(Isel *s, Ref ref, const Node *node) {
  if (node->op < OP_V128_LOAD || node->op > OP_I32X4_RELAXED_DOT_I8X16_I7X16_ADD_S) return false;
  Simd t = {.s = s, .node = node};
  if (node->type != KIND_BOTTOM) t.d = isel_def(s, ref);
  if (node->op == OP_I8X16_SHUFFLE) {
    shuffle(&t);
    return true;
  }
  return binary(&t) || unary_of_table(&t) || comparison(&t) || bits(&t) || integer(&t) ||
         widening(&t) || lanes(&t) || float_(&t) || conversion(&t) || memory(&t);
}
#endif
