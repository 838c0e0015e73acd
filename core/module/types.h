/* types.h - value types, composite types and recursion groups; canonical types shared by all
 * modules.
 *
 * A ValType is one word. Inside a Module its type indices are the module's own; at run time they
 * are canonical ids, given out by the process-wide registry, so that two types are equal when the
 * words are. Spec: 3.0, "Types" and "Matching".
 */
#ifndef RILLE_TYPES_H
#define RILLE_TYPES_H

#include "../base/arena.h"

typedef uint32_t ValType;

/* bits 0-3 kind, bit 4 nullable, bits 8-31 heap type (references only) */
enum {
  KIND_BOTTOM, /* operands of unreachable code */
  KIND_I32,
  KIND_I64,
  KIND_F32,
  KIND_F64,
  KIND_V128,
  KIND_REF,
  KIND_I8, /* storage types of fields only */
  KIND_I16,
};

enum {
  HEAP_INDEX_END = 0xFFFF00, /* smaller: a type index or canonical id */
  HEAP_FUNC = HEAP_INDEX_END,
  HEAP_NOFUNC,
  HEAP_EXTERN,
  HEAP_NOEXTERN,
  HEAP_ANY,
  HEAP_EQ,
  HEAP_I31,
  HEAP_STRUCT,
  HEAP_ARRAY,
  HEAP_NONE,
  HEAP_EXN,
  HEAP_NOEXN,
  HEAP_CONT,
  HEAP_NOCONT,
  HEAP_BOTTOM, /* below every heap type: references in unreachable code */
};

#define TYPE_NULLABLE 0x10u
#define REF_TYPE(heap, nullable) \
  ((ValType)(heap) << 8 | ((nullable) ? TYPE_NULLABLE : 0u) | KIND_REF)
#define TYPE_BOTTOM    ((ValType)KIND_BOTTOM)
#define TYPE_I32       ((ValType)KIND_I32)
#define TYPE_I64       ((ValType)KIND_I64)
#define TYPE_F32       ((ValType)KIND_F32)
#define TYPE_F64       ((ValType)KIND_F64)
#define TYPE_V128      ((ValType)KIND_V128)
#define TYPE_I8        ((ValType)KIND_I8)
#define TYPE_I16       ((ValType)KIND_I16)
#define TYPE_FUNCREF   REF_TYPE(HEAP_FUNC, true)
#define TYPE_EXTERNREF REF_TYPE(HEAP_EXTERN, true)
#define TYPE_ANYREF    REF_TYPE(HEAP_ANY, true)
#define TYPE_EXNREF    REF_TYPE(HEAP_EXN, true)

static inline unsigned type_kind(ValType type) {
  return type & 15;
}
static inline bool type_is_ref(ValType type) {
  return type_kind(type) == KIND_REF;
}
static inline bool type_is_nullable(ValType type) {
  return (type & TYPE_NULLABLE) != 0;
}
static inline uint32_t type_heap(ValType type) {
  return type >> 8;
}
static inline bool heap_is_index(uint32_t heap) {
  return heap < HEAP_INDEX_END;
}
static inline bool type_is_indexed(ValType type) {
  return type_is_ref(type) && heap_is_index(type_heap(type));
}
static inline bool type_has_default(ValType type) {
  return !type_is_ref(type) || type_is_nullable(type);
}
/* 8-byte slots a value takes in frames and argument arrays. */
static inline uint32_t type_slots(ValType type) {
  return type_kind(type) == KIND_V128 ? 2 : 1;
}

typedef enum CompKind { COMP_FUNC, COMP_STRUCT, COMP_ARRAY, COMP_CONT } CompKind;

typedef struct FieldType {
  ValType type; /* storage type: may be i8 or i16 */
  bool is_mutable;
} FieldType;

typedef struct CompType {
  CompKind kind;
  uint32_t n_params, n_results; /* func */
  const ValType *types;         /* func: params, then results */
  uint32_t n_fields;            /* struct; array: 1 */
  const FieldType *fields;
  uint32_t cont; /* cont: the function type's index */
} CompType;

#define NO_SUPER UINT32_MAX

/* One type definition as a module writes it. */
typedef struct SubType {
  CompType comp;
  uint32_t super; /* type index, or NO_SUPER */
  bool is_final;
  bool is_plain;                    /* written without `sub`: a final type of its own */
  uint32_t group_first, group_size; /* its recursion group */
  bool group_is_explicit;           /* written with `rec` */
} SubType;

/* A canonical type: one per distinct type of the process while some module uses it. */
typedef struct Type Type;
struct Type {
  uint32_t id;
  uint32_t depth; /* number of proper supertypes; display[depth] is the type itself */
  const Type *super;
  const Type *const *display;
  bool is_final;
  CompType comp;                          /* indices are canonical ids */
  uint32_t n_param_slots, n_result_slots; /* func: in 8-byte slots */
  uint32_t size;           /* struct: bytes behind the object header; array: of an element */
  const uint32_t *offsets; /* struct: of each field */
  uint64_t traced;         /* struct: bit i: the i-th word, of the first 64, is a reference into a
                              heap; array: 1 when the elements are */
  void *group;             /* private to types.c */
};

/* The registry. Every function is safe from any thread. */

/* Registers a group of n definitions whose outside indices are already canonical through `ids`
 * (module type index -> canonical id, for all indices before `first`) and writes ids[first ..
 * first+n). The group gains one reference. False when there is no memory. */
bool types_add_group(const SubType *defs, uint32_t first, uint32_t n, uint32_t *ids);
/* Drops one reference of the group that `id` belongs to, or adds one. */
void types_release(uint32_t id);
void types_retain(uint32_t id);
const Type *type_of_id(uint32_t id);
/* The canonical function type with these canonical params and results; gains one reference; NULL
 * when there is no memory. Host functions are made with it. */
const Type *types_add_func(uint32_t n_params, uint32_t n_results, const ValType *types);

/* Matching of canonical types. */
bool heap_matches(uint32_t sub, uint32_t super);
bool type_matches(ValType sub, ValType super);
static inline bool type_is_subtype(const Type *sub, const Type *super) { /* constant time */
  return sub == super || (sub->depth > super->depth && sub->display[super->depth] == super);
}
/* The top of a heap type's hierarchy: any, func, extern, exn or cont. */
uint32_t heap_top(uint32_t heap);
/* Bytes that a field or element of the storage type takes in an object. */
uint32_t type_storage_size(ValType type);
/* Does a value of the type point into a heap (any, extern and exn families)? */
bool type_is_traced(ValType type);

/* Rewrites module indices of a ValType to canonical ids. */
static inline ValType type_canonical(ValType type, const uint32_t *ids) {
  return type_is_indexed(type) ? (type & 0xFFu) | (ValType)ids[type_heap(type)] << 8 : type;
}

/* The word of an abstract heap type: "func", "any", ... */
const char *heap_text(uint32_t heap);
/* Text of a type as in WAT, e.g. "i32", "(ref null 3)", "funcref"; returns the length as snprintf
 * does. */
size_t type_print(ValType type, char *out, size_t size);
/* "(func (param i32 i32) (result i32))", "(struct (field (mut i32)))", ... */
size_t comp_print(const CompType *comp, char *out, size_t size);

#endif
