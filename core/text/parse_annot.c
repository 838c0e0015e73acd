/* parse_annot.c - the annotations that mean something: (@custom ..), (@name ..) and
 * (@metadata.code.branch_hint ..). Spec: 3.0, appendix "Custom Sections".
 *
 * An annotation belongs to the token behind it. It is read when that token becomes the current one
 * and waits in `pending` for a rule that asks for it; moving on without is an error.
 */
#include "parse.h"

#include "../base/number.h"

static const char custom_name[] = "custom";
static const char hint_name[] = "metadata.code.branch_hint";

static _Noreturn void fail(Parser *parser, const char *name, const Token *token, const char *text) {
  parse_fail_at(parser, token->at, "@%s annotation: %s", name, text);
}

static Token next_token(Parser *parser) {
  Token token;
  lexer_next(&parser->lexer, &token);
  return token;
}

static bool token_is(const Token *token, const char *word) {
  return token->kind == TOKEN_WORD && str_equal(token->text, str_of(word));
}

static uint8_t section_order(Parser *parser, const Token *token) {
  static const struct {
    const char *word;
    uint8_t order;
  } words[] = {
      {"first", ORDER_FIRST},   {"type", ORDER_TYPE},     {"import", ORDER_IMPORT},
      {"func", ORDER_FUNCTION}, {"table", ORDER_TABLE},   {"memory", ORDER_MEMORY},
      {"tag", ORDER_TAG},       {"global", ORDER_GLOBAL}, {"export", ORDER_EXPORT},
      {"start", ORDER_START},   {"elem", ORDER_ELEMENT},  {"datacount", ORDER_DATA_COUNT},
      {"code", ORDER_CODE},     {"data", ORDER_DATA},     {"last", ORDER_LAST},
  };
  for (size_t i = 0; i < COUNT_OF(words); i++)
    if (token_is(token, words[i].word)) return words[i].order;
  fail(parser, custom_name, token, "malformed section kind");
}

/* Behind the parenthesis of "(before section)" or "(after section)". */
static void read_place(Parser *parser, Custom *custom) {
  Token token = next_token(parser);
  if (!token_is(&token, "before") && !token_is(&token, "after"))
    fail(parser, custom_name, &token, "malformed placement");
  custom->place = token_is(&token, "before") ? PLACE_BEFORE : PLACE_AFTER;
  token = next_token(parser);
  custom->order = section_order(parser, &token);
  token = next_token(parser);
  if (token.kind != TOKEN_CLOSE) fail(parser, custom_name, &token, "unexpected token");
}

static void read_custom(Parser *parser) {
  Custom custom = {.order = ORDER_LAST, .place = PLACE_AFTER};
  Token token = next_token(parser);
  if (token.kind != TOKEN_STRING) fail(parser, custom_name, &token, "missing section name");
  Str name = lexer_decode_string(parser->arena, token.text);
  if (!utf8_check(name.at, name.size))
    fail(parser, custom_name, &token, "malformed UTF-8 encoding");
  buf_init(&custom.bytes, parser->arena);
  buf_name(&custom.bytes, name);
  token = next_token(parser);
  if (token.kind == TOKEN_OPEN) {
    read_place(parser, &custom);
    token = next_token(parser);
  }
  for (; token.kind == TOKEN_STRING; token = next_token(parser))
    lexer_append_string(&custom.bytes, token.text);
  if (token.kind != TOKEN_CLOSE) fail(parser, custom_name, &token, "unexpected token");
  VEC_PUSH(parser->arena, &parser->pending.customs, custom);
}

/* The strings up to the closing parenthesis, as one. */
static Str read_strings(Parser *parser, const char *name) {
  Buf out;
  buf_init(&out, parser->arena);
  buf_reserve(&out, 1); /* an empty string has an address too */
  Token token = next_token(parser);
  if (token.kind != TOKEN_STRING) fail(parser, name, &token, "unexpected token");
  for (; token.kind == TOKEN_STRING; token = next_token(parser))
    lexer_append_string(&out, token.text);
  if (token.kind != TOKEN_CLOSE) fail(parser, name, &token, "unexpected token");
  return (Str){(const char *)out.at, out.size};
}

static void read_name(Parser *parser, const Token *token) {
  Str name = read_strings(parser, "name");
  if (!utf8_check(name.at, name.size)) fail(parser, "name", token, "malformed UTF-8 encoding");
  parser->pending.n_names++;
  parser->pending.name = name;
}

static void read_hint(Parser *parser, const Token *token) {
  Str hint = read_strings(parser, hint_name);
  if (parser->pending.n_hints > 0) fail(parser, hint_name, token, "duplicate annotation");
  if (hint.size != 1 || (uint8_t)hint.at[0] > 1) fail(parser, hint_name, token, "malformed hint");
  parser->pending.n_hints++;
  parser->pending.hint = (uint8_t)hint.at[0];
}

void parse_annotation(Parser *parser, const Token *token) {
  if (str_equal(token->text, STR_LITERAL("custom")))
    read_custom(parser);
  else if (str_equal(token->text, STR_LITERAL("name")))
    read_name(parser, token);
  else
    read_hint(parser, token);
  if (!parser->pending.at) parser->pending.at = token->at;
}

bool parse_has_pending(const Parser *parser) {
  return parser->pending.at != NULL;
}

static _Noreturn void fail_outside(Parser *parser) {
  parse_fail_at(parser, parser->pending.at, "@%s annotation: not in a function", hint_name);
}

void parse_fail_misplaced(Parser *parser) {
  const Pending *pending = &parser->pending;
  const char *name = pending->customs.n > 0 ? custom_name : "name";
  if (pending->n_hints > 0) {
    if (parser->func == NO_INDEX) fail_outside(parser);
    name = hint_name;
  }
  parse_fail_at(parser, pending->at, "misplaced @%s annotation", name);
}

static void forget_place_when_empty(Pending *pending) {
  if (pending->customs.n == 0 && pending->n_names == 0 && pending->n_hints == 0) pending->at = NULL;
}

Str parse_take_name(Parser *parser, const char *what) {
  Pending *pending = &parser->pending;
  if (pending->n_names == 0) return (Str){0};
  if (pending->n_names > 1)
    parse_fail_at(parser, pending->at, "@name annotation: multiple %s", what);
  pending->n_names = 0;
  forget_place_when_empty(pending);
  return pending->name;
}

void parse_take_customs(Parser *parser) {
  Pending *pending = &parser->pending;
  for (uint32_t i = 0; i < pending->customs.n; i++)
    VEC_PUSH(parser->arena, &parser->customs, pending->customs.items[i]);
  pending->customs.n = 0;
  forget_place_when_empty(pending);
}

bool parse_take_hint(Parser *parser, uint8_t *hint) {
  Pending *pending = &parser->pending;
  if (pending->n_hints == 0) return false;
  if (parser->func == NO_INDEX) fail_outside(parser);
  pending->n_hints = 0;
  forget_place_when_empty(pending);
  *hint = pending->hint;
  return true;
}
