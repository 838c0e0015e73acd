/* fuel.h - what running costs when an instance has a fuel limit; the same in every engine.
 *
 * A function body is cut into blocks by its text alone: one starts at the beginning, behind each
 * `loop`, `else` and `end` but a loop's, and behind each br_if, if, br_on_...; code that no branch
 * can reach (behind br, return, unreachable ... up to the next else or end) costs nothing. A
 * block's whole cost is taken off when it is entered, before its first instruction; a trap inside
 * gives nothing back. Calls do not end a block. Bulk instructions take more when they run, before
 * they check their bounds.
 */
#ifndef RILLE_FUEL_H
#define RILLE_FUEL_H

#include "opcode.h"

static inline uint32_t fuel_cost(Op op) {
  switch (op) {
    case OP_BLOCK:
    case OP_LOOP:
    case OP_ELSE:
    case OP_END:
    case OP_NOP:
    case OP_DROP:
    case OP_TRY_TABLE:
    case OP_TRY:
    case OP_CATCH:
    case OP_CATCH_ALL:
    case OP_DELEGATE: return 0;
    default: return 1;
  }
}

/* What bulk instructions take besides: n / 64 for n bytes of memory, n / 8 for n elements of tables
 * and arrays, whatever the size of an element; making an array of n elements is such an
 * instruction, but array.new_fixed costs 1. Catching takes nothing itself: the code of a clause is
 * a block, and throwing costs 1 however many frames it leaves. */
#define FUEL_BYTES_LOG2    6
#define FUEL_ELEMENTS_LOG2 3

#endif
