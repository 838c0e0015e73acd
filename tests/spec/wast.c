/* wast.c - runs test scripts of the specification.
 *
 *   wast [--engine=interpreter|compiler] [--no-signals] [--verbose] FILE...
 *
 * Prints a line for each failure and one for each file, and the sum at the end; exit status 0 when
 * nothing failed. Each instance gets a store of its own, so that whatever a script links also tests
 * how stores join. Several files run in a process each: a crash costs one file.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../include/rille.h"
#include "module/module.h"
#include "runtime/engine.h"
#include "text/wast.h"

enum { SECONDS_MAX = 300 }; /* for a file */

typedef struct Counts {
  uint32_t passed, failed, excluded;
} Counts;

/* Proposals that are off by default, by the folder that tests them. */
static const struct {
  const char *folder, *feature;
} folder_features[] = {{"custom-page-sizes", "custom_page_sizes"},
                       {"compact-import-section", "compact_imports"},
                       {"stack-switching", "stack_switching"}};

static const char *engine_name;
static bool has_no_signals;
static bool is_verbose;

typedef struct Named {
  Str name;
  rille_Instance *instance; /* or NULL: what it exports is in `memory` */
  rille_Memory *memory;     /* of a module that threads share: its one export */
  Str memory_name;
} Named;

typedef struct Definition {
  Str id;
  rille_Module *module;
} Definition;

/* Something of the host's that scripts import from "spectest". */
typedef struct Builtin {
  const char *name;
  rille_Extern item;
} Builtin;

typedef struct Script Script;

typedef struct Thread {
  Str id;
  pthread_t thread;
  Script *script;
  Str body;
  uint32_t line, column;
  bool is_running;
} Thread;

enum { BUILTINS = 20, NAMES_MAX = 4096, THREADS_MAX = 64 };

struct Script {
  const char *path;
  rille_Engine *engine;
  const char *features[4];
  FeatureSet feature_set;
  Counts counts;
  rille_Store *store; /* of the table of spectest and of host values */
  Builtin builtins[BUILTINS];
  size_t n_builtins;
  Named instances[NAMES_MAX], registered[NAMES_MAX];
  Definition definitions[NAMES_MAX];
  size_t n_instances, n_registered, n_definitions;
  rille_Instance *last; /* "the current module" */
  Thread threads[THREADS_MAX];
  size_t n_threads;
  uint32_t line; /* of the command that runs */
};

static void fail(Script *script, const char *format, ...) PRINTF_LIKE(2, 3);
static void fail(Script *script, const char *format, ...) {
  char reason[700];
  va_list args;
  va_start(args, format);
  vsnprintf(reason, sizeof reason, format, args);
  va_end(args);
  printf("%s:%u: %s\n", script->path, script->line, reason);
  fflush(stdout);
  script->counts.failed++;
}

static void pass(Script *script) {
  script->counts.passed++;
  if (is_verbose) printf("%s:%u: ok\n", script->path, script->line);
}

/* Why something failed, from either kind of error. */
typedef struct Failure {
  rille_ErrorKind kind;
  char message[640]; /* without "line:column: " before it */
} Failure;

static void take_error(rille_Error *error, Failure *out) {
  const char *message = rille_error_message(error);
  const char *space = rille_error_line(error) != 0 ? strchr(message, ' ') : NULL;
  out->kind = rille_error_kind(error);
  snprintf(out->message, sizeof out->message, "%s", space != NULL ? space + 1 : message);
  rille_free_error(error);
}

/* One script wants to know which element: "uninitialized element 2". */
static bool starts_with(const char *message, Str text) {
  Str element = STR_LITERAL("uninitialized element ");
  if (text.size > element.size && strncmp(text.at, element.at, element.size) == 0) {
    text.size = element.size - 1;
  }
  return strncmp(message, text.at, text.size) == 0;
}

/* Passes when it failed in this way, with a message that starts with the text. */
static void expect(Script *script, const char *what, bool happened, const Failure *failure,
                   rille_ErrorKind kind, Str text) {
  int width = (int)text.size;
  if (!happened) {
    fail(script, "%s: nothing failed; wanted \"%.*s\"", what, width, text.at);
  } else if (failure->kind != kind || !starts_with(failure->message, text)) {
    fail(script, "%s: wanted \"%.*s\", got %s: %s", what, width, text.at,
         rille_error_kind_name(failure->kind), failure->message);
  } else {
    pass(script);
  }
}

/* ---- spectest -------------------------------------------------------------------------------- */

static rille_Status print_nothing(rille_Activation *activation, void *data, rille_Slot *slots) {
  (void)activation;
  (void)data;
  (void)slots;
  return RILLE_DONE;
}

static void add_builtin(Script *script, const char *name, rille_ExternKind kind, void *object) {
  Builtin *builtin = &script->builtins[script->n_builtins++];
  builtin->name = name;
  builtin->item.kind = kind;
  builtin->item.func = object;
}

static void add_prints(Script *script) {
  static const char *const prints[][2] = {{"print", ""},
                                          {"print_i32", "(param i32)"},
                                          {"print_i64", "(param i64)"},
                                          {"print_f32", "(param f32)"},
                                          {"print_f64", "(param f64)"},
                                          {"print_i32_f32", "(param i32 f32)"},
                                          {"print_f64_f64", "(param f64 f64)"}};
  for (size_t i = 0; i < COUNT_OF(prints); i++) {
    rille_FuncType *type = rille_parse_func_type(prints[i][1], NULL);
    add_builtin(script, prints[i][0], RILLE_EXTERN_FUNC,
                rille_new_host_func(script->engine, type, print_nothing, NULL, NULL));
    rille_free_func_type(type);
  }
}

static void add_global(Script *script, const char *name, rille_ValueType type, const void *value,
                       size_t size) {
  rille_Slot slot = 0;
  memcpy(&slot, value, size);
  add_builtin(script, name, RILLE_EXTERN_GLOBAL,
              rille_new_global(script->engine, NULL, type, false, &slot, NULL));
}

static void add_globals(Script *script) {
  const int32_t i32 = 666;
  const int64_t i64 = 666;
  const float f32 = 666.6F;
  const double f64 = 666.6;
  add_global(script, "global_i32", RILLE_I32, &i32, sizeof i32);
  add_global(script, "global_i64", RILLE_I64, &i64, sizeof i64);
  add_global(script, "global_f32", RILLE_F32, &f32, sizeof f32);
  add_global(script, "global_f64", RILLE_F64, &f64, sizeof f64);
}

static void add_spaces(Script *script) {
  rille_MemoryType memory = {.min = 1, .max = 2, .page_log2 = 16};
  add_builtin(script, "memory", RILLE_EXTERN_MEMORY,
              rille_new_memory(script->engine, &memory, NULL));
  memory.is_shared = true;
  add_builtin(script, "shared_memory", RILLE_EXTERN_MEMORY,
              rille_new_memory(script->engine, &memory, NULL));
  add_builtin(script, "table", RILLE_EXTERN_TABLE,
              rille_new_table(script->store, RILLE_FUNCREF, 10, 20, false, 0, NULL));
  add_builtin(script, "table64", RILLE_EXTERN_TABLE,
              rille_new_table(script->store, RILLE_FUNCREF, 10, 20, true, 0, NULL));
}

static void free_builtin(const rille_Extern *item) {
  switch (item->kind) {
    case RILLE_EXTERN_FUNC: rille_free_func(item->func); break;
    case RILLE_EXTERN_TABLE: rille_free_table(item->table); break;
    case RILLE_EXTERN_MEMORY: rille_free_memory(item->memory); break;
    case RILLE_EXTERN_GLOBAL: rille_free_global(item->global); break;
    case RILLE_EXTERN_TAG: rille_free_tag(item->tag); break;
  }
}

/* ---- Names ----------------------------------------------------------------------------------- */

static Named *find_named(Named *list, size_t n, Str name) {
  while (n-- > 0) {
    if (str_equal(list[n].name, name)) return &list[n]; /* the newest one */
  }
  return NULL;
}

static rille_Instance *find_instance(Script *script, Str id) {
  if (id.size == 0) return script->last;
  Named *named = find_named(script->instances, script->n_instances, id);
  return named != NULL ? named->instance : NULL;
}

static bool export_of(rille_Instance *instance, Str name, rille_Extern *out) {
  const rille_Module *module = rille_instance_module(instance);
  for (size_t i = 0; i < rille_module_exports(module); i++) {
    rille_ExportInfo info;
    rille_module_export(module, i, &info);
    if (!str_equal((Str){info.name, info.name_size}, name)) continue;
    return rille_instance_export(instance, i, out);
  }
  return false;
}

static bool find_builtin(const Script *script, Str name, rille_Extern *out) {
  for (size_t i = 0; i < script->n_builtins; i++) {
    if (!str_equal(str_of(script->builtins[i].name), name)) continue;
    *out = script->builtins[i].item;
    return true;
  }
  return false;
}

static bool find_import(Script *script, Str from, Str name, rille_Extern *out) {
  Named *named = find_named(script->registered, script->n_registered, from);
  if (named == NULL) {
    return str_equal(from, STR_LITERAL("spectest")) && find_builtin(script, name, out);
  }
  if (named->instance != NULL) return export_of(named->instance, name, out);
  if (!str_equal(named->memory_name, name)) return false;
  *out = (rille_Extern){.kind = RILLE_EXTERN_MEMORY, .memory = named->memory};
  return true;
}

/* ---- Modules --------------------------------------------------------------------------------- */

/* A binary is a binary even when its first bytes are wrong, which rille_load takes for text. */
static rille_Module *load_headless(Script *script, Str bytes, Failure *failure) {
  static const uint8_t nothing[1];
  LoadOptions options = {.features = script->feature_set};
  const uint8_t *at = bytes.size != 0 ? (const uint8_t *)bytes.at : nothing;
  Alloc *alloc = &((Engine *)script->engine)->alloc;
  Error error;
  Module *module = module_load(alloc, at, bytes.size, &options, &error);
  if (module != NULL) module_release(module);
  failure->kind = (rille_ErrorKind)error.kind;
  snprintf(failure->message, sizeof failure->message, "%s", error.message);
  return NULL;
}

static rille_Module *load(Script *script, const WastModule *source, Failure *failure) {
  Str bytes = source->source;
  if (source->kind == WAST_BINARY && !text_is_binary(bytes.at, bytes.size)) {
    return load_headless(script, bytes, failure);
  }
  rille_LoadOptions options = {
      .on = script->features, .engine = engine_name, .no_signals = has_no_signals};
  rille_Error *error = NULL;
  rille_Module *module = rille_load(script->engine, bytes.at, bytes.size, &options, &error);
  if (module == NULL) take_error(error, failure);
  return module;
}

static void find_imports(Script *script, const rille_Module *module, rille_Extern *imports) {
  for (size_t i = 0; i < rille_module_imports(module); i++) {
    rille_ImportInfo info;
    rille_module_import(module, i, &info);
    imports[i] = (rille_Extern){.kind = info.kind};
    find_import(script, (Str){info.module, info.module_size}, (Str){info.name, info.name_size},
                &imports[i]);
  }
}

static rille_Instance *instantiate(Script *script, rille_Module *module, Failure *failure) {
  rille_Extern *imports = calloc(rille_module_imports(module) + 1, sizeof *imports);
  find_imports(script, module, imports);
  rille_Store *store = rille_new_store(script->engine);
  rille_Error *error = NULL;
  rille_Instance *instance = rille_instantiate(store, module, imports, NULL, &error);
  if (instance == NULL) take_error(error, failure);
  rille_free_store(store);
  free(imports);
  return instance;
}

/* True when the module of the command was instantiated; the instance is then *instance. */
static bool run_module(Script *script, const WastModule *source, rille_Instance **instance,
                       Failure *failure) {
  rille_Module *module = load(script, source, failure);
  if (module == NULL) return false;
  *instance = instantiate(script, module, failure);
  rille_free_module(module);
  return *instance != NULL;
}

static Str keep_name(Str name) {
  char *copy = malloc(name.size + 1);
  if (name.size != 0) memcpy(copy, name.at, name.size);
  return (Str){copy, name.size};
}

static void add_instance(Script *script, Str id, rille_Instance *instance) {
  script->last = instance;
  if (script->n_instances == NAMES_MAX) {
    fail(script, "too many instances");
    return;
  }
  script->instances[script->n_instances++] = (Named){.name = keep_name(id), .instance = instance};
}

static void do_module(Script *script, const WastCommand *command) {
  Failure failure;
  rille_Instance *instance;
  if (run_module(script, &command->module, &instance, &failure)) {
    add_instance(script, command->id, instance);
  } else {
    fail(script, "module: %s: %s", rille_error_kind_name(failure.kind), failure.message);
  }
}

static void do_definition(Script *script, const WastCommand *command) {
  Failure failure;
  rille_Module *module = load(script, &command->module, &failure);
  if (module == NULL) {
    fail(script, "module definition: %s", failure.message);
  } else if (script->n_definitions == NAMES_MAX) {
    fail(script, "too many definitions");
  } else {
    script->definitions[script->n_definitions++] = (Definition){keep_name(command->id), module};
  }
}

static rille_Module *find_definition(const Script *script, Str id) {
  for (size_t i = script->n_definitions; i-- > 0;) {
    if (id.size == 0 || str_equal(script->definitions[i].id, id)) {
      return script->definitions[i].module;
    }
  }
  return NULL;
}

static void do_instance(Script *script, const WastCommand *command) {
  rille_Module *module = find_definition(script, command->target);
  Failure failure;
  rille_Instance *instance = module != NULL ? instantiate(script, module, &failure) : NULL;
  if (instance != NULL) {
    add_instance(script, command->id, instance);
  } else {
    fail(script, "module instance: %s", module != NULL ? failure.message : "no such definition");
  }
}

static void do_register(Script *script, const WastCommand *command) {
  Named entry = {.name = keep_name(command->text)};
  Named *named = find_named(script->instances, script->n_instances, command->target);
  if (command->target.size != 0 && named != NULL) {
    entry.instance = named->instance;
    entry.memory = named->memory;
    entry.memory_name = named->memory_name;
  } else {
    entry.instance = command->target.size == 0 ? script->last : NULL;
  }
  if ((entry.instance == NULL && entry.memory == NULL) || script->n_registered == NAMES_MAX) {
    fail(script, "register: no such instance");
    return;
  }
  script->registered[script->n_registered++] = entry;
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void make_value(Script *script, const WastValue *value, rille_Value *out) {
  memset(out, 0, sizeof *out);
  out->type = value->type;
  switch (value->kind) {
    case WAST_REF_NULL: break;
    case WAST_REF_HOST: out->ref = rille_new_extern(script->store, load_u64(value->bytes)); break;
    default: memcpy(out->v128, value->bytes, sizeof out->v128); break;
  }
}

static bool float_matches(const uint8_t *actual, const uint8_t *wanted, unsigned bytes,
                          WastPattern pattern) {
  if (pattern == WAST_EXACT) return memcmp(actual, wanted, bytes) == 0;
  uint64_t quiet = bytes == 4 ? 0x7FC00000u : UINT64_C(0x7FF8000000000000);
  uint64_t sign = bytes == 4 ? 0x80000000u : UINT64_C(1) << 63;
  uint64_t bits = bytes == 4 ? load_u32(actual) : load_u64(actual);
  return pattern == WAST_NAN_CANONICAL ? (bits & ~sign) == quiet : (bits & quiet) == quiet;
}

static bool number_matches(const WastValue *wanted, const rille_Value *actual) {
  if (actual->type != wanted->type) return false;
  unsigned bytes = wanted->type == RILLE_I32 || wanted->type == RILLE_F32 ? 4 : 8;
  return float_matches(actual->v128, wanted->bytes, bytes, (WastPattern)wanted->patterns[0]);
}

static bool vector_matches(const WastValue *wanted, const rille_Value *actual) {
  if (actual->type != RILLE_V128) return false;
  unsigned bytes = wanted->lane_bits / 8;
  for (unsigned i = 0; i < wanted->n_lanes; i++) {
    WastPattern pattern =
        i < COUNT_OF(wanted->patterns) ? (WastPattern)wanted->patterns[i] : WAST_EXACT;
    if (!float_matches(actual->v128 + i * bytes, wanted->bytes + i * bytes, bytes, pattern)) {
      return false;
    }
  }
  return true;
}

static bool ref_matches(const WastValue *wanted, const rille_Value *actual) {
  uint64_t payload;
  if (rille_type_family(actual->type) <= RILLE_VECTOR) return false;
  switch (wanted->kind) {
    case WAST_REF_NULL: return actual->ref == 0;
    case WAST_REF_HOST:
      return rille_extern_payload(actual->ref, &payload) && payload == load_u64(wanted->bytes);
    default: return actual->ref != 0 && rille_check_ref(wanted->type, actual->ref);
  }
}

static bool value_matches(const WastValue *wanted, const rille_Value *actual) {
  switch (wanted->kind) {
    case WAST_NUMBER: return number_matches(wanted, actual);
    case WAST_VECTOR: return vector_matches(wanted, actual);
    case WAST_EITHER:
      for (uint32_t i = 0; i < wanted->n_choices; i++) {
        if (value_matches(&wanted->choices[i], actual)) return true;
      }
      return false;
    default: return ref_matches(wanted, actual);
  }
}

static void print_value(const rille_Value *value, char *out, size_t size) {
  size_t n = rille_print_type(value->type, out, size);
  if (n >= size) return;
  unsigned bytes = value->type == RILLE_V128                              ? 16
                   : value->type == RILLE_I32 || value->type == RILLE_F32 ? 4
                                                                          : 8;
  n += (size_t)snprintf(out + n, size - n, " 0x");
  while (bytes-- > 0 && n + 2 < size) {
    n += (size_t)snprintf(out + n, size - n, "%02x", value->v128[bytes]);
  }
}

/* ---- Actions --------------------------------------------------------------------------------- */

enum { VALUES_MAX = 1024 };

typedef struct Outcome {
  bool is_done;
  size_t n_results;
  rille_Value results[VALUES_MAX];
  Failure failure;
} Outcome;

static bool refuse(Outcome *out, const char *why) {
  out->failure.kind = RILLE_ERROR_MISUSE;
  snprintf(out->failure.message, sizeof out->failure.message, "%s", why);
  return false;
}

static bool get_global(const rille_Extern *item, Outcome *out) {
  if (item->kind != RILLE_EXTERN_GLOBAL) return refuse(out, "not a global");
  out->n_results = 1;
  out->results[0].type = rille_global_type(item->global, NULL);
  size_t slots = out->results[0].type == RILLE_V128 ? 2 : 1;
  memcpy(out->results[0].v128, rille_global_slots(item->global), slots * sizeof(rille_Slot));
  return true;
}

static bool call_func(Script *script, const rille_Extern *item, const WastAction *action,
                      Outcome *out) {
  if (item->kind != RILLE_EXTERN_FUNC) return refuse(out, "not a function");
  const rille_ValueType *types;
  out->n_results = rille_func_results(rille_func_type(item->func), &types);
  if (out->n_results > VALUES_MAX || action->n_args > VALUES_MAX) {
    return refuse(out, "too many values");
  }
  static _Thread_local rille_Value args[VALUES_MAX];
  for (uint32_t i = 0; i < action->n_args; i++) make_value(script, &action->args[i], &args[i]);
  rille_Error *error = NULL;
  bool ok = rille_call(item->func, args, action->n_args, out->results, out->n_results, &error);
  if (!ok) take_error(error, &out->failure);
  return ok;
}

static void run_action(Script *script, const WastAction *action, Outcome *out) {
  rille_Instance *instance = find_instance(script, action->target);
  rille_Extern item;
  if (instance == NULL) {
    out->is_done = refuse(out, "no such instance");
  } else if (!export_of(instance, action->name, &item)) {
    out->is_done = refuse(out, "no such export");
  } else {
    out->is_done = action->is_get ? get_global(&item, out) : call_func(script, &item, action, out);
  }
}

static void do_action(Script *script, const WastCommand *command, Outcome *outcome) {
  run_action(script, &command->action, outcome);
  if (!outcome->is_done) fail(script, "invoke: %s", outcome->failure.message);
}

static void do_assert_return(Script *script, const WastCommand *command, Outcome *outcome) {
  run_action(script, &command->action, outcome);
  if (!outcome->is_done) {
    fail(script, "assert_return: %s: %s", rille_error_kind_name(outcome->failure.kind),
         outcome->failure.message);
    return;
  }
  if (outcome->n_results != command->n_results) {
    fail(script, "assert_return: %u results wanted, %zu given", (unsigned)command->n_results,
         outcome->n_results);
    return;
  }
  for (uint32_t i = 0; i < command->n_results; i++) {
    if (value_matches(&command->results[i], &outcome->results[i])) continue;
    char given[100];
    print_value(&outcome->results[i], given, sizeof given);
    fail(script, "assert_return of \"%.*s\": result %u is %s", (int)command->action.name.size,
         command->action.name.at, (unsigned)i, given);
    return;
  }
  pass(script);
}

static void do_assert_trap(Script *script, const WastCommand *command, Outcome *outcome) {
  if (command->has_module) {
    rille_Instance *instance = NULL;
    outcome->is_done = run_module(script, &command->module, &instance, &outcome->failure);
    if (outcome->is_done) rille_free_instance(instance);
  } else {
    run_action(script, &command->action, outcome);
  }
  bool throws = command->kind == WAST_ASSERT_EXCEPTION;
  expect(script, "assert_trap", !outcome->is_done, &outcome->failure,
         throws ? RILLE_ERROR_EXCEPTION : RILLE_ERROR_TRAP, throws ? (Str){"", 0} : command->text);
}

/* ---- Modules that must fail ------------------------------------------------------------------ */

/* Written before 3.0 allowed several memories and tables, and limits of 64 bits: the same modules
 * are in core/ with another verdict. */
static bool contradicts_3_0(const Script *script, const WastCommand *command) {
  return strstr(script->path, "proposals/threads/") != NULL &&
         (str_equal(command->text, STR_LITERAL("multiple memories")) ||
          str_equal(command->text, STR_LITERAL("multiple tables")) ||
          str_equal(command->text, STR_LITERAL("i32 constant out of range")));
}

static void do_assert_refused(Script *script, const WastCommand *command, const char *what,
                              rille_ErrorKind kind) {
  if (contradicts_3_0(script, command)) {
    printf("%s:%u: excluded: \"%.*s\" is not the verdict of 3.0\n", script->path, script->line,
           (int)command->text.size, command->text.at);
    script->counts.excluded++;
    return;
  }
  Failure failure;
  rille_Module *module = load(script, &command->module, &failure);
  expect(script, what, module == NULL, &failure, kind, command->text);
  rille_free_module(module);
}

static void do_assert_unlinkable(Script *script, const WastCommand *command) {
  Failure failure;
  rille_Instance *instance = NULL;
  bool ok = run_module(script, &command->module, &instance, &failure);
  expect(script, "assert_unlinkable", !ok, &failure, RILLE_ERROR_LINK, command->text);
  if (ok) rille_free_instance(instance);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void run_commands(Script *script, WastReader *reader);

static void open_script(Script *script) {
  script->store = rille_new_store(script->engine);
  add_prints(script);
  add_globals(script);
  add_spaces(script);
}

static void close_script(Script *script) {
  for (size_t i = 0; i < script->n_builtins; i++) free_builtin(&script->builtins[i].item);
  for (size_t i = 0; i < script->n_instances; i++) {
    Named *named = &script->instances[i];
    rille_free_instance(named->instance);
    rille_free_memory(named->memory);
    free((void *)(uintptr_t)named->name.at);
  }
  for (size_t i = 0; i < script->n_registered; i++) {
    free((void *)(uintptr_t)script->registered[i].name.at);
  }
  for (size_t i = 0; i < script->n_definitions; i++) {
    rille_free_module(script->definitions[i].module);
    free((void *)(uintptr_t)script->definitions[i].id.at);
  }
  rille_free_store(script->store);
}

static void *thread_main(void *user) {
  Thread *thread = user;
  WastReader reader;
  wast_init_at(&reader, &((Engine *)thread->script->engine)->alloc, thread->body, thread->line,
               thread->column);
  run_commands(thread->script, &reader);
  wast_clear(&reader);
  return NULL;
}

/* The shared module's memory under the same id, for a thread of its own. */
static bool share_memory(Script *from, Script *to, Str id) {
  Named *named = find_named(from->instances, from->n_instances, id);
  if (named != NULL && named->memory != NULL) {
    rille_retain_memory(named->memory);
    to->instances[to->n_instances] = *named;
    to->instances[to->n_instances++].name = keep_name(id);
    return true;
  }
  rille_Instance *instance = find_instance(from, id);
  if (instance == NULL) return false;
  const rille_Module *module = rille_instance_module(instance);
  rille_ExportInfo info;
  rille_Extern item;
  if (rille_module_exports(module) != 1) return false;
  rille_module_export(module, 0, &info);
  if (!rille_instance_export(instance, 0, &item) || item.kind != RILLE_EXTERN_MEMORY) return false;
  rille_retain_memory(item.memory);
  to->instances[to->n_instances++] = (Named){
      .name = keep_name(id), .memory = item.memory, .memory_name = {info.name, info.name_size}};
  return true;
}

static void do_thread(Script *script, const WastCommand *command) {
  Script *inner = calloc(1, sizeof *inner);
  inner->path = script->path;
  inner->engine = script->engine;
  memcpy(inner->features, script->features, sizeof inner->features);
  inner->feature_set = script->feature_set;
  open_script(inner);
  if (command->shared.size != 0 && !share_memory(script, inner, command->shared)) {
    fail(script, "thread: no module to share that only exports a memory");
  }
  Thread *thread = &script->threads[script->n_threads++ % THREADS_MAX];
  *thread = (Thread){.id = keep_name(command->id),
                     .script = inner,
                     .body = command->body,
                     .line = command->body_line,
                     .column = command->body_column,
                     .is_running = true};
  if (pthread_create(&thread->thread, NULL, thread_main, thread) != 0) abort();
}

static void join_thread(Script *script, Thread *thread) {
  pthread_join(thread->thread, NULL);
  thread->is_running = false;
  script->counts.passed += thread->script->counts.passed;
  script->counts.failed += thread->script->counts.failed;
  close_script(thread->script);
  free(thread->script);
  free((void *)(uintptr_t)thread->id.at);
}

static void do_wait(Script *script, const WastCommand *command) {
  for (size_t i = 0; i < THREADS_MAX; i++) {
    Thread *thread = &script->threads[i];
    if (!thread->is_running || !str_equal(thread->id, command->id)) continue;
    join_thread(script, thread);
    return;
  }
  fail(script, "wait: no such thread");
}

/* ---- Scripts --------------------------------------------------------------------------------- */

static void run_command(Script *script, const WastCommand *command, Outcome *outcome) {
  switch (command->kind) {
    case WAST_BAD: fail(script, "cannot be read: %s", command->error.message); break;
    case WAST_MODULE: do_module(script, command); break;
    case WAST_MODULE_DEFINITION: do_definition(script, command); break;
    case WAST_MODULE_INSTANCE: do_instance(script, command); break;
    case WAST_REGISTER: do_register(script, command); break;
    case WAST_ACTION: do_action(script, command, outcome); break;
    case WAST_ASSERT_RETURN: do_assert_return(script, command, outcome); break;
    case WAST_ASSERT_TRAP:
    case WAST_ASSERT_EXHAUSTION:
    case WAST_ASSERT_EXCEPTION:
    case WAST_ASSERT_SUSPENSION: do_assert_trap(script, command, outcome); break;
    case WAST_ASSERT_INVALID:
    case WAST_ASSERT_INVALID_CUSTOM:
      do_assert_refused(script, command, "assert_invalid", RILLE_ERROR_INVALID);
      break;
    case WAST_ASSERT_MALFORMED:
    case WAST_ASSERT_MALFORMED_CUSTOM:
      do_assert_refused(script, command, "assert_malformed", RILLE_ERROR_MALFORMED);
      break;
    case WAST_ASSERT_UNLINKABLE: do_assert_unlinkable(script, command); break;
    case WAST_THREAD: do_thread(script, command); break;
    case WAST_WAIT: do_wait(script, command); break;
  }
}

static void run_commands(Script *script, WastReader *reader) {
  Outcome *outcome = calloc(1, sizeof *outcome);
  WastCommand command;
  while (wast_next(reader, &command)) {
    script->line = command.line;
    run_command(script, &command, outcome);
  }
  free(outcome);
}

static void choose_features(Script *script) {
  size_t n = 0;
  script->feature_set = feature_defaults();
  for (size_t i = 0; i < COUNT_OF(folder_features); i++) {
    if (strstr(script->path, folder_features[i].folder) == NULL) continue;
    Feature feature;
    script->features[n++] = folder_features[i].feature;
    if (feature_of_key(str_of(folder_features[i].feature), &feature)) {
      script->feature_set |= FEATURE_BIT(feature);
    }
  }
}

static char *read_whole(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return NULL;
  char *bytes = NULL;
  size_t room = 0;
  *size = 0;
  do {
    room = room * 2 + 65536;
    bytes = realloc(bytes, room);
    *size += fread(bytes + *size, 1, room - *size, file);
  } while (*size == room);
  fclose(file);
  return bytes;
}

static void print_file(const Script *script) {
  const Counts *counts = &script->counts;
  printf("%s: %u passed, %u failed", script->path, counts->passed, counts->failed);
  if (counts->excluded != 0) printf(", %u excluded", counts->excluded);
  for (size_t i = 0; script->features[i] != NULL; i++) printf(", with %s", script->features[i]);
  printf("\n");
  fflush(stdout);
}

static Counts run_file(const char *path) {
  Script *script = calloc(1, sizeof *script);
  script->path = path;
  choose_features(script);
  size_t size;
  char *text = read_whole(path, &size);
  if (text == NULL) {
    fail(script, "cannot be opened");
  } else {
    script->engine = rille_new_engine(NULL, NULL);
    open_script(script);
    WastReader reader;
    wast_init(&reader, &((Engine *)script->engine)->alloc, (Str){text, size});
    run_commands(script, &reader);
    wast_clear(&reader);
    for (size_t i = 0; i < THREADS_MAX; i++) {
      if (script->threads[i].is_running) join_thread(script, &script->threads[i]);
    }
    close_script(script);
    if (rille_engine_bytes(script->engine) != 0) {
      fail(script, "%zu bytes were not given back", rille_engine_bytes(script->engine));
    }
    rille_free_engine(script->engine);
  }
  print_file(script);
  Counts counts = script->counts;
  free(text);
  free(script);
  return counts;
}

/* A file in a process of its own. */
static Counts run_apart(const char *path) {
  int ends[2];
  Counts counts = {.failed = 0};
  if (pipe(ends) != 0) return (Counts){.failed = 1};
  pid_t child = fork();
  if (child == 0) {
    alarm(SECONDS_MAX);
    counts = run_file(path);
    _exit(write(ends[1], &counts, sizeof counts) != sizeof counts);
  }
  close(ends[1]);
  bool is_whole = read(ends[0], &counts, sizeof counts) == sizeof counts;
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (is_whole) return counts;
  printf("%s: ended by signal %d\n", path, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  fflush(stdout);
  return (Counts){.failed = 1};
}

static bool read_option(const char *arg) {
  if (strncmp(arg, "--engine=", 9) == 0) {
    engine_name = arg + 9;
  } else if (strcmp(arg, "--no-signals") == 0) {
    has_no_signals = true;
  } else if (strcmp(arg, "--verbose") == 0) {
    is_verbose = true;
  } else {
    return false;
  }
  return true;
}

int main(int argc, char **argv) {
  int at = 1;
  while (at < argc && read_option(argv[at])) at++;
  if (at == argc) {
    fprintf(stderr,
            "usage: wast [--engine=interpreter|compiler] [--no-signals] [--verbose] FILE...\n");
    return 2;
  }
  Counts sum = {.failed = 0};
  bool is_single = at + 1 == argc;
  for (; at < argc; at++) {
    Counts counts = is_single ? run_file(argv[at]) : run_apart(argv[at]);
    sum.passed += counts.passed;
    sum.failed += counts.failed;
  }
  printf("%u passed, %u failed\n", sum.passed, sum.failed);
  return sum.failed != 0;
}
