/* live.c - which values are live where, and how far their next uses are.
 *
 * Requires: instructions, blocks in reverse post-order, phis. Sets MBlock.live (phis excluded),
 * length, phi_next, pressure, has_call, and Operand.next.
 *
 * The graph is reducible, so two walks from the last block to the first are enough (Boissinot and
 * others, 2011): the first one ignores edges back to loop headers, then what is live into a header
 * is live in all loops inside, and the second walk sees it at the ends of its loops. A use counts
 * as far when a call lies between, since a call leaves nothing in registers, and as very far behind
 * the end of the loop.
 */
#if defined(__x86_64__)
#include "mach.h"

typedef struct Live {
  Mach *f;
  uint32_t *stamp; /* the block in whose walk the value is live; 0: not live */
  uint32_t *next;  /* then: its next use, from the start of the block */
  VReg *list;      /* all that were live somewhere in the block */
  uint32_t n_list;
  uint32_t count[CLASSES], most[CLASSES];
} Live;

static void add(Live *live, uint32_t b, VReg v, uint32_t next) {
  if (live->stamp[v] == b) {
    if (next < live->next[v]) live->next[v] = next;
    return;
  }
  /* A value that was live before in this walk is in the list already; twice does no harm. */
  live->stamp[v] = b;
  live->next[v] = next;
  live->list[live->n_list++] = v;
  unsigned class = mach_class(live->f, v);
  if (++live->count[class] > live->most[class]) live->most[class] = live->count[class];
}

static bool is_tracked(const Mach *f, VReg v) {
  return v != 0 && f->vregs[v].kind != V_CONST;
}

static uint32_t far_after(uint32_t next, uint32_t by) {
  return next > NEVER / 2 ? next : next + by;
}

static void add_successor(Live *live, uint32_t b, uint32_t s, bool with_back_edges) {
  const Mach *f = live->f;
  const MBlock *block = MACH_BLOCK(f, b), *succ = MACH_BLOCK(f, s);
  bool is_back = succ->rpo <= block->rpo;
  if (!is_back || with_back_edges) {
    uint32_t by = block->length + (succ->depth < block->depth ? EXIT_FAR : 0);
    for (uint32_t i = 0; i < succ->n_live; i++)
      add(live, b, succ->live[i].v, far_after(succ->live[i].next, by));
  }
  if (succ->n_phis == 0) return;
  const VReg *args = succ->phi_args[block->pred_index];
  for (uint32_t i = 0; i < succ->n_phis; i++) {
    if (is_tracked(f, args[i])) add(live, b, args[i], block->length);
  }
}

static void drop(Live *live, VReg v) {
  if (live->stamp[v] == 0) return;
  live->stamp[v] = 0;
  live->count[mach_class(live->f, v)]--;
}

static uint32_t weight(const Ins *ins) {
  return ins->flags & INS_CALL ? FAR : 1;
}

/* All operands of one value in an instruction see the use that follows the instruction. */
static void walk_ins(Live *live, uint32_t b, const Ins *ins, uint32_t pos) {
  Operand *operands = INS_OPERANDS(live->f, ins);
  for (unsigned i = 0; i < ins->n_defs; i++) {
    VReg v = operands[i].v;
    if (v == 0) continue;
    operands[i].next = live->stamp[v] == b ? live->next[v] : NEVER;
    drop(live, v);
  }
  Operand *uses = operands + ins->n_defs;
  for (unsigned i = 0; i < ins->n_uses; i++) {
    VReg v = uses[i].v;
    if (is_tracked(live->f, v)) uses[i].next = live->stamp[v] == b ? live->next[v] : NEVER;
  }
  for (unsigned i = 0; i < ins->n_uses; i++) {
    VReg v = uses[i].v;
    if (!is_tracked(live->f, v)) continue;
    add(live, b, v, pos);
    live->next[v] = pos;
  }
}

static void walk_block(Live *live, uint32_t b, bool with_back_edges) {
  Mach *f = live->f;
  MBlock *block = MACH_BLOCK(f, b);
  live->n_list = 0;
  memset(live->count, 0, sizeof live->count);
  memset(live->most, 0, sizeof live->most);
  for (uint32_t i = 0; i < block->n_succs; i++) {
    add_successor(live, b, block->succs[i], with_back_edges);
  }
  uint32_t pos = block->length;
  for (uint32_t i = block->n; i-- > 0;) {
    const Ins *ins = &f->ins[block->first + i];
    pos -= weight(ins);
    walk_ins(live, b, ins, pos);
  }
  for (uint32_t i = 0; i < block->n_phis; i++) {
    VReg phi = block->phis[i];
    block->phi_next[i] = live->stamp[phi] == b ? live->next[phi] : NEVER;
    drop(live, phi);
  }
  memcpy(block->pressure, live->most, sizeof live->most);
}

/* What is still live at the block's start; leaves the stamps clean. */
static void keep_live(Live *live, uint32_t b) {
  MBlock *block = MACH_BLOCK(live->f, b);
  uint32_t n = 0;
  for (uint32_t i = 0; i < live->n_list; i++) {
    VReg v = live->list[i];
    if (live->stamp[v] != b) continue;
    live->stamp[v] = 0;
    live->list[n++] = v;
  }
  block->n_live = n;
  block->live = arena_new(live->f->arena, n * sizeof *block->live);
  for (uint32_t i = 0; i < n; i++)
    block->live[i] = (LiveItem){live->list[i], live->next[live->list[i]]};
}

/* What is live into a header is live into the headers of the loops inside. */
static void inherit(Live *live, uint32_t b) {
  const Mach *f = live->f;
  MBlock *block = MACH_BLOCK(f, b);
  uint32_t outer = MACH_BLOCK(f, block->idom)->loop;
  if (!block->is_loop_header || outer == 0 || block->depth < 2) return;
  const MBlock *parent = MACH_BLOCK(f, outer);
  live->n_list = 0;
  for (uint32_t i = 0; i < block->n_live; i++) add(live, b, block->live[i].v, block->live[i].next);
  for (uint32_t i = 0; i < parent->n_live; i++)
    add(live, b, parent->live[i].v, far_after(parent->live[i].next, EXIT_FAR));
  keep_live(live, b);
}

static void measure(Mach *f, uint32_t b) {
  MBlock *block = MACH_BLOCK(f, b);
  uint32_t length = 0;
  block->has_call = false;
  for (uint32_t i = 0; i < block->n; i++) {
    const Ins *ins = &f->ins[block->first + i];
    length += weight(ins);
    block->has_call |= (ins->flags & INS_CALL) != 0;
  }
  block->length = length;
}

/* A loop's header knows the most of the loop. Blocks come after what they dominate. */
static void gather_loop(Mach *f, uint32_t b) {
  const MBlock *block = MACH_BLOCK(f, b);
  uint32_t h = block->loop;
  if (block->is_loop_header) h = block->depth < 2 ? 0 : MACH_BLOCK(f, block->idom)->loop;
  if (h == 0) return;
  MBlock *header = MACH_BLOCK(f, h);
  for (unsigned c = 0; c < CLASSES; c++)
    header->pressure[c] = MAX(header->pressure[c], block->pressure[c]);
  header->has_call |= block->has_call && !block->is_cold;
}

void live_run(Mach *f) {
  Live live = {.f = f};
  live.stamp = arena_zero(f->arena, f->n_vregs * sizeof *live.stamp);
  live.next = arena_zero(f->arena, f->n_vregs * sizeof *live.next);
  size_t room = f->n_vregs;
  for (uint32_t i = 0; i < f->n_order; i++) {
    measure(f, f->rpo[i]);
    room = MAX(room, (size_t)MACH_BLOCK(f, f->rpo[i])->n);
  }
  live.list = arena_new(f->arena, (room + f->n_operands) * sizeof *live.list);
  for (uint32_t i = f->n_order; i-- > 0;) {
    walk_block(&live, f->rpo[i], false);
    keep_live(&live, f->rpo[i]);
  }
  for (uint32_t i = 0; i < f->n_order; i++) inherit(&live, f->rpo[i]);
  for (uint32_t i = f->n_order; i-- > 0;) { /* what is in no loop is right already */
    if (MACH_BLOCK(f, f->rpo[i])->depth == 0) continue;
    walk_block(&live, f->rpo[i], true);
    keep_live(&live, f->rpo[i]);
  }
  for (uint32_t i = f->n_order; i-- > 0;) gather_loop(f, f->rpo[i]);
}
#endif
