/* stores.h - making, joining and freeing stores (architecture.md, "Lifetimes").
 *
 * Handles are counted in the store that all joined ones lead to (store_of). When the count reaches
 * zero everything in it is freed together.
 */
#ifndef RILLE_STORES_H
#define RILLE_STORES_H

#include "store.h"

Store *store_new(Engine *engine); /* one handle; NULL when there is no memory */
void store_retain(Store *store);
void store_release(Store *store);

/* Makes one store of two. The lists of the lighter one are walked. False when there is no memory;
 * nothing has changed then. */
bool store_merge(Store *a, Store *b);

/* Sees to it that what the reference means can live as long as the store: objects and functions of
 * instances join the stores, host functions are held. Null and small integers need nothing. */
bool store_adopt_func(Store *store, Func *func);
bool store_adopt_ref(Store *store, ValType type, Slot ref);

/* A reference for a value of the host; 0 when there is no memory. */
Slot store_new_host_value(Store *store, uint64_t payload);
bool store_host_payload(Slot ref, uint64_t *payload);

/* The activations whose values a collection looks at. */
static inline void store_add_act(Store *store, Act *act) {
  Act *next = store->acts;
  act->next_act = next;
  act->act_link = &store->acts;
  if (next != NULL) next->act_link = &act->next_act;
  store->acts = act;
}
/* It keeps its link, which means nothing any more. */
static inline void store_remove_act(const Act *act) {
  Act *next = act->next_act, **link = act->act_link;
  if (link == NULL) return;
  *link = next;
  if (next != NULL) next->act_link = link;
}

/* Stops whatever runs. Async-signal-safe. */
void store_interrupt(Store *store);

/* Is the reference, null included, a value of the canonical type? */
bool ref_has_type(Slot ref, ValType type);

/* References of small integers have bit 0 set. */
static inline Slot ref_of_i31(uint32_t value) {
  return (Slot)(value & 0x7FFFFFFFu) << 1 | 1;
}

#endif
