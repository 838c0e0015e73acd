/* object.c - fields, elements and the bulk instructions of arrays. */
#include "object.h"

/* Values are little-endian in slots and in objects, so that a narrower one is the first bytes of a
 * wider one. */
void object_write(uint8_t *at, ValType storage, const Slot *value) {
  switch (type_storage_size(storage)) {
    case 1: memcpy(at, value, 1); break;
    case 2: memcpy(at, value, 2); break;
    case 4: memcpy(at, value, 4); break;
    case 8: memcpy(at, value, 8); break;
    default: memcpy(at, value, 16); break;
  }
}

/* The bits of a packed integer as an i32. */
static uint32_t extend(uint32_t bits, unsigned width, bool is_signed) {
  uint32_t sign = UINT32_C(1) << (width - 1);
  return is_signed ? (bits ^ sign) - sign : bits;
}

void object_read(const uint8_t *at, ValType storage, bool is_signed, Slot *out) {
  switch (type_kind(storage)) {
    case KIND_I8: *out = extend(*at, 8, is_signed); break;
    case KIND_I16: *out = extend(load_u16(at), 16, is_signed); break;
    case KIND_I32:
    case KIND_F32: *out = load_u32(at); break;
    case KIND_V128: memcpy(out, at, 16); break;
    default: *out = load_u64(at); break;
  }
}

void object_fill(Object *object, const Slot *values) {
  const Type *type = object->type;
  uint8_t *fields = gc_fields(object);
  for (uint32_t i = 0; i < type->comp.n_fields; i++) {
    ValType storage = type->comp.fields[i].type;
    object_write(fields + type->offsets[i], storage, values);
    values += type_slots(storage);
  }
}

void array_fill_from(Array *array, const Slot *values) {
  ValType storage = array->object.type->comp.fields[0].type;
  for (uint32_t i = 0; i < array->n; i++) {
    object_write(array_element(array, i), storage, values);
    values += type_slots(storage);
  }
}

/* Doubles what is there already. */
static void repeat(uint8_t *at, size_t have, size_t wanted) {
  while (have < wanted) {
    size_t n = MIN(have, wanted - have);
    memcpy(at + have, at, n);
    have += n;
  }
}

void array_set_all(Array *array, uint32_t at, uint32_t n, const Slot *value) {
  const Type *type = array->object.type;
  if (n == 0) return;
  uint8_t *first = array_element(array, at);
  if (type->size == 1) {
    memset(first, (int)(*value & 0xFF), n);
    return;
  }
  object_write(first, type->comp.fields[0].type, value);
  repeat(first, type->size, (size_t)n * type->size);
}

static bool fits(uint64_t size, uint32_t at, uint32_t n) {
  return at <= size && n <= size - at;
}

Trap array_check(Slot ref, uint32_t at, uint32_t n) {
  if (ref == 0) return TRAP_NULL_ARRAY;
  return fits(gc_array(ref)->n, at, n) ? TRAP_NONE : TRAP_ARRAY_BOUNDS;
}

Trap array_fill(Slot ref, uint32_t at, const Slot *value, uint32_t n) {
  Trap trap = array_check(ref, at, n);
  if (trap == TRAP_NONE) array_set_all(gc_array(ref), at, n, value);
  return trap;
}

Trap array_copy(Slot to_ref, uint32_t to_at, Slot from_ref, uint32_t from_at, uint32_t n) {
  if (to_ref == 0 || from_ref == 0) return TRAP_NULL_ARRAY;
  const Array *to = gc_array(to_ref), *from = gc_array(from_ref);
  if (!fits(to->n, to_at, n) || !fits(from->n, from_at, n)) return TRAP_ARRAY_BOUNDS;
  size_t size = to->object.type->size;
  if (n != 0) memmove(array_element(to, to_at), array_element(from, from_at), n * size);
  return TRAP_NONE;
}

Trap array_check_data(const Instance *instance, const Type *type, uint32_t data, uint32_t from,
                      uint32_t n) {
  uint64_t size = instance->data_dropped[data] ? 0 : instance->module->datas[data].size;
  uint64_t bytes = (uint64_t)n * type->size;
  return from <= size && bytes <= size - from ? TRAP_NONE : TRAP_MEMORY_BOUNDS;
}

Trap array_check_elem(const Instance *instance, uint32_t elem, uint32_t from, uint32_t n) {
  uint64_t size = instance->elem_dropped[elem] ? 0 : instance->module->elems[elem].n;
  return fits(size, from, n) ? TRAP_NONE : TRAP_TABLE_BOUNDS;
}

Trap array_init_data(const Instance *instance, Slot ref, uint32_t at, uint32_t data, uint32_t from,
                     uint32_t n) {
  if (ref == 0) return TRAP_NULL_ARRAY;
  const Array *array = gc_array(ref);
  const Type *type = array->object.type;
  if (!fits(array->n, at, n)) return TRAP_ARRAY_BOUNDS;
  Trap trap = array_check_data(instance, type, data, from, n);
  if (trap != TRAP_NONE || n == 0) return trap;
  const Module *module = instance->module;
  memcpy(array_element(array, at), module->bytes + module->datas[data].at + from,
         (size_t)n * type->size);
  return TRAP_NONE;
}

Trap array_init_elem(const Instance *instance, Slot ref, uint32_t at, uint32_t elem, uint32_t from,
                     uint32_t n) {
  if (ref == 0) return TRAP_NULL_ARRAY;
  const Array *array = gc_array(ref);
  if (!fits(array->n, at, n)) return TRAP_ARRAY_BOUNDS;
  Trap trap = array_check_elem(instance, elem, from, n);
  if (trap != TRAP_NONE || n == 0) return trap;
  memcpy(array_element(array, at), instance->elem_items[elem] + from, n * sizeof(Slot));
  return TRAP_NONE;
}
