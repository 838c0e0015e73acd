/* lexer.c - cuts WebAssembly text into tokens; see lexer.h.
 *
 * A token is the longest run of identifier characters and strings. What the run is follows from its
 * parts: one string alone, a `$` and a name, or a word. So `0drop` and `"a""b"` are words that no
 * rule knows, as the specification wants it.
 */
#include "lexer.h"

#include "../base/number.h"

enum { CLASS_ID = 1, CLASS_SPACE = 2, CLASS_PUNCTUATION = 4 };

static const uint8_t class_of[256] = {
    [' '] = CLASS_SPACE,       ['\t'] = CLASS_SPACE,      ['\n'] = CLASS_SPACE,
    ['\r'] = CLASS_SPACE,      ['0' ... '9'] = CLASS_ID,  ['A' ... 'Z'] = CLASS_ID,
    ['a' ... 'z'] = CLASS_ID,  ['!'] = CLASS_ID,          ['#'] = CLASS_ID,
    ['$'] = CLASS_ID,          ['%'] = CLASS_ID,          ['&'] = CLASS_ID,
    ['\''] = CLASS_ID,         ['*'] = CLASS_ID,          ['+'] = CLASS_ID,
    ['-'] = CLASS_ID,          ['.'] = CLASS_ID,          ['/'] = CLASS_ID,
    [':'] = CLASS_ID,          ['<'] = CLASS_ID,          ['='] = CLASS_ID,
    ['>'] = CLASS_ID,          ['?'] = CLASS_ID,          ['@'] = CLASS_ID,
    ['\\'] = CLASS_ID,         ['^'] = CLASS_ID,          ['_'] = CLASS_ID,
    ['`'] = CLASS_ID,          ['|'] = CLASS_ID,          ['~'] = CLASS_ID,
    [','] = CLASS_PUNCTUATION, [';'] = CLASS_PUNCTUATION, ['['] = CLASS_PUNCTUATION,
    [']'] = CLASS_PUNCTUATION, ['{'] = CLASS_PUNCTUATION, ['}'] = CLASS_PUNCTUATION,
};

static bool is_class(char c, unsigned class) {
  return (class_of[(uint8_t)c] & class) != 0;
}

static char byte_at(const Lexer *lexer, const char *at) {
  return at < lexer->end ? *at : '\0';
}

void lexer_init(Lexer *lexer, Arena *arena, Str source) {
  *lexer = (Lexer){.arena = arena,
                   .start = source.at,
                   .at = source.at,
                   .end = source.at + source.size,
                   .first_line = 1,
                   .first_column = 1};
}

void lexer_place(const Lexer *lexer, const char *at, uint32_t *line, uint32_t *column) {
  *line = lexer->first_line;
  *column = lexer->first_column;
  for (const char *c = lexer->start; c < at; c++) {
    (*column)++;
    if (*c == '\n') {
      (*line)++;
      *column = 1;
    }
  }
}

void lexer_fail(const Lexer *lexer, ErrorKind kind, const char *at, const char *format, ...) {
  Guard *guard = lexer->arena->guard;
  va_list args;
  va_start(args, format);
  error_set_v(guard->error, kind, format, args);
  va_end(args);
  lexer_place(lexer, at, &guard->error->line, &guard->error->column);
  guard_raise(guard);
}

static _Noreturn void fail(const Lexer *lexer, const char *at, const char *message) {
  lexer_fail(lexer, ERROR_MALFORMED, at, "%s", message);
}

static void check_utf8(const Lexer *lexer, const char *at, const char *end) {
  if (!utf8_check(at, (size_t)(end - at))) fail(lexer, at, "malformed UTF-8 encoding");
}

/* A byte that begins no token: says whether it is a character at all. */
static _Noreturn void fail_character(const Lexer *lexer, const char *at) {
  size_t left = (size_t)(lexer->end - at);
  bool is_utf8 = (uint8_t)*at < 0x80;
  for (size_t n = 2; n <= MIN(left, 4); n++) is_utf8 = is_utf8 || utf8_check(at, n);
  fail(lexer, at, is_utf8 ? "illegal character" : "malformed UTF-8 encoding");
}

static unsigned hex_value(char c) {
  if (c >= '0' && c <= '9') return (unsigned)(c - '0');
  if ((c | 32) >= 'a' && (c | 32) <= 'f') return (unsigned)((c | 32) - 'a' + 10);
  return 16;
}

/* Reads \u{...} with `at` behind the brace; NULL when it is no scalar value. */
static const char *read_unicode(const char *at, const char *end, uint32_t *code_point) {
  uint32_t x = 0;
  const char *first = at;
  for (; at < end && *at != '}'; at++) {
    if (*at == '_' && at > first && at[-1] != '_' && at + 1 < end && at[1] != '}') continue;
    if (hex_value(*at) > 15 || x > 0x10FFFF) return NULL;
    x = x << 4 | hex_value(*at);
  }
  if (at >= end || at == first || x > 0x10FFFF || (x >= 0xD800 && x < 0xE000)) return NULL;
  *code_point = x;
  return at + 1;
}

/* Reads what follows a backslash; NULL when it is no escape. Bytes go to out, at most 4. */
static const char *read_escape(const char *at, const char *end, uint8_t *out, unsigned *n) {
  static const char letters[] = "tnr\"'\\", values[] = "\t\n\r\"'\\";
  *n = 1;
  if (at >= end) return NULL;
  const char *letter = *at ? strchr(letters, *at) : NULL;
  if (letter) {
    *out = (uint8_t)values[letter - letters];
    return at + 1;
  }
  if (*at == 'u' && at + 1 < end && at[1] == '{') {
    uint32_t code_point = 0;
    at = read_unicode(at + 2, end, &code_point);
    if (at) *n = utf8_encode(code_point, out);
    return at;
  }
  if (end - at < 2 || hex_value(at[0]) > 15 || hex_value(at[1]) > 15) return NULL;
  *out = (uint8_t)(hex_value(at[0]) << 4 | hex_value(at[1]));
  return at + 2;
}

/* From an opening quote to behind the closing one. `broken` replaces the error of a string that is
 * not closed or has control characters: behind `$` and `(@` it means that there is no name. */
static const char *scan_string(const Lexer *lexer, const char *at, const char *broken) {
  const char *first = at++;
  bool is_ascii = true;
  for (;;) {
    if (at >= lexer->end || *at == '\n' || *at == '\r')
      fail(lexer, first, broken ? broken : "unclosed string");
    if (*at == '"') break;
    if (*at == '\\') {
      uint8_t bytes[4];
      unsigned n;
      const char *next = read_escape(at + 1, lexer->end, bytes, &n);
      if (!next) fail(lexer, at, "illegal escape");
      at = next;
      continue;
    }
    if ((uint8_t)*at < 0x20 || *at == 0x7F)
      fail(lexer, at, broken ? broken : "illegal character in string");
    is_ascii = is_ascii && (uint8_t)*at < 0x80;
    at++;
  }
  if (!is_ascii) check_utf8(lexer, first, at);
  return at + 1;
}

void lexer_append_string(Buf *out, Str text) {
  const char *at = text.at, *end = text.at + text.size;
  while (at < end) {
    const char *escape = memchr(at, '\\', (size_t)(end - at));
    const char *stop = escape ? escape : end;
    buf_bytes(out, at, (size_t)(stop - at));
    if (!escape) return;
    uint8_t bytes[4];
    unsigned n;
    at = read_escape(escape + 1, end, bytes, &n);
    buf_bytes(out, bytes, n);
  }
}

Str lexer_decode_string(Arena *arena, Str text) {
  if (text.size == 0 || !memchr(text.at, '\\', text.size)) return text;
  Buf out;
  buf_init(&out, arena);
  lexer_append_string(&out, text);
  return (Str){(const char *)out.at, out.size};
}

static const char *scan_line_comment(const Lexer *lexer, const char *at) {
  const char *first = at;
  while (at < lexer->end && *at != '\n' && *at != '\r') at++;
  check_utf8(lexer, first, at);
  return at;
}

static const char *scan_block_comment(const Lexer *lexer, const char *at) {
  const char *first = at;
  size_t depth = 0;
  do {
    if (lexer->end - at < 2) fail(lexer, first, "unclosed comment");
    if (at[0] == '(' && at[1] == ';') {
      depth++;
      at += 2;
    } else if (at[0] == ';' && at[1] == ')') {
      depth--;
      at += 2;
    } else {
      at++;
    }
  } while (depth > 0);
  check_utf8(lexer, first, at);
  return at;
}

/* Moves to the next byte that is neither space nor part of a comment. */
static void skip_space(Lexer *lexer) {
  const char *at = lexer->at, *end = lexer->end;
  for (;;) {
    while (at < end && is_class(*at, CLASS_SPACE)) at++;
    if (end - at < 2) break;
    if (at[0] == ';' && at[1] == ';')
      at = scan_line_comment(lexer, at);
    else if (at[0] == '(' && at[1] == ';')
      at = scan_block_comment(lexer, at);
    else
      break;
  }
  lexer->at = at;
}

static const char *scan_run(const Lexer *lexer, const char *at) {
  while (at < lexer->end) {
    if (is_class(*at, CLASS_ID))
      at++;
    else if (*at == '"')
      at = scan_string(lexer, at, NULL);
    else
      break;
  }
  return at;
}

void lexer_skip_group(Lexer *lexer, const char *what) {
  const char *first = lexer->at;
  for (size_t depth = 1; depth > 0;) {
    skip_space(lexer);
    const char *at = lexer->at;
    if (at >= lexer->end) fail(lexer, first, what);
    if (*at == '(' || *at == ')') {
      depth = *at == '(' ? depth + 1 : depth - 1;
      lexer->at++;
    } else if (is_class(*at, CLASS_PUNCTUATION)) {
      lexer->at++;
    } else {
      lexer->at = scan_run(lexer, at);
      if (lexer->at == at) fail_character(lexer, at);
    }
  }
}

static Str decode_name(const Lexer *lexer, const char *at, const char *end, const char *empty) {
  Str name = lexer_decode_string(lexer->arena, (Str){at + 1, (size_t)(end - at) - 2});
  if (name.size == 0) fail(lexer, at, empty);
  if (!utf8_check(name.at, name.size)) fail(lexer, at, "malformed UTF-8 encoding");
  return name;
}

static bool has_meaning(Str name) {
  static const char *const names[] = {"custom", "name", "metadata.code.branch_hint"};
  for (size_t i = 0; i < COUNT_OF(names); i++)
    if (str_equal(name, str_of(names[i]))) return true;
  return false;
}

/* At "(@": true and a token when the annotation means something, else it has been skipped. */
static bool read_annotation(Lexer *lexer, Token *token) {
  static const char empty[] = "empty annotation id";
  const char *first = lexer->at, *at = first + 2;
  Str name;
  if (byte_at(lexer, at) == '"') {
    lexer->at = scan_string(lexer, at, empty);
    name = decode_name(lexer, at, lexer->at, empty);
  } else {
    while (at < lexer->end && is_class(*at, CLASS_ID)) at++;
    name = (Str){first + 2, (size_t)(at - first) - 2};
    if (name.size == 0) fail(lexer, first, empty);
    lexer->at = at;
  }
  if (!lexer->is_deaf && has_meaning(name)) {
    *token = (Token){TOKEN_ANNOTATION, name, first};
    return true;
  }
  lexer_skip_group(lexer, "unclosed annotation");
  return false;
}

/* A run that starts with `$`. */
static bool read_id(Lexer *lexer, Token *token) {
  static const char empty[] = "empty identifier";
  const char *first = lexer->at, *at = first + 1;
  while (at < lexer->end && is_class(*at, CLASS_ID)) at++;
  if (byte_at(lexer, at) != '"') {
    if (at == first + 1) fail(lexer, first, empty);
    lexer->at = at;
    *token = (Token){TOKEN_ID, {first + 1, (size_t)(at - first) - 1}, first};
    return true;
  }
  if (at > first + 1) return false;
  const char *end = scan_string(lexer, at, empty);
  char next = byte_at(lexer, end);
  if (next == '"' || is_class(next, CLASS_ID)) return false;
  lexer->at = end;
  *token = (Token){TOKEN_ID, decode_name(lexer, at, end, empty), first};
  return true;
}

static void read_run(Lexer *lexer, Token *token) {
  const char *first = lexer->at;
  if (*first == '$' && read_id(lexer, token)) return;
  const char *end = *first == '"' ? scan_string(lexer, first, NULL) : first;
  if (end > first && byte_at(lexer, end) != '"' && !is_class(byte_at(lexer, end), CLASS_ID)) {
    lexer->at = end;
    *token = (Token){TOKEN_STRING, {first + 1, (size_t)(end - first) - 2}, first};
    return;
  }
  end = scan_run(lexer, end);
  if (end == first && is_class(*first, CLASS_PUNCTUATION)) end++;
  if (end == first) fail_character(lexer, first);
  lexer->at = end;
  *token = (Token){TOKEN_WORD, {first, (size_t)(end - first)}, first};
}

void lexer_next(Lexer *lexer, Token *token) {
  for (;;) {
    skip_space(lexer);
    const char *at = lexer->at;
    if (at >= lexer->end) {
      *token = (Token){TOKEN_END, {at, 0}, at};
      return;
    }
    if (*at == ')' || (*at == '(' && byte_at(lexer, at + 1) != '@')) {
      *token = (Token){*at == '(' ? TOKEN_OPEN : TOKEN_CLOSE, {at, 1}, at};
      lexer->at++;
      return;
    }
    if (*at != '(') {
      read_run(lexer, token);
      return;
    }
    if (read_annotation(lexer, token)) return;
  }
}
