/* os.h - the only door to the operating system. os_posix.c is the only file that asks which one it
 * is.
 */
#ifndef RILLE_OS_H
#define RILLE_OS_H

#include "base.h"

size_t os_page_size(void);
unsigned os_cpu_count(void);

/* Address space. Sizes are multiples of the page size. */
void *os_reserve(size_t size);           /* no access, no memory behind it; NULL when refused */
bool os_commit(void *at, size_t size);   /* readable and writable, zero when fresh */
void os_decommit(void *at, size_t size); /* no access again, memory given back */
bool os_discard(void *at, size_t size);  /* stays accessible, reads as zero, memory given back */
bool os_clear(void *at, size_t size);    /* the same, cheaper, for memory that no image lies over */
void os_release(void *at, size_t size);
bool os_make_executable(void *at, size_t size); /* from writable to executable; never both */

/* Gives free memory of the C library's heap back, which it may keep for long otherwise. */
void os_trim_heap(void);

/* A read-only private view of a whole file: NULL with errno set when it cannot be had (also for a
 * pipe: the caller reads instead). */
const void *os_map_file(const char *path, size_t *size);
void os_unmap_file(const void *at, size_t size);

/* Files that nobody else can have written. Reading: the whole file, in memory of our own (give it
 * back with os_unmap_file); NULL when it is no regular file, a symbolic link, not the effective
 * user's, or when group or others may write it: all asked of the open descriptor. Writing: a new
 * file beside it takes its name when it is complete; the directory is made when its parent is
 * there. */
const void *os_read_private(const char *dir, const char *name, size_t *size);
bool os_write_private(const char *dir, const char *name, const void *bytes, size_t size);

/* Appends to /tmp/perf-PID.map, which this process makes when it first does; nothing when another
 * has made it. */
void os_append_perf_map(const char *text, size_t size);

/* Shows bytes that are different for each build of this library or program: the linker's build id,
 * or where there is none all that was loaded read-only; false when the system does not say where
 * that is. */
typedef void OsVisit(void *user, const void *bytes, size_t size);
bool os_visit_build(OsVisit *visit, void *user);

/* Copy-on-write images: a sealed anonymous file with these bytes, or -1. */
int os_image_new(const void *bytes, size_t size);
bool os_image_map(int image, void *at, size_t size); /* over committed memory, private */
void os_image_free(int image);

uint64_t os_monotonic_ns(void);
uint64_t os_random_seed(void);
uint64_t os_thread_token(
    void); /* never the same for two threads of a process, also when one has ended */

/* The calling thread's C stack: its lowest address and its size; false when they are not known. May
 * be slow. */
bool os_stack_bounds(const char **low, size_t *size);

/* A fork finds every mutex free, waiting until it is: the child may use what they guard. */
typedef struct OsMutex {
  _Alignas(16) unsigned char opaque[96];
} OsMutex;
typedef struct OsCond {
  _Alignas(16) unsigned char opaque[64];
} OsCond;
void os_mutex_init(OsMutex *mutex);
void os_mutex_clear(OsMutex *mutex);
void os_mutex_lock(OsMutex *mutex);
void os_mutex_unlock(OsMutex *mutex);
void os_cond_init(OsCond *cond); /* waits by the monotonic clock */
void os_cond_clear(OsCond *cond);
bool os_cond_wait(OsCond *cond, OsMutex *mutex,
                  uint64_t deadline_ns); /* false: timed out; UINT64_MAX: never */
void os_cond_wake(OsCond *cond, bool all);

/* A thread that runs fn(arg) and ends by itself; false when none can be had. Signals are blocked in
 * it. */
bool os_thread_start(void (*fn)(void *), void *arg);
void os_at_fork(void (*child)(void)); /* called in the child, which has no other thread */
void os_call_once(_Atomic int *state, void (*fn)(void)); /* state starts as 0 */

#endif
