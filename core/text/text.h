/* text.h - the text format: WAT to module bytes, module to WAT, and test scripts.
 */
#ifndef RILLE_TEXT_H
#define RILLE_TEXT_H

#include "../module/module.h"

/* Parses one module (with or without the outer parentheses' `module` word: inline fields are one)
 * and encodes it. The bytes live in `arena`; identifiers go to a name section when there are any.
 * False and *error (malformed, with line and column) on failure. Ids, types and inline types are
 * resolved here; validation is the decoder's business. */
bool text_parse_module(Arena *arena, Str source, FeatureSet features, const uint8_t **bytes,
                       size_t *size, Error *error);

/* The module as WAT that parses back to an equal module; folded is not offered, one instruction a
 * line. */
bool text_print_module(Arena *arena, Module *module, Str *out, Error *error);
/* One function's code, for disassembly and error messages. */
bool text_print_func(Arena *arena, Module *module, uint32_t func, Str *out, Error *error);

/* True when the bytes are a binary (start with \0asm); else they are taken for text. */
bool text_is_binary(const void *bytes, size_t size);

#endif
