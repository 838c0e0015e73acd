/* trace.c - a call as a line of text: `fd_read(fd=3, iovs=1 of 4096 bytes) = SUCCESS nread=12`.
 *
 * What is shown of a parameter is told by its kind (kind.def). The guest's memory is read again
 * after the call; what cannot be read is shown as an address.
 */
#include "wasi.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_ROOM = 4096, SHOWN_BYTES = 64, SHOWN_PATH = 512 };

typedef struct Line {
  char text[LINE_ROOM];
  size_t size;
} Line;

static void add(Line *line, const char *format, ...) PRINTF_LIKE(2, 3);
static void add(Line *line, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int n = vsnprintf(line->text + line->size, sizeof line->text - line->size, format, args);
  va_end(args);
  if (n > 0) line->size = MIN(line->size + (size_t)n, sizeof line->text - 1);
}

static void add_quoted(Line *line, const uint8_t *bytes, size_t size, size_t most) {
  add(line, "\"");
  for (size_t i = 0; i < MIN(size, most); i++) {
    uint8_t byte = bytes[i];
    switch (byte) {
      case '\n': add(line, "\\n"); break;
      case '\t': add(line, "\\t"); break;
      case '"':
      case '\\': add(line, "\\%c", byte); break;
      default: add(line, byte < 0x20 || byte == 0x7F ? "\\x%02x" : "%c", byte); break;
    }
  }
  add(line, size > most ? "\"..." : "\"");
}

static void add_text(Line *line, const Call *call, uint32_t at, uint32_t size, size_t most) {
  const uint8_t *bytes = guest_bytes(call, at, size);
  if (bytes != NULL) {
    add_quoted(line, bytes, size, most);
  } else {
    add(line, "0x%x+%u", (unsigned)at, (unsigned)size);
  }
}

/* The i-th word of the names, or nothing. */
static Str word(const char *names, uint32_t i) {
  for (; i > 0 && *names != '\0'; i--) {
    names += strcspn(names, " ");
    names += strspn(names, " ");
  }
  return (Str){names, strcspn(names, " ")};
}

static void add_choice(Line *line, const char *names, uint32_t value) {
  Str name = word(names, value);
  if (name.size != 0) {
    add(line, "%.*s", (int)name.size, name.at);
  } else {
    add(line, "%u", (unsigned)value);
  }
}

static void add_flags(Line *line, const char *names, uint32_t value) {
  const char *between = "";
  if (value == 0) add(line, "0");
  for (uint32_t bit = 0; bit < 32; bit++) {
    if ((value >> bit & 1) == 0) continue;
    Str name = word(names, bit);
    if (name.size == 0) {
      add(line, "%s1<<%u", between, (unsigned)bit);
    } else {
      add(line, "%s%.*s", between, (int)name.size, name.at);
    }
    between = "|";
  }
}

/* A list of buffers: their number and sizes, and the first bytes of what is written. */
static void add_vector(Line *line, const Call *call, uint32_t at, uint32_t n, bool has_data) {
  const uint8_t *list = guest_bytes(call, at, (uint64_t)n * 8);
  if (list == NULL) {
    add(line, "0x%x*%u", (unsigned)at, (unsigned)n);
    return;
  }
  uint64_t size = 0;
  for (uint32_t i = 0; i < n; i++) size += load_u32(list + (size_t)i * 8 + 4);
  if (has_data && n != 0) {
    add_text(line, call, load_u32(list), load_u32(list + 4), SHOWN_BYTES);
    add(line, " ");
  }
  add(line, "[%u: %llu bytes]", (unsigned)n, (unsigned long long)size);
}

static void add_whence(Line *line, const Call *call, uint32_t value) {
  add_choice(line, call->is_unstable ? "CUR END SET" : "SET CUR END", value);
}

static const char rights_names[] =
#define RIGHT(name) #name " "
#include "right.def"
    ;

static void add_rights(Line *line, uint64_t rights) {
  if ((rights & ALL_RIGHTS) == ALL_RIGHTS) {
    add(line, "ALL");
  } else {
    add_flags(line, rights_names, (uint32_t)(rights & ALL_RIGHTS));
  }
}

typedef enum Printer {
  NUMBER,
  SIGNED,
  RIGHTS,
  ADDRESS,
  BUFFER,
  TEXT,
  VECTOR,
  DATA,
  CHOICE,
  WHENCE,
  FLAGS,
  FDSTAT,
  FILESTAT,
  PRESTAT
} Printer;

typedef struct Kind {
  char letter;
  Printer printer;
  const char *names;
} Kind;

static Kind kind_of(char letter) {
  static const Kind kinds[] = {
#define KIND(letter, types, printer, names) {letter, printer, names},
#include "kind.def"
  };
  size_t i = 0;
  while (kinds[i].letter != letter) i++;
  return kinds[i];
}

static void add_argument(Line *line, const Call *call, Kind kind, const rille_Slot *slot) {
  uint32_t low = (uint32_t)slot[0];
  switch (kind.printer) {
    case SIGNED: add(line, "%lld", (long long)slot[0]); break;
    case RIGHTS: add_rights(line, slot[0]); break;
    case ADDRESS: add(line, "0x%x", (unsigned)low); break;
    case BUFFER: add(line, "0x%x+%u", (unsigned)low, (unsigned)(uint32_t)slot[1]); break;
    case TEXT: add_text(line, call, low, (uint32_t)slot[1], SHOWN_PATH); break;
    case VECTOR: add_vector(line, call, low, (uint32_t)slot[1], false); break;
    case DATA: add_vector(line, call, low, (uint32_t)slot[1], true); break;
    case CHOICE: add_choice(line, kind.names, low); break;
    case WHENCE: add_whence(line, call, low); break;
    case FLAGS: add_flags(line, kind.names, low); break;
    default:
      add(line, "%llu", kind.letter == 'U' ? (unsigned long long)slot[0] : (unsigned long long)low);
      break;
  }
}

static void add_filestat(Line *line, const Call *call, const uint8_t *at) {
  static const char types[] = "UNKNOWN BLOCK_DEVICE CHARACTER_DEVICE DIRECTORY REGULAR_FILE "
                              "SOCKET_DGRAM SOCKET_STREAM SYMBOLIC_LINK";
  add(line, "{type=");
  add_choice(line, types, at[16]);
  add(line, " size=%llu}", (unsigned long long)load_u64(at + (call->is_unstable ? 24 : 32)));
}

/* What a result's pointer points at. */
static void add_result(Line *line, const Call *call, Kind kind, uint32_t address, uint32_t size) {
  static const struct {
    char letter;
    uint8_t size;
  } sizes[] = {{'u', 4}, {'U', 8}, {'q', 2}, {'d', 24}, {'s', 56}, {'p', 8}, {'n', 0}};
  uint32_t n = 0;
  for (size_t i = 0; i < COUNT_OF(sizes); i++)
    n = sizes[i].letter == kind.letter ? sizes[i].size : n;
  const uint8_t *at = guest_bytes(call, address, n);
  if (at == NULL) {
    add(line, "0x%x", (unsigned)address);
    return;
  }
  switch (kind.printer) {
    case TEXT: add_text(line, call, address, size, SHOWN_PATH); break;
    case FLAGS: add_flags(line, kind.names, load_u16(at)); break;
    case FDSTAT:
      add(line, "{type=%u flags=%u rights=", at[0], (unsigned)load_u16(at + 2));
      add_rights(line, load_u64(at + 8));
      add(line, "}");
      break;
    case FILESTAT: add_filestat(line, call, at); break;
    case PRESTAT: add(line, "{name of %u bytes}", (unsigned)load_u32(at + 4)); break;
    default:
      add(line, "%llu",
          (unsigned long long)(kind.letter == 'U' ? load_u64(at) : (uint64_t)load_u32(at)));
      break;
  }
}

/* Arguments, or results, with their names. */
static void add_parameters(Line *line, const Call *call, const Row *row, bool results) {
  Parameter parameter;
  const char *between = results ? " " : "";
  size_t slot = 0;
  for (const char *at = row->parameters; wasi_next_parameter(&at, &parameter);) {
    size_t n_slots = strlen(wasi_kind_types(&parameter));
    if (parameter.is_result == results) {
      Kind kind = kind_of(parameter.kind);
      add(line, "%s%.*s=", between, (int)parameter.name_size, parameter.name);
      if (results) {
        add_result(line, call, kind, ARG_U32(slot), n_slots == 2 ? ARG_U32(slot + 1) : 0);
      } else {
        add_argument(line, call, kind, call->args + slot);
      }
      between = results ? " " : ", ";
    }
    slot += n_slots;
  }
}

void wasi_trace(const Call *call, const Row *row, Result result) {
  const rille_WasiHooks *hooks = &call->wasi->hooks;
  Line line;
  line.size = 0;
  add(&line, "%s(", row->name);
  add_parameters(&line, call, row, false);
  add(&line, ")");
  if (result == LEAVES) {
    add(&line, " ends the run");
  } else {
    add(&line, " = %s", wasi_errno_name(result));
  }
  if (result == ERRNO_SUCCESS) add_parameters(&line, call, row, true);
  hooks->trace(hooks->user, line.text, row->name, (uint16_t)(result == LEAVES ? 0 : result));
}
