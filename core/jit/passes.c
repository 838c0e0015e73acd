/* passes.c - the machine-independent passes in their order.
 */
#include "passes.h"

#include "cfg.h"
#include "memopt.h"
#include "place.h"
#include "unroll.h"

static void after(const Ir *ir, IrStage stage, PassHook *hook, void *user) {
  if (hook) hook(ir, stage, user);
}

void passes_run(Ir *ir, Arena *arena, Module *module, uint32_t func, const BuildOptions *options,
                PassHook *hook, void *user) {
  ir_build(ir, arena, module, func, options);
  after(ir, IR_BUILT, hook, user);
  cfg_run(ir);
  after(ir, IR_SHAPED, hook, user);
  if (memopt_run(ir)) cfg_run(ir);
  if (unroll_run(ir)) cfg_run(ir);
  after(ir, IR_FORWARDED, hook, user);
  place_run(ir);
  after(ir, IR_PLACED, hook, user);
}
