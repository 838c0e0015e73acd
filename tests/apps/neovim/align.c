/* align.c - an editor's plugin: makes the columns of the Markdown tables in a buffer equally wide.
 *
 * The buffer stays the host's; lines are asked for and replaced one by one, and after each the host
 * may do something else. A line is at most LONGEST bytes and a table at most WIDEST columns; others
 * are left as they are.
 */
#include "../../../scripts/plugins/plugin.h"

/* Copies line `number`, from 0: its length, also if it is more than `max`; -1 behind the last one.
 */
IMPORT("host", "line") int32_t host_line(uint32_t number, char *to, uint32_t max);
IMPORT("host", "replace") void host_replace(uint32_t number, const char *text, uint32_t size);
IMPORT("host", "breathe") void host_breathe(void);

enum { LONGEST = 4096, WIDEST = 64 };
static char line[LONGEST], aligned[2 * LONGEST];
static uint32_t widths[WIDEST];

typedef struct Cell {
  const char *at;
  uint32_t size;  /* in bytes, without the blanks around it */
  uint32_t width; /* in characters */
} Cell;

static Cell cells[WIDEST];

static Cell trim(const char *from, const char *end) {
  while (from < end && *from == ' ') from++;
  while (end > from && end[-1] == ' ') end--;
  Cell cell = {from, (uint32_t)(end - from), 0};
  for (; from < end; from++) cell.width += (*from & 0xc0) != 0x80; /* what begins a character */
  return cell;
}

/* The cells of line `number`; 0 when it is no line of a table. */
static uint32_t read_row(uint32_t number) {
  int32_t size = host_line(number, line, LONGEST);
  if (size < 2 || size > LONGEST || line[0] != '|' || line[size - 1] != '|') return 0;
  uint32_t n = 0;
  const char *begin = line + 1, *end = line + size;
  for (const char *at = begin; at < end; at++) {
    if (*at != '|' || at[-1] == '\\') continue;
    if (n == WIDEST) return 0;
    cells[n++] = trim(begin, at);
    begin = at + 1;
  }
  return n;
}

static bool is_rule(Cell cell) {
  for (uint32_t i = 0; i < cell.size; i++) {
    if (cell.at[i] != '-' && cell.at[i] != ':') return false;
  }
  return cell.size > 0;
}

static uint32_t fill(uint32_t to, char c, uint32_t n) {
  __builtin_memset(aligned + to, c, n);
  return to + n;
}

/* A rule becomes longer in front of its last character, which may be a colon. */
static uint32_t write_cell(uint32_t to, Cell cell, uint32_t missing) {
  if (is_rule(cell)) {
    __builtin_memcpy(aligned + to, cell.at, cell.size - 1);
    to = fill(to + cell.size - 1, '-', missing);
    aligned[to] = cell.at[cell.size - 1];
    return to + 1;
  }
  __builtin_memcpy(aligned + to, cell.at, cell.size);
  return fill(to + cell.size, ' ', missing);
}

/* Puts the cells of a row together; 0 when they would be too long. */
static uint32_t write_row(uint32_t n) {
  uint32_t size = 0;
  for (uint32_t i = 0; i < n; i++) {
    Cell cell = cells[i];
    if (size + cell.size + widths[i] + 4 > sizeof aligned) return 0;
    aligned[size++] = '|';
    aligned[size++] = ' ';
    size = write_cell(size, cell, widths[i] > cell.width ? widths[i] - cell.width : 0);
    aligned[size++] = ' ';
  }
  aligned[size++] = '|';
  return size;
}

/* Aligns the table that begins at a line: the number of the line behind it. */
static uint32_t align_table(uint32_t first) {
  uint32_t last = first, n;
  __builtin_memset(widths, 0, sizeof widths);
  for (; (n = read_row(last)) > 0; last++) {
    for (uint32_t i = 0; i < n; i++) {
      if (!is_rule(cells[i]) && cells[i].width > widths[i]) widths[i] = cells[i].width;
    }
    host_breathe();
  }
  for (uint32_t number = first; number < last; number++) {
    uint32_t size = write_row(read_row(number));
    if (size > 0) host_replace(number, aligned, size);
    host_breathe();
  }
  return last;
}

/* Aligns all tables of the buffer: how many. */
EXPORT("align") uint32_t align(void) {
  uint32_t tables = 0;
  for (uint32_t number = 0; host_line(number, line, 0) >= 0;) {
    if (read_row(number) > 0) {
      number = align_table(number);
      tables++;
    } else {
      number++;
    }
  }
  return tables;
}
