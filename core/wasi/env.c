/* env.c - what surrounds a program: arguments, environment, clocks, random numbers, signals, exit.
 */
#include "wasi.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>
#if defined(__linux__)
#include <sys/random.h>
#else
#include <stdlib.h>
#endif

/* ---- Arguments and environment --------------------------------------------------------------- */

static Result put_strings(const Call *call, const Strings *strings) {
  uint8_t *pointers = guest_bytes(call, ARG_U32(0), (uint64_t)strings->n * 4);
  uint8_t *bytes = guest_bytes(call, ARG_U32(1), strings->size);
  if (pointers == NULL || bytes == NULL) return ERRNO_FAULT;
  for (uint32_t i = 0; i < strings->n; i++) {
    store_u32(pointers + (size_t)i * 4, ARG_U32(1) + strings->offsets[i]);
  }
  if (strings->size != 0) memcpy(bytes, strings->bytes, strings->size);
  return ERRNO_SUCCESS;
}

static Result put_sizes(const Call *call, const Strings *strings) {
  TRY(put_u32(call, ARG_U32(0), strings->n));
  return put_u32(call, ARG_U32(1), (uint32_t)strings->size);
}

Result wasi_args_get(Call *call) {
  return put_strings(call, &call->wasi->args);
}

Result wasi_args_sizes_get(Call *call) {
  return put_sizes(call, &call->wasi->args);
}

Result wasi_environ_get(Call *call) {
  return put_strings(call, &call->wasi->env);
}

Result wasi_environ_sizes_get(Call *call) {
  return put_sizes(call, &call->wasi->env);
}

/* ---- Clocks and random numbers --------------------------------------------------------------- */

static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
                                   CLOCK_THREAD_CPUTIME_ID};

static uint64_t ns_of(struct timespec time) {
  return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

Result wasi_clock(Call *call, uint32_t id, uint64_t *ns) {
  const rille_WasiHooks *hooks = &call->wasi->hooks;
  struct timespec now;
  if (id >= COUNT_OF(clocks)) return ERRNO_INVAL;
  bool is_injected = hooks->clock != NULL && hooks->clock(hooks->user, id, ns);
  wasi_find_memory(call);
  if (is_injected) return ERRNO_SUCCESS;
  if (clock_gettime(clocks[id], &now) != 0) return wasi_last_errno();
  *ns = ns_of(now);
  return ERRNO_SUCCESS;
}

Result wasi_clock_time_get(Call *call) {
  uint64_t ns;
  TRY(wasi_clock(call, ARG_U32(0), &ns));
  return put_u64(call, ARG_U32(2), ns);
}

Result wasi_clock_res_get(Call *call) {
  struct timespec resolution;
  if (ARG_U32(0) >= COUNT_OF(clocks)) return ERRNO_INVAL;
  if (clock_getres(clocks[ARG_U32(0)], &resolution) != 0) return wasi_last_errno();
  return put_u64(call, ARG_U32(1), ns_of(resolution));
}

static bool fill_random(uint8_t *out, size_t size) {
#if defined(__linux__)
  while (size > 0) {
    ssize_t n = getrandom(out, size, 0);
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) out += n, size -= (size_t)n;
  }
#else
  arc4random_buf(out, size);
#endif
  return true;
}

/* In pieces, by way of a buffer of ours: a hook may move the guest's memory. */
static Result ask_for_random(Call *call) {
  const rille_WasiHooks *hooks = &call->wasi->hooks;
  uint8_t piece[4096];
  uint32_t size = ARG_U32(1);
  for (uint32_t at = 0; at < size;) {
    uint32_t n = MIN(size - at, (uint32_t)sizeof piece);
    if (!hooks->random(hooks->user, piece, n)) return ERRNO_IO;
    wasi_find_memory(call);
    uint8_t *out = guest_bytes(call, ARG_U32(0), size);
    if (out == NULL) return ERRNO_FAULT;
    memcpy(out + at, piece, n);
    at += n;
  }
  return ERRNO_SUCCESS;
}

Result wasi_random_get(Call *call) {
  uint8_t *out = guest_bytes(call, ARG_U32(0), ARG_U32(1));
  if (out == NULL) return ERRNO_FAULT;
  if (call->wasi->hooks.random != NULL) return ask_for_random(call);
  return fill_random(out, ARG_U32(1)) ? ERRNO_SUCCESS : ERRNO_IO;
}

/* ---- The process ----------------------------------------------------------------------------- */

Result wasi_proc_exit(Call *call) {
  call->status = rille_exit(call->activation, (int)ARG_U32(0));
  return LEAVES;
}

Result wasi_proc_raise(Call *call) {
  static const int signals[] = {
    0,
    SIGHUP,
    SIGINT,
    SIGQUIT,
    SIGILL,
    SIGTRAP,
    SIGABRT,
    SIGBUS,
    SIGFPE,
    SIGKILL,
    SIGUSR1,
    SIGSEGV,
    SIGUSR2,
    SIGPIPE,
    SIGALRM,
    SIGTERM,
    SIGCHLD,
    SIGCONT,
    SIGSTOP,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    SIGURG,
    SIGXCPU,
    SIGXFSZ,
    SIGVTALRM,
    SIGPROF,
    SIGWINCH,
#if defined(SIGPOLL) && defined(SIGPWR)
    SIGPOLL,
    SIGPWR,
#else
    SIGIO,
    SIGTERM,
#endif
    SIGSYS
  };
  uint32_t number = ARG_U32(0);
  if (number >= COUNT_OF(signals)) return ERRNO_INVAL;
  if (number == 0) return ERRNO_SUCCESS;
  if (call->wasi->raises) return raise(signals[number]) != 0 ? wasi_last_errno() : ERRNO_SUCCESS;
  char text[96];
  snprintf(text, sizeof text, "proc_raise(%u): raising signals was not granted", (unsigned)number);
  call->status = rille_trap(call->activation, text);
  return LEAVES;
}

Result wasi_sched_yield(Call *call) {
  (void)call;
  sched_yield();
  return ERRNO_SUCCESS;
}
