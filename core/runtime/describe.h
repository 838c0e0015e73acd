/* describe.h - types of imports, exports and run-time objects as WAT. All return a length as
 * snprintf does.
 */
#ifndef RILLE_DESCRIBE_H
#define RILLE_DESCRIBE_H

#include "link.h"

size_t describe_module_item(const Module *module, ExternKind kind, uint32_t index, char *out,
                            size_t size);
size_t describe_extern(const Extern *item, char *out, size_t size);
const char *describe_kind(ExternKind kind); /* "func", "table", ... */

#endif
