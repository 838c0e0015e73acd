/* ir.h - the compiler's intermediate representation: SSA with floating pure nodes over a
 * control-flow graph whose blocks keep an ordered list of effects.
 *
 * Passes, in order (passes.c runs them): build (from a validated body; folds and shares nodes as
 * they are made, inlines small callees), cfg, memopt, unroll, place (gives every floating node a
 * block and an order); then the machine's own: isel, live, spill, color, moves, emit. Node 0 and
 * block 0 are "none". Everything lives in the arena of one compilation.
 *
 * What holds after each pass
 *   build    Every block can be reached from the entry, or has no predecessors but the entry's
 * none. preds and succs agree: a block stands once in preds of each of its successors, also when a
 * SWITCH names that several times; a BRANCH has two different ones. Phis have an argument for each
 * predecessor. No operand is a NOP. cfg      `order`, `by_rpo`, rpo, idom, loop, depth, is_cold are
 * set. Unreachable blocks are gone from preds. In `by_rpo` a block follows all that dominate it; in
 * `order` the header of a loop may stand behind its body, and cold blocks stand last. The graph is
 * reducible. A block with phis has only predecessors with one successor (edges that come from
 * elsewhere were split, also those back to a header). A loop header is entered from outside by one
 * block, which has no other successor: its preheader, its idom. memopt   The same; redundant loads,
 * stores and checks are gone. place    `effects` of each block in `order` holds all of its nodes
 * but phis and constants, in order, operands before users: PARAM first in the entry, RESULTs right
 * behind their call, CAUGHT first, END last. An operand is a constant (CONST, CONST_V128: in no
 * list, block 0; the machine makes them where they are used), or stands before its user, or in a
 * block that dominates it; a phi's operand is available at the end of its predecessor. `uses`
 * counts operands that name a node; a node without uses is there for its effect. What cannot be
 * reached from effects is in no list. `mark` is free.
 *
 * Types: Node.type is KIND_I32, KIND_I64, KIND_F32, KIND_F64, KIND_V128, KIND_REF, or KIND_BOTTOM
 * when there is no result. KIND_REF and KIND_I64 may take each other's place as operands, also of
 * phis; a pointer to an object is always KIND_REF, and whoever reads through it has it as operand,
 * so that a scan of the live KIND_REF and KIND_I64 values finds it. The high half of an i32 is not
 * defined. NaN results are canonical in deterministic modules (build adds nodes that do it).
 *
 * Bounds: unless Ir.checks_memory is set, an access to a 32-bit memory with 64 KiB pages relies on
 * its 8 GiB reservation (Memory.is_guarded) and traps by a fault; imm may be up to 2^33 (the sum of
 * a constant address and an offset; then a is a constant 0). All other accesses were checked before
 * by TRAP_IF on MEMORY_BYTES and do not fault. Memories other than 0 are found through the
 * instance.
 *
 * Calls: args are the parameters. One result: the node is its value. Several: the node's type is
 * KIND_BOTTOM and a RESULT for each follows directly in the list. Calls change everything but the
 * memories' growing-only size; a memory that is not guarded may move. CALL_INDIRECT traps with
 * TRAP_UNDEFINED_ELEMENT, TRAP_UNINITIALIZED_ELEMENT or TRAP_INDIRECT_CALL_TYPE, CALL_REF with
 * TRAP_NULL_FUNCTION; the machine checks. POLL and FUEL may suspend the guest; when they go on all
 * may have changed as after a call.
 */
#ifndef RILLE_IR_H
#define RILLE_IR_H

#include "../module/instr.h"

enum {
  IR_FIRST = OP_COUNT, /* node.op below: a row of opcodes.def */
  IR_BEFORE = OP_COUNT - 1,
#define IR(name, class, text) IR_##name,
#include "ir.def"
  IR_OP_END,
};

typedef uint32_t Ref;   /* a node's index */
typedef uint32_t Block; /* a block's index */

/* What FIELD_LOAD and FIELD_STORE access; the node's type says how 32 and 64 bits are seen. */
enum { FIELD_I8_S, FIELD_I8_U, FIELD_I16_S, FIELD_I16_U, FIELD_32, FIELD_64, FIELD_128 };
/* Fields of different classes never overlap. */
enum {
  ALIAS_FIXED,  /* never changes once it can be read: lengths, types, immutable fields */
  ALIAS_TABLE,  /* Table.n, Table.items */
  ALIAS_ITEMS,  /* elements of tables */
  ALIAS_OBJECT, /* mutable fields and elements of objects */
};

/* The rows of helper.def, and what they do. */
enum {
#define HELPER(name, signature, clobbers) HELPER_##name,
#include "helper.def"
  HELPER_COUNT,
};
enum {
  CLOBBERS_MEMORY = 1,
  CLOBBERS_SIZE = 2,
  CLOBBERS_TABLE = 4,
  CLOBBERS_OBJECT = 8,
  CLOBBERS_ALL = 31,
  CAN_TRAP = 32,
};
typedef struct HelperInfo {
  const char *name, *signature;
  unsigned clobbers;
} HelperInfo;
extern const HelperInfo helper_info[HELPER_COUNT];

typedef struct Node {
  uint16_t op;
  uint8_t type; /* KIND_I32 ... KIND_REF of its result; KIND_BOTTOM: none */
  uint8_t lane; /* SIMD lane, or FIELD_x */
  Block block;  /* pinned and effect nodes: always; floating ones: after place */
  Ref a, b, c;
  uint32_t n_args; /* args: further operands */
  uint64_t imm;    /* constants, offsets, indices */
  Ref *args;
  uint32_t uses;   /* number of operands that name it; set by place */
  uint32_t at;     /* PLACE in the module's bytes: traps, calls; floating nodes: 0 */
  uint32_t memory; /* memory index of an access; ALIAS_x of a field */
  uint32_t mark;   /* scratch of a pass */
} Node;

typedef VEC(Ref) Refs;

typedef struct BlockInfo {
  Refs phis;
  Refs effects; /* in order; the END node is the last. After place: every node of the block */
  Block *preds, *succs;
  uint32_t n_preds, n_succs, room_preds;
  Block idom;     /* immediate dominator, set by cfg; 0 for the entry */
  Block dom_jump; /* some dominator further up, for cfg_common_dominator */
  uint32_t dom_depth;
  uint32_t rpo;   /* number in reverse post-order from 1 (the entry), set by cfg; 0: unreachable */
  Block loop;     /* header of the innermost loop it is in (a header: itself), or 0 */
  uint16_t depth; /* of loops; 0: in none */
  bool is_cold;   /* ends in a trap, or leads nowhere else */
  bool is_loop_header;
  uint32_t mark; /* scratch of a pass */
} BlockInfo;

/* A place in a function that was inlined. Places are offsets in the module's bytes, or
 * PLACE_INLINED and an index into Ir.inlined. */
typedef struct InlinedPlace {
  uint32_t offset, outer; /* of the instruction; the place of the call of its function */
} InlinedPlace;
#define PLACE_INLINED 0x80000000u

typedef struct Ir {
  Arena *arena;
  Module *module;
  uint32_t func;
  const CompType *type;
  bool counts_fuel;
  bool checks_memory; /* explicit bounds checks also where guard pages would do */
  Node *nodes;
  uint32_t n_nodes, room_nodes;
  BlockInfo *blocks;
  uint32_t n_blocks, room_blocks;
  Block entry;
  Block *order;  /* blocks in the order of emission, the entry first; set by cfg */
  Block *by_rpo; /* the same blocks in reverse post-order */
  uint32_t n_order;
  VEC(const uint8_t *) vectors; /* sixteen bytes each */
  VEC(InlinedPlace) inlined;
  bool has_replaced; /* some node was replaced: operands have to follow */
  Ref *shared;       /* fold.c: hash table of the floating nodes */
  uint32_t n_shared, room_shared;
} Ir;

#define NODE(ir, ref)       (&(ir)->nodes[ref])
#define BLOCK_OF(ir, block) (&(ir)->blocks[block])

/* "i32.add", "phi", ... */
const char *ir_op_text(unsigned op);
typedef enum IrClass { IR_VALUE, IR_PINNED, IR_EFFECT, IR_END } IrClass;
extern const uint8_t ir_class_of[IR_OP_END]; /* by op; rows of numeric.def that trap: IR_EFFECT */
extern const uint8_t ir_result_of[OP_COUNT]; /* KIND_x of rows with a fixed result */

/* Does evaluating it have no effect at all (may it float)? */
static inline bool ir_is_floating(const Node *node) {
  return ir_class_of[node->op] == IR_VALUE;
}
static inline bool ir_is_end(const Node *node) {
  return ir_class_of[node->op] == IR_END;
}
static inline bool ir_is_constant(const Node *node) {
  return node->op == IR_CONST || node->op == IR_CONST_V128;
}
/* Stands in a list, but may go when nobody uses its value. */
bool ir_is_removable(const Node *node);

/* The operands in one order: a, b, c where not 0, then args. f(Ref *) may change them. */
#define FOR_OPERANDS(node, ref, body)                 \
  do {                                                \
    Node *node_ = (node);                             \
    Ref *abc_[] = {&node_->a, &node_->b, &node_->c};  \
    for (unsigned i_ = 0; i_ < 3; i_++) {             \
      Ref *ref = abc_[i_];                            \
      if (*ref != 0) body                             \
    }                                                 \
    for (uint32_t i_ = 0; i_ < node_->n_args; i_++) { \
      Ref *ref = &node_->args[i_];                    \
      body                                            \
    }                                                 \
  } while (0)
uint32_t ir_operands(const Node *node, Ref out[3]); /* of a, b, c only */

/* The node that stands for it after replacements. */
static inline Ref ir_follow(const Ir *ir, Ref ref) {
  while (ir->nodes[ref].op == IR_NOP && ir->nodes[ref].a != 0) ref = ir->nodes[ref].a;
  return ref;
}

/* Lets every operand follow, when some node was replaced since the last time. */
void ir_follow_operands(Ir *ir);

/* Making nodes and blocks; pointers into nodes and blocks do not outlive these. */
void ir_init(Ir *ir, Arena *arena, Module *module, uint32_t func, uint32_t room_nodes);
void ir_grow_nodes(Ir *ir);
static inline Ref ir_node(Ir *ir, unsigned op, unsigned type) {
  if (UNLIKELY(ir->n_nodes == ir->room_nodes)) ir_grow_nodes(ir);
  ir->nodes[ir->n_nodes] = (Node){.op = (uint16_t)op, .type = (uint8_t)type};
  return ir->n_nodes++;
}
Block ir_block(Ir *ir);
/* Appends to the block's list. */
void ir_append(Ir *ir, Block block, Ref ref);
void ir_add_pred(Ir *ir, Block block, Block pred);
/* The index of `pred` among the predecessors of `block`. */
uint32_t ir_pred_index(const Ir *ir, Block block, Block pred);
/* The offset in the module's bytes. */
static inline uint32_t ir_offset(const Ir *ir, uint32_t place) {
  return place & PLACE_INLINED ? ir->inlined.items[place & ~PLACE_INLINED].offset : place;
}
/* Its END node. */
static inline Node *ir_end(const Ir *ir, Block block) {
  const Refs *list = &ir->blocks[block].effects;
  return &ir->nodes[list->items[list->n - 1]];
}

/* Text of the whole function, for dumps and golden tests; and the checker (NULL: fine, else what is
 * wrong). It checks what holds after the pass that was run last. */
typedef enum IrStage { IR_BUILT, IR_SHAPED, IR_FORWARDED, IR_PLACED } IrStage;
void ir_print(const Ir *ir, Buf *out);
const char *ir_check(const Ir *ir, Arena *arena, IrStage stage);

#endif
