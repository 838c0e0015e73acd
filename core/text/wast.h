/* wast.h - reads test scripts: a .wast file as a sequence of commands.
 *
 *   WastReader reader;
 *   WastCommand command;
 *   wast_init(&reader, alloc, source);
 *   while (wast_next(&reader, &command)) ...
 *   wast_clear(&reader);
 *
 * What a command points at lives until the next call, but for slices of the source, which live as
 * long as that. Nothing is run or loaded here.
 */
#ifndef RILLE_WAST_H
#define RILLE_WAST_H

#include "text.h"

typedef enum WastKind {
  WAST_BAD,               /* cannot be read: `error` says why; it has been skipped */
  WAST_MODULE,            /* define and instantiate `module` */
  WAST_MODULE_DEFINITION, /* define it only */
  WAST_MODULE_INSTANCE,   /* instantiate the definition `target` as `id` */
  WAST_REGISTER,          /* `text` names the instance `target`, or the last one */
  WAST_ACTION,            /* run `action` */
  WAST_ASSERT_RETURN,     /* `action` gives `results` */
  WAST_ASSERT_TRAP,       /* `action` or instantiating `module` traps with `text` */
  WAST_ASSERT_EXHAUSTION,
  WAST_ASSERT_EXCEPTION, /* without a text */
  WAST_ASSERT_SUSPENSION,
  WAST_ASSERT_INVALID, /* loading `module` fails with `text` */
  WAST_ASSERT_MALFORMED,
  WAST_ASSERT_INVALID_CUSTOM,
  WAST_ASSERT_MALFORMED_CUSTOM,
  WAST_ASSERT_UNLINKABLE, /* instantiating it does */
  WAST_THREAD,            /* run `body` in a thread `id` that shares `shared`; see wast_init_at */
  WAST_WAIT,              /* for the thread `id` */
} WastKind;

typedef enum WastModuleKind { WAST_TEXT, WAST_QUOTE, WAST_BINARY } WastModuleKind;

typedef struct WastModule {
  WastModuleKind kind;
  Str source;            /* text or bytes */
  uint32_t line, column; /* where the text starts; 1, 1 for quoted text */
} WastModule;

typedef enum WastValueKind {
  WAST_NUMBER,   /* i32 i64 f32 f64: `bytes`, or a NaN by `lanes[0].pattern` */
  WAST_VECTOR,   /* v128: n_lanes of lane_bits each, NaNs by pattern */
  WAST_REF_NULL, /* of `type`; of any type when has_type is false */
  WAST_REF_HOST, /* ref.extern N and ref.host N: the number in `bytes`; `type` tells them apart */
  WAST_REF,      /* a reference of `type`, not null; results only */
  WAST_EITHER,   /* one of `choices`; results only */
} WastValueKind;

typedef enum WastPattern { WAST_EXACT, WAST_NAN_CANONICAL, WAST_NAN_ARITHMETIC } WastPattern;

typedef struct WastValue WastValue;
struct WastValue {
  WastValueKind kind;
  bool has_type;
  ValType type;
  uint8_t bytes[16]; /* little-endian */
  uint8_t n_lanes, lane_bits;
  uint8_t patterns[4]; /* WastPattern of each floating-point lane; integers are exact */
  uint32_t n_choices;
  const WastValue *choices;
};

typedef struct WastAction {
  bool is_get; /* reads a global; else calls a function */
  Str target;  /* the instance's id; empty: the last one */
  Str name;    /* of the export */
  uint32_t n_args;
  const WastValue *args;
} WastAction;

typedef struct WastCommand {
  WastKind kind;
  uint32_t line, column;
  Str id, target, text, shared;
  bool has_module; /* assert_trap: of a module, not of an action */
  WastModule module;
  WastAction action;
  uint32_t n_results;
  const WastValue *results;
  Str body; /* commands of a thread */
  uint32_t body_line, body_column;
  Error error;
} WastCommand;

typedef struct WastReader {
  Arena arena; /* of the current command */
  const char *at, *end;
  const char *counted; /* lines are counted up to here */
  uint32_t line, column;
} WastReader;

void wast_init(WastReader *reader, Alloc *alloc, Str source);
void wast_init_at(WastReader *reader, Alloc *alloc, Str source, uint32_t line, uint32_t column);
void wast_clear(WastReader *reader);
bool wast_next(WastReader *reader, WastCommand *command); /* false at the end */

/* A module's bytes, in `arena` or borrowed: text is parsed, binaries are as they are. */
bool wast_module_bytes(Arena *arena, const WastModule *module, FeatureSet features,
                       const uint8_t **bytes, size_t *size, Error *error);

#endif
