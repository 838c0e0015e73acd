/* jit.c - one function through all passes.
 */
#if defined(__x86_64__)
#include <cpuid.h>

#include "engine.h"
#include "listing.h"
#include "passes.h"
#include "x64/emit.h"

/* Not every C compiler knows the feature by name. */
static bool has_lzcnt(void) {
  unsigned a, b, c, d;
  return __get_cpuid(0x80000001, &a, &b, &c, &d) != 0 && (c >> 5 & 1) != 0;
}

JitTarget jit_host_target(void) {
  __builtin_cpu_init();
  return (JitTarget){.has_avx = __builtin_cpu_supports("avx"),
                     .has_bmi1 = __builtin_cpu_supports("bmi"),
                     .has_bmi2 = __builtin_cpu_supports("bmi2"),
                     .has_lzcnt = has_lzcnt(),
                     .has_popcnt = __builtin_cpu_supports("popcnt"),
                     .has_sse42 = __builtin_cpu_supports("sse4.2"),
                     .uses_signals = true};
}

typedef struct Job {
  const JitOptions *options;
  Ir ir;
  Mach *mach;
  Arena *arena;
} Job;

_Noreturn static void fail(Job *job, const char *pass, const char *what) {
  Guard *guard = job->arena->guard;
  error_set(guard->error, ERROR_UNSUPPORTED, "the compiler is wrong after %s of function %u: %s",
            pass, job->ir.func, what);
  guard_raise(guard);
}

static void dump(const Job *job, const char *pass, void print(const void *, Buf *),
                 const void *what) {
  if (job->options->dump == NULL) return;
  Buf text;
  buf_init(&text, job->arena);
  print(what, &text);
  job->options->dump(job->options->user, pass, (const char *)text.at, text.size);
}

static void print_ir(const void *ir, Buf *out) {
  ir_print(ir, out);
}

static void print_mach(const void *mach, Buf *out) {
  mach_print(mach, out);
}

static void after_ir(const Ir *ir, IrStage stage, void *user) {
  static const char *const names[] = {
      [IR_BUILT] = "build", [IR_SHAPED] = "cfg", [IR_FORWARDED] = "memopt", [IR_PLACED] = "place"};
  Job *job = user;
  if (job->options->checks_passes) {
    const char *wrong = ir_check(ir, job->arena, stage);
    if (wrong != NULL) fail(job, names[stage], wrong);
  }
  dump(job, names[stage], print_ir, ir);
}

static void after_mach(Job *job, const char *pass) {
  dump(job, pass, print_mach, job->mach);
}

void jit_compile(Module *module, uint32_t func, const JitOptions *options, Arena *arena,
                 Compiled *out) {
  Job job = {.options = options, .arena = arena};
  const BuildOptions build = {.counts_fuel = options->counts_fuel,
                              .checks_memory = options->checks_memory,
                              .inlines = options->inlines};
  bool is_watched = options->checks_passes || options->dump != NULL;
  passes_run(&job.ir, arena, module, func, &build, is_watched ? after_ir : NULL, &job);
  job.mach = isel_run(&job.ir, options->target, arena);
  after_mach(&job, "isel");
  live_run(job.mach);
  spill_run(job.mach);
  slots_run(job.mach);
  color_run(job.mach);
  after_mach(&job, "color");
  if (options->checks_passes) {
    const char *wrong = check_regs_run(job.mach, arena);
    if (wrong != NULL) fail(&job, "color", wrong);
  }
  emit_run(job.mach, out);
  if (options->dump != NULL) {
    Buf text;
    buf_init(&text, arena);
    listing_print(module, out, &text);
    options->dump(options->user, "asm", (const char *)text.at, text.size);
  }
}
#endif
