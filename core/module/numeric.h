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
#define EACH(n, statement) \
  for (unsigned i = 0; i < (n); i++) { statement; }

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
static FORCE_INLINE uint32_t i32_popcnt(uint32_t x) {
  return (uint32_t)__builtin_popcount(x);
}
static FORCE_INLINE uint64_t i64_clz(uint64_t x) {
  return x == 0 ? 64 : (uint64_t)__builtin_clzll(x);
}
static FORCE_INLINE uint64_t i64_ctz(uint64_t x) {
  return x == 0 ? 64 : (uint64_t)__builtin_ctzll(x);
}
static FORCE_INLINE uint64_t i64_popcnt(uint64_t x) {
  return (uint64_t)__builtin_popcountll(x);
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
#define DEFINE_ROUND(name, mode)                           \
  static FORCE_INLINE float f32_##name(float x) {          \
    __m128 v = _mm_set_ss(x);                              \
    return _mm_cvtss_f32(_mm_round_ss(v, v, (mode) | 8));  \
  }                                                        \
  static FORCE_INLINE double f64_##name(double x) {        \
    __m128d v = _mm_set_sd(x);                             \
    return _mm_cvtsd_f64(_mm_round_sd(v, v, (mode) | 8));  \
  }
DEFINE_ROUND(nearest, 0)
DEFINE_ROUND(floor, 1)
DEFINE_ROUND(ceil, 2)
DEFINE_ROUND(trunc, 3)
#undef DEFINE_ROUND
#elif defined(__aarch64__)
#define DEFINE_ROUND(name, insn)                             \
  static FORCE_INLINE float f32_##name(float x) {            \
    return vget_lane_f32(insn##_f32(vdup_n_f32(x)), 0);      \
  }                                                          \
  static FORCE_INLINE double f64_##name(double x) {          \
    return vget_lane_f64(insn##_f64(vdup_n_f64(x)), 0);      \
  }
DEFINE_ROUND(nearest, vrndn)
DEFINE_ROUND(floor, vrndm)
DEFINE_ROUND(ceil, vrndp)
DEFINE_ROUND(trunc, vrnd)
#undef DEFINE_ROUND
#else
/* Numbers of at least 2^(mantissa bits) are integral already. Smaller ones go through an integer,
 * or through an addition that pushes the fraction out; copysign brings -0 back. */
#define DEFINE_ROUND(t, ctype, itype, limit)                                       \
  static FORCE_INLINE ctype t##_nearest(ctype x) {                                 \
    ctype magnitude = __builtin_copysign##t(x, 1);                                 \
    if (UNLIKELY(!(magnitude < (limit)))) return x == x ? x : x + x;               \
    return __builtin_copysign##t((magnitude + (limit)) - (limit), x);              \
  }                                                                                \
  static FORCE_INLINE ctype t##_trunc(ctype x) {                                   \
    if (UNLIKELY(!(__builtin_copysign##t(x, 1) < (limit)))) return x == x ? x : x + x; \
    return __builtin_copysign##t((ctype)(itype)x, x);                              \
  }                                                                                \
  static FORCE_INLINE ctype t##_floor(ctype x) {                                   \
    ctype whole = t##_trunc(x);                                                    \
    return whole > x ? whole - 1 : whole;                                          \
  }                                                                                \
  static FORCE_INLINE ctype t##_ceil(ctype x) {                                    \
    ctype whole = t##_trunc(x);                                                    \
    return whole < x ? __builtin_copysign##t(whole + 1, x) : whole;                \
  }
#define __builtin_copysignf32 __builtin_copysignf
#define __builtin_copysignf64 __builtin_copysign
DEFINE_ROUND(f32, float, int32_t, 0x1p23f)
DEFINE_ROUND(f64, double, int64_t, 0x1p52)
#undef DEFINE_ROUND
#endif

