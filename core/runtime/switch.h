/* switch.h - changing between the host's C stack and a guest stack.
 *
 * Three jumps, written in assembly for each CPU: they save the callee-saved registers on the stack
 * they leave and note its pointer in the activation (Act.host_sp, Act.guest_sp). Calls and returns
 * stay balanced but for resumes. Without them (RILLE_NO_SWITCH, or another CPU) guest code runs on
 * the C stack, and only resuming is impossible.
 */
#ifndef RILLE_SWITCH_H
#define RILLE_SWITCH_H

#include "store.h"

#if !defined(RILLE_NO_SWITCH) && !((defined(__x86_64__) || defined(__aarch64__)) && \
                                   defined(__GNUC__) && !defined(_WIN32) && !defined(__ILP32__))
#define RILLE_NO_SWITCH 1
#endif

#ifndef RILLE_NO_SWITCH
/* What the assembly files say too. */
enum { SWITCH_HOST_SP = 64, SWITCH_GUEST_SP = 72, SWITCH_IS_RESUMED = 80 };
_Static_assert(offsetof(Act, host_sp) == SWITCH_HOST_SP, "the assembly knows this offset");
_Static_assert(offsetof(Act, guest_sp) == SWITCH_GUEST_SP, "the assembly knows this offset");
_Static_assert(offsetof(Act, is_resumed) == SWITCH_IS_RESUMED, "the assembly knows this offset");

/* Calls run(act) on the guest stack that ends at guest_sp (aligned to 16); returns what it returns,
 * to whoever entered or resumed last. act->is_resumed is 0. */
RunStatus rille_switch_enter(Act *act, RunStatus (*run)(Act *), void *guest_sp);
/* Calls fn(act, data, slots) on the C stack that entered or resumed last. */
RunStatus rille_switch_host(Act *act, HostFn *fn, void *data, Slot *slots);
/* Lets the last rille_switch_host of the activation return `status`. */
RunStatus rille_switch_resume(Act *act, RunStatus status);
#endif

#endif
