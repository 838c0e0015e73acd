/* differ.c - runs random modules by the interpreter and by the evaluator of the compiler's IR, or
 * by the compiler itself, and compares results, traps, memory and globals, bit by bit, and the fuel
 * used.
 *
 *   differ [--compiler] [--size=N] [--simd] [--memory64] [--refs] [--no-fuel] [--keep=FILE]
 * FIRST_SEED COUNT
 *
 * --keep writes the module of the first seed to a file. The settings of eval.c apply. Each seed
 * runs in a process of its own, so that a crash costs one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../include/rille.h"
#include "generate.h"
#include "module/module.h"
#include "runtime/engine.h"

extern const EngineOps interp_engine, eval_engine;

enum { FUEL = 100000000, ARGS_MAX = 8, ROUNDS = 3 };

static GenerateOptions options = {.size = 60};
static bool runs_compiler, has_fuel = true;

typedef struct Side {
  rille_Module *module;
  rille_Store *store;
  rille_Instance *instance;
} Side;

static uint64_t mix(uint64_t x) {
  x ^= x >> 31;
  x *= UINT64_C(0x9E3779B97F4A7C15);
  return x ^ x >> 29;
}

static rille_Module *load(rille_Engine *handle, const Buf *bytes, const EngineOps *ops) {
  if (ops == NULL) {
    rille_LoadOptions load = {.engine = "compiler", .deterministic = true};
    return rille_load(handle, bytes->at, bytes->size, &load, NULL);
  }
  Engine *engine = (Engine *)(void *)handle;
  LoadOptions load = {.features = feature_defaults(), .is_deterministic = true};
  Error error;
  Module *module = module_load(&engine->alloc, bytes->at, bytes->size, &load, &error);
  if (!module) {
    printf("generated module: %s\n", error.message);
    return NULL;
  }
  engine_adopt_module(engine, module, ops);
  return (rille_Module *)(void *)module;
}

/* ops NULL: the compiler. */
static bool start(Side *side, rille_Engine *handle, const Buf *bytes, const EngineOps *ops) {
  rille_Limits limits = {.fuel = FUEL, .has_fuel = has_fuel};
  side->module = load(handle, bytes, ops);
  if (side->module == NULL) return false;
  side->store = rille_new_store(handle);
  side->instance = rille_instantiate(side->store, side->module, NULL, &limits, NULL);
  return side->instance != NULL;
}

static void finish(Side *side) {
  rille_free_instance(side->instance);
  rille_free_store(side->store);
  rille_free_module(side->module);
}

static void describe(char *out, size_t size, const rille_Value *results, size_t n,
                     rille_Error *error) {
  size_t at = 0;
  if (error) {
    snprintf(out, size, "%s", rille_error_code(error));
    rille_free_error(error);
    return;
  }
  out[0] = 0;
  for (size_t i = 0; i < n && at + 40 < size; i++) {
    uint64_t low = 0, high = 0;
    memcpy(&low, results[i].v128,
           results[i].type == RILLE_I32 || results[i].type == RILLE_F32 ? 4 : 8);
    if (results[i].type == RILLE_V128) memcpy(&high, results[i].v128 + 8, 8);
    at += (size_t)snprintf(out + at, size - at, " %" PRIx64 ":%" PRIx64, high, low);
  }
}

static void call(const Side *side, const char *name, uint64_t seed, char *out, size_t size) {
  rille_Extern found;
  rille_Error *error = NULL;
  rille_Value args[ARGS_MAX] = {{0}}, results[ARGS_MAX] = {{0}};
  const rille_ValueType *params, *result_types;
  if (!rille_find_export(side->instance, name, &found)) abort();
  const rille_FuncType *type = rille_func_type(found.func);
  size_t n = rille_func_params(type, &params), n_results = rille_func_results(type, &result_types);
  for (size_t i = 0; i < n; i++) {
    args[i].type = params[i];
    for (unsigned half = 0; half < 2; half++) {
      uint64_t bits = mix(seed + i * 7 + half);
      if (bits % 3 == 0) bits = mix(bits) % 100;
      memcpy(args[i].v128 + 8 * half, &bits, 8);
    }
  }
  bool ok = rille_call(found.func, args, n, results, n_results, &error);
  describe(out, size, results, ok ? n_results : 0, ok ? NULL : error);
}

/* Memory and globals in one number. */
static uint64_t state_of(const Side *side) {
  rille_Extern found;
  uint64_t size, hash = 0;
  if (!rille_find_export(side->instance, "m", &found)) abort();
  const uint8_t *bytes = rille_memory_bytes(found.memory, &size);
  for (uint64_t i = 0; i < size; i += 8) hash = mix(hash ^ load_u64(bytes + i)) + i;
  for (int i = 0; i < 6; i++) {
    char name[16];
    bool is_mutable;
    snprintf(name, sizeof name, "g%d", i);
    if (!rille_find_export(side->instance, name, &found)) abort();
    const rille_Slot *slots = rille_global_slots(found.global);
    rille_ValueType type = rille_global_type(found.global, &is_mutable);
    uint64_t low = type == RILLE_I32 || type == RILLE_F32 ? (uint32_t)slots[0] : slots[0];
    hash = mix(hash ^ low) ^ (type == RILLE_V128 ? mix(slots[1]) : 0);
  }
  return hash ^ size;
}

static bool compare(const Side *a, const Side *b, uint64_t seed) {
  for (unsigned round = 0; round < ROUNDS * 6; round++) {
    char name[16], left[300], right[300];
    snprintf(name, sizeof name, "f%u", round % 6);
    call(a, "reset", seed, left, sizeof left);
    call(b, "reset", seed, right, sizeof right);
    call(a, name, seed + round, left, sizeof left);
    call(b, name, seed + round, right, sizeof right);
    bool same_state = state_of(a) == state_of(b);
    uint64_t fuel_a = rille_instance_fuel(a->instance), fuel_b = rille_instance_fuel(b->instance);
    if (strcmp(left, right) == 0 && same_state && fuel_a == fuel_b) continue;
    printf("seed %" PRIu64 ": %s, round %u: interpreter \"%s\" fuel %" PRIu64
           ", other \"%s\" fuel %" PRIu64 "%s\n",
           seed, name, round, left, fuel_a, right, fuel_b, same_state ? "" : ", other state");
    return false;
  }
  return true;
}

static bool run_seed(uint64_t seed, const char *keep) {
  rille_Engine *engine = rille_new_engine(NULL, NULL);
  Arena arena;
  Alloc alloc;
  Guard guard;
  Error error;
  Buf bytes;
  Side a, b;
  alloc_init(&alloc, NULL, NULL);
  arena_init(&arena, &alloc);
  if (!GUARD_TRY(&guard, &arena, &error)) return false;
  buf_init(&bytes, &arena);
  generate_module(&bytes, seed, &options);
  guard_leave(&guard);
  if (keep) {
    FILE *file = fopen(keep, "wb");
    fwrite(bytes.at, 1, bytes.size, file);
    fclose(file);
  }
  const EngineOps *other = runs_compiler ? NULL : &eval_engine;
  if (!start(&a, engine, &bytes, &interp_engine) || !start(&b, engine, &bytes, other)) return false;
  bool ok = compare(&a, &b, seed);
  finish(&a);
  finish(&b);
  arena_clear(&arena);
  rille_free_engine(engine);
  return ok;
}

/* Seeds in steps of a process each. */
static uint64_t run_seeds(uint64_t first, uint64_t n, const char *keep) {
  enum { STEP = 50 };
  uint64_t n_bad = 0;
  for (uint64_t seed = first; seed < first + n; seed += STEP) {
    pid_t child = fork();
    if (child == 0) {
      int bad = 0;
      for (uint64_t s = seed; s < seed + STEP && s < first + n; s++) {
        alarm(30);
        if (!run_seed(s, s == first ? keep : NULL)) bad++;
        fflush(stdout);
      }
      _exit(bad > 100 ? 100 : bad);
    }
    int status;
    waitpid(child, &status, 0);
    if (WIFEXITED(status)) {
      n_bad += (uint64_t)WEXITSTATUS(status);
    } else {
      printf("seeds from %" PRIu64 ": signal %d\n", seed, WTERMSIG(status));
      n_bad++;
    }
  }
  return n_bad;
}

int main(int argc, char **argv) {
  const char *keep = NULL;
  uint64_t numbers[2] = {1, 100};
  int n_numbers = 0;
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], "--size=", 7) == 0) {
      options.size = (uint32_t)atoi(argv[i] + 7);
    } else if (strcmp(argv[i], "--compiler") == 0) {
      runs_compiler = true;
    } else if (strcmp(argv[i], "--no-fuel") == 0) {
      has_fuel = false;
    } else if (strcmp(argv[i], "--simd") == 0) {
      options.has_simd = true;
    } else if (strcmp(argv[i], "--refs") == 0) {
      options.has_refs = true;
    } else if (strcmp(argv[i], "--memory64") == 0) {
      options.is_64 = true;
    } else if (strncmp(argv[i], "--keep=", 7) == 0) {
      keep = argv[i] + 7;
    } else if (n_numbers < 2) {
      numbers[n_numbers++] = strtoull(argv[i], NULL, 10);
    }
  }
  uint64_t n_bad = run_seeds(numbers[0], numbers[1], keep);
  printf("%" PRIu64 " modules, %" PRIu64 " differ\n", numbers[1], n_bad);
  return n_bad != 0;
}
