/* parse.h - what the files of the text parser share: parse_*.c and wast.c.
 *
 * The parser writes the binary format directly. It reads the text three times, all of it linear:
 * first the heads of the fields, to give every identifier its index (parse_bind); then the type
 * definitions; then all other fields in their order. Types that are only written inline are added
 * behind the defined ones in the order in which they are met. Nothing recurses.
 *
 * parse.c        entry, tokens, the three passes
 * parse_scope.c  identifiers, labels, the name section's contents
 * parse_type.c   types and type uses
 * parse_imm.c    immediates
 * parse_instr.c  instructions, plain and folded
 * parse_field.c  functions, tables, memories, globals, tags, segments, imports, exports
 * parse_annot.c  annotations with a meaning
 * parse_encode.c sections put together
 * parse_place.c  where in the text a byte of the module comes from
 */
#ifndef RILLE_PARSE_H
#define RILLE_PARSE_H

#include "../base/map.h"
#include "../module/module.h"
#include "lexer.h"

typedef enum Space {
  SPACE_TYPE,
  SPACE_FUNC,
  SPACE_TABLE,
  SPACE_MEMORY,
  SPACE_GLOBAL,
  SPACE_TAG,
  SPACE_ELEM,
  SPACE_DATA,
  SPACE_COUNT,
} Space;

/* An identifier and everything it stands for; one per distinct name of the module. */
typedef struct Symbol {
  Str name;
  uint32_t index[SPACE_COUNT]; /* NO_INDEX when it names nothing there */
  uint32_t label;              /* the innermost label of this name, or NO_INDEX */
  uint32_t local, local_of;    /* valid when local_of is the parser's scope */
} Symbol;

#define NO_SYMBOL UINT32_MAX

typedef struct Label {
  uint32_t symbol;   /* or NO_SYMBOL */
  uint32_t shadowed; /* the label the symbol stood for outside */
} Label;

/* A name map under construction: ascending indices. */
typedef struct NameMap {
  Buf bytes;
  uint32_t n;
} NameMap;

/* An indirect name map: the inner one of `outer` is open. */
typedef struct NameMap2 {
  Buf bytes;
  uint32_t n;
  uint32_t outer;
  NameMap inner;
} NameMap2;

typedef struct TypeDef {
  bool is_func;
  uint32_t n_params, n_results;
  const ValType *types; /* params, then results */
} TypeDef;

/* A function type being read. */
typedef struct Signature {
  VEC(ValType) types;
  uint32_t n_params;
} Signature;

typedef struct Section {
  Buf bytes;
  uint32_t n;
} Section;

typedef enum CustomPlace { PLACE_BEFORE, PLACE_AFTER } CustomPlace;

enum {
#define SECTION(name, id, text, order) ORDER_##name = (order),
#include "../tables/section.def"
  ORDER_FIRST = 0,
  ORDER_LAST = 255,
};

typedef struct Custom {
  uint8_t order; /* of the section it stands at */
  CustomPlace place;
  Buf bytes; /* name and contents */
} Custom;

/* Annotations in front of the current token that nobody has asked for yet. */
typedef struct Pending {
  uint32_t n_names, n_hints;
  Str name;
  uint8_t hint;
  VEC(Custom) customs;
  const char *at; /* of the first */
} Pending;

/* An open construct of the instruction parser; see parse_instr.c. */
typedef struct Frame {
  uint8_t kind, state;
  bool has_hint;
  uint8_t hint;
  uint16_t op;
  uint32_t symbol; /* of its label */
  Str label_name;  /* what the name section says, if anything */
  const char *at;  /* of its mnemonic, in the text */
  size_t pending;  /* where its encoding starts in `pending_code` */
} Frame;

/* A place in the text, and how far the bytes had come there. */
typedef struct Mark {
  uint32_t offset;
  const char *at;
} Mark;

typedef VEC(Mark) MarkVec;

/* See parse_place.c. */
typedef struct Places {
  MarkVec fields[SECTION_ID_END]; /* from the start of the section's items; ascending */
  MarkVec body;                   /* from the start of the body that is read */
  size_t begins[SECTION_ID_END];  /* of the section's items in the module; 0: it has none */
} Places;

typedef struct Parser {
  Arena *arena;
  Lexer lexer;
  Token token, next;
  bool has_next;
  FeatureSet features;
  Pending pending;

  StrMap symbol_map;
  VEC(Symbol) symbols;
  U64Map fields;                   /* type << 32 | symbol -> index of the field */
  uint32_t n[SPACE_COUNT];         /* indices given so far, by the pass that runs */
  uint32_t n_defined[SPACE_COUNT]; /* of these, not imported */
  VEC(const char *) type_fields;   /* where the type definitions are */
  VEC(TypeDef) types;
  StrMap type_map; /* the bytes of a function type -> the smallest index */

  Section sections[SECTION_ID_END];
  VEC(Custom) customs;
  bool needs_data_count, has_start;

  NameMap names[SPACE_COUNT];
  NameMap2 local_names, label_names, field_names;
  Str module_name;
  const char *id_at; /* of the identifier read last */

  /* The function, or the constant expression, that is read. */
  uint32_t scope;         /* the number of this scope of locals */
  uint32_t func;          /* NO_INDEX outside of functions */
  uint32_t n_locals;      /* parameters included */
  uint32_t n_label_names; /* labels numbered so far */
  VEC(ValType) locals;
  Signature signature;
  VEC(Label) labels;
  VEC(Frame) frames;
  Buf *out;         /* where instructions go */
  Buf pending_code; /* instructions that wait for their operands */
  Buf body;         /* the function */
  Buf hints;        /* of this function, for the branch hint section */
  uint32_t n_hints;
  Section hint_section;
  Buf scratch, scratch2;
  Places *places; /* NULL when nobody wants to know */
} Parser;

/* --- parse.c: tokens --- */
void parse_advance(Parser *parser);
const Token *parse_peek(Parser *parser); /* the token behind the current one */
_Noreturn void parse_fail(Parser *parser, const char *format, ...) PRINTF_LIKE(2, 3);
_Noreturn void parse_fail_at(Parser *parser, const char *at, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* The current token fits no rule: "unknown operator" or "unexpected token". */
_Noreturn void parse_unexpected(Parser *parser);
bool parse_is_word(const Parser *parser, const char *word);
bool parse_is_group(Parser *parser, const char *word); /* at "(word" */
bool parse_take_word(Parser *parser, const char *word);
bool parse_take_group(Parser *parser, const char *word); /* moves behind "(word" */
void parse_open(Parser *parser);
void parse_close(Parser *parser);
Str parse_string(Parser *parser);      /* any bytes */
Str parse_utf8_string(Parser *parser); /* a name */
bool parse_at_number(const Parser *parser);
uint64_t parse_number(Parser *parser, unsigned bits); /* without sign */
/* Runs all passes over the lexer's text and leaves the sections filled. */
void parse_module(Parser *parser);

/* --- parse_scope.c --- */
void parse_scope_init(Parser *parser);
uint32_t parse_symbol(Parser *parser, Str name);
/* An optional identifier with an optional (@name); the symbol or NO_SYMBOL, and the name for the
 * name section, which is empty when there is none. */
uint32_t parse_optional_id(Parser *parser, const char *what, Str *name);
void parse_bind(Parser *parser, Space space, uint32_t symbol);
/* Takes the next index of a space in the last pass and records its name. */
uint32_t parse_define(Parser *parser, Space space, Str name);
bool parse_at_index(const Parser *parser);
uint32_t parse_index(Parser *parser, Space space);
uint32_t parse_local(Parser *parser);
uint32_t parse_label(Parser *parser);
uint32_t parse_field_index(Parser *parser, uint32_t type);
void parse_bind_local(Parser *parser, uint32_t symbol, Str name, uint32_t index);
void parse_push_label(Parser *parser, uint32_t symbol, Str name);
void parse_pop_label(Parser *parser);
void parse_begin_scope(Parser *parser, uint32_t func);
void names_add(NameMap *map, uint32_t index, Str name);
void names_add_inner(NameMap2 *map, uint32_t outer, uint32_t index, Str name);
void names_close(NameMap2 *map);

/* --- parse_type.c --- */
void parse_put_type(Buf *out, ValType type);
void parse_put_heap(Buf *out, uint32_t heap);
ValType parse_val_type(Parser *parser);
ValType parse_ref_type(Parser *parser);
bool parse_at_ref_type(Parser *parser);
uint32_t parse_heap_type(Parser *parser);
bool parse_heap_word(Str word, uint32_t *heap); /* false when it names no heap type */
void parse_type_field(Parser *parser);          /* behind "(type" or "(rec" */
/* [(type x)] (param ..)* (result ..)*: the type's index; binds the parameters as locals when asked
 * to. */
uint32_t parse_type_use(Parser *parser, bool binds);
/* The type of a block, encoded to out. */
void parse_block_type(Parser *parser, Buf *out);
void parse_results(Parser *parser); /* (result ..)* added to the signature */

/* --- parse_imm.c --- */
void parse_put_op(Buf *out, Op op);
/* The current word is the mnemonic of an instruction that is no block: encodes all of it. */
Op parse_plain_instr(Parser *parser, Op op, Buf *out);
typedef struct LaneShape {
  uint8_t n, bits;
  bool is_float;
} LaneShape;
bool parse_lane_shape(Parser *parser, LaneShape *shape); /* i32x4 and the like */
void parse_lane(Parser *parser, LaneShape shape, uint8_t *out);
void parse_v128(Parser *parser, uint8_t out[16]); /* a shape and its lanes */
/* The rest of a try_table's head: the catch clauses. */
void parse_catches(Parser *parser, Buf *out);

/* --- parse_instr.c --- */
/* Instructions up to the parenthesis that closes the group around them, which is not taken. */
void parse_instrs(Parser *parser);
void parse_folded_instr(Parser *parser); /* exactly one */
/* A constant expression with its `end`, to out. */
void parse_const_expr(Parser *parser, Buf *out);
void parse_offset_expr(Parser *parser, Buf *out); /* (offset ..) or one folded instruction */

/* --- parse_field.c --- */
void parse_field(Parser *parser); /* at the keyword */

/* --- parse_annot.c --- */
void parse_annotation(Parser *parser, const Token *token);
bool parse_has_pending(const Parser *parser);
_Noreturn void parse_fail_misplaced(Parser *parser);
Str parse_take_name(Parser *parser, const char *what); /* of a (@name); else empty */
void parse_take_customs(Parser *parser);               /* between fields */
bool parse_take_hint(Parser *parser, uint8_t *hint);

/* --- parse_place.c --- */
void place_mark_field(Parser *parser);                 /* at its keyword */
void place_mark_instr(Parser *parser, const char *at); /* it comes next in `out` */
void place_move_body(Parser *parser, size_t start);
void place_mark_section(Parser *parser, SectionId id, const Buf *out); /* it was put last */

/* --- parse_encode.c --- */
void parse_encode(Parser *parser, Buf *out);
void buf_name(Buf *out, Str name);

/* For the script reader: a parser's tokens, and text that starts at a known place. */
void parser_init(Parser *parser, Arena *arena, Str source, FeatureSet features);
bool text_parse_at(Arena *arena, Str source, uint32_t line, uint32_t column, FeatureSet features,
                   const uint8_t **bytes, size_t *size, Error *error);

#endif
