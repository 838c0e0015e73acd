/* error.h - the record of one failure, filled in place; making one never allocates.
 *
 * Offsets are bytes from the start of the module; a line of 0 and an offset of ERROR_NO_OFFSET mean
 * "not known". The texts of traps come from tables/trap.def, the rest is written where it is found.
 */
#ifndef RILLE_ERROR_H
#define RILLE_ERROR_H

#include <stdarg.h>

#include "base.h"

typedef enum ErrorKind {
  ERROR_NONE,
  ERROR_IO,
  ERROR_MALFORMED,   /* not a module: bytes or text cannot be read */
  ERROR_INVALID,     /* a module that breaks a validation rule */
  ERROR_UNSUPPORTED, /* a feature that is switched off, a component, an implementation limit */
  ERROR_LINK,        /* an import is missing or has another type */
  ERROR_LIMIT,       /* memory, fuel, time, interrupt; `code` is a LimitKind of runtime/store.h */
  ERROR_TRAP,        /* `code` is a Trap of tables/trap.def */
  ERROR_EXCEPTION,   /* an exception nobody caught */
  ERROR_EXIT,        /* the guest ended itself; `code` is its status */
  ERROR_MISUSE,      /* the host broke a rule of the API */
  ERROR_MEMORY,      /* the host has no memory left */
} ErrorKind;

#define ERROR_NO_OFFSET UINT64_MAX
#define ERROR_NO_FUNC   UINT32_MAX

typedef struct Error {
  ErrorKind kind;
  uint32_t code;
  uint64_t offset;       /* in the module's bytes */
  uint32_t line, column; /* in text, from 1 */
  uint32_t func;         /* function index */
  const char *section;   /* static text or NULL */
  char message[512];     /* without its place; truncated when longer */
} Error;

void error_clear(Error *error);
/* Fills the whole record: its place becomes "not known", and the caller sets what it knows after.
 * The arguments may point into the record itself. */
void error_set(Error *error, ErrorKind kind, const char *format, ...) PRINTF_LIKE(3, 4);
void error_set_v(Error *error, ErrorKind kind, const char *format, va_list args);

/* Writes "message (at offset 0x1f, function 3, code section)" or "2:14: message"; returns the
 * length that the whole text has, as snprintf does. */
size_t error_text(const Error *error, char *out, size_t size);

#endif
