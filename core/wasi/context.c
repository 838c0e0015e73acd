/* context.c - a WASI context: made from options, counted, and its functions found by name.
 *
 * The rows of wasi.def become host functions one by one, when a module imports them.
 */
#include "wasi.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

const Row wasi_rows[] = {
#define WASI(name, parameters, traits) {#name, parameters, wasi_##name, (traits)},
#include "wasi.def"
};

void *wasi_resize(rille_Wasi *wasi, void *ptr, size_t old_size, size_t new_size) {
  return rille_engine_resize(wasi->engine, ptr, old_size, new_size);
}

/* ---- Making ---------------------------------------------------------------------------------- */

static bool copy_strings(rille_Wasi *wasi, const char *const *list, const size_t *sizes,
                         Strings *out) {
  size_t n = 0, size = 0;
  for (; list != NULL && list[n] != NULL; n++) {
    size += (sizes != NULL ? sizes[n] : strlen(list[n])) + 1;
    if (size > INT32_MAX || n >= INT32_MAX / sizeof(uint32_t)) return false;
  }
  if (n == 0) return true;
  out->offsets = wasi_resize(wasi, NULL, 0, n * sizeof *out->offsets);
  if (out->offsets == NULL) return false;
  out->n = (uint32_t)n;
  out->bytes = wasi_resize(wasi, NULL, 0, size);
  if (out->bytes == NULL) return false;
  for (size_t i = 0; i < n; i++) {
    size_t item = sizes != NULL ? sizes[i] : strlen(list[i]);
    out->offsets[i] = (uint32_t)out->size;
    memcpy(out->bytes + out->size, list[i], item);
    out->bytes[out->size + item] = '\0';
    out->size += item + 1;
  }
  return true;
}

static void free_strings(rille_Wasi *wasi, Strings *strings) {
  if (strings->bytes != NULL) wasi_resize(wasi, strings->bytes, strings->size, 0);
  if (strings->offsets != NULL) {
    wasi_resize(wasi, strings->offsets, strings->n * sizeof *strings->offsets, 0);
  }
}

/* Fills a new entry with the host's descriptor, which is closed when that fails. */
static Result add_host(rille_Wasi *wasi, int host, uint32_t *fd) {
  if (host < 0) return wasi_errno(errno);
  Result result = wasi_new_entry(wasi, fd);
  if (result == ERRNO_SUCCESS) {
    result = wasi_init_host(&wasi->entries[*fd], host);
    if (result != ERRNO_SUCCESS) wasi_close_entry(wasi, *fd);
  } else {
    close(host);
  }
  return result;
}

static int duplicate(int fd) {
  return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static Result add_stream(rille_Wasi *wasi, uint32_t i, const rille_WasiStream *options) {
  static const uint64_t input = RIGHT_OF(FD_READ), output = RIGHT_OF(FD_WRITE);
  uint32_t fd;
  if (options->kind == RILLE_WASI_FD) {
    TRY(add_host(wasi, duplicate(options->fd), &fd));
    Entry *entry = &wasi->entries[fd];
    entry->is_output = options->fd == STDOUT_FILENO || options->fd == STDERR_FILENO;
    if (!entry->is_socket && entry->type != TYPE_REGULAR_FILE) {
      entry->rights &= ~(RIGHT_OF(FD_SEEK) | RIGHT_OF(FD_TELL));
    }
    return ERRNO_SUCCESS;
  }
  TRY(wasi_new_entry(wasi, &fd));
  Entry *entry = &wasi->entries[fd];
  entry->kind = ENTRY_STREAM;
  entry->type = TYPE_UNKNOWN;
  entry->host = (int)i;
  entry->rights = (i == 0 ? input : output) | RIGHT_OF(FD_FDSTAT_SET_FLAGS) |
                  RIGHT_OF(FD_FILESTAT_GET) | RIGHT_OF(POLL_FD_READWRITE) | RIGHT_OF(FD_SYNC) |
                  RIGHT_OF(FD_DATASYNC);
  Stream *stream = &wasi->streams[i];
  stream->kind = options->kind;
  if (options->kind != RILLE_WASI_BYTES || options->size == 0) return ERRNO_SUCCESS;
  stream->bytes = wasi_resize(wasi, NULL, 0, options->size);
  if (stream->bytes == NULL) return ERRNO_NOMEM;
  memcpy(stream->bytes, options->bytes, options->size);
  stream->n = stream->room = options->size;
  return ERRNO_SUCCESS;
}

static Result add_dir(rille_Wasi *wasi, const rille_WasiDir *dir) {
  uint32_t fd;
  TRY(add_host(wasi, open(dir->host, O_RDONLY | O_DIRECTORY | O_CLOEXEC), &fd));
  Entry *entry = &wasi->entries[fd];
  entry->is_preopen = true;
  entry->is_read_only = dir->is_read_only;
  size_t size = strlen(dir->guest);
  if (size == 0) return ERRNO_SUCCESS;
  entry->name = wasi_resize(wasi, NULL, 0, size);
  if (entry->name == NULL) return ERRNO_NOMEM;
  memcpy(entry->name, dir->guest, size);
  entry->name_size = size;
  return ERRNO_SUCCESS;
}

static Result add_socket(rille_Wasi *wasi, int host) {
  uint32_t fd;
  TRY(add_host(wasi, duplicate(host), &fd));
  return wasi->entries[fd].is_socket ? ERRNO_SUCCESS : ERRNO_NOTSOCK;
}

/* Fills the table; on failure *what names what was being opened. */
static Result open_all(rille_Wasi *wasi, const rille_WasiOptions *options, const char **what) {
  *what = "the arguments";
  if (!copy_strings(wasi, options->args, options->arg_sizes, &wasi->args)) return ERRNO_2BIG;
  *what = "the environment";
  if (!copy_strings(wasi, options->env, options->env_sizes, &wasi->env)) return ERRNO_2BIG;
  for (uint32_t i = 0; i < 3; i++) {
    *what = "a standard stream";
    TRY(add_stream(wasi, i, &options->streams[i]));
  }
  for (size_t i = 0; i < options->n_dirs; i++) {
    *what = options->dirs[i].host;
    TRY(add_dir(wasi, &options->dirs[i]));
  }
  for (size_t i = 0; i < options->n_sockets; i++) {
    *what = "a socket";
    TRY(add_socket(wasi, options->sockets[i]));
  }
  return ERRNO_SUCCESS;
}

rille_Wasi *rille_new_wasi(rille_Engine *engine, const rille_WasiOptions *options,
                           rille_Error **error) {
  rille_Wasi *wasi = rille_engine_resize(engine, NULL, 0, sizeof *wasi);
  const char *what = "the context";
  Result result = ERRNO_NOMEM;
  if (wasi != NULL) {
    memset(wasi, 0, sizeof *wasi);
    wasi->engine = engine;
    wasi->refs = 1;
    wasi->first_free = UINT32_MAX;
    wasi->hooks = options->hooks;
    wasi->raises = options->raises;
    wasi->walks_paths = options->walks_paths;
    result = open_all(wasi, options, &what);
  }
  if (result == ERRNO_SUCCESS) return wasi;
  if (wasi != NULL) rille_free_wasi(wasi);
  if (error != NULL) {
    char text[512];
    snprintf(text, sizeof text, "WASI: %s cannot be opened (%s)", what, wasi_errno_name(result));
    *error = rille_new_error(RILLE_ERROR_IO, text);
  }
  return NULL;
}

void rille_retain_wasi(rille_Wasi *wasi) {
  wasi->refs++;
}

void rille_close_wasi(rille_Wasi *wasi) {
  for (uint32_t fd = 0; fd < wasi->n_entries; fd++) wasi_close_entry(wasi, fd);
  wasi->is_closed = true;
}

static void free_stream(rille_Wasi *wasi, Stream *stream) {
  if (stream->bytes != NULL) wasi_resize(wasi, stream->bytes, stream->room, 0);
}

void rille_free_wasi(rille_Wasi *wasi) {
  if (wasi == NULL || --wasi->refs > 0) return;
  rille_close_wasi(wasi);
  free_strings(wasi, &wasi->args);
  free_strings(wasi, &wasi->env);
  for (int i = 0; i < 3; i++) free_stream(wasi, &wasi->streams[i]);
  if (wasi->entries != NULL) {
    wasi_resize(wasi, wasi->entries, wasi->room * sizeof *wasi->entries, 0);
  }
  wasi_free_poll_room(wasi);
  wasi_resize(wasi, wasi, sizeof *wasi, 0);
}

const char *rille_wasi_output(const rille_Wasi *wasi, int fd, size_t *size) {
  const Stream *stream = &wasi->streams[fd];
  bool has_output = stream->kind == RILLE_WASI_CAPTURE && stream->n != 0;
  *size = has_output ? stream->n : 0;
  return has_output ? stream->bytes : "";
}

int rille_wasi_host_fd(const rille_Wasi *wasi, uint32_t fd) {
  if (fd >= wasi->n_entries || wasi->entries[fd].kind != ENTRY_HOST) return -1;
  return wasi->entries[fd].host;
}

size_t rille_wasi_open_fds(const rille_Wasi *wasi) {
  return wasi->n_open;
}

/* ---- Functions ------------------------------------------------------------------------------- */

bool wasi_next_parameter(const char **at, Parameter *out) {
  if (**at == ' ') ++*at;
  if (**at == '\0') return false;
  out->is_result = **at == '>';
  if (out->is_result) ++*at;
  out->name = *at;
  out->name_size = strcspn(*at, ":");
  out->kind = (*at)[out->name_size + 1];
  *at += out->name_size + 2;
  return true;
}

const char *wasi_kind_types(const Parameter *parameter) {
  static const struct {
    char letter;
    const char *types;
  } kinds[] = {
#define KIND(letter, types, printer, names) {letter, types},
#include "kind.def"
  };
  if (parameter->is_result) return parameter->kind == 'n' ? "ii" : "i";
  size_t i = 0;
  while (kinds[i].letter != parameter->kind) i++;
  return kinds[i].types;
}

static rille_FuncType *new_type(const Row *row, size_t *n_slots) {
  rille_ValueType params[MAX_SLOTS], result = RILLE_I32;
  size_t n = 0;
  Parameter parameter;
  for (const char *at = row->parameters; wasi_next_parameter(&at, &parameter);) {
    for (const char *type = wasi_kind_types(&parameter); *type != '\0'; type++) {
      params[n++] = *type == 'I' ? RILLE_I64 : RILLE_I32;
    }
  }
  *n_slots = n;
  return rille_new_func_type(n, params, row->traits & NO_RESULT ? 0 : 1, &result);
}

typedef struct Bound { /* data of a host function */
  rille_Wasi *wasi;
  const Row *row;
  size_t n_slots;
  bool is_unstable;
} Bound;

/* Runs the row; true when it is over, with call->status and slots[0] set. */
static bool run_row(Call *call, const Row *row, rille_Slot *slots) {
  call->status = RILLE_DONE;
  wasi_find_memory(call);
  Result result = row->fn(call);
  if (result == WOULD_BLOCK) return false;
  if (UNLIKELY(call->wasi->hooks.trace != NULL)) wasi_trace(call, row, result);
  if (result != LEAVES) slots[0] = result;
  return true;
}

static rille_Status call_row(rille_Activation *activation, void *data, rille_Slot *slots) {
  const Bound *bound = data;
  const Row *row = bound->row;
  rille_Slot args[MAX_SLOTS];
  rille_WasiProgress progress = {0};
  for (size_t i = 0; i < bound->n_slots; i++) args[i] = slots[i];
  Call call = {.wasi = bound->wasi,
               .activation = activation,
               .args = args,
               .is_unstable = bound->is_unstable,
               .progress = &progress};
  if ((row->traits & NO_RESULT) == 0) slots[0] = ERRNO_INTR; /* if a hook leaves */
  while (!run_row(&call, row, slots)) {
    rille_Status status = wasi_wait(&call);
    if (status != RILLE_DONE) return status;
  }
  return call.status;
}

bool rille_wasi_try(rille_Wasi *wasi, rille_Activation *activation, bool is_unstable, size_t index,
                    rille_Slot *slots, rille_WasiProgress *progress, rille_WasiWait *wait,
                    rille_Status *status) {
  Call call = {.wasi = wasi,
               .activation = activation,
               .args = slots,
               .is_unstable = is_unstable,
               .progress = progress};
  bool is_done = run_row(&call, &wasi_rows[index], slots);
  *wait = call.wait;
  *status = call.status;
  return is_done;
}

static void drop_bound(void *data) {
  Bound *bound = data;
  rille_Wasi *wasi = bound->wasi;
  wasi_resize(wasi, bound, sizeof *bound, 0);
  rille_free_wasi(wasi);
}

static rille_Func *bind_row(rille_Wasi *wasi, const Row *row, bool is_unstable) {
  Bound *bound = wasi_resize(wasi, NULL, 0, sizeof *bound);
  size_t n_slots = 0;
  rille_FuncType *type = bound != NULL ? new_type(row, &n_slots) : NULL;
  rille_Func *func = NULL;
  if (type != NULL) {
    *bound = (Bound){wasi, row, n_slots, is_unstable};
    func = rille_new_host_func(wasi->engine, type, call_row, bound, drop_bound);
    rille_free_func_type(type);
  }
  if (func != NULL) {
    rille_retain_wasi(wasi);
  } else if (bound != NULL) {
    wasi_resize(wasi, bound, sizeof *bound, 0);
  }
  return func;
}

rille_Func *rille_wasi_func(rille_Wasi *wasi, const char *module, const char *name) {
  bool is_unstable = strcmp(module, "wasi_unstable") == 0;
  if (!is_unstable && strcmp(module, "wasi_snapshot_preview1") != 0) return NULL;
  for (size_t i = 0; i < COUNT_OF(wasi_rows); i++) {
    if (strcmp(wasi_rows[i].name, name) != 0) continue;
    if (is_unstable && (wasi_rows[i].traits & NEW) != 0) return NULL;
    return bind_row(wasi, &wasi_rows[i], is_unstable);
  }
  return NULL;
}

const char *rille_wasi_name(size_t index) {
  return index < COUNT_OF(wasi_rows) ? wasi_rows[index].name : NULL;
}

bool rille_wasi_asks(const rille_WasiHooks *hooks, size_t index) {
  unsigned traits = wasi_rows[index].traits;
  return hooks->trace != NULL || ((traits & BLOCKS) != 0 && hooks->block != NULL) ||
         ((traits & CLOCKS) != 0 && hooks->clock != NULL) ||
         ((traits & RANDOM) != 0 && hooks->random != NULL) ||
         ((traits & STREAMS) != 0 && (hooks->read != NULL || hooks->write != NULL));
}
