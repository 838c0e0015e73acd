/* module_bytes.h - builds small modules byte by byte for the tests of decoder and validator.
 */
#ifndef RILLE_TEST_MODULE_BYTES_H
#define RILLE_TEST_MODULE_BYTES_H

#include <stdlib.h>
#include <string.h>

#include "module/module.h"

typedef struct Bytes {
  uint8_t *at;
  size_t size, room;
} Bytes;

static void add_byte(Bytes *bytes, unsigned byte) {
  if (bytes->size == bytes->room) {
    bytes->room = bytes->room ? bytes->room * 2 : 256;
    bytes->at = realloc(bytes->at, bytes->room);
  }
  bytes->at[bytes->size++] = (uint8_t)byte;
}

static void add(Bytes *bytes, const void *from, size_t size) {
  for (size_t i = 0; i < size; i++) add_byte(bytes, ((const uint8_t *)from)[i]);
}

static void add_u32(Bytes *bytes, uint64_t x) {
  for (; x >= 0x80; x >>= 7) add_byte(bytes, (unsigned)(x & 0x7F) | 0x80);
  add_byte(bytes, (unsigned)x);
}

/* Literal bytes: ADD(&bytes, 0x60, 0, 0) */
#define ADD(bytes, ...)                      \
  do {                                       \
    const uint8_t literal[] = {__VA_ARGS__}; \
    add((bytes), literal, sizeof literal);   \
  } while (0)

static void add_section(Bytes *module, unsigned id, Bytes *contents) {
  add_byte(module, id);
  add_u32(module, contents->size);
  add(module, contents->at, contents->size);
  free(contents->at);
  *contents = (Bytes){0};
}

#define SECTION_BYTES(module, id, ...)      \
  do {                                      \
    Bytes contents = {0};                   \
    ADD(&contents, __VA_ARGS__);            \
    add_section((module), (id), &contents); \
  } while (0)

static Bytes new_bytes(void) {
  Bytes module = {0};
  ADD(&module, 0, 'a', 's', 'm', 1, 0, 0, 0);
  return module;
}

/* The code section with one function, whose body is `code`: local declarations, instructions and
 * end. */
static inline void add_code(Bytes *module, Bytes *code) {
  Bytes contents = {0};
  add_u32(&contents, 1);
  add_u32(&contents, code->size);
  add(&contents, code->at, code->size);
  add_section(module, 10, &contents);
  free(code->at);
  *code = (Bytes){0};
}

/* Takes the bytes; the module is NULL when *error is filled. */
static Module *load_with(Alloc *alloc, Bytes *bytes, FeatureSet features, Error *error) {
  LoadOptions options = {.features = features};
  Module *module = module_load(alloc, bytes->at, bytes->size, &options, error);
  free(bytes->at);
  *bytes = (Bytes){0};
  return module;
}

#endif
