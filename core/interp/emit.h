/* emit.h - the translator's state, and the half of it that writes instructions.
 *
 * The translator walks a body once and keeps the operand stack as descriptions of where each value
 * is: a local that was only read so far, a constant, or the value's own slot ("home"). Three
 * accumulators, one per class of values, hold the newest result of their class. A result goes to
 * its accumulator alone until it turns out that a slot is needed; then the instruction that made it
 * is patched into its writing variant. Hence the invariants:
 *   - acc[c].slot is the slot whose value accumulator c holds, or NO_SLOT;
 *   - when acc[c].is_dirty the value is on the operand stack, its slot is its home, and only the
 *     accumulator has it; acc[c].at is the instruction to patch. It dominates the place where the
 *     translator stands;
 *   - locals[i].newest heads the list of stack entries that read local i, newest first;
 *   - stack entries below `n_settled` read no locals;
 *   - at every label all values are in their homes, or constants, and accumulators hold nothing.
 */
#ifndef RILLE_INTERP_EMIT_H
#define RILLE_INTERP_EMIT_H

#include "../module/instr.h"
#include "code.h"

typedef enum ValClass { CLASS_I, CLASS_F, CLASS_D, CLASS_V, ACC_CLASSES = CLASS_V } ValClass;

#define NO_SLOT UINT32_MAX
#define NO_VAL  UINT32_MAX

typedef enum ValWhere { IN_SLOT, IN_LOCAL, IN_CONST } ValWhere;

/* A value on the operand stack. */
typedef struct Val {
  uint8_t class;         /* ValClass */
  uint8_t where;         /* ValWhere */
  uint32_t home;         /* its own slot */
  uint32_t slot;         /* where it is: its home or the local's slot */
  uint32_t local, older; /* IN_LOCAL: which, and the next older entry that reads it */
  uint64_t bits;         /* IN_CONST */
} Val;

typedef struct Local {
  uint32_t slot;
  uint32_t newest;
  uint8_t class;
} Local;

typedef struct Acc {
  uint32_t slot;
  uint32_t at;
  uint16_t iop; /* of the instruction at `at`; the writing variant is the next */
  bool is_dirty;
} Acc;

/* An operand as instructions encode it. */
typedef enum OpndKind { OPND_SLOT, OPND_ACC, OPND_IMM } OpndKind;
typedef struct Opnd {
  OpndKind kind;
  uint32_t slot;
  uint64_t bits;
} Opnd;

/* The newest instruction, while nothing was emitted and no label bound since: it can be redirected
 * to another slot, or taken back and fused with its only user. */
typedef struct Last {
  uint32_t end; /* code size behind it */
  uint32_t at;  /* of the instruction whose first operand is the result's slot */
  uint32_t home;
  uint8_t class;
  bool is_fusable, is_negated; /* what follows is known; the result is the negation of op(a, b) */
  Op op;
  Opnd a, b;
  uint32_t start; /* where to go back to, and the accumulator as it was there */
  Acc acc;
  /* An i32.add whose one operand is `index` shifted left by `scale`, made right before it: where to
   * go back to for taking back both. The other operand is `base`. */
  uint8_t scale;
  uint32_t base, index, scale_start;
  Acc scale_acc;
} Last;

typedef struct Ctl {
  uint8_t kind;    /* CTL_... */
  bool has_label;  /* something branches to its end */
  uint32_t height; /* operand stack below its parameters */
  uint32_t base;   /* slot of the first parameter or result */
  uint32_t n_params, n_results;
  const ValType *types; /* parameters, then results; NULL: the single result in `result` */
  ValType result;
  uint32_t loop_at;
  uint32_t fixups; /* chain of branch distances to its end */
  uint32_t else_fixup;
  uint32_t stub_fixups, next_stub; /* during one br_table */
  uint32_t try_from, try_end;      /* code that a try or try_table guards */
  const uint8_t *clauses;          /* try_table: as they stand in the module */
  uint32_t n_clauses;
  uint32_t catches; /* chain through Catch.target, one more than the index: they lead to its end */
} Ctl;
enum { CTL_FUNC, CTL_BLOCK, CTL_LOOP, CTL_IF, CTL_ELSE, CTL_TRY_TABLE, CTL_TRY, CTL_CATCH };

typedef struct Translator {
  Arena arena;
  Guard guard;
  Error error;
  Module *module;
  Code *code;
  unsigned variant;
  const FuncDef *def;
  const CompType *type;
  Reader reader;

  uint8_t *bytes;
  uint32_t n_bytes, room;
  VEC(Position) positions;
  VEC(Catch) catches;
  uint32_t offset; /* of the instruction being translated */

  Local *locals;
  uint32_t n_locals;
  VEC(Val) stack;
  uint32_t n_settled;
  uint32_t top, max_top; /* first free slot */
  Acc acc[ACC_CLASSES];
  Last last;
  uint32_t last_move; /* end of a MOV64 that a second one can join */

  VEC(Ctl) ctls;
  bool is_live;
  uint32_t fuel_at; /* the running block's FUEL instruction, or NO_SLOT */
  bool is_deterministic;
} Translator;

_Noreturn void emit_fail(Translator *t, const char *format, ...) PRINTF_LIKE(2, 3);

ValClass class_of(ValType type);
static inline uint32_t class_slots(ValClass class) {
  return class == CLASS_V ? 2 : 1;
}

/* Instructions. emit appends one with all operands zero and returns where. */
uint32_t emit(Translator *t, unsigned iop, uint32_t size);
void put16(Translator *t, uint32_t at, uint32_t x); /* slots: fails when it does not fit */
void put32(Translator *t, uint32_t at, uint32_t x);
void put64(Translator *t, uint32_t at, uint64_t x);
void put_pointer(Translator *t, uint32_t at, const void *pointer);
void put_bytes(Translator *t, uint32_t at, const void *bytes, size_t size);
void emit_position(Translator *t);  /* the next instruction can trap or calls */
void emit_take_back(Translator *t); /* removes the last instruction, which is fusable */
void emit_barrier(Translator *t);   /* a label: nothing before it can be changed by what follows */

/* Distances: a field holds the chain's next field until it is bound. */
void fixup_add(Translator *t, uint32_t *chain, uint32_t field);
void fixup_bind(Translator *t, uint32_t *chain); /* to here */
void put_distance(Translator *t, uint32_t field, uint32_t target);

/* The operand stack */
void push_slot(Translator *t, ValClass class); /* a value that is in its home */
void push_const(Translator *t, ValClass class, uint64_t bits);
void push_local(Translator *t, uint32_t local);
Val pop(Translator *t);
void drop_acc(Translator *t, const Val *val); /* the popped value is not used */

/* How an instruction reads a popped value. */
Opnd operand(Translator *t, const Val *val, bool imm, bool acc);
uint32_t operand_slot(Translator *t, const Val *val);
uint32_t pop_slot(Translator *t);

/* The instruction at `at` made a result: in its accumulator (iop's next variant writes it), or, if
 * it always writes, in the slot. Pushes it. */
void produce(Translator *t, ValClass class, uint32_t at, unsigned iop);
void produce_slot(Translator *t, ValClass class, uint32_t at);

void move_to(Translator *t, uint32_t slot, ValClass class, uint32_t from);
void const_to(Translator *t, uint32_t slot, uint64_t bits);
void local_set(Translator *t, uint32_t local, bool is_tee);

/* Into their homes: the newest n values; every value that reads a local; every accumulator. */
void settle_top(Translator *t, uint32_t n);
void settle_locals(Translator *t);
void settle_accs(Translator *t);
void forget_accs(Translator *t); /* what is in them is no longer known; none may be dirty */
/* Copies the newest n values to consecutive slots from `to`, changing nothing in the state. */
void copy_top(Translator *t, uint32_t n, uint32_t to);
bool top_is_at(const Translator *t, uint32_t n, uint32_t to); /* are they there already? */

/* Groups: translate_ops.c */
void translate_op(Translator *t, const Instr *instr);
/* translate_control.c; false when the instruction is none of its own */
bool translate_control(Translator *t, const Instr *instr);
/* translate_gc.c; false when the instruction is none of its own */
bool translate_gc(Translator *t, const Instr *instr);
/* The structure or array type that a cast to the module's type asks for, or NULL. */
const Type *translate_object_type(const Translator *t, ValType type);
/* Fuel of bulk instructions: n counts bytes or elements. */
void translate_bulk_fuel(Translator *t, uint32_t n_slot, bool is_64, uint32_t log2);
void translate_block_cost(Translator *t, const Instr *instr);

/* Facts about instructions: ops_info.c is made from the tables. */
typedef struct OpForm {
  uint16_t base; /* first variant, or 0 */
  uint8_t n_operands;
  bool traps;
} OpForm;
const OpForm *op_form(Op op);
bool op_is_commutative(Op op);
/* A comparison: its opposite for integers, the same with operands swapped, its first fused branch.
 */
typedef struct CompareForm {
  Op negated; /* OP_INVALID for floats */
  Op swapped;
  uint16_t branch;         /* BR_x_SS, or 0 when the instruction is no comparison */
  uint16_t branch_negated; /* floats: BRN_x_SS */
} CompareForm;
const CompareForm *compare_form(Op op);

#endif
