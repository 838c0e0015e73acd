/* parse_imm.c - immediates of instructions, one case for each row of imm.def.
 *
 * The binary order of immediates is not always that of the text: memory.init, table.init and
 * call_indirect swap theirs.
 */
#include "parse.h"

#include "../base/number.h"

void parse_put_op(Buf *out, Op op) {
  const OpInfo *info = &op_info[op];
  if (info->prefix == PREFIX_NONE) return buf_byte(out, (uint8_t)info->code);
  buf_byte(out, info->prefix);
  buf_u32(out, info->code);
}

/* --- numbers --- */

static void check_number(Parser *parser, NumberStatus status, const char *what) {
  if (status == NUMBER_OK) return;
  if (status == NUMBER_OUT_OF_RANGE) parse_fail(parser, "%sconstant out of range", what);
  parse_unexpected(parser);
}

static Str number_token(Parser *parser) {
  if (parser->token.kind != TOKEN_WORD) parse_unexpected(parser);
  return parser->token.text;
}

static void parse_i32(Parser *parser, Buf *out) {
  uint64_t x = 0;
  check_number(parser, parse_int(number_token(parser), 32, &x), "");
  buf_s32(out, (int32_t)(uint32_t)x);
  parse_advance(parser);
}

static void parse_i64(Parser *parser, Buf *out) {
  uint64_t x = 0;
  check_number(parser, parse_int(number_token(parser), 64, &x), "");
  buf_s64(out, (int64_t)x);
  parse_advance(parser);
}

static uint32_t take_f32(Parser *parser) {
  uint32_t bits = 0;
  check_number(parser, parse_f32(number_token(parser), &bits), "");
  parse_advance(parser);
  return bits;
}

static uint64_t take_f64(Parser *parser) {
  uint64_t bits = 0;
  check_number(parser, parse_f64(number_token(parser), &bits), "");
  parse_advance(parser);
  return bits;
}

bool parse_lane_shape(Parser *parser, LaneShape *shape) {
  static const struct {
    const char *word;
    LaneShape shape;
  } shapes[] = {{"i8x16", {16, 8, false}}, {"i16x8", {8, 16, false}}, {"i32x4", {4, 32, false}},
                {"i64x2", {2, 64, false}}, {"f32x4", {4, 32, true}},  {"f64x2", {2, 64, true}}};
  for (size_t i = 0; i < COUNT_OF(shapes); i++)
    if (parse_take_word(parser, shapes[i].word)) {
      *shape = shapes[i].shape;
      return true;
    }
  return false;
}

void parse_lane(Parser *parser, LaneShape shape, uint8_t *out) {
  uint64_t x = 0;
  if (!shape.is_float) {
    check_number(parser, parse_int(number_token(parser), shape.bits, &x), "");
    parse_advance(parser);
  } else if (shape.bits == 32) {
    x = take_f32(parser);
  } else {
    x = take_f64(parser);
  }
  memcpy(out, &x, shape.bits / 8);
}

static bool is_number(const Token *token) {
  uint64_t bits;
  return token->kind == TOKEN_WORD && parse_f64(token->text, &bits) != NUMBER_MALFORMED;
}

/* How many numbers follow: their count is checked before their values are. */
static unsigned count_numbers(Parser *parser, unsigned limit) {
  Lexer lexer = parser->lexer;
  Token token = parser->token;
  unsigned n = 0;
  if (parser->has_next) lexer.at = parser->next.at;
  for (; n < limit && is_number(&token); n++) lexer_next(&lexer, &token);
  if (n < limit && token.kind == TOKEN_WORD && op_of_text(token.text) == OP_INVALID) n = limit;
  return n;
}

void parse_v128(Parser *parser, uint8_t out[16]) {
  LaneShape shape;
  if (!parse_lane_shape(parser, &shape)) parse_unexpected(parser);
  if (count_numbers(parser, shape.n) < shape.n) parse_fail(parser, "wrong number of lane literals");
  for (unsigned i = 0; i < shape.n; i++) parse_lane(parser, shape, out + i * (shape.bits / 8));
  if (is_number(&parser->token)) parse_fail(parser, "wrong number of lane literals");
}

static void parse_shuffle(Parser *parser, Buf *out) {
  if (count_numbers(parser, 16) < 16 || count_numbers(parser, 17) > 16)
    parse_fail(parser, "invalid lane length");
  for (unsigned i = 0; i < 16; i++) {
    uint64_t lane;
    if (parse_unsigned(number_token(parser), 8, &lane) != NUMBER_OK)
      parse_fail(parser, "i8 constant out of range");
    buf_byte(out, (uint8_t)lane);
    parse_advance(parser);
  }
}

static void parse_lane_index(Parser *parser, Buf *out) {
  buf_byte(out, (uint8_t)parse_number(parser, 8));
}

/* --- memory arguments --- */

/* key=number; false when the current word is something else. */
static bool take_setting(Parser *parser, const char *key, uint64_t *value) {
  Str word = parser->token.text;
  size_t n = strlen(key);
  if (parser->token.kind != TOKEN_WORD || word.size <= n || memcmp(word.at, key, n) != 0)
    return false;
  check_number(parser, parse_unsigned((Str){word.at + n, word.size - n}, 64, value), "i64 ");
  parse_advance(parser);
  return true;
}

static unsigned log2_of(uint64_t power) {
  unsigned n = 0;
  while (power >>= 1) n++;
  return n;
}

static void parse_memarg_rest(Parser *parser, Op op, uint32_t memory, Buf *out) {
  uint64_t offset = 0, align = op_info[op].width;
  take_setting(parser, "offset=", &offset);
  const char *at = parser->token.at;
  take_setting(parser, "align=", &align);
  if (align == 0 || (align & (align - 1)) != 0)
    parse_fail_at(parser, at, "alignment must be a power of two");
  buf_u32(out, log2_of(align) | (memory != 0 ? 0x40 : 0));
  if (memory != 0) buf_u32(out, memory);
  buf_u64(out, offset);
}

static void parse_memarg(Parser *parser, Op op, Buf *out) {
  uint32_t memory = parse_at_index(parser) ? parse_index(parser, SPACE_MEMORY) : 0;
  parse_memarg_rest(parser, op, memory, out);
}

/* A single number is the lane, so a memory's number needs something behind it. */
static void parse_memarg_lane(Parser *parser, Op op, Buf *out) {
  uint32_t memory = 0;
  const Token *next = parse_peek(parser);
  bool has_more =
      next->kind == TOKEN_WORD && (memchr(next->text.at, '=', next->text.size) ||
                                   (next->text.at[0] >= '0' && next->text.at[0] <= '9'));
  if (parser->token.kind == TOKEN_ID || (parse_at_number(parser) && has_more))
    memory = parse_index(parser, SPACE_MEMORY);
  parse_memarg_rest(parser, op, memory, out);
  parse_lane_index(parser, out);
}

/* --- indices --- */

static void put_index(Parser *parser, Space space, Buf *out) {
  buf_u32(out, parse_index(parser, space));
}

static void put_optional(Parser *parser, Space space, Buf *out) {
  buf_u32(out, parse_at_index(parser) ? parse_index(parser, space) : 0);
}

/* None or both of two. */
static void put_pair(Parser *parser, Space space, Buf *out) {
  if (parse_at_index(parser)) {
    put_index(parser, space, out);
    put_index(parser, space, out);
  } else {
    buf_u32(out, 0);
    buf_u32(out, 0);
  }
}

/* [place] segment in the text, segment and place in the binary. */
static void put_segment(Parser *parser, Space segments, Space places, Buf *out) {
  uint32_t place = 0, segment;
  const Token *next = parse_peek(parser);
  bool has_place = next->kind == TOKEN_ID ||
                   (next->kind == TOKEN_WORD && next->text.at[0] >= '0' && next->text.at[0] <= '9');
  if (has_place) place = parse_index(parser, places);
  segment = parse_index(parser, segments);
  buf_u32(out, segment);
  buf_u32(out, place);
}

static void put_type_and(Parser *parser, Space space, Buf *out) {
  put_index(parser, SPACE_TYPE, out);
  put_index(parser, space, out);
}

static void put_type_field(Parser *parser, Buf *out) {
  uint32_t type = parse_index(parser, SPACE_TYPE);
  buf_u32(out, type);
  buf_u32(out, parse_field_index(parser, type));
}

static void put_call_table(Parser *parser, Buf *out) {
  uint32_t table = parse_at_index(parser) ? parse_index(parser, SPACE_TABLE) : 0;
  uint32_t type = parse_type_use(parser, false);
  buf_u32(out, type);
  buf_u32(out, table);
}

static void put_labels(Parser *parser, Buf *out) {
  Buf *labels = &parser->scratch;
  uint32_t n = 0, last = parse_label(parser);
  labels->size = 0;
  for (; parse_at_index(parser); n++) {
    buf_u32(labels, last);
    last = parse_label(parser);
  }
  buf_u32(out, n);
  buf_bytes(out, labels->at, labels->size);
  buf_u32(out, last);
}

static void put_br_cast(Parser *parser, Buf *out) {
  uint32_t label = parse_label(parser);
  ValType from = parse_ref_type(parser), to = parse_ref_type(parser);
  buf_byte(out, (uint8_t)((type_is_nullable(from) ? 1 : 0) | (type_is_nullable(to) ? 2 : 0)));
  buf_u32(out, label);
  parse_put_heap(out, type_heap(from));
  parse_put_heap(out, type_heap(to));
}

static void put_results(Parser *parser, Buf *out) {
  Signature *signature = &parser->signature;
  signature->types.n = 0;
  parse_results(parser);
  buf_u32(out, signature->types.n);
  for (uint32_t i = 0; i < signature->types.n; i++) parse_put_type(out, signature->types.items[i]);
}

void parse_catches(Parser *parser, Buf *out) {
  static const struct {
    const char *word;
    bool has_tag;
  } kinds[] = {
      {"catch", true}, {"catch_ref", true}, {"catch_all", false}, {"catch_all_ref", false}};
  Buf *catches = &parser->scratch;
  uint32_t n = 0;
  catches->size = 0;
  for (size_t kind = 0; kind < COUNT_OF(kinds);) {
    if (!parse_take_group(parser, kinds[kind].word)) {
      kind++;
      continue;
    }
    buf_byte(catches, (uint8_t)kind);
    if (kinds[kind].has_tag) put_index(parser, SPACE_TAG, catches);
    buf_u32(catches, parse_label(parser));
    parse_close(parser);
    n++;
    kind = 0;
  }
  buf_u32(out, n);
  buf_bytes(out, catches->at, catches->size);
}

/* --- the immediates of a row --- */

static void parse_immediates(Parser *parser, Op op, Buf *out) {
  switch ((ImmKind)op_info[op].imm) {
    case IMM_NONE: break;
    case IMM_BLOCK:
    case IMM_TRY_TABLE: break; /* blocks have labels: parse_instr.c */
    case IMM_LABEL: buf_u32(out, parse_label(parser)); break;
    case IMM_LABELS: put_labels(parser, out); break;
    case IMM_FUNC: put_index(parser, SPACE_FUNC, out); break;
    case IMM_TYPE: put_index(parser, SPACE_TYPE, out); break;
    case IMM_CALL_TABLE: put_call_table(parser, out); break;
    case IMM_LOCAL: buf_u32(out, parse_local(parser)); break;
    case IMM_GLOBAL: put_index(parser, SPACE_GLOBAL, out); break;
    case IMM_TABLE: put_optional(parser, SPACE_TABLE, out); break;
    case IMM_TABLE2: put_pair(parser, SPACE_TABLE, out); break;
    case IMM_ELEM_TABLE: put_segment(parser, SPACE_ELEM, SPACE_TABLE, out); break;
    case IMM_ELEM: put_index(parser, SPACE_ELEM, out); break;
    case IMM_DATA_MEMORY: put_segment(parser, SPACE_DATA, SPACE_MEMORY, out); break;
    case IMM_DATA: put_index(parser, SPACE_DATA, out); break;
    case IMM_MEMORY: put_optional(parser, SPACE_MEMORY, out); break;
    case IMM_MEMORY2: put_pair(parser, SPACE_MEMORY, out); break;
    case IMM_MEMARG: parse_memarg(parser, op, out); break;
    case IMM_MEMARG_LANE: parse_memarg_lane(parser, op, out); break;
    case IMM_LANE: parse_lane_index(parser, out); break;
    case IMM_SHUFFLE: parse_shuffle(parser, out); break;
    case IMM_V128: {
      uint8_t bytes[16];
      parse_v128(parser, bytes);
      buf_bytes(out, bytes, sizeof bytes);
      break;
    }
    case IMM_I32: parse_i32(parser, out); break;
    case IMM_I64: parse_i64(parser, out); break;
    case IMM_F32: {
      uint32_t bits = take_f32(parser);
      buf_bytes(out, &bits, sizeof bits);
      break;
    }
    case IMM_F64: {
      uint64_t bits = take_f64(parser);
      buf_bytes(out, &bits, sizeof bits);
      break;
    }
    case IMM_HEAP: parse_put_heap(out, parse_heap_type(parser)); break;
    case IMM_REF_NULL: break; /* chosen with the opcode: parse_plain_instr */
    case IMM_SELECT: put_results(parser, out); break;
    case IMM_TAG: put_index(parser, SPACE_TAG, out); break;
    case IMM_TYPE_FIELD: put_type_field(parser, out); break;
    case IMM_TYPE_COUNT:
      put_index(parser, SPACE_TYPE, out);
      buf_u32(out, (uint32_t)parse_number(parser, 32));
      break;
    case IMM_TYPE_DATA: put_type_and(parser, SPACE_DATA, out); break;
    case IMM_TYPE_ELEM: put_type_and(parser, SPACE_ELEM, out); break;
    case IMM_TYPE2: put_type_and(parser, SPACE_TYPE, out); break;
    case IMM_BR_CAST: put_br_cast(parser, out); break;
    case IMM_FENCE: buf_byte(out, 0); break;
  }
}

/* ref.test and ref.cast: the type in the text says which of two opcodes it is. */
static Op parse_ref_cast(Parser *parser, Op op, Buf *out) {
  ValType type = parse_ref_type(parser);
  bool is_test = op == OP_REF_TEST;
  if (type_is_nullable(type)) op = is_test ? OP_REF_TEST_NULL : OP_REF_CAST_NULL;
  parse_put_op(out, op);
  parse_put_heap(out, type_heap(type));
  return op;
}

static bool uses_data(Op op) {
  uint8_t imm = op_info[op].imm;
  return imm == IMM_DATA || imm == IMM_DATA_MEMORY || imm == IMM_TYPE_DATA;
}

Op parse_plain_instr(Parser *parser, Op op, Buf *out) {
  parse_advance(parser);
  if (op_info[op].imm == IMM_REF_NULL) return parse_ref_cast(parser, op, out);
  if (op == OP_SELECT && parse_is_group(parser, "result")) op = OP_SELECT_T;
  parser->needs_data_count = parser->needs_data_count || uses_data(op);
  parse_put_op(out, op);
  parse_immediates(parser, op, out);
  return op;
}
