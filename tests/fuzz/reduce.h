/* reduce.h - makes a module that shows a difference smaller while it still does.
 */
#ifndef RILLE_TESTS_REDUCE_H
#define RILLE_TESTS_REDUCE_H

#include "pair.h"

/* The smaller module is appended to `out`. */
void reduce_module(const Buf *bytes, uint64_t seed, const PairOptions *options, Buf *out);

#endif
