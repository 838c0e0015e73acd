/* test_parse.c - text to module bytes: encodings of every kind of field and instruction form, names
 * and custom sections, errors with their places; and the reader of test scripts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "text/text.h"
#include "text/wast.h"

#define ALL_FEATURES (~(FeatureSet)0)

static Alloc alloc;

/* --- helpers --- */

static uint32_t read_leb(const uint8_t *bytes, size_t *at) {
  uint32_t x = 0;
  for (unsigned shift = 0;; shift += 7) {
    uint8_t byte = bytes[(*at)++];
    x |= (uint32_t)(byte & 0x7F) << shift;
    if (byte < 0x80) return x;
  }
}

/* The contents of the n-th section with this id, as hexadecimal text; "none" when there is none. */
static void section_hex(const uint8_t *bytes, size_t size, uint8_t id, unsigned n, char *out) {
  size_t at = 8;
  strcpy(out, "none");
  while (at < size) {
    uint8_t found = bytes[at++];
    uint32_t length = read_leb(bytes, &at);
    if (found == id && n-- == 0) {
      *out = '\0';
      for (uint32_t i = 0; i < length; i++) sprintf(out + 2 * i, "%02x", bytes[at + i]);
      return;
    }
    at += length;
  }
}

static void check_nth(const char *text, uint8_t id, unsigned n, const char *expected) {
  static char hex[8192];
  char message[600] = "";
  Arena arena;
  Error error;
  const uint8_t *bytes;
  size_t size;
  arena_init(&arena, &alloc);
  bool is_parsed = text_parse_module(&arena, str_of(text), ALL_FEATURES, &bytes, &size, &error);
  if (!is_parsed) error_text(&error, message, sizeof message);
  assert_string_equal(message, "");
  assert_true(text_is_binary(bytes, size));
  section_hex(bytes, size, id, n, hex);
  assert_string_equal(hex, expected);
  arena_clear(&arena);
  assert_int_equal(alloc.used, 0);
}

static void check(const char *text, uint8_t id, const char *expected) {
  check_nth(text, id, 0, expected);
}

/* The instructions of one function without parameters, without locals and the last end. */
static void check_code(const char *code, const char *expected) {
  static char text[4096], section[4096];
  size_t size = strlen(expected) / 2 + 2;
  snprintf(text, sizeof text, "(module (func %s))", code);
  snprintf(section, sizeof section, "01%02zx00%s0b", size, expected);
  check(text, SECTION_CODE, section);
}

static void check_error(const char *text, const char *expected) {
  char message[600];
  Arena arena;
  Error error;
  const uint8_t *bytes;
  size_t size;
  arena_init(&arena, &alloc);
  assert_false(text_parse_module(&arena, str_of(text), ALL_FEATURES, &bytes, &size, &error));
  error_text(&error, message, sizeof message);
  assert_string_equal(message, expected);
  arena_clear(&arena);
  assert_int_equal(alloc.used, 0);
}

/* --- types --- */

static void test_types(void **state) {
  (void)state;
  check("(type (func (param i32 f64) (result v128)))", SECTION_TYPE, "0160027f7c017b");
  check("(type $s (struct (field $a i8) (field (mut i64) anyref))) (type (array (mut (ref $s))))",
        SECTION_TYPE,
        "025f037800"
        "7e01"
        "6e005e640001");
  check("(rec (type $a (sub (struct (field (ref null $b))))) (type $b (sub final $a (struct))))",
        SECTION_TYPE, "014e0250005f016301004f01005f00");
  check("(type $f (func)) (type (cont $f))", SECTION_TYPE, "026000005d00");
  check("(type (func (param (ref func) (ref null none) exnref nullref)))", SECTION_TYPE,
        "01600464707169"
        "7100");
}

static void test_inline_types(void **state) {
  (void)state;
  check("(func (param i32)) (type $t (func (param i32))) (func (result i64) (i64.const 0)) (func)",
        SECTION_FUNCTION, "03000102");
  check("(func (param i32)) (rec (type (func (param i32))))", SECTION_FUNCTION, "0100");
  check("(func (param i32)) (rec (type (func (param i32))) (type (func)))", SECTION_FUNCTION,
        "0102");
  check("(func (param i32)) (type (sub (func (param i32))))", SECTION_FUNCTION, "0101");
  check("(type $t (func (param i32))) (func (type $t) (local $x f32) (local.get $x) (drop))",
        SECTION_CODE, "010701017d20011a0b");
  check_error("(type $t (func)) (func (type $t) (param i32))", "1:24: inline function type");
  check_error("(func (type 7) (param i32))", "1:7: unknown type 7");
  check("(func (type 7))", SECTION_FUNCTION, "0107");
}

/* --- fields --- */

static void test_imports_and_exports(void **state) {
  (void)state;
  check("(import \"a\" \"b\" (func $f (param i32))) (func $g (import \"c\" \"d\"))", SECTION_IMPORT,
        "02016101620000"
        "016301640001");
  check("(memory (import \"a\" \"b\") i64 1 2 shared)", SECTION_IMPORT,
        "01016101620207"
        "0102");
  check("(table $t (export \"x\") (export \"y\") 1 funcref) (export \"z\" (table $t))",
        SECTION_EXPORT, "030178010001790100017a0100");
  check("(tag $e (export \"e\") (param i32))", SECTION_EXPORT, "0101650400");
  check("(import \"m\" (item \"a\" (func)) (item \"b\" (global i32)))", SECTION_IMPORT,
        "01016d007f02016100000162037f00");
  check("(import \"m\" (item \"a\") (item \"b\") (global i32))", SECTION_IMPORT,
        "01016d007e037f000201610162");
  check_error("(func) (import \"a\" \"b\" (func))", "1:9: import after function");
  check_error("(memory 1)\n(table (import \"a\" \"b\") 1 funcref)", "2:2: import after memory");
}

static void test_tables_and_elements(void **state) {
  (void)state;
  check("(table i64 1 2 (ref null func))", SECTION_TABLE, "0170050102");
  check("(table 1 funcref (ref.null func))", SECTION_TABLE, "014000700001d0700b");
  check("(table funcref (elem $f $f)) (func $f)", SECTION_TABLE, "0170010202");
  check("(table funcref (elem $f $f)) (func $f)", SECTION_ELEMENT, "010041000b020000");
  check("(type $t (func)) (table (ref null $t) (elem $f)) (func $f (type $t))", SECTION_ELEMENT,
        "01060041000b630001d2000b");
  check("(table 1 funcref) (func $f) (elem (i32.const 0) $f) (elem (offset i32.const 1) func $f)",
        SECTION_ELEMENT, "020041000b01000041010b0100");
  check("(func $f) (elem func $f) (elem declare func $f)", SECTION_ELEMENT,
        "0201000100030001"
        "00");
  check("(table 1 funcref) (table 1 funcref) (elem (table 1) (i32.const 0) func)", SECTION_ELEMENT,
        "01020141000b0000");
  check("(elem externref (item ref.null extern) (ref.null extern))", SECTION_ELEMENT,
        "01056f02d06f0bd06f0b");
}

static void test_memories_and_data(void **state) {
  (void)state;
  check("(memory 0x1_0 (pagesize 1))", SECTION_MEMORY,
        "0108"
        "1000");
  check("(memory (data \"abc\" \"\\00\"))", SECTION_MEMORY, "01010101");
  check("(memory (data))", SECTION_MEMORY, "01010000");
  check("(memory i64 (data \"a\"))", SECTION_DATA, "010042000b0161");
  check("(memory i64 (pagesize 1) (data \"abc\"))", SECTION_MEMORY, "010d030300");
  check("(memory 0) (memory $m 0) (data (memory $m) (offset (i32.const 1)) \"x\") (data \"y\")",
        SECTION_DATA, "02020141010b0178010179");
  check("(memory 0) (data $d \"\") (func (data.drop $d))", SECTION_DATA_COUNT, "01");
  check("(memory 0) (data \"\")", SECTION_DATA_COUNT, "none");
}

static void test_globals_and_start(void **state) {
  (void)state;
  check("(global (mut i32) (i32.add (i32.const 1) (i32.const 2)))", SECTION_GLOBAL,
        "017f01410141026a0b");
  check("(func) (func $s) (start $s)", SECTION_START, "01");
  check_error("(func) (start 0) (start 0)", "1:25: multiple start sections");
}

/* --- instructions --- */

static void test_plain_and_folded(void **state) {
  (void)state;
  check_code("i32.const 1 i32.eqz drop", "4101451a");
  check_code("(drop (i32.add (i32.const 1) (i32.const -2)))", "4101417e6a1a");
  check_code("(i64.store offset=8 align=1 (i32.const 0) (i64.const 1))", "41004201370008");
  check_code("i32.const 0 i32.load 1 offset=5 drop", "410028420105"
                                                     "1a");
  check_code("(f32.const nan:0x200000) (f64.const -0x1p-1) drop drop",
             "430000a07f44000000000000e0bf1a1a");
  check_code("(v128.const i16x8 1 2 3 4 5 6 7 -1) drop", "fd0c01000200030004000500060007"
                                                         "00ffff1a");
  check_code("v128.load8_lane 3", "fd54000003");
  check_code("v128.load8_lane 1 offset=2 3", "fd5440010203");
  check_code("v128.load8_lane 1 3", "fd5440010003");
  check_code("select (result i32)", "1c017f");
  check_code("select", "1b");
  check_code("ref.test (ref null 0) ref.test (ref any)", "fb1500fb146e");
  check_code("(block $l (br_on_cast $l anyref (ref i31) (unreachable)))", "024000fb1801006e6c0b");
  check_code("memory.init 1 2 memory.init 3 memory.copy memory.copy 1 2 atomic.fence",
             "fc080201fc080300fc0a0000fc0a0102fe0300");
  check_code("call_indirect 2 (type 0)", "110002");
}

static void test_blocks(void **state) {
  (void)state;
  check_code("block $a loop $b br $a br $b end $b end", "024003400c010c000b0b");
  check_code("(if (i32.const 1) (then (nop)) (else (nop)))", "410104400105010b");
  check_code("i32.const 1 if $x nop else $x nop end $x", "410104400105010b");
  check_code("(block $a (block $a (br $a) (br 1)))", "024002400c000c010b0b");
  check_code("(block $a (if $a (br_if $a (i32.const 0)) (then (br $a))))",
             "024041000d0004400c000b0b");
  check_code("(block (result i32) (i32.const 1)) drop", "027f41010b1a");
  check_code("(try_table (catch 0 0) (catch_all_ref 0) nop)", "1f4002000000030001"
                                                              "0b");
  check_code("(try (do nop) (catch 0 nop) (catch_all (rethrow 0)))", "06400107000119"
                                                                     "09000b");
  check_code("(block $l (try (do) (delegate $l)))", "0240064018000b");
  check_code("try catch 0 catch_all end", "06400700190b");
  check_code("block (param i32) (result i32) end", "02010b");
}

static void test_block_errors(void **state) {
  (void)state;
  check_error("(func block $a end $b)", "1:20: mismatching label");
  check_error("(func block end $b)", "1:17: mismatching label");
  check_error("(func br $x)", "1:10: unknown label $x");
  check_error("(func block)", "1:12: unexpected token )");
  check_error("(func end)", "1:7: unexpected token end");
  check_error("(func (else))", "1:8: unexpected token else");
  check_error("(func (if (i32.const 1)))", "1:24: unexpected token )");
  check_error("(func (i32.eqz nop))", "1:16: unexpected token nop");
  check_error("(func (try (do) (catch_all) (catch_all)))", "1:30: unexpected token catch_all");
  check_error("(func (nop) (local i32))", "1:14: unexpected token local");
}

static void test_errors(void **state) {
  (void)state;
  check_error("(func\n  (i32.const0))", "2:4: unknown operator i32.const0");
  check_error("(func i32.const 0x1_0000_0000)", "1:17: constant out of range");
  check_error("(func i32.load align=3)", "1:16: alignment must be a power of two");
  check_error("(func call $f)", "1:12: unknown function $f");
  check_error("(func $a) (func $a)", "1:17: duplicate func $a");
  check_error("(func (param $a i32) (local $a i32))", "1:29: duplicate local $a");
  check_error("(type (struct (field $a i32) (field $a i32)))", "1:37: duplicate field $a");
  check_error("(func (v128.const i32x4 1 2 3))", "1:25: wrong number of lane literals");
  check_error("(func (i8x16.shuffle 0 1))", "1:22: invalid lane length");
  check_error("(memory 1 (pagesize 3))", "1:21: invalid custom page size");
  check_error("(module (func)", "1:15: unexpected token: end of text");
  check_error("(module) x", "1:10: unknown operator x");
  check_error("(import \"\\ff\" \"b\" (func))", "1:9: malformed UTF-8 encoding");
  check_error("(bogus)", "1:2: unknown operator bogus");
}

/* n times `open`, then `middle`, then n times `close`. */
static char *nested(const char *before, const char *open, const char *middle, const char *close,
                    const char *behind, size_t n) {
  size_t size =
      strlen(before) + strlen(middle) + strlen(behind) + n * (strlen(open) + strlen(close)) + 1;
  char *text = malloc(size), *at = text;
  at = stpcpy(at, before);
  for (size_t i = 0; i < n; i++) at = stpcpy(at, open);
  at = stpcpy(at, middle);
  for (size_t i = 0; i < n; i++) at = stpcpy(at, close);
  stpcpy(at, behind);
  return text;
}

static void test_deep_nesting(void **state) {
  (void)state;
  static const char *const shapes[][3] = {
      {"(i32.eqz ", "(i32.const 0)", ")"},
      {"(block $a ", "(br $a)", ")"},
      {"block $a ", "br $a ", "end $a "},
      {"(if (i32.const 1) (then ", "", "))"},
      {"(@a ", "", ")"},
      {"(; ", "", ";)"},
  };
  for (size_t i = 0; i < COUNT_OF(shapes); i++) {
    Arena arena;
    Error error;
    const uint8_t *bytes;
    size_t size;
    char *text = nested("(func ", shapes[i][0], shapes[i][1], shapes[i][2], ")", 200000);
    arena_init(&arena, &alloc);
    assert_true(text_parse_module(&arena, str_of(text), ALL_FEATURES, &bytes, &size, &error));
    arena_clear(&arena);
    free(text);
  }
}

/* --- names and custom sections --- */

static void test_names(void **state) {
  (void)state;
  check("(func (param i32) (local i32) (block))", SECTION_CUSTOM, "none");
  check("(module $m (func $f (param $x i32) (block $l)))", SECTION_CUSTOM,
        "046e616d65" /* "name" */
        "0002016d"   /* module m */
        "01040100"
        "0166" /* func 0 f */
        "0206010001"
        "000178" /* func 0, local 0 x */
        "0306010001"
        "00016c"); /* func 0, label 0 l */
  check("(func $a (@name \"\"))", SECTION_CUSTOM, "046e616d650103010000");
  check("(type $t (struct (field $f i32)))", SECTION_CUSTOM,
        "046e616d65"
        "0404010001740a06010001000166");
  check_error("(module (@name \"a\") (@name \"b\"))", "1:9: @name annotation: multiple module");
  check_error("(func (nop) (@name \"b\"))", "1:13: misplaced @name annotation");
}

static void test_custom_sections(void **state) {
  (void)state;
  static const char text[] = "(@custom \"l\") (@custom \"a\" (after data) \"x\" \"y\") (func $f)"
                             "(@custom \"b\" (before func))";
  check_nth(text, SECTION_CUSTOM, 0, "0162");
  check_nth(text, SECTION_CUSTOM, 1, "01617879");
  check_nth(text, SECTION_CUSTOM, 2,
            "046e616d6501040100"
            "0166");
  check_nth(text, SECTION_CUSTOM, 3, "016c");
  check_error("(@custom 4)", "1:10: @custom annotation: missing section name");
  check_error("(@custom \"a\" (at type))", "1:15: @custom annotation: malformed placement");
  check_error("(func (@custom \"a\"))", "1:7: misplaced @custom annotation");
}

static void test_branch_hints(void **state) {
  (void)state;
  check("(func (@metadata.code.branch_hint \"\\01\") (if (i32.const 0) (then)))", SECTION_CUSTOM,
        "196d657461646174612e636f64652e6272616e63685f68696e74"
        "0100010301"
        "01");
  check_error("(func (@metadata.code.branch_hint \"\\01\") nop)",
              "1:7: @metadata.code.branch_hint annotation: invalid target");
  check_error("(@metadata.code.branch_hint \"\\01\") (func)",
              "1:1: @metadata.code.branch_hint annotation: not in a function");
  check_error("(global i32 (@metadata.code.branch_hint \"\\01\") br_if 0)",
              "1:13: @metadata.code.branch_hint annotation: not in a function");
}

/* --- scripts --- */

static WastCommand next(WastReader *reader, WastKind kind) {
  WastCommand command;
  assert_true(wast_next(reader, &command));
  assert_int_equal(command.kind, kind);
  return command;
}

static void check_str(Str text, const char *expected) {
  assert_int_equal(text.size, strlen(expected));
  assert_memory_equal(text.at, expected, text.size);
}

static void test_script_modules(void **state) {
  (void)state;
  WastReader reader;
  wast_init(&reader, &alloc,
            STR_LITERAL("(module $a (func))\n (module definition $b binary \"\\00as\" \"m\")\n"
                        "(module instance $c $b)(module quote \"(func\" \")\")(func) (memory 1)"));
  WastCommand command = next(&reader, WAST_MODULE);
  check_str(command.id, "a");
  check_str(command.module.source, "(module $a (func))");
  command = next(&reader, WAST_MODULE_DEFINITION);
  assert_int_equal(command.line, 2);
  assert_int_equal(command.column, 2);
  assert_int_equal(command.module.kind, WAST_BINARY);
  assert_int_equal(command.module.source.size, 4);
  command = next(&reader, WAST_MODULE_INSTANCE);
  check_str(command.id, "c");
  check_str(command.target, "b");
  command = next(&reader, WAST_MODULE);
  assert_int_equal(command.module.kind, WAST_QUOTE);
  check_str(command.module.source, "(func)");
  command = next(&reader, WAST_MODULE);
  check_str(command.module.source, "(func) (memory 1)");
  assert_false(wast_next(&reader, &command));
  wast_clear(&reader);
}

static void test_script_assertions(void **state) {
  (void)state;
  WastReader reader;
  wast_init(&reader, &alloc,
            STR_LITERAL("(assert_return (invoke $m \"f\" (i32.const -1) (ref.null func)"
                        " (ref.extern 7)) (f32.const nan:canonical) (either (i64.const 1)"
                        " (ref.func)) (v128.const f32x4 1 nan:arithmetic 0 0) (ref.null))\n"
                        "(assert_trap (get \"g\") \"t\") (assert_trap (module) \"u\")"
                        "(assert_malformed (module quote \"x\") \"bad\")(register \"r\" $m)"
                        "(thread $t (shared (module $m)) (invoke \"a\"))(wait $t)"));
  WastCommand command = next(&reader, WAST_ASSERT_RETURN);
  check_str(command.action.target, "m");
  assert_int_equal(command.action.n_args, 3);
  assert_int_equal(load_u32(command.action.args[0].bytes), UINT32_MAX);
  assert_int_equal(command.action.args[1].kind, WAST_REF_NULL);
  assert_int_equal(command.action.args[1].type, TYPE_FUNCREF);
  assert_int_equal(command.action.args[2].kind, WAST_REF_HOST);
  assert_int_equal(command.action.args[2].bytes[0], 7);
  assert_int_equal(command.n_results, 4);
  assert_int_equal(command.results[0].patterns[0], WAST_NAN_CANONICAL);
  assert_int_equal(command.results[1].n_choices, 2);
  assert_int_equal(command.results[1].choices[1].kind, WAST_REF);
  assert_int_equal(command.results[2].patterns[1], WAST_NAN_ARITHMETIC);
  assert_int_equal(load_u32(command.results[2].bytes), 0x3F800000);
  assert_false(command.results[3].has_type);
  command = next(&reader, WAST_ASSERT_TRAP);
  assert_true(command.action.is_get && !command.has_module);
  command = next(&reader, WAST_ASSERT_TRAP);
  assert_true(command.has_module);
  command = next(&reader, WAST_ASSERT_MALFORMED);
  check_str(command.text, "bad");
  check_str(next(&reader, WAST_REGISTER).text, "r");
  command = next(&reader, WAST_THREAD);
  check_str(command.shared, "m");
  check_str(command.body, "(invoke \"a\")");
  check_str(next(&reader, WAST_WAIT).id, "t");
  wast_clear(&reader);
}

static void test_bad_commands_are_skipped(void **state) {
  (void)state;
  WastReader reader;
  WastCommand command;
  wast_init(&reader, &alloc,
            STR_LITERAL("(invoke 1)\n(bogus (a))\n(invoke \"ok\")\n(invoke \"x\""));
  command = next(&reader, WAST_BAD);
  assert_int_equal(command.line, 1);
  assert_string_equal(command.error.message, "unexpected token 1");
  command = next(&reader, WAST_BAD);
  assert_int_equal(command.line, 2);
  command = next(&reader, WAST_ACTION);
  assert_int_equal(command.line, 3);
  command = next(&reader, WAST_BAD);
  assert_int_equal(command.line, 4);
  assert_false(wast_next(&reader, &command));
  wast_clear(&reader);
}

/* Parsing with the n-th allocation refused fails cleanly, for every n. */
static void test_out_of_memory(void **state) {
  (void)state;
  static const char text[] =
      "(module $m (type $t (struct (field $f i32))) (func $f (param $x i32) (local $y i64)"
      " (block $b (br_table $b $b (local.get $x)))) (memory (data \"a\\00\"))"
      " (table funcref (elem $f)) (@custom \"c\" \"d\") (global i32 (i32.const 1)))";
  bool is_parsed = false;
  for (int n = 0; !is_parsed; n++) {
    Arena arena;
    Error error;
    const uint8_t *bytes;
    size_t size;
    arena_init(&arena, &alloc);
    atomic_store(&alloc.fail_after, n);
    is_parsed = text_parse_module(&arena, str_of(text), ALL_FEATURES, &bytes, &size, &error);
    atomic_store(&alloc.fail_after, -1);
    if (!is_parsed) assert_int_equal(error.kind, ERROR_MEMORY);
    arena_clear(&arena);
    assert_int_equal(alloc.used, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_types),
      cmocka_unit_test(test_inline_types),
      cmocka_unit_test(test_imports_and_exports),
      cmocka_unit_test(test_tables_and_elements),
      cmocka_unit_test(test_memories_and_data),
      cmocka_unit_test(test_globals_and_start),
      cmocka_unit_test(test_plain_and_folded),
      cmocka_unit_test(test_blocks),
      cmocka_unit_test(test_block_errors),
      cmocka_unit_test(test_errors),
      cmocka_unit_test(test_deep_nesting),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_custom_sections),
      cmocka_unit_test(test_branch_hints),
      cmocka_unit_test(test_script_modules),
      cmocka_unit_test(test_script_assertions),
      cmocka_unit_test(test_bad_commands_are_skipped),
      cmocka_unit_test(test_out_of_memory),
  };
  alloc_init(&alloc, NULL, NULL);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
