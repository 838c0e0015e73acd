/* abi.h - how compiled code calls and is called on x86-64.
 *
 * Registers
 *   r15  the running Instance
 *   r14  base of its memory 0, when that is guarded; else undefined
 *   rsp  the guest's machine stack, 16-byte aligned where calls are made
 *   All others belong to nobody: a call destroys them. xmm15 is never allocated: moves go through
 * it. Values: an i32 fills its register with zeros above. Arguments: integers and references in rdi
 * rsi rdx rcx r8 r9, floats and vectors in xmm0 to xmm7, each kind counted by itself; what does not
 * fit lies on the stack, first argument lowest, 8 bytes each (16 for v128), right above the return
 * address, their sum rounded up to 16. The callee pops it (`ret n`), so that a tail call can
 * replace it by another number. Results: integers in rax rdx rcx rsi, floats in xmm0 to xmm3; what
 * does not fit is written by the callee to where r11 points on entry, in the order of the results,
 * 8 bytes each (16 for v128).
 *
 * A function of another instance, of the host or of another engine is called through the adapter of
 * its type, with the Func in rax: an adapter changes instances, or puts the arguments into slots of
 * the value stack and calls C. Code that calls through a Func compares its instance with r15 first.
 * A tail call out of a function that an adapter called needs no adapter's frame of its own: that
 * one puts the instance back whatever runs meanwhile. So instances may call on and on in one
 * another's place.
 *
 * Prologue: rsp compared with [r15 + Instance.stack_limit], except in small leaf functions; then
 * rsp moves once, for the whole frame; stack arguments of a call lie below it while the call is
 * made. From the lower end: spilled values, results in memory; no frame pointer. Frames are walked
 * by the tables of code.h: every function has one frame size, and every call site a place in the
 * module.
 *
 * Traps: explicit checks jump to an out-of-line `ud2`, or where signals are not wanted to a call of
 * the trap stub; faults of loads, stores and divisions are found by their address. All are in a
 * table: code address -> Trap, offset in the module. The signal handler sets rip to a stub that
 * leaves to the entry.
 *
 * Runtime helpers are C functions called on the guest stack with the C convention, the Instance
 * first; Instance.helper_sp tells where the guest's frame ends. They use at most 16 KiB. Host
 * functions and whatever may run host code go through run_call_host, which switches stacks.
 */
#ifndef RILLE_JIT_X64_ABI_H
#define RILLE_JIT_X64_ABI_H

#include "../../module/module.h"

enum { ABI_INT_ARGS = 6, ABI_FLOAT_ARGS = 8, ABI_INT_RESULTS = 4, ABI_FLOAT_RESULTS = 4 };

/* Registers of both files in one numbering: 0 to 15 integers, 16 to 31 vectors. */
enum { REG_XMM0 = 16, REG_NONE = 0xFF };
enum { REG_SCRATCH = 31 }; /* xmm15 */

/* Where an argument or result is. */
typedef struct AbiPlace {
  uint8_t reg;     /* or REG_NONE: then in memory */
  uint32_t offset; /* there, from the lowest argument, or from r11 */
} AbiPlace;

typedef struct AbiCursor {
  uint32_t n_ints, n_floats, bytes;
} AbiCursor;

AbiPlace abi_next_param(AbiCursor *cursor, ValType type);
AbiPlace abi_next_result(AbiCursor *cursor, ValType type);
/* Bytes of arguments on the stack, a multiple of 16; bytes of results in memory. */
uint32_t abi_param_bytes(const CompType *type);
uint32_t abi_result_bytes(const CompType *type);

#endif
