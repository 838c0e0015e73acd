/* constexpr.c - constant expressions. Spec: 3.0, "Constant Expressions". */
#include "constexpr.h"

#include "../module/instr.h"
#include "stores.h"

enum { DEPTH_SMALL = 16 };

typedef struct Machine {
  Instance *instance;
  Error *error;
  Slot *stack; /* `fixed`, or from the instance's allocator */
  uint32_t n, room;
  Slot fixed[DEPTH_SMALL];
} Machine;

static Alloc *alloc_of(const Machine *machine) {
  return machine->instance->store->alloc;
}

static bool grow(Machine *machine) {
  uint32_t room = machine->room * 2;
  bool is_fixed = machine->stack == machine->fixed;
  Slot *stack = alloc_resize(alloc_of(machine), is_fixed ? NULL : machine->stack,
                             is_fixed ? 0 : machine->room * sizeof(Slot), room * sizeof(Slot));
  if (stack == NULL) {
    error_set(machine->error, ERROR_MEMORY, "out of memory");
    return false;
  }
  if (is_fixed) memcpy(stack, machine->fixed, sizeof machine->fixed);
  machine->stack = stack;
  machine->room = room;
  return true;
}

static bool push(Machine *machine, Slot value) {
  if (machine->n == machine->room && !grow(machine)) return false;
  machine->stack[machine->n++] = value;
  return true;
}

static bool push_global(Machine *machine, uint32_t index) {
  const Instance *instance = machine->instance;
  const Slot *cell = instance->globals[index];
  if (!push(machine, cell[0])) return false;
  return type_slots(instance->module->globals[index].type.type) == 1 || push(machine, cell[1]);
}

static bool push_vector(Machine *machine, const uint8_t *bytes) {
  return push(machine, load_u64(bytes)) && push(machine, load_u64(bytes + 8));
}

/* Applies to the top two slots; the result of 32-bit operations is cut by whoever reads it. */
static void calculate(Machine *machine, Op op) {
  Slot b = machine->stack[--machine->n];
  Slot *a = &machine->stack[machine->n - 1];
  switch (op) {
    case OP_I32_ADD:
    case OP_I64_ADD: *a += b; break;
    case OP_I32_SUB:
    case OP_I64_SUB: *a -= b; break;
    default: *a *= b; break;
  }
}

static bool fail_unsupported(Machine *machine, const Instr *instr) {
  error_set(machine->error, ERROR_UNSUPPORTED, "not built yet: GC objects (%s)",
            op_info[instr->op].text);
  return false;
}

static bool step(Machine *machine, const Instr *instr) {
  switch (instr->op) {
    case OP_I32_CONST: return push(machine, (uint32_t)instr->u64);
    case OP_I64_CONST:
    case OP_F32_CONST:
    case OP_F64_CONST: return push(machine, instr->u64);
    case OP_V128_CONST: return push_vector(machine, instr->v128);
    case OP_REF_NULL: return push(machine, 0);
    case OP_REF_FUNC: return push(machine, (Slot)(uintptr_t)machine->instance->funcs[instr->index]);
    case OP_GLOBAL_GET: return push_global(machine, instr->index);
    case OP_I32_ADD:
    case OP_I32_SUB:
    case OP_I32_MUL:
    case OP_I64_ADD:
    case OP_I64_SUB:
    case OP_I64_MUL: calculate(machine, instr->op); return true;
    case OP_REF_I31:
      machine->stack[machine->n - 1] = ref_of_i31((uint32_t)machine->stack[machine->n - 1]);
      return true;
    case OP_ANY_CONVERT_EXTERN:
    case OP_EXTERN_CONVERT_ANY: return true; /* one representation for both */
    default: return fail_unsupported(machine, instr);
  }
}

static bool run(Machine *machine, ConstExpr expr) {
  const uint8_t *bytes = machine->instance->module->bytes;
  Reader reader = {
      .at = bytes + expr.at, .end = bytes + expr.end, .start = bytes, .func = ERROR_NO_FUNC};
  for (;;) {
    Instr instr;
    instr_read(&reader, &instr);
    if (instr.op == OP_END) return true;
    if (!step(machine, &instr)) return false;
  }
}

bool constexpr_eval(Instance *instance, ConstExpr expr, Slot *out, Error *error) {
  Machine machine = {.instance = instance, .error = error, .room = DEPTH_SMALL};
  machine.stack = machine.fixed;
  bool ok = run(&machine, expr);
  if (ok) memcpy(out, machine.stack, machine.n * sizeof(Slot));
  if (machine.stack != machine.fixed) {
    alloc_free(alloc_of(&machine), machine.stack, machine.room * sizeof(Slot));
  }
  return ok;
}
