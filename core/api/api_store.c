/* api_store.c - stores and instances. */
#include "../module/names.h"
#include "../runtime/externs.h"
#include "../runtime/instance.h"
#include "../runtime/limits.h"
#include "../runtime/stack.h"
#include "../runtime/stores.h"
#include "api.h"

rille_Store *rille_new_store(rille_Engine *engine) {
  return root_handle(store_new(engine_of(engine)));
}

void rille_free_store(rille_Store *store) {
  if (store != NULL) store_release(root_of(store));
}

void rille_retain_store(rille_Store *store) {
  store_retain(root_of(store));
}

void rille_interrupt(rille_Store *store) {
  store_interrupt(root_of(store));
}

/* Instances */

static InstanceStart read_limits(const rille_Limits *limits) {
  if (limits == NULL) return (InstanceStart){.fuel = 0};
  return (InstanceStart){.limits = {.memory_bytes = limits->memory_bytes,
                                    .timeout_ns = limits->timeout_ns,
                                    .stack_bytes = MIN(limits->stack_bytes, RILLE_STACK_MAX),
                                    .has_fuel = limits->has_fuel || limits->fuel != 0,
                                    .suspends = limits->suspends},
                         .fuel = limits->fuel};
}

rille_Instance *rille_begin_instance(rille_Store *store, rille_Module *module,
                                     const rille_Extern *imports, const rille_Limits *limits,
                                     rille_Func **start, rille_Error **error) {
  InstanceStart how = read_limits(limits);
  Error failure;
  const Extern *items = extern_of(imports);
  Instance *instance = instance_new(root_of(store), module_of(module), items, &how, &failure);
  if (instance == NULL) {
    api_fail(error, &failure);
    return NULL;
  }
  store_retain(instance->store);
  uint32_t index = instance->module->start;
  *start = index != NO_INDEX ? func_handle(instance->funcs[index]) : NULL;
  return instance_handle(instance);
}

rille_Instance *rille_instantiate(rille_Store *store, rille_Module *module,
                                  const rille_Extern *imports, const rille_Limits *limits,
                                  rille_Error **error) {
  rille_Func *start;
  rille_Instance *instance = rille_begin_instance(store, module, imports, limits, &start, error);
  if (instance == NULL) return NULL;
  if (start != NULL && !rille_call(start, NULL, 0, NULL, 0, error)) {
    rille_free_instance(instance);
    return NULL;
  }
  return instance;
}

void rille_free_instance(rille_Instance *instance) {
  if (instance != NULL) store_release(instance_of(instance)->store);
}

void rille_close_instance(rille_Instance *instance) {
  instance_of(instance)->is_closed = true;
}

bool rille_instance_is_running(const rille_Instance *instance) {
  const Instance *wanted = instance_of(instance);
  for (const Act *act = store_of(wanted->store)->acts; act != NULL; act = act->next_act) {
    if (act_is_running(act) && act->func->instance == wanted) return true;
  }
  return false;
}

rille_Module *rille_instance_module(rille_Instance *instance) {
  return module_handle(instance_of(instance)->module);
}

rille_Store *rille_instance_store(rille_Instance *instance) {
  return root_handle(store_of(instance_of(instance)->store));
}

static void give_extern(Extern item, rille_Extern *out) {
  out->kind = (rille_ExternKind)item.kind;
  out->func = func_handle(item.func);
}

bool rille_instance_export(rille_Instance *handle, size_t index, rille_Extern *out) {
  const Instance *instance = instance_of(handle);
  if (index >= instance->module->n_exports) return false;
  const Export *export = &instance->module->exports[index];
  give_extern(instance_extern(instance, export->kind, export->index), out);
  return true;
}

bool rille_find_export(rille_Instance *handle, const char *name, rille_Extern *out) {
  const Module *module = instance_of(handle)->module;
  Str wanted = str_of(name);
  for (uint32_t i = 0; i < module->n_exports; i++) {
    if (str_equal(module->exports[i].name, wanted)) return rille_instance_export(handle, i, out);
  }
  return false;
}

rille_Memory *rille_instance_memory(rille_Instance *handle) {
  Instance *instance = instance_of(handle);
  rille_Extern item;
  if (instance->memory_export == NULL && rille_find_export(handle, "memory", &item) &&
      item.kind == RILLE_EXTERN_MEMORY) {
    instance->memory_export = memory_of(item.memory);
  }
  return memory_handle(instance->memory_export);
}

uint64_t rille_instance_fuel(const rille_Instance *instance) {
  int64_t fuel = instance_of(instance)->fuel;
  return fuel > 0 ? (uint64_t)fuel : 0;
}

void rille_add_fuel(rille_Instance *handle, uint64_t amount) {
  Instance *instance = instance_of(handle);
  int64_t room = instance->fuel > 0 ? INT64_MAX - instance->fuel : INT64_MAX;
  instance->fuel += (int64_t)MIN(amount, (uint64_t)room);
}

uint64_t rille_instance_memory_bytes(const rille_Instance *instance) {
  return __atomic_load_n(&instance_of(instance)->memory_used, __ATOMIC_RELAXED);
}

bool rille_instance_has_handlers(const rille_Instance *instance) {
  return store_of(instance_of(instance)->store)->has_handlers;
}

void *rille_instance_user(const rille_Instance *instance) {
  return instance_of(instance)->user;
}

void rille_set_instance_user(rille_Instance *instance, void *user) {
  instance_of(instance)->user = user;
}

/* Functions as objects */

rille_Store *rille_func_store(const rille_Func *handle) {
  const Instance *instance = func_of(handle)->instance;
  return instance != NULL ? root_handle(store_of(instance->store)) : NULL;
}

rille_Func *rille_new_host_func(rille_Engine *engine, const rille_FuncType *type, rille_HostFn *fn,
                                void *data, void (*drop)(void *data)) {
  return func_handle(
      func_new_host(engine_of(engine), func_type_of(type), (HostFn *)(void *)fn, data, drop));
}

void rille_retain_func(rille_Func *func) {
  func_retain(func_of(func));
}

void rille_free_func(rille_Func *func) {
  if (func != NULL) func_release(func_of(func));
}

const rille_FuncType *rille_func_type(const rille_Func *func) {
  return func_type_handle(func_of(func)->type);
}

rille_Instance *rille_func_instance(const rille_Func *func) {
  return instance_handle(func_of(func)->instance);
}

uint32_t rille_func_index(const rille_Func *func) {
  return func_of(func)->index;
}

void *rille_host_func_data(const rille_Func *func) {
  return func_of(func)->host_data;
}

static Str exported_name(const Module *module, uint32_t index) {
  for (uint32_t i = 0; i < module->n_exports; i++) {
    const Export *export = &module->exports[i];
    if (export->kind == EXTERN_FUNC && export->index == index) return export->name;
  }
  return (Str){"", 0};
}

size_t rille_print_func_name(const rille_Func *handle, char *out, size_t size) {
  const Func *func = func_of(handle);
  if (func->instance == NULL) return api_print(out, size, "host function");
  Module *module = func->instance->module;
  Str name = module_name_of(module, NAMES_FUNCS, func->index);
  if (name.size == 0) name = exported_name(module, func->index);
  if (name.size == 0) return api_print(out, size, "func[%u]", (unsigned)func->index);
  return api_print(out, size, "%.*s", (int)MIN(name.size, 4096), name.at);
}
