/* setjmp.c - what the compiler's code calls for setjmp and longjmp, in place of Emscripten's C
 * library: each function that calls setjmp has a table of the ids of its buffers and where they go
 * on.
 */
#include "setjmp.h"

typedef struct Entry {
  int32_t id, label;
} Entry;

IMPORT(_emscripten_throw_longjmp) _Noreturn void throw_longjmp(void);
IMPORT(setTempRet0) void setTempRet0(uint32_t value);

uintptr_t __THREW__;
int __threwValue;
static int32_t last_id;
static char heap[65536];
static size_t used;

EXPORT(setThrew) void setThrew(uintptr_t threw, int value) {
  if (__THREW__ == 0) {
    __THREW__ = threw;
    __threwValue = value;
  }
}

void *malloc(size_t n) {
  void *at = heap + used;
  used += (n + 15) & ~(size_t)15;
  return used <= sizeof heap ? at : NULL;
}

void free(void *at) {
  (void)at;
}

/* Tables of a function's setjmps are given back by nobody, so each test starts afresh. */
EXPORT(forget) void forget(void) {
  used = 0;
}

Entry *saveSetjmp(jmp_buf buffer, int32_t label, Entry *table, uint32_t size) {
  buffer->id = ++last_id;
  for (uint32_t i = 0; i < size; i++) {
    if (table[i].id == 0) {
      table[i].id = buffer->id;
      table[i].label = label;
      setTempRet0(size);
      return table;
    }
  }
  __builtin_trap();
}

int32_t testSetjmp(uintptr_t id, Entry *table, uint32_t size) {
  for (uint32_t i = 0; i < size && table[i].id; i++) {
    if ((uintptr_t)table[i].id == id) return table[i].label;
  }
  return 0;
}

/* The buffer's id, which the compiler's code compares, travels as the address that was thrown. */
_Noreturn void emscripten_longjmp(uintptr_t buffer, int value) {
  setThrew(buffer, value ? value : 1);
  throw_longjmp();
}
