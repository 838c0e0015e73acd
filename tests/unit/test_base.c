/* test_base.c - allocator, errors, arena, guard, buffers and maps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"

/* Pseudorandom numbers that are the same in every run. */
static uint64_t random_state = 1;
static uint64_t random_next(void) {
  random_state += UINT64_C(0x9E3779B97F4A7C15);
  uint64_t x = random_state;
  x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
  return x ^ x >> 31;
}

/* An allocator of the host's that checks the sizes it is told. */
typedef struct Checker {
  size_t live, calls;
} Checker;

static void *checked_resize(void *user, void *ptr, size_t old_size, size_t new_size) {
  Checker *checker = user;
  checker->calls++;
  size_t *block = ptr != NULL ? (size_t *)ptr - 2 : NULL;
  if (block != NULL) assert_int_equal(block[0], old_size);
  if (new_size == 0) {
    checker->live -= old_size;
    free(block);
    return NULL;
  }
  block = realloc(block, new_size + 2 * sizeof *block);
  assert_non_null(block);
  checker->live += new_size - (ptr != NULL ? old_size : 0);
  block[0] = new_size;
  return block + 2;
}

static void test_alloc_accounts(void **state) {
  (void)state;
  Checker checker = {0, 0};
  Alloc alloc;
  alloc_init(&alloc, checked_resize, &checker);
  assert_null(alloc_new(&alloc, 0));
  assert_int_equal(checker.calls, 0);
  char *a = alloc_new(&alloc, 100);
  char *b = alloc_zero(&alloc, 50);
  for (int i = 0; i < 50; i++) assert_int_equal(b[i], 0);
  assert_int_equal(alloc.used, 150);
  memset(a, 7, 100);
  a = alloc_resize(&alloc, a, 100, 1000);
  for (int i = 0; i < 100; i++) assert_int_equal(a[i], 7);
  assert_int_equal(alloc.used, 1050);
  a = alloc_resize(&alloc, a, 1000, 10);
  assert_int_equal(alloc.used, 60);
  assert_int_equal(checker.live, 60);
  assert_null(alloc_resize(&alloc, a, 10, 0));
  alloc_free(&alloc, b, 50);
  alloc_free(&alloc, NULL, 0);
  assert_null(alloc_resize(&alloc, NULL, 0, 0));
  assert_int_equal(alloc.used, 0);
  assert_int_equal(checker.live, 0);
}

static void test_alloc_fails_on_demand(void **state) {
  (void)state;
  Alloc alloc;
  alloc_init(&alloc, NULL, NULL);
  alloc.fail_after = 3;
  char *a = alloc_new(&alloc, 8);
  a[0] = 'x';
  char *b = alloc_new(&alloc, 8);
  assert_non_null(b);
  assert_null(alloc_resize(&alloc, a, 8, 1 << 20));
  assert_int_equal(a[0], 'x');
  assert_null(alloc_new(&alloc, 8));
  assert_null(alloc_zero(&alloc, 8));
  assert_int_equal(alloc.used, 16);
  alloc_free(&alloc, a, 8);
  alloc_free(&alloc, b, 8);
  alloc.fail_after = 0;
  assert_null(alloc_new(&alloc, 1));
  alloc.fail_after = -1;
  a = alloc_new(&alloc, 1);
  assert_non_null(a);
  alloc_free(&alloc, a, 1);
  assert_int_equal(alloc.used, 0);
}

static void *refusing_resize(void *user, void *ptr, size_t old_size, size_t new_size) {
  (void)user, (void)ptr, (void)old_size, (void)new_size;
  return NULL;
}

static void test_alloc_passes_refusals_on(void **state) {
  (void)state;
  Alloc alloc;
  alloc_init(&alloc, refusing_resize, NULL);
  assert_null(alloc_new(&alloc, 1));
  assert_null(alloc_zero(&alloc, SIZE_MAX));
  assert_int_equal(alloc.used, 0);
  Arena arena;
  arena_init(&arena, &alloc);
  assert_null(arena_try(&arena, 1));
  assert_null(arena_try(&arena, 1 << 20));
  assert_int_equal(arena.used, 0);
  arena_clear(&arena);
}

static void test_error_text(void **state) {
  (void)state;
  Error error;
  char text[600];
  error_set(&error, ERROR_MALFORMED, "unexpected %s", "end");
  assert_int_equal(error.kind, ERROR_MALFORMED);
  assert_true(error.offset == ERROR_NO_OFFSET && error.func == ERROR_NO_FUNC);
  assert_int_equal(error_text(&error, text, sizeof text), 14);
  assert_string_equal(text, "unexpected end");
  error.offset = 0x1f;
  error_text(&error, text, sizeof text);
  assert_string_equal(text, "unexpected end (at offset 0x1f)");
  error.func = 3;
  error.section = "code";
  size_t length = error_text(&error, text, sizeof text);
  assert_string_equal(text, "unexpected end (at offset 0x1f, function 3, code section)");
  assert_int_equal(length, strlen(text));
  assert_int_equal(error_text(&error, NULL, 0), length);
  assert_int_equal(error_text(&error, text, 20), length);
  assert_string_equal(text, "unexpected end (at ");
  error.offset = ERROR_NO_OFFSET;
  error_text(&error, text, sizeof text);
  assert_string_equal(text, "unexpected end (function 3, code section)");
  error.line = 2;
  error.column = 14;
  error_text(&error, text, sizeof text);
  assert_string_equal(text, "2:14: unexpected end");
}

static void test_error_wraps_and_truncates(void **state) {
  (void)state;
  Error error;
  error_set(&error, ERROR_LINK, "missing");
  error.func = 9;
  error_set(&error, ERROR_LINK, "cannot link: %s", error.message);
  assert_string_equal(error.message, "cannot link: missing");
  assert_true(error.func == ERROR_NO_FUNC);
  /* Every place at which a three-byte and a four-byte character can be cut. */
  for (size_t pad = 0; pad < 12; pad++) {
    char message[2000] = {0};
    memset(message, 'a', pad);
    for (size_t at = pad; at + 8 < sizeof message; at += 7) {
      memcpy(message + at, "\xE2\x82\xAC\xF0\x9F\x98\x80", 7);
    }
    error_set(&error, ERROR_LINK, "%s", message);
    size_t length = strlen(error.message), rest = (length - pad) % 7;
    assert_true(length < sizeof error.message && length >= sizeof error.message - 5);
    assert_true(rest == 0 || rest == 3);
  }
  error_clear(&error);
  assert_int_equal(error.kind, ERROR_NONE);
  assert_string_equal(error.message, "");
}

static void test_arena_aligns_and_grows(void **state) {
  (void)state;
  Checker checker = {0, 0};
  Alloc alloc;
  alloc_init(&alloc, checked_resize, &checker);
  Arena arena;
  arena_init(&arena, &alloc);
  size_t asked = 0;
  for (size_t i = 0; i < 20000; i++) {
    size_t size = i % 1000 == 0 ? 40000 : i % 97;
    uint8_t *at = arena_try(&arena, size);
    assert_non_null(at);
    assert_int_equal((uintptr_t)at % 16, 0);
    memset(at, 0xEE, size);
    asked += size;
  }
  assert_int_equal(arena.used, alloc.used);
  assert_true(alloc.used < 3 * asked + 4096);
  assert_true(checker.calls < 60); /* 20 big ones, and blocks whose sizes double */
  arena_clear(&arena);
  assert_int_equal(alloc.used, 0);
  assert_int_equal(checker.live, 0);
  assert_non_null(arena_try(&arena, 1));
  assert_int_equal(alloc.used, 4096);
  arena_clear(&arena);
  arena_clear(&arena);
}

static void test_arena_refuses_the_absurd(void **state) {
  (void)state;
  Alloc alloc;
  alloc_init(&alloc, NULL, NULL);
  Arena arena;
  arena_init(&arena, &alloc);
  assert_null(arena_try(&arena, SIZE_MAX));
  assert_null(arena_try(&arena, SIZE_MAX - 15));
  assert_int_equal(alloc.used, 0);
  Guard guard;
  Error error;
  if (GUARD_TRY(&guard, &arena, &error)) {
    void *ptr = arena_new(&arena, 8);
    arena_resize(&arena, ptr, 8, SIZE_MAX - 8);
    fail();
  }
  assert_int_equal(error.kind, ERROR_MEMORY);
  assert_string_equal(error.message, "out of memory");
  assert_null(arena.guard);
  arena_clear(&arena);
}

static void test_arena_resizes_in_place(void **state) {
  (void)state;
  Alloc alloc;
  alloc_init(&alloc, NULL, NULL);
  Arena arena;
  arena_init(&arena, &alloc);
  char *a = arena_new(&arena, 16);
  assert_ptr_equal(arena_resize(&arena, a, 16, 300), a);
  char *b = arena_new(&arena, 0);
  assert_true(b >= a + 300);
  assert_ptr_equal(arena_resize(&arena, b, 0, 40), b);
  memset(a, 'a', 300);
  char *moved = arena_resize(&arena, a, 300, 500);
  assert_ptr_not_equal(moved, a);
  for (int i = 0; i < 300; i++) assert_int_equal(moved[i], 'a');
  assert_ptr_equal(arena_resize(&arena, moved, 500, 20), moved);
  char *next = arena_new(&arena, 1);
  assert_ptr_equal(next, moved + 32); /* what was given back is used again */
  assert_ptr_equal(arena_resize(&arena, moved, 20, 10), moved);
  assert_non_null(arena_resize(&arena, NULL, 0, 10));
  arena_clear(&arena);
}

/* Many arrays that grow at random beside each other, across both kinds of blocks. */
static void test_arena_resizes_at_random(void **state) {
  (void)state;
  Checker checker = {0, 0};
  Alloc alloc;
  alloc_init(&alloc, checked_resize, &checker);
  Arena arena;
  arena_init(&arena, &alloc);
  uint8_t *arrays[16] = {0};
  size_t sizes[16] = {0};
  for (int round = 0; round < 2000; round++) {
    size_t i = random_next() % 16, old_size = sizes[i];
    size_t new_size = random_next() % (random_next() % 8 == 0 ? 100000 : 3000);
    arrays[i] = arena_resize(&arena, arrays[i], old_size, new_size);
    for (size_t k = 0; k < MIN(old_size, new_size); k++) assert_true(arrays[i][k] == (uint8_t)i);
    memset(arrays[i], (int)i, new_size);
    sizes[i] = new_size;
    assert_int_equal(arena.used, alloc.used);
  }
  arena_clear(&arena);
  assert_int_equal(checker.live, 0);
}

static void test_arena_copies(void **state) {
  (void)state;
  Alloc alloc;
  alloc_init(&alloc, NULL, NULL);
  Arena arena;
  arena_init(&arena, &alloc);
  assert_string_equal(arena_text(&arena, STR_LITERAL("name")), "name");
  assert_string_equal(arena_text(&arena, (Str){NULL, 0}), "");
  assert_memory_equal(arena_copy(&arena, "12345", 5), "12345", 5);
  assert_non_null(arena_copy(&arena, NULL, 0));
  uint64_t *numbers = ARENA_ARRAY(&arena, uint64_t, 5000);
  for (size_t i = 0; i < 5000; i++) assert_int_equal(numbers[i], 0);
  arena_clear(&arena);
}

static void test_guards_nest(void **state) {
  (void)state;
  Alloc alloc;
  alloc_init(&alloc, NULL, NULL);
  Arena arena;
  arena_init(&arena, &alloc);
  Guard outer, inner;
  Error outer_error, inner_error;
  volatile int steps = 0;
  if (GUARD_TRY(&outer, &arena, &outer_error)) {
    if (GUARD_TRY(&inner, &arena, &inner_error)) {
      assert_ptr_equal(arena.guard, &inner);
      steps = 1;
      error_set(arena.guard->error, ERROR_INVALID, "inner");
      guard_raise(arena.guard);
    }
    assert_int_equal(steps, 1);
    assert_ptr_equal(arena.guard, &outer);
    if (GUARD_TRY(&inner, &arena, &inner_error)) guard_leave(&inner);
    assert_ptr_equal(arena.guard, &outer);
    steps = 2;
    error_set(arena.guard->error, ERROR_MALFORMED, "outer");
    guard_raise(arena.guard);
  }
  assert_int_equal(steps, 2);
  assert_null(arena.guard);
  assert_string_equal(inner_error.message, "inner");
  assert_string_equal(outer_error.message, "outer");
  arena_clear(&arena);
}

/* A front end in small: everything an arena offers. */
static uint64_t use_everything(Arena *arena) {
  VEC(uint64_t) vec = {NULL, 0, 0};
  for (uint64_t i = 0; i < 3000; i++) VEC_PUSH(arena, &vec, i * i);
  Buf buf;
  buf_init(&buf, arena);
  for (int i = 0; i < 500; i++) buf_printf(&buf, "%d,", i);
  StrMap names;
  strmap_init(&names, arena);
  U64Map numbers;
  u64map_init(&numbers, arena);
  for (uint32_t i = 0; i < 200; i++) {
    char *name = arena_new(arena, 16);
    snprintf(name, 16, "name%u", i);
    strmap_add(&names, str_of(name), &i);
    u64map_set(&numbers, i, i);
  }
  uint64_t sum = 0;
  for (uint32_t i = 0; i < vec.n; i++) sum += vec.items[i];
  return sum + buf.size + names.n + numbers.n;
}

static void test_arena_survives_failures(void **state) {
  (void)state;
  Alloc alloc;
  alloc_init(&alloc, NULL, NULL);
  volatile int failures = 0;
  for (volatile int n = 1;; n = n + 1) {
    Arena arena;
    arena_init(&arena, &alloc);
    Guard guard;
    Error error;
    error_clear(&error);
    alloc.fail_after = n;
    if (GUARD_TRY(&guard, &arena, &error)) {
      uint64_t result = use_everything(&arena);
      guard_leave(&guard);
      arena_clear(&arena);
      assert_int_equal(result, UINT64_C(8995500500) + 1890 + 400);
      break;
    }
    failures = failures + 1;
    assert_int_equal(error.kind, ERROR_MEMORY);
    assert_string_equal(error.message, "out of memory");
    arena_clear(&arena);
    assert_int_equal(alloc.used, 0);
  }
  assert_true(failures > 5);
  assert_int_equal(alloc.used, 0);
}

static uint64_t read_unsigned(const uint8_t *at, size_t size) {
  uint64_t x = 0;
  for (size_t i = 0; i < size; i++) x |= (uint64_t)(at[i] & 0x7F) << (7 * i);
  return x;
}

static int64_t read_signed(const uint8_t *at, size_t size) {
  uint64_t x = read_unsigned(at, size);
  if ((at[size - 1] & 0x40) != 0 && size < 10) x |= UINT64_MAX << (7 * size);
  return (int64_t)x;
}

static void test_buf_writes_leb128(void **state) {
  (void)state;
  Alloc alloc;
  alloc_init(&alloc, NULL, NULL);
  Arena arena;
  arena_init(&arena, &alloc);
  Buf buf;
  buf_init(&buf, &arena);
  for (int i = 0; i < 20000; i++) {
    uint64_t x = random_next() >> random_next() % 64;
    size_t before = buf.size;
    buf_u64(&buf, x);
    assert_true(read_unsigned(buf.at + before, buf.size - before) == x);
    before = buf.size;
    int64_t y = (int64_t)random_next() >> random_next() % 64;
    buf_s64(&buf, y);
    assert_true(read_signed(buf.at + before, buf.size - before) == y);
    assert_true(buf.size - before <= 10);
  }
  static const struct {
    int32_t x;
    const char *bytes;
    size_t size;
  } cases[] = {
      {0, "\x00", 1},
      {63, "\x3F", 1},
      {64, "\xC0\x00", 2},
      {-1, "\x7F", 1},
      {-64, "\x40", 1},
      {-65, "\xBF\x7F", 2},
      {128, "\x80\x01", 2},
      {INT32_MIN, "\x80\x80\x80\x80\x78", 5},
      {INT32_MAX, "\xFF\xFF\xFF\xFF\x07", 5},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    size_t before = buf.size;
    buf_s32(&buf, cases[i].x);
    assert_int_equal(buf.size - before, cases[i].size);
    assert_memory_equal(buf.at + before, cases[i].bytes, cases[i].size);
  }
  size_t before = buf.size;
  buf_u32(&buf, UINT32_MAX);
  assert_int_equal(buf.size - before, 5);
  assert_memory_equal(buf.at + before, "\xFF\xFF\xFF\xFF\x0F", 5);
  arena_clear(&arena);
}

static void test_buf_collects(void **state) {
  (void)state;
  Alloc alloc;
  alloc_init(&alloc, NULL, NULL);
  Arena arena;
  arena_init(&arena, &alloc);
  Buf buf;
  buf_init(&buf, &arena);
  buf_bytes(&buf, NULL, 0);
  assert_int_equal(buf.size, 0);
  char *expected = calloc(200000, 1);
  size_t size = 0;
  for (int i = 0; i < 1000; i++) {
    size += (size_t)sprintf(expected + size, "%d:%0*d;ab", i, i % 150 + 1, i);
    buf_printf(&buf, "%d:%0*d", i, i % 150 + 1, i);
    buf_byte(&buf, ';');
    buf_str(&buf, "a");
    buf_bytes(&buf, "b", 1);
  }
  assert_int_equal(buf.size, size);
  assert_memory_equal(buf.at, expected, size);
  free(expected);
  arena_clear(&arena);
}

static void test_strmap(void **state) {
  (void)state;
  Alloc alloc;
  alloc_init(&alloc, NULL, NULL);
  Arena arena;
  arena_init(&arena, &alloc);
  StrMap map;
  strmap_init(&map, &arena);
  uint32_t value = 77;
  assert_false(strmap_get(&map, STR_LITERAL("x"), &value));
  assert_int_equal(value, 77);
  assert_true(strmap_add(&map, (Str){NULL, 0}, &value)); /* the empty name is a name */
  assert_false(strmap_get(&map, (Str){"\0", 1}, &value));
  for (uint32_t i = 0; i < 100000; i++) {
    char text[64];
    int length = snprintf(text, sizeof text, "%*sfunction_%u", (int)(i % 40), "", i);
    Str key = {arena_copy(&arena, text, (size_t)length), (size_t)length};
    value = i;
    assert_true(strmap_add(&map, key, &value));
    value = 0;
    assert_false(strmap_add(&map, key, &value));
    assert_int_equal(value, i);
  }
  assert_int_equal(map.n, 100001);
  assert_true(map.n <= map.room - map.room / 4);
  for (uint32_t i = 0; i < 100000; i += 7) {
    char text[64];
    snprintf(text, sizeof text, "%*sfunction_%u", (int)(i % 40), "", i);
    assert_true(strmap_get(&map, str_of(text), &value));
    assert_int_equal(value, i);
    strcat(text, "x");
    assert_false(strmap_get(&map, str_of(text), &value));
  }
  assert_true(strmap_get(&map, STR_LITERAL(""), &value));
  assert_int_equal(value, 77);
  arena_clear(&arena);
}

static void test_u64map(void **state) {
  (void)state;
  Alloc alloc;
  alloc_init(&alloc, NULL, NULL);
  Arena arena;
  arena_init(&arena, &alloc);
  U64Map map;
  u64map_init(&map, &arena);
  uint64_t value = 5;
  assert_false(u64map_get(&map, 0, &value));
  /* Keys that differ in few bits only: multiples of powers of two, and both ends of the range. */
  for (unsigned shift = 0; shift < 48; shift++) {
    for (uint64_t i = 0; i < 2000; i++) u64map_set(&map, i << shift, i ^ shift);
  }
  u64map_set(&map, UINT64_MAX, 1);
  u64map_set(&map, UINT64_MAX, 2);
  assert_true(u64map_get(&map, UINT64_MAX, &value));
  assert_int_equal(value, 2);
  for (uint64_t i = 0; i < 2000; i++) {
    assert_true(u64map_get(&map, i << 47, &value));
    assert_int_equal(value, i ^ 47);
    assert_false(u64map_get(&map, i + UINT64_C(0xFFFFFFFF00000000), &value));
  }
  arena_clear(&arena);
}

static void test_hashes(void **state) {
  (void)state;
  uint8_t bytes[64] = {0};
  /* Zeros of every length, and every single bit, give different hashes; so do two seeds. */
  uint64_t seen[64 + 512];
  size_t n = 0;
  for (size_t size = 0; size < 64; size++) seen[n++] = hash_bytes(bytes, size, 42);
  for (size_t bit = 0; bit < 512; bit++) {
    bytes[bit / 8] = (uint8_t)(1u << bit % 8);
    seen[n++] = hash_bytes(bytes, sizeof bytes, 42);
    bytes[bit / 8] = 0;
  }
  for (size_t i = 0; i < n; i++) {
    for (size_t k = 0; k < i; k++) assert_true(seen[i] != seen[k]);
  }
  assert_true(hash_bytes("abc", 3, 1) != hash_bytes("abc", 3, 2));
  assert_true(hash_bytes("abc", 3, 1) == hash_bytes("abc", 3, 1));
  /* A flipped bit of the input flips about half of the bits of the hash, each of them often. */
  unsigned flips[64] = {0};
  for (int round = 0; round < 4096; round++) {
    uint64_t words[3] = {random_next(), random_next(), random_next()};
    uint64_t before = hash_bytes(words, sizeof words, 7);
    words[round % 3] ^= UINT64_C(1) << round % 64;
    uint64_t changed = before ^ hash_bytes(words, sizeof words, 7);
    for (int bit = 0; bit < 64; bit++) flips[bit] += (changed >> bit & 1) != 0;
  }
  for (int bit = 0; bit < 64; bit++) assert_in_range(flips[bit], 1800, 2300);
  Alloc alloc;
  alloc_init(&alloc, NULL, NULL);
  Arena arena;
  arena_init(&arena, &alloc);
  StrMap a, b;
  strmap_init(&a, &arena);
  strmap_init(&b, &arena);
  assert_true(a.seed != b.seed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_alloc_accounts),
      cmocka_unit_test(test_alloc_fails_on_demand),
      cmocka_unit_test(test_alloc_passes_refusals_on),
      cmocka_unit_test(test_error_text),
      cmocka_unit_test(test_error_wraps_and_truncates),
      cmocka_unit_test(test_arena_aligns_and_grows),
      cmocka_unit_test(test_arena_refuses_the_absurd),
      cmocka_unit_test(test_arena_resizes_in_place),
      cmocka_unit_test(test_arena_resizes_at_random),
      cmocka_unit_test(test_arena_copies),
      cmocka_unit_test(test_guards_nest),
      cmocka_unit_test(test_arena_survives_failures),
      cmocka_unit_test(test_buf_writes_leb128),
      cmocka_unit_test(test_buf_collects),
      cmocka_unit_test(test_strmap),
      cmocka_unit_test(test_u64map),
      cmocka_unit_test(test_hashes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
