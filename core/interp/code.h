/* code.h - prepared code: what the translator writes and the handlers read.
 *
 * Code is a stream of instructions, each at a multiple of eight bytes: the handler's address, then
 * operands. Frame slots are 16-bit indices from the frame pointer; a result's slot is always the
 * first operand, at byte 8. Branch distances are relative to the bytes that hold them, so code can
 * be moved. Prepared code belongs to a module and is shared by its instances and by threads.
 *
 * A frame, from the frame pointer up:
 *   parameters | return address | other locals | operand stack
 * The operand stack's top slots, where arguments lie, are the callee's first slots; results come
 * back to the callee's first slots.
 */
#ifndef RILLE_INTERP_CODE_H
#define RILLE_INTERP_CODE_H

#include "../runtime/store.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "frames and memories are read in place: the interpreter needs a little-endian host"
#endif

typedef struct Code Code;
typedef struct ModuleCode ModuleCode;
typedef struct Run Run;

/* Every handler has these parameters, in machine registers where there are enough of them: the
 * instruction, the frame, memory 0 and its size, and the accumulators for integers and references,
 * f32 and f64. */
typedef RunStatus Handler(const uint8_t *pc, Slot *fp, uint8_t *mem, uint64_t mem_size,
                          uint64_t acc, Run *run, float f, double d);

typedef enum Iop {
#define IOP(name) I_##name,
#include "iops.def"
  IOP_COUNT
} Iop;

#define IOP(name) Handler h_##name;
#include "iops.def"

extern Handler *const interp_handlers[IOP_COUNT];

/* Order of the variants of a group in iops.def. */
enum { UN_S, UN_A };
enum { BIN_SS, BIN_SI, BIN_IS, BIN_AS, BIN_SA, BIN_AI, BIN_IA };
enum { CMP_SS, CMP_SI, CMP_AS, CMP_AI };
enum { LOAD_S, LOAD_A, LOAD_I, LOAD_SS, LOAD_AS, LOAD_SI, LOAD_SS1, LOAD_SS2, LOAD_SS3, LOAD_X };
enum { STORE_SS, STORE_SA, STORE_SI, STORE_AS, STORE_AA, STORE_AI, STORE_IS, STORE_IA, STORE_II };
enum { STORE_X = STORE_II + 1 };

/* Which instruction of the module stands at a place of the code: only for those that can trap or
 * call. */
typedef struct Position {
  uint32_t at;     /* bytes from the start of the code */
  uint32_t offset; /* in the module's bytes */
} Position;

/* What one clause of a try catches, in the code [from, end). When it catches, it writes what it is
 * made of to slots from `slot` on and goes to `target`. Clauses stand in the order in which they
 * are asked: inner blocks first. */
typedef enum CatchWhat {
  CATCHES_ALL = 1,     /* whatever the tag */
  CATCHES_VALUES = 2,  /* writes the values */
  CATCHES_REF = 4,     /* writes the exception behind them */
  CATCHES_FIRST = 8,   /* writes the exception before them */
  CATCHES_NOTHING = 16 /* delegates: clauses of blocks deeper than `level` are passed over */
} CatchWhat;
typedef struct Catch {
  uint32_t from, end, target;
  uint32_t tag;
  uint32_t level; /* of the block, outermost 0; of a delegate, of what it delegates to */
  uint32_t own_level;
  uint16_t slot;
  uint8_t what;
} Catch;

typedef struct Ops {
  uint64_t frame_bytes; /* the whole frame, operand stack included */
  const Code *code;
  uint32_t n_bytes, n_positions; /* Positions follow the code, Catches follow these */
  uint32_t n_catches;
  size_t block_size;
  uint8_t bytes[];
} Ops;

enum { VARIANT_PLAIN, VARIANT_FUEL, VARIANTS };

/* One function of a module. */
struct Code {
  const Ops *_Atomic ops[VARIANTS]; /* what to run: at first a stub that prepares */
  ModuleCode *owner;
  uint32_t index; /* in the module */
  uint32_t n_param_slots;
};

struct ModuleCode {
  Module *module;
  size_t block_size;
  _Atomic size_t n_prepared, n_bytes;
  uint32_t n_codes;
  Code codes[]; /* of the functions the module defines */
};

static inline const Ops *code_ops(const Code *code, unsigned variant) {
  return atomic_load_explicit(&code->ops[variant], memory_order_acquire);
}
static inline bool ops_contains(const Ops *ops, const uint8_t *pc) {
  return pc >= ops->bytes && pc < ops->bytes + ops->n_bytes;
}
static inline const Position *ops_positions(const Ops *ops) {
  return (const Position *)(const void *)(ops->bytes + ops->n_bytes);
}

static inline const Catch *ops_catches(const Ops *ops) {
  return (const Catch *)(const void *)(ops_positions(ops) + ops->n_positions);
}
/* The variant of a function's code that holds pc. */
static inline const Ops *code_ops_at(const Code *code, const uint8_t *pc) {
  const Ops *ops = code_ops(code, VARIANT_PLAIN);
  return ops_contains(ops, pc) ? ops : code_ops(code, VARIANT_FUEL);
}

/* The end of every call instruction, right before the address it returns to. */
typedef struct CallTail {
  const Code *caller;
  uint32_t unused;
  uint16_t return_slot;  /* of the caller's frame: where the return address goes */
  uint16_t frame_offset; /* from the caller's frame to the callee's */
} CallTail;

/* Translates a function and publishes the result; returns what is published. NULL and *error
 * (unsupported, memory) when it cannot be done. */
const Ops *interp_translate(Code *code, unsigned variant, Error *error);

#endif
