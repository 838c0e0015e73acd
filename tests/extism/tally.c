/* tally.c - an Extism plugin that uses all of extism:host/env and one function of the host. */
#include "kit.h"

IMPORT("extism:host/user", "greet") Handle user_greet(Handle name);

enum { ROOM = 65536 };
static char text[ROOM];

static size_t print_number(char *to, unsigned n) {
  char digits[10];
  size_t count = 0;
  do digits[count++] = (char)('0' + n % 10);
  while ((n /= 10) != 0);
  for (size_t i = 0; i < count; i++) to[i] = digits[count - 1 - i];
  return count;
}

static int is_among(char c, const char *set, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (set[i] == c) return 1;
  }
  return 0;
}

/* The letters counted are config "letters" (vowels without it); the sum of all calls is var
 * "total", kept as four bytes. Gives "count total". */
PLUGIN(count) {
  char letters[64] = "aeiouAEIOU";
  size_t n_letters = 10;
  Handle config = host_config_get(kit_store_text("letters"));
  if (config) n_letters = kit_load(config, letters, sizeof letters);
  unsigned count = 0, total = 0;
  uint64_t n = host_input_length(), i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t eight = host_input_load_u64(i);
    for (int k = 0; k < 64; k += 8)
      count += (unsigned)is_among((char)(eight >> k), letters, n_letters);
  }
  for (; i < n; i++) count += (unsigned)is_among((char)host_input_load_u8(i), letters, n_letters);
  Handle kept = host_var_get(kit_store_text("total"));
  if (kept) kit_load(kept, (char *)&total, sizeof total);
  total += count;
  host_var_set(kit_store_text("total"), kit_store(&total, sizeof total));
  size_t at = print_number(text, count);
  text[at++] = ' ';
  at += print_number(text + at, total);
  kit_output(text, at);
  return 0;
}

PLUGIN(forget) {
  host_var_set(kit_store_text("total"), 0);
  return 0;
}

/* The input, as it is: the block that the host made becomes the output. */
PLUGIN(echo) {
  host_output_set(host_input_offset(), host_input_length());
  return 0;
}

PLUGIN(greet) {
  size_t n = (size_t)host_input_length();
  Handle name = host_alloc(n);
  for (size_t i = 0; i < n; i++) host_store_u8(name + i, host_input_load_u8(i));
  Handle answer = user_greet(name);
  host_output_set(answer, host_length(answer));
  return 0;
}

PLUGIN(fail) {
  return kit_fail("there are no letters today");
}

PLUGIN(refuse) {
  return 7;
}

PLUGIN(chatter) {
  host_log_trace(kit_store_text("one"));
  host_log_debug(kit_store_text("two"));
  host_log_info(kit_store_text("three"));
  host_log_warn(kit_store_text("four"));
  host_log_error(kit_store_text("five"));
  kit_output(text, print_number(text, (unsigned)host_get_log_level()));
  return 0;
}

/* The input is the request; gives "status headers|body", headers as the host has them. */
PLUGIN(fetch) {
  size_t n = (size_t)host_input_length();
  for (size_t i = 0; i < n && i < ROOM; i++) text[i] = (char)host_input_load_u8(i);
  Handle body = host_http_request(kit_store(text, n), kit_store_text("body"));
  size_t at = print_number(text, (unsigned)host_http_status_code());
  text[at++] = ' ';
  Handle headers = host_http_headers();
  if (headers) at += kit_load(headers, text + at, ROOM / 4);
  text[at++] = '|';
  at += kit_load(body, text + at, ROOM / 4);
  kit_output(text, at);
  return 0;
}

PLUGIN(crash) {
  __builtin_trap();
}

PLUGIN(crash_with_words) {
  kit_fail("the letters are on fire");
  __builtin_trap();
}

PLUGIN(spin) {
  for (volatile int i = 0;; i++) {
  }
}

/* Blocks of a megabyte until there are no more; gives how many, and pages of the plugin's own. */
PLUGIN(exhaust) {
  Handle answer = host_alloc(64); /* while there is memory */
  unsigned n = 0, pages = 0;
  while (n < 4096 && host_alloc(1 << 20)) n++;
  while (pages < 65536 && __builtin_wasm_memory_grow(0, 16) != (size_t)-1) pages += 16;
  size_t at = print_number(text, n);
  text[at++] = ' ';
  at += print_number(text + at, pages);
  for (size_t i = 0; i < at; i++) host_store_u8(answer + i, (unsigned char)text[i]);
  host_output_set(answer, at);
  return 0;
}

/* Handles that are none, wherever the host takes one; the input says where. */
PLUGIN(forge) {
  Handle inside = host_input_offset() + 16, none = 0xfffffffffffffff0;
  switch (host_input_load_u8(0)) {
    case 'c': host_config_get(inside); break;
    case 'v': host_var_get(none); break;
    case 's': host_var_set(kit_store_text("k"), inside); break;
    case 'l': host_log_error(none); break;
    case 'h': host_http_request(none, 0); break;
    case 'o': host_output_set(none, none); break;
    case 'O': host_output_set(host_input_offset(), 1 << 30); break;
    case 'e': host_error_set(none); break;
    case 'f':
      host_free(inside);
      host_free(none);
      host_free(host_input_offset());
      host_free(host_input_offset());
      break;
    case 'w':
      host_store_u64(0xffffffffffff, 1);
      host_store_u8(none, 1);
      if (host_load_u8(none) != 0 || host_load_u64(none) != 0) return 2;
      if (host_input_load_u8(none) != 0 || host_input_load_u64(none) != 0) return 3;
      if (host_length(inside) != 0 || host_length(none) != 0) return 4;
      break;
    default: return 5;
  }
  return 0;
}
