/* engine.c - entering compiled code, leaving it, and what it calls.
 *
 * While compiled code of an instance runs, the instance names the activation, the limit of the
 * stack and the fuel. They are set again whenever code of the host may have run, which may have
 * entered the same instance anew.
 */
#if defined(__x86_64__)
#include "engine.h"

#include "../base/os_fault.h"
#include "../runtime/engine.h"
#include "../runtime/runtime.h"
#include "../runtime/stack.h"
#include "helper.h"

#if defined(RILLE_HARD)
#include <stdlib.h>
#define CHECKS_PASSES true
#else
#define CHECKS_PASSES false
#endif

enum { HEADROOM = 64 * 1024, BATCH_BYTES = 8 * 1024, BATCH_FUNCS = 64 };

/* Of code that faults, and of code that is quiet. */
static JitTarget target, quiet_target;
static _Atomic int target_state, catch_state;
static bool can_catch;

static CodeSpace *space_of(const Instance *instance) {
  return instance->engine_data;
}

/* Places and leaving */

typedef struct Place {
  Instance *instance;
  const uint8_t *pc; /* a return address, or behind the first byte of what faulted */
  char *sp;          /* of the frame that pc is in */
} Place;
_Static_assert(sizeof(Place) == sizeof((Act *)NULL)->place, "an activation has room for a place");

static void mark(Instance *instance, const uint8_t *pc, char *sp) {
  Act *act = instance->act;
  Place place = {instance, pc, sp};
  memcpy(act->place, &place, sizeof place);
  act->frames = act->place;
}

static const uint8_t *return_address(const char *at) {
  const uint8_t *pc;
  memcpy(&pc, at, sizeof pc);
  return pc;
}

/* sp: where the return address of a call into a stub or helper lies. */
static void mark_call(Instance *instance, char *sp) {
  mark(instance, return_address(sp), sp + sizeof(void *));
}

_Noreturn static void leave(Instance *instance, RunStatus status) {
  typedef void Exit(Act *, RunStatus);
  const CodeSpace *space = space_of(instance);
  Exit *exit = (Exit *)(uintptr_t)(space->common + space->offsets.exit);
  exit(instance->act, status);
  __builtin_unreachable();
}

_Noreturn static void leave_with_trap(Instance *instance, Trap trap) {
  leave(instance, run_trap(instance->act, trap));
}

void helper_mark(Instance *instance) {
  mark_call(instance, instance->helper_sp - sizeof(void *));
}

_Noreturn void helper_trap(Instance *instance, Trap trap) {
  helper_mark(instance);
  leave_with_trap(instance, trap);
}

_Noreturn void helper_leave(Instance *instance, RunStatus status) {
  helper_mark(instance);
  leave(instance, status);
}

/* Walking frames */

/* From a frame to its caller's; false at the entry. */
static bool walk_out(Place *place) {
  CodeSpace *space;
  const CodeRecord *record = code_find(place->pc - 1, &space);
  if (record == NULL || record->kind == RECORD_ENTRY) return false;
  if (record->kind == RECORD_ADAPTER)
    memcpy(&place->instance, place->sp + ADAPTER_INSTANCE, sizeof place->instance);
  char *at = place->sp + record->frame_bytes;
  place->pc = return_address(at);
  place->sp = at + sizeof(void *) + record->param_bytes;
  return true;
}

/* The function whose body has the byte. */
static uint32_t func_with(const Module *module, uint32_t offset) {
  uint32_t low = module->n_imported_funcs, high = module->n_funcs;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (module->funcs[middle].end <= offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/* The function's frame, and those of what was inlined there, as far as there is room; their number.
 */
static uint32_t frames_at(const Place *at, FrameInfo *out, uint32_t room) {
  CodeSpace *space;
  Module *module = at->instance->module;
  const CodeRecord *record = code_find(at->pc - 1, &space);
  if (record == NULL || record->kind != RECORD_FUNC) return 0;
  const CodeSite *site = code_call_site(record, at->pc);
  if (site == NULL) site = code_fault_site(record, at->pc - 1);
  uint32_t place = site != NULL ? site->place : 0, n = 0;
  for (; place & SITE_INLINED; n++) {
    site = &record->sites[place & ~SITE_INLINED];
    if (n < room) out[n] = (FrameInfo){module, func_with(module, site->place), site->place};
    place = site->handler;
  }
  if (n < room) out[n] = (FrameInfo){module, record->index, place};
  return n + 1;
}

static uint32_t backtrace(const Act *act, FrameInfo *out, uint32_t room) {
  Place place;
  memcpy(&place, act->place, sizeof place);
  uint32_t n = 0;
  do {
    n += frames_at(&place, out + MIN(n, room), n < room ? room - n : 0);
  } while (walk_out(&place));
  return n;
}

static Instance *caller(const Act *act) {
  Place place;
  if (act->frames == NULL) return NULL;
  memcpy(&place, act->place, sizeof place);
  return place.instance;
}

/* Exceptions: the innermost call that has a handler goes on there. */

_Noreturn static void throw_from(Instance *instance) {
  typedef void Land(const uint8_t *, char *, Instance *);
  Place place;
  Act *act = instance->act;
  memcpy(&place, act->place, sizeof place);
  do {
    CodeSpace *space;
    const CodeRecord *record = code_find(place.pc - 1, &space);
    if (record == NULL || record->kind != RECORD_FUNC) continue;
    const CodeSite *site = code_call_site(record, place.pc);
    if (site == NULL || site->handler == 0) continue;
    act->frames = NULL;
    place.instance->act = act;
    place.instance->stack_limit = instance->stack_limit;
    place.instance->fuel_left = instance->fuel_left;
    const CodeSpace *own = space_of(place.instance);
    Land *land = (Land *)(uintptr_t)(own->common + own->offsets.land);
    land(record->start + site->handler, place.sp, place.instance);
  } while (walk_out(&place));
  act->status = RUN_THROW;
  leave(instance, RUN_THROW);
}

static void on_throw(Instance *instance, Slot exception, char *sp) {
  instance->act->exception = exception;
  mark_call(instance, sp);
  throw_from(instance);
}

/* Running */

/* The lowest address that frames may take: what the entered instance grants, above the headroom. */
static char *stack_limit_of(const Act *act) {
  const Stack *stack = act->stack;
  uint64_t bytes = act->instance->limits.stack_bytes;
  char *lowest = (char *)stack->values_end + HEADROOM;
  if (LIKELY(bytes == 0) || bytes >= (uint64_t)(stack->machine_top - lowest)) return lowest;
  return stack->machine_top - bytes;
}

/* What its code reads; again after anything that may have run other code. */
static void set_running(Instance *instance, Act *act) {
  instance->act = act;
  instance->stack_limit = stack_limit_of(act);
  instance->fuel_left = &act->instance->fuel;
}

/* After a mark, when that may have happened. */
static void go_on(Instance *instance, Act *act, RunStatus status) {
  set_running(instance, act);
  if (UNLIKELY(status != RUN_DONE)) leave(instance, status);
  act->frames = NULL;
}

void helper_go_on(Instance *instance, Act *act, Trap trap, RunStatus status) {
  go_on(instance, act, trap != TRAP_NONE ? run_trap(act, trap) : status);
}

static void on_poll(Instance *instance, char *sp) {
  Act *act = instance->act;
  mark_call(instance, sp);
  go_on(instance, act, run_poll(act, act->value_top));
}

static void on_fuel(Instance *instance, char *sp) {
  Act *act = instance->act;
  mark_call(instance, sp);
  go_on(instance, act, run_out_of_fuel(act, act->value_top));
}

/* From a prologue: the callee has no frame yet. */
static void mark_caller(Instance *instance, char *sp) {
  CodeSpace *space;
  const CodeRecord *record = code_find(return_address(sp) - 1, &space);
  char *at = sp + sizeof(void *);
  mark(instance, return_address(at),
       at + sizeof(void *) + (record != NULL ? record->param_bytes : 0));
}

static void on_stack(Instance *instance, char *sp) {
  mark_caller(instance, sp);
  leave_with_trap(instance, TRAP_STACK_EXHAUSTED);
}

static void on_enter(Instance *instance, char *sp) {
  Act *act = instance->act;
  mark_caller(instance, sp);
  go_on(instance, act, run_poll(act, act->value_top));
}

/* Inside an adapter: the guest's frame is its caller. */
static void mark_adapter(Instance *instance, const Func *func, char *sp) {
  char *at = sp + ADAPTER_FRAME;
  mark(instance, return_address(at), at + sizeof(void *) + abi_param_bytes(&func->type->comp));
}

static void on_no_room(Instance *instance, const Func *func, char *sp) {
  mark_adapter(instance, func, sp);
  leave_with_trap(instance, TRAP_STACK_EXHAUSTED);
}

/* After a host function: what it returned, and what is due since. The frame is marked. */
static void back_from_host(Instance *instance, Act *act, RunStatus status) {
  set_running(instance, act);
  if (UNLIKELY(status == RUN_THROW)) throw_from(instance);
  if (UNLIKELY(status != RUN_DONE)) leave(instance, status);
  if (LIKELY(atomic_load_explicit(instance->poll, memory_order_relaxed) == 0)) return;
  go_on(instance, act, run_poll(act, act->value_top));
}

/* Called by adapters; pc and sp are the place of the guest's frame. */
static void on_call(Instance *instance, Func *func, Slot *slots, const uint8_t *pc, char *sp) {
  Act *act = instance->act;
  Slot *top = act->value_top;
  mark(instance, pc, sp);
  RunStatus status;
  if (LIKELY(func->host != NULL)) {
    status = run_call_host(act, func, slots, slots + func->n_slots);
  } else {
    status = run_call_other(act, func, slots);
    instance->act = act;
    act->value_top = slots + func->n_slots;
    mark(instance, pc, sp);
  }
  back_from_host(instance, act, status);
  act->value_top = top;
  act->frames = NULL;
}

/* From a host function that adapters call themselves. */
static void on_back(Instance *instance, Act *act, RunStatus status) {
  Slot *slots = act->host_slots;
  stack_leave_host(act);
  back_from_host(instance, act, status);
  act->host_slots = slots;
}

static bool has_type(const Func *func, const Type *type) {
  return func_has_type(func, type);
}

static void on_fault(const uint8_t *pc, Instance *instance, char *sp) {
  CodeSpace *space;
  const CodeSite *site = code_fault_site(code_find(pc, &space), pc);
  mark(instance, pc + 1, sp);
  leave_with_trap(instance, (Trap)site->trap);
}

/* From quiet code, by a call: its place is where the call starts. */
static void on_trap(Instance *instance, char *sp) {
  enum { CALL_BYTES = 5 };
  CodeSpace *space;
  const uint8_t *pc = return_address(sp) - CALL_BYTES;
  const CodeSite *site = code_fault_site(code_find(pc, &space), pc);
  mark(instance, pc + 1, sp + sizeof(void *));
  leave_with_trap(instance, (Trap)site->trap);
}

static bool handle_fault(OsFault *fault) {
  CodeSpace *space;
  const CodeRecord *record = code_find(fault->pc, &space);
  if (record == NULL || record->kind != RECORD_FUNC) return false;
  if (code_fault_site(record, fault->pc) == NULL) return false;
  fault->argument = (uintptr_t)fault->pc;
  fault->pc = space->common + space->offsets.fault;
  return true;
}

/* Compiling */

static void *on_compile(Instance *instance, uint32_t func, char *sp);
static void on_count(Instance *instance, const Func *func, char *sp);

/* A run that was entered directly, and resumed, returns to the resume. */
static RunStatus put_result(Act *act, Slot result, double as_float) {
  const CompType *type = &act->func->type->comp;
  if (type->n_results == 0) return RUN_DONE;
  if (direct_kind(type) == DIRECT_FLOAT) memcpy(&result, &as_float, sizeof result);
  act->slots[0] = result;
  return RUN_DONE;
}

static StubCalls stub_calls = {.poll = on_poll,
                               .fuel = on_fuel,
                               .enter = on_enter,
                               .has_type = has_type,
                               .stack = on_stack,
                               .throw_ = on_throw,
                               .no_room = on_no_room,
                               .fault = on_fault,
                               .trap = on_trap,
                               .compile = on_compile,
                               .count = on_count,
                               .call = on_call,
                               .back = on_back,
                               .direct = {.resumed = put_result}};

static bool is_compiled(const CodeSpace *space, uint32_t func) {
  uint32_t own = func - space->owner->module->n_imported_funcs;
  const uint8_t *lazy = space->common + space->offsets.lazy + own * LAZY_BYTES;
  return atomic_load_explicit(&space->slots[own], memory_order_acquire) != lazy;
}

typedef struct Batch {
  CodeSpace *space;
  Arena arena;
  VEC(CodePiece) pieces;
  VEC(uint32_t) queue; /* functions that are called from those compiled */
  size_t bytes;
} Batch;

static bool has_piece(const Batch *batch, RecordKind kind, uint32_t index) {
  for (uint32_t i = 0; i < batch->pieces.n; i++) {
    if (batch->pieces.items[i].kind == kind && batch->pieces.items[i].index == index) return true;
  }
  return false;
}

static void add_stub_piece(Batch *batch, RecordKind kind, uint32_t type) {
  const CompType *comp = &batch->space->owner->module->types[type].comp;
  CodePiece piece = {.kind = kind, .index = type};
  CodeSite *site = ARENA_NEW(&batch->arena, CodeSite);
  Buf code;
  buf_init(&code, &batch->arena);
  if (kind == RECORD_ADAPTER) {
    const AdapterOptions options = {
        .ops = &jit_engine, .has_avx = target.has_avx, .counts_fuel = batch->space->counts_fuel};
    stubs_adapter(&code, comp, &stub_calls, options, &site->at);
    piece.compiled.frame_bytes = ADAPTER_FRAME;
    piece.compiled.param_bytes = abi_param_bytes(comp);
  } else {
    stubs_entry(&code, comp, target.has_avx, &site->at);
  }
  piece.compiled.code = code.at;
  piece.compiled.size = (uint32_t)code.size;
  piece.compiled.sites = site;
  piece.compiled.n_sites = 1;
  VEC_PUSH(&batch->arena, &batch->pieces, piece);
}

/* Adapters that the code needs, and functions it calls. */
static void follow_links(Batch *batch, const Compiled *compiled) {
  for (uint32_t i = 0; i < compiled->n_links; i++) {
    const CodeLink *link = &compiled->links[i];
    if (link->kind == LINK_SLOT) {
      VEC_PUSH(&batch->arena, &batch->queue, link->index);
    } else if (link->kind == LINK_ADAPTER &&
               atomic_load(&batch->space->adapters[link->index]) == NULL &&
               !has_piece(batch, RECORD_ADAPTER, link->index)) {
      add_stub_piece(batch, RECORD_ADAPTER, link->index);
    }
  }
}

void jit_set_options(const CodeSpace *space, JitOptions *out) {
  *out = (JitOptions){.counts_fuel = space->counts_fuel,
                      .checks_memory = space->checks_memory,
                      .inlines = true,
                      .checks_passes = CHECKS_PASSES,
                      .target = space->is_quiet ? &quiet_target : &target};
}

static void compile_into(Batch *batch, uint32_t func) {
  const CodeSpace *space = batch->space;
  JitOptions options;
  jit_set_options(space, &options);
  CodePiece piece = {.kind = RECORD_FUNC, .index = func};
  jit_compile(space->owner->module, func, &options, &batch->arena, &piece.compiled);
  VEC_PUSH(&batch->arena, &batch->pieces, piece);
  batch->bytes += piece.compiled.size;
  follow_links(batch, &piece.compiled);
}

/* The function, and some of those it calls, so that pages are filled. */
static void fill_batch(Batch *batch, uint32_t func) {
  compile_into(batch, func);
  for (uint32_t i = 0; i < batch->queue.n; i++) {
    if (batch->bytes >= BATCH_BYTES || batch->pieces.n >= BATCH_FUNCS) return;
    uint32_t next = batch->queue.items[i];
    if (is_compiled(batch->space, next) || has_piece(batch, RECORD_FUNC, next)) continue;
    compile_into(batch, next);
  }
}

/* Under the module's lock. */
static bool compile(CodeSpace *space, uint32_t func, Error *error) {
  uint64_t began = os_monotonic_ns();
  Batch batch = {.space = space};
  Guard guard;
  volatile bool is_done = false;
  arena_init(&batch.arena, space->owner->module->alloc);
  if (GUARD_TRY(&guard, &batch.arena, error)) {
    fill_batch(&batch, func);
    guard_leave(&guard);
    is_done = code_place(space, batch.pieces.items, batch.pieces.n);
    if (!is_done) error_set(error, ERROR_MEMORY, "out of code memory");
  }
  arena_clear(&batch.arena);
  atomic_fetch_add(&space->owner->ns, os_monotonic_ns() - began);
  return is_done;
}

/* One for each function type, so that code which is linked later finds its own. */
static bool place_adapters(CodeSpace *space, Error *error) {
  const Module *module = space->owner->module;
  Batch batch = {.space = space};
  Guard guard;
  volatile bool is_done = false;
  arena_init(&batch.arena, module->alloc);
  if (GUARD_TRY(&guard, &batch.arena, error)) {
    for (uint32_t i = 0; i < module->n_types; i++) {
      if (module->types[i].comp.kind == COMP_FUNC) add_stub_piece(&batch, RECORD_ADAPTER, i);
    }
    guard_leave(&guard);
    is_done = batch.pieces.n == 0 || code_place(space, batch.pieces.items, batch.pieces.n);
    if (!is_done) error_set(error, ERROR_MEMORY, "out of code memory");
  }
  arena_clear(&batch.arena);
  return is_done;
}

static bool fill_space(CodeSpace *space, Str native, Error *error) {
  uint64_t began = os_monotonic_ns();
  bool is_done = place_adapters(space, error) && keep_fill(space, native, error);
  atomic_fetch_add(&space->owner->ns, os_monotonic_ns() - began);
  return is_done;
}

static void *entry_of(CodeSpace *space, uint32_t type) {
  void *entry = atomic_load_explicit(&space->entries[type], memory_order_acquire);
  if (LIKELY(entry != NULL)) return entry;
  Batch batch = {.space = space};
  Guard guard;
  Error error;
  arena_init(&batch.arena, space->owner->module->alloc);
  os_mutex_lock(&space->owner->lock);
  if (atomic_load(&space->entries[type]) == NULL && GUARD_TRY(&guard, &batch.arena, &error)) {
    add_stub_piece(&batch, RECORD_ENTRY, type);
    guard_leave(&guard);
    code_place(space, batch.pieces.items, batch.pieces.n);
  }
  os_mutex_unlock(&space->owner->lock);
  arena_clear(&batch.arena);
  return atomic_load(&space->entries[type]);
}

static void note_failure(Act *act, const Error *error) {
  size_t size = MIN(strlen(error->message), sizeof act->message - 1);
  memcpy(act->message, error->message, size);
  act->message[size] = '\0';
  run_trap(act, TRAP_HOST);
  act->error_kind = error->kind;
}

static void note_no_memory(Act *act) {
  Error error;
  error_set(&error, ERROR_MEMORY, "out of code memory");
  note_failure(act, &error);
}

/* Compiling takes more stack than guests have to spare: it is done on the host's. */
typedef struct CompileTask {
  CodeSpace *space;
  uint32_t func;
} CompileTask;

static RunStatus do_compile(Act *act, void *data, Slot *slots) {
  const CompileTask *task = data;
  CodeSpace *space = task->space;
  Error error;
  (void)slots;
  os_mutex_lock(&space->owner->lock);
  bool is_done = is_compiled(space, task->func) || compile(space, task->func, &error);
  os_mutex_unlock(&space->owner->lock);
  if (is_done) return RUN_DONE;
  note_failure(act, &error);
  return RUN_TRAP;
}

static void *on_compile(Instance *instance, uint32_t func, char *sp) {
  CodeSpace *space = space_of(instance);
  uint32_t own = func - space->owner->module->n_imported_funcs;
  if (!is_compiled(space, func)) {
    CompileTask task = {space, func};
    Act *act = instance->act;
    mark_call(instance, sp);
    go_on(instance, act, stack_call_host(act, do_compile, &task, NULL, act->value_top));
  }
  void *code = atomic_load(&space->slots[own]);
  instance->own_funcs[own].code = code;
  return code;
}

/* The engine */

static void detect(void) {
  target = jit_host_target();
#if defined(RILLE_HARD)
  const char *seed = getenv("RILLE_SEED");
  target.random_seed = seed != NULL ? (uint32_t)strtoul(seed, NULL, 10) : 1;
#endif
  quiet_target = target;
  quiet_target.uses_signals = false;
  stub_calls.direct.token = direct_token();
}

static void catch_faults(void) {
  can_catch = os_catch_faults(handle_fault);
}

/* Of modules that want it, and where it can be had. Handlers are installed for the first of them.
 */
static bool relies_on_faults(const JitModule *owner) {
  if (owner->is_quiet) return false;
  os_call_once(&catch_state, catch_faults);
  return can_catch;
}

/* What all spaces of the module have in common. */
static unsigned common_index(const JitModule *owner) {
  return relies_on_faults(owner) ? 0 : SPACE_CHECKS | SPACE_QUIET;
}

bool jit_is_available(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3");
}

static JitModule *module_of(Module *module) {
  JitModule *made = atomic_load(&module->engine_data);
  if (made != NULL) return made;
  made = alloc_zero(module->alloc, sizeof *made);
  if (made == NULL) return NULL;
  made->module = module;
  os_mutex_init(&made->lock);
  void *none = NULL;
  if (atomic_compare_exchange_strong(&module->engine_data, &none, made)) return made;
  os_mutex_clear(&made->lock);
  alloc_free(module->alloc, made, sizeof *made);
  return none;
}

static void free_space(CodeSpace *space) {
  Alloc *alloc = space->owner->module->alloc;
  code_close(space);
  alloc_free(alloc, space, sizeof *space);
}

static CodeSpace *new_space(JitModule *owner, unsigned index) {
  CodeSpace *space = alloc_zero(owner->module->alloc, sizeof *space);
  if (space == NULL) return NULL;
  space->counts_fuel = (index & SPACE_FUEL) != 0;
  space->checks_memory = (index & SPACE_CHECKS) != 0;
  space->is_quiet = (index & SPACE_QUIET) != 0;
  if (code_open(space, owner, &stub_calls, target.has_avx)) return space;
  free_space(space);
  return NULL;
}

/* Under the module's lock. */
static CodeSpace *open_locked(JitModule *owner, unsigned index) {
  CodeSpace *space = atomic_load(&owner->spaces[index]);
  if (space != NULL) return space;
  space = new_space(owner, index);
  if (space == NULL) return NULL;
  /* What cannot be compiled now will say so when it is called. */
  Error error;
  if (owner->is_eager || owner->cache != NULL) (void)fill_space(space, (Str){0}, &error);
  atomic_store(&owner->spaces[index], space);
  return space;
}

static CodeSpace *open_space(JitModule *owner, unsigned index) {
  os_mutex_lock(&owner->lock);
  CodeSpace *space = open_locked(owner, index);
  os_mutex_unlock(&owner->lock);
  return space;
}

/* From now on the instance runs this code; frames of other code that are there go on. */
static void set_space(Instance *instance, CodeSpace *space) {
  const Module *module = instance->module;
  instance->engine_data = space;
  instance->counts_fuel = space->counts_fuel;
  for (uint32_t i = 0; i < module->n_funcs - module->n_imported_funcs; i++)
    instance->own_funcs[i].code = atomic_load_explicit(&space->slots[i], memory_order_acquire);
}

/* A run under a fuel limit enters an instance without one: it counts, too. */
static RunStatus do_count(Act *act, void *data, Slot *slots) {
  Instance *instance = data;
  const CodeSpace *space = space_of(instance);
  (void)slots;
  unsigned checks = space->checks_memory ? SPACE_CHECKS : 0;
  CodeSpace *counting = open_space(space->owner, common_index(space->owner) | SPACE_FUEL | checks);
  if (counting == NULL) {
    note_no_memory(act);
    return RUN_TRAP;
  }
  set_space(instance, counting);
  return RUN_DONE;
}

static void on_count(Instance *instance, const Func *func, char *sp) {
  Act *act = instance->act;
  mark(instance, return_address(sp), sp + sizeof(void *) + abi_param_bytes(&func->type->comp));
  go_on(instance, act, stack_call_host(act, do_count, func->instance, NULL, act->value_top));
}

/* Some memory that could have guard pages has none here. */
static bool wants_checks(const Instance *instance) {
  const Module *module = instance->module;
  for (uint32_t i = 0; i < module->n_memories; i++) {
    const MemoryType *type = &module->memories[i];
    bool could = !type->limits.is_64 && type->page_log2 == 16;
    if (could && !instance->memories[i]->is_guarded) return true;
  }
  return false;
}

static bool prepare_instance(Instance *instance) {
  os_call_once(&target_state, detect);
  Module *module = instance->module;
  JitModule *owner = module_of(module);
  if (owner == NULL) return false;
  if (relies_on_faults(owner)) os_keep_catching_faults();
  unsigned index = common_index(owner) | (instance->limits.has_fuel ? SPACE_FUEL : 0) |
                   (wants_checks(instance) ? SPACE_CHECKS : 0);
  CodeSpace *space = open_space(owner, index);
  if (space == NULL) return false;
  set_space(instance, space);
  bool is_pinned = module->n_memories != 0 && instance->memories[0]->is_guarded;
  instance->memory_base = is_pinned ? instance->memories[0]->base : NULL;
  return true;
}

#if defined(__GLIBC__)
__attribute__((tls_model("initial-exec")))
#endif
static _Thread_local bool is_thread_prepared;

static RunStatus run(Act *act) {
  typedef RunStatus Entry(Act *, void *, Instance *, Slot *);
  Func *func = act->func;
  Instance *instance = func->instance;
  if (act->instance == NULL) act->instance = instance;
  if (UNLIKELY(act->instance->limits.has_fuel && !instance->counts_fuel)) {
    RunStatus status = stack_call_host(act, do_count, instance, NULL, act->value_top);
    if (status != RUN_DONE) return status;
  }
  CodeSpace *space = space_of(instance);
  if (UNLIKELY(!is_thread_prepared) && !space->is_quiet) is_thread_prepared = os_prepare_thread();
  Entry *entry = (Entry *)(uintptr_t)entry_of(space, instance->module->funcs[func->index].type);
  if (UNLIKELY(entry == NULL)) {
    note_no_memory(act);
    return RUN_TRAP;
  }
  set_running(instance, act);
  act->frames = NULL;
  return entry(act, func->code, instance, act->slots);
}

/* Fuel and other limits want to be looked at first. */
static const void *direct_entry(const Func *func) {
  const Instance *instance = func->instance;
  const RunLimits *limits = &instance->limits;
  if (limits->has_fuel || limits->timeout_ns != 0 || limits->stack_bytes != 0) return NULL;
  if (stub_calls.direct.token == 0 || !direct_fits(&func->type->comp)) return NULL;
  const CodeSpace *space = space_of(instance);
  return space->common + space->offsets.direct[direct_kind(&func->type->comp)];
}

static void drop_module(Module *module) {
  JitModule *owner = atomic_load(&module->engine_data);
  if (owner == NULL) return;
  for (unsigned i = 0; i < COUNT_OF(owner->spaces); i++) {
    CodeSpace *space = atomic_load(&owner->spaces[i]);
    if (space == NULL) continue;
    free_space(space);
  }
  os_mutex_clear(&owner->lock);
  alloc_free(module->alloc, owner->cache, owner->cache_size);
  alloc_free(module->alloc, owner, sizeof *owner);
  atomic_store(&module->engine_data, NULL);
}

static void stats(const Module *module, EngineStats *out) {
  const JitModule *owner = atomic_load(&((Module *)(uintptr_t)module)->engine_data);
  if (owner != NULL) out->ns = atomic_load(&owner->ns);
  for (unsigned i = 0; owner != NULL && i < COUNT_OF(owner->spaces); i++) {
    const CodeSpace *space = atomic_load(&owner->spaces[i]);
    if (space == NULL) continue;
    out->funcs += atomic_load(&space->n_prepared);
    out->bytes += atomic_load(&space->n_bytes);
    out->kept_funcs += atomic_load(&space->n_kept);
  }
}

static bool set_cache(JitModule *owner, const char *dir) {
  if (dir == NULL) return true;
  owner->cache_size = strlen(dir) + 1;
  owner->cache = alloc_new(owner->module->alloc, owner->cache_size);
  if (owner->cache != NULL) memcpy(owner->cache, dir, owner->cache_size);
  return owner->cache != NULL;
}

static bool prepare_module(Module *module, const PrepareOptions *options, Error *error) {
  os_call_once(&target_state, detect);
  JitModule *owner = module_of(module);
  if (owner == NULL || !set_cache(owner, options->cache)) {
    error_set(error, ERROR_MEMORY, "out of memory");
    return false;
  }
  owner->is_eager = options->is_eager;
  owner->is_quiet = options->is_quiet;
  owner->notes_perf = options->notes_perf;
  owner->notes_gdb = options->notes_gdb;
  if (!options->is_eager && options->native.size == 0) return true;
  /* What instances will ask for as a rule. */
  CodeSpace *space = new_space(owner, common_index(owner));
  if (space == NULL) {
    error_set(error, ERROR_MEMORY, "out of code memory");
    return false;
  }
  atomic_store(&owner->spaces[common_index(owner)], space);
  return fill_space(space, options->native, error) || !options->is_eager;
}

static void serialize(Module *module, Buf *out) {
  os_call_once(&target_state, detect);
  Guard *guard = out->arena->guard;
  JitModule *owner = module_of(module);
  CodeSpace *space = owner != NULL ? new_space(owner, common_index(owner)) : NULL;
  if (space == NULL) {
    error_set(guard->error, ERROR_MEMORY, "out of code memory");
    guard_raise(guard);
  }
  bool is_done = place_adapters(space, guard->error) && keep_write(space, out, guard->error);
  free_space(space);
  if (!is_done) guard_raise(guard);
}

static bool dump_func(Module *module, uint32_t func, const char *what, Buf *out) {
  os_call_once(&target_state, detect);
  return dump_run(module, func, what, &target, out);
}

const EngineOps jit_engine = {.name = "compiler",
                              .prepare_instance = prepare_instance,
                              .run = run,
                              .direct_entry = direct_entry,
                              .caller = caller,
                              .backtrace = backtrace,
                              .drop_module = drop_module,
                              .stats = stats,
                              .prepare_module = prepare_module,
                              .serialize = serialize,
                              .dump = dump_func};
#endif
