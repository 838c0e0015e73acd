/* test_jit_ir.c - the machine-independent half of the compiler: folding, division by constants, the
 * checker, and golden files.
 *
 * A golden file tests/ir/golden/NAME.ir is a module as text, a line "---", and the IR of its first
 * own function after all passes. With RILLE_UPDATE_GOLDEN=1 in the environment they are written
 * anew.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jit/cfg.h"
#include "jit/fold.h"
#include "jit/passes.h"
#include "module/pure.h"
#include "text/text.h"

typedef struct Fixture {
  Alloc alloc;
  Arena arena;
  Guard guard;
  Error error;
  Module *module;
  Ir ir;
} Fixture;

static Module *load(Fixture *f, Str source) {
  LoadOptions options = {.features = feature_defaults()};
  const uint8_t *bytes;
  size_t size;
  Error error;
  if (!text_parse_module(&f->arena, source, options.features, &bytes, &size, &error))
    fail_msg("%s", error.message);
  Module *module = module_load(&f->alloc, bytes, size, &options, &error);
  if (!module) fail_msg("%s", error.message);
  return module;
}

static void start(Fixture *f, const char *source) {
  alloc_init(&f->alloc, NULL, NULL);
  arena_init(&f->arena, &f->alloc);
  f->module = load(f, str_of(source));
  guard_enter(&f->guard, &f->arena, &f->error);
  if (setjmp(f->guard.jump) != 0) fail_msg("raised: %s", f->error.message);
}

static void finish(Fixture *f) {
  guard_leave(&f->guard);
  module_release(f->module);
  arena_clear(&f->arena);
  assert_int_equal(f->alloc.used, 0);
}

/* An IR with two parameters of a type, for the folder alone. */
static void start_folding(Fixture *f, unsigned kind, Ref params[2]) {
  start(f, "(module (func))");
  ir_init(&f->ir, &f->arena, f->module, 0, 64);
  fold_init(&f->ir, 64);
  for (unsigned i = 0; i < 2; i++) params[i] = ir_node(&f->ir, IR_PARAM, kind);
}

/* What a floating node is when the parameters are x and y. */
static uint64_t evaluate(const Ir *ir, Ref ref, const Ref params[2], uint64_t x, uint64_t y) {
  const Node *node = NODE(ir, ref);
  if (ref == params[0]) return x;
  if (ref == params[1]) return y;
  if (node->op == IR_CONST) return node->imm;
  Cell operands[2], out;
  Trap trap;
  memset(operands, 0, sizeof operands);
  operands[0].i64 = evaluate(ir, node->a, params, x, y);
  if (node->b != 0) operands[1].i64 = evaluate(ir, node->b, params, x, y);
  if (node->op == IR_MULH_S) return wide_mul_s(operands[0].i64, operands[1].i64).high;
  if (node->op == IR_MULH_U) return wide_mul_u(operands[0].i64, operands[1].i64).high;
  assert_true(pure_eval((Op)node->op, operands, NULL, &out, &trap));
  return out.i64;
}

static uint64_t next_random(uint64_t *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * UINT64_C(2685821657736338717);
}

/* Numbers around powers of two and all over the range. */
static uint64_t some_number(uint64_t *state) {
  uint64_t x = next_random(state);
  uint64_t near = (UINT64_C(1) << (x >> 8 & 63)) + (x >> 20 & 3) - 2;
  return x & 1 ? near : next_random(state) >> (x >> 2 & 63);
}

static void check_division(Op op, bool is_64, uint64_t *state) {
  Fixture f;
  Ref params[2];
  start_folding(&f, is_64 ? KIND_I64 : KIND_I32, params);
  for (unsigned i = 0; i < 400; i++) {
    uint64_t d = i < 200 ? i + 1 : some_number(state);
    if (i % 3 == 0) d = 0 - d;
    if (!is_64) d = (uint32_t)d;
    Ref divisor = is_64 ? fold_i64(&f.ir, d) : fold_i32(&f.ir, (uint32_t)d);
    Ref folded = fold_division(&f.ir, op, params[0], divisor);
    if (folded == 0) continue;
    for (unsigned k = 0; k < 200; k++) {
      uint64_t x = k < 20 ? d * (k / 2) - (k & 1) : some_number(state);
      if (!is_64) x = (uint32_t)x;
      Cell operands[2], out;
      Trap trap;
      memset(operands, 0, sizeof operands);
      operands[0].i64 = x;
      operands[1].i64 = d;
      if (!pure_eval(op, operands, NULL, &out, &trap)) continue;
      uint64_t got = evaluate(&f.ir, folded, params, x, 0);
      if (!is_64) got = (uint32_t)got;
      if (got != out.i64)
        fail_msg("%s: %llx / %llx is %llx, not %llx", op_info[op].text, (unsigned long long)x,
                 (unsigned long long)d, (unsigned long long)out.i64, (unsigned long long)got);
    }
  }
  finish(&f);
}

static void test_division(void **unused) {
  (void)unused;
  uint64_t state = 42;
  for (unsigned i = 0; i < 4; i++) {
    check_division((Op)(OP_I32_DIV_S + i), false, &state);
    check_division((Op)(OP_I64_DIV_S + i), true, &state);
  }
}

/* Random pairs of operations with constants: folded or not, the value is the same. */
static void check_integers(bool is_64, uint64_t *state) {
  static const Op ops[] = {OP_I32_ADD,  OP_I32_SUB,  OP_I32_MUL,   OP_I32_AND,   OP_I32_OR,
                           OP_I32_XOR,  OP_I32_SHL,  OP_I32_SHR_S, OP_I32_SHR_U, OP_I32_ROTL,
                           OP_I32_EQ,   OP_I32_NE,   OP_I32_LT_S,  OP_I32_LT_U,  OP_I32_GT_U,
                           OP_I32_LE_U, OP_I32_GE_S, OP_I32_GE_U};
  Fixture f;
  Ref params[2];
  unsigned kind = is_64 ? KIND_I64 : KIND_I32;
  start_folding(&f, kind, params);
  for (unsigned i = 0; i < 4000; i++) {
    Ref value = params[0];
    uint64_t x = some_number(state), y = some_number(state), wanted;
    if (!is_64) x = (uint32_t)x, y = (uint32_t)y;
    wanted = x;
    for (unsigned depth = 0; depth < 3; depth++) {
      Op op = ops[next_random(state) % (depth == 2 ? COUNT_OF(ops) : 10)];
      unsigned distance = op < OP_I32_CLZ ? OP_I64_EQ - OP_I32_EQ : OP_I64_ADD - OP_I32_ADD;
      if (is_64) op = (Op)(op + distance);
      uint64_t c = some_number(state);
      if (!is_64) c = (uint32_t)c;
      bool takes_param = next_random(state) % 4 == 0, swaps = next_random(state) % 3 == 0;
      Ref other = takes_param ? params[1] : fold_const(&f.ir, kind, c);
      Cell operands[2], out;
      Trap trap;
      memset(operands, 0, sizeof operands);
      operands[swaps].i64 = wanted;
      operands[!swaps].i64 = takes_param ? y : c;
      assert_true(pure_eval(op, operands, NULL, &out, &trap));
      wanted = out.i64;
      value = swaps ? fold_binary(&f.ir, op, other, value) : fold_binary(&f.ir, op, value, other);
      assert_true(fold_max(&f.ir, value) >= wanted);
    }
    uint64_t got = evaluate(&f.ir, value, params, x, y);
    if (got != wanted) fail_msg("round %u: %llx", i, (unsigned long long)got);
  }
  finish(&f);
}

static void test_integers(void **unused) {
  (void)unused;
  uint64_t state = 7;
  check_integers(false, &state);
  check_integers(true, &state);
}

static void test_sharing(void **unused) {
  (void)unused;
  Fixture f;
  Ref p[2];
  start_folding(&f, KIND_I32, p);
  Ref sum = fold_binary(&f.ir, OP_I32_ADD, p[0], p[1]);
  assert_int_equal(sum, fold_binary(&f.ir, OP_I32_ADD, p[1], p[0]));
  assert_int_equal(fold_binary(&f.ir, OP_I32_SUB, sum, p[1]), p[0]);
  Ref less = fold_binary(&f.ir, OP_I32_LT_S, p[0], p[1]);
  Ref not_less = fold_unary(&f.ir, OP_I32_EQZ, less);
  assert_int_equal(NODE(&f.ir, not_less)->op, OP_I32_GE_S);
  bool is_negated;
  Ref tested = fold_unary(&f.ir, OP_I32_EQZ, sum);
  assert_int_equal(fold_condition(&f.ir, tested, &is_negated), sum);
  assert_true(is_negated);
  finish(&f);
}

/* The checker sees what is wrong. */
static void test_checker(void **unused) {
  (void)unused;
  Fixture f;
  start(&f, "(module (func (param i32) (result i32)"
            " (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.const 2)))))");
  BuildOptions options = {0};
  ir_build(&f.ir, &f.arena, f.module, 0, &options);
  cfg_run(&f.ir);
  assert_null(ir_check(&f.ir, &f.arena, IR_SHAPED));
  for (uint32_t i = 0; i < f.ir.n_order; i++) {
    Refs *phis = &BLOCK_OF(&f.ir, f.ir.order[i])->phis;
    if (phis->n != 0) NODE(&f.ir, phis->items[0])->n_args--;
  }
  assert_non_null(ir_check(&f.ir, &f.arena, IR_SHAPED));
  finish(&f);
}

static void build_all(Fixture *f, bool checks_memory) {
  BuildOptions options = {.inlines = true, .checks_memory = checks_memory};
  passes_run(&f->ir, &f->arena, f->module, f->module->n_imported_funcs, &options, NULL, NULL);
  const char *wrong = ir_check(&f->ir, &f->arena, IR_PLACED);
  if (wrong) fail_msg("%s", wrong);
}

/* A body whose every level of nesting is merged with a different value of every local. */
static void test_deep_nesting(void **unused) {
  (void)unused;
  enum { DEPTH = 3000 };
  Fixture f;
  char *source = malloc(DEPTH * 160 + 200), *at = source;
  at += sprintf(at, "(module (func (param i32) (result i32)");
  for (unsigned i = 0; i < DEPTH; i++) at += sprintf(at, " loop block");
  for (unsigned i = 0; i < DEPTH; i++)
    at += sprintf(at, " local.get 0 br_if 0 local.get 0 i32.const 1 i32.add local.set 0 end"
                      " local.get 0 br_if 0 end");
  sprintf(at, " local.get 0))");
  start(&f, source);
  build_all(&f, false);
  finish(&f);
  free(source);
}

/* Golden files */

static char *read_text(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) fail_msg("%s: cannot be read", path);
  char *text = calloc(1, 1 << 16);
  size_t size = fread(text, 1, (1 << 16) - 1, file);
  text[size] = 0;
  fclose(file);
  return text;
}

static void check_golden(const char *path) {
  char *text = read_text(path), *line = strstr(text, "\n---\n");
  if (!line) fail_msg("%s: no line ---", path);
  line[1] = 0;
  const char *expected = line + 5;
  Fixture f;
  Buf out;
  start(&f, text);
  build_all(&f, false);
  buf_init(&out, &f.arena);
  ir_print(&f.ir, &out);
  buf_byte(&out, 0);
  if (getenv("RILLE_UPDATE_GOLDEN")) {
    FILE *file = fopen(path, "wb");
    fprintf(file, "%s---\n%s", text, (const char *)out.at);
    fclose(file);
  } else if (strcmp((const char *)out.at, expected) != 0) {
    fail_msg("%s: got\n%s", path, (const char *)out.at);
  }
  finish(&f);
  free(text);
}

static void test_golden(void **unused) {
  (void)unused;
  DIR *folder = opendir("tests/ir/golden");
  unsigned n = 0;
  if (!folder) fail_msg("tests/ir/golden: run from the root of the project");
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    char path[400];
    if (!strstr(entry->d_name, ".ir")) continue;
    snprintf(path, sizeof path, "tests/ir/golden/%s", entry->d_name);
    check_golden(path);
    n++;
  }
  closedir(folder);
  assert_true(n >= 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_division),     cmocka_unit_test(test_integers),
      cmocka_unit_test(test_sharing),      cmocka_unit_test(test_checker),
      cmocka_unit_test(test_deep_nesting), cmocka_unit_test(test_golden),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
