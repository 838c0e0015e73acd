/* test_base_os.c - what the rest of the engine may expect from the operating system. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os.h"

/* Whether a child that runs fn is ended by a signal. */
static bool dies(void (*fn)(void *), void *arg) {
  pid_t child = fork();
  if (child == 0) {
    /* Without the handlers of sanitizers, which would report and exit. */
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    fn(arg);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status);
}

static void touch(void *at) {
  *(volatile char *)at = 1;
}

static void look(void *at) {
  (void)*(volatile char *)at;
}

static void test_facts(void **state) {
  (void)state;
  size_t page = os_page_size();
  assert_true(page >= 4096 && (page & (page - 1)) == 0);
  assert_int_equal(os_page_size(), page);
  assert_true(os_cpu_count() >= 1);
  assert_true(os_random_seed() != os_random_seed());
  uint64_t before = os_monotonic_ns();
  usleep(2000);
  uint64_t passed = os_monotonic_ns() - before;
  assert_true(passed >= 2000000 && passed < UINT64_C(60000000000));
}

static void test_reserve_and_commit(void **state) {
  (void)state;
  size_t page = os_page_size(), size = 1024 * page;
  char *at = os_reserve(size);
  assert_non_null(at);
  assert_true(dies(look, at));
  assert_true(os_commit(at, 2 * page));
  assert_true(os_commit(at, 0));
  for (size_t i = 0; i < 2 * page; i++) assert_int_equal(at[i], 0);
  memset(at, 7, 2 * page);
  assert_false(dies(touch, at + 2 * page - 1));
  assert_true(dies(look, at + 2 * page));
  assert_true(os_commit(at + 2 * page, page)); /* growth keeps what is there */
  assert_int_equal(at[2 * page - 1], 7);
  assert_true(os_discard(at + page, page));
  assert_int_equal(at[0], 7);
  assert_int_equal(at[page], 0);
  at[page] = 1;
  os_decommit(at, page);
  assert_true(dies(look, at));
  assert_true(os_commit(at, page));
  assert_int_equal(at[0], 0);
  os_release(at, size);
  os_release(NULL, 0);
  assert_null(os_reserve(SIZE_MAX / 2 & ~(page - 1)));
}

static void test_large_reservations(void **state) {
  (void)state;
  if (sizeof(void *) < 8 || getenv("VALGRIND") != NULL) skip();
  size_t size = ((size_t)8 << 30) + 64 * KIB;
  void *at[100];
  for (size_t i = 0; i < COUNT_OF(at); i++) assert_non_null(at[i] = os_reserve(size));
  for (size_t i = 0; i < COUNT_OF(at); i++) os_release(at[i], size);
}

#if defined(__x86_64__) || defined(__aarch64__)
static void test_executable(void **state) {
  (void)state;
#if defined(__x86_64__)
  static const uint8_t code[] = {0xB8, 42, 0, 0, 0, 0xC3}; /* mov eax, 42; ret */
#else
  static const uint32_t code[] = {0x52800540, 0xD65F03C0}; /* mov w0, #42; ret */
#endif
  size_t page = os_page_size();
  void *at = os_reserve(page);
  assert_true(os_commit(at, page));
  memcpy(at, code, sizeof code);
  assert_true(os_make_executable(at, page));
  int (*function)(void);
  memcpy(&function, &at, sizeof function);
  assert_int_equal(function(), 42);
  assert_true(dies(touch, at));
  os_release(at, page);
}
#endif

static char directory[] = "/tmp/rille-test-XXXXXX";

static void test_map_file(void **state) {
  (void)state;
  assert_non_null(mkdtemp(directory));
  char file[64], pipe_name[64], empty[64];
  snprintf(file, sizeof file, "%s/file", directory);
  snprintf(pipe_name, sizeof pipe_name, "%s/pipe", directory);
  snprintf(empty, sizeof empty, "%s/empty", directory);
  FILE *out = fopen(file, "wb");
  for (int i = 0; i < 10000; i++) fputc(i % 251, out);
  fclose(out);
  fclose(fopen(empty, "wb"));
  assert_int_equal(mkfifo(pipe_name, 0600), 0);

  size_t size = 0;
  const uint8_t *at = os_map_file(file, &size);
  assert_non_null(at);
  assert_int_equal(size, 10000);
  for (size_t i = 0; i < size; i++) assert_int_equal(at[i], i % 251);
  unlink(file); /* the view stays */
  assert_int_equal(at[9999], 9999 % 251);
  os_unmap_file(at, size);

  errno = 0;
  assert_null(os_map_file(file, &size));
  assert_int_equal(errno, ENOENT);
  assert_null(os_map_file(pipe_name, &size)); /* without waiting for a writer */
  assert_int_equal(errno, EINVAL);
  assert_null(os_map_file(empty, &size));
  assert_int_equal(errno, EINVAL);
  assert_null(os_map_file(directory, &size));
  assert_int_equal(errno, EISDIR);
  unlink(pipe_name);
  unlink(empty);
  rmdir(directory);
}

static void test_images(void **state) {
  (void)state;
  size_t page = os_page_size(), size = 3 * page;
  char *bytes = malloc(size);
  for (size_t i = 0; i < size; i++) bytes[i] = (char)(i % 127);
  int image = os_image_new(bytes, size - 100); /* the last page is filled with zeros */
  if (image < 0) skip();
  assert_true((fcntl(image, F_GETFD) & FD_CLOEXEC) != 0);
  assert_true(pwrite(image, "x", 1, 0) < 0);
  assert_true(ftruncate(image, 0) < 0);
  char *first = os_reserve(2 * size), *second = os_reserve(2 * size);
  assert_true(os_commit(first, 2 * size) && os_commit(second, 2 * size));
  assert_true(os_image_map(image, first, size) && os_image_map(image, second, size));
  assert_memory_equal(first, bytes, size - 100);
  for (size_t i = size - 100; i < 2 * size; i++) assert_int_equal(first[i], 0);
  memset(first, 99, size);
  assert_memory_equal(second, bytes, size - 100); /* a write is seen by nobody else */
  os_image_free(image);
  assert_int_equal(second[page + 1], bytes[page + 1]);
  assert_true(os_discard(second, size)); /* zero, and not the image again */
  for (size_t i = 0; i < size; i++) assert_int_equal(second[i], 0);
  os_release(first, 2 * size);
  os_release(second, 2 * size);
  os_image_free(-1);
  free(bytes);
}

typedef struct Shared {
  OsMutex mutex;
  OsCond cond;
  unsigned n, ended;
  uint64_t tokens[32];
  bool signals_blocked;
} Shared;

static Shared shared;

static void worker(void *arg) {
  assert_ptr_equal(arg, &shared);
  for (int i = 0; i < 1000; i++) {
    os_mutex_lock(&shared.mutex);
    shared.n++;
    os_mutex_unlock(&shared.mutex);
  }
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  os_mutex_lock(&shared.mutex);
  shared.signals_blocked &=
      sigismember(&mask, SIGINT) && sigismember(&mask, SIGALRM) && !sigismember(&mask, SIGSEGV);
  shared.tokens[shared.ended++] = os_thread_token();
  os_cond_wake(&shared.cond, true);
  os_mutex_unlock(&shared.mutex);
}

static void test_threads(void **state) {
  (void)state;
  unsigned n_threads = COUNT_OF(shared.tokens);
  os_mutex_init(&shared.mutex);
  os_cond_init(&shared.cond);
  shared.signals_blocked = true;
  for (unsigned i = 0; i < n_threads; i++) {
    assert_true(os_thread_start(worker, &shared));
    os_mutex_lock(&shared.mutex);
    /* Every other thread ends before the next one starts: their tokens differ all the same. */
    while (i % 2 == 0 && shared.ended <= i) os_cond_wait(&shared.cond, &shared.mutex, UINT64_MAX);
    os_mutex_unlock(&shared.mutex);
  }
  os_mutex_lock(&shared.mutex);
  while (shared.ended < n_threads) os_cond_wait(&shared.cond, &shared.mutex, UINT64_MAX);
  os_mutex_unlock(&shared.mutex);
  assert_int_equal(shared.n, n_threads * 1000);
  assert_true(shared.signals_blocked);
  uint64_t mine = os_thread_token();
  assert_true(mine != 0 && mine == os_thread_token());
  for (unsigned i = 0; i < n_threads; i++) {
    assert_true(shared.tokens[i] != mine);
    for (unsigned k = 0; k < i; k++) assert_true(shared.tokens[i] != shared.tokens[k]);
  }
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  assert_false(sigismember(&mask, SIGINT)); /* the starter's own mask is as it was */
}

static void test_waiting_ends(void **state) {
  (void)state;
  OsMutex mutex;
  OsCond cond;
  os_mutex_init(&mutex);
  os_cond_init(&cond);
  os_mutex_lock(&mutex);
  uint64_t start = os_monotonic_ns();
  while (os_cond_wait(&cond, &mutex, start + 5000000)) continue;
  assert_true(os_monotonic_ns() - start >= 5000000);
  while (os_cond_wait(&cond, &mutex, 0)) continue; /* long past */
  os_cond_wake(&cond, false);
  os_mutex_unlock(&mutex);
  os_cond_clear(&cond);
  os_mutex_clear(&mutex);
}

static _Atomic int once_state, once_calls, once_seen, once_ended;

static void once_fn(void) {
  usleep(1000);
  once_calls++;
}

static void once_worker(void *arg) {
  (void)arg;
  os_call_once(&once_state, once_fn);
  once_seen += once_calls == 1;
  once_ended++;
}

static void test_call_once(void **state) {
  (void)state;
  for (int i = 0; i < 8; i++) assert_true(os_thread_start(once_worker, NULL));
  os_call_once(&once_state, once_fn);
  assert_int_equal(once_calls, 1);
  while (once_ended < 8) usleep(100);
  assert_int_equal(once_seen, 8);
}

/* Two counters that are equal whenever the inner mutex is free, under two mutexes. */
static struct {
  OsMutex outer, inner;
  unsigned a, b, n_ended;
  _Atomic bool stops;
} forked;
static _Atomic int n_forked;

static void count_both(void) {
  os_mutex_lock(&forked.outer);
  os_mutex_lock(&forked.inner);
  forked.a++;
  sched_yield();
  forked.b++;
  os_mutex_unlock(&forked.inner);
  os_mutex_unlock(&forked.outer);
}

static void count_until_stopped(void *arg) {
  (void)arg;
  while (!forked.stops) count_both();
  os_mutex_lock(&forked.outer);
  forked.n_ended++;
  os_mutex_unlock(&forked.outer);
}

static void in_child(void) {
  n_forked++;
}

/* Mutexes are free in the child, and what they guard is whole, whatever other threads do. */
static void test_at_fork(void **state) {
  (void)state;
  bool is_emulated = getenv("RILLE_EMULATED") != NULL; /* without threads in the child */
  unsigned n_threads = is_emulated ? 0 : 3;
  os_mutex_init(&forked.outer);
  os_mutex_init(&forked.inner);
  os_at_fork(in_child);
  for (unsigned i = 0; i < n_threads; i++) assert_true(os_thread_start(count_until_stopped, NULL));
  for (int i = 0; i < 50; i++) {
    pid_t child = fork();
    if (child == 0) {
      alarm(20);
      bool is_whole = forked.a == forked.b;
      count_both();
      _exit(is_whole && n_forked == 1 ? 0 : 1);
    }
    int status = 1;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(n_forked, 0);
  }
  forked.stops = true;
  for (bool is_over = false; !is_over;) {
    usleep(100);
    os_mutex_lock(&forked.outer);
    is_over = forked.n_ended == n_threads;
    os_mutex_unlock(&forked.outer);
  }
  os_mutex_clear(&forked.outer);
  os_mutex_clear(&forked.inner);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_facts),
    cmocka_unit_test(test_reserve_and_commit),
    cmocka_unit_test(test_large_reservations),
#if defined(__x86_64__) || defined(__aarch64__)
    cmocka_unit_test(test_executable),
#endif
    cmocka_unit_test(test_map_file),
    cmocka_unit_test(test_images),
    cmocka_unit_test(test_threads),
    cmocka_unit_test(test_waiting_ends),
    cmocka_unit_test(test_call_once),
    cmocka_unit_test(test_at_fork),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
