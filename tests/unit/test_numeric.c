/* test_numeric.c - the rows of numeric.def against the second meaning of numeric_ref.h, over all
 * pairs of edge values and random operands; canonical NaNs; wide arithmetic.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "module/pure.h"
#include "numeric_ref.h"

enum { N_RANDOM = 100000 };

typedef unsigned __int128 Uint;

/* A reference: operands as bits, two parameters of the row, the result's bits. */
typedef Trap Reference(const uint64_t *x, unsigned w, unsigned v, uint64_t *out);

static Format format_of(unsigned width) {
  return width == 32 ? FORMAT_F32 : FORMAT_F64;
}

static Trap ref_eqz(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  (void)w, (void)v;
  *out = !x[0];
  return TRAP_NONE;
}

/* A relation is the set of outcomes of a comparison that it accepts. */
enum { LESS = 1, EQUAL = 2, GREATER = 4, UNORDERED = 8 };
static Trap ref_relation_s(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  Int a = int_signed((Int)x[0], w), b = int_signed((Int)x[1], w);
  *out = (v & (a < b ? LESS : a > b ? GREATER : EQUAL)) != 0;
  return TRAP_NONE;
}
static Trap ref_relation_u(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  Int a = (Int)x[0] - (Int)x[1];
  (void)w;
  *out = (v & (a < 0 ? LESS : a > 0 ? GREATER : EQUAL)) != 0;
  return TRAP_NONE;
}
static Trap ref_relation_f(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  *out = v >> (ref_compare(x[0], x[1], format_of(w)) + 1) & 1;
  return TRAP_NONE;
}

/* Counts bits one at a time, from the top, from the bottom, or all that are set. */
enum { FROM_TOP, FROM_BOTTOM, SET };
static Trap ref_count(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  uint64_t n = 0;
  for (unsigned i = 0; i < w; i++) {
    bool is_set = x[0] >> (v == FROM_TOP ? w - 1 - i : i) & 1;
    if (v == SET) {
      n += is_set;
    } else if (is_set) {
      break;
    } else {
      n++;
    }
  }
  *out = n;
  return TRAP_NONE;
}

static Trap ref_int_arithmetic(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  Uint a = x[0], b = x[1], result = 0;
  switch (v) {
    case '+': result = a + b; break;
    case '-': result = a - b; break;
    case '*': result = a * b; break;
    default:
      for (unsigned i = 0; i < w; i++) {
        unsigned p = a >> i & 1, q = b >> i & 1;
        bool is_set = v == '&' ? p + q == 2 : v == '|' ? p + q > 0 : p != q;
        if (is_set) result |= (Uint)1 << i;
      }
  }
  *out = (uint64_t)(result & (((Uint)1 << w) - 1));
  return TRAP_NONE;
}
static Trap ref_divide(const uint64_t *x, unsigned w, unsigned is_signed, uint64_t *out) {
  Int a = is_signed ? int_signed((Int)x[0], w) : (Int)x[0];
  Int b = is_signed ? int_signed((Int)x[1], w) : (Int)x[1];
  if (b == 0) return TRAP_DIVIDE_BY_ZERO;
  Int quotient = a / b;
  if (quotient != int_saturate(quotient, w, is_signed)) return TRAP_INTEGER_OVERFLOW;
  *out = (uint64_t)int_unsigned(quotient, w);
  return TRAP_NONE;
}
static Trap ref_remainder(const uint64_t *x, unsigned w, unsigned is_signed, uint64_t *out) {
  Int a = is_signed ? int_signed((Int)x[0], w) : (Int)x[0];
  Int b = is_signed ? int_signed((Int)x[1], w) : (Int)x[1];
  if (b == 0) return TRAP_DIVIDE_BY_ZERO;
  *out = (uint64_t)int_unsigned(a - a / b * b, w);
  return TRAP_NONE;
}

/* Shifts are products and floor divisions; rotations move one bit at a time. */
static Trap ref_shift(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  Int factor = int_power((unsigned)(x[1] % w));
  Int a = v == 's' ? int_signed((Int)x[0], w) : (Int)x[0];
  Int result = 0;
  if (v == '<') {
    result = (Int)((Uint)a * (Uint)factor);
  } else {
    result = a / factor - (a % factor < 0);
  }
  *out = (uint64_t)int_unsigned(result, w);
  return TRAP_NONE;
}
static Trap ref_rotate(const uint64_t *x, unsigned w, unsigned is_left, uint64_t *out) {
  uint64_t result = x[0], top = (uint64_t)1 << (w - 1);
  for (uint64_t n = x[1] % w; n > 0; n--) {
    uint64_t carry = is_left ? (result & top) != 0 : result & 1;
    result = is_left ? (result & ~top) << 1 | carry : result >> 1 | (carry ? top : 0);
  }
  *out = result;
  return TRAP_NONE;
}
static Trap ref_extend(const uint64_t *x, unsigned w, unsigned from, uint64_t *out) {
  *out = (uint64_t)int_unsigned(int_signed((Int)x[0], from), w);
  return TRAP_NONE;
}
static Trap ref_same_bits(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  (void)v;
  *out = (uint64_t)int_unsigned((Int)x[0], w);
  return TRAP_NONE;
}

static Trap ref_sign(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  uint64_t sign = format_sign(format_of(w));
  uint64_t wanted = v == 'a' ? 0 : v == 'n' ? ~x[0] : x[1];
  *out = (x[0] & (sign - 1)) | (wanted & sign);
  return TRAP_NONE;
}
static Trap ref_rounding(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  *out = ref_round(x[0], format_of(w), (Rounding)v);
  return TRAP_NONE;
}
static Trap ref_float_arithmetic(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  Format format = format_of(w);
  switch (v) {
    case '+': *out = ref_add(x[0], x[1], format); break;
    case '-':
      *out = float_is_nan(x[1], format) ? format_nan(format)
                                        : ref_add(x[0], x[1] ^ format_sign(format), format);
      break;
    case '*': *out = ref_mul(x[0], x[1], format); break;
    case '/': *out = ref_div(x[0], x[1], format); break;
    case 'r': *out = ref_sqrt(x[0], format); break;
    default: *out = ref_min_max(x[0], x[1], format, v == '>'); break;
  }
  return TRAP_NONE;
}

/* v is the operand's width, plus the sign as one more bit. */
enum { S = 1 };
static Trap ref_to_float(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  *out = ref_convert(v & S ? int_signed((Int)x[0], v & ~1u) : (Int)x[0], format_of(w));
  return TRAP_NONE;
}
static Trap ref_to_int(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  static const Trap traps[] = {TRAP_NONE, TRAP_INVALID_CONVERSION, TRAP_INTEGER_OVERFLOW};
  Int result;
  TruncStatus status = ref_trunc(x[0], format_of(v & ~1u), w, v & S, &result);
  *out = (uint64_t)int_unsigned(result, w);
  return traps[status];
}
static Trap ref_to_int_sat(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  ref_to_int(x, w, v, out);
  return TRAP_NONE;
}
static Trap ref_to_format(const uint64_t *x, unsigned w, unsigned v, uint64_t *out) {
  *out = ref_reformat(x[0], format_of(v), format_of(w));
  return TRAP_NONE;
}

#define INTS(name, fn, v)       \
  {OP_I32_##name, fn, 32, v}, { \
    OP_I64_##name, fn, 64, v    \
  }
#define FLOATS(name, fn, v)     \
  {OP_F32_##name, fn, 32, v}, { \
    OP_F64_##name, fn, 64, v    \
  }
#define RELATION(name, v) INTS(name##_S, ref_relation_s, v), INTS(name##_U, ref_relation_u, v)
#define TO_INT(name, fn, s)                                                             \
  {OP_I32_##name##_F32_##s, fn, 32, 32 + s}, {OP_I32_##name##_F64_##s, fn, 32, 64 + s}, \
      {OP_I64_##name##_F32_##s, fn, 64, 32 + s}, {                                      \
    OP_I64_##name##_F64_##s, fn, 64, 64 + s                                             \
  }
#define TO_FLOAT(s)                                         \
  {OP_F32_CONVERT_I32_##s, ref_to_float, 32, 32 + s},       \
      {OP_F32_CONVERT_I64_##s, ref_to_float, 32, 64 + s},   \
      {OP_F64_CONVERT_I32_##s, ref_to_float, 64, 32 + s}, { \
    OP_F64_CONVERT_I64_##s, ref_to_float, 64, 64 + s        \
  }
enum { U = 0 };

static const struct Row {
  Op op;
  Reference *reference;
  unsigned w, v;
} rows[] = {
    INTS(EQZ, ref_eqz, 0),
    INTS(EQ, ref_relation_u, EQUAL),
    INTS(NE, ref_relation_u, LESS | GREATER),
    RELATION(LT, LESS),
    RELATION(GT, GREATER),
    RELATION(LE, LESS | EQUAL),
    RELATION(GE, GREATER | EQUAL),
    FLOATS(EQ, ref_relation_f, EQUAL),
    FLOATS(NE, ref_relation_f, LESS | GREATER | UNORDERED),
    FLOATS(LT, ref_relation_f, LESS),
    FLOATS(GT, ref_relation_f, GREATER),
    FLOATS(LE, ref_relation_f, LESS | EQUAL),
    FLOATS(GE, ref_relation_f, GREATER | EQUAL),
    INTS(CLZ, ref_count, FROM_TOP),
    INTS(CTZ, ref_count, FROM_BOTTOM),
    INTS(POPCNT, ref_count, SET),
    INTS(ADD, ref_int_arithmetic, '+'),
    INTS(SUB, ref_int_arithmetic, '-'),
    INTS(MUL, ref_int_arithmetic, '*'),
    INTS(AND, ref_int_arithmetic, '&'),
    INTS(OR, ref_int_arithmetic, '|'),
    INTS(XOR, ref_int_arithmetic, '^'),
    INTS(DIV_S, ref_divide, true),
    INTS(DIV_U, ref_divide, false),
    INTS(REM_S, ref_remainder, true),
    INTS(REM_U, ref_remainder, false),
    INTS(SHL, ref_shift, '<'),
    INTS(SHR_S, ref_shift, 's'),
    INTS(SHR_U, ref_shift, 'u'),
    INTS(ROTL, ref_rotate, true),
    INTS(ROTR, ref_rotate, false),
    INTS(EXTEND8_S, ref_extend, 8),
    INTS(EXTEND16_S, ref_extend, 16),
    {OP_I64_EXTEND32_S, ref_extend, 64, 32},
    {OP_I64_EXTEND_I32_S, ref_extend, 64, 32},
    {OP_I64_EXTEND_I32_U, ref_same_bits, 64, 0},
    {OP_I32_WRAP_I64, ref_same_bits, 32, 0},
    {OP_I32_REINTERPRET_F32, ref_same_bits, 32, 0},
    {OP_I64_REINTERPRET_F64, ref_same_bits, 64, 0},
    {OP_F32_REINTERPRET_I32, ref_same_bits, 32, 0},
    {OP_F64_REINTERPRET_I64, ref_same_bits, 64, 0},
    FLOATS(ABS, ref_sign, 'a'),
    FLOATS(NEG, ref_sign, 'n'),
    FLOATS(COPYSIGN, ref_sign, 'c'),
    FLOATS(CEIL, ref_rounding, ROUND_CEIL),
    FLOATS(FLOOR, ref_rounding, ROUND_FLOOR),
    FLOATS(TRUNC, ref_rounding, ROUND_TRUNC),
    FLOATS(NEAREST, ref_rounding, ROUND_NEAREST),
    FLOATS(SQRT, ref_float_arithmetic, 'r'),
    FLOATS(ADD, ref_float_arithmetic, '+'),
    FLOATS(SUB, ref_float_arithmetic, '-'),
    FLOATS(MUL, ref_float_arithmetic, '*'),
    FLOATS(DIV, ref_float_arithmetic, '/'),
    FLOATS(MIN, ref_float_arithmetic, '<'),
    FLOATS(MAX, ref_float_arithmetic, '>'),
    {OP_F32_DEMOTE_F64, ref_to_format, 32, 64},
    {OP_F64_PROMOTE_F32, ref_to_format, 64, 32},
    TO_INT(TRUNC, ref_to_int, S),
    TO_INT(TRUNC, ref_to_int, U),
    TO_INT(TRUNC_SAT, ref_to_int_sat, S),
    TO_INT(TRUNC_SAT, ref_to_int_sat, U),
    TO_FLOAT(S),
    TO_FLOAT(U),
};

static unsigned width_of(char letter) {
  return letter == 'i' || letter == 'f' ? 32 : 64;
}
static bool is_float(char letter) {
  return letter == 'f' || letter == 'd';
}

/* Rows without OPF_NAN have to give the very bits, NaN or not. */
static void check_row(const struct Row *row, const uint64_t *x) {
  const OpInfo *info = &op_info[row->op];
  unsigned n = (unsigned)(strchr(info->sig, '>') - info->sig);
  char result_letter = info->sig[n + 1];
  Cell args[2] = {0}, got;
  for (unsigned i = 0; i < n; i++) args[i].i64 = x[i];

  uint64_t expected = 0;
  Trap trap, expected_trap = row->reference(x, row->w, row->v, &expected);
  bool has_result = pure_eval(row->op, args, NULL, &got, &trap);
  bool is_right = trap == expected_trap && has_result == (expected_trap == TRAP_NONE);
  if (is_right && has_result) {
    is_right = info->flags & OPF_NAN
                   ? ref_accepts(got.i64, expected, format_of(width_of(result_letter)), x, n,
                                 format_of(width_of(info->sig[0])))
                   : got.i64 == expected;
  }
  if (!is_right)
    fail_msg("%s(0x%llx, 0x%llx): 0x%llx trap %d, expected 0x%llx trap %d", info->text,
             (unsigned long long)x[0], (unsigned long long)x[1], (unsigned long long)got.i64,
             (int)trap, (unsigned long long)expected, (int)expected_trap);
}

static uint64_t edge(unsigned i, char letter) {
  unsigned width = width_of(letter);
  return is_float(letter) ? float_edge(i, format_of(width)) : int_edge(i, width);
}
static unsigned edge_count(char letter) {
  return is_float(letter) ? N_FLOAT_EDGES : N_EDGES;
}
static uint64_t random_operand(char letter) {
  unsigned width = width_of(letter);
  return is_float(letter) ? random_float(format_of(width)) : random_int(width);
}

static void test_rows(void **state) {
  (void)state;
  for (const struct Row *row = rows; row < rows + COUNT_OF(rows); row++) {
    const char *sig = op_info[row->op].sig;
    bool is_binary = sig[1] != '>';
    uint64_t x[2] = {0, 0};
    for (unsigned i = 0; i < edge_count(sig[0]); i++) {
      x[0] = edge(i, sig[0]);
      for (unsigned j = 0; j < (is_binary ? edge_count(sig[1]) : 1); j++) {
        if (is_binary) x[1] = edge(j, sig[1]);
        check_row(row, x);
      }
    }
    for (unsigned i = 0; i < N_RANDOM; i++) {
      x[0] = random_operand(sig[0]);
      if (is_binary) x[1] = random_next() % 16 == 0 ? x[0] : random_operand(sig[1]);
      check_row(row, x);
    }
  }
}

static void test_every_pure_row_has_a_reference(void **state) {
  (void)state;
  unsigned n_pure = 0;
  for (unsigned op = 0; op < OP_COUNT; op++) n_pure += (op_info[op].flags & OPF_PURE) != 0;
  assert_int_equal(n_pure, COUNT_OF(rows));
  for (unsigned i = 0; i < COUNT_OF(rows); i++) {
    for (unsigned j = 0; j < i; j++) assert_int_not_equal(rows[i].op, rows[j].op);
  }
}

static void test_other_rows_are_refused(void **state) {
  (void)state;
  Cell args[3] = {0}, out;
  for (unsigned op = 0; op < OP_COUNT; op++) {
    if (op_info[op].flags & (OPF_PURE | OPF_SIMD)) continue;
    Trap trap = TRAP_HOST;
    assert_false(pure_eval((Op)op, args, NULL, &out, &trap));
    assert_int_equal(trap, TRAP_NONE);
  }
}

static void test_canonical_nan(void **state) {
  (void)state;
  Cell cell = {.i64 = 0xFFC12345};
  pure_canonicalize(OP_F32_ADD, &cell);
  assert_int_equal(cell.i64, 0x7FC00000);
  cell.i64 = 0xFFFC000012345678;
  pure_canonicalize(OP_F64_SQRT, &cell);
  assert_int_equal(cell.i64, 0x7FF8000000000000);
  cell.i64 = 0xFFC12345;
  pure_canonicalize(OP_F32_NEG, &cell); /* its bits are determined */
  assert_int_equal(cell.i64, 0xFFC12345);
  cell.f64 = -0.0;
  pure_canonicalize(OP_F64_ADD, &cell);
  assert_int_equal(cell.i64, 0x8000000000000000);

  Cell lanes = {.v128 = {.u32 = {0xFFC00000, 0x3F800000, 0x7FFFFFFF, 0x80000000}}};
  pure_canonicalize(OP_F32X4_MUL, &lanes);
  assert_int_equal(lanes.v128.u32[0], 0x7FC00000);
  assert_int_equal(lanes.v128.u32[1], 0x3F800000);
  assert_int_equal(lanes.v128.u32[2], 0x7FC00000);
  assert_int_equal(lanes.v128.u32[3], 0x80000000);
  lanes.v128 = (V128){.u64 = {0xFFF8000000000001, 0x7FC000007FC00000}};
  pure_canonicalize(OP_F64X2_RELAXED_MADD, &lanes);
  assert_int_equal(lanes.v128.u64[0], 0x7FF8000000000000);
  assert_int_equal(lanes.v128.u64[1], 0x7FC000007FC00000);
}

static void test_result_may_replace_an_operand(void **state) {
  (void)state;
  Cell args[2] = {{.v128 = {.u64 = {7, ~(uint64_t)0}}}, {.i32 = 3}};
  Trap trap;
  assert_true(pure_eval(OP_I32_SUB, args, NULL, &args[0], &trap));
  assert_int_equal(args[0].v128.u64[0], 4);
  assert_int_equal(args[0].v128.u64[1], 0);
}

/* A 128-bit integer as limbs of 16 bits, added and multiplied as on paper. */
static Wide wide_on_paper(uint64_t a, uint64_t b) {
  uint16_t limbs[8] = {0};
  for (unsigned i = 0; i < 4; i++) {
    uint32_t carry = 0;
    for (unsigned j = 0; j < 4; j++) {
      uint32_t t = (uint32_t)(a >> 16 * i & 0xFFFF) * (uint32_t)(b >> 16 * j & 0xFFFF);
      uint64_t sum = (uint64_t)t + limbs[i + j] + carry;
      limbs[i + j] = (uint16_t)sum;
      carry = (uint32_t)(sum >> 16);
    }
    limbs[i + 4] = (uint16_t)carry;
  }
  Wide result;
  memcpy(&result, limbs, sizeof result);
  return result;
}

static Uint uint_of(Wide x) {
  return (Uint)x.high << 64 | x.low;
}

static void test_wide_arithmetic(void **state) {
  (void)state;
  for (unsigned i = 0; i < N_RANDOM; i++) {
    Wide a = {random_int(64), random_int(64)}, b = {random_int(64), random_int(64)};
    assert_true(uint_of(wide_add(a, b)) == uint_of(a) + uint_of(b));
    assert_true(uint_of(wide_sub(a, b)) == uint_of(a) - uint_of(b));
    assert_true(uint_of(wide_mul_u(a.low, b.low)) == uint_of(wide_on_paper(a.low, b.low)));
    Int product = (Int)(int64_t)a.low * (int64_t)b.low;
    assert_true(uint_of(wide_mul_s(a.low, b.low)) == (Uint)product);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_pure_row_has_a_reference), cmocka_unit_test(test_rows),
      cmocka_unit_test(test_other_rows_are_refused),         cmocka_unit_test(test_canonical_nan),
      cmocka_unit_test(test_result_may_replace_an_operand),  cmocka_unit_test(test_wide_arithmetic),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
