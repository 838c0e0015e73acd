/* helper.h - the C functions that compiled code calls: one for each row of helper.def.
 *
 * They run on the guest's stack, called from a frame of the guest. What they need from the machine
 * that runs the code is below; a helper that ends the run or traps does not return.
 */
#ifndef RILLE_JIT_HELPER_H
#define RILLE_JIT_HELPER_H

#include "../runtime/store.h"

uint64_t helper_memory_grow(Instance *instance, uint32_t memory, uint64_t pages);
void helper_memory_init(Instance *instance, uint32_t memory, uint32_t data, uint64_t to,
                        uint32_t from, uint32_t n);
void helper_memory_copy(Instance *instance, uint32_t to_memory, uint32_t from_memory, uint64_t to,
                        uint64_t from, uint64_t n);
void helper_memory_fill(Instance *instance, uint32_t memory, uint64_t at, uint32_t byte,
                        uint64_t n);
void helper_data_drop(Instance *instance, uint32_t data);
uint32_t helper_memory_wait32(Instance *instance, uint32_t memory, uint64_t address,
                              uint64_t offset, uint32_t expected, uint64_t timeout);
uint32_t helper_memory_wait64(Instance *instance, uint32_t memory, uint64_t address,
                              uint64_t offset, uint64_t expected, uint64_t timeout);
uint32_t helper_memory_notify(Instance *instance, uint32_t memory, uint64_t address,
                              uint64_t offset, uint32_t n);
uint64_t helper_table_grow(Instance *instance, uint32_t table, Slot init, uint64_t n);
void helper_table_fill(Instance *instance, uint32_t table, uint64_t at, Slot value, uint64_t n);
void helper_table_copy(Instance *instance, uint32_t to_table, uint32_t from_table, uint64_t to,
                       uint64_t from, uint64_t n);
void helper_table_init(Instance *instance, uint32_t table, uint32_t elem, uint64_t to,
                       uint32_t from, uint32_t n);
void helper_elem_drop(Instance *instance, uint32_t elem);
uint32_t helper_ref_test(Instance *instance, Slot ref, uint32_t type);
Slot helper_struct_alloc(Instance *instance, uint32_t type);
Slot helper_array_alloc(Instance *instance, uint32_t type, uint32_t n);
Slot helper_array_new(Instance *instance, uint32_t type, uint32_t n, uint64_t low, uint64_t high);
Slot helper_array_new_data(Instance *instance, uint32_t type, uint32_t data, uint32_t from,
                           uint32_t n);
Slot helper_array_new_elem(Instance *instance, uint32_t type, uint32_t elem, uint32_t from,
                           uint32_t n);
void helper_array_fill(Instance *instance, Slot array, uint32_t at, uint32_t n, uint64_t low,
                       uint64_t high);
void helper_array_copy(Instance *instance, Slot to, uint32_t to_at, Slot from, uint32_t from_at,
                       uint32_t n);
void helper_array_init_data(Instance *instance, Slot array, uint32_t at, uint32_t data,
                            uint32_t from, uint32_t n);
void helper_array_init_elem(Instance *instance, Slot array, uint32_t at, uint32_t elem,
                            uint32_t from, uint32_t n);
Slot helper_exn_alloc(Instance *instance, uint32_t tag);

/* Of the machine: notes in the activation where the guest's frames are (Act.frames, value_top),
 * before something that may collect, suspend or run code of the host. */
void helper_mark(Instance *instance);
/* Of the machine: that is over; act is what the instance named when it was marked. Leaves the
 * guest's frames unless there was neither a trap nor another status than RUN_DONE. */
void helper_go_on(Instance *instance, Act *act, Trap trap, RunStatus status);
/* Of the machine: leave the guest's frames, which helper_mark was told of or not. */
_Noreturn void helper_trap(Instance *instance, Trap trap);
_Noreturn void helper_leave(Instance *instance, RunStatus status);

#endif
