/* handler.h - how handlers are written: the calling convention and access to operands.
 *
 * A handler ends by going on with the next one. Where the compiler can be trusted to turn a call in
 * tail position into a jump, the handlers form one chain that lives in machine registers; elsewhere
 * (no optimisation, sanitizers, unknown compilers) a handler puts its state into the Run and
 * returns to a loop. Handlers therefore take the address of no local variable.
 */
#ifndef RILLE_INTERP_HANDLER_H
#define RILLE_INTERP_HANDLER_H

/* The one option of -O2 that the chain cannot do without: for the levels that leave it off. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("optimize-sibling-calls")
#endif

#include "../module/numeric.h"
#include "../runtime/runtime.h"
#include "code.h"

#if !defined(__has_feature)
#define __has_feature(feature) 0
#endif
#if defined(RILLE_NO_TAIL_CALLS)
#define HAS_TAIL_CALLS 0
#elif defined(__clang__)
#define HAS_TAIL_CALLS 1
#define TAIL           __attribute__((musttail))
#elif defined(__GNUC__) && defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define HAS_TAIL_CALLS 1
#define TAIL
#else
#define HAS_TAIL_CALLS 0
#endif
#if !HAS_TAIL_CALLS
#define TAIL
#endif

/* A place in running code: where a backtrace starts. */
typedef struct Place {
  const uint8_t *pc; /* inside the instruction */
  const Slot *fp;
  const Instance *instance;
} Place;

/* Where a caught exception goes on. */
typedef struct Landing {
  const uint8_t *pc;
  Slot *fp;
} Landing;

/* One stay in guest code. Lives on the guest's machine stack. */
struct Run {
  Act *act;
  Instance *instance; /* whose code runs */
  Slot *value_end;
  _Atomic uint32_t *poll; /* what follows belongs to `instance` */
  Slot **globals;
  int64_t *fuel; /* of the instance that was entered */
  unsigned variant;
  Place place; /* act->frames points here */
  Landing landing;
#if !HAS_TAIL_CALLS
  const uint8_t *pc;
  Slot *fp;
  uint8_t *mem;
  uint64_t mem_size, acc;
  float f;
  double d;
#endif
};

/* Not every handler needs every register. */
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif

#define PARAMS                                                                                   \
  const uint8_t *pc, Slot *fp, uint8_t *mem, uint64_t mem_size, uint64_t acc, Run *run, float f, \
      double d
#define ARGS          pc, fp, mem, mem_size, acc, run, f, d

#define HANDLER(name) RunStatus h_##name(PARAMS)

/* Leaves to a function with a handler's parameters, `with` instead of acc. */
#define LEAVE_TO(function, with) \
  TAIL return function(pc, fp, mem, mem_size, (uint64_t)(with), run, f, d)

#define RUN_CONTINUE ((RunStatus)-1) /* to the loop: go on with the state in the Run */

#if HAS_TAIL_CALLS
#define DISPATCH()                                       \
  do {                                                   \
    Handler *next = *(Handler *const *)(const void *)pc; \
    TAIL return next(ARGS);                              \
  } while (0)
#else
#define DISPATCH()                            \
  do {                                        \
    run->pc = pc, run->fp = fp;               \
    run->mem = mem, run->mem_size = mem_size; \
    run->acc = acc, run->f = f, run->d = d;   \
    return RUN_CONTINUE;                      \
  } while (0)
#endif
#define NEXT(size) \
  do {             \
    pc += (size);  \
    DISPATCH();    \
  } while (0)

/* Operands at a byte of the instruction */
#define U16(at)  load_u16(pc + (at))
#define U32(at)  load_u32(pc + (at))
#define U64(at)  load_u64(pc + (at))
#define SLOT(at) fp[U16(at)]
static FORCE_INLINE const void *load_pointer(const uint8_t *at) {
  const void *pointer;
  memcpy(&pointer, at, sizeof pointer);
  return pointer;
}

static FORCE_INLINE uint64_t widen_u32(uint32_t x) {
  return x;
}
static FORCE_INLINE float load_f32(const void *at) {
  float x;
  memcpy(&x, at, sizeof x);
  return x;
}
static FORCE_INLINE double load_f64(const void *at) {
  double x;
  memcpy(&x, at, sizeof x);
  return x;
}
static FORCE_INLINE V128 load_v128(const void *at) {
  V128 x;
  memcpy(&x, at, sizeof x);
  return x;
}
static FORCE_INLINE void store_f32(void *at, float x) {
  memcpy(at, &x, sizeof x);
}
static FORCE_INLINE void store_f64(void *at, double x) {
  memcpy(at, &x, sizeof x);
}
static FORCE_INLINE void store_v128(void *at, V128 x) {
  memcpy(at, &x, sizeof x);
}

/* A value of a type: from a slot, from its accumulator, from an immediate. 32-bit immediates are at
 * byte 12, 64-bit ones at byte 16, behind the first two cells. */
#define S_i32(at)    ((uint32_t)SLOT(at))
#define S_i64(at)    SLOT(at)
#define S_f32(at)    load_f32(&SLOT(at))
#define S_f64(at)    load_f64(&SLOT(at))
#define S_v128(at)   load_v128(&SLOT(at))
#define A_i32        ((uint32_t)acc)
#define A_i64        acc
#define A_f32        f
#define A_f64        d
#define IMM_i32      U32(12)
#define IMM_i64      U64(16)
#define IMM_f32      load_f32(pc + 12)
#define IMM_f64      load_f64(pc + 16)
#define IMM_SIZE_i32 16
#define IMM_SIZE_i64 24
#define IMM_SIZE_f32 16
#define IMM_SIZE_f64 24

/* Results: SET_t into the accumulator, WRITE_t from there into the slot of byte 8. An i32 is
 * always written as 64 bits, so that any later read finds it in one store. */
#define SET_i32(x)    acc = widen_u32((uint32_t)(x))
#define SET_i64(x)    acc = (uint64_t)(x)
#define SET_f32(x)    f = (x)
#define SET_f64(x)    d = (x)
#define WRITE_i32()   SLOT(8) = acc
#define WRITE_i64()   SLOT(8) = acc
#define WRITE_f32()   store_f32(&SLOT(8), f)
#define WRITE_f64()   store_f64(&SLOT(8), d)
#define WRITE_v128(x) store_v128(&SLOT(8), x)

/* Ends the run with the Trap in acc; pc is at the instruction. */
Handler interp_trap;
/* An access to memory 0 did not fit its size in the register: goes on when the memory has grown
 * meanwhile (another thread, a host), else traps. */
Handler interp_memory_bounds;
/* A backward branch or call that saw the poll flag; pc is where to go on. */
Handler interp_poll;

#define CHECK_TRAP(trap)                                        \
  do {                                                          \
    Trap why = (trap);                                          \
    if (UNLIKELY(why != TRAP_NONE)) LEAVE_TO(interp_trap, why); \
  } while (0)

/* An access to any memory: its index, whose top bit says that addresses have 64 bits. NULL: out of
 * bounds. */
#define ADDRESS_64 0x80000000u
static FORCE_INLINE uint8_t *interp_address(const Run *run, uint64_t address, uint32_t memory,
                                            uint64_t offset, uint64_t width) {
  const Memory *m = run->instance->memories[memory & ~ADDRESS_64];
  uint64_t size = __atomic_load_n(&m->size, __ATOMIC_RELAXED);
  if (!(memory & ADDRESS_64)) address = (uint32_t)address;
  uint64_t at = address + offset;
  if (UNLIKELY(at < address || size < width || at > size - width)) return NULL;
  return m->base + at;
}

/* Notes where the run stands, before anything that may ask for a backtrace. */
static FORCE_INLINE void interp_mark(Run *run, const uint8_t *pc, const Slot *fp) {
  run->place = (Place){pc, fp, run->instance};
  run->act->frames = &run->place;
}

static FORCE_INLINE bool poll_wanted(const Run *run) {
  return atomic_load_explicit(run->poll, memory_order_relaxed) != 0;
}

static FORCE_INLINE uint64_t memory_size_now(const Memory *memory) {
  return __atomic_load_n(&memory->size, __ATOMIC_RELAXED);
}

/* Reads memory 0 of the running instance into the handler's registers. */
#define RELOAD_MEMORY()                                                             \
  do {                                                                              \
    const Memory *memory0_ =                                                        \
        run->instance->module->n_memories != 0 ? run->instance->memories[0] : NULL; \
    mem = memory0_ ? memory0_->base : NULL;                                         \
    mem_size = memory0_ ? memory_size_now(memory0_) : 0;                            \
  } while (0)

#endif
