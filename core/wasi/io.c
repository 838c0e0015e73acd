/* io.c - reading and writing: fd_read, fd_write, fd_pread, fd_pwrite, and streams without a
 * descriptor of the host.
 *
 * The host reads into and writes from the guest's memory. What may wait (pipes, sockets, terminals)
 * is polled first, so that deadlines, interrupts and the host's own event loop get their turn;
 * writing then goes in pieces that a ready pipe takes at once.
 */
#include "wasi.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

Result wasi_gather(const Call *call, uint32_t at, uint32_t n, struct iovec *out, int *n_out) {
  const uint8_t *list = guest_bytes(call, at, (uint64_t)n * 8);
  if (list == NULL) return ERRNO_FAULT;
  uint64_t total = 0;
  uint32_t n_used = MIN(n, (uint32_t)IO_MAX);
  for (uint32_t i = 0; i < n_used; i++) {
    uint32_t size = load_u32(list + (size_t)i * 8 + 4);
    out[i].iov_base = guest_bytes(call, load_u32(list + (size_t)i * 8), size);
    out[i].iov_len = size;
    if (out[i].iov_base == NULL) return ERRNO_FAULT;
    total += size;
  }
  if (total > INT32_MAX) return ERRNO_INVAL;
  *n_out = (int)n_used;
  return ERRNO_SUCCESS;
}

static size_t size_of(const struct iovec *parts, int n) {
  size_t size = 0;
  for (int i = 0; i < n; i++) size += parts[i].iov_len;
  return size;
}

/* ---- Streams of the context ------------------------------------------------------------------ */

/* What a callback gives waits in the stream's buffer until it is read: a guest may poll first. */
enum { CALLBACK_ROOM = 4096 };

static bool has_buffer(rille_Wasi *wasi, Stream *stream) {
  if (stream->bytes == NULL) {
    stream->bytes = wasi_resize(wasi, NULL, 0, CALLBACK_ROOM);
    stream->room = stream->bytes != NULL ? CALLBACK_ROOM : 0;
  }
  return stream->bytes != NULL;
}

void wasi_fill_stream(Call *call, const Entry *entry, bool *is_pending) {
  int index = entry->host;
  Stream *stream = &call->wasi->streams[index];
  const rille_WasiHooks *hooks = &call->wasi->hooks;
  *is_pending = false;
  if (stream->kind != RILLE_WASI_CALLBACK || stream->at < stream->n || hooks->read == NULL ||
      !has_buffer(call->wasi, stream)) {
    return;
  }
  char bytes[CALLBACK_ROOM]; /* the hook may close the context */
  ptrdiff_t n = hooks->read(hooks->user, index, bytes, sizeof bytes);
  *is_pending = n < 0;
  stream->at = 0;
  stream->n = n > 0 ? MIN((size_t)n, sizeof bytes) : 0;
  memcpy(stream->bytes, bytes, stream->n);
  wasi_find_memory(call);
}

static Result read_stream(Call *call, const Entry *entry, const struct iovec *parts, int n,
                          size_t *n_read) {
  Stream *stream = &call->wasi->streams[entry->host];
  *n_read = 0;
  for (int i = 0; i < n && stream->kind != RILLE_WASI_CAPTURE; i++) {
    size_t size = MIN(parts[i].iov_len, stream->n - stream->at);
    if (size == 0) continue;
    memcpy(parts[i].iov_base, stream->bytes + stream->at, size);
    stream->at += size;
    *n_read += size;
  }
  return ERRNO_SUCCESS;
}

static Result capture(rille_Wasi *wasi, Stream *stream, const uint8_t *bytes, size_t size) {
  if (size > stream->room - stream->n) {
    size_t room = MAX(stream->room * 2, stream->n + size);
    char *moved = wasi_resize(wasi, stream->bytes, stream->room, room);
    if (moved == NULL) return ERRNO_NOSPC;
    stream->bytes = moved;
    stream->room = room;
  }
  if (size != 0) memcpy(stream->bytes + stream->n, bytes, size);
  stream->n += size;
  return ERRNO_SUCCESS;
}

static Result pass_on(Call *call, int index, const uint8_t *bytes, size_t size) {
  rille_Wasi *wasi = call->wasi;
  Stream *stream = &wasi->streams[index];
  if (stream->kind == RILLE_WASI_CAPTURE) return capture(wasi, stream, bytes, size);
  if (stream->kind != RILLE_WASI_CALLBACK || wasi->hooks.write == NULL || size == 0) {
    return ERRNO_SUCCESS;
  }
  bool is_taken = wasi->hooks.write(wasi->hooks.user, index, bytes, size);
  wasi_find_memory(call);
  return is_taken ? ERRNO_SUCCESS : ERRNO_IO;
}

/* A hook may move the guest's memory, so every buffer is looked for when its turn comes. */
static Result write_stream(Call *call, int index, size_t *n_written) {
  uint32_t n = ARG_U32(2);
  *n_written = 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint8_t *list = guest_bytes(call, ARG_U32(1), (uint64_t)n * 8);
    if (list == NULL) return ERRNO_FAULT;
    uint32_t size = load_u32(list + (size_t)i * 8 + 4);
    const uint8_t *bytes = guest_bytes(call, load_u32(list + (size_t)i * 8), size);
    if (bytes == NULL) return ERRNO_FAULT;
    TRY(pass_on(call, index, bytes, size));
    *n_written += size;
  }
  return ERRNO_SUCCESS;
}

/* ---- Descriptors of the host ----------------------------------------------------------------- */

static ptrdiff_t write_parts(int host, const struct iovec *parts, int n) {
  return n == 1 ? write(host, parts->iov_base, parts->iov_len) : writev(host, parts, n);
}

/* Takes back a SIGPIPE that this thread has just caused. */
static void swallow_signal(const sigset_t *pipe_signal) {
#if defined(__APPLE__)
  int got;
  sigset_t pending;
  if (sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE)) sigwait(pipe_signal, &got);
#else
  const struct timespec now = {0, 0};
  while (sigtimedwait(pipe_signal, NULL, &now) < 0 && errno == EINTR) {
  }
#endif
}

ptrdiff_t wasi_write_host(const Entry *entry, const struct iovec *parts, int n) {
  if (!entry->may_wait) return write_parts(entry->host, parts, n);
  sigset_t pipe_signal, before, pending;
  sigemptyset(&pipe_signal);
  sigemptyset(&pending);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  if (sigismember(&before, SIGPIPE)) sigpending(&pending); /* else none can be waiting */
  ptrdiff_t written = write_parts(entry->host, parts, n);
  int error = errno;
  if (written < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE)) {
    swallow_signal(&pipe_signal);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = error;
  return written;
}

static Result read_host(Call *call, const Entry *entry, const struct iovec *parts, int n,
                        size_t *n_read) {
  for (;;) {
    if (entry->may_wait) TRY(wasi_await(call, entry, POLLIN));
    ptrdiff_t got =
        n == 1 ? read(entry->host, parts->iov_base, parts->iov_len) : readv(entry->host, parts, n);
    if (got >= 0) {
      *n_read = (size_t)got;
      return ERRNO_SUCCESS;
    }
    if (errno != EINTR && (errno != EAGAIN || !entry->may_wait)) return wasi_last_errno();
  }
}

/* The next piece to write, at most PIPE_BUF bytes of one part: a ready pipe takes it at once. */
static struct iovec piece_at(const struct iovec *parts, int n, size_t at) {
  int i = 0;
  while (i < n - 1 && at >= parts[i].iov_len) at -= parts[i++].iov_len;
  return (struct iovec){(char *)parts[i].iov_base + at,
                        MIN(parts[i].iov_len - at, (size_t)PIPE_BUF)};
}

/* To what may wait. Once something is written, what cannot be written is no error; a guest that
 * waits gets all written. */
static Result write_pieces(Call *call, const Entry *entry, const struct iovec *parts, int n,
                           size_t *n_written) {
  size_t size = size_of(parts, n), at = (size_t)call->progress->n_done;
  Result result = ERRNO_SUCCESS;
  while (at < size && result == ERRNO_SUCCESS) {
    result = wasi_await(call, entry, POLLOUT);
    if (result != ERRNO_SUCCESS) break;
    struct iovec piece = piece_at(parts, n, at);
    ptrdiff_t written = wasi_write_host(entry, &piece, 1);
    if (written >= 0) {
      at += (size_t)written;
    } else if (errno != EINTR && errno != EAGAIN) {
      result = wasi_last_errno();
    }
  }
  call->progress->n_done = *n_written = at;
  return result == WOULD_BLOCK || at == 0 ? result : ERRNO_SUCCESS;
}

static Result write_host(Call *call, const Entry *entry, const struct iovec *parts, int n,
                         size_t *n_written) {
  *n_written = 0;
  if (entry->is_output) fflush(stdout);
  if (entry->may_wait) return write_pieces(call, entry, parts, n, n_written);
  ptrdiff_t written;
  do {
    written = write_parts(entry->host, parts, n);
  } while (written < 0 && errno == EINTR);
  if (written < 0) return wasi_last_errno();
  *n_written = (size_t)written;
  return ERRNO_SUCCESS;
}

/* ---- Functions ------------------------------------------------------------------------------- */

Result wasi_fd_read(Call *call) {
  struct iovec parts[IO_MAX];
  Entry *entry;
  int n;
  size_t n_read = 0;
  bool is_pending;
  TRY(wasi_get(call->wasi, ARG_U32(0), RIGHT_OF(FD_READ), &entry));
  if (entry->kind == ENTRY_STREAM) {
    wasi_fill_stream(call, entry, &is_pending);
    TRY(wasi_get(call->wasi, ARG_U32(0), RIGHT_OF(FD_READ), &entry)); /* after a hook */
    if (is_pending) return wasi_await_stream(call, entry);
  }
  TRY(wasi_gather(call, ARG_U32(1), ARG_U32(2), parts, &n));
  TRY(put_u32(call, ARG_U32(3), 0));
  TRY(entry->kind == ENTRY_STREAM ? read_stream(call, entry, parts, n, &n_read)
                                  : read_host(call, entry, parts, n, &n_read));
  return put_u32(call, ARG_U32(3), (uint32_t)n_read);
}

Result wasi_fd_write(Call *call) {
  struct iovec parts[IO_MAX];
  Entry *entry;
  int n;
  size_t n_written = 0;
  TRY(wasi_get(call->wasi, ARG_U32(0), RIGHT_OF(FD_WRITE), &entry));
  TRY(wasi_gather(call, ARG_U32(1), ARG_U32(2), parts, &n));
  TRY(put_u32(call, ARG_U32(3), 0));
  TRY(entry->kind == ENTRY_STREAM ? write_stream(call, entry->host, &n_written)
                                  : write_host(call, entry, parts, n, &n_written));
  return put_u32(call, ARG_U32(3), (uint32_t)n_written);
}

/* Waits for nothing: what can be read at an offset is a file. */
static Result at_offset(Call *call, bool writes) {
  struct iovec parts[IO_MAX];
  Entry *entry;
  int n;
  uint64_t rights = RIGHT_OF(FD_SEEK) | (writes ? RIGHT_OF(FD_WRITE) : RIGHT_OF(FD_READ));
  TRY(wasi_get(call->wasi, ARG_U32(0), rights, &entry));
  if (entry->kind != ENTRY_HOST) return ERRNO_SPIPE;
  TRY(wasi_gather(call, ARG_U32(1), ARG_U32(2), parts, &n));
  TRY(put_u32(call, ARG_U32(4), 0));
  if (ARG_U64(3) > INT64_MAX) return ERRNO_INVAL;
  off_t offset = (off_t)ARG_U64(3);
  ptrdiff_t done;
  do {
    done = writes ? pwritev(entry->host, parts, n, offset) : preadv(entry->host, parts, n, offset);
  } while (done < 0 && errno == EINTR);
  return done < 0 ? wasi_last_errno() : put_u32(call, ARG_U32(4), (uint32_t)done);
}

Result wasi_fd_pread(Call *call) {
  return at_offset(call, false);
}

Result wasi_fd_pwrite(Call *call) {
  return at_offset(call, true);
}
