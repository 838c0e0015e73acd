/* generate.c - random modules, typed by construction: an expression of a type is made of a random
 * row of opcodes.def with that result and expressions of its operands' types.
 *
 * Every loop iteration and every call takes a step from global 0. Functions call only those behind
 * them, and through the table only those of the last half, which call through no table.
 */
#include "generate_int.h"

static const char letters[] = "ilfdv";

static uint64_t next_random(Generator *g) { /* xorshift64* */
  g->state ^= g->state >> 12;
  g->state ^= g->state << 25;
  g->state ^= g->state >> 27;
  return g->state * UINT64_C(2685821657736338717) >> 8;
}
uint32_t gen_below(Generator *g, uint32_t n) {
  return (uint32_t)(next_random(g) % n);
}
bool gen_chance(Generator *g, uint32_t percent) {
  return gen_below(g, 100) < percent;
}

static unsigned index_of(char letter) {
  return (unsigned)(strchr(letters, letter) - letters);
}
char gen_random_type(Generator *g) {
  return letters[gen_below(g, g->n_letters)];
}
void gen_put_type(Buf *out, char letter) {
  static const uint8_t codes[] = {0x7F, 0x7E, 0x7D, 0x7C, 0x7B};
  if (gen_is_ref(letter)) {
    gen_put_ref_type(out, letter);
  } else {
    buf_byte(out, codes[index_of(letter)]);
  }
}
static char address_type(const Generator *g) {
  return g->options->is_64 ? 'l' : 'i';
}

void gen_put(Generator *g, Op op) {
  const OpInfo *info = &op_info[op];
  if (info->prefix == 0) {
    buf_byte(g->out, (uint8_t)info->code);
  } else {
    buf_byte(g->out, info->prefix);
    buf_u32(g->out, info->code);
  }
}
void gen_put_index(Generator *g, Op op, uint32_t index) {
  gen_put(g, op);
  buf_u32(g->out, index);
}

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
  uint64_t bits = special[gen_below(g, COUNT_OF(special))];
  if (gen_chance(g, 30)) bits = next_random(g) << gen_below(g, 20);
  if (gen_chance(g, 20)) bits = 0 - bits;
  return bits;
}

void gen_constant(Generator *g, char type) {
  uint64_t bits = random_bits(g);
  switch (type) {
    case 'i':
      gen_put(g, OP_I32_CONST);
      buf_s32(g->out, (int32_t)(uint32_t)bits);
      break;
    case 'l':
      gen_put(g, OP_I64_CONST);
      buf_s64(g->out, (int64_t)bits);
      break;
    case 'f': {
      uint32_t low = (uint32_t)bits;
      gen_put(g, OP_F32_CONST);
      buf_bytes(g->out, &low, 4);
      break;
    }
    case 'd':
      gen_put(g, OP_F64_CONST);
      buf_bytes(g->out, &bits, 8);
      break;
    default: {
      uint64_t high = random_bits(g);
      gen_put(g, OP_V128_CONST);
      buf_bytes(g->out, &bits, 8);
      buf_bytes(g->out, &high, 8);
    }
  }
}

/* A local or global of the type; false when there is none. */
bool gen_variable(Generator *g, char type, Op op) {
  uint32_t first = gen_below(g, g->n_locals + 1);
  for (uint32_t i = 0; i < g->n_locals; i++) {
    uint32_t local = (first + i) % g->n_locals;
    if (g->locals[local] != type) continue;
    gen_put_index(g, op, local);
    return true;
  }
  return false;
}

static char global_type(const Generator *g, uint32_t index) {
  return index == 0 ? 'i' : letters[(index - 1) % g->n_letters];
}

static void leaf(Generator *g, char type) {
  if (gen_chance(g, 60) && gen_variable(g, type, OP_LOCAL_GET)) return;
  uint32_t global = 1 + index_of(type);
  if (gen_chance(g, 30) && global < GLOBALS) {
    gen_put_index(g, OP_GLOBAL_GET, global);
  } else {
    gen_constant(g, type);
  }
}

/* Memory: mostly inside of the first 64 KiB. */

static void address(Generator *g, unsigned depth) {
  bool is_64 = g->options->is_64;
  gen_expression(g, address_type(g), depth);
  if (gen_chance(g, 8)) return;
  gen_put(g, is_64 ? OP_I64_CONST : OP_I32_CONST);
  buf_s32(g->out, gen_chance(g, 70) ? 0x3F : 0xFFF);
  gen_put(g, is_64 ? OP_I64_AND : OP_I32_AND);
}

static void memarg(Generator *g) {
  buf_byte(g->out, 0);
  buf_u64(g->out, gen_chance(g, 90) ? gen_below(g, 40) : gen_below(g, 200) * UINT64_C(65521));
}

static void access(Generator *g, Op op, char value, unsigned depth) {
  address(g, depth);
  if (value != 0) gen_expression(g, value, depth);
  gen_put(g, op);
  memarg(g);
}

/* Operations */

static void operation(Generator *g, Op op, unsigned depth) {
  const OpInfo *info = &op_info[op];
  for (const char *letter = info->sig; *letter != '>'; letter++) gen_expression(g, *letter, depth);
  gen_put(g, op);
  if (info->imm == IMM_LANE) {
    const char *x = strchr(info->text, 'x');
    buf_byte(g->out, (uint8_t)gen_below(g, x[1] == '1' ? 16 : (uint32_t)(x[1] - '0')));
  } else if (info->imm == IMM_SHUFFLE) {
    for (unsigned i = 0; i < 16; i++) buf_byte(g->out, (uint8_t)gen_below(g, 32));
  }
}

static void take_step(Generator *g) {
  gen_put_index(g, OP_GLOBAL_GET, 0);
  gen_put(g, OP_I32_CONST);
  buf_s32(g->out, -1);
  gen_put(g, OP_I32_ADD);
  gen_put_index(g, OP_GLOBAL_SET, 0);
  gen_put_index(g, OP_GLOBAL_GET, 0);
  gen_put(g, OP_I32_CONST);
  buf_s32(g->out, 0);
  gen_put(g, OP_I32_LT_S);
  gen_put(g, OP_IF);
  buf_byte(g->out, 0x40);
  gen_put(g, OP_UNREACHABLE);
  gen_put(g, OP_END);
}

void gen_arguments(Generator *g, const Signature *signature, unsigned depth) {
  for (const char *p = signature->params; *p; p++) gen_expression(g, *p, depth);
}

/* A call whose first result has the type, others being dropped; false when nothing fits. */
static bool call(Generator *g, char type, unsigned depth) {
  uint32_t callee = g->func + 1 + gen_below(g, FUNCS);
  if (callee >= FUNCS) return false;
  const Signature *signature = &g->signatures[callee];
  if (signature->results[0] != type) return false;
  gen_arguments(g, signature, depth);
  bool is_indirect = g->func < FUNCS / 2 && callee >= FUNCS / 2 && gen_chance(g, 40);
  if (is_indirect) {
    gen_put(g, OP_I32_CONST);
    buf_s32(g->out, (int32_t)(gen_chance(g, 95) ? callee - FUNCS / 2 : gen_below(g, 8)));
    gen_put_index(g, OP_CALL_INDIRECT, callee);
    buf_byte(g->out, 0);
  } else {
    gen_put_index(g, OP_CALL, callee);
  }
  for (size_t i = 1; signature->results[0] && i < strlen(signature->results); i++)
    gen_put(g, OP_DROP);
  return true;
}

/* Blocks */

void gen_push_label(Generator *g, char type) {
  g->labels[g->n_labels++] = (Label){type};
}
static void block_type(Generator *g, char type) {
  if (type != 0) {
    gen_put_type(g->out, type);
  } else {
    buf_byte(g->out, 0x40);
  }
}

static void construct(Generator *g, char type, unsigned depth) {
  unsigned kind = gen_below(g, 3);
  if (kind == 2) gen_expression(g, 'i', depth);
  gen_put(g, kind == 0 ? OP_BLOCK : kind == 1 ? OP_LOOP : OP_IF);
  block_type(g, type);
  gen_push_label(g, kind == 1 ? 0 : type);
  if (kind == 1) take_step(g);
  gen_statements(g, depth);
  if (type != 0) gen_expression(g, type, depth);
  if (kind == 2 && (type != 0 || gen_chance(g, 50))) {
    gen_put(g, OP_ELSE);
    gen_statements(g, depth);
    if (type != 0) gen_expression(g, type, depth);
  }
  g->n_labels--;
  gen_put(g, OP_END);
}

/* br_if or br_table to labels without a value, or with a value that stays. */
static void branch(Generator *g, unsigned depth) {
  uint32_t target = gen_below(g, g->n_labels);
  char type = g->labels[g->n_labels - 1 - target].type;
  if (type == GEN_EXNREF) return;
  if (type != 0) gen_expression(g, type, depth);
  gen_expression(g, 'i', depth);
  gen_put_index(g, OP_BR_IF, target);
  if (type != 0) gen_put(g, OP_DROP);
}

static void branch_table(Generator *g, unsigned depth) {
  uint32_t targets[6], n = 0;
  for (uint32_t i = 0; i < g->n_labels && n < 5; i++)
    if (g->labels[g->n_labels - 1 - i].type == 0) targets[n++] = i;
  if (n == 0) return;
  gen_put(g, OP_BLOCK);
  buf_byte(g->out, 0x40);
  gen_push_label(g, 0);
  gen_expression(g, 'i', depth);
  g->n_labels--;
  gen_put_index(g, OP_BR_TABLE, n);
  for (uint32_t i = 0; i < n; i++)
    buf_u32(g->out, gen_chance(g, 70) ? 0 : targets[gen_below(g, n)] + 1);
  buf_u32(g->out, gen_chance(g, 70) ? 0 : targets[gen_below(g, n)] + 1);
  gen_put(g, OP_END);
}

/* Expressions and statements */

void gen_expression(Generator *g, char type, unsigned depth) {
  g->budget--;
  if (gen_is_ref(type)) {
    gen_ref_expression(g, type, depth);
    return;
  }
  if (depth >= DEPTH_MAX || g->budget <= 0 || gen_chance(g, 15)) {
    leaf(g, type);
    return;
  }
  depth++;
  if (g->options->has_refs && gen_chance(g, 15) && gen_from_ref(g, type, depth)) return;
  unsigned kind = gen_below(g, 100), index = index_of(type);
  if (kind < 10 && g->n_accesses[index] != 0) {
    access(g, (Op)g->accesses[index][gen_below(g, g->n_accesses[index])], 0, depth);
  } else if (kind < 18 && g->n_labels + 2 < LABELS_MAX) {
    construct(g, type, depth);
  } else if (kind < 24 && call(g, type, depth)) {
    return;
  } else if (kind < 30) {
    gen_expression(g, type, depth);
    gen_expression(g, type, depth);
    gen_expression(g, 'i', depth);
    gen_put(g, OP_SELECT);
  } else if (kind < 34) {
    gen_expression(g, type, depth);
    if (!gen_variable(g, type, OP_LOCAL_TEE)) return;
  } else if (kind < 36 && type == address_type(g)) {
    gen_put_index(g, OP_MEMORY_SIZE, 0);
  } else if (kind < 37 && type == address_type(g)) {
    gen_put(g, g->options->is_64 ? OP_I64_CONST : OP_I32_CONST);
    buf_s32(g->out, (int32_t)gen_below(g, 2));
    gen_put_index(g, OP_MEMORY_GROW, 0);
  } else {
    operation(g, (Op)g->rows[index][gen_below(g, g->n_rows[index])], depth);
  }
}

static void statement(Generator *g, unsigned depth) {
  unsigned kind = gen_below(g, 100);
  char type = gen_random_type(g);
  g->budget--;
  if (g->options->has_refs && gen_chance(g, 30)) {
    gen_ref_statement(g, depth);
    return;
  }
  if (kind < 35) {
    gen_expression(g, type, depth);
    if (!gen_variable(g, type, OP_LOCAL_SET)) gen_put(g, OP_DROP);
  } else if (kind < 55) {
    unsigned index = LETTERS + index_of(type);
    access(g, (Op)g->accesses[index][gen_below(g, g->n_accesses[index])], type, depth);
  } else if (kind < 65) {
    uint32_t global = 1 + index_of(type);
    gen_expression(g, type, depth);
    gen_put_index(g, OP_GLOBAL_SET, global);
  } else if (kind < 80 && g->n_labels + 2 < LABELS_MAX) {
    construct(g, 0, depth);
  } else if (kind < 92) {
    branch(g, depth);
  } else if (kind < 95 && g->n_labels + 2 < LABELS_MAX) {
    branch_table(g, depth);
  } else if (kind < 97) {
    address(g, depth);
    gen_expression(g, 'i', depth);
    gen_put(g, g->options->is_64 ? OP_I64_CONST : OP_I32_CONST);
    buf_s32(g->out, (int32_t)gen_below(g, 40));
    gen_put_index(g, OP_MEMORY_FILL, 0);
  } else {
    address(g, depth);
    address(g, depth);
    gen_put(g, g->options->is_64 ? OP_I64_CONST : OP_I32_CONST);
    buf_s32(g->out, (int32_t)gen_below(g, 40));
    gen_put_index(g, OP_MEMORY_COPY, 0);
    buf_byte(g->out, 0);
  }
}

void gen_statements(Generator *g, unsigned depth) {
  for (uint32_t n = gen_below(g, 4); n != 0 && g->budget > 0; n--) statement(g, depth + 1);
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
    uint32_t n_params = gen_below(g, PARAMS_MAX + 1),
             n_results = gen_chance(g, 80) ? 1 : gen_below(g, 3);
    for (uint32_t i = 0; i < n_params; i++) signature->params[i] = gen_random_type(g);
    for (uint32_t i = 0; i < n_results; i++) signature->results[i] = gen_random_type(g);
  }
}

/* A section's contents are made in a buffer of their own. */
void gen_section(Buf *out, uint8_t id, const Buf *contents) {
  buf_byte(out, id);
  buf_u32(out, (uint32_t)contents->size);
  buf_bytes(out, contents->at, contents->size);
}

static void type_section(Generator *g, Buf *out) {
  Buf s;
  buf_init(&s, out->arena);
  buf_u32(&s, FUNCS + 1 + (g->options->has_refs ? GEN_REF_TYPES : 0));
  for (unsigned f = 0; f <= FUNCS; f++) {
    static const Signature none;
    const Signature *signature = f < FUNCS ? &g->signatures[f] : &none;
    buf_byte(&s, 0x60);
    buf_u32(&s, (uint32_t)strlen(signature->params));
    for (const char *p = signature->params; *p; p++) gen_put_type(&s, *p);
    buf_u32(&s, (uint32_t)strlen(signature->results));
    for (const char *p = signature->results; *p; p++) gen_put_type(&s, *p);
  }
  if (g->options->has_refs) gen_ref_types(&s);
  gen_section(out, 1, &s);
}

static void index_sections(Generator *g, Buf *out) {
  Buf s;
  buf_init(&s, out->arena);
  buf_u32(&s, FUNCS + 1);
  for (uint32_t f = 0; f <= FUNCS; f++) buf_u32(&s, f);
  gen_section(out, 3, &s);
  buf_init(&s, out->arena);
  if (g->options->has_refs) {
    buf_bytes(&s, (const uint8_t[]){2, 0x70, 0, FUNCS, 0x6E, 0, GEN_REF_TABLE}, 7);
  } else {
    buf_bytes(&s, (const uint8_t[]){1, 0x70, 0, FUNCS}, 4);
  }
  gen_section(out, 4, &s);
  buf_init(&s, out->arena);
  buf_bytes(&s, (const uint8_t[]){1, g->options->is_64 ? 5 : 1, 1, 3}, 4);
  gen_section(out, 5, &s);
  if (g->options->has_refs) gen_ref_tags(out);
}

static void global_section(Generator *g, Buf *out) {
  Buf s, *saved = g->out;
  buf_init(&s, out->arena);
  g->out = &s;
  buf_u32(&s, GLOBALS + (g->options->has_refs ? GEN_REF_GLOBALS : 0));
  for (uint32_t i = 0; i < GLOBALS; i++) {
    char type = global_type(g, i);
    gen_put_type(&s, type);
    buf_byte(&s, 1);
    gen_constant(g, type);
    gen_put(g, OP_END);
  }
  if (g->options->has_refs) gen_ref_globals(g);
  g->out = saved;
  gen_section(out, 6, &s);
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
  gen_section(out, 7, &s);
}

static void element_section(Buf *out) {
  Buf s;
  buf_init(&s, out->arena);
  buf_bytes(&s, (const uint8_t[]){1, 0, 0x41, 0, 0x0B}, 5);
  buf_u32(&s, FUNCS - FUNCS / 2);
  for (uint32_t f = FUNCS / 2; f < FUNCS; f++) buf_u32(&s, f);
  gen_section(out, 9, &s);
}

static void body(Generator *g, Buf *out) {
  Buf s;
  buf_init(&s, out->arena);
  g->out = &s;
  const Signature *signature = &g->signatures[g->func];
  uint32_t n_params = (uint32_t)strlen(signature->params),
           n_own = 3 + gen_below(g, g->options->has_refs ? 14 : 8);
  memcpy(g->locals, signature->params, n_params);
  g->n_locals = n_params + n_own;
  buf_u32(&s, n_own);
  for (uint32_t i = n_params; i < g->n_locals; i++) {
    g->locals[i] =
        g->options->has_refs && gen_chance(g, 40) ? gen_random_ref(g) : gen_random_type(g);
    buf_u32(&s, 1);
    gen_put_type(&s, g->locals[i]);
  }
  g->budget = (int)g->options->size;
  g->n_labels = 0;
  take_step(g);
  if (g->options->has_refs) gen_set_refs(g, n_params);
  gen_put(g, OP_BLOCK);
  buf_byte(&s, 0x40);
  gen_push_label(g, 0);
  while (g->budget > 0) statement(g, 0);
  gen_put(g, OP_END);
  g->n_labels = 0;
  g->budget = 6;
  for (const char *p = signature->results; *p; p++) gen_expression(g, *p, DEPTH_MAX - 1);
  gen_put(g, OP_END);
  buf_u32(out, (uint32_t)s.size);
  buf_bytes(out, s.at, s.size);
}

static void reset_body(Generator *g, Buf *out) {
  Buf s;
  buf_init(&s, out->arena);
  g->out = &s;
  buf_u32(&s, 0);
  gen_put(g, OP_I32_CONST);
  buf_s32(&s, STEPS);
  gen_put_index(g, OP_GLOBAL_SET, 0);
  gen_put(g, OP_END);
  buf_u32(out, (uint32_t)s.size);
  buf_bytes(out, s.at, s.size);
}

static void code_section(Generator *g, Buf *out) {
  Buf s;
  buf_init(&s, out->arena);
  buf_u32(&s, FUNCS + 1);
  for (g->func = 0; g->func < FUNCS; g->func++) body(g, &s);
  reset_body(g, &s);
  gen_section(out, 10, &s);
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
