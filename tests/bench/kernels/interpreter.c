/* interpreter.c - an interpreter as a guest: a register machine that sieves the primes below 8,192,
 * n times. */
#include "kernel.h"

#define KERNEL_N 12
#define LIMIT    8192

enum { SET, ADD, MUL, LESS, JUMP, UNLESS, LOAD, STORE, MOVE, STOP };

typedef struct Instr {
  uint8_t op, a, b, c;
  int32_t number;
} Instr;

/* r0: i, r1: j, r2: a condition, r3: limit, r4: 1, r5: count, r6: 0 */
static const Instr program[] = {
    {SET, 0, 0, 0, 2},     {SET, 3, 0, 0, LIMIT}, {SET, 4, 0, 0, 1},     {SET, 5, 0, 0, 0},
    {SET, 6, 0, 0, 0},     {LESS, 2, 0, 3, 0},    {UNLESS, 2, 0, 0, 20}, {LOAD, 2, 0, 0, 0},
    {UNLESS, 2, 0, 0, 10}, {JUMP, 0, 0, 0, 18},   {ADD, 5, 5, 4, 0},     {MUL, 1, 0, 0, 0},
    {LESS, 2, 1, 3, 0},    {UNLESS, 2, 0, 0, 18}, {STORE, 1, 4, 0, 0},   {ADD, 1, 1, 0, 0},
    {JUMP, 0, 0, 0, 12},   {STOP, 0, 0, 0, 0},    {ADD, 0, 0, 4, 0},     {JUMP, 0, 0, 0, 5},
    {MOVE, 0, 5, 0, 0},    {STOP, 0, 0, 0, 0},
};

static uint8_t memory[LIMIT];

static __attribute__((noinline)) int32_t interpret(const Instr *code) {
  int32_t r[8] = {0};
  for (const Instr *at = code;;) {
    Instr instr = *at++;
    switch (instr.op) {
      case SET: r[instr.a] = instr.number; break;
      case ADD: r[instr.a] = (int32_t)((uint32_t)r[instr.b] + (uint32_t)r[instr.c]); break;
      case MUL: r[instr.a] = (int32_t)((uint32_t)r[instr.b] * (uint32_t)r[instr.c]); break;
      case LESS: r[instr.a] = r[instr.b] < r[instr.c]; break;
      case JUMP: at = code + instr.number; break;
      case UNLESS:
        if (!r[instr.a]) at = code + instr.number;
        break;
      case LOAD: r[instr.a] = memory[(uint32_t)r[instr.b] % LIMIT]; break;
      case STORE: memory[(uint32_t)r[instr.a] % LIMIT] = (uint8_t)r[instr.b]; break;
      case MOVE: r[instr.a] = r[instr.b]; break;
      default: return r[0];
    }
  }
}

int32_t run(int32_t n) {
  int32_t sum = 0;
  for (int32_t round = 0; round < n * 8; round++) {
    for (int i = 0; i < LIMIT; i++) memory[i] = 0;
    sum += interpret(program);
  }
  return sum;
}

#include "tail.h"
