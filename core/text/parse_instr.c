/* parse_instr.c - instructions, plain and folded, without recursion.
 *
 * A stack of frames holds the open constructs. A folded instruction is encoded when it is met, into
 * `pending_code`; it moves to the output when its parenthesis closes, behind its operands. Labels
 * are counted where their block starts in the binary, as the name section counts them.
 */
#include "parse.h"

typedef enum FrameKind {
  FRAME_PLAIN,        /* block .. end */
  FRAME_FOLDED,       /* (op operand..) */
  FRAME_FOLDED_BLOCK, /* (block ..) */
  FRAME_FOLDED_IF,    /* (if condition.. (then ..) (else ..)) */
  FRAME_FOLDED_TRY,   /* (try (do ..) (catch ..).. (catch_all ..)), or with (delegate l) */
  FRAME_ARM,          /* (then ..), (else ..), (do ..), (catch ..), (catch_all ..) */
} FrameKind;

/* How far a construct of several parts has come. */
enum {
  STATE_START,
  STATE_FIRST, /* behind then, behind do */
  STATE_CATCHES,
  STATE_LAST, /* nothing more may come */
};

static Frame *top_frame(Parser *parser) {
  return &parser->frames.items[parser->frames.n - 1];
}

static void push_frame(Parser *parser, Frame frame) {
  VEC_PUSH(parser->arena, &parser->frames, frame);
}

/* --- branch hints --- */

static void put_hint(Parser *parser, const Frame *frame) {
  if (!frame->has_hint) return;
  buf_u32(&parser->hints, (uint32_t)parser->out->size);
  buf_u32(&parser->hints, 1);
  buf_byte(&parser->hints, frame->hint);
  parser->n_hints++;
}

/* The hint in front of the current instruction, kept in its frame. */
static void take_hint(Parser *parser, Frame *frame) {
  const char *at = parser->pending.at;
  frame->has_hint = parse_take_hint(parser, &frame->hint);
  if (frame->has_hint && frame->op != OP_IF && frame->op != OP_BR_IF)
    lexer_fail(&parser->lexer, ERROR_INVALID, at,
               "@metadata.code.branch_hint annotation: invalid target");
}

/* --- heads of blocks --- */

/* At the mnemonic of a block: encodes its head to out and keeps its label in the frame. */
static void parse_head(Parser *parser, Frame *frame, Buf *out) {
  parse_advance(parser);
  frame->symbol = parse_optional_id(parser, "label", &frame->label_name);
  parse_put_op(out, (Op)frame->op);
  parse_block_type(parser, out);
  if (frame->op == OP_TRY_TABLE) parse_catches(parser, out);
}

static void open_block(Parser *parser, const Frame *frame) {
  parse_push_label(parser, frame->symbol, frame->label_name);
}

static void close_block(Parser *parser) {
  place_mark_instr(parser, parser->token.at);
  parse_put_op(parser->out, OP_END);
  parse_pop_label(parser);
}

/* The identifier behind `end` and `else` repeats that of the block. */
static void check_label(Parser *parser, uint32_t symbol) {
  if (parser->token.kind != TOKEN_ID) return;
  if (symbol == NO_SYMBOL || !str_equal(parser->symbols.items[symbol].name, parser->token.text))
    parse_fail(parser, "mismatching label");
  parse_advance(parser);
}

/* --- plain instructions --- */

static bool is_block(Op op) {
  return op_info[op].imm == IMM_BLOCK || op_info[op].imm == IMM_TRY_TABLE;
}

static bool is_part_of_block(Op op) {
  return op == OP_ELSE || op == OP_END || op == OP_CATCH || op == OP_CATCH_ALL || op == OP_DELEGATE;
}

/* At `else`, `catch`, `catch_all`, `delegate` or `end`. */
static void parse_part(Parser *parser, Op op, uint32_t base) {
  Frame *frame = parser->frames.n > base ? top_frame(parser) : NULL;
  if (!frame || frame->kind != FRAME_PLAIN) parse_unexpected(parser);
  bool is_try = frame->op == OP_TRY;
  bool is_allowed = op == OP_ELSE       ? frame->op == OP_IF && frame->state == STATE_START
                    : op == OP_DELEGATE ? is_try && frame->state == STATE_START
                    : op == OP_END      ? true
                                        : is_try && frame->state < STATE_LAST;
  if (!is_allowed) parse_unexpected(parser);
  frame->state = op == OP_CATCH ? STATE_CATCHES : STATE_LAST;
  uint32_t symbol = frame->symbol;
  place_mark_instr(parser, parser->token.at);
  if (op == OP_ELSE || op == OP_END) {
    parse_advance(parser);
    parse_put_op(parser->out, op);
    check_label(parser, symbol);
  } else {
    /* delegate counts its label from outside of the try */
    if (op == OP_DELEGATE) parse_pop_label(parser);
    parse_plain_instr(parser, op, parser->out);
  }
  if (op == OP_END) parse_pop_label(parser);
  if (op == OP_END || op == OP_DELEGATE) parser->frames.n--;
}

static void parse_plain(Parser *parser, uint32_t base) {
  Op op = op_of_text(parser->token.text);
  if (op == OP_INVALID) parse_unexpected(parser);
  if (is_part_of_block(op)) return parse_part(parser, op, base);
  Frame frame = {.kind = FRAME_PLAIN, .op = (uint16_t)op};
  if (UNLIKELY(parse_has_pending(parser))) take_hint(parser, &frame);
  put_hint(parser, &frame);
  place_mark_instr(parser, parser->token.at);
  if (is_block(op)) {
    parse_head(parser, &frame, parser->out);
    open_block(parser, &frame);
    push_frame(parser, frame);
  } else {
    parse_plain_instr(parser, op, parser->out);
  }
}

/* --- folded instructions --- */

/* Moves what a folded instruction has waiting to the output. */
static void flush_pending(Parser *parser, const Frame *frame) {
  put_hint(parser, frame);
  place_mark_instr(parser, frame->at);
  Buf *pending = &parser->pending_code;
  buf_bytes(parser->out, pending->at + frame->pending, pending->size - frame->pending);
  pending->size = frame->pending;
}

/* At a mnemonic behind a parenthesis. */
static void open_folded_instr(Parser *parser, Frame frame) {
  Op op = (Op)frame.op;
  frame.pending = parser->pending_code.size;
  frame.at = parser->token.at;
  if (op == OP_BLOCK || op == OP_LOOP || op == OP_TRY_TABLE || op == OP_TRY) {
    frame.kind = op == OP_TRY ? FRAME_FOLDED_TRY : FRAME_FOLDED_BLOCK;
    place_mark_instr(parser, frame.at);
    parse_head(parser, &frame, parser->out);
    open_block(parser, &frame);
  } else if (op == OP_IF) {
    frame.kind = FRAME_FOLDED_IF;
    parse_head(parser, &frame, &parser->pending_code);
  } else {
    frame.kind = FRAME_FOLDED;
    parse_plain_instr(parser, op, &parser->pending_code);
  }
  push_frame(parser, frame);
}

static void open_arm(Parser *parser, Frame *frame, uint8_t state) {
  frame->state = state;
  push_frame(parser, (Frame){.kind = FRAME_ARM, .symbol = NO_SYMBOL});
}

/* At (then or (else inside of a folded if; false when it is a part of the condition. */
static bool open_if_arm(Parser *parser, Frame *frame) {
  if (frame->state == STATE_START) {
    if (!parse_take_group(parser, "then")) return false;
    flush_pending(parser, frame);
    open_block(parser, frame);
    open_arm(parser, frame, STATE_FIRST);
    return true;
  }
  parse_open(parser);
  if (frame->state != STATE_FIRST || !parse_take_word(parser, "else")) parse_unexpected(parser);
  place_mark_instr(parser, parser->token.at);
  parse_put_op(parser->out, OP_ELSE);
  open_arm(parser, frame, STATE_LAST);
  return true;
}

/* Behind the parenthesis of (delegate l): it takes the place of the try's end. */
static void parse_folded_delegate(Parser *parser, Frame *frame) {
  parse_pop_label(parser);
  frame->state = STATE_LAST;
  frame->op = OP_DELEGATE;
  place_mark_instr(parser, parser->token.at);
  parse_plain_instr(parser, OP_DELEGATE, parser->out);
  parse_close(parser);
}

static void open_try_arm(Parser *parser, Frame *frame) {
  parse_open(parser);
  Op op = parser->token.kind == TOKEN_WORD ? op_of_text(parser->token.text) : OP_INVALID;
  if (frame->state == STATE_START) {
    if (!parse_take_word(parser, "do")) parse_unexpected(parser);
    open_arm(parser, frame, STATE_FIRST);
  } else if (op == OP_DELEGATE && frame->state == STATE_FIRST) {
    parse_folded_delegate(parser, frame);
  } else if ((op == OP_CATCH || op == OP_CATCH_ALL) && frame->state < STATE_LAST) {
    place_mark_instr(parser, parser->token.at);
    parse_plain_instr(parser, op, parser->out);
    open_arm(parser, frame, op == OP_CATCH ? STATE_CATCHES : STATE_LAST);
  } else {
    parse_unexpected(parser);
  }
}

/* At an opening parenthesis. */
static void parse_open_paren(Parser *parser, uint32_t base) {
  Frame *frame = parser->frames.n > base ? top_frame(parser) : NULL;
  Frame inner = {.symbol = NO_SYMBOL};
  if (frame && frame->kind == FRAME_FOLDED_IF && open_if_arm(parser, frame)) return;
  if (frame && frame->kind == FRAME_FOLDED_TRY) return open_try_arm(parser, frame);
  const Token *word = parse_peek(parser);
  Op op = word->kind == TOKEN_WORD ? op_of_text(word->text) : OP_INVALID;
  inner.op = (uint16_t)op;
  if (UNLIKELY(parse_has_pending(parser)) && op != OP_INVALID) take_hint(parser, &inner);
  parse_advance(parser);
  if (op == OP_INVALID || is_part_of_block(op)) parse_unexpected(parser);
  open_folded_instr(parser, inner);
}

/* At a closing parenthesis that belongs to the innermost frame. */
static void close_frame(Parser *parser) {
  Frame *frame = top_frame(parser);
  switch ((FrameKind)frame->kind) {
    case FRAME_PLAIN: parse_unexpected(parser);
    case FRAME_FOLDED: flush_pending(parser, frame); break;
    case FRAME_FOLDED_BLOCK: close_block(parser); break;
    case FRAME_FOLDED_IF:
    case FRAME_FOLDED_TRY:
      if (frame->state == STATE_START) parse_unexpected(parser);
      if (frame->op != OP_DELEGATE) close_block(parser);
      break;
    case FRAME_ARM: break;
  }
  parser->frames.n--;
  parse_advance(parser);
}

static bool takes_plain(const Parser *parser, uint32_t base) {
  if (parser->frames.n == base) return true;
  uint8_t kind = parser->frames.items[parser->frames.n - 1].kind;
  return kind == FRAME_PLAIN || kind == FRAME_FOLDED_BLOCK || kind == FRAME_ARM;
}

static void parse_one(Parser *parser, uint32_t base) {
  switch (parser->token.kind) {
    case TOKEN_OPEN: parse_open_paren(parser, base); break;
    case TOKEN_CLOSE: close_frame(parser); break;
    case TOKEN_WORD:
      if (!takes_plain(parser, base)) parse_unexpected(parser);
      parse_plain(parser, base);
      break;
    default: parse_unexpected(parser);
  }
}

void parse_instrs(Parser *parser) {
  uint32_t base = parser->frames.n;
  while (parser->frames.n > base || parser->token.kind != TOKEN_CLOSE) parse_one(parser, base);
}

void parse_folded_instr(Parser *parser) {
  uint32_t base = parser->frames.n;
  if (parser->token.kind != TOKEN_OPEN) parse_unexpected(parser);
  do {
    parse_one(parser, base);
  } while (parser->frames.n > base);
}

void parse_const_expr(Parser *parser, Buf *out) {
  parser->out = out;
  parse_instrs(parser);
  place_mark_instr(parser, parser->token.at);
  parse_put_op(out, OP_END);
}

void parse_offset_expr(Parser *parser, Buf *out) {
  if (parse_take_group(parser, "offset")) {
    parse_const_expr(parser, out);
    parse_close(parser);
  } else {
    parser->out = out;
    parse_folded_instr(parser);
    parse_put_op(out, OP_END);
  }
}
