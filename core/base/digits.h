/* digits.h - what the readers of integers and floats share: single digits and runs of them.
 *
 * In a run digits may be separated by single underscores (text format, "Integers").
 */
#ifndef RILLE_DIGITS_H
#define RILLE_DIGITS_H

#include "base.h"

typedef struct Cursor {
  const char *at, *end;
} Cursor;

static inline Cursor cursor_of(Str token) {
  return (Cursor){token.at, token.size != 0 ? token.at + token.size : token.at};
}

/* The value of a digit of base 16 or less; 255 when the character is none. */
static inline unsigned digit_value(char c) {
  if (c >= '0' && c <= '9') return (unsigned)(c - '0');
  if (c >= 'a' && c <= 'f') return (unsigned)(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return (unsigned)(c - 'A') + 10;
  return 255;
}

static inline bool at_digit(const Cursor *cursor, unsigned base) {
  return cursor->at < cursor->end && digit_value(*cursor->at) < base;
}

static inline bool skip_char(Cursor *cursor, char c) {
  if (cursor->at == cursor->end || *cursor->at != c) return false;
  cursor->at++;
  return true;
}

static inline bool skip_text(Cursor *cursor, const char *text) {
  size_t size = strlen(text);
  if ((size_t)(cursor->end - cursor->at) < size || memcmp(cursor->at, text, size) != 0) {
    return false;
  }
  cursor->at += size;
  return true;
}

/* Moves behind a sign; true when it was a minus. */
static inline bool skip_sign(Cursor *cursor) {
  if (skip_char(cursor, '-')) return true;
  (void)skip_char(cursor, '+');
  return false;
}

/* Moves behind a run of digits and gives it; an empty one when there is none. An underscore that no
 * digit follows is left where it is. */
static inline Str skip_digits(Cursor *cursor, unsigned base) {
  const char *start = cursor->at;
  while (at_digit(cursor, base)) {
    cursor->at++;
    Cursor next = *cursor;
    if (skip_char(&next, '_') && at_digit(&next, base)) *cursor = next;
  }
  return (Str){start, (size_t)(cursor->at - start)};
}

/* The value of a run; false when it does not fit 64 bits. */
static inline bool run_value(Str run, unsigned base, uint64_t *value) {
  uint64_t sum = 0;
  for (size_t i = 0; i < run.size; i++) {
    if (run.at[i] == '_') continue;
    unsigned digit = digit_value(run.at[i]);
    if (sum > (UINT64_MAX - digit) / base) return false;
    sum = sum * base + digit;
  }
  *value = sum;
  return true;
}

#endif
