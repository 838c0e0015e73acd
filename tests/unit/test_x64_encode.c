/* test_x64_encode.c - every row of the encoder, with registers and addresses of all kinds, against
 * the bytes that an assembler made of the same instruction.
 *
 * The data holds one line each: the bytes. The instructions are written again here, in order; with
 * PRINT_ASM in the environment they are printed, as input for `as`, instead of being checked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "jit/x64/encode.h"

static const char *const expected[] = {
#include "x64_encode.data"
};

static const char *const names1[] = {"%al",   "%cl",   "%dl",   "%bl",  "%spl",  "%bpl",
                                     "%sil",  "%dil",  "%r8b",  "%r9b", "%r10b", "%r11b",
                                     "%r12b", "%r13b", "%r14b", "%r15b"};
static const char *const names2[] = {"%ax",   "%cx",   "%dx",   "%bx",  "%sp",   "%bp",
                                     "%si",   "%di",   "%r8w",  "%r9w", "%r10w", "%r11w",
                                     "%r12w", "%r13w", "%r14w", "%r15w"};
static const char *const names4[] = {"%eax",  "%ecx",  "%edx",  "%ebx", "%esp",  "%ebp",
                                     "%esi",  "%edi",  "%r8d",  "%r9d", "%r10d", "%r11d",
                                     "%r12d", "%r13d", "%r14d", "%r15d"};
static const char *const names8[] = {"%rax", "%rcx", "%rdx", "%rbx", "%rsp", "%rbp",
                                     "%rsi", "%rdi", "%r8",  "%r9",  "%r10", "%r11",
                                     "%r12", "%r13", "%r14", "%r15"};
static const char *const names16[] = {"%xmm0",  "%xmm1",  "%xmm2",  "%xmm3", "%xmm4",  "%xmm5",
                                      "%xmm6",  "%xmm7",  "%xmm8",  "%xmm9", "%xmm10", "%xmm11",
                                      "%xmm12", "%xmm13", "%xmm14", "%xmm15"};

static const char *name_of(unsigned size, unsigned reg) {
  static const char *const *const names[] = {
      [1] = names1, [2] = names2, [4] = names4, [8] = names8, [16] = names16};
  return names[size][reg];
}

static struct {
  Alloc alloc;
  Arena arena;
  Asm out;
  size_t line, n_wrong;
  bool prints;
} test;

static void start(bool has_avx) {
  asm_init(&test.out, &test.arena, has_avx);
}

/* What was encoded since `start` is this instruction. */
static void expect(const char *format, ...) {
  char text[128], bytes[64] = "";
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  for (size_t i = 0; i < test.out.code.size && i < 20; i++)
    snprintf(bytes + 2 * i, 3, "%02X", test.out.code.at[i]);
  if (test.prints) {
    printf("%s\n", text);
  } else if (test.line >= COUNT_OF(expected) || strcmp(bytes, expected[test.line]) != 0) {
    const char *right = test.line < COUNT_OF(expected) ? expected[test.line] : "nothing";
    if (test.n_wrong++ < 20) print_error("%s: %s, not %s\n", text, bytes, right);
  }
  test.line++;
  test.out.code.size = 0;
  test.out.fixups.n = 0;
}

/* Addresses of every shape, with their text. */
static const struct {
  Mem mem;
  const char *text;
} places[] = {
    {{RAX, MEM_NO_INDEX, 0, 0, 0, 0}, "(%rax)"},
    {{RSP, MEM_NO_INDEX, 0, 0, 8, 0}, "8(%rsp)"},
    {{RBP, MEM_NO_INDEX, 0, 0, 0, 0}, "0(%rbp)"},
    {{R12, MEM_NO_INDEX, 0, 0, -128, 0}, "-128(%r12)"},
    {{R13, MEM_NO_INDEX, 0, 0, 128, 0}, "128(%r13)"},
    {{R14, RSI, 0, 0, 0, 0}, "(%r14,%rsi,1)"},
    {{R14, R9, 3, 0, 0x12345, 0}, "0x12345(%r14,%r9,8)"},
    {{RBX, R12, 2, 0, -4, 0}, "-4(%rbx,%r12,4)"},
    {{R13, RAX, 1, 0, 0, 0}, "0(%r13,%rax,2)"},
    {{MEM_NO_BASE, RDX, 3, 0, 0x100, 0}, "0x100(,%rdx,8)"},
    {{MEM_NO_BASE, MEM_NO_INDEX, 0, 0, 0x1000, 0}, "0x1000"},
};
static const uint8_t pairs[][2] = {{1, 2}, {3, 9}, {10, 5}, {13, 12}, {6, 7}, {15, 4}};

typedef struct RowInfo {
  Enc row;
  const char *name, *text;
} RowInfo;
static const RowInfo rows[] = {
#define X(name, text, prefix, map, opcode, flags) {ENC_##name, #name, text},
#include "jit/x64/encode.def"
};

/* Sizes of the two operands of a row whose operands are not what its flags say. */
static void operand_sizes(const RowInfo *info, unsigned *reg, unsigned *rm) {
  *reg = *rm = 16;
  switch ((uint32_t)info->row) {
    case ENC_MOVD:
    case ENC_MOVD_STORE:
    case ENC_CVTSI2SS:
    case ENC_CVTSI2SD:
    case ENC_PINSRB:
    case ENC_PINSRW:
    case ENC_PINSRD:
    case ENC_PEXTRB:
    case ENC_PEXTRD: *rm = 4; break;
    case ENC_MOVQ:
    case ENC_MOVQ_STORE:
    case ENC_CVTSI2SSQ:
    case ENC_CVTSI2SDQ:
    case ENC_PINSRQ:
    case ENC_PEXTRQ: *rm = 8; break;
    case ENC_MOVMSKPS:
    case ENC_MOVMSKPD:
    case ENC_PMOVMSKB:
    case ENC_CVTTSS2SI:
    case ENC_CVTTSD2SI:
    case ENC_PEXTRW_REG: *reg = 4; break;
    case ENC_CVTTSS2SIQ:
    case ENC_CVTTSD2SIQ: *reg = 8; break;
    default: break;
  }
}

static bool is_memory_only(Enc row) {
  switch ((uint32_t)row) {
    case ENC_MOVSS:
    case ENC_MOVSD:
    case ENC_MOVSS_STORE:
    case ENC_MOVSD_STORE:
    case ENC_MOVUPS_STORE:
    case ENC_MOVHPS:
    case ENC_MOVLPS:
    case ENC_MOVHPS_STORE:
    case ENC_PEXTRW:
    case ENC_LEA:
    case ENC_VBROADCASTSS: return true;
    default: return false;
  }
}

static bool is_register_only(Enc row) {
  switch ((uint32_t)row) {
    case ENC_MOVQ:
    case ENC_MOVQ_STORE:
    case ENC_MOVMSKPS:
    case ENC_MOVMSKPD:
    case ENC_PMOVMSKB:
    case ENC_MOVHLPS:
    case ENC_MOVLHPS:
    case ENC_PEXTRW_REG:
    case ENC_CVTPD2PS:
    case ENC_CVTTPD2DQ:
    case ENC_PSRAW: return true;
    default: return false;
  }
}

static const char *imm_text(Enc row) {
  return row & ENC_IMM8 ? "$5, " : "";
}

static void end_sse(Enc row) {
  if (row & ENC_IMM8) asm_byte(&test.out, 5);
}

static void check_sse(const RowInfo *info, bool has_avx) {
  unsigned reg_size, rm_size;
  operand_sizes(info, &reg_size, &rm_size);
  Enc row = info->row;
  bool has_second = has_avx && (row & ENC_NDS);
  const char *vex = has_avx && !(row & ENC_VEX) ? "v" : "";
  for (unsigned i = 0; i < COUNT_OF(pairs) && !is_memory_only(row); i += 2) {
    unsigned reg = pairs[i][0], rm = pairs[i][1], second = has_avx ? 11 - i : reg;
    start(has_avx);
    enc_sse_rr(&test.out, row, reg, second, rm);
    end_sse(row);
    const char *from = name_of(rm_size, rm), *to = name_of(reg_size, reg);
    if (row & ENC_STORES) {
      expect("%s%s %s%s, %s", vex, info->text, imm_text(row), to, from);
    } else if (has_second) {
      expect("{load} %s%s %s%s, %s, %s", vex, info->text, imm_text(row), from, name_of(16, second),
             to);
    } else {
      expect("{load} %s%s %s%s, %s", vex, info->text, imm_text(row), from, to);
    }
  }
  for (unsigned i = 0; i < COUNT_OF(places) && !is_register_only(row); i += 3) {
    unsigned reg = i % 2 == 0 ? i : 15 - i, second = has_avx ? 15 - i : reg;
    start(has_avx);
    enc_sse_rm(&test.out, row, reg, second, places[i].mem);
    end_sse(row);
    const char *to = name_of(reg_size, reg);
    if (row & ENC_STORES) {
      expect("%s%s %s%s, %s", vex, info->text, imm_text(row), to, places[i].text);
    } else if (has_second) {
      expect("%s%s %s%s, %s, %s", vex, info->text, imm_text(row), places[i].text,
             name_of(16, second), to);
    } else {
      expect("%s%s %s%s, %s", vex, info->text, imm_text(row), places[i].text, to);
    }
  }
}

static void check_bmi(const RowInfo *info, unsigned size) {
  Enc row = info->row;
  for (unsigned i = 0; i < COUNT_OF(pairs); i++) {
    unsigned reg = pairs[i][0], rm = pairs[i][1], second = row == ENC_RORX ? 0 : 11 - i;
    start(true);
    enc_vrr(&test.out, row, size, reg, second, rm);
    end_sse(row);
    const char *to = name_of(size, reg), *from = name_of(size, rm), *count = name_of(size, second);
    if (row == ENC_RORX)
      expect("%s $5, %s, %s", info->text, from, to);
    else if (row & ENC_NDS)
      expect("%s %s, %s, %s", info->text, from, count, to);
    else
      expect("%s %s, %s, %s", info->text, count, from, to);
  }
}

/* Sizes of a row of integers: the register's and the other operand's. */
static void check_integer(const RowInfo *info, unsigned size) {
  Enc row = info->row;
  unsigned reg_size = size, rm_size = size;
  bool is_plain = true;
  switch ((uint32_t)row) {
    case ENC_MOVZX8:
    case ENC_MOVSX8: reg_size = 4, rm_size = 1, is_plain = false; break;
    case ENC_MOVZX16:
    case ENC_MOVSX16: reg_size = 4, rm_size = 2, is_plain = false; break;
    case ENC_MOVSX8Q: reg_size = 8, rm_size = 1, is_plain = false; break;
    case ENC_MOVSX16Q: reg_size = 8, rm_size = 2, is_plain = false; break;
    case ENC_MOVSXD: reg_size = 8, rm_size = 4, is_plain = false; break;
    default: break;
  }
  if (!is_plain && size != 4) return;
  if ((row & ENC_BYTE) && is_plain) {
    if (size != 1) return;
  } else if (size == 1 || (size == 2 && (row == ENC_LEA || row == ENC_IMUL || row == ENC_MOV ||
                                         row == ENC_TEST || row == ENC_BT))) {
    return;
  }
  const char *load = row & ENC_STORES ? "" : "{load} ";
  for (unsigned i = 0; i < COUNT_OF(pairs) && !is_memory_only(row); i++) {
    unsigned reg = pairs[i][0], rm = pairs[i][1];
    start(false);
    enc_rr(&test.out, row, size, reg, rm);
    const char *r = name_of(reg_size, reg), *m = name_of(rm_size, rm);
    if (row & ENC_STORES)
      expect("%s %s, %s", info->text, r, m);
    else
      expect("%s%s %s, %s", load, info->text, m, r);
  }
  if (row == ENC_BT) return;
  for (unsigned i = 0; i < COUNT_OF(places); i++) {
    if (row == ENC_LEA && places[i].mem.base == MEM_NO_BASE && size == 8) continue;
    unsigned reg = i % 2 == 0 ? i + 1 : 15 - i;
    start(false);
    enc_rm(&test.out, row, size, reg, places[i].mem);
    const char *r = name_of(reg_size, reg);
    if (row & ENC_STORES)
      expect("%s %s, %s", info->text, r, places[i].text);
    else
      expect("%s%s %s, %s", load, info->text, places[i].text, r);
  }
}

static void check_rows(void) {
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    const RowInfo *info = &rows[i];
    if (info->row & ENC_VECTOR) {
      check_sse(info, false);
      check_sse(info, true);
    } else if (info->row == ENC_VBROADCASTSS) {
      check_sse(info, true);
    } else if (info->row & ENC_VEX) {
      check_bmi(info, 4);
      check_bmi(info, 8);
    } else {
      static const unsigned sizes[] = {1, 2, 4, 8};
      for (unsigned s = 0; s < COUNT_OF(sizes); s++) check_integer(info, sizes[s]);
    }
  }
}

static const char *suffix(unsigned size) {
  return size == 1 ? "b" : size == 2 ? "w" : size == 4 ? "l" : "q";
}

static void check_alu(void) {
  static const char *const names[] = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};
  static const unsigned sizes[] = {1, 2, 4, 8};
  Asm *out = &test.out;
  start(false);
  for (unsigned alu = 0; alu < 8; alu++) {
    for (unsigned s = 0; s < COUNT_OF(sizes); s++) {
      unsigned size = sizes[s];
      for (unsigned i = 0; i < COUNT_OF(pairs); i += 3) {
        unsigned reg = pairs[i][0], rm = pairs[i][1];
        enc_alu_rr(out, alu, size, reg, rm);
        expect("{load} %s %s, %s", names[alu], name_of(size, rm), name_of(size, reg));
        enc_alu_ri(out, alu, size, reg, -3);
        expect("%s $-3, %s", names[alu], name_of(size, reg));
        if (size < 4) continue;
        enc_alu_ri(out, alu, size, reg, 0x123456);
        expect("%s $0x123456, %s", names[alu], name_of(size, reg));
      }
      for (unsigned i = 0; i < COUNT_OF(places); i += 4) {
        unsigned reg = 15 - i;
        Mem mem = places[i].mem;
        enc_alu_rm(out, alu, size, reg, mem);
        expect("%s %s, %s", names[alu], places[i].text, name_of(size, reg));
        enc_alu_mr(out, alu, size, mem, reg);
        expect("%s %s, %s", names[alu], name_of(size, reg), places[i].text);
        enc_alu_mi(out, alu, size, mem, 100);
        expect("%s%s $100, %s", names[alu], suffix(size), places[i].text);
        if (size < 4) continue;
        enc_alu_mi(out, alu, size, mem, -1000);
        expect("%s%s $-1000, %s", names[alu], suffix(size), places[i].text);
      }
    }
  }
}

static void check_groups(void) {
  static const struct {
    unsigned group;
    const char *name;
  } unary[] = {{F7_NOT, "not"},   {F7_NEG, "neg"}, {F7_MUL, "mul"},
               {F7_IMUL, "imul"}, {F7_DIV, "div"}, {F7_IDIV, "idiv"}};
  static const struct {
    unsigned shift;
    const char *name;
  } shifts[] = {{SHIFT_ROL, "rol"},
                {SHIFT_ROR, "ror"},
                {SHIFT_SHL, "shl"},
                {SHIFT_SHR, "shr"},
                {SHIFT_SAR, "sar"}};
  Asm *out = &test.out;
  start(false);
  for (unsigned size = 4; size <= 8; size += 4) {
    for (unsigned reg = 1; reg < 16; reg++) {
      const char *name = name_of(size, reg);
      for (unsigned i = 0; i < COUNT_OF(unary); i++) {
        enc_group_r(out, 0xF7, size, unary[i].group, reg);
        expect("%s %s", unary[i].name, name);
      }
      for (unsigned i = 0; i < COUNT_OF(shifts); i++) {
        enc_shift_ri(out, shifts[i].shift, size, reg, 1);
        expect("%s $1, %s", shifts[i].name, name);
        enc_shift_ri(out, shifts[i].shift, size, reg, 9);
        expect("%s $9, %s", shifts[i].name, name);
        enc_shift_cl(out, shifts[i].shift, size, reg);
        expect("%s %%cl, %s", shifts[i].name, name);
      }
      enc_test_ri(out, size, reg, 0x1234);
      expect("test $0x1234, %s", name);
      enc_imul_rri(out, size, reg, 15 - reg, 7);
      expect("imul $7, %s, %s", name_of(size, 15 - reg), name);
      enc_imul_rri(out, size, reg, 15 - reg, 700);
      expect("imul $700, %s, %s", name_of(size, 15 - reg), name);
      enc_bt_ri(out, size, reg, 17);
      expect("bt $17, %s", name);
      enc_cmov_rr(out, CC_LE, size, reg, 15 - reg);
      expect("cmovle %s, %s", name_of(size, 15 - reg), name);
    }
    for (unsigned i = 0; i < COUNT_OF(places); i++) {
      Mem mem = places[i].mem;
      const char *at = places[i].text;
      enc_test_mi(out, size, mem, 0x1234);
      expect("test%s $0x1234, %s", suffix(size), at);
      enc_imul_rmi(out, size, 3, mem, 1000);
      expect("imul $1000, %s, %s", at, name_of(size, 3));
      enc_cmov_rm(out, CC_A, size, 9, mem);
      expect("cmova %s, %s", at, name_of(size, 9));
      enc_group_m(out, 0xF7, size, F7_DIV, mem);
      expect("div%s %s", suffix(size), at);
    }
  }
}

static void check_moves(void) {
  static const uint64_t numbers[] = {1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF80000000u,
                                     0x123456789ABCu};
  Asm *out = &test.out;
  start(false);
  for (unsigned reg = 0; reg < 16; reg++) {
    for (unsigned i = 0; i < COUNT_OF(numbers); i++) {
      enc_mov_ri(out, reg, numbers[i]);
      if (numbers[i] <= UINT32_MAX)
        expect("mov $0x%llx, %s", (unsigned long long)numbers[i], name_of(4, reg));
      else if (i == 3)
        expect("mov $-0x80000000, %s", name_of(8, reg));
      else
        expect("movabs $0x%llx, %s", (unsigned long long)numbers[i], name_of(8, reg));
    }
    enc_push(out, reg);
    expect("push %s", name_of(8, reg));
    enc_pop(out, reg);
    expect("pop %s", name_of(8, reg));
    enc_call_r(out, reg);
    expect("call *%s", name_of(8, reg));
    enc_jmp_r(out, reg);
    expect("jmp *%s", name_of(8, reg));
    for (unsigned cc = 0; cc < 16; cc++) {
      static const char *const names[] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                          "s", "ns", "p", "np", "l", "ge", "le", "g"};
      enc_set(out, cc, reg);
      expect("set%s %s", names[cc], name_of(1, reg));
    }
  }
  for (unsigned i = 0; i < COUNT_OF(places); i++) {
    Mem mem = places[i].mem;
    for (unsigned size = 1; size <= 8; size *= 2) {
      enc_mov_mi(out, size, mem, 77);
      expect("mov%s $77, %s", suffix(size), places[i].text);
    }
    enc_call_m(out, mem);
    expect("call *%s", places[i].text);
    enc_jmp_m(out, mem);
    expect("jmp *%s", places[i].text);
  }
}

static void check_rest(void) {
  Asm *out = &test.out;
  for (int has_avx = 0; has_avx <= 1; has_avx++) {
    static const struct {
      unsigned opcode, group;
      const char *name;
    } shifts[] = {{0x71, VECTOR_SRL, "psrlw"},        {0x71, VECTOR_SRA, "psraw"},
                  {0x71, VECTOR_SLL, "psllw"},        {0x72, VECTOR_SRL, "psrld"},
                  {0x72, VECTOR_SRA, "psrad"},        {0x72, VECTOR_SLL, "pslld"},
                  {0x73, VECTOR_SRL, "psrlq"},        {0x73, VECTOR_SLL, "psllq"},
                  {0x73, VECTOR_BYTES_SRL, "psrldq"}, {0x73, VECTOR_BYTES_SLL, "pslldq"}};
    for (unsigned i = 0; i < COUNT_OF(shifts); i++) {
      for (unsigned p = 0; p < COUNT_OF(pairs); p++) {
        start(has_avx != 0);
        unsigned reg = pairs[p][0], from = has_avx ? pairs[p][1] : reg;
        enc_vector_shift(out, shifts[i].opcode, shifts[i].group, reg, from, 6);
        if (has_avx)
          expect("v%s $6, %s, %s", shifts[i].name, name_of(16, from), name_of(16, reg));
        else
          expect("%s $6, %s", shifts[i].name, name_of(16, reg));
      }
    }
  }
  start(false);
  enc_cdq(out, 4), expect("cltd");
  enc_cdq(out, 8), expect("cqto");
  enc_ret(out, 0), expect("ret");
  enc_ret(out, 24), expect("ret $24");
  enc_mfence(out), expect("mfence");
  enc_ud2(out), expect("ud2");
}

static void test_instructions(void **state) {
  (void)state;
  alloc_init(&test.alloc, NULL, NULL);
  arena_init(&test.arena, &test.alloc);
  Error error;
  Guard guard;
  assert_true(GUARD_TRY(&guard, &test.arena, &error));
  test.prints = getenv("PRINT_ASM") != NULL;
  check_rows();
  check_alu();
  check_groups();
  check_moves();
  check_rest();
  guard_leave(&guard);
  arena_clear(&test.arena);
  if (test.prints) return;
  assert_int_equal(test.n_wrong, 0);
  assert_int_equal(test.line, COUNT_OF(expected));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_instructions)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
