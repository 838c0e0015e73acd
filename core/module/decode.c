/* decode.c - from a module's bytes to a Module: the header and the order of the sections.
 *
 * Spec 3.0, "Binary Format: Modules". Function bodies are only delimited here; the validator reads
 * them. Types are registered while they are read, so that everything behind the type section can
 * be compared by canonical id.
 */
#include "decode.h"

void decode_limit(const Decoder *decoder, uint64_t n, uint32_t limit, const char *what) {
  if (n > limit)
    read_fail(&decoder->reader, ERROR_UNSUPPORTED, "implementation limit: more than %u %s",
              (unsigned)limit, what);
}

static void read_header(Decoder *decoder) {
  static const uint8_t magic[] = {0, 'a', 's', 'm'}, version[] = {1, 0, 0, 0},
                       component[] = {0x0D, 0, 1, 0};
  Reader *reader = &decoder->reader;
  uint8_t bytes[4];
  for (unsigned i = 0; i < 4; i++) bytes[i] = read_byte(reader);
  if (memcmp(bytes, magic, 4) != 0)
    read_fail_at(reader, reader->start, ERROR_MALFORMED, "magic header not detected");
  const uint8_t *at = reader->at;
  for (unsigned i = 0; i < 4; i++) bytes[i] = read_byte(reader);
  if (memcmp(bytes, component, 4) == 0)
    read_fail_at(reader, at, ERROR_UNSUPPORTED,
                 "this is a component; only core modules can be loaded");
  if (memcmp(bytes, version, 4) != 0)
    read_fail_at(reader, at, ERROR_MALFORMED, "unknown binary version");
}

/* The place of a section in the order, from 1; 0 for custom sections and unknown ids. */
static unsigned section_order(uint8_t section) {
  static const uint8_t orders[SECTION_ID_END] = {
#define SECTION(name, id, text, order) [id] = (order),
#include "../tables/section.def"
  };
  return section < SECTION_ID_END ? orders[section] : 0;
}

static void read_custom(Decoder *decoder, const uint8_t *end, uint8_t after) {
  Reader *reader = &decoder->reader;
  CustomSection custom = {.name = read_name(reader), .after = after};
  if (reader->at > end)
    read_fail_at(reader, end, ERROR_MALFORMED, "unexpected end of section or function");
  custom.at = (uint32_t)(reader->at - reader->start);
  custom.size = (uint32_t)(end - reader->at);
  VEC_PUSH(decoder->arena, &decoder->customs, custom);
  reader->at = end;
}

static void read_contents(Decoder *decoder, SectionId id) {
  switch (id) {
    case SECTION_TYPE: decode_types(decoder); break;
    case SECTION_IMPORT: decode_imports(decoder); break;
    case SECTION_FUNCTION: decode_functions(decoder); break;
    case SECTION_TABLE: decode_tables(decoder); break;
    case SECTION_MEMORY: decode_memories(decoder); break;
    case SECTION_TAG: decode_tags(decoder); break;
    case SECTION_GLOBAL: decode_globals(decoder); break;
    case SECTION_EXPORT: decode_exports(decoder); break;
    case SECTION_START: decode_start(decoder); break;
    case SECTION_ELEMENT: decode_elements(decoder); break;
    case SECTION_DATA_COUNT: decode_data_count(decoder); break;
    case SECTION_CODE: decode_code(decoder); break;
    case SECTION_DATA: decode_datas(decoder); break;
    case SECTION_CUSTOM:
    case SECTION_ID_END: break;
  }
}

/* A section that is longer than the module: what is there may have an error that comes first. */
static _Noreturn void read_cut_section(Decoder *decoder, SectionId id, const uint8_t *size_at) {
  Reader *reader = &decoder->reader;
  Guard guard, *outer = reader->guard;
  Error inner;
  const uint8_t *contents = reader->at;
  if (GUARD_TRY(&guard, decoder->arena, &inner)) {
    reader->guard = &guard;
    read_contents(decoder, id);
    guard_leave(&guard);
  } else if (inner.kind == ERROR_MEMORY ||
             (inner.kind == ERROR_MALFORMED && inner.offset < decoder->module->size)) {
    *outer->error = inner;
    guard_raise(outer);
  }
  reader->guard = outer;
  reader->at = contents;
  read_fail_at(reader, size_at, ERROR_MALFORMED, "length out of bounds");
}

/* The size of the section, all of which is there. */
static uint32_t read_section_size(Decoder *decoder, uint8_t id) {
  Reader *reader = &decoder->reader;
  const uint8_t *at = reader->at;
  uint32_t size = read_u32(reader);
  if (size <= (size_t)(reader->end - reader->at)) return size;
  reader->section = section_text(id);
  read_cut_section(decoder, (SectionId)id, at);
}

static void read_sections(Decoder *decoder) {
  Reader *reader = &decoder->reader;
  uint8_t last = 0;
  while (reader->at < reader->end) {
    const uint8_t *start = reader->at;
    reader->section = NULL;
    uint8_t id = read_byte(reader);
    unsigned order = section_order(id);
    if (id != SECTION_CUSTOM && order == 0)
      read_fail_at(reader, start, ERROR_MALFORMED, "malformed section id");
    uint32_t size = read_section_size(decoder, id);
    const uint8_t *contents = reader->at, *end = contents + size;
    if (id != SECTION_CUSTOM && order <= section_order(last))
      read_fail_at(reader, start, ERROR_MALFORMED, "unexpected content after last section");
    SectionRange range = {id, (uint32_t)(contents - reader->start), size};
    VEC_PUSH(decoder->arena, &decoder->sections, range);
    reader->section = section_text(id);
    if (id == SECTION_CUSTOM) {
      read_custom(decoder, end, last);
    } else {
      read_contents(decoder, (SectionId)id);
      last = id;
    }
    if (reader->at != end) read_fail_at(reader, end, ERROR_MALFORMED, "section size mismatch");
  }
  reader->section = NULL;
}

/* What no section alone can know. */
static void check_counts(Decoder *decoder) {
  const Reader *reader = &decoder->reader;
  Module *module = decoder->module;
  if (decoder->n_bodies != decoder->funcs.n - module->n_imported_funcs)
    read_fail(reader, ERROR_MALFORMED, "function and code section have inconsistent lengths");
  if (module->data_count != NO_INDEX && module->data_count != module->n_datas)
    read_fail(reader, ERROR_MALFORMED, "data count and data section have inconsistent lengths");
}

static void mark_64(Decoder *decoder) {
  Module *module = decoder->module;
  for (uint32_t i = 0; i < MIN(decoder->memories.n, 64); i++)
    module->memory64s |= (uint64_t)decoder->memories.items[i].limits.is_64 << i;
  for (uint32_t i = 0; i < MIN(decoder->tables.n, 64); i++)
    module->table64s |= (uint64_t)decoder->tables.items[i].type.limits.is_64 << i;
}

static void hand_over(Decoder *decoder) {
  Module *module = decoder->module;
  module->types = decoder->types.items;
  module->n_types = decoder->types.n;
  module->imports = decoder->imports.items;
  module->n_imports = decoder->imports.n;
  module->funcs = decoder->funcs.items;
  module->n_funcs = decoder->funcs.n;
  module->tables = decoder->tables.items;
  module->n_tables = decoder->tables.n;
  module->memories = decoder->memories.items;
  module->n_memories = decoder->memories.n;
  module->globals = decoder->globals.items;
  module->n_globals = decoder->globals.n;
  module->tags = decoder->tags.items;
  module->n_tags = decoder->tags.n;
  module->customs = decoder->customs.items;
  module->n_customs = decoder->customs.n;
  module->sections = decoder->sections.items;
  module->n_sections = decoder->sections.n;
  mark_64(decoder);
}

static void decode_all(Decoder *decoder, const uint8_t *bytes, Guard *guard) {
  Module *module = decoder->module;
  module->bytes = arena_copy(&module->arena, bytes, module->size);
  decoder->reader = (Reader){.at = module->bytes,
                             .end = module->bytes + module->size,
                             .start = module->bytes,
                             .guard = guard,
                             .func = ERROR_NO_FUNC,
                             .off = ~module->features};
  read_header(decoder);
  read_sections(decoder);
  check_counts(decoder);
  hand_over(decoder);
}

/* Reads the instructions of all bodies, for nothing but the first error. */
static void scan_bodies(Decoder *decoder) {
  const Module *module = decoder->module;
  Reader *reader = &decoder->reader;
  reader->section = section_text(SECTION_CODE);
  for (uint32_t i = module->n_imported_funcs; i < decoder->funcs.n; i++) {
    const FuncDef *def = &decoder->funcs.items[i];
    reader->at = reader->start + def->at;
    reader->func = i;
    for (uint32_t n = def->end > def->at ? read_count(reader, 2) : 0; n > 0; n--) {
      read_u32(reader);
      read_val_type(reader);
    }
    Instr instr;
    while (reader->at < reader->start + def->end) instr_read(reader, &instr);
  }
}

/* The first error in a module counts, by the order of its bytes: when one was found behind the code
 * section, a body may still have an earlier one. */
static void find_earlier_error(Decoder *decoder, Error *error) {
  if (decoder->n_bodies == 0 || error->kind != ERROR_MALFORMED) return;
  Error earlier;
  Guard guard;
  if (GUARD_TRY(&guard, &decoder->scratch, &earlier)) {
    decoder->reader.guard = &guard;
    scan_bodies(decoder);
    guard_leave(&guard);
  } else if (earlier.kind == ERROR_MALFORMED) {
    *error = earlier;
  }
}

static Module *new_module(Alloc *alloc, size_t size, const LoadOptions *options) {
  Module *module = alloc_zero(alloc, sizeof *module);
  if (!module) return NULL;
  arena_init(&module->arena, alloc);
  module->alloc = alloc;
  atomic_init(&module->refs, 1);
  module->size = (uint32_t)size;
  module->features = options->features;
  module->is_deterministic = options->is_deterministic;
  module->start = module->data_count = NO_INDEX;
  return module;
}

Module *module_decode(Alloc *alloc, const uint8_t *bytes, size_t size, const LoadOptions *options,
                      Error *error) {
  error_clear(error);
  if (size > INT32_MAX) {
    error_set(error, ERROR_UNSUPPORTED, "implementation limit: a module of 2 GiB or more");
    return NULL;
  }
  Module *module = new_module(alloc, size, options);
  Decoder *decoder = module ? arena_try(&module->arena, sizeof *decoder) : NULL;
  if (!decoder) {
    error_set(error, ERROR_MEMORY, "out of memory");
    if (module) module_release(module);
    return NULL;
  }
  memset(decoder, 0, sizeof *decoder);
  decoder->module = module;
  decoder->arena = &module->arena;
  arena_init(&decoder->scratch, alloc);
  Guard guard;
  bool ok = false;
  if (GUARD_TRY(&guard, &module->arena, error)) {
    decoder->scratch.guard = &guard;
    decode_all(decoder, bytes, &guard);
    module->name.at = arena_text(&module->arena, options->name);
    module->name.size = options->name.size;
    guard_leave(&guard);
    ok = true;
  } else {
    find_earlier_error(decoder, error);
  }
  arena_clear(&decoder->scratch);
  if (ok) return module;
  module_release(module);
  return NULL;
}
