/* test_decode.c - headers, sections, features, limits, names; and memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "module/names.h"
#include "module_bytes.h"

static Alloc heap;

static Module *load(Bytes *bytes, FeatureSet features, Error *error) {
  return load_with(&heap, bytes, features, error);
}

static void expect(Bytes bytes, FeatureSet features, ErrorKind kind, const char *text) {
  Error error;
  assert_null(load(&bytes, features, &error));
  assert_int_equal(error.kind, kind);
  if (strncmp(error.message, text, strlen(text)) != 0) assert_string_equal(error.message, text);
  assert_int_equal(heap.used, 0);
}

static void test_headers(void **state) {
  (void)state;
  Bytes component = {0};
  ADD(&component, 0, 'a', 's', 'm', 0x0D, 0, 1, 0);
  expect(component, feature_defaults(), ERROR_UNSUPPORTED, "this is a component");
  Bytes version = {0};
  ADD(&version, 0, 'a', 's', 'm', 2, 0, 0, 0);
  expect(version, feature_defaults(), ERROR_MALFORMED, "unknown binary version");
  Bytes empty = {0};
  add_byte(&empty, 0);
  expect(empty, feature_defaults(), ERROR_MALFORMED, "unexpected end");
}

/* One module of each feature and what is said when it is off. */
static void test_features_that_are_off(void **state) {
  (void)state;
  const struct {
    Feature feature;
    ErrorKind kind;
    const char *text;
    uint8_t id, size, contents[16];
  } cases[] = {
      {FEATURE_SIMD,
       ERROR_UNSUPPORTED,
       "feature 'simd' is switched off",
       1,
       5,
       {1, 0x60, 1, 0x7B, 0}},
      {FEATURE_GC, ERROR_UNSUPPORTED, "feature 'gc' is switched off", 1, 3, {1, 0x5F, 0}},
      {FEATURE_MULTI_VALUE,
       ERROR_UNSUPPORTED,
       "feature 'multi_value' is switched off",
       1,
       6,
       {1, 0x60, 0, 2, 0x7F, 0x7F}},
      {FEATURE_MEMORY64, ERROR_UNSUPPORTED, "feature 'memory64' is switched off", 5, 3, {1, 4, 0}},
      {FEATURE_THREADS, ERROR_UNSUPPORTED, "feature 'threads' is switched off", 5, 4, {1, 3, 0, 1}},
      {FEATURE_MULTI_MEMORY,
       ERROR_UNSUPPORTED,
       "feature 'multi_memory' is switched off",
       5,
       5,
       {2, 0, 0, 0, 0}},
      {FEATURE_REFERENCE_TYPES,
       ERROR_UNSUPPORTED,
       "feature 'reference_types' is switched off",
       4,
       4,
       {1, 0x6F, 0, 0}},
      {FEATURE_EXCEPTIONS, ERROR_UNSUPPORTED, "feature 'exceptions' is switched off", 13, 1, {0}},
      {FEATURE_BULK_MEMORY, ERROR_UNSUPPORTED, "feature 'bulk_memory' is switched off", 12, 1, {0}},
      {FEATURE_EXTENDED_CONST,
       ERROR_UNSUPPORTED,
       "feature 'extended_const' is switched off",
       6,
       9,
       {1, 0x7F, 0, 0x41, 1, 0x41, 2, 0x6A, 0x0B}},
      {FEATURE_CUSTOM_PAGE_SIZES, ERROR_MALFORMED, "malformed limits flags", 5, 4, {1, 8, 0, 0}},
      {FEATURE_STACK_SWITCHING,
       ERROR_MALFORMED,
       "malformed definition type",
       1,
       6,
       {2, 0x60, 0, 0, 0x5D, 0}},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    for (int is_on = 0; is_on < 2; is_on++) {
      Bytes bytes = new_bytes(), contents = {0};
      add(&contents, cases[i].contents, cases[i].size);
      add_section(&bytes, cases[i].id, &contents);
      FeatureSet features = feature_defaults() | FEATURE_BIT(cases[i].feature);
      if (!is_on) {
        expect(bytes, features & ~FEATURE_BIT(cases[i].feature), cases[i].kind, cases[i].text);
        continue;
      }
      Error error;
      Module *module = load(&bytes, features, &error);
      if (!module) fail_msg("%s", error.message);
      module_release(module);
    }
  }
}

static void test_funcref_is_older_than_references(void **state) {
  (void)state;
  Bytes bytes = new_bytes();
  SECTION_BYTES(&bytes, 4, 1, 0x70, 0, 1);
  Error error;
  Module *module = load(&bytes, FEATURE_BIT(FEATURE_MVP), &error);
  assert_non_null(module);
  assert_int_equal(module->tables[0].type.type, TYPE_FUNCREF);
  module_release(module);
}

static void test_errors_have_places(void **state) {
  (void)state;
  Bytes bytes = new_bytes();
  SECTION_BYTES(&bytes, 1, 1, 0x60, 0, 0);
  SECTION_BYTES(&bytes, 3, 1, 0);
  SECTION_BYTES(&bytes, 10, 1, 4, 0, 0x01, 0x6A, 0x0B); /* nop, i32.add */
  Error error;
  assert_null(load(&bytes, feature_defaults(), &error));
  assert_int_equal(error.offset, 8 + 6 + 4 + 6);
  assert_int_equal(error.func, 0);
  assert_string_equal(error.section, "code");
  assert_string_equal(error.message,
                      "type mismatch: instruction requires [i32 i32] but stack has []");
}

static void test_supertypes_are_limited(void **state) {
  (void)state;
  for (uint32_t n = 64; n <= 65; n++) {
    Bytes bytes = new_bytes(), contents = {0};
    add_u32(&contents, n);
    ADD(&contents, 0x50, 0, 0x5F, 0);
    for (uint32_t i = 1; i < n; i++) {
      ADD(&contents, 0x50, 1);
      add_u32(&contents, i - 1);
      ADD(&contents, 0x5F, 0);
    }
    add_section(&bytes, 1, &contents);
    Error error;
    Module *module = load(&bytes, feature_defaults(), &error);
    assert_int_equal(module != NULL, n == 64);
    if (module)
      module_release(module);
    else
      assert_string_equal(error.message, "implementation limit: more than 63 supertypes of a type");
  }
}

static Bytes named_module(void) {
  Bytes bytes = new_bytes();
  SECTION_BYTES(&bytes, 1, 1, 0x60, 0, 0);
  SECTION_BYTES(&bytes, 3, 3, 0, 0, 0);
  SECTION_BYTES(&bytes, 7, 1, 2, 'e', 'x', 0, 2);
  SECTION_BYTES(&bytes, 10, 3, 2, 0, 0x0B, 2, 0, 0x0B, 2, 0, 0x0B);
  SECTION_BYTES(&bytes, 0, 4, 'n', 'a', 'm', 'e', 0, 3, 2, 'm', 'y', /* module */
                1, 7, 2, 0, 1, 'f', 1, 1, 0xFF,                      /* functions: 1 is no UTF-8 */
                2, 6, 1, 0, 1, 4, 1, 'x',                            /* local 4 of function 0 */
                4, 9, 1);                                            /* types: cut off */
  return bytes;
}

static void test_names(void **state) {
  (void)state;
  Bytes bytes = named_module();
  Error error;
  Module *module = load(&bytes, feature_defaults(), &error);
  assert_non_null(module);
  assert_true(str_equal(module->name, STR_LITERAL("my")));
  assert_true(str_equal(module_name_of(module, NAMES_FUNCS, 0), STR_LITERAL("f")));
  assert_int_equal(module_name_of(module, NAMES_FUNCS, 1).size, 0);
  assert_true(str_equal(module_name_in(module, NAMES_LOCALS, 0, 4), STR_LITERAL("x")));
  assert_int_equal(module_name_in(module, NAMES_LOCALS, 1, 4).size, 0);
  char text[16];
  static const char *const labels[] = {"$f", "func[1]", "ex"};
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(module_func_label(module, i, text, sizeof text), strlen(labels[i]));
    assert_string_equal(text, labels[i]);
  }
  module_release(module);
}

/* Every allocation of a load fails once; each time the error is "out of memory" and nothing is
 * left. */
static void test_memory_runs_out(void **state) {
  (void)state;
  for (int64_t n = 0;; n++) {
    Bytes bytes = named_module();
    Error error;
    heap.fail_after = n;
    Module *module = load(&bytes, feature_defaults(), &error);
    heap.fail_after = -1;
    if (module) {
      module_release(module);
      assert_true(n > 3);
      break;
    }
    assert_int_equal(error.kind, ERROR_MEMORY);
    assert_int_equal(heap.used, 0);
  }
}

static void test_compact_imports(void **state) {
  (void)state;
  Bytes bytes = new_bytes();
  SECTION_BYTES(&bytes, 1, 1, 0x60, 0, 0);
  SECTION_BYTES(&bytes, 2, 3,                                         /* three groups */
                1, 'm', 0, 0x7F, 2, 1, 'a', 0, 0, 1, 'b', 3, 0x7F, 1, /* a: function, b: global */
                1, 'n', 0, 0x7E, 3, 0x7E, 0, 2, 1, 'c', 1, 'd',       /* two globals of i64 */
                1, 'o', 0, 0, 0);                                     /* one with an empty name */
  Bytes copy = new_bytes();
  add(&copy, bytes.at + 8, bytes.size - 8);
  expect(copy, feature_defaults(), ERROR_MALFORMED, "malformed import kind");
  Error error;
  Module *module = load(&bytes, feature_defaults() | FEATURE_BIT(FEATURE_COMPACT_IMPORTS), &error);
  if (!module) fail_msg("%s", error.message);
  assert_int_equal(module->n_imports, 5);
  assert_int_equal(module->n_imported_funcs, 2);
  assert_int_equal(module->n_imported_globals, 3);
  assert_true(str_equal(module->imports[3].module, STR_LITERAL("n")));
  assert_true(str_equal(module->imports[3].name, STR_LITERAL("d")));
  assert_int_equal(module->imports[3].index, 2);
  assert_int_equal(module->globals[2].type.type, TYPE_I64);
  module_release(module);
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
      TEST(test_headers),
      TEST(test_features_that_are_off),
      TEST(test_funcref_is_older_than_references),
      TEST(test_errors_have_places),
      TEST(test_supertypes_are_limited),
      TEST(test_names),
      TEST(test_memory_runs_out),
      TEST(test_compact_imports),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
