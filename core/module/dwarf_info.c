/* dwarf_info.c - .debug_info of one unit: its functions, and the calls that were inlined in them.
 */
#include <stdlib.h>

#include "dwarf_int.h"

enum { MAX_DEPTH = 64 };

/* One entry that has children, while they are read. */
typedef struct Open {
  uint32_t depth; /* of scopes */
  bool is_in_func;
  uint32_t func_end; /* functions that have to be told where their scopes end */
} Open;

typedef struct Walk {
  DwarfJob *job;
  const DwarfHead *head;
  DwarfScopes *out;
  VEC(Open) open;
  DwarfRanges ranges;
} Walk;

static bool is_scope(const DwarfDie *die) {
  return die->tag == TAG_SUBPROGRAM || die->tag == TAG_INLINED;
}

static void add_name(Walk *walk, const DwarfDie *die) {
  const DwarfValue *link = &die->attr[ATTR_ORIGIN];
  if (link->kind != DWARF_REF) link = &die->attr[ATTR_SPECIFICATION];
  DwarfName name = {.die = die->at, .link = link->kind == DWARF_REF ? link->n : 0};
  name.text = dwarf_text(walk->job->dwarf, walk->head, &die->attr[ATTR_NAME]);
  if (name.text.size == 0) {
    name.text = dwarf_text(walk->job->dwarf, walk->head, &die->attr[ATTR_LINKAGE_NAME]);
  }
  dwarf_spend(walk->job, sizeof name + name.text.size / 16);
  VEC_PUSH(walk->job->arena, &walk->out->names, name);
}

static uint32_t small(const DwarfValue *value) {
  return value->kind == DWARF_NUMBER ? (uint32_t)MIN(value->n, UINT32_MAX) : 0;
}

/* A range each, and for functions an entry in the list of them. */
static void add_scopes(Walk *walk, const DwarfDie *die, uint32_t depth) {
  walk->ranges.n = 0;
  dwarf_ranges(walk->job, walk->head, die, &walk->ranges);
  for (uint32_t i = 0; i < walk->ranges.n; i++) {
    DwarfScope scope = {.range = walk->ranges.items[i],
                        .depth = depth,
                        .call_line = small(&die->attr[ATTR_CALL_LINE]),
                        .call_file = small(&die->attr[ATTR_CALL_FILE]),
                        .die = die->at};
    dwarf_spend(walk->job, sizeof scope);
    uint32_t first = walk->out->items.n;
    VEC_PUSH(walk->job->arena, &walk->out->items, scope);
    if (depth != 0) continue;
    DwarfFunc func = {.range = scope.range, .first = first, .end = UINT32_MAX};
    VEC_PUSH(walk->job->arena, &walk->out->funcs, func);
  }
}

/* The functions that were not ended yet end with the scopes read so far. */
static void end_funcs(DwarfScopes *out) {
  for (uint32_t i = out->funcs.n; i > 0 && out->funcs.items[i - 1].end == UINT32_MAX; i--) {
    out->funcs.items[i - 1].end = out->items.n;
  }
}

static void enter(Walk *walk, const DwarfDie *die) {
  Open outer = walk->open.n != 0 ? walk->open.items[walk->open.n - 1] : (Open){0};
  Open inner = outer;
  if (is_scope(die)) {
    bool is_func = die->tag == TAG_SUBPROGRAM;
    if (is_func) end_funcs(walk->out);
    add_name(walk, die);
    uint32_t depth = is_func ? 0 : outer.depth;
    if (depth < MAX_DEPTH && (is_func || outer.is_in_func)) add_scopes(walk, die, depth);
    inner = (Open){.depth = depth + 1, .is_in_func = is_func || outer.is_in_func};
  }
  if (die->has_children) VEC_PUSH(walk->job->arena, &walk->open, inner);
}

static int compare_funcs(const void *a, const void *b) {
  const DwarfFunc *left = a, *right = b;
  return left->range.low < right->range.low ? -1 : left->range.low > right->range.low;
}

void dwarf_scopes(DwarfJob *job, const DwarfHead *head, DwarfScopes *out) {
  DwarfAbbrevs abbrevs = {0};
  dwarf_abbrevs(job, head->abbrevs, UINT32_MAX, &abbrevs);
  Walk walk = {.job = job, .head = head, .out = out};
  Span unit = {job->dwarf->info.at, head->end};
  Scan scan = scan_of(unit, head->dies);
  DwarfDie die;
  while (dwarf_die(job, head, &abbrevs, &scan, &die)) {
    if (die.tag != 0) {
      enter(&walk, &die);
    } else if (walk.open.n != 0) {
      walk.open.n--;
    }
    if (walk.open.n == 0) break;
  }
  end_funcs(out);
  if (out->funcs.n > 1) qsort(out->funcs.items, out->funcs.n, sizeof(DwarfFunc), compare_funcs);
}
