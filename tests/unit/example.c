/* example.c - a whole program that embeds Rille: load, link, call, catch, limit, free.
 *
 * It uses rille.h and nothing else of the engine. Build it against an installed library with
 *   cc example.c -lrille
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rille.h"

/* The guest: imports a function that shows text from its memory, exports two functions. */
static const char guest[] = "(module $greeter\n"
                            "  (import \"env\" \"show\" (func $show (param i32 i32)))\n"
                            "  (memory (export \"memory\") 1)\n"
                            "  (data (i32.const 16) \"hello from the guest\")\n"
                            "  (func (export \"greet\")\n"
                            "    (call $show (i32.const 16) (i32.const 20)))\n"
                            "  (func $divide (export \"divide\") (param i32 i32) (result i32)\n"
                            "    (i32.div_s (local.get 0) (local.get 1)))\n"
                            "  (func (export \"spin\")\n"
                            "    (loop (br 0))))\n";

/* What the host keeps for its function: where the guest's memory is, once there is an instance. */
typedef struct Host {
  rille_Memory *memory;
} Host;

/* A host function gets its arguments in slots, an i32 in the low half of each. It never trusts the
 * guest's addresses. */
static rille_Status show(rille_Activation *activation, void *data, rille_Slot *slots) {
  const Host *host = data;
  uint32_t at = (uint32_t)slots[0], length = (uint32_t)slots[1];
  uint64_t size;
  const uint8_t *bytes = rille_memory_bytes(host->memory, &size);
  if (at > size || length > size - at) return rille_trap(activation, "show: out of bounds");
  printf("%.*s\n", (int)length, (const char *)bytes + at);
  return RILLE_DONE;
}

/* Shows an error with the guest's frames, and frees it. */
static void print_error(rille_Error *error) {
  printf("%s: %s\n", rille_error_kind_name(rille_error_kind(error)), rille_error_message(error));
  const rille_Frame *frames;
  size_t n = rille_error_frames(error, &frames);
  for (size_t i = 0; i < n; i++) {
    printf("  in %s of %s\n", frames[i].func[0] != '\0' ? frames[i].func : "a function",
           frames[i].module);
  }
  rille_free_error(error);
}

static int fail(rille_Error *error) {
  print_error(error);
  return EXIT_FAILURE;
}

/* An exported function; borrowed from the instance. */
static rille_Func *find_func(rille_Instance *instance, const char *name) {
  rille_Extern item;
  if (!rille_find_export(instance, name, &item) || item.kind != RILLE_EXTERN_FUNC) abort();
  return item.func;
}

static rille_Func *make_show(rille_Engine *engine, Host *host) {
  rille_FuncType *type = rille_parse_func_type("(param i32 i32)", NULL);
  rille_Func *func = rille_new_host_func(engine, type, show, host, NULL);
  rille_free_func_type(type);
  return func;
}

/* Imports are given in the module's order, which this program knows: there is one. */
static rille_Instance *instantiate(rille_Engine *engine, rille_Module *module, Host *host,
                                   rille_Error **error) {
  rille_Func *func = make_show(engine, host);
  rille_Extern imports[] = {{.kind = RILLE_EXTERN_FUNC, .func = func}};
  rille_Limits limits = {.memory_bytes = 1 << 20, .timeout_ns = 100 * 1000 * 1000};
  rille_Store *store = rille_new_store(engine);
  rille_Instance *instance = rille_instantiate(store, module, imports, &limits, error);
  /* The instance keeps what it needs; these handles are not wanted any more. */
  rille_free_store(store);
  rille_free_func(func);
  return instance;
}

static int use(rille_Instance *instance) {
  rille_Error *error = NULL;
  if (!rille_call(find_func(instance, "greet"), NULL, 0, NULL, 0, &error)) return fail(error);

  rille_Value args[] = {{.type = RILLE_I32, .i32 = 84}, {.type = RILLE_I32, .i32 = 2}}, result;
  rille_Func *divide = find_func(instance, "divide");
  if (!rille_call(divide, args, 2, &result, 1, &error)) return fail(error);
  printf("84 / 2 = %d\n", result.i32);

  /* A trap ends the call and leaves the instance as it is. */
  args[1].i32 = 0;
  if (rille_call(divide, args, 2, &result, 1, &error)) return EXIT_FAILURE;
  print_error(error);

  /* So does a limit. */
  if (rille_call(find_func(instance, "spin"), NULL, 0, NULL, 0, &error)) return EXIT_FAILURE;
  print_error(error);
  return rille_call(find_func(instance, "greet"), NULL, 0, NULL, 0, NULL) ? EXIT_SUCCESS
                                                                          : EXIT_FAILURE;
}

int main(void) {
  rille_Engine *engine = rille_new_engine(NULL, NULL);
  rille_Error *error = NULL;
  rille_Module *module = rille_load(engine, guest, strlen(guest), NULL, &error);
  if (module == NULL) return fail(error);
  Host host = {NULL};
  rille_Instance *instance = instantiate(engine, module, &host, &error);
  if (instance == NULL) return fail(error);
  rille_Extern memory;
  if (!rille_find_export(instance, "memory", &memory)) return EXIT_FAILURE;
  host.memory = memory.memory;

  int status = use(instance);

  rille_free_instance(instance);
  rille_free_module(module);
  printf("%zu bytes left\n", rille_engine_bytes(engine));
  rille_free_engine(engine);
  return status;
}
