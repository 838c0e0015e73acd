/* parse_type.c - types, type definitions and type uses. Spec: 3.0, "Text Format", "Types".
 *
 * A type use that is only written inline stands for the smallest index of an equal function type
 * that is a recursion group of its own and has no subtypes or supertypes; `type_map` finds it. When
 * there is none, a definition is added behind the others.
 */
#include "parse.h"

#define FORM_REC       0x4E
#define FORM_SUB_FINAL 0x4F
#define FORM_SUB       0x50
#define FORM_CONT      0x5D
#define FORM_ARRAY     0x5E
#define FORM_STRUCT    0x5F
#define FORM_FUNC      0x60
#define FORM_REF       0x64
#define FORM_REF_NULL  0x63
#define FORM_EMPTY     0x40

/* One row a heap type: its word, the word of the nullable reference to it, its byte. */
static const struct {
  const char *word, *ref_word;
  uint32_t heap;
  uint8_t byte;
} heap_words[] = {
    {"func", "funcref", HEAP_FUNC, 0x70},
    {"extern", "externref", HEAP_EXTERN, 0x6F},
    {"any", "anyref", HEAP_ANY, 0x6E},
    {"eq", "eqref", HEAP_EQ, 0x6D},
    {"i31", "i31ref", HEAP_I31, 0x6C},
    {"struct", "structref", HEAP_STRUCT, 0x6B},
    {"array", "arrayref", HEAP_ARRAY, 0x6A},
    {"exn", "exnref", HEAP_EXN, 0x69},
    {"cont", "contref", HEAP_CONT, 0x68},
    {"none", "nullref", HEAP_NONE, 0x71},
    {"nofunc", "nullfuncref", HEAP_NOFUNC, 0x73},
    {"noextern", "nullexternref", HEAP_NOEXTERN, 0x72},
    {"noexn", "nullexnref", HEAP_NOEXN, 0x74},
    {"nocont", "nullcontref", HEAP_NOCONT, 0x75},
};

static const struct {
  const char *word;
  ValType type;
  uint8_t byte;
} number_words[] = {
    {"i32", TYPE_I32, 0x7F}, {"i64", TYPE_I64, 0x7E},   {"f32", TYPE_F32, 0x7D},
    {"f64", TYPE_F64, 0x7C}, {"v128", TYPE_V128, 0x7B}, {"i8", TYPE_I8, 0x78},
    {"i16", TYPE_I16, 0x77},
};

void parse_put_heap(Buf *out, uint32_t heap) {
  if (heap_is_index(heap)) return buf_s64(out, heap);
  for (size_t i = 0; i < COUNT_OF(heap_words); i++)
    if (heap_words[i].heap == heap) return buf_byte(out, heap_words[i].byte);
}

void parse_put_type(Buf *out, ValType type) {
  if (type_is_ref(type)) {
    bool is_short = type_is_nullable(type) && !type_is_indexed(type);
    if (!is_short) buf_byte(out, type_is_nullable(type) ? FORM_REF_NULL : FORM_REF);
    return parse_put_heap(out, type_heap(type));
  }
  for (size_t i = 0; i < COUNT_OF(number_words); i++)
    if (number_words[i].type == type) return buf_byte(out, number_words[i].byte);
}

uint32_t parse_heap_type(Parser *parser) {
  for (size_t i = 0; i < COUNT_OF(heap_words); i++)
    if (parse_take_word(parser, heap_words[i].word)) return heap_words[i].heap;
  const char *at = parser->token.at;
  uint32_t index = parse_index(parser, SPACE_TYPE);
  if (!heap_is_index(index)) parse_fail_at(parser, at, "unknown type %u", index);
  return index;
}

bool parse_heap_word(Str word, uint32_t *heap) {
  for (size_t i = 0; i < COUNT_OF(heap_words); i++)
    if (str_equal(word, str_of(heap_words[i].word))) {
      *heap = heap_words[i].heap;
      return true;
    }
  return false;
}

static bool take_short_ref(Parser *parser, ValType *type) {
  if (parser->token.kind != TOKEN_WORD) return false;
  for (size_t i = 0; i < COUNT_OF(heap_words); i++)
    if (parse_take_word(parser, heap_words[i].ref_word)) {
      *type = REF_TYPE(heap_words[i].heap, true);
      return true;
    }
  return false;
}

bool parse_at_ref_type(Parser *parser) {
  if (parser->token.kind == TOKEN_OPEN) return parse_is_group(parser, "ref");
  for (size_t i = 0; i < COUNT_OF(heap_words); i++)
    if (parse_is_word(parser, heap_words[i].ref_word)) return true;
  return false;
}

ValType parse_ref_type(Parser *parser) {
  ValType type;
  if (take_short_ref(parser, &type)) return type;
  parse_open(parser);
  if (!parse_take_word(parser, "ref")) parse_unexpected(parser);
  bool is_nullable = parse_take_word(parser, "null");
  uint32_t heap = parse_heap_type(parser);
  parse_close(parser);
  return REF_TYPE(heap, is_nullable);
}

/* The first n of number_words: with or without the packed ones. */
static ValType number_or_ref(Parser *parser, size_t n) {
  if (parser->token.kind == TOKEN_WORD)
    for (size_t i = 0; i < n; i++)
      if (parse_take_word(parser, number_words[i].word)) return number_words[i].type;
  return parse_ref_type(parser);
}

ValType parse_val_type(Parser *parser) {
  return number_or_ref(parser, COUNT_OF(number_words) - 2);
}

static ValType storage_type(Parser *parser) {
  return number_or_ref(parser, COUNT_OF(number_words));
}

/* --- function types --- */

/* (param $x t) or (param t ..), each bound as a local when asked to. */
static void parse_params(Parser *parser, bool allows_ids, bool binds) {
  while (parse_take_group(parser, "param")) {
    Str name = {0};
    uint32_t symbol = NO_SYMBOL;
    if (allows_ids) symbol = parse_optional_id(parser, "local", &name);
    bool is_single = name.at != NULL;
    uint32_t index = parser->signature.types.n;
    if (is_single && binds) parse_bind_local(parser, symbol, name, index);
    while (is_single || parser->token.kind != TOKEN_CLOSE) {
      VEC_PUSH(parser->arena, &parser->signature.types, parse_val_type(parser));
      if (is_single) break;
    }
    parse_close(parser);
  }
  parser->signature.n_params = parser->signature.types.n;
}

void parse_results(Parser *parser) {
  while (parse_take_group(parser, "result")) {
    while (parser->token.kind != TOKEN_CLOSE)
      VEC_PUSH(parser->arena, &parser->signature.types, parse_val_type(parser));
    parse_close(parser);
  }
}

static void parse_signature(Parser *parser, bool allows_ids, bool binds) {
  parser->signature.types.n = 0;
  parse_params(parser, allows_ids, binds);
  parse_results(parser);
  if (parse_is_group(parser, "param")) parse_unexpected(parser);
}

static void put_signature(Buf *out, const Signature *signature) {
  uint32_t n = signature->types.n, n_params = signature->n_params;
  buf_byte(out, FORM_FUNC);
  buf_u32(out, n_params);
  for (uint32_t i = 0; i < n_params; i++) parse_put_type(out, signature->types.items[i]);
  buf_u32(out, n - n_params);
  for (uint32_t i = n_params; i < n; i++) parse_put_type(out, signature->types.items[i]);
}

/* The signature as the last definition; equal inline uses will find it when it is a plain one. */
static void add_func_def(Parser *parser, bool is_plain) {
  const Signature *signature = &parser->signature;
  uint32_t n = signature->types.n, index = parser->types.n;
  TypeDef def = {
      .is_func = true, .n_params = signature->n_params, .n_results = n - signature->n_params};
  if (n > 0) def.types = arena_copy(parser->arena, signature->types.items, n * sizeof(ValType));
  VEC_PUSH(parser->arena, &parser->types, def);
  if (!is_plain) return;
  Buf key;
  buf_init(&key, parser->arena);
  put_signature(&key, signature);
  strmap_add(&parser->type_map, (Str){(const char *)key.at, key.size}, &index);
}

/* The index of the signature, defined now when it has to be. */
static uint32_t inline_type(Parser *parser) {
  Buf *key = &parser->scratch;
  key->size = 0;
  put_signature(key, &parser->signature);
  uint32_t index;
  if (strmap_get(&parser->type_map, (Str){(const char *)key->at, key->size}, &index)) return index;
  Section *section = &parser->sections[SECTION_TYPE];
  section->n++;
  put_signature(&section->bytes, &parser->signature);
  add_func_def(parser, true);
  return parser->types.n - 1;
}

/* Does the inline part of a type use repeat the type that it names? */
static void check_inline_type(Parser *parser, uint32_t index, const char *at) {
  const Signature *signature = &parser->signature;
  uint32_t n = signature->types.n;
  if (n == 0) return;
  if (index >= parser->types.n) parse_fail_at(parser, at, "unknown type %u", index);
  const TypeDef *def = &parser->types.items[index];
  if (!def->is_func || def->n_params != signature->n_params ||
      def->n_results != n - signature->n_params ||
      memcmp(def->types, signature->types.items, n * sizeof(ValType)) != 0)
    parse_fail_at(parser, at, "inline function type");
}

static uint32_t n_params_of(const Parser *parser, uint32_t type) {
  return type < parser->types.n ? parser->types.items[type].n_params : 0;
}

/* True when there was a (type x). */
static bool take_type_index(Parser *parser, uint32_t *index) {
  if (!parse_take_group(parser, "type")) return false;
  *index = parse_index(parser, SPACE_TYPE);
  parse_close(parser);
  return true;
}

uint32_t parse_type_use(Parser *parser, bool binds) {
  const char *at = parser->token.at;
  uint32_t index;
  bool has_index = take_type_index(parser, &index);
  parse_signature(parser, binds, binds);
  if (has_index)
    check_inline_type(parser, index, at);
  else
    index = inline_type(parser);
  if (binds) parser->n_locals = n_params_of(parser, index);
  return index;
}

void parse_block_type(Parser *parser, Buf *out) {
  const char *at = parser->token.at;
  uint32_t index;
  bool has_index = take_type_index(parser, &index);
  parse_signature(parser, false, false);
  const Signature *signature = &parser->signature;
  if (has_index) {
    check_inline_type(parser, index, at);
    buf_s64(out, index);
  } else if (signature->types.n == 0) {
    buf_byte(out, FORM_EMPTY);
  } else if (signature->types.n == 1 && signature->n_params == 0) {
    parse_put_type(out, signature->types.items[0]);
  } else {
    buf_s64(out, inline_type(parser));
  }
}

/* --- definitions --- */

static void put_field_type(Parser *parser, Buf *out) {
  bool is_mutable = parse_take_group(parser, "mut");
  parse_put_type(out, storage_type(parser));
  buf_byte(out, is_mutable);
  if (is_mutable) parse_close(parser);
}

static void bind_struct_field(Parser *parser, uint32_t symbol, Str name, uint32_t index) {
  uint32_t type = parser->types.n;
  if (name.at) names_add_inner(&parser->field_names, type, index, name);
  if (symbol == NO_SYMBOL) return;
  uint64_t key = (uint64_t)type << 32 | symbol, old;
  if (u64map_get(&parser->fields, key, &old))
    parse_fail_at(parser, parser->id_at, "duplicate field $%.*s", (int)MIN(name.size, 100),
                  name.at);
  u64map_set(&parser->fields, key, index);
}

static void parse_struct(Parser *parser, Buf *out) {
  Buf *fields = &parser->scratch;
  uint32_t n = 0;
  fields->size = 0;
  while (parse_take_group(parser, "field")) {
    Str name;
    uint32_t symbol = parse_optional_id(parser, "field", &name);
    if (name.at) {
      bind_struct_field(parser, symbol, name, n++);
      put_field_type(parser, fields);
    }
    for (; !name.at && parser->token.kind != TOKEN_CLOSE; n++) put_field_type(parser, fields);
    parse_close(parser);
  }
  buf_byte(out, FORM_STRUCT);
  buf_u32(out, n);
  buf_bytes(out, fields->at, fields->size);
}

/* At "(func", "(struct", "(array" or "(cont". */
static void parse_comp_type(Parser *parser, Buf *out, bool is_plain) {
  parse_open(parser);
  if (parse_take_word(parser, "func")) {
    parse_signature(parser, true, false);
    put_signature(out, &parser->signature);
    add_func_def(parser, is_plain);
  } else {
    if (parse_take_word(parser, "struct")) {
      parse_struct(parser, out);
    } else if (parse_take_word(parser, "array")) {
      buf_byte(out, FORM_ARRAY);
      put_field_type(parser, out);
    } else if (parse_take_word(parser, "cont")) {
      buf_byte(out, FORM_CONT);
      buf_s64(out, parse_index(parser, SPACE_TYPE));
    } else {
      parse_unexpected(parser);
    }
    VEC_PUSH(parser->arena, &parser->types, (TypeDef){0});
  }
  parse_close(parser);
}

static void parse_supertypes(Parser *parser, Buf *out) {
  Buf *indices = &parser->scratch;
  uint32_t n = 0;
  indices->size = 0;
  for (; parse_at_index(parser); n++) buf_u32(indices, parse_index(parser, SPACE_TYPE));
  buf_u32(out, n);
  buf_bytes(out, indices->at, indices->size);
}

/* Behind "(type". */
static void parse_type_def(Parser *parser, Buf *out, bool is_alone) {
  Str name;
  parse_optional_id(parser, "type", &name);
  parse_define(parser, SPACE_TYPE, name);
  if (parse_take_group(parser, "sub")) {
    bool is_final = parse_take_word(parser, "final");
    buf_byte(out, is_final ? FORM_SUB_FINAL : FORM_SUB);
    size_t supers_at = out->size;
    parse_supertypes(parser, out);
    bool has_supers = out->at[supers_at] != 0;
    parse_comp_type(parser, out, is_alone && is_final && !has_supers);
    parse_close(parser);
  } else {
    parse_comp_type(parser, out, is_alone);
  }
  parse_close(parser);
}

/* A group of one that is written with `rec` is no different from a plain definition. */
static void add_single_rec(Parser *parser, const Buf *types) {
  static const uint8_t final[] = {FORM_SUB_FINAL, 0};
  uint32_t index = parser->types.n - 1;
  Str key = {(const char *)types->at, types->size};
  if (key.size > sizeof final && memcmp(key.at, final, sizeof final) == 0) {
    key.at += sizeof final;
    key.size -= sizeof final;
  }
  if (parser->types.items[index].is_func && (uint8_t)key.at[0] == FORM_FUNC)
    strmap_add(&parser->type_map, key, &index);
}

static void parse_rec(Parser *parser, Section *section) {
  Buf types;
  uint32_t n = 0;
  buf_init(&types, parser->arena);
  for (; parse_take_group(parser, "type"); n++) parse_type_def(parser, &types, false);
  parse_close(parser);
  buf_byte(&section->bytes, FORM_REC);
  buf_u32(&section->bytes, n);
  buf_bytes(&section->bytes, types.at, types.size);
  if (n == 1) add_single_rec(parser, &types);
}

void parse_type_field(Parser *parser) {
  Section *section = &parser->sections[SECTION_TYPE];
  section->n++;
  if (parse_take_word(parser, "rec")) {
    parse_rec(parser, section);
  } else {
    parse_advance(parser);
    parse_type_def(parser, &section->bytes, true);
  }
}
