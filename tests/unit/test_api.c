/* test_api.c - the C interface: lifetimes, linking, values, errors, limits, and what happens when
 * memory runs out at any moment.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../include/rille.h"
#include "runtime/store.h"
#include "runtime/switch.h"

static rille_Engine *engine;

static int set_up(void **state) {
  (void)state;
  engine = rille_new_engine(NULL, NULL);
  return engine == NULL;
}

/* Every test gives back whatever it took. */
static int tear_down(void **state) {
  (void)state;
  size_t left = rille_engine_bytes(engine);
  if (left != 0) print_message("%zu bytes were not given back\n", left);
  rille_free_engine(engine);
  return left != 0;
}

static void fail_with(rille_Error *error) {
  if (error == NULL) fail_msg("no error was given");
  fail_msg("%s: %s", rille_error_kind_name(rille_error_kind(error)), rille_error_message(error));
}

static rille_Module *load(const char *text) {
  rille_Error *error = NULL;
  rille_Module *module = rille_load(engine, text, strlen(text), NULL, &error);
  if (module == NULL) fail_with(error);
  return module;
}

/* An instance in a store of its own, with these imports. */
static rille_Instance *make_in(const char *text, const rille_Extern *imports,
                               const rille_Limits *limits) {
  rille_Module *module = load(text);
  rille_Store *store = rille_new_store(engine);
  rille_Error *error = NULL;
  rille_Instance *instance = rille_instantiate(store, module, imports, limits, &error);
  if (instance == NULL) fail_with(error);
  rille_free_store(store);
  rille_free_module(module);
  return instance;
}

static rille_Instance *make(const char *text) {
  return make_in(text, NULL, NULL);
}

static rille_Extern export_of(rille_Instance *instance, const char *name) {
  rille_Extern item;
  assert_true(rille_find_export(instance, name, &item));
  return item;
}

static rille_Value i32(int32_t x) {
  return (rille_Value){.type = RILLE_I32, .i32 = x};
}

/* Calls an export of type (i32...) -> i32. */
static bool call(rille_Instance *instance, const char *name, const rille_Value *args, size_t n,
                 int32_t *result, rille_Error **error) {
  rille_Value out;
  bool ok = rille_call(export_of(instance, name).func, args, n, &out, 1, error);
  if (ok) *result = out.i32;
  return ok;
}

static int32_t call1(rille_Instance *instance, const char *name, int32_t arg) {
  rille_Value value = i32(arg);
  rille_Error *error = NULL;
  int32_t result = 0;
  if (!call(instance, name, &value, 1, &result, &error)) fail_with(error);
  return result;
}

static void expect_error(rille_Error *error, rille_ErrorKind kind, const char *start) {
  assert_non_null(error);
  assert_string_equal(rille_error_kind_name(rille_error_kind(error)), rille_error_kind_name(kind));
  if (strncmp(rille_error_message(error), start, strlen(start)) != 0) {
    fail_msg("wanted \"%s\", got \"%s\"", start, rille_error_message(error));
  }
  rille_free_error(error);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static const char adder[] =
    "(module $adder (func $add (export \"add\") (param i32 i32) (result i32)"
    "  (i32.add (local.get 0) (local.get 1))))";

static void test_call(void **state) {
  (void)state;
  rille_Instance *instance = make(adder);
  rille_Value args[] = {i32(40), i32(2)};
  int32_t sum = 0;
  assert_true(call(instance, "add", args, 2, &sum, NULL));
  assert_int_equal(sum, 42);
  rille_free_instance(instance);
}

static void test_calls_are_checked(void **state) {
  (void)state;
  rille_Instance *instance = make(adder);
  rille_Value args[] = {i32(40), {.type = RILLE_F32}};
  rille_Error *error = NULL;
  int32_t sum;
  assert_false(call(instance, "add", args, 2, &sum, &error));
  expect_error(error, RILLE_ERROR_MISUSE, "argument 2: wanted i32, given f32");
  assert_false(call(instance, "add", args, 1, &sum, &error));
  expect_error(error, RILLE_ERROR_MISUSE, "wanted 2 arguments and room for 1 results");
  rille_free_instance(instance);
}

static void test_values_of_all_kinds(void **state) {
  (void)state;
  rille_Instance *instance =
      make("(module (func (export \"f\") (param i64 v128 f64 f32 funcref)"
           "  (result funcref f32 f64 v128 i64)"
           "  (local.get 4) (local.get 3) (local.get 2) (local.get 1) (local.get 0)))");
  rille_Func *func = export_of(instance, "f").func;
  rille_Value args[] = {{.type = RILLE_I64, .i64 = INT64_MIN},
                        {.type = RILLE_V128, .v128 = {1, 2, 3, [15] = 16}},
                        {.type = RILLE_F64, .f64 = 0.5},
                        {.type = RILLE_F32, .f32 = -2.5F},
                        {.type = RILLE_FUNCREF, .ref = rille_ref_of_func(func)}};
  rille_Value out[5];
  assert_true(rille_call(func, args, 5, out, 5, NULL));
  assert_ptr_equal(rille_func_of_ref(out[0].ref), func);
  assert_true(out[1].f32 == -2.5F);
  assert_true(out[2].f64 == 0.5);
  assert_memory_equal(out[3].v128, args[1].v128, 16);
  assert_true(out[4].i64 == INT64_MIN);
  rille_free_instance(instance);
}

static void test_traps_have_frames(void **state) {
  (void)state;
  rille_Instance *instance =
      make("(module $m (func $inner (unreachable))"
           "  (func $middle (call $inner)) (func (export \"outer\") (call $middle)))");
  rille_Error *error = NULL;
  assert_false(rille_call(export_of(instance, "outer").func, NULL, 0, NULL, 0, &error));
  assert_int_equal(rille_error_kind(error), RILLE_ERROR_TRAP);
  assert_string_equal(rille_error_code(error), "unreachable");
  assert_string_equal(rille_error_func(error), "inner");
  const rille_Frame *frames;
  assert_int_equal(rille_error_frames(error, &frames), 3);
  assert_string_equal(frames[0].func, "inner");
  assert_string_equal(frames[1].func, "middle");
  assert_int_equal(frames[2].index, 2);
  size_t size;
  const uint8_t *bytes = rille_module_bytes(rille_instance_module(instance), &size);
  assert_true(frames[0].offset < size);
  assert_int_equal(bytes[frames[0].offset], 0x00); /* unreachable */
  rille_free_error(error);
  rille_free_instance(instance);
}

/* ---- Host functions -------------------------------------------------------------------------- */

static int n_dropped;
static void count_drop(void *data) {
  (void)data;
  n_dropped++;
}

static rille_Status double_it(rille_Activation *activation, void *data, rille_Slot *slots) {
  (void)activation;
  *(int *)data += 1;
  slots[0] = (uint32_t)slots[0] * 2;
  return RILLE_DONE;
}

static rille_Status trap_always(rille_Activation *activation, void *data, rille_Slot *slots) {
  (void)slots;
  return rille_trap(activation, data);
}

static rille_Status exit_always(rille_Activation *activation, void *data, rille_Slot *slots) {
  (void)data;
  (void)slots;
  return rille_exit(activation, 7);
}

static rille_Func *host_func(const char *signature, rille_HostFn *fn, void *data) {
  rille_FuncType *type = rille_parse_func_type(signature, NULL);
  rille_Func *func = rille_new_host_func(engine, type, fn, data, count_drop);
  rille_free_func_type(type);
  return func;
}

static const char importer[] =
    "(module (import \"env\" \"f\" (func $f (param i32) (result i32)))"
    "  (func (export \"run\") (param i32) (result i32) (call $f (local.get 0))))";

static void test_host_functions(void **state) {
  (void)state;
  int n_calls = 0;
  n_dropped = 0;
  rille_Func *func = host_func("(param i32) (result i32)", double_it, &n_calls);
  rille_Extern import = {.kind = RILLE_EXTERN_FUNC, .func = func};
  rille_Instance *instance = make_in(importer, &import, NULL);
  assert_int_equal(call1(instance, "run", 21), 42);
  assert_int_equal(n_calls, 1);
  /* The host calls its own function through the same door. */
  rille_Value arg = i32(4), result;
  assert_true(rille_call(func, &arg, 1, &result, 1, NULL));
  assert_int_equal(result.i32, 8);
  rille_free_func(func);
  assert_int_equal(n_dropped, 0);
  assert_int_equal(call1(instance, "run", 1), 2);
  rille_free_instance(instance);
  assert_int_equal(n_dropped, 1);
}

static void test_hosts_end_runs(void **state) {
  (void)state;
  char message[] = "the host says no", known[] = "integer divide by zero";
  struct {
    rille_HostFn *fn;
    void *data;
    rille_ErrorKind kind;
    const char *message, *code;
    int status;
  } cases[] = {{trap_always, message, RILLE_ERROR_TRAP, message, "host trap", 0},
               {trap_always, known, RILLE_ERROR_TRAP, known, known, 0},
               {exit_always, NULL, RILLE_ERROR_EXIT, "exit with status 7", "", 7}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    rille_Func *func = host_func("(param i32) (result i32)", cases[i].fn, cases[i].data);
    rille_Extern import = {.kind = RILLE_EXTERN_FUNC, .func = func};
    rille_Instance *instance = make_in(importer, &import, NULL);
    rille_free_func(func);
    rille_Value arg = i32(1);
    int32_t result;
    rille_Error *error = NULL;
    assert_false(call(instance, "run", &arg, 1, &result, &error));
    assert_string_equal(rille_error_code(error), cases[i].code);
    assert_int_equal(rille_error_status(error), cases[i].status);
    expect_error(error, cases[i].kind, cases[i].message);
    rille_free_instance(instance);
  }
}

/* Host and guest call each other without end. */
static rille_Status call_back(rille_Activation *activation, void *data, rille_Slot *slots) {
  (void)activation;
  (void)slots;
  rille_Error *error = NULL;
  if (rille_call(*(rille_Func **)data, NULL, 0, NULL, 0, &error)) return RILLE_DONE;
  char code[40];
  snprintf(code, sizeof code, "%s", rille_error_code(error));
  rille_free_error(error);
  return rille_trap(activation, code);
}

static void test_endless_nesting_traps(void **state) {
  (void)state;
  rille_Func *run = NULL;
  rille_Func *func = host_func("", call_back, &run);
  rille_Extern import = {.kind = RILLE_EXTERN_FUNC, .func = func};
  rille_Instance *instance =
      make_in("(module (import \"\" \"\" (func)) (func (export \"run\") (call 0)))", &import, NULL);
  rille_free_func(func);
  run = export_of(instance, "run").func;
  rille_Error *error = NULL;
  assert_false(rille_call(run, NULL, 0, NULL, 0, &error));
  expect_error(error, RILLE_ERROR_TRAP, "call stack exhausted");
  rille_free_instance(instance);
}

/* ---- Linking --------------------------------------------------------------------------------- */

static void expect_link_error(const char *text, const rille_Extern *imports, const char *message) {
  rille_Module *module = load(text);
  rille_Store *store = rille_new_store(engine);
  rille_Error *error = NULL;
  assert_null(rille_instantiate(store, module, imports, NULL, &error));
  expect_error(error, RILLE_ERROR_LINK, message);
  rille_free_store(store);
  rille_free_module(module);
}

static void test_link_errors(void **state) {
  (void)state;
  rille_Extern import = {.kind = RILLE_EXTERN_FUNC};
  expect_link_error(importer, &import,
                    "unknown import \"env\" \"f\": wanted (func (param i32) (result i32))");
  rille_MemoryType type = {.min = 1, .max = 2, .page_log2 = 16};
  rille_Memory *memory = rille_new_memory(engine, &type, NULL);
  import = (rille_Extern){.kind = RILLE_EXTERN_MEMORY, .memory = memory};
  expect_link_error(importer, &import,
                    "incompatible import type of \"env\" \"f\": wanted (func (param i32) (result "
                    "i32)), given (memory 1 2)");
  expect_link_error("(module (import \"m\" \"x\" (memory 1 1)))", &import,
                    "incompatible import type of \"m\" \"x\": wanted (memory 1 1), given (memory");
  rille_free_memory(memory);
}

static void test_failed_start(void **state) {
  (void)state;
  rille_Module *module = load("(module (func $f (unreachable)) (start $f))");
  rille_Store *store = rille_new_store(engine);
  rille_Error *error = NULL;
  assert_null(rille_instantiate(store, module, NULL, NULL, &error));
  expect_error(error, RILLE_ERROR_TRAP, "unreachable");
  rille_Func *start = NULL;
  rille_Instance *instance = rille_begin_instance(store, module, NULL, NULL, &start, &error);
  assert_non_null(instance);
  assert_non_null(start);
  rille_free_instance(instance);
  rille_free_store(store);
  rille_free_module(module);
}

/* A module that ends in a trap has put a function into the table of another one, which calls it. */
static void test_failed_instances_live_on(void **state) {
  (void)state;
  rille_Instance *owner =
      make("(module (table (export \"t\") 2 funcref) (type $f (func (result i32)))"
           "  (func (export \"run\") (param i32) (result i32)"
           "    (call_indirect (type $f) (local.get 0))))");
  rille_Module *module = load(
      "(module (import \"\" \"t\" (table 2 funcref)) (memory 1)"
      "  (func $f (result i32) (i32.load (i32.const 8)))"
      "  (data (i32.const 8) \"\\2a\") (elem (i32.const 1) $f) (data (i32.const 65536) \"x\"))");
  rille_Extern import = export_of(owner, "t");
  rille_Store *store = rille_new_store(engine);
  rille_Error *error = NULL;
  assert_null(rille_instantiate(store, module, &import, NULL, &error));
  expect_error(error, RILLE_ERROR_TRAP, "out of bounds memory access");
  rille_free_store(store);
  rille_free_module(module);
  assert_int_equal(call1(owner, "run", 1), 42);
  rille_free_instance(owner);
}

/* ---- Lifetimes ------------------------------------------------------------------------------- */

/* Plugins that share a log function, a memory and a number are freed one by one. */
static void test_plugins_are_freed_alone(void **state) {
  (void)state;
  enum { N = 1000 };
  int n_calls = 0;
  rille_MemoryType type = {.min = 1, .max = 1, .page_log2 = 16};
  rille_Slot seven = 7;
  rille_Extern imports[] = {
      {.kind = RILLE_EXTERN_FUNC,
       .func = host_func("(param i32) (result i32)", double_it, &n_calls)},
      {.kind = RILLE_EXTERN_MEMORY, .memory = rille_new_memory(engine, &type, NULL)},
      {.kind = RILLE_EXTERN_GLOBAL,
       .global = rille_new_global(engine, NULL, RILLE_I32, true, &seven, NULL)}};
  rille_Module *module =
      load("(module (import \"\" \"log\" (func (param i32) (result i32)))"
           "  (import \"\" \"memory\" (memory 1)) (import \"\" \"n\" (global (mut i32)))"
           "  (func (export \"run\") (param i32) (result i32)"
           "    (i32.add (call 0 (local.get 0)) (global.get 0))))");
  static rille_Instance *plugins[N];
  for (int i = 0; i < N; i++) {
    rille_Store *store = rille_new_store(engine);
    plugins[i] = rille_instantiate(store, module, imports, NULL, NULL);
    rille_free_store(store);
  }
  for (int i = 1; i < N; i++) {
    assert_ptr_not_equal(rille_instance_store(plugins[0]), rille_instance_store(plugins[i]));
  }
  assert_int_equal(call1(plugins[3], "run", 1), 9);
  for (int i = 0; i < N; i++) {
    size_t before = rille_engine_bytes(engine);
    rille_free_instance(plugins[(i * 7) % N]);
    assert_true(rille_engine_bytes(engine) < before);
  }
  rille_free_func(imports[0].func);
  rille_free_memory(imports[1].memory);
  rille_free_global(imports[2].global);
  rille_free_module(module);
}

static void test_linked_instances_live_together(void **state) {
  (void)state;
  rille_Instance *library = make(adder);
  rille_Extern import = export_of(library, "add");
  rille_Instance *user = make_in(
      "(module (import \"\" \"add\" (func $add (param i32 i32) (result i32)))"
      "  (func (export \"run\") (param i32) (result i32) (call $add (local.get 0) (i32.const 1))))",
      &import, NULL);
  assert_ptr_equal(rille_instance_store(library), rille_instance_store(user));
  rille_free_instance(library);
  assert_int_equal(call1(user, "run", 41), 42);
  rille_Func *run = export_of(user, "run").func;
  rille_retain_func(run);
  rille_free_instance(user);
  rille_Value arg = i32(1), result;
  assert_true(rille_call(run, &arg, 1, &result, 1, NULL));
  assert_int_equal(result.i32, 2);
  rille_free_func(run);
}

static void test_memories_outlive_instances(void **state) {
  (void)state;
  rille_Instance *owner = make("(module (memory (export \"m\") 1) (data (i32.const 3) \"abc\"))");
  rille_Memory *memory = export_of(owner, "m").memory;
  rille_retain_memory(memory);
  assert_int_equal(rille_instance_memory_bytes(owner), 65536);
  rille_free_instance(owner);
  uint64_t size;
  assert_memory_equal(rille_memory_bytes(memory, &size) + 3, "abc", 4);
  assert_int_equal(size, 65536);
  uint64_t old;
  assert_true(rille_grow_memory(memory, 2, &old, NULL));
  assert_int_equal(old, 1);
  rille_free_memory(memory);
}

/* Stores join when the host puts a function of one into a table of the other, in any order. */
static void test_tables_join_stores(void **state) {
  (void)state;
  enum { N = 200 };
  rille_Store *store = rille_new_store(engine);
  rille_Table *table = rille_new_table(store, RILLE_FUNCREF, N, RILLE_NO_MAX, false, 0, NULL);
  rille_free_store(store);
  rille_Module *module = load(adder);
  for (int i = 0; i < N; i++) {
    store = rille_new_store(engine);
    rille_Instance *instance = rille_instantiate(store, module, NULL, NULL, NULL);
    rille_Func *add = export_of(instance, "add").func;
    assert_true(rille_set_element(table, (uint64_t)i, rille_ref_of_func(add)));
    assert_ptr_equal(rille_instance_store(instance), rille_table_store(table));
    rille_free_instance(instance);
    rille_interrupt(store); /* an old handle still works */
    rille_free_store(store);
  }
  rille_free_module(module);
  for (int i = 0; i < N; i++) {
    rille_Slot ref;
    assert_true(rille_get_element(table, (uint64_t)i, &ref));
    rille_Value args[] = {i32(i), i32(1)}, result;
    assert_true(rille_call(rille_func_of_ref(ref), args, 2, &result, 1, NULL));
    assert_int_equal(result.i32, i + 1);
  }
  rille_free_table(table);
}

/* A table keeps a host function that only it refers to. */
static void test_tables_hold_host_functions(void **state) {
  (void)state;
  n_dropped = 0;
  rille_Store *store = rille_new_store(engine);
  rille_Table *table = rille_new_table(store, RILLE_FUNCREF, 1, RILLE_NO_MAX, false, 0, NULL);
  for (int i = 0; i < 100; i++) {
    rille_Func *func = host_func("(param i32) (result i32)", double_it, NULL);
    assert_true(rille_set_element(table, 0, rille_ref_of_func(func)));
    assert_true(rille_set_element(table, 0, rille_ref_of_func(func)));
    rille_free_func(func);
  }
  rille_free_table(table);
  assert_int_equal(n_dropped, 0);
  rille_free_store(store);
  assert_int_equal(n_dropped, 100);
}

static uint64_t released;
static void release_extern(void *user, uint64_t payload) {
  *(int *)user += 1;
  released += payload;
}

static void test_extern_references(void **state) {
  (void)state;
  int n_released = 0;
  released = 0;
  rille_Hooks hooks = {.release_extern = release_extern, .user = &n_released};
  rille_set_hooks(engine, &hooks);
  rille_Instance *instance = make("(module (global $g (mut externref) (ref.null extern))"
                                  "  (func (export \"swap\") (param externref) (result externref)"
                                  "    (global.get $g) (global.set $g (local.get 0))))");
  rille_Store *store = rille_instance_store(instance);
  rille_Func *swap = export_of(instance, "swap").func;
  rille_Value arg = {.type = RILLE_EXTERNREF, .ref = rille_new_extern(store, 77)}, result;
  assert_true(rille_call(swap, &arg, 1, &result, 1, NULL));
  assert_int_equal(result.ref, 0);
  arg.ref = 0;
  assert_true(rille_call(swap, &arg, 1, &result, 1, NULL));
  uint64_t payload;
  assert_true(rille_extern_payload(result.ref, &payload));
  assert_int_equal(payload, 77);
  assert_false(rille_extern_payload(0, &payload));
  rille_free_instance(instance);
  assert_int_equal(n_released, 1);
  assert_int_equal(released, 77);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static const char grower[] =
    "(module (memory 1) (table 1 funcref)"
    "  (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0)))"
    "  (func (export \"loop\") (param i32) (result i32)"
    "    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0)))";

static void test_memory_limit(void **state) {
  (void)state;
  rille_Limits limits = {.memory_bytes = 4 * 65536 + 8};
  rille_Instance *instance = make_in(grower, NULL, &limits);
  assert_int_equal(call1(instance, "grow", 4), -1);
  assert_int_equal(call1(instance, "grow", 3), 1);
  assert_int_equal(call1(instance, "grow", 1), -1);
  assert_int_equal(rille_instance_memory_bytes(instance), 4 * 65536 + 8);
  rille_free_instance(instance);
  limits.memory_bytes = 65536;
  rille_Module *module = load(grower);
  rille_Store *store = rille_new_store(engine);
  rille_Error *error = NULL;
  assert_null(rille_instantiate(store, module, NULL, &limits, &error));
  assert_string_equal(rille_error_code(error), "memory");
  expect_error(error, RILLE_ERROR_LIMIT, "the memory limit does not allow a table of 1 elements");
  rille_free_store(store);
  rille_free_module(module);
}

static void test_fuel(void **state) {
  (void)state;
  rille_Limits limits = {.fuel = 10000, .has_fuel = true};
  rille_Instance *instance = make_in(grower, NULL, &limits);
  assert_int_equal(call1(instance, "loop", 10), 0);
  uint64_t left = rille_instance_fuel(instance);
  assert_true(left < 10000);
  rille_Value arg = i32(1000000);
  rille_Error *error = NULL;
  int32_t result;
  assert_false(call(instance, "loop", &arg, 1, &result, &error));
  assert_string_equal(rille_error_code(error), "fuel");
  expect_error(error, RILLE_ERROR_LIMIT, "all fuel is used up");
  assert_int_equal(rille_instance_fuel(instance), 0);
  rille_add_fuel(instance, 10000 - left);
  assert_int_equal(call1(instance, "loop", 10), 0);
  assert_int_equal(rille_instance_fuel(instance), 0); /* deterministic */
  rille_free_instance(instance);
}

static int n_asked;
static rille_Status give_fuel(rille_Activation *activation, rille_Instance *instance,
                              const char *limit) {
  (void)activation;
  assert_string_equal(limit, "fuel");
  if (++n_asked == 4) return RILLE_LIMITED;
  rille_add_fuel(instance, 5000);
  return RILLE_DONE;
}

static void test_hosts_move_limits(void **state) {
  (void)state;
  n_asked = 0;
  rille_Hooks hooks = {.on_limit = give_fuel};
  rille_set_hooks(engine, &hooks);
  rille_Limits limits = {.fuel = 5000, .has_fuel = true, .suspends = true};
  rille_Instance *instance = make_in(grower, NULL, &limits);
  rille_Value arg = i32(1000000);
  rille_Error *error = NULL;
  int32_t result;
  assert_false(call(instance, "loop", &arg, 1, &result, &error));
  expect_error(error, RILLE_ERROR_LIMIT, "all fuel is used up");
  assert_int_equal(n_asked, 4);
  rille_free_instance(instance);
}

static void test_timeout(void **state) {
  (void)state;
  rille_Limits limits = {.timeout_ns = 60 * 1000 * 1000};
  rille_Instance *instance = make_in(
      "(module (func (export \"spin\") (param i32) (result i32) (loop (br 0)) (unreachable))"
      "  (func (export \"id\") (param i32) (result i32) (local.get 0)))",
      NULL, &limits);
  rille_Value arg = i32(0);
  rille_Error *error = NULL;
  int32_t result;
  assert_false(call(instance, "spin", &arg, 1, &result, &error));
  assert_string_equal(rille_error_code(error), "timeout");
  expect_error(error, RILLE_ERROR_LIMIT, "the time limit was reached");
  assert_int_equal(call1(instance, "id", 5), 5);
  rille_free_instance(instance);
}

static bool is_emulated(void) {
  return getenv("RILLE_EMULATED") != NULL;
}

/* The child of a fork has no helper threads until it needs them. */
static void test_fork(void **state) {
  (void)state;
  if (is_emulated()) skip(); /* user-mode qemu has no threads in a child */
  test_timeout(state);
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    test_timeout(state);
    _exit(0);
  }
  int status = 1;
  waitpid(child, &status, 0);
  assert_int_equal(status, 0);
}

static const char counting[] =
    "(module (memory 1) (func $f (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))"
    "  (func (export \"count\") (param i32) (result i32) (local $i i32)"
    "    (loop $l (local.set $i (call $f (local.get $i)))"
    "      (i32.store (i32.const 0) (local.get $i))"
    "      (br_if $l (i32.lt_u (i32.load (i32.const 0)) (local.get 0))))"
    "    (local.get $i)))";

static bool load_and_count(void) {
  rille_Instance *instance = make(counting);
  int32_t result = call1(instance, "count", 1000);
  rille_free_instance(instance);
  return result == 1000;
}

static _Atomic bool is_forking;
static void *keep_loading(void *unused) {
  while (is_forking) (void)load_and_count();
  return unused;
}

/* Another thread is inside the engine's locks when the process forks. What was loaded before goes
 * on in each worker, and so does loading. */
static void test_forked_workers(void **state) {
  (void)state;
  enum { ROUNDS = 5, WORKERS = 4 };
  if (is_emulated()) skip();
  rille_Instance *instance = make(counting);
  assert_int_equal(call1(instance, "count", 10), 10);
  is_forking = true;
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, keep_loading, NULL), 0);
  for (int round = 0; round < ROUNDS; round++) {
    pid_t workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
      workers[i] = fork();
      if (workers[i] != 0) continue;
      alarm(60);
      bool ok = call1(instance, "count", 100 + i) == 100 + i && load_and_count();
      test_timeout(state);
      _exit(ok ? 0 : 1);
    }
    for (int i = 0; i < WORKERS; i++) {
      int status = 1;
      waitpid(workers[i], &status, 0);
      assert_int_equal(status, 0);
    }
  }
  is_forking = false;
  pthread_join(thread, NULL);
  assert_int_equal(call1(instance, "count", 7), 7);
  rille_free_instance(instance);
}

/* Threads, with a store each, contend for one memory while it grows. */
static rille_Memory *contended;

static void *contend(void *unused) {
  rille_Extern import = {.kind = RILLE_EXTERN_MEMORY, .memory = contended};
  rille_Instance *instance = make_in(
      "(module (import \"\" \"m\" (memory 1 64 shared))"
      "  (func (export \"count\") (param $n i32) (result i32)"
      "    (loop $l (loop $again"
      "      (if (i32.atomic.rmw.cmpxchg (i32.const 8) (i32.const 0) (i32.const 1)) (then"
      "        (drop (memory.atomic.wait32 (i32.const 8) (i32.const 1) (i64.const 1000000)))"
      "        (br $again))))"
      "      (i32.atomic.store (i32.const 16)"
      "        (i32.add (i32.atomic.load (i32.const 16)) (i32.const 1)))"
      "      (i32.atomic.store (i32.const 8) (i32.const 0))"
      "      (drop (memory.atomic.notify (i32.const 8) (i32.const 1)))"
      "      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
      "    (memory.grow (i32.const 1))))",
      &import, NULL);
  bool ok = true;
  for (int i = 0; i < 8; i++) ok &= call1(instance, "count", 500) > 0;
  rille_free_instance(instance);
  return ok ? contended : unused;
}

static void test_threads_share_a_memory(void **state) {
  (void)state;
  enum { N_THREADS = 4 };
  const rille_MemoryType type = {.min = 1, .max = 64, .is_shared = true, .page_log2 = 16};
  contended = rille_new_memory(engine, &type, NULL);
  assert_non_null(contended);
  pthread_t threads[N_THREADS];
  for (int i = 0; i < N_THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, contend, NULL), 0);
  for (int i = 0; i < N_THREADS; i++) {
    void *result = NULL;
    pthread_join(threads[i], &result);
    assert_ptr_equal(result, contended);
  }
  uint64_t size;
  int32_t counted;
  memcpy(&counted, rille_memory_bytes(contended, &size) + 16, sizeof counted);
  assert_int_equal(counted, N_THREADS * 8 * 500);
  assert_int_equal(rille_memory_pages(contended), 1 + N_THREADS * 8);
  rille_free_memory(contended);
}

/* Address space runs out: memories fall back to what they need. In a process of its own, which
 * keeps no reservations. */
static int run_with_little_address_space(void) {
  struct rlimit limit = {UINT64_C(2) << 30, UINT64_C(2) << 30};
  setrlimit(RLIMIT_AS, &limit);
  engine = rille_new_engine(NULL, NULL);
  rille_Instance *instance =
      make("(module (memory 1) (data (i32.const 65532) \"\\2a\")"
           "  (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0)))"
           "  (func (export \"load\") (param i32) (result i32) (i32.load (local.get 0))))");
  bool ok = call1(instance, "grow", 100) == 1 && call1(instance, "load", 65532) == 42 &&
            call1(instance, "grow", 1000) == 101 && call1(instance, "load", 65532) == 42 &&
            call1(instance, "grow", 64000) == -1 && call1(instance, "load", 101 * 65536) == 0;
  rille_free_instance(instance);
  rille_free_engine(engine);
  return !ok;
}

static void test_little_address_space(void **state) {
  (void)state;
#ifdef RILLE_ASAN
  skip(); /* the sanitizer itself needs all of it */
#endif
  if (is_emulated()) skip(); /* /proc/self/exe is the emulator */
  pid_t child = fork();
  if (child == 0) {
    execl("/proc/self/exe", "test_api", "--little-address-space", (char *)NULL);
    _exit(2);
  }
  int status = 1;
  waitpid(child, &status, 0);
  assert_int_equal(status, 0);
}

#ifndef RILLE_NO_SWITCH
/* ---- Suspension ------------------------------------------------------------------------------ */

static jmp_buf scheduler;

static rille_Status yield_out(rille_Activation *activation, void *data, rille_Slot *slots) {
  (void)data;
  (void)slots;
  rille_detach(activation->stack);
  longjmp(scheduler, 1);
}

static void start_run(rille_Stack *stack, rille_Func *func, int32_t arg) {
  rille_Activation *run = rille_prepare(stack, func, NULL);
  assert_non_null(run);
  run->slots[0] = (uint32_t)arg;
  if (setjmp(scheduler) == 0) rille_run(run);
}

static bool resume_run(rille_Activation *run, int32_t value) {
  run->host_slots[0] = (uint32_t)value;
  if (setjmp(scheduler) != 0) return false;
  assert_int_equal(rille_resume(run, RILLE_DONE, NULL), RILLE_DONE);
  return true;
}

static void test_suspended_guests(void **state) {
  (void)state;
  enum { N = 100 };
  rille_Func *func = host_func("(param i32) (result i32)", yield_out, NULL);
  rille_Extern import = {.kind = RILLE_EXTERN_FUNC, .func = func};
  rille_Instance *instance =
      make_in("(module (import \"\" \"yield\" (func $yield (param i32) (result i32)))"
              "  (func $sum (export \"sum\") (param i32) (result i32)"
              "    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))"
              "      (else (i32.add (call $yield (local.get 0))"
              "                     (call $sum (i32.sub (local.get 0) (i32.const 1))))))))",
              &import, NULL);
  rille_free_func(func);
  static rille_Stack *stacks[N];
  rille_Func *sum = export_of(instance, "sum").func;
  for (int i = 0; i < N; i++) {
    stacks[i] = rille_new_stack(engine, NULL);
    start_run(stacks[i], sum, 3);
  }
  assert_false(rille_instance_is_running(instance));
  for (int round = 0; round < 3; round++) {
    for (int i = N; i-- > 0;) {
      rille_Activation *run = rille_stack_top(stacks[i]);
      assert_int_equal((uint32_t)run->host_slots[0], 3 - round);
      assert_int_equal(resume_run(run, i), round == 2);
    }
  }
  for (int i = 0; i < N; i++) {
    rille_Activation *run = rille_stack_top(stacks[i]);
    assert_int_equal((uint32_t)run->slots[0], 3 * i);
    rille_finish(run);
    rille_free_stack(stacks[i]);
  }
  rille_free_instance(instance);
}

#endif

/* ---- Modules, types, text -------------------------------------------------------------------- */

static void test_describe(void **state) {
  (void)state;
  rille_Module *module =
      load("(module $shown (import \"a\" \"f\" (func (param i32) (result i64)))"
           "  (import \"a\" \"m\" (memory i64 1 2)) (import \"a\" \"g\" (global (mut f32)))"
           "  (import \"a\" \"t\" (table 1 3 funcref)) (import \"a\" \"e\" (tag (param i32)))"
           "  (export \"again\" (func 0)))");
  static const char *const wanted[] = {"(func (param i32) (result i64))", "(memory i64 1 2)",
                                       "(global (mut f32))", "(table 1 3 funcref)",
                                       "(tag (param i32))"};
  assert_int_equal(rille_module_imports(module), 5);
  for (size_t i = 0; i < 5; i++) {
    char text[80];
    assert_int_equal(rille_print_import_type(module, i, text, sizeof text), strlen(wanted[i]));
    assert_string_equal(text, wanted[i]);
  }
  rille_ExportInfo info;
  rille_module_export(module, 0, &info);
  assert_memory_equal(info.name, "again", 5);
  const rille_ValueType *types;
  assert_int_equal(rille_func_results(info.func_type, &types), 1);
  assert_int_equal(types[0], RILLE_I64);
  size_t size;
  const char *name = rille_module_name(module, &size);
  assert_int_equal(size, 5);
  assert_memory_equal(name, "shown", 5);
  rille_ModuleStats stats;
  rille_module_stats(module, &stats);
  assert_int_equal(stats.imports, 5);
  rille_free_module(module);
}

static void test_parse_types(void **state) {
  (void)state;
  static const char *const good[] = {"i32",       "v128",      "funcref",       "(ref null any)",
                                     "(ref i31)", "structref", "nullexternref", " ( ref  func ) "};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    rille_ValueType type, again;
    assert_true(rille_parse_type(good[i], &type));
    char text[40];
    rille_print_type(type, text, sizeof text);
    assert_true(rille_parse_type(text, &again));
    assert_int_equal(type, again);
  }
  static const char *const bad[] = {"", "i33", "i32 i32", "(ref null)", "(ref 3)", "ref"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    rille_ValueType type;
    assert_false(rille_parse_type(bad[i], &type));
  }
  rille_FuncType *type = rille_parse_func_type("(func (param $x i32) (param i64 f64))", NULL);
  const rille_ValueType *params;
  assert_int_equal(rille_func_params(type, &params), 3);
  assert_int_equal(params[2], RILLE_F64);
  rille_free_func_type(type);
  rille_Error *error = NULL;
  assert_null(rille_parse_func_type("(param i32", &error));
  expect_error(error, RILLE_ERROR_MALFORMED, "not a function type");
}

static void test_text_and_back(void **state) {
  (void)state;
  uint8_t *bytes;
  size_t size;
  rille_Error *error = NULL;
  assert_true(rille_wat_to_wasm(engine, adder, strlen(adder), &bytes, &size, &error));
  char *text;
  size_t text_size;
  assert_true(rille_wasm_to_wat(engine, bytes, size, &text, &text_size, &error));
  assert_non_null(memmem(text, text_size, "i32.add", 7));
  rille_free_bytes(engine, text, text_size);
  rille_free_bytes(engine, bytes, size);
  assert_false(rille_wat_to_wasm(engine, "(module\n  (fun))", 16, &bytes, &size, &error));
  assert_int_equal(rille_error_line(error), 2);
  rille_free_error(error);
}

static void test_load_options(void **state) {
  (void)state;
  static const char *const off[] = {"simd", NULL}, *const unknown[] = {"simt", NULL};
  const char *text = "(module (global v128 (v128.const i32x4 0 0 0 0)))";
  rille_LoadOptions options = {.off = off};
  rille_Error *error = NULL;
  assert_null(rille_load(engine, text, strlen(text), &options, &error));
  rille_free_error(error);
  options.off = unknown;
  assert_null(rille_load(engine, text, strlen(text), &options, &error));
  expect_error(error, RILLE_ERROR_MISUSE, "unknown feature \"simt\"");
  options = (rille_LoadOptions){.engine = "steam"};
  assert_null(rille_load(engine, text, strlen(text), &options, &error));
  expect_error(error, RILLE_ERROR_UNSUPPORTED, "this build has no engine \"steam\"");
  assert_null(rille_load_file(engine, "/nowhere/x.wasm", NULL, &error));
  expect_error(error, RILLE_ERROR_IO, "/nowhere/x.wasm: No such file");
}

/* ---- No memory ------------------------------------------------------------------------------- */

/* All of a life, in which the n-th allocation fails: false then, and nothing is lost. */
static bool live_once(void) {
  bool ok = false;
  int n_calls = 0;
  rille_Store *store = rille_new_store(engine);
  rille_FuncType *type = rille_parse_func_type("(param i32) (result i32)", NULL);
  rille_Func *func = rille_new_host_func(engine, type, double_it, &n_calls, NULL);
  rille_free_func_type(type);
  static const char text[] =
      "(module (import \"env\" \"f\" (func $f (param i32) (result i32)))"
      "  (memory 1) (table (export \"t\") 4 funcref) (elem (i32.const 0) $f $g)"
      "  (global $r (mut funcref) (ref.func $g)) (global $n (mut i64) (i64.const 5))"
      "  (tag (param i32)) (data (i32.const 0) \"abc\") (elem func $f $g)"
      "  (func $g (export \"run\") (param i32) (result i32)"
      "    (drop (table.grow (ref.null func) (i32.const 20)))"
      "    (drop (memory.grow (i32.const 1))) (call $f (local.get 0))))";
  rille_Module *module = rille_load(engine, text, sizeof text - 1, NULL, NULL);
  rille_Extern import = {.kind = RILLE_EXTERN_FUNC, .func = func};
  rille_Instance *instance = NULL;
  if (store != NULL && func != NULL && module != NULL) {
    instance = rille_instantiate(store, module, &import, NULL, NULL);
  }
  rille_Extern run, table;
  if (instance != NULL && rille_find_export(instance, "run", &run) &&
      rille_find_export(instance, "t", &table)) {
    rille_Value arg = i32(21), result;
    ok = rille_call(run.func, &arg, 1, &result, 1, NULL) && result.i32 == 42 &&
         rille_set_element(table.table, 3, rille_ref_of_func(func)) &&
         rille_new_extern(store, 1) != 0;
  }
  rille_free_instance(instance);
  rille_free_module(module);
  rille_free_func(func);
  rille_free_store(store);
  return ok;
}

static void test_every_allocation_may_fail(void **state) {
  (void)state;
  Alloc *alloc = &((Engine *)engine)->alloc;
  assert_true(live_once());
  size_t before = rille_engine_bytes(engine);
  bool is_done = false;
  for (int64_t n = 1; !is_done; n++) {
    atomic_store(&alloc->fail_after, n);
    is_done = live_once();
    atomic_store(&alloc->fail_after, -1);
    if (rille_engine_bytes(engine) != before) fail_msg("allocation %d loses bytes", (int)n);
    assert_true(n < 10000);
  }
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "--little-address-space") == 0) {
    return run_with_little_address_space();
  }
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(test_call),
      TEST(test_calls_are_checked),
      TEST(test_values_of_all_kinds),
      TEST(test_traps_have_frames),
      TEST(test_host_functions),
      TEST(test_hosts_end_runs),
      TEST(test_endless_nesting_traps),
      TEST(test_link_errors),
      TEST(test_failed_start),
      TEST(test_failed_instances_live_on),
      TEST(test_plugins_are_freed_alone),
      TEST(test_linked_instances_live_together),
      TEST(test_memories_outlive_instances),
      TEST(test_tables_join_stores),
      TEST(test_tables_hold_host_functions),
      TEST(test_extern_references),
      TEST(test_memory_limit),
      TEST(test_fuel),
      TEST(test_hosts_move_limits),
      TEST(test_timeout),
      TEST(test_fork),
      TEST(test_forked_workers),
      TEST(test_threads_share_a_memory),
      TEST(test_little_address_space),
#ifndef RILLE_NO_SWITCH
      TEST(test_suspended_guests),
#endif
      TEST(test_describe),
      TEST(test_parse_types),
      TEST(test_text_and_back),
      TEST(test_load_options),
      TEST(test_every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
