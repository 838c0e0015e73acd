/* strings.c - bytes and branches: counts the words of a text it makes up, in a hash table. */
#include "kernel.h"

#define KERNEL_N 120
#define SLOTS    4096

typedef struct Word {
  const char *at;
  uint32_t size, count;
} Word;

static char text[65536];
static Word words[SLOTS];

static void make_text(void) {
  uint32_t seed = 7;
  for (uint32_t i = 0; i < sizeof text; i++) {
    seed = seed * 1664525 + 1013904223;
    uint32_t r = seed >> 24;
    text[i] = (char)(r < 80 ? ' ' : 'a' + r % 6);
  }
}

static int same(const char *a, const char *b, uint32_t size) {
  for (uint32_t i = 0; i < size; i++) {
    if (a[i] != b[i]) return 0;
  }
  return 1;
}

static void count_word(const char *at, uint32_t size) {
  uint32_t hash = 2166136261u;
  for (uint32_t i = 0; i < size; i++) hash = (hash ^ (uint8_t)at[i]) * 16777619u;
  for (uint32_t slot = hash % SLOTS, tries = 0; tries < SLOTS; slot = (slot + 1) % SLOTS, tries++) {
    Word *word = &words[slot];
    if (word->count == 0) *word = (Word){at, size, 0};
    if (word->size == size && same(word->at, at, size)) {
      word->count++;
      return;
    }
  }
}

static void count_words(uint32_t limit) {
  uint32_t start = 0;
  for (uint32_t i = 0; i < sizeof text; i++) {
    if (text[i] != ' ') continue;
    if (i > start && i - start < limit) count_word(text + start, i - start);
    start = i + 1;
  }
}

int32_t run(int32_t n) {
  uint32_t sum = 0;
  make_text();
  for (int32_t i = 0; i < n; i++) count_words(5);
  for (uint32_t slot = 0; slot < SLOTS; slot++) sum += words[slot].count * slot;
  return (int32_t)sum;
}

#include "tail.h"
