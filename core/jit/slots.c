/* slots.c - frame slots of spilled values, shared by values that are never live together.
 *
 * Requires live and spill. A value takes its slot from its first to its last place in the order of
 * emission in which it is live: one pair of numbers a value. The pairs are served in the order of
 * their starts. Phis in memory and their arguments ask for the same slot, which makes the copies
 * between them disappear.
 */
#if defined(__x86_64__)
#include "mach.h"

typedef struct Range {
  uint32_t from, to;
} Range;

typedef struct Slots {
  Mach *f;
  bool *is_spilled;                /* by value */
  Range *ranges;                   /* the same */
  uint32_t *starts, *ends;         /* by position: first value of a list */
  uint32_t *next_start, *next_end; /* by value */
  VRegs free[2];                   /* of one word, of two; may name slots that are taken again */
  bool *is_free;                   /* by slot: first of a free one */
  uint32_t room;
} Slots;

static void extend(Slots *s, VReg v, uint32_t pos) {
  if (!s->is_spilled[v]) return;
  Range *range = &s->ranges[v];
  if (pos < range->from) range->from = pos;
  if (pos > range->to) range->to = pos;
}

/* What goes into a block further on is live from here to there anyway; that of earlier blocks,
 * which have their positions, is not. */
static void extend_to_end(Slots *s, const MBlock *block, uint32_t end) {
  const Mach *f = s->f;
  for (uint32_t i = 0; i < block->n_succs; i++) {
    const MBlock *succ = MACH_BLOCK(f, block->succs[i]);
    for (uint32_t j = 0; succ->pos != 0 && j < succ->n_live; j++) extend(s, succ->live[j].v, end);
    if (succ->n_phis == 0) continue;
    for (uint32_t j = 0; j < succ->n_phis; j++)
      extend(s, succ->phi_args[block->pred_index][j], end);
  }
}

/* Positions: two a block more than instructions. */
static uint32_t measure(Slots *s) {
  Mach *f = s->f;
  uint32_t pos = 0;
  for (uint32_t i = 0; i < f->n_order; i++) {
    uint32_t b = f->order[i];
    MBlock *block = MACH_BLOCK(f, b);
    block->pos = pos++;
    for (uint32_t j = 0; j < block->n_live; j++) extend(s, block->live[j].v, block->pos);
    for (uint32_t j = 0; j < block->n_phis; j++) extend(s, block->phis[j], block->pos);
    for (uint32_t j = 0; j < block->n; j++, pos++) {
      const Ins *ins = &f->ins[block->first + j];
      const Operand *operands = INS_OPERANDS(f, ins);
      for (unsigned k = 0; k < (unsigned)ins->n_defs + ins->n_uses; k++)
        extend(s, operands[k].v, pos);
    }
    extend_to_end(s, block, pos++);
  }
  return pos;
}

static void give(Slots *s, VReg v) {
  const Mach *f = s->f;
  uint32_t slot = f->vregs[v].slot;
  bool is_wide = f->vregs[v].type == KIND_V128;
  s->is_free[slot] = true;
  VEC_PUSH(f->arena, &s->free[is_wide], slot);
}

static void take(Slots *s, VReg v) {
  Mach *f = s->f;
  VRegInfo *info = &f->vregs[v];
  bool is_wide = info->type == KIND_V128;
  const VRegInfo *friend = &f->vregs[info->friend];
  uint32_t slot = NEVER;
  if (info->friend != 0 && friend->is_spilled && friend->slot != NEVER &&
      (friend->type == KIND_V128) == is_wide && s->is_free[friend->slot]) {
    slot = friend->slot;
  }
  while (slot == NEVER && s->free[is_wide].n != 0) {
    slot = s->free[is_wide].items[--s->free[is_wide].n];
    if (!s->is_free[slot]) slot = NEVER;
  }
  if (slot == NEVER) {
    slot = f->n_slots;
    f->n_slots += is_wide ? 2 : 1;
  }
  s->is_free[slot] = false;
  info->slot = slot;
}

void slots_run(Mach *f) {
  Slots s = {.f = f};
  uint32_t n_spilled = 0;
  s.is_spilled = arena_new(f->arena, f->n_vregs);
  for (VReg v = 0; v < f->n_vregs; v++) {
    s.is_spilled[v] = v != 0 && f->vregs[v].is_spilled;
    n_spilled += s.is_spilled[v];
  }
  if (n_spilled == 0) return;
  s.ranges = arena_new(f->arena, f->n_vregs * sizeof *s.ranges);
  for (VReg v = 0; v < f->n_vregs; v++) {
    s.ranges[v] = (Range){NEVER, 0};
    f->vregs[v].slot = NEVER;
  }
  uint32_t n_pos = measure(&s);
  s.starts = arena_zero(f->arena, n_pos * sizeof *s.starts);
  s.ends = arena_zero(f->arena, n_pos * sizeof *s.ends);
  s.next_start = arena_new(f->arena, f->n_vregs * sizeof *s.next_start);
  s.next_end = arena_new(f->arena, f->n_vregs * sizeof *s.next_end);
  s.is_free = arena_zero(f->arena, 2 * (size_t)n_spilled + 2);
  for (VReg v = 1; v < f->n_vregs; v++) {
    if (!f->vregs[v].is_spilled || s.ranges[v].from == NEVER) continue;
    s.next_start[v] = s.starts[s.ranges[v].from];
    s.starts[s.ranges[v].from] = v;
    s.next_end[v] = s.ends[s.ranges[v].to];
    s.ends[s.ranges[v].to] = v;
  }
  for (uint32_t pos = 0; pos < n_pos; pos++) {
    for (VReg v = s.starts[pos]; v != 0; v = s.next_start[v]) take(&s, v);
    for (VReg v = s.ends[pos]; v != 0; v = s.next_end[v]) give(&s, v);
  }
}
#endif
