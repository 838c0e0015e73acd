/* generate_int.h - what the files of the generator share.
 */
#ifndef RILLE_TESTS_GENERATE_INT_H
#define RILLE_TESTS_GENERATE_INT_H

#include "generate.h"
#include "module/opcode.h"

enum { FUNCS = 6, GLOBALS = 6, STEPS = 400, DEPTH_MAX = 5, LABELS_MAX = 12, PARAMS_MAX = 4 };

enum { LETTERS = 5 }; /* i32, i64, f32, f64, v128: "ilfdv" */

/* Types of references have letters, too: p (ref null $pair), s (ref null $sub), b (ref null
 * $bytes), c (ref null $ints), o (ref null $objects), a anyref. Labels may be of exnref. */
enum { GEN_REF_TYPES = 7, GEN_REF_GLOBALS = 2, GEN_REF_TABLE = 10, GEN_EXNREF = 'x' };

typedef struct Signature {
  char params[PARAMS_MAX + 1];
  char results[3];
} Signature;

typedef struct Label {
  char type; /* of its one value, or 0 */
} Label;

typedef struct Generator {
  Buf *out;
  uint64_t state;
  const GenerateOptions *options;
  unsigned n_letters;
  Signature signatures[FUNCS];
  uint32_t func;
  char locals[64];
  uint32_t n_locals;
  Label labels[LABELS_MAX];
  uint32_t n_labels;
  int budget;
  uint16_t rows[LETTERS][OP_COUNT]; /* pure rows by result */
  uint32_t n_rows[LETTERS];
  uint16_t accesses[2 * LETTERS][64]; /* loads by result, then stores by value */
  uint32_t n_accesses[2 * LETTERS];
} Generator;

uint32_t gen_below(Generator *g, uint32_t n);
bool gen_chance(Generator *g, uint32_t percent);
char gen_random_type(Generator *g);
void gen_put(Generator *g, Op op);
void gen_put_index(Generator *g, Op op, uint32_t index);
void gen_put_type(Buf *out, char letter);
void gen_constant(Generator *g, char type);
/* A local of the type; false when there is none. */
bool gen_variable(Generator *g, char type, Op op);
void gen_push_label(Generator *g, char type);
void gen_arguments(Generator *g, const Signature *signature, unsigned depth);
void gen_expression(Generator *g, char type, unsigned depth);
void gen_statements(Generator *g, unsigned depth);
void gen_section(Buf *out, uint8_t id, const Buf *contents);

/* generate_ref.c: references, structures, arrays, exceptions, tail calls */
static inline bool gen_is_ref(char letter) {
  return letter != 0 && strchr("psbcoa", letter) != NULL;
}
void gen_put_ref_type(Buf *out, char letter);
char gen_random_ref(Generator *g);
void gen_ref_expression(Generator *g, char type, unsigned depth);
/* An expression of a number out of an object; false when there is none for the type. */
bool gen_from_ref(Generator *g, char type, unsigned depth);
void gen_ref_statement(Generator *g, unsigned depth);
/* Most locals of references start with an object. */
void gen_set_refs(Generator *g, uint32_t first);
void gen_ref_types(Buf *s);
void gen_ref_tags(Buf *out);
void gen_ref_globals(Generator *g);

#endif
