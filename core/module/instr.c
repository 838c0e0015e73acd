/* instr.c - LEB128 numbers, types and instructions out of a module's bytes.
 *
 * Spec 3.0, "Binary Format: Values, Types, Instructions". The texts of errors are those that the
 * specification's tests expect.
 */
#include "instr.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/number.h"

static const char eof_text[] = "unexpected end of section or function";

/* Errors */

static _Noreturn void fail_v(const Reader *reader, const uint8_t *at, ErrorKind kind,
                             const char *format, va_list args) {
  if (!reader->guard) abort(); /* validated bytes cannot fail */
  Error *error = reader->guard->error;
  error_set_v(error, kind, format, args);
  error->offset = (uint64_t)(at - reader->start);
  error->section = reader->section;
  error->func = reader->func;
  guard_raise(reader->guard);
}

_Noreturn COLD void read_fail(const Reader *reader, ErrorKind kind, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fail_v(reader, reader->at, kind, format, args);
}

_Noreturn COLD void read_fail_at(const Reader *reader, const uint8_t *at, ErrorKind kind,
                                 const char *format, ...) {
  va_list args;
  va_start(args, format);
  fail_v(reader, at, kind, format, args);
}

void read_need(const Reader *reader, Feature feature, const char *what, const char *text) {
  if (LIKELY(!(reader->off & FEATURE_BIT(feature)))) return;
  if (feature_defaults() & FEATURE_BIT(feature))
    read_fail(reader, ERROR_UNSUPPORTED, "feature '%s' is switched off: %s", feature_key(feature),
              what);
  read_fail(reader, ERROR_MALFORMED, "%s", text);
}

/* Numbers */

static size_t bytes_left(const Reader *reader) {
  return (size_t)(reader->end - reader->at);
}

uint8_t read_byte_slow(Reader *reader) {
  if (reader->at == reader->end) read_fail(reader, ERROR_MALFORMED, eof_text);
  return *reader->at++;
}

/* An unsigned number of at most `bits`. */
static inline uint64_t read_unsigned(Reader *reader, unsigned bits) {
  const uint8_t *start = reader->at;
  uint64_t x = 0;
  for (unsigned shift = 0;; shift += 7) {
    uint8_t byte = read_byte(reader);
    if (shift + 7 > bits) {
      if (byte & 0x80)
        read_fail_at(reader, start, ERROR_MALFORMED, "integer representation too long");
      if (byte >> (bits - shift)) read_fail_at(reader, start, ERROR_MALFORMED, "integer too large");
    }
    x |= (uint64_t)(byte & 0x7F) << shift;
    if (!(byte & 0x80)) return x;
  }
}

/* A signed number of at most `bits`: the unused bits of the last byte repeat the sign. */
static inline int64_t read_signed(Reader *reader, unsigned bits) {
  const uint8_t *start = reader->at;
  uint64_t x = 0;
  for (unsigned shift = 0;; shift += 7) {
    uint8_t byte = read_byte(reader);
    if (shift + 7 > bits) {
      if (byte & 0x80)
        read_fail_at(reader, start, ERROR_MALFORMED, "integer representation too long");
      unsigned unused = (0x7Fu << (bits - shift - 1)) & 0x7F;
      if ((byte & unused) != 0 && (byte & unused) != unused)
        read_fail_at(reader, start, ERROR_MALFORMED, "integer too large");
    }
    x |= (uint64_t)(byte & 0x7F) << shift;
    if (!(byte & 0x80)) {
      unsigned used = shift + 7;
      if (used < 64 && (byte & 0x40)) x |= ~(uint64_t)0 << used;
      return (int64_t)x;
    }
  }
}

uint32_t read_u32_slow(Reader *reader) {
  if (bytes_left(reader) >= 2 && reader->at[1] < 0x80) { /* the first goes on */
    reader->at += 2;
    return (reader->at[-2] & 0x7Fu) | (uint32_t)reader->at[-1] << 7;
  }
  return (uint32_t)read_unsigned(reader, 32);
}

uint64_t read_u64_slow(Reader *reader) {
  return read_unsigned(reader, 64);
}

int32_t read_s32_slow(Reader *reader) {
  return (int32_t)read_signed(reader, 32);
}

int64_t read_s33(Reader *reader) {
  return read_signed(reader, 33);
}

int64_t read_s64_slow(Reader *reader) {
  return read_signed(reader, 64);
}

static const uint8_t *read_bytes(Reader *reader, size_t size) {
  if (bytes_left(reader) < size) read_fail_at(reader, reader->end, ERROR_MALFORMED, eof_text);
  const uint8_t *at = reader->at;
  reader->at += size;
  return at;
}

uint32_t read_count(Reader *reader, uint32_t min_item_size) {
  uint32_t n = read_u32(reader);
  if ((uint64_t)n * min_item_size > bytes_left(reader))
    read_fail_at(reader, reader->end, ERROR_MALFORMED, eof_text);
  return n;
}

uint32_t read_size(Reader *reader) {
  const uint8_t *start = reader->at;
  uint32_t size = read_u32(reader);
  if (size > bytes_left(reader))
    read_fail_at(reader, start, ERROR_MALFORMED, "length out of bounds");
  return size;
}

Str read_name(Reader *reader) {
  uint32_t size = read_size(reader);
  const uint8_t *at = read_bytes(reader, size);
  if (!utf8_check(at, size)) read_fail_at(reader, at, ERROR_MALFORMED, "malformed UTF-8 encoding");
  return (Str){(const char *)at, size};
}

/* Types */

enum { CODE_REF_NULL = 0x63, CODE_REF = 0x64 };

/* HEAP_BOTTOM when the byte is no abstract heap type. */
static uint32_t heap_of_code(uint8_t code) {
  switch (code) {
    case 0x68: return HEAP_CONT;
    case 0x69: return HEAP_EXN;
    case 0x6A: return HEAP_ARRAY;
    case 0x6B: return HEAP_STRUCT;
    case 0x6C: return HEAP_I31;
    case 0x6D: return HEAP_EQ;
    case 0x6E: return HEAP_ANY;
    case 0x6F: return HEAP_EXTERN;
    case 0x70: return HEAP_FUNC;
    case 0x71: return HEAP_NONE;
    case 0x72: return HEAP_NOEXTERN;
    case 0x73: return HEAP_NOFUNC;
    case 0x74: return HEAP_NOEXN;
    case 0x75: return HEAP_NOCONT;
    default: return HEAP_BOTTOM;
  }
}

static Feature feature_of_heap(uint32_t heap) {
  switch (heap) {
    case HEAP_FUNC:
    case HEAP_EXTERN: return FEATURE_REFERENCE_TYPES;
    case HEAP_EXN:
    case HEAP_NOEXN: return FEATURE_EXCEPTIONS;
    case HEAP_CONT:
    case HEAP_NOCONT: return FEATURE_STACK_SWITCHING;
    default: return FEATURE_GC;
  }
}

static bool read_abstract_heap(Reader *reader, uint32_t *heap, const char *text) {
  if (reader->at == reader->end) return false;
  *heap = heap_of_code(*reader->at);
  if (*heap == HEAP_BOTTOM) return false;
  read_need(reader, feature_of_heap(*heap), "heap type", text);
  reader->at++;
  return true;
}

uint32_t read_heap_type(Reader *reader) {
  uint32_t heap;
  if (read_abstract_heap(reader, &heap, "malformed heap type")) return heap;
  const uint8_t *start = reader->at;
  int64_t index = read_s33(reader);
  if (index < 0) read_fail_at(reader, start, ERROR_MALFORMED, "malformed heap type");
  read_need(reader, FEATURE_FUNCTION_REFERENCES, "heap type", "malformed heap type");
  if (index >= HEAP_INDEX_END)
    read_fail_at(reader, start, ERROR_INVALID, "unknown type %" PRId64, index);
  return (uint32_t)index;
}

/* The types whose first byte says it all, and `ref`, `ref null`. */
static bool read_type_byte(Reader *reader, ValType *type) {
  uint32_t heap;
  if (read_abstract_heap(reader, &heap, "malformed value type")) {
    *type = REF_TYPE(heap, true);
    return true;
  }
  switch (read_byte(reader)) {
    case 0x7F: *type = TYPE_I32; return true;
    case 0x7E: *type = TYPE_I64; return true;
    case 0x7D: *type = TYPE_F32; return true;
    case 0x7C: *type = TYPE_F64; return true;
    case 0x7B:
      reader->at--;
      read_need(reader, FEATURE_SIMD, "v128", "malformed value type");
      reader->at++;
      *type = TYPE_V128;
      return true;
    case CODE_REF_NULL: *type = REF_TYPE(read_heap_type(reader), true); break;
    case CODE_REF: *type = REF_TYPE(read_heap_type(reader), false); break;
    default: reader->at--; return false;
  }
  read_need(reader, FEATURE_FUNCTION_REFERENCES, "typed reference", "malformed value type");
  return true;
}

ValType read_val_type(Reader *reader) {
  ValType type;
  if (!read_type_byte(reader, &type)) read_fail(reader, ERROR_MALFORMED, "malformed value type");
  return type;
}

/* Tables of functions are older than references. */
ValType read_ref_type(Reader *reader) {
  ValType type;
  const uint8_t *start = reader->at;
  if (start < reader->end && *start == 0x70) {
    reader->at++;
    return TYPE_FUNCREF;
  }
  if (!read_type_byte(reader, &type) || !type_is_ref(type))
    read_fail_at(reader, start, ERROR_MALFORMED, "malformed reference type");
  return type;
}

ValType read_storage_type(Reader *reader) {
  if (reader->at < reader->end && (*reader->at == 0x78 || *reader->at == 0x77))
    return *reader->at++ == 0x78 ? TYPE_I8 : TYPE_I16;
  return read_val_type(reader);
}

/* Immediates */

BlockType read_block_type(Reader *reader) {
  BlockType block = {BLOCK_EMPTY, 0, 0};
  uint8_t byte = reader->at < reader->end ? *reader->at : 0;
  if (byte == 0x40) {
    reader->at++;
  } else if ((byte & 0xC0) == 0x40) { /* one byte and negative */
    block.kind = BLOCK_RESULT;
    block.result = read_val_type(reader);
  } else {
    const uint8_t *start = reader->at;
    int64_t index = read_s33(reader);
    if (index < 0) read_fail_at(reader, start, ERROR_MALFORMED, "malformed block type");
    read_need(reader, FEATURE_MULTI_VALUE, "block type", "malformed block type");
    block.kind = BLOCK_INDEX;
    block.index = (uint32_t)index;
  }
  return block;
}

MemArg read_memarg_slow(Reader *reader) {
  const uint8_t *start = reader->at;
  uint32_t flags = read_u32(reader);
  if (flags >= 0x80) read_fail_at(reader, start, ERROR_MALFORMED, "malformed memop flags");
  MemArg memarg = {.align_log2 = flags & 0x3F};
  if (flags & 0x40) {
    read_need(reader, FEATURE_MULTI_MEMORY, "memory index", "malformed memop flags");
    memarg.memory = read_u32(reader);
  }
  memarg.offset = read_u64(reader);
  return memarg;
}

CatchClause read_catch(Reader *reader) {
  CatchClause clause = {.kind = read_byte(reader)};
  if (clause.kind > CATCH_ALL_REF) {
    reader->at--;
    read_fail(reader, ERROR_MALFORMED, "malformed catch clause");
  }
  if (clause.kind <= CATCH_REF) clause.tag = read_u32(reader);
  clause.label = read_u32(reader);
  return clause;
}

static void read_label_vector(Reader *reader, Instr *instr) {
  instr->labels.count = read_count(reader, 1);
  instr->labels.bytes = reader->at;
  for (uint32_t i = 0; i < instr->labels.count; i++) read_u32(reader);
  instr->default_label = read_u32(reader);
}

static void read_type_vector(Reader *reader, Instr *instr) {
  instr->labels.count = read_count(reader, 1);
  instr->labels.bytes = reader->at;
  for (uint32_t i = 0; i < instr->labels.count; i++) read_val_type(reader);
}

static void read_catch_vector(Reader *reader, Instr *instr) {
  instr->block = read_block_type(reader);
  instr->labels.count = read_count(reader, 2);
  instr->labels.bytes = reader->at;
  for (uint32_t i = 0; i < instr->labels.count; i++) read_catch(reader);
}

static void read_cast(Reader *reader, Instr *instr) {
  instr->lane = read_byte(reader);
  if (instr->lane > 3) {
    reader->at--;
    read_fail(reader, ERROR_MALFORMED, "malformed br_on_cast flags");
  }
  instr->index = read_u32(reader);
  instr->type = REF_TYPE(read_heap_type(reader), instr->lane & 1);
  instr->type2 = REF_TYPE(read_heap_type(reader), instr->lane & 2);
}

static void read_two(Reader *reader, Instr *instr) {
  instr->index = read_u32(reader);
  instr->index2 = read_u32(reader);
}

static void read_fence(Reader *reader) {
  if (read_byte(reader) == 0) return;
  reader->at--;
  read_fail(reader, ERROR_MALFORMED, "zero byte expected");
}

static inline void read_immediates(Reader *reader, Instr *instr) {
  switch ((ImmKind)op_info[instr->op].imm) {
    case IMM_NONE: break;
    case IMM_BLOCK: instr->block = read_block_type(reader); break;
    case IMM_LABEL:
    case IMM_FUNC:
    case IMM_TYPE:
    case IMM_LOCAL:
    case IMM_GLOBAL:
    case IMM_TABLE:
    case IMM_ELEM:
    case IMM_DATA:
    case IMM_MEMORY:
    case IMM_TAG: instr->index = read_u32(reader); break;
    case IMM_CALL_TABLE:
    case IMM_TABLE2:
    case IMM_ELEM_TABLE:
    case IMM_DATA_MEMORY:
    case IMM_MEMORY2:
    case IMM_TYPE_FIELD:
    case IMM_TYPE_COUNT:
    case IMM_TYPE_DATA:
    case IMM_TYPE_ELEM:
    case IMM_TYPE2: read_two(reader, instr); break;
    case IMM_LABELS: read_label_vector(reader, instr); break;
    case IMM_MEMARG_LANE:
      instr->memarg = read_memarg(reader);
      instr->lane = read_byte(reader);
      break;
    case IMM_MEMARG: instr->memarg = read_memarg(reader); break;
    case IMM_LANE: instr->lane = read_byte(reader); break;
    case IMM_SHUFFLE:
    case IMM_V128: memcpy(instr->v128, read_bytes(reader, 16), 16); break;
    case IMM_I32: instr->u64 = (uint64_t)(int64_t)read_s32(reader); break;
    case IMM_I64: instr->u64 = (uint64_t)read_s64(reader); break;
    case IMM_F32: instr->u64 = load_u32(read_bytes(reader, 4)); break;
    case IMM_F64: instr->u64 = load_u64(read_bytes(reader, 8)); break;
    case IMM_HEAP: instr->type = REF_TYPE(read_heap_type(reader), true); break;
    case IMM_REF_NULL: {
      bool is_nullable = instr->op == OP_REF_TEST_NULL || instr->op == OP_REF_CAST_NULL;
      instr->type = REF_TYPE(read_heap_type(reader), is_nullable);
      break;
    }
    case IMM_SELECT: read_type_vector(reader, instr); break;
    case IMM_TRY_TABLE: read_catch_vector(reader, instr); break;
    case IMM_BR_CAST: read_cast(reader, instr); break;
    case IMM_FENCE: read_fence(reader); break;
  }
}

/* The operation of a prefixed opcode, whose prefix was read. */
static NO_INLINE Op read_prefixed(Reader *reader, uint8_t prefix) {
  const uint8_t *start = reader->at - 1;
  if (prefix < PREFIX_GC || prefix > PREFIX_ATOMIC)
    read_fail_at(reader, start, ERROR_MALFORMED, "illegal opcode %02x", prefix);
  uint32_t code = read_u32(reader);
  Op op = op_of_prefixed(prefix, code);
  if (op == OP_INVALID)
    read_fail_at(reader, start, ERROR_MALFORMED, "illegal opcode %02x %02x", prefix, code);
  return op;
}

static COLD void need_opcode(const Reader *reader, const Instr *instr) {
  Reader at_start = *reader;
  at_start.at = instr->at;
  const OpInfo *info = &op_info[instr->op];
  char text[32];
  snprintf(text, sizeof text, "illegal opcode %02x", instr->at[0]);
  read_need(&at_start, (Feature)info->feature, info->text, text);
}

void instr_read(Reader *reader, Instr *instr) {
  instr->at = reader->at;
  uint8_t byte = read_byte(reader);
  unsigned op = op_of_byte[byte];
  if (UNLIKELY(op == OP_INVALID)) op = read_prefixed(reader, byte);
  instr->op = (Op)op;
  if (UNLIKELY(reader->off & FEATURE_BIT(op_info[op].feature))) need_opcode(reader, instr);
  read_immediates(reader, instr);
}
