/* translate_gc.c - structures, arrays and casts.
 */
#include "../module/fuel.h"
#include "../runtime/gc.h"
#include "emit.h"

static const Type *type_operand(const Translator *t, uint32_t index) {
  return type_of_id(t->module->type_ids[index]);
}

/* An instruction that allocates: everything the collector must see is in slots. */
static uint32_t emit_allocating(Translator *t, unsigned iop, uint32_t size, const Type *type) {
  settle_accs(t);
  emit_position(t);
  uint32_t at = emit(t, iop, size);
  put_pointer(t, at + 16, type);
  put_pointer(t, at + size - 8, t->code);
  return at;
}

/* Takes the newest n values, which it puts into consecutive slots; returns the first. */
static uint32_t pop_row(Translator *t, uint32_t n) {
  settle_top(t, n);
  for (uint32_t i = 0; i < n; i++) pop(t);
  return t->top;
}

static bool has_only_words(const Type *type) {
  for (uint32_t i = 0; i < type->comp.n_fields; i++) {
    if (type_storage_size(type->comp.fields[i].type) != sizeof(Slot)) return false;
  }
  return true;
}

static void struct_new(Translator *t, uint32_t index, bool is_default) {
  const Type *type = type_operand(t, index);
  uint32_t first = is_default ? 0 : pop_row(t, type->comp.n_fields);
  unsigned iop = is_default             ? I_STRUCT_NEW_DEFAULT
                 : has_only_words(type) ? I_STRUCT_NEW_WORDS
                                        : I_STRUCT_NEW;
  uint32_t at = emit_allocating(t, iop, 32, type);
  put16(t, at + 10, first);
  put32(t, at + 12, (uint32_t)gc_struct_size(type));
  produce_slot(t, CLASS_I, at);
}

static void array_new(Translator *t, uint32_t index, bool is_default) {
  uint32_t n = pop_slot(t), value = is_default ? 0 : pop_slot(t);
  translate_bulk_fuel(t, n, false, FUEL_ELEMENTS_LOG2);
  uint32_t at = emit_allocating(t, is_default ? I_ARRAY_NEW_DEFAULT : I_ARRAY_NEW, 32,
                                type_operand(t, index));
  put16(t, at + 10, value);
  put16(t, at + 12, n);
  produce_slot(t, CLASS_I, at);
}

static void array_new_fixed(Translator *t, const Instr *instr) {
  uint32_t first = pop_row(t, instr->index2);
  uint32_t at = emit_allocating(t, I_ARRAY_NEW_FIXED, 32, type_operand(t, instr->index));
  put16(t, at + 10, first);
  put32(t, at + 12, instr->index2);
  produce_slot(t, CLASS_I, at);
}

static void array_new_segment(Translator *t, unsigned iop, const Instr *instr) {
  uint32_t n = pop_slot(t), from = pop_slot(t);
  translate_bulk_fuel(t, n, false, FUEL_ELEMENTS_LOG2);
  uint32_t at = emit_allocating(t, iop, 40, type_operand(t, instr->index));
  put16(t, at + 10, from);
  put16(t, at + 12, n);
  put32(t, at + 24, instr->index2);
  produce_slot(t, CLASS_I, at);
}

/* n operands in slots from byte 8 on; the last one counts elements. */
static void array_bulk(Translator *t, unsigned iop, unsigned n, uint32_t segment) {
  uint32_t slots[5];
  for (unsigned i = n; i-- > 0;) slots[i] = pop_slot(t);
  settle_accs(t);
  translate_bulk_fuel(t, slots[n - 1], false, FUEL_ELEMENTS_LOG2);
  emit_position(t);
  uint32_t at = emit(t, iop, iop == I_ARRAY_FILL ? 16 : 24);
  for (unsigned i = 0; i < n; i++) put16(t, at + 8 + 2 * i, slots[i]);
  if (n == 4 && iop != I_ARRAY_FILL) put32(t, at + 16, segment);
}

/* Which of the rows of an access a storage type takes; rows of GET are apart by `step`. */
typedef struct Access {
  unsigned get; /* index of the row in iops.def's order */
  unsigned set;
  ValClass class;
} Access;
static Access access_of(ValType storage, bool is_signed) {
  switch (type_kind(storage)) {
    case KIND_I8: return (Access){is_signed ? 0 : 1, 0, CLASS_I};
    case KIND_I16: return (Access){is_signed ? 2 : 3, 1, CLASS_I};
    case KIND_I32: return (Access){4, 2, CLASS_I};
    case KIND_F32: return (Access){6, 2, CLASS_F};
    case KIND_F64: return (Access){7, 3, CLASS_D};
    case KIND_V128: return (Access){8, 4, CLASS_V};
    default: return (Access){5, 3, CLASS_I};
  }
}
enum {
  GET_STEP = I_STRUCT_GET_I8_U_S - I_STRUCT_GET_I8_S_S,
  SET_STEP = I_STRUCT_SET_16 - I_STRUCT_SET_8
};

static uint32_t field_offset(const Type *type, uint32_t field) {
  return GC_OBJECT_HEADER + type->offsets[field];
}

static void struct_get(Translator *t, const Instr *instr) {
  const Type *type = type_operand(t, instr->index);
  ValType storage = type->comp.fields[instr->index2].type;
  Access access = access_of(storage, instr->op == OP_STRUCT_GET_S);
  Val val = pop(t);
  bool is_vector = access.class == CLASS_V;
  Opnd ref = operand(t, &val, false, !is_vector);
  unsigned iop =
      is_vector ? I_STRUCT_GET_V128
                : I_STRUCT_GET_I8_S_S + access.get * GET_STEP + (ref.kind == OPND_ACC ? 2u : 0);
  emit_position(t);
  uint32_t at = emit(t, iop, 16);
  if (ref.kind == OPND_SLOT) put16(t, at + 10, ref.slot);
  put32(t, at + 12, field_offset(type, instr->index2));
  if (is_vector) {
    produce_slot(t, CLASS_V, at);
  } else {
    produce(t, access.class, at, iop);
  }
}

static void struct_set(Translator *t, const Instr *instr) {
  const Type *type = type_operand(t, instr->index);
  Access access = access_of(type->comp.fields[instr->index2].type, false);
  uint32_t value = pop_slot(t), ref = pop_slot(t);
  emit_position(t);
  uint32_t at = emit(t, I_STRUCT_SET_8 + access.set * SET_STEP, 16);
  put16(t, at + 8, ref);
  put16(t, at + 10, value);
  put32(t, at + 12, field_offset(type, instr->index2));
}

static void array_get(Translator *t, const Instr *instr) {
  ValType storage = type_operand(t, instr->index)->comp.fields[0].type;
  Access access = access_of(storage, instr->op == OP_ARRAY_GET_S);
  uint32_t index = pop_slot(t), ref = pop_slot(t);
  bool is_vector = access.class == CLASS_V;
  unsigned iop = is_vector ? I_ARRAY_GET_V128 : I_ARRAY_GET_I8_S + access.get * GET_STEP;
  emit_position(t);
  uint32_t at = emit(t, iop, 16);
  put16(t, at + 10, ref);
  put16(t, at + 12, index);
  if (is_vector) {
    produce_slot(t, CLASS_V, at);
  } else {
    produce(t, access.class, at, iop);
  }
}

static void array_set(Translator *t, uint32_t index) {
  Access access = access_of(type_operand(t, index)->comp.fields[0].type, false);
  uint32_t value = pop_slot(t), at_index = pop_slot(t), ref = pop_slot(t);
  emit_position(t);
  uint32_t at = emit(t, I_ARRAY_SET_8 + access.set * SET_STEP, 16);
  put16(t, at + 8, ref);
  put16(t, at + 10, at_index);
  put16(t, at + 12, value);
}

static void array_len(Translator *t) {
  uint32_t ref = pop_slot(t);
  emit_position(t);
  uint32_t at = emit(t, I_ARRAY_LEN, 16);
  put16(t, at + 10, ref);
  produce(t, CLASS_I, at, I_ARRAY_LEN);
}

/* Casts */

const Type *translate_object_type(const Translator *t, ValType type) {
  if (!type_is_indexed(type)) return NULL;
  const Type *wanted = type_operand(t, type_heap(type));
  return wanted->comp.kind == COMP_STRUCT || wanted->comp.kind == COMP_ARRAY ? wanted : NULL;
}

static void cast(Translator *t, const Instr *instr, bool is_test, bool is_nullable) {
  const Type *object = translate_object_type(t, instr->type);
  uint32_t slot = pop_slot(t);
  if (!is_test) emit_position(t);
  uint32_t at;
  if (object != NULL) {
    at = emit(t, is_test ? I_REF_TEST_OBJECT : I_REF_CAST_OBJECT, 24);
    put16(t, at + 12, is_nullable);
    put_pointer(t, at + 16, object);
  } else {
    ValType type = type_canonical(instr->type, t->module->type_ids);
    at = emit(t, is_test ? I_REF_TEST : I_REF_CAST, 16);
    put32(t, at + 12, is_nullable ? type | TYPE_NULLABLE : type & ~TYPE_NULLABLE);
  }
  put16(t, at + 10, slot);
  produce_slot(t, CLASS_I, at);
}

bool translate_gc(Translator *t, const Instr *instr) {
  switch (instr->op) {
    case OP_STRUCT_NEW: struct_new(t, instr->index, false); return true;
    case OP_STRUCT_NEW_DEFAULT: struct_new(t, instr->index, true); return true;
    case OP_STRUCT_GET:
    case OP_STRUCT_GET_S:
    case OP_STRUCT_GET_U: struct_get(t, instr); return true;
    case OP_STRUCT_SET: struct_set(t, instr); return true;
    case OP_ARRAY_NEW: array_new(t, instr->index, false); return true;
    case OP_ARRAY_NEW_DEFAULT: array_new(t, instr->index, true); return true;
    case OP_ARRAY_NEW_FIXED: array_new_fixed(t, instr); return true;
    case OP_ARRAY_NEW_DATA: array_new_segment(t, I_ARRAY_NEW_DATA, instr); return true;
    case OP_ARRAY_NEW_ELEM: array_new_segment(t, I_ARRAY_NEW_ELEM, instr); return true;
    case OP_ARRAY_GET:
    case OP_ARRAY_GET_S:
    case OP_ARRAY_GET_U: array_get(t, instr); return true;
    case OP_ARRAY_SET: array_set(t, instr->index); return true;
    case OP_ARRAY_LEN: array_len(t); return true;
    case OP_ARRAY_FILL: array_bulk(t, I_ARRAY_FILL, 4, 0); return true;
    case OP_ARRAY_COPY: array_bulk(t, I_ARRAY_COPY, 5, 0); return true;
    case OP_ARRAY_INIT_DATA: array_bulk(t, I_ARRAY_INIT_DATA, 4, instr->index2); return true;
    case OP_ARRAY_INIT_ELEM: array_bulk(t, I_ARRAY_INIT_ELEM, 4, instr->index2); return true;
    case OP_REF_TEST: cast(t, instr, true, false); return true;
    case OP_REF_TEST_NULL: cast(t, instr, true, true); return true;
    case OP_REF_CAST: cast(t, instr, false, false); return true;
    case OP_REF_CAST_NULL: cast(t, instr, false, true); return true;
    default: return false;
  }
}
