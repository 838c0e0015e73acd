/* lua_wasm.h - what the files of the Lua module share.
 *
 * Who keeps whom alive, in Lua's own terms, so that Lua's collector sees every cycle:
 *
 *   exported function --upvalues--> Entry, instance userdata
 *   instance userdata --attached--> {group, exports, module, items, trace}
 *   table, global (of references) --attached--> group
 *   group: a plain table: host closures and extern values by id, instance userdata, functions that
 *          guest code may hold, and the groups it was joined with (both ways)
 *
 * The tables of the State hold nothing: `refs` (id -> closure or extern value) and `objects`
 * (address -> Lua object) have weak values, `threads` (coroutine -> guest stack) weak keys. C code
 * reaches a closure by one lua_rawgeti in `refs`.
 *
 * Every C function of the module has the upvalues UP_SELF (a Runner), UP_REFS and UP_THREADS.
 */
#ifndef LUA_WASM_H
#define LUA_WASM_H

#include "lua_compat.h"
#include "../include/rille.h"

enum { UP_SELF = 1, UP_REFS, UP_THREADS, UP_OWNER, N_SHARED_UPVALUES = 3 };

typedef struct Cell Cell;

/* One Lua state (with all its coroutines). Counted: whatever has a finaliser holds it, because
 * lua_close runs finalisers in no useful order. */
typedef struct State {
  uint32_t n_holders;
  uint32_t serial; /* names activations; see wasm_stack_find */
  rille_Engine *engine;
  lua_State *main; /* the main thread, once it was seen; never collected */
  rille_Stack *main_stack;
  lua_State *idle; /* the main thread, while nothing is on its guest stack that may be nested in */
  bool has_handlers; /* some code that was ever instantiated catches exceptions */
  bool has_timeouts; /* some instance ever had one */
  bool raises_strings;
  bool boxes_integers; /* reserved for results on Luas without integers: load option i64 */
  uint32_t next_id, n_free_ids, free_ids_room;
  uint32_t *free_ids;        /* ids of `refs` that are free again */
  bool is_closing;           /* lua_close runs: no Lua table is touched any more */
  struct StackBox *stacks;   /* of the coroutines that were inside guest code */
  struct Deferred *deferred; /* instances that dead activations still point to (lua_stack.c) */
  Cell *released;            /* extern values that no guest refers to any more */
  size_t n_cells;            /* extern values that guests refer to, released ones included */
  rille_Tag *lua_error;      /* wasm.luaerror; the registry keeps it */
  size_t external;           /* bytes allocated since Lua's collector was last told */
#if !HAS_CALLK
  struct Step *step; /* the innermost C step that runs guest code (lua_call.c) */
#endif
} State;

typedef struct Runner Runner;
/* What to do when the guest code that was entered has ended: finish the activation and return the
 * number of results, or raise. Upvalue UP_SELF of every C function is one, of exported functions
 * their Entry; that of other functions has no `complete`. */
struct Runner {
  int (*complete)(lua_State *L, Runner *self, rille_Activation *activation, rille_Status status);
  State *state;
};

/* The userdata "wasm.instance". */
typedef struct Inst {
  Runner runner; /* of its start function; holds the state until the instance is finalised */
  rille_Instance *instance; /* NULL: closed */
  rille_Store *store;       /* borrowed from instance */
  bool is_traced;
  bool is_plain; /* open and not traced */
  bool boxes_i64;
  bool has_fuel;
  uint64_t fuel, timeout_ns; /* as given: what a resumed limit gives again */
} Inst;

/* The userdata behind an exported or typed function. */
typedef struct Entry {
  Runner runner;
  Inst *inst;       /* its instance; that of the importer for a host closure; NULL: wasm.func */
  rille_Func *func; /* wasm.func: retained */
  rille_DirectFn *direct; /* the way into its compiled code, or NULL */
  const rille_ValueType *params, *results;
  uint32_t n_params, n_results;
  bool boxes_i64;
  bool is_host;    /* the function is the host's: no guest code needed */
  bool has_refs;   /* some parameter is a reference */
  bool needs_room; /* more results than every C function has room for */
  char name[];
} Entry;

/* Memories, tables and globals: what closes with the last instance that has it. */
typedef struct Item {
  const char *mark; /* what its userdata is known by: an address that nothing else starts with */
  State *state;
  rille_ExternKind kind;
  bool is_closed;
  bool stands_alone; /* made by Lua: no instance closes it */
  uint32_t n_users;  /* open instances that define or import it */
  union {
    rille_Memory *memory;
    rille_Table *table;
    rille_Global *global;
  };
} Item;

typedef struct TagBox {
  State *state;
  rille_Tag *tag;
} TagBox;

typedef struct ModuleBox {
  State *state;
  rille_Module *module;
  bool boxes_i64;
} ModuleBox;

/* Metatables in the registry. */
#define TYPE_STATE     "wasm.state"
#define TYPE_MODULE    "wasm.module"
#define TYPE_INSTANCE  "wasm.instance"
#define TYPE_MEMORY    "wasm.memory"
#define TYPE_TABLE     "wasm.table"
#define TYPE_GLOBAL    "wasm.global"
#define TYPE_TAG       "wasm.tag"
#define TYPE_EXCEPTION "wasm.exception"
#define TYPE_ERROR     "wasm.error"
#define TYPE_ENTRY     "wasm.entry"
#define TYPE_OWN_ENTRY "wasm.entry.own"
#define TYPE_STACK     "wasm.stack"
#define TYPE_IMPORTS   "wasm.imports"
#define TYPE_VIEW      "wasm.view"
#define TYPE_SNAPSHOT  "wasm.snapshot"
#define TYPE_I64       "wasm.i64"
#define TYPE_WASI      "wasm.wasi"
#define TYPE_FUNC_TYPE "wasm.functype"
#define TYPE_STRUCT    "wasm.struct"
#define TYPE_ARRAY     "wasm.array"
#define TYPE_TYPE      "wasm.type"
#define TYPE_ROW       "wasm.row"
#define TYPE_COLLECTOR "wasm.collector"

static inline State *wasm_state(lua_State *L) {
  Runner *self = lua_touserdata(L, lua_upvalueindex(UP_SELF));
  if (UNLIKELY(!self->state)) luaL_error(L, "the Lua state is being closed");
  return self->state;
}

/* lua_wasm.c: the state */
void wasm_state_hold(State *state);
void wasm_state_drop(State *state);
void wasm_push_objects(lua_State *L); /* the tables of the State, from the registry */
void wasm_push_refs(lua_State *L);
void wasm_push_config(lua_State *L);
uint32_t wasm_new_id(lua_State *L, State *state);
void wasm_free_id(State *state, uint32_t id); /* needs no Lua: the stale entry is overwritten */
void wasm_push_limit(lua_State *L);           /* wasm.limit */
void wasm_push_shared(lua_State *L);          /* the upvalues of every function */
void wasm_push_function(lua_State *L, lua_CFunction function);
/* Pushes the Lua object that stands for this address, if Lua still has it. */
bool wasm_find_object(lua_State *L, const void *address);
/* Lets the value on top stand for the address. */
void wasm_set_object(lua_State *L, const void *address);
/* Tells Lua's collector about bytes that it does not see. */
void wasm_count_external(lua_State *L, State *state, uint64_t bytes);
/* Defines a type: a metatable with methods (as __index), metamethods and a name. */
void wasm_define_type(lua_State *L, const char *type, const luaL_Reg *methods,
                      const luaL_Reg *metamethods);
/* Sets functions with the shared upvalues of the running function's kind into the table on top. */
void wasm_set_functions(lua_State *L, const luaL_Reg *list);
/* A new userdata of that type with zeroed contents, pushed. */
void *wasm_new_object(lua_State *L, const char *type, size_t size);
const char *wasm_type_name(lua_State *L, int at); /* "module", ...: NULL for anything else */

/* lua_options.c: option tables */
/* Raises unless every key of the table at `at` (nil is fine) is one of the names, which are
 * NULL-terminated. */
void wasm_check_options(lua_State *L, int at, const char *function, const char *const *names);
/* The same without raising: pushes what is wrong. False: nothing is. */
bool wasm_complain_of_options(lua_State *L, int at, const char *function, const char *const *names);
/* Readers of one option; they push nothing. The table may be nil or none. */
const char *wasm_option_string(lua_State *L, int at, const char *function, const char *name);
bool wasm_option_bool(lua_State *L, int at, const char *function, const char *name, bool otherwise);
/* False when it is absent. */
bool wasm_option_count(lua_State *L, int at, const char *function, const char *name, uint64_t *out);
bool wasm_option_stack(lua_State *L, int at, const char *function, uint64_t *out);
bool wasm_option_seconds(lua_State *L, int at, const char *function, const char *name,
                         uint64_t *ns);
/* The name in the list that is nearest to the word. */
const char *wasm_nearest(const char *word, const char *const *names);
/* In how many letters they differ, or NOT_NEAR when nobody would take one for the other. */
#define NOT_NEAR UINT32_MAX
unsigned wasm_near(const char *word, const char *name);
/* The number at `at` as an integer in [0, limit]. */
bool wasm_read_count(lua_State *L, int at, uint64_t limit, uint64_t *out);

/* lua_error.c: error objects */
void wasm_open_error(lua_State *L);
void wasm_push_error(lua_State *L, rille_Error *error); /* takes the error */
/* An error that Lua code or this module makes; `code` may be NULL. */
void wasm_push_new_error(lua_State *L, rille_ErrorKind kind, const char *code, const char *message);
void wasm_set_error_field(lua_State *L, const char *name); /* value on top into the error below */
/* Puts the file that the error on top is about into its fields and in front of its message. */
void wasm_set_error_file(lua_State *L, const char *path);
int wasm_return_error(lua_State *L); /* nil and the error on top */
int wasm_raise(lua_State *L);        /* the error on top */
/* That of a run, which is finished. */
bool wasm_push_run_error(lua_State *L,
                         rille_Activation *activation); /* true: a value of Lua's
                                                            own, to be raised as it is */
int wasm_raise_run(lua_State *L, rille_Activation *activation);
int wasm_raise_trap(lua_State *L, const char *code, const char *message);
int wasm_raise_out_of_bounds(lua_State *L, const char *code);
int wasm_trap(lua_State *L); /* wasm.trap */
/* wasm.traceback([message [, level]]): debug.traceback that knows error objects and guests. */
int wasm_traceback(lua_State *L);
int wasm_error_misuse(lua_State *L, int arg, const char *function, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* lua_value.c: values */
/* Where a reference goes to or comes from. */
typedef struct Home {
  State *state;
  rille_Store *store;
  const Inst *inst; /* or NULL */
  int group;        /* stack index of the group */
} Home;
bool wasm_read_i64_slow(lua_State *L, int at, rille_Slot *out);
bool wasm_read_float(lua_State *L, int at, rille_ValueType type, rille_Slot *out);
bool wasm_read_v128(lua_State *L, int at, rille_Slot *out);
bool wasm_read_ref(lua_State *L, int at, const Home *home, rille_ValueType type, rille_Slot *out);
void wasm_push_i64(lua_State *L, int64_t x, bool boxed);
void wasm_push_ref(lua_State *L, const Home *home, rille_ValueType type, rille_Slot ref);
bool wasm_read_value(lua_State *L, int at, const Home *home, rille_ValueType type, rille_Slot *out);
void wasm_push_value(lua_State *L, const Home *home, rille_ValueType type, const rille_Slot *slot);
/* "i32 expected, got string" for the value at `at`, pushed. */
const char *wasm_expected(lua_State *L, int at, rille_ValueType type);
bool wasm_is_reference(rille_ValueType type);
static inline uint32_t wasm_slots_of(rille_ValueType type) {
  return type == RILLE_V128 ? 2 : 1;
}
rille_ValueType wasm_check_type(lua_State *L, int at, const char *function);
void wasm_release_extern(void *user, uint64_t payload);
void wasm_free_released(State *state); /* when the state closes */
/* Extern values: any Lua value in, the same out. */
rille_Slot wasm_read_extern(lua_State *L, int at, const Home *home);
void wasm_push_extern(lua_State *L, rille_Slot ref); /* of a host value */
void wasm_reap_externs(lua_State *L, State *state);  /* forgets what guests do not refer to */

/* lua_gc.c: structures, arrays, references of the any and extern families */
void wasm_open_gc(lua_State *L);
/* Pushes what the reference, not null, means. */
void wasm_push_any(lua_State *L, const Home *home, rille_Slot ref);
bool wasm_read_any(lua_State *L, int at, const Home *home, rille_ValueType type, rille_Slot *out);
/* Structures, arrays and small integers only: what is no value of the host in a guest. */
bool wasm_read_inner(lua_State *L, int at, const Home *home, rille_Slot *out);
/* The userdata at `at`, to which its group is attached, holds the object: it joins the home. */
void wasm_join_ref(lua_State *L, int at, rille_Slot ref, const Home *home);
/* Pushes the group of the home, or that of the object. */
void wasm_push_ref_group(lua_State *L, const Home *home, rille_Slot ref);
/* Reads n values from index `first` on into slots that stay valid while what this pushes is on the
 * stack. NULL: *bad is not of its type. */
const rille_Slot *wasm_read_row(lua_State *L, int first, const Home *home,
                                const rille_ValueType *types, uint32_t n, uint32_t *bad);
bool wasm_push_object_signature(lua_State *L, int at); /* false: it is no object or type */
int wasm_module_type(lua_State *L, const ModuleBox *module);

/* lua_exception.c */
void wasm_open_exception(lua_State *L);
int wasm_exception(lua_State *L); /* wasm.exception */
void wasm_push_exception(lua_State *L, const Home *home, rille_Slot ref);
bool wasm_read_exception(lua_State *L, int at, const Home *home, rille_Slot *out);
/* Replaces the error object on top by what the run threw: an exception object with that error, or
 * the Lua value that it carries (true). */
bool wasm_push_thrown(lua_State *L, rille_Activation *activation);
/* A host closure raised the value on top: throws it into the guest, which may catch it, or raises
 * it again. Pops it. */
rille_Status wasm_offer_error(lua_State *L, rille_Activation *activation);

/* The i32 at `at` as an integer: when it is none, that is not wasm_is_i32. */
int64_t wasm_take_float_as_i32(lua_State *L, int at);
static FORCE_INLINE int64_t wasm_take_i32(lua_State *L, int at) {
#if HAS_INTEGERS
  if (LIKELY(lua_isinteger(L, at))) return lua_tointegerx(L, at, NULL);
#endif
  return wasm_take_float_as_i32(L, at);
}

/* In [-2^31, 2^32). */
static FORCE_INLINE bool wasm_is_i32(int64_t x) {
  return (uint64_t)(x >> 31) + 1 <= 2;
}

static FORCE_INLINE bool wasm_read_i32(lua_State *L, int at, rille_Slot *out) {
  int64_t x = wasm_take_i32(L, at);
  *out = (uint32_t)x;
  return wasm_is_i32(x);
}

static FORCE_INLINE bool wasm_read_i64(lua_State *L, int at, rille_Slot *out) {
#if HAS_INTEGERS
  if (LIKELY(lua_isinteger(L, at))) {
    *out = (rille_Slot)lua_tointegerx(L, at, NULL);
    return true;
  }
#endif
  return wasm_read_i64_slow(L, at, out);
}

static FORCE_INLINE void wasm_push_f32(lua_State *L, rille_Slot slot) {
  uint32_t bits = (uint32_t)slot;
  float x;
  memcpy(&x, &bits, sizeof x);
  lua_pushnumber(L, (lua_Number)x);
}

static FORCE_INLINE void wasm_push_f64(lua_State *L, rille_Slot slot) {
  double x;
  memcpy(&x, &slot, sizeof x);
  lua_pushnumber(L, (lua_Number)x);
}

/* lua_i64.c: 64-bit integers where Lua has none, and texts of integers everywhere */
void wasm_open_i64(lua_State *L);
bool wasm_parse_i64(const char *text, size_t size, int64_t *out);
bool wasm_number_to_i64(lua_Number x, int64_t *out);
bool wasm_test_i64(lua_State *L, int at, int64_t *out); /* a boxed one (or a LuaJIT cdata) */
void wasm_box_i64(lua_State *L, int64_t x);
int wasm_i64(lua_State *L); /* wasm.i64 */

/* lua_group.c: groups, instances' tables */
void wasm_new_group(lua_State *L);
void wasm_join_groups(lua_State *L, int a, int b); /* stack indices */
enum { INST_GROUP = 1, INST_EXPORTS, INST_MODULE, INST_ITEMS, INST_TRACE };
void wasm_push_inst_field(lua_State *L, int inst, int field); /* inst: index of the userdata */
bool wasm_push_inst(lua_State *L, const Inst *inst);          /* its userdata */
void wasm_push_inst_group(lua_State *L, const Inst *inst);
/* Keeps the value at `value` alive as long as the group. */
void wasm_anchor(lua_State *L, int group, int value);

/* lua_stack.c: one guest stack for each coroutine */
void wasm_open_stack(lua_State *L);
/* An activation of the function on the stack of the running coroutine. */
rille_Activation *wasm_prepare(lua_State *L, State *state, rille_Func *func);
#if HAS_CALLK
/* What names the activation of the frame of Lua that runs now, on the main thread: Lua's record of
 * the frame. Once the frame is gone the record serves whatever runs at that depth: a call of ours
 * drops what it named before, and to any other it means nothing. */
static inline intptr_t wasm_frame_record(lua_State *L) {
  lua_Debug frame;
  lua_getstack(L, 0, &frame);
  return (intptr_t)frame.i_ci;
}

/* Before a host function runs Lua code on the main thread: an error of that leaves the activation
 * behind, and the next entry has to find out. */
static inline void wasm_name_frame(lua_State *L, State *state, rille_Activation *activation) {
  if (activation->user == 0) activation->user = wasm_frame_record(L);
  state->idle = NULL;
}

/* When it has returned, or the activation has ended. */
static inline void wasm_left_nothing(lua_State *L, State *state,
                                     const rille_Activation *activation) {
  if (activation->outer == NULL) state->idle = L;
}
#endif
/* After the arguments were read: lets the frame of the running function (its stack index 1) say
 * which activation it is of. With lua_callk nothing to do on the main thread. */
void wasm_mark_frame(lua_State *L, const State *state, const rille_Activation *activation);
/* The same before they are read: they move up by one. */
void wasm_insert_mark(lua_State *L, const rille_Activation *activation);
/* The activation with that serial, after dropping the dead ones above it; NULL: it was dropped. */
rille_Activation *wasm_find_activation(lua_State *L, State *state, intptr_t serial);
#if HAS_CALLK
/* For a continuation of the running frame, if that is of a coroutine: what finds the activation
 * again, as above. */
intptr_t wasm_context(const rille_Activation *activation);
rille_Activation *wasm_continued_activation(lua_State *L, State *state, intptr_t context);
#endif
rille_Stack *wasm_current_stack(lua_State *L, State *state); /* NULL: none yet */
/* The same from a C function that the host called, without what is dead; NULL: no guest code is
 * active in this coroutine. */
rille_Stack *wasm_active_stack(lua_State *L, State *state);
/* Ends suspended calls of the instance. False when one runs. */
bool wasm_drop_calls(lua_State *L, State *state, const Inst *inst);
/* Gives the handle back, as soon as no dead activation points to the instance. */
void wasm_release_instance(State *state, rille_Instance *instance);
void wasm_free_deferred(State *state);
void wasm_free_main_stack(State *state);
bool wasm_main_is_running(lua_State *L, const State *state); /* L: the main thread */

/* lua_call.c: calls between guest and Lua */
void wasm_open_call(lua_State *L);
/* A host function, retained, that calls the closure at stack index `closure`. `inst` is the
 * importing instance or NULL; the caller keeps the closure alive. *id is its id in `refs`. */
rille_Func *wasm_new_closure(lua_State *L, State *state, Inst *inst, int closure,
                             const rille_FuncType *type, const char *name, size_t size,
                             uint32_t *id);
int wasm_entry(lua_State *L);               /* the C function behind exported functions */
lua_CFunction wasm_entry_for(Entry *entry); /* that, or a faster one */
/* That behind functions of wasm.ffi, which has the same upvalues and more (lua_ffi.c). */
int wasm_ffi_call(lua_State *L);
#if HAS_CALLK
/* Enters the function, which has at most eight parameters and one result, all numbers, when nothing
 * needs a second look. For C functions that wasm_is_entry knows. False: nothing
 * happened; whatever ends the run otherwise raises. */
bool wasm_enter_now(lua_State *L, const Entry *entry, const rille_Slot *slots, rille_Slot *result);
#else
Entry *wasm_ffi_entry(const void *self); /* there its UP_SELF is not the Entry */
#endif
bool wasm_is_entry(lua_CFunction function);
rille_Status wasm_poll(rille_Activation *activation);
rille_Status wasm_on_limit(rille_Activation *activation, rille_Instance *instance,
                           const char *limit);
/* Runs what was prepared and completes it; the frame is marked. */
int wasm_run(lua_State *L, Runner *self, int self_at, rille_Activation *activation);
/* The stack index of the instance in the frame of wasm.instantiate. */
enum { WASM_START_INST = 5 };
/* Calls the closure with that id as the start function and completes without an activation. */
int wasm_call_start(lua_State *L, Runner *self, uint32_t id);
void wasm_init_entry(Entry *entry);
/* Of the Lua closure behind a host function, in `refs`; 0: it was not made by wasm_new_closure. */
uint32_t wasm_closure_id(const rille_Func *func);
Inst *wasm_closure_inst(const rille_Func *func); /* the importer it was made for, or NULL */
/* Is it one of the C functions whose frames carry a mark? */
bool wasm_is_running_function(lua_CFunction function);
void wasm_trace(lua_State *L, const Inst *inst, const char *event, const char *name, int n_values);
#if !HAS_CALLK
void wasm_push_check(lua_State *L); /* the Lua function whose frames carry a mark as local 2 */
#endif
/* Makes what the user calls of the C closure on top, whose guest code may call Lua. */
void wasm_wrap(lua_State *L);

/* lua_func.c: functions as Lua values */
void wasm_open_func(lua_State *L);
/* The Entry of the exported or typed function at `at`, or NULL. */
Entry *wasm_test_entry(lua_State *L, int at);
void wasm_push_entry_group(lua_State *L, int at); /* the group of the function at `at`, or nil */
/* The Lua function for a Wasm function. `name` may be NULL; `owner` is whose import a host
 * function is, if it was not made by wasm_new_closure. */
void wasm_push_func(lua_State *L, State *state, rille_Func *func, const char *name, size_t size,
                    const Inst *owner);
/* A function as a typed one that only guests call. Takes the function; keeps the value at `keep`.
 */
void wasm_push_host_func(lua_State *L, State *state, rille_Func *func, const char *name, int keep);
int wasm_func(lua_State *L); /* wasm.func */
int wasm_typed_entry(lua_State *L);
int wasm_typed_results(lua_State *L, const Entry *entry);

/* lua_module.c */
void wasm_open_module(lua_State *L);
int wasm_load(lua_State *L);
int wasm_loadfile(lua_State *L);
int wasm_validate(lua_State *L);
int wasm_wat2wasm(lua_State *L);
int wasm_wasm2wat(lua_State *L);
/* The directory of the config table at `at` that keeps code, or NULL; the table holds it. */
const char *wasm_config_cache(lua_State *L, int at);
#define WASM_LOAD_OPTIONS "name", "engine", "features", "eager", "deterministic", "i64", "native"
/* Loads the string at `at` with the options at `options`, which may have these names: pushes a
 * module, or an error and returns false. */
bool wasm_load_source(lua_State *L, const char *function, int at, int options,
                      const char *const *names);
void wasm_push_module(lua_State *L, State *state, rille_Module *module);
/* The module's name, imports and exports, a line each. */
void wasm_push_listing(lua_State *L, const char *title, const rille_Module *module,
                       bool with_imports);

/* lua_instance.c, lua_import.c */
void wasm_open_instance(lua_State *L);
int wasm_instantiate(lua_State *L);
typedef struct Imports {
  size_t n;
  rille_Extern *items;
  bool *owned; /* functions made for closures: retained */
} Imports;
void wasm_open_import(lua_State *L);
/* Pushes an Imports userdata; or pushes a link error and returns false. `imports` is the stack
 * index of what the user gave, `inst` that of the instance's userdata. */
bool wasm_resolve_imports(lua_State *L, int inst, rille_Module *module, int imports);
/* The groups of what was imported hold that of the instance from now on. */
void wasm_join_imported(lua_State *L, int imports, int inst);
void wasm_free_imports(Imports *imports);

/* lua_item.c: what memories, tables and globals share */
/* The Lua object of it. For tables and globals of references `group` is the stack index of their
 * group. */
void wasm_push_item(lua_State *L, State *state, const rille_Extern *item, int group);
/* A new one around what the caller retained. */
Item *wasm_new_item(lua_State *L, State *state, const rille_Extern *item, bool stands_alone);
Item *wasm_check_item(lua_State *L, int at, const char *type, const char *function);
/* The same without a look at metatables; NULL: ask wasm_check_item. */
extern const char wasm_item_marks[];
static FORCE_INLINE Item *wasm_known_item(lua_State *L, int at, rille_ExternKind kind) {
  Item *item = lua_touserdata(L, at); /* first: Lua 5.1 makes numbers strings to tell a length */
  bool is_known = item && lua_rawlen(L, at) == sizeof *item &&
                  item->mark == &wasm_item_marks[kind] && !item->is_closed;
  return is_known ? item : NULL;
}
Item *wasm_test_item(lua_State *L, int at);
/* An instance has the item at `at`: counted once, in the list at `items`. */
void wasm_use_item(lua_State *L, int items, int at);
/* The instance ends: items that no other has are closed if `closes`. */
void wasm_leave_items(lua_State *L, int items, bool closes);
int wasm_item_gc(lua_State *L);
rille_Extern wasm_item_extern(const Item *item);
int wasm_item_tostring(lua_State *L);
int wasm_push_text(lua_State *L, const rille_Extern *item);

/* lua_memory.c, lua_pack.c, lua_view.c */
void wasm_open_memory(lua_State *L);
int wasm_memory(lua_State *L); /* wasm.memory */
int wasm_memory_pack(lua_State *L);
int wasm_memory_unpack(lua_State *L);
void wasm_open_view(lua_State *L);
int wasm_memory_view(lua_State *L);
/* The bytes [at, at + n) of the memory, or raises the trap. */
uint8_t *wasm_memory_range(lua_State *L, const Item *memory, uint64_t at, uint64_t n);
/* The address (or count) at stack index `arg`. */
uint64_t wasm_check_address(lua_State *L, int arg, const Item *memory, const char *function);
uint64_t wasm_check_count(lua_State *L, int arg, const char *function);
typedef enum Access { I8, U8, I16, U16, I32, U32, I64, F32, F64, V128, N_ACCESSES } Access;
Access wasm_check_access(lua_State *L, int arg, const char *function);
size_t wasm_access_size(Access access);
void wasm_push_access(lua_State *L, Access access, const uint8_t *from);
void wasm_store_access(lua_State *L, Access access, int arg, uint8_t *to, const char *function);

/* lua_table.c, lua_global.c, lua_tag.c */
void wasm_open_table(lua_State *L);
int wasm_table(lua_State *L);
void wasm_open_global(lua_State *L);
int wasm_global(lua_State *L);
void wasm_open_tag(lua_State *L);
int wasm_tag(lua_State *L);
TagBox *wasm_check_tag(lua_State *L, int at, const char *function);
void wasm_push_tag(lua_State *L, State *state, rille_Tag *tag);

/* lua_wasi.c */
/* Pushes what stands for the import of the WASI context at `at`, or nil. */
void wasm_push_wasi_func(lua_State *L, int at, const char *module, const char *name);

/* lua_hash.c */
int wasm_sha256(lua_State *L);

/* lua_share.c */
int wasm_share(lua_State *L);
int wasm_adopt(lua_State *L);
void wasm_forget_shared(const void *object); /* before what it refers to is freed */
void wasm_lock_shared(void);
void wasm_unlock_shared(void);

#endif
