/* corpus.c - modules of files, and damage to their code: see corpus.h. */
#include "corpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/instr.h"
#include "text/wast.h"

enum { MODULE_MOST = 1 << 16, CHANGES_MOST = 6, PLACES_MOST = 20000 };

/* Files */

static void add(Corpus *corpus, Str bytes) {
  LoadOptions load = {.features = feature_defaults()};
  Error error;
  if (bytes.size > MODULE_MOST) return;
  Module *module =
      module_load(corpus->arena.alloc, (const uint8_t *)bytes.at, bytes.size, &load, &error);
  if (module == NULL) return;
  bool has_code = module->n_funcs > module->n_imported_funcs;
  module_release(module);
  Str copy = {arena_copy(&corpus->arena, bytes.at, bytes.size), bytes.size};
  if (has_code) VEC_PUSH(&corpus->arena, &corpus->modules, copy);
}

static void add_source(Corpus *corpus, const WastModule *module) {
  if (module->kind == WAST_BINARY) {
    add(corpus, module->source);
    return;
  }
  Arena arena;
  Error error;
  const uint8_t *bytes;
  size_t size;
  arena_init(&arena, corpus->arena.alloc);
  if (text_parse_module(&arena, module->source, feature_defaults(), &bytes, &size, &error))
    add(corpus, (Str){(const char *)bytes, size});
  arena_clear(&arena);
}

static void add_script(Corpus *corpus, Str source) {
  WastReader reader;
  WastCommand command;
  wast_init(&reader, corpus->arena.alloc, source);
  while (wast_next(&reader, &command)) {
    if (command.kind == WAST_MODULE || command.kind == WAST_MODULE_DEFINITION)
      add_source(corpus, &command.module);
  }
  wast_clear(&reader);
}

void corpus_add_file(Corpus *corpus, const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    fprintf(stderr, "%s cannot be read\n", path);
    exit(2);
  }
  fseek(file, 0, SEEK_END);
  size_t size = (size_t)ftell(file);
  rewind(file);
  char *bytes = arena_new(&corpus->arena, size + 1);
  size = fread(bytes, 1, size, file);
  fclose(file);
  if (text_is_binary(bytes, size)) {
    add(corpus, (Str){bytes, size});
  } else {
    add_script(corpus, (Str){bytes, size});
  }
}

/* Damage: an instruction becomes another of the same type, a number of one byte another number. */

typedef struct Place {
  uint32_t at; /* of the opcode, in the module's bytes */
  uint32_t size;
  Op op;
} Place;

typedef struct Places {
  Place *items;
  uint32_t n;
} Places;

static void find_places(const Module *module, Places *out) {
  for (uint32_t f = module->n_imported_funcs; f < module->n_funcs; f++) {
    Reader r = {.at = module->bytes + module->funcs[f].at,
                .end = module->bytes + module->funcs[f].end,
                .start = module->bytes};
    for (uint32_t runs = read_u32(&r); runs != 0; runs--) {
      (void)read_u32(&r);
      (void)read_val_type(&r);
    }
    while (r.at < r.end && out->n < PLACES_MOST) {
      Instr instr;
      const uint8_t *start = r.at;
      instr_read(&r, &instr);
      out->items[out->n++] =
          (Place){(uint32_t)(start - module->bytes), (uint32_t)(r.at - start), instr.op};
    }
  }
}

static uint64_t next_random(uint64_t *state) { /* splitmix64 */
  uint64_t x = *state += UINT64_C(0x9E3779B97F4A7C15);
  x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
  return x ^ x >> 31;
}

static unsigned code_size(const OpInfo *info) {
  return info->prefix == 0 ? 1 : info->code < 0x80 ? 2 : 3;
}

/* Another row with the same signature, immediates and length; or the same again. */
static Op similar(Op op, uint64_t *random) {
  const OpInfo *own = &op_info[op];
  for (unsigned tries = 0; tries < 400; tries++) {
    Op other = (Op)(next_random(random) % OP_COUNT);
    const OpInfo *info = &op_info[other];
    if (info->sig == NULL || strcmp(info->sig, own->sig) != 0 || info->imm != own->imm) continue;
    if (code_size(info) == code_size(own) && (own->sig[0] != '*' || info->imm == own->imm))
      return other;
  }
  return op;
}

static void write_code(uint8_t *at, Op op) {
  const OpInfo *info = &op_info[op];
  if (info->prefix == 0) {
    at[0] = (uint8_t)info->code;
    return;
  }
  at[0] = info->prefix;
  if (info->code < 0x80) {
    at[1] = (uint8_t)info->code;
  } else {
    at[1] = (uint8_t)(info->code | 0x80);
    at[2] = (uint8_t)(info->code >> 7);
  }
}

static void change(uint8_t *bytes, const Places *places, uint64_t *random) {
  const Place *place = &places->items[next_random(random) % places->n];
  unsigned head = code_size(&op_info[place->op]);
  if (place->size > head && next_random(random) % 2 == 0) {
    uint8_t *byte = &bytes[place->at + head + next_random(random) % (place->size - head)];
    *byte = (uint8_t)((*byte & 0x80) | (next_random(random) & 0x7F));
  } else {
    write_code(bytes + place->at, similar(place->op, random));
  }
}

static bool is_valid(Alloc *alloc, const uint8_t *bytes, size_t size) {
  LoadOptions load = {.features = feature_defaults()};
  Error error;
  Module *module = module_load(alloc, bytes, size, &load, &error);
  if (module != NULL) module_release(module);
  return module != NULL;
}

static void mutate(const Corpus *corpus, const Module *module, uint64_t random, Buf *out) {
  Places places = {.items = arena_new(out->arena, PLACES_MOST * sizeof *places.items)};
  find_places(module, &places);
  uint8_t *bytes = arena_copy(out->arena, module->bytes, module->size);
  unsigned n = 1 + (unsigned)(next_random(&random) % CHANGES_MOST);
  for (unsigned i = 0, tries = 0; i < n && tries < 60 && places.n != 0; tries++) {
    uint8_t *copy = arena_copy(out->arena, bytes, module->size);
    change(copy, &places, &random);
    if (!is_valid(corpus->arena.alloc, copy, module->size)) continue;
    bytes = copy;
    i++;
  }
  buf_bytes(out, bytes, module->size);
}

void corpus_mutate(const Corpus *corpus, uint64_t seed, Buf *out) {
  uint64_t random = seed;
  Str source = corpus->modules.items[next_random(&random) % corpus->modules.n];
  LoadOptions load = {.features = feature_defaults()};
  Error error;
  Module *module =
      module_load(corpus->arena.alloc, (const uint8_t *)source.at, source.size, &load, &error);
  if (module == NULL) abort(); /* it was valid when it came */
  mutate(corpus, module, random, out);
  module_release(module);
}
