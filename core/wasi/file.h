/* file.h - facts about files that descriptors and paths share.
 */
#ifndef RILLE_WASI_FILE_H
#define RILLE_WASI_FILE_H

#include "wasi.h"

#include <sys/stat.h>
#include <time.h>

/* Writes a filestat; ERRNO_FAULT. */
Result file_put_stat(const Call *call, uint32_t at, const struct stat *about);
/* What utimensat wants, from timestamps and fstflags. */
Result file_times(uint64_t atim, uint64_t mtim, uint32_t flags, struct timespec out[2]);

#endif
