/* os_fault.c - signal handlers and signal stacks, for POSIX systems on x86-64 and AArch64.
 *
 * A host may install handlers of its own at any time. Those from before ours get every fault that
 * is not ours. Those from after ours may pass on to ours what they do not want, or not: ours is
 * put on top again before code runs that needs it, and hands down what it does not want to them.
 * When one of them passes that on to ours after all, it is for those from before.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* names of registers in a ucontext_t */
#endif

#include "os_fault.h"

#include "os.h"

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK_BYTES = 64 * 1024 };

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static struct sigaction previous[COUNT_OF(signals)]; /* from before ours */
/* Installed after ours the first time, ours is on top of it now; under `later_lock`. */
static struct sigaction later[COUNT_OF(signals)];
static _Atomic bool has_later[COUNT_OF(signals)];
static OsMutex later_lock;
static OsFaultHandler *_Atomic fault_handler;
static pthread_key_t stack_key;

static bool is_caught(ucontext_t *context) {
  OsFault fault;
#if defined(__x86_64__)
  greg_t *regs = context->uc_mcontext.gregs;
  fault = (OsFault){(const uint8_t *)(uintptr_t)regs[REG_RIP], 0};
  if (!fault_handler(&fault)) return false;
  regs[REG_RIP] = (greg_t)(uintptr_t)fault.pc;
  regs[REG_RDI] = (greg_t)fault.argument;
  regs[REG_EFL] &= ~(greg_t)0x400; /* the C convention wants the direction flag clear */
#else
  fault = (OsFault){(const uint8_t *)(uintptr_t)context->uc_mcontext.pc, 0};
  if (!fault_handler(&fault)) return false;
  context->uc_mcontext.pc = (uintptr_t)fault.pc;
  context->uc_mcontext.regs[0] = fault.argument;
#endif
  return true;
}

/* The default action happens when the instruction is run again without a handler. */
static void run_handler(const struct sigaction *old, int signal, siginfo_t *info, void *context) {
  if (old->sa_flags & SA_SIGINFO) {
    old->sa_sigaction(signal, info, context);
  } else if (old->sa_handler == SIG_DFL || old->sa_handler == SIG_IGN) {
    struct sigaction none = {.sa_handler = SIG_DFL};
    sigaction(signal, &none, NULL);
    if (info->si_code <= 0) raise(signal); /* sent by somebody: it would not happen again */
  } else {
    old->sa_handler(signal);
  }
}

/* The signal that this thread has handed down to a later handler: that has come back when the same
 * context arrives deeper in the stack. A handler that jumps out leaves it here. */
typedef struct Handed {
  const void *context;
  const char *frame;
} Handed;
#if defined(__GLIBC__)
__attribute__((tls_model("initial-exec")))
#endif
static _Thread_local Handed handed;

static void pass_on(int signal, siginfo_t *info, void *context) {
  unsigned i = 0;
  while (i + 1 < COUNT_OF(signals) && signals[i] != signal) i++;
  const char *frame = __builtin_frame_address(0);
  bool has_come_back = handed.context == context && frame < handed.frame;
  if (!atomic_load(&has_later[i]) || has_come_back) {
    run_handler(&previous[i], signal, info, context);
    return;
  }
  Handed outer = handed;
  handed = (Handed){context, frame};
  run_handler(&later[i], signal, info, context);
  handed = outer;
}

static void on_signal(int signal, siginfo_t *info, void *context) {
  int saved = errno;
  bool is_fault = info->si_code > 0;
  if (!is_fault || !is_caught(context)) pass_on(signal, info, context);
  errno = saved;
}

static void free_stack(void *stack) {
  stack_t none = {.ss_flags = SS_DISABLE};
  sigaltstack(&none, NULL);
  munmap(stack, STACK_BYTES);
}

static struct sigaction our_action(void) {
  struct sigaction action = {.sa_sigaction = on_signal};
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigfillset(&action.sa_mask);
  for (unsigned i = 0; i < COUNT_OF(signals); i++) sigdelset(&action.sa_mask, signals[i]);
  return action;
}

static _Atomic int install_state;

static void install(void) {
  pthread_key_create(&stack_key, free_stack);
  os_mutex_init(&later_lock);
  struct sigaction action = our_action();
  for (unsigned i = 0; i < COUNT_OF(signals); i++) sigaction(signals[i], &action, &previous[i]);
}

static bool is_ours(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_signal;
}

/* While it is replaced, faults still come to the handler that is there. */
static void put_on_top(unsigned i) {
  struct sigaction now, action = our_action();
  os_mutex_lock(&later_lock);
  if (sigaction(signals[i], NULL, &now) == 0 && !is_ours(&now)) {
    atomic_store(&has_later[i], false);
    later[i] = now;
    atomic_store(&has_later[i], true);
    sigaction(signals[i], &action, NULL);
  }
  os_mutex_unlock(&later_lock);
}

void os_keep_catching_faults(void) {
  struct sigaction now;
  for (unsigned i = 0; i < COUNT_OF(signals); i++) {
    if (sigaction(signals[i], NULL, &now) == 0 && !is_ours(&now)) put_on_top(i);
  }
}

bool os_catch_faults(OsFaultHandler *handler) {
  fault_handler = handler;
  os_call_once(&install_state, install);
  return true;
}

static bool has_signal_stack(void) {
  stack_t now;
  return sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE) &&
         now.ss_size >= STACK_BYTES / 4;
}

bool os_prepare_thread(void) {
  if (has_signal_stack()) return true;
  void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED) return false;
  stack_t alternative = {.ss_sp = stack, .ss_size = STACK_BYTES};
  if (sigaltstack(&alternative, NULL) != 0) {
    munmap(stack, STACK_BYTES);
    return false;
  }
  pthread_setspecific(stack_key, stack);
  return true;
}
#else
bool os_catch_faults(OsFaultHandler *handler) {
  (void)handler;
  return false;
}

void os_keep_catching_faults(void) {
}

bool os_prepare_thread(void) {
  return true;
}
#endif
