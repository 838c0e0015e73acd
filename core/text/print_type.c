/* print_type.c - types, type definitions and type uses as text. Spec: 3.0, "Text Format", "Types".
 *
 * Every type is written by its index, also when an equal one comes before it, and recursion groups
 * are written as the binary has them.
 */
#include "print.h"

static void put_type_index(Printer *printer, uint32_t index) {
  print_index(printer, NAMES_TYPES, index);
}

void print_heap(Printer *printer, uint32_t heap) {
  if (heap_is_index(heap)) return put_type_index(printer, heap);
  print_char(printer, ' ');
  print_text(printer, heap_text(heap));
}

void print_val_type(Printer *printer, ValType type) {
  print_char(printer, ' ');
  if (type_is_indexed(type)) {
    print_text(printer, type_is_nullable(type) ? "(ref null" : "(ref");
    put_type_index(printer, type_heap(type));
    print_char(printer, ')');
  } else {
    char text[32];
    size_t n = type_print(type, text, sizeof text);
    buf_bytes(&printer->out, text, n);
  }
}

static void open_group(Printer *printer, const char *word) {
  print_text(printer, " (");
  print_text(printer, word);
}

/* --- function types --- */

void print_vars(Printer *printer, const char *word, const ValType *types, uint32_t n,
                uint32_t first_local) {
  bool is_open = false;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t local = first_local + i;
    Ident ident = {0};
    if (local < printer->locals.n) ident = printer->locals.items[local];
    bool has_name = ident.at || ident.is_renamed;
    if (has_name && is_open) print_char(printer, ')');
    if (has_name || !is_open) open_group(printer, word);
    if (has_name) {
      Str name = {0};
      if (ident.is_renamed)
        name = module_name_in(printer->module, NAMES_LOCALS, printer->func, local);
      print_ident(printer, ident, name);
    }
    print_val_type(printer, types[i]);
    if (has_name) print_char(printer, ')');
    is_open = !has_name;
  }
  if (is_open) print_char(printer, ')');
}

void print_results(Printer *printer, const ValType *types, uint32_t n) {
  if (n == 0) return;
  open_group(printer, "result");
  for (uint32_t i = 0; i < n; i++) print_val_type(printer, types[i]);
  print_char(printer, ')');
}

static void put_params(Printer *printer, const CompType *comp) {
  if (comp->n_params == 0) return;
  open_group(printer, "param");
  for (uint32_t i = 0; i < comp->n_params; i++) print_val_type(printer, comp->types[i]);
  print_char(printer, ')');
}

void print_type_use(Printer *printer, uint32_t type, bool has_locals) {
  const Module *module = printer->module;
  open_group(printer, "type");
  put_type_index(printer, type);
  print_char(printer, ')');
  if (type >= module->n_types || module->types[type].comp.kind != COMP_FUNC) return;
  const CompType *comp = &module->types[type].comp;
  if (has_locals)
    print_vars(printer, "param", comp->types, comp->n_params, 0);
  else
    put_params(printer, comp);
  print_results(printer, comp->types + comp->n_params, comp->n_results);
}

/* --- definitions --- */

static void put_field_type(Printer *printer, FieldType field) {
  if (field.is_mutable) open_group(printer, "mut");
  print_val_type(printer, field.type);
  if (field.is_mutable) print_char(printer, ')');
}

/* Fields without names share a group, as parameters do. */
static void put_fields(Printer *printer, uint32_t type, const CompType *comp) {
  bool is_open = false;
  for (uint32_t i = 0; i < comp->n_fields; i++) {
    Ident ident = print_field_ident(printer, type, i);
    bool has_name = ident.at || ident.is_renamed;
    if (has_name && is_open) print_char(printer, ')');
    if (has_name || !is_open) open_group(printer, "field");
    if (has_name) {
      Str name = {0};
      if (ident.is_renamed) name = module_name_in(printer->module, NAMES_FIELDS, type, i);
      print_ident(printer, ident, name);
    }
    put_field_type(printer, comp->fields[i]);
    if (has_name) print_char(printer, ')');
    is_open = !has_name;
  }
  if (is_open) print_char(printer, ')');
}

static void put_comp(Printer *printer, uint32_t type, const CompType *comp) {
  switch (comp->kind) {
    case COMP_FUNC:
      open_group(printer, "func");
      put_params(printer, comp);
      print_results(printer, comp->types + comp->n_params, comp->n_results);
      break;
    case COMP_STRUCT:
      open_group(printer, "struct");
      put_fields(printer, type, comp);
      break;
    case COMP_ARRAY:
      open_group(printer, "array");
      put_field_type(printer, comp->fields[0]);
      break;
    case COMP_CONT:
      open_group(printer, "cont");
      put_type_index(printer, comp->cont);
      break;
  }
  print_char(printer, ')');
}

static void put_type_def(Printer *printer, uint32_t type) {
  const SubType *def = &printer->module->types[type];
  print_text(printer, "(type");
  print_definition(printer, NAMES_TYPES, type);
  if (!def->is_plain) {
    open_group(printer, "sub");
    if (def->is_final) print_text(printer, " final");
    if (def->super != NO_SUPER) put_type_index(printer, def->super);
  }
  put_comp(printer, type, &def->comp);
  if (!def->is_plain) print_char(printer, ')');
  print_char(printer, ')');
}

void print_types(Printer *printer) {
  const Module *module = printer->module;
  for (uint32_t i = 0; i < module->n_types; i++) {
    const SubType *def = &module->types[i];
    bool is_first = i == def->group_first, is_last = i + 1 == def->group_first + def->group_size;
    if (def->group_is_explicit && is_first) print_text(printer, "\n  (rec");
    print_text(printer, def->group_is_explicit ? "\n    " : "\n  ");
    put_type_def(printer, i);
    if (def->group_is_explicit && is_last) print_char(printer, ')');
  }
}

/* --- types of what can be imported --- */

void print_global_type(Printer *printer, GlobalType type) {
  put_field_type(printer, (FieldType){type.type, type.is_mutable});
}

static void put_limits(Printer *printer, const Limits *limits) {
  if (limits->is_64) print_text(printer, " i64");
  print_char(printer, ' ');
  print_number(printer, limits->min);
  if (limits->max == NO_MAX) return;
  print_char(printer, ' ');
  print_number(printer, limits->max);
}

void print_memory_type(Printer *printer, const MemoryType *type) {
  put_limits(printer, &type->limits);
  if (type->is_shared) print_text(printer, " shared");
  if (type->page_log2 == 16) return;
  open_group(printer, "pagesize ");
  print_number(printer, (uint64_t)1 << type->page_log2);
  print_char(printer, ')');
}

void print_table_type(Printer *printer, const TableType *type) {
  put_limits(printer, &type->limits);
  print_val_type(printer, type->type);
}
