/* decode.h - what decode.c and decode_sections.c share.
 *
 * The reader's end is the module's end, not the section's: a section that claims too little is
 * found when it was read ("section size mismatch"), as the specification's tests expect.
 */
#ifndef RILLE_DECODE_H
#define RILLE_DECODE_H

#include "../base/map.h"
#include "instr.h"

typedef struct Decoder {
  Module *module;
  Arena *arena;  /* the module's */
  Arena scratch; /* gone after decoding */
  Reader reader;
  VEC(SubType) types;
  VEC(uint8_t) depths; /* of each type: number of supertypes */
  VEC(Import) imports;
  VEC(FuncDef) funcs;
  VEC(TableDef) tables;
  VEC(MemoryType) memories;
  VEC(GlobalDef) globals;
  VEC(uint32_t) tags;
  VEC(CustomSection) customs;
  VEC(SectionRange) sections;
  uint32_t type_ids_room;
  uint32_t n_bodies;
} Decoder;

/* Implementation limits: those that engines in browsers have agreed on. */
enum {
  LIMIT_TYPES = 1000000,
  LIMIT_FUNCS = 1000000,
  LIMIT_IMPORTS = 1000000,
  LIMIT_EXPORTS = 1000000,
  LIMIT_GLOBALS = 1000000,
  LIMIT_TAGS = 1000000,
  LIMIT_TABLES = 100000,
  LIMIT_MEMORIES = 100000,
  LIMIT_DATAS = 100000,
  LIMIT_ELEMS = 10000000,
  LIMIT_PARAMS = 1000,
  LIMIT_RESULTS = 1000,
  LIMIT_FIELDS = 10000,
  LIMIT_SUPERTYPES = 63,
  LIMIT_BODY = 7654321,
};

/* Raises "implementation limit: ..." when n is larger than the limit. */
void decode_limit(const Decoder *decoder, uint64_t n, uint32_t limit, const char *what);

/* Each reads the contents of one section. */
void decode_types(Decoder *decoder);
void decode_imports(Decoder *decoder);
void decode_functions(Decoder *decoder);
void decode_tables(Decoder *decoder);
void decode_memories(Decoder *decoder);
void decode_tags(Decoder *decoder);
void decode_globals(Decoder *decoder);
void decode_exports(Decoder *decoder);
void decode_start(Decoder *decoder);
void decode_elements(Decoder *decoder);
void decode_data_count(Decoder *decoder);
void decode_code(Decoder *decoder);
void decode_datas(Decoder *decoder);

#endif
