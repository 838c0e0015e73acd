/* lua_ffi.c - `wasm.ffi.core`: what wasm.ffi needs in C, for speed or because Lua cannot.
 *
 * A Ref is a C value outside of Lua's own: an object (structure, union, array) in guest memory, or
 * a pointer; `type` is the number that wasm.ffi gave to its C type. What has its memory freed or
 * finalised when nobody refers to it any more has an Owner, which every Ref into it holds.
 *
 * The access functions do what most accesses are: a number in memory, by name or index. Everything
 * else, and whatever is wrong, goes to a Lua function. The same holds for calls: numbers, pointers
 * and strings are passed here, with one Lua call of the exported function, all else by Lua code.
 * No address is used without a look at the memory's size.
 */
#include "lua_wasm.h"

#include <pthread.h>

#define TYPE_OWNER "wasm.ffi.owner"
#define TYPE_ARENA "wasm.ffi.arena"

static const char ref_mark;

typedef struct Owner {
  uint32_t is_freed;
} Owner;

/* wasm/ffi/object.lua knows the layout: on LuaJIT it reads the fields by itself. */
typedef struct Ref {
  const void *mark;
  const Owner *owner; /* attached as {owner}; or NULL */
  uint32_t address, type;
} Ref;

static FORCE_INLINE Ref *test_ref(lua_State *L, int at) {
#if LUA_VERSION_NUM < 502
  if (lua_type(L, at) != LUA_TUSERDATA) return NULL; /* the length of a number makes it a string */
#endif
  Ref *ref = lua_rawlen(L, at) == sizeof *ref ? lua_touserdata(L, at) : NULL;
  return LIKELY(ref && ref->mark == &ref_mark) ? ref : NULL;
}

static bool is_freed(const Ref *ref) {
  return ref->owner && ref->owner->is_freed;
}

/* ---- Refs and owners --------------------------------------------------------------------------*/

static void push_number(lua_State *L, uint32_t x) {
  lua_pushinteger(L, (lua_Integer)x);
}

/* Pushes a Ref; `metatable` and `owner` are stack indices (the latter of {owner}, nil or none). */
static Ref *push_ref(lua_State *L, int metatable, uint32_t type, uint32_t address) {
  Ref *ref = compat_new_userdata(L, sizeof *ref);
  *ref = (Ref){&ref_mark, NULL, address, type};
  lua_pushvalue(L, metatable);
  lua_setmetatable(L, -2);
  return ref;
}

/* new(metatable, type, address [, {owner}]) -> Ref */
static int new_ref(lua_State *L) {
  uint32_t type = (uint32_t)lua_tointeger(L, 2);
  rille_Slot address = 0;
  luaL_checktype(L, 1, LUA_TTABLE);
  if (!wasm_read_i32(L, 3, &address)) return luaL_error(L, "address expected");
  Ref *ref = push_ref(L, 1, type, (uint32_t)address);
  if (!lua_istable(L, 4)) return 1;
  compat_rawgeti(L, 4, 1);
  ref->owner = luaL_checkudata(L, -1, TYPE_OWNER);
  lua_pop(L, 1);
  lua_pushvalue(L, 4);
  compat_set_attached(L, -2);
  return 1;
}

/* get(x) -> type, address, is it freed; or nothing when x is no Ref */
static int get_ref(lua_State *L) {
  const Ref *ref = test_ref(L, 1);
  if (!ref) return 0;
  push_number(L, ref->type);
  push_number(L, ref->address);
  lua_pushboolean(L, is_freed(ref));
  return 3;
}

/* holder(ref) -> {owner} or nil */
static int get_holder(lua_State *L) {
  const Ref *ref = test_ref(L, 1);
  if (!ref || !ref->owner) return 0;
  compat_get_attached(L, 1);
  return 1;
}

/* hold(ref, {owner}): another owner for the Ref */
static int hold_ref(lua_State *L) {
  Ref *ref = test_ref(L, 1);
  if (!ref) return luaL_error(L, "C value expected");
  compat_rawgeti(L, 2, 1);
  ref->owner = luaL_checkudata(L, -1, TYPE_OWNER);
  lua_pop(L, 1);
  lua_settop(L, 2);
  compat_set_attached(L, 1);
  return 0;
}

/* owner(function, argument, bytes) -> owner; when nobody holds it any more function(argument) is
 * called. The bytes count for Lua's collector. */
static int new_owner(lua_State *L) {
  rille_Slot bytes = 0;
  lua_settop(L, 3);
  (void)wasm_read_i64(L, 3, &bytes);
  Owner *owner = wasm_new_object(L, TYPE_OWNER, sizeof *owner);
  owner->is_freed = 0;
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, 1);
  compat_rawseti(L, -2, 1);
  lua_pushvalue(L, 2);
  compat_rawseti(L, -2, 2);
  compat_set_attached(L, -2);
  wasm_count_external(L, wasm_state(L), bytes);
  return 1;
}

/* Takes the function and its argument out of the owner at 1; pushes both. */
static void push_finaliser(lua_State *L) {
  compat_get_attached(L, 1);
  compat_rawgeti(L, -1, 1);
  compat_rawgeti(L, -2, 2);
  for (int i = 1; i <= 2; i++) {
    lua_pushnil(L);
    compat_rawseti(L, -4, i);
  }
}

/* An error of a finaliser has nobody to go to. */
static int owner_gc(lua_State *L) {
  (void)luaL_checkudata(L, 1, TYPE_OWNER);
  lua_settop(L, 1);
  push_finaliser(L);
  if (lua_isfunction(L, -2)) (void)lua_pcall(L, 1, 0, 0);
  return 0;
}

/* free(owner, marks): takes the function and its argument away; with `marks` Refs to it know that
 * their object is gone. -> function, argument */
static int free_owner(lua_State *L) {
  Owner *owner = luaL_checkudata(L, 1, TYPE_OWNER);
  if (lua_toboolean(L, 2)) owner->is_freed = 1;
  push_finaliser(L);
  return 2;
}

/* ---- Accesses ---------------------------------------------------------------------------------*/

/* wasm/ffi/convert.lua numbers them alike. */
typedef enum Kind { K_I8, K_U8, K_I16, K_U16, K_I32, K_U32, K_I64, K_F32, K_F64, K_BOOL } Kind;
enum { KIND_BITS = 16 }; /* a place: offset * KIND_BITS + kind; an element: size and kind */

static const uint8_t kind_sizes[] = {1, 1, 2, 2, 4, 4, 8, 4, 8, 1};

enum { ACCESS_MEMORY = 1, ACCESS_PLACES, ACCESS_OTHERWISE, ACCESS_ELEMENT };

static FORCE_INLINE void push_kind(lua_State *L, Kind kind, const uint8_t *from) {
  if (kind == K_BOOL) {
    lua_pushboolean(L, *from != 0);
  } else {
    static const uint8_t accesses[] = {I8, U8, I16, U16, I32, U32, I64, F32, F64};
    wasm_push_access(L, (Access)accesses[kind], from);
  }
}

/* The bytes that the key at 2 means for the Ref at 1, and their kind; NULL: Lua has to look. */
static FORCE_INLINE uint8_t *find_place(lua_State *L, Kind *kind) {
  const Ref *ref = test_ref(L, 1);
  if (UNLIKELY(!ref || ref->address == 0 || is_freed(ref))) return NULL;
  const Item *memory = lua_touserdata(L, lua_upvalueindex(ACCESS_MEMORY));
  if (UNLIKELY(memory->is_closed)) return NULL;
  uint64_t at = ref->address, size;
  if (lua_type(L, 2) == LUA_TNUMBER) {
    rille_Slot i;
    uint32_t element = (uint32_t)lua_tointeger(L, lua_upvalueindex(ACCESS_ELEMENT));
    if (element == 0 || !wasm_read_i32(L, 2, &i)) return NULL;
    *kind = (Kind)(element % KIND_BITS);
    at += (uint64_t)((int64_t)(int32_t)i * (element / KIND_BITS));
  } else {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(ACCESS_PLACES));
    if (lua_type(L, -1) != LUA_TNUMBER) return NULL;
    uint64_t place = (uint64_t)lua_tointeger(L, -1);
    *kind = (Kind)(place % KIND_BITS);
    at += place / KIND_BITS;
  }
  uint8_t *bytes = rille_memory_bytes(memory->memory, &size);
  uint64_t n = kind_sizes[*kind];
  return LIKELY(n <= size && at <= size - n) ? bytes + at : NULL;
}

#if HAS_CALLK
static int otherwise_go_on(lua_State *L, intptr_t n) {
  (void)L;
  return (int)n;
}
DEFINE_CONTINUATION(otherwise)
#endif

/* Calls the Lua function with the same arguments. */
static int call_otherwise(lua_State *L, int n_args, int n_results) {
  lua_settop(L, n_args);
  lua_pushvalue(L, lua_upvalueindex(ACCESS_OTHERWISE));
  lua_insert(L, 1);
#if HAS_CALLK
  compat_callk(L, n_args, n_results, n_results, otherwise);
#else
  lua_call(L, n_args, n_results);
#endif
  return n_results;
}

static int ref_index(lua_State *L) {
  Kind kind;
  const uint8_t *from = find_place(L, &kind);
  if (UNLIKELY(!from)) return call_otherwise(L, 2, 1);
  push_kind(L, kind, from);
  return 1;
}

static bool fits(int64_t x, unsigned bits) {
  return x >= -((int64_t)1 << (bits - 1)) && x < ((int64_t)1 << bits);
}

static FORCE_INLINE bool store_kind(lua_State *L, int arg, Kind kind, uint8_t *to) {
  rille_Slot slot = 0;
  switch (kind) {
    case K_F32:
    case K_F64:
      if (!wasm_read_float(L, arg, kind == K_F32 ? RILLE_F32 : RILLE_F64, &slot)) return false;
      break;
    case K_BOOL:
      if (!lua_isboolean(L, arg)) return false;
      slot = (rille_Slot)lua_toboolean(L, arg);
      break;
    case K_I64:
      if (lua_type(L, arg) == LUA_TSTRING || !wasm_read_i64(L, arg, &slot)) return false;
      break;
    default:
      if (lua_type(L, arg) != LUA_TNUMBER || !wasm_read_i64(L, arg, &slot) ||
          !fits((int64_t)slot, kind_sizes[kind] * 8u)) {
        return false;
      }
  }
  memcpy(to, &slot, kind_sizes[kind]);
  return true;
}

static int ref_newindex(lua_State *L) {
  Kind kind;
  uint8_t *to = find_place(L, &kind);
  if (LIKELY(to && store_kind(L, 3, kind, to))) return 0;
  return call_otherwise(L, 3, 0);
}

/* access(memory, reads, read otherwise, writes, write otherwise, element [, written element])
 * -> __index, __newindex. `reads` and `writes` map names to places. */
static int new_access(lua_State *L) {
  lua_settop(L, 7);
  (void)wasm_check_item(L, 1, TYPE_MEMORY, "access");
  for (int i = 1; i <= 3; i++) lua_pushvalue(L, i);
  lua_pushvalue(L, 6);
  lua_pushcclosure(L, ref_index, 4);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 4);
  lua_pushvalue(L, 5);
  lua_pushvalue(L, 7);
  lua_pushcclosure(L, ref_newindex, 4);
  return 2;
}

/* ---- Calls ------------------------------------------------------------------------------------*/

/* A block of the guest's memory that is used as a stack by calls on the main thread of Lua, so that
 * what one takes is free again when it has ended. One that raised has left its part there; which of
 * them have is known by their keys. Coroutines need another way: their calls end in any order. */
typedef struct Arena {
  uint32_t base, size, top, n_frames;
  struct {
    uintptr_t key;
    pthread_t thread;
    uint32_t start;
  } frames[32];
} Arena;

enum { MOST_FRAMES = 32, MOST_PARAMS = 8, ARENA_STEP = 16 };

/* How parameters and the result cross; see wasm/ffi/call.lua for the letters. */
typedef struct Call {
  uint32_t result_type; /* of a pointer */
  char result;
  uint8_t n_params;
  char params[MOST_PARAMS];
} Call;

/* Behind those of an exported function. */
enum {
  CALL_SELF = UP_OWNER + 1,
  CALL_SLOW,
  CALL_MEMORY,
  CALL_ACCEPTS,
  CALL_RESULT,
  CALL_ARENA,
};

/* arena() -> an arena without memory */
static int new_arena(lua_State *L) {
  (void)wasm_new_object(L, TYPE_ARENA, sizeof(Arena));
  return 1;
}

/* set_arena(arena, base, size) */
static int set_arena(lua_State *L) {
  Arena *arena = luaL_checkudata(L, 1, TYPE_ARENA);
  arena->base = (uint32_t)lua_tointeger(L, 2);
  arena->size = (uint32_t)lua_tointeger(L, 3);
  return 0;
}

/* Forgets the frames from number n on. */
static void cut_arena(Arena *arena, uint32_t n) {
  if (n == arena->n_frames) return;
  arena->top = arena->frames[n].start;
  arena->n_frames = n;
}

/* Copies the string at `at` into the arena for the call with that key. */
static bool read_string(lua_State *L, const Item *memory, int at, uintptr_t key, rille_Slot *out) {
  Arena *arena = lua_touserdata(L, lua_upvalueindex(CALL_ARENA));
  size_t n;
  const char *text = lua_tolstring(L, at, &n);
  uint64_t size;
  uint32_t count = arena->n_frames;
  if (count == 0 || arena->frames[count - 1].key != key) {
    if (count == MOST_FRAMES) return false;
    arena->frames[count].key = key;
    arena->frames[count].thread = pthread_self();
    arena->frames[count].start = arena->top;
    arena->n_frames++;
  }
  if (n >= arena->size - arena->top) return false;
  uint8_t *bytes = rille_memory_bytes(memory->memory, &size);
  uint64_t to = (uint64_t)arena->base + arena->top;
  if (to + n + 1 > size) return false;
  memcpy(bytes + to, text, n);
  bytes[to + n] = 0;
  arena->top += ((uint32_t)n + ARENA_STEP) & ~(uint32_t)(ARENA_STEP - 1);
  *out = to;
  return true;
}

/* The address of the value at `at`, parameter i, if its type was accepted before. */
static FORCE_INLINE bool read_pointer(lua_State *L, int at, rille_Slot *out) {
  const Ref *ref = test_ref(L, at);
  if (!ref) {
    *out = 0;
    return lua_isnil(L, at);
  }
  if (is_freed(ref)) return false;
  compat_rawgeti(L, lua_upvalueindex(CALL_ACCEPTS), at);
  compat_rawgeti(L, -1, ref->type);
  bool is_known = lua_toboolean(L, -1);
  lua_pop(L, 2);
  *out = ref->address;
  return is_known;
}

static bool read_narrow(lua_State *L, int at, unsigned bits, bool is_signed, rille_Slot *out) {
  if (lua_type(L, at) != LUA_TNUMBER || !wasm_read_i64(L, at, out) || !fits((int64_t)*out, bits)) {
    return false;
  }
  uint32_t x = (uint32_t)*out << (32 - bits);
  *out = is_signed ? (uint32_t)((int32_t)x >> (32 - bits)) : x >> (32 - bits);
  return true;
}

static FORCE_INLINE bool read_param(lua_State *L, const Item *memory, char letter, int at,
                                    uintptr_t key, rille_Slot *out) {
  switch (letter) {
    case 'i':
    case 'I': return lua_type(L, at) == LUA_TNUMBER && wasm_read_i32(L, at, out);
    case 's':
      if (lua_type(L, at) == LUA_TSTRING) return read_string(L, memory, at, key, out);
      return read_pointer(L, at, out);
    case 'x':
    case 'p': return read_pointer(L, at, out);
    case 'b': return read_narrow(L, at, 8, true, out);
    case 'B': return read_narrow(L, at, 8, false, out);
    case 'h': return read_narrow(L, at, 16, true, out);
    case 'H': return read_narrow(L, at, 16, false, out);
    case '?': *out = (rille_Slot)lua_toboolean(L, at); return lua_isboolean(L, at);
    case 'l': return lua_type(L, at) == LUA_TNUMBER && wasm_read_i64(L, at, out);
    case 'f': return wasm_read_float(L, at, RILLE_F32, out);
    default: return wasm_read_float(L, at, RILLE_F64, out);
  }
}

/* Pushes what Lua is to have of the result; `metatable` is where that of a pointer is. */
static FORCE_INLINE int push_result(lua_State *L, const Call *call, int metatable, rille_Slot x) {
  switch (call->result) {
    case 'v': return 0;
    case 'i': lua_pushinteger(L, (int32_t)x); break;
    case 'I': push_number(L, (uint32_t)x); break;
    case '?': lua_pushboolean(L, (uint8_t)x != 0); break;
    case 'b': lua_pushinteger(L, (int8_t)x); break;
    case 'B': lua_pushinteger(L, (uint8_t)x); break;
    case 'h': lua_pushinteger(L, (int16_t)x); break;
    case 'H': lua_pushinteger(L, (uint16_t)x); break;
    case 'l': wasm_push_i64(L, (int64_t)x, false); break;
    case 'f': wasm_push_f32(L, x); break;
    case 'd': wasm_push_f64(L, x); break;
    default:
      if ((uint32_t)x == 0) {
        lua_pushnil(L);
      } else {
        push_ref(L, metatable, call->result_type, (uint32_t)x);
      }
  }
  return 1;
}

/* The Call for the letters at 4 and the result's type at 7, pushed by the caller. */
static void fill_call(lua_State *L, Call *call) {
  size_t n;
  const char *letters = lua_tolstring(L, 4, &n);
  *call = (Call){.result_type = (uint32_t)lua_tointeger(L, 7), .result = letters[0]};
  call->n_params = (uint8_t)(n - 1);
  memcpy(call->params, letters + 1, n - 1);
}

/* The arguments of caller() at 1 to 8 are right: the Entry, or NULL where the slow function has to
 * do. */
static Entry *check_caller(lua_State *L) {
  size_t n;
  (void)luaL_checklstring(L, 4, &n);
  lua_settop(L, 8);
  (void)wasm_check_item(L, 3, TYPE_MEMORY, "caller");
  (void)luaL_checkudata(L, 8, TYPE_ARENA);
  luaL_checktype(L, 5, LUA_TTABLE);
  Entry *entry = wasm_test_entry(L, 1);
  return entry && !entry->is_host && n >= 1 && n <= MOST_PARAMS + 1 ? entry : NULL;
}

#if HAS_CALLK

/* Keys are places in the C stack: a frame that is not above the running one, or was another
 * thread's, is gone. */
static void drop_dead_frames(Arena *arena, uintptr_t here) {
  uint32_t n = arena->n_frames;
  while (n > 0) {
    bool is_alive = arena->frames[n - 1].key > here &&
                    pthread_equal(arena->frames[n - 1].thread, pthread_self());
    if (is_alive) break;
    n--;
  }
  cut_arena(arena, n);
}

static int slow_returned_go_on(lua_State *L, intptr_t unused) {
  (void)unused;
  return lua_gettop(L);
}
DEFINE_CONTINUATION(slow_returned)

/* Some argument takes Lua code, or a coroutine calls. */
static int call_slowly(lua_State *L, int n_given) {
  lua_settop(L, n_given);
  lua_pushvalue(L, lua_upvalueindex(CALL_SLOW));
  lua_insert(L, 1);
  compat_callk(L, n_given, LUA_MULTRET, 0, slow_returned);
  return lua_gettop(L);
}

int wasm_ffi_call(lua_State *L) {
  const Call *call = lua_touserdata(L, lua_upvalueindex(CALL_SELF));
  const Entry *entry = lua_touserdata(L, lua_upvalueindex(UP_SELF));
  int n_given = lua_gettop(L), n = call->n_params;
  const Item *memory = lua_touserdata(L, lua_upvalueindex(CALL_MEMORY));
  Arena *arena = lua_touserdata(L, lua_upvalueindex(CALL_ARENA));
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  rille_Slot slots[MOST_PARAMS], result = 0;
  bool is_good = n_given >= n && !memory->is_closed && L == entry->runner.state->main;
  if (is_good && UNLIKELY(arena->n_frames > 0)) drop_dead_frames(arena, here);
  uint32_t n_frames = arena->n_frames;
  for (int i = 0; i < n && is_good; i++) {
    is_good = read_param(L, memory, call->params[i], i + 1, here, &slots[i]);
  }
  if (LIKELY(is_good)) is_good = wasm_enter_now(L, entry, slots, &result);
  if (arena->n_frames > n_frames) cut_arena(arena, n_frames);
  if (UNLIKELY(!is_good)) return call_slowly(L, n_given);
  return push_result(L, call, lua_upvalueindex(CALL_RESULT), result);
}

/* caller(exported function, slow function, memory, letters of result and parameters, accepted types
 * for each parameter, metatable and type of a pointer that is the result, arena) -> function; that
 * is the slow one where the exported function was not made of numbers alone */
static int new_caller(lua_State *L) {
  if (!check_caller(L)) {
    lua_settop(L, 2);
    return 1;
  }
  for (int i = 1; i <= UP_OWNER; i++) {
    if (!lua_getupvalue(L, 1, i)) lua_pushnil(L);
  }
  fill_call(L, lua_newuserdata(L, sizeof(Call)));
  static const int upvalues[] = {2, 3, 5, 6, 8};
  enum { N_UPVALUES = sizeof upvalues / sizeof upvalues[0] };
  for (int i = 0; i < N_UPVALUES; i++) lua_pushvalue(L, upvalues[i]);
  lua_pushcclosure(L, wasm_ffi_call, UP_OWNER + 1 + N_UPVALUES);
  return 1;
}

#else

/* Without lua_callk: a C step, as wasm_entry is one (lua_call.c), that converts by itself when the
 * guest code has ended, however many host calls there were meanwhile. What takes Lua code, and
 * calls of coroutines, are left to the Lua function that goes on with steps. */
typedef struct FfiStep {
  Runner runner;
  Entry *target;
  Arena *arena;
  Call call;
} FfiStep;

Entry *wasm_ffi_entry(const void *step) {
  return ((const FfiStep *)step)->target;
}

/* Keys are the serials of activations: what is newer than the innermost that is alive is dead. */
static void drop_dead_frames(Arena *arena, const rille_Activation *alive) {
  uint32_t n = arena->n_frames;
  while (n > 0 && (!alive || arena->frames[n - 1].key > (uintptr_t)alive->user)) n--;
  cut_arena(arena, n);
}

/* The metatable of pointers that are the result is attached to the step, which is at index 1 of
 * resume_step and an upvalue of its own C function. */
static int complete_call(lua_State *L, Runner *self, rille_Activation *a, rille_Status status) {
  FfiStep *step = (FfiStep *)self;
  if (!a) { /* Lua code has called: self, call, results */
    lua_pushboolean(L, false);
    lua_pushboolean(L, false);
    lua_insert(L, 3);
    lua_insert(L, 3);
    return lua_gettop(L) - 2;
  }
  drop_dead_frames(step->arena, a->outer);
  if (UNLIKELY(status != RILLE_DONE)) {
    if (a->outer) rille_pause_clock(a);
    return wasm_raise_run(L, a);
  }
  rille_Slot x = a->slots[0];
  int at = lua_touserdata(L, 1) == (void *)step ? 1 : lua_upvalueindex(UP_SELF);
  rille_finish(a);
  lua_pushboolean(L, false);
  lua_pushboolean(L, false);
  if (step->call.result != 'p') return push_result(L, &step->call, 0, x) + 2;
  compat_get_attached(L, at);
  compat_rawgeti(L, -1, 1);
  lua_remove(L, -2);
  lua_insert(L, -3);
  int n = push_result(L, &step->call, lua_gettop(L) - 2, x);
  return n + 2;
}

/* What `check` calls next: the Lua function with the same arguments. */
static int call_slowly(lua_State *L, int n_given) {
  luaL_checkstack(L, 3, "too many arguments");
  lua_settop(L, n_given);
  lua_pushvalue(L, lua_upvalueindex(UP_SELF));
  lua_pushlightuserdata(L, NULL);
  lua_pushvalue(L, lua_upvalueindex(CALL_SLOW));
  for (int i = 0; i < 3; i++) lua_insert(L, 1);
  return n_given + 3;
}

int wasm_ffi_call(lua_State *L) {
  FfiStep *step = lua_touserdata(L, lua_upvalueindex(UP_SELF));
  const Inst *inst = step->target->inst;
  const Item *memory = lua_touserdata(L, lua_upvalueindex(CALL_MEMORY));
  int n_given = lua_gettop(L), n = step->call.n_params;
  if (n_given < n || memory->is_closed || !inst->is_plain || L != inst->runner.state->main) {
    return call_slowly(L, n_given);
  }
  rille_Activation *a = wasm_prepare(L, inst->runner.state, step->target->func);
  drop_dead_frames(step->arena, a->outer);
  for (int i = 0; i < n; i++) {
    if (LIKELY(
            read_param(L, memory, step->call.params[i], i + 1, (uintptr_t)a->user, &a->slots[i]))) {
      continue;
    }
    drop_dead_frames(step->arena, a->outer);
    rille_finish(a);
    return call_slowly(L, n_given);
  }
  wasm_mark_frame(L, inst->runner.state, a);
  return wasm_run(L, &step->runner, lua_upvalueindex(UP_SELF), a);
}

/* As above. */
static int new_caller(lua_State *L) {
  Entry *entry = check_caller(L);
  if (!entry) {
    lua_settop(L, 2);
    return 1;
  }
  lua_getupvalue(L, 1, 2); /* the C step of the exported function */
  int inner = lua_gettop(L);
  FfiStep *step = compat_new_userdata(L, sizeof *step);
  *step = (FfiStep){.runner = {complete_call, entry->runner.state}, .target = entry};
  step->arena = lua_touserdata(L, 8);
  fill_call(L, &step->call);
  lua_createtable(L, 3, 0); /* what the step points to */
  static const int held[] = {6, 1, 8};
  for (int i = 0; i < 3; i++) {
    lua_pushvalue(L, held[i]);
    compat_rawseti(L, -2, i + 1);
  }
  compat_set_attached(L, -2);
  for (int i = UP_REFS; i <= UP_OWNER; i++) {
    if (!lua_getupvalue(L, inner, i)) lua_pushnil(L);
  }
  static const int upvalues[] = {2, 2, 3, 5, 6, 8}; /* the first is not used here */
  enum { N_UPVALUES = sizeof upvalues / sizeof upvalues[0] };
  for (int i = 0; i < N_UPVALUES; i++) lua_pushvalue(L, upvalues[i]);
  lua_pushcclosure(L, wasm_ffi_call, UP_OWNER + N_UPVALUES);
  wasm_wrap(L);
  return 1;
}

#endif

/* ---- Arithmetic of constants ------------------------------------------------------------------*/

static uint64_t shift(uint64_t x, uint64_t n, bool is_signed, bool is_left) {
  if (is_left) return n < 64 ? x << n : 0;
  if (n >= 64) return is_signed && (int64_t)x < 0 ? UINT64_MAX : 0;
  return is_signed ? (uint64_t)((int64_t)x >> n) : x >> n;
}

static uint64_t divide(uint64_t a, uint64_t b, bool is_signed, bool wants_rest) {
  if (b == 0) return 0; /* refused before */
  if (!is_signed) return wants_rest ? a % b : a / b;
  if ((int64_t)b == -1) return wants_rest ? 0 : 0 - a;
  return (uint64_t)(wants_rest ? (int64_t)a % (int64_t)b : (int64_t)a / (int64_t)b);
}

static bool compare(const char *op, uint64_t a, uint64_t b, bool is_signed) {
  bool is_less = is_signed ? (int64_t)a < (int64_t)b : a < b;
  switch (op[0]) {
    case '<': return is_less || (op[1] == '=' && a == b);
    case '>': return !is_less && (op[1] == '=' || a != b);
    case '=': return a == b;
    default: return a != b;
  }
}

static uint64_t narrow(uint64_t x, const char *kind) {
  if (kind[1] != '3') return x;
  return kind[0] == 'i' ? (uint64_t)(int64_t)(int32_t)x : (uint32_t)x;
}

/* arith(operator, a, b, kind) -> the result as C computes it in "i32" "u32" "i64" or "u64" */
static int arith(lua_State *L) {
  const char *op = luaL_checkstring(L, 1), *kind = luaL_checkstring(L, 4);
  rille_Slot a, b;
  if (!wasm_read_i64(L, 2, &a) || !wasm_read_i64(L, 3, &b))
    return luaL_error(L, "integer expected");
  bool is_signed = kind[0] == 'i';
  a = narrow(a, kind);
  b = op[1] && op[0] == op[1] && op[0] != '=' ? b : narrow(b, kind);
  if (op[0] == '!' || op[0] == '=' || ((op[0] == '<' || op[0] == '>') && op[1] != op[0])) {
    lua_pushinteger(L, compare(op, a, b, is_signed));
    return 1;
  }
  uint64_t x;
  switch (op[0]) {
    case '+': x = a + b; break;
    case '-': x = a - b; break;
    case '*': x = a * b; break;
    case '&': x = a & b; break;
    case '|': x = a | b; break;
    case '^': x = a ^ b; break;
    case '<':
    case '>': x = shift(a, b & (kind[1] == '3' ? 31 : 63), is_signed, op[0] == '<'); break;
    default: x = divide(a, b, is_signed, op[0] == '%'); break;
  }
  wasm_push_i64(L, (int64_t)narrow(x, kind), false);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_wasm_ffi_core(lua_State *L);

/* Needs wasm to be open in this Lua state. */
int luaopen_wasm_ffi_core(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"new", new_ref},     {"get", get_ref},         {"holder", get_holder}, {"hold", hold_ref},
      {"owner", new_owner}, {"free", free_owner},     {"access", new_access}, {"arith", arith},
      {"arena", new_arena}, {"set_arena", set_arena}, {"caller", new_caller}, {NULL, NULL},
  };
  static const luaL_Reg owner[] = {{"__gc", owner_gc}, {NULL, NULL}};
  luaL_getmetatable(L, TYPE_MODULE);
  if (lua_isnil(L, -1)) return luaL_error(L, "require \"wasm\" comes before \"wasm.ffi\"");
  wasm_define_type(L, TYPE_OWNER, NULL, owner);
  wasm_define_type(L, TYPE_ARENA, NULL, NULL);
  lua_newtable(L);
  wasm_set_functions(L, functions);
  return 1;
}
