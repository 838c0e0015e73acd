/* build_reference.c - references, structures, arrays, casts.
 *
 * References are pointers to objects, 0 for null; an i31 has bit 0 set. Fields are read and written
 * in place; what allocates and what moves many elements are helpers.
 */
#include "../module/fuel.h"
#include "../runtime/store.h"
#include "builder.h"

void build_store_field(Builder *b, Ref base, Ref index, size_t offset, Ref value, unsigned field,
                       unsigned alias) {
  Node *node = build_node(b, IR_FIELD_STORE, KIND_BOTTOM);
  node->a = base;
  node->b = index;
  node->c = value;
  node->imm = offset;
  node->lane = (uint8_t)field;
  node->memory = alias;
}

unsigned build_field_of(ValType storage, bool is_signed) {
  switch (type_kind(storage)) {
    case KIND_I8: return is_signed ? FIELD_I8_S : FIELD_I8_U;
    case KIND_I16: return is_signed ? FIELD_I16_S : FIELD_I16_U;
    case KIND_I32:
    case KIND_F32: return FIELD_32;
    case KIND_V128: return FIELD_128;
    default: return FIELD_64;
  }
}

/* The kind of value that a field is on the stack. */
static unsigned unpacked(ValType storage) {
  unsigned kind = type_kind(storage);
  return kind == KIND_I8 || kind == KIND_I16 ? KIND_I32 : kind;
}

static void trap_if_null(Builder *b, Ref ref, Trap trap) {
  build_trap_if(b, fold_unary(b->ir, OP_I64_EQZ, ref), trap);
}

static Ref is_small_int(Builder *b, Ref ref) {
  return fold_unary(b->ir, OP_I32_WRAP_I64,
                    fold_binary(b->ir, OP_I64_AND, ref, fold_i64(b->ir, 1)));
}

/* Small integers */

static void ref_i31(Builder *b) {
  Ir *ir = b->ir;
  Ref number = pop(b);
  Ref shifted = fold_binary(ir, OP_I32_SHL, number, fold_i32(ir, 1));
  Ref tagged = fold_binary(ir, OP_I32_OR, shifted, fold_i32(ir, 1));
  push(b, fold_unary(ir, OP_I64_EXTEND_I32_U, tagged));
}

static void i31_get(Builder *b, bool is_signed) {
  Ref ref = pop(b);
  trap_if_null(b, ref, TRAP_NULL_I31);
  Ref low = fold_unary(b->ir, OP_I32_WRAP_I64, ref);
  push(b, fold_binary(b->ir, is_signed ? OP_I32_SHR_S : OP_I32_SHR_U, low, fold_i32(b->ir, 1)));
}

/* Structures */

static const FieldType *fields_of(const Builder *b, uint32_t type) {
  return b->module->types[type].comp.fields;
}
static unsigned alias_of(const FieldType *field) {
  return field->is_mutable ? ALIAS_OBJECT : ALIAS_FIXED;
}
static size_t field_offset(const Builder *b, uint32_t type, uint32_t field) {
  return sizeof(Object) + type_of_id(b->module->type_ids[type])->offsets[field];
}

static void struct_new(Builder *b, uint32_t type, bool is_default) {
  const CompType *comp = &b->module->types[type].comp;
  Ref object = build_helper(b, HELPER_struct_alloc, (Ref[]){fold_i32(b->ir, type)});
  if (!is_default) b->stack.n -= comp->n_fields;
  for (uint32_t i = 0; i < comp->n_fields; i++) {
    ValType storage = comp->fields[i].type;
    Ref value = is_default ? fold_zero(b->ir, unpacked(storage)) : b->stack.items[b->stack.n + i];
    build_store_field(b, object, 0, field_offset(b, type, i), value, build_field_of(storage, false),
                      alias_of(&comp->fields[i]));
  }
  push(b, object);
}

static void struct_get(Builder *b, const Instr *instr) {
  const FieldType *field = &fields_of(b, instr->index)[instr->index2];
  Ref object = pop(b);
  trap_if_null(b, object, TRAP_NULL_STRUCTURE);
  push(b,
       build_field(b, unpacked(field->type), object, field_offset(b, instr->index, instr->index2),
                   build_field_of(field->type, instr->op == OP_STRUCT_GET_S), alias_of(field)));
}

static void struct_set(Builder *b, const Instr *instr) {
  const FieldType *field = &fields_of(b, instr->index)[instr->index2];
  Ref value = pop(b), object = pop(b);
  trap_if_null(b, object, TRAP_NULL_STRUCTURE);
  build_store_field(b, object, 0, field_offset(b, instr->index, instr->index2), value,
                    build_field_of(field->type, false), ALIAS_OBJECT);
}

/* Arrays */

static Ref array_length(Builder *b, Ref array) {
  trap_if_null(b, array, TRAP_NULL_ARRAY);
  return build_field(b, KIND_I32, array, offsetof(Array, n), FIELD_32, ALIAS_FIXED);
}

static void check_index(Builder *b, Ref array, Ref index) {
  Ref n = array_length(b, array);
  build_trap_if(b, fold_binary(b->ir, OP_I32_GE_U, index, n), TRAP_ARRAY_BOUNDS);
}

static void array_get(Builder *b, const Instr *instr) {
  const FieldType *element = fields_of(b, instr->index);
  Ref index = pop(b), array = pop(b);
  check_index(b, array, index);
  Ref value =
      build_field(b, unpacked(element->type), array, sizeof(Array),
                  build_field_of(element->type, instr->op == OP_ARRAY_GET_S), alias_of(element));
  NODE(b->ir, value)->b = index;
  push(b, value);
}

static void array_set(Builder *b, uint32_t type) {
  Ref value = pop(b), index = pop(b), array = pop(b);
  check_index(b, array, index);
  build_store_field(b, array, index, sizeof(Array), value,
                    build_field_of(fields_of(b, type)->type, false), ALIAS_OBJECT);
}

/* A value's bits as two i64, as helpers take elements. */
static void element_bits(Builder *b, Ref value, Ref bits[2]) {
  Ir *ir = b->ir;
  bits[1] = fold_i64(ir, 0);
  switch (NODE(ir, value)->type) {
    case KIND_F32: value = fold_unary(ir, OP_I32_REINTERPRET_F32, value); /* fall through */
    case KIND_I32: bits[0] = fold_unary(ir, OP_I64_EXTEND_I32_U, value); break;
    case KIND_F64: bits[0] = fold_unary(ir, OP_I64_REINTERPRET_F64, value); break;
    case KIND_V128:
      bits[0] = fold_simd(ir, OP_I64X2_EXTRACT_LANE, value, 0, 0, 0, 0);
      bits[1] = fold_simd(ir, OP_I64X2_EXTRACT_LANE, value, 0, 0, 1, 0);
      break;
    default: bits[0] = value; break;
  }
}

static void array_new(Builder *b, uint32_t type, bool is_default) {
  Ref n = pop(b), bits[2];
  Ref value = is_default ? fold_i32(b->ir, 0) : pop(b);
  build_bulk_fuel(b, n, FUEL_ELEMENTS_LOG2);
  element_bits(b, value, bits);
  Ref args[] = {fold_i32(b->ir, type), n, bits[0], bits[1]};
  push(b, build_helper(b, HELPER_array_new, args));
}

static void array_new_fixed(Builder *b, uint32_t type, uint32_t n) {
  const FieldType *element = fields_of(b, type);
  uint32_t size = type_of_id(b->module->type_ids[type])->size;
  Ref args[] = {fold_i32(b->ir, type), fold_i32(b->ir, n)};
  Ref array = build_helper(b, HELPER_array_alloc, args);
  b->stack.n -= n;
  for (uint32_t i = 0; i < n; i++)
    build_store_field(b, array, 0, sizeof(Array) + (size_t)i * size, b->stack.items[b->stack.n + i],
                      build_field_of(element->type, false), alias_of(element));
  push(b, array);
}

static void array_new_segment(Builder *b, unsigned helper, const Instr *instr) {
  Ref n = pop(b), from = pop(b);
  build_bulk_fuel(b, n, FUEL_ELEMENTS_LOG2);
  Ref args[] = {fold_i32(b->ir, instr->index), fold_i32(b->ir, instr->index2), from, n};
  push(b, build_helper(b, helper, args));
}

static void array_fill(Builder *b) {
  Ref n = pop(b), value = pop(b), at = pop(b), array = pop(b), bits[2];
  build_bulk_fuel(b, n, FUEL_ELEMENTS_LOG2);
  element_bits(b, value, bits);
  build_helper(b, HELPER_array_fill, (Ref[]){array, at, n, bits[0], bits[1]});
}

static void array_copy(Builder *b) {
  Ref n = pop(b), from_at = pop(b), from = pop(b), at = pop(b), array = pop(b);
  build_bulk_fuel(b, n, FUEL_ELEMENTS_LOG2);
  build_helper(b, HELPER_array_copy, (Ref[]){array, at, from, from_at, n});
}

static void array_init(Builder *b, unsigned helper, uint32_t segment) {
  Ref n = pop(b), from = pop(b), at = pop(b), array = pop(b);
  build_bulk_fuel(b, n, FUEL_ELEMENTS_LOG2);
  build_helper(b, helper, (Ref[]){array, at, fold_i32(b->ir, segment), from, n});
}

/* Casts. To a type of the module they are a few compares: with the type itself, then with the
 * supertype of the object's type at the wanted one's depth. */

static bool is_defined_type(const Builder *b, ValType type) {
  return type_is_indexed(type) && b->module->types[type_heap(type)].comp.kind != COMP_CONT;
}

/* Goes on where the condition does not hold. */
static void leave_if(Builder *b, Ref condition, Block to) {
  Block next = ir_block(b->ir);
  build_branch(b, condition, to, next);
  b->now = next;
}

/* The address of a canonical type. */
static Ref type_object(Builder *b, uint32_t index) {
  return fold_value(b->ir, IR_TYPE_OBJECT, KIND_I64, 0, 0, index);
}

static void test_supertype(Builder *b, Ref found, uint32_t index, Block yes, Block no) {
  Ir *ir = b->ir;
  uint32_t depth = type_of_id(b->module->type_ids[index])->depth;
  Ref own_depth = build_field(b, KIND_I32, found, offsetof(Type, depth), FIELD_32, ALIAS_FIXED);
  leave_if(b, fold_binary(ir, OP_I32_LE_U, own_depth, fold_i32(ir, depth)), no);
  Ref display = build_field(b, KIND_I64, found, offsetof(Type, display), FIELD_64, ALIAS_FIXED);
  Ref above = build_field(b, KIND_I64, display, depth * sizeof(Type *), FIELD_64, ALIAS_FIXED);
  build_branch(b, fold_binary(ir, OP_I64_EQ, above, type_object(b, index)), yes, no);
}

/* Ends the block: to `yes` when the reference is of the type, which is_defined_type, else to `no`.
 * Objects that hold a value of the host have no type. */
static void test_type(Builder *b, Ref ref, ValType type, Block yes, Block no) {
  Ir *ir = b->ir;
  uint32_t index = type_heap(type);
  const SubType *wanted = &b->module->types[index];
  bool is_func = wanted->comp.kind == COMP_FUNC;
  leave_if(b, fold_unary(ir, OP_I64_EQZ, ref), type_is_nullable(type) ? yes : no);
  if (!is_func) leave_if(b, is_small_int(b, ref), no);
  Ref found = build_field(b, KIND_I64, ref, is_func ? offsetof(Func, type) : offsetof(Object, type),
                          FIELD_64, ALIAS_FIXED);
  Ref is_same = fold_binary(ir, OP_I64_EQ, found, type_object(b, index));
  if (wanted->is_final) {
    build_branch(b, is_same, yes, no);
    return;
  }
  leave_if(b, is_same, yes);
  if (!is_func) leave_if(b, fold_unary(ir, OP_I64_EQZ, found), no);
  test_supertype(b, found, index, yes, no);
}

/* Tests of all other types. */
static Ref test_abstract(Builder *b, Ref ref, ValType type) {
  Ir *ir = b->ir;
  Ref is_null = fold_unary(ir, OP_I64_EQZ, ref);
  bool is_nullable = type_is_nullable(type);
  switch (type_heap(type)) {
    case HEAP_FUNC:
    case HEAP_EXTERN:
    case HEAP_ANY:
    case HEAP_EXN: return is_nullable ? fold_i32(ir, 1) : fold_unary(ir, OP_I32_EQZ, is_null);
    case HEAP_NONE:
    case HEAP_NOFUNC:
    case HEAP_NOEXTERN:
    case HEAP_NOEXN: return is_nullable ? is_null : fold_i32(ir, 0);
    case HEAP_I31: {
      Ref is_int = is_small_int(b, ref);
      return is_nullable ? fold_binary(ir, OP_I32_OR, is_int, is_null) : is_int;
    }
    default: return build_helper(b, HELPER_ref_test, (Ref[]){ref, fold_i32(ir, type)});
  }
}

Ref build_ref_test(Builder *b, Ref ref, ValType type) {
  if (!is_defined_type(b, type)) return test_abstract(b, ref, type);
  Ir *ir = b->ir;
  Block yes = ir_block(ir), no = ir_block(ir), next = ir_block(ir);
  test_type(b, ref, type, yes, no);
  b->now = yes;
  build_goto(b, next);
  b->now = no;
  build_goto(b, next);
  b->now = next;
  Ref one = fold_i32(ir, 1), zero = fold_i32(ir, 0), phi = ir_node(ir, IR_PHI, KIND_I32);
  Node *node = NODE(ir, phi);
  node->block = next;
  node->n_args = 2;
  node->args = arena_copy(b->arena, (Ref[]){one, zero}, 2 * sizeof(Ref));
  VEC_PUSH(b->arena, &BLOCK_OF(ir, next)->phis, phi);
  return phi;
}

void build_cast_branch(Builder *b, Ref ref, ValType type, bool wants, uint32_t depth) {
  if (!is_defined_type(b, type)) {
    Ref is_of_type = test_abstract(b, ref, type);
    build_jump_if(b, wants ? is_of_type : fold_unary(b->ir, OP_I32_EQZ, is_of_type), depth);
    return;
  }
  Block yes = ir_block(b->ir), no = ir_block(b->ir);
  test_type(b, ref, type, yes, no);
  b->now = wants ? yes : no;
  build_jump(b, depth);
  b->now = wants ? no : yes;
}

static ValType cast_type(const Instr *instr) {
  bool is_nullable = instr->op == OP_REF_TEST_NULL || instr->op == OP_REF_CAST_NULL;
  return is_nullable ? instr->type | TYPE_NULLABLE : instr->type & ~TYPE_NULLABLE;
}

static void ref_cast(Builder *b, const Instr *instr) {
  Ref ref = b->stack.items[b->stack.n - 1];
  ValType type = cast_type(instr);
  if (!is_defined_type(b, type)) {
    Ref is_of_type = test_abstract(b, ref, type);
    build_trap_if(b, fold_unary(b->ir, OP_I32_EQZ, is_of_type), TRAP_CAST_FAILURE);
    return;
  }
  Block yes = ir_block(b->ir), no = ir_block(b->ir);
  test_type(b, ref, type, yes, no);
  b->now = no;
  build_node(b, IR_TRAP, KIND_BOTTOM)->imm = TRAP_CAST_FAILURE;
  b->now = yes;
}

static bool array_op(Builder *b, const Instr *instr) {
  switch (instr->op) {
    case OP_ARRAY_NEW: array_new(b, instr->index, false); return true;
    case OP_ARRAY_NEW_DEFAULT: array_new(b, instr->index, true); return true;
    case OP_ARRAY_NEW_FIXED: array_new_fixed(b, instr->index, instr->index2); return true;
    case OP_ARRAY_NEW_DATA: array_new_segment(b, HELPER_array_new_data, instr); return true;
    case OP_ARRAY_NEW_ELEM: array_new_segment(b, HELPER_array_new_elem, instr); return true;
    case OP_ARRAY_GET:
    case OP_ARRAY_GET_S:
    case OP_ARRAY_GET_U: array_get(b, instr); return true;
    case OP_ARRAY_SET: array_set(b, instr->index); return true;
    case OP_ARRAY_LEN: push(b, array_length(b, pop(b))); return true;
    case OP_ARRAY_FILL: array_fill(b); return true;
    case OP_ARRAY_COPY: array_copy(b); return true;
    case OP_ARRAY_INIT_DATA: array_init(b, HELPER_array_init_data, instr->index2); return true;
    case OP_ARRAY_INIT_ELEM: array_init(b, HELPER_array_init_elem, instr->index2); return true;
    default: return false;
  }
}

bool build_reference(Builder *b, const Instr *instr) {
  Ir *ir = b->ir;
  switch (instr->op) {
    case OP_REF_NULL: push(b, fold_const(ir, KIND_REF, 0)); return true;
    case OP_REF_IS_NULL: push(b, fold_unary(ir, OP_I64_EQZ, pop(b))); return true;
    case OP_REF_FUNC:
      push(b, fold_value(ir, IR_FUNC_REF, KIND_REF, 0, 0, instr->index));
      return true;
    case OP_REF_EQ: {
      Ref y = pop(b), x = pop(b);
      push(b, fold_binary(ir, OP_I64_EQ, x, y));
      return true;
    }
    case OP_REF_AS_NON_NULL:
      trap_if_null(b, b->stack.items[b->stack.n - 1], TRAP_NULL_REFERENCE);
      return true;
    case OP_REF_I31: ref_i31(b); return true;
    case OP_I31_GET_S: i31_get(b, true); return true;
    case OP_I31_GET_U: i31_get(b, false); return true;
    case OP_REF_TEST:
    case OP_REF_TEST_NULL: push(b, build_ref_test(b, pop(b), cast_type(instr))); return true;
    case OP_REF_CAST:
    case OP_REF_CAST_NULL: ref_cast(b, instr); return true;
    case OP_ANY_CONVERT_EXTERN:
    case OP_EXTERN_CONVERT_ANY: return true; /* one representation */
    case OP_STRUCT_NEW: struct_new(b, instr->index, false); return true;
    case OP_STRUCT_NEW_DEFAULT: struct_new(b, instr->index, true); return true;
    case OP_STRUCT_GET:
    case OP_STRUCT_GET_S:
    case OP_STRUCT_GET_U: struct_get(b, instr); return true;
    case OP_STRUCT_SET: struct_set(b, instr); return true;
    default: return array_op(b, instr);
  }
}
