/* sha256.c - i32 arithmetic and rotations: the compression function of SHA-256 (FIPS 180-4), over
 * n blocks, with round constants that are easier to write down. */
#include "kernel.h"

#define KERNEL_N 60000

static uint32_t k[64], state[8];

static uint32_t rotate(uint32_t x, int n) {
  return x >> n | x << (32 - n);
}

static void compress(const uint32_t *block) {
  uint32_t w[64], s[8];
  for (int i = 0; i < 16; i++) w[i] = block[i];
  for (int i = 16; i < 64; i++) {
    uint32_t x = w[i - 15], y = w[i - 2];
    w[i] = w[i - 16] + (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) + w[i - 7] +
           (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10);
  }
  for (int i = 0; i < 8; i++) s[i] = state[i];
  for (int i = 0; i < 64; i++) {
    uint32_t e = s[4], a = s[0];
    uint32_t t1 = s[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                  ((e & s[5]) ^ (~e & s[6])) + k[i] + w[i];
    uint32_t t2 =
        (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
    for (int j = 7; j > 0; j--) s[j] = s[j - 1];
    s[4] += t1;
    s[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
}

int32_t run(int32_t n) {
  uint32_t block[16];
  for (uint32_t i = 0; i < 64; i++) k[i] = 0x9e3779b9u * (i + 1);
  for (uint32_t i = 0; i < 8; i++) state[i] = 0x6a09e667u * (i + 1);
  for (int32_t i = 0; i < n; i++) {
    for (uint32_t j = 0; j < 16; j++) block[j] = (uint32_t)i * 16 + j;
    compress(block);
  }
  return (int32_t)state[0];
}

#include "tail.h"
