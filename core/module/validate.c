/* validate.c - everything of a module that has to be right, section by section.
 *
 * Spec 3.0, "Validation: Modules". Constant expressions come before bodies: they declare the
 * functions that `ref.func` may name. The validator's own memory is gone when it returns.
 */
#include "validate.h"

#include "../base/map.h"
#include "validate_func.h"

/* Raises at a place that is known by its section only. */
#define FAIL(v, ...) read_fail(&(v)->reader, ERROR_INVALID, __VA_ARGS__)

/* Types */

static bool field_matches(FieldType sub, FieldType super) {
  if (sub.is_mutable != super.is_mutable) return false;
  return sub.type == super.type || (!sub.is_mutable && type_matches(sub.type, super.type));
}

static bool func_matches(const CompType *sub, const CompType *super) {
  return sub->n_params == super->n_params && sub->n_results == super->n_results &&
         validate_all_match(super->types, sub->types, sub->n_params) &&
         validate_all_match(sub->types + sub->n_params, super->types + super->n_params,
                            sub->n_results);
}

static bool comp_matches(const CompType *sub, const CompType *super) {
  if (sub->kind != super->kind) return false;
  if (sub->kind == COMP_FUNC) return func_matches(sub, super);
  if (sub->kind == COMP_CONT) return heap_matches(sub->cont, super->cont);
  if (sub->n_fields < super->n_fields) return false;
  for (uint32_t i = 0; i < super->n_fields; i++)
    if (!field_matches(sub->fields[i], super->fields[i])) return false;
  return true;
}

static void check_types(Validator *v) {
  const Module *module = v->module;
  for (uint32_t i = 0; i < module->n_types; i++) {
    const Type *type = v->types[i];
    if (type->super && (type->super->is_final || !comp_matches(&type->comp, &type->super->comp)))
      FAIL(v, "sub type %u does not match super type %u", (unsigned)i,
           (unsigned)module->types[i].super);
    if (type->comp.kind == COMP_CONT && type_of_id(type->comp.cont)->comp.kind != COMP_FUNC)
      FAIL(v, "non-function type %u", (unsigned)module->types[i].comp.cont);
  }
}

/* Exports */

static void check_exported(Validator *v, const Export *export) {
  Module *module = v->module;
  switch (export->kind) {
    case EXTERN_FUNC:
      validate_func_type(v, export->index);
      module->funcs[export->index].is_referenced = true;
      break;
    case EXTERN_TABLE: validate_table_index(v, export->index); break;
    case EXTERN_MEMORY: validate_memory_index(v, export->index); break;
    case EXTERN_TAG: validate_tag_type(v, export->index); break;
    case EXTERN_GLOBAL:
      if (export->index >= module->n_globals) validate_unknown(v, "global", export->index);
      if (module->globals[export->index].type.is_mutable)
        read_need(&v->reader, FEATURE_MUTABLE_GLOBALS, "export of a mutable global",
                  "mutable globals cannot be exported");
      break;
  }
}

static void check_exports(Validator *v) {
  const Module *module = v->module;
  StrMap names;
  strmap_init(&names, v->scratch);
  for (uint32_t i = 0; i < module->n_exports; i++) {
    const Export *export = &module->exports[i];
    v->reader.at = v->instr.at = (const uint8_t *)export->name.at;
    check_exported(v, export);
    uint32_t at = i;
    if (!strmap_add(&names, export->name, &at)) FAIL(v, "duplicate export name");
  }
}

/* Tables, globals, segments */

static void check_tables(Validator *v) {
  const Module *module = v->module;
  v->n_globals = module->n_imported_globals;
  for (uint32_t i = module->n_imported_tables; i < module->n_tables; i++) {
    const TableDef *def = &module->tables[i];
    if (def->init.at != def->init.end) validate_const(v, def->init, v->table_types[i]);
  }
}

static void check_globals(Validator *v) {
  const Module *module = v->module;
  for (uint32_t i = module->n_imported_globals; i < module->n_globals; i++) {
    v->n_globals = i;
    validate_const(v, module->globals[i].init, v->global_types[i]);
  }
  v->n_globals = module->n_globals;
}

static void check_elem_table(Validator *v, const ElemDef *def, ValType type) {
  v->reader.at = v->instr.at = v->reader.start + def->offset.at;
  validate_table_index(v, def->table);
  if (!type_matches(type, v->table_types[def->table]))
    validate_mismatch(v, "table", &v->table_types[def->table], 1, "element segment", &type, 1);
  validate_const(v, def->offset, table_address(v, def->table));
}

static void check_elem(Validator *v, const ElemDef *def) {
  ValType type = validate_canonical(v, def->type);
  if (def->mode == SEGMENT_ACTIVE) check_elem_table(v, def, type);
  for (uint32_t i = 0; i < def->n; i++) {
    if (def->exprs) {
      validate_const(v, def->exprs[i], type);
    } else {
      validate_func_type(v, def->funcs[i]);
      v->module->funcs[def->funcs[i]].is_referenced = true;
    }
  }
}

static void check_data(Validator *v, const DataDef *def) {
  if (def->mode != SEGMENT_ACTIVE) return;
  v->reader.at = v->instr.at = v->reader.start + def->offset.at;
  validate_memory_index(v, def->memory);
  validate_const(v, def->offset, memory_address(v, def->memory));
}

static void check_start(Validator *v) {
  const Module *module = v->module;
  if (module->start == NO_INDEX) return;
  const CompType *comp = &validate_func_type(v, module->start)->comp;
  if (comp->n_params != 0 || comp->n_results != 0)
    FAIL(v, "start function must have no parameters and no results");
}

static void check_elems(Validator *v) {
  for (uint32_t i = 0; i < v->module->n_elems; i++) check_elem(v, &v->module->elems[i]);
}

static void check_datas(Validator *v) {
  for (uint32_t i = 0; i < v->module->n_datas; i++) check_data(v, &v->module->datas[i]);
}

static void check_bodies(Validator *v) {
  const Module *module = v->module;
  for (uint32_t i = module->n_imported_funcs; i < module->n_funcs; i++) validate_func(v, i);
  v->reader.func = ERROR_NO_FUNC;
}

/* Checks one section; errors whose place is not known better stand at its start. */
static void check_section(Validator *v, SectionId id, void (*check)(Validator *v)) {
  const Module *module = v->module;
  v->reader.section = section_text(id);
  v->reader.at = v->reader.start;
  for (uint32_t i = 0; i < module->n_sections; i++)
    if (module->sections[i].id == id) v->reader.at += module->sections[i].at;
  v->instr.at = v->reader.at;
  check(v);
}

static void fill_types(Validator *v) {
  Module *module = v->module;
  v->types = arena_new(v->scratch, module->n_types * sizeof *v->types);
  for (uint32_t i = 0; i < module->n_types; i++) v->types[i] = type_of_id(module->type_ids[i]);
  ValType *globals = arena_new(v->scratch, module->n_globals * sizeof *globals);
  for (uint32_t i = 0; i < module->n_globals; i++)
    globals[i] = type_canonical(module->globals[i].type.type, module->type_ids);
  ValType *tables = arena_new(v->scratch, module->n_tables * sizeof *tables);
  for (uint32_t i = 0; i < module->n_tables; i++)
    tables[i] = type_canonical(module->tables[i].type.type, module->type_ids);
  v->global_types = globals;
  v->table_types = tables;
  v->defaults = ARENA_ARRAY(v->scratch, uint8_t, module->n_types);
}

static void validate_all(Validator *v) {
  fill_types(v);
  check_section(v, SECTION_TYPE, check_types);
  check_section(v, SECTION_EXPORT, check_exports);
  check_section(v, SECTION_TABLE, check_tables);
  check_section(v, SECTION_GLOBAL, check_globals);
  check_section(v, SECTION_START, check_start);
  check_section(v, SECTION_ELEMENT, check_elems);
  check_section(v, SECTION_DATA, check_datas);
  check_section(v, SECTION_CODE, check_bodies);
}

static void prepare(Validator *v, Module *module, Guard *guard, Arena *scratch) {
  enum { FIRST_ROOM = 1024 };
  memset(v, 0, sizeof *v);
  v->scratch = scratch;
  v->stack = arena_new(scratch, FIRST_ROOM * sizeof *v->stack);
  v->stack_end = v->stack + FIRST_ROOM;
  v->module = module;
  v->reader = (Reader){.at = module->bytes,
                       .end = module->bytes + module->size,
                       .start = module->bytes,
                       .guard = guard,
                       .func = ERROR_NO_FUNC,
                       .off = ~module->features};
  validate_func_prepare(v);
}

bool module_validate(Module *module, Error *error) {
  error_clear(error);
  validate_func_init();
  Arena arena;
  arena_init(&arena, module->alloc);
  Guard guard;
  bool ok = false;
  if (GUARD_TRY(&guard, &arena, error)) {
    Validator *v = arena_new(&arena, sizeof *v);
    prepare(v, module, &guard, &arena);
    validate_all(v);
    guard_leave(&guard);
    ok = true;
  }
  arena_clear(&arena);
  module->is_validated = ok;
  return ok;
}
