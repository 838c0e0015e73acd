/* decode_sections.c - the contents of all sections but the type section.
 *
 * Spec 3.0, "Binary Format: Modules". Indices into other spaces than types are left to the
 * validator; so are the limits of limits.
 */
#include "decode.h"

/* Vectors whose length is known, so that no room is lost to growing. */
#define RESERVE(decoder, vec, n)                                                           \
  ((vec)->items = reserve((decoder), (vec)->items, &(vec)->room, (uint64_t)(vec)->n + (n), \
                          sizeof *(vec)->items))

static void *reserve(Decoder *decoder, void *items, uint32_t *room, uint64_t n, size_t size) {
  if (n <= *room) return items;
  items = arena_resize(decoder->arena, items, *room * size, n * size);
  *room = (uint32_t)n;
  return items;
}

static uint32_t offset_of(const Reader *reader) {
  return (uint32_t)(reader->at - reader->start);
}

static void check_type(const Decoder *decoder, ValType type) {
  if (type_is_indexed(type) && type_heap(type) >= decoder->types.n)
    read_fail(&decoder->reader, ERROR_INVALID, "unknown type %u", (unsigned)type_heap(type));
}

static uint32_t read_func_type(Decoder *decoder) {
  const uint8_t *at = decoder->reader.at;
  uint32_t index = read_u32(&decoder->reader);
  if (index >= decoder->types.n)
    read_fail_at(&decoder->reader, at, ERROR_INVALID, "unknown type %u", (unsigned)index);
  if (decoder->types.items[index].comp.kind != COMP_FUNC)
    read_fail_at(&decoder->reader, at, ERROR_INVALID, "type mismatch: non-function type %u",
                 (unsigned)index);
  return index;
}

/* External types */

enum { HAS_MAX = 1, IS_SHARED = 2, IS_64 = 4, HAS_PAGE_SIZE = 8 };

static uint8_t read_flags(Decoder *decoder, unsigned known) {
  Reader *reader = &decoder->reader;
  uint8_t flags = read_byte(reader);
  reader->at--;
  static const char text[] = "malformed limits flags";
  if (flags & ~known) read_fail(reader, ERROR_MALFORMED, text);
  if (flags & IS_SHARED) read_need(reader, FEATURE_THREADS, "shared memory", text);
  if (flags & IS_64) read_need(reader, FEATURE_MEMORY64, "64-bit addresses", text);
  if (flags & HAS_PAGE_SIZE) read_need(reader, FEATURE_CUSTOM_PAGE_SIZES, "page size", text);
  reader->at++;
  return flags;
}

static Limits read_limits(Reader *reader, uint8_t flags) {
  Limits limits = {.is_64 = (flags & IS_64) != 0, .max = NO_MAX};
  limits.min = read_u64(reader);
  if (flags & HAS_MAX) limits.max = read_u64(reader);
  return limits;
}

/* The largest memory in pages: 4 GiB or 2^64 bytes, or one page less when these are bytes. */
static uint64_t most_pages(const MemoryType *type) {
  if (type->page_log2 == 0) return type->limits.is_64 ? UINT64_MAX : UINT32_MAX;
  return (uint64_t)1 << ((type->limits.is_64 ? 64 : 32) - type->page_log2);
}

static void check_memory(const Reader *reader, const MemoryType *type, bool has_max) {
  const Limits *limits = &type->limits;
  uint64_t most = most_pages(type);
  if (limits->min > most || (has_max && limits->max > most))
    read_fail(reader, ERROR_INVALID, "memory size must be at most %s",
              type->page_log2 == 0 ? "the address space"
              : limits->is_64      ? "2^48 pages (2^64 bytes)"
                                   : "65536 pages (4GiB)");
  if (has_max && limits->min > limits->max)
    read_fail(reader, ERROR_INVALID, "size minimum must not be greater than maximum");
  if (type->is_shared && !has_max)
    read_fail(reader, ERROR_INVALID, "shared memory must have maximum");
}

static MemoryType read_memory(Decoder *decoder) {
  Reader *reader = &decoder->reader;
  uint8_t flags = read_flags(decoder, HAS_MAX | IS_SHARED | IS_64 | HAS_PAGE_SIZE);
  MemoryType type = {
      .limits = read_limits(reader, flags), .is_shared = (flags & IS_SHARED) != 0, .page_log2 = 16};
  if (flags & HAS_PAGE_SIZE) {
    const uint8_t *at = reader->at;
    uint32_t log2 = read_u32(reader);
    if (log2 >= 64) read_fail_at(reader, at, ERROR_MALFORMED, "invalid custom page size");
    if (log2 != 0 && log2 != 16)
      read_fail_at(reader, at, ERROR_INVALID, "invalid custom page size");
    type.page_log2 = (uint8_t)log2;
  }
  check_memory(reader, &type, (flags & HAS_MAX) != 0);
  return type;
}

static TableType read_table_type(Decoder *decoder) {
  Reader *reader = &decoder->reader;
  TableType type = {.type = read_ref_type(reader)};
  check_type(decoder, type.type);
  uint8_t flags = read_flags(decoder, HAS_MAX | IS_64);
  type.limits = read_limits(reader, flags);
  uint64_t most = type.limits.is_64 ? UINT64_MAX : UINT32_MAX;
  bool has_max = flags & HAS_MAX;
  if (type.limits.min > most || (has_max && type.limits.max > most))
    read_fail(reader, ERROR_INVALID, "table size must be at most 2^32-1");
  if (has_max && type.limits.min > type.limits.max)
    read_fail(reader, ERROR_INVALID, "size minimum must not be greater than maximum");
  return type;
}

static GlobalType read_global_type(Decoder *decoder) {
  Reader *reader = &decoder->reader;
  GlobalType type = {.type = read_val_type(reader)};
  check_type(decoder, type.type);
  uint8_t mutability = read_byte(reader);
  if (mutability > 1) read_fail_at(reader, reader->at - 1, ERROR_MALFORMED, "malformed mutability");
  type.is_mutable = mutability;
  return type;
}

static uint32_t read_tag_type(Decoder *decoder) {
  Reader *reader = &decoder->reader;
  if (read_byte(reader) != 0)
    read_fail_at(reader, reader->at - 1, ERROR_MALFORMED, "malformed tag attribute");
  const uint8_t *at = reader->at;
  uint32_t type = read_func_type(decoder);
  if (decoder->types.items[type].comp.n_results != 0 &&
      reader->off & FEATURE_BIT(FEATURE_STACK_SWITCHING))
    read_fail_at(reader, at, ERROR_INVALID, "non-empty tag result type");
  return type;
}

/* One memory and one table were all there was once. */
static void check_memories(const Decoder *decoder, uint64_t n) {
  if (n > 1)
    read_need(&decoder->reader, FEATURE_MULTI_MEMORY, "multiple memories", "multiple memories");
  decode_limit(decoder, n, LIMIT_MEMORIES, "memories");
}

static void check_tables(const Decoder *decoder, uint64_t n) {
  if (n > 1)
    read_need(&decoder->reader, FEATURE_REFERENCE_TYPES, "multiple tables", "multiple tables");
  decode_limit(decoder, n, LIMIT_TABLES, "tables");
}

/* Imports */

static uint32_t add_import_global(Decoder *decoder) {
  GlobalDef def = {.type = read_global_type(decoder)};
  if (def.type.is_mutable)
    read_need(&decoder->reader, FEATURE_MUTABLE_GLOBALS, "import of a mutable global",
              "malformed mutability");
  VEC_PUSH(decoder->arena, &decoder->globals, def);
  return decoder->module->n_imported_globals++;
}

/* Reads the type of an import of `kind` and returns its index. */
static uint32_t read_import_type(Decoder *decoder, ExternKind kind) {
  Module *module = decoder->module;
  Reader *reader = &decoder->reader;
  switch (kind) {
    case EXTERN_FUNC: {
      FuncDef def = {.type = read_func_type(decoder)};
      VEC_PUSH(decoder->arena, &decoder->funcs, def);
      return module->n_imported_funcs++;
    }
    case EXTERN_TABLE: {
      TableDef def = {.type = read_table_type(decoder)};
      VEC_PUSH(decoder->arena, &decoder->tables, def);
      check_tables(decoder, decoder->tables.n);
      return module->n_imported_tables++;
    }
    case EXTERN_MEMORY: {
      MemoryType type = read_memory(decoder);
      VEC_PUSH(decoder->arena, &decoder->memories, type);
      check_memories(decoder, decoder->memories.n);
      return module->n_imported_memories++;
    }
    case EXTERN_GLOBAL: return add_import_global(decoder);
    case EXTERN_TAG: {
      read_need(reader, FEATURE_EXCEPTIONS, "tags", "malformed import kind");
      uint32_t type = read_tag_type(decoder);
      VEC_PUSH(decoder->arena, &decoder->tags, type);
      return module->n_imported_tags++;
    }
  }
  return 0;
}

static void add_import(Decoder *decoder, Import import) {
  VEC_PUSH(decoder->arena, &decoder->imports, import);
  decode_limit(decoder, decoder->imports.n, LIMIT_IMPORTS, "imports");
}

static ExternKind read_extern_kind(Reader *reader, const char *text) {
  uint8_t kind = read_byte(reader);
  if (kind > EXTERN_TAG) read_fail_at(reader, reader->at - 1, ERROR_MALFORMED, "%s", text);
  return (ExternKind)kind;
}

static void read_one_import(Decoder *decoder, Str module, Str name) {
  Import import = {.module = module, .name = name};
  import.kind = read_extern_kind(&decoder->reader, "malformed import kind");
  import.index = read_import_type(decoder, import.kind);
  add_import(decoder, import);
}

/* The compact encodings: many imports that share the module's name, or that and the type. */
enum { COMPACT_BY_TYPE = 0x7E, COMPACT = 0x7F };

/* The same type once more, for the next name. */
static uint32_t repeat_import_type(Decoder *decoder, ExternKind kind, const uint8_t *type) {
  Reader *reader = &decoder->reader;
  const uint8_t *after = reader->at;
  reader->at = type;
  uint32_t index = read_import_type(decoder, kind);
  reader->at = after;
  return index;
}

/* A type that no import uses has to be right, too; it leaves nothing behind. */
static void skip_import_type(Decoder *decoder, ExternKind kind) {
  switch (kind) {
    case EXTERN_FUNC: read_func_type(decoder); break;
    case EXTERN_TABLE: read_table_type(decoder); break;
    case EXTERN_MEMORY: read_memory(decoder); break;
    case EXTERN_GLOBAL: read_global_type(decoder); break;
    case EXTERN_TAG: read_tag_type(decoder); break;
  }
}

static void read_imports_of_type(Decoder *decoder, Str module) {
  Reader *reader = &decoder->reader;
  ExternKind kind = read_extern_kind(reader, "malformed import kind");
  const uint8_t *type = reader->at;
  skip_import_type(decoder, kind);
  uint32_t n = read_count(reader, 1);
  for (uint32_t i = 0; i < n; i++) {
    Import import = {.module = module, .name = read_name(reader), .kind = kind};
    import.index = repeat_import_type(decoder, kind, type);
    add_import(decoder, import);
  }
}

static bool read_compact(Decoder *decoder, Str module) {
  Reader *reader = &decoder->reader;
  uint8_t code = reader->at < reader->end ? *reader->at : 0;
  if (code != COMPACT && code != COMPACT_BY_TYPE) return false;
  read_need(reader, FEATURE_COMPACT_IMPORTS, "compact imports", "malformed import kind");
  reader->at++;
  if (code == COMPACT_BY_TYPE) {
    read_imports_of_type(decoder, module);
    return true;
  }
  uint32_t n = read_count(reader, 2);
  for (uint32_t i = 0; i < n; i++) {
    Str name = read_name(reader);
    read_one_import(decoder, module, name);
  }
  return true;
}

void decode_imports(Decoder *decoder) {
  Reader *reader = &decoder->reader;
  uint32_t n = read_count(reader, 1);
  for (uint32_t i = 0; i < n; i++) {
    Str module = read_name(reader), name = read_name(reader);
    if (name.size == 0 && read_compact(decoder, module)) continue;
    read_one_import(decoder, module, name);
  }
}

/* Definitions */

void decode_functions(Decoder *decoder) {
  uint32_t n = read_count(&decoder->reader, 1);
  decode_limit(decoder, (uint64_t)decoder->funcs.n + n, LIMIT_FUNCS, "functions");
  RESERVE(decoder, &decoder->funcs, n);
  for (uint32_t i = 0; i < n; i++) {
    FuncDef def = {.type = read_func_type(decoder)};
    decoder->funcs.items[decoder->funcs.n++] = def;
  }
}

/* How an instruction changes the depth of blocks. */
static int nesting(Op op) {
  switch (op) {
    case OP_BLOCK:
    case OP_LOOP:
    case OP_IF:
    case OP_TRY:
    case OP_TRY_TABLE: return 1;
    case OP_END:
    case OP_DELEGATE: return -1;
    default: return 0;
  }
}

/* A constant expression is only delimited; blocks in it are well nested but invalid. */
static ConstExpr read_expr(Decoder *decoder) {
  Reader *reader = &decoder->reader;
  ConstExpr expr = {.at = offset_of(reader)};
  Instr instr;
  int64_t depth = 1;
  while (depth > 0) {
    instr_read(reader, &instr);
    if (instr.op == OP_ELSE && depth == 1)
      read_fail_at(reader, instr.at, ERROR_MALFORMED, "END opcode expected");
    depth += nesting(instr.op);
  }
  if (instr.op != OP_END) read_fail_at(reader, instr.at, ERROR_MALFORMED, "END opcode expected");
  expr.end = offset_of(reader);
  return expr;
}

void decode_tables(Decoder *decoder) {
  Reader *reader = &decoder->reader;
  uint32_t n = read_count(reader, 1);
  check_tables(decoder, (uint64_t)decoder->tables.n + n);
  for (uint32_t i = 0; i < n; i++) {
    TableDef def = {0};
    const uint8_t *at = reader->at;
    bool has_init = at < reader->end && *at == 0x40;
    if (has_init) {
      read_need(reader, FEATURE_FUNCTION_REFERENCES, "table with initializer",
                "malformed reference type");
      reader->at++;
      if (read_byte(reader) != 0)
        read_fail_at(reader, at + 1, ERROR_MALFORMED, "zero byte expected");
    }
    def.type = read_table_type(decoder);
    if (has_init) {
      def.init = read_expr(decoder);
    } else if (!type_has_default(def.type.type)) {
      read_fail_at(reader, at, ERROR_INVALID, "type mismatch: table needs an initializer");
    }
    VEC_PUSH(decoder->arena, &decoder->tables, def);
  }
}

void decode_memories(Decoder *decoder) {
  uint32_t n = read_count(&decoder->reader, 1);
  check_memories(decoder, (uint64_t)decoder->memories.n + n);
  for (uint32_t i = 0; i < n; i++) {
    MemoryType type = read_memory(decoder);
    VEC_PUSH(decoder->arena, &decoder->memories, type);
  }
}

void decode_tags(Decoder *decoder) {
  read_need(&decoder->reader, FEATURE_EXCEPTIONS, "tag section", "malformed section id");
  uint32_t n = read_count(&decoder->reader, 2);
  decode_limit(decoder, (uint64_t)decoder->tags.n + n, LIMIT_TAGS, "tags");
  for (uint32_t i = 0; i < n; i++) {
    uint32_t type = read_tag_type(decoder);
    VEC_PUSH(decoder->arena, &decoder->tags, type);
  }
}

void decode_globals(Decoder *decoder) {
  uint32_t n = read_count(&decoder->reader, 1);
  decode_limit(decoder, (uint64_t)decoder->globals.n + n, LIMIT_GLOBALS, "globals");
  for (uint32_t i = 0; i < n; i++) {
    GlobalDef def = {.type = read_global_type(decoder)};
    def.init = read_expr(decoder);
    VEC_PUSH(decoder->arena, &decoder->globals, def);
  }
}

void decode_exports(Decoder *decoder) {
  Reader *reader = &decoder->reader;
  uint32_t n = read_count(reader, 3);
  decode_limit(decoder, n, LIMIT_EXPORTS, "exports");
  VEC(Export) exports = {0};
  RESERVE(decoder, &exports, n);
  for (uint32_t i = 0; i < n; i++) {
    Export *export = &exports.items[i];
    export->name = read_name(reader);
    export->kind = read_extern_kind(reader, "malformed export kind");
    export->index = read_u32(reader);
  }
  decoder->module->exports = exports.items;
  decoder->module->n_exports = n;
}

void decode_start(Decoder *decoder) {
  decoder->module->start = read_u32(&decoder->reader);
}

/* Segments */

static const uint32_t *read_indices(Decoder *decoder, uint32_t n) {
  uint32_t *indices = arena_new(decoder->arena, n * sizeof *indices);
  for (uint32_t i = 0; i < n; i++) indices[i] = read_u32(&decoder->reader);
  return indices;
}

static const ConstExpr *read_exprs(Decoder *decoder, uint32_t n) {
  ConstExpr *exprs = arena_new(decoder->arena, n * sizeof *exprs);
  for (uint32_t i = 0; i < n; i++) exprs[i] = read_expr(decoder);
  return exprs;
}

enum { ELEM_NOT_ACTIVE = 1, ELEM_EXPLICIT = 2, ELEM_EXPRS = 4 };

static ValType read_elem_type(Decoder *decoder, uint32_t flags) {
  Reader *reader = &decoder->reader;
  bool has_type = flags & (ELEM_NOT_ACTIVE | ELEM_EXPLICIT);
  if (!(flags & ELEM_EXPRS)) {
    if (has_type && read_byte(reader) != 0)
      read_fail_at(reader, reader->at - 1, ERROR_MALFORMED, "malformed element kind");
    return REF_TYPE(HEAP_FUNC, false);
  }
  ValType type = has_type ? read_ref_type(reader) : TYPE_FUNCREF;
  check_type(decoder, type);
  return type;
}

static ElemDef read_elem(Decoder *decoder) {
  Reader *reader = &decoder->reader;
  const uint8_t *at = reader->at;
  ElemDef def = {.flags = read_u32(reader)};
  if (def.flags > 7) read_fail_at(reader, at, ERROR_MALFORMED, "malformed elements segment kind");
  if (def.flags != 0)
    read_need(reader, FEATURE_BULK_MEMORY, "kind of element segment",
              "malformed elements segment kind");
  if (def.flags & ELEM_NOT_ACTIVE) {
    def.mode = def.flags & ELEM_EXPLICIT ? SEGMENT_DECLARED : SEGMENT_PASSIVE;
  } else {
    def.mode = SEGMENT_ACTIVE;
    if (def.flags & ELEM_EXPLICIT) def.table = read_u32(reader);
    def.offset = read_expr(decoder);
  }
  def.type = read_elem_type(decoder, def.flags);
  bool has_exprs = def.flags & ELEM_EXPRS;
  def.n = read_count(reader, has_exprs ? 2 : 1);
  decode_limit(decoder, def.n, LIMIT_ELEMS, "elements of a segment");
  if (has_exprs)
    def.exprs = read_exprs(decoder, def.n);
  else
    def.funcs = read_indices(decoder, def.n);
  return def;
}

void decode_elements(Decoder *decoder) {
  uint32_t n = read_count(&decoder->reader, 1);
  decode_limit(decoder, n, LIMIT_ELEMS, "element segments");
  VEC(ElemDef) elems = {0};
  for (uint32_t i = 0; i < n; i++) {
    ElemDef def = read_elem(decoder);
    VEC_PUSH(decoder->arena, &elems, def);
  }
  decoder->module->elems = elems.items;
  decoder->module->n_elems = n;
}

void decode_data_count(Decoder *decoder) {
  read_need(&decoder->reader, FEATURE_BULK_MEMORY, "data count section", "malformed section id");
  decoder->module->data_count = read_u32(&decoder->reader);
}

static DataDef read_data(Decoder *decoder) {
  Reader *reader = &decoder->reader;
  const uint8_t *at = reader->at;
  DataDef def = {.flags = read_u32(reader)};
  if (def.flags > 2) read_fail_at(reader, at, ERROR_MALFORMED, "malformed data segment kind");
  if (def.flags != 0)
    read_need(reader, FEATURE_BULK_MEMORY, "kind of data segment", "malformed data segment kind");
  def.mode = def.flags == 1 ? SEGMENT_PASSIVE : SEGMENT_ACTIVE;
  if (def.flags == 2) def.memory = read_u32(reader);
  if (def.mode == SEGMENT_ACTIVE) def.offset = read_expr(decoder);
  def.size = read_count(reader, 1);
  def.at = offset_of(reader);
  reader->at += def.size;
  return def;
}

void decode_datas(Decoder *decoder) {
  uint32_t n = read_count(&decoder->reader, 1);
  decode_limit(decoder, n, LIMIT_DATAS, "data segments");
  VEC(DataDef) datas = {0};
  for (uint32_t i = 0; i < n; i++) {
    DataDef def = read_data(decoder);
    VEC_PUSH(decoder->arena, &datas, def);
  }
  decoder->module->datas = datas.items;
  decoder->module->n_datas = n;
}

/* That there are as many bodies as functions is checked behind the last section. */
void decode_code(Decoder *decoder) {
  Module *module = decoder->module;
  Reader *reader = &decoder->reader;
  module->code_at = offset_of(reader);
  uint32_t n = read_count(reader, 1);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t size = read_size(reader);
    decode_limit(decoder, size, LIMIT_BODY, "bytes in a function body");
    uint32_t at = offset_of(reader), index = module->n_imported_funcs + i;
    reader->at += size;
    if (index >= decoder->funcs.n) continue;
    decoder->funcs.items[index].at = at;
    decoder->funcs.items[index].end = at + size;
  }
  decoder->n_bodies = n;
  module->code_size = offset_of(reader) - module->code_at;
}
