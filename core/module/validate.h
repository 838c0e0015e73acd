/* validate.h - the operand stack and the control frames that validate*.c work on.
 *
 * All types here are canonical: two types are equal when their words are. `floor` is where the
 * operands of the innermost block begin; code after a branch that never falls through has a
 * polymorphic stack, from whose floor TYPE_BOTTOM can be popped without end. `high` is the highest
 * that `top` has been in the function: reaching it is the only time when a push has to look at the
 * room. Spec 3.0, "Validation Algorithm".
 */
#ifndef RILLE_VALIDATE_H
#define RILLE_VALIDATE_H

#include "instr.h"

typedef struct Frame {
  Op op; /* what opened it: OP_BLOCK, OP_IF, OP_CATCH ...; OP_CALL for the function itself */
  bool is_unreachable;
  uint32_t height; /* of the operand stack below its operands */
  uint32_t n_set;  /* of the list of locals set, to be undone at its end */
  uint32_t n_params, n_results;
  const ValType *types; /* params, then results; NULL: the only type is `single` */
  ValType single;
  uint32_t visit; /* the last br_table that checked this label */
} Frame;

/* Local variables of one type in a row. */
typedef struct LocalRun {
  uint32_t end; /* first index behind it */
  ValType type;
} LocalRun;

enum { FLAT_LOCALS = 2048, MOST_LOCALS = 50000, MOST_OPERANDS = 1000000 };

typedef struct Validator {
  ValType *top, *floor, *high; /* first: what every instruction touches */
  Reader reader;
  Instr instr;
  Frame *frame; /* the innermost */
  Module *module;
  const Type **types; /* by module type index */
  bool is_const;      /* a constant expression is checked */
  bool has_v128;      /* the stack held vectors at some time */
  uint32_t n_globals; /* that the constant expression may use */

  uint8_t fast[256]; /* private to validate_func.c */
  ValType *stack, *stack_end;
  VEC(Frame) frames;
  uint32_t n_visits;

  ValType flat[FLAT_LOCALS]; /* types of the first locals; others are looked up in `runs` */
  uint32_t n_flat, n_locals, n_params;
  VEC(LocalRun) runs;
  bool has_unset;       /* some local has no default value */
  uint32_t *set_epochs; /* by local: the epoch in which it was set; made when needed */
  uint32_t epoch;       /* counts functions */
  VEC(uint32_t) set_locals;

  const ValType *global_types, *table_types;
  uint8_t *defaults; /* by structure type: 0 not known, 1 all fields have a default, 2 not all */
  Arena *scratch;
} Validator;

/* Errors: at the instruction being read. */
_Noreturn void validate_fail(const Validator *v, ErrorKind kind, const char *format, ...)
    PRINTF_LIKE(3, 4);
_Noreturn void validate_unknown(const Validator *v, const char *what, uint32_t index);
/* "type mismatch: `who` requires [wanted] but `where` has [types]" */
_Noreturn void validate_mismatch(const Validator *v, const char *who, const ValType *wanted,
                                 uint32_t n, const char *where, const ValType *types, uint32_t m);
/* The same between the instruction and the stack. */
_Noreturn void validate_stack_mismatch(const Validator *v, const ValType *wanted, uint32_t n);

/* Operands */
void validate_grow(Validator *v, uint32_t n); /* room for n more; moves `high` */
ValType validate_pop_slow(Validator *v, ValType wanted);
ValType validate_pop_any(Validator *v);
ValType validate_pop_ref(Validator *v); /* bottom as a reference to HEAP_BOTTOM */
void validate_pop_types(Validator *v, const ValType *types, uint32_t n);
void validate_push_types(Validator *v, const ValType *types, uint32_t n);
/* The operands stay; missing ones of unreachable code match anything. */
void validate_peek_types(Validator *v, const ValType *types, uint32_t n);

static inline void push(Validator *v, ValType type) {
  if (UNLIKELY(v->top == v->high)) validate_grow(v, 1);
  v->has_v128 |= type == TYPE_V128;
  *v->top++ = type;
}

static inline ValType pop(Validator *v, ValType wanted) {
  if (LIKELY(v->top > v->floor && v->top[-1] == wanted)) {
    v->top--;
    return wanted;
  }
  return validate_pop_slow(v, wanted);
}

/* Frames */
static inline const ValType *frame_params(const Frame *frame) {
  return frame->types ? frame->types : &frame->single;
}
static inline const ValType *frame_results(const Frame *frame) {
  return frame_params(frame) + frame->n_params;
}
static inline const ValType *label_types(const Frame *frame, uint32_t *n) {
  bool is_loop = frame->op == OP_LOOP;
  *n = is_loop ? frame->n_params : frame->n_results;
  return is_loop ? frame_params(frame) : frame_results(frame);
}
Frame *validate_label(Validator *v, uint32_t index);
void validate_unreachable(Validator *v);

/* Index spaces: raise "unknown ..." */
const Type *validate_type(Validator *v, uint32_t index, CompKind kind);
ValType validate_canonical(Validator *v, ValType type);
const Type *validate_func_type(Validator *v, uint32_t index);
void validate_memory_index(Validator *v, uint32_t index);
void validate_table_index(Validator *v, uint32_t index);
void validate_data_index(Validator *v, uint32_t index);
void validate_elem_index(Validator *v, uint32_t index);
const Type *validate_tag_type(Validator *v, uint32_t index);

static inline ValType memory_address(const Validator *v, uint32_t index) {
  bool is_64 =
      index < 64 ? v->module->memory64s >> index & 1 : v->module->memories[index].limits.is_64;
  return is_64 ? TYPE_I64 : TYPE_I32;
}
static inline ValType table_address(const Validator *v, uint32_t index) {
  bool is_64 =
      index < 64 ? v->module->table64s >> index & 1 : v->module->tables[index].type.limits.is_64;
  return is_64 ? TYPE_I64 : TYPE_I32;
}

/* True when the n types in `subs` match those in `supers` one by one. */
bool validate_all_match(const ValType *subs, const ValType *supers, uint32_t n);

/* Instructions whose types depend on the context, of v->instr. */
void validate_control(Validator *v, Op op);
/* Some of these on their own: the walk knows them by their first byte. */
void validate_block(Validator *v, Op op); /* block, loop */
void validate_end(Validator *v);
void validate_br(Validator *v);
void validate_br_if(Validator *v);
void validate_call(Validator *v);
void validate_bulk(Validator *v, Op op);
void validate_ref(Validator *v, Op op);

#endif
