/* validate_bulk.c - tables, and the bulk operations of memories and tables.
 *
 * Spec 3.0, "Table Instructions" and "Memory Instructions". A length that two spaces share has the
 * narrower of their address types.
 */
#include "validate.h"

static ValType narrower(ValType a, ValType b) {
  return a == TYPE_I64 && b == TYPE_I64 ? TYPE_I64 : TYPE_I32;
}

static void pop3(Validator *v, ValType first, ValType second, ValType third) {
  pop(v, third);
  pop(v, second);
  pop(v, first);
}

static ValType table_at(Validator *v, uint32_t index) {
  validate_table_index(v, index);
  return table_address(v, index);
}

static ValType memory_at(Validator *v, uint32_t index) {
  validate_memory_index(v, index);
  return memory_address(v, index);
}

static void check_source(const Validator *v, ValType from, ValType to, const char *source) {
  if (!type_matches(from, to)) validate_mismatch(v, "table", &to, 1, source, &from, 1);
}

static void check_table_init(Validator *v) {
  uint32_t table = v->instr.index2, elem = v->instr.index;
  ValType address = table_at(v, table);
  validate_elem_index(v, elem);
  check_source(v, validate_canonical(v, v->module->elems[elem].type), v->table_types[table],
               "element segment");
  pop3(v, address, TYPE_I32, TYPE_I32);
}

static void check_table_copy(Validator *v) {
  uint32_t to = v->instr.index, from = v->instr.index2;
  ValType to_at = table_at(v, to), from_at = table_at(v, from);
  check_source(v, v->table_types[from], v->table_types[to], "source");
  pop3(v, to_at, from_at, narrower(to_at, from_at));
}

static void check_table_grow(Validator *v) {
  ValType address = table_at(v, v->instr.index);
  pop(v, address);
  pop(v, v->table_types[v->instr.index]);
  push(v, address);
}

static void check_memory_copy(Validator *v) {
  ValType to_at = memory_at(v, v->instr.index), from_at = memory_at(v, v->instr.index2);
  pop3(v, to_at, from_at, narrower(to_at, from_at));
}

void validate_bulk(Validator *v, Op op) {
  uint32_t index = v->instr.index;
  ValType address;
  switch (op) {
    case OP_TABLE_GET:
      pop(v, table_at(v, index));
      push(v, v->table_types[index]);
      break;
    case OP_TABLE_SET:
      address = table_at(v, index);
      pop(v, v->table_types[index]);
      pop(v, address);
      break;
    case OP_TABLE_INIT: check_table_init(v); break;
    case OP_TABLE_COPY: check_table_copy(v); break;
    case OP_TABLE_GROW: check_table_grow(v); break;
    case OP_TABLE_FILL:
      address = table_at(v, index);
      pop3(v, address, v->table_types[index], address);
      break;
    case OP_ELEM_DROP: validate_elem_index(v, index); break;
    case OP_MEMORY_INIT:
      address = memory_at(v, v->instr.index2);
      validate_data_index(v, index);
      pop3(v, address, TYPE_I32, TYPE_I32);
      break;
    case OP_MEMORY_COPY: check_memory_copy(v); break;
    case OP_DATA_DROP: validate_data_index(v, index); break;
    default: break;
  }
}
