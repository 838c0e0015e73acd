/* cache.h - compiled code in files of a directory.
 */
#ifndef RILLE_JIT_CACHE_H
#define RILLE_JIT_CACHE_H

#include "fill.h"

/* False when there is no file with the code of this space that can be trusted and used. */
bool cache_read(Fill *fill, const char *dir);
/* The fill is complete and not linked yet. What goes wrong is nobody's business: without a file it
 * is compiled again. */
void cache_write(const Fill *fill, const char *dir);

#endif
