/* run_move.c - moves, constants, select, globals, and returns.
 */
#include "handler.h"

HANDLER(MOV64) {
  SLOT(8) = SLOT(10);
  NEXT(16);
}
HANDLER(MOV32) {
  store_f32(&SLOT(8), S_f32(10));
  NEXT(16);
}
HANDLER(MOV128) {
  WRITE_v128(S_v128(10));
  NEXT(16);
}
/* Two moves; the second sees the first. */
HANDLER(MOV64_2) {
  SLOT(8) = SLOT(10);
  SLOT(12) = SLOT(14);
  NEXT(16);
}
HANDLER(MOV_A) {
  SLOT(8) = acc;
  NEXT(16);
}
HANDLER(MOV_F) {
  WRITE_f32();
  NEXT(16);
}
HANDLER(MOV_D) {
  WRITE_f64();
  NEXT(16);
}
HANDLER(CONST32) {
  SLOT(8) = U32(12);
  NEXT(16);
}
HANDLER(CONST64) {
  SLOT(8) = U64(16);
  NEXT(24);
}
HANDLER(CONST128) {
  WRITE_v128(load_v128(pc + 16));
  NEXT(32);
}

/* Operands of select: first, second, condition. */
#define SELECT_PAIR(name, t, condition)                \
  HANDLER(name) {                                      \
    SET_##t((condition) != 0 ? S_##t(10) : S_##t(12)); \
    NEXT(24);                                          \
  }                                                    \
  HANDLER(name##_W) {                                  \
    SET_##t((condition) != 0 ? S_##t(10) : S_##t(12)); \
    WRITE_##t();                                       \
    NEXT(24);                                          \
  }
SELECT_PAIR(SELECT_I_S, i64, S_i32(16))
SELECT_PAIR(SELECT_I_A, i64, A_i32)
SELECT_PAIR(SELECT_F_S, f32, S_i32(16))
SELECT_PAIR(SELECT_F_A, f32, A_i32)
SELECT_PAIR(SELECT_D_S, f64, S_i32(16))
SELECT_PAIR(SELECT_D_A, f64, A_i32)
HANDLER(SELECT_V) {
  WRITE_v128(S_i32(16) != 0 ? S_v128(10) : S_v128(12));
  NEXT(24);
}

#define GLOBAL(at) run->globals[U32(at)]
#define GLOBAL_GET_PAIR(name, t, load) \
  HANDLER(name) {                      \
    SET_##t(load(GLOBAL(12)));         \
    NEXT(16);                          \
  }                                    \
  HANDLER(name##_W) {                  \
    SET_##t(load(GLOBAL(12)));         \
    WRITE_##t();                       \
    NEXT(16);                          \
  }
GLOBAL_GET_PAIR(GLOBAL_GET_I, i64, load_u64)
GLOBAL_GET_PAIR(GLOBAL_GET_F, f32, load_f32)
GLOBAL_GET_PAIR(GLOBAL_GET_D, f64, load_f64)
HANDLER(GLOBAL_GET_V) {
  WRITE_v128(load_v128(GLOBAL(12)));
  NEXT(16);
}
HANDLER(GLOBAL_SET_I_S) {
  *GLOBAL(12) = SLOT(8);
  NEXT(16);
}
HANDLER(GLOBAL_SET_I_A) {
  *GLOBAL(12) = acc;
  NEXT(16);
}
HANDLER(GLOBAL_SET_F_S) {
  store_f32(GLOBAL(12), S_f32(8));
  NEXT(16);
}
HANDLER(GLOBAL_SET_D_S) {
  store_f64(GLOBAL(12), S_f64(8));
  NEXT(16);
}
HANDLER(GLOBAL_SET_V) {
  store_v128(GLOBAL(12), S_v128(8));
  NEXT(16);
}

/* Returns: the result goes to the frame's first slots and, a single scalar, to its accumulator. The
 * return address may lie where results go, so it is read first. */
#define RETURN_ADDRESS() ((const uint8_t *)(uintptr_t)SLOT(8))
#define RETURN_TO(address)  \
  do {                      \
    pc = (address);         \
    fp -= load_u16(pc - 2); \
    DISPATCH();             \
  } while (0)
#define RETURN_ONE(name, load, store)     \
  HANDLER(name) {                         \
    const uint8_t *to = RETURN_ADDRESS(); \
    load;                                 \
    store;                                \
    RETURN_TO(to);                        \
  }
HANDLER(RET0) {
  RETURN_TO(RETURN_ADDRESS());
}
RETURN_ONE(RET_I_S, acc = SLOT(10), fp[0] = acc)
RETURN_ONE(RET_I_A, (void)0, fp[0] = acc)
RETURN_ONE(RET_F_S, f = S_f32(10), store_f32(fp, f))
RETURN_ONE(RET_F_A, (void)0, store_f32(fp, f))
RETURN_ONE(RET_D_S, d = S_f64(10), store_f64(fp, d))
RETURN_ONE(RET_D_A, (void)0, store_f64(fp, d))
HANDLER(RET_N) {
  const uint8_t *to = RETURN_ADDRESS();
  memmove(fp, &SLOT(10), U32(12) * sizeof(Slot));
  RETURN_TO(to);
}
