/* parse.c - entry of the text parser, its tokens and its three passes; see parse.h.
 */
#include "parse.h"

#include <stdio.h>

#include "../base/number.h"
#include "text.h"

/* Sizes of sections and positions in them fit 32 bits then. */
#define TEXT_MAX (UINT32_MAX / 2)

/* --- tokens --- */

void parser_init(Parser *parser, Arena *arena, Str source, FeatureSet features) {
  memset(parser, 0, sizeof *parser);
  parser->arena = arena;
  parser->features = features;
  parser->func = NO_INDEX;
  lexer_init(&parser->lexer, arena, source);
  for (unsigned i = 0; i < SECTION_ID_END; i++) buf_init(&parser->sections[i].bytes, arena);
  Buf *const bufs[] = {&parser->pending_code, &parser->body,     &parser->hints,
                       &parser->scratch,      &parser->scratch2, &parser->hint_section.bytes};
  for (size_t i = 0; i < COUNT_OF(bufs); i++) buf_init(bufs[i], arena);
  strmap_init(&parser->type_map, arena);
  parse_scope_init(parser);
}

void parse_advance(Parser *parser) {
  if (UNLIKELY(parser->pending.at)) parse_fail_misplaced(parser);
  if (parser->has_next) {
    parser->token = parser->next;
    parser->has_next = false;
  } else {
    lexer_next(&parser->lexer, &parser->token);
  }
  while (UNLIKELY(parser->token.kind == TOKEN_ANNOTATION)) {
    Token token = parser->token;
    parse_annotation(parser, &token);
    lexer_next(&parser->lexer, &parser->token);
  }
}

const Token *parse_peek(Parser *parser) {
  if (!parser->has_next) lexer_next(&parser->lexer, &parser->next);
  parser->has_next = true;
  return &parser->next;
}

void parse_fail_at(Parser *parser, const char *at, const char *format, ...) {
  char message[256];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  lexer_fail(&parser->lexer, ERROR_MALFORMED, at, "%s", message);
}

void parse_fail(Parser *parser, const char *format, ...) {
  char message[256];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  lexer_fail(&parser->lexer, ERROR_MALFORMED, parser->token.at, "%s", message);
}

/* Words of the grammar that are neither instructions nor numbers. */
static const char *const keywords[] = {
    "module",
    "type",
    "rec",
    "sub",
    "final",
    "func",
    "struct",
    "array",
    "cont",
    "field",
    "mut",
    "param",
    "result",
    "local",
    "import",
    "export",
    "table",
    "memory",
    "global",
    "tag",
    "elem",
    "data",
    "start",
    "offset",
    "item",
    "declare",
    "shared",
    "pagesize",
    "ref",
    "null",
    "i8",
    "i16",
    "i32",
    "i64",
    "f32",
    "f64",
    "v128",
    "any",
    "eq",
    "i31",
    "none",
    "nofunc",
    "extern",
    "noextern",
    "exn",
    "noexn",
    "nocont",
    "funcref",
    "externref",
    "anyref",
    "eqref",
    "i31ref",
    "structref",
    "arrayref",
    "nullref",
    "nullfuncref",
    "exnref",
    "nullexnref",
    "nullexternref",
    "contref",
    "nullcontref",
    "then",
    "do",
    "catch_ref",
    "catch_all_ref",
    "definition",
    "instance",
    "binary",
    "quote",
    "i8x16",
    "i16x8",
    "i32x4",
    "i64x2",
    "f32x4",
    "f64x2",
    "nan:canonical",
    "nan:arithmetic",
};

static bool is_known_word(Str word) {
  for (size_t i = 0; i < COUNT_OF(keywords); i++)
    if (str_equal(word, str_of(keywords[i]))) return true;
  uint64_t bits;
  if (parse_f64(word, &bits) != NUMBER_MALFORMED || op_of_text(word) != OP_INVALID) return true;
  return parse_int(word, 64, &bits) != NUMBER_MALFORMED;
}

/* offset= and align= with a number behind. */
static bool is_setting(Str word) {
  const char *equals = memchr(word.at, '=', word.size);
  if (!equals) return false;
  Str key = {word.at, (size_t)(equals - word.at)};
  Str value = {equals + 1, word.size - key.size - 1};
  uint64_t bits;
  return (str_equal(key, STR_LITERAL("offset")) || str_equal(key, STR_LITERAL("align"))) &&
         parse_unsigned(value, 64, &bits) != NUMBER_MALFORMED;
}

void parse_unexpected(Parser *parser) {
  const Token *token = &parser->token;
  int shown = (int)MIN(token->text.size, 60);
  if (token->kind == TOKEN_END) parse_fail(parser, "unexpected token: end of text");
  if (token->kind == TOKEN_WORD && !is_known_word(token->text) && !is_setting(token->text))
    parse_fail(parser, "unknown operator %.*s", shown, token->text.at);
  const char *before = token->kind == TOKEN_ID ? "$" : token->kind == TOKEN_STRING ? "\"" : "";
  const char *behind = token->kind == TOKEN_STRING ? "\"" : "";
  parse_fail(parser, "unexpected token %s%.*s%s", before, shown, token->text.at, behind);
}

static bool token_is(const Token *token, const char *word) {
  return token->kind == TOKEN_WORD && str_equal(token->text, str_of(word));
}

bool parse_is_word(const Parser *parser, const char *word) {
  return token_is(&parser->token, word);
}

bool parse_is_group(Parser *parser, const char *word) {
  return parser->token.kind == TOKEN_OPEN && token_is(parse_peek(parser), word);
}

bool parse_take_word(Parser *parser, const char *word) {
  if (!parse_is_word(parser, word)) return false;
  parse_advance(parser);
  return true;
}

bool parse_take_group(Parser *parser, const char *word) {
  if (!parse_is_group(parser, word)) return false;
  parse_advance(parser);
  parse_advance(parser);
  return true;
}

void parse_open(Parser *parser) {
  if (parser->token.kind != TOKEN_OPEN) parse_unexpected(parser);
  parse_advance(parser);
}

void parse_close(Parser *parser) {
  if (parser->token.kind != TOKEN_CLOSE) parse_unexpected(parser);
  parse_advance(parser);
}

Str parse_string(Parser *parser) {
  if (parser->token.kind != TOKEN_STRING) parse_unexpected(parser);
  Str text = lexer_decode_string(parser->arena, parser->token.text);
  parse_advance(parser);
  return text;
}

Str parse_utf8_string(Parser *parser) {
  const char *at = parser->token.at;
  Str text = parse_string(parser);
  if (!utf8_check(text.at, text.size)) parse_fail_at(parser, at, "malformed UTF-8 encoding");
  return text;
}

bool parse_at_number(const Parser *parser) {
  const Token *token = &parser->token;
  return token->kind == TOKEN_WORD && token->text.at[0] >= '0' && token->text.at[0] <= '9';
}

uint64_t parse_number(Parser *parser, unsigned bits) {
  uint64_t x = 0;
  if (!parse_at_number(parser)) parse_unexpected(parser);
  NumberStatus status = parse_unsigned(parser->token.text, bits, &x);
  if (status == NUMBER_MALFORMED) parse_unexpected(parser);
  if (status == NUMBER_OUT_OF_RANGE) parse_fail(parser, "i%u constant out of range", bits);
  parse_advance(parser);
  return x;
}

/* --- the first pass: heads --- */

static void skip_group(Parser *parser) {
  /* The current token is inside the group; when it is the closing one, nothing is left to skip. */
  if (parser->token.kind == TOKEN_CLOSE) return parse_advance(parser);
  if (parser->has_next || parser->token.kind == TOKEN_OPEN) {
    parser->lexer.at = parser->token.at;
    parser->has_next = false;
  }
  lexer_skip_group(&parser->lexer, "unexpected token: end of text");
  parse_advance(parser);
}

static void bind_defined(Parser *parser, Space space, uint32_t symbol) {
  parse_bind(parser, space, symbol);
  parser->n_defined[space]++;
}

static void bind_imported(Parser *parser, Space space, uint32_t symbol, const char *at) {
  static const struct {
    Space space;
    const char *name;
  } kinds[] = {{SPACE_FUNC, "function"},
               {SPACE_TABLE, "table"},
               {SPACE_MEMORY, "memory"},
               {SPACE_GLOBAL, "global"},
               {SPACE_TAG, "tag"}};
  for (size_t i = 0; i < COUNT_OF(kinds); i++)
    if (parser->n_defined[kinds[i].space] > 0)
      parse_fail_at(parser, at, "import after %s", kinds[i].name);
  parse_bind(parser, space, symbol);
}

static bool space_of_word(const Token *token, Space *space) {
  static const struct {
    const char *word;
    Space space;
  } words[] = {{"func", SPACE_FUNC},     {"table", SPACE_TABLE}, {"memory", SPACE_MEMORY},
               {"global", SPACE_GLOBAL}, {"tag", SPACE_TAG},     {"elem", SPACE_ELEM},
               {"data", SPACE_DATA}};
  for (size_t i = 0; i < COUNT_OF(words); i++)
    if (token_is(token, words[i].word)) {
      *space = words[i].space;
      return true;
    }
  return false;
}

static uint32_t bound_id(Parser *parser) {
  if (parser->token.kind != TOKEN_ID) return NO_SYMBOL;
  uint32_t symbol = parse_symbol(parser, parser->token.text);
  parser->id_at = parser->token.at;
  parse_advance(parser);
  return symbol;
}

/* At the keyword of a description; what is imported n times gets n indices. */
static void bind_description(Parser *parser, uint32_t n, const char *at) {
  Space space;
  if (!space_of_word(&parser->token, &space) || space > SPACE_TAG) parse_unexpected(parser);
  parse_advance(parser);
  uint32_t symbol = bound_id(parser);
  for (uint32_t i = 0; i < n; i++) bind_imported(parser, space, i == 0 ? symbol : NO_SYMBOL, at);
  skip_group(parser);
}

/* Behind "(import". In the compact form, items without a description share the one at the end. */
static void bind_import(Parser *parser, const char *at) {
  uint32_t n_bare_items = 0;
  while (parser->token.kind == TOKEN_STRING) parse_advance(parser);
  while (parser->token.kind == TOKEN_OPEN) {
    if (!parse_take_group(parser, "item")) {
      parse_advance(parser);
      bind_description(parser, MAX(n_bare_items, 1), at);
      continue;
    }
    if (parser->token.kind == TOKEN_STRING) parse_advance(parser);
    if (parser->token.kind == TOKEN_OPEN) {
      parse_advance(parser);
      bind_description(parser, 1, at);
    } else {
      n_bare_items++;
    }
    skip_group(parser);
  }
  skip_group(parser);
}

/* Does a table or memory bring its own segment? At what follows the inline import and exports. */
static bool has_inline_segment(Parser *parser, Space space) {
  if (parse_is_word(parser, "i32") || parse_is_word(parser, "i64")) parse_advance(parser);
  if (space == SPACE_MEMORY) {
    if (parse_take_group(parser, "pagesize")) skip_group(parser);
    return parse_is_group(parser, "data");
  }
  if (parser->token.kind == TOKEN_OPEN) {
    parse_advance(parser);
    skip_group(parser);
  } else if (parser->token.kind == TOKEN_WORD && !parse_at_number(parser)) {
    parse_advance(parser);
  }
  return parse_is_group(parser, "elem");
}

static void bind_definition(Parser *parser, Space space, const char *at) {
  uint32_t symbol = bound_id(parser);
  while (parse_take_group(parser, "export")) skip_group(parser);
  if (space <= SPACE_TAG && parse_is_group(parser, "import")) {
    bind_imported(parser, space, symbol, at);
  } else {
    bind_defined(parser, space, symbol);
    if ((space == SPACE_TABLE || space == SPACE_MEMORY) && has_inline_segment(parser, space))
      parse_bind(parser, space == SPACE_TABLE ? SPACE_ELEM : SPACE_DATA, NO_SYMBOL);
  }
  skip_group(parser);
}

/* Behind "(type". */
static void bind_type(Parser *parser) {
  parse_bind(parser, SPACE_TYPE, bound_id(parser));
  skip_group(parser);
}

static void bind_rec(Parser *parser) {
  while (parse_take_group(parser, "type")) bind_type(parser);
  parse_close(parser);
}

/* At the keyword of a field. */
static void bind_field(Parser *parser) {
  const char *at = parser->token.at;
  Space space;
  if (parse_is_word(parser, "type") || parse_is_word(parser, "rec")) {
    VEC_PUSH(parser->arena, &parser->type_fields, at);
    bool is_rec = parse_is_word(parser, "rec");
    parse_advance(parser);
    if (is_rec)
      bind_rec(parser);
    else
      bind_type(parser);
  } else if (parse_take_word(parser, "import")) {
    bind_import(parser, at);
  } else if (parse_is_word(parser, "export") || parse_is_word(parser, "start")) {
    parse_advance(parser);
    skip_group(parser);
  } else if (space_of_word(&parser->token, &space)) {
    parse_advance(parser);
    bind_definition(parser, space, at);
  } else {
    parse_unexpected(parser);
  }
}

/* --- the passes together --- */

static void bind_fields(Parser *parser) {
  while (parser->token.kind == TOKEN_OPEN) {
    parse_advance(parser);
    bind_field(parser);
  }
  memset(parser->n, 0, sizeof parser->n);
}

/* What was read ahead, annotations included, will be read again. */
static void restart(Parser *parser, const char *at) {
  memset(&parser->pending, 0, sizeof parser->pending);
  parser->lexer.at = at;
  parser->has_next = false;
  parse_advance(parser);
}

static void parse_types(Parser *parser) {
  for (uint32_t i = 0; i < parser->type_fields.n; i++) {
    restart(parser, parser->type_fields.items[i]);
    place_mark_field(parser);
    parse_type_field(parser);
  }
}

static void parse_fields(Parser *parser) {
  parse_take_customs(parser);
  while (parser->token.kind == TOKEN_OPEN) {
    parse_advance(parser);
    if (parse_is_word(parser, "type") || parse_is_word(parser, "rec"))
      skip_group(parser);
    else
      parse_field(parser);
    parse_take_customs(parser);
  }
}

/* Moves behind "(module" when the text starts so; gives the place where its contents start. */
static bool open_module(Parser *parser, const char **contents) {
  *contents = parser->lexer.at;
  parse_advance(parser);
  if (!parse_is_group(parser, "module")) return false;
  parse_advance(parser);
  *contents = parser->lexer.at;
  parse_advance(parser);
  if (parse_is_word(parser, "definition")) {
    *contents = parser->lexer.at;
    parse_advance(parser);
  }
  return true;
}

void parse_module(Parser *parser) {
  const char *contents;
  parser->lexer.is_deaf = true;
  bool is_wrapped = open_module(parser, &contents);
  if (is_wrapped) bound_id(parser);
  bind_fields(parser);
  parser->lexer.is_deaf = false;
  parse_types(parser);

  restart(parser, contents);
  if (is_wrapped) parse_optional_id(parser, "module", &parser->module_name);
  parse_fields(parser);
  if (is_wrapped) parse_close(parser);
  if (parser->token.kind != TOKEN_END) parse_unexpected(parser);
  if (parse_has_pending(parser)) parse_fail_misplaced(parser);
}

bool text_parse_at(Arena *arena, Str source, uint32_t line, uint32_t column, FeatureSet features,
                   const uint8_t **bytes, size_t *size, Error *error) {
  Guard guard;
  error_clear(error);
  if (!GUARD_TRY(&guard, arena, error)) return false;
  Parser *parser = ARENA_NEW(arena, Parser);
  parser_init(parser, arena, source, features);
  parser->lexer.first_line = line;
  parser->lexer.first_column = column;
  if (source.size > TEXT_MAX)
    lexer_fail(&parser->lexer, ERROR_UNSUPPORTED, source.at, "the text is too large");
  parse_module(parser);
  Buf out;
  buf_init(&out, arena);
  parse_encode(parser, &out);
  guard_leave(&guard);
  *bytes = out.at;
  *size = out.size;
  return true;
}

bool text_parse_module(Arena *arena, Str source, FeatureSet features, const uint8_t **bytes,
                       size_t *size, Error *error) {
  return text_parse_at(arena, source, 1, 1, features, bytes, size, error);
}

bool text_is_binary(const void *bytes, size_t size) {
  return size >= 4 && memcmp(bytes, "\0asm", 4) == 0;
}
