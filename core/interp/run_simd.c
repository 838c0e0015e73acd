/* run_simd.c - handlers of the vector instructions: simd.def over frame slots.
 */
#include "handler.h"

#define WRITE_RESULT_i32(x) SLOT(8) = (uint32_t)(x)
#define WRITE_RESULT_i64(x) SLOT(8) = (x)
#define WRITE_RESULT_f32(x) store_f32(&SLOT(8), x)
#define WRITE_RESULT_f64(x) store_f64(&SLOT(8), x)

/* The operands are declared, the body fills r. */
#define ROW(name, operands, write, body, size) \
  HANDLER(name) {                              \
    operands;                                  \
    body;                                      \
    write(r);                                  \
    NEXT(size);                                \
  }
#define VUN(name, body) ROW(name, V128 a = S_v128(10); V128 r, WRITE_v128, body, 16)
#define VBIN(name, body) \
  ROW(name, V128 a = S_v128(10); V128 b = S_v128(12); V128 r, WRITE_v128, body, 16)
#define VTER(name, body)                                                   \
  ROW(name, V128 a = S_v128(10); V128 b = S_v128(12); V128 c = S_v128(14); \
      V128 r, WRITE_v128, body, 16)
#define VSHIFT(name, body) \
  ROW(name, V128 a = S_v128(10); uint32_t n = S_i32(12); V128 r, WRITE_v128, body, 16)
#define VTEST(name, body)     ROW(name, V128 a = S_v128(10); uint32_t r, WRITE_RESULT_i32, body, 16)
#define VSPLAT(name, t, body) ROW(name, C_##t x = S_##t(10); V128 r, WRITE_v128, body, 16)
#define VEXTRACT(name, t, body) \
  ROW(name, V128 a = S_v128(10); uint8_t lane = pc[12]; C_##t r, WRITE_RESULT_##t, body, 16)
#define VREPLACE(name, t, body)                                              \
  ROW(name, V128 a = S_v128(10); C_##t x = S_##t(12); uint8_t lane = pc[14]; \
      V128 r, WRITE_v128, body, 16)
#define VSHUFFLE(name, body)                                                           \
  ROW(name, V128 a = S_v128(10); V128 b = S_v128(12); V128 lanes = load_v128(pc + 16); \
      V128 r, WRITE_v128, body, 32)
#include "../tables/simd.def"

HANDLER(F32X4_CANONICAL) {
  WRITE_v128(f32x4_canonical(S_v128(10)));
  NEXT(16);
}
HANDLER(F64X2_CANONICAL) {
  WRITE_v128(f64x2_canonical(S_v128(10)));
  NEXT(16);
}

/* Vector loads and stores that do more than move: any memory. */
#define AT(slot, bytes)                                                   \
  uint8_t *at = interp_address(run, SLOT(slot), U32(12), U64(16), bytes); \
  CHECK_TRAP(at ? TRAP_NONE : TRAP_MEMORY_BOUNDS)
#define MEMORY_ROW(name, bytes, body) \
  HANDLER(name) {                     \
    AT(10, bytes);                    \
    V128 r;                           \
    body;                             \
    WRITE_v128(r);                    \
    NEXT(32);                         \
  }
#define LOAD_EXTEND(name, lanes, from_bits, to, sign)                \
  MEMORY_ROW(name, 8, V128 a; a.u64[0] = load_u64(at); a.u64[1] = 0; \
             EACH(lanes, r.to[i] = a.sign##from_bits[i]))
LOAD_EXTEND(V128_LOAD8X8_S, 8, 8, i16, i)
LOAD_EXTEND(V128_LOAD8X8_U, 8, 8, u16, u)
LOAD_EXTEND(V128_LOAD16X4_S, 4, 16, i32, i)
LOAD_EXTEND(V128_LOAD16X4_U, 4, 16, u32, u)
LOAD_EXTEND(V128_LOAD32X2_S, 2, 32, i64, i)
LOAD_EXTEND(V128_LOAD32X2_U, 2, 32, u64, u)
MEMORY_ROW(V128_LOAD8_SPLAT, 1, uint8_t x = *at; EACH(16, r.u8[i] = x))
MEMORY_ROW(V128_LOAD16_SPLAT, 2, uint16_t x = load_u16(at); EACH(8, r.u16[i] = x))
MEMORY_ROW(V128_LOAD32_SPLAT, 4, uint32_t x = load_u32(at); EACH(4, r.u32[i] = x))
MEMORY_ROW(V128_LOAD64_SPLAT, 8, uint64_t x = load_u64(at); EACH(2, r.u64[i] = x))
MEMORY_ROW(V128_LOAD32_ZERO, 4, r.u64[0] = load_u32(at); r.u64[1] = 0)
MEMORY_ROW(V128_LOAD64_ZERO, 8, r.u64[0] = load_u64(at); r.u64[1] = 0)
MEMORY_ROW(V128_LOAD8_LANE, 1, r = S_v128(24); r.u8[U16(26) & 15] = *at)
MEMORY_ROW(V128_LOAD16_LANE, 2, r = S_v128(24); r.u16[U16(26) & 7] = load_u16(at))
MEMORY_ROW(V128_LOAD32_LANE, 4, r = S_v128(24); r.u32[U16(26) & 3] = load_u32(at))
MEMORY_ROW(V128_LOAD64_LANE, 8, r = S_v128(24); r.u64[U16(26) & 1] = load_u64(at))

#define STORE_LANE(name, bytes, store) \
  HANDLER(name) {                      \
    AT(10, bytes);                     \
    V128 a = S_v128(24);               \
    unsigned lane = U16(26);           \
    store;                             \
    NEXT(32);                          \
  }
STORE_LANE(V128_STORE8_LANE, 1, *at = a.u8[lane & 15])
STORE_LANE(V128_STORE16_LANE, 2, store_u16(at, a.u16[lane & 7]))
STORE_LANE(V128_STORE32_LANE, 4, store_u32(at, a.u32[lane & 3]))
STORE_LANE(V128_STORE64_LANE, 8, store_u64(at, a.u64[lane & 1]))
