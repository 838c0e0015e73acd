/* run_memory.c - loads and stores, with explicit bounds.
 *
 * The fast variants read memory 0 with 32-bit addresses: base and size are in registers, and an
 * effective address is less than 2^33, so that adding the width cannot wrap. The X variants do the
 * rest: any memory, addresses of 32 or 64 bits.
 */
#include "handler.h"

#define FITS(at, type) LIKELY((at) + sizeof(type) <= mem_size)
#define CHECK_FITS(at, type) \
  if (!FITS(at, type)) LEAVE_TO(interp_memory_bounds, acc)

static FORCE_INLINE int8_t load_int8_t(const void *at) {
  return (int8_t)load_u8(at);
}
static FORCE_INLINE int16_t load_int16_t(const void *at) {
  return (int16_t)load_u16(at);
}
static FORCE_INLINE int32_t load_int32_t(const void *at) {
  return (int32_t)load_u32(at);
}
#define load_uint8_t  load_u8
#define load_uint16_t load_u16
#define load_uint32_t load_u32
#define load_uint64_t load_u64
#define load_float    load_f32
#define load_double   load_f64
#define load_V128     load_v128
static FORCE_INLINE void store_uint8_t(void *at, uint8_t x) {
  memcpy(at, &x, sizeof x);
}
#define store_uint16_t store_u16
#define store_uint32_t store_u32
#define store_uint64_t store_u64
#define store_float    store_f32
#define store_double   store_f64
#define store_V128     store_v128

/* Extension of what was read to the value's type. */
#define EXTEND_i32(x)        (uint32_t)(x)
#define EXTEND_i64(x)        (uint64_t)(x)
#define EXTEND_f32(x)        (x)
#define EXTEND_f64(x)        (x)
#define NARROW_i32(x, type)  (type)(x)
#define NARROW_i64(x, type)  (type)(x)
#define NARROW_f32(x, type)  (x)
#define NARROW_f64(x, type)  (x)
#define NARROW_v128(x, type) (x)

/* v128 has no accumulator: both handlers of a pair write. */
#define KEEP_i32(x)  SET_i32(EXTEND_i32(x))
#define KEEP_i64(x)  SET_i64(EXTEND_i64(x))
#define KEEP_f32(x)  SET_f32(x)
#define KEEP_f64(x)  SET_f64(x)
#define KEEP_v128(x) WRITE_v128(x)
#define KEEP_WRITE_i32(x) \
  do {                    \
    KEEP_i32(x);          \
    WRITE_i32();          \
  } while (0)
#define KEEP_WRITE_i64(x) \
  do {                    \
    KEEP_i64(x);          \
    WRITE_i64();          \
  } while (0)
#define KEEP_WRITE_f32(x) \
  do {                    \
    KEEP_f32(x);          \
    WRITE_f32();          \
  } while (0)
#define KEEP_WRITE_f64(x) \
  do {                    \
    KEEP_f64(x);          \
    WRITE_f64();          \
  } while (0)
#define KEEP_WRITE_v128(x) WRITE_v128(x)

#define LOAD_PAIR(name, t, m, address)  \
  HANDLER(name) {                       \
    uint64_t at = (address);            \
    CHECK_FITS(at, m);                  \
    KEEP_##t(load_##m(mem + at));       \
    NEXT(16);                           \
  }                                     \
  HANDLER(name##_W) {                   \
    uint64_t at = (address);            \
    CHECK_FITS(at, m);                  \
    KEEP_WRITE_##t(load_##m(mem + at)); \
    NEXT(16);                           \
  }

/* What the X variants access. */
#define ADDRESS_ANY(slot, m) interp_address(run, SLOT(slot), U32(12), U64(16), sizeof(m))

#define LOAD(name, t, m)                                                                    \
  LOAD_PAIR(name##_S, t, m, (uint64_t)S_i32(10) + U32(12))                                  \
  LOAD_PAIR(name##_A, t, m, (uint64_t)A_i32 + U32(12))                                      \
  LOAD_PAIR(name##_I, t, m, U32(12))                                                        \
  LOAD_PAIR(name##_SS, t, m, (uint64_t)(uint32_t)(S_i32(10) + S_i32(12)) + U16(14))         \
  LOAD_PAIR(name##_AS, t, m, (uint64_t)(uint32_t)(A_i32 + S_i32(10)) + U32(12))             \
  LOAD_PAIR(name##_SI, t, m, (uint32_t)(S_i32(10) + U32(12)))                               \
  LOAD_PAIR(name##_SS1, t, m, (uint64_t)(uint32_t)(S_i32(10) + (S_i32(12) << 1)) + U16(14)) \
  LOAD_PAIR(name##_SS2, t, m, (uint64_t)(uint32_t)(S_i32(10) + (S_i32(12) << 2)) + U16(14)) \
  LOAD_PAIR(name##_SS3, t, m, (uint64_t)(uint32_t)(S_i32(10) + (S_i32(12) << 3)) + U16(14)) \
  HANDLER(name##_X) {                                                                       \
    const uint8_t *from = ADDRESS_ANY(10, m);                                               \
    CHECK_TRAP(from ? TRAP_NONE : TRAP_MEMORY_BOUNDS);                                      \
    KEEP_WRITE_##t(load_##m(from));                                                         \
    NEXT(24);                                                                               \
  }

#define STORE_ONE(name, t, m, address, value, size) \
  HANDLER(name) {                                   \
    uint64_t at = (address);                        \
    CHECK_FITS(at, m);                              \
    store_##m(mem + at, NARROW_##t(value, m));      \
    NEXT(size);                                     \
  }
/* Immediate values of stores are always at byte 16. */
#define STORED_IMM_i32  U32(16)
#define STORED_IMM_i64  U64(16)
#define STORED_IMM_f32  load_f32(pc + 16)
#define STORED_IMM_f64  load_f64(pc + 16)
#define STORED_IMM_v128 load_v128(pc + 16)
#define A_v128          S_v128(10) /* never used: a v128 is always in a slot */
#define STORE(name, t, m)                                                      \
  STORE_ONE(name##_SS, t, m, (uint64_t)S_i32(8) + U32(12), S_##t(10), 16)      \
  STORE_ONE(name##_SA, t, m, (uint64_t)S_i32(8) + U32(12), A_##t, 16)          \
  STORE_ONE(name##_SI, t, m, (uint64_t)S_i32(8) + U32(12), STORED_IMM_##t, 24) \
  STORE_ONE(name##_AS, t, m, (uint64_t)A_i32 + U32(12), S_##t(10), 16)         \
  STORE_ONE(name##_AA, t, m, (uint64_t)A_i32 + U32(12), A_##t, 16)             \
  STORE_ONE(name##_AI, t, m, (uint64_t)A_i32 + U32(12), STORED_IMM_##t, 24)    \
  STORE_ONE(name##_IS, t, m, U32(12), S_##t(10), 16)                           \
  STORE_ONE(name##_IA, t, m, U32(12), A_##t, 16)                               \
  STORE_ONE(name##_II, t, m, U32(12), STORED_IMM_##t, 24)                      \
  HANDLER(name##_X) {                                                          \
    uint8_t *to = ADDRESS_ANY(8, m);                                           \
    CHECK_TRAP(to ? TRAP_NONE : TRAP_MEMORY_BOUNDS);                           \
    store_##m(to, NARROW_##t(S_##t(10), m));                                   \
    NEXT(24);                                                                  \
  }

#define OP(name, text, prefix, code, imm, sig, how, feature) ROW_##how
#define ROW_LOAD(name, t, m)                                 LOAD(name, t, m)
#define ROW_STORE(name, t, m)                                STORE(name, t, m)
#define ROW_PURE(name)
#define ROW_PURE_NAN(name)
#define ROW_SIMD(name)
#define ROW_SIMD_NAN(name)
#define ROW_SIMD_MEM(name, bytes)
#define ROW_ATOMIC_LOAD(name, t, m)
#define ROW_ATOMIC_STORE(name, t, m)
#define ROW_ATOMIC_RMW(name, t, m, action)
#define ROW_ATOMIC_CMPXCHG(name, t, m)
#define ROW_ATOMIC_WAIT(name, bytes)
#define ROW_CTL(name)
#include "../tables/opcodes.def"
