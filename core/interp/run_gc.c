/* run_gc.c - structures, arrays and casts.
 *
 * An instruction that allocates tries the instance's space first; when that is used up, a function
 * of its own does the same after a collection or with a new block. All references live in slots
 * then: the translator has settled the accumulators. Such instructions end with the address of the
 * function's Code, which tells where the frame ends.
 */
#include "../runtime/object.h"
#include "../runtime/stores.h"
#include "run.h"

NO_INLINE void *run_alloc(Run *run, const uint8_t *pc, Slot *fp, const Code *code, const Type *type,
                          uint64_t size) {
  Act *act = run->act;
  const Ops *ops = code_ops_at(code, pc);
  interp_mark(run, pc, fp);
  act->value_top = fp + ops->frame_bytes / sizeof(Slot);
  RunStatus status = RUN_DONE;
  Object *object = gc_alloc_in_run(act, run->instance, type, size, &status);
  if (object == NULL) act->status = status;
  run_set_instance(run, run->instance);
  return object;
}

/* A handler that makes an object: `size` bytes of `type`, then `fill` with `object`. */
#define ALLOCATING(name, length, check, type_, size_, fill)                            \
  static RunStatus name##_slowly(PARAMS) {                                             \
    const Type *type = (type_);                                                        \
    void *object = run_alloc(run, pc, fp, load_pointer(pc + (length)-8), type, size_); \
    if (object == NULL) return run->act->status;                                       \
    fill;                                                                              \
    SLOT(8) = gc_ref(object);                                                          \
    RELOAD_MEMORY();                                                                   \
    NEXT(length);                                                                      \
  }                                                                                    \
  HANDLER(name) {                                                                      \
    check;                                                                             \
    const Type *type = (type_);                                                        \
    uint64_t size = (size_);                                                           \
    if (UNLIKELY(size > GC_BLOCK)) TAIL return name##_slowly(ARGS);                    \
    void *object = gc_try_alloc(run->instance, type, (size_t)size);                    \
    if (UNLIKELY(object == NULL)) TAIL return name##_slowly(ARGS);                     \
    fill;                                                                              \
    SLOT(8) = gc_ref(object);                                                          \
    NEXT(length);                                                                      \
  }
#define TYPE_OPERAND ((const Type *)load_pointer(pc + 16))
#define NO_CHECK     ((void)0)

/* The fields come from consecutive slots; where all have 8 bytes, as they are. */
static FORCE_INLINE void copy_words(Object *object, const Slot *from, size_t n) {
  Slot *to = (Slot *)(void *)gc_fields(object);
  for (size_t i = 0; i < n; i++) to[i] = from[i];
}
ALLOCATING(STRUCT_NEW_WORDS, 32, NO_CHECK, TYPE_OPERAND, U32(12),
           copy_words(object, &SLOT(10), U32(12) / sizeof(Slot) - 1))
ALLOCATING(STRUCT_NEW, 32, NO_CHECK, TYPE_OPERAND, U32(12), object_fill(object, &SLOT(10)))
ALLOCATING(STRUCT_NEW_DEFAULT, 32, NO_CHECK, TYPE_OPERAND, U32(12),
           memset(gc_fields(object), 0, U32(12) - GC_OBJECT_HEADER))

static FORCE_INLINE Array *start_array(void *object, uint32_t n) {
  Array *array = object;
  array->n = n;
  return array;
}
static NO_INLINE void fill_array(void *object, uint32_t n, const Slot *value) {
  array_set_all(start_array(object, n), 0, n, value);
}
static NO_INLINE void clear_array(void *object, uint32_t n) {
  Array *array = start_array(object, n);
  memset(gc_elements(array), 0, (size_t)n * array->object.type->size);
}
static NO_INLINE void fill_fixed(void *object, uint32_t n, const Slot *values) {
  array_fill_from(start_array(object, n), values);
}
#define N_SLOT S_i32(12)
ALLOCATING(ARRAY_NEW, 32, NO_CHECK, TYPE_OPERAND, gc_array_size(type, N_SLOT),
           fill_array(object, N_SLOT, &SLOT(10)))
ALLOCATING(ARRAY_NEW_DEFAULT, 32, NO_CHECK, TYPE_OPERAND, gc_array_size(type, N_SLOT),
           clear_array(object, N_SLOT))
ALLOCATING(ARRAY_NEW_FIXED, 32, NO_CHECK, TYPE_OPERAND, gc_array_size(type, U32(12)),
           fill_fixed(object, U32(12), &SLOT(10)))
#define SEGMENT U32(24)
ALLOCATING(ARRAY_NEW_DATA, 40,
           CHECK_TRAP(array_check_data(run->instance, TYPE_OPERAND, SEGMENT, S_i32(10), N_SLOT)),
           TYPE_OPERAND, gc_array_size(type, N_SLOT),
           array_init_data(run->instance, gc_ref(start_array(object, N_SLOT)), 0, SEGMENT,
                           S_i32(10), N_SLOT))
ALLOCATING(ARRAY_NEW_ELEM, 40,
           CHECK_TRAP(array_check_elem(run->instance, SEGMENT, S_i32(10), N_SLOT)), TYPE_OPERAND,
           gc_array_size(type, N_SLOT),
           array_init_elem(run->instance, gc_ref(start_array(object, N_SLOT)), 0, SEGMENT,
                           S_i32(10), N_SLOT))

LONG(fill_long, bulk_array_fill(&bulk, SLOT(8), S_i32(10), &SLOT(12), S_i32(14)))
HANDLER(ARRAY_FILL) {
  if (UNLIKELY(S_i32(14) > BULK_ELEMENTS)) DO_LONG(fill_long, 16);
  CHECK_TRAP(array_fill(SLOT(8), S_i32(10), &SLOT(12), S_i32(14)));
  NEXT(16);
}
LONG(copy_long, bulk_array_copy(&bulk, SLOT(8), S_i32(10), SLOT(12), S_i32(14), S_i32(16)))
HANDLER(ARRAY_COPY) {
  if (UNLIKELY(S_i32(16) > BULK_ELEMENTS)) DO_LONG(copy_long, 24);
  CHECK_TRAP(array_copy(SLOT(8), S_i32(10), SLOT(12), S_i32(14), S_i32(16)));
  NEXT(24);
}
HANDLER(ARRAY_INIT_DATA) {
  CHECK_TRAP(array_init_data(run->instance, SLOT(8), S_i32(10), U32(16), S_i32(12), S_i32(14)));
  NEXT(24);
}
HANDLER(ARRAY_INIT_ELEM) {
  CHECK_TRAP(array_init_elem(run->instance, SLOT(8), S_i32(10), U32(16), S_i32(12), S_i32(14)));
  NEXT(24);
}

/* Fields and elements. The offset at byte 12 counts from the start of the object. */
#define FIELD(ref, at) ((uint8_t *)(uintptr_t)(ref) + U32(at))
#define STRUCT_GET_ROW(name, t, load, from, tail)           \
  HANDLER(STRUCT_GET_##name) {                              \
    uint64_t ref = (from);                                  \
    CHECK_TRAP(ref != 0 ? TRAP_NONE : TRAP_NULL_STRUCTURE); \
    SET_##t(load(FIELD(ref, 12)));                          \
    tail;                                                   \
    NEXT(16);                                               \
  }
#define ARRAY_GET_ROW(name, t, load, size, tail)                  \
  HANDLER(ARRAY_GET_##name) {                                     \
    uint64_t ref = SLOT(10), index = S_i32(12);                   \
    CHECK_TRAP(ref != 0 ? TRAP_NONE : TRAP_NULL_ARRAY);           \
    const Array *array = gc_array(ref);                           \
    CHECK_TRAP(index < array->n ? TRAP_NONE : TRAP_ARRAY_BOUNDS); \
    SET_##t(load(gc_elements(array) + index * (size)));           \
    tail;                                                         \
    NEXT(16);                                                     \
  }
#define NO_WRITE ((void)0)
#define GET_ROWS(name, t, load, size)                        \
  STRUCT_GET_ROW(name##_S, t, load, SLOT(10), NO_WRITE)      \
  STRUCT_GET_ROW(name##_S_W, t, load, SLOT(10), WRITE_##t()) \
  STRUCT_GET_ROW(name##_A, t, load, acc, NO_WRITE)           \
  STRUCT_GET_ROW(name##_A_W, t, load, acc, WRITE_##t())      \
  ARRAY_GET_ROW(name, t, load, size, NO_WRITE)               \
  ARRAY_GET_ROW(name##_W, t, load, size, WRITE_##t())
#define LOAD_I8_S(at)  (uint32_t)(int8_t) load_u8(at)
#define LOAD_I16_S(at) (uint32_t)(int16_t) load_u16(at)
GET_ROWS(I8_S, i32, LOAD_I8_S, 1)
GET_ROWS(I8_U, i32, load_u8, 1)
GET_ROWS(I16_S, i32, LOAD_I16_S, 2)
GET_ROWS(I16_U, i32, load_u16, 2)
GET_ROWS(32, i32, load_u32, 4)
GET_ROWS(64, i64, load_u64, 8)
GET_ROWS(F32, f32, load_f32, 4)
GET_ROWS(F64, f64, load_f64, 8)
HANDLER(STRUCT_GET_V128) {
  CHECK_TRAP(SLOT(10) != 0 ? TRAP_NONE : TRAP_NULL_STRUCTURE);
  WRITE_v128(load_v128(FIELD(SLOT(10), 12)));
  NEXT(16);
}
HANDLER(ARRAY_GET_V128) {
  const Array *array = gc_array(SLOT(10));
  CHECK_TRAP(array != NULL ? TRAP_NONE : TRAP_NULL_ARRAY);
  CHECK_TRAP(S_i32(12) < array->n ? TRAP_NONE : TRAP_ARRAY_BOUNDS);
  WRITE_v128(load_v128(gc_elements(array) + (size_t)S_i32(12) * 16));
  NEXT(16);
}

#define SET_ROWS(name, size, store, value)                        \
  HANDLER(STRUCT_SET_##name) {                                    \
    CHECK_TRAP(SLOT(8) != 0 ? TRAP_NONE : TRAP_NULL_STRUCTURE);   \
    store(FIELD(SLOT(8), 12), value(10));                         \
    NEXT(16);                                                     \
  }                                                               \
  HANDLER(ARRAY_SET_##name) {                                     \
    const Array *array = gc_array(SLOT(8));                       \
    uint64_t index = S_i32(10);                                   \
    CHECK_TRAP(array != NULL ? TRAP_NONE : TRAP_NULL_ARRAY);      \
    CHECK_TRAP(index < array->n ? TRAP_NONE : TRAP_ARRAY_BOUNDS); \
    store(gc_elements(array) + index * (size), value(12));        \
    NEXT(16);                                                     \
  }
#define LOW_8(at)  (uint8_t) SLOT(at)
#define LOW_16(at) (uint16_t) SLOT(at)
SET_ROWS(8, 1, store_u8, LOW_8)
SET_ROWS(16, 2, store_u16, LOW_16)
SET_ROWS(32, 4, store_u32, S_i32)
SET_ROWS(64, 8, store_u64, S_i64)
SET_ROWS(V128, 16, store_v128, S_v128)

#define ARRAY_LEN_ROW(name, tail)                            \
  HANDLER(name) {                                            \
    const Array *array = gc_array(SLOT(10));                 \
    CHECK_TRAP(array != NULL ? TRAP_NONE : TRAP_NULL_ARRAY); \
    SET_i32(array->n);                                       \
    tail;                                                    \
    NEXT(16);                                                \
  }
ARRAY_LEN_ROW(ARRAY_LEN, NO_WRITE)
ARRAY_LEN_ROW(ARRAY_LEN_W, WRITE_i32())

/* Casts. To the type of a structure or array, whose Type the instruction names, they are a few
 * compares; for all other types a function looks. The type of the second kind is a ValType. */
static FORCE_INLINE bool is_object_of(Slot ref, const Type *type, bool null_fits) {
  if (ref == 0) return null_fits;
  return (ref & 1) == 0 && object_has_type(ref, type);
}
#define CAST_ROWS(name, matches, length)                         \
  HANDLER(REF_TEST##name) {                                      \
    SLOT(8) = matches(10, 12);                                   \
    NEXT(length);                                                \
  }                                                              \
  HANDLER(REF_CAST##name) {                                      \
    CHECK_TRAP(matches(10, 12) ? TRAP_NONE : TRAP_CAST_FAILURE); \
    SLOT(8) = SLOT(10);                                          \
    NEXT(length);                                                \
  }
#define IS_OBJECT(slot_at, null_at)  is_object_of(SLOT(slot_at), TYPE_OPERAND, U16(null_at) != 0)
#define IS_OF_TYPE(slot_at, type_at) ref_has_type(SLOT(slot_at), U32(type_at))
CAST_ROWS(_OBJECT, IS_OBJECT, 24)
CAST_ROWS(, IS_OF_TYPE, 16)

#define BRANCH_ROW(name, condition)                                \
  HANDLER(name) {                                                  \
    if (!(condition)) NEXT(24);                                    \
    pc += 12 + (int32_t)U32(12);                                   \
    if (UNLIKELY(poll_wanted(run))) TAIL return interp_poll(ARGS); \
    DISPATCH();                                                    \
  }
BRANCH_ROW(BR_ON_CAST, IS_OF_TYPE(8, 16))
BRANCH_ROW(BR_ON_CAST_FAIL, !IS_OF_TYPE(8, 16))
BRANCH_ROW(BR_ON_CAST_OBJECT, IS_OBJECT(8, 10))
BRANCH_ROW(BR_ON_CAST_OBJECT_FAIL, !IS_OBJECT(8, 10))
