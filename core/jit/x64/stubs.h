/* stubs.h - the code of a module that is no function of it.
 */
#ifndef RILLE_JIT_X64_STUBS_H
#define RILLE_JIT_X64_STUBS_H

#include "../../runtime/store.h"
#include "../compiled.h"
#include "abi.h"
#include "direct.h"

/* Addresses that the stubs need: C functions, given to stubs_common. */
typedef struct StubCalls {
  void (*poll)(Instance *instance, char *sp);
  void (*fuel)(Instance *instance, char *sp);
  void (*enter)(Instance *instance, char *sp);
  bool (*has_type)(const Func *func, const Type *type);
  /* These do not return. */
  void (*stack)(Instance *instance, char *sp);
  void (*throw_)(Instance *instance, Slot exception, char *sp);
  void (*no_room)(Instance *instance, const Func *func, char *sp);
  void (*fault)(const uint8_t *pc, Instance *instance, char *sp);
  void (*trap)(Instance *instance, char *sp);
  /* These do. */
  /* Sees to it that the instance of the Func counts fuel; sp is at the guest's return address. */
  void (*count)(Instance *instance, const Func *func, char *sp);
  void *(*compile)(Instance *instance, uint32_t func, char *sp);
  void (*call)(Instance *instance, Func *func, Slot *slots, const uint8_t *pc, char *sp);
  /* A host function has returned, and there is more to do than to go on. */
  void (*back)(Instance *instance, Act *act, RunStatus status);
  DirectCalls direct;
} StubCalls;

/* Where stubs are, from the start of what stubs_common makes. */
typedef struct StubOffsets {
  uint32_t stubs[STUB_COUNT];
  uint32_t fault; /* entered by the signal handler: rdi is the place of the fault */
  uint32_t exit;  /* C: leaves to the entry of the activation rdi with the status esi */
  uint32_t land;  /* C: goes on at rdi with rsp = rsi in the instance rdx */
  uint32_t direct[DIRECT_KINDS]; /* C: see direct.h */
  uint32_t lazy;                 /* of function n at lazy + n * LAZY_BYTES */
} StubOffsets;
enum { LAZY_BYTES = 16 };

/* Bytes between rsp inside an adapter and its return address; where the caller's instance is. */
enum { ADAPTER_FRAME = 24, ADAPTER_INSTANCE = 16 };

void stubs_common(Buf *out, const StubCalls *calls, bool has_avx, uint32_t n_lazy,
                  uint32_t first_lazy, StubOffsets *offsets);
/* Calls the Func in rax from code that calls a function of the type, or jumps to it. */
typedef struct AdapterOptions {
  const EngineOps *ops; /* of the compiler */
  bool has_avx;
  bool counts_fuel; /* the calling code does */
} AdapterOptions;
void stubs_adapter(Buf *out, const CompType *type, const StubCalls *calls, AdapterOptions options,
                   uint32_t *return_at);
/* C: RunStatus entry(Act *, void *code, Instance *, Slot *slots). */
void stubs_entry(Buf *out, const CompType *type, bool has_avx, uint32_t *return_at);

#endif
