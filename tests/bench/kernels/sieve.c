/* sieve.c - byte stores and loads: primes below 64 Ki, n times. */
#include "kernel.h"

#define KERNEL_N 200
#define LIMIT    65536

static uint8_t composite[LIMIT];

static int32_t count_primes(void) {
  int32_t count = 0;
  for (int32_t i = 0; i < LIMIT; i++) composite[i] = 0;
  for (int32_t i = 2; i < LIMIT; i++) {
    if (composite[i]) continue;
    count++;
    for (int32_t j = 2 * i; j < LIMIT; j += i) composite[j] = 1;
  }
  return count;
}

int32_t run(int32_t n) {
  int32_t sum = 0;
  for (int32_t i = 0; i < n; i++) sum += count_primes();
  return sum;
}

#include "tail.h"
