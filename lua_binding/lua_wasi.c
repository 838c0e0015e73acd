/* lua_wasi.c - WASI contexts as Lua objects: what wasm/wasi.lua is built on (wasm.wasi.core).
 *
 * A function of a context that no Lua function of the user can be asked for becomes a host function
 * of the engine: no Lua runs in its calls. The others are Lua closures around `try`, which never
 * waits, so that what waits is Lua code and may yield. Both keep the context alive.
 */
#define _GNU_SOURCE
#include "lua_wasm.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Strings of a list in the options, as the engine takes them. */
typedef struct List {
  const char **items;
  size_t *sizes;
} List;

/* The userdata; `attached` holds the functions given as options (ATTACHED_...), and what was made
 * for imports, by "module.name". */
typedef struct Wasi {
  State *state;
  rille_Wasi *wasi; /* NULL: closed, or not yet open */
  lua_State *L;     /* that of the running `try`, for hooks */
  rille_WasiHooks hooks;
} Wasi;

enum {
  ATTACHED_STREAM = 1, /* and the next two */
  ATTACHED_REALTIME = 4,
  ATTACHED_MONOTONIC,
  ATTACHED_RANDOM,
  ATTACHED_TRACE,
  ATTACHED_WRAP /* makes the Lua closure around a `try` */
};

/* A call that is tried again. */
typedef struct Attempt {
  rille_WasiProgress progress;
  intptr_t serial; /* of its activation */
} Attempt;

#define TYPE_ATTEMPT "wasm.wasi.attempt"

enum { UP_CONTEXT = N_SHARED_UPVALUES + 1, UP_INDEX, UP_TYPES };

static Wasi *check_context(lua_State *L, int at) {
  return luaL_checkudata(L, at, TYPE_WASI);
}

/* ---- Hooks: run inside `try` ------------------------------------------------------------------*/

/* Pushes the function that the option gave. */
static lua_State *push_hook(void *user, int which) {
  const Wasi *box = user;
  lua_State *L = box->L;
  luaL_checkstack(L, 6, "too many values");
  lua_pushvalue(L, lua_upvalueindex(UP_CONTEXT));
  compat_get_attached(L, -1);
  lua_remove(L, -2);
  compat_rawgeti(L, -1, which);
  lua_remove(L, -2);
  return L;
}

static bool clock_hook(void *user, uint32_t id, uint64_t *ns) {
  if (id > 1) return false;
  lua_State *L = push_hook(user, id == 0 ? ATTACHED_REALTIME : ATTACHED_MONOTONIC);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  lua_call(L, 0, 1);
  rille_Slot slot;
  lua_Number number = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
  if (number >= 0 && number < 18446744073709551616.0 && !wasm_read_i64(L, -1, &slot)) {
    slot = (rille_Slot)number; /* fractions of a nanosecond */
  } else if (!wasm_read_i64(L, -1, &slot)) {
    luaL_error(L, "bad result of clock (nanoseconds expected, got %s)", luaL_typename(L, -1));
  }
  *ns = slot;
  lua_pop(L, 1);
  return true;
}

static bool random_hook(void *user, void *out, size_t size) {
  lua_State *L = push_hook(user, ATTACHED_RANDOM);
  lua_pushinteger(L, (lua_Integer)size);
  lua_call(L, 1, 1);
  size_t got = 0;
  const char *bytes = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &got) : NULL;
  if (!bytes || got != size) luaL_error(L, "bad result of random (%d bytes expected)", (int)size);
  memcpy(out, bytes, size);
  lua_pop(L, 1);
  return true;
}

static ptrdiff_t read_hook(void *user, int fd, void *out, size_t room) {
  lua_State *L = push_hook(user, ATTACHED_STREAM + fd);
  lua_pushinteger(L, (lua_Integer)room);
  lua_call(L, 1, 1);
  size_t size = 0;
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return 0;
  }
  const char *bytes = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
  if (!bytes) luaL_error(L, "bad result of stdin (string expected, got %s)", luaL_typename(L, -1));
  if (size > room) luaL_error(L, "bad result of stdin (at most %d bytes expected)", (int)room);
  memcpy(out, bytes, size);
  lua_pop(L, 1);
  return size > 0 ? (ptrdiff_t)size : -1;
}

static bool write_hook(void *user, int fd, const void *bytes, size_t size) {
  lua_State *L = push_hook(user, ATTACHED_STREAM + fd);
  lua_pushlstring(L, bytes, size);
  lua_call(L, 1, 0);
  return true;
}

static void trace_hook(void *user, const char *line, const char *name, uint16_t number) {
  lua_State *L = push_hook(user, ATTACHED_TRACE);
  lua_pushstring(L, line);
  lua_pushstring(L, name);
  lua_pushinteger(L, number);
  lua_call(L, 3, 0);
}

/* `try` is not to call it: Lua code waits. It is set to say that waiting is Lua's. */
static rille_Status block_hook(void *user, rille_Activation *activation,
                               const rille_WasiWait *wait) {
  (void)user, (void)activation, (void)wait;
  return RILLE_DONE;
}

/* ---- Making -----------------------------------------------------------------------------------*/

/* Reads the list in field `name` of the table at 1: strings, which the table keeps. The arrays are
 * userdata, left on the stack. */
static List read_list(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  size_t n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  List list = {lua_newuserdata(L, (n + 1) * sizeof(char *)),
               lua_newuserdata(L, (n + 1) * sizeof(size_t))};
  for (size_t i = 0; i < n; i++) {
    compat_rawgeti(L, -3, i + 1);
    list.items[i] = lua_tolstring(L, -1, &list.sizes[i]);
    lua_pop(L, 1);
  }
  list.items[n] = NULL;
  return list;
}

/* The directories {guest=, path=, readonly=}; as read_list. */
static size_t read_dirs(lua_State *L, rille_WasiDir **out) {
  lua_getfield(L, 1, "dirs");
  size_t n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  *out = lua_newuserdata(L, (n + 1) * sizeof **out);
  for (size_t i = 0; i < n; i++) {
    compat_rawgeti(L, -2, i + 1);
    lua_getfield(L, -1, "guest");
    lua_getfield(L, -2, "path");
    lua_getfield(L, -3, "readonly");
    (*out)[i] = (rille_WasiDir){.guest = lua_tostring(L, -3),
                                .host = lua_tostring(L, -2),
                                .is_read_only = lua_toboolean(L, -1)};
    lua_pop(L, 4);
  }
  return n;
}

static size_t read_sockets(lua_State *L, int **out) {
  lua_getfield(L, 1, "sockets");
  size_t n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  *out = lua_newuserdata(L, (n + 1) * sizeof **out);
  for (size_t i = 0; i < n; i++) {
    compat_rawgeti(L, -2, i + 1);
    (*out)[i] = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
  return n;
}

/* What io.open gives: every Lua has the FILE first. wasi.lua has seen that it is open. */
static int descriptor_of_file(lua_State *L, int at) {
  FILE *file = *(FILE **)lua_touserdata(L, at);
  fflush(file);
  return fileno(file);
}

/* The option on top: nil, "inherit", {bytes}, "capture", an open file, a function (which stays). */
static rille_WasiStream read_stream(lua_State *L, int fd, Wasi *box, int attached) {
  rille_WasiStream out = {.kind = RILLE_WASI_EMPTY};
  switch (lua_type(L, -1)) {
    case LUA_TTABLE: {
      compat_rawgeti(L, -1, 1);
      out.kind = RILLE_WASI_BYTES;
      out.bytes = lua_tolstring(L, -1, &out.size);
      lua_pop(L, 1); /* the table keeps it */
      break;
    }
    case LUA_TSTRING:
      out.kind = strcmp(lua_tostring(L, -1), "capture") == 0 ? RILLE_WASI_CAPTURE : RILLE_WASI_FD;
      out.fd = fd;
      break;
    case LUA_TUSERDATA:
      out.kind = RILLE_WASI_FD;
      out.fd = descriptor_of_file(L, lua_gettop(L));
      break;
    case LUA_TFUNCTION:
      out.kind = RILLE_WASI_CALLBACK;
      if (fd == 0) {
        box->hooks.read = read_hook;
      } else {
        box->hooks.write = write_hook;
      }
      lua_pushvalue(L, -1);
      compat_rawseti(L, attached, ATTACHED_STREAM + fd);
      break;
    default: break;
  }
  return out;
}

/* Keeps the function in field `name` of the table at `at`; was there one? */
static bool keep_function(lua_State *L, int at, const char *name, int attached, int which) {
  if (!lua_istable(L, at)) return false;
  lua_getfield(L, at, name);
  bool is_given = lua_isfunction(L, -1);
  if (is_given) {
    compat_rawseti(L, attached, which);
  } else {
    lua_pop(L, 1);
  }
  return is_given;
}

static void read_hooks(lua_State *L, Wasi *box, int attached) {
  lua_getfield(L, 1, "clock");
  int clock = lua_gettop(L);
  bool has_realtime = keep_function(L, clock, "realtime", attached, ATTACHED_REALTIME);
  bool has_monotonic = keep_function(L, clock, "monotonic", attached, ATTACHED_MONOTONIC);
  if (has_realtime || has_monotonic) box->hooks.clock = clock_hook;
  if (keep_function(L, 1, "random", attached, ATTACHED_RANDOM)) box->hooks.random = random_hook;
  if (keep_function(L, 1, "trace", attached, ATTACHED_TRACE)) box->hooks.trace = trace_hook;
  if (keep_function(L, 1, "wrap", attached, ATTACHED_WRAP)) {
    lua_getfield(L, 1, "blocks");
    if (lua_toboolean(L, -1)) box->hooks.block = block_hook;
  }
  box->hooks.user = box;
  lua_settop(L, attached);
}

/* new(options) -> context, or nil and an error. wasi.lua has checked the options. */
static int new_context(lua_State *L) {
  State *state = wasm_state(L);
  lua_settop(L, 1);
  Wasi *box = wasm_new_object(L, TYPE_WASI, sizeof *box);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  compat_set_attached(L, 2);
  rille_WasiOptions options;
  memset(&options, 0, sizeof options);
  read_hooks(L, box, 3);
  static const char *const names[] = {"stdin", "stdout", "stderr"};
  for (int i = 0; i < 3; i++) {
    lua_getfield(L, 1, names[i]);
    options.streams[i] = read_stream(L, i, box, 3);
  }
  List args = read_list(L, "args"), env = read_list(L, "env");
  rille_WasiDir *dirs;
  int *sockets;
  options.args = args.items;
  options.arg_sizes = args.sizes;
  options.env = env.items;
  options.env_sizes = env.sizes;
  options.n_dirs = read_dirs(L, &dirs);
  options.dirs = dirs;
  options.n_sockets = read_sockets(L, &sockets);
  options.sockets = sockets;
  options.hooks = box->hooks;
  lua_getfield(L, 1, "raise");
  options.raises = lua_toboolean(L, -1);
  lua_getfield(L, 1, "walks");
  options.walks_paths = lua_toboolean(L, -1);
  rille_Error *error = NULL;
  box->wasi = rille_new_wasi(state->engine, &options, &error);
  if (!box->wasi) {
    wasm_push_error(L, error);
    return wasm_return_error(L);
  }
  wasm_state_hold(state);
  box->state = state;
  lua_settop(L, 2);
  return 1;
}

static int context_close(lua_State *L) {
  const Wasi *box = check_context(L, 1);
  if (box->wasi) rille_close_wasi(box->wasi);
  return 0;
}

static int context_gc(lua_State *L) {
  Wasi *box = check_context(L, 1);
  if (!box->wasi) return 0;
  rille_free_wasi(box->wasi);
  box->wasi = NULL;
  wasm_state_drop(box->state);
  return 0;
}

static int push_output(lua_State *L, int fd) {
  size_t size;
  const char *bytes = rille_wasi_output(check_context(L, 1)->wasi, fd, &size);
  lua_pushlstring(L, bytes, size);
  return 1;
}

static int context_output(lua_State *L) {
  return push_output(L, 1);
}

static int context_errors(lua_State *L) {
  return push_output(L, 2);
}

/* ctx:fds() -> how many descriptors the guest has open */
static int context_fds(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)rille_wasi_open_fds(check_context(L, 1)->wasi));
  return 1;
}

/* ---- Trying -----------------------------------------------------------------------------------*/

/* Reads the arguments of the call, from stack index 2 on. */
static void read_arguments(lua_State *L, const char *types, rille_Slot *slots) {
  for (int i = 0; types[i]; i++) {
    bool is_good =
        types[i] == 'I' ? wasm_read_i64(L, i + 2, &slots[i]) : wasm_read_i32(L, i + 2, &slots[i]);
    if (!is_good) luaL_error(L, "bad argument #%d (integer expected)", i + 1);
  }
}

/* {fd=, events=, timeout=} of the first descriptor, and one such table for each. */
static void push_wait(lua_State *L, const rille_WasiWait *wait) {
  lua_createtable(L, (int)wait->n, 3);
  if (wait->timeout_ns != UINT64_MAX) {
    lua_pushnumber(L, (lua_Number)wait->timeout_ns / 1e9);
    lua_setfield(L, -2, "timeout");
  }
  for (size_t i = 0; i < wait->n; i++) {
    const char *events = wait->events[i] & POLLOUT ? "w" : "r";
    lua_createtable(L, 0, 2);
    for (int at = -1; at >= (i == 0 ? -2 : -1); at--) { /* into the item, and the first above */
      lua_pushstring(L, events);
      lua_setfield(L, at - 1, "events");
      if (wait->fds[i] < 0) continue;
      lua_pushinteger(L, wait->fds[i]);
      lua_setfield(L, at - 1, "fd");
    }
    compat_rawseti(L, -2, i + 1);
  }
}

/* The activation that calls: on top of the stack at first, with the same serial later. */
static rille_Activation *find_activation(lua_State *L, State *state, const Attempt *attempt) {
  rille_Activation *a;
  if (attempt) {
    a = wasm_find_activation(L, state, attempt->serial);
  } else {
    rille_Stack *stack = wasm_current_stack(L, state);
    a = stack ? rille_stack_top(stack) : NULL;
  }
  if (!a) luaL_error(L, "a function of WASI is called by no guest");
  return a;
}

static int raise_left(lua_State *L, rille_Activation *a) {
  rille_Error *error = rille_activation_error(a);
  if (!error) return luaL_error(L, "not enough memory");
  wasm_push_error(L, error);
  return wasm_raise(L);
}

/* try(attempt or nil, arguments...) -> errno; or nil, attempt, what it waits for */
static int try_call(lua_State *L) {
  Wasi *box = lua_touserdata(L, lua_upvalueindex(UP_CONTEXT));
  int index = (int)lua_tointeger(L, lua_upvalueindex(UP_INDEX));
  const char *types = lua_tostring(L, lua_upvalueindex(UP_TYPES));
  Attempt first = {{0}, 0}, *attempt = lua_touserdata(L, 1);
  rille_Slot slots[16] = {0};
  rille_WasiWait wait;
  rille_Status status;
  State *state = wasm_state(L);
  rille_Activation *a = find_activation(L, state, attempt);
  read_arguments(L, types, slots);
  first.serial = a->user;
  box->L = L;
  if (rille_wasi_try(box->wasi, a, index < 0, (size_t)(index < 0 ? ~index : index), slots,
                     attempt ? &attempt->progress : &first.progress, &wait, &status)) {
    if (status != RILLE_DONE) return raise_left(L, a);
    lua_pushinteger(L, (lua_Integer)slots[0]);
    return 1;
  }
  lua_pushnil(L);
  if (attempt) {
    lua_pushvalue(L, 1);
  } else {
    attempt = wasm_new_object(L, TYPE_ATTEMPT, sizeof *attempt);
    *attempt = first;
  }
  push_wait(L, &wait);
  return 3;
}

static void sleep_ms(struct pollfd *polled, size_t n, int ms, rille_WasiProgress *progress) {
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  (void)poll(polled, (nfds_t)n, ms);
  clock_gettime(CLOCK_MONOTONIC, &after);
  progress->slept_ns +=
      (uint64_t)((after.tv_sec - before.tv_sec) * 1000000000 + (after.tv_nsec - before.tv_nsec));
}

/* wait(attempt, what): for a slice of time; false when the guest is to be stopped. */
static int wait_slice(lua_State *L) {
  enum { SLICE_MS = 20 };
  Attempt *attempt = luaL_checkudata(L, 1, TYPE_ATTEMPT);
  luaL_checktype(L, 2, LUA_TTABLE);
  size_t n = lua_rawlen(L, 2);
  struct pollfd *polled = lua_newuserdata(L, (n + 1) * sizeof *polled);
  for (size_t i = 0; i < n; i++) {
    compat_rawgeti(L, 2, i + 1);
    lua_getfield(L, -1, "fd");
    lua_getfield(L, -2, "events");
    polled[i].fd = lua_isnil(L, -2) ? -1 : (int)lua_tointeger(L, -2);
    polled[i].events = *lua_tostring(L, -1) == 'w' ? POLLOUT : POLLIN;
    lua_pop(L, 3);
  }
  lua_getfield(L, 2, "timeout");
  double seconds = lua_isnil(L, -1) ? SLICE_MS : lua_tonumber(L, -1);
  int ms = seconds * 1000 >= SLICE_MS ? SLICE_MS : (int)(seconds * 1000) + 1;
  State *state = wasm_state(L);
  rille_Activation *a = wasm_find_activation(L, state, attempt->serial);
  if (!a) return luaL_error(L, "instance is closed");
  rille_continue_clock(a); /* time in host functions may not count, but this does */
  sleep_ms(polled, n, ms, &attempt->progress);
  lua_pushboolean(L, !rille_is_due(a));
  if (!HAS_CALLK || L != state->main) rille_pause_clock(a);
  return 1;
}

/* ---- Functions of a context -------------------------------------------------------------------*/

static int index_of(const char *name) {
  for (size_t i = 0;; i++) {
    const char *found = rille_wasi_name(i);
    if (!found) return -1;
    if (strcmp(found, name) == 0) return (int)i;
  }
}

static void push_types(lua_State *L, const rille_FuncType *type) {
  const rille_ValueType *params;
  char types[32];
  size_t n = rille_func_params(type, &params);
  for (size_t i = 0; i < n; i++) types[i] = params[i] == RILLE_I64 ? 'I' : 'i';
  lua_pushlstring(L, types, n);
}

/* Pushes the Lua closure around a `try` of the function, which is given back. */
static void push_trying(lua_State *L, int at, rille_Func *func, int index, bool is_unstable) {
  compat_get_attached(L, at);
  compat_rawgeti(L, -1, ATTACHED_WRAP);
  lua_remove(L, -2);
  wasm_push_shared(L);
  lua_pushvalue(L, at);
  lua_pushinteger(L, is_unstable ? ~index : index);
  push_types(L, rille_func_type(func));
  rille_free_func(func);
  lua_pushcclosure(L, try_call, UP_TYPES);
  lua_call(L, 1, 1);
}

void wasm_push_wasi_func(lua_State *L, int at, const char *module, const char *name) {
  const Wasi *box = lua_touserdata(L, at);
  compat_get_attached(L, at);
  int attached = lua_gettop(L);
  const char *key = lua_pushfstring(L, "%s.%s", module, name);
  lua_getfield(L, attached, key);
  if (lua_isnil(L, -1)) {
    rille_Func *func = box->wasi ? rille_wasi_func(box->wasi, module, name) : NULL;
    int index = index_of(name);
    lua_pop(L, 1);
    if (!func) {
      lua_pushnil(L);
    } else if (rille_wasi_asks(&box->hooks, (size_t)index)) {
      push_trying(L, at, func, index, strcmp(module, "wasi_unstable") == 0);
    } else {
      wasm_push_host_func(L, box->state, func, name, at);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, attached, key);
  }
  lua_replace(L, attached);
  lua_settop(L, attached);
}

/* func(context, module, name) -> that function of WASI, to be imported alone; nil when there is
 * none */
static int context_func(lua_State *L) {
  luaL_checkudata(L, 1, TYPE_WASI);
  wasm_push_wasi_func(L, 1, luaL_checkstring(L, 2), luaL_checkstring(L, 3));
  return 1;
}

/* ---- Sockets ----------------------------------------------------------------------------------*/

static int fail_errno(lua_State *L, const char *address, const char *why) {
  lua_pushfstring(L, "%s: %s", address, why);
  wasm_push_new_error(L, RILLE_ERROR_IO, NULL, lua_tostring(L, -1));
  return wasm_return_error(L);
}

static int open_socket(const struct addrinfo *info, bool listens) {
  int fd = socket(info->ai_family, info->ai_socktype, info->ai_protocol);
  if (fd < 0) return -1;
  int on = 1;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (listens) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  bool is_open = listens ? bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, 128) == 0
                         : connect(fd, info->ai_addr, info->ai_addrlen) == 0;
  if (is_open && fcntl(fd, F_SETFL, O_NONBLOCK) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* open("host:port" or "[host]:port", listens) -> descriptor, or nil and an error */
static int open_address(lua_State *L) {
  const char *address = luaL_checkstring(L, 1);
  const char *colon = strrchr(address, ':');
  if (!colon) return fail_errno(L, address, "an address is host:port");
  size_t size = (size_t)(colon - address);
  bool has_brackets = size >= 2 && address[0] == '[' && colon[-1] == ']';
  lua_pushlstring(L, address + has_brackets, size - (has_brackets ? 2 : 0));
  struct addrinfo hints, *found = NULL;
  memset(&hints, 0, sizeof hints);
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  const char *host = lua_tostring(L, -1);
  int error = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &found);
  if (error != 0) return fail_errno(L, address, gai_strerror(error));
  int fd = -1;
  for (const struct addrinfo *info = found; info && fd < 0; info = info->ai_next) {
    fd = open_socket(info, lua_toboolean(L, 2));
  }
  error = errno;
  freeaddrinfo(found);
  if (fd < 0) return fail_errno(L, address, strerror(error));
  lua_pushinteger(L, fd);
  return 1;
}

/* name(descriptor) -> the address it is bound to, or nil */
static int name_socket(lua_State *L) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  char host[256], port[32];
  if (getsockname((int)luaL_checkinteger(L, 1), (struct sockaddr *)&address, &size) != 0 ||
      getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return 0;
  }
  lua_pushfstring(L, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
  return 1;
}

static int close_socket(lua_State *L) {
  close((int)luaL_checkinteger(L, 1));
  return 0;
}

__attribute__((visibility("default"))) int luaopen_wasm_wasi_core(lua_State *L);

/* Needs wasm to be open in this Lua state. */
int luaopen_wasm_wasi_core(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"new", new_context},  {"wait", wait_slice},    {"open", open_address},
      {"name", name_socket}, {"close", close_socket}, {"func", context_func},
      {NULL, NULL}};
  static const luaL_Reg methods[] = {{"close", context_close},
                                     {"output", context_output},
                                     {"errors", context_errors},
                                     {"fds", context_fds},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__gc", context_gc}, {"__close", context_close}, {NULL, NULL}};
  wasm_define_type(L, TYPE_WASI, methods, metamethods);
  wasm_define_type(L, TYPE_ATTEMPT, NULL, NULL);
  lua_newtable(L);
  wasm_set_functions(L, functions);
  return 1;
}
