/* encode.h - writes x86-64 instructions.
 *
 * An instruction is a row of encode.def, packed into one word. Registers are numbers of 0 to 15 of
 * either file. Sizes of integer operands are 1, 2, 4 or 8 bytes. Nothing here knows about values or
 * frames.
 */
#ifndef RILLE_JIT_X64_ENCODE_H
#define RILLE_JIT_X64_ENCODE_H

#include "../../base/arena.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

/* Condition codes, as the processor numbers them; a code with bit 0 flipped is the opposite. */
enum {
  CC_O,
  CC_NO,
  CC_B,
  CC_AE,
  CC_E,
  CC_NE,
  CC_BE,
  CC_A,
  CC_S,
  CC_NS,
  CC_P,
  CC_NP,
  CC_L,
  CC_GE,
  CC_LE,
  CC_G,
};

enum { /* the number of an arithmetic group */
       ALU_ADD,
       ALU_OR,
       ALU_ADC,
       ALU_SBB,
       ALU_AND,
       ALU_SUB,
       ALU_XOR,
       ALU_CMP
};
enum { SHIFT_ROL = 0, SHIFT_ROR = 1, SHIFT_SHL = 4, SHIFT_SHR = 5, SHIFT_SAR = 7 };
enum { F7_NOT = 2, F7_NEG = 3, F7_MUL = 4, F7_IMUL = 5, F7_DIV = 6, F7_IDIV = 7 };
enum { VECTOR_SRL = 2, VECTOR_BYTES_SRL = 3, VECTOR_SRA = 4, VECTOR_SLL = 6, VECTOR_BYTES_SLL = 7 };

/* Packed rows: opcode, map << 8, prefix << 10, flags << 12 */
enum {
  ENC_W = 1 << 12,
  ENC_BYTE = 1 << 13,
  ENC_IMM8 = 1 << 14,
  ENC_VECTOR = 1 << 15,
  ENC_NDS = 1 << 16,
  ENC_VEX = 1 << 17,
  ENC_STORES = 1 << 18,
};
#define ENC_PREFIX(byte) ((byte) == 0x66 ? 1 : (byte) == 0xF3 ? 2 : (byte) == 0xF2 ? 3 : 0)
typedef enum Enc {
#define W ENC_W
#define B ENC_BYTE
#define I ENC_IMM8
#define S ENC_VECTOR
#define N ENC_NDS
#define V ENC_VEX
#define M ENC_STORES
#define X(name, text, prefix, map, opcode, flags) \
  ENC_##name = (opcode) | (map) << 8 | ENC_PREFIX(prefix) << 10 | (flags),
#include "encode.def"
#undef W
#undef B
#undef I
#undef S
#undef N
#undef V
#undef M
} Enc;

enum { MEM_NO_BASE = 0xFF, MEM_RIP = 0xFE, MEM_NO_INDEX = 0xFF };

/* base + index << scale + disp; or a label's address + disp */
typedef struct Mem {
  uint8_t base, index, scale;
  uint8_t tail; /* bytes of the instruction behind the displacement; for labels only */
  int32_t disp;
  uint32_t label;
} Mem;

/* A displacement to be filled in when labels have addresses: that of the label, from the end of the
 * instruction, is added to what stands there. */
typedef struct Fixup {
  uint32_t at, label;
  uint8_t tail;
} Fixup;

typedef struct Asm {
  Buf code;
  VEC(Fixup) fixups;
  bool has_avx;
} Asm;

void asm_init(Asm *out, Arena *arena, bool has_avx);
static inline uint32_t asm_at(const Asm *out) {
  return (uint32_t)out->code.size;
}
static inline Mem mem_at(unsigned base, int32_t disp) {
  return (Mem){.base = (uint8_t)base, .index = MEM_NO_INDEX, .disp = disp};
}
static inline Mem mem_label(uint32_t label) {
  return (Mem){.base = MEM_RIP, .index = MEM_NO_INDEX, .label = label};
}

/* A row with size 8 is written with REX.W, with size 2 behind a prefix. `reg` is the register
 * field, the destination unless the row stores. */
void enc_rr(Asm *out, Enc row, unsigned size, unsigned reg, unsigned rm);
void enc_rm(Asm *out, Enc row, unsigned size, unsigned reg, Mem mem);
/* VEX only, with a second source between destination and operand; SHLX and its like count by it. */
void enc_vrr(Asm *out, Enc row, unsigned size, unsigned reg, unsigned second, unsigned rm);
void enc_vrm(Asm *out, Enc row, unsigned size, unsigned reg, unsigned second, Mem mem);
/* Vector rows: with VEX when there is AVX; without, reg has to be `second` where the row has one.
 * Rows with an immediate are followed by asm_byte. */
void enc_sse_rr(Asm *out, Enc row, unsigned reg, unsigned second, unsigned rm);
void enc_sse_rm(Asm *out, Enc row, unsigned reg, unsigned second, Mem mem);
/* Shifts of lanes by an immediate: opcode 0x71 words, 0x72 doublewords, 0x73 quadwords. */
void enc_vector_shift(Asm *out, unsigned opcode, unsigned group, unsigned reg, unsigned from,
                      unsigned count);

/* Opcodes whose register field is a number */
void enc_group_r(Asm *out, unsigned opcode, unsigned size, unsigned group, unsigned rm);
void enc_group_m(Asm *out, unsigned opcode, unsigned size, unsigned group, Mem mem);

void enc_alu_rr(Asm *out, unsigned alu, unsigned size, unsigned reg, unsigned rm);
void enc_alu_rm(Asm *out, unsigned alu, unsigned size, unsigned reg, Mem mem);
void enc_alu_mr(Asm *out, unsigned alu, unsigned size, Mem mem, unsigned reg);
void enc_alu_ri(Asm *out, unsigned alu, unsigned size, unsigned reg, int32_t imm);
void enc_alu_mi(Asm *out, unsigned alu, unsigned size, Mem mem, int32_t imm);
void enc_test_ri(Asm *out, unsigned size, unsigned reg, int32_t imm);
void enc_test_mi(Asm *out, unsigned size, Mem mem, int32_t imm);
void enc_imul_rri(Asm *out, unsigned size, unsigned reg, unsigned rm, int32_t imm);
void enc_imul_rmi(Asm *out, unsigned size, unsigned reg, Mem mem, int32_t imm);
void enc_shift_ri(Asm *out, unsigned shift, unsigned size, unsigned reg, unsigned count);
void enc_shift_cl(Asm *out, unsigned shift, unsigned size, unsigned reg);
void enc_mov_ri(Asm *out, unsigned reg, uint64_t imm); /* all 64 bits; leaves the flags alone */
void enc_mov_mi(Asm *out, unsigned size, Mem mem, int32_t imm);
void enc_bt_ri(Asm *out, unsigned size, unsigned reg, unsigned bit);
void enc_cmov_rr(Asm *out, unsigned cc, unsigned size, unsigned reg, unsigned rm);
void enc_cmov_rm(Asm *out, unsigned cc, unsigned size, unsigned reg, Mem mem);
void enc_set(Asm *out, unsigned cc, unsigned reg);
void enc_push(Asm *out, unsigned reg);
void enc_pop(Asm *out, unsigned reg);
void enc_cdq(Asm *out, unsigned size); /* sign of rax into rdx */
void enc_ret(Asm *out, unsigned pop_bytes);
void enc_lock(Asm *out);
void enc_mfence(Asm *out);
void enc_ud2(Asm *out);
void enc_nops(Asm *out, unsigned n);
void enc_call_m(Asm *out, Mem mem);
void enc_call_r(Asm *out, unsigned reg);
void enc_jmp_m(Asm *out, Mem mem);
void enc_jmp_r(Asm *out, unsigned reg);
/* To a label, always with a 32-bit distance. */
void enc_call_label(Asm *out, uint32_t label);
void enc_jmp_label(Asm *out, uint32_t label);
void enc_jcc_label(Asm *out, unsigned cc, uint32_t label);

void asm_byte(Asm *out, unsigned byte);
void asm_u32(Asm *out, uint32_t word);

#endif
