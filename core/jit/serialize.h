/* serialize.h - the code of a module as bytes that another process can use.
 *
 * A part holds all functions for one way of compiling. It starts with a key in which everything is
 * hashed that has to be the same where it is used: the module, this build of the engine, what the
 * processor can do, the options. What is read is checked as far as memory safety of the reader
 * needs it; what the machine code does cannot be checked, so whoever reads must trust its origin.
 */
#ifndef RILLE_JIT_SERIALIZE_H
#define RILLE_JIT_SERIALIZE_H

#include "../base/hash.h"
#include "fill.h"

/* False where the build cannot be told: then nothing is kept or taken. */
bool serialize_key(const CodeSpace *space, uint8_t key[HASH_BYTES]);
/* Appends a part, with its size before it. The fill is complete and not linked yet. */
void serialize_write(const Fill *fill, const uint8_t key[HASH_BYTES], Buf *out);
/* The part with that key among those in the bytes, into a fill that just began. False: there is
 * none, it is damaged, or there is no memory; then the fill is empty. */
bool serialize_read(Fill *fill, const uint8_t key[HASH_BYTES], const uint8_t *bytes, size_t size);

#endif
