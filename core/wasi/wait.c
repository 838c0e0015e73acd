/* wait.c - waiting for the host's descriptors and for time.
 *
 * What a call waits for is noted in its context's arrays. Then either the host's hook waits, or
 * this file does, in slices, between which the host is looked at (deadline, interrupt, hooks of
 * Lua).
 */
#include "wasi.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

enum { SLICE_NS = 20 * 1000 * 1000 };

void wasi_find_memory(Call *call) {
  rille_Instance *caller = call->activation != NULL ? rille_caller(call->activation) : NULL;
  const rille_Memory *memory = caller != NULL ? rille_instance_memory(caller) : NULL;
  call->memory_size = 0;
  call->memory = memory != NULL ? rille_memory_bytes(memory, &call->memory_size) : NULL;
}

static Result would_block(Call *call, size_t n) {
  call->wait = (rille_WasiWait){.n = n,
                                .fds = call->wasi->wait_fds,
                                .events = call->wasi->wait_events,
                                .timeout_ns = UINT64_MAX};
  return WOULD_BLOCK;
}

Result wasi_await(Call *call, const Entry *entry, short events) {
  struct pollfd polled = {.fd = entry->host, .events = events};
  if (poll(&polled, 1, 0) > 0) return ERRNO_SUCCESS;
  if ((entry->flags & FD_NONBLOCK) != 0) return ERRNO_AGAIN;
  if (!wasi_make_poll_room(call->wasi, 1)) return ERRNO_NOMEM;
  call->wasi->wait_fds[0] = entry->host;
  call->wasi->wait_events[0] = events;
  return would_block(call, 1);
}

Result wasi_await_stream(Call *call, const Entry *entry) {
  if ((entry->flags & FD_NONBLOCK) != 0) return ERRNO_AGAIN;
  if (!wasi_make_poll_room(call->wasi, 1)) return ERRNO_NOMEM;
  call->wasi->wait_fds[0] = -1;
  call->wasi->wait_events[0] = POLLIN;
  return would_block(call, 1);
}

static uint64_t monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Waits for a slice; the function that waits looks again then. Poll ignores descriptors of -1. */
static void sleep_slice(const rille_WasiWait *wait, struct pollfd *polled) {
  uint64_t ns = MIN(wait->timeout_ns, (uint64_t)SLICE_NS);
  for (size_t i = 0; i < wait->n; i++) {
    polled[i] = (struct pollfd){.fd = wait->fds[i], .events = wait->events[i]};
  }
#if defined(__APPLE__)
  poll(polled, (nfds_t)wait->n, (int)((ns + 999999) / 1000000));
#else
  const struct timespec time = {0, (long)ns};
  ppoll(polled, (nfds_t)wait->n, &time, NULL);
#endif
}

rille_Status wasi_wait(Call *call) {
  const rille_WasiHooks *hooks = &call->wasi->hooks;
  if (hooks->block != NULL) return hooks->block(hooks->user, call->activation, &call->wait);
  uint64_t before = monotonic_ns();
  sleep_slice(&call->wait, call->wasi->polled);
  call->progress->slept_ns += monotonic_ns() - before;
  return call->activation != NULL ? rille_look_up(call->activation) : RILLE_DONE;
}
