/* print_code.c - instructions, constant expressions and functions as text; one case for each row of
 * imm.def. Spec: 3.0, "Text Format", "Instructions".
 *
 * The order of immediates in the text is not always that of the binary: memory.init, table.init and
 * call_indirect swap theirs. An index of 0 is left out where the text allows it; table.get and its
 * like keep theirs, because some other readers of the format ask for it.
 */
#include "../base/number.h"
#include "print.h"

enum {
  DEEPEST_INDENT = 16, /* levels; deeper code stands below each other */
  MOST_LOCALS = 50000, /* of a function, as the validator allows them */
};

Reader print_reader(const Printer *printer, uint32_t at, uint32_t end) {
  const uint8_t *bytes = printer->module->bytes;
  return (Reader){.at = bytes + at,
                  .end = bytes + end,
                  .start = bytes,
                  .guard = printer->guard,
                  .section = "code",
                  .func = printer->func == NO_INDEX ? ERROR_NO_FUNC : printer->func};
}

static void put_spaced_number(Printer *printer, uint64_t x) {
  print_char(printer, ' ');
  print_number(printer, x);
}

/* --- constants --- */

static void put_signed(Printer *printer, int64_t x) {
  print_text(printer, x < 0 ? " -" : " ");
  print_number(printer, x < 0 ? 0 - (uint64_t)x : (uint64_t)x);
}

static void put_f32(Printer *printer, uint32_t bits) {
  char text[NUMBER_TEXT];
  size_t n = print_f32(bits, text);
  print_char(printer, ' ');
  buf_bytes(&printer->out, text, n);
}

static void put_f64(Printer *printer, uint64_t bits) {
  char text[NUMBER_TEXT];
  size_t n = print_f64(bits, text);
  print_char(printer, ' ');
  buf_bytes(&printer->out, text, n);
}

static void put_v128(Printer *printer, const uint8_t *bytes) {
  print_text(printer, " i32x4");
  for (unsigned i = 0; i < 4; i++)
    buf_printf(&printer->out, " 0x%08x", (unsigned)load_u32(bytes + 4 * i));
}

static void put_lanes(Printer *printer, const uint8_t *lanes) {
  for (unsigned i = 0; i < 16; i++) put_spaced_number(printer, lanes[i]);
}

/* --- immediates --- */

static void put_optional_index(Printer *printer, NameSpace space, uint32_t index) {
  if (index != 0) print_index(printer, space, index);
}

static void put_index_pair(Printer *printer, NameSpace space, const Instr *instr) {
  if (instr->index == 0 && instr->index2 == 0) return;
  print_index(printer, space, instr->index);
  print_index(printer, space, instr->index2);
}

static void put_type_and(Printer *printer, NameSpace space, const Instr *instr) {
  print_index(printer, NAMES_TYPES, instr->index);
  print_index(printer, space, instr->index2);
}

static void put_memarg(Printer *printer, const Instr *instr) {
  const MemArg *memarg = &instr->memarg;
  put_optional_index(printer, NAMES_MEMORIES, memarg->memory);
  if (memarg->offset != 0) {
    print_text(printer, " offset=");
    print_number(printer, memarg->offset);
  }
  uint64_t align = (uint64_t)1 << memarg->align_log2;
  if (align != op_info[instr->op].width) {
    print_text(printer, " align=");
    print_number(printer, align);
  }
}

static void put_block_type(Printer *printer, const BlockType *block) {
  switch (block->kind) {
    case BLOCK_EMPTY: break;
    case BLOCK_RESULT: print_results(printer, &block->result, 1); break;
    case BLOCK_INDEX: print_type_use(printer, block->index, false); break;
  }
}

/* A reader of the vector that an instruction holds. */
static Reader vector_reader(const Printer *printer, const Instr *instr) {
  Reader reader = print_reader(printer, 0, printer->module->size);
  reader.at = instr->labels.bytes;
  return reader;
}

static void put_labels(Printer *printer, const Instr *instr) {
  Reader reader = vector_reader(printer, instr);
  for (uint32_t i = 0; i < instr->labels.count; i++) print_label(printer, read_u32(&reader));
  print_label(printer, instr->default_label);
}

static void put_select(Printer *printer, const Instr *instr) {
  Reader reader = vector_reader(printer, instr);
  print_text(printer, " (result");
  for (uint32_t i = 0; i < instr->labels.count; i++)
    print_val_type(printer, read_val_type(&reader));
  print_char(printer, ')');
}

static void put_catches(Printer *printer, const Instr *instr) {
  static const char *const words[] = {" (catch", " (catch_ref", " (catch_all", " (catch_all_ref"};
  Reader reader = vector_reader(printer, instr);
  for (uint32_t i = 0; i < instr->labels.count; i++) {
    CatchClause clause = read_catch(&reader);
    print_text(printer, words[clause.kind]);
    if (clause.kind <= CATCH_REF) print_index(printer, NAMES_TAGS, clause.tag);
    print_label(printer, clause.label);
    print_char(printer, ')');
  }
}

static void put_call_table(Printer *printer, const Instr *instr) {
  put_optional_index(printer, NAMES_TABLES, instr->index2);
  print_text(printer, " (type");
  print_index(printer, NAMES_TYPES, instr->index);
  print_char(printer, ')');
}

static void put_br_cast(Printer *printer, const Instr *instr) {
  print_label(printer, instr->index);
  print_val_type(printer, instr->type);
  print_val_type(printer, instr->type2);
}

static void put_immediates(Printer *printer, const Instr *instr) {
  switch ((ImmKind)op_info[instr->op].imm) {
    case IMM_NONE:
    case IMM_FENCE: break;
    case IMM_BLOCK: put_block_type(printer, &instr->block); break;
    case IMM_TRY_TABLE:
      put_block_type(printer, &instr->block);
      put_catches(printer, instr);
      break;
    case IMM_LABEL: print_label(printer, instr->index); break;
    case IMM_LABELS: put_labels(printer, instr); break;
    case IMM_FUNC: print_index(printer, NAMES_FUNCS, instr->index); break;
    case IMM_TYPE: print_index(printer, NAMES_TYPES, instr->index); break;
    case IMM_CALL_TABLE: put_call_table(printer, instr); break;
    case IMM_LOCAL: print_local(printer, instr->index); break;
    case IMM_GLOBAL: print_index(printer, NAMES_GLOBALS, instr->index); break;
    case IMM_TABLE: print_index(printer, NAMES_TABLES, instr->index); break;
    case IMM_TABLE2: put_index_pair(printer, NAMES_TABLES, instr); break;
    case IMM_ELEM_TABLE:
      put_optional_index(printer, NAMES_TABLES, instr->index2);
      print_index(printer, NAMES_ELEMS, instr->index);
      break;
    case IMM_ELEM: print_index(printer, NAMES_ELEMS, instr->index); break;
    case IMM_DATA: print_index(printer, NAMES_DATAS, instr->index); break;
    case IMM_DATA_MEMORY:
      put_optional_index(printer, NAMES_MEMORIES, instr->index2);
      print_index(printer, NAMES_DATAS, instr->index);
      break;
    case IMM_MEMORY: put_optional_index(printer, NAMES_MEMORIES, instr->index); break;
    case IMM_MEMORY2: put_index_pair(printer, NAMES_MEMORIES, instr); break;
    case IMM_MEMARG: put_memarg(printer, instr); break;
    case IMM_MEMARG_LANE:
      put_memarg(printer, instr);
      put_spaced_number(printer, instr->lane);
      break;
    case IMM_LANE: put_spaced_number(printer, instr->lane); break;
    case IMM_SHUFFLE: put_lanes(printer, instr->v128); break;
    case IMM_V128: put_v128(printer, instr->v128); break;
    case IMM_I32:
    case IMM_I64: put_signed(printer, (int64_t)instr->u64); break;
    case IMM_F32: put_f32(printer, (uint32_t)instr->u64); break;
    case IMM_F64: put_f64(printer, instr->u64); break;
    case IMM_HEAP: print_heap(printer, type_heap(instr->type)); break;
    case IMM_REF_NULL: print_val_type(printer, instr->type); break;
    case IMM_SELECT: put_select(printer, instr); break;
    case IMM_TAG: print_index(printer, NAMES_TAGS, instr->index); break;
    case IMM_TYPE_FIELD:
      print_index(printer, NAMES_TYPES, instr->index);
      print_field_index(printer, instr->index, instr->index2);
      break;
    case IMM_TYPE_COUNT:
      print_index(printer, NAMES_TYPES, instr->index);
      put_spaced_number(printer, instr->index2);
      break;
    case IMM_TYPE_DATA: put_type_and(printer, NAMES_DATAS, instr); break;
    case IMM_TYPE_ELEM: put_type_and(printer, NAMES_ELEMS, instr); break;
    case IMM_TYPE2: put_type_and(printer, NAMES_TYPES, instr); break;
    case IMM_BR_CAST: put_br_cast(printer, instr); break;
  }
}

/* --- blocks --- */

static bool opens_block(Op op) {
  return op_info[op].imm == IMM_BLOCK || op_info[op].imm == IMM_TRY_TABLE;
}

static bool closes_block(Op op) {
  return op == OP_END || op == OP_DELEGATE;
}

/* Stands as far left as its block, which goes on. */
static bool divides_block(Op op) {
  return op == OP_ELSE || op == OP_CATCH || op == OP_CATCH_ALL;
}

/* Names and types come before the block's own label counts. */
static void put_block(Printer *printer, const Instr *instr) {
  Str name;
  OpenLabel label = print_next_label(printer, &name);
  print_text(printer, op_info[instr->op].text);
  print_ident(printer, label.ident, name);
  put_immediates(printer, instr);
  if (!label.ident.at) {
    print_text(printer, " (;@");
    print_number(printer, printer->labels.n);
    print_text(printer, ";)");
  }
  print_open_label(printer, label);
}

static void put_instr(Printer *printer, const Instr *instr) {
  if (opens_block(instr->op)) return put_block(printer, instr);
  print_text(printer, op_info[instr->op].text);
  put_immediates(printer, instr);
}

/* --- constant expressions --- */

static void put_instrs_inline(Printer *printer, Reader *reader) {
  Instr instr;
  for (instr_read(reader, &instr); reader->at < reader->end; instr_read(reader, &instr)) {
    if (closes_block(instr.op) && printer->labels.n > 1) print_close_label(printer);
    print_char(printer, ' ');
    put_instr(printer, &instr);
  }
}

void print_expr(Printer *printer, ConstExpr expr, const char *word) {
  Reader reader = print_reader(printer, expr.at, expr.end);
  Instr instr;
  instr_read(&reader, &instr);
  bool is_single = instr.op != OP_END && !opens_block(instr.op) && reader.end - reader.at == 1;
  printer->labels.n = 0;
  print_open_label(printer, (OpenLabel){.name = NO_INDEX});
  if (is_single) {
    print_text(printer, " (");
    put_instr(printer, &instr);
    print_char(printer, ')');
    return;
  }
  if (word) {
    print_text(printer, " (");
    print_text(printer, word);
  }
  reader.at = printer->module->bytes + expr.at;
  put_instrs_inline(printer, &reader);
  if (word) print_char(printer, ')');
}

/* --- functions --- */

static void start_line(Printer *printer, Op op) {
  static const char spaces[] = "\n                                  ";
  _Static_assert(sizeof spaces == 1 + 2 + 2 * DEEPEST_INDENT + 1, "as many as the deepest needs");
  uint32_t depth = printer->labels.n - (divides_block(op) ? 1 : 0);
  buf_bytes(&printer->out, spaces, 3 + 2 * MIN(depth, DEEPEST_INDENT));
}

static bool has_hint(const Printer *printer, uint32_t offset) {
  if (LIKELY(printer->next_hint >= printer->hints.n)) return false;
  const BranchHint *hint = &printer->hints.items[printer->next_hint];
  return hint->func == printer->func && hint->offset <= offset;
}

/* The hint for an instruction at `offset` of the body. Hints for what is no branch are dropped. */
static void put_hint(Printer *printer, uint32_t offset, Op op) {
  while (has_hint(printer, offset)) {
    const BranchHint *hint = &printer->hints.items[printer->next_hint++];
    if (hint->offset < offset || (op != OP_IF && op != OP_BR_IF)) continue;
    start_line(printer, op);
    print_text(printer, "(@metadata.code.branch_hint \"\\0");
    print_char(printer, hint->is_likely ? '1' : '0');
    print_text(printer, "\")");
  }
}

static void put_code(Printer *printer, Reader *reader, const uint8_t *body) {
  Instr instr;
  printer->labels.n = 0;
  print_open_label(printer, (OpenLabel){.name = NO_INDEX});
  for (;;) {
    instr_read(reader, &instr);
    if (closes_block(instr.op)) print_close_label(printer);
    if (printer->labels.n == 0) break;
    put_hint(printer, (uint32_t)(instr.at - body), instr.op);
    start_line(printer, instr.op);
    put_instr(printer, &instr);
  }
  if (reader->at != reader->end)
    read_fail(reader, ERROR_MALFORMED, "unexpected content after the end of the function");
}

/* The types of all declared locals. */
static void read_locals(Printer *printer, Reader *reader) {
  uint32_t n_runs = read_count(reader, 2);
  printer->local_types.n = 0;
  for (uint32_t i = 0; i < n_runs; i++) {
    uint32_t n = read_u32(reader);
    ValType type = read_val_type(reader);
    if (n > MOST_LOCALS - printer->local_types.n)
      read_fail(reader, ERROR_UNSUPPORTED, "implementation limit: too many locals");
    for (; n > 0; n--) VEC_PUSH(&printer->work, &printer->local_types, type);
  }
}

static void skip_hints_before(Printer *printer, uint32_t func) {
  while (printer->next_hint < printer->hints.n &&
         printer->hints.items[printer->next_hint].func < func)
    printer->next_hint++;
}

void print_func(Printer *printer, uint32_t func) {
  const FuncDef *def = &printer->module->funcs[func];
  uint32_t n_params = module_func_type(printer->module, func)->n_params;
  printer->func = func;
  printer->n_blocks = 0;
  Reader reader = print_reader(printer, def->at, def->end);
  read_locals(printer, &reader);
  uint32_t n_locals = printer->local_types.n;
  print_make_locals(printer, func, n_params + n_locals);
  skip_hints_before(printer, func);

  print_text(printer, "\n  (func");
  print_definition(printer, NAMES_FUNCS, func);
  print_type_use(printer, def->type, true);
  if (n_locals > 0) print_text(printer, "\n   ");
  print_vars(printer, "local", printer->local_types.items, n_locals, n_params);
  put_code(printer, &reader, printer->module->bytes + def->at);
  print_char(printer, ')');
  printer->func = NO_INDEX;
  printer->locals.n = 0;
}
