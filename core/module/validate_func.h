/* validate_func.h - checks function bodies and constant expressions one by one.
 */
#ifndef RILLE_VALIDATE_FUNC_H
#define RILLE_VALIDATE_FUNC_H

#include "validate.h"

void validate_func_init(void);            /* makes the table of signatures, once */
void validate_func_prepare(Validator *v); /* before the first body */

/* Both raise at the first error. The body's facts go to its FuncDef. */
void validate_func(Validator *v, uint32_t index);
void validate_const(Validator *v, ConstExpr expr, ValType type);

#endif
