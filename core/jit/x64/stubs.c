/* stubs.c - the ways in and out of compiled code: see abi.h.
 *
 * Nothing here names an address of the code itself, so it can be placed anywhere; C functions are
 * called through registers.
 */
#if defined(__x86_64__)
#include "stubs.h"

#include "encode.h"

static Mem instance_field(size_t offset) {
  return mem_at(R15, (int32_t)offset);
}

static void begin(Asm *out, Buf *buf, bool has_avx) {
  *out = (Asm){.code = *buf, .has_avx = has_avx};
}

static void align(Asm *out) {
  while (asm_at(out) % 16 != 0) asm_byte(out, 0xCC);
}

static void call_c(Asm *out, uintptr_t function) {
  enc_mov_ri(out, RAX, function);
  enc_call_r(out, RAX);
}

/* A short jump forward, and its target. */
static uint32_t jump_ahead(Asm *out, int cc) {
  asm_byte(out, cc < 0 ? 0xEBu : 0x70u | (unsigned)cc);
  asm_byte(out, 0);
  return asm_at(out);
}

static void land_here(Asm *out, uint32_t jump) {
  out->code.at[jump - 1] = (uint8_t)(asm_at(out) - jump);
}

/* The same over any distance. */
static uint32_t jump_far(Asm *out, unsigned cc) {
  asm_byte(out, 0x0F);
  asm_byte(out, 0x80 | cc);
  asm_u32(out, 0);
  return asm_at(out);
}

static void land_far(Asm *out, uint32_t jump) {
  store_u32(out->code.at + jump - 4, asm_at(out) - jump);
}

static void jump_back(Asm *out, unsigned cc, uint32_t target) {
  store_u32(out->code.at + jump_far(out, cc) - 4, target - asm_at(out));
}

/* All registers on the stack, which is then aligned. rbx: what rsp was before. */
static const uint8_t saved[] = {RAX, RCX, RDX, RBX, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13};
enum { SAVED_VECTORS = 16 * 16 };

static void save_all(Asm *out) {
  for (unsigned i = 0; i < COUNT_OF(saved); i++) enc_push(out, saved[i]);
  enc_rr(out, ENC_MOV, 8, RBX, RSP);
  enc_alu_ri(out, ALU_AND, 8, RSP, -16);
  enc_alu_ri(out, ALU_SUB, 8, RSP, SAVED_VECTORS);
  for (unsigned i = 0; i < 16; i++)
    enc_sse_rm(out, ENC_MOVUPS_STORE, i, 0, mem_at(RSP, (int32_t)(16 * i)));
}

static void restore_all(Asm *out) {
  for (unsigned i = 0; i < 16; i++)
    enc_sse_rm(out, ENC_MOVUPS, i, 0, mem_at(RSP, (int32_t)(16 * i)));
  enc_rr(out, ENC_MOV, 8, RSP, RBX);
  for (unsigned i = COUNT_OF(saved); i-- > 0;) enc_pop(out, saved[i]);
}

/* Where the stub's return address is, when rbx is what save_all leaves. */
static Mem above_saved(int32_t more) {
  return mem_at(RBX, (int32_t)(8 * COUNT_OF(saved)) + more);
}

/* Saves everything and calls f(instance, sp at the return address). */
static void stub_watch(Asm *out, uintptr_t function) {
  save_all(out);
  enc_rr(out, ENC_MOV, 8, RDI, R15);
  enc_rm(out, ENC_LEA, 8, RSI, above_saved(0));
  call_c(out, function);
  restore_all(out);
  enc_rm(out, ENC_MOV, 8, R14, instance_field(offsetof(Instance, memory_base)));
  enc_ret(out, 0);
}

static void stub_subtype(Asm *out, const StubCalls *calls) {
  save_all(out);
  enc_rr(out, ENC_MOV, 8, RDI, RAX);
  enc_rm(out, ENC_MOV, 8, RSI, above_saved(8));
  call_c(out, (uintptr_t)calls->has_type);
  enc_rr(out, ENC_MOVZX8, 4, RAX, RAX);
  enc_rm(out, ENC_MOV_STORE, 8, RAX, above_saved(8));
  restore_all(out);
  enc_alu_mi(out, ALU_CMP, 8, mem_at(RSP, 8), 0);
  enc_ret(out, 0);
}

/* Leaves for good, on a stack that is aligned below what is there. rdi and rsi are set. */
static void stub_leave(Asm *out, uintptr_t function) {
  enc_alu_ri(out, ALU_AND, 8, RSP, -16);
  call_c(out, function);
  enc_ud2(out);
}

static void stub_stack(Asm *out, const StubCalls *calls) {
  enc_rr(out, ENC_MOV, 8, RDI, R15);
  enc_rr(out, ENC_MOV, 8, RSI, RSP);
  stub_leave(out, (uintptr_t)calls->stack);
}

static void stub_trap(Asm *out, const StubCalls *calls) {
  enc_rr(out, ENC_MOV, 8, RDI, R15);
  enc_rr(out, ENC_MOV, 8, RSI, RSP);
  stub_leave(out, (uintptr_t)calls->trap);
}

static void stub_throw(Asm *out, const StubCalls *calls) {
  enc_rr(out, ENC_MOV, 8, RDI, R15);
  enc_rr(out, ENC_MOV, 8, RDX, RSP);
  stub_leave(out, (uintptr_t)calls->throw_);
}

static void stub_fault(Asm *out, const StubCalls *calls) {
  enc_rr(out, ENC_MOV, 8, RSI, R15);
  enc_rr(out, ENC_MOV, 8, RDX, RSP);
  stub_leave(out, (uintptr_t)calls->fault);
}

static const uint8_t kept[] = {RBP, RBX, R12, R13, R14, R15};

static void pop_kept(Asm *out) {
  for (unsigned i = COUNT_OF(kept); i-- > 0;) enc_pop(out, kept[i]);
  enc_ret(out, 0);
}

static void stub_exit(Asm *out) {
  enc_rr(out, ENC_MOV, 4, RAX, RSI);
  enc_rm(out, ENC_MOV, 8, RSP, mem_at(RDI, offsetof(Act, entry_sp)));
  pop_kept(out);
}

static void stub_land(Asm *out) {
  enc_rr(out, ENC_MOV, 8, R15, RDX);
  enc_rm(out, ENC_MOV, 8, R14, instance_field(offsetof(Instance, memory_base)));
  enc_rr(out, ENC_MOV, 8, RSP, RSI);
  enc_jmp_r(out, RDI);
}

/* First call of a function: eax is its index. Arguments wait on the stack. */
static void stub_compile(Asm *out, const StubCalls *calls) {
  save_all(out);
  enc_rr(out, ENC_MOV, 4, RSI, RAX);
  enc_rr(out, ENC_MOV, 8, RDI, R15);
  enc_rm(out, ENC_LEA, 8, RDX, above_saved(0));
  call_c(out, (uintptr_t)calls->compile);
  enc_rm(out, ENC_MOV_STORE, 8, RAX,
         mem_at(RBX, 8 * (COUNT_OF(saved) - 10))); /* where r10 was pushed */
  restore_all(out);
  enc_jmp_r(out, R10);
}

void stubs_common(Buf *buf, const StubCalls *calls, bool has_avx, uint32_t n_lazy,
                  uint32_t first_lazy, StubOffsets *offsets) {
  Asm out;
  begin(&out, buf, has_avx);
#define PLACE(field) (align(&out), offsets->field = asm_at(&out))
  PLACE(stubs[STUB_POLL]);
  stub_watch(&out, (uintptr_t)calls->poll);
  PLACE(stubs[STUB_FUEL]);
  stub_watch(&out, (uintptr_t)calls->fuel);
  PLACE(stubs[STUB_ENTER]);
  stub_watch(&out, (uintptr_t)calls->enter);
  PLACE(stubs[STUB_SUBTYPE]);
  stub_subtype(&out, calls);
  PLACE(stubs[STUB_STACK]);
  stub_stack(&out, calls);
  PLACE(stubs[STUB_TRAP]);
  stub_trap(&out, calls);
  PLACE(stubs[STUB_THROW]);
  stub_throw(&out, calls);
  PLACE(fault);
  stub_fault(&out, calls);
  PLACE(exit);
  stub_exit(&out);
  PLACE(land);
  stub_land(&out);
  for (DirectKind kind = 0; kind < DIRECT_KINDS; kind++) {
    PLACE(direct[kind]);
    direct_stub(&out, &calls->direct, kind);
  }
  align(&out);
  uint32_t compile = asm_at(&out);
  stub_compile(&out, calls);
  PLACE(lazy);
  for (uint32_t i = 0; i < n_lazy; i++) {
    align(&out);
    asm_byte(&out, 0xB8); /* mov eax, index */
    asm_u32(&out, first_lazy + i);
    asm_byte(&out, 0xE9);
    asm_u32(&out, compile - (asm_at(&out) + 4));
  }
#undef PLACE
  *buf = out.code;
}

/* Values between registers and slots */

static bool is_float(ValType type) {
  unsigned kind = type_kind(type);
  return kind == KIND_F32 || kind == KIND_F64 || kind == KIND_V128;
}

static void slot_to_reg(Asm *out, ValType type, unsigned reg, Mem slot) {
  unsigned kind = type_kind(type);
  if (!is_float(type)) {
    enc_rm(out, ENC_MOV, kind == KIND_I32 ? 4 : 8, reg, slot);
  } else {
    Enc row = kind == KIND_F32 ? ENC_MOVSS : kind == KIND_F64 ? ENC_MOVSD : ENC_MOVUPS;
    enc_sse_rm(out, row, reg & 15, 0, slot);
  }
}

static void reg_to_slot(Asm *out, ValType type, unsigned reg, Mem slot) {
  if (!is_float(type)) {
    enc_rm(out, ENC_MOV_STORE, 8, reg, slot);
  } else {
    Enc row = type_kind(type) == KIND_V128 ? ENC_MOVUPS_STORE : ENC_MOVSD_STORE;
    enc_sse_rm(out, row, reg & 15, 0, slot);
  }
}

static void copy(Asm *out, ValType type, Mem to, Mem from) {
  bool is_wide = type_kind(type) == KIND_V128;
  enc_sse_rm(out, is_wide ? ENC_MOVUPS : ENC_MOVSD, 15, 0, from);
  enc_sse_rm(out, is_wide ? ENC_MOVUPS_STORE : ENC_MOVSD_STORE, 15, 0, to);
}

/* Arguments from slots at `slots` to their places; those on the stack start at rsp. */
static void load_params(Asm *out, const CompType *type, unsigned slots) {
  AbiCursor cursor = {0};
  int32_t at = 0;
  for (uint32_t i = 0; i < type->n_params; i++) {
    ValType param = type->types[i];
    AbiPlace place = abi_next_param(&cursor, param);
    if (place.reg == REG_NONE) {
      copy(out, param, mem_at(RSP, (int32_t)place.offset), mem_at(slots, at));
    } else {
      slot_to_reg(out, param, place.reg, mem_at(slots, at));
    }
    at += 8 * (int32_t)type_slots(param);
  }
}

/* The other way; those on the stack start at rsp + stack. */
static void store_params(Asm *out, const CompType *type, unsigned slots, int32_t stack) {
  AbiCursor cursor = {0};
  int32_t at = 0;
  for (uint32_t i = 0; i < type->n_params; i++) {
    ValType param = type->types[i];
    AbiPlace place = abi_next_param(&cursor, param);
    if (place.reg == REG_NONE) {
      copy(out, param, mem_at(slots, at), mem_at(RSP, stack + (int32_t)place.offset));
    } else {
      reg_to_slot(out, param, place.reg, mem_at(slots, at));
    }
    at += 8 * (int32_t)type_slots(param);
  }
}

/* Results in memory start at `memory`. */
static void store_results(Asm *out, const CompType *type, unsigned slots, unsigned memory) {
  AbiCursor cursor = {0};
  int32_t at = 0;
  for (uint32_t i = 0; i < type->n_results; i++) {
    ValType result = type->types[type->n_params + i];
    AbiPlace place = abi_next_result(&cursor, result);
    if (place.reg == REG_NONE) {
      copy(out, result, mem_at(slots, at), mem_at(memory, (int32_t)place.offset));
    } else {
      reg_to_slot(out, result, place.reg, mem_at(slots, at));
    }
    at += 8 * (int32_t)type_slots(result);
  }
}

static void load_results(Asm *out, const CompType *type, unsigned slots, unsigned memory) {
  AbiCursor cursor = {0};
  int32_t at = 0;
  for (uint32_t i = 0; i < type->n_results; i++) {
    ValType result = type->types[type->n_params + i];
    AbiPlace place = abi_next_result(&cursor, result);
    if (place.reg == REG_NONE) {
      copy(out, result, mem_at(memory, (int32_t)place.offset), mem_at(slots, at));
    } else {
      slot_to_reg(out, result, place.reg, mem_at(slots, at));
    }
    at += 8 * (int32_t)type_slots(result);
  }
}

/* Entering from C */

void stubs_entry(Buf *buf, const CompType *type, bool has_avx, uint32_t *return_at) {
  Asm out;
  begin(&out, buf, has_avx);
  int32_t n_stack = (int32_t)abi_param_bytes(type);
  int32_t n_results = (int32_t)align_up(abi_result_bytes(type), 16);
  for (unsigned i = 0; i < COUNT_OF(kept); i++) enc_push(&out, kept[i]);
  enc_rm(&out, ENC_MOV_STORE, 8, RSP, mem_at(RDI, offsetof(Act, entry_sp)));
  enc_push(&out, RCX);
  if (n_results + n_stack != 0) enc_alu_ri(&out, ALU_SUB, 8, RSP, n_results + n_stack);
  enc_rr(&out, ENC_MOV, 8, R15, RDX);
  enc_rm(&out, ENC_MOV, 8, R14, instance_field(offsetof(Instance, memory_base)));
  enc_rr(&out, ENC_MOV, 8, R10, RSI);
  enc_rr(&out, ENC_MOV, 8, RAX, RCX);
  load_params(&out, type, RAX);
  if (n_results != 0) enc_rm(&out, ENC_LEA, 8, R11, mem_at(RSP, n_stack));
  enc_call_r(&out, R10);
  *return_at = asm_at(&out);
  enc_rm(&out, ENC_MOV, 8, R10, mem_at(RSP, n_results));
  store_results(&out, type, R10, RSP);
  enc_alu_ri(&out, ALU_ADD, 8, RSP, n_results + 8);
  enc_alu_rr(&out, ALU_XOR, 4, RAX, RAX);
  pop_kept(&out);
  align(&out);
  *buf = out.code;
}

/* Leaving to other functions */

static uint32_t slots_of(const CompType *type) {
  uint32_t n_params = 0, n_results = 0;
  for (uint32_t i = 0; i < type->n_params; i++) n_params += type_slots(type->types[i]);
  for (uint32_t i = 0; i < type->n_results; i++)
    n_results += type_slots(type->types[type->n_params + i]);
  return MAX(n_params, n_results);
}

enum { FRAME_R11 = 0, FRAME_ACT = 8, FRAME_STACK = ADAPTER_FRAME + 8 };

/* The sanitizer wants to be told of every switch: it is left to C. */
#if defined(RILLE_ASAN) || defined(RILLE_NO_SWITCH)
enum { SWITCHES_ITSELF = false };
#else
enum { SWITCHES_ITSELF = true };
#endif

/* Host functions: what run_call_host and on_call do for others, with the switch of stacks in
 * between. What compiled code keeps in registers is in its frame, so that a frame to be resumed
 * from needs room for the registers but no values. */

#define ACT(field) mem_at(R10, offsetof(Act, field))

/* r12: the slots, which hold the arguments; r13: their end; r10: the activation. */
static void pass_slots(Asm *out, const CompType *type, const StubCalls *calls) {
  enc_rm(out, ENC_MOV, 8, R10, instance_field(offsetof(Instance, act)));
  enc_rm(out, ENC_MOV, 8, R12, ACT(value_top));
  enc_rm(out, ENC_LEA, 8, R13, mem_at(R12, 8 * (int32_t)slots_of(type) + 64));
  enc_alu_rm(out, ALU_CMP, 8, R13, ACT(value_end));
  uint32_t fits = jump_ahead(out, CC_BE);
  enc_rr(out, ENC_MOV, 8, RDI, R15);
  enc_rr(out, ENC_MOV, 8, RSI, RAX);
  enc_rr(out, ENC_MOV, 8, RDX, RSP);
  call_c(out, (uintptr_t)calls->no_room);
  land_here(out, fits);
  store_params(out, type, R12, FRAME_STACK);
}

/* For backtraces: the place of the guest's frame. */
static void note_place(Asm *out, const CompType *type) {
  int32_t place = (int32_t)offsetof(Act, place);
  enc_rm(out, ENC_MOV, 8, R8, mem_at(RSP, ADAPTER_FRAME));
  enc_rm(out, ENC_LEA, 8, R9, mem_at(RSP, FRAME_STACK + (int32_t)abi_param_bytes(type)));
  enc_rm(out, ENC_MOV_STORE, 8, R15, mem_at(R10, place));
  enc_rm(out, ENC_MOV_STORE, 8, R8, mem_at(R10, place + 8));
  enc_rm(out, ENC_MOV_STORE, 8, R9, mem_at(R10, place + 16));
  enc_rm(out, ENC_LEA, 8, R8, mem_at(R10, place));
  enc_rm(out, ENC_MOV_STORE, 8, R8, ACT(frames));
}

static void note_call(Asm *out) {
  enc_rm(out, ENC_MOV_STORE, 8, RAX, ACT(host_func));
  enc_rm(out, ENC_MOV_STORE, 8, R12, ACT(host_slots));
  enc_alu_ri(out, ALU_SUB, 8, R13, 64);
  enc_rm(out, ENC_MOV_STORE, 8, R13, ACT(value_top));
  enc_mov_mi(out, 1, ACT(state), ACT_IN_HOST);
  enc_rm(out, ENC_MOV_STORE, 8, R10, mem_at(RSP, FRAME_ACT));
}

/* Ends behind the call, wherever that returns from. */
static void switch_and_call(Asm *out) {
  enum { REGISTERS = 48 };
  static const uint8_t lea_r8[] = {0x4C, 0x8D, 0x05}; /* lea r8, [rip + ...] */
  enc_rr(out, ENC_MOV, 8, RDI, R10);
  enc_rm(out, ENC_MOV, 8, RSI, mem_at(RAX, offsetof(Func, host_data)));
  enc_rr(out, ENC_MOV, 8, RDX, R12);
  for (unsigned i = 0; i < COUNT_OF(lea_r8); i++) asm_byte(out, lea_r8[i]);
  asm_u32(out, 0);
  uint32_t from = asm_at(out);
  enc_push(out, R8);
  enc_rm(out, ENC_LEA, 8, R9, mem_at(RSP, -REGISTERS));
  enc_rm(out, ENC_MOV, 8, RSP, ACT(host_sp));
  enc_rm(out, ENC_MOV_STORE, 8, R9, ACT(guest_sp));
  enc_push(out, R10);
  enc_call_m(out, mem_at(RAX, offsetof(Func, host)));
  enc_pop(out, R10);
  enc_rm(out, ENC_MOV, 8, RSP, ACT(guest_sp));
  enc_alu_ri(out, ALU_ADD, 8, RSP, REGISTERS + 8);
  store_u32(out->code.at + from - 4, asm_at(out) - from);
}

static void back_from_host(Asm *out, const StubCalls *calls) {
  enc_rm(out, ENC_MOV, 8, R10, mem_at(RSP, FRAME_ACT));
  enc_rm(out, ENC_MOV, 8, R15, mem_at(RSP, ADAPTER_INSTANCE));
  enc_rm(out, ENC_MOV, 8, R8, ACT(stack));
  enc_alu_rm(out, ALU_CMP, 8, R10, instance_field(offsetof(Instance, act)));
  uint32_t used = jump_ahead(out, CC_NE);
  enc_alu_rm(out, ALU_CMP, 8, R10, mem_at(R8, offsetof(Stack, top)));
  uint32_t left = jump_ahead(out, CC_NE);
  enc_rm(out, ENC_MOV, 8, R8, instance_field(offsetof(Instance, poll)));
  enc_rr(out, ENC_MOV, 4, R9, RAX);
  enc_alu_rm(out, ALU_OR, 4, R9, mem_at(R8, 0));
  uint32_t is_done = jump_ahead(out, CC_E);
  land_here(out, used);
  land_here(out, left);
  enc_rr(out, ENC_MOV, 8, RDI, R15);
  enc_rr(out, ENC_MOV, 8, RSI, R10);
  enc_rr(out, ENC_MOV, 4, RDX, RAX);
  call_c(out, (uintptr_t)calls->back);
  enc_rm(out, ENC_MOV, 8, R10, mem_at(RSP, FRAME_ACT));
  land_here(out, is_done);
  enc_rm(out, ENC_MOV, 8, R12, ACT(host_slots));
  enc_rm(out, ENC_MOV_STORE, 8, R12, ACT(value_top));
  enc_mov_mi(out, 8, ACT(frames), 0);
  enc_mov_mi(out, 1, ACT(state), ACT_RUNNING);
}

static void call_host(Asm *out, const CompType *type, const StubCalls *calls) {
  pass_slots(out, type, calls);
  enc_rm(out, ENC_MOV, 8, R10, instance_field(offsetof(Instance, act)));
  note_place(out, type);
  note_call(out);
  switch_and_call(out);
  back_from_host(out, calls);
  enc_rm(out, ENC_MOV, 8, R11, mem_at(RSP, FRAME_R11));
  load_results(out, type, R12, R11);
}

/* Through slots and C. */
static void call_by_slots(Asm *out, const CompType *type, const StubCalls *calls) {
  pass_slots(out, type, calls);
  enc_rr(out, ENC_MOV, 8, RDI, R15);
  enc_rr(out, ENC_MOV, 8, RSI, RAX);
  enc_rr(out, ENC_MOV, 8, RDX, R12);
  enc_rm(out, ENC_MOV, 8, RCX, mem_at(RSP, ADAPTER_FRAME));
  enc_rm(out, ENC_LEA, 8, R8, mem_at(RSP, FRAME_STACK + (int32_t)abi_param_bytes(type)));
  call_c(out, (uintptr_t)calls->call);
  enc_rm(out, ENC_MOV, 8, R11, mem_at(RSP, FRAME_R11));
  load_results(out, type, R12, R11);
}

static const size_t shared_fields[] = {offsetof(Instance, act), offsetof(Instance, stack_limit),
                                       offsetof(Instance, fuel_left)};
static const uint8_t field_regs[] = {R10, R12, R13};

/* To that of the Func in rax, which gets what the run has noted in the present one. */
static void change_instance(Asm *out) {
  for (unsigned i = 0; i < COUNT_OF(shared_fields); i++)
    enc_rm(out, ENC_MOV, 8, field_regs[i], instance_field(shared_fields[i]));
  enc_rm(out, ENC_MOV, 8, R15, mem_at(RAX, offsetof(Func, instance)));
  for (unsigned i = 0; i < COUNT_OF(shared_fields); i++)
    enc_rm(out, ENC_MOV_STORE, 8, field_regs[i], instance_field(shared_fields[i]));
  enc_rm(out, ENC_MOV, 8, R14, instance_field(offsetof(Instance, memory_base)));
}

static void begin_adapter(Asm *out) {
  enc_push(out, R15);
  enc_alu_ri(out, ALU_SUB, 8, RSP, ADAPTER_FRAME - 8);
  enc_rm(out, ENC_MOV_STORE, 8, R11, mem_at(RSP, FRAME_R11));
}

/* A no-op behind the call of an adapter. Whoever was called from there may call on in its place:
 * the adapter puts back the instance whatever ran. The first four bytes stand for themselves; no
 * code of a guest's choice follows a call. */
enum { NOP_LONG = 0x00801F0F, MARK = 0x52494C4C };
static void mark_return(Asm *out) {
  asm_byte(out, NOP_LONG & 0xFF);
  asm_byte(out, NOP_LONG >> 8 & 0xFF);
  asm_byte(out, NOP_LONG >> 16);
  asm_u32(out, MARK);
}

/* Into an instance that compiled code runs in. */
static void call_across(Asm *out, const CompType *type, uint32_t *return_at) {
  int32_t n_stack = (int32_t)abi_param_bytes(type);
  change_instance(out);
  if (n_stack != 0) enc_alu_ri(out, ALU_SUB, 8, RSP, n_stack);
  for (int32_t at = 0; at < n_stack; at += 16)
    copy(out, TYPE_V128, mem_at(RSP, at), mem_at(RSP, n_stack + FRAME_STACK + at));
  enc_call_m(out, mem_at(RAX, offsetof(Func, code)));
  *return_at = asm_at(out);
  mark_return(out);
  static const uint8_t free_regs[] = {R8, R9, R10};
  for (unsigned i = 0; i < COUNT_OF(shared_fields); i++)
    enc_rm(out, ENC_MOV, 8, free_regs[i], instance_field(shared_fields[i]));
  enc_rm(out, ENC_MOV, 8, R15, mem_at(RSP, ADAPTER_INSTANCE));
  for (unsigned i = 0; i < COUNT_OF(shared_fields); i++)
    enc_rm(out, ENC_MOV_STORE, 8, free_regs[i], instance_field(shared_fields[i]));
}

static void leave_adapter(Asm *out, const CompType *type) {
  enc_rm(out, ENC_MOV, 8, R14, instance_field(offsetof(Instance, memory_base)));
  enc_alu_ri(out, ALU_ADD, 8, RSP, ADAPTER_FRAME);
  enc_ret(out, abi_param_bytes(type));
}

/* The callee counts no fuel yet, and the run does. */
static void see_to_fuel(Asm *out, const StubCalls *calls) {
  save_all(out);
  enc_rr(out, ENC_MOV, 8, RDI, R15);
  enc_rr(out, ENC_MOV, 8, RSI, RAX);
  enc_rm(out, ENC_LEA, 8, RDX, above_saved(0));
  call_c(out, (uintptr_t)calls->count);
  restore_all(out);
  asm_byte(out, 0xE9); /* the adapter from its start */
  asm_u32(out, 0u - (asm_at(out) + 4));
}

/* An adapter is called or jumped to with rsp at the guest's return address. */
void stubs_adapter(Buf *buf, const CompType *type, const StubCalls *calls, AdapterOptions options,
                   uint32_t *return_at) {
  Asm out;
  begin(&out, buf, options.has_avx);
  enc_rm(&out, ENC_MOV, 8, R10, mem_at(RAX, offsetof(Func, instance)));
  enc_rr(&out, ENC_TEST, 8, R10, R10);
  uint32_t of_guest = jump_far(&out, CC_NE);
  begin_adapter(&out);
  if (SWITCHES_ITSELF) {
    call_host(&out, type, calls);
  } else {
    call_by_slots(&out, type, calls);
  }
  leave_adapter(&out, type);
  land_far(&out, of_guest);
  enc_mov_ri(&out, R12, (uintptr_t)options.ops);
  enc_alu_rm(&out, ALU_CMP, 8, R12, mem_at(R10, offsetof(Instance, ops)));
  uint32_t of_other = jump_far(&out, CC_NE);
  uint32_t uncounted = 0;
  if (options.counts_fuel) {
    enc_alu_mi(&out, ALU_CMP, 1, mem_at(R10, offsetof(Instance, counts_fuel)), 0);
    uncounted = jump_far(&out, CC_E);
  }
  enc_rm(&out, ENC_MOV, 8, R12, mem_at(RSP, 0));
  enc_alu_mi(&out, ALU_CMP, 4, mem_at(R12, 3), MARK);
  uint32_t marked = jump_far(&out, CC_E);
  uint32_t called = asm_at(&out);
  begin_adapter(&out);
  call_across(&out, type, return_at);
  leave_adapter(&out, type);
  land_far(&out, marked);
  enc_alu_mi(&out, ALU_CMP, 4, mem_at(R12, 0), (int32_t)(NOP_LONG | (MARK & 0xFFu) << 24));
  jump_back(&out, CC_NE, called);
  change_instance(&out);
  enc_jmp_m(&out, mem_at(RAX, offsetof(Func, code)));
  if (options.counts_fuel) {
    land_far(&out, uncounted);
    see_to_fuel(&out, calls);
  }
  land_far(&out, of_other);
  begin_adapter(&out);
  call_by_slots(&out, type, calls);
  leave_adapter(&out, type);
  align(&out);
  *buf = out.code;
}
#endif
