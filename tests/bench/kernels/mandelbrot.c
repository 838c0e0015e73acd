/* mandelbrot.c - f64 arithmetic with an exit that depends on it: a 200 x 200 picture, n times. */
#include "kernel.h"

#define KERNEL_N 4
#define SIZE     200
#define STEPS    200

static int32_t count_steps(double x0, double y0) {
  double x = 0, y = 0;
  int32_t steps = 0;
  for (; steps < STEPS && x * x + y * y <= 4; steps++) {
    double next = x * x - y * y + x0;
    y = 2 * x * y + y0;
    x = next;
  }
  return steps;
}

int32_t run(int32_t n) {
  int32_t sum = 0;
  for (int32_t round = 0; round < n; round++) {
    for (int32_t i = 0; i < SIZE; i++) {
      for (int32_t j = 0; j < SIZE; j++)
        sum += count_steps(-2.0 + 3.0 * j / SIZE + round * 1e-3, -1.5 + 3.0 * i / SIZE);
    }
  }
  return sum;
}

#include "tail.h"
