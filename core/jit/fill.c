/* fill.c - all functions of a module at once: see fill.h. */
#if defined(__x86_64__)
#include "fill.h"

#include "../module/module.h"
#include "engine.h"

enum { STEP = MIB };

static Alloc *alloc_of(const Fill *fill) {
  return fill->space->owner->module->alloc;
}

bool fill_begin(Fill *fill, CodeSpace *space) {
  const Module *module = space->owner->module;
  uint32_t n = module->n_funcs - module->n_imported_funcs;
  *fill = (Fill){.space = space, .n_funcs = n, .start = code_next_page(space)};
  fill->funcs = alloc_zero(module->alloc, MAX(n, 1) * sizeof *fill->funcs);
  fill->order = alloc_zero(module->alloc, MAX(n, 1) * sizeof *fill->order);
  return fill->funcs != NULL && fill->order != NULL;
}

static void *copy(Alloc *alloc, const void *items, size_t size) {
  void *made = alloc_new(alloc, size);
  return made != NULL ? memcpy(made, items, size) : NULL;
}

static bool copy_tables(Alloc *alloc, Compiled *compiled) {
  size_t sites = compiled->n_sites * sizeof *compiled->sites;
  size_t links = compiled->n_links * sizeof *compiled->links;
  CodeSite *own = sites != 0 ? copy(alloc, compiled->sites, sites) : NULL;
  compiled->links = links != 0 ? copy(alloc, compiled->links, links) : NULL;
  compiled->sites = own;
  return (sites == 0 || own != NULL) && (links == 0 || compiled->links != NULL);
}

bool fill_add(Fill *fill, uint32_t own, const Compiled *compiled) {
  FillFunc *func = &fill->funcs[own];
  size_t size = (size_t)align_up(compiled->size, 16);
  while (fill->size + size > fill->room) {
    if (!code_extend(fill->space, fill->room, STEP)) return false;
    fill->room += STEP;
  }
  memcpy(fill->start + fill->size, compiled->code, compiled->size);
  *func = (FillFunc){.at = fill->size, .compiled = *compiled};
  func->compiled.code = NULL;
  fill->order[fill->n_placed++] = own;
  fill->size += size;
  return copy_tables(alloc_of(fill), &func->compiled);
}

static void link_all(const Fill *fill, const uint8_t *const *placed) {
  for (uint32_t i = 0; i < fill->n_placed; i++) {
    const FillFunc *func = &fill->funcs[fill->order[i]];
    code_link(fill->space, placed, &func->compiled, fill->start + func->at);
  }
}

/* The sites belong to the space from now on. */
static void publish_all(Fill *fill) {
  const Module *module = fill->space->owner->module;
  for (uint32_t i = 0; i < fill->n_placed; i++) {
    FillFunc *func = &fill->funcs[fill->order[i]];
    CodePiece piece = {.kind = RECORD_FUNC, .index = module->n_imported_funcs + fill->order[i]};
    piece.compiled = func->compiled;
    code_add_record(fill->space, &piece, fill->start + func->at, func->compiled.sites);
    func->compiled.sites = NULL;
  }
  for (uint32_t i = 0; i < fill->n_placed; i++) {
    const FillFunc *func = &fill->funcs[fill->order[i]];
    CodePiece piece = {.kind = RECORD_FUNC, .index = module->n_imported_funcs + fill->order[i]};
    piece.compiled = func->compiled;
    code_publish(fill->space, &piece, fill->start + func->at);
  }
}

bool fill_finish(Fill *fill) {
  if (fill->n_placed == 0) return true;
  size_t bytes = fill->n_funcs * sizeof(uint8_t *);
  const uint8_t **placed = alloc_zero(alloc_of(fill), bytes);
  if (placed == NULL) return false;
  for (uint32_t i = 0; i < fill->n_funcs; i++) {
    if (fill->funcs[i].compiled.size != 0) placed[i] = fill->start + fill->funcs[i].at;
  }
  link_all(fill, placed);
  alloc_free(alloc_of(fill), (void *)placed, bytes);
  if (!code_end(fill->space, fill->size, fill->room)) return false;
  publish_all(fill);
  return true;
}

void fill_empty(Fill *fill) {
  Alloc *alloc = alloc_of(fill);
  for (uint32_t i = 0; fill->funcs != NULL && i < fill->n_funcs; i++) {
    const Compiled *compiled = &fill->funcs[i].compiled;
    if (compiled->sites != NULL)
      alloc_free(alloc, (void *)(uintptr_t)compiled->sites,
                 compiled->n_sites * sizeof *compiled->sites);
    if (compiled->links != NULL)
      alloc_free(alloc, (void *)(uintptr_t)compiled->links,
                 compiled->n_links * sizeof *compiled->links);
    fill->funcs[i] = (FillFunc){0};
  }
  fill->n_placed = 0;
  fill->size = 0;
}

void fill_clear(Fill *fill) {
  Alloc *alloc = alloc_of(fill);
  fill_empty(fill);
  alloc_free(alloc, fill->funcs, MAX(fill->n_funcs, 1) * sizeof *fill->funcs);
  alloc_free(alloc, fill->order, MAX(fill->n_funcs, 1) * sizeof *fill->order);
}
#endif
