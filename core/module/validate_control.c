/* validate_control.c - blocks, branches, calls and exceptions.
 *
 * Spec 3.0, "Control Instructions", and the legacy exception handling of version 1. A frame changes
 * its kind where an `if` reaches `else` and a `try` its handlers.
 */
#include "validate.h"

/* Blocks */

static void enter(Validator *v, Op op, Frame frame) {
  validate_pop_types(v, frame_params(&frame), frame.n_params);
  frame.op = op;
  frame.height = (uint32_t)(v->top - v->stack);
  frame.n_set = v->set_locals.n;
  VEC_PUSH(v->scratch, &v->frames, frame);
  v->frame = &v->frames.items[v->frames.n - 1];
  v->floor = v->top;
  validate_push_types(v, frame_params(v->frame), v->frame->n_params);
}

static Frame block_frame(Validator *v, BlockType block) {
  Frame frame = {0};
  if (block.kind == BLOCK_RESULT) {
    frame.n_results = 1;
    frame.single = validate_canonical(v, block.result);
  } else if (block.kind == BLOCK_INDEX) {
    const CompType *comp = &validate_type(v, block.index, COMP_FUNC)->comp;
    frame.n_params = comp->n_params;
    frame.n_results = comp->n_results;
    frame.types = comp->types;
  }
  return frame;
}

void validate_block(Validator *v, Op op) {
  enter(v, op, block_frame(v, v->instr.block));
}

static void check_if(Validator *v) {
  Frame frame = block_frame(v, v->instr.block);
  pop(v, TYPE_I32);
  enter(v, OP_IF, frame);
}

/* Forgets which locals were set since the frame began. */
static void unset_locals(Validator *v) {
  while (v->set_locals.n > v->frame->n_set)
    v->set_epochs[v->set_locals.items[--v->set_locals.n]] = 0;
}

/* The results are there, and nothing else. */
static void check_results(Validator *v) {
  const Frame *frame = v->frame;
  const ValType *results = frame_results(frame);
  uint32_t n = frame->n_results;
  validate_peek_types(v, results, n);
  size_t height = (size_t)(v->top - v->floor);
  if (height > n) validate_mismatch(v, "block", results, n, "stack", v->floor, (uint32_t)height);
  v->top = v->floor;
}

/* Starts the next part of the same block. */
static void restart(Validator *v, Op op) {
  check_results(v);
  unset_locals(v);
  v->frame->op = op;
  v->frame->is_unreachable = false;
}

static _Noreturn void fail_end_expected(const Validator *v) {
  validate_fail(v, ERROR_MALFORMED, "END opcode expected");
}

static void leave(Validator *v) {
  unset_locals(v);
  Frame frame = *v->frame;
  v->frames.n--;
  if (v->frames.n == 0) return;
  v->frame--;
  v->floor = v->stack + v->frame->height;
  validate_push_types(v, frame_results(&frame), frame.n_results);
}

void validate_end(Validator *v) {
  const Frame *frame = v->frame;
  check_results(v);
  if (frame->op == OP_IF && /* without else: the parameters are the results */
      (frame->n_params != frame->n_results ||
       !validate_all_match(frame_params(frame), frame_results(frame), frame->n_params)))
    validate_mismatch(v, "if without else", frame_results(frame), frame->n_results,
                      "parameter list", frame_params(frame), frame->n_params);
  leave(v);
}

static void check_else(Validator *v) {
  if (v->frame->op != OP_IF) fail_end_expected(v);
  restart(v, OP_ELSE);
  validate_push_types(v, frame_params(v->frame), v->frame->n_params);
}

/* Branches */

static void branch_if(Validator *v, const ValType *types, uint32_t n) {
  validate_pop_types(v, types, n);
  validate_push_types(v, types, n);
}

void validate_br(Validator *v) {
  uint32_t n;
  const ValType *types = label_types(validate_label(v, v->instr.index), &n);
  validate_pop_types(v, types, n);
  validate_unreachable(v);
}

void validate_br_if(Validator *v) {
  uint32_t n;
  const ValType *types = label_types(validate_label(v, v->instr.index), &n);
  pop(v, TYPE_I32);
  if (n != 0) branch_if(v, types, n);
}

/* Labels that occur often in one br_table are compared once. */
static void check_table_label(Validator *v, uint32_t index, uint32_t arity) {
  Frame *label = validate_label(v, index);
  if (label->visit == v->n_visits) return;
  label->visit = v->n_visits;
  uint32_t n;
  const ValType *types = label_types(label, &n);
  if (n != arity)
    validate_fail(v, ERROR_INVALID, "type mismatch: labels with %u and with %u operands",
                  (unsigned)arity, (unsigned)n);
  validate_peek_types(v, types, n);
}

static void check_br_table(Validator *v) {
  uint32_t arity;
  label_types(validate_label(v, v->instr.default_label), &arity);
  pop(v, TYPE_I32);
  v->n_visits++;
  Reader labels = v->reader;
  labels.at = v->instr.labels.bytes;
  for (uint32_t i = 0; i < v->instr.labels.count; i++)
    check_table_label(v, read_u32(&labels), arity);
  check_table_label(v, v->instr.default_label, arity);
  validate_unreachable(v);
}

static void check_return(Validator *v) {
  const Frame *func = &v->frames.items[0];
  validate_pop_types(v, frame_results(func), func->n_results);
  validate_unreachable(v);
}

/* The operands of a branch that takes a reference with it. */
static const ValType *ref_label_types(Validator *v, uint32_t index, ValType taken, uint32_t *n) {
  const ValType *types = label_types(validate_label(v, index), n);
  if (*n == 0 || !type_matches(taken, types[*n - 1]))
    validate_mismatch(v, "instruction", &taken, 1, "label", types, *n);
  (*n)--;
  return types;
}

static void check_br_on_null(Validator *v) {
  uint32_t n;
  const ValType *types = label_types(validate_label(v, v->instr.index), &n);
  ValType ref = validate_pop_ref(v);
  branch_if(v, types, n);
  push(v, ref & ~TYPE_NULLABLE);
}

static void check_br_on_non_null(Validator *v) {
  ValType ref = validate_pop_ref(v);
  uint32_t n;
  const ValType *types = ref_label_types(v, v->instr.index, ref & ~TYPE_NULLABLE, &n);
  branch_if(v, types, n);
}

static void check_br_on_cast(Validator *v, bool branch_on_fail) {
  ValType from = validate_canonical(v, v->instr.type);
  ValType to = validate_canonical(v, v->instr.type2);
  if (!type_matches(to, from)) validate_mismatch(v, "cast", &from, 1, "target", &to, 1);
  ValType rest = type_is_nullable(to) ? from & ~TYPE_NULLABLE : from;
  pop(v, from);
  uint32_t n;
  const ValType *types = ref_label_types(v, v->instr.index, branch_on_fail ? rest : to, &n);
  branch_if(v, types, n);
  push(v, branch_on_fail ? to : rest);
}

/* Calls */

static void call(Validator *v, const Type *type) {
  const CompType *comp = &type->comp;
  validate_pop_types(v, comp->types, comp->n_params);
  validate_push_types(v, comp->types + comp->n_params, comp->n_results);
}

void validate_call(Validator *v) {
  call(v, validate_func_type(v, v->instr.index));
}

static void tail_call(Validator *v, const Type *type) {
  const CompType *comp = &type->comp;
  const Frame *func = &v->frames.items[0];
  const ValType *results = comp->types + comp->n_params;
  if (comp->n_results != func->n_results ||
      !validate_all_match(results, frame_results(func), func->n_results))
    validate_mismatch(v, "current function", frame_results(func), func->n_results, "callee",
                      results, comp->n_results);
  validate_pop_types(v, comp->types, comp->n_params);
  validate_unreachable(v);
}

static const Type *indirect_type(Validator *v) {
  uint32_t table = v->instr.index2;
  validate_table_index(v, table);
  const Type *type = validate_type(v, v->instr.index, COMP_FUNC);
  if (!type_matches(v->table_types[table], TYPE_FUNCREF)) {
    ValType wanted = TYPE_FUNCREF;
    validate_mismatch(v, "instruction", &wanted, 1, "table", &v->table_types[table], 1);
  }
  pop(v, table_address(v, table));
  return type;
}

static const Type *ref_type(Validator *v) {
  const Type *type = validate_type(v, v->instr.index, COMP_FUNC);
  pop(v, REF_TYPE(type->id, true));
  return type;
}

/* Exceptions */

static void check_throw(Validator *v) {
  const CompType *comp = &validate_tag_type(v, v->instr.index)->comp;
  validate_pop_types(v, comp->types, comp->n_params);
  validate_unreachable(v);
}

/* What a clause hands over are the tag's parameters and the exception, as it says. */
static void check_clause(Validator *v, CatchClause clause) {
  const ValType exn = REF_TYPE(HEAP_EXN, false), *params = NULL;
  uint32_t n_params = 0, n;
  if (clause.kind == CATCH || clause.kind == CATCH_REF) {
    const CompType *comp = &validate_tag_type(v, clause.tag)->comp;
    params = comp->types;
    n_params = comp->n_params;
  }
  bool has_exn = clause.kind == CATCH_REF || clause.kind == CATCH_ALL_REF;
  const ValType *types = label_types(validate_label(v, clause.label), &n);
  if (n != n_params + has_exn || !validate_all_match(params, types, n_params) ||
      (has_exn && !type_matches(exn, types[n - 1])))
    validate_mismatch(v, "catch clause", params, n_params, "label", types, n);
}

/* The clauses' labels do not count the block itself. */
static void check_try_table(Validator *v) {
  Reader clauses = v->reader;
  clauses.at = v->instr.labels.bytes;
  for (uint32_t i = 0; i < v->instr.labels.count; i++) check_clause(v, read_catch(&clauses));
  v->module->has_handlers = true;
  enter(v, OP_TRY_TABLE, block_frame(v, v->instr.block));
}

static void check_catch(Validator *v, Op op) {
  if (v->frame->op != OP_TRY && v->frame->op != OP_CATCH) fail_end_expected(v);
  const Type *tag = op == OP_CATCH ? validate_tag_type(v, v->instr.index) : NULL;
  restart(v, op);
  if (tag) validate_push_types(v, tag->comp.types, tag->comp.n_params);
}

static void check_delegate(Validator *v) {
  if (v->frame->op != OP_TRY) fail_end_expected(v);
  check_results(v);
  if (v->instr.index >= v->frames.n - 1) validate_unknown(v, "label", v->instr.index);
  leave(v);
}

static void check_rethrow(Validator *v) {
  const Frame *frame = validate_label(v, v->instr.index);
  if (frame->op != OP_CATCH && frame->op != OP_CATCH_ALL)
    validate_fail(v, ERROR_INVALID, "invalid rethrow label %u", (unsigned)v->instr.index);
  validate_unreachable(v);
}

void validate_control(Validator *v, Op op) {
  switch (op) {
    case OP_UNREACHABLE: validate_unreachable(v); break;
    case OP_BLOCK:
    case OP_LOOP: validate_block(v, op); break;
    case OP_IF: check_if(v); break;
    case OP_ELSE: check_else(v); break;
    case OP_END: validate_end(v); break;
    case OP_BR: validate_br(v); break;
    case OP_BR_IF: validate_br_if(v); break;
    case OP_BR_TABLE: check_br_table(v); break;
    case OP_RETURN: check_return(v); break;
    case OP_BR_ON_NULL: check_br_on_null(v); break;
    case OP_BR_ON_NON_NULL: check_br_on_non_null(v); break;
    case OP_BR_ON_CAST: check_br_on_cast(v, false); break;
    case OP_BR_ON_CAST_FAIL: check_br_on_cast(v, true); break;
    case OP_CALL: validate_call(v); break;
    case OP_RETURN_CALL: tail_call(v, validate_func_type(v, v->instr.index)); break;
    case OP_CALL_INDIRECT: call(v, indirect_type(v)); break;
    case OP_RETURN_CALL_INDIRECT: tail_call(v, indirect_type(v)); break;
    case OP_CALL_REF: call(v, ref_type(v)); break;
    case OP_RETURN_CALL_REF: tail_call(v, ref_type(v)); break;
    case OP_THROW: check_throw(v); break;
    case OP_THROW_REF:
      pop(v, TYPE_EXNREF);
      validate_unreachable(v);
      break;
    case OP_TRY_TABLE: check_try_table(v); break;
    case OP_TRY:
      v->module->has_handlers = true;
      enter(v, op, block_frame(v, v->instr.block));
      break;
    case OP_CATCH:
    case OP_CATCH_ALL: check_catch(v, op); break;
    case OP_DELEGATE: check_delegate(v); break;
    case OP_RETHROW: check_rethrow(v); break;
    default: break;
  }
}
