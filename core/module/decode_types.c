/* decode_types.c - the type section: recursion groups, checked as far as registering needs.
 *
 * Before a group reaches the registry every index in it is known to exist and supertypes stand
 * before their subtypes. Whether a subtype matches its supertype is the validator's question.
 */
#include "decode.h"

enum {
  CODE_ARRAY = 0x5E,
  CODE_STRUCT = 0x5F,
  CODE_FUNC = 0x60,
  CODE_CONT = 0x5D,
  CODE_REC = 0x4E,
  CODE_SUB_FINAL = 0x4F,
  CODE_SUB = 0x50,
};

static void read_types_into(Decoder *decoder, ValType *out, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) out[i] = read_val_type(&decoder->reader);
}

static void read_func(Decoder *decoder, CompType *comp) {
  Reader *reader = &decoder->reader;
  uint32_t n_params = read_count(reader, 1);
  decode_limit(decoder, n_params, LIMIT_PARAMS, "parameters");
  ValType params[LIMIT_PARAMS];
  read_types_into(decoder, params, n_params);
  uint32_t n_results = read_count(reader, 1);
  decode_limit(decoder, n_results, LIMIT_RESULTS, "results");
  if (n_results > 1)
    read_need(reader, FEATURE_MULTI_VALUE, "several results", "invalid result arity");
  ValType *types = arena_new(decoder->arena, (n_params + n_results) * sizeof *types);
  memcpy(types, params, n_params * sizeof *types);
  read_types_into(decoder, types + n_params, n_results);
  *comp =
      (CompType){.kind = COMP_FUNC, .n_params = n_params, .n_results = n_results, .types = types};
}

static FieldType read_field(Reader *reader) {
  FieldType field = {.type = read_storage_type(reader)};
  uint8_t mutability = read_byte(reader);
  if (mutability > 1) read_fail_at(reader, reader->at - 1, ERROR_MALFORMED, "malformed mutability");
  field.is_mutable = mutability;
  return field;
}

static void read_fields(Decoder *decoder, CompType *comp, CompKind kind) {
  Reader *reader = &decoder->reader;
  uint32_t n = kind == COMP_ARRAY ? 1 : read_count(reader, 2);
  decode_limit(decoder, n, LIMIT_FIELDS, "fields");
  FieldType *fields = ARENA_ARRAY(decoder->arena, FieldType, n);
  for (uint32_t i = 0; i < n; i++) fields[i] = read_field(reader);
  *comp = (CompType){.kind = kind, .n_fields = n, .fields = fields};
}

static void read_comp(Decoder *decoder, CompType *comp) {
  Reader *reader = &decoder->reader;
  const uint8_t *at = reader->at;
  uint8_t code = read_byte(reader);
  switch (code) {
    case CODE_FUNC: read_func(decoder, comp); break;
    case CODE_STRUCT:
    case CODE_ARRAY:
      read_need(reader, FEATURE_GC, "structure and array types", "malformed definition type");
      read_fields(decoder, comp, code == CODE_ARRAY ? COMP_ARRAY : COMP_STRUCT);
      break;
    case CODE_CONT: {
      read_need(reader, FEATURE_STACK_SWITCHING, "continuation types", "malformed definition type");
      *comp = (CompType){.kind = COMP_CONT, .cont = read_heap_type(reader)};
      if (!heap_is_index(comp->cont))
        read_fail_at(reader, at, ERROR_MALFORMED, "malformed definition type");
      break;
    }
    default:
      read_fail_at(reader, at, ERROR_MALFORMED,
                   code & 0x80 ? "integer representation too long" : "malformed definition type");
  }
}

static void read_sub(Decoder *decoder, SubType *def) {
  Reader *reader = &decoder->reader;
  def->super = NO_SUPER;
  uint8_t code = reader->at < reader->end ? *reader->at : 0;
  def->is_plain = code != CODE_SUB && code != CODE_SUB_FINAL;
  def->is_final = code != CODE_SUB;
  if (!def->is_plain) {
    read_need(reader, FEATURE_GC, "subtypes", "malformed definition type");
    reader->at++;
    uint32_t n = read_count(reader, 1);
    for (uint32_t i = 0; i < n; i++) def->super = read_u32(reader);
    if (n > 1) read_fail(reader, ERROR_INVALID, "sub type with more than one super type");
  }
  read_comp(decoder, &def->comp);
}

/* Checks */

static void check_index(const Decoder *decoder, uint32_t index, uint32_t end) {
  if (index >= end) read_fail(&decoder->reader, ERROR_INVALID, "unknown type %u", (unsigned)index);
}

static void check_val_type(const Decoder *decoder, ValType type, uint32_t end) {
  if (type_is_indexed(type)) check_index(decoder, type_heap(type), end);
}

static void check_comp(const Decoder *decoder, const CompType *comp, uint32_t end) {
  for (uint32_t i = 0; comp->kind == COMP_FUNC && i < comp->n_params + comp->n_results; i++)
    check_val_type(decoder, comp->types[i], end);
  for (uint32_t i = 0; i < comp->n_fields; i++) check_val_type(decoder, comp->fields[i].type, end);
  if (comp->kind == COMP_CONT) check_index(decoder, comp->cont, end);
}

static void check_super(Decoder *decoder, const SubType *def, uint32_t index) {
  uint8_t depth = 0;
  if (def->super != NO_SUPER) {
    check_index(decoder, def->super, index);
    depth = (uint8_t)(decoder->depths.items[def->super] + 1);
    decode_limit(decoder, depth, LIMIT_SUPERTYPES, "supertypes of a type");
  }
  VEC_PUSH(&decoder->scratch, &decoder->depths, depth);
}

static void grow_ids(Decoder *decoder) {
  Module *module = decoder->module;
  while (decoder->type_ids_room < decoder->types.n)
    module->type_ids = arena_grow(decoder->arena, module->type_ids, &decoder->type_ids_room,
                                  sizeof *module->type_ids);
}

static void register_group(Decoder *decoder, uint32_t first) {
  Module *module = decoder->module;
  uint32_t end = decoder->types.n;
  if (first == end) return;
  for (uint32_t i = first; i < end; i++) {
    SubType *def = &decoder->types.items[i];
    def->group_first = first;
    def->group_size = end - first;
    check_comp(decoder, &def->comp, end);
    check_super(decoder, def, i);
  }
  grow_ids(decoder);
  if (!types_add_group(decoder->types.items + first, first, end - first, module->type_ids))
    read_fail(&decoder->reader, ERROR_MEMORY, "out of memory");
  module->types = decoder->types.items;
  module->n_type_ids = end;
}

static void read_group(Decoder *decoder) {
  Reader *reader = &decoder->reader;
  uint32_t first = decoder->types.n, n = 1;
  bool is_explicit = reader->at < reader->end && *reader->at == CODE_REC;
  if (is_explicit) {
    read_need(reader, FEATURE_GC, "recursive types", "malformed definition type");
    reader->at++;
    n = read_count(reader, 2);
  }
  decode_limit(decoder, (uint64_t)first + n, LIMIT_TYPES, "types");
  for (uint32_t i = 0; i < n; i++) {
    SubType def = {.group_is_explicit = is_explicit};
    read_sub(decoder, &def);
    VEC_PUSH(decoder->arena, &decoder->types, def);
  }
  register_group(decoder, first);
}

void decode_types(Decoder *decoder) {
  uint32_t n = read_count(&decoder->reader, 1);
  for (uint32_t i = 0; i < n; i++) read_group(decoder);
}
