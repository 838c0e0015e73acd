/* eval_leave.h - the evaluator leaves the guest in a way of its own: what helpers call for that
 * gets other names, so that the compiler's can be in the same program.
 */
#ifndef RILLE_TESTS_EVAL_LEAVE_H
#define RILLE_TESTS_EVAL_LEAVE_H

#define helper_mark  eval_mark
#define helper_trap  eval_trap
#define helper_leave eval_leave

#include "jit/helper.h"

#endif
