/* handlers.c - the table from an instruction's number to its handler.
 */
#include "code.h"

Handler *const interp_handlers[IOP_COUNT] = {
#define IOP(name) h_##name,
#include "iops.def"
};
