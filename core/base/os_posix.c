/* os_posix.c - the operating system of Linux, macOS and the BSDs.
 *
 * The only file that asks which system it is compiled for. Every descriptor is close-on-exec.
 * Reserved memory is anonymous, private and not charged until it is touched.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create, sched_getaffinity */
#endif

#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#if defined(__linux__)
#include <sys/random.h>
#elif defined(__APPLE__)
#include <sys/random.h>
#endif

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

#define MAP_PLAIN (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* musl gives threads 128 KiB, too little for a helper that compiles. */
#define THREAD_STACK_MIN (1 * MIB)

typedef struct Mutex Mutex;
struct Mutex {
  pthread_mutex_t mutex;
  Mutex *next, **link; /* of all */
};

_Static_assert(sizeof(Mutex) <= sizeof(OsMutex), "OsMutex is too small");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(OsCond), "OsCond is too small");

size_t os_page_size(void) {
  static _Atomic size_t known;
  size_t size = atomic_load_explicit(&known, memory_order_relaxed);
  if (size == 0) {
    size = (size_t)sysconf(_SC_PAGESIZE);
    atomic_store_explicit(&known, size, memory_order_relaxed);
  }
  return size;
}

unsigned os_cpu_count(void) {
#if defined(__linux__)
  /* What this process may use, which containers and taskset narrow. */
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return (unsigned)MAX(CPU_COUNT(&set), 1);
#endif
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (unsigned)count : 1;
}

void *os_reserve(size_t size) {
  void *at = mmap(NULL, size, PROT_NONE, MAP_PLAIN, -1, 0);
  return at != MAP_FAILED ? at : NULL;
}

bool os_commit(void *at, size_t size) {
  return size == 0 || mprotect(at, size, PROT_READ | PROT_WRITE) == 0;
}

/* Fresh pages over whatever is there: unlike madvise, this also removes the mapping of an image,
 * whose bytes would come back otherwise. */
static bool map_fresh(void *at, size_t size, int protection) {
  return mmap(at, size, protection, MAP_PLAIN | MAP_FIXED, -1, 0) != MAP_FAILED;
}

void os_decommit(void *at, size_t size) {
  if (size != 0 && !map_fresh(at, size, PROT_NONE)) (void)mprotect(at, size, PROT_NONE);
}

bool os_discard(void *at, size_t size) {
  return size == 0 || map_fresh(at, size, PROT_READ | PROT_WRITE);
}

bool os_clear(void *at, size_t size) {
#if defined(__linux__)
  if (size == 0 || madvise(at, size, MADV_DONTNEED) == 0) return true;
#endif
  return os_discard(at, size);
}

void os_release(void *at, size_t size) {
  if (at != NULL) (void)munmap(at, size);
}

bool os_make_executable(void *at, size_t size) {
  if (mprotect(at, size, PROT_READ | PROT_EXEC) != 0) return false;
  __builtin___clear_cache((char *)at, (char *)at + size);
  return true;
}

void os_trim_heap(void) {
#if defined(__GLIBC__)
  (void)malloc_trim(0);
#endif
}

static const void *map_descriptor(int file, size_t *size) {
  struct stat info;
  if (fstat(file, &info) != 0) return NULL;
  if (!S_ISREG(info.st_mode) || info.st_size <= 0 || (uintmax_t)info.st_size > SIZE_MAX) {
    errno = EINVAL;
    return NULL;
  }
  void *at = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
  if (at == MAP_FAILED) return NULL;
  *size = (size_t)info.st_size;
  return at;
}

const void *os_map_file(const char *path, size_t *size) {
  /* Asked by name first: opening a pipe only to close it again would break its writer. */
  struct stat info;
  if (stat(path, &info) != 0) return NULL;
  if (!S_ISREG(info.st_mode)) {
    errno = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
    return NULL;
  }
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return NULL;
  const void *at = map_descriptor(file, size);
  int saved = errno;
  close(file);
  errno = saved;
  return at;
}

void os_unmap_file(const void *at, size_t size) {
  if (at != NULL) (void)munmap((void *)(uintptr_t)at, size);
}

#ifdef MFD_ALLOW_SEALING
static bool write_all(int file, const char *bytes, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t n = pwrite(file, bytes + done, size - done, (off_t)done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += (size_t)n;
  }
  return true;
}

int os_image_new(const void *bytes, size_t size) {
  int image = memfd_create("rille-image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (image < 0) return -1;
  /* Whole pages, so that no access to a mapping of it lies behind the end of the file. */
  off_t length = (off_t)align_up(size, os_page_size());
  int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
  if (ftruncate(image, length) != 0 || !write_all(image, bytes, size) ||
      fcntl(image, F_ADD_SEALS, seals) != 0) {
    close(image);
    return -1;
  }
  return image;
}
#else
int os_image_new(const void *bytes, size_t size) {
  (void)bytes;
  (void)size;
  return -1; /* the caller copies the bytes instead */
}
#endif

bool os_image_map(int image, void *at, size_t size) {
  int protection = PROT_READ | PROT_WRITE;
  return size == 0 || mmap(at, size, protection, MAP_PRIVATE | MAP_FIXED, image, 0) != MAP_FAILED;
}

void os_image_free(int image) {
  if (image >= 0) close(image);
}

uint64_t os_monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool system_random(void *out, size_t size) {
#if defined(__linux__)
  return getrandom(out, size, GRND_NONBLOCK) == (ssize_t)size;
#else
  return getentropy(out, size) == 0;
#endif
}

uint64_t os_random_seed(void) {
  uint64_t seed;
  if (system_random(&seed, sizeof seed)) return seed;
  /* Early in a boot: the clock, the process and where the loader put the stack have to do. */
  seed = os_monotonic_ns() ^ (uint64_t)getpid() << 40 ^ (uint64_t)(uintptr_t)&seed;
  seed *= UINT64_C(0x9E3779B97F4A7C15);
  return seed ^ seed >> 32;
}

uint64_t os_thread_token(void) {
  static _Atomic uint64_t last;
  static _Thread_local uint64_t token;
  if (token == 0) token = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
  return token;
}

#if defined(__linux__)
bool os_stack_bounds(const char **low, size_t *size) {
  pthread_attr_t attributes;
  void *at;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return false;
  bool known = pthread_attr_getstack(&attributes, &at, size) == 0;
  pthread_attr_destroy(&attributes);
  *low = at;
  return known;
}
#elif defined(__APPLE__)
bool os_stack_bounds(const char **low, size_t *size) {
  *size = pthread_get_stacksize_np(pthread_self());
  *low = (const char *)pthread_get_stackaddr_np(pthread_self()) - *size;
  return true;
}
#else
bool os_stack_bounds(const char **low, size_t *size) {
  (void)low;
  (void)size;
  return false;
}
#endif

static Mutex *mutex_of(OsMutex *mutex) {
  return (Mutex *)(void *)mutex->opaque;
}

static pthread_cond_t *cond_of(OsCond *cond) {
  return (pthread_cond_t *)(void *)cond->opaque;
}

/* Every mutex is taken while the process forks, so that the child finds what they guard whole. They
 * are tried and all given back when one is taken: whatever order others lock them in, and whatever
 * the holder waits for, goes on. */
static struct {
  pthread_mutex_t mutex; /* of the list */
  Mutex *first;
  pthread_once_t is_open;
} mutexes = {.mutex = PTHREAD_MUTEX_INITIALIZER, .is_open = PTHREAD_ONCE_INIT};

static void unlock_until(const Mutex *end) {
  for (Mutex *it = mutexes.first; it != end; it = it->next) pthread_mutex_unlock(&it->mutex);
}

static void lock_all(void) {
  for (;;) {
    pthread_mutex_lock(&mutexes.mutex);
    Mutex *it = mutexes.first;
    while (it != NULL && pthread_mutex_trylock(&it->mutex) == 0) it = it->next;
    if (it == NULL) return;
    unlock_until(it);
    pthread_mutex_unlock(&mutexes.mutex);
    sched_yield();
  }
}

static void unlock_all(void) {
  unlock_until(NULL);
  pthread_mutex_unlock(&mutexes.mutex);
}

static void open_all(void) {
  (void)pthread_atfork(lock_all, unlock_all, unlock_all);
}

void os_mutex_init(OsMutex *mutex) {
  Mutex *made = mutex_of(mutex);
  pthread_mutex_init(&made->mutex, NULL);
  pthread_once(&mutexes.is_open, open_all);
  pthread_mutex_lock(&mutexes.mutex);
  made->next = mutexes.first;
  made->link = &mutexes.first;
  if (made->next != NULL) made->next->link = &made->next;
  mutexes.first = made;
  pthread_mutex_unlock(&mutexes.mutex);
}

void os_mutex_clear(OsMutex *mutex) {
  Mutex *gone = mutex_of(mutex);
  pthread_mutex_lock(&mutexes.mutex);
  *gone->link = gone->next;
  if (gone->next != NULL) gone->next->link = gone->link;
  pthread_mutex_unlock(&mutexes.mutex);
  pthread_mutex_destroy(&gone->mutex);
}

void os_mutex_lock(OsMutex *mutex) {
  pthread_mutex_lock(&mutex_of(mutex)->mutex);
}

void os_mutex_unlock(OsMutex *mutex) {
  pthread_mutex_unlock(&mutex_of(mutex)->mutex);
}

static struct timespec timespec_of(uint64_t ns) {
  return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                           .tv_nsec = (long)(ns % 1000000000u)};
}

#if defined(__APPLE__)
void os_cond_init(OsCond *cond) {
  pthread_cond_init(cond_of(cond), NULL);
}

/* Conditions cannot be given another clock there, but they can wait for a span. */
static int wait_until(OsCond *cond, OsMutex *mutex, uint64_t deadline_ns) {
  uint64_t now = os_monotonic_ns();
  struct timespec left = timespec_of(deadline_ns > now ? deadline_ns - now : 0);
  return pthread_cond_timedwait_relative_np(cond_of(cond), &mutex_of(mutex)->mutex, &left);
}
#else
void os_cond_init(OsCond *cond) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(cond_of(cond), &attributes);
  pthread_condattr_destroy(&attributes);
}

static int wait_until(OsCond *cond, OsMutex *mutex, uint64_t deadline_ns) {
  struct timespec deadline = timespec_of(deadline_ns);
  return pthread_cond_timedwait(cond_of(cond), &mutex_of(mutex)->mutex, &deadline);
}
#endif

void os_cond_clear(OsCond *cond) {
  pthread_cond_destroy(cond_of(cond));
}

bool os_cond_wait(OsCond *cond, OsMutex *mutex, uint64_t deadline_ns) {
  if (deadline_ns == UINT64_MAX) {
    return pthread_cond_wait(cond_of(cond), &mutex_of(mutex)->mutex) == 0;
  }
  return wait_until(cond, mutex, deadline_ns) != ETIMEDOUT;
}

void os_cond_wake(OsCond *cond, bool all) {
  if (all) {
    pthread_cond_broadcast(cond_of(cond));
  } else {
    pthread_cond_signal(cond_of(cond));
  }
}

/* What a new thread has to know. It lies on the starter's stack, who waits until it was copied: so
 * starting a thread allocates nothing of ours. */
typedef struct ThreadStart {
  void (*fn)(void *);
  void *arg;
  _Atomic bool copied; /* the last thing the new thread touches */
} ThreadStart;

static void *thread_main(void *user) {
  ThreadStart *start = user;
  void (*fn)(void *) = start->fn;
  void *arg = start->arg;
  atomic_store_explicit(&start->copied, true, memory_order_release);
  fn(arg);
  return NULL;
}

/* All but the faults of the thread itself: blocking those would kill the process without a chance
 * for the host's handlers. */
static sigset_t blocked_signals(void) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
  sigset_t set;
  sigfillset(&set);
  for (size_t i = 0; i < COUNT_OF(faults); i++) sigdelset(&set, faults[i]);
  return set;
}

static bool create_detached(void *(*entry)(void *), void *user) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  size_t stack = 0;
  if (pthread_attr_getstacksize(&attributes, &stack) != 0 || stack < THREAD_STACK_MIN) {
    pthread_attr_setstacksize(&attributes, THREAD_STACK_MIN);
  }
  pthread_t thread;
  bool created = pthread_create(&thread, &attributes, entry, user) == 0;
  pthread_attr_destroy(&attributes);
  return created;
}

bool os_thread_start(void (*fn)(void *), void *arg) {
  ThreadStart start = {.fn = fn, .arg = arg};
  sigset_t blocked = blocked_signals(), before;
  pthread_sigmask(SIG_BLOCK, &blocked, &before); /* the new thread inherits the mask */
  bool created = create_detached(thread_main, &start);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  while (created && !atomic_load_explicit(&start.copied, memory_order_acquire)) sched_yield();
  return created;
}

void os_at_fork(void (*child)(void)) {
  (void)pthread_atfork(NULL, NULL, child);
}

void os_call_once(_Atomic int *state, void (*fn)(void)) {
  enum { UNTOUCHED, RUNNING, DONE };
  int seen = UNTOUCHED;
  if (atomic_compare_exchange_strong_explicit(state, &seen, RUNNING, memory_order_acquire,
                                              memory_order_acquire)) {
    fn();
    atomic_store_explicit(state, DONE, memory_order_release);
    return;
  }
  while (seen != DONE) {
    sched_yield();
    seen = atomic_load_explicit(state, memory_order_acquire);
  }
}
