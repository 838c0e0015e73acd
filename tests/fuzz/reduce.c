/* reduce.c - delta debugging: bodies become empty, then runs of instructions are taken out, whole
 * blocks first, or replaced by what gives the same types, as long as the difference stays.
 *
 * What is tried need not be valid; the validator says so, and only valid modules are run.
 */
#include "reduce.h"

#include <stdio.h>
#include <string.h>

#include "module/instr.h"
#include "module/module.h"

enum { INSTRS_MOST = 50000 };

typedef struct Reduction {
  Arena *arena;
  uint64_t seed;
  const PairOptions *options;
  uint8_t *bytes; /* the smallest so far */
  size_t size;
  uint32_t *starts; /* of the instructions of one body, and its end */
  uint32_t *ends;   /* index behind the matching `end` of a block, or of the instruction itself */
  uint32_t n;
} Reduction;

static Module *load(const Reduction *r, const uint8_t *bytes, size_t size) {
  LoadOptions load = {.features = feature_defaults(), .is_deterministic = true};
  Error error;
  return module_load(r->arena->alloc, bytes, size, &load, &error);
}

static bool still_differs(const Reduction *r, const Buf *bytes) {
  Module *module = load(r, bytes->at, bytes->size);
  if (module == NULL) return false;
  module_release(module);
  return pair_run_apart(bytes, r->seed, r->options) == PAIR_DIFFERS;
}

static void put_section(Buf *out, uint8_t id, const Buf *contents) {
  buf_byte(out, id);
  buf_u32(out, (uint32_t)contents->size);
  buf_bytes(out, contents->at, contents->size);
}

/* The module with another code for one function: `locals` bytes of the old body, then the parts. */
static void rebuild(const Module *module, uint32_t func, const Buf *body, Buf *out) {
  buf_bytes(out, module->bytes, 8);
  for (uint32_t i = 0; i < module->n_sections; i++) {
    const SectionRange *section = &module->sections[i];
    Buf contents;
    buf_init(&contents, out->arena);
    if (section->id != 10) {
      buf_bytes(&contents, module->bytes + section->at, section->size);
      put_section(out, section->id, &contents);
      continue;
    }
    buf_u32(&contents, module->n_funcs - module->n_imported_funcs);
    for (uint32_t f = module->n_imported_funcs; f < module->n_funcs; f++) {
      const FuncDef *def = &module->funcs[f];
      const uint8_t *at = f == func ? body->at : module->bytes + def->at;
      size_t size = f == func ? body->size : def->end - def->at;
      buf_u32(&contents, (uint32_t)size);
      buf_bytes(&contents, at, size);
    }
    put_section(out, 10, &contents);
  }
}

static bool try_body(Reduction *r, const Module *module, uint32_t func, const Buf *body) {
  Buf out;
  buf_init(&out, r->arena);
  rebuild(module, func, body, &out);
  if (out.size >= r->size || !still_differs(r, &out)) return false;
  r->bytes = out.at;
  r->size = out.size;
  return true;
}

/* Where the instructions of a body are, and which `end` belongs to which block. */
static void scan(Reduction *r, const Module *module, uint32_t func) {
  uint32_t open[512], depth = 0;
  const FuncDef *def = &module->funcs[func];
  Reader reader = {
      .at = module->bytes + def->at, .end = module->bytes + def->end, .start = module->bytes};
  for (uint32_t runs = read_u32(&reader); runs != 0; runs--) {
    (void)read_u32(&reader);
    (void)read_val_type(&reader);
  }
  for (r->n = 0; reader.at < reader.end && r->n < INSTRS_MOST; r->n++) {
    Instr instr;
    r->starts[r->n] = (uint32_t)(reader.at - module->bytes);
    r->ends[r->n] = r->n + 1;
    instr_read(&reader, &instr);
    bool opens = instr.op == OP_BLOCK || instr.op == OP_LOOP || instr.op == OP_IF ||
                 instr.op == OP_TRY_TABLE || instr.op == OP_TRY;
    if (opens && depth < 512) open[depth++] = r->n;
    if (instr.op == OP_END && depth != 0) r->ends[open[--depth]] = r->n + 1;
  }
  r->starts[r->n] = def->end;
}

/* The body without the instructions from `from` to `to`, and with these bytes there. */
static bool try_without(Reduction *r, const Module *module, uint32_t func, uint32_t from,
                        uint32_t to, const char *instead, size_t size) {
  const FuncDef *def = &module->funcs[func];
  Buf body;
  buf_init(&body, r->arena);
  buf_bytes(&body, module->bytes + def->at, r->starts[from] - def->at);
  buf_bytes(&body, instead, size);
  buf_bytes(&body, module->bytes + r->starts[to], def->end - r->starts[to]);
  return try_body(r, module, func, &body);
}

static const struct {
  const char *bytes;
  size_t size;
} fillers[] = {{"", 0},
               {"\x1A", 1},
               {"\x1A\x1A", 2},
               {"\x41\0", 2},
               {"\x42\0", 2},
               {"\x43\0\0\0\0", 5},
               {"\x44\0\0\0\0\0\0\0\0", 9},
               {"\x1A\x41\0", 3},
               {"\x1A\x42\0", 3},
               {"\0", 1}};

static bool try_range(Reduction *r, const Module *module, uint32_t func, uint32_t from,
                      uint32_t to) {
  for (unsigned i = 0; i < COUNT_OF(fillers); i++) {
    if (try_without(r, module, func, from, to, fillers[i].bytes, fillers[i].size)) return true;
  }
  return false;
}

/* One step that makes the function smaller; false when none does. */
static bool shrink_func(Reduction *r, const Module *module, uint32_t func) {
  scan(r, module, func);
  uint32_t last = r->n - 1; /* the body's `end` */
  for (uint32_t length = last; length != 0; length = length > 8 ? length / 2 : length - 1) {
    for (uint32_t from = 0; from + length <= last; from += MAX(length / 2, 1)) {
      if (try_range(r, module, func, from, from + length)) return true;
    }
  }
  for (uint32_t from = 0; from < last; from++) {
    if (r->ends[from] > from + 1 && try_range(r, module, func, from, r->ends[from])) return true;
  }
  return false;
}

static bool shrink(Reduction *r) {
  Module *module = load(r, r->bytes, r->size);
  if (module == NULL) return false;
  bool is_smaller = false;
  for (uint32_t f = module->n_imported_funcs; f < module->n_funcs && !is_smaller; f++)
    is_smaller = shrink_func(r, module, f);
  module_release(module);
  return is_smaller;
}

void reduce_module(const Buf *bytes, uint64_t seed, const PairOptions *options, Buf *out) {
  PairOptions quiet = *options;
  quiet.is_quiet = true;
  Reduction r = {.arena = out->arena, .seed = seed, .options = &quiet};
  r.starts = arena_new(r.arena, (INSTRS_MOST + 1) * sizeof *r.starts);
  r.ends = arena_new(r.arena, (INSTRS_MOST + 1) * sizeof *r.ends);
  r.bytes = arena_copy(r.arena, bytes->at, bytes->size);
  r.size = bytes->size;
  while (shrink(&r)) fprintf(stderr, "%zu bytes\n", r.size);
  buf_bytes(out, r.bytes, r.size);
}
