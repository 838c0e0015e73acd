/* sandbox_posix.c - resolving paths inside a directory.
 *
 * Where the kernel can do it (openat2 with RESOLVE_BENEATH) it does; else, and when the kernel
 * gives up because of renames meanwhile, the path is walked here. A walk opens one component at a
 * time with O_NOFOLLOW and reads links itself, so that a link that appears behind its back is an
 * error and no way out. It goes up by opening "..", but only into the directory that it came from,
 * told by device and inode.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <stdatomic.h>
#include <sys/syscall.h>
#endif

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

enum { LINKS_MAX = 40, CREATE_MODE = 0666, DEPTH_MAX = PATH_ROOM / 2 };
#define DIR_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

void sandbox_leave(Place *place) {
  if (place->owns_dir) close(place->dir);
  place->owns_dir = false;
}

/* ---- Components ------------------------------------------------------------------------------ */

typedef struct Component {
  size_t size;
  size_t rest;    /* offset of what follows its slashes */
  bool has_slash; /* behind it */
} Component;

static Component first_component(const char *path) {
  Component out = {.size = strcspn(path, "/")};
  out.rest = out.size + strspn(path + out.size, "/");
  out.has_slash = out.rest != out.size;
  return out;
}

static bool is_name(const char *path, size_t size, const char *name) {
  return size == strlen(name) && memcmp(path, name, size) == 0;
}

/* Replaces `path` by the link's target and what comes behind the link. */
static Result put_target(char *path, const char *target, size_t target_size, const char *rest) {
  size_t rest_size = strlen(rest);
  if (target_size == 0) return ERRNO_NOENT;
  if (target[0] == '/') return ERRNO_PERM;
  if (target_size + 1 + rest_size + 1 > PATH_ROOM) return ERRNO_NAMETOOLONG;
  memmove(path + target_size + 1, rest, rest_size + 1);
  memcpy(path, target, target_size);
  path[target_size] = '/';
  return ERRNO_SUCCESS;
}

/* Reads a link; its size, 0 when the name is none (or is missing). */
static size_t read_link(int dir, const char *name, char *target) {
  ssize_t size = readlinkat(dir, name, target, PATH_ROOM);
  return size > 0 ? (size_t)size : 0;
}

/* ---- Walking --------------------------------------------------------------------------------- */

typedef struct Ident {
  dev_t device;
  ino_t inode;
} Ident;

typedef struct Walk {
  int root, dir; /* dir is owned when it is not root */
  unsigned n_links, depth;
  bool follows;
  Ident above[DEPTH_MAX]; /* the directories that were entered, above[depth] is `dir` */
  char path[PATH_ROOM];   /* what is still to go */
} Walk;

static Result identify(int dir, Ident *out) {
  struct stat about;
  if (fstat(dir, &about) != 0) return wasi_last_errno();
  *out = (Ident){about.st_dev, about.st_ino};
  return ERRNO_SUCCESS;
}

static void move_to(Walk *walk, int dir) {
  if (walk->dir != walk->root) close(walk->dir);
  walk->dir = dir;
}

static Result go_up(Walk *walk) {
  if (walk->depth == 0) return ERRNO_PERM;
  int dir = openat(walk->dir, "..", DIR_FLAGS);
  if (dir < 0) return wasi_last_errno();
  Ident ident = {0};
  Result result = identify(dir, &ident);
  const Ident *expected = &walk->above[walk->depth - 1];
  if (result == ERRNO_SUCCESS &&
      (ident.device != expected->device || ident.inode != expected->inode)) {
    result = ERRNO_PERM; /* somebody moved the directory meanwhile */
  }
  if (result != ERRNO_SUCCESS) {
    close(dir);
    return result;
  }
  walk->depth--;
  move_to(walk, dir);
  return ERRNO_SUCCESS;
}

/* Enters the directory `name`. */
static Result go_down(Walk *walk, const char *name) {
  if (walk->depth + 1 == DEPTH_MAX) return ERRNO_NAMETOOLONG;
  int dir = openat(walk->dir, name, DIR_FLAGS);
  if (dir < 0) return wasi_last_errno();
  Result result = identify(dir, &walk->above[walk->depth + 1]);
  if (result != ERRNO_SUCCESS) {
    close(dir);
    return result;
  }
  walk->depth++;
  move_to(walk, dir);
  return ERRNO_SUCCESS;
}

/* The name is a link: its target comes in front of what is still to go. */
static Result expand(Walk *walk, const char *target, size_t size, const char *rest) {
  if (++walk->n_links > LINKS_MAX) return ERRNO_LOOP;
  return put_target(walk->path, target, size, rest);
}

/* Goes through the first component of walk->path, which is not the last. */
static Result step(Walk *walk, const Component *first) {
  char name[PATH_ROOM], target[PATH_ROOM];
  memcpy(name, walk->path, first->size);
  name[first->size] = '\0';
  const char *rest = walk->path + first->rest;
  Result result = ERRNO_SUCCESS;
  if (strcmp(name, "..") == 0) {
    result = go_up(walk);
  } else if (strcmp(name, ".") != 0) {
    result = go_down(walk, name);
    size_t size =
        result == ERRNO_NOTDIR || result == ERRNO_LOOP ? read_link(walk->dir, name, target) : 0;
    if (size != 0) return expand(walk, target, size, rest);
  }
  if (result == ERRNO_SUCCESS) memmove(walk->path, rest, strlen(rest) + 1);
  return result;
}

/* The last component: *is_final unless it is a link that is followed or a way up. */
static Result step_last(Walk *walk, const Component *last, Place *out) {
  char target[PATH_ROOM];
  out->has_slash = last->has_slash;
  if (is_name(walk->path, last->size, "..")) {
    TRY(go_up(walk));
    memcpy(walk->path, ".", 2);
    return ERRNO_SUCCESS;
  }
  walk->path[last->size] = '\0';
  if (!walk->follows && !last->has_slash) return ERRNO_SUCCESS;
  size_t size = read_link(walk->dir, walk->path, target);
  if (size == 0) return ERRNO_SUCCESS;
  TRY(expand(walk, target, size, ""));
  if (!last->has_slash) walk->path[size] = '\0';
  return ERRNO_AGAIN;
}

static Result run_walk(Walk *walk, Place *out) {
  for (;;) {
    Component first = first_component(walk->path);
    bool is_last = walk->path[first.rest] == '\0';
    Result result = is_last ? step_last(walk, &first, out) : step(walk, &first);
    if (is_last && result != ERRNO_AGAIN) return result;
    if (!is_last && result != ERRNO_SUCCESS) return result;
  }
}

static Result walk_to(int root, const char *path, bool follows, Place *out) {
  Walk walk;
  walk.root = walk.dir = root;
  walk.n_links = walk.depth = 0;
  walk.follows = follows;
  TRY(identify(root, &walk.above[0]));
  memcpy(walk.path, path, strlen(path) + 1);
  Result result = run_walk(&walk, out);
  if (result != ERRNO_SUCCESS) {
    move_to(&walk, root);
    return result;
  }
  out->dir = walk.dir;
  out->owns_dir = walk.dir != root;
  memcpy(out->text, walk.path, strlen(walk.path) + 1);
  out->name = out->text;
  return ERRNO_SUCCESS;
}

static Result walk_open(int root, const char *path, int flags, int *host) {
  Place place;
  TRY(walk_to(root, path, (flags & O_NOFOLLOW) == 0, &place));
  if (place.has_slash) flags |= O_DIRECTORY;
  Result result = ERRNO_SUCCESS;
  if (place.has_slash && (flags & O_CREAT) != 0) {
    result = ERRNO_ISDIR;
  } else {
    *host = openat(place.dir, place.name, flags | O_NOFOLLOW | O_CLOEXEC, CREATE_MODE);
    if (*host < 0) result = wasi_last_errno();
  }
  sandbox_leave(&place);
  return result;
}

/* ---- openat2 --------------------------------------------------------------------------------- */

#if defined(__linux__)
#ifndef SYS_openat2
#define SYS_openat2 437 /* on every architecture */
#endif
enum { RESOLVE_INSIDE = 0x02 | 0x08 }; /* RESOLVE_NO_MAGICLINKS, RESOLVE_BENEATH */

static long open_inside(int root, const char *path, int flags) {
  struct {
    uint64_t flags, mode, resolve;
  } how = {(uint64_t)(flags | O_CLOEXEC), (flags & O_CREAT) != 0 ? CREATE_MODE : 0, RESOLVE_INSIDE};
  return syscall(SYS_openat2, root, path, &how, sizeof how);
}

static bool has_openat2(void) {
  static atomic_int known; /* 1: yes, 2: no */
  int answer = atomic_load_explicit(&known, memory_order_relaxed);
  if (answer == 0) {
    long host = open_inside(AT_FDCWD, ".", O_PATH | O_DIRECTORY);
    answer = host >= 0 || (errno != ENOSYS && errno != EPERM && errno != EINVAL) ? 1 : 2;
    if (host >= 0) close((int)host);
    atomic_store_explicit(&known, answer, memory_order_relaxed);
  }
  return answer == 1;
}

/* ERRNO_AGAIN: the kernel could not tell because of renames meanwhile. */
static Result ask_kernel(int root, const char *path, int flags, int *host) {
  enum { TRIES = 8 };
  long result = -1;
  for (int i = 0; i < TRIES; i++) {
    result = open_inside(root, path, flags);
    if (result >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  *host = (int)result;
  if (result >= 0) return ERRNO_SUCCESS;
  return errno == EXDEV ? ERRNO_PERM : wasi_last_errno();
}

/* The place, when all before the last name can be opened at once. */
static Result find_by_kernel(int root, char *path, Place *out) {
  size_t end = strlen(path);
  out->has_slash = end > 0 && path[end - 1] == '/';
  while (end > 0 && path[end - 1] == '/') path[--end] = '\0';
  char *slash = strrchr(path, '/');
  const char *name = slash != NULL ? slash + 1 : path;
  bool is_dir = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
  out->dir = root;
  out->owns_dir = false;
  if (is_dir || slash != NULL) {
    if (!is_dir) *slash = '\0';
    TRY(ask_kernel(root, path, O_PATH | O_DIRECTORY, &out->dir));
    out->owns_dir = true;
    if (!is_dir) *slash = '/';
  }
  if (is_dir) name = ".";
  memcpy(out->text, name, strlen(name) + 1);
  out->name = out->text;
  return ERRNO_SUCCESS;
}

/* Puts the target of the last name, found to be a link, in the place of that name. */
static Result follow_last(char *path, const Place *place, const char *target, size_t size) {
  size_t before = strlen(path) - strlen(place->name);
  if (target[0] == '/') return ERRNO_PERM;
  if (before + size + 2 > PATH_ROOM) return ERRNO_NAMETOOLONG;
  memcpy(path + before, target, size);
  memcpy(path + before + size, place->has_slash ? "/" : "", place->has_slash ? 2 : 1);
  return ERRNO_SUCCESS;
}

static Result find_with_kernel(int root, const char *from, bool follows, Place *out) {
  char path[PATH_ROOM], target[PATH_ROOM];
  memcpy(path, from, strlen(from) + 1);
  for (unsigned n_links = 0; n_links <= LINKS_MAX; n_links++) {
    TRY(find_by_kernel(root, path, out));
    bool may_be_link = (follows || out->has_slash) && strcmp(out->name, ".") != 0;
    size_t size = may_be_link ? read_link(out->dir, out->name, target) : 0;
    if (size == 0) return ERRNO_SUCCESS;
    sandbox_leave(out);
    TRY(follow_last(path, out, target, size));
  }
  return ERRNO_LOOP;
}
#else
static bool has_openat2(void) {
  return false;
}

static Result ask_kernel(int root, const char *path, int flags, int *host) {
  (void)root, (void)path, (void)flags, (void)host;
  return ERRNO_AGAIN;
}

static Result find_with_kernel(int root, const char *path, bool follows, Place *out) {
  (void)root, (void)path, (void)follows, (void)out;
  return ERRNO_AGAIN;
}
#endif

/* ---- Both ------------------------------------------------------------------------------------ */

static Result check_path(const char *path) {
  if (path[0] == '\0') return ERRNO_NOENT;
  return path[0] == '/' ? ERRNO_PERM : ERRNO_SUCCESS;
}

Result sandbox_find(const rille_Wasi *wasi, int root, const char *path, bool follows, Place *out) {
  TRY(check_path(path));
  Result result = ERRNO_AGAIN;
  if (!wasi->walks_paths && has_openat2()) result = find_with_kernel(root, path, follows, out);
  return result == ERRNO_AGAIN ? walk_to(root, path, follows, out) : result;
}

/* One name leads nowhere else unless it is a link: no need to ask for more than openat does, which
 * is faster. ERRNO_AGAIN: it may be a link to follow. */
static Result open_name(int root, const char *name, int flags, int *host) {
  *host = openat(root, name, flags | O_NOFOLLOW | O_CLOEXEC, CREATE_MODE);
  if (*host >= 0) return ERRNO_SUCCESS;
  bool may_be_link = errno == ELOOP || errno == ENOTDIR;
  return may_be_link && (flags & O_NOFOLLOW) == 0 ? ERRNO_AGAIN : wasi_last_errno();
}

Result sandbox_open(const rille_Wasi *wasi, int root, const char *path, int flags, int *host) {
  TRY(check_path(path));
  Result result = ERRNO_AGAIN;
  bool is_one_name = strchr(path, '/') == NULL && strcmp(path, "..") != 0;
  if (is_one_name) result = open_name(root, path, flags, host);
  if (result != ERRNO_AGAIN) return result;
  if (!wasi->walks_paths && has_openat2()) result = ask_kernel(root, path, flags, host);
  return result == ERRNO_AGAIN ? walk_open(root, path, flags, host) : result;
}
