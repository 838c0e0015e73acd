/* sock.c - sockets: what the host has opened, and what is accepted from its listeners.
 *
 * Nothing waits in the host's calls: they ask for at once or not at all, and wait.c waits.
 */
#include "wasi.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <fcntl.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

static Result get_socket(const Call *call, uint64_t rights, Entry **out) {
  TRY(wasi_get(call->wasi, ARG_U32(0), 0, out));
  if ((*out)->kind != ENTRY_HOST || !(*out)->is_socket) return ERRNO_NOTSOCK;
  return ((*out)->rights & rights) == rights ? ERRNO_SUCCESS : ERRNO_NOTCAPABLE;
}

static int accept_quietly(int listener) {
#if defined(__linux__)
  return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
  int host = accept(listener, NULL, NULL);
  if (host >= 0) {
    fcntl(host, F_SETFD, FD_CLOEXEC);
    fcntl(host, F_SETFL, O_NONBLOCK);
  }
  return host;
#endif
}

/* The connection may be gone by the time it is accepted. */
static bool is_passing(int error) {
  return error == EINTR || error == EAGAIN || error == EWOULDBLOCK || error == ECONNABORTED;
}

Result wasi_sock_accept(Call *call) {
  Entry *entry;
  uint32_t fd, flags = ARG_U32(1);
  int host;
  TRY(get_socket(call, RIGHT_OF(SOCK_ACCEPT), &entry));
  if ((flags & ~(uint32_t)FD_NONBLOCK) != 0) return ERRNO_INVAL;
  TRY(put_u32(call, ARG_U32(2), 0));
  TRY(wasi_reserve_entry(call->wasi));
  TRY(wasi_get(call->wasi, ARG_U32(0), 0, &entry));
  do {
    TRY(wasi_await(call, entry, POLLIN));
    host = accept_quietly(entry->host);
  } while (host < 0 && is_passing(errno));
  if (host < 0) return wasi_last_errno();
  TRY(wasi_new_entry(call->wasi, &fd));
  Entry *accepted = &call->wasi->entries[fd];
  Result result = wasi_init_host(accepted, host);
  if (result != ERRNO_SUCCESS) {
    wasi_close_entry(call->wasi, fd);
    return result;
  }
  accepted->flags = (uint16_t)flags;
  return put_u32(call, ARG_U32(2), fd);
}

/* Leaves out the first `done` bytes of the parts. */
static void skip_done(struct iovec *parts, int n, uint64_t done) {
  for (int i = 0; i < n && done > 0; i++) {
    size_t size = MIN(parts[i].iov_len, (size_t)done);
    parts[i].iov_base = (char *)parts[i].iov_base + size;
    parts[i].iov_len -= size;
    done -= size;
  }
}

static size_t size_of(const struct iovec *parts, int n) {
  size_t size = 0;
  for (int i = 0; i < n; i++) size += parts[i].iov_len;
  return size;
}

enum { RECV_PEEK = 1, RECV_WAITALL = 2, RECV_TRUNCATED = 1 };

/* Receives once; what is received by a call that waits for all counts as progress. */
static Result receive(Call *call, const Entry *entry, struct iovec *parts, int n, bool *is_cut) {
  uint32_t flags = ARG_U32(3);
  bool wants_all = (flags & RECV_WAITALL) != 0 && (flags & RECV_PEEK) == 0;
  skip_done(parts, n, call->progress->n_done);
  size_t wanted = size_of(parts, n);
  struct msghdr message = {.msg_iov = parts};
  message.msg_iovlen = (__typeof__(message.msg_iovlen))n;
  int host_flags = MSG_DONTWAIT | ((flags & RECV_PEEK) != 0 ? MSG_PEEK : 0);
  ssize_t got;
  do {
    TRY(wasi_await(call, entry, POLLIN));
    got = recvmsg(entry->host, &message, host_flags);
  } while (got < 0 && is_passing(errno));
  if (got < 0) return wasi_last_errno();
  call->progress->n_done += (uint64_t)got;
  *is_cut = (message.msg_flags & MSG_TRUNC) != 0;
  if (wants_all && got > 0 && (size_t)got < wanted) return ERRNO_INPROGRESS;
  return ERRNO_SUCCESS;
}

Result wasi_sock_recv(Call *call) {
  struct iovec parts[IO_MAX];
  Entry *entry;
  int n;
  bool is_cut = false;
  Result result;
  TRY(get_socket(call, RIGHT_OF(FD_READ), &entry));
  if (ARG_U32(3) > (RECV_PEEK | RECV_WAITALL)) return ERRNO_INVAL;
  TRY(put_u32(call, ARG_U32(4), 0));
  uint8_t *out_flags = guest_bytes(call, ARG_U32(5), 2);
  if (out_flags == NULL) return ERRNO_FAULT;
  do { /* again while a part of all is there */
    TRY(wasi_gather(call, ARG_U32(1), ARG_U32(2), parts, &n));
    result = receive(call, entry, parts, n, &is_cut);
  } while (result == ERRNO_INPROGRESS);
  if (result == WOULD_BLOCK) return result;
  if (result != ERRNO_SUCCESS && call->progress->n_done == 0) return result;
  store_u16(out_flags, is_cut ? RECV_TRUNCATED : 0);
  return put_u32(call, ARG_U32(4), (uint32_t)call->progress->n_done);
}

/* Sends until all is sent or the socket is full. */
static Result send_parts(Call *call, const Entry *entry, struct iovec *parts, int n) {
  size_t left = size_of(parts, n);
  do {
    struct msghdr message = {.msg_iov = parts};
    message.msg_iovlen = (__typeof__(message.msg_iovlen))n;
    TRY(wasi_await(call, entry, POLLOUT));
    ssize_t sent = sendmsg(entry->host, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && is_passing(errno)) continue;
    if (sent < 0) return wasi_last_errno();
    skip_done(parts, n, (uint64_t)sent);
    call->progress->n_done += (uint64_t)sent;
    left -= (size_t)sent;
  } while (left > 0);
  return ERRNO_SUCCESS;
}

Result wasi_sock_send(Call *call) {
  struct iovec parts[IO_MAX];
  Entry *entry;
  int n;
  TRY(get_socket(call, RIGHT_OF(FD_WRITE), &entry));
  if (ARG_U32(3) != 0) return ERRNO_INVAL; /* no flag is defined */
  TRY(wasi_gather(call, ARG_U32(1), ARG_U32(2), parts, &n));
  TRY(put_u32(call, ARG_U32(4), 0));
  skip_done(parts, n, call->progress->n_done);
  Result result = send_parts(call, entry, parts, n);
  if (result == WOULD_BLOCK) return result;
  if (result != ERRNO_SUCCESS && call->progress->n_done == 0) return result;
  return put_u32(call, ARG_U32(4), (uint32_t)call->progress->n_done);
}

Result wasi_sock_shutdown(Call *call) {
  static const int how[] = {-1, SHUT_RD, SHUT_WR, SHUT_RDWR};
  Entry *entry;
  TRY(get_socket(call, RIGHT_OF(SOCK_SHUTDOWN), &entry));
  if (ARG_U32(1) == 0 || ARG_U32(1) > 3) return ERRNO_INVAL;
  return shutdown(entry->host, how[ARG_U32(1)]) != 0 ? wasi_last_errno() : ERRNO_SUCCESS;
}
