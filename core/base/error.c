/* error.c - filling the error record and turning it into one line of text. */
#include "error.h"

#include <inttypes.h>
#include <stdio.h>

void error_clear(Error *error) {
  memset(error, 0, sizeof *error);
  error->kind = ERROR_NONE;
  error->offset = ERROR_NO_OFFSET;
  error->func = ERROR_NO_FUNC;
  error->section = NULL;
}

/* A message that was cut must not end inside a UTF-8 sequence: names of the guest appear in it. */
static void drop_partial_character(char *text, size_t size) {
  size_t start = size;
  while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) start--;
  if (start == 0) return;
  unsigned char lead = (unsigned char)text[start - 1];
  size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (length > 1 && size - (start - 1) < length) text[start - 1] = '\0';
}

void error_set_v(Error *error, ErrorKind kind, const char *format, va_list args) {
  /* The arguments may point into the record itself, when a message is wrapped into a longer one. */
  char message[sizeof error->message];
  int length = vsnprintf(message, sizeof message, format, args);
  if (length < 0) message[0] = '\0';
  if (length >= (int)sizeof message) drop_partial_character(message, sizeof message - 1);
  error_clear(error);
  error->kind = kind;
  memcpy(error->message, message, sizeof message);
}

void error_set(Error *error, ErrorKind kind, const char *format, ...) {
  va_list args;
  va_start(args, format);
  error_set_v(error, kind, format, args);
  va_end(args);
}

/* Text that is cut at `size` while `length` goes on counting, like snprintf's result. */
typedef struct Line {
  char *out;
  size_t size, length;
} Line;

static void append(Line *line, const char *format, ...) PRINTF_LIKE(2, 3);
static void append(Line *line, const char *format, ...) {
  size_t room = line->length < line->size ? line->size - line->length : 0;
  va_list args;
  va_start(args, format);
  int length = vsnprintf(room != 0 ? line->out + line->length : NULL, room, format, args);
  va_end(args);
  if (length > 0) line->length += (size_t)length;
}

static void append_binary_place(Line *line, const Error *error) {
  const char *before = " (";
  if (error->offset != ERROR_NO_OFFSET) {
    append(line, "%sat offset 0x%" PRIx64, before, error->offset);
    before = ", ";
  }
  if (error->func != ERROR_NO_FUNC) {
    append(line, "%sfunction %" PRIu32, before, error->func);
    before = ", ";
  }
  if (error->section != NULL) {
    append(line, "%s%s section", before, error->section);
    before = ", ";
  }
  if (before[0] == ',') append(line, ")");
}

size_t error_text(const Error *error, char *out, size_t size) {
  Line line = {out, size, 0};
  if (size != 0) out[0] = '\0';
  if (error->line != 0) append(&line, "%" PRIu32 ":%" PRIu32 ": ", error->line, error->column);
  append(&line, "%s", error->message);
  if (error->line == 0) append_binary_place(&line, error);
  return line.length;
}
