/* test_types.c - canonical types: sharing, lifetime, subtyping, matching, text. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "module/types.h"

static SubType func_def(const ValType *types, uint32_t n_params, uint32_t n_results) {
  return (SubType){
      .comp = {.kind = COMP_FUNC, .n_params = n_params, .n_results = n_results, .types = types},
      .super = NO_SUPER,
      .is_final = true};
}

static SubType struct_def(const FieldType *fields, uint32_t n, uint32_t super) {
  return (SubType){.comp = {.kind = COMP_STRUCT, .n_fields = n, .fields = fields}, .super = super};
}

static void test_equal_functions_are_one(void **state) {
  (void)state;
  const ValType types[] = {TYPE_I32, TYPE_V128, TYPE_F64};
  SubType def = func_def(types, 2, 1);
  uint32_t ids[2] = {0, 0};
  assert_true(types_add_group(&def, 0, 1, ids));
  assert_true(types_add_group(&def, 1, 1, ids));
  assert_int_equal(ids[0], ids[1]);
  const Type *host = types_add_func(2, 1, types);
  assert_ptr_equal(host, type_of_id(ids[0]));
  assert_int_equal(host->n_param_slots, 3);
  assert_int_equal(host->n_result_slots, 1);
  const Type *other = types_add_func(1, 2, types);
  assert_ptr_not_equal(other, host);
  types_release(other->id);
  for (int i = 0; i < 3; i++) types_release(ids[0]);
}

/* (rec (type (struct (ref null 1))) (type (struct (ref null 0)))) at two places of an index space
 * is the same group, and its halves differ. */
static void test_groups_are_relative(void **state) {
  (void)state;
  uint32_t ids[4];
  for (uint32_t first = 0; first < 4; first += 2) {
    const FieldType to_second = {REF_TYPE(first + 1, true), false};
    const FieldType to_first = {REF_TYPE(first, true), true};
    const SubType defs[] = {struct_def(&to_second, 1, NO_SUPER),
                            struct_def(&to_first, 1, NO_SUPER)};
    assert_true(types_add_group(defs, first, 2, ids));
  }
  assert_int_equal(ids[0], ids[2]);
  assert_int_equal(ids[1], ids[3]);
  assert_int_not_equal(ids[0], ids[1]);
  assert_int_equal(type_heap(type_of_id(ids[0])->comp.fields[0].type), ids[1]);
  types_release(ids[0]);
  types_release(ids[2]);
}

static void test_a_group_lives_as_long_as_it_is_mentioned(void **state) {
  (void)state;
  const FieldType number = {TYPE_I16, true};
  uint32_t ids[2];
  SubType inner = struct_def(&number, 1, NO_SUPER);
  assert_true(types_add_group(&inner, 0, 1, ids));
  const ValType param = REF_TYPE(0, false);
  SubType outer = func_def(&param, 1, 0);
  assert_true(types_add_group(&outer, 1, 1, ids));
  types_release(ids[0]); /* the function still mentions it */
  assert_int_equal(type_of_id(ids[0])->comp.fields[0].type, TYPE_I16);
  types_release(ids[1]); /* now both are gone, and their ids come back */
  uint32_t again[1];
  SubType fresh = struct_def(&number, 1, NO_SUPER);
  assert_true(types_add_group(&fresh, 0, 1, again));
  assert_true(again[0] == ids[0] || again[0] == ids[1]);
  types_release(again[0]);
}

static void test_subtypes(void **state) {
  (void)state;
  enum { DEPTH = 63 };
  FieldType fields[DEPTH + 1];
  uint32_t ids[DEPTH + 1];
  for (uint32_t i = 0; i <= DEPTH; i++) {
    fields[i] = (FieldType){i % 2 ? TYPE_I8 : TYPE_I64, false};
    SubType def = struct_def(fields, i + 1, i == 0 ? NO_SUPER : i - 1);
    assert_true(types_add_group(&def, i, 1, ids));
  }
  for (uint32_t i = 0; i <= DEPTH; i++) {
    for (uint32_t k = 0; k <= DEPTH; k++) assert_int_equal(heap_matches(ids[i], ids[k]), i >= k);
    assert_true(heap_matches(ids[i], HEAP_STRUCT));
    assert_true(heap_matches(HEAP_NONE, ids[i]));
    assert_false(heap_matches(ids[i], HEAP_ARRAY));
  }
  const Type *last = type_of_id(ids[DEPTH]);
  assert_int_equal(last->depth, DEPTH);
  assert_int_equal(last->offsets[1], 8);
  assert_int_equal(last->offsets[2], 16);
  for (uint32_t i = 0; i <= DEPTH; i++) types_release(ids[i]);
}

static void test_abstract_types(void **state) {
  (void)state;
  static const uint32_t all[] = {HEAP_FUNC,  HEAP_NOFUNC, HEAP_EXTERN, HEAP_NOEXTERN,
                                 HEAP_ANY,   HEAP_EQ,     HEAP_I31,    HEAP_STRUCT,
                                 HEAP_ARRAY, HEAP_NONE,   HEAP_EXN,    HEAP_NOEXN};
  /* The rows' supertypes, as bits in the same order. */
  static const unsigned supers[] = {0x001, 0x003, 0x004, 0x00C, 0x010, 0x030,
                                    0x070, 0x0B0, 0x130, 0x3F0, 0x400, 0xC00};
  for (unsigned i = 0; i < COUNT_OF(all); i++)
    for (unsigned k = 0; k < COUNT_OF(all); k++)
      assert_int_equal(heap_matches(all[i], all[k]), supers[i] >> k & 1);
  assert_true(type_matches(REF_TYPE(HEAP_I31, false), TYPE_ANYREF));
  assert_false(type_matches(TYPE_ANYREF, REF_TYPE(HEAP_ANY, false)));
  assert_true(type_matches(TYPE_BOTTOM, TYPE_I32));
  assert_false(type_matches(TYPE_I32, TYPE_I64));
}

static void test_text(void **state) {
  (void)state;
  char text[64];
  assert_int_equal(type_print(TYPE_FUNCREF, text, sizeof text), 7);
  assert_string_equal(text, "funcref");
  type_print(REF_TYPE(3, true), text, sizeof text);
  assert_string_equal(text, "(ref null 3)");
  type_print(REF_TYPE(HEAP_EQ, false), text, sizeof text);
  assert_string_equal(text, "(ref eq)");
  const ValType types[] = {TYPE_I32, TYPE_I32, TYPE_F32};
  CompType comp = {.kind = COMP_FUNC, .n_params = 2, .n_results = 1, .types = types};
  size_t length = comp_print(&comp, text, sizeof text);
  assert_string_equal(text, "(func (param i32 i32) (result f32))");
  assert_int_equal(length, strlen(text));
  char little[8];
  assert_int_equal(comp_print(&comp, little, sizeof little), length);
  assert_string_equal(little, "(func (");
}

static char registry_broken;

/* Threads add and drop the same few types; each always sees what it asked for. */
static void *add_and_drop(void *arg) {
  (void)arg;
  for (uint32_t i = 0; i < 20000; i++) {
    ValType types[4];
    for (uint32_t k = 0; k < 4; k++) types[k] = (i >> k) % 3 ? TYPE_I32 : TYPE_F64;
    const Type *type = types_add_func(3, 1, types);
    if (memcmp(type_of_id(type->id)->comp.types, types, sizeof types) != 0) return &registry_broken;
    types_retain(type->id);
    types_release(type->id);
    types_release(type->id);
  }
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  pthread_t threads[4];
  for (unsigned i = 0; i < 4; i++) pthread_create(&threads[i], NULL, add_and_drop, NULL);
  for (unsigned i = 0; i < 4; i++) {
    void *result;
    pthread_join(threads[i], &result);
    assert_null(result);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_equal_functions_are_one),
      cmocka_unit_test(test_groups_are_relative),
      cmocka_unit_test(test_a_group_lives_as_long_as_it_is_mentioned),
      cmocka_unit_test(test_subtypes),
      cmocka_unit_test(test_abstract_types),
      cmocka_unit_test(test_text),
      cmocka_unit_test(test_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
