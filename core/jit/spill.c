/* spill.c - which values are in registers where: Belady's rule over next-use distances (Braun &
 * Hack 2009).
 *
 * Requires live. Sets the entry and exit sets of blocks, their events and stores, OPERAND_SLOT, and
 * what is spilled. Afterwards there are at most as many values in registers as there are registers,
 * everywhere; which ones is color.c's business.
 *
 * Blocks are walked in reverse post-order with the set of values in registers. A value that leaves
 * its register while it is still needed has to be in its slot by then. It is stored once: in the
 * block that all such places have as dominator, or further up where that is inside a loop that the
 * definition is not in.
 */
#if defined(__x86_64__)
#include "mach.h"

enum { SET_ROOM = N_REGS_INT + N_REGS_FLOAT + 8 };

typedef struct Set {
  VReg items[SET_ROOM];
  uint32_t n;
} Set;

typedef struct Candidate {
  VReg v;
  uint32_t next;
} Candidate;

typedef struct Spill {
  Mach *f;
  uint32_t limit[CLASSES];
  Set in[CLASSES];               /* values in registers */
  uint32_t *member;              /* by value: the block in whose walk it is in a register */
  uint32_t *next;                /* by value: position of its next use in the block walked */
  uint32_t *next_stamp;          /* the block for which `next` is set at its start */
  uint32_t *count, *count_stamp; /* predecessors that have it in a register */
  uint32_t *need; /* by value: the dominator of the places that need it in its slot, or 0 */
  VRegs needed;   /* values with a need */
  VEC(SpillEvent) events;
  VEC(Candidate) candidates;
  uint32_t block;
} Spill;

/* Needs */

static void need_slot(Spill *s, VReg v, uint32_t b) {
  const Mach *f = s->f;
  VRegInfo *info = &f->vregs[v];
  if (info->kind != V_PLAIN || info->is_memory_phi) return;
  if (s->need[v] == 0) {
    s->need[v] = b;
    info->is_spilled = true;
    VEC_PUSH(f->arena, &s->needed, v);
    return;
  }
  while (!mach_dominates(f, s->need[v], b)) s->need[v] = f->blocks[s->need[v]].idom;
}

/* The set */

static bool is_in(const Spill *s, VReg v) {
  return s->member[v] == s->block;
}

static void insert(Spill *s, VReg v, uint32_t next) {
  Set *set = &s->in[mach_class(s->f, v)];
  s->member[v] = s->block;
  s->next[v] = next;
  set->items[set->n++] = v;
}

static void remove_at(Spill *s, Set *set, uint32_t i) {
  s->member[set->items[i]] = 0;
  set->items[i] = set->items[--set->n];
}

static void remove_value(Spill *s, VReg v) {
  Set *set = &s->in[mach_class(s->f, v)];
  uint32_t i = 0;
  while (set->items[i] != v) i++;
  remove_at(s, set, i);
}

static void add_event(Spill *s, uint32_t ins, VReg v, bool is_reload) {
  SpillEvent event = {ins, v, is_reload};
  VEC_PUSH(s->f->arena, &s->events, event);
}

static bool is_used_by(const Operand *operands, const Ins *ins, VReg v) {
  for (unsigned i = 0; i < ins->n_uses; i++) {
    const Operand *use = &operands[ins->n_defs + i];
    if (use->v == v && !(use->flags & (OPERAND_ANY | OPERAND_SLOT))) return true;
  }
  return false;
}

/* Puts out of its register what is needed last and not by the instruction. What can be made again
 * is put out before others of the same distance. */
static void evict_one(Spill *s, unsigned class, uint32_t index, const Ins *ins) {
  Mach *f = s->f;
  Set *set = &s->in[class];
  const Operand *operands = INS_OPERANDS(f, ins);
  uint32_t worst = NEVER, worst_next = 0, n_seen = 0;
  for (uint32_t i = 0; i < set->n; i++) {
    VReg v = set->items[i];
    if (is_used_by(operands, ins, v)) continue;
    if (f->target->random_seed != 0) {
      if (mach_random(f) % ++n_seen == 0) worst = i;
      continue;
    }
    uint32_t next = s->next[v];
    if (f->vregs[v].kind == V_REMADE && next < NEVER / 2) next += next / 2;
    if (worst == NEVER || next > worst_next) {
      worst = i;
      worst_next = next;
    }
  }
  if (UNLIKELY(worst == NEVER)) mach_fail(f, "an instruction uses too many registers");
  VReg v = set->items[worst];
  add_event(s, index, v, false);
  need_slot(s, v, s->block);
  remove_at(s, set, worst);
}

/* Entries of blocks */

static void note_next(Spill *s, const MBlock *block) {
  for (uint32_t i = 0; i < block->n_live; i++) {
    s->next[block->live[i].v] = block->live[i].next;
    s->next_stamp[block->live[i].v] = s->block;
  }
}

static void add_candidate(Spill *s, VReg v, uint32_t next) {
  Candidate candidate = {v, next};
  VEC_PUSH(s->f->arena, &s->candidates, candidate);
}

/* The candidates with the nearest uses, while there is room for `limit` of their class. */
static void take_nearest(Spill *s, const uint32_t limit[CLASSES]) {
  Candidate best[CLASSES][SET_ROOM];
  uint32_t n[CLASSES] = {0};
  for (uint32_t i = 0; i < s->candidates.n; i++) {
    Candidate c = s->candidates.items[i];
    unsigned class = mach_class(s->f, c.v);
    uint32_t room = limit[class] > s->in[class].n ? limit[class] - s->in[class].n : 0;
    if (room == 0 || (n[class] == room && best[class][room - 1].next <= c.next)) continue;
    uint32_t at = n[class] < room ? n[class]++ : room - 1;
    for (; at > 0 && best[class][at - 1].next > c.next; at--) best[class][at] = best[class][at - 1];
    best[class][at] = c;
  }
  for (unsigned class = 0; class < CLASSES; class ++) {
    for (uint32_t i = 0; i < n[class]; i++) insert(s, best[class][i].v, best[class][i].next);
  }
  s->candidates.n = 0;
}

static void add_phis(Spill *s, const MBlock *block) {
  for (uint32_t i = 0; i < block->n_phis; i++) {
    if (block->phi_next[i] < FAR) add_candidate(s, block->phis[i], block->phi_next[i]);
  }
}

/* Values used in the loop before any call; then those that go through the loop, when it leaves
 * room. */
static void enter_loop(Spill *s, const MBlock *block) {
  const MBlock *before = MACH_BLOCK(s->f, block->idom);
  add_phis(s, block);
  for (uint32_t i = 0; i < block->n_live; i++) {
    if (block->live[i].next < FAR) add_candidate(s, block->live[i].v, block->live[i].next);
  }
  take_nearest(s, s->limit);
  if (block->has_call) return;
  uint32_t room[CLASSES], n_through[CLASSES] = {0};
  for (uint32_t i = 0; i < before->n_exit; i++) {
    VReg v = before->exit_set[i];
    if (s->next_stamp[v] != s->block || is_in(s, v) || s->next[v] < FAR) continue;
    add_candidate(s, v, s->next[v]);
    n_through[mach_class(s->f, v)]++;
  }
  for (unsigned c = 0; c < CLASSES; c++) {
    uint32_t over = block->pressure[c] > s->limit[c] ? block->pressure[c] - s->limit[c] : 0;
    room[c] = s->in[c].n + (n_through[c] > over ? n_through[c] - over : 0);
    room[c] = MIN(room[c], s->limit[c]);
  }
  take_nearest(s, room);
}

/* What all predecessors have in registers stays; what some have when it is used soon. */
static void enter_join(Spill *s, const MBlock *block) {
  Mach *f = s->f;
  add_phis(s, block);
  for (uint32_t p = 0; p < block->n_preds; p++) {
    const MBlock *pred = MACH_BLOCK(f, block->preds[p]);
    for (uint32_t i = 0; i < pred->n_exit; i++) {
      VReg v = pred->exit_set[i];
      if (s->next_stamp[v] != s->block) continue;
      if (s->count_stamp[v] != s->block) {
        s->count_stamp[v] = s->block;
        s->count[v] = 0;
      }
      s->count[v]++;
      if (s->count[v] == block->n_preds) add_candidate(s, v, s->next[v]);
    }
  }
  take_nearest(s, s->limit);
  if (block->n_preds == 1) return;
  for (uint32_t p = 0; p < block->n_preds; p++) {
    const MBlock *pred = MACH_BLOCK(f, block->preds[p]);
    for (uint32_t i = 0; i < pred->n_exit; i++) {
      VReg v = pred->exit_set[i];
      if (s->count_stamp[v] != s->block || is_in(s, v) || s->next[v] >= FAR) continue;
      s->count_stamp[v] = 0;
      add_candidate(s, v, s->next[v]);
    }
  }
  take_nearest(s, s->limit);
}

static VReg *copy_set(Spill *s, uint32_t *n) {
  *n = s->in[0].n + s->in[1].n;
  VReg *copy = arena_new(s->f->arena, *n * sizeof *copy);
  memcpy(copy, s->in[0].items, s->in[0].n * sizeof *copy);
  memcpy(copy + s->in[0].n, s->in[1].items, s->in[1].n * sizeof *copy);
  return copy;
}

/* Phis that are not in registers live in slots from the start. */
static void place_phis(Spill *s, const MBlock *block) {
  for (uint32_t i = 0; i < block->n_phis; i++) {
    VReg phi = block->phis[i];
    if (block->phi_next[i] == NEVER || is_in(s, phi)) continue;
    s->f->vregs[phi].is_spilled = s->f->vregs[phi].is_memory_phi = true;
  }
}

static void enter_block(Spill *s, uint32_t b) {
  MBlock *block = MACH_BLOCK(s->f, b);
  s->block = b;
  s->in[0].n = s->in[1].n = 0;
  note_next(s, block);
  if (block->is_loop_header) {
    enter_loop(s, block);
  } else {
    enter_join(s, block);
  }
  place_phis(s, block);
  block->entry_set = copy_set(s, &block->n_entry);
}

/* Instructions */

/* Registers that an instruction takes beside those of values that stay: while it reads its uses,
 * and for what it makes when they are read. */
typedef struct Demand {
  uint32_t before[CLASSES], after[CLASSES];
} Demand;

static void load_uses(Spill *s, uint32_t index, const Ins *ins, uint32_t pos) {
  Mach *f = s->f;
  Operand *uses = INS_OPERANDS(f, ins) + ins->n_defs;
  for (unsigned i = 0; i < ins->n_uses; i++) {
    VReg v = uses[i].v;
    if (v == 0 || (uses[i].flags & OPERAND_ANY) || is_in(s, v)) continue;
    bool is_last = uses[i].next == NEVER || uses[i].next - pos >= FAR;
    if ((uses[i].flags & OPERAND_MEM) && is_last && f->vregs[v].kind == V_PLAIN) {
      uses[i].flags |= OPERAND_SLOT;
      continue;
    }
    add_event(s, index, v, true);
    insert(s, v, pos);
  }
}

static void count_demand(const Mach *f, const Ins *ins, Demand *out) {
  const Operand *operands = INS_OPERANDS(f, ins);
  uint32_t fixed = ins->clobbers & REGS_ALL;
  memset(out, 0, sizeof *out);
  unsigned n = (unsigned)ins->n_defs + ins->n_uses;
  for (unsigned i = 0; i < n + ins->n_temps; i++) {
    if (operands[i].fixed != REG_NONE) {
      fixed |= 1u << operands[i].fixed;
    } else if (operands[i].v != 0 && (i < ins->n_defs || i >= n)) {
      bool is_late = i < ins->n_defs && !(operands[i].flags & OPERAND_EARLY);
      unsigned class = mach_class(f, operands[i].v);
      out->after[class]++;
      if (!is_late) out->before[class]++;
    }
  }
  for (unsigned c = 0; c < CLASSES; c++) {
    uint32_t n_fixed =
        (uint32_t)__builtin_popcount(fixed & (c == CLASS_INT ? REGS_INT : REGS_FLOAT));
    out->before[c] += n_fixed;
    out->after[c] += n_fixed;
  }
}

/* What becomes of the register of a value that the instruction uses. */
typedef enum Fate { STAYS, ENDS, MOVES_AWAY } Fate;

/* ENDS: free when the uses are read. MOVES_AWAY: free at once, since the value is copied to a fixed
 * place and not needed anywhere else. */
static Fate fate_of(const Mach *f, const Ins *ins, VReg v) {
  const Operand *uses = INS_OPERANDS(f, ins) + ins->n_defs;
  bool is_used = false, is_plain = false, is_protected = false;
  for (unsigned i = 0; i < ins->n_uses; i++) {
    if (uses[i].v != v || (uses[i].flags & OPERAND_SLOT)) continue;
    if (uses[i].next != NEVER) return STAYS;
    is_used = true;
    if (uses[i].fixed != REG_NONE || (uses[i].flags & OPERAND_ANY)) continue;
    is_plain = true;
    is_protected |= i != 0 && (ins->flags & INS_TIED);
  }
  if (!is_used || is_protected) return STAYS;
  return is_plain ? ENDS : MOVES_AWAY;
}

static void make_room(Spill *s, uint32_t index, const Ins *ins) {
  Mach *f = s->f;
  Demand demand;
  count_demand(f, ins, &demand);
  for (unsigned c = 0; c < CLASSES; c++) {
    uint32_t hard = c == CLASS_INT ? N_REGS_INT : N_REGS_FLOAT;
    while (s->in[c].n > hard) evict_one(s, c, index, ins);
    if (demand.after[c] == 0) continue;
    uint32_t n_moving = 0, n_ending = 0;
    for (uint32_t i = 0; i < s->in[c].n; i++) {
      Fate fate = fate_of(f, ins, s->in[c].items[i]);
      n_moving += fate == MOVES_AWAY;
      n_ending += fate == ENDS;
    }
    for (;; evict_one(s, c, index, ins)) {
      uint32_t n = s->in[c].n - n_moving;
      if (n + demand.before[c] <= hard && n - n_ending + demand.after[c] <= hard) break;
    }
  }
}

/* A value that is not used again before a call takes no register from here on: it would lose it
 * anyway. */
static bool is_lost_before(uint32_t next, uint32_t pos) {
  return next != NEVER && next - pos >= FAR && next - pos < EXIT_FAR;
}

/* Plain uses only: fixed ones are copied, and what happens to their own register is settled before.
 */
static void drop_lost(Spill *s, const Ins *ins, uint32_t pos) {
  Mach *f = s->f;
  Operand *uses = INS_OPERANDS(f, ins) + ins->n_defs;
  if (ins->flags & INS_LEAVES) return;
  for (unsigned i = 0; i < ins->n_uses; i++) {
    VReg v = uses[i].v;
    if (v == 0 || !is_in(s, v) || f->vregs[v].kind != V_PLAIN) continue;
    if (uses[i].fixed != REG_NONE || !is_lost_before(uses[i].next, pos)) continue;
    need_slot(s, v, s->block);
    remove_value(s, v);
    uses[i].flags |= OPERAND_DROPS;
  }
}

static void after_uses(Spill *s, const Ins *ins, uint32_t pos) {
  Mach *f = s->f;
  Operand *uses = INS_OPERANDS(f, ins) + ins->n_defs;
  for (unsigned i = 0; i < ins->n_uses; i++) {
    VReg v = uses[i].v;
    if (v == 0 || !is_in(s, v)) continue;
    if (uses[i].next == NEVER) {
      remove_value(s, v);
    } else {
      s->next[v] = uses[i].next;
    }
  }
  if (!(ins->flags & INS_CALL)) {
    drop_lost(s, ins, pos);
    return;
  }
  for (unsigned c = 0; c < CLASSES; c++) {
    for (; s->in[c].n != 0; remove_at(s, &s->in[c], s->in[c].n - 1))
      need_slot(s, s->in[c].items[s->in[c].n - 1], s->block);
  }
}

static void walk_ins(Spill *s, uint32_t index, const Ins *ins, uint32_t pos) {
  load_uses(s, index, ins, pos);
  if (!(ins->flags & (INS_CALL | INS_LEAVES))) make_room(s, index, ins);
  after_uses(s, ins, pos);
  const Operand *defs = INS_OPERANDS(s->f, ins);
  for (unsigned i = 0; i < ins->n_defs; i++) {
    if (defs[i].v != 0 && defs[i].next != NEVER) insert(s, defs[i].v, defs[i].next);
  }
}

/* An attack: values leave their registers without need. */
static void attack(Spill *s, uint32_t index, const Ins *ins) {
  if (s->f->target->random_seed == 0 || mach_random(s->f) % 8 != 0) return;
  unsigned class = mach_random(s->f) % CLASSES;
  uint32_t n_used = 0;
  for (uint32_t i = 0; i < s->in[class].n; i++)
    n_used += is_used_by(INS_OPERANDS(s->f, ins), ins, s->in[class].items[i]);
  if (s->in[class].n > n_used) evict_one(s, class, index, ins);
}

static void walk_block(Spill *s, uint32_t b) {
  Mach *f = s->f;
  enter_block(s, b);
  MBlock *block = MACH_BLOCK(f, b);
  s->events.n = 0;
  uint32_t pos = 0;
  for (uint32_t i = 0; i < block->n; i++) {
    const Ins *ins = &f->ins[block->first + i];
    attack(s, block->first + i, ins);
    walk_ins(s, block->first + i, ins, pos);
    pos += ins->flags & INS_CALL ? FAR : 1;
  }
  block->events = arena_copy(f->arena, s->events.items, s->events.n * sizeof *block->events);
  block->n_events = s->events.n;
  block->exit_set = copy_set(s, &block->n_exit);
}

/* Edges, and where stores go */

/* What is live into a block but not in a register there has to be in its slot. */
static void check_edges(Spill *s, uint32_t b) {
  Mach *f = s->f;
  MBlock *block = MACH_BLOCK(f, b);
  s->block = b;
  for (uint32_t i = 0; i < block->n_live; i++) s->next_stamp[block->live[i].v] = b;
  for (uint32_t i = 0; i < block->n_entry; i++) s->next_stamp[block->entry_set[i]] = 0;
  for (uint32_t p = 0; p < block->n_preds; p++) {
    const MBlock *pred = MACH_BLOCK(f, block->preds[p]);
    for (uint32_t i = 0; i < pred->n_exit; i++) {
      if (s->next_stamp[pred->exit_set[i]] == b) need_slot(s, pred->exit_set[i], block->preds[p]);
    }
  }
}

static bool is_in_loop(const Mach *f, uint32_t b, uint32_t loop) {
  uint32_t header = MACH_BLOCK(f, b)->loop;
  while (header != 0 && header != loop && f->blocks[header].depth > f->blocks[loop].depth)
    header = MACH_BLOCK(f, f->blocks[header].idom)->loop;
  return header == loop;
}

static void place_store(Spill *s, VReg v) {
  Mach *f = s->f;
  VRegInfo *info = &f->vregs[v];
  uint32_t at = s->need[v];
  for (;;) {
    uint32_t loop = MACH_BLOCK(f, at)->loop;
    if (at == info->block || loop == 0 || is_in_loop(f, info->block, loop)) break;
    at = MACH_BLOCK(f, loop)->idom;
  }
  if (at == info->block) {
    info->is_stored_at_def = true;
  } else {
    VEC_PUSH(f->arena, &MACH_BLOCK(f, at)->stores, v);
  }
}

void spill_run(Mach *f) {
  Spill s = {.f = f, .limit = {N_REGS_INT, N_REGS_FLOAT}};
  if (f->target->random_seed != 0) {
    s.limit[CLASS_INT] -= mach_random(f) % 4;
    s.limit[CLASS_FLOAT] -= mach_random(f) % 6;
  }
  uint32_t **arrays[] = {&s.member, &s.next, &s.next_stamp, &s.count, &s.count_stamp, &s.need};
  for (unsigned i = 0; i < COUNT_OF(arrays); i++)
    *arrays[i] = arena_zero(f->arena, f->n_vregs * sizeof **arrays[i]);
  for (uint32_t i = 0; i < f->n_order; i++) walk_block(&s, f->rpo[i]);
  for (uint32_t i = 0; i < f->n_order; i++) check_edges(&s, f->rpo[i]);
  for (uint32_t i = 0; i < s.needed.n; i++) place_store(&s, s.needed.items[i]);
}
#endif
