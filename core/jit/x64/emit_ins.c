/* emit_ins.c - machine instructions that are one of the processor's, or a compare and one or two.
 */
#if defined(__x86_64__)
#include "emit_int.h"

static const Operand *def_of(const Emit *e, const Ins *ins) {
  return INS_OPERANDS(e->f, ins);
}

static const Operand *use_of(const Emit *e, const Ins *ins, unsigned i) {
  return INS_OPERANDS(e->f, ins) + ins->n_defs + i;
}

static unsigned def_reg(const Emit *e, const Ins *ins) {
  return emit_reg(def_of(e, ins));
}

static unsigned use_reg(const Emit *e, const Ins *ins, unsigned i) {
  return emit_reg(use_of(e, ins, i));
}

static void mov(Emit *e, unsigned size, unsigned to, unsigned from) {
  if (to != from) enc_rr(&e->out, ENC_MOV, size, to, from);
}

static void mov_float(Emit *e, unsigned to, unsigned from) {
  if (to != from) enc_sse_rr(&e->out, ENC_MOVAPS, to, 0, from);
}

/* Integers */

static void alu(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  unsigned d = def_reg(e, ins), a = use_reg(e, ins, 0);
  EmitSource b = emit_source(e, ins, 1);
  if (b.kind == SOURCE_REG) {
    if (b.reg == d && d != a) {
      b.reg = a;
    } else {
      mov(e, ins->size, d, a);
    }
    enc_alu_rr(out, ins->sub, ins->size, d, b.reg);
    return;
  }
  mov(e, ins->size, d, a);
  if (b.kind == SOURCE_IMM) {
    enc_alu_ri(out, ins->sub, ins->size, d, b.imm);
  } else {
    enc_alu_rm(out, ins->sub, ins->size, d, emit_source_mem(e, ins, &b));
  }
}

static void add(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  unsigned d = def_reg(e, ins), a = use_reg(e, ins, 0);
  EmitSource b = emit_source(e, ins, 1);
  if (b.kind == SOURCE_IMM) {
    if (d == a) {
      enc_alu_ri(out, ALU_ADD, ins->size, d, b.imm);
    } else {
      enc_rm(out, ENC_LEA, ins->size, d, mem_at(a, b.imm));
    }
  } else if (d == a) {
    enc_alu_rr(out, ALU_ADD, ins->size, d, b.reg);
  } else if (d == b.reg) {
    enc_alu_rr(out, ALU_ADD, ins->size, d, a);
  } else {
    Mem sum = mem_at(a, 0);
    sum.index = (uint8_t)b.reg;
    enc_rm(out, ENC_LEA, ins->size, d, sum);
  }
}

static void alu_store(Emit *e, const Ins *ins) {
  if (ins->has_imm) {
    enc_alu_mi(&e->out, ins->sub, ins->size, emit_address(e, ins, 0), (int32_t)(int64_t)ins->imm);
  } else {
    enc_alu_mr(&e->out, ins->sub, ins->size, emit_address(e, ins, 1), use_reg(e, ins, 0));
  }
}

static void imul(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  unsigned d = def_reg(e, ins), a = use_reg(e, ins, 0);
  EmitSource b = emit_source(e, ins, 1);
  if (b.kind == SOURCE_IMM) {
    enc_imul_rri(out, ins->size, d, a, b.imm);
  } else if (b.kind == SOURCE_MEM) {
    mov(e, ins->size, d, a);
    enc_rm(out, ENC_IMUL, ins->size, d, emit_source_mem(e, ins, &b));
  } else if (b.reg == d) {
    enc_rr(out, ENC_IMUL, ins->size, d, a);
  } else {
    mov(e, ins->size, d, a);
    enc_rr(out, ENC_IMUL, ins->size, d, b.reg);
  }
}

static void tied(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  unsigned d = def_reg(e, ins), a = use_reg(e, ins, 0);
  if (ins->op == MOP_SHIFT && ins->sub == SHIFT_SHL && ins->imm == 1 && d != a) {
    Mem twice = mem_at(a, 0);
    twice.index = (uint8_t)a;
    enc_rm(out, ENC_LEA, ins->size, d, twice);
    return;
  }
  mov(e, ins->size, d, a);
  if (ins->op == MOP_UNARY) {
    enc_group_r(out, 0xF7, ins->size, ins->sub, d);
  } else if (ins->op == MOP_SHIFT) {
    enc_shift_ri(out, ins->sub, ins->size, d, (unsigned)ins->imm);
  } else {
    enc_shift_cl(out, ins->sub, ins->size, d);
  }
}

static void shiftx(Emit *e, const Ins *ins) {
  EmitSource a = emit_source(e, ins, 1);
  unsigned count = use_reg(e, ins, 0), d = def_reg(e, ins);
  if (a.kind == SOURCE_MEM) {
    enc_vrm(&e->out, (Enc)ins->row, ins->size, d, count, emit_source_mem(e, ins, &a));
  } else {
    enc_vrr(&e->out, (Enc)ins->row, ins->size, d, count, a.reg);
  }
}

static void rorx(Emit *e, const Ins *ins) {
  unsigned d = def_reg(e, ins), a = use_reg(e, ins, 0);
  if (d == a) {
    enc_shift_ri(&e->out, SHIFT_ROR, ins->size, d, (unsigned)ins->imm);
    return;
  }
  enc_vrr(&e->out, ENC_RORX, ins->size, d, 0, a);
  asm_byte(&e->out, (unsigned)ins->imm);
}

static void mul_wide(Emit *e, const Ins *ins) {
  enc_group_r(&e->out, 0xF7, ins->size, ins->sub, use_reg(e, ins, 1));
}

/* Moves from and to memory, conversions */

static void end_imm8(Emit *e, const Ins *ins) {
  if (ins->row & ENC_IMM8) asm_byte(&e->out, (unsigned)ins->imm);
}

static void get(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  Enc row = (Enc)ins->row;
  unsigned d = def_reg(e, ins);
  EmitSource source = emit_source(e, ins, 0);
  bool is_vector = (row & (ENC_VECTOR | ENC_VEX)) != 0;
  if (source.kind == SOURCE_MEM) {
    Mem mem = emit_source_mem(e, ins, &source);
    mem.tail = row & ENC_IMM8 ? 1 : 0;
    if (is_vector) {
      enc_sse_rm(out, row, d, 0, mem);
    } else {
      enc_rm(out, row, ins->size, d, mem);
    }
  } else if (!is_vector) {
    enc_rr(out, row, ins->size, d, source.reg);
  } else if (row == ENC_MOVAPS) {
    mov_float(e, d, source.reg);
  } else if (row & ENC_STORES) {
    enc_sse_rr(out, row, source.reg, 0, d);
  } else {
    enc_sse_rr(out, row, d, 0, source.reg);
  }
  end_imm8(e, ins);
}

static void put(Emit *e, const Ins *ins) {
  Enc row = (Enc)ins->row;
  unsigned from = use_reg(e, ins, 0);
  Mem mem = emit_address(e, ins, 1);
  mem.tail = row & ENC_IMM8 ? 1 : 0;
  if (row & ENC_VECTOR) {
    enc_sse_rm(&e->out, row, from, 0, mem);
  } else {
    enc_rm(&e->out, row, ins->size, from, mem);
  }
  end_imm8(e, ins);
}

static void sse(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  Enc row = (Enc)ins->row;
  unsigned d = def_reg(e, ins), a = use_reg(e, ins, 0);
  EmitSource b = emit_source(e, ins, 1);
  if (!out->has_avx && d != a) {
    bool is_other =
        b.kind == SOURCE_REG && class_of_reg(use_of(e, ins, 1)->reg) == CLASS_FLOAT && b.reg == d;
    if (is_other) { /* it commutes */
      b.reg = a;
    } else {
      mov_float(e, d, a);
    }
    a = d;
  }
  if (b.kind == SOURCE_MEM) {
    Mem mem = emit_source_mem(e, ins, &b);
    mem.tail = row & ENC_IMM8 ? 1 : 0;
    enc_sse_rm(out, row, d, a, mem);
  } else {
    enc_sse_rr(out, row, d, a, b.reg);
  }
  end_imm8(e, ins);
}

/* The other half of the register comes from a register that is ready: the operand itself, or a
 * cleared one. */
static void sse_self(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  Enc row = (Enc)ins->row;
  unsigned d = def_reg(e, ins);
  EmitSource a = emit_source(e, ins, 0);
  bool from_float = a.kind == SOURCE_REG && class_of_reg(use_of(e, ins, 0)->reg) == CLASS_FLOAT;
  if (from_float) {
    if (!out->has_avx && d != a.reg) {
      mov_float(e, d, a.reg);
      a.reg = d;
    }
    enc_sse_rr(out, row, d, a.reg, a.reg);
  } else {
    enc_sse_rr(out, ENC_XORPS, d, d, d);
    if (a.kind == SOURCE_MEM) {
      Mem mem = emit_source_mem(e, ins, &a);
      mem.tail = row & ENC_IMM8 ? 1 : 0;
      enc_sse_rm(out, row, d, d, mem);
    } else {
      enc_sse_rr(out, row, d, d, a.reg);
    }
  }
  end_imm8(e, ins);
}

static void vshift(Emit *e, const Ins *ins) {
  unsigned d = def_reg(e, ins), a = use_reg(e, ins, 0);
  if (!e->out.has_avx) mov_float(e, d, a);
  enc_vector_shift(&e->out, ins->row, ins->sub, d, e->out.has_avx ? a : d, (unsigned)ins->imm);
}

/* Comparisons */

static void compare_float(Emit *e, const Ins *ins, unsigned a, const EmitSource *b) {
  Enc row = (Enc)ins->row;
  if (b->kind == SOURCE_MEM) {
    enc_sse_rm(&e->out, row, a, 0, emit_source_mem(e, ins, b));
  } else {
    enc_sse_rr(&e->out, row, a, 0, b->reg);
  }
}

static void compare_int(Emit *e, const Ins *ins, unsigned a, const EmitSource *b) {
  Asm *out = &e->out;
  bool is_test = ins->compare == COMPARE_TEST;
  if (b->kind == SOURCE_IMM) {
    bool only_zero = ins->cc == CC_E || ins->cc == CC_NE;
    if (!is_test && b->imm == 0) {
      enc_rr(out, ENC_TEST, ins->size, a, a);
    } else if (!is_test) {
      enc_alu_ri(out, ALU_CMP, ins->size, a, b->imm);
    } else {
      bool is_byte = only_zero && b->imm >= 0 && b->imm <= 0x7F;
      enc_test_ri(out, is_byte ? 1 : ins->size, a, b->imm);
    }
  } else if (b->kind == SOURCE_MEM) {
    Mem mem = emit_source_mem(e, ins, b);
    if (is_test) {
      enc_rm(out, ENC_TEST, ins->size, a, mem);
    } else {
      enc_alu_rm(out, ALU_CMP, ins->size, a, mem);
    }
  } else if (is_test) {
    enc_rr(out, ENC_TEST, ins->size, b->reg, a);
  } else {
    enc_alu_rr(out, ALU_CMP, ins->size, a, b->reg);
  }
}

/* Sets the flags. The operands are the uses from `first` on; a place in memory and an immediate
 * have none. */
void emit_compare(Emit *e, const Ins *ins, unsigned first) {
  if (ins->base != BASE_NO_ADDRESS && ins->has_imm) {
    Mem mem = emit_address(e, ins, first);
    mem.tail = 0;
    enc_alu_mi(&e->out, ALU_CMP, ins->size, mem, (int32_t)(int64_t)ins->imm);
    return;
  }
  unsigned a = use_reg(e, ins, first);
  EmitSource b = emit_source(e, ins, first + 1);
  switch (ins->compare) {
    case COMPARE_FLOAT: compare_float(e, ins, a, &b); break;
    case COMPARE_BIT: enc_bt_ri(&e->out, ins->size, a, (unsigned)b.imm); break;
    case COMPARE_PTEST: enc_sse_rr(&e->out, ENC_PTEST, a, 0, b.reg); break;
    default: compare_int(e, ins, a, &b); break;
  }
}

enum { PREDICATE_EQ = 0, PREDICATE_NE = 4 };

/* Floats that are equal, or not: two flags tell, so all bits of a lane are asked instead. */
static void set_float_equal(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  unsigned a = use_reg(e, ins, 0), d = def_reg(e, ins), scratch = REG_SCRATCH & 15;
  EmitSource b = emit_source(e, ins, 1);
  Enc row = ins->size == 4 ? ENC_CMPSS : ENC_CMPSD;
  if (!out->has_avx) {
    mov_float(e, scratch, a);
    a = scratch;
  }
  if (b.kind == SOURCE_MEM) {
    Mem mem = emit_source_mem(e, ins, &b);
    mem.tail = 1;
    enc_sse_rm(out, row, scratch, a, mem);
  } else {
    enc_sse_rr(out, row, scratch, a, b.reg);
  }
  asm_byte(out, ins->cc == CC_FLOAT_EQ ? PREDICATE_EQ : PREDICATE_NE);
  enc_sse_rr(out, ENC_MOVD_STORE, scratch, 0, d);
  enc_alu_ri(out, ALU_AND, 4, d, 1);
}

static bool uses_register(const Emit *e, const Ins *ins, uint8_t reg) {
  for (unsigned i = 0; i < ins->n_uses; i++) {
    const Operand *use = use_of(e, ins, i);
    if (!(use->flags & OPERAND_SLOT) && use->reg == reg) return true;
  }
  return false;
}

static void set(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  if (ins->cc >= CC_FLOAT_EQ) {
    set_float_equal(e, ins);
    return;
  }
  unsigned d = def_reg(e, ins);
  bool is_free = !uses_register(e, ins, def_of(e, ins)->reg);
  if (is_free) enc_alu_rr(out, ALU_XOR, 4, d, d);
  emit_compare(e, ins, 0);
  enc_set(out, ins->cc, d);
  if (!is_free) enc_rr(out, ENC_MOVZX8, 4, d, d);
}

/* Jumps when the condition holds, or does not. */
static void jump_on(Emit *e, unsigned cc, uint32_t to) {
  if (cc == CC_FLOAT_NE) {
    emit_jump_if(e, CC_P, to);
    emit_jump_if(e, CC_NE, to);
  } else if (cc == CC_FLOAT_EQ) {
    uint32_t past = emit_label(e);
    emit_jump_if(e, CC_P, past);
    emit_jump_if(e, CC_E, to);
    emit_bind(e, past);
  } else {
    emit_jump_if(e, cc, to);
  }
}

static void choose(Emit *e, const Ins *ins) {
  bool is_float = class_of_reg(def_of(e, ins)->reg) == CLASS_FLOAT;
  unsigned d = def_reg(e, ins), if_false = use_reg(e, ins, 0), if_true = use_reg(e, ins, 1);
  if (is_float) {
    mov_float(e, d, if_false);
  } else {
    mov(e, ins->sub, d, if_false);
  }
  emit_compare(e, ins, 2);
  if (!is_float && ins->cc < CC_FLOAT_EQ) {
    enc_cmov_rr(&e->out, ins->cc, ins->sub, d, if_true);
    return;
  }
  uint32_t past = emit_label(e);
  jump_on(e, ins->cc ^ 1, past);
  if (is_float) {
    mov_float(e, d, if_true);
  } else {
    mov(e, ins->sub, d, if_true);
  }
  emit_bind(e, past);
}

static void branch(Emit *e, const Ins *ins) {
  const MBlock *block = MACH_BLOCK(e->f, e->block);
  uint32_t yes = emit_target(e, block->succs[0]), no = emit_target(e, block->succs[1]);
  if (yes == no) {
    if (ins->flags & INS_FAULTS) emit_compare(e, ins, 0); /* it loads */
    emit_goto(e, yes);
    return;
  }
  emit_compare(e, ins, 0);
  if (yes == e->next_block) {
    jump_on(e, ins->cc ^ 1, no);
  } else {
    jump_on(e, ins->cc, yes);
    emit_goto(e, no);
  }
}

static void trap_if(Emit *e, const Ins *ins) {
  emit_compare(e, ins, 0);
  emit_jump_if(e, ins->cc, emit_trap_label(e, (Trap)ins->trap, ins));
}

/* Switches: a tree of comparisons for few different targets, else a table. Processors predict one
 * jump with many targets better than a few branches, but where there are very few. */

enum { TREE_TARGETS = 4 };

typedef struct Range {
  uint32_t from, target;
} Range;

static void tree(Emit *e, unsigned index, const Range *ranges, uint32_t n, bool is_last) {
  if (n == 1) {
    if (is_last) {
      emit_goto(e, ranges[0].target);
    } else {
      emit_jump(e, ranges[0].target);
    }
    return;
  }
  uint32_t half = n / 2;
  enc_alu_ri(&e->out, ALU_CMP, 4, index, (int32_t)ranges[half].from);
  if (half == 1) {
    emit_jump_if(e, CC_B, ranges[0].target);
  } else {
    uint32_t lower = emit_label(e);
    emit_jump_if(e, CC_B, lower);
    tree(e, index, ranges + half, n - half, false);
    emit_bind(e, lower);
    tree(e, index, ranges, half, is_last);
    return;
  }
  tree(e, index, ranges + half, n - half, is_last);
}

static void jump_table(Emit *e, const Ins *ins, uint32_t n) {
  Asm *out = &e->out;
  const Operand *temps = use_of(e, ins, ins->n_uses);
  unsigned index = use_reg(e, ins, 0), start = emit_reg(&temps[0]), at = emit_reg(&temps[1]);
  JumpTable table = {emit_label(e), MACH_BLOCK(e->f, e->block)};
  VEC_PUSH(e->arena, &e->tables, table);
  enc_alu_ri(out, ALU_CMP, 4, index, (int32_t)(n - 1));
  emit_jump_if(e, CC_AE, emit_target(e, table.block->succs[n - 1]));
  enc_rm(out, ENC_LEA, 8, start, mem_label(table.label));
  enc_rm(out, ENC_MOVSXD, 8, at,
         (Mem){.base = (uint8_t)start, .index = (uint8_t)index, .scale = 2});
  enc_alu_rr(out, ALU_ADD, 8, at, start);
  enc_jmp_r(out, at);
}

static void switch_(Emit *e, const Ins *ins) {
  const MBlock *block = MACH_BLOCK(e->f, e->block);
  Range ranges[TREE_TARGETS + 1];
  uint32_t n = 0;
  for (uint32_t i = 0; i < block->n_succs && n <= TREE_TARGETS; i++) {
    uint32_t target = emit_target(e, block->succs[i]);
    if (n == 0 || ranges[n - 1].target != target) ranges[n++] = (Range){i, target};
  }
  if (n <= TREE_TARGETS) {
    tree(e, use_reg(e, ins, 0), ranges, n, true);
  } else {
    jump_table(e, ins, block->n_succs);
  }
}

/* Atomics */

/* What a byte or two bring leaves the rest of the register as it was. */
static void clear_above(Emit *e, unsigned size, unsigned reg) {
  if (size == 1) enc_rr(&e->out, ENC_MOVZX8, 4, reg, reg);
  if (size == 2) enc_rr(&e->out, ENC_MOVZX16, 4, reg, reg);
  if (size == 4) enc_rr(&e->out, ENC_MOV, 4, reg, reg);
}

static void exchange(Emit *e, const Ins *ins) {
  unsigned d = def_reg(e, ins);
  mov(e, 8, d, use_reg(e, ins, 0));
  enc_rm(&e->out, ins->size == 1 ? ENC_XCHG8 : ENC_XCHG, ins->size, d, emit_address(e, ins, 1));
  if (ins->size < 4) clear_above(e, ins->size, d);
}

static void exchange_add(Emit *e, const Ins *ins) {
  unsigned d = def_reg(e, ins);
  mov(e, 8, d, use_reg(e, ins, 0));
  if (ins->sub) enc_group_r(&e->out, 0xF7, 8, F7_NEG, d);
  Mem mem = emit_address(e, ins, 1);
  enc_lock(&e->out);
  enc_rm(&e->out, ins->size == 1 ? ENC_XADD8 : ENC_XADD, ins->size, d, mem);
  if (ins->size < 4) clear_above(e, ins->size, d);
}

static void compare_exchange(Emit *e, const Ins *ins) {
  Mem mem = emit_address(e, ins, 2);
  enc_lock(&e->out);
  enc_rm(&e->out, ins->size == 1 ? ENC_CMPXCHG8 : ENC_CMPXCHG, ins->size, use_reg(e, ins, 1), mem);
  clear_above(e, ins->size, RAX);
}

static void read_modify_write(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  unsigned temp = emit_reg(use_of(e, ins, ins->n_uses));
  Mem mem = emit_address(e, ins, 1);
  Enc row = ins->size == 1 ? ENC_MOVZX8 : ins->size == 2 ? ENC_MOVZX16 : ENC_MOV;
  enc_rm(out, row, ins->size == 8 ? 8 : 4, RAX, mem);
  uint32_t again = emit_label(e);
  emit_bind(e, again);
  enc_rr(out, ENC_MOV, 8, temp, RAX);
  enc_alu_rr(out, ins->sub, 8, temp, use_reg(e, ins, 0));
  enc_lock(out);
  enc_rm(out, ins->size == 1 ? ENC_CMPXCHG8 : ENC_CMPXCHG, ins->size, temp, mem);
  emit_jump_if(e, CC_NE, again);
}

/* All */

static bool plain(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  switch (ins->op) {
    case MOP_PARAMS:
    case MOP_GOTO: return true;
    case MOP_MOV:
      if (class_of_reg(def_of(e, ins)->reg) == CLASS_FLOAT) {
        mov_float(e, def_reg(e, ins), use_reg(e, ins, 0));
      } else {
        enc_rr(out, ENC_MOV, ins->size, def_reg(e, ins), use_reg(e, ins, 0));
      }
      return true;
    case MOP_CONST: emit_int_const(e, def_reg(e, ins), ins->imm); return true;
    case MOP_FLOAT_CONST: emit_float_const(e, def_reg(e, ins), ins->imm, 0, ins->size); return true;
    case MOP_VECTOR_CONST: {
      const uint8_t *bytes = e->f->ir->vectors.items[ins->imm];
      emit_float_const(e, def_reg(e, ins), load_u64(bytes), load_u64(bytes + 8), 16);
      return true;
    }
    case MOP_ALU: alu(e, ins); return true;
    case MOP_ADD: add(e, ins); return true;
    case MOP_ALU_STORE: alu_store(e, ins); return true;
    case MOP_IMUL: imul(e, ins); return true;
    case MOP_UNARY:
    case MOP_SHIFT:
    case MOP_SHIFT_CL: tied(e, ins); return true;
    case MOP_SHIFTX: shiftx(e, ins); return true;
    case MOP_RORX: rorx(e, ins); return true;
    case MOP_MUL_WIDE: mul_wide(e, ins); return true;
    case MOP_LEA:
      enc_rm(out, ENC_LEA, ins->size, def_reg(e, ins), emit_address(e, ins, 0));
      return true;
    case MOP_GET: get(e, ins); return true;
    case MOP_PUT: put(e, ins); return true;
    case MOP_PUT_IMM:
      enc_mov_mi(out, ins->size, emit_address(e, ins, 0), (int32_t)(int64_t)ins->imm);
      return true;
    case MOP_SSE: sse(e, ins); return true;
    case MOP_SSE_SELF: sse_self(e, ins); return true;
    case MOP_VSHIFT: vshift(e, ins); return true;
    case MOP_SET: set(e, ins); return true;
    case MOP_SELECT: choose(e, ins); return true;
    case MOP_BRANCH: branch(e, ins); return true;
    case MOP_TRAP_IF: trap_if(e, ins); return true;
    case MOP_SWITCH: switch_(e, ins); return true;
    case MOP_TRAP: emit_trap(e, (Trap)ins->trap, ins->at); return true;
    case MOP_XCHG: exchange(e, ins); return true;
    case MOP_XADD: exchange_add(e, ins); return true;
    case MOP_CMPXCHG: compare_exchange(e, ins); return true;
    case MOP_RMW: read_modify_write(e, ins); return true;
    case MOP_FENCE: enc_mfence(out); return true;
    default: return false;
  }
}

void emit_ins(Emit *e, const Ins *ins) {
  if (plain(e, ins) || emit_number(e, ins)) return;
  emit_call(e, ins);
}
#endif
