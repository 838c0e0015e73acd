/* translate_ops.c - translation of everything but control: operands are looked up, the variant that
 * reads them where they are is emitted, the result is pushed.
 */
#include "../module/fuel.h"
#include "emit.h"

static ValClass class_of_letter(char letter) {
  switch (letter) {
    case 'f': return CLASS_F;
    case 'd': return CLASS_D;
    case 'v': return CLASS_V;
    default: return CLASS_I;
  }
}
static ValClass result_class(Op op) {
  return class_of_letter(strchr(op_info[op].sig, '>')[1]);
}
static bool has_result(Op op) {
  return strchr(op_info[op].sig, '>')[1] != 0;
}
/* Does the i-th operand's immediate take 64 bits? */
static bool operand_is_wide(Op op, unsigned i) {
  char letter = op_info[op].sig[i];
  return letter == 'l' || letter == 'd';
}

/* Is the popped value what the last instruction made, and can that be taken back? */
static bool is_fusable(const Translator *t, const Val *val) {
  return t->last.is_fusable && t->last.end == t->n_bytes && val->where == IN_SLOT &&
         t->last.home == val->home && val->class == CLASS_I && t->acc[CLASS_I].is_dirty &&
         t->acc[CLASS_I].slot == val->slot;
}

static void remember(Translator *t, Op op, Opnd a, Opnd b) {
  t->last.is_fusable = true;
  t->last.op = op;
  t->last.a = a;
  t->last.b = b;
}

/* Pure instructions */

static void put_imm(Translator *t, uint32_t at, bool is_wide, uint64_t bits) {
  if (is_wide) {
    put64(t, at + 16, bits);
  } else {
    put32(t, at + 12, (uint32_t)bits);
  }
}

static void emit_unary(Translator *t, unsigned base, ValClass result, bool traps) {
  Val val = pop(t);
  Opnd a = operand(t, &val, false, true);
  unsigned iop = base + (a.kind == OPND_ACC ? UN_A : UN_S) * 2u;
  if (traps) emit_position(t);
  uint32_t at = emit(t, iop, 16);
  if (a.kind == OPND_SLOT) put16(t, at + 10, a.slot);
  produce(t, result, at, iop);
}

/* Notes that the i32.add just emitted adds something scaled, which `shift`, the newest instruction
 * before it, made for it alone. */
static void remember_scaled(Translator *t, const Last *shift, Opnd a, Opnd b) {
  bool is_shift = shift->is_fusable && shift->end == t->last.start && shift->op == OP_I32_SHL &&
                  shift->a.kind == OPND_SLOT && shift->b.kind == OPND_IMM && shift->b.bits - 1 < 3;
  if (!is_shift || a.kind != OPND_ACC || b.kind != OPND_SLOT || a.slot != shift->home) return;
  t->last.scale = (uint8_t)shift->b.bits;
  t->last.base = b.slot;
  t->last.index = shift->a.slot;
  t->last.scale_start = shift->start;
  t->last.scale_acc = shift->acc;
}

static void emit_binary_opnds(Translator *t, Op op, Opnd a, Opnd b) {
  static const uint8_t variants[3][3] = {
      [OPND_SLOT] = {[OPND_SLOT] = BIN_SS, [OPND_ACC] = BIN_SA, [OPND_IMM] = BIN_SI},
      [OPND_ACC] = {[OPND_SLOT] = BIN_AS, [OPND_IMM] = BIN_AI},
      [OPND_IMM] = {[OPND_SLOT] = BIN_IS, [OPND_ACC] = BIN_IA},
  };
  const OpForm *form = op_form(op);
  unsigned iop = form->base + variants[a.kind][b.kind] * 2u;
  bool has_imm = a.kind == OPND_IMM || b.kind == OPND_IMM;
  bool is_wide = operand_is_wide(op, 0);
  if (form->traps) emit_position(t);
  Last before = t->last;
  uint32_t at = emit(t, iop, has_imm && is_wide ? 24 : 16);
  if (a.kind == OPND_SLOT) put16(t, at + 10, a.slot);
  if (b.kind == OPND_SLOT) put16(t, at + (a.kind == OPND_SLOT ? 12 : 10), b.slot);
  if (has_imm) put_imm(t, at, is_wide, a.kind == OPND_IMM ? a.bits : b.bits);
  produce(t, result_class(op), at, iop);
  remember(t, op, a, b);
  if (op == OP_I32_ADD) remember_scaled(t, &before, a, b);
}

/* xor, then rotl by a constant */
static bool xor_rotl(Translator *t, Op op, const Val *val, const Val *count) {
  bool is_64 = op == OP_I64_ROTL;
  if ((!is_64 && op != OP_I32_ROTL) || count->where != IN_CONST || !is_fusable(t, val) ||
      t->last.op != (is_64 ? OP_I64_XOR : OP_I32_XOR) || t->last.b.kind != OPND_SLOT)
    return false;
  Opnd a = t->last.a, b = t->last.b;
  emit_take_back(t);
  unsigned iop = a.kind == OPND_ACC ? (is_64 ? I_I64_XOR_ROTL_AS : I_I32_XOR_ROTL_AS)
                                    : (is_64 ? I_I64_XOR_ROTL_SS : I_I32_XOR_ROTL_SS);
  uint32_t at = emit(t, iop, 16);
  put16(t, at + 10, a.kind == OPND_ACC ? b.slot : a.slot);
  put16(t, at + 12, a.kind == OPND_ACC ? 0 : b.slot);
  put16(t, at + 14, (uint32_t)count->bits & 63);
  produce(t, CLASS_I, at, iop);
  return true;
}

/* Puts the operands of instructions that allow it into the order with the most variants. */
static bool should_swap(Opnd a, Opnd b) {
  return a.kind == OPND_IMM || (a.kind == OPND_SLOT && b.kind == OPND_ACC);
}

static void binary(Translator *t, Op op) {
  Val vb = pop(t), va = pop(t);
  if (xor_rotl(t, op, &va, &vb)) return;
  Opnd b = operand(t, &vb, va.where != IN_CONST || vb.where != IN_CONST, true);
  bool acc_free = b.kind != OPND_ACC || va.class != vb.class;
  Opnd a = operand(t, &va, b.kind != OPND_IMM, acc_free);
  if (a.kind == OPND_ACC && b.kind == OPND_ACC) emit_fail(t, "operands of two classes");
  if (should_swap(a, b)) {
    if (op_is_commutative(op)) {
      Opnd swap = a;
      a = b, b = swap;
    } else if (compare_form(op)->branch != 0) {
      Opnd swap = a;
      a = b, b = swap;
      op = compare_form(op)->swapped;
    }
  }
  emit_binary_opnds(t, op, a, b);
}

/* x == 0: of a comparison its negation, else a comparison with 0 that branches can use. */
static void equals_zero(Translator *t, Op op) {
  Val val = pop(t);
  bool after_compare = op == OP_I32_EQZ && is_fusable(t, &val) &&
                       compare_form(t->last.op)->branch != 0 && !t->last.is_negated;
  if (after_compare && compare_form(t->last.op)->negated != OP_INVALID) {
    Last last = t->last;
    emit_take_back(t);
    emit_binary_opnds(t, compare_form(last.op)->negated, last.a, last.b);
    return;
  }
  Last inner = t->last;
  Opnd a = operand(t, &val, false, true);
  unsigned iop = op_form(op)->base + (a.kind == OPND_ACC ? UN_A : UN_S) * 2u;
  uint32_t at = emit(t, iop, 16);
  if (a.kind == OPND_SLOT) put16(t, at + 10, a.slot);
  produce(t, CLASS_I, at, iop);
  remember(t, op == OP_I32_EQZ ? OP_I32_EQ : OP_I64_EQ, a, (Opnd){OPND_IMM, NO_SLOT, 0});
  if (after_compare) {
    remember(t, inner.op, inner.a, inner.b);
    t->last.is_negated = true;
    t->last.start = inner.start;
    t->last.acc = inner.acc;
  }
}

static void pure(Translator *t, Op op) {
  if (op == OP_I32_EQZ || op == OP_I64_EQZ) {
    equals_zero(t, op);
  } else if (op_form(op)->n_operands == 1) {
    emit_unary(t, op_form(op)->base, result_class(op), op_form(op)->traps);
  } else {
    binary(t, op);
  }
}

/* In deterministic modules NaNs are made canonical by an instruction of its own. */
static void make_canonical(Translator *t, Op op) {
  if (!t->is_deterministic || !(op_info[op].flags & OPF_NAN)) return;
  switch (result_class(op)) {
    case CLASS_F: emit_unary(t, I_F32_CANONICAL_S, CLASS_F, false); break;
    case CLASS_D: emit_unary(t, I_F64_CANONICAL_S, CLASS_D, false); break;
    default: {
      bool is_f32 = memcmp(op_info[op].text, "f32x4", 5) == 0;
      uint32_t slot = pop_slot(t);
      uint32_t at = emit(t, is_f32 ? I_F32X4_CANONICAL : I_F64X2_CANONICAL, 16);
      put16(t, at + 10, slot);
      produce_slot(t, CLASS_V, at);
    }
  }
}

/* Operands in slots at bytes 10, 12 and 14; a lane follows them. */
static void simd(Translator *t, const Instr *instr) {
  const char *sig = op_info[instr->op].sig;
  unsigned n = (unsigned)(strchr(sig, '>') - sig);
  uint32_t slots[3] = {0};
  for (unsigned i = n; i-- > 0;) slots[i] = pop_slot(t);
  bool is_shuffle = op_info[instr->op].imm == IMM_SHUFFLE;
  uint32_t at = emit(t, op_form(instr->op)->base, is_shuffle ? 32 : 16);
  for (unsigned i = 0; i < n; i++) put16(t, at + 10 + 2 * i, slots[i]);
  if (op_info[instr->op].imm == IMM_LANE) put16(t, at + 10 + 2 * n, instr->lane);
  if (is_shuffle) put_bytes(t, at + 16, instr->v128, 16);
  produce_slot(t, result_class(instr->op), at);
}

/* Memory */

static const MemoryType *memory_type(const Translator *t, uint32_t memory) {
  return &t->module->memories[memory];
}
static uint32_t memory_operand(const Translator *t, uint32_t memory) {
  return memory | (memory_type(t, memory)->limits.is_64 ? 1u << 31 : 0);
}
static bool is_fast_memory(const Translator *t, const MemArg *arg) {
  return arg->memory == 0 && !memory_type(t, 0)->limits.is_64;
}

static void put_memarg(Translator *t, uint32_t at, const MemArg *arg) {
  put32(t, at + 12, memory_operand(t, arg->memory));
  put64(t, at + 16, arg->offset);
}

static void finish_load(Translator *t, Op op, uint32_t at, unsigned iop) {
  ValClass class = result_class(op);
  if (class == CLASS_V) {
    produce_slot(t, class, at);
  } else {
    produce(t, class, at, iop);
  }
}

static void out_of_bounds(Translator *t) {
  emit_position(t);
  emit(t, I_OUT_OF_BOUNDS, 16);
}

/* An i32.add whose sum is the address of this load becomes part of it. */
static bool load_sum(Translator *t, Op op, const Val *address, uint64_t offset) {
  if (!is_fusable(t, address) || t->last.op != OP_I32_ADD) return false;
  Last add = t->last;
  Opnd a = add.a, b = add.b;
  unsigned variant;
  if (add.scale != 0 && offset <= UINT16_MAX) {
    variant = LOAD_SS1 + add.scale - 1u;
    a = (Opnd){OPND_SLOT, add.base, 0};
    b = (Opnd){OPND_SLOT, add.index, 0};
    t->last.start = add.scale_start;
    t->last.acc = add.scale_acc;
  } else if (a.kind == OPND_SLOT && b.kind == OPND_SLOT && offset <= UINT16_MAX) {
    variant = LOAD_SS;
  } else if (a.kind == OPND_ACC && b.kind == OPND_SLOT) {
    variant = LOAD_AS;
  } else if (a.kind == OPND_SLOT && b.kind == OPND_IMM && offset == 0) {
    variant = LOAD_SI;
  } else {
    return false;
  }
  emit_take_back(t);
  unsigned iop = op_form(op)->base + variant * 2;
  emit_position(t);
  uint32_t at = emit(t, iop, 16);
  put16(t, at + 10, a.kind == OPND_SLOT ? a.slot : b.slot);
  if (variant == LOAD_AS) {
    put32(t, at + 12, (uint32_t)offset);
  } else if (variant == LOAD_SI) {
    put32(t, at + 12, (uint32_t)b.bits);
  } else {
    put16(t, at + 12, b.slot);
    put16(t, at + 14, (uint32_t)offset);
  }
  finish_load(t, op, at, iop);
  return true;
}

static void load(Translator *t, const Instr *instr) {
  const MemArg *arg = &instr->memarg;
  unsigned base = op_form(instr->op)->base;
  Val val = pop(t);
  if (!is_fast_memory(t, arg)) {
    uint32_t slot = operand_slot(t, &val);
    settle_accs(t); /* the handler leaves the value in its accumulator, too */
    forget_accs(t);
    emit_position(t);
    uint32_t at = emit(t, base + LOAD_X * 2, 24);
    put16(t, at + 10, slot);
    put_memarg(t, at, arg);
    produce_slot(t, result_class(instr->op), at);
    return;
  }
  if (load_sum(t, instr->op, &val, arg->offset)) return;
  uint64_t known = (uint32_t)val.bits + arg->offset;
  if (val.where == IN_CONST && known > UINT32_MAX) {
    out_of_bounds(t);
    push_slot(t, result_class(instr->op));
    return;
  }
  Opnd a = operand(t, &val, true, true);
  unsigned variant = a.kind == OPND_IMM ? LOAD_I : a.kind == OPND_ACC ? LOAD_A : LOAD_S;
  unsigned iop = base + variant * 2;
  emit_position(t);
  uint32_t at = emit(t, iop, 16);
  if (a.kind == OPND_SLOT) put16(t, at + 10, a.slot);
  put32(t, at + 12, (uint32_t)(a.kind == OPND_IMM ? known : arg->offset));
  finish_load(t, instr->op, at, iop);
}

static void store(Translator *t, const Instr *instr) {
  static const uint8_t variants[3][3] = {
      [OPND_SLOT] = {[OPND_SLOT] = STORE_SS, [OPND_ACC] = STORE_SA, [OPND_IMM] = STORE_SI},
      [OPND_ACC] = {[OPND_SLOT] = STORE_AS, [OPND_ACC] = STORE_AA, [OPND_IMM] = STORE_AI},
      [OPND_IMM] = {[OPND_SLOT] = STORE_IS, [OPND_ACC] = STORE_IA, [OPND_IMM] = STORE_II},
  };
  const MemArg *arg = &instr->memarg;
  unsigned base = op_form(instr->op)->base;
  Val value = pop(t), address = pop(t);
  if (!is_fast_memory(t, arg)) {
    uint32_t from = operand_slot(t, &value), to = operand_slot(t, &address);
    emit_position(t);
    uint32_t at = emit(t, base + STORE_X, 24);
    put16(t, at + 8, to);
    put16(t, at + 10, from);
    put_memarg(t, at, arg);
    return;
  }
  uint64_t known = (uint32_t)address.bits + arg->offset;
  if (address.where == IN_CONST && known > UINT32_MAX) {
    drop_acc(t, &value);
    out_of_bounds(t);
    return;
  }
  Opnd v = operand(t, &value, true, true);
  bool acc_free = v.kind != OPND_ACC || value.class != CLASS_I;
  Opnd a = operand(t, &address, true, acc_free);
  emit_position(t);
  uint32_t at = emit(t, base + variants[a.kind][v.kind], v.kind == OPND_IMM ? 24 : 16);
  if (a.kind == OPND_SLOT) put16(t, at + 8, a.slot);
  if (v.kind == OPND_SLOT) put16(t, at + 10, v.slot);
  put32(t, at + 12, (uint32_t)(a.kind == OPND_IMM ? known : arg->offset));
  if (v.kind == OPND_IMM) put64(t, at + 16, v.bits);
}

/* Address at 10, memory and offset, a vector or value at 24, a lane or second value at 26. */
static void simd_memory(Translator *t, const Instr *instr) {
  bool has_lane = op_info[instr->op].imm == IMM_MEMARG_LANE;
  uint32_t vector = has_lane ? pop_slot(t) : 0;
  uint32_t address = pop_slot(t);
  emit_position(t);
  uint32_t at = emit(t, op_form(instr->op)->base, 32);
  put16(t, at + 10, address);
  put_memarg(t, at, &instr->memarg);
  put16(t, at + 24, vector);
  put16(t, at + 26, has_lane ? instr->lane : 0);
  if (has_result(instr->op)) produce_slot(t, CLASS_V, at);
}

static void atomic(Translator *t, const Instr *instr) {
  const char *sig = op_info[instr->op].sig;
  unsigned n = (unsigned)(strchr(sig, '>') - sig);
  uint32_t slots[3] = {0};
  for (unsigned i = n; i-- > 0;) slots[i] = pop_slot(t);
  emit_position(t);
  uint32_t at = emit(t, op_form(instr->op)->base, 32);
  put16(t, at + 10, slots[0]);
  put_memarg(t, at, &instr->memarg);
  put16(t, at + 24, slots[1]);
  put16(t, at + 26, slots[2]);
  if (has_result(instr->op)) produce_slot(t, CLASS_I, at);
}

/* Instructions whose operands and result are in slots: the result at 8, operands from 10 on. */
static uint32_t emit_slots(Translator *t, unsigned iop, unsigned n, bool traps) {
  uint32_t slots[4];
  for (unsigned i = n; i-- > 0;) slots[i] = pop_slot(t);
  if (traps) emit_position(t);
  uint32_t at = emit(t, iop, n > 3 ? 24 : 16);
  for (unsigned i = 0; i < n; i++) put16(t, at + 10 + 2 * i, slots[i]);
  return at;
}
static void slots_op(Translator *t, unsigned iop, unsigned n, ValClass result, bool traps) {
  produce_slot(t, result, emit_slots(t, iop, n, traps));
}

/* Two results in neighbouring slots: neither can be redirected. */
static void wide(Translator *t, unsigned iop, unsigned n) {
  uint32_t at = emit_slots(t, iop, n, false);
  settle_accs(t);
  forget_accs(t);
  produce_slot(t, CLASS_I, at);
  push_slot(t, CLASS_I);
  emit_barrier(t);
}

void translate_bulk_fuel(Translator *t, uint32_t n_slot, bool is_64, uint32_t log2) {
  if (t->variant != VARIANT_FUEL) return;
  emit_position(t);
  uint32_t at = emit(t, I_FUEL_BULK, 16);
  put16(t, at + 8, n_slot);
  put16(t, at + 10, is_64);
  put32(t, at + 12, log2);
}

/* Three numbers at 8, 10 and 12, which of them have 64 bits at 14, two indices. */
static void bulk(Translator *t, unsigned iop, unsigned wide_mask, uint32_t index, uint32_t index2,
                 uint32_t fuel_log2) {
  uint32_t n = pop_slot(t), from = pop_slot(t), to = pop_slot(t);
  settle_accs(t);
  translate_bulk_fuel(t, n, wide_mask >> 2 & 1, fuel_log2);
  emit_position(t);
  uint32_t at = emit(t, iop, 24);
  put16(t, at + 8, to);
  put16(t, at + 10, from);
  put16(t, at + 12, n);
  put16(t, at + 14, wide_mask);
  put32(t, at + 16, index);
  put32(t, at + 20, index2);
}

static unsigned copy_mask(bool to_64, bool from_64) {
  return (to_64 ? 1u : 0) | (from_64 ? 2u : 0) | (to_64 && from_64 ? 4u : 0);
}

static bool table_is_64(const Translator *t, uint32_t table) {
  return t->module->tables[table].type.limits.is_64;
}
static uint32_t table_operand(const Translator *t, uint32_t table) {
  return table | (table_is_64(t, table) ? 1u << 31 : 0);
}

static bool memory_op(Translator *t, const Instr *instr) {
  uint32_t m = instr->index;
  switch (instr->op) {
    case OP_MEMORY_SIZE: {
      uint32_t at = emit(t, I_MEMORY_SIZE, 16);
      put32(t, at + 12, m);
      produce_slot(t, CLASS_I, at);
      return true;
    }
    case OP_MEMORY_GROW: {
      slots_op(t, I_MEMORY_GROW, 1, CLASS_I, false);
      put32(t, t->last.at + 12, memory_operand(t, m));
      return true;
    }
    case OP_MEMORY_FILL:
      bulk(t, I_MEMORY_FILL, memory_type(t, m)->limits.is_64 ? 5 : 0, m, 0, FUEL_BYTES_LOG2);
      return true;
    case OP_MEMORY_COPY:
      bulk(t, I_MEMORY_COPY,
           copy_mask(memory_type(t, m)->limits.is_64, memory_type(t, instr->index2)->limits.is_64),
           m, instr->index2, FUEL_BYTES_LOG2);
      return true;
    case OP_MEMORY_INIT:
      bulk(t, I_MEMORY_INIT, memory_type(t, instr->index2)->limits.is_64 ? 1 : 0, instr->index2, m,
           FUEL_BYTES_LOG2);
      return true;
    case OP_DATA_DROP: put32(t, emit(t, I_DATA_DROP, 16) + 12, m); return true;
    case OP_ATOMIC_FENCE: return true; /* every atomic access is sequentially consistent */
    default: return false;
  }
}

static bool table_op(Translator *t, const Instr *instr) {
  uint32_t index = instr->index;
  switch (instr->op) {
    case OP_TABLE_GET:
      slots_op(t, I_TABLE_GET, 1, CLASS_I, true);
      put32(t, t->last.at + 12, table_operand(t, index));
      return true;
    case OP_TABLE_SET: {
      uint32_t value = pop_slot(t), at_index = pop_slot(t);
      emit_position(t);
      uint32_t at = emit(t, I_TABLE_SET, 16);
      put16(t, at + 8, at_index);
      put16(t, at + 10, value);
      put32(t, at + 12, table_operand(t, index));
      return true;
    }
    case OP_TABLE_SIZE: {
      uint32_t at = emit(t, I_TABLE_SIZE, 16);
      put32(t, at + 12, index);
      produce_slot(t, CLASS_I, at);
      return true;
    }
    case OP_TABLE_GROW: {
      uint32_t n = pop_slot(t), init = pop_slot(t);
      translate_bulk_fuel(t, n, table_is_64(t, index), FUEL_ELEMENTS_LOG2);
      uint32_t at = emit(t, I_TABLE_GROW, 24);
      put16(t, at + 10, init);
      put32(t, at + 12, table_operand(t, index));
      put16(t, at + 16, n);
      produce_slot(t, CLASS_I, at);
      return true;
    }
    case OP_TABLE_FILL:
      bulk(t, I_TABLE_FILL, table_is_64(t, index) ? 5 : 0, index, 0, FUEL_ELEMENTS_LOG2);
      return true;
    case OP_TABLE_COPY:
      bulk(t, I_TABLE_COPY, copy_mask(table_is_64(t, index), table_is_64(t, instr->index2)), index,
           instr->index2, FUEL_ELEMENTS_LOG2);
      return true;
    case OP_TABLE_INIT:
      bulk(t, I_TABLE_INIT, table_is_64(t, instr->index2) ? 1 : 0, instr->index2, index,
           FUEL_ELEMENTS_LOG2);
      return true;
    case OP_ELEM_DROP: put32(t, emit(t, I_ELEM_DROP, 16) + 12, index); return true;
    default: return false;
  }
}

static bool reference_op(Translator *t, const Instr *instr) {
  switch (instr->op) {
    case OP_REF_NULL: push_const(t, CLASS_I, 0); return true;
    case OP_REF_IS_NULL: slots_op(t, I_REF_IS_NULL, 1, CLASS_I, false); return true;
    case OP_REF_FUNC: {
      uint32_t at = emit(t, I_REF_FUNC, 16);
      put32(t, at + 12, instr->index);
      produce_slot(t, CLASS_I, at);
      return true;
    }
    case OP_REF_EQ: slots_op(t, I_REF_EQ, 2, CLASS_I, false); return true;
    case OP_REF_AS_NON_NULL: slots_op(t, I_REF_AS_NON_NULL, 1, CLASS_I, true); return true;
    case OP_REF_I31: slots_op(t, I_REF_I31, 1, CLASS_I, false); return true;
    case OP_I31_GET_S: slots_op(t, I_I31_GET_S, 1, CLASS_I, true); return true;
    case OP_I31_GET_U: slots_op(t, I_I31_GET_U, 1, CLASS_I, true); return true;
    case OP_ANY_CONVERT_EXTERN:
    case OP_EXTERN_CONVERT_ANY: return true; /* one representation */
    default: return false;
  }
}

/* Variables, constants, select */

static ValClass global_class(const Translator *t, uint32_t index) {
  return class_of(t->module->globals[index].type.type);
}

static void global_get(Translator *t, uint32_t index) {
  static const uint16_t getters[] = {I_GLOBAL_GET_I, I_GLOBAL_GET_F, I_GLOBAL_GET_D,
                                     I_GLOBAL_GET_V};
  ValClass class = global_class(t, index);
  uint32_t at = emit(t, getters[class], 16);
  put32(t, at + 12, index);
  if (class == CLASS_V) {
    produce_slot(t, class, at);
  } else {
    produce(t, class, at, getters[class]);
  }
}

static void global_set(Translator *t, uint32_t index) {
  static const uint16_t setters[] = {I_GLOBAL_SET_I_S, I_GLOBAL_SET_F_S, I_GLOBAL_SET_D_S,
                                     I_GLOBAL_SET_V};
  Val val = pop(t);
  Opnd a = operand(t, &val, false, val.class == CLASS_I);
  uint32_t at = emit(t, a.kind == OPND_ACC ? I_GLOBAL_SET_I_A : setters[val.class], 16);
  if (a.kind == OPND_SLOT) put16(t, at + 8, a.slot);
  put32(t, at + 12, index);
}

static void select_op(Translator *t) {
  static const uint16_t by_slot[] = {I_SELECT_I_S, I_SELECT_F_S, I_SELECT_D_S, I_SELECT_V};
  static const uint16_t by_acc[] = {I_SELECT_I_A, I_SELECT_F_A, I_SELECT_D_A, 0};
  Val vc = pop(t), vb = pop(t), va = pop(t);
  ValClass class = va.class;
  Opnd c = operand(t, &vc, false, class != CLASS_V);
  uint32_t b = operand_slot(t, &vb), a = operand_slot(t, &va);
  unsigned iop = c.kind == OPND_ACC ? by_acc[class] : by_slot[class];
  uint32_t at = emit(t, iop, 24);
  put16(t, at + 10, a);
  put16(t, at + 12, b);
  if (c.kind == OPND_SLOT) put16(t, at + 16, c.slot);
  if (class == CLASS_V) {
    produce_slot(t, class, at);
  } else {
    produce(t, class, at, iop);
  }
}

static void v128_const(Translator *t, const Instr *instr) {
  uint32_t at = emit(t, I_CONST128, 32);
  put_bytes(t, at + 16, instr->v128, 16);
  produce_slot(t, CLASS_V, at);
}

static bool simple_op(Translator *t, const Instr *instr) {
  switch (instr->op) {
    case OP_NOP: return true;
    case OP_DROP: {
      Val val = pop(t);
      drop_acc(t, &val);
      return true;
    }
    case OP_SELECT:
    case OP_SELECT_T: select_op(t); return true;
    case OP_LOCAL_GET: push_local(t, instr->index); return true;
    case OP_LOCAL_SET: local_set(t, instr->index, false); return true;
    case OP_LOCAL_TEE: local_set(t, instr->index, true); return true;
    case OP_GLOBAL_GET: global_get(t, instr->index); return true;
    case OP_GLOBAL_SET: global_set(t, instr->index); return true;
    case OP_I32_CONST: push_const(t, CLASS_I, (uint32_t)instr->u64); return true;
    case OP_I64_CONST: push_const(t, CLASS_I, instr->u64); return true;
    case OP_F32_CONST: push_const(t, CLASS_F, instr->u64); return true;
    case OP_F64_CONST: push_const(t, CLASS_D, instr->u64); return true;
    case OP_V128_CONST: v128_const(t, instr); return true;
    case OP_I64_ADD128: wide(t, I_I64_ADD128, 4); return true;
    case OP_I64_SUB128: wide(t, I_I64_SUB128, 4); return true;
    case OP_I64_MUL_WIDE_S: wide(t, I_I64_MUL_WIDE_S, 2); return true;
    case OP_I64_MUL_WIDE_U: wide(t, I_I64_MUL_WIDE_U, 2); return true;
    default: return false;
  }
}

void translate_op(Translator *t, const Instr *instr) {
  unsigned flags = op_info[instr->op].flags;
  if (flags & OPF_PURE) {
    pure(t, instr->op);
    make_canonical(t, instr->op);
  } else if ((flags & OPF_ATOMIC) && instr->op != OP_ATOMIC_FENCE) {
    atomic(t, instr);
  } else if ((flags & (OPF_LOAD | OPF_STORE)) && op_form(instr->op)->n_operands == 0) {
    simd_memory(t, instr);
  } else if (flags & OPF_LOAD) {
    load(t, instr);
  } else if (flags & OPF_STORE) {
    store(t, instr);
  } else if (flags & OPF_SIMD) {
    simd(t, instr);
    make_canonical(t, instr->op);
  } else if (!simple_op(t, instr) && !memory_op(t, instr) && !table_op(t, instr) &&
             !reference_op(t, instr) && !translate_gc(t, instr)) {
    emit_fail(t, "instruction %s is not supported by the interpreter", op_info[instr->op].text);
  }
}
