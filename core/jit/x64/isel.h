/* isel.h - from placed IR to machine instructions of x86-64.
 */
#ifndef RILLE_JIT_X64_ISEL_H
#define RILLE_JIT_X64_ISEL_H

#include "../../runtime/instance.h"
#include "../mach.h"
#include "encode.h"

typedef enum Mop {
#define MOP(name) MOP_##name,
#include "mop.def"
  MOP_COUNT
} Mop;

/* How a compare sets the flags: Ins.compare of SET, SELECT, BRANCH, TRAP_IF. */
enum { COMPARE_CMP, COMPARE_TEST, COMPARE_FLOAT, COMPARE_BIT, COMPARE_PTEST };
/* Condition codes beyond the processor's: floats equal, not equal or unordered. */
enum { CC_FLOAT_EQ = 16, CC_FLOAT_NE = 17 };

enum { DIV_S, DIV_U, REM_S, REM_U };
/* Conversions from floats: sub = bits of these. */
enum { TRUNC_FROM_F64 = 1, TRUNC_TO_I64 = 2, TRUNC_UNSIGNED = 4 };

/* What an operand of an instruction can be. */
typedef struct Address {
  uint8_t base; /* BASE_x */
  VReg base_reg, index;
  uint8_t scale;
  int32_t disp;
  uint32_t pool; /* BASE_POOL: in Mach.pool */
  bool faults;   /* guest memory: out of bounds is a fault */
  uint32_t at;   /* of the load that was folded, or 0 */
} Address;

typedef struct Source {
  enum { SOURCE_REG, SOURCE_IMM, SOURCE_MEM } kind;
  VReg v;
  int32_t imm;
  Address mem;
  bool may_be_slot;
} Source;

typedef struct Isel {
  Mach *f;
  const Ir *ir;
  Arena *arena;
  VReg *vreg_of;           /* by node */
  uint8_t *state;          /* by node: WANTED, FOLDED */
  uint32_t *place;         /* by node: where it stands in its block's list, + 1 */
  VEC(Ins) group;          /* of the node being lowered, in order */
  VEC(Ins) list;           /* of the block, last first */
  Block block;             /* of the Ir */
  uint32_t effects_before; /* index in the block's list of the last effect before the node, + 1 */
  uint32_t *last_effect;   /* by index in the block's list: last effect before, + 1 */
  uint32_t room_last_effect;
  uint32_t at;      /* of the node being lowered */
  bool is_repeated; /* a comparison that is made elsewhere too: loads stay where they are */
  VReg *poll_flag;  /* by preheader of an outermost loop: the address of the flag, or 0 */
  VReg result_area; /* r11 at entry, when results go to memory */
  InstanceLayout layout;
} Isel;

/* isel.c, for the other files */
VReg isel_value(Isel *s, Ref ref);    /* in a register */
VReg isel_value32(Isel *s, Ref ref);  /* the same; its upper half may be anything */
VReg isel_anywhere(Isel *s, Ref ref); /* for operands that are copied to their place */
VReg isel_def(Isel *s, Ref ref);      /* the register the node makes */
Source isel_source(Isel *s, Ref ref, unsigned size);
Source isel_source_reg(VReg v);
Address isel_address(Isel *s, const Node *node);
const Node *isel_node(const Isel *s, Ref *ref); /* behind zero-extensions, which cost nothing */
/* A float's or vector's constant, in the pool. */
Source isel_pool(Isel *s, uint64_t low, uint64_t high, unsigned size);

Ins *isel_begin(Isel *s, Mop op, unsigned size);
void isel_add_def(Isel *s, Ins *ins, VReg v);
void isel_add_def_fixed(Isel *s, Ins *ins, VReg v, unsigned reg);
void isel_add_use(Isel *s, Ins *ins, VReg v);
void isel_add_use_fixed(Isel *s, Ins *ins, VReg v, unsigned reg);
void isel_add_source(Isel *s, Ins *ins, Source source);
void isel_add_address(Isel *s, Ins *ins, Address address);
void isel_add_temp(Isel *s, Ins *ins, unsigned type);

VReg isel_sse(Isel *s, Enc row, VReg d, VReg a, Source b, unsigned imm8); /* d 0: a new one */
VReg isel_get(Isel *s, Enc row, unsigned size, VReg d, Source source, unsigned imm8);
VReg isel_new(Isel *s, unsigned type);
void isel_let_commute(Isel *s); /* the instruction just made, unless one operand is in memory */

/* isel_simd.c: true when it lowered the node */
bool isel_simd(Isel *s, Ref ref, const Node *node);
/* isel_call.c */
bool isel_call(Isel *s, Ref ref, const Node *node);
void isel_put(Isel *s, VReg v, Address address); /* a whole value */
VReg isel_get_value(Isel *s, VReg d, Address address);
bool isel_is_wanted(const Isel *s, Ref ref);
void isel_params(Isel *s);

Mach *isel_run(const Ir *ir, const JitTarget *target, Arena *arena);

#endif
