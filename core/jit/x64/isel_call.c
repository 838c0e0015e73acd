/* isel_call.c - calls, returns, parameters, exceptions.
 *
 * Arguments are operands that may be anywhere: color.c copies them to where abi.h wants them, in
 * one parallel copy right before the call.
 */
#if defined(__x86_64__)
#include "../../runtime/store.h"
#include "isel.h"

static void add_anywhere(Isel *s, Ins *ins, VReg v, AbiPlace place) {
  isel_add_use(s, ins, v);
  Operand *use = &s->f->operands[s->f->n_operands - 1];
  use->flags = OPERAND_ANY;
  use->fixed = place.reg;
  if (place.reg == REG_NONE) {
    use->flags |= OPERAND_STACK;
    use->offset = place.offset;
  }
}

/* All values are asked for before the instruction begins. */
static VReg *ask_for_args(Isel *s, const Node *node) {
  VReg *args = arena_new(s->arena, node->n_args * sizeof *args);
  for (uint32_t i = 0; i < node->n_args; i++) args[i] = isel_anywhere(s, node->args[i]);
  return args;
}

static void add_args(Isel *s, Ins *ins, const VReg *args, const CompType *type) {
  AbiCursor cursor = {0};
  for (uint32_t i = 0; i < type->n_params; i++)
    add_anywhere(s, ins, args[i], abi_next_param(&cursor, type->types[i]));
  ins->imm_bytes = (uint32_t)align_up(cursor.bytes, 16);
}

/* The node that is result number `which`, when somebody wants it. */
static Ref wanted_result(const Isel *s, Ref call, const CompType *type, uint32_t which) {
  if (type->n_results == 1) return isel_is_wanted(s, call) ? call : 0;
  const Refs *list = &BLOCK_OF(s->ir, s->block)->effects;
  uint32_t at = s->place[call];
  for (; at < list->n && NODE(s->ir, list->items[at])->op == IR_RESULT; at++) {
    Ref ref = list->items[at];
    if (NODE(s->ir, ref)->imm == which) return isel_is_wanted(s, ref) ? ref : 0;
  }
  return 0;
}

static void add_results(Isel *s, Ins *ins, Ref call, const CompType *type) {
  AbiCursor cursor = {0};
  for (uint32_t i = 0; i < type->n_results; i++) {
    AbiPlace place = abi_next_result(&cursor, type->types[type->n_params + i]);
    Ref ref = wanted_result(s, call, type, i);
    if (ref != 0 && place.reg != REG_NONE) isel_add_def_fixed(s, ins, isel_def(s, ref), place.reg);
  }
  if (cursor.bytes == 0) return;
  ins->sub = 1;
  s->f->result_bytes = MAX(s->f->result_bytes, (uint32_t)align_up(cursor.bytes, 16));
}

static void read_results(Isel *s, Ref call, const CompType *type) {
  AbiCursor cursor = {0};
  for (uint32_t i = 0; i < type->n_results; i++) {
    AbiPlace place = abi_next_result(&cursor, type->types[type->n_params + i]);
    Ref ref = wanted_result(s, call, type, i);
    if (ref == 0 || place.reg != REG_NONE) continue;
    Address from = {.base = BASE_RESULTS, .disp = (int32_t)place.offset};
    isel_get_value(s, isel_def(s, ref), from);
  }
}

static void call(Isel *s, Ref ref, const Node *node, Mop op, const CompType *type, VReg func) {
  const VReg *args = ask_for_args(s, node);
  Ins *ins = isel_begin(s, op, 8);
  ins->flags |= INS_CALL;
  ins->imm = (uint32_t)node->imm;
  add_results(s, ins, ref, type);
  add_args(s, ins, args, type);
  if (func != 0) isel_add_use_fixed(s, ins, func, RAX);
  read_results(s, ref, type);
  s->f->has_calls = true;
}

/* Results in memory go where the caller wants them from this function. */
static void tail_call(Isel *s, const Node *node, Mop op, const CompType *type, VReg func) {
  const VReg *args = ask_for_args(s, node);
  Ins *ins = isel_begin(s, op, 8);
  ins->flags |= INS_LEAVES;
  ins->imm = (uint32_t)node->imm;
  add_args(s, ins, args, type);
  if (func != 0) isel_add_use_fixed(s, ins, func, RAX);
  if (s->result_area != 0) add_anywhere(s, ins, s->result_area, (AbiPlace){.reg = R11});
  s->f->has_calls = true;
}

static const CompType *type_at(const Isel *s, uint64_t index) {
  return &s->ir->module->types[(uint32_t)index].comp;
}

static VReg look_up(Isel *s, const Node *node) {
  VReg func = isel_new(s, KIND_REF), index = isel_value(s, node->a);
  Ins *ins = isel_begin(s, MOP_FUNC_LOOKUP, 8);
  ins->imm = (uint32_t)node->imm;
  ins->disp = (int32_t)(node->imm >> 32);
  isel_add_def_fixed(s, ins, func, RAX);
  s->f->operands[s->f->n_operands - 1].flags |= OPERAND_EARLY;
  isel_add_use(s, ins, index);
  isel_add_temp(s, ins, KIND_I64);
  return func;
}

static VReg check(Isel *s, const Node *node) {
  VReg func = isel_value(s, node->a);
  Ins *ins = isel_begin(s, MOP_CHECK_FUNC, 8);
  isel_add_use(s, ins, func);
  return func;
}

static void call_helper(Isel *s, Ref ref, const Node *node) {
  static const uint8_t regs[] = {RSI, RDX, RCX, R8, R9};
  const char *signature = helper_info[node->imm].signature;
  const VReg *args = ask_for_args(s, node);
  Ins *ins = isel_begin(s, MOP_CALL_HELPER, 8);
  ins->flags |= INS_CALL;
  ins->imm = node->imm;
  ins->sub = strchr(signature, '>')[1] == 'i';
  if (isel_is_wanted(s, ref)) isel_add_def_fixed(s, ins, isel_def(s, ref), RAX);
  for (uint32_t i = 0; i < node->n_args; i++)
    add_anywhere(s, ins, args[i], (AbiPlace){.reg = regs[i]});
  s->f->has_calls = true;
}

static void return_(Isel *s, const Node *node) {
  const CompType *type = s->ir->type;
  VReg *values = arena_new(s->arena, node->n_args * sizeof *values);
  AbiCursor cursor = {0};
  for (uint32_t i = 0; i < node->n_args; i++) {
    AbiPlace place = abi_next_result(&cursor, type->types[type->n_params + i]);
    if (place.reg != REG_NONE) {
      values[i] = isel_anywhere(s, node->args[i]);
      continue;
    }
    VReg v = isel_value(s, node->args[i]);
    isel_put(
        s, v,
        (Address){.base = BASE_VREG, .base_reg = s->result_area, .disp = (int32_t)place.offset});
  }
  Ins *ins = isel_begin(s, MOP_RETURN, 8);
  ins->flags |= INS_LEAVES;
  cursor = (AbiCursor){0};
  for (uint32_t i = 0; i < node->n_args; i++) {
    AbiPlace place = abi_next_result(&cursor, type->types[type->n_params + i]);
    if (place.reg != REG_NONE) add_anywhere(s, ins, values[i], place);
  }
}

static void throw_(Isel *s, const Node *node) {
  VReg exception = isel_anywhere(s, node->a);
  Ins *ins = isel_begin(s, MOP_THROW, 8);
  ins->flags |= INS_LEAVES;
  add_anywhere(s, ins, exception, (AbiPlace){.reg = RSI});
  s->f->has_calls = true;
}

/* Who catches has noted the exception in the activation. */
static void caught(Isel *s, Ref ref) {
  VReg act = isel_new(s, KIND_I64);
  isel_get_value(s, act, (Address){.base = BASE_INSTANCE, .disp = offsetof(Instance, act)});
  isel_get_value(s, isel_def(s, ref),
                 (Address){.base = BASE_VREG, .base_reg = act, .disp = offsetof(Act, exception)});
}

bool isel_call(Isel *s, Ref ref, const Node *node) {
  const Module *module = s->ir->module;
  bool is_import = (uint32_t)node->imm < module->n_imported_funcs;
  switch (node->op) {
    case IR_CALL:
      call(s, ref, node, is_import ? MOP_CALL_IMPORT : MOP_CALL,
           module_func_type(module, (uint32_t)node->imm), 0);
      return true;
    case IR_TAIL_CALL:
      tail_call(s, node, is_import ? MOP_TAIL_IMPORT : MOP_TAIL,
                module_func_type(module, (uint32_t)node->imm), 0);
      return true;
    case IR_CALL_INDIRECT:
      call(s, ref, node, MOP_CALL_FUNC, type_at(s, node->imm), look_up(s, node));
      return true;
    case IR_TAIL_INDIRECT:
      tail_call(s, node, MOP_TAIL_FUNC, type_at(s, node->imm), look_up(s, node));
      return true;
    case IR_CALL_REF:
      call(s, ref, node, MOP_CALL_FUNC, type_at(s, node->imm), check(s, node));
      return true;
    case IR_TAIL_REF:
      tail_call(s, node, MOP_TAIL_FUNC, type_at(s, node->imm), check(s, node));
      return true;
    case IR_CALL_HELPER: call_helper(s, ref, node); return true;
    case IR_RETURN: return_(s, node); return true;
    case IR_THROW: throw_(s, node); return true;
    case IR_CAUGHT: caught(s, ref); return true;
    default: return false;
  }
}

void isel_params(Isel *s) {
  const CompType *type = s->ir->type;
  const Refs *list = &BLOCK_OF(s->ir, s->ir->entry)->effects;
  Ref *refs = arena_zero(s->arena, (type->n_params + 1) * sizeof *refs);
  for (uint32_t i = 0; i < list->n && NODE(s->ir, list->items[i])->op == IR_PARAM; i++) {
    if (isel_is_wanted(s, list->items[i])) refs[NODE(s->ir, list->items[i])->imm] = list->items[i];
  }
  Ins *ins = isel_begin(s, MOP_PARAMS, 8);
  AbiCursor cursor = {0};
  for (uint32_t i = 0; i < type->n_params; i++) {
    AbiPlace place = abi_next_param(&cursor, type->types[i]);
    if (refs[i] != 0 && place.reg != REG_NONE)
      isel_add_def_fixed(s, ins, isel_def(s, refs[i]), place.reg);
  }
  if (s->result_area != 0) isel_add_def_fixed(s, ins, s->result_area, R11);
  cursor = (AbiCursor){0};
  for (uint32_t i = 0; i < type->n_params; i++) {
    AbiPlace place = abi_next_param(&cursor, type->types[i]);
    if (refs[i] == 0 || place.reg != REG_NONE) continue;
    VReg d = isel_def(s, refs[i]);
    isel_get_value(s, d, (Address){.base = BASE_PARAMS, .disp = (int32_t)place.offset});
    s->f->vregs[d].kind = V_REMADE;
  }
}
#endif
