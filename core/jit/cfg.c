/* cfg.c - cleans the graph, gives it the shape that the later passes want, and finds dominators,
 * loops and the order of emission.
 *
 * The graph is reducible, as WebAssembly has no other and nothing here changes that: an edge goes
 * back if and only if it leads to a block with a smaller or equal number in reverse post-order, and
 * that block dominates its source. So one walk in reverse post-order finds all dominators; the
 * common dominator of two blocks is found by jump pointers (Myers 1983) in logarithmic time.
 * Everything is linear in blocks and edges, but for that logarithm.
 */
#include "cfg.h"

/* A switch's edge that got a block. */
typedef struct Split {
  Block pred, to, middle;
} Split;

typedef struct Shaper {
  Ir *ir;
  Block *post; /* post-order of the last walk */
  uint32_t n_post;
  bool has_joined; /* some blocks became one */
  VEC(Split) splits;
} Shaper;

/* Walking */

typedef struct Visit {
  Block block;
  uint32_t next; /* successor */
} Visit;

/* What should follow a block directly is visited last: a block that only this one leads to rather
 * than a join, the first of two such; cold ones first of all. */
static bool visits_second_first(const Ir *ir, const BlockInfo *info) {
  const BlockInfo *first = BLOCK_OF(ir, info->succs[0]), *second = BLOCK_OF(ir, info->succs[1]);
  if (first->is_cold != second->is_cold) return second->is_cold;
  if ((first->n_preds > 1) != (second->n_preds > 1)) return second->n_preds > 1;
  return info->succs[0] < info->succs[1];
}

static Block successor(const Ir *ir, const BlockInfo *info, uint32_t i) {
  if (info->n_succs == 2 && visits_second_first(ir, info)) return info->succs[1 - i];
  return info->succs[i];
}

/* Fills post and rpo; rpo is 0 for what is not reached. */
static void walk(Shaper *s) {
  Ir *ir = s->ir;
  enum { UNSEEN, OPEN, DONE };
  Visit *stack = arena_new(ir->arena, ir->n_blocks * sizeof *stack);
  uint32_t n = 0;
  for (Block block = 0; block < ir->n_blocks; block++) {
    BLOCK_OF(ir, block)->mark = UNSEEN;
    BLOCK_OF(ir, block)->rpo = 0;
  }
  s->post = arena_new(ir->arena, ir->n_blocks * sizeof *s->post);
  s->n_post = 0;
  stack[n++] = (Visit){ir->entry, 0};
  BLOCK_OF(ir, ir->entry)->mark = OPEN;
  while (n != 0) {
    Visit *visit = &stack[n - 1];
    BlockInfo *info = BLOCK_OF(ir, visit->block);
    if (visit->next == info->n_succs) {
      info->mark = DONE;
      s->post[s->n_post++] = visit->block;
      n--;
      continue;
    }
    Block next = successor(ir, info, visit->next++);
    if (BLOCK_OF(ir, next)->mark != UNSEEN) continue;
    BLOCK_OF(ir, next)->mark = OPEN;
    stack[n++] = (Visit){next, 0};
  }
  for (uint32_t i = 0; i < s->n_post; i++) BLOCK_OF(ir, s->post[i])->rpo = s->n_post - i;
}

/* Edges */

static void replace_succ(Ir *ir, Block block, Block from, Block to) {
  BlockInfo *info = BLOCK_OF(ir, block);
  for (uint32_t i = 0; i < info->n_succs; i++)
    if (info->succs[i] == from) info->succs[i] = to;
}

static bool has_pred(const Ir *ir, Block block, Block pred) {
  const BlockInfo *info = BLOCK_OF(ir, block);
  for (uint32_t i = 0; i < info->n_preds; i++)
    if (info->preds[i] == pred) return true;
  return false;
}

/* Takes the i-th predecessor away, with the phis' arguments. */
static void remove_pred(Ir *ir, Block block, uint32_t i) {
  BlockInfo *info = BLOCK_OF(ir, block);
  uint32_t n_after = --info->n_preds - i;
  memmove(info->preds + i, info->preds + i + 1, n_after * sizeof *info->preds);
  for (uint32_t p = 0; p < info->phis.n; p++) {
    Node *phi = NODE(ir, info->phis.items[p]);
    phi->n_args--;
    memmove(phi->args + i, phi->args + i + 1, n_after * sizeof *phi->args);
  }
}

static void drop_edge(Ir *ir, Block from, Block to) {
  remove_pred(ir, to, ir_pred_index(ir, to, from));
}

/* A branch with one target is a goto. */
static void simplify_end(Ir *ir, Block block) {
  BlockInfo *info = BLOCK_OF(ir, block);
  for (uint32_t i = 1; i < info->n_succs; i++)
    if (info->succs[i] != info->succs[0]) return;
  Node *end = ir_end(ir, block);
  if (end->op != IR_BRANCH && end->op != IR_SWITCH) return;
  end->op = IR_GOTO;
  end->a = 0;
  info->n_succs = 1;
}

/* Conditions that are known by now */

static void keep_one_succ(Ir *ir, Block block, Block kept) {
  BlockInfo *info = BLOCK_OF(ir, block);
  for (uint32_t i = 0; i < info->n_succs; i++) {
    Block succ = info->succs[i];
    if (succ != kept && has_pred(ir, succ, block)) drop_edge(ir, block, succ);
    info->succs[i] = kept;
  }
  simplify_end(ir, block);
}

static void fold_end(Ir *ir, Block block) {
  Node *end = ir_end(ir, block);
  const BlockInfo *info = BLOCK_OF(ir, block);
  bool has_condition = end->op == IR_BRANCH || end->op == IR_SWITCH;
  if (!has_condition || info->n_succs == 0 || NODE(ir, end->a)->op != IR_CONST) return;
  uint32_t value = (uint32_t)NODE(ir, end->a)->imm;
  if (end->op == IR_BRANCH) {
    keep_one_succ(ir, block, info->succs[value != 0 ? 0 : 1]);
  } else {
    keep_one_succ(ir, block, info->succs[MIN(value, info->n_succs - 1)]);
  }
}

/* What follows a trap for certain is cut off. */
static void cut_after_trap(Ir *ir, Block block) {
  BlockInfo *info = BLOCK_OF(ir, block);
  for (uint32_t i = 0; i < info->effects.n; i++) {
    Node *node = NODE(ir, info->effects.items[i]);
    if (node->op != IR_TRAP_IF || NODE(ir, node->a)->op != IR_CONST) continue;
    if ((uint32_t)NODE(ir, node->a)->imm == 0) continue;
    node->op = IR_TRAP;
    node->a = 0;
    info->effects.n = i + 1;
    for (uint32_t s = 0; s < info->n_succs; s++)
      if (has_pred(ir, info->succs[s], block)) drop_edge(ir, block, info->succs[s]);
    info->n_succs = 0;
    return;
  }
}

static void fold_ends(Ir *ir) {
  for (Block block = 1; block < ir->n_blocks; block++) {
    if (BLOCK_OF(ir, block)->effects.n == 0) continue;
    cut_after_trap(ir, block);
    fold_end(ir, block);
  }
}

static void drop_unreachable(Shaper *s) {
  Ir *ir = s->ir;
  for (uint32_t i = 0; i < s->n_post; i++) {
    BlockInfo *info = BLOCK_OF(ir, s->post[i]);
    for (uint32_t p = info->n_preds; p-- > 0;)
      if (BLOCK_OF(ir, info->preds[p])->rpo == 0) remove_pred(ir, s->post[i], p);
  }
  for (Block block = 1; block < ir->n_blocks; block++)
    if (BLOCK_OF(ir, block)->rpo == 0)
      BLOCK_OF(ir, block)->n_preds = BLOCK_OF(ir, block)->n_succs = 0;
}

/* Empty blocks and straight lines. Lists of predecessors are put right once, at the end: where many
 * edges meet, looking for one of them each time would be quadratic. */

/* Where those go who jump to an empty block: on to where it goes, when that has no phis, as these
 * would need an edge of their own. */
static Block goes_through(const Ir *ir, const Block *forward, Block block) {
  const BlockInfo *info = BLOCK_OF(ir, block);
  bool is_empty = info->effects.n == 1 && info->phis.n == 0 && info->n_succs == 1;
  if (!is_empty || block == ir->entry || ir_end(ir, block)->op != IR_GOTO) return block;
  Block to = forward[info->succs[0]];
  return BLOCK_OF(ir, to)->phis.n != 0 ? block : to;
}

/* The predecessors of blocks without phis, whose order does not matter. */
static void find_preds(Shaper *s) {
  Ir *ir = s->ir;
  for (uint32_t i = 0; i < s->n_post; i++) {
    BlockInfo *info = BLOCK_OF(ir, s->post[i]);
    if (info->phis.n == 0) info->n_preds = 0;
  }
  for (uint32_t i = 0; i < s->n_post; i++) {
    Block block = s->post[i];
    for (uint32_t k = 0; k < BLOCK_OF(ir, block)->n_succs; k++) {
      Block succ = BLOCK_OF(ir, block)->succs[k];
      const BlockInfo *to = BLOCK_OF(ir, succ);
      bool is_there = to->n_preds != 0 && to->preds[to->n_preds - 1] == block;
      if (to->phis.n == 0 && !is_there) ir_add_pred(ir, succ, block);
    }
  }
}

static void thread(Shaper *s) {
  Ir *ir = s->ir;
  Block *forward = arena_new(ir->arena, ir->n_blocks * sizeof *forward);
  bool has_changed = false;
  for (Block block = 0; block < ir->n_blocks; block++) forward[block] = block;
  for (uint32_t i = 0; i < s->n_post; i++) {
    Block to = goes_through(ir, forward, s->post[i]);
    if (to == s->post[i]) continue;
    forward[s->post[i]] = to;
    has_changed = true;
  }
  if (!has_changed) return;
  for (uint32_t i = 0; i < s->n_post; i++) {
    BlockInfo *info = BLOCK_OF(ir, s->post[i]);
    if (ir_end(ir, s->post[i])->op == IR_GOTO_CATCH) continue; /* its two stay two */
    for (uint32_t k = 0; k < info->n_succs; k++) info->succs[k] = forward[info->succs[k]];
    simplify_end(ir, s->post[i]);
  }
  walk(s);
  find_preds(s);
}

/* The only successor has no other predecessor: its list is appended. */
static bool join_next(Shaper *s, Block block, Block *joined) {
  Ir *ir = s->ir;
  BlockInfo *info = BLOCK_OF(ir, block);
  if (info->n_succs != 1 || ir_end(ir, block)->op != IR_GOTO) return false;
  Block next = info->succs[0];
  BlockInfo *after = BLOCK_OF(ir, next);
  if (after->n_preds != 1 || next == block) return false;
  for (uint32_t i = 0; i < after->phis.n; i++) {
    Node *phi = NODE(ir, after->phis.items[i]);
    *phi = (Node){.op = IR_NOP, .type = phi->type, .a = phi->args[0]};
    ir->has_replaced = true;
  }
  info->effects.n--;
  for (uint32_t i = 0; i < after->effects.n; i++) ir_append(ir, block, after->effects.items[i]);
  info->succs = after->succs;
  info->n_succs = after->n_succs;
  *after = (BlockInfo){0};
  joined[next] = block;
  s->has_joined = true;
  return true;
}

static void join(Shaper *s) {
  Ir *ir = s->ir;
  Block *joined = arena_new(ir->arena, ir->n_blocks * sizeof *joined);
  for (Block block = 0; block < ir->n_blocks; block++) joined[block] = block;
  for (uint32_t i = s->n_post; i-- > 0;) { /* from the entry on, so that each list moves once */
    if (BLOCK_OF(ir, s->post[i])->effects.n == 0) continue;
    while (join_next(s, s->post[i], joined)) continue;
  }
  if (!s->has_joined) return;
  uint32_t n_left = 0;
  for (uint32_t i = 0; i < s->n_post; i++) {
    BlockInfo *info = BLOCK_OF(ir, s->post[i]);
    if (info->effects.n == 0) continue;
    s->post[n_left++] = s->post[i];
    for (uint32_t p = 0; p < info->n_preds; p++) info->preds[p] = joined[info->preds[p]];
  }
  s->n_post = n_left; /* the numbers have gaps now, but the same order */
}

/* New blocks on edges */

static Block new_goto(Ir *ir, Block to) {
  Block block = ir_block(ir);
  Ref end = ir_node(ir, IR_GOTO, KIND_BOTTOM);
  BlockInfo *info = BLOCK_OF(ir, block);
  info->succs = arena_copy(ir->arena, &to, sizeof to);
  info->n_succs = 1;
  ir_append(ir, block, end);
  return block;
}

static void split_edges_to(Shaper *s, Block block) {
  Ir *ir = s->ir;
  uint32_t n = BLOCK_OF(ir, block)->n_preds;
  for (uint32_t i = 0; i < n; i++) {
    Block pred = BLOCK_OF(ir, block)->preds[i];
    if (BLOCK_OF(ir, pred)->n_succs == 1) continue;
    Block middle = new_goto(ir, block);
    BLOCK_OF(ir, block)->preds[i] = middle;
    ir_add_pred(ir, middle, pred);
    if (ir_end(ir, pred)->op == IR_SWITCH) {
      Split split = {pred, block, middle};
      VEC_PUSH(ir->arena, &s->splits, split);
    } else {
      replace_succ(ir, pred, block, middle);
    }
  }
}

/* The splits of switches, all of one at once: they may be as many as it has successors. */
static void finish_splits(Shaper *s) {
  Ir *ir = s->ir;
  uint32_t n = s->splits.n;
  if (n == 0) return;
  Block *middles = ARENA_ARRAY(ir->arena, Block, ir->n_blocks);
  uint32_t *firsts = ARENA_ARRAY(ir->arena, uint32_t, ir->n_blocks);
  uint32_t *nexts = arena_new(ir->arena, n * sizeof *nexts);
  for (uint32_t i = 0; i < n; i++) {
    Block pred = s->splits.items[i].pred;
    nexts[i] = firsts[pred];
    firsts[pred] = i + 1;
  }
  for (Block block = 1; block < ir->n_blocks; block++) {
    if (firsts[block] == 0) continue;
    BlockInfo *info = BLOCK_OF(ir, block);
    for (uint32_t i = firsts[block]; i != 0; i = nexts[i - 1])
      middles[s->splits.items[i - 1].to] = s->splits.items[i - 1].middle;
    for (uint32_t k = 0; k < info->n_succs; k++)
      if (middles[info->succs[k]] != 0) info->succs[k] = middles[info->succs[k]];
    for (uint32_t i = firsts[block]; i != 0; i = nexts[i - 1])
      middles[s->splits.items[i - 1].to] = 0;
  }
}

/* The arguments that come from outside meet in the preheader. */
static Ref outer_value(Ir *ir, Block header, Block preheader, Node *phi, uint32_t limit) {
  Ref *args = arena_new(ir->arena, phi->n_args * sizeof *args), only = 0;
  uint32_t n = 0;
  bool is_same = true;
  for (uint32_t i = 0; i < phi->n_args; i++) {
    if (BLOCK_OF(ir, BLOCK_OF(ir, header)->preds[i])->rpo >= limit) continue;
    args[n++] = phi->args[i];
    if (only == 0) only = phi->args[i];
    is_same &= only == phi->args[i];
  }
  if (is_same) return only;
  unsigned type = phi->type;
  Ref merged = ir_node(ir, IR_PHI, type);
  Node *node = NODE(ir, merged);
  node->block = preheader;
  node->args = args;
  node->n_args = n;
  VEC_PUSH(ir->arena, &BLOCK_OF(ir, preheader)->phis, merged);
  return merged;
}

/* One block before the loop from which alone it is entered. */
static void make_preheader(Shaper *s, Block header) {
  Ir *ir = s->ir;
  uint32_t limit = BLOCK_OF(ir, header)->rpo, n_outer = 0;
  bool is_good = true;
  for (uint32_t i = 0; i < BLOCK_OF(ir, header)->n_preds; i++) {
    const BlockInfo *pred = BLOCK_OF(ir, BLOCK_OF(ir, header)->preds[i]);
    if (pred->rpo >= limit) continue;
    n_outer++;
    is_good &= pred->n_succs == 1;
  }
  if (n_outer == 1 && is_good) return;
  Block preheader = new_goto(ir, header);
  BlockInfo *info = BLOCK_OF(ir, header);
  for (uint32_t i = 0; i < info->phis.n; i++) {
    Ref ref = info->phis.items[i];
    Ref value = outer_value(ir, header, preheader, NODE(ir, ref), limit);
    Node *phi = NODE(ir, ref);
    uint32_t n = 0;
    for (uint32_t a = 0; a < phi->n_args; a++)
      if (BLOCK_OF(ir, info->preds[a])->rpo >= limit) phi->args[n++] = phi->args[a];
    phi->args[n++] = value; /* there is room: at least one was taken out */
    phi->n_args = n;
  }
  uint32_t n = 0;
  for (uint32_t i = 0; i < info->n_preds; i++) {
    Block pred = info->preds[i];
    if (BLOCK_OF(ir, pred)->rpo >= limit) {
      info->preds[n++] = pred;
    } else {
      replace_succ(ir, pred, header, preheader);
      ir_add_pred(ir, preheader, pred);
    }
  }
  info->preds[n++] = preheader;
  info->n_preds = n;
  BLOCK_OF(ir, preheader)->rpo = limit - 1; /* outside of the loop */
  if (BLOCK_OF(ir, preheader)->phis.n != 0) split_edges_to(s, preheader);
}

static bool is_header(const Ir *ir, Block block) {
  const BlockInfo *info = BLOCK_OF(ir, block);
  for (uint32_t i = 0; i < info->n_preds; i++)
    if (BLOCK_OF(ir, info->preds[i])->rpo >= info->rpo) return true;
  return false;
}

static void shape(Shaper *s) {
  Ir *ir = s->ir;
  for (uint32_t i = s->n_post; i-- > 0;) {
    Block block = s->post[i];
    if (is_header(ir, block)) make_preheader(s, block);
    if (BLOCK_OF(ir, block)->phis.n != 0) split_edges_to(s, block);
  }
  finish_splits(s);
}

/* Dominators */

Block cfg_common_dominator(const Ir *ir, Block a, Block b) {
  const BlockInfo *blocks = ir->blocks;
  if (blocks[a].dom_depth < blocks[b].dom_depth) {
    Block swap = a;
    a = b, b = swap;
  }
  while (blocks[a].dom_depth > blocks[b].dom_depth) {
    Block jump = blocks[a].dom_jump;
    a = blocks[jump].dom_depth >= blocks[b].dom_depth ? jump : blocks[a].idom;
  }
  while (a != b) {
    if (blocks[a].dom_jump != blocks[b].dom_jump) {
      a = blocks[a].dom_jump;
      b = blocks[b].dom_jump;
    } else {
      a = blocks[a].idom;
      b = blocks[b].idom;
    }
  }
  return a;
}

static void hang_below(Ir *ir, Block block, Block idom) {
  BlockInfo *info = BLOCK_OF(ir, block);
  const BlockInfo *above = BLOCK_OF(ir, idom), *jump = BLOCK_OF(ir, above->dom_jump);
  uint32_t far = BLOCK_OF(ir, jump->dom_jump)->dom_depth;
  bool is_even = above->dom_depth - jump->dom_depth == jump->dom_depth - far;
  info->idom = idom;
  info->dom_depth = above->dom_depth + 1;
  info->dom_jump = is_even ? jump->dom_jump : idom;
}

static void find_dominators(Ir *ir) {
  BlockInfo *entry = BLOCK_OF(ir, ir->entry);
  entry->idom = 0;
  entry->dom_depth = 0;
  entry->dom_jump = ir->entry;
  for (uint32_t i = 1; i < ir->n_order; i++) {
    Block block = ir->by_rpo[i], idom = 0;
    const BlockInfo *info = BLOCK_OF(ir, block);
    for (uint32_t p = 0; p < info->n_preds; p++) {
      Block pred = info->preds[p];
      if (BLOCK_OF(ir, pred)->rpo >= info->rpo) continue;
      idom = idom == 0 ? pred : cfg_common_dominator(ir, idom, pred);
    }
    hang_below(ir, block, idom);
  }
}

/* Loops: innermost first, each is collapsed into its header (Havlak 1997, for reducible graphs). */

static Block find_root(Block *parents, Block block) {
  while (parents[block] != block) {
    parents[block] = parents[parents[block]];
    block = parents[block];
  }
  return block;
}

typedef struct Loops {
  Block *roots; /* union-find: the outermost loop found so far that a block is in */
  Block *outer; /* by block: the loop around it; of a header: around its loop */
  Block *work;
} Loops;

static void collect_loop(Ir *ir, Loops *loops, Block header) {
  const BlockInfo *info = BLOCK_OF(ir, header);
  uint32_t n = 0;
  for (uint32_t i = 0; i < info->n_preds; i++) {
    Block pred = info->preds[i];
    if (BLOCK_OF(ir, pred)->rpo < info->rpo) continue;
    Block root = find_root(loops->roots, pred);
    if (root == header) continue;
    loops->roots[root] = header;
    loops->outer[root] = header;
    loops->work[n++] = root;
  }
  while (n != 0) {
    const BlockInfo *inside = BLOCK_OF(ir, loops->work[--n]);
    for (uint32_t i = 0; i < inside->n_preds; i++) {
      Block root = find_root(loops->roots, inside->preds[i]);
      if (root == header) continue;
      loops->roots[root] = header;
      loops->outer[root] = header;
      loops->work[n++] = root;
    }
  }
}

static Block *find_loops(Ir *ir) {
  Loops loops = {.roots = arena_new(ir->arena, ir->n_blocks * sizeof(Block)),
                 .outer = ARENA_ARRAY(ir->arena, Block, ir->n_blocks),
                 .work = arena_new(ir->arena, ir->n_blocks * sizeof(Block))};
  for (Block block = 0; block < ir->n_blocks; block++) loops.roots[block] = block;
  for (uint32_t i = ir->n_order; i-- > 0;) {
    Block block = ir->by_rpo[i];
    BLOCK_OF(ir, block)->is_loop_header = is_header(ir, block);
    if (BLOCK_OF(ir, block)->is_loop_header) collect_loop(ir, &loops, block);
  }
  for (uint32_t i = 0; i < ir->n_order; i++) {
    Block block = ir->by_rpo[i], outer = loops.outer[block];
    BlockInfo *info = BLOCK_OF(ir, block);
    uint16_t depth = outer != 0 ? BLOCK_OF(ir, outer)->depth : 0;
    info->loop = info->is_loop_header ? block : outer;
    info->depth = (uint16_t)(depth + (info->is_loop_header && depth < UINT16_MAX ? 1 : 0));
  }
  return loops.outer;
}

/* Ends in a trap or an exception, or only leads to such. */
static bool leads_to_trap(const Ir *ir, Block block) {
  const BlockInfo *info = BLOCK_OF(ir, block);
  unsigned op = ir_end(ir, block)->op;
  if (info->n_succs == 0) return op == IR_TRAP || op == IR_THROW;
  for (uint32_t k = 0; k < info->n_succs; k++) {
    const BlockInfo *succ = BLOCK_OF(ir, info->succs[k]);
    if (!succ->is_cold || succ->rpo <= info->rpo) return false;
  }
  return true;
}

/* Catches an exception, or is only reached from where one was caught. */
static bool comes_from_catch(const Ir *ir, Block block) {
  const BlockInfo *info = BLOCK_OF(ir, block);
  if (info->effects.n != 0 && NODE(ir, info->effects.items[0])->op == IR_CAUGHT) return true;
  bool has_some = false;
  for (uint32_t i = 0; i < info->n_preds; i++) {
    const BlockInfo *pred = BLOCK_OF(ir, info->preds[i]);
    if (pred->rpo >= info->rpo) continue;
    has_some = true;
    if (!pred->is_cold) return false;
  }
  return has_some;
}

static void find_cold(Ir *ir, const Block *post, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) BLOCK_OF(ir, post[i])->is_cold = leads_to_trap(ir, post[i]);
  for (uint32_t i = n; i-- > 0;)
    if (!BLOCK_OF(ir, post[i])->is_cold)
      BLOCK_OF(ir, post[i])->is_cold = comes_from_catch(ir, post[i]);
  BLOCK_OF(ir, ir->entry)->is_cold = false;
}

/* The order of emission: reverse post-order in which the blocks of a loop stand together. */

typedef struct Item {
  Block first, last, next; /* of a loop's list; the next one in the list around */
} Item;

static void append_item(Item *items, Block list, Block block) {
  items[block].next = 0;
  if (items[list].first == 0) {
    items[list].first = block;
  } else {
    items[items[list].last].next = block;
  }
  items[list].last = block;
}

static bool is_outside(const Ir *ir, const Block *outer, Block block, Block header) {
  Block loop = BLOCK_OF(ir, block)->loop;
  while (loop != 0 && loop != header && BLOCK_OF(ir, loop)->depth > BLOCK_OF(ir, header)->depth)
    loop = outer[loop];
  return loop != header;
}

static bool leaves(const Ir *ir, const Block *outer, Block block, Block header) {
  const BlockInfo *info = BLOCK_OF(ir, block);
  return info->n_succs == 2 && (is_outside(ir, outer, info->succs[0], header) ||
                                is_outside(ir, outer, info->succs[1], header));
}

/* A loop that tests at its top and jumps back at its bottom: with the header last, the test ends
 * the body and one jump is saved. */
static bool should_rotate(const Ir *ir, const Block *outer, Block header) {
  const BlockInfo *info = BLOCK_OF(ir, header);
  if (!leaves(ir, outer, header, header)) return false;
  for (uint32_t i = 0; i < info->n_preds; i++) {
    Block pred = info->preds[i];
    const BlockInfo *from = BLOCK_OF(ir, pred);
    if (from->rpo < info->rpo) continue;
    if (pred == header || from->n_succs != 1) return false;
    /* A split edge of a branch at the bottom. */
    bool is_split = from->effects.n == 1 && from->n_preds == 1;
    if (is_split && leaves(ir, outer, from->preds[0], header)) return false;
  }
  return true;
}

static void order_blocks(Ir *ir, const Block *outer) {
  Item *items = ARENA_ARRAY(ir->arena, Item, ir->n_blocks);
  for (uint32_t i = 0; i < ir->n_order; i++) {
    Block block = ir->by_rpo[i];
    if (BLOCK_OF(ir, block)->is_cold) continue;
    append_item(items, outer[block], block); /* list 0: no loop */
  }
  /* A loop in a list is its header, then the header's list; or the other way round. */
  Block *stack = arena_new(ir->arena, (2 * (size_t)ir->n_order + 2) * sizeof *stack);
  uint32_t n = 0, n_out = 0;
  Block at = items[0].first;
  while (at != 0 || n != 0) {
    if (at == 0) {
      at = stack[--n];
      bool is_rotated = (at & 0x80000000u) != 0;
      at &= 0x7FFFFFFFu;
      if (is_rotated) ir->order[n_out++] = at;
      at = items[at].next;
      continue;
    }
    const BlockInfo *info = BLOCK_OF(ir, at);
    if (!info->is_loop_header) {
      ir->order[n_out++] = at;
      at = items[at].next;
      continue;
    }
    bool rotates = items[at].first != 0 && should_rotate(ir, outer, at);
    if (!rotates) ir->order[n_out++] = at;
    stack[n++] = at | (rotates ? 0x80000000u : 0);
    at = items[at].first;
  }
  for (uint32_t i = 0; i < ir->n_order; i++)
    if (BLOCK_OF(ir, ir->by_rpo[i])->is_cold) ir->order[n_out++] = ir->by_rpo[i];
}

void cfg_run(Ir *ir) {
  Shaper s = {.ir = ir};
  fold_ends(ir);
  walk(&s);
  drop_unreachable(&s);
  thread(&s);
  join(&s);
  ir_follow_operands(ir);
  find_cold(ir, s.post, s.n_post);
  shape(&s);
  walk(&s);
  find_cold(ir, s.post, s.n_post);
  ir->n_order = s.n_post;
  ir->order = arena_new(ir->arena, s.n_post * sizeof *ir->order);
  ir->by_rpo = arena_new(ir->arena, s.n_post * sizeof *ir->by_rpo);
  for (uint32_t i = 0; i < s.n_post; i++) ir->by_rpo[i] = s.post[s.n_post - 1 - i];
  find_dominators(ir);
  order_blocks(ir, find_loops(ir));
}
