/* dump.c - what the compiler makes of a function, pass by pass, as text.
 *
 * `what` is a list with commas: names of passes (build cfg memopt place isel color asm), `ir` for
 * the first four, `mach` for the next two.
 */
#if defined(__x86_64__)
#include "engine.h"

typedef struct Dump {
  const char *what;
  Buf *out;
} Dump;

static const struct {
  const char *pass, *group;
} passes[] = {{"build", "ir"},  {"cfg", "ir"},     {"memopt", "ir"}, {"place", "ir"},
              {"isel", "mach"}, {"color", "mach"}, {"asm", "asm"}};

static bool is_listed(const char *what, const char *word) {
  size_t size = strlen(word);
  for (const char *at = what;; at++) {
    const char *end = strchr(at, ',');
    size_t n = end != NULL ? (size_t)(end - at) : strlen(at);
    if (n == size && memcmp(at, word, n) == 0) return true;
    if (end == NULL) return false;
    at = end;
  }
}

static bool is_wanted(const char *what, const char *pass) {
  for (unsigned i = 0; i < COUNT_OF(passes); i++) {
    if (strcmp(passes[i].pass, pass) == 0)
      return is_listed(what, pass) || is_listed(what, passes[i].group);
  }
  return false;
}

static void take(void *user, const char *pass, const char *text, size_t size) {
  Dump *dump = user;
  if (!is_wanted(dump->what, pass)) return;
  buf_printf(dump->out, "--- %s\n", pass);
  buf_bytes(dump->out, text, size);
}

bool dump_run(Module *module, uint32_t func, const char *what, const JitTarget *target, Buf *out) {
  bool is_any = false;
  for (unsigned i = 0; i < COUNT_OF(passes); i++) is_any |= is_wanted(what, passes[i].pass);
  if (!is_any) return false;
  Dump dump = {.what = what, .out = out};
  const JitOptions options = {.checks_memory = !target->uses_signals,
                              .inlines = true,
                              .target = target,
                              .dump = take,
                              .user = &dump};
  Compiled compiled;
  jit_compile(module, func, &options, out->arena, &compiled);
  return true;
}
#endif
