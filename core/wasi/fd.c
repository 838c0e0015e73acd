/* fd.c - what is asked of one descriptor: position, size, times, flags, syncing, its directory.
 */
#include "wasi.h"
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Positions ------------------------------------------------------------------------------- */

static Result seek(const Entry *entry, int64_t offset, int whence, uint64_t *position) {
  if (entry->kind != ENTRY_HOST) return ERRNO_SPIPE;
  off_t at = lseek(entry->host, (off_t)offset, whence);
  if (at < 0) return wasi_last_errno();
  *position = (uint64_t)at;
  return ERRNO_SUCCESS;
}

/* A seek that goes nowhere needs the right to tell only. */
Result wasi_fd_seek(Call *call) {
  static const int preview1[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  static const int unstable[] = {SEEK_CUR, SEEK_END, SEEK_SET};
  Entry *entry;
  uint64_t position = 0;
  TRY(wasi_get(call->wasi, ARG_U32(0), 0, &entry));
  int64_t offset = (int64_t)ARG_U64(1);
  if (ARG_U32(2) > 2) return ERRNO_INVAL;
  int whence = (call->is_unstable ? unstable : preview1)[ARG_U32(2)];
  bool tells = offset == 0 && whence == SEEK_CUR;
  TRY(wasi_get(call->wasi, ARG_U32(0), tells ? RIGHT_OF(FD_TELL) : RIGHT_OF(FD_SEEK), &entry));
  TRY(seek(entry, offset, whence, &position));
  return put_u64(call, ARG_U32(3), position);
}

Result wasi_fd_tell(Call *call) {
  Entry *entry;
  uint64_t position = 0;
  TRY(wasi_get(call->wasi, ARG_U32(0), RIGHT_OF(FD_TELL), &entry));
  TRY(seek(entry, 0, SEEK_CUR, &position));
  return put_u64(call, ARG_U32(1), position);
}

/* ---- Size, times, flags ---------------------------------------------------------------------- */

static uint64_t ns_of(struct timespec time) {
  return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

#if defined(__APPLE__)
#define TIME_OF(about, which) ((about)->st_##which##timespec)
#else
#define TIME_OF(about, which) ((about)->st_##which##tim)
#endif

Result file_put_stat(const Call *call, uint32_t at, const struct stat *about) {
  uint8_t *out = guest_bytes(call, at, call->is_unstable ? 56 : 64);
  if (out == NULL) return ERRNO_FAULT;
  store_u64(out, (uint64_t)about->st_dev);
  store_u64(out + 8, (uint64_t)about->st_ino);
  store_u64(out + 16, (uint64_t)wasi_type_of_mode(about->st_mode));
  if (call->is_unstable) { /* nlink had 32 bits */
    store_u32(out + 20, (uint32_t)about->st_nlink);
    out += 24;
  } else {
    store_u64(out + 24, (uint64_t)about->st_nlink);
    out += 32;
  }
  store_u64(out, (uint64_t)about->st_size);
  store_u64(out + 8, ns_of(TIME_OF(about, a)));
  store_u64(out + 16, ns_of(TIME_OF(about, m)));
  store_u64(out + 24, ns_of(TIME_OF(about, c)));
  return ERRNO_SUCCESS;
}

Result wasi_fd_filestat_get(Call *call) {
  Entry *entry;
  struct stat about;
  TRY(wasi_get(call->wasi, ARG_U32(0), RIGHT_OF(FD_FILESTAT_GET), &entry));
  memset(&about, 0, sizeof about);
  if (entry->kind == ENTRY_HOST && fstat(entry->host, &about) != 0) return wasi_last_errno();
  TRY(file_put_stat(call, ARG_U32(1), &about));
  if (entry->type != TYPE_DIRECTORY) store_u8(guest_bytes(call, ARG_U32(1), 17) + 16, entry->type);
  return ERRNO_SUCCESS;
}

/* What changes a file, whose right is the last argument. */
static Result get_to_change(const Call *call, uint64_t right, Entry **out) {
  TRY(wasi_get(call->wasi, ARG_U32(0), right, out));
  if ((*out)->kind != ENTRY_HOST) return ERRNO_INVAL;
  return (*out)->is_read_only ? ERRNO_ROFS : ERRNO_SUCCESS;
}

Result wasi_fd_filestat_set_size(Call *call) {
  Entry *entry;
  TRY(get_to_change(call, RIGHT_OF(FD_FILESTAT_SET_SIZE), &entry));
  if (ARG_U64(1) > INT64_MAX) return ERRNO_INVAL;
  int status;
  do {
    status = ftruncate(entry->host, (off_t)ARG_U64(1));
  } while (status != 0 && errno == EINTR);
  return status != 0 ? wasi_last_errno() : ERRNO_SUCCESS;
}

static struct timespec time_to_set(uint64_t ns, bool sets, bool sets_now) {
  if (sets_now) return (struct timespec){0, UTIME_NOW};
  if (!sets) return (struct timespec){0, UTIME_OMIT};
  return (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
}

Result file_times(uint64_t atim, uint64_t mtim, uint32_t flags, struct timespec out[2]) {
  enum { ATIM = 1, ATIM_NOW = 2, MTIM = 4, MTIM_NOW = 8 };
  if (flags > 15) return ERRNO_INVAL;
  if ((flags & (ATIM | ATIM_NOW)) == (ATIM | ATIM_NOW)) return ERRNO_INVAL;
  if ((flags & (MTIM | MTIM_NOW)) == (MTIM | MTIM_NOW)) return ERRNO_INVAL;
  out[0] = time_to_set(atim, (flags & ATIM) != 0, (flags & ATIM_NOW) != 0);
  out[1] = time_to_set(mtim, (flags & MTIM) != 0, (flags & MTIM_NOW) != 0);
  return ERRNO_SUCCESS;
}

Result wasi_fd_filestat_set_times(Call *call) {
  Entry *entry;
  struct timespec times[2];
  TRY(get_to_change(call, RIGHT_OF(FD_FILESTAT_SET_TIMES), &entry));
  TRY(file_times(ARG_U64(1), ARG_U64(2), ARG_U32(3), times));
  return futimens(entry->host, times) != 0 ? wasi_last_errno() : ERRNO_SUCCESS;
}

/* Whether the guest waits is decided here and not by the host's descriptor, which others may share;
 * the kinds of syncing are fixed when a file is opened. */
Result wasi_fd_fdstat_set_flags(Call *call) {
  Entry *entry;
  uint32_t flags = ARG_U32(1);
  TRY(wasi_get(call->wasi, ARG_U32(0), RIGHT_OF(FD_FDSTAT_SET_FLAGS), &entry));
  if ((flags & ~(uint32_t)FD_FLAGS) != 0) return ERRNO_INVAL;
  if (((flags ^ entry->flags) & (FD_DSYNC | FD_RSYNC | FD_SYNC)) != 0) return ERRNO_NOTSUP;
  if (((flags ^ entry->flags) & FD_APPEND) != 0 && entry->type == TYPE_REGULAR_FILE) {
    int host = fcntl(entry->host, F_GETFL);
    host = (flags & FD_APPEND) != 0 ? host | O_APPEND : host & ~O_APPEND;
    if (fcntl(entry->host, F_SETFL, host) != 0) return wasi_last_errno();
  }
  entry->flags = (uint16_t)flags;
  return ERRNO_SUCCESS;
}

/* ---- Advice, room, syncing ------------------------------------------------------------------- */

Result wasi_fd_advise(Call *call) {
  Entry *entry;
  TRY(wasi_get(call->wasi, ARG_U32(0), RIGHT_OF(FD_ADVISE), &entry));
  if (ARG_U32(3) > 5 || ARG_U64(1) > INT64_MAX || ARG_U64(2) > INT64_MAX) return ERRNO_INVAL;
  if (entry->type == TYPE_DIRECTORY) return ERRNO_BADF;
  if (entry->kind != ENTRY_HOST) return ERRNO_SPIPE;
#if defined(POSIX_FADV_NORMAL)
  static const int advice[] = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                               POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
  int error = posix_fadvise(entry->host, (off_t)ARG_U64(1), (off_t)ARG_U64(2), advice[ARG_U32(3)]);
  if (error != 0) return wasi_errno(error);
#endif
  return ERRNO_SUCCESS;
}

Result wasi_fd_allocate(Call *call) {
  Entry *entry;
  TRY(get_to_change(call, RIGHT_OF(FD_ALLOCATE), &entry));
  uint64_t offset = ARG_U64(1), size = ARG_U64(2);
  if (size == 0 || offset > INT64_MAX || size > INT64_MAX - offset) return ERRNO_INVAL;
#if defined(_POSIX_ADVISORY_INFO) && _POSIX_ADVISORY_INFO > 0
  int error;
  do {
    error = posix_fallocate(entry->host, (off_t)offset, (off_t)size);
  } while (error == EINTR);
  return error != 0 ? wasi_errno(error) : ERRNO_SUCCESS;
#else
  return ERRNO_NOTSUP;
#endif
}

/* Pipes and the like have nothing to sync. */
static Result sync_with(const Call *call, uint64_t right, int (*sync)(int)) {
  Entry *entry;
  TRY(wasi_get(call->wasi, ARG_U32(0), right, &entry));
  if (entry->kind != ENTRY_HOST) return ERRNO_SUCCESS;
  int status;
  do {
    status = sync(entry->host);
  } while (status != 0 && errno == EINTR);
  return status != 0 && errno != EINVAL && errno != EROFS ? wasi_last_errno() : ERRNO_SUCCESS;
}

Result wasi_fd_sync(Call *call) {
  return sync_with(call, RIGHT_OF(FD_SYNC), fsync);
}

Result wasi_fd_datasync(Call *call) {
  return sync_with(call, RIGHT_OF(FD_DATASYNC), fdatasync);
}

/* ---- Directories ----------------------------------------------------------------------------- */

enum { DIRENT_SIZE = 24 };

/* A stream of its own: the position of the guest's descriptor is not its. */
static Result open_stream(Entry *entry) {
  int host = openat(entry->host, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (host < 0) return wasi_last_errno();
  entry->dir = fdopendir(host);
  if (entry->dir != NULL) return ERRNO_SUCCESS;
  Result result = wasi_last_errno();
  close(host);
  return result;
}

/* Cookies are positions of the host's stream; 0 is the start. */
static Result move_stream(Entry *entry, uint64_t cookie) {
  if (cookie > INT64_MAX) return ERRNO_INVAL;
  if (entry->dir == NULL) {
    TRY(open_stream(entry));
    entry->dir_position = 0;
  }
  if (cookie == 0) {
    rewinddir(entry->dir);
  } else if (cookie != entry->dir_position) {
    seekdir(entry->dir, (long)cookie);
  }
  entry->dir_position = cookie;
  return ERRNO_SUCCESS;
}

static FileType type_of_entry(const Entry *entry, const struct dirent *item) {
  switch (item->d_type) {
    case DT_BLK: return TYPE_BLOCK_DEVICE;
    case DT_CHR: return TYPE_CHARACTER_DEVICE;
    case DT_DIR: return TYPE_DIRECTORY;
    case DT_REG: return TYPE_REGULAR_FILE;
    case DT_LNK: return TYPE_SYMBOLIC_LINK;
    case DT_SOCK: return TYPE_SOCKET_STREAM;
    case DT_UNKNOWN: break;
    default: return TYPE_UNKNOWN;
  }
  struct stat about;
  if (fstatat(entry->host, item->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0) return TYPE_UNKNOWN;
  return wasi_type_of_mode(about.st_mode);
}

/* What is above a pre-opened directory is not the guest's to know: it is its own parent. */
static uint64_t inode_of(const Entry *entry, const struct dirent *item) {
  struct stat about;
  if (!entry->is_preopen || strcmp(item->d_name, "..") != 0) return (uint64_t)item->d_ino;
  return fstat(entry->host, &about) == 0 ? (uint64_t)about.st_ino : 0;
}

/* Copies what fits; names and records may be cut at the end of the buffer. */
static uint32_t put_entry(uint8_t *out, uint32_t room, const Entry *entry,
                          const struct dirent *item, uint64_t next) {
  uint8_t head[DIRENT_SIZE] = {0};
  uint32_t size = (uint32_t)strlen(item->d_name);
  store_u64(head, next);
  store_u64(head + 8, inode_of(entry, item));
  store_u32(head + 16, size);
  store_u8(head + 20, (uint8_t)type_of_entry(entry, item));
  uint32_t n_head = MIN(room, (uint32_t)DIRENT_SIZE), n_name = MIN(room - n_head, size);
  memcpy(out, head, n_head);
  memcpy(out + n_head, item->d_name, n_name);
  return n_head + n_name;
}

Result wasi_fd_readdir(Call *call) {
  Entry *entry;
  TRY(wasi_get_dir(call->wasi, ARG_U32(0), RIGHT_OF(FD_READDIR), &entry));
  uint32_t room = ARG_U32(2), used = 0;
  uint8_t *out = guest_bytes(call, ARG_U32(1), room);
  if (out == NULL) return ERRNO_FAULT;
  TRY(put_u32(call, ARG_U32(4), 0));
  TRY(move_stream(entry, ARG_U64(3)));
  while (used < room) {
    errno = 0;
    const struct dirent *item = readdir(entry->dir);
    if (item == NULL && errno == ENOENT) errno = 0; /* the directory itself was removed */
    if (item == NULL && errno != 0) return wasi_last_errno();
    if (item == NULL) break;
    entry->dir_position = (uint64_t)telldir(entry->dir);
    used += put_entry(out + used, room - used, entry, item, entry->dir_position);
  }
  return put_u32(call, ARG_U32(4), used);
}
