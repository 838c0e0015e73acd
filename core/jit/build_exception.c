/* build_exception.c - try, catch, throw.
 *
 * A call inside a try ends its block with two successors; the second one has the exception and
 * brings it to the try's handler, which is a label like others: the locals set in the try are
 * merged there. The handler compares tags and goes on to the clauses' labels. What is thrown inside
 * the try goes there directly. Catching is ordinary control flow; only leaving the function with an
 * exception (THROW) is the run time's.
 */
#include "../runtime/store.h"
#include "builder.h"

void build_throw(Builder *b, Ref exception, uint32_t try_ctl) {
  if (try_ctl == 0) {
    build_node(b, IR_THROW, KIND_BOTTOM)->a = exception;
    b->now = 0;
    return;
  }
  Ctl *ctl = &b->ctls.items[try_ctl - 1];
  if (ctl->handler == 0) ctl->handler = ir_block(b->ir);
  push(b, exception);
  build_add_edge(b, ctl, &ctl->handler_edges, ctl->handler, 1);
  pop(b);
  build_end_with_goto(b, ctl->handler);
}

void build_call_edge(Builder *b, Ref call) {
  if (b->try_ctl == 0) return;
  Block next = ir_block(b->ir), landing = ir_block(b->ir);
  build_node(b, IR_GOTO_CATCH, KIND_BOTTOM)->a = call;
  build_end_with_two(b, next, landing);
  b->now = landing;
  build_throw(b, build_effect(b, IR_CAUGHT, KIND_REF), b->try_ctl);
  b->now = next;
}

/* Throwing */

static uint32_t value_offset(uint32_t slot) {
  return (uint32_t)(offsetof(Exception, values) + slot * sizeof(Slot));
}

static const CompType *tag_type(const Builder *b, uint32_t tag) {
  return &b->module->types[b->module->tags[tag]].comp;
}

static void throw_(Builder *b, uint32_t tag) {
  const CompType *type = tag_type(b, tag);
  Ref exception = build_helper(b, HELPER_exn_alloc, (Ref[]){fold_i32(b->ir, tag)});
  uint32_t slot = 0;
  const Ref *values = b->stack.items + b->stack.n - type->n_params;
  for (uint32_t i = 0; i < type->n_params; i++) {
    build_store_field(b, exception, 0, value_offset(slot), values[i],
                      build_field_of(type->types[i], false), ALIAS_FIXED);
    slot += type_slots(type->types[i]);
  }
  build_throw(b, exception, b->try_ctl);
}

static void throw_ref(Builder *b) {
  Ref exception = pop(b);
  Ref is_null = fold_unary(b->ir, OP_I64_EQZ, exception);
  build_trap_if(b, is_null, TRAP_NULL_EXCEPTION);
  build_throw(b, exception, b->try_ctl);
}

/* Catching */

/* Compares the exception's tag: goes on where it is the one, returns where it is not. */
static Block branch_on_tag(Builder *b, Ref exception, uint32_t tag) {
  Ref found = build_field(b, KIND_I64, exception, offsetof(Exception, tag), FIELD_64, ALIAS_FIXED);
  Ref wanted = fold_value(b->ir, IR_TAG_OBJECT, KIND_I64, 0, 0, tag);
  Block yes = ir_block(b->ir), no = ir_block(b->ir);
  build_branch(b, fold_binary(b->ir, OP_I64_EQ, found, wanted), yes, no);
  b->now = yes;
  return no;
}

static void push_values(Builder *b, Ref exception, uint32_t tag) {
  const CompType *type = tag_type(b, tag);
  uint32_t slot = 0;
  for (uint32_t i = 0; i < type->n_params; i++) {
    push(b, build_field(b, type_kind(type->types[i]), exception, value_offset(slot),
                        build_field_of(type->types[i], false), ALIAS_FIXED));
    slot += type_slots(type->types[i]);
  }
}

/* Goes on in the handler; gives the exception. The try is not active any more. */
static Ref enter_handler(Builder *b, Ctl *ctl) {
  build_merge(b, ctl, &ctl->handler_edges, ctl->handler, 1);
  return pop(b);
}

/* The clauses of a try_table; its labels count from the block around it. */
static void try_clauses(Builder *b, Ctl *ctl) {
  Reader reader = b->frame.reader;
  reader.at = ctl->clauses;
  uint32_t n = ctl->n_clauses, outer_try = ctl->outer_try;
  Ref exception = enter_handler(b, ctl);
  for (uint32_t i = 0; i < n && b->now != 0; i++) {
    CatchClause clause = read_catch(&reader);
    bool has_tag = clause.kind == CATCH || clause.kind == CATCH_REF;
    uint32_t height = b->stack.n;
    Block next = 0;
    if (has_tag) {
      next = branch_on_tag(b, exception, clause.tag);
      push_values(b, exception, clause.tag);
    }
    if (clause.kind == CATCH_REF || clause.kind == CATCH_ALL_REF) push(b, exception);
    build_jump(b, clause.label + 1);
    b->stack.n = height;
    b->now = next;
  }
  if (b->now != 0) build_throw(b, exception, outer_try);
}

/* Legacy: where the clause before did not fit, with the state as it was when it was caught. */
static void enter_next_clause(Builder *b, Ctl *ctl) {
  b->now = ctl->next_catch;
  build_restore_set(b, ctl, ctl->caught_values);
  b->stack.n = ctl->height;
}

void build_catch_edges(Builder *b) {
  Ctl *ctl = ctl_at(b, 0);
  if (b->now != 0) build_jump(b, 0);
  if (ctl->kind == CTL_TRY) b->try_ctl = ctl->outer_try;
  if (ctl->kind == CTL_CATCH) {
    enter_next_clause(b, ctl);
    if (b->now != 0) build_throw(b, ctl->exception, ctl->outer_try);
  } else if (ctl->handler != 0 && ctl->is_try_table) {
    try_clauses(b, ctl);
  } else if (ctl->handler != 0) { /* a try without a catch */
    Ref exception = enter_handler(b, ctl);
    build_throw(b, exception, ctl->outer_try);
  }
  b->now = 0;
}

static void catch_(Builder *b, const Instr *instr) {
  Ctl *ctl = ctl_at(b, 0);
  if (b->now != 0) build_jump(b, 0);
  if (ctl->kind == CTL_TRY) {
    b->try_ctl = ctl->outer_try;
    ctl->kind = CTL_CATCH;
    b->stack.n = ctl->height;
    if (ctl->handler != 0) {
      ctl->exception = enter_handler(b, ctl);
      ctl->caught_values = build_save_set(b, ctl);
      ctl->next_catch = b->now;
    }
  }
  enter_next_clause(b, ctl);
  ctl->next_catch = 0;
  b->fuel = 0;
  if (b->now == 0 || instr->op == OP_CATCH_ALL) return;
  ctl->next_catch = branch_on_tag(b, ctl->exception, instr->index);
  push_values(b, ctl->exception, instr->index);
}

/* Ends a try: what is thrown inside is thrown from the label, in its own tries. */
static void delegate(Builder *b, uint32_t depth) {
  Ctl *ctl = ctl_at(b, 0);
  if (b->now != 0) build_jump(b, 0);
  b->try_ctl = ctl->outer_try;
  if (ctl->handler != 0) {
    uint32_t to =
        b->ctls.n - 1 - depth; /* of a label outside of this try: one less than 1 + depth */
    Ctl *label = &b->ctls.items[to - 1];
    uint32_t try_ctl = label->kind == CTL_TRY ? to : label->outer_try;
    Ref exception = enter_handler(b, ctl);
    build_throw(b, exception, try_ctl);
  }
  b->now = 0;
  build_close_label(b);
  b->ctls.n--;
  b->fuel = 0;
}

static void start_try(Builder *b, const Instr *instr) {
  Ctl *ctl = build_push_ctl(b, CTL_TRY, &instr->block);
  ctl->is_try_table = instr->op == OP_TRY_TABLE;
  ctl->clauses = instr->labels.bytes;
  ctl->n_clauses = ctl->is_try_table ? instr->labels.count : 0;
  b->try_ctl = b->ctls.n;
}

bool build_exception(Builder *b, const Instr *instr) {
  switch (instr->op) {
    case OP_TRY:
    case OP_TRY_TABLE: start_try(b, instr); return true;
    case OP_CATCH:
    case OP_CATCH_ALL: catch_(b, instr); return true;
    case OP_DELEGATE: delegate(b, instr->index); return true;
    case OP_THROW: throw_(b, instr->index); return true;
    case OP_THROW_REF: throw_ref(b); return true;
    case OP_RETHROW: build_throw(b, ctl_at(b, instr->index)->exception, b->try_ctl); return true;
    default: return false;
  }
}
