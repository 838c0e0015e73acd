/* inlined.c - a guest with debug information: an inlined call that traps, and one that asks the host.
 * tests/lua/dwarf.lua finds the lines by their marks. build.sh makes inlined4.wasm and inlined5.wasm.
 */
#define EXPORT(name) __attribute__((export_name(#name)))
#define INLINE static inline __attribute__((always_inline))

__attribute__((import_module("env"), import_name("log"))) void host_log(int x);

INLINE int divide(int a, int b) {
  return a / b; /* mark: divide */
}

INLINE int average(int sum, int n) {
  int result = divide(sum, n); /* mark: average */
  return result;
}

static __attribute__((noinline)) int compute(int sum, int n) {
  return average(sum + 5, n) + 1; /* mark: compute */
}

INLINE void report(int x) {
  host_log(x); /* mark: report */
}

EXPORT(run) int run(int sum, int n) {
  return compute(sum, n) * 2; /* mark: run */
}

EXPORT(tell) int tell(int x) {
  report(x); /* mark: tell */
  return x;
}
