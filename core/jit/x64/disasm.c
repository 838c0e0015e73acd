/* disasm.c - machine code as text: see disasm.h.
 *
 * Prefixes, then the opcode: rows of encode.def by their map, prefix and code; what encode.c writes
 * without a row by hand. Bytes that nothing of these fits are shown as they are.
 */
#if defined(__x86_64__)
#include "disasm.h"

#include <stdio.h>
#include <string.h>

#include "encode.h"

typedef struct Row {
  const char *text;
  uint32_t bits; /* an Enc */
} Row;

static const Row rows[] = {
#define W                                         ENC_W
#define B                                         ENC_BYTE
#define I                                         ENC_IMM8
#define S                                         ENC_VECTOR
#define N                                         ENC_NDS
#define V                                         ENC_VEX
#define M                                         ENC_STORES
#define X(name, text, prefix, map, opcode, flags) {text, ENC_##name},
#include "encode.def"
#undef W
#undef B
#undef I
#undef S
#undef N
#undef V
#undef M
};

typedef struct Dis {
  const uint8_t *start, *at, *end;
  Buf *out;
  unsigned prefix; /* as rows number them: 0, 66, F3, F2 */
  bool has_66, has_lock, has_vex, is_cut;
  unsigned rex; /* W, R, X, B */
  unsigned second, map, opcode;
  unsigned mod, reg, rm; /* of the byte behind the opcode */
  char operand[64];      /* what rm names, when it is memory */
} Dis;

static unsigned byte(Dis *d) {
  if (d->at < d->end) return *d->at++;
  d->is_cut = true;
  return 0;
}

static int32_t word(Dis *d, unsigned size) {
  uint32_t value = 0;
  for (unsigned i = 0; i < size; i++) value |= byte(d) << (8 * i);
  return size == 1 ? (int8_t)value : size == 2 ? (int16_t)value : (int32_t)value;
}

/* Names */

static const char *int_reg(unsigned reg, unsigned size, char text[8]) {
  static const char *const words[] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
  static const char *const bytes[] = {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"};
  if (reg >= 8) {
    const char *suffix = size == 8 ? "" : size == 4 ? "d" : size == 2 ? "w" : "b";
    snprintf(text, 8, "r%u%s", reg & 15, suffix);
  } else if (size == 1) {
    snprintf(text, 8, "%s", bytes[reg]);
  } else {
    snprintf(text, 8, "%s%s", size == 8 ? "r" : size == 4 ? "e" : "", words[reg]);
  }
  return text;
}

static const char *reg_name(unsigned reg, unsigned size, char text[8]) {
  if (size != 16) return int_reg(reg, size, text);
  snprintf(text, 8, "xmm%u", reg & 15);
  return text;
}

static const char *const conditions[] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                         "s", "ns", "p", "np", "l", "ge", "le", "g"};

/* Operands */

static unsigned operand_size(const Dis *d) {
  return d->rex & 8 ? 8 : d->has_66 ? 2 : 4;
}

static void memory_operand(Dis *d, uint32_t tail) {
  char base[8] = "", index[8] = "", text[8];
  unsigned rm = d->rm, scale = 0;
  bool has_base = true;
  if (rm == 4) {
    unsigned sib = byte(d), at = (sib >> 3 & 7) | (d->rex & 2 ? 8 : 0);
    scale = sib >> 6;
    rm = sib & 7;
    if (at != 4) snprintf(index, sizeof index, "%s", int_reg(at, 8, text));
    has_base = !(rm == 5 && d->mod == 0);
  } else if (rm == 5 && d->mod == 0) {
    int32_t distance = word(d, 4);
    snprintf(d->operand, sizeof d->operand, "[rip => %lx]",
             (unsigned long)((d->at - d->start) + distance + (long)tail));
    return;
  }
  if (has_base) snprintf(base, sizeof base, "%s", int_reg(rm | (d->rex & 1 ? 8 : 0), 8, text));
  int32_t disp = d->mod == 1 ? word(d, 1) : d->mod == 2 || !has_base ? word(d, 4) : 0;
  char *at = d->operand, *end = at + sizeof d->operand;
  at += snprintf(at, (size_t)(end - at), "[%s", base);
  if (*index != 0)
    at += snprintf(at, (size_t)(end - at), "%s%s*%u", *base ? " + " : "", index, 1u << scale);
  if (disp != 0 || (!*base && !*index))
    at += snprintf(at, (size_t)(end - at), "%s%s%ld", *base || *index ? " " : "",
                   disp < 0          ? "- "
                   : *base || *index ? "+ "
                                     : "",
                   disp < 0 ? -(long)disp : (long)disp);
  snprintf(at, (size_t)(end - at), "]");
}

/* `tail` bytes of the instruction follow the operand. */
static void mod_rm(Dis *d, uint32_t tail) {
  unsigned bits = byte(d);
  d->mod = bits >> 6;
  d->reg = (bits >> 3 & 7) | (d->rex & 4 ? 8 : 0);
  d->rm = bits & 7;
  d->operand[0] = 0;
  if (d->mod != 3) {
    memory_operand(d, tail);
  } else {
    d->rm |= d->rex & 1 ? 8 : 0;
  }
}

static const char *rm_name(const Dis *d, unsigned size, char text[8]) {
  return d->mod != 3 ? d->operand : reg_name(d->rm, size, text);
}

static void name(Dis *d, const char *mnemonic) {
  buf_printf(d->out, "%s%s ", d->has_lock ? "lock " : "", mnemonic);
}

static const char *size_name(unsigned size) {
  return size == 1 ? "byte " : size == 2 ? "word " : size == 4 ? "dword " : "qword ";
}

static void rm_imm(Dis *d, const char *mnemonic, unsigned size, unsigned imm_size) {
  char text[8];
  mod_rm(d, imm_size);
  name(d, mnemonic);
  buf_printf(d->out, "%s%s, ", d->mod != 3 ? size_name(size) : "", rm_name(d, size, text));
  buf_printf(d->out, "%ld", (long)word(d, imm_size));
}

static void target(Dis *d, const char *mnemonic, unsigned size) {
  int32_t distance = word(d, size);
  buf_printf(d->out, "%s %lx", mnemonic, (unsigned long)((d->at - d->start) + distance));
}

/* Rows */

static bool fits(const Dis *d, const Row *row, bool wants_w) {
  unsigned map = row->bits >> 8 & 3, prefix = row->bits >> 10 & 3;
  if (map != d->map || (row->bits & 0xFF) != d->opcode) return false;
  if (((row->bits & ENC_W) != 0) != wants_w) return false;
  if (d->has_vex && !(row->bits & (ENC_VECTOR | ENC_VEX))) return false;
  if (!d->has_vex && (row->bits & ENC_VEX)) return false;
  /* A 66 before an integer instruction is its size. */
  return prefix == d->prefix || (prefix == 0 && d->prefix == 1 && !(row->bits & ENC_VECTOR));
}

static const Row *find_row(const Dis *d) {
  bool w = (d->rex & 8) != 0;
  for (unsigned pass = 0; pass < 2; pass++) {
    if (pass == 0 && !w) continue;
    for (unsigned i = 0; i < COUNT_OF(rows); i++) {
      if (fits(d, &rows[i], pass == 0)) return &rows[i];
    }
  }
  return NULL;
}

/* Vector rows whose register field, or whose other operand, is an integer register. */
static bool is_int_reg_field(Enc row) {
  switch (row) {
    case ENC_CVTTSS2SI:
    case ENC_CVTTSD2SI:
    case ENC_CVTTSS2SIQ:
    case ENC_CVTTSD2SIQ:
    case ENC_MOVMSKPS:
    case ENC_MOVMSKPD:
    case ENC_PMOVMSKB:
    case ENC_PEXTRW_REG: return true;
    default: return false;
  }
}
static bool is_int_operand(Enc row) {
  switch (row) {
    case ENC_MOVD:
    case ENC_MOVD_STORE:
    case ENC_MOVQ:
    case ENC_MOVQ_STORE:
    case ENC_CVTSI2SS:
    case ENC_CVTSI2SD:
    case ENC_CVTSI2SSQ:
    case ENC_CVTSI2SDQ:
    case ENC_PINSRB:
    case ENC_PINSRW:
    case ENC_PINSRD:
    case ENC_PINSRQ:
    case ENC_PEXTRB:
    case ENC_PEXTRW:
    case ENC_PEXTRD:
    case ENC_PEXTRQ: return true;
    default: return false;
  }
}

static unsigned source_size(Enc row, unsigned size) {
  switch (row) {
    case ENC_MOVZX8:
    case ENC_MOVSX8:
    case ENC_MOVSX8Q: return 1;
    case ENC_MOVZX16:
    case ENC_MOVSX16:
    case ENC_MOVSX16Q: return 2;
    case ENC_MOVSXD: return 4;
    default: return size;
  }
}

static void show_row(Dis *d, const Row *row) {
  char first[8], second[8], third[8];
  Enc bits = (Enc)row->bits;
  bool is_vector = (bits & ENC_VECTOR) != 0, is_int_vex = (bits & ENC_VEX) && !is_vector;
  unsigned size = (bits & ENC_BYTE) && source_size(bits, 4) == 4 ? 1 : operand_size(d);
  unsigned int_size = d->rex & 8 ? 8 : 4;
  if (bits == ENC_VBROADCASTSS) is_vector = true, is_int_vex = false;
  unsigned reg_size = is_vector ? is_int_reg_field(bits) ? int_size : 16 : size;
  unsigned rm_size = is_vector ? is_int_operand(bits) ? int_size : 16 : source_size(bits, size);
  if (is_int_vex) reg_size = rm_size = int_size;
  mod_rm(d, bits & ENC_IMM8 ? 1 : 0);
  buf_printf(d->out, "%s%s%s ", d->has_lock ? "lock " : "",
             d->has_vex && row->text[0] != 'v' && is_vector ? "v" : "", row->text);
  const char *reg = reg_name(d->reg, reg_size, first), *rm = rm_name(d, rm_size, second);
  bool has_second = d->has_vex && ((bits & ENC_NDS) || is_int_vex) && bits != ENC_RORX;
  if (bits & ENC_STORES) {
    buf_printf(d->out, "%s, %s", rm, reg);
  } else if (has_second && is_int_vex && bits != ENC_ANDN) {
    buf_printf(d->out, "%s, %s, %s", reg, rm, reg_name(d->second, reg_size, third));
  } else if (has_second) {
    buf_printf(d->out, "%s, %s, %s", reg, reg_name(d->second, is_int_vex ? int_size : 16, third),
               rm);
  } else {
    buf_printf(d->out, "%s, %s", reg, rm);
  }
  if (bits & ENC_IMM8) buf_printf(d->out, ", %u", byte(d));
}

/* What has no row */

static const char *const alu_names[] = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};
static const char *const shift_names[] = {"rol", "ror", "rcl", "rcr", "shl", "shr", "sal", "sar"};

static bool show_alu(Dis *d) {
  char first[8], second[8];
  unsigned form = d->opcode & 7;
  if (d->opcode >= 0x40 || form > 3) return false;
  unsigned size = form & 1 ? operand_size(d) : 1;
  mod_rm(d, 0);
  name(d, alu_names[d->opcode >> 3]);
  const char *reg = int_reg(d->reg, size, first), *rm = rm_name(d, size, second);
  buf_printf(d->out, "%s, %s", form < 2 ? rm : reg, form < 2 ? reg : rm);
  return true;
}

static void show_group(Dis *d, const char *const *names, unsigned size, const char *more) {
  char text[8];
  mod_rm(d, 0);
  name(d, names[d->reg & 7]);
  buf_printf(d->out, "%s%s%s", d->mod != 3 && *more == 0 ? size_name(size) : "",
             rm_name(d, size, text), more);
}

static void show_alu_imm(Dis *d) {
  unsigned size = d->opcode == 0x80 ? 1 : operand_size(d);
  unsigned imm_size = d->opcode == 0x81 ? MIN(size, 4u) : 1;
  unsigned group = d->at < d->end ? *d->at >> 3 & 7 : 0;
  rm_imm(d, alu_names[group], size, imm_size);
}

static void show_unary(Dis *d) {
  static const char *const names[] = {"test", "test", "not", "neg", "mul", "imul", "div", "idiv"};
  unsigned size = d->opcode == 0xF6 ? 1 : operand_size(d);
  if ((d->at < d->end ? *d->at >> 3 & 7 : 0) < 2) {
    rm_imm(d, "test", size, MIN(size, 4u));
  } else {
    show_group(d, names, size, "");
  }
}

static void show_imul(Dis *d) {
  char first[8], second[8];
  unsigned imm_size = d->opcode == 0x6B ? 1 : 4, size = operand_size(d);
  mod_rm(d, imm_size);
  buf_printf(d->out, "imul %s, %s, ", int_reg(d->reg, size, first), rm_name(d, size, second));
  buf_printf(d->out, "%ld", (long)word(d, imm_size));
}

static void show_mov_imm(Dis *d) {
  char text[8];
  unsigned reg = (d->opcode & 7) | (d->rex & 1 ? 8 : 0), size = d->rex & 8 ? 8 : 4;
  uint64_t value = (uint32_t)word(d, 4);
  if (size == 8) value |= (uint64_t)(uint32_t)word(d, 4) << 32;
  buf_printf(d->out, "mov %s, 0x%llx", int_reg(reg, size, text), (unsigned long long)value);
}

static bool show_one_byte(Dis *d) {
  static const char *const far_names[] = {"inc", "dec",  "call", "callf",
                                          "jmp", "jmpf", "push", "?"};
  static const char *const pop_names[] = {"pop", "?", "?", "?", "?", "?", "?", "?"};
  char text[8];
  unsigned op = d->opcode, low = (op & 7) | (d->rex & 1 ? 8 : 0);
  if (show_alu(d)) return true;
  if ((op & 0xF0) == 0x50) {
    buf_printf(d->out, "%s %s", op < 0x58 ? "push" : "pop", int_reg(low, 8, text));
  } else if ((op & 0xF0) == 0x70) {
    snprintf(text, sizeof text, "j%s", conditions[op & 15]);
    target(d, text, 1);
  } else if ((op & 0xF8) == 0xB8) {
    show_mov_imm(d);
  } else {
    switch (op) {
      case 0x69:
      case 0x6B: show_imul(d); break;
      case 0x80:
      case 0x81:
      case 0x83: show_alu_imm(d); break;
      case 0x8F: show_group(d, pop_names, 8, ""); break;
      case 0x90: buf_str(d->out, d->prefix == 2 ? "pause" : "nop"); break;
      case 0x99: buf_str(d->out, d->rex & 8 ? "cqo" : "cdq"); break;
      case 0xC0:
      case 0xC1:
        rm_imm(d, shift_names[d->at < d->end ? *d->at >> 3 & 7 : 0],
               op == 0xC0 ? 1 : operand_size(d), 1);
        break;
      case 0xD0:
      case 0xD1: show_group(d, shift_names, op == 0xD0 ? 1 : operand_size(d), ", 1"); break;
      case 0xD2:
      case 0xD3: show_group(d, shift_names, op == 0xD2 ? 1 : operand_size(d), ", cl"); break;
      case 0xC2: buf_printf(d->out, "ret %d", word(d, 2)); break;
      case 0xC3: buf_str(d->out, "ret"); break;
      case 0xC6: rm_imm(d, "mov", 1, 1); break;
      case 0xC7: rm_imm(d, "mov", operand_size(d), MIN(operand_size(d), 4u)); break;
      case 0xCC: buf_str(d->out, "int3"); break;
      case 0xE8: target(d, "call", 4); break;
      case 0xE9: target(d, "jmp", 4); break;
      case 0xEB: target(d, "jmp", 1); break;
      case 0xF6:
      case 0xF7: show_unary(d); break;
      case 0xFF: show_group(d, far_names, 8, ""); break;
      default: return false;
    }
  }
  return true;
}

static void show_vector_shift(Dis *d) {
  static const char letters[] = {'w', 'd', 'q'};
  static const char *const names[] = {"?", "?", "psrl", "psrldq", "psra", "?", "psll", "pslldq"};
  char first[8], second[8];
  mod_rm(d, 1);
  unsigned group = d->reg & 7;
  buf_printf(d->out, "%s%s", d->has_vex ? "v" : "", names[group]);
  if (group != 3 && group != 7) buf_byte(d->out, (uint8_t)letters[d->opcode - 0x71]);
  if (d->has_vex) buf_printf(d->out, " %s,", reg_name(d->second, 16, first));
  buf_printf(d->out, " %s, %u", reg_name(d->rm, 16, second), byte(d));
}

static bool show_two_bytes(Dis *d) {
  char first[8], second[8], mnemonic[8];
  unsigned op = d->opcode, size = operand_size(d);
  const char *condition = conditions[op & 15];
  if ((op & 0xF0) == 0x40) {
    mod_rm(d, 0);
    buf_printf(d->out, "cmov%s %s, %s", condition, int_reg(d->reg, size, first),
               rm_name(d, size, second));
  } else if ((op & 0xF0) == 0x80) {
    snprintf(mnemonic, sizeof mnemonic, "j%s", condition);
    target(d, mnemonic, 4);
  } else if ((op & 0xF0) == 0x90) {
    mod_rm(d, 0);
    buf_printf(d->out, "set%s %s", condition, rm_name(d, 1, first));
  } else if (op == 0x0B) {
    buf_str(d->out, "ud2");
  } else if (op == 0x1F) {
    mod_rm(d, 0);
    buf_str(d->out, "nop");
  } else if (op == 0xAE) {
    mod_rm(d, 0);
    buf_str(d->out, "mfence");
  } else if (op == 0xBA) {
    rm_imm(d, "bt", size, 1);
  } else if (op >= 0x71 && op <= 0x73) {
    show_vector_shift(d);
  } else {
    return false;
  }
  return true;
}

/* Prefixes */

static void read_legacy(Dis *d) {
  for (;; d->at++) {
    unsigned next = d->at < d->end ? *d->at : 0;
    if (next == 0x66) {
      d->has_66 = true;
      if (d->prefix == 0) d->prefix = 1;
    } else if (next == 0xF3 || next == 0xF2) {
      d->prefix = next == 0xF3 ? 2 : 3;
    } else if (next == 0xF0) {
      d->has_lock = true;
    } else if (next != 0x67) { /* which means nothing where it is used */
      break;
    }
  }
  if (d->at < d->end && (*d->at & 0xF0) == 0x40) d->rex = byte(d) & 15;
}

static void read_opcode(Dis *d) {
  d->opcode = byte(d);
  if (d->opcode != 0x0F) return;
  d->map = 1;
  d->opcode = byte(d);
  if (d->opcode != 0x38 && d->opcode != 0x3A) return;
  d->map = d->opcode == 0x38 ? 2 : 3;
  d->opcode = byte(d);
}

static void read_vex(Dis *d) {
  bool is_long = byte(d) == 0xC4;
  unsigned bits = byte(d);
  d->has_vex = true;
  d->map = is_long ? bits & 31 : 1;
  d->rex = is_long ? ~bits >> 5 & 7 : bits & 0x80 ? 0 : 4;
  if (is_long) {
    bits = byte(d);
    d->rex |= bits & 0x80 ? 8 : 0;
  }
  d->second = ~bits >> 3 & 15;
  d->prefix = bits & 3;
  d->opcode = byte(d);
}

static bool show(Dis *d) {
  if (d->at < d->end && (*d->at == 0xC4 || *d->at == 0xC5)) {
    read_vex(d);
  } else {
    read_legacy(d);
    read_opcode(d);
  }
  const Row *row = find_row(d);
  if (row != NULL) {
    show_row(d, row);
    return true;
  }
  if (d->map == 0) return show_one_byte(d);
  return d->map == 1 && show_two_bytes(d);
}

uint32_t disasm_one(const uint8_t *start, uint32_t at, uint32_t size, Buf *out) {
  Dis d = {.start = start, .at = start + at, .end = start + size, .out = out};
  size_t before = out->size;
  if (show(&d) && !d.is_cut) {
    while (out->size > before && out->at[out->size - 1] == ' ') out->size--;
    return (uint32_t)(d.at - start) - at;
  }
  out->size = before;
  buf_printf(out, ".byte 0x%02x", start[at]);
  return 1;
}
#endif
