/* test_opcode.c - the tables agree with themselves and with each other: codes, mnemonics,
 * signatures, immediates, access widths, rows of numeric.def and simd.def, features, traps,
 * sections.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>

#include "module/numeric.h"
#include "module/opcode.h"

/* Threads race to be the first who asks; must run before any other look-up. */
static void *look_up(void *arg) {
  bool is_right = true;
  for (unsigned op = 0; op < OP_COUNT; op++) {
    Op found = op_of_text(str_of(op_info[op].text));
    is_right = is_right && found <= op && strcmp(op_info[found].text, op_info[op].text) == 0;
  }
  return is_right ? arg : NULL;
}

static void test_first_look_up_from_threads(void **state) {
  (void)state;
  pthread_t threads[4];
  for (unsigned i = 0; i < COUNT_OF(threads); i++)
    assert_int_equal(pthread_create(&threads[i], NULL, look_up, threads), 0);
  for (unsigned i = 0; i < COUNT_OF(threads); i++) {
    void *result;
    assert_int_equal(pthread_join(threads[i], &result), 0);
    assert_non_null(result);
  }
}

static void test_rows_are_in_order(void **state) {
  (void)state;
  for (unsigned op = 1; op < OP_COUNT; op++) {
    const OpInfo *a = &op_info[op - 1], *b = &op_info[op];
    if (a->prefix > b->prefix || (a->prefix == b->prefix && a->code >= b->code))
      fail_msg("%s does not come before %s", a->text, b->text);
  }
}

static void test_codes_round_trip(void **state) {
  (void)state;
  for (unsigned op = 0; op < OP_COUNT; op++) {
    const OpInfo *info = &op_info[op];
    assert_int_equal(op_of_prefixed(info->prefix, info->code), op);
    if (info->prefix == PREFIX_NONE) assert_int_equal(op_of_byte[info->code], op);
  }
  unsigned n = 0;
  for (unsigned prefix = 0; prefix < 256; prefix++) {
    for (uint32_t code = 0; code < 0x400; code++) {
      Op op = op_of_prefixed((uint8_t)prefix, code);
      if (op == OP_INVALID) continue;
      assert_int_equal(op_info[op].prefix, prefix);
      assert_int_equal(op_info[op].code, code);
      n++;
    }
    assert_int_equal(op_of_prefixed((uint8_t)prefix, UINT32_MAX), OP_INVALID);
  }
  assert_int_equal(n, OP_COUNT);
  for (unsigned byte = 0xFB; byte < 256; byte++) assert_int_equal(op_of_byte[byte], OP_INVALID);
}

/* Encodings that are easily taken for a neighbour's. */
static void test_known_codes(void **state) {
  (void)state;
  assert_int_equal(op_of_byte[0x1F], OP_TRY_TABLE);
  assert_int_equal(op_of_byte[0xBF], OP_F64_REINTERPRET_I64);
  assert_int_equal(op_of_byte[0xD6], OP_BR_ON_NON_NULL);
  assert_int_equal(op_of_prefixed(0xFB, 0x17), OP_REF_CAST_NULL);
  assert_int_equal(op_of_prefixed(0xFB, 0x1E), OP_I31_GET_U);
  assert_int_equal(op_of_prefixed(0xFC, 0x11), OP_TABLE_FILL);
  assert_int_equal(op_of_prefixed(0xFC, 0x13), OP_I64_ADD128);
  assert_int_equal(op_of_prefixed(0xFD, 0x52), OP_V128_BITSELECT);
  assert_int_equal(op_of_prefixed(0xFD, 0x9B), OP_I16X8_AVGR_U);
  assert_int_equal(op_of_prefixed(0xFD, 0xFF), OP_F64X2_CONVERT_LOW_I32X4_U);
  assert_int_equal(op_of_prefixed(0xFD, 0x113), OP_I32X4_RELAXED_DOT_I8X16_I7X16_ADD_S);
  assert_int_equal(op_of_prefixed(0xFE, 0x4E), OP_I64_ATOMIC_RMW32_CMPXCHG_U);
}

static void test_mnemonics_round_trip(void **state) {
  (void)state;
  unsigned n_shared = 0;
  for (unsigned op = 0; op < OP_COUNT; op++) {
    Op found = op_of_text(str_of(op_info[op].text));
    assert_string_equal(op_info[found].text, op_info[op].text);
    n_shared += found != op;
  }
  assert_int_equal(n_shared, 3);
  assert_int_equal(op_of_text(STR_LITERAL("select")), OP_SELECT);
  assert_int_equal(op_of_text(STR_LITERAL("ref.test")), OP_REF_TEST);
  assert_int_equal(op_of_text(STR_LITERAL("ref.cast")), OP_REF_CAST);
}

static void test_other_words_are_no_mnemonics(void **state) {
  (void)state;
  static const char *const words[] = {
      "",          "i32",         "i32.",        "i32.ad",       "i32.addd",
      "I32.ADD",   "get_local",   "grow_memory", "i32.wrap/i64", "current_memory",
      "tee_local", "atomic.wait", "func",        "v8x16.shuffle"};
  for (unsigned i = 0; i < COUNT_OF(words); i++)
    assert_int_equal(op_of_text(str_of(words[i])), OP_INVALID);
  assert_int_equal(op_of_text((Str){NULL, 0}), OP_INVALID);
  assert_int_equal(op_of_text((Str){"i32.add\0", 8}), OP_INVALID);
}

static bool has_memory(unsigned imm) {
  return imm == IMM_MEMORY || imm == IMM_MEMARG || imm == IMM_MEMARG_LANE;
}

static void test_signatures(void **state) {
  (void)state;
  for (unsigned op = 0; op < OP_COUNT; op++) {
    const OpInfo *info = &op_info[op];
    if (strcmp(info->sig, "*") == 0) {
      assert_int_equal(info->flags, OPF_CONTROL);
      continue;
    }
    const char *arrow = strchr(info->sig, '>');
    assert_non_null(arrow);
    assert_null(strchr(arrow + 1, '>'));
    assert_int_equal(strspn(info->sig, "ilfdvat>"), strlen(info->sig));
    assert_true(arrow - info->sig <= 4 && strlen(arrow + 1) <= 2);
    assert_true(!strchr(info->sig, 'a') || has_memory(info->imm));
    assert_true(!strchr(info->sig, 't') || info->imm == IMM_TABLE);
    /* Accesses start with their address. */
    if (info->imm == IMM_MEMARG || info->imm == IMM_MEMARG_LANE)
      assert_int_equal(info->sig[0], 'a');
  }
}

/* The type that a mnemonic starts with, as a letter, or 0. */
static char type_letter(const char *text) {
  static const struct {
    const char *start;
    char letter;
  } types[] = {{"i32.", 'i'}, {"i64.", 'l'}, {"f32.", 'f'}, {"f64.", 'd'}, {"v128.", 'v'}};
  for (unsigned i = 0; i < COUNT_OF(types); i++) {
    if (strncmp(text, types[i].start, strlen(types[i].start)) == 0) return types[i].letter;
  }
  return 0;
}

/* Bytes that a memory instruction touches, read off its mnemonic. */
static unsigned width_of_text(const char *text) {
  static const char *const words[] = {"load", "store", "rmw", "wait"};
  if (strcmp(text, "memory.atomic.notify") == 0) return 4;
  for (unsigned i = 0; i < COUNT_OF(words); i++) {
    const char *at = strstr(text, words[i]);
    if (!at) continue;
    char *end;
    unsigned bits = (unsigned)strtoul(at + strlen(words[i]), &end, 10);
    /* load8x8 reads eight lanes of eight bits. */
    if (*end == 'x') bits *= (unsigned)strtoul(end + 1, NULL, 10);
    if (bits) return bits / 8;
    return text[0] == 'v' ? 16 : (unsigned)strtoul(text + 1, NULL, 10) / 8;
  }
  return 0;
}

static void test_accesses(void **state) {
  (void)state;
  for (unsigned op = 0; op < OP_COUNT; op++) {
    const OpInfo *info = &op_info[op];
    bool is_access = info->imm == IMM_MEMARG || info->imm == IMM_MEMARG_LANE;
    assert_int_equal(info->width, is_access ? width_of_text(info->text) : 0);
    if (!is_access) {
      assert_false(info->flags & (OPF_LOAD | OPF_STORE | OPF_ATOMIC));
      continue;
    }
    bool is_rmw = strstr(info->text, ".rmw") != NULL, is_waiting = info->flags & OPF_CONTROL;
    bool loads = !is_waiting && (strstr(info->text, ".load") || is_rmw);
    bool stores = !is_waiting && (strstr(info->text, ".store") || is_rmw);
    assert_int_equal((info->flags & OPF_LOAD) != 0, loads);
    assert_int_equal((info->flags & OPF_STORE) != 0, stores);
    assert_int_equal((info->flags & OPF_ATOMIC) != 0, info->prefix == PREFIX_ATOMIC);
    assert_int_equal(info->imm == IMM_MEMARG_LANE, strstr(info->text, "_lane") != NULL);
    char type = type_letter(info->text);
    if (type && loads) assert_int_equal(info->sig[strlen(info->sig) - 1], type);
    if (type && stores) assert_int_equal(info->sig[1], type);
  }
}

/* A row is of exactly one kind. */
static void test_kinds(void **state) {
  (void)state;
  for (unsigned op = 0; op < OP_COUNT; op++) {
    unsigned flags = op_info[op].flags;
    unsigned kinds = (flags & OPF_PURE ? 1u : 0u) + (flags & OPF_SIMD ? 1u : 0u) +
                     (flags & (OPF_LOAD | OPF_STORE) ? 1u : 0u) + (flags & OPF_CONTROL ? 1u : 0u);
    if (kinds != 1) fail_msg("%s is of %u kinds", op_info[op].text, kinds);
    if (!(flags & OPF_NAN)) continue;
    char result = strchr(op_info[op].sig, '>')[1];
    assert_true(flags & (OPF_PURE | OPF_SIMD));
    assert_true(result == 'f' || result == 'd' || result == 'v');
    if (result == 'v')
      assert_true(strncmp(op_info[op].text, "f32x4.", 6) == 0 ||
                  strncmp(op_info[op].text, "f64x2.", 6) == 0);
  }
}

/* The signature that a row of numeric.def or simd.def stands for. */
typedef struct RowSig {
  Op op;
  const char *operands[3], *result;
} RowSig;
static const RowSig row_sigs[] = {
#define UN(name, r, a, expr)            {OP_##name, {#a "."}, #r "."},
#define BIN(name, r, a, b, expr)        {OP_##name, {#a ".", #b "."}, #r "."},
#define UNT(name, r, a, trap, expr)     {OP_##name, {#a "."}, #r "."},
#define BINT(name, r, a, b, trap, expr) {OP_##name, {#a ".", #b "."}, #r "."},
#include "tables/numeric.def"
#define VUN(name, body)         {OP_##name, {"v128."}, "v128."},
#define VBIN(name, body)        {OP_##name, {"v128.", "v128."}, "v128."},
#define VTER(name, body)        {OP_##name, {"v128.", "v128.", "v128."}, "v128."},
#define VSHIFT(name, body)      {OP_##name, {"v128.", "i32."}, "v128."},
#define VTEST(name, body)       {OP_##name, {"v128."}, "i32."},
#define VSPLAT(name, t, body)   {OP_##name, {#t "."}, "v128."},
#define VEXTRACT(name, t, body) {OP_##name, {"v128."}, #t "."},
#define VREPLACE(name, t, body) {OP_##name, {"v128.", #t "."}, "v128."},
#define VSHUFFLE(name, body)    {OP_##name, {"v128.", "v128."}, "v128."},
#include "tables/simd.def"
};

static void test_pure_rows_match_signatures(void **state) {
  (void)state;
  unsigned n_seen[OP_COUNT] = {0};
  for (const RowSig *row = row_sigs; row < row_sigs + COUNT_OF(row_sigs); row++) {
    char sig[8];
    size_t n = 0;
    for (unsigned i = 0; i < 3 && row->operands[i]; i++) sig[n++] = type_letter(row->operands[i]);
    sig[n++] = '>';
    sig[n++] = type_letter(row->result);
    sig[n] = 0;
    assert_string_equal(op_info[row->op].sig, sig);
    n_seen[row->op]++;
  }
  for (unsigned op = 0; op < OP_COUNT; op++)
    assert_int_equal(n_seen[op], (op_info[op].flags & (OPF_PURE | OPF_SIMD)) != 0);
}

static void test_immediates(void **state) {
  (void)state;
  static const char *const names[] = {
#define IMM(name) #name,
#include "tables/imm.def"
  };
  unsigned n_used[COUNT_OF(names)] = {0};
  for (unsigned op = 0; op < OP_COUNT; op++) {
    const OpInfo *info = &op_info[op];
    assert_true(info->imm < COUNT_OF(names));
    n_used[info->imm]++;
    bool names_lane = strstr(info->text, "extract_lane") || strstr(info->text, "replace_lane");
    assert_int_equal(info->imm == IMM_LANE, names_lane);
    assert_int_equal(info->imm == IMM_SHUFFLE, op == OP_I8X16_SHUFFLE);
    if (info->flags & (OPF_PURE | OPF_SIMD))
      assert_true(info->imm == IMM_NONE || info->imm == IMM_LANE || info->imm == IMM_SHUFFLE);
    if (strstr(info->text, ".const")) {
      char type[8] = {0};
      for (unsigned i = 0; info->text[i] != '.'; i++)
        type[i] = (char)toupper((unsigned char)info->text[i]);
      assert_string_equal(names[info->imm], type);
    }
  }
  for (unsigned i = 0; i < COUNT_OF(names); i++) {
    if (!n_used[i]) fail_msg("no instruction has the immediate %s", names[i]);
  }
}

static void test_features(void **state) {
  (void)state;
  for (unsigned i = 0; i < FEATURE_COUNT; i++) {
    Feature found;
    assert_true(feature_of_key(str_of(feature_key((Feature)i)), &found));
    assert_int_equal(found, i);
  }
  Feature feature;
  assert_false(feature_of_key(STR_LITERAL("sim"), &feature));
  assert_false(feature_of_key(STR_LITERAL(""), &feature));
  FeatureSet defaults = feature_defaults();
  assert_true(defaults & FEATURE_BIT(FEATURE_MVP));
  assert_true(defaults & FEATURE_BIT(FEATURE_GC));
  assert_false(defaults & FEATURE_BIT(FEATURE_STACK_SWITCHING));
  for (unsigned op = 0; op < OP_COUNT; op++) {
    unsigned of_op = op_info[op].feature;
    assert_true(of_op < FEATURE_COUNT);
    if (op_info[op].prefix == PREFIX_ATOMIC) assert_int_equal(of_op, FEATURE_THREADS);
    if (op_info[op].prefix == PREFIX_GC) assert_int_equal(of_op, FEATURE_GC);
    if (op_info[op].prefix == PREFIX_SIMD)
      assert_int_equal(of_op, op_info[op].code < 0x100 ? FEATURE_SIMD : FEATURE_RELAXED_SIMD);
  }
}

static void test_traps_and_sections(void **state) {
  (void)state;
  assert_string_equal(trap_text(TRAP_NONE), "");
  for (unsigned i = 1; i < TRAP_COUNT; i++) {
    assert_true(strlen(trap_text((Trap)i)) > 0);
    for (unsigned j = 1; j < i; j++)
      assert_string_not_equal(trap_text((Trap)i), trap_text((Trap)j));
  }
  assert_string_equal(trap_text(TRAP_DIVIDE_BY_ZERO), "integer divide by zero");
  for (unsigned id = 0; id < SECTION_ID_END; id++) assert_non_null(section_text(id));
  assert_string_equal(section_text(SECTION_DATA_COUNT), "data count");
  assert_string_equal(section_text(14), "unknown");

  unsigned orders = 0;
#define SECTION(name, id, text, order) orders |= 1u << (order);
#include "tables/section.def"
  assert_int_equal(orders, (1u << SECTION_ID_END) - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_first_look_up_from_threads),
      cmocka_unit_test(test_rows_are_in_order),
      cmocka_unit_test(test_codes_round_trip),
      cmocka_unit_test(test_known_codes),
      cmocka_unit_test(test_mnemonics_round_trip),
      cmocka_unit_test(test_other_words_are_no_mnemonics),
      cmocka_unit_test(test_signatures),
      cmocka_unit_test(test_accesses),
      cmocka_unit_test(test_kinds),
      cmocka_unit_test(test_pure_rows_match_signatures),
      cmocka_unit_test(test_immediates),
      cmocka_unit_test(test_features),
      cmocka_unit_test(test_traps_and_sections),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
