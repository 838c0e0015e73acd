/* memopt.c - one walk down the dominator tree over the effects.
 *
 * Requires cfg. Three kinds of facts are kept:
 *   known    conditions that a check or branch above has decided
 *   seen     effects without a memory that only depend on their operands: divisions, type tests,
 *            loads of what never changes. The same one above gives the same value
 *   entries  what is in memories, globals, tables and objects now, as far as it was stored or
 * loaded since control could come from elsewhere; each is forgotten when something may change it
 * The first two hold in all blocks below the one where they were found, for which the walk marks
 * the blocks on its path. Entries go from a block to those whose only predecessor it is.
 *
 * Taking a load away never takes a trap away: memories do not shrink, and what stood before went
 * through.
 */
#include "memopt.h"

#include "fold.h"

enum { CLASS_CELL, CLASS_SIZE, CLASS_TABLE, CLASS_ITEMS, CLASS_OBJECT, CLASS_MEMORY };

/* The low `width` bytes of `value` are at a + offset + b * width. */
typedef struct Entry {
  uint16_t class;
  uint16_t width;
  uint32_t memory; /* index of a memory or global */
  Ref a, b;
  uint64_t offset;
  Ref value;
} Entry;

enum { ENTRIES = 24, SAVED_BLOCKS_MAX = 20000 };

typedef struct State {
  uint32_t n, next; /* the place of the next one when all are taken */
  Entry entries[ENTRIES];
} State;

typedef struct Walker {
  Ir *ir;
  bool *is_above;     /* by block: on the path from the entry */
  Block *known_in;    /* by node: where its value as a condition became known, or 0 */
  bool *is_known_set; /* then: is it nonzero? */
  uint32_t room_known;
  Ref *seen; /* hash table */
  uint32_t n_seen, room_seen;
  State now;
  State **saved; /* by block: the state at its end, for blocks below; or NULL */
  Block *first_child, *next_sibling;
  uint32_t n_replaced; /* nodes with that mark have looked at their operands since */
  bool has_changed;    /* an end became known */
} Walker;

/* Operands */

enum { RENEW_DEPTH = 8 };

/* The node that computes the same from what operands were replaced by. */
static Ref renew(Walker *w, Ref ref, unsigned depth) {
  Ir *ir = w->ir;
  ref = ir_follow(ir, ref);
  Node *node = NODE(ir, ref);
  bool is_old = ir_is_floating(node) && !ir_is_constant(node) && node->mark != w->n_replaced;
  if (!is_old || depth == RENEW_DEPTH) return ref;
  node->mark = w->n_replaced;
  Ref operands[3] = {node->a, node->b, node->c};
  bool has_changed = false;
  for (unsigned i = 0; i < 3; i++) {
    if (operands[i] == 0) continue;
    Ref better = renew(w, operands[i], depth + 1);
    has_changed |= better != operands[i];
    operands[i] = better;
  }
  if (!has_changed) return ref;
  node = NODE(ir, ref);
  node->a = operands[0], node->b = operands[1], node->c = operands[2];
  Ref better = fold_again(ir, ref);
  if (better == ref) return ref;
  *NODE(ir, ref) = (Node){.op = IR_NOP, .type = NODE(ir, ref)->type, .a = better};
  NODE(ir, better)->mark = w->n_replaced;
  return better;
}

/* Known conditions */

/* All tests for zero of 64-bit values are written as one node. */
static Ref condition_of(Walker *w, Ref condition, bool *is_negated) {
  uint64_t bits;
  condition = fold_condition(w->ir, ir_follow(w->ir, condition), is_negated);
  const Node *node = NODE(w->ir, condition);
  if (node->op == OP_I64_NE && fold_is_const(w->ir, node->b, &bits) && bits == 0) {
    *is_negated = !*is_negated;
    return fold_unary(w->ir, OP_I64_EQZ, node->a);
  }
  return condition;
}

/* 1: holds, 0: does not, -1: who knows */
static int look_up(Walker *w, Ref condition) {
  bool is_negated;
  uint64_t bits;
  condition = condition_of(w, condition, &is_negated);
  if (fold_is_const(w->ir, condition, &bits)) return ((uint32_t)bits != 0) != is_negated;
  Block where = condition < w->room_known ? w->known_in[condition] : 0;
  if (where == 0 || !w->is_above[where]) return -1;
  return w->is_known_set[condition] != is_negated;
}

static void learn(Walker *w, Ref condition, bool holds, Block where) {
  bool is_negated;
  condition = condition_of(w, condition, &is_negated);
  if (condition >= w->room_known) return;
  w->known_in[condition] = where;
  w->is_known_set[condition] = holds != is_negated;
}

/* Effects that were seen */

static uint32_t hash_effect(const Node *node) {
  uint64_t h = (uint64_t)node->a << 32 | node->b;
  h = (h ^ node->imm * 31) * UINT64_C(0x9E3779B97F4A7C15);
  for (uint32_t i = 0; i < node->n_args; i++)
    h = (h ^ node->args[i]) * UINT64_C(0xC2B2AE3D27D4EB4F);
  return (uint32_t)(h >> 32) ^ node->op * 2654435761u ^ node->lane;
}

static bool same_effect(const Node *x, const Node *y) {
  return x->op == y->op && x->a == y->a && x->b == y->b && x->imm == y->imm && x->lane == y->lane &&
         x->n_args == y->n_args &&
         (x->n_args == 0 || memcmp(x->args, y->args, x->n_args * sizeof(Ref)) == 0);
}

/* One like it above, or 0; then this one is remembered. */
static Ref see(Walker *w, Ref ref) {
  const Node *node = NODE(w->ir, ref);
  uint32_t mask = w->room_seen - 1, at = hash_effect(node) & mask;
  for (; w->seen[at] != 0; at = (at + 1) & mask) {
    const Node *other = NODE(w->ir, w->seen[at]);
    if (!same_effect(other, node)) continue;
    if (w->is_above[other->block]) return w->seen[at];
    w->seen[at] = ref;
    return 0;
  }
  if (w->n_seen < w->room_seen / 2) {
    w->seen[at] = ref;
    w->n_seen++;
  }
  return 0;
}

/* Entries */

static void forget_all(Walker *w) {
  w->now.n = w->now.next = 0;
}

static void forget_at(State *state, uint32_t i) {
  state->entries[i] = state->entries[--state->n];
  state->next = 0;
}

static void forget_class(Walker *w, unsigned class) {
  State *state = &w->now;
  for (uint32_t i = state->n; i-- > 0;)
    if (state->entries[i].class == class) forget_at(state, i);
}

static void remember(Walker *w, const Entry *entry) {
  State *state = &w->now;
  if (state->n < ENTRIES) {
    state->entries[state->n++] = *entry;
  } else {
    state->entries[state->next] = *entry;
    state->next = (state->next + 1) % ENTRIES;
  }
}

static const Entry *find_entry(const Walker *w, const Entry *wanted) {
  const State *state = &w->now;
  for (uint32_t i = 0; i < state->n; i++) {
    const Entry *entry = &state->entries[i];
    if (entry->offset == wanted->offset && entry->a == wanted->a && entry->b == wanted->b &&
        entry->class == wanted->class && entry->width == wanted->width &&
        entry->memory == wanted->memory)
      return entry;
  }
  return NULL;
}

/* Addresses as base + number, modulo 2^32 for those of 32 bits. */
static uint64_t split_address(const Ir *ir, Ref *base, uint64_t offset) {
  const Node *node = NODE(ir, *base);
  uint64_t bits;
  bool is_sum = node->op == OP_I32_ADD || node->op == OP_I64_ADD;
  if (!is_sum || !fold_is_const(ir, node->b, &bits)) return offset;
  *base = node->a;
  return offset + bits;
}

/* Accesses that both go through touch the same bytes only when they do so modulo 2^32. */
static bool may_overlap_memory(const Ir *ir, const Entry *x, const Entry *y) {
  if (x->memory != y->memory) return false;
  Ref a = x->a, b = y->a;
  bool is_32 = NODE(ir, a)->type == KIND_I32;
  uint64_t distance = split_address(ir, &a, x->offset) - split_address(ir, &b, y->offset);
  if (a != b) return true;
  uint64_t back = 0 - distance;
  if (is_32) distance = (uint32_t)distance, back = (uint32_t)back;
  return distance < y->width || back < x->width;
}

static bool may_overlap(const Walker *w, const Entry *x, const Entry *y) {
  if (x->class != y->class) return false;
  switch (x->class) {
    case CLASS_CELL: {
      /* A global may be imported twice. */
      uint32_t n_imported = w->ir->module->n_imported_globals;
      return x->memory == y->memory || (x->memory < n_imported && y->memory < n_imported);
    }
    case CLASS_MEMORY: return may_overlap_memory(w->ir, x, y);
    default:
      if (x->b != 0 || y->b != 0) return true;
      return x->offset < y->offset + y->width && y->offset < x->offset + x->width;
  }
}

static void forget_overlaps(Walker *w, const Entry *stored) {
  State *state = &w->now;
  for (uint32_t i = state->n; i-- > 0;)
    if (may_overlap(w, &state->entries[i], stored)) forget_at(state, i);
}

/* Values in memory as values of a load */

static Ref as_i32(Ir *ir, Ref value) {
  switch (NODE(ir, value)->type) {
    case KIND_I32: return value;
    case KIND_F32: return fold_unary(ir, OP_I32_REINTERPRET_F32, value);
    default: return fold_unary(ir, OP_I32_WRAP_I64, value);
  }
}

static Ref extend_i32(Ir *ir, Ref value, unsigned width, bool is_signed) {
  if (width == 4) return value;
  if (is_signed) return fold_unary(ir, width == 1 ? OP_I32_EXTEND8_S : OP_I32_EXTEND16_S, value);
  return fold_binary(ir, OP_I32_AND, value, fold_i32(ir, width == 1 ? UINT8_MAX : UINT16_MAX));
}

static Ref narrow_as(Ir *ir, Ref value, unsigned type, unsigned width, bool is_signed) {
  Ref low = extend_i32(ir, as_i32(ir, value), width, is_signed);
  if (type == KIND_I32) return low;
  if (type == KIND_F32) return fold_unary(ir, OP_F32_REINTERPRET_I32, low);
  return fold_unary(ir, is_signed ? OP_I64_EXTEND_I32_S : OP_I64_EXTEND_I32_U, low);
}

/* 0: there is no simple way. */
static Ref loaded_as(Ir *ir, Ref value, unsigned type, unsigned width, bool is_signed) {
  unsigned have = NODE(ir, value)->type;
  if (width == 16) return have == type ? value : 0;
  if (width == 4 && have == type && type != KIND_I64) return value;
  if (width < 8) return narrow_as(ir, value, type, width, is_signed);
  if (have == type) return value;
  bool is_word = have == KIND_I64 || have == KIND_REF, wants_word = type != KIND_F64;
  if (is_word && wants_word) return type == KIND_REF ? 0 : value;
  if (is_word) return fold_unary(ir, OP_F64_REINTERPRET_I64, value);
  return type == KIND_I64 ? fold_unary(ir, OP_I64_REINTERPRET_F64, value) : 0;
}

static bool is_signed_load(unsigned op) {
  switch (op) {
    case OP_I32_LOAD8_S:
    case OP_I32_LOAD16_S:
    case OP_I64_LOAD8_S:
    case OP_I64_LOAD16_S:
    case OP_I64_LOAD32_S: return true;
    default: return false;
  }
}

/* Takes the node out of the program. */
static void replace(Walker *w, Ref ref, Ref by) {
  Node *node = NODE(w->ir, ref);
  *node = (Node){.op = IR_NOP, .type = node->type, .a = by};
  w->ir->has_replaced = true;
  w->n_replaced++;
}

static void load(Walker *w, Ref ref, Entry *entry, bool is_signed) {
  const Entry *found = find_entry(w, entry);
  Node *node = NODE(w->ir, ref);
  Ref value = found ? loaded_as(w->ir, found->value, node->type, entry->width, is_signed) : 0;
  if (value != 0) {
    replace(w, ref, value);
  } else if (!found) {
    entry->value = ref;
    remember(w, entry);
  }
}

/* A store of what is there already goes. */
static void store(Walker *w, Ref ref, Entry *entry) {
  const Entry *found = find_entry(w, entry);
  if (found && found->value == entry->value) {
    replace(w, ref, 0);
  } else {
    forget_overlaps(w, entry);
    remember(w, entry);
  }
}

static Entry cell_entry(const Node *node) {
  return (Entry){.class = CLASS_CELL, .width = 16, .memory = (uint32_t)node->imm};
}

static Entry memory_entry(const Node *node) {
  return (Entry){.class = CLASS_MEMORY,
                 .width = op_info[node->op].width,
                 .memory = node->memory,
                 .a = node->a,
                 .offset = node->imm,
                 .value = node->b};
}

static Entry field_entry(const Node *node) {
  static const uint8_t widths[] = {1, 1, 2, 2, 4, 8, 16};
  unsigned class = node->memory == ALIAS_TABLE   ? CLASS_TABLE
                   : node->memory == ALIAS_ITEMS ? CLASS_ITEMS
                                                 : CLASS_OBJECT;
  return (Entry){.class = (uint16_t) class,
                 .width = widths[node->lane],
                 .a = node->a,
                 .b = node->b,
                 .offset = node->imm,
                 .value = node->c};
}

/* Accesses to linear memory */

static bool is_plain_load(const Node *node) {
  return node->op >= OP_I32_LOAD && node->op <= OP_I64_LOAD32_U;
}
static bool is_plain_store(const Node *node) {
  return node->op >= OP_I32_STORE && node->op <= OP_I64_STORE32;
}

static void memory_access(Walker *w, Ref ref) {
  const Node *node = NODE(w->ir, ref);
  Entry entry = memory_entry(node);
  unsigned flags = op_info[node->op].flags;
  if (flags & OPF_ATOMIC) {
    forget_class(w, CLASS_MEMORY);
  } else if (is_plain_load(node) || node->op == OP_V128_LOAD) {
    load(w, ref, &entry, is_signed_load(node->op));
  } else if (is_plain_store(node) || node->op == OP_V128_STORE) {
    store(w, ref, &entry);
  } else if (flags & OPF_STORE) { /* of a lane: the value is not what is stored */
    forget_overlaps(w, &entry);
  }
}

static void field_load(Walker *w, Ref ref) {
  const Node *node = NODE(w->ir, ref);
  if (node->memory == ALIAS_FIXED) {
    Ref found = see(w, ref);
    if (found != 0 && NODE(w->ir, found)->type == node->type) replace(w, ref, found);
    return;
  }
  Entry entry = field_entry(node);
  load(w, ref, &entry, node->lane == FIELD_I8_S || node->lane == FIELD_I16_S);
}

static void field_store(Walker *w, Ref ref) {
  const Node *node = NODE(w->ir, ref);
  if (node->memory == ALIAS_FIXED) return;
  Entry entry = field_entry(node);
  store(w, ref, &entry);
}

/* Effects one by one */

static void helper(Walker *w, Ref ref) {
  const Node *node = NODE(w->ir, ref);
  unsigned clobbers = helper_info[node->imm].clobbers;
  if (clobbers == 0 && node->type != KIND_BOTTOM) {
    Ref found = see(w, ref);
    if (found != 0) replace(w, ref, found);
    return;
  }
  if ((clobbers & CLOBBERS_ALL) == CLOBBERS_ALL) forget_all(w);
  if (clobbers & CLOBBERS_MEMORY) forget_class(w, CLASS_MEMORY);
  if (clobbers & CLOBBERS_SIZE) forget_class(w, CLASS_SIZE);
  if (clobbers & CLOBBERS_OBJECT) forget_class(w, CLASS_OBJECT);
  if (clobbers & CLOBBERS_TABLE) {
    forget_class(w, CLASS_TABLE);
    forget_class(w, CLASS_ITEMS);
  }
}

static void trap_if(Walker *w, Ref ref, Block block) {
  Node *node = NODE(w->ir, ref);
  Ref condition = node->a;
  int known = look_up(w, condition);
  if (known == 0) {
    replace(w, ref, 0);
  } else if (known == 1) {
    Ref one = fold_i32(w->ir, 1); /* may move the nodes */
    NODE(w->ir, ref)->a = one;
    w->has_changed = true;
  } else {
    learn(w, condition, false, block);
  }
}

/* Folding may move the nodes. */
static void renew_operands(Walker *w, Ref ref) {
  Node *node = NODE(w->ir, ref);
  if (w->n_replaced == 0) return;
  Ref a = node->a, b = node->b, c = node->c;
  if (a != 0) a = renew(w, a, 0);
  if (b != 0) b = renew(w, b, 0);
  if (c != 0) c = renew(w, c, 0);
  node = NODE(w->ir, ref);
  node->a = a, node->b = b, node->c = c;
  for (uint32_t i = 0; i < node->n_args; i++) node->args[i] = ir_follow(w->ir, node->args[i]);
}

static void effect(Walker *w, Ref ref, Block block) {
  renew_operands(w, ref);
  Node *node = NODE(w->ir, ref);
  Entry entry;
  switch (node->op) {
    case IR_CELL_LOAD:
      entry = cell_entry(node);
      load(w, ref, &entry, false);
      break;
    case IR_CELL_STORE:
      entry = cell_entry(node);
      entry.value = node->b;
      store(w, ref, &entry);
      break;
    case IR_MEMORY_BYTES:
      entry = (Entry){.class = CLASS_SIZE, .width = 8, .memory = node->memory};
      load(w, ref, &entry, false);
      break;
    case IR_FIELD_LOAD: field_load(w, ref); break;
    case IR_FIELD_STORE: field_store(w, ref); break;
    case IR_CALL_HELPER: helper(w, ref); break;
    case IR_CALL:
    case IR_CALL_INDIRECT:
    case IR_CALL_REF:
    case IR_POLL:
    case IR_FUEL: forget_all(w); break;
    case IR_TRAP_IF: trap_if(w, ref, block); break;
    case OP_ATOMIC_FENCE: forget_class(w, CLASS_MEMORY); break;
    default:
      if (node->op >= IR_FIRST) break;
      if (op_info[node->op].width != 0) {
        memory_access(w, ref);
      } else {
        Ref found = see(w, ref);
        if (found != 0) replace(w, ref, found);
      }
  }
}

/* Blocks */

static void end_block(Walker *w, Block block) {
  Ir *ir = w->ir;
  Node *end = ir_end(ir, block);
  if (end->op != IR_BRANCH) return;
  int known = look_up(w, end->a);
  if (known < 0 || NODE(ir, end->a)->op == IR_CONST) return;
  Ref value = fold_i32(ir, (uint32_t)known);
  ir_end(ir, block)->a = value;
  w->has_changed = true;
}

/* What the branch before says when this block is reached from there alone. */
static void learn_from_branch(Walker *w, Block block) {
  const BlockInfo *info = BLOCK_OF(w->ir, block);
  if (info->n_preds != 1) return;
  const Node *end = ir_end(w->ir, info->preds[0]);
  if (end->op != IR_BRANCH) return;
  learn(w, end->a, BLOCK_OF(w->ir, info->preds[0])->succs[0] == block, block);
}

static void restore_state(Walker *w, Block block) {
  const BlockInfo *info = BLOCK_OF(w->ir, block);
  const State *saved = info->n_preds == 1 ? w->saved[info->preds[0]] : NULL;
  forget_all(w);
  if (!saved) return;
  w->now.n = saved->n;
  memcpy(w->now.entries, saved->entries, saved->n * sizeof *saved->entries);
}

/* For the blocks below that are reached from this one alone. */
static void save_state(Walker *w, Block block) {
  Ir *ir = w->ir;
  bool is_wanted = false;
  if (w->now.n == 0 || ir->n_blocks > SAVED_BLOCKS_MAX) return;
  for (Block child = w->first_child[block]; child != 0; child = w->next_sibling[child])
    is_wanted |= BLOCK_OF(ir, child)->n_preds == 1;
  if (!is_wanted) return;
  size_t size = offsetof(State, entries) + w->now.n * sizeof(Entry);
  w->saved[block] = arena_copy(ir->arena, &w->now, size);
}

static void enter(Walker *w, Block block) {
  Ir *ir = w->ir;
  w->is_above[block] = true;
  restore_state(w, block);
  learn_from_branch(w, block);
  Refs *effects = &BLOCK_OF(ir, block)->effects;
  uint32_t n_kept = 0;
  for (uint32_t i = 0; i < effects->n; i++) {
    Ref ref = effects->items[i];
    effect(w, ref, block);
    if (NODE(ir, ref)->op != IR_NOP) effects->items[n_kept++] = ref;
  }
  effects->n = n_kept;
  end_block(w, block);
  save_state(w, block);
}

static void make_tree(Walker *w) {
  Ir *ir = w->ir;
  w->first_child = ARENA_ARRAY(ir->arena, Block, ir->n_blocks);
  w->next_sibling = ARENA_ARRAY(ir->arena, Block, ir->n_blocks);
  for (uint32_t i = ir->n_order; i-- > 1;) {
    Block block = ir->by_rpo[i], idom = BLOCK_OF(ir, block)->idom;
    w->next_sibling[block] = w->first_child[idom];
    w->first_child[idom] = block;
  }
}

/* Down the dominator tree; a block is left when all below it were visited. */
static void walk(Walker *w) {
  Block block = w->ir->entry;
  enter(w, block);
  for (;;) {
    Block next = w->first_child[block];
    while (next == 0) {
      w->is_above[block] = false;
      if (block == w->ir->entry) return;
      next = w->next_sibling[block];
      block = BLOCK_OF(w->ir, block)->idom;
    }
    block = next;
    enter(w, block);
  }
}

/* Nodes whose operands were replaced may be the same as others now, or simpler. */
static void fold_users(Ir *ir) {
  if (!ir->has_replaced) return;
  uint32_t n = ir->n_nodes;
  for (Ref ref = 1; ref < n; ref++) {
    Node *node = NODE(ir, ref);
    if (!ir_is_floating(node) || node->op == IR_NOP || ir_is_constant(node)) continue;
    Ref a = ir_follow(ir, node->a), b = ir_follow(ir, node->b), c = ir_follow(ir, node->c);
    if (a == node->a && b == node->b && c == node->c) continue;
    node->a = a, node->b = b, node->c = c;
    Ref better = fold_again(ir, ref);
    if (better != ref) *NODE(ir, ref) = (Node){.op = IR_NOP, .type = node->type, .a = better};
  }
}

bool memopt_run(Ir *ir) {
  for (Ref ref = 0; ref < ir->n_nodes; ref++) NODE(ir, ref)->mark = 0;
  Walker w = {.ir = ir, .room_known = ir->n_nodes + ir->n_nodes / 4 + 64, .room_seen = 64};
  while (w.room_seen < ir->n_nodes / 4) w.room_seen *= 2;
  w.is_above = ARENA_ARRAY(ir->arena, bool, ir->n_blocks);
  w.known_in = ARENA_ARRAY(ir->arena, Block, w.room_known);
  w.is_known_set = arena_new(ir->arena, w.room_known * sizeof *w.is_known_set);
  w.seen = ARENA_ARRAY(ir->arena, Ref, w.room_seen);
  w.saved = ARENA_ARRAY(ir->arena, State *, ir->n_blocks);
  make_tree(&w);
  walk(&w);
  fold_users(ir);
  ir_follow_operands(ir);
  return w.has_changed;
}
