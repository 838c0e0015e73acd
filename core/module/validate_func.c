/* validate_func.c - the walk over the instructions of a body or a constant expression.
 *
 * Most instructions have a fixed signature, written in opcodes.def; `Sig` is that string taken
 * apart. Two operands lie in one 64-bit word of the stack, hence the groups for one and two
 * operands with one result, which are nearly all instructions that there are.
 */
#include "validate_func.h"

#include "../base/os.h"

typedef enum Group {
  GROUP_UNARY,  /* one operand, one result */
  GROUP_BINARY, /* two operands, one result */
  GROUP_FIXED,  /* any other fixed signature */
  GROUP_LOAD,   /* an address and one result */
  GROUP_ACCESS, /* any other access to memory */
  GROUP_LANE,
  GROUP_ACCESS_LANE,
  GROUP_SHUFFLE,
  GROUP_MEMORY, /* fixed, with the address type of a memory */
  GROUP_TABLE,  /* the same of a table */
  GROUP_LOCAL_GET,
  GROUP_LOCAL_SET,
  GROUP_LOCAL_TEE,
  GROUP_GLOBAL_GET,
  GROUP_GLOBAL_SET,
  GROUP_DROP,
  GROUP_SELECT,
  GROUP_SELECT_T,
  GROUP_CONTROL,
  GROUP_BULK,
  GROUP_REF,
} Group;

/* Stands for the address type in a signature. */
#define TYPE_ADDRESS ((ValType)15)

enum { MOST_SIG_PARAMS = 4, MOST_SIG_RESULTS = 2 };

typedef struct Sig {
  uint8_t group, n_params, n_results;
  uint8_t align_log2; /* of the access */
  uint8_t n_lanes;
  bool is_atomic, is_const;
  ValType params[MOST_SIG_PARAMS], results[MOST_SIG_RESULTS];
} Sig;

static Sig sigs[OP_COUNT];
static _Atomic int sigs_state;

/* Making the table */

static ValType type_of_letter(char letter) {
  switch (letter) {
    case 'i': return TYPE_I32;
    case 'l': return TYPE_I64;
    case 'f': return TYPE_F32;
    case 'd': return TYPE_F64;
    case 'v': return TYPE_V128;
    default: return TYPE_ADDRESS;
  }
}

static void parse_sig(const char *text, Sig *sig) {
  for (; *text != '>'; text++) sig->params[sig->n_params++] = type_of_letter(*text);
  for (text++; *text; text++) sig->results[sig->n_results++] = type_of_letter(*text);
}

/* "i16x8.extract_lane_s" has 8; an access to a lane of 2 bytes has 8, too. */
static uint8_t count_lanes(const OpInfo *info) {
  if (info->width) return (uint8_t)(16 / info->width);
  const char *x = strchr(info->text, 'x');
  return x ? (uint8_t)(x[1] == '1' ? 16 : x[1] - '0') : 0;
}

static uint8_t log2_of(unsigned x) {
  uint8_t log2 = 0;
  while (x > 1) {
    x >>= 1;
    log2++;
  }
  return log2;
}

static Group group_of_fixed(const OpInfo *info, const Sig *sig) {
  switch ((ImmKind)info->imm) {
    case IMM_MEMARG: return sig->n_params == 1 && sig->n_results == 1 ? GROUP_LOAD : GROUP_ACCESS;
    case IMM_MEMARG_LANE: return GROUP_ACCESS_LANE;
    case IMM_LANE: return GROUP_LANE;
    case IMM_SHUFFLE: return GROUP_SHUFFLE;
    case IMM_MEMORY: return GROUP_MEMORY;
    case IMM_TABLE: return GROUP_TABLE;
    default: break;
  }
  if (sig->n_results != 1) return GROUP_FIXED;
  return sig->n_params == 1 ? GROUP_UNARY : sig->n_params == 2 ? GROUP_BINARY : GROUP_FIXED;
}

static Group group_of_special(Op op) {
  switch (op) {
    case OP_LOCAL_GET: return GROUP_LOCAL_GET;
    case OP_LOCAL_SET: return GROUP_LOCAL_SET;
    case OP_LOCAL_TEE: return GROUP_LOCAL_TEE;
    case OP_GLOBAL_GET: return GROUP_GLOBAL_GET;
    case OP_GLOBAL_SET: return GROUP_GLOBAL_SET;
    case OP_DROP: return GROUP_DROP;
    case OP_SELECT: return GROUP_SELECT;
    case OP_SELECT_T: return GROUP_SELECT_T;
    case OP_TABLE_GET:
    case OP_TABLE_SET: return GROUP_BULK;
    case OP_BR_ON_NULL:
    case OP_BR_ON_NON_NULL:
    case OP_BR_ON_CAST:
    case OP_BR_ON_CAST_FAIL: return GROUP_CONTROL;
    default: break;
  }
  switch (op_info[op].prefix) {
    case PREFIX_NONE: return op_info[op].code < 0x20 ? GROUP_CONTROL : GROUP_REF;
    case PREFIX_GC: return GROUP_REF;
    default: return GROUP_BULK;
  }
}

static bool is_constant(Op op) {
  switch (op) {
    case OP_END:
    case OP_I32_CONST:
    case OP_I64_CONST:
    case OP_F32_CONST:
    case OP_F64_CONST:
    case OP_V128_CONST:
    case OP_GLOBAL_GET:
    case OP_REF_NULL:
    case OP_REF_FUNC:
    case OP_REF_I31:
    case OP_STRUCT_NEW:
    case OP_STRUCT_NEW_DEFAULT:
    case OP_ARRAY_NEW:
    case OP_ARRAY_NEW_DEFAULT:
    case OP_ARRAY_NEW_FIXED:
    case OP_ANY_CONVERT_EXTERN:
    case OP_EXTERN_CONVERT_ANY:
    case OP_I32_ADD:
    case OP_I32_SUB:
    case OP_I32_MUL:
    case OP_I64_ADD:
    case OP_I64_SUB:
    case OP_I64_MUL: return true;
    default: return false;
  }
}

static void fill_sigs(void) {
  for (unsigned op = 0; op < OP_COUNT; op++) {
    const OpInfo *info = &op_info[op];
    Sig *sig = &sigs[op];
    sig->is_const = is_constant((Op)op);
    if (info->sig[0] == '*') {
      sig->group = (uint8_t)group_of_special((Op)op);
      continue;
    }
    parse_sig(info->sig, sig);
    sig->group = (uint8_t)group_of_fixed(info, sig);
    sig->align_log2 = log2_of(info->width);
    sig->is_atomic = (info->flags & OPF_ATOMIC) != 0;
    if (info->imm == IMM_LANE || info->imm == IMM_MEMARG_LANE) sig->n_lanes = count_lanes(info);
  }
}

void validate_func_init(void) {
  os_call_once(&sigs_state, fill_sigs);
}

/* Fixed signatures */

/* With the address type in its places; also for the errors of all groups. */
static NO_INLINE void check_fixed(Validator *v, const Sig *sig, ValType address) {
  ValType params[MOST_SIG_PARAMS];
  for (unsigned i = 0; i < sig->n_params; i++)
    params[i] = sig->params[i] == TYPE_ADDRESS ? address : sig->params[i];
  validate_pop_types(v, params, sig->n_params);
  for (unsigned i = 0; i < sig->n_results; i++)
    push(v, sig->results[i] == TYPE_ADDRESS ? address : sig->results[i]);
}

static inline void check_unary(Validator *v, const Sig *sig, ValType param) {
  if (LIKELY(v->top > v->floor && v->top[-1] == param)) {
    v->top[-1] = sig->results[0];
    v->has_v128 |= sig->results[0] == TYPE_V128;
  } else {
    check_fixed(v, sig, param);
  }
}

static inline void check_binary(Validator *v, const Sig *sig) {
  if (LIKELY(v->top - v->floor >= 2 && load_u64(v->top - 2) == load_u64(sig->params))) {
    v->top--;
    v->top[-1] = sig->results[0];
  } else {
    check_fixed(v, sig, TYPE_BOTTOM);
  }
}

static inline ValType check_memarg(Validator *v, const Sig *sig) {
  const MemArg *memarg = &v->instr.memarg;
  if (UNLIKELY(memarg->memory >= v->module->n_memories))
    validate_unknown(v, "memory", memarg->memory);
  if (UNLIKELY(sig->is_atomic ? memarg->align_log2 != sig->align_log2
                              : memarg->align_log2 > sig->align_log2))
    validate_fail(v, ERROR_INVALID,
                  sig->is_atomic ? "atomic alignment must be natural"
                                 : "alignment must not be larger than natural");
  ValType address = memory_address(v, memarg->memory);
  if (UNLIKELY(memarg->offset > UINT32_MAX && address == TYPE_I32))
    validate_fail(v, ERROR_INVALID, "offset out of range");
  return address;
}

static void check_lane(const Validator *v, const Sig *sig) {
  if (v->instr.lane >= sig->n_lanes) validate_fail(v, ERROR_INVALID, "invalid lane index");
}

static void check_shuffle(const Validator *v) {
  for (unsigned i = 0; i < 16; i++)
    if (v->instr.v128[i] >= 32) validate_fail(v, ERROR_INVALID, "invalid lane index");
}

/* Variables */

static NO_INLINE ValType local_of_run(Validator *v, uint32_t index) {
  uint32_t low = 0, high = v->runs.n;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (index < v->runs.items[middle].end)
      high = middle;
    else
      low = middle + 1;
  }
  return v->runs.items[low].type;
}

static inline ValType local_type(Validator *v) {
  uint32_t index = v->instr.index;
  if (LIKELY(index < v->n_flat)) return v->flat[index];
  if (index >= v->n_locals) validate_unknown(v, "local", index);
  return local_of_run(v, index);
}

/* Whether the local may be read only after it was set. */
static inline bool is_tracked(const Validator *v, ValType type) {
  return UNLIKELY(v->has_unset) && !type_has_default(type) && v->instr.index >= v->n_params;
}

static void check_local_get(Validator *v) {
  ValType type = local_type(v);
  if (is_tracked(v, type) && v->set_epochs[v->instr.index] != v->epoch)
    validate_fail(v, ERROR_INVALID, "uninitialized local %u", (unsigned)v->instr.index);
  push(v, type);
}

static inline ValType check_local_set(Validator *v) {
  ValType type = local_type(v);
  pop(v, type);
  if (is_tracked(v, type) && v->set_epochs[v->instr.index] != v->epoch) {
    v->set_epochs[v->instr.index] = v->epoch;
    VEC_PUSH(v->scratch, &v->set_locals, v->instr.index);
  }
  return type;
}

static void check_global_get(Validator *v) {
  uint32_t index = v->instr.index;
  if (index >= v->n_globals) validate_unknown(v, "global", index);
  if (v->is_const) {
    if (v->module->globals[index].type.is_mutable)
      validate_fail(v, ERROR_INVALID, "constant expression required");
    if (index >= v->module->n_imported_globals)
      read_need(&v->reader, FEATURE_GC, "global of the module in a constant expression",
                "constant expression required");
  }
  push(v, v->global_types[index]);
}

static void check_global_set(Validator *v) {
  uint32_t index = v->instr.index;
  if (index >= v->n_globals) validate_unknown(v, "global", index);
  if (!v->module->globals[index].type.is_mutable)
    validate_fail(v, ERROR_INVALID, "immutable global");
  pop(v, v->global_types[index]);
}

/* Select */

static void check_select(Validator *v) {
  pop(v, TYPE_I32);
  ValType second = validate_pop_any(v), first = validate_pop_any(v);
  if (type_is_ref(first) || type_is_ref(second))
    validate_fail(v, ERROR_INVALID, "type mismatch: instruction requires numeric or vector type");
  if (first != second && first != TYPE_BOTTOM && second != TYPE_BOTTOM) {
    v->top += 2;
    ValType wanted[] = {first, first};
    validate_stack_mismatch(v, wanted, 2);
  }
  push(v, first == TYPE_BOTTOM ? second : first);
}

static void check_select_t(Validator *v) {
  if (v->instr.labels.count != 1) validate_fail(v, ERROR_INVALID, "invalid result arity");
  Reader types = v->reader;
  types.at = v->instr.labels.bytes;
  ValType type = validate_canonical(v, read_val_type(&types));
  pop(v, TYPE_I32);
  pop(v, type);
  pop(v, type);
  push(v, type);
}

/* The walk */

static void check_const(Validator *v, const Sig *sig) {
  if (!sig->is_const) validate_fail(v, ERROR_INVALID, "constant expression required");
  if (sig->group == GROUP_BINARY)
    read_need(&v->reader, FEATURE_EXTENDED_CONST, "arithmetic in a constant expression",
              "constant expression required");
}

static inline void check_instr(Validator *v, const Sig *sig) {
  ValType address;
  switch ((Group)sig->group) {
    case GROUP_UNARY: check_unary(v, sig, sig->params[0]); break;
    case GROUP_BINARY: check_binary(v, sig); break;
    case GROUP_FIXED: check_fixed(v, sig, TYPE_BOTTOM); break;
    case GROUP_LOAD:
      address = check_memarg(v, sig);
      check_unary(v, sig, address);
      break;
    case GROUP_ACCESS:
      address = check_memarg(v, sig);
      check_fixed(v, sig, address);
      break;
    case GROUP_LANE:
      check_lane(v, sig);
      check_fixed(v, sig, TYPE_BOTTOM);
      break;
    case GROUP_ACCESS_LANE:
      address = check_memarg(v, sig);
      check_lane(v, sig);
      check_fixed(v, sig, address);
      break;
    case GROUP_SHUFFLE:
      check_shuffle(v);
      check_fixed(v, sig, TYPE_BOTTOM);
      break;
    case GROUP_MEMORY:
      validate_memory_index(v, v->instr.index);
      check_fixed(v, sig, memory_address(v, v->instr.index));
      break;
    case GROUP_TABLE:
      validate_table_index(v, v->instr.index);
      check_fixed(v, sig, table_address(v, v->instr.index));
      break;
    case GROUP_LOCAL_GET: check_local_get(v); break;
    case GROUP_LOCAL_SET: check_local_set(v); break;
    case GROUP_LOCAL_TEE: push(v, check_local_set(v)); break;
    case GROUP_GLOBAL_GET: check_global_get(v); break;
    case GROUP_GLOBAL_SET: check_global_set(v); break;
    case GROUP_DROP: validate_pop_any(v); break;
    case GROUP_SELECT: check_select(v); break;
    case GROUP_SELECT_T: check_select_t(v); break;
    case GROUP_CONTROL: validate_control(v, v->instr.op); break;
    case GROUP_BULK: validate_bulk(v, v->instr.op); break;
    case GROUP_REF: validate_ref(v, v->instr.op); break;
  }
}

/* Starts a body or an expression with these results. */
static void start(Validator *v, Frame frame) {
  frame.op = OP_CALL;
  v->top = v->floor = v->high = v->stack;
  v->has_v128 = false;
  v->set_locals.n = 0;
  v->frames.n = 0;
  VEC_PUSH(v->scratch, &v->frames, frame);
  v->frame = v->frames.items;
}

static void walk_const(Validator *v) {
  do {
    instr_read(&v->reader, &v->instr);
    const Sig *sig = &sigs[v->instr.op];
    check_const(v, sig);
    check_instr(v, sig);
  } while (v->frames.n != 0);
}

/* The walk over bodies branches once for the most frequent instructions: by the first byte, with
 * the immediate read in the same place. All others go the common way. */

typedef enum Fast {
  FAST_NONE,
  FAST_UNARY,
  FAST_BINARY,
  FAST_I32_CONST,
  FAST_I64_CONST,
  FAST_LOAD,
  FAST_STORE,
  FAST_LOCAL_GET,
  FAST_LOCAL_SET,
  FAST_LOCAL_TEE,
  FAST_GLOBAL_GET,
  FAST_GLOBAL_SET,
  FAST_DROP,
  FAST_BLOCK,
  FAST_END,
  FAST_BR,
  FAST_BR_IF,
  FAST_CALL,
} Fast;

static Fast fast_of(Op op) {
  switch (op) {
    case OP_I32_CONST: return FAST_I32_CONST;
    case OP_I64_CONST: return FAST_I64_CONST;
    case OP_BLOCK:
    case OP_LOOP: return FAST_BLOCK;
    case OP_END: return FAST_END;
    case OP_BR: return FAST_BR;
    case OP_BR_IF: return FAST_BR_IF;
    case OP_CALL: return FAST_CALL;
    default: break;
  }
  const Sig *sig = &sigs[op];
  switch ((Group)sig->group) {
    case GROUP_UNARY: return op_info[op].imm == IMM_NONE ? FAST_UNARY : FAST_NONE;
    case GROUP_BINARY: return op_info[op].imm == IMM_NONE ? FAST_BINARY : FAST_NONE;
    case GROUP_LOAD: return FAST_LOAD;
    case GROUP_ACCESS: return sig->n_params == 2 ? FAST_STORE : FAST_NONE;
    case GROUP_LOCAL_GET: return FAST_LOCAL_GET;
    case GROUP_LOCAL_SET: return FAST_LOCAL_SET;
    case GROUP_LOCAL_TEE: return FAST_LOCAL_TEE;
    case GROUP_GLOBAL_GET: return FAST_GLOBAL_GET;
    case GROUP_GLOBAL_SET: return FAST_GLOBAL_SET;
    case GROUP_DROP: return FAST_DROP;
    default: return FAST_NONE;
  }
}

void validate_func_prepare(Validator *v) {
  for (unsigned byte = 0; byte < COUNT_OF(v->fast); byte++) {
    unsigned op = op_of_byte[byte];
    bool is_on = op != OP_INVALID && !(v->reader.off & FEATURE_BIT(op_info[op].feature));
    v->fast[byte] = is_on ? (uint8_t)fast_of((Op)op) : FAST_NONE;
  }
}

static inline void check_store(Validator *v, const Sig *sig, ValType address) {
  if (LIKELY(v->top - v->floor >= 2 && v->top[-2] == address && v->top[-1] == sig->params[1]))
    v->top -= 2;
  else
    check_fixed(v, sig, address);
}

static inline void walk_one(Validator *v) {
  Reader *reader = &v->reader;
  Instr *instr = &v->instr;
  instr->at = reader->at;
  /* At the end of the bytes any byte will do that takes the common way, which raises. */
  uint8_t byte = reader->at < reader->end ? *reader->at : 0xFF;
  unsigned op = op_of_byte[byte];
  const Sig *sig = &sigs[op];
  reader->at++;
  instr->op = (Op)op;
  switch ((Fast)v->fast[byte]) {
    case FAST_UNARY: check_unary(v, sig, sig->params[0]); break;
    case FAST_BINARY: check_binary(v, sig); break;
    case FAST_I32_CONST:
      read_s32(reader);
      push(v, TYPE_I32);
      break;
    case FAST_I64_CONST:
      read_s64(reader);
      push(v, TYPE_I64);
      break;
    case FAST_LOAD:
      instr->memarg = read_memarg(reader);
      check_unary(v, sig, check_memarg(v, sig));
      break;
    case FAST_STORE:
      instr->memarg = read_memarg(reader);
      check_store(v, sig, check_memarg(v, sig));
      break;
    case FAST_LOCAL_GET:
      instr->index = read_u32(reader);
      check_local_get(v);
      break;
    case FAST_LOCAL_SET:
      instr->index = read_u32(reader);
      check_local_set(v);
      break;
    case FAST_LOCAL_TEE:
      instr->index = read_u32(reader);
      push(v, check_local_set(v));
      break;
    case FAST_GLOBAL_GET:
      instr->index = read_u32(reader);
      check_global_get(v);
      break;
    case FAST_GLOBAL_SET:
      instr->index = read_u32(reader);
      check_global_set(v);
      break;
    case FAST_DROP: validate_pop_any(v); break;
    case FAST_BLOCK:
      instr->block = read_block_type(reader);
      validate_block(v, instr->op);
      break;
    case FAST_END: validate_end(v); break;
    case FAST_BR:
      instr->index = read_u32(reader);
      validate_br(v);
      break;
    case FAST_BR_IF:
      instr->index = read_u32(reader);
      validate_br_if(v);
      break;
    case FAST_CALL:
      instr->index = read_u32(reader);
      validate_call(v);
      break;
    case FAST_NONE:
      reader->at--;
      instr_read(reader, instr);
      check_instr(v, &sigs[instr->op]);
      break;
  }
}

static void walk_body(Validator *v) {
  do walk_one(v);
  while (v->frames.n != 0);
}

void validate_const(Validator *v, ConstExpr expr, ValType type) {
  const uint8_t *at = v->reader.at;
  v->reader.at = v->reader.start + expr.at;
  v->is_const = true;
  v->n_locals = v->n_flat = v->n_params = 0;
  start(v, (Frame){.n_results = 1, .single = type});
  walk_const(v);
  v->is_const = false;
  v->reader.at = at;
}

/* Locals */

static void add_run(Validator *v, uint32_t n, ValType type) {
  LocalRun run = {v->n_locals + n, type};
  for (uint32_t i = v->n_locals; i < run.end && i < FLAT_LOCALS; i++) v->flat[i] = type;
  v->n_locals = run.end;
  v->n_flat = MIN(v->n_locals, FLAT_LOCALS);
  VEC_PUSH(v->scratch, &v->runs, run);
}

static void track_locals(Validator *v) {
  v->has_unset = true;
  if (!v->set_epochs) v->set_epochs = ARENA_ARRAY(v->scratch, uint32_t, MOST_LOCALS);
}

/* Reads the declarations; returns the slots that all locals take. */
static uint32_t read_locals(Validator *v, const Type *type) {
  Reader *reader = &v->reader;
  const uint8_t *start_at = reader->at;
  v->n_locals = v->n_params = v->n_flat = 0;
  v->runs.n = 0;
  v->has_unset = false;
  for (uint32_t i = 0; i < type->comp.n_params; i++) add_run(v, 1, type->comp.types[i]);
  v->n_params = v->n_locals;
  uint64_t total = v->n_params, slots = type->n_param_slots;
  uint32_t n_runs = read_count(reader, 2);
  for (uint32_t i = 0; i < n_runs; i++) {
    v->instr.at = reader->at;
    uint32_t n = read_u32(reader);
    ValType local = validate_canonical(v, read_val_type(reader));
    total += n;
    slots += (uint64_t)n * type_slots(local);
    if (total > UINT32_MAX) read_fail_at(reader, start_at, ERROR_MALFORMED, "too many locals");
    if (total > MOST_LOCALS || n == 0) continue;
    add_run(v, n, local);
    if (!type_has_default(local)) track_locals(v);
  }
  if (total > MOST_LOCALS)
    read_fail_at(reader, start_at, ERROR_UNSUPPORTED,
                 "implementation limit: more than %d locals in a function", MOST_LOCALS);
  return (uint32_t)slots;
}

void validate_func(Validator *v, uint32_t index) {
  FuncDef *def = &v->module->funcs[index];
  const Type *type = v->types[def->type];
  Reader *reader = &v->reader;
  reader->at = reader->start + def->at;
  reader->func = index;
  v->epoch++;
  uint32_t slots = read_locals(v, type);
  start(v, (Frame){.n_results = type->comp.n_results,
                   .types = type->comp.types + type->comp.n_params});
  walk_body(v);
  if (reader->at != reader->start + def->end)
    read_fail_at(reader, reader->start + def->end, ERROR_MALFORMED, "section size mismatch");
  def->n_locals = v->n_locals;
  def->n_local_slots = slots;
  def->max_stack = (uint32_t)(v->high - v->stack) * (v->has_v128 ? 2 : 1);
}
