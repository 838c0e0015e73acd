/* unroll.c - copies the bodies of small loops.
 *
 * Requires cfg. A copy behind the first needs no poll, no jump back, no moves for phis, and what is
 * counted up by constants is folded. This is done to innermost loops with one jump back and one way
 * out, a branch, that call nothing.
 *
 * Every copy gets nodes of its own, the first too. The old nodes then stand for the values behind
 * the loop: those that belong to blocks become phis where the copies' ways out meet, and floating
 * ones follow their operands. So nothing outside has to be looked at.
 */
#include "unroll.h"

#include "fold.h"

enum { COPIES_MAX = 4, BLOCKS_MAX = 8, ITEMS_MAX = 64, NODES_MAX = 1 << 16 };

/* A node that the loop uses: of the loop, or floating. */
typedef struct Item {
  Ref ref, copies[COPIES_MAX];
  bool is_variant; /* there is one for each copy */
} Item;

typedef struct Body {
  Block block, copies[COPIES_MAX];
  BlockInfo old;
  bool is_before_exit; /* dominates the block with the way out */
} Body;

typedef struct Unroller {
  Ir *ir;
  Block *first, *next; /* by header, by block: the blocks of a loop, in reverse post-order */
  bool *has_inner;     /* by header */
  /* Of one loop */
  Block header, exit_from, outside, meeting;
  uint32_t n_exits, back; /* the jump back's number among the header's predecessors */
  Body bodies[BLOCKS_MAX];
  uint32_t n_bodies;
  Item items[ITEMS_MAX]; /* Node.mark: index + 1 */
  uint32_t n_items, cost, n_copies;
  bool is_too_large;
} Unroller;

/* Finding loops */

static void list_loops(Unroller *u) {
  Ir *ir = u->ir;
  u->first = ARENA_ARRAY(ir->arena, Block, ir->n_blocks);
  u->next = ARENA_ARRAY(ir->arena, Block, ir->n_blocks);
  u->has_inner = ARENA_ARRAY(ir->arena, bool, ir->n_blocks);
  for (uint32_t i = ir->n_order; i-- > 0;) {
    Block block = ir->by_rpo[i];
    const BlockInfo *info = BLOCK_OF(ir, block);
    u->next[block] = u->first[info->loop];
    u->first[info->loop] = block;
    if (info->is_loop_header) u->has_inner[BLOCK_OF(ir, info->idom)->loop] = true;
  }
}

static Item *item_of(Unroller *u, Ref ref) {
  uint32_t mark = NODE(u->ir, ref)->mark;
  return mark != 0 ? &u->items[mark - 1] : NULL;
}

static Item *add_item(Unroller *u, Ref ref, bool is_variant) {
  if (u->n_items == ITEMS_MAX) {
    u->is_too_large = true;
    return NULL;
  }
  Item *item = &u->items[u->n_items++];
  *item = (Item){.ref = ref, .is_variant = is_variant};
  NODE(u->ir, ref)->mark = u->n_items;
  return item;
}

/* Does the value differ from one time around to the next? Not deeper than there are items. */
static bool is_variant(Unroller *u, Ref ref) {
  const Node *node = NODE(u->ir, ref);
  Item *item = item_of(u, ref);
  if (item != NULL) return item->is_variant;
  if (ir_is_constant(node) || !ir_is_floating(node)) return false;
  item = add_item(u, ref, false);
  if (item == NULL) return false;
  Ref operands[3];
  uint32_t n = ir_operands(node, operands);
  for (uint32_t i = 0; i < n; i++) item->is_variant |= is_variant(u, operands[i]);
  u->cost += item->is_variant;
  return item->is_variant;
}

static bool may_copy(const Node *node) {
  if (node->op < IR_FIRST) return true;
  switch (node->op) {
    case IR_CELL_LOAD:
    case IR_CELL_STORE:
    case IR_FIELD_LOAD:
    case IR_FIELD_STORE:
    case IR_MEMORY_BYTES:
    case IR_TRAP_IF:
    case IR_POLL:
    case IR_FUEL:
    case IR_BRANCH:
    case IR_GOTO: return true;
    default: return false;
  }
}

static bool add_block(Unroller *u, Block block) {
  Ir *ir = u->ir;
  const BlockInfo *info = BLOCK_OF(ir, block);
  if (u->n_bodies == BLOCKS_MAX) return false;
  u->bodies[u->n_bodies++] = (Body){.block = block, .old = *info};
  for (uint32_t i = 0; i < info->phis.n; i++) add_item(u, info->phis.items[i], true);
  for (uint32_t i = 0; i < info->effects.n; i++) {
    const Node *node = NODE(ir, info->effects.items[i]);
    if (!may_copy(node)) return false;
    if (node->op != IR_POLL && node->op != IR_GOTO) u->cost++;
    add_item(u, info->effects.items[i], true);
  }
  for (uint32_t i = 0; i < info->n_succs; i++) {
    if (BLOCK_OF(ir, info->succs[i])->loop == u->header) continue;
    u->n_exits++;
    u->exit_from = block;
    u->outside = info->succs[i];
  }
  return !u->is_too_large;
}

static void find_variant(Unroller *u) {
  for (uint32_t i = 0, n = u->n_items; i < n && !u->is_too_large; i++)
    FOR_OPERANDS(NODE(u->ir, u->items[i].ref), operand, { is_variant(u, *operand); });
}

static bool collect(Unroller *u, Block header) {
  const Ir *ir = u->ir;
  const BlockInfo *info = BLOCK_OF(ir, header);
  u->header = header;
  u->n_exits = u->n_bodies = u->n_items = u->cost = 0;
  u->is_too_large = false;
  if (info->is_cold || info->n_preds != 2) return false;
  u->back = BLOCK_OF(ir, info->preds[0])->rpo >= info->rpo ? 0 : 1;
  for (Block block = u->first[header]; block != 0; block = u->next[block])
    if (!add_block(u, block)) return false;
  if (u->n_exits != 1 || ir_end(ir, u->exit_from)->op != IR_BRANCH) return false;
  find_variant(u);
  u->n_copies = u->cost <= 8 ? 4 : u->cost <= 14 ? 2 : 1;
  return !u->is_too_large && u->n_copies > 1;
}

/* Copying nodes */

static Ref value_in(Unroller *u, uint32_t copy, Ref ref) {
  const Item *item = item_of(u, ref);
  if (item == NULL || !item->is_variant) return ref;
  if (item->copies[copy] != 0) return item->copies[copy];
  Node node = *NODE(u->ir, ref);
  node.mark = 0;
  if (node.a != 0) node.a = value_in(u, copy, node.a);
  if (node.b != 0) node.b = value_in(u, copy, node.b);
  if (node.c != 0) node.c = value_in(u, copy, node.c);
  return item_of(u, ref)->copies[copy] = fold_node(u->ir, &node);
}

/* A node of a block; its operands are copied before. */
static Ref copy_pinned(Unroller *u, uint32_t copy, Ref ref) {
  Ir *ir = u->ir;
  Node node = *NODE(ir, ref);
  node.mark = 0;
  node.args = arena_copy(ir->arena, node.args, node.n_args * sizeof *node.args);
  FOR_OPERANDS(&node, operand, { *operand = value_in(u, copy, *operand); });
  Ref made = ir_node(ir, node.op, node.type);
  *NODE(ir, made) = node;
  item_of(u, ref)->copies[copy] = made;
  return made;
}

/* The header's: the first copy has phis, whose last argument waits; the others have what comes
 * around. */
static void copy_header_phis(Unroller *u, uint32_t copy) {
  Ir *ir = u->ir;
  const Refs *phis = &u->bodies[0].old.phis;
  for (uint32_t i = 0; i < phis->n; i++) {
    Ref ref = phis->items[i];
    if (copy != 0) {
      Ref value = value_in(u, copy - 1, NODE(ir, ref)->args[u->back]);
      item_of(u, ref)->copies[copy] = value;
      continue;
    }
    Node node = *NODE(ir, ref);
    node.mark = 0;
    node.args = arena_copy(ir->arena, node.args, node.n_args * sizeof *node.args);
    Ref made = ir_node(ir, IR_PHI, node.type);
    *NODE(ir, made) = node;
    item_of(u, ref)->copies[0] = made;
    VEC_PUSH(ir->arena, &BLOCK_OF(ir, u->header)->phis, made);
  }
}

static void copy_phis(Unroller *u, uint32_t copy, const Body *body) {
  Block block = body->copies[copy];
  for (uint32_t i = 0; i < body->old.phis.n; i++) {
    Ref made = copy_pinned(u, copy, body->old.phis.items[i]);
    NODE(u->ir, made)->block = block;
    VEC_PUSH(u->ir->arena, &BLOCK_OF(u->ir, block)->phis, made);
  }
}

/* Copying blocks */

static Body *body_of(Unroller *u, Block block) {
  uint32_t i = 0;
  while (u->bodies[i].block != block) i++;
  return &u->bodies[i];
}

static Block block_in(Unroller *u, uint32_t copy, Block block) {
  return body_of(u, block)->copies[copy];
}

static Block target_in(Unroller *u, uint32_t copy, Block block) {
  if (block == u->outside) return u->meeting;
  if (block == u->header) return block_in(u, copy + 1 < u->n_copies ? copy + 1 : 0, block);
  return block_in(u, copy, block);
}

static void link_copy(Unroller *u, uint32_t copy, const Body *body) {
  Ir *ir = u->ir;
  Block block = body->copies[copy];
  uint32_t n = body->old.n_succs;
  Block *succs = arena_copy(ir->arena, body->old.succs, n * sizeof *succs);
  for (uint32_t i = 0; i < n; i++) succs[i] = target_in(u, copy, succs[i]);
  BLOCK_OF(ir, block)->succs = succs;
  BLOCK_OF(ir, block)->n_succs = n;
  if (body->block != u->header) {
    for (uint32_t i = 0; i < body->old.n_preds; i++)
      ir_add_pred(ir, block, block_in(u, copy, body->old.preds[i]));
  } else if (copy != 0) {
    ir_add_pred(ir, block, block_in(u, copy - 1, body->old.preds[u->back]));
  } else {
    for (uint32_t i = 0; i < 2; i++) {
      Block pred = body->old.preds[i];
      ir_add_pred(ir, block, i == u->back ? block_in(u, u->n_copies - 1, pred) : pred);
    }
  }
}

static void copy_block(Unroller *u, uint32_t copy, const Body *body) {
  Ir *ir = u->ir;
  link_copy(u, copy, body);
  if (body->block == u->header) {
    copy_header_phis(u, copy);
  } else {
    copy_phis(u, copy, body);
  }
  for (uint32_t i = 0; i < body->old.effects.n; i++) {
    Ref ref = body->old.effects.items[i];
    if (copy != 0 && NODE(ir, ref)->op == IR_POLL) continue;
    ir_append(ir, body->copies[copy], copy_pinned(u, copy, ref));
  }
}

static void make_blocks(Unroller *u) {
  Ir *ir = u->ir;
  u->meeting = ir_block(ir);
  for (uint32_t i = 0; i < u->n_bodies; i++) {
    Body *body = &u->bodies[i];
    body->copies[0] = body->block;
    for (uint32_t copy = 1; copy < u->n_copies; copy++) body->copies[copy] = ir_block(ir);
    *BLOCK_OF(ir, body->block) = (BlockInfo){0};
  }
  for (uint32_t copy = 0; copy < u->n_copies; copy++)
    ir_add_pred(ir, u->meeting, block_in(u, copy, u->exit_from));
  Ref end = ir_node(ir, IR_GOTO, KIND_BOTTOM);
  BlockInfo *meeting = BLOCK_OF(ir, u->meeting), *outside = BLOCK_OF(ir, u->outside);
  meeting->succs = arena_copy(ir->arena, &u->outside, sizeof u->outside);
  meeting->n_succs = 1;
  outside->preds[ir_pred_index(ir, u->outside, u->exit_from)] = u->meeting;
  ir_append(ir, u->meeting, end);
}

/* Behind the loop */

static void find_before_exit(Unroller *u) {
  const Ir *ir = u->ir;
  for (Block block = u->exit_from;; block = BLOCK_OF(ir, block)->idom) {
    body_of(u, block)->is_before_exit = true;
    if (block == u->header) return;
  }
}

static void finish_item(Unroller *u, const Item *item) {
  Ir *ir = u->ir;
  Node *node = NODE(ir, item->ref);
  node->mark = 0;
  if (ir_is_floating(node)) return;
  unsigned type = node->type;
  if (type == KIND_BOTTOM || !body_of(u, node->block)->is_before_exit) {
    *node = (Node){.op = IR_NOP};
    return;
  }
  *node = (Node){.op = IR_PHI, .type = (uint8_t)type, .block = u->meeting, .n_args = u->n_copies};
  node->args = arena_copy(ir->arena, item->copies, u->n_copies * sizeof(Ref));
  VEC_PUSH(ir->arena, &BLOCK_OF(ir, u->meeting)->phis, item->ref);
}

static void close_header_phis(Unroller *u) {
  const Refs *phis = &u->bodies[0].old.phis;
  for (uint32_t i = 0; i < phis->n; i++) {
    Ref around = value_in(u, u->n_copies - 1, NODE(u->ir, phis->items[i])->args[u->back]);
    NODE(u->ir, item_of(u, phis->items[i])->copies[0])->args[u->back] = around;
  }
}

static void unroll(Unroller *u) {
  find_before_exit(u);
  make_blocks(u);
  for (uint32_t copy = 0; copy < u->n_copies; copy++) {
    for (uint32_t i = 0; i < u->n_bodies; i++) copy_block(u, copy, &u->bodies[i]);
  }
  close_header_phis(u);
  for (uint32_t i = 0; i < u->n_items; i++) finish_item(u, &u->items[i]);
  u->n_items = 0;
}

bool unroll_run(Ir *ir) {
  bool has_changed = false, has_loop = false;
  for (uint32_t i = 0; i < ir->n_order; i++)
    has_loop |= BLOCK_OF(ir, ir->by_rpo[i])->is_loop_header;
  if (!has_loop || ir->n_nodes > NODES_MAX) return false;
  Unroller u = {.ir = ir};
  list_loops(&u);
  for (Ref ref = 0; ref < ir->n_nodes; ref++) NODE(ir, ref)->mark = 0;
  for (uint32_t i = 0; i < ir->n_order; i++) {
    Block block = ir->by_rpo[i];
    if (!BLOCK_OF(ir, block)->is_loop_header || u.has_inner[block]) continue;
    if (collect(&u, block)) {
      unroll(&u);
      has_changed = true;
    }
    for (uint32_t k = 0; k < u.n_items; k++) NODE(ir, u.items[k].ref)->mark = 0;
  }
  return has_changed;
}
