/* number.h - numbers as WebAssembly text writes them, exact in both directions; and UTF-8.
 *
 * Parsers take the whole token, underscores and sign included, and give the bits. They never use
 * the C library's locale-dependent conversions.
 */
#ifndef RILLE_NUMBER_H
#define RILLE_NUMBER_H

#include "base.h"

typedef enum NumberStatus {
  NUMBER_OK,
  NUMBER_MALFORMED,    /* not a number token at all */
  NUMBER_OUT_OF_RANGE, /* a number that does not fit */
} NumberStatus;

/* Decimal or 0x; `bits` 8, 16, 32 or 64; accepts signed and unsigned readings unless told
 * otherwise. The result is the two's complement in the low bits. */
NumberStatus parse_int(Str token, unsigned bits, uint64_t *out);
NumberStatus parse_unsigned(Str token, unsigned bits, uint64_t *out); /* no sign allowed */

/* Decimal and hexadecimal floats, inf, nan, nan:0x...; rounds to nearest even. */
NumberStatus parse_f32(Str token, uint32_t *bits);
NumberStatus parse_f64(Str token, uint64_t *bits);

/* The shortest decimal text that reads back to the same bits; NaNs as nan or nan:0x..., with sign.
 * `out` has room for NUMBER_TEXT bytes; returns the length, terminated. */
enum { NUMBER_TEXT = 48 };
size_t print_f32(uint32_t bits, char *out);
size_t print_f64(uint64_t bits, char *out);

bool utf8_check(const void *bytes, size_t size);
/* Appends the encoding of a code point to out (up to 4 bytes); 0 when it is no scalar value. */
unsigned utf8_encode(uint32_t code_point, uint8_t *out);

#endif
