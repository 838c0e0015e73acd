#include "memopt.h"
void memopt_run(Ir *ir) {
  (void)ir;
}
