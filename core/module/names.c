/* names.c - the name section: found and indexed on first use, by whichever thread asks first.
 *
 * The section is the producer's and nobody has checked it. What cannot be read ends the reading of
 * its subsection; names that are not UTF-8 are left out. Names are sorted by their indices, as the
 * specification wants them; where they are not, they are sorted here.
 */
#include "names.h"

#include <stdio.h>
#include <stdlib.h>

#include "../base/number.h"

typedef struct Name {
  uint32_t outer, index; /* outer: function of a local, type of a field; else 0 */
  Str text;
} Name;

struct Names {
  Arena arena;
  Str module;
  struct {
    const Name *items;
    uint32_t n;
  } spaces[NAMES_SPACES];
};

typedef VEC(Name) NameVec;

/* A cursor that remembers failure instead of raising. */
typedef struct Cursor {
  const uint8_t *at, *end;
  bool failed;
} Cursor;

static uint32_t cursor_u32(Cursor *cursor) {
  uint64_t x = 0;
  for (unsigned shift = 0; shift < 35 && cursor->at < cursor->end; shift += 7) {
    uint8_t byte = *cursor->at++;
    x |= (uint64_t)(byte & 0x7F) << shift;
    if (!(byte & 0x80) && x <= UINT32_MAX) return (uint32_t)x;
  }
  cursor->failed = true;
  return 0;
}

static Str cursor_str(Cursor *cursor) {
  uint32_t size = cursor_u32(cursor);
  if (cursor->failed || size > (size_t)(cursor->end - cursor->at)) {
    cursor->failed = true;
    return (Str){NULL, 0};
  }
  Str text = {(const char *)cursor->at, size};
  cursor->at += size;
  return text;
}

static void read_map(Arena *arena, Cursor *cursor, uint32_t outer, NameVec *vec) {
  uint32_t n = cursor_u32(cursor);
  for (uint32_t i = 0; i < n && !cursor->failed; i++) {
    Name name = {.outer = outer, .index = cursor_u32(cursor)};
    name.text = cursor_str(cursor);
    if (!cursor->failed && name.text.size && utf8_check(name.text.at, name.text.size))
      VEC_PUSH(arena, vec, name);
  }
}

static void read_indirect_map(Arena *arena, Cursor *cursor, NameVec *vec) {
  uint32_t n = cursor_u32(cursor);
  for (uint32_t i = 0; i < n && !cursor->failed; i++) {
    uint32_t outer = cursor_u32(cursor);
    read_map(arena, cursor, outer, vec);
  }
}

static int compare_names(const void *a, const void *b) {
  const Name *left = a, *right = b;
  if (left->outer != right->outer) return left->outer < right->outer ? -1 : 1;
  return left->index < right->index ? -1 : left->index > right->index;
}

static void sort_names(NameVec *vec) {
  for (uint32_t i = 1; i < vec->n; i++) {
    if (compare_names(&vec->items[i - 1], &vec->items[i]) > 0) {
      qsort(vec->items, vec->n, sizeof *vec->items, compare_names);
      return;
    }
  }
}

static Str module_text(Cursor contents) {
  Str text = cursor_str(&contents);
  return contents.failed || !utf8_check(text.at, text.size) ? (Str){NULL, 0} : text;
}

/* The subsections' ids are the name spaces' numbers. */
static void read_space(Names *names, unsigned space, Cursor contents) {
  NameVec vec = {0};
  if (space == NAMES_LOCALS || space == NAMES_LABELS || space == NAMES_FIELDS)
    read_indirect_map(&names->arena, &contents, &vec);
  else
    read_map(&names->arena, &contents, 0, &vec);
  sort_names(&vec);
  names->spaces[space].items = vec.items;
  names->spaces[space].n = vec.n;
}

static bool is_wanted(const Module *module, unsigned space) {
  if (space >= NAMES_SPACES) return false;
  return space <= NAMES_LOCALS || module->features & FEATURE_BIT(FEATURE_EXTENDED_NAMES);
}

/* Steps to the next subsection of a name section. */
static bool next_space(Cursor *cursor, unsigned *space, Cursor *contents) {
  if (cursor->at == cursor->end) return false;
  *space = *cursor->at++;
  Str text = cursor_str(cursor);
  if (cursor->failed) return false;
  *contents = (Cursor){(const uint8_t *)text.at, (const uint8_t *)text.at + text.size, false};
  return true;
}

/* The name section that counts is the first. */
static Cursor find_section(const Module *module) {
  for (uint32_t i = 0; i < module->n_customs; i++) {
    const CustomSection *custom = &module->customs[i];
    if (str_equal(custom->name, STR_LITERAL("name")))
      return (Cursor){module->bytes + custom->at, module->bytes + custom->at + custom->size, false};
  }
  return (Cursor){0};
}

Str names_find_module(const Module *module) {
  Cursor cursor = find_section(module), contents;
  for (unsigned space; next_space(&cursor, &space, &contents);)
    if (space == NAMES_MODULE) return module_text(contents);
  return (Str){NULL, 0};
}

static void read_names(const Module *module, Names *names) {
  Cursor cursor = find_section(module), contents;
  for (unsigned space; next_space(&cursor, &space, &contents);) {
    if (space == NAMES_MODULE)
      names->module = module_text(contents);
    else if (is_wanted(module, space))
      read_space(names, space, contents);
  }
}

static void free_names(Alloc *alloc, Names *names) {
  arena_clear(&names->arena);
  alloc_free(alloc, names, sizeof *names);
}

/* NULL when there is no memory. */
static Names *make_names(const Module *module) {
  Names *names = alloc_zero(module->alloc, sizeof *names);
  if (!names) return NULL;
  arena_init(&names->arena, module->alloc);
  Error error;
  Guard guard;
  if (!GUARD_TRY(&guard, &names->arena, &error)) {
    free_names(module->alloc, names);
    return NULL;
  }
  read_names(module, names);
  guard_leave(&guard);
  return names;
}

static const Names *names_of(Module *module) {
  void *names = atomic_load_explicit(&module->names, memory_order_acquire);
  if (names) return names;
  Names *made = make_names(module);
  if (!made) return NULL;
  if (atomic_compare_exchange_strong(&module->names, &names, made)) return made;
  free_names(module->alloc, made);
  return names;
}

void names_free(Module *module) {
  void *names = atomic_exchange(&module->names, NULL);
  if (names) free_names(module->alloc, names);
}

Str module_name_in(Module *module, NameSpace space, uint32_t outer, uint32_t index) {
  const Names *names = names_of(module);
  if (!names) return (Str){NULL, 0};
  if (space == NAMES_MODULE) return names->module;
  Name key = {.outer = outer, .index = index};
  const Name *items = names->spaces[space].items;
  if (!items) return (Str){NULL, 0};
  const Name *found = bsearch(&key, items, names->spaces[space].n, sizeof *items, compare_names);
  return found ? found->text : (Str){NULL, 0};
}

Str module_name_of(Module *module, NameSpace space, uint32_t index) {
  return module_name_in(module, space, 0, index);
}

size_t module_func_label(Module *module, uint32_t func, char *out, size_t size) {
  Str name = module_name_of(module, NAMES_FUNCS, func);
  if (name.size) return (size_t)snprintf(out, size, "$%.*s", (int)name.size, name.at);
  for (uint32_t i = 0; i < module->n_exports; i++) {
    const Export *export = &module->exports[i];
    if (export->kind == EXTERN_FUNC && export->index == func)
      return (size_t)snprintf(out, size, "%.*s", (int)export->name.size, export->name.at);
  }
  return (size_t)snprintf(out, size, "func[%u]", (unsigned)func);
}
