/* bulk.c - bulk operations that take long: piece by piece, with a look up between the pieces.
 *
 * The whole is checked first, so that nothing has changed when it traps. While running code looks
 * up its host may do anything: every piece is checked again, and what has become too small since
 * traps in the middle, as it would have if another thread had done it.
 */
#include "memory.h"
#include "object.h"
#include "runtime.h"
#include "table.h"

typedef struct Bulk {
  Memory *memory, *from_memory;
  Table *table, *from_table;
  Slot array, from_array;
  uint64_t at, from_at;
  const Slot *value;
} Bulk;

/* Does n bytes or elements, `offset` behind where the whole starts. */
typedef Trap Piece(const Bulk *bulk, uint64_t offset, uint64_t n);

static RunStatus look(const BulkRun *run) {
  Store *store = store_of(run->act->func->instance->store);
  if (atomic_load_explicit(&store->poll, memory_order_relaxed) == 0) return RUN_DONE;
  return run_poll(run->act, run->value_top);
}

/* From the end on when the target lies behind the source, as memmove does. */
static Trap in_pieces(BulkRun *run, Piece *piece, const Bulk *bulk, uint64_t n, bool is_backward) {
  uint64_t most = bulk->memory != NULL ? MIB : BULK_ELEMENTS;
  for (uint64_t done = 0; done < n;) {
    uint64_t size = MIN(most, n - done);
    Trap trap = piece(bulk, is_backward ? n - done - size : done, size);
    if (trap != TRAP_NONE) return trap;
    done += size;
    run->status = look(run);
    if (run->status != RUN_DONE) return TRAP_NONE;
  }
  return TRAP_NONE;
}

static Trap fill_memory(const Bulk *bulk, uint64_t offset, uint64_t n) {
  return memory_fill(bulk->memory, bulk->at + offset, (uint8_t)*bulk->value, n);
}

Trap bulk_memory_fill(BulkRun *run, Memory *memory, uint64_t at, uint8_t byte, uint64_t n) {
  const Slot value = byte;
  const Bulk bulk = {.memory = memory, .at = at, .value = &value};
  if (!memory_fits(memory, at, n)) return TRAP_MEMORY_BOUNDS;
  return in_pieces(run, fill_memory, &bulk, n, false);
}

static Trap copy_memory(const Bulk *bulk, uint64_t offset, uint64_t n) {
  return memory_copy(bulk->memory, bulk->from_memory, bulk->at + offset, bulk->from_at + offset, n);
}

Trap bulk_memory_copy(BulkRun *run, Memory *to, Memory *from, uint64_t to_at, uint64_t from_at,
                      uint64_t n) {
  const Bulk bulk = {.memory = to, .from_memory = from, .at = to_at, .from_at = from_at};
  if (!memory_fits(from, from_at, n) || !memory_fits(to, to_at, n)) return TRAP_MEMORY_BOUNDS;
  return in_pieces(run, copy_memory, &bulk, n, to == from && to_at > from_at);
}

static Trap fill_table(const Bulk *bulk, uint64_t offset, uint64_t n) {
  return table_fill(bulk->table, bulk->at + offset, *bulk->value, n);
}

Trap bulk_table_fill(BulkRun *run, Table *table, uint64_t at, const Slot *value, uint64_t n) {
  const Bulk bulk = {.table = table, .at = at, .value = value};
  if (!table_fits(table, at, n)) return TRAP_TABLE_BOUNDS;
  return in_pieces(run, fill_table, &bulk, n, false);
}

static Trap copy_table(const Bulk *bulk, uint64_t offset, uint64_t n) {
  return table_copy(bulk->table, bulk->from_table, bulk->at + offset, bulk->from_at + offset, n);
}

Trap bulk_table_copy(BulkRun *run, Table *to, Table *from, uint64_t to_at, uint64_t from_at,
                     uint64_t n) {
  const Bulk bulk = {.table = to, .from_table = from, .at = to_at, .from_at = from_at};
  if (!table_fits(from, from_at, n) || !table_fits(to, to_at, n)) return TRAP_TABLE_BOUNDS;
  return in_pieces(run, copy_table, &bulk, n, to == from && to_at > from_at);
}

static Trap fill_array(const Bulk *bulk, uint64_t offset, uint64_t n) {
  return array_fill(bulk->array, (uint32_t)(bulk->at + offset), bulk->value, (uint32_t)n);
}

Trap bulk_array_fill(BulkRun *run, Slot array, uint32_t at, const Slot *value, uint32_t n) {
  const Bulk bulk = {.array = array, .at = at, .value = value};
  Trap trap = array_check(array, at, n);
  return trap != TRAP_NONE ? trap : in_pieces(run, fill_array, &bulk, n, false);
}

static Trap copy_array(const Bulk *bulk, uint64_t offset, uint64_t n) {
  return array_copy(bulk->array, (uint32_t)(bulk->at + offset), bulk->from_array,
                    (uint32_t)(bulk->from_at + offset), (uint32_t)n);
}

Trap bulk_array_copy(BulkRun *run, Slot to, uint32_t to_at, Slot from, uint32_t from_at,
                     uint32_t n) {
  const Bulk bulk = {.array = to, .from_array = from, .at = to_at, .from_at = from_at};
  if (to == 0 || from == 0) return TRAP_NULL_ARRAY;
  Trap trap = array_check(to, to_at, n);
  if (trap == TRAP_NONE) trap = array_check(from, from_at, n);
  return trap != TRAP_NONE ? trap
                           : in_pieces(run, copy_array, &bulk, n, to == from && to_at > from_at);
}
