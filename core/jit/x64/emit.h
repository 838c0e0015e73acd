/* emit.h - machine instructions to bytes.
 */
#ifndef RILLE_JIT_X64_EMIT_H
#define RILLE_JIT_X64_EMIT_H

#include "../compiled.h"
#include "isel.h"

/* After color_run. */
void emit_run(Mach *f, Compiled *out);

/* relax.c: shortens jumps, aligns loops, and fills in distances between labels. */
typedef struct Jump {
  uint32_t at, label;
  bool is_conditional;
} Jump;
enum { LABEL_LINK = 1u << 31 }; /* labels that are links: kind << 28, index */
typedef struct Layout {
  Asm *code;
  uint32_t *labels; /* positions; changed by relax_run */
  uint32_t n_labels;
  Jump *jumps; /* by position */
  uint32_t n_jumps;
  uint32_t *aligned; /* positions that get aligned, by position */
  uint32_t n_aligned;
  CodeSite *sites; /* by position */
  uint32_t n_sites;
} Layout;
void relax_run(Layout *layout, Arena *arena, Compiled *out);

#endif
