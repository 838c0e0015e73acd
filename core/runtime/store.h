/* store.h - everything that runs: the structs that the engines read. The only data header of the
 * run time.
 *
 * Generated code reads these through offsetof; nothing else in the engine may know a layout. Types
 * here are canonical (module/types.h). Ownership: a Store owns its instances, their functions and
 * segments, tables and reference-typed globals; memories, numeric globals, tags and host functions
 * are counted on their own. rille_X of the public header is X here; api.c casts.
 */
#ifndef RILLE_STORE_H
#define RILLE_STORE_H

#include "../base/alloc.h"
#include "../base/os.h"
#include "../module/module.h"

typedef uint64_t
    Slot; /* one value; a v128 takes two; references are pointers or 0, i31 has bit 0 set */

typedef struct Engine Engine;
typedef struct Store Store;
typedef struct Instance Instance;
typedef struct Func Func;
typedef struct Memory Memory;
typedef struct Table Table;
typedef struct Global Global;
typedef struct Tag Tag;
typedef struct Stack Stack;
typedef struct Act Act;
typedef struct EngineOps EngineOps;
typedef struct Heap Heap; /* gc_heap.h */
typedef struct Space Space;

typedef enum RunStatus {
  RUN_DONE,
  RUN_TRAP,
  RUN_THROW,
  RUN_LIMIT,
  RUN_EXIT
} RunStatus; /* = rille_Status */
typedef enum LimitKind {
  LIMIT_NONE,
  LIMIT_MEMORY,
  LIMIT_FUEL,
  LIMIT_TIMEOUT,
  LIMIT_INTERRUPT
} LimitKind;

typedef RunStatus HostFn(Act *act, void *data, Slot *slots);

/* What every run-time function of the engine needs: held by stores and modules. */
struct Engine {
  Alloc alloc;
  _Atomic uint32_t refs;
  const EngineOps *ops; /* of the default engine */
  struct {
    RunStatus (*poll)(Act *act);
    RunStatus (*on_limit)(Act *act, Instance *instance, const char *limit);
    void (*release_extern)(void *user, uint64_t payload);
    void *user;
  } hooks;
  OsMutex lock; /* of what follows */
  Stack *stack_pool;
  uint32_t n_pooled;
};

/* A function: of an instance, or of the host. A funcref is its address. */
struct Func {
  void *code;         /* the engine's: prepared code, or its stub that prepares on first call */
  Instance *instance; /* whose code it is; NULL for the host's */
  const Type *type;   /* holds a reference of its own only for host functions */
  uint32_t index;     /* in its module */
  uint32_t n_slots;   /* the larger of parameter and result slots */
  HostFn *host;       /* NULL: guest code */
  void *host_data;
  void (*host_drop)(void *data);
  Engine *engine;        /* host functions: allocated from */
  _Atomic uint32_t refs; /* host functions only */
};

struct Memory {
  uint8_t *base;      /* never moves when `is_guarded` */
  uint64_t size;      /* bytes that can be accessed now; read with relaxed atomics when shared */
  uint64_t reserved;  /* bytes of address space from base */
  MemoryType type;    /* limits.min is the initial one */
  uint64_t max_pages; /* the smaller of the type's and the implementation's */
  bool is_guarded;    /* 8 GiB reservation: compiled code needs no check */
  bool has_image;     /* image.c: pages of a file lie in it */
  Engine *engine;
  Store *owner;      /* whose allocation budget is charged, or NULL */
  Instance *charged; /* whose limit counts it, or NULL */
  OsMutex lock;      /* shared memories: grow */
  _Atomic uint32_t refs;
};

struct Table {
  Slot *items;
  uint64_t n, room;
  TableType type; /* canonical */
  uint64_t max;
  Store *store;
  Instance *charged;
  Table *next; /* of the store's */
};

struct Global {
  _Alignas(16) Slot cell[2];
  GlobalType type; /* canonical */
  Engine *engine;
  Store *store; /* of a reference type: owns it; else NULL */
  Global *next;
  _Atomic uint32_t refs; /* numeric globals */
};

struct Tag {
  const Type *type; /* holds a reference */
  Engine *engine;
  _Atomic uint32_t refs;
};

#if defined(__SANITIZE_ADDRESS__)
#define RILLE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RILLE_ASAN 1
#endif
#endif

typedef struct RunLimits {
  uint64_t memory_bytes, timeout_ns, stack_bytes; /* 0: none */
  bool has_fuel, suspends;
} RunLimits;

struct Instance {
  _Atomic uint32_t *poll; /* the store's flag: nonzero asks running code to look up */
  Memory **memories;
  Slot **globals; /* the cells */
  Table **tables;
  Func **funcs; /* imports first; then addresses inside own_funcs */
  Tag **tags;
  int64_t fuel; /* left; counts down; kept here between calls */
  Module *module;
  Store *store; /* through store_of: stores merge */
  const EngineOps *ops;
  Global **global_objects;
  Func *own_funcs; /* of the functions the module defines */
  bool *elem_dropped, *data_dropped;
  Slot **elem_items; /* evaluated element segments; freed when dropped */
  RunLimits limits;
  uint64_t memory_used; /* charged against limits.memory_bytes */
  bool is_closed;
  void *user;
  Memory *memory_export; /* once asked for: what it exports as "memory" */
  Instance *next;        /* of the store's */
  /* The compiler's: what its code reads while it runs in this instance. */
  Act *act;
  char *stack_limit;  /* the lowest address that frames may take */
  int64_t *fuel_left; /* of the instance that the activation entered */
  char *helper_sp;    /* end of the caller's frame, while a helper runs */
  void *memory_base;  /* of memory 0, when that never moves */
  void *engine_data;  /* its code */
  bool counts_fuel;   /* that does */
  Space *space;       /* where it allocates objects; an empty one at first */
};

/* What references of the any, extern and exn families point at starts with this. */
typedef struct Object {
  const Type *type; /* NULL: a HostValue */
} Object;

/* A value of the host behind an extern reference. */
typedef struct HostValue HostValue;
struct HostValue {
  Object object;
  uint64_t payload;
  HostValue *next; /* of the store's */
};

/* Structures: fields at Type.offsets behind the Object. Arrays: elements of Type.size bytes behind
 * this. */
typedef struct Array {
  Object object;
  uint32_t n;
  uint32_t unused;
} Array;

/* An exception; its type is the tag's function type. */
typedef struct Exception Exception;
struct Exception {
  Object object;
  Tag *tag;
  Exception *next; /* of those that hold a reference to the tag: made by the host */
  Slot values[];
};

/* Free bytes of a heap, for objects of one instance: gc.h allocates by moving `at`. */
typedef struct Space {
  char *at, *end;
} Space;

/* Stores merge: `into` is followed until NULL by store_of. Merging happens only while no guest code
 * of either store runs, or inside a host call: an engine that keeps instance->poll in a register
 * reads it again after host calls. */
struct Store {
  Store *_Atomic into;
  Engine *engine;
  Alloc *alloc;
  _Atomic uint32_t refs;
  _Atomic uint32_t poll; /* see POLL_ bits */
  Instance *instances;
  Table *tables;
  Global *globals;
  Heap *heap; /* NULL until the first object */
  Act *acts;  /* activations of its functions on any stack: their values may be references. Those
                 that are idle have none, and their functions may be gone */
  bool has_handlers;
  bool is_alias; /* it was empty when it joined: it counts its own handles, and holds `into` once */
  Store *merged; /* the stores that point here, freed with it */
  Store *next_merged;
  HostValue *host_values;
  Func **held; /* host functions that references of the store may mean: an open-addressed set */
  uint32_t n_held, held_room;
  size_t weight; /* objects in the lists above: merging walks the lists of the lighter store */
  /* limits.c, under its lock: */
  _Atomic bool is_ticked; /* in the ticker's list; when not, POLL_TICK is set */
  bool was_ticked;        /* by its own thread: it was in the list at some time */
  uint32_t slow_polls;
  uint64_t slow_since_ns;
  Store *next_ticked;
};

enum { POLL_INTERRUPT = 1, POLL_TICK = 2 }; /* Store.poll */

static inline Store *store_of(Store *store) {
  for (Store *into; (into = atomic_load_explicit(&store->into, memory_order_acquire)) != NULL;) {
    store = into;
  }
  return store;
}

/* One entry of guest code from the host. The head is rille_Activation of the public header; it
 * lives on its guest stack. */
struct Act {
  Slot *
      slots; /* arguments and results of the function entered; the value stack of the run follows */
  Slot *host_slots;
  Func *host_func;
  void *context;
  Act *outer;
  Stack *stack;
  Func *func;
  intptr_t user;
  /* the engine's own part */
  void *host_sp;        /* C stack of the caller: where a host call switches to */
  void *guest_sp;       /* guest stack, while a host call runs or is suspended */
  uint64_t is_resumed;  /* host_sp is a frame of rille_switch_resume */
  uint64_t thread;      /* os_thread_token of the thread in host_sp */
  Instance *instance;   /* entered: its limits hold */
  Slot *value_end;      /* limit of the value stack for this run */
  Slot *value_top;      /* first free slot behind all live frames, while in a host call: nested runs
                           start here */
  char *anchor;         /* C stack address of the entry: tells which activations are dead */
  uint64_t deadline_ns; /* monotonic; UINT64_MAX: none */
  Act *next_act, **act_link; /* of the store's; no link: in none */
  uint64_t idle_in;          /* rests in its store's list for the next run in this thread, or 0 */
  uint32_t depth;            /* nested activations below it on its stack */
  uint8_t state;             /* ACT_... */
  /* From here up to the message everything is zero at first. */
  void *frames; /* the engine's innermost frame, while in a host call or after a trap: for
                   backtraces */
  uint64_t time_left_ns;
  Slot exception;
  void *waiter;     /* wait.c: while it waits for a wake, else NULL */
  RunStatus status; /* of the last run */
  Trap trap;
  LimitKind limit;
  int exit_status;
  ErrorKind error_kind; /* of a host trap: ERROR_TRAP, or what replaces it */
  char message[192];    /* of a host trap */
  void *entry_sp;       /* the compiler's: the frame that traps go back to */
  void *place[3];       /* what `frames` points at after a run (of the compiler: also in one) */
#ifdef RILLE_ASAN       /* where the address sanitizer thinks the two stacks are */
  void *host_fake, *guest_fake;
  const void *host_bottom;
  size_t host_size;
#endif
};

enum { ACT_NEW, ACT_RUNNING, ACT_IN_HOST, ACT_DETACHED, ACT_ENDED };

/* A guest stack: [guard | value stack, growing up ... machine stack, growing down]. */
struct Stack {
  Act *top;
  char *map;
  size_t size;
  Slot *values; /* first slot of the value stack */
  Slot *values_end;
  char *machine_top; /* where the machine stack starts */
  Engine *engine;
  void *user;
  bool stays;        /* it and the stores it enters are always in one thread: rille_keep_together */
  Stack *next;       /* of the pool */
  unsigned valgrind; /* the tool's name for it */
};

/* A frame of a backtrace. */
typedef struct FrameInfo {
  Module *module;
  uint32_t func;
  uint64_t offset; /* of the instruction, in the module's bytes */
} FrameInfo;

/* How a module is to be prepared. */
typedef struct PrepareOptions {
  bool is_eager; /* all functions now, not each at its first call */
  bool is_quiet; /* code that relies on no signal handler */
  bool notes_perf, notes_gdb;
  const char *cache; /* a directory for code, or NULL; copied */
  Str native;        /* what `serialize` gave, known to be whole, or empty; not kept */
} PrepareOptions;

/* What an engine made for a module so far. */
typedef struct EngineStats {
  size_t funcs, bytes; /* that can run; their code */
  size_t kept_funcs;   /* of these: read from a file or a serialised module */
  uint64_t ns;         /* time that compiling took */
} EngineStats;

/* How the run time reaches an engine: never by name. */
struct EngineOps {
  const char *name; /* "interpreter", "compiler" */
  /* Makes a fresh instance's functions callable (sets Func.code). False: no memory. */
  bool (*prepare_instance)(Instance *instance);
  /* Runs act->func on the guest stack, arguments and results in act->slots. Called on the guest
   * stack. */
  RunStatus (*run)(Act *act);
  /* A way to enter the function without slots, see rille_direct_entry; NULL: none. May be NULL. */
  const void *(*direct_entry)(const Func *func);
  /* The instance whose code is at act->frames. */
  Instance *(*caller)(const Act *act);
  /* Fills up to `room` frames from act->frames, innermost first; returns how many there are. */
  uint32_t (*backtrace)(const Act *act, FrameInfo *out, uint32_t room);
  /* Frees module->engine_data. */
  void (*drop_module)(Module *module);
  void (*stats)(const Module *module, EngineStats *out);
  /* What the loader was told; once, before anything else. NULL: the engine has no use for it. */
  bool (*prepare_module)(Module *module, const PrepareOptions *options, Error *error);
  /* Appends all code of the module, for PrepareOptions.native. Raises to the buffer's guard. NULL:
   * the engine has no code that could be kept. */
  void (*serialize)(Module *module, Buf *out);
  /* Appends what the compiler makes of a function after the passes that `what` names, for people to
   * read; false when it names none. Raises to the buffer's guard. NULL: no passes. */
  bool (*dump)(Module *module, uint32_t func, const char *what, Buf *out);
};

#endif
