/* test_interp.c - the interpreter through rille.h: every pure instruction in every operand variant,
 * where values are kept, calls, limits, places of traps, and bodies of extreme shape.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "../include/rille.h"
#include "module/pure.h"

/* Text of any length */
typedef struct Text {
  char *at;
  size_t size, room;
} Text;

static void say(Text *text, const char *format, ...) PRINTF_LIKE(2, 3);
static void say(Text *text, const char *format, ...) {
  if (text->room - text->size < 512) {
    text->room = text->room * 2 + 1024;
    text->at = realloc(text->at, text->room);
  }
  va_list args;
  va_start(args, format);
  text->size += (size_t)vsnprintf(text->at + text->size, text->room - text->size, format, args);
  va_end(args);
}

typedef struct World {
  rille_Engine *engine;
  rille_Store *store;
} World;

static int set_up(void **state) {
  World *world = malloc(sizeof *world);
  world->engine = rille_new_engine(NULL, NULL);
  world->store = rille_new_store(world->engine);
  *state = world;
  return 0;
}
static int tear_down(void **state) {
  World *world = *state;
  rille_free_store(world->store);
  size_t bytes = rille_engine_bytes(world->engine);
  rille_free_engine(world->engine);
  free(world);
  return bytes != 0;
}

static rille_Module *load(World *world, const char *text, size_t size, bool deterministic) {
  rille_Error *error = NULL;
  rille_LoadOptions options = {.deterministic = deterministic, .engine = "interpreter"};
  rille_Module *module = rille_load(world->engine, text, size, &options, &error);
  if (!module) fail_msg("%s", rille_error_message(error));
  return module;
}

static rille_Instance *instantiate(World *world, const char *text, size_t size,
                                   const rille_Extern *imports, const rille_Limits *limits,
                                   bool deterministic) {
  rille_Error *error = NULL;
  rille_Module *module = load(world, text, size, deterministic);
  rille_Instance *instance = rille_instantiate(world->store, module, imports, limits, &error);
  if (!instance) fail_msg("%s", rille_error_message(error));
  rille_free_module(module);
  return instance;
}
static rille_Instance *instance_of(World *world, const char *text) {
  return instantiate(world, text, strlen(text), NULL, NULL, false);
}

static rille_Func *func_of(rille_Instance *instance, const char *name) {
  rille_Extern item;
  if (!rille_find_export(instance, name, &item)) fail_msg("no export %s", name);
  return item.func;
}

static rille_Value value_i32(int32_t x) {
  return (rille_Value){.type = RILLE_I32, .i32 = x};
}
static rille_Value value_i64(int64_t x) {
  return (rille_Value){.type = RILLE_I64, .i64 = x};
}

/* Calls with one i32 and expects one. */
static void expect_i32(rille_Instance *instance, const char *name, int32_t arg, int32_t wanted) {
  rille_Error *error = NULL;
  rille_Value in = value_i32(arg), out;
  if (!rille_call(func_of(instance, name), &in, 1, &out, 1, &error))
    fail_msg("%s: %s", name, rille_error_message(error));
  assert_int_equal(out.i32, wanted);
}

static void expect_error(rille_Instance *instance, const char *name, const rille_Value *args,
                         size_t n_args, size_t n_results, const char *code) {
  rille_Error *error = NULL;
  rille_Value out[4];
  assert_false(rille_call(func_of(instance, name), args, n_args, out, n_results, &error));
  assert_string_equal(rille_error_code(error), code);
  rille_free_error(error);
}

/* Every pure instruction, its operands in every kind of place */

static const uint64_t samples_i[] = {0,
                                     1,
                                     2,
                                     31,
                                     33,
                                     0x7FFFFFFF,
                                     0x80000000,
                                     0xFFFFFFFF,
                                     0x7FFFFFFFFFFFFFFF,
                                     0x8000000000000000,
                                     UINT64_MAX,
                                     0x123456789ABCDEF0};
static const double samples_f[] = {0.0,
                                   -0.0,
                                   1.5,
                                   -2.5,
                                   3e9,
                                   -3e9,
                                   1e19,
                                   1e-320,
                                   0.49999999999999994,
                                   (double)INFINITY,
                                   -(double)INFINITY,
                                   (double)NAN};

static const char *type_name(char letter) {
  switch (letter) {
    case 'i': return "i32";
    case 'l': return "i64";
    case 'f': return "f32";
    default: return "f64";
  }
}
static Cell sample(char letter, size_t i) {
  Cell cell = {.i64 = 0};
  switch (letter) {
    case 'i': cell.i32 = (uint32_t)samples_i[i]; break;
    case 'l': cell.i64 = samples_i[i]; break;
    case 'f': cell.f32 = (float)samples_f[i]; break;
    default: cell.f64 = samples_f[i]; break;
  }
  return cell;
}
static void say_const(Text *text, char letter, Cell cell) {
  switch (letter) {
    case 'i': say(text, "(i32.const %u)", cell.i32); break;
    case 'l': say(text, "(i64.const %lld)", (long long)cell.i64); break;
    case 'f': say(text, "(f32.reinterpret_i32 (i32.const %u))", cell.i32); break;
    default: say(text, "(f64.reinterpret_i64 (i64.const %lld))", (long long)cell.i64); break;
  }
}

/* How an operand is given: read from a local, constant, just computed (in the accumulator). */
enum { BY_LOCAL, BY_CONST, BY_RESULT, WAYS };

static void say_operand(Text *text, char letter, int way, unsigned local, Cell cell) {
  static const char *const identities[] = {"(i32.xor %s (i32.const 0))",
                                           "(i64.or %s (i64.const 0))",
                                           "(f32.reinterpret_i32 (i32.reinterpret_f32 %s))",
                                           "(f64.reinterpret_i64 (i64.reinterpret_f64 %s))"};
  char get[32];
  snprintf(get, sizeof get, "(local.get %u)", local);
  if (way == BY_LOCAL) {
    say(text, "%s", get);
  } else if (way == BY_CONST) {
    say_const(text, letter, cell);
  } else {
    const char *identity = identities[strchr("ilfd", letter) - "ilfd"];
    const char *hole = strstr(identity, "%s");
    say(text, "%.*s%s%s", (int)(hole - identity), identity, get, hole + 2);
  }
}

/* What becomes of the result: returned, stored in a local first, or tested by a branch. */
enum { TO_RETURN, TO_LOCAL, TO_BRANCH, TO_NEGATED_BRANCH, USES };

static void say_function(Text *text, Op op, int way_a, int way_b, int use, Cell a, Cell b) {
  const char *sig = op_info[op].sig;
  bool is_binary = sig[1] != '>';
  char result = strchr(sig, '>')[1];
  say(text, "(func (export \"%d%d%d\") (param %s %s) (result %s) (local %s)\n", way_a, way_b, use,
      type_name(sig[0]), type_name(is_binary ? sig[1] : sig[0]), type_name(result),
      type_name(result));
  if (use == TO_BRANCH) say(text, "(block $b (br_if $b ");
  if (use == TO_NEGATED_BRANCH) say(text, "(if (result i32) (i32.eqz ");
  if (use == TO_LOCAL) say(text, "(local.set 2 ");
  say(text, "(%s ", op_info[op].text);
  say_operand(text, sig[0], way_a, 0, a);
  if (is_binary) say_operand(text, sig[1], way_b, 1, b);
  say(text, ")");
  if (use == TO_BRANCH) say(text, ") (return (i32.const 0))) (i32.const 1)");
  if (use == TO_NEGATED_BRANCH) say(text, ") (then (i32.const 0)) (else (i32.const 1)))");
  if (use == TO_LOCAL) say(text, ") (local.get 2)");
  say(text, ")\n");
}

static bool same_result(char letter, const rille_Value *got, const Cell *wanted) {
  switch (letter) {
    case 'i': return (uint32_t)got->i32 == wanted->i32;
    case 'l': return (uint64_t)got->i64 == wanted->i64;
    case 'f':
      return got->f32 != got->f32 ? wanted->f32 != wanted->f32
                                  : memcmp(&got->f32, &wanted->f32, 4) == 0;
    default:
      return got->f64 != got->f64 ? wanted->f64 != wanted->f64
                                  : memcmp(&got->f64, &wanted->f64, 8) == 0;
  }
}

static rille_Value value_of(char letter, Cell cell) {
  rille_Value value = {.type = (rille_ValueType)(strchr("ilfd", letter) - "ilfd" + RILLE_I32)};
  memcpy(&value.i64, &cell.i64, 8);
  return value;
}

static bool is_comparison(Op op) {
  return (op >= OP_I32_EQZ && op <= OP_F64_GE);
}

static void check_instruction(World *world, Op op, size_t i, size_t j) {
  const char *sig = op_info[op].sig;
  bool is_binary = sig[1] != '>';
  char result = strchr(sig, '>')[1];
  Cell args[2] = {sample(sig[0], i), sample(is_binary ? sig[1] : sig[0], j)};
  Text text = {0};
  say(&text, "(module\n");
  int ways_b = is_binary ? WAYS : 1, uses = is_comparison(op) ? USES : TO_BRANCH;
  for (int a = 0; a < WAYS; a++)
    for (int b = 0; b < ways_b; b++)
      for (int use = 0; use < uses; use++) say_function(&text, op, a, b, use, args[0], args[1]);
  say(&text, ")");
  rille_Instance *instance = instantiate(world, text.at, text.size, NULL, NULL, false);

  Cell wanted;
  Trap trap;
  bool has_result = pure_eval(op, args, NULL, &wanted, &trap);
  rille_Value in[2] = {value_of(sig[0], args[0]), value_of(is_binary ? sig[1] : sig[0], args[1])};
  for (size_t k = 0; k < rille_module_exports(rille_instance_module(instance)); k++) {
    rille_ExportInfo info;
    rille_module_export(rille_instance_module(instance), k, &info);
    rille_Extern item;
    assert_true(rille_instance_export(instance, k, &item));
    rille_Value out;
    rille_Error *error = NULL;
    bool ok = rille_call(item.func, in, 2, &out, 1, &error);
    if (ok != has_result || (ok && !same_result(result, &out, &wanted)))
      fail_msg("%s variant %.*s samples %zu %zu", op_info[op].text, (int)info.name_size, info.name,
               i, j);
    if (!ok) assert_string_equal(rille_error_code(error), trap_text(trap));
    rille_free_error(error);
  }
  rille_free_instance(instance);
  free(text.at);
}

static void test_variants(void **state) {
  for (Op op = 0; op < OP_COUNT; op++) {
    if (!(op_info[op].flags & OPF_PURE)) continue;
    bool is_binary = op_info[op].sig[1] != '>';
    for (size_t i = 0; i < COUNT_OF(samples_i); i++) {
      check_instruction(*state, op, i, i);
      if (is_binary) check_instruction(*state, op, i, (i * 5 + 1) % COUNT_OF(samples_i));
      if (is_binary) check_instruction(*state, op, i, (i * 7 + 3) % COUNT_OF(samples_i));
    }
  }
}

/* Values on the operand stack while locals change under them */
static void test_locals(void **state) {
  rille_Instance *instance = instance_of(
      *state,
      "(module"
      "(func (export \"swap\") (param i32) (result i32) (local i32)"
      "  (local.set 1 (i32.const 7)) (local.get 0) (local.get 1) (local.set 0) (local.set 1)"
      "  (i32.sub (i32.mul (local.get 0) (i32.const 100)) (local.get 1)))"
      "(func (export \"old\") (param i32) (result i32)"
      "  (local.get 0) (local.get 0) (local.set 0 (i32.const 5)) (local.get 0) i32.mul i32.add)"
      "(func (export \"tee\") (param i32) (result i32) (local i32)"
      "  (i32.add (local.tee 1 (i32.add (local.get 0) (i32.const 1)))"
      "           (i32.mul (local.get 1) (local.tee 1 (i32.const 3)))) (i32.add (local.get 1)))"
      "(func (export \"branch\") (param i32) (result i32)"
      "  (local.get 0) (block (br_if 0 (local.get 0)) (local.set 0 (i32.const 9)))"
      "  (i32.add (local.get 0)))"
      "(func (export \"result\") (param i32) (result i32)"
      "  (block (result i32) (i32.const 11) (br_if 0 (local.get 0)) drop (i32.const 22)))"
      "(func (export \"deep\") (param i32) (result i32)"
      "  (i32.add (i32.const 1000) (block (result i32) (i32.const 1) (i32.const 2)"
      "    (br_if 0 (local.get 0)) (drop) )))"
      "(func (export \"again\") (param i32) (result i32) (local i32 i32)"
      "  (local.set 1 (local.get 0)) (local.set 2 (local.get 1))"
      "  (local.set 1 (i32.add (local.get 1) (i32.const 1)))"
      "  (i32.sub (local.get 2) (local.get 1)))"
      "(func (export \"select\") (param i32) (result i32)"
      "  (select (i32.const 3) (i32.mul (local.get 0) (i32.const 2)) (local.get 0)))"
      "(func (export \"loop\") (param i32) (result i32) (local i32)"
      "  (i32.const 0) (loop (param i32) (result i32) (i32.add (local.get 0))"
      "    (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0))))"
      ")");
  expect_i32(instance, "swap", 3, 697);
  expect_i32(instance, "old", 3, 18);
  expect_i32(instance, "tee", 4, 5 + 5 * 3 + 3);
  expect_i32(instance, "branch", 0, 9);
  expect_i32(instance, "branch", 4, 8);
  expect_i32(instance, "result", 0, 22);
  expect_i32(instance, "result", 1, 11);
  expect_i32(instance, "deep", 0, 1001);
  expect_i32(instance, "deep", 1, 1002);
  expect_i32(instance, "again", 40, -1);
  expect_i32(instance, "select", 0, 0);
  expect_i32(instance, "select", 8, 3);
  expect_i32(instance, "loop", 10, 55);
  rille_free_instance(instance);
}

/* Accesses around the end of memory, with every way to give an address */
static void test_bounds(void **state) {
  static const struct {
    const char *name;
    int32_t width;
  } loads[] = {{"i32.load8_u", 1}, {"i32.load16_s", 2}, {"i32.load", 4}};
  for (size_t i = 0; i < COUNT_OF(loads); i++) {
    Text text = {0};
    say(&text,
        "(module (memory 1)"
        "(func (export \"slot\") (param i32) (result i32) (%s offset=3 (local.get 0)))"
        "(func (export \"acc\") (param i32) (result i32)"
        "  (%s offset=3 (i32.xor (local.get 0) (i32.const 0))))"
        "(func (export \"sum\") (param i32) (result i32) (local i32)"
        "  (%s offset=3 (i32.add (local.get 0) (local.get 1))))"
        "(func (export \"known\") (param i32) (result i32)"
        "  (%s offset=3 (i32.const %d)))"
        "(func (export \"huge\") (param i32) (result i32)"
        "  (%s offset=4294967295 (i32.const -1))))",
        loads[i].name, loads[i].name, loads[i].name, loads[i].name, 65536 - 3 - loads[i].width,
        loads[i].name);
    rille_Instance *instance = instantiate(*state, text.at, text.size, NULL, NULL, false);
    int32_t last = 65536 - 3 - loads[i].width;
    const char *ways[] = {"slot", "acc", "sum"};
    for (size_t k = 0; k < COUNT_OF(ways); k++) {
      expect_i32(instance, ways[k], last, 0);
      rille_Value beyond[] = {value_i32(last + 1), value_i32(-1), value_i32(-3)};
      for (size_t j = 0; j < COUNT_OF(beyond); j++)
        expect_error(instance, ways[k], &beyond[j], 1, 1, "out of bounds memory access");
    }
    expect_i32(instance, "known", 0, 0);
    expect_error(instance, "huge", &(rille_Value){.type = RILLE_I32}, 1, 1,
                 "out of bounds memory access");
    rille_free_instance(instance);
    free(text.at);
  }
}

/* The frames of a trap name the instructions. */
static void test_places(void **state) {
  rille_Instance *instance =
      instance_of(*state, "(module (func $div (export \"div\") (param i32 i32) (result i32)"
                          "  (i32.const 1) (i32.div_s (local.get 0) (local.get 1)) (i32.add))"
                          "(func (export \"f\") (param i32) (result i32)"
                          "  (local.set 0 (i32.add (local.get 0) (i32.const 3)))"
                          "  (call $div (local.get 0) (i32.const 0))))");
  rille_Error *error = NULL;
  rille_Value in = value_i32(1), out;
  assert_false(rille_call(func_of(instance, "f"), &in, 1, &out, 1, &error));
  const rille_Frame *frames;
  assert_int_equal(rille_error_frames(error, &frames), 2);
  size_t size;
  const uint8_t *bytes = rille_module_bytes(rille_instance_module(instance), &size);
  assert_int_equal(frames[0].index, 0);
  assert_int_equal(bytes[frames[0].offset], 0x6D); /* i32.div_s */
  assert_int_equal(frames[1].index, 1);
  assert_int_equal(bytes[frames[1].offset], 0x10); /* call */
  rille_free_error(error);
  rille_free_instance(instance);
}

static rille_Status host_add(rille_Activation *activation, void *data, rille_Slot *slots) {
  (void)activation;
  (*(int *)data)++;
  slots[0] = (uint32_t)(slots[0] + slots[1]);
  return RILLE_DONE;
}

/* Tail calls within an instance, between instances and to the host: none uses stack. */
static void test_tail_calls(void **state) {
  World *world = *state;
  int calls = 0;
  rille_Error *error = NULL;
  rille_FuncType *type = rille_parse_func_type("(param i32 i32) (result i32)", &error);
  rille_Func *add = rille_new_host_func(world->engine, type, host_add, &calls, NULL);
  const char *first_text =
      "(module (import \"h\" \"add\" (func $add (param i32 i32) (result i32)))"
      "(type $t (func (param i32 i32) (result i32)))"
      "(table (export \"t\") 4 funcref) (elem (i32.const 0) $step)"
      "(func $step (export \"step\") (type $t)"
      "  (if (i32.eqz (local.get 0)) (then (return_call $add (local.get 1) (i32.const 1000))))"
      "  (return_call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1))"
      "    (i32.add (local.get 1) (i32.const 1)) (i32.const 1)))"
      "(func (export \"run\") (param i32) (result i32)"
      "  (i32.add (call $step (local.get 0) (i32.const 0)) (i32.const 7))))";
  rille_Extern imports[] = {{.kind = RILLE_EXTERN_FUNC, .func = add}};
  rille_Instance *first = instantiate(world, first_text, strlen(first_text), imports, NULL, false);
  rille_Extern table;
  assert_true(rille_find_export(first, "t", &table));
  const char *second_text =
      "(module (import \"a\" \"t\" (table 4 funcref))"
      "(type $t (func (param i32 i32) (result i32))) (elem (i32.const 1) $back)"
      "(func $back (type $t) (local i64 i64 i64)"
      "  (return_call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 0))))";
  rille_Instance *second =
      instantiate(world, second_text, strlen(second_text), &table, NULL, false);
  expect_i32(first, "run", 100000, 101007);
  assert_int_equal(calls, 1);
  rille_free_instance(first);
  rille_free_instance(second);
  rille_free_func(add);
  rille_free_func_type(type);
}

static void test_recursion(void **state) {
  rille_Instance *instance = instance_of(
      *state, "(module (func $f (export \"f\") (param i32) (result i32)"
              "  (if (result i32) (local.get 0)"
              "    (then (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))))"
              "    (else (i32.const 0))))"
              "(func $g (export \"g\") (call $g)))");
  expect_i32(instance, "f", 1000, 1000);
  expect_error(instance, "g", NULL, 0, 0, "call stack exhausted");
  expect_i32(instance, "f", 1000, 1000);
  rille_free_instance(instance);
}

static const char fuel_text[] =
    "(module (memory 1) (func (export \"spin\") (loop (br 0)))"
    "(func (export \"count\") (param i32) (result i32)"
    "  (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0))"
    "(func (export \"fill\") (param i32) (result i32)"
    "  (memory.fill (i32.const 0) (i32.const 0) (local.get 0)) (i32.const 0))"
    "(func $f (export \"rec\") (call $f)))";

/* Fuel is counted by instructions: five in each round of the loop, one behind it. */
static void test_fuel(void **state) {
  rille_Limits limits = {.fuel = 1000000, .has_fuel = true};
  rille_Instance *instance =
      instantiate(*state, fuel_text, sizeof fuel_text - 1, NULL, &limits, false);
  expect_i32(instance, "count", 100, 0);
  assert_int_equal(rille_instance_fuel(instance), 1000000 - 501);
  expect_i32(instance, "fill", 64 * 100, 0);
  assert_int_equal(rille_instance_fuel(instance), 1000000 - 501 - 5 - 100);
  expect_error(instance, "spin", NULL, 0, 0, "fuel");
  rille_add_fuel(instance, 10000);
  expect_i32(instance, "count", 100, 0);
  rille_free_instance(instance);
}

static void test_timeout(void **state) {
  rille_Limits limits = {.timeout_ns = 20000000};
  rille_Instance *instance =
      instantiate(*state, fuel_text, sizeof fuel_text - 1, NULL, &limits, false);
  expect_error(instance, "spin", NULL, 0, 0, "timeout");
  rille_free_instance(instance);
}

/* Deterministic modules: every NaN is the canonical one. */
static void test_deterministic(void **state) {
  const char *text =
      "(module (func (export \"f\") (param i64) (result i64)"
      "  (i64.reinterpret_f64 (f64.add (f64.reinterpret_i64 (local.get 0)) (f64.const 1))))"
      "(func (export \"v\") (param i64) (result i64) (i64x2.extract_lane 0 (f64x2.add"
      "  (i64x2.splat (local.get 0)) (v128.const f64x2 1 1)))))";
  rille_Instance *instance = instantiate(*state, text, strlen(text), NULL, NULL, true);
  rille_Value in = value_i64((int64_t)0xFFF8000000001234), out;
  assert_true(rille_call(func_of(instance, "f"), &in, 1, &out, 1, NULL));
  assert_true((uint64_t)out.i64 == F64_NAN_BITS);
  assert_true(rille_call(func_of(instance, "v"), &in, 1, &out, 1, NULL));
  assert_true((uint64_t)out.i64 == F64_NAN_BITS);
  rille_free_instance(instance);
}

/* Extreme bodies: many locals, a wide br_table with and without values, deep nesting, and many
 * readers of one local. */
static void test_many_locals(void **state) {
  Text text = {0};
  say(&text, "(module (func (export \"f\") (param i32) (result i32) (local");
  for (int i = 1; i < 50000; i++) say(&text, " i32");
  say(&text, ") (local.set 49999 (local.get 0)) (local.set 25000 (i32.const 1))"
             "(i32.add (i32.add (local.get 49999) (local.get 25000)) (local.get 30000))))");
  rille_Instance *instance = instantiate(*state, text.at, text.size, NULL, NULL, false);
  expect_i32(instance, "f", 41, 42);
  rille_free_instance(instance);
  free(text.at);
}

static void test_wide_table(void **state) {
  enum { STEPS = 200 };
  Text text = {0};
  say(&text, "(module (func (export \"f\") (param i32) (result i32) ");
  for (int i = 0; i < STEPS; i++) say(&text, "(local.set 0 (i32.add (local.get 0) (i32.const 1)))");
  say(&text, "(i32.const 5) (block $a (result i32) (block $b (result i32) (i32.const 1)"
             "(i32.const 2) (br_table");
  for (int i = 0; i < 100000; i++) say(&text, " %d", i % 3);
  say(&text, " 1 (local.get 0))) (i32.const 10) i32.add) i32.add))");
  rille_Instance *instance = instantiate(*state, text.at, text.size, NULL, NULL, false);
  expect_i32(instance, "f", 99999 - STEPS, 5 + 2 + 10);
  expect_i32(instance, "f", 99997 - STEPS, 5 + 2);
  expect_i32(instance, "f", 99998 - STEPS, 2);
  expect_i32(instance, "f", -1 - STEPS, 5 + 2);
  rille_free_instance(instance);
  free(text.at);
}

static void test_deep_nesting(void **state) {
  enum { DEPTH = 50000 };
  Text text = {0};
  say(&text, "(module (func (export \"f\") (param i32) (result i32) ");
  for (int i = 0; i < DEPTH; i++) say(&text, "block ");
  say(&text, "local.get 0 br_if %d ", DEPTH - 1);
  for (int i = 0; i < DEPTH; i++) say(&text, "end ");
  for (int i = 0; i < DEPTH; i++) say(&text, "local.get 0 ");
  say(&text, "i32.const 1 local.set 0 ");
  for (int i = 0; i < DEPTH; i++) say(&text, "local.get 0 i32.add ");
  for (int i = 0; i < DEPTH - 1; i++) say(&text, "i32.add ");
  say(&text, "))");
  rille_Instance *instance = instantiate(*state, text.at, text.size, NULL, NULL, false);
  expect_i32(instance, "f", 3, 3 * DEPTH + DEPTH);
  rille_free_instance(instance);
  free(text.at);
}

/* Several threads call the same functions of a module for the first time. */
static const char shared_text[] =
    "(module (func $a (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))"
    "(func (export \"f\") (param i32) (result i32) (i32.add (call $a (local.get 0))"
    "  (i32.const 1))))";
static pthread_barrier_t start;
typedef struct Job {
  rille_Engine *engine;
  rille_Module *module;
  int32_t result;
} Job;
static void *run_job(void *arg) {
  Job *job = arg;
  rille_Store *store = rille_new_store(job->engine);
  rille_Instance *instance = rille_instantiate(store, job->module, NULL, NULL, NULL);
  rille_Value in = value_i32(5), out;
  pthread_barrier_wait(&start);
  if (rille_call(func_of(instance, "f"), &in, 1, &out, 1, NULL)) job->result = out.i32;
  rille_free_instance(instance);
  rille_free_store(store);
  return NULL;
}
static void test_threads(void **state) {
  enum { THREADS = 4, ROUNDS = 20 };
  World *world = *state;
  for (int round = 0; round < ROUNDS; round++) {
    rille_Module *module = load(world, shared_text, sizeof shared_text - 1, false);
    pthread_t threads[THREADS];
    Job jobs[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
      jobs[i] = (Job){world->engine, module, 0};
      assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
      pthread_join(threads[i], NULL);
      assert_int_equal(jobs[i].result, 16);
    }
    pthread_barrier_destroy(&start);
    rille_ModuleStats stats;
    rille_module_stats(module, &stats);
    assert_int_equal(stats.prepared_funcs, 2);
    rille_free_module(module);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_variants),    TEST(test_locals),     TEST(test_bounds),
      TEST(test_places),      TEST(test_tail_calls), TEST(test_recursion),
      TEST(test_fuel),        TEST(test_timeout),    TEST(test_deterministic),
      TEST(test_many_locals), TEST(test_wide_table), TEST(test_deep_nesting),
      TEST(test_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
