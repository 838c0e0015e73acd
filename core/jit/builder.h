/* builder.h - the state of building SSA, and what build_*.c share.
 *
 * One walk forward over the body. A scan before it notes, for each block, loop, if and try, which
 * locals are set inside. Hence
 *   - an edge to a label carries the values of these locals and the label's values, nothing else;
 *   - at a label there is a phi exactly where the edges differ;
 *   - in a loop a local of the loop's set is "lazy": its phi is made when it is read before it is
 *     set, or when it meets another value at a label.
 * A lazy value is an index into Builder.lazies with LAZY set. It stays in its own local.
 */
#ifndef RILLE_JIT_BUILDER_H
#define RILLE_JIT_BUILDER_H

#include "build.h"
#include "fold.h"

#define LAZY 0x80000000u
/* Values carried by edges that a function may have; only a function made for the purpose has more.
 */
#define BUILD_VALUES_MAX (1u << 26)

typedef struct Edge Edge;
struct Edge {
  Edge *next;
  Block from;
  Ref values[]; /* of the locals set in the construct, then of the label */
};

/* Edges to one place, in the order of its predecessors. */
typedef struct Edges {
  Edge *first, **last;
  uint32_t n;
} Edges;

/* Locals that are set in a construct. */
typedef struct LocalSet {
  const uint32_t *locals;
  uint32_t n;
} LocalSet;

/* What the scan of a function found. */
typedef struct Scan {
  const LocalSet *sets; /* of constructs, in the order of their first instructions */
  uint32_t n_sets;
} Scan;

enum { CTL_FUNC, CTL_INLINED, CTL_BLOCK, CTL_LOOP, CTL_IF, CTL_ELSE, CTL_TRY, CTL_CATCH };

typedef struct Ctl {
  uint8_t kind;
  bool is_try_table;
  uint32_t height; /* of the stack below its parameters */
  uint32_t n_params, n_results;
  const ValType *types; /* parameters, then results; NULL: the only result is `single` */
  ValType single;
  LocalSet set;
  uint32_t first_local; /* what the set's numbers are added to */
  Block target;         /* where branches go; 0: none did yet */
  Edges edges;
  uint32_t loop;          /* CTL_LOOP: index into Builder.loops */
  Block else_block;       /* CTL_IF: 0 when it cannot be reached */
  Ref *entry_values;      /* CTL_IF: of the set and the parameters, for the else block */
  uint32_t outer_try;     /* the innermost active try around it: its index + 1, or 0 */
  Block handler;          /* CTL_TRY: where exceptions go; 0: none yet */
  Edges handler_edges;    /* values: of the set, then the exception */
  const uint8_t *clauses; /* try_table: read them with a Reader */
  uint32_t n_clauses;
  Ref exception;      /* CTL_CATCH: what was caught */
  Block next_catch;   /* CTL_CATCH: where the next clause is tried; 0: nowhere */
  Ref *caught_values; /* CTL_CATCH: of the set, when it was caught */
  uint32_t visit;     /* the last br_table that named it */
} Ctl;

typedef struct Loop {
  Block header;
  uint32_t first_lazy, n_lazies;
  Edges edges; /* back edges */
  bool is_closed;
} Loop;

typedef struct Lazy {
  uint32_t loop, local;
  Ref entry; /* the value before the loop; may be lazy itself */
  Ref phi;   /* 0: not made */
} Lazy;

/* A function whose body is being read: the one compiled, or a callee inside of it. */
typedef struct Frame {
  Reader reader;
  uint32_t func, first_local;
  uint32_t call; /* the place of the call in the function around, when there is one */
  Scan scan;
  uint32_t next_set;
  Ref fuel; /* the FUEL node of its running block, or 0; kept here during an inlined call */
} Frame;

typedef struct Builder {
  Ir *ir;
  Arena *arena;
  Module *module;
  const BuildOptions *options;
  Frame frame; /* of the innermost function */
  VEC(Frame) callers;
  Block now;   /* where instructions go; 0: this code is not reached */
  uint32_t at; /* offset of the instruction, in the module's bytes */
  Ref fuel;    /* the FUEL node of the running block, or 0 */
  VEC(Ref) stack;
  VEC(Ref) locals;
  VEC(uint8_t) local_kinds;
  VEC(Ctl) ctls;
  VEC(Loop) loops;
  VEC(Lazy) lazies;
  VEC(uint32_t) unfilled; /* lazies of closed loops whose phis have no arguments */
  uint32_t try_ctl;       /* the innermost active try: its index + 1, or 0 */
  uint32_t n_visits;
  uint32_t n_values;     /* carried by edges so far */
  uint32_t inlined_size; /* bytes of callees inside */
} Builder;

/* The scan: build_scan.c. The reader stands behind the declarations of locals. */
Scan build_scan(Arena *arena, Reader reader, uint32_t n_locals);

/* Values */
static inline void push(Builder *b, Ref ref) {
  VEC_PUSH(b->arena, &b->stack, ref);
}
static inline Ref pop(Builder *b) {
  return b->stack.items[--b->stack.n];
}
Ref build_lazy(Builder *b, uint32_t lazy); /* makes its phi */
static inline Ref build_value(Builder *b, Ref ref) {
  return UNLIKELY(ref & LAZY) ? build_lazy(b, ref & ~LAZY) : ref;
}
Ref build_read_local(Builder *b, uint32_t index); /* of the running function */
static inline bool opens_block(Op op) {
  return op == OP_BLOCK || op == OP_LOOP || op == OP_IF || op == OP_TRY || op == OP_TRY_TABLE;
}

/* Appends an effect, pinned or end node at the place where the builder stands. */
Ref build_effect(Builder *b, unsigned op, unsigned type);
static inline Node *build_node(Builder *b, unsigned op, unsigned type) {
  Ref ref = build_effect(b, op, type); /* may move the nodes */
  return NODE(b->ir, ref);
}
/* A FIELD_LOAD at base + offset. */
Ref build_field(Builder *b, unsigned type, Ref base, size_t offset, unsigned field, unsigned alias);
void build_store_field(Builder *b, Ref base, Ref index, size_t offset, Ref value, unsigned field,
                       unsigned alias);
unsigned build_field_of(ValType storage, bool is_signed); /* FIELD_x */
void build_trap_if(Builder *b, Ref condition, Trap trap);
/* Calls a helper with as many operands as its signature has. */
Ref build_helper(Builder *b, unsigned helper, const Ref *args);

/* Groups of instructions. */
void build_block_cost(Builder *b, Op op);              /* fuel, before the instruction */
bool build_control(Builder *b, const Instr *instr);    /* false: none of its own */
bool build_exception(Builder *b, const Instr *instr);  /* the same */
void build_op(Builder *b, const Instr *instr);         /* all but control */
bool build_reference(Builder *b, const Instr *instr);  /* references and the heap */
Ref build_ref_test(Builder *b, Ref ref, ValType type); /* i32; `type` is the module's */
/* Jumps to the label when the reference is of the type, or (not `wants`) when it is not. */
void build_cast_branch(Builder *b, Ref ref, ValType type, bool wants, uint32_t depth);
void build_bulk_fuel(Builder *b, Ref n, unsigned log2); /* n: i64 or i32 */

/* Control, for the others of build_*.c */
void build_branch(Builder *b, Ref condition, Block yes, Block no);
void build_goto(Builder *b, Block to);
void build_end_with_goto(Builder *b, Block to); /* its edge is known there already */
void build_end_with_two(Builder *b, Block first, Block second); /* after the END node */
void build_jump(Builder *b, uint32_t depth);                    /* to a label, with its values */
void build_jump_if(Builder *b, Ref condition, uint32_t depth);
void build_add_edge(Builder *b, Ctl *ctl, Edges *edges, Block to, uint32_t n_values);
/* The values of the locals set in a construct, and those values again. */
Ref *build_save_set(Builder *b, const Ctl *ctl);
void build_restore_set(Builder *b, const Ctl *ctl, const Ref *values);
/* Goes on at a place where edges meet: sets the locals, pushes the values of the kinds. */
void build_merge(Builder *b, const Ctl *ctl, const Edges *edges, Block at, uint32_t n_values);
Ctl *build_push_ctl(Builder *b, unsigned kind, const BlockType *type);
void build_close_label(Builder *b); /* the end of the innermost construct: where its edges meet */
void build_close_loop(Builder *b, const Ctl *ctl); /* all its back edges are known */
/* Calls of functions that are compiled into this one. */
bool build_can_inline(const Builder *b, uint32_t func);
void build_enter(Builder *b, uint32_t func);
void build_leave(Builder *b);
/* Leaves with an exception: to the try (index + 1), or out of the function. */
void build_throw(Builder *b, Ref exception, uint32_t try_ctl);
/* A call may throw into a try: its block ends. */
void build_call_edge(Builder *b, Ref call);
void build_catch_edges(Builder *b); /* the end of try_table's body: its handler */

static inline Ctl *ctl_at(Builder *b, uint32_t depth) {
  return &b->ctls.items[b->ctls.n - 1 - depth];
}
static inline uint32_t label_arity(const Ctl *ctl) {
  return ctl->kind == CTL_LOOP ? ctl->n_params : ctl->n_results;
}
static inline ValType ctl_type(const Ctl *ctl, uint32_t i) {
  return ctl->types ? ctl->types[i] : ctl->single;
}

#endif
