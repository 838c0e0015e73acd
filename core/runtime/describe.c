/* describe.c - types as WAT, for messages and for hosts that show them. */
#include "describe.h"

#include <inttypes.h>
#include <stdio.h>

#include "memory.h"

typedef struct Text {
  char *out;
  size_t size, length;
} Text;

static void put(Text *text, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(Text *text, const char *format, ...) {
  size_t room = text->length < text->size ? text->size - text->length : 0;
  va_list args;
  va_start(args, format);
  int n = vsnprintf(room != 0 ? text->out + text->length : NULL, room, format, args);
  va_end(args);
  if (n > 0) text->length += (size_t)n;
}

static void put_type(Text *text, ValType type) {
  size_t room = text->length < text->size ? text->size - text->length : 0;
  text->length += type_print(type, room != 0 ? text->out + text->length : NULL, room);
}

static void put_types(Text *text, const char *word, const ValType *types, uint32_t n) {
  if (n == 0) return;
  put(text, " (%s", word);
  for (uint32_t i = 0; i < n; i++) {
    put(text, " ");
    put_type(text, types[i]);
  }
  put(text, ")");
}

static void put_func(Text *text, const char *word, const CompType *comp) {
  put(text, "(%s", word);
  put_types(text, "param", comp->types, comp->n_params);
  put_types(text, "result", comp->types + comp->n_params, comp->n_results);
  put(text, ")");
}

static void put_limits(Text *text, const Limits *limits) {
  if (limits->is_64) put(text, " i64");
  put(text, " %" PRIu64, limits->min);
  if (limits->max != NO_MAX) put(text, " %" PRIu64, limits->max);
}

static void put_memory(Text *text, const MemoryType *type) {
  put(text, "(memory");
  put_limits(text, &type->limits);
  if (type->is_shared) put(text, " shared");
  if (type->page_log2 != 16) put(text, " (pagesize %u)", 1u << type->page_log2);
  put(text, ")");
}

static void put_table(Text *text, const TableType *type) {
  put(text, "(table");
  put_limits(text, &type->limits);
  put(text, " ");
  put_type(text, type->type);
  put(text, ")");
}

static void put_global(Text *text, const GlobalType *type) {
  put(text, type->is_mutable ? "(global (mut " : "(global ");
  put_type(text, type->type);
  put(text, type->is_mutable ? "))" : ")");
}

size_t describe_module_item(const Module *module, ExternKind kind, uint32_t index, char *out,
                            size_t size) {
  Text text = {out, size, 0};
  if (size != 0) out[0] = '\0';
  switch (kind) {
    case EXTERN_FUNC: put_func(&text, "func", module_func_type(module, index)); break;
    case EXTERN_TABLE: put_table(&text, &module->tables[index].type); break;
    case EXTERN_MEMORY: put_memory(&text, &module->memories[index]); break;
    case EXTERN_GLOBAL: put_global(&text, &module->globals[index].type); break;
    case EXTERN_TAG: put_func(&text, "tag", &module->types[module->tags[index]].comp); break;
  }
  return text.length;
}

static void put_memory_now(Text *text, const Memory *memory) {
  MemoryType type = memory->type;
  type.limits.min = memory_pages(memory);
  put_memory(text, &type);
}

static void put_table_now(Text *text, const Table *table) {
  TableType type = table->type;
  type.limits.min = table->n;
  put_table(text, &type);
}

size_t describe_extern(const Extern *item, char *out, size_t size) {
  Text text = {out, size, 0};
  if (size != 0) out[0] = '\0';
  switch (item->kind) {
    case EXTERN_FUNC: put_func(&text, "func", &item->func->type->comp); break;
    case EXTERN_TABLE: put_table_now(&text, item->table); break;
    case EXTERN_MEMORY: put_memory_now(&text, item->memory); break;
    case EXTERN_GLOBAL: put_global(&text, &item->global->type); break;
    case EXTERN_TAG: put_func(&text, "tag", &item->tag->type->comp); break;
  }
  return text.length;
}

const char *describe_kind(ExternKind kind) {
  static const char *const names[] = {[EXTERN_FUNC] = "func",
                                      [EXTERN_TABLE] = "table",
                                      [EXTERN_MEMORY] = "memory",
                                      [EXTERN_GLOBAL] = "global",
                                      [EXTERN_TAG] = "tag"};
  return names[kind];
}
