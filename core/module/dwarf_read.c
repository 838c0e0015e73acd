/* dwarf_read.c - numbers, forms, abbreviations, entries and ranges of DWARF (section 7 of each of
 * its versions).
 */
#include "dwarf_int.h"

void dwarf_spend(DwarfJob *job, uint64_t n) {
  job->work -= (int64_t)MIN(n, (uint64_t)INT32_MAX);
  if (job->work < 0) {
    error_set(job->arena->guard->error, ERROR_UNSUPPORTED, "too much debug information");
    guard_raise(job->arena->guard);
  }
}

/* ---- Numbers --------------------------------------------------------------------------------- */

Scan scan_of(Span span, uint64_t at) {
  if (span.at == NULL || at > span.size) return (Scan){.failed = true};
  return (Scan){span.at + at, span.at + span.size, false};
}

static size_t left(const Scan *scan) {
  return scan->failed ? 0 : (size_t)(scan->end - scan->at);
}

static uint64_t fail(Scan *scan) {
  scan->failed = true;
  return 0;
}

uint64_t scan_u(Scan *scan, unsigned size) {
  if (left(scan) < size) return fail(scan);
  uint64_t x = 0;
  for (unsigned i = 0; i < size; i++) x |= (uint64_t)scan->at[i] << 8 * i;
  scan->at += size;
  return x;
}

uint64_t scan_uleb(Scan *scan) {
  uint64_t x = 0;
  for (unsigned shift = 0; left(scan) > 0; shift += 7) {
    uint8_t byte = *scan->at++;
    if (shift < 64) x |= (uint64_t)(byte & 0x7F) << shift;
    if (!(byte & 0x80)) return x;
  }
  return fail(scan);
}

int64_t scan_sleb(Scan *scan) {
  uint64_t x = 0;
  for (unsigned shift = 0; left(scan) > 0;) {
    uint8_t byte = *scan->at++;
    if (shift < 64) x |= (uint64_t)(byte & 0x7F) << shift;
    shift += 7;
    if (byte & 0x80) continue;
    if ((byte & 0x40) && shift < 64) x |= ~(uint64_t)0 << shift;
    return (int64_t)x;
  }
  return (int64_t)fail(scan);
}

void scan_skip(Scan *scan, uint64_t size) {
  if (left(scan) < size) {
    fail(scan);
  } else {
    scan->at += size;
  }
}

static Str text_at(Span span) {
  const void *zero = span.size != 0 ? memchr(span.at, 0, span.size) : NULL;
  if (zero == NULL) return (Str){NULL, 0};
  return (Str){(const char *)span.at, (size_t)((const uint8_t *)zero - span.at)};
}

Str scan_text(Scan *scan) {
  Str text = text_at((Span){scan->at, left(scan)});
  if (text.at == NULL) {
    fail(scan);
  } else {
    scan->at += text.size + 1;
  }
  return text;
}

const uint8_t *scan_length(Scan *scan, uint8_t *offset_size) {
  uint64_t length = scan_u(scan, 4);
  *offset_size = 4;
  if (length == UINT32_MAX) {
    length = scan_u(scan, 8);
    *offset_size = 8;
  }
  if (length > left(scan)) {
    fail(scan);
    return scan->end;
  }
  return scan->at + length;
}

/* ---- Forms ----------------------------------------------------------------------------------- */

enum {
  FORM_ADDR = 0x01,
  FORM_BLOCK2 = 0x03,
  FORM_BLOCK4,
  FORM_DATA2,
  FORM_DATA4,
  FORM_DATA8,
  FORM_STRING,
  FORM_BLOCK,
  FORM_BLOCK1,
  FORM_DATA1,
  FORM_FLAG,
  FORM_SDATA,
  FORM_STRP,
  FORM_UDATA,
  FORM_REF_ADDR,
  FORM_REF1,
  FORM_REF2,
  FORM_REF4,
  FORM_REF8,
  FORM_REF_UDATA,
  FORM_INDIRECT,
  FORM_SEC_OFFSET,
  FORM_EXPRLOC,
  FORM_FLAG_PRESENT,
  FORM_STRX,
  FORM_ADDRX,
  FORM_REF_SUP4,
  FORM_STRP_SUP,
  FORM_DATA16,
  FORM_LINE_STRP,
  FORM_REF_SIG8,
  FORM_IMPLICIT_CONST,
  FORM_LOCLISTX,
  FORM_RNGLISTX,
  FORM_REF_SUP8,
  FORM_STRX1,
  FORM_STRX2,
  FORM_STRX3,
  FORM_STRX4,
  FORM_ADDRX1,
  FORM_ADDRX2,
  FORM_ADDRX3,
  FORM_ADDRX4
};

static DwarfValue number(uint64_t n) {
  return (DwarfValue){.kind = DWARF_NUMBER, .n = n};
}

static DwarfValue of_kind(DwarfKind kind, uint64_t n) {
  return (DwarfValue){.kind = kind, .n = n};
}

static DwarfValue skipped(Scan *scan, uint64_t size) {
  scan_skip(scan, size);
  return (DwarfValue){0};
}

static DwarfValue text_in(Span section, uint64_t at) {
  if (at >= section.size) return (DwarfValue){0};
  return (DwarfValue){.kind = DWARF_TEXT, .text = {section.at + at, section.size - at}};
}

static DwarfValue text_here(Scan *scan) {
  DwarfValue value = {.kind = DWARF_TEXT, .text = {scan->at, left(scan)}};
  scan_text(scan);
  return value;
}

static DwarfValue reference(const DwarfHead *head, uint64_t n) {
  return of_kind(DWARF_REF, head->at + n);
}

DwarfValue dwarf_value(const Dwarf *dwarf, const DwarfHead *head, Scan *scan, uint64_t form,
                       int64_t constant) {
  unsigned offset = head->offset_size;
  if (form == FORM_INDIRECT) {
    form = scan_uleb(scan);
    if (form == FORM_INDIRECT || form == FORM_IMPLICIT_CONST) return skipped(scan, UINT64_MAX);
  }
  switch (form) {
    case FORM_ADDR: return of_kind(DWARF_ADDRESS, scan_u(scan, head->address_size));
    case FORM_BLOCK1: return skipped(scan, scan_u(scan, 1));
    case FORM_BLOCK2: return skipped(scan, scan_u(scan, 2));
    case FORM_BLOCK4: return skipped(scan, scan_u(scan, 4));
    case FORM_BLOCK:
    case FORM_EXPRLOC: return skipped(scan, scan_uleb(scan));
    case FORM_DATA1:
    case FORM_FLAG: return number(scan_u(scan, 1));
    case FORM_DATA2: return number(scan_u(scan, 2));
    case FORM_DATA4: return number(scan_u(scan, 4));
    case FORM_DATA8: return number(scan_u(scan, 8));
    case FORM_DATA16: return skipped(scan, 16);
    case FORM_SDATA: return number((uint64_t)scan_sleb(scan));
    case FORM_UDATA: return number(scan_uleb(scan));
    case FORM_SEC_OFFSET: return number(scan_u(scan, offset));
    case FORM_FLAG_PRESENT: return number(1);
    case FORM_IMPLICIT_CONST: return number((uint64_t)constant);
    case FORM_STRING: return text_here(scan);
    case FORM_STRP: return text_in(dwarf->str, scan_u(scan, offset));
    case FORM_LINE_STRP: return text_in(dwarf->line_str, scan_u(scan, offset));
    case FORM_STRX: return of_kind(DWARF_TEXT_INDEX, scan_uleb(scan));
    case FORM_STRX1:
    case FORM_STRX2:
    case FORM_STRX3:
    case FORM_STRX4:
      return of_kind(DWARF_TEXT_INDEX, scan_u(scan, (unsigned)(form - FORM_STRX1 + 1)));
    case FORM_ADDRX: return of_kind(DWARF_ADDRESS_INDEX, scan_uleb(scan));
    case FORM_ADDRX1:
    case FORM_ADDRX2:
    case FORM_ADDRX3:
    case FORM_ADDRX4:
      return of_kind(DWARF_ADDRESS_INDEX, scan_u(scan, (unsigned)(form - FORM_ADDRX1 + 1)));
    case FORM_REF1: return reference(head, scan_u(scan, 1));
    case FORM_REF2: return reference(head, scan_u(scan, 2));
    case FORM_REF4: return reference(head, scan_u(scan, 4));
    case FORM_REF8: return reference(head, scan_u(scan, 8));
    case FORM_REF_UDATA: return reference(head, scan_uleb(scan));
    case FORM_REF_ADDR: /* as wide as an address in version 2 */
      return of_kind(DWARF_REF, scan_u(scan, head->version == 2 ? head->address_size : offset));
    case FORM_RNGLISTX: return of_kind(DWARF_LIST_INDEX, scan_uleb(scan));
    case FORM_LOCLISTX: scan_uleb(scan); return (DwarfValue){0};
    case FORM_REF_SUP4: return skipped(scan, 4);
    case FORM_REF_SUP8:
    case FORM_REF_SIG8: return skipped(scan, 8);
    case FORM_STRP_SUP: return skipped(scan, offset);
    default: return skipped(scan, UINT64_MAX); /* its size is not known */
  }
}

Str dwarf_text(const Dwarf *dwarf, const DwarfHead *head, const DwarfValue *value) {
  if (value->kind == DWARF_TEXT) return text_at(value->text);
  if (value->kind != DWARF_TEXT_INDEX || value->n > dwarf->size) return (Str){NULL, 0};
  Scan scan = scan_of(dwarf->str_offsets, head->str_offsets_base);
  scan_skip(&scan, value->n * head->offset_size);
  DwarfValue text = text_in(dwarf->str, scan_u(&scan, head->offset_size));
  return scan.failed || text.kind == DWARF_NONE ? (Str){NULL, 0} : text_at(text.text);
}

static bool address_of_index(const Dwarf *dwarf, const DwarfHead *head, uint64_t index,
                             uint64_t *out) {
  if (index > dwarf->size) return false;
  Scan scan = scan_of(dwarf->addr, head->addr_base);
  scan_skip(&scan, index * head->address_size);
  *out = scan_u(&scan, head->address_size);
  return !scan.failed;
}

bool dwarf_address(const Dwarf *dwarf, const DwarfHead *head, const DwarfValue *value,
                   uint64_t *out) {
  if (value->kind == DWARF_ADDRESS_INDEX) return address_of_index(dwarf, head, value->n, out);
  *out = value->n;
  return value->kind == DWARF_ADDRESS;
}

/* ---- Entries --------------------------------------------------------------------------------- */

/* Skips the list of attributes and forms of an abbreviation. */
static void skip_attrs(DwarfJob *job, Scan *scan) {
  uint64_t name, form;
  do {
    dwarf_spend(job, 1);
    name = scan_uleb(scan);
    form = scan_uleb(scan);
    if (form == FORM_IMPLICIT_CONST) scan_sleb(scan);
  } while (!scan->failed && (name != 0 || form != 0));
}

void dwarf_abbrevs(DwarfJob *job, uint64_t at, uint32_t limit, DwarfAbbrevs *out) {
  Scan scan = scan_of(job->dwarf->abbrev, at);
  while (out->n < limit) {
    DwarfAbbrev abbrev = {.code = scan_uleb(&scan)};
    if (scan.failed || abbrev.code == 0) return;
    abbrev.tag = scan_uleb(&scan);
    abbrev.has_children = scan_u(&scan, 1) != 0;
    abbrev.attrs = scan.at;
    skip_attrs(job, &scan);
    if (scan.failed) return;
    VEC_PUSH(job->arena, out, abbrev);
  }
}

/* Producers number them from 1; who does not is slower. */
static const DwarfAbbrev *find_abbrev(DwarfJob *job, const DwarfAbbrevs *abbrevs, uint64_t code) {
  if (code - 1 < abbrevs->n && abbrevs->items[code - 1].code == code) {
    return &abbrevs->items[code - 1];
  }
  dwarf_spend(job, abbrevs->n);
  for (uint32_t i = 0; i < abbrevs->n; i++) {
    if (abbrevs->items[i].code == code) return &abbrevs->items[i];
  }
  return NULL;
}

static DwarfAttr attr_of(uint64_t name) {
  switch (name) {
    case 0x03: return ATTR_NAME;
    case 0x10: return ATTR_STMT_LIST;
    case 0x11: return ATTR_LOW_PC;
    case 0x12: return ATTR_HIGH_PC;
    case 0x1B: return ATTR_COMP_DIR;
    case 0x31: return ATTR_ORIGIN;
    case 0x47: return ATTR_SPECIFICATION;
    case 0x55: return ATTR_RANGES;
    case 0x58: return ATTR_CALL_FILE;
    case 0x59: return ATTR_CALL_LINE;
    case 0x6E: return ATTR_LINKAGE_NAME;
    case 0x72: return ATTR_STR_OFFSETS_BASE;
    case 0x73: return ATTR_ADDR_BASE;
    case 0x74: return ATTR_RNGLISTS_BASE;
    default: return ATTR_COUNT;
  }
}

bool dwarf_die(DwarfJob *job, const DwarfHead *head, const DwarfAbbrevs *abbrevs, Scan *scan,
               DwarfDie *out) {
  *out = (DwarfDie){.at = (size_t)(scan->at - job->dwarf->info.at)};
  if (left(scan) == 0) return false;
  uint64_t code = scan_uleb(scan);
  dwarf_spend(job, 1);
  if (code == 0) return !scan->failed;
  const DwarfAbbrev *abbrev = find_abbrev(job, abbrevs, code);
  if (abbrev == NULL) return false;
  out->tag = abbrev->tag;
  out->has_children = abbrev->has_children;
  Span all = job->dwarf->abbrev;
  Scan attrs = {abbrev->attrs, all.at + all.size, false};
  for (;;) {
    dwarf_spend(job, 1);
    uint64_t name = scan_uleb(&attrs), form = scan_uleb(&attrs);
    int64_t constant = form == FORM_IMPLICIT_CONST ? scan_sleb(&attrs) : 0;
    if (attrs.failed || (name == 0 && form == 0)) break;
    DwarfValue value = dwarf_value(job->dwarf, head, scan, form, constant);
    DwarfAttr attr = attr_of(name);
    if (attr != ATTR_COUNT) out->attr[attr] = value;
  }
  return !scan->failed;
}

/* ---- Ranges ---------------------------------------------------------------------------------- */

/* What lies outside of the code is what the linker has dropped. */
static void add_range(DwarfJob *job, uint64_t low, uint64_t high, DwarfRanges *out) {
  dwarf_spend(job, 1);
  if (low == 0 || low >= high || high > job->dwarf->code_size) return;
  DwarfRange range = {(uint32_t)low, (uint32_t)high};
  VEC_PUSH(job->arena, out, range);
}

/* .debug_ranges, up to version 4. */
static void read_ranges(DwarfJob *job, const DwarfHead *head, uint64_t at, DwarfRanges *out) {
  Scan scan = scan_of(job->dwarf->ranges, at);
  uint64_t base = head->base, max = head->address_size == 8 ? UINT64_MAX : UINT32_MAX;
  for (;;) {
    uint64_t low = scan_u(&scan, head->address_size), high = scan_u(&scan, head->address_size);
    if (scan.failed || (low == 0 && high == 0)) return;
    if (low == max) {
      base = high;
    } else {
      add_range(job, base + low, base + high, out);
    }
  }
}

/* .debug_rnglists of version 5. */
static void read_range_list(DwarfJob *job, const DwarfHead *head, uint64_t at, DwarfRanges *out) {
  enum { END, BASEX, STARTX_ENDX, STARTX_LENGTH, OFFSETS, BASE, START_END, START_LENGTH };
  const Dwarf *dwarf = job->dwarf;
  Scan scan = scan_of(dwarf->rnglists, at);
  uint64_t base = head->base, low = 0, high = 0;
  unsigned size = head->address_size;
  for (;;) {
    uint64_t kind = scan_u(&scan, 1);
    if (scan.failed || kind == END) return;
    bool is_known = true;
    switch (kind) {
      case BASEX: is_known = address_of_index(dwarf, head, scan_uleb(&scan), &base); break;
      case STARTX_ENDX:
        is_known = address_of_index(dwarf, head, scan_uleb(&scan), &low);
        if (!address_of_index(dwarf, head, scan_uleb(&scan), &high)) is_known = false;
        break;
      case STARTX_LENGTH:
        is_known = address_of_index(dwarf, head, scan_uleb(&scan), &low);
        high = low + scan_uleb(&scan);
        break;
      case OFFSETS:
        low = base + scan_uleb(&scan);
        high = base + scan_uleb(&scan);
        break;
      case BASE: base = scan_u(&scan, size); break;
      case START_END:
        low = scan_u(&scan, size);
        high = scan_u(&scan, size);
        break;
      case START_LENGTH:
        low = scan_u(&scan, size);
        high = low + scan_uleb(&scan);
        break;
      default: return;
    }
    bool is_base = kind == BASEX || kind == BASE;
    if (!scan.failed && is_known && !is_base) add_range(job, low, high, out);
    dwarf_spend(job, 1);
  }
}

static void read_indexed_list(DwarfJob *job, const DwarfHead *head, uint64_t index,
                              DwarfRanges *out) {
  if (index > job->dwarf->size) return;
  Scan scan = scan_of(job->dwarf->rnglists, head->rnglists_base);
  scan_skip(&scan, index * head->offset_size);
  uint64_t at = scan_u(&scan, head->offset_size);
  if (!scan.failed) read_range_list(job, head, head->rnglists_base + at, out);
}

void dwarf_ranges(DwarfJob *job, const DwarfHead *head, const DwarfDie *die, DwarfRanges *out) {
  const DwarfValue *list = &die->attr[ATTR_RANGES], *high = &die->attr[ATTR_HIGH_PC];
  uint64_t low, to;
  if (list->kind == DWARF_LIST_INDEX) {
    read_indexed_list(job, head, list->n, out);
  } else if (list->kind == DWARF_NUMBER && head->version >= 5) {
    read_range_list(job, head, list->n, out);
  } else if (list->kind == DWARF_NUMBER) {
    read_ranges(job, head, list->n, out);
  } else if (dwarf_address(job->dwarf, head, &die->attr[ATTR_LOW_PC], &low)) {
    if (high->kind == DWARF_NUMBER) {
      add_range(job, low, low + high->n, out);
    } else if (dwarf_address(job->dwarf, head, high, &to)) {
      add_range(job, low, to, out);
    }
  }
}
