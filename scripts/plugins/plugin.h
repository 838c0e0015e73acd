/* plugin.h - what the plugins share: no C library, a bump allocator, and bytes handed to the host.
 *
 * A host writes its input into memory from plugin_alloc, calls an export with address and size, and
 * finds the answer through the Bytes whose address the export returns. plugin_reset forgets all of
 * it before the next round.
 */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name)         __attribute__((export_name(name)))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define NO_INLINE            __attribute__((noinline))

typedef struct Bytes {
  char *at;
  uint32_t size;
} Bytes;

extern char __heap_base; /* from the linker: the first byte after data and stack */
static uintptr_t heap_top;

EXPORT("plugin_reset") void plugin_reset(void);
EXPORT("plugin_alloc") void *plugin_alloc(uint32_t size);

void plugin_reset(void) {
  heap_top = (uintptr_t)&__heap_base;
}

/* Eight-byte aligned; traps when the host gives no more memory. */
void *plugin_alloc(uint32_t size) {
  if (heap_top == 0) plugin_reset();
  uintptr_t at = (heap_top + 7) & ~(uintptr_t)7;
  uintptr_t have = __builtin_wasm_memory_size(0) << 16;
  if (at + size > have) {
    uintptr_t pages = (at + size - have + 0xffff) >> 16;
    if (__builtin_wasm_memory_grow(0, pages) == (uintptr_t)-1) __builtin_trap();
  }
  heap_top = at + size;
  return (void *)at;
}

#endif
