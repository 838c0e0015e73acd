/* table.c - the guest's descriptors.
 *
 * Numbers are indices; free ones form a list. An entry owns the host's descriptor. Standard streams
 * are 0 to 2, pre-opened directories and sockets follow.
 */
#include "wasi.h"

#include <dirent.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_ENTRIES = 1 << 20 };

#define FILE_RIGHTS                                                                                \
  (RIGHT_OF(FD_DATASYNC) | RIGHT_OF(FD_READ) | RIGHT_OF(FD_SEEK) | RIGHT_OF(FD_FDSTAT_SET_FLAGS) | \
   RIGHT_OF(FD_SYNC) | RIGHT_OF(FD_TELL) | RIGHT_OF(FD_WRITE) | RIGHT_OF(FD_ADVISE) |              \
   RIGHT_OF(FD_ALLOCATE) | RIGHT_OF(FD_FILESTAT_GET) | RIGHT_OF(FD_FILESTAT_SET_SIZE) |            \
   RIGHT_OF(FD_FILESTAT_SET_TIMES) | RIGHT_OF(POLL_FD_READWRITE))
#define DIRECTORY_RIGHTS                                                                           \
  (RIGHT_OF(FD_FDSTAT_SET_FLAGS) | RIGHT_OF(FD_SYNC) | RIGHT_OF(FD_DATASYNC) |                     \
   RIGHT_OF(FD_ADVISE) | RIGHT_OF(PATH_CREATE_DIRECTORY) | RIGHT_OF(PATH_CREATE_FILE) |            \
   RIGHT_OF(PATH_LINK_SOURCE) | RIGHT_OF(PATH_LINK_TARGET) | RIGHT_OF(PATH_OPEN) |                 \
   RIGHT_OF(FD_READDIR) | RIGHT_OF(PATH_READLINK) | RIGHT_OF(PATH_RENAME_SOURCE) |                 \
   RIGHT_OF(PATH_RENAME_TARGET) | RIGHT_OF(PATH_FILESTAT_GET) | RIGHT_OF(PATH_FILESTAT_SET_SIZE) | \
   RIGHT_OF(PATH_FILESTAT_SET_TIMES) | RIGHT_OF(FD_FILESTAT_GET) |                                 \
   RIGHT_OF(FD_FILESTAT_SET_TIMES) | RIGHT_OF(PATH_SYMLINK) | RIGHT_OF(PATH_REMOVE_DIRECTORY) |    \
   RIGHT_OF(PATH_UNLINK_FILE) | RIGHT_OF(POLL_FD_READWRITE))
#define SOCKET_RIGHTS                                                                  \
  (RIGHT_OF(FD_READ) | RIGHT_OF(FD_WRITE) | RIGHT_OF(FD_FDSTAT_SET_FLAGS) |            \
   RIGHT_OF(FD_FILESTAT_GET) | RIGHT_OF(POLL_FD_READWRITE) | RIGHT_OF(SOCK_SHUTDOWN) | \
   RIGHT_OF(SOCK_ACCEPT))

uint64_t wasi_rights_of(FileType type) {
  switch (type) {
    case TYPE_DIRECTORY: return DIRECTORY_RIGHTS;
    case TYPE_SOCKET_DGRAM:
    case TYPE_SOCKET_STREAM: return SOCKET_RIGHTS;
    default: return FILE_RIGHTS;
  }
}

FileType wasi_type_of_mode(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFBLK: return TYPE_BLOCK_DEVICE;
    case S_IFCHR: return TYPE_CHARACTER_DEVICE;
    case S_IFDIR: return TYPE_DIRECTORY;
    case S_IFREG: return TYPE_REGULAR_FILE;
    case S_IFLNK: return TYPE_SYMBOLIC_LINK;
    case S_IFSOCK: return TYPE_SOCKET_STREAM;
    default: return TYPE_UNKNOWN; /* pipes have no type of their own */
  }
}

static bool grow(rille_Wasi *wasi) {
  uint32_t room = wasi->room != 0 ? wasi->room * 2 : 8;
  if (room > MOST_ENTRIES) return false;
  Entry *entries =
      wasi_resize(wasi, wasi->entries, wasi->room * sizeof(Entry), room * sizeof(Entry));
  if (entries == NULL) return false;
  wasi->entries = entries;
  wasi->room = room;
  return true;
}

Result wasi_reserve_entry(rille_Wasi *wasi) {
  if (wasi->is_closed) return ERRNO_BADF;
  if (wasi->first_free != UINT32_MAX || wasi->n_entries < wasi->room || grow(wasi)) {
    return ERRNO_SUCCESS;
  }
  return ERRNO_MFILE;
}

Result wasi_new_entry(rille_Wasi *wasi, uint32_t *fd) {
  TRY(wasi_reserve_entry(wasi));
  if (wasi->first_free != UINT32_MAX) {
    *fd = wasi->first_free;
    wasi->first_free = wasi->entries[*fd].next_free;
  } else {
    *fd = wasi->n_entries++;
  }
  wasi->entries[*fd] = (Entry){.kind = ENTRY_STREAM, .host = -1};
  wasi->n_open++;
  return ERRNO_SUCCESS;
}

static void release(rille_Wasi *wasi, Entry *entry) {
  if (entry->dir != NULL) closedir(entry->dir);
  if (entry->kind == ENTRY_HOST && entry->host >= 0) close(entry->host);
  if (entry->name != NULL) wasi_resize(wasi, entry->name, entry->name_size, 0);
}

Result wasi_close_entry(rille_Wasi *wasi, uint32_t fd) {
  if (fd >= wasi->n_entries || wasi->entries[fd].kind == ENTRY_FREE) return ERRNO_BADF;
  Entry *entry = &wasi->entries[fd];
  release(wasi, entry);
  *entry = (Entry){.kind = ENTRY_FREE, .next_free = wasi->first_free};
  wasi->first_free = fd;
  wasi->n_open--;
  return ERRNO_SUCCESS;
}

/* SOCK_DGRAM and the like have a type of their own. */
static FileType type_of_socket(int host) {
  int type = SOCK_STREAM;
  socklen_t size = sizeof type;
  (void)getsockopt(host, SOL_SOCKET, SO_TYPE, &type, &size);
  return type == SOCK_DGRAM ? TYPE_SOCKET_DGRAM : TYPE_SOCKET_STREAM;
}

void wasi_init_unseen(Entry *entry, int host, uint64_t rights, uint64_t inheriting) {
  entry->kind = ENTRY_HOST;
  entry->host = host;
  entry->rights = rights;
  entry->inheriting = inheriting;
  entry->is_unseen = true;
}

/* Rights that do not apply to what it is are left out. */
static COLD Result look_at(Entry *entry) {
  struct stat about;
  if (fstat(entry->host, &about) != 0) return wasi_last_errno();
  FileType type = wasi_type_of_mode(about.st_mode);
  entry->is_socket = S_ISSOCK(about.st_mode);
  if (entry->is_socket) type = type_of_socket(entry->host);
  entry->type = (uint8_t)type;
  entry->may_wait = type != TYPE_REGULAR_FILE && type != TYPE_DIRECTORY;
  entry->rights &= wasi_rights_of(type);
  entry->inheriting &= type == TYPE_DIRECTORY ? DIRECTORY_RIGHTS | FILE_RIGHTS : 0;
  entry->is_unseen = false;
  return ERRNO_SUCCESS;
}

Result wasi_init_host(Entry *entry, int host) {
  wasi_init_unseen(entry, host, ALL_RIGHTS, ALL_RIGHTS);
  return look_at(entry);
}

Result wasi_get(const rille_Wasi *wasi, uint32_t fd, uint64_t rights, Entry **out) {
  if (fd >= wasi->n_entries || wasi->entries[fd].kind == ENTRY_FREE) return ERRNO_BADF;
  *out = &wasi->entries[fd];
  if (UNLIKELY((*out)->is_unseen)) TRY(look_at(*out));
  return ((*out)->rights & rights) == rights ? ERRNO_SUCCESS : ERRNO_NOTCAPABLE;
}

Result wasi_get_dir(const rille_Wasi *wasi, uint32_t fd, uint64_t rights, Entry **out) {
  TRY(wasi_get(wasi, fd, 0, out));
  if ((*out)->kind != ENTRY_HOST || (*out)->type != TYPE_DIRECTORY) return ERRNO_NOTDIR;
  return ((*out)->rights & rights) == rights ? ERRNO_SUCCESS : ERRNO_NOTCAPABLE;
}

Result wasi_get_host(const rille_Wasi *wasi, uint32_t fd, uint64_t rights, Entry **out) {
  TRY(wasi_get(wasi, fd, rights, out));
  return (*out)->kind == ENTRY_HOST ? ERRNO_SUCCESS : ERRNO_NOTSUP;
}

/* ---- Functions on the table ------------------------------------------------------------------ */

Result wasi_fd_close(Call *call) {
  return wasi_close_entry(call->wasi, ARG_U32(0));
}

/* The descriptor `to` closes and becomes `fd`, which is free after that. */
Result wasi_fd_renumber(Call *call) {
  rille_Wasi *wasi = call->wasi;
  uint32_t fd = ARG_U32(0), to = ARG_U32(1);
  Entry *from, *target;
  TRY(wasi_get(wasi, fd, 0, &from));
  TRY(wasi_get(wasi, to, 0, &target));
  if (fd == to) return ERRNO_SUCCESS;
  release(wasi, target);
  *target = *from;
  *from = (Entry){.kind = ENTRY_FREE, .next_free = wasi->first_free};
  wasi->first_free = fd;
  wasi->n_open--;
  return ERRNO_SUCCESS;
}

Result wasi_fd_fdstat_get(Call *call) {
  Entry *entry;
  TRY(wasi_get(call->wasi, ARG_U32(0), 0, &entry));
  uint8_t *out = guest_bytes(call, ARG_U32(1), 24);
  if (out == NULL) return ERRNO_FAULT;
  memset(out, 0, 8);
  store_u8(out, entry->type);
  store_u16(out + 2, entry->flags);
  store_u64(out + 8, entry->rights);
  store_u64(out + 16, entry->inheriting);
  return ERRNO_SUCCESS;
}

Result wasi_fd_fdstat_set_rights(Call *call) {
  Entry *entry;
  TRY(wasi_get(call->wasi, ARG_U32(0), 0, &entry));
  uint64_t base = ARG_U64(1), inheriting = ARG_U64(2);
  if ((base & ~entry->rights) != 0 || (inheriting & ~entry->inheriting) != 0) {
    return ERRNO_NOTCAPABLE;
  }
  entry->rights = base;
  entry->inheriting = inheriting;
  return ERRNO_SUCCESS;
}

Result wasi_fd_prestat_get(Call *call) {
  Entry *entry;
  TRY(wasi_get(call->wasi, ARG_U32(0), 0, &entry));
  if (!entry->is_preopen) return ERRNO_BADF; /* where libc stops to look for directories */
  uint8_t *out = guest_bytes(call, ARG_U32(1), 8);
  if (out == NULL) return ERRNO_FAULT;
  store_u32(out, 0); /* a directory */
  store_u32(out + 4, (uint32_t)entry->name_size);
  return ERRNO_SUCCESS;
}

Result wasi_fd_prestat_dir_name(Call *call) {
  Entry *entry;
  TRY(wasi_get(call->wasi, ARG_U32(0), 0, &entry));
  if (!entry->is_preopen) return ERRNO_NOTDIR;
  if (ARG_U32(2) < entry->name_size) return ERRNO_NAMETOOLONG;
  uint8_t *out = guest_bytes(call, ARG_U32(1), entry->name_size);
  if (out == NULL) return ERRNO_FAULT;
  if (entry->name_size != 0) memcpy(out, entry->name, entry->name_size);
  return ERRNO_SUCCESS;
}
