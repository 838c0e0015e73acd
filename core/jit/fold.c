/* fold.c - hash-consing and algebraic simplification, as nodes are made.
 *
 * Every floating node comes from here, so two that compute the same are one. A rule looks at a node
 * that is to be made and at the operands of its operands, and returns what to use instead, or 0. It
 * may make new nodes, each smaller than the one it replaces by some measure, so that folding ends.
 * Rules for 32 and 64 bits are one: the rows of opcodes.def have the same order for both widths.
 * Constants stand in b where the operation is commutative or a comparison.
 */
#include "fold.h"

#include "../module/pure.h"

/* The distance between the rows of i32 and of i64. */
enum { WIDER = OP_I64_ADD - OP_I32_ADD, WIDER_COMPARE = OP_I64_EQ - OP_I32_EQ };
_Static_assert(OP_I64_ROTR - OP_I32_ROTR == WIDER && OP_I64_CLZ - OP_I32_CLZ == WIDER,
               "arithmetic rows are in one order");
_Static_assert(OP_I64_GE_U - OP_I32_GE_U == WIDER_COMPARE &&
                   OP_I64_EQZ - OP_I32_EQZ == WIDER_COMPARE,
               "comparisons are in one order");

static inline bool in_range(unsigned op, unsigned first, unsigned last) {
  return op - first <= last - first;
}
static inline bool is_compare32(unsigned op) {
  return in_range(op, OP_I32_EQ, OP_I32_GE_U);
}
static inline bool is_compare64(unsigned op) {
  return in_range(op, OP_I64_EQ, OP_I64_GE_U);
}
static inline bool is_int_compare(unsigned op) {
  return is_compare32(op) || is_compare64(op);
}
static inline bool is_boolean_op(unsigned op) {
  return in_range(op, OP_I32_EQZ, OP_F64_GE);
}

/* Sharing */

static inline uint32_t hash_node(const Node *node) {
  uint64_t h = node->imm * UINT64_C(0x9E3779B97F4A7C15);
  h ^= ((uint64_t)node->a << 32 | node->b) * UINT64_C(0xC2B2AE3D27D4EB4F);
  h ^= ((uint64_t)node->c << 32 | (uint32_t)node->op << 16 | (uint32_t)node->type << 8 |
        node->lane) *
       UINT64_C(0x165667B19E3779F9);
  return (uint32_t)((h ^ h >> 29) * UINT64_C(0xBF58476D1CE4E5B9) >> 32);
}

static inline bool same_node(const Node *x, const Node *y) {
  return x->op == y->op && x->a == y->a && x->b == y->b && x->imm == y->imm && x->c == y->c &&
         x->type == y->type && x->lane == y->lane;
}

void fold_init(Ir *ir, uint32_t n) {
  ir->room_shared = 64;
  while (ir->room_shared < 2 * n) ir->room_shared *= 2;
  ir->shared = ARENA_ARRAY(ir->arena, Ref, ir->room_shared);
}

static NO_INLINE void grow_table(Ir *ir) {
  Ref *old = ir->shared;
  uint32_t n = ir->room_shared;
  ir->room_shared *= 2;
  ir->shared = ARENA_ARRAY(ir->arena, Ref, ir->room_shared);
  for (uint32_t i = 0; i < n; i++) {
    if (old[i] == 0) continue;
    uint32_t at = hash_node(NODE(ir, old[i])) & (ir->room_shared - 1);
    while (ir->shared[at] != 0) at = (at + 1) & (ir->room_shared - 1);
    ir->shared[at] = old[i];
  }
}

/* The slot of an equal node, or the empty one where it belongs. */
static inline Ref *find_shared(Ir *ir, const Node *node) {
  uint32_t mask = ir->room_shared - 1, at = hash_node(node) & mask;
  while (ir->shared[at] != 0 && !same_node(NODE(ir, ir->shared[at]), node)) at = (at + 1) & mask;
  return &ir->shared[at];
}

static Ref share(Ir *ir, const Node *node) {
  Ref *slot = find_shared(ir, node);
  if (*slot != 0) return *slot;
  Ref ref = ir_node(ir, node->op, node->type);
  ir->nodes[ref] = *node;
  *slot = ref;
  if (UNLIKELY(++ir->n_shared > ir->room_shared / 2)) grow_table(ir);
  return ref;
}

static Ref make(Ir *ir, unsigned op, unsigned type, Ref a, Ref b) {
  return share(ir, &(Node){.op = (uint16_t)op, .type = (uint8_t)type, .a = a, .b = b});
}

Ref fold_const(Ir *ir, unsigned type, uint64_t bits) {
  if (type == KIND_I32 || type == KIND_F32) bits = (uint32_t)bits;
  return share(ir, &(Node){.op = IR_CONST, .type = (uint8_t)type, .imm = bits});
}

/* Equal vectors are found by their low halves' hash being kept beside: few functions have many. */
Ref fold_v128(Ir *ir, const uint8_t bytes[16]) {
  for (uint32_t i = ir->vectors.n; i-- > 0 && ir->vectors.n - i <= 16;) {
    if (memcmp(ir->vectors.items[i], bytes, 16) == 0)
      return share(ir, &(Node){.op = IR_CONST_V128, .type = KIND_V128, .imm = i});
  }
  VEC_PUSH(ir->arena, &ir->vectors, arena_copy(ir->arena, bytes, 16));
  return share(ir, &(Node){.op = IR_CONST_V128, .type = KIND_V128, .imm = ir->vectors.n - 1});
}

Ref fold_zero(Ir *ir, unsigned type) {
  static const uint8_t zeros[16];
  return type == KIND_V128 ? fold_v128(ir, zeros) : fold_const(ir, type, 0);
}

Ref fold_value(Ir *ir, unsigned op, unsigned type, Ref a, Ref b, uint64_t imm) {
  return share(ir, &(Node){.op = (uint16_t)op, .type = (uint8_t)type, .a = a, .b = b, .imm = imm});
}

/* Known values */

static uint64_t mask_of_type(unsigned type) {
  return type == KIND_I32 ? UINT32_MAX : UINT64_MAX;
}
/* All bits up to the highest one of x. */
static uint64_t fill_bits(uint64_t x) {
  return x == 0 ? 0 : UINT64_MAX >> __builtin_clzll(x);
}

static uint64_t max_of(const Ir *ir, Ref ref, unsigned depth);

static uint64_t max_of_select(const Ir *ir, const Node *node, unsigned depth) {
  uint64_t b = max_of(ir, node->b, depth + 1), c = max_of(ir, node->c, depth + 1);
  return MAX(b, c);
}

static uint64_t max_of_shift(const Ir *ir, const Node *node, unsigned depth, bool is_left) {
  uint64_t all = mask_of_type(node->type), count;
  if (!fold_is_const(ir, node->b, &count)) return is_left ? all : max_of(ir, node->a, depth + 1);
  uint64_t max = max_of(ir, node->a, depth + 1);
  if (!is_left) return max >> (count & 63);
  return max > all >> (count & 63) ? all : max << (count & 63);
}

static uint64_t max_of(const Ir *ir, Ref ref, unsigned depth) {
  const Node *node = NODE(ir, ref);
  uint64_t all = mask_of_type(node->type);
  if (depth > 4) return all;
  switch (node->op) {
    case IR_CONST: return node->imm;
    case OP_I32_LOAD8_U:
    case OP_I64_LOAD8_U:
    case OP_I32_ATOMIC_LOAD8_U:
    case OP_I64_ATOMIC_LOAD8_U:
    case OP_I8X16_EXTRACT_LANE_U: return UINT8_MAX;
    case OP_I32_LOAD16_U:
    case OP_I64_LOAD16_U:
    case OP_I32_ATOMIC_LOAD16_U:
    case OP_I64_ATOMIC_LOAD16_U:
    case OP_I16X8_EXTRACT_LANE_U: return UINT16_MAX;
    case OP_I64_LOAD32_U:
    case OP_I64_ATOMIC_LOAD32_U: return UINT32_MAX;
    case OP_I64_EXTEND_I32_U: return max_of(ir, node->a, depth + 1);
    case OP_I32_WRAP_I64: {
      uint64_t max = max_of(ir, node->a, depth + 1);
      return MIN(max, UINT32_MAX);
    }
    case OP_I32_AND:
    case OP_I64_AND: {
      uint64_t a = max_of(ir, node->a, depth + 1), b = max_of(ir, node->b, depth + 1);
      return MIN(a, b);
    }
    case OP_I32_OR:
    case OP_I64_OR:
    case OP_I32_XOR:
    case OP_I64_XOR:
      return fill_bits(max_of(ir, node->a, depth + 1) | max_of(ir, node->b, depth + 1));
    case OP_I32_ADD:
    case OP_I64_ADD: {
      uint64_t a = max_of(ir, node->a, depth + 1), b = max_of(ir, node->b, depth + 1);
      return a > all - b ? all : a + b;
    }
    case OP_I32_SHR_U:
    case OP_I64_SHR_U: return max_of_shift(ir, node, depth, false);
    case OP_I32_SHL:
    case OP_I64_SHL: return max_of_shift(ir, node, depth, true);
    case OP_I32_CLZ:
    case OP_I32_CTZ:
    case OP_I32_POPCNT: return 32;
    case OP_I64_CLZ:
    case OP_I64_CTZ:
    case OP_I64_POPCNT: return 64;
    case OP_V128_ANY_TRUE:
    case OP_I8X16_ALL_TRUE:
    case OP_I16X8_ALL_TRUE:
    case OP_I32X4_ALL_TRUE:
    case OP_I64X2_ALL_TRUE: return 1;
    case OP_I8X16_BITMASK: return UINT16_MAX;
    case OP_I16X8_BITMASK: return UINT8_MAX;
    case IR_SELECT: return max_of_select(ir, node, depth);
    case IR_FIELD_LOAD:
      return node->lane == FIELD_I8_U ? UINT8_MAX : node->lane == FIELD_I16_U ? UINT16_MAX : all;
    default: return is_boolean_op(node->op) ? 1 : all;
  }
}

uint64_t fold_max(const Ir *ir, Ref x) {
  return max_of(ir, x, 0);
}

static bool is_boolean(const Ir *ir, Ref x) {
  return fold_max(ir, x) <= 1;
}
/* Is the sign bit of an i32 or i64 known to be 0? */
static bool is_positive(const Ir *ir, Ref x) {
  return fold_max(ir, x) <= mask_of_type(NODE(ir, x)->type) >> 1;
}

/* Looking at operands */

/* x = op(y, constant) */
static inline bool match_const(const Ir *ir, Ref x, unsigned op, Ref *y, uint64_t *bits) {
  const Node *node = NODE(ir, x);
  if (node->op != op || !fold_is_const(ir, node->b, bits)) return false;
  *y = node->a;
  return true;
}

/* What a rule for both widths needs. */
typedef struct Int {
  Ir *ir;
  unsigned wider;  /* added to a row of i32: 0 or WIDER */
  unsigned widerc; /* the same for comparisons */
  unsigned type, width;
  uint64_t all; /* the largest value */
} Int;

static inline Int int_of(Ir *ir, bool is_64) {
  return is_64 ? (Int){ir, WIDER, WIDER_COMPARE, KIND_I64, 64, UINT64_MAX}
               : (Int){ir, 0, 0, KIND_I32, 32, UINT32_MAX};
}
static Ref int_binary(const Int *t, Op op32, Ref a, Ref b) {
  return fold_binary(t->ir, (Op)(op32 + t->wider), a, b);
}
static Ref int_const(const Int *t, uint64_t bits) {
  return fold_const(t->ir, t->type, bits & t->all);
}
static Ref with_const(const Int *t, Op op32, Ref a, uint64_t bits) {
  return int_binary(t, op32, a, int_const(t, bits));
}
static bool int_match(const Int *t, Ref x, Op op32, Ref *y, uint64_t *bits) {
  return match_const(t->ir, x, op32 + t->wider, y, bits);
}
static int64_t int_signed(const Int *t, uint64_t bits) {
  return t->width == 64 ? (int64_t)bits : (int32_t)(uint32_t)bits;
}

/* Arithmetic */

static Ref rule_add(const Int *t, Ref a, Ref b) {
  uint64_t c, d;
  Ref x;
  const Node *left = NODE(t->ir, a), *right = NODE(t->ir, b);
  if (fold_is_const(t->ir, b, &c)) {
    if (c == 0) return a;
    if (int_match(t, a, OP_I32_ADD, &x, &d)) return with_const(t, OP_I32_ADD, x, c + d);
    if (left->op == OP_I32_SUB + t->wider && fold_is_const(t->ir, left->a, &d))
      return int_binary(t, OP_I32_SUB, int_const(t, c + d), left->b); /* (d - x) + c */
    return 0;
  }
  if (left->op == OP_I32_SUB + t->wider && left->b == b) return left->a; /* (x - b) + b */
  if (right->op == OP_I32_SUB + t->wider && right->b == a) return right->a;
  if (right->op == OP_I32_SUB + t->wider && fold_is_const(t->ir, right->a, &d) && d == 0)
    return int_binary(t, OP_I32_SUB, a, right->b); /* a + (0 - x) */
  return 0;
}

static Ref rule_sub(const Int *t, Ref a, Ref b) {
  uint64_t c, d;
  Ref x;
  const Node *left = NODE(t->ir, a), *right = NODE(t->ir, b);
  if (a == b) return int_const(t, 0);
  if (fold_is_const(t->ir, b, &c)) return with_const(t, OP_I32_ADD, a, 0 - c);
  if (fold_is_const(t->ir, a, &c)) {
    if (int_match(t, b, OP_I32_ADD, &x, &d))
      return int_binary(t, OP_I32_SUB, int_const(t, c - d), x); /* c - (x + d) */
    if (right->op == OP_I32_SUB + t->wider && fold_is_const(t->ir, right->a, &d))
      return with_const(t, OP_I32_ADD, right->b, c - d); /* c - (d - x) */
    return 0;
  }
  if (left->op == OP_I32_ADD + t->wider) {
    if (left->b == b) return left->a; /* (x + b) - b */
    if (left->a == b) return left->b;
  }
  return 0;
}

static bool is_power_of_2(uint64_t x) {
  return x != 0 && (x & (x - 1)) == 0;
}
static unsigned log2_of(uint64_t x) {
  return 63 - (unsigned)__builtin_clzll(x);
}

static Ref rule_mul(const Int *t, Ref a, Ref b) {
  uint64_t c, d;
  Ref x;
  if (!fold_is_const(t->ir, b, &c)) return 0;
  if (c == 0) return b;
  if (c == 1) return a;
  if (c == t->all) return int_binary(t, OP_I32_SUB, int_const(t, 0), a);
  if (is_power_of_2(c)) return with_const(t, OP_I32_SHL, a, log2_of(c));
  if (int_match(t, a, OP_I32_MUL, &x, &d)) return with_const(t, OP_I32_MUL, x, c * d);
  if (int_match(t, a, OP_I32_SHL, &x, &d))
    return with_const(t, OP_I32_MUL, x, c << (d & (t->width - 1)));
  return 0;
}

/* Bits */

static Ref rule_and(const Int *t, Ref a, Ref b) {
  uint64_t c, d;
  Ref x;
  if (a == b) return a;
  if (!fold_is_const(t->ir, b, &c)) return 0;
  uint64_t possible = fill_bits(fold_max(t->ir, a));
  if ((c & possible) == 0) return int_const(t, 0);
  if ((c & possible) == possible) return a;
  if ((c & possible) != c) return with_const(t, OP_I32_AND, a, c & possible);
  if (int_match(t, a, OP_I32_AND, &x, &d)) return with_const(t, OP_I32_AND, x, c & d);
  if (int_match(t, a, OP_I32_OR, &x, &d) && (c & d) == 0) return with_const(t, OP_I32_AND, x, c);
  const Node *left = NODE(t->ir, a);
  /* What sign extension adds is cut off again. */
  if (c <= UINT8_MAX && left->op == (t->wider ? OP_I64_EXTEND8_S : OP_I32_EXTEND8_S))
    return int_binary(t, OP_I32_AND, left->a, b);
  if (c <= UINT16_MAX && left->op == (t->wider ? OP_I64_EXTEND16_S : OP_I32_EXTEND16_S))
    return int_binary(t, OP_I32_AND, left->a, b);
  if (t->wider && c <= UINT32_MAX && left->op == OP_I64_EXTEND_I32_S)
    return int_binary(t, OP_I32_AND, fold_unary(t->ir, OP_I64_EXTEND_I32_U, left->a), b);
  return 0;
}

/* (x << n) | (x >> (width - n)), of constants or of a count and its negation. */
static Ref match_rotation(const Int *t, Ref a, Ref b) {
  uint64_t c, d;
  Ref x, y;
  if (int_match(t, a, OP_I32_SHR_U, &x, &c) && int_match(t, b, OP_I32_SHL, &y, &d)) {
    return x == y && c + d == t->width ? with_const(t, OP_I32_ROTL, x, d) : 0;
  }
  if (int_match(t, a, OP_I32_SHL, &x, &c) && int_match(t, b, OP_I32_SHR_U, &y, &d)) {
    return x == y && c + d == t->width ? with_const(t, OP_I32_ROTL, x, c) : 0;
  }
  return 0;
}

static Ref rule_or(const Int *t, Ref a, Ref b) {
  uint64_t c, d;
  Ref x;
  if (a == b) return a;
  if (!fold_is_const(t->ir, b, &c)) return match_rotation(t, a, b);
  if (c == 0) return a;
  if (c == t->all) return b;
  if (int_match(t, a, OP_I32_OR, &x, &d)) return with_const(t, OP_I32_OR, x, c | d);
  return 0;
}

static Op inverted(unsigned op); /* of an integer comparison */

static Ref rule_xor(const Int *t, Ref a, Ref b) {
  uint64_t c, d;
  Ref x;
  if (a == b) return int_const(t, 0);
  if (!fold_is_const(t->ir, b, &c)) return 0;
  if (c == 0) return a;
  if (int_match(t, a, OP_I32_XOR, &x, &d)) return with_const(t, OP_I32_XOR, x, c ^ d);
  if (c == 1 && t->wider == 0 && is_boolean(t->ir, a)) return fold_unary(t->ir, OP_I32_EQZ, a);
  return 0;
}

/* Counts are taken modulo the width by the operation itself. */
static Ref rule_count(const Int *t, Op op, Ref a, Ref b) {
  uint64_t c;
  Ref x;
  if (fold_is_const(t->ir, b, &c)) {
    uint64_t low = c & (t->width - 1);
    if (low == 0) return a;
    if (low != c) return with_const(t, op, a, low);
    return 0;
  }
  if (int_match(t, b, OP_I32_AND, &x, &c) && (c & (t->width - 1)) == t->width - 1)
    return int_binary(t, op, a, x);
  return 0;
}

static Ref rule_shl(const Int *t, Ref a, Ref b) {
  uint64_t c, d;
  Ref x, found = rule_count(t, OP_I32_SHL, a, b);
  if (found != 0 || !fold_is_const(t->ir, b, &c)) return found;
  if (int_match(t, a, OP_I32_SHL, &x, &d))
    return c + d < t->width ? with_const(t, OP_I32_SHL, x, c + d) : int_const(t, 0);
  bool clears = int_match(t, a, OP_I32_SHR_U, &x, &d) || int_match(t, a, OP_I32_SHR_S, &x, &d);
  if (clears && d == c) return with_const(t, OP_I32_AND, x, t->all << c);
  return 0;
}

static Ref rule_shr_u(const Int *t, Ref a, Ref b) {
  uint64_t c, d;
  Ref x, found = rule_count(t, OP_I32_SHR_U, a, b);
  if (found != 0 || !fold_is_const(t->ir, b, &c)) return found;
  if (fold_max(t->ir, a) >> c == 0) return int_const(t, 0);
  if (int_match(t, a, OP_I32_SHR_U, &x, &d))
    return c + d < t->width ? with_const(t, OP_I32_SHR_U, x, c + d) : int_const(t, 0);
  if (int_match(t, a, OP_I32_SHL, &x, &d) && d == c)
    return with_const(t, OP_I32_AND, x, t->all >> c);
  return 0;
}

/* (x << n) >> n keeps width - n bits with their sign. */
static Ref match_sign_extension(const Int *t, Ref x, uint64_t n) {
  uint64_t kept = t->width - n;
  if (t->wider == 0 && kept == 8) return fold_unary(t->ir, OP_I32_EXTEND8_S, x);
  if (t->wider == 0 && kept == 16) return fold_unary(t->ir, OP_I32_EXTEND16_S, x);
  if (t->wider != 0 && kept == 8) return fold_unary(t->ir, OP_I64_EXTEND8_S, x);
  if (t->wider != 0 && kept == 16) return fold_unary(t->ir, OP_I64_EXTEND16_S, x);
  if (t->wider != 0 && kept == 32) return fold_unary(t->ir, OP_I64_EXTEND32_S, x);
  return 0;
}

static Ref rule_shr_s(const Int *t, Ref a, Ref b) {
  uint64_t c, d;
  Ref x, found = rule_count(t, OP_I32_SHR_S, a, b);
  if (found != 0) return found;
  if (is_positive(t->ir, a)) return int_binary(t, OP_I32_SHR_U, a, b);
  if (!fold_is_const(t->ir, b, &c)) return 0;
  if (int_match(t, a, OP_I32_SHR_S, &x, &d))
    return with_const(t, OP_I32_SHR_S, x, MIN(c + d, t->width - 1));
  if (int_match(t, a, OP_I32_SHL, &x, &d) && d == c) return match_sign_extension(t, x, c);
  return 0;
}

/* Comparisons */

static Op inverted(unsigned op) {
  static const uint8_t opposite[] = {
      [OP_I32_EQ - OP_I32_EQ] = OP_I32_NE - OP_I32_EQ,
      [OP_I32_NE - OP_I32_EQ] = OP_I32_EQ - OP_I32_EQ,
      [OP_I32_LT_S - OP_I32_EQ] = OP_I32_GE_S - OP_I32_EQ,
      [OP_I32_LT_U - OP_I32_EQ] = OP_I32_GE_U - OP_I32_EQ,
      [OP_I32_GT_S - OP_I32_EQ] = OP_I32_LE_S - OP_I32_EQ,
      [OP_I32_GT_U - OP_I32_EQ] = OP_I32_LE_U - OP_I32_EQ,
      [OP_I32_LE_S - OP_I32_EQ] = OP_I32_GT_S - OP_I32_EQ,
      [OP_I32_LE_U - OP_I32_EQ] = OP_I32_GT_U - OP_I32_EQ,
      [OP_I32_GE_S - OP_I32_EQ] = OP_I32_LT_S - OP_I32_EQ,
      [OP_I32_GE_U - OP_I32_EQ] = OP_I32_LT_U - OP_I32_EQ,
  };
  unsigned first = is_compare64(op) ? OP_I64_EQ : OP_I32_EQ;
  return (Op)(first + opposite[op - first]);
}

/* The same comparison with its operands exchanged. */
static unsigned swapped(unsigned op) {
  switch (op) {
    case OP_I32_LT_S: return OP_I32_GT_S;
    case OP_I32_LT_U: return OP_I32_GT_U;
    case OP_I32_GT_S: return OP_I32_LT_S;
    case OP_I32_GT_U: return OP_I32_LT_U;
    case OP_I32_LE_S: return OP_I32_GE_S;
    case OP_I32_LE_U: return OP_I32_GE_U;
    case OP_I32_GE_S: return OP_I32_LE_S;
    case OP_I32_GE_U: return OP_I32_LE_U;
    default: return op;
  }
}

static bool is_unsigned_compare(unsigned op) {
  return op == OP_I32_LT_U || op == OP_I32_GT_U || op == OP_I32_LE_U || op == OP_I32_GE_U;
}
static unsigned made_unsigned(unsigned op) {
  return op >= OP_I32_LT_S && !is_unsigned_compare(op) ? op + 1 : op;
}

static Ref int_compare(const Int *t, unsigned op32, Ref a, Ref b) {
  return fold_binary(t->ir, (Op)(op32 + t->widerc), a, b);
}
static Ref is_zero(const Int *t, Ref a) {
  return fold_unary(t->ir, (Op)(OP_I32_EQZ + t->widerc), a);
}

/* x == c, x != c. A sum is compared as it is: where x is a loop's counter, it lives on until the
 * comparison otherwise, beside its successor. */
static Ref rule_equal_const(const Int *t, unsigned op, Ref a, uint64_t c) {
  bool is_eq = op == OP_I32_EQ;
  uint64_t d;
  Ref x;
  if (is_eq && c == 0) return is_zero(t, a);
  if (c > fold_max(t->ir, a)) return fold_i32(t->ir, !is_eq);
  if (t->wider == 0 && is_boolean(t->ir, a))
    return is_eq == (c == 1) ? a : fold_unary(t->ir, OP_I32_EQZ, a);
  if (int_match(t, a, OP_I32_XOR, &x, &d)) return int_compare(t, op, x, int_const(t, c ^ d));
  const Node *left = NODE(t->ir, a);
  if (c == 0 && (left->op == OP_I32_SUB + t->wider || left->op == OP_I32_XOR + t->wider))
    return int_compare(t, op, left->a, left->b);
  return 0;
}

/* Comparisons with the ends of the unsigned range. */
static Ref rule_unsigned_const(const Int *t, unsigned op, Ref a, uint64_t c) {
  uint64_t max = fold_max(t->ir, a);
  switch (op) {
    case OP_I32_LT_U:
      if (c == 0) return fold_i32(t->ir, 0);
      if (c > max) return fold_i32(t->ir, 1);
      return c == 1 ? is_zero(t, a) : 0;
    case OP_I32_GE_U:
      if (c == 0) return fold_i32(t->ir, 1);
      if (c > max) return fold_i32(t->ir, 0);
      return c == 1 ? int_compare(t, OP_I32_NE, a, int_const(t, 0)) : 0;
    case OP_I32_GT_U:
      if (c >= max) return fold_i32(t->ir, 0);
      return c == 0 ? int_compare(t, OP_I32_NE, a, int_const(t, 0)) : 0;
    case OP_I32_LE_U:
      if (c >= max) return fold_i32(t->ir, 1);
      return c == 0 ? is_zero(t, a) : 0;
    default: return 0;
  }
}

/* Both sides were widened from 32 bits: they compare as they were. */
static Ref rule_narrow_compare(const Int *t, unsigned op, Ref a, Ref b) {
  const Node *left = NODE(t->ir, a);
  Ref x = left->a, y;
  uint64_t c;
  bool is_unsigned = left->op == OP_I64_EXTEND_I32_U;
  if (!is_unsigned && left->op != OP_I64_EXTEND_I32_S) return 0;
  if (NODE(t->ir, b)->op == left->op) {
    y = NODE(t->ir, b)->a;
  } else if (fold_is_const(t->ir, b, &c) &&
             (is_unsigned ? c <= UINT32_MAX : (int64_t)c == (int32_t)(uint32_t)c)) {
    y = fold_i32(t->ir, (uint32_t)c);
  } else {
    return 0;
  }
  if (!is_unsigned && is_unsigned_compare(op)) return 0;
  return fold_binary(t->ir, (Op)(is_unsigned ? made_unsigned(op) : op), x, y);
}

static Ref rule_compare(const Int *t, unsigned op, Ref a, Ref b) {
  uint64_t c;
  if (a == b) {
    bool holds = op == OP_I32_EQ || op == OP_I32_LE_S || op == OP_I32_LE_U || op == OP_I32_GE_S ||
                 op == OP_I32_GE_U;
    return fold_i32(t->ir, holds);
  }
  if (t->wider != 0) {
    Ref found = rule_narrow_compare(t, op, a, b);
    if (found != 0) return found;
  }
  if (!fold_is_const(t->ir, b, &c)) return 0;
  if (op == OP_I32_EQ || op == OP_I32_NE) return rule_equal_const(t, op, a, c);
  if (!is_unsigned_compare(op) && c <= t->all >> 1 && is_positive(t->ir, a))
    return int_compare(t, made_unsigned(op), a, b);
  return rule_unsigned_const(t, op, a, c);
}

static bool is_never_null(const Node *node) {
  return node->op == IR_FUNC_REF || node->op == IR_CAUGHT ||
         (node->op == IR_CALL_HELPER && node->type == KIND_REF); /* they allocate */
}

static Ref rule_eqz(const Int *t, Ref a) {
  const Node *node = NODE(t->ir, a);
  Ref x = node->a, y = node->b;
  if (t->wider == 0) {
    if (is_int_compare(node->op)) return fold_binary(t->ir, inverted(node->op), x, y);
    if (node->op == OP_I32_EQZ)
      return is_boolean(t->ir, x) ? x : fold_binary(t->ir, OP_I32_NE, x, fold_i32(t->ir, 0));
    if (node->op == OP_I64_EQZ) return fold_binary(t->ir, OP_I64_NE, x, fold_i64(t->ir, 0));
  } else if (node->op == OP_I64_EXTEND_I32_U || node->op == OP_I64_EXTEND_I32_S) {
    return fold_unary(t->ir, OP_I32_EQZ, x);
  }
  if (node->op == OP_I32_SUB + t->wider || node->op == OP_I32_XOR + t->wider)
    return int_compare(t, OP_I32_EQ, x, y);
  return t->wider != 0 && is_never_null(node) ? fold_i32(t->ir, 0) : 0;
}

/* Conversions */

static bool is_extension(unsigned op) {
  return op == OP_I64_EXTEND_I32_U || op == OP_I64_EXTEND_I32_S;
}

/* The low half of an operand, where that costs nothing; 0: it would. */
static Ref low_half(Ir *ir, Ref x) {
  const Node *node = NODE(ir, x);
  if (is_extension(node->op)) return node->a;
  return node->op == IR_CONST ? fold_i32(ir, (uint32_t)node->imm) : 0;
}

static Ref rule_wrap(Ir *ir, Ref a) {
  const Node node = *NODE(ir, a);
  uint64_t c;
  if (is_extension(node.op)) return node.a;
  if (node.op == OP_I64_AND && fold_is_const(ir, node.b, &c) && (uint32_t)c == UINT32_MAX)
    return fold_unary(ir, OP_I32_WRAP_I64, node.a);
  if (node.op == OP_I64_EXTEND32_S) return fold_unary(ir, OP_I32_WRAP_I64, node.a);
  bool is_narrow =
      in_range(node.op, OP_I64_ADD, OP_I64_MUL) || in_range(node.op, OP_I64_AND, OP_I64_XOR);
  if (!is_narrow) return 0;
  Ref x = low_half(ir, node.a), y = x != 0 ? low_half(ir, node.b) : 0;
  return y != 0 ? fold_binary(ir, (Op)(node.op - WIDER), x, y) : 0;
}

static Ref rule_extend_s(Ir *ir, Ref a) {
  if (is_positive(ir, a)) return fold_unary(ir, OP_I64_EXTEND_I32_U, a);
  const Node *node = NODE(ir, a);
  return node->op == OP_I32_WRAP_I64 ? fold_unary(ir, OP_I64_EXTEND32_S, node->a) : 0;
}

static Ref rule_extend_u(Ir *ir, Ref a) {
  const Node *node = NODE(ir, a);
  return node->op == OP_I32_WRAP_I64 && fold_max(ir, node->a) <= UINT32_MAX ? node->a : 0;
}

/* Sign extension inside a register from `bits` bits. */
static Ref rule_extend_in(Ir *ir, Op op, Ref a, unsigned bits) {
  uint64_t c, kept = (UINT64_C(1) << bits) - 1;
  if (fold_max(ir, a) <= kept >> 1) return a;
  const Node *node = NODE(ir, a);
  switch (node->op) {
    case OP_I32_LOAD8_S:
    case OP_I64_LOAD8_S:
    case OP_I32_EXTEND8_S:
    case OP_I64_EXTEND8_S: return a;
    case OP_I32_LOAD16_S:
    case OP_I64_LOAD16_S:
    case OP_I32_EXTEND16_S:
    case OP_I64_EXTEND16_S:
      if (bits >= 16) return a;
      break;
    case OP_I64_LOAD32_S:
    case OP_I64_EXTEND32_S:
    case OP_I64_EXTEND_I32_S:
      if (bits >= 32) return a;
      break;
    case OP_I64_EXTEND_I32_U:
      if (bits == 32) return fold_unary(ir, OP_I64_EXTEND_I32_S, node->a);
      break;
    case OP_I32_AND:
    case OP_I64_AND:
      if (fold_is_const(ir, node->b, &c) && (c & kept) == kept) return fold_unary(ir, op, node->a);
      break;
    default: break;
  }
  return 0;
}

static Ref rule_unary(Ir *ir, Op op, Ref a) {
  const Node *node = NODE(ir, a);
  switch (op) {
    case OP_I32_EQZ:
    case OP_I64_EQZ: {
      Int t = int_of(ir, op == OP_I64_EQZ);
      return rule_eqz(&t, a);
    }
    case OP_I32_WRAP_I64: return rule_wrap(ir, a);
    case OP_I64_EXTEND_I32_S: return rule_extend_s(ir, a);
    case OP_I64_EXTEND_I32_U: return rule_extend_u(ir, a);
    case OP_I32_EXTEND8_S:
    case OP_I64_EXTEND8_S: return rule_extend_in(ir, op, a, 8);
    case OP_I32_EXTEND16_S:
    case OP_I64_EXTEND16_S: return rule_extend_in(ir, op, a, 16);
    case OP_I64_EXTEND32_S: return rule_extend_in(ir, op, a, 32);
    case OP_F32_ABS:
      return node->op == OP_F32_ABS ? a : node->op == OP_F32_NEG ? fold_unary(ir, op, node->a) : 0;
    case OP_F64_ABS:
      return node->op == OP_F64_ABS ? a : node->op == OP_F64_NEG ? fold_unary(ir, op, node->a) : 0;
    case OP_F32_NEG: return node->op == OP_F32_NEG ? node->a : 0;
    case OP_F64_NEG: return node->op == OP_F64_NEG ? node->a : 0;
    case OP_I32_REINTERPRET_F32: return node->op == OP_F32_REINTERPRET_I32 ? node->a : 0;
    case OP_F32_REINTERPRET_I32: return node->op == OP_I32_REINTERPRET_F32 ? node->a : 0;
    case OP_I64_REINTERPRET_F64: return node->op == OP_F64_REINTERPRET_I64 ? node->a : 0;
    case OP_F64_REINTERPRET_I64: return node->op == OP_I64_REINTERPRET_F64 ? node->a : 0;
    default: return 0;
  }
}

/* Division by a power of two is exact as a multiplication. */
static Ref rule_float_div(Ir *ir, Op op, Ref a, Ref b) {
  uint64_t bits;
  if (!fold_is_const(ir, b, &bits)) return 0;
  if (op == OP_F32_DIV) {
    uint32_t exponent = (uint32_t)bits >> 23 & 0xFF;
    if ((bits & 0x7FFFFF) != 0 || exponent < 2 || exponent > 252) return 0;
    uint64_t inverse = (bits & 0x80000000u) | (uint64_t)(254 - exponent) << 23;
    return fold_binary(ir, OP_F32_MUL, a, fold_const(ir, KIND_F32, inverse));
  }
  uint64_t exponent = bits >> 52 & 0x7FF;
  if ((bits & 0xFFFFFFFFFFFFF) != 0 || exponent < 2 || exponent > 2044) return 0;
  uint64_t inverse = (bits & UINT64_C(1) << 63) | (2046 - exponent) << 52;
  return fold_binary(ir, OP_F64_MUL, a, fold_const(ir, KIND_F64, inverse));
}

static Ref rule_int_binary(const Int *t, unsigned op, Ref a, Ref b) {
  switch (op) {
    case OP_I32_ADD: return rule_add(t, a, b);
    case OP_I32_SUB: return rule_sub(t, a, b);
    case OP_I32_MUL: return rule_mul(t, a, b);
    case OP_I32_AND: return rule_and(t, a, b);
    case OP_I32_OR: return rule_or(t, a, b);
    case OP_I32_XOR: return rule_xor(t, a, b);
    case OP_I32_SHL: return rule_shl(t, a, b);
    case OP_I32_SHR_U: return rule_shr_u(t, a, b);
    case OP_I32_SHR_S: return rule_shr_s(t, a, b);
    case OP_I32_ROTL:
    case OP_I32_ROTR: return rule_count(t, (Op)op, a, b);
    default: return 0;
  }
}

static Ref rule_binary(Ir *ir, Op op, Ref a, Ref b) {
  if (is_int_compare(op)) {
    Int t = int_of(ir, is_compare64(op));
    return rule_compare(&t, op - t.widerc, a, b);
  }
  if (in_range(op, OP_I32_CLZ, OP_I64_ROTR)) {
    Int t = int_of(ir, op >= OP_I64_CLZ);
    return rule_int_binary(&t, op - t.wider, a, b);
  }
  if (op == OP_F32_DIV || op == OP_F64_DIV) return rule_float_div(ir, op, a, b);
  return 0;
}

/* Making rows */

static void cell_of(const Ir *ir, Ref ref, Cell *cell) {
  const Node *node = NODE(ir, ref);
  memset(cell, 0, sizeof *cell);
  if (node->op == IR_CONST_V128) {
    memcpy(&cell->v128, ir->vectors.items[node->imm], 16);
  } else {
    cell->i64 = node->imm;
  }
}

/* The constant that a row computes from constants; 0 when an operand is none, or it traps. */
static Ref evaluate(Ir *ir, Op op, Ref a, Ref b, Ref c, uint8_t lane, uint64_t lanes) {
  Ref operands[3] = {a, b, c};
  Cell cells[3], out;
  V128 immediate;
  Trap trap;
  for (unsigned i = 0; i < 3 && operands[i] != 0; i++) {
    if (!ir_is_constant(NODE(ir, operands[i]))) return 0;
    cell_of(ir, operands[i], &cells[i]);
  }
  memset(&immediate, 0, sizeof immediate);
  immediate.u8[0] = lane;
  if (op == OP_I8X16_SHUFFLE) memcpy(&immediate, ir->vectors.items[lanes], 16);
  if (!pure_eval(op, cells, &immediate, &out, &trap)) return 0;
  if (ir->module->is_deterministic) pure_canonicalize(op, &out);
  unsigned type = ir_result_of[op];
  return type == KIND_V128 ? fold_v128(ir, out.v128.u8) : fold_const(ir, type, out.i64);
}

Ref fold_unary(Ir *ir, Op op, Ref a) {
  Ref found = ir_is_constant(NODE(ir, a)) ? evaluate(ir, op, a, 0, 0, 0, 0) : rule_unary(ir, op, a);
  return found != 0 ? found : make(ir, op, ir_result_of[op], a, 0);
}

Ref fold_constant_trunc(Ir *ir, Op op, Ref a) {
  return ir_is_constant(NODE(ir, a)) ? evaluate(ir, op, a, 0, 0, 0, 0) : 0;
}

static bool is_commutative(unsigned op) {
  switch (op) {
    case OP_I32_ADD:
    case OP_I32_MUL:
    case OP_I32_AND:
    case OP_I32_OR:
    case OP_I32_XOR:
    case OP_I64_ADD:
    case OP_I64_MUL:
    case OP_I64_AND:
    case OP_I64_OR:
    case OP_I64_XOR:
    case OP_I32_EQ:
    case OP_I32_NE:
    case OP_I64_EQ:
    case OP_I64_NE:
    case OP_F32_EQ:
    case OP_F32_NE:
    case OP_F64_EQ:
    case OP_F64_NE: return true;
    default: return false;
  }
}

Ref fold_binary(Ir *ir, Op op, Ref a, Ref b) {
  bool a_is_const = ir_is_constant(NODE(ir, a)), b_is_const = ir_is_constant(NODE(ir, b));
  if (a_is_const && b_is_const) {
    Ref found = evaluate(ir, op, a, b, 0, 0, 0);
    if (found != 0) return found;
  }
  bool is_int = is_int_compare(op);
  if (is_commutative(op) ? (b_is_const ? false : a_is_const || a > b) : is_int && a_is_const) {
    Ref swap = a;
    a = b, b = swap;
    if (is_int) {
      unsigned wider = is_compare64(op) ? WIDER_COMPARE : 0;
      op = (Op)(swapped(op - wider) + wider);
    }
  }
  Ref found = rule_binary(ir, op, a, b);
  return found != 0 ? found : make(ir, op, ir_result_of[op], a, b);
}

Ref fold_simd(Ir *ir, Op op, Ref a, Ref b, Ref c, uint8_t lane, uint64_t lanes) {
  Ref found = evaluate(ir, op, a, b, c, lane, lanes);
  if (found != 0) return found;
  return share(ir, &(Node){.op = (uint16_t)op,
                           .type = ir_result_of[op],
                           .lane = lane,
                           .a = a,
                           .b = b,
                           .c = c,
                           .imm = op == OP_I8X16_SHUFFLE ? lanes : 0});
}

Ref fold_condition(const Ir *ir, Ref x, bool *is_negated) {
  *is_negated = false;
  for (;;) {
    const Node *node = NODE(ir, x);
    uint64_t c;
    if (node->op == OP_I32_EQZ) {
      *is_negated = !*is_negated;
    } else if (node->op != OP_I32_NE || !fold_is_const(ir, node->b, &c) || c != 0) {
      return x;
    }
    x = node->a;
  }
}

Ref fold_select(Ir *ir, Ref condition, Ref a, Ref b) {
  bool is_negated;
  uint64_t c, d;
  if (a == b) return a;
  condition = fold_condition(ir, condition, &is_negated);
  if (is_negated) {
    Ref swap = a;
    a = b, b = swap;
  }
  if (fold_is_const(ir, condition, &c)) return (uint32_t)c != 0 ? a : b;
  unsigned type = NODE(ir, a)->type;
  if (type == KIND_I64) type = NODE(ir, b)->type; /* a reference when either is */
  if (type == KIND_I32 && fold_is_const(ir, a, &c) && fold_is_const(ir, b, &d)) {
    if (c == 1 && d == 0)
      return is_boolean(ir, condition) ? condition
                                       : fold_binary(ir, OP_I32_NE, condition, fold_i32(ir, 0));
    if (c == 0 && d == 1) return fold_unary(ir, OP_I32_EQZ, condition);
  }
  return share(ir, &(Node){.op = IR_SELECT, .type = (uint8_t)type, .a = condition, .b = a, .c = b});
}

Ref fold_canonical_nan(Ir *ir, Op op, Ref x) {
  Ref is_number;
  if (ir_is_constant(NODE(ir, x))) return x;
  switch (ir_result_of[op]) {
    case KIND_F32:
      is_number = fold_binary(ir, OP_F32_EQ, x, x);
      return fold_select(ir, is_number, x, fold_const(ir, KIND_F32, F32_NAN_BITS));
    case KIND_F64:
      is_number = fold_binary(ir, OP_F64_EQ, x, x);
      return fold_select(ir, is_number, x, fold_const(ir, KIND_F64, F64_NAN_BITS));
    default: break;
  }
  bool is_f32 = memcmp(op_info[op].text, "f32x4", 5) == 0;
  V128 nan;
  EACH(4, nan.u32[i] = F32_NAN_BITS)
  if (!is_f32) EACH(2, nan.u64[i] = F64_NAN_BITS)
  is_number = fold_simd(ir, is_f32 ? OP_F32X4_EQ : OP_F64X2_EQ, x, x, 0, 0, 0);
  return fold_simd(ir, OP_V128_BITSELECT, x, fold_v128(ir, nan.u8), is_number, 0, 0);
}

/* Memory */

Ref fold_stored(const Ir *ir, Ref x, unsigned bytes) {
  uint64_t kept = bytes >= 8 ? UINT64_MAX : (UINT64_C(1) << 8 * bytes) - 1, c;
  for (;;) {
    const Node *node = NODE(ir, x);
    bool is_and = node->op == OP_I32_AND || node->op == OP_I64_AND;
    bool strips =
        (is_and && fold_is_const(ir, node->b, &c) && (c & kept) == kept) ||
        (bytes == 1 && (node->op == OP_I32_EXTEND8_S || node->op == OP_I64_EXTEND8_S)) ||
        (bytes <= 2 && (node->op == OP_I32_EXTEND16_S || node->op == OP_I64_EXTEND16_S)) ||
        (bytes <= 4 && node->op == OP_I64_EXTEND32_S);
    if (!strips) return x;
    x = node->a;
  }
}

void fold_address(Ir *ir, Ref *address, uint64_t *offset) {
  uint64_t c;
  Ref x;
  while (match_const(ir, *address, OP_I32_ADD, &x, &c) && fold_max(ir, x) <= UINT32_MAX - c) {
    *address = x;
    *offset += c;
  }
  if (NODE(ir, *address)->type != KIND_I32 || !fold_is_const(ir, *address, &c) || c == 0) return;
  *address = fold_i32(ir, 0);
  *offset += c;
}

/* Division by constants: Granlund and Montgomery, "Division by Invariant Integers using
 * Multiplication", 1994; figures 4.1 and 5.1. `log2` is the logarithm of the divisor, rounded down;
 * the divisor is no power of two. */

static Ref product_high(Ir *ir, unsigned op, Ref a, uint64_t factor) {
  return fold_value(ir, op, KIND_I64, a, fold_i64(ir, factor), 0);
}

/* floor(n * 2^64 / d) + 1, for n < d. */
static uint64_t reciprocal(uint64_t n, uint64_t d) {
  uint64_t quotient = 0;
  for (unsigned i = 0; i < 64; i++) {
    bool carry = n >> 63 != 0;
    n <<= 1;
    quotient <<= 1;
    if (carry || n >= d) {
      n -= d;
      quotient |= 1;
    }
  }
  return quotient + 1;
}

static Ref divide_u32(Ir *ir, Ref a, uint32_t d) {
  Ref wide = fold_unary(ir, OP_I64_EXTEND_I32_U, a);
  unsigned log2 = log2_of(d);
  uint64_t scaled = UINT64_C(1) << (32 + log2), factor = scaled / d + 1;
  if (factor * d - scaled <= UINT64_C(1) << log2) {
    Ref product = fold_binary(ir, OP_I64_MUL, wide, fold_i64(ir, factor));
    Ref shifted = fold_binary(ir, OP_I64_SHR_U, product, fold_i64(ir, 32 + log2));
    return fold_unary(ir, OP_I32_WRAP_I64, shifted);
  }
  /* With 64 bits the error is below 2^-32 for all dividends below 2^32. */
  Ref high = product_high(ir, IR_MULH_U, wide, UINT64_MAX / d + 1);
  return fold_unary(ir, OP_I32_WRAP_I64, high);
}

static Ref divide_u64(Ir *ir, Ref a, uint64_t d) {
  unsigned log2 = log2_of(d);
  uint64_t factor = reciprocal(UINT64_C(1) << log2, d);
  if (factor * d <= UINT64_C(1) << log2) { /* the error: the high words cancel */
    Ref high = product_high(ir, IR_MULH_U, a, factor);
    return fold_binary(ir, OP_I64_SHR_U, high, fold_i64(ir, log2));
  }
  uint64_t next_power = log2 == 63 ? 0 : UINT64_C(2) << log2;
  Ref high = product_high(ir, IR_MULH_U, a, reciprocal(next_power - d, d));
  Ref rest = fold_binary(ir, OP_I64_SUB, a, high);
  Ref half = fold_binary(ir, OP_I64_SHR_U, rest, fold_i64(ir, 1));
  Ref sum = fold_binary(ir, OP_I64_ADD, high, half);
  return fold_binary(ir, OP_I64_SHR_U, sum, fold_i64(ir, log2));
}

/* The quotient towards minus infinity of a positive divisor; the caller adds 1 when a < 0. */
static Ref divide_s_down(Ir *ir, bool is_64, Ref a, uint64_t d) {
  unsigned log2 = log2_of(d);
  if (is_64) {
    Ref high = product_high(ir, IR_MULH_S, a, reciprocal(UINT64_C(1) << log2, d));
    Ref sum = fold_binary(ir, OP_I64_ADD, high, a);
    return fold_binary(ir, OP_I64_SHR_S, sum, fold_i64(ir, log2));
  }
  uint64_t factor = (UINT64_C(1) << (32 + log2)) / d + 1;
  Ref wide = fold_unary(ir, OP_I64_EXTEND_I32_S, a);
  Ref product = fold_binary(ir, OP_I64_MUL, wide, fold_i64(ir, factor));
  Ref shifted = fold_binary(ir, OP_I64_SHR_S, product, fold_i64(ir, 32 + log2));
  return fold_unary(ir, OP_I32_WRAP_I64, shifted);
}

/* What is added before a shift right by n, so that it rounds to zero: 2^n - 1 when a < 0. */
static Ref rounding(const Int *t, Ref a, unsigned n) {
  Ref sign = with_const(t, OP_I32_SHR_S, a, t->width - 1);
  return with_const(t, OP_I32_SHR_U, sign, t->width - n);
}

static Ref divide_s(const Int *t, Ref a, uint64_t bits) {
  int64_t divisor = int_signed(t, bits);
  uint64_t d = (divisor < 0 ? 0 - (uint64_t)divisor : (uint64_t)divisor) & t->all;
  Ref quotient;
  if (d == 1) return a;
  if (is_power_of_2(d)) {
    unsigned n = log2_of(d);
    Ref rounded = int_binary(t, OP_I32_ADD, a, rounding(t, a, n));
    quotient = with_const(t, OP_I32_SHR_S, rounded, n);
  } else {
    Ref is_below = with_const(t, OP_I32_SHR_U, a, t->width - 1);
    quotient = int_binary(t, OP_I32_ADD, divide_s_down(t->ir, t->width == 64, a, d), is_below);
  }
  return divisor < 0 ? int_binary(t, OP_I32_SUB, int_const(t, 0), quotient) : quotient;
}

static Ref divide_u(const Int *t, Ref a, uint64_t d) {
  if (is_power_of_2(d)) return with_const(t, OP_I32_SHR_U, a, log2_of(d));
  if (d > fold_max(t->ir, a)) return int_const(t, 0);
  return t->width == 64 ? divide_u64(t->ir, a, d) : divide_u32(t->ir, a, (uint32_t)d);
}

static Ref remainder_s(const Int *t, Ref a, uint64_t bits) {
  int64_t divisor = int_signed(t, bits);
  uint64_t d = (divisor < 0 ? 0 - (uint64_t)divisor : (uint64_t)divisor) & t->all;
  Ref multiple;
  if (d == 1) return int_const(t, 0);
  if (is_power_of_2(d)) {
    Ref rounded = int_binary(t, OP_I32_ADD, a, rounding(t, a, log2_of(d)));
    multiple = with_const(t, OP_I32_AND, rounded, 0 - d);
  } else {
    multiple = with_const(t, OP_I32_MUL, divide_s(t, a, d), d);
  }
  return int_binary(t, OP_I32_SUB, a, multiple);
}

static Ref remainder_u(const Int *t, Ref a, uint64_t d) {
  if (is_power_of_2(d)) return with_const(t, OP_I32_AND, a, d - 1);
  return int_binary(t, OP_I32_SUB, a, with_const(t, OP_I32_MUL, divide_u(t, a, d), d));
}

Ref fold_division(Ir *ir, Op op, Ref a, Ref b) {
  uint64_t d;
  if (!fold_is_const(ir, b, &d) || d == 0) return 0;
  bool is_64 = in_range(op, OP_I64_DIV_S, OP_I64_REM_U);
  Int t = int_of(ir, is_64);
  if (ir_is_constant(NODE(ir, a))) return evaluate(ir, op, a, b, 0, 0, 0);
  switch (op - t.wider) {
    case OP_I32_DIV_S:
      if (d == t.all) return 0; /* the least number divided by -1 traps */
      return is_positive(ir, a) && d <= t.all >> 1 ? divide_u(&t, a, d) : divide_s(&t, a, d);
    case OP_I32_DIV_U: return divide_u(&t, a, d);
    case OP_I32_REM_S:
      return is_positive(ir, a) && d <= t.all >> 1 ? remainder_u(&t, a, d) : remainder_s(&t, a, d);
    default: return remainder_u(&t, a, d);
  }
}

/* Folding again */

Ref fold_node(Ir *ir, const Node *node) {
  if (node->op == IR_SELECT) return fold_select(ir, node->a, node->b, node->c);
  if (node->op >= IR_FIRST || !(op_info[node->op].flags & OPF_PURE)) return share(ir, node);
  return node->b != 0 ? fold_binary(ir, (Op)node->op, node->a, node->b)
                      : fold_unary(ir, (Op)node->op, node->a);
}

Ref fold_again(Ir *ir, Ref ref) {
  const Node node = *NODE(ir, ref);
  return fold_node(ir, &node);
}
