/* emit_number.c - operations that take several instructions, with what happens rarely out of the
 * way: division, minimum and maximum, conversions between floats and integers, counting of bits.
 */
#if defined(__x86_64__)
#include "emit_int.h"

static unsigned operand_reg(const Emit *e, const Ins *ins, unsigned i) {
  return emit_reg(INS_OPERANDS(e->f, ins) + i);
}

/* Division */

static void divide(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  bool is_signed = ins->sub == DIV_S || ins->sub == REM_S;
  unsigned divisor = operand_reg(e, ins, 3);
  Cold *cold = NULL;
  uint32_t back = 0;
  if (is_signed || !e->f->target->uses_signals) {
    enc_rr(out, ENC_TEST, ins->size, divisor, divisor);
    emit_jump_if(e, CC_E, emit_trap_label(e, TRAP_DIVIDE_BY_ZERO, ins));
  }
  if (ins->sub == REM_S) {
    enc_alu_ri(out, ALU_CMP, ins->size, divisor, -1);
    cold = emit_cold(e, COLD_REM, ins);
    back = cold->back;
    emit_jump_if(e, CC_E, cold->label);
  }
  if (ins->sub == DIV_S && !e->f->target->uses_signals) {
    uint32_t fine = emit_label(e);
    enc_alu_ri(out, ALU_CMP, ins->size, divisor, -1);
    emit_jump_if(e, CC_NE, fine);
    enc_rr(out, ENC_MOV, ins->size, RDX, RAX);
    enc_alu_ri(out, ALU_SUB, ins->size, RDX, 1);
    emit_jump_if(e, CC_O, emit_trap_label(e, TRAP_INTEGER_OVERFLOW, ins));
    emit_bind(e, fine);
  }
  if (is_signed) {
    enc_cdq(out, ins->size);
  } else {
    enc_alu_rr(out, ALU_XOR, 4, RDX, RDX);
  }
  if (ins->sub != REM_S)
    emit_site(e, is_signed ? TRAP_INTEGER_OVERFLOW : TRAP_DIVIDE_BY_ZERO, ins->at);
  enc_group_r(out, 0xF7, ins->size, is_signed ? F7_IDIV : F7_DIV, divisor);
  if (cold != NULL) emit_bind(e, back);
}

/* Minimum and maximum: the processor's are right unless the operands are equal or unordered. */

static Enc of_size(unsigned size, Enc f32, Enc f64) {
  return size == 4 ? f32 : f64;
}

static void min_max(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  unsigned d = operand_reg(e, ins, 0), a = operand_reg(e, ins, 1), b = operand_reg(e, ins, 2);
  if (d != a) enc_sse_rr(out, ENC_MOVAPS, d, 0, a);
  enc_sse_rr(out, of_size(ins->size, ENC_UCOMISS, ENC_UCOMISD), d, 0, b);
  Cold *cold = emit_cold(e, COLD_MIN_MAX, ins);
  uint32_t back = cold->back;
  emit_jump_if(e, CC_E, cold->label);
  Enc row = ins->sub ? of_size(ins->size, ENC_MAXSS, ENC_MAXSD)
                     : of_size(ins->size, ENC_MINSS, ENC_MINSD);
  enc_sse_rr(out, row, d, d, b);
  emit_bind(e, back);
}

static void min_max_cold(Emit *e, const Cold *cold) {
  Asm *out = &e->out;
  const Ins *ins = cold->ins;
  unsigned d = operand_reg(e, ins, 0), b = operand_reg(e, ins, 2);
  uint32_t nan = emit_label(e);
  emit_jump_if(e, CC_P, nan);
  enc_sse_rr(out, ins->sub ? ENC_ANDPS : ENC_ORPS, d, d, b);
  emit_jump(e, cold->back);
  emit_bind(e, nan);
  enc_sse_rr(out, of_size(ins->size, ENC_ADDSS, ENC_ADDSD), d, d, b);
}

/* Floats to integers. The processor gives the least integer for what it cannot convert. */

typedef struct Trunc {
  unsigned size; /* of the float */
  unsigned d, x, float_temp, int_temp;
  Enc convert, convert64, compare;
} Trunc;

static Trunc trunc_of(const Emit *e, const Ins *ins) {
  Trunc t = {.size = ins->size};
  t.d = operand_reg(e, ins, 0);
  t.x = operand_reg(e, ins, 1);
  t.float_temp = operand_reg(e, ins, 2);
  t.int_temp = operand_reg(e, ins, 3);
  t.convert = of_size(t.size, ENC_CVTTSS2SI, ENC_CVTTSD2SI);
  t.convert64 = of_size(t.size, ENC_CVTTSS2SIQ, ENC_CVTTSD2SIQ);
  t.compare = of_size(t.size, ENC_UCOMISS, ENC_UCOMISD);
  return t;
}

static uint64_t power_of_two(unsigned size, unsigned n) {
  return size == 4 ? (uint64_t)(127 + n) << 23 : (uint64_t)(1023 + n) << 52;
}

static void compare_with(Emit *e, const Trunc *t, uint64_t bits) {
  enc_sse_rm(&e->out, t->compare, t->x, 0, emit_constant(e, bits, 0, t->size));
}

static void do_trunc(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  Trunc t = trunc_of(e, ins);
  bool is_sat = ins->op == MOP_TRUNC_SAT;
  bool to_64 = (ins->sub & TRUNC_TO_I64) != 0, is_unsigned = (ins->sub & TRUNC_UNSIGNED) != 0;
  uint32_t back_of_big = 0;
  if (to_64 && is_unsigned) {
    compare_with(e, &t, power_of_two(t.size, 63));
    Cold *big = emit_cold(e, is_sat ? COLD_TRUNC_SAT_BIG : COLD_TRUNC_BIG, ins);
    back_of_big = big->back;
    emit_jump_if(e, CC_AE, big->label);
  }
  enc_sse_rr(out, to_64 || is_unsigned ? t.convert64 : t.convert, t.d, 0, t.x);
  unsigned cc = CC_O;
  if (!is_unsigned) {
    enc_alu_ri(out, ALU_CMP, to_64 ? 8 : 4, t.d, 1); /* only the least integer overflows */
  } else if (to_64) {
    enc_rr(out, ENC_TEST, 8, t.d, t.d);
    cc = CC_S;
  } else {
    enc_rr(out, ENC_MOV, 8, t.int_temp, t.d);
    enc_shift_ri(out, SHIFT_SHR, 8, t.int_temp, 32);
    cc = CC_NE;
  }
  Cold *cold = emit_cold(e, is_sat ? COLD_TRUNC_SAT : COLD_TRUNC, ins);
  uint32_t back = cold->back;
  emit_jump_if(e, cc, cold->label);
  emit_bind(e, back);
  if (back_of_big != 0) emit_bind(e, back_of_big);
}

/* A number from 2^63 on: 2^63 is taken off before and put back as a bit. */
static void truncate_big(Emit *e, const Trunc *t) {
  Asm *out = &e->out;
  unsigned temp = t->float_temp;
  Mem limit = emit_constant(e, power_of_two(t->size, 63), 0, t->size);
  enc_sse_rr(out, ENC_MOVAPS, temp, 0, t->x);
  enc_sse_rm(out, of_size(t->size, ENC_SUBSS, ENC_SUBSD), temp, temp, limit);
  enc_sse_rr(out, t->convert64, t->d, 0, temp);
  enc_mov_ri(out, t->int_temp, (uint64_t)1 << 63);
  enc_rr(out, ENC_TEST, 8, t->d, t->d);
}

static void trunc_big_cold(Emit *e, const Cold *cold) {
  Trunc t = trunc_of(e, cold->ins);
  truncate_big(e, &t);
  emit_jump_if(e, CC_S, emit_trap_label(e, TRAP_INTEGER_OVERFLOW, cold->ins));
  enc_alu_rr(&e->out, ALU_XOR, 8, t.d, t.int_temp);
}

static void trunc_sat_big_cold(Emit *e, const Cold *cold) {
  Trunc t = trunc_of(e, cold->ins);
  truncate_big(e, &t);
  uint32_t fine = emit_label(e);
  emit_jump_if(e, CC_NS, fine);
  enc_mov_ri(&e->out, t.d, UINT64_MAX);
  emit_jump(e, cold->back);
  emit_bind(e, fine);
  enc_alu_rr(&e->out, ALU_XOR, 8, t.d, t.int_temp);
}

/* The least float that is still converted: as a bound that is excluded where the float below it is
 * one. */
static void compare_with_least(Emit *e, const Trunc *t, bool to_64, unsigned *below) {
  uint64_t sign = t->size == 4 ? 0x80000000u : (uint64_t)1 << 63;
  if (!to_64 && t->size == 8) {
    compare_with(e, t, 0xC1E0000000200000u); /* -2^31 - 1 */
    *below = CC_BE;
  } else {
    compare_with(e, t, sign | power_of_two(t->size, to_64 ? 63 : 31));
    *below = CC_B;
  }
}

static void trunc_cold(Emit *e, const Cold *cold) {
  Asm *out = &e->out;
  const Ins *ins = cold->ins;
  Trunc t = trunc_of(e, ins);
  enc_sse_rr(out, t.compare, t.x, 0, t.x);
  emit_jump_if(e, CC_P, emit_trap_label(e, TRAP_INVALID_CONVERSION, ins));
  uint32_t overflow = emit_trap_label(e, TRAP_INTEGER_OVERFLOW, ins);
  if (ins->sub & TRUNC_UNSIGNED) {
    emit_jump(e, overflow);
    return;
  }
  unsigned below;
  compare_with_least(e, &t, (ins->sub & TRUNC_TO_I64) != 0, &below);
  emit_jump_if(e, below, overflow);
  enc_sse_rr(out, ENC_XORPS, t.float_temp, t.float_temp, t.float_temp);
  enc_sse_rr(out, t.compare, t.x, 0, t.float_temp);
  emit_jump_if(e, CC_AE, overflow);
}

static void trunc_sat_cold(Emit *e, const Cold *cold) {
  Asm *out = &e->out;
  const Ins *ins = cold->ins;
  Trunc t = trunc_of(e, ins);
  bool to_64 = (ins->sub & TRUNC_TO_I64) != 0;
  uint32_t nothing = emit_label(e);
  enc_sse_rr(out, ENC_XORPS, t.float_temp, t.float_temp, t.float_temp);
  enc_sse_rr(out, t.compare, t.x, 0, t.float_temp);
  emit_jump_if(e, CC_P, nothing);
  if (ins->sub & TRUNC_UNSIGNED) {
    emit_jump_if(e, CC_BE, nothing);
    enc_mov_ri(out, t.d, to_64 ? UINT64_MAX : UINT32_MAX);
  } else {
    emit_jump_if(e, CC_B, cold->back); /* it is the least integer already */
    enc_mov_ri(out, t.d, to_64 ? INT64_MAX : INT32_MAX);
  }
  emit_jump(e, cold->back);
  emit_bind(e, nothing);
  enc_alu_rr(out, ALU_XOR, 4, t.d, t.d);
}

/* Unsigned 64-bit integers to floats: half of those from 2^63 on is converted, with the lost bit
 * kept for rounding, and doubled. */

static void convert_u64(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  unsigned d = operand_reg(e, ins, 0), x = operand_reg(e, ins, 1);
  enc_sse_rr(out, ENC_XORPS, d, d, d);
  enc_rr(out, ENC_TEST, 8, x, x);
  Cold *cold = emit_cold(e, COLD_CONVERT_U64, ins);
  uint32_t back = cold->back;
  emit_jump_if(e, CC_S, cold->label);
  enc_sse_rr(out, of_size(ins->size, ENC_CVTSI2SSQ, ENC_CVTSI2SDQ), d, d, x);
  emit_bind(e, back);
}

static void convert_u64_cold(Emit *e, const Cold *cold) {
  Asm *out = &e->out;
  const Ins *ins = cold->ins;
  unsigned d = operand_reg(e, ins, 0), x = operand_reg(e, ins, 1);
  unsigned half = operand_reg(e, ins, 2), lost = operand_reg(e, ins, 3);
  enc_rr(out, ENC_MOV, 8, half, x);
  enc_rr(out, ENC_MOV, 4, lost, x);
  enc_shift_ri(out, SHIFT_SHR, 8, half, 1);
  enc_alu_ri(out, ALU_AND, 4, lost, 1);
  enc_alu_rr(out, ALU_OR, 8, half, lost);
  enc_sse_rr(out, of_size(ins->size, ENC_CVTSI2SSQ, ENC_CVTSI2SDQ), d, d, half);
  enc_sse_rr(out, of_size(ins->size, ENC_ADDSS, ENC_ADDSD), d, d, d);
}

/* Counting, for processors without LZCNT, TZCNT, POPCNT */

static void count_zeros(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  unsigned d = operand_reg(e, ins, 0), x = operand_reg(e, ins, 1), temp = operand_reg(e, ins, 2);
  unsigned bits = 8 * ins->size;
  enc_mov_ri(out, temp, ins->sub ? UINT64_MAX : bits);
  enc_rr(out, ins->sub ? ENC_BSR : ENC_BSF, ins->size, d, x);
  enc_cmov_rr(out, CC_E, ins->size, d, temp);
  if (!ins->sub) return;
  enc_group_r(out, 0xF7, ins->size, F7_NEG, d);
  enc_alu_ri(out, ALU_ADD, ins->size, d, (int32_t)bits - 1);
}

static uint64_t repeated(unsigned size, uint8_t byte) {
  return size == 4 ? 0x01010101u * byte : 0x0101010101010101u * byte;
}

static void and_const(Emit *e, unsigned size, unsigned reg, uint64_t mask, unsigned temp) {
  enc_mov_ri(&e->out, temp, mask);
  enc_alu_rr(&e->out, ALU_AND, size, reg, temp);
}

static void count_ones(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  unsigned d = operand_reg(e, ins, 0), x = operand_reg(e, ins, 1), part = operand_reg(e, ins, 2);
  unsigned mask = operand_reg(e, ins, 3), size = ins->size;
  enc_rr(out, ENC_MOV, size, part, x);
  enc_shift_ri(out, SHIFT_SHR, size, part, 1);
  and_const(e, size, part, repeated(size, 0x55), mask);
  enc_rr(out, ENC_MOV, size, d, x);
  enc_alu_rr(out, ALU_SUB, size, d, part);
  enc_rr(out, ENC_MOV, size, part, d);
  enc_shift_ri(out, SHIFT_SHR, size, part, 2);
  and_const(e, size, part, repeated(size, 0x33), mask);
  and_const(e, size, d, repeated(size, 0x33), mask);
  enc_alu_rr(out, ALU_ADD, size, d, part);
  enc_rr(out, ENC_MOV, size, part, d);
  enc_shift_ri(out, SHIFT_SHR, size, part, 4);
  enc_alu_rr(out, ALU_ADD, size, d, part);
  and_const(e, size, d, repeated(size, 0x0F), mask);
  enc_mov_ri(out, mask, repeated(size, 1));
  enc_rr(out, ENC_IMUL, size, d, mask);
  enc_shift_ri(out, SHIFT_SHR, size, d, 8 * size - 8);
}

bool emit_number(Emit *e, const Ins *ins) {
  switch (ins->op) {
    case MOP_DIV: divide(e, ins); return true;
    case MOP_MIN_MAX: min_max(e, ins); return true;
    case MOP_TRUNC:
    case MOP_TRUNC_SAT: do_trunc(e, ins); return true;
    case MOP_CONVERT_U64: convert_u64(e, ins); return true;
    case MOP_COUNT_ZEROS: count_zeros(e, ins); return true;
    case MOP_COUNT_ONES: count_ones(e, ins); return true;
    default: return false;
  }
}

void emit_cold_number(Emit *e, const Cold *cold) {
  switch (cold->kind) {
    case COLD_REM: enc_alu_rr(&e->out, ALU_XOR, 4, RDX, RDX); break;
    case COLD_MIN_MAX: min_max_cold(e, cold); break;
    case COLD_TRUNC: trunc_cold(e, cold); break;
    case COLD_TRUNC_BIG: trunc_big_cold(e, cold); break;
    case COLD_TRUNC_SAT: trunc_sat_cold(e, cold); break;
    case COLD_TRUNC_SAT_BIG: trunc_sat_big_cold(e, cold); break;
    case COLD_CONVERT_U64: convert_u64_cold(e, cold); break;
    default: break;
  }
}
#endif
