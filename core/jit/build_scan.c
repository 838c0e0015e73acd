/* build_scan.c - which locals each block, loop, if and try sets.
 *
 * The sets of the constructs that are open lie on one stack, the innermost on top. An entry says to
 * which open construct the local belonged before, so that a set that ends is joined to the one
 * around it in one walk over its own entries.
 */
#include "../base/os.h"
#include "builder.h"

typedef struct Entry {
  uint32_t local, before; /* the construct in whose set it was, or 0 */
} Entry;

typedef struct Open {
  uint32_t set, first; /* number from 1; first entry */
} Open;

typedef struct Scanner {
  Arena *arena;
  VEC(LocalSet) sets;
  VEC(Open) open;
  VEC(Entry) entries;
  uint32_t *owners; /* by local: the innermost open construct in whose set it is */
  uint32_t n_kept;
} Scanner;

static void open_set(Scanner *s) {
  LocalSet none = {NULL, 0};
  VEC_PUSH(s->arena, &s->sets, none);
  Open open = {s->sets.n, s->entries.n};
  VEC_PUSH(s->arena, &s->open, open);
}

static void set_local(Scanner *s, uint32_t local) {
  if (s->open.n == 0) return;
  uint32_t set = s->open.items[s->open.n - 1].set;
  if (s->owners[local] == set) return;
  Entry entry = {local, s->owners[local]};
  s->owners[local] = set;
  VEC_PUSH(s->arena, &s->entries, entry);
}

static void close_set(Scanner *s) {
  Open open = s->open.items[--s->open.n];
  Entry *entries = s->entries.items + open.first;
  uint32_t n = s->entries.n - open.first, n_left = 0;
  uint32_t outer = s->open.n != 0 ? s->open.items[s->open.n - 1].set : 0;
  if (n == 0) return;
  s->n_kept += n;
  if (s->n_kept > BUILD_VALUES_MAX) {
    error_set(s->arena->guard->error, ERROR_UNSUPPORTED, "function too complex to compile");
    guard_raise(s->arena->guard);
  }
  uint32_t *locals = arena_new(s->arena, n * sizeof *locals);
  for (uint32_t i = 0; i < n; i++) {
    Entry entry = entries[i];
    locals[i] = entry.local;
    s->owners[entry.local] = outer;
    if (entry.before != outer) entries[n_left++] = entry;
  }
  s->sets.items[open.set - 1] = (LocalSet){locals, n};
  s->entries.n = open.first + n_left;
}

/* What follows an opcode, for those that are skipped without looking. */
enum { LOOK, SKIP_NOTHING, SKIP_NUMBER, SKIP_MEMARG, SKIP_4, SKIP_8 };

static uint8_t skips[256]; /* by the first byte */
static _Atomic int skips_state;

static unsigned skip_of(unsigned op) {
  switch ((ImmKind)op_info[op].imm) {
    case IMM_NONE: return op == OP_END ? LOOK : SKIP_NOTHING;
    case IMM_LABEL: return op == OP_DELEGATE ? LOOK : SKIP_NUMBER;
    case IMM_LOCAL: return op == OP_LOCAL_GET ? SKIP_NUMBER : LOOK;
    case IMM_GLOBAL:
    case IMM_FUNC:
    case IMM_I32:
    case IMM_I64: return SKIP_NUMBER;
    case IMM_MEMARG: return SKIP_MEMARG;
    case IMM_F32: return SKIP_4;
    case IMM_F64: return SKIP_8;
    default: return LOOK;
  }
}

static void make_skips(void) {
  for (unsigned byte = 0; byte < 256; byte++)
    skips[byte] = op_of_byte[byte] == OP_INVALID ? LOOK : (uint8_t)skip_of(op_of_byte[byte]);
}

static const uint8_t *skip_number(const uint8_t *at) {
  while (*at++ >= 0x80) continue;
  return at;
}

/* Moves to the next instruction with a set of its own, or that is not one byte and its numbers. */
static const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end) {
  while (at < end) {
    switch (skips[*at]) {
      case SKIP_NOTHING: at++; break;
      case SKIP_NUMBER: at = skip_number(at + 1); break;
      case SKIP_MEMARG:
        if (at[1] >= 0x40) return at; /* names a memory, or is not short */
        at = skip_number(at + 2);
        break;
      case SKIP_4: at += 5; break;
      case SKIP_8: at += 9; break;
      default: return at;
    }
  }
  return at;
}

static void look(Scanner *s, const Instr *instr) {
  switch (instr->op) {
    case OP_BLOCK:
    case OP_LOOP:
    case OP_IF:
    case OP_TRY:
    case OP_TRY_TABLE: open_set(s); break;
    case OP_LOCAL_SET:
    case OP_LOCAL_TEE: set_local(s, instr->index); break;
    case OP_END:
    case OP_DELEGATE:
      if (s->open.n != 0) close_set(s);
      break;
    default: break;
  }
}

Scan build_scan(Arena *arena, Reader reader, uint32_t n_locals) {
  Scanner s = {.arena = arena, .owners = ARENA_ARRAY(arena, uint32_t, n_locals + 1)};
  Instr instr;
  os_call_once(&skips_state, make_skips);
  for (;;) {
    reader.at = skip_plain(reader.at, reader.end);
    if (reader.at >= reader.end) break;
    instr_read(&reader, &instr);
    look(&s, &instr);
  }
  return (Scan){s.sets.items, s.sets.n};
}
