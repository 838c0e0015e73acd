/* emit_call.c - calls, returns, polling, fuel, exceptions: what abi.h tells.
 */
#if defined(__x86_64__)
#include "../../runtime/store.h"
#include "emit_int.h"

static unsigned operand_reg(const Emit *e, const Ins *ins, unsigned i) {
  return emit_reg(INS_OPERANDS(e->f, ins) + i);
}

static Mem instance_field(size_t offset) {
  return mem_at(R15, (int32_t)offset);
}

/* The call was made: its place, which a GOTO_CATCH behind it completes. */
static void called(Emit *e, const Ins *ins) {
  emit_site(e, TRAP_NONE, ins->at);
  e->last_site = e->sites.n;
  e->last_cold = 0;
  e->adjust = 0;
}

static void point_at_results(Emit *e, const Ins *ins) {
  if (ins->sub) enc_rm(&e->out, ENC_LEA, 8, R11, mem_at(RSP, (int32_t)e->adjust));
}

static void load_import(Emit *e, const Ins *ins) {
  enc_rm(&e->out, ENC_MOV, 8, RAX, instance_field(e->layout.funcs + 8 * (size_t)ins->imm));
}

static uint32_t type_of_import(const Emit *e, const Ins *ins) {
  return e->f->ir->module->funcs[ins->imm].type;
}

static void call(Emit *e, const Ins *ins) {
  point_at_results(e, ins);
  enc_call_m(&e->out, mem_label(emit_link(LINK_SLOT, (uint32_t)ins->imm)));
  called(e, ins);
}

static void call_import(Emit *e, const Ins *ins) {
  point_at_results(e, ins);
  load_import(e, ins);
  enc_call_label(&e->out, emit_link(LINK_ADAPTER, type_of_import(e, ins)));
  called(e, ins);
}

static void call_func(Emit *e, const Ins *ins) {
  point_at_results(e, ins);
  enc_alu_rm(&e->out, ALU_CMP, 8, R15, mem_at(RAX, offsetof(Func, instance)));
  Cold *cold = emit_cold(e, COLD_ADAPTER, ins);
  uint32_t index = e->colds.n, back = cold->back;
  emit_jump_if(e, CC_NE, cold->label);
  enc_call_m(&e->out, mem_at(RAX, offsetof(Func, code)));
  called(e, ins);
  e->last_cold = index;
  emit_bind(e, back);
}

static void call_helper(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  enc_rr(out, ENC_MOV, 8, RDI, R15);
  enc_rm(out, ENC_MOV_STORE, 8, RSP, instance_field(offsetof(Instance, helper_sp)));
  enc_call_m(out, mem_label(emit_link(LINK_HELPER, (uint32_t)ins->imm)));
  called(e, ins);
  if (ins->sub) enc_rr(out, ENC_MOV, 4, RAX, RAX);
}

/* An exception out of the last call comes here. */
static void goto_catch(Emit *e) {
  const MBlock *block = MACH_BLOCK(e->f, e->block);
  uint32_t handler = emit_target(e, block->succs[1]);
  e->sites.items[e->last_site - 1].handler = handler;
  if (e->last_cold != 0) e->colds.items[e->last_cold - 1].handler = handler;
  emit_goto(e, block->succs[0]);
}

/* Tail calls: the arguments on the stack move from below the frame to where the caller's were, the
 * return address below them. */
static void leave_frame(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  uint32_t n = ins->imm_bytes, distance = n + e->frame + 8 + e->param_bytes - n;
  e->adjust = 0;
  if (n == 0 && e->param_bytes == 0) {
    if (e->frame != 0) enc_alu_ri(out, ALU_ADD, 8, RSP, (int32_t)e->frame);
    return;
  }
  enc_rm(out, ENC_MOV, 8, R10, mem_at(RSP, (int32_t)(n + e->frame)));
  for (uint32_t k = n; k != 0; k -= 16) {
    enc_sse_rm(out, ENC_MOVUPS, REG_SCRATCH & 15, 0, mem_at(RSP, (int32_t)(k - 16)));
    enc_sse_rm(out, ENC_MOVUPS_STORE, REG_SCRATCH & 15, 0,
               mem_at(RSP, (int32_t)(k - 16 + distance)));
  }
  enc_rm(out, ENC_LEA, 8, RSP, mem_at(RSP, (int32_t)(distance - 8)));
  enc_rm(out, ENC_MOV_STORE, 8, R10, mem_at(RSP, 0));
}

void emit_poll_flag(Emit *e, unsigned reg) {
  enc_rm(&e->out, ENC_MOV, 8, reg, instance_field(offsetof(Instance, poll)));
}

static void do_poll(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  unsigned flag = operand_reg(e, ins, 0);
  if (ins->n_uses == 0) emit_poll_flag(e, flag);
  enc_alu_mi(out, ALU_CMP, 4, mem_at(flag, 0), 0);
  Cold *cold = emit_cold(e, COLD_POLL, ins);
  uint32_t back = cold->back;
  emit_jump_if(e, CC_NE, cold->label);
  emit_bind(e, back);
}

static void tail(Emit *e, const Ins *ins) {
  leave_frame(e, ins);
  enc_jmp_m(&e->out, mem_label(emit_link(LINK_SLOT, (uint32_t)ins->imm)));
}

static void tail_import(Emit *e, const Ins *ins) {
  leave_frame(e, ins);
  load_import(e, ins);
  enc_jmp_label(&e->out, emit_link(LINK_ADAPTER, type_of_import(e, ins)));
}

static void tail_func(Emit *e, const Ins *ins) {
  leave_frame(e, ins);
  enc_alu_rm(&e->out, ALU_CMP, 8, R15, mem_at(RAX, offsetof(Func, instance)));
  emit_jump_if(e, CC_NE, emit_cold(e, COLD_TAIL_ADAPTER, ins)->label);
  enc_jmp_m(&e->out, mem_at(RAX, offsetof(Func, code)));
}

static void return_(Emit *e) {
  if (e->frame != 0) enc_alu_ri(&e->out, ALU_ADD, 8, RSP, (int32_t)e->frame);
  enc_ret(&e->out, e->param_bytes);
}

/* Where the address of the instruction's type is: code that is kept in files names no addresses. */
static Mem wanted_type(const Ins *ins) {
  return mem_label(emit_link(LINK_TYPE, (uint32_t)ins->imm));
}

static bool wants_final_type(const Emit *e, const Ins *ins) {
  return e->f->ir->module->types[ins->imm].is_final;
}

static void type(Emit *e, const Ins *ins) {
  enc_rm(&e->out, ENC_MOV, 8, operand_reg(e, ins, 0), wanted_type(ins));
}

/* Its table, bounds, null, its type: in this order. */
static void look_up(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  unsigned index = operand_reg(e, ins, 1), temp = operand_reg(e, ins, 2);
  enc_rm(out, ENC_MOV, 8, temp, instance_field(e->layout.tables + 8 * (size_t)ins->disp));
  enc_alu_rm(out, ALU_CMP, 8, index, mem_at(temp, offsetof(Table, n)));
  emit_jump_if(e, CC_AE, emit_trap_label(e, TRAP_UNDEFINED_ELEMENT, ins));
  enc_rm(out, ENC_MOV, 8, temp, mem_at(temp, offsetof(Table, items)));
  enc_rm(out, ENC_MOV, 8, RAX, (Mem){.base = (uint8_t)temp, .index = (uint8_t)index, .scale = 3});
  enc_rr(out, ENC_TEST, 8, RAX, RAX);
  emit_jump_if(e, CC_E, emit_trap_label(e, TRAP_UNINITIALIZED_ELEMENT, ins));
  enc_rm(out, ENC_MOV, 8, temp, mem_at(RAX, offsetof(Func, type)));
  enc_alu_rm(out, ALU_CMP, 8, temp, wanted_type(ins));
  if (wants_final_type(e, ins)) {
    emit_jump_if(e, CC_NE, emit_trap_label(e, TRAP_INDIRECT_CALL_TYPE, ins));
    return;
  }
  Cold *cold = emit_cold(e, COLD_SUBTYPE, ins);
  uint32_t back = cold->back;
  emit_jump_if(e, CC_NE, cold->label);
  emit_bind(e, back);
}

void emit_cold_subtype(Emit *e, const Cold *cold) {
  Asm *out = &e->out;
  enc_group_m(out, 0xFF, 4, 6, wanted_type(cold->ins));
  enc_call_label(out, emit_link(LINK_STUB, STUB_SUBTYPE));
  enc_rm(out, ENC_LEA, 8, RSP, mem_at(RSP, 8));
  emit_jump_if(e, CC_E, emit_trap_label(e, TRAP_INDIRECT_CALL_TYPE, cold->ins));
}

static void check_func(Emit *e, const Ins *ins) {
  unsigned func = operand_reg(e, ins, 0);
  enc_rr(&e->out, ENC_TEST, 8, func, func);
  emit_jump_if(e, CC_E, emit_trap_label(e, TRAP_NULL_FUNCTION, ins));
}

static void fuel(Emit *e, const Ins *ins) {
  Asm *out = &e->out;
  unsigned temp = operand_reg(e, ins, ins->n_uses);
  enc_rm(out, ENC_MOV, 8, temp, instance_field(offsetof(Instance, fuel_left)));
  if (ins->n_uses != 0) enc_alu_mr(out, ALU_SUB, 8, mem_at(temp, 0), operand_reg(e, ins, 0));
  if (ins->imm != 0 || ins->n_uses == 0)
    enc_alu_mi(out, ALU_SUB, 8, mem_at(temp, 0), (int32_t)MIN(ins->imm, (uint64_t)INT32_MAX));
  Cold *cold = emit_cold(e, COLD_FUEL, ins);
  uint32_t back = cold->back;
  emit_jump_if(e, CC_S, cold->label);
  emit_bind(e, back);
}

static void throw_(Emit *e, const Ins *ins) {
  enc_call_label(&e->out, emit_link(LINK_STUB, STUB_THROW));
  emit_site(e, TRAP_NONE, ins->at);
  enc_ud2(&e->out);
}

bool emit_call(Emit *e, const Ins *ins) {
  switch (ins->op) {
    case MOP_TYPE: type(e, ins); return true;
    case MOP_CALL: call(e, ins); return true;
    case MOP_CALL_IMPORT: call_import(e, ins); return true;
    case MOP_CALL_FUNC: call_func(e, ins); return true;
    case MOP_CALL_HELPER: call_helper(e, ins); return true;
    case MOP_GOTO_CATCH: goto_catch(e); return true;
    case MOP_TAIL: tail(e, ins); return true;
    case MOP_TAIL_IMPORT: tail_import(e, ins); return true;
    case MOP_TAIL_FUNC: tail_func(e, ins); return true;
    case MOP_RETURN: return_(e); return true;
    case MOP_FUNC_LOOKUP: look_up(e, ins); return true;
    case MOP_CHECK_FUNC: check_func(e, ins); return true;
    case MOP_POLL: do_poll(e, ins); return true;
    case MOP_FUEL: fuel(e, ins); return true;
    case MOP_THROW: throw_(e, ins); return true;
    default: return false;
  }
}
#endif
