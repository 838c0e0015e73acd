/* parse_place.c - where in a text a byte of the module made from it comes from.
 *
 * Validation sees the module's bytes alone. When it finds a fault, the text is parsed once more,
 * and this time what begins a field or an instruction leaves a mark: how far its section had come,
 * and the place in the text. So nobody pays for the marks of a good module.
 */
#include "parse.h"
#include "text.h"

static void mark(Parser *parser, MarkVec *marks, size_t offset, const char *at) {
  VEC_PUSH(parser->arena, marks, ((Mark){(uint32_t)offset, at}));
}

/* Which sections a field adds to is not known yet; where it adds nothing, the next mark wins. */
void place_mark_field(Parser *parser) {
  Places *places = parser->places;
  if (LIKELY(places == NULL)) return;
  for (int id = 0; id < SECTION_ID_END; id++) {
    mark(parser, &places->fields[id], parser->sections[id].bytes.size, parser->token.at);
  }
}

void place_mark_instr(Parser *parser, const char *at) {
  Places *places = parser->places;
  if (UNLIKELY(places != NULL) && parser->out == &parser->body) {
    mark(parser, &places->body, parser->body.size, at);
  }
}

/* The body stands at `start` in the code section. */
void place_move_body(Parser *parser, size_t start) {
  Places *places = parser->places;
  if (LIKELY(places == NULL)) return;
  for (uint32_t i = 0; i < places->body.n; i++) {
    const Mark *item = &places->body.items[i];
    mark(parser, &places->fields[SECTION_CODE], start + item->offset, item->at);
  }
  places->body.n = 0;
}

void place_mark_section(Parser *parser, SectionId id, const Buf *out) {
  if (UNLIKELY(parser->places != NULL)) {
    parser->places->begins[id] = out->size - parser->sections[id].bytes.size;
  }
}

/* The last mark at or before the offset, in the section that has it. */
static const char *find_mark(const Parser *parser, uint64_t offset) {
  const Places *places = parser->places;
  const char *at = NULL;
  for (int id = 0; id < SECTION_ID_END; id++) {
    uint64_t begin = places->begins[id];
    if (begin == 0 || offset < begin || offset > begin + parser->sections[id].bytes.size) continue;
    const MarkVec *marks = &places->fields[id];
    for (uint32_t i = 0; i < marks->n && begin + marks->items[i].offset <= offset; i++) {
      at = marks->items[i].at;
    }
  }
  return at;
}

bool text_find_place(Arena *arena, Str source, FeatureSet features, uint64_t offset, uint32_t *line,
                     uint32_t *column) {
  Guard guard;
  Error ignored;
  if (!GUARD_TRY(&guard, arena, &ignored)) return false;
  Parser *parser = ARENA_NEW(arena, Parser);
  parser_init(parser, arena, source, features);
  parser->lexer.first_line = parser->lexer.first_column = 1;
  parser->places = ARENA_NEW(arena, Places);
  parse_module(parser);
  Buf out;
  buf_init(&out, arena);
  parse_encode(parser, &out);
  guard_leave(&guard);
  const char *at = find_mark(parser, offset);
  if (at != NULL) lexer_place(&parser->lexer, at, line, column);
  return at != NULL;
}
