/* translate.c - from a validated body to prepared code, in one walk forward.
 *
 *   body --instr_read--> translate_control.c, translate_ops.c --> emit.c --> Ops
 *
 * Time and memory are linear in the body. Unreachable code is skipped. Nothing here recurses, and
 * little of the machine stack is used: the first call of a function translates on the guest's
 * stack. Two threads may translate the same function; the first to publish wins.
 */
#include "emit.h"

/* Slots behind the operand stack that every frame has: for the return address of a callee, and for
 * locals cleared in blocks of four. */
enum { FRAME_SLACK = 8 };

static void add_locals(Translator *t, uint32_t n, ValType type, uint32_t *slot) {
  for (uint32_t i = 0; i < n; i++) {
    t->locals[t->n_locals++] =
        (Local){.slot = *slot, .newest = NO_VAL, .class = (uint8_t)class_of(type)};
    *slot += type_slots(type);
  }
}

/* Lays out the frame: parameters, the return address, other locals, which start as zero. */
static void start_frame(Translator *t) {
  uint32_t slot = 0;
  t->locals = arena_new(&t->arena, sizeof(Local) * ((size_t)t->def->n_locals + 1));
  for (uint32_t i = 0; i < t->type->n_params; i++) add_locals(t, 1, t->type->types[i], &slot);
  uint32_t first = ++slot;
  for (uint32_t n_groups = read_u32(&t->reader); n_groups != 0; n_groups--) {
    uint32_t n = read_u32(&t->reader);
    add_locals(t, n, read_val_type(&t->reader), &slot);
  }
  t->top = t->max_top = slot;
  if (slot == first) return;
  uint32_t at = emit(t, I_ENTER, 16);
  put16(t, at + 8, first);
  put32(t, at + 12, (slot - first + 3) / 4);
}

static bool opens_block(Op op) {
  return op == OP_BLOCK || op == OP_LOOP || op == OP_IF || op == OP_TRY || op == OP_TRY_TABLE;
}

/* What may follow unreachable code in the same block. */
static bool ends_dead_code(Op op) {
  return op == OP_ELSE || op == OP_END || op == OP_CATCH || op == OP_CATCH_ALL || op == OP_DELEGATE;
}

/* Reads on to where the block whose rest cannot be reached goes on or ends. */
static void skip_dead(Translator *t, Instr *instr) {
  for (uint32_t depth = 0;;) {
    instr_read(&t->reader, instr);
    if (opens_block(instr->op)) {
      depth++;
    } else if (depth == 0 && ends_dead_code(instr->op)) {
      return;
    } else if (instr->op == OP_END || instr->op == OP_DELEGATE) {
      depth--;
    }
  }
}

static void translate_body(Translator *t) {
  Ctl func = {.kind = CTL_FUNC, .n_results = t->type->n_results, .base = t->top};
  VEC_PUSH(&t->arena, &t->ctls, func);
  t->is_live = true;
  while (t->ctls.n != 0) {
    Instr instr;
    if (t->is_live) {
      instr_read(&t->reader, &instr);
    } else {
      skip_dead(t, &instr);
    }
    t->offset = (uint32_t)(instr.at - t->reader.start);
    if (t->is_live) translate_block_cost(t, &instr);
    if (!translate_control(t, &instr)) translate_op(t, &instr);
  }
}

/* The result, in memory of its own. */
static Ops *finish(Translator *t) {
  size_t positions_size = t->positions.n * sizeof(Position);
  size_t catches_size = t->catches.n * sizeof(Catch);
  size_t size = sizeof(Ops) + t->n_bytes + positions_size + catches_size;
  Ops *ops = alloc_new(t->module->alloc, size);
  if (!ops) return NULL;
  ops->frame_bytes = ((uint64_t)t->max_top + FRAME_SLACK) * sizeof(Slot);
  ops->code = t->code;
  ops->n_bytes = t->n_bytes;
  ops->n_positions = t->positions.n;
  ops->n_catches = t->catches.n;
  ops->block_size = size;
  memcpy(ops->bytes, t->bytes, t->n_bytes);
  uint8_t *behind = ops->bytes + t->n_bytes;
  if (positions_size != 0) memcpy(behind, t->positions.items, positions_size);
  if (catches_size != 0) memcpy(behind + positions_size, t->catches.items, catches_size);
  return ops;
}

static Ops *translate(Translator *t) {
  if (!GUARD_TRY(&t->guard, &t->arena, &t->error)) return NULL;
  forget_accs(t);
  start_frame(t);
  translate_body(t);
  guard_leave(&t->guard);
  Ops *ops = finish(t);
  if (!ops) error_set(&t->error, ERROR_MEMORY, "out of memory");
  return ops;
}

/* The first thread to finish wins; the other's work is thrown away. */
static const Ops *publish(Code *code, unsigned variant, const Ops *stub, Ops *ops) {
  ModuleCode *owner = code->owner;
  const Ops *seen = stub;
  if (!atomic_compare_exchange_strong(&code->ops[variant], &seen, ops)) {
    alloc_free(owner->module->alloc, ops, ops->block_size);
    return seen;
  }
  atomic_fetch_add(&owner->n_prepared, 1);
  atomic_fetch_add(&owner->n_bytes, ops->block_size);
  return ops;
}

const Ops *interp_translate(Code *code, unsigned variant, Error *error) {
  const Ops *stub = code_ops(code, variant);
  Module *module = code->owner->module;
  const FuncDef *def = &module->funcs[code->index];
  Translator t = {
      .module = module,
      .code = code,
      .variant = variant,
      .def = def,
      .type = &module->types[def->type].comp,
      .reader = {.at = module->bytes + def->at,
                 .end = module->bytes + def->end,
                 .start = module->bytes,
                 .func = code->index},
      .fuel_at = NO_SLOT,
      .is_deterministic = module->is_deterministic,
  };
  if (stub->n_bytes != 0) return stub; /* another thread was faster */
  arena_init(&t.arena, module->alloc);
  Ops *ops = translate(&t);
  arena_clear(&t.arena);
  if (!ops) {
    *error = t.error;
    return NULL;
  }
  return publish(code, variant, stub, ops);
}
