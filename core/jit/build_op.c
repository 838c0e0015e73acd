/* build_op.c - everything but control: numbers, variables, memories, tables.
 */
#include "../module/fuel.h"
#include "../runtime/store.h"
#include "builder.h"

/* Numbers */

static void pure(Builder *b, Op op) {
  Ir *ir = b->ir;
  bool is_binary = op_info[op].sig[1] != '>';
  Ref y = is_binary ? pop(b) : 0, x = pop(b), result;
  if (ir_class_of[op] == IR_VALUE) {
    result = is_binary ? fold_binary(ir, op, x, y) : fold_unary(ir, op, x);
  } else {
    result = is_binary ? fold_division(ir, op, x, y) : fold_constant_trunc(ir, op, x);
    if (result == 0) {
      result = build_effect(b, op, ir_result_of[op]);
      NODE(ir, result)->a = x;
      NODE(ir, result)->b = y;
    }
  }
  if (b->module->is_deterministic && (op_info[op].flags & OPF_NAN))
    result = fold_canonical_nan(ir, op, result);
  push(b, result);
}

static void simd(Builder *b, const Instr *instr) {
  Op op = instr->op;
  const char *sig = op_info[op].sig;
  Ref operands[3] = {0};
  for (unsigned i = (unsigned)(strchr(sig, '>') - sig); i-- > 0;) operands[i] = pop(b);
  uint64_t lanes = 0;
  uint8_t lane = op_info[op].imm == IMM_LANE ? instr->lane : 0;
  if (op == OP_I8X16_SHUFFLE) {
    Ref vector = fold_v128(b->ir, instr->v128);
    lanes = NODE(b->ir, vector)->imm;
  }
  Ref result = fold_simd(b->ir, op, operands[0], operands[1], operands[2], lane, lanes);
  if (b->module->is_deterministic && (op_info[op].flags & OPF_NAN))
    result = fold_canonical_nan(b->ir, op, result);
  push(b, result);
}

/* Products and sums of 128 bits in halves. */
static void wide_add(Builder *b) {
  Ir *ir = b->ir;
  Ref bh = pop(b), bl = pop(b), ah = pop(b), al = pop(b);
  Ref low = fold_binary(ir, OP_I64_ADD, al, bl);
  Ref carry = fold_unary(ir, OP_I64_EXTEND_I32_U, fold_binary(ir, OP_I64_LT_U, low, bl));
  push(b, low);
  push(b, fold_binary(ir, OP_I64_ADD, fold_binary(ir, OP_I64_ADD, ah, bh), carry));
}
static void wide_sub(Builder *b) {
  Ir *ir = b->ir;
  Ref bh = pop(b), bl = pop(b), ah = pop(b), al = pop(b);
  Ref borrow = fold_unary(ir, OP_I64_EXTEND_I32_U, fold_binary(ir, OP_I64_LT_U, al, bl));
  push(b, fold_binary(ir, OP_I64_SUB, al, bl));
  push(b, fold_binary(ir, OP_I64_SUB, fold_binary(ir, OP_I64_SUB, ah, bh), borrow));
}
static void wide_mul(Builder *b, unsigned high) {
  Ref y = pop(b), x = pop(b);
  push(b, fold_binary(b->ir, OP_I64_MUL, x, y));
  push(b, fold_value(b->ir, high, KIND_I64, x, y, 0));
}

static void select_op(Builder *b) {
  Ref condition = pop(b), y = pop(b), x = pop(b);
  push(b, fold_select(b->ir, condition, x, y));
}

/* Globals */

/* The value of an immutable global of the module, when its expression is a constant: else 0. */
static Ref known_global(Builder *b, uint32_t index) {
  ConstExpr init = b->module->globals[index].init;
  if (init.at == init.end) return 0;
  Reader reader = {.at = b->module->bytes + init.at,
                   .end = b->module->bytes + init.end,
                   .start = b->module->bytes};
  Instr instr;
  instr_read(&reader, &instr);
  if (reader.at == reader.end || *reader.at != 0x0B) return 0; /* more than one */
  switch (instr.op) {
    case OP_I32_CONST: return fold_i32(b->ir, (uint32_t)instr.u64);
    case OP_I64_CONST: return fold_i64(b->ir, instr.u64);
    case OP_F32_CONST: return fold_const(b->ir, KIND_F32, instr.u64);
    case OP_F64_CONST: return fold_const(b->ir, KIND_F64, instr.u64);
    case OP_V128_CONST: return fold_v128(b->ir, instr.v128);
    case OP_REF_NULL: return fold_const(b->ir, KIND_REF, 0);
    default: return 0;
  }
}

static Ref global_cell(Builder *b, uint32_t index) {
  return fold_value(b->ir, IR_GLOBAL_CELL, KIND_I64, 0, 0, index);
}

static void global_get(Builder *b, uint32_t index) {
  const GlobalType *type = &b->module->globals[index].type;
  unsigned kind = type_kind(type->type);
  if (!type->is_mutable) {
    Ref known = known_global(b, index);
    push(b, known != 0 ? known : fold_value(b->ir, IR_GLOBAL_CONST, kind, 0, 0, index));
    return;
  }
  Ref cell = global_cell(b, index), ref = build_effect(b, IR_CELL_LOAD, kind);
  NODE(b->ir, ref)->a = cell;
  NODE(b->ir, ref)->imm = index;
  push(b, ref);
}

static void global_set(Builder *b, uint32_t index) {
  Ref cell = global_cell(b, index), value = pop(b);
  Node *node = build_node(b, IR_CELL_STORE, KIND_BOTTOM);
  node->a = cell;
  node->b = value;
  node->imm = index;
}

/* Memories */

static bool memory_is_64(const Builder *b, uint32_t memory) {
  return b->module->memories[memory].limits.is_64;
}
static bool needs_check(const Builder *b, uint32_t memory) {
  const MemoryType *type = &b->module->memories[memory];
  return b->options->checks_memory || type->limits.is_64 || type->page_log2 != 16;
}

static Ref memory_bytes(Builder *b, uint32_t memory) {
  Ref ref = build_effect(b, IR_MEMORY_BYTES, KIND_I64);
  NODE(b->ir, ref)->memory = memory;
  return ref;
}

/* Traps unless address + size <= the memory's size, where size = offset + width of the access. A
 * memory never gets smaller, so that what the module's own minimum allows needs no check. */
static void check_bounds(Builder *b, uint32_t memory, Ref address, uint64_t offset,
                         uint64_t width) {
  Ir *ir = b->ir;
  const MemoryType *type = &b->module->memories[memory];
  uint64_t size = offset + width, known;
  uint64_t pages = MIN(type->limits.min, UINT64_C(1) << 32), least = pages << type->page_log2;
  if (size < offset) {
    build_trap_if(b, fold_i32(ir, 1), TRAP_MEMORY_BOUNDS);
    return;
  }
  if (fold_is_const(ir, address, &known) && size <= least && known <= least - size) return;
  if (!type->limits.is_64) address = fold_unary(ir, OP_I64_EXTEND_I32_U, address);
  Ref bytes = memory_bytes(b, memory);
  if (!type->limits.is_64 && size <= UINT32_MAX) { /* the sum cannot wrap */
    Ref end = fold_binary(ir, OP_I64_ADD, address, fold_i64(ir, size));
    build_trap_if(b, fold_binary(ir, OP_I64_GT_U, end, bytes), TRAP_MEMORY_BOUNDS);
    return;
  }
  if (size > least)
    build_trap_if(b, fold_binary(ir, OP_I64_LT_U, bytes, fold_i64(ir, size)), TRAP_MEMORY_BOUNDS);
  Ref last = fold_binary(ir, OP_I64_SUB, bytes, fold_i64(ir, size));
  build_trap_if(b, fold_binary(ir, OP_I64_GT_U, address, last), TRAP_MEMORY_BOUNDS);
}

/* Atomic accesses look at the alignment first. */
static void check_alignment(Builder *b, Ref address, uint64_t offset, uint32_t width) {
  if (width == 1) return;
  Ir *ir = b->ir;
  bool is_64 = NODE(ir, address)->type == KIND_I64;
  uint64_t low = width - 1;
  Ref sum = fold_binary(ir, is_64 ? OP_I64_ADD : OP_I32_ADD, address,
                        fold_const(ir, is_64 ? KIND_I64 : KIND_I32, offset & low));
  Ref bits = fold_binary(ir, is_64 ? OP_I64_AND : OP_I32_AND, sum,
                         fold_const(ir, is_64 ? KIND_I64 : KIND_I32, low));
  Ref is_odd = fold_binary(ir, is_64 ? OP_I64_NE : OP_I32_NE, bits,
                           fold_const(ir, is_64 ? KIND_I64 : KIND_I32, 0));
  build_trap_if(b, is_odd, TRAP_UNALIGNED_ATOMIC);
}

/* All accesses with a fixed signature: operands are popped, a result is pushed. */
static void do_access(Builder *b, const Instr *instr) {
  Op op = instr->op;
  const OpInfo *info = &op_info[op];
  const char *arrow = strchr(info->sig, '>');
  Ref operands[3] = {0};
  for (unsigned i = (unsigned)(arrow - info->sig); i-- > 0;) operands[i] = pop(b);
  uint32_t memory = instr->memarg.memory;
  uint64_t offset = instr->memarg.offset;
  if (info->flags & OPF_ATOMIC) check_alignment(b, operands[0], offset, info->width);
  if (!memory_is_64(b, memory)) fold_address(b->ir, &operands[0], &offset);
  if (needs_check(b, memory)) check_bounds(b, memory, operands[0], offset, info->width);
  if ((info->flags & OPF_STORE) && info->imm == IMM_MEMARG)
    operands[1] = fold_stored(b->ir, operands[1], info->width);
  Ref ref = build_effect(b, op, arrow[1] ? ir_result_of[op] : KIND_BOTTOM);
  Node *node = NODE(b->ir, ref);
  node->a = operands[0];
  node->b = operands[1];
  node->c = operands[2];
  node->imm = offset;
  node->memory = memory;
  node->lane = info->imm == IMM_MEMARG_LANE ? instr->lane : 0;
  if (arrow[1]) push(b, ref);
}

/* A number of the given type as i64. */
static Ref widened(Builder *b, Ref x) {
  return NODE(b->ir, x)->type == KIND_I32 ? fold_unary(b->ir, OP_I64_EXTEND_I32_U, x) : x;
}
static Ref narrowed(Builder *b, Ref x, bool is_64) {
  return is_64 ? x : fold_unary(b->ir, OP_I32_WRAP_I64, x);
}
static Ref number(Builder *b, uint32_t x) {
  return fold_i32(b->ir, x);
}

/* wait and notify: the helper adds the offset and checks. */
static void wait_or_notify(Builder *b, const Instr *instr) {
  bool is_notify = instr->op == OP_MEMORY_ATOMIC_NOTIFY;
  Ref timeout = is_notify ? 0 : pop(b), x = pop(b), address = widened(b, pop(b));
  Ref args[5] = {number(b, instr->memarg.memory), address, fold_i64(b->ir, instr->memarg.offset), x,
                 timeout};
  unsigned helper = is_notify                              ? HELPER_memory_notify
                    : instr->op == OP_MEMORY_ATOMIC_WAIT32 ? HELPER_memory_wait32
                                                           : HELPER_memory_wait64;
  push(b, build_helper(b, helper, args));
}

static void memory_size(Builder *b, uint32_t memory) {
  Ref shift = fold_i64(b->ir, b->module->memories[memory].page_log2);
  Ref pages = fold_binary(b->ir, OP_I64_SHR_U, memory_bytes(b, memory), shift);
  push(b, narrowed(b, pages, memory_is_64(b, memory)));
}

static void memory_grow(Builder *b, uint32_t memory) {
  Ref pages = widened(b, pop(b));
  Ref old = build_helper(b, HELPER_memory_grow, (Ref[]){number(b, memory), pages});
  push(b, narrowed(b, old, memory_is_64(b, memory)));
}

/* A helper that takes one or two indices, then a place, a place or value, and a number of things.
 */
static void bulk(Builder *b, unsigned helper, const uint32_t *indices, uint32_t n_indices,
                 unsigned fuel_log2) {
  const char *signature = helper_info[helper].signature;
  Ref args[5];
  for (uint32_t i = 0; i < n_indices; i++) args[i] = number(b, indices[i]);
  uint32_t n_args = n_indices + 3;
  for (uint32_t i = n_args; i-- > n_indices;) {
    args[i] = pop(b);
    if (i + 1 == n_args) build_bulk_fuel(b, args[i], fuel_log2);
    if (signature[i] == 'l') args[i] = widened(b, args[i]);
  }
  build_helper(b, helper, args);
}

static bool memory_op(Builder *b, const Instr *instr) {
  uint32_t m = instr->index, m2 = instr->index2;
  switch (instr->op) {
    case OP_MEMORY_SIZE: memory_size(b, m); return true;
    case OP_MEMORY_GROW: memory_grow(b, m); return true;
    case OP_MEMORY_FILL: bulk(b, HELPER_memory_fill, &m, 1, FUEL_BYTES_LOG2); return true;
    case OP_MEMORY_COPY:
      bulk(b, HELPER_memory_copy, (uint32_t[]){m, m2}, 2, FUEL_BYTES_LOG2);
      return true;
    case OP_MEMORY_INIT:
      bulk(b, HELPER_memory_init, (uint32_t[]){m2, m}, 2, FUEL_BYTES_LOG2);
      return true;
    case OP_DATA_DROP: build_helper(b, HELPER_data_drop, (Ref[]){number(b, m)}); return true;
    case OP_ATOMIC_FENCE: build_effect(b, OP_ATOMIC_FENCE, KIND_BOTTOM); return true;
    default: return false;
  }
}

/* Tables */

static bool table_is_64(const Builder *b, uint32_t table) {
  return b->module->tables[table].type.limits.is_64;
}

static Ref table_object(Builder *b, uint32_t table) {
  return fold_value(b->ir, IR_TABLE_OBJECT, KIND_I64, 0, 0, table);
}

static Ref table_length(Builder *b, uint32_t table) {
  return build_field(b, KIND_I64, table_object(b, table), offsetof(Table, n), FIELD_64,
                     ALIAS_TABLE);
}

/* Checks the index; the items follow. */
static Ref table_items(Builder *b, uint32_t table, Ref index) {
  Ref n = table_length(b, table);
  build_trap_if(b, fold_binary(b->ir, OP_I64_GE_U, widened(b, index), n), TRAP_TABLE_BOUNDS);
  return build_field(b, KIND_I64, table_object(b, table), offsetof(Table, items), FIELD_64,
                     ALIAS_TABLE);
}

/* An index that was checked fits 32 bits: no table is larger. */
static Ref table_index(Builder *b, Ref index) {
  return NODE(b->ir, index)->type == KIND_I64 ? fold_unary(b->ir, OP_I32_WRAP_I64, index) : index;
}

static void table_get(Builder *b, uint32_t table) {
  Ref index = pop(b), items = table_items(b, table, index);
  Ref item = build_field(b, KIND_REF, items, 0, FIELD_64, ALIAS_ITEMS);
  index = table_index(b, index);
  NODE(b->ir, item)->b = index;
  push(b, item);
}

static void table_set(Builder *b, uint32_t table) {
  Ref value = pop(b), index = pop(b), items = table_items(b, table, index);
  build_store_field(b, items, table_index(b, index), 0, value, FIELD_64, ALIAS_ITEMS);
}

static void table_grow(Builder *b, uint32_t table) {
  Ref n = pop(b), init = pop(b);
  build_bulk_fuel(b, n, FUEL_ELEMENTS_LOG2);
  Ref old = build_helper(b, HELPER_table_grow, (Ref[]){number(b, table), init, widened(b, n)});
  push(b, narrowed(b, old, table_is_64(b, table)));
}

static bool table_op(Builder *b, const Instr *instr) {
  uint32_t t = instr->index, t2 = instr->index2;
  switch (instr->op) {
    case OP_TABLE_GET: table_get(b, t); return true;
    case OP_TABLE_SET: table_set(b, t); return true;
    case OP_TABLE_SIZE: push(b, narrowed(b, table_length(b, t), table_is_64(b, t))); return true;
    case OP_TABLE_GROW: table_grow(b, t); return true;
    case OP_TABLE_FILL: bulk(b, HELPER_table_fill, &t, 1, FUEL_ELEMENTS_LOG2); return true;
    case OP_TABLE_COPY:
      bulk(b, HELPER_table_copy, (uint32_t[]){t, t2}, 2, FUEL_ELEMENTS_LOG2);
      return true;
    case OP_TABLE_INIT:
      bulk(b, HELPER_table_init, (uint32_t[]){t2, t}, 2, FUEL_ELEMENTS_LOG2);
      return true;
    case OP_ELEM_DROP: build_helper(b, HELPER_elem_drop, (Ref[]){number(b, t)}); return true;
    default: return false;
  }
}

static void local_set(Builder *b, uint32_t index) {
  b->locals.items[b->frame.first_local + index] = b->stack.items[b->stack.n - 1];
}

static bool simple_op(Builder *b, const Instr *instr) {
  switch (instr->op) {
    case OP_NOP: return true;
    case OP_DROP: pop(b); return true;
    case OP_SELECT:
    case OP_SELECT_T: select_op(b); return true;
    case OP_LOCAL_GET: push(b, build_read_local(b, instr->index)); return true;
    case OP_LOCAL_TEE: local_set(b, instr->index); return true;
    case OP_LOCAL_SET:
      local_set(b, instr->index);
      pop(b);
      return true;
    case OP_GLOBAL_GET: global_get(b, instr->index); return true;
    case OP_GLOBAL_SET: global_set(b, instr->index); return true;
    case OP_I32_CONST: push(b, fold_i32(b->ir, (uint32_t)instr->u64)); return true;
    case OP_I64_CONST: push(b, fold_i64(b->ir, instr->u64)); return true;
    case OP_F32_CONST: push(b, fold_const(b->ir, KIND_F32, instr->u64)); return true;
    case OP_F64_CONST: push(b, fold_const(b->ir, KIND_F64, instr->u64)); return true;
    case OP_V128_CONST: push(b, fold_v128(b->ir, instr->v128)); return true;
    case OP_I64_ADD128: wide_add(b); return true;
    case OP_I64_SUB128: wide_sub(b); return true;
    case OP_I64_MUL_WIDE_S: wide_mul(b, IR_MULH_S); return true;
    case OP_I64_MUL_WIDE_U: wide_mul(b, IR_MULH_U); return true;
    case OP_MEMORY_ATOMIC_NOTIFY:
    case OP_MEMORY_ATOMIC_WAIT32:
    case OP_MEMORY_ATOMIC_WAIT64: wait_or_notify(b, instr); return true;
    default: return false;
  }
}

void build_op(Builder *b, const Instr *instr) {
  unsigned flags = op_info[instr->op].flags;
  if (flags & OPF_PURE) {
    pure(b, instr->op);
  } else if (flags & OPF_SIMD) {
    simd(b, instr);
  } else if ((flags & OPF_CONTROL) == 0) {
    do_access(b, instr);
  } else if (!simple_op(b, instr) && !memory_op(b, instr) && !table_op(b, instr) &&
             !build_reference(b, instr)) {
    error_set(b->arena->guard->error, ERROR_UNSUPPORTED,
              "instruction %s is not supported by the compiler", op_info[instr->op].text);
    guard_raise(b->arena->guard);
  }
}
