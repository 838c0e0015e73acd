/* constexpr.h - evaluates constant expressions: initial values, offsets, element segments.
 */
#ifndef RILLE_CONSTEXPR_H
#define RILLE_CONSTEXPR_H

#include "store.h"

/* The value of a validated expression in the instance's context: its functions, and its globals as
 * far as they exist. A vector takes two slots of `out`. False and *error when something in it
 * cannot be made. */
bool constexpr_eval(Instance *instance, ConstExpr expr, Slot *out, Error *error);

#endif
