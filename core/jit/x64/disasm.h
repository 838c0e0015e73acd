/* disasm.h - machine code as text, one instruction at a time: what encode.def and encode.c write.
 */
#ifndef RILLE_JIT_X64_DISASM_H
#define RILLE_JIT_X64_DISASM_H

#include "../../base/arena.h"

/* Appends the instruction at `at`, in the order destination, sources; distances are shown as
 * positions from `start`. Returns its length; an unknown byte is one of 1 and shown as such. */
uint32_t disasm_one(const uint8_t *start, uint32_t at, uint32_t size, Buf *out);

#endif
