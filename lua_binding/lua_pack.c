/* lua_pack.c - mem:pack and mem:unpack: the formats of string.pack with the C ABI of wasm32.
 *
 * Little-endian; `i I` are 4 bytes, `l L T` 4, `j J n` 8, and items are aligned as C aligns them
 * (to their size, at most 8) relative to address 0. `!n` sets another maximum, `!1` none; `>` and
 * `=` are taken as string.pack does.
 */
#include "lua_wasm.h"

typedef enum Kind {
  INTEGER,
  UNSIGNED,
  FLOAT,
  DOUBLE,
  FIXED,
  COUNTED,
  ZERO,
  PADDING,
  ALIGN,
  NONE
} Kind;

typedef struct Format {
  lua_State *L;
  const char *next, *function;
  uint64_t max_align;
  bool is_big;
} Format;

typedef struct Part {
  Kind kind;
  uint64_t size, pad; /* pad: bytes before it */
} Part;

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static uint64_t read_size(Format *f, uint64_t otherwise) {
  if (!is_digit(*f->next)) return otherwise;
  uint64_t n = 0;
  while (is_digit(*f->next) && n < INT32_MAX / 10) n = n * 10 + (uint64_t)(*f->next++ - '0');
  return n;
}

static uint64_t read_integer_size(Format *f, uint64_t otherwise) {
  uint64_t n = read_size(f, otherwise);
  if (n < 1 || n > 16) {
    luaL_error(f->L, "bad format to '%s' (integral size (%d) out of limits [1,16])", f->function,
               (int)n);
  }
  return n;
}

/* The next option, without padding. */
static Part read_option(Format *f) {
  char c = *f->next++;
  switch (c) {
    case 'b': return (Part){INTEGER, 1, 0};
    case 'B': return (Part){UNSIGNED, 1, 0};
    case 'h': return (Part){INTEGER, 2, 0};
    case 'H': return (Part){UNSIGNED, 2, 0};
    case 'i': return (Part){INTEGER, read_integer_size(f, 4), 0};
    case 'I': return (Part){UNSIGNED, read_integer_size(f, 4), 0};
    case 'l': return (Part){INTEGER, 4, 0};
    case 'L':
    case 'T': return (Part){UNSIGNED, 4, 0};
    case 'j': return (Part){INTEGER, 8, 0};
    case 'J': return (Part){UNSIGNED, 8, 0};
    case 'n':
    case 'd': return (Part){DOUBLE, 8, 0};
    case 'f': return (Part){FLOAT, 4, 0};
    case 's': return (Part){COUNTED, read_integer_size(f, 4), 0};
    case 'z': return (Part){ZERO, 0, 0};
    case 'x': return (Part){PADDING, 1, 0};
    case 'X': return (Part){ALIGN, 0, 0};
    case ' ': return (Part){NONE, 0, 0};
    case '<':
    case '=': f->is_big = false; return (Part){NONE, 0, 0};
    case '>': f->is_big = true; return (Part){NONE, 0, 0};
    case '!': f->max_align = read_integer_size(f, 8); return (Part){NONE, 0, 0};
    case 'c': {
      if (!is_digit(*f->next))
        luaL_error(f->L, "bad format to '%s' (missing size for 'c')", f->function);
      return (Part){FIXED, read_size(f, 0), 0};
    }
    default:
      luaL_error(f->L, "bad format to '%s' (invalid option '%c')", f->function, c);
      return (Part){NONE, 0, 0};
  }
}

static Part next_part(Format *f, uint64_t at) {
  Part part = read_option(f);
  uint64_t align = part.size;
  if (part.kind == ALIGN) {
    if (*f->next == '\0')
      luaL_error(f->L, "bad format to '%s' (invalid next option for 'X')", f->function);
    align = read_option(f).size;
    if (align == 0)
      luaL_error(f->L, "bad format to '%s' (invalid next option for 'X')", f->function);
  } else if (part.kind > DOUBLE && part.kind != COUNTED) {
    return part;
  }
  if (align > f->max_align) align = f->max_align;
  bool is_power = (align & (align - 1)) == 0; /* C has no type of another size */
  if (align > 1 && is_power) part.pad = (0 - at) & (align - 1);
  return part;
}

static Format start(lua_State *L, int arg, const char *function) {
  if (lua_type(L, arg) != LUA_TSTRING) {
    wasm_error_misuse(L, arg - 1, function, "format as a string expected, got %s",
                      luaL_typename(L, arg));
  }
  return (Format){L, lua_tostring(L, arg), function, 8, false};
}

static void reverse(uint8_t *bytes, uint64_t n) {
  for (uint64_t i = 0; i < n / 2; i++) {
    uint8_t byte = bytes[i];
    bytes[i] = bytes[n - 1 - i];
    bytes[n - 1 - i] = byte;
  }
}

/* ---- Packing ----------------------------------------------------------------------------------*/

static void encode_integer(uint8_t *out, int64_t x, uint64_t size, bool is_big) {
  uint8_t bytes[16];
  memset(bytes, x < 0 ? 0xff : 0, sizeof bytes);
  memcpy(bytes, &x, sizeof x);
  if (is_big) reverse(bytes, size);
  memcpy(out, bytes, (size_t)size);
}

static void pack_integer(Format *f, const Part *part, int arg, uint8_t *out) {
  rille_Slot slot;
  lua_State *L = f->L;
  if (!wasm_read_i64(L, arg, &slot)) {
    wasm_error_misuse(L, arg - 1, f->function, "integer expected, got %s", luaL_typename(L, arg));
  }
  int64_t x = (int64_t)slot;
  if (part->size < 8) {
    int64_t limit = (int64_t)1 << (part->size * 8 - (part->kind == INTEGER));
    int64_t least = part->kind == INTEGER ? -limit : 0;
    if (x < least || x >= limit) {
      wasm_error_misuse(L, arg - 1, f->function, "%s",
                        part->kind == INTEGER ? "integer overflow" : "unsigned overflow");
    }
  }
  encode_integer(out, x, part->size, f->is_big);
}

static void pack_float(Format *f, const Part *part, int arg, uint8_t *out) {
  rille_Slot slot;
  if (!wasm_read_float(f->L, arg, part->kind == FLOAT ? RILLE_F32 : RILLE_F64, &slot)) {
    wasm_error_misuse(f->L, arg - 1, f->function, "number expected, got %s",
                      luaL_typename(f->L, arg));
  }
  memcpy(out, &slot, (size_t)part->size);
  if (f->is_big) reverse(out, part->size);
}

static const char *check_string(Format *f, int arg, size_t *size) {
  if (lua_type(f->L, arg) != LUA_TSTRING) {
    wasm_error_misuse(f->L, arg - 1, f->function, "string expected, got %s",
                      luaL_typename(f->L, arg));
  }
  return lua_tolstring(f->L, arg, size);
}

/* Strings of the three kinds; returns the bytes written. */
static uint64_t pack_string(Format *f, const Part *part, int arg, const Item *memory, uint64_t at) {
  size_t size;
  const char *text = check_string(f, arg, &size);
  uint64_t head = part->kind == COUNTED ? part->size : 0;
  uint64_t total = part->kind == FIXED ? part->size : head + size + (part->kind == ZERO);
  if (part->kind == FIXED && size > part->size) {
    wasm_error_misuse(f->L, arg - 1, f->function, "string longer than given size");
  }
  if (part->kind == ZERO && strlen(text) != size) {
    wasm_error_misuse(f->L, arg - 1, f->function, "string contains zeros");
  }
  if (head > 0 && head < 8 && (uint64_t)size >> (head * 8) != 0) {
    wasm_error_misuse(f->L, arg - 1, f->function, "string length does not fit in given size");
  }
  uint8_t *out = wasm_memory_range(f->L, memory, at, total);
  if (head > 0) encode_integer(out, (int64_t)size, head, f->is_big);
  memcpy(out + head, text, size);
  memset(out + head + size, 0, (size_t)(total - head - size));
  return total;
}

int wasm_memory_pack(lua_State *L) {
  const Item *memory = wasm_check_item(L, 1, TYPE_MEMORY, "pack");
  Format f = start(L, 2, "pack");
  uint64_t at = wasm_check_address(L, 3, memory, "pack");
  int arg = 3;
  while (*f.next) {
    Part part = next_part(&f, at);
    memset(wasm_memory_range(L, memory, at, part.pad), 0, (size_t)part.pad);
    at += part.pad;
    switch (part.kind) {
      case INTEGER:
      case UNSIGNED:
        pack_integer(&f, &part, ++arg, wasm_memory_range(L, memory, at, part.size));
        break;
      case FLOAT:
      case DOUBLE: pack_float(&f, &part, ++arg, wasm_memory_range(L, memory, at, part.size)); break;
      case FIXED:
      case COUNTED:
      case ZERO: part.size = pack_string(&f, &part, ++arg, memory, at); break;
      case PADDING: *wasm_memory_range(L, memory, at, 1) = 0; break;
      default: break;
    }
    at += part.size;
  }
  lua_pushinteger(L, (lua_Integer)at);
  return 1;
}

/* ---- Unpacking --------------------------------------------------------------------------------*/

static int64_t decode_integer(Format *f, const Part *part, const uint8_t *from) {
  uint8_t bytes[16];
  memcpy(bytes, from, (size_t)part->size);
  if (f->is_big) reverse(bytes, part->size);
  bool is_negative = part->kind == INTEGER && bytes[part->size - 1] >= 0x80;
  memset(bytes + part->size, is_negative ? 0xff : 0, (size_t)(16 - part->size));
  int64_t x;
  memcpy(&x, bytes, sizeof x);
  for (uint64_t i = 8; i < part->size; i++) {
    if (bytes[i] == (part->kind == INTEGER && x < 0 ? 0xff : 0)) continue;
    luaL_error(f->L, "%d-byte integer does not fit into a 64-bit integer", (int)part->size);
  }
  return x;
}

static void push_float(Format *f, const Part *part, const uint8_t *from) {
  uint8_t bytes[8];
  memcpy(bytes, from, (size_t)part->size);
  if (f->is_big) reverse(bytes, part->size);
  wasm_push_access(f->L, part->kind == FLOAT ? F32 : F64, bytes);
}

/* Pushes the string; returns the bytes it takes. */
static uint64_t unpack_string(Format *f, const Part *part, const Item *memory, uint64_t at) {
  if (part->kind == FIXED) {
    const uint8_t *from = wasm_memory_range(f->L, memory, at, part->size);
    lua_pushlstring(f->L, (const char *)from, (size_t)part->size);
    return part->size;
  }
  if (part->kind == COUNTED) {
    const Part length = {UNSIGNED, part->size, 0};
    const uint8_t *head = wasm_memory_range(f->L, memory, at, part->size);
    uint64_t size = (uint64_t)decode_integer(f, &length, head);
    const uint8_t *from = wasm_memory_range(f->L, memory, at + part->size, size);
    lua_pushlstring(f->L, (const char *)from, (size_t)size);
    return part->size + size;
  }
  uint64_t size;
  const uint8_t *bytes = rille_memory_bytes(memory->memory, &size);
  const uint8_t *end = at < size ? memchr(bytes + at, 0, (size_t)(size - at)) : NULL;
  if (!end) wasm_raise_out_of_bounds(f->L, "out of bounds memory access");
  uint64_t length = (uint64_t)(end - bytes) - at;
  lua_pushlstring(f->L, (const char *)bytes + at, (size_t)length);
  return length + 1;
}

int wasm_memory_unpack(lua_State *L) {
  const Item *memory = wasm_check_item(L, 1, TYPE_MEMORY, "unpack");
  Format f = start(L, 2, "unpack");
  uint64_t at = wasm_check_address(L, 3, memory, "unpack");
  int n = 0;
  while (*f.next) {
    Part part = next_part(&f, at);
    at += part.pad;
    luaL_checkstack(L, 4, "too many results");
    switch (part.kind) {
      case INTEGER:
      case UNSIGNED:
        wasm_push_i64(L, decode_integer(&f, &part, wasm_memory_range(L, memory, at, part.size)),
                      false);
        n++;
        break;
      case FLOAT:
      case DOUBLE:
        push_float(&f, &part, wasm_memory_range(L, memory, at, part.size));
        n++;
        break;
      case FIXED:
      case COUNTED:
      case ZERO:
        part.size = unpack_string(&f, &part, memory, at);
        n++;
        break;
      default: break;
    }
    at += part.size;
  }
  lua_pushinteger(L, (lua_Integer)at);
  return n + 1;
}
