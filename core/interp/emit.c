/* emit.c - writes instructions and keeps track of where values are (emit.h).
 */
#include "emit.h"

#include <stdarg.h>
#include <stdio.h>

/* Distances and slots are 32 and 16 bits wide. */
enum { MAX_CODE = 1 << 30, MAX_SLOT = 0xFFFF };

_Noreturn void emit_fail(Translator *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  error_set_v(&t->error, ERROR_UNSUPPORTED, format, args);
  va_end(args);
  guard_raise(&t->guard);
}

ValClass class_of(ValType type) {
  switch (type_kind(type)) {
    case KIND_F32: return CLASS_F;
    case KIND_F64: return CLASS_D;
    case KIND_V128: return CLASS_V;
    default: return CLASS_I;
  }
}

/* Instructions */

uint32_t emit(Translator *t, unsigned iop, uint32_t size) {
  if (t->room - t->n_bytes < size) {
    uint32_t room = MAX(t->room * 2, t->n_bytes + size + 1024);
    if (size > MAX_CODE || room > MAX_CODE) emit_fail(t, "function too large to interpret");
    t->bytes = arena_resize(&t->arena, t->bytes, t->room, room);
    t->room = room;
  }
  uint32_t at = t->n_bytes;
  memset(t->bytes + at, 0, size);
  Handler *handler = interp_handlers[iop];
  memcpy(t->bytes + at, &handler, sizeof handler);
  t->n_bytes += size;
  return at;
}

void put16(Translator *t, uint32_t at, uint32_t x) {
  if (x > MAX_SLOT) emit_fail(t, "function with a frame too large to interpret");
  uint16_t narrow = (uint16_t)x;
  memcpy(t->bytes + at, &narrow, sizeof narrow);
}
void put32(Translator *t, uint32_t at, uint32_t x) {
  memcpy(t->bytes + at, &x, sizeof x);
}
void put64(Translator *t, uint32_t at, uint64_t x) {
  memcpy(t->bytes + at, &x, sizeof x);
}
void put_pointer(Translator *t, uint32_t at, const void *pointer) {
  memcpy(t->bytes + at, &pointer, sizeof pointer);
}
void put_bytes(Translator *t, uint32_t at, const void *bytes, size_t size) {
  memcpy(t->bytes + at, bytes, size);
}

void emit_position(Translator *t) {
  VEC_PUSH(&t->arena, &t->positions, ((Position){t->n_bytes, t->offset}));
}

void emit_take_back(Translator *t) {
  t->n_bytes = t->last.start;
  t->acc[CLASS_I] = t->last.acc;
  t->last.end = 0;
  t->last_move = 0;
}

void emit_barrier(Translator *t) {
  t->last.end = 0;
  t->last_move = 0;
}

/* Distances. Field 0 is a handler, so that 0 ends a chain. */

void fixup_add(Translator *t, uint32_t *chain, uint32_t field) {
  put32(t, field, *chain);
  *chain = field;
}

void put_distance(Translator *t, uint32_t field, uint32_t target) {
  put32(t, field, target - field);
}

void fixup_bind(Translator *t, uint32_t *chain) {
  while (*chain != 0) {
    uint32_t field = *chain;
    *chain = load_u32(t->bytes + field);
    put_distance(t, field, t->n_bytes);
  }
  emit_barrier(t);
}

/* The operand stack */

static Val *push(Translator *t, ValClass class, ValWhere where) {
  Val val = {.class = (uint8_t) class,
             .where = (uint8_t)where,
             .home = t->top,
             .slot = t->top,
             .older = NO_VAL};
  VEC_PUSH(&t->arena, &t->stack, val);
  t->top += class_slots(class);
  if (t->top > t->max_top) t->max_top = t->top;
  return &t->stack.items[t->stack.n - 1];
}

void push_slot(Translator *t, ValClass class) {
  push(t, class, IN_SLOT);
}

void push_const(Translator *t, ValClass class, uint64_t bits) {
  push(t, class, IN_CONST)->bits = bits;
}

void push_local(Translator *t, uint32_t local) {
  Local *l = &t->locals[local];
  Val *val = push(t, l->class, IN_LOCAL);
  val->slot = l->slot;
  val->local = local;
  val->older = l->newest;
  l->newest = t->stack.n - 1;
}

Val pop(Translator *t) {
  Val val = t->stack.items[--t->stack.n];
  t->top = val.home;
  if (val.where == IN_LOCAL) t->locals[val.local].newest = val.older;
  if (t->n_settled > t->stack.n) t->n_settled = t->stack.n;
  return val;
}

/* Accumulators */

static void settle_acc(Translator *t, ValClass class) {
  Acc *acc = &t->acc[class];
  if (!acc->is_dirty) return;
  Handler *writer = interp_handlers[acc->iop + 1];
  memcpy(t->bytes + acc->at, &writer, sizeof writer);
  put16(t, acc->at + 8, acc->slot);
  acc->is_dirty = false;
}

static bool in_acc(const Translator *t, const Val *val) {
  return val->class != CLASS_V && val->where != IN_CONST && t->acc[val->class].slot == val->slot;
}

/* A slot gets a new value: no accumulator holds it any longer. */
static void forget_slot(Translator *t, uint32_t slot) {
  for (unsigned c = 0; c < ACC_CLASSES; c++)
    if (t->acc[c].slot == slot) t->acc[c] = (Acc){.slot = NO_SLOT};
}

void drop_acc(Translator *t, const Val *val) {
  if (val->where == IN_SLOT && in_acc(t, val)) t->acc[val->class] = (Acc){.slot = NO_SLOT};
}

void settle_accs(Translator *t) {
  for (unsigned c = 0; c < ACC_CLASSES; c++) settle_acc(t, c);
}

void forget_accs(Translator *t) {
  for (unsigned c = 0; c < ACC_CLASSES; c++) t->acc[c] = (Acc){.slot = NO_SLOT};
}

/* Moves. None of them changes an accumulator. */

void const_to(Translator *t, uint32_t slot, uint64_t bits) {
  bool is_wide = bits > UINT32_MAX;
  uint32_t at = emit(t, is_wide ? I_CONST64 : I_CONST32, is_wide ? 24 : 16);
  put16(t, at + 8, slot);
  if (is_wide) {
    put64(t, at + 16, bits);
  } else {
    put32(t, at + 12, (uint32_t)bits);
  }
  forget_slot(t, slot);
}

/* Two moves of 64 bits in a row become one instruction. */
static void move64_to(Translator *t, uint32_t slot, uint32_t from) {
  uint32_t at;
  if (t->last_move == t->n_bytes && t->n_bytes != 0) {
    at = t->n_bytes - 16;
    Handler *pair = interp_handlers[I_MOV64_2];
    memcpy(t->bytes + at, &pair, sizeof pair);
    put16(t, at + 12, slot);
    put16(t, at + 14, from);
    t->last_move = 0;
  } else {
    at = emit(t, I_MOV64, 16);
    put16(t, at + 8, slot);
    put16(t, at + 10, from);
    t->last_move = t->n_bytes;
  }
}

void move_to(Translator *t, uint32_t slot, ValClass class, uint32_t from) {
  static const uint16_t from_acc[ACC_CLASSES] = {I_MOV_A, I_MOV_F, I_MOV_D};
  if (class != CLASS_V && t->acc[class].slot == from) {
    put16(t, emit(t, from_acc[class], 16) + 8, slot);
  } else if (class == CLASS_I || class == CLASS_D) {
    move64_to(t, slot, from);
  } else {
    uint32_t at = emit(t, class == CLASS_F ? I_MOV32 : I_MOV128, 16);
    put16(t, at + 8, slot);
    put16(t, at + 10, from);
  }
  forget_slot(t, slot);
  if (class == CLASS_V) forget_slot(t, slot + 1);
}

static void val_to(Translator *t, const Val *val, uint32_t slot) {
  if (val->where == IN_CONST) {
    const_to(t, slot, val->bits);
  } else {
    move_to(t, slot, val->class, val->slot);
  }
}

/* A value of the stack into its home. One that reads a local must be the newest that does. */
static void settle(Translator *t, Val *val) {
  if (val->where == IN_SLOT) return;
  val_to(t, val, val->home);
  if (val->where == IN_LOCAL) t->locals[val->local].newest = val->older;
  val->where = IN_SLOT;
  val->slot = val->home;
}

void settle_top(Translator *t, uint32_t n) {
  settle_accs(t);
  for (uint32_t i = 0; i < n; i++) settle(t, &t->stack.items[t->stack.n - 1 - i]);
}

void settle_locals(Translator *t) {
  for (uint32_t i = t->stack.n; i-- > t->n_settled;)
    if (t->stack.items[i].where == IN_LOCAL) settle(t, &t->stack.items[i]);
  t->n_settled = t->stack.n;
}

bool top_is_at(const Translator *t, uint32_t n, uint32_t to) {
  for (uint32_t i = t->stack.n - n; i < t->stack.n; i++) {
    const Val *val = &t->stack.items[i];
    if (val->where != IN_SLOT) return false;
    if (val->home != to) return false;
    to += class_slots(val->class);
  }
  return true;
}

/* Targets are never above the homes, so that going up overwrites nothing that is still needed. What
 * the accumulators are known to hold is kept: the code behind does not come through here. */
void copy_top(Translator *t, uint32_t n, uint32_t to) {
  settle_accs(t);
  Acc kept[ACC_CLASSES];
  memcpy(kept, t->acc, sizeof kept);
  for (uint32_t i = t->stack.n - n; i < t->stack.n; i++) {
    const Val *val = &t->stack.items[i];
    if (val->where != IN_SLOT || val->home != to) val_to(t, val, to);
    to += class_slots(val->class);
  }
  memcpy(t->acc, kept, sizeof kept);
}

/* Operands */

Opnd operand(Translator *t, const Val *val, bool imm, bool acc) {
  if (val->where == IN_CONST) {
    if (imm) return (Opnd){OPND_IMM, NO_SLOT, val->bits};
    const_to(t, val->home, val->bits);
    return (Opnd){OPND_SLOT, val->home, 0};
  }
  if (in_acc(t, val)) {
    if (acc) {
      drop_acc(t, val);
      return (Opnd){OPND_ACC, val->slot, 0};
    }
    settle_acc(t, val->class);
  }
  return (Opnd){OPND_SLOT, val->slot, 0};
}

uint32_t operand_slot(Translator *t, const Val *val) {
  return operand(t, val, false, false).slot;
}

uint32_t pop_slot(Translator *t) {
  Val val = pop(t);
  return operand_slot(t, &val);
}

/* Results */

static void note_last(Translator *t, ValClass class, uint32_t at) {
  t->last =
      (Last){.end = t->n_bytes, .at = at, .home = t->top, .class = (uint8_t) class, .start = at};
}

void produce(Translator *t, ValClass class, uint32_t at, unsigned iop) {
  settle_acc(t, class);
  forget_slot(t, t->top);
  Acc before = t->acc[CLASS_I];
  t->acc[class] = (Acc){.slot = t->top, .at = at, .iop = (uint16_t)iop, .is_dirty = true};
  note_last(t, class, at);
  t->last.acc = before;
  push_slot(t, class);
}

void produce_slot(Translator *t, ValClass class, uint32_t at) {
  put16(t, at + 8, t->top);
  forget_slot(t, t->top);
  if (class == CLASS_V) forget_slot(t, t->top + 1);
  note_last(t, class, at);
  push_slot(t, class);
}

/* Locals */

/* Entries that still read the local's old value get copies of it. */
static void settle_readers(Translator *t, uint32_t local) {
  while (t->locals[local].newest != NO_VAL) settle(t, &t->stack.items[t->locals[local].newest]);
}

/* Lets the newest instruction, which made the value, write the local instead of the home. */
static bool redirect_last(Translator *t, const Val *val, uint32_t slot) {
  if (t->last.end != t->n_bytes || t->last.end == 0 || t->last.home != val->home ||
      val->where != IN_SLOT)
    return false;
  bool has_acc = in_acc(t, val);
  if (has_acc) {
    t->acc[val->class].slot = slot;
    if (t->acc[val->class].is_dirty) {
      settle_acc(t, val->class);
    } else {
      put16(t, t->last.at + 8, slot);
    }
  } else {
    put16(t, t->last.at + 8, slot);
  }
  Acc kept = has_acc ? t->acc[val->class] : (Acc){.slot = NO_SLOT};
  forget_slot(t, slot);
  if (has_acc) t->acc[val->class] = kept;
  if (val->class == CLASS_V) forget_slot(t, slot + 1);
  t->last.home = NO_SLOT;
  t->last.is_fusable = false;
  return true;
}

void local_set(Translator *t, uint32_t local, bool is_tee) {
  Val val = pop(t);
  uint32_t slot = t->locals[local].slot;
  if (val.where == IN_LOCAL && val.local == local) {
    if (is_tee) push_local(t, local);
    return;
  }
  settle_readers(t, local);
  if (!redirect_last(t, &val, slot)) {
    bool has_acc = in_acc(t, &val);
    val_to(t, &val, slot);
    if (has_acc && val.where == IN_SLOT) {
      /* The value's home is dead: the accumulator now stands for the local. */
      t->acc[val.class] = (Acc){.slot = slot};
    }
  }
  if (is_tee) push_local(t, local);
}
