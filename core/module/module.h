/* module.h - a decoded module: immutable data in one arena. The only data header of the front end.
 *
 * Everything a Module points at lives in its arena or in its own copy of the bytes. Index spaces
 * hold imports first. Types are the module's own indices; `type_ids` translates to canonical ids.
 */
#ifndef RILLE_MODULE_H
#define RILLE_MODULE_H

#include "opcode.h"
#include "types.h"

typedef enum ExternKind {
  EXTERN_FUNC,
  EXTERN_TABLE,
  EXTERN_MEMORY,
  EXTERN_GLOBAL,
  EXTERN_TAG
} ExternKind;

#define NO_INDEX UINT32_MAX
#define NO_MAX   UINT64_MAX

typedef struct Limits {
  uint64_t min, max; /* pages or elements; NO_MAX when there is none */
  bool is_64;        /* addresses are i64 */
} Limits;

typedef struct MemoryType {
  Limits limits;
  bool is_shared;
  uint8_t page_log2; /* 16, or 0 with custom page sizes */
} MemoryType;

typedef struct TableType {
  Limits limits;
  ValType type;
} TableType;

typedef struct GlobalType {
  ValType type;
  bool is_mutable;
} GlobalType;

/* A constant expression: a range of the module's bytes, `end` opcode included. */
typedef struct ConstExpr {
  uint32_t at, end;
} ConstExpr;

typedef struct Import {
  Str module, name;
  ExternKind kind;
  uint32_t index; /* in the index space of its kind */
} Import;

typedef struct Export {
  Str name;
  ExternKind kind;
  uint32_t index;
} Export;

typedef struct FuncDef {
  uint32_t type;     /* type index */
  uint32_t at, end;  /* body in the bytes: local declarations, code, `end`; 0, 0 for an import */
  uint32_t n_locals; /* parameters included; known after validation */
  uint32_t n_local_slots; /* the same in 8-byte slots */
  uint32_t max_stack;     /* operand stack, in 8-byte slots, at its highest */
  bool is_referenced;     /* by ref.func or an element segment or export */
} FuncDef;

typedef struct TableDef {
  TableType type;
  ConstExpr init; /* at == end: null */
} TableDef;

typedef struct GlobalDef {
  GlobalType type;
  ConstExpr init; /* at == end: imported */
} GlobalDef;

typedef enum SegmentMode { SEGMENT_PASSIVE, SEGMENT_ACTIVE, SEGMENT_DECLARED } SegmentMode;

typedef struct ElemDef {
  SegmentMode mode;
  uint32_t table;
  ConstExpr offset;
  ValType type;
  uint32_t n;
  const uint32_t *funcs;  /* function indices, or NULL: then `exprs` */
  const ConstExpr *exprs; /* or NULL */
  uint32_t flags;         /* the encoding's flags, 0 to 7, for the printer */
} ElemDef;

typedef struct DataDef {
  SegmentMode mode;
  uint32_t memory;
  ConstExpr offset;
  uint32_t at, size; /* in the bytes */
  uint32_t flags;
} DataDef;

typedef struct CustomSection {
  Str name;
  uint32_t at, size; /* of its contents, behind the name */
  uint32_t after;    /* id of the section it follows; 0: it stands first */
} CustomSection;

/* Where a section stood: contents without id and size. Kept for the printer and for statistics. */
typedef struct SectionRange {
  uint8_t id;
  uint32_t at, size;
} SectionRange;

typedef struct Names Names; /* names.h: made from the name section on first use */

typedef struct Module Module;
struct Module {
  Arena arena;
  Alloc *alloc;
  _Atomic uint32_t refs;
  const uint8_t *bytes;
  uint32_t size;
  FeatureSet features;
  bool is_deterministic;
  bool has_handlers; /* some function has try_table or a legacy try */
  bool is_validated;
  Str name; /* from the load option, else the name section, else empty */

  uint32_t n_types, n_imports, n_exports, n_funcs, n_tables, n_memories, n_globals, n_tags;
  uint32_t n_elems, n_datas, n_customs, n_sections;
  uint32_t n_imported_funcs, n_imported_tables, n_imported_memories, n_imported_globals;
  uint32_t n_imported_tags;
  const SubType *types;
  uint32_t *type_ids;  /* canonical; the module holds one reference of each group */
  uint32_t n_type_ids; /* registered so far: what has to be released */
  const Import *imports;
  const Export *exports;
  FuncDef *funcs;
  const TableDef *tables;
  const MemoryType *memories;
  const GlobalDef *globals;
  const uint32_t *tags; /* type indices */
  const ElemDef *elems;
  const DataDef *datas;
  const CustomSection *customs;
  const SectionRange *sections;
  uint32_t start;      /* function index or NO_INDEX */
  uint32_t data_count; /* of the data count section, or NO_INDEX */
  uint32_t code_at, code_size;
  uint64_t memory64s, table64s; /* of the first 64: bit set when addresses are i64 */
  void *_Atomic names;          /* Names, made once; see names.h */
  void *_Atomic dwarf;          /* Dwarf, made once; see dwarf.h */
  void *_Atomic engine_data; /* what the active engine keeps per module; freed through EngineOps */
  void *_Atomic data_image;  /* runtime/image.c: its initial data, once it is known to be wanted */
  const void *engine_ops;    /* the EngineOps it was loaded for; set by the loader, once */
  uint8_t hash[32];          /* unused until a cache asks: zero */
};

typedef struct LoadOptions {
  FeatureSet features;
  bool is_deterministic;
  Str name;
} LoadOptions;

/* Decodes and validates `size` bytes, which are copied. NULL and *error on failure. One reference.
 */
Module *module_load(Alloc *alloc, const uint8_t *bytes, size_t size, const LoadOptions *options,
                    Error *error);
/* The halves of module_load, for tests and tools: a decoded module is not yet validated. */
Module *module_decode(Alloc *alloc, const uint8_t *bytes, size_t size, const LoadOptions *options,
                      Error *error);
bool module_validate(Module *module, Error *error);
void module_retain(Module *module);
void module_release(Module *module);

/* An index of a canonical or module function type. */
static inline const CompType *module_func_type(const Module *module, uint32_t func) {
  return &module->types[module->funcs[func].type].comp;
}

#endif
