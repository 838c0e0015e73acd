/* color.c - which register each value is in: preference-guided assignment (Braun and others 2010).
 *
 * Requires spill and slots: there are enough registers everywhere. Sets Operand.reg and the steps
 * of every block: instructions, and the moves, reloads and stores around them.
 *
 * Blocks are walked in reverse post-order, instructions in order, with the register of each value.
 * A value keeps its register until an instruction wants just that one; then it moves to another,
 * for good. A block takes over the registers of one predecessor; the edges from the others get
 * moves. A definition prefers the register of a value it replaces, of the phi it flows into, or one
 * that it will be wanted in.
 */
#if defined(__x86_64__)
#include "mach.h"

#include "x64/encode.h"

typedef VEC(Move) Moves;

typedef struct Color {
  Mach *f;
  VReg owner[32];
  uint8_t *reg;    /* by value, when it is its register's owner */
  uint32_t free;   /* registers that nobody owns */
  uint8_t *before; /* by value: its register in the predecessor looked at, + 1 */
  Moves moves;
  bool *is_done; /* blocks walked */
} Color;

static const uint8_t order[CLASSES][16] = {
    {RAX, RSI, RDI, RBX, RBP, RDX, RCX, R8, R9, R10, R11, R12, R13, REG_NONE},
    {16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, REG_NONE},
};

static uint32_t bit(unsigned reg) {
  return 1u << reg;
}

static uint32_t class_mask(unsigned class) {
  return class == CLASS_INT ? REGS_INT : REGS_FLOAT;
}

static void give(Color *c, VReg v, unsigned reg) {
  c->owner[reg] = v;
  c->reg[v] = (uint8_t)reg;
  c->free &= ~bit(reg);
}

static void take_back(Color *c, unsigned reg) {
  c->owner[reg] = 0;
  c->free |= bit(reg);
}

static bool is_in_register(const Color *c, VReg v) {
  return c->reg[v] != REG_NONE && c->owner[c->reg[v]] == v;
}

static unsigned pick_random(Mach *f, uint32_t allowed) {
  uint32_t n = mach_random(f) % (uint32_t)__builtin_popcount(allowed);
  while (n-- > 0) allowed &= allowed - 1;
  return (unsigned)__builtin_ctz(allowed);
}

/* A register out of `allowed`, which has one of the value's class. */
static unsigned pick(Color *c, VReg v, uint32_t allowed) {
  Mach *f = c->f;
  const VRegInfo *info = &f->vregs[v];
  unsigned class = mach_class(f, v);
  allowed &= class_mask(class);
  if (UNLIKELY(allowed == 0)) mach_fail(f, "no register is left");
  if (f->target->random_seed != 0) return pick_random(f, allowed);
  if (info->hint != REG_NONE && (allowed & bit(info->hint))) return info->hint;
  const VRegInfo *friend = &f->vregs[info->friend];
  if (info->friend != 0) {
    if (friend->home != REG_NONE && (allowed & bit(friend->home))) return friend->home;
    if (friend->hint != REG_NONE && (allowed & bit(friend->hint))) return friend->hint;
  }
  for (const uint8_t *reg = order[class]; *reg != REG_NONE; reg++) {
    if (allowed & bit(*reg)) return *reg;
  }
  return (unsigned)__builtin_ctz(allowed);
}

static void assign(Color *c, VReg v, unsigned reg) {
  give(c, v, reg);
  c->f->vregs[v].home = (uint8_t)reg;
}

/* Moves */

static void add_move(Color *c, Move move) {
  VEC_PUSH(c->f->arena, &c->moves, move);
}

static void flush_moves(Color *c, uint32_t free) {
  moves_emit(c->f, c->moves.items, c->moves.n, free);
  c->moves.n = 0;
}

/* Where a value is that is in no register. */
static Move move_from_elsewhere(const Mach *f, VReg v) {
  const VRegInfo *info = &f->vregs[v];
  Move move = {.type = info->type, .from = v};
  if (info->kind == V_CONST) {
    move.from_kind = PLACE_CONST;
  } else if (info->kind == V_REMADE) {
    move.from_kind = PLACE_REMADE;
    move.from = info->def;
  } else {
    move.from_kind = PLACE_SLOT;
    move.from = info->slot;
  }
  return move;
}

static Move move_from(const Color *c, VReg v) {
  if (c->f->vregs[v].kind != V_CONST && is_in_register(c, v))
    return (Move){.type = c->f->vregs[v].type, .from_kind = PLACE_REG, .from = c->reg[v]};
  return move_from_elsewhere(c->f, v);
}

static void store(Color *c, VReg v) {
  const VRegInfo *info = &c->f->vregs[v];
  mach_step(c->f, (Step){.kind = STEP_SPILL,
                         .type = info->type,
                         .from = c->reg[v],
                         .x = info->slot,
                         .y = info->slot});
}

/* Instructions */

static bool is_fixed(const Operand *operand) {
  return operand->fixed != REG_NONE;
}

static bool lives_on(const Operand *uses, unsigned n, VReg v, bool *is_plain) {
  bool lives = true;
  *is_plain = false;
  for (unsigned i = 0; i < n; i++) {
    if (uses[i].v != v || (uses[i].flags & OPERAND_SLOT)) continue;
    lives = uses[i].next != NEVER;
    if (!is_fixed(&uses[i]) && !(uses[i].flags & OPERAND_ANY)) *is_plain = true;
  }
  return lives;
}

/* Copies of operands to the registers they are wanted in; who owns these and stays moves away, who
 * ends here makes room. */
static void settle_fixed(Color *c, const Ins *ins, uint32_t mask, uint32_t late_mask) {
  Operand *uses = INS_OPERANDS(c->f, ins) + ins->n_defs;
  for (unsigned i = 0; i < ins->n_uses; i++) {
    if (!is_fixed(&uses[i])) continue;
    Move move = move_from(c, uses[i].v);
    move.to_kind = PLACE_REG;
    move.to = uses[i].fixed;
    add_move(c, move);
  }
  uint32_t evicted = 0;
  for (uint32_t left = (mask | late_mask) & ~c->free & REGS_ALL; left != 0; left &= left - 1) {
    unsigned reg = (unsigned)__builtin_ctz(left);
    VReg v = c->owner[reg];
    bool is_plain, lives = lives_on(uses, ins->n_uses, v, &is_plain);
    if (lives || (is_plain && (mask & bit(reg)))) evicted |= bit(reg);
  }
  for (unsigned i = 0; i < ins->n_uses; i++) { /* what ends here as a copy */
    VReg v = uses[i].v;
    bool is_plain;
    if (!is_fixed(&uses[i]) || !is_in_register(c, v)) continue;
    if (!lives_on(uses, ins->n_uses, v, &is_plain) && !is_plain) take_back(c, c->reg[v]);
  }
  for (; evicted != 0; evicted &= evicted - 1) {
    unsigned reg = (unsigned)__builtin_ctz(evicted);
    VReg v = c->owner[reg];
    unsigned to = pick(c, v, c->free & ~mask & ~late_mask);
    add_move(c, (Move){.type = c->f->vregs[v].type,
                       .to_kind = PLACE_REG,
                       .from_kind = PLACE_REG,
                       .to = to,
                       .from = reg});
    take_back(c, reg);
    assign(c, v, to);
  }
  flush_moves(c, 0);
}

static void set_use_registers(const Color *c, const Ins *ins) {
  Operand *uses = INS_OPERANDS(c->f, ins) + ins->n_defs;
  for (unsigned i = 0; i < ins->n_uses; i++) {
    if (uses[i].v == 0 || (uses[i].flags & OPERAND_SLOT)) continue;
    uses[i].reg = is_fixed(&uses[i]) ? uses[i].fixed : c->reg[uses[i].v];
  }
}

static void free_ended(Color *c, const Ins *ins) {
  const Operand *uses = INS_OPERANDS(c->f, ins) + ins->n_defs;
  for (unsigned i = 0; i < ins->n_uses; i++) {
    VReg v = uses[i].v;
    bool ends = uses[i].next == NEVER || (uses[i].flags & OPERAND_DROPS);
    if (v == 0 || c->f->vregs[v].kind == V_CONST || !ends) continue;
    if (is_in_register(c, v)) take_back(c, c->reg[v]);
  }
}

/* Registers of uses that the first definition of a tied instruction must not take. */
static uint32_t protected_uses(const Ins *ins, const Operand *uses) {
  uint32_t mask = 0;
  if (!(ins->flags & INS_TIED)) return 0;
  for (unsigned i = 1; i < ins->n_uses; i++) {
    if ((uses[i].flags & OPERAND_SLOT) || uses[i].v == 0 || uses[i].v == uses[0].v) continue;
    if (i == 1 && (ins->flags & INS_COMMUTES)) continue;
    mask |= bit(uses[i].reg);
  }
  return mask;
}

static void define(Color *c, const Ins *ins, uint32_t taken) {
  Mach *f = c->f;
  Operand *defs = INS_OPERANDS(f, ins), *uses = defs + ins->n_defs;
  uint32_t protected = protected_uses(ins, uses);
  for (unsigned i = 0; i < ins->n_defs; i++) {
    if (!is_fixed(&defs[i]) || defs[i].v == 0) continue;
    defs[i].reg = defs[i].fixed;
    assign(c, defs[i].v, defs[i].reg);
  }
  for (unsigned i = 0; i < ins->n_defs; i++) {
    if (is_fixed(&defs[i]) || defs[i].v == 0 || (defs[i].flags & OPERAND_EARLY)) continue;
    uint32_t allowed = c->free & ~taken & ~(i == 0 ? protected : 0);
    unsigned reg = REG_NONE;
    if (i == 0 && ins->n_uses != 0 && uses[0].v != 0 &&
        !(uses[0].flags & (OPERAND_SLOT | OPERAND_ANY)) && (ins->flags & INS_TIED) &&
        (allowed & bit(uses[0].reg)) && class_of_reg(uses[0].reg) == mach_class(f, defs[0].v) &&
        f->target->random_seed == 0) {
      reg = uses[0].reg;
    }
    defs[i].reg = (uint8_t)(reg != REG_NONE ? reg : pick(c, defs[i].v, allowed));
    assign(c, defs[i].v, defs[i].reg);
  }
}

static void pick_temporaries(Color *c, const Ins *ins, uint32_t *taken) {
  Operand *operands = INS_OPERANDS(c->f, ins);
  Operand *temps = operands + ins->n_defs + ins->n_uses;
  for (unsigned i = 0; i < ins->n_temps; i++) {
    temps[i].reg =
        is_fixed(&temps[i]) ? temps[i].fixed : (uint8_t)pick(c, temps[i].v, c->free & ~*taken);
    *taken |= bit(temps[i].reg);
  }
  for (unsigned i = 0; i < ins->n_defs; i++) {
    if (is_fixed(&operands[i]) || !(operands[i].flags & OPERAND_EARLY)) continue;
    operands[i].reg = (uint8_t)pick(c, operands[i].v, c->free & ~*taken);
    *taken |= bit(operands[i].reg);
  }
}

/* Definitions that nobody uses give their registers back; those with slots are stored. */
static void finish_definitions(Color *c, const Ins *ins) {
  const Operand *defs = INS_OPERANDS(c->f, ins);
  for (unsigned i = 0; i < ins->n_defs; i++) {
    if (defs[i].v == 0) continue;
    if ((defs[i].flags & OPERAND_EARLY) && !is_fixed(&defs[i])) assign(c, defs[i].v, defs[i].reg);
    if (c->f->vregs[defs[i].v].is_stored_at_def) store(c, defs[i].v);
    if (defs[i].next == NEVER) take_back(c, defs[i].reg);
  }
}

static void color_plain(Color *c, uint32_t index, const Ins *ins) {
  Operand *operands = INS_OPERANDS(c->f, ins);
  uint32_t mask = ins->clobbers & REGS_ALL, late_mask = 0;
  unsigned n = (unsigned)ins->n_defs + ins->n_uses + ins->n_temps;
  for (unsigned i = 0; i < n; i++) {
    if (!is_fixed(&operands[i])) continue;
    if (i < ins->n_defs && !(operands[i].flags & OPERAND_EARLY))
      late_mask |= bit(operands[i].fixed);
    else
      mask |= bit(operands[i].fixed);
  }
  if ((mask | late_mask) != 0) settle_fixed(c, ins, mask, late_mask);
  set_use_registers(c, ins);
  uint32_t taken = mask | late_mask;
  pick_temporaries(c, ins, &taken);
  free_ended(c, ins);
  define(c, ins, taken);
  mach_step(c->f, (Step){.kind = STEP_INS, .x = index});
  finish_definitions(c, ins);
}

/* Calls, returns: every operand is copied to its place from wherever it is; nothing stays in a
 * register. */
static void color_leaving(Color *c, uint32_t index, const Ins *ins) {
  Mach *f = c->f;
  Operand *uses = INS_OPERANDS(f, ins) + ins->n_defs;
  if (ins->imm_bytes != 0) mach_step(f, (Step){.kind = STEP_ADJUST, .x = ins->imm_bytes});
  for (unsigned i = 0; i < ins->n_uses; i++) {
    if (uses[i].v == 0) continue;
    Move move = move_from(c, uses[i].v);
    bool to_stack = (uses[i].flags & OPERAND_STACK) != 0;
    move.to_kind = to_stack ? PLACE_OUT : PLACE_REG;
    move.to = to_stack ? uses[i].offset : uses[i].fixed;
    uses[i].reg = uses[i].fixed;
    add_move(c, move);
  }
  flush_moves(c, 0);
  c->free = REGS_ALL;
  memset(c->owner, 0, sizeof c->owner);
  define(c, ins, 0);
  mach_step(f, (Step){.kind = STEP_INS, .x = index});
  finish_definitions(c, ins);
}

static void reload(Color *c, VReg v) {
  unsigned to = pick(c, v, c->free);
  Move move = move_from_elsewhere(c->f, v);
  move.to_kind = PLACE_REG;
  move.to = to;
  add_move(c, move);
  flush_moves(c, 0);
  assign(c, v, to);
}

static const SpillEvent *run_events(Color *c, const SpillEvent *event, const SpillEvent *end,
                                    uint32_t index) {
  const SpillEvent *last = event;
  while (last < end && last->ins == index) last++;
  for (const SpillEvent *e = event; e < last; e++) {
    if (!e->is_reload && is_in_register(c, e->v)) take_back(c, c->reg[e->v]);
  }
  for (const SpillEvent *e = event; e < last; e++) {
    if (e->is_reload) reload(c, e->v);
  }
  return last;
}

/* Blocks */

/* Walked, not cold, and the deepest: its moves cost most. */
static uint32_t main_pred(const Color *c, const MBlock *block) {
  uint32_t best = 0;
  for (uint32_t i = 0; i < block->n_preds; i++) {
    uint32_t p = block->preds[i];
    if (!c->is_done[p]) continue;
    const MBlock *pred = MACH_BLOCK(c->f, p), *other = MACH_BLOCK(c->f, best);
    if (best == 0 || (other->is_cold && !pred->is_cold) ||
        (other->is_cold == pred->is_cold && pred->depth > other->depth))
      best = p;
  }
  return best;
}

static void note_exits(Color *c, const MBlock *pred, bool set) {
  for (uint32_t i = 0; i < pred->n_exit; i++)
    c->before[pred->exit_regs[i].v] = set ? (uint8_t)(pred->exit_regs[i].reg + 1) : 0;
}

/* A free register in which some predecessor has the value, or the phi's argument. */
static unsigned reg_in_preds(Color *c, const MBlock *block, VReg v, uint32_t phi) {
  for (uint32_t p = 0; p < block->n_preds; p++) {
    if (!c->is_done[block->preds[p]]) continue;
    const MBlock *pred = MACH_BLOCK(c->f, block->preds[p]);
    VReg wanted = phi != NEVER ? block->phi_args[p][phi] : v;
    for (uint32_t i = 0; i < pred->n_exit; i++) {
      if (pred->exit_regs[i].v == wanted && (c->free & bit(pred->exit_regs[i].reg)))
        return pred->exit_regs[i].reg;
    }
  }
  return REG_NONE;
}

static void enter_block(Color *c, uint32_t b) {
  Mach *f = c->f;
  MBlock *block = MACH_BLOCK(f, b);
  c->free = REGS_ALL;
  memset(c->owner, 0, sizeof c->owner);
  uint32_t p = main_pred(c, block);
  if (p != 0) note_exits(c, MACH_BLOCK(f, p), true);
  for (uint32_t i = 0; i < block->n_entry; i++) c->reg[block->entry_set[i]] = REG_NONE;
  for (uint32_t i = 0; i < block->n_entry; i++) {
    VReg v = block->entry_set[i];
    if (c->before[v] != 0) assign(c, v, c->before[v] - 1u);
  }
  for (uint32_t i = 0; i < block->n_phis; i++) {
    VReg phi = block->phis[i];
    if (block->phi_next[i] == NEVER || f->vregs[phi].is_memory_phi) continue;
    unsigned reg = f->target->random_seed == 0 ? reg_in_preds(c, block, phi, i) : REG_NONE;
    const VRegInfo *info = &f->vregs[phi];
    if (info->hint != REG_NONE && (c->free & bit(info->hint)) && !block->is_loop_header)
      reg = info->hint;
    assign(c, phi, reg != REG_NONE ? reg : pick(c, phi, c->free));
  }
  for (uint32_t i = 0; i < block->n_entry; i++) {
    VReg v = block->entry_set[i];
    if (c->reg[v] != REG_NONE) continue;
    unsigned reg = reg_in_preds(c, block, v, NEVER);
    assign(c, v, reg != REG_NONE ? reg : pick(c, v, c->free));
  }
  if (p != 0) note_exits(c, MACH_BLOCK(f, p), false);
  block->entry_regs = arena_new(f->arena, block->n_entry * sizeof *block->entry_regs);
  for (uint32_t i = 0; i < block->n_entry; i++)
    block->entry_regs[i] = (RegItem){block->entry_set[i], c->reg[block->entry_set[i]]};
}

static void store_at_start(Color *c, const MBlock *block) {
  const Mach *f = c->f;
  for (uint32_t i = 0; i < block->n_phis; i++) {
    const VRegInfo *info = &f->vregs[block->phis[i]];
    if (info->is_stored_at_def && !info->is_memory_phi) store(c, block->phis[i]);
  }
  for (uint32_t i = 0; i < block->stores.n; i++) store(c, block->stores.items[i]);
}

static void walk_block(Color *c, uint32_t b) {
  Mach *f = c->f;
  MBlock *block = MACH_BLOCK(f, b);
  enter_block(c, b);
  block->first_step = f->n_steps;
  store_at_start(c, block);
  const SpillEvent *event = block->events, *end = event + block->n_events;
  for (uint32_t i = 0; i < block->n; i++) {
    uint32_t index = block->first + i;
    const Ins *ins = &f->ins[index];
    event = run_events(c, event, end, index);
    if (ins->flags & INS_GOTO) continue;
    if (ins->flags & (INS_CALL | INS_LEAVES)) {
      color_leaving(c, index, ins);
    } else {
      color_plain(c, index, ins);
    }
  }
  block->n_steps = f->n_steps - block->first_step;
  block->exit_regs = arena_new(f->arena, block->n_exit * sizeof *block->exit_regs);
  for (uint32_t i = 0; i < block->n_exit; i++)
    block->exit_regs[i] = (RegItem){block->exit_set[i], c->reg[block->exit_set[i]]};
  c->is_done[b] = true;
}

/* Edges */

static Move edge_move(const Color *c, VReg v) {
  if (c->f->vregs[v].kind != V_CONST && c->before[v] != 0)
    return (Move){.type = c->f->vregs[v].type, .from_kind = PLACE_REG, .from = c->before[v] - 1u};
  return move_from_elsewhere(c->f, v);
}

static void move_on_edge(Color *c, uint32_t b) {
  Mach *f = c->f;
  MBlock *block = MACH_BLOCK(f, b);
  const MBlock *succ = MACH_BLOCK(f, block->succs[0]);
  block->first_edge_step = f->n_steps;
  uint32_t free = REGS_INT; /* moves name the others that are taken */
  note_exits(c, block, true);
  for (uint32_t i = 0; i < succ->n_entry; i++) {
    VReg v = succ->entry_regs[i].v;
    if (f->vregs[v].is_phi && f->vregs[v].block == block->succs[0]) {
      c->reg[v] = succ->entry_regs[i].reg;
      continue;
    }
    unsigned reg = succ->entry_regs[i].reg;
    free &= ~bit(reg);
    if (c->before[v] == reg + 1) continue;
    Move move = edge_move(c, v);
    move.to_kind = PLACE_REG;
    move.to = reg;
    add_move(c, move);
  }
  for (uint32_t i = 0; i < succ->n_phis; i++) {
    const VRegInfo *phi = &f->vregs[succ->phis[i]];
    if (succ->phi_next[i] == NEVER) continue;
    Move move = edge_move(c, succ->phi_args[block->pred_index][i]);
    move.type = phi->type;
    move.to_kind = phi->is_memory_phi ? PLACE_SLOT : PLACE_REG;
    move.to = phi->is_memory_phi ? phi->slot : c->reg[succ->phis[i]];
    add_move(c, move);
  }
  note_exits(c, block, false);
  flush_moves(c, free);
  block->n_edge_steps = f->n_steps - block->first_edge_step;
}

void color_run(Mach *f) {
  Color c = {.f = f};
  c.reg = arena_new(f->arena, f->n_vregs);
  memset(c.reg, REG_NONE, f->n_vregs);
  c.before = arena_zero(f->arena, f->n_vregs);
  c.is_done = arena_zero(f->arena, f->n_blocks);
  for (VReg v = 0; v < f->n_vregs; v++) f->vregs[v].home = REG_NONE;
  for (uint32_t i = 0; i < f->n_order; i++) walk_block(&c, f->rpo[i]);
  for (uint32_t i = 0; i < f->n_order; i++) {
    if (MACH_BLOCK(f, f->rpo[i])->n_succs == 1) move_on_edge(&c, f->rpo[i]);
  }
}
#endif
