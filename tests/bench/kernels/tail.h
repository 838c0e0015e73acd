/* tail.h - the last line of every kernel: runs it with its own n, for hosts that only call _start,
 * and tells native.c what that is. */
#ifdef __wasm__
void _start(void) {
  run(KERNEL_N);
}
#else
extern const int32_t kernel_n;
const int32_t kernel_n = KERNEL_N;
#endif
