/* ir.c - making nodes and blocks, and what is known about operations: made from the tables.
 */
#include "ir.h"

/* 1 for rows of numeric.def that can trap, and the type of each row's result. */
enum {
#define UN(name, r, a, expr)            TRAPS_##name = 0,
#define BIN(name, r, a, b, expr)        TRAPS_##name = 0,
#define UNT(name, r, a, trap, expr)     TRAPS_##name = 1,
#define BINT(name, r, a, b, trap, expr) TRAPS_##name = 1,
#include "../tables/numeric.def"
};
enum {
  TYPE_OF_i32 = KIND_I32,
  TYPE_OF_i64 = KIND_I64,
  TYPE_OF_f32 = KIND_F32,
  TYPE_OF_f64 = KIND_F64,
  TYPE_OF_v128 = KIND_V128,
#define UN(name, r, a, expr)            RESULT_OF_##name = TYPE_OF_##r,
#define BIN(name, r, a, b, expr)        RESULT_OF_##name = TYPE_OF_##r,
#define UNT(name, r, a, trap, expr)     RESULT_OF_##name = TYPE_OF_##r,
#define BINT(name, r, a, b, trap, expr) RESULT_OF_##name = TYPE_OF_##r,
#include "../tables/numeric.def"
#define VUN(name, body)         RESULT_OF_##name = KIND_V128,
#define VBIN(name, body)        RESULT_OF_##name = KIND_V128,
#define VTER(name, body)        RESULT_OF_##name = KIND_V128,
#define VSHIFT(name, body)      RESULT_OF_##name = KIND_V128,
#define VTEST(name, body)       RESULT_OF_##name = KIND_I32,
#define VSPLAT(name, t, body)   RESULT_OF_##name = KIND_V128,
#define VEXTRACT(name, t, body) RESULT_OF_##name = TYPE_OF_##t,
#define VREPLACE(name, t, body) RESULT_OF_##name = KIND_V128,
#define VSHUFFLE(name, body)    RESULT_OF_##name = KIND_V128,
#include "../tables/simd.def"
};

#define OP(name, text, prefix, code, imm, sig, how, feature) [OP_##name] = ROW_##how,
const uint8_t ir_class_of[IR_OP_END] = {
#define ROW_PURE(name)                     TRAPS_##name ? IR_EFFECT : IR_VALUE
#define ROW_PURE_NAN(name)                 TRAPS_##name ? IR_EFFECT : IR_VALUE
#define ROW_SIMD(name)                     IR_VALUE
#define ROW_SIMD_NAN(name)                 IR_VALUE
#define ROW_LOAD(name, type, mem)          IR_EFFECT
#define ROW_STORE(name, type, mem)         IR_EFFECT
#define ROW_SIMD_MEM(name, bytes)          IR_EFFECT
#define ROW_ATOMIC_LOAD(name, type, mem)   IR_EFFECT
#define ROW_ATOMIC_STORE(name, type, mem)  IR_EFFECT
#define ROW_ATOMIC_RMW(name, type, mem, x) IR_EFFECT
#define ROW_ATOMIC_CMPXCHG(name, type, m)  IR_EFFECT
#define ROW_ATOMIC_WAIT(name, bytes)       IR_EFFECT
#define ROW_CTL(name)                      IR_EFFECT
#include "../tables/opcodes.def"
#define IR(name, class, text) [IR_##name] = IR_##class,
#include "ir.def"
};
#undef ROW_PURE
#undef ROW_PURE_NAN
#undef ROW_SIMD
#undef ROW_SIMD_NAN
#undef ROW_LOAD
#undef ROW_STORE
#undef ROW_SIMD_MEM
#undef ROW_ATOMIC_LOAD
#undef ROW_ATOMIC_STORE
#undef ROW_ATOMIC_RMW
#undef ROW_ATOMIC_CMPXCHG
#undef ROW_ATOMIC_WAIT
#undef ROW_CTL

#define OP(name, text, prefix, code, imm, sig, how, feature) [OP_##name] = ROW_##how,
const uint8_t ir_result_of[OP_COUNT] = {
#define ROW_PURE(name)                     RESULT_OF_##name
#define ROW_PURE_NAN(name)                 RESULT_OF_##name
#define ROW_SIMD(name)                     RESULT_OF_##name
#define ROW_SIMD_NAN(name)                 RESULT_OF_##name
#define ROW_LOAD(name, type, mem)          TYPE_OF_##type
#define ROW_STORE(name, type, mem)         KIND_BOTTOM
#define ROW_SIMD_MEM(name, bytes)          KIND_V128
#define ROW_ATOMIC_LOAD(name, type, mem)   TYPE_OF_##type
#define ROW_ATOMIC_STORE(name, type, mem)  KIND_BOTTOM
#define ROW_ATOMIC_RMW(name, type, mem, x) TYPE_OF_##type
#define ROW_ATOMIC_CMPXCHG(name, type, m)  TYPE_OF_##type
#define ROW_ATOMIC_WAIT(name, bytes)       KIND_I32
#define ROW_CTL(name)                      KIND_BOTTOM
#include "../tables/opcodes.def"
};

const HelperInfo helper_info[HELPER_COUNT] = {
#define HELPER(name, signature, clobbers) {#name, signature, clobbers},
#include "helper.def"
};

static const char *const texts[IR_OP_END - IR_FIRST] = {
#define IR(name, class, text) text,
#include "ir.def"
};

const char *ir_op_text(unsigned op) {
  return op < IR_FIRST ? op_info[op].text : texts[op - IR_FIRST];
}

bool ir_is_removable(const Node *node) {
  switch (node->op) {
    case IR_CELL_LOAD:
    case IR_MEMORY_BYTES:
    case IR_FIELD_LOAD: return true;
    case IR_CALL_HELPER: return helper_info[node->imm].clobbers == 0 && node->type != KIND_BOTTOM;
    default: return ir_class_of[node->op] == IR_PINNED && node->op != IR_CAUGHT;
  }
}

uint32_t ir_operands(const Node *node, Ref out[3]) {
  uint32_t n = 0;
  if (node->a != 0) out[n++] = node->a;
  if (node->b != 0) out[n++] = node->b;
  if (node->c != 0) out[n++] = node->c;
  return n;
}

void ir_init(Ir *ir, Arena *arena, Module *module, uint32_t func, uint32_t room_nodes) {
  *ir = (Ir){.arena = arena,
             .module = module,
             .func = func,
             .type = module_func_type(module, func),
             .room_nodes = room_nodes};
  ir->nodes = arena_new(arena, (size_t)room_nodes * sizeof(Node));
  ir_node(ir, IR_NOP, KIND_BOTTOM);
  ir_block(ir);
}

void ir_grow_nodes(Ir *ir) {
  ir->nodes = arena_grow(ir->arena, ir->nodes, &ir->room_nodes, sizeof *ir->nodes);
}

Block ir_block(Ir *ir) {
  if (ir->n_blocks == ir->room_blocks)
    ir->blocks = arena_grow(ir->arena, ir->blocks, &ir->room_blocks, sizeof *ir->blocks);
  ir->blocks[ir->n_blocks] = (BlockInfo){0};
  return ir->n_blocks++;
}

void ir_append(Ir *ir, Block block, Ref ref) {
  ir->nodes[ref].block = block;
  VEC_PUSH(ir->arena, &ir->blocks[block].effects, ref);
}

void ir_add_pred(Ir *ir, Block block, Block pred) {
  BlockInfo *info = BLOCK_OF(ir, block);
  if (info->n_preds == info->room_preds)
    info->preds = arena_grow(ir->arena, info->preds, &info->room_preds, sizeof *info->preds);
  info->preds[info->n_preds++] = pred;
}

uint32_t ir_pred_index(const Ir *ir, Block block, Block pred) {
  const BlockInfo *info = BLOCK_OF(ir, block);
  uint32_t i = 0;
  while (info->preds[i] != pred) i++;
  return i;
}

void ir_follow_operands(Ir *ir) {
  if (!ir->has_replaced) return;
  ir->has_replaced = false;
  for (Ref ref = 1; ref < ir->n_nodes; ref++) {
    Node *node = NODE(ir, ref);
    if (node->op == IR_NOP) continue;
    FOR_OPERANDS(node, operand, { *operand = ir_follow(ir, *operand); });
  }
}
