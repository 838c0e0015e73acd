/* abi.c - functions that take and give every kind of C value, for the tests of wasm.ffi.
 *
 * It stands alone: memory comes from a list of free blocks, and long doubles are worked on by their
 * bits, since there is no library to calculate with them.
 */
#define NULL ((void *)0)

#include "abi.h"

int errno;
void *malloc(unsigned long n);

/* ---- What a C library would have --------------------------------------------------------------*/

typedef struct Block {
  struct Block *next;
  unsigned long size; /* of what follows, a multiple of 16 */
  unsigned long unused[2];
} Block;

extern unsigned char __heap_base;
static Block *free_blocks;
static unsigned char *heap_end;

void *malloc(unsigned long n) {
  if (n > 1ul << 30) return NULL;
  n = (n + 15) & ~15ul;
  for (Block **at = &free_blocks; *at; at = &(*at)->next) {
    if ((*at)->size == n) {
      Block *found = *at;
      *at = found->next;
      return found + 1;
    }
  }
  if (!heap_end) heap_end = (unsigned char *)(((unsigned long)&__heap_base + 15) & ~15ul);
  unsigned long size = __builtin_wasm_memory_size(0) * 65536,
                wanted = (unsigned long)heap_end + n + sizeof(Block);
  if (wanted > size &&
      __builtin_wasm_memory_grow(0, (wanted - size + 65535) / 65536) == (unsigned long)-1) {
    return NULL;
  }
  Block *block = (Block *)heap_end;
  heap_end += n + sizeof(Block);
  block->size = n;
  return block + 1;
}

void free(void *p) {
  if (!p) return;
  Block *block = (Block *)p - 1;
  block->next = free_blocks;
  free_blocks = block;
}

static unsigned long text_length(const char *text) {
  unsigned long n = 0;
  while (text[n]) n++;
  return n;
}

typedef union {
  long double value;
  struct {
    unsigned long long low, high;
  };
} Quad;

static void *clear(void *p, unsigned long n) {
  for (unsigned long i = 0; i < n; i++) ((unsigned char *)p)[i] = 0;
  return p;
}

/* x * 2^by, for normal numbers and zero. */
static long double quad_scale(long double x, int by) {
  Quad q = {x};
  if (q.high << 1 || q.low) q.high += (unsigned long long)((long long)by << 48);
  return q.value;
}

/* ---- What the tests call ----------------------------------------------------------------------*/

int counter = 41;
const char *const title = "a library";
const int table[4] = {2, 3, 5, 7};
point origin = {0.5, -0.5};
static void_fn hook;

int add(int a, int b) {
  return (int)((unsigned)a + (unsigned)b);
}
unsigned add_unsigned(unsigned a, unsigned b) {
  return a + b;
}
long long add_long(long long a, long long b) {
  return a + b;
}
unsigned long long highest(void) {
  return ~0ull;
}
float half(float x) {
  return x / 2;
}
double mean(const double *list, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += list[i];
  return sum / n;
}
signed char narrow_signed(signed char x) {
  return (signed char)(x + 1);
}
unsigned char narrow_unsigned(unsigned char x) {
  return (unsigned char)(x + 1);
}
char plain_char(char x) {
  return (char)(x + 1);
}
short narrow_short(short x) {
  return (short)(x + 1);
}
unsigned short narrow_ushort(unsigned short x) {
  return (unsigned short)(x + 1);
}
_Bool negate(_Bool x) {
  return !x;
}
enum color next_color(enum color c) {
  return c == RED ? GREEN : c == GREEN ? BLUE : RED;
}
enum sign sign_of(int x) {
  return x < 0 ? NEGATIVE : x > 0 ? POSITIVE : ZERO;
}
long double quad_half(long double x) {
  return quad_scale(x, -1);
}
long double quad_pick(const long double *list, int i) {
  return list[i];
}

double point_norm(point p) {
  return p.x * p.x + p.y * p.y;
}
point point_add(point a, point b) {
  return (point){a.x + b.x, a.y + b.y};
}
void point_scale(point *p, double by) {
  p->x *= by, p->y *= by;
}
const point *point_largest(const point *list, int n) {
  const point *best = NULL;
  for (int i = 0; i < n; i++) {
    if (!best || point_norm(list[i]) > point_norm(*best)) best = &list[i];
  }
  return best;
}
only_int only_int_twice(only_int x) {
  return (only_int){x.value * 2};
}
only_double only_double_twice(only_double x) {
  return (only_double){x.value * 2};
}
only_float only_float_twice(only_float x) {
  return (only_float){{{x.inner.value[0] * 2}}};
}
only_char only_char_next(only_char x) {
  return (only_char){(char)(x.value + 1)};
}
only_quad only_quad_twice(only_quad x) {
  return (only_quad){quad_scale(x.value, 1)};
}
only_long only_long_twice(only_long x) {
  return (only_long){x.value * 2};
}
only_pointer only_pointer_next(only_pointer x) {
  return (only_pointer){x.value + 1};
}
pair pair_swap(pair p, int scale) {
  return (pair){p.b * scale, (char)p.a};
}
int quad_ints_sum(quad_ints q) {
  return q.dims[0] + q.dims[1] + q.dims[2] + q.dims[3];
}
number number_next(number n, _Bool is_float) {
  if (is_float)
    n.f += 1;
  else
    n.i += 1;
  return n;
}
only_in_union only_in_union_twice(only_in_union u) {
  return (only_in_union){u.i * 2};
}
int with_nothing(int a, nothing n, int b) {
  (void)n;
  return a * 10 + b;
}
nothing give_nothing(int a) {
  counter = a;
  return (nothing){};
}

int length(const char *text) {
  return text ? (int)text_length(text) : -1;
}
char letter(const char *text, int i) {
  return text[i];
}
char *reverse(char *text) {
  unsigned long n = text_length(text);
  for (unsigned long i = 0; i < n / 2; i++) {
    char c = text[i];
    text[i] = text[n - 1 - i];
    text[n - 1 - i] = c;
  }
  return text;
}
char *duplicate(const char *text) {
  if (!text) return NULL;
  unsigned long n = text_length(text) + 1;
  char *copy = malloc(n);
  for (unsigned long i = 0; copy && i < n; i++) copy[i] = text[i];
  return copy;
}
unsigned checksum(const unsigned char *bytes, unsigned long n) {
  unsigned x = 2166136261u;
  for (unsigned long i = 0; i < n; i++) x = (x ^ bytes[i]) * 16777619u;
  return x;
}
const void *find(const void *bytes, int byte, unsigned long n) {
  const unsigned char *at = bytes;
  for (unsigned long i = 0; i < n; i++) {
    if (at[i] == (unsigned char)byte) return at + i;
  }
  return NULL;
}
int set_errno(int value) {
  errno = value;
  return -1;
}

void sort(int *list, int n, compare_fn compare) {
  for (int i = 1; i < n; i++) {
    for (int j = i; j > 0 && compare(&list[j - 1], &list[j]) > 0; j--) {
      int swapped = list[j];
      list[j] = list[j - 1];
      list[j - 1] = swapped;
    }
  }
}
double apply(map_fn f, double x) {
  return f(x);
}
point apply_point(point_fn f, point p, int n) {
  return f(p, n);
}
long double apply_quad(quad_fn f, long double x) {
  return f(x, 'q');
}
_Bool apply_bool(bool_fn f, int x) {
  return f((unsigned char)x, (unsigned short)x, -x, BLUE);
}
only_int apply_only(only_fn f, int x) {
  return f((only_int){x});
}
void apply_void(void_fn f, const char *text) {
  f(text);
}
double map_square(double x) {
  return x * x;
}
static double map_negate(double x) {
  return -x;
}
map_fn get_map(int which) {
  return which == 1 ? map_square : which == 2 ? map_negate : NULL;
}
int compare_ints(const int *a, const int *b) {
  return (*a > *b) - (*a < *b);
}
void set_hook(void_fn f) {
  hook = f;
}
int call_hook(const char *text) {
  if (!hook) return 0;
  hook(text);
  return 1;
}

int read_counter(void) {
  return counter;
}
int node_sum(const node *n) {
  int sum = 0;
  for (; n; n = n->next) sum += n->value;
  return sum;
}
void node_fill(node *n) {
  clear(n, sizeof *n);
  n->value = -7;
  for (int i = 0; i < 7; i++) n->name[i] = "filled"[i];
  n->flag = 1, n->small = 21, n->level = -5, n->wide = 0x2123456789abcull;
  n->a = -1, n->b = 32767;
  n->u.f = 0.5f;
  n->place = (point){1.25, -2.5};
  n->color = BLUE;
  n->is_on = 1;
  *(int *)&n->fixed = 99;
  n->quad = 1.0L / 3;
  n->map = map_square;
  n->big = -5000000000;
  n->huge = 0xfedcba9876543210ull;
  n->bytes[2] = 200;
}
node *node_push(node *head, int value) {
  node *n = malloc(sizeof *n);
  if (!n) return NULL;
  clear(n, sizeof *n);
  n->next = head;
  n->value = value;
  return n;
}
unsigned long node_size(void) {
  return sizeof(node);
}
int deref(const int *p) {
  return *p;
}
int trap(int x) {
  if (x) __builtin_trap();
  return x;
}
