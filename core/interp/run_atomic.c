/* run_atomic.c - atomic accesses, wait and notify. All are sequentially consistent; an address that
 * is not a multiple of the width traps.
 */
#include "handler.h"

/* The place of an access, or NULL: then *why is filled. */
static FORCE_INLINE uint8_t *atomic_place(const Run *run, uint64_t address, const uint8_t *pc,
                                          uint64_t width, Trap *why) {
  uint32_t memory = load_u32(pc + 12);
  uint64_t offset = load_u64(pc + 16);
  if (!(memory & ADDRESS_64)) address = (uint32_t)address;
  *why = ((address + offset) & (width - 1)) != 0 ? TRAP_UNALIGNED_ATOMIC : TRAP_MEMORY_BOUNDS;
  return *why == TRAP_MEMORY_BOUNDS ? interp_address(run, address, memory, offset, width) : NULL;
}

#define PLACE(slot, m)                                                          \
  Trap no_place;                                                                \
  m *at = (m *)(void *)atomic_place(run, SLOT(slot), pc, sizeof(m), &no_place); \
  CHECK_TRAP(at ? TRAP_NONE : no_place)

#define ATOMIC_LOAD(name, t, m)                      \
  HANDLER(name) {                                    \
    PLACE(10, m);                                    \
    SLOT(8) = __atomic_load_n(at, __ATOMIC_SEQ_CST); \
    NEXT(32);                                        \
  }
#define ATOMIC_STORE(name, t, m)                         \
  HANDLER(name) {                                        \
    PLACE(10, m);                                        \
    __atomic_store_n(at, (m)SLOT(24), __ATOMIC_SEQ_CST); \
    NEXT(32);                                            \
  }
#define RMW_ADD  __atomic_fetch_add
#define RMW_SUB  __atomic_fetch_sub
#define RMW_AND  __atomic_fetch_and
#define RMW_OR   __atomic_fetch_or
#define RMW_XOR  __atomic_fetch_xor
#define RMW_XCHG __atomic_exchange_n
#define ATOMIC_RMW(name, t, m, action)                         \
  HANDLER(name) {                                              \
    PLACE(10, m);                                              \
    SLOT(8) = RMW_##action(at, (m)SLOT(24), __ATOMIC_SEQ_CST); \
    NEXT(32);                                                  \
  }
/* The expected value is wrapped to the width of the access, as the replacement is. */
#define ATOMIC_CMPXCHG(name, t, m)                              \
  HANDLER(name) {                                               \
    PLACE(10, m);                                               \
    SLOT(8) = compare_exchange_##m(at, S_##t(24), (m)SLOT(26)); \
    NEXT(32);                                                   \
  }
#define DEFINE_COMPARE_EXCHANGE(m)                                                                 \
  static FORCE_INLINE m compare_exchange_##m(m *at, uint64_t expected, m replacement) {            \
    m old = (m)expected;                                                                           \
    __atomic_compare_exchange_n(at, &old, replacement, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
    return old;                                                                                    \
  }
DEFINE_COMPARE_EXCHANGE(uint8_t)
DEFINE_COMPARE_EXCHANGE(uint16_t)
DEFINE_COMPARE_EXCHANGE(uint32_t)
DEFINE_COMPARE_EXCHANGE(uint64_t)

#define OP(name, text, prefix, code, imm, sig, how, feature) ROW_##how
#define ROW_LOAD(name, t, m)
#define ROW_STORE(name, t, m)
#define ROW_PURE(name)
#define ROW_PURE_NAN(name)
#define ROW_SIMD(name)
#define ROW_SIMD_NAN(name)
#define ROW_SIMD_MEM(name, bytes)
#define ROW_ATOMIC_LOAD(name, t, m)        ATOMIC_LOAD(name, t, m)
#define ROW_ATOMIC_STORE(name, t, m)       ATOMIC_STORE(name, t, m)
#define ROW_ATOMIC_RMW(name, t, m, action) ATOMIC_RMW(name, t, m, action)
#define ROW_ATOMIC_CMPXCHG(name, t, m)     ATOMIC_CMPXCHG(name, t, m)
#define ROW_ATOMIC_WAIT(name, bytes)
#define ROW_CTL(name)
#include "../tables/opcodes.def"

/* Where a wait or notify looks; UINT64_MAX, which no memory reaches, when the sum wraps. */
static uint64_t wait_address(uint64_t address, const uint8_t *pc) {
  uint64_t offset = load_u64(pc + 16);
  if (!(load_u32(pc + 12) & ADDRESS_64)) address = (uint32_t)address;
  return address + offset < offset ? UINT64_MAX & ~(uint64_t)7 : address + offset;
}

static Memory *wait_memory(const Run *run, const uint8_t *pc) {
  return run->instance->memories[load_u32(pc + 12) & ~ADDRESS_64];
}

static RunStatus wait(const uint8_t *pc, Slot *fp, Run *run, unsigned bytes) {
  uint64_t expected = bytes == 4 ? (uint32_t)SLOT(24) : SLOT(24);
  uint32_t result = 0;
  RunStatus status = RUN_DONE;
  interp_mark(run, pc, fp);
  Trap why = memory_wait(run->act, wait_memory(run, pc), wait_address(SLOT(10), pc), bytes,
                         expected, (int64_t)SLOT(26), &result, &status);
  if (why != TRAP_NONE) return run_trap(run->act, why);
  SLOT(8) = result;
  return status;
}

#define WAIT(name, bytes)                        \
  HANDLER(name) {                                \
    RunStatus status = wait(pc, fp, run, bytes); \
    if (status != RUN_DONE) return status;       \
    NEXT(32);                                    \
  }
WAIT(MEMORY_ATOMIC_WAIT32, 4)
WAIT(MEMORY_ATOMIC_WAIT64, 8)

static Trap notify(const uint8_t *pc, Slot *fp, const Run *run) {
  uint32_t woken = 0;
  Trap why =
      memory_notify(wait_memory(run, pc), wait_address(SLOT(10), pc), (uint32_t)SLOT(24), &woken);
  SLOT(8) = woken;
  return why;
}
HANDLER(MEMORY_ATOMIC_NOTIFY) {
  CHECK_TRAP(notify(pc, fp, run));
  NEXT(32);
}
