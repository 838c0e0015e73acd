/* switch_x64.c - stack switches for x86-64 with the System V calling convention.
 *
 * A stack that is left to come back in another way carries a frame: return address, rbp, rbx, r12
 * to r15. Signal masks, mxcsr and the x87 control word belong to the thread and stay as they are.
 * Offsets 64, 72 and 80 are host_sp, guest_sp and is_resumed of Act. The unwind rules are marked as
 * signal frames, since the next frame may lie at a lower address. Between a switch and the first
 * push there is another access to memory: valgrind then sees the switch by itself, and the push as
 * one on the new stack.
 */
#include "switch.h"

#if defined(__x86_64__) && !defined(RILLE_NO_SWITCH)
#define SAVE                                              \
  " push %rbp\n"                                          \
  " .cfi_adjust_cfa_offset 8\n .cfi_rel_offset %rbp, 0\n" \
  " push %rbx\n"                                          \
  " .cfi_adjust_cfa_offset 8\n .cfi_rel_offset %rbx, 0\n" \
  " push %r12\n"                                          \
  " .cfi_adjust_cfa_offset 8\n .cfi_rel_offset %r12, 0\n" \
  " push %r13\n"                                          \
  " .cfi_adjust_cfa_offset 8\n .cfi_rel_offset %r13, 0\n" \
  " push %r14\n"                                          \
  " .cfi_adjust_cfa_offset 8\n .cfi_rel_offset %r14, 0\n" \
  " push %r15\n"                                          \
  " .cfi_adjust_cfa_offset 8\n .cfi_rel_offset %r15, 0\n"
#define RESTORE " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
/* The CFA is 56 above the pointer noted at `offset` of the activation that lies at rsp + at:
 * DW_CFA_def_cfa_expression { breg7 at, deref, plus_uconst offset, deref, plus_uconst 56 }. */
#define CFA_THROUGH_ACT(at, offset) \
  " .cfi_escape 0x0f, 0x08, 0x77, " at ", 0x06, 0x23, " offset ", 0x06, 0x23, 0x38\n"
#define BEGIN(name)                                      \
  " .globl " name "\n .hidden " name "\n"                \
  " .type " name ", @function\n .p2align 4\n" name ":\n" \
  " .cfi_startproc\n .cfi_signal_frame\n"
#define END(name) " .cfi_endproc\n .size " name ", . - " name "\n"

/* clang-format off */
__asm__(
    " .text\n"
    /* Whoever returns has kept the callee-saved registers, so that the host's need no saving unless
     * a resume comes between: then they are those of its frame. */
    BEGIN("rille_switch_enter")
    " push %rbx\n"
    " .cfi_adjust_cfa_offset 8\n .cfi_rel_offset %rbx, 0\n"
    " mov %rsp, %rbx\n"
    " .cfi_def_cfa_register %rbx\n"
    " lea -8(%rsp), %rax\n"
    " mov %rdx, %rsp\n"
    " mov %rax, 64(%rdi)\n"
    " push %rdi\n"
    " sub $8, %rsp\n"
    " call *%rsi\n"
    " mov 8(%rsp), %rdi\n"
    " cmpl $0, 80(%rdi)\n"
    " jne 1f\n"
    " mov %rbx, %rsp\n"
    " pop %rbx\n"
    " .cfi_remember_state\n .cfi_def_cfa %rsp, 8\n .cfi_restore %rbx\n"
    " ret\n"
    " .cfi_restore_state\n"
    "1: mov 64(%rdi), %rsp\n"
    RESTORE
    " ret\n"
    END("rille_switch_enter")

    BEGIN("rille_switch_host")
    SAVE
    " mov %rsp, %rax\n"
    " mov 64(%rdi), %rsp\n"
    " mov %rax, 72(%rdi)\n"
    " push %rdi\n"
    CFA_THROUGH_ACT("0x00", "0x48")
    " mov %rsi, %rax\n"
    " mov %rdx, %rsi\n"
    " mov %rcx, %rdx\n"
    " call *%rax\n"
    " pop %rdi\n"
    " mov 72(%rdi), %rsp\n"
    " .cfi_def_cfa %rsp, 56\n"
    " add $48, %rsp\n" /* who returns has kept the registers */
    " ret\n"
    END("rille_switch_host")

    BEGIN("rille_switch_resume")
    SAVE
    " mov %rsp, 64(%rdi)\n"
    " movl $1, 80(%rdi)\n"
    " mov 72(%rdi), %rsp\n"
    " mov %esi, %eax\n"
    RESTORE
    " ret\n"
    END("rille_switch_resume"));
/* clang-format on */
#endif
