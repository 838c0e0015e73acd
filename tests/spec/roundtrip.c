/* roundtrip.c - prints modules as text and reads them back, until nothing changes any more.
 *
 *   roundtrip FILE... | DIR...
 *
 * For each .wasm file: load, print, parse, load, print, parse. The second and the third binary have
 * to be the same bytes, and the second module has to have the same types, imports, exports,
 * functions, segments, names and custom sections as the first. Files whose names end in
 * .invalid.wasm or .malformed.wasm are left out. The last line says how many passed and failed.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/os.h"
#include "module/names.h"
#include "text/text.h"

static Alloc alloc;
static unsigned n_passed, n_failed;
static bool is_verbose;

static bool fail(const char *path, const char *what, const Error *error) {
  char text[700] = "";
  if (error) error_text(error, text, sizeof text);
  printf("%s: %s%s%s\n", path, what, error ? ": " : "", text);
  return false;
}

/* --- comparing modules --- */

static bool equal_types(const Module *a, const Module *b) {
  if (a->n_types != b->n_types) return false;
  for (uint32_t i = 0; i < a->n_types; i++) {
    const SubType *x = &a->types[i], *y = &b->types[i];
    if (a->type_ids[i] != b->type_ids[i] || x->is_plain != y->is_plain ||
        x->group_is_explicit != y->group_is_explicit || x->group_first != y->group_first)
      return false;
  }
  return true;
}

static bool equal_imports(const Module *a, const Module *b) {
  if (a->n_imports != b->n_imports) return false;
  for (uint32_t i = 0; i < a->n_imports; i++) {
    const Import *x = &a->imports[i], *y = &b->imports[i];
    if (!str_equal(x->module, y->module) || !str_equal(x->name, y->name) || x->kind != y->kind)
      return false;
  }
  return true;
}

static bool equal_exports(const Module *a, const Module *b) {
  if (a->n_exports != b->n_exports) return false;
  for (uint32_t i = 0; i < a->n_exports; i++) {
    const Export *x = &a->exports[i], *y = &b->exports[i];
    if (!str_equal(x->name, y->name) || x->kind != y->kind || x->index != y->index) return false;
  }
  return true;
}

static bool equal_funcs(const Module *a, const Module *b) {
  if (a->n_funcs != b->n_funcs || a->start != b->start) return false;
  for (uint32_t i = 0; i < a->n_funcs; i++) {
    const FuncDef *x = &a->funcs[i], *y = &b->funcs[i];
    if (x->type != y->type || x->n_locals != y->n_locals || x->max_stack != y->max_stack)
      return false;
  }
  return true;
}

static bool equal_limits(const Limits *a, const Limits *b) {
  return a->min == b->min && a->max == b->max && a->is_64 == b->is_64;
}

static bool equal_memories(const Module *a, const Module *b) {
  if (a->n_memories != b->n_memories || a->n_tables != b->n_tables) return false;
  for (uint32_t i = 0; i < a->n_memories; i++) {
    const MemoryType *x = &a->memories[i], *y = &b->memories[i];
    if (!equal_limits(&x->limits, &y->limits) || x->is_shared != y->is_shared ||
        x->page_log2 != y->page_log2)
      return false;
  }
  for (uint32_t i = 0; i < a->n_tables; i++) {
    const TableType *x = &a->tables[i].type, *y = &b->tables[i].type;
    if (!equal_limits(&x->limits, &y->limits) || x->type != y->type) return false;
  }
  return true;
}

static bool equal_globals(const Module *a, const Module *b) {
  if (a->n_globals != b->n_globals || a->n_tags != b->n_tags) return false;
  for (uint32_t i = 0; i < a->n_globals; i++) {
    const GlobalType *x = &a->globals[i].type, *y = &b->globals[i].type;
    if (x->type != y->type || x->is_mutable != y->is_mutable) return false;
  }
  for (uint32_t i = 0; i < a->n_tags; i++)
    if (a->tags[i] != b->tags[i]) return false;
  return true;
}

static bool equal_segments(const Module *a, const Module *b) {
  if (a->n_elems != b->n_elems || a->n_datas != b->n_datas) return false;
  for (uint32_t i = 0; i < a->n_elems; i++) {
    const ElemDef *x = &a->elems[i], *y = &b->elems[i];
    if (x->flags != y->flags || x->table != y->table || x->type != y->type || x->n != y->n)
      return false;
  }
  for (uint32_t i = 0; i < a->n_datas; i++) {
    const DataDef *x = &a->datas[i], *y = &b->datas[i];
    if (x->flags != y->flags || x->memory != y->memory || x->size != y->size ||
        memcmp(a->bytes + x->at, b->bytes + y->at, x->size) != 0)
      return false;
  }
  return true;
}

static bool equal_name(Module *a, Module *b, NameSpace space, uint32_t outer, uint32_t index) {
  return str_equal(module_name_in(a, space, outer, index), module_name_in(b, space, outer, index));
}

/* The element of an array can have no name in text. */
static bool is_struct(const Module *module, uint32_t type) {
  return module->types[type].comp.kind == COMP_STRUCT;
}

static bool equal_names(Module *a, Module *b) {
  const struct {
    NameSpace space;
    uint32_t n;
  } spaces[] = {
      {NAMES_MODULE, 1},           {NAMES_FUNCS, a->n_funcs},       {NAMES_TYPES, a->n_types},
      {NAMES_TABLES, a->n_tables}, {NAMES_MEMORIES, a->n_memories}, {NAMES_GLOBALS, a->n_globals},
      {NAMES_ELEMS, a->n_elems},   {NAMES_DATAS, a->n_datas},       {NAMES_TAGS, a->n_tags}};
  for (size_t i = 0; i < COUNT_OF(spaces); i++)
    for (uint32_t index = 0; index < spaces[i].n; index++)
      if (!equal_name(a, b, spaces[i].space, 0, index)) return false;
  for (uint32_t func = 0; func < a->n_funcs; func++)
    for (uint32_t i = 0; i < a->funcs[func].n_locals; i++)
      if (!equal_name(a, b, NAMES_LOCALS, func, i)) return false;
  for (uint32_t type = 0; type < a->n_types; type++)
    for (uint32_t i = 0; is_struct(a, type) && i < a->types[type].comp.n_fields; i++)
      if (!equal_name(a, b, NAMES_FIELDS, type, i)) return false;
  return true;
}

/* The next custom section that is neither names nor hints; NULL at the end. */
static const CustomSection *next_custom(const Module *module, uint32_t *i) {
  while (*i < module->n_customs) {
    const CustomSection *custom = &module->customs[(*i)++];
    if (!str_equal(custom->name, STR_LITERAL("name")) &&
        !str_equal(custom->name, STR_LITERAL("metadata.code.branch_hint")))
      return custom;
  }
  return NULL;
}

static bool equal_customs(const Module *a, const Module *b) {
  uint32_t i = 0, j = 0;
  for (;;) {
    const CustomSection *x = next_custom(a, &i), *y = next_custom(b, &j);
    if (!x || !y) return x == y;
    if (!str_equal(x->name, y->name) || x->size != y->size ||
        memcmp(a->bytes + x->at, b->bytes + y->at, x->size) != 0)
      return false;
  }
}

/* The name of what differs, or NULL. */
static const char *difference(Module *a, Module *b) {
  if (!equal_types(a, b)) return "types differ";
  if (!equal_imports(a, b)) return "imports differ";
  if (!equal_exports(a, b)) return "exports differ";
  if (!equal_funcs(a, b)) return "functions differ";
  if (!equal_memories(a, b)) return "memories or tables differ";
  if (!equal_globals(a, b)) return "globals or tags differ";
  if (!equal_segments(a, b)) return "segments differ";
  if (!equal_names(a, b)) return "names differ";
  if (!equal_customs(a, b)) return "custom sections differ";
  return NULL;
}

/* --- one file --- */

static double seconds_since(uint64_t start) {
  return (double)(os_monotonic_ns() - start) / 1e9;
}

static const LoadOptions all_features = {.features = ((FeatureSet)1 << FEATURE_COUNT) - 1};

/* Prints the module and parses the text; the bytes live in the arena. */
static bool reparse(const char *path, Arena *arena, Module *module, const uint8_t **bytes,
                    size_t *size) {
  Error error;
  Str text;
  uint64_t start = os_monotonic_ns();
  if (!text_print_module(arena, module, &text, &error)) return fail(path, "print", &error);
  double print_time = seconds_since(start);
  start = os_monotonic_ns();
  if (!text_parse_module(arena, text, all_features.features, bytes, size, &error))
    return fail(path, "parse", &error);
  if (is_verbose)
    printf("%s: %zu bytes of text, printed in %.3f s, parsed in %.3f s\n", path, text.size,
           print_time, seconds_since(start));
  return true;
}

static bool check_second(const char *path, Arena *arena, Module *first, Module *second,
                         const uint8_t *bytes, size_t size) {
  const char *what = difference(first, second);
  if (what) return fail(path, what, NULL);
  const uint8_t *bytes2;
  size_t size2;
  if (!reparse(path, arena, second, &bytes2, &size2)) return false;
  if (size != size2 || memcmp(bytes, bytes2, size) != 0)
    return fail(path, "the second and the third binary differ", NULL);
  return true;
}

static bool check_first(const char *path, Arena *arena, Module *first) {
  Error error;
  const uint8_t *bytes;
  size_t size;
  if (!reparse(path, arena, first, &bytes, &size)) return false;
  Module *second = module_load(&alloc, bytes, size, &all_features, &error);
  if (!second) return fail(path, "load again", &error);
  bool ok = check_second(path, arena, first, second, bytes, size);
  module_release(second);
  return ok;
}

static bool check_bytes(const char *path, const uint8_t *bytes, size_t size) {
  Error error;
  Module *first = module_load(&alloc, bytes, size, &all_features, &error);
  if (!first) return fail(path, "load", &error);
  Arena arena;
  arena_init(&arena, &alloc);
  bool ok = check_first(path, &arena, first);
  arena_clear(&arena);
  module_release(first);
  return ok;
}

static bool ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

static void check_file(const char *path) {
  size_t size;
  const uint8_t *bytes = os_map_file(path, &size);
  bool ok = bytes ? check_bytes(path, bytes, size) : fail(path, "cannot be read", NULL);
  if (bytes) os_unmap_file(bytes, size);
  n_passed += ok;
  n_failed += !ok;
}

static int visit(const char *path, const struct stat *info, int kind, struct FTW *walk) {
  (void)info;
  (void)walk;
  bool is_bad = ends_with(path, ".invalid.wasm") || ends_with(path, ".malformed.wasm");
  if (kind == FTW_F && ends_with(path, ".wasm") && !is_bad) check_file(path);
  return 0;
}

int main(int argc, char **argv) {
  alloc_init(&alloc, NULL, NULL);
  is_verbose = getenv("VERBOSE") != NULL;
  for (int i = 1; i < argc; i++)
    if (nftw(argv[i], visit, 16, FTW_PHYS) != 0) n_failed += !fail(argv[i], "not found", NULL);
  printf("%u passed, %u failed\n", n_passed, n_failed);
  return n_failed > 0;
}
