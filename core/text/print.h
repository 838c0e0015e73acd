/* print.h - what the files of the text printer share: print*.c.
 *
 * The printer walks a decoded module once and appends to one buffer; nothing recurses. It reads
 * only what the decoder has checked, so that modules can be printed that were not validated.
 * Identifiers are made for a whole index space when the first of it is needed.
 *
 * print.c       entry, fields of the module, custom sections
 * print_type.c  types, type definitions and type uses
 * print_name.c  identifiers and strings
 * print_code.c  instructions, constant expressions and functions
 */
#ifndef RILLE_PRINT_H
#define RILLE_PRINT_H

#include "../base/map.h"
#include "../module/instr.h"
#include "../module/names.h"

/* How something is called in the text. */
typedef struct Ident {
  const char *at; /* what stands behind the `$`, quotes included; NULL: it goes by its number */
  uint32_t size;
  bool is_renamed; /* its name is another: the definition says it with (@name) */
} Ident;

/* A name that occurs somewhere; one per distinct name. */
typedef struct NameUse {
  uint32_t scope; /* the scope that took it last */
  uint32_t label; /* the innermost label of this name, or NO_INDEX */
} NameUse;

typedef struct OpenLabel {
  Ident ident;
  uint32_t name;     /* of `uses`, or NO_INDEX */
  uint32_t shadowed; /* the label the name stood for outside */
} OpenLabel;

/* One entry of the branch hint section. */
typedef struct BranchHint {
  uint32_t func, offset; /* from the start of the function's body */
  bool is_likely;
} BranchHint;

typedef struct Printer {
  Module *module;
  Guard *guard;
  Arena work; /* gone after printing */
  Buf out;

  const Ident *idents[NAMES_SPACES]; /* NULL: not made yet */
  const Ident **fields;              /* of each type; NULL: not made yet */
  StrMap names;                      /* -> index of `uses` */
  VEC(NameUse) uses;
  uint32_t scope; /* counts the scopes whose identifiers were made */

  /* The function that is printed. */
  uint32_t func; /* NO_INDEX: a constant expression */
  uint32_t n_blocks;
  VEC(Ident) locals; /* empty when none has a name */
  VEC(ValType) local_types;
  VEC(OpenLabel) labels; /* the function's own first */
  VEC(BranchHint) hints;
  uint32_t next_hint;
} Printer;

/* --- print_name.c --- */
void print_number(Printer *printer, uint64_t x);
/* " $name (@name "real name")", each part only where there is one. */
void print_ident(Printer *printer, Ident ident, Str name);
/* The same for something that is defined, and its number as a comment. */
void print_definition(Printer *printer, NameSpace space, uint32_t index);
void print_index(Printer *printer, NameSpace space, uint32_t index); /* " $name" or " 3" */
void print_local(Printer *printer, uint32_t index);
void print_field_index(Printer *printer, uint32_t type, uint32_t index);
/* The identifier of a field, or one without a name. */
Ident print_field_ident(Printer *printer, uint32_t type, uint32_t index);
/* Makes the identifiers of the first n locals. */
void print_make_locals(Printer *printer, uint32_t func, uint32_t n);
/* The next label of the function, not open yet. */
OpenLabel print_next_label(Printer *printer, Str *name);
void print_open_label(Printer *printer, OpenLabel label);
void print_close_label(Printer *printer);
void print_label(Printer *printer, uint32_t depth);
void print_name_string(Printer *printer, Str name); /* with a space before */
/* Any bytes; long ones on lines of their own. */
void print_data_string(Printer *printer, const uint8_t *bytes, size_t size);

/* --- print_type.c --- */
void print_heap(Printer *printer, uint32_t heap);
void print_val_type(Printer *printer, ValType type);
/* Parameters or locals, numbered from first_local: " (word $x t)" for what has a name, " (word t
 * t)" for runs of others. */
void print_vars(Printer *printer, const char *word, const ValType *types, uint32_t n,
                uint32_t first_local);
void print_results(Printer *printer, const ValType *types, uint32_t n);
/* " (type 3) (param i32) (result i32)"; the parameters with their names as locals when asked to. */
void print_type_use(Printer *printer, uint32_t type, bool has_locals);
void print_global_type(Printer *printer, GlobalType type);
void print_memory_type(Printer *printer, const MemoryType *type);
void print_table_type(Printer *printer, const TableType *type);
void print_types(Printer *printer); /* all definitions */

/* --- print_code.c --- */
/* " (i32.const 1)" when it is one instruction, else " (word ..)", or without a group when there is
 * no word. */
void print_expr(Printer *printer, ConstExpr expr, const char *word);
void print_func(Printer *printer, uint32_t func); /* a defined one */
Reader print_reader(const Printer *printer, uint32_t at, uint32_t end);

static inline void print_text(Printer *printer, const char *text) {
  buf_bytes(&printer->out, text, strlen(text));
}

static inline void print_char(Printer *printer, char c) {
  buf_byte(&printer->out, (uint8_t)c);
}

#endif
