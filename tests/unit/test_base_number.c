/* test_base_number.c - numbers as text, against the C library where it is exact; and UTF-8.
 *
 * The C library's strtod, strtof and printf round correctly on the systems the tests run on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"

/* How many random values each comparison takes; the program's argument sets another number. */
static size_t rounds = 200000;

static uint64_t random_state = 2;
static uint64_t random_next(void) {
  random_state += UINT64_C(0x9E3779B97F4A7C15);
  uint64_t x = random_state;
  x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
  return x ^ x >> 31;
}

static uint64_t bits_of_f64(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static double f64_of(uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static uint32_t bits_of_f32(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static float f32_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static void expect_int(const char *text, unsigned bits, NumberStatus status, uint64_t value) {
  uint64_t out = 0xBAD;
  NumberStatus got = parse_int(str_of(text), bits, &out);
  if (got != status || (got == NUMBER_OK && out != value)) {
    fail_msg("parse_int(%s, %u): status %d, %llx", text, bits, got, (unsigned long long)out);
  }
}

static void test_parse_int(void **state) {
  (void)state;
  expect_int("0", 8, NUMBER_OK, 0);
  expect_int("-0", 32, NUMBER_OK, 0);
  expect_int("+7", 32, NUMBER_OK, 7);
  expect_int("255", 8, NUMBER_OK, 255);
  expect_int("256", 8, NUMBER_OUT_OF_RANGE, 0);
  expect_int("-128", 8, NUMBER_OK, 0x80);
  expect_int("-129", 8, NUMBER_OUT_OF_RANGE, 0);
  expect_int("65535", 16, NUMBER_OK, 65535);
  expect_int("65536", 16, NUMBER_OUT_OF_RANGE, 0);
  expect_int("-0x8000", 16, NUMBER_OK, 0x8000);
  expect_int("0xffff_ffff", 32, NUMBER_OK, UINT32_MAX);
  expect_int("0x1_0000_0000", 32, NUMBER_OUT_OF_RANGE, 0);
  expect_int("-1", 32, NUMBER_OK, UINT32_MAX);
  expect_int("-2147483648", 32, NUMBER_OK, 0x80000000);
  expect_int("-2147483649", 32, NUMBER_OUT_OF_RANGE, 0);
  expect_int("18446744073709551615", 64, NUMBER_OK, UINT64_MAX);
  expect_int("18446744073709551616", 64, NUMBER_OUT_OF_RANGE, 0);
  expect_int("-9223372036854775808", 64, NUMBER_OK, UINT64_C(1) << 63);
  expect_int("-9223372036854775809", 64, NUMBER_OUT_OF_RANGE, 0);
  expect_int("0xFFFFFFFFFFFFFFFF", 64, NUMBER_OK, UINT64_MAX);
  expect_int("0x10000000000000000", 64, NUMBER_OUT_OF_RANGE, 0);
  expect_int("00000000000000000000000000000001_2", 32, NUMBER_OK, 12);
  static const char *const malformed[] = {
      "",
      "+",
      "-",
      "_1",
      "1_",
      "1__0",
      "0x",
      "0x_1",
      "0x1_",
      "0X1",
      "1a",
      "0xg",
      "--1",
      "+-1",
      " 1",
      "1 ",
      "1.0",
      "1e0",
      "0_x1",
      "a",
      "x1",
      "-0x",
      "99999999999999999999999z",
  };
  for (size_t i = 0; i < COUNT_OF(malformed); i++) {
    expect_int(malformed[i], 32, NUMBER_MALFORMED, 0);
    expect_int(malformed[i], 64, NUMBER_MALFORMED, 0);
  }
  uint64_t out = 0;
  assert_int_equal(parse_int((Str){NULL, 0}, 32, &out), NUMBER_MALFORMED);
}

static void test_parse_unsigned(void **state) {
  (void)state;
  uint64_t out = 0;
  assert_int_equal(parse_unsigned(STR_LITERAL("1_0"), 32, &out), NUMBER_OK);
  assert_int_equal(out, 10);
  assert_int_equal(parse_unsigned(STR_LITERAL("0xff"), 8, &out), NUMBER_OK);
  assert_int_equal(out, 255);
  assert_int_equal(parse_unsigned(STR_LITERAL("0x100"), 8, &out), NUMBER_OUT_OF_RANGE);
  assert_int_equal(parse_unsigned(STR_LITERAL("+1"), 32, &out), NUMBER_MALFORMED);
  assert_int_equal(parse_unsigned(STR_LITERAL("-1"), 32, &out), NUMBER_MALFORMED);
  assert_int_equal(parse_unsigned(STR_LITERAL("4294967296"), 32, &out), NUMBER_OUT_OF_RANGE);
}

static void expect_f64(const char *text, NumberStatus status, uint64_t bits) {
  uint64_t out = 0xBAD;
  NumberStatus got = parse_f64(str_of(text), &out);
  if (got != status || (got == NUMBER_OK && out != bits)) {
    fail_msg("parse_f64(%s): status %d, %016llx", text, got, (unsigned long long)out);
  }
}

static void expect_f32(const char *text, NumberStatus status, uint32_t bits) {
  uint32_t out = 0xBAD;
  NumberStatus got = parse_f32(str_of(text), &out);
  if (got != status || (got == NUMBER_OK && out != bits)) {
    fail_msg("parse_f32(%s): status %d, %08x", text, got, out);
  }
}

static void test_float_grammar(void **state) {
  (void)state;
  static const char *const malformed[] = {
      "",
      "+",
      ".",
      ".5",
      "-.5",
      "1._5",
      "1_.5",
      "1__0.0",
      "1.5_",
      "1e",
      "1e+",
      "1e_1",
      "1e1_",
      "1.e",
      "0x",
      "0x.8",
      "0x1.8p",
      "0x1p0x1",
      "0x1p-",
      "0x1p_1",
      "0x_1p0",
      "0X1p0",
      "1p1",
      "1.0f",
      "1,5",
      " 1",
      "1 ",
      "inff",
      "infinity",
      "Inf",
      "nann",
      "nan:",
      "nan:0x",
      "nan:1",
      "nan:0x_1",
      "nan:0x1_",
      "nan:0xg",
      "NaN",
      "nan:canonical",
      "nan:arithmetic",
      "nan(1)",
      "--1",
      "+-1",
      "1e1.5",
      "1.5.5",
      "0x1.8.8",
      "1e--1",
      "in",
      "i",
      "n",
      "1e5e5",
      "0x1pf",
      "1.5e0x1",
  };
  for (size_t i = 0; i < COUNT_OF(malformed); i++) {
    expect_f64(malformed[i], NUMBER_MALFORMED, 0);
    expect_f32(malformed[i], NUMBER_MALFORMED, 0);
  }
  expect_f64("1.", NUMBER_OK, bits_of_f64(1));
  expect_f64("1.e1", NUMBER_OK, bits_of_f64(10));
  expect_f64("+1_0.2_5E+0_2", NUMBER_OK, bits_of_f64(1025));
  expect_f64("0x1.", NUMBER_OK, bits_of_f64(1));
  expect_f64("0xA_b.C_dP-0_4", NUMBER_OK, bits_of_f64(0xAB.CDp-4));
  expect_f64("0x1e5", NUMBER_OK, bits_of_f64(0x1e5));
  expect_f64("-0", NUMBER_OK, UINT64_C(1) << 63);
  expect_f64("-0x0p0", NUMBER_OK, UINT64_C(1) << 63);
  expect_f64("0e99999999999999999999999", NUMBER_OK, 0);
  expect_f64("0x0p99999999999999999999999", NUMBER_OK, 0);
  expect_f64("1e-99999999999999999999999", NUMBER_OK, 0);
  expect_f64("-0x1p-99999999999999999999", NUMBER_OK, UINT64_C(1) << 63);
  expect_f64("1e99999999999999999999999", NUMBER_OUT_OF_RANGE, 0);
  expect_f64("0x1p99999999999999999999999", NUMBER_OUT_OF_RANGE, 0);
}

static void test_float_specials(void **state) {
  (void)state;
  expect_f32("inf", NUMBER_OK, 0x7F800000);
  expect_f32("-inf", NUMBER_OK, 0xFF800000);
  expect_f32("nan", NUMBER_OK, 0x7FC00000);
  expect_f32("-nan", NUMBER_OK, 0xFFC00000);
  expect_f32("nan:0x1", NUMBER_OK, 0x7F800001);
  expect_f32("-nan:0x7f_ffff", NUMBER_OK, 0xFFFFFFFF);
  expect_f32("nan:0x80_0000", NUMBER_OUT_OF_RANGE, 0);
  expect_f32("nan:0x0", NUMBER_OUT_OF_RANGE, 0);
  expect_f32("nan:0x1_0000_0000_0000_0000_0001", NUMBER_OUT_OF_RANGE, 0);
  expect_f64("inf", NUMBER_OK, UINT64_C(0x7FF0000000000000));
  expect_f64("+nan", NUMBER_OK, UINT64_C(0x7FF8000000000000));
  expect_f64("-nan:0xf_ffff_ffff_ffff", NUMBER_OK, UINT64_MAX);
  expect_f64("nan:0x10_0000_0000_0000", NUMBER_OUT_OF_RANGE, 0);
  expect_f64("nan:0x0", NUMBER_OUT_OF_RANGE, 0);
}

static void test_hex_rounding(void **state) {
  (void)state;
  expect_f32("0x1.fffffep127", NUMBER_OK, 0x7F7FFFFF);
  expect_f32("0x1.fffffefffffffffffffffffffffffffffffffffp127", NUMBER_OK, 0x7F7FFFFF);
  expect_f32("0x1.ffffffp127", NUMBER_OUT_OF_RANGE, 0);
  expect_f32("-0x1.ffffffp127", NUMBER_OUT_OF_RANGE, 0);
  expect_f32("0x1p128", NUMBER_OUT_OF_RANGE, 0);
  expect_f64("0x1.fffffffffffff7ffffffffffffffffffffffffffp1023", NUMBER_OK,
             UINT64_C(0x7FEFFFFFFFFFFFFF));
  expect_f64("0x1.fffffffffffff8p1023", NUMBER_OUT_OF_RANGE, 0);
  expect_f64("0x1p1024", NUMBER_OUT_OF_RANGE, 0);
  /* Halves go to the even neighbour; anything behind them goes up. */
  expect_f32("0x1.000001p0", NUMBER_OK, 0x3F800000);
  expect_f32("0x1.00000100000000000000000000000000000000000001p0", NUMBER_OK, 0x3F800001);
  expect_f32("0x1.000003p0", NUMBER_OK, 0x3F800002);
  expect_f64("0x1.00000000000008p0", NUMBER_OK, UINT64_C(0x3FF0000000000000));
  expect_f64("0x1.00000000000008000000000000000000001p0", NUMBER_OK, UINT64_C(0x3FF0000000000001));
  expect_f64("0x1.00000000000018p0", NUMBER_OK, UINT64_C(0x3FF0000000000002));
  /* Denormals: the smallest, half of it, a bit more than half, and the step to normal numbers. */
  expect_f32("0x1p-149", NUMBER_OK, 1);
  expect_f32("0x1p-150", NUMBER_OK, 0);
  expect_f32("-0x1p-150", NUMBER_OK, 0x80000000);
  expect_f32("0x1.00000000000000000001p-150", NUMBER_OK, 1);
  expect_f32("0x1p-151", NUMBER_OK, 0);
  expect_f32("0x1.8p-149", NUMBER_OK, 2);
  expect_f32("0x1.fffffep-127", NUMBER_OK, 0x00800000);
  expect_f32("0x1.fffffcp-127", NUMBER_OK, 0x007FFFFF);
  expect_f64("0x1p-1074", NUMBER_OK, 1);
  expect_f64("0x1p-1075", NUMBER_OK, 0);
  expect_f64("0x1.0000000000000000000000000001p-1075", NUMBER_OK, 1);
  expect_f64("0x1.fffffffffffffp-1023", NUMBER_OK, UINT64_C(0x0010000000000000));
  /* Far points that the exponent brings back. */
  char text[3000] = "0x0.";
  memset(text + 4, '0', 2000);
  strcpy(text + 2004, "1p8004");
  expect_f64(text, NUMBER_OK, bits_of_f64(1));
  strcpy(text, "0x1");
  memset(text + 3, '0', 2000);
  strcpy(text + 2003, "p-8000");
  expect_f64(text, NUMBER_OK, bits_of_f64(1));
}

static void test_decimal_rounding(void **state) {
  (void)state;
  expect_f64("2.2250738585072011e-308", NUMBER_OK, UINT64_C(0x000FFFFFFFFFFFFF));
  expect_f64("2.2250738585072012e-308", NUMBER_OK, UINT64_C(0x0010000000000000));
  expect_f64("4.9406564584124654e-324", NUMBER_OK, 1);
  expect_f64("2.4703282292062327e-324", NUMBER_OK, 0);
  expect_f64("2.4703282292062328e-324", NUMBER_OK, 1);
  expect_f64("1.7976931348623157e308", NUMBER_OK, UINT64_C(0x7FEFFFFFFFFFFFFF));
  expect_f64("1.7976931348623158e308", NUMBER_OK, UINT64_C(0x7FEFFFFFFFFFFFFF));
  expect_f64("1.7976931348623159e308", NUMBER_OUT_OF_RANGE, 0);
  expect_f64("1e308", NUMBER_OK, bits_of_f64(1e308));
  expect_f64("1e309", NUMBER_OUT_OF_RANGE, 0);
  expect_f64("9007199254740993", NUMBER_OK, bits_of_f64(9007199254740992.0));
  expect_f64("9007199254740993.00000000000000000000000000000000000001", NUMBER_OK,
             bits_of_f64(9007199254740994.0));
  expect_f64("9007199254740995", NUMBER_OK, bits_of_f64(9007199254740996.0));
  expect_f32("340282346638528859811704183484516925440", NUMBER_OK, 0x7F7FFFFF);
  expect_f32("340282356779733661637539395458142568447", NUMBER_OK, 0x7F7FFFFF);
  expect_f32("340282356779733661637539395458142568448", NUMBER_OUT_OF_RANGE, 0);
  expect_f32("1.4e-45", NUMBER_OK, 1);
  expect_f32("7.00649232162408535461864791644958e-46", NUMBER_OK, 0);
  expect_f32("7.0064923216240853546186479164496e-46", NUMBER_OK, 1);
  /* Rounding through double would give the wrong neighbour here. */
  expect_f32("1.00000017881393432617187499", NUMBER_OK, 0x3F800001);
  expect_f32("1.00000017881393432617187500", NUMBER_OK, 0x3F800002);
  expect_f32("1.00000017881393432617187501", NUMBER_OK, 0x3F800002);
  expect_f32("1.000000059604644775390625", NUMBER_OK, 0x3F800000);
  expect_f32("1.00000005960464477539062500000001", NUMBER_OK, 0x3F800001);
}

/* The exact middle above x in decimal, which is x + half of the distance to the next number. */
static int print_middle(uint64_t bits, char *text, size_t size) {
  long double low = f64_of(bits), high = f64_of(bits + 1);
  return snprintf(text, size, "%.1100Lf", low + (high - low) / 2);
}

static void test_long_halfway_cases(void **state) {
  (void)state;
  /* Not every CPU has a longer double, and valgrind gives it the bits of the short one. */
  volatile long double one = 1, bit = 1e-18L;
  if (one + bit == one) skip();
  char text[2000];
  for (int i = 0; i < 2000; i++) {
    /* Below 2^64, where 1,100 digits behind the point are exact; long double holds the middle. */
    uint64_t bits = random_next() % UINT64_C(0x43F0000000000000);
    if (i % 4 == 0) bits %= UINT64_C(0x0020000000000000);
    int length = print_middle(bits, text, sizeof text);
    expect_f64(text, NUMBER_OK, bits + bits % 2);
    text[length - 1] = '1';
    expect_f64(text, NUMBER_OK, bits + 1);
    strcpy(text + length - 1, "0000000000000000000000000000000000000000000000000000000000000001");
    expect_f64(text, NUMBER_OK, bits + 1);
  }
}

static void test_long_digit_strings(void **state) {
  (void)state;
  char *text = malloc(100100);
  for (int i = 0; i < 2000; i++) {
    size_t n = 700 + random_next() % 300, point = random_next() % n;
    for (size_t k = 0; k < n; k++) text[k] = (char)('0' + random_next() % 10);
    if (point > 0) text[point] = '.';
    sprintf(text + n, "e%d", (int)(random_next() % 1200) - 900);
    double expected = strtod(text, NULL);
    expect_f64(text, isinf(expected) ? NUMBER_OUT_OF_RANGE : NUMBER_OK, bits_of_f64(expected));
    float narrow = strtof(text, NULL);
    expect_f32(text, isinf(narrow) ? NUMBER_OUT_OF_RANGE : NUMBER_OK, bits_of_f32(narrow));
  }
  /* Digits that the exponent brings back from far away. */
  memset(text, '0', 100000);
  strcpy(text, "1");
  text[1] = '0';
  strcpy(text + 100000, "e-99999");
  expect_f64(text, NUMBER_OK, bits_of_f64(1));
  memset(text, '0', 100000);
  text[1] = '.';
  strcpy(text + 99999, "7e99998");
  expect_f64(text, NUMBER_OK, bits_of_f64(7));
  free(text);
}

static void check_print_f64(uint64_t bits) {
  char text[NUMBER_TEXT], libc[64];
  size_t length = print_f64(bits, text);
  assert_int_equal(length, strlen(text));
  assert_true(length < NUMBER_TEXT);
  uint64_t back = ~bits;
  assert_int_equal(parse_f64((Str){text, length}, &back), NUMBER_OK);
  if (back != bits) fail_msg("%016llx prints as %s", (unsigned long long)bits, text);
  double x = f64_of(bits);
  if (isnan(x) || isinf(x)) return;
  if (bits_of_f64(strtod(text, NULL)) != bits) fail_msg("strtod reads %s differently", text);
  /* Of the correctly rounded texts none that is shorter reads back. */
  size_t digits = 0;
  const char *first = text + strspn(text, "-0.");
  for (const char *at = first; *at != '\0' && *at != 'e'; at++) digits += *at != '.';
  if (strchr(text, 'e') == NULL && strchr(text, '.') == NULL) {
    for (const char *at = text + length; at > first && at[-1] == '0'; at--) digits--;
  }
  if (digits < 2) return;
  snprintf(libc, sizeof libc, "%.*e", (int)digits - 2, x);
  if (bits_of_f64(strtod(libc, NULL)) == bits) fail_msg("%s is shorter than %s", libc, text);
}

static void check_print_f32(uint32_t bits) {
  char text[NUMBER_TEXT];
  size_t length = print_f32(bits, text);
  uint32_t back = ~bits;
  assert_int_equal(parse_f32((Str){text, length}, &back), NUMBER_OK);
  if (back != bits) fail_msg("%08x prints as %s", bits, text);
  float x = f32_of(bits);
  if (isnan(x) || isinf(x)) return;
  if (bits_of_f32(strtof(text, NULL)) != bits) fail_msg("strtof reads %s differently", text);
}

static void test_printed_numbers_read_back(void **state) {
  (void)state;
  for (size_t i = 0; i < rounds; i++) {
    check_print_f64(random_next());
    check_print_f32((uint32_t)random_next());
  }
  /* Powers of two have uneven neighbours; so have the ends of the ranges. */
  for (uint64_t exponent = 0; exponent < 2048; exponent++) {
    for (uint64_t near = 0; near < 5; near++) check_print_f64((exponent << 52) + near - 2);
  }
  for (uint32_t exponent = 0; exponent < 256; exponent++) {
    for (uint32_t near = 0; near < 5; near++) check_print_f32((exponent << 23) + near - 2);
  }
}

static void test_random_bits_against_libc(void **state) {
  (void)state;
  char text[64];
  for (size_t i = 0; i < rounds; i++) {
    uint64_t bits = random_next();
    double x = f64_of(bits);
    if (isnan(x) || isinf(x)) continue;
    snprintf(text, sizeof text, "%.17g", x);
    expect_f64(text, NUMBER_OK, bits);
    float narrow = strtof(text, NULL);
    expect_f32(text, isinf(narrow) ? NUMBER_OUT_OF_RANGE : NUMBER_OK, bits_of_f32(narrow));
    snprintf(text, sizeof text, "%a", x);
    expect_f64(text, NUMBER_OK, bits);
    narrow = strtof(text, NULL);
    expect_f32(text, isinf(narrow) ? NUMBER_OUT_OF_RANGE : NUMBER_OK, bits_of_f32(narrow));
  }
}

/* Short and middling decimals with exponents of every size: both ways of reading, and their edge.
 */
static void test_random_decimals_against_libc(void **state) {
  (void)state;
  char text[64];
  for (size_t i = 0; i < rounds; i++) {
    uint64_t digits = random_next() >> random_next() % 64;
    unsigned more = i % 3 == 0 ? (unsigned)(random_next() % 1000) : 0;
    int range = i % 2 == 0 ? 60 : 700,
        exponent = (int)(random_next() % (unsigned)range) - range / 2;
    if (more != 0) {
      snprintf(text, sizeof text, "%llu%ue%d", (unsigned long long)digits, more, exponent);
    } else {
      snprintf(text, sizeof text, "%llue%d", (unsigned long long)digits, exponent);
    }
    double x = strtod(text, NULL);
    expect_f64(text, isinf(x) ? NUMBER_OUT_OF_RANGE : NUMBER_OK, bits_of_f64(x));
    float narrow = strtof(text, NULL);
    expect_f32(text, isinf(narrow) ? NUMBER_OUT_OF_RANGE : NUMBER_OK, bits_of_f32(narrow));
  }
}

static void expect_text_f64(uint64_t bits, const char *expected) {
  char text[NUMBER_TEXT];
  print_f64(bits, text);
  assert_string_equal(text, expected);
}

static void expect_text_f32(uint32_t bits, const char *expected) {
  char text[NUMBER_TEXT];
  print_f32(bits, text);
  assert_string_equal(text, expected);
}

static void test_print_layout(void **state) {
  (void)state;
  expect_text_f64(0, "0");
  expect_text_f64(UINT64_C(1) << 63, "-0");
  expect_text_f64(bits_of_f64(1), "1");
  expect_text_f64(bits_of_f64(-10), "-10");
  expect_text_f64(bits_of_f64(0.1), "0.1");
  expect_text_f64(bits_of_f64(0.5), "0.5");
  expect_text_f64(bits_of_f64(0.3), "0.3");
  expect_text_f64(bits_of_f64(123.456), "123.456");
  expect_text_f64(bits_of_f64(1e20), "100000000000000000000");
  expect_text_f64(bits_of_f64(1e21), "1e21");
  expect_text_f64(bits_of_f64(1.5e300), "1.5e300");
  expect_text_f64(bits_of_f64(0.000001), "0.000001");
  expect_text_f64(bits_of_f64(0.0000001), "1e-7");
  expect_text_f64(bits_of_f64(-1.25e-7), "-1.25e-7");
  expect_text_f64(bits_of_f64(5e-324), "5e-324");
  expect_text_f64(bits_of_f64(1e23), "1e23");
  expect_text_f64(bits_of_f64(9007199254740992), "9007199254740992");
  expect_text_f64(UINT64_C(0x7FEFFFFFFFFFFFFF), "1.7976931348623157e308");
  expect_text_f64(UINT64_C(0x0010000000000000), "2.2250738585072014e-308");
  expect_text_f64(UINT64_C(0x7FF0000000000000), "inf");
  expect_text_f64(UINT64_C(0xFFF0000000000000), "-inf");
  expect_text_f64(UINT64_C(0x7FF8000000000000), "nan");
  expect_text_f64(UINT64_C(0xFFF8000000000000), "-nan");
  expect_text_f64(UINT64_C(0xFFF0000000000001), "-nan:0x1");
  expect_text_f64(UINT64_C(0x7FFFFFFFFFFFFFFF), "nan:0xfffffffffffff");
  expect_text_f32(bits_of_f32(0.1f), "0.1");
  expect_text_f32(bits_of_f32(16777216), "16777216");
  expect_text_f32(0x7F7FFFFF, "3.4028235e38");
  expect_text_f32(1, "1e-45");
  expect_text_f32(0x7FA00000, "nan:0x200000");
  expect_text_f32(0xFFC00000, "-nan");
}

static void test_rounding_mode_of_the_host(void **state) {
  (void)state;
  static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
  for (size_t i = 0; i < COUNT_OF(modes); i++) {
    fesetround(modes[i]);
    uint64_t bits = 0;
    char text[NUMBER_TEXT];
    NumberStatus status = parse_f64(STR_LITERAL("0.1"), &bits);
    print_f64(bits, text);
    fesetround(FE_TONEAREST);
    assert_int_equal(status, NUMBER_OK);
    assert_true(bits == UINT64_C(0x3FB999999999999A));
    assert_string_equal(text, "0.1");
  }
}

static bool check_text(const char *bytes) {
  return utf8_check(bytes, strlen(bytes));
}

static void test_utf8_check(void **state) {
  (void)state;
  static const char *const good[] = {
      "",
      "plain",
      "\x7F",
      "\xC2\x80",
      "\xDF\xBF",
      "\xE0\xA0\x80",
      "\xED\x9F\xBF",
      "\xEE\x80\x80",
      "\xEF\xBF\xBF",
      "\xF0\x90\x80\x80",
      "\xF4\x8F\xBF\xBF",
      "abcdefgh\xE2\x82\xAC ghijklmnop\xF0\x9F\x98\x80",
  };
  static const char *const bad[] = {
      "\x80",
      "\xBF",
      "\xC0\x80",
      "\xC1\xBF",
      "\xC2",
      "\xC2\x7F",
      "\xC2\xC0",
      "\xE0\x9F\xBF",
      "\xE0\xA0",
      "\xE1\x80\x7F",
      "\xED\xA0\x80",
      "\xED\xBF\xBF",
      "\xEF\xBF",
      "\xF0\x8F\xBF\xBF",
      "\xF0\x90\x80",
      "\xF4\x90\x80\x80",
      "\xF5\x80\x80\x80",
      "\xF8\x88\x80\x80\x80",
      "\xFE",
      "\xFF",
      "abcdefg\x80",
      "abcdefgh\xE2\x82",
      "abcdefghijklmno\xC2",
      "\xE2\x28\xA1",
      "\xF0\x90\x28\x80",
      "\xF0\x90\x80\x28",
  };
  for (size_t i = 0; i < COUNT_OF(good); i++) assert_true(check_text(good[i]));
  for (size_t i = 0; i < COUNT_OF(bad); i++) assert_false(check_text(bad[i]));
  assert_true(utf8_check(NULL, 0));
  assert_true(utf8_check("a\0b", 3));
}

/* A second reader, written from the definition: decode, then encode, and compare. */
static bool is_sequence(const uint8_t *bytes, size_t size) {
  static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
  static const uint8_t masks[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  static const uint8_t leads[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
  if ((bytes[0] & (uint8_t)~masks[size]) != leads[size]) return false;
  uint32_t code = bytes[0] & masks[size];
  for (size_t i = 1; i < size; i++) {
    if ((bytes[i] & 0xC0) != 0x80) return false;
    code = code << 6 | (bytes[i] & 0x3F);
  }
  return code >= lowest[size] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
}

static bool is_utf8(const uint8_t *bytes, size_t size) {
  if (size == 0) return true;
  for (size_t n = 1; n <= MIN(size, (size_t)4); n++) {
    if (is_sequence(bytes, n)) return is_utf8(bytes + n, size - n);
  }
  return false;
}

static void test_utf8_short_sequences(void **state) {
  (void)state;
  for (uint32_t x = 0; x < 0x1000000; x += rounds < 100000 ? 61 : 1) {
    uint8_t bytes[3] = {(uint8_t)(x >> 16), (uint8_t)(x >> 8), (uint8_t)x};
    if (utf8_check(bytes, 3) != is_utf8(bytes, 3)) fail_msg("%06x", x);
  }
  for (size_t i = 0; i < 4 * rounds; i++) {
    uint64_t r = random_next();
    uint8_t bytes[4] = {(uint8_t)(0xF0 | (r & 7)), (uint8_t)(0x80 | (r >> 8 & 0x7F)),
                        (uint8_t)(0x80 | (r >> 16 & 0x7F)), (uint8_t)(r >> 24)};
    if (utf8_check(bytes, 4) != is_utf8(bytes, 4)) fail_msg("%x", load_u32(bytes));
  }
}

static void test_utf8_encode(void **state) {
  (void)state;
  uint8_t bytes[4];
  for (uint32_t code = 0; code <= 0x110010; code++) {
    unsigned length = utf8_encode(code, bytes);
    bool scalar = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    assert_true((length != 0) == scalar);
    if (!scalar) continue;
    assert_true(length == (code < 0x80 ? 1u : code < 0x800 ? 2u : code < 0x10000 ? 3u : 4u));
    assert_true(is_sequence(bytes, length) && utf8_check(bytes, length));
  }
  assert_int_equal(utf8_encode(0x20AC, bytes), 3);
  assert_memory_equal(bytes, "\xE2\x82\xAC", 3);
  assert_int_equal(utf8_encode(UINT32_MAX, bytes), 0);
}

int main(int argc, char **argv) {
  if (argc > 1) rounds = (size_t)strtoul(argv[1], NULL, 10);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parse_int),
      cmocka_unit_test(test_parse_unsigned),
      cmocka_unit_test(test_float_grammar),
      cmocka_unit_test(test_float_specials),
      cmocka_unit_test(test_hex_rounding),
      cmocka_unit_test(test_decimal_rounding),
      cmocka_unit_test(test_long_halfway_cases),
      cmocka_unit_test(test_long_digit_strings),
      cmocka_unit_test(test_printed_numbers_read_back),
      cmocka_unit_test(test_random_bits_against_libc),
      cmocka_unit_test(test_random_decimals_against_libc),
      cmocka_unit_test(test_print_layout),
      cmocka_unit_test(test_rounding_mode_of_the_host),
      cmocka_unit_test(test_utf8_check),
      cmocka_unit_test(test_utf8_short_sequences),
      cmocka_unit_test(test_utf8_encode),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
