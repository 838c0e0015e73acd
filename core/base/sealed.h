/* sealed.h - bytes with a header that tells what they are and whether they are whole.
 *
 * Magic, 8 bytes; size of the rest, u64; BLAKE2b of the rest, 32 bytes. That shows integrity, not
 * origin: everybody can seal.
 */
#ifndef RILLE_SEALED_H
#define RILLE_SEALED_H

#include "arena.h"
#include "hash.h"

/* The magic: a module with its code; code alone. */
#define SEALED_MODULE "\0rille2\n"
#define SEALED_CODE   "\0rillec\n"
enum { SEALED_MAGIC = 8, SEALED_HEADER = SEALED_MAGIC + 8 + HASH_BYTES };

bool sealed_is(Str bytes, const char *magic);
/* What is inside, when it is of that kind and whole. */
bool sealed_open(Str bytes, const char *magic, Str *inside);
/* What is appended to the buffer, which is empty, between these two gets sealed. */
void sealed_begin(Buf *out, const char *magic);
void sealed_end(Buf *out);

#endif
