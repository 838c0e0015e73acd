/* chart.c - a bar chart in text: lines of a label and a whole number become labels, bars and
 * numbers, as wide as a page. Lines that are none are answered with their number.
 */
#include "../../../scripts/plugins/plugin.h"

enum { MOST = 256, WIDTH = 40 };

typedef struct Row {
  const char *label;
  uint32_t size, value;
} Row;

static Row rows[MOST];
static Bytes out;

static const char bar[] = "\xe2\x96\x88", half[] = "\xe2\x96\x8c"; /* full and left half block */

static void put(const char *at, uint32_t size) {
  __builtin_memcpy(out.at + out.size, at, size);
  out.size += size;
}

static void put_spaces(uint32_t n) {
  while (n-- > 0) put(" ", 1);
}

static void put_number(uint32_t n) {
  char digits[10];
  uint32_t count = 0;
  do digits[sizeof digits - ++count] = (char)('0' + n % 10);
  while ((n /= 10) != 0);
  put(digits + sizeof digits - count, count);
}

/* The number at the end of a line, which the label ends before; false when there is none. */
static bool read_row(Row *row, const char *at, const char *end) {
  uint64_t value = 0, scale = 1;
  const char *digits = end;
  while (digits > at && digits[-1] >= '0' && digits[-1] <= '9' && end - digits < 9) {
    value += scale * (uint32_t)(*--digits - '0');
    scale *= 10;
  }
  if (digits == end || digits == at || digits[-1] != ' ') return false;
  while (digits > at && digits[-1] == ' ') digits--;
  *row = (Row){at, (uint32_t)(digits - at), (uint32_t)value};
  return row->size > 0;
}

/* Characters of a label: bytes that begin one. */
static uint32_t width_of(const Row *row) {
  uint32_t width = 0;
  for (uint32_t i = 0; i < row->size; i++) width += (row->label[i] & 0xc0) != 0x80;
  return width;
}

static void draw(const Row *row, uint32_t widest, uint32_t most) {
  uint32_t halves = most ? (uint32_t)((uint64_t)row->value * 2 * WIDTH / most) : 0;
  put(row->label, row->size);
  put_spaces(widest - width_of(row) + 1);
  for (uint32_t i = 0; i < halves / 2; i++) put(bar, sizeof bar - 1);
  if (halves % 2) put(half, sizeof half - 1);
  put(" ", 1);
  put_number(row->value);
  put("\n", 1);
}

/* The chart of a text; without bytes when line `out.at` of it is wrong. */
EXPORT("chart") Bytes *chart(const char *at, uint32_t size) {
  uint32_t n = 0, widest = 0, most = 0, number = 1;
  const char *end = at + size;
  for (const char *next; at < end; at = next + 1, number++) {
    for (next = at; next < end && *next != '\n'; next++) {
    }
    if (next == at) continue;
    if (n == MOST || !read_row(&rows[n], at, next)) {
      out = (Bytes){(char *)number, 0};
      return &out;
    }
    if (width_of(&rows[n]) > widest) widest = width_of(&rows[n]);
    if (rows[n].value > most) most = rows[n].value;
    n++;
  }
  uint32_t room = size + n * (widest + WIDTH * 3 + 16) + 1;
  out = (Bytes){plugin_alloc(room), 0};
  for (uint32_t i = 0; i < n; i++) draw(&rows[i], widest, most);
  return &out;
}
