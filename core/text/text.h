/* text.h - the text format: WAT to module bytes, module to WAT, and test scripts.
 *
 * Custom sections in text, so that text made from a binary reads back to the same bytes. The parser
 * writes each (@custom "name" (before s) ..) in front of the known section s and (after s) behind
 * it, also where s itself is missing, in the order of the text. Behind the data section and its
 * (after data) comes the name section, then the customs with (after last) or without a place. The
 * section "metadata.code.branch_hint" made of annotations stands directly in front of the code
 * section, behind (before code). Names come from identifiers, or from a (@name "..") behind the
 * place of the identifier, which wins and may repeat or be empty: of the module, functions, types,
 * tables, memories, globals, tags, element and data segments, fields, parameters and locals (one
 * per group then), and labels. (@custom "name" ..) is an ordinary custom section of that name.
 * A segment that names table 0 or memory 0 is encoded with the index, one that names none without.
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

/* Where in the text the byte at `offset` of the module that it makes comes from: the instruction or
 * the field. False when that cannot be told. */
bool text_find_place(Arena *arena, Str source, FeatureSet features, uint64_t offset, uint32_t *line,
                     uint32_t *column);

/* The module as WAT that parses back to an equal module; folded is not offered, one instruction a
 * line. */
bool text_print_module(Arena *arena, Module *module, Str *out, Error *error);
/* One function's code, for disassembly and error messages. */
bool text_print_func(Arena *arena, Module *module, uint32_t func, Str *out, Error *error);

/* True when the bytes are a binary (start with \0asm); else they are taken for text. */
bool text_is_binary(const void *bytes, size_t size);

#endif
