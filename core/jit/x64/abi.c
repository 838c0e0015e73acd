/* abi.c - where arguments and results are: see abi.h. */
#if defined(__x86_64__)
#include "abi.h"

#include "encode.h"

static const uint8_t int_params[ABI_INT_ARGS] = {RDI, RSI, RDX, RCX, R8, R9};
static const uint8_t int_results[ABI_INT_RESULTS] = {RAX, RDX, RCX, RSI};

static AbiPlace next(AbiCursor *cursor, ValType type, const uint8_t *ints, uint32_t n_ints,
                     uint32_t n_floats) {
  unsigned kind = type_kind(type);
  bool is_float = kind == KIND_F32 || kind == KIND_F64 || kind == KIND_V128;
  if (is_float && cursor->n_floats < n_floats)
    return (AbiPlace){.reg = (uint8_t)(REG_XMM0 + cursor->n_floats++)};
  if (!is_float && cursor->n_ints < n_ints) return (AbiPlace){.reg = ints[cursor->n_ints++]};
  AbiPlace place = {.reg = REG_NONE, .offset = cursor->bytes};
  cursor->bytes += kind == KIND_V128 ? 16 : 8;
  return place;
}

AbiPlace abi_next_param(AbiCursor *cursor, ValType type) {
  return next(cursor, type, int_params, ABI_INT_ARGS, ABI_FLOAT_ARGS);
}

AbiPlace abi_next_result(AbiCursor *cursor, ValType type) {
  return next(cursor, type, int_results, ABI_INT_RESULTS, ABI_FLOAT_RESULTS);
}

uint32_t abi_param_bytes(const CompType *type) {
  AbiCursor cursor = {0};
  for (uint32_t i = 0; i < type->n_params; i++) abi_next_param(&cursor, type->types[i]);
  return (uint32_t)align_up(cursor.bytes, 16);
}

uint32_t abi_result_bytes(const CompType *type) {
  AbiCursor cursor = {0};
  for (uint32_t i = 0; i < type->n_results; i++)
    abi_next_result(&cursor, type->types[type->n_params + i]);
  return cursor.bytes;
}
#endif
