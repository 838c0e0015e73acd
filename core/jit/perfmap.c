/* perfmap.c - names of compiled functions for Linux' perf: one line each, with start, size and
 * name.
 *
 * The file's name is perf's choice, and in a directory that everybody may write to: it is made anew
 * by this process, or not at all.
 */
#if defined(__x86_64__)
#include "perfmap.h"

#include <stdio.h>

#include "../base/os.h"
#include "../module/names.h"
#include "engine.h"

void perfmap_add(const CodeSpace *space, const CodeRecord *record) {
  static const char *const stubs[] = {[RECORD_ADAPTER] = "adapter", [RECORD_ENTRY] = "entry"};
  Module *module = space->owner->module;
  char label[256], line[400];
  if (record->kind == RECORD_FUNC) {
    module_func_label(module, record->index, label, sizeof label);
  } else {
    snprintf(label, sizeof label, "%s of type %u", stubs[record->kind], record->index);
  }
  int size = snprintf(line, sizeof line, "%llx %llx wasm:%s\n",
                      (unsigned long long)(uintptr_t)record->start,
                      (unsigned long long)(record->end - record->start), label);
  if (size > 0) os_append_perf_map(line, MIN((size_t)size, sizeof line - 1));
}
#endif
