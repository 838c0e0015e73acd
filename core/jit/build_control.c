/* build_control.c - blocks, branches, calls, returns.
 */
#include "builder.h"

/* Ends of blocks */

static void end_block(Builder *b, uint32_t n_succs, const Block *succs) {
  BlockInfo *info = BLOCK_OF(b->ir, b->now);
  info->succs = arena_copy(b->arena, succs, n_succs * sizeof *succs);
  info->n_succs = n_succs;
  b->now = 0;
}

/* To a place that keeps no edges of its own. */
static void add_pred(Builder *b, Block to) {
  ir_add_pred(b->ir, to, b->now);
}

/* Ends the block with a jump whose edge is known to the place it goes to. */
void build_end_with_goto(Builder *b, Block to) {
  build_effect(b, IR_GOTO, KIND_BOTTOM);
  end_block(b, 1, &to);
}

void build_goto(Builder *b, Block to) {
  add_pred(b, to);
  build_end_with_goto(b, to);
}

/* The same for a branch. */
static void end_with_branch(Builder *b, Ref condition, Block yes, Block no) {
  bool is_negated;
  condition = fold_condition(b->ir, condition, &is_negated);
  build_node(b, IR_BRANCH, KIND_BOTTOM)->a = condition;
  end_block(b, 2, is_negated ? (Block[]){no, yes} : (Block[]){yes, no});
}

void build_end_with_two(Builder *b, Block first, Block second) {
  add_pred(b, first);
  add_pred(b, second);
  end_block(b, 2, (Block[]){first, second});
}

void build_branch(Builder *b, Ref condition, Block yes, Block no) {
  add_pred(b, yes);
  add_pred(b, no);
  end_with_branch(b, condition, yes, no);
}

/* Is the condition known? */
static bool is_known(const Builder *b, Ref condition, bool *holds) {
  bool is_negated;
  uint64_t bits;
  condition = fold_condition(b->ir, condition, &is_negated);
  if (!fold_is_const(b->ir, condition, &bits)) return false;
  *holds = ((uint32_t)bits != 0) != is_negated;
  return true;
}

/* Labels */

static Block label_block(Builder *b, Ctl *ctl) {
  if (ctl->target == 0) ctl->target = ir_block(b->ir);
  return ctl->target;
}

static void add_label_edge(Builder *b, Ctl *ctl, Block target) {
  Edges *edges = ctl->kind == CTL_LOOP ? &b->loops.items[ctl->loop].edges : &ctl->edges;
  build_add_edge(b, ctl, edges, target, label_arity(ctl));
}

static void emit_return(Builder *b) {
  uint32_t n = b->ir->type->n_results;
  Node *node = build_node(b, IR_RETURN, KIND_BOTTOM);
  node->n_args = n;
  node->args = arena_copy(b->arena, b->stack.items + b->stack.n - n, n * sizeof(Ref));
  b->now = 0;
}

void build_jump(Builder *b, uint32_t depth) {
  Ctl *ctl = ctl_at(b, depth);
  if (ctl->kind == CTL_FUNC) {
    emit_return(b);
    return;
  }
  Block target = label_block(b, ctl);
  add_label_edge(b, ctl, target);
  build_end_with_goto(b, target);
}

/* A block that returns the values on the stack. */
static Block return_block(Builder *b) {
  Block from = b->now, block = b->now = ir_block(b->ir);
  emit_return(b);
  b->now = from;
  return block;
}

/* The place that a branch to a label goes to, its edge added. */
static Block branch_target(Builder *b, Ctl *ctl) {
  if (ctl->kind == CTL_FUNC) {
    Block block = return_block(b);
    add_pred(b, block);
    return block;
  }
  Block target = label_block(b, ctl);
  add_label_edge(b, ctl, target);
  return target;
}

void build_jump_if(Builder *b, Ref condition, uint32_t depth) {
  bool holds;
  if (is_known(b, condition, &holds)) {
    if (holds) build_jump(b, depth);
    return;
  }
  Block target = branch_target(b, ctl_at(b, depth)), next = ir_block(b->ir);
  add_pred(b, next);
  end_with_branch(b, condition, target, next);
  b->now = next;
}

static void end_fuel_block(Builder *b) {
  b->fuel = 0;
}

static void br_if(Builder *b, uint32_t depth) {
  Ref condition = pop(b);
  build_jump_if(b, condition, depth);
  end_fuel_block(b);
}

/* Each label gets one edge, however often the table names it. */
static void br_table(Builder *b, const Instr *instr) {
  Ref index = pop(b);
  uint32_t n = instr->labels.count + 1;
  uint64_t known;
  Reader labels = b->frame.reader;
  labels.at = instr->labels.bytes;
  if (fold_is_const(b->ir, index, &known)) {
    uint32_t depth = instr->default_label;
    for (uint32_t i = 0; i <= (uint32_t)known && i + 1 < n; i++) {
      uint32_t label = read_u32(&labels);
      if (i == (uint32_t)known) depth = label;
    }
    build_jump(b, depth);
    return;
  }
  Block *succs = arena_new(b->arena, n * sizeof *succs), returns = 0;
  bool has_one = true;
  b->n_visits++;
  for (uint32_t i = 0; i < n; i++) {
    Ctl *ctl = ctl_at(b, i + 1 < n ? read_u32(&labels) : instr->default_label);
    if (ctl->visit != b->n_visits) {
      ctl->visit = b->n_visits;
      succs[i] = branch_target(b, ctl);
      if (ctl->kind == CTL_FUNC) returns = succs[i];
    } else {
      succs[i] = ctl->kind == CTL_FUNC ? returns : ctl->target;
    }
    has_one &= succs[i] == succs[0];
  }
  if (has_one) {
    build_end_with_goto(b, succs[0]);
  } else if (n == 2) {
    end_with_branch(b, index, succs[1], succs[0]);
  } else {
    build_node(b, IR_SWITCH, KIND_BOTTOM)->a = index;
    end_block(b, n, succs);
  }
}

/* Constructs */

Ctl *build_push_ctl(Builder *b, unsigned kind, const BlockType *type) {
  Ctl ctl = {.kind = (uint8_t)kind,
             .set = b->frame.scan.sets[b->frame.next_set++],
             .first_local = b->frame.first_local,
             .outer_try = b->try_ctl};
  if (type->kind == BLOCK_RESULT) {
    ctl.n_results = 1;
    ctl.single = type->result;
  } else if (type->kind == BLOCK_INDEX) {
    const CompType *comp = &b->module->types[type->index].comp;
    ctl.n_params = comp->n_params;
    ctl.n_results = comp->n_results;
    ctl.types = comp->types;
  }
  ctl.height = b->stack.n - ctl.n_params;
  VEC_PUSH(b->arena, &b->ctls, ctl);
  return ctl_at(b, 0);
}

/* The parameters of a loop become phis; its locals become lazy. */
static void enter_loop(Builder *b, Ctl *ctl) {
  Block header = ir_block(b->ir);
  build_goto(b, header);
  b->now = ctl->target = header;
  ctl->loop = b->loops.n;
  for (uint32_t i = 0; i < ctl->n_params; i++) {
    Ref phi = ir_node(b->ir, IR_PHI, type_kind(ctl_type(ctl, i)));
    Node *node = NODE(b->ir, phi);
    Ref *value = &b->stack.items[ctl->height + i];
    node->block = header;
    node->a = *value; /* until the number of arguments is known */
    *value = phi;
    VEC_PUSH(b->arena, &BLOCK_OF(b->ir, header)->phis, phi);
  }
  Loop loop = {.header = header, .first_lazy = b->lazies.n, .n_lazies = ctl->set.n};
  VEC_PUSH(b->arena, &b->loops, loop);
  for (uint32_t i = 0; i < ctl->set.n; i++) {
    uint32_t local = ctl->first_local + ctl->set.locals[i];
    Lazy lazy = {ctl->loop, local, b->locals.items[local], 0};
    b->locals.items[local] = LAZY | b->lazies.n;
    VEC_PUSH(b->arena, &b->lazies, lazy);
  }
  build_effect(b, IR_POLL, KIND_BOTTOM);
}

static void loop(Builder *b, const Instr *instr) {
  enter_loop(b, build_push_ctl(b, CTL_LOOP, &instr->block));
  end_fuel_block(b);
}

Ref *build_save_set(Builder *b, const Ctl *ctl) {
  Ref *values = arena_new(b->arena, (ctl->set.n + ctl->n_params) * sizeof *values);
  for (uint32_t i = 0; i < ctl->set.n; i++)
    values[i] = b->locals.items[ctl->first_local + ctl->set.locals[i]];
  return values;
}

void build_restore_set(Builder *b, const Ctl *ctl, const Ref *values) {
  for (uint32_t i = 0; i < ctl->set.n && values; i++)
    b->locals.items[ctl->first_local + ctl->set.locals[i]] = values[i];
}

/* What else has to restore: the locals set in the construct, and its parameters. */
static Ref *save_values(Builder *b, const Ctl *ctl) {
  Ref *values = build_save_set(b, ctl);
  for (uint32_t i = 0; i < ctl->n_params; i++)
    values[ctl->set.n + i] = b->stack.items[ctl->height + i];
  return values;
}

static void restore_values(Builder *b, const Ctl *ctl, const Ref *values) {
  build_restore_set(b, ctl, values);
  b->stack.n = ctl->height;
  for (uint32_t i = 0; i < ctl->n_params; i++) push(b, values[ctl->set.n + i]);
}

static void if_(Builder *b, const Instr *instr) {
  Ref condition = pop(b);
  Ctl *ctl = build_push_ctl(b, CTL_IF, &instr->block);
  bool holds;
  ctl->entry_values = save_values(b, ctl);
  if (is_known(b, condition, &holds)) {
    if (!holds) {
      ctl->else_block = b->now;
      b->now = 0;
    }
  } else {
    Block then_block = ir_block(b->ir), else_block = ir_block(b->ir);
    build_branch(b, condition, then_block, else_block);
    ctl->else_block = else_block;
    b->now = then_block;
  }
  end_fuel_block(b);
}

/* From the then part, if it is live, to the label; then the else part, if that can be reached. */
static void start_else(Builder *b) {
  Ctl *ctl = ctl_at(b, 0);
  if (b->now != 0) build_jump(b, 0);
  restore_values(b, ctl, ctl->entry_values);
  b->now = ctl->else_block;
  ctl->kind = CTL_ELSE;
  end_fuel_block(b);
}

/* A label that nothing branches to needs no block. */
void build_close_label(Builder *b) {
  Ctl *ctl = ctl_at(b, 0);
  if (ctl->edges.n == 0) {
    if (b->now == 0) b->stack.n = ctl->height;
    return;
  }
  if (b->now != 0) build_jump(b, 0);
  build_merge(b, ctl, &ctl->edges, ctl->target, ctl->n_results);
}

/* A loop that nothing branches to is a block. */
static void end_loop(Builder *b) {
  Ctl *ctl = ctl_at(b, 0);
  Refs *effects = &BLOCK_OF(b->ir, ctl->target)->effects;
  if (b->loops.items[ctl->loop].edges.n == 0) { /* no need to poll */
    NODE(b->ir, effects->items[0])->op = IR_NOP;
    memmove(effects->items, effects->items + 1, --effects->n * sizeof *effects->items);
  }
  build_close_loop(b, ctl);
}

static void end_function(Builder *b) {
  if (b->now != 0) emit_return(b);
  b->ctls.n--;
}

static void end(Builder *b) {
  Ctl *ctl = ctl_at(b, 0);
  switch (ctl->kind) {
    case CTL_FUNC: end_function(b); return;
    case CTL_LOOP:
      end_loop(b);
      b->ctls.n--;
      return;
    case CTL_IF: start_else(b); break;
    case CTL_TRY:
    case CTL_CATCH: build_catch_edges(b); break;
    default: break;
  }
  build_close_label(b);
  b->ctls.n--;
  end_fuel_block(b);
  if (ctl->kind == CTL_INLINED) build_leave(b);
}

/* Calls */

static void pop_args(Builder *b, Node *node, uint32_t n) {
  b->stack.n -= n;
  node->n_args = n;
  node->args = arena_copy(b->arena, b->stack.items + b->stack.n, n * sizeof(Ref));
}

static void emit_call(Builder *b, unsigned op, const CompType *type, Ref a, uint64_t imm) {
  const ValType *results = type->types + type->n_params;
  unsigned kind = type->n_results == 1 ? type_kind(results[0]) : KIND_BOTTOM;
  Ref call = build_effect(b, op, kind);
  Node *node = NODE(b->ir, call);
  node->a = a;
  node->imm = imm;
  pop_args(b, node, type->n_params);
  if (type->n_results == 1) push(b, call);
  for (uint32_t i = 0; type->n_results > 1 && i < type->n_results; i++) {
    Ref result = build_effect(b, IR_RESULT, type_kind(results[i]));
    NODE(b->ir, result)->a = call;
    NODE(b->ir, result)->imm = i;
    push(b, result);
  }
  build_call_edge(b, call);
}

static uint64_t table_and_type(const Instr *instr) {
  return instr->index | (uint64_t)instr->index2 << 32;
}

static void call(Builder *b, const Instr *instr) {
  if (build_can_inline(b, instr->index)) {
    build_enter(b, instr->index);
  } else {
    emit_call(b, IR_CALL, module_func_type(b->module, instr->index), 0, instr->index);
  }
}

static void call_indirect(Builder *b, const Instr *instr) {
  Ref index = pop(b);
  emit_call(b, IR_CALL_INDIRECT, &b->module->types[instr->index].comp, index,
            table_and_type(instr));
}

static void call_ref(Builder *b, const Instr *instr) {
  Ref callee = pop(b);
  const CompType *type = &b->module->types[instr->index].comp;
  const Node *node = NODE(b->ir, callee);
  if (node->op == IR_FUNC_REF) {
    emit_call(b, IR_CALL, type, 0, node->imm);
  } else {
    emit_call(b, IR_CALL_REF, type, callee, instr->index);
  }
}

static void tail_call(Builder *b, const Instr *instr) {
  bool is_direct = instr->op == OP_RETURN_CALL, is_ref = instr->op == OP_RETURN_CALL_REF;
  Ref a = is_direct ? 0 : pop(b);
  Node *node = build_node(b,
                          is_direct ? IR_TAIL_CALL
                          : is_ref  ? IR_TAIL_REF
                                    : IR_TAIL_INDIRECT,
                          KIND_BOTTOM);
  const CompType *type =
      is_direct ? module_func_type(b->module, instr->index) : &b->module->types[instr->index].comp;
  node->a = a;
  node->imm = is_direct || is_ref ? instr->index : table_and_type(instr);
  pop_args(b, node, type->n_params);
  b->now = 0;
}

/* Branches on references */

static Ref is_null(Builder *b, Ref ref) {
  return fold_unary(b->ir, OP_I64_EQZ, ref);
}
static Ref is_not_null(Builder *b, Ref ref) {
  return fold_binary(b->ir, OP_I64_NE, ref, fold_const(b->ir, KIND_REF, 0));
}

static void br_on_null(Builder *b, uint32_t depth) {
  Ref ref = pop(b);
  build_jump_if(b, is_null(b, ref), depth);
  push(b, ref);
}

static void br_on_non_null(Builder *b, uint32_t depth) {
  Ref ref = b->stack.items[b->stack.n - 1];
  build_jump_if(b, is_not_null(b, ref), depth);
  pop(b);
}

static void br_on_cast(Builder *b, const Instr *instr) {
  build_cast_branch(b, b->stack.items[b->stack.n - 1], instr->type2, instr->op == OP_BR_ON_CAST,
                    instr->index);
}

bool build_control(Builder *b, const Instr *instr) {
  switch (instr->op) {
    case OP_UNREACHABLE:
      build_node(b, IR_TRAP, KIND_BOTTOM)->imm = TRAP_UNREACHABLE;
      b->now = 0;
      return true;
    case OP_BLOCK: build_push_ctl(b, CTL_BLOCK, &instr->block); return true;
    case OP_LOOP: loop(b, instr); return true;
    case OP_IF: if_(b, instr); return true;
    case OP_ELSE: start_else(b); return true;
    case OP_END: end(b); return true;
    case OP_BR: build_jump(b, instr->index); return true;
    case OP_BR_IF: br_if(b, instr->index); return true;
    case OP_BR_TABLE: br_table(b, instr); return true;
    case OP_RETURN: {
      uint32_t depth = 0;
      while (ctl_at(b, depth)->kind != CTL_FUNC && ctl_at(b, depth)->kind != CTL_INLINED) depth++;
      build_jump(b, depth);
      return true;
    }
    case OP_CALL: call(b, instr); return true;
    case OP_CALL_INDIRECT: call_indirect(b, instr); return true;
    case OP_CALL_REF: call_ref(b, instr); return true;
    case OP_RETURN_CALL:
    case OP_RETURN_CALL_INDIRECT:
    case OP_RETURN_CALL_REF: tail_call(b, instr); return true;
    case OP_BR_ON_NULL: br_on_null(b, instr->index); break;
    case OP_BR_ON_NON_NULL: br_on_non_null(b, instr->index); break;
    case OP_BR_ON_CAST:
    case OP_BR_ON_CAST_FAIL: br_on_cast(b, instr); break;
    default: return false;
  }
  end_fuel_block(b);
  return true;
}
