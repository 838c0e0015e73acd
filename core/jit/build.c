/* build.c - the walk over the body: locals, lazy values, effects.
 *
 *   body --instr_read--> build_control.c, build_exception.c, build_op.c, build_reference.c -->
 * fold.c
 *
 * Unreachable code is skipped. Nothing recurses over the body. After Braun, Buchwald, Hack, Leissa,
 * Mallon and Zwinkau, "Simple and Efficient Construction of Static Single Assignment Form", 2013,
 * with the sets of the scan in place of sealing.
 */
#include "builder.h"

#include "../module/fuel.h"

/* Where the instruction is: as many inlined calls deep as the builder. */
static uint32_t place_of_instr(Builder *b) {
  Ir *ir = b->ir;
  if (b->callers.n == 0) return b->at;
  InlinedPlace place = {b->at, b->frame.call};
  const InlinedPlace *last = ir->inlined.n != 0 ? &ir->inlined.items[ir->inlined.n - 1] : NULL;
  if (last == NULL || last->offset != place.offset || last->outer != place.outer)
    VEC_PUSH(b->arena, &ir->inlined, place);
  return PLACE_INLINED | (ir->inlined.n - 1);
}

Ref build_effect(Builder *b, unsigned op, unsigned type) {
  Ref ref = ir_node(b->ir, op, type);
  NODE(b->ir, ref)->at = place_of_instr(b);
  ir_append(b->ir, b->now, ref);
  return ref;
}

Ref build_field(Builder *b, unsigned type, Ref base, size_t offset, unsigned field,
                unsigned alias) {
  Ref ref = build_effect(b, IR_FIELD_LOAD, type);
  Node *node = NODE(b->ir, ref);
  node->a = base;
  node->imm = offset;
  node->lane = (uint8_t)field;
  node->memory = alias;
  return ref;
}

void build_trap_if(Builder *b, Ref condition, Trap trap) {
  bool is_negated;
  uint64_t known;
  Ref tested = fold_condition(b->ir, condition, &is_negated);
  if (!is_negated) condition = tested;
  if (fold_is_const(b->ir, condition, &known) && known == 0) return;
  Node *node = build_node(b, IR_TRAP_IF, KIND_BOTTOM);
  node->a = condition;
  node->imm = trap;
}

static unsigned kind_of_letter(char letter) {
  switch (letter) {
    case 'i': return KIND_I32;
    case 'l': return KIND_I64;
    case 'r': return KIND_REF;
    default: return KIND_BOTTOM;
  }
}

Ref build_helper(Builder *b, unsigned helper, const Ref *args) {
  const char *signature = helper_info[helper].signature;
  uint32_t n = (uint32_t)(strchr(signature, '>') - signature);
  Ref ref = build_effect(b, IR_CALL_HELPER, kind_of_letter(signature[n + 1]));
  Node *node = NODE(b->ir, ref);
  node->imm = helper;
  node->n_args = n;
  node->args = arena_copy(b->arena, args, n * sizeof *args);
  return ref;
}

/* Fuel: one node for each block of fuel.h, in front of its first cost. */
void build_block_cost(Builder *b, Op op) {
  uint32_t cost = fuel_cost(op);
  if (!b->options->counts_fuel || cost == 0) return;
  if (b->fuel == 0) b->fuel = build_effect(b, IR_FUEL, KIND_BOTTOM);
  NODE(b->ir, b->fuel)->imm += cost;
}

void build_bulk_fuel(Builder *b, Ref n, unsigned log2) {
  if (!b->options->counts_fuel) return;
  if (NODE(b->ir, n)->type == KIND_I32) n = fold_unary(b->ir, OP_I64_EXTEND_I32_U, n);
  Ref cost = fold_binary(b->ir, OP_I64_SHR_U, n, fold_i64(b->ir, log2));
  build_node(b, IR_FUEL, KIND_BOTTOM)->a = cost;
}

/* Lazy values */

/* An edge's value of a lazy local of the loop, without making phis that are not there. */
static Ref known_value(Builder *b, Ref value) {
  if (!(value & LAZY)) return ir_follow(b->ir, value);
  Ref phi = b->lazies.items[value & ~LAZY].phi;
  return phi != 0 ? ir_follow(b->ir, phi) : value;
}

static void make_phi(Builder *b, uint32_t index, Ref entry) {
  Lazy *lazy = &b->lazies.items[index];
  const Loop *loop = &b->loops.items[lazy->loop];
  Ref phi = ir_node(b->ir, IR_PHI, b->local_kinds.items[lazy->local]);
  NODE(b->ir, phi)->block = loop->header;
  VEC_PUSH(b->arena, &BLOCK_OF(b->ir, loop->header)->phis, phi);
  lazy->entry = entry;
  lazy->phi = phi;
  if (loop->is_closed) VEC_PUSH(b->arena, &b->unfilled, index);
}

Ref build_lazy(Builder *b, uint32_t index) {
  Lazy *lazies = b->lazies.items;
  if (lazies[index].phi != 0) return ir_follow(b->ir, lazies[index].phi);
  /* Outer loops first: `entry` chains are turned around while walking out, and back again. */
  uint32_t inner = NO_INDEX, at = index;
  Ref value;
  for (;;) {
    Ref entry = lazies[at].entry;
    lazies[at].entry = inner;
    inner = at;
    if ((entry & LAZY) && lazies[entry & ~LAZY].phi == 0) {
      at = entry & ~LAZY;
    } else {
      value = known_value(b, entry);
      break;
    }
  }
  for (at = inner; at != NO_INDEX; at = inner) {
    inner = b->lazies.items[at].entry;
    make_phi(b, at, value);
    value = b->lazies.items[at].phi;
  }
  return value;
}

/* A phi all of whose arguments are one value, or itself, is that value. */
static void drop_trivial(Ir *ir, Ref ref) {
  Node *phi = NODE(ir, ref);
  Ref only = 0;
  for (uint32_t i = 0; i < phi->n_args; i++) {
    Ref arg = ir_follow(ir, phi->args[i]);
    if (arg == ref || arg == only) continue;
    if (only != 0) return;
    only = arg;
  }
  if (only == 0) return; /* its loop cannot be entered */
  *phi = (Node){.op = IR_NOP, .type = phi->type, .a = only};
  ir->has_replaced = true;
}

static void fill_phi(Builder *b, uint32_t index) {
  Lazy lazy = b->lazies.items[index];
  Loop loop = b->loops.items[lazy.loop];
  uint32_t position = index - loop.first_lazy, n = 0;
  Ref *args = arena_new(b->arena, (loop.edges.n + 1) * sizeof *args);
  args[n++] = lazy.entry;
  for (const Edge *edge = loop.edges.first; edge; edge = edge->next)
    args[n++] = build_value(b, edge->values[position]);
  Node *phi = NODE(b->ir, lazy.phi);
  phi->args = args;
  phi->n_args = n;
  drop_trivial(b->ir, lazy.phi);
}

/* Filling may make phis in other loops, which are filled too when these are closed. */
static void fill_phis(Builder *b) {
  while (b->unfilled.n != 0) fill_phi(b, b->unfilled.items[--b->unfilled.n]);
}

Ref build_read_local(Builder *b, uint32_t index) {
  Ref *local = &b->locals.items[b->frame.first_local + index];
  if (LIKELY(!(*local & LAZY))) return *local;
  *local = build_value(b, *local);
  fill_phis(b);
  return *local = ir_follow(b->ir, *local);
}

/* The parameters of a loop are the first phis of its header. */
static void fill_params(Builder *b, const Loop *loop, uint32_t n_locals, uint32_t n_params) {
  const Refs *phis = &BLOCK_OF(b->ir, loop->header)->phis;
  for (uint32_t i = 0; i < n_params; i++) {
    Node *phi = NODE(b->ir, phis->items[i]);
    phi->args = arena_new(b->arena, (loop->edges.n + 1) * sizeof(Ref));
    phi->args[0] = phi->a;
    phi->a = 0;
    uint32_t n = 1;
    for (const Edge *edge = loop->edges.first; edge; edge = edge->next)
      phi->args[n++] = edge->values[n_locals + i];
    phi->n_args = n;
  }
}

void build_close_loop(Builder *b, const Ctl *ctl) {
  Loop *loop = &b->loops.items[ctl->loop];
  loop->is_closed = true;
  for (uint32_t i = 0; i < loop->n_lazies; i++) {
    uint32_t index = loop->first_lazy + i;
    if (b->lazies.items[index].phi != 0) VEC_PUSH(b->arena, &b->unfilled, index);
  }
  fill_params(b, loop, ctl->set.n, ctl->n_params);
  fill_phis(b);
}

/* Where edges meet */

/* The value that all edges bring, or 0 when they differ. */
static Ref common_value(Builder *b, const Edges *edges, uint32_t position) {
  Ref value = known_value(b, edges->first->values[position]);
  for (const Edge *edge = edges->first->next; edge; edge = edge->next)
    if (known_value(b, edge->values[position]) != value) return 0;
  return value;
}

static Ref merge_value(Builder *b, const Edges *edges, Block at, uint32_t position, unsigned kind) {
  Ref value = common_value(b, edges, position);
  if (value != 0) return value;
  Ref *args = arena_new(b->arena, edges->n * sizeof *args);
  uint32_t n = 0;
  for (const Edge *edge = edges->first; edge; edge = edge->next)
    args[n++] = build_value(b, edge->values[position]);
  Ref phi = ir_node(b->ir, IR_PHI, kind);
  Node *node = NODE(b->ir, phi);
  node->block = at;
  node->args = args;
  node->n_args = n;
  VEC_PUSH(b->arena, &BLOCK_OF(b->ir, at)->phis, phi);
  return phi;
}

void build_merge(Builder *b, const Ctl *ctl, const Edges *edges, Block at, uint32_t n_values) {
  for (uint32_t i = 0; i < ctl->set.n; i++) {
    uint32_t local = ctl->first_local + ctl->set.locals[i];
    b->locals.items[local] = merge_value(b, edges, at, i, b->local_kinds.items[local]);
  }
  b->stack.n = ctl->height;
  for (uint32_t i = 0; i < n_values; i++) {
    unsigned kind = n_values == 1 && at == ctl->handler
                        ? KIND_REF
                        : type_kind(ctl_type(ctl, ctl->n_params + i));
    push(b, merge_value(b, edges, at, ctl->set.n + i, kind));
  }
  fill_phis(b);
  b->now = at;
}

void build_add_edge(Builder *b, Ctl *ctl, Edges *edges, Block to, uint32_t n_values) {
  uint32_t n = ctl->set.n + n_values;
  b->n_values += n;
  if (UNLIKELY(b->n_values > BUILD_VALUES_MAX)) {
    error_set(b->arena->guard->error, ERROR_UNSUPPORTED, "function too complex to compile");
    guard_raise(b->arena->guard);
  }
  Edge *edge = arena_new(b->arena, sizeof *edge + n * sizeof *edge->values);
  edge->next = NULL;
  edge->from = b->now;
  const Ref *locals = b->locals.items + ctl->first_local;
  for (uint32_t i = 0; i < ctl->set.n; i++) edge->values[i] = locals[ctl->set.locals[i]];
  if (n_values != 0)
    memcpy(edge->values + ctl->set.n, b->stack.items + b->stack.n - n_values,
           n_values * sizeof(Ref));
  if (edges->n++ == 0) {
    edges->first = edge;
  } else {
    *edges->last = edge;
  }
  edges->last = &edge->next;
  ir_add_pred(b->ir, to, b->now);
}

/* The walk */

static void add_locals(Builder *b, uint32_t n, ValType type, bool is_zero) {
  Ref zero = is_zero ? fold_zero(b->ir, type_kind(type)) : 0;
  for (uint32_t i = 0; i < n; i++) {
    VEC_PUSH(b->arena, &b->locals, zero);
    VEC_PUSH(b->arena, &b->local_kinds, (uint8_t)type_kind(type));
  }
}

/* Reads the declarations of a body's locals and scans the rest. */
static void start_frame(Builder *b) {
  Frame *frame = &b->frame;
  for (uint32_t n_groups = read_u32(&frame->reader); n_groups != 0; n_groups--) {
    uint32_t n = read_u32(&frame->reader);
    add_locals(b, n, read_val_type(&frame->reader), true);
  }
  frame->scan = build_scan(b->arena, frame->reader, b->locals.n - frame->first_local);
  frame->next_set = 0;
}

static Reader body_reader(const Module *module, uint32_t func) {
  const FuncDef *def = &module->funcs[func];
  return (Reader){.at = module->bytes + def->at,
                  .end = module->bytes + def->end,
                  .start = module->bytes,
                  .func = func};
}

static void push_function_ctl(Builder *b, unsigned kind, const CompType *type) {
  Ctl ctl = {.kind = (uint8_t)kind,
             .height = b->stack.n,
             .n_results = type->n_results,
             .types = type->types + type->n_params,
             .outer_try = b->try_ctl};
  VEC_PUSH(b->arena, &b->ctls, ctl);
}

static void start(Builder *b) {
  const CompType *type = b->ir->type;
  b->frame = (Frame){.reader = body_reader(b->module, b->ir->func), .func = b->ir->func};
  b->now = b->ir->entry = ir_block(b->ir);
  for (uint32_t i = 0; i < type->n_params; i++) {
    add_locals(b, 1, type->types[i], false);
    b->locals.items[i] = build_effect(b, IR_PARAM, type_kind(type->types[i]));
    NODE(b->ir, b->locals.items[i])->imm = i;
  }
  start_frame(b);
  push_function_ctl(b, CTL_FUNC, type);
}

/* Reads on to where code may be reached again: the end of the innermost block, or its next part. */
static void skip_dead(Builder *b, Instr *instr) {
  for (uint32_t depth = 0;;) {
    instr_read(&b->frame.reader, instr);
    Op op = instr->op;
    if (opens_block(op)) {
      depth++;
      b->frame.next_set++;
    } else if (depth == 0 && (op == OP_ELSE || op == OP_END || op == OP_CATCH ||
                              op == OP_CATCH_ALL || op == OP_DELEGATE)) {
      return;
    } else if (op == OP_END || op == OP_DELEGATE) {
      depth--;
    }
  }
}

static void walk(Builder *b) {
  Instr instr;
  while (b->ctls.n != 0) {
    if (b->now != 0) {
      instr_read(&b->frame.reader, &instr);
    } else {
      skip_dead(b, &instr);
    }
    b->at = (uint32_t)(instr.at - b->frame.reader.start);
    if (b->now != 0) build_block_cost(b, instr.op);
    unsigned flags = op_info[instr.op].flags;
    if ((flags & OPF_CONTROL) == 0 || (!build_control(b, &instr) && !build_exception(b, &instr)))
      build_op(b, &instr);
  }
}

/* Inlining */

/* Callees of up to INLINE_SMALL bytes are shorter than what a call of them takes, or nearly. Larger
 * ones come inside where they are called often, by what can be told: in loops, and by themselves.
 * By these a function grows by INLINE_GROWTH bytes, or half of its own size. */
enum {
  INLINE_SMALL = 24,
  INLINE_IN_LOOP = 60,
  INLINE_RECURSIVE = 120,
  INLINE_DEPTH = 5,
  INLINE_RECURSION = 3,
  INLINE_GROWTH = 400,
  INLINE_TOTAL = 4096
};

/* Straight code, but in larger ones loops. */
static bool is_simple(const Builder *b, uint32_t func, bool may_loop) {
  Reader reader = body_reader(b->module, func);
  for (uint32_t n_groups = read_u32(&reader); n_groups != 0; n_groups--) {
    if (read_u32(&reader) > 16) return false;
    read_val_type(&reader);
  }
  Instr instr;
  while (reader.at < reader.end) {
    instr_read(&reader, &instr);
    switch (instr.op) {
      case OP_LOOP:
        if (!may_loop) return false;
        break;
      case OP_TRY:
      case OP_TRY_TABLE:
      case OP_BR_TABLE:
      case OP_RETURN_CALL:
      case OP_RETURN_CALL_INDIRECT:
      case OP_RETURN_CALL_REF:
      case OP_THROW:
      case OP_THROW_REF: return false;
      default: break;
    }
  }
  return true;
}

static uint32_t count_running(const Builder *b, uint32_t func) {
  uint32_t n = b->frame.func == func;
  for (uint32_t i = 0; i < b->callers.n; i++) n += b->callers.items[i].func == func;
  return n;
}

static bool is_in_loop(const Builder *b) {
  for (uint32_t i = 0; i < b->ctls.n; i++)
    if (b->ctls.items[i].kind == CTL_LOOP) return true;
  return false;
}

bool build_can_inline(const Builder *b, uint32_t func) {
  const FuncDef *def = &b->module->funcs[func], *own = &b->module->funcs[b->ir->func];
  uint32_t size = def->end - def->at, own_size = own->end - own->at;
  if (!b->options->inlines || func < b->module->n_imported_funcs) return false;
  uint32_t n_running = count_running(b, func);
  if (size > INLINE_RECURSIVE || b->callers.n >= INLINE_DEPTH) return false;
  if (b->inlined_size + size > INLINE_TOTAL || n_running > INLINE_RECURSION) return false;
  if (size <= INLINE_SMALL && n_running == 0) return is_simple(b, func, false);
  if (b->inlined_size + size > INLINE_GROWTH + own_size / 2) return false;
  if (n_running == 0 && (size > INLINE_IN_LOOP || !is_in_loop(b))) return false;
  return is_simple(b, func, true);
}

/* The callee's locals follow the caller's; its label is that of a block. */
void build_enter(Builder *b, uint32_t func) {
  const FuncDef *def = &b->module->funcs[func];
  const CompType *type = module_func_type(b->module, func);
  uint32_t first = b->locals.n;
  for (uint32_t i = 0; i < type->n_params; i++) add_locals(b, 1, type->types[i], false);
  for (uint32_t i = type->n_params; i-- > 0;) b->locals.items[first + i] = pop(b);
  uint32_t call = place_of_instr(b);
  b->frame.fuel = b->fuel;
  VEC_PUSH(b->arena, &b->callers, b->frame);
  b->frame = (Frame){
      .reader = body_reader(b->module, func), .func = func, .first_local = first, .call = call};
  b->inlined_size += def->end - def->at;
  start_frame(b);
  push_function_ctl(b, CTL_INLINED, type);
  b->fuel = 0;
}

/* Does the instruction end a block of fuel? `depth` counts the labels that were left before it. */
static bool ends_fuel_block(const Builder *b, Op op, uint32_t *depth) {
  switch (op) {
    case OP_END: return b->ctls.items[b->ctls.n - 1 - (*depth)++].kind != CTL_LOOP;
    case OP_LOOP:
    case OP_IF:
    case OP_ELSE:
    case OP_CATCH:
    case OP_CATCH_ALL:
    case OP_DELEGATE:
    case OP_BR:
    case OP_BR_IF:
    case OP_BR_TABLE:
    case OP_BR_ON_NULL:
    case OP_BR_ON_NON_NULL:
    case OP_BR_ON_CAST:
    case OP_BR_ON_CAST_FAIL:
    case OP_RETURN:
    case OP_RETURN_CALL:
    case OP_RETURN_CALL_INDIRECT:
    case OP_RETURN_CALL_REF:
    case OP_THROW:
    case OP_THROW_REF:
    case OP_RETHROW:
    case OP_UNREACHABLE: return true;
    default: return false;
  }
}

/* An inlined function never comes back: what follows the call in its block is no code, but was paid
 * for when the block was entered. */
static void pay_for_rest(Builder *b) {
  Reader reader = b->frame.reader;
  uint32_t depth = 0, opened = 0;
  while (reader.at < reader.end) {
    Instr instr;
    instr_read(&reader, &instr);
    build_block_cost(b, instr.op);
    opened += instr.op == OP_BLOCK || instr.op == OP_TRY || instr.op == OP_TRY_TABLE;
    if (opened != 0 && instr.op == OP_END) return;
    if (ends_fuel_block(b, instr.op, &depth)) return;
  }
}

void build_leave(Builder *b) {
  b->locals.n = b->local_kinds.n = b->frame.first_local;
  b->frame = b->callers.items[--b->callers.n];
  b->fuel = b->frame.fuel;
  if (b->now == 0 && b->fuel != 0) pay_for_rest(b);
}

/* Finishing */

/* Phis that became trivial since they were filled, until nothing changes, a few times. */
static void drop_trivial_phis(Ir *ir) {
  bool has_changed = true;
  for (unsigned round = 0; has_changed && round < 4; round++) {
    has_changed = false;
    for (Block block = 1; block < ir->n_blocks; block++) {
      Refs *phis = &BLOCK_OF(ir, block)->phis;
      uint32_t n = 0;
      for (uint32_t i = 0; i < phis->n; i++) {
        Ref phi = phis->items[i];
        if (NODE(ir, phi)->op == IR_PHI) drop_trivial(ir, phi);
        if (NODE(ir, phi)->op == IR_PHI) {
          phis->items[n++] = phi;
        } else {
          has_changed = true;
        }
      }
      phis->n = n;
    }
  }
}

void ir_build(Ir *ir, Arena *arena, Module *module, uint32_t func, const BuildOptions *options) {
  const FuncDef *def = &module->funcs[func];
  uint32_t size = def->end - def->at;
  ir_init(ir, arena, module, func, size + 64);
  ir->counts_fuel = options->counts_fuel;
  ir->checks_memory = options->checks_memory;
  fold_init(ir, size / 2 + 32);
  Builder b = {.ir = ir, .arena = arena, .module = module, .options = options};
  start(&b);
  walk(&b);
  drop_trivial_phis(ir);
  ir_follow_operands(ir);
}
