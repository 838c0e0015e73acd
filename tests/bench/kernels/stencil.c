/* stencil.c - integers in rows and columns: a box blur of a 256 x 256 picture of three channels, n
 * times. */
#include "kernel.h"

#define KERNEL_N 12
#define SIZE     256
#define CHANNELS 3

static uint8_t picture[2][SIZE][SIZE][CHANNELS];

static void blur(int from) {
  for (int y = 1; y < SIZE - 1; y++) {
    for (int c = 0; c < CHANNELS; c++) {
      for (int x = 1; x < SIZE - 1; x++) {
        uint32_t sum = 0;
        for (int dy = -1; dy <= 1; dy++)
          for (int dx = -1; dx <= 1; dx++) sum += picture[from][y + dy][x + dx][c];
        picture[1 - from][y][x][c] = (uint8_t)((sum + picture[from][y][x][c] + 5) / 10);
      }
    }
  }
}

int32_t run(int32_t n) {
  uint32_t sum = 0;
  for (uint32_t y = 0; y < SIZE; y++)
    for (uint32_t x = 0; x < SIZE; x++)
      for (uint32_t c = 0; c < CHANNELS; c++) picture[0][y][x][c] = (uint8_t)(x * y + 89 * c);
  for (int32_t round = 0; round < n; round++) blur(round & 1);
  for (uint32_t y = 0; y < SIZE; y++) sum = sum * 31 + picture[n & 1][y][SIZE / 2][1];
  return (int32_t)sum;
}

#include "tail.h"
