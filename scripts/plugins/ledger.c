/* ledger.c - a data routine: sums up a CSV ledger, asking the host which rows count.
 *
 * Lines are "label,amount" with amounts like -12.34; sums are kept in cents. The host is asked
 * through the import ledger.keep, once a row. There is a bug in it on purpose, the usual one:
 * nobody thought of a ledger of which no row is kept.
 */
#include "plugin.h"

typedef struct Summary {
  int64_t total, mean, least, most; /* cents */
  uint32_t rows, kept;
} Summary;

IMPORT("ledger", "keep") bool keep_row(const char *label, uint32_t size, int64_t cents);

static Summary summary;

static int64_t parse_cents(const char *at, const char *end) {
  bool negative = at < end && *at == '-';
  int64_t cents = 0;
  int decimals = -1;
  for (at += negative; at < end && decimals < 2; at++) {
    if (*at == '.' && decimals < 0) {
      decimals = 0;
    } else if (*at >= '0' && *at <= '9') {
      cents = cents * 10 + (*at - '0');
      decimals += decimals >= 0;
    }
  }
  for (decimals = decimals < 0 ? 0 : decimals; decimals < 2; decimals++) cents *= 10;
  return negative ? -cents : cents;
}

static void add_row(const char *label, uint32_t label_size, int64_t cents) {
  summary.rows++;
  if (!keep_row(label, label_size, cents)) return;
  if (summary.kept == 0 || cents < summary.least) summary.least = cents;
  if (summary.kept == 0 || cents > summary.most) summary.most = cents;
  summary.total += cents;
  summary.kept++;
}

static void read_line(const char *at, const char *end) {
  const char *comma = at;
  while (comma < end && *comma != ',') comma++;
  if (comma < end) add_row(at, (uint32_t)(comma - at), parse_cents(comma + 1, end));
}

NO_INLINE static int64_t mean_of(int64_t total, uint32_t count) {
  return total / count;
}

NO_INLINE static void finish_summary(void) {
  summary.mean = mean_of(summary.total, summary.kept);
}

EXPORT("summarize") Summary *summarize(const char *text, uint32_t size) {
  const char *end = text + size;
  summary = (Summary){0};
  while (text < end) {
    const char *line_end = text;
    while (line_end < end && *line_end != '\n') line_end++;
    read_line(text, line_end);
    text = line_end + 1;
  }
  finish_summary();
  return &summary;
}
