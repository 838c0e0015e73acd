/* matmul_simd.c - f32 vectors of four: products of 64 x 64 matrices, n times. */
#include "kernel.h"

#define KERNEL_N 800
#define SIZE     64

typedef float Four __attribute__((vector_size(16)));

static Four a[SIZE][SIZE / 4], b[SIZE][SIZE / 4], c[SIZE][SIZE / 4];

static void multiply(void) {
  for (int i = 0; i < SIZE; i++) {
    for (int j = 0; j < SIZE / 4; j++) {
      Four sum = {0, 0, 0, 0};
      for (int k = 0; k < SIZE; k++) {
        float x = a[i][k / 4][k % 4];
        sum += (Four){x, x, x, x} * b[k][j];
      }
      c[i][j] = sum;
    }
  }
}

int32_t run(int32_t n) {
  for (int i = 0; i < SIZE; i++)
    for (int j = 0; j < SIZE; j++)
      a[i][j / 4][j % 4] = (float)(i - j), b[i][j / 4][j % 4] = (float)((i * j) % 7);
  float trace = 0;
  for (int32_t round = 0; round < n; round++) {
    a[round % SIZE][0][0] += 1;
    multiply();
    trace += c[round % SIZE][0][round % 4];
  }
  return (int32_t)trace;
}

#include "tail.h"
