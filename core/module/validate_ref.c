/* validate_ref.c - references, structures, arrays, casts.
 *
 * Spec 3.0, "Reference Instructions" and "Aggregate Instructions".
 */
#include "validate.h"

enum { MOST_FIXED = 10000 };

static ValType unpacked(ValType storage) {
  return storage == TYPE_I8 || storage == TYPE_I16 ? TYPE_I32 : storage;
}

static ValType null_ref(const Type *type) {
  return REF_TYPE(type->id, true);
}

static void push_ref(Validator *v, const Type *type) {
  push(v, REF_TYPE(type->id, false));
}

/* Pops `n` equal operands. */
static void pop_many(Validator *v, ValType type, uint32_t n) {
  for (uint32_t i = 0; i < n && !(v->top == v->floor && v->frame->is_unreachable); i++)
    pop(v, type);
}

static void check_ref_func(Validator *v) {
  uint32_t index = v->instr.index;
  const Type *type = validate_func_type(v, index);
  FuncDef *def = &v->module->funcs[index];
  if (v->is_const) {
    def->is_referenced = true;
  } else if (!def->is_referenced) {
    validate_fail(v, ERROR_INVALID, "undeclared function reference %u", (unsigned)index);
  }
  push_ref(v, type);
}

static void check_test(Validator *v, bool is_cast) {
  ValType type = validate_canonical(v, v->instr.type);
  pop(v, REF_TYPE(heap_top(type_heap(type)), true));
  push(v, is_cast ? type : TYPE_I32);
}

/* any.convert_extern and its inverse keep nullability. */
static void check_convert(Validator *v, uint32_t from, uint32_t to) {
  ValType ref = validate_pop_ref(v);
  bool is_nullable = type_is_nullable(ref);
  if (!heap_matches(type_heap(ref), from)) {
    v->top++;
    ValType wanted = REF_TYPE(from, is_nullable);
    validate_stack_mismatch(v, &wanted, 1);
  }
  push(v, REF_TYPE(to, is_nullable));
}

/* Structures */

static void check_struct_new(Validator *v) {
  const Type *type = validate_type(v, v->instr.index, COMP_STRUCT);
  for (uint32_t i = type->comp.n_fields; i-- > 0;) {
    if (v->top == v->floor && v->frame->is_unreachable) break;
    pop(v, unpacked(type->comp.fields[i].type));
  }
  push_ref(v, type);
}

/* A structure may have thousands of fields: they are looked at once. */
static bool has_defaults(Validator *v, uint32_t index, const CompType *comp) {
  uint8_t *known = &v->defaults[index];
  if (*known == 0) {
    *known = 1;
    for (uint32_t i = 0; i < comp->n_fields; i++)
      if (!type_has_default(comp->fields[i].type)) *known = 2;
  }
  return *known == 1;
}

static void check_struct_new_default(Validator *v) {
  const Type *type = validate_type(v, v->instr.index, COMP_STRUCT);
  if (!has_defaults(v, v->instr.index, &type->comp))
    validate_fail(v, ERROR_INVALID, "type mismatch: field type is not defaultable");
  push_ref(v, type);
}

static FieldType struct_field(Validator *v, const Type *type) {
  if (v->instr.index2 >= type->comp.n_fields) validate_unknown(v, "field", v->instr.index2);
  return type->comp.fields[v->instr.index2];
}

static void check_packed(const Validator *v, ValType storage, bool wants_packed) {
  bool is_packed = unpacked(storage) != storage;
  if (is_packed != wants_packed)
    validate_fail(v, ERROR_INVALID, "type mismatch: field is %s",
                  is_packed ? "packed" : "unpacked");
}

static void check_struct_get(Validator *v, bool wants_packed) {
  const Type *type = validate_type(v, v->instr.index, COMP_STRUCT);
  FieldType field = struct_field(v, type);
  check_packed(v, field.type, wants_packed);
  pop(v, null_ref(type));
  push(v, unpacked(field.type));
}

static void check_struct_set(Validator *v) {
  const Type *type = validate_type(v, v->instr.index, COMP_STRUCT);
  FieldType field = struct_field(v, type);
  if (!field.is_mutable) validate_fail(v, ERROR_INVALID, "immutable field");
  pop(v, unpacked(field.type));
  pop(v, null_ref(type));
}

/* Arrays */

static const Type *array_type(Validator *v, uint32_t index) {
  return validate_type(v, index, COMP_ARRAY);
}

static ValType element(const Type *type) {
  return type->comp.fields[0].type;
}

static void check_mutable_array(const Validator *v, const Type *type) {
  if (!type->comp.fields[0].is_mutable) validate_fail(v, ERROR_INVALID, "immutable array");
}

static void check_array_new(Validator *v) {
  const Type *type = array_type(v, v->instr.index);
  pop(v, TYPE_I32);
  pop(v, unpacked(element(type)));
  push_ref(v, type);
}

static void check_array_new_default(Validator *v) {
  const Type *type = array_type(v, v->instr.index);
  if (!type_has_default(element(type)))
    validate_fail(v, ERROR_INVALID, "type mismatch: array type is not defaultable");
  pop(v, TYPE_I32);
  push_ref(v, type);
}

static void check_array_new_fixed(Validator *v) {
  const Type *type = array_type(v, v->instr.index);
  if (v->instr.index2 > MOST_FIXED)
    validate_fail(v, ERROR_UNSUPPORTED, "implementation limit: more than %d operands", MOST_FIXED);
  pop_many(v, unpacked(element(type)), v->instr.index2);
  push_ref(v, type);
}

static void check_numeric(const Validator *v, const Type *type) {
  if (type_is_ref(element(type)))
    validate_fail(v, ERROR_INVALID, "array type is not numeric or vector");
}

static void check_elem_type(Validator *v, const Type *type) {
  uint32_t index = v->instr.index2;
  validate_elem_index(v, index);
  ValType from = validate_canonical(v, v->module->elems[index].type), to = element(type);
  if (!type_matches(from, to)) validate_mismatch(v, "array", &to, 1, "element segment", &from, 1);
}

static void check_array_from_data(Validator *v, const Type *type) {
  check_numeric(v, type);
  validate_data_index(v, v->instr.index2);
}

static void check_array_get(Validator *v, bool wants_packed) {
  const Type *type = array_type(v, v->instr.index);
  check_packed(v, element(type), wants_packed);
  pop(v, TYPE_I32);
  pop(v, null_ref(type));
  push(v, unpacked(element(type)));
}

static void check_array_set(Validator *v) {
  const Type *type = array_type(v, v->instr.index);
  check_mutable_array(v, type);
  pop(v, unpacked(element(type)));
  pop(v, TYPE_I32);
  pop(v, null_ref(type));
}

static void check_array_fill(Validator *v) {
  const Type *type = array_type(v, v->instr.index);
  check_mutable_array(v, type);
  pop(v, TYPE_I32);
  pop(v, unpacked(element(type)));
  pop(v, TYPE_I32);
  pop(v, null_ref(type));
}

static void check_array_copy(Validator *v) {
  const Type *to = array_type(v, v->instr.index), *from = array_type(v, v->instr.index2);
  check_mutable_array(v, to);
  if (!type_matches(element(from), element(to)))
    validate_fail(v, ERROR_INVALID, "array types do not match");
  pop_many(v, TYPE_I32, 2);
  pop(v, null_ref(from));
  pop(v, TYPE_I32);
  pop(v, null_ref(to));
}

static void check_array_init(Validator *v, Op op) {
  const Type *type = array_type(v, v->instr.index);
  check_mutable_array(v, type);
  if (op == OP_ARRAY_INIT_DATA)
    check_array_from_data(v, type);
  else
    check_elem_type(v, type);
  pop_many(v, TYPE_I32, 3);
  pop(v, null_ref(type));
}

static void check_array_new_from(Validator *v, Op op) {
  const Type *type = array_type(v, v->instr.index);
  if (op == OP_ARRAY_NEW_DATA)
    check_array_from_data(v, type);
  else
    check_elem_type(v, type);
  pop_many(v, TYPE_I32, 2);
  push_ref(v, type);
}

void validate_ref(Validator *v, Op op) {
  switch (op) {
    case OP_REF_NULL: push(v, validate_canonical(v, v->instr.type)); break;
    case OP_REF_IS_NULL:
      validate_pop_ref(v);
      push(v, TYPE_I32);
      break;
    case OP_REF_FUNC: check_ref_func(v); break;
    case OP_REF_EQ:
      pop_many(v, REF_TYPE(HEAP_EQ, true), 2);
      push(v, TYPE_I32);
      break;
    case OP_REF_AS_NON_NULL: push(v, validate_pop_ref(v) & ~TYPE_NULLABLE); break;
    case OP_STRUCT_NEW: check_struct_new(v); break;
    case OP_STRUCT_NEW_DEFAULT: check_struct_new_default(v); break;
    case OP_STRUCT_GET: check_struct_get(v, false); break;
    case OP_STRUCT_GET_S:
    case OP_STRUCT_GET_U: check_struct_get(v, true); break;
    case OP_STRUCT_SET: check_struct_set(v); break;
    case OP_ARRAY_NEW: check_array_new(v); break;
    case OP_ARRAY_NEW_DEFAULT: check_array_new_default(v); break;
    case OP_ARRAY_NEW_FIXED: check_array_new_fixed(v); break;
    case OP_ARRAY_NEW_DATA:
    case OP_ARRAY_NEW_ELEM: check_array_new_from(v, op); break;
    case OP_ARRAY_GET: check_array_get(v, false); break;
    case OP_ARRAY_GET_S:
    case OP_ARRAY_GET_U: check_array_get(v, true); break;
    case OP_ARRAY_SET: check_array_set(v); break;
    case OP_ARRAY_LEN:
      pop(v, REF_TYPE(HEAP_ARRAY, true));
      push(v, TYPE_I32);
      break;
    case OP_ARRAY_FILL: check_array_fill(v); break;
    case OP_ARRAY_COPY: check_array_copy(v); break;
    case OP_ARRAY_INIT_DATA:
    case OP_ARRAY_INIT_ELEM: check_array_init(v, op); break;
    case OP_REF_TEST:
    case OP_REF_TEST_NULL: check_test(v, false); break;
    case OP_REF_CAST:
    case OP_REF_CAST_NULL: check_test(v, true); break;
    case OP_ANY_CONVERT_EXTERN: check_convert(v, HEAP_EXTERN, HEAP_ANY); break;
    case OP_EXTERN_CONVERT_ANY: check_convert(v, HEAP_ANY, HEAP_EXTERN); break;
    case OP_REF_I31:
      pop(v, TYPE_I32);
      push(v, REF_TYPE(HEAP_I31, false));
      break;
    case OP_I31_GET_S:
    case OP_I31_GET_U:
      pop(v, REF_TYPE(HEAP_I31, true));
      push(v, TYPE_I32);
      break;
    default: break;
  }
}
