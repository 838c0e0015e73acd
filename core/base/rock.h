/* rock.h - what compiler flags do elsewhere, for builds that can only give definitions.
 *
 * LuaRocks' builtin build chooses the flags by itself. With RILLE_ROCK defined, floating point is
 * the specification's (no contraction) and everything but luaopen_* is hidden: a host's symbol of
 * the same name would else take the place of ours. What the pragma hides includes declarations, so
 * every system header that the project uses comes before it: no function of ours may have the name
 * of one of theirs.
 */
#ifndef RILLE_ROCK_H
#define RILLE_ROCK_H

#if defined(RILLE_ROCK)
#if defined(__x86_64__)
#define RILLE_HAS_COMPILER 1
#endif

/* Written by scripts/rockspec.lua: system headers. */
#include <assert.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <link.h>
#include <malloc.h>
#include <math.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
/* End of what it writes. */

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("-ffp-contract=off", "-fno-math-errno")
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(hidden)
#endif
#endif

#endif
