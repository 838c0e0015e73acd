/* sort.c - indirect calls: heap sort of 4,096 records through a comparison function, n times. */
#include "kernel.h"

#define KERNEL_N 60
#define COUNT    4096

typedef struct Record {
  uint32_t key, value;
} Record;
typedef int Compare(const Record *a, const Record *b);

static Record records[COUNT];

static int by_key(const Record *a, const Record *b) {
  return (a->key > b->key) - (a->key < b->key);
}

static int by_value_down(const Record *a, const Record *b) {
  return (b->value > a->value) - (b->value < a->value);
}

static Compare *volatile const orders[] = {by_key, by_value_down};

static void sift(uint32_t root, uint32_t end, Compare *compare) {
  Record moved = records[root];
  for (uint32_t child; (child = 2 * root + 1) < end; root = child) {
    if (child + 1 < end && compare(&records[child], &records[child + 1]) < 0) child++;
    if (compare(&moved, &records[child]) >= 0) break;
    records[root] = records[child];
  }
  records[root] = moved;
}

static void sort(Compare *compare) {
  for (uint32_t i = COUNT / 2; i-- > 0;) sift(i, COUNT, compare);
  for (uint32_t end = COUNT - 1; end > 0; end--) {
    Record top = records[0];
    records[0] = records[end];
    records[end] = top;
    sift(0, end, compare);
  }
}

int32_t run(int32_t n) {
  uint32_t seed = 1, sum = 0;
  for (int32_t round = 0; round < n; round++) {
    for (uint32_t i = 0; i < COUNT; i++) {
      seed = seed * 1664525 + 1013904223;
      records[i] = (Record){seed >> 8, seed * 31};
    }
    sort(orders[round & 1]);
    sum = sum * 31 + records[COUNT / 3].key;
  }
  return (int32_t)sum;
}

#include "tail.h"
