/* direct.h - the way into compiled code that needs no slots. */
#ifndef RILLE_JIT_X64_DIRECT_H
#define RILLE_JIT_X64_DIRECT_H

#include "../../runtime/store.h"
#include "encode.h"

/* What C functions the entry needs. */
typedef struct DirectCalls {
  ptrdiff_t token; /* where the thread's token lies, from its pointer; 0: that is not known */
  RunStatus (*resumed)(Act *act, Slot result, double as_float); /* puts it where a resume looks */
} DirectCalls;

/* Results in integer registers, or in xmm0. */
typedef enum DirectKind { DIRECT_INT, DIRECT_FLOAT, DIRECT_KINDS } DirectKind;
enum { DIRECT_NOT_ENTERED = 255 };
DirectKind direct_kind(const CompType *type);

/* DirectCalls.token, if there is a way to enter directly. */
ptrdiff_t direct_token(void);
/* Those of that type go through it. */
bool direct_fits(const CompType *type);
/* C: {result, status} entry(four integers, Stack *, Func *, four doubles). */
void direct_stub(Asm *out, const DirectCalls *calls, DirectKind kind);

#endif
