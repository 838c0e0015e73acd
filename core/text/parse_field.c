/* parse_field.c - the fields of a module but its types. Spec: 3.0, "Text Format", "Modules".
 */
#include "parse.h"

static const struct {
  const char *word;
  Space space;
  uint8_t kind;
} extern_words[] = {{"func", SPACE_FUNC, EXTERN_FUNC},
                    {"table", SPACE_TABLE, EXTERN_TABLE},
                    {"memory", SPACE_MEMORY, EXTERN_MEMORY},
                    {"global", SPACE_GLOBAL, EXTERN_GLOBAL},
                    {"tag", SPACE_TAG, EXTERN_TAG}};

/* Takes the word of an external kind; gives its row. */
static size_t take_extern_word(Parser *parser) {
  for (size_t i = 0; i < COUNT_OF(extern_words); i++)
    if (parse_take_word(parser, extern_words[i].word)) return i;
  parse_unexpected(parser);
}

static Buf *section_bytes(Parser *parser, SectionId id) {
  return &parser->sections[id].bytes;
}

/* --- inline imports and exports --- */

static void put_export(Parser *parser, Str name, uint8_t kind, uint32_t index) {
  Buf *out = section_bytes(parser, SECTION_EXPORT);
  parser->sections[SECTION_EXPORT].n++;
  buf_name(out, name);
  buf_byte(out, kind);
  buf_u32(out, index);
}

static void parse_inline_exports(Parser *parser, uint8_t kind, uint32_t index) {
  while (parse_take_group(parser, "export")) {
    put_export(parser, parse_utf8_string(parser), kind, index);
    parse_close(parser);
  }
}

/* Takes an (import "m" "n") and starts the entry of the import section; false when there is none.
 */
static bool take_inline_import(Parser *parser, uint8_t kind) {
  if (!parse_take_group(parser, "import")) return false;
  Buf *out = section_bytes(parser, SECTION_IMPORT);
  parser->sections[SECTION_IMPORT].n++;
  buf_name(out, parse_utf8_string(parser));
  buf_name(out, parse_utf8_string(parser));
  buf_byte(out, kind);
  parse_close(parser);
  return true;
}

/* --- types of what can be imported --- */

enum { LIMITS_MAX = 1, LIMITS_SHARED = 2, LIMITS_64 = 4, LIMITS_PAGE_SIZE = 8 };

typedef struct TextLimits {
  uint64_t min, max;
  uint8_t flags;
  uint32_t page_log2;
} TextLimits;

static bool take_is_64(Parser *parser) {
  bool is_64 = parse_take_word(parser, "i64");
  if (!is_64) parse_take_word(parser, "i32");
  return is_64;
}

static TextLimits parse_limits(Parser *parser, bool is_64) {
  TextLimits limits = {.flags = is_64 ? LIMITS_64 : 0};
  limits.min = parse_number(parser, 64);
  if (parse_at_number(parser)) {
    limits.max = parse_number(parser, 64);
    limits.flags |= LIMITS_MAX;
  }
  return limits;
}

static void put_limits(Buf *out, const TextLimits *limits) {
  buf_byte(out, limits->flags);
  buf_u64(out, limits->min);
  if (limits->flags & LIMITS_MAX) buf_u64(out, limits->max);
  if (limits->flags & LIMITS_PAGE_SIZE) buf_u32(out, limits->page_log2);
}

static void parse_page_size(Parser *parser, TextLimits *limits) {
  if (!parse_take_group(parser, "pagesize")) return;
  const char *at = parser->token.at;
  uint64_t size = parse_number(parser, 64);
  if (size == 0 || (size & (size - 1)) != 0) parse_fail_at(parser, at, "invalid custom page size");
  while (size >>= 1) limits->page_log2++;
  limits->flags |= LIMITS_PAGE_SIZE;
  parse_close(parser);
}

static void parse_memory_type(Parser *parser, bool is_64, Buf *out) {
  TextLimits limits = parse_limits(parser, is_64);
  if (parse_take_word(parser, "shared")) limits.flags |= LIMITS_SHARED;
  parse_page_size(parser, &limits);
  put_limits(out, &limits);
}

static void parse_table_type(Parser *parser, bool is_64, Buf *out) {
  TextLimits limits = parse_limits(parser, is_64);
  parse_put_type(out, parse_ref_type(parser));
  put_limits(out, &limits);
}

static void parse_global_type(Parser *parser, Buf *out) {
  bool is_mutable = parse_take_group(parser, "mut");
  parse_put_type(out, parse_val_type(parser));
  buf_byte(out, is_mutable);
  if (is_mutable) parse_close(parser);
}

static void parse_tag_type(Parser *parser, Buf *out) {
  parse_begin_scope(parser, NO_INDEX);
  uint32_t type = parse_type_use(parser, true);
  buf_byte(out, 0);
  buf_u32(out, type);
}

/* The type of something imported; `func` is the index of a function whose parameters get names. */
static void parse_extern_type(Parser *parser, uint8_t kind, uint32_t func, Buf *out) {
  switch (kind) {
    case EXTERN_FUNC:
      parse_begin_scope(parser, func);
      buf_u32(out, parse_type_use(parser, true));
      parser->func = NO_INDEX;
      break;
    case EXTERN_TABLE: parse_table_type(parser, take_is_64(parser), out); break;
    case EXTERN_MEMORY: parse_memory_type(parser, take_is_64(parser), out); break;
    case EXTERN_GLOBAL: parse_global_type(parser, out); break;
    default: parse_tag_type(parser, out);
  }
}

/* --- imports --- */

#define COMPACT_ITEMS  0x7F /* items with a type each */
#define COMPACT_SHARED 0x7E /* items with one type */

/* At the parenthesis of a description: what is imported n times with one type. */
static void parse_description(Parser *parser, uint32_t n, bool is_shared, Buf *out) {
  parse_open(parser);
  size_t row = take_extern_word(parser);
  Space space = extern_words[row].space;
  if (is_shared && parser->token.kind == TOKEN_ID) parse_fail(parser, "identifier not allowed");
  Str name;
  parse_optional_id(parser, extern_words[row].word, &name);
  uint32_t index = parser->n[space];
  for (uint32_t i = 0; i < n; i++) parse_define(parser, space, name);
  buf_byte(out, extern_words[row].kind);
  parse_extern_type(parser, extern_words[row].kind, is_shared ? NO_INDEX : index, out);
  parse_close(parser);
}

/* Behind "(item": all items with a type of their own. */
static void parse_typed_items(Parser *parser, Buf *out, Str name) {
  Buf *items = &parser->scratch2;
  uint32_t n = 0;
  items->size = 0;
  for (;;) {
    buf_name(items, name);
    parse_description(parser, 1, false, items);
    parse_close(parser);
    n++;
    if (!parse_take_group(parser, "item")) break;
    name = parse_utf8_string(parser);
  }
  buf_byte(out, COMPACT_ITEMS);
  buf_u32(out, n);
  buf_bytes(out, items->at, items->size);
}

static void parse_shared_items(Parser *parser, Buf *out, Str name) {
  Buf *items = &parser->scratch2;
  uint32_t n = 0;
  items->size = 0;
  for (;;) {
    buf_name(items, name);
    parse_close(parser);
    n++;
    if (!parse_take_group(parser, "item")) break;
    name = parse_utf8_string(parser);
  }
  buf_byte(out, COMPACT_SHARED);
  parse_description(parser, n, true, out);
  buf_u32(out, n);
  buf_bytes(out, items->at, items->size);
}

static void parse_import(Parser *parser) {
  Buf *out = section_bytes(parser, SECTION_IMPORT);
  parser->sections[SECTION_IMPORT].n++;
  buf_name(out, parse_utf8_string(parser));
  if (parse_take_group(parser, "item")) {
    buf_byte(out, 0); /* an empty name says that the compact form follows */
    Str name = parse_utf8_string(parser);
    if (parser->token.kind == TOKEN_OPEN)
      parse_typed_items(parser, out, name);
    else
      parse_shared_items(parser, out, name);
  } else {
    buf_name(out, parse_utf8_string(parser));
    parse_description(parser, 1, false, out);
  }
  parse_close(parser);
}

static void parse_export(Parser *parser) {
  Str name = parse_utf8_string(parser);
  parse_open(parser);
  size_t row = take_extern_word(parser);
  put_export(parser, name, extern_words[row].kind, parse_index(parser, extern_words[row].space));
  parse_close(parser);
  parse_close(parser);
}

/* --- functions --- */

static void parse_locals(Parser *parser) {
  parser->locals.n = 0;
  while (parse_take_group(parser, "local")) {
    Str name;
    uint32_t symbol = parse_optional_id(parser, "local", &name);
    if (name.at) parse_bind_local(parser, symbol, name, parser->n_locals);
    while (name.at || parser->token.kind != TOKEN_CLOSE) {
      VEC_PUSH(parser->arena, &parser->locals, parse_val_type(parser));
      parser->n_locals++;
      if (name.at) break;
    }
    parse_close(parser);
  }
}

/* Runs of equal types, as the binary wants them. */
static void put_locals(Parser *parser, Buf *out) {
  const ValType *types = parser->locals.items;
  uint32_t n = parser->locals.n, n_runs = 0;
  for (uint32_t i = 0; i < n; i++) n_runs += i == 0 || types[i] != types[i - 1];
  buf_u32(out, n_runs);
  for (uint32_t i = 0, next; i < n; i = next) {
    for (next = i + 1; next < n && types[next] == types[i];) next++;
    buf_u32(out, next - i);
    parse_put_type(out, types[i]);
  }
}

static void put_hints(Parser *parser, uint32_t func) {
  if (parser->n_hints == 0) return;
  Buf *out = &parser->hint_section.bytes;
  parser->hint_section.n++;
  buf_u32(out, func);
  buf_u32(out, parser->n_hints);
  buf_bytes(out, parser->hints.at, parser->hints.size);
  parser->n_hints = 0;
  parser->hints.size = 0;
}

static void parse_body(Parser *parser, uint32_t func) {
  Buf *body = &parser->body;
  body->size = 0;
  parse_locals(parser);
  put_locals(parser, body);
  VEC_PUSH(parser->arena, &parser->labels, ((Label){NO_SYMBOL, NO_INDEX}));
  parse_const_expr(parser, body);
  parser->labels.n--;
  put_hints(parser, func);
  Section *code = &parser->sections[SECTION_CODE];
  code->n++;
  buf_u32(&code->bytes, (uint32_t)body->size);
  place_move_body(parser, code->bytes.size);
  buf_bytes(&code->bytes, body->at, body->size);
}

static void parse_func(Parser *parser) {
  Str name;
  parse_optional_id(parser, "function", &name);
  uint32_t index = parse_define(parser, SPACE_FUNC, name);
  parse_inline_exports(parser, EXTERN_FUNC, index);
  if (take_inline_import(parser, EXTERN_FUNC)) {
    parse_extern_type(parser, EXTERN_FUNC, index, section_bytes(parser, SECTION_IMPORT));
  } else {
    Section *functions = &parser->sections[SECTION_FUNCTION];
    functions->n++;
    parse_begin_scope(parser, index);
    buf_u32(&functions->bytes, parse_type_use(parser, true));
    parse_body(parser, index);
    parser->func = NO_INDEX;
  }
  parse_close(parser);
}

/* --- element segments --- */

enum { SEGMENT_NOT_ACTIVE = 1, SEGMENT_EXPLICIT = 2, SEGMENT_EXPRS = 4 };

/* The contents of an element segment. */
typedef struct ElemList {
  ValType type;
  bool has_exprs;
  uint32_t n;
} ElemList;

static void parse_func_list(Parser *parser, ElemList *list, Buf *out) {
  for (; parse_at_index(parser); list->n++) buf_u32(out, parse_index(parser, SPACE_FUNC));
}

static void parse_expr_list(Parser *parser, ElemList *list, Buf *out) {
  list->has_exprs = true;
  for (; parser->token.kind == TOKEN_OPEN; list->n++) {
    if (parse_take_group(parser, "item")) {
      parse_const_expr(parser, out);
      parse_close(parser);
    } else {
      parser->out = out;
      parse_folded_instr(parser);
      parse_put_op(out, OP_END);
    }
  }
}

/* func x.., or a type and expressions, or, where that is allowed, x.. alone. */
static ElemList parse_elem_list(Parser *parser, bool allows_bare, Buf *out) {
  ElemList list = {.type = REF_TYPE(HEAP_FUNC, false)};
  if (parse_take_word(parser, "func") || (allows_bare && !parse_at_ref_type(parser))) {
    parse_func_list(parser, &list, out);
  } else {
    list.type = parse_ref_type(parser);
    parse_expr_list(parser, &list, out);
  }
  return list;
}

static void put_elem(Parser *parser, unsigned flags, uint32_t table, const Buf *offset,
                     const ElemList *list, const Buf *items) {
  Buf *out = section_bytes(parser, SECTION_ELEMENT);
  parser->sections[SECTION_ELEMENT].n++;
  bool is_active = !(flags & SEGMENT_NOT_ACTIVE);
  bool is_default_type =
      list->type == (list->has_exprs ? TYPE_FUNCREF : REF_TYPE(HEAP_FUNC, false));
  if (is_active && (table != 0 || !is_default_type)) flags |= SEGMENT_EXPLICIT;
  if (list->has_exprs) flags |= SEGMENT_EXPRS;
  buf_u32(out, flags);
  if (is_active && (flags & SEGMENT_EXPLICIT)) buf_u32(out, table);
  if (is_active) buf_bytes(out, offset->at, offset->size);
  if (flags & (SEGMENT_NOT_ACTIVE | SEGMENT_EXPLICIT)) {
    if (list->has_exprs)
      parse_put_type(out, list->type);
    else
      buf_byte(out, 0);
  }
  buf_u32(out, list->n);
  buf_bytes(out, items->at, items->size);
}

/* An optional (place x) in front of an offset, or the bare number of older texts; true when there
 * is one. */
static bool take_place(Parser *parser, const char *word, Space space, uint32_t *index) {
  *index = 0;
  if (parse_at_number(parser)) {
    *index = parse_index(parser, space);
    return true;
  }
  if (!parse_take_group(parser, word)) return false;
  *index = parse_index(parser, space);
  parse_close(parser);
  return true;
}

static void parse_elem(Parser *parser) {
  Buf *offset = &parser->scratch2, *items = &parser->body;
  unsigned flags = 0;
  uint32_t table = 0;
  bool has_table = false;
  Str name;
  offset->size = items->size = 0;
  parse_optional_id(parser, "elem", &name);
  parse_define(parser, SPACE_ELEM, name);
  if (parse_take_word(parser, "declare")) {
    flags = SEGMENT_NOT_ACTIVE | SEGMENT_EXPLICIT;
  } else if (parse_at_number(parser) ||
             (parser->token.kind == TOKEN_OPEN && !parse_at_ref_type(parser))) {
    bool is_bare = parse_at_number(parser);
    has_table = take_place(parser, "table", SPACE_TABLE, &table) && !is_bare;
    if (has_table) flags = SEGMENT_EXPLICIT;
    parse_offset_expr(parser, offset);
  } else {
    flags = SEGMENT_NOT_ACTIVE;
  }
  bool allows_bare = !(flags & SEGMENT_NOT_ACTIVE) && !has_table;
  ElemList list = parse_elem_list(parser, allows_bare, items);
  put_elem(parser, flags, table, offset, &list, items);
  parse_close(parser);
}

static void put_zero_offset(Buf *out, bool is_64) {
  parse_put_op(out, is_64 ? OP_I64_CONST : OP_I32_CONST);
  buf_byte(out, 0);
  parse_put_op(out, OP_END);
}

/* --- tables, memories, globals, tags --- */

/* Functions of a table's own segment: plain indices where their type, (ref func), fits the table.
 */
static void parse_table_funcs(Parser *parser, ElemList *list, Buf *out) {
  if (type_heap(list->type) == HEAP_FUNC) {
    list->type = REF_TYPE(HEAP_FUNC, false);
    return parse_func_list(parser, list, out);
  }
  list->has_exprs = true;
  for (; parse_at_index(parser); list->n++) {
    parse_put_op(out, OP_REF_FUNC);
    buf_u32(out, parse_index(parser, SPACE_FUNC));
    parse_put_op(out, OP_END);
  }
}

/* (table t (elem ..)): a table just as long as its segment. */
static void parse_table_with_elems(Parser *parser, uint32_t table, bool is_64) {
  Buf *offset = &parser->scratch2, *items = &parser->body;
  Section *tables = &parser->sections[SECTION_TABLE];
  offset->size = items->size = 0;
  ValType type = parse_ref_type(parser);
  if (!parse_take_group(parser, "elem")) parse_unexpected(parser);
  ElemList list = {.type = type};
  if (parser->token.kind == TOKEN_OPEN)
    parse_expr_list(parser, &list, items);
  else
    parse_table_funcs(parser, &list, items);
  parse_close(parser);
  put_zero_offset(offset, is_64);
  parse_define(parser, SPACE_ELEM, (Str){0});
  put_elem(parser, 0, table, offset, &list, items);
  TextLimits limits = {
      .min = list.n, .max = list.n, .flags = (uint8_t)(LIMITS_MAX | (is_64 ? LIMITS_64 : 0))};
  tables->n++;
  parse_put_type(&tables->bytes, type);
  put_limits(&tables->bytes, &limits);
}

static void parse_table(Parser *parser) {
  Str name;
  parse_optional_id(parser, "table", &name);
  uint32_t index = parse_define(parser, SPACE_TABLE, name);
  parse_inline_exports(parser, EXTERN_TABLE, index);
  bool is_import = take_inline_import(parser, EXTERN_TABLE);
  bool is_64 = take_is_64(parser);
  if (is_import) {
    parse_table_type(parser, is_64, section_bytes(parser, SECTION_IMPORT));
  } else if (!parse_at_number(parser)) {
    parse_table_with_elems(parser, index, is_64);
  } else {
    Section *tables = &parser->sections[SECTION_TABLE];
    Buf *type = &parser->scratch2;
    type->size = 0;
    tables->n++;
    parse_table_type(parser, is_64, type);
    bool has_init = parser->token.kind != TOKEN_CLOSE;
    if (has_init) buf_bytes(&tables->bytes, "\x40\0", 2);
    buf_bytes(&tables->bytes, type->at, type->size);
    if (has_init) parse_const_expr(parser, &tables->bytes);
  }
  parse_close(parser);
}

static void append_strings(Parser *parser, Buf *out) {
  for (; parser->token.kind == TOKEN_STRING; parse_advance(parser))
    lexer_append_string(out, parser->token.text);
}

static void put_data(Parser *parser, unsigned flags, uint32_t memory, const Buf *offset,
                     const Buf *bytes) {
  Buf *out = section_bytes(parser, SECTION_DATA);
  parser->sections[SECTION_DATA].n++;
  if (!(flags & SEGMENT_NOT_ACTIVE) && memory != 0) flags |= SEGMENT_EXPLICIT;
  buf_u32(out, flags);
  if (flags & SEGMENT_EXPLICIT) buf_u32(out, memory);
  if (!(flags & SEGMENT_NOT_ACTIVE)) buf_bytes(out, offset->at, offset->size);
  buf_u32(out, (uint32_t)bytes->size);
  buf_bytes(out, bytes->at, bytes->size);
}

/* (memory (data ..)): a memory just as many pages long as its segment needs. */
static void parse_memory_with_data(Parser *parser, uint32_t memory, bool is_64) {
  Buf *offset = &parser->scratch2, *bytes = &parser->body;
  Section *memories = &parser->sections[SECTION_MEMORY];
  TextLimits limits = {.flags = (uint8_t)(LIMITS_MAX | (is_64 ? LIMITS_64 : 0)), .page_log2 = 0};
  offset->size = bytes->size = 0;
  parse_page_size(parser, &limits);
  if (!(limits.flags & LIMITS_PAGE_SIZE)) limits.page_log2 = 16;
  if (!parse_take_group(parser, "data")) parse_unexpected(parser);
  append_strings(parser, bytes);
  parse_close(parser);
  uint64_t page_mask = ((uint64_t)1 << limits.page_log2) - 1;
  limits.min = (bytes->size >> limits.page_log2) + ((bytes->size & page_mask) != 0);
  limits.max = limits.min;
  put_zero_offset(offset, is_64);
  parse_define(parser, SPACE_DATA, (Str){0});
  put_data(parser, 0, memory, offset, bytes);
  memories->n++;
  put_limits(&memories->bytes, &limits);
}

static void parse_memory(Parser *parser) {
  Str name;
  parse_optional_id(parser, "memory", &name);
  uint32_t index = parse_define(parser, SPACE_MEMORY, name);
  parse_inline_exports(parser, EXTERN_MEMORY, index);
  bool is_import = take_inline_import(parser, EXTERN_MEMORY);
  bool is_64 = take_is_64(parser);
  if (is_import) {
    parse_memory_type(parser, is_64, section_bytes(parser, SECTION_IMPORT));
  } else if (!parse_at_number(parser)) {
    parse_memory_with_data(parser, index, is_64);
  } else {
    parser->sections[SECTION_MEMORY].n++;
    parse_memory_type(parser, is_64, section_bytes(parser, SECTION_MEMORY));
  }
  parse_close(parser);
}

static void parse_global(Parser *parser) {
  Str name;
  parse_optional_id(parser, "global", &name);
  uint32_t index = parse_define(parser, SPACE_GLOBAL, name);
  parse_inline_exports(parser, EXTERN_GLOBAL, index);
  if (take_inline_import(parser, EXTERN_GLOBAL)) {
    parse_global_type(parser, section_bytes(parser, SECTION_IMPORT));
  } else {
    Section *globals = &parser->sections[SECTION_GLOBAL];
    globals->n++;
    parse_global_type(parser, &globals->bytes);
    parse_const_expr(parser, &globals->bytes);
  }
  parse_close(parser);
}

static void parse_tag(Parser *parser) {
  Str name;
  parse_optional_id(parser, "tag", &name);
  uint32_t index = parse_define(parser, SPACE_TAG, name);
  parse_inline_exports(parser, EXTERN_TAG, index);
  bool is_import = take_inline_import(parser, EXTERN_TAG);
  SectionId id = is_import ? SECTION_IMPORT : SECTION_TAG;
  if (!is_import) parser->sections[id].n++;
  parse_tag_type(parser, section_bytes(parser, id));
  parse_close(parser);
}

static void parse_data(Parser *parser) {
  Buf *offset = &parser->scratch2, *bytes = &parser->body;
  unsigned flags = SEGMENT_NOT_ACTIVE;
  uint32_t memory = 0;
  Str name;
  offset->size = bytes->size = 0;
  parse_optional_id(parser, "data", &name);
  parse_define(parser, SPACE_DATA, name);
  if (parser->token.kind == TOKEN_OPEN || parse_at_number(parser)) {
    flags = 0;
    if (take_place(parser, "memory", SPACE_MEMORY, &memory)) flags = SEGMENT_EXPLICIT;
    parse_offset_expr(parser, offset);
  }
  append_strings(parser, bytes);
  put_data(parser, flags, memory, offset, bytes);
  parse_close(parser);
}

static void parse_start(Parser *parser) {
  if (parser->has_start) parse_fail(parser, "multiple start sections");
  parser->has_start = true;
  buf_u32(section_bytes(parser, SECTION_START), parse_index(parser, SPACE_FUNC));
  parse_close(parser);
}

void parse_field(Parser *parser) {
  static const struct {
    const char *word;
    void (*parse)(Parser *);
  } fields[] = {{"func", parse_func},     {"import", parse_import}, {"export", parse_export},
                {"global", parse_global}, {"data", parse_data},     {"elem", parse_elem},
                {"table", parse_table},   {"memory", parse_memory}, {"tag", parse_tag},
                {"start", parse_start}};
  place_mark_field(parser);
  for (size_t i = 0; i < COUNT_OF(fields); i++)
    if (parse_take_word(parser, fields[i].word)) return fields[i].parse(parser);
  parse_unexpected(parser);
}
