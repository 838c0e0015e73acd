/* dwarf_line.c - .debug_line: from addresses to files and lines (section 6.2 of DWARF 2 to 5).
 */
#include <stdlib.h>

#include "dwarf_int.h"

typedef struct Program {
  DwarfJob *job;
  DwarfLines *out;
  Scan scan;
  const uint8_t *end; /* of the unit */
  uint8_t min_length, line_range, opcode_base, offset_size, address_size;
  int8_t line_base;
  uint16_t version;
  const uint8_t *lengths; /* of the operands of standard opcodes, from 1 on */
  /* The machine */
  uint64_t address, file, line;
  uint32_t sequence; /* the first row of the sequence */
} Program;

/* ---- Files ----------------------------------------------------------------------------------- */

static void read_files_v4(Program *p) {
  for (Str text = scan_text(&p->scan); text.size != 0; text = scan_text(&p->scan)) {
    dwarf_spend(p->job, sizeof text);
    VEC_PUSH(p->job->arena, &p->out->folders, text);
  }
  for (Str text = scan_text(&p->scan); text.size != 0; text = scan_text(&p->scan)) {
    DwarfFile file = {.name = text, .folder = scan_uleb(&p->scan)};
    scan_uleb(&p->scan); /* when it was changed */
    scan_uleb(&p->scan); /* its size */
    dwarf_spend(p->job, sizeof file);
    VEC_PUSH(p->job->arena, &p->out->files, file);
  }
}

/* A table whose columns it describes itself. Entries without bytes would have no end. */
static void read_table_v5(Program *p, const DwarfHead *head, bool is_files) {
  enum { PATH = 1, FOLDER = 2 };
  unsigned n_columns = (unsigned)scan_u(&p->scan, 1);
  Scan columns = p->scan;
  for (unsigned i = 0; i < n_columns; i++) {
    scan_uleb(&p->scan);
    scan_uleb(&p->scan);
  }
  uint64_t n = scan_uleb(&p->scan);
  for (uint64_t i = 0; i < n && !p->scan.failed; i++) {
    const uint8_t *began = p->scan.at;
    DwarfFile file = {0};
    Scan column = columns;
    for (unsigned k = 0; k < n_columns; k++) {
      uint64_t content = scan_uleb(&column), form = scan_uleb(&column);
      DwarfValue value = dwarf_value(p->job->dwarf, head, &p->scan, form, 0);
      if (content == PATH) file.name = dwarf_text(p->job->dwarf, head, &value);
      if (content == FOLDER) file.folder = value.n;
      dwarf_spend(p->job, sizeof file + file.name.size / 16);
    }
    if (p->scan.failed || p->scan.at == began) return;
    if (is_files) {
      VEC_PUSH(p->job->arena, &p->out->files, file);
    } else {
      VEC_PUSH(p->job->arena, &p->out->folders, file.name);
    }
  }
}

static bool read_header(Program *p, const DwarfHead *head) {
  Scan *scan = &p->scan;
  p->end = scan_length(scan, &p->offset_size);
  scan->end = p->end;
  p->version = (uint16_t)scan_u(scan, 2);
  if (scan->failed || p->version < 2 || p->version > 5) return false;
  p->address_size = head->address_size;
  if (p->version == 5) {
    p->address_size = (uint8_t)scan_u(scan, 1);
    scan_u(scan, 1); /* size of segment selectors */
  }
  uint64_t length = scan_u(scan, p->offset_size);
  if (scan->failed || length > (size_t)(scan->end - scan->at)) return false;
  const uint8_t *code = scan->at + length;
  scan->end = code;
  p->min_length = (uint8_t)scan_u(scan, 1);
  if (p->version >= 4) scan_u(scan, 1); /* operations of an instruction */
  scan_u(scan, 1);                      /* is_stmt at first */
  p->line_base = (int8_t)scan_u(scan, 1);
  p->line_range = (uint8_t)scan_u(scan, 1);
  p->opcode_base = (uint8_t)scan_u(scan, 1);
  p->lengths = scan->at - 1;
  scan_skip(scan, p->opcode_base > 0 ? p->opcode_base - 1u : 0);
  if (scan->failed || p->line_range == 0 || p->opcode_base == 0 || p->address_size > 8) {
    return false;
  }
  p->out->is_v5 = p->version == 5;
  DwarfHead forms = *head; /* the forms in it are of this unit's width */
  forms.offset_size = p->offset_size;
  if (p->version == 5) {
    read_table_v5(p, &forms, false);
    read_table_v5(p, &forms, true);
  } else {
    read_files_v4(p);
  }
  *scan = (Scan){code, p->end, false};
  return true;
}

/* ---- The program ----------------------------------------------------------------------------- */

static void begin_sequence(Program *p) {
  p->address = 0, p->file = 1, p->line = 1;
  p->sequence = p->out->rows.n;
}

static void add_row(Program *p, bool is_end) {
  dwarf_spend(p->job, sizeof(DwarfRow));
  DwarfRow row = {.address = (uint32_t)MIN(p->address, UINT32_MAX),
                  .line = (uint32_t)MIN(p->line, UINT32_MAX),
                  .file = is_end ? DWARF_NO_FILE : (uint32_t)MIN(p->file, DWARF_NO_FILE - 1),
                  .ordinal = p->out->rows.n};
  VEC_PUSH(p->job->arena, &p->out->rows, row);
}

/* Sequences of functions that the linker has dropped begin at 0 or behind the code. */
static void end_sequence(Program *p) {
  add_row(p, true);
  const DwarfRow *first = &p->out->rows.items[p->sequence];
  if (first->address == 0 || first->address >= p->job->dwarf->code_size) {
    p->out->rows.n = p->sequence;
  }
  begin_sequence(p);
}

static void run_extended(Program *p) {
  enum { END_SEQUENCE = 1, SET_ADDRESS = 2 };
  uint64_t size = scan_uleb(&p->scan);
  if (p->scan.failed || size == 0 || size > (size_t)(p->scan.end - p->scan.at)) {
    p->scan.failed = size != 0 || p->scan.failed;
    return;
  }
  const uint8_t *next = p->scan.at + size;
  uint8_t opcode = *p->scan.at++;
  if (opcode == END_SEQUENCE) end_sequence(p);
  if (opcode == SET_ADDRESS && size - 1 <= 8) p->address = scan_u(&p->scan, (unsigned)size - 1);
  p->scan.at = next;
}

static void run_special(Program *p, unsigned adjusted) {
  p->address += (uint64_t)p->min_length * (adjusted / p->line_range);
  p->line += (uint64_t)(int64_t)(p->line_base + (int)(adjusted % p->line_range));
  add_row(p, false);
}

static void run_standard(Program *p, unsigned opcode) {
  enum { COPY = 1, ADVANCE_PC, ADVANCE_LINE, SET_FILE, CONST_ADD_PC = 8, FIXED_ADVANCE_PC };
  switch (opcode) {
    case COPY: add_row(p, false); break;
    case ADVANCE_PC: p->address += p->min_length * scan_uleb(&p->scan); break;
    case ADVANCE_LINE: p->line += (uint64_t)scan_sleb(&p->scan); break;
    case SET_FILE: p->file = scan_uleb(&p->scan); break;
    case CONST_ADD_PC:
      p->address += (uint64_t)p->min_length * ((255u - p->opcode_base) / p->line_range);
      break;
    case FIXED_ADVANCE_PC: p->address += scan_u(&p->scan, 2); break;
    default:
      for (unsigned i = 0; i < p->lengths[opcode]; i++) scan_uleb(&p->scan);
  }
}

static void run(Program *p) {
  begin_sequence(p);
  while (!p->scan.failed && p->scan.at < p->scan.end) {
    dwarf_spend(p->job, 1);
    unsigned opcode = *p->scan.at++;
    if (opcode >= p->opcode_base) {
      run_special(p, opcode - p->opcode_base);
    } else if (opcode == 0) {
      run_extended(p);
    } else {
      run_standard(p, opcode);
    }
  }
  p->out->rows.n = p->sequence; /* of what has no end nothing is known */
}

static int compare_rows(const void *a, const void *b) {
  const DwarfRow *left = a, *right = b;
  if (left->address != right->address) return left->address < right->address ? -1 : 1;
  bool left_ends = left->file == DWARF_NO_FILE, right_ends = right->file == DWARF_NO_FILE;
  if (left_ends != right_ends) return left_ends ? -1 : 1;
  return left->ordinal < right->ordinal ? -1 : left->ordinal > right->ordinal;
}

void dwarf_lines(DwarfJob *job, const DwarfHead *head, DwarfLines *out) {
  if (!head->has_lines) return;
  Program p = {.job = job, .out = out, .scan = scan_of(job->dwarf->line, head->line_at)};
  if (!read_header(&p, head)) return;
  run(&p);
  if (out->rows.n > 1) qsort(out->rows.items, out->rows.n, sizeof(DwarfRow), compare_rows);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

const DwarfRow *dwarf_row(const DwarfLines *lines, uint32_t address) {
  uint32_t low = 0, high = lines->rows.n;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (lines->rows.items[middle].address <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0 || lines->rows.items[low - 1].file == DWARF_NO_FILE) return NULL;
  return &lines->rows.items[low - 1];
}

static bool is_absolute(Str path) {
  return path.size != 0 &&
         (path.at[0] == '/' || path.at[0] == '\\' || (path.size > 1 && path.at[1] == ':'));
}

void dwarf_path(const DwarfHead *head, const DwarfLines *lines, uint64_t file, Str out[3]) {
  out[0] = out[1] = out[2] = (Str){NULL, 0};
  uint64_t first = lines->is_v5 ? 0 : 1;
  if (file - first >= lines->files.n) return;
  const DwarfFile *entry = &lines->files.items[file - first];
  out[2] = entry->name;
  if (is_absolute(entry->name) || entry->name.size == 0) return;
  if (entry->folder != 0 && entry->folder - first < lines->folders.n) {
    out[1] = lines->folders.items[entry->folder - first];
  }
  if (!is_absolute(out[1])) {
    out[0] = lines->is_v5 && lines->folders.n != 0 ? lines->folders.items[0] : head->folder;
  }
  if (str_equal(out[0], STR_LITERAL("."))) out[0] = (Str){NULL, 0};
}
