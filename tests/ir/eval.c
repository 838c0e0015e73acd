/* eval.c - an engine that runs the compiler's IR as it is, for tests: no machine code is made.
 *
 * It stands where the interpreter stands: programs that link this file in place of core/interp run
 * everything through the machine-independent passes. With RILLE_EVAL_BESIDE it is eval_engine,
 * beside the interpreter. The environment says how: IR_STAGE=N    after which pass (0 build, 1 cfg,
 * 2 memopt, 3 place; the last is the default) IR_CHECKED=1  with explicit bounds checks everywhere
 *   IR_INLINE=0   without inlining
 *   IR_FUEL=1     with fuel counted in every run, of which there is plenty
 * The checker runs after each pass. Accesses that the IR does not check are checked here: in code
 * with explicit checks that is an error of the compiler, and the program aborts.
 *
 * Values lie on the value stack of the activation, where the collector finds references. A floating
 * node without a block is computed when it is asked for, once in each visit of a block.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "eval_leave.h"
#include "interp/interp.h"
#include "jit/cfg.h"
#include "jit/memopt.h"
#include "jit/passes.h"
#include "module/pure.h"
#include "runtime/memory.h"
#include "runtime/runtime.h"

enum { VARIANTS = 2, DEPTH_MAX = 250 };

/* What a module keeps: the IR of its functions, made on first call. */
typedef struct ModuleIr {
  Arena arena;
  Ir **irs[VARIANTS];
} ModuleIr;

typedef struct Run {
  Act *act;
  Slot *top; /* of the value stack */
  int64_t *fuel;
  unsigned variant, depth;
  jmp_buf jump; /* of the innermost helper call */
  RunStatus left;
} Run;

typedef struct Frame {
  Run *run;
  Instance *instance;
  const Ir *ir;
  Cell *values;
  uint32_t *stamps; /* floating nodes: when they were computed */
  uint32_t stamp;
  bool is_placed;
  Slot *results; /* of the last call */
} Frame;

static _Thread_local Run *current;

static unsigned setting(const char *name, unsigned otherwise) {
  const char *text = getenv(name);
  return text ? (unsigned)atoi(text) : otherwise;
}

_Noreturn static void give_up(const Frame *frame, Ref ref, const char *what) {
  fprintf(stderr, "eval: function %" PRIu32 ", node %" PRIu32 " (%s): %s\n", frame->ir->func, ref,
          ir_op_text(NODE(frame->ir, ref)->op), what);
  abort();
}

/* Compiling */

static void check(const Ir *ir, IrStage stage, void *user) {
  const char *wrong = ir_check(ir, user, stage);
  if (!wrong) return;
  fprintf(stderr, "eval: after pass %u: %s\n", stage, wrong);
  abort();
}

/* Stops after the pass that was asked for. */
static void compile(Module *module, Arena *arena, uint32_t func, bool counts_fuel, Ir *ir) {
  BuildOptions options = {.counts_fuel = counts_fuel,
                          .checks_memory = setting("IR_CHECKED", 0) != 0,
                          .inlines = setting("IR_INLINE", 1) != 0};
  unsigned last = setting("IR_STAGE", IR_PLACED);
  if (last == IR_PLACED) {
    passes_run(ir, arena, module, func, &options, check, arena);
    return;
  }
  ir_build(ir, arena, module, func, &options);
  if (last >= IR_SHAPED) cfg_run(ir);
  if (last >= IR_FORWARDED) memopt_run(ir);
  check(ir, (IrStage)last, arena);
}

static Ir *find_ir(const Func *func, unsigned variant) {
  Module *module = func->instance->module;
  ModuleIr *own = atomic_load(&module->engine_data);
  Ir **slot = &own->irs[variant][func->index];
  if (*slot) return *slot;
  Guard guard;
  Error error;
  Ir *ir = ARENA_NEW(&own->arena, Ir);
  if (!GUARD_TRY(&guard, &own->arena, &error)) {
    fprintf(stderr, "eval: function %" PRIu32 ": %s\n", func->index, error.message);
    abort();
  }
  compile(module, &own->arena, func->index, variant != 0, ir);
  guard_leave(&guard);
  return *slot = ir;
}

/* Values */

static Cell value_of(Frame *frame, Ref ref);

static Cell cell_of(uint64_t bits) {
  Cell cell;
  memset(&cell, 0, sizeof cell);
  cell.i64 = bits;
  return cell;
}

static Cell read_slots(const Slot *at, unsigned kind) {
  Cell cell = cell_of(kind == KIND_I32 || kind == KIND_F32 ? (uint32_t)*at : *at);
  if (kind == KIND_V128) memcpy(&cell.v128, at, 16);
  return cell;
}
static void write_slots(Slot *at, unsigned kind, Cell cell) {
  memcpy(at, &cell, kind == KIND_V128 ? 16 : 8);
}

static Cell evaluate_row(Frame *frame, const Node *node, Trap *trap) {
  Cell operands[3], out = cell_of(0);
  V128 immediate;
  Ref refs[3] = {node->a, node->b, node->c};
  memset(&immediate, 0, sizeof immediate);
  immediate.u8[0] = node->lane;
  if (node->op == OP_I8X16_SHUFFLE) memcpy(&immediate, frame->ir->vectors.items[node->imm], 16);
  for (unsigned i = 0; i < 3; i++)
    operands[i] = refs[i] != 0 ? value_of(frame, refs[i]) : cell_of(0);
  (void)pure_eval((Op)node->op, operands, &immediate, &out, trap);
  return out;
}

static Cell evaluate(Frame *frame, Ref ref) {
  const Node *node = NODE(frame->ir, ref);
  const Instance *instance = frame->instance;
  uint64_t imm = node->imm;
  Trap trap;
  switch (node->op) {
    case IR_SELECT: return value_of(frame, value_of(frame, node->a).i32 != 0 ? node->b : node->c);
    case IR_MULH_S:
      return cell_of(wide_mul_s(value_of(frame, node->a).i64, value_of(frame, node->b).i64).high);
    case IR_MULH_U:
      return cell_of(wide_mul_u(value_of(frame, node->a).i64, value_of(frame, node->b).i64).high);
    case IR_GLOBAL_CELL: return cell_of((uintptr_t)instance->globals[imm]);
    case IR_GLOBAL_CONST: return read_slots(instance->globals[imm], node->type);
    case IR_FUNC_REF: return cell_of((uintptr_t)instance->funcs[imm]);
    case IR_TABLE_OBJECT: return cell_of((uintptr_t)instance->tables[imm]);
    case IR_TAG_OBJECT: return cell_of((uintptr_t)instance->tags[imm]);
    case IR_TYPE_OBJECT: return cell_of((uintptr_t)type_of_id(instance->module->type_ids[imm]));
    default: break;
  }
  if (node->op >= IR_FIRST) give_up(frame, ref, "no floating node");
  return evaluate_row(frame, node, &trap);
}

static Cell value_of(Frame *frame, Ref ref) {
  const Node *node = NODE(frame->ir, ref);
  if (node->op == IR_CONST) return cell_of(node->imm);
  if (node->op == IR_CONST_V128) {
    Cell cell;
    memcpy(&cell.v128, frame->ir->vectors.items[node->imm], 16);
    return cell;
  }
  if (ir_is_floating(node) && !frame->is_placed && frame->stamps[ref] != frame->stamp) {
    frame->values[ref] = evaluate(frame, ref);
    frame->stamps[ref] = frame->stamp;
  } else if (frame->stamps[ref] == 0) {
    give_up(frame, ref, "used before it is made");
  }
  return frame->values[ref];
}

static void set_value(Frame *frame, Ref ref, Cell cell) {
  frame->values[ref] = cell;
  frame->stamps[ref] = frame->stamp;
}

/* Memory */

static uint8_t *access(Frame *frame, Ref ref) {
  const Node *node = NODE(frame->ir, ref);
  const Memory *memory = frame->instance->memories[node->memory];
  Cell cell = value_of(frame, node->a);
  uint64_t at = memory->type.limits.is_64 ? cell.i64 : cell.i32;
  uint64_t width = op_info[node->op].width;
  bool is_inside = node->imm <= UINT64_MAX - at && memory_fits(memory, at + node->imm, width);
  if (is_inside) return memory->base + at + node->imm;
  bool was_checked =
      frame->ir->checks_memory || memory->type.limits.is_64 || memory->type.page_log2 != 16;
  if (was_checked) give_up(frame, ref, "an access was not checked");
  return NULL;
}

static Cell load_extended(const uint8_t *at, unsigned bits, bool is_signed, bool is_64) {
  uint64_t x = 0;
  memcpy(&x, at, bits / 8);
  if (is_signed && bits < 64 && (x >> (bits - 1) & 1)) x |= UINT64_MAX << bits;
  return cell_of(is_64 ? x : (uint32_t)x);
}

static Cell apply(Op op, Cell a, Cell b, unsigned lane) {
  Cell operands[2] = {a, b}, out;
  V128 immediate;
  Trap trap;
  memset(&immediate, 0, sizeof immediate);
  immediate.u8[0] = (uint8_t)lane;
  (void)pure_eval(op, operands, &immediate, &out, &trap);
  return out;
}

/* Vector accesses that do more than move. */
static Cell vector_access(Frame *frame, const Node *node, uint8_t *at) {
  Cell read = cell_of(0), b = node->b != 0 ? value_of(frame, node->b) : cell_of(0);
  unsigned width = op_info[node->op].width, lane = node->lane;
  if (op_info[node->op].flags & OPF_STORE) { /* of a lane */
    memcpy(at, b.v128.u8 + lane * width, width);
    return b;
  }
  memcpy(&read, at, width);
  switch (node->op) {
    case OP_V128_LOAD8X8_S: return apply(OP_I16X8_EXTEND_LOW_I8X16_S, read, b, 0);
    case OP_V128_LOAD8X8_U: return apply(OP_I16X8_EXTEND_LOW_I8X16_U, read, b, 0);
    case OP_V128_LOAD16X4_S: return apply(OP_I32X4_EXTEND_LOW_I16X8_S, read, b, 0);
    case OP_V128_LOAD16X4_U: return apply(OP_I32X4_EXTEND_LOW_I16X8_U, read, b, 0);
    case OP_V128_LOAD32X2_S: return apply(OP_I64X2_EXTEND_LOW_I32X4_S, read, b, 0);
    case OP_V128_LOAD32X2_U: return apply(OP_I64X2_EXTEND_LOW_I32X4_U, read, b, 0);
    case OP_V128_LOAD8_SPLAT: return apply(OP_I8X16_SPLAT, read, b, 0);
    case OP_V128_LOAD16_SPLAT: return apply(OP_I16X8_SPLAT, read, b, 0);
    case OP_V128_LOAD32_SPLAT: return apply(OP_I32X4_SPLAT, read, b, 0);
    case OP_V128_LOAD64_SPLAT: return apply(OP_I64X2_SPLAT, read, b, 0);
    case OP_V128_LOAD8_LANE: return apply(OP_I8X16_REPLACE_LANE, b, read, lane);
    case OP_V128_LOAD16_LANE: return apply(OP_I16X8_REPLACE_LANE, b, read, lane);
    case OP_V128_LOAD32_LANE: return apply(OP_I32X4_REPLACE_LANE, b, read, lane);
    case OP_V128_LOAD64_LANE: return apply(OP_I64X2_REPLACE_LANE, b, read, lane);
    default: return read; /* zeroes above */
  }
}

#define B(m)        (m) value_of(frame, node->b).i64
#define C(m)        (m) value_of(frame, node->c).i64
#define RMW_ADD(m)  __atomic_fetch_add((m *)(void *)at, B(m), __ATOMIC_SEQ_CST)
#define RMW_SUB(m)  __atomic_fetch_sub((m *)(void *)at, B(m), __ATOMIC_SEQ_CST)
#define RMW_AND(m)  __atomic_fetch_and((m *)(void *)at, B(m), __ATOMIC_SEQ_CST)
#define RMW_OR(m)   __atomic_fetch_or((m *)(void *)at, B(m), __ATOMIC_SEQ_CST)
#define RMW_XOR(m)  __atomic_fetch_xor((m *)(void *)at, B(m), __ATOMIC_SEQ_CST)
#define RMW_XCHG(m) __atomic_exchange_n((m *)(void *)at, B(m), __ATOMIC_SEQ_CST)

static uint64_t compare_exchange(uint8_t *at, unsigned bytes, uint64_t expected, uint64_t wanted) {
  uint64_t mask = bytes == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * bytes) - 1, old = 0;
  memcpy(&old, at, bytes); /* scripts with threads do not come here at the same time */
  if (old == (expected & mask)) memcpy(at, &wanted, bytes);
  return old;
}

/* False: out of bounds. */
static bool run_access(Frame *frame, Ref ref) {
  const Node *node = NODE(frame->ir, ref);
  uint8_t *at = access(frame, ref);
  Cell result = cell_of(0);
  if (!at) return false;
  switch (node->op) {
    case OP_V128_LOAD: memcpy(&result, at, 16); break;
#define C_signed(m)                                          ((m)-1 < (m)1)
#define OP(name, text, prefix, code, imm, sig, how, feature) ROW_##how
#define ROW_PURE(name)
#define ROW_PURE_NAN(name)
#define ROW_SIMD(name)
#define ROW_SIMD_NAN(name)
#define ROW_CTL(name)
#define ROW_ATOMIC_WAIT(name, bytes)
#define ROW_SIMD_MEM(name, bytes)            \
  case OP_##name:                            \
    result = vector_access(frame, node, at); \
    break;
#define ROW_LOAD(name, t, m) ROW_LOAD_##t(name, m)
#define ROW_LOAD_i32(name, m)                                      \
  case OP_##name:                                                  \
    result = load_extended(at, 8 * sizeof(m), C_signed(m), false); \
    break;
#define ROW_LOAD_i64(name, m)                                     \
  case OP_##name:                                                 \
    result = load_extended(at, 8 * sizeof(m), C_signed(m), true); \
    break;
#define ROW_LOAD_f32(name, m)       \
  case OP_##name:                   \
    result = cell_of(load_u32(at)); \
    break;
#define ROW_LOAD_f64(name, m)       \
  case OP_##name:                   \
    result = cell_of(load_u64(at)); \
    break;
#define ROW_LOAD_v128(name, m)
#define ROW_STORE(name, t, m)                     \
  case OP_##name: {                               \
    Cell stored = value_of(frame, node->b);       \
    memcpy(at, &stored, op_info[node->op].width); \
    break;                                        \
  }
#define ROW_ATOMIC_LOAD(name, t, m)                                       \
  case OP_##name:                                                         \
    result = cell_of(__atomic_load_n((m *)(void *)at, __ATOMIC_SEQ_CST)); \
    break;
#define ROW_ATOMIC_STORE(name, t, m)                           \
  case OP_##name:                                              \
    __atomic_store_n((m *)(void *)at, B(m), __ATOMIC_SEQ_CST); \
    break;
#define ROW_ATOMIC_RMW(name, t, m, action) \
  case OP_##name:                          \
    result = cell_of(RMW_##action(m));     \
    break;
#define ROW_ATOMIC_CMPXCHG(name, t, m)                                           \
  case OP_##name:                                                                \
    result = cell_of(compare_exchange(at, sizeof(m), B(uint64_t), C(uint64_t))); \
    break;
#include "tables/opcodes.def"
    default: give_up(frame, ref, "unknown effect");
  }
  set_value(frame, ref, result);
  return true;
}

static uint8_t *field(Frame *frame, const Node *node) {
  static const uint8_t widths[] = {1, 1, 2, 2, 4, 8, 16};
  uint64_t base = value_of(frame, node->a).i64;
  uint64_t index = node->b != 0 ? value_of(frame, node->b).i32 : 0;
  return (uint8_t *)(uintptr_t)(base + node->imm + index * widths[node->lane]);
}

static Cell load_field(Frame *frame, const Node *node) {
  const uint8_t *at = field(frame, node);
  switch (node->lane) {
    case FIELD_I8_S: return load_extended(at, 8, true, false);
    case FIELD_I8_U: return load_extended(at, 8, false, false);
    case FIELD_I16_S: return load_extended(at, 16, true, false);
    case FIELD_I16_U: return load_extended(at, 16, false, false);
    case FIELD_32: return cell_of(load_u32(at));
    case FIELD_64: return cell_of(load_u64(at));
    default: {
      Cell cell;
      memcpy(&cell, at, 16);
      return cell;
    }
  }
}

static void store_field(Frame *frame, const Node *node) {
  static const uint8_t widths[] = {1, 1, 2, 2, 4, 8, 16};
  Cell cell = value_of(frame, node->c);
  memcpy(field(frame, node), &cell, widths[node->lane]);
}

/* Leaving */

void helper_mark(Instance *instance) {
  instance->act->value_top = current->top;
}
_Noreturn void helper_leave(Instance *instance, RunStatus status) {
  (void)instance;
  current->left = status;
  longjmp(current->jump, 1);
}
_Noreturn void helper_trap(Instance *instance, Trap trap) {
  helper_leave(instance, run_trap(instance->act, trap));
}
void helper_go_on(Instance *instance, Act *act, Trap trap, RunStatus status) {
  if (trap != TRAP_NONE) status = run_trap(act, trap);
  if (status != RUN_DONE) helper_leave(instance, status);
}

typedef uint64_t HelperFn(Instance *instance, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
static const struct {
  void (*fn)(void);
} helpers[HELPER_COUNT] = {
#define HELPER(name, signature, clobbers) {(void (*)(void))helper_##name},
#include "jit/helper.def"
};

static RunStatus call_helper(Frame *frame, Ref ref) {
  const Node *node = NODE(frame->ir, ref);
  uint64_t args[5] = {0};
  Run *run = frame->run;
  for (uint32_t i = 0; i < node->n_args; i++) args[i] = value_of(frame, node->args[i]).i64;
  frame->instance->act = run->act;
  current = run;
  if (setjmp(run->jump) != 0) return run->left;
  HelperFn *fn = (HelperFn *)helpers[node->imm].fn;
  uint64_t result = fn(frame->instance, args[0], args[1], args[2], args[3], args[4]);
  if (node->type == KIND_I32) result = (uint32_t)result;
  set_value(frame, ref, cell_of(result));
  return RUN_DONE;
}

/* Calls */

static RunStatus call(Run *run, Func *func, Slot *slots);

static Trap indirect_callee(Frame *frame, const Node *node, Func **callee) {
  const Table *table = frame->instance->tables[node->imm >> 32];
  Cell cell = value_of(frame, node->a);
  uint64_t index = table->type.limits.is_64 ? cell.i64 : cell.i32;
  if (index >= table->n) return TRAP_UNDEFINED_ELEMENT;
  *callee = (Func *)(uintptr_t)table->items[index];
  if (!*callee) return TRAP_UNINITIALIZED_ELEMENT;
  const Type *type = type_of_id(frame->instance->module->type_ids[(uint32_t)node->imm]);
  return func_has_type(*callee, type) ? TRAP_NONE : TRAP_INDIRECT_CALL_TYPE;
}

static Trap find_callee(Frame *frame, const Node *node, Func **callee) {
  switch (node->op) {
    case IR_CALL:
    case IR_TAIL_CALL: *callee = frame->instance->funcs[node->imm]; return TRAP_NONE;
    case IR_CALL_REF:
    case IR_TAIL_REF:
      *callee = (Func *)(uintptr_t)value_of(frame, node->a).i64;
      return *callee ? TRAP_NONE : TRAP_NULL_FUNCTION;
    default: return indirect_callee(frame, node, callee);
  }
}

static void put_args(Frame *frame, const Node *node, Slot *to) {
  for (uint32_t i = 0; i < node->n_args; i++) {
    unsigned kind = NODE(frame->ir, node->args[i])->type;
    write_slots(to, kind, value_of(frame, node->args[i]));
    to += kind == KIND_V128 ? 2 : 1;
  }
}

static RunStatus run_call(Frame *frame, Ref ref) {
  const Node *node = NODE(frame->ir, ref);
  Run *run = frame->run;
  Func *callee;
  Trap trap = find_callee(frame, node, &callee);
  if (trap != TRAP_NONE) return run_trap(run->act, trap);
  Slot *slots = run->top;
  if (run->act->value_end - slots < (ptrdiff_t)callee->n_slots + 64)
    return run_trap(run->act, TRAP_STACK_EXHAUSTED);
  put_args(frame, node, slots);
  RunStatus status = call(run, callee, slots);
  run->top = slots;
  if (status != RUN_DONE) return status;
  frame->results = slots;
  set_value(frame, ref, read_slots(slots, node->type));
  return RUN_DONE;
}

static Cell call_result(const Frame *frame, const Node *node) {
  /* The kinds of the results before it are those of the RESULT nodes before it in the list. */
  const Refs *list = &BLOCK_OF(frame->ir, node->block)->effects;
  uint32_t slot = 0;
  for (uint32_t i = 0; i < list->n; i++) {
    const Node *other = NODE(frame->ir, list->items[i]);
    if (other->op == IR_RESULT && other->a == node->a && other->imm < node->imm)
      slot += other->type == KIND_V128 ? 2 : 1;
  }
  return read_slots(frame->results + slot, node->type);
}

/* Blocks */

static void enter_block(Frame *frame, Block from, Block to) {
  const BlockInfo *info = BLOCK_OF(frame->ir, to);
  uint32_t n = info->phis.n;
  Cell *values = malloc((n + 1) * sizeof *values);
  if (n != 0) {
    uint32_t pred = ir_pred_index(frame->ir, to, from);
    for (uint32_t i = 0; i < n; i++)
      values[i] = value_of(frame, NODE(frame->ir, info->phis.items[i])->args[pred]);
  }
  frame->stamp++;
  for (uint32_t i = 0; i < n; i++) set_value(frame, info->phis.items[i], values[i]);
  free(values);
}

static RunStatus take_fuel(Frame *frame, const Node *node) {
  Run *run = frame->run;
  uint64_t cost = node->imm + (node->a != 0 ? value_of(frame, node->a).i64 : 0);
  *run->fuel -= (int64_t)MIN(cost, UINT64_C(1) << 62);
  return *run->fuel < 0 ? run_out_of_fuel(run->act, run->top) : RUN_DONE;
}

static RunStatus poll(Frame *frame) {
  Run *run = frame->run;
  if (atomic_load_explicit(frame->instance->poll, memory_order_relaxed) == 0) return RUN_DONE;
  return run_poll(run->act, run->top);
}

static RunStatus run_effect(Frame *frame, Ref ref, const Slot *args) {
  const Node *node = NODE(frame->ir, ref);
  RunStatus status = RUN_DONE;
  Trap trap = TRAP_NONE;
  switch (node->op) {
    case IR_PARAM: {
      const CompType *type = frame->ir->type;
      uint32_t slot = 0;
      for (uint32_t i = 0; i < node->imm; i++) slot += type_slots(type->types[i]);
      set_value(frame, ref, read_slots(args + slot, node->type));
      return RUN_DONE;
    }
    case IR_RESULT: set_value(frame, ref, call_result(frame, node)); return RUN_DONE;
    case IR_CAUGHT: set_value(frame, ref, cell_of(frame->run->act->exception)); return RUN_DONE;
    case IR_CELL_LOAD:
      set_value(frame, ref,
                read_slots((Slot *)(uintptr_t)value_of(frame, node->a).i64, node->type));
      return RUN_DONE;
    case IR_CELL_STORE:
      write_slots((Slot *)(uintptr_t)value_of(frame, node->a).i64, NODE(frame->ir, node->b)->type,
                  value_of(frame, node->b));
      return RUN_DONE;
    case IR_MEMORY_BYTES:
      set_value(frame, ref, cell_of(memory_size(frame->instance->memories[node->memory])));
      return RUN_DONE;
    case IR_FIELD_LOAD: set_value(frame, ref, load_field(frame, node)); return RUN_DONE;
    case IR_FIELD_STORE: store_field(frame, node); return RUN_DONE;
    case IR_CALL:
    case IR_CALL_INDIRECT:
    case IR_CALL_REF: return run_call(frame, ref);
    case IR_CALL_HELPER: return call_helper(frame, ref);
    case IR_TRAP_IF:
      if (value_of(frame, node->a).i32 != 0) trap = (Trap)node->imm;
      break;
    case IR_POLL: return poll(frame);
    case IR_FUEL: return take_fuel(frame, node);
    case OP_ATOMIC_FENCE: return RUN_DONE;
    default:
      if (ir_is_floating(node)) {
        set_value(frame, ref, evaluate(frame, ref));
      } else if (op_info[node->op].width != 0) {
        if (!run_access(frame, ref)) trap = TRAP_MEMORY_BOUNDS;
      } else {
        set_value(frame, ref, evaluate_row(frame, node, &trap));
      }
  }
  if (trap != TRAP_NONE) status = run_trap(frame->run->act, trap);
  return status;
}

/* What the end of a function tells its caller. */
typedef struct Ending {
  RunStatus status;
  Func *next; /* a tail call of it, arguments in the slots */
} Ending;

static Ending end_function(Frame *frame, Ref ref, Slot *slots) {
  const Node *node = NODE(frame->ir, ref);
  Act *act = frame->run->act;
  Ending ending = {RUN_DONE, NULL};
  switch (node->op) {
    case IR_RETURN: put_args(frame, node, slots); break;
    case IR_TRAP: ending.status = run_trap(act, (Trap)node->imm); break;
    case IR_THROW:
      act->exception = value_of(frame, node->a).i64;
      ending.status = act->status = RUN_THROW;
      break;
    default: {
      Trap trap = find_callee(frame, node, &ending.next);
      if (trap != TRAP_NONE) {
        ending.status = run_trap(act, trap);
      } else {
        ending.status = poll(frame);
        put_args(frame, node, slots);
      }
    }
  }
  return ending;
}

static uint32_t successor(Frame *frame, const Node *end, const BlockInfo *info) {
  if (end->op == IR_BRANCH) return value_of(frame, end->a).i32 != 0 ? 0 : 1;
  if (end->op == IR_SWITCH) return MIN(value_of(frame, end->a).i32, info->n_succs - 1);
  return 0;
}

static Ending run_blocks(Frame *frame, Slot *slots) {
  Block block = frame->ir->entry;
  for (;;) {
    const BlockInfo *info = BLOCK_OF(frame->ir, block);
    bool has_thrown = false;
    for (uint32_t i = 0; i + 1 < info->effects.n && !has_thrown; i++) {
      RunStatus status = run_effect(frame, info->effects.items[i], slots);
      const Node *end = ir_end(frame->ir, block);
      has_thrown = status == RUN_THROW && end->op == IR_GOTO_CATCH;
      if (status != RUN_DONE && !has_thrown) return (Ending){status, NULL};
    }
    const Node *end = ir_end(frame->ir, block);
    if (info->n_succs == 0)
      return end_function(frame, info->effects.items[info->effects.n - 1], slots);
    Block next = info->succs[has_thrown ? 1 : successor(frame, end, info)];
    enter_block(frame, block, next);
    block = next;
  }
}

/* One function's body; a tail call is left to the caller. */
static Ending run_body(Run *run, const Func *func, Slot *slots) {
  const Ir *ir = find_ir(func, run->variant);
  Slot *values = slots + func->n_slots + 2 * 64;
  values += (uintptr_t)values / sizeof(Slot) & 1;
  size_t n = (size_t)ir->n_nodes * 2 + ir->n_nodes / 2 + 1;
  if (values + 64 > run->act->value_end || (size_t)(run->act->value_end - values) < n + 64)
    return (Ending){run_trap(run->act, TRAP_STACK_EXHAUSTED), NULL};
  Frame frame = {.run = run,
                 .instance = func->instance,
                 .ir = ir,
                 .values = (Cell *)(void *)values,
                 .stamps = (uint32_t *)(void *)(values + (size_t)ir->n_nodes * 2),
                 .stamp = 1,
                 .is_placed = setting("IR_STAGE", IR_PLACED) == IR_PLACED};
  memset(values, 0, n * sizeof *values);
  run->top = values + n;
  Ending ending = run_blocks(&frame, slots);
  run->top = slots;
  return ending;
}

static RunStatus call(Run *run, Func *func, Slot *slots) {
  if (run->depth >= DEPTH_MAX) return run_trap(run->act, TRAP_STACK_EXHAUSTED);
  run->depth++;
  Ending ending = {RUN_DONE, func};
  while (ending.next && ending.status == RUN_DONE) {
    func = ending.next;
    if (func->host) {
      RunStatus status = run_call_host(run->act, func, slots, slots + func->n_slots);
      ending = (Ending){status, NULL};
    } else {
      ending = run_body(run, func, slots);
    }
  }
  run->depth--;
  return ending.status;
}

/* The engine */

static bool prepare_instance(Instance *instance) {
  Module *module = instance->module;
  if (!atomic_load(&module->engine_data)) {
    ModuleIr *own = alloc_zero(module->alloc, sizeof *own);
    arena_init(&own->arena, module->alloc);
    for (unsigned v = 0; v < VARIANTS; v++) own->irs[v] = calloc(module->n_funcs + 1, sizeof(Ir *));
    atomic_store(&module->engine_data, own);
  }
  for (uint32_t i = 0; i < module->n_funcs - module->n_imported_funcs; i++)
    instance->own_funcs[i].code = &instance->own_funcs[i];
  return true;
}

static RunStatus run_function(Act *act) {
  Func *func = act->func;
  Instance *entered = act->instance ? act->instance : func->instance;
  Run run = {
      .act = act, .top = act->slots + func->n_slots, .fuel = entered ? &entered->fuel : NULL};
  int64_t plenty = INT64_MAX;
  bool has_fuel = entered && entered->limits.has_fuel;
  if (!has_fuel) run.fuel = &plenty;
  run.variant = has_fuel || setting("IR_FUEL", 0) != 0;
  act->frames = NULL;
  return act->status = call(&run, func, act->slots);
}

static Instance *caller(const Act *act) {
  return act->instance;
}

static uint32_t backtrace(const Act *act, FrameInfo *out, uint32_t room) {
  (void)act, (void)out, (void)room;
  return 0;
}

static void drop_module(Module *module) {
  ModuleIr *own = atomic_load(&module->engine_data);
  if (!own) return;
  for (unsigned v = 0; v < VARIANTS; v++) free(own->irs[v]);
  arena_clear(&own->arena);
  alloc_free(module->alloc, own, sizeof *own);
  atomic_store(&module->engine_data, NULL);
}

static void stats(const Module *module, EngineStats *out) {
  (void)module, (void)out;
}

#if defined(RILLE_EVAL_BESIDE)
extern const EngineOps eval_engine;
const EngineOps eval_engine = {
#else
const EngineOps interp_engine = {
#endif
    .name = "interpreter",
    .prepare_instance = prepare_instance,
    .run = run_function,
    .caller = caller,
    .backtrace = backtrace,
    .drop_module = drop_module,
    .stats = stats,
};
