/* test_wasi.c - WASI by its C interface: descriptors, rights, waiting, sockets, and what happens
 * when arguments are bad or the host runs out of something.
 */
#include "wasi_guest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

static Guest guest;

static void open_guest(rille_WasiOptions options, const rille_Limits *limits) {
  const rille_WasiDir dirs[] = {{"/", in_work("box"), false}, {"/ro", in_work("box"), true}};
  if (options.n_dirs == 0) {
    options.dirs = dirs;
    options.n_dirs = 2;
  }
  guest = new_guest(&options, limits);
}

static int set_up(void **state) {
  (void)state;
  make_work();
  make_dir("box");
  make_dir("box/dir");
  write_file("box/file", "0123456789");
  make_link("file", "box/link");
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  remove_work();
  return 0;
}

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint32_t open_file(const char *path, uint32_t oflags, uint64_t rights) {
  uint32_t fd;
  int result = open_path(&guest, 3, path, true, oflags, rights, &fd);
  if (result != 0) fail_msg("%s cannot be opened: errno %d", path, result);
  return fd;
}

static int write_text(uint32_t fd, const char *text) {
  memcpy(bytes_at(&guest, DATA_AT), text, strlen(text));
  return CALL(&guest, "fd_write", fd, BUFFER(&guest, (uint32_t)strlen(text)), OUT_AT);
}

static void check_text(const char *text) {
  assert_int_equal(u32_at(&guest, OUT_AT), strlen(text));
  assert_memory_equal(bytes_at(&guest, DATA_AT), text, strlen(text));
}

/* ---- Files ----------------------------------------------------------------------------------- */

static void syncing(void **state) {
  (void)state;
  open_guest((rille_WasiOptions){0}, NULL);
  uint32_t fd = open_file("new", O_FLAG_CREAT, ALL_RIGHTS);
  assert_int_equal(write_text(fd, "data"), 0);
  assert_int_equal(CALL(&guest, "fd_sync", fd), 0);
  assert_int_equal(CALL(&guest, "fd_datasync", fd), 0);
  assert_int_equal(CALL(&guest, "fd_sync", 3), 0);
  assert_int_equal(CALL(&guest, "fd_sync", 1), 0);
  assert_int_equal(CALL(&guest, "fd_datasync", 1), 0);
  assert_int_equal(CALL(&guest, "fd_sync", 99), E_BADF);
  assert_int_equal(CALL(&guest, "fd_datasync", 99), E_BADF);
  uint64_t rights = ALL_RIGHTS & ~RIGHT_OF(FD_SYNC) & ~RIGHT_OF(FD_DATASYNC);
  uint32_t other = open_file("new", 0, rights);
  assert_int_equal(CALL(&guest, "fd_sync", other), E_NOTCAPABLE);
  assert_int_equal(CALL(&guest, "fd_datasync", other), E_NOTCAPABLE);
  free_guest(&guest);
}

static void rights_are_kept(void **state) {
  (void)state;
  open_guest((rille_WasiOptions){0}, NULL);
  uint32_t fd = open_file("file", 0, RIGHT_OF(FD_READ));
  assert_int_equal(CALL(&guest, "fd_read", fd, BUFFER(&guest, 4), OUT_AT), 0);
  check_text("0123");
  assert_int_equal(write_text(fd, "x"), E_NOTCAPABLE);
  assert_int_equal(CALL(&guest, "fd_seek", fd, 0, 0, OUT_AT), E_NOTCAPABLE);
  assert_int_equal(CALL(&guest, "fd_tell", fd, OUT_AT), E_NOTCAPABLE);
  assert_int_equal(CALL(&guest, "fd_filestat_get", fd, DATA_AT), E_NOTCAPABLE);
  assert_int_equal(CALL(&guest, "fd_filestat_set_size", fd, 0), E_NOTCAPABLE);
  assert_int_equal(CALL(&guest, "fd_filestat_set_times", fd, 0, 0, 1), E_NOTCAPABLE);
  assert_int_equal(CALL(&guest, "fd_allocate", fd, 0, 1), E_NOTCAPABLE);
  assert_int_equal(CALL(&guest, "fd_advise", fd, 0, 1, 0), E_NOTCAPABLE);
  assert_int_equal(CALL(&guest, "fd_fdstat_set_flags", fd, 0), E_NOTCAPABLE);
  assert_int_equal(CALL(&guest, "fd_fdstat_set_rights", fd, ALL_RIGHTS, 0), E_NOTCAPABLE);
  assert_int_equal(CALL(&guest, "fd_fdstat_set_rights", fd, 0, 0), 0);
  assert_int_equal(CALL(&guest, "fd_read", fd, BUFFER(&guest, 4), OUT_AT), E_NOTCAPABLE);
  /* what a directory loses is lost for what is opened in it */
  assert_int_equal(CALL(&guest, "fd_fdstat_get", 3, DATA_AT), 0);
  uint64_t base = u64_at(&guest, DATA_AT + 8), inheriting = u64_at(&guest, DATA_AT + 16);
  assert_int_equal(CALL(&guest, "fd_fdstat_set_rights", 3, base & ~RIGHT_OF(PATH_UNLINK_FILE),
                        inheriting & ~RIGHT_OF(FD_WRITE)),
                   0);
  assert_int_equal(CALL(&guest, "path_unlink_file", 3, PATH(&guest, "file")), E_NOTCAPABLE);
  assert_int_equal(open_path(&guest, 3, "file", true, 0, RIGHT_OF(FD_WRITE), &fd), E_NOTCAPABLE);
  assert_int_equal(CALL(&guest, "fd_fdstat_set_rights", 3, 0, 0), 0);
  assert_int_equal(open_path(&guest, 3, "file", true, 0, 0, &fd), E_NOTCAPABLE);
  assert_int_equal(CALL(&guest, "fd_readdir", 3, DATA_AT, 100, 0, OUT_AT), E_NOTCAPABLE);
  free_guest(&guest);
}

/* Descriptor 4 is the same directory, but may not be changed. */
static void read_only_directories(void **state) {
  (void)state;
  open_guest((rille_WasiOptions){0}, NULL);
  uint32_t fd;
  assert_int_equal(open_path(&guest, 4, "file", true, 0, RIGHT_OF(FD_READ), &fd), 0);
  assert_int_equal(CALL(&guest, "fd_read", fd, BUFFER(&guest, 10), OUT_AT), 0);
  check_text("0123456789");
  assert_int_equal(open_path(&guest, 4, "file", true, 0, RIGHT_OF(FD_WRITE), &fd), E_ROFS);
  assert_int_equal(open_path(&guest, 4, "file", true, O_FLAG_TRUNC, 0, &fd), E_ROFS);
  assert_int_equal(open_path(&guest, 4, "new", true, O_FLAG_CREAT, 0, &fd), E_ROFS);
  assert_int_equal(open_path(&guest, 4, "new", true, O_FLAG_CREAT | O_FLAG_EXCL, 0, &fd), E_ROFS);
  assert_int_equal(open_path(&guest, 4, "file", true, O_FLAG_CREAT, RIGHT_OF(FD_READ), &fd), 0);
  assert_int_equal(open_path(&guest, 4, "file", true, 0, ALL_RIGHTS & ~RIGHT_OF(FD_WRITE), &fd), 0);
  assert_int_equal(CALL(&guest, "fd_filestat_set_size", fd, 0), E_ROFS);
  assert_int_equal(CALL(&guest, "fd_filestat_set_times", fd, 0, 0, 1), E_ROFS);
  assert_int_equal(CALL(&guest, "fd_allocate", fd, 0, 100), E_ROFS);
  assert_int_equal(CALL(&guest, "path_create_directory", 4, PATH(&guest, "new")), E_ROFS);
  assert_int_equal(CALL(&guest, "path_remove_directory", 4, PATH(&guest, "dir")), E_ROFS);
  assert_int_equal(CALL(&guest, "path_unlink_file", 4, PATH(&guest, "file")), E_ROFS);
  assert_int_equal(CALL(&guest, "path_symlink", PATH(&guest, "file"), 4, PATH2(&guest, "new")),
                   E_ROFS);
  assert_int_equal(CALL(&guest, "path_rename", 4, PATH(&guest, "file"), 4, PATH2(&guest, "new")),
                   E_ROFS);
  assert_int_equal(CALL(&guest, "path_rename", 4, PATH(&guest, "file"), 3, PATH2(&guest, "new")),
                   E_ROFS);
  assert_int_equal(CALL(&guest, "path_rename", 3, PATH(&guest, "file"), 4, PATH2(&guest, "new")),
                   E_ROFS);
  assert_int_equal(CALL(&guest, "path_link", 4, 0, PATH(&guest, "file"), 3, PATH2(&guest, "new")),
                   E_ROFS);
  assert_int_equal(CALL(&guest, "path_link", 3, 0, PATH(&guest, "file"), 4, PATH2(&guest, "new")),
                   E_ROFS);
  assert_int_equal(CALL(&guest, "path_filestat_set_times", 4, 1, PATH(&guest, "file"), 0, 0, 5),
                   E_ROFS);
  /* a directory opened below it is read-only too */
  uint32_t dir;
  assert_int_equal(
      open_path(&guest, 4, "dir", true, O_FLAG_DIRECTORY, ALL_RIGHTS & ~RIGHT_OF(FD_WRITE), &dir),
      0);
  assert_int_equal(CALL(&guest, "path_create_directory", dir, PATH(&guest, "new")), E_ROFS);
  assert_int_equal(open_path(&guest, dir, "new", true, O_FLAG_CREAT, 0, &fd), E_ROFS);
  free_guest(&guest);
}

static size_t read_names(uint32_t fd, uint32_t room, char *names) {
  uint64_t cookie = 0;
  size_t n = 0;
  names[0] = '\0';
  for (;;) {
    assert_int_equal(CALL(&guest, "fd_readdir", fd, DATA_AT, room, cookie, OUT_AT), 0);
    uint32_t used = u32_at(&guest, OUT_AT), at = 0;
    bool is_new = false;
    while (at + 24 <= used) {
      uint32_t size = u32_at(&guest, DATA_AT + at + 16);
      if (at + 24 + size > used) break;
      strncat(names, (const char *)bytes_at(&guest, DATA_AT + at + 24), size);
      strcat(names, " ");
      cookie = u64_at(&guest, DATA_AT + at);
      at += 24 + size;
      is_new = true;
      n++;
    }
    if (used < room || !is_new) return n;
  }
}

static void directories(void **state) {
  (void)state;
  enum { N_FILES = 200 };
  char all[8192], again[8192];
  for (int i = 0; i < N_FILES; i++) {
    char name[64];
    snprintf(name, sizeof name, "box/dir/file-%03d", i);
    write_file(name, "");
  }
  open_guest((rille_WasiOptions){0}, NULL);
  uint32_t fd = open_file("dir", O_FLAG_DIRECTORY, RIGHT_OF(FD_READDIR));
  assert_int_equal(read_names(fd, 32768, all), N_FILES + 2);
  assert_int_equal(read_names(fd, 100, again), N_FILES + 2);
  assert_string_equal(all, again);
  /* any cookie is an answer of some kind */
  const uint64_t bad[] = {1, 77, INT64_MAX, UINT64_MAX, UINT64_C(1) << 63};
  for (int i = 0; i < 5; i++) {
    CALL(&guest, "fd_readdir", fd, DATA_AT, 100, bad[i], OUT_AT);
  }
  assert_int_equal(read_names(fd, 4096, again), N_FILES + 2);
  /* the inode above a pre-opened directory is not shown */
  struct stat about;
  assert_int_equal(stat(work, &about), 0);
  assert_int_equal(CALL(&guest, "fd_readdir", 3, DATA_AT, 4096, 0, OUT_AT), 0);
  for (uint32_t at = 0; at + 24 <= u32_at(&guest, OUT_AT);) {
    assert_int_not_equal(u64_at(&guest, DATA_AT + at + 8), about.st_ino);
    at += 24 + u32_at(&guest, DATA_AT + at + 16);
  }
  /* removed underneath */
  make_dir("box/gone");
  uint32_t gone = open_file("gone", O_FLAG_DIRECTORY,
                            RIGHT_OF(FD_READDIR) | RIGHT_OF(PATH_OPEN) |
                                RIGHT_OF(PATH_CREATE_FILE) | RIGHT_OF(PATH_CREATE_DIRECTORY));
  rmdir(in_work("box/gone"));
  uint32_t unused;
  assert_int_equal(open_path(&guest, gone, "x", true, O_FLAG_CREAT, 0, &unused), E_NOENT);
  assert_int_equal(open_path(&guest, gone, "x", true, 0, 0, &unused), E_NOENT);
  assert_int_equal(CALL(&guest, "path_create_directory", gone, PATH(&guest, "x")), E_NOENT);
  int result = CALL(&guest, "fd_readdir", gone, DATA_AT, 100, 0, OUT_AT);
  assert_true(result == 0 || result == E_NOENT);
  free_guest(&guest);
}

static void special_files(void **state) {
  (void)state;
  assert_int_equal(mkfifo(in_work("box/fifo"), 0666), 0);
  open_guest((rille_WasiOptions){0}, NULL);
  uint32_t fd, writer;
  /* nothing waits for the other end */
  assert_int_equal(open_path(&guest, 3, "fifo", true, 0, RIGHT_OF(FD_WRITE), &fd), E_NXIO);
  assert_int_equal(open_path(&guest, 3, "fifo", true, 0, ALL_RIGHTS & ~RIGHT_OF(FD_WRITE), &fd), 0);
  assert_int_equal(open_path(&guest, 3, "fifo", true, 0, RIGHT_OF(FD_WRITE), &writer), 0);
  assert_int_equal(write_text(writer, "through"), 0);
  assert_int_equal(CALL(&guest, "fd_read", fd, BUFFER(&guest, 100), OUT_AT), 0);
  check_text("through");
  assert_int_equal(CALL(&guest, "fd_fdstat_set_flags", fd, 4), 0);
  assert_int_equal(CALL(&guest, "fd_read", fd, BUFFER(&guest, 100), OUT_AT), E_AGAIN);
  assert_int_equal(CALL(&guest, "fd_close", writer), 0);
  assert_int_equal(CALL(&guest, "fd_read", fd, BUFFER(&guest, 100), OUT_AT), 0);
  assert_int_equal(u32_at(&guest, OUT_AT), 0);
  assert_int_equal(CALL(&guest, "fd_seek", fd, 0, 0, OUT_AT), E_SPIPE);
  if (mknod(in_work("box/null"), S_IFCHR | 0666, (dev_t)0x103) == 0) {
    fd = open_file("null", 0, RIGHT_OF(FD_READ) | RIGHT_OF(FD_WRITE));
    assert_int_equal(write_text(fd, "x"), 0);
    assert_int_equal(CALL(&guest, "fd_read", fd, BUFFER(&guest, 100), OUT_AT), 0);
    assert_int_equal(u32_at(&guest, OUT_AT), 0);
  }
  free_guest(&guest);
}

/* ---- Bad arguments --------------------------------------------------------------------------- */

static rille_Status refuse_to_block(void *user, rille_Activation *activation,
                                    const rille_WasiWait *wait) {
  (void)user, (void)wait;
  return rille_trap(activation, "would block");
}

/* Every pointer of every function, one at a time, is where no memory is. */
static void pointers_out_of_bounds(void **state) {
  (void)state;
  const uint32_t bad[] = {131072, 131071, 0xFFFFFFFF, 0x80000000, 0xFFFFFFF0};
  open_guest((rille_WasiOptions){.hooks = {.block = refuse_to_block}}, NULL);
  uint32_t fd = open_file("file", 0, ALL_RIGHTS);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    uint32_t p = bad[i];
#define FAULTS(...) assert_int_equal(CALL(&guest, __VA_ARGS__), E_FAULT)
    FAULTS("args_sizes_get", p, OUT_AT);
    FAULTS("args_sizes_get", OUT_AT, p);
    FAULTS("environ_sizes_get", p, OUT_AT);
    FAULTS("environ_sizes_get", OUT_AT, p);
    FAULTS("clock_res_get", 0, p);
    FAULTS("clock_time_get", 0, 0, p);
    FAULTS("fd_fdstat_get", 3, p);
    FAULTS("fd_filestat_get", 3, p);
    FAULTS("fd_prestat_get", 3, p);
    FAULTS("fd_prestat_dir_name", 3, p == 131071 ? 131072 : p, 1);
    FAULTS("fd_read", fd, p, 1, OUT_AT);
    FAULTS("fd_read", fd, BUFFER(&guest, 1), p);
    FAULTS("fd_read", fd, 0, 0xFFFFFFFF, OUT_AT);
    FAULTS("fd_read", fd, BUFFER(&guest, 0xFFFFFFFF), OUT_AT);
    FAULTS("fd_write", fd, p, 1, OUT_AT);
    FAULTS("fd_write", fd, BUFFER(&guest, 1), p);
    FAULTS("fd_pread", fd, p, 1, 0, OUT_AT);
    FAULTS("fd_pread", fd, BUFFER(&guest, 1), 0, p);
    FAULTS("fd_pwrite", fd, p, 1, 0, OUT_AT);
    FAULTS("fd_pwrite", fd, BUFFER(&guest, 1), 0, p);
    FAULTS("fd_readdir", 3, p, 100, 0, OUT_AT);
    FAULTS("fd_readdir", 3, DATA_AT, 100, 0, p);
    FAULTS("fd_seek", fd, 0, 0, p);
    FAULTS("fd_tell", fd, p);
    FAULTS("path_create_directory", 3, p, 2);
    FAULTS("path_filestat_get", 3, 0, p, 2, DATA_AT);
    FAULTS("path_filestat_get", 3, 0, PATH(&guest, "file"), p);
    FAULTS("path_filestat_set_times", 3, 0, p, 2, 0, 0, 0);
    FAULTS("path_link", 3, 0, p, 2, 3, PATH(&guest, "x"));
    FAULTS("path_link", 3, 0, PATH(&guest, "file"), 3, p, 2);
    FAULTS("path_open", 3, 0, p, 2, 0, 0, 0, 0, OUT_AT);
    FAULTS("path_open", 3, 0, PATH(&guest, "file"), 0, 0, 0, 0, p);
    FAULTS("path_readlink", 3, p, 2, DATA_AT, 10, OUT_AT);
    FAULTS("path_readlink", 3, PATH(&guest, "link"), p, 10, OUT_AT);
    FAULTS("path_readlink", 3, PATH(&guest, "link"), DATA_AT, 10, p);
    FAULTS("path_remove_directory", 3, p, 2);
    FAULTS("path_rename", 3, p, 2, 3, PATH(&guest, "x"));
    FAULTS("path_rename", 3, PATH(&guest, "file"), 3, p, 2);
    FAULTS("path_symlink", p, 2, 3, PATH(&guest, "x"));
    FAULTS("path_symlink", PATH(&guest, "x"), 3, p, 2);
    FAULTS("path_unlink_file", 3, p, 2);
    FAULTS("poll_oneoff", p, DATA_AT, 1, OUT_AT);
    FAULTS("poll_oneoff", DATA_AT, p, 1, OUT_AT);
    FAULTS("poll_oneoff", DATA_AT, DATA_AT, 1, p);
    FAULTS("poll_oneoff", 0, 0, 0xFFFFFFFF, OUT_AT);
    FAULTS("random_get", p, 2);
#undef FAULTS
  }
  free_guest(&guest);
}

/* Any arguments to any function: an errno, and nothing else happens. */
static void random_arguments(void **state) {
  (void)state;
  enum { ROUNDS = 40000 };
  static const uint64_t values[] = {0,      1,      2,          3,          4,         5,
                                    8,      16,     64,         1000,       4096,      65536,
                                    131064, 131072, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
  static const char *const left_out[] = {"proc_exit", "proc_raise", "fd_allocate",
                                         "fd_filestat_set_size", "fd_pwrite"};
  uint32_t seed = 12345;
  open_guest((rille_WasiOptions){.hooks = {.block = refuse_to_block}}, NULL);
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t args[10];
    for (int i = 0; i < 10; i++) {
      seed = seed * 1664525 + 1013904223;
      args[i] = values[(seed >> 8) % (sizeof values / sizeof values[0])];
    }
    seed = seed * 1664525 + 1013904223;
    const char *name = rille_wasi_name((seed >> 8) % 46);
    bool is_left_out = false;
    for (int i = 0; i < 5; i++) is_left_out |= strcmp(name, left_out[i]) == 0;
    if (is_left_out) continue;
    if (round % 500 == 0) {
      for (uint32_t at = 0; at < 256; at += 4) put_u32(&guest, at, seed % (at + 3));
      strcpy((char *)bytes_at(&guest, 1000), "dir/../file");
    }
    rille_Extern item;
    const rille_ValueType *params;
    assert_true(rille_find_export(guest.instance, name, &item));
    size_t n = rille_func_params(rille_func_type(item.func), &params);
    int result = call_values(&guest, name, args, n);
    if (result < 0) {
      assert_string_equal(rille_error_kind_name(rille_error_kind(guest.error)), "trap");
      assert_non_null(strstr(rille_error_message(guest.error), "would block"));
    } else {
      assert_in_range(result, 0, 76);
    }
  }
  free_guest(&guest);
}

static void unknown_flags(void **state) {
  (void)state;
  open_guest((rille_WasiOptions){0}, NULL);
  uint32_t fd = open_file("file", 0, ALL_RIGHTS);
  assert_int_equal(CALL(&guest, "fd_seek", fd, 0, 3, OUT_AT), E_INVAL);
  assert_int_equal(CALL(&guest, "fd_seek", fd, UINT64_MAX, 0, OUT_AT), E_INVAL);
  assert_int_equal(CALL(&guest, "fd_advise", fd, 0, 0, 6), E_INVAL);
  assert_int_equal(CALL(&guest, "fd_fdstat_set_flags", fd, 32), E_INVAL);
  assert_int_equal(CALL(&guest, "fd_filestat_set_times", fd, 0, 0, 3), E_INVAL);
  assert_int_equal(CALL(&guest, "fd_filestat_set_times", fd, 0, 0, 16), E_INVAL);
  assert_int_equal(CALL(&guest, "fd_allocate", fd, 0, 0), E_INVAL);
  assert_int_equal(CALL(&guest, "fd_allocate", fd, INT64_MAX, 2), E_INVAL);
  assert_int_equal(CALL(&guest, "fd_pread", fd, BUFFER(&guest, 1), UINT64_MAX, OUT_AT), E_INVAL);
  assert_int_equal(CALL(&guest, "clock_time_get", 4, 0, OUT_AT), E_INVAL);
  assert_int_equal(CALL(&guest, "clock_res_get", 4, OUT_AT), E_INVAL);
  assert_int_equal(CALL(&guest, "poll_oneoff", 0, 0, 0, OUT_AT), E_INVAL);
  assert_int_equal(CALL(&guest, "path_open", 3, 0, PATH(&guest, "file"), 16, 0, 0, 0, OUT_AT),
                   E_INVAL);
  assert_int_equal(CALL(&guest, "path_open", 3, 0, PATH(&guest, "file"), 0, 0, 0, 32, OUT_AT),
                   E_INVAL);
  free_guest(&guest);
}

/* ---- The host runs out ----------------------------------------------------------------------- */

static void descriptors_run_out(void **state) {
  (void)state;
  enum { ROOM = 64 };
  struct rlimit before, small;
  uint32_t fd, last = 0;
  int n = 0, result;
  open_guest((rille_WasiOptions){0}, NULL);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  small = (struct rlimit){ROOM, before.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
  while ((result = open_path(&guest, 3, "file", true, 0, 0, &fd)) == 0 && n < ROOM) {
    last = fd;
    n++;
  }
  assert_int_equal(result, E_MFILE);
  assert_in_range(n, 1, ROOM);
  /* even so every path can be resolved that needs no descriptor, and the error is the right one */
  assert_int_equal(CALL(&guest, "path_create_directory", 3, PATH(&guest, "made")), 0);
  assert_int_equal(CALL(&guest, "path_create_directory", 3, PATH(&guest, "dir/made")), E_MFILE);
  assert_int_equal(CALL(&guest, "fd_readdir", 3, DATA_AT, 100, 0, OUT_AT), E_MFILE);
  assert_int_equal(CALL(&guest, "fd_close", last), 0);
  assert_int_equal(open_path(&guest, 3, "file", true, 0, 0, &fd), 0);
  setrlimit(RLIMIT_NOFILE, &before);
  free_guest(&guest); /* counts what is left */
}

static void full_disk(void **state) {
  (void)state;
  make_dir("box/small");
  if (mount("tmpfs", in_work("box/small"), "tmpfs", 0, "size=64k") != 0) {
    print_message("no tmpfs can be mounted\n");
    skip();
  }
  open_guest((rille_WasiOptions){0}, NULL);
  uint32_t fd = open_file("small/new", O_FLAG_CREAT, ALL_RIGHTS);
  int result = 0;
  for (int i = 0; i < 100 && result == 0; i++) {
    result = CALL(&guest, "fd_write", fd, BUFFER(&guest, 4096), OUT_AT);
  }
  assert_int_equal(result, E_NOSPC);
  assert_int_equal(CALL(&guest, "fd_allocate", fd, 0, 1 << 20), E_NOSPC);
  assert_int_equal(CALL(&guest, "fd_pwrite", fd, BUFFER(&guest, 4096), 1 << 20, OUT_AT), E_NOSPC);
  assert_int_equal(CALL(&guest, "fd_filestat_set_size", fd, 0), 0);
  assert_int_equal(CALL(&guest, "fd_write", fd, BUFFER(&guest, 4096), OUT_AT), 0);
  free_guest(&guest);
  umount(in_work("box/small"));
}

static int64_t n_allowed; /* allocations that still succeed */

static void *resize_some(void *user, void *ptr, size_t old_size, size_t new_size) {
  (void)user, (void)old_size;
  if (new_size == 0) {
    free(ptr);
    return NULL;
  }
  return n_allowed-- > 0 ? realloc(ptr, new_size) : NULL;
}

/* The n-th allocation fails, for every n that making a context and a function of it needs. */
static void memory_runs_out(void **state) {
  (void)state;
  const rille_WasiDir dir = {"/", in_work("box"), false};
  const char *args[] = {"a", "b", NULL};
  const rille_WasiOptions options = {
      .dirs = &dir,
      .n_dirs = 1,
      .args = args,
      .env = args,
      .streams = {{.kind = RILLE_WASI_BYTES, .bytes = "abc", .size = 3}}};
  size_t before = count_fds();
  bool is_enough = false;
  for (int64_t n = 0; !is_enough; n++) {
    n_allowed = INT64_MAX;
    rille_Engine *engine = rille_new_engine(resize_some, NULL);
    n_allowed = n;
    rille_Wasi *wasi = rille_new_wasi(engine, &options, NULL);
    rille_Func *func = wasi != NULL ? rille_wasi_func(wasi, "wasi_unstable", "poll_oneoff") : NULL;
    is_enough = func != NULL;
    if (func != NULL) rille_free_func(func);
    if (wasi != NULL) rille_free_wasi(wasi);
    assert_int_equal(rille_engine_bytes(engine), 0);
    rille_free_engine(engine);
    assert_int_equal(count_fds(), before);
  }
}

/* ---- Streams and waiting --------------------------------------------------------------------- */

typedef struct Later {
  int fd;
  unsigned us;
  const char *text;
} Later;

static void *write_later(void *data) {
  Later later = *(const Later *)data;
  usleep(later.us);
  if (write(later.fd, later.text, strlen(later.text)) < 0) abort();
  return NULL;
}

static void *interrupt_later(void *store) {
  usleep(50000);
  rille_interrupt(store);
  return NULL;
}

static volatile sig_atomic_t n_signals;
static void count_signal(int number) {
  (void)number;
  n_signals++;
}

static void closed_pipe(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  struct sigaction before, count = {.sa_handler = count_signal};
  sigaction(SIGPIPE, &count, &before);
  n_signals = 0;
  open_guest((rille_WasiOptions){.streams = {[1] = {.kind = RILLE_WASI_FD, .fd = ends[1]}}}, NULL);
  assert_int_equal(write_text(1, "heard"), 0);
  close(ends[0]);
  close(ends[1]);
  assert_int_equal(write_text(1, "unheard"), E_PIPE);
  assert_int_equal(n_signals, 0);
  sigaction(SIGPIPE, &before, NULL);
  guest.fds_before -= 2;
  free_guest(&guest);
}

/* A full pipe takes the rest when somebody reads, and a guest that waits is told of all. */
static void *drain(void *data) {
  int fd = *(const int *)data;
  static char bytes[8192];
  size_t n = 0;
  for (ssize_t got; (got = read(fd, bytes, sizeof bytes)) > 0; n += (size_t)got) usleep(1000);
  return (void *)(uintptr_t)n;
}

static void full_pipe(void **state) {
  (void)state;
  int ends[2];
  enum { SIZE = 100000 };
  pthread_t thread;
  void *drained;
  assert_int_equal(pipe(ends), 0);
  assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0);
  open_guest((rille_WasiOptions){.streams = {[1] = {.kind = RILLE_WASI_FD, .fd = ends[1]}}}, NULL);
  assert_int_equal(CALL(&guest, "fd_fdstat_set_flags", 1, 4), 0);
  assert_int_equal(CALL(&guest, "fd_write", 1, BUFFER(&guest, SIZE), OUT_AT), 0);
  assert_int_equal(u32_at(&guest, OUT_AT), 4096);
  assert_int_equal(CALL(&guest, "fd_write", 1, BUFFER(&guest, SIZE), OUT_AT), E_AGAIN);
  assert_int_equal(CALL(&guest, "fd_fdstat_set_flags", 1, 0), 0);
  pthread_create(&thread, NULL, drain, &ends[0]);
  assert_int_equal(CALL(&guest, "fd_write", 1, BUFFER(&guest, SIZE), OUT_AT), 0);
  assert_int_equal(u32_at(&guest, OUT_AT), SIZE);
  close(ends[1]);
  guest.fds_before -= 2;
  rille_close_wasi(guest.wasi);
  pthread_join(thread, &drained);
  close(ends[0]);
  assert_int_equal((uintptr_t)drained, 4096 + SIZE);
  assert_int_equal(write_text(1, "x"), E_BADF);
  free_guest(&guest);
}

static void interrupted_reads(void **state) {
  (void)state;
  int ends[2];
  pthread_t thread;
  assert_int_equal(pipe(ends), 0);
  const rille_Limits limits = {.timeout_ns = 200 * 1000000};
  open_guest((rille_WasiOptions){.streams = {{.kind = RILLE_WASI_FD, .fd = ends[0]}}}, &limits);
  /* signals */
  struct sigaction before, count = {.sa_handler = count_signal};
  sigaction(SIGALRM, &count, &before);
  n_signals = 0;
  const struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &often, NULL);
  Later later = {ends[1], 60000, "late"};
  pthread_create(&thread, NULL, write_later, &later);
  assert_int_equal(CALL(&guest, "fd_read", 0, BUFFER(&guest, 100), OUT_AT), 0);
  check_text("late");
  setitimer(ITIMER_REAL, &never, NULL);
  sigaction(SIGALRM, &before, NULL);
  pthread_join(thread, NULL);
  assert_true(n_signals > 0);
  /* an interrupt, and the time limit */
  pthread_create(&thread, NULL, interrupt_later, rille_instance_store(guest.instance));
  assert_int_equal(CALL(&guest, "fd_read", 0, BUFFER(&guest, 100), OUT_AT), -1);
  assert_string_equal(rille_error_code(guest.error), "interrupt");
  pthread_join(thread, NULL);
  double began = now_s();
  assert_int_equal(CALL(&guest, "fd_read", 0, BUFFER(&guest, 100), OUT_AT), -1);
  assert_string_equal(rille_error_code(guest.error), "timeout");
  assert_true(now_s() - began < 1);
  close(ends[0]);
  close(ends[1]);
  guest.fds_before -= 2;
  free_guest(&guest);
}

/* ---- poll_oneoff ----------------------------------------------------------------------------- */

enum { SUBSCRIPTIONS_AT = 20000, EVENTS_AT = 30000 };

static void put_clock(uint32_t i, uint64_t userdata, uint32_t id, uint64_t timeout,
                      uint16_t flags) {
  uint32_t at = SUBSCRIPTIONS_AT + i * 48;
  memset(bytes_at(&guest, at), 0, 48);
  put_u64(&guest, at, userdata);
  put_u32(&guest, at + 16, id);
  put_u64(&guest, at + 24, timeout);
  put_u32(&guest, at + 40, flags);
}

static void put_fd(uint32_t i, uint64_t userdata, uint8_t type, uint32_t fd) {
  uint32_t at = SUBSCRIPTIONS_AT + i * 48;
  memset(bytes_at(&guest, at), 0, 48);
  put_u64(&guest, at, userdata);
  *bytes_at(&guest, at + 8) = type;
  put_u32(&guest, at + 16, fd);
}

static uint32_t poll_guest(uint32_t n) {
  assert_int_equal(CALL(&guest, "poll_oneoff", SUBSCRIPTIONS_AT, EVENTS_AT, n, OUT_AT), 0);
  return u32_at(&guest, OUT_AT);
}

static void check_event(uint32_t i, uint64_t userdata, uint16_t error, uint8_t type) {
  uint32_t at = EVENTS_AT + i * 32;
  assert_int_equal(u64_at(&guest, at), userdata);
  assert_int_equal(u32_at(&guest, at + 8) & 0xFFFF, error);
  assert_int_equal(*bytes_at(&guest, at + 10), type);
}

static void polling_clocks(void **state) {
  (void)state;
  open_guest((rille_WasiOptions){0}, NULL);
  double began = now_s();
  put_clock(0, 1, 1, 30000000, 0);
  put_clock(1, 2, 0, 60000000000, 0);
  assert_int_equal(poll_guest(2), 1);
  check_event(0, 1, 0, 0);
  assert_true(now_s() - began >= 0.03 && now_s() - began < 2);
  assert_int_equal(CALL(&guest, "clock_time_get", 0, 0, DATA_AT), 0);
  began = now_s();
  put_clock(0, 3, 0, u64_at(&guest, DATA_AT) + 30000000, 1);
  assert_int_equal(poll_guest(1), 1);
  check_event(0, 3, 0, 0);
  assert_true(now_s() - began >= 0.025 && now_s() - began < 2);
  put_clock(0, 4, 1, 0, 0);
  put_clock(1, 5, 1, 1, 1);
  put_clock(2, 6, 2, 5, 0);
  put_clock(3, 7, 9, 5, 0);
  assert_int_equal(poll_guest(4), 4);
  check_event(0, 4, 0, 0);
  check_event(1, 5, 0, 0);
  check_event(2, 6, E_NOTSUP, 0);
  check_event(3, 7, E_INVAL, 0);
  /* a long sleep ends with the run's time */
  free_guest(&guest);
  const rille_Limits limits = {.timeout_ns = 50 * 1000000};
  open_guest((rille_WasiOptions){0}, &limits);
  put_clock(0, 1, 1, 60000000000, 0);
  began = now_s();
  assert_int_equal(CALL(&guest, "poll_oneoff", SUBSCRIPTIONS_AT, EVENTS_AT, 1, OUT_AT), -1);
  assert_string_equal(rille_error_code(guest.error), "timeout");
  assert_true(now_s() - began < 1);
  free_guest(&guest);
}

static void polling_descriptors(void **state) {
  (void)state;
  int ends[2];
  pthread_t thread;
  assert_int_equal(pipe(ends), 0);
  open_guest((rille_WasiOptions){.streams = {{.kind = RILLE_WASI_FD, .fd = ends[0]},
                                             {.kind = RILLE_WASI_FD, .fd = ends[1]}}},
             NULL);
  uint32_t file = open_file("file", 0, ALL_RIGHTS);
  put_fd(0, 10, 1, 0);
  put_fd(1, 11, 2, 1);
  put_fd(2, 12, 1, file);
  put_fd(3, 13, 2, file);
  put_fd(4, 14, 1, 99);
  put_fd(5, 15, 2, 2);
  assert_int_equal(poll_guest(6), 5);
  check_event(0, 11, 0, 2);
  check_event(1, 12, 0, 1);
  assert_int_equal(u64_at(&guest, EVENTS_AT + 32 + 16), 10);
  check_event(2, 13, 0, 2);
  check_event(3, 14, E_BADF, 1);
  check_event(4, 15, 0, 2);
  /* somebody writes while we wait */
  put_clock(1, 20, 1, 60000000000, 0);
  Later later = {ends[1], 30000, "now"};
  pthread_create(&thread, NULL, write_later, &later);
  assert_int_equal(poll_guest(2), 1);
  check_event(0, 10, 0, 1);
  assert_int_equal(u64_at(&guest, EVENTS_AT + 16), 3);
  pthread_join(thread, NULL);
  /* the time is over before anything comes */
  assert_int_equal(CALL(&guest, "fd_read", 0, BUFFER(&guest, 100), OUT_AT), 0);
  put_clock(1, 20, 1, 20000000, 0);
  assert_int_equal(poll_guest(2), 1);
  check_event(0, 20, 0, 0);
  /* nobody can write any more */
  close(ends[1]);
  assert_int_equal(CALL(&guest, "fd_close", 1), 0);
  assert_int_equal(poll_guest(1), 1);
  check_event(0, 10, 0, 1);
  assert_int_equal(u32_at(&guest, EVENTS_AT + 24) & 0xFFFF, 1);
  *bytes_at(&guest, SUBSCRIPTIONS_AT + 8) = 7;
  assert_int_equal(CALL(&guest, "poll_oneoff", SUBSCRIPTIONS_AT, EVENTS_AT, 1, OUT_AT), E_INVAL);
  close(ends[0]);
  guest.fds_before -= 2;
  free_guest(&guest);
}

/* ---- wasi_unstable --------------------------------------------------------------------------- */

static void unstable_layouts(void **state) {
  (void)state;
  open_guest((rille_WasiOptions){0}, NULL);
  uint32_t fd = open_file("file", 0, ALL_RIGHTS);
  assert_int_equal(CALL(&guest, "u_fd_seek", fd, 3, 2, OUT_AT), 0); /* SET */
  assert_int_equal(u64_at(&guest, OUT_AT), 3);
  assert_int_equal(CALL(&guest, "u_fd_seek", fd, 2, 0, OUT_AT), 0); /* CUR */
  assert_int_equal(u64_at(&guest, OUT_AT), 5);
  assert_int_equal(CALL(&guest, "u_fd_seek", fd, 0, 1, OUT_AT), 0); /* END */
  assert_int_equal(u64_at(&guest, OUT_AT), 10);
  memset(bytes_at(&guest, DATA_AT), 0xAA, 64);
  assert_int_equal(CALL(&guest, "u_fd_filestat_get", fd, DATA_AT), 0);
  assert_int_equal(u32_at(&guest, DATA_AT + 20), 1);  /* links */
  assert_int_equal(u64_at(&guest, DATA_AT + 24), 10); /* size */
  assert_int_equal(u64_at(&guest, DATA_AT + 56), UINT64_C(0xAAAAAAAAAAAAAAAA));
  memset(bytes_at(&guest, SUBSCRIPTIONS_AT), 0, 56);
  put_u64(&guest, SUBSCRIPTIONS_AT, 5);
  put_u32(&guest, SUBSCRIPTIONS_AT + 24, 1);
  put_u64(&guest, SUBSCRIPTIONS_AT + 32, 1000);
  assert_int_equal(CALL(&guest, "u_poll_oneoff", SUBSCRIPTIONS_AT, EVENTS_AT, 1, OUT_AT), 0);
  check_event(0, 5, 0, 0);
  rille_Extern item;
  assert_false(rille_find_export(guest.instance, "u_sock_accept", &item));
  free_guest(&guest);
}

/* ---- Signals and the end --------------------------------------------------------------------- */

static void raising_signals(void **state) {
  (void)state;
  open_guest((rille_WasiOptions){0}, NULL);
  assert_int_equal(CALL(&guest, "proc_raise", 0), 0);
  assert_int_equal(CALL(&guest, "proc_raise", 31), E_INVAL);
  assert_int_equal(CALL(&guest, "proc_raise", 10), -1);
  assert_int_equal(rille_error_kind(guest.error), RILLE_ERROR_TRAP);
  assert_non_null(strstr(rille_error_message(guest.error), "not granted"));
  free_guest(&guest);
  struct sigaction before, count = {.sa_handler = count_signal};
  sigaction(SIGUSR1, &count, &before);
  n_signals = 0;
  open_guest((rille_WasiOptions){.raises = true}, NULL);
  assert_int_equal(CALL(&guest, "proc_raise", 10), 0);
  assert_int_equal(n_signals, 1);
  sigaction(SIGUSR1, &before, NULL);
  free_guest(&guest);
}

static void exiting(void **state) {
  (void)state;
  open_guest((rille_WasiOptions){0}, NULL);
  const int statuses[] = {0, 1, 42, 255};
  for (int i = 0; i < 4; i++) {
    assert_int_equal(CALL(&guest, "proc_exit", (uint64_t)statuses[i]), -1);
    assert_int_equal(rille_error_kind(guest.error), RILLE_ERROR_EXIT);
    assert_int_equal(rille_error_status(guest.error), statuses[i]);
  }
  free_guest(&guest);
}

/* ---- Sockets --------------------------------------------------------------------------------- */

static int listen_on_loopback(struct sockaddr_in *address) {
  socklen_t size = sizeof *address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
  assert_int_equal(listen(fd, 8), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)address, &size), 0);
  return fd;
}

static int connect_to(const struct sockaddr_in *address) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof *address), 0);
  return fd;
}

static void sockets(void **state) {
  (void)state;
  enum { LISTENER = 5 };
  struct sockaddr_in address;
  pthread_t thread;
  int listener = listen_on_loopback(&address);
  open_guest((rille_WasiOptions){.sockets = &listener, .n_sockets = 1}, NULL);
  guest.fds_before--;
  close(listener);
  assert_int_equal(CALL(&guest, "sock_accept", 3, 0, OUT_AT), E_NOTSOCK);
  assert_int_equal(CALL(&guest, "sock_accept", 99, 0, OUT_AT), E_BADF);
  assert_int_equal(CALL(&guest, "sock_accept", LISTENER, 1, OUT_AT), E_INVAL);
  assert_int_equal(CALL(&guest, "fd_fdstat_set_flags", LISTENER, 4), 0);
  assert_int_equal(CALL(&guest, "sock_accept", LISTENER, 0, OUT_AT), E_AGAIN);
  int client = connect_to(&address);
  assert_int_equal(CALL(&guest, "sock_accept", LISTENER, 0, OUT_AT), 0);
  uint32_t fd = u32_at(&guest, OUT_AT);
  assert_int_equal(CALL(&guest, "fd_fdstat_get", fd, DATA_AT), 0);
  assert_int_equal(*bytes_at(&guest, DATA_AT), 6); /* a stream socket */

  enum { FLAGS_AT = 32 };
  assert_int_equal(write(client, "ping", 4), 4);
  assert_int_equal(CALL(&guest, "sock_recv", fd, BUFFER(&guest, 100), 1, OUT_AT, FLAGS_AT), 0);
  check_text("ping"); /* still there */
  assert_int_equal(CALL(&guest, "sock_recv", fd, BUFFER(&guest, 2), 0, OUT_AT, FLAGS_AT), 0);
  check_text("pi");
  assert_int_equal(CALL(&guest, "sock_recv", fd, BUFFER(&guest, 100), 0, OUT_AT, FLAGS_AT), 0);
  check_text("ng");
  Later later = {client, 30000, "cond"};
  assert_int_equal(write(client, "se", 2), 2);
  pthread_create(&thread, NULL, write_later, &later);
  assert_int_equal(CALL(&guest, "sock_recv", fd, BUFFER(&guest, 6), 2, OUT_AT, FLAGS_AT), 0);
  check_text("second"); /* all of it */
  pthread_join(thread, NULL);
  assert_int_equal(CALL(&guest, "sock_recv", fd, BUFFER(&guest, 6), 4, OUT_AT, FLAGS_AT), E_INVAL);

  char got[16] = "";
  memcpy(bytes_at(&guest, DATA_AT), "pong", 4);
  assert_int_equal(CALL(&guest, "sock_send", fd, BUFFER(&guest, 4), 0, OUT_AT), 0);
  assert_int_equal(u32_at(&guest, OUT_AT), 4);
  assert_int_equal(read(client, got, sizeof got), 4);
  assert_string_equal(got, "pong");
  assert_int_equal(write_text(fd, "written"), 0);
  assert_int_equal(read(client, got, sizeof got), 7);
  assert_int_equal(CALL(&guest, "sock_send", fd, BUFFER(&guest, 4), 1, OUT_AT), E_INVAL);
  assert_int_equal(CALL(&guest, "sock_send", 3, BUFFER(&guest, 4), 0, OUT_AT), E_NOTSOCK);
  assert_int_equal(CALL(&guest, "sock_recv", 3, BUFFER(&guest, 4), 0, OUT_AT, FLAGS_AT), E_NOTSOCK);

  assert_int_equal(CALL(&guest, "sock_shutdown", fd, 0), E_INVAL);
  assert_int_equal(CALL(&guest, "sock_shutdown", fd, 2), 0);
  assert_int_equal(read(client, got, sizeof got), 0);
  assert_int_equal(CALL(&guest, "sock_send", fd, BUFFER(&guest, 4), 0, OUT_AT), E_PIPE);
  close(client);
  assert_int_equal(CALL(&guest, "sock_recv", fd, BUFFER(&guest, 4), 0, OUT_AT, FLAGS_AT), 0);
  assert_int_equal(u32_at(&guest, OUT_AT), 0);
  free_guest(&guest);
}

static void datagrams(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
  open_guest((rille_WasiOptions){.sockets = &ends[0], .n_sockets = 1}, NULL);
  assert_int_equal(write(ends[1], "longer", 6), 6);
  assert_int_equal(CALL(&guest, "sock_recv", 5, BUFFER(&guest, 3), 0, OUT_AT, 32), 0);
  check_text("lon");
  assert_int_equal(u32_at(&guest, 32) & 0xFFFF, 1); /* the rest is lost */
  assert_int_equal(CALL(&guest, "fd_fdstat_get", 5, DATA_AT), 0);
  assert_int_equal(*bytes_at(&guest, DATA_AT), 5);
  close(ends[0]);
  close(ends[1]);
  guest.fds_before -= 2;
  free_guest(&guest);
}

/* ---- Hooks ----------------------------------------------------------------------------------- */

typedef struct Asked {
  unsigned n_blocks, n_lines;
  uint64_t clock;
  char line[512], written[64];
  const char *input;
} Asked;

static bool give_time(void *user, uint32_t id, uint64_t *ns) {
  *ns = id == 0 ? 5000000000 : ((Asked *)user)->clock;
  return id < 2;
}

static bool give_random(void *user, void *out, size_t size) {
  (void)user;
  memset(out, 7, size);
  return true;
}

static ptrdiff_t give_input(void *user, int fd, void *out, size_t room) {
  Asked *asked = user;
  (void)fd, (void)room;
  if (asked->n_blocks == 0) return -1;
  if (asked->input == NULL) return 0;
  size_t size = strlen(asked->input);
  memcpy(out, asked->input, size);
  asked->input = NULL;
  return (ptrdiff_t)size;
}

static bool take_output(void *user, int fd, const void *bytes, size_t size) {
  (void)fd;
  strncat(((Asked *)user)->written, bytes, size);
  return true;
}

static rille_Status block(void *user, rille_Activation *activation, const rille_WasiWait *wait) {
  Asked *asked = user;
  (void)activation;
  asked->n_blocks++;
  asked->clock += wait->timeout_ns != UINT64_MAX ? wait->timeout_ns : 0;
  return RILLE_DONE;
}

static void trace(void *user, const char *line, const char *name, uint16_t number) {
  Asked *asked = user;
  (void)name, (void)number;
  asked->n_lines++;
  snprintf(asked->line, sizeof asked->line, "%s", line);
}

static void hooks(void **state) {
  (void)state;
  Asked asked = {.input = "typed", .clock = 1000};
  open_guest((rille_WasiOptions){.streams = {{.kind = RILLE_WASI_CALLBACK},
                                             {.kind = RILLE_WASI_CALLBACK},
                                             {.kind = RILLE_WASI_CAPTURE}},
                                 .hooks = {give_time, give_random, give_input, take_output, block,
                                           trace, &asked}},
             NULL);
  assert_int_equal(CALL(&guest, "clock_time_get", 0, 0, DATA_AT), 0);
  assert_int_equal(u64_at(&guest, DATA_AT), 5000000000);
  assert_string_equal(asked.line,
                      "clock_time_get(clock=REALTIME, precision=0) = SUCCESS time=5000000000");
  assert_int_equal(CALL(&guest, "random_get", DATA_AT, 3), 0);
  assert_int_equal(*bytes_at(&guest, DATA_AT + 2), 7);
  assert_int_equal(CALL(&guest, "fd_read", 0, BUFFER(&guest, 3), OUT_AT), 0);
  check_text("typ");
  assert_int_equal(asked.n_blocks, 1);
  put_fd(0, 9, 1, 0);
  assert_int_equal(poll_guest(1), 1);
  assert_int_equal(CALL(&guest, "fd_read", 0, BUFFER(&guest, 9), OUT_AT), 0);
  check_text("ed");
  assert_int_equal(CALL(&guest, "fd_read", 0, BUFFER(&guest, 9), OUT_AT), 0);
  assert_int_equal(u32_at(&guest, OUT_AT), 0);
  assert_int_equal(write_text(1, "out"), 0);
  assert_string_equal(asked.written, "out");
  assert_string_equal(asked.line, "fd_write(fd=1, iovs=\"out\" [1: 3 bytes]) = SUCCESS nwritten=3");
  assert_int_equal(write_text(2, "err"), 0);
  size_t size;
  assert_memory_equal(rille_wasi_output(guest.wasi, 2, &size), "err", 3);
  assert_int_equal(size, 3);
  put_clock(0, 1, 1, 60000000000, 0);
  assert_int_equal(poll_guest(1), 1);
  assert_int_equal(asked.n_blocks, 2);
  assert_int_equal(asked.clock, 60000001000);
  assert_int_equal(CALL(&guest, "path_unlink_file", 3, PATH(&guest, "no\n\x01")), E_NOENT);
  assert_string_equal(asked.line, "path_unlink_file(fd=3, path=\"no\\n\\x01\") = NOENT");
  free_guest(&guest);
}

static void strings(void **state) {
  (void)state;
  const char *args[] = {"program", "", "two words", NULL}, *env[] = {"A=1", "B=", NULL};
  open_guest((rille_WasiOptions){.args = args, .env = env}, NULL);
  assert_int_equal(CALL(&guest, "args_sizes_get", 16, 20), 0);
  assert_int_equal(u32_at(&guest, 16), 3);
  assert_int_equal(u32_at(&guest, 20), 19);
  assert_int_equal(CALL(&guest, "args_get", 100, 200), 0);
  assert_string_equal((char *)bytes_at(&guest, u32_at(&guest, 108)), "two words");
  assert_int_equal(CALL(&guest, "environ_get", 100, 200), 0);
  assert_string_equal((char *)bytes_at(&guest, u32_at(&guest, 104)), "B=");
  assert_int_equal(CALL(&guest, "args_get", 131064, 200), E_FAULT);
  assert_int_equal(CALL(&guest, "args_get", 100, 131056), E_FAULT);
  free_guest(&guest);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(syncing),
      TEST(rights_are_kept),
      TEST(read_only_directories),
      TEST(directories),
      TEST(special_files),
      TEST(pointers_out_of_bounds),
      TEST(random_arguments),
      TEST(unknown_flags),
      TEST(descriptors_run_out),
      TEST(full_disk),
      TEST(memory_runs_out),
      TEST(closed_pipe),
      TEST(full_pipe),
      TEST(interrupted_reads),
      TEST(polling_clocks),
      TEST(polling_descriptors),
      TEST(unstable_layouts),
      TEST(raising_signals),
      TEST(exiting),
      TEST(sockets),
      TEST(datagrams),
      TEST(hooks),
      TEST(strings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
