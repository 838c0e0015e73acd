/* relax.c - from code with long jumps to the code that is kept.
 *
 * All jumps were written with 32-bit distances. Those that reach their target with 8 bits get
 * shorter; each makes others reach theirs, so this is done a few times. Then the code is copied,
 * and everything that names a position is moved along.
 */
#if defined(__x86_64__)
#include "emit.h"

enum { ROUNDS = 3, ALIGNMENT = 16 };

/* Bytes that disappear (positive) or are put in (negative) at a position. */
typedef struct Relax {
  Layout *layout;
  uint32_t *saved; /* by jump: bytes saved by all jumps before it */
  bool *is_short;
  uint32_t *label_jump;    /* by label: number of jumps before it */
  uint32_t *label_aligned; /* by label: number of alignments up to it */
  uint32_t *jump_aligned;  /* by jump: the same */
  uint32_t *pads;          /* by alignment: bytes put in by all up to it */
} Relax;

static uint32_t saving(const Relax *r, uint32_t jump) {
  if (!r->is_short[jump]) return 0;
  return r->layout->jumps[jump].is_conditional ? 4 : 3;
}

static uint32_t count_jumps_before(const Layout *layout, uint32_t at) {
  uint32_t low = 0, high = layout->n_jumps;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (layout->jumps[middle].at < at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static uint32_t count_aligned_up_to(const Layout *layout, uint32_t at) {
  uint32_t low = 0, high = layout->n_aligned;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (layout->aligned[middle] <= at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void sum_savings(Relax *r) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < r->layout->n_jumps; i++) {
    r->saved[i] = sum;
    sum += saving(r, i);
  }
  r->saved[r->layout->n_jumps] = sum;
}

/* The distance at most, with every alignment between as large as it can be. */
static bool reaches(const Relax *r, uint32_t i) {
  const Jump *jump = &r->layout->jumps[i];
  int64_t from = (int64_t)jump->at + 2 - r->saved[i];
  int64_t to = (int64_t)r->layout->labels[jump->label] - r->saved[r->label_jump[jump->label]];
  int64_t n = (int64_t)r->label_aligned[jump->label] - r->jump_aligned[i];
  int64_t pads = (ALIGNMENT - 1) * (n < 0 ? -n : n);
  if (to > from) return to - from + pads <= 127;
  return from - to + pads <= 128;
}

static void shorten(Relax *r) {
  const Layout *layout = r->layout;
  for (unsigned round = 0; round < ROUNDS; round++) {
    sum_savings(r);
    bool changed = false;
    for (uint32_t i = 0; i < layout->n_jumps; i++) {
      if (r->is_short[i] || !reaches(r, i)) continue;
      r->is_short[i] = changed = true;
    }
    if (!changed) return;
  }
  sum_savings(r);
}

static void place_pads(Relax *r) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < r->layout->n_aligned; i++) {
    uint32_t at = r->layout->aligned[i];
    uint32_t now = at - r->saved[count_jumps_before(r->layout, at)] + sum;
    sum += (uint32_t)(-now & (ALIGNMENT - 1));
    r->pads[i + 1] = sum;
  }
}

/* The new position of a byte; of an aligned one, behind the padding. */
static uint32_t moved(const Relax *r, uint32_t at) {
  return at - r->saved[count_jumps_before(r->layout, at)] +
         r->pads[count_aligned_up_to(r->layout, at)];
}

/* The same for one position after the other, upward. */
typedef struct Cursor {
  uint32_t jump, aligned;
} Cursor;

static uint32_t moved_next(const Relax *r, Cursor *c, uint32_t at) {
  const Layout *layout = r->layout;
  while (c->jump < layout->n_jumps && layout->jumps[c->jump].at < at) c->jump++;
  while (c->aligned < layout->n_aligned && layout->aligned[c->aligned] <= at) c->aligned++;
  return at - r->saved[c->jump] + r->pads[c->aligned];
}

static void put_nops(uint8_t *at, uint32_t n, Arena *arena) {
  if (n == 0) return;
  Asm nops;
  asm_init(&nops, arena, false);
  enc_nops(&nops, n);
  if (n != 0) memcpy(at, nops.code.at, n);
}

/* Copies what lies between jumps and alignments. */
static uint8_t *copy_code(Relax *r, Arena *arena, uint32_t size) {
  const Layout *layout = r->layout;
  uint8_t *out = arena_new(arena, size + 16);
  const uint8_t *code = layout->code->code.at;
  uint32_t from = 0, to = 0, end = (uint32_t)layout->code->code.size, a = 0;
  for (uint32_t i = 0; i <= layout->n_jumps; i++) {
    uint32_t until = i < layout->n_jumps ? layout->jumps[i].at : end;
    for (; a < layout->n_aligned && layout->aligned[a] <= until; a++) {
      uint32_t n = layout->aligned[a] - from, pad = r->pads[a + 1] - r->pads[a];
      memcpy(out + to, code + from, n);
      to += n;
      put_nops(out + to, pad, arena);
      to += pad;
      from += n;
    }
    memcpy(out + to, code + from, until - from);
    to += until - from;
    from = until;
    if (i == layout->n_jumps || !r->is_short[i]) continue;
    bool is_conditional = layout->jumps[i].is_conditional;
    out[to++] = is_conditional ? (uint8_t)(0x70 | (code[from + 1] & 15)) : 0xEB;
    out[to++] = 0;
    from += is_conditional ? 6 : 5;
  }
  return out;
}

static void write_short_jumps(const Relax *r, uint8_t *out) {
  const Layout *layout = r->layout;
  Cursor cursor = {0, 0};
  for (uint32_t i = 0; i < layout->n_jumps; i++) {
    uint32_t at = moved_next(r, &cursor, layout->jumps[i].at);
    if (!r->is_short[i]) continue;
    out[at + 1] = (uint8_t)(layout->labels[layout->jumps[i].label] - (at + 2));
  }
}

/* Distances of 32 bits; those of jumps that got short are gone. */
static void write_distances(const Relax *r, uint8_t *out, Arena *arena, Compiled *compiled) {
  const Layout *layout = r->layout;
  VEC(CodeLink) links = {0};
  uint32_t j = 0;
  Cursor cursor = {0, 0};
  for (uint32_t i = 0; i < layout->code->fixups.n; i++) {
    Fixup fixup = layout->code->fixups.items[i];
    while (j < layout->n_jumps && layout->jumps[j].at + 6 < fixup.at) j++;
    bool is_gone = false;
    for (uint32_t k = j; k < layout->n_jumps && layout->jumps[k].at < fixup.at; k++) {
      uint32_t field = layout->jumps[k].at + (layout->jumps[k].is_conditional ? 2 : 1);
      is_gone |= field == fixup.at && r->is_short[k];
    }
    if (is_gone) continue;
    uint32_t at = moved_next(r, &cursor, fixup.at);
    if (fixup.label & LABEL_LINK) {
      CodeLink link = {at, fixup.label & 0x0FFFFFFF, (uint8_t)(fixup.label >> 28 & 7), fixup.tail};
      VEC_PUSH(arena, &links, link);
    } else {
      store_u32(out + at, load_u32(out + at) + layout->labels[fixup.label] - (at + 4 + fixup.tail));
    }
  }
  compiled->links = links.items;
  compiled->n_links = links.n;
}

static void move_positions(Relax *r) {
  Layout *layout = r->layout;
  for (uint32_t i = 0; i < layout->n_labels; i++)
    layout->labels[i] += r->pads[r->label_aligned[i]] - r->saved[r->label_jump[i]];
  Cursor cursor = {0, 0};
  for (uint32_t i = 0; i < layout->n_sites; i++) {
    CodeSite *site = &layout->sites[i];
    bool is_call = site->trap == TRAP_NONE; /* ends where padding may follow */
    site->at = moved_next(r, &cursor, site->at - is_call) + is_call;
    if (site->handler != 0) site->handler = layout->labels[site->handler];
  }
}

void relax_run(Layout *layout, Arena *arena, Compiled *out) {
  Relax r = {.layout = layout};
  r.saved = arena_zero(arena, (layout->n_jumps + 1) * sizeof *r.saved);
  r.is_short = arena_zero(arena, layout->n_jumps + 1);
  r.label_jump = arena_new(arena, layout->n_labels * sizeof *r.label_jump);
  r.label_aligned = arena_new(arena, layout->n_labels * sizeof *r.label_aligned);
  r.jump_aligned = arena_new(arena, (layout->n_jumps + 1) * sizeof *r.jump_aligned);
  r.pads = arena_zero(arena, (layout->n_aligned + 1) * sizeof *r.pads);
  for (uint32_t i = 0; i < layout->n_labels; i++) {
    r.label_jump[i] = count_jumps_before(layout, layout->labels[i]);
    r.label_aligned[i] = count_aligned_up_to(layout, layout->labels[i]);
  }
  for (uint32_t i = 0; i < layout->n_jumps; i++)
    r.jump_aligned[i] = count_aligned_up_to(layout, layout->jumps[i].at);
  shorten(&r);
  place_pads(&r);
  uint32_t size = moved(&r, (uint32_t)layout->code->code.size);
  uint8_t *code = copy_code(&r, arena, size);
  move_positions(&r);
  write_short_jumps(&r, code);
  write_distances(&r, code, arena, out);
  out->code = code;
  out->size = size;
  out->sites = layout->sites;
  out->n_sites = layout->n_sites;
}
#endif
