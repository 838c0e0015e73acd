/* os_file.c - files that nobody else can have written, and the bytes of this library. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dl_iterate_phdr */
#endif

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os.h"

#if defined(__ELF__) && !defined(__ANDROID__)
#include <link.h>
#define HAS_PROGRAM_HEADERS 1
#endif

enum { NAME_MOST = 128 };

static int open_dir(const char *dir) {
  return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool is_private(int file, size_t *size) {
  struct stat info;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) return false;
  if (info.st_uid != geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) return false;
  *size = (size_t)info.st_size;
  return info.st_size > 0 && (uintmax_t)info.st_size < SIZE_MAX / 2;
}

/* Not a view of the file: somebody may shorten it. */
static void *read_all(int file, size_t size) {
  char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (at == MAP_FAILED) return NULL;
  for (size_t done = 0; done < size;) {
    ssize_t n = read(file, at + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      munmap(at, size);
      return NULL;
    }
    done += (size_t)n;
  }
  return at;
}

const void *os_read_private(const char *dir, const char *name, size_t *size) {
  int parent = open_dir(dir);
  if (parent < 0) return NULL;
  int file = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  close(parent);
  if (file < 0) return NULL;
  const void *at = is_private(file, size) ? read_all(file, *size) : NULL;
  close(file);
  return at;
}

static bool write_all(int file, const char *bytes, size_t size) {
  while (size != 0) {
    ssize_t n = write(file, bytes, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes += n;
    size -= (size_t)n;
  }
  return true;
}

/* A name of its own for each writer of the process, also when an earlier one was killed. */
static int create_beside(int parent, const char *name, char temporary[NAME_MOST]) {
  static _Atomic unsigned counter;
  for (unsigned tries = 0; tries < 16; tries++) {
    uint64_t random = os_random_seed() + atomic_fetch_add(&counter, 1);
    if (snprintf(temporary, NAME_MOST, ".%s.%llx", name, (unsigned long long)random) >= NAME_MOST)
      return -1;
    int file =
        openat(parent, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file >= 0 || errno != EEXIST) return file;
  }
  return -1;
}

bool os_write_private(const char *dir, const char *name, const void *bytes, size_t size) {
  int parent = open_dir(dir);
  if (parent < 0 && errno == ENOENT && mkdir(dir, 0700) == 0) parent = open_dir(dir);
  if (parent < 0) return false;
  char temporary[NAME_MOST];
  int file = create_beside(parent, name, temporary);
  bool is_written = false;
  if (file >= 0) {
    is_written = write_all(file, bytes, size);
    is_written = close(file) == 0 && is_written;
    is_written = is_written && renameat(parent, temporary, parent, name) == 0;
    if (!is_written) (void)unlinkat(parent, temporary, 0);
  }
  close(parent);
  return is_written;
}

static pthread_mutex_t perf_lock = PTHREAD_MUTEX_INITIALIZER;

void os_append_perf_map(const char *text, size_t size) {
  static pid_t owner; /* a child has a file of its own */
  static int file = -1;
  pthread_mutex_lock(&perf_lock);
  if (owner != getpid()) {
    char path[64];
    if (file >= 0) close(file);
    owner = getpid();
    snprintf(path, sizeof path, "/tmp/perf-%ld.map", (long)owner);
    file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  }
  if (file >= 0) (void)write_all(file, text, size);
  pthread_mutex_unlock(&perf_lock);
}

/* Our own bytes */

#if defined(HAS_PROGRAM_HEADERS)

typedef struct Visitor {
  OsVisit *visit;
  void *user;
  bool is_found;
} Visitor;

static const char *segment_start(const struct dl_phdr_info *info, const ElfW(Phdr) * segment) {
  return (const char *)((uintptr_t)info->dlpi_addr + segment->p_vaddr);
}

static bool is_own(const struct dl_phdr_info *info) {
  uintptr_t own = (uintptr_t)&os_visit_build;
  for (unsigned i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    uintptr_t at = (uintptr_t)segment_start(info, segment);
    if (segment->p_type == PT_LOAD && own >= at && own - at < segment->p_memsz) return true;
  }
  return false;
}

static bool visit_build_id(const struct dl_phdr_info *info, Visitor *visitor) {
  for (unsigned i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    if (segment->p_type != PT_NOTE) continue;
    const char *at = segment_start(info, segment), *end = at + segment->p_memsz;
    while ((size_t)(end - at) > sizeof(ElfW(Nhdr))) {
      ElfW(Nhdr) note;
      memcpy(&note, at, sizeof note);
      const char *name = at + sizeof note, *bytes = name + align_up(note.n_namesz, 4);
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
        visitor->visit(visitor->user, bytes, note.n_descsz);
        return true;
      }
      at = bytes + align_up(note.n_descsz, segment->p_align == 8 ? 8 : 4);
    }
  }
  return false;
}

/* Segments that are loaded read-only are the file's, without relocations. */
static void visit_segments(const struct dl_phdr_info *info, Visitor *visitor) {
  for (unsigned i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    if (segment->p_type == PT_LOAD && (segment->p_flags & (PF_W | PF_R)) == PF_R)
      visitor->visit(visitor->user, segment_start(info, segment), segment->p_filesz);
  }
}

static int visit_object(struct dl_phdr_info *info, size_t size, void *user) {
  (void)size;
  if (!is_own(info)) return 0;
  if (!visit_build_id(info, user)) visit_segments(info, user);
  ((Visitor *)user)->is_found = true;
  return 1;
}

bool os_visit_build(OsVisit *visit, void *user) {
  Visitor visitor = {.visit = visit, .user = user};
  (void)dl_iterate_phdr(visit_object, &visitor);
  return visitor.is_found;
}

#else

bool os_visit_build(OsVisit *visit, void *user) {
  (void)visit, (void)user;
  return false;
}

#endif
