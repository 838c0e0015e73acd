/* arena.h - memory that is freed whole, and the guard under which front ends run.
 *
 * Decoder, validator, text parser, printer and compilers own nothing but an arena. They raise with
 * `_Noreturn` calls; the one guard around them catches, and whoever made the arena frees it. No
 * foreign code runs inside a guard.
 *
 *   Guard guard;
 *   arena_init(&arena, alloc);
 *   if (!GUARD_TRY(&guard, &arena, error)) { arena_clear(&arena); return NULL; }
 *   ... front end, may raise ...
 *   guard_leave(&guard);
 */
#ifndef RILLE_ARENA_H
#define RILLE_ARENA_H

#include <setjmp.h>

#include "alloc.h"
#include "error.h"

typedef struct ArenaBlock ArenaBlock;
typedef struct Guard Guard;

typedef struct Arena {
  Alloc *alloc;
  Guard *guard; /* raised to when memory runs out; NULL outside a guard: then arena_try only */
  ArenaBlock *blocks;
  char *next, *end; /* free room of the newest block */
  size_t used;      /* bytes held from `alloc` */
} Arena;

struct Guard {
  jmp_buf jump;
  Arena *arena;
  Error *error;
  Guard *outer; /* the arena's guard before this one */
};

void arena_init(Arena *arena, Alloc *alloc);
void arena_clear(Arena *arena); /* frees everything; the arena can be used again */

void *arena_try(Arena *arena, size_t size);  /* 16-byte aligned; NULL when out of memory */
void *arena_new(Arena *arena, size_t size);  /* raises instead of NULL; size 0 is allowed */
void *arena_zero(Arena *arena, size_t size); /* the same, cleared */
void *arena_copy(Arena *arena, const void *from, size_t size);
/* Grows the newest allocation in place where it can, else moves it. */
void *arena_resize(Arena *arena, void *ptr, size_t old_size, size_t new_size);
char *arena_text(Arena *arena, Str text); /* a terminated copy */

#define ARENA_NEW(arena, Type) ((Type *)arena_zero((arena), sizeof(Type)))
/* The caller has seen the bytes that back `n`. */
#define ARENA_ARRAY(arena, Type, n) ((Type *)arena_zero((arena), sizeof(Type) * (size_t)(n)))

/* True on the first pass; false, with the error filled, when something raised. */
#define GUARD_TRY(guard, arena, error) \
  (guard_enter((guard), (arena), (error)), setjmp((guard)->jump) == 0)
void guard_enter(Guard *guard, Arena *arena, Error *error);
void guard_leave(Guard *guard);
_Noreturn void guard_raise(Guard *guard); /* the error is filled already */

/* A growing array inside an arena. VEC(Type) declares one; n is its length. */
#define VEC(Type)     \
  struct {            \
    Type *items;      \
    uint32_t n, room; \
  }
#define VEC_PUSH(arena, vec, item)                                                          \
  do {                                                                                      \
    if ((vec)->n == (vec)->room)                                                            \
      (vec)->items = arena_grow((arena), (vec)->items, &(vec)->room, sizeof *(vec)->items); \
    (vec)->items[(vec)->n++] = (item);                                                      \
  } while (0)
void *arena_grow(Arena *arena, void *items, uint32_t *room, size_t item_size);

/* Growing bytes inside an arena: the encoder's and the printer's output. */
typedef struct Buf {
  Arena *arena;
  uint8_t *at;
  size_t size, room;
} Buf;

void buf_init(Buf *buf, Arena *arena);
uint8_t *buf_reserve(
    Buf *buf, size_t size); /* room for `size` more bytes at the end; does not move `size` on */
void buf_bytes(Buf *buf, const void *bytes, size_t size);
void buf_byte(Buf *buf, uint8_t byte);
void buf_str(Buf *buf, const char *text);
void buf_printf(Buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_u32(Buf *buf, uint32_t x); /* LEB128 */
void buf_u64(Buf *buf, uint64_t x);
void buf_s32(Buf *buf, int32_t x);
void buf_s64(Buf *buf, int64_t x);

#endif
