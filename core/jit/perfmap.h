/* perfmap.h - names of compiled functions for Linux' perf.
 */
#ifndef RILLE_JIT_PERFMAP_H
#define RILLE_JIT_PERFMAP_H

#include "code.h"

/* Appends a line to /tmp/perf-PID.map, which perf reads when it reports. */
void perfmap_add(const CodeSpace *space, const CodeRecord *record);

#endif
