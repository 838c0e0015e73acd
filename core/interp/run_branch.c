/* run_branch.c - branches, alone and fused with comparisons, and br_table.
 *
 * A forward branch only moves pc; a backward one looks at the poll flag first. At every label the
 * accumulators are dead.
 */
#include "handler.h"

#define TARGET(at) (pc + (at) + (int32_t)U32(at))
#define GO_FORWARD(at) \
  do {                 \
    pc = TARGET(at);   \
    DISPATCH();        \
  } while (0)
#define GO_BACK(at)                                           \
  do {                                                        \
    pc = TARGET(at);                                          \
    if (UNLIKELY(poll_wanted(run))) LEAVE_TO(interp_poll, 0); \
    DISPATCH();                                               \
  } while (0)

#define BRANCH_PAIR(name, condition, size) \
  HANDLER(name) {                          \
    if (condition) GO_FORWARD(12);         \
    NEXT(size);                            \
  }                                        \
  HANDLER(name##_B) {                      \
    if (condition) GO_BACK(12);            \
    NEXT(size);                            \
  }

HANDLER(BR) {
  GO_FORWARD(12);
}
HANDLER(BR_B) {
  GO_BACK(12);
}
BRANCH_PAIR(BR_NZ_S, S_i32(8) != 0, 16)
BRANCH_PAIR(BR_NZ_A, A_i32 != 0, 16)
BRANCH_PAIR(BR_Z_S, S_i32(8) == 0, 16)
BRANCH_PAIR(BR_Z_A, A_i32 == 0, 16)
BRANCH_PAIR(BR_NZ64_S, S_i64(8) != 0, 16)
BRANCH_PAIR(BR_Z64_S, S_i64(8) == 0, 16)

#define BRANCH_IMM_i32 U32(16)
#define BRANCH_IMM_i64 U64(16)
#define BRANCH_IMM_f32 load_f32(pc + 16)
#define BRANCH_IMM_f64 load_f64(pc + 16)
#define COMPARE_BRANCHES(name, t, test)                      \
  BRANCH_PAIR(name##_SS, test(S_##t(8), S_##t(10)), 16)      \
  BRANCH_PAIR(name##_SI, test(S_##t(8), BRANCH_IMM_##t), 24) \
  BRANCH_PAIR(name##_AS, test(A_##t, S_##t(8)), 16)          \
  BRANCH_PAIR(name##_AI, test(A_##t, BRANCH_IMM_##t), 24)

#define INT_COMPARE(name, t, c, op)                        \
  static FORCE_INLINE bool test_##name(C_##t a, C_##t b) { \
    return (c)a op(c) b;                                   \
  }                                                        \
  COMPARE_BRANCHES(BR_##name, t, test_##name)
#define FLOAT_COMPARE(name, t, op)                         \
  static FORCE_INLINE bool test_##name(C_##t a, C_##t b) { \
    return a op b;                                         \
  }                                                        \
  COMPARE_BRANCHES(BR_##name, t, test_##name)              \
  COMPARE_BRANCHES(BRN_##name, t, !test_##name)
#include "compare.def"

/* The distances stand behind the instruction, the default's last. */
#define BRANCH_BY_TABLE(index)                                \
  do {                                                        \
    uint32_t index_ = (index), n = U32(12);                   \
    pc += 16 + 4 * (size_t)(index_ < n ? index_ : n);         \
    pc += (int32_t)U32(0);                                    \
    if (UNLIKELY(poll_wanted(run))) LEAVE_TO(interp_poll, 0); \
    DISPATCH();                                               \
  } while (0)
HANDLER(BR_TABLE_S) {
  BRANCH_BY_TABLE(S_i32(8));
}
HANDLER(BR_TABLE_A) {
  BRANCH_BY_TABLE(A_i32);
}
