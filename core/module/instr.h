/* instr.h - reads instructions and LEB128 numbers from a module's bytes.
 *
 * The one place that knows how immediates are laid out. Validator, interpreter, compiler and
 * printer read through it. Over bytes that were validated nothing here raises.
 */
#ifndef RILLE_INSTR_H
#define RILLE_INSTR_H

#include "module.h"

typedef struct Reader {
  const uint8_t *at, *end;
  const uint8_t *start; /* of the module: offsets count from here */
  Guard *guard;         /* raised to; NULL over validated bytes */
  const char *section;  /* for errors */
  uint32_t func;        /* for errors, or ERROR_NO_FUNC */
  FeatureSet off;       /* features that are switched off; 0 over validated bytes */
} Reader;

typedef struct BlockType {
  /* One of: no type, one result, a type index. */
  enum { BLOCK_EMPTY, BLOCK_RESULT, BLOCK_INDEX } kind;
  ValType result;
  uint32_t index;
} BlockType;

typedef struct MemArg {
  uint64_t offset;
  uint32_t memory;
  uint8_t align_log2;
} MemArg;

enum { CATCH, CATCH_REF, CATCH_ALL, CATCH_ALL_REF };

typedef struct Instr {
  Op op;
  const uint8_t *at; /* its first byte */
  uint32_t index, index2;
  uint8_t lane; /* lane, or the flags of br_on_cast */
  union {
    BlockType block;
    MemArg memarg;
    uint64_t u64; /* constants: i32 sign-extended, floats as bits */
    uint8_t v128[16];
    struct {
      ValType type, type2;
    };
  };
  struct { /* vectors: br_table, select t, try_table */
    uint32_t count;
    const uint8_t *bytes; /* read them with the reader's functions */
  } labels;
  uint32_t default_label; /* br_table */
} Instr;

typedef struct CatchClause {
  uint8_t kind; /* CATCH... */
  uint32_t tag, label;
} CatchClause;

/* Reads one instruction with its immediates and moves on. Raises malformed for what cannot be read
 * and for opcodes whose feature is off. */
void instr_read(Reader *reader, Instr *instr);

uint8_t read_byte_slow(Reader *reader);
uint32_t read_u32_slow(Reader *reader);
uint64_t read_u64_slow(Reader *reader);
int32_t read_s32_slow(Reader *reader);
int64_t read_s64_slow(Reader *reader);
MemArg read_memarg_slow(Reader *reader);

static inline uint8_t read_byte(Reader *reader) {
  return LIKELY(reader->at < reader->end) ? *reader->at++ : read_byte_slow(reader);
}

/* Nearly all numbers of a module take one byte. */
static inline uint32_t read_u32(Reader *reader) {
  if (LIKELY(reader->at < reader->end && *reader->at < 0x80)) return *reader->at++;
  return read_u32_slow(reader);
}

static inline uint64_t read_u64(Reader *reader) {
  if (LIKELY(reader->at < reader->end && *reader->at < 0x80)) return *reader->at++;
  return read_u64_slow(reader);
}

/* The sign of a number of one byte is its bit 6. */
static inline int32_t read_s32(Reader *reader) {
  if (LIKELY(reader->at < reader->end && *reader->at < 0x80))
    return (int32_t)(*reader->at++ ^ 0x40) - 0x40;
  return read_s32_slow(reader);
}

static inline int64_t read_s64(Reader *reader) {
  if (LIKELY(reader->at < reader->end && *reader->at < 0x80))
    return (int64_t)(*reader->at++ ^ 0x40) - 0x40;
  return read_s64_slow(reader);
}

static inline MemArg read_memarg(Reader *reader) {
  if (LIKELY(reader->at < reader->end && *reader->at < 0x40)) {
    MemArg memarg = {.align_log2 = *reader->at++};
    memarg.offset = read_u64(reader);
    return memarg;
  }
  return read_memarg_slow(reader);
}

int64_t read_s33(Reader *reader);
BlockType read_block_type(Reader *reader);
ValType read_val_type(Reader *reader);
ValType read_ref_type(Reader *reader);
ValType read_storage_type(Reader *reader); /* of a field: i8 and i16 too */
uint32_t read_heap_type(Reader *reader);   /* a HEAP_x or an index */
CatchClause read_catch(Reader *reader);
Str read_name(Reader *reader); /* UTF-8 checked */
uint32_t read_count(Reader *reader,
                    uint32_t min_item_size); /* a vector's length, backed by the bytes left */

uint32_t read_size(Reader *reader); /* of a run of bytes, the same */

_Noreturn void read_fail(const Reader *reader, ErrorKind kind, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* The same at another place than where the reader stands. */
_Noreturn void read_fail_at(const Reader *reader, const uint8_t *at, ErrorKind kind,
                            const char *format, ...) PRINTF_LIKE(4, 5);
/* Raises when the feature is off: for a feature that is on by default with its key and `what`, for
 * others as malformed with `text`, which is what an engine without it says. */
void read_need(const Reader *reader, Feature feature, const char *what, const char *text);

#endif
