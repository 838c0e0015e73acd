/* test_ref.c - references through the public interface: objects, exceptions, values of the host.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../include/rille.h"

static const char source[] =
    "(module"
    "  (type $point (struct (field $x (mut i32)) (field $y (mut f64)) (field $tag i8)"
    "                       (field $next (mut (ref null $point)))))"
    "  (type $bytes (array (mut i16)))"
    "  (import \"host\" \"call\" (func $call (param i32) (result i32)))"
    "  (import \"host\" \"tag\" (tag $e (param i32 anyref)))"
    "  (table $held (export \"held\") 4 externref)"
    "  (func (export \"sum\") (param $p (ref null $point)) (result i32) (local $sum i32)"
    "    (block $done (loop $more"
    "      (br_if $done (ref.is_null (local.get $p)))"
    "      (local.set $sum (i32.add (local.get $sum) (struct.get $point $x (local.get $p))))"
    "      (local.set $p (struct.get $point $next (local.get $p)))"
    "      (br $more)))"
    "    (local.get $sum))"
    "  (func (export \"push\") (param $p (ref null $point)) (param i32) (result (ref $point))"
    "    (struct.new $point (local.get 1) (f64.const 0.5) (i32.const -1) (local.get $p)))"
    "  (func (export \"fill\") (result i32) (local $all (ref null $point))"
    "    (loop $more (local.set $all"
    "      (struct.new $point (i32.const 1) (f64.const 0) (i32.const 0) (local.get $all)))"
    "      (br $more)) (unreachable))"
    "  (func (export \"convert\") (param externref) (result anyref)"
    "    (any.convert_extern (local.get 0)))"
    "  (func (export \"catch\") (param i32) (result i32)"
    "    (block $h (result i32 anyref)"
    "      (try_table (catch $e $h) (return (call $call (local.get 0))))"
    "      (unreachable))"
    "    (drop) (i32.const 1000) (i32.add))"
    "  (func $inner (export \"through\") (param i32) (result i32) (call $call (local.get 0)))"
    "  (func (export \"throw\") (param i32 anyref) (throw $e (local.get 0) (local.get 1)))"
    "  (func (export \"set\") (param i32 externref) (table.set $held (local.get 0) (local.get "
    "1))))";

static struct {
  rille_Engine *engine;
  rille_Module *module;
  rille_Store *store;
  rille_Tag *tag;
  rille_Func *host;
  rille_Instance *instance;
  unsigned n_released;
  rille_Held *caught;
} world;

static void note_release(void *user, uint64_t payload) {
  (void)user;
  (void)payload;
  world.n_released++;
}

static rille_Func *find_func(rille_Instance *instance, const char *name) {
  rille_Extern item;
  assert_true(rille_find_export(instance, name, &item));
  return item.func;
}

/* 1: throws; 2: traps; 3: calls "throw" and passes on what it throws; else returns the argument. */
static rille_Status host_call(rille_Activation *activation, void *data, rille_Slot *slots) {
  (void)data;
  if ((uint32_t)slots[0] == 1) {
    const rille_Slot values[] = {7, rille_ref_of_i31(9)};
    return rille_throw(activation, rille_new_exception(world.store, world.tag, values, NULL));
  }
  if ((uint32_t)slots[0] == 2) return rille_trap(activation, "host trap of the test");
  if ((uint32_t)slots[0] == 3) {
    rille_Activation *inner =
        rille_prepare(activation->stack, find_func(world.instance, "throw"), NULL);
    inner->slots[0] = 30;
    inner->slots[1] = 0;
    assert_int_equal(rille_run(inner), RILLE_THROWN);
    rille_Slot exception = rille_activation_exception(inner);
    rille_finish(inner);
    return rille_throw(activation, exception);
  }
  return RILLE_DONE;
}

static rille_Instance *new_instance(rille_Store *store, uint64_t memory_bytes) {
  const rille_Extern imports[] = {{RILLE_EXTERN_FUNC, {.func = world.host}},
                                  {RILLE_EXTERN_TAG, {.tag = world.tag}}};
  const rille_Limits limits = {.memory_bytes = memory_bytes};
  rille_Error *error = NULL;
  rille_Instance *instance = rille_instantiate(store, world.module, imports, &limits, &error);
  if (instance == NULL) fail_msg("%s", rille_error_message(error));
  return instance;
}

static int set_up(void **state) {
  (void)state;
  memset(&world, 0, sizeof world);
  const rille_Hooks hooks = {.release_extern = note_release};
  rille_Error *error = NULL;
  world.engine = rille_new_engine(NULL, NULL);
  rille_set_hooks(world.engine, &hooks);
  world.module = rille_load(world.engine, source, sizeof source - 1, NULL, &error);
  if (world.module == NULL) fail_msg("%s", rille_error_message(error));
  rille_FuncType *call = rille_parse_func_type("(param i32) (result i32)", NULL);
  rille_FuncType *thrown = rille_parse_func_type("(param i32 anyref)", NULL);
  world.host = rille_new_host_func(world.engine, call, host_call, NULL, NULL);
  world.tag = rille_new_tag(world.engine, thrown);
  rille_free_func_type(call);
  rille_free_func_type(thrown);
  world.store = rille_new_store(world.engine);
  world.instance = new_instance(world.store, 1 << 20);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  rille_free_instance(world.instance);
  rille_free_store(world.store);
  rille_free_tag(world.tag);
  rille_free_func(world.host);
  rille_free_module(world.module);
  bool leaks = rille_engine_bytes(world.engine) != 0;
  rille_free_engine(world.engine);
  return leaks;
}

static rille_ValueType point_type(void) {
  uint32_t index;
  rille_ValueType type;
  assert_true(rille_find_type(world.module, "point", 5, &index));
  assert_true(rille_module_type(world.module, index, &type));
  return type;
}

static rille_Slot new_point(rille_Store *store, uint32_t x, rille_Slot next) {
  double y = 1.5;
  rille_Slot fields[] = {x, 0, 0x1FE, next};
  memcpy(&fields[1], &y, sizeof y);
  rille_Slot ref = rille_new_struct(store, point_type(), fields, NULL);
  assert_int_not_equal(ref, 0);
  return ref;
}

static int32_t call_sum(rille_Instance *instance, rille_Slot ref) {
  rille_Value arg = {.type = point_type() | 0x10, .ref = ref}, result;
  rille_Error *error = NULL;
  if (!rille_call(find_func(instance, "sum"), &arg, 1, &result, 1, &error)) {
    fail_msg("%s", rille_error_message(error));
  }
  return result.i32;
}

static void test_structures(void **state) {
  (void)state;
  rille_Slot out[2];
  uint32_t field;
  char text[128];
  rille_Slot ref = new_point(world.store, 40, new_point(world.store, 2, 0));
  assert_int_equal(rille_ref_kind(ref), RILLE_REF_STRUCT);
  assert_int_equal(call_sum(world.instance, ref), 42);
  assert_true(rille_find_field(world.store, NULL, rille_object_type(ref), "tag", 3, &field));
  assert_int_equal(field, 2);
  assert_false(rille_find_field(world.store, world.module, rille_object_type(ref), "z", 1, &field));
  assert_true(rille_get_field(ref, 2, false, out));
  assert_int_equal(out[0], 0xFE);
  assert_true(rille_get_field(ref, 2, true, out));
  assert_int_equal((int32_t)out[0], -2);
  assert_false(rille_get_field(ref, 4, true, out));
  assert_false(rille_set_field(ref, 2, out));
  out[0] = 100;
  assert_true(rille_set_field(ref, 0, out));
  out[0] = rille_ref_of_i31(1);
  assert_false(rille_set_field(ref, 3, out));
  assert_int_equal(call_sum(world.instance, ref), 102);
  rille_print_object_type(rille_object_type(ref), text, sizeof text);
  assert_non_null(strstr(text, "(struct (field (mut i32)) (field (mut f64)) (field i8)"));
}

static void test_arrays(void **state) {
  (void)state;
  rille_ValueType type;
  rille_Slot value = 0x18000, out[2];
  rille_Error *error = NULL;
  assert_true(rille_module_type(world.module, 1, &type));
  assert_int_equal(rille_type_kind(type), RILLE_REF_ARRAY);
  rille_Field field;
  rille_type_field(type, 0, &field);
  assert_int_equal(field.packed_bits, 16);
  rille_Held *held =
      rille_hold_ref(world.store, rille_new_array(world.store, type, 100000, &value, &error));
  rille_Slot array = rille_held_ref(held);
  assert_int_equal(rille_array_length(array), 100000);
  assert_true(rille_get_field(array, 99999, false, out));
  assert_int_equal(out[0], 0x8000);
  assert_true(rille_get_field(array, 99999, true, out));
  assert_int_equal((int32_t)out[0], -0x8000);
  assert_false(rille_get_field(array, 100000, true, out));
  value = 5;
  assert_true(rille_set_field(array, 3, &value));
  rille_collect(world.store);
  assert_true(rille_get_field(array, 3, false, out));
  assert_int_equal(out[0], 5);
  rille_drop_ref(held);
}

/* The type needs neither module nor instance while an object is there. */
static void test_objects_hold_their_types(void **state) {
  (void)state;
  rille_Store *store = rille_new_store(world.engine);
  rille_Module *module =
      rille_load(world.engine, "(module (type (struct (field (mut i64) (mut i64) (mut v128)))))",
                 63, NULL, NULL);
  assert_non_null(module);
  rille_ValueType type;
  assert_true(rille_module_type(module, 0, &type));
  rille_Held *held = rille_hold_ref(store, rille_new_struct(store, type, NULL, NULL));
  rille_free_module(module);
  rille_free_store(store);
  rille_collect(rille_ref_store(rille_held_ref(held)));
  rille_Slot value[2] = {3, 4};
  assert_true(rille_set_field(rille_held_ref(held), 2, value));
  assert_int_equal(rille_type_fields(rille_object_type(rille_held_ref(held))), 3);
  rille_drop_ref(held);
}

static void test_objects_join_stores(void **state) {
  (void)state;
  rille_Store *other = rille_new_store(world.engine);
  rille_Slot ref = new_point(other, 5, 0);
  assert_ptr_not_equal(rille_ref_store(ref), rille_instance_store(world.instance));
  assert_int_equal(call_sum(world.instance, ref), 5);
  rille_free_store(other);
  assert_ptr_equal(rille_ref_store(ref), rille_instance_store(world.instance));
}

static void test_heap_limit(void **state) {
  (void)state;
  rille_Func *fill = find_func(world.instance, "fill");
  for (int i = 0; i < 3; i++) {
    rille_Value result;
    rille_Error *error = NULL;
    assert_false(rille_call(fill, NULL, 0, &result, 1, &error));
    assert_int_equal(rille_error_kind(error), RILLE_ERROR_LIMIT);
    assert_string_equal(rille_error_code(error), "memory");
    rille_free_error(error);
    assert_int_equal(call_sum(world.instance, new_point(world.store, 1, 0)), 1);
  }
}

static int32_t call_int(const char *name, int32_t x, rille_ErrorKind wanted) {
  rille_Value arg = {.type = RILLE_I32, .i32 = x}, result = {.type = RILLE_I32};
  rille_Error *error = NULL;
  bool ok = rille_call(find_func(world.instance, name), &arg, 1, &result, 1, &error);
  assert_int_equal(ok ? RILLE_ERROR_NONE : rille_error_kind(error), wanted);
  if (error != NULL) rille_free_error(error);
  return ok ? result.i32 : 0;
}

static void test_exceptions(void **state) {
  (void)state;
  assert_int_equal(call_int("catch", 5, RILLE_ERROR_NONE), 5);
  assert_int_equal(call_int("catch", 1, RILLE_ERROR_NONE), 1007);
  assert_int_equal(call_int("catch", 3, RILLE_ERROR_NONE), 1030);
  call_int("catch", 2, RILLE_ERROR_TRAP);
  call_int("through", 1, RILLE_ERROR_EXCEPTION);
  call_int("through", 2, RILLE_ERROR_TRAP);
}

static void test_uncaught(void **state) {
  (void)state;
  rille_Stack *stack = rille_new_stack(world.engine, NULL);
  rille_Activation *a = rille_prepare(stack, find_func(world.instance, "throw"), NULL);
  a->slots[0] = 12;
  a->slots[1] = new_point(world.store, 8, 0);
  assert_int_equal(rille_run(a), RILLE_THROWN);
  rille_collect(world.store);
  rille_Held *held = rille_hold_ref(world.store, rille_activation_exception(a));
  rille_finish(a);
  rille_collect(world.store);
  rille_Slot exception = rille_held_ref(held);
  assert_int_equal(rille_ref_kind(exception), RILLE_REF_EXCEPTION);
  assert_ptr_equal(rille_exception_tag(exception), world.tag);
  assert_int_equal((uint32_t)rille_exception_values(exception)[0], 12);
  assert_int_equal(call_sum(world.instance, rille_exception_values(exception)[1]), 8);
  rille_drop_ref(held);
  rille_free_stack(stack);
}

static void set_held(uint32_t at, rille_Slot ref) {
  const rille_Value args[] = {{.type = RILLE_I32, .i32 = (int32_t)at},
                              {.type = RILLE_EXTERNREF, .ref = ref}};
  assert_true(rille_call(find_func(world.instance, "set"), args, 2, NULL, 0, NULL));
}

static void test_values_of_the_host(void **state) {
  (void)state;
  rille_Slot ref = rille_new_extern(world.store, 77);
  set_held(0, ref);
  for (uint32_t i = 0; i < 10000; i++) set_held(1, rille_new_extern(world.store, i));
  rille_collect(world.store);
  assert_int_equal(world.n_released, 9999);
  rille_Value arg = {.type = RILLE_EXTERNREF, .ref = ref}, result;
  assert_true(rille_call(find_func(world.instance, "convert"), &arg, 1, &result, 1, NULL));
  uint64_t payload;
  assert_true(rille_extern_payload(result.ref, &payload));
  assert_int_equal(payload, 77);
  set_held(0, 0);
  rille_collect(world.store);
  assert_int_equal(world.n_released, 10000);
}

/* What only a snapshot refers to comes back with it. */
static void test_snapshots_hold(void **state) {
  (void)state;
  set_held(2, rille_new_extern(world.store, 5));
  rille_Snapshot *snapshot = rille_new_snapshot(world.instance, NULL);
  assert_non_null(snapshot);
  set_held(2, 0);
  rille_collect(world.store);
  assert_int_equal(world.n_released, 0);
  assert_true(rille_reset_instance(world.instance, snapshot, NULL));
  rille_free_snapshot(snapshot);
  rille_collect(world.store);
  assert_int_equal(world.n_released, 0);
  rille_Extern table;
  rille_Slot ref;
  uint64_t payload;
  assert_true(rille_find_export(world.instance, "held", &table));
  assert_true(rille_get_element(table.table, 2, &ref));
  assert_true(rille_extern_payload(ref, &payload));
  assert_int_equal(payload, 5);
}

static void test_small_integers(void **state) {
  (void)state;
  static const int32_t values[] = {0, 1, -1, (1 << 30) - 1, -(1 << 30)};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    rille_Slot ref = rille_ref_of_i31(values[i]);
    assert_int_equal(rille_ref_kind(ref), RILLE_REF_I31);
    assert_int_equal(rille_i31_of_ref(ref), values[i]);
    assert_null(rille_ref_store(ref));
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_structures),
      TEST(test_arrays),
      TEST(test_objects_hold_their_types),
      TEST(test_objects_join_stores),
      TEST(test_heap_limit),
      TEST(test_exceptions),
      TEST(test_uncaught),
      TEST(test_values_of_the_host),
      TEST(test_small_integers),
      TEST(test_snapshots_hold),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
