/* test_lexer.c - tokens, what is skipped, string escapes, and errors with their places.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "text/lexer.h"

static Alloc alloc;

/* The tokens as text: a letter for the kind, then the token in brackets; or the error. */
static void describe(Str source, bool is_deaf, char *out, size_t size) {
  static const char letters[] = "$()wisa";
  Arena arena;
  Guard guard;
  Error error;
  volatile size_t n = 0; /* survives what the guard catches */
  arena_init(&arena, &alloc);
  error_clear(&error);
  if (GUARD_TRY(&guard, &arena, &error)) {
    Lexer lexer;
    Token token;
    lexer_init(&lexer, &arena, source);
    lexer.is_deaf = is_deaf;
    for (lexer_next(&lexer, &token); token.kind != TOKEN_END; lexer_next(&lexer, &token)) {
      if (token.kind == TOKEN_OPEN || token.kind == TOKEN_CLOSE)
        n += (size_t)snprintf(out + n, size - n, "%c", letters[token.kind]);
      else
        n += (size_t)snprintf(out + n, size - n, "%c[%.*s]", letters[token.kind],
                              (int)token.text.size, token.text.at);
    }
    guard_leave(&guard);
  } else {
    error_text(&error, out, size);
  }
  arena_clear(&arena);
  assert_int_equal(alloc.used, 0);
}

static void check(const char *source, const char *expected) {
  char text[512] = "";
  describe(str_of(source), false, text, sizeof text);
  assert_string_equal(text, expected);
}

static void test_tokens(void **state) {
  (void)state;
  check("", "");
  check("(module $m)", "(w[module]i[m])");
  check("a(b)c", "w[a](w[b])w[c]");
  check("i32.const 0x1_0 -1 $a \"s\"", "w[i32.const]w[0x1_0]w[-1]i[a]s[s]");
  check("$!?@#a$%^&*b-+_.:9'`|/\\<=>~", "i[!?@#a$%^&*b-+_.:9'`|/\\<=>~]");
  check("$\"a b\" $\"\\41B\"", "i[a b]i[AB]");
  check("\"a\\\"b\\\\\"", "s[a\\\"b\\\\]");
}

static void test_runs_without_space_are_one_word(void **state) {
  (void)state;
  check("0drop", "w[0drop]");
  check("\"a\"\"b\"", "w[\"a\"\"b\"]");
  check("0$\"l\"", "w[0$\"l\"]");
  check("$\"l\"0", "w[$\"l\"0]");
  check("$l\"a\"", "w[$l\"a\"]");
  check("$l$l", "i[l$l]");
  check(",;[]{}", "w[,]w[;]w[[]w[]]w[{]w[}]");
}

static void test_skipped(void **state) {
  (void)state;
  check(";; x (\na", "w[a]");
  check(";; x\ra;;", "w[a]");
  check("(;;)(;(;;);)(; ;; ;)a", "w[a]");
  check("(@a (b \")\") ; { $ @ ) c", "w[c]");
  check("(@\"a b\" x) c", "w[c]");
  check("(@a (@) (@ x))", "");
  check("( @a)", "(w[@a])");
}

static void test_annotations_with_meaning(void **state) {
  (void)state;
  check("(@name \"x\") a", "a[name]s[x])w[a]");
  check("(@\"custom\" \"x\")", "a[custom]s[x])");
  char text[64] = "";
  describe(STR_LITERAL("(@name \"x\") a"), true, text, sizeof text);
  assert_string_equal(text, "w[a]");
}

static void test_errors(void **state) {
  (void)state;
  check("a\n  \x01", "2:3: illegal character");
  check("\xC3\xA9", "1:1: illegal character");
  check("a \x80", "1:3: malformed UTF-8 encoding");
  check("\n\"a", "2:1: unclosed string");
  check("\"a\nb\"", "1:1: unclosed string");
  check("\"\\q\"", "1:2: illegal escape");
  check("\"\\u{110000}\"", "1:2: illegal escape");
  check("\"\\u{D800}\"", "1:2: illegal escape");
  check("\"\xFF\"", "1:1: malformed UTF-8 encoding");
  check("(; \xFF ;)", "1:1: malformed UTF-8 encoding");
  check(";; \xFF", "1:1: malformed UTF-8 encoding");
  check("(; (; ;)", "1:1: unclosed comment");
  check("$", "1:1: empty identifier");
  check("$(", "1:1: empty identifier");
  check("$\"\"", "1:2: empty identifier");
  check("$\"a\tb\"", "1:4: empty identifier");
  check("$\"\\ef\"", "1:2: malformed UTF-8 encoding");
  check("(@)", "1:1: empty annotation id");
  check("(@\"\")", "1:3: empty annotation id");
  check("(@x (y)", "1:4: unclosed annotation");
  check("(@x \"", "1:5: unclosed string");
  check("(@a \x7F)", "1:5: illegal character");
}

static void check_decoded(const char *text, const char *bytes, size_t size) {
  Arena arena;
  Guard guard;
  Error error;
  arena_init(&arena, &alloc);
  assert_true(GUARD_TRY(&guard, &arena, &error));
  Str decoded = lexer_decode_string(&arena, str_of(text));
  guard_leave(&guard);
  assert_int_equal(decoded.size, size);
  assert_memory_equal(decoded.at, bytes, size);
  arena_clear(&arena);
}

static void test_strings(void **state) {
  (void)state;
  check_decoded("plain", "plain", 5);
  check_decoded("\\t\\n\\r\\\"\\'\\\\", "\t\n\r\"'\\", 6);
  check_decoded("a\\00\\fFb",
                "a\0\xFF"
                "b",
                4);
  check_decoded("\\u{41}\\u{e9}\\u{20_AC}\\u{1F600}", "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tokens),  cmocka_unit_test(test_runs_without_space_are_one_word),
      cmocka_unit_test(test_skipped), cmocka_unit_test(test_annotations_with_meaning),
      cmocka_unit_test(test_errors),  cmocka_unit_test(test_strings),
  };
  alloc_init(&alloc, NULL, NULL);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
