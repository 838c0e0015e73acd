/* api_ref.c - objects of the garbage-collected heap: holding, making, reading and writing them. */
#include "../module/names.h"
#include "../runtime/object.h"
#include "../runtime/stores.h"
#include "api.h"

static Root *root_of_held(const rille_Held *held) {
  return (Root *)(uintptr_t)held;
}

rille_RefKind rille_ref_kind(rille_Slot ref) {
  if (ref == 0) return RILLE_REF_NULL;
  if ((ref & 1) != 0) return RILLE_REF_I31;
  const Type *type = gc_object(ref)->type;
  if (type == NULL) return RILLE_REF_HOST;
  switch (type->comp.kind) {
    case COMP_STRUCT: return RILLE_REF_STRUCT;
    case COMP_ARRAY: return RILLE_REF_ARRAY;
    default: return RILLE_REF_EXCEPTION;
  }
}

rille_Store *rille_ref_store(rille_Slot ref) {
  return ref == 0 || (ref & 1) != 0 ? NULL : root_handle(gc_store_of(ref));
}

rille_Instance *rille_store_instance(rille_Store *store) {
  for (Instance *it = store_of(root_of(store))->instances; it != NULL; it = it->next) {
    if (it->user != NULL && !it->is_closed) return instance_handle(it);
  }
  return NULL;
}

rille_Held *rille_hold_ref(rille_Store *store, rille_Slot ref) {
  return (rille_Held *)gc_hold(root_of(store), ref);
}

void rille_drop_ref(rille_Held *held) {
  if (held != NULL) gc_drop(root_of_held(held));
}

rille_Slot rille_held_ref(const rille_Held *held) {
  return root_of_held(held)->ref;
}

void rille_collect(rille_Store *store) {
  gc_collect(root_of(store));
}

size_t rille_heap_bytes(const rille_Store *store) {
  return gc_held_bytes(store_of(root_of(store)));
}

/* Types */

static const Type *object_type_of(ValType type) {
  if (!type_is_indexed(type)) return NULL;
  const Type *found = type_of_id(type_heap(type));
  return found->comp.kind == COMP_STRUCT || found->comp.kind == COMP_ARRAY ? found : NULL;
}

bool rille_module_type(const rille_Module *handle, uint32_t index, rille_ValueType *out) {
  const Module *module = module_of(handle);
  if (index >= module->n_types) return false;
  ValType type = REF_TYPE(module->type_ids[index], false);
  if (object_type_of(type) == NULL) return false;
  *out = type;
  return true;
}

bool rille_find_type(rille_Module *handle, const char *name, size_t size, uint32_t *index) {
  Module *module = module_of(handle);
  for (uint32_t i = 0; i < module->n_types; i++) {
    if (!str_equal(module_name_of(module, NAMES_TYPES, i), (Str){name, size})) continue;
    *index = i;
    return true;
  }
  return false;
}

rille_RefKind rille_type_kind(rille_ValueType type) {
  const Type *object = object_type_of(type);
  if (object == NULL) return RILLE_REF_NULL;
  return object->comp.kind == COMP_STRUCT ? RILLE_REF_STRUCT : RILLE_REF_ARRAY;
}

rille_ValueType rille_object_type(rille_Slot object) {
  return REF_TYPE(gc_object(object)->type->id, false);
}

uint32_t rille_type_fields(rille_ValueType type) {
  return object_type_of(type)->comp.n_fields;
}

void rille_type_field(rille_ValueType type, uint32_t field, rille_Field *out) {
  FieldType from = object_type_of(type)->comp.fields[field];
  unsigned kind = type_kind(from.type);
  uint8_t bits = kind == KIND_I8 ? 8 : kind == KIND_I16 ? 16 : 0;
  *out = (rille_Field){
      .type = bits != 0 ? TYPE_I32 : from.type, .packed_bits = bits, .is_mutable = from.is_mutable};
}

size_t rille_print_object_type(rille_ValueType type, char *out, size_t size) {
  return comp_print(&object_type_of(type)->comp, out, size);
}

static bool find_field_in(Module *module, const Type *type, Str name, uint32_t *field) {
  for (uint32_t i = 0; i < module->n_types; i++) {
    if (module->type_ids[i] != type->id) continue;
    for (uint32_t k = 0; k < type->comp.n_fields; k++) {
      if (!str_equal(module_name_in(module, NAMES_FIELDS, i, k), name)) continue;
      *field = k;
      return true;
    }
  }
  return false;
}

bool rille_find_field(rille_Store *store, rille_Module *module, rille_ValueType type,
                      const char *name, size_t size, uint32_t *field) {
  const Type *object = object_type_of(type);
  Str wanted = {name, size};
  if (object == NULL || size == 0) return false;
  if (module != NULL && find_field_in(module_of(module), object, wanted, field)) return true;
  for (Instance *it = store_of(root_of(store))->instances; it != NULL; it = it->next) {
    if (find_field_in(it->module, object, wanted, field)) return true;
  }
  return false;
}

/* Making */

static Slot fail_heap(rille_Error **error) {
  api_fail_memory(error);
  return 0;
}

static bool adopt(Store *store, ValType type, const Slot *value) {
  return !type_is_ref(type) || store_adopt_ref(store, type, *value);
}

/* Values that become fields live as long as the store, and the type too. */
static bool adopt_fields(Store *store, const Type *type, const Slot *fields) {
  if (!gc_hold_type(store, type)) return false;
  for (uint32_t i = 0; fields != NULL && i < type->comp.n_fields; i++) {
    ValType field = type->comp.fields[i].type;
    if (!adopt(store, field, fields)) return false;
    fields += type_slots(field);
  }
  return true;
}

static uint32_t count_slots(const Type *type) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < type->comp.n_fields; i++) n += type_slots(type->comp.fields[i].type);
  return n;
}

static bool has_defaults(const Type *type) {
  for (uint32_t i = 0; i < type->comp.n_fields; i++) {
    if (!type_has_default(type->comp.fields[i].type)) return false;
  }
  return true;
}

static bool check_defaults(const Type *type, rille_Error **error) {
  return has_defaults(type) ||
         api_fail_text(error, ERROR_MISUSE, "the type has fields without a default value");
}

/* Allocates for the host while it keeps `n` slots of values in C. */
static Object *allocate(Store *store, const Type *type, uint64_t size, const Slot *values,
                        uint32_t n) {
  GcScope scope;
  if (!gc_open_scope(store, &scope, values, values != NULL ? n : 0)) return NULL;
  Object *object = gc_alloc(store, NULL, type, size);
  gc_close_scope(&scope);
  return object;
}

rille_Slot rille_new_struct(rille_Store *handle, rille_ValueType value_type,
                            const rille_Slot *fields, rille_Error **error) {
  Store *store = root_of(handle);
  const Type *type = object_type_of(value_type);
  if (fields == NULL && !check_defaults(type, error)) return 0;
  if (!adopt_fields(store, type, fields)) return fail_heap(error);
  Object *object = allocate(store, type, gc_struct_size(type), fields, count_slots(type));
  if (object == NULL) return fail_heap(error);
  if (fields != NULL) {
    object_fill(object, fields);
  } else {
    memset(gc_fields(object), 0, type->size);
  }
  return gc_ref(object);
}

rille_Slot rille_new_array(rille_Store *handle, rille_ValueType value_type, uint32_t n,
                           const rille_Slot *value, rille_Error **error) {
  static const Slot zero[2];
  Store *store = root_of(handle);
  const Type *type = object_type_of(value_type);
  if (value == NULL && !check_defaults(type, error)) return 0;
  if (!adopt_fields(store, type, value)) return fail_heap(error);
  Array *array =
      (Array *)(void *)allocate(store, type, gc_array_size(type, n), value, count_slots(type));
  if (array == NULL) return fail_heap(error);
  array->n = n;
  array_set_all(array, 0, n, value != NULL ? value : zero);
  return gc_ref(array);
}

/* Access */

uint32_t rille_array_length(rille_Slot array) {
  return gc_array(array)->n;
}

/* Where the field or element is, or NULL. */
static uint8_t *find_place(Slot ref, uint32_t index, const FieldType **field) {
  const Object *object = gc_object(ref);
  const Type *type = object->type;
  if (type->comp.kind == COMP_ARRAY) {
    *field = &type->comp.fields[0];
    return index < gc_array(ref)->n ? array_element(gc_array(ref), index) : NULL;
  }
  if (index >= type->comp.n_fields) return NULL;
  *field = &type->comp.fields[index];
  return gc_fields(object) + type->offsets[index];
}

bool rille_get_field(rille_Slot object, uint32_t index, bool is_signed, rille_Slot *out) {
  const FieldType *field;
  const uint8_t *at = find_place(object, index, &field);
  if (at == NULL) return false;
  object_read(at, field->type, is_signed, out);
  return true;
}

static bool set_field(rille_Slot object, uint32_t index, const rille_Slot *value, bool always) {
  const FieldType *field;
  uint8_t *at = find_place(object, index, &field);
  if (at == NULL || !(field->is_mutable || always)) return false;
  if (type_is_ref(field->type) && !ref_has_type(*value, field->type)) return false;
  if (!adopt(gc_store_of(object), field->type, value)) return false;
  object_write(at, field->type, value);
  return true;
}

bool rille_set_field(rille_Slot object, uint32_t index, const rille_Slot *value) {
  return set_field(object, index, value, false);
}

bool rille_init_field(rille_Slot object, uint32_t index, const rille_Slot *value) {
  return set_field(object, index, value, true);
}

/* Exceptions */

static bool adopt_values(Store *store, const CompType *type, const Slot *values) {
  for (uint32_t i = 0; i < type->n_params; i++) {
    if (!adopt(store, type->types[i], values)) return false;
    values += type_slots(type->types[i]);
  }
  return true;
}

rille_Slot rille_new_exception(rille_Store *handle, rille_Tag *thrown, const rille_Slot *values,
                               rille_Error **error) {
  Store *store = root_of(handle);
  Tag *tag = tag_of(thrown);
  uint32_t n = tag->type->n_param_slots;
  GcScope scope;
  if (!adopt_values(store, &tag->type->comp, values)) return fail_heap(error);
  if (!gc_open_scope(store, &scope, values, n)) return fail_heap(error);
  Exception *exception = gc_new_exception(store, NULL, tag);
  gc_close_scope(&scope);
  if (exception == NULL) return fail_heap(error);
  if (n != 0) memcpy(exception->values, values, n * sizeof(Slot));
  return gc_ref(exception);
}

rille_Tag *rille_exception_tag(rille_Slot exception) {
  return tag_handle(gc_exception(exception)->tag);
}

const rille_Slot *rille_exception_values(rille_Slot exception) {
  return gc_exception(exception)->values;
}
