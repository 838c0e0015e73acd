/* isel.c - selects instructions, block by block, each from its end to its start.
 *
 * A node is lowered when somebody before (that is, behind it in the program) wanted its value in a
 * register, or when it has an effect. Who can take it as part of an own instruction (an immediate,
 * a memory operand, the condition of a branch) does not want it. A load goes into its only user
 * when no effect lies between. Blocks are done in reverse of the reverse post-order, so that users
 * come before definitions.
 *
 * An i32 in a register always has zeros in its upper half: zero-extension is nothing, and addresses
 * can be used as they are.
 */
#if defined(__x86_64__)
#include "isel.h"

#include "../../runtime/store.h"

enum { WANTED = 1, FOLDED = 2 };

static uint64_t mask_of(unsigned size) {
  return size == 4 ? UINT32_MAX : UINT64_MAX;
}

/* Making instructions */

VReg isel_new(Isel *s, unsigned type) {
  VReg v = mach_vreg(s->f, type);
  s->f->vregs[v].block = s->block;
  return v;
}

Ins *isel_begin(Isel *s, Mop op, unsigned size) {
  Ins ins = {.op = (uint16_t)op, .size = (uint8_t)size, .operands = s->f->n_operands, .at = s->at};
  VEC_PUSH(s->arena, &s->group, ins);
  return &s->group.items[s->group.n - 1];
}

static Operand *add_operand(Isel *s, VReg v) {
  Mach *f = s->f;
  if (f->n_operands == f->room_operands)
    f->operands = arena_grow(s->arena, f->operands, &f->room_operands, sizeof *f->operands);
  Operand *operand = &f->operands[f->n_operands++];
  *operand = (Operand){.v = v, .fixed = REG_NONE, .reg = REG_NONE, .next = NEVER};
  return operand;
}

void isel_add_def(Isel *s, Ins *ins, VReg v) {
  ins->n_defs++;
  s->f->vregs[v].block = s->block;
  add_operand(s, v);
}

void isel_add_def_fixed(Isel *s, Ins *ins, VReg v, unsigned reg) {
  ins->n_defs++;
  if (v != 0) s->f->vregs[v].block = s->block;
  add_operand(s, v)->fixed = (uint8_t)reg;
}

void isel_add_use(Isel *s, Ins *ins, VReg v) {
  ins->n_uses++;
  add_operand(s, v);
}

void isel_add_use_fixed(Isel *s, Ins *ins, VReg v, unsigned reg) {
  ins->n_uses++;
  add_operand(s, v)->fixed = (uint8_t)reg;
}

void isel_add_temp(Isel *s, Ins *ins, unsigned type) {
  ins->n_temps++;
  add_operand(s, isel_new(s, type));
}

void isel_add_address(Isel *s, Ins *ins, Address address) {
  ins->base = address.base;
  ins->disp = address.disp;
  ins->scale = address.scale;
  ins->pool = address.pool;
  ins->flags &= (uint16_t)~INS_COMMUTES; /* what follows the first use is no operand of its own */
  if (address.faults) ins->flags |= INS_FAULTS;
  if (address.at != 0) ins->at = address.at;
  if (address.base == BASE_VREG) isel_add_use(s, ins, address.base_reg);
  if (address.index != 0) {
    ins->has_index = true;
    isel_add_use(s, ins, address.index);
  }
}

void isel_add_source(Isel *s, Ins *ins, Source source) {
  switch (source.kind) {
    case SOURCE_REG:
      isel_add_use(s, ins, source.v);
      if (source.may_be_slot) s->f->operands[s->f->n_operands - 1].flags |= OPERAND_MEM;
      break;
    case SOURCE_IMM:
      ins->has_imm = true;
      ins->imm = (uint64_t)(int64_t)source.imm;
      break;
    case SOURCE_MEM: isel_add_address(s, ins, source.mem); break;
  }
}

/* Values */

const Node *isel_node(const Isel *s, Ref *ref) {
  for (;;) {
    const Node *node = NODE(s->ir, *ref);
    if (node->op == OP_I64_EXTEND_I32_U || (node->op == IR_NOP && node->a != 0)) {
      *ref = node->a;
    } else {
      return node;
    }
  }
}

static VReg vreg_of(Isel *s, Ref ref) {
  if (s->vreg_of[ref] == 0) s->vreg_of[ref] = mach_vreg(s->f, NODE(s->ir, ref)->type);
  return s->vreg_of[ref];
}

static VReg make_const(Isel *s, const Node *node) {
  VReg v = isel_new(s, node->type);
  Ins *ins;
  if (node->op == IR_CONST_V128) {
    ins = isel_begin(s, MOP_VECTOR_CONST, 16);
  } else if (class_of_kind(node->type) == CLASS_FLOAT) {
    ins = isel_begin(s, MOP_FLOAT_CONST, node->type == KIND_F32 ? 4 : 8);
  } else {
    ins = isel_begin(s, MOP_CONST, 8);
  }
  ins->imm = node->imm;
  if (node->op == IR_CONST && (node->type == KIND_I32 || node->type == KIND_F32))
    ins->imm = (uint32_t)node->imm;
  isel_add_def(s, ins, v);
  return v;
}

VReg isel_value(Isel *s, Ref ref) {
  const Node *node = isel_node(s, &ref);
  if (ir_is_constant(node)) return make_const(s, node);
  s->state[ref] |= WANTED;
  return vreg_of(s, ref);
}

VReg isel_value32(Isel *s, Ref ref) {
  const Node *node = isel_node(s, &ref);
  return isel_value(s, node->op == OP_I32_WRAP_I64 ? node->a : ref);
}

/* Constants have one virtual register each that no instruction makes. */
VReg isel_anywhere(Isel *s, Ref ref) {
  const Node *node = isel_node(s, &ref);
  if (!ir_is_constant(node)) return isel_value(s, ref);
  if (s->vreg_of[ref] == 0) {
    VReg v = vreg_of(s, ref);
    VRegInfo *info = &s->f->vregs[v];
    info->kind = V_CONST;
    info->value =
        node->type == KIND_I32 || node->type == KIND_F32 ? (uint32_t)node->imm : node->imm;
  }
  return s->vreg_of[ref];
}

VReg isel_def(Isel *s, Ref ref) {
  return vreg_of(s, ref);
}

Source isel_source_reg(VReg v) {
  return (Source){.kind = SOURCE_REG, .v = v};
}

Source isel_pool(Isel *s, uint64_t low, uint64_t high, unsigned size) {
  PoolItem item = {.low = low, .high = high, .size = size};
  VEC_PUSH(s->arena, &s->f->pool, item);
  return (Source){.kind = SOURCE_MEM, .mem = {.base = BASE_POOL, .pool = s->f->pool.n - 1}};
}

static bool fits_imm(const Node *node, unsigned size, int32_t *imm) {
  if (node->op != IR_CONST || class_of_kind(node->type) != CLASS_INT) return false;
  uint64_t x = size == 4 ? (uint64_t)(int32_t)(uint32_t)node->imm : node->imm;
  *imm = (int32_t)x;
  return (uint64_t)*imm == x;
}

/* Loads whose value is what lies in memory, of so many bytes. */
static unsigned plain_load_size(const Node *node) {
  switch (node->op) {
    case OP_I32_LOAD:
    case OP_F32_LOAD: return 4;
    case OP_I64_LOAD:
    case OP_F64_LOAD: return 8;
    case OP_V128_LOAD: return 16;
    case IR_CELL_LOAD:
      return node->type == KIND_I32 || node->type == KIND_F32 ? 4
             : node->type == KIND_V128                        ? 16
                                                              : 8;
    case IR_FIELD_LOAD: return node->lane == FIELD_32 ? 4 : node->lane == FIELD_64 ? 8 : 0;
    default: return 0;
  }
}

/* May the load be done by the node that is being lowered? */
static bool can_fold(const Isel *s, Ref ref, const Node *node) {
  return !s->is_repeated && node->uses == 1 && node->block == s->block &&
         s->place[ref] == s->effects_before && !(s->state[ref] & (WANTED | FOLDED));
}

static Address fold_load(Isel *s, Ref ref, const Node *node) {
  s->state[ref] |= FOLDED;
  Address address = isel_address(s, node);
  address.at = node->at;
  return address;
}

static Source memory_source(Address address) {
  return (Source){.kind = SOURCE_MEM, .mem = address};
}

Source isel_source(Isel *s, Ref ref, unsigned size) {
  const Node *node = isel_node(s, &ref);
  int32_t imm;
  if (fits_imm(node, size, &imm)) return (Source){.kind = SOURCE_IMM, .imm = imm};
  if (node->op == IR_CONST && class_of_kind(node->type) == CLASS_FLOAT)
    return isel_pool(s, node->imm, 0, size);
  bool is_aligned = size < 16 || s->f->target->has_avx;
  if (node->op == IR_CONST_V128 && size == 16) {
    const uint8_t *bytes = s->ir->vectors.items[node->imm];
    return isel_pool(s, load_u64(bytes), load_u64(bytes + 8), 16);
  }
  if (plain_load_size(node) == size && is_aligned && can_fold(s, ref, node))
    return memory_source(fold_load(s, ref, node));
  Source source = isel_source_reg(size == 4 ? isel_value32(s, ref) : isel_value(s, ref));
  source.may_be_slot = is_aligned;
  return source;
}

/* Addresses */

static bool is_pinned(const Isel *s, uint32_t memory) {
  const MemoryType *type = &s->ir->module->memories[memory];
  return memory == 0 && !s->ir->checks_memory && !type->limits.is_64 && type->page_log2 == 16;
}

static VReg memory_object(Isel *s, uint32_t memory) {
  VReg v = isel_new(s, KIND_I64);
  Address at = {.base = BASE_INSTANCE, .disp = (int32_t)(s->layout.memories + 8 * memory)};
  return isel_get(s, ENC_MOV, 8, v, memory_source(at), 0);
}

static Address memory_address(Isel *s, const Node *node) {
  Address address = {.base = BASE_MEMORY, .faults = true};
  Ref ref = node->a;
  const Node *a = isel_node(s, &ref);
  uint64_t offset = node->imm;
  if (a->op == IR_CONST) {
    offset += a->type == KIND_I32 ? (uint32_t)a->imm : a->imm;
  } else {
    address.index = isel_value(s, node->a);
  }
  if (offset <= INT32_MAX) {
    address.disp = (int32_t)offset;
  } else {
    VReg big = isel_new(s, KIND_I64);
    Ins *ins = isel_begin(s, MOP_CONST, 8);
    ins->imm = offset;
    isel_add_def(s, ins, big);
    if (address.index != 0) {
      VReg sum = isel_new(s, KIND_I64);
      ins = isel_begin(s, MOP_ADD, 8);
      isel_add_def(s, ins, sum);
      isel_add_use(s, ins, big);
      isel_add_use(s, ins, address.index);
      big = sum;
    }
    address.index = big;
  }
  if (!is_pinned(s, node->memory)) {
    VReg object = memory_object(s, node->memory);
    Address at = {.base = BASE_VREG, .base_reg = object, .disp = offsetof(Memory, base)};
    address.base = BASE_VREG;
    address.base_reg = isel_get(s, ENC_MOV, 8, isel_new(s, KIND_I64), memory_source(at), 0);
  }
  return address;
}

static unsigned field_log2(const Node *node) {
  static const uint8_t log2[] = {0, 0, 1, 1, 2, 3, 4};
  return log2[node->lane];
}

static Address field_address(Isel *s, const Node *node) {
  Address address = {.base = BASE_VREG, .disp = (int32_t)node->imm};
  address.base_reg = isel_value(s, node->a);
  if (node->b == 0) return address;
  Ref ref = node->b;
  const Node *b = isel_node(s, &ref);
  unsigned log2 = field_log2(node);
  uint64_t offset = node->imm + ((uint64_t)(uint32_t)b->imm << log2);
  if (b->op == IR_CONST && offset <= INT32_MAX) {
    address.disp = (int32_t)offset;
    return address;
  }
  address.index = isel_value(s, node->b);
  if (log2 > 3) {
    VReg scaled = isel_new(s, KIND_I64);
    Ins *ins = isel_begin(s, MOP_SHIFT, 8);
    ins->sub = SHIFT_SHL;
    ins->imm = log2;
    ins->flags |= INS_TIED;
    isel_add_def(s, ins, scaled);
    isel_add_use(s, ins, address.index);
    address.index = scaled;
    log2 = 0;
  }
  address.scale = (uint8_t)log2;
  return address;
}

Address isel_address(Isel *s, const Node *node) {
  if (node->op == IR_CELL_LOAD || node->op == IR_CELL_STORE)
    return (Address){.base = BASE_VREG, .base_reg = isel_value(s, node->a)};
  if (node->op == IR_FIELD_LOAD || node->op == IR_FIELD_STORE) return field_address(s, node);
  return memory_address(s, node);
}

/* Instructions of common shapes */

VReg isel_get(Isel *s, Enc row, unsigned size, VReg d, Source source, unsigned imm8) {
  Ins *ins = isel_begin(s, MOP_GET, size);
  ins->row = row;
  isel_add_def(s, ins, d);
  isel_add_source(s, ins, source);
  ins->imm = imm8;
  return d;
}

VReg isel_sse(Isel *s, Enc row, VReg d, VReg a, Source b, unsigned imm8) {
  if (d == 0) d = isel_new(s, KIND_V128);
  Ins *ins = isel_begin(s, MOP_SSE, 16);
  ins->row = row;
  if (!s->f->target->has_avx) ins->flags |= INS_TIED;
  isel_add_def(s, ins, d);
  isel_add_use(s, ins, a);
  isel_add_source(s, ins, b);
  ins->imm = imm8;
  return d;
}

void isel_let_commute(Isel *s) {
  Ins *ins = &s->group.items[s->group.n - 1];
  if (ins->base == BASE_NO_ADDRESS) ins->flags |= INS_COMMUTES;
}

static void mov(Isel *s, unsigned size, VReg d, VReg from) {
  Ins *ins = isel_begin(s, MOP_MOV, size);
  isel_add_def(s, ins, d);
  isel_add_use(s, ins, from);
}

static void alu(Isel *s, unsigned op, unsigned size, VReg d, VReg a, Source b) {
  Ins *ins = isel_begin(s, MOP_ALU, size);
  ins->sub = (uint8_t)op;
  ins->flags |= INS_TIED;
  if (op != ALU_SUB) ins->flags |= INS_COMMUTES;
  isel_add_def(s, ins, d);
  isel_add_use(s, ins, a);
  isel_add_source(s, ins, b);
}

/* Integers */

static bool is_const_int(const Isel *s, Ref ref, uint64_t *value) {
  const Node *node = isel_node(s, &ref);
  if (node->op != IR_CONST || class_of_kind(node->type) != CLASS_INT) return false;
  *value = node->type == KIND_I32 ? (uint32_t)node->imm : node->imm;
  return true;
}

static VReg value_of_size(Isel *s, Ref ref, unsigned size) {
  return size == 4 ? isel_value32(s, ref) : isel_value(s, ref);
}

/* A node with this user only that has not been wanted yet: it can be taken apart. */
static const Node *own(const Isel *s, Ref ref, unsigned op) {
  const Node *node = NODE(s->ir, ref);
  return node->op == op && node->uses == 1 && !(s->state[ref] & WANTED) ? node : NULL;
}

static bool scale_of(const Isel *s, const Node *shift, unsigned *scale) {
  uint64_t count;
  if (shift == NULL || !is_const_int(s, shift->b, &count) || count == 0 || count > 3) return false;
  *scale = (unsigned)count;
  return true;
}

static void lea(Isel *s, unsigned size, VReg d, Address address) {
  Ins *ins = isel_begin(s, MOP_LEA, size);
  isel_add_def(s, ins, d);
  isel_add_address(s, ins, address);
}

static bool fold_shift(Isel *s, Ref base, Ref shifted, unsigned size, int32_t disp, VReg d) {
  const Node *shift = own(s, shifted, size == 4 ? OP_I32_SHL : OP_I64_SHL);
  unsigned scale;
  if (!scale_of(s, shift, &scale)) return false;
  Address address = {.base = BASE_VREG, .scale = (uint8_t)scale, .disp = disp};
  address.base_reg = value_of_size(s, base, size);
  address.index = value_of_size(s, shift->a, size);
  lea(s, size, d, address);
  return true;
}

static void add(Isel *s, Ref ref, const Node *node, unsigned size) {
  VReg d = isel_def(s, ref);
  int32_t imm;
  Ref right = node->b;
  if (fits_imm(isel_node(s, &right), size, &imm)) {
    const Node *sum = own(s, node->a, size == 4 ? OP_I32_ADD : OP_I64_ADD);
    int32_t inner;
    Ref inner_right = sum != NULL ? sum->b : 0;
    if (sum != NULL && !fits_imm(isel_node(s, &inner_right), size, &inner)) {
      if (fold_shift(s, sum->a, sum->b, size, imm, d) ||
          fold_shift(s, sum->b, sum->a, size, imm, d))
        return;
      Address address = {.base = BASE_VREG, .disp = imm};
      address.base_reg = value_of_size(s, sum->a, size);
      address.index = value_of_size(s, sum->b, size);
      lea(s, size, d, address);
      return;
    }
  } else if (fold_shift(s, node->a, node->b, size, 0, d) ||
             fold_shift(s, node->b, node->a, size, 0, d)) {
    return;
  }
  Source b = isel_source(s, node->b, size);
  VReg a;
  if (b.kind == SOURCE_REG) {
    Source other = isel_source(s, node->a, size);
    if (other.kind == SOURCE_MEM) {
      a = b.v;
      b = other;
    } else {
      a = other.kind == SOURCE_REG ? other.v : isel_value(s, node->a);
    }
  } else {
    a = value_of_size(s, node->a, size);
  }
  if (b.kind == SOURCE_MEM) {
    alu(s, ALU_ADD, size, d, a, b);
    return;
  }
  Ins *ins = isel_begin(s, MOP_ADD, size);
  ins->flags |= INS_COMMUTES;
  isel_add_def(s, ins, d);
  isel_add_use(s, ins, a);
  b.may_be_slot = false;
  isel_add_source(s, ins, b);
}

static void sub(Isel *s, Ref ref, const Node *node, unsigned size) {
  VReg d = isel_def(s, ref);
  uint64_t zero;
  if (is_const_int(s, node->a, &zero) && zero == 0) {
    VReg v = value_of_size(s, node->b, size);
    Ins *ins = isel_begin(s, MOP_UNARY, size);
    ins->sub = F7_NEG;
    ins->flags |= INS_TIED;
    isel_add_def(s, ins, d);
    isel_add_use(s, ins, v);
    return;
  }
  Source b = isel_source(s, node->b, size);
  VReg a = value_of_size(s, node->a, size);
  if (b.kind == SOURCE_IMM && b.imm != INT32_MIN) {
    b.imm = -b.imm;
    Ins *ins = isel_begin(s, MOP_ADD, size);
    isel_add_def(s, ins, d);
    isel_add_use(s, ins, a);
    isel_add_source(s, ins, b);
    return;
  }
  alu(s, ALU_SUB, size, d, a, b);
}

/* Masks of a byte, two or four are moves with zero-extension. */
static bool mask_as_extension(Isel *s, VReg d, const Node *node, uint64_t mask, unsigned size) {
  if (mask != 0xFF && mask != 0xFFFF && !(mask == UINT32_MAX && size == 8)) return false;
  Ref ref = node->a;
  if (isel_node(s, &ref)->op == OP_I32_WRAP_I64) ref = NODE(s->ir, ref)->a;
  VReg a = isel_value(s, ref);
  if (mask == UINT32_MAX) {
    mov(s, 4, d, a);
  } else {
    isel_get(s, mask == 0xFF ? ENC_MOVZX8 : ENC_MOVZX16, 4, d, isel_source_reg(a), 0);
  }
  return true;
}

static void bits(Isel *s, Ref ref, const Node *node, unsigned op, unsigned size) {
  VReg d = isel_def(s, ref);
  uint64_t mask;
  if (is_const_int(s, node->b, &mask)) {
    if (op == ALU_AND && mask_as_extension(s, d, node, mask, size)) return;
    if (op == ALU_XOR && (mask & mask_of(size)) == mask_of(size)) {
      VReg v = value_of_size(s, node->a, size);
      Ins *ins = isel_begin(s, MOP_UNARY, size);
      ins->sub = F7_NOT;
      ins->flags |= INS_TIED;
      isel_add_def(s, ins, d);
      isel_add_use(s, ins, v);
      return;
    }
    if (size == 8 && op == ALU_AND && mask <= INT32_MAX)
      size = 4; /* clears the upper half as well */
  }
  Source b = isel_source(s, node->b, size);
  VReg a;
  Source other = b.kind == SOURCE_REG ? isel_source(s, node->a, size) : isel_source_reg(0);
  if (b.kind == SOURCE_REG && other.kind == SOURCE_MEM) {
    a = b.v;
    b = other;
  } else {
    a = value_of_size(s, node->a, size);
  }
  alu(s, op, size, d, a, b);
}

static void mul(Isel *s, Ref ref, const Node *node, unsigned size) {
  VReg d = isel_def(s, ref);
  uint64_t factor;
  if (is_const_int(s, node->b, &factor) && (factor == 3 || factor == 5 || factor == 9)) {
    VReg a = value_of_size(s, node->a, size);
    lea(s, size, d,
        (Address){.base = BASE_VREG,
                  .base_reg = a,
                  .index = a,
                  .scale = factor == 3   ? 1
                           : factor == 5 ? 2
                                         : 3});
    return;
  }
  Source b = isel_source(s, node->b, size);
  VReg a = value_of_size(s, node->a, size);
  Ins *ins = isel_begin(s, MOP_IMUL, size);
  if (b.kind != SOURCE_IMM) ins->flags |= INS_TIED | INS_COMMUTES;
  isel_add_def(s, ins, d);
  isel_add_use(s, ins, a);
  isel_add_source(s, ins, b);
}

static void mul_high(Isel *s, Ref ref, const Node *node, unsigned group) {
  VReg d = isel_def(s, ref), a = isel_value(s, node->a), b = isel_value(s, node->b);
  Ins *ins = isel_begin(s, MOP_MUL_WIDE, 8);
  ins->sub = (uint8_t)group;
  isel_add_def_fixed(s, ins, isel_new(s, KIND_I64), RAX);
  isel_add_def_fixed(s, ins, d, RDX);
  isel_add_use_fixed(s, ins, a, RAX);
  isel_add_use(s, ins, b);
}

static void shift_by(Isel *s, VReg d, VReg a, unsigned shift, unsigned size, unsigned count) {
  bool is_rotation = shift == SHIFT_ROL || shift == SHIFT_ROR;
  if (count == 0) {
    mov(s, size, d, a);
    return;
  }
  if (is_rotation && s->f->target->has_bmi2) {
    Ins *ins = isel_begin(s, MOP_RORX, size);
    ins->imm = shift == SHIFT_ROR ? count : 8 * size - count;
    isel_add_def(s, ins, d);
    isel_add_use(s, ins, a);
    return;
  }
  Ins *ins = isel_begin(s, MOP_SHIFT, size);
  ins->sub = (uint8_t)shift;
  ins->imm = count;
  ins->flags |= INS_TIED;
  isel_add_def(s, ins, d);
  isel_add_use(s, ins, a);
}

static Ref strip_count_mask(const Isel *s, Ref ref, unsigned size) {
  const Node *node = NODE(s->ir, ref);
  uint64_t mask;
  if ((node->op == OP_I32_AND || node->op == OP_I64_AND) && is_const_int(s, node->b, &mask) &&
      (mask & (8 * size - 1)) == 8 * size - 1)
    return node->a;
  return ref;
}

static void shift(Isel *s, Ref ref, const Node *node, unsigned op, unsigned size) {
  VReg d = isel_def(s, ref);
  uint64_t count;
  if (is_const_int(s, node->b, &count)) {
    shift_by(s, d, value_of_size(s, node->a, size), op, size, (unsigned)count & (8 * size - 1));
    return;
  }
  Ref by = strip_count_mask(s, node->b, size);
  if (s->f->target->has_bmi2 && op >= SHIFT_SHL) {
    Source a = isel_source(s, node->a, size);
    if (a.kind == SOURCE_IMM) a = isel_source_reg(isel_value(s, node->a));
    VReg c = isel_value32(s, by);
    Ins *ins = isel_begin(s, MOP_SHIFTX, size);
    ins->row = op == SHIFT_SHL ? ENC_SHLX : op == SHIFT_SHR ? ENC_SHRX : ENC_SARX;
    isel_add_def(s, ins, d);
    isel_add_use(s, ins, c);
    isel_add_source(s, ins, a);
    return;
  }
  VReg a = value_of_size(s, node->a, size), c = isel_value32(s, by);
  Ins *ins = isel_begin(s, MOP_SHIFT_CL, size);
  ins->sub = (uint8_t)op;
  ins->flags |= INS_TIED;
  isel_add_def(s, ins, d);
  isel_add_use(s, ins, a);
  isel_add_use_fixed(s, ins, c, RCX);
}

static void divide(Isel *s, Ref ref, const Node *node, unsigned op, unsigned size) {
  VReg d = isel_def(s, ref), a = value_of_size(s, node->a, size),
       b = value_of_size(s, node->b, size);
  bool is_rem = op == REM_S || op == REM_U;
  VReg other = isel_new(s, node->type);
  Ins *ins = isel_begin(s, MOP_DIV, size);
  ins->sub = (uint8_t)op;
  ins->clobbers = 1u << RDX;
  isel_add_def_fixed(s, ins, is_rem ? other : d, RAX);
  isel_add_def_fixed(s, ins, is_rem ? d : other, RDX);
  isel_add_use_fixed(s, ins, a, RAX);
  isel_add_use(s, ins, b);
}

/* Comparisons */

typedef struct Compare {
  unsigned kind, size, cc;
  VReg a;
  Source b;
  bool memory_first; /* mem is compared with the immediate b */
  Address mem;
  uint32_t row;
} Compare;

static unsigned int_cc(unsigned op) {
  static const uint8_t codes[] = {CC_E, CC_NE, CC_L, CC_B, CC_G, CC_A, CC_LE, CC_BE, CC_GE, CC_AE};
  if (op >= OP_I32_EQ && op <= OP_I32_GE_U) return codes[op - OP_I32_EQ];
  return codes[op - OP_I64_EQ];
}

static unsigned exchanged_cc(unsigned cc) {
  switch (cc) {
    case CC_L: return CC_G;
    case CC_G: return CC_L;
    case CC_LE: return CC_GE;
    case CC_GE: return CC_LE;
    case CC_B: return CC_A;
    case CC_A: return CC_B;
    case CC_BE: return CC_AE;
    case CC_AE: return CC_BE;
    default: return cc;
  }
}

static unsigned unsigned_cc(unsigned cc) {
  switch (cc) {
    case CC_L: return CC_B;
    case CC_G: return CC_A;
    case CC_LE: return CC_BE;
    case CC_GE: return CC_AE;
    default: return cc;
  }
}

static Compare test(Isel *s, Ref ref, unsigned size, unsigned cc) {
  const Node *both = own(s, ref, size == 4 ? OP_I32_AND : OP_I64_AND);
  Compare c = {.kind = COMPARE_TEST, .size = size, .cc = cc};
  if (both != NULL) {
    uint64_t mask;
    bool is_zero_test = cc == CC_E || cc == CC_NE; /* bt tells nothing of the sign */
    if (is_const_int(s, both->b, &mask) && mask > INT32_MAX && (mask & (mask - 1)) == 0 &&
        size == 8 && is_zero_test) {
      c.kind = COMPARE_BIT;
      c.cc = cc == CC_E ? CC_AE : CC_B;
      c.a = isel_value(s, both->a);
      c.b = (Source){.kind = SOURCE_IMM, .imm = __builtin_ctzll(mask)};
      return c;
    }
    c.b = isel_source(s, both->b, size);
    if (c.b.kind == SOURCE_IMM && c.b.imm >= 0) {
      c.size = 4;
      Ref a = both->a;
      if (size == 8 && isel_node(s, &a)->op != OP_I32_WRAP_I64) {
        c.a = isel_value(s, both->a);
        return c;
      }
    }
    c.a = value_of_size(s, both->a, size);
    return c;
  }
  c.a = value_of_size(s, ref, size);
  c.b = isel_source_reg(c.a);
  return c;
}

/* A byte or two in memory against a constant. */
static bool compare_narrow(Isel *s, Ref ref, int32_t imm, unsigned cc, Compare *out) {
  const Node *load = isel_node(s, &ref);
  unsigned size = load->op == OP_I32_LOAD8_U || load->op == OP_I64_LOAD8_U ? 1 : 0;
  if (size == 0 || imm < 0 || imm > 0xFF || !can_fold(s, ref, load)) return false;
  *out = (Compare){.kind = COMPARE_CMP, .size = size, .cc = unsigned_cc(cc)};
  out->b = (Source){.kind = SOURCE_IMM, .imm = (int8_t)imm};
  out->memory_first = true;
  out->mem = fold_load(s, ref, load);
  return true;
}

static Compare compare_ints(Isel *s, const Node *node, unsigned size) {
  unsigned cc = int_cc(node->op);
  Ref left = node->a, right = node->b;
  int32_t imm;
  Ref probe = left;
  if (fits_imm(isel_node(s, &probe), size, &imm)) {
    left = node->b;
    right = node->a;
    cc = exchanged_cc(cc);
  }
  Compare c = {.kind = COMPARE_CMP, .size = size};
  probe = right;
  if (fits_imm(isel_node(s, &probe), size, &imm)) {
    if (imm == 0 && (cc == CC_E || cc == CC_NE)) {
      Ref tested = left;
      const Node *load = isel_node(s, &tested);
      if (plain_load_size(load) != size || !can_fold(s, tested, load)) {
        if (!compare_narrow(s, left, imm, cc, &c)) c = test(s, left, size, cc);
        return c;
      }
    }
    if (imm == 0 && (cc == CC_L || cc == CC_GE))
      return test(s, left, size, cc == CC_L ? CC_S : CC_NS);
    if (compare_narrow(s, left, imm, cc, &c)) return c;
    Source a = isel_source(s, left, size);
    c.cc = cc;
    c.b = (Source){.kind = SOURCE_IMM, .imm = imm};
    if (a.kind == SOURCE_MEM) {
      c.memory_first = true;
      c.mem = a.mem;
    } else {
      c.a = a.kind == SOURCE_REG ? a.v : isel_value(s, left);
    }
    return c;
  }
  Source b = isel_source(s, right, size);
  if (b.kind == SOURCE_REG) {
    Source a = isel_source(s, left, size);
    if (a.kind == SOURCE_MEM) { /* the other way round */
      c.cc = exchanged_cc(cc);
      c.a = b.v;
      c.b = a;
      return c;
    }
  }
  c.cc = cc;
  c.b = b;
  c.a = value_of_size(s, left, size);
  return c;
}

static Compare compare_floats(Isel *s, const Node *node, unsigned base, unsigned size) {
  static const uint8_t codes[] = {CC_FLOAT_EQ, CC_FLOAT_NE, CC_A, CC_A, CC_AE, CC_AE};
  unsigned which = node->op - base; /* eq ne lt gt le ge */
  bool exchanges = which == 2 || which == 4;
  Compare c = {.kind = COMPARE_FLOAT, .size = size, .cc = codes[which]};
  c.row = size == 4 ? ENC_UCOMISS : ENC_UCOMISD;
  c.b = isel_source(s, exchanges ? node->a : node->b, size);
  c.a = isel_value(s, exchanges ? node->b : node->a);
  return c;
}

static bool is_int_compare(unsigned op) {
  return (op >= OP_I32_EQ && op <= OP_I32_GE_U) || (op >= OP_I64_EQ && op <= OP_I64_GE_U);
}

/* The flags of a comparison node itself; false when the node is none. */
static bool compare_node(Isel *s, const Node *node, Compare *out) {
  if (node->op == OP_I32_EQZ) {
    *out = test(s, node->a, 4, CC_E);
  } else if (node->op == OP_I64_EQZ) {
    *out = test(s, node->a, 8, CC_E);
  } else if (is_int_compare(node->op)) {
    *out = compare_ints(s, node, node->op >= OP_I64_EQ ? 8 : 4);
  } else if (node->op >= OP_F32_EQ && node->op <= OP_F32_GE) {
    *out = compare_floats(s, node, OP_F32_EQ, 4);
  } else if (node->op >= OP_F64_EQ && node->op <= OP_F64_GE) {
    *out = compare_floats(s, node, OP_F64_EQ, 8);
  } else {
    return false;
  }
  return true;
}

static bool is_compare(unsigned op) {
  return op == OP_I32_EQZ || op == OP_I64_EQZ || is_int_compare(op) ||
         (op >= OP_F32_EQ && op <= OP_F64_GE);
}

/* An i32 as a condition: nonzero. A comparison that others want as a number is made twice when it
 * is cheap. */
static Compare condition(Isel *s, Ref ref) {
  bool negated = false, is_only_user = true;
  const Node *node = NODE(s->ir, ref);
  while (node->op == OP_I32_EQZ && is_compare(NODE(s->ir, node->a)->op)) {
    is_only_user &= node->uses == 1;
    negated = !negated;
    ref = node->a;
    node = NODE(s->ir, ref);
  }
  is_only_user &= node->uses == 1;
  Compare c;
  bool is_cheap = is_only_user || is_int_compare(node->op) || node->op == OP_I32_EQZ;
  s->is_repeated = is_compare(node->op) && !is_only_user;
  if (!is_cheap || !compare_node(s, node, &c)) c = test(s, ref, 4, CC_NE);
  s->is_repeated = false;
  if (negated) c.cc ^= 1;
  return c;
}

static void add_compare(Isel *s, Ins *ins, const Compare *c) {
  ins->compare = (uint8_t)c->kind;
  ins->cc = (uint8_t)c->cc;
  ins->size = (uint8_t)c->size;
  ins->row = c->row;
  if (c->memory_first) {
    ins->has_imm = true;
    ins->imm = (uint64_t)(int64_t)c->b.imm;
    isel_add_address(s, ins, c->mem);
    return;
  }
  isel_add_use(s, ins, c->a);
  Source b = c->b;
  if (b.kind == SOURCE_REG && b.v == c->a) b.may_be_slot = false;
  isel_add_source(s, ins, b);
}

static void set(Isel *s, Ref ref, const Node *node) {
  VReg d = isel_def(s, ref);
  Compare c;
  compare_node(s, node, &c);
  Ins *ins = isel_begin(s, MOP_SET, 4);
  isel_add_def(s, ins, d);
  add_compare(s, ins, &c);
}

/* The values come first among the uses, so that the second can be the definition's register. */
static void choose(Isel *s, Ref ref, const Node *node) {
  VReg d = isel_def(s, ref), if_true = isel_value(s, node->b), if_false = isel_value(s, node->c);
  Compare c = condition(s, node->a);
  Ins *ins = isel_begin(s, MOP_SELECT, 4);
  unsigned size = node->type == KIND_I32 ? 4 : 8;
  isel_add_def(s, ins, d);
  isel_add_use(s, ins, if_false);
  isel_add_use(s, ins, if_true);
  add_compare(s, ins, &c);
  ins->sub = (uint8_t)size;
  ins->flags |= INS_TIED;
}

/* Floats */

static void float_binary(Isel *s, Ref ref, const Node *node, Enc row, unsigned size,
                         bool commutes) {
  VReg d = isel_def(s, ref);
  Source b = isel_source(s, node->b, size);
  VReg a;
  Source other = isel_source_reg(0);
  if (commutes && b.kind == SOURCE_REG) other = isel_source(s, node->a, size);
  if (other.kind == SOURCE_MEM) {
    a = b.v;
    b = other;
  } else {
    a = isel_value(s, node->a);
  }
  isel_sse(s, row, d, a, b, 0);
  if (commutes) isel_let_commute(s);
}

static void float_self(Isel *s, Ref ref, const Node *node, Enc row, unsigned size, unsigned imm8) {
  VReg d = isel_def(s, ref);
  Source a = isel_source(s, node->a, size);
  if (a.kind == SOURCE_IMM) a = isel_source_reg(isel_value(s, node->a));
  Ins *ins = isel_begin(s, MOP_SSE_SELF, size);
  ins->row = row;
  isel_add_def(s, ins, d);
  isel_add_source(s, ins, a);
  ins->has_imm = false;
  ins->imm = imm8;
}

static void float_bits(Isel *s, Ref ref, const Node *node, Enc row, uint64_t mask32,
                       uint64_t mask64) {
  bool is_f32 = node->type == KIND_F32;
  uint64_t mask = is_f32 ? mask32 | mask32 << 32 : mask64;
  VReg a = isel_value(s, node->a);
  isel_sse(s, row, isel_def(s, ref), a, isel_pool(s, mask, mask, 16), 0);
}

static void float_copysign(Isel *s, Ref ref, const Node *node) {
  bool is_f32 = node->type == KIND_F32;
  uint64_t sign = is_f32 ? 0x8000000080000000u : 0x8000000000000000u;
  VReg a = isel_value(s, node->a), b = isel_value(s, node->b);
  VReg magnitude = isel_sse(s, ENC_ANDPS, 0, a, isel_pool(s, ~sign, ~sign, 16), 0);
  VReg signs = isel_sse(s, ENC_ANDPS, 0, b, isel_pool(s, sign, sign, 16), 0);
  isel_sse(s, ENC_ORPS, isel_def(s, ref), magnitude, isel_source_reg(signs), 0);
}

static void min_max(Isel *s, Ref ref, const Node *node, unsigned is_max) {
  VReg d = isel_def(s, ref), a = isel_value(s, node->a), b = isel_value(s, node->b);
  Ins *ins = isel_begin(s, MOP_MIN_MAX, node->type == KIND_F32 ? 4 : 8);
  ins->sub = (uint8_t)is_max;
  ins->flags |= INS_TIED;
  isel_add_def(s, ins, d);
  isel_add_use(s, ins, a);
  isel_add_use(s, ins, b);
}

static void do_trunc(Isel *s, Ref ref, const Node *node, Mop op, unsigned sub) {
  VReg d = isel_def(s, ref), a = isel_value(s, node->a);
  Ins *ins = isel_begin(s, op, sub & TRUNC_FROM_F64 ? 8 : 4);
  ins->sub = (uint8_t)sub;
  isel_add_def(s, ins, d);
  s->f->operands[s->f->n_operands - 1].flags |= OPERAND_EARLY;
  isel_add_use(s, ins, a);
  isel_add_temp(s, ins, KIND_F64);
  isel_add_temp(s, ins, KIND_I64);
}

static void convert_u64(Isel *s, Ref ref, const Node *node) {
  VReg d = isel_def(s, ref), a = isel_value(s, node->a);
  Ins *ins = isel_begin(s, MOP_CONVERT_U64, node->type == KIND_F32 ? 4 : 8);
  isel_add_def(s, ins, d);
  s->f->operands[s->f->n_operands - 1].flags |= OPERAND_EARLY;
  isel_add_use(s, ins, a);
  isel_add_temp(s, ins, KIND_I64);
  isel_add_temp(s, ins, KIND_I64);
}

static void count_zeros(Isel *s, Ref ref, const Node *node, bool leading, unsigned size) {
  const JitTarget *target = s->f->target;
  VReg d = isel_def(s, ref);
  if (leading ? target->has_lzcnt : target->has_bmi1) {
    Source a = isel_source(s, node->a, size);
    if (a.kind == SOURCE_IMM) a = isel_source_reg(isel_value(s, node->a));
    isel_get(s, leading ? ENC_LZCNT : ENC_TZCNT, size, d, a, 0);
    return;
  }
  VReg a = value_of_size(s, node->a, size);
  Ins *ins = isel_begin(s, MOP_COUNT_ZEROS, size);
  ins->sub = leading;
  isel_add_def(s, ins, d);
  s->f->operands[s->f->n_operands - 1].flags |= OPERAND_EARLY;
  isel_add_use(s, ins, a);
  isel_add_temp(s, ins, KIND_I64);
}

/* Sums of pairs, nibbles and bytes, for processors without the instruction. */
static void count_ones(Isel *s, Ref ref, const Node *node, unsigned size) {
  VReg d = isel_def(s, ref);
  if (s->f->target->has_popcnt) {
    Source a = isel_source(s, node->a, size);
    if (a.kind == SOURCE_IMM) a = isel_source_reg(isel_value(s, node->a));
    isel_get(s, ENC_POPCNT, size, d, a, 0);
    return;
  }
  VReg a = value_of_size(s, node->a, size);
  Ins *ins = isel_begin(s, MOP_COUNT_ONES, size);
  isel_add_def(s, ins, d);
  s->f->operands[s->f->n_operands - 1].flags |= OPERAND_EARLY;
  isel_add_use(s, ins, a);
  isel_add_temp(s, ins, KIND_I64);
  isel_add_temp(s, ins, KIND_I64);
}

/* Loads and stores */

typedef struct Access {
  Enc row;
  uint8_t size;
} Access;

static Access load_access(const Node *node) {
  switch (node->op) {
    case OP_I32_LOAD:
    case OP_I64_LOAD32_U:
    case OP_I32_ATOMIC_LOAD:
    case OP_I64_ATOMIC_LOAD32_U: return (Access){ENC_MOV, 4};
    case OP_I64_LOAD:
    case OP_I64_ATOMIC_LOAD: return (Access){ENC_MOV, 8};
    case OP_F32_LOAD: return (Access){ENC_MOVSS, 4};
    case OP_F64_LOAD: return (Access){ENC_MOVSD, 8};
    case OP_V128_LOAD: return (Access){ENC_MOVUPS, 16};
    case OP_I32_LOAD8_S: return (Access){ENC_MOVSX8, 4};
    case OP_I32_LOAD8_U:
    case OP_I64_LOAD8_U:
    case OP_I32_ATOMIC_LOAD8_U:
    case OP_I64_ATOMIC_LOAD8_U: return (Access){ENC_MOVZX8, 4};
    case OP_I32_LOAD16_S: return (Access){ENC_MOVSX16, 4};
    case OP_I32_LOAD16_U:
    case OP_I64_LOAD16_U:
    case OP_I32_ATOMIC_LOAD16_U:
    case OP_I64_ATOMIC_LOAD16_U: return (Access){ENC_MOVZX16, 4};
    case OP_I64_LOAD8_S: return (Access){ENC_MOVSX8Q, 8};
    case OP_I64_LOAD16_S: return (Access){ENC_MOVSX16Q, 8};
    case OP_I64_LOAD32_S: return (Access){ENC_MOVSXD, 8};
    default: return (Access){0, 0};
  }
}

static Access value_access(unsigned kind, bool stores) {
  switch (kind) {
    case KIND_I32: return (Access){stores ? ENC_MOV_STORE : ENC_MOV, 4};
    case KIND_F32: return (Access){stores ? ENC_MOVSS_STORE : ENC_MOVSS, 4};
    case KIND_F64: return (Access){stores ? ENC_MOVSD_STORE : ENC_MOVSD, 8};
    case KIND_V128: return (Access){stores ? ENC_MOVUPS_STORE : ENC_MOVUPS, 16};
    default: return (Access){stores ? ENC_MOV_STORE : ENC_MOV, 8};
  }
}

static Access field_access(const Node *node, unsigned kind, bool stores) {
  bool is_64 = kind == KIND_I64 || kind == KIND_REF;
  switch (node->lane) {
    case FIELD_I8_S:
      return stores ? (Access){ENC_MOV_STORE8, 1}
                    : (Access){is_64 ? ENC_MOVSX8Q : ENC_MOVSX8, is_64 ? 8 : 4};
    case FIELD_I8_U: return stores ? (Access){ENC_MOV_STORE8, 1} : (Access){ENC_MOVZX8, 4};
    case FIELD_I16_S:
      return stores ? (Access){ENC_MOV_STORE, 2}
                    : (Access){is_64 ? ENC_MOVSX16Q : ENC_MOVSX16, is_64 ? 8 : 4};
    case FIELD_I16_U: return stores ? (Access){ENC_MOV_STORE, 2} : (Access){ENC_MOVZX16, 4};
    case FIELD_32:
      if (kind == KIND_F32) return value_access(kind, stores);
      return (Access){stores ? ENC_MOV_STORE : ENC_MOV, 4};
    default: return value_access(kind == KIND_I32 || kind == KIND_F32 ? KIND_I64 : kind, stores);
  }
}

static void load(Isel *s, Ref ref, const Node *node, Access access) {
  VReg d = isel_def(s, ref);
  isel_get(s, access.row, access.size, d, memory_source(isel_address(s, node)), 0);
}

static Access store_access(const Node *node) {
  switch (node->op) {
    case OP_I32_STORE:
    case OP_I64_STORE32: return (Access){ENC_MOV_STORE, 4};
    case OP_I64_STORE: return (Access){ENC_MOV_STORE, 8};
    case OP_F32_STORE: return (Access){ENC_MOVSS_STORE, 4};
    case OP_F64_STORE: return (Access){ENC_MOVSD_STORE, 8};
    case OP_V128_STORE: return (Access){ENC_MOVUPS_STORE, 16};
    case OP_I32_STORE8:
    case OP_I64_STORE8: return (Access){ENC_MOV_STORE8, 1};
    case OP_I32_STORE16:
    case OP_I64_STORE16: return (Access){ENC_MOV_STORE, 2};
    default: return (Access){0, 0};
  }
}

/* memory op= value: a load, an operation and a store of the same place. */
static bool store_in_place(Isel *s, const Node *node, unsigned size) {
  static const struct {
    uint16_t op32, op64, alu;
  } ops[] = {{OP_I32_ADD, OP_I64_ADD, ALU_ADD},
             {OP_I32_SUB, OP_I64_SUB, ALU_SUB},
             {OP_I32_AND, OP_I64_AND, ALU_AND},
             {OP_I32_OR, OP_I64_OR, ALU_OR},
             {OP_I32_XOR, OP_I64_XOR, ALU_XOR}};
  const Node *op = NODE(s->ir, node->b);
  if (op->uses != 1 || op->block != s->block || (s->state[node->b] & WANTED)) return false;
  unsigned which = 0;
  while (which < COUNT_OF(ops) && op->op != (size == 4 ? ops[which].op32 : ops[which].op64))
    which++;
  if (which == COUNT_OF(ops)) return false;
  Ref ref = op->a, other = op->b;
  const Node *load = NODE(s->ir, ref);
  unsigned wanted = size == 4 ? OP_I32_LOAD : OP_I64_LOAD;
  if (load->op != wanted && which != 1) {
    ref = op->b, other = op->a;
    load = NODE(s->ir, ref);
  }
  if (load->op != wanted || load->a != node->a || load->imm != node->imm ||
      load->memory != node->memory || !can_fold(s, ref, load))
    return false;
  int32_t imm;
  Ref probe = other;
  Source source;
  if (fits_imm(isel_node(s, &probe), size, &imm)) {
    source = (Source){.kind = SOURCE_IMM, .imm = imm};
  } else {
    source = isel_source_reg(value_of_size(s, other, size));
  }
  Address address = fold_load(s, ref, load);
  Ins *ins = isel_begin(s, MOP_ALU_STORE, size);
  ins->sub = (uint8_t)ops[which].alu;
  isel_add_source(s, ins, source);
  isel_add_address(s, ins, address);
  return true;
}

static void put(Isel *s, Ref value, unsigned kind, Access access, Address address) {
  int32_t imm;
  Ref probe = value;
  if (class_of_kind(kind) == CLASS_INT &&
      fits_imm(isel_node(s, &probe), access.size == 8 ? 8 : 4, &imm)) {
    Ins *ins = isel_begin(s, MOP_PUT_IMM, access.size);
    ins->imm = (uint64_t)(int64_t)imm;
    isel_add_address(s, ins, address);
    return;
  }
  VReg v = access.size <= 4 && class_of_kind(kind) == CLASS_INT ? isel_value32(s, value)
                                                                : isel_value(s, value);
  Ins *ins = isel_begin(s, MOP_PUT, access.size);
  ins->row = access.row;
  isel_add_use(s, ins, v);
  isel_add_address(s, ins, address);
}

void isel_put(Isel *s, VReg v, Address address) {
  Access access = value_access(s->f->vregs[v].type, true);
  Ins *ins = isel_begin(s, MOP_PUT, access.size);
  ins->row = access.row;
  isel_add_use(s, ins, v);
  isel_add_address(s, ins, address);
}

VReg isel_get_value(Isel *s, VReg d, Address address) {
  Access access = value_access(s->f->vregs[d].type, false);
  return isel_get(s, access.row, access.size, d, memory_source(address), 0);
}

bool isel_is_wanted(const Isel *s, Ref ref) {
  return (s->state[ref] & WANTED) != 0;
}

static unsigned kind_of(const Isel *s, Ref ref) {
  return NODE(s->ir, ref)->type;
}

static void store(Isel *s, const Node *node, Access access) {
  bool is_int = access.row == ENC_MOV_STORE && access.size >= 4;
  if (is_int && kind_of(s, node->b) == (access.size == 4 ? KIND_I32 : KIND_I64) &&
      store_in_place(s, node, access.size))
    return;
  Ref value = node->b;
  put(s, value, kind_of(s, value), access, isel_address(s, node));
}

/* Atomics */

enum { RMW_ADD, RMW_SUB, RMW_AND, RMW_OR, RMW_XOR, RMW_XCHG, RMW_CMPXCHG };

typedef struct Rmw {
  uint16_t op;
  uint8_t action, size;
} Rmw;

static const Rmw rmws[] = {
#define uint8_t_SIZE                                         1
#define uint16_t_SIZE                                        2
#define uint32_t_SIZE                                        4
#define uint64_t_SIZE                                        8
#define OP(name, text, prefix, code, imm, sig, how, feature) ROW_##how
#define ROW_LOAD(name, t, m)
#define ROW_STORE(name, t, m)
#define ROW_PURE(name)
#define ROW_PURE_NAN(name)
#define ROW_SIMD(name)
#define ROW_SIMD_NAN(name)
#define ROW_SIMD_MEM(name, bytes)
#define ROW_ATOMIC_LOAD(name, t, m)
#define ROW_ATOMIC_STORE(name, t, m)       {OP_##name, RMW_XCHG, m##_SIZE},
#define ROW_ATOMIC_RMW(name, t, m, action) {OP_##name, RMW_##action, m##_SIZE},
#define ROW_ATOMIC_CMPXCHG(name, t, m)     {OP_##name, RMW_CMPXCHG, m##_SIZE},
#define ROW_ATOMIC_WAIT(name, bytes)
#define ROW_CTL(name)
#include "../../tables/opcodes.def"
};

static void atomic_rmw(Isel *s, Ref ref, const Node *node, const Rmw *rmw) {
  static const uint8_t alus[] = {[RMW_AND] = ALU_AND, [RMW_OR] = ALU_OR, [RMW_XOR] = ALU_XOR};
  bool has_result = node->type != KIND_BOTTOM;
  unsigned kind = has_result ? node->type : kind_of(s, node->b);
  VReg d = has_result ? isel_def(s, ref) : isel_new(s, kind);
  VReg b = isel_value(s, node->b), c = rmw->action == RMW_CMPXCHG ? isel_value(s, node->c) : 0;
  Address address = isel_address(s, node);
  bool by_loop = rmw->action >= RMW_AND && rmw->action <= RMW_XOR;
  Ins *ins = isel_begin(s,
                        rmw->action == RMW_CMPXCHG ? MOP_CMPXCHG
                        : by_loop                  ? MOP_RMW
                        : rmw->action == RMW_XCHG  ? MOP_XCHG
                                                   : MOP_XADD,
                        rmw->size);
  if (rmw->action == RMW_CMPXCHG) {
    isel_add_def_fixed(s, ins, d, RAX);
    isel_add_use_fixed(s, ins, b, RAX);
    isel_add_use(s, ins, c);
  } else if (by_loop) {
    ins->sub = alus[rmw->action];
    ins->clobbers = 1u << RAX;
    isel_add_def_fixed(s, ins, d, RAX);
    isel_add_use(s, ins, b);
  } else {
    ins->sub = rmw->action == RMW_SUB;
    ins->flags |= INS_TIED;
    isel_add_def(s, ins, d);
    isel_add_use(s, ins, b);
  }
  isel_add_address(s, ins, address);
  if (by_loop) isel_add_temp(s, ins, KIND_I64);
}

static bool atomic(Isel *s, Ref ref, const Node *node) {
  if (node->op < OP_I32_ATOMIC_STORE || node->op > OP_I64_ATOMIC_RMW32_CMPXCHG_U) return false;
  for (size_t i = 0; i < COUNT_OF(rmws); i++) {
    if (rmws[i].op != node->op) continue;
    atomic_rmw(s, ref, node, &rmws[i]);
    return true;
  }
  return false;
}

/* What comes from the instance */

static void from_instance(Isel *s, Ref ref, uint32_t offset) {
  VReg d = isel_def(s, ref);
  isel_get(s, ENC_MOV, 8, d,
           memory_source((Address){.base = BASE_INSTANCE, .disp = (int32_t)offset}), 0);
  s->f->vregs[d].kind = V_REMADE;
}

static void global_const(Isel *s, Ref ref, const Node *node) {
  VReg cell = isel_new(s, KIND_I64);
  Address at = {.base = BASE_INSTANCE,
                .disp = (int32_t)(s->layout.globals + 8 * (uint32_t)node->imm)};
  isel_get(s, ENC_MOV, 8, cell, memory_source(at), 0);
  Access access = value_access(node->type, false);
  isel_get(s, access.row, access.size, isel_def(s, ref),
           memory_source((Address){.base = BASE_VREG, .base_reg = cell}), 0);
}

static void func_ref(Isel *s, Ref ref, const Node *node) {
  uint32_t index = (uint32_t)node->imm, n_imported = s->ir->module->n_imported_funcs;
  if (index < n_imported) {
    from_instance(s, ref, s->layout.funcs + 8 * index);
    return;
  }
  VReg d = isel_def(s, ref);
  Address own = {.base = BASE_INSTANCE};
  own.disp = (int32_t)(s->layout.own_funcs + (index - n_imported) * (uint32_t)sizeof(Func));
  lea(s, 8, d, own);
  s->f->vregs[d].kind = V_REMADE;
}

static void memory_bytes(Isel *s, Ref ref, const Node *node) {
  VReg object = memory_object(s, node->memory);
  Address at = {.base = BASE_VREG, .base_reg = object, .disp = offsetof(Memory, size)};
  isel_get(s, ENC_MOV, 8, isel_def(s, ref), memory_source(at), 0);
}

static void type_object(Isel *s, Ref ref, const Node *node) {
  VReg d = isel_def(s, ref);
  Ins *ins = isel_begin(s, MOP_TYPE, 8);
  ins->imm = node->imm;
  isel_add_def(s, ins, d);
  s->f->vregs[d].kind = V_REMADE;
}

static bool instance_value(Isel *s, Ref ref, const Node *node) {
  uint32_t offset = 8 * (uint32_t)node->imm;
  switch (node->op) {
    case IR_GLOBAL_CELL: from_instance(s, ref, s->layout.globals + offset); return true;
    case IR_TABLE_OBJECT: from_instance(s, ref, s->layout.tables + offset); return true;
    case IR_TAG_OBJECT: from_instance(s, ref, s->layout.tags + offset); return true;
    case IR_GLOBAL_CONST: global_const(s, ref, node); return true;
    case IR_FUNC_REF: func_ref(s, ref, node); return true;
    case IR_TYPE_OBJECT: type_object(s, ref, node); return true;
    case IR_MEMORY_BYTES: memory_bytes(s, ref, node); return true;
    default: return false;
  }
}

/* Control */

static void branch(Isel *s, const Node *node) {
  Compare c = condition(s, node->a);
  add_compare(s, isel_begin(s, MOP_BRANCH, 4), &c);
}

static void trap_if(Isel *s, const Node *node) {
  Compare c = condition(s, node->a);
  if (c.cc >= CC_FLOAT_EQ) c = test(s, node->a, 4, CC_NE);
  Ins *ins = isel_begin(s, MOP_TRAP_IF, 4);
  add_compare(s, ins, &c);
  ins->trap = (uint8_t)node->imm;
}

static void switch_(Isel *s, const Node *node) {
  VReg a = isel_value(s, node->a);
  Ins *ins = isel_begin(s, MOP_SWITCH, 4);
  isel_add_use(s, ins, a);
  isel_add_temp(s, ins, KIND_I64);
  isel_add_temp(s, ins, KIND_I64);
}

static void fuel(Isel *s, const Node *node) {
  VReg a = node->a != 0 ? isel_value(s, node->a) : 0;
  Ins *ins = isel_begin(s, MOP_FUEL, 8);
  ins->imm = node->imm;
  if (a != 0) isel_add_use(s, ins, a);
  isel_add_temp(s, ins, KIND_I64);
}

/* The address of the flag is read before the outermost loop around, and again where there is no
 * register for it. It changes where the guest is suspended: emit_call.c sees to that for polls;
 * with fuel it is read each time. */
static void do_poll(Isel *s) {
  const Ir *ir = s->ir;
  Block header = BLOCK_OF(ir, s->block)->loop;
  if (ir->counts_fuel || header == 0) {
    isel_add_temp(s, isel_begin(s, MOP_POLL, 8), KIND_I64);
    return;
  }
  for (Block outer; (outer = BLOCK_OF(ir, BLOCK_OF(ir, header)->idom)->loop) != 0;) header = outer;
  Block before = BLOCK_OF(ir, header)->idom;
  if (s->poll_flag[before] == 0) s->poll_flag[before] = isel_new(s, KIND_I64);
  isel_add_use(s, isel_begin(s, MOP_POLL, 8), s->poll_flag[before]);
}

static bool control(Isel *s, const Node *node) {
  switch (node->op) {
    case IR_GOTO: isel_begin(s, MOP_GOTO, 4)->flags |= INS_GOTO; return true;
    case IR_GOTO_CATCH: isel_begin(s, MOP_GOTO_CATCH, 4); return true;
    case IR_BRANCH: branch(s, node); return true;
    case IR_SWITCH: switch_(s, node); return true;
    case IR_TRAP: isel_begin(s, MOP_TRAP, 4)->trap = (uint8_t)node->imm; return true;
    case IR_TRAP_IF: trap_if(s, node); return true;
    case IR_POLL: do_poll(s); return true;
    case IR_FUEL: fuel(s, node); return true;
    case OP_ATOMIC_FENCE: isel_begin(s, MOP_FENCE, 8); return true;
    default: return false;
  }
}

/* Conversions between files */

static void reinterpret(Isel *s, Ref ref, const Node *node, Enc row, unsigned size) {
  VReg d = isel_def(s, ref);
  Ref from = node->a;
  const Node *load = isel_node(s, &from);
  if (plain_load_size(load) == size && can_fold(s, from, load)) {
    Access access = value_access(node->type, false);
    isel_get(s, access.row, access.size, d, memory_source(fold_load(s, from, load)), 0);
    return;
  }
  VReg a = isel_value(s, node->a);
  Ins *ins = isel_begin(s, MOP_GET, 4);
  ins->row = row;
  isel_add_def(s, ins, d);
  isel_add_use(s, ins, a);
}

/* A zero-extended i32 is a 64-bit number that is not negative. */
static void convert_u32(Isel *s, Ref ref, const Node *node) {
  VReg d = isel_def(s, ref), a = isel_value(s, node->a);
  Ins *ins = isel_begin(s, MOP_SSE_SELF, 8);
  ins->row = node->type == KIND_F32 ? ENC_CVTSI2SSQ : ENC_CVTSI2SDQ;
  isel_add_def(s, ins, d);
  isel_add_use(s, ins, a);
}

static void extend(Isel *s, Ref ref, const Node *node, Enc row, unsigned size, unsigned from) {
  VReg d = isel_def(s, ref);
  Source a = from == 4 ? isel_source(s, node->a, 4) : isel_source_reg(isel_value32(s, node->a));
  if (a.kind == SOURCE_IMM) a = isel_source_reg(isel_value(s, node->a));
  isel_get(s, row, size, d, a, 0);
}

static bool number(Isel *s, Ref ref, const Node *node) {
  switch (node->op) {
    case OP_I32_ADD: add(s, ref, node, 4); return true;
    case OP_I64_ADD: add(s, ref, node, 8); return true;
    case OP_I32_SUB: sub(s, ref, node, 4); return true;
    case OP_I64_SUB: sub(s, ref, node, 8); return true;
    case OP_I32_MUL: mul(s, ref, node, 4); return true;
    case OP_I64_MUL: mul(s, ref, node, 8); return true;
    case IR_MULH_S: mul_high(s, ref, node, F7_IMUL); return true;
    case IR_MULH_U: mul_high(s, ref, node, F7_MUL); return true;
    case OP_I32_AND: bits(s, ref, node, ALU_AND, 4); return true;
    case OP_I64_AND: bits(s, ref, node, ALU_AND, 8); return true;
    case OP_I32_OR: bits(s, ref, node, ALU_OR, 4); return true;
    case OP_I64_OR: bits(s, ref, node, ALU_OR, 8); return true;
    case OP_I32_XOR: bits(s, ref, node, ALU_XOR, 4); return true;
    case OP_I64_XOR: bits(s, ref, node, ALU_XOR, 8); return true;
    case OP_I32_SHL: shift(s, ref, node, SHIFT_SHL, 4); return true;
    case OP_I64_SHL: shift(s, ref, node, SHIFT_SHL, 8); return true;
    case OP_I32_SHR_S: shift(s, ref, node, SHIFT_SAR, 4); return true;
    case OP_I64_SHR_S: shift(s, ref, node, SHIFT_SAR, 8); return true;
    case OP_I32_SHR_U: shift(s, ref, node, SHIFT_SHR, 4); return true;
    case OP_I64_SHR_U: shift(s, ref, node, SHIFT_SHR, 8); return true;
    case OP_I32_ROTL: shift(s, ref, node, SHIFT_ROL, 4); return true;
    case OP_I64_ROTL: shift(s, ref, node, SHIFT_ROL, 8); return true;
    case OP_I32_ROTR: shift(s, ref, node, SHIFT_ROR, 4); return true;
    case OP_I64_ROTR: shift(s, ref, node, SHIFT_ROR, 8); return true;
    case OP_I32_CLZ: count_zeros(s, ref, node, true, 4); return true;
    case OP_I64_CLZ: count_zeros(s, ref, node, true, 8); return true;
    case OP_I32_CTZ: count_zeros(s, ref, node, false, 4); return true;
    case OP_I64_CTZ: count_zeros(s, ref, node, false, 8); return true;
    case OP_I32_POPCNT: count_ones(s, ref, node, 4); return true;
    case OP_I64_POPCNT: count_ones(s, ref, node, 8); return true;
    case OP_I32_DIV_S: divide(s, ref, node, DIV_S, 4); return true;
    case OP_I32_DIV_U: divide(s, ref, node, DIV_U, 4); return true;
    case OP_I32_REM_S: divide(s, ref, node, REM_S, 4); return true;
    case OP_I32_REM_U: divide(s, ref, node, REM_U, 4); return true;
    case OP_I64_DIV_S: divide(s, ref, node, DIV_S, 8); return true;
    case OP_I64_DIV_U: divide(s, ref, node, DIV_U, 8); return true;
    case OP_I64_REM_S: divide(s, ref, node, REM_S, 8); return true;
    case OP_I64_REM_U: divide(s, ref, node, REM_U, 8); return true;
    case OP_I32_WRAP_I64: mov(s, 4, isel_def(s, ref), isel_value(s, node->a)); return true;
    case OP_I64_EXTEND_I32_S: extend(s, ref, node, ENC_MOVSXD, 8, 4); return true;
    case OP_I32_EXTEND8_S: extend(s, ref, node, ENC_MOVSX8, 4, 1); return true;
    case OP_I32_EXTEND16_S: extend(s, ref, node, ENC_MOVSX16, 4, 2); return true;
    case OP_I64_EXTEND8_S: extend(s, ref, node, ENC_MOVSX8Q, 8, 1); return true;
    case OP_I64_EXTEND16_S: extend(s, ref, node, ENC_MOVSX16Q, 8, 2); return true;
    case OP_I64_EXTEND32_S: extend(s, ref, node, ENC_MOVSXD, 8, 1); return true;
    case IR_SELECT: choose(s, ref, node); return true;
    default: break;
  }
  if (!is_compare(node->op)) return false;
  set(s, ref, node);
  return true;
}

enum { ROUND_NEAREST = 8, ROUND_FLOOR = 9, ROUND_CEIL = 10, ROUND_TRUNC = 11 };

static bool float_(Isel *s, Ref ref, const Node *node) {
  switch (node->op) {
    case OP_F32_ADD: float_binary(s, ref, node, ENC_ADDSS, 4, true); return true;
    case OP_F64_ADD: float_binary(s, ref, node, ENC_ADDSD, 8, true); return true;
    case OP_F32_SUB: float_binary(s, ref, node, ENC_SUBSS, 4, false); return true;
    case OP_F64_SUB: float_binary(s, ref, node, ENC_SUBSD, 8, false); return true;
    case OP_F32_MUL: float_binary(s, ref, node, ENC_MULSS, 4, true); return true;
    case OP_F64_MUL: float_binary(s, ref, node, ENC_MULSD, 8, true); return true;
    case OP_F32_DIV: float_binary(s, ref, node, ENC_DIVSS, 4, false); return true;
    case OP_F64_DIV: float_binary(s, ref, node, ENC_DIVSD, 8, false); return true;
    case OP_F32_SQRT: float_self(s, ref, node, ENC_SQRTSS, 4, 0); return true;
    case OP_F64_SQRT: float_self(s, ref, node, ENC_SQRTSD, 8, 0); return true;
    case OP_F32_NEAREST: float_self(s, ref, node, ENC_ROUNDSS, 4, ROUND_NEAREST); return true;
    case OP_F32_FLOOR: float_self(s, ref, node, ENC_ROUNDSS, 4, ROUND_FLOOR); return true;
    case OP_F32_CEIL: float_self(s, ref, node, ENC_ROUNDSS, 4, ROUND_CEIL); return true;
    case OP_F32_TRUNC: float_self(s, ref, node, ENC_ROUNDSS, 4, ROUND_TRUNC); return true;
    case OP_F64_NEAREST: float_self(s, ref, node, ENC_ROUNDSD, 8, ROUND_NEAREST); return true;
    case OP_F64_FLOOR: float_self(s, ref, node, ENC_ROUNDSD, 8, ROUND_FLOOR); return true;
    case OP_F64_CEIL: float_self(s, ref, node, ENC_ROUNDSD, 8, ROUND_CEIL); return true;
    case OP_F64_TRUNC: float_self(s, ref, node, ENC_ROUNDSD, 8, ROUND_TRUNC); return true;
    case OP_F32_ABS:
    case OP_F64_ABS: float_bits(s, ref, node, ENC_ANDPS, 0x7FFFFFFF, INT64_MAX); return true;
    case OP_F32_NEG:
    case OP_F64_NEG:
      float_bits(s, ref, node, ENC_XORPS, 0x80000000u, (uint64_t)1 << 63);
      return true;
    case OP_F32_COPYSIGN:
    case OP_F64_COPYSIGN: float_copysign(s, ref, node); return true;
    case OP_F32_MIN:
    case OP_F64_MIN: min_max(s, ref, node, 0); return true;
    case OP_F32_MAX:
    case OP_F64_MAX: min_max(s, ref, node, 1); return true;
    case OP_F32_DEMOTE_F64: float_self(s, ref, node, ENC_CVTSD2SS, 8, 0); return true;
    case OP_F64_PROMOTE_F32: float_self(s, ref, node, ENC_CVTSS2SD, 4, 0); return true;
    case OP_F32_CONVERT_I32_S: float_self(s, ref, node, ENC_CVTSI2SS, 4, 0); return true;
    case OP_F64_CONVERT_I32_S: float_self(s, ref, node, ENC_CVTSI2SD, 4, 0); return true;
    case OP_F32_CONVERT_I64_S: float_self(s, ref, node, ENC_CVTSI2SSQ, 8, 0); return true;
    case OP_F64_CONVERT_I64_S: float_self(s, ref, node, ENC_CVTSI2SDQ, 8, 0); return true;
    case OP_F32_CONVERT_I32_U:
    case OP_F64_CONVERT_I32_U: convert_u32(s, ref, node); return true;
    case OP_F32_CONVERT_I64_U:
    case OP_F64_CONVERT_I64_U: convert_u64(s, ref, node); return true;
    case OP_I32_REINTERPRET_F32: reinterpret(s, ref, node, ENC_MOVD_STORE, 4); return true;
    case OP_I64_REINTERPRET_F64: reinterpret(s, ref, node, ENC_MOVQ_STORE, 8); return true;
    case OP_F32_REINTERPRET_I32: reinterpret(s, ref, node, ENC_MOVD, 4); return true;
    case OP_F64_REINTERPRET_I64: reinterpret(s, ref, node, ENC_MOVQ, 8); return true;
    case OP_I32_TRUNC_F32_S: do_trunc(s, ref, node, MOP_TRUNC, 0); return true;
    case OP_I32_TRUNC_F32_U: do_trunc(s, ref, node, MOP_TRUNC, TRUNC_UNSIGNED); return true;
    case OP_I32_TRUNC_F64_S: do_trunc(s, ref, node, MOP_TRUNC, TRUNC_FROM_F64); return true;
    case OP_I32_TRUNC_F64_U:
      do_trunc(s, ref, node, MOP_TRUNC, TRUNC_FROM_F64 | TRUNC_UNSIGNED);
      return true;
    case OP_I64_TRUNC_F32_S: do_trunc(s, ref, node, MOP_TRUNC, TRUNC_TO_I64); return true;
    case OP_I64_TRUNC_F32_U:
      do_trunc(s, ref, node, MOP_TRUNC, TRUNC_TO_I64 | TRUNC_UNSIGNED);
      return true;
    case OP_I64_TRUNC_F64_S:
      do_trunc(s, ref, node, MOP_TRUNC, TRUNC_TO_I64 | TRUNC_FROM_F64);
      return true;
    case OP_I64_TRUNC_F64_U:
      do_trunc(s, ref, node, MOP_TRUNC, TRUNC_TO_I64 | TRUNC_FROM_F64 | TRUNC_UNSIGNED);
      return true;
    case OP_I32_TRUNC_SAT_F32_S: do_trunc(s, ref, node, MOP_TRUNC_SAT, 0); return true;
    case OP_I32_TRUNC_SAT_F32_U: do_trunc(s, ref, node, MOP_TRUNC_SAT, TRUNC_UNSIGNED); return true;
    case OP_I32_TRUNC_SAT_F64_S: do_trunc(s, ref, node, MOP_TRUNC_SAT, TRUNC_FROM_F64); return true;
    case OP_I32_TRUNC_SAT_F64_U:
      do_trunc(s, ref, node, MOP_TRUNC_SAT, TRUNC_FROM_F64 | TRUNC_UNSIGNED);
      return true;
    case OP_I64_TRUNC_SAT_F32_S: do_trunc(s, ref, node, MOP_TRUNC_SAT, TRUNC_TO_I64); return true;
    case OP_I64_TRUNC_SAT_F32_U:
      do_trunc(s, ref, node, MOP_TRUNC_SAT, TRUNC_TO_I64 | TRUNC_UNSIGNED);
      return true;
    case OP_I64_TRUNC_SAT_F64_S:
      do_trunc(s, ref, node, MOP_TRUNC_SAT, TRUNC_TO_I64 | TRUNC_FROM_F64);
      return true;
    case OP_I64_TRUNC_SAT_F64_U:
      do_trunc(s, ref, node, MOP_TRUNC_SAT, TRUNC_TO_I64 | TRUNC_FROM_F64 | TRUNC_UNSIGNED);
      return true;
    default: return false;
  }
}

static bool memory(Isel *s, Ref ref, const Node *node) {
  Access access = load_access(node);
  if (access.row != 0) {
    load(s, ref, node, access);
    return true;
  }
  access = store_access(node);
  if (access.row != 0) {
    store(s, node, access);
    return true;
  }
  switch (node->op) {
    case IR_CELL_LOAD: load(s, ref, node, value_access(node->type, false)); return true;
    case IR_FIELD_LOAD: load(s, ref, node, field_access(node, node->type, false)); return true;
    case IR_CELL_STORE:
      put(s, node->b, kind_of(s, node->b), value_access(kind_of(s, node->b), true),
          isel_address(s, node));
      return true;
    case IR_FIELD_STORE:
      put(s, node->c, kind_of(s, node->c), field_access(node, kind_of(s, node->c), true),
          isel_address(s, node));
      return true;
    default: return atomic(s, ref, node);
  }
}

_Noreturn static void refuse(const Isel *s, const Node *node) {
  Guard *guard = s->arena->guard;
  error_set(guard->error, ERROR_UNSUPPORTED, "the compiler does not know %s yet",
            ir_op_text(node->op));
  guard->error->func = s->ir->func;
  guard->error->offset = ir_offset(s->ir, node->at);
  guard_raise(guard);
}

static void lower(Isel *s, Ref ref) {
  const Node *node = NODE(s->ir, ref);
  s->at = node->at;
  if (number(s, ref, node) || float_(s, ref, node) || memory(s, ref, node) || control(s, node) ||
      instance_value(s, ref, node) || isel_call(s, ref, node) || isel_simd(s, ref, node))
    return;
  refuse(s, node);
}

/* Blocks */

/* Uses nearest to the definition come last here and win. */
static void hint(Mach *f, const Ins *ins) {
  const Operand *operands = INS_OPERANDS(f, ins), *uses = operands + ins->n_defs;
  for (unsigned i = 0; i < ins->n_uses; i++) {
    if (uses[i].v != 0 && uses[i].fixed != REG_NONE) f->vregs[uses[i].v].hint = uses[i].fixed;
  }
  bool passes_on = (ins->flags & INS_TIED) || ins->op == MOP_MOV || ins->op == MOP_ADD;
  if (!passes_on || ins->n_uses == 0 || operands[0].v == 0 || uses[0].v == 0) return;
  VRegInfo *from = &f->vregs[uses[0].v], *to = &f->vregs[operands[0].v];
  if (class_of_kind(from->type) != class_of_kind(to->type)) return;
  if (from->hint == REG_NONE) from->hint = to->hint;
  if (from->friend == 0) from->friend = to->friend;
}

static void flush_group(Isel *s) {
  for (uint32_t i = s->group.n; i-- > 0;) {
    hint(s->f, &s->group.items[i]);
    VEC_PUSH(s->arena, &s->list, s->group.items[i]);
  }
  s->group.n = 0;
}

static void read_poll_flag(Isel *s) {
  VReg flag = s->poll_flag[s->block];
  if (flag == 0) return;
  Address at = {.base = BASE_INSTANCE, .disp = offsetof(Instance, poll)};
  isel_get(s, ENC_MOV, 8, flag, memory_source(at), 0);
  s->f->vregs[flag].kind = V_REMADE;
  flush_group(s);
}

/* Phis of the successors want their arguments at the end of this block. */
static void want_phi_args(Isel *s, Block b) {
  const BlockInfo *block = BLOCK_OF(s->ir, b);
  if (block->n_succs != 1) return;
  const BlockInfo *succ = BLOCK_OF(s->ir, block->succs[0]);
  uint32_t p = ir_pred_index(s->ir, block->succs[0], b);
  for (uint32_t i = 0; i < succ->phis.n; i++) {
    const Node *phi = NODE(s->ir, succ->phis.items[i]);
    if (phi->uses == 0) continue;
    VReg d = vreg_of(s, succ->phis.items[i]), arg = isel_anywhere(s, phi->args[p]);
    VRegInfo *info = &s->f->vregs[arg];
    s->f->vregs[d].is_phi = true;
    s->f->vregs[d].block = block->succs[0];
    if (info->kind == V_CONST || arg == d) continue;
    if (info->friend == 0) info->friend = d;
    if (s->f->vregs[d].friend == 0) s->f->vregs[d].friend = arg;
  }
}

static void find_effects(Isel *s, const BlockInfo *block) {
  if (block->effects.n > s->room_last_effect) {
    s->room_last_effect = block->effects.n * 2;
    s->last_effect = arena_new(s->arena, s->room_last_effect * sizeof *s->last_effect);
  }
  uint32_t last = 0;
  for (uint32_t i = 0; i < block->effects.n; i++) {
    Ref ref = block->effects.items[i];
    s->last_effect[i] = last;
    s->place[ref] = i + 1;
    if (ir_class_of[NODE(s->ir, ref)->op] != IR_VALUE) last = i + 1;
  }
}

static bool is_done_already(const Isel *s, Ref ref, const Node *node) {
  if (s->state[ref] & FOLDED) return true;
  if (node->op == IR_PARAM || node->op == IR_RESULT || node->op == OP_I64_EXTEND_I32_U) return true;
  return ir_is_floating(node) && !(s->state[ref] & WANTED);
}

static void lower_block(Isel *s, Block b) {
  const BlockInfo *block = BLOCK_OF(s->ir, b);
  Mach *f = s->f;
  s->block = b;
  s->list.n = 0;
  find_effects(s, block);
  want_phi_args(s, b);
  for (uint32_t i = block->effects.n; i-- > 0;) {
    Ref ref = block->effects.items[i];
    const Node *node = NODE(s->ir, ref);
    if (is_done_already(s, ref, node)) continue;
    s->effects_before = s->last_effect[i];
    lower(s, ref);
    flush_group(s);
    if (i == block->effects.n - 1) read_poll_flag(s);
  }
  if (b == s->ir->entry) {
    isel_params(s);
    flush_group(s);
  }
  MBlock *out = MACH_BLOCK(f, b);
  out->first = f->n_ins;
  out->n = s->list.n;
  while (f->room_ins < f->n_ins + s->list.n)
    f->ins = arena_grow(s->arena, f->ins, &f->room_ins, sizeof *f->ins);
  for (uint32_t i = s->list.n; i-- > 0;) {
    const Ins *ins = &s->list.items[i];
    const Operand *operands = INS_OPERANDS(f, ins);
    if (ins->n_defs == 1 && operands->v != 0) f->vregs[operands->v].def = f->n_ins;
    f->ins[f->n_ins++] = *ins;
  }
}

/* The graph: the Ir's blocks under their numbers, then blocks on split edges. */

static void copy_block(Mach *f, Block b, uint32_t rpo) {
  const BlockInfo *from = BLOCK_OF(f->ir, b);
  MBlock *to = MACH_BLOCK(f, b);
  *to = (MBlock){.n_preds = from->n_preds,
                 .n_succs = from->n_succs,
                 .idom = from->idom,
                 .loop = from->loop,
                 .rpo = rpo,
                 .depth = from->depth,
                 .is_cold = from->is_cold,
                 .is_loop_header = from->is_loop_header};
  to->preds = arena_copy(f->arena, from->preds, from->n_preds * sizeof *to->preds);
  to->succs = arena_copy(f->arena, from->succs, from->n_succs * sizeof *to->succs);
}

static bool is_critical(const Mach *f, Block b, uint32_t i) {
  const MBlock *block = MACH_BLOCK(f, b);
  return block->n_succs > 1 && MACH_BLOCK(f, block->succs[i])->n_preds > 1;
}

static uint32_t count_critical(const Ir *ir) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < ir->n_order; i++) {
    const BlockInfo *block = BLOCK_OF(ir, ir->order[i]);
    if (block->n_succs > 1) n += block->n_succs;
  }
  return n;
}

/* A SWITCH may name a successor several times: one split block serves them all. */
static void split_edge(Mach *f, Block b, uint32_t i) {
  MBlock *block = MACH_BLOCK(f, b);
  uint32_t target = block->succs[i];
  MBlock *succ = MACH_BLOCK(f, target);
  uint32_t new = f->n_blocks++;
  MBlock *edge = MACH_BLOCK(f, new);
  uint32_t loop = succ->depth < block->depth || succ->is_loop_header ? succ->loop : block->loop;
  *edge = (MBlock){.n_preds = 1,
                   .n_succs = 1,
                   .idom = b,
                   .loop = loop,
                   .is_edge = true,
                   .is_cold = block->is_cold || succ->is_cold,
                   .depth = MIN(succ->depth, block->depth)};
  edge->preds = arena_copy(f->arena, &b, sizeof b);
  edge->succs = arena_copy(f->arena, &target, sizeof target);
  edge->first = f->n_ins;
  edge->n = 0;
  for (uint32_t k = i; k < block->n_succs; k++) {
    if (block->succs[k] == target) block->succs[k] = new;
  }
  for (uint32_t k = 0; k < succ->n_preds; k++) {
    if (succ->preds[k] == b) succ->preds[k] = new;
  }
}

static void copy_phis(Isel *s, Block b) {
  const BlockInfo *from = BLOCK_OF(s->ir, b);
  MBlock *to = MACH_BLOCK(s->f, b);
  to->phis = arena_new(s->arena, from->phis.n * sizeof *to->phis);
  to->phi_args = arena_new(s->arena, from->n_preds * sizeof *to->phi_args);
  for (uint32_t p = 0; p < from->n_preds; p++)
    to->phi_args[p] = arena_new(s->arena, from->phis.n * sizeof **to->phi_args);
  for (uint32_t i = 0; i < from->phis.n; i++) {
    const Node *phi = NODE(s->ir, from->phis.items[i]);
    if (phi->uses == 0) continue;
    for (uint32_t p = 0; p < from->n_preds; p++)
      to->phi_args[p][to->n_phis] = isel_anywhere(s, phi->args[p]);
    to->phis[to->n_phis++] = vreg_of(s, from->phis.items[i]);
  }
  to->phi_next = arena_new(s->arena, to->n_phis * sizeof *to->phi_next);
}

static void number_preds(Mach *f) {
  for (uint32_t i = 0; i < f->n_order; i++) {
    const MBlock *block = MACH_BLOCK(f, f->rpo[i]);
    for (uint32_t p = 0; p < block->n_preds; p++) MACH_BLOCK(f, block->preds[p])->pred_index = p;
  }
}

/* Numbers of the dominator tree: children follow their parents in reverse post-order, so sizes of
 * subtrees are summed from the end, and numbers given out from the start. */
static void number_dominators(Mach *f) {
  uint32_t *size = arena_zero(f->arena, f->n_blocks * sizeof *size);
  uint32_t *next = arena_zero(f->arena, f->n_blocks * sizeof *next);
  for (uint32_t i = f->n_order; i-- > 0;) {
    const MBlock *block = MACH_BLOCK(f, f->rpo[i]);
    size[f->rpo[i]]++;
    if (i != 0) size[block->idom] += size[f->rpo[i]];
  }
  for (uint32_t i = 0; i < f->n_order; i++) {
    MBlock *block = MACH_BLOCK(f, f->rpo[i]);
    if (i == 0) {
      block->dom_first = 1;
    } else {
      block->dom_first = next[block->idom];
      next[block->idom] += size[f->rpo[i]];
    }
    block->dom_last = block->dom_first + size[f->rpo[i]] - 1;
    next[f->rpo[i]] = block->dom_first + 1;
  }
}

/* A split edge stands behind its block when that can fall into it: back edges, and edges that leave
 * a loop stay near; the others are out of the way. */
static void order_blocks(Mach *f, const uint32_t *ir_rpo, uint32_t n_ir) {
  const Ir *ir = f->ir;
  f->order = arena_new(f->arena, f->n_blocks * sizeof *f->order);
  f->rpo = arena_new(f->arena, f->n_blocks * sizeof *f->rpo);
  uint32_t n = 0;
  for (uint32_t i = 0; i < n_ir; i++) {
    f->rpo[n++] = ir_rpo[i];
    const MBlock *block = MACH_BLOCK(f, ir_rpo[i]);
    for (uint32_t k = 0; k < block->n_succs; k++) {
      MBlock *succ = MACH_BLOCK(f, block->succs[k]);
      if (!succ->is_edge || succ->rpo != 0) continue;
      succ->rpo = 1;
      f->rpo[n++] = block->succs[k];
    }
  }
  f->n_order = n;
  for (uint32_t i = 0; i < n; i++) MACH_BLOCK(f, f->rpo[i])->rpo = i + 1;
  uint32_t n_out = 0;
  for (int late = 0; late <= 1; late++) {
    for (uint32_t i = 0; i < ir->n_order; i++) {
      const MBlock *block = MACH_BLOCK(f, ir->order[i]);
      if (!late) f->order[n_out++] = ir->order[i];
      for (uint32_t k = 0; k < block->n_succs; k++) {
        MBlock *succ = MACH_BLOCK(f, block->succs[k]);
        if (!succ->is_edge || succ->is_ordered) continue;
        bool is_back = MACH_BLOCK(f, succ->succs[0])->rpo <= succ->rpo;
        if (!late && !is_back) continue;
        succ->is_ordered = true;
        f->order[n_out++] = block->succs[k];
      }
    }
  }
}

/* The blocks by their number in reverse post-order; the numbers may have gaps. */
static uint32_t *blocks_by_rpo(const Ir *ir, Arena *arena) {
  uint32_t most = 0;
  for (uint32_t i = 0; i < ir->n_order; i++) most = MAX(most, BLOCK_OF(ir, ir->order[i])->rpo);
  uint32_t *at = arena_zero(arena, (most + 1) * sizeof *at);
  uint32_t *out = arena_new(arena, ir->n_order * sizeof *out);
  for (uint32_t i = 0; i < ir->n_order; i++) at[BLOCK_OF(ir, ir->order[i])->rpo] = ir->order[i];
  uint32_t n = 0;
  for (uint32_t i = 0; i <= most; i++) {
    if (at[i] != 0) out[n++] = at[i];
  }
  return out;
}

Mach *isel_run(const Ir *ir, const JitTarget *target, Arena *arena) {
  Mach *f = ARENA_NEW(arena, Mach);
  *f = (Mach){.arena = arena, .ir = ir, .target = target, .random = target->random_seed};
  Isel s = {.f = f, .ir = ir, .arena = arena, .layout = instance_layout(ir->module)};
  s.vreg_of = arena_zero(arena, ir->n_nodes * sizeof *s.vreg_of);
  s.state = arena_zero(arena, ir->n_nodes);
  s.place = arena_zero(arena, ir->n_nodes * sizeof *s.place);
  s.poll_flag = arena_zero(arena, ir->n_blocks * sizeof *s.poll_flag);
  f->n_vregs = 0;
  mach_vreg(f, KIND_BOTTOM);
  if (abi_result_bytes(ir->type) != 0) s.result_area = mach_vreg(f, KIND_I64);
  if (s.result_area != 0) f->vregs[s.result_area].block = ir->entry;
  f->n_blocks = ir->n_blocks;
  f->blocks = arena_zero(arena, (ir->n_blocks + count_critical(ir) + 1) * sizeof *f->blocks);
  uint32_t *rpo = blocks_by_rpo(ir, arena);
  for (uint32_t i = 0; i < ir->n_order; i++) copy_block(f, rpo[i], i + 1);
  for (uint32_t i = ir->n_order; i-- > 0;) lower_block(&s, rpo[i]);
  for (uint32_t i = 0; i < ir->n_order; i++) copy_phis(&s, rpo[i]);
  for (uint32_t i = 0; i < ir->n_order; i++) {
    for (uint32_t k = 0; k < MACH_BLOCK(f, rpo[i])->n_succs; k++) {
      if (is_critical(f, rpo[i], k)) split_edge(f, rpo[i], k);
    }
  }
  order_blocks(f, rpo, ir->n_order);
  number_preds(f);
  number_dominators(f);
  return f;
}
#endif
