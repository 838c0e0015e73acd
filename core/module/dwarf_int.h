/* dwarf_int.h - what the files of the DWARF reader share.
 *
 * Everything is made of bytes that nobody has checked, so all that could be large is paid for: a
 * reader's work is bounded by a multiple of the sections' size, over the life of the module.
 */
#ifndef RILLE_DWARF_INT_H
#define RILLE_DWARF_INT_H

#include "dwarf.h"

/* A cursor that remembers failure instead of raising; what it reads then is 0. */
typedef struct Scan {
  const uint8_t *at, *end;
  bool failed;
} Scan;

typedef struct Span {
  const uint8_t *at;
  size_t size;
} Span;

#define DWARF_SECTIONS(X) \
  X(info) X(abbrev) X(line) X(str) X(line_str) X(ranges) X(rnglists) X(addr) X(str_offsets)

typedef struct DwarfRange {
  uint32_t low, high;
} DwarfRange;

typedef struct DwarfUnit DwarfUnit; /* what is read of a unit when an address in it is asked for */

/* One unit of .debug_info; the first fields are its header's. */
typedef struct DwarfHead {
  size_t at, end, dies; /* in .debug_info */
  uint64_t abbrevs;     /* in .debug_abbrev */
  uint64_t line_at;     /* in .debug_line */
  uint64_t base;        /* low_pc: where its ranges count from */
  uint64_t str_offsets_base, addr_base, rnglists_base;
  Str folder;
  uint16_t version;
  uint8_t offset_size, address_size;
  bool has_lines;
  void *_Atomic unit; /* DwarfUnit, made once */
} DwarfHead;

typedef struct DwarfUnitRange {
  DwarfRange range;
  uint32_t unit;
} DwarfUnitRange;

typedef struct Dwarf {
  Arena arena;
  uint32_t code_size;
  _Atomic int64_t work; /* what may still be done */
  size_t size;          /* of all sections */
#define MEMBER(name) Span name;
  DWARF_SECTIONS(MEMBER)
#undef MEMBER
  DwarfHead *units;
  uint32_t n_units;
  DwarfUnitRange *ranges_of_units; /* sorted by where they begin */
  uint32_t n_ranges_of_units;
} Dwarf;

/* One reading, under a guard. */
typedef struct DwarfJob {
  const Dwarf *dwarf;
  Arena *arena;
  int64_t work;
} DwarfJob;

/* Pays for steps, and for bytes that are kept; raises when all is spent. */
void dwarf_spend(DwarfJob *job, uint64_t n);

Scan scan_of(Span span, uint64_t at);
uint64_t scan_u(Scan *scan, unsigned size); /* 1 to 8 bytes, little-endian */
uint64_t scan_uleb(Scan *scan);
int64_t scan_sleb(Scan *scan);
void scan_skip(Scan *scan, uint64_t size);
Str scan_text(Scan *scan); /* up to its zero, which is skipped */
/* unit_length: also tells how wide offsets are. Returns where the unit ends. */
const uint8_t *scan_length(Scan *scan, uint8_t *offset_size);

typedef enum DwarfKind {
  DWARF_NONE,
  DWARF_NUMBER,
  DWARF_ADDRESS,
  DWARF_ADDRESS_INDEX,
  DWARF_TEXT,
  DWARF_TEXT_INDEX,
  DWARF_REF, /* n: offset in .debug_info */
  DWARF_LIST_INDEX,
} DwarfKind;

typedef struct DwarfValue {
  DwarfKind kind;
  uint64_t n;
  Span text; /* up to a zero somewhere in it */
} DwarfValue;

/* Reads a value of a form (`constant` is that of DW_FORM_implicit_const). */
DwarfValue dwarf_value(const Dwarf *dwarf, const DwarfHead *head, Scan *scan, uint64_t form,
                       int64_t constant);
Str dwarf_text(const Dwarf *dwarf, const DwarfHead *head, const DwarfValue *value);
bool dwarf_address(const Dwarf *dwarf, const DwarfHead *head, const DwarfValue *value,
                   uint64_t *out);

typedef struct DwarfAbbrev {
  uint64_t code, tag;
  bool has_children;
  const uint8_t *attrs;
} DwarfAbbrev;

/* Attributes that are looked at. */
typedef enum DwarfAttr {
  ATTR_NAME,
  ATTR_LINKAGE_NAME,
  ATTR_STMT_LIST,
  ATTR_LOW_PC,
  ATTR_HIGH_PC,
  ATTR_RANGES,
  ATTR_COMP_DIR,
  ATTR_STR_OFFSETS_BASE,
  ATTR_ADDR_BASE,
  ATTR_RNGLISTS_BASE,
  ATTR_ORIGIN,
  ATTR_SPECIFICATION,
  ATTR_CALL_FILE,
  ATTR_CALL_LINE,
  ATTR_COUNT
} DwarfAttr;

typedef struct DwarfDie {
  size_t at;
  uint64_t tag; /* 0: the end of a list of children */
  bool has_children;
  DwarfValue attr[ATTR_COUNT];
} DwarfDie;

typedef VEC(DwarfAbbrev) DwarfAbbrevs;
typedef VEC(DwarfRange) DwarfRanges;

enum { TAG_LEXICAL_BLOCK = 0x0B, TAG_INLINED = 0x1D, TAG_SUBPROGRAM = 0x2E };

void dwarf_abbrevs(DwarfJob *job, uint64_t at, uint32_t limit, DwarfAbbrevs *out);
/* False at the end, or when it cannot be read. */
bool dwarf_die(DwarfJob *job, const DwarfHead *head, const DwarfAbbrevs *abbrevs, Scan *scan,
               DwarfDie *out);
/* Appends the addresses that an entry covers. */
void dwarf_ranges(DwarfJob *job, const DwarfHead *head, const DwarfDie *die, DwarfRanges *out);

/* A row of the line table holds from its address to the next one. */
typedef struct DwarfRow {
  uint32_t address;
  uint32_t line;    /* 0 */
  uint32_t file;    /* DWARF_NO_FILE: behind the end of a sequence */
  uint32_t ordinal; /* keeps the order when sorted */
} DwarfRow;
#define DWARF_NO_FILE UINT32_MAX

typedef struct DwarfFile {
  Str name;
  uint64_t folder;
} DwarfFile;

typedef struct DwarfLines {
  VEC(DwarfRow) rows;
  VEC(DwarfFile) files;
  VEC(Str) folders;
  bool is_v5; /* files and folders count from 0, and folder 0 is in the table */
} DwarfLines;

void dwarf_lines(DwarfJob *job, const DwarfHead *head, DwarfLines *out);
const DwarfRow *dwarf_row(const DwarfLines *lines, uint32_t address);
void dwarf_path(const DwarfHead *head, const DwarfLines *lines, uint64_t file, Str out[3]);

/* A function or an inlined call, and one range of it. */
typedef struct DwarfScope {
  DwarfRange range;
  uint32_t depth; /* 0: a function */
  uint32_t call_line;
  uint32_t call_file;
  uint64_t die;
} DwarfScope;

typedef struct DwarfFunc {
  DwarfRange range;
  uint32_t first, end; /* its scopes: those inside it, and itself */
} DwarfFunc;

/* What an entry is called, or where that is said. */
typedef struct DwarfName {
  uint64_t die, link; /* link: 0 for none */
  Str text;
} DwarfName;

typedef struct DwarfScopes {
  VEC(DwarfScope) items;
  VEC(DwarfFunc) funcs; /* sorted by where they begin */
  VEC(DwarfName) names; /* in the order of their entries */
} DwarfScopes;

void dwarf_scopes(DwarfJob *job, const DwarfHead *head, DwarfScopes *out);

struct DwarfUnit {
  Arena arena;
  DwarfLines lines;
  DwarfScopes scopes;
};

#endif
