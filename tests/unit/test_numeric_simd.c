/* test_numeric_simd.c - the rows of simd.def against a reference that reads the mnemonic: the shape
 * says how to cut the vectors into lanes, the rest what to do with each of them, by the rules of
 * numeric_ref.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "module/pure.h"
#include "numeric_ref.h"

enum { N_RANDOM = 25000 };

/* A mnemonic taken apart: i16x8.extmul_low_i8x16_s is 8 lanes of 16 bits, "extmul_low", from lanes
 * of 8 bits, signed. */
typedef struct Mnemonic {
  bool is_float, is_signed, is_from_float;
  unsigned width, n_lanes, from_width;
  char verb[32]; /* without relaxed_, the second shape, sign, zero */
} Mnemonic;

static bool starts_with(const char *text, const char *start) {
  return strncmp(text, start, strlen(start)) == 0;
}
static bool is_verb(const Mnemonic *m, const char *verb) {
  return strcmp(m->verb, verb) == 0;
}
static void cut_end(char *text, const char *end) {
  size_t size = strlen(text), cut = strlen(end);
  if (size > cut && strcmp(text + size - cut, end) == 0) text[size - cut] = 0;
}

/* A shape such as i8x16 or f64x2 at the start of a text. */
static bool parse_shape(const char *text, bool *has_floats, unsigned *width) {
  if ((*text != 'i' && *text != 'f') || text[1] < '0' || text[1] > '9') return false;
  *has_floats = *text == 'f';
  *width = (unsigned)strtoul(text + 1, NULL, 10);
  return true;
}

static Mnemonic parse_mnemonic(const char *text) {
  Mnemonic m = {.width = 128, .n_lanes = 1};
  if (parse_shape(text, &m.is_float, &m.width)) m.n_lanes = 128 / m.width;
  const char *verb = strchr(text, '.') + 1;
  if (starts_with(verb, "relaxed_")) verb += strlen("relaxed_");
  strncpy(m.verb, verb, sizeof m.verb - 1);
  cut_end(m.verb, "_zero");
  m.is_signed = strstr(m.verb, "_s") != NULL && strcmp(strrchr(m.verb, '_'), "_s") == 0;
  cut_end(m.verb, "_s");
  cut_end(m.verb, "_u");
  m.from_width = m.width;
  m.is_from_float = m.is_float;
  for (char *at = strchr(m.verb, '_'); at; at = strchr(at + 1, '_')) {
    if (!parse_shape(at + 1, &m.is_from_float, &m.from_width)) continue;
    *at = 0;
    break;
  }
  return m;
}

static uint64_t lane_bits(const V128 *v, unsigned width, unsigned i) {
  uint64_t x = 0;
  for (unsigned byte = width / 8; byte-- > 0;) x = x << 8 | v->u8[i * (width / 8) + byte];
  return x;
}
static void set_lane(V128 *v, unsigned width, unsigned i, uint64_t x) {
  for (unsigned byte = 0; byte < width / 8; byte++)
    v->u8[i * (width / 8) + byte] = (uint8_t)(x >> 8 * byte);
}
static Int lane(const V128 *v, unsigned width, unsigned i, bool is_signed) {
  Int x = (Int)lane_bits(v, width, i);
  return is_signed ? int_signed(x, width) : x;
}
static Format format_of(unsigned width) {
  return width == 32 ? FORMAT_F32 : FORMAT_F64;
}

/* Whether a comparison's verb accepts an outcome: -1, 0, 1, or 2 for unordered. */
static bool is_relation(const Mnemonic *m) {
  return strstr(" eq ne lt gt le ge ", m->verb) && strlen(m->verb) == 2;
}
static bool relation_accepts(const char *verb, int order) {
  if (verb[0] == 'e') return order == 0;
  if (verb[0] == 'n') return order != 0;
  if (order == 0) return verb[1] == 'e';
  return order == (verb[0] == 'l' ? -1 : 1);
}

/* One lane of a lane-wise instruction on integers; false for other verbs. */
static bool int_lane(const Mnemonic *m, const V128 *v, unsigned i, uint64_t *out) {
  bool is_signed = m->is_signed || is_verb(m, "abs") || is_verb(m, "mul");
  Int a = lane(&v[0], m->width, i, is_signed), b = lane(&v[1], m->width, i, is_signed), r = 0;
  if (is_relation(m)) {
    r = relation_accepts(m->verb, (a > b) - (a < b)) ? -1 : 0;
  } else if (is_verb(m, "add")) {
    r = a + b;
  } else if (is_verb(m, "sub")) {
    r = a - b;
  } else if (is_verb(m, "mul")) {
    r = a * b;
  } else if (is_verb(m, "add_sat")) {
    r = int_saturate(a + b, m->width, m->is_signed);
  } else if (is_verb(m, "sub_sat")) {
    r = int_saturate(a - b, m->width, m->is_signed);
  } else if (is_verb(m, "min")) {
    r = a < b ? a : b;
  } else if (is_verb(m, "max")) {
    r = a < b ? b : a;
  } else if (is_verb(m, "avgr")) {
    r = (a + b + 1) / 2;
  } else if (starts_with(m->verb, "q15mulr")) {
    Int scaled = a * b + 0x4000;
    r = int_saturate(scaled / 0x8000 - (scaled % 0x8000 < 0), 16, true);
  } else if (is_verb(m, "abs")) {
    r = a < 0 ? -a : a;
  } else if (is_verb(m, "neg")) {
    r = -a;
  } else if (is_verb(m, "popcnt")) {
    for (Int bits = a; bits; bits >>= 1) r += bits & 1;
  } else {
    return false;
  }
  *out = (uint64_t)int_unsigned(r, m->width);
  return true;
}

static bool float_lane(const Mnemonic *m, const V128 *v, unsigned i, uint64_t *out) {
  Format format = format_of(m->width);
  uint64_t a = lane_bits(&v[0], m->width, i), b = lane_bits(&v[1], m->width, i);
  uint64_t c = lane_bits(&v[2], m->width, i), sign = format_sign(format);
  static const char *const roundings[] = {"ceil", "floor", "trunc", "nearest"};
  for (unsigned r = 0; r < 4; r++) {
    if (!is_verb(m, roundings[r])) continue;
    *out = ref_round(a, format, (Rounding)r);
    return true;
  }
  if (is_relation(m)) {
    *out = relation_accepts(m->verb, ref_compare(a, b, format)) ? sign | (sign - 1) : 0;
  } else if (is_verb(m, "abs")) {
    *out = a & ~sign;
  } else if (is_verb(m, "neg")) {
    *out = a ^ sign;
  } else if (is_verb(m, "sqrt")) {
    *out = ref_sqrt(a, format);
  } else if (is_verb(m, "add")) {
    *out = ref_add(a, b, format);
  } else if (is_verb(m, "sub")) {
    *out = ref_add(a, b ^ sign, format);
  } else if (is_verb(m, "mul")) {
    *out = ref_mul(a, b, format);
  } else if (is_verb(m, "div")) {
    *out = ref_div(a, b, format);
  } else if (is_verb(m, "min") || is_verb(m, "max")) {
    *out = ref_min_max(a, b, format, m->verb[1] == 'a');
  } else if (is_verb(m, "pmin")) {
    *out = ref_compare(b, a, format) == -1 ? b : a;
  } else if (is_verb(m, "pmax")) {
    *out = ref_compare(a, b, format) == -1 ? b : a;
  } else if (is_verb(m, "madd")) {
    *out = ref_add(ref_mul(a, b, format), c, format);
  } else if (is_verb(m, "nmadd")) {
    *out = ref_add(ref_mul(a ^ sign, b, format), c, format);
  } else {
    return false;
  }
  return true;
}

/* Lanes that become wider, narrower or another kind. */
static bool convert_lane(const Mnemonic *m, const V128 *v, unsigned i, uint64_t *out) {
  unsigned n = m->n_lanes, from = m->from_width, n_from = 128 / from;
  unsigned at = strstr(m->verb, "_high") ? i + n : i;
  Int r = 0;
  if (starts_with(m->verb, "extend_")) {
    r = lane(v, from, at, m->is_signed);
  } else if (starts_with(m->verb, "extmul_")) {
    r = lane(&v[0], from, at, m->is_signed) * lane(&v[1], from, at, m->is_signed);
  } else if (is_verb(m, "extadd_pairwise")) {
    r = lane(v, from, 2 * i, m->is_signed) + lane(v, from, 2 * i + 1, m->is_signed);
  } else if (is_verb(m, "narrow")) {
    r = int_saturate(lane(&v[i / n_from], from, i % n_from, true), m->width, m->is_signed);
  } else if (starts_with(m->verb, "trunc") && !m->is_float) {
    if (i < n_from) ref_trunc(lane_bits(v, from, i), format_of(from), 32, m->is_signed, &r);
  } else if (starts_with(m->verb, "convert")) {
    *out = ref_convert(lane(v, from, i, m->is_signed), format_of(m->width));
    return true;
  } else if (is_verb(m, "demote") || starts_with(m->verb, "promote")) {
    *out =
        i < n_from ? ref_reformat(lane_bits(v, from, i), format_of(from), format_of(m->width)) : 0;
    return true;
  } else if (is_verb(m, "dot") && from == 16) {
    for (unsigned k = 0; k < 2; k++)
      r += lane(&v[0], 16, 2 * i + k, true) * lane(&v[1], 16, 2 * i + k, true);
  } else if (is_verb(m, "dot")) {
    /* Pairs saturate to 16 bits; the form that adds sums two of them and the third operand. */
    unsigned n_pairs = m->width / 16;
    for (unsigned pair = 0; pair < n_pairs; pair++) {
      Int sum = 0;
      for (unsigned k = 0; k < 2; k++) {
        unsigned byte = (i * n_pairs + pair) * 2 + k;
        sum += lane(&v[0], 8, byte, true) * lane(&v[1], 8, byte, true);
      }
      r += int_saturate(sum, 16, true);
    }
    if (m->width == 32) r += lane(&v[2], 32, i, false);
  } else {
    return false;
  }
  *out = (uint64_t)int_unsigned(r, m->width);
  return true;
}

/* Lanes that move, and bits. `count` is the second operand of a shift or the new lane. */
static bool moved_lane(const Mnemonic *m, const V128 *v, uint64_t count, const V128 *immediate,
                       unsigned i, uint64_t *out) {
  unsigned w = m->width;
  if (is_verb(m, "splat")) {
    *out = count;
  } else if (is_verb(m, "replace_lane")) {
    *out = immediate->u8[0] == i ? count : lane_bits(v, w, i);
  } else if (is_verb(m, "shuffle")) {
    unsigned from = immediate->u8[i];
    *out = v[from / 16].u8[from % 16];
  } else if (is_verb(m, "swizzle")) {
    *out = v[1].u8[i] > 15 ? 0 : v[0].u8[v[1].u8[i]];
  } else if (is_verb(m, "laneselect")) {
    uint64_t mask = lane_bits(&v[2], w, i);
    *out = (lane_bits(&v[0], w, i) & mask) | (lane_bits(&v[1], w, i) & ~mask);
  } else if (is_verb(m, "shl")) {
    *out = lane_bits(v, w, i) << (count % w);
  } else if (is_verb(m, "shr")) {
    Int factor = int_power((unsigned)(count % w)), a = lane(v, w, i, m->is_signed);
    *out = (uint64_t)(a / factor - (a % factor < 0));
  } else {
    return false;
  }
  return true;
}

/* The whole-vector instructions of shape v128. */
static void ref_whole(const Mnemonic *m, const V128 *v, V128 *out) {
  for (unsigned i = 0; i < 16; i++) {
    uint8_t a = v[0].u8[i], b = v[1].u8[i], c = v[2].u8[i];
    out->u8[i] = (uint8_t)(is_verb(m, "not")      ? 255 - a
                           : is_verb(m, "and")    ? a & b
                           : is_verb(m, "andnot") ? a & (255 - b)
                           : is_verb(m, "or")     ? a | b
                           : is_verb(m, "xor")    ? (a | b) - (a & b)
                                                  : (a & c) | (b & (255 - c)));
  }
}

/* Results that are numbers. */
static uint64_t ref_scalar(const Mnemonic *m, const V128 *v, const V128 *immediate) {
  if (starts_with(m->verb, "extract_lane")) {
    Int x = lane(v, m->width, immediate->u8[0], m->is_signed);
    return (uint64_t)int_unsigned(x, m->width < 32 ? 32 : m->width);
  }
  uint64_t mask = 0, all = ((uint64_t)1 << m->n_lanes) - 1;
  for (unsigned i = 0; i < m->n_lanes; i++) {
    bool is_set =
        is_verb(m, "bitmask") ? lane(v, m->width, i, true) < 0 : lane_bits(v, m->width, i) != 0;
    mask |= (uint64_t)is_set << i;
  }
  return is_verb(m, "bitmask") ? mask : mask == all;
}

static Cell reference(const Mnemonic *m, const char *sig, const Cell *args, const V128 *immediate) {
  V128 v[3] = {args[0].v128, args[1].v128, args[2].v128};
  Cell out = {.v128 = {{0}}};
  char result = strchr(sig, '>')[1];
  if (is_verb(m, "any_true")) {
    for (unsigned i = 0; i < 16; i++) out.i32 |= v[0].u8[i] != 0;
  } else if (result != 'v') {
    out.i64 = ref_scalar(m, v, immediate);
  } else if (m->n_lanes == 1) {
    ref_whole(m, v, &out.v128);
  } else {
    uint64_t count = sig[0] == 'v' ? args[1].i64 : args[0].i64;
    for (unsigned i = 0; i < m->n_lanes; i++) {
      uint64_t x = 0;
      bool is_known = convert_lane(m, v, i, &x) || moved_lane(m, v, count, immediate, i, &x) ||
                      (m->is_float ? float_lane(m, v, i, &x) : int_lane(m, v, i, &x));
      if (!is_known) fail_msg("no reference for %s", m->verb);
      set_lane(&out.v128, m->width, i, x);
    }
  }
  return out;
}

/* Equal, or NaNs of which the specification allows several. */
static bool accepts(const Mnemonic *m, const OpInfo *info, const Cell *args, const Cell *got,
                    const Cell *expected) {
  if (!(info->flags & OPF_NAN)) return memcmp(got, expected, sizeof *got) == 0;
  unsigned n = (unsigned)(strchr(info->sig, '>') - info->sig);
  for (unsigned i = 0; i < m->n_lanes; i++) {
    uint64_t operands[3] = {0};
    for (unsigned k = 0; k < n && i < 128 / m->from_width; k++)
      operands[k] = lane_bits(&args[k].v128, m->from_width, i);
    if (!ref_accepts(lane_bits(&got->v128, m->width, i), lane_bits(&expected->v128, m->width, i),
                     format_of(m->width), operands, n, format_of(m->from_width)))
      return false;
  }
  return true;
}

/* Mostly lanes of the kind that the instruction reads, edges among them. */
static V128 random_vector(const Mnemonic *m) {
  V128 v;
  bool has_floats = m->is_from_float;
  unsigned width = m->from_width == 128 ? 64 : m->from_width;
  if (random_next() % 4 == 0) {
    has_floats = random_next() & 1;
    width = has_floats ? 32u << (random_next() & 1) : 8u << (random_next() & 3);
  }
  for (unsigned i = 0; i < 128 / width; i++) {
    bool is_edge = random_next() % 4 == 0;
    unsigned n = (unsigned)random_next();
    uint64_t x = has_floats ? is_edge ? float_edge(n % N_FLOAT_EDGES, format_of(width))
                                      : random_float(format_of(width))
                 : is_edge ? int_edge(n % N_EDGES, width)
                            : random_int(width);
    set_lane(&v, width, i, x);
  }
  return v;
}

static Cell random_operand(const Mnemonic *m, char letter) {
  Cell cell = {.v128 = {{0}}};
  switch (letter) {
    case 'v': cell.v128 = random_vector(m); break;
    case 'i': cell.i64 = random_int(32); break;
    case 'l': cell.i64 = random_int(64); break;
    case 'f': cell.i64 = random_float(FORMAT_F32); break;
    default: cell.i64 = random_float(FORMAT_F64); break;
  }
  return cell;
}

static V128 random_immediate(const Mnemonic *m, uint8_t imm) {
  V128 v = {{0}};
  for (unsigned i = 0; i < 16; i++)
    v.u8[i] = (uint8_t)(random_next() % (imm == IMM_SHUFFLE ? 32 : m->n_lanes));
  return v;
}

static void check(Op op, const Mnemonic *m) {
  const OpInfo *info = &op_info[op];
  Cell args[3] = {{.v128 = {{0}}}}, got;
  for (unsigned i = 0; info->sig[i] != '>'; i++) {
    args[i] = random_operand(m, info->sig[i]);
    if (i == 1 && random_next() % 16 == 0 && info->sig[1] == info->sig[0]) args[1] = args[0];
  }
  V128 immediate = random_immediate(m, info->imm);
  Cell expected = reference(m, info->sig, args, &immediate);
  Trap trap;
  assert_true(pure_eval(op, args, info->imm == IMM_NONE ? NULL : &immediate, &got, &trap));
  assert_int_equal(trap, TRAP_NONE);
  if (!accepts(m, info, args, &got, &expected)) {
    for (unsigned i = 0; i < 2; i++)
      print_error("%016llx %016llx %016llx: %016llx expected %016llx\n",
                  (unsigned long long)args[0].v128.u64[i], (unsigned long long)args[1].v128.u64[i],
                  (unsigned long long)args[2].v128.u64[i], (unsigned long long)got.v128.u64[i],
                  (unsigned long long)expected.v128.u64[i]);
    fail_msg("%s", info->text);
  }
}

static void test_rows(void **state) {
  (void)state;
  unsigned n = 0;
  for (unsigned op = 0; op < OP_COUNT; op++) {
    if (!(op_info[op].flags & OPF_SIMD)) continue;
    Mnemonic m = parse_mnemonic(op_info[op].text);
    for (unsigned i = 0; i < N_RANDOM; i++) check((Op)op, &m);
    n++;
  }
  assert_int_equal(n, 233);
}

/* Every pair of bytes where that is few, since all of them can be had. */
static void test_all_pairs_of_bytes(void **state) {
  (void)state;
  static const Op ops[] = {OP_I8X16_ADD_SAT_S, OP_I8X16_ADD_SAT_U, OP_I8X16_SUB_SAT_S,
                           OP_I8X16_SUB_SAT_U, OP_I8X16_AVGR_U,    OP_I8X16_MIN_S,
                           OP_I8X16_MAX_U,     OP_I8X16_LT_S,      OP_I8X16_POPCNT,
                           OP_I8X16_ABS,       OP_I8X16_SHL,       OP_I8X16_SHR_S};
  for (unsigned k = 0; k < COUNT_OF(ops); k++) {
    Mnemonic m = parse_mnemonic(op_info[ops[k]].text);
    for (unsigned a = 0; a < 256; a++) {
      for (unsigned b = 0; b < 256; b += 16) {
        Cell args[3] = {{.v128 = {{0}}}}, got;
        for (unsigned i = 0; i < 16; i++) {
          args[0].v128.u8[i] = (uint8_t)a;
          args[1].v128.u8[i] = (uint8_t)(b + i);
        }
        Trap trap;
        assert_true(pure_eval(ops[k], args, NULL, &got, &trap));
        Cell expected = reference(&m, op_info[ops[k]].sig, args, NULL);
        assert_memory_equal(&got, &expected, sizeof got);
      }
    }
  }
}

/* The answers of the specification's own examples for the relaxed instructions' deterministic
 * profile, where another profile would differ. */
static void test_relaxed_is_deterministic(void **state) {
  (void)state;
  Trap trap;
  Cell out;
  float max = 0x1.fffffep+127f;
  Cell madd[3] = {{.v128 = {.f32 = {max, 0x1.000004p+0f}}},
                  {.v128 = {.f32 = {2, 0x1.0002p+0f}}},
                  {.v128 = {.f32 = {-max, -0x1.000204p+0f}}}};
  assert_true(pure_eval(OP_F32X4_RELAXED_MADD, madd, NULL, &out, &trap));
  assert_int_equal(out.v128.u32[0], 0x7F800000); /* infinity: the product was rounded */
  assert_int_equal(out.v128.u32[1], 0);

  Cell dot[3] = {{.v128 = {.i8 = {-128, -128, -128, -128}}},
                 {.v128 = {.i8 = {-127, -127, -128, -128}}},
                 {.v128 = {.i32 = {1, 2}}}};
  assert_true(pure_eval(OP_I16X8_RELAXED_DOT_I8X16_I7X16_S, dot, NULL, &out, &trap));
  assert_int_equal(out.v128.i16[0], 32512);
  assert_int_equal(out.v128.i16[1], 32767);
  assert_true(pure_eval(OP_I32X4_RELAXED_DOT_I8X16_I7X16_ADD_S, dot, NULL, &out, &trap));
  assert_int_equal(out.v128.i32[0], 32512 + 32767 + 1);

  Cell swizzle[2] = {{.v128 = {.u8 = {1, 2, 3}}}, {.v128 = {.u8 = {16, 0, 128, 2}}}};
  assert_true(pure_eval(OP_I8X16_RELAXED_SWIZZLE, swizzle, NULL, &out, &trap));
  assert_int_equal(out.v128.u32[0], 0x03000100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows),
      cmocka_unit_test(test_all_pairs_of_bytes),
      cmocka_unit_test(test_relaxed_is_deterministic),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
