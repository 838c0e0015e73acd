/* fill.h - all functions of a module at once: each is put into code memory when it is compiled or
 * read from a file, and all are linked with one another when the last one is there.
 *
 * Until then nothing runs there, so calls can name functions that come later; and until fill_finish
 * the code names no address, so this is also the form in which it is kept in files.
 */
#ifndef RILLE_JIT_FILL_H
#define RILLE_JIT_FILL_H

#include "code.h"

typedef struct FillFunc {
  size_t at;         /* of its code, from Fill.start */
  Compiled compiled; /* `code` is not set; sites and links are the allocator's. size 0: not there */
} FillFunc;

typedef struct Fill {
  CodeSpace *space;
  uint8_t *start;
  size_t size, room; /* bytes of code so far; bytes that can be written */
  FillFunc *funcs;   /* by function that the module defines */
  uint32_t n_funcs;
  uint32_t *order; /* of the functions in memory */
  uint32_t n_placed;
} Fill;

/* The space must have its adapters already, and nobody may put code into it meanwhile. */
bool fill_begin(Fill *fill, CodeSpace *space);
/* A copy of it; `own` counts the module's own functions. False: no memory. */
bool fill_add(Fill *fill, uint32_t own, const Compiled *compiled);
/* Links everything and lets it be called. */
bool fill_finish(Fill *fill);
void fill_empty(Fill *fill); /* as it was when it began */
void fill_clear(Fill *fill);

#endif
