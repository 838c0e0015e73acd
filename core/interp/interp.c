/* interp.c - the interpreter as an engine: preparing modules, entering functions, backtraces.
 */
#include "interp.h"

#include "../runtime/switch.h"
#include "run.h"

/* What Code.ops points at before the function's first call: an Ops of zeros, then one instruction
 * that translates the function. */
typedef struct StubOps {
  _Alignas(Ops) uint8_t head[sizeof(Ops)];
  Handler *handler;
} StubOps;
static const StubOps stubs[VARIANTS] = {{.handler = h_PREPARE}, {.handler = h_PREPARE_FUEL}};
_Static_assert(offsetof(StubOps, handler) == offsetof(Ops, bytes), "a stub is code");

static ModuleCode *module_code_new(Module *module) {
  uint32_t n = module->n_funcs - module->n_imported_funcs;
  size_t size = sizeof(ModuleCode) + n * sizeof(Code);
  ModuleCode *owner = alloc_zero(module->alloc, size);
  if (!owner) return NULL;
  owner->module = module;
  owner->block_size = size;
  owner->n_codes = n;
  for (uint32_t i = 0; i < n; i++) {
    Code *code = &owner->codes[i];
    code->owner = owner;
    code->index = module->n_imported_funcs + i;
    const CompType *type = module_func_type(module, code->index);
    for (uint32_t p = 0; p < type->n_params; p++) code->n_param_slots += type_slots(type->types[p]);
    for (unsigned v = 0; v < VARIANTS; v++)
      atomic_init(&code->ops[v], (const Ops *)(const void *)&stubs[v]);
  }
  return owner;
}

static bool prepare_instance(Instance *instance) {
  Module *module = instance->module;
  ModuleCode *owner = atomic_load(&module->engine_data);
  if (!owner) {
    void *none = NULL;
    owner = module_code_new(module);
    if (!owner) return false;
    if (!atomic_compare_exchange_strong(&module->engine_data, &none, owner)) {
      alloc_free(module->alloc, owner, owner->block_size);
      owner = none;
    }
  }
  for (uint32_t i = 0; i < owner->n_codes; i++) instance->own_funcs[i].code = &owner->codes[i];
  return true;
}

static void drop_module(Module *module) {
  ModuleCode *owner = atomic_load(&module->engine_data);
  if (!owner) return;
  for (uint32_t i = 0; i < owner->n_codes; i++) {
    for (unsigned v = 0; v < VARIANTS; v++) {
      Ops *ops = (Ops *)(uintptr_t)code_ops(&owner->codes[i], v);
      if (ops->n_bytes != 0) alloc_free(module->alloc, ops, ops->block_size);
    }
  }
  alloc_free(module->alloc, owner, owner->block_size);
  atomic_store(&module->engine_data, NULL);
}

static void stats(const Module *module, EngineStats *out) {
  const ModuleCode *owner = atomic_load(&((Module *)(uintptr_t)module)->engine_data);
  if (owner == NULL) return;
  out->funcs = atomic_load(&owner->n_prepared);
  out->bytes = atomic_load(&owner->n_bytes);
}

/* Running */

static RunStatus enter(PARAMS) {
#if HAS_TAIL_CALLS
  DISPATCH();
#else
  RunStatus status;
  run->pc = pc, run->fp = fp, run->mem = mem, run->mem_size = mem_size;
  run->acc = acc, run->f = f, run->d = d;
  do {
    Handler *next = *(Handler *const *)(const void *)run->pc;
    status = next(run->pc, run->fp, run->mem, run->mem_size, run->acc, run, run->f, run->d);
  } while (status == RUN_CONTINUE);
  return status;
#endif
}

/* The run's machine stack lies beyond the stack pointer, or is gone, when somebody asks for a
 * backtrace: what that starts from is kept in the activation. */
static void keep_place(Act *act, const Place *place) {
  _Static_assert(sizeof *place == sizeof act->place, "an activation has room for a place");
  memcpy(act->place, place, sizeof *place);
  act->frames = act->place;
}

static RunStatus run_function(Act *act) {
  Func *func = act->func;
  Instance *entered = act->instance;
  Run run; /* places are written before they are read: clearing them would be half of the entry */
  run.act = act;
  run.value_end = act->value_end;
  run.fuel = &entered->fuel;
  run.variant = entered->limits.has_fuel ? VARIANT_FUEL : VARIANT_PLAIN;
  run_set_instance(&run, func->instance);
  const Code *code = func->code;
  const Ops *ops = code_ops(code, run.variant);
  /* A function that was not prepared yet has no frame: the stack has room for its parameters. */
  size_t room = (size_t)((char *)act->value_end - (char *)act->slots);
  if (UNLIKELY(room < ops->frame_bytes)) return run_trap(act, TRAP_STACK_EXHAUSTED);
  act->slots[code->n_param_slots] = (Slot)(uintptr_t)run_exit_address();
  const Memory *memory =
      func->instance->module->n_memories != 0 ? func->instance->memories[0] : NULL;
  RunStatus status =
      enter(ops->bytes, act->slots, memory ? memory->base : NULL,
            memory ? memory_size_now(memory) : 0, (uint64_t)(uintptr_t)code, &run, 0, 0);
  if (status != RUN_DONE && act->frames) keep_place(act, &run.place);
  return status;
}

/* Backtraces */

const Ops *interp_find_ops(const Instance *instance, const uint8_t *pc) {
  const ModuleCode *owner = atomic_load(&instance->module->engine_data);
  for (uint32_t i = 0; i < owner->n_codes; i++) {
    for (unsigned v = 0; v < VARIANTS; v++) {
      const Ops *ops = code_ops(&owner->codes[i], v);
      if (ops_contains(ops, pc)) return ops;
    }
  }
  return NULL;
}

static const Ops *caller_ops(const uint8_t *return_address) {
  const Code *caller = ((const CallTail *)(const void *)return_address - 1)->caller;
  return code_ops_at(caller, return_address - 1);
}

/* The last position at or before pc: what has none cannot trap. */
static uint64_t position_of(const Ops *ops, const uint8_t *pc) {
  const Position *positions = ops_positions(ops);
  uint32_t at = (uint32_t)(pc - ops->bytes), low = 0, high = ops->n_positions;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (positions[middle].at <= at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low != 0 ? positions[low - 1].offset : 0;
}

static Instance *caller(const Act *act) {
  const Place *place = act->frames;
  return place ? (Instance *)(uintptr_t)place->instance : NULL;
}

static uint32_t backtrace(const Act *act, FrameInfo *out, uint32_t room) {
  const Place *place = act->frames;
  if (!place || run_is_exit(place->pc + 1)) return 0;
  const uint8_t *pc = place->pc;
  const Slot *fp = place->fp;
  const Instance *instance = place->instance;
  const Ops *ops = interp_find_ops(instance, pc);
  uint32_t n = 0;
  while (ops) {
    if (n < room) out[n] = (FrameInfo){instance->module, ops->code->index, position_of(ops, pc)};
    n++;
    const uint8_t *to = (const uint8_t *)(uintptr_t)fp[ops->code->n_param_slots];
    if (run_is_instance_return(to)) {
      fp -= RUN_RECORD_SLOTS;
      to = run_record_return(fp);
      instance = run_record_instance(fp);
    }
    if (run_is_exit(to)) break;
    fp -= load_u16(to - 2);
    pc = to - 1;
    ops = caller_ops(to);
  }
  return n;
}

const EngineOps interp_engine = {
    .name = "interpreter",
    .prepare_instance = prepare_instance,
    .run = run_function,
    .caller = caller,
    .backtrace = backtrace,
    .drop_module = drop_module,
    .stats = stats,
};
