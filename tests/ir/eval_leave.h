/* eval_leave.h - the evaluator leaves the guest in a way of its own, so it has its own copies of
 * the helpers. They get other names, so that the compiler's can be in the same program.
 */
#ifndef RILLE_TESTS_EVAL_LEAVE_H
#define RILLE_TESTS_EVAL_LEAVE_H

#define helper_mark            eval_mark
#define helper_go_on           eval_go_on
#define helper_trap            eval_trap
#define helper_leave           eval_leave
#define helper_memory_grow     eval_memory_grow
#define helper_memory_init     eval_memory_init
#define helper_memory_copy     eval_memory_copy
#define helper_memory_fill     eval_memory_fill
#define helper_data_drop       eval_data_drop
#define helper_memory_wait32   eval_memory_wait32
#define helper_memory_wait64   eval_memory_wait64
#define helper_memory_notify   eval_memory_notify
#define helper_table_grow      eval_table_grow
#define helper_table_fill      eval_table_fill
#define helper_table_copy      eval_table_copy
#define helper_table_init      eval_table_init
#define helper_elem_drop       eval_elem_drop
#define helper_ref_test        eval_ref_test
#define helper_struct_alloc    eval_struct_alloc
#define helper_array_alloc     eval_array_alloc
#define helper_array_new       eval_array_new
#define helper_array_new_data  eval_array_new_data
#define helper_array_new_elem  eval_array_new_elem
#define helper_array_fill      eval_array_fill
#define helper_array_copy      eval_array_copy
#define helper_array_init_data eval_array_init_data
#define helper_array_init_elem eval_array_init_elem
#define helper_exn_alloc       eval_exn_alloc

#include "jit/helper.h"

#endif
