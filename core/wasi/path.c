/* path.c - what is done to files by their paths, below a directory of the guest.
 *
 * Opening resolves the whole path in the sandbox; everything else finds the last name's directory
 * first and then acts on that one name, never through a link. A slash at the end asks for a
 * directory.
 */
#include "file.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Copies the path whose address is argument i. */
static Result take_path(const Call *call, unsigned i, char *out) {
  uint32_t size = ARG_U32(i + 1);
  const uint8_t *bytes = guest_bytes(call, ARG_U32(i), size);
  if (bytes == NULL) return ERRNO_FAULT;
  if (size >= PATH_ROOM) return ERRNO_NAMETOOLONG;
  if (size != 0) memcpy(out, bytes, size);
  out[size] = '\0';
  return memchr(out, '\0', size) != NULL ? ERRNO_ILSEQ : ERRNO_SUCCESS;
}

/* The directory that argument `fd` is, and in it the place of the path at argument `path`. */
static Result find(const Call *call, unsigned fd, uint64_t rights, unsigned path, bool follows,
                   Place *out) {
  char text[PATH_ROOM];
  Entry *entry;
  TRY(wasi_get_dir(call->wasi, ARG_U32(fd), rights, &entry));
  TRY(take_path(call, path, text));
  return sandbox_find(call->wasi, entry->host, text, follows, out);
}

/* The same for a change. */
static Result find_to_change(const Call *call, unsigned fd, uint64_t rights, unsigned path,
                             bool follows, Place *out) {
  Entry *entry;
  TRY(wasi_get_dir(call->wasi, ARG_U32(fd), rights, &entry));
  if (entry->is_read_only) return ERRNO_ROFS;
  return find(call, fd, rights, path, follows, out);
}

static Result leave_with(Place *place, int status) {
  Result result = status != 0 ? wasi_last_errno() : ERRNO_SUCCESS;
  sandbox_leave(place);
  return result;
}

/* About the file at the place itself. */
static Result stat_place(const Place *place, struct stat *about) {
  if (fstatat(place->dir, place->name, about, AT_SYMLINK_NOFOLLOW) != 0) return wasi_last_errno();
  return place->has_slash && !S_ISDIR(about->st_mode) ? ERRNO_NOTDIR : ERRNO_SUCCESS;
}

/* A path that ends in a slash means a directory, if it means anything. */
static Result check_slash(const Place *place) {
  struct stat about;
  return place->has_slash ? stat_place(place, &about) : ERRNO_SUCCESS;
}

static bool follows(const Call *call, unsigned i) {
  return (ARG_U32(i) & 1) != 0;
}

/* ---- Opening --------------------------------------------------------------------------------- */

enum { CREATE = 1, DIRECTORY = 2, EXCLUSIVE = 4, TRUNCATE = 8 };

static int flags_of(uint32_t oflags, uint64_t rights, uint32_t fdflags, bool follows_last) {
  bool reads = (rights & (RIGHT_OF(FD_READ) | RIGHT_OF(FD_READDIR))) != 0;
  bool writes = (rights & RIGHT_OF(FD_WRITE)) != 0;
  int flags = O_NOCTTY | O_NONBLOCK | (writes ? (reads ? O_RDWR : O_WRONLY) : O_RDONLY);
  if (!follows_last) flags |= O_NOFOLLOW;
  if ((oflags & CREATE) != 0) flags |= O_CREAT;
  if ((oflags & DIRECTORY) != 0) flags |= O_DIRECTORY;
  if ((oflags & EXCLUSIVE) != 0) flags |= O_EXCL;
  if ((oflags & TRUNCATE) != 0) flags |= O_TRUNC;
  if ((fdflags & FD_APPEND) != 0) flags |= O_APPEND;
  if ((fdflags & FD_DSYNC) != 0) flags |= O_DSYNC;
  if ((fdflags & (FD_SYNC | FD_RSYNC)) != 0) flags |= O_SYNC;
  return flags;
}

/* What opening needs of the directory. */
static Result check_open(const Call *call, const Entry *dir) {
  uint32_t oflags = ARG_U32(4), fdflags = ARG_U32(7);
  uint64_t needed = RIGHT_OF(PATH_OPEN),
           known = wasi_rights_of(TYPE_REGULAR_FILE) | wasi_rights_of(TYPE_DIRECTORY);
  if (oflags > 15 || fdflags > FD_FLAGS) return ERRNO_INVAL;
  if ((oflags & (CREATE | DIRECTORY)) == (CREATE | DIRECTORY)) return ERRNO_INVAL;
  if ((oflags & CREATE) != 0) needed |= RIGHT_OF(PATH_CREATE_FILE);
  if ((oflags & TRUNCATE) != 0) needed |= RIGHT_OF(PATH_FILESTAT_SET_SIZE);
  if ((dir->rights & needed) != needed) return ERRNO_NOTCAPABLE;
  if (((ARG_U64(5) | ARG_U64(6)) & known & ~dir->inheriting) != 0) return ERRNO_NOTCAPABLE;
  if (!dir->is_read_only) return ERRNO_SUCCESS;
  bool changes = (oflags & TRUNCATE) != 0 || (oflags & (CREATE | EXCLUSIVE)) > CREATE ||
                 (ARG_U64(5) & RIGHT_OF(FD_WRITE)) != 0;
  return changes ? ERRNO_ROFS : ERRNO_SUCCESS;
}

static Result open_in(const Call *call, const Entry *dir, const char *path, int *host) {
  int flags = flags_of(ARG_U32(4), ARG_U64(5), ARG_U32(7), follows(call, 1));
  bool would_create = dir->is_read_only && (flags & O_CREAT) != 0;
  if (would_create) flags &= ~O_CREAT;
  Result result = sandbox_open(call->wasi, dir->host, path, flags, host);
  return result == ERRNO_NOENT && would_create ? ERRNO_ROFS : result;
}

Result wasi_path_open(Call *call) {
  char path[PATH_ROOM];
  Entry *entry;
  uint32_t fd;
  int host;
  TRY(wasi_get_dir(call->wasi, ARG_U32(0), 0, &entry));
  TRY(check_open(call, entry));
  TRY(take_path(call, 2, path));
  TRY(put_u32(call, ARG_U32(8), 0));
  TRY(wasi_reserve_entry(call->wasi));
  const Entry dir = call->wasi->entries[ARG_U32(0)];
  TRY(open_in(call, &dir, path, &host));
  (void)wasi_new_entry(call->wasi, &fd); /* there is room */
  entry = &call->wasi->entries[fd];
  wasi_init_unseen(entry, host, ARG_U64(5), ARG_U64(6) & dir.inheriting);
  entry->flags = (uint16_t)ARG_U32(7);
  entry->is_read_only = dir.is_read_only;
  return put_u32(call, ARG_U32(8), fd);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

Result wasi_path_filestat_get(Call *call) {
  Place place;
  struct stat about;
  TRY(find(call, 0, RIGHT_OF(PATH_FILESTAT_GET), 2, follows(call, 1), &place));
  Result result = stat_place(&place, &about);
  sandbox_leave(&place);
  return result != ERRNO_SUCCESS ? result : file_put_stat(call, ARG_U32(4), &about);
}

Result wasi_path_readlink(Call *call) {
  Place place;
  uint8_t *out = guest_bytes(call, ARG_U32(3), ARG_U32(4));
  if (out == NULL) return ERRNO_FAULT;
  TRY(find(call, 0, RIGHT_OF(PATH_READLINK), 1, false, &place));
  Result result = check_slash(&place);
  char target[PATH_ROOM];
  ssize_t size = 0;
  if (result == ERRNO_SUCCESS) size = readlinkat(place.dir, place.name, target, sizeof target);
  if (size < 0) result = wasi_last_errno();
  sandbox_leave(&place);
  TRY(result);
  uint32_t used = MIN((uint32_t)size, ARG_U32(4));
  memcpy(out, target, used);
  return put_u32(call, ARG_U32(5), used);
}

/* ---- Changing -------------------------------------------------------------------------------- */

Result wasi_path_filestat_set_times(Call *call) {
  Place place;
  struct timespec times[2];
  TRY(file_times(ARG_U64(4), ARG_U64(5), ARG_U32(6), times));
  TRY(find_to_change(call, 0, RIGHT_OF(PATH_FILESTAT_SET_TIMES), 2, follows(call, 1), &place));
  Result result = check_slash(&place);
  if (result != ERRNO_SUCCESS) {
    sandbox_leave(&place);
    return result;
  }
  return leave_with(&place, utimensat(place.dir, place.name, times, AT_SYMLINK_NOFOLLOW));
}

/* The directory's own name, without what a slash behind it would follow. */
static Result find_new(const Call *call, unsigned fd, uint64_t right, unsigned path, Place *out) {
  Entry *entry;
  char text[PATH_ROOM];
  TRY(wasi_get_dir(call->wasi, ARG_U32(fd), right, &entry));
  if (entry->is_read_only) return ERRNO_ROFS;
  TRY(take_path(call, path, text));
  size_t size = strlen(text);
  bool has_slash = size > 0 && text[size - 1] == '/';
  while (size > 1 && text[size - 1] == '/') text[--size] = '\0';
  TRY(sandbox_find(call->wasi, entry->host, text, false, out));
  out->has_slash = has_slash;
  return ERRNO_SUCCESS;
}

Result wasi_path_create_directory(Call *call) {
  Place place;
  TRY(find_new(call, 0, RIGHT_OF(PATH_CREATE_DIRECTORY), 1, &place));
  return leave_with(&place, mkdirat(place.dir, place.name, 0777));
}

Result wasi_path_remove_directory(Call *call) {
  Place place;
  TRY(find_new(call, 0, RIGHT_OF(PATH_REMOVE_DIRECTORY), 1, &place));
  return leave_with(&place, unlinkat(place.dir, place.name, AT_REMOVEDIR));
}

Result wasi_path_unlink_file(Call *call) {
  Place place;
  struct stat about;
  TRY(find_new(call, 0, RIGHT_OF(PATH_UNLINK_FILE), 1, &place));
  Result result = place.has_slash ? stat_place(&place, &about) : ERRNO_SUCCESS;
  if (result != ERRNO_SUCCESS) {
    sandbox_leave(&place);
    return result;
  }
  return leave_with(&place, unlinkat(place.dir, place.name, 0));
}

/* A name with a slash behind it can only become a directory. */
static Result refuse_slash(Place *place) {
  struct stat about;
  Result result = fstatat(place->dir, place->name, &about, AT_SYMLINK_NOFOLLOW) != 0
                      ? wasi_last_errno()
                      : (S_ISDIR(about.st_mode) ? ERRNO_EXIST : ERRNO_NOTDIR);
  sandbox_leave(place);
  return result;
}

Result wasi_path_symlink(Call *call) {
  char target[PATH_ROOM];
  Place place;
  TRY(take_path(call, 0, target));
  if (target[0] == '/') return ERRNO_PERM; /* it could never be followed */
  TRY(find_new(call, 2, RIGHT_OF(PATH_SYMLINK), 3, &place));
  if (place.has_slash) return refuse_slash(&place);
  return leave_with(&place, symlinkat(target, place.dir, place.name));
}

static Result link_places(const Place *from, Place *to) {
  TRY(check_slash(from));
  if (to->has_slash) return ERRNO_NOENT;
  if (linkat(from->dir, from->name, to->dir, to->name, 0) != 0) return wasi_last_errno();
  return ERRNO_SUCCESS;
}

/* What is read-only gets no second name: it could be changed by that. */
Result wasi_path_link(Call *call) {
  Place from, to;
  TRY(find_to_change(call, 0, RIGHT_OF(PATH_LINK_SOURCE), 2, follows(call, 1), &from));
  Result result = find_new(call, 4, RIGHT_OF(PATH_LINK_TARGET), 5, &to);
  if (result == ERRNO_SUCCESS) {
    result = link_places(&from, &to);
    sandbox_leave(&to);
  }
  sandbox_leave(&from);
  return result;
}

static Result rename_places(const Place *from, const Place *to) {
  struct stat about;
  if (from->has_slash || to->has_slash) {
    if (fstatat(from->dir, from->name, &about, AT_SYMLINK_NOFOLLOW) != 0) return wasi_last_errno();
    if (!S_ISDIR(about.st_mode)) return ERRNO_NOTDIR;
  }
  if (renameat(from->dir, from->name, to->dir, to->name) != 0) return wasi_last_errno();
  return ERRNO_SUCCESS;
}

Result wasi_path_rename(Call *call) {
  Place from, to;
  TRY(find_new(call, 0, RIGHT_OF(PATH_RENAME_SOURCE), 1, &from));
  Result result = find_new(call, 3, RIGHT_OF(PATH_RENAME_TARGET), 4, &to);
  if (result == ERRNO_SUCCESS) {
    result = rename_places(&from, &to);
    sandbox_leave(&to);
  }
  sandbox_leave(&from);
  return result;
}
