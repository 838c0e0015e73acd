/* names.h - the name section, read on first use and tolerant of damage: a bad name is no name.
 */
#ifndef RILLE_NAMES_H
#define RILLE_NAMES_H

#include "module.h"

typedef enum NameSpace { /* the subsections, extended names included */
                         NAMES_MODULE,
                         NAMES_FUNCS,
                         NAMES_LOCALS, /* of a function */
                         NAMES_LABELS, /* of a function */
                         NAMES_TYPES,
                         NAMES_TABLES,
                         NAMES_MEMORIES,
                         NAMES_GLOBALS,
                         NAMES_ELEMS,
                         NAMES_DATAS,
                         NAMES_FIELDS, /* of a type */
                         NAMES_TAGS,
                         NAMES_SPACES,
} NameSpace;

/* The name of an index, or an empty Str. Safe from several threads. */
Str module_name_of(Module *module, NameSpace space, uint32_t index);
Str module_name_in(Module *module, NameSpace space, uint32_t outer,
                   uint32_t index); /* locals, labels, fields */
/* The module's own name straight from the section, without making the index of all names. */
Str names_find_module(const Module *module);
void names_free(Module *module);

/* Appends "$name" when the function has one, else its export's name, else "func[12]". */
size_t module_func_label(Module *module, uint32_t func, char *out, size_t size);

#endif
