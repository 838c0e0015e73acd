/* dwarf.c - asks for the places of all code of modules, then damages their debug information and
 * asks again: nothing may crash, leak or take long.
 *
 *   dwarf ROUNDS SEED FILE.wasm...
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../core/base/os.h"
#include "../../core/module/dwarf.h"

static uint64_t state;

static size_t below(size_t n) { /* xorshift64* */
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (size_t)(state * UINT64_C(2685821657736338717) >> 8) % n;
}

static uint8_t *read_file(const char *path, size_t *size) {
  FILE *in = fopen(path, "rb");
  if (in == NULL) return NULL;
  fseek(in, 0, SEEK_END);
  long end = ftell(in);
  rewind(in);
  uint8_t *bytes = malloc(end > 0 ? (size_t)end : 1);
  *size = end > 0 ? fread(bytes, 1, (size_t)end, in) : 0;
  fclose(in);
  return bytes;
}

static bool is_debug(const CustomSection *custom) {
  return custom->name.size > 7 && memcmp(custom->name.at, ".debug_", 7) == 0 && custom->size != 0;
}

/* Every step bytes of the code; returns how many places have a line. */
static uint64_t ask(Module *module, uint32_t step) {
  uint64_t n_known = 0;
  for (uint32_t at = 0; at < module->code_size; at += step) {
    SourcePlace places[16];
    uint32_t n = dwarf_places(module, module->code_at + at, places, COUNT_OF(places));
    for (uint32_t i = 0; i < n; i++) {
      n_known += places[i].line != 0;
      uint8_t sum = 0; /* the texts are there */
      for (size_t k = 0; k < places[i].func.size; k++) sum ^= (uint8_t)places[i].func.at[k];
      for (int p = 0; p < 3; p++)
        for (size_t k = 0; k < places[i].path[p].size; k++) sum ^= (uint8_t)places[i].path[p].at[k];
      if (sum == 255 && places[i].func.size == 0 && n > 15) putchar('.');
    }
  }
  return n_known;
}

static Module *load(Alloc *alloc, const uint8_t *bytes, size_t size) {
  Error error;
  LoadOptions options = {.features = feature_defaults()};
  return module_decode(alloc, bytes, size, &options, &error);
}

static void damage(const Module *module, uint8_t *bytes) {
  static const uint8_t values[] = {0, 1, 0x7F, 0x80, 0xFF};
  for (uint32_t i = 0; i < module->n_customs; i++) {
    const CustomSection *custom = &module->customs[i];
    if (!is_debug(custom)) continue;
    for (size_t k = 0; k < 1 + custom->size / 4096; k++) {
      size_t at = custom->at + below(custom->size);
      bytes[at] = below(2) ? values[below(sizeof values)] : (uint8_t)below(256);
    }
  }
}

static bool try_once(const char *path, const uint8_t *bytes, size_t size, uint32_t step,
                     bool is_whole) {
  Alloc alloc;
  alloc_init(&alloc, NULL, NULL);
  Module *module = load(&alloc, bytes, size);
  if (module == NULL) return true;
  uint64_t began = os_monotonic_ns();
  uint64_t n_known = ask(module, step);
  double seconds = (double)(os_monotonic_ns() - began) / 1e9;
  if (is_whole) {
    printf("%s: %llu places of %u bytes of code, %.3f s, %zu KiB\n", path,
           (unsigned long long)n_known, module->code_size, seconds, alloc.used / 1024);
  }
  module_release(module);
  if (alloc.used != 0) printf("%s: %zu bytes leaked\n", path, alloc.used);
  return alloc.used == 0 && seconds < 60;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: dwarf ROUNDS SEED FILE.wasm...\n");
    return 2;
  }
  unsigned rounds = (unsigned)strtoul(argv[1], NULL, 10), n_failed = 0, n_passed = 0;
  state = strtoull(argv[2], NULL, 10) * 2 + 1;
  for (int i = 3; i < argc; i++) {
    size_t size;
    uint8_t *bytes = read_file(argv[i], &size);
    if (bytes == NULL) continue;
    bool is_good = try_once(argv[i], bytes, size, 1, true);
    uint8_t *copy = malloc(size + 1);
    Alloc alloc;
    alloc_init(&alloc, NULL, NULL);
    Module *module = load(&alloc, bytes, size);
    for (unsigned k = 0; k < rounds && module != NULL; k++) {
      memcpy(copy, bytes, size);
      damage(module, copy);
      is_good &= try_once(argv[i], copy, size, 1 + module->code_size / 256, false);
    }
    if (module != NULL) module_release(module);
    free(copy);
    free(bytes);
    n_failed += !is_good;
    n_passed += is_good;
  }
  printf("%u passed, %u failed\n", n_passed, n_failed);
  return n_failed != 0;
}
