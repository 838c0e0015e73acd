/* mutate.c - damages modules at random and loads them: nothing may crash, leak or hang.
 *
 *   mutate SECONDS SEED FILE.wasm...
 *
 * Built with the sanitizers it is a smoke test of decoder and validator. A module that takes much
 * longer than its size allows is reported, too.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../core/base/os.h"
#include "../../core/module/module.h"
#include "../../core/module/names.h"

enum { MOST_BYTES = 1 << 20, SLACK = 64 };

typedef struct File {
  const char *path;
  uint8_t *bytes;
  size_t size;
} File;

static uint64_t state;

static uint64_t next_random(void) { /* xorshift64* */
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * UINT64_C(2685821657736338717);
}

static size_t below(size_t n) {
  return (size_t)(next_random() % n);
}

static bool read_file(File *file) {
  FILE *in = fopen(file->path, "rb");
  if (!in) return false;
  static uint8_t room[MOST_BYTES];
  file->size = fread(room, 1, sizeof room, in);
  fclose(in);
  if (file->size <= 8 || file->size == sizeof room) return false;
  file->bytes = malloc(file->size);
  memcpy(file->bytes, room, file->size);
  return true;
}

/* Bytes that mean something: types, opcodes with effects on the nesting, long numbers. */
static uint8_t interesting(void) {
  static const uint8_t bytes[] = {0,    1,    2,    0x0B, 0x05, 0x0E, 0x1F, 0x40, 0x60, 0x63, 0x64,
                                  0x6E, 0x70, 0x7F, 0x7E, 0x7B, 0x80, 0xFF, 0xFB, 0xFC, 0xFD, 0xFE};
  return bytes[below(sizeof bytes)];
}

static size_t damage_once(uint8_t *bytes, size_t size, const File *other) {
  size_t at = 8 + below(size - 8), n = 1 + below(8);
  switch (below(6)) {
    case 0: bytes[at] ^= (uint8_t)(1u << below(8)); break;
    case 1: bytes[at] = interesting(); break;
    case 2: bytes[at] = (uint8_t)next_random(); break;
    case 3: /* take some out */
      n = n < size - at ? n : size - at;
      memmove(bytes + at, bytes + at + n, size - at - n);
      return size - n > 8 ? size - n : size;
    case 4: /* put some in */
      memmove(bytes + at + n, bytes + at, size - at);
      for (size_t i = 0; i < n; i++) bytes[at + i] = interesting();
      return size + n;
    default: /* a piece of another module */
      n = n * 4 < size - at ? n * 4 : size - at;
      for (size_t i = 0, from = below(other->size); i < n && from + i < other->size; i++)
        bytes[at + i] = other->bytes[from + i];
      break;
  }
  return size;
}

/* Looks at what names there are, so that their reader is damaged as well. */
static void use(Module *module) {
  char text[256];
  for (uint32_t i = 0; i < module->n_funcs && i < 4; i++)
    module_func_label(module, i, text, sizeof text);
}

static bool load(const uint8_t *bytes, size_t size) {
  Alloc alloc;
  Error error;
  alloc_init(&alloc, NULL, NULL);
  if (below(16) == 0) alloc.fail_after = (int64_t)below(64);
  LoadOptions options = {.features = below(2) ? feature_defaults() : (FeatureSet)next_random()};
  Module *module = module_load(&alloc, bytes, size, &options, &error);
  if (module) {
    use(module);
    module_release(module);
  }
  if (alloc.used != 0) {
    printf("%zu bytes leaked\n", alloc.used);
    abort();
  }
  return module != NULL;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: mutate SECONDS SEED FILE.wasm...\n");
    return 2;
  }
  uint64_t end = os_monotonic_ns() + strtoull(argv[1], NULL, 10) * 1000000000;
  state = strtoull(argv[2], NULL, 10) * 2 + 1;
  File *files = calloc((size_t)argc, sizeof *files);
  size_t n_files = 0;
  for (int i = 3; i < argc; i++) {
    files[n_files].path = argv[i];
    if (read_file(&files[n_files])) n_files++;
  }
  uint8_t *bytes = malloc(MOST_BYTES + SLACK);
  uint64_t n_loads = 0, n_valid = 0, slowest = 0;
  while (n_files && os_monotonic_ns() < end) {
    const File *file = &files[below(n_files)], *other = &files[below(n_files)];
    memcpy(bytes, file->bytes, file->size);
    size_t size = file->size, limit = file->size + SLACK / 2;
    for (size_t n = 1 + below(4); n > 0 && size <= limit; n--)
      size = damage_once(bytes, size, other);
    uint64_t start = os_monotonic_ns();
    n_valid += load(bytes, size);
    uint64_t taken = os_monotonic_ns() - start;
    if (taken > slowest) slowest = taken;
    n_loads++;
  }
  printf("%llu modules, %llu of them valid, slowest %.1f ms\n", (unsigned long long)n_loads,
         (unsigned long long)n_valid, (double)slowest / 1e6);
  for (size_t i = 0; i < n_files; i++) free(files[i].bytes);
  free(files);
  free(bytes);
  return 0;
}
