/* api_error.c - error objects: one block each, with the texts that its frames point at.
 *
 * Errors belong to nobody but the host, so they come from an allocator of the process. When there
 * is no memory for one, a shared object says so.
 */
#include <stdio.h>

#include "../module/dwarf.h"
#include "../module/names.h"
#include "../runtime/trap.h"
#include "api.h"

enum { FRAMES_MAX = 64, FUNC_TEXT = 16 };

struct rille_Error {
  size_t size; /* of the block; 0: the shared one */
  Error error;
  char message[sizeof(((Error *)NULL)->message) + 96];
  char func_number[FUNC_TEXT];
  const char *func;
  size_t n_frames;
  rille_Frame *frames; /* behind this struct, followed by their texts */
};

static rille_Error no_memory = {.error = {.kind = ERROR_MEMORY, .offset = ERROR_NO_OFFSET},
                                .message = "out of memory",
                                .func = ""};

static Alloc alloc;
static _Atomic int alloc_state;

static void open_alloc(void) {
  alloc_init(&alloc, NULL, NULL);
}

static rille_Error *error_new(size_t extra) {
  os_call_once(&alloc_state, open_alloc);
  rille_Error *object = alloc_zero(&alloc, sizeof *object + extra);
  if (object != NULL) object->size = sizeof *object + extra;
  return object;
}

static void fill_error(rille_Error *object, const Error *error) {
  object->error = *error;
  error_text(error, object->message, sizeof object->message);
  object->func = object->func_number;
  if (error->func != ERROR_NO_FUNC) {
    snprintf(object->func_number, sizeof object->func_number, "%u", (unsigned)error->func);
  }
}

bool api_fail(rille_Error **out, const Error *error) {
  if (out == NULL) return false;
  rille_Error *object = error_new(0);
  if (object != NULL) fill_error(object, error);
  *out = object != NULL ? object : &no_memory;
  return false;
}

bool api_fail_text(rille_Error **out, ErrorKind kind, const char *format, ...) {
  Error error;
  va_list args;
  va_start(args, format);
  error_set_v(&error, kind, format, args);
  va_end(args);
  return api_fail(out, &error);
}

rille_Error *rille_new_error(rille_ErrorKind kind, const char *message) {
  rille_Error *error = NULL;
  api_fail_text(&error, (ErrorKind)kind, "%s", message);
  return error;
}

bool api_fail_memory(rille_Error **out) {
  if (out != NULL) *out = &no_memory;
  return false;
}

size_t api_print(char *out, size_t size, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int n = vsnprintf(out, size, format, args);
  va_end(args);
  return n > 0 ? (size_t)n : 0;
}

/* Frames */

/* A module without names has its exports, which whoever called it knows. */
static Str export_name(const Module *module, uint32_t func) {
  for (uint32_t i = 0; i < module->n_exports; i++) {
    const Export *item = &module->exports[i];
    if (item->kind == EXTERN_FUNC && item->index == func) return item->name;
  }
  return (Str){0};
}

static Str func_name(const FrameInfo *frame) {
  Str name = module_name_of(frame->module, NAMES_FUNCS, frame->func);
  return name.size != 0 ? name : export_name(frame->module, frame->func);
}

/* A line of the backtrace: a guest frame, or a call that was inlined in one. */
typedef struct Line {
  const FrameInfo *frame;
  Str func;
  SourcePlace place;
} Line;

/* Paths come from the module, and are of no use when they are longer than this. */
enum { PATH_MAX_SIZE = 4096 };

/* 0: no path, as of code that stands for no line. */
static size_t path_size(const SourcePlace *place) {
  size_t size = 0;
  if (place->line == 0) return 0;
  for (int i = 0; i < 3; i++) size += place->path[i].size != 0 ? place->path[i].size + 1 : 0;
  return size <= PATH_MAX_SIZE ? size : 0;
}

static uint32_t lines_of(const FrameInfo *frames, uint32_t n, Line *out, uint32_t room) {
  uint32_t n_lines = 0;
  for (uint32_t i = 0; i < n && n_lines < room; i++) {
    SourcePlace places[FRAMES_MAX];
    uint32_t n_places =
        dwarf_places(frames[i].module, frames[i].offset, places, MIN(room - n_lines, FRAMES_MAX));
    for (uint32_t k = 0; k + 1 < n_places; k++) {
      out[n_lines++] = (Line){&frames[i], places[k].func, places[k]};
    }
    SourcePlace last = n_places != 0 ? places[n_places - 1] : (SourcePlace){0};
    Str func = func_name(&frames[i]);
    out[n_lines++] = (Line){&frames[i], func.size != 0 ? func : last.func, last};
  }
  return n_lines;
}

static size_t texts_size(const Line *lines, uint32_t n) {
  size_t size = 0;
  for (uint32_t i = 0; i < n; i++) {
    size += lines[i].frame->module->name.size + 1 + lines[i].func.size + 1;
    size += path_size(&lines[i].place);
  }
  return size;
}

static const char *put_text(char **room, Str text) {
  char *at = *room;
  if (text.size != 0) memcpy(at, text.at, text.size);
  at[text.size] = '\0';
  *room = at + text.size + 1;
  return at;
}

/* NULL when it is not known. */
static const char *put_path(char **room, const SourcePlace *place) {
  if (path_size(place) == 0) return NULL;
  const char *path = *room;
  for (int i = 0; i < 3; i++) {
    if (place->path[i].size == 0) continue;
    if (*room != path) (*room)[-1] = '/';
    put_text(room, place->path[i]);
  }
  return path;
}

static void fill_frames(rille_Error *object, const Line *lines, uint32_t n) {
  object->frames = (rille_Frame *)(void *)(object + 1);
  object->n_frames = n;
  char *room = (char *)(object->frames + n);
  for (uint32_t i = 0; i < n; i++) {
    const FrameInfo *frame = lines[i].frame;
    object->frames[i] = (rille_Frame){.module = put_text(&room, frame->module->name),
                                      .func = put_text(&room, lines[i].func),
                                      .index = frame->func,
                                      .offset = frame->offset,
                                      .file = put_path(&room, &lines[i].place),
                                      .line = lines[i].place.line};
  }
  if (n != 0 && object->frames[0].func[0] != '\0') object->func = object->frames[0].func;
}

static rille_Error *error_with_frames(Error *error, const Act *act) {
  FrameInfo frames[FRAMES_MAX];
  Line lines[FRAMES_MAX];
  uint32_t n = act != NULL ? trap_frames(act, frames, FRAMES_MAX) : 0;
  if (n != 0) {
    error->offset = frames[0].offset;
    error->func = frames[0].func;
  }
  uint32_t n_lines = lines_of(frames, n, lines, FRAMES_MAX);
  rille_Error *object = error_new(n_lines * sizeof(rille_Frame) + texts_size(lines, n_lines));
  if (object == NULL) return &no_memory;
  fill_error(object, error);
  fill_frames(object, lines, n_lines);
  return object;
}

rille_Error *api_error_of_act(const Act *act) {
  Error error;
  trap_describe(act, &error);
  return error.kind != ERROR_NONE ? error_with_frames(&error, act) : NULL;
}

rille_Error *rille_activation_error(rille_Activation *activation) {
  return api_error_of_act(act_of(activation));
}

rille_Error *rille_capture_frames(rille_Stack *stack) {
  Error error;
  error_clear(&error);
  error.message[0] = '\0';
  return error_with_frames(&error, stack_of(stack)->top);
}

/* Reading */

rille_ErrorKind rille_error_kind(const rille_Error *error) {
  return (rille_ErrorKind)error->error.kind;
}

const char *rille_error_kind_name(rille_ErrorKind kind) {
  static const char *const names[] = {[RILLE_ERROR_NONE] = "none",
                                      [RILLE_ERROR_IO] = "io",
                                      [RILLE_ERROR_MALFORMED] = "malformed",
                                      [RILLE_ERROR_INVALID] = "invalid",
                                      [RILLE_ERROR_UNSUPPORTED] = "unsupported",
                                      [RILLE_ERROR_LINK] = "link",
                                      [RILLE_ERROR_LIMIT] = "limit",
                                      [RILLE_ERROR_TRAP] = "trap",
                                      [RILLE_ERROR_EXCEPTION] = "exception",
                                      [RILLE_ERROR_EXIT] = "exit",
                                      [RILLE_ERROR_MISUSE] = "misuse",
                                      [RILLE_ERROR_MEMORY] = "memory"};
  return (size_t)kind < COUNT_OF(names) ? names[kind] : "";
}

const char *rille_error_message(const rille_Error *error) {
  return error->message;
}

const char *rille_error_code(const rille_Error *error) {
  switch (error->error.kind) {
    case ERROR_TRAP: return trap_text((Trap)error->error.code);
    case ERROR_LIMIT: return trap_limit_name((LimitKind)error->error.code);
    default: return "";
  }
}

int rille_error_status(const rille_Error *error) {
  return error->error.kind == ERROR_EXIT ? (int)error->error.code : 0;
}

uint64_t rille_error_offset(const rille_Error *error) {
  return error->error.offset;
}

uint32_t rille_error_line(const rille_Error *error) {
  return error->error.line;
}

uint32_t rille_error_column(const rille_Error *error) {
  return error->error.column;
}

const char *rille_error_func(const rille_Error *error) {
  return error->func;
}

size_t rille_error_frames(const rille_Error *error, const rille_Frame **frames) {
  *frames = error->frames;
  return error->n_frames;
}

void rille_free_error(rille_Error *error) {
  if (error != NULL && error->size != 0) alloc_free(&alloc, error, error->size);
}
