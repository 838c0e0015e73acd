/* serialize.c - the code of a module as bytes: see serialize.h.
 *
 * A part: its size, u64; the key; the number of functions, u32; then for each function numbers in
 * LEB128: sizes, fault and call sites (as differences from the one before), links; then, at a
 * multiple of 16 bytes from the part's start, the code of all functions in their order.
 */
#if defined(__x86_64__)
#include "serialize.h"

#include "../base/os.h"
#include "../module/instr.h"
#include "engine.h"
#include "ir.h"

enum { PART_HEADER = 8 + HASH_BYTES + 4 };

/* The key */

static uint8_t build_id[HASH_BYTES];
static bool has_build_id;
static _Atomic int build_id_state;

static void add_to_hash(void *hash, const void *bytes, size_t size) {
  hash_add(hash, bytes, size);
}

static void find_build_id(void) {
  Hash hash;
  hash_init(&hash);
  has_build_id = os_visit_build(add_to_hash, &hash);
  hash_finish(&hash, build_id);
}

static uint32_t target_bits(const JitTarget *target) {
  const bool flags[] = {target->has_avx,     target->has_bmi1,   target->has_bmi2,
                        target->has_lzcnt,   target->has_popcnt, target->has_sse42,
                        target->uses_signals};
  uint32_t bits = 0;
  for (unsigned i = 0; i < COUNT_OF(flags); i++) bits |= (uint32_t)flags[i] << i;
  return bits;
}

bool serialize_key(const CodeSpace *space, uint8_t key[HASH_BYTES]) {
  const Module *module = space->owner->module;
  JitOptions options;
  jit_set_options(space, &options);
  os_call_once(&build_id_state, find_build_id);
  if (!has_build_id) return false;
  uint64_t words[] = {module->features,
                      module->is_deterministic,
                      options.counts_fuel,
                      options.checks_memory,
                      options.inlines,
                      target_bits(options.target),
                      options.target->random_seed,
                      module->size};
  Hash hash;
  hash_init(&hash);
  hash_add(&hash, build_id, sizeof build_id);
  hash_add(&hash, words, sizeof words);
  hash_add(&hash, module->bytes, module->size);
  hash_finish(&hash, key);
  return true;
}

/* Writing */

static void write_signed(Buf *out, uint32_t now, uint32_t *before) {
  buf_s32(out, (int32_t)(now - *before));
  *before = now;
}

static void write_func(const Compiled *compiled, Buf *out) {
  uint32_t at = 0, place = 0, link_at = 0;
  buf_u32(out, compiled->size);
  buf_u32(out, compiled->frame_bytes);
  buf_u32(out, compiled->param_bytes);
  buf_u32(out, compiled->n_sites);
  for (uint32_t i = 0; i < compiled->n_sites; i++) {
    const CodeSite *site = &compiled->sites[i];
    buf_byte(out, site->trap);
    write_signed(out, site->at, &at);
    write_signed(out, site->place, &place);
    if (site->trap == TRAP_NONE) buf_u32(out, site->handler);
  }
  buf_u32(out, compiled->n_links);
  for (uint32_t i = 0; i < compiled->n_links; i++) {
    const CodeLink *link = &compiled->links[i];
    buf_byte(out, (uint8_t)(link->kind | link->tail << 4));
    write_signed(out, link->at, &link_at);
    buf_u32(out, link->index);
  }
}

static size_t padded(uint32_t size) {
  return (size_t)align_up(size, 16);
}

void serialize_write(const Fill *fill, const uint8_t key[HASH_BYTES], Buf *out) {
  size_t start = out->size;
  uint64_t size = 0;
  buf_bytes(out, &size, sizeof size);
  buf_bytes(out, key, HASH_BYTES);
  buf_bytes(out, &fill->n_funcs, sizeof fill->n_funcs);
  for (uint32_t i = 0; i < fill->n_funcs; i++) write_func(&fill->funcs[i].compiled, out);
  while ((out->size - start) % 16 != 0) buf_byte(out, 0);
  for (uint32_t i = 0; i < fill->n_funcs; i++)
    buf_bytes(out, fill->start + fill->funcs[i].at, padded(fill->funcs[i].compiled.size));
  size = out->size - start;
  store_u64(out->at + start, size);
}

/* Reading, by the reader of modules: what is damaged raises. */

static void check(const Reader *r, bool is_right) {
  if (UNLIKELY(!is_right)) read_fail(r, ERROR_MALFORMED, "damaged code");
}

static uint32_t read_signed(Reader *r, uint32_t before) {
  return before + (uint32_t)read_s32(r);
}

/* What is inlined is told behind the other sites, outer functions first: so walks outward end. */
static bool place_is_known(const Module *module, uint32_t place, uint32_t first, uint32_t end) {
  if ((place & SITE_INLINED) == 0) return place <= module->size;
  uint32_t index = place & ~SITE_INLINED;
  return index >= first && index < end;
}

static void check_sites(const Reader *r, const Module *module, const Compiled *compiled) {
  const CodeSite *sites = compiled->sites;
  uint32_t n = compiled->n_sites, first = n;
  while (first != 0 && sites[first - 1].at == SITE_NOWHERE) first--;
  for (uint32_t i = 0; i < first; i++) {
    check(r, sites[i].at <= compiled->size && sites[i].handler < compiled->size &&
                 place_is_known(module, sites[i].place, first, n));
  }
  for (uint32_t i = first; i < n; i++) {
    check(r, sites[i].trap == TRAP_NONE && sites[i].place <= module->size &&
                 place_is_known(module, sites[i].handler, first, i));
  }
}

static void read_site(Reader *r, const CodeSite *before, CodeSite *out) {
  out->trap = read_byte(r);
  out->at = read_signed(r, before->at);
  out->place = read_signed(r, before->place);
  out->handler = out->trap == TRAP_NONE ? read_u32(r) : 0;
  check(r, out->trap < TRAP_COUNT && out->at >= before->at);
}

static bool link_is_known(const Module *module, const CodeLink *link) {
  switch (link->kind) {
    case LINK_SLOT: return link->index >= module->n_imported_funcs && link->index < module->n_funcs;
    case LINK_STUB: return link->index < STUB_COUNT;
    case LINK_HELPER: return link->index < HELPER_COUNT;
    case LINK_TYPE: return link->index < module->n_types;
    case LINK_ADAPTER:
      return link->index < module->n_types && module->types[link->index].comp.kind == COMP_FUNC;
    default: return false;
  }
}

/* What is linked is a field of four bytes behind an instruction's first two. */
static void read_link(Reader *r, const Module *module, const Compiled *compiled, uint32_t before,
                      CodeLink *out) {
  uint8_t kind = read_byte(r);
  out->kind = kind & 15;
  out->tail = kind >> 4;
  out->at = read_signed(r, before);
  out->index = read_u32(r);
  check(r, link_is_known(module, out) && out->at >= 2 && compiled->size >= 4 &&
               out->at <= compiled->size - 4);
}

static void read_func(Reader *r, const Module *module, Arena *arena, Compiled *out) {
  *out = (Compiled){0};
  out->size = read_u32(r);
  check(r, out->size != 0);
  out->frame_bytes = read_u32(r);
  out->param_bytes = read_u32(r);
  out->n_sites = read_count(r, 3);
  CodeSite *sites = arena_zero(arena, out->n_sites * sizeof *sites);
  const CodeSite no_site = {0};
  for (uint32_t i = 0; i < out->n_sites; i++)
    read_site(r, i != 0 ? &sites[i - 1] : &no_site, &sites[i]);
  out->sites = sites;
  check_sites(r, module, out);
  out->n_links = read_count(r, 3);
  CodeLink *links = arena_zero(arena, out->n_links * sizeof *links);
  for (uint32_t i = 0; i < out->n_links; i++)
    read_link(r, module, out, i != 0 ? links[i - 1].at : 0, &links[i]);
  out->links = links;
}

/* Where the code starts is known behind the tables, which are read once more with it. */
static const uint8_t *find_code(Reader r, const Fill *fill, Arena *arena) {
  uint64_t size = 0;
  for (uint32_t i = 0; i < fill->n_funcs; i++) {
    Compiled compiled;
    read_func(&r, fill->space->owner->module, arena, &compiled);
    size += padded(compiled.size);
    arena_clear(arena);
  }
  while ((r.at - r.start) % 16 != 0) (void)read_byte(&r);
  check(&r, (uint64_t)(r.end - r.at) == size);
  return r.at;
}

static bool read_part(Fill *fill, const uint8_t *part, size_t size, Arena *arena) {
  Reader r = {.start = part,
              .at = part + PART_HEADER,
              .end = part + size,
              .guard = arena->guard,
              .func = ERROR_NO_FUNC};
  check(&r, load_u32(part + 8 + HASH_BYTES) == fill->n_funcs);
  const uint8_t *code = find_code(r, fill, arena);
  for (uint32_t i = 0; i < fill->n_funcs; i++) {
    Compiled compiled;
    read_func(&r, fill->space->owner->module, arena, &compiled);
    compiled.code = code;
    code += padded(compiled.size);
    if (!fill_add(fill, i, &compiled)) return false;
    arena_clear(arena);
  }
  return true;
}

static bool read_guarded(Fill *fill, const uint8_t *part, size_t size) {
  Arena arena;
  Guard guard;
  Error error;
  volatile bool is_read = false;
  arena_init(&arena, fill->space->owner->module->alloc);
  if (GUARD_TRY(&guard, &arena, &error)) {
    is_read = read_part(fill, part, size, &arena);
    guard_leave(&guard);
  }
  arena_clear(&arena);
  if (!is_read) fill_empty(fill);
  return is_read;
}

bool serialize_read(Fill *fill, const uint8_t key[HASH_BYTES], const uint8_t *bytes, size_t size) {
  while (size >= PART_HEADER) {
    uint64_t part = load_u64(bytes);
    if (part < PART_HEADER || part > size) return false;
    if (memcmp(bytes + 8, key, HASH_BYTES) == 0) return read_guarded(fill, bytes, (size_t)part);
    bytes += part;
    size -= (size_t)part;
  }
  return false;
}
#endif
