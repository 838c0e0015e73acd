/* print.c - entry of the text printer: a module's fields and its custom sections; see print.h.
 *
 * Imports come first and exports are fields of their own, so that their order is kept. A custom
 * section says behind which section it stood; names and branch hints are part of the text instead.
 */
#include "print.h"

#include "text.h"

static const char *const extern_words[] = {[EXTERN_FUNC] = "func",
                                           [EXTERN_TABLE] = "table",
                                           [EXTERN_MEMORY] = "memory",
                                           [EXTERN_GLOBAL] = "global",
                                           [EXTERN_TAG] = "tag"};
static const NameSpace extern_spaces[] = {[EXTERN_FUNC] = NAMES_FUNCS,
                                          [EXTERN_TABLE] = NAMES_TABLES,
                                          [EXTERN_MEMORY] = NAMES_MEMORIES,
                                          [EXTERN_GLOBAL] = NAMES_GLOBALS,
                                          [EXTERN_TAG] = NAMES_TAGS};

/* --- imports and exports --- */

static void put_import_func(Printer *printer, uint32_t func) {
  uint32_t type = printer->module->funcs[func].type;
  printer->func = func;
  print_make_locals(printer, func, module_func_type(printer->module, func)->n_params);
  print_type_use(printer, type, true);
  printer->locals.n = 0;
  printer->func = NO_INDEX;
}

static void put_import(Printer *printer, const Import *import) {
  const Module *module = printer->module;
  uint32_t index = import->index;
  print_text(printer, "\n  (import");
  print_name_string(printer, import->module);
  print_name_string(printer, import->name);
  print_text(printer, " (");
  print_text(printer, extern_words[import->kind]);
  print_definition(printer, extern_spaces[import->kind], index);
  switch (import->kind) {
    case EXTERN_FUNC: put_import_func(printer, index); break;
    case EXTERN_TABLE: print_table_type(printer, &module->tables[index].type); break;
    case EXTERN_MEMORY: print_memory_type(printer, &module->memories[index]); break;
    case EXTERN_GLOBAL: print_global_type(printer, module->globals[index].type); break;
    case EXTERN_TAG: print_type_use(printer, module->tags[index], false); break;
  }
  print_text(printer, "))");
}

static void put_export(Printer *printer, const Export *export) {
  print_text(printer, "\n  (export");
  print_name_string(printer, export->name);
  print_text(printer, " (");
  print_text(printer, extern_words[export->kind]);
  print_index(printer, extern_spaces[export->kind], export->index);
  print_text(printer, "))");
}

/* --- tables, memories, globals, tags --- */

static void put_table(Printer *printer, uint32_t index) {
  const TableDef *def = &printer->module->tables[index];
  print_text(printer, "\n  (table");
  print_definition(printer, NAMES_TABLES, index);
  print_table_type(printer, &def->type);
  if (def->init.at != def->init.end) print_expr(printer, def->init, NULL);
  print_char(printer, ')');
}

static void put_memory(Printer *printer, uint32_t index) {
  print_text(printer, "\n  (memory");
  print_definition(printer, NAMES_MEMORIES, index);
  print_memory_type(printer, &printer->module->memories[index]);
  print_char(printer, ')');
}

static void put_global(Printer *printer, uint32_t index) {
  const GlobalDef *def = &printer->module->globals[index];
  print_text(printer, "\n  (global");
  print_definition(printer, NAMES_GLOBALS, index);
  print_global_type(printer, def->type);
  print_expr(printer, def->init, NULL);
  print_char(printer, ')');
}

static void put_tag(Printer *printer, uint32_t index) {
  print_text(printer, "\n  (tag");
  print_definition(printer, NAMES_TAGS, index);
  print_type_use(printer, printer->module->tags[index], false);
  print_char(printer, ')');
}

/* --- segments --- */

/* The place of an active segment; one that the binary names is named here too, also when it is the
 * first. */
static void put_place(Printer *printer, bool is_named, const char *word, NameSpace space,
                      uint32_t index, ConstExpr offset) {
  if (is_named) {
    print_text(printer, word);
    print_index(printer, space, index);
    print_char(printer, ')');
  }
  print_expr(printer, offset, "offset");
}

static void put_elem_items(Printer *printer, const ElemDef *def) {
  if (def->exprs)
    print_val_type(printer, def->type);
  else
    print_text(printer, " func");
  for (uint32_t i = 0; i < def->n; i++) {
    if (def->exprs)
      print_expr(printer, def->exprs[i], "item");
    else
      print_index(printer, NAMES_FUNCS, def->funcs[i]);
  }
}

static void put_elem(Printer *printer, uint32_t index) {
  enum { EXPLICIT = 2 };
  const ElemDef *def = &printer->module->elems[index];
  print_text(printer, "\n  (elem");
  print_definition(printer, NAMES_ELEMS, index);
  if (def->mode == SEGMENT_DECLARED) print_text(printer, " declare");
  if (def->mode == SEGMENT_ACTIVE)
    put_place(printer, def->flags & EXPLICIT, " (table", NAMES_TABLES, def->table, def->offset);
  put_elem_items(printer, def);
  print_char(printer, ')');
}

static void put_data(Printer *printer, uint32_t index) {
  enum { EXPLICIT = 2 };
  const DataDef *def = &printer->module->datas[index];
  print_text(printer, "\n  (data");
  print_definition(printer, NAMES_DATAS, index);
  if (def->mode == SEGMENT_ACTIVE)
    put_place(printer, def->flags & EXPLICIT, " (memory", NAMES_MEMORIES, def->memory, def->offset);
  print_data_string(printer, printer->module->bytes + def->at, def->size);
  print_char(printer, ')');
}

/* --- custom sections --- */

static bool is_hint_section(const CustomSection *custom) {
  return str_equal(custom->name, STR_LITERAL("metadata.code.branch_hint"));
}

/* A number that is in order and fits; *ok is cleared otherwise. */
static uint32_t take_u32(const uint8_t **at, const uint8_t *end, bool *ok) {
  uint64_t x = 0;
  for (unsigned shift = 0; shift < 35 && *at < end; shift += 7) {
    uint8_t byte = *(*at)++;
    x |= (uint64_t)(byte & 0x7F) << shift;
    if (!(byte & 0x80) && x <= UINT32_MAX) return (uint32_t)x;
  }
  *ok = false;
  return 0;
}

/* One function's hints, whose offsets have to ascend. */
static bool read_func_hints(Printer *printer, uint32_t func, const uint8_t **at,
                            const uint8_t *end) {
  bool ok = true;
  uint32_t n = take_u32(at, end, &ok);
  for (uint32_t i = 0; ok && i < n; i++) {
    BranchHint hint = {.func = func, .offset = take_u32(at, end, &ok)};
    ok = ok && take_u32(at, end, &ok) == 1 && *at < end && **at <= 1;
    ok = ok && (i == 0 || printer->hints.items[printer->hints.n - 1].offset < hint.offset);
    if (!ok) break;
    hint.is_likely = *(*at)++;
    VEC_PUSH(&printer->work, &printer->hints, hint);
  }
  return ok;
}

/* False, with no hints, when the section cannot be read. */
static bool read_hints(Printer *printer, const CustomSection *custom) {
  const uint8_t *at = printer->module->bytes + custom->at, *end = at + custom->size;
  bool ok = true;
  uint32_t n = take_u32(&at, end, &ok), last = 0;
  for (uint32_t i = 0; ok && i < n; i++) {
    uint32_t func = take_u32(&at, end, &ok);
    ok = ok && (i == 0 || last < func) && read_func_hints(printer, func, &at, end);
    last = func;
  }
  if (ok && at == end) return true;
  printer->hints.n = 0;
  return false;
}

/* The branch hint section that counts is the first that can be read; NULL when there is none. */
static const CustomSection *find_hints(Printer *printer) {
  const Module *module = printer->module;
  for (uint32_t i = 0; i < module->n_customs; i++) {
    const CustomSection *custom = &module->customs[i];
    if (is_hint_section(custom) && read_hints(printer, custom)) return custom;
  }
  return NULL;
}

static const char *section_word(unsigned id) {
  static const char *const words[SECTION_ID_END] = {
      [SECTION_TYPE] = "type",     [SECTION_IMPORT] = "import",        [SECTION_FUNCTION] = "func",
      [SECTION_TABLE] = "table",   [SECTION_MEMORY] = "memory",        [SECTION_TAG] = "tag",
      [SECTION_GLOBAL] = "global", [SECTION_EXPORT] = "export",        [SECTION_START] = "start",
      [SECTION_ELEMENT] = "elem",  [SECTION_DATA_COUNT] = "datacount", [SECTION_CODE] = "code",
      [SECTION_DATA] = "data"};
  return words[id];
}

static void put_custom(Printer *printer, const CustomSection *custom, bool is_last) {
  print_text(printer, "\n  (@custom");
  print_name_string(printer, custom->name);
  if (is_last) {
    print_text(printer, " (after last)");
  } else if (custom->after == 0) {
    print_text(printer, " (before first)");
  } else {
    print_text(printer, " (after ");
    print_text(printer, section_word(custom->after));
    print_char(printer, ')');
  }
  print_data_string(printer, printer->module->bytes + custom->at, custom->size);
  print_char(printer, ')');
}

/* The id of the last section that is not custom. */
static uint8_t last_section(const Module *module) {
  uint8_t last = 0;
  for (uint32_t i = 0; i < module->n_sections; i++)
    if (module->sections[i].id != SECTION_CUSTOM) last = module->sections[i].id;
  return last;
}

/* All but the names and the hints that were read. What stands behind the names at the end of the
 * module has to say so, since the names will be put there again. */
static void put_customs(Printer *printer, const CustomSection *hints) {
  const Module *module = printer->module;
  uint8_t last = last_section(module);
  bool is_behind_names = false;
  for (uint32_t i = 0; i < module->n_customs; i++) {
    const CustomSection *custom = &module->customs[i];
    bool is_names = str_equal(custom->name, STR_LITERAL("name"));
    bool is_spare = hints && is_hint_section(custom);
    if (is_names)
      is_behind_names = true;
    else if (!is_spare)
      put_custom(printer, custom, is_behind_names && custom->after == last);
  }
}

/* --- the module --- */

static void put_fields(Printer *printer) {
  const Module *module = printer->module;
  print_types(printer);
  for (uint32_t i = 0; i < module->n_imports; i++) put_import(printer, &module->imports[i]);
  for (uint32_t i = module->n_imported_tables; i < module->n_tables; i++) put_table(printer, i);
  for (uint32_t i = module->n_imported_memories; i < module->n_memories; i++)
    put_memory(printer, i);
  for (uint32_t i = module->n_imported_tags; i < module->n_tags; i++) put_tag(printer, i);
  for (uint32_t i = module->n_imported_globals; i < module->n_globals; i++) put_global(printer, i);
  for (uint32_t i = 0; i < module->n_exports; i++) put_export(printer, &module->exports[i]);
  if (module->start != NO_INDEX) {
    print_text(printer, "\n  (start");
    print_index(printer, NAMES_FUNCS, module->start);
    print_char(printer, ')');
  }
  for (uint32_t i = 0; i < module->n_elems; i++) put_elem(printer, i);
  for (uint32_t i = module->n_imported_funcs; i < module->n_funcs; i++) print_func(printer, i);
  for (uint32_t i = 0; i < module->n_datas; i++) put_data(printer, i);
}

static void put_module(Printer *printer) {
  const CustomSection *hints = find_hints(printer);
  print_text(printer, "(module");
  print_definition(printer, NAMES_MODULE, 0);
  put_fields(printer);
  put_customs(printer, hints);
  print_text(printer, ")\n");
}

static void put_one_func(Printer *printer, uint32_t func) {
  const Module *module = printer->module;
  if (func >= module->n_imported_funcs) {
    find_hints(printer);
    return print_func(printer, func);
  }
  uint32_t i = 0;
  while (module->imports[i].kind != EXTERN_FUNC || module->imports[i].index != func) i++;
  put_import(printer, &module->imports[i]);
}

static Printer *new_printer(Arena *arena, Module *module) {
  Printer *printer = arena_try(arena, sizeof *printer);
  if (!printer) return NULL;
  memset(printer, 0, sizeof *printer);
  printer->module = module;
  printer->func = NO_INDEX;
  arena_init(&printer->work, arena->alloc);
  buf_init(&printer->out, arena);
  return printer;
}

/* The text from its byte `skip` on. Room that was not used goes back. */
static Str finish(Printer *printer, size_t skip) {
  Buf *out = &printer->out;
  out->at = arena_resize(out->arena, out->at, out->room, out->size);
  return (Str){(const char *)out->at + skip, out->size - skip};
}

/* Prints the whole module, or one function when `func` is no NO_INDEX. */
static bool print(Arena *arena, Module *module, uint32_t func, Str *out, Error *error) {
  error_clear(error);
  Printer *printer = new_printer(arena, module);
  if (!printer) {
    error_set(error, ERROR_MEMORY, "out of memory");
    return false;
  }
  Guard guard;
  bool ok = false;
  if (GUARD_TRY(&guard, arena, error)) {
    printer->guard = printer->work.guard = &guard;
    strmap_init(&printer->names, &printer->work);
    if (func == NO_INDEX)
      put_module(printer);
    else
      put_one_func(printer, func);
    *out = finish(printer, func == NO_INDEX ? 0 : strlen("\n  "));
    guard_leave(&guard);
    ok = true;
  }
  arena_clear(&printer->work);
  return ok;
}

bool text_print_module(Arena *arena, Module *module, Str *out, Error *error) {
  return print(arena, module, NO_INDEX, out, error);
}

bool text_print_func(Arena *arena, Module *module, uint32_t func, Str *out, Error *error) {
  if (func >= module->n_funcs) {
    error_set(error, ERROR_MISUSE, "no function %u", (unsigned)func);
    return false;
  }
  return print(arena, module, func, out, error);
}
