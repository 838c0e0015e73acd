/* base.h - the words every other file uses: integers, bounds, alignment, attributes.
 *
 * Nothing here allocates, fails or knows about WebAssembly.
 */
#ifndef RILLE_BASE_H
#define RILLE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rock.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b)       ((a) < (b) ? (a) : (b))
#define MAX(a, b)       ((a) > (b) ? (a) : (b))
#define KIB             ((size_t)1 << 10)
#define MIB             ((size_t)1 << 20)

#if defined(__GNUC__)
#define LIKELY(x)                  __builtin_expect(!!(x), 1)
#define UNLIKELY(x)                __builtin_expect(!!(x), 0)
#define FORCE_INLINE               inline __attribute__((always_inline))
#define NO_INLINE                  __attribute__((noinline))
#define COLD                       __attribute__((cold, noinline))
#define PRINTF_LIKE(string, first) __attribute__((format(printf, string, first)))
#else
#define LIKELY(x)    (x)
#define UNLIKELY(x)  (x)
#define FORCE_INLINE inline
#define NO_INLINE
#define COLD
#define PRINTF_LIKE(string, first)
#endif

/* A borrowed run of bytes; not terminated. Names, string literals, sections. */
typedef struct Str {
  const char *at;
  size_t size;
} Str;

#define STR_LITERAL(text) ((Str){(text), sizeof(text) - 1})

static inline bool str_equal(Str a, Str b) {
  return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

static inline Str str_of(const char *text) {
  return (Str){text, strlen(text)};
}

/* Rounds up to a power of two; the caller knows that nothing overflows. */
static inline uint64_t align_up(uint64_t x, uint64_t power_of_two) {
  return (x + power_of_two - 1) & ~(power_of_two - 1);
}

/* Unaligned little-endian access to bytes of a module or of a guest's memory. */
#define DEFINE_LOAD_STORE(bits)                                  \
  static inline uint##bits##_t load_u##bits(const void *at) {    \
    uint##bits##_t x;                                            \
    memcpy(&x, at, sizeof x);                                    \
    return x;                                                    \
  }                                                              \
  static inline void store_u##bits(void *at, uint##bits##_t x) { \
    memcpy(at, &x, sizeof x);                                    \
  }
DEFINE_LOAD_STORE(8)
DEFINE_LOAD_STORE(16)
DEFINE_LOAD_STORE(32)
DEFINE_LOAD_STORE(64)
#undef DEFINE_LOAD_STORE

#endif
