/* generate_ref.c - references, structures, arrays, exceptions and tail calls for random modules.
 *
 * Objects flow through locals, fields, elements, a table and globals of their own; what they hold
 * comes out as numbers, which the other rows of the generator take up.
 */
#include "generate_int.h"

enum { PAIR = FUNCS + 1, SUB, BYTES, INTS, OBJECTS, THROWS_I32, THROWS_TWO };
enum { HEAP_I31_CODE = 0x6C, HEAP_ANY_CODE = 0x6E, HEAP_NONE_CODE = 0x71, ANY_TABLE = 1 };
enum { FIRST_GLOBAL = GLOBALS };
enum { VOID = 0x40, REF_NULL_CODE = 0x63 };

static uint32_t type_of(char letter) {
  switch (letter) {
    case 'p': return PAIR;
    case 's': return SUB;
    case 'b': return BYTES;
    case 'c': return INTS;
    default: return OBJECTS;
  }
}

static void put_heap(Buf *out, char letter) {
  if (letter == 'a') {
    buf_byte(out, HEAP_ANY_CODE);
  } else {
    buf_s32(out, (int32_t)type_of(letter));
  }
}

void gen_put_ref_type(Buf *out, char letter) {
  if (letter != 'a') buf_byte(out, REF_NULL_CODE);
  put_heap(out, letter);
}

char gen_random_ref(Generator *g) {
  return "ppsbcoaa"[gen_below(g, 8)];
}

static void i32_const(Generator *g, int32_t value) {
  gen_put(g, OP_I32_CONST);
  buf_s32(g->out, value);
}

static void small(Generator *g, int32_t mask, unsigned depth) {
  gen_expression(g, 'i', depth);
  if (gen_chance(g, 4)) return;
  i32_const(g, mask);
  gen_put(g, OP_I32_AND);
}

static void put_field(Generator *g, Op op, uint32_t type, uint32_t field) {
  gen_put_index(g, op, type);
  buf_u32(g->out, field);
}

static void open_block(Generator *g, Op op, char type) {
  gen_put(g, op);
  if (type == GEN_EXNREF) {
    buf_byte(g->out, 0x69);
  } else if (type != 0) {
    gen_put_type(g->out, type);
  } else {
    buf_byte(g->out, VOID);
  }
  gen_push_label(g, type);
}

static void close_block(Generator *g) {
  g->n_labels--;
  gen_put(g, OP_END);
}

static bool has_room(const Generator *g) {
  return g->n_labels + 4 < LABELS_MAX;
}

/* New objects */

static void new_structure(Generator *g, char type, unsigned depth) {
  if (gen_chance(g, 15)) {
    gen_put_index(g, OP_STRUCT_NEW_DEFAULT, type_of(type));
    return;
  }
  gen_expression(g, 'i', depth);
  gen_expression(g, 'l', depth);
  gen_expression(g, 'd', depth);
  gen_expression(g, 'i', depth);
  gen_expression(g, 'p', depth);
  if (type == 's') gen_expression(g, 'i', depth);
  gen_put_index(g, OP_STRUCT_NEW, type_of(type));
}

static void new_array(Generator *g, char type, unsigned depth) {
  char element = type == 'o' ? 'a' : 'i';
  unsigned kind = gen_below(g, 3);
  if (kind == 0) {
    uint32_t n = gen_below(g, 5);
    for (uint32_t i = 0; i < n; i++) gen_expression(g, element, depth);
    gen_put_index(g, OP_ARRAY_NEW_FIXED, type_of(type));
    buf_u32(g->out, n);
    return;
  }
  if (kind == 1) gen_expression(g, element, depth);
  if (gen_chance(g, 70)) {
    i32_const(g, 16);
  } else {
    gen_expression(g, 'i', depth);
    i32_const(g, 31);
    gen_put(g, OP_I32_AND);
  }
  gen_put_index(g, kind == 1 ? OP_ARRAY_NEW : OP_ARRAY_NEW_DEFAULT, type_of(type));
}

static void new_object(Generator *g, char type, unsigned depth) {
  if (depth >= DEPTH_MAX || g->budget <= 0) {
    if (type == 'p' || type == 's') {
      gen_put_index(g, OP_STRUCT_NEW_DEFAULT, type_of(type));
    } else if (type == 'a') {
      i32_const(g, (int32_t)gen_below(g, 100));
      gen_put(g, OP_REF_I31);
    } else {
      i32_const(g, 16);
      gen_put_index(g, OP_ARRAY_NEW_DEFAULT, type_of(type));
    }
  } else if (type == 'p' || type == 's') {
    new_structure(g, type, depth + 1);
  } else if (type == 'a') {
    if (gen_chance(g, 30)) {
      gen_expression(g, 'i', depth + 1);
      gen_put(g, OP_REF_I31);
    } else {
      new_object(g, "psbco"[gen_below(g, 5)], depth + 1);
    }
  } else {
    new_array(g, type, depth + 1);
  }
}

/* Objects that are there */

static void null(Generator *g, char type) {
  gen_put(g, OP_REF_NULL);
  if (type == 'a') {
    buf_byte(g->out, HEAP_NONE_CODE);
  } else {
    put_heap(g->out, type);
  }
}

static void cast(Generator *g, char type, unsigned depth) {
  gen_expression(g, 'a', depth);
  gen_put(g, OP_REF_CAST_NULL);
  put_heap(g->out, type);
}

/* A block that a cast may leave with the object. */
static void branch_on_cast(Generator *g, char type, unsigned depth) {
  bool fails = type == 'a';
  open_block(g, OP_BLOCK, type);
  gen_expression(g, 'a', depth);
  gen_put(g, fails ? OP_BR_ON_CAST_FAIL : OP_BR_ON_CAST);
  buf_byte(g->out, 3);
  buf_u32(g->out, 0);
  buf_byte(g->out, HEAP_ANY_CODE);
  put_heap(g->out, fails ? gen_chance(g, 50) ? 'p' : 'b' : type);
  gen_put(g, OP_DROP);
  gen_statements(g, depth);
  gen_expression(g, type, depth);
  close_block(g);
}

static void branch_on_non_null(Generator *g, char type, unsigned depth) {
  open_block(g, OP_BLOCK, type);
  gen_expression(g, type, depth);
  gen_put_index(g, OP_BR_ON_NON_NULL, 0);
  gen_expression(g, type, depth);
  close_block(g);
}

static void choose(Generator *g, char type, unsigned depth) {
  gen_expression(g, type, depth);
  gen_expression(g, type, depth);
  gen_expression(g, 'i', depth);
  gen_put(g, OP_SELECT_T);
  buf_u32(g->out, 1);
  gen_put_type(g->out, type);
}

static void out_of_object(Generator *g, char type, unsigned depth) {
  if (type == 'p') {
    gen_expression(g, gen_chance(g, 50) ? 'p' : 's', depth);
    put_field(g, OP_STRUCT_GET, PAIR, 4);
  } else if (type == 'a' && gen_chance(g, 50)) {
    gen_expression(g, 'o', depth);
    small(g, 7, depth);
    gen_put_index(g, OP_ARRAY_GET, OBJECTS);
  } else if (type == 'a') {
    small(g, 7, depth);
    gen_put_index(g, OP_TABLE_GET, ANY_TABLE);
  } else {
    cast(g, type, depth);
  }
}

void gen_ref_expression(Generator *g, char type, unsigned depth) {
  unsigned kind = gen_below(g, 100);
  if (depth >= DEPTH_MAX || g->budget <= 0) kind %= 65;
  depth++;
  if (kind < 45) {
    if (!gen_variable(g, type, OP_LOCAL_GET)) new_object(g, type, depth);
  } else if (kind < 61) {
    new_object(g, type, depth);
  } else if (kind < 64) {
    null(g, type);
  } else if (kind < 65) {
    if (type == 'p' || type == 'a') {
      gen_put_index(g, OP_GLOBAL_GET, FIRST_GLOBAL + (type == 'a'));
    } else {
      null(g, type);
    }
  } else if (kind < 70) {
    cast(g, type, depth);
  } else if (kind < 76 && has_room(g)) {
    branch_on_cast(g, type, depth);
  } else if (kind < 80 && has_room(g)) {
    branch_on_non_null(g, type, depth);
  } else if (kind < 85) {
    choose(g, type, depth);
  } else if (kind < 88) {
    gen_expression(g, type, depth);
    (void)gen_variable(g, type, OP_LOCAL_TEE);
  } else if (kind < 90 && type == 'p') {
    gen_expression(g, 's', depth);
  } else if (kind < 92 && type == 'a') {
    gen_expression(g, "psbco"[gen_below(g, 5)], depth);
  } else if (kind < 94 && type == 'a') {
    gen_expression(g, 'a', depth);
    gen_put(g, OP_EXTERN_CONVERT_ANY);
    gen_put(g, OP_ANY_CONVERT_EXTERN);
  } else {
    out_of_object(g, type, depth);
  }
}

/* Numbers */

static void caught(Generator *g, unsigned depth) {
  open_block(g, OP_BLOCK, 'i');
  gen_put(g, OP_TRY_TABLE);
  gen_put_type(g->out, 'i');
  buf_bytes(g->out, (const uint8_t[]){1, 0, 0, 0}, 4); /* catch tag 0 to label 0 */
  gen_push_label(g, 'i');
  gen_statements(g, depth);
  gen_expression(g, 'i', depth);
  close_block(g);
  close_block(g);
}

static void i32_from_ref(Generator *g, unsigned depth) {
  switch (gen_below(g, 12)) {
    case 0:
      gen_expression(g, 'p', depth);
      put_field(g, OP_STRUCT_GET, PAIR, 0);
      break;
    case 1:
      gen_expression(g, 's', depth);
      put_field(g, OP_STRUCT_GET, SUB, gen_chance(g, 50) ? 5 : 0);
      break;
    case 2:
      gen_expression(g, 'p', depth);
      put_field(g, gen_chance(g, 50) ? OP_STRUCT_GET_S : OP_STRUCT_GET_U, PAIR, 3);
      break;
    case 3:
      gen_expression(g, 'b', depth);
      small(g, 15, depth);
      gen_put_index(g, gen_chance(g, 50) ? OP_ARRAY_GET_S : OP_ARRAY_GET_U, BYTES);
      break;
    case 4:
      gen_expression(g, 'c', depth);
      small(g, 15, depth);
      gen_put_index(g, OP_ARRAY_GET, INTS);
      break;
    case 5:
      gen_expression(g, "bco"[gen_below(g, 3)], depth);
      gen_put(g, OP_ARRAY_LEN);
      break;
    case 6:
      gen_expression(g, gen_random_ref(g), depth);
      gen_put(g, OP_REF_IS_NULL);
      break;
    case 7:
      gen_expression(g, 'a', depth);
      gen_put(g, gen_chance(g, 50) ? OP_REF_TEST : OP_REF_TEST_NULL);
      if (gen_chance(g, 20)) {
        buf_byte(g->out, HEAP_I31_CODE);
      } else {
        put_heap(g->out, "psbco"[gen_below(g, 5)]);
      }
      break;
    case 8:
      gen_expression(g, gen_chance(g, 50) ? 'p' : 's', depth);
      gen_expression(g, 'p', depth);
      gen_put(g, OP_REF_EQ);
      break;
    case 9:
      gen_expression(g, 'i', depth);
      gen_put(g, OP_REF_I31);
      gen_put(g, gen_chance(g, 50) ? OP_I31_GET_S : OP_I31_GET_U);
      break;
    case 10: gen_put_index(g, OP_TABLE_SIZE, ANY_TABLE); break;
    default:
      if (has_room(g)) {
        caught(g, depth);
      } else {
        gen_constant(g, 'i');
      }
  }
}

static bool call_by_reference(Generator *g, char type, unsigned depth) {
  uint32_t callee = g->func + 1 + gen_below(g, FUNCS);
  if (callee >= FUNCS || g->signatures[callee].results[0] != type) return false;
  gen_arguments(g, &g->signatures[callee], depth);
  gen_put_index(g, OP_REF_FUNC, callee);
  gen_put_index(g, OP_CALL_REF, callee);
  for (size_t i = 1; i < strlen(g->signatures[callee].results); i++) gen_put(g, OP_DROP);
  return true;
}

bool gen_from_ref(Generator *g, char type, unsigned depth) {
  if (gen_chance(g, 15)) return call_by_reference(g, type, depth);
  if (type == 'i') {
    i32_from_ref(g, depth);
  } else if (type == 'l' || type == 'd') {
    gen_expression(g, gen_chance(g, 70) ? 'p' : 's', depth);
    put_field(g, OP_STRUCT_GET, PAIR, type == 'l' ? 1 : 2);
  } else {
    return false;
  }
  return true;
}

/* Statements */

static void set_field(Generator *g, unsigned depth) {
  static const char types[] = "ildipi";
  bool is_sub = gen_chance(g, 30);
  uint32_t field = gen_below(g, is_sub ? 6 : 5);
  gen_expression(g, is_sub ? 's' : 'p', depth);
  gen_expression(g, types[field], depth);
  put_field(g, OP_STRUCT_SET, is_sub ? SUB : PAIR, field);
}

static void set_elements(Generator *g, unsigned depth) {
  char type = "bco"[gen_below(g, 3)], element = type == 'o' ? 'a' : 'i';
  unsigned kind = gen_below(g, 4);
  gen_expression(g, type, depth);
  small(g, 15, depth);
  if (kind == 0) { /* from another array */
    gen_expression(g, type, depth);
    small(g, 15, depth);
    small(g, 3, depth);
    gen_put_index(g, OP_ARRAY_COPY, type_of(type));
    buf_u32(g->out, type_of(type));
    return;
  }
  gen_expression(g, element, depth);
  if (kind == 1) small(g, 3, depth);
  gen_put_index(g, kind == 1 ? OP_ARRAY_FILL : OP_ARRAY_SET, type_of(type));
}

static void set_table(Generator *g, unsigned depth) {
  unsigned kind = gen_below(g, 4);
  if (kind == 0) {
    gen_expression(g, 'a', depth);
    i32_const(g, (int32_t)gen_below(g, 2));
    gen_put_index(g, OP_TABLE_GROW, ANY_TABLE);
    gen_put(g, OP_DROP);
    return;
  }
  small(g, 7, depth);
  gen_expression(g, 'a', depth);
  if (kind == 1) small(g, 3, depth);
  gen_put_index(g, kind == 1 ? OP_TABLE_FILL : OP_TABLE_SET, ANY_TABLE);
}

static void throw_perhaps(Generator *g, unsigned depth) {
  gen_expression(g, 'i', depth);
  open_block(g, OP_IF, 0);
  bool is_two = gen_chance(g, 40);
  gen_expression(g, is_two ? 'l' : 'i', depth);
  if (is_two) gen_expression(g, 'd', depth);
  gen_put_index(g, OP_THROW, is_two);
  close_block(g);
}

static void catch_all(Generator *g, unsigned depth) {
  open_block(g, OP_BLOCK, 0);
  gen_put(g, OP_TRY_TABLE);
  buf_byte(g->out, VOID);
  buf_bytes(g->out, (const uint8_t[]){1, 2, 0}, 3);
  gen_push_label(g, 0);
  gen_statements(g, depth);
  if (gen_chance(g, 60)) throw_perhaps(g, depth);
  close_block(g);
  close_block(g);
}

/* Caught as an object, and most often thrown again. */
static void catch_reference(Generator *g, unsigned depth) {
  open_block(g, OP_BLOCK, 0);
  open_block(g, OP_BLOCK, GEN_EXNREF);
  gen_put(g, OP_TRY_TABLE);
  buf_byte(g->out, VOID);
  buf_bytes(g->out, (const uint8_t[]){1, 3, 0}, 3);
  gen_push_label(g, 0);
  gen_statements(g, depth);
  close_block(g);
  gen_put_index(g, OP_BR, 1);
  close_block(g);
  gen_put(g, gen_chance(g, 50) ? OP_THROW_REF : OP_DROP);
  close_block(g);
}

static void tail_call_perhaps(Generator *g, unsigned depth) {
  uint32_t callee = g->func + 1 + gen_below(g, FUNCS);
  if (callee >= FUNCS) return;
  if (strcmp(g->signatures[callee].results, g->signatures[g->func].results) != 0) return;
  gen_expression(g, 'i', depth);
  open_block(g, OP_IF, 0);
  gen_arguments(g, &g->signatures[callee], depth);
  unsigned kind = gen_below(g, 3);
  if (kind == 0 && g->func < FUNCS / 2 && callee >= FUNCS / 2) {
    i32_const(g, (int32_t)(callee - FUNCS / 2));
    gen_put_index(g, OP_RETURN_CALL_INDIRECT, callee);
    buf_byte(g->out, 0);
  } else if (kind == 1) {
    gen_put_index(g, OP_REF_FUNC, callee);
    gen_put_index(g, OP_RETURN_CALL_REF, callee);
  } else {
    gen_put_index(g, OP_RETURN_CALL, callee);
  }
  close_block(g);
}

static void branch_on_null(Generator *g, unsigned depth) {
  open_block(g, OP_BLOCK, 0);
  gen_expression(g, 'p', depth);
  gen_put_index(g, OP_BR_ON_NULL, 0);
  put_field(g, OP_STRUCT_GET, PAIR, 0);
  if (!gen_variable(g, 'i', OP_LOCAL_SET)) gen_put(g, OP_DROP);
  close_block(g);
}

void gen_ref_statement(Generator *g, unsigned depth) {
  unsigned kind = gen_below(g, 100);
  char type = gen_random_ref(g);
  if (kind < 30) {
    gen_expression(g, type, depth);
    if (!gen_variable(g, type, OP_LOCAL_SET)) gen_put(g, OP_DROP);
  } else if (kind < 45) {
    set_field(g, depth);
  } else if (kind < 60) {
    set_elements(g, depth);
  } else if (kind < 66) {
    set_table(g, depth);
  } else if (kind < 70) {
    bool is_any = gen_chance(g, 50);
    gen_expression(g, is_any ? 'a' : 'p', depth);
    gen_put_index(g, OP_GLOBAL_SET, FIRST_GLOBAL + is_any);
  } else if (!has_room(g)) {
    return;
  } else if (kind < 75) {
    throw_perhaps(g, depth);
  } else if (kind < 83) {
    catch_all(g, depth);
  } else if (kind < 90) {
    catch_reference(g, depth);
  } else if (kind < 95) {
    branch_on_null(g, depth);
  } else {
    tail_call_perhaps(g, depth);
  }
}

void gen_set_refs(Generator *g, uint32_t first) {
  for (uint32_t i = first; i < g->n_locals; i++) {
    if (!gen_is_ref(g->locals[i]) || gen_chance(g, 10)) continue;
    new_object(g, g->locals[i], DEPTH_MAX - 1);
    gen_put_index(g, OP_LOCAL_SET, i);
  }
}

/* Sections */

void gen_ref_types(Buf *s) {
  enum { FINAL = 0x4F, OPEN = 0x50, STRUCT = 0x5F, ARRAY = 0x5E, FUNC = 0x60, MUTABLE = 1 };
  static const uint8_t fields[] = {0x7F, MUTABLE, 0x7E,          MUTABLE, 0x7C,   MUTABLE,
                                   0x78, MUTABLE, REF_NULL_CODE, PAIR,    MUTABLE};
  buf_bytes(s, (const uint8_t[]){OPEN, 0, STRUCT, 5}, 4);
  buf_bytes(s, fields, sizeof fields);
  buf_bytes(s, (const uint8_t[]){FINAL, 1, PAIR, STRUCT, 6}, 5);
  buf_bytes(s, fields, sizeof fields);
  buf_bytes(s, (const uint8_t[]){0x7F, MUTABLE}, 2);
  buf_bytes(s, (const uint8_t[]){ARRAY, 0x78, MUTABLE}, 3);
  buf_bytes(s, (const uint8_t[]){ARRAY, 0x7F, MUTABLE}, 3);
  buf_bytes(s, (const uint8_t[]){ARRAY, HEAP_ANY_CODE, MUTABLE}, 3);
  buf_bytes(s, (const uint8_t[]){FUNC, 1, 0x7F, 0}, 4);
  buf_bytes(s, (const uint8_t[]){FUNC, 2, 0x7E, 0x7C, 0}, 5);
}

void gen_ref_tags(Buf *out) {
  Buf s;
  buf_init(&s, out->arena);
  buf_bytes(&s, (const uint8_t[]){2, 0, THROWS_I32, 0, THROWS_TWO}, 5);
  gen_section(out, 13, &s);
}

void gen_ref_globals(Generator *g) {
  for (unsigned i = 0; i < GEN_REF_GLOBALS; i++) {
    char type = "pa"[i];
    gen_put_type(g->out, type);
    buf_byte(g->out, 1);
    null(g, type);
    gen_put(g, OP_END);
  }
}
