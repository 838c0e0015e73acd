/* object.h - structures and arrays: their fields and elements as bytes, and the bulk instructions.
 * Spec: 3.0, "Aggregate Instructions".
 */
#ifndef RILLE_OBJECT_H
#define RILLE_OBJECT_H

#include "gc.h"

/* One field or element between its place in an object and slots. Packed integers are extended. */
void object_read(const uint8_t *at, ValType storage, bool is_signed, Slot *out);
void object_write(uint8_t *at, ValType storage, const Slot *value);

/* All fields of a new structure from consecutive slots, as they lie in a frame. */
void object_fill(Object *object, const Slot *values);
/* The same for the elements of a new array. */
void array_fill_from(Array *array, const Slot *values);
/* n elements from `at` on, all the same; the bounds are known to be right. */
void array_set_all(Array *array, uint32_t at, uint32_t n, const Slot *value);

static inline uint8_t *array_element(const Array *array, uint32_t index) {
  return gc_elements(array) + (size_t)index * array->object.type->size;
}

/* The instructions that check bounds and null. */
Trap array_check(Slot array, uint32_t at, uint32_t n);
Trap array_fill(Slot array, uint32_t at, const Slot *value, uint32_t n);
Trap array_copy(Slot to, uint32_t to_at, Slot from, uint32_t from_at, uint32_t n);
Trap array_init_data(const Instance *instance, Slot array, uint32_t at, uint32_t data,
                     uint32_t from, uint32_t n);
Trap array_init_elem(const Instance *instance, Slot array, uint32_t at, uint32_t elem,
                     uint32_t from, uint32_t n);
/* Does the segment hold n elements of the array type from `from` on? For instructions that make
 * the array afterwards. */
Trap array_check_data(const Instance *instance, const Type *type, uint32_t data, uint32_t from,
                      uint32_t n);
Trap array_check_elem(const Instance *instance, uint32_t elem, uint32_t from, uint32_t n);

/* Is the object, not null and no small integer, of the type? In constant time. */
static inline bool object_has_type(Slot ref, const Type *wanted) {
  const Type *type = gc_object(ref)->type;
  return type == wanted || (type != NULL && type_is_subtype(type, wanted));
}

#endif
