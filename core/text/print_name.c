/* print_name.c - identifiers made from the names of a module, numbers, strings.
 *
 * In an index space the first of several equal names becomes the identifier; the others get a
 * number behind it and keep their name as an annotation. Labels may shadow each other, so they need
 * no other identifier; a use that would reach the wrong one is written as a number.
 *
 * A long name is an annotation only: were it written at each use, the text could be as long as the
 * square of the module.
 */
#include "print.h"

enum { LONGEST_IDENT = 1024 };

static const bool is_ident_char[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,  ['#'] = true,
    ['$'] = true,         ['%'] = true,         ['&'] = true,         ['\''] = true, ['*'] = true,
    ['+'] = true,         ['-'] = true,         ['.'] = true,         ['/'] = true,  [':'] = true,
    ['<'] = true,         ['='] = true,         ['>'] = true,         ['?'] = true,  ['@'] = true,
    ['\\'] = true,        ['^'] = true,         ['_'] = true,         ['`'] = true,  ['|'] = true,
    ['~'] = true,
};

/* --- numbers and strings --- */

void print_number(Printer *printer, uint64_t x) {
  char digits[20];
  char *first = digits + sizeof digits;
  do {
    *--first = (char)('0' + x % 10);
    x /= 10;
  } while (x != 0);
  buf_bytes(&printer->out, first, (size_t)(digits + sizeof digits - first));
}

static void put_escaped_byte(Buf *out, uint8_t byte) {
  static const char digits[] = "0123456789abcdef";
  static const char letters[256] = {
      ['\t'] = 't', ['\n'] = 'n', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
  bool has_letter = letters[byte] != '\0';
  uint8_t *at = buf_reserve(out, 3);
  at[0] = '\\';
  at[1] = (uint8_t)(has_letter ? letters[byte] : digits[byte >> 4]);
  at[2] = (uint8_t)digits[byte & 15];
  out->size += has_letter ? 2 : 3;
}

static bool is_plain_byte(uint8_t byte) {
  return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\';
}

/* The length of a character that changes the order in which the text around it is shown, or that
 * cannot be seen at all; 0 for any other. */
static size_t hidden_char(const uint8_t *at, const uint8_t *end) {
  if (end - at >= 2 && at[0] == 0xC2 && at[1] < 0xA0) return 2; /* C1 controls */
  if (end - at < 3 || at[0] != 0xE2) return 0;
  bool is_mark = at[1] == 0x80 && at[2] >= 0x8B && at[2] <= 0x8F;
  bool is_line_end = at[1] == 0x80 && (at[2] == 0xA8 || at[2] == 0xA9);
  bool is_override = at[1] == 0x80 && at[2] >= 0xAA && at[2] <= 0xAE;
  bool is_isolate = at[1] == 0x81 && at[2] >= 0xA0 && at[2] <= 0xAF;
  return is_mark || is_line_end || is_override || is_isolate ? 3 : 0;
}

/* A name, which is UTF-8, with its quotes. */
static void put_quoted(Buf *out, Str name) {
  const uint8_t *at = (const uint8_t *)name.at, *end = at + name.size;
  buf_byte(out, '"');
  while (at < end) {
    size_t n_hidden = hidden_char(at, end);
    bool is_plain = n_hidden == 0 && (*at >= 0x80 || is_plain_byte(*at));
    if (is_plain) {
      buf_byte(out, *at++);
    } else {
      for (size_t n = MAX(n_hidden, (size_t)1); n > 0; n--) put_escaped_byte(out, *at++);
    }
  }
  buf_byte(out, '"');
}

void print_name_string(Printer *printer, Str name) {
  print_char(printer, ' ');
  put_quoted(&printer->out, name);
}

static void put_bytes(Buf *out, const uint8_t *at, size_t size) {
  const uint8_t *end = at + size;
  buf_byte(out, '"');
  while (at < end) {
    const uint8_t *first = at;
    while (at < end && is_plain_byte(*at)) at++;
    buf_bytes(out, first, (size_t)(at - first));
    if (at < end) put_escaped_byte(out, *at++);
  }
  buf_byte(out, '"');
}

void print_data_string(Printer *printer, const uint8_t *bytes, size_t size) {
  enum { LINE = 128 };
  bool is_long = size > LINE;
  for (size_t at = 0; at < size || at == 0; at += LINE) {
    print_text(printer, is_long ? "\n    " : " ");
    put_bytes(&printer->out, bytes + at, MIN(size - at, (size_t)LINE));
  }
}

/* --- identifiers --- */

static uint32_t name_index(Printer *printer, Str name) {
  uint32_t index = printer->uses.n;
  if (!strmap_add(&printer->names, name, &index)) return index;
  NameUse use = {.scope = 0, .label = NO_INDEX};
  VEC_PUSH(&printer->work, &printer->uses, use);
  return index;
}

/* False when the name is taken in the present scope. */
static bool take_name(Printer *printer, Str name) {
  uint32_t index = name_index(printer, name);
  NameUse *use = &printer->uses.items[index];
  if (use->scope == printer->scope) return false;
  use->scope = printer->scope;
  return true;
}

static Ident ident_of(Printer *printer, Str text) {
  size_t n_plain = 0;
  while (n_plain < text.size && is_ident_char[(uint8_t)text.at[n_plain]]) n_plain++;
  if (n_plain == text.size) return (Ident){.at = text.at, .size = (uint32_t)text.size};
  Buf quoted;
  buf_init(&quoted, &printer->work);
  put_quoted(&quoted, text);
  return (Ident){.at = (const char *)quoted.at, .size = (uint32_t)quoted.size};
}

/* For a name that something else has: "name#3", which nothing else has. */
static Ident renamed(Printer *printer, Str name, uint32_t index) {
  Buf text;
  buf_init(&text, &printer->work);
  buf_bytes(&text, name.at, name.size);
  buf_printf(&text, "#%u", (unsigned)index);
  while (!take_name(printer, (Str){(const char *)text.at, text.size})) buf_byte(&text, '_');
  Ident ident = ident_of(printer, (Str){(const char *)text.at, text.size});
  ident.is_renamed = true;
  return ident;
}

static Str name_at(const Printer *printer, NameSpace space, uint32_t outer, uint32_t index) {
  bool is_nested = space == NAMES_LOCALS || space == NAMES_FIELDS;
  return is_nested ? module_name_in(printer->module, space, outer, index)
                   : module_name_of(printer->module, space, index);
}

/* Fills n identifiers of one scope; false when nothing there has a name. */
static bool make_idents(Printer *printer, Ident *idents, uint32_t n, NameSpace space,
                        uint32_t outer) {
  bool has_names = false, has_equal = false;
  printer->scope++;
  for (uint32_t i = 0; i < n; i++) {
    Str name = name_at(printer, space, outer, i);
    idents[i] = (Ident){0};
    if (name.size == 0) continue;
    has_names = true;
    if (name.size <= LONGEST_IDENT && take_name(printer, name))
      idents[i] = ident_of(printer, name);
    else
      idents[i].is_renamed = has_equal = true;
  }
  for (uint32_t i = 0; has_equal && i < n; i++) {
    if (!idents[i].is_renamed) continue;
    Str name = name_at(printer, space, outer, i);
    if (name.size <= LONGEST_IDENT) idents[i] = renamed(printer, name, i);
  }
  return has_names;
}

static uint32_t space_size(const Module *module, NameSpace space) {
  switch (space) {
    case NAMES_MODULE: return 1;
    case NAMES_FUNCS: return module->n_funcs;
    case NAMES_TYPES: return module->n_types;
    case NAMES_TABLES: return module->n_tables;
    case NAMES_MEMORIES: return module->n_memories;
    case NAMES_GLOBALS: return module->n_globals;
    case NAMES_ELEMS: return module->n_elems;
    case NAMES_DATAS: return module->n_datas;
    case NAMES_TAGS: return module->n_tags;
    case NAMES_LOCALS:
    case NAMES_LABELS:
    case NAMES_FIELDS:
    case NAMES_SPACES: break;
  }
  return 0;
}

static Ident ident_in_space(Printer *printer, NameSpace space, uint32_t index) {
  uint32_t n = space_size(printer->module, space);
  if (index >= n) return (Ident){0};
  if (!printer->idents[space]) {
    Ident *idents = ARENA_ARRAY(&printer->work, Ident, n);
    make_idents(printer, idents, n, space, 0);
    printer->idents[space] = idents;
  }
  return printer->idents[space][index];
}

void print_ident(Printer *printer, Ident ident, Str name) {
  if (ident.at) {
    buf_bytes(&printer->out, " $", 2);
    buf_bytes(&printer->out, ident.at, ident.size);
  }
  if (ident.is_renamed) {
    print_text(printer, " (@name");
    print_name_string(printer, name);
    print_char(printer, ')');
  }
}

void print_definition(Printer *printer, NameSpace space, uint32_t index) {
  Ident ident = ident_in_space(printer, space, index);
  Str name = ident.is_renamed ? module_name_of(printer->module, space, index) : (Str){0};
  print_ident(printer, ident, name);
  if (space == NAMES_MODULE) return;
  print_text(printer, " (;");
  print_number(printer, index);
  print_text(printer, ";)");
}

/* " $name" or " 3" */
static void put_reference(Printer *printer, Ident ident, uint32_t index) {
  ident.is_renamed = false;
  print_ident(printer, ident, (Str){0});
  if (ident.at) return;
  print_char(printer, ' ');
  print_number(printer, index);
}

void print_index(Printer *printer, NameSpace space, uint32_t index) {
  put_reference(printer, ident_in_space(printer, space, index), index);
}

/* --- locals and fields --- */

void print_make_locals(Printer *printer, uint32_t func, uint32_t n) {
  while (printer->locals.room < n)
    printer->locals.items = arena_grow(&printer->work, printer->locals.items, &printer->locals.room,
                                       sizeof *printer->locals.items);
  bool has_names = make_idents(printer, printer->locals.items, n, NAMES_LOCALS, func);
  printer->locals.n = has_names ? n : 0;
}

void print_local(Printer *printer, uint32_t index) {
  Ident ident = {0};
  if (index < printer->locals.n) ident = printer->locals.items[index];
  put_reference(printer, ident, index);
}

Ident print_field_ident(Printer *printer, uint32_t type, uint32_t index) {
  static const Ident no_names;
  const Module *module = printer->module;
  if (type >= module->n_types || index >= module->types[type].comp.n_fields) return no_names;
  if (!printer->fields)
    printer->fields = ARENA_ARRAY(&printer->work, const Ident *, module->n_types);
  if (!printer->fields[type]) {
    uint32_t n = module->types[type].comp.n_fields;
    Ident *idents = ARENA_ARRAY(&printer->work, Ident, n);
    bool has_names = make_idents(printer, idents, n, NAMES_FIELDS, type);
    printer->fields[type] = has_names ? idents : &no_names;
  }
  return printer->fields[type] == &no_names ? no_names : printer->fields[type][index];
}

void print_field_index(Printer *printer, uint32_t type, uint32_t index) {
  put_reference(printer, print_field_ident(printer, type, index), index);
}

/* --- labels --- */

OpenLabel print_next_label(Printer *printer, Str *name) {
  OpenLabel label = {.name = NO_INDEX};
  uint32_t index = printer->n_blocks++;
  *name = (Str){0};
  if (printer->func == NO_INDEX) return label;
  *name = module_name_in(printer->module, NAMES_LABELS, printer->func, index);
  if (name->size == 0) return label;
  if (name->size <= LONGEST_IDENT) {
    label.name = name_index(printer, *name);
    label.ident = ident_of(printer, *name);
  } else {
    label.ident.is_renamed = true;
  }
  return label;
}

void print_open_label(Printer *printer, OpenLabel label) {
  if (label.name != NO_INDEX) {
    NameUse *use = &printer->uses.items[label.name];
    label.shadowed = use->label;
    use->label = printer->labels.n;
  }
  VEC_PUSH(&printer->work, &printer->labels, label);
}

void print_close_label(Printer *printer) {
  OpenLabel label = printer->labels.items[--printer->labels.n];
  if (label.name != NO_INDEX) printer->uses.items[label.name].label = label.shadowed;
}

void print_label(Printer *printer, uint32_t depth) {
  uint32_t n = printer->labels.n;
  if (depth < n) {
    const OpenLabel *label = &printer->labels.items[n - 1 - depth];
    bool is_innermost =
        label->name != NO_INDEX && printer->uses.items[label->name].label == n - 1 - depth;
    if (is_innermost) return print_ident(printer, label->ident, (Str){0});
  }
  print_char(printer, ' ');
  print_number(printer, depth);
  if (depth >= n) return;
  print_text(printer, " (;@");
  print_number(printer, n - 1 - depth);
  print_text(printer, ";)");
}
