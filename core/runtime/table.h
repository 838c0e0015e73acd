/* table.h - making tables; what guest code asks of them is in runtime.h.
 */
#ifndef RILLE_TABLE_H
#define RILLE_TABLE_H

#include "store.h"

/* `type` is canonical. The table belongs to the store, its bytes are charged to `charged` (NULL:
 * nobody). NULL and *error on failure. */
Table *table_new(Store *store, const TableType *type, Slot init, Instance *charged, Error *error);
void table_free(Table *table);

static inline bool table_fits(const Table *table, uint64_t at, uint64_t n) {
  return at <= table->n && n <= table->n - at;
}

#endif
