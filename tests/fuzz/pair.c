/* pair.c - one module in two engines: see pair.h. */
#include "pair.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/module.h"
#include "runtime/engine.h"

extern const EngineOps interp_engine;

enum {
  FUEL_GENERATED = 100000000,
  FUEL = 20000,
  ARGS_MAX = 16,
  FUNCS_MAX = 24,
  IMPORTS_MAX = 64,
  ROUNDS = 3,
  SECONDS_MAX = 20
};

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

/* Starting */

static Module *load(Engine *engine, const Buf *bytes, const EngineOps *ops) {
  if (ops == NULL) {
    rille_LoadOptions load = {.engine = "compiler", .deterministic = true};
    return (Module *)(void *)rille_load((rille_Engine *)(void *)engine, bytes->at, bytes->size,
                                        &load, NULL);
  }
  LoadOptions load = {.features = feature_defaults(), .is_deterministic = true};
  Error error;
  Module *module = module_load(&engine->alloc, bytes->at, bytes->size, &load, &error);
  if (module != NULL) engine_adopt_module(engine, module, ops);
  return module;
}

static rille_Status return_zeros(rille_Activation *activation, void *data, rille_Slot *slots) {
  (void)activation;
  memset(slots, 0, (size_t)(uintptr_t)data * 2 * sizeof *slots);
  return RILLE_DONE;
}

static bool returns_numbers(const rille_FuncType *type, size_t *n) {
  const rille_ValueType *results;
  *n = rille_func_results(type, &results);
  for (size_t i = 0; i < *n; i++) {
    if (results[i] > RILLE_V128) return false;
  }
  return true;
}

/* The number of imports made, or SIZE_MAX. */
static size_t make_imports(rille_Engine *engine, const rille_Module *module, rille_Extern *out) {
  size_t n = rille_module_imports(module);
  for (size_t i = 0; i < n; i++) {
    rille_ImportInfo info;
    size_t n_results;
    rille_module_import(module, i, &info);
    if (i == IMPORTS_MAX || info.kind != RILLE_EXTERN_FUNC ||
        !returns_numbers(info.func_type, &n_results))
      return SIZE_MAX;
    out[i].kind = RILLE_EXTERN_FUNC;
    out[i].func = rille_new_host_func(engine, info.func_type, return_zeros,
                                      (void *)(uintptr_t)n_results, NULL);
  }
  return n;
}

static void drop_imports(rille_Extern *imports, size_t n) {
  for (size_t i = 0; i < n; i++) rille_free_func(imports[i].func);
}

static bool has_reset(const rille_Module *module) {
  rille_ExportInfo info;
  for (size_t i = 0; i < rille_module_exports(module); i++) {
    rille_module_export(module, i, &info);
    if (info.name_size == 5 && memcmp(info.name, "reset", 5) == 0) return true;
  }
  return false;
}

/* False when the module is refused; `text` says why. */
static bool start(Side *side, rille_Engine *engine, const Buf *bytes, const EngineOps *ops,
                  const PairOptions *options, char *text, size_t size) {
  rille_Extern imports[IMPORTS_MAX];
  rille_Error *error = NULL;
  *side = (Side){.module = (rille_Module *)(void *)load((Engine *)(void *)engine, bytes, ops)};
  snprintf(text, size, "not loaded");
  if (side->module == NULL) return false;
  size_t n = make_imports(engine, side->module, imports);
  snprintf(text, size, "not linked");
  if (n == SIZE_MAX) return false;
  rille_Limits limits = {.fuel = has_reset(side->module) ? FUEL_GENERATED : FUEL,
                         .has_fuel = options->has_fuel || !has_reset(side->module),
                         .memory_bytes = 64 << 20};
  side->store = rille_new_store(engine);
  side->instance = rille_instantiate(side->store, side->module, imports, &limits, &error);
  drop_imports(imports, n);
  if (side->instance != NULL) return true;
  snprintf(text, size, "%s", rille_error_code(error));
  rille_free_error(error);
  return false;
}

static void finish(Side *side) {
  if (side->instance != NULL) rille_free_instance(side->instance);
  if (side->store != NULL) rille_free_store(side->store);
  if (side->module != NULL) rille_free_module(side->module);
}

/* Calling */

static void describe(char *out, size_t size, const rille_Value *results, size_t n) {
  size_t at = 0;
  out[0] = 0;
  for (size_t i = 0; i < n && at + 40 < size; i++) {
    rille_ValueType type = results[i].type;
    uint64_t low = 0, high = 0;
    memcpy(&low, results[i].v128, type == RILLE_I32 || type == RILLE_F32 ? 4 : 8);
    if (type == RILLE_V128) memcpy(&high, results[i].v128 + 8, 8);
    if (type > RILLE_V128) low = low != 0; /* objects have other addresses */
    at += (size_t)snprintf(out + at, size - at, " %" PRIx64 ":%" PRIx64, high, low);
  }
}

static bool make_args(const rille_FuncType *type, uint64_t seed, rille_Value *args, size_t *n) {
  const rille_ValueType *params;
  *n = rille_func_params(type, &params);
  if (*n > ARGS_MAX) return false;
  for (size_t i = 0; i < *n; i++) {
    args[i] = (rille_Value){.type = params[i]};
    if (params[i] > RILLE_V128) {
      if (!rille_type_is_nullable(params[i])) return false;
      continue;
    }
    for (unsigned half = 0; half < 2; half++) {
      uint64_t bits = mix(seed + i * 7 + half);
      if (bits % 3 == 0) bits = mix(bits) % 100;
      memcpy(args[i].v128 + 8 * half, &bits, 8);
    }
  }
  return true;
}

/* False when it cannot be called. */
static bool call(rille_Func *func, uint64_t seed, char *out, size_t size) {
  rille_Value args[ARGS_MAX], results[ARGS_MAX] = {{0}};
  const rille_ValueType *result_types;
  const rille_FuncType *type = rille_func_type(func);
  rille_Error *error = NULL;
  size_t n, n_results = rille_func_results(type, &result_types);
  if (n_results > ARGS_MAX || !make_args(type, seed, args, &n)) return false;
  if (rille_call(func, args, n, results, n_results, &error)) {
    describe(out, size, results, n_results);
  } else {
    snprintf(out, size, "%s: %s", rille_error_kind_name(rille_error_kind(error)),
             rille_error_code(error));
    rille_free_error(error);
  }
  return true;
}

/* Memories and globals in one number. */
static uint64_t state_of(const Side *side) {
  const Instance *instance = (const Instance *)(const void *)side->instance;
  const Module *module = instance->module;
  uint64_t hash = 0;
  for (uint32_t m = 0; m < module->n_memories; m++) {
    const Memory *memory = instance->memories[m];
    uint64_t size = __atomic_load_n(&memory->size, __ATOMIC_RELAXED);
    for (uint64_t i = 0; i + 8 <= size; i += 8) {
      uint64_t word = load_u64((const uint8_t *)memory->base + i);
      if (word != 0) hash = mix(hash ^ word) + i;
    }
    hash = mix(hash ^ size);
  }
  for (uint32_t i = module->n_imported_globals; i < module->n_globals; i++) {
    unsigned kind = type_kind(module->globals[i].type.type);
    if (kind == KIND_REF) continue;
    const Slot *slots = instance->global_objects[i]->cell;
    hash = mix(hash ^ (kind == KIND_I32 || kind == KIND_F32 ? (uint32_t)slots[0] : slots[0]));
    if (kind == KIND_V128) hash = mix(hash ^ slots[1]);
  }
  return hash;
}

/* Comparing */

typedef struct Call {
  char name[64];
  char left[400], right[400];
} Call;

static bool differs(const Side *a, const Side *b, const Call *call, uint64_t seed, bool is_quiet) {
  bool same_state = state_of(a) == state_of(b);
  uint64_t fuel_a = rille_instance_fuel(a->instance), fuel_b = rille_instance_fuel(b->instance);
  if (strcmp(call->left, call->right) == 0 && same_state && fuel_a == fuel_b) return false;
  if (!is_quiet)
    printf("seed %" PRIu64 ": %s: interpreter \"%s\" fuel %" PRIu64 ", other \"%s\" fuel %" PRIu64
           "%s\n",
           seed, call->name, call->left, fuel_a, call->right, fuel_b,
           same_state ? "" : ", other state");
  return true;
}

static bool find(const Side *side, const char *name, rille_Func **out) {
  rille_Extern found;
  if (!rille_find_export(side->instance, name, &found) || found.kind != RILLE_EXTERN_FUNC)
    return false;
  *out = found.func;
  return true;
}

static void call_reset(const Side *side, uint64_t seed) {
  rille_Func *reset;
  char text[64];
  if (find(side, "reset", &reset)) (void)call(reset, seed, text, sizeof text);
}

/* How deep calls may go is the engine's own choice, and what is left behind then. */
static bool is_too_deep(const char *text) {
  return strstr(text, "call stack exhausted") != NULL;
}

static PairResult compare(const Side *a, const Side *b, uint64_t seed, bool is_quiet) {
  size_t n = rille_module_exports(a->module);
  for (unsigned i = 0, done = 0; i < ROUNDS * n && done < ROUNDS * FUNCS_MAX; i++) {
    rille_ExportInfo info;
    rille_Func *left, *right;
    Call now;
    rille_module_export(a->module, i % n, &info);
    snprintf(now.name, sizeof now.name, "%.*s", (int)MIN(info.name_size, 60), info.name);
    if (info.kind != RILLE_EXTERN_FUNC || strcmp(now.name, "reset") == 0) continue;
    if (!find(a, now.name, &left) || !find(b, now.name, &right)) continue;
    call_reset(a, seed);
    call_reset(b, seed);
    if (!call(left, seed + i, now.left, sizeof now.left)) continue;
    if (!call(right, seed + i, now.right, sizeof now.right)) continue;
    if (is_too_deep(now.left) || is_too_deep(now.right)) return PAIR_SAME;
    if (differs(a, b, &now, seed, is_quiet)) return PAIR_DIFFERS;
    done++;
  }
  return PAIR_SAME;
}

PairResult pair_run(const Buf *bytes, uint64_t seed, const PairOptions *options) {
  rille_Engine *engine = rille_new_engine(NULL, NULL);
  Side a, b;
  char left[256] = "", right[256] = "";
  PairResult result = PAIR_REFUSED;
  bool has_left = start(&a, engine, bytes, &interp_engine, options, left, sizeof left);
  bool has_right = start(&b, engine, bytes, options->other, options, right, sizeof right);
  if (strcmp(left, right) != 0 && !is_too_deep(left) && !is_too_deep(right)) {
    if (!options->is_quiet)
      printf("seed %" PRIu64 ": started by the interpreter with \"%s\", by the other with \"%s\"\n",
             seed, left, right);
    result = PAIR_DIFFERS;
  } else if (has_left && has_right) {
    result = compare(&a, &b, seed, options->is_quiet);
  }
  finish(&a);
  finish(&b);
  rille_free_engine(engine);
  return result;
}

PairResult pair_run_apart(const Buf *bytes, uint64_t seed, const PairOptions *options) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    alarm(SECONDS_MAX);
    PairResult result = pair_run(bytes, seed, options);
    fflush(stdout);
    _exit((int)result);
  }
  int status;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) <= PAIR_REFUSED ? (PairResult)WEXITSTATUS(status)
                                                                  : PAIR_DIFFERS;
}
