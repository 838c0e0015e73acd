/* listing.h - the machine code of one function for people to read.
 */
#ifndef RILLE_JIT_LISTING_H
#define RILLE_JIT_LISTING_H

#include "../module/module.h"
#include "compiled.h"

/* A line for each instruction: its position, its text, what traps there, what is called or named,
 * and where that is in the module. */
void listing_print(Module *module, const Compiled *compiled, Buf *out);

#endif
