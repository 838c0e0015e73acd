/* rille.h - the C interface of Rille, a WebAssembly engine. The only public header.
 *
 * Handles are opaque. "Retained" results belong to the caller, who gives them back with the
 * function named; everything else is borrowed and lives as long as what it was asked from. Modules
 * and engines may be used by several threads at once; a store and all that runs in it belongs to
 * one thread at a time. Functions that can fail take `rille_Error **error`: on failure it is set to
 * an error that the caller frees with rille_free_error (NULL: not wanted). Nothing here prints,
 * exits or aborts.
 */
#ifndef RILLE_H
#define RILLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(RILLE_STATIC)
#define RILLE_API
#elif defined(__GNUC__)
#define RILLE_API __attribute__((visibility("default")))
#else
#define RILLE_API
#endif

#define RILLE_VERSION "0.1.0"
RILLE_API const char *rille_version(void); /* "rille 0.1.0" */

/* ---- Errors ---------------------------------------------------------------------------------- */

typedef enum rille_ErrorKind {
  RILLE_ERROR_NONE,
  RILLE_ERROR_IO,
  RILLE_ERROR_MALFORMED,
  RILLE_ERROR_INVALID,
  RILLE_ERROR_UNSUPPORTED,
  RILLE_ERROR_LINK,
  RILLE_ERROR_LIMIT,
  RILLE_ERROR_TRAP,
  RILLE_ERROR_EXCEPTION,
  RILLE_ERROR_EXIT,
  RILLE_ERROR_MISUSE,
  RILLE_ERROR_MEMORY
} rille_ErrorKind;

typedef struct rille_Error rille_Error;

/* One guest frame of a backtrace; texts live as long as the error. */
typedef struct rille_Frame {
  const char *module; /* the module's name, or "" */
  const char *func;   /* the function's name, else that of its export, or "" */
  uint32_t index;     /* function index in its module */
  uint64_t offset;    /* of the instruction, in the module's bytes */
  const char *file;   /* source file, or NULL */
  uint32_t line;      /* 0 when not known */
} rille_Frame;

#define RILLE_NO_OFFSET UINT64_MAX

RILLE_API rille_ErrorKind rille_error_kind(const rille_Error *error);
RILLE_API const char *rille_error_kind_name(
    rille_ErrorKind kind); /* "io", "malformed", ..., as in Lua */
RILLE_API const char *rille_error_message(const rille_Error *error); /* with its place, one line */
/* The specification's trap text, or the limit's name ("fuel", "timeout", "memory", "interrupt");
 * else "". */
RILLE_API const char *rille_error_code(const rille_Error *error);
RILLE_API int rille_error_status(const rille_Error *error); /* exit status of RILLE_ERROR_EXIT */
RILLE_API uint64_t
rille_error_offset(const rille_Error *error); /* in the module, or RILLE_NO_OFFSET */
RILLE_API uint32_t rille_error_line(const rille_Error *error); /* of text, from 1; 0: none */
RILLE_API uint32_t rille_error_column(const rille_Error *error);
RILLE_API const char *rille_error_func(
    const rille_Error *error); /* function's name or index, or "" */
RILLE_API size_t rille_error_frames(const rille_Error *error,
                                    const rille_Frame **frames); /* innermost first */
/* For hosts that report failures of their own; NULL when there is no memory. */
RILLE_API rille_Error *rille_new_error(rille_ErrorKind kind, const char *message);
RILLE_API void rille_free_error(rille_Error *error);

/* ---- Values and types -------------------------------------------------------------------------
 */

/* A value type in one word. The numbers are fixed for the types below; other references (typed
 * ones) compare equal when they are the same type, in the whole process. */
typedef uint32_t rille_ValueType;
enum { RILLE_I32 = 1, RILLE_I64 = 2, RILLE_F32 = 3, RILLE_F64 = 4, RILLE_V128 = 5 };
RILLE_API extern const rille_ValueType RILLE_FUNCREF, RILLE_EXTERNREF, RILLE_ANYREF, RILLE_EXNREF;

typedef enum rille_Family { /* which hierarchy a value type belongs to */
                            RILLE_NUMBER,
                            RILLE_VECTOR,
                            RILLE_FUNC_FAMILY,
                            RILLE_EXTERN_FAMILY,
                            RILLE_ANY_FAMILY,
                            RILLE_EXN_FAMILY,
                            RILLE_CONT_FAMILY
} rille_Family;
RILLE_API rille_Family rille_type_family(rille_ValueType type);
RILLE_API bool rille_type_is_nullable(rille_ValueType type);
RILLE_API bool rille_parse_type(const char *text,
                                rille_ValueType *type); /* "i32", "(ref null func)", ... */
RILLE_API size_t rille_print_type(rille_ValueType type, char *out, size_t size); /* as snprintf */

/* Values travel in 8-byte slots: i32 in the low half (the high half is ignored coming in and
 * unspecified going out), f32 and f64 as bits, a v128 in two slots, a reference in one, 0 being
 * null. */
typedef uint64_t rille_Slot;

/* A value with its type, for calls that check. */
typedef struct rille_Value {
  rille_ValueType type;
  union {
    int32_t i32;
    int64_t i64;
    float f32;
    double f64;
    uint8_t v128[16];
    rille_Slot ref;
  };
} rille_Value;

/* A function type. Retained by whoever made it; those asked from functions and imports are
 * borrowed. */
typedef struct rille_FuncType rille_FuncType;
RILLE_API rille_FuncType *rille_new_func_type(size_t n_params, const rille_ValueType *params,
                                              size_t n_results, const rille_ValueType *results);
/* "(param i32 i32) (result i32)", with or without "(func ...)" around it. */
RILLE_API rille_FuncType *rille_parse_func_type(const char *text, rille_Error **error);
RILLE_API void rille_free_func_type(rille_FuncType *type);
RILLE_API size_t rille_func_params(const rille_FuncType *type, const rille_ValueType **params);
RILLE_API size_t rille_func_results(const rille_FuncType *type, const rille_ValueType **results);

/* ---- Engine ------------------------------------------------------------------------------------
 */

typedef struct rille_Engine rille_Engine;

/* Like realloc, told the old size; new_size 0 frees. NULL when there is no memory. */
typedef void *rille_Resize(void *user, void *ptr, size_t old_size, size_t new_size);

/* resize NULL: the C library's allocator. NULL when there is no memory. Counted: modules and stores
 * keep their engine alive. Modules are compiled where this processor's compiler is built in, else
 * interpreted; RILLE_ENGINE=interpreter in the environment changes that for those whose options
 * name no engine. */
RILLE_API rille_Engine *rille_new_engine(rille_Resize *resize, void *user);
RILLE_API void rille_free_engine(rille_Engine *engine);
RILLE_API size_t
rille_engine_bytes(const rille_Engine *engine); /* allocated through `resize` now */

/* Memory counted as the engine's: as rille_Resize. */
RILLE_API void *rille_engine_resize(rille_Engine *engine, void *ptr, size_t old_size,
                                    size_t new_size);

/* Features: the names of `lua-api`'s `features` table ("gc", "simd", ...). */
RILLE_API size_t rille_feature_count(void);
RILLE_API const char *rille_feature_name(size_t index, bool *on_by_default);

/* ---- Modules -----------------------------------------------------------------------------------
 */

typedef struct rille_Module rille_Module;

typedef struct rille_LoadOptions {
  const char *name;       /* or NULL */
  const char *const *on;  /* features to switch on, NULL-terminated, or NULL */
  const char *const *off; /* features to switch off */
  const char *engine;     /* "interpreter", "compiler" or NULL: the best there is */
  bool deterministic;     /* every NaN canonical, relaxed SIMD in its deterministic profile */
  bool eager;             /* the compiler: all functions now, on all cores */
  bool native;       /* rille_load: take what rille_serialize gave, if it is whole. It holds machine
                        code that runs outside the sandbox: only from where nobody can forge it */
  bool no_signals;   /* the compiler: check everything in the code, install no signal handlers */
  bool perf;         /* the compiler: name functions for Linux' perf in /tmp/perf-PID.map */
  bool gdb;          /* has no effect yet */
  const char *cache; /* the compiler: a directory that keeps code between runs, or NULL */
} rille_LoadOptions;

/* A binary or WAT text, told apart by the first bytes; the bytes are copied. options may be NULL.
 * With a cache all functions are taken from a file there, when it is this user's alone, whole, and
 * made by this build from this module for this processor; else they are compiled and the file is
 * written. */
RILLE_API rille_Module *rille_load(rille_Engine *engine, const void *bytes, size_t size,
                                   const rille_LoadOptions *options, rille_Error **error);
RILLE_API rille_Module *rille_load_file(rille_Engine *engine, const char *path,
                                        const rille_LoadOptions *options, rille_Error **error);
/* The module with code for all its functions, for rille_load with `native` in another process:
 * there the code is taken when build and processor are the same, else the module alone. *out: give
 * it back with rille_free_bytes. */
RILLE_API bool rille_serialize(rille_Module *module, uint8_t **out, size_t *out_size,
                               rille_Error **error);
RILLE_API void rille_retain_module(rille_Module *module);
RILLE_API void rille_free_module(rille_Module *module);

/* Text to binary and back. *out is the engine's memory: give it back with rille_free_bytes. */
RILLE_API bool rille_wat_to_wasm(rille_Engine *engine, const char *text, size_t size, uint8_t **out,
                                 size_t *out_size, rille_Error **error);
RILLE_API bool rille_wasm_to_wat(rille_Engine *engine, const void *bytes, size_t size, char **out,
                                 size_t *out_size, rille_Error **error);
/* One function of a loaded module as WAT, by its index (an imported one: its import), for people to
 * read; rille_free_bytes. */
RILLE_API bool rille_print_func(rille_Engine *engine, rille_Module *module, uint32_t func,
                                char **out, size_t *out_size, rille_Error **error);
/* What the compiler makes of a function after the passes that `what` lists with commas: "build",
 * "cfg", "memopt", "place" or "ir" for all of these, "isel", "color" or "mach" for both, "asm" for
 * machine code. For people to read; rille_free_bytes. */
RILLE_API bool rille_dump_func(rille_Engine *engine, rille_Module *module, uint32_t func,
                               const char *what, char **out, size_t *out_size, rille_Error **error);
RILLE_API void rille_free_bytes(rille_Engine *engine, void *bytes, size_t size);

typedef enum rille_ExternKind {
  RILLE_EXTERN_FUNC,
  RILLE_EXTERN_TABLE,
  RILLE_EXTERN_MEMORY,
  RILLE_EXTERN_GLOBAL,
  RILLE_EXTERN_TAG
} rille_ExternKind;
RILLE_API const char *rille_extern_kind_name(rille_ExternKind kind); /* "func", "table", ... */

/* Names need not be terminated or valid for printing: they are bytes with a size. */
typedef struct rille_ImportInfo {
  const char *module, *name;
  size_t module_size, name_size;
  rille_ExternKind kind;
  const rille_FuncType *func_type; /* of a func or tag; else NULL */
} rille_ImportInfo;
typedef struct rille_ExportInfo {
  const char *name;
  size_t name_size;
  rille_ExternKind kind;
  const rille_FuncType *func_type;
  uint32_t index; /* in the index space of its kind */
} rille_ExportInfo;
RILLE_API size_t rille_module_imports(const rille_Module *module);
RILLE_API void rille_module_import(const rille_Module *module, size_t index, rille_ImportInfo *out);
RILLE_API size_t rille_module_exports(const rille_Module *module);
RILLE_API void rille_module_export(const rille_Module *module, size_t index, rille_ExportInfo *out);
/* The type of an import or export as WAT, e.g. "(func (param i32))", "(memory 1 2)"; as snprintf.
 */
RILLE_API size_t rille_print_import_type(const rille_Module *module, size_t index, char *out,
                                         size_t size);
RILLE_API size_t rille_print_export_type(const rille_Module *module, size_t index, char *out,
                                         size_t size);
/* True while index < number of custom sections with any name. */
RILLE_API bool rille_module_custom(const rille_Module *module, size_t index, const char **name,
                                   size_t *name_size, const uint8_t **bytes, size_t *size);
RILLE_API const char *rille_module_name(const rille_Module *module, size_t *size);
RILLE_API const uint8_t *rille_module_bytes(const rille_Module *module, size_t *size);

/* What the module holds, for tools. */
typedef struct rille_ModuleStats {
  uint32_t types, funcs, tables, memories, globals, tags, elements, data, imports, exports, customs;
  size_t code_bytes;     /* of the code section */
  size_t prepared_funcs; /* of which code for the active engine was made so far */
  size_t prepared_bytes; /* how large that is */
  size_t kept_funcs;     /* of these: taken from a cache or a serialised module */
  uint64_t prepare_ns;   /* time that compiling took */
  const char *engine;    /* "interpreter" or "compiler" */
} rille_ModuleStats;
RILLE_API void rille_module_stats(const rille_Module *module, rille_ModuleStats *out);

/* ---- Stores and instances
 * ------------------------------------------------------------------------ */

/* What runs together. Instances of one store, and stores that were joined by importing tables,
 * functions of other instances or reference-typed globals from each other, are freed together, when
 * the last handle to any of them is given back. */
typedef struct rille_Store rille_Store;
typedef struct rille_Instance rille_Instance;
typedef struct rille_Func rille_Func;
typedef struct rille_Memory rille_Memory;
typedef struct rille_Table rille_Table;
typedef struct rille_Global rille_Global;
typedef struct rille_Tag rille_Tag;

RILLE_API rille_Store *rille_new_store(rille_Engine *engine);
RILLE_API void rille_free_store(rille_Store *store);
/* Stops whatever runs in the store with a limit error. Async-signal-safe and thread-safe. */
RILLE_API void rille_interrupt(rille_Store *store);

typedef struct rille_Extern {
  rille_ExternKind kind;
  union {
    rille_Func *func;
    rille_Memory *memory;
    rille_Table *table;
    rille_Global *global;
    rille_Tag *tag;
  };
} rille_Extern;

/* The most that an instance may grant: it is memory that guests can make real. */
#define RILLE_STACK_MAX ((uint64_t)1 << 30)

typedef struct rille_Limits { /* 0 everywhere: no limit */
  uint64_t
      memory_bytes; /* memories, tables and heap that the instance defines; growing further fails */
  uint64_t fuel;
  uint64_t timeout_ns;  /* running time of one outermost call */
  uint64_t stack_bytes; /* 0: about 1 MiB; more than RILLE_STACK_MAX: that */
  bool suspends; /* at fuel or timeout the on_limit hook is asked instead of failing at once */
  bool has_fuel; /* fuel counts, also when it is 0 */
} rille_Limits;

/* imports: one for each import of the module, in its order. Runs active segments and the start
 * function, on `stack` (NULL: one of its own). limits may be NULL. Retained: rille_free_instance.
 * A start function that was suspended by its host: see rille_begin_instance. */
RILLE_API rille_Instance *rille_instantiate(rille_Store *store, rille_Module *module,
                                            const rille_Extern *imports, const rille_Limits *limits,
                                            rille_Error **error);
/* Links and initialises, but leaves the start function (*start, NULL when there is none) to the
 * caller. */
RILLE_API rille_Instance *rille_begin_instance(rille_Store *store, rille_Module *module,
                                               const rille_Extern *imports,
                                               const rille_Limits *limits, rille_Func **start,
                                               rille_Error **error);
RILLE_API void rille_free_instance(rille_Instance *instance); /* gives the handle back */
/* No code of it runs any more; its memories and tables stay for those who import them. */
RILLE_API void rille_close_instance(rille_Instance *instance);
/* A call that entered through it has not ended and is not suspended. */
RILLE_API bool rille_instance_is_running(const rille_Instance *instance);
RILLE_API rille_Module *rille_instance_module(rille_Instance *instance);
RILLE_API rille_Store *rille_instance_store(rille_Instance *instance);
RILLE_API bool rille_instance_export(rille_Instance *instance, size_t index, rille_Extern *out);
RILLE_API bool rille_find_export(rille_Instance *instance, const char *name, rille_Extern *out);
/* What it exports as "memory", or NULL. */
RILLE_API rille_Memory *rille_instance_memory(rille_Instance *instance);
RILLE_API uint64_t rille_instance_fuel(const rille_Instance *instance); /* what is left */
RILLE_API void rille_add_fuel(rille_Instance *instance, uint64_t amount);
RILLE_API uint64_t rille_instance_memory_bytes(const rille_Instance *instance); /* charged now */
RILLE_API bool rille_instance_has_handlers(
    const rille_Instance *instance); /* some code of its store catches */
RILLE_API void *rille_instance_user(
    const rille_Instance *instance); /* the host's own pointer, NULL at first */
RILLE_API void rille_set_instance_user(rille_Instance *instance, void *user);

/* Keeps the store alive that something belongs to. */
RILLE_API void rille_retain_store(rille_Store *store);
/* From now on both are freed together: for a host that hands a reference of one to code of the
 * other (an argument, a result of a host function). Once they are joined this is free. False when
 * there is no memory. */
RILLE_API bool rille_join_stores(rille_Store *a, rille_Store *b);
RILLE_API rille_Store *rille_func_store(
    const rille_Func *func); /* NULL: a host function, in no store */
RILLE_API rille_Store *rille_table_store(const rille_Table *table);
RILLE_API rille_Store *rille_global_store(
    const rille_Global *global); /* NULL: a numeric global, in no store */

/* What an instance holds at one moment: the bytes of the memories, the elements of the tables and
 * the values of the globals that it defines, and which segments were dropped. References in it are
 * kept by the instance's store. Large memories are restored by mapping, page by page as they are
 * touched.
 */
typedef struct rille_Snapshot rille_Snapshot;
RILLE_API rille_Snapshot *rille_new_snapshot(rille_Instance *instance, rille_Error **error);
RILLE_API void rille_free_snapshot(rille_Snapshot *snapshot);
/* Puts the instance, of which it is a snapshot, back; memories and tables shrink again. Shared
 * memories keep their size. No code of the instance may run. */
RILLE_API bool rille_reset_instance(rille_Instance *instance, const rille_Snapshot *snapshot,
                                    rille_Error **error);
RILLE_API uint64_t rille_snapshot_bytes(const rille_Snapshot *snapshot);

/* ---- Functions
 * ------------------------------------------------------------------------------------- */

/* How a run of guest code, or a host function, ended. */
typedef enum rille_Status {
  RILLE_DONE,
  RILLE_TRAPPED,
  RILLE_THROWN,  /* an exception: rille_activation_exception */
  RILLE_LIMITED, /* a limit was hit */
  RILLE_EXITED
} rille_Status;

typedef struct rille_Activation rille_Activation;

/* A host function: takes its arguments from slots and leaves its results there, from slots[0] on
 * (there is room for the larger of both). It runs on the caller's C stack, so it may also leave by
 * longjmp or never return: the guest's frames are then dropped at the next entry on the same guest
 * stack. Other than RILLE_DONE it returns what rille_trap, rille_exit or rille_throw gave. */
typedef rille_Status rille_HostFn(rille_Activation *activation, void *data, rille_Slot *slots);

/* Retained (counted on its own, in no store): rille_free_func. drop(data) runs when it is freed. */
RILLE_API rille_Func *rille_new_host_func(rille_Engine *engine, const rille_FuncType *type,
                                          rille_HostFn *fn, void *data, void (*drop)(void *data));
RILLE_API void rille_retain_func(rille_Func *func); /* of an instance: keeps its store */
RILLE_API void rille_free_func(rille_Func *func);
RILLE_API const rille_FuncType *rille_func_type(const rille_Func *func);
RILLE_API rille_Instance *rille_func_instance(const rille_Func *func); /* NULL for host functions */
RILLE_API uint32_t rille_func_index(const rille_Func *func);
RILLE_API rille_HostFn *rille_host_func_code(const rille_Func *func); /* NULL, as next */
RILLE_API void *rille_host_func_data(const rille_Func *func); /* NULL for functions of instances */
/* The name section's name, an export's name or "func[12]"; as snprintf. */
RILLE_API size_t rille_print_func_name(const rille_Func *func, char *out, size_t size);

/* For host functions: the instance whose code calls; NULL when the host itself does. */
RILLE_API rille_Instance *rille_caller(const rille_Activation *activation);
/* For host functions that wait: looks up for the guest as running code does (interrupt, deadline,
 * the poll hook). What is not RILLE_DONE is to be returned. A hook may leave by longjmp and go on
 * with rille_resume: the host function has then returned, with what is in its slots. */
RILLE_API rille_Status rille_look_up(rille_Activation *activation);
/* An interrupt or the deadline waits for the guest: it will stop soon after it goes on. */
RILLE_API bool rille_is_due(const rille_Activation *activation);

/* Calls and checks: counts and types of args must fit; results has room for all results. */
RILLE_API bool rille_call(rille_Func *func, const rille_Value *args, size_t n_args,
                          rille_Value *results, size_t n_results, rille_Error **error);

RILLE_API rille_Status rille_trap(rille_Activation *activation, const char *message);
RILLE_API rille_Status rille_exit(rille_Activation *activation, int status);
RILLE_API rille_Status rille_throw(rille_Activation *activation, rille_Slot exception);

/* ---- Guest stacks (advanced): errors and yields through guest code
 * ------------------------------------ */

/* Guest code runs on a stack of its own. A host language with coroutines keeps one rille_Stack for
 * each coroutine that is inside guest code; its host functions may then longjmp out (error, yield).
 *
 *   rille_Activation *a = rille_prepare(stack, func, context);   NULL: nested too deeply
 *   a->slots[...] = arguments;
 *   switch (rille_run(a)) { case RILLE_DONE: results are in a->slots; ... }
 *   rille_finish(a);
 *
 * When a host function left by longjmp because its coroutine yielded, the coroutine's continuation
 * later writes the results to a->host_slots and calls rille_resume(a, RILLE_DONE, context), which
 * goes on as the rille_run did that never returned. Activations left by an error are found and
 * dropped by the next rille_prepare on the same stack, if they were entered by this thread from a
 * deeper or equal place of its C stack, or by another thread; those that rille_detach has marked
 * are never dropped by address. */
typedef struct rille_Stack rille_Stack;
struct rille_Activation {  /* the public part; the rest is the engine's */
  rille_Slot *slots;       /* arguments, then results, of the function entered */
  rille_Slot *host_slots;  /* of the host function that runs or is suspended */
  rille_Func *host_func;   /* that function */
  void *context;           /* the host's: e.g. its coroutine */
  rille_Activation *outer; /* below it on the same stack, or NULL */
  rille_Stack *stack;
  rille_Func *func; /* the function entered */
  intptr_t user;    /* the host's own, 0 at first */
};
/* NULL when there is no memory. `user` is the host's own pointer. */
RILLE_API rille_Stack *rille_new_stack(rille_Engine *engine, void *user);
RILLE_API void rille_free_stack(rille_Stack *stack); /* drops every activation on it */
/* Promises that the stack and every store whose functions are entered on it are only ever used
 * together, by one thread at a time, as those of one Lua state are. Entering costs less then. */
RILLE_API void rille_keep_together(rille_Stack *stack);
RILLE_API void *rille_stack_user(const rille_Stack *stack);
RILLE_API rille_Activation *rille_stack_top(const rille_Stack *stack);
RILLE_API size_t rille_stack_bytes(const rille_Stack *stack); /* in use by values of guest code */
RILLE_API rille_Activation *rille_prepare(rille_Stack *stack, rille_Func *func, void *context);
RILLE_API rille_Status rille_run(rille_Activation *activation);
/* The three steps in one, which is faster. `slots` has the arguments, room for the larger of
 * parameters and results, and for two at least. After RILLE_DONE the activation is finished
 * already, and its slots have the results until the stack is used again; after anything else it is
 * left for rille_activation_error and rille_finish. Its activation is NULL when it was nested too
 * deeply. */
typedef struct rille_Entered {
  rille_Activation *activation;
  rille_Status status;
} rille_Entered;
RILLE_API rille_Entered rille_enter(rille_Stack *stack, rille_Func *func, void *context,
                                    const rille_Slot *slots);
/* The same without slots: straight into the code of a compiled function that has few parameters,
 * all of them numbers, and one result at most. NULL when there is no such way, which is so once and
 * for all; it is not to be used any more when the instance is closed. Integers, zero-extended, go
 * into the first four parameters in their order, floats (an f32 in the low half) into the last
 * four; what is left over may be anything. `value` is an integer result; for a float result the
 * function is to be called as a rille_DirectFloatFn. RILLE_NOT_ENTERED: nothing has happened, only
 * rille_enter knows how to go on. The stack is one of rille_keep_together; the context is that of
 * its last rille_enter. Other than RILLE_DONE leaves the activation on the stack, as rille_enter
 * does. */
enum { RILLE_NOT_ENTERED = 255 };
typedef struct rille_Direct {
  uint64_t value;
  uint64_t status; /* rille_Status or RILLE_NOT_ENTERED */
} rille_Direct;
typedef struct rille_DirectFloat {
  double value; /* an f32 in the low half */
  uint64_t status;
} rille_DirectFloat;
typedef rille_Direct rille_DirectFn(uint64_t, uint64_t, uint64_t, uint64_t, rille_Stack *stack,
                                    rille_Func *func, double, double, double, double);
typedef rille_DirectFloat rille_DirectFloatFn(uint64_t, uint64_t, uint64_t, uint64_t,
                                              rille_Stack *stack, rille_Func *func, double, double,
                                              double, double);
/* The same for functions without float parameters. */
typedef rille_Direct rille_DirectIntFn(uint64_t, uint64_t, uint64_t, uint64_t, rille_Stack *stack,
                                       rille_Func *func);
RILLE_API rille_DirectFn *rille_direct_entry(const rille_Func *func);
RILLE_API rille_Status rille_resume(rille_Activation *activation, rille_Status host_status,
                                    void *context);
RILLE_API void rille_finish(rille_Activation *activation); /* also drops what is above it */
/* Its C frames are gone (a yield cut them) although it is alive: only rille_resume, rille_finish or
 * the end of its stack end it. Marks everything on the stack. */
RILLE_API void rille_detach(rille_Stack *stack);
RILLE_API bool rille_is_detached(const rille_Activation *activation);
/* Everything on the stack is alive, wherever in the C stack it was entered: the next rille_prepare
 * drops none of it. For a coroutine, whose host knows by other means which calls were cut. */
RILLE_API void rille_pin(rille_Stack *stack);
/* Drops the activations that the next rille_prepare from here would. */
RILLE_API void rille_drop_left(rille_Stack *stack);
/* Stops and starts the clock of the outermost call of the activation's stack: a host that cannot
 * tell when a coroutine yields stops it around its functions. Without a timeout they do nothing. */
RILLE_API void rille_pause_clock(rille_Activation *activation);
RILLE_API void rille_continue_clock(rille_Activation *activation);
/* The error of a run that ended in something else than RILLE_DONE; retained by the caller. */
RILLE_API rille_Error *rille_activation_error(rille_Activation *activation);
RILLE_API rille_Slot rille_activation_exception(rille_Activation *activation);
/* The guest frames that are active now, innermost first, through all activations of the stack: as
 * an error of kind RILLE_ERROR_NONE that only has frames. */
RILLE_API rille_Error *rille_capture_frames(rille_Stack *stack);

/* Hooks, one set per engine; NULL members are not called. All run on the host's C stack. */
typedef struct rille_Hooks {
  /* At least every 50 ms while guest code runs. May longjmp. Not RILLE_DONE ends the call. */
  rille_Status (*poll)(rille_Activation *activation);
  /* A fuel or timeout limit of an instance whose limits say `suspends`: may suspend (longjmp, then
   * rille_resume with RILLE_DONE) after it has added fuel or time, or return RILLE_LIMITED.
   * limit is "fuel" or "timeout". */
  rille_Status (*on_limit)(rille_Activation *activation, rille_Instance *instance,
                           const char *limit);
  /* The host value behind an extern reference is needed no more. */
  void (*release_extern)(void *user, uint64_t payload);
  void *user;
} rille_Hooks;
RILLE_API void rille_set_hooks(rille_Engine *engine, const rille_Hooks *hooks);
RILLE_API void rille_add_time(rille_Activation *activation,
                              uint64_t ns); /* moves the deadline, for on_limit */

/* ---- Memories, tables, globals, tags
 * ---------------------------------------------------------------------- */

typedef struct rille_MemoryType {
  uint64_t min, max; /* pages; max RILLE_NO_MAX: none */
  bool is_64, is_shared;
  uint8_t page_log2; /* 16 */
} rille_MemoryType;
#define RILLE_NO_MAX UINT64_MAX

/* Retained, counted on their own, in no store. */
RILLE_API rille_Memory *rille_new_memory(rille_Engine *engine, const rille_MemoryType *type,
                                         rille_Error **error);
RILLE_API void rille_retain_memory(rille_Memory *memory);
RILLE_API void rille_free_memory(rille_Memory *memory);
RILLE_API void rille_memory_type(const rille_Memory *memory, rille_MemoryType *out);
/* Moves when growing only if rille_memory_is_stable is false. Ask again after anything that may
 * grow it. */
RILLE_API uint8_t *rille_memory_bytes(const rille_Memory *memory, uint64_t *size);
RILLE_API bool rille_memory_is_stable(const rille_Memory *memory);
RILLE_API uint64_t rille_memory_pages(const rille_Memory *memory);
RILLE_API bool rille_grow_memory(rille_Memory *memory, uint64_t pages, uint64_t *old_pages,
                                 rille_Error **error);
RILLE_API uint64_t rille_memory_reserved(const rille_Memory *memory); /* bytes of address space */

/* Tables live in a store. Retained: rille_free_table. */
RILLE_API rille_Table *rille_new_table(rille_Store *store, rille_ValueType type, uint64_t min,
                                       uint64_t max, bool is_64, rille_Slot init,
                                       rille_Error **error);
RILLE_API void rille_retain_table(rille_Table *table);
RILLE_API void rille_free_table(rille_Table *table);
RILLE_API rille_ValueType rille_table_type(const rille_Table *table);
RILLE_API void rille_table_limits(const rille_Table *table, uint64_t *min, uint64_t *max,
                                  bool *is_64);
RILLE_API uint64_t rille_table_size(const rille_Table *table);
RILLE_API bool rille_get_element(const rille_Table *table, uint64_t index,
                                 rille_Slot *out); /* false: bounds */
/* The reference must be of the table's type (rille_check_ref) and belong to no other store;
 * functions of other stores join the stores. */
RILLE_API bool rille_set_element(rille_Table *table, uint64_t index, rille_Slot ref);
RILLE_API bool rille_grow_table(rille_Table *table, uint64_t n, rille_Slot init, uint64_t *old_size,
                                rille_Error **error);

/* A global of a number or vector type is in no store (store may be NULL); of a reference type in
 * `store`. */
RILLE_API rille_Global *rille_new_global(rille_Engine *engine, rille_Store *store,
                                         rille_ValueType type, bool is_mutable,
                                         const rille_Slot *init, rille_Error **error);
RILLE_API void rille_retain_global(rille_Global *global);
RILLE_API void rille_free_global(rille_Global *global);
RILLE_API rille_ValueType rille_global_type(const rille_Global *global, bool *is_mutable);
RILLE_API rille_Slot *rille_global_slots(
    rille_Global *global); /* one or two; write only mutable ones, of the right type */

RILLE_API rille_Tag *rille_new_tag(rille_Engine *engine, const rille_FuncType *type);
RILLE_API void rille_retain_tag(rille_Tag *tag);
RILLE_API void rille_free_tag(rille_Tag *tag);
RILLE_API const rille_FuncType *rille_tag_type(const rille_Tag *tag);

/* "(func (param i32))", "(memory 1 2)", "(table 1 funcref)", "(global (mut i32))": as snprintf. */
RILLE_API size_t rille_print_extern(const rille_Extern *item, char *out, size_t size);

/* ---- References
 * -------------------------------------------------------------------------------------------- */

/* Slots of the func family hold a rille_Func *: */
static inline rille_Slot rille_ref_of_func(rille_Func *func) {
  return (rille_Slot)(uintptr_t)func;
}
static inline rille_Func *rille_func_of_ref(rille_Slot ref) {
  return (rille_Func *)(uintptr_t)ref;
}
/* Is the reference (null included) a value of this type? */
RILLE_API bool rille_check_ref(rille_ValueType type, rille_Slot ref);
/* For references that the host writes into slots itself (arguments, results, globals): what they
 * mean then lives as long as the store. Functions of other instances join their store to it, host
 * functions are held. False when there is no memory. */
RILLE_API bool rille_adopt_ref(rille_Store *store, rille_ValueType type, rille_Slot ref);
/* An extern reference that stands for a value of the host, in the store; 0 when there is no memory.
 */
RILLE_API rille_Slot rille_new_extern(rille_Store *store, uint64_t payload);
/* False when the reference is null or no host value. */
RILLE_API bool rille_extern_payload(rille_Slot ref, uint64_t *payload);

/* What references of the any, extern and exn families mean. They are collected: a reference that
 * the host keeps outside of globals, tables, objects and the slots of activations has to be held,
 * and so has one that was just made before the next thing is made. */
typedef enum rille_RefKind {
  RILLE_REF_NULL,
  RILLE_REF_I31,
  RILLE_REF_STRUCT,
  RILLE_REF_ARRAY,
  RILLE_REF_HOST, /* rille_extern_payload */
  RILLE_REF_EXCEPTION
} rille_RefKind;
RILLE_API rille_RefKind rille_ref_kind(rille_Slot ref);
/* The store of the object; NULL for null and small integers. */
RILLE_API rille_Store *rille_ref_store(rille_Slot ref);
/* An instance of the store that is not closed and whose user pointer is set; NULL: there is none.
 */
RILLE_API rille_Instance *rille_store_instance(rille_Store *store);

typedef struct rille_Held rille_Held;
/* Keeps the object and its store alive until rille_drop_ref; NULL when there is no memory. */
RILLE_API rille_Held *rille_hold_ref(rille_Store *store, rille_Slot ref);
RILLE_API void rille_drop_ref(rille_Held *held);
RILLE_API rille_Slot rille_held_ref(const rille_Held *held);
/* Collects the store's garbage now. Not from a release_extern hook. */
RILLE_API void rille_collect(rille_Store *store);
RILLE_API size_t rille_heap_bytes(const rille_Store *store); /* blocks and large objects */

/* Integers of 31 bits; the sign is bit 30. */
static inline rille_Slot rille_ref_of_i31(int32_t value) {
  return (rille_Slot)((uint32_t)value & 0x7FFFFFFFu) << 1 | 1;
}
static inline int32_t rille_i31_of_ref(rille_Slot ref) {
  return (int32_t)(uint32_t)ref >> 1;
}

/* Types of structures and arrays are value types, `(ref $type)`, that stay valid while the module,
 * or an object, is there. */
typedef struct rille_Field {
  rille_ValueType type;
  uint8_t packed_bits; /* 8 or 16: the type is RILLE_I32 then; else 0 */
  bool is_mutable;
} rille_Field;
/* The module's type with this index, false when it is neither structure nor array; the index of the
 * type with this name in the name section. */
RILLE_API bool rille_module_type(const rille_Module *module, uint32_t index, rille_ValueType *type);
RILLE_API bool rille_find_type(rille_Module *module, const char *name, size_t size,
                               uint32_t *index);
RILLE_API rille_RefKind rille_type_kind(rille_ValueType type);  /* STRUCT, ARRAY or NULL: neither */
RILLE_API rille_ValueType rille_object_type(rille_Slot object); /* of a structure or array */
/* Of a structure: how many. An array has one field, its element. */
RILLE_API uint32_t rille_type_fields(rille_ValueType type);
RILLE_API void rille_type_field(rille_ValueType type, uint32_t field, rille_Field *out);
/* "(struct (field i32) (field (mut i64)))": as snprintf. */
RILLE_API size_t rille_print_object_type(rille_ValueType type, char *out, size_t size);
/* The field's index by its name in the name section of `module` (may be NULL) or of the module of
 * an instance in the store. */
RILLE_API bool rille_find_field(rille_Store *store, rille_Module *module, rille_ValueType type,
                                const char *name, size_t size, uint32_t *field);

/* Fields as slots one after the other, as arguments are; references must be of the fields' types
 * (rille_check_ref) and join their stores. NULL: zeros and nulls, if all fields allow it. 0: no
 * memory. */
RILLE_API rille_Slot rille_new_struct(rille_Store *store, rille_ValueType type,
                                      const rille_Slot *fields, rille_Error **error);
/* n times the value; NULL: zero or null. */
RILLE_API rille_Slot rille_new_array(rille_Store *store, rille_ValueType type, uint32_t n,
                                     const rille_Slot *value, rille_Error **error);
/* Of a structure its field, of an array its element. *out has room for two slots. Packed integers
 * are extended. False: there is none; for set also: immutable, or no value of its type. */
RILLE_API bool rille_get_field(rille_Slot object, uint32_t index, bool is_signed, rille_Slot *out);
RILLE_API bool rille_set_field(rille_Slot object, uint32_t index, const rille_Slot *value);
/* The same for an object that nobody else has seen yet: immutable fields are written too. */
RILLE_API bool rille_init_field(rille_Slot object, uint32_t index, const rille_Slot *value);
RILLE_API uint32_t rille_array_length(rille_Slot array);

/* Exceptions: the values are slots, as the tag's parameters. They hold the tag. */
RILLE_API rille_Slot rille_new_exception(rille_Store *store, rille_Tag *tag,
                                         const rille_Slot *values, rille_Error **error);
RILLE_API rille_Tag *rille_exception_tag(rille_Slot exception); /* borrowed */
RILLE_API const rille_Slot *rille_exception_values(rille_Slot exception);

/* ---- WASI preview 1 ---------------------------------------------------------------------------
 */

/* What one program may use: arguments, environment, descriptors. Nothing is granted that the
 * options do not name. Its functions work on the memory that the calling instance exports as
 * "memory". Counted: the functions made of it keep it. One thread at a time. */
typedef struct rille_Wasi rille_Wasi;

typedef enum rille_WasiStreamKind {
  RILLE_WASI_EMPTY,   /* reads nothing; forgets what is written */
  RILLE_WASI_FD,      /* a descriptor of the host, duplicated */
  RILLE_WASI_BYTES,   /* reads these bytes, which are copied */
  RILLE_WASI_CAPTURE, /* keeps what is written: rille_wasi_output */
  RILLE_WASI_CALLBACK /* the hooks `read` and `write` */
} rille_WasiStreamKind;

typedef struct rille_WasiStream {
  rille_WasiStreamKind kind;
  int fd;
  const void *bytes;
  size_t size;
} rille_WasiStream;

typedef struct rille_WasiDir {
  const char *guest, *host; /* what the guest calls it; where it is */
  bool is_read_only;        /* every change is refused with EROFS */
} rille_WasiDir;

/* What a call waits for. fds and events (POLLIN, POLLOUT) are the host's; a stream of kind
 * RILLE_WASI_CALLBACK has the descriptor -1. */
typedef struct rille_WasiWait {
  size_t n;
  const int *fds;
  const short *events;
  uint64_t timeout_ns; /* UINT64_MAX: none */
} rille_WasiWait;

/* Members may be NULL. All run on the host's C stack, inside a call of the guest. They may longjmp;
 * the call is then over, with the result EINTR if it is resumed. */
typedef struct rille_WasiHooks {
  /* Clocks 0 realtime, 1 monotonic. False: the host's clock. */
  bool (*clock)(void *user, uint32_t id, uint64_t *ns);
  bool (*random)(void *user, void *out, size_t size); /* pieces; false: the guest gets EIO */
  /* Streams: bytes read, 0 at the end, -1 for nothing yet. `fd` is 0, 1 or 2. */
  ptrdiff_t (*read)(void *user, int fd, void *out, size_t room);
  bool (*write)(void *user, int fd, const void *bytes, size_t size); /* false: EIO */
  /* Instead of waiting; then the call is tried again. Not RILLE_DONE ends the run. */
  rille_Status (*block)(void *user, rille_Activation *activation, const rille_WasiWait *wait);
  /* After each call: `path_open(fd=3, path="x", ...) = SUCCESS opened=4`. */
  void (*trace)(void *user, const char *line, const char *name, uint16_t wasi_errno);
  void *user;
} rille_WasiHooks;

typedef struct rille_WasiOptions {
  const char *const *args;   /* NULL-terminated, or NULL: none */
  const char *const *env;    /* "NAME=value"; the same */
  const size_t *arg_sizes;   /* NULL: they are terminated and hold no zero bytes */
  const size_t *env_sizes;   /* the same */
  const rille_WasiDir *dirs; /* descriptors 3, 4, ... in this order */
  size_t n_dirs;
  const int *sockets; /* the next descriptors: listening or connected, duplicated */
  size_t n_sockets;
  rille_WasiStream streams[3]; /* standard input, output and errors */
  rille_WasiHooks hooks;
  bool raises; /* proc_raise raises the signal in the host; else it is a trap */
  /* Paths are walked component by component also where the system could do that (openat2). */
  bool walks_paths;
} rille_WasiOptions;

RILLE_API rille_Wasi *rille_new_wasi(rille_Engine *engine, const rille_WasiOptions *options,
                                     rille_Error **error);
RILLE_API void rille_retain_wasi(rille_Wasi *wasi);
RILLE_API void rille_free_wasi(rille_Wasi *wasi);
RILLE_API void rille_close_wasi(rille_Wasi *wasi); /* closes every descriptor, at once */
/* The function behind an import, as a new host function: rille_free_func. NULL: there is none of
 * that name in "wasi_snapshot_preview1" or "wasi_unstable", or no memory. */
RILLE_API rille_Func *rille_wasi_func(rille_Wasi *wasi, const char *module, const char *name);
/* The names of the functions, from 0 on; NULL behind the last. */
RILLE_API const char *rille_wasi_name(size_t index);
/* What was captured of descriptor 1 or 2; valid until the next call. */
RILLE_API const char *rille_wasi_output(const rille_Wasi *wasi, int fd, size_t *size);
/* The host's descriptor behind one of the guest's, or -1. */
RILLE_API int rille_wasi_host_fd(const rille_Wasi *wasi, uint32_t fd);
RILLE_API size_t rille_wasi_open_fds(const rille_Wasi *wasi);

/* How far a call has come that is tried again: zeros for a new one. */
typedef struct rille_WasiProgress {
  uint64_t started_ns; /* by the context's monotonic clock, once it was asked */
  uint64_t slept_ns;
  uint64_t n_done; /* bytes */
  bool has_started;
} rille_WasiProgress;
/* One try at a call, for a host that waits by itself: the arguments of the function are slots[0]
 * on, which keep them until it is over. False: it would wait, for *wait (borrowed until the next
 * try). True: *status and slots[0] are what the host function is to return. */
RILLE_API bool rille_wasi_try(rille_Wasi *wasi, rille_Activation *activation, bool is_unstable,
                              size_t index, rille_Slot *slots, rille_WasiProgress *progress,
                              rille_WasiWait *wait, rille_Status *status);
/* May the function ask a hook that is set in `hooks`? */
RILLE_API bool rille_wasi_asks(const rille_WasiHooks *hooks, size_t index);

#ifdef __cplusplus
}
#endif
#endif
