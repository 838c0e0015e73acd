/* mach.h - machine instructions over virtual registers, and what the passes over them share.
 *
 * isel.c of the processor makes them from a placed Ir; then live (next uses), spill (what is in
 * registers where, Braun & Hack 2009), slots, color (which register, block by block in reverse
 * post-order), moves (parallel copies) and the processor's emit.c. Everything lives in the arena of
 * one compilation.
 *
 * A virtual register is assigned once, and may be in a register in some places and in its frame
 * slot in others: reloads make no new names. Blocks: an edge from a block with several successors
 * to one with several predecessors is split, so that code for an edge always goes to the end of a
 * block with one successor. Virtual register 0 and block 0 are "none".
 */
#ifndef RILLE_JIT_MACH_H
#define RILLE_JIT_MACH_H

#include "ir.h"
#include "x64/abi.h"

typedef uint32_t VReg;

enum { CLASS_INT, CLASS_FLOAT, CLASSES };

enum {           /* VRegInfo.kind */
       V_PLAIN,  /* made by an instruction or a phi */
       V_REMADE, /* its instruction has no operands and no effect: done again instead of reloaded */
       V_CONST,  /* no instruction: `value`; only operands that may be anywhere name it */
};

typedef struct VRegInfo {
  uint8_t type; /* KIND_x */
  uint8_t kind;
  uint8_t hint;          /* a register it would be good to have it in, or REG_NONE */
  bool is_spilled;       /* has a slot */
  bool is_stored_at_def; /* which is written right after the definition */
  bool is_memory_phi;    /* which is written by the edges */
  uint8_t home;          /* the register it was last given, or REG_NONE */
  bool is_phi;
  VReg friend; /* a phi it flows into, or an argument of the phi: same register if possible */
  uint32_t slot;
  uint32_t def;   /* V_REMADE: index of the instruction */
  uint32_t block; /* where it is made */
  uint64_t value; /* V_CONST; of V_CONST v128: index into Ir.vectors */
} VRegInfo;

enum {                     /* Operand.flags */
       OPERAND_ANY = 1,    /* use: copied to `fixed` or the stack from wherever it is */
       OPERAND_STACK = 2,  /* ANY: goes to the outgoing arguments, at `offset` */
       OPERAND_MEM = 4,    /* use: a frame slot will do as well as a register */
       OPERAND_SLOT = 8,   /* set by spill.c: it is read from its slot */
       OPERAND_DROPS = 32, /* set by spill.c: its value gives up its register behind this use */
       OPERAND_EARLY = 16, /* def or temporary: written before all uses are read */
};

typedef struct Operand {
  VReg v;
  uint8_t fixed; /* the register it must be in, or REG_NONE */
  uint8_t flags;
  uint8_t reg;     /* set by color.c */
  uint32_t next;   /* set by live.c: position of the next use behind this instruction, or NEVER */
  uint32_t offset; /* OPERAND_STACK */
} Operand;

enum { NEVER = UINT32_MAX };

enum {                   /* Ins.flags */
       INS_TIED = 1,     /* the first definition takes the register of the first use */
       INS_COMMUTES = 2, /* the first two uses may be exchanged */
       INS_CALL = 4,     /* destroys all registers once its uses are read */
       INS_LEAVES = 8,  /* its uses are copied to where they are wanted, and the function is left */
       INS_FAULTS = 32, /* its memory operand is the guest's */
       INS_GOTO = 16,   /* ends a block with one successor: no operands */
};

enum {                  /* Ins.base: what its address starts from */
       BASE_NO_ADDRESS, /* the instruction has no memory operand */
       BASE_NOTHING,
       BASE_VREG,
       BASE_MEMORY,
       BASE_INSTANCE,
       BASE_POOL,
       BASE_RESULTS,
       BASE_PARAMS,
};

/* Operands in f->operands: definitions, uses (the address' base and index last), temporaries. */
typedef struct Ins {
  uint16_t op;  /* MOP_x of the processor */
  uint8_t size; /* of the operation in bytes */
  uint8_t cc;
  uint8_t sub;
  uint8_t base;
  bool has_index, has_imm; /* imm is the source */
  uint8_t scale;
  uint8_t compare; /* COMPARE_x */
  uint8_t trap;
  uint32_t row; /* ENC_x */
  int32_t disp;
  uint64_t imm;
  uint32_t pool; /* BASE_POOL: index of the constant in Mach.pool */
  uint32_t operands;
  uint16_t n_defs, n_uses, n_temps;
  uint16_t flags;
  uint32_t imm_bytes; /* calls: of arguments on the stack */
  uint32_t clobbers;  /* registers destroyed before all uses are read */
  uint32_t at;
} Ins;

typedef struct LiveItem {
  VReg v;
  uint32_t next; /* distance from the block's start */
} LiveItem;

typedef struct RegItem {
  VReg v;
  uint8_t reg;
} RegItem;

/* What spill.c decided on, before an instruction of the block: first some values leave their
 * registers, then others are loaded into one. */
typedef struct SpillEvent {
  uint32_t ins;
  VReg v;
  bool is_reload;
} SpillEvent;

enum {
  STEP_INS,
  STEP_MOVE,
  STEP_SWAP,
  STEP_SPILL,
  STEP_RELOAD,
  STEP_CONST,
  STEP_REMAKE,
  STEP_SLOT_TO_SLOT,
  STEP_CONST_TO_SLOT,
  STEP_OUT,
  STEP_SLOT_TO_OUT,
  STEP_CONST_TO_OUT,
  STEP_ADJUST
};

/* What is emitted: an instruction, or a move of one value. */
typedef struct Step {
  uint8_t kind;
  uint8_t to, from; /* registers */
  uint8_t type;     /* KIND_x of what moves */
  uint32_t x, y;    /* instruction, slot, constant; target slot or offset */
} Step;

typedef VEC(VReg) VRegs;

typedef struct MBlock {
  uint32_t first, n; /* instructions */
  uint32_t *preds, *succs;
  uint32_t n_preds, n_succs;
  uint32_t pred_index; /* with one successor: its number among the predecessors of that */
  VReg *phis;          /* those that are used */
  uint32_t n_phis;
  VReg **phi_args;    /* for each predecessor: one for each phi */
  uint32_t *phi_next; /* next use of each phi from the block's start */
  uint32_t idom, loop, rpo;
  uint32_t dom_first, dom_last; /* numbers in the dominator tree: of itself, of the last below it */
  uint16_t depth;
  bool is_cold, is_loop_header;
  bool is_edge, is_ordered; /* made by splitting; has its place in the order */
  /* live */
  uint32_t length; /* with calls counted as far */
  LiveItem *live;
  uint32_t n_live;
  uint32_t pressure[CLASSES]; /* of a loop header: in the whole loop */
  bool has_call;              /* the same */
  /* spill */
  VReg *entry_set, *exit_set; /* in registers; phis included */
  uint32_t n_entry, n_exit;
  SpillEvent *events;
  uint32_t n_events;
  VRegs stores; /* put into their slots at the block's start */
  /* color */
  RegItem *entry_regs, *exit_regs;        /* in the order of the sets */
  uint32_t first_step, n_steps;           /* without a last GOTO */
  uint32_t first_edge_step, n_edge_steps; /* before the GOTO */
  uint32_t pos;                           /* of its start, in the order of emission */
} MBlock;

enum { FAR = 1000, EXIT_FAR = 100000 }; /* distances of uses behind a call, behind a loop */

/* What the compilation is for. */
typedef struct JitTarget {
  bool has_avx, has_bmi1, has_bmi2, has_lzcnt, has_popcnt, has_sse42;
  bool uses_signals;
  uint32_t random_seed; /* not 0: an attack build's legal but odd choices */
} JitTarget;

typedef struct PoolItem {
  uint64_t low, high;
  uint32_t size, label; /* label: set by emit.c */
} PoolItem;

typedef struct Mach {
  Arena *arena;
  const Ir *ir;
  const JitTarget *target;
  VRegInfo *vregs;
  uint8_t *classes; /* by virtual register: CLASS_x; small, since all passes ask for it */
  uint32_t n_vregs, room_vregs, room_classes;
  Operand *operands;
  uint32_t n_operands, room_operands;
  Ins *ins;
  uint32_t n_ins, room_ins;
  MBlock *blocks;
  uint32_t n_blocks;
  uint32_t *order; /* of emission */
  uint32_t *rpo;   /* blocks in reverse post-order */
  uint32_t n_order;
  VEC(PoolItem) pool;
  uint32_t n_slots;      /* of 8 bytes */
  uint32_t result_bytes; /* of the frame's area for results in memory */
  bool has_calls, keeps_result_area;
  uint32_t random; /* state of the attack's generator */
  Step *steps;
  uint32_t n_steps, room_steps;
  uint32_t *move_readers, *move_writers, move_room; /* scratch of moves.c */
} Mach;

#define MACH_BLOCK(f, b)     (&(f)->blocks[b])
#define INS_OPERANDS(f, ins) (&(f)->operands[(ins)->operands])

static inline unsigned class_of_kind(unsigned kind) {
  return kind == KIND_F32 || kind == KIND_F64 || kind == KIND_V128 ? CLASS_FLOAT : CLASS_INT;
}
static inline unsigned mach_class(const Mach *f, VReg v) {
  return f->classes[v];
}
static inline unsigned class_of_reg(unsigned reg) {
  return reg >= REG_XMM0 ? CLASS_FLOAT : CLASS_INT;
}
uint32_t mach_random(Mach *f); /* of the attack build */
static inline bool mach_dominates(const Mach *f, uint32_t a, uint32_t b) {
  return f->blocks[a].dom_first <= f->blocks[b].dom_first &&
         f->blocks[b].dom_first <= f->blocks[a].dom_last;
}

VReg mach_vreg(Mach *f, unsigned type);
/* Ends the compilation: a pass broke what the next one relies on. */
_Noreturn void mach_fail(const Mach *f, const char *what);

/* Registers that values may be in: all but rsp, r14, r15 and xmm15. */
#define REGS_INT   0x3FEFu
#define REGS_FLOAT 0x7FFF0000u
#define REGS_ALL   (REGS_INT | REGS_FLOAT)
enum { N_REGS_INT = 13, N_REGS_FLOAT = 15 };

void live_run(Mach *f);
void spill_run(Mach *f);
void slots_run(Mach *f);
void color_run(Mach *f);
/* NULL, or what is wrong with the result: every use finds its value. */
const char *check_regs_run(const Mach *f, Arena *arena);

/* moves.c: a parallel copy. Constants and remade values are written last. */
enum { PLACE_REG, PLACE_SLOT, PLACE_CONST, PLACE_REMADE, PLACE_OUT };
typedef struct Move {
  uint8_t to_kind, from_kind;
  uint8_t type;
  uint32_t to, from; /* register, slot, virtual register, offset */
} Move;
/* `free`: integer registers that hold nothing but what the moves name. */
void moves_emit(Mach *f, Move *moves, uint32_t n, uint32_t free);
void mach_step(Mach *f, Step step);

void mach_print(const Mach *f, Buf *out);
const char *mach_op_text(unsigned op); /* of the processor */

#endif
