/* translate_control.c - blocks, branches, calls, returns.
 *
 * A block's parameters and results lie in their homes at every label. Where the values of a branch
 * are not in place already, the branch goes around a few moves; a br_table's entries share them.
 */
#include "../module/fuel.h"
#include "emit.h"

static Ctl *ctl_at(Translator *t, uint32_t depth) {
  return &t->ctls.items[t->ctls.n - 1 - depth];
}
/* How many values a branch to it takes. */
static uint32_t label_arity(const Ctl *ctl) {
  return ctl->kind == CTL_LOOP ? ctl->n_params : ctl->n_results;
}

/* The code that follows is not reachable from here. Values that live on below are stored. */
static void stop(Translator *t) {
  settle_accs(t);
  forget_accs(t);
  emit_barrier(t);
  t->is_live = false;
  t->fuel_at = NO_SLOT;
}

/* Fuel: each block's instruction is emitted in front of its first cost. */
void translate_block_cost(Translator *t, const Instr *instr) {
  uint32_t cost = t->variant == VARIANT_FUEL ? fuel_cost(instr->op) : 0;
  if (cost == 0) return;
  if (t->fuel_at == NO_SLOT) {
    settle_accs(t);
    forget_accs(t);
    emit_position(t);
    t->fuel_at = emit(t, I_FUEL, 16);
  }
  put32(t, t->fuel_at + 12, load_u32(t->bytes + t->fuel_at + 12) + cost);
}
static void end_fuel_block(Translator *t) {
  t->fuel_at = NO_SLOT;
}

/* Conditions */

typedef struct Cond {
  enum { COND_NZ, COND_REF, COND_COMPARE, COND_CAST } kind;
  bool is_negated;
  Opnd a, b;
  Op op;
  ValType type;
} Cond;

/* Pops a condition; a comparison made by the last instruction becomes part of it. */
static Cond pop_condition(Translator *t) {
  Val val = pop(t);
  Last last = t->last;
  bool is_fused = last.is_fusable && last.end == t->n_bytes && last.home == val.home &&
                  val.where == IN_SLOT && t->acc[CLASS_I].is_dirty &&
                  t->acc[CLASS_I].slot == val.slot && compare_form(last.op)->branch != 0;
  if (!is_fused) return (Cond){.kind = COND_NZ, .a = operand(t, &val, false, true)};
  emit_take_back(t);
  bool is_test = last.op == OP_I32_EQ && last.b.kind == OPND_IMM && last.b.bits == 0;
  if (is_test) return (Cond){.kind = COND_NZ, .is_negated = !last.is_negated, .a = last.a};
  return (Cond){
      .kind = COND_COMPARE, .is_negated = last.is_negated, .a = last.a, .b = last.b, .op = last.op};
}

static uint32_t emit_test(Translator *t, Opnd a, bool wanted, bool is_back) {
  unsigned iop =
      a.kind == OPND_ACC ? (wanted ? I_BR_NZ_A : I_BR_Z_A) : (wanted ? I_BR_NZ_S : I_BR_Z_S);
  uint32_t at = emit(t, iop + is_back, 16);
  if (a.kind == OPND_SLOT) put16(t, at + 8, a.slot);
  return at + 12;
}

static uint32_t emit_compare_branch(Translator *t, const Cond *cond, bool wanted, bool is_back) {
  Op op = cond->op;
  const CompareForm *form = compare_form(op);
  unsigned base = form->branch;
  if (!wanted) {
    base = form->negated == OP_INVALID ? form->branch_negated : compare_form(form->negated)->branch;
  }
  unsigned variant = cond->b.kind == OPND_IMM ? (cond->a.kind == OPND_ACC ? CMP_AI : CMP_SI)
                                              : (cond->a.kind == OPND_ACC ? CMP_AS : CMP_SS);
  uint32_t at = emit(t, base + variant * 2 + is_back, cond->b.kind == OPND_IMM ? 24 : 16);
  uint32_t next = at + 8;
  if (cond->a.kind == OPND_SLOT) put16(t, next, cond->a.slot), next += 2;
  if (cond->b.kind == OPND_SLOT) put16(t, next, cond->b.slot);
  if (cond->b.kind == OPND_IMM) put64(t, at + 16, cond->b.bits);
  return at + 12;
}

static uint32_t emit_cast_branch(Translator *t, const Cond *cond, bool wanted) {
  const Type *object = translate_object_type(t, cond->type);
  uint32_t at;
  if (object) {
    at = emit(t, wanted ? I_BR_ON_CAST_OBJECT : I_BR_ON_CAST_OBJECT_FAIL, 24);
    put16(t, at + 10, type_is_nullable(cond->type));
    put_pointer(t, at + 16, object);
  } else {
    at = emit(t, wanted ? I_BR_ON_CAST : I_BR_ON_CAST_FAIL, 24);
    put32(t, at + 16, type_canonical(cond->type, t->module->type_ids));
  }
  put16(t, at + 8, cond->a.slot);
  return at + 12;
}

/* A branch taken when the condition is as wanted; returns the field of its distance. */
static uint32_t emit_branch(Translator *t, const Cond *cond, bool wanted, bool is_back) {
  wanted ^= cond->is_negated;
  switch (cond->kind) {
    case COND_NZ: return emit_test(t, cond->a, wanted, is_back);
    case COND_COMPARE: return emit_compare_branch(t, cond, wanted, is_back);
    case COND_REF: {
      uint32_t at = emit(t, (wanted ? I_BR_NZ64_S : I_BR_Z64_S) + (unsigned)is_back, 16);
      put16(t, at + 8, cond->a.slot);
      return at + 12;
    }
    default: return emit_cast_branch(t, cond, wanted);
  }
}

/* Branches */

/* Lets a distance lead to a block's label. */
static void aim(Translator *t, uint32_t field, Ctl *ctl) {
  if (ctl->kind == CTL_LOOP) {
    put_distance(t, field, ctl->loop_at);
  } else {
    ctl->has_label = true;
    fixup_add(t, &ctl->fixups, field);
  }
}
static void emit_jump(Translator *t, Ctl *ctl) {
  aim(t, emit(t, ctl->kind == CTL_LOOP ? I_BR_B : I_BR, 16) + 12, ctl);
}

/* Returns the newest values; changes nothing in the state, as other code may follow. */
static void emit_return(Translator *t) {
  static const uint16_t by_slot[] = {I_RET_I_S, I_RET_F_S, I_RET_D_S};
  static const uint16_t by_acc[] = {I_RET_I_A, I_RET_F_A, I_RET_D_A};
  uint32_t n = t->type->n_results, return_slot = t->code->n_param_slots;
  const Val *first = n != 0 ? &t->stack.items[t->stack.n - n] : NULL;
  if (n == 0) {
    put16(t, emit(t, I_RET0, 16) + 8, return_slot);
  } else if (n == 1 && first->class != CLASS_V) {
    ValClass class = first->class;
    bool has_acc = first->where != IN_CONST && t->acc[class].slot == first->slot;
    if (first->where == IN_CONST) copy_top(t, 1, first->home);
    uint32_t at = emit(t, has_acc ? by_acc[class] : by_slot[class], 16);
    put16(t, at + 8, return_slot);
    put16(t, at + 10, first->where == IN_CONST ? first->home : first->slot);
  } else {
    uint32_t home = first->home, n_slots = t->top - home;
    copy_top(t, n, home);
    uint32_t at = emit(t, I_RET_N, 16);
    put16(t, at + 8, return_slot);
    put16(t, at + 10, home);
    put32(t, at + 12, n_slots);
  }
}

/* Can a branch go to the label directly, or does something have to be done on the way? */
static bool is_direct(const Translator *t, const Ctl *ctl) {
  return ctl->kind != CTL_FUNC && top_is_at(t, label_arity(ctl), ctl->base);
}
/* What has to be done on the way, and the jump. */
static void leave_to(Translator *t, Ctl *ctl) {
  if (ctl->kind == CTL_FUNC) {
    emit_return(t);
  } else {
    copy_top(t, label_arity(ctl), ctl->base);
    emit_jump(t, ctl);
  }
}

static void br(Translator *t, uint32_t depth) {
  leave_to(t, ctl_at(t, depth));
  stop(t);
}

static void branch_if(Translator *t, const Cond *cond, bool wanted, uint32_t depth) {
  Ctl *ctl = ctl_at(t, depth);
  if (label_arity(ctl) != 0) settle_accs(t);
  if (is_direct(t, ctl)) {
    aim(t, emit_branch(t, cond, wanted, ctl->kind == CTL_LOOP), ctl);
  } else {
    uint32_t around = 0;
    fixup_add(t, &around, emit_branch(t, cond, !wanted, false));
    leave_to(t, ctl);
    fixup_bind(t, &around);
  }
  end_fuel_block(t);
}

static void br_if(Translator *t, uint32_t depth) {
  Cond cond = pop_condition(t);
  branch_if(t, &cond, true, depth);
}

/* The reference tested stays on the stack while the branch is made, as its value or as one of the
 * label's. */
static Cond reference_condition(Translator *t, bool is_kept) {
  Val *val = &t->stack.items[t->stack.n - 1];
  settle_accs(t);
  if (val->where == IN_CONST || is_kept) settle_top(t, 1);
  val = &t->stack.items[t->stack.n - 1];
  return (Cond){.kind = COND_REF, .a = {OPND_SLOT, val->slot, 0}};
}

static void br_on_null(Translator *t, uint32_t depth) {
  Cond cond = reference_condition(t, true);
  Val val = pop(t);
  branch_if(t, &cond, false, depth);
  push_slot(t, val.class);
}

static void br_on_non_null(Translator *t, uint32_t depth) {
  Cond cond = reference_condition(t, false);
  branch_if(t, &cond, true, depth);
  Val val = pop(t);
  drop_acc(t, &val);
}

static void br_on_cast(Translator *t, const Instr *instr) {
  Cond cond = reference_condition(t, false);
  cond.kind = COND_CAST;
  cond.type = instr->type2;
  branch_if(t, &cond, instr->op == OP_BR_ON_CAST, instr->index);
}

/* One entry of a br_table. Labels that cannot be reached directly are chained to get one piece of
 * code each behind the table. */
static void table_entry(Translator *t, uint32_t field, uint32_t depth, uint32_t *stubs) {
  Ctl *ctl = ctl_at(t, depth);
  if (is_direct(t, ctl)) {
    aim(t, field, ctl);
    return;
  }
  if (ctl->stub_fixups == 0) {
    ctl->next_stub = *stubs;
    *stubs = t->ctls.n - depth; /* the ctl's index, plus one */
  }
  fixup_add(t, &ctl->stub_fixups, field);
}

static void br_table(Translator *t, const Instr *instr) {
  Val val = pop(t);
  Opnd index = operand(t, &val, false, true);
  settle_accs(t);
  uint32_t n = instr->labels.count, stubs = 0;
  if (n >= (1u << 27)) emit_fail(t, "br_table too large to interpret");
  uint32_t at = emit(t, index.kind == OPND_ACC ? I_BR_TABLE_A : I_BR_TABLE_S,
                     16 + (uint32_t)align_up(4 * ((uint64_t)n + 1), 8));
  if (index.kind == OPND_SLOT) put16(t, at + 8, index.slot);
  put32(t, at + 12, n);
  Reader labels = t->reader;
  labels.at = instr->labels.bytes;
  for (uint32_t i = 0; i < n; i++) table_entry(t, at + 16 + 4 * i, read_u32(&labels), &stubs);
  table_entry(t, at + 16 + 4 * n, instr->default_label, &stubs);
  while (stubs != 0) {
    Ctl *ctl = &t->ctls.items[stubs - 1];
    stubs = ctl->next_stub;
    fixup_bind(t, &ctl->stub_fixups);
    leave_to(t, ctl);
  }
  stop(t);
}

/* Blocks */

static void push_ctl(Translator *t, unsigned kind, const BlockType *type) {
  Ctl ctl = {.kind = (uint8_t)kind};
  if (type->kind == BLOCK_RESULT) {
    ctl.n_results = 1;
    ctl.result = type->result;
  } else if (type->kind == BLOCK_INDEX) {
    const CompType *comp = &t->module->types[type->index].comp;
    ctl.n_params = comp->n_params;
    ctl.n_results = comp->n_results;
    ctl.types = comp->types;
  }
  ctl.height = t->stack.n - ctl.n_params;
  ctl.base = ctl.n_params != 0 ? t->stack.items[ctl.height].home : t->top;
  VEC_PUSH(&t->arena, &t->ctls, ctl);
}

/* The stack at a label: what was below the block, then values in their homes. */
static void stack_at_label(Translator *t, const Ctl *ctl, uint32_t first, uint32_t n) {
  while (t->stack.n > ctl->height) pop(t);
  forget_accs(t);
  for (uint32_t i = 0; i < n; i++)
    push_slot(t, class_of(ctl->types ? ctl->types[first + i] : ctl->result));
}

static void block(Translator *t, const Instr *instr) {
  settle_locals(t);
  push_ctl(t, CTL_BLOCK, &instr->block);
}

static void loop(Translator *t, const Instr *instr) {
  push_ctl(t, CTL_LOOP, &instr->block);
  settle_top(t, ctl_at(t, 0)->n_params);
  settle_locals(t);
  forget_accs(t);
  emit_barrier(t);
  ctl_at(t, 0)->loop_at = t->n_bytes;
  end_fuel_block(t);
}

static void if_(Translator *t, const Instr *instr) {
  Cond cond = pop_condition(t);
  push_ctl(t, CTL_IF, &instr->block);
  settle_top(t, ctl_at(t, 0)->n_params);
  settle_locals(t);
  fixup_add(t, &ctl_at(t, 0)->else_fixup, emit_branch(t, &cond, false, false));
  end_fuel_block(t);
}

static void else_(Translator *t) {
  Ctl *ctl = ctl_at(t, 0);
  if (t->is_live) {
    settle_top(t, ctl->n_results);
    emit_jump(t, ctl);
    stop(t);
  }
  fixup_bind(t, &ctl->else_fixup);
  stack_at_label(t, ctl, 0, ctl->n_params);
  ctl->kind = CTL_ELSE;
  t->is_live = true;
  end_fuel_block(t);
}

/* Callees, which throw uses too */

typedef struct Callee {
  uint32_t n_params, n_results;
  const ValType *types;
  uint32_t n_param_slots;
} Callee;

static Callee callee_of(const Translator *t, uint32_t type) {
  const CompType *comp = &t->module->types[type].comp;
  Callee callee = {comp->n_params, comp->n_results, comp->types, 0};
  for (uint32_t i = 0; i < comp->n_params; i++) callee.n_param_slots += type_slots(comp->types[i]);
  return callee;
}

/* Puts the arguments where the callee finds them; they are popped. Returns their first slot. */
static uint32_t pass_arguments(Translator *t, const Callee *callee) {
  settle_top(t, callee->n_params);
  for (uint32_t i = 0; i < callee->n_params; i++) pop(t);
  return t->top;
}

/* Exceptions. Clauses cost nothing until something is thrown: they are found by the place of the
 * code, and their values are written to where the label expects them. */

/* Catches that lead to the block's end lead here. */
static void bind_catches(Translator *t, Ctl *ctl) {
  while (ctl->catches != 0) {
    Catch *clause = &t->catches.items[ctl->catches - 1];
    ctl->catches = clause->target;
    clause->target = t->n_bytes;
  }
}

static void add_catch(Translator *t, Catch clause, Ctl *to) {
  if (to->base > UINT16_MAX) emit_fail(t, "function with a frame too large to interpret");
  clause.slot = (uint16_t)to->base;
  if (to->kind == CTL_LOOP) {
    clause.target = to->loop_at;
  } else {
    clause.target = to->catches;
    to->catches = t->catches.n + 1;
    to->has_label = true;
  }
  VEC_PUSH(&t->arena, &t->catches, clause);
}

/* At the end of a try_table: its labels count from the block around it. */
static void add_clauses(Translator *t, const Ctl *ctl) {
  static const uint8_t whats[] = {[CATCH] = CATCHES_VALUES,
                                  [CATCH_REF] = CATCHES_VALUES | CATCHES_REF,
                                  [CATCH_ALL] = CATCHES_ALL,
                                  [CATCH_ALL_REF] = CATCHES_ALL | CATCHES_REF};
  Reader reader = t->reader;
  reader.at = ctl->clauses;
  for (uint32_t i = 0; i < ctl->n_clauses; i++) {
    uint8_t kind = read_byte(&reader);
    uint32_t tag = kind == CATCH || kind == CATCH_REF ? read_u32(&reader) : 0;
    Ctl *to = ctl_at(t, read_u32(&reader) + 1);
    add_catch(t,
              (Catch){.from = ctl->try_from,
                      .end = t->n_bytes,
                      .tag = tag,
                      .own_level = t->ctls.n - 1,
                      .what = whats[kind]},
              to);
  }
}

static void start_try(Translator *t, unsigned kind, const Instr *instr) {
  settle_locals(t);
  push_ctl(t, kind, &instr->block);
  emit_barrier(t);
  Ctl *ctl = ctl_at(t, 0);
  ctl->try_from = t->n_bytes;
  if (kind == CTL_TRY_TABLE) {
    ctl->clauses = instr->labels.bytes;
    ctl->n_clauses = instr->labels.count;
  }
}

static void throw_(Translator *t, uint32_t tag) {
  Callee callee = callee_of(t, t->module->tags[tag]);
  uint32_t first = pass_arguments(t, &callee);
  settle_accs(t);
  emit_position(t);
  uint32_t at = emit(t, I_THROW, 24);
  put16(t, at + 10, first);
  put32(t, at + 12, tag);
  put_pointer(t, at + 16, t->code);
  stop(t);
}

static void throw_slot(Translator *t, uint32_t slot) {
  emit_position(t);
  uint32_t at = emit(t, I_THROW_REF, 24);
  put16(t, at + 10, slot);
  put_pointer(t, at + 16, t->code);
  stop(t);
}

/* Legacy. While a catch runs, the exception lies in a hidden slot below its values: the first slot
 * of the block, where rethrow finds it and results overwrite it in the end. */

/* The end of the guarded code or of the catch before. */
static void end_part(Translator *t, Ctl *ctl) {
  if (ctl->kind == CTL_TRY) ctl->try_end = t->n_bytes;
  if (!t->is_live) return;
  copy_top(t, ctl->n_results, ctl->base);
  emit_jump(t, ctl);
  stop(t);
}

static void legacy_catch(Translator *t, const Instr *instr) {
  Ctl *ctl = ctl_at(t, 0);
  bool is_all = instr->op == OP_CATCH_ALL;
  end_part(t, ctl);
  stack_at_label(t, ctl, 0, 0);
  ctl->kind = CTL_CATCH;
  ctl->has_label = true;
  emit_barrier(t);
  if (ctl->base > UINT16_MAX) emit_fail(t, "function with a frame too large to interpret");
  Catch clause = {.from = ctl->try_from,
                  .end = ctl->try_end,
                  .target = t->n_bytes,
                  .tag = is_all ? 0 : instr->index,
                  .own_level = t->ctls.n - 1,
                  .slot = (uint16_t)ctl->base,
                  .what = (uint8_t)(CATCHES_FIRST | (is_all ? CATCHES_ALL : CATCHES_VALUES))};
  VEC_PUSH(&t->arena, &t->catches, clause);
  push_slot(t, CLASS_I);
  if (!is_all) {
    const CompType *tag = &t->module->types[t->module->tags[instr->index]].comp;
    for (uint32_t i = 0; i < tag->n_params; i++) push_slot(t, class_of(tag->types[i]));
  }
  t->is_live = true;
  end_fuel_block(t);
}

static void delegate(Translator *t, const Instr *instr) {
  const Ctl *ctl = ctl_at(t, 0);
  uint32_t own_level = t->ctls.n - 1;
  Catch clause = {.from = ctl->try_from,
                  .end = t->n_bytes,
                  .own_level = own_level,
                  .level = own_level - 1 - instr->index,
                  .what = CATCHES_NOTHING};
  VEC_PUSH(&t->arena, &t->catches, clause);
}

static void end_func(Translator *t, Ctl *ctl) {
  if (t->is_live) emit_return(t);
  settle_accs(t);
  if (ctl->catches != 0) {
    bind_catches(t, ctl);
    stack_at_label(t, ctl, 0, 0);
    for (uint32_t i = 0; i < t->type->n_results; i++) {
      push_slot(t, class_of(t->type->types[t->type->n_params + i]));
    }
    emit_barrier(t);
    emit_return(t);
  }
  t->ctls.n--;
}

static void end(Translator *t) {
  Ctl *ctl = ctl_at(t, 0);
  if (ctl->kind == CTL_FUNC) {
    end_func(t, ctl);
    return;
  }
  if (ctl->kind == CTL_TRY_TABLE) add_clauses(t, ctl);
  if (ctl->kind == CTL_CATCH && t->is_live) copy_top(t, ctl->n_results, ctl->base);
  if (ctl->kind == CTL_IF) ctl->has_label = true;
  if (ctl->has_label) {
    if (t->is_live && ctl->kind != CTL_CATCH) settle_top(t, ctl->n_results);
    settle_accs(t);
    bind_catches(t, ctl);
    fixup_bind(t, &ctl->fixups);
    fixup_bind(t, &ctl->else_fixup);
    stack_at_label(t, ctl, ctl->n_params, ctl->n_results);
    t->is_live = true;
  } else if (!t->is_live) {
    stack_at_label(t, ctl, ctl->n_params, ctl->n_results);
  }
  if (ctl->kind != CTL_LOOP) end_fuel_block(t);
  t->ctls.n--;
}

/* Calls */

static void put_call_tail(Translator *t, uint32_t end_at, const Callee *callee, uint32_t offset) {
  put_pointer(t, end_at - 16, t->code);
  put16(t, end_at - 4, offset + callee->n_param_slots);
  put16(t, end_at - 2, offset);
}

/* A single scalar result is in its accumulator too. */
static void push_results(Translator *t, const Callee *callee) {
  forget_accs(t);
  const ValType *results = callee->types + callee->n_params;
  if (callee->n_results == 1 && class_of(results[0]) != CLASS_V)
    t->acc[class_of(results[0])] = (Acc){.slot = t->top};
  for (uint32_t i = 0; i < callee->n_results; i++) push_slot(t, class_of(results[i]));
}

static Code *local_code(const Translator *t, uint32_t func) {
  return &t->code->owner->codes[func - t->module->n_imported_funcs];
}

static void call(Translator *t, uint32_t func) {
  Callee callee = callee_of(t, t->module->funcs[func].type);
  uint32_t offset = pass_arguments(t, &callee);
  bool is_import = func < t->module->n_imported_funcs;
  emit_position(t);
  uint32_t at = emit(t,
                     is_import                    ? I_CALL_IMPORT
                     : t->variant == VARIANT_FUEL ? I_CALL_FUEL
                                                  : I_CALL,
                     32);
  if (is_import) {
    put32(t, at + 8, func);
  } else {
    put_pointer(t, at + 8, local_code(t, func));
  }
  put_call_tail(t, at + 32, &callee, offset);
  push_results(t, &callee);
}

static void call_indirect(Translator *t, const Instr *instr) {
  Callee callee = callee_of(t, instr->index);
  Val val = pop(t);
  bool is_64 = t->module->tables[instr->index2].type.limits.is_64;
  Opnd index = operand(t, &val, false, !is_64);
  uint32_t offset = pass_arguments(t, &callee);
  emit_position(t);
  uint32_t at = emit(t,
                     index.kind == OPND_ACC ? I_CALL_INDIRECT_A
                     : is_64                ? I_CALL_INDIRECT_64
                                            : I_CALL_INDIRECT_S,
                     40);
  if (index.kind == OPND_SLOT) put16(t, at + 8, index.slot);
  put32(t, at + 12, instr->index2);
  put_pointer(t, at + 16, type_of_id(t->module->type_ids[instr->index]));
  put_call_tail(t, at + 40, &callee, offset);
  push_results(t, &callee);
}

static void call_ref(Translator *t, const Instr *instr) {
  Callee callee = callee_of(t, instr->index);
  uint32_t slot = pop_slot(t);
  uint32_t offset = pass_arguments(t, &callee);
  emit_position(t);
  uint32_t at = emit(t, I_CALL_REF, 32);
  put16(t, at + 8, slot);
  put_call_tail(t, at + 32, &callee, offset);
  push_results(t, &callee);
}

static uint32_t emit_tail_call(Translator *t, unsigned iop, const Callee *callee, uint32_t size) {
  uint32_t args = pass_arguments(t, callee);
  emit_position(t);
  uint32_t at = emit(t, iop, size);
  put16(t, at + 8, args);
  put16(t, at + 10, callee->n_param_slots);
  put16(t, at + 12, t->code->n_param_slots);
  put16(t, at + 14, callee->n_param_slots);
  return at;
}

static void tail_call(Translator *t, const Instr *instr) {
  bool is_direct_call = instr->op == OP_RETURN_CALL;
  uint32_t type = is_direct_call ? t->module->funcs[instr->index].type : instr->index;
  Callee callee = callee_of(t, type);
  if (is_direct_call) {
    bool is_import = instr->index < t->module->n_imported_funcs;
    uint32_t at = emit_tail_call(t, is_import ? I_TAIL_CALL_IMPORT : I_TAIL_CALL, &callee, 24);
    if (is_import) {
      put32(t, at + 16, instr->index);
    } else {
      put_pointer(t, at + 16, local_code(t, instr->index));
    }
  } else {
    uint32_t slot = pop_slot(t);
    bool is_ref = instr->op == OP_RETURN_CALL_REF;
    uint32_t at = emit_tail_call(t, is_ref ? I_TAIL_CALL_REF : I_TAIL_CALL_INDIRECT, &callee, 32);
    if (is_ref) {
      put16(t, at + 16, slot);
    } else {
      bool is_64 = t->module->tables[instr->index2].type.limits.is_64;
      put_pointer(t, at + 16, type_of_id(t->module->type_ids[instr->index]));
      put32(t, at + 24, instr->index2 | (is_64 ? 1u << 31 : 0));
      put16(t, at + 28, slot);
    }
  }
  stop(t);
}

bool translate_control(Translator *t, const Instr *instr) {
  switch (instr->op) {
    case OP_UNREACHABLE:
      emit_position(t);
      emit(t, I_UNREACHABLE, 16);
      stop(t);
      return true;
    case OP_BLOCK: block(t, instr); return true;
    case OP_LOOP: loop(t, instr); return true;
    case OP_IF: if_(t, instr); return true;
    case OP_ELSE: else_(t); return true;
    case OP_END: end(t); return true;
    case OP_TRY_TABLE: start_try(t, CTL_TRY_TABLE, instr); return true;
    case OP_TRY: start_try(t, CTL_TRY, instr); return true;
    case OP_CATCH:
    case OP_CATCH_ALL: legacy_catch(t, instr); return true;
    case OP_DELEGATE:
      delegate(t, instr);
      end(t);
      return true;
    case OP_THROW: throw_(t, instr->index); return true;
    case OP_RETHROW: throw_slot(t, ctl_at(t, instr->index)->base); return true;
    case OP_THROW_REF: throw_slot(t, pop_slot(t)); return true;
    case OP_BR: br(t, instr->index); return true;
    case OP_BR_IF: br_if(t, instr->index); return true;
    case OP_BR_TABLE: br_table(t, instr); return true;
    case OP_BR_ON_NULL: br_on_null(t, instr->index); return true;
    case OP_BR_ON_NON_NULL: br_on_non_null(t, instr->index); return true;
    case OP_BR_ON_CAST:
    case OP_BR_ON_CAST_FAIL: br_on_cast(t, instr); return true;
    case OP_RETURN: br(t, t->ctls.n - 1); return true;
    case OP_CALL: call(t, instr->index); return true;
    case OP_CALL_INDIRECT: call_indirect(t, instr); return true;
    case OP_CALL_REF: call_ref(t, instr); return true;
    case OP_RETURN_CALL:
    case OP_RETURN_CALL_INDIRECT:
    case OP_RETURN_CALL_REF: tail_call(t, instr); return true;
    default: return false;
  }
}
