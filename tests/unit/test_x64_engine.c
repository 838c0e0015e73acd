/* test_x64_engine.c - the compiler in a process: beside signal handlers of the host, in forked
 * workers and several threads, with the interpreter in one run; and what becomes of its code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../include/rille.h"
#include "base/base.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

/* In children of a fork failures end the process with a number that says where. */
static void must(bool holds, int line) {
  if (!holds) _exit(line % 250 + 1);
}
#define MUST(holds) must(holds, __LINE__)

static void expect_child(pid_t child) {
  int status = 1;
  assert_int_equal(waitpid(child, &status, 0), child);
  if (WIFSIGNALED(status)) fail_msg("ended by signal %d", WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) fail_msg("failed at about line %d", WEXITSTATUS(status) - 1);
}

static rille_Module *load(rille_Engine *engine, const char *text,
                          const rille_LoadOptions *options) {
  rille_Error *error = NULL;
  rille_Module *module = rille_load(engine, text, strlen(text), options, &error);
  if (module == NULL) fprintf(stderr, "%s\n", rille_error_message(error));
  if (module == NULL) abort();
  return module;
}

static rille_Instance *instantiate(rille_Store *store, rille_Module *module,
                                   const rille_Extern *imports) {
  rille_Error *error = NULL;
  rille_Instance *instance = rille_instantiate(store, module, imports, NULL, &error);
  if (instance == NULL) fprintf(stderr, "%s\n", rille_error_message(error));
  if (instance == NULL) abort();
  return instance;
}

static rille_Extern export_of(rille_Instance *instance, const char *name) {
  rille_Extern item;
  if (!rille_find_export(instance, name, &item)) abort();
  return item;
}

/* i32 -> i32; false with the code of what went wrong. */
static bool call(rille_Instance *instance, const char *name, int32_t arg, int32_t *out,
                 char code[64]) {
  rille_Value in = {.type = RILLE_I32, .i32 = arg}, result = {0};
  rille_Error *error = NULL;
  bool ok = rille_call(export_of(instance, name).func, &in, 1, &result, 1, &error);
  *out = result.i32;
  if (!ok) {
    const char *said = rille_error_code(error);
    snprintf(code, 64, "%s", said != NULL ? said : "");
    rille_free_error(error);
  }
  return ok;
}

static bool traps(rille_Instance *instance, const char *name, int32_t arg, const char *wanted) {
  char code[64];
  int32_t result;
  return !call(instance, name, arg, &result, code) && strcmp(code, wanted) == 0;
}

static bool gives(rille_Instance *instance, const char *name, int32_t arg, int32_t wanted) {
  char code[64];
  int32_t result;
  return call(instance, name, arg, &result, code) && result == wanted;
}

static const rille_LoadOptions compiled = {.engine = "compiler"};
static const rille_LoadOptions interpreted = {.engine = "interpreter"};

static const char faulty[] =
    "(module (memory 1)"
    "  (func (export \"load\") (param i32) (result i32) (i32.load (local.get 0)))"
    "  (func (export \"div\") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))"
    "  (func (export \"trap\") (param i32) (result i32) (unreachable)))";

static bool all_trap(rille_Instance *instance) {
  return traps(instance, "load", -4, "out of bounds memory access") &&
         traps(instance, "div", 0, "integer divide by zero") &&
         traps(instance, "trap", 0, "unreachable") && gives(instance, "load", 65532, 0);
}

/* ---- Signals --------------------------------------------------------------------------------- */

static sigjmp_buf back;
static volatile int n_first, n_second;
static struct sigaction below_second;
static volatile bool second_chains;

static void first_handler(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info, (void)context;
  n_first++;
  siglongjmp(back, 1);
}

static void second_handler(int signal, siginfo_t *info, void *context) {
  n_second++;
  if (second_chains) below_second.sa_sigaction(signal, info, context);
  siglongjmp(back, 1);
}

static void install(void (*handler)(int, siginfo_t *, void *), struct sigaction *old) {
  struct sigaction action = {.sa_flags = SA_SIGINFO};
  action.sa_sigaction = handler;
  sigaction(SIGSEGV, &action, old);
}

/* A fault of the host's own. */
static void fault(void) {
  void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (sigsetjmp(back, 1) == 0) *(volatile char *)page = 1;
  munmap(page, 4096);
}

static void run_beside_handlers(void) {
  install(first_handler, NULL);
  rille_Engine *engine = rille_new_engine(NULL, NULL);
  rille_Store *store = rille_new_store(engine);
  rille_Module *module = load(engine, faulty, &compiled);
  rille_Instance *instance = instantiate(store, module, NULL);
  MUST(all_trap(instance) && n_first == 0);
  fault();
  MUST(n_first == 1 && all_trap(instance));
  /* Another handler, which knows nothing of ours, until there is a new instance. */
  install(second_handler, &below_second);
  rille_Instance *other = instantiate(store, module, NULL);
  MUST(all_trap(instance) && all_trap(other) && n_second == 0);
  fault();
  MUST(n_first == 1 && n_second == 1 && all_trap(instance));
  /* One that hands down what it does not want: to ours, and by ours to the first. */
  second_chains = true;
  fault();
  MUST(n_first == 2 && n_second == 2 && all_trap(instance));
  fault();
  MUST(n_first == 3 && n_second == 3 && all_trap(other));
  rille_free_instance(instance);
  rille_free_instance(other);
  rille_free_module(module);
  rille_free_store(store);
  rille_free_engine(engine);
  _exit(0);
}

static void test_handlers_of_the_host(void **state) {
  (void)state;
  pid_t child = fork();
  if (child == 0) run_beside_handlers();
  expect_child(child);
}

/* Nobody else wants it: the process ends as it would without us. */
static void test_foreign_fault_ends_the_process(void **state) {
  (void)state;
  if (IS_SANITIZED) skip(); /* the sanitizer wants it */
  pid_t child = fork();
  if (child == 0) {
    struct sigaction none = {.sa_handler = SIG_DFL};
    sigaction(SIGSEGV, &none, NULL);
    rille_Engine *engine = rille_new_engine(NULL, NULL);
    rille_Store *store = rille_new_store(engine);
    MUST(all_trap(instantiate(store, load(engine, faulty, &compiled), NULL)));
    void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *(volatile char *)page = 1;
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static bool is_default(int signal) {
  struct sigaction now;
  sigaction(signal, NULL, &now);
  return !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL;
}

static void run_without_signals(void) {
  static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
  struct sigaction none = {.sa_handler = SIG_DFL};
  for (unsigned i = 0; i < COUNT_OF(signals); i++) sigaction(signals[i], &none, NULL);
  const rille_LoadOptions quiet = {.engine = "compiler", .no_signals = true};
  rille_Engine *engine = rille_new_engine(NULL, NULL);
  rille_Store *store = rille_new_store(engine);
  rille_Module *module = load(engine, faulty, &quiet);
  rille_Instance *instance = instantiate(store, module, NULL);
  MUST(all_trap(instance));
  for (unsigned i = 0; i < COUNT_OF(signals); i++) MUST(is_default(signals[i]));
  _exit(0);
}

static void test_no_signals(void **state) {
  (void)state;
  pid_t child = fork();
  if (child == 0) run_without_signals();
  expect_child(child);
}

/* ---- Many functions: forks, threads, pages --------------------------------------------------- */

enum { N_FUNCS = 400 };

/* Function n multiplies by n + 1 and adds n, in a loop that keeps it from being inlined. */
static char *many_functions(void) {
  size_t room = N_FUNCS * 400, size = 0;
  char *text = malloc(room);
  size += (size_t)snprintf(text, room, "(module ");
  for (int i = 0; i < N_FUNCS; i++) {
    size += (size_t)snprintf(
        text + size, room - size,
        "(func (export \"f%d\") (param i32) (result i32) (local $i i32)"
        " (loop $l (local.set $i (i32.add (local.get $i) (local.get 0)))"
        "  (br_if $l (i32.lt_u (local.get $i) (i32.mul (local.get 0) (i32.const %d)))))"
        " (i32.add (local.get $i) (i32.const %d)))",
        i, i + 1, i);
  }
  snprintf(text + size, room - size, ")");
  return text;
}

static bool call_many(rille_Instance *instance, int first, int step) {
  for (int k = 0; k < N_FUNCS; k++) {
    int i = (first + k * step) % N_FUNCS;
    char name[16];
    snprintf(name, sizeof name, "f%d", i);
    if (!gives(instance, name, 5, 5 * (i + 1) + i)) return false;
  }
  return true;
}

static void test_forked_workers(void **state) {
  (void)state;
  rille_Engine *engine = rille_new_engine(NULL, NULL);
  rille_Store *store = rille_new_store(engine);
  char *text = many_functions();
  rille_Module *module = load(engine, text, &compiled);
  rille_Instance *instance = instantiate(store, module, NULL);
  assert_true(gives(instance, "f7", 5, 47));
  pid_t workers[4];
  for (int i = 0; i < 4; i++) {
    workers[i] = fork();
    if (workers[i] != 0) continue;
    MUST(call_many(instance, i * 100, 1) && call_many(instance, 0, 1));
    rille_Instance *other = instantiate(store, module, NULL);
    MUST(call_many(other, i, 3));
    _exit(0);
  }
  assert_true(call_many(instance, 200, 1));
  for (int i = 0; i < 4; i++) expect_child(workers[i]);
  rille_free_instance(instance);
  rille_free_module(module);
  rille_free_store(store);
  rille_free_engine(engine);
  free(text);
}

typedef struct Worker {
  rille_Engine *engine;
  rille_Module *module;
  pthread_barrier_t *start;
  int number;
  bool ok;
} Worker;

static void *work(void *user) {
  Worker *worker = user;
  rille_Store *store = rille_new_store(worker->engine);
  rille_Instance *instance = instantiate(store, worker->module, NULL);
  pthread_barrier_wait(worker->start);
  worker->ok = call_many(instance, worker->number * 37, 7) && call_many(instance, 0, 1);
  rille_free_instance(instance);
  rille_free_store(store);
  return NULL;
}

static void run_threads(rille_Engine *engine, rille_Module *module) {
  enum { N = 4 };
  pthread_barrier_t start;
  pthread_t threads[N];
  Worker workers[N];
  pthread_barrier_init(&start, NULL, N);
  for (int i = 0; i < N; i++) {
    workers[i] = (Worker){engine, module, &start, i, false};
    assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
  }
  for (int i = 0; i < N; i++) {
    pthread_join(threads[i], NULL);
    assert_true(workers[i].ok);
  }
  pthread_barrier_destroy(&start);
}

static void test_threads(void **state) {
  (void)state;
  rille_Engine *engine = rille_new_engine(NULL, NULL);
  char *text = many_functions();
  for (int round = 0; round < 5; round++) {
    rille_Module *module = load(engine, text, &compiled);
    run_threads(engine, module);
    rille_free_module(module);
  }
  assert_int_equal(rille_engine_bytes(engine), 0);
  rille_free_engine(engine);
  free(text);
}

/* A fork while other threads compile: the child compiles, too. */
static void test_fork_beside_threads(void **state) {
  (void)state;
#if defined(__SANITIZE_THREAD__)
  skip(); /* the sanitizer does not go on in such a child */
#endif
  rille_Engine *engine = rille_new_engine(NULL, NULL);
  char *text = many_functions();
  for (int round = 0; round < 5; round++) {
    rille_Module *module = load(engine, text, &compiled);
    rille_Store *store = rille_new_store(engine);
    rille_Instance *instance = instantiate(store, module, NULL);
    pthread_barrier_t start;
    pthread_t thread;
    pthread_barrier_init(&start, NULL, 2);
    Worker worker = {engine, module, &start, 1, false};
    assert_int_equal(pthread_create(&thread, NULL, work, &worker), 0);
    pthread_barrier_wait(&start);
    usleep((useconds_t)round * 700);
    pid_t child = fork();
    if (child == 0) {
      alarm(20);
      MUST(call_many(instance, 0, 1));
      _exit(0);
    }
    pthread_join(thread, NULL);
    assert_true(worker.ok);
    expect_child(child);
    pthread_barrier_destroy(&start);
    rille_free_instance(instance);
    rille_free_store(store);
    rille_free_module(module);
  }
  rille_free_engine(engine);
  free(text);
}

static unsigned n_resizes, n_writable_code, n_code;

static void look_at_mappings(void) {
  char line[512];
  FILE *file = fopen("/proc/self/maps", "r");
  if (file == NULL) return;
  while (fgets(line, sizeof line, file) != NULL) {
    const char *rights = strchr(line, ' ') + 1;
    n_writable_code += rights[1] == 'w' && rights[2] == 'x';
    n_code += rights[2] == 'x' && strchr(line, '/') == NULL;
  }
  fclose(file);
}

static void *resize_and_look(void *user, void *at, size_t old_size, size_t new_size) {
  (void)user, (void)old_size;
  if (n_resizes++ % 64 == 0) look_at_mappings();
  if (new_size != 0) return realloc(at, new_size);
  free(at);
  return NULL;
}

static void test_code_is_never_writable(void **state) {
  (void)state;
  rille_Engine *engine = rille_new_engine(resize_and_look, NULL);
  rille_Store *store = rille_new_store(engine);
  char *text = many_functions();
  rille_Module *module = load(engine, text, &compiled);
  rille_Instance *instance = instantiate(store, module, NULL);
  n_code = n_writable_code = 0;
  assert_true(call_many(instance, 0, 1));
  look_at_mappings();
  assert_true(n_code > 2);
  assert_int_equal(n_writable_code, 0);
  rille_free_instance(instance);
  rille_free_module(module);
  rille_free_store(store);
  rille_free_engine(engine);
  free(text);
}

static long resident_pages(void) {
  long size = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL) return 0;
  if (fscanf(file, "%ld %ld", &size, &resident) != 2) resident = 0;
  fclose(file);
  return resident;
}

static void make_and_drop(rille_Engine *engine, int n) {
  for (int i = 0; i < n; i++) {
    rille_Store *store = rille_new_store(engine);
    rille_Module *module = load(engine, faulty, &compiled);
    rille_Instance *instance = instantiate(store, module, NULL);
    assert_true(gives(instance, "load", 0, 0));
    rille_free_instance(instance);
    rille_free_module(module);
    rille_free_store(store);
  }
}

static void test_code_is_freed(void **state) {
  (void)state;
  rille_Engine *engine = rille_new_engine(NULL, NULL);
  make_and_drop(engine, 300);
  long before = resident_pages();
  make_and_drop(engine, IS_SANITIZED ? 300 : 5000);
  if (!IS_SANITIZED) assert_true(resident_pages() - before < 100);
  assert_int_equal(rille_engine_bytes(engine), 0);
  rille_free_engine(engine);
}

/* ---- Both engines in one run ----------------------------------------------------------------- */

static rille_Status host_adds(rille_Activation *act, void *data, rille_Slot *slots) {
  (void)act, (void)data;
  slots[0] = (uint32_t)slots[0] + 1;
  return RILLE_DONE;
}

/* Up and down between two instances by imports and by a table, with a host function, traps and
 * exceptions. */
static const char lower_text[] =
    "(module (import \"e\" \"host\" (func $host (param i32) (result i32)))"
    "  (tag $tag (export \"tag\") (param i32)) (type $f (func (param i32) (result i32)))"
    "  (table (export \"table\") 2 funcref)"
    "  (func (export \"down\") (param i32) (result i32)"
    "    (if (i32.eqz (local.get 0)) (then (return (call $host (i32.const 40)))))"
    "    (i32.add (i32.const 1)"
    "      (call_indirect (type $f) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))"
    "  (func (export \"throw\") (param i32) (result i32) (throw $tag (local.get 0)))"
    "  (func (export \"pass\") (param i32) (result i32)"
    "    (call_indirect (type $f) (local.get 0) (i32.const 1)))"
    "  (func (export \"trap\") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0))))";
static const char upper_text[] =
    "(module (import \"l\" \"table\" (table 2 funcref)) (import \"l\" \"tag\" (tag $tag (param "
    "i32)))"
    "  (import \"l\" \"down\" (func $down (param i32) (result i32)))"
    "  (import \"l\" \"throw\" (func $throw (param i32) (result i32)))"
    "  (import \"l\" \"pass\" (func $pass (param i32) (result i32)))"
    "  (import \"l\" \"trap\" (func $trap (param i32) (result i32)))"
    "  (func $up (export \"up\") (param i32) (result i32)"
    "    (i32.add (i32.const 2) (call $down (local.get 0))))"
    "  (func $throws (param i32) (result i32) (throw $tag (local.get 0)))"
    "  (elem (i32.const 0) $up $throws)"
    "  (func (export \"catch\") (param i32) (result i32)"
    "    (block $h (result i32)"
    "      (try_table (result i32) (catch $tag $h) (call $throw (local.get 0)))"
    "      (drop) (i32.const -1)))"
    "  (func (export \"catch_through\") (param i32) (result i32)"
    "    (block $h (result i32)"
    "      (try_table (result i32) (catch $tag $h) (call $pass (local.get 0)))"
    "      (drop) (i32.const -1)))"
    "  (func (export \"trap\") (param i32) (result i32) (call $trap (local.get 0)))"
    "  (func (export \"uncaught\") (param i32) (result i32) (call $pass (local.get 0))))";

static void run_both(const rille_LoadOptions *lower_options,
                     const rille_LoadOptions *upper_options) {
  static const rille_ValueType i32 = RILLE_I32;
  rille_Engine *engine = rille_new_engine(NULL, NULL);
  rille_Store *store = rille_new_store(engine);
  rille_FuncType *type = rille_new_func_type(1, &i32, 1, &i32);
  rille_Func *host = rille_new_host_func(engine, type, host_adds, NULL, NULL);
  rille_Module *lower_module = load(engine, lower_text, lower_options);
  rille_Module *upper_module = load(engine, upper_text, upper_options);
  rille_Extern host_import = {.kind = RILLE_EXTERN_FUNC, .func = host};
  rille_Instance *lower = instantiate(store, lower_module, &host_import);
  rille_Extern imports[] = {export_of(lower, "table"), export_of(lower, "tag"),
                            export_of(lower, "down"),  export_of(lower, "throw"),
                            export_of(lower, "pass"),  export_of(lower, "trap")};
  rille_Instance *upper = instantiate(store, upper_module, imports);
  assert_true(gives(lower, "down", 0, 41));
  assert_true(gives(upper, "up", 0, 43));
  assert_true(gives(upper, "up", 30, 43 + 30 * 3));
  assert_true(gives(lower, "down", 30, 41 + 30 * 3));
  for (int i = 0; i < 3; i++) {
    assert_true(gives(upper, "catch", 17 + i, 17 + i));
    assert_true(gives(upper, "catch_through", 23, 23));
    assert_true(traps(upper, "trap", 0, "integer divide by zero"));
    assert_true(gives(upper, "trap", 1, 1));
    char code[64];
    int32_t result;
    assert_false(call(upper, "uncaught", 3, &result, code));
    /* Without end: the one or the other stack is full. */
    assert_true(traps(upper, "up", 1 << 30, "call stack exhausted"));
  }
  rille_free_instance(lower);
  rille_free_instance(upper);
  rille_free_module(lower_module);
  rille_free_module(upper_module);
  rille_free_func(host);
  rille_free_func_type(type);
  rille_free_store(store);
  assert_int_equal(rille_engine_bytes(engine), 0);
  rille_free_engine(engine);
}

static void test_engines_call_each_other(void **state) {
  (void)state;
  const rille_LoadOptions quiet = {.engine = "compiler", .no_signals = true};
  const rille_LoadOptions *all[] = {&compiled, &interpreted, &quiet};
  for (unsigned i = 0; i < COUNT_OF(all); i++) {
    for (unsigned k = 0; k < COUNT_OF(all); k++) run_both(all[i], all[k]);
  }
}

/* Deep enough for programs that recurse as they do elsewhere. */
static void test_depth(void **state) {
  (void)state;
  static const char text[] =
      "(module (func $f (export \"f\") (param i32) (result i32) (local i64 i64 f64)"
      "  (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))"
      "  (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1))))))";
  rille_Engine *engine = rille_new_engine(NULL, NULL);
  rille_Store *store = rille_new_store(engine);
  rille_Module *module = load(engine, text, &compiled);
  rille_Instance *instance = instantiate(store, module, NULL);
  assert_true(gives(instance, "f", 20000, 20000));
  assert_true(traps(instance, "f", 1 << 30, "call stack exhausted"));
  assert_true(gives(instance, "f", 20000, 20000));
  rille_free_instance(instance);
  rille_free_module(module);
  rille_free_store(store);
  rille_free_engine(engine);
}

/* A list whose only roots are in compiled frames and their arguments, while others make rubbish. */
static void test_references_in_frames(void **state) {
  (void)state;
  static const char text[] =
      "(module (type $node (struct (field i32) (field (ref null $node))))"
      "  (func $rubbish (param $n i32)"
      "    (loop $l (drop (struct.new $node (local.get $n) (ref.null $node)))"
      "      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"
      "  (func $sum (param (ref null $node)) (result i32) (local $s i32)"
      "    (block $end (loop $l"
      "      (local.set $s (i32.add (local.get $s)"
      "        (struct.get $node 0 (br_on_null $end (local.get 0)))))"
      "      (local.set 0 (struct.get $node 1 (local.get 0))) (br $l)))"
      "    (local.get $s))"
      "  (func $build (export \"build\") (param $n i32) (result i32)"
      "    (call $deeper (local.get $n) (struct.new $node (i32.const 5) (ref.null $node))))"
      "  (func $deeper (param $n i32) (param $list (ref null $node)) (result i32)"
      "    (local $mine (ref null $node))"
      "    (if (i32.eqz (local.get $n)) (then (return (call $sum (local.get $list)))))"
      "    (local.set $mine (struct.new $node (local.get $n) (local.get $list)))"
      "    (call $rubbish (i32.const 100))"
      "    (i32.add (struct.get $node 0 (local.get $mine))"
      "      (call $deeper (i32.sub (local.get $n) (i32.const 1)) (local.get $mine)))))";
  rille_Engine *engine = rille_new_engine(NULL, NULL);
  rille_Store *store = rille_new_store(engine);
  rille_Module *module = load(engine, text, &compiled);
  rille_Instance *instance = instantiate(store, module, NULL);
  assert_true(gives(instance, "build", 2000, 2 * 2000 * 2001 / 2 + 5));
  rille_free_instance(instance);
  rille_free_module(module);
  rille_free_store(store);
  rille_free_engine(engine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      /* These two need a process in which nothing was compiled yet. */
      cmocka_unit_test(test_handlers_of_the_host),
      cmocka_unit_test(test_no_signals),
      cmocka_unit_test(test_foreign_fault_ends_the_process),
      cmocka_unit_test(test_forked_workers),
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_fork_beside_threads),
      cmocka_unit_test(test_code_is_never_writable),
      cmocka_unit_test(test_code_is_freed),
      cmocka_unit_test(test_engines_call_each_other),
      cmocka_unit_test(test_depth),
      cmocka_unit_test(test_references_in_frames),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
