/* dwarf.c - the index of units, made at the first backtrace, and what is asked of it.
 *
 * A unit's tables are read when an address in it is asked for. All that is made is made once, by
 * whichever thread comes first, and lives as long as the module.
 */
#include "dwarf.h"

#include <stdlib.h>

#include "dwarf_int.h"

enum { MAX_SCOPES = 64, MAX_LINKS = 8, WORK_PER_BYTE = 64 };

/* ---- Units ----------------------------------------------------------------------------------- */

/* The header behind unit_length. False: a kind or version that is not known. */
static bool read_head(Scan *scan, DwarfHead *head) {
  enum { COMPILE = 1, PARTIAL = 3, SKELETON = 4 };
  head->version = (uint16_t)scan_u(scan, 2);
  if (head->version == 5) {
    uint64_t kind = scan_u(scan, 1);
    head->address_size = (uint8_t)scan_u(scan, 1);
    head->abbrevs = scan_u(scan, head->offset_size);
    if (kind == SKELETON) scan_skip(scan, 8);
    if (kind != COMPILE && kind != PARTIAL && kind != SKELETON) return false;
  } else {
    head->abbrevs = scan_u(scan, head->offset_size);
    head->address_size = (uint8_t)scan_u(scan, 1);
  }
  bool is_wide = head->address_size == 4 || head->address_size == 8;
  return !scan->failed && head->version >= 2 && head->version <= 5 && is_wide;
}

/* Bases first: other attributes are indices from them on. */
static void read_root(DwarfJob *job, DwarfHead *head, Scan *scan, DwarfRanges *ranges) {
  const Dwarf *dwarf = job->dwarf;
  DwarfAbbrevs abbrevs = {0};
  dwarf_abbrevs(job, head->abbrevs, 1, &abbrevs); /* producers put the root's first */
  DwarfDie die;
  Scan again = *scan;
  if (!dwarf_die(job, head, &abbrevs, scan, &die)) {
    abbrevs.n = 0;
    dwarf_abbrevs(job, head->abbrevs, UINT32_MAX, &abbrevs);
    if (!dwarf_die(job, head, &abbrevs, &again, &die)) return;
  }
  bool is_64 = head->offset_size == 8;
  head->str_offsets_base = die.attr[ATTR_STR_OFFSETS_BASE].n;
  if (head->str_offsets_base == 0 && head->version == 5) head->str_offsets_base = is_64 ? 16 : 8;
  head->addr_base = die.attr[ATTR_ADDR_BASE].n;
  head->rnglists_base = die.attr[ATTR_RNGLISTS_BASE].n;
  head->has_lines = die.attr[ATTR_STMT_LIST].kind == DWARF_NUMBER;
  head->line_at = die.attr[ATTR_STMT_LIST].n;
  head->folder = dwarf_text(dwarf, head, &die.attr[ATTR_COMP_DIR]);
  if (!dwarf_address(dwarf, head, &die.attr[ATTR_LOW_PC], &head->base)) head->base = 0;
  dwarf_spend(job, 1 + head->folder.size / 16);
  dwarf_ranges(job, head, &die, ranges);
}

static int compare_ranges(const void *a, const void *b) {
  const DwarfUnitRange *left = a, *right = b;
  return left->range.low < right->range.low ? -1 : left->range.low > right->range.low;
}

static void read_units(DwarfJob *job, Dwarf *dwarf) {
  VEC(DwarfHead) units = {0};
  VEC(DwarfUnitRange) all = {0};
  DwarfRanges ranges = {0};
  Scan scan = scan_of(dwarf->info, 0);
  while (!scan.failed && scan.at < scan.end) {
    DwarfHead head = {.at = (size_t)(scan.at - dwarf->info.at)};
    const uint8_t *end = scan_length(&scan, &head.offset_size);
    if (scan.failed) break;
    Scan inside = {scan.at, end, false};
    scan.at = end;
    head.end = (size_t)(end - dwarf->info.at);
    if (!read_head(&inside, &head)) continue;
    head.dies = (size_t)(inside.at - dwarf->info.at);
    ranges.n = 0;
    read_root(job, &head, &inside, &ranges);
    for (uint32_t i = 0; i < ranges.n; i++) {
      DwarfUnitRange range = {ranges.items[i], units.n};
      VEC_PUSH(job->arena, &all, range);
    }
    VEC_PUSH(job->arena, &units, head);
  }
  if (all.n > 1) qsort(all.items, all.n, sizeof(DwarfUnitRange), compare_ranges);
  dwarf->units = units.items, dwarf->n_units = units.n;
  dwarf->ranges_of_units = all.items, dwarf->n_ranges_of_units = all.n;
}

/* ---- Making things once ---------------------------------------------------------------------- */

static void free_dwarf(Alloc *alloc, Dwarf *dwarf) {
  for (uint32_t i = 0; i < dwarf->n_units; i++) {
    DwarfUnit *unit = atomic_load(&dwarf->units[i].unit);
    if (unit == NULL) continue;
    arena_clear(&unit->arena);
    alloc_free(alloc, unit, sizeof *unit);
  }
  arena_clear(&dwarf->arena);
  alloc_free(alloc, dwarf, sizeof *dwarf);
}

static void find_sections(const Module *module, Dwarf *dwarf) {
  static const struct {
    const char *name;
    size_t member;
  } sections[] = {
#define ROW(name) {".debug_" #name, offsetof(Dwarf, name)},
      DWARF_SECTIONS(ROW)
#undef ROW
  };
  for (uint32_t i = 0; i < module->n_customs; i++) {
    const CustomSection *custom = &module->customs[i];
    if (custom->name.size < 7 || memcmp(custom->name.at, ".debug_", 7) != 0) continue;
    for (size_t k = 0; k < COUNT_OF(sections); k++) {
      Span *span = (Span *)(void *)((char *)dwarf + sections[k].member);
      if (span->at != NULL || !str_equal(custom->name, str_of(sections[k].name))) continue;
      *span = (Span){module->bytes + custom->at, custom->size};
      dwarf->size += custom->size;
    }
  }
}

/* Reads under a guard. What the work has cost is paid by the module, also when nothing came of it.
 */
static bool guarded(Dwarf *dwarf, Arena *arena, DwarfUnit *unit, const DwarfHead *head) {
  Guard guard;
  Error error;
  DwarfJob job = {.dwarf = dwarf, .arena = arena};
  DwarfJob *volatile shared = &job;
  int64_t work = atomic_load_explicit(&dwarf->work, memory_order_relaxed);
  job.work = work;
  bool is_done = GUARD_TRY(&guard, arena, &error);
  if (is_done) {
    if (unit == NULL) {
      read_units(&job, dwarf);
    } else {
      dwarf_lines(&job, head, &unit->lines);
      dwarf_scopes(&job, head, &unit->scopes);
    }
    guard_leave(&guard);
  }
  atomic_fetch_sub_explicit(&dwarf->work, work - shared->work, memory_order_relaxed);
  return is_done;
}

/* NULL when there is no memory. */
static Dwarf *make_dwarf(const Module *module) {
  Dwarf *dwarf = alloc_zero(module->alloc, sizeof *dwarf);
  if (dwarf == NULL) return NULL;
  arena_init(&dwarf->arena, module->alloc);
  dwarf->code_size = module->code_size;
  find_sections(module, dwarf);
  atomic_init(&dwarf->work, (int64_t)(64 * KIB + WORK_PER_BYTE * dwarf->size));
  if (dwarf->size != 0 && !guarded(dwarf, &dwarf->arena, NULL, NULL)) dwarf->n_units = 0;
  return dwarf;
}

static Dwarf *dwarf_of(Module *module) {
  void *known = atomic_load_explicit(&module->dwarf, memory_order_acquire);
  if (known != NULL) return known;
  Dwarf *made = make_dwarf(module);
  if (made == NULL) return NULL;
  if (atomic_compare_exchange_strong(&module->dwarf, &known, made)) return made;
  free_dwarf(module->alloc, made);
  return known;
}

void dwarf_free(Module *module) {
  Dwarf *dwarf = atomic_exchange(&module->dwarf, NULL);
  if (dwarf != NULL) free_dwarf(module->alloc, dwarf);
}

/* A unit that cannot be read is empty. */
static const DwarfUnit *unit_of(Alloc *alloc, Dwarf *dwarf, DwarfHead *head) {
  void *known = atomic_load_explicit(&head->unit, memory_order_acquire);
  if (known != NULL) return known;
  DwarfUnit *made = alloc_zero(alloc, sizeof *made);
  if (made == NULL) return NULL;
  arena_init(&made->arena, alloc);
  if (!guarded(dwarf, &made->arena, made, head)) {
    arena_clear(&made->arena);
    memset(made, 0, sizeof *made);
    arena_init(&made->arena, alloc);
  }
  if (atomic_compare_exchange_strong(&head->unit, &known, made)) return made;
  arena_clear(&made->arena);
  alloc_free(alloc, made, sizeof *made);
  return known;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

/* The unit whose range around the address begins last. */
static DwarfHead *find_unit(const Dwarf *dwarf, uint32_t address) {
  uint32_t low = 0, high = dwarf->n_ranges_of_units;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (dwarf->ranges_of_units[middle].range.low <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0 || address >= dwarf->ranges_of_units[low - 1].range.high) return NULL;
  return &dwarf->units[dwarf->ranges_of_units[low - 1].unit];
}

static DwarfHead *unit_at(const Dwarf *dwarf, uint64_t die) {
  uint32_t low = 0, high = dwarf->n_units;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (dwarf->units[middle].at <= die) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low != 0 && die < dwarf->units[low - 1].end ? &dwarf->units[low - 1] : NULL;
}

static int compare_names(const void *a, const void *b) {
  const DwarfName *left = a, *right = b;
  return left->die < right->die ? -1 : left->die > right->die;
}

/* The name of an entry, which may be said by the entry that it is an instance of. */
static Str name_of(Alloc *alloc, Dwarf *dwarf, uint64_t die) {
  for (int i = 0; i < MAX_LINKS; i++) {
    DwarfHead *head = unit_at(dwarf, die);
    const DwarfUnit *unit = head != NULL ? unit_of(alloc, dwarf, head) : NULL;
    if (unit == NULL || unit->scopes.names.n == 0) break;
    DwarfName key = {.die = die};
    const DwarfName *found =
        bsearch(&key, unit->scopes.names.items, unit->scopes.names.n, sizeof key, compare_names);
    if (found == NULL) break;
    if (found->text.size != 0 || found->link == 0) return found->text;
    die = found->link;
  }
  return (Str){NULL, 0};
}

/* The function around the address and the inlined calls in it, outermost first. */
static uint32_t scopes_around(const DwarfScopes *scopes, uint32_t address,
                              const DwarfScope *out[MAX_SCOPES]) {
  uint32_t low = 0, high = scopes->funcs.n;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (scopes->funcs.items[middle].range.low <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0 || address >= scopes->funcs.items[low - 1].range.high) return 0;
  const DwarfFunc *func = &scopes->funcs.items[low - 1];
  uint32_t n = 0;
  for (uint32_t i = func->first; i < func->end; i++) {
    const DwarfScope *scope = &scopes->items.items[i];
    bool is_around = scope->range.low <= address && address < scope->range.high;
    if (!is_around || scope->depth > n || scope->depth >= MAX_SCOPES) continue;
    out[scope->depth] = scope;
    n = scope->depth + 1;
  }
  return n;
}

uint32_t dwarf_places(Module *module, uint64_t offset, SourcePlace *out, uint32_t room) {
  uint64_t address = offset - module->code_at;
  if (room == 0 || offset < module->code_at || address >= module->code_size) return 0;
  Dwarf *dwarf = dwarf_of(module);
  DwarfHead *head = dwarf != NULL ? find_unit(dwarf, (uint32_t)address) : NULL;
  const DwarfUnit *unit = head != NULL ? unit_of(module->alloc, dwarf, head) : NULL;
  if (unit == NULL) return 0;
  const DwarfScope *around[MAX_SCOPES];
  uint32_t n = scopes_around(&unit->scopes, (uint32_t)address, around);
  const DwarfRow *row = dwarf_row(&unit->lines, (uint32_t)address);
  if (n == 0 && row == NULL) return 0;
  SourcePlace place = {0};
  if (row != NULL) {
    place.line = row->line;
    dwarf_path(head, &unit->lines, row->file, place.path);
  }
  uint32_t n_places = 0;
  for (uint32_t i = n; i > 1 && n_places + 1 < room; i--) {
    const DwarfScope *scope = around[i - 1];
    place.func = name_of(module->alloc, dwarf, scope->die);
    out[n_places++] = place;
    place = (SourcePlace){.line = scope->call_line};
    dwarf_path(head, &unit->lines, scope->call_file, place.path);
  }
  place.func = n != 0 ? name_of(module->alloc, dwarf, around[0]->die) : (Str){NULL, 0};
  out[n_places++] = place;
  return n_places;
}
