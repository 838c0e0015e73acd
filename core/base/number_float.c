/* number_float.c - floats between text and bits, exactly, in integer arithmetic alone.
 *
 * No floating-point operation is used: neither the host's rounding mode nor its locale matters.
 *
 * Reading brings a token to a Binary: 64 bits of mantissa, an exponent and whether anything
 * follows. One rounding step turns that into f32 or f64; so f32 is never rounded twice. Decimal
 * tokens of up to 19 digits and small exponents go through one 128-bit product or quotient, all
 * others through big integers. Printing generates the shortest digits of the interval that rounds
 * to the value, after Steele and White, "How to print floating-point numbers accurately" (1990).
 *
 * Specification: text format, "Floating-Point".
 */
#include <stdio.h>

#include "digits.h"
#include "number.h"

/* One binary interchange format. */
typedef struct Format {
  unsigned precision; /* bits of the mantissa, the hidden one included */
  int min_exponent;   /* of the smallest normal number, as 1.x * 2^min_exponent */
  uint64_t infinity;  /* the bits of positive infinity: all ones in the exponent */
  uint64_t sign;      /* the sign bit */
} Format;

static const Format F32_FORMAT = {24, -126, UINT64_C(0x7F800000), UINT64_C(0x80000000)};
static const Format F64_FORMAT = {53, -1022, UINT64_C(0x7FF0000000000000),
                                  UINT64_C(0x8000000000000000)};

/* mantissa * 2^exponent, plus something less than 2^exponent when `sticky`. A mantissa of 0 means
 * zero; else its bit 63 is set. */
typedef struct Binary {
  uint64_t mantissa;
  int64_t exponent;
  bool sticky;
} Binary;

/* Written exponents are cut here: a token's digits cannot be so many that they make up for it. */
#define EXPONENT_MAX (INT64_C(1) << 56)

/* 767 digits tell every f64 from every middle between two: what follows 800 only says "more". */
enum { DIGITS_MAX = 800 };

/* Decimal points outside of these are beyond every f64, or below half of the smallest one. */
enum { POINT_MAX = 310, POINT_MIN = -325 };

static unsigned leading_zeros(uint64_t x) {
#if defined(__GNUC__)
  return (unsigned)__builtin_clzll(x);
#else
  unsigned n = 0;
  while ((x & UINT64_C(1) << 63) == 0) x <<= 1, n++;
  return n;
#endif
}

/* Big integers: little-endian limbs, without leading zeros. 800 digits or 5^1125 take less than
 * 2,700 bits, and at most 64 + 1 are added to align two of them; printing needs less. */
enum { LIMBS_MAX = 96 };

typedef struct Big {
  unsigned n;
  uint32_t limbs[LIMBS_MAX];
} Big;

static void big_set(Big *big, uint64_t x) {
  big->limbs[0] = (uint32_t)x;
  big->limbs[1] = (uint32_t)(x >> 32);
  big->n = x == 0 ? 0 : x >> 32 == 0 ? 1 : 2;
}

static void big_multiply_add(Big *big, uint32_t factor, uint32_t summand) {
  uint64_t carry = summand;
  for (unsigned i = 0; i < big->n; i++) {
    carry += (uint64_t)big->limbs[i] * factor;
    big->limbs[i] = (uint32_t)carry;
    carry >>= 32;
  }
  if (carry != 0) big->limbs[big->n++] = (uint32_t)carry;
}

static void big_multiply_pow5(Big *big, unsigned power) {
  for (; power >= 13; power -= 13) big_multiply_add(big, 1220703125, 0);
  uint32_t factor = 1;
  while (power-- > 0) factor *= 5;
  big_multiply_add(big, factor, 0);
}

static void big_shift_left(Big *big, unsigned bits) {
  unsigned limbs = bits / 32;
  if (big->n == 0 || bits == 0) return;
  big_multiply_add(big, UINT32_C(1) << bits % 32, 0);
  memmove(big->limbs + limbs, big->limbs, big->n * sizeof big->limbs[0]);
  memset(big->limbs, 0, limbs * sizeof big->limbs[0]);
  big->n += limbs;
}

static void big_multiply_pow10(Big *big, unsigned power) {
  big_multiply_pow5(big, power);
  big_shift_left(big, power);
}

static int big_compare(const Big *a, const Big *b) {
  if (a->n != b->n) return a->n < b->n ? -1 : 1;
  for (unsigned i = a->n; i-- > 0;) {
    if (a->limbs[i] != b->limbs[i]) return a->limbs[i] < b->limbs[i] ? -1 : 1;
  }
  return 0;
}

/* a -= b, where a >= b. */
static void big_subtract(Big *a, const Big *b) {
  int64_t carry = 0;
  for (unsigned i = 0; i < a->n; i++) {
    carry += (int64_t)a->limbs[i] - (i < b->n ? b->limbs[i] : 0);
    a->limbs[i] = (uint32_t)carry;
    carry >>= 32;
  }
  while (a->n > 0 && a->limbs[a->n - 1] == 0) a->n--;
}

/* Compares a + b with c. */
static int big_compare_sum(const Big *a, const Big *b, const Big *c) {
  Big sum;
  sum.n = MAX(a->n, b->n);
  uint64_t carry = 0;
  for (unsigned i = 0; i < sum.n; i++) {
    carry += i < a->n ? a->limbs[i] : 0;
    carry += i < b->n ? b->limbs[i] : 0;
    sum.limbs[i] = (uint32_t)carry;
    carry >>= 32;
  }
  if (carry != 0) sum.limbs[sum.n++] = (uint32_t)carry;
  return big_compare(&sum, c);
}

static unsigned big_bits(const Big *big) {
  return big->n == 0 ? 0 : big->n * 32 - (leading_zeros(big->limbs[big->n - 1]) - 32);
}

/* Its 64 highest bits; the value is big * 2^exponent. */
static Binary big_top(const Big *big, int64_t exponent) {
  Binary top = {0, exponent + (int64_t)big_bits(big) - 64, false};
  unsigned zeros = leading_zeros(big->limbs[big->n - 1]) - 32;
  for (unsigned i = 0; i < 3; i++) {
    uint64_t limb = i < big->n ? big->limbs[big->n - 1 - i] : 0;
    /* Places of the limb's lowest bit in the result: 32, 0 and -32, moved up by the zeros. */
    int shift = 32 - 32 * (int)i + (int)zeros;
    top.mantissa |= shift >= 0 ? limb << shift : limb >> -shift;
    if (shift < 0 && (limb & ((UINT64_C(1) << -shift) - 1)) != 0) top.sticky = true;
  }
  for (unsigned i = 0; i + 3 < big->n && !top.sticky; i++) top.sticky = big->limbs[i] != 0;
  return top;
}

/* a / b * 2^exponent to 64 bits, one at a time. Both are used up. */
static Binary big_quotient(Big *a, Big *b, int64_t exponent) {
  int shift = (int)big_bits(b) - (int)big_bits(a);
  if (shift >= 0) {
    big_shift_left(a, (unsigned)shift);
  } else {
    big_shift_left(b, (unsigned)-shift);
  }
  if (big_compare(a, b) < 0) {
    big_shift_left(a, 1);
    shift++;
  }
  uint64_t quotient = 0;
  for (unsigned i = 0; i < 64; i++) {
    quotient <<= 1;
    if (big_compare(a, b) >= 0) {
      big_subtract(a, b);
      quotient |= 1;
    }
    big_shift_left(a, 1);
  }
  return (Binary){quotient, exponent - shift - 63, a->n != 0};
}

/* Rounds to nearest, ties to even; false when the result would be infinite. */
static bool round_to(const Format *format, Binary x, uint64_t *bits) {
  *bits = 0;
  if (x.mantissa == 0) return true;
  int64_t exponent = x.exponent + 63; /* as 1.x * 2^exponent */
  if (exponent > -format->min_exponent + 1) return false;
  bool normal = exponent >= format->min_exponent;
  int64_t lost = 64 - (int64_t)format->precision + (normal ? 0 : format->min_exponent - exponent);
  if (lost > 64) return true; /* less than half of the smallest number */
  uint64_t kept = lost == 64 ? 0 : x.mantissa >> lost;
  uint64_t rest = x.mantissa << (64 - lost), half = UINT64_C(1) << 63;
  bool tie = rest == half && !x.sticky;
  kept += tie ? kept & 1 : rest >= half;
  /* A carry out of the mantissa moves into the exponent, which is what it should do. */
  uint64_t biased = normal ? (uint64_t)(exponent - format->min_exponent) : 0;
  *bits = (biased << (format->precision - 1)) + kept;
  return *bits < format->infinity;
}

/* The parts of a number token behind its sign. `digits` holds underscores and at most one point. */
typedef struct FloatText {
  bool hex;
  Str digits;
  int64_t exponent;
} FloatText;

static bool split_exponent(Cursor *cursor, int64_t *exponent) {
  bool negative = skip_sign(cursor);
  Str run = skip_digits(cursor, 10);
  if (run.size == 0) return false;
  uint64_t magnitude = 0;
  if (!run_value(run, 10, &magnitude)) magnitude = EXPONENT_MAX;
  *exponent = (int64_t)MIN(magnitude, (uint64_t)EXPONENT_MAX);
  if (negative) *exponent = -*exponent;
  return true;
}

static bool split_float(Cursor cursor, FloatText *text) {
  text->hex = skip_text(&cursor, "0x");
  text->exponent = 0;
  unsigned base = text->hex ? 16 : 10;
  const char *start = cursor.at;
  if (skip_digits(&cursor, base).size == 0) return false;
  if (skip_char(&cursor, '.')) skip_digits(&cursor, base);
  text->digits = (Str){start, (size_t)(cursor.at - start)};
  bool has_exponent = text->hex ? skip_char(&cursor, 'p') || skip_char(&cursor, 'P')
                                : skip_char(&cursor, 'e') || skip_char(&cursor, 'E');
  if (has_exponent && !split_exponent(&cursor, &text->exponent)) return false;
  return cursor.at == cursor.end;
}

static Binary read_hex(const FloatText *text) {
  Binary x = {0, text->exponent, false};
  bool in_fraction = false;
  for (size_t i = 0; i < text->digits.size; i++) {
    char c = text->digits.at[i];
    if (c == '.') in_fraction = true;
    if (c == '.' || c == '_') continue;
    unsigned digit = digit_value(c);
    if (x.mantissa >> 60 == 0) {
      x.mantissa = x.mantissa << 4 | digit;
      x.exponent -= in_fraction ? 4 : 0;
    } else {
      x.sticky |= digit != 0;
      x.exponent += in_fraction ? 0 : 4;
    }
  }
  if (x.mantissa == 0) return x;
  unsigned zeros = leading_zeros(x.mantissa);
  x.mantissa <<= zeros;
  x.exponent -= zeros;
  return x;
}

/* digits * 10^exponent, without leading and trailing zeros, plus something in the digit behind the
 * last when `more`. */
typedef struct Decimal {
  unsigned n;
  bool more;
  int64_t exponent;
  uint8_t digits[DIGITS_MAX];
} Decimal;

static void decimal_digit(Decimal *decimal, uint8_t digit, bool in_fraction) {
  bool kept = decimal->n < DIGITS_MAX;
  if (kept && (digit != 0 || decimal->n != 0)) decimal->digits[decimal->n++] = digit;
  if (kept && in_fraction) decimal->exponent--;
  if (!kept && !in_fraction) decimal->exponent++;
  if (!kept && digit != 0) decimal->more = true;
}

static void decimal_read(Decimal *decimal, const FloatText *text) {
  decimal->n = 0;
  decimal->more = false;
  decimal->exponent = text->exponent;
  bool in_fraction = false;
  for (size_t i = 0; i < text->digits.size; i++) {
    char c = text->digits.at[i];
    if (c == '.') {
      in_fraction = true;
    } else if (c != '_') {
      decimal_digit(decimal, (uint8_t)(c - '0'), in_fraction);
    }
  }
  while (decimal->n > 0 && decimal->digits[decimal->n - 1] == 0) {
    decimal->n--;
    decimal->exponent++;
  }
}

#ifdef __SIZEOF_INT128__
typedef unsigned __int128 Wide;

static Binary wide_top(Wide x, int64_t exponent, bool sticky) {
  uint64_t high = (uint64_t)(x >> 64), low = (uint64_t)x;
  unsigned zeros = high != 0 ? leading_zeros(high) : 64 + leading_zeros(low);
  x <<= zeros;
  return (Binary){(uint64_t)(x >> 64), exponent + 64 - (int64_t)zeros, sticky || (uint64_t)x != 0};
}

/* One product or quotient with a power of five that fits 64 bits; false when that is not enough. */
static bool decimal_small(const Decimal *decimal, Binary *out) {
  int64_t exponent = decimal->exponent;
  if (decimal->n > 19 || exponent < -27 || exponent > 27) return false;
  uint64_t digits = 0, power = 1;
  for (unsigned i = 0; i < decimal->n; i++) digits = digits * 10 + decimal->digits[i];
  for (int64_t i = exponent < 0 ? -exponent : exponent; i > 0; i--) power *= 5;
  if (exponent >= 0) {
    *out = wide_top((Wide)digits * power, exponent, false);
  } else {
    /* The dividend has its highest bit set and the divisor has less than 64 bits: the quotient
     * keeps more than 64. */
    unsigned zeros = leading_zeros(digits);
    Wide dividend = (Wide)(digits << zeros) << 64;
    *out = wide_top(dividend / power, exponent - 64 - (int64_t)zeros, dividend % power != 0);
  }
  return true;
}
#else
static bool decimal_small(const Decimal *decimal, Binary *out) {
  (void)decimal;
  (void)out;
  return false;
}
#endif

/* The decimal's point is within POINT_MIN..POINT_MAX, which bounds the big integers. */
static Binary decimal_big(const Decimal *decimal) {
  Big digits;
  big_set(&digits, 0);
  for (unsigned i = 0; i < decimal->n; i++) big_multiply_add(&digits, 10, decimal->digits[i]);
  Binary result;
  if (decimal->exponent >= 0) {
    big_multiply_pow5(&digits, (unsigned)decimal->exponent);
    result = big_top(&digits, decimal->exponent);
  } else {
    Big power;
    big_set(&power, 1);
    big_multiply_pow5(&power, (unsigned)-decimal->exponent);
    result = big_quotient(&digits, &power, decimal->exponent);
  }
  return result;
}

/* False when the number is beyond every format. */
static bool read_decimal(const FloatText *text, Binary *out) {
  Decimal decimal;
  decimal_read(&decimal, text);
  *out = (Binary){0, 0, false};
  int64_t point = decimal.exponent + (int64_t)decimal.n; /* 0.digits * 10^point */
  if (decimal.n == 0 || point < POINT_MIN) return true;
  if (point > POINT_MAX) return false;
  if (!decimal_small(&decimal, out)) *out = decimal_big(&decimal);
  out->sticky |= decimal.more;
  return true;
}

static NumberStatus parse_payload(const Format *format, Cursor cursor, uint64_t *bits) {
  Str run = skip_digits(&cursor, 16);
  if (run.size == 0 || cursor.at != cursor.end) return NUMBER_MALFORMED;
  uint64_t payload = 0;
  if (!run_value(run, 16, &payload)) return NUMBER_OUT_OF_RANGE;
  if (payload == 0 || payload >> (format->precision - 1) != 0) return NUMBER_OUT_OF_RANGE;
  *bits = format->infinity | payload;
  return NUMBER_OK;
}

static NumberStatus parse_positive(const Format *format, Cursor cursor, uint64_t *bits) {
  Str rest = {cursor.at, (size_t)(cursor.end - cursor.at)};
  if (str_equal(rest, STR_LITERAL("inf"))) {
    *bits = format->infinity;
    return NUMBER_OK;
  }
  if (str_equal(rest, STR_LITERAL("nan"))) {
    *bits = format->infinity | UINT64_C(1) << (format->precision - 2);
    return NUMBER_OK;
  }
  if (skip_text(&cursor, "nan:0x")) return parse_payload(format, cursor, bits);
  FloatText text;
  if (!split_float(cursor, &text)) return NUMBER_MALFORMED;
  Binary value;
  if (text.hex) {
    value = read_hex(&text);
  } else if (!read_decimal(&text, &value)) {
    return NUMBER_OUT_OF_RANGE;
  }
  return round_to(format, value, bits) ? NUMBER_OK : NUMBER_OUT_OF_RANGE;
}

static NumberStatus parse_float(const Format *format, Str token, uint64_t *bits) {
  Cursor cursor = cursor_of(token);
  bool negative = skip_sign(&cursor);
  uint64_t magnitude = 0;
  NumberStatus status = parse_positive(format, cursor, &magnitude);
  if (status == NUMBER_OK) *bits = magnitude | (negative ? format->sign : 0);
  return status;
}

NumberStatus parse_f32(Str token, uint32_t *bits) {
  uint64_t wide = 0;
  NumberStatus status = parse_float(&F32_FORMAT, token, &wide);
  if (status == NUMBER_OK) *bits = (uint32_t)wide;
  return status;
}

NumberStatus parse_f64(Str token, uint64_t *bits) {
  return parse_float(&F64_FORMAT, token, bits);
}

/* 0.digits * 10^point */
typedef struct Shortest {
  char digits[20];
  unsigned n;
  int point;
} Shortest;

/* What the digits are generated from: value / scale is what is still to be printed, and all up to
 * below / scale under it or above / scale over it reads back to the same bits; the two limits
 * themselves do so when the mantissa is even. */
typedef struct Interval {
  Big value, scale, below, above;
  bool with_limits;
} Interval;

static void interval_scale(Interval *interval, unsigned power_of_ten) {
  big_multiply_pow10(&interval->value, power_of_ten);
  big_multiply_pow10(&interval->below, power_of_ten);
  big_multiply_pow10(&interval->above, power_of_ten);
}

static bool reaches_scale(const Interval *interval) {
  int order = big_compare_sum(&interval->value, &interval->above, &interval->scale);
  return interval->with_limits ? order >= 0 : order > 0;
}

static bool within_below(const Interval *interval) {
  int order = big_compare(&interval->value, &interval->below);
  return interval->with_limits ? order <= 0 : order < 0;
}

/* Everything is doubled, so that half of the last place is a whole number, and doubled again where
 * the number below is only half as far away as the number above. */
static void interval_init(Interval *interval, const Format *format, uint64_t bits) {
  uint64_t hidden = UINT64_C(1) << (format->precision - 1);
  uint64_t biased = bits / hidden, mantissa = bits % hidden;
  bool uneven = mantissa == 0 && biased > 1;
  if (biased != 0) mantissa += hidden;
  int exponent = format->min_exponent - (int)format->precision + (int)MAX(biased, 1u);
  unsigned up = exponent > 0 ? (unsigned)exponent : 0,
           down = exponent < 0 ? (unsigned)-exponent : 0;
  interval->with_limits = mantissa % 2 == 0;
  big_set(&interval->value, mantissa);
  big_shift_left(&interval->value, up + 1 + uneven);
  big_set(&interval->scale, 1);
  big_shift_left(&interval->scale, down + 1 + uneven);
  big_set(&interval->below, 1);
  big_shift_left(&interval->below, up);
  big_set(&interval->above, 1);
  big_shift_left(&interval->above, up + uneven);
}

/* Scales so that the first digit comes next, and gives the place of the point. */
static int interval_align(Interval *interval) {
  int log2 = (int)big_bits(&interval->value) - (int)big_bits(&interval->scale);
  /* log2 is that of the value or one more. Times log10(2), rounded down, that is at most one more
   * than the point's place minus one, and at least one less: start from the least it can be. */
  int point = (int)(((int64_t)(log2 - 1) * 78913) >> 18);
  if (point >= 0) {
    big_multiply_pow10(&interval->scale, (unsigned)point);
  } else {
    interval_scale(interval, (unsigned)-point);
  }
  while (reaches_scale(interval)) {
    big_multiply_add(&interval->scale, 10, 0);
    point++;
  }
  return point;
}

static void shortest_digits(Shortest *out, Interval *interval) {
  out->point = interval_align(interval);
  out->n = 0;
  bool low, high;
  char digit;
  do {
    interval_scale(interval, 1);
    for (digit = '0'; big_compare(&interval->value, &interval->scale) >= 0; digit++) {
      big_subtract(&interval->value, &interval->scale);
    }
    low = within_below(interval);
    high = reaches_scale(interval);
    out->digits[out->n++] = digit;
  } while (!low && !high);
  /* Where both this digit and the next one will do, take the nearer, and between them the even. */
  if (low && high) {
    int order = big_compare_sum(&interval->value, &interval->value, &interval->scale);
    high = order > 0 || (order == 0 && digit % 2 != 0);
  }
  if (high) out->digits[out->n - 1]++;
}

static char *put(char *out, const char *from, size_t size) {
  memcpy(out, from, size);
  return out + size;
}

static char *put_zeros(char *out, int n) {
  memset(out, '0', (size_t)n);
  return out + n;
}

/* Without an exponent when that takes no more than 21 digits or 5 zeros behind the point. */
static char *put_decimal(char *out, const Shortest *number) {
  const char *digits = number->digits;
  int n = (int)number->n, point = number->point;
  if (point > 21 || point <= -6) {
    *out++ = digits[0];
    if (n > 1) *out++ = '.';
    out = put(out, digits + 1, (size_t)n - 1);
    return out + snprintf(out, 8, "e%d", point - 1);
  }
  if (point <= 0) {
    out = put(out, "0.", 2);
    out = put_zeros(out, -point);
    return put(out, digits, (size_t)n);
  }
  if (point >= n) return put_zeros(put(out, digits, (size_t)n), point - n);
  out = put(out, digits, (size_t)point);
  *out++ = '.';
  return put(out, digits + point, (size_t)(n - point));
}

static char *put_nan(char *out, const Format *format, uint64_t bits) {
  uint64_t payload = bits - format->infinity;
  if (payload == UINT64_C(1) << (format->precision - 2)) return put(out, "nan", 3);
  return out + snprintf(out, 24, "nan:0x%llx", (unsigned long long)payload);
}

static size_t print_float(const Format *format, uint64_t bits, char *out) {
  char *at = out;
  if ((bits & format->sign) != 0) *at++ = '-';
  bits &= ~format->sign;
  if (bits > format->infinity) {
    at = put_nan(at, format, bits);
  } else if (bits == format->infinity) {
    at = put(at, "inf", 3);
  } else if (bits == 0) {
    *at++ = '0';
  } else {
    Interval interval;
    Shortest number;
    interval_init(&interval, format, bits);
    shortest_digits(&number, &interval);
    at = put_decimal(at, &number);
  }
  *at = '\0';
  return (size_t)(at - out);
}

size_t print_f32(uint32_t bits, char *out) {
  return print_float(&F32_FORMAT, bits, out);
}

size_t print_f64(uint64_t bits, char *out) {
  return print_float(&F64_FORMAT, bits, out);
}
