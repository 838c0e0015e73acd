/* matmul.c - f64 arithmetic and address computation: products of 64 x 64 matrices, n times. */
#include "kernel.h"

#define KERNEL_N 200
#define SIZE     64

static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static void multiply(void) {
  for (int i = 0; i < SIZE; i++) {
    for (int j = 0; j < SIZE; j++) {
      double sum = 0;
      for (int k = 0; k < SIZE; k++) sum += a[i][k] * b[k][j];
      c[i][j] = sum;
    }
  }
}

int32_t run(int32_t n) {
  for (int i = 0; i < SIZE; i++) {
    for (int j = 0; j < SIZE; j++) a[i][j] = i - j, b[i][j] = (i * j) % 7;
  }
  double trace = 0;
  for (int32_t round = 0; round < n; round++) {
    a[round % SIZE][0] += 1;
    multiply();
    trace += c[round % SIZE][round % SIZE];
  }
  return (int32_t)trace;
}

#include "tail.h"
