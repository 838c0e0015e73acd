/* api_types.c - value and function types: reading, printing, asking. */
#include "../runtime/describe.h"
#include "../runtime/stores.h"
#include "api.h"

_Static_assert(RILLE_I32 == TYPE_I32 && RILLE_I64 == TYPE_I64 && RILLE_F32 == TYPE_F32 &&
                   RILLE_F64 == TYPE_F64 && RILLE_V128 == TYPE_V128,
               "rille_ValueType is ValType");

const rille_ValueType RILLE_FUNCREF = TYPE_FUNCREF, RILLE_EXTERNREF = TYPE_EXTERNREF,
                      RILLE_ANYREF = TYPE_ANYREF, RILLE_EXNREF = TYPE_EXNREF;

enum { TYPES_MAX = 1000 }; /* parameters or results of a type made here, as in modules */

rille_Family rille_type_family(rille_ValueType type) {
  if (!type_is_ref(type)) return type_kind(type) == KIND_V128 ? RILLE_VECTOR : RILLE_NUMBER;
  switch (heap_top(type_heap(type))) {
    case HEAP_FUNC: return RILLE_FUNC_FAMILY;
    case HEAP_EXTERN: return RILLE_EXTERN_FAMILY;
    case HEAP_EXN: return RILLE_EXN_FAMILY;
    case HEAP_CONT: return RILLE_CONT_FAMILY;
    default: return RILLE_ANY_FAMILY;
  }
}

bool rille_type_is_nullable(rille_ValueType type) {
  return type_is_ref(type) && type_is_nullable(type);
}

size_t rille_print_type(rille_ValueType type, char *out, size_t size) {
  return type_print(type, out, size);
}

bool rille_check_ref(rille_ValueType type, rille_Slot ref) {
  return ref_has_type(ref, type);
}

/* Parsing: words and parentheses, separated by blanks. */

static const char *skip_blanks(const char *at) {
  while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') at++;
  return at;
}

/* Moves behind the word or parenthesis if it comes next. */
static bool accepts(const char **at, const char *word) {
  const char *from = skip_blanks(*at);
  size_t size = strlen(word);
  if (strncmp(from, word, size) != 0) return false;
  bool is_word = word[0] != '(' && word[0] != ')';
  char next = from[size];
  if (is_word && next != '\0' && strchr(" \t\r\n()", next) == NULL) return false;
  *at = from + size;
  return true;
}

static bool parse_heap(const char **at, uint32_t *heap) {
  static const char *const names[] = {"func", "nofunc", "extern", "noextern", "any",
                                      "eq",   "i31",    "struct", "array",    "none",
                                      "exn",  "noexn",  "cont",   "nocont"};
  for (uint32_t i = 0; i < COUNT_OF(names); i++) {
    if (!accepts(at, names[i])) continue;
    *heap = HEAP_FUNC + i;
    return true;
  }
  return false;
}

static bool parse_long_ref(const char **at, ValType *type) {
  uint32_t heap;
  if (!accepts(at, "(") || !accepts(at, "ref")) return false;
  bool is_nullable = accepts(at, "null");
  if (!parse_heap(at, &heap) || !accepts(at, ")")) return false;
  *type = REF_TYPE(heap, is_nullable);
  return true;
}

static bool parse_value_type(const char **at, ValType *type) {
  static const struct {
    const char *name;
    ValType type;
  } names[] = {{"i32", TYPE_I32},
               {"i64", TYPE_I64},
               {"f32", TYPE_F32},
               {"f64", TYPE_F64},
               {"v128", TYPE_V128},
               {"funcref", TYPE_FUNCREF},
               {"externref", TYPE_EXTERNREF},
               {"anyref", TYPE_ANYREF},
               {"exnref", TYPE_EXNREF},
               {"nullfuncref", REF_TYPE(HEAP_NOFUNC, true)},
               {"nullexternref", REF_TYPE(HEAP_NOEXTERN, true)},
               {"eqref", REF_TYPE(HEAP_EQ, true)},
               {"i31ref", REF_TYPE(HEAP_I31, true)},
               {"structref", REF_TYPE(HEAP_STRUCT, true)},
               {"arrayref", REF_TYPE(HEAP_ARRAY, true)},
               {"nullref", REF_TYPE(HEAP_NONE, true)},
               {"nullexnref", REF_TYPE(HEAP_NOEXN, true)},
               {"contref", REF_TYPE(HEAP_CONT, true)},
               {"nullcontref", REF_TYPE(HEAP_NOCONT, true)}};
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    if (!accepts(at, names[i].name)) continue;
    *type = names[i].type;
    return true;
  }
  return parse_long_ref(at, type);
}

bool rille_parse_type(const char *text, rille_ValueType *type) {
  ValType parsed;
  if (!parse_value_type(&text, &parsed) || *skip_blanks(text) != '\0') return false;
  *type = parsed;
  return true;
}

typedef struct TypeList {
  ValType types[2 * TYPES_MAX];
  uint32_t n;
} TypeList;

/* Any number of "(word type* )", with "(param $name type)" too. */
static bool parse_groups(const char **at, const char *word, TypeList *list, uint32_t *n) {
  uint32_t start = list->n;
  for (;;) {
    const char *from = *at;
    if (!accepts(at, "(") || !accepts(at, word)) {
      *at = from;
      break;
    }
    const char *name = skip_blanks(*at);
    if (*name == '$') *at = name + strcspn(name, " \t\r\n()");
    while (!accepts(at, ")")) {
      if (list->n - start == TYPES_MAX) return false;
      if (!parse_value_type(at, &list->types[list->n++])) return false;
    }
  }
  *n = list->n - start;
  return true;
}

static bool parse_signature(const char *text, TypeList *list, uint32_t *n_params,
                            uint32_t *n_results) {
  const char *at = text;
  bool is_wrapped = accepts(&at, "(") && accepts(&at, "func");
  if (!is_wrapped) at = text;
  return parse_groups(&at, "param", list, n_params) &&
         parse_groups(&at, "result", list, n_results) && (!is_wrapped || accepts(&at, ")")) &&
         *skip_blanks(at) == '\0';
}

rille_FuncType *rille_parse_func_type(const char *text, rille_Error **error) {
  TypeList list = {.n = 0};
  uint32_t n_params, n_results;
  if (!parse_signature(text, &list, &n_params, &n_results)) {
    api_fail_text(error, ERROR_MALFORMED,
                  "not a function type: \"%.100s\"; wanted like \"(param i32) (result i32)\"",
                  text);
    return NULL;
  }
  const Type *type = types_add_func(n_params, n_results, list.types);
  if (type == NULL) api_fail_memory(error);
  return func_type_handle(type);
}

rille_FuncType *rille_new_func_type(size_t n_params, const rille_ValueType *params,
                                    size_t n_results, const rille_ValueType *results) {
  ValType types[2 * TYPES_MAX];
  if (n_params > TYPES_MAX || n_results > TYPES_MAX) return NULL;
  if (n_params != 0) memcpy(types, params, n_params * sizeof *types);
  if (n_results != 0) memcpy(types + n_params, results, n_results * sizeof *types);
  return func_type_handle(types_add_func((uint32_t)n_params, (uint32_t)n_results, types));
}

void rille_free_func_type(rille_FuncType *type) {
  if (type != NULL) types_release(func_type_of(type)->id);
}

size_t rille_func_params(const rille_FuncType *type, const rille_ValueType **params) {
  const CompType *comp = &func_type_of(type)->comp;
  *params = comp->types;
  return comp->n_params;
}

size_t rille_func_results(const rille_FuncType *type, const rille_ValueType **results) {
  const CompType *comp = &func_type_of(type)->comp;
  *results = comp->types + comp->n_params;
  return comp->n_results;
}

const char *rille_extern_kind_name(rille_ExternKind kind) {
  return describe_kind((ExternKind)kind);
}

size_t rille_print_extern(const rille_Extern *item, char *out, size_t size) {
  return describe_extern(extern_of(item), out, size);
}
