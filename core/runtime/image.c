/* image.c - initial data as copy-on-write images.
 *
 * Copying pays for small data, and for a module that is instantiated once; so the second instance
 * makes the image. It stands for all active segments together: they must be for memory 0, which
 * the module defines, at constant places inside its initial size, lying close to one another. None
 * of them can then fail, and what is between them is zero. The reservation's pages are replaced by
 * the mapping, so that the memory has to know it (Memory.has_image).
 */
#include "image.h"

#include "../module/instr.h"
#include "memory.h"
#include "runtime.h"

#define IMAGE_BYTES_MIN (128 * KIB)

typedef struct Image {
  int file; /* -1: the module has none */
  uint64_t at, size;
} Image;

/* Values of Module.data_image besides an Image of its own. */
static Image seen_once, impossible = {.file = -1};

static bool const_offset(const Module *module, ConstExpr expr, uint64_t *offset) {
  Reader reader = {.at = module->bytes + expr.at,
                   .end = module->bytes + expr.end,
                   .start = module->bytes,
                   .func = ERROR_NO_FUNC};
  Instr instr, end;
  instr_read(&reader, &instr);
  instr_read(&reader, &end);
  *offset = (uint32_t)instr.u64;
  return instr.op == OP_I32_CONST && end.op == OP_END;
}

/* The span of all segments, in whole pages; false when an image cannot stand for them. */
static bool find_span(const Module *module, uint64_t *at, uint64_t *size) {
  uint64_t low = UINT64_MAX, high = 0, sum = 0;
  if (module->n_memories == 0 || module->n_imported_memories != 0) return false;
  const MemoryType *type = &module->memories[0];
  uint64_t bytes = type->limits.min << type->page_log2;
  for (uint32_t i = 0; i < module->n_datas; i++) {
    const DataDef *def = &module->datas[i];
    uint64_t offset;
    if (def->mode != SEGMENT_ACTIVE) continue;
    if (def->memory != 0 || !const_offset(module, def->offset, &offset)) return false;
    if (offset > bytes || def->size > bytes - offset) return false;
    low = MIN(low, offset);
    high = MAX(high, offset + def->size);
    sum += def->size;
  }
  if (sum < IMAGE_BYTES_MIN) return false;
  uint64_t page = os_page_size();
  *at = low & ~(page - 1);
  *size = align_up(high, page) - *at;
  return *size <= 2 * sum && *at + *size <= bytes;
}

static int make_file(const Module *module, const Image *image) {
  uint8_t *bytes = alloc_zero(module->alloc, (size_t)image->size);
  if (bytes == NULL) return -1;
  for (uint32_t i = 0; i < module->n_datas; i++) {
    const DataDef *def = &module->datas[i];
    uint64_t offset;
    if (def->mode != SEGMENT_ACTIVE || !const_offset(module, def->offset, &offset)) continue;
    memcpy(bytes + (offset - image->at), module->bytes + def->at, def->size);
  }
  int file = os_image_new(bytes, (size_t)image->size);
  alloc_free(module->alloc, bytes, (size_t)image->size);
  return file;
}

static Image *make_image(const Module *module) {
  Image *image = alloc_zero(module->alloc, sizeof *image);
  if (image == NULL) return &impossible;
  if (find_span(module, &image->at, &image->size)) {
    image->file = make_file(module, image);
    if (image->file >= 0) return image;
  }
  alloc_free(module->alloc, image, sizeof *image);
  return &impossible;
}

static void drop_image(Module *module, Image *image) {
  if (image == NULL || image == &seen_once || image == &impossible) return;
  os_image_free(image->file);
  alloc_free(module->alloc, image, sizeof *image);
}

/* NULL when there is none, or not yet. Two threads may make one at once: the first one stays. */
static const Image *image_of(Module *module) {
  void *image = NULL;
  if (atomic_compare_exchange_strong(&module->data_image, &image, &seen_once)) return NULL;
  if (image == &seen_once) {
    Image *made = make_image(module);
    if (atomic_compare_exchange_strong(&module->data_image, &image, made)) {
      image = made;
    } else {
      drop_image(module, made);
    }
  }
  return image != &impossible ? image : NULL;
}

bool image_apply(Instance *instance) {
  Module *module = instance->module;
  if (module->n_datas == 0 || module->n_memories == 0) return false;
  const Image *image = image_of(module);
  Memory *memory = instance->memories[0];
  if (image == NULL || !memory->is_guarded) return false;
  if (!os_image_map(image->file, memory->base + image->at, (size_t)image->size)) return false;
  memory->has_image = true;
  for (uint32_t i = 0; i < module->n_datas; i++) {
    if (module->datas[i].mode == SEGMENT_ACTIVE) data_drop(instance, i);
  }
  return true;
}

void image_free(Module *module) {
  drop_image(module, atomic_load(&module->data_image));
}
