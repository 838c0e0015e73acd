/* image.h - initial data of memory 0 as a file that every instance maps, copy on write.
 */
#ifndef RILLE_IMAGE_H
#define RILLE_IMAGE_H

#include "store.h"

/* Puts the active data segments into the instance's memory, and drops them, if the module's image
 * can do that. False: nothing has happened, they are to be run one by one. */
bool image_apply(Instance *instance);
/* The module ends. */
void image_free(Module *module);

#endif
