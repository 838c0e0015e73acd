/* ir.h - the compiler's intermediate representation: SSA with floating pure nodes over a
 * control-flow graph whose blocks keep an ordered list of effects.
 *
 * Passes, in order: build (from a validated body; folds and shares nodes as they are made), memopt,
 * cfg, place (gives every floating node a block and an order); then the machine's own: isel, live,
 * spill, color, moves, emit. Node 0 and block 0 are "none". Everything lives in the arena of one
 * compilation.
 */
#ifndef RILLE_IR_H
#define RILLE_IR_H

#include "../module/instr.h"

enum {
  IR_FIRST = OP_COUNT, /* node.op below: a row of opcodes.def */
  IR_BEFORE = OP_COUNT - 1,
#define IR(name, class, text) IR_##name,
#include "ir.def"
  IR_END,
};

typedef uint32_t Ref;   /* a node's index */
typedef uint32_t Block; /* a block's index */

typedef struct Node {
  uint16_t op;
  uint8_t type; /* KIND_I32 ... KIND_REF of its result; KIND_BOTTOM: none */
  uint8_t lane; /* SIMD lane, memory access: log2 of the alignment hint */
  Block block;  /* pinned and effect nodes: always; floating ones: after place */
  Ref a, b, c;
  uint32_t n_args; /* args: further operands */
  uint64_t imm;    /* constants, offsets, indices */
  Ref *args;
  uint32_t uses;   /* number of uses; kept by ir_use, recounted by place */
  uint32_t at;     /* offset in the module's bytes: traps, calls, line tables */
  uint32_t memory; /* memory index of an access */
  uint32_t mark;   /* scratch of a pass */
} Node;

typedef struct BlockInfo {
  VEC(Ref) phis;
  VEC(Ref)
  effects; /* in order; the END node is the last. After place: every node of the block, in order */
  Block *preds, *succs;
  uint32_t n_preds, n_succs, room_preds;
  Block idom;     /* immediate dominator, set by cfg */
  uint32_t rpo;   /* number in reverse post-order, set by cfg */
  Block loop;     /* header of the innermost loop, or 0 */
  uint16_t depth; /* of loops */
  bool is_cold;   /* ends in a trap, or hinted unlikely */
  bool is_loop_header;
} BlockInfo;

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
  Block *order; /* blocks in the order of emission, set by cfg */
  uint32_t n_order;
  VEC(const uint8_t *) vectors;
} Ir;

#define NODE(ir, ref)       (&(ir)->nodes[ref])
#define BLOCK_OF(ir, block) (&(ir)->blocks[block])

/* "i32.add", "phi", ... */
const char *ir_op_text(unsigned op);
/* Does evaluating it have no effect at all (may it float)? */
bool ir_is_floating(const Node *node);
bool ir_is_end(const Node *node);
/* All operands in one order: a, b, c where not 0, then args. */
uint32_t ir_operands(const Node *node, Ref *out3); /* of a, b, c only */

/* Text of the whole function, for dumps and golden tests; and the checker (NULL: fine, else what is
 * wrong). */
void ir_print(const Ir *ir, Buf *out);
const char *ir_check(const Ir *ir, Arena *arena);

#endif
