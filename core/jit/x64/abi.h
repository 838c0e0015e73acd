/* abi.h - how compiled code calls and is called on x86-64.
 *
 * Registers
 *   r15  the running Instance
 *   r14  base of its memory 0 (undefined when it has none)
 *   rsp  the guest's machine stack
 *   All others belong to nobody: a call destroys them.
 * Arguments: integers and references in rdi rsi rdx rcx r8 r9, floats and vectors in xmm0 to xmm7, each
 * kind counted by itself; what does not fit lies on the stack, first argument lowest, 8 bytes each (16 for
 * v128, not aligned), right above the return address. The callee pops it (`ret n`), so that a tail call can
 * replace it by another number.
 * Results: integers in rax rdx rcx rsi, floats in xmm0 to xmm3; what does not fit is written by the callee
 * to Act.results through the pointer that the caller passes in r11: room on the caller's frame.
 *
 * Entries of a function, in this order in memory:
 *   indirect entry  eax holds the id of the expected type: compares with its own; on a mismatch walks the
 *                   supertypes of its own type in a cold stub, then traps "indirect call type mismatch"
 *   direct entry    rsp compared with [r15 + Instance.stack_limit], except in small leaf functions
 * A caller of another instance saves r14, r15 on its frame, loads the callee's r15 and r14 from the Func and
 * its instance, copies Instance.act and Instance.stack_limit into the callee's instance, and restores
 * afterwards. The same instance needs none of it.
 *
 * Frames: rsp moves only in the prologue and for stack arguments; every call site is in a table: return
 * address -> frame size, offset in the module, exception handler, live reference slots. No frame pointer.
 *
 * Traps: explicit checks jump to an out-of-line `ud2`; faults of loads, stores and divisions are found by
 * their address. Both are in a table: code address -> Trap, offset in the module. The signal handler sets
 * rip to a stub that switches to the host's stack.
 *
 * Runtime helpers (memory.grow, table operations, allocation ...) are C functions called on the guest stack
 * with the C convention: rsp aligned to 16; they use at most 16 KiB. Host functions and whatever may run host
 * code go through run_call_host, which switches stacks; all slots of their arguments lie on the value stack
 * of the activation (Act.value_top).
 */
#ifndef RILLE_JIT_X64_ABI_H
#define RILLE_JIT_X64_ABI_H

enum { ABI_INT_ARGS = 6, ABI_FLOAT_ARGS = 8, ABI_INT_RESULTS = 4, ABI_FLOAT_RESULTS = 4 };

#endif
