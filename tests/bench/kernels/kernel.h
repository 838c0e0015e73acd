/* kernel.h - what the benchmark kernels share. Each defines run(n), whose result is a checksum, and
 * KERNEL_N, the n that takes some 30 ms in native code. The same source is built for WebAssembly
 * (committed, see build.sh) and for the machine (with native.c, when scripts/bench.lua runs). */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdint.h>

#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(name)))
EXPORT("_start") void _start(void);
#else
#define EXPORT(name)
#endif

EXPORT("run") int32_t run(int32_t n);

#endif
