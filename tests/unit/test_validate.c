/* test_validate.c - the facts that validation leaves behind, and bodies that are made to be slow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "module_bytes.h"

static Alloc heap;

/* A module with the types (func), (func (param i64 v128) (result i32)), (func (result i32 * 1000)),
 * one function of type `type`, and a memory. */
static Bytes module_of(unsigned type, Bytes *body) {
  Bytes bytes = new_bytes(), types = {0};
  ADD(&types, 3, 0x60, 0, 0, 0x60, 2, 0x7E, 0x7B, 1, 0x7F, 0x60, 0);
  add_u32(&types, 1000);
  for (int i = 0; i < 1000; i++) add_byte(&types, 0x7F);
  add_section(&bytes, 1, &types);
  SECTION_BYTES(&bytes, 3, 1, (uint8_t)type);
  SECTION_BYTES(&bytes, 5, 1, 0, 0);
  add_code(&bytes, body);
  return bytes;
}

static Module *load_body(unsigned type, Bytes *body, Error *error) {
  Bytes bytes = module_of(type, body);
  return load_with(&heap, &bytes, feature_defaults(), error);
}

static void expect_body(unsigned type, Bytes *body, ErrorKind kind, const char *text) {
  Error error = {0};
  clock_t start = clock();
  Module *module = load_body(type, body, &error);
  double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
  if (seconds > 5) fail_msg("took %.1f seconds", seconds);
  if (kind == ERROR_NONE) {
    if (!module) fail_msg("%s", error.message);
    module_release(module);
  } else {
    assert_null(module);
    assert_int_equal(error.kind, kind);
    if (strncmp(error.message, text, strlen(text)) != 0) assert_string_equal(error.message, text);
  }
}

static void test_facts(void **state) {
  (void)state;
  Bytes body = {0};
  ADD(&body, 2, 3, 0x7F, 1, 0x7B,   /* locals: i64 v128 | i32 i32 i32 v128 */
      0x20, 1, 0x20, 1, 0x1A, 0x1A, /* two vectors */
      0x41, 0, 0x41, 1, 0x41, 2, 0x6A, 0x6A, 0x0B);
  Error error;
  Module *module = load_body(1, &body, &error);
  if (!module) fail_msg("%s", error.message);
  const FuncDef *def = &module->funcs[0];
  assert_int_equal(def->n_locals, 6);
  assert_int_equal(def->n_local_slots, 8);
  assert_true(def->max_stack >= 4 && def->max_stack <= 6);
  assert_false(def->is_referenced);
  assert_false(module->has_handlers);
  assert_true(module->is_validated);
  module_release(module);
}

static void test_deep_nesting(void **state) {
  (void)state;
  enum { DEPTH = 1000000 };
  Bytes body = {0};
  add_byte(&body, 0);
  for (int i = 0; i < DEPTH; i++) ADD(&body, 0x02, 0x40);
  ADD(&body, 0x41, 0, 0x0D);
  add_u32(&body, DEPTH); /* the function's own label */
  for (int i = 0; i <= DEPTH; i++) add_byte(&body, 0x0B);
  expect_body(0, &body, ERROR_NONE, "");
}

/* br_table with a million labels of a thousand operands each, reachable and not. */
static void test_wide_br_table(void **state) {
  (void)state;
  enum { N = 1000000 };
  for (int is_reachable = 0; is_reachable < 2; is_reachable++) {
    Bytes body = {0};
    add_byte(&body, 0);
    if (is_reachable)
      for (int i = 0; i < 1001; i++) ADD(&body, 0x41, 0);
    else
      add_byte(&body, 0x00);
    add_byte(&body, 0x0E);
    add_u32(&body, N);
    for (int i = 0; i <= N; i++) add_byte(&body, 0);
    add_byte(&body, 0x0B);
    expect_body(2, &body, ERROR_NONE, "");
  }
}

/* A thousand operands pass through a conditional branch again and again. */
static void test_wide_br_if(void **state) {
  (void)state;
  enum { N = 300000 };
  Bytes body = {0};
  add_byte(&body, 0);
  for (int i = 0; i < 1000; i++) ADD(&body, 0x41, 0);
  for (int i = 0; i < N; i++) ADD(&body, 0x41, 0, 0x0D, 0);
  add_byte(&body, 0x0B);
  expect_body(2, &body, ERROR_NONE, "");
}

/* Unreachable code that asks for as many operands as a number can say. */
static void test_unreachable_array(void **state) {
  (void)state;
  Bytes bytes = new_bytes(), code = {0};
  SECTION_BYTES(&bytes, 1, 2, 0x60, 0, 0, 0x5E, 0x7F, 0);
  SECTION_BYTES(&bytes, 3, 1, 0);
  ADD(&code, 0, 0x00);
  for (int i = 0; i < 500000; i++) ADD(&code, 0xFB, 0x08, 1, 0x90, 0x4E, 0x1A);
  add_byte(&code, 0x0B);
  add_code(&bytes, &code);
  Error error;
  Module *module = load_with(&heap, &bytes, feature_defaults(), &error);
  if (!module) fail_msg("%s", error.message);
  module_release(module);
}

static void test_locals(void **state) {
  (void)state;
  Bytes body = {0};
  ADD(&body, 3, 0xB8, 0x17, 0x7F, 0x01, 0x7C, 0xB8, 0x17, 0x7E); /* 3000 i32, 1 f64, 3000 i64 */
  ADD(&body, 0x20, 0xB7, 0x17, 0x45, 0x1A);                      /* local 2999: i32.eqz */
  ADD(&body, 0x20, 0xB8, 0x17, 0x9A, 0x1A);                      /* local 3000: f64.neg */
  ADD(&body, 0x20, 0xB9, 0x17, 0x50, 0x1A);                      /* local 3001: i64.eqz */
  ADD(&body, 0x20, 0xF0, 0x2E, 0x50, 0x1A, 0x0B);                /* local 6000 */
  expect_body(0, &body, ERROR_NONE, "");
  ADD(&body, 1, 0xB8, 0x17, 0x7F, 0x20, 0xB8, 0x17, 0x1A, 0x0B);
  expect_body(0, &body, ERROR_INVALID, "unknown local 3000");
  ADD(&body, 1, 0xD1, 0x86, 0x03, 0x7F, 0x0B); /* 50001 */
  expect_body(0, &body, ERROR_UNSUPPORTED, "implementation limit: more than 50000 locals");
  ADD(&body, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x7F, 1, 0x7F, 0x0B);
  expect_body(0, &body, ERROR_MALFORMED, "too many locals");
}

/* Many small functions that declare many locals: 3 bytes must not cost 200 kB of writes. */
static void test_many_functions_with_many_locals(void **state) {
  (void)state;
  enum { N = 200000 };
  Bytes bytes = new_bytes(), funcs = {0}, code = {0};
  SECTION_BYTES(&bytes, 1, 1, 0x60, 0, 0);
  add_u32(&funcs, N);
  add_u32(&code, N);
  for (int i = 0; i < N; i++) {
    add_byte(&funcs, 0);
    ADD(&code, 6, 1, 0xD0, 0x86, 0x03, 0x7F, 0x0B);
  }
  add_section(&bytes, 3, &funcs);
  add_section(&bytes, 10, &code);
  Error error;
  clock_t start = clock();
  Module *module = load_with(&heap, &bytes, feature_defaults(), &error);
  assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
  if (!module) fail_msg("%s", error.message);
  module_release(module);
}

static void test_operands_are_limited(void **state) {
  (void)state;
  Bytes body = {0};
  add_byte(&body, 0);
  for (int i = 0; i < 1000001; i++) ADD(&body, 0x41, 0);
  add_byte(&body, 0x0B);
  expect_body(0, &body, ERROR_UNSUPPORTED, "implementation limit: more than 1000000 operands");
}

/* Locals that have no default are known to be set only where all ways agree. */
static void test_local_initialisation(void **state) {
  (void)state;
  const struct {
    ErrorKind kind;
    uint8_t size, code[24];
  } cases[] = {
      {ERROR_INVALID, 3, {0x20, 0, 0x1A}},
      {ERROR_NONE, 7, {0xD2, 0, 0x21, 0, 0x20, 0, 0x1A}},
      /* set inside a block, read behind it */
      {ERROR_INVALID, 10, {0x02, 0x40, 0xD2, 0, 0x21, 0, 0x0B, 0x20, 0, 0x1A}},
      /* set in the first half of an if, read in the second */
      {ERROR_INVALID, 13, {0x41, 0, 0x04, 0x40, 0xD2, 0, 0x21, 0, 0x05, 0x20, 0, 0x1A, 0x0B}},
      /* set before a block, read inside */
      {ERROR_NONE, 10, {0xD2, 0, 0x21, 0, 0x02, 0x40, 0x20, 0, 0x1A, 0x0B}},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    Bytes bytes = new_bytes(), code = {0};
    SECTION_BYTES(&bytes, 1, 1, 0x60, 0, 0);
    SECTION_BYTES(&bytes, 3, 1, 0);
    SECTION_BYTES(&bytes, 7, 1, 1, 'f', 0, 0); /* declares the function for ref.func */
    ADD(&code, 1, 1, 0x64, 0x70);              /* (local (ref func)) */
    add(&code, cases[i].code, cases[i].size);
    add_byte(&code, 0x0B);
    add_code(&bytes, &code);
    Error error = {0};
    Module *module = load_with(&heap, &bytes, feature_defaults(), &error);
    assert_int_equal(error.kind, cases[i].kind);
    if (module)
      module_release(module);
    else
      assert_string_equal(error.message, "uninitialized local 0");
  }
}

static int set_up(void **state) {
  (void)state;
  alloc_init(&heap, NULL, NULL);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  return heap.used == 0 ? 0 : -1;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_facts),
      TEST(test_deep_nesting),
      TEST(test_wide_br_table),
      TEST(test_wide_br_if),
      TEST(test_unreachable_array),
      TEST(test_locals),
      TEST(test_many_functions_with_many_locals),
      TEST(test_operands_are_limited),
      TEST(test_local_initialisation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
