/* validate_stack.c - operands, labels and index spaces, and how their errors read.
 *
 * Whatever pops several operands at once stops at the floor of unreachable code: the operands that
 * are missing there match everything, and counting them off one by one would not be linear.
 */
#include "validate.h"

#include <stdio.h>

/* Errors */

_Noreturn COLD void validate_fail(const Validator *v, ErrorKind kind, const char *format, ...) {
  char text[sizeof(Error) - offsetof(Error, message)];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  read_fail_at(&v->reader, v->instr.at, kind, "%s", text);
}

_Noreturn COLD void validate_unknown(const Validator *v, const char *what, uint32_t index) {
  validate_fail(v, ERROR_INVALID, "unknown %s %u", what, (unsigned)index);
}

/* Canonical ids mean nothing to the reader of a message. */
static ValType module_type(const Validator *v, ValType type) {
  if (!type_is_indexed(type)) return type;
  uint32_t index = 0;
  while (index < v->module->n_types && v->module->type_ids[index] != type_heap(type)) index++;
  return (type & 0xFF) | index << 8;
}

/* "[i32 (ref 3)]"; of a long list the last few. */
static void print_types(const Validator *v, const ValType *types, uint32_t n, char *out,
                        size_t size) {
  enum { SHOWN = 8 };
  uint32_t first = n > SHOWN ? n - SHOWN : 0;
  size_t length = (size_t)snprintf(out, size, first ? "[... " : "[");
  for (uint32_t i = first; i < n && length < size; i++) {
    length += type_print(module_type(v, types[i]), out + length, size - length);
    if (length < size && i + 1 < n) length += (size_t)snprintf(out + length, size - length, " ");
  }
  if (length < size) snprintf(out + length, size - length, "]");
}

_Noreturn COLD void validate_mismatch(const Validator *v, const char *who, const ValType *wanted,
                                      uint32_t n, const char *where, const ValType *types,
                                      uint32_t m) {
  char wanted_text[200], text[200];
  print_types(v, wanted, n, wanted_text, sizeof wanted_text);
  print_types(v, types, m, text, sizeof text);
  validate_fail(v, ERROR_INVALID, "type mismatch: %s requires %s but %s has %s", who, wanted_text,
                where, text);
}

_Noreturn COLD void validate_stack_mismatch(const Validator *v, const ValType *wanted, uint32_t n) {
  validate_mismatch(v, "instruction", wanted, n, "stack", v->floor, (uint32_t)(v->top - v->floor));
}

/* Operands */

void validate_grow(Validator *v, uint32_t n) {
  size_t height = (size_t)(v->top - v->stack), floor = (size_t)(v->floor - v->stack);
  size_t room = (size_t)(v->stack_end - v->stack);
  if (height + n > MOST_OPERANDS)
    validate_fail(v, ERROR_UNSUPPORTED, "implementation limit: more than %d operands",
                  MOST_OPERANDS);
  if (height + n > room) {
    size_t wanted = MAX(room * 2, height + n + 64);
    v->stack =
        arena_resize(v->scratch, v->stack, room * sizeof *v->stack, wanted * sizeof *v->stack);
    v->stack_end = v->stack + wanted;
    v->top = v->stack + height;
    v->floor = v->stack + floor;
  }
  v->high = v->top + n;
}

NO_INLINE ValType validate_pop_slow(Validator *v, ValType wanted) {
  if (v->top == v->floor) {
    if (v->frame->is_unreachable) return TYPE_BOTTOM;
    validate_stack_mismatch(v, &wanted, 1);
  }
  if (!type_matches(v->top[-1], wanted)) validate_stack_mismatch(v, &wanted, 1);
  return *--v->top;
}

ValType validate_pop_any(Validator *v) {
  if (LIKELY(v->top > v->floor)) return *--v->top;
  if (v->frame->is_unreachable) return TYPE_BOTTOM;
  validate_fail(v, ERROR_INVALID, "type mismatch: instruction requires [any] but stack has []");
}

ValType validate_pop_ref(Validator *v) {
  ValType type = validate_pop_any(v);
  if (type_is_ref(type)) return type;
  if (type == TYPE_BOTTOM) return REF_TYPE(HEAP_BOTTOM, false);
  v->top++;
  char text[64];
  type_print(module_type(v, type), text, sizeof text);
  validate_fail(v, ERROR_INVALID,
                "type mismatch: instruction requires reference type but stack has [%s]", text);
}

bool validate_all_match(const ValType *subs, const ValType *supers, uint32_t n) {
  enum { MANY = 16 };
  if (n > MANY && memcmp(subs, supers, n * sizeof *subs) == 0) return true;
  for (uint32_t i = 0; i < n; i++)
    if (!type_matches(subs[i], supers[i])) return false;
  return true;
}

/* Returns how many of the operands are there. */
static uint32_t match_operands(Validator *v, const ValType *types, uint32_t n) {
  size_t height = (size_t)(v->top - v->floor);
  uint32_t there = height < n ? (uint32_t)height : n;
  if ((there < n && !v->frame->is_unreachable) ||
      !validate_all_match(v->top - there, types + (n - there), there))
    validate_stack_mismatch(v, types, n);
  return there;
}

void validate_peek_types(Validator *v, const ValType *types, uint32_t n) {
  match_operands(v, types, n);
}

void validate_pop_types(Validator *v, const ValType *types, uint32_t n) {
  if (n == 1)
    pop(v, types[0]);
  else if (n != 0)
    v->top -= match_operands(v, types, n);
}

void validate_push_types(Validator *v, const ValType *types, uint32_t n) {
  if ((size_t)(v->high - v->top) < n) validate_grow(v, n);
  for (uint32_t i = 0; i < n; i++) {
    v->has_v128 |= types[i] == TYPE_V128;
    v->top[i] = types[i];
  }
  v->top += n;
}

/* Frames */

Frame *validate_label(Validator *v, uint32_t index) {
  if (index >= v->frames.n) validate_unknown(v, "label", index);
  return v->frame - index;
}

void validate_unreachable(Validator *v) {
  v->top = v->floor;
  v->frame->is_unreachable = true;
}

/* Index spaces */

const Type *validate_type(Validator *v, uint32_t index, CompKind kind) {
  static const char *const names[] = {"function", "structure", "array", "continuation"};
  if (index >= v->module->n_types) validate_unknown(v, "type", index);
  const Type *type = v->types[index];
  if (type->comp.kind != kind)
    validate_fail(v, ERROR_INVALID, "type mismatch: non-%s type %u", names[kind], (unsigned)index);
  return type;
}

ValType validate_canonical(Validator *v, ValType type) {
  if (!type_is_indexed(type)) return type;
  if (type_heap(type) >= v->module->n_types) validate_unknown(v, "type", type_heap(type));
  return type_canonical(type, v->module->type_ids);
}

const Type *validate_func_type(Validator *v, uint32_t index) {
  if (index >= v->module->n_funcs) validate_unknown(v, "function", index);
  return v->types[v->module->funcs[index].type];
}

void validate_memory_index(Validator *v, uint32_t index) {
  if (index >= v->module->n_memories) validate_unknown(v, "memory", index);
}

void validate_table_index(Validator *v, uint32_t index) {
  if (index >= v->module->n_tables) validate_unknown(v, "table", index);
}

void validate_data_index(Validator *v, uint32_t index) {
  if (v->module->data_count == NO_INDEX)
    validate_fail(v, ERROR_MALFORMED, "data count section required");
  if (index >= v->module->data_count) validate_unknown(v, "data segment", index);
}

void validate_elem_index(Validator *v, uint32_t index) {
  if (index >= v->module->n_elems) validate_unknown(v, "elem segment", index);
}

const Type *validate_tag_type(Validator *v, uint32_t index) {
  if (index >= v->module->n_tags) validate_unknown(v, "tag", index);
  return v->types[v->module->tags[index]];
}
