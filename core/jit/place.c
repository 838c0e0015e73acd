/* place.c - gives every floating node a block and every block an order: global value numbering,
 * loop-invariant code motion and dead code elimination in one (Click 1995).
 *
 * Requires cfg. A node may stand anywhere between the deepest block of its operands ("early") and
 * the common dominator of its uses ("late"). It goes to the late block, or to the preheader of the
 * outermost loop around that which its operands allow, unless it costs next to nothing. In a block,
 * a node stands right before its first user there; what only other blocks use stands at the end.
 */
#include "place.h"

#include "cfg.h"

#define DONE 0x80000000u

typedef struct Placer {
  Ir *ir;
  VEC(Ref) work; /* pinned and effect nodes that are used, not yet looked at */
  VEC(Ref) stack;
  VEC(Ref) sorted;   /* used floating nodes, operands before users */
  Block *late;       /* by node: the common dominator of the uses seen so far, or 0 */
  Ref *next;         /* by node: the next floating node of its block */
  Ref *first, *last; /* by block: its floating nodes */
  Ref *out;          /* the list being made */
  uint32_t n_out;
} Placer;

enum { UNUSED, USED, PLACED }; /* Node.mark */

/* What is used */

static void use(Placer *p, Ref ref) {
  Node *node = NODE(p->ir, ref);
  if (node->mark != UNUSED || ir_is_constant(node)) return;
  if (ir_is_floating(node)) {
    VEC_PUSH(p->ir->arena, &p->stack, ref);
  } else {
    node->mark = USED;
    VEC_PUSH(p->ir->arena, &p->work, ref);
  }
}

/* The floating nodes on the stack and below, in post-order. */
static void sort_floating(Placer *p) {
  Ir *ir = p->ir;
  while (p->stack.n != 0) {
    Ref ref = p->stack.items[--p->stack.n];
    if (ref & DONE) {
      VEC_PUSH(ir->arena, &p->sorted, ref & ~DONE);
      continue;
    }
    Node *node = NODE(ir, ref);
    if (node->mark != UNUSED) continue;
    node->mark = USED;
    VEC_PUSH(ir->arena, &p->stack, ref | DONE);
    if (node->c != 0) use(p, node->c);
    if (node->b != 0) use(p, node->b);
    if (node->a != 0) use(p, node->a);
  }
}

static void use_operands(Placer *p, Ref ref) {
  FOR_OPERANDS(NODE(p->ir, ref), operand, { use(p, *operand); });
  sort_floating(p);
}

static void find_used(Placer *p) {
  Ir *ir = p->ir;
  for (Ref ref = 0; ref < ir->n_nodes; ref++) {
    NODE(ir, ref)->mark = UNUSED;
    NODE(ir, ref)->uses = 0;
  }
  for (uint32_t i = 0; i < ir->n_order; i++) {
    const Refs *effects = &BLOCK_OF(ir, ir->by_rpo[i])->effects;
    for (uint32_t k = 0; k < effects->n; k++) {
      Node *node = NODE(ir, effects->items[k]);
      if (node->mark != UNUSED || ir_is_removable(node)) continue;
      node->mark = USED;
      use_operands(p, effects->items[k]);
    }
  }
  while (p->work.n != 0) use_operands(p, p->work.items[--p->work.n]);
}

/* Early and late */

static void find_early(Placer *p) {
  Ir *ir = p->ir;
  for (uint32_t i = 0; i < p->sorted.n; i++) {
    Node *node = NODE(ir, p->sorted.items[i]);
    Ref operands[3];
    uint32_t n = ir_operands(node, operands);
    Block early = ir->entry;
    for (uint32_t k = 0; k < n; k++) {
      const Node *operand = NODE(ir, operands[k]);
      if (ir_is_constant(operand)) continue;
      if (BLOCK_OF(ir, operand->block)->dom_depth > BLOCK_OF(ir, early)->dom_depth)
        early = operand->block;
    }
    node->block = early;
  }
}

static inline void use_in(Placer *p, Ref ref, Block block) {
  if (!ir_is_floating(NODE(p->ir, ref))) return;
  Block late = p->late[ref];
  p->late[ref] = late == 0 || late == block ? block : cfg_common_dominator(p->ir, late, block);
}

/* Nodes that are folded into their users, or as cheap as keeping their values. */
static bool is_cheap(const Ir *ir, const Node *node) {
  switch (node->op) {
    case OP_I32_ADD:
    case OP_I64_ADD: return ir_is_constant(NODE(ir, node->b));
    case OP_I64_EXTEND_I32_U:
    case OP_I32_WRAP_I64: return true;
    default: return node->op >= OP_I32_EQZ && node->op <= OP_F64_GE;
  }
}

static Block best_block(const Ir *ir, const Node *node, Block late) {
  uint32_t early = BLOCK_OF(ir, node->block)->dom_depth;
  Block loop = BLOCK_OF(ir, late)->loop;
  if (loop == 0 || is_cheap(ir, node)) return late;
  while (loop != 0 && BLOCK_OF(ir, loop)->dom_depth > early) {
    late = BLOCK_OF(ir, loop)->idom;
    loop = BLOCK_OF(ir, late)->loop;
  }
  return late;
}

/* The block at whose end a phi's argument is wanted: before the branch that jumps back, so that the
 * split edge stays empty and the branch can jump to the header itself. */
static Block argument_block(const Ir *ir, const BlockInfo *info, Block pred) {
  const BlockInfo *from = BLOCK_OF(ir, pred);
  bool is_split = from->rpo > info->rpo && from->effects.n == 1 && from->n_preds == 1;
  return is_split && ir_end(ir, from->preds[0])->op == IR_BRANCH ? from->preds[0] : pred;
}

static void use_in_phis(Placer *p, const BlockInfo *info) {
  for (uint32_t k = 0; k < info->phis.n; k++) {
    const Node *phi = NODE(p->ir, info->phis.items[k]);
    if (phi->mark != USED) continue;
    for (uint32_t a = 0; a < phi->n_args; a++)
      use_in(p, phi->args[a], argument_block(p->ir, info, info->preds[a]));
  }
}

static void place_nodes(Placer *p) {
  Ir *ir = p->ir;
  for (uint32_t i = 0; i < ir->n_order; i++) {
    Block block = ir->by_rpo[i];
    const BlockInfo *info = BLOCK_OF(ir, block);
    for (uint32_t k = 0; k < info->effects.n; k++) {
      Node *node = NODE(ir, info->effects.items[k]);
      if (node->mark == USED) FOR_OPERANDS(node, operand, { use_in(p, *operand, block); });
    }
    use_in_phis(p, info);
  }
  for (uint32_t i = p->sorted.n; i-- > 0;) {
    Ref ref = p->sorted.items[i];
    Node *node = NODE(ir, ref);
    node->block = best_block(ir, node, p->late[ref]);
    if (node->a != 0) use_in(p, node->a, node->block);
    if (node->b != 0) use_in(p, node->b, node->block);
    if (node->c != 0) use_in(p, node->c, node->block);
  }
}

static void list_by_block(Placer *p) {
  for (uint32_t i = 0; i < p->sorted.n; i++) {
    Ref ref = p->sorted.items[i];
    Block block = NODE(p->ir, ref)->block;
    p->next[ref] = 0;
    if (p->first[block] == 0) {
      p->first[block] = ref;
    } else {
      p->next[p->last[block]] = ref;
    }
    p->last[block] = ref;
  }
}

/* Order inside a block */

static void count_uses(Ir *ir, Ref ref) {
  FOR_OPERANDS(NODE(ir, ref), operand, { NODE(ir, *operand)->uses++; });
}

static void put(Placer *p, Ref ref) {
  p->out[p->n_out++] = ref;
  count_uses(p->ir, ref);
}

/* A floating node of the block, after its operands there. */
static void put_floating(Placer *p, Ref ref, Block block) {
  Ir *ir = p->ir;
  VEC_PUSH(ir->arena, &p->stack, ref);
  while (p->stack.n != 0) {
    ref = p->stack.items[--p->stack.n];
    Node *node = NODE(ir, ref & ~DONE);
    if (ref & DONE) {
      put(p, ref & ~DONE);
      continue;
    }
    if (node->mark != USED || node->block != block || !ir_is_floating(node)) continue;
    node->mark = PLACED;
    VEC_PUSH(ir->arena, &p->stack, ref | DONE);
    if (node->c != 0) VEC_PUSH(ir->arena, &p->stack, node->c);
    if (node->b != 0) VEC_PUSH(ir->arena, &p->stack, node->b);
    if (node->a != 0) VEC_PUSH(ir->arena, &p->stack, node->a);
  }
}

static void put_node(Placer *p, Ref ref, Block block) {
  Ir *ir = p->ir;
  Node *node = NODE(ir, ref);
  FOR_OPERANDS(node, operand, {
    const Node *used = NODE(ir, *operand);
    if (used->mark == USED && used->block == block && ir_is_floating(used))
      put_floating(p, *operand, block);
  });
  NODE(ir, ref)->mark = PLACED;
  put(p, ref);
}

/* Where the nodes that only other blocks use belong: before the end, and before a call that may
 * leave the block. */
static uint32_t tail_start(const Ir *ir, const Refs *effects) {
  uint32_t at = effects->n - 1;
  const Node *end = NODE(ir, effects->items[at]);
  if (end->op != IR_GOTO_CATCH) return at;
  while (effects->items[at] != end->a) at--;
  return at;
}

static void order_block(Placer *p, Block block) {
  Ir *ir = p->ir;
  BlockInfo *info = BLOCK_OF(ir, block);
  uint32_t n = info->effects.n, tail = tail_start(ir, &info->effects);
  for (Ref ref = p->first[block]; ref != 0; ref = p->next[ref]) n++;
  p->out = arena_new(ir->arena, n * sizeof *p->out);
  p->n_out = 0;
  Ref condition =
      ir_end(ir, block)->a; /* stands right before the branch that it may be fused with */
  for (uint32_t i = 0; i < info->effects.n; i++) {
    if (i == tail) {
      for (Ref ref = p->first[block]; ref != 0; ref = p->next[ref]) {
        if (ref != condition) put_floating(p, ref, block);
      }
    }
    if (NODE(ir, info->effects.items[i])->mark == USED) put_node(p, info->effects.items[i], block);
  }
  info->effects.items = p->out;
  info->effects.n = info->effects.room = p->n_out;
}

static void drop_phis(Ir *ir, Block block) {
  Refs *phis = &BLOCK_OF(ir, block)->phis;
  uint32_t n = 0;
  for (uint32_t i = 0; i < phis->n; i++) {
    Ref phi = phis->items[i];
    if (NODE(ir, phi)->mark != USED) continue;
    phis->items[n++] = phi;
    count_uses(ir, phi);
  }
  phis->n = n;
}

void place_run(Ir *ir) {
  Placer p = {.ir = ir};
  p.late = ARENA_ARRAY(ir->arena, Block, ir->n_nodes);
  p.next = arena_new(ir->arena, ir->n_nodes * sizeof *p.next);
  p.first = ARENA_ARRAY(ir->arena, Ref, ir->n_blocks);
  p.last = arena_new(ir->arena, ir->n_blocks * sizeof *p.last);
  find_used(&p);
  find_early(&p);
  place_nodes(&p);
  list_by_block(&p);
  for (uint32_t i = 0; i < ir->n_order; i++) {
    drop_phis(ir, ir->by_rpo[i]);
    order_block(&p, ir->by_rpo[i]);
  }
}
