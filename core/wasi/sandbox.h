/* sandbox.h - paths of a guest, resolved below a directory and never outside of it.
 *
 * A path is followed component by component from an open directory. Symbolic links are followed as
 * long as they stay inside; absolute ones and `..` above the directory are refused with
 * ERRNO_PERM, also when somebody else exchanges directories and links meanwhile.
 */
#ifndef RILLE_WASI_SANDBOX_H
#define RILLE_WASI_SANDBOX_H

#include "wasi.h"

enum { PATH_ROOM = 4096 }; /* with its end */

/* Where a path ends: a name in an open directory, which nothing resolves any further. */
typedef struct Place {
  int dir;          /* of the host */
  bool owns_dir;    /* sandbox_leave closes it */
  bool has_slash;   /* the path ended in one: only a directory will do */
  const char *name; /* one component, in `text`; "." for the directory itself */
  char text[PATH_ROOM];
} Place;

/* The place that the path means. The last component's link is followed when `follows` says so or a
 * slash is behind it; the others' always. The caller leaves the place. */
Result sandbox_find(const rille_Wasi *wasi, int root, const char *path, bool follows, Place *out);
void sandbox_leave(Place *place);

/* Opens the path with the flags of openat, O_NOFOLLOW among them when the last link is not to be
 * followed. */
Result sandbox_open(const rille_Wasi *wasi, int root, const char *path, int flags, int *host);

#endif
