/* test_x64_disasm.c - the disassembler against the bytes that an assembler made: every instruction
 * of the encoder's data is taken whole and named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jit/x64/disasm.h"

static const char *const data[] = {
#include "x64_encode.data"
};

static Alloc alloc;
static Arena arena;
static Guard guard;
static Error error;

static const char *text_of(const char *hex, uint32_t *length, uint32_t *size) {
  uint8_t bytes[32];
  *size = (uint32_t)strlen(hex) / 2;
  for (uint32_t i = 0; i < *size; i++) {
    const char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
    bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
  }
  Buf out;
  buf_init(&out, &arena);
  *length = disasm_one(bytes, 0, *size, &out);
  buf_byte(&out, 0);
  return (const char *)out.at;
}

static void test_lengths(void **state) {
  (void)state;
  unsigned n_bad = 0;
  for (size_t i = 0; i < COUNT_OF(data); i++) {
    uint32_t length, size;
    const char *text = text_of(data[i], &length, &size);
    if (length == size && strstr(text, ".byte") == NULL) continue;
    if (n_bad++ < 20) print_message("%s: %s, %u of %u bytes\n", data[i], text, length, size);
  }
  assert_int_equal(n_bad, 0);
}

static void test_texts(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"4B8BBCCE45230100", "mov rdi, [r14 + r9*8 + 74565]"},
      {"8BCA", "mov ecx, edx"},
      {"66893B", "mov [rbx], di"},
      {"4883EC28", "sub rsp, 40"},
      {"7405", "je 7"},
      {"0F85FAFFFFFF", "jne 0"},
      {"C5F158CA", "vaddpd xmm1, xmm1, xmm2"},
      {"F20F58CA", "addsd xmm1, xmm2"},
      {"F2480F2CC1", "cvttsd2si rax, xmm1"},
      {"410F95C0", "setne r8b"},
      {"C3", "ret"},
      {"48B8EFCDAB8967452301", "mov rax, 0x123456789abcdef"},
      {"C4E2F1F7C2", "shlx rax, rdx, rcx"},
      {"F0480FC103", "lock xadd [rbx], rax"},
      {"0F0B", "ud2"},
      {"83BF0800000005", "cmp dword [rdi + 8], 5"},
      {"FF1500100000", "call qword [rip => 1006]"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    uint32_t length, size;
    assert_string_equal(text_of(cases[i][0], &length, &size), cases[i][1]);
  }
}

int main(void) {
  alloc_init(&alloc, NULL, NULL);
  arena_init(&arena, &alloc);
  if (!GUARD_TRY(&guard, &arena, &error)) return 1;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_lengths), cmocka_unit_test(test_texts)};
  int result = cmocka_run_group_tests(tests, NULL, NULL);
  guard_leave(&guard);
  arena_clear(&arena);
  return result;
}
