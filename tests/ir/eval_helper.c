/* eval_helper.c - the helpers of compiled code, for the evaluator.
 */
#include "eval_leave.h"

#include "jit/helper.c"
