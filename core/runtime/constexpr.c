/* constexpr.c - constant expressions. Spec: 3.0, "Constant Expressions". */
#include "constexpr.h"

#include "../module/instr.h"
#include "object.h"
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

/* Objects */

static const Type *type_operand(const Machine *machine, const Instr *instr) {
  return type_of_id(machine->instance->module->type_ids[instr->index]);
}

static bool fail_heap(Machine *machine) {
  error_set(machine->error, ERROR_LIMIT, "the memory limit was reached");
  machine->error->code = LIMIT_MEMORY;
  return false;
}

/* Allocates while the collector sees what is on the stack; NULL fails. */
static Object *allocate(Machine *machine, const Type *type, uint64_t size) {
  Instance *instance = machine->instance;
  GcScope scope;
  Object *object = NULL;
  if (gc_open_scope(instance->store, &scope, machine->stack, machine->n)) {
    object = gc_alloc(instance->store, instance, type, size);
    gc_close_scope(&scope);
  }
  if (object == NULL) fail_heap(machine);
  return object;
}

static bool push_struct(Machine *machine, const Instr *instr) {
  const Type *type = type_operand(machine, instr);
  Object *object = allocate(machine, type, gc_struct_size(type));
  if (object == NULL) return false;
  if (instr->op == OP_STRUCT_NEW) {
    for (uint32_t i = 0; i < type->comp.n_fields; i++) {
      machine->n -= type_slots(type->comp.fields[i].type);
    }
    object_fill(object, machine->stack + machine->n);
  } else {
    memset(gc_fields(object), 0, type->size);
  }
  return push(machine, gc_ref(object));
}

/* `n_slots` operands, all in all, are replaced by the array. */
static Array *start_array(Machine *machine, const Instr *instr, uint32_t n, uint32_t n_slots) {
  const Type *type = type_operand(machine, instr);
  Array *array = (Array *)(void *)allocate(machine, type, gc_array_size(type, n));
  if (array == NULL) return NULL;
  array->n = n;
  machine->n -= n_slots;
  return array;
}

static bool push_array(Machine *machine, const Instr *instr) {
  uint32_t n = (uint32_t)machine->stack[machine->n - 1];
  bool is_default = instr->op == OP_ARRAY_NEW_DEFAULT;
  const Type *type = type_operand(machine, instr);
  uint32_t value_slots = is_default ? 0 : type_slots(type->comp.fields[0].type);
  Array *array = start_array(machine, instr, n, 1 + value_slots);
  if (array == NULL) return false;
  if (is_default) {
    memset(gc_elements(array), 0, (size_t)n * type->size);
  } else {
    array_set_all(array, 0, n, machine->stack + machine->n);
  }
  return push(machine, gc_ref(array));
}

static bool push_fixed_array(Machine *machine, const Instr *instr) {
  uint32_t slots = type_slots(type_operand(machine, instr)->comp.fields[0].type);
  Array *array = start_array(machine, instr, instr->index2, slots * instr->index2);
  if (array == NULL) return false;
  array_fill_from(array, machine->stack + machine->n);
  return push(machine, gc_ref(array));
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
    case OP_STRUCT_NEW:
    case OP_STRUCT_NEW_DEFAULT: return push_struct(machine, instr);
    case OP_ARRAY_NEW:
    case OP_ARRAY_NEW_DEFAULT: return push_array(machine, instr);
    case OP_ARRAY_NEW_FIXED: return push_fixed_array(machine, instr);
    case OP_REF_I31:
      machine->stack[machine->n - 1] = ref_of_i31((uint32_t)machine->stack[machine->n - 1]);
      return true;
    case OP_ANY_CONVERT_EXTERN:
    case OP_EXTERN_CONVERT_ANY:
    default: return true; /* one representation for both; there are no others */
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
