/* test_print.c - modules as text: what each kind of field, instruction and name looks like, that
 * every opcode reads back to the same bytes, and that hostile modules cost no more than they
 * should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "text/parse.h"
#include "text/text.h"

static Alloc alloc;
static const LoadOptions options = {.features = ((FeatureSet)1 << FEATURE_COUNT) - 1};

/* --- helpers --- */

static void fail_with(const Error *error) {
  char message[700];
  error_text(error, message, sizeof message);
  fail_msg("%s", message);
}

/* Modules here are decoded and not validated, so that they can be short. */
static Module *decode(const uint8_t *bytes, size_t size) {
  Error error;
  Module *module = module_decode(&alloc, bytes, size, &options, &error);
  if (!module) fail_with(&error);
  return module;
}

static Module *decode_text(Arena *arena, Str text) {
  Error error;
  const uint8_t *bytes;
  size_t size;
  if (!text_parse_module(arena, text, options.features, &bytes, &size, &error)) fail_with(&error);
  return decode(bytes, size);
}

static Str print(Arena *arena, Module *module) {
  Error error;
  Str text = {0};
  if (!text_print_module(arena, module, &text, &error)) fail_with(&error);
  return text;
}

static void check_str(Str text, const char *expected) {
  char *copy = malloc(text.size + 1);
  memcpy(copy, text.at, text.size);
  copy[text.size] = '\0';
  assert_string_equal(copy, expected);
  free(copy);
}

/* The text printed of what `source` stands for. */
static void check(const char *source, const char *expected) {
  Arena arena;
  arena_init(&arena, &alloc);
  Module *module = decode_text(&arena, str_of(source));
  check_str(print(&arena, module), expected);
  module_release(module);
  arena_clear(&arena);
}

static void check_same(const char *text) {
  check(text, text);
}

static size_t used_before;

static int note_used(void **state) {
  (void)state;
  used_before = alloc.used;
  return 0;
}

static int check_no_leak(void **state) {
  (void)state;
  return alloc.used == used_before ? 0 : -1;
}

/* --- fields --- */

static void test_empty(void **state) {
  (void)state;
  check_same("(module)\n");
  check_same("(module $m)\n");
  check_same("(module $\"a b\")\n");
}

static void test_types(void **state) {
  (void)state;
  check_same(
      "(module\n"
      "  (type (;0;) (func (param i32 i64 f32 f64 v128 funcref externref) (result anyref eqref)))\n"
      "  (type (;1;) (func (param i32 i64 f32 f64 v128 funcref externref) (result anyref eqref)))\n"
      "  (rec\n"
      "    (type (;2;) (sub (struct (field i8 (mut i16) (ref null $b)))))\n"
      "    (type $b (;3;) (sub final 2 (struct (field i8) (field $x (mut i16)) (field (ref "
      "$b))))))\n"
      "  (rec\n"
      "    (type (;4;) (array (mut i8))))\n"
      "  (type (;5;) (sub (array nullexternref)))\n"
      "  (type (;6;) (sub final (func (param (ref func) (ref null $b) exnref nullref))))\n"
      "  (type (;7;) (cont 6)))\n");
}

static void test_imports(void **state) {
  (void)state;
  check_same(
      "(module\n"
      "  (type $t (;0;) (func (param i32 i32) (result i32)))\n"
      "  (type (;1;) (func (param i32)))\n"
      "  (import \"m\" \"f\" (func $f (;0;) (type $t) (param i32) (param $y i32) (result i32)))\n"
      "  (import \"m\" \"\" (global (;0;) (mut i32)))\n"
      "  (import \"\\\"\\\\\\n\\7f\" \"\xC3\xA9\" (global $g (;1;) externref))\n"
      "  (import \"m\" \"x\" (table (;0;) i64 1 18446744073709551614 (ref null $t)))\n"
      "  (import \"m\" \"x\" (memory (;0;) 1))\n"
      "  (import \"m\" \"x\" (memory (;1;) i64 1 2 shared))\n"
      "  (import \"m\" \"x\" (memory (;2;) 7 (pagesize 1)))\n"
      "  (import \"m\" \"x\" (tag $e (;0;) (type 1) (param i32)))\n"
      "  (import \"m\" \"f\" (func (;1;) (type 1) (param i32)))\n"
      "  (export \"a\" (func $f))\n"
      "  (export \"\\e2\\80\\ae\" (memory 1))\n"
      "  (export \"c\" (tag $e))\n"
      "  (start 1))\n");
}

static void test_definitions(void **state) {
  (void)state;
  check_same("(module\n"
             "  (type (;0;) (func))\n"
             "  (table (;0;) 1 2 funcref)\n"
             "  (table $t (;1;) 1 (ref 0) (ref.func 0))\n"
             "  (memory $m (;0;) 0 65536)\n"
             "  (tag (;0;) (type 0))\n"
             "  (global (;0;) i32 (i32.const 1))\n"
             "  (global (;1;) (mut i64) i64.const 1 i64.const 2 i64.add)\n"
             "  (func (;0;) (type 0)))\n");
}

static void test_segments(void **state) {
  (void)state;
  check_same("(module\n"
             "  (type (;0;) (func))\n"
             "  (elem (;0;) (i32.const 1) func 0 $f)\n"
             "  (elem (;1;) func)\n"
             "  (elem (;2;) (table 0) (i32.const 0) func 0)\n"
             "  (elem (;3;) declare func $f)\n"
             "  (elem (;4;) (i32.const 0) funcref (ref.func 0) (item i32.const 0 table.get 1))\n"
             "  (elem (;5;) anyref (ref.null any))\n"
             "  (elem (;6;) (table 0) (offset i32.const 1 i32.const 2 i32.sub) funcref)\n"
             "  (elem $e (;7;) declare (ref null 0))\n"
             "  (func (;0;) (type 0))\n"
             "  (func $f (;1;) (type 0))\n"
             "  (data (;0;) (i32.const 0) \"a\\00\\ff\\\"\")\n"
             "  (data (;1;) \"\")\n"
             "  (data $d (;2;) (memory 0) (global.get 0) \"x\")\n"
             "  (data (;3;) (memory 1) (i64.const 9) \"\\t\"))\n");
}

static void test_long_data(void **state) {
  (void)state;
  char source[400], expected[500], line[129];
  memset(line, 'x', 128);
  line[128] = '\0';
  snprintf(source, sizeof source, "(module (data \"%s%sy\"))", line, line);
  snprintf(expected, sizeof expected,
           "(module\n  (data (;0;)\n    \"%s\"\n    \"%s\"\n    \"y\"))\n", line, line);
  check(source, expected);
}

/* --- code --- */

/* Wraps instructions in a function without parameters. */
#define CODE(lines) "(module\n  (type (;0;) (func))\n  (func (;0;) (type 0)" lines "))\n"
#define LINE(text)  "\n    " text

static void test_blocks(void **state) {
  (void)state;
  check_same(CODE(LINE("block $a") LINE("  loop (result i32) (;@2;)") LINE("    br $a")
                      LINE("    br_if 0 (;@2;)") LINE("    br 2 (;@0;)") LINE("    br 9")
                          LINE("    br_table $a 0 (;@2;)") LINE("  end") LINE("end")
                              LINE("i32.const 1") LINE("if (type 0) (;@1;)") LINE("  nop")
                                  LINE("else") LINE("  unreachable") LINE("end")));
}

static void test_shadowed_labels(void **state) {
  (void)state;
  check_same(CODE(LINE("block $a") LINE("  block $a") LINE("    br $a") LINE("    br 1 (;@1;)")
                      LINE("  end") LINE("  br $a") LINE("end") LINE("br 0 (;@0;)")));
}

static void test_exceptions(void **state) {
  (void)state;
  check_same(CODE(LINE("try $t") LINE("  try (;@2;)") LINE("    throw 0") LINE("  delegate $t")
                      LINE("catch 0") LINE("  rethrow $t") LINE("catch_all") LINE("  nop")
                          LINE("end") LINE("block $h") LINE("  try_table $i (catch 0 $h) "
                                                            "(catch_ref 1 1 (;@0;)) (catch_all $h) "
                                                            "(catch_all_ref $h)") LINE("    br $i")
                              LINE("    throw_ref") LINE("  end") LINE("end")));
}

static void test_numbers(void **state) {
  (void)state;
  check_same(CODE(LINE("i32.const -2147483648") LINE("i64.const -9223372036854775808") LINE(
      "i64.const 9223372036854775807") LINE("f32.const 0.1") LINE("f32.const nan:0x1")
                      LINE("f64.const -nan") LINE("f64.const -nan:0x8000000000001")
                          LINE("f64.const 5e-324") LINE("f64.const -inf") LINE("f64.const -0")));
  check_same(CODE(LINE("v128.const i32x4 0x00000000 0xffffffff 0x00000001 0x80000000")));
}

static void test_memory_arguments(void **state) {
  (void)state;
  check_same(CODE(LINE("i32.load") LINE("i32.load offset=4294967295") LINE("i64.load align=1")
                      LINE("i64.load 3 offset=1 align=4") LINE("v128.load8_lane 0")
                          LINE("v128.load64_lane 2 offset=3 1") LINE("v128.store16_lane align=1 7")
                              LINE("i32.atomic.rmw8.add_u") LINE("memory.atomic.wait64 1")));
}

static void test_defaults(void **state) {
  (void)state;
  check_same(CODE(
      LINE("memory.size") LINE("memory.size 1") LINE("memory.copy") LINE("memory.copy 0 1")
          LINE("memory.init 2") LINE("memory.init 1 2") LINE("table.copy") LINE("table.copy 1 0")
              LINE("table.init 0") LINE("table.init 1 0") LINE("table.get 0")
                  LINE("call_indirect (type 0)") LINE("return_call_indirect 3 (type 0)")));
}

static void test_references(void **state) {
  (void)state;
  check_same(CODE(LINE("select") LINE("select (result i32)") LINE("ref.null func") LINE(
      "ref.null 0") LINE("ref.test (ref i31)") LINE("ref.test i31ref") LINE("ref.cast (ref 0)")
                      LINE("ref.cast (ref null 0)") LINE("br_on_cast 0 (;@0;) anyref (ref 0)")
                          LINE("br_on_cast_fail 0 (;@0;) (ref any) structref")));
}

static void test_hints(void **state) {
  (void)state;
  check_same(CODE(LINE("(@metadata.code.branch_hint \"\\01\")") LINE("if (;@1;)") LINE(
      "  (@metadata.code.branch_hint \"\\00\")") LINE("  br_if 0 (;@1;)") LINE("end")));
}

static void test_locals(void **state) {
  (void)state;
  check_same("(module\n"
             "  (type (;0;) (func (param i32 i32 f32)))\n"
             "  (func $f (;0;) (type 0) (param i32) (param $a i32) (param f32)\n"
             "    (local i64) (local $\"b c\" i32) (local f32 f32)\n"
             "    local.get 0\n"
             "    local.tee $a\n"
             "    local.set $\"b c\"\n"
             "    local.get 6\n"
             "    local.get 77\n"
             "    call $f))\n");
}

/* --- names --- */

static void test_equal_names(void **state) {
  (void)state;
  check_same(
      "(module\n"
      "  (type $t (;0;) (func (param i32)))\n"
      "  (type $t#1 (@name \"t\") (;1;) (struct (field $x i32) (field $x#1 (@name \"x\") i32)))\n"
      "  (func $f (;0;) (type $t) (param $x i32)\n"
      "    (local $x#1_ (@name \"x\") i32) (local $x#1 i32)\n"
      "    local.get $x#1_\n"
      "    struct.get $t#1 $x#1)\n"
      "  (func $f#1 (@name \"f\") (;1;) (type $t) (param i32)\n"
      "    call $f#1)\n"
      "  (func $\"f g\" (;2;) (type $t) (param i32))\n"
      "  (func $\"f g#3\" (@name \"f g\") (;3;) (type $t) (param i32)))\n");
}

#define NO_NAMES "(module\n  (type (;0;) (func))\n  (func (;0;) (type 0)))\n"

static void test_damaged_names(void **state) {
  (void)state;
  check("(module (func) (@custom \"name\" \"\"))", NO_NAMES);
  check("(module (func) (@custom \"name\" \"\\01\\ff\\ff\\ff\\ff\"))", NO_NAMES);
  check("(module (func) (@custom \"name\" \"\\01\\04\\01\\00\\01\\ff\"))", NO_NAMES);
  check("(module (func) (@custom \"name\" \"\\01\\03\\01\\00\\00\"))", NO_NAMES);
  check("(module (func) (@custom \"name\" \"\\01\\04\\01\\05\\01a\"))", NO_NAMES);
  check("(module (func) (@custom \"name\" \"\\01\\04\\01\\00\\01a\"))",
        "(module\n  (type (;0;) (func))\n  (func $a (;0;) (type 0)))\n");
}

/* A name that is used often is not written often when it is long. */
static void test_long_name(void **state) {
  (void)state;
  enum { LENGTH = 20000, CALLS = 20000 };
  Arena arena;
  Buf source;
  arena_init(&arena, &alloc);
  Error error;
  Guard guard;
  if (!GUARD_TRY(&guard, &arena, &error)) fail_with(&error);
  buf_init(&source, &arena);
  buf_str(&source, "(module (func $");
  for (unsigned i = 0; i < LENGTH; i++) buf_byte(&source, 'a');
  for (unsigned i = 0; i < CALLS; i++) buf_str(&source, " call 0");
  buf_str(&source, "))");
  guard_leave(&guard);
  Module *module = decode_text(&arena, (Str){(const char *)source.at, source.size});
  Str text = print(&arena, module);
  assert_true(text.size < LENGTH + CALLS * 20);
  Module *again = decode_text(&arena, text);
  assert_int_equal(again->size, module->size);
  assert_memory_equal(again->bytes, module->bytes, module->size);
  module_release(again);
  module_release(module);
  arena_clear(&arena);
}

/* --- custom sections --- */

static void test_customs(void **state) {
  (void)state;
  check_same("(module $m\n"
             "  (type (;0;) (func))\n"
             "  (func (;0;) (type 0))\n"
             "  (data (;0;) \"\")\n"
             "  (@custom \"a\" (before first) \"1\")\n"
             "  (@custom \"b\" (before first) \"\")\n"
             "  (@custom \"c\" (after type) \"2\")\n"
             "  (@custom \"c\" (after code) \"3\")\n"
             "  (@custom \"d\" (after data) \"4\")\n"
             "  (@custom \"e\" (after last) \"5\"))\n");
  check_same("(module\n  (@custom \"\" (before first) \"\"))\n");
}

#define HINTS(bytes) "(@custom \"metadata.code.branch_hint\" " bytes ")"

static void test_damaged_hints(void **state) {
  (void)state;
  static const char body[] = "i32.const 0 if end";
  static const char printed[] = CODE(LINE("i32.const 0") LINE("if (;@1;)") LINE("end"));
  char source[500];
  /* Hints for what is no branch are dropped; a section that cannot be read stays as it is. */
  static const char *const dropped[] = {"\"\\01\\00\\01\\01\\01\\00\"",
                                        "\"\\01\\07\\01\\01\\01\\00\"", "\"\\00\"",
                                        "\"\\01\\00\\00\""};
  for (size_t i = 0; i < COUNT_OF(dropped); i++) {
    snprintf(source, sizeof source, "(module (func %s) " HINTS("(before code) %s") ")", body,
             dropped[i]);
    check(source, printed);
  }
  static const char *const kept[] = {"\"\"", "\"\\01\\00\\01\\01\\02\\00\"",
                                     "\"\\01\\00\\01\\01\\01\\02\"", "\"\\00\\00\"",
                                     "\"\\ff\\ff\\ff\\ff\\0f\""};
  for (size_t i = 0; i < COUNT_OF(kept); i++) {
    snprintf(source, sizeof source,
             "(module\n  (type (;0;) (func))\n  (func (;0;) (type 0))\n  " HINTS(
                 "(after code) %s") ")\n",
             kept[i]);
    check_same(source);
  }
}

/* --- every opcode --- */

static void put_imm(Buf *out, ImmKind imm) {
  switch (imm) {
    case IMM_NONE: break;
    case IMM_FENCE: buf_byte(out, 0); break;
    case IMM_BLOCK: buf_byte(out, 0x40); break;
    case IMM_TRY_TABLE: buf_bytes(out, "\x40\x02\x00\x01\x01\x03\x00", 7); break;
    case IMM_LABEL:
    case IMM_FUNC:
    case IMM_TYPE:
    case IMM_LOCAL:
    case IMM_GLOBAL:
    case IMM_TABLE:
    case IMM_ELEM:
    case IMM_DATA:
    case IMM_MEMORY:
    case IMM_TAG: buf_byte(out, 1); break;
    case IMM_CALL_TABLE: buf_bytes(out, "\x00\x02", 2); break;
    case IMM_TABLE2:
    case IMM_ELEM_TABLE:
    case IMM_DATA_MEMORY:
    case IMM_MEMORY2:
    case IMM_TYPE_FIELD:
    case IMM_TYPE_COUNT:
    case IMM_TYPE_DATA:
    case IMM_TYPE_ELEM:
    case IMM_TYPE2: buf_bytes(out, "\x01\x02", 2); break;
    case IMM_LABELS: buf_bytes(out, "\x02\x01\x02\x03", 4); break;
    case IMM_MEMARG: buf_bytes(out, "\x42\x01\x7F", 3); break;
    case IMM_MEMARG_LANE: buf_bytes(out, "\x42\x01\x7F\x05", 4); break;
    case IMM_LANE: buf_byte(out, 5); break;
    case IMM_SHUFFLE:
    case IMM_V128: buf_bytes(out, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20", 16); break;
    case IMM_I32:
    case IMM_I64: buf_bytes(out, "\xFF\x7E", 2); break;
    case IMM_F32: buf_bytes(out, "\1\2\3\4", 4); break;
    case IMM_F64: buf_bytes(out, "\1\2\3\4\5\6\7\10", 8); break;
    case IMM_HEAP:
    case IMM_REF_NULL: buf_byte(out, 0x6B); break;
    case IMM_SELECT: buf_bytes(out, "\x01\x7E", 2); break;
    case IMM_BR_CAST: buf_bytes(out, "\x02\x01\x6E\x00", 4); break;
  }
}

static bool is_part_of_block(Op op) {
  return op == OP_ELSE || op == OP_END || op == OP_CATCH || op == OP_CATCH_ALL || op == OP_DELEGATE;
}

/* A body with every instruction in it; the others are parts of a block that is opened for them. */
static void put_all_ops(Buf *out) {
  for (unsigned i = 0; i < OP_COUNT; i++) {
    Op op = (Op)i;
    if (is_part_of_block(op)) continue;
    parse_put_op(out, op);
    put_imm(out, (ImmKind)op_info[op].imm);
    if (op == OP_IF) parse_put_op(out, OP_ELSE);
    if (op_info[op].imm == IMM_BLOCK || op_info[op].imm == IMM_TRY_TABLE) parse_put_op(out, OP_END);
  }
  buf_bytes(out, "\x06\x40\x07\x01\x19\x0B\x06\x40\x18\x00", 10);
}

static void put_module_with(Buf *out, const Buf *code) {
  static const uint8_t head[] = "\0asm\1\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0A";
  Buf body = *out;
  buf_init(&body, out->arena);
  buf_u32(&body, 1);
  buf_u32(&body, (uint32_t)code->size + 2);
  buf_byte(&body, 0);
  buf_bytes(&body, code->at, code->size);
  buf_byte(&body, 0x0B);
  buf_bytes(out, head, sizeof head - 1);
  buf_u32(out, (uint32_t)body.size);
  buf_bytes(out, body.at, body.size);
}

static void check_code_again(Arena *arena, const Buf *code) {
  Buf bytes;
  buf_init(&bytes, arena);
  put_module_with(&bytes, code);
  Module *first = decode(bytes.at, bytes.size);
  Module *second = decode_text(arena, print(arena, first));
  assert_int_equal(first->code_size, second->code_size);
  assert_memory_equal(first->bytes + first->code_at, second->bytes + second->code_at,
                      first->code_size);
  module_release(second);
  module_release(first);
}

static void test_every_opcode(void **state) {
  (void)state;
  Arena arena;
  Buf code;
  Guard guard;
  Error error;
  arena_init(&arena, &alloc);
  if (!GUARD_TRY(&guard, &arena, &error)) fail_with(&error);
  buf_init(&code, &arena);
  put_all_ops(&code);
  check_code_again(&arena, &code);
  guard_leave(&guard);
  arena_clear(&arena);
}

/* The text stays linear in the depth, and so does the time. */
static void test_deep_nesting(void **state) {
  (void)state;
  enum { DEPTH = 200000 };
  Arena arena;
  Buf code;
  Guard guard;
  Error error;
  arena_init(&arena, &alloc);
  if (!GUARD_TRY(&guard, &arena, &error)) fail_with(&error);
  buf_init(&code, &arena);
  for (unsigned i = 0; i < DEPTH; i++) buf_bytes(&code, "\x02\x40", 2);
  for (unsigned i = 0; i < DEPTH; i++) buf_byte(&code, 0x0B);
  check_code_again(&arena, &code);
  guard_leave(&guard);
  arena_clear(&arena);
}

/* --- one function, and failure --- */

static void test_one_function(void **state) {
  (void)state;
  Arena arena;
  Error error;
  Str text;
  arena_init(&arena, &alloc);
  Module *module = decode_text(
      &arena,
      STR_LITERAL("(module (import \"m\" \"f\" (func $i (param i32))) (func $g) "
                  "(func $f call $i call $g (@metadata.code.branch_hint \"\\01\") br_if 0))"));
  assert_true(text_print_func(&arena, module, 2, &text, &error));
  check_str(text, "(func $f (;2;) (type 1)\n"
                  "    call $i\n"
                  "    call $g\n"
                  "    (@metadata.code.branch_hint \"\\01\")\n"
                  "    br_if 0 (;@0;))");
  assert_true(text_print_func(&arena, module, 0, &text, &error));
  check_str(text, "(import \"m\" \"f\" (func $i (;0;) (type 0) (param i32)))");
  assert_false(text_print_func(&arena, module, 3, &text, &error));
  assert_int_equal(error.kind, ERROR_MISUSE);
  module_release(module);
  arena_clear(&arena);
}

static void check_broken(const char *code, size_t size, const char *message) {
  Arena arena;
  Buf body, bytes;
  Guard guard;
  Error error;
  Str text;
  arena_init(&arena, &alloc);
  if (!GUARD_TRY(&guard, &arena, &error)) fail_with(&error);
  buf_init(&body, &arena);
  buf_init(&bytes, &arena);
  buf_bytes(&body, code, size);
  put_module_with(&bytes, &body);
  Module *module = decode(bytes.at, bytes.size);
  guard_leave(&guard);
  assert_false(text_print_module(&arena, module, &text, &error));
  assert_int_equal(error.kind, ERROR_MALFORMED);
  assert_int_equal(error.func, 0);
  assert_string_equal(error.message, message);
  module_release(module);
  arena_clear(&arena);
}

static void test_broken_code(void **state) {
  (void)state;
  check_broken("\xFF", 1, "illegal opcode ff");
  check_broken("\x0B", 1, "unexpected content after the end of the function");
  check_broken("\x02\x40", 2, "unexpected end of section or function");
}

/* Every allocation fails once; nothing is lost and nothing else goes wrong. */
static void test_no_memory(void **state) {
  (void)state;
  static const char source[] =
      "(module $m (type $t (struct (field $a i32))) (import \"m\" \"f\" (func $f (param $x i32)))"
      "(func $\"f 2\" (local $y i64) block $l (@metadata.code.branch_hint \"\\00\") br_if $l end"
      " struct.get $t $a) (data \"x\") (@custom \"c\" \"x\"))";
  Arena arena;
  arena_init(&arena, &alloc);
  Module *module = decode_text(&arena, str_of(source));
  bool is_done = false;
  for (int64_t n = 0; !is_done; n++) {
    assert_true(n < 1000);
    Arena output;
    Error error;
    Str text;
    arena_init(&output, &alloc);
    atomic_store(&alloc.fail_after, n);
    is_done = text_print_module(&output, module, &text, &error);
    atomic_store(&alloc.fail_after, -1);
    if (!is_done) assert_int_equal(error.kind, ERROR_MEMORY);
    arena_clear(&output);
  }
  module_release(module);
  arena_clear(&arena);
}

int main(void) {
  alloc_init(&alloc, NULL, NULL);
#define TEST(name) cmocka_unit_test_setup_teardown(name, note_used, check_no_leak)
  const struct CMUnitTest tests[] = {
      TEST(test_empty),
      TEST(test_types),
      TEST(test_imports),
      TEST(test_definitions),
      TEST(test_segments),
      TEST(test_long_data),
      TEST(test_blocks),
      TEST(test_shadowed_labels),
      TEST(test_exceptions),
      TEST(test_numbers),
      TEST(test_memory_arguments),
      TEST(test_defaults),
      TEST(test_references),
      TEST(test_hints),
      TEST(test_locals),
      TEST(test_equal_names),
      TEST(test_damaged_names),
      TEST(test_long_name),
      TEST(test_customs),
      TEST(test_damaged_hints),
      TEST(test_every_opcode),
      TEST(test_deep_nesting),
      TEST(test_one_function),
      TEST(test_broken_code),
      TEST(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
