/* eval_helper.c - the helpers of compiled code, for the evaluator.
 */
#define RILLE_EVAL_HELPERS /* wherever they run */
#include "eval_leave.h"

#include "jit/helper.c"
