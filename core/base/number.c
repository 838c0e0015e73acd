/* number.c - integers of the text format, and UTF-8. Floats are in number_float.c.
 *
 * Specification: text format, "Integers" and "Characters"; binary format, "Names".
 */
#include "number.h"

#include "digits.h"

/* Reads what follows the sign: the magnitude of an integer that takes the rest of the token. */
static NumberStatus parse_magnitude(Cursor *cursor, uint64_t *magnitude) {
  unsigned base = skip_text(cursor, "0x") ? 16 : 10;
  Str run = skip_digits(cursor, base);
  if (run.size == 0 || cursor->at != cursor->end) return NUMBER_MALFORMED;
  return run_value(run, base, magnitude) ? NUMBER_OK : NUMBER_OUT_OF_RANGE;
}

static uint64_t max_of(unsigned bits) {
  return UINT64_MAX >> (64 - bits);
}

NumberStatus parse_int(Str token, unsigned bits, uint64_t *out) {
  Cursor cursor = cursor_of(token);
  bool negative = skip_sign(&cursor);
  uint64_t magnitude = 0;
  NumberStatus status = parse_magnitude(&cursor, &magnitude);
  if (status != NUMBER_OK) return status;
  uint64_t limit = negative ? UINT64_C(1) << (bits - 1) : max_of(bits);
  if (magnitude > limit) return NUMBER_OUT_OF_RANGE;
  *out = (negative ? 0 - magnitude : magnitude) & max_of(bits);
  return NUMBER_OK;
}

NumberStatus parse_unsigned(Str token, unsigned bits, uint64_t *out) {
  Cursor cursor = cursor_of(token);
  uint64_t magnitude = 0;
  NumberStatus status = parse_magnitude(&cursor, &magnitude);
  if (status != NUMBER_OK) return status;
  if (magnitude > max_of(bits)) return NUMBER_OUT_OF_RANGE;
  *out = magnitude;
  return NUMBER_OK;
}

/* The length of the well-formed sequence at `at`, which does not start with an ASCII character; 0
 * when there is none. The range of the second byte excludes overlong forms, surrogates and what
 * lies behind U+10FFFF. */
static size_t sequence_length(const uint8_t *at, const uint8_t *end) {
  uint8_t lead = at[0];
  size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || (size_t)(end - at) < length) return 0;
  uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (at[1] < low || at[1] > high) return 0;
  for (size_t i = 2; i < length; i++) {
    if ((at[i] & 0xC0) != 0x80) return 0;
  }
  return length;
}

bool utf8_check(const void *bytes, size_t size) {
  if (size == 0) return true;
  const uint8_t *at = bytes, *end = at + size;
  while (at < end) {
    if (end - at >= 8 && (load_u64(at) & UINT64_C(0x8080808080808080)) == 0) {
      at += 8;
    } else if (*at < 0x80) {
      at++;
    } else {
      size_t length = sequence_length(at, end);
      if (length == 0) return false;
      at += length;
    }
  }
  return true;
}

unsigned utf8_encode(uint32_t code_point, uint8_t *out) {
  static const uint8_t leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point < 0xE000)) return 0;
  if (code_point < 0x80) {
    out[0] = (uint8_t)code_point;
    return 1;
  }
  unsigned length = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
  for (unsigned i = length - 1; i > 0; i--) {
    out[i] = (uint8_t)(0x80 | (code_point & 0x3F));
    code_point >>= 6;
  }
  out[0] = (uint8_t)(leads[length] | code_point);
  return length;
}
