/* fib.c - calls: the Fibonacci numbers by definition. */
#include "kernel.h"

#define KERNEL_N 35

static __attribute__((noinline)) int32_t fib(int32_t n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int32_t run(int32_t n) {
  return fib(n);
}

#include "tail.h"
