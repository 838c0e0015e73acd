/* corpus.h - modules of files, and damage to their code that mostly leaves them valid.
 */
#ifndef RILLE_TESTS_CORPUS_H
#define RILLE_TESTS_CORPUS_H

#include "base/arena.h"

typedef struct Corpus {
  Arena arena;
  VEC(Str) modules;
} Corpus;

/* The binary, or all modules of the script, that are valid. */
void corpus_add_file(Corpus *corpus, const char *path);
/* A changed copy of module number seed % n in `out`. */
void corpus_mutate(const Corpus *corpus, uint64_t seed, Buf *out);

#endif
