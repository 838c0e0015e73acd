/* native.c - runs a kernel built for this machine: native [n]. Prints the checksum, and the
 * nanoseconds of processor time of the second run on stderr, as every runner of the benchmark does.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

extern const int32_t kernel_n;
int32_t run(int32_t n);

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int main(int argc, char **argv) {
  int32_t n = argc > 1 ? atoi(argv[1]) : kernel_n;
  run(n);
  int64_t began = now();
  int32_t checksum = run(n);
  fprintf(stderr, "bench %lld\n", (long long)(now() - began));
  printf("%d\n", checksum);
  return 0;
}
