/* passes.c - runs the machine-independent passes of the compiler over the functions of a module.
 *
 *   passes [--check] [--checked-memory] [--fuel] [--no-inline] [--print=FUNC] [--stage=N] [--times]
 *          FILE...
 *
 * --check runs the IR checker after each pass, --print shows a function after the pass that --stage
 * names (0 build, 1 cfg, 2 memopt, 3 place), --times shows how long each pass took for all
 * functions of a file, in megabytes of code section per second. Exit status 1 when anything is
 * wrong.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "jit/build.h"
#include "jit/cfg.h"
#include "jit/memopt.h"
#include "jit/place.h"
#include "module/module.h"
#include "text/text.h"

enum { STAGES = IR_PLACED + 1 };
static const char *const stage_names[STAGES] = {"build", "cfg", "memopt", "place"};

static struct {
  bool checks, times, has_print;
  uint32_t print, stage;
  BuildOptions build;
} options = {.stage = IR_PLACED, .build = {.inlines = true}};

static double spent[STAGES];
static uint64_t n_nodes, n_blocks;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void run_pass(Ir *ir, Arena *arena, Module *module, uint32_t func, IrStage stage) {
  switch (stage) {
    case IR_BUILT: ir_build(ir, arena, module, func, &options.build); break;
    case IR_FORWARDED:
      if (memopt_run(ir)) cfg_run(ir);
      break;
    case IR_SHAPED: cfg_run(ir); break;
    case IR_PLACED: place_run(ir); break;
  }
}

static void show(const Ir *ir, Arena *arena) {
  Buf out;
  buf_init(&out, arena);
  ir_print(ir, &out);
  fwrite(out.at, 1, out.size, stdout);
}

static bool run_function(Module *module, Arena *arena, uint32_t func) {
  Ir ir;
  for (uint32_t stage = 0; stage <= options.stage; stage++) {
    double start = now();
    run_pass(&ir, arena, module, func, (IrStage)stage);
    spent[stage] += now() - start;
    const char *wrong = options.checks ? ir_check(&ir, arena, (IrStage)stage) : NULL;
    if (wrong) {
      printf("after %s: %s\n", stage_names[stage], wrong);
      return false;
    }
  }
  n_nodes += ir.n_nodes;
  n_blocks += ir.n_blocks;
  if (options.has_print && func == options.print) show(&ir, arena);
  return true;
}

/* False when something raised. */
static bool run_guarded(Module *module, Arena *arena, uint32_t func, bool *ok) {
  Guard guard;
  Error error;
  if (!GUARD_TRY(&guard, arena, &error)) {
    printf("function %" PRIu32 ": %s\n", func, error.message);
    return false;
  }
  *ok &= run_function(module, arena, func);
  guard_leave(&guard);
  return true;
}

static bool run_module(Alloc *alloc, Module *module) {
  bool ok = true;
  for (uint32_t func = module->n_imported_funcs; func < module->n_funcs; func++) {
    Arena arena;
    if (options.has_print && func != options.print) continue;
    arena_init(&arena, alloc);
    if (!run_guarded(module, &arena, func, &ok)) ok = false;
    arena_clear(&arena);
  }
  return ok;
}

static Module *load(Alloc *alloc, const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  fseek(file, 0, SEEK_END);
  size_t size = (size_t)ftell(file);
  rewind(file);
  uint8_t *bytes = malloc(size + 1);
  if (fread(bytes, 1, size, file) != size) size = 0;
  fclose(file);
  LoadOptions load_options = {.features = feature_defaults()};
  Error error;
  Module *module = NULL;
  if (size >= 4 && memcmp(bytes, "\0asm", 4) == 0) {
    module = module_load(alloc, bytes, size, &load_options, &error);
  } else {
    Arena arena;
    const uint8_t *wasm;
    size_t wasm_size;
    arena_init(&arena, alloc);
    if (text_parse_module(&arena, (Str){(char *)bytes, size}, feature_defaults(), &wasm, &wasm_size,
                          &error))
      module = module_load(alloc, wasm, wasm_size, &load_options, &error);
    arena_clear(&arena);
  }
  if (!module) printf("%s: %s\n", path, error.message);
  free(bytes);
  return module;
}

static bool run_file(Alloc *alloc, const char *path) {
  Module *module = load(alloc, path);
  if (!module) return false;
  memset(spent, 0, sizeof spent);
  n_nodes = n_blocks = 0;
  bool ok = run_module(alloc, module);
  if (options.times) {
    double size = (double)module->code_size / 1e6, sum = 0;
    printf("%s: %.2f MB, %" PRIu64 " nodes, %" PRIu64 " blocks:", path, size, n_nodes, n_blocks);
    for (uint32_t stage = 0; stage <= options.stage; stage++) {
      sum += spent[stage];
      printf(" %s %.1f", stage_names[stage], size / spent[stage]);
    }
    printf(" all %.1f MB/s\n", size / sum);
  }
  module_release(module);
  return ok;
}

static void take_option(const char *option) {
  if (strcmp(option, "--check") == 0) options.checks = true;
  if (strcmp(option, "--checked-memory") == 0) options.build.checks_memory = true;
  if (strcmp(option, "--fuel") == 0) options.build.counts_fuel = true;
  if (strcmp(option, "--no-inline") == 0) options.build.inlines = false;
  if (strcmp(option, "--times") == 0) options.times = true;
  if (strncmp(option, "--stage=", 8) == 0) options.stage = (uint32_t)atoi(option + 8);
  if (strncmp(option, "--print=", 8) == 0) {
    options.has_print = true;
    options.print = (uint32_t)atoi(option + 8);
  }
}

int main(int argc, char **argv) {
  Alloc alloc;
  bool ok = true;
  alloc_init(&alloc, NULL, NULL);
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], "--", 2) == 0) {
      take_option(argv[i]);
    } else {
      ok &= run_file(&alloc, argv[i]);
    }
  }
  return ok ? 0 : 1;
}
