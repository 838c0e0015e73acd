/* corpus.c - decodes and validates every module of a manifest and compares the verdicts.
 *
 *   corpus DIR [-v]         DIR/MANIFEST.tsv: file, verdict, size, hash, text of the error
 *   corpus FILE.wasm...     loads each file, which has to be valid, and prints how fast
 *
 * A message is right when it begins with the text that the manifest expects. The folder tells which
 * proposals are on. Last line: "N passed, N failed".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../core/base/os.h"
#include "../../core/module/module.h"

static unsigned n_passed, n_failed, n_skipped;

/* Modules whose binaries lost the `pagesize` that their scripts give them, so that the verdict does
 * not belong to the bytes. The scripts themselves are run by the script runner. */
static const char *const wrongly_encoded[] = {
    "proposals/custom-page-sizes/custom-page-sizes-invalid.1.invalid.wasm",
    "proposals/custom-page-sizes/memory_max.1.valid.wasm",
    "proposals/custom-page-sizes/memory_max.2.valid.wasm",
    "proposals/custom-page-sizes/memory_max_i64.1.valid.wasm",
    "proposals/custom-page-sizes/memory_max_i64.2.valid.wasm",
};

static bool is_wrongly_encoded(const char *name) {
  for (size_t i = 0; i < sizeof wrongly_encoded / sizeof *wrongly_encoded; i++)
    if (strcmp(name, wrongly_encoded[i]) == 0) return true;
  return false;
}

static uint8_t *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  uint8_t *bytes = malloc(*size ? *size : 1);
  if (bytes && fread(bytes, 1, *size, file) != *size) {
    free(bytes);
    bytes = NULL;
  }
  fclose(file);
  return bytes;
}

static FeatureSet features_of(const char *name) {
  FeatureSet features = feature_defaults();
  if (strstr(name, "custom-page-sizes")) features |= FEATURE_BIT(FEATURE_CUSTOM_PAGE_SIZES);
  if (strstr(name, "compact-import")) features |= FEATURE_BIT(FEATURE_COMPACT_IMPORTS);
  if (strstr(name, "stack-switching")) features |= FEATURE_BIT(FEATURE_STACK_SWITCHING);
  return features;
}

static const char *verdict_of(ErrorKind kind) {
  switch (kind) {
    case ERROR_NONE: return "valid";
    case ERROR_INVALID: return "invalid";
    case ERROR_MALFORMED: return "malformed";
    default: return "neither";
  }
}

/* Loads once; the allocator must be empty again at the end. */
static ErrorKind load(const uint8_t *bytes, size_t size, FeatureSet features, Error *error) {
  Alloc alloc;
  alloc_init(&alloc, NULL, NULL);
  LoadOptions options = {.features = features};
  Module *module = module_load(&alloc, bytes, size, &options, error);
  ErrorKind kind = module ? ERROR_NONE : error->kind;
  if (module) module_release(module);
  if (alloc.used != 0) {
    printf("%zu bytes leaked\n", alloc.used);
    exit(1);
  }
  return kind;
}

static void check_module(const char *dir, const char *name, const char *verdict, Str text,
                         bool is_verbose) {
  char path[1024], place[640] = "";
  snprintf(path, sizeof path, "%s/%s", dir, name);
  size_t size;
  uint8_t *bytes = read_file(path, &size);
  if (!bytes) {
    printf("FAIL %s: cannot be read\n", name);
    n_failed++;
    return;
  }
  Error error;
  ErrorKind kind = load(bytes, size, features_of(name), &error);
  free(bytes);
  const char *got = verdict_of(kind);
  if (kind != ERROR_NONE) error_text(&error, place, sizeof place);
  bool ok = strcmp(got, verdict) == 0 &&
            (kind == ERROR_NONE || strncmp(error.message, text.at, text.size) == 0);
  if (ok)
    n_passed++;
  else
    n_failed++;
  if (!ok || is_verbose)
    printf("%s %s: %s \"%.*s\", is %s %s\n", ok ? "ok  " : "FAIL", name, verdict, (int)text.size,
           text.at, got, place);
}

/* Cuts the next column off a line. */
static char *column(char **line) {
  char *start = *line, *tab = strchr(start, '\t');
  if (tab) {
    *tab = 0;
    *line = tab + 1;
  } else {
    *line = start + strlen(start);
  }
  return start;
}

static Str unquoted(const char *text) {
  size_t size = strcspn(text, "\r\n");
  if (size >= 2 && text[0] == '"') return (Str){text + 1, size - 2};
  return (Str){text, size};
}

static int run_manifest(const char *dir, FILE *manifest, bool is_verbose) {
  char line[4096];
  if (!fgets(line, sizeof line, manifest)) return 1;
  while (fgets(line, sizeof line, manifest)) {
    char *rest = line;
    const char *name = column(&rest), *verdict = column(&rest);
    column(&rest);
    column(&rest);
    if (is_wrongly_encoded(name))
      n_skipped++;
    else
      check_module(dir, name, verdict, unquoted(rest), is_verbose);
  }
  return 0;
}

static double best_seconds(const uint8_t *bytes, size_t size) {
  enum { RUNS = 5 };
  uint64_t best = UINT64_MAX;
  for (int i = 0; i < RUNS; i++) {
    Error error;
    uint64_t start = os_monotonic_ns();
    load(bytes, size, feature_defaults(), &error);
    uint64_t taken = os_monotonic_ns() - start;
    if (taken < best) best = taken;
  }
  return (double)best / 1e9;
}

static void check_file(const char *path) {
  size_t size;
  uint8_t *bytes = read_file(path, &size);
  Error error = {0};
  char text[640] = "cannot be read";
  bool ok = bytes && load(bytes, size, feature_defaults(), &error) == ERROR_NONE;
  if (ok) {
    printf("ok   %s: %zu bytes, %.0f MB/s\n", path, size,
           (double)size / 1e6 / best_seconds(bytes, size));
    n_passed++;
  } else {
    if (bytes) error_text(&error, text, sizeof text);
    printf("FAIL %s: %s\n", path, text);
    n_failed++;
  }
  free(bytes);
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: corpus DIR [-v] | corpus FILE.wasm...\n");
    return 2;
  }
  char path[1024];
  snprintf(path, sizeof path, "%s/MANIFEST.tsv", argv[1]);
  FILE *manifest = fopen(path, "r");
  if (manifest) {
    run_manifest(argv[1], manifest, argc > 2 && strcmp(argv[2], "-v") == 0);
    fclose(manifest);
  } else {
    for (int i = 1; i < argc; i++) check_file(argv[i]);
  }
  if (n_skipped) printf("%u skipped: not the module that the manifest means\n", n_skipped);
  printf("%u passed, %u failed\n", n_passed, n_failed);
  return n_failed != 0;
}
