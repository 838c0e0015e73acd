/* direct.c - entering compiled code from C with the arguments in registers.
 *
 * The first registers of both kinds are the same in C's convention and in ours, so that the code of
 * every function with few parameters is entered by the same instructions: arguments stay where they
 * are, the result too. What stack.c does around a run is done here, as far as it is still to do
 * when the activation is idle: it was last used by this thread for the same instance, which noted
 * all that its code reads. Anything else is left to stack_enter.
 *
 * The machine stack starts with the activation and a frame that looks to `exit` like that of
 * stubs_entry. The host's stack has a frame that looks like that of rille_switch_resume, so that
 * both are left alike.
 */
#if defined(__x86_64__)
#include "direct.h"

#include "../../runtime/stack.h"
#include "../../runtime/switch.h"

/* From the lowest address: six registers, what `exit` returns to, the activation. */
enum { FRAME_EXIT = 48, FRAME_ACT = 56, FRAME_BYTES = 64 };
static const uint8_t kept[] = {RBP, RBX, R12, R13, R14, R15};
_Static_assert(FRAME_EXIT == 8 * COUNT_OF(kept), "the frame of an entry");

#define ACT(field)      mem_at(R11, offsetof(Act, field))
#define INSTANCE(field) mem_at(R15, offsetof(Instance, field))

/* A jump forward to be bound with land. */
static uint32_t jump_if(Asm *out, unsigned cc) {
  asm_byte(out, 0x0F);
  asm_byte(out, 0x80 | cc);
  asm_u32(out, 0);
  return asm_at(out);
}

static void land(Asm *out, uint32_t jump) {
  store_u32(out->code.at + jump - 4, asm_at(out) - jump);
}

/* mov r10, fs:[offset] */
static void load_token(Asm *out, ptrdiff_t offset) {
  static const uint8_t instruction[] = {0x64, 0x4C, 0x8B, 0x14, 0x25};
  for (unsigned i = 0; i < COUNT_OF(instruction); i++) asm_byte(out, instruction[i]);
  asm_u32(out, (uint32_t)offset);
}

/* r11: the activation, rax: the instance. The jumps are taken when this is not the way. */
enum { CHECKS = 4 };
static void check_idle(Asm *out, const DirectCalls *calls, uint32_t jumps[CHECKS]) {
  enc_rm(out, ENC_MOV, 8, R11, mem_at(R8, offsetof(Stack, values)));
  load_token(out, calls->token);
  enc_alu_rm(out, ALU_CMP, 8, R10, ACT(idle_in));
  jumps[0] = jump_if(out, CC_NE);
  enc_rm(out, ENC_MOV, 8, RAX, mem_at(R9, offsetof(Func, instance)));
  enc_alu_rm(out, ALU_CMP, 8, RAX, ACT(instance));
  jumps[1] = jump_if(out, CC_NE);
  enc_alu_rm(out, ALU_CMP, 8, R11, mem_at(RAX, offsetof(Instance, act)));
  jumps[2] = jump_if(out, CC_NE);
  enc_rm(out, ENC_MOV, 8, R10, mem_at(RAX, offsetof(Instance, poll)));
  enc_test_mi(out, 4, mem_at(R10, 0), POLL_INTERRUPT);
  jumps[3] = jump_if(out, CC_NE);
}

/* As reuse_act does. */
static void fill_act(Asm *out) {
  enc_rm(out, ENC_MOV_STORE, 8, R9, ACT(func));
  enc_rm(out, ENC_MOV_STORE, 8, RSP, ACT(host_sp));
  enc_rm(out, ENC_MOV_STORE, 8, RSP, ACT(anchor));
  enc_rm(out, ENC_MOV, 8, RAX, ACT(slots));
  enc_rm(out, ENC_MOV_STORE, 8, RAX, ACT(value_top));
  enc_alu_rr(out, ALU_XOR, 4, RAX, RAX);
  enc_rm(out, ENC_MOV_STORE, 8, RAX, ACT(idle_in));
  enc_rm(out, ENC_MOV_STORE, 8, RAX, ACT(user));
  enc_rm(out, ENC_MOV_STORE, 8, RAX, ACT(frames));
  enc_rm(out, ENC_MOV_STORE, 8, RAX, ACT(exception));
  enc_mov_mi(out, 1, ACT(state), ACT_RUNNING);
  enc_rm(out, ENC_MOV_STORE, 8, R11, mem_at(R8, offsetof(Stack, top)));
}

/* Where the run goes when it does not return: lea rax, [rip + ...], to be bound with land. */
static uint32_t build_frame(Asm *out) {
  enc_rm(out, ENC_MOV, 8, R10, mem_at(R8, offsetof(Stack, machine_top)));
  enc_rm(out, ENC_LEA, 8, RSP, mem_at(R10, -FRAME_BYTES));
  enc_rm(out, ENC_MOV_STORE, 8, R11, mem_at(RSP, FRAME_ACT));
  asm_byte(out, 0x48);
  asm_byte(out, 0x8D);
  asm_byte(out, 0x05);
  asm_u32(out, 0);
  uint32_t failed = asm_at(out);
  enc_rm(out, ENC_MOV_STORE, 8, RAX, mem_at(RSP, FRAME_EXIT));
  enc_rm(out, ENC_MOV_STORE, 8, RSP, ACT(entry_sp));
  return failed;
}

static void leave(Asm *out) {
  for (unsigned i = COUNT_OF(kept); i-- > 0;) enc_pop(out, kept[i]);
  enc_ret(out, 0);
}

static unsigned status_reg(DirectKind kind) {
  return kind == DIRECT_INT ? RDX : RAX;
}

/* As stack_enter and rest do after a run that ended well. */
static void rest(Asm *out, const DirectCalls *calls) {
  enc_rm(out, ENC_MOV, 8, RSP, ACT(host_sp));
  load_token(out, calls->token);
  enc_rm(out, ENC_MOV_STORE, 8, R10, ACT(thread));
  enc_rm(out, ENC_MOV, 8, R9, ACT(stack));
  enc_mov_mi(out, 8, mem_at(R9, offsetof(Stack, top)), 0);
  enc_mov_mi(out, 1, ACT(state), ACT_ENDED);
  enc_rm(out, ENC_MOV_STORE, 8, R10, ACT(idle_in));
}

/* The last switch was a resume: it returns to that, with the result in the slots. */
static void return_to_resume(Asm *out, const DirectCalls *calls) {
  enc_rr(out, ENC_MOV, 8, RDI, R11);
  enc_rr(out, ENC_MOV, 8, RSI, RAX);
  enc_mov_ri(out, RAX, (uintptr_t)calls->resumed);
  enc_call_r(out, RAX);
  enc_rm(out, ENC_MOV, 8, R11, mem_at(RSP, FRAME_ACT));
  enc_rm(out, ENC_MOV, 8, RSP, ACT(host_sp));
  leave(out);
}

/* The status is in eax. A resume looks for it there, too. */
static void fail(Asm *out) {
  enc_rm(out, ENC_MOV, 8, R11, mem_at(RSP, 0));
  enc_rm(out, ENC_MOV, 8, RSP, ACT(host_sp));
  enc_rm(out, ENC_MOV_STORE, 4, RAX, ACT(status));
  enc_mov_mi(out, 1, ACT(state), ACT_ENDED);
  enc_rr(out, ENC_MOV, 4, RDX, RAX);
  leave(out);
}

/* The compiler that made this file puts the token at the same distance in all threads. The
 * sanitizer wants to be told of every switch. */
ptrdiff_t direct_token(void) {
#if defined(__GLIBC__) && !defined(RILLE_ASAN) && !defined(RILLE_NO_SWITCH)
  const char *thread;
  __asm__("mov %%fs:0, %0" : "=r"(thread));
  return (const char *)stack_thread_token() - thread;
#else
  return 0;
#endif
}

static bool is_float(ValType type) {
  unsigned kind = type_kind(type);
  return kind == KIND_F32 || kind == KIND_F64;
}

bool direct_fits(const CompType *type) {
  enum { INTS = 4, FLOATS = 4 };
  unsigned n_ints = 0, n_floats = 0;
  for (uint32_t i = 0; i < type->n_params + type->n_results; i++) {
    if (!is_float(type->types[i]) && type_kind(type->types[i]) != KIND_I32 &&
        type_kind(type->types[i]) != KIND_I64) {
      return false;
    }
  }
  for (uint32_t i = 0; i < type->n_params; i++) {
    if (is_float(type->types[i])) {
      n_floats++;
    } else {
      n_ints++;
    }
  }
  return type->n_results <= 1 && n_ints <= INTS && n_floats <= FLOATS;
}

DirectKind direct_kind(const CompType *type) {
  return type->n_results == 1 && is_float(type->types[type->n_params]) ? DIRECT_FLOAT : DIRECT_INT;
}

void direct_stub(Asm *out, const DirectCalls *calls, DirectKind kind) {
  uint32_t others[CHECKS];
  check_idle(out, calls, others);
  for (unsigned i = 0; i < COUNT_OF(kept); i++) enc_push(out, kept[i]);
  enc_rr(out, ENC_MOV, 8, R15, RAX);
  fill_act(out);
  enc_rm(out, ENC_MOV, 8, R14, INSTANCE(memory_base));
  uint32_t failed = build_frame(out);
  enc_call_m(out, mem_at(R9, offsetof(Func, code)));
  enc_rm(out, ENC_MOV, 8, R11, mem_at(RSP, FRAME_ACT));
  enc_alu_mi(out, ALU_CMP, 8, ACT(is_resumed), 0);
  uint32_t resumed = jump_if(out, CC_NE);
  rest(out, calls);
  enc_alu_rr(out, ALU_XOR, 4, status_reg(kind), status_reg(kind));
  leave(out);
  land(out, failed);
  fail(out);
  land(out, resumed);
  return_to_resume(out, calls);
  for (unsigned i = 0; i < CHECKS; i++) land(out, others[i]);
  enc_mov_ri(out, status_reg(kind), DIRECT_NOT_ENTERED);
  enc_ret(out, 0);
}
#endif
