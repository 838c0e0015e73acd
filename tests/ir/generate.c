/* generate.c - random modules, typed by construction: an expression of a type is made of a random
 * row of opcodes.def with that result and expressions of its operands' types.
 *
 * Every loop iteration and every call takes a step from global 0. Functions call only those behind
 * them, and through the table only those of the last half, which call through no table.
 */
#include "generate.h"

#include "module/opcode.h"

enum { FUNCS = 6, GLOBALS = 6, STEPS = 400, DEPTH_MAX = 5, LABELS_MAX = 12, PARAMS_MAX = 4 };

static const char letters[] = "ilfdv";
enum { LETTERS = 5 };

typedef struct Signature {
  char params[PARAMS_MAX + 1];
  char results[3];
} Signature;

typedef struct Label {
  char type; /* of its one value, or 0 */
} Label;

typedef struct Generator {
  Buf *out;
  uint64_t state;
  const GenerateOptions *options;
  unsigned n_letters;
  Signature signatures[FUNCS];
  uint32_t func;
  char locals[64];
  uint32_t n_locals;
  Label labels[LABELS_MAX];
  uint32_t n_labels;
  int budget;
  uint16_t rows[LETTERS][OP_COUNT]; /* pure rows by result */
  uint32_t n_rows[LETTERS];
  uint16_t accesses[2 * LETTERS][64]; /* loads by result, then stores by value */
  uint32_t n_accesses[2 * LETTERS];
} Generator;

static uint64_t next_random(Generator *g) { /* xorshift64* */
  g->state ^= g->state >> 12;
  g->state ^= g->state << 25;
  g->state ^= g->state >> 27;
  return g->state * UINT64_C(2685821657736338717) >> 8;
}
static uint32_t below(Generator *g, uint32_t n) {
  return (uint32_t)(next_random(g) % n);
}
static bool chance(Generator *g, uint32_t percent) {
  return below(g, 100) < percent;
}

static unsigned index_of(char letter) {
  return (unsigned)(strchr(letters, letter) - letters);
}
static char random_type(Generator *g) {
  return letters[below(g, g->n_letters)];
}
static uint8_t type_code(char letter) {
  static const uint8_t codes[] = {0x7F, 0x7E, 0x7D, 0x7C, 0x7B};
  return codes[index_of(letter)];
}
static char address_type(const Generator *g) {
  return g->options->is_64 ? 'l' : 'i';
}

static void put(Generator *g, Op op) {
  const OpInfo *info = &op_info[op];
  if (info->prefix == 0) {
    buf_byte(g->out, (uint8_t)info->code);
  } else {
    buf_byte(g->out, info->prefix);
    buf_u32(g->out, info->code);
  }
}
static void put_index(Generator *g, Op op, uint32_t index) {
  put(g, op);
  buf_u32(g->out, index);
}

static void expression(Generator *g, char type, unsigned depth);
static void statements(Generator *g, unsigned depth);

/* Leaves */

static uint64_t random_bits(Generator *g) {
  static const uint64_t special[] = {0,
                                     1,
                                     2,
                                     3,
                                     7,
                                     8,
                                     16,
                                     31,
                                     32,
                                     63,
                                     64,
                                     100,
                                     255,
                                     256,
                                     65535,
                                     0x7FFFFFFF,
                                     0x80000000,
                                     0xFFFFFFFF,
                                     UINT64_MAX,
                                     UINT64_C(1) << 63,
                                     UINT64_MAX >> 1,
                                     0x3FF0000000000000,
                                     0x3F800000,
                                     0x7F800000,
                                     0x7FF0000000000000,
                                     0xC1E0000000000000};
  uint64_t bits = special[below(g, COUNT_OF(special))];
  if (chance(g, 30)) bits = next_random(g) << below(g, 20);
  if (chance(g, 20)) bits = 0 - bits;
  return bits;
}

static void constant(Generator *g, char type) {
  uint64_t bits = random_bits(g);
  switch (type) {
    case 'i':
      put(g, OP_I32_CONST);
      buf_s32(g->out, (int32_t)(uint32_t)bits);
      break;
    case 'l':
      put(g, OP_I64_CONST);
      buf_s64(g->out, (int64_t)bits);
      break;
    case 'f': {
      uint32_t low = (uint32_t)bits;
      put(g, OP_F32_CONST);
      buf_bytes(g->out, &low, 4);
      break;
    }
    case 'd':
      put(g, OP_F64_CONST);
      buf_bytes(g->out, &bits, 8);
      break;
    default: {
      uint64_t high = random_bits(g);
      put(g, OP_V128_CONST);
      buf_bytes(g->out, &bits, 8);
      buf_bytes(g->out, &high, 8);
    }
  }
}

/* A local or global of the type; false when there is none. */
static bool variable(Generator *g, char type, Op op) {
  uint32_t first = below(g, g->n_locals + 1);
  for (uint32_t i = 0; i < g->n_locals; i++) {
    uint32_t local = (first + i) % g->n_locals;
    if (g->locals[local] != type) continue;
    put_index(g, op, local);
    return true;
  }
  return false;
}

static char global_type(const Generator *g, uint32_t index) {
  return index == 0 ? 'i' : letters[(index - 1) % g->n_letters];
}

static void leaf(Generator *g, char type) {
  if (chance(g, 60) && variable(g, type, OP_LOCAL_GET)) return;
  uint32_t global = 1 + index_of(type);
  if (chance(g, 30) && global < GLOBALS) {
    put_index(g, OP_GLOBAL_GET, global);
  } else {
    constant(g, type);
  }
}

/* Memory: mostly inside of the first 64 KiB. */

static void address(Generator *g, unsigned depth) {
  bool is_64 = g->options->is_64;
  expression(g, address_type(g), depth);
  if (chance(g, 8)) return;
  put(g, is_64 ? OP_I64_CONST : OP_I32_CONST);
  buf_s32(g->out, chance(g, 70) ? 0x3F : 0xFFF);
  put(g, is_64 ? OP_I64_AND : OP_I32_AND);
}

static void memarg(Generator *g) {
  buf_byte(g->out, 0);
  buf_u64(g->out, chance(g, 90) ? below(g, 40) : below(g, 200) * UINT64_C(65521));
}

static void access(Generator *g, Op op, char value, unsigned depth) {
  address(g, depth);
  if (value != 0) expression(g, value, depth);
  put(g, op);
  memarg(g);
}

/* Operations */

static void operation(Generator *g, Op op, unsigned depth) {
  const OpInfo *info = &op_info[op];
  for (const char *letter = info->sig; *letter != '>'; letter++) expression(g, *letter, depth);
  put(g, op);
  if (info->imm == IMM_LANE) {
    const char *x = strchr(info->text, 'x');
    buf_byte(g->out, (uint8_t)below(g, x[1] == '1' ? 16 : (uint32_t)(x[1] - '0')));
  } else if (info->imm == IMM_SHUFFLE) {
    for (unsigned i = 0; i < 16; i++) buf_byte(g->out, (uint8_t)below(g, 32));
  }
}

static void take_step(Generator *g) {
  put_index(g, OP_GLOBAL_GET, 0);
  put(g, OP_I32_CONST);
  buf_s32(g->out, -1);
  put(g, OP_I32_ADD);
  put_index(g, OP_GLOBAL_SET, 0);
  put_index(g, OP_GLOBAL_GET, 0);
  put(g, OP_I32_CONST);
  buf_s32(g->out, 0);
  put(g, OP_I32_LT_S);
  put(g, OP_IF);
  buf_byte(g->out, 0x40);
  put(g, OP_UNREACHABLE);
  put(g, OP_END);
}

static void arguments(Generator *g, const Signature *signature, unsigned depth) {
  for (const char *p = signature->params; *p; p++) expression(g, *p, depth);
}

/* A call whose first result has the type, others being dropped; false when nothing fits. */
static bool call(Generator *g, char type, unsigned depth) {
  uint32_t callee = g->func + 1 + below(g, FUNCS);
  if (callee >= FUNCS) return false;
  const Signature *signature = &g->signatures[callee];
  if (signature->results[0] != type) return false;
  arguments(g, signature, depth);
  bool is_indirect = g->func < FUNCS / 2 && callee >= FUNCS / 2 && chance(g, 40);
  if (is_indirect) {
    put(g, OP_I32_CONST);
    buf_s32(g->out, (int32_t)(chance(g, 95) ? callee - FUNCS / 2 : below(g, 8)));
    put_index(g, OP_CALL_INDIRECT, callee);
    buf_byte(g->out, 0);
  } else {
    put_index(g, OP_CALL, callee);
  }
  for (size_t i = 1; signature->results[0] && i < strlen(signature->results); i++) put(g, OP_DROP);
  return true;
}

/* Blocks */

static void push_label(Generator *g, char type) {
  g->labels[g->n_labels++] = (Label){type};
}
static void block_type(Generator *g, char type) {
  buf_byte(g->out, type != 0 ? type_code(type) : 0x40);
}

static void construct(Generator *g, char type, unsigned depth) {
  unsigned kind = below(g, 3);
  if (kind == 2) expression(g, 'i', depth);
  put(g, kind == 0 ? OP_BLOCK : kind == 1 ? OP_LOOP : OP_IF);
  block_type(g, type);
  push_label(g, kind == 1 ? 0 : type);
  if (kind == 1) take_step(g);
  statements(g, depth);
  if (type != 0) expression(g, type, depth);
  if (kind == 2 && (type != 0 || chance(g, 50))) {
    put(g, OP_ELSE);
    statements(g, depth);
    if (type != 0) expression(g, type, depth);
  }
  g->n_labels--;
  put(g, OP_END);
}

/* br_if or br_table to labels without a value, or with a value that stays. */
static void branch(Generator *g, unsigned depth) {
  uint32_t target = below(g, g->n_labels);
  char type = g->labels[g->n_labels - 1 - target].type;
  if (type != 0) expression(g, type, depth);
  expression(g, 'i', depth);
  put_index(g, OP_BR_IF, target);
  if (type != 0) put(g, OP_DROP);
}

static void branch_table(Generator *g, unsigned depth) {
  uint32_t targets[6], n = 0;
  for (uint32_t i = 0; i < g->n_labels && n < 5; i++)
    if (g->labels[g->n_labels - 1 - i].type == 0) targets[n++] = i;
  if (n == 0) return;
  put(g, OP_BLOCK);
  buf_byte(g->out, 0x40);
  push_label(g, 0);
  expression(g, 'i', depth);
  g->n_labels--;
  put_index(g, OP_BR_TABLE, n);
  for (uint32_t i = 0; i < n; i++) buf_u32(g->out, chance(g, 70) ? 0 : targets[below(g, n)] + 1);
  buf_u32(g->out, chance(g, 70) ? 0 : targets[below(g, n)] + 1);
  put(g, OP_END);
}

/* Expressions and statements */

static void expression(Generator *g, char type, unsigned depth) {
  g->budget--;
  if (depth >= DEPTH_MAX || g->budget <= 0 || chance(g, 15)) {
    leaf(g, type);
    return;
  }
  depth++;
  unsigned kind = below(g, 100), index = index_of(type);
  if (kind < 10 && g->n_accesses[index] != 0) {
    access(g, (Op)g->accesses[index][below(g, g->n_accesses[index])], 0, depth);
  } else if (kind < 18 && g->n_labels + 2 < LABELS_MAX) {
    construct(g, type, depth);
  } else if (kind < 24 && call(g, type, depth)) {
    return;
  } else if (kind < 30) {
    expression(g, type, depth);
    expression(g, type, depth);
    expression(g, 'i', depth);
    put(g, OP_SELECT);
  } else if (kind < 34) {
    expression(g, type, depth);
    if (!variable(g, type, OP_LOCAL_TEE)) return;
  } else if (kind < 36 && type == address_type(g)) {
    put_index(g, OP_MEMORY_SIZE, 0);
  } else if (kind < 37 && type == address_type(g)) {
    put(g, g->options->is_64 ? OP_I64_CONST : OP_I32_CONST);
    buf_s32(g->out, (int32_t)below(g, 2));
    put_index(g, OP_MEMORY_GROW, 0);
  } else {
    operation(g, (Op)g->rows[index][below(g, g->n_rows[index])], depth);
  }
}

static void statement(Generator *g, unsigned depth) {
  unsigned kind = below(g, 100);
  char type = random_type(g);
  g->budget--;
  if (kind < 35) {
    expression(g, type, depth);
    if (!variable(g, type, OP_LOCAL_SET)) put(g, OP_DROP);
  } else if (kind < 55) {
    unsigned index = LETTERS + index_of(type);
    access(g, (Op)g->accesses[index][below(g, g->n_accesses[index])], type, depth);
  } else if (kind < 65) {
    uint32_t global = 1 + index_of(type);
    expression(g, type, depth);
    put_index(g, OP_GLOBAL_SET, global);
  } else if (kind < 80 && g->n_labels + 2 < LABELS_MAX) {
    construct(g, 0, depth);
  } else if (kind < 92) {
    branch(g, depth);
  } else if (kind < 95 && g->n_labels + 2 < LABELS_MAX) {
    branch_table(g, depth);
  } else if (kind < 97) {
    address(g, depth);
    expression(g, 'i', depth);
    put(g, g->options->is_64 ? OP_I64_CONST : OP_I32_CONST);
    buf_s32(g->out, (int32_t)below(g, 40));
    put_index(g, OP_MEMORY_FILL, 0);
  } else {
    address(g, depth);
    address(g, depth);
    put(g, g->options->is_64 ? OP_I64_CONST : OP_I32_CONST);
    buf_s32(g->out, (int32_t)below(g, 40));
    put_index(g, OP_MEMORY_COPY, 0);
    buf_byte(g->out, 0);
  }
}

static void statements(Generator *g, unsigned depth) {
  for (uint32_t n = below(g, 4); n != 0 && g->budget > 0; n--) statement(g, depth + 1);
}

/* Modules */

static void choose_rows(Generator *g) {
  for (unsigned op = 0; op < OP_COUNT; op++) {
    const OpInfo *info = &op_info[op];
    const char *arrow = strchr(info->sig, '>');
    bool is_simd = (info->flags & OPF_SIMD) != 0;
    if ((info->flags & (OPF_PURE | OPF_SIMD)) && !(is_simd && !g->options->has_simd)) {
      unsigned index = index_of(arrow[1]);
      g->rows[index][g->n_rows[index]++] = (uint16_t)op;
    } else if ((info->flags & (OPF_LOAD | OPF_STORE)) && !(info->flags & OPF_ATOMIC) &&
               info->imm == IMM_MEMARG && (info->prefix == 0 || g->options->has_simd)) {
      bool is_load = (info->flags & OPF_LOAD) != 0;
      unsigned index = is_load ? index_of(arrow[1]) : LETTERS + index_of(info->sig[1]);
      g->accesses[index][g->n_accesses[index]++] = (uint16_t)op;
    }
  }
}

static void choose_signatures(Generator *g) {
  for (unsigned f = 0; f < FUNCS; f++) {
    Signature *signature = &g->signatures[f];
    uint32_t n_params = below(g, PARAMS_MAX + 1), n_results = chance(g, 80) ? 1 : below(g, 3);
    for (uint32_t i = 0; i < n_params; i++) signature->params[i] = random_type(g);
    for (uint32_t i = 0; i < n_results; i++) signature->results[i] = random_type(g);
  }
}

/* A section's contents are made in a buffer of their own. */
static void section(Buf *out, uint8_t id, const Buf *contents) {
  buf_byte(out, id);
  buf_u32(out, (uint32_t)contents->size);
  buf_bytes(out, contents->at, contents->size);
}

static void type_section(Generator *g, Buf *out) {
  Buf s;
  buf_init(&s, out->arena);
  buf_u32(&s, FUNCS + 1);
  for (unsigned f = 0; f <= FUNCS; f++) {
    static const Signature none;
    const Signature *signature = f < FUNCS ? &g->signatures[f] : &none;
    buf_byte(&s, 0x60);
    buf_u32(&s, (uint32_t)strlen(signature->params));
    for (const char *p = signature->params; *p; p++) buf_byte(&s, type_code(*p));
    buf_u32(&s, (uint32_t)strlen(signature->results));
    for (const char *p = signature->results; *p; p++) buf_byte(&s, type_code(*p));
  }
  section(out, 1, &s);
}

static void index_sections(Generator *g, Buf *out) {
  Buf s;
  buf_init(&s, out->arena);
  buf_u32(&s, FUNCS + 1);
  for (uint32_t f = 0; f <= FUNCS; f++) buf_u32(&s, f);
  section(out, 3, &s);
  buf_init(&s, out->arena);
  buf_bytes(&s, (const uint8_t[]){1, 0x70, 0, FUNCS}, 4);
  section(out, 4, &s);
  buf_init(&s, out->arena);
  buf_bytes(&s, (const uint8_t[]){1, g->options->is_64 ? 5 : 1, 1, 3}, 4);
  section(out, 5, &s);
}

static void global_section(Generator *g, Buf *out) {
  Buf s, *saved = g->out;
  buf_init(&s, out->arena);
  g->out = &s;
  buf_u32(&s, GLOBALS);
  for (uint32_t i = 0; i < GLOBALS; i++) {
    char type = global_type(g, i);
    buf_byte(&s, type_code(type));
    buf_byte(&s, 1);
    constant(g, type);
    put(g, OP_END);
  }
  g->out = saved;
  section(out, 6, &s);
}

static void export_one(Buf *s, const char *name, int number, uint8_t kind, uint32_t index) {
  Buf name_buf;
  buf_init(&name_buf, s->arena);
  buf_str(&name_buf, name);
  if (number >= 0) buf_printf(&name_buf, "%d", number);
  buf_u32(s, (uint32_t)name_buf.size);
  buf_bytes(s, name_buf.at, name_buf.size);
  buf_byte(s, kind);
  buf_u32(s, index);
}

static void export_section(Buf *out) {
  Buf s;
  buf_init(&s, out->arena);
  buf_u32(&s, FUNCS + 1 + 1 + GLOBALS);
  for (int f = 0; f < FUNCS; f++) export_one(&s, "f", f, 0, (uint32_t)f);
  export_one(&s, "reset", -1, 0, FUNCS);
  export_one(&s, "m", -1, 2, 0);
  for (int i = 0; i < GLOBALS; i++) export_one(&s, "g", i, 3, (uint32_t)i);
  section(out, 7, &s);
}

static void element_section(Buf *out) {
  Buf s;
  buf_init(&s, out->arena);
  buf_bytes(&s, (const uint8_t[]){1, 0, 0x41, 0, 0x0B}, 5);
  buf_u32(&s, FUNCS - FUNCS / 2);
  for (uint32_t f = FUNCS / 2; f < FUNCS; f++) buf_u32(&s, f);
  section(out, 9, &s);
}

static void body(Generator *g, Buf *out) {
  Buf s;
  buf_init(&s, out->arena);
  g->out = &s;
  const Signature *signature = &g->signatures[g->func];
  uint32_t n_params = (uint32_t)strlen(signature->params), n_own = 3 + below(g, 8);
  memcpy(g->locals, signature->params, n_params);
  g->n_locals = n_params + n_own;
  buf_u32(&s, n_own);
  for (uint32_t i = n_params; i < g->n_locals; i++) {
    g->locals[i] = random_type(g);
    buf_u32(&s, 1);
    buf_byte(&s, type_code(g->locals[i]));
  }
  g->budget = (int)g->options->size;
  g->n_labels = 0;
  take_step(g);
  put(g, OP_BLOCK);
  buf_byte(&s, 0x40);
  push_label(g, 0);
  while (g->budget > 0) statement(g, 0);
  put(g, OP_END);
  g->n_labels = 0;
  g->budget = 6;
  for (const char *p = signature->results; *p; p++) expression(g, *p, DEPTH_MAX - 1);
  put(g, OP_END);
  buf_u32(out, (uint32_t)s.size);
  buf_bytes(out, s.at, s.size);
}

static void reset_body(Generator *g, Buf *out) {
  Buf s;
  buf_init(&s, out->arena);
  g->out = &s;
  buf_u32(&s, 0);
  put(g, OP_I32_CONST);
  buf_s32(&s, STEPS);
  put_index(g, OP_GLOBAL_SET, 0);
  put(g, OP_END);
  buf_u32(out, (uint32_t)s.size);
  buf_bytes(out, s.at, s.size);
}

static void code_section(Generator *g, Buf *out) {
  Buf s;
  buf_init(&s, out->arena);
  buf_u32(&s, FUNCS + 1);
  for (g->func = 0; g->func < FUNCS; g->func++) body(g, &s);
  reset_body(g, &s);
  section(out, 10, &s);
}

void generate_module(Buf *out, uint64_t seed, const GenerateOptions *options) {
  Generator *g = ARENA_NEW(out->arena, Generator);
  g->out = out;
  g->state = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15) | 1;
  for (unsigned i = 0; i < 8; i++) next_random(g);
  g->options = options;
  g->n_letters = options->has_simd ? 5 : 4;
  choose_rows(g);
  choose_signatures(g);
  buf_bytes(out, "\0asm\1\0\0\0", 8);
  type_section(g, out);
  index_sections(g, out);
  global_section(g, out);
  export_section(out);
  element_section(out);
  code_section(g, out);
}
