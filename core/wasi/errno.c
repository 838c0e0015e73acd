/* errno.c - error numbers of the host as those of preview 1, and their names.
 */
#include "wasi.h"

#include <errno.h>

Result wasi_errno(int host_errno) {
  static const struct {
    int host;
    Result result;
  } rows[] = {
#define ERRNO(name, number, host) {host, number},
#include "errno.def"
      {EOPNOTSUPP, ERRNO_NOTSUP}, /* the same as ENOTSUP on some hosts */
      {EWOULDBLOCK, ERRNO_AGAIN},
  };
  for (size_t i = 1; i < COUNT_OF(rows); i++) {
    if (rows[i].host == host_errno && host_errno != 0) return rows[i].result;
  }
  return ERRNO_IO;
}

Result wasi_last_errno(void) {
  return wasi_errno(errno);
}

const char *wasi_errno_name(Result result) {
  static const char *const names[] = {
#define ERRNO(name, number, host) [number] = #name,
#include "errno.def"
  };
  return result < COUNT_OF(names) ? names[result] : "?";
}
