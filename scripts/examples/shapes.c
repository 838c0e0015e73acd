/* shapes.c - the C library of c_library.lua: a list of points, grown by the library and looked at
 * by Lua. Built without a C library of its own:
 *
 *   clang --target=wasm32 -O2 -ffreestanding -nostdlib -mbulk-memory -fvisibility=default \
 *     -c -o shapes.o shapes.c
 *   wasm-ld --no-entry --export-dynamic --export-table --growable-table -o shapes.wasm shapes.o
 */
typedef unsigned long size_t;

typedef struct point {
  double x, y;
} point;

typedef struct shape {
  const char *name;
  int n;
  unsigned closed : 1, color : 24;
  point *points;
} shape;

extern unsigned char __heap_base;
static unsigned char *top = &__heap_base;

/* Memory is never given back: shapes of an example live until its end. */
void *malloc(size_t n) {
  unsigned char *at = (unsigned char *)(((size_t)top + 15) & ~15ul);
  size_t end = (size_t)at + n, size = __builtin_wasm_memory_size(0) * 65536;
  if (end > size && __builtin_wasm_memory_grow(0, (end - size + 65535) / 65536) == ~0ul) return 0;
  top = at + n;
  return at;
}

void free(void *p) {
  (void)p;
}

/* Twice the area that the points go around. */
double shape_area(const shape *s) {
  double sum = 0;
  for (int i = 0; i < s->n; i++) {
    point a = s->points[i], b = s->points[(i + 1) % s->n];
    sum += a.x * b.y - b.x * a.y;
  }
  return sum / 2;
}

point shape_center(const shape *s) {
  point sum = {0, 0};
  for (int i = 0; i < s->n; i++) sum.x += s->points[i].x / s->n, sum.y += s->points[i].y / s->n;
  return sum;
}

void shape_map(shape *s, point (*f)(point p, int i)) {
  for (int i = 0; i < s->n; i++) s->points[i] = f(s->points[i], i);
}

/* The shape with the largest area. */
const shape *shape_largest(const shape *list, int n) {
  const shape *best = 0;
  for (int i = 0; i < n; i++) {
    if (!best || shape_area(&list[i]) > shape_area(best)) best = &list[i];
  }
  return best;
}
