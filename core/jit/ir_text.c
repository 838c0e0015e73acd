/* ir_text.c - a function's IR as text, and the checker.
 */
#include <inttypes.h>
#include <stdio.h>

#include "ir.h"

/* Text */

static const char *const kind_texts[] = {
    [KIND_BOTTOM] = "", [KIND_I32] = "i32",   [KIND_I64] = "i64", [KIND_F32] = "f32",
    [KIND_F64] = "f64", [KIND_V128] = "v128", [KIND_REF] = "ref",
};
static const char *const field_texts[] = {"i8_s", "i8_u", "i16_s", "i16_u", "32", "64", "128"};
static const char *const alias_texts[] = {"fixed", "table", "items", "object"};

static void print_operand(const Ir *ir, Ref ref, Buf *out) {
  const Node *node = NODE(ir, ref);
  if (node->op == IR_CONST) {
    buf_printf(out, " %s", kind_texts[node->type]);
    if (node->type == KIND_I32) {
      buf_printf(out, ":%" PRId32, (int32_t)(uint32_t)node->imm);
    } else if (node->type == KIND_I64) {
      buf_printf(out, ":%" PRId64, (int64_t)node->imm);
    } else {
      buf_printf(out, ":0x%" PRIx64, node->imm);
    }
  } else if (node->op == IR_CONST_V128) {
    const uint8_t *bytes = ir->vectors.items[node->imm];
    buf_printf(out, " v128:0x%016" PRIx64 "%016" PRIx64, load_u64(bytes + 8), load_u64(bytes));
  } else {
    buf_printf(out, " v%" PRIu32, ref);
  }
}

static void print_numbers(const Node *node, Buf *out) {
  switch (node->op) {
    case IR_FIELD_LOAD:
    case IR_FIELD_STORE:
      buf_printf(out, " +%" PRIu64 " %s %s", node->imm, field_texts[node->lane],
                 alias_texts[node->memory]);
      return;
    case IR_CALL_HELPER: buf_printf(out, " %s", helper_info[node->imm].name); return;
    case IR_TRAP:
    case IR_TRAP_IF: buf_printf(out, " \"%s\"", trap_text((Trap)node->imm)); return;
    case IR_CALL_INDIRECT:
    case IR_TAIL_INDIRECT:
      buf_printf(out, " type %" PRIu32 " table %" PRIu32, (uint32_t)node->imm,
                 (uint32_t)(node->imm >> 32));
      return;
    case IR_MEMORY_BYTES: buf_printf(out, " %" PRIu32, node->memory); return;
    case IR_PARAM:
    case IR_RESULT:
    case IR_GLOBAL_CELL:
    case IR_GLOBAL_CONST:
    case IR_FUNC_REF:
    case IR_TABLE_OBJECT:
    case IR_TAG_OBJECT:
    case IR_TYPE_OBJECT:
    case IR_CALL:
    case IR_CALL_REF:
    case IR_TAIL_CALL:
    case IR_TAIL_REF:
    case IR_FUEL: buf_printf(out, " %" PRIu64, node->imm); return;
    default: break;
  }
  if (node->op >= IR_FIRST) return;
  if (op_info[node->op].width != 0 && node->imm != 0) buf_printf(out, " +%" PRIu64, node->imm);
  if (node->memory != 0) buf_printf(out, " memory %" PRIu32, node->memory);
  if (op_info[node->op].imm == IMM_LANE || op_info[node->op].imm == IMM_MEMARG_LANE)
    buf_printf(out, " lane %u", node->lane);
}

static void print_node(const Ir *ir, Ref ref, Buf *out) {
  const Node *node = NODE(ir, ref);
  buf_str(out, "  ");
  if (node->type != KIND_BOTTOM) buf_printf(out, "v%" PRIu32 ":%s = ", ref, kind_texts[node->type]);
  buf_str(out, ir_op_text(node->op));
  print_numbers(node, out);
  Ref operands[3];
  uint32_t n = ir_operands(node, operands);
  for (uint32_t i = 0; i < n; i++) print_operand(ir, operands[i], out);
  for (uint32_t i = 0; i < node->n_args; i++) print_operand(ir, node->args[i], out);
}

static void print_block(const Ir *ir, Block block, Buf *out) {
  const BlockInfo *info = BLOCK_OF(ir, block);
  buf_printf(out, "b%" PRIu32 ":", block);
  for (uint32_t i = 0; i < info->n_preds; i++)
    buf_printf(out, "%s b%" PRIu32, i == 0 ? " from" : "", info->preds[i]);
  if (info->depth != 0) buf_printf(out, ", loop b%" PRIu32 " depth %u", info->loop, info->depth);
  if (info->is_cold) buf_str(out, ", cold");
  buf_byte(out, '\n');
  for (uint32_t i = 0; i < info->phis.n; i++) {
    print_node(ir, info->phis.items[i], out);
    buf_byte(out, '\n');
  }
  for (uint32_t i = 0; i < info->effects.n; i++) {
    print_node(ir, info->effects.items[i], out);
    if (i + 1 == info->effects.n) {
      for (uint32_t s = 0; s < info->n_succs; s++) buf_printf(out, " b%" PRIu32, info->succs[s]);
    }
    buf_byte(out, '\n');
  }
}

/* Floating nodes that have no block yet. */
static void print_floating(const Ir *ir, Buf *out) {
  bool is_first = true;
  for (Ref ref = 1; ref < ir->n_nodes; ref++) {
    const Node *node = NODE(ir, ref);
    if (!ir_is_floating(node) || ir_is_constant(node) || node->op == IR_NOP || node->block != 0)
      continue;
    if (is_first) buf_str(out, "floating:\n");
    is_first = false;
    print_node(ir, ref, out);
    buf_byte(out, '\n');
  }
}

void ir_print(const Ir *ir, Buf *out) {
  buf_printf(out, "func %" PRIu32 "\n", ir->func);
  if (ir->n_order == 0) print_floating(ir, out);
  for (uint32_t i = 0; i < ir->n_order; i++) print_block(ir, ir->order[i], out);
  for (Block block = 1; ir->n_order == 0 && block < ir->n_blocks; block++) {
    if (BLOCK_OF(ir, block)->effects.n != 0) print_block(ir, block, out);
  }
}

/* Checking */

typedef struct Checker {
  const Ir *ir;
  Arena *arena;
  IrStage stage;
  char *wrong;     /* the first thing found, or NULL */
  bool *is_live;   /* by block: can be reached */
  uint32_t *place; /* by node: number in its block's list from 1, when it stands in one */
} Checker;

static void complain(Checker *c, const char *what, Ref ref, Block block) {
  if (c->wrong) return;
  c->wrong = arena_new(c->arena, 200);
  snprintf(c->wrong, 200, "function %" PRIu32 ", node %" PRIu32 " (%s), block %" PRIu32 ": %s",
           c->ir->func, ref, ir_op_text(NODE(c->ir, ref)->op), block, what);
}

static void mark_live(Checker *c) {
  const Ir *ir = c->ir;
  Block *work = ARENA_ARRAY(c->arena, Block, ir->n_blocks);
  uint32_t n = 0;
  c->is_live = ARENA_ARRAY(c->arena, bool, ir->n_blocks);
  work[n++] = ir->entry;
  c->is_live[ir->entry] = true;
  while (n != 0) {
    const BlockInfo *info = BLOCK_OF(ir, work[--n]);
    for (uint32_t i = 0; i < info->n_succs; i++) {
      if (c->is_live[info->succs[i]]) continue;
      c->is_live[info->succs[i]] = true;
      work[n++] = info->succs[i];
    }
  }
}

static bool contains(const Block *blocks, uint32_t n, Block block) {
  for (uint32_t i = 0; i < n; i++)
    if (blocks[i] == block) return true;
  return false;
}

static void check_edges(Checker *c, Block block) {
  const Ir *ir = c->ir;
  const BlockInfo *info = BLOCK_OF(ir, block);
  for (uint32_t i = 0; i < info->n_succs; i++) {
    const BlockInfo *succ = BLOCK_OF(ir, info->succs[i]);
    if (!contains(succ->preds, succ->n_preds, block)) complain(c, "missing predecessor", 0, block);
    if (c->stage >= IR_SHAPED && info->n_succs > 1 && succ->phis.n != 0)
      complain(c, "critical edge to a block with phis", 0, block);
  }
  for (uint32_t i = 0; i < info->n_preds; i++) {
    const BlockInfo *pred = BLOCK_OF(ir, info->preds[i]);
    if (!contains(pred->succs, pred->n_succs, block)) complain(c, "no such edge", 0, block);
    if (contains(info->preds, i, info->preds[i])) complain(c, "predecessor twice", 0, block);
  }
}

static bool same_kind(unsigned a, unsigned b) {
  if (a == KIND_REF) a = KIND_I64;
  if (b == KIND_REF) b = KIND_I64;
  return a == b;
}

static void check_list(Checker *c, Block block) {
  const Ir *ir = c->ir;
  const BlockInfo *info = BLOCK_OF(ir, block);
  for (uint32_t i = 0; i < info->phis.n; i++) {
    Ref ref = info->phis.items[i];
    const Node *phi = NODE(ir, ref);
    if (phi->op != IR_PHI || phi->block != block) complain(c, "no phi", ref, block);
    if (phi->n_args != info->n_preds) complain(c, "phi with other arguments", ref, block);
    for (uint32_t k = 0; k < phi->n_args; k++)
      if (!same_kind(NODE(ir, phi->args[k])->type, phi->type))
        complain(c, "argument of another type", ref, block);
  }
  if (info->effects.n == 0) {
    complain(c, "empty block", 0, block);
    return;
  }
  for (uint32_t i = 0; i < info->effects.n; i++) {
    Ref ref = info->effects.items[i];
    const Node *node = NODE(ir, ref);
    bool is_last = i + 1 == info->effects.n;
    if (node->op == IR_NOP || node->op == IR_PHI) complain(c, "does not belong here", ref, block);
    if (node->block != block) complain(c, "block is wrong", ref, block);
    if (ir_is_end(node) != is_last) complain(c, "ends in the wrong place", ref, block);
    if (c->stage < IR_PLACED && ir_is_floating(node)) complain(c, "floats in a list", ref, block);
    if (c->place[ref] != 0) complain(c, "stands twice", ref, block);
    c->place[ref] = i + 1;
  }
}

static unsigned letter_kind(char letter, const Checker *c, const Node *node) {
  switch (letter) {
    case 'i': return KIND_I32;
    case 'l': return KIND_I64;
    case 'f': return KIND_F32;
    case 'd': return KIND_F64;
    case 'v': return KIND_V128;
    default: return c->ir->module->memories[node->memory].limits.is_64 ? KIND_I64 : KIND_I32;
  }
}

/* Rows of opcodes.def have the operands of their signatures. */
static void check_types(Checker *c, Ref ref, Block block) {
  const Node *node = NODE(c->ir, ref);
  if (node->op >= IR_FIRST || op_info[node->op].sig[0] == '*') return;
  Ref operands[3] = {node->a, node->b, node->c};
  const char *sig = op_info[node->op].sig;
  for (unsigned i = 0; sig[i] != '>'; i++) {
    if (operands[i] == 0) {
      complain(c, "operand missing", ref, block);
    } else if (!same_kind(NODE(c->ir, operands[i])->type, letter_kind(sig[i], c, node))) {
      complain(c, "operand of another type", ref, block);
    }
  }
}

static bool dominates(const Ir *ir, Block above, Block block) {
  while (block != 0 && BLOCK_OF(ir, block)->rpo > BLOCK_OF(ir, above)->rpo)
    block = BLOCK_OF(ir, block)->idom;
  return block == above;
}

/* Is the value there at the end of the block, or before place `limit` of it? */
static void check_use(Checker *c, Ref user, Ref ref, Block block, uint32_t limit) {
  const Ir *ir = c->ir;
  const Node *node = NODE(ir, ref);
  if (ref == 0 || ref >= ir->n_nodes || node->op == IR_NOP || node->type == KIND_BOTTOM) {
    bool is_call = ref != 0 && ref < ir->n_nodes &&
                   (NODE(ir, user)->op == IR_RESULT || NODE(ir, user)->op == IR_GOTO_CATCH);
    if (!is_call) complain(c, "no value", user, block);
    return;
  }
  if (ir_is_constant(node)) return;
  if (c->stage < IR_PLACED && ir_is_floating(node)) return;
  if (node->op != IR_PHI && c->place[ref] == 0) {
    complain(c, "operand is in no list", user, block);
  } else if (node->block == block) {
    if (node->op != IR_PHI && c->place[ref] >= limit) complain(c, "used too early", user, block);
  } else if (c->stage >= IR_SHAPED && !dominates(ir, node->block, block)) {
    complain(c, "not dominated by an operand", user, block);
  }
}

static void check_uses(Checker *c, Block block) {
  const Ir *ir = c->ir;
  const BlockInfo *info = BLOCK_OF(ir, block);
  for (uint32_t i = 0; i < info->phis.n; i++) {
    const Node *phi = NODE(ir, info->phis.items[i]);
    for (uint32_t k = 0; k < phi->n_args; k++)
      check_use(c, info->phis.items[i], phi->args[k], info->preds[k], UINT32_MAX);
  }
  for (uint32_t i = 0; i < info->effects.n; i++) {
    Ref ref = info->effects.items[i];
    check_types(c, ref, block);
    FOR_OPERANDS(NODE(ir, ref), operand, { check_use(c, ref, *operand, block, i + 1); });
  }
}

const char *ir_check(const Ir *ir, Arena *arena, IrStage stage) {
  Checker c = {.ir = ir, .arena = arena, .stage = stage};
  c.place = ARENA_ARRAY(arena, uint32_t, ir->n_nodes);
  mark_live(&c);
  for (Block block = 1; block < ir->n_blocks; block++) {
    if (!c.is_live[block]) continue;
    check_edges(&c, block);
    check_list(&c, block);
  }
  for (Block block = 1; block < ir->n_blocks && !c.wrong; block++)
    if (c.is_live[block]) check_uses(&c, block);
  return c.wrong;
}
