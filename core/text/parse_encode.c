/* parse_encode.c - puts the sections of a parsed module together.
 *
 * The name section follows the data section and its (@custom .. (after data)); custom sections
 * without a place, or with (after last), follow it. So text made from a binary keeps the order of
 * its custom sections.
 */
#include "parse.h"

#include "../module/names.h"

void buf_name(Buf *out, Str name) {
  buf_u32(out, (uint32_t)name.size);
  buf_bytes(out, name.at, name.size);
}

static void put_section(Buf *out, uint8_t id, const Buf *bytes) {
  buf_byte(out, id);
  buf_u32(out, (uint32_t)bytes->size);
  buf_bytes(out, bytes->at, bytes->size);
}

static void put_customs(Parser *parser, Buf *out, uint8_t order, CustomPlace place) {
  for (uint32_t i = 0; i < parser->customs.n; i++) {
    const Custom *custom = &parser->customs.items[i];
    if (custom->order == order && custom->place == place)
      put_section(out, SECTION_CUSTOM, &custom->bytes);
  }
}

/* A vector: its length and its items. */
static void put_vector(Parser *parser, Buf *out, uint8_t id, uint32_t n, const Buf *items) {
  Buf *bytes = &parser->scratch;
  bytes->size = 0;
  buf_u32(bytes, n);
  buf_bytes(bytes, items->at, items->size);
  put_section(out, id, bytes);
}

/* --- the name section --- */

static void put_map(Parser *parser, Buf *out, NameSpace space, NameMap *map) {
  if (map->n > 0) put_vector(parser, out, (uint8_t)space, map->n, &map->bytes);
}

static void put_map2(Parser *parser, Buf *out, NameSpace space, NameMap2 *map) {
  names_close(map);
  if (map->n > 0) put_vector(parser, out, (uint8_t)space, map->n, &map->bytes);
}

static void put_names(Parser *parser, Buf *out) {
  Buf names;
  buf_init(&names, parser->arena);
  buf_name(&names, STR_LITERAL("name"));
  size_t empty = names.size;
  if (parser->module_name.at) {
    parser->scratch.size = 0;
    buf_name(&parser->scratch, parser->module_name);
    put_section(&names, NAMES_MODULE, &parser->scratch);
  }
  put_map(parser, &names, NAMES_FUNCS, &parser->names[SPACE_FUNC]);
  put_map2(parser, &names, NAMES_LOCALS, &parser->local_names);
  put_map2(parser, &names, NAMES_LABELS, &parser->label_names);
  put_map(parser, &names, NAMES_TYPES, &parser->names[SPACE_TYPE]);
  put_map(parser, &names, NAMES_TABLES, &parser->names[SPACE_TABLE]);
  put_map(parser, &names, NAMES_MEMORIES, &parser->names[SPACE_MEMORY]);
  put_map(parser, &names, NAMES_GLOBALS, &parser->names[SPACE_GLOBAL]);
  put_map(parser, &names, NAMES_ELEMS, &parser->names[SPACE_ELEM]);
  put_map(parser, &names, NAMES_DATAS, &parser->names[SPACE_DATA]);
  put_map2(parser, &names, NAMES_FIELDS, &parser->field_names);
  put_map(parser, &names, NAMES_TAGS, &parser->names[SPACE_TAG]);
  if (names.size > empty) put_section(out, SECTION_CUSTOM, &names);
}

/* --- sections --- */

static void put_branch_hints(Parser *parser, Buf *out) {
  if (parser->hint_section.n == 0) return;
  Buf bytes;
  buf_init(&bytes, parser->arena);
  buf_name(&bytes, STR_LITERAL("metadata.code.branch_hint"));
  buf_u32(&bytes, parser->hint_section.n);
  buf_bytes(&bytes, parser->hint_section.bytes.at, parser->hint_section.bytes.size);
  put_section(out, SECTION_CUSTOM, &bytes);
}

static void put_known_section(Parser *parser, Buf *out, SectionId id) {
  const Section *section = &parser->sections[id];
  if (id == SECTION_START) {
    if (!parser->has_start) return;
    put_section(out, SECTION_START, &section->bytes);
    place_mark_section(parser, id, out);
  } else if (id == SECTION_DATA_COUNT) {
    static const Buf nothing = {0};
    if (parser->needs_data_count)
      put_vector(parser, out, SECTION_DATA_COUNT, parser->sections[SECTION_DATA].n, &nothing);
  } else if (section->n > 0) {
    if (id == SECTION_CODE) put_branch_hints(parser, out);
    put_vector(parser, out, (uint8_t)id, section->n, &section->bytes);
    place_mark_section(parser, id, out);
  }
}

void parse_encode(Parser *parser, Buf *out) {
  static const SectionId ids[] = {
#define SECTION(name, id, text, order) [order] = SECTION_##name,
#include "../tables/section.def"
  };
  buf_bytes(out, "\0asm\1\0\0\0", 8);
  put_customs(parser, out, ORDER_FIRST, PLACE_BEFORE);
  put_customs(parser, out, ORDER_FIRST, PLACE_AFTER);
  for (uint8_t order = 1; order < COUNT_OF(ids); order++) {
    put_customs(parser, out, order, PLACE_BEFORE);
    put_known_section(parser, out, ids[order]);
    put_customs(parser, out, order, PLACE_AFTER);
  }
  put_customs(parser, out, ORDER_LAST, PLACE_BEFORE);
  put_names(parser, out);
  put_customs(parser, out, ORDER_LAST, PLACE_AFTER);
}
