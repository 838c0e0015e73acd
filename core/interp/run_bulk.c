/* run_bulk.c - memories and tables as wholes, references, wide arithmetic. Operands and results are
 * in slots.
 *
 * A 32-bit flags operand says which of an instruction's numbers have 64 bits.
 */
#include "run.h"

/* The i-th number, at byte 8 + 2 * i, in the width that bit i of the flags at byte 14 says. */
static FORCE_INLINE uint64_t number(const uint8_t *pc, const Slot *fp, unsigned i) {
  uint64_t x = fp[U16(8 + 2 * i)];
  return U16(14) >> i & 1 ? x : (uint32_t)x;
}

#define MEMORY(at) run->instance->memories[U32(at)]
#define TABLE(at)  run->instance->tables[U32(at)]

HANDLER(MEMORY_SIZE) {
  const Memory *memory = MEMORY(12);
  SLOT(8) = memory_size_now(memory) >> memory->type.page_log2;
  NEXT(16);
}
/* An i32's failure is -1 in 32 bits, which reading the slot makes of UINT64_MAX. */
HANDLER(MEMORY_GROW) {
  bool is_64 = (U32(12) & ADDRESS_64) != 0;
  Memory *memory = run->instance->memories[U32(12) & ~ADDRESS_64];
  SLOT(8) = memory_grow(memory, is_64 ? SLOT(10) : (uint32_t)SLOT(10));
  RELOAD_MEMORY();
  NEXT(16);
}
#define NUMBERS number(pc, fp, 0), number(pc, fp, 1), number(pc, fp, 2)

LONG(copy_long, bulk_memory_copy(&bulk, MEMORY(16), MEMORY(20), NUMBERS))
HANDLER(MEMORY_COPY) {
  if (UNLIKELY(number(pc, fp, 2) > MIB)) DO_LONG(copy_long, 24);
  CHECK_TRAP(memory_copy(MEMORY(16), MEMORY(20), NUMBERS));
  NEXT(24);
}
LONG(fill_long,
     bulk_memory_fill(&bulk, MEMORY(16), number(pc, fp, 0), (uint8_t)SLOT(10), number(pc, fp, 2)))
HANDLER(MEMORY_FILL) {
  if (UNLIKELY(number(pc, fp, 2) > MIB)) DO_LONG(fill_long, 24);
  CHECK_TRAP(memory_fill(MEMORY(16), number(pc, fp, 0), (uint8_t)SLOT(10), number(pc, fp, 2)));
  NEXT(24);
}
HANDLER(MEMORY_INIT) {
  CHECK_TRAP(memory_init(run->instance, U32(16), U32(20), number(pc, fp, 0), (uint32_t)SLOT(10),
                         (uint32_t)SLOT(12)));
  NEXT(24);
}
HANDLER(DATA_DROP) {
  data_drop(run->instance, U32(12));
  NEXT(16);
}

#define TABLE_INDEX(slot) (U32(12) & ADDRESS_64 ? SLOT(slot) : (uint32_t)SLOT(slot))
#define INDEXED_TABLE()   run->instance->tables[U32(12) & ~ADDRESS_64]
HANDLER(TABLE_GET) {
  const Table *table = INDEXED_TABLE();
  uint64_t index = TABLE_INDEX(10);
  CHECK_TRAP(index < table->n ? TRAP_NONE : TRAP_TABLE_BOUNDS);
  SLOT(8) = table->items[index];
  NEXT(16);
}
HANDLER(TABLE_SET) {
  const Table *table = INDEXED_TABLE();
  uint64_t index = TABLE_INDEX(8);
  CHECK_TRAP(index < table->n ? TRAP_NONE : TRAP_TABLE_BOUNDS);
  table->items[index] = SLOT(10);
  NEXT(16);
}
HANDLER(TABLE_SIZE) {
  SLOT(8) = TABLE(12)->n;
  NEXT(16);
}
HANDLER(TABLE_GROW) {
  SLOT(8) = table_grow(INDEXED_TABLE(), TABLE_INDEX(16), SLOT(10));
  NEXT(24);
}
LONG(fill_long_table,
     bulk_table_fill(&bulk, TABLE(16), number(pc, fp, 0), &SLOT(10), number(pc, fp, 2)))
HANDLER(TABLE_FILL) {
  if (UNLIKELY(number(pc, fp, 2) > BULK_ELEMENTS)) DO_LONG(fill_long_table, 24);
  CHECK_TRAP(table_fill(TABLE(16), number(pc, fp, 0), SLOT(10), number(pc, fp, 2)));
  NEXT(24);
}
LONG(copy_long_table, bulk_table_copy(&bulk, TABLE(16), TABLE(20), NUMBERS))
HANDLER(TABLE_COPY) {
  if (UNLIKELY(number(pc, fp, 2) > BULK_ELEMENTS)) DO_LONG(copy_long_table, 24);
  CHECK_TRAP(table_copy(TABLE(16), TABLE(20), NUMBERS));
  NEXT(24);
}
HANDLER(TABLE_INIT) {
  CHECK_TRAP(table_init(run->instance, U32(16), U32(20), number(pc, fp, 0), (uint32_t)SLOT(10),
                        (uint32_t)SLOT(12)));
  NEXT(24);
}
HANDLER(ELEM_DROP) {
  elem_drop(run->instance, U32(12));
  NEXT(16);
}

/* References */
HANDLER(REF_FUNC) {
  SLOT(8) = (Slot)(uintptr_t)run->instance->funcs[U32(12)];
  NEXT(16);
}
HANDLER(REF_IS_NULL) {
  SLOT(8) = SLOT(10) == 0;
  NEXT(16);
}
HANDLER(REF_EQ) {
  SLOT(8) = SLOT(10) == SLOT(12);
  NEXT(16);
}
HANDLER(REF_AS_NON_NULL) {
  CHECK_TRAP(SLOT(10) != 0 ? TRAP_NONE : TRAP_NULL_REFERENCE);
  SLOT(8) = SLOT(10);
  NEXT(16);
}
HANDLER(REF_I31) {
  SLOT(8) = (uint32_t)SLOT(10) << 1 | 1;
  NEXT(16);
}
HANDLER(I31_GET_S) {
  CHECK_TRAP(SLOT(10) != 0 ? TRAP_NONE : TRAP_NULL_I31);
  SLOT(8) = (uint32_t)((int32_t)(uint32_t)SLOT(10) >> 1);
  NEXT(16);
}
HANDLER(I31_GET_U) {
  CHECK_TRAP(SLOT(10) != 0 ? TRAP_NONE : TRAP_NULL_I31);
  SLOT(8) = (uint32_t)SLOT(10) >> 1;
  NEXT(16);
}

/* Wide arithmetic: two results in neighbouring slots. */
#define WIDE_ROW(name, size, expr)           \
  HANDLER(name) {                            \
    Wide r = expr;                           \
    SLOT(8) = r.low, (&SLOT(8))[1] = r.high; \
    NEXT(size);                              \
  }
#define WIDE_AT(low, high) ((Wide){SLOT(low), SLOT(high)})
WIDE_ROW(I64_ADD128, 24, wide_add(WIDE_AT(10, 12), WIDE_AT(14, 16)))
WIDE_ROW(I64_SUB128, 24, wide_sub(WIDE_AT(10, 12), WIDE_AT(14, 16)))
WIDE_ROW(I64_MUL_WIDE_S, 16, wide_mul_s(SLOT(10), SLOT(12)))
WIDE_ROW(I64_MUL_WIDE_U, 16, wide_mul_u(SLOT(10), SLOT(12)))
