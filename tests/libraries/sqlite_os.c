/* sqlite_os.c - the operating system that SQLite is given in a sandbox: none.
 *
 * Databases live in memory (":memory:"). Opening a file fails, time comes from the clock that the
 * host's WASI context has, random numbers from its `random`.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sqlite3.h"

static int open_none(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
  (void)vfs, (void)name, (void)flags, (void)out;
  file->pMethods = NULL;
  return SQLITE_CANTOPEN;
}

static int delete_none(sqlite3_vfs *vfs, const char *name, int sync) {
  (void)vfs, (void)name, (void)sync;
  return SQLITE_IOERR_DELETE;
}

static int access_none(sqlite3_vfs *vfs, const char *name, int flags, int *result) {
  (void)vfs, (void)name, (void)flags;
  *result = 0;
  return SQLITE_OK;
}

static int full_path(sqlite3_vfs *vfs, const char *name, int size, char *out) {
  (void)vfs;
  size_t n = strlen(name);
  if (n >= (size_t)size) return SQLITE_CANTOPEN;
  memcpy(out, name, n + 1);
  return SQLITE_OK;
}

static int randomness(sqlite3_vfs *vfs, int n, char *out) {
  (void)vfs;
  return n > 0 && n <= 256 && getentropy(out, (size_t)n) == 0 ? n : 0;
}

static int sleep_not(sqlite3_vfs *vfs, int microseconds) {
  (void)vfs;
  return microseconds;
}

static int current_time(sqlite3_vfs *vfs, sqlite3_int64 *out) {
  (void)vfs;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  *out = 210866760000000ll + (sqlite3_int64)now.tv_sec * 1000 + now.tv_nsec / 1000000;
  return SQLITE_OK;
}

static int current_time_days(sqlite3_vfs *vfs, double *out) {
  sqlite3_int64 ms;
  int status = current_time(vfs, &ms);
  *out = (double)ms / 86400000.0;
  return status;
}

static int last_error(sqlite3_vfs *vfs, int n, char *out) {
  (void)vfs, (void)n, (void)out;
  return 0;
}

int sqlite3_os_init(void) {
  static sqlite3_vfs vfs = {.iVersion = 2,
                            .szOsFile = sizeof(sqlite3_file),
                            .mxPathname = 512,
                            .zName = "none",
                            .xOpen = open_none,
                            .xDelete = delete_none,
                            .xAccess = access_none,
                            .xFullPathname = full_path,
                            .xRandomness = randomness,
                            .xSleep = sleep_not,
                            .xCurrentTime = current_time_days,
                            .xGetLastError = last_error,
                            .xCurrentTimeInt64 = current_time};
  return sqlite3_vfs_register(&vfs, 1);
}

int sqlite3_os_end(void) {
  return SQLITE_OK;
}
