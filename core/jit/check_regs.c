/* check_regs.c - does every instruction find its values where it looks for them?
 *
 * Walks the steps of every block with what is known to be in each register and slot. At joins only
 * what all predecessors agree on stays known; blocks are walked until nothing changes, which ends,
 * since knowledge only shrinks. Along an edge a phi takes the place of its argument. For debugging
 * and fuzzing: it takes blocks times slots of memory.
 */
#if defined(__x86_64__)
#include "mach.h"

enum { UNREACHED = UINT32_MAX, N_REGS = 32, PLACES_MAX = 1 << 26 };

typedef struct OutArg {
  uint32_t offset;
  VReg v;
} OutArg;

typedef struct Check {
  const Mach *f;
  Arena *arena;
  uint32_t n;     /* places: registers, then slots */
  VReg *at_start; /* by block and place */
  VReg *now, *after_edge;
  VEC(OutArg) outs;
  const char *wrong;
} Check;

static VReg *start_of(const Check *c, uint32_t b) {
  return c->at_start + (size_t)b * c->n;
}

static void complain(Check *c, const char *what, VReg v, uint32_t ins) {
  if (c->wrong != NULL) return;
  Buf text;
  buf_init(&text, c->arena);
  buf_printf(&text, "%s: v%u at instruction %u", what, v, ins);
  buf_byte(&text, 0);
  c->wrong = (const char *)text.at;
}

static VReg out_arg(const Check *c, uint32_t offset) {
  VReg v = 0;
  for (uint32_t i = 0; i < c->outs.n; i++) {
    if (c->outs.items[i].offset == offset) v = c->outs.items[i].v;
  }
  return v;
}

static void check_use(Check *c, const Operand *use, uint32_t index) {
  if (use->v == 0) return;
  VReg found;
  if (use->flags & OPERAND_SLOT) {
    found = c->now[N_REGS + c->f->vregs[use->v].slot];
  } else if (use->flags & OPERAND_STACK) {
    found = out_arg(c, use->offset);
  } else {
    found = c->now[use->reg];
  }
  if (found != use->v) complain(c, "an operand is not where it is looked for", use->v, index);
}

/* Registers that are written before all uses are read. */
static uint32_t early_writes(const Ins *ins, const Operand *operands) {
  uint32_t mask = ins->clobbers;
  for (unsigned i = 0; i < ins->n_temps; i++)
    mask |= 1u << operands[ins->n_defs + ins->n_uses + i].reg;
  for (unsigned i = 0; i < ins->n_defs; i++) {
    if (operands[i].v != 0 && (operands[i].flags & OPERAND_EARLY)) mask |= 1u << operands[i].reg;
  }
  return mask;
}

static void check_overlaps(Check *c, const Ins *ins, uint32_t index) {
  const Operand *operands = INS_OPERANDS(c->f, ins), *uses = operands + ins->n_defs;
  uint32_t early = early_writes(ins, operands);
  for (unsigned i = 0; i < ins->n_uses; i++) {
    if (uses[i].v == 0 || (uses[i].flags & (OPERAND_SLOT | OPERAND_ANY)) ||
        uses[i].fixed != REG_NONE)
      continue;
    if (early & 1u << uses[i].reg) complain(c, "an operand is overwritten", uses[i].v, index);
    bool may_share = i == 0 || (i == 1 && (ins->flags & INS_COMMUTES)) || uses[i].v == uses[0].v;
    if ((ins->flags & INS_TIED) && !may_share && operands[0].reg == uses[i].reg)
      complain(c, "an operand shares the register of the result", uses[i].v, index);
  }
}

static void run_ins(Check *c, uint32_t index) {
  const Ins *ins = &c->f->ins[index];
  const Operand *operands = INS_OPERANDS(c->f, ins);
  for (unsigned i = 0; i < ins->n_uses; i++) check_use(c, &operands[ins->n_defs + i], index);
  if (ins->flags & (INS_CALL | INS_LEAVES)) {
    memset(c->now, 0, N_REGS * sizeof *c->now);
    c->outs.n = 0;
  } else {
    check_overlaps(c, ins, index);
  }
  for (uint32_t left = early_writes(ins, operands); left != 0; left &= left - 1)
    c->now[__builtin_ctz(left)] = 0;
  for (unsigned i = 0; i < ins->n_defs; i++) {
    if (operands[i].v != 0) c->now[operands[i].reg] = operands[i].v;
  }
}

static void put_out(Check *c, uint32_t offset, VReg v) {
  OutArg out = {offset, v};
  VEC_PUSH(c->arena, &c->outs, out);
}

static void run_step(Check *c, const Step *step) {
  VReg *slots = c->now + N_REGS, moved;
  switch (step->kind) {
    case STEP_INS: run_ins(c, step->x); break;
    case STEP_MOVE: c->now[step->to] = c->now[step->from]; break;
    case STEP_SWAP:
      moved = c->now[step->to];
      c->now[step->to] = c->now[step->from];
      c->now[step->from] = moved;
      break;
    case STEP_SPILL: slots[step->x] = c->now[step->from]; break;
    case STEP_RELOAD: c->now[step->to] = slots[step->x]; break;
    case STEP_CONST: c->now[step->to] = step->x; break;
    case STEP_REMAKE: c->now[step->to] = INS_OPERANDS(c->f, &c->f->ins[step->x])->v; break;
    case STEP_SLOT_TO_SLOT:
      if (step->to == 0) c->now[REG_SCRATCH] = 0;
      slots[step->y] = slots[step->x];
      break;
    case STEP_CONST_TO_SLOT:
      c->now[REG_SCRATCH] = 0;
      slots[step->y] = step->x;
      break;
    case STEP_OUT: put_out(c, step->x, c->now[step->from]); break;
    case STEP_SLOT_TO_OUT:
      put_out(c, step->y, slots[step->x]);
      c->now[REG_SCRATCH] = 0;
      break;
    case STEP_CONST_TO_OUT:
      put_out(c, step->y, step->x);
      c->now[REG_SCRATCH] = 0;
      break;
    default: break;
  }
}

/* What a phi's register or slot holds is the phi from here on. */
static void rename_phis(Check *c, uint32_t b, uint32_t succ) {
  const Mach *f = c->f;
  const MBlock *block = MACH_BLOCK(f, succ);
  memcpy(c->after_edge, c->now, c->n * sizeof *c->now);
  if (block->n_phis == 0) return;
  uint32_t p = 0;
  while (block->preds[p] != b) p++;
  for (uint32_t i = 0; i < block->n_phis; i++) {
    VReg phi = block->phis[i];
    if (block->phi_next[i] == NEVER) continue;
    uint32_t place = N_REGS + f->vregs[phi].slot;
    for (uint32_t k = 0; k < block->n_entry && !f->vregs[phi].is_memory_phi; k++) {
      if (block->entry_regs[k].v == phi) place = block->entry_regs[k].reg;
    }
    if (c->now[place] != block->phi_args[p][i])
      complain(c, "a phi does not get its argument", phi, block->first);
    c->after_edge[place] = phi;
  }
}

static bool merge(Check *c, uint32_t succ) {
  VReg *start = start_of(c, succ);
  bool has_changed = false;
  for (uint32_t i = 0; i < c->n; i++) {
    VReg now = start[i] == UNREACHED || start[i] == c->after_edge[i] ? c->after_edge[i] : 0;
    has_changed |= start[i] != now;
    start[i] = now;
  }
  return has_changed;
}

static void run_block(Check *c, uint32_t b) {
  const Mach *f = c->f;
  const MBlock *block = MACH_BLOCK(f, b);
  memcpy(c->now, start_of(c, b), c->n * sizeof *c->now);
  for (uint32_t i = 0; i < block->n_steps; i++) run_step(c, &f->steps[block->first_step + i]);
  for (uint32_t i = 0; i < block->n_edge_steps; i++)
    run_step(c, &f->steps[block->first_edge_step + i]);
}

const char *check_regs_run(const Mach *f, Arena *arena) {
  Check c = {.f = f, .arena = arena, .n = N_REGS + f->n_slots + 1};
  if ((uint64_t)c.n * f->n_blocks > PLACES_MAX) return NULL;
  size_t size = (size_t)c.n * f->n_blocks * sizeof *c.at_start;
  c.at_start = arena_new(arena, size);
  memset(c.at_start, 0xFF, size);
  c.now = arena_new(arena, c.n * sizeof *c.now);
  c.after_edge = arena_new(arena, c.n * sizeof *c.after_edge);
  memset(start_of(&c, f->ir->entry), 0, c.n * sizeof *c.at_start);
  for (bool has_changed = true; has_changed && c.wrong == NULL;) {
    has_changed = false;
    for (uint32_t i = 0; i < f->n_order && c.wrong == NULL; i++) {
      uint32_t b = f->rpo[i];
      run_block(&c, b);
      for (uint32_t k = 0; k < MACH_BLOCK(f, b)->n_succs && c.wrong == NULL; k++) {
        rename_phis(&c, b, MACH_BLOCK(f, b)->succs[k]);
        has_changed |= merge(&c, MACH_BLOCK(f, b)->succs[k]);
      }
    }
  }
  return c.wrong;
}
#endif
