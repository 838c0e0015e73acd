/* lexer.h - cuts WebAssembly text into tokens. Spec: 3.0, "Text Format", "Lexical Format".
 *
 * Tokens borrow the source. White space, comments and annotations without a meaning are skipped
 * after their lexical check. Errors are raised through the guard, with line and column. Nothing
 * here recurses, and every byte is looked at a bounded number of times.
 */
#ifndef RILLE_LEXER_H
#define RILLE_LEXER_H

#include "../base/arena.h"

typedef enum TokenKind {
  TOKEN_END,
  TOKEN_OPEN,       /* ( */
  TOKEN_CLOSE,      /* ) */
  TOKEN_WORD,       /* keywords, numbers, and whatever else no grammar rule wants */
  TOKEN_ID,         /* $name or $"name"; the text is the name alone */
  TOKEN_STRING,     /* the text is what stands between the quotes, escapes untouched */
  TOKEN_ANNOTATION, /* "(@name" of an annotation with a meaning; the text is the name */
} TokenKind;

typedef struct Token {
  TokenKind kind;
  Str text;
  const char *at; /* its first byte in the source */
} Token;

typedef struct Lexer {
  Arena *arena;
  const char *start, *at, *end;
  uint32_t first_line, first_column; /* of `start` */
  bool is_deaf;                      /* skips the annotations with a meaning too */
} Lexer;

void lexer_init(Lexer *lexer, Arena *arena, Str source);
void lexer_next(Lexer *lexer, Token *token);

/* Behind an opening parenthesis: moves behind the closing one that matches it. Tokens are checked
 * only as far as needed to find it. `what` is the error when there is none. */
void lexer_skip_group(Lexer *lexer, const char *what);

/* The bytes that a string token stands for; they may be no UTF-8. Borrowed when nothing is escaped.
 */
Str lexer_decode_string(Arena *arena, Str text);
/* The same appended to a buffer. */
void lexer_append_string(Buf *out, Str text);

void lexer_place(const Lexer *lexer, const char *at, uint32_t *line, uint32_t *column);
_Noreturn void lexer_fail(const Lexer *lexer, ErrorKind kind, const char *at, const char *format,
                          ...) PRINTF_LIKE(4, 5);

#endif
