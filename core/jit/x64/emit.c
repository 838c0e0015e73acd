/* emit.c - writes the instructions of a function whose values have registers.
 *
 * Order: prologue, blocks, code that is rarely needed, constants, jump tables. Blocks are the first
 * labels, under their own numbers. A block that does nothing but go on is left out, and whoever
 * goes there goes on himself.
 */
#if defined(__x86_64__)
#include "emit.h"

#include "../../runtime/store.h"
#include "emit_int.h"

const char *mach_op_text(unsigned op) {
  static const char *const names[] = {
#define MOP(name) #name,
#include "mop.def"
  };
  return op < COUNT_OF(names) ? names[op] : "?";
}

/* Labels, sites, code out of the way */

uint32_t emit_label(Emit *e) {
  VEC_PUSH(e->arena, &e->labels, 0);
  return e->labels.n - 1;
}

void emit_bind(Emit *e, uint32_t label) {
  e->labels.items[label] = asm_at(&e->out);
}

static void note_jump(Emit *e, uint32_t label, bool is_conditional) {
  Jump jump = {asm_at(&e->out), label, is_conditional};
  VEC_PUSH(e->arena, &e->jumps, jump);
}

void emit_jump(Emit *e, uint32_t label) {
  note_jump(e, label, false);
  enc_jmp_label(&e->out, label);
}

void emit_jump_if(Emit *e, unsigned cc, uint32_t label) {
  note_jump(e, label, true);
  enc_jcc_label(&e->out, cc, label);
}

void emit_site(Emit *e, Trap trap, uint32_t place) {
  CodeSite site = {.at = asm_at(&e->out), .place = place, .trap = (uint8_t)trap};
  VEC_PUSH(e->arena, &e->sites, site);
}

Cold *emit_cold(Emit *e, ColdKind kind, const Ins *ins) {
  Cold cold = {.kind = kind, .ins = ins, .label = emit_label(e), .back = emit_label(e)};
  VEC_PUSH(e->arena, &e->colds, cold);
  return &e->colds.items[e->colds.n - 1];
}

/* Ends the run, at a place that emit_site is told of. */
void emit_trap(Emit *e, Trap trap, uint32_t offset) {
  emit_site(e, trap, offset);
  if (e->f->target->uses_signals) {
    enc_ud2(&e->out);
  } else {
    enc_call_label(&e->out, emit_link(LINK_STUB, STUB_TRAP));
  }
}

uint32_t emit_trap_label(Emit *e, Trap trap, const Ins *ins) {
  Cold *cold = emit_cold(e, COLD_TRAP, ins);
  cold->trap = (uint8_t)trap;
  return cold->label;
}

/* Operands */

unsigned emit_reg(const Operand *operand) {
  return operand->reg & 15u;
}

Mem emit_slot(const Emit *e, uint32_t slot) {
  return mem_at(RSP, (int32_t)(e->slots_at + 8 * slot + e->adjust));
}

static Mem pool_mem(Emit *e, uint32_t index) {
  PoolItem *item = &e->f->pool.items[index];
  if (item->label == 0) item->label = emit_label(e);
  return mem_label(item->label);
}

Mem emit_constant(Emit *e, uint64_t low, uint64_t high, unsigned size) {
  PoolItem item = {.low = low, .high = high, .size = size};
  VEC_PUSH(e->arena, &e->f->pool, item);
  return pool_mem(e, e->f->pool.n - 1);
}

/* The address' registers are the uses from `first` on. */
static Mem address(Emit *e, const Ins *ins, unsigned first) {
  const Operand *uses = INS_OPERANDS(e->f, ins) + ins->n_defs;
  Mem mem = {.base = MEM_NO_BASE, .index = MEM_NO_INDEX, .scale = ins->scale, .disp = ins->disp};
  switch (ins->base) {
    case BASE_VREG: mem.base = (uint8_t)emit_reg(&uses[first++]); break;
    case BASE_MEMORY: mem.base = R14; break;
    case BASE_INSTANCE: mem.base = R15; break;
    case BASE_POOL: return pool_mem(e, ins->pool);
    case BASE_RESULTS:
      mem.base = RSP;
      mem.disp += (int32_t)e->adjust;
      break;
    case BASE_PARAMS:
      mem.base = RSP;
      mem.disp += (int32_t)(e->frame + 8 + e->adjust);
      break;
    default: break;
  }
  if (ins->has_index) mem.index = (uint8_t)emit_reg(&uses[first]);
  return mem;
}

/* The memory operand, right before the instruction that reads or writes it. */
Mem emit_address(Emit *e, const Ins *ins, unsigned first) {
  Mem mem = address(e, ins, first);
  if (ins->flags & INS_FAULTS) emit_site(e, TRAP_MEMORY_BOUNDS, ins->at);
  return mem;
}

/* What the source of an instruction is, when it is its use number `index`. */
EmitSource emit_source(Emit *e, const Ins *ins, unsigned index) {
  const Operand *use = INS_OPERANDS(e->f, ins) + ins->n_defs + index;
  if (ins->base != BASE_NO_ADDRESS) return (EmitSource){.kind = SOURCE_MEM, .from_address = index};
  if (ins->has_imm) return (EmitSource){.kind = SOURCE_IMM, .imm = (int32_t)(int64_t)ins->imm};
  if (use->flags & OPERAND_SLOT)
    return (EmitSource){
        .kind = SOURCE_MEM, .is_slot = true, .mem = emit_slot(e, e->f->vregs[use->v].slot)};
  return (EmitSource){.kind = SOURCE_REG, .reg = emit_reg(use)};
}

Mem emit_source_mem(Emit *e, const Ins *ins, const EmitSource *source) {
  return source->is_slot ? source->mem : emit_address(e, ins, source->from_address);
}

/* Moves */

static unsigned size_of_kind(unsigned kind) {
  return kind == KIND_I32 ? 4 : kind == KIND_F32 ? 4 : kind == KIND_V128 ? 16 : 8;
}

static void move_regs(Emit *e, unsigned to, unsigned from, unsigned type) {
  bool to_float = class_of_reg(to) == CLASS_FLOAT, from_float = class_of_reg(from) == CLASS_FLOAT;
  unsigned d = to & 15, s = from & 15;
  if (to_float && from_float) {
    enc_sse_rr(&e->out, ENC_MOVAPS, d, 0, s);
  } else if (to_float) {
    enc_sse_rr(&e->out, ENC_MOVQ, d, 0, s);
  } else if (from_float) {
    enc_sse_rr(&e->out, ENC_MOVQ_STORE, s, 0, d);
  } else {
    enc_rr(&e->out, ENC_MOV, type == KIND_I32 ? 4 : 8, d, s);
  }
}

static void store_reg(Emit *e, Mem mem, unsigned from, unsigned type) {
  if (class_of_reg(from) == CLASS_INT) {
    enc_rm(&e->out, ENC_MOV_STORE, 8, from, mem);
    return;
  }
  unsigned size = class_of_kind(type) == CLASS_INT ? 8 : size_of_kind(type);
  Enc row = size == 4 ? ENC_MOVSS_STORE : size == 8 ? ENC_MOVSD_STORE : ENC_MOVUPS_STORE;
  enc_sse_rm(&e->out, row, from & 15, 0, mem);
}

static void load_reg(Emit *e, unsigned to, Mem mem, unsigned type) {
  if (class_of_reg(to) == CLASS_INT) {
    enc_rm(&e->out, ENC_MOV, type == KIND_I32 ? 4 : 8, to, mem);
    return;
  }
  unsigned size = class_of_kind(type) == CLASS_INT ? 8 : size_of_kind(type);
  Enc row = size == 4 ? ENC_MOVSS : size == 8 ? ENC_MOVSD : ENC_MOVUPS;
  enc_sse_rm(&e->out, row, to & 15, 0, mem);
}

void emit_int_const(Emit *e, unsigned to, uint64_t imm) {
  if (imm == 0) {
    enc_alu_rr(&e->out, ALU_XOR, 4, to, to);
  } else {
    enc_mov_ri(&e->out, to, imm);
  }
}

void emit_float_const(Emit *e, unsigned to, uint64_t low, uint64_t high, unsigned size) {
  if (low == 0 && high == 0) {
    enc_sse_rr(&e->out, ENC_XORPS, to, to, to);
  } else if (size == 16 && low == UINT64_MAX && high == UINT64_MAX) {
    enc_sse_rr(&e->out, ENC_PCMPEQD, to, to, to);
  } else {
    Enc row = size == 4 ? ENC_MOVSS : size == 8 ? ENC_MOVSD : ENC_MOVUPS;
    enc_sse_rm(&e->out, row, to, 0, emit_constant(e, low, high, size));
  }
}

static void vector_const(Emit *e, unsigned to, uint64_t index) {
  const uint8_t *bytes = e->f->ir->vectors.items[index];
  emit_float_const(e, to, load_u64(bytes), load_u64(bytes + 8), 16);
}

static void const_to_reg(Emit *e, unsigned to, VReg v) {
  const VRegInfo *info = &e->f->vregs[v];
  if (class_of_kind(info->type) == CLASS_INT && class_of_reg(to) == CLASS_INT) {
    emit_int_const(e, to, info->value);
  } else if (info->type == KIND_V128) {
    vector_const(e, to & 15, info->value);
  } else {
    emit_float_const(e, to & 15, info->value, 0, size_of_kind(info->type));
  }
}

static void const_to_mem(Emit *e, Mem mem, VReg v) {
  const VRegInfo *info = &e->f->vregs[v];
  if (info->type != KIND_V128 && (int64_t)info->value == (int32_t)info->value) {
    enc_mov_mi(&e->out, 8, mem, (int32_t)info->value);
    return;
  }
  const_to_reg(e, REG_SCRATCH, v);
  store_reg(e, mem, REG_SCRATCH, class_of_kind(info->type) == CLASS_INT ? KIND_F64 : info->type);
}

static void slot_to_slot(Emit *e, const Step *step) {
  uint32_t n = step->type == KIND_V128 ? 2 : 1;
  if (step->to == 0) {
    unsigned type = step->type == KIND_V128 ? KIND_V128 : KIND_F64;
    load_reg(e, REG_SCRATCH, emit_slot(e, step->x), type);
    store_reg(e, emit_slot(e, step->y), REG_SCRATCH, type);
    return;
  }
  for (uint32_t i = 0; i < n; i++) { /* the address of a pop counts from behind it */
    enc_group_m(&e->out, 0xFF, 4, 6, emit_slot(e, step->x + i));
    enc_group_m(&e->out, 0x8F, 4, 0, emit_slot(e, step->y + i));
  }
}

static void slot_to_out(Emit *e, const Step *step) {
  unsigned type = step->type == KIND_V128 ? KIND_V128 : KIND_F64;
  load_reg(e, REG_SCRATCH, emit_slot(e, step->x), type);
  store_reg(e, mem_at(RSP, (int32_t)step->y), REG_SCRATCH, type);
}

/* A remade value: its instruction, with another target. */
static void remake(Emit *e, const Step *step) {
  Ins ins = e->f->ins[step->x];
  Operand *d = INS_OPERANDS(e->f, &ins);
  uint8_t reg = d->reg;
  if (step->to == REG_SCRATCH && class_of_kind(step->type) == CLASS_INT) {
    /* To memory: through a register that is saved meanwhile. */
    enc_push(&e->out, RAX);
    e->adjust += 8;
    d->reg = RAX;
    emit_ins(e, &ins);
    enc_sse_rr(&e->out, ENC_MOVQ, REG_SCRATCH & 15, 0, RAX);
    enc_pop(&e->out, RAX);
    e->adjust -= 8;
  } else {
    d->reg = step->to;
    emit_ins(e, &ins);
  }
  d->reg = reg;
}

static void run_step(Emit *e, const Step *step) {
  switch (step->kind) {
    case STEP_INS: emit_ins(e, &e->f->ins[step->x]); break;
    case STEP_MOVE: move_regs(e, step->to, step->from, step->type); break;
    case STEP_SWAP: enc_rr(&e->out, ENC_XCHG, 8, step->to, step->from); break;
    case STEP_SPILL: store_reg(e, emit_slot(e, step->x), step->from, step->type); break;
    case STEP_RELOAD: load_reg(e, step->to, emit_slot(e, step->x), step->type); break;
    case STEP_CONST: const_to_reg(e, step->to, step->x); break;
    case STEP_REMAKE: remake(e, step); break;
    case STEP_SLOT_TO_SLOT: slot_to_slot(e, step); break;
    case STEP_CONST_TO_SLOT: const_to_mem(e, emit_slot(e, step->y), step->x); break;
    case STEP_OUT: store_reg(e, mem_at(RSP, (int32_t)step->y), step->from, step->type); break;
    case STEP_SLOT_TO_OUT: slot_to_out(e, step); break;
    case STEP_CONST_TO_OUT: const_to_mem(e, mem_at(RSP, (int32_t)step->y), step->x); break;
    case STEP_ADJUST:
      enc_alu_ri(&e->out, ALU_SUB, 8, RSP, (int32_t)step->x);
      e->adjust += step->x;
      break;
    default: break;
  }
}

/* Blocks */

static bool is_passage(const Emit *e, uint32_t b) {
  const MBlock *block = MACH_BLOCK(e->f, b);
  if (b == e->f->ir->entry || block->n_succs != 1) return false;
  uint32_t n = block->n;
  return block->n_steps + block->n_edge_steps == 0 &&
         (n == 0 || (n == 1 && (e->f->ins[block->first].flags & INS_GOTO)));
}

/* Where a jump to the block ends up. A circle of passages is an endless loop: any of them will do.
 */
uint32_t emit_target(const Emit *e, uint32_t b) {
  for (unsigned i = 0; i < 8 && is_passage(e, b); i++) b = MACH_BLOCK(e->f, b)->succs[0];
  return b;
}

static bool is_left_out(const Emit *e, uint32_t b) {
  return is_passage(e, b) && emit_target(e, b) != b && !is_passage(e, emit_target(e, b));
}

void emit_goto(Emit *e, uint32_t b) {
  uint32_t target = emit_target(e, b);
  if (target != e->next_block) emit_jump(e, target);
}

static void run_block(Emit *e, uint32_t b) {
  const MBlock *block = MACH_BLOCK(e->f, b);
  e->block = b;
  if (block->is_loop_header && !block->is_cold && e->f->target->random_seed == 0)
    VEC_PUSH(e->arena, &e->aligned, asm_at(&e->out));
  emit_bind(e, b);
  for (uint32_t i = 0; i < block->n_steps; i++) run_step(e, &e->f->steps[block->first_step + i]);
  for (uint32_t i = 0; i < block->n_edge_steps; i++)
    run_step(e, &e->f->steps[block->first_edge_step + i]);
  if (block->n_succs == 1) emit_goto(e, block->succs[0]);
}

/* The frame */

/* Whoever calls looks up before, so that recursion, and calls that double at every level, end when
 * they should. */
static void look_up(Emit *e) {
  emit_poll_flag(e, R10);
  enc_alu_mi(&e->out, ALU_CMP, 4, mem_at(R10, 0), 0);
  const Cold *cold = emit_cold(e, COLD_ENTER, NULL);
  uint32_t back = cold->back;
  emit_jump_if(e, CC_NE, cold->label);
  emit_bind(e, back);
}

static void prologue(Emit *e) {
  Asm *out = &e->out;
  if (e->f->has_calls || e->frame > 2048) {
    unsigned sp = RSP;
    if (e->frame > 4096) {
      enc_rm(out, ENC_LEA, 8, R10, mem_at(RSP, -(int32_t)e->frame));
      sp = R10;
    }
    enc_alu_rm(out, ALU_CMP, 8, sp, mem_at(R15, offsetof(Instance, stack_limit)));
    emit_jump_if(e, CC_B, emit_cold(e, COLD_STACK, NULL)->label);
  }
  if (e->f->has_calls) look_up(e);
  if (e->frame != 0) enc_alu_ri(out, ALU_SUB, 8, RSP, (int32_t)e->frame);
}

static void lay_out_frame(Emit *e) {
  Mach *f = e->f;
  uint32_t bytes = f->result_bytes + 8 * f->n_slots;
  e->slots_at = f->result_bytes;
  e->frame = bytes == 0 && !f->has_calls ? 0 : (uint32_t)align_up(bytes + 8, 16) - 8;
}

/* Behind the blocks */

static void call_stub(Emit *e, StubId stub, uint32_t at) {
  enc_call_label(&e->out, emit_link(LINK_STUB, stub));
  emit_site(e, TRAP_NONE, at);
}

/* A copy: more of it may be asked for meanwhile. */
static void emit_one_cold(Emit *e, Cold copy) {
  const Cold *cold = &copy;
  emit_bind(e, cold->label);
  Asm *out = &e->out;
  switch (cold->kind) {
    case COLD_TRAP: emit_trap(e, (Trap)cold->trap, cold->ins->at); return;
    case COLD_STACK: enc_call_label(out, emit_link(LINK_STUB, STUB_STACK)); return;
    case COLD_ENTER: enc_call_label(out, emit_link(LINK_STUB, STUB_ENTER)); break;
    case COLD_POLL: /* the guest may have been suspended, and stores have merged */
      call_stub(e, STUB_POLL, cold->ins->at);
      if (cold->ins->n_uses != 0) emit_poll_flag(e, emit_reg(INS_OPERANDS(e->f, cold->ins)));
      break;
    case COLD_FUEL: call_stub(e, STUB_FUEL, cold->ins->at); break;
    case COLD_ADAPTER:
      enc_call_label(out, emit_link(LINK_ADAPTER, (uint32_t)cold->ins->imm));
      emit_site(e, TRAP_NONE, cold->ins->at);
      e->sites.items[e->sites.n - 1].handler = cold->handler;
      break;
    case COLD_SUBTYPE: emit_cold_subtype(e, cold); break;
    case COLD_TAIL_ADAPTER:
      enc_jmp_label(out, emit_link(LINK_ADAPTER, (uint32_t)cold->ins->imm));
      return;
    default: emit_cold_number(e, cold); break;
  }
  emit_jump(e, cold->back);
}

static void emit_pool(Emit *e) {
  for (unsigned size = 16; size >= 4; size /= 2) {
    for (uint32_t i = 0; i < e->f->pool.n; i++) {
      const PoolItem *item = &e->f->pool.items[i];
      if (item->label == 0 || item->size != size) continue;
      while (asm_at(&e->out) % size != 0) asm_byte(&e->out, 0xCC);
      emit_bind(e, item->label);
      buf_bytes(&e->out.code, &item->low, MIN(size, 8));
      if (size == 16) buf_bytes(&e->out.code, &item->high, 8);
    }
  }
}

/* Distances from the table's start to its blocks: filled in when everything has its place. */
static void emit_tables(Emit *e) {
  for (uint32_t i = 0; i < e->tables.n; i++) {
    const JumpTable *table = &e->tables.items[i];
    emit_bind(e, table->label);
    for (uint32_t k = 0; k < table->block->n_succs; k++) asm_u32(&e->out, 0);
  }
}

static void fill_tables(Emit *e, uint8_t *code) {
  for (uint32_t i = 0; i < e->tables.n; i++) {
    const JumpTable *table = &e->tables.items[i];
    uint32_t start = e->labels.items[table->label];
    for (uint32_t k = 0; k < table->block->n_succs; k++) {
      uint32_t target = e->labels.items[emit_target(e, table->block->succs[k])];
      store_u32(code + start + 4 * k, target - start);
    }
  }
}

/* What sites say about inlined functions, behind them: outer places before inner ones. */
static void add_inlined(Emit *e, Compiled *out) {
  const Ir *ir = e->f->ir;
  uint32_t n = ir->inlined.n, n_sites = e->sites.n;
  if (n == 0) return;
  uint32_t *index = ARENA_ARRAY(e->arena, uint32_t, n);
  for (uint32_t i = 0; i < n_sites; i++) { /* marks what is needed */
    uint32_t place = e->sites.items[i].place;
    while ((place & PLACE_INLINED) && index[place & ~PLACE_INLINED] == 0) {
      index[place & ~PLACE_INLINED] = 1;
      place = ir->inlined.items[place & ~PLACE_INLINED].outer;
    }
  }
  for (uint32_t i = 0; i < n; i++) { /* calls come before what they call */
    if (index[i] == 0) continue;
    uint32_t outer = ir->inlined.items[i].outer;
    if (outer & PLACE_INLINED) outer = SITE_INLINED | index[outer & ~PLACE_INLINED];
    CodeSite site = {.at = SITE_NOWHERE, .place = ir->inlined.items[i].offset, .handler = outer};
    index[i] = e->sites.n;
    VEC_PUSH(e->arena, &e->sites, site);
  }
  for (uint32_t i = 0; i < n_sites; i++) {
    uint32_t *place = &e->sites.items[i].place;
    if (*place & PLACE_INLINED) *place = SITE_INLINED | index[*place & ~PLACE_INLINED];
  }
  out->sites = e->sites.items;
  out->n_sites = e->sites.n;
}

static void finish(Emit *e, Compiled *out) {
  Layout layout = {.code = &e->out,
                   .labels = e->labels.items,
                   .n_labels = e->labels.n,
                   .jumps = e->jumps.items,
                   .n_jumps = e->jumps.n,
                   .aligned = e->aligned.items,
                   .n_aligned = e->aligned.n,
                   .sites = e->sites.items,
                   .n_sites = e->sites.n};
  relax_run(&layout, e->arena, out);
  add_inlined(e, out);
  fill_tables(e, (uint8_t *)(uintptr_t)out->code);
  out->frame_bytes = e->frame;
  out->param_bytes = e->param_bytes;
}

void emit_run(Mach *f, Compiled *out) {
  Emit e = {.f = f, .arena = f->arena, .param_bytes = abi_param_bytes(f->ir->type)};
  e.layout = instance_layout(f->ir->module);
  asm_init(&e.out, f->arena, f->target->has_avx);
  for (uint32_t i = 0; i < f->n_blocks; i++) emit_label(&e);
  lay_out_frame(&e);
  prologue(&e);
  uint32_t *order = arena_new(f->arena, (f->n_order + 1) * sizeof *order);
  uint32_t n = 0;
  for (uint32_t i = 0; i < f->n_order; i++) {
    if (!is_left_out(&e, f->order[i])) order[n++] = f->order[i];
  }
  order[n] = 0;
  for (uint32_t i = 0; i < n; i++) {
    e.next_block = order[i + 1];
    run_block(&e, order[i]);
  }
  for (uint32_t i = 0; i < e.colds.n; i++) emit_one_cold(&e, e.colds.items[i]);
  /* Adapters look at what follows a call: there has to be something. */
  for (unsigned i = 0; (f->has_calls || !f->target->uses_signals) && i < 8; i++)
    asm_byte(&e.out, 0xCC);
  while (asm_at(&e.out) % 16 != 0) asm_byte(&e.out, 0xCC);
  VEC_PUSH(f->arena, &e.aligned, asm_at(&e.out)); /* again when jumps got shorter */
  uint32_t pool = emit_label(&e);
  emit_bind(&e, pool);
  emit_pool(&e);
  emit_tables(&e);
  finish(&e, out);
  out->pool = e.labels.items[pool];
}
#endif
