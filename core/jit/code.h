/* code.h - code memory, and finding out what lies in it.
 *
 * A module has one region of address space for each way its code was compiled: with or without
 * fuel, with guard pages or checks. Its first pages are data: addresses of helpers, types,
 * and a slot for each function, through which calls go. Code follows, in pages that are written
 * once, become executable and are never written again. A slot holds a stub that compiles until the
 * function is compiled, so nothing is ever patched; a fork copies slots and shares code.
 */
#ifndef RILLE_JIT_CODE_H
#define RILLE_JIT_CODE_H

#include "../runtime/store.h"
#include "compiled.h"
#include "x64/stubs.h"

typedef enum RecordKind { RECORD_FUNC, RECORD_ADAPTER, RECORD_ENTRY } RecordKind;

/* One piece of code; the records of a region are sorted by address. */
typedef struct CodeRecord {
  const uint8_t *start, *end;
  const CodeSite *sites;
  uint32_t n_sites;
  uint32_t index; /* function or type */
  uint32_t frame_bytes, param_bytes;
  RecordKind kind;
} CodeRecord;

typedef struct JitModule JitModule;
typedef struct Region Region;

typedef struct CodeSpace {
  JitModule *owner;
  bool counts_fuel, checks_memory, is_quiet;
  char *base;
  size_t size;
  size_t data_bytes, used; /* `used` counts from base; both are whole pages */
  void **helpers;
  void *_Atomic *slots;    /* by function that the module defines */
  const Type **types;      /* canonical, by type */
  void *_Atomic *adapters; /* by type, or NULL */
  void *_Atomic *entries;
  CodeRecord *records;
  uint32_t room_records;
  _Atomic uint32_t n_records;
  const uint8_t *common;
  StubOffsets offsets;
  Region *region;
  _Atomic size_t n_prepared, n_bytes, n_kept;
} CodeSpace;

/* Makes room, stubs and slots; false when there is no memory. */
bool code_open(CodeSpace *space, JitModule *owner, const StubCalls *calls, bool has_avx);
void code_close(CodeSpace *space);

/* A piece of code that waits for its place. */
typedef struct CodePiece {
  Compiled compiled;
  RecordKind kind;
  uint32_t index;
} CodePiece;
/* Puts all of them into fresh pages, links them and lets them be called. */
bool code_place(CodeSpace *space, const CodePiece *pieces, uint32_t n);

/* The steps of that, for code that is put there bit by bit: from where fresh pages start; making
 * `size` bytes at `from` behind it writable; linking one function, with those that `placed` names
 * by own index; making the first `size` of `room` writable bytes executable; what lies where; and
 * letting it be called. */
uint8_t *code_next_page(const CodeSpace *space);
bool code_extend(CodeSpace *space, size_t from, size_t size);
void code_link(CodeSpace *space, const uint8_t *const *placed, const Compiled *compiled,
               uint8_t *at);
bool code_end(CodeSpace *space, size_t size, size_t room);
void code_add_record(CodeSpace *space, const CodePiece *piece, const uint8_t *at,
                     const CodeSite *sites);
void code_publish(CodeSpace *space, const CodePiece *piece, const uint8_t *at);

/* Of any module; NULL when pc is in no code. Async-signal-safe. */
const CodeRecord *code_find(const uint8_t *pc, CodeSpace **space);
/* The fault that starts at pc, or the call that ends there; both may be. NULL: none. */
const CodeSite *code_fault_site(const CodeRecord *record, const uint8_t *pc);
const CodeSite *code_call_site(const CodeRecord *record, const uint8_t *pc);

#endif
