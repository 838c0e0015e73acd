/* jumps.c - setjmp and longjmp as Emscripten compiles them: every call between that may jump goes
 * through an import `invoke_`. setjmp.c is what its C library has for that.
 */
#include "setjmp.h"

IMPORT(host) int host(int what);

static jmp_buf here;

static int descend(int depth, int value) {
  volatile char frame[64];
  frame[0] = (char)depth;
  if (depth == 0) longjmp(here, value);
  return descend(depth - 1, value) + frame[0];
}

/* What longjmp carried through so many frames; 0 became 1. */
EXPORT(jump) int jump(int depth, int value) {
  int got = setjmp(here);
  if (got != 0) return got;
  return descend(depth, value) + 1000;
}

/* An inner setjmp that jumps on to an outer one. */
EXPORT(nest) int nest(void) {
  jmp_buf outer, inner;
  volatile int steps = 0;
  int got = setjmp(outer);
  if (got != 0) return steps * 100 + got;
  steps++;
  got = setjmp(inner);
  if (got != 0) {
    steps++;
    longjmp(outer, got + 1);
  }
  steps++;
  longjmp(inner, 6);
}

/* Jumps many times, adding up what comes. */
EXPORT(repeat) int repeat(int n) {
  volatile int sum = 0, left = n;
  int got = setjmp(here);
  sum += got;
  if (left-- > 0) descend(3, 2);
  return sum;
}

static int ask(int what) {
  return host(what);
}

/* What the host answers, or minus what it jumped with by `leap`. */
EXPORT(ask_host) int ask_host(int what) {
  int got = setjmp(here);
  if (got != 0) return -got;
  return ask(what);
}

EXPORT(leap) void leap(int value) {
  longjmp(here, value);
}

static __attribute__((noinline)) int explode(int what) {
  if (host(what) == 10) __builtin_trap();
  return what;
}

/* A trap, which no setjmp catches. */
EXPORT(crash) int crash(void) {
  if (setjmp(here) != 0) return 1;
  return explode(5);
}
