/* poll.c - poll_oneoff: waiting for clocks and descriptors together.
 *
 * First whatever may run a hook is asked (clocks, streams with callbacks); then the subscriptions
 * are read and looked at in one go. Files are always ready. Nothing ready: the call would block,
 * and all this is done again.
 */
#include "wasi.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EVENT_CLOCK, EVENT_READ, EVENT_WRITE };
enum { EVENT_SIZE = 32, HANGUP = 1, ABSOLUTE = 1, N_CLOCKS = 2 };

typedef struct Subscription {
  uint64_t userdata, timeout, n_bytes;
  uint32_t subject; /* descriptor, or clock */
  uint8_t type;
  bool is_absolute, is_ready;
  uint16_t flags; /* of the event */
  Result error;
  size_t polled; /* its index there, or SIZE_MAX */
} Subscription;

/* What is in there is not kept. */
bool wasi_make_poll_room(rille_Wasi *wasi, size_t n) {
  if (n <= wasi->poll_room) return true;
  wasi_free_poll_room(wasi);
  size_t room = MAX(n, (size_t)4);
  wasi->subscriptions = wasi_resize(wasi, NULL, 0, room * sizeof *wasi->subscriptions);
  wasi->polled = wasi_resize(wasi, NULL, 0, room * sizeof *wasi->polled);
  wasi->wait_fds = wasi_resize(wasi, NULL, 0, room * sizeof *wasi->wait_fds);
  wasi->wait_events = wasi_resize(wasi, NULL, 0, room * sizeof *wasi->wait_events);
  wasi->poll_room = room;
  if (wasi->subscriptions != NULL && wasi->polled != NULL && wasi->wait_fds != NULL &&
      wasi->wait_events != NULL) {
    return true;
  }
  wasi_free_poll_room(wasi);
  return false;
}

void wasi_free_poll_room(rille_Wasi *wasi) {
  size_t room = wasi->poll_room;
  if (wasi->subscriptions != NULL) {
    wasi_resize(wasi, wasi->subscriptions, room * sizeof *wasi->subscriptions, 0);
  }
  if (wasi->polled != NULL) wasi_resize(wasi, wasi->polled, room * sizeof *wasi->polled, 0);
  if (wasi->wait_fds != NULL) wasi_resize(wasi, wasi->wait_fds, room * sizeof *wasi->wait_fds, 0);
  if (wasi->wait_events != NULL) {
    wasi_resize(wasi, wasi->wait_events, room * sizeof *wasi->wait_events, 0);
  }
  wasi->subscriptions = NULL;
  wasi->polled = NULL;
  wasi->wait_fds = NULL;
  wasi->wait_events = NULL;
  wasi->poll_room = 0;
}

/* ---- Reading subscriptions ------------------------------------------------------------------- */

static uint32_t subscription_size(const Call *call) {
  return call->is_unstable ? 56 : 48;
}

/* In wasi_unstable a clock had an identifier of its own in front. */
static Subscription read_subscription(const Call *call, const uint8_t *at) {
  Subscription out = {.userdata = load_u64(at), .type = load_u8(at + 8), .polled = SIZE_MAX};
  const uint8_t *body = at + 16;
  if (out.type == EVENT_CLOCK && call->is_unstable) body += 8;
  out.subject = load_u32(body);
  if (out.type != EVENT_CLOCK) return out;
  out.timeout = load_u64(body + 8);
  out.is_absolute = (load_u16(body + 24) & ABSOLUTE) != 0;
  return out;
}

/* ---- What may run hooks ---------------------------------------------------------------------- */

typedef struct Times {
  uint64_t now[N_CLOCKS];
  uint64_t since_start;
} Times;

/* An injected clock goes on while the host sleeps. */
static Result read_clocks(Call *call, Times *out) {
  rille_WasiProgress *progress = call->progress;
  for (uint32_t id = 0; id < N_CLOCKS; id++) {
    TRY(wasi_clock(call, id, &out->now[id]));
    if (call->wasi->hooks.clock != NULL) out->now[id] += progress->slept_ns;
  }
  if (!progress->has_started) progress->started_ns = out->now[1];
  progress->has_started = true;
  out->since_start = out->now[1] > progress->started_ns ? out->now[1] - progress->started_ns : 0;
  return ERRNO_SUCCESS;
}

static void fill_input(Call *call, bool *is_pending) {
  Entry *entry;
  *is_pending = false;
  if (wasi_get(call->wasi, 0, 0, &entry) == ERRNO_SUCCESS && entry->kind == ENTRY_STREAM) {
    wasi_fill_stream(call, entry, is_pending);
  }
}

/* Which of the two a list needs. */
static void look_ahead(const Call *call, const uint8_t *in, uint32_t n, bool *has_clock,
                       bool *has_input) {
  *has_clock = *has_input = false;
  for (uint32_t i = 0; i < n; i++) {
    Subscription s = read_subscription(call, in + (size_t)i * subscription_size(call));
    if (s.type == EVENT_CLOCK) *has_clock = true;
    if (s.type == EVENT_READ && s.subject == 0) *has_input = true;
  }
}

/* ---- Looking --------------------------------------------------------------------------------- */

typedef struct Poll {
  Call *call;
  Times times;
  bool input_is_pending;
  uint64_t timeout; /* until the first clock */
  size_t n_polled, n_ready;
} Poll;

static void set_ready(Poll *poll, Subscription *s, Result error) {
  s->error = error;
  s->is_ready = true;
  poll->n_ready++;
}

static void look_at_clock(Poll *poll, Subscription *s) {
  if (s->subject >= N_CLOCKS) { /* time on the processor stands still meanwhile */
    set_ready(poll, s, s->subject < 4 ? ERRNO_NOTSUP : ERRNO_INVAL);
    return;
  }
  uint64_t now = s->is_absolute ? poll->times.now[s->subject] : poll->times.since_start;
  if (s->timeout <= now) {
    set_ready(poll, s, ERRNO_SUCCESS);
  } else {
    poll->timeout = MIN(poll->timeout, s->timeout - now);
  }
}

static uint64_t bytes_to_read(const Entry *entry) {
  struct stat about;
  int n = 0;
  if (entry->kind == ENTRY_STREAM) return 1;
  if (entry->may_wait) return ioctl(entry->host, FIONREAD, &n) == 0 && n > 0 ? (uint64_t)n : 0;
  off_t at = lseek(entry->host, 0, SEEK_CUR);
  if (fstat(entry->host, &about) != 0 || at < 0 || at >= about.st_size) return 0;
  return (uint64_t)(about.st_size - at);
}

static void look_at_descriptor(Poll *poll, Subscription *s) {
  const rille_Wasi *wasi = poll->call->wasi;
  bool reads = s->type == EVENT_READ;
  Entry *entry;
  Result result = wasi_get(wasi, s->subject, RIGHT_OF(POLL_FD_READWRITE), &entry);
  if (result != ERRNO_SUCCESS) {
    set_ready(poll, s, result);
  } else if (entry->kind == ENTRY_STREAM) {
    if (!reads || !poll->input_is_pending) {
      s->n_bytes = reads ? 1 : 0;
      set_ready(poll, s, ERRNO_SUCCESS);
    }
  } else if (!entry->may_wait) {
    s->n_bytes = reads ? bytes_to_read(entry) : 0;
    set_ready(poll, s, ERRNO_SUCCESS);
  } else {
    s->polled = poll->n_polled;
    wasi->polled[poll->n_polled++] =
        (struct pollfd){.fd = entry->host, .events = reads ? POLLIN : POLLOUT};
  }
}

static Result look(Poll *poll, const uint8_t *in, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    Subscription *s = &poll->call->wasi->subscriptions[i];
    *s = read_subscription(poll->call, in + (size_t)i * subscription_size(poll->call));
    switch (s->type) {
      case EVENT_CLOCK: look_at_clock(poll, s); break;
      case EVENT_READ:
      case EVENT_WRITE: look_at_descriptor(poll, s); break;
      default: return ERRNO_INVAL;
    }
  }
  return ERRNO_SUCCESS;
}

/* Asks the host about the descriptors that may wait. */
static Result look_at_host(Poll *waiting, uint32_t n) {
  const rille_Wasi *wasi = waiting->call->wasi;
  if (waiting->n_polled == 0) return ERRNO_SUCCESS;
  int n_found = poll(wasi->polled, (nfds_t)waiting->n_polled, 0);
  if (n_found < 0 && errno != EINTR) return wasi_last_errno();
  for (uint32_t i = 0; i < n && n_found > 0; i++) {
    Subscription *s = &wasi->subscriptions[i];
    short events = s->polled != SIZE_MAX ? wasi->polled[s->polled].revents : 0;
    if (events == 0) continue;
    Entry *entry;
    if (s->type == EVENT_READ && wasi_get(wasi, s->subject, 0, &entry) == ERRNO_SUCCESS) {
      s->n_bytes = bytes_to_read(entry);
    }
    if ((events & POLLHUP) != 0) s->flags |= HANGUP;
    set_ready(waiting, s, (events & POLLNVAL) != 0 ? ERRNO_BADF : ERRNO_SUCCESS);
  }
  return ERRNO_SUCCESS;
}

static Result put_events(const Call *call, uint32_t n) {
  uint32_t n_events = 0;
  for (uint32_t i = 0; i < n; i++) {
    const Subscription *s = &call->wasi->subscriptions[i];
    if (!s->is_ready) continue;
    uint8_t *out = guest_bytes(call, ARG_U32(1) + n_events * EVENT_SIZE, EVENT_SIZE);
    if (out == NULL) return ERRNO_FAULT;
    memset(out, 0, EVENT_SIZE);
    store_u64(out, s->userdata);
    store_u16(out + 8, (uint16_t)s->error);
    store_u8(out + 10, s->type);
    store_u64(out + 16, s->n_bytes);
    store_u16(out + 24, s->flags);
    n_events++;
  }
  return put_u32(call, ARG_U32(3), n_events);
}

static Result would_block(const Poll *poll) {
  const rille_Wasi *wasi = poll->call->wasi;
  size_t n = poll->n_polled;
  for (size_t i = 0; i < n; i++) {
    wasi->wait_fds[i] = wasi->polled[i].fd;
    wasi->wait_events[i] = wasi->polled[i].events;
  }
  if (poll->input_is_pending) { /* there is room: it was a subscription too */
    wasi->wait_fds[n] = -1;
    wasi->wait_events[n++] = POLLIN;
  }
  poll->call->wait = (rille_WasiWait){n, wasi->wait_fds, wasi->wait_events, poll->timeout};
  return WOULD_BLOCK;
}

Result wasi_poll_oneoff(Call *call) {
  uint32_t n = ARG_U32(2);
  uint64_t in_size = (uint64_t)n * subscription_size(call);
  Poll poll = {.call = call, .timeout = UINT64_MAX};
  bool has_clock, has_input;
  const uint8_t *in = guest_bytes(call, ARG_U32(0), in_size);
  if (n == 0) return ERRNO_INVAL;
  if (in == NULL || guest_bytes(call, ARG_U32(1), (uint64_t)n * EVENT_SIZE) == NULL) {
    return ERRNO_FAULT;
  }
  TRY(put_u32(call, ARG_U32(3), 0));
  look_ahead(call, in, n, &has_clock, &has_input);
  if (has_clock) TRY(read_clocks(call, &poll.times));
  if (has_input) fill_input(call, &poll.input_is_pending);
  in = guest_bytes(call, ARG_U32(0), in_size);
  if (in == NULL) return ERRNO_FAULT;
  if (!wasi_make_poll_room(call->wasi, (size_t)n + 1)) return ERRNO_NOMEM;
  TRY(look(&poll, in, n));
  TRY(look_at_host(&poll, n));
  return poll.n_ready != 0 ? put_events(call, n) : would_block(&poll);
}
