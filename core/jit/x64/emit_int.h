/* emit_int.h - what the files that write instructions share.
 */
#ifndef RILLE_JIT_X64_EMIT_INT_H
#define RILLE_JIT_X64_EMIT_INT_H

#include "emit.h"

typedef enum ColdKind {
  COLD_TRAP,
  COLD_STACK,
  COLD_ENTER,
  COLD_POLL,
  COLD_FUEL,
  COLD_ADAPTER,
  COLD_TAIL_ADAPTER,
  COLD_SUBTYPE,
  COLD_REM,       /* the divisor is -1 */
  COLD_MIN_MAX,   /* the operands are equal or unordered */
  COLD_TRUNC,     /* the result may be out of range */
  COLD_TRUNC_BIG, /* at least 2^63, wanted unsigned */
  COLD_TRUNC_SAT,
  COLD_TRUNC_SAT_BIG,
  COLD_CONVERT_U64, /* at least 2^63 */
} ColdKind;

/* Code that is rarely needed: it is entered at `label` and goes on at `back`. */
typedef struct Cold {
  ColdKind kind;
  const Ins *ins;
  uint32_t label, back, handler;
  uint8_t trap;
} Cold;

typedef struct JumpTable {
  uint32_t label;
  const MBlock *block;
} JumpTable;

typedef struct Emit {
  Mach *f;
  Arena *arena;
  Asm out;
  InstanceLayout layout;
  VEC(uint32_t) labels;
  VEC(Jump) jumps;
  VEC(CodeSite) sites;
  VEC(Cold) colds;
  VEC(uint32_t) aligned;
  VEC(JumpTable) tables;
  uint32_t frame, param_bytes, slots_at;
  uint32_t adjust; /* bytes of arguments below the frame */
  uint32_t block, next_block;
  uint32_t last_site, last_cold; /* of the last call: 1 + index, or 0 */
} Emit;

static inline uint32_t emit_link(LinkKind kind, uint32_t index) {
  return LABEL_LINK | (uint32_t)kind << 28 | index;
}
uint32_t emit_label(Emit *e);
void emit_bind(Emit *e, uint32_t label);
void emit_jump(Emit *e, uint32_t label);
void emit_jump_if(Emit *e, unsigned cc, uint32_t label);
void emit_site(Emit *e, Trap trap, uint32_t place);
Cold *emit_cold(Emit *e, ColdKind kind, const Ins *ins);
void emit_trap(Emit *e, Trap trap, uint32_t offset);
uint32_t emit_trap_label(Emit *e, Trap trap, const Ins *ins);
uint32_t emit_target(const Emit *e, uint32_t b);
void emit_goto(Emit *e, uint32_t b);

typedef struct EmitSource {
  int kind; /* SOURCE_x */
  unsigned reg;
  int32_t imm;
  bool is_slot;
  unsigned from_address; /* index of the address' first use */
  Mem mem;
} EmitSource;
unsigned emit_reg(const Operand *operand);
Mem emit_slot(const Emit *e, uint32_t slot);
Mem emit_constant(Emit *e, uint64_t low, uint64_t high, unsigned size);
Mem emit_address(Emit *e, const Ins *ins, unsigned first);
EmitSource emit_source(Emit *e, const Ins *ins, unsigned index);
Mem emit_source_mem(Emit *e, const Ins *ins, const EmitSource *source);
void emit_int_const(Emit *e, unsigned to, uint64_t imm);
void emit_float_const(Emit *e, unsigned to, uint64_t low, uint64_t high, unsigned size);

void emit_ins(Emit *e, const Ins *ins); /* emit_ins.c */
void emit_compare(Emit *e, const Ins *ins, unsigned first);
bool emit_number(Emit *e, const Ins *ins); /* emit_number.c: several instructions each */
void emit_cold_number(Emit *e, const Cold *cold);
bool emit_call(Emit *e, const Ins *ins);    /* emit_call.c */
void emit_poll_flag(Emit *e, unsigned reg); /* its address */
void emit_cold_subtype(Emit *e, const Cold *cold);

#endif
