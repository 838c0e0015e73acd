/* wasi.h - what the files of WASI preview 1 share: the context, its descriptors, a call.
 *
 * A function of the table (wasi.def) is `Result wasi_NAME(Call *call)`: it reads its arguments from
 * slots and gives an errno of preview 1, or one of the two results above these. Whatever a guest
 * passes is checked: memory by guest_bytes, descriptors and rights by wasi_get, paths by sandbox.h.
 * Nothing is held across a hook, which may leave by longjmp.
 *
 * This folder knows rille.h and the words of core/base/base.h only.
 */
#ifndef RILLE_WASI_H
#define RILLE_WASI_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* openat2, O_PATH, accept4, ppoll */
#endif

#include "../../include/rille.h"
#include "../base/base.h"

enum {
#define ERRNO(name, number, host) ERRNO_##name = number,
#include "errno.def"
  /* Not errnos: */
  WOULD_BLOCK = 0x10000, /* call->wait says for what; to be tried again */
  LEAVES                 /* call->status is to be returned: exit, trap, limit */
};
typedef uint32_t Result;

enum RightBits {
#define RIGHT(name) RIGHT_BIT_##name,
#include "right.def"
  N_RIGHTS
};
#define RIGHT_OF(name) (UINT64_C(1) << RIGHT_BIT_##name)
#define ALL_RIGHTS     ((UINT64_C(1) << N_RIGHTS) - 1)

typedef enum FileType {
  TYPE_UNKNOWN,
  TYPE_BLOCK_DEVICE,
  TYPE_CHARACTER_DEVICE,
  TYPE_DIRECTORY,
  TYPE_REGULAR_FILE,
  TYPE_SOCKET_DGRAM,
  TYPE_SOCKET_STREAM,
  TYPE_SYMBOLIC_LINK
} FileType;

enum { FD_APPEND = 1, FD_DSYNC = 2, FD_NONBLOCK = 4, FD_RSYNC = 8, FD_SYNC = 16, FD_FLAGS = 31 };

/* What a standard stream is that has no descriptor of the host. */
typedef struct Stream {
  rille_WasiStreamKind kind;
  char *bytes; /* to read, or captured */
  size_t n, at, room;
} Stream;

typedef enum EntryKind { ENTRY_FREE, ENTRY_HOST, ENTRY_STREAM } EntryKind;

/* One descriptor of the guest. */
typedef struct Entry {
  uint8_t kind;      /* EntryKind */
  uint8_t type;      /* FileType */
  bool is_preopen;   /* of a directory */
  bool is_read_only; /* a directory that may not be changed, or opened below one */
  bool may_wait;     /* reading or writing may wait: pipes, sockets, devices */
  bool is_socket;
  bool is_output; /* standard output of the host: libc's buffer goes first */
  bool is_unseen; /* what it is was not asked yet: type and what follows from it */
  uint16_t flags; /* FD_... */
  int host;       /* the host's descriptor; ENTRY_STREAM: index of the stream */
  uint64_t rights, inheriting;
  void *dir;             /* the host's directory stream, once it is read */
  uint64_t dir_position; /* of that stream: the cookie that comes next */
  char *name;            /* of a pre-opened directory */
  size_t name_size;
  uint32_t next_free;
} Entry;

/* Strings as args_get gives them: terminated, one after the other. */
typedef struct Strings {
  char *bytes;
  size_t size;
  uint32_t *offsets;
  uint32_t n;
} Strings;

struct rille_Wasi {
  rille_Engine *engine;
  size_t refs;
  Entry *entries;
  uint32_t n_entries, room, first_free, n_open;
  Strings args, env;
  Stream streams[3];
  rille_WasiHooks hooks;
  bool raises, walks_paths, is_closed;
  struct Subscription *subscriptions; /* poll.c: room for `poll_room` of each */
  struct pollfd *polled;
  int *wait_fds; /* what a call waits for */
  short *wait_events;
  size_t poll_room;
};

typedef struct Call {
  rille_Wasi *wasi;
  rille_Activation *activation;
  const rille_Slot *args;
  uint8_t *memory;
  uint64_t memory_size;
  bool is_unstable; /* of wasi_unstable: other layouts */
  rille_WasiProgress *progress;
  rille_WasiWait wait; /* of a call that would block */
  rille_Status status; /* of a call that leaves */
} Call;

typedef Result WasiFn(Call *call);
#define WASI(name, parameters, traits) WasiFn wasi_##name;
#include "wasi.def"

/* A row of wasi.def. */
enum { BLOCKS = 1, CLOCKS = 2, RANDOM = 4, STREAMS = 8, NO_RESULT = 16, NEW = 32 };
typedef struct Row {
  const char *name, *parameters;
  WasiFn *fn;
  unsigned traits;
} Row;
extern const Row wasi_rows[];
enum { MAX_SLOTS = 10 };

/* A step through Row.parameters. */
typedef struct Parameter {
  bool is_result;
  char kind;
  const char *name;
  size_t name_size;
} Parameter;
bool wasi_next_parameter(const char **at, Parameter *out);
const char *wasi_kind_types(const Parameter *parameter);

/* Arguments and the guest's memory */
#define ARG_U32(i) ((uint32_t)call->args[i])
#define ARG_U64(i) ((uint64_t)call->args[i])

/* The bytes [at, at + n), or NULL. */
static inline uint8_t *guest_bytes(const Call *call, uint32_t at, uint64_t n) {
  return at <= call->memory_size && n <= call->memory_size - at ? call->memory + at : NULL;
}

/* Writes a result; ERRNO_FAULT when it does not fit. */
static inline Result put_u32(const Call *call, uint32_t at, uint32_t x) {
  uint8_t *to = guest_bytes(call, at, sizeof x);
  if (to == NULL) return ERRNO_FAULT;
  store_u32(to, x);
  return ERRNO_SUCCESS;
}
static inline Result put_u64(const Call *call, uint32_t at, uint64_t x) {
  uint8_t *to = guest_bytes(call, at, sizeof x);
  if (to == NULL) return ERRNO_FAULT;
  store_u64(to, x);
  return ERRNO_SUCCESS;
}

#define TRY(expression)                                 \
  do {                                                  \
    Result tried = (expression);                        \
    if (UNLIKELY(tried != ERRNO_SUCCESS)) return tried; \
  } while (0)

/* context.c */
void *wasi_resize(rille_Wasi *wasi, void *ptr, size_t old_size, size_t new_size);

/* errno.c */
Result wasi_errno(int host_errno);
const char *wasi_errno_name(Result result);
Result wasi_last_errno(void); /* of errno */

/* table.c: descriptors */
/* The descriptor with all these rights; ERRNO_BADF, ERRNO_NOTCAPABLE. */
Result wasi_get(const rille_Wasi *wasi, uint32_t fd, uint64_t rights, Entry **out);
/* The same, and a directory of the host. */
Result wasi_get_dir(const rille_Wasi *wasi, uint32_t fd, uint64_t rights, Entry **out);
/* The same, and of the host (ERRNO_NOTSUP). */
Result wasi_get_host(const rille_Wasi *wasi, uint32_t fd, uint64_t rights, Entry **out);
/* A free place, which the caller fills; ERRNO_MFILE. Entries may move. */
Result wasi_new_entry(rille_Wasi *wasi, uint32_t *fd);
/* Room for one more, so that what follows cannot fail. */
Result wasi_reserve_entry(rille_Wasi *wasi);
Result wasi_close_entry(rille_Wasi *wasi, uint32_t fd);
/* Fills an entry for a descriptor of the host, which becomes its own, with all rights that apply to
 * what it is. */
Result wasi_init_host(Entry *entry, int host);
/* The same, but what it is will be asked when somebody wants to know; with these rights at most. */
void wasi_init_unseen(Entry *entry, int host, uint64_t rights, uint64_t inheriting);
uint64_t wasi_rights_of(FileType type);
FileType wasi_type_of_mode(uint32_t mode);

/* wait.c: waiting. A function never waits itself: it gives WOULD_BLOCK, and is run anew when that
 * has passed, since the host may have changed everything meanwhile. */
/* ERRNO_SUCCESS when the descriptor is ready for `events` (POLLIN, POLLOUT); else WOULD_BLOCK, or
 * ERRNO_AGAIN when the guest does not want to wait. */
Result wasi_await(Call *call, const Entry *entry, short events);
/* A callback stream has nothing yet. */
Result wasi_await_stream(Call *call, const Entry *entry);
/* For call->wait: by the block hook, or here, with looks at the host. */
rille_Status wasi_wait(Call *call);
bool wasi_make_poll_room(rille_Wasi *wasi, size_t n);
void wasi_free_poll_room(rille_Wasi *wasi);
void wasi_find_memory(Call *call);

/* io.c */
/* A list of the guest's buffers, as the host takes them: at most IO_MAX. */
enum { IO_MAX = 1024 };
struct iovec;
Result wasi_gather(const Call *call, uint32_t at, uint32_t n, struct iovec *out, int *n_out);
/* Pipes and sockets whose reader is gone must not end the host with SIGPIPE. */
ptrdiff_t wasi_write_host(const Entry *entry, const struct iovec *parts, int n);

/* Fills the buffer of a callback stream, if it is empty; *is_pending: nothing there yet. */
void wasi_fill_stream(Call *call, const Entry *entry, bool *is_pending);

/* env.c */
Result wasi_clock(Call *call, uint32_t id, uint64_t *ns);

/* trace.c */
void wasi_trace(const Call *call, const Row *row, Result result);

#endif
