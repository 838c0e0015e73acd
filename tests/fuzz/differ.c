/* differ.c - runs modules by the interpreter and by the evaluator of the compiler's IR, or by the
 * compiler itself, and compares results, traps, memories and globals, bit by bit, and the fuel
 * used.
 *
 *   differ [--compiler] [--size=N] [--simd] [--memory64] [--refs] [--no-fuel] [--keep=FILE]
 *          [--reduce=FILE] FIRST_SEED COUNT [FILE...]
 *
 * The modules are random ones; with files (binaries or test scripts), damaged copies of those. The
 * same seed makes the same module. --keep writes the module of the first seed to a file, --reduce
 * makes the first one that differs as small as it gets and writes that. The settings of eval.c
 * apply. Seeds run in steps of a process each, so that a crash costs one step.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "corpus.h"
#include "generate.h"
#include "reduce.h"

extern const EngineOps eval_engine;

static GenerateOptions generate = {.size = 60};
static PairOptions pair = {.other = &eval_engine, .has_fuel = true};
static const char *keep, *reduced;
static uint64_t first_seed = 1, n_seeds = 100;
static Corpus corpus;
static uint64_t *n_refused; /* shared by all processes */

static bool make(uint64_t seed, Buf *bytes, Arena *arena) {
  Guard guard;
  Error error;
  if (!GUARD_TRY(&guard, arena, &error)) return false;
  buf_init(bytes, arena);
  if (corpus.modules.n != 0) {
    corpus_mutate(&corpus, seed, bytes);
  } else {
    generate_module(bytes, seed, &generate);
  }
  guard_leave(&guard);
  return true;
}

static void write_file(const char *path, const Buf *bytes) {
  FILE *file = fopen(path, "wb");
  if (file == NULL || fwrite(bytes->at, 1, bytes->size, file) != bytes->size) perror(path);
  if (file != NULL) fclose(file);
}

static void reduce(const Buf *bytes, uint64_t seed, Arena *arena) {
  Guard guard;
  Error error;
  Buf out;
  if (!GUARD_TRY(&guard, arena, &error)) return;
  buf_init(&out, arena);
  reduce_module(bytes, seed, &pair, &out);
  write_file(reduced, &out);
  guard_leave(&guard);
}

/* A generated module must run; a damaged one may be refused. */
static bool run_seed(uint64_t seed) {
  Arena arena;
  Alloc alloc;
  Buf bytes;
  alloc_init(&alloc, NULL, NULL);
  arena_init(&arena, &alloc);
  bool is_good = make(seed, &bytes, &arena);
  if (is_good && keep != NULL && seed == first_seed) write_file(keep, &bytes);
  if (is_good) {
    PairResult result =
        reduced != NULL ? pair_run_apart(&bytes, seed, &pair) : pair_run(&bytes, seed, &pair);
    if (result == PAIR_REFUSED) ++*n_refused;
    is_good = result == PAIR_SAME || (result == PAIR_REFUSED && corpus.modules.n != 0);
    if (!is_good && reduced != NULL) reduce(&bytes, seed, &arena);
  }
  arena_clear(&arena);
  return is_good;
}

enum { STEP = 50 };

static uint64_t run_step(uint64_t seed, uint64_t end) {
  pid_t child = fork();
  if (child == 0) {
    int n_bad = 0;
    for (uint64_t s = seed; s < end; s++) {
      alarm(reduced != NULL ? 0 : 30);
      if (!run_seed(s)) n_bad++;
      fflush(stdout);
    }
    _exit(n_bad > 100 ? 100 : n_bad);
  }
  int status;
  waitpid(child, &status, 0);
  if (WIFEXITED(status)) return (uint64_t)WEXITSTATUS(status);
  printf("seeds from %" PRIu64 ": signal %d\n", seed, WTERMSIG(status));
  return 1;
}

static uint64_t run_seeds(void) {
  uint64_t n_bad = 0, end = first_seed + n_seeds;
  for (uint64_t seed = first_seed; seed < end; seed += STEP) {
    n_bad += run_step(seed, MIN(seed + STEP, end));
    if (n_bad != 0 && reduced != NULL) break;
  }
  return n_bad;
}

static bool read_option(const char *text) {
  if (strncmp(text, "--size=", 7) == 0) {
    generate.size = (uint32_t)atoi(text + 7);
  } else if (strcmp(text, "--compiler") == 0) {
    pair.other = NULL;
  } else if (strcmp(text, "--no-fuel") == 0) {
    pair.has_fuel = false;
  } else if (strcmp(text, "--simd") == 0) {
    generate.has_simd = true;
  } else if (strcmp(text, "--memory64") == 0) {
    generate.is_64 = true;
  } else if (strcmp(text, "--refs") == 0) {
    generate.has_refs = true;
  } else if (strncmp(text, "--keep=", 7) == 0) {
    keep = text + 7;
  } else if (strncmp(text, "--reduce=", 9) == 0) {
    reduced = text + 9;
  } else {
    return strncmp(text, "--", 2) != 0;
  }
  return true;
}

static void add_file(const char *path) {
  Guard guard;
  Error error;
  if (!GUARD_TRY(&guard, &corpus.arena, &error)) exit(2);
  corpus_add_file(&corpus, path);
  guard_leave(&guard);
}

static void read_word(const char *text, int *n_numbers) {
  if (strncmp(text, "--", 2) == 0) return;
  if (*n_numbers < 2) {
    *(*n_numbers == 0 ? &first_seed : &n_seeds) = strtoull(text, NULL, 10);
    ++*n_numbers;
  } else {
    add_file(text);
  }
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool read_words(char **words) {
  for (int n_numbers = 0; *words != NULL; words++) {
    if (!read_option(*words)) {
      fprintf(stderr, "unknown option %s\n", *words);
      return false;
    }
    read_word(*words, &n_numbers);
  }
  return true;
}

int main(int argc, char **argv) {
  Alloc alloc;
  (void)argc;
  alloc_init(&alloc, NULL, NULL);
  arena_init(&corpus.arena, &alloc);
  if (!read_words(argv + 1)) return 2;
  n_refused =
      mmap(NULL, sizeof *n_refused, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (n_refused == MAP_FAILED) return 2;
  double began = seconds();
  uint64_t n_bad = run_seeds();
  printf("%" PRIu64 " modules, %" PRIu64 " differ, %" PRIu64 " refused, %.0f modules a second\n",
         n_seeds, n_bad, *n_refused, (double)n_seeds / (seconds() - began));
  arena_clear(&corpus.arena);
  return n_bad != 0;
}
