/* wast.c - reads test scripts; see wast.h.
 *
 * Each command is read with a parser of its own, up to and without what follows its closing
 * parenthesis, so that an error stays inside of the command in which it is.
 */
#include "wast.h"

#include "../base/number.h"
#include "parse.h"

void wast_init_at(WastReader *reader, Alloc *alloc, Str source, uint32_t line, uint32_t column) {
  *reader = (WastReader){.at = source.at,
                         .end = source.at + source.size,
                         .counted = source.at,
                         .line = line,
                         .column = column};
  arena_init(&reader->arena, alloc);
}

void wast_init(WastReader *reader, Alloc *alloc, Str source) {
  wast_init_at(reader, alloc, source, 1, 1);
}

void wast_clear(WastReader *reader) {
  arena_clear(&reader->arena);
}

/* --- values --- */

/* At a lane or number that may be a NaN pattern. */
static WastPattern take_pattern(Parser *parser) {
  if (parse_take_word(parser, "nan:canonical")) return WAST_NAN_CANONICAL;
  if (parse_take_word(parser, "nan:arithmetic")) return WAST_NAN_ARITHMETIC;
  return WAST_EXACT;
}

static void parse_lanes(Parser *parser, LaneShape shape, WastValue *value) {
  value->has_type = true;
  value->n_lanes = shape.n;
  value->lane_bits = shape.bits;
  for (unsigned i = 0; i < shape.n; i++) {
    WastPattern pattern = shape.is_float ? take_pattern(parser) : WAST_EXACT;
    if (shape.is_float) value->patterns[i] = (uint8_t)pattern;
    if (pattern == WAST_EXACT) parse_lane(parser, shape, value->bytes + i * (shape.bits / 8));
  }
}

static void parse_vector(Parser *parser, WastValue *value) {
  LaneShape shape;
  if (!parse_lane_shape(parser, &shape)) parse_unexpected(parser);
  value->kind = WAST_VECTOR;
  value->type = TYPE_V128;
  parse_lanes(parser, shape, value);
}

static bool parse_number_value(Parser *parser, WastValue *value) {
  static const struct {
    const char *word;
    ValType type;
    LaneShape shape;
  } words[] = {{"i32.const", TYPE_I32, {1, 32, false}},
               {"i64.const", TYPE_I64, {1, 64, false}},
               {"f32.const", TYPE_F32, {1, 32, true}},
               {"f64.const", TYPE_F64, {1, 64, true}}};
  for (size_t i = 0; i < COUNT_OF(words); i++)
    if (parse_take_word(parser, words[i].word)) {
      value->kind = WAST_NUMBER;
      value->type = words[i].type;
      parse_lanes(parser, words[i].shape, value);
      return true;
    }
  return false;
}

static void parse_null(Parser *parser, WastValue *value) {
  value->kind = WAST_REF_NULL;
  value->has_type = parser->token.kind != TOKEN_CLOSE;
  if (value->has_type) value->type = REF_TYPE(parse_heap_type(parser), true);
}

static void parse_host_number(Parser *parser, WastValue *value) {
  uint64_t number = parse_number(parser, 32);
  value->kind = WAST_REF_HOST;
  memcpy(value->bytes, &number, sizeof number);
}

/* ref.func, ref.extern 1, ref.struct and the like. */
static void parse_ref_value(Parser *parser, WastValue *value) {
  Str word = parser->token.text;
  uint32_t heap = HEAP_ANY;
  bool is_host = parse_is_word(parser, "ref.host");
  bool is_ref =
      parser->token.kind == TOKEN_WORD && word.size > 4 && memcmp(word.at, "ref.", 4) == 0;
  if (!is_ref || (!is_host && !parse_heap_word((Str){word.at + 4, word.size - 4}, &heap)))
    parse_unexpected(parser);
  parse_advance(parser);
  value->kind = WAST_REF;
  value->has_type = true;
  value->type = REF_TYPE(heap, false);
  if (parse_at_number(parser))
    parse_host_number(parser, value);
  else if (heap == HEAP_FUNC && parser->token.kind == TOKEN_ID)
    parse_advance(parser);
}

static WastValue parse_simple_value(Parser *parser) {
  WastValue value = {0};
  parse_open(parser);
  if (parse_take_word(parser, "v128.const"))
    parse_vector(parser, &value);
  else if (parse_take_word(parser, "ref.null"))
    parse_null(parser, &value);
  else if (!parse_number_value(parser, &value))
    parse_ref_value(parser, &value);
  parse_close(parser);
  return value;
}

static const WastValue *parse_simple_values(Parser *parser, uint32_t *n) {
  VEC(WastValue) values = {0};
  while (parser->token.kind == TOKEN_OPEN)
    VEC_PUSH(parser->arena, &values, parse_simple_value(parser));
  *n = values.n;
  return values.items;
}

static const WastValue *parse_results_wanted(Parser *parser, uint32_t *n) {
  VEC(WastValue) values = {0};
  while (parser->token.kind == TOKEN_OPEN) {
    WastValue value = {.kind = WAST_EITHER};
    if (parse_take_group(parser, "either")) {
      value.choices = parse_simple_values(parser, &value.n_choices);
      parse_close(parser);
    } else {
      value = parse_simple_value(parser);
    }
    VEC_PUSH(parser->arena, &values, value);
  }
  *n = values.n;
  return values.items;
}

/* --- parts of commands --- */

static Str take_id(Parser *parser) {
  Str id = {0};
  if (parser->token.kind == TOKEN_ID) {
    id = parser->token.text;
    parse_advance(parser);
  }
  return id;
}

/* At the word `invoke` or `get`; up to the closing parenthesis. */
static void parse_action(Parser *parser, WastAction *action) {
  action->is_get = parse_is_word(parser, "get");
  if (!action->is_get && !parse_is_word(parser, "invoke")) parse_unexpected(parser);
  parse_advance(parser);
  action->target = take_id(parser);
  action->name = parse_utf8_string(parser);
  if (!action->is_get) action->args = parse_simple_values(parser, &action->n_args);
}

static void parse_action_group(Parser *parser, WastAction *action) {
  parse_open(parser);
  parse_action(parser, action);
  parse_close(parser);
}

static Str parse_strings(Parser *parser) {
  Buf out;
  buf_init(&out, parser->arena);
  for (; parser->token.kind == TOKEN_STRING; parse_advance(parser))
    lexer_append_string(&out, parser->token.text);
  return (Str){(const char *)out.at, out.size};
}

/* Makes the closing parenthesis of the group that is open at `at` the current token. */
static void skip_to_close(Parser *parser, const char *at) {
  parser->lexer.at = at;
  parser->has_next = false;
  lexer_skip_group(&parser->lexer, "unexpected token: end of text");
  parser->lexer.at--;
  parse_advance(parser);
}

/* At the word `module`, whose parenthesis is at `open`; up to the closing one. */
static void parse_script_module(Parser *parser, const char *open, WastCommand *command) {
  WastModule *module = &command->module;
  const char *behind = parser->token.at + parser->token.text.size;
  parse_advance(parser);
  command->kind = WAST_MODULE;
  if (parse_take_word(parser, "definition")) command->kind = WAST_MODULE_DEFINITION;
  if (parse_take_word(parser, "instance")) command->kind = WAST_MODULE_INSTANCE;
  command->id = take_id(parser);
  if (command->kind == WAST_MODULE_INSTANCE) {
    command->target = take_id(parser);
    return;
  }
  module->line = module->column = 1;
  if (parse_is_word(parser, "binary") || parse_is_word(parser, "quote")) {
    module->kind = parse_is_word(parser, "binary") ? WAST_BINARY : WAST_QUOTE;
    parse_advance(parser);
    module->source = parse_strings(parser);
    return;
  }
  skip_to_close(parser, behind);
  module->kind = WAST_TEXT;
  module->source = (Str){open, (size_t)(parser->token.at + 1 - open)};
  lexer_place(&parser->lexer, open, &module->line, &module->column);
}

static void parse_module_group(Parser *parser, WastCommand *command) {
  const char *open = parser->token.at;
  WastKind kind = command->kind;
  parse_open(parser);
  if (!parse_is_word(parser, "module")) parse_unexpected(parser);
  parse_script_module(parser, open, command);
  if (command->kind == WAST_MODULE_INSTANCE) parse_unexpected(parser);
  parse_close(parser);
  command->kind = kind;
  command->has_module = true;
}

static void parse_expected_text(Parser *parser, WastCommand *command) {
  command->text = parse_string(parser);
}

/* --- commands --- */

static void parse_assert_return(Parser *parser, WastCommand *command) {
  parse_action_group(parser, &command->action);
  command->results = parse_results_wanted(parser, &command->n_results);
}

static void parse_assert_trap(Parser *parser, WastCommand *command) {
  if (parse_is_group(parser, "module"))
    parse_module_group(parser, command);
  else
    parse_action_group(parser, &command->action);
  parse_expected_text(parser, command);
}

static void parse_assert_action(Parser *parser, WastCommand *command) {
  parse_action_group(parser, &command->action);
  if (command->kind != WAST_ASSERT_EXCEPTION) parse_expected_text(parser, command);
}

static void parse_assert_module(Parser *parser, WastCommand *command) {
  parse_module_group(parser, command);
  parse_expected_text(parser, command);
}

static void parse_register(Parser *parser, WastCommand *command) {
  command->text = parse_utf8_string(parser);
  command->target = take_id(parser);
}

static void parse_thread(Parser *parser, WastCommand *command) {
  command->id = take_id(parser);
  if (parse_take_group(parser, "shared")) {
    parse_open(parser);
    if (!parse_take_word(parser, "module")) parse_unexpected(parser);
    command->shared = take_id(parser);
    parse_close(parser);
    parse_close(parser);
  }
  const char *first = parser->token.at;
  lexer_place(&parser->lexer, first, &command->body_line, &command->body_column);
  skip_to_close(parser, first);
  command->body = (Str){first, (size_t)(parser->token.at - first)};
}

static void parse_wait(Parser *parser, WastCommand *command) {
  command->id = take_id(parser);
}

static const struct {
  const char *word;
  WastKind kind;
  void (*parse)(Parser *, WastCommand *);
} command_words[] = {
    {"assert_return", WAST_ASSERT_RETURN, parse_assert_return},
    {"assert_trap", WAST_ASSERT_TRAP, parse_assert_trap},
    {"assert_exhaustion", WAST_ASSERT_EXHAUSTION, parse_assert_action},
    {"assert_exception", WAST_ASSERT_EXCEPTION, parse_assert_action},
    {"assert_suspension", WAST_ASSERT_SUSPENSION, parse_assert_action},
    {"assert_invalid", WAST_ASSERT_INVALID, parse_assert_module},
    {"assert_malformed", WAST_ASSERT_MALFORMED, parse_assert_module},
    {"assert_invalid_custom", WAST_ASSERT_INVALID_CUSTOM, parse_assert_module},
    {"assert_malformed_custom", WAST_ASSERT_MALFORMED_CUSTOM, parse_assert_module},
    {"assert_unlinkable", WAST_ASSERT_UNLINKABLE, parse_assert_module},
    {"register", WAST_REGISTER, parse_register},
    {"thread", WAST_THREAD, parse_thread},
    {"wait", WAST_WAIT, parse_wait},
};

/* Fields without a module around them are one module together. */
static void parse_inline_fields(Parser *parser, const char *open, WastCommand *command) {
  static const char *const words[] = {"type",   "rec", "import", "func", "table", "memory",
                                      "global", "tag", "export", "elem", "data",  "start"};
  const char *end = NULL;
  parser->lexer.at = open;
  parse_advance(parser);
  for (size_t i = 0; i < COUNT_OF(words);) {
    if (!parse_is_group(parser, words[i])) {
      i++;
      continue;
    }
    skip_to_close(parser, parser->token.at + 1);
    end = parser->token.at + 1;
    parse_advance(parser);
    i = 0;
  }
  if (!end) {
    parse_advance(parser);
    parse_unexpected(parser);
  }
  command->kind = WAST_MODULE;
  command->module = (WastModule){
      .source = {open, (size_t)(end - open)}, .line = command->line, .column = command->column};
  parser->lexer.at = end - 1;
  parser->has_next = false;
  parse_advance(parser);
}

/* Ends with the closing parenthesis of the command as the current token. */
static void parse_command(Parser *parser, WastCommand *command) {
  const char *open = parser->token.at;
  parse_open(parser);
  if (parse_is_word(parser, "module")) return parse_script_module(parser, open, command);
  if (parse_is_word(parser, "invoke") || parse_is_word(parser, "get")) {
    command->kind = WAST_ACTION;
    return parse_action(parser, &command->action);
  }
  for (size_t i = 0; i < COUNT_OF(command_words); i++)
    if (parse_take_word(parser, command_words[i].word)) {
      command->kind = command_words[i].kind;
      return command_words[i].parse(parser, command);
    }
  parse_inline_fields(parser, open, command);
}

/* --- the reader --- */

static void count_lines(WastReader *reader, const char *up_to) {
  for (; reader->counted < up_to; reader->counted++) {
    reader->column++;
    if (*reader->counted == '\n') {
      reader->line++;
      reader->column = 1;
    }
  }
}

static Parser *new_parser(WastReader *reader) {
  Parser *parser = ARENA_NEW(&reader->arena, Parser);
  Str rest = {reader->at, (size_t)(reader->end - reader->at)};
  parser_init(parser, &reader->arena, rest, 0);
  parser->lexer.is_deaf = true;
  parser->lexer.first_line = reader->line;
  parser->lexer.first_column = reader->column;
  return parser;
}

/* Behind the token or the group that starts here. */
static const char *end_of_group(WastReader *reader, const char *first) {
  Lexer lexer;
  Token token;
  lexer_init(&lexer, &reader->arena, (Str){first, (size_t)(reader->end - first)});
  lexer.is_deaf = true;
  lexer_next(&lexer, &token);
  if (token.kind == TOKEN_OPEN) lexer_skip_group(&lexer, "unclosed command");
  return lexer.at;
}

/* Moves behind a command that could not be read; to the end when it is not closed. */
static void skip_bad(WastReader *reader) {
  Guard guard;
  Error error;
  const char *first = reader->at;
  reader->at = reader->end;
  if (!GUARD_TRY(&guard, &reader->arena, &error)) return;
  const char *end = end_of_group(reader, first);
  guard_leave(&guard);
  reader->at = end;
}

/* False at the end of the script. */
static bool read_command(WastReader *reader, WastCommand *command) {
  count_lines(reader, reader->at);
  Parser *parser = new_parser(reader);
  parse_advance(parser);
  if (parser->token.kind == TOKEN_END) return false;
  reader->at = parser->token.at;
  count_lines(reader, reader->at);
  command->line = reader->line;
  command->column = reader->column;
  parse_command(parser, command);
  if (parser->token.kind != TOKEN_CLOSE) parse_unexpected(parser);
  reader->at = parser->token.at + 1;
  return true;
}

bool wast_next(WastReader *reader, WastCommand *command) {
  Guard guard;
  memset(command, 0, sizeof *command);
  arena_clear(&reader->arena);
  if (!GUARD_TRY(&guard, &reader->arena, &command->error)) {
    command->kind = WAST_BAD;
    if (command->line == 0) {
      command->line = command->error.line;
      command->column = command->error.column;
    }
    skip_bad(reader);
    return true;
  }
  bool has_one = read_command(reader, command);
  guard_leave(&guard);
  return has_one;
}

bool wast_module_bytes(Arena *arena, const WastModule *module, FeatureSet features,
                       const uint8_t **bytes, size_t *size, Error *error) {
  if (module->kind != WAST_BINARY)
    return text_parse_at(arena, module->source, module->line, module->column, features, bytes, size,
                         error);
  *bytes = (const uint8_t *)module->source.at;
  *size = module->source.size;
  return true;
}
