/* switch_x64.c - stack switches for x86-64 with the System V calling convention.
 *
 * Each stack that is left carries the same frame: return address, rbp, rbx, r12 to r15. Signal
 * masks, mxcsr and the x87 control word belong to the thread and stay as they are. The unwind
 * rules follow the pointer noted in the activation (offsets 64 and 72 of Act); marked as signal
 * frames, since the next frame may lie at a lower address.
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
    BEGIN("rille_switch_enter")
    SAVE
    " mov %rsp, 64(%rdi)\n"
    " mov %rdx, %rsp\n"
    " push %rdi\n"
    " sub $8, %rsp\n"
    CFA_THROUGH_ACT("0x08", "0x40")
    " call *%rsi\n"
    " mov 8(%rsp), %rdi\n"
    " mov 64(%rdi), %rsp\n" /* a resume may have put another one there */
    " .cfi_def_cfa %rsp, 56\n"
    RESTORE
    " ret\n"
    END("rille_switch_enter")

    BEGIN("rille_switch_host")
    SAVE
    " mov %rsp, 72(%rdi)\n"
    " mov 64(%rdi), %rsp\n"
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
    " mov 72(%rdi), %rsp\n"
    " mov %esi, %eax\n"
    RESTORE
    " ret\n"
    END("rille_switch_resume"));
/* clang-format on */
#endif
