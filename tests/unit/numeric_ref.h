/* numeric_ref.h - a second meaning of the number instructions, for tests: floats are taken apart
 * into integers, integers are unbounded (128 bits), and every rule is the specification's, word by
 * word. Shares nothing with numeric.h.
 */
#ifndef RILLE_NUMERIC_REF_H
#define RILLE_NUMERIC_REF_H

#include <stdbool.h>
#include <stdint.h>

typedef __int128 Int;

/* Pseudorandom numbers that are the same in every run. */
static uint64_t random_state = 1;
static inline uint64_t random_next(void) {
  random_state += UINT64_C(0x9E3779B97F4A7C15);
  uint64_t x = random_state;
  x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
  return x ^ x >> 31;
}

static inline Int int_power(unsigned n) {
  return (Int)1 << n;
}
/* The low bits of a number read as signed or unsigned. */
static inline Int int_signed(Int x, unsigned bits) {
  x &= int_power(bits) - 1;
  return x >= int_power(bits - 1) ? x - int_power(bits) : x;
}
static inline Int int_unsigned(Int x, unsigned bits) {
  return x & (int_power(bits) - 1);
}
static inline Int int_clamp(Int x, Int min, Int max) {
  return x < min ? min : x > max ? max : x;
}
static inline Int int_saturate(Int x, unsigned bits, bool is_signed) {
  return is_signed ? int_clamp(x, -int_power(bits - 1), int_power(bits - 1) - 1)
                   : int_clamp(x, 0, int_power(bits) - 1);
}

/* An IEEE 754 format, and a datum of it as sign, integer and power of two. */
typedef struct Format {
  unsigned bits, mantissa;
} Format;
static const Format FORMAT_F32 = {32, 23}, FORMAT_F64 = {64, 52};

typedef struct Float {
  enum { FLOAT_FINITE, FLOAT_INF, FLOAT_NAN } kind;
  bool is_negative;
  Int number; /* magnitude = number * 2^power */
  int power;
} Float;

static inline int format_bias(Format format) {
  return (1 << (format.bits - format.mantissa - 2)) - 1;
}
static inline uint64_t format_sign(Format format) {
  return (uint64_t)1 << (format.bits - 1);
}
static inline uint64_t format_inf(Format format) {
  return format_sign(format) - ((uint64_t)1 << format.mantissa);
}
static inline uint64_t format_nan(Format format) { /* the canonical one */
  return format_inf(format) | (uint64_t)1 << (format.mantissa - 1);
}

static inline Float float_decode(uint64_t bits, Format format) {
  uint64_t fraction = bits & (((uint64_t)1 << format.mantissa) - 1);
  int exponent = (int)((bits & ~format_sign(format)) >> format.mantissa);
  int top = 2 * format_bias(format) + 1;
  Float x = {FLOAT_FINITE, (bits & format_sign(format)) != 0, (Int)fraction, 0};
  if (exponent == top) {
    x.kind = fraction ? FLOAT_NAN : FLOAT_INF;
  } else {
    if (exponent > 0) x.number += int_power(format.mantissa);
    x.power = (exponent > 0 ? exponent : 1) - format_bias(format) - (int)format.mantissa;
  }
  return x;
}

static inline bool float_is_nan(uint64_t bits, Format format) {
  return float_decode(bits, format).kind == FLOAT_NAN;
}

/* Divides by 2^n, n >= 0, rounding to nearest, ties to even. */
static inline Int int_shift_round(Int x, int n) {
  if (n == 0) return x;
  if (n > 120) return 0;
  Int half = int_power((unsigned)n - 1), rest = x & (2 * half - 1);
  Int whole = x >> n;
  return rest > half || (rest == half && (whole & 1)) ? whole + 1 : whole;
}

/* The nearest datum to number * 2^power; number < 2^120. */
static inline uint64_t float_encode(bool is_negative, Int number, int power, Format format) {
  uint64_t sign = is_negative ? format_sign(format) : 0;
  if (number == 0) return sign;
  int length = 0;
  while (number >> length) length++;
  int least = 1 - format_bias(format) - (int)format.mantissa; /* power of a subnormal's last bit */
  int last = power + length - 1 - (int)format.mantissa;
  if (last < least) last = least;
  Int rounded = last >= power ? int_shift_round(number, last - power) : number << (power - last);
  if (rounded >> (format.mantissa + 1)) { /* carried into a new bit */
    rounded >>= 1;
    last++;
  }
  /* Adding puts the leading one of a normal number into the exponent field. */
  uint64_t bits = ((uint64_t)(last - least) << format.mantissa) + (uint64_t)rounded;
  return sign | (bits > format_inf(format) ? format_inf(format) : bits);
}

typedef enum Rounding { ROUND_CEIL, ROUND_FLOOR, ROUND_TRUNC, ROUND_NEAREST } Rounding;

/* The magnitude of a finite datum rounded to an integer; it must be below 2^120. */
static inline Int float_to_int(Float x, Rounding rounding) {
  if (x.power >= 0) return x.number << x.power;
  if (rounding == ROUND_NEAREST) return int_shift_round(x.number, -x.power);
  bool is_fraction =
      x.power < -120 ? x.number != 0 : (x.number & (int_power((unsigned)-x.power) - 1)) != 0;
  Int whole = x.power < -120 ? 0 : x.number >> -x.power;
  bool is_away = rounding == ROUND_CEIL    ? !x.is_negative
                 : rounding == ROUND_FLOOR ? x.is_negative
                                           : false;
  return whole + (is_fraction && is_away);
}

static inline uint64_t ref_round(uint64_t bits, Format format, Rounding rounding) {
  Float x = float_decode(bits, format);
  if (x.kind == FLOAT_NAN) return format_nan(format);
  if (x.kind == FLOAT_INF || x.power >= 0) return bits;
  return float_encode(x.is_negative, float_to_int(x, rounding), 0, format);
}

/* Places the data but NaN in one order, -0 before +0. */
static inline int64_t float_key(uint64_t bits, Format format) {
  int64_t magnitude = (int64_t)(bits & ~format_sign(format));
  return bits & format_sign(format) ? ~magnitude : magnitude;
}
static inline uint64_t ref_min_max(uint64_t a, uint64_t b, Format format, bool is_max) {
  if (float_is_nan(a, format) || float_is_nan(b, format)) return format_nan(format);
  return (float_key(a, format) < float_key(b, format)) == is_max ? b : a;
}
/* -1, 0 or 1; 2 when there is no order. */
static inline int ref_compare(uint64_t a, uint64_t b, Format format) {
  if (float_is_nan(a, format) || float_is_nan(b, format)) return 2;
  if (((a | b) & ~format_sign(format)) == 0) return 0;
  int64_t x = float_key(a, format), y = float_key(b, format);
  return (x > y) - (x < y);
}

typedef enum TruncStatus { TRUNC_OK, TRUNC_NAN, TRUNC_OVERFLOW } TruncStatus;

/* Float to integer; *out saturates when it does not fit. */
static inline TruncStatus ref_trunc(uint64_t bits, Format format, unsigned width, bool is_signed,
                                    Int *out) {
  Float x = float_decode(bits, format);
  *out = 0;
  if (x.kind == FLOAT_NAN) return TRUNC_NAN;
  bool is_huge = x.kind == FLOAT_INF || (x.number != 0 && x.power > 64);
  Int magnitude = is_huge ? int_power(100) : float_to_int(x, ROUND_TRUNC);
  Int value = x.is_negative ? -magnitude : magnitude;
  *out = int_saturate(value, width, is_signed);
  return *out == value ? TRUNC_OK : TRUNC_OVERFLOW;
}

static inline uint64_t ref_convert(Int x, Format format) {
  return float_encode(x < 0, x < 0 ? -x : x, 0, format);
}
static inline uint64_t ref_reformat(uint64_t bits, Format from, Format to) {
  Float x = float_decode(bits, from);
  if (x.kind == FLOAT_NAN) return format_nan(to);
  if (x.kind == FLOAT_INF) return format_inf(to) | (x.is_negative ? format_sign(to) : 0);
  return float_encode(x.is_negative, x.number, x.power, to);
}

/* The square root of a positive datum: an integer root with two bits to spare and a sticky one. */
static inline uint64_t ref_sqrt(uint64_t bits, Format format) {
  Float x = float_decode(bits, format);
  if (x.kind == FLOAT_FINITE && x.number == 0) return bits;
  if (x.kind == FLOAT_NAN || x.is_negative) return format_nan(format);
  if (x.kind == FLOAT_INF) return bits;
  while (x.number < int_power(112) || (x.power & 1)) x.number *= 2, x.power--;
  Int root = 0;
  for (int bit = 60; bit >= 0; bit--) {
    Int next = root | int_power((unsigned)bit);
    if (next * next <= x.number) root = next;
  }
  bool is_exact = root * root == x.number;
  return float_encode(false, root * 2 + !is_exact, x.power / 2 - 1, format);
}

/* Sum and product of finite data, exact, then rounded. Products need 106 bits; sums of data that
 * are far apart keep the small one as a sticky bit. NaN and infinity follow the table of the
 * specification. */
static inline uint64_t ref_add(uint64_t a, uint64_t b, Format format) {
  Float x = float_decode(a, format), y = float_decode(b, format);
  if (x.kind == FLOAT_NAN || y.kind == FLOAT_NAN) return format_nan(format);
  if (x.kind == FLOAT_INF && y.kind == FLOAT_INF)
    return x.is_negative == y.is_negative ? a : format_nan(format);
  if (x.kind == FLOAT_INF) return a;
  if (y.kind == FLOAT_INF) return b;
  if (x.number == 0 && y.number == 0) return x.is_negative && y.is_negative ? a : 0;
  if (y.number == 0) return a;
  if (x.number == 0) return b;
  if (x.power < y.power) {
    Float swap = x;
    x = y;
    y = swap;
  }
  int distance = x.power - y.power;
  if (distance > 60) { /* y is less than a quarter of the last bit of x */
    x.number <<= 60;
    x.power -= 60;
    y.number = 1;
  } else {
    x.number <<= distance;
    x.power = y.power;
  }
  Int sum = (x.is_negative ? -x.number : x.number) + (y.is_negative ? -y.number : y.number);
  return float_encode(sum < 0, sum < 0 ? -sum : sum, x.power, format);
}
static inline uint64_t ref_mul(uint64_t a, uint64_t b, Format format) {
  Float x = float_decode(a, format), y = float_decode(b, format);
  uint64_t sign = (a ^ b) & format_sign(format);
  bool is_zero =
      (x.kind == FLOAT_FINITE && x.number == 0) || (y.kind == FLOAT_FINITE && y.number == 0);
  if (x.kind == FLOAT_NAN || y.kind == FLOAT_NAN) return format_nan(format);
  if (x.kind == FLOAT_INF || y.kind == FLOAT_INF)
    return is_zero ? format_nan(format) : sign | format_inf(format);
  return float_encode(sign != 0, x.number * y.number, x.power + y.power, format);
}
static inline uint64_t ref_div(uint64_t a, uint64_t b, Format format) {
  Float x = float_decode(a, format), y = float_decode(b, format);
  uint64_t sign = (a ^ b) & format_sign(format);
  if (x.kind == FLOAT_NAN || y.kind == FLOAT_NAN || (x.kind == FLOAT_INF && y.kind == FLOAT_INF))
    return format_nan(format);
  if (x.kind == FLOAT_INF) return sign | format_inf(format);
  if (y.kind == FLOAT_INF) return sign;
  if (y.number == 0) return x.number == 0 ? format_nan(format) : sign | format_inf(format);
  if (x.number == 0) return sign;
  while (x.number < int_power(118)) x.number *= 2, x.power--;
  Int quotient = x.number / y.number;
  bool is_exact = quotient * y.number == x.number;
  return float_encode(sign != 0, quotient << 1 | !is_exact, x.power - y.power - 1, format);
}

/* Whether `got` may be the result of an operation on these operands where the reference says
 * `expected`: the same bits; or any quiet NaN, a canonical one (of either sign) when no operand is
 * a NaN that is not canonical. */
static inline bool ref_accepts(uint64_t got, uint64_t expected, Format format,
                               const uint64_t *operands, unsigned n_operands,
                               Format operand_format) {
  if (!float_is_nan(expected, format)) return got == expected;
  bool may_differ = false;
  for (unsigned i = 0; i < n_operands; i++) {
    uint64_t magnitude = operands[i] & ~format_sign(operand_format);
    if (magnitude > format_inf(operand_format) && magnitude != format_nan(operand_format))
      may_differ = true;
  }
  uint64_t magnitude = got & ~format_sign(format);
  return may_differ ? (magnitude & format_nan(format)) == format_nan(format)
                    : magnitude == format_nan(format);
}

/* Operands. Edges of both kinds, then random ones of several distributions. */
static inline uint64_t random_int(unsigned bits) {
  uint64_t x = random_next();
  switch (random_next() % 8) {
    case 0: x &= 0xFF; break;                 /* small */
    case 1: x = (uint64_t)1 << x % 64; break; /* a power of two */
    case 2: x = ((uint64_t)1 << x % 64) - 1; break;
    case 3: x = (uint64_t)0 - (x & 0xFF); break;                  /* small and negative */
    case 4: x = ((uint64_t)1 << (bits - 1)) + (x & 7) - 4; break; /* around the sign */
    case 5:
      x &= 0xFF * (UINT64_C(0x0101010101010101));
      x &= random_next();
      break;
    default: break;
  }
  return bits == 64 ? x : x & (((uint64_t)1 << bits) - 1);
}
static inline uint64_t random_float(Format format) {
  uint64_t all = format_sign(format) | (format_sign(format) - 1);
  uint64_t x = random_next() & all;
  uint64_t sign = random_next() & format_sign(format);
  switch (random_next() % 8) {
    case 0: /* near an integer or a half */
      return float_encode(sign != 0, (Int)(x & 0xFFFFF), -(int)(random_next() % 6), format);
    case 1: /* near a power of two */
      return sign | (float_encode(false, int_power((unsigned)(x % 66)), 0, format) +
                     random_next() % 5 - 2);
    case 2: /* subnormal or small */ return sign | (x & (((uint64_t)1 << format.mantissa) * 2 - 1));
    case 3: return sign | (format_nan(format) - 1 + (x & 3)); /* NaN, signalling or quiet */
    case 4: return sign | (format_inf(format) - 2 + (x & 3));
    case 5: /* an integer of any size */
      return float_encode(sign != 0, (Int)(random_next() >> random_next() % 64), 0, format);
    case 6: /* a moderate exponent */
      return float_encode(sign != 0, (Int)(x >> (format.bits - format.mantissa)),
                          -(int)(random_next() % 80), format);
    default: return x;
  }
}

enum { N_EDGES = 22 };
static inline uint64_t int_edge(unsigned i, unsigned bits) {
  static const int64_t edges[N_EDGES] = {0,         1,
                                         2,         -1,
                                         -2,        7,
                                         8,         31,
                                         32,        33,
                                         63,        64,
                                         65,        INT8_MIN,
                                         INT8_MAX,  INT16_MIN,
                                         INT16_MAX, INT32_MIN,
                                         INT32_MAX, INT64_MIN,
                                         INT64_MAX, INT64_C(0x0123456789ABCDEF)};
  uint64_t x = (uint64_t)edges[i];
  return bits == 64 ? x : x & (((uint64_t)1 << bits) - 1);
}
enum { N_FLOAT_EDGES = 34 };
static inline uint64_t float_edge(unsigned i, Format format) {
  static const struct {
    int64_t number;
    int power;
  } edges[] = {{0, 0},  {1, 0},  {1, -1}, {3, -1},           {5, -1},         {1, 31},
               {1, 32}, {1, 63}, {1, 64}, {0x1FFFFFFFF, -1}, {0xFFFFFFFF, 0}, {0x7FFFFFFF, 0}};
  uint64_t sign = i & 1 ? format_sign(format) : 0;
  switch (i / 2) {
    case 0: return sign | format_inf(format);
    case 1: return sign | format_nan(format);
    case 2: return sign | (format_inf(format) + 1); /* a signalling NaN */
    case 3: return sign | 1;                        /* the least subnormal */
    case 4: return sign | (format_inf(format) - 1); /* the greatest number */
    default:
      return sign | float_encode(false, edges[i / 2 - 5].number, edges[i / 2 - 5].power, format);
  }
}

#endif
