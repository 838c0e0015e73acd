/* mach.c - virtual registers, and the text of machine instructions for dumps.
 */
#if defined(__x86_64__)
#include "mach.h"

VReg mach_vreg(Mach *f, unsigned type) {
  if (f->n_vregs == f->room_vregs)
    f->vregs = arena_grow(f->arena, f->vregs, &f->room_vregs, sizeof *f->vregs);
  if (f->n_vregs == f->room_classes)
    f->classes = arena_grow(f->arena, f->classes, &f->room_classes, sizeof *f->classes);
  f->classes[f->n_vregs] = (uint8_t)class_of_kind(type);
  f->vregs[f->n_vregs] = (VRegInfo){.type = (uint8_t)type, .hint = REG_NONE, .home = REG_NONE};
  return f->n_vregs++;
}

_Noreturn void mach_fail(const Mach *f, const char *what) {
  Guard *guard = f->arena->guard;
  error_set(guard->error, ERROR_UNSUPPORTED, "the compiler failed: %s", what);
  guard->error->func = f->ir->func;
  guard_raise(guard);
}

/* A xorshift generator: the attack's choices have to be the same for the same seed. */
uint32_t mach_random(Mach *f) {
  uint32_t x = f->random;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return f->random = x;
}

/* Text */

static void print_reg(Buf *out, unsigned reg) {
  static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"};
  if (reg >= REG_XMM0) {
    buf_printf(out, "xmm%u", reg - REG_XMM0);
  } else if (reg >= COUNT_OF(names)) {
    buf_printf(out, "r%u", reg);
  } else {
    buf_str(out, names[reg]);
  }
}

static void print_operand(const Mach *f, Buf *out, const Operand *operand) {
  buf_printf(out, " v%u", operand->v);
  if (operand->flags & OPERAND_SLOT) buf_printf(out, "[slot %u]", f->vregs[operand->v].slot);
  if (operand->fixed != REG_NONE) buf_str(out, "!");
  if (operand->reg != REG_NONE) {
    buf_str(out, ":");
    print_reg(out, operand->reg);
  }
}

static void print_ins(const Mach *f, Buf *out, const Ins *ins) {
  const Operand *operands = INS_OPERANDS(f, ins);
  buf_printf(out, "    %s.%u", mach_op_text(ins->op), ins->size);
  for (unsigned i = 0; i < ins->n_defs; i++) print_operand(f, out, &operands[i]);
  buf_str(out, " <-");
  for (unsigned i = ins->n_defs; i < (unsigned)ins->n_defs + ins->n_uses; i++)
    print_operand(f, out, &operands[i]);
  if (ins->n_temps != 0) buf_str(out, " temp");
  for (unsigned i = 0; i < ins->n_temps; i++)
    print_operand(f, out, &operands[ins->n_defs + ins->n_uses + i]);
  if (ins->base != BASE_NO_ADDRESS) buf_printf(out, " [base %u %+d]", ins->base, ins->disp);
  if (ins->has_imm) buf_printf(out, " #%lld", (long long)ins->imm);
  buf_str(out, "\n");
}

static void print_step(const Mach *f, Buf *out, const Step *step) {
  static const char *const names[] = {
      "",       "move",         "swap",          "spill", "reload",      "const",
      "remake", "slot_to_slot", "const_to_slot", "out",   "slot_to_out", "const_to_out",
      "adjust"};
  if (step->kind == STEP_INS) {
    print_ins(f, out, &f->ins[step->x]);
    return;
  }
  buf_printf(out, "    %s ", names[step->kind]);
  print_reg(out, step->to);
  buf_str(out, " ");
  print_reg(out, step->from);
  buf_printf(out, " %u %u\n", step->x, step->y);
}

static void print_block(const Mach *f, Buf *out, uint32_t b) {
  const MBlock *block = MACH_BLOCK(f, b);
  buf_printf(out, "  block %u depth %u%s ->", b, block->depth, block->is_cold ? " cold" : "");
  for (uint32_t i = 0; i < block->n_succs; i++) buf_printf(out, " %u", block->succs[i]);
  for (uint32_t i = 0; i < block->n_phis; i++) buf_printf(out, " phi v%u", block->phis[i]);
  buf_str(out, "\n");
  if (f->n_steps == 0) {
    for (uint32_t i = 0; i < block->n; i++) print_ins(f, out, &f->ins[block->first + i]);
    return;
  }
  for (uint32_t i = 0; i < block->n_steps; i++)
    print_step(f, out, &f->steps[block->first_step + i]);
  for (uint32_t i = 0; i < block->n_edge_steps; i++)
    print_step(f, out, &f->steps[block->first_edge_step + i]);
}

void mach_print(const Mach *f, Buf *out) {
  buf_printf(out, "function %u\n", f->ir->func);
  for (uint32_t i = 0; i < f->n_order; i++) print_block(f, out, f->order[i]);
}
#endif
