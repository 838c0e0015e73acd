/* dwarf.h - places in source files, from the DWARF sections of a module (versions 2 to 5).
 *
 * Read at the first backtrace through a unit, tolerant of damage: what cannot be read is not known.
 * Addresses are bytes behind the start of the code section's contents.
 */
#ifndef RILLE_DWARF_H
#define RILLE_DWARF_H

#include "module.h"

typedef struct SourcePlace {
  Str func;      /* by its name in the source; may be empty */
  Str path[3];   /* folder of the compilation, folder, file: what is not empty makes the path */
  uint32_t line; /* 0: not known */
} SourcePlace;

/* The places of the instruction at an offset in the module's bytes: where it stands, and the calls
 * that were inlined around it, innermost first. The last place is in the function itself. Returns
 * how many there are, at most `room`; 0: nothing is known. Safe from several threads; the texts
 * live as long as the module. */
uint32_t dwarf_places(Module *module, uint64_t offset, SourcePlace *out, uint32_t room);
void dwarf_free(Module *module);

#endif
