/* types.c - the registry of canonical types, matching, and types as text.
 *
 * The registry is one table per process, from the structure of a recursion group to the group. A
 * group is described by a key: a row of words in which references to types outside the group are
 * canonical ids and references inside count from the group's start, so that two groups are equal
 * when their words are (spec 3.0, "Type Equivalence"). A group lives while somebody holds it:
 * modules, host functions, and other groups that mention it.
 *
 * Ids index a two-level table whose chunks never move, hence type_of_id takes no lock: whoever has
 * an id holds its group, and got it through something that orders memory.
 */
#include "types.h"

#include <stdio.h>

#include "../base/map.h"
#include "../base/os.h"

enum {
  CHUNK = 4096,
  KEY_ON_STACK = 128,
  RELATIVE_TYPE = 0x20,     /* in a key's value type: the index counts from the group */
  RELATIVE_SUPER = 1 << 30, /* the same in a supertype */
  NO_FREE_ID = HEAP_INDEX_END,
};

typedef struct Group Group;
struct Group {
  Group *next; /* of the same bucket; of the work list when the group dies */
  uint64_t hash;
  uint32_t refs, n, n_words;
  size_t body_size;
  void *body; /* displays, types, fields and offsets of all members */
  uint32_t *words;
  Type types[];
};

static struct {
  OsMutex mutex;
  Alloc alloc;
  uint64_t seed;
  Group **buckets;
  uint32_t n_buckets, n_groups; /* the number of buckets is a power of two */
  uint32_t free_id, end_id; /* the list of ids given back; ids never given out start at end_id */
} registry;
static _Atomic int registry_state;

/* An entry is a Type, or, while its id is free, the next free id times two plus one. */
typedef _Atomic(uintptr_t) Entry;
static _Atomic(Entry *) chunks[HEAP_INDEX_END / CHUNK + 1];

static void lock(void) {
  os_mutex_lock(&registry.mutex);
}

static void unlock(void) {
  os_mutex_unlock(&registry.mutex);
}

static void open_registry(void) {
  os_mutex_init(&registry.mutex);
  alloc_init(&registry.alloc, NULL, NULL);
  registry.seed = os_random_seed();
  registry.free_id = NO_FREE_ID;
}

/* Ids */

static Entry *entry_of_id(uint32_t id) {
  return &atomic_load_explicit(&chunks[id / CHUNK], memory_order_acquire)[id % CHUNK];
}

const Type *type_of_id(uint32_t id) {
  return (const Type *)atomic_load_explicit(entry_of_id(id), memory_order_relaxed);
}

static void free_id(uint32_t id) {
  atomic_store_explicit(entry_of_id(id), (uintptr_t)registry.free_id << 1 | 1,
                        memory_order_relaxed);
  registry.free_id = id;
}

static bool take_id(uint32_t *id) {
  if (registry.free_id != NO_FREE_ID) {
    *id = registry.free_id;
    uintptr_t link = atomic_load_explicit(entry_of_id(*id), memory_order_relaxed);
    registry.free_id = (uint32_t)(link >> 1);
    return true;
  }
  if (registry.end_id == HEAP_INDEX_END) return false;
  if (registry.end_id % CHUNK == 0) {
    Entry *chunk = alloc_zero(&registry.alloc, CHUNK * sizeof *chunk);
    if (!chunk) return false;
    atomic_store_explicit(&chunks[registry.end_id / CHUNK], chunk, memory_order_release);
  }
  *id = registry.end_id++;
  return true;
}

/* Keys */

static uint32_t comp_n_types(const CompType *comp) {
  return comp->kind == COMP_FUNC ? comp->n_params + comp->n_results : 0;
}

/* What types_add_group was given. `ids` NULL: indices are canonical already. */
typedef struct Source {
  const SubType *defs;
  uint32_t first, n;
  const uint32_t *ids;
} Source;

static bool is_inside(const Source *source, uint32_t index) {
  return source->ids && index >= source->first;
}

static ValType key_type(const Source *source, ValType type) {
  if (!type_is_indexed(type) || !source->ids) return type;
  uint32_t index = type_heap(type);
  if (!is_inside(source, index)) return type_canonical(type, source->ids);
  return (type & 0xFF) | RELATIVE_TYPE | (index - source->first) << 8;
}

static uint32_t key_super(const Source *source, uint32_t super) {
  if (super == NO_SUPER || !source->ids) return super;
  if (is_inside(source, super)) return RELATIVE_SUPER | (super - source->first);
  return source->ids[super];
}

static size_t count_words(const Source *source) {
  size_t n = 0;
  for (uint32_t i = 0; i < source->n; i++) {
    const CompType *comp = &source->defs[i].comp;
    n += 4 + comp_n_types(comp) + comp->n_fields;
  }
  return n;
}

static uint32_t *write_comp(const Source *source, const CompType *comp, uint32_t *out) {
  switch (comp->kind) {
    case COMP_FUNC:
      *out++ = comp->n_params;
      *out++ = comp->n_results;
      for (uint32_t i = 0; i < comp_n_types(comp); i++) *out++ = key_type(source, comp->types[i]);
      break;
    case COMP_STRUCT:
    case COMP_ARRAY:
      *out++ = comp->n_fields;
      *out++ = 0;
      for (uint32_t i = 0; i < comp->n_fields; i++) {
        const FieldType *field = &comp->fields[i];
        *out++ = key_type(source, field->type) | (field->is_mutable ? 0x80u : 0);
      }
      break;
    case COMP_CONT:
      *out++ = key_type(source, REF_TYPE(comp->cont, false));
      *out++ = 0;
      break;
  }
  return out;
}

static void write_words(const Source *source, uint32_t *out) {
  for (uint32_t i = 0; i < source->n; i++) {
    const SubType *def = &source->defs[i];
    *out++ = (uint32_t)def->comp.kind << 1 | def->is_final;
    *out++ = key_super(source, def->super);
    out = write_comp(source, &def->comp, out);
  }
}

/* Making a group */

static bool belongs(const Group *group, uint32_t id) {
  return type_of_id(id)->group == group;
}

/* Calls fn for the group of every id outside `group` that it mentions, once per mention. */
static void each_mention(const Group *group, void (*fn)(Group *mentioned, void *user), void *user) {
  for (uint32_t i = 0; i < group->n; i++) {
    const Type *type = &group->types[i];
    if (type->super && type->super->group != group) fn(type->super->group, user);
    const CompType *comp = &type->comp;
    for (uint32_t k = 0; k < comp_n_types(comp); k++)
      if (type_is_indexed(comp->types[k]) && !belongs(group, type_heap(comp->types[k])))
        fn(type_of_id(type_heap(comp->types[k]))->group, user);
    for (uint32_t k = 0; k < comp->n_fields; k++) {
      ValType field = comp->fields[k].type;
      if (type_is_indexed(field) && !belongs(group, type_heap(field)))
        fn(type_of_id(type_heap(field))->group, user);
    }
    if (comp->kind == COMP_CONT && !belongs(group, comp->cont))
      fn(type_of_id(comp->cont)->group, user);
  }
}

static void retain_mentioned(Group *mentioned, void *user) {
  (void)user;
  mentioned->refs++;
}

/* Links supertypes and counts depths; returns the bytes that the group's body takes. */
static size_t link_supers(const Source *source, Group *group) {
  size_t n_shown = 0, n_words = 0;
  for (uint32_t i = 0; i < source->n; i++) {
    const SubType *def = &source->defs[i];
    Type *type = &group->types[i];
    if (def->super != NO_SUPER) {
      uint32_t super = def->super;
      type->super = is_inside(source, super) ? &group->types[super - source->first]
                                             : type_of_id(source->ids ? source->ids[super] : super);
      type->depth = type->super->depth + 1;
    }
    n_shown += (size_t)type->depth + 1;
    /* A field takes its type, its mutability and its offset. */
    n_words += comp_n_types(&def->comp) + def->comp.n_fields * (size_t)3;
  }
  return n_shown * sizeof(Type *) + n_words * sizeof(uint32_t);
}

static ValType resolve_type(const Source *source, const Group *group, ValType type) {
  if (!type_is_indexed(type) || !source->ids) return type;
  uint32_t index = type_heap(type);
  uint32_t id =
      is_inside(source, index) ? group->types[index - source->first].id : source->ids[index];
  return (type & 0xFF) | id << 8;
}

uint32_t type_storage_size(ValType type) {
  switch (type_kind(type)) {
    case KIND_I8: return 1;
    case KIND_I16: return 2;
    case KIND_I32:
    case KIND_F32: return 4;
    case KIND_V128: return 16;
    default: return 8;
  }
}

/* References and numbers are aligned to their size, vectors to 8: a subtype's first fields then lie
 * where its supertype's do. */
static void lay_out(Type *type, uint32_t *offsets) {
  const CompType *comp = &type->comp;
  if (comp->kind == COMP_ARRAY) {
    type->size = type_storage_size(comp->fields[0].type);
    offsets[0] = 0;
    return;
  }
  uint64_t at = 0;
  for (uint32_t i = 0; i < comp->n_fields; i++) {
    uint32_t size = type_storage_size(comp->fields[i].type);
    at = align_up(at, MIN(size, 8));
    offsets[i] = (uint32_t)at;
    at += size;
  }
  type->size = (uint32_t)align_up(at, 8);
}

static uint32_t count_slots(const ValType *types, uint32_t n) {
  uint32_t slots = 0;
  for (uint32_t i = 0; i < n; i++) slots += type_slots(types[i]);
  return slots;
}

static void fill_func(const Source *source, Group *group, Type *type, ValType *out) {
  CompType *comp = &type->comp;
  for (uint32_t i = 0; i < comp_n_types(comp); i++)
    out[i] = resolve_type(source, group, comp->types[i]);
  comp->types = out;
  type->n_param_slots = count_slots(out, comp->n_params);
  type->n_result_slots = count_slots(out + comp->n_params, comp->n_results);
}

static void fill_fields(const Source *source, Group *group, Type *type, FieldType *out,
                        uint32_t *offsets) {
  CompType *comp = &type->comp;
  for (uint32_t i = 0; i < comp->n_fields; i++) {
    out[i].type = resolve_type(source, group, comp->fields[i].type);
    out[i].is_mutable = comp->fields[i].is_mutable;
  }
  comp->fields = out;
  type->offsets = offsets;
  lay_out(type, offsets);
}

/* When the kinds of the whole group are known. */
static void note_traced(Type *type) {
  const CompType *comp = &type->comp;
  for (uint32_t i = 0; i < comp->n_fields; i++) {
    if (!type_is_traced(comp->fields[i].type)) continue;
    if (type->offsets[i] < 64 * 8) type->traced |= UINT64_C(1) << type->offsets[i] / 8;
  }
}

static void fill_types(const Source *source, Group *group) {
  const Type **shown = group->body;
  for (uint32_t i = 0; i < source->n; i++) {
    Type *type = &group->types[i];
    type->display = shown;
    if (type->super) memcpy(shown, type->super->display, type->depth * sizeof *shown);
    shown[type->depth] = type;
    shown += type->depth + 1;
  }
  uint32_t *room = (uint32_t *)shown;
  for (uint32_t i = 0; i < source->n; i++) {
    const SubType *def = &source->defs[i];
    Type *type = &group->types[i];
    type->group = group;
    type->is_final = def->is_final;
    type->comp = def->comp;
    if (def->comp.kind == COMP_FUNC) {
      fill_func(source, group, type, room);
      room += comp_n_types(&def->comp);
    } else if (def->comp.kind == COMP_CONT) {
      type->comp.cont = type_heap(resolve_type(source, group, REF_TYPE(def->comp.cont, false)));
    } else {
      uint32_t n = def->comp.n_fields;
      fill_fields(source, group, type, (FieldType *)room, room + 2 * (size_t)n);
      room += 3 * (size_t)n;
    }
  }
  for (uint32_t i = 0; i < source->n; i++) note_traced(&group->types[i]);
}

static size_t group_size(uint32_t n) {
  return sizeof(Group) + n * sizeof(Type);
}

static void free_group(Group *group) {
  for (uint32_t i = 0; i < group->n; i++) free_id(group->types[i].id);
  alloc_free(&registry.alloc, group->words, group->n_words * sizeof(uint32_t));
  alloc_free(&registry.alloc, group->body, group->body_size);
  alloc_free(&registry.alloc, group, group_size(group->n));
}

/* A group that is in no bucket yet; NULL when memory or ids run out. */
static Group *make_group(const Source *source, const uint32_t *words, uint32_t n_words) {
  Group *group = alloc_zero(&registry.alloc, group_size(source->n));
  if (!group) return NULL;
  group->n_words = n_words;
  group->words = alloc_new(&registry.alloc, n_words * sizeof *words);
  group->body_size = link_supers(source, group);
  group->body = alloc_zero(&registry.alloc, group->body_size);
  bool ok = group->words && group->body;
  while (ok && group->n < source->n) {
    Type *type = &group->types[group->n];
    ok = take_id(&type->id);
    if (!ok) break;
    atomic_store_explicit(entry_of_id(type->id), (uintptr_t)type, memory_order_relaxed);
    group->n++;
  }
  if (!ok) {
    size_t size = group_size(source->n);
    for (uint32_t i = 0; i < group->n; i++) free_id(group->types[i].id);
    alloc_free(&registry.alloc, group->words, n_words * sizeof *words);
    alloc_free(&registry.alloc, group->body, group->body_size);
    alloc_free(&registry.alloc, group, size);
    return NULL;
  }
  memcpy(group->words, words, n_words * sizeof *words);
  fill_types(source, group);
  each_mention(group, retain_mentioned, NULL);
  return group;
}

/* The table of groups */

/* Keeps the buckets at least as many as the groups. When there is no memory for more, chains just
 * grow longer; only the very first table is a must. */
static bool grow_table(void) {
  if (registry.n_groups < registry.n_buckets) return true;
  uint32_t n = registry.n_buckets ? registry.n_buckets * 2 : 64;
  Group **buckets = alloc_zero(&registry.alloc, n * sizeof(Group *));
  if (!buckets) return registry.n_buckets != 0;
  for (uint32_t i = 0; i < registry.n_buckets; i++) {
    for (Group *group = registry.buckets[i], *next; group; group = next) {
      next = group->next;
      Group **head = &buckets[group->hash & (n - 1)];
      group->next = *head;
      *head = group;
    }
  }
  alloc_free(&registry.alloc, registry.buckets, registry.n_buckets * sizeof(Group *));
  registry.buckets = buckets;
  registry.n_buckets = n;
  return true;
}

static Group **bucket_of(uint64_t hash) {
  return &registry.buckets[hash & (registry.n_buckets - 1)];
}

static Group *find_group(uint64_t hash, uint32_t n, const uint32_t *words, uint32_t n_words) {
  for (Group *group = *bucket_of(hash); group; group = group->next)
    if (group->hash == hash && group->n == n && group->n_words == n_words &&
        memcmp(group->words, words, n_words * sizeof *words) == 0)
      return group;
  return NULL;
}

static void unlink_group(Group *group) {
  Group **link = bucket_of(group->hash);
  while (*link != group) link = &(*link)->next;
  *link = group->next;
  registry.n_groups--;
}

static Group *find_or_make(const Source *source, const uint32_t *words, uint32_t n_words) {
  uint64_t hash = hash_bytes(words, n_words * sizeof *words, registry.seed);
  if (!grow_table()) return NULL;
  Group *group = find_group(hash, source->n, words, n_words);
  if (!group) {
    group = make_group(source, words, n_words);
    if (!group) return NULL;
    group->hash = hash;
    group->next = *bucket_of(hash);
    *bucket_of(hash) = group;
    registry.n_groups++;
  }
  group->refs++;
  return group;
}

static Group *add_group(const Source *source) {
  os_call_once(&registry_state, open_registry);
  uint32_t on_stack[KEY_ON_STACK], *words = on_stack;
  size_t n_words = count_words(source);
  if (n_words > UINT32_MAX / sizeof *words) return NULL;
  lock();
  if (n_words > KEY_ON_STACK) words = alloc_new(&registry.alloc, n_words * sizeof *words);
  Group *group = NULL;
  if (words) {
    write_words(source, words);
    group = find_or_make(source, words, (uint32_t)n_words);
  }
  if (words != on_stack) alloc_free(&registry.alloc, words, n_words * sizeof *words);
  unlock();
  return group;
}

bool types_add_group(const SubType *defs, uint32_t first, uint32_t n, uint32_t *ids) {
  if (n == 0) return true;
  Source source = {defs, first, n, ids};
  Group *group = add_group(&source);
  if (!group) return false;
  for (uint32_t i = 0; i < n; i++) ids[first + i] = group->types[i].id;
  return true;
}

const Type *types_add_func(uint32_t n_params, uint32_t n_results, const ValType *types) {
  SubType def = {
      .comp = {.kind = COMP_FUNC, .n_params = n_params, .n_results = n_results, .types = types},
      .super = NO_SUPER,
      .is_final = true,
      .is_plain = true,
      .group_size = 1};
  Group *group = add_group(&(Source){&def, 0, 1, NULL});
  return group ? &group->types[0] : NULL;
}

void types_retain(uint32_t id) {
  lock();
  ((Group *)type_of_id(id)->group)->refs++;
  unlock();
}

/* Drops a reference; a group that loses its last one joins the work list, so that a long chain of
 * groups dies without recursion. */
static void drop(Group *group, void *user) {
  Group **work = user;
  if (--group->refs) return;
  unlink_group(group);
  group->next = *work;
  *work = group;
}

void types_release(uint32_t id) {
  lock();
  Group *work = NULL;
  drop(type_of_id(id)->group, &work);
  while (work) {
    Group *group = work;
    work = group->next;
    each_mention(group, drop, &work);
    free_group(group);
  }
  unlock();
}

/* Matching: spec 3.0, "Heap Types" and "Reference Types". */

static bool index_matches(uint32_t sub, uint32_t super) {
  CompKind kind = type_of_id(sub)->comp.kind;
  switch (super) {
    case HEAP_FUNC: return kind == COMP_FUNC;
    case HEAP_CONT: return kind == COMP_CONT;
    case HEAP_STRUCT: return kind == COMP_STRUCT;
    case HEAP_ARRAY: return kind == COMP_ARRAY;
    case HEAP_ANY:
    case HEAP_EQ: return kind == COMP_STRUCT || kind == COMP_ARRAY;
    default: return heap_is_index(super) && type_is_subtype(type_of_id(sub), type_of_id(super));
  }
}

static bool abstract_matches_index(uint32_t sub, uint32_t super) {
  switch (type_of_id(super)->comp.kind) {
    case COMP_FUNC: return sub == HEAP_NOFUNC;
    case COMP_CONT: return sub == HEAP_NOCONT;
    default: return sub == HEAP_NONE;
  }
}

static bool abstract_matches(uint32_t sub, uint32_t super) {
  switch (super) {
    case HEAP_ANY:
      return sub == HEAP_EQ || sub == HEAP_I31 || sub == HEAP_STRUCT || sub == HEAP_ARRAY ||
             sub == HEAP_NONE;
    case HEAP_EQ:
      return sub == HEAP_I31 || sub == HEAP_STRUCT || sub == HEAP_ARRAY || sub == HEAP_NONE;
    case HEAP_I31:
    case HEAP_STRUCT:
    case HEAP_ARRAY: return sub == HEAP_NONE;
    case HEAP_FUNC: return sub == HEAP_NOFUNC;
    case HEAP_EXTERN: return sub == HEAP_NOEXTERN;
    case HEAP_EXN: return sub == HEAP_NOEXN;
    case HEAP_CONT: return sub == HEAP_NOCONT;
    default: return false;
  }
}

bool heap_matches(uint32_t sub, uint32_t super) {
  if (sub == super || sub == HEAP_BOTTOM) return true;
  if (heap_is_index(sub)) return index_matches(sub, super);
  return heap_is_index(super) ? abstract_matches_index(sub, super) : abstract_matches(sub, super);
}

bool type_matches(ValType sub, ValType super) {
  if (sub == super || sub == TYPE_BOTTOM) return true;
  if (!type_is_ref(sub) || !type_is_ref(super)) return false;
  if (type_is_nullable(sub) && !type_is_nullable(super)) return false;
  return heap_matches(type_heap(sub), type_heap(super));
}

uint32_t heap_top(uint32_t heap) {
  if (heap_is_index(heap)) {
    CompKind kind = type_of_id(heap)->comp.kind;
    return kind == COMP_FUNC ? HEAP_FUNC : kind == COMP_CONT ? HEAP_CONT : HEAP_ANY;
  }
  switch (heap) {
    case HEAP_FUNC:
    case HEAP_NOFUNC: return HEAP_FUNC;
    case HEAP_EXTERN:
    case HEAP_NOEXTERN: return HEAP_EXTERN;
    case HEAP_EXN:
    case HEAP_NOEXN: return HEAP_EXN;
    case HEAP_CONT:
    case HEAP_NOCONT: return HEAP_CONT;
    default: return HEAP_ANY;
  }
}

bool type_is_traced(ValType type) {
  if (!type_is_ref(type)) return false;
  uint32_t top = heap_top(type_heap(type));
  return top == HEAP_ANY || top == HEAP_EXTERN || top == HEAP_EXN;
}

/* Text */

/* Appends like snprintf, and counts what had no room. */
typedef struct Text {
  char *out;
  size_t size, length;
} Text;

static void put(Text *text, const char *string) {
  size_t n = strlen(string);
  if (text->length < text->size) {
    size_t fits = MIN(n, text->size - text->length - 1);
    memcpy(text->out + text->length, string, fits);
    text->out[text->length + fits] = 0;
  }
  text->length += n;
}

static Text text_start(char *out, size_t size) {
  if (size) out[0] = 0;
  return (Text){out, size, 0};
}

static const char *const heap_names[] = {"func", "nofunc", "extern", "noextern", "any",
                                         "eq",   "i31",    "struct", "array",    "none",
                                         "exn",  "noexn",  "cont",   "nocont",   "bot"};
static const char *const null_names[] = {
    "funcref", "nullfuncref", "externref", "nullexternref", "anyref",
    "eqref",   "i31ref",      "structref", "arrayref",      "nullref",
    "exnref",  "nullexnref",  "contref",   "nullcontref",   "(ref null bot)"};

const char *heap_text(uint32_t heap) {
  return heap_names[heap - HEAP_INDEX_END];
}

static void put_ref(Text *text, ValType type) {
  uint32_t heap = type_heap(type);
  bool is_nullable = type_is_nullable(type);
  if (!heap_is_index(heap) && is_nullable) {
    put(text, null_names[heap - HEAP_INDEX_END]);
    return;
  }
  put(text, is_nullable ? "(ref null " : "(ref ");
  char number[12];
  snprintf(number, sizeof number, "%u", (unsigned)heap);
  put(text, heap_is_index(heap) ? number : heap_text(heap));
  put(text, ")");
}

static void put_type(Text *text, ValType type) {
  static const char *const names[] = {
      [KIND_BOTTOM] = "bot", [KIND_I32] = "i32",   [KIND_I64] = "i64", [KIND_F32] = "f32",
      [KIND_F64] = "f64",    [KIND_V128] = "v128", [KIND_I8] = "i8",   [KIND_I16] = "i16"};
  if (type_is_ref(type))
    put_ref(text, type);
  else
    put(text, names[type_kind(type)]);
}

static void put_types(Text *text, const char *keyword, const ValType *types, uint32_t n) {
  if (n == 0) return;
  put(text, " (");
  put(text, keyword);
  for (uint32_t i = 0; i < n; i++) {
    put(text, " ");
    put_type(text, types[i]);
  }
  put(text, ")");
}

static void put_field(Text *text, FieldType field) {
  if (field.is_mutable) put(text, "(mut ");
  put_type(text, field.type);
  if (field.is_mutable) put(text, ")");
}

size_t type_print(ValType type, char *out, size_t size) {
  Text text = text_start(out, size);
  put_type(&text, type);
  return text.length;
}

size_t comp_print(const CompType *comp, char *out, size_t size) {
  Text text = text_start(out, size);
  char number[12];
  switch (comp->kind) {
    case COMP_FUNC:
      put(&text, "(func");
      put_types(&text, "param", comp->types, comp->n_params);
      put_types(&text, "result", comp->types + comp->n_params, comp->n_results);
      break;
    case COMP_STRUCT:
      put(&text, "(struct");
      for (uint32_t i = 0; i < comp->n_fields; i++) {
        put(&text, " (field ");
        put_field(&text, comp->fields[i]);
        put(&text, ")");
      }
      break;
    case COMP_ARRAY:
      put(&text, "(array ");
      put_field(&text, comp->fields[0]);
      break;
    case COMP_CONT:
      snprintf(number, sizeof number, "%u", (unsigned)comp->cont);
      put(&text, "(cont ");
      put(&text, number);
      break;
  }
  put(&text, ")");
  return text.length;
}
