/* switch_arm64.c - stack switches for AArch64 (AAPCS64).
 *
 * Each stack that is left carries the same frame of 160 bytes: x29, x30, x19 to x28, d8 to d15.
 * Offsets 64 and 72 are Act.host_sp and Act.guest_sp.
 */
#include "switch.h"

#if defined(__aarch64__) && !defined(RILLE_NO_SWITCH)
#define SAVE                                       \
  " stp x29, x30, [sp, #-160]!\n"                  \
  " .cfi_def_cfa_offset 160\n"                     \
  " .cfi_offset 29, -160\n .cfi_offset 30, -152\n" \
  " mov x29, sp\n"                                 \
  " stp x19, x20, [sp, #16]\n"                     \
  " stp x21, x22, [sp, #32]\n"                     \
  " stp x23, x24, [sp, #48]\n"                     \
  " stp x25, x26, [sp, #64]\n"                     \
  " stp x27, x28, [sp, #80]\n"                     \
  " stp d8, d9, [sp, #96]\n"                       \
  " stp d10, d11, [sp, #112]\n"                    \
  " stp d12, d13, [sp, #128]\n"                    \
  " stp d14, d15, [sp, #144]\n"
#define RESTORE                 \
  " ldp x19, x20, [sp, #16]\n"  \
  " ldp x21, x22, [sp, #32]\n"  \
  " ldp x23, x24, [sp, #48]\n"  \
  " ldp x25, x26, [sp, #64]\n"  \
  " ldp x27, x28, [sp, #80]\n"  \
  " ldp d8, d9, [sp, #96]\n"    \
  " ldp d10, d11, [sp, #112]\n" \
  " ldp d12, d13, [sp, #128]\n" \
  " ldp d14, d15, [sp, #144]\n" \
  " ldp x29, x30, [sp], #160\n"
#if defined(__APPLE__)
#define SYMBOL(name) "_" name
#define BEGIN(name)                                                                    \
  " .globl " SYMBOL(name) "\n .private_extern " SYMBOL(name) "\n .p2align 4\n" SYMBOL( \
      name) ":\n .cfi_startproc\n"
#define END(name) " .cfi_endproc\n"
#else
#define BEGIN(name)                       \
  " .globl " name "\n .hidden " name "\n" \
  " .type " name ", %function\n .p2align 4\n" name ":\n .cfi_startproc\n"
#define END(name) " .cfi_endproc\n .size " name ", . - " name "\n"
#endif

/* clang-format off */
__asm__(
    " .text\n"
    BEGIN("rille_switch_enter")
    SAVE
    " .cfi_def_cfa 29, 160\n" /* unwinding goes by the frame pointer, which run() keeps */
    " mov x9, sp\n"
    " str x9, [x0, #64]\n"
    " mov sp, x2\n"
    " str x0, [sp, #-16]!\n"
    " blr x1\n"
    " ldr x9, [sp]\n"
    " ldr x9, [x9, #64]\n" /* a resume may have put another one there */
    " mov sp, x9\n"
    RESTORE
    " ret\n"
    END("rille_switch_enter")

    BEGIN("rille_switch_host")
    SAVE
    " .cfi_def_cfa 29, 160\n"
    " mov x9, sp\n"
    " str x9, [x0, #72]\n"
    " ldr x9, [x0, #64]\n"
    " mov sp, x9\n"
    " str x0, [sp, #-16]!\n"
    " mov x9, x1\n"
    " mov x1, x2\n"
    " mov x2, x3\n"
    " blr x9\n"
    " ldr x9, [sp], #16\n"
    " ldr x9, [x9, #72]\n"
    " mov sp, x9\n"
    " ldp x29, x30, [sp], #160\n" /* who returns has kept the other registers */
    " ret\n"
    END("rille_switch_host")

    BEGIN("rille_switch_resume")
    SAVE
    " mov x9, sp\n"
    " str x9, [x0, #64]\n"
    " ldr x9, [x0, #72]\n"
    " mov sp, x9\n"
    " mov w0, w1\n"
    RESTORE
    " ret\n"
    END("rille_switch_resume"));
/* clang-format on */
#endif
