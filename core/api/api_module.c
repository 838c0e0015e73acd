/* api_module.c - engines and modules: loading, text, and what a module holds. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/sealed.h"
#include "../interp/interp.h"
#if defined(RILLE_HAS_COMPILER)
#include "../jit/engine.h"
#endif
#include "../runtime/describe.h"
#include "../runtime/engine.h"
#include "../text/text.h"
#include "api.h"

const char *rille_version(void) {
  return "rille " RILLE_VERSION;
}

/* Engines */

static const EngineOps *find_ops(const char *name) {
  if (strcmp(name, interp_engine.name) == 0) return &interp_engine;
#if defined(RILLE_HAS_COMPILER)
  if (strcmp(name, jit_engine.name) == 0 && jit_is_available()) return &jit_engine;
#endif
  return NULL;
}

/* What the environment asks for, else the best there is. */
static const EngineOps *default_ops(void) {
  const char *wanted = getenv("RILLE_ENGINE");
  const EngineOps *ops = wanted != NULL ? find_ops(wanted) : NULL;
  if (ops == NULL) ops = find_ops("compiler");
  return ops != NULL ? ops : &interp_engine;
}

rille_Engine *rille_new_engine(rille_Resize *resize, void *user) {
  return engine_handle(engine_new(resize, user, default_ops()));
}

void rille_free_engine(rille_Engine *engine) {
  if (engine != NULL) engine_release(engine_of(engine));
}

void *rille_engine_resize(rille_Engine *engine, void *ptr, size_t old_size, size_t new_size) {
  return alloc_resize(&engine_of(engine)->alloc, ptr, old_size, new_size);
}

size_t rille_engine_bytes(const rille_Engine *engine) {
  return atomic_load_explicit(&engine_of(engine)->alloc.used, memory_order_relaxed);
}

void rille_set_hooks(rille_Engine *handle, const rille_Hooks *hooks) {
  Engine *engine = engine_of(handle);
  memcpy(&engine->hooks, hooks, sizeof *hooks);
}
_Static_assert(sizeof(rille_Hooks) == sizeof(((Engine *)NULL)->hooks), "hooks are the same struct");

size_t rille_feature_count(void) {
  return FEATURE_COUNT;
}

const char *rille_feature_name(size_t index, bool *on_by_default) {
  if (index >= FEATURE_COUNT) return NULL;
  if (on_by_default != NULL) {
    *on_by_default = (feature_defaults() & FEATURE_BIT((Feature)index)) != 0;
  }
  return feature_key((Feature)index);
}

/* Options */

static bool apply_features(const char *const *names, bool on, FeatureSet *features,
                           rille_Error **error) {
  for (; names != NULL && *names != NULL; names++) {
    Feature feature;
    if (!feature_of_key(str_of(*names), &feature)) {
      return api_fail_text(error, ERROR_MISUSE, "unknown feature \"%s\"", *names);
    }
    *features = on ? *features | FEATURE_BIT(feature) : *features & ~FEATURE_BIT(feature);
  }
  return true;
}

static const EngineOps *ops_of_name(const Engine *engine, const char *name, rille_Error **error) {
  if (name == NULL) return engine->ops;
  const EngineOps *ops = find_ops(name);
  if (ops == NULL) api_fail_text(error, ERROR_UNSUPPORTED, "this build has no engine \"%s\"", name);
  return ops;
}

static bool read_options(const rille_LoadOptions *given, LoadOptions *out, rille_Error **error) {
  *out = (LoadOptions){.features = feature_defaults()};
  if (given == NULL) return true;
  out->is_deterministic = given->deterministic;
  if (given->name != NULL) out->name = str_of(given->name);
  return apply_features(given->on, true, &out->features, error) &&
         apply_features(given->off, false, &out->features, error);
}

/* Loading */

static Module *load_binary(Engine *engine, const void *bytes, size_t size,
                           const LoadOptions *options, rille_Error **error) {
  Error failure;
  Module *module = module_load(&engine->alloc, bytes, size, options, &failure);
  if (module == NULL) api_fail(error, &failure);
  return module;
}

/* What is wrong with the bytes is said of the text that they were made from. */
static void fail_in_text(Arena *arena, Str text, const LoadOptions *options, Error *failure,
                         rille_Error **error) {
  if (failure->line == 0 && failure->offset != ERROR_NO_OFFSET) {
    (void)text_find_place(arena, text, options->features, failure->offset, &failure->line,
                          &failure->column);
  }
  api_fail(error, failure);
}

static Module *load_text(Engine *engine, Str text, const LoadOptions *options,
                         rille_Error **error) {
  Arena arena;
  arena_init(&arena, &engine->alloc);
  const uint8_t *bytes;
  size_t size;
  Error failure;
  Module *module = NULL;
  if (text_parse_module(&arena, text, options->features, &bytes, &size, &failure)) {
    module = module_load(&engine->alloc, bytes, size, options, &failure);
  }
  if (module == NULL) fail_in_text(&arena, text, options, &failure, error);
  arena_clear(&arena);
  return module;
}

/* Parts a serialised module into the binary and its code; anything else stays as it is. */
static bool open_sealed(Str *bytes, bool is_wanted, Str *native, rille_Error **error) {
  if (!sealed_is(*bytes, SEALED_MODULE)) return true;
  if (!is_wanted)
    return api_fail_text(error, ERROR_UNSUPPORTED,
                         "this is a serialised module, which only the load option native takes");
  Str inside;
  if (!sealed_open(*bytes, SEALED_MODULE, &inside) || inside.size < 8 ||
      load_u64(inside.at) > inside.size - 8)
    return api_fail_text(error, ERROR_MALFORMED, "the serialised module is damaged");
  *bytes = (Str){inside.at + 8, (size_t)load_u64(inside.at)};
  *native = (Str){bytes->at + bytes->size, inside.size - 8 - bytes->size};
  return true;
}

/* Loads without preparing anything. */
static Module *load(Engine *engine, Str bytes, const rille_LoadOptions *given,
                    rille_Error **error) {
  LoadOptions options;
  if (!read_options(given, &options, error)) return NULL;
  const EngineOps *ops = ops_of_name(engine, given != NULL ? given->engine : NULL, error);
  if (ops == NULL) return NULL;
  Module *module = text_is_binary(bytes.at, bytes.size)
                       ? load_binary(engine, bytes.at, bytes.size, &options, error)
                       : load_text(engine, bytes, &options, error);
  if (module != NULL) engine_adopt_module(engine, module, ops);
  return module;
}

static rille_Module *prepare(Module *module, const rille_LoadOptions *given, Str native,
                             rille_Error **error) {
  if (module == NULL) return NULL;
  const EngineOps *ops = engine_ops_of(module);
  if (ops->prepare_module == NULL || given == NULL) return module_handle(module);
  PrepareOptions options = {.is_eager = given->eager,
                            .is_quiet = given->no_signals,
                            .notes_perf = given->perf,
                            .notes_gdb = given->gdb,
                            .cache = given->cache,
                            .native = native};
  Error failure;
  if (ops->prepare_module(module, &options, &failure)) return module_handle(module);
  api_fail(error, &failure);
  engine_release_module(module);
  return NULL;
}

rille_Module *rille_load(rille_Engine *engine, const void *at, size_t size,
                         const rille_LoadOptions *options, rille_Error **error) {
  Str bytes = {at, size}, native = {0};
  if (!open_sealed(&bytes, options != NULL && options->native, &native, error)) return NULL;
  return prepare(load(engine_of(engine), bytes, options, error), options, native, error);
}

typedef struct FileBytes {
  const uint8_t *at;
  size_t size;
  bool is_mapped;
  size_t room; /* of a copy */
} FileBytes;

/* What cannot be mapped (a pipe, an empty file) is read. */
static bool read_stream(Engine *engine, const char *path, FileBytes *out) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return false;
  uint8_t *bytes = NULL;
  size_t size = 0, room = 0;
  for (;;) {
    if (size == room) {
      size_t wanted = room != 0 ? room * 2 : 64 * KIB;
      uint8_t *moved = alloc_resize(&engine->alloc, bytes, room, wanted);
      if (moved == NULL) break;
      bytes = moved;
      room = wanted;
    }
    size_t n = fread(bytes + size, 1, room - size, file);
    if (n == 0) break;
    size += n;
  }
  bool ok = feof(file) && !ferror(file);
  int saved = errno;
  fclose(file);
  errno = saved;
  if (!ok) alloc_free(&engine->alloc, bytes, room);
  *out = (FileBytes){.at = bytes, .size = size, .room = room};
  return ok;
}

static bool read_file(Engine *engine, const char *path, FileBytes *out) {
  size_t size;
  const void *mapped = os_map_file(path, &size);
  if (mapped == NULL) return read_stream(engine, path, out);
  *out = (FileBytes){.at = mapped, .size = size, .is_mapped = true};
  return true;
}

static void forget_file(Engine *engine, FileBytes *file) {
  if (file->is_mapped) {
    os_unmap_file(file->at, file->size);
  } else {
    alloc_free(&engine->alloc, (void *)(uintptr_t)file->at, file->room);
  }
}

/* Machine code comes from memory only: who wrote a file is not known here. The file is forgotten
 * before code is made, which takes much memory. */
rille_Module *rille_load_file(rille_Engine *handle, const char *path,
                              const rille_LoadOptions *options, rille_Error **error) {
  Engine *engine = engine_of(handle);
  FileBytes file;
  Str none = {0};
  if (!read_file(engine, path, &file)) {
    api_fail_text(error, ERROR_IO, "%s: %s", path, strerror(errno));
    return NULL;
  }
  Str bytes = {(const char *)file.at, file.size};
  Module *module =
      open_sealed(&bytes, false, &none, error) ? load(engine, bytes, options, error) : NULL;
  forget_file(engine, &file);
  return prepare(module, options, none, error);
}

static bool give_bytes(Engine *engine, const void *bytes, size_t size, void **out, size_t *out_size,
                       rille_Error **error) {
  void *copy = alloc_new(&engine->alloc, MAX(size, 1));
  if (copy == NULL) return api_fail_memory(error);
  if (size != 0) memcpy(copy, bytes, size);
  *out = copy;
  *out_size = size;
  return true;
}

static void seal(Module *module, Buf *out) {
  uint64_t size = module->size;
  sealed_begin(out, SEALED_MODULE);
  buf_bytes(out, &size, sizeof size);
  buf_bytes(out, module->bytes, module->size);
  const EngineOps *ops = engine_ops_of(module);
  if (ops->serialize != NULL) ops->serialize(module, out);
  sealed_end(out);
}

static bool seal_guarded(Module *module, Arena *arena, Buf *out, rille_Error **error) {
  Guard guard;
  Error failure;
  if (!GUARD_TRY(&guard, arena, &failure)) return api_fail(error, &failure);
  buf_init(out, arena);
  seal(module, out);
  guard_leave(&guard);
  return true;
}

bool rille_serialize(rille_Module *handle, uint8_t **out, size_t *out_size, rille_Error **error) {
  Module *module = module_of(handle);
  Arena arena;
  Buf sealed;
  void *copy = NULL;
  arena_init(&arena, module->alloc);
  bool is_done =
      seal_guarded(module, &arena, &sealed, error) &&
      give_bytes(engine_of_module(module), sealed.at, sealed.size, &copy, out_size, error);
  if (is_done) *out = copy;
  arena_clear(&arena);
  return is_done;
}

void rille_retain_module(rille_Module *module) {
  module_retain(module_of(module));
}

void rille_free_module(rille_Module *module) {
  if (module != NULL) engine_release_module(module_of(module));
}

/* Text and binary */

bool rille_wat_to_wasm(rille_Engine *handle, const char *text, size_t size, uint8_t **out,
                       size_t *out_size, rille_Error **error) {
  Engine *engine = engine_of(handle);
  Arena arena;
  arena_init(&arena, &engine->alloc);
  const uint8_t *bytes;
  size_t n;
  Error failure;
  void *copy = NULL;
  bool ok = text_parse_module(&arena, (Str){text, size}, ~(FeatureSet)0, &bytes, &n, &failure)
                ? give_bytes(engine, bytes, n, &copy, out_size, error)
                : api_fail(error, &failure);
  if (ok) *out = copy;
  arena_clear(&arena);
  return ok;
}

/* The whole module, or the function with that index. */
static bool print_text(Engine *engine, Module *module, const uint32_t *func, char **out,
                       size_t *out_size, rille_Error **error) {
  Arena arena;
  arena_init(&arena, &engine->alloc);
  Str text;
  Error failure;
  void *copy = NULL;
  bool is_printed = func != NULL ? text_print_func(&arena, module, *func, &text, &failure)
                                 : text_print_module(&arena, module, &text, &failure);
  bool ok = is_printed ? give_bytes(engine, text.at, text.size, &copy, out_size, error)
                       : api_fail(error, &failure);
  if (ok) *out = copy;
  arena_clear(&arena);
  return ok;
}

/* A module need not be valid to be shown, only to be read. */
bool rille_wasm_to_wat(rille_Engine *handle, const void *bytes, size_t size, char **out,
                       size_t *out_size, rille_Error **error) {
  Engine *engine = engine_of(handle);
  LoadOptions options = {.features = ~(FeatureSet)0};
  Error failure;
  Module *module = module_decode(&engine->alloc, bytes, size, &options, &failure);
  if (module == NULL) return api_fail(error, &failure);
  bool ok = print_text(engine, module, NULL, out, out_size, error);
  module_release(module);
  return ok;
}

bool rille_print_func(rille_Engine *engine, rille_Module *module, uint32_t func, char **out,
                      size_t *out_size, rille_Error **error) {
  return print_text(engine_of(engine), module_of(module), &func, out, out_size, error);
}

static bool dump_guarded(Module *module, uint32_t func, const char *what, Buf *out, Arena *arena,
                         rille_Error **error) {
  const EngineOps *ops = engine_ops_of(module);
  Guard guard;
  Error failure;
  if (ops->dump == NULL)
    return api_fail_text(error, ERROR_UNSUPPORTED, "the %s has no passes to show", ops->name);
  if (func < module->n_imported_funcs || func >= module->n_funcs)
    return api_fail_text(error, ERROR_MISUSE, "the module defines no function %u", func);
  if (!GUARD_TRY(&guard, arena, &failure)) return api_fail(error, &failure);
  buf_init(out, arena);
  bool is_known = ops->dump(module, func, what, out);
  guard_leave(&guard);
  return is_known || api_fail_text(error, ERROR_MISUSE, "no pass is named in \"%s\"", what);
}

bool rille_dump_func(rille_Engine *engine, rille_Module *module, uint32_t func, const char *what,
                     char **out, size_t *out_size, rille_Error **error) {
  Arena arena;
  Buf text;
  void *copy = NULL;
  arena_init(&arena, &engine_of(engine)->alloc);
  bool ok = dump_guarded(module_of(module), func, what, &text, &arena, error) &&
            give_bytes(engine_of(engine), text.at, text.size, &copy, out_size, error);
  if (ok) *out = copy;
  arena_clear(&arena);
  return ok;
}

void rille_free_bytes(rille_Engine *engine, void *bytes, size_t size) {
  alloc_free(&engine_of(engine)->alloc, bytes, MAX(size, 1));
}

/* What a module holds */

static const rille_FuncType *item_func_type(const Module *module, ExternKind kind, uint32_t index) {
  if (kind != EXTERN_FUNC && kind != EXTERN_TAG) return NULL;
  uint32_t type = kind == EXTERN_FUNC ? module->funcs[index].type : module->tags[index];
  return func_type_handle(type_of_id(module->type_ids[type]));
}

size_t rille_module_imports(const rille_Module *module) {
  return module_of(module)->n_imports;
}

void rille_module_import(const rille_Module *handle, size_t index, rille_ImportInfo *out) {
  const Module *module = module_of(handle);
  const Import *import = &module->imports[index];
  *out = (rille_ImportInfo){.module = import->module.at,
                            .name = import->name.at,
                            .module_size = import->module.size,
                            .name_size = import->name.size,
                            .kind = (rille_ExternKind)import->kind,
                            .func_type = item_func_type(module, import->kind, import->index)};
}

size_t rille_module_exports(const rille_Module *module) {
  return module_of(module)->n_exports;
}

void rille_module_export(const rille_Module *handle, size_t index, rille_ExportInfo *out) {
  const Module *module = module_of(handle);
  const Export *export = &module->exports[index];
  *out = (rille_ExportInfo){.name = export->name.at,
                            .name_size = export->name.size,
                            .kind = (rille_ExternKind) export->kind,
                            .func_type = item_func_type(module, export->kind, export->index),
                            .index = export->index};
}

size_t rille_print_import_type(const rille_Module *handle, size_t index, char *out, size_t size) {
  const Module *module = module_of(handle);
  const Import *import = &module->imports[index];
  return describe_module_item(module, import->kind, import->index, out, size);
}

size_t rille_print_export_type(const rille_Module *handle, size_t index, char *out, size_t size) {
  const Module *module = module_of(handle);
  const Export *export = &module->exports[index];
  return describe_module_item(module, export->kind, export->index, out, size);
}

bool rille_module_custom(const rille_Module *handle, size_t index, const char **name,
                         size_t *name_size, const uint8_t **bytes, size_t *size) {
  const Module *module = module_of(handle);
  if (index >= module->n_customs) return false;
  const CustomSection *section = &module->customs[index];
  *name = section->name.at;
  *name_size = section->name.size;
  *bytes = module->bytes + section->at;
  *size = section->size;
  return true;
}

const char *rille_module_name(const rille_Module *module, size_t *size) {
  Str name = module_of(module)->name;
  if (size != NULL) *size = name.size;
  return name.size != 0 ? name.at : "";
}

const uint8_t *rille_module_bytes(const rille_Module *module, size_t *size) {
  *size = module_of(module)->size;
  return module_of(module)->bytes;
}

void rille_module_stats(const rille_Module *handle, rille_ModuleStats *out) {
  const Module *module = module_of(handle);
  *out = (rille_ModuleStats){.types = module->n_types,
                             .funcs = module->n_funcs,
                             .tables = module->n_tables,
                             .memories = module->n_memories,
                             .globals = module->n_globals,
                             .tags = module->n_tags,
                             .elements = module->n_elems,
                             .data = module->n_datas,
                             .imports = module->n_imports,
                             .exports = module->n_exports,
                             .customs = module->n_customs,
                             .code_bytes = module->code_size};
  EngineStats stats = {0};
  engine_ops_of(module)->stats(module, &stats);
  out->prepared_funcs = stats.funcs;
  out->prepared_bytes = stats.bytes;
  out->kept_funcs = stats.kept_funcs;
  out->prepare_ns = stats.ns;
  out->engine = engine_ops_of(module)->name;
}
