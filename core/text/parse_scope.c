/* parse_scope.c - what identifiers stand for, and the names that go to the name section.
 *
 * Every distinct name is interned once as a Symbol, which holds its index in each index space, the
 * innermost label and the local it names. So each use of an identifier costs one hash lookup, also
 * under deep nesting and shadowing.
 */
#include "parse.h"

static const char *const space_names[SPACE_COUNT] = {"type",   "func", "table", "memory",
                                                     "global", "tag",  "elem",  "data"};
static const char *const unknown_names[SPACE_COUNT] = {
    "type", "function", "table", "memory", "global", "tag", "elem segment", "data segment"};

void parse_scope_init(Parser *parser) {
  strmap_init(&parser->symbol_map, parser->arena);
  u64map_init(&parser->fields, parser->arena);
  for (unsigned i = 0; i < SPACE_COUNT; i++) buf_init(&parser->names[i].bytes, parser->arena);
  NameMap2 *const maps[] = {&parser->local_names, &parser->label_names, &parser->field_names};
  for (size_t i = 0; i < COUNT_OF(maps); i++) {
    buf_init(&maps[i]->bytes, parser->arena);
    buf_init(&maps[i]->inner.bytes, parser->arena);
  }
}

uint32_t parse_symbol(Parser *parser, Str name) {
  uint32_t index = parser->symbols.n;
  if (!strmap_add(&parser->symbol_map, name, &index)) return index;
  Symbol symbol = {.name = name, .label = NO_INDEX};
  for (unsigned i = 0; i < SPACE_COUNT; i++) symbol.index[i] = NO_INDEX;
  VEC_PUSH(parser->arena, &parser->symbols, symbol);
  return index;
}

uint32_t parse_optional_id(Parser *parser, const char *what, Str *name) {
  uint32_t symbol = NO_SYMBOL;
  *name = (Str){0};
  if (parser->token.kind == TOKEN_ID) {
    *name = parser->token.text;
    parser->id_at = parser->token.at;
    symbol = parse_symbol(parser, *name);
    parse_advance(parser);
  }
  Str annotated = parse_take_name(parser, what);
  if (annotated.at) *name = annotated;
  return symbol;
}

void parse_bind(Parser *parser, Space space, uint32_t symbol) {
  uint32_t index = parser->n[space]++;
  if (symbol == NO_SYMBOL) return;
  uint32_t *bound = &parser->symbols.items[symbol].index[space];
  Str name = parser->symbols.items[symbol].name;
  if (*bound != NO_INDEX)
    parse_fail_at(parser, parser->id_at, "duplicate %s $%.*s", space_names[space],
                  (int)MIN(name.size, 100), name.at);
  *bound = index;
}

uint32_t parse_define(Parser *parser, Space space, Str name) {
  uint32_t index = parser->n[space]++;
  if (name.at) names_add(&parser->names[space], index, name);
  return index;
}

bool parse_at_index(const Parser *parser) {
  return parser->token.kind == TOKEN_ID || parse_at_number(parser);
}

static uint32_t plain_index(Parser *parser) {
  return (uint32_t)parse_number(parser, 32);
}

/* The symbol at the current identifier; NULL when the name occurs nowhere else so far. */
static const Symbol *symbol_at_id(Parser *parser) {
  uint32_t index;
  bool is_known = strmap_get(&parser->symbol_map, parser->token.text, &index);
  return is_known ? &parser->symbols.items[index] : NULL;
}

static _Noreturn void fail_unknown(Parser *parser, const char *what) {
  Str name = parser->token.text;
  parse_fail(parser, "unknown %s $%.*s", what, (int)MIN(name.size, 100), name.at);
}

uint32_t parse_index(Parser *parser, Space space) {
  if (parser->token.kind != TOKEN_ID) return plain_index(parser);
  const Symbol *symbol = symbol_at_id(parser);
  if (!symbol || symbol->index[space] == NO_INDEX) fail_unknown(parser, unknown_names[space]);
  uint32_t index = symbol->index[space];
  parse_advance(parser);
  return index;
}

uint32_t parse_local(Parser *parser) {
  if (parser->token.kind != TOKEN_ID) return plain_index(parser);
  const Symbol *symbol = symbol_at_id(parser);
  if (!symbol || symbol->local_of != parser->scope) fail_unknown(parser, "local");
  uint32_t index = symbol->local;
  parse_advance(parser);
  return index;
}

uint32_t parse_label(Parser *parser) {
  if (parser->token.kind != TOKEN_ID) return plain_index(parser);
  const Symbol *symbol = symbol_at_id(parser);
  if (!symbol || symbol->label == NO_INDEX) fail_unknown(parser, "label");
  uint32_t depth = parser->labels.n - 1 - symbol->label;
  parse_advance(parser);
  return depth;
}

uint32_t parse_field_index(Parser *parser, uint32_t type) {
  if (parser->token.kind != TOKEN_ID) return plain_index(parser);
  uint32_t symbol;
  uint64_t index;
  if (!strmap_get(&parser->symbol_map, parser->token.text, &symbol) ||
      !u64map_get(&parser->fields, (uint64_t)type << 32 | symbol, &index))
    fail_unknown(parser, "field");
  parse_advance(parser);
  return (uint32_t)index;
}

void parse_bind_local(Parser *parser, uint32_t symbol, Str name, uint32_t index) {
  if (name.at && parser->func != NO_INDEX)
    names_add_inner(&parser->local_names, parser->func, index, name);
  if (symbol == NO_SYMBOL) return;
  Symbol *bound = &parser->symbols.items[symbol];
  if (bound->local_of == parser->scope)
    parse_fail_at(parser, parser->id_at, "duplicate local $%.*s", (int)MIN(bound->name.size, 100),
                  bound->name.at);
  bound->local_of = parser->scope;
  bound->local = index;
}

void parse_push_label(Parser *parser, uint32_t symbol, Str name) {
  Label label = {symbol, NO_INDEX};
  uint32_t index = parser->n_label_names++;
  if (name.at && parser->func != NO_INDEX)
    names_add_inner(&parser->label_names, parser->func, index, name);
  if (symbol != NO_SYMBOL) {
    label.shadowed = parser->symbols.items[symbol].label;
    parser->symbols.items[symbol].label = parser->labels.n;
  }
  VEC_PUSH(parser->arena, &parser->labels, label);
}

void parse_pop_label(Parser *parser) {
  Label label = parser->labels.items[--parser->labels.n];
  if (label.symbol != NO_SYMBOL) parser->symbols.items[label.symbol].label = label.shadowed;
}

void parse_begin_scope(Parser *parser, uint32_t func) {
  parser->scope++;
  parser->func = func;
  parser->n_locals = 0;
  parser->n_label_names = 0;
}

/* --- name maps --- */

void names_add(NameMap *map, uint32_t index, Str name) {
  map->n++;
  buf_u32(&map->bytes, index);
  buf_name(&map->bytes, name);
}

void names_close(NameMap2 *map) {
  if (map->inner.n == 0) return;
  map->n++;
  buf_u32(&map->bytes, map->outer);
  buf_u32(&map->bytes, map->inner.n);
  buf_bytes(&map->bytes, map->inner.bytes.at, map->inner.bytes.size);
  map->inner.n = 0;
  map->inner.bytes.size = 0;
}

void names_add_inner(NameMap2 *map, uint32_t outer, uint32_t index, Str name) {
  if (map->inner.n > 0 && map->outer != outer) names_close(map);
  map->outer = outer;
  names_add(&map->inner, index, name);
}
