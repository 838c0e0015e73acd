/* api.h - what the files of the public interface share: casts between handles and the engine's
 * structs, and error objects.
 */
#ifndef RILLE_API_H
#define RILLE_API_H

#include "../../include/rille.h"
#include "../runtime/link.h"
#include "../runtime/store.h"

_Static_assert(offsetof(struct rille_Activation, user) == offsetof(Act, user),
               "rille_Activation is the head of Act");
_Static_assert(sizeof(rille_Extern) == sizeof(Extern), "rille_Extern is Extern");

/* Handles are the engine's structs under another name. */
#define API_CAST(Public, Internal, name)                        \
  static inline Internal *name##_of(const Public *handle) {     \
    return (Internal *)(uintptr_t)handle;                       \
  }                                                             \
  static inline Public *name##_handle(const Internal *object) { \
    return (Public *)(uintptr_t)object;                         \
  }
API_CAST(rille_Engine, Engine, engine)
API_CAST(rille_Module, Module, module)
API_CAST(rille_Store, Store, root)
API_CAST(rille_Instance, Instance, instance)
API_CAST(rille_Func, Func, func)
API_CAST(rille_Memory, Memory, memory)
API_CAST(rille_Table, Table, table)
API_CAST(rille_Global, Global, global)
API_CAST(rille_Tag, Tag, tag)
API_CAST(rille_Stack, Stack, stack)
API_CAST(rille_Activation, Act, act)
API_CAST(rille_FuncType, Type, func_type)
API_CAST(rille_Extern, Extern, extern)
#undef API_CAST

/* Error objects: *out is set when out is not NULL. All return false, for `return fail(...)`. */
bool api_fail(rille_Error **out, const Error *error);
bool api_fail_text(rille_Error **out, ErrorKind kind, const char *format, ...) PRINTF_LIKE(3, 4);
bool api_fail_memory(rille_Error **out);
/* The error of an activation's last run, with its frames. NULL when it was none. */
rille_Error *api_error_of_act(const Act *act);

/* Copies text as snprintf does. */
size_t api_print(char *out, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
