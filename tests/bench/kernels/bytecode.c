/* bytecode.c - a switch in a loop: a small stack machine that counts down, n rounds. */
#include "kernel.h"

#define KERNEL_N 1200000

enum { PUSH, ADD, MUL, XOR, LOAD, STORE, JUMP_IF, HALT };

/* sum = (sum * 3) ^ i; i = i - 1; while i */
static volatile const uint8_t program[] = {LOAD,  0,     PUSH, 3,    MUL,     0,    LOAD, 1,   XOR,
                                           0,     STORE, 0,    LOAD, 1,       PUSH, 255,  ADD, 0,
                                           STORE, 1,     LOAD, 1,    JUMP_IF, 0,    HALT, 0};

static int32_t execute(int32_t count) {
  int32_t stack[8], variables[2] = {1, count};
  int top = 0;
  for (const volatile uint8_t *pc = program;; pc += 2) {
    switch (pc[0]) {
      case PUSH: stack[top++] = (int8_t)pc[1]; break;
      case ADD: top--, stack[top - 1] += stack[top]; break;
      case MUL:
        top--, stack[top - 1] = (int32_t)((uint32_t)stack[top - 1] * (uint32_t)stack[top]);
        break;
      case XOR: top--, stack[top - 1] ^= stack[top]; break;
      case LOAD: stack[top++] = variables[pc[1]]; break;
      case STORE: variables[pc[1]] = stack[--top]; break;
      case JUMP_IF:
        if (stack[--top]) pc = program + pc[1] - 2;
        break;
      default: return variables[0];
    }
  }
}

int32_t run(int32_t n) {
  return execute(n);
}

#include "tail.h"
