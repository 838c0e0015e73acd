/* moves.c - parallel copies made sequential.
 *
 * A copy whose target nobody reads any more is done; what is left then is cycles, which are turned
 * through a free register, by exchanges, or through the scratch register (a copy between slots then
 * goes over the stack).
 * Constants and remade values read nothing and come last.
 */
#if defined(__x86_64__)
#include "mach.h"

enum { FEW = 32 };

typedef struct Solver {
  Mach *f;
  const Move *moves;
  uint32_t n;
  uint32_t *readers; /* by place: copies that still read it */
  uint32_t *writer;  /* by place: 1 + the copy into it */
  uint32_t *ready, n_ready;
  bool *is_done;
  bool is_scratch_taken;
  unsigned spare; /* a free integer register, or REG_NONE */
} Solver;

void mach_step(Mach *f, Step step) {
  if (f->n_steps == f->room_steps)
    f->steps = arena_grow(f->arena, f->steps, &f->room_steps, sizeof *f->steps);
  f->steps[f->n_steps++] = step;
}

/* Registers and slots in one numbering. */
static uint32_t place_of(unsigned kind, uint32_t x) {
  return kind == PLACE_REG ? x : 32 + x;
}

static bool is_place(unsigned kind) {
  return kind == PLACE_REG || kind == PLACE_SLOT;
}

static void emit_from_place(const Solver *s, const Move *move) {
  Step step = {.type = move->type};
  bool from_reg = move->from_kind == PLACE_REG;
  switch (move->to_kind) {
    case PLACE_REG:
      step.kind = from_reg ? STEP_MOVE : STEP_RELOAD;
      step.to = (uint8_t)move->to;
      break;
    case PLACE_SLOT: step.kind = from_reg ? STEP_SPILL : STEP_SLOT_TO_SLOT; break;
    default: step.kind = from_reg ? STEP_OUT : STEP_SLOT_TO_OUT; break;
  }
  if (from_reg) {
    step.from = (uint8_t)move->from;
    step.x = step.y = move->to;
  } else {
    step.x = move->from;
    step.y = move->to;
    if (step.kind == STEP_SLOT_TO_SLOT) step.to = s->is_scratch_taken;
  }
  mach_step(s->f, step);
}

static void emit_new_value(Mach *f, const Move *move) {
  Step step = {.type = move->type, .x = move->from, .y = move->to, .to = (uint8_t)move->to};
  if (move->from_kind == PLACE_REMADE) {
    if (move->to_kind != PLACE_REG) step.to = REG_SCRATCH;
    step.kind = STEP_REMAKE;
    mach_step(f, step);
    if (move->to_kind == PLACE_REG) return;
    step.kind = move->to_kind == PLACE_SLOT ? STEP_SPILL : STEP_OUT;
    step.from = REG_SCRATCH;
    step.x = move->to;
    mach_step(f, step);
    return;
  }
  step.kind = move->to_kind == PLACE_REG    ? STEP_CONST
              : move->to_kind == PLACE_SLOT ? STEP_CONST_TO_SLOT
                                            : STEP_CONST_TO_OUT;
  mach_step(f, step);
}

static void release(Solver *s, unsigned kind, uint32_t x) {
  uint32_t place = place_of(kind, x);
  if (--s->readers[place] == 0 && s->writer[place] != 0)
    s->ready[s->n_ready++] = s->writer[place] - 1;
}

static void run_ready(Solver *s) {
  while (s->n_ready != 0) {
    uint32_t i = s->ready[--s->n_ready];
    if (s->is_done[i]) continue;
    s->is_done[i] = true;
    emit_from_place(s, &s->moves[i]);
    release(s, s->moves[i].from_kind, s->moves[i].from);
  }
}

static bool is_int_register(unsigned kind, uint32_t x) {
  return kind == PLACE_REG && class_of_reg(x) == CLASS_INT;
}

/* The copy that writes what this one reads. */
static uint32_t next_in_cycle(const Solver *s, uint32_t i) {
  return s->writer[place_of(s->moves[i].from_kind, s->moves[i].from)] - 1;
}

/* Its length, when it is one of integer registers; else 0. */
static uint32_t count_cycle_of_ints(const Solver *s, uint32_t first) {
  uint32_t i = first, n = 0;
  do {
    if (!is_int_register(s->moves[i].from_kind, s->moves[i].from)) return 0;
    n++;
    i = next_in_cycle(s, i);
  } while (i != first);
  return n;
}

static unsigned find_spare(const Move *moves, uint32_t n, uint32_t free) {
  for (uint32_t i = 0; i < n; i++) {
    if (moves[i].to_kind == PLACE_REG) free &= ~(1u << moves[i].to);
    if (moves[i].from_kind == PLACE_REG) free &= ~(1u << moves[i].from);
  }
  return free != 0 ? (unsigned)__builtin_ctz(free) : REG_NONE;
}

/* Every exchange puts one value where it belongs, and the one that was there on its way. */
static void exchange_cycle(Solver *s, uint32_t first) {
  for (uint32_t i = first;;) {
    uint32_t next = next_in_cycle(s, i);
    s->is_done[i] = true;
    if (next == first || s->is_done[next]) return;
    mach_step(s->f, (Step){.kind = STEP_SWAP,
                           .type = KIND_I64,
                           .to = (uint8_t)s->moves[i].to,
                           .from = (uint8_t)s->moves[i].from});
    i = next;
  }
}

/* One value goes to the register, the others follow, and it goes where it belongs. */
static void turn_cycle(Solver *s, uint32_t first, unsigned reg) {
  Move save = s->moves[first], restore = save;
  save.to_kind = restore.from_kind = PLACE_REG;
  save.to = restore.from = reg;
  s->is_done[first] = true;
  s->is_scratch_taken = reg == REG_SCRATCH;
  emit_from_place(s, &save);
  release(s, save.from_kind, save.from);
  run_ready(s);
  emit_from_place(s, &restore);
  s->is_scratch_taken = false;
}

static void solve(Solver *s) {
  for (uint32_t i = 0; i < s->n; i++) {
    const Move *move = &s->moves[i];
    if (s->is_done[i] || !is_place(move->to_kind)) continue;
    if (s->readers[place_of(move->to_kind, move->to)] == 0) s->ready[s->n_ready++] = i;
  }
  run_ready(s);
  for (uint32_t i = 0; i < s->n; i++) {
    if (s->is_done[i]) continue;
    uint32_t n_ints = count_cycle_of_ints(s, i);
    if (n_ints == 2 || (n_ints != 0 && s->spare == REG_NONE)) {
      exchange_cycle(s, i);
    } else {
      turn_cycle(s, i, n_ints != 0 ? s->spare : REG_SCRATCH);
    }
  }
}

void moves_emit(Mach *f, Move *moves, uint32_t n, uint32_t free) {
  if (n == 0) return;
  Arena *arena = f->arena;
  Solver s = {.f = f, .moves = moves, .n = n, .spare = find_spare(moves, n, free)};
  size_t n_places = 32 + (size_t)f->n_slots + 1;
  if (f->move_room < n_places) {
    f->move_readers = arena_zero(arena, n_places * sizeof *f->move_readers);
    f->move_writers = arena_zero(arena, n_places * sizeof *f->move_writers);
    f->move_room = (uint32_t)n_places;
  }
  s.readers = f->move_readers;
  s.writer = f->move_writers;
  uint32_t few_ready[2 * FEW + 1];
  bool few_done[FEW] = {false};
  s.ready = n <= FEW ? few_ready : arena_new(arena, (2 * (size_t)n + 1) * sizeof *s.ready);
  s.is_done = n <= FEW ? few_done : arena_zero(arena, n);
  for (uint32_t i = 0; i < n; i++) { /* outgoing arguments are read by nobody */
    if (moves[i].to_kind == PLACE_OUT && is_place(moves[i].from_kind)) {
      emit_from_place(&s, &moves[i]);
      s.is_done[i] = true;
    }
    if (!is_place(moves[i].from_kind)) s.is_done[i] = true;
    if (moves[i].to_kind == moves[i].from_kind && moves[i].to == moves[i].from) s.is_done[i] = true;
  }
  for (uint32_t i = 0; i < n; i++) {
    if (s.is_done[i]) continue;
    s.readers[place_of(moves[i].from_kind, moves[i].from)]++;
    s.writer[place_of(moves[i].to_kind, moves[i].to)] = i + 1;
  }
  solve(&s);
  for (uint32_t i = 0; i < n; i++) {
    if (is_place(moves[i].from_kind)) {
      s.readers[place_of(moves[i].from_kind, moves[i].from)] = 0;
    } else {
      emit_new_value(f, &moves[i]);
    }
    if (is_place(moves[i].to_kind)) s.writer[place_of(moves[i].to_kind, moves[i].to)] = 0;
  }
}
#endif
