/* listing.c - machine code as text: see listing.h. */
#if defined(__x86_64__)
#include "listing.h"

#include "../module/names.h"
#include "helper.h"
#include "x64/disasm.h"

enum { COMMENT_COLUMN = 52 };

typedef struct Listing {
  Module *module;
  const Compiled *compiled;
  Buf *out;
  uint32_t site, link; /* the next ones */
  bool has_comment;
} Listing;

static const char *const stub_names[STUB_COUNT] = {
    [STUB_POLL] = "poll",   [STUB_FUEL] = "fuel",  [STUB_SUBTYPE] = "subtype",
    [STUB_STACK] = "stack", [STUB_ENTER] = "poll", [STUB_THROW] = "throw",
};
static const char *const helper_names[] = {
#define HELPER(name, signature, clobbers) #name,
#include "helper.def"
};

static void comment(Listing *l, size_t line) {
  while (!l->has_comment && l->out->size - line < COMMENT_COLUMN) buf_byte(l->out, ' ');
  buf_str(l->out, l->has_comment ? ", " : " ; ");
  l->has_comment = true;
}

static void show_func(Listing *l, uint32_t func) {
  char label[128];
  module_func_label(l->module, func, label, sizeof label);
  buf_printf(l->out, "function %u %s", func, label);
}

static void show_link(Listing *l, const CodeLink *link) {
  switch ((LinkKind)link->kind) {
    case LINK_SLOT: show_func(l, link->index); break;
    case LINK_STUB: buf_printf(l->out, "stub %s", stub_names[link->index]); break;
    case LINK_HELPER: buf_printf(l->out, "helper %s", helper_names[link->index]); break;
    case LINK_ADAPTER: buf_printf(l->out, "adapter of type %u", link->index); break;
    case LINK_TYPE: buf_printf(l->out, "type %u", link->index); break;
  }
}

/* In the module's bytes, also of what was inlined. */
static uint32_t offset_of(const Compiled *compiled, const CodeSite *site) {
  if (!(site->place & SITE_INLINED)) return site->place;
  return compiled->sites[site->place & ~SITE_INLINED].place;
}

/* Links in the bytes from `at` to `end`, faults at `at`, calls that end at `end`. */
static void show_comments(Listing *l, size_t line, uint32_t at, uint32_t end) {
  const Compiled *c = l->compiled;
  for (; l->link < c->n_links && c->links[l->link].at < end; l->link++) {
    if (c->links[l->link].at < at) continue;
    comment(l, line);
    show_link(l, &c->links[l->link]);
  }
  for (; l->site < c->n_sites; l->site++) {
    const CodeSite *site = &c->sites[l->site];
    bool is_call = site->trap == TRAP_NONE;
    if (is_call ? site->at > end : site->at >= end) break;
    comment(l, line);
    buf_printf(l->out, "%s (at 0x%x)", is_call ? "call" : trap_text((Trap)site->trap),
               offset_of(c, site));
    if (is_call && site->handler != 0) buf_printf(l->out, ", caught at %x", site->handler);
  }
}

void listing_print(Module *module, const Compiled *compiled, Buf *out) {
  Listing l = {.module = module, .compiled = compiled, .out = out};
  for (uint32_t at = 0; at < compiled->pool;) {
    size_t line = out->size;
    buf_printf(out, "%6x  ", at);
    uint32_t end = at + disasm_one(compiled->code, at, compiled->pool, out);
    l.has_comment = false;
    show_comments(&l, line, at, end);
    buf_byte(out, '\n');
    at = end;
  }
  if (compiled->pool != compiled->size)
    buf_printf(out, "%6x  %u bytes of constants and tables\n", compiled->pool,
               compiled->size - compiled->pool);
}
#endif
