/* arena.c - blocks, the guard, and the vectors and buffers that live in an arena.
 *
 * Invariants:
 * - An allocation of OWN_SIZE bytes or more has a block of its own, directly behind the block's
 *   header; all smaller ones are cut from shared blocks. So the size alone tells which it is.
 * - `blocks` lists every block. The shared block that is being filled is its head; only while there
 *   is no shared block yet may the head be an own block, and `next` and `end` are NULL then.
 * - Every allocation takes a multiple of ALIGNMENT bytes, at least one; that makes the newest one
 *   recognizable: it ends at `next`.
 * - Under AddressSanitizer all room that is not handed out is poisoned, the padding included.
 */
#include "arena.h"

#include <assert.h>
#include <stdio.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif

#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(at, size)   ASAN_POISON_MEMORY_REGION((at), (size))
#define UNPOISON(at, size) ASAN_UNPOISON_MEMORY_REGION((at), (size))
#else
#define POISON(at, size)   ((void)(at), (void)(size))
#define UNPOISON(at, size) ((void)(at), (void)(size))
#endif

#define ALIGNMENT      ((size_t)16)
#define BLOCK_SIZE_MIN (4 * KIB)
#define BLOCK_SIZE_MAX (1 * MIB)
#define OWN_SIZE       (16 * KIB)
#define REQUEST_MAX    (SIZE_MAX / 4) /* so that rounding and headers cannot overflow */

struct ArenaBlock {
  _Alignas(16) ArenaBlock *newer;
  ArenaBlock *older;
  size_t size; /* header included */
};

/* Also for 0 bytes there is an address of its own. */
static size_t rounded(size_t size) {
  return (MAX(size, (size_t)1) + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

static char *block_data(ArenaBlock *block) {
  return (char *)(block + 1);
}

void arena_init(Arena *arena, Alloc *alloc) {
  *arena = (Arena){.alloc = alloc};
}

void arena_clear(Arena *arena) {
  ArenaBlock *block = arena->blocks;
  while (block != NULL) {
    ArenaBlock *older = block->older;
    UNPOISON(block_data(block), block->size - sizeof *block);
    alloc_free(arena->alloc, block, block->size);
    block = older;
  }
  arena->blocks = NULL;
  arena->next = arena->end = NULL;
  arena->used = 0;
}

static ArenaBlock *block_new(Arena *arena, size_t size) {
  ArenaBlock *block = alloc_new(arena->alloc, size);
  if (block == NULL) return NULL;
  *block = (ArenaBlock){.size = size};
  arena->used += size;
  return block;
}

/* Makes the neighbours and the head point to a block that is new at its place. */
static void block_link(Arena *arena, ArenaBlock *block) {
  if (block->newer != NULL) {
    block->newer->older = block;
  } else {
    arena->blocks = block;
  }
  if (block->older != NULL) block->older->newer = block;
}

static void *own_new(Arena *arena, size_t size) {
  ArenaBlock *block = block_new(arena, sizeof *block + size);
  if (block == NULL) return NULL;
  block->newer = arena->blocks; /* behind the head, whose free room stays in use */
  block->older = arena->blocks != NULL ? arena->blocks->older : NULL;
  block_link(arena, block);
  return block_data(block);
}

static void *own_resize(Arena *arena, void *ptr, size_t new_size) {
  ArenaBlock *block = (ArenaBlock *)ptr - 1;
  size_t old_total = block->size, new_total = sizeof *block + new_size;
  ArenaBlock *moved = alloc_resize(arena->alloc, block, old_total, new_total);
  if (moved == NULL) return NULL;
  moved->size = new_total;
  arena->used += new_total - old_total;
  block_link(arena, moved);
  return block_data(moved);
}

/* Starts a shared block that has room for `size` bytes. Each is as large as all before together,
 * so their number is logarithmic until the largest size is reached. */
static bool shared_new(Arena *arena, size_t size) {
  size_t total = MIN(MAX(arena->used, BLOCK_SIZE_MIN), BLOCK_SIZE_MAX);
  total = MAX(total, size + sizeof(ArenaBlock)) & ~(ALIGNMENT - 1);
  ArenaBlock *block = block_new(arena, total);
  if (block == NULL) return false;
  block->older = arena->blocks;
  block_link(arena, block);
  arena->next = block_data(block);
  arena->end = (char *)block + total;
  POISON(arena->next, (size_t)(arena->end - arena->next));
  return true;
}

void *arena_try(Arena *arena, size_t size) {
  if (UNLIKELY(size > REQUEST_MAX)) return NULL;
  if (size >= OWN_SIZE) return own_new(arena, size);
  size_t taken = rounded(size);
  if (taken > (size_t)(arena->end - arena->next) && !shared_new(arena, taken)) return NULL;
  char *at = arena->next;
  arena->next += taken;
  UNPOISON(at, size);
  return at;
}

COLD _Noreturn static void raise_no_memory(Arena *arena) {
  assert(arena->guard != NULL);
  error_set(arena->guard->error, ERROR_MEMORY, "out of memory");
  guard_raise(arena->guard);
}

void *arena_new(Arena *arena, size_t size) {
  void *ptr = arena_try(arena, size);
  if (UNLIKELY(ptr == NULL)) raise_no_memory(arena);
  return ptr;
}

void *arena_zero(Arena *arena, size_t size) {
  if (UNLIKELY(size > PTRDIFF_MAX)) raise_no_memory(arena);
  return memset(arena_new(arena, size), 0, size);
}

void *arena_copy(Arena *arena, const void *from, size_t size) {
  void *ptr = arena_new(arena, size);
  if (size != 0) memcpy(ptr, from, size);
  return ptr;
}

/* In a shared block only the newest allocation can grow or give room back. */
static bool resize_in_place(Arena *arena, char *at, size_t old_size, size_t new_size) {
  bool newest = at + rounded(old_size) == arena->next;
  if (new_size > old_size) {
    if (!newest || new_size >= OWN_SIZE) return false;
    if (rounded(new_size) > (size_t)(arena->end - at)) return false;
  }
  POISON(at, rounded(old_size));
  UNPOISON(at, new_size);
  if (newest) arena->next = at + rounded(new_size);
  return true;
}

void *arena_resize(Arena *arena, void *ptr, size_t old_size, size_t new_size) {
  if (ptr == NULL) return arena_new(arena, new_size);
  if (new_size > REQUEST_MAX) raise_no_memory(arena);
  if (old_size >= OWN_SIZE) {
    /* An own block keeps at least OWN_SIZE, but from then on it is treated as a small one. */
    void *moved = own_resize(arena, ptr, MAX(new_size, OWN_SIZE));
    if (moved == NULL) raise_no_memory(arena);
    return moved;
  }
  if (resize_in_place(arena, ptr, old_size, new_size)) return ptr;
  void *moved = arena_new(arena, new_size);
  memcpy(moved, ptr, MIN(old_size, new_size));
  return moved;
}

char *arena_text(Arena *arena, Str text) {
  char *copy = arena_new(arena, text.size + 1);
  if (text.size != 0) memcpy(copy, text.at, text.size);
  copy[text.size] = '\0';
  return copy;
}

void guard_enter(Guard *guard, Arena *arena, Error *error) {
  guard->arena = arena;
  guard->error = error;
  guard->outer = arena->guard;
  arena->guard = guard;
}

void guard_leave(Guard *guard) {
  guard->arena->guard = guard->outer;
}

_Noreturn void guard_raise(Guard *guard) {
  guard_leave(guard); /* what the handler raises goes further out */
  longjmp(guard->jump, 1);
}

void *arena_grow(Arena *arena, void *items, uint32_t *room, size_t item_size) {
  uint32_t old_room = *room;
  uint32_t new_room = old_room == 0 ? 8 : old_room > UINT32_MAX / 2 ? UINT32_MAX : old_room * 2;
  if (new_room == old_room || new_room > REQUEST_MAX / item_size) raise_no_memory(arena);
  items = arena_resize(arena, items, old_room * item_size, new_room * item_size);
  *room = new_room;
  return items;
}

void buf_init(Buf *buf, Arena *arena) {
  *buf = (Buf){.arena = arena};
}

uint8_t *buf_reserve(Buf *buf, size_t size) {
  if (size > buf->room - buf->size) {
    if (size > REQUEST_MAX - buf->size) raise_no_memory(buf->arena);
    size_t room = MAX(MAX(buf->room * 2, (size_t)64), buf->size + size);
    buf->at = arena_resize(buf->arena, buf->at, buf->room, room);
    buf->room = room;
  }
  return buf->at + buf->size;
}

void buf_bytes(Buf *buf, const void *bytes, size_t size) {
  if (size == 0) return;
  memcpy(buf_reserve(buf, size), bytes, size);
  buf->size += size;
}

void buf_byte(Buf *buf, uint8_t byte) {
  *buf_reserve(buf, 1) = byte;
  buf->size++;
}

void buf_str(Buf *buf, const char *text) {
  buf_bytes(buf, text, strlen(text));
}

void buf_printf(Buf *buf, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  char *at = (char *)buf_reserve(buf, 64);
  size_t room = buf->room - buf->size;
  int length = vsnprintf(at, room, format, args);
  va_end(args);
  if (length > 0 && (size_t)length >= room) {
    at = (char *)buf_reserve(buf, (size_t)length + 1);
    vsnprintf(at, (size_t)length + 1, format, again);
  }
  va_end(again);
  if (length > 0) buf->size += (size_t)length;
}

void buf_u32(Buf *buf, uint32_t x) {
  buf_u64(buf, x);
}

void buf_u64(Buf *buf, uint64_t x) {
  while (x >= 0x80) {
    buf_byte(buf, (uint8_t)(x | 0x80));
    x >>= 7;
  }
  buf_byte(buf, (uint8_t)x);
}

void buf_s32(Buf *buf, int32_t x) {
  buf_s64(buf, x);
}

void buf_s64(Buf *buf, int64_t x) {
  while (x < -0x40 || x >= 0x40) {
    buf_byte(buf, (uint8_t)(x | 0x80));
    x >>= 7; /* arithmetic on every compiler we know */
  }
  buf_byte(buf, (uint8_t)(x & 0x7F));
}
