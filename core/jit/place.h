/* place.h - gives every node a block and an order.
 */
#ifndef RILLE_JIT_PLACE_H
#define RILLE_JIT_PLACE_H

#include "ir.h"

void place_run(Ir *ir);

#endif
