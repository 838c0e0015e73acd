/* opcode.c - the instruction table as data: the rows, byte to row, mnemonic to row; and the names
 * of features, traps and sections.
 *
 * Everything is constant but the table of mnemonics, which is filled once, by whoever asks first.
 */
#include "opcode.h"
#include "numeric.h"
#include "../base/os.h"

/* What a row does, as initialisers of OpInfo. */
#define PURE(name)                          .flags = OPF_PURE
#define PURE_NAN(name)                      .flags = OPF_PURE | OPF_NAN
#define SIMD(name)                          .flags = OPF_SIMD
#define SIMD_NAN(name)                      .flags = OPF_SIMD | OPF_NAN
#define LOAD(name, type, mem)               .flags = OPF_LOAD, .width = sizeof(mem)
#define STORE(name, type, mem)              .flags = OPF_STORE, .width = sizeof(mem)
#define SIMD_MEM(name, bytes)               .flags = SIMD_MEM_FLAG(OP_##name), .width = (bytes)
#define ATOMIC_LOAD(name, type, mem)        .flags = OPF_ATOMIC | OPF_LOAD, .width = sizeof(mem)
#define ATOMIC_STORE(name, type, mem)       .flags = OPF_ATOMIC | OPF_STORE, .width = sizeof(mem)
#define ATOMIC_RMW(name, type, mem, action) ATOMIC_CMPXCHG(name, type, mem)
#define ATOMIC_CMPXCHG(name, type, mem) \
  .flags = OPF_ATOMIC | OPF_LOAD | OPF_STORE, .width = sizeof(mem)
#define ATOMIC_WAIT(name, bytes) .flags = OPF_ATOMIC | OPF_CONTROL, .width = (bytes)
#define CTL(name)                .flags = OPF_CONTROL

/* Of the SIMD_MEM rows only the lane stores write. */
#define SIMD_MEM_FLAG(op) \
  ((op) >= OP_V128_STORE8_LANE && (op) <= OP_V128_STORE64_LANE ? OPF_STORE : OPF_LOAD)

const OpInfo op_info[OP_COUNT] = {
#define OP(name_, text_, prefix_, code_, imm_, sig_, how, feature_) \
  [OP_##name_] = {.text = text_,                                    \
                  .sig = sig_,                                      \
                  .prefix = prefix_,                                \
                  .imm = IMM_##imm_,                                \
                  .feature = FEATURE_##feature_,                    \
                  .code = code_,                                    \
                  how},
#include "../tables/opcodes.def"
};

/* Code to row, a table for each prefix. Rows of other prefixes go to the last slot, which is no
 * code, and overwrite each other there; that and the default are what the warning is about. */
enum {
  BYTE_SLOTS = 256, /* 0xFF is no instruction */
  GC_SLOTS = 0x20,
  MISC_SLOTS = 0x18,
  SIMD_SLOTS = 0x115,
  ATOMIC_SLOTS = 0x50,
};
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#endif
#define SLOT(prefix, wanted, code, slots) [(prefix) == (wanted) ? (code) : (slots)-1]
#define ENTRY(prefix, wanted, name)       ((prefix) == (wanted) ? OP_##name : OP_INVALID)

const uint16_t op_of_byte[BYTE_SLOTS] = {
    [0 ... BYTE_SLOTS - 1] = OP_INVALID,
#define OP(name, text, prefix, code, imm, sig, how, feature) \
  SLOT(prefix, PREFIX_NONE, code, BYTE_SLOTS) = ENTRY(prefix, PREFIX_NONE, name),
#include "../tables/opcodes.def"
};
static const uint16_t gc_ops[GC_SLOTS] = {
    [0 ... GC_SLOTS - 1] = OP_INVALID,
#define OP(name, text, prefix, code, imm, sig, how, feature) \
  SLOT(prefix, PREFIX_GC, code, GC_SLOTS) = ENTRY(prefix, PREFIX_GC, name),
#include "../tables/opcodes.def"
};
static const uint16_t misc_ops[MISC_SLOTS] = {
    [0 ... MISC_SLOTS - 1] = OP_INVALID,
#define OP(name, text, prefix, code, imm, sig, how, feature) \
  SLOT(prefix, PREFIX_MISC, code, MISC_SLOTS) = ENTRY(prefix, PREFIX_MISC, name),
#include "../tables/opcodes.def"
};
static const uint16_t simd_ops[SIMD_SLOTS] = {
    [0 ... SIMD_SLOTS - 1] = OP_INVALID,
#define OP(name, text, prefix, code, imm, sig, how, feature) \
  SLOT(prefix, PREFIX_SIMD, code, SIMD_SLOTS) = ENTRY(prefix, PREFIX_SIMD, name),
#include "../tables/opcodes.def"
};
static const uint16_t atomic_ops[ATOMIC_SLOTS] = {
    [0 ... ATOMIC_SLOTS - 1] = OP_INVALID,
#define OP(name, text, prefix, code, imm, sig, how, feature) \
  SLOT(prefix, PREFIX_ATOMIC, code, ATOMIC_SLOTS) = ENTRY(prefix, PREFIX_ATOMIC, name),
#include "../tables/opcodes.def"
};
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

Op op_of_prefixed(uint8_t prefix, uint32_t code) {
  switch (prefix) {
    case PREFIX_NONE: return code < BYTE_SLOTS ? op_of_byte[code] : OP_INVALID;
    case PREFIX_GC: return code < GC_SLOTS ? gc_ops[code] : OP_INVALID;
    case PREFIX_MISC: return code < MISC_SLOTS ? misc_ops[code] : OP_INVALID;
    case PREFIX_SIMD: return code < SIMD_SLOTS ? simd_ops[code] : OP_INVALID;
    case PREFIX_ATOMIC: return code < ATOMIC_SLOTS ? atomic_ops[code] : OP_INVALID;
    default: return OP_INVALID;
  }
}

/* Mnemonics: an open hash table, more than half empty, of rows plus one. */
enum { TEXT_SLOTS = 2048 };
static uint16_t text_ops[TEXT_SLOTS];
static _Atomic int text_ops_state;
_Static_assert(OP_COUNT * 2 < TEXT_SLOTS, "the table of mnemonics is too full");

/* The slot that holds a mnemonic, or the empty one where it belongs. */
static unsigned text_slot(Str mnemonic) {
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < mnemonic.size; i++) hash = (hash ^ (uint8_t)mnemonic.at[i]) * 16777619u;
  unsigned slot = (hash ^ hash >> 16) % TEXT_SLOTS;
  while (text_ops[slot] && !str_equal(str_of(op_info[text_ops[slot] - 1].text), mnemonic))
    slot = (slot + 1) % TEXT_SLOTS;
  return slot;
}

/* Rows that share a mnemonic are found by their first: `select`, `ref.test`, `ref.cast`. */
static void fill_text_ops(void) {
  for (unsigned op = 0; op < OP_COUNT; op++) {
    unsigned slot = text_slot(str_of(op_info[op].text));
    if (!text_ops[slot]) text_ops[slot] = (uint16_t)(op + 1);
  }
}

Op op_of_text(Str mnemonic) {
  os_call_once(&text_ops_state, fill_text_ops);
  unsigned entry = text_ops[text_slot(mnemonic)];
  return entry ? (Op)(entry - 1) : OP_INVALID;
}

static const struct {
  const char *key;
  bool is_default;
} features[FEATURE_COUNT] = {
#define FEATURE(name, key, on) [FEATURE_##name] = {key, on},
#include "../tables/feature.def"
};
_Static_assert(FEATURE_COUNT <= sizeof(FeatureSet) * 8, "a FeatureSet has too few bits");

const char *feature_key(Feature feature) {
  return features[feature].key;
}

bool feature_of_key(Str key, Feature *feature) {
  for (unsigned i = 0; i < FEATURE_COUNT; i++) {
    if (str_equal(str_of(features[i].key), key)) {
      *feature = (Feature)i;
      return true;
    }
  }
  return false;
}

FeatureSet feature_defaults(void) {
  FeatureSet set = 0;
  for (unsigned i = 0; i < FEATURE_COUNT; i++) {
    if (features[i].is_default) set |= FEATURE_BIT(i);
  }
  return set;
}

const char *trap_text(Trap trap) {
  static const char *const texts[TRAP_COUNT] = {
#define TRAP(name, text) [TRAP_##name] = text,
#include "../tables/trap.def"
  };
  return texts[trap];
}

const char *section_text(unsigned id) {
  static const char *const texts[SECTION_ID_END] = {
#define SECTION(name, id, text, order) [id] = text,
#include "../tables/section.def"
  };
  return id < SECTION_ID_END ? texts[id] : "unknown";
}
