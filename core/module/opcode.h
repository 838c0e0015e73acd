/* opcode.h - the instruction table as data: made from tables/opcodes.def, once.
 */
#ifndef RILLE_OPCODE_H
#define RILLE_OPCODE_H

#include "../base/base.h"

#define PREFIX_NONE   0
#define PREFIX_GC     0xFB
#define PREFIX_MISC   0xFC
#define PREFIX_SIMD   0xFD
#define PREFIX_ATOMIC 0xFE

typedef enum Op {
#define OP(name, text, prefix, code, imm, sig, how, feature) OP_##name,
#include "../tables/opcodes.def"
  OP_COUNT,
  OP_INVALID = OP_COUNT,
} Op;

typedef enum ImmKind {
#define IMM(name) IMM_##name,
#include "../tables/imm.def"
} ImmKind;

typedef enum Feature {
#define FEATURE(name, key, on) FEATURE_##name,
#include "../tables/feature.def"
  FEATURE_COUNT,
} Feature;

typedef uint32_t FeatureSet; /* bit 1 << FEATURE_x */
#define FEATURE_BIT(feature) ((FeatureSet)1 << (feature))

typedef enum Trap {
#define TRAP(name, text) TRAP_##name,
#include "../tables/trap.def"
  TRAP_COUNT,
} Trap;

typedef enum SectionId {
#define SECTION(name, id, text, order) SECTION_##name = (id),
#include "../tables/section.def"
  SECTION_ID_END = 14,
} SectionId;

enum {                   /* OpInfo.flags: what kind of row it is */
       OPF_PURE = 1,     /* numeric.def: no effect but a trap */
       OPF_SIMD = 2,     /* simd.def */
       OPF_NAN = 4,      /* a NaN result has to be made canonical in deterministic modules */
       OPF_LOAD = 8,     /* reads `width` bytes of memory */
       OPF_STORE = 16,   /* writes them */
       OPF_ATOMIC = 32,  /* does so atomically; alignment must be natural */
       OPF_CONTROL = 64, /* a case by hand */
};

typedef struct OpInfo {
  const char *text;
  const char *sig;
  uint8_t prefix, imm, feature, flags;
  uint16_t code;
  uint8_t width; /* bytes of memory, 0 for none */
} OpInfo;

extern const OpInfo op_info[OP_COUNT];

/* Byte after the prefix (or the only byte) -> Op; OP_INVALID when there is none. */
extern const uint16_t op_of_byte[256];
Op op_of_prefixed(uint8_t prefix, uint32_t code);

/* OP_INVALID when unknown; names of old drafts are. The first row of those that share a mnemonic:
 * SELECT, REF_TEST, REF_CAST. */
Op op_of_text(Str mnemonic);

const char *feature_key(Feature feature);
bool feature_of_key(Str key, Feature *feature);
FeatureSet feature_defaults(void);
const char *trap_text(Trap trap);
const char *section_text(unsigned id);

#endif
