/* test_wasi_sandbox.c - attempts to reach what lies outside of a directory of the guest: by the
 * kernel's way of resolving paths and by the engine's own, with and without somebody who exchanges
 * directories for links meanwhile.
 *
 *   work/            "secret" files and directories, never to be reached or changed
 *   work/box/        the guest's directory, descriptor 3
 */
#include "wasi_guest.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

/* ---- What lies outside ----------------------------------------------------------------------- */

enum { MOST_OUTSIDE = 64 };
static struct stat outside[MOST_OUTSIDE];
static char outside_names[MOST_OUTSIDE][256];
static size_t n_outside;

static int note_one(const char *path, const struct stat *about, int flag, struct FTW *walk) {
  (void)flag;
  (void)walk;
  size_t size = strlen(in_work("box"));
  if (strncmp(path, in_work("box"), size) == 0) return 0;
  assert_true(n_outside < MOST_OUTSIDE);
  snprintf(outside_names[n_outside], sizeof outside_names[0], "%s", path);
  outside[n_outside++] = *about;
  return 0;
}

static void note_outside(void) {
  n_outside = 0;
  nftw(work, note_one, 16, FTW_PHYS);
}

static bool is_outside(dev_t device, ino_t inode) {
  for (size_t i = 0; i < n_outside; i++) {
    if (outside[i].st_dev == device && outside[i].st_ino == inode) return true;
  }
  return false;
}

static size_t n_seen;
static int check_one(const char *path, const struct stat *about, int flag, struct FTW *walk) {
  (void)flag;
  (void)walk;
  if (strncmp(path, in_work("box"), strlen(in_work("box"))) == 0) return 0;
  n_seen++;
  for (size_t i = 0; i < n_outside; i++) {
    if (strcmp(outside_names[i], path) != 0) continue;
    const struct stat *was = &outside[i];
    bool is_same = was->st_ino == about->st_ino && was->st_size == about->st_size &&
                   was->st_nlink == about->st_nlink &&
                   was->st_mtim.tv_sec == about->st_mtim.tv_sec &&
                   was->st_mtim.tv_nsec == about->st_mtim.tv_nsec;
    if (!is_same && strcmp(path, work) != 0) fail_msg("%s was changed", path);
    return 0;
  }
  fail_msg("%s was made", path);
  return 0;
}

static void check_outside(void) {
  n_seen = 0;
  nftw(work, check_one, 16, FTW_PHYS);
  assert_int_equal(n_seen, n_outside);
}

static void make_tree(void) {
  make_work();
  write_file("secret", "outside");
  make_dir("outdir");
  write_file("outdir/secret", "outside");
  make_dir("outdir/empty");
  make_dir("box-twin"); /* a name that starts like the directory's */
  write_file("box-twin/secret", "outside");
  make_dir("box");
  make_dir("box/dir");
  make_dir("box/dir/deep");
  make_dir("box/dir/deep/er");
  write_file("box/file", "inside");
  write_file("box/dir/secret", "inside");
  make_link("..", "box/up");
  make_link("../..", "box/upup");
  make_link("../outdir", "box/out");
  make_link("../secret", "box/outfile");
  make_link("../nothing", "box/outnew");
  make_link("/", "box/root");
  make_link("/etc/passwd", "box/passwd");
  make_link(in_work("secret"), "box/absolute");
  make_link(in_work("box/file"), "box/absolute-inside");
  make_link("dir/../../secret", "box/roundabout");
  make_link("dir/deep/../../../outdir", "box/roundabout-dir");
  make_link("chain2", "box/chain1");
  make_link("dir/chain3", "box/chain2");
  make_link("../up", "box/dir/chain3");
  make_link("../../outdir/secret", "box/dir/out");
  make_link("loop", "box/loop");
  make_link("../box-twin", "box/twin");
  make_link("../box/file", "box/out-and-in");
  make_link("self/../..", "box/self-up");
  make_link(".", "box/self");
  make_link("/proc/self/root", "box/magic-root");
  make_link("/proc/self/cwd", "box/magic-cwd");
  make_link("../outdir/", "box/out-slash");
  note_outside();
}

/* ---- Attempts -------------------------------------------------------------------------------- */

/* Each of these means something outside, were it followed. */
static const char *const attempts[] = {
    "..",
    "../",
    "../secret",
    "../outdir/secret",
    "../box-twin/secret",
    "../box/file",
    "./../secret",
    "dir/../../secret",
    "dir/deep/../../../secret",
    "dir/./.././../secret",
    "dir/deep/er/../../../../outdir",
    "//../secret",
    "/",
    "/etc/passwd",
    "//etc/passwd",
    "up",
    "up/",
    "up/secret",
    "up/outdir/secret",
    "up/box/../secret",
    "upup",
    "upup/secret",
    "out",
    "out/",
    "out/secret",
    "out/.",
    "out/..",
    "out/empty",
    "outfile",
    "outnew",
    "root",
    "root/etc/passwd",
    "passwd",
    "absolute",
    "absolute-inside",
    "roundabout",
    "roundabout-dir",
    "roundabout-dir/secret",
    "chain1",
    "chain1/secret",
    "dir/out",
    "twin/secret",
    "out-and-in",
    "self-up/secret",
    "self/self/self/../secret",
    "self/../secret",
    "magic-root",
    "magic-root/etc/passwd",
    "magic-cwd",
    "out-slash",
    "out-slash/secret",
    "file/../../secret",
    "dir/secret/../../../secret",
};

static void check_opened(Guest *guest, const char *path, uint32_t fd) {
  struct stat about;
  int host = rille_wasi_host_fd(guest->wasi, fd);
  assert_int_equal(fstat(host, &about), 0);
  if (is_outside(about.st_dev, about.st_ino)) fail_msg("%s was opened", path);
  char name[64], real[512] = "";
  snprintf(name, sizeof name, "/proc/self/fd/%d", host);
  if (readlink(name, real, sizeof real - 1) > 0 &&
      strncmp(real, in_work("box"), strlen(in_work("box"))) != 0) {
    fail_msg("%s opened %s", path, real);
  }
  CALL(guest, "fd_close", fd);
}

static void try_opening(Guest *guest, const char *path) {
  static const uint32_t oflags[] = {0,
                                    O_FLAG_DIRECTORY,
                                    O_FLAG_CREAT,
                                    O_FLAG_CREAT | O_FLAG_EXCL,
                                    O_FLAG_TRUNC,
                                    O_FLAG_CREAT | O_FLAG_TRUNC};
  static const uint64_t rights[] = {RIGHT_OF(FD_READ), RIGHT_OF(FD_READ) | RIGHT_OF(FD_WRITE)};
  uint32_t fd;
  for (size_t i = 0; i < sizeof oflags / sizeof oflags[0]; i++) {
    for (int k = 0; k < 4; k++) {
      if (open_path(guest, 3, path, k & 1, oflags[i], rights[k >> 1], &fd) == 0) {
        check_opened(guest, path, fd);
      }
    }
  }
}

static void try_stat(Guest *guest, const char *path) {
  for (uint32_t follows = 0; follows < 2; follows++) {
    int result = CALL(guest, "path_filestat_get", 3, follows, PATH(guest, path), DATA_AT);
    if (result == 0 && is_outside(u64_at(guest, DATA_AT), u64_at(guest, DATA_AT + 8))) {
      fail_msg("%s was looked at", path);
    }
  }
}

/* Whatever this makes inside is taken away again; outside is checked by the caller. */
static void try_changes(Guest *guest, const char *path) {
  char below[512];
  snprintf(below, sizeof below, "%s/made", path);
  for (uint32_t follows = 0; follows < 2; follows++) {
    CALL(guest, "path_filestat_set_times", 3, follows, PATH(guest, path), 1, 1, 5);
    CALL(guest, "path_link", 3, follows, PATH(guest, path), 3, PATH2(guest, "got"));
    struct stat about;
    if (lstat(in_work("box/got"), &about) == 0) {
      assert_false(is_outside(about.st_dev, about.st_ino));
      unlink(in_work("box/got"));
    }
    CALL(guest, "path_link", 3, follows, PATH(guest, "file"), 3, PATH2(guest, below));
  }
  CALL(guest, "path_create_directory", 3, PATH(guest, below));
  CALL(guest, "path_symlink", PATH(guest, "x"), 3, PATH2(guest, below));
  CALL(guest, "path_readlink", 3, PATH(guest, below), DATA_AT, 256, OUT_AT);
  CALL(guest, "path_rename", 3, PATH(guest, "file"), 3, PATH2(guest, below));
  CALL(guest, "path_rename", 3, PATH(guest, below), 3, PATH2(guest, "file"));
  CALL(guest, "path_unlink_file", 3, PATH(guest, below));
  CALL(guest, "path_remove_directory", 3, PATH(guest, below));
}

/* These may remove the link itself, which is inside; it is made again. */
static void try_removing(Guest *guest, const char *path) {
  char target[512], host[512];
  snprintf(host, sizeof host, "box/%s", path);
  ssize_t size = readlink(in_work(host), target, sizeof target - 1);
  CALL(guest, "path_remove_directory", 3, PATH(guest, path));
  CALL(guest, "path_rename", 3, PATH(guest, path), 3, PATH2(guest, "moved"));
  struct stat about;
  if (lstat(in_work("box/moved"), &about) == 0) {
    assert_false(is_outside(about.st_dev, about.st_ino));
    CALL(guest, "path_rename", 3, PATH(guest, "moved"), 3, PATH2(guest, path));
  }
  CALL(guest, "path_unlink_file", 3, PATH(guest, path));
  if (size <= 0 || lstat(in_work(host), &about) == 0) return;
  target[size] = '\0';
  make_link(target, host);
}

static Guest guest_in_box(bool walks) {
  const rille_WasiDir dir = {"/", in_work("box"), false};
  const rille_WasiOptions options = {.dirs = &dir, .n_dirs = 1, .walks_paths = walks};
  return new_guest(&options, NULL);
}

static void try_all(bool walks) {
  make_tree();
  Guest guest = guest_in_box(walks);
  for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
    try_opening(&guest, attempts[i]);
    try_stat(&guest, attempts[i]);
    try_changes(&guest, attempts[i]);
    try_removing(&guest, attempts[i]);
    check_outside();
  }
  free_guest(&guest);
  remove_work();
}

static void escapes_by_kernel(void **state) {
  (void)state;
  try_all(false);
}

static void escapes_by_walk(void **state) {
  (void)state;
  try_all(true);
}

/* ---- What is to work ------------------------------------------------------------------------- */

typedef struct Expected {
  const char *path;
  bool follows;
  int result;
} Expected;

static void check_inside(bool walks) {
  static const Expected list[] = {
      {"file", true, E_SUCCESS},
      {"file", false, E_SUCCESS},
      {"./file", true, E_SUCCESS},
      {"dir/../file", true, E_SUCCESS},
      {"dir//deep/../secret", true, E_SUCCESS},
      {"self/file", true, E_SUCCESS},
      {"self/dir/self2/secret", true, E_SUCCESS},
      {"inner", true, E_SUCCESS},
      {"inner", false, E_LOOP},
      {"inner-chain", true, E_SUCCESS},
      {"innerdir/secret", false, E_SUCCESS},
      {"dir/", true, E_SUCCESS},
      {"innerdir/", false, E_SUCCESS},
      {"file/", true, E_NOTDIR},
      {"inner/", true, E_NOTDIR},
      {"missing", true, E_NOENT},
      {"missing/x", true, E_NOENT},
      {"file/x", true, E_NOTDIR},
      {"loop", true, E_LOOP},
      {"loop/x", true, E_LOOP},
      {"", true, E_NOENT},
      {"..", true, E_PERM},
      {"up", true, E_PERM},
      {"absolute-inside", true, E_PERM},
      {"dangling", true, E_NOENT},
      {".", true, E_SUCCESS},
      {"dir/.", true, E_SUCCESS},
      {"dir/..", true, E_SUCCESS},
      {"dir/deep/er/../../..", true, E_SUCCESS},
  };
  make_tree();
  make_link("dir/secret", "box/inner");
  make_link("inner", "box/inner-chain");
  make_link("dir", "box/innerdir");
  make_link("../dir", "box/dir/self2");
  make_link("nowhere", "box/dangling");
  Guest guest = guest_in_box(walks);
  for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
    uint32_t fd;
    int result = open_path(&guest, 3, list[i].path, list[i].follows, 0, RIGHT_OF(FD_READ), &fd);
    if (result != list[i].result) {
      fail_msg("'%s': errno %d, wanted %d", list[i].path, result, list[i].result);
    }
    if (result == 0) check_opened(&guest, list[i].path, fd);
  }
  free_guest(&guest);
  remove_work();
}

static void works_inside(void **state) {
  (void)state;
  check_inside(false);
  check_inside(true);
}

/* Long names and paths, zero bytes, deep directories. */
static void check_long(bool walks) {
  make_tree();
  Guest guest = guest_in_box(walks);
  uint32_t fd;
  char name[5000];
  memset(name, 'a', sizeof name);
  name[256] = '\0';
  assert_int_equal(open_path(&guest, 3, name, true, O_FLAG_CREAT, 0, &fd), E_NAMETOOLONG);
  assert_int_equal(CALL(&guest, "path_create_directory", 3, PATH(&guest, name)), E_NAMETOOLONG);
  name[256] = 'a';
  name[4200] = '\0';
  assert_int_equal(open_path(&guest, 3, name, true, 0, 0, &fd), E_NAMETOOLONG);
  memcpy(bytes_at(&guest, PATH_AT), "file\0x", 6);
  assert_int_equal(CALL(&guest, "path_open", 3, 0, PATH_AT, 6, 0, 0, 0, 0, OUT_AT), E_ILSEQ);
  assert_int_equal(CALL(&guest, "path_unlink_file", 3, PATH_AT, 5), E_ILSEQ);
  for (size_t i = 0; i < 4090; i += 2) memcpy(name + i, "./", 2);
  strcpy(name + 4088, "file");
  assert_int_equal(open_path(&guest, 3, name, true, 0, 0, &fd), E_SUCCESS);
  assert_int_equal(CALL(&guest, "fd_close", fd), 0);
  for (size_t i = 0; i < 4080; i += 3) memcpy(name + i, "../", 3);
  name[4080] = '\0';
  assert_int_equal(open_path(&guest, 3, name, true, 0, 0, &fd), E_PERM);
  /* down and up again as deep as a path goes */
  int depth = 0;
  name[0] = '\0';
  for (; depth < 500; depth++) {
    strcat(name, "d/");
    assert_int_equal(CALL(&guest, "path_create_directory", 3, PATH(&guest, name)), 0);
  }
  for (int i = 0; i < depth; i++) strcat(name, "../");
  strcat(name, "file");
  assert_int_equal(open_path(&guest, 3, name, true, 0, 0, &fd), E_SUCCESS);
  assert_int_equal(CALL(&guest, "fd_close", fd), 0);
  free_guest(&guest);
  remove_work();
}

static void long_paths(void **state) {
  (void)state;
  check_long(false);
  check_long(true);
}

/* ---- Races ----------------------------------------------------------------------------------- */

static atomic_bool race_is_over;
static atomic_uint n_swaps;

/* Moments of different lengths, so that the guest sees every state. */
static void pause_a_moment(void) {
  static uint32_t seed = 1;
  seed = seed * 1664525 + 1013904223;
  for (volatile uint32_t i = seed >> 18; i > 0; i--) {
  }
}

static void exchange(const char *a, const char *b) {
  enum { RENAME_EXCHANGE_FLAG = 2 };
  if (syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE_FLAG) == 0) {
    atomic_fetch_add(&n_swaps, 1);
  }
  pause_a_moment();
}

/* box/swap is a directory and, every other moment, a link to one outside. */
static void *swap_link(void *unused) {
  char a[512], b[512];
  snprintf(a, sizeof a, "%s/box/swap", work);
  snprintf(b, sizeof b, "%s/box/other", work);
  while (!atomic_load(&race_is_over)) exchange(a, b);
  return unused;
}

/* box/dir/deep moves out and back again, so that its ".." is outside for a moment. */
static void *move_dir(void *unused) {
  char a[512], b[512];
  snprintf(a, sizeof a, "%s/box/dir/deep", work);
  snprintf(b, sizeof b, "%s/outdir/deep", work);
  while (!atomic_load(&race_is_over)) {
    bool is_out = rename(a, b) == 0;
    pause_a_moment();
    if (is_out && rename(b, a) == 0) atomic_fetch_add(&n_swaps, 1);
    pause_a_moment();
  }
  return unused;
}

/* box/last is a file and, every other moment, a link to one outside. */
static void *swap_last(void *unused) {
  char a[512], b[512];
  snprintf(a, sizeof a, "%s/box/last", work);
  snprintf(b, sizeof b, "%s/box/last-other", work);
  while (!atomic_load(&race_is_over)) exchange(a, b);
  return unused;
}

static bool open_once(Guest *guest, const char *path) {
  uint32_t fd;
  struct stat about;
  if (open_path(guest, 3, path, true, 0, RIGHT_OF(FD_READ), &fd) != 0) return false;
  assert_int_equal(fstat(rille_wasi_host_fd(guest->wasi, fd), &about), 0);
  if (is_outside(about.st_dev, about.st_ino)) fail_msg("%s was opened", path);
  CALL(guest, "fd_close", fd);
  return true;
}

static void change_once(Guest *guest, const char *path, const char *below) {
  uint32_t fd;
  int result = CALL(guest, "path_filestat_get", 3, 1, PATH(guest, path), DATA_AT);
  if (result == 0) assert_false(is_outside(u64_at(guest, DATA_AT), u64_at(guest, DATA_AT + 8)));
  CALL(guest, "path_filestat_set_times", 3, 1, PATH(guest, path), 1, 1, 5);
  CALL(guest, "path_create_directory", 3, PATH(guest, below));
  CALL(guest, "path_remove_directory", 3, PATH(guest, below));
  if (open_path(guest, 3, below, true, O_FLAG_CREAT, RIGHT_OF(FD_WRITE), &fd) == 0) {
    CALL(guest, "fd_close", fd);
  }
  CALL(guest, "path_rename", 3, PATH(guest, below), 3, PATH2(guest, "brought"));
  CALL(guest, "path_unlink_file", 3, PATH(guest, "brought"));
  CALL(guest, "path_remove_directory", 3, PATH(guest, "brought"));
  CALL(guest, "path_unlink_file", 3, PATH(guest, below));
}

/* Opening alone is done often: its windows are short. */
static void run_race(bool walks, void *(*rival)(void *), const char *path, const char *below) {
  enum { N_OPENS = 20000, N_CHANGES = 1000 };
  unsigned n_opened = 0;
  pthread_t thread;
  Guest guest = guest_in_box(walks);
  atomic_store(&race_is_over, false);
  atomic_store(&n_swaps, 0);
  pthread_create(&thread, NULL, rival, NULL);
  for (int i = 0; i < N_OPENS; i++) n_opened += open_once(&guest, path);
  for (int i = 0; i < N_CHANGES; i++) change_once(&guest, path, below);
  atomic_store(&race_is_over, true);
  pthread_join(thread, NULL);
  print_message("%s: %u of %d tries opened it, %u exchanges\n", path, n_opened, (int)N_OPENS,
                atomic_load(&n_swaps));
  free_guest(&guest);
}

static void race(bool walks, void *(*rival)(void *), const char *path, const char *below) {
  make_tree();
  make_dir("box/swap");
  write_file("box/swap/secret", "inside");
  make_link("../outdir", "box/other");
  write_file("box/last", "inside");
  make_link("../secret", "box/last-other");
  run_race(walks, rival, path, below);
  /* Times of outdir change when its guest, the moved directory, comes and goes. */
  n_seen = 0;
  for (size_t i = 0; i < n_outside; i++) {
    struct stat about;
    assert_int_equal(lstat(outside_names[i], &about), 0);
    assert_int_equal(about.st_ino, outside[i].st_ino);
    if (S_ISREG(about.st_mode)) assert_int_equal(about.st_mtim.tv_sec, outside[i].st_mtim.tv_sec);
  }
  assert_int_not_equal(access(in_work("outdir/made"), F_OK), 0);
  assert_int_not_equal(access(in_work("made"), F_OK), 0);
  remove_work();
}

static void races_by_kernel(void **state) {
  (void)state;
  race(false, swap_link, "swap/secret", "swap/made");
  race(false, move_dir, "dir/deep/../secret", "dir/deep/../made");
  race(false, swap_last, "last", "last/made");
}

static void races_by_walk(void **state) {
  (void)state;
  race(true, swap_link, "swap/secret", "swap/made");
  race(true, move_dir, "dir/deep/../secret", "dir/deep/../made");
  race(true, swap_last, "last", "last/made");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(works_inside),      cmocka_unit_test(long_paths),
      cmocka_unit_test(escapes_by_kernel), cmocka_unit_test(escapes_by_walk),
      cmocka_unit_test(races_by_kernel),   cmocka_unit_test(races_by_walk),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
