/* What abi.c exports. The tests give this text to ffi.load as it is. */
#ifndef ABI_H
#define ABI_H

#define ABI_VERSION 0x0102
#define ABI_NAME \
  "abi"          \
  " test"
#define ABI_MASK   (~0u << 4)
#define ABI_BIG    0x123456789abcdefLL
#define ABI_RATIO  1.5e3
#define ABI_LETTER 'R'

typedef struct point {
  double x, y;
} point;
typedef struct {
  int value;
} only_int;
typedef struct {
  double value;
} only_double;
typedef struct {
  struct {
    float value[1];
  } inner;
} only_float;
typedef struct {
  char value;
} only_char;
typedef struct {
  long double value;
} only_quad;
typedef struct {
  long long value;
} only_long;
typedef struct {
  const char *value;
} only_pointer;
typedef struct {
  int a;
  char b;
} pair;
typedef struct {
  int dims[4];
} quad_ints;
typedef union {
  int i;
  float f;
} number;
typedef union {
  int i;
} only_in_union;
typedef struct {
} nothing;
enum color { RED, GREEN = 5, BLUE };
enum sign { NEGATIVE = -1, ZERO, POSITIVE };

int add(int a, int b);
unsigned add_unsigned(unsigned a, unsigned b);
long long add_long(long long a, long long b);
unsigned long long highest(void);
float half(float x);
double mean(const double *list, int n);
signed char narrow_signed(signed char x);
unsigned char narrow_unsigned(unsigned char x);
char plain_char(char x);
short narrow_short(short x);
unsigned short narrow_ushort(unsigned short x);
_Bool negate(_Bool x);
enum color next_color(enum color c);
enum sign sign_of(int x);
long double quad_half(long double x);
long double quad_pick(const long double *list, int i);

double point_norm(point p);
point point_add(point a, point b);
void point_scale(point *p, double by);
const point *point_largest(const point *list, int n);
only_int only_int_twice(only_int x);
only_double only_double_twice(only_double x);
only_float only_float_twice(only_float x);
only_char only_char_next(only_char x);
only_quad only_quad_twice(only_quad x);
only_long only_long_twice(only_long x);
only_pointer only_pointer_next(only_pointer x);
pair pair_swap(pair p, int scale);
int quad_ints_sum(quad_ints q);
number number_next(number n, _Bool is_float);
only_in_union only_in_union_twice(only_in_union u);
int with_nothing(int a, nothing n, int b);
nothing give_nothing(int a);

int length(const char *text);
char letter(const char *text, int i);
char *reverse(char *text);
char *duplicate(const char *text);
void free(void *p);
unsigned checksum(const unsigned char *bytes, unsigned long n);
const void *find(const void *bytes, int byte, unsigned long n);
int set_errno(int value);

typedef int (*compare_fn)(const void *, const void *);
typedef double (*map_fn)(double);
typedef point (*point_fn)(point, int);
typedef long double (*quad_fn)(long double, char);
typedef _Bool (*bool_fn)(unsigned char, unsigned short, long long, enum color);
typedef only_int (*only_fn)(only_int);
typedef void (*void_fn)(const char *);
void sort(int *list, int n, compare_fn compare);
double apply(map_fn f, double x);
point apply_point(point_fn f, point p, int n);
long double apply_quad(quad_fn f, long double x);
_Bool apply_bool(bool_fn f, int x);
only_int apply_only(only_fn f, int x);
void apply_void(void_fn f, const char *text);
map_fn get_map(int which);
double map_square(double x);
int compare_ints(const int *a, const int *b);
void set_hook(void_fn f);
int call_hook(const char *text);

extern int counter;
extern const char *const title;
extern const int table[4];
extern point origin;
int read_counter(void);

typedef struct node {
  struct node *next;
  int value;
  char name[8];
  unsigned flag : 1, small : 5;
  signed level : 4;
  unsigned long long wide : 50;
  struct {
    short a, b;
  };
  union {
    int i;
    float f;
  } u;
  point place;
  enum color color;
  _Bool is_on;
  const int fixed;
  long double quad;
  map_fn map;
  long long big;
  unsigned long long huge;
  unsigned char bytes[3];
} node;
int node_sum(const node *n);
void node_fill(node *n);
node *node_push(node *head, int value);
unsigned long node_size(void);
int deref(const int *p);
int trap(int x);

#endif
