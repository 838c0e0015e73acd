/* place.c - gives every floating node a block and every block an order: global value numbering,
 * loop-invariant code motion and dead code elimination in one (Click 1995).
 *
 * Requires cfg. A node may stand anywhere between the deepest block of its operands ("early") and
 * the common dominator of its uses ("late"). It goes to the late block, or to the preheader of the
 * outermost loop around that which its operands allow, unless it costs next to nothing. A node that
 * only some ways out of its late block need is copied to each of them. In a block, a node stands
 * right before its first user there; what only other blocks use stands at the end. But what is the
 * only user of two values of its block stands right behind them: it takes one register for two.
 */
#include "place.h"

#include "cfg.h"

#define DONE 0x80000000u

/* An operand that names a floating node, and where its value is wanted. */
typedef struct Use {
  Ref *operand;
  Ref user; /* 0: a phi */
  Block block;
  uint32_t next; /* of the same node, from 1 */
} Use;

/* The uses of a node below one way out of its late block. */
typedef struct Way {
  Block block;
  uint32_t first, last; /* chain of uses */
  Block late;
  bool is_direct; /* some use stands in `block` itself */
} Way;

/* Splitting looks at all uses each time: more make it too slow. */
enum { WAYS_MAX = 16, SPLIT_USES_MAX = 64 };

typedef struct Placer {
  Ir *ir;
  VEC(Ref) work; /* pinned and effect nodes that are used, not yet looked at */
  VEC(Ref) stack;
  VEC(Ref) sorted; /* used floating nodes, operands before users */
  Block *late;     /* by node: the common dominator of the uses seen so far, or 0 */
  VEC(Use) uses;
  VEC(Ref) copies;
  uint32_t *first_use; /* by node: its newest use, from 1, or 0 */
  uint32_t *n_uses;    /* by node */
  Ref *user;           /* by node: its last user, or 0: a phi */
  uint32_t room;       /* of what is by node: there is no more for copies */
  Ref *next;           /* by node: the next floating node of its block */
  Ref *first, *last;   /* by block: its floating nodes */
  Ref waiting;         /* a load that comes next, but not before its user or the next effect */
  Ref *out;            /* the list being made */
  uint32_t n_out;
} Placer;

enum { UNUSED, USED, OPEN, PLACED }; /* Node.mark; OPEN: its operands are being put */

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

static inline void use_in(Placer *p, Ref *operand, Ref user, Block block) {
  Ref ref = *operand;
  p->n_uses[ref]++;
  p->user[ref] = user;
  if (!ir_is_floating(NODE(p->ir, ref)) || ir_is_constant(NODE(p->ir, ref))) return;
  Block late = p->late[ref];
  p->late[ref] = late == 0 || late == block ? block : cfg_common_dominator(p->ir, late, block);
  Use use = {operand, user, block, p->first_use[ref]};
  VEC_PUSH(p->ir->arena, &p->uses, use);
  p->first_use[ref] = p->uses.n;
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
    Node *phi = NODE(p->ir, info->phis.items[k]);
    if (phi->mark != USED) continue;
    for (uint32_t a = 0; a < phi->n_args; a++)
      use_in(p, &phi->args[a], 0, argument_block(p->ir, info, info->preds[a]));
  }
}

static void use_in_lists(Placer *p) {
  Ir *ir = p->ir;
  for (uint32_t i = 0; i < ir->n_order; i++) {
    Block block = ir->by_rpo[i];
    const BlockInfo *info = BLOCK_OF(ir, block);
    for (uint32_t k = 0; k < info->effects.n; k++) {
      Ref ref = info->effects.items[k];
      Node *node = NODE(ir, ref);
      if (node->mark == USED) FOR_OPERANDS(node, operand, { use_in(p, operand, ref, block); });
    }
    use_in_phis(p, info);
  }
}

/* Copies for the ways out of a block */

/* The block right below `above` in the dominator tree that dominates `block`. */
static Block child_towards(const Ir *ir, Block above, Block block) {
  uint32_t depth = BLOCK_OF(ir, above)->dom_depth + 1;
  while (BLOCK_OF(ir, block)->dom_depth > depth) {
    Block jump = BLOCK_OF(ir, block)->dom_jump;
    block = BLOCK_OF(ir, jump)->dom_depth >= depth ? jump : BLOCK_OF(ir, block)->idom;
  }
  return block;
}

/* Sorts the node's uses by the ways out of the block; 0 when it is wanted in the block itself, or
 * where ways meet again, or on too many. */
static uint32_t find_ways(Placer *p, Ref ref, Block late, Way ways[WAYS_MAX]) {
  Ir *ir = p->ir;
  uint32_t n = 0, n_uses = 0;
  for (uint32_t at = p->first_use[ref]; at != 0; at = p->uses.items[at - 1].next) {
    const Use *use = &p->uses.items[at - 1];
    if (use->block == late || ++n_uses > SPLIT_USES_MAX) return 0;
    Block child = child_towards(ir, late, use->block);
    if (BLOCK_OF(ir, child)->n_preds != 1) return 0;
    uint32_t i = 0;
    while (i < n && ways[i].block != child) i++;
    if (i == WAYS_MAX) return 0;
    if (i == n) ways[n++] = (Way){.block = child};
    ways[i].is_direct |= use->block == child;
  }
  return n;
}

/* Does every way out want it at once? Then it may as well be computed before. */
static bool is_wanted_on_all(const Ir *ir, Block late, const Way *ways, uint32_t n) {
  const BlockInfo *info = BLOCK_OF(ir, late);
  uint32_t n_direct = 0, n_succs = 0;
  for (uint32_t i = 0; i < n; i++) n_direct += ways[i].is_direct;
  for (uint32_t i = 0; i < info->n_succs; i++) {
    bool is_again = false;
    for (uint32_t k = 0; k < i && !is_again && i < 2 * WAYS_MAX; k++)
      is_again = info->succs[k] == info->succs[i];
    n_succs += !is_again;
  }
  return n_direct >= n_succs;
}

/* Takes the uses of the node over to the ways' nodes: itself for the first, copies for others,
 * which are put on the stack. */
static void split(Placer *p, Ref ref, Block late, Way *ways, uint32_t n) {
  Ir *ir = p->ir;
  Ref refs[WAYS_MAX] = {ref};
  for (uint32_t i = 1; i < n; i++) {
    refs[i] = ir_node(ir, IR_NOP, KIND_BOTTOM);
    *NODE(ir, refs[i]) = *NODE(ir, ref);
    p->late[refs[i]] = 0;
    p->first_use[refs[i]] = 0;
    VEC_PUSH(ir->arena, &p->copies, refs[i]);
  }
  uint32_t at = p->first_use[ref], next;
  p->late[ref] = 0;
  p->first_use[ref] = 0;
  p->n_uses[ref] = 0;
  for (; at != 0; at = next) {
    Use *use = &p->uses.items[at - 1];
    next = use->next;
    Block child = child_towards(ir, late, use->block);
    uint32_t i = 0;
    while (ways[i].block != child) i++;
    *use->operand = refs[i];
    p->n_uses[refs[i]]++;
    p->user[refs[i]] = use->user;
    Block old = p->late[refs[i]];
    p->late[refs[i]] = old == 0 ? use->block : cfg_common_dominator(ir, old, use->block);
    use->next = p->first_use[refs[i]];
    p->first_use[refs[i]] = at;
  }
  for (uint32_t i = 0; i < n; i++) VEC_PUSH(ir->arena, &p->stack, refs[i]);
}

/* False: it stays whole. */
static bool split_by_ways(Placer *p, Ref ref, Block late) {
  Way ways[WAYS_MAX];
  const BlockInfo *info = BLOCK_OF(p->ir, late);
  if (info->n_succs < 2 || ir_end(p->ir, late)->op == IR_GOTO_CATCH) return false;
  uint32_t n = find_ways(p, ref, late, ways);
  if (n < 2 || p->ir->n_nodes + n > p->room) return false;
  if (is_wanted_on_all(p->ir, late, ways, n)) return false;
  split(p, ref, late, ways, n);
  return true;
}

static void place_node(Placer *p, Ref ref) {
  Ir *ir = p->ir;
  VEC_PUSH(ir->arena, &p->stack, ref);
  while (p->stack.n != 0) {
    ref = p->stack.items[--p->stack.n];
    Node *node = NODE(ir, ref);
    Block late = p->late[ref], best = best_block(ir, node, late);
    if (best == late && split_by_ways(p, ref, late)) continue;
    node->block = best;
    if (node->a != 0) use_in(p, &node->a, ref, best);
    if (node->b != 0) use_in(p, &node->b, ref, best);
    if (node->c != 0) use_in(p, &node->c, ref, best);
  }
}

static void place_nodes(Placer *p) {
  for (uint32_t i = p->sorted.n; i-- > 0;) place_node(p, p->sorted.items[i]);
  for (uint32_t i = 0; i < p->copies.n; i++) VEC_PUSH(p->ir->arena, &p->sorted, p->copies.items[i]);
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

/* Is it the only user of two values of its block, and of none that is still to come? */
static bool takes_two(const Placer *p, const Node *node, Block block) {
  const Ir *ir = p->ir;
  Ref operands[3];
  uint32_t n = ir_operands(node, operands), n_taken = 0;
  for (uint32_t i = 0; i < n; i++) {
    const Node *operand = NODE(ir, operands[i]);
    if (ir_is_constant(operand) || operand->block != block) continue;
    if (operand->op != IR_PHI && operand->mark != PLACED) return false;
    n_taken += p->n_uses[operands[i]] == 1;
  }
  return n_taken >= 2;
}

/* What may follow a node at once: its only user, when that takes two. Nothing comes between what
 * has to be at the start of the block or behind a call. */
static Ref taker(const Placer *p, Ref ref) {
  const Ir *ir = p->ir;
  const Node *node = NODE(ir, ref), *user = NODE(ir, p->user[ref]);
  if (p->n_uses[ref] != 1 || p->user[ref] == 0 || user->mark != USED) return 0;
  if (user->block != node->block || !ir_is_floating(user) || !takes_two(p, user, node->block))
    return 0;
  bool stays =
      node->op == IR_RESULT || node->op == IR_PARAM || ir_end(ir, node->block)->op == IR_GOTO_CATCH;
  return stays ? 0 : p->user[ref];
}

/* Puts a node, and what follows it. */
static void put(Placer *p, Ref ref) {
  for (; ref != 0; ref = taker(p, ref)) {
    p->out[p->n_out++] = ref;
    NODE(p->ir, ref)->mark = PLACED;
    count_uses(p->ir, ref);
  }
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
    if (node->mark != USED || node->block != block) continue;
    if (!ir_is_floating(node) && ref != p->waiting) continue;
    node->mark = OPEN;
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
    bool is_ready = ir_is_floating(NODE(ir, *operand)) || *operand == p->waiting;
    if (is_ready && NODE(ir, *operand)->mark == USED) put_floating(p, *operand, block);
  });
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

/* A load with one user, which nothing but the next effect keeps it from. */
static bool may_wait(const Placer *p, Ref ref) {
  const Node *node = NODE(p->ir, ref);
  bool is_load = node->op == IR_CELL_LOAD || node->op == IR_FIELD_LOAD ||
                 (node->op >= OP_I32_LOAD && node->op <= OP_I64_LOAD32_U) ||
                 node->op == OP_V128_LOAD;
  return is_load && p->n_uses[ref] == 1;
}

static void put_effect(Placer *p, Ref ref, Block block) {
  if (NODE(p->ir, ref)->mark != USED) return;
  if (p->waiting != 0 && NODE(p->ir, p->waiting)->mark == USED) put_node(p, p->waiting, block);
  p->waiting = 0;
  if (may_wait(p, ref)) {
    p->waiting = ref;
  } else {
    put_node(p, ref, block);
  }
}

/* Its only user stands in the block, and brings it. */
static bool comes_with_user(const Placer *p, Ref ref, Block block) {
  return p->n_uses[ref] == 1 && p->user[ref] != 0 && NODE(p->ir, p->user[ref])->block == block;
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
        if (ref != condition && !comes_with_user(p, ref, block)) put_floating(p, ref, block);
      }
    }
    put_effect(p, info->effects.items[i], block);
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

/* Copies may be made without moving the nodes. */
static void make_room(Placer *p) {
  Ir *ir = p->ir;
  p->room = ir->n_nodes + ir->n_nodes / 4 + 100;
  while (ir->room_nodes < p->room) ir_grow_nodes(ir);
  p->late = ARENA_ARRAY(ir->arena, Block, p->room);
  p->first_use = ARENA_ARRAY(ir->arena, uint32_t, p->room);
  p->n_uses = ARENA_ARRAY(ir->arena, uint32_t, p->room);
  p->user = arena_new(ir->arena, p->room * sizeof *p->user);
  p->next = arena_new(ir->arena, p->room * sizeof *p->next);
  p->first = ARENA_ARRAY(ir->arena, Ref, ir->n_blocks);
  p->last = arena_new(ir->arena, ir->n_blocks * sizeof *p->last);
}

void place_run(Ir *ir) {
  Placer p = {.ir = ir};
  make_room(&p);
  find_used(&p);
  find_early(&p);
  use_in_lists(&p);
  place_nodes(&p);
  list_by_block(&p);
  for (uint32_t i = 0; i < ir->n_order; i++) {
    drop_phis(ir, ir->by_rpo[i]);
    order_block(&p, ir->by_rpo[i]);
  }
}
