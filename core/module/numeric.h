/* numeric.h - the C types and helpers that the rows of numeric.def and simd.def are written with.
 *
 * Every function is free of undefined behaviour for every input, gives the bits that the
 * specification asks for, and quiets signalling NaNs. The including file is compiled with
 * -ffp-contract=off; lanes of a V128 are in memory order, so the host is little-endian.
 * Spec: 3.0, "Numerics".
 */
#ifndef RILLE_NUMERIC_H
#define RILLE_NUMERIC_H

#include "../base/base.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#if defined(__SSE4_1__)
#include <smmintrin.h>
#endif
#elif defined(__aarch64__)
#include <arm_neon.h>
#else
#include <math.h>
#endif

/* A vector in eight-byte aligned slots, seen as lanes of any shape. */
typedef union V128 {
  uint8_t u8[16];
  int8_t i8[16];
  uint16_t u16[8];
  int16_t i16[8];
  uint32_t u32[4];
  int32_t i32[4];
  uint64_t u64[2];
  int64_t i64[2];
  float f32[4];
  double f64[2];
} V128;

/* The C type of a row's type name: C_##r. */
typedef uint32_t C_i32;
typedef uint64_t C_i64;
typedef float C_f32;
typedef double C_f64;
typedef V128 C_v128;

/* Runs a statement for lane numbers i = 0 .. n-1. */
#define EACH(n, statement)             \
  for (unsigned i = 0; i < (n); i++) { \
    statement;                         \
  }

static FORCE_INLINE uint32_t f32_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
static FORCE_INLINE uint64_t f64_bits(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
static FORCE_INLINE float f32_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
static FORCE_INLINE double f64_of_bits(uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* Deterministic modules know one NaN: positive, quiet, no payload. */
#define F32_NAN_BITS 0x7FC00000u
#define F64_NAN_BITS 0x7FF8000000000000u
static FORCE_INLINE float f32_canonical(float x) {
  return x == x ? x : f32_of_bits(F32_NAN_BITS);
}
static FORCE_INLINE double f64_canonical(double x) {
  return x == x ? x : f64_of_bits(F64_NAN_BITS);
}
static FORCE_INLINE V128 f32x4_canonical(V128 a) {
  EACH(4, a.f32[i] = f32_canonical(a.f32[i]))
  return a;
}
static FORCE_INLINE V128 f64x2_canonical(V128 a) {
  EACH(2, a.f64[i] = f64_canonical(a.f64[i]))
  return a;
}

/* Counting bits; the builtins are not defined for zero. */
static FORCE_INLINE uint32_t i32_clz(uint32_t x) {
  return x == 0 ? 32 : (uint32_t)__builtin_clz(x);
}
static FORCE_INLINE uint32_t i32_ctz(uint32_t x) {
  return x == 0 ? 32 : (uint32_t)__builtin_ctz(x);
}
#if defined(__POPCNT__) || defined(__aarch64__)
static FORCE_INLINE uint32_t i32_popcnt(uint32_t x) {
  return (uint32_t)__builtin_popcount(x);
}
static FORCE_INLINE uint64_t i64_popcnt(uint64_t x) {
  return (uint64_t)__builtin_popcountll(x);
}
#else
/* Sums of pairs, nibbles and bytes in place: without the instruction the builtin is a call. */
static FORCE_INLINE uint32_t i32_popcnt(uint32_t x) {
  x = x - (x >> 1 & 0x55555555u);
  x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
  return ((x + (x >> 4)) & 0x0F0F0F0Fu) * 0x01010101u >> 24;
}
static FORCE_INLINE uint64_t i64_popcnt(uint64_t x) {
  x = x - (x >> 1 & 0x5555555555555555u);
  x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
  return ((x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Fu) * 0x0101010101010101u >> 56;
}
#endif
static FORCE_INLINE uint64_t i64_clz(uint64_t x) {
  return x == 0 ? 64 : (uint64_t)__builtin_clzll(x);
}
static FORCE_INLINE uint64_t i64_ctz(uint64_t x) {
  return x == 0 ? 64 : (uint64_t)__builtin_ctzll(x);
}
static FORCE_INLINE uint32_t i32_rotl(uint32_t x, uint32_t n) {
  return x << (n & 31) | x >> (-n & 31);
}
static FORCE_INLINE uint32_t i32_rotr(uint32_t x, uint32_t n) {
  return x >> (n & 31) | x << (-n & 31);
}
static FORCE_INLINE uint64_t i64_rotl(uint64_t x, uint64_t n) {
  return x << (n & 63) | x >> (-n & 63);
}
static FORCE_INLINE uint64_t i64_rotr(uint64_t x, uint64_t n) {
  return x >> (n & 63) | x << (-n & 63);
}

/* The C library's sqrt would set errno, which costs a call; these are the instruction. */
#if defined(__SSE2__)
static FORCE_INLINE float f32_sqrt(float x) {
  return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
}
static FORCE_INLINE double f64_sqrt(double x) {
  __m128d v = _mm_set_sd(x);
  return _mm_cvtsd_f64(_mm_sqrt_sd(v, v));
}
#elif defined(__aarch64__)
static FORCE_INLINE float f32_sqrt(float x) {
  return vget_lane_f32(vsqrt_f32(vdup_n_f32(x)), 0);
}
static FORCE_INLINE double f64_sqrt(double x) {
  return vget_lane_f64(vsqrt_f64(vdup_n_f64(x)), 0);
}
#else
static FORCE_INLINE float f32_sqrt(float x) {
  return sqrtf(x);
}
static FORCE_INLINE double f64_sqrt(double x) {
  return sqrt(x);
}
#endif

/* Rounding to integral values: ceil, floor, trunc, and nearest with ties to even. */
#if defined(__SSE4_1__)
#define DEFINE_ROUND(name, mode)                          \
  static FORCE_INLINE float f32_##name(float x) {         \
    __m128 v = _mm_set_ss(x);                             \
    return _mm_cvtss_f32(_mm_round_ss(v, v, (mode) | 8)); \
  }                                                       \
  static FORCE_INLINE double f64_##name(double x) {       \
    __m128d v = _mm_set_sd(x);                            \
    return _mm_cvtsd_f64(_mm_round_sd(v, v, (mode) | 8)); \
  }
DEFINE_ROUND(nearest, 0)
DEFINE_ROUND(floor, 1)
DEFINE_ROUND(ceil, 2)
DEFINE_ROUND(trunc, 3)
#undef DEFINE_ROUND
#elif defined(__aarch64__)
#define DEFINE_ROUND(name, insn)                        \
  static FORCE_INLINE float f32_##name(float x) {       \
    return vget_lane_f32(insn##_f32(vdup_n_f32(x)), 0); \
  }                                                     \
  static FORCE_INLINE double f64_##name(double x) {     \
    return vget_lane_f64(insn##_f64(vdup_n_f64(x)), 0); \
  }
DEFINE_ROUND(nearest, vrndn)
DEFINE_ROUND(floor, vrndm)
DEFINE_ROUND(ceil, vrndp)
DEFINE_ROUND(trunc, vrnd)
#undef DEFINE_ROUND
#else
/* Numbers of at least 2^(mantissa bits) are integral already. Smaller ones go through an integer,
 * or through an addition that pushes the fraction out; copysign brings -0 back. */
#define DEFINE_ROUND(t, ctype, itype, limit, copysign)                    \
  static FORCE_INLINE ctype t##_nearest(ctype x) {                        \
    ctype magnitude = copysign(x, 1);                                     \
    if (UNLIKELY(!(magnitude < (limit)))) return x == x ? x : x + x;      \
    return copysign((magnitude + (limit)) - (limit), x);                  \
  }                                                                       \
  static FORCE_INLINE ctype t##_trunc(ctype x) {                          \
    if (UNLIKELY(!(copysign(x, 1) < (limit)))) return x == x ? x : x + x; \
    return copysign((ctype)(itype)x, x);                                  \
  }                                                                       \
  static FORCE_INLINE ctype t##_floor(ctype x) {                          \
    ctype whole = t##_trunc(x);                                           \
    return whole > x ? whole - 1 : whole;                                 \
  }                                                                       \
  static FORCE_INLINE ctype t##_ceil(ctype x) {                           \
    ctype whole = t##_trunc(x);                                           \
    return whole < x ? whole + 1 : whole;                                 \
  }
DEFINE_ROUND(f32, float, int32_t, 0x1p23f, __builtin_copysignf)
DEFINE_ROUND(f64, double, int64_t, 0x1p52, __builtin_copysign)
#undef DEFINE_ROUND
#endif

/* A NaN operand gives a quiet NaN, and -0 is less than +0: equal operands differ in the sign only,
 * so that or-ing (and-ing) their bits picks the zero. */
#define DEFINE_MIN_MAX(t, ctype)                                          \
  static FORCE_INLINE ctype t##_min(ctype a, ctype b) {                   \
    if (UNLIKELY(a == b)) return t##_of_bits(t##_bits(a) | t##_bits(b));  \
    return UNLIKELY(__builtin_isunordered(a, b)) ? a + b : a < b ? a : b; \
  }                                                                       \
  static FORCE_INLINE ctype t##_max(ctype a, ctype b) {                   \
    if (UNLIKELY(a == b)) return t##_of_bits(t##_bits(a) & t##_bits(b));  \
    return UNLIKELY(__builtin_isunordered(a, b)) ? a + b : a > b ? a : b; \
  }
DEFINE_MIN_MAX(f32, float)
DEFINE_MIN_MAX(f64, double)
#undef DEFINE_MIN_MAX

/* The trap of a signed division. */
#define DIV_TRAP(a, b, least)                               \
  ((b) == 0                         ? TRAP_DIVIDE_BY_ZERO   \
   : (a) == (least) && (b) + 1 == 0 ? TRAP_INTEGER_OVERFLOW \
                                    : TRAP_NONE)

/* Float to integer. The bounds are those between which the truncated value fits, written as
 * comparisons that are exact in the float's type and false for NaN. */
#define FITS_I32_F32(x) ((x) >= -0x1p31f && (x) < 0x1p31f)
#define FITS_I32_F64(x) ((x) > -0x1.00000002p31 && (x) < 0x1p31)
#define FITS_U32_F32(x) ((x) > -1.0f && (x) < 0x1p32f)
#define FITS_U32_F64(x) ((x) > -1.0 && (x) < 0x1p32)
#define FITS_I64_F32(x) ((x) >= -0x1p63f && (x) < 0x1p63f)
#define FITS_I64_F64(x) ((x) >= -0x1p63 && (x) < 0x1p63)
#define FITS_U64_F32(x) ((x) > -1.0f && (x) < 0x1p64f)
#define FITS_U64_F64(x) ((x) > -1.0 && (x) < 0x1p64)

/* The trap of a conversion: none when `fits`. TRAP_x comes from opcode.h. */
#define TRUNC_TRAP(fits, x) \
  (LIKELY(fits) ? TRAP_NONE : (x) != (x) ? TRAP_INVALID_CONVERSION : TRAP_INTEGER_OVERFLOW)

/* A saturating conversion: name, result, operand, test, C type of the truncation, least, most. */
#define DEFINE_TRUNC_SAT(name, rtype, atype, fits, itype, min, max) \
  static FORCE_INLINE rtype name(atype x) {                         \
    if (LIKELY(fits(x))) return (rtype)(itype)x;                    \
    return x != x ? 0 : x < 0 ? (min) : (max);                      \
  }
DEFINE_TRUNC_SAT(i32_trunc_sat_f32_s, uint32_t, float, FITS_I32_F32, int32_t, 1u << 31, INT32_MAX)
DEFINE_TRUNC_SAT(i32_trunc_sat_f32_u, uint32_t, float, FITS_U32_F32, uint32_t, 0, UINT32_MAX)
DEFINE_TRUNC_SAT(i32_trunc_sat_f64_s, uint32_t, double, FITS_I32_F64, int32_t, 1u << 31, INT32_MAX)
DEFINE_TRUNC_SAT(i32_trunc_sat_f64_u, uint32_t, double, FITS_U32_F64, uint32_t, 0, UINT32_MAX)
DEFINE_TRUNC_SAT(i64_trunc_sat_f32_s, uint64_t, float, FITS_I64_F32, int64_t, (uint64_t)1 << 63,
                 INT64_MAX)
DEFINE_TRUNC_SAT(i64_trunc_sat_f32_u, uint64_t, float, FITS_U64_F32, uint64_t, 0, UINT64_MAX)
DEFINE_TRUNC_SAT(i64_trunc_sat_f64_s, uint64_t, double, FITS_I64_F64, int64_t, (uint64_t)1 << 63,
                 INT64_MAX)
DEFINE_TRUNC_SAT(i64_trunc_sat_f64_u, uint64_t, double, FITS_U64_F64, uint64_t, 0, UINT64_MAX)
#undef DEFINE_TRUNC_SAT

/* Lane helpers of simd.def: saturating arithmetic, written without branches, so that compilers can
 * run it on all lanes at once. */
#define DEFINE_SATURATION(bits)                                                            \
  static FORCE_INLINE uint##bits##_t add_sat_u##bits(uint##bits##_t a, uint##bits##_t b) { \
    uint##bits##_t sum = (uint##bits##_t)(a + b);                                          \
    return sum < a ? UINT##bits##_MAX : sum;                                               \
  }                                                                                        \
  static FORCE_INLINE uint##bits##_t sub_sat_u##bits(uint##bits##_t a, uint##bits##_t b) { \
    return (uint##bits##_t)(a > b ? a - b : 0);                                            \
  }                                                                                        \
  static FORCE_INLINE int##bits##_t add_sat_s##bits(int##bits##_t a, int##bits##_t b) {    \
    int##bits##_t sum = (int##bits##_t)(a + b);                                            \
    int##bits##_t limit = (int##bits##_t)(a < 0 ? INT##bits##_MIN : INT##bits##_MAX);      \
    return (int##bits##_t)((sum ^ a) & (sum ^ b)) < 0 ? limit : sum;                       \
  }                                                                                        \
  static FORCE_INLINE int##bits##_t sub_sat_s##bits(int##bits##_t a, int##bits##_t b) {    \
    int##bits##_t difference = (int##bits##_t)(a - b);                                     \
    int##bits##_t limit = (int##bits##_t)(a < 0 ? INT##bits##_MIN : INT##bits##_MAX);      \
    return (int##bits##_t)((a ^ b) & (difference ^ a)) < 0 ? limit : difference;           \
  }
DEFINE_SATURATION(8)
DEFINE_SATURATION(16)
#undef DEFINE_SATURATION
/* (a * b + 2^14) / 2^15; only -1 * -1 overflows. */
static FORCE_INLINE int16_t q15mulr_sat(int16_t a, int16_t b) {
  int product = (a * b + 0x4000) >> 15;
  return (int16_t)(product > INT16_MAX ? INT16_MAX : product);
}
static FORCE_INLINE uint8_t popcnt_u8(uint8_t x) {
  unsigned pairs = x - (x >> 1 & 0x55u);
  unsigned nibbles = (pairs & 0x33u) + (pairs >> 2 & 0x33u);
  return (uint8_t)((nibbles + (nibbles >> 4)) & 0x0Fu);
}

/* Narrowing clamps the lanes of both operands in their own width, which packing instructions do. */
#define DEFINE_NARROW(name, half, lane, out, out_type, min, max)            \
  static FORCE_INLINE V128 name(V128 a, V128 b) {                           \
    int##lane##_t lanes[2 * (half)];                                        \
    V128 r;                                                                 \
    EACH(half, lanes[i] = a.i##lane[i])                                     \
    EACH(half, lanes[i + (half)] = b.i##lane[i])                            \
    EACH(2 * (half), int##lane##_t x = lanes[i]; x = x < (min) ? (min) : x; \
         x = x > (max) ? (max) : x; r.out[i] = (out_type)x)                 \
    return r;                                                               \
  }
DEFINE_NARROW(i8x16_narrow_s, 8, 16, i8, int8_t, INT8_MIN, INT8_MAX)
DEFINE_NARROW(i8x16_narrow_u, 8, 16, u8, uint8_t, 0, UINT8_MAX)
DEFINE_NARROW(i16x8_narrow_s, 4, 32, i16, int16_t, INT16_MIN, INT16_MAX)
DEFINE_NARROW(i16x8_narrow_u, 4, 32, u16, uint16_t, 0, UINT16_MAX)
#undef DEFINE_NARROW

/* Sums of products of neighbours; only two times -128 * -128 saturates. */
static FORCE_INLINE V128 dot_i8x16(V128 a, V128 b) {
  V128 r;
  EACH(8, int sum = a.i8[2 * i] * b.i8[2 * i] + a.i8[2 * i + 1] * b.i8[2 * i + 1];
       r.i16[i] = (int16_t)MIN(sum, INT16_MAX))
  return r;
}

/* Vector forms of min and max: the scalar rule as whole-vector steps. */
#define DEFINE_VECTOR_MIN_MAX(shape, lanes, f, u, name, less, combine)              \
  static FORCE_INLINE V128 shape##_##name(V128 a, V128 b) {                         \
    V128 x, y, sum, r;                                                              \
    EACH(lanes, x.f[i] = b.f[i] less a.f[i] ? b.f[i] : a.f[i])                      \
    EACH(lanes, y.f[i] = a.f[i] less b.f[i] ? a.f[i] : b.f[i])                      \
    EACH(lanes, sum.f[i] = a.f[i] + b.f[i])                                         \
    EACH(lanes, r.u[i] = x.u[i] combine y.u[i])                                     \
    EACH(lanes, r.u[i] = __builtin_isunordered(a.f[i], b.f[i]) ? sum.u[i] : r.u[i]) \
    return r;                                                                       \
  }
DEFINE_VECTOR_MIN_MAX(f32x4, 4, f32, u32, min, <, |)
DEFINE_VECTOR_MIN_MAX(f32x4, 4, f32, u32, max, >, &)
DEFINE_VECTOR_MIN_MAX(f64x2, 2, f64, u64, min, <, |)
DEFINE_VECTOR_MIN_MAX(f64x2, 2, f64, u64, max, >, &)
#undef DEFINE_VECTOR_MIN_MAX

/* Wide arithmetic: the engines' cases by hand for i64.add128, i64.sub128 and i64.mul_wide. */
typedef struct Wide {
  uint64_t low, high;
} Wide;
static FORCE_INLINE Wide wide_add(Wide a, Wide b) {
  uint64_t low = a.low + b.low;
  return (Wide){low, a.high + b.high + (low < a.low)};
}
static FORCE_INLINE Wide wide_sub(Wide a, Wide b) {
  return (Wide){a.low - b.low, a.high - b.high - (a.low < b.low)};
}
static FORCE_INLINE Wide wide_mul_u(uint64_t a, uint64_t b) {
#if defined(__SIZEOF_INT128__)
  unsigned __int128 product = (unsigned __int128)a * b;
  return (Wide){(uint64_t)product, (uint64_t)(product >> 64)};
#else
  uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
  uint64_t middle = a1 * b0 + (a0 * b0 >> 32);
  uint64_t middle2 = a0 * b1 + (uint32_t)middle;
  return (Wide){a * b, a1 * b1 + (middle >> 32) + (middle2 >> 32)};
#endif
}
static FORCE_INLINE Wide wide_mul_s(uint64_t a, uint64_t b) {
  Wide product = wide_mul_u(a, b);
  product.high -= ((int64_t)a < 0 ? b : 0) + ((int64_t)b < 0 ? a : 0);
  return product;
}

#endif
