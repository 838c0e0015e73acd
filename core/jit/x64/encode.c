/* encode.c - prefixes, ModRM, SIB and displacements. Intel's manual, volume 2, chapter 2.
 */
#if defined(__x86_64__)
#include "encode.h"

void asm_init(Asm *out, Arena *arena, bool has_avx) {
  *out = (Asm){.has_avx = has_avx};
  buf_init(&out->code, arena);
}

/* An instruction has at most 15 bytes: room for it is made once, at its start. */
static uint8_t *begin(Asm *out) {
  buf_reserve(&out->code, 24);
  return out->code.at + out->code.size;
}

static void end(Asm *out, const uint8_t *at) {
  out->code.size = (size_t)(at - out->code.at);
}

static uint8_t *put_u32(uint8_t *at, uint32_t word) {
  store_u32(at, word);
  return at + 4;
}

void asm_byte(Asm *out, unsigned byte) {
  uint8_t *at = begin(out);
  *at++ = (uint8_t)byte;
  end(out, at);
}

void asm_u32(Asm *out, uint32_t word) {
  end(out, put_u32(begin(out), word));
}

static uint8_t *put_imm(uint8_t *at, unsigned size, int32_t imm) {
  if (size == 1) {
    *at++ = (uint8_t)imm;
    return at;
  }
  if (size == 2) {
    store_u16(at, (uint16_t)imm);
    return at + 2;
  }
  return put_u32(at, (uint32_t)imm);
}

static void add_fixup(Asm *out, const uint8_t *at, uint32_t label, unsigned tail) {
  Fixup fixup = {(uint32_t)(at - out->code.at), label, (uint8_t)tail};
  VEC_PUSH(out->code.arena, &out->fixups, fixup);
}

/* Operand fields */

static uint8_t *put_rr(uint8_t *at, unsigned reg, unsigned rm) {
  *at++ = (uint8_t)(0xC0 | (reg & 7) << 3 | (rm & 7));
  return at;
}

static uint8_t *put_mem(Asm *out, uint8_t *at, unsigned reg, Mem mem) {
  unsigned field = (reg & 7) << 3;
  if (mem.base == MEM_RIP) {
    *at++ = (uint8_t)(field | 5);
    add_fixup(out, at, mem.label, mem.tail);
    return put_u32(at, (uint32_t)mem.disp);
  }
  if (mem.base == MEM_NO_BASE) {
    *at++ = (uint8_t)(field | 4);
    unsigned index = mem.index == MEM_NO_INDEX ? 4 : mem.index;
    *at++ = (uint8_t)((unsigned)mem.scale << 6 | (index & 7) << 3 | 5);
    return put_u32(at, (uint32_t)mem.disp);
  }
  unsigned mode = mem.disp == 0 && (mem.base & 7) != RBP ? 0 : (int8_t)mem.disp == mem.disp ? 1 : 2;
  bool has_sib = mem.index != MEM_NO_INDEX || (mem.base & 7) == RSP;
  *at++ = (uint8_t)(mode << 6 | field | (has_sib ? 4u : mem.base & 7u));
  if (has_sib) {
    unsigned index = mem.index == MEM_NO_INDEX ? 4 : mem.index;
    *at++ = (uint8_t)((unsigned)mem.scale << 6 | (index & 7) << 3 | (mem.base & 7));
  }
  if (mode == 1) *at++ = (uint8_t)mem.disp;
  if (mode == 2) at = put_u32(at, (uint32_t)mem.disp);
  return at;
}

static unsigned high_bit(unsigned reg) {
  return reg < 16 ? reg >> 3 & 1 : 0;
}

/* Prefixes and opcode without VEX. `rex` has the bits of R, X and B. */
static uint8_t *put_opcode(uint8_t *at, unsigned row, unsigned size, unsigned rex, bool needs_rex) {
  static const uint8_t prefixes[] = {0, 0x66, 0xF3, 0xF2};
  unsigned prefix = row >> 10 & 3, map = row >> 8 & 3;
  if (size == 2) *at++ = 0x66;
  if (prefix != 0) *at++ = prefixes[prefix];
  if (size == 8 || (row & ENC_W)) rex |= 8;
  if (rex != 0 || needs_rex) *at++ = (uint8_t)(0x40 | rex);
  if (map != 0) *at++ = 0x0F;
  if (map == 2) *at++ = 0x38;
  if (map == 3) *at++ = 0x3A;
  *at++ = (uint8_t)row;
  return at;
}

/* spl, bpl, sil and dil need a REX prefix. */
static bool is_high_byte(unsigned reg) {
  return reg >= RSP && reg <= RDI;
}

void enc_rr(Asm *out, Enc row, unsigned size, unsigned reg, unsigned rm) {
  bool needs_rex = false;
  if (row & ENC_BYTE) {
    bool is_extension = (row >> 8 & 3) == 1 && !(row & ENC_STORES);
    needs_rex = is_high_byte(rm) || (!is_extension && is_high_byte(reg));
  }
  uint8_t *at = begin(out);
  at = put_opcode(at, row, size, high_bit(reg) << 2 | high_bit(rm), needs_rex);
  end(out, put_rr(at, reg, rm));
}

static unsigned mem_rex(Mem mem) {
  return high_bit(mem.index) << 1 | high_bit(mem.base);
}

void enc_rm(Asm *out, Enc row, unsigned size, unsigned reg, Mem mem) {
  bool needs_rex = (row & ENC_BYTE) && (row & ENC_STORES) && is_high_byte(reg);
  uint8_t *at = begin(out);
  at = put_opcode(at, row, size, high_bit(reg) << 2 | mem_rex(mem), needs_rex);
  end(out, put_mem(out, at, reg, mem));
}

/* VEX: the short form knows map 1 only, and neither W, X nor B. */
static uint8_t *put_vex(uint8_t *at, unsigned row, bool w, unsigned rex, unsigned second) {
  unsigned prefix = row >> 10 & 3, map = row >> 8 & 3;
  unsigned low = (~second & 15) << 3 | prefix;
  if (map == 1 && !w && !(rex & 3)) {
    *at++ = 0xC5;
    *at++ = (uint8_t)((rex & 4 ? 0 : 0x80u) | low);
  } else {
    *at++ = 0xC4;
    *at++ = (uint8_t)((~rex & 7) << 5 | map);
    *at++ = (uint8_t)((w ? 0x80u : 0) | low);
  }
  *at++ = (uint8_t)row;
  return at;
}

void enc_vrr(Asm *out, Enc row, unsigned size, unsigned reg, unsigned second, unsigned rm) {
  bool w = size == 8 || (row & ENC_W);
  uint8_t *at = put_vex(begin(out), row, w, high_bit(reg) << 2 | high_bit(rm), second);
  end(out, put_rr(at, reg, rm));
}

void enc_vrm(Asm *out, Enc row, unsigned size, unsigned reg, unsigned second, Mem mem) {
  bool w = size == 8 || (row & ENC_W);
  uint8_t *at = put_vex(begin(out), row, w, high_bit(reg) << 2 | mem_rex(mem), second);
  end(out, put_mem(out, at, reg, mem));
}

void enc_sse_rr(Asm *out, Enc row, unsigned reg, unsigned second, unsigned rm) {
  if (out->has_avx || (row & ENC_VEX)) {
    enc_vrr(out, row, 4, reg, row & ENC_NDS ? second : 0, rm);
  } else {
    enc_rr(out, row, 4, reg, rm);
  }
}

void enc_sse_rm(Asm *out, Enc row, unsigned reg, unsigned second, Mem mem) {
  if (out->has_avx || (row & ENC_VEX)) {
    enc_vrm(out, row, 4, reg, row & ENC_NDS ? second : 0, mem);
  } else {
    enc_rm(out, row, 4, reg, mem);
  }
}

void enc_vector_shift(Asm *out, unsigned opcode, unsigned group, unsigned reg, unsigned from,
                      unsigned count) {
  unsigned row = opcode | 1 << 8 | 1 << 10;
  uint8_t *at = begin(out);
  if (out->has_avx) {
    at = put_rr(put_vex(at, row, false, high_bit(from), reg), group, from);
  } else {
    at = put_rr(put_opcode(at, row, 4, high_bit(reg), false), group, reg);
  }
  *at++ = (uint8_t)count;
  end(out, at);
}

/* Opcodes with a number in the register field: even ones are for bytes. */

void enc_group_r(Asm *out, unsigned opcode, unsigned size, unsigned group, unsigned rm) {
  bool needs_rex = size == 1 && is_high_byte(rm);
  uint8_t *at = put_opcode(begin(out), opcode, size, high_bit(rm), needs_rex);
  end(out, put_rr(at, group, rm));
}

void enc_group_m(Asm *out, unsigned opcode, unsigned size, unsigned group, Mem mem) {
  uint8_t *at = put_opcode(begin(out), opcode, size, mem_rex(mem), false);
  end(out, put_mem(out, at, group, mem));
}

static Enc alu_row(unsigned opcode, unsigned size, bool stores) {
  unsigned row = size == 1 ? (opcode & ~1u) | ENC_BYTE : opcode;
  return (Enc)(row | (stores ? ENC_STORES : 0));
}

void enc_alu_rr(Asm *out, unsigned alu, unsigned size, unsigned reg, unsigned rm) {
  enc_rr(out, alu_row(alu << 3 | 3, size, false), size, reg, rm);
}

void enc_alu_rm(Asm *out, unsigned alu, unsigned size, unsigned reg, Mem mem) {
  bool byte = size == 1 && is_high_byte(reg);
  uint8_t *at = put_opcode(begin(out), alu << 3 | (size == 1 ? 2 : 3), size,
                           high_bit(reg) << 2 | mem_rex(mem), byte);
  end(out, put_mem(out, at, reg, mem));
}

void enc_alu_mr(Asm *out, unsigned alu, unsigned size, Mem mem, unsigned reg) {
  enc_rm(out, alu_row(alu << 3 | 1, size, true), size, reg, mem);
}

static bool fits_byte(int32_t imm) {
  return imm == (int8_t)imm;
}

static void put_group_ri(Asm *out, unsigned opcode, unsigned size, unsigned group, unsigned reg,
                         unsigned imm_size, int32_t imm) {
  enc_group_r(out, opcode, size, group, reg);
  end(out, put_imm(begin(out), imm_size, imm));
}

static void put_group_mi(Asm *out, unsigned opcode, unsigned size, unsigned group, Mem mem,
                         unsigned imm_size, int32_t imm) {
  mem.tail = (uint8_t)imm_size;
  enc_group_m(out, opcode, size, group, mem);
  end(out, put_imm(begin(out), imm_size, imm));
}

static unsigned imm_size_of(unsigned size) {
  return MIN(size, 4u);
}

void enc_alu_ri(Asm *out, unsigned alu, unsigned size, unsigned reg, int32_t imm) {
  if (size == 1) {
    put_group_ri(out, 0x80, 1, alu, reg, 1, imm);
  } else if (fits_byte(imm)) {
    put_group_ri(out, 0x83, size, alu, reg, 1, imm);
  } else {
    put_group_ri(out, 0x81, size, alu, reg, imm_size_of(size), imm);
  }
}

void enc_alu_mi(Asm *out, unsigned alu, unsigned size, Mem mem, int32_t imm) {
  if (size == 1) {
    put_group_mi(out, 0x80, 1, alu, mem, 1, imm);
  } else if (fits_byte(imm)) {
    put_group_mi(out, 0x83, size, alu, mem, 1, imm);
  } else {
    put_group_mi(out, 0x81, size, alu, mem, imm_size_of(size), imm);
  }
}

void enc_test_ri(Asm *out, unsigned size, unsigned reg, int32_t imm) {
  put_group_ri(out, size == 1 ? 0xF6 : 0xF7, size, 0, reg, imm_size_of(size), imm);
}

void enc_test_mi(Asm *out, unsigned size, Mem mem, int32_t imm) {
  put_group_mi(out, size == 1 ? 0xF6 : 0xF7, size, 0, mem, imm_size_of(size), imm);
}

void enc_imul_rri(Asm *out, unsigned size, unsigned reg, unsigned rm, int32_t imm) {
  unsigned imm_size = fits_byte(imm) ? 1 : 4;
  enc_rr(out, (Enc)(imm_size == 1 ? 0x6B : 0x69), size, reg, rm);
  end(out, put_imm(begin(out), imm_size, imm));
}

void enc_imul_rmi(Asm *out, unsigned size, unsigned reg, Mem mem, int32_t imm) {
  unsigned imm_size = fits_byte(imm) ? 1 : 4;
  mem.tail = (uint8_t)imm_size;
  enc_rm(out, (Enc)(imm_size == 1 ? 0x6B : 0x69), size, reg, mem);
  end(out, put_imm(begin(out), imm_size, imm));
}

void enc_shift_ri(Asm *out, unsigned shift, unsigned size, unsigned reg, unsigned count) {
  if (count == 1) {
    enc_group_r(out, 0xD1, size, shift, reg);
  } else {
    put_group_ri(out, 0xC1, size, shift, reg, 1, (int32_t)count);
  }
}

void enc_shift_cl(Asm *out, unsigned shift, unsigned size, unsigned reg) {
  enc_group_r(out, 0xD3, size, shift, reg);
}

void enc_mov_ri(Asm *out, unsigned reg, uint64_t imm) {
  uint8_t *at = begin(out);
  if (imm <= UINT32_MAX) {
    if (reg >= 8) *at++ = 0x41;
    *at++ = (uint8_t)(0xB8 | (reg & 7));
    at = put_u32(at, (uint32_t)imm);
  } else if ((int64_t)imm == (int32_t)imm) {
    *at++ = (uint8_t)(0x48 | high_bit(reg));
    *at++ = 0xC7;
    at = put_u32(put_rr(at, 0, reg), (uint32_t)imm);
  } else {
    *at++ = (uint8_t)(0x48 | high_bit(reg));
    *at++ = (uint8_t)(0xB8 | (reg & 7));
    store_u64(at, imm);
    at += 8;
  }
  end(out, at);
}

void enc_mov_mi(Asm *out, unsigned size, Mem mem, int32_t imm) {
  put_group_mi(out, size == 1 ? 0xC6 : 0xC7, size, 0, mem, imm_size_of(size), imm);
}

void enc_bt_ri(Asm *out, unsigned size, unsigned reg, unsigned bit) {
  put_group_ri(out, 0xBA | 1 << 8, size, 4, reg, 1, (int32_t)bit);
}

void enc_cmov_rr(Asm *out, unsigned cc, unsigned size, unsigned reg, unsigned rm) {
  enc_rr(out, (Enc)(0x40 | cc | 1 << 8), size, reg, rm);
}

void enc_cmov_rm(Asm *out, unsigned cc, unsigned size, unsigned reg, Mem mem) {
  enc_rm(out, (Enc)(0x40 | cc | 1 << 8), size, reg, mem);
}

void enc_set(Asm *out, unsigned cc, unsigned reg) {
  enc_group_r(out, 0x90 | cc | 1 << 8, 1, 0, reg);
}

void enc_push(Asm *out, unsigned reg) {
  uint8_t *at = begin(out);
  if (reg >= 8) *at++ = 0x41;
  *at++ = (uint8_t)(0x50 | (reg & 7));
  end(out, at);
}

void enc_pop(Asm *out, unsigned reg) {
  uint8_t *at = begin(out);
  if (reg >= 8) *at++ = 0x41;
  *at++ = (uint8_t)(0x58 | (reg & 7));
  end(out, at);
}

void enc_cdq(Asm *out, unsigned size) {
  if (size == 8) asm_byte(out, 0x48);
  asm_byte(out, 0x99);
}

void enc_ret(Asm *out, unsigned pop_bytes) {
  if (pop_bytes == 0) {
    asm_byte(out, 0xC3);
    return;
  }
  asm_byte(out, 0xC2);
  end(out, put_imm(begin(out), 2, (int32_t)pop_bytes));
}

void enc_lock(Asm *out) {
  asm_byte(out, 0xF0);
}

static void put_bytes(Asm *out, const uint8_t *bytes, unsigned n) {
  uint8_t *at = begin(out);
  memcpy(at, bytes, n);
  end(out, at + n);
}

void enc_mfence(Asm *out) {
  put_bytes(out, (const uint8_t[]){0x0F, 0xAE, 0xF0}, 3);
}

void enc_ud2(Asm *out) {
  put_bytes(out, (const uint8_t[]){0x0F, 0x0B}, 2);
}

/* The lengths that processors decode best, as both vendors list them. */
void enc_nops(Asm *out, unsigned n) {
  static const uint8_t nops[9][9] = {{0x90},
                                     {0x66, 0x90},
                                     {0x0F, 0x1F, 0x00},
                                     {0x0F, 0x1F, 0x40, 0x00},
                                     {0x0F, 0x1F, 0x44, 0x00, 0x00},
                                     {0x66, 0x0F, 0x1F, 0x44, 0x00, 0x00},
                                     {0x0F, 0x1F, 0x80, 0x00, 0x00, 0x00, 0x00},
                                     {0x0F, 0x1F, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
                                     {0x66, 0x0F, 0x1F, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00}};
  while (n != 0) {
    unsigned size = MIN(n, 9u);
    put_bytes(out, nops[size - 1], size);
    n -= size;
  }
}

void enc_call_m(Asm *out, Mem mem) {
  enc_group_m(out, 0xFF, 4, 2, mem);
}

void enc_call_r(Asm *out, unsigned reg) {
  enc_group_r(out, 0xFF, 4, 2, reg);
}

void enc_jmp_m(Asm *out, Mem mem) {
  enc_group_m(out, 0xFF, 4, 4, mem);
}

void enc_jmp_r(Asm *out, unsigned reg) {
  enc_group_r(out, 0xFF, 4, 4, reg);
}

static void put_distance(Asm *out, uint8_t *at, uint32_t label) {
  add_fixup(out, at, label, 0);
  end(out, put_u32(at, 0));
}

void enc_call_label(Asm *out, uint32_t label) {
  uint8_t *at = begin(out);
  *at++ = 0xE8;
  put_distance(out, at, label);
}

void enc_jmp_label(Asm *out, uint32_t label) {
  uint8_t *at = begin(out);
  *at++ = 0xE9;
  put_distance(out, at, label);
}

void enc_jcc_label(Asm *out, unsigned cc, uint32_t label) {
  uint8_t *at = begin(out);
  *at++ = 0x0F;
  *at++ = (uint8_t)(0x80 | cc);
  put_distance(out, at, label);
}
#endif
