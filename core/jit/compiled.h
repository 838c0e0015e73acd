/* compiled.h - the machine code of one function before it has its place.
 */
#ifndef RILLE_JIT_COMPILED_H
#define RILLE_JIT_COMPILED_H

#include "../base/arena.h"
#include "../module/opcode.h"

/* A place of the code that the tables know: a fault or a return address. Sorted by `at`. Behind
 * them are those, with `at` SITE_NOWHERE, that tell what was inlined. */
typedef struct CodeSite {
  uint32_t at;      /* faults: of the instruction; calls: behind it */
  uint32_t place;   /* offset in the module's bytes; or SITE_INLINED and the index of a site with
                       SITE_NOWHERE: there is the offset, and in `handler` the place of the call */
  uint32_t handler; /* calls: where an exception that comes out of them is caught, or 0 */
  uint8_t trap;     /* Trap of a fault, TRAP_NONE for calls */
} CodeSite;

#define SITE_NOWHERE UINT32_MAX
#define SITE_INLINED 0x80000000u

/* What a distance in the code has to name when the code has its place. */
typedef enum LinkKind {
  LINK_SLOT,    /* the function's slot */
  LINK_STUB,    /* STUB_x */
  LINK_HELPER,  /* the slot of a helper's address */
  LINK_ADAPTER, /* the adapter of a type */
  LINK_TYPE,    /* where the address of the canonical type is */
} LinkKind;
typedef struct CodeLink {
  uint32_t at; /* of a 32-bit distance, counted from its end + tail */
  uint32_t index;
  uint8_t kind, tail;
} CodeLink;

typedef struct Compiled {
  const uint8_t *code;
  uint32_t size;        /* padded to 16 bytes */
  uint32_t pool;        /* where instructions end: constants and tables follow; for listings */
  uint32_t frame_bytes; /* between rsp and the return address */
  uint32_t param_bytes; /* behind the return address */
  const CodeSite *sites;
  uint32_t n_sites;
  const CodeLink *links;
  uint32_t n_links;
} Compiled;

/* Code of the module that functions jump to and call. */
typedef enum StubId {
  STUB_POLL,    /* keeps all registers */
  STUB_FUEL,    /* the same */
  STUB_SUBTYPE, /* the same, but for the flags: nonzero when the Func in rax has the type pushed */
  STUB_STACK,   /* the prologue found no room */
  STUB_ENTER,   /* as STUB_POLL, from a prologue: there is no frame yet */
  STUB_THROW,   /* the exception in rsi */
  STUB_TRAP,    /* the site is that of the call */
  STUB_COUNT
} StubId;

#endif
