/* kit.h - what an Extism plugin in C needs, declared by hand: blocks of the host's memory are
 * handles, reached with loads and stores. */
#ifndef KIT_H
#define KIT_H

#include <stddef.h>
#include <stdint.h>

#define IMPORT(space, name) __attribute__((import_module(space), import_name(name))) extern
#define ENV(name)           IMPORT("extism:host/env", name)
#define PLUGIN(name)        __attribute__((export_name(#name))) int32_t name(void)

typedef uint64_t Handle; /* of a block; 0 is none */

ENV("alloc") Handle host_alloc(uint64_t n);
ENV("free") void host_free(Handle block);
ENV("length") uint64_t host_length(Handle block);
ENV("load_u8") uint32_t host_load_u8(uint64_t at);
ENV("load_u64") uint64_t host_load_u64(uint64_t at);
ENV("store_u8") void host_store_u8(uint64_t at, uint32_t value);
ENV("store_u64") void host_store_u64(uint64_t at, uint64_t value);
ENV("input_length") uint64_t host_input_length(void);
ENV("input_offset") Handle host_input_offset(void);
ENV("input_load_u8") uint32_t host_input_load_u8(uint64_t at);
ENV("input_load_u64") uint64_t host_input_load_u64(uint64_t at);
ENV("output_set") void host_output_set(Handle block, uint64_t n);
ENV("error_set") void host_error_set(Handle block);
ENV("config_get") Handle host_config_get(Handle key);
ENV("var_get") Handle host_var_get(Handle key);
ENV("var_set") void host_var_set(Handle key, Handle value);
ENV("http_request") Handle host_http_request(Handle request, Handle body);
ENV("http_status_code") int32_t host_http_status_code(void);
ENV("http_headers") Handle host_http_headers(void);
ENV("log_trace") void host_log_trace(Handle text);
ENV("log_debug") void host_log_debug(Handle text);
ENV("log_info") void host_log_info(Handle text);
ENV("log_warn") void host_log_warn(Handle text);
ENV("log_error") void host_log_error(Handle text);
ENV("get_log_level") int32_t host_get_log_level(void);

static inline size_t kit_length(const char *text) {
  size_t n = 0;
  while (text[n]) n++;
  return n;
}

/* A new block with these bytes; 0 when there is no memory. */
static inline Handle kit_store(const void *bytes, size_t n) {
  const unsigned char *from = bytes;
  Handle block = host_alloc(n);
  for (size_t i = 0; block && i < n; i++) host_store_u8(block + i, from[i]);
  return block;
}

static inline Handle kit_store_text(const char *text) {
  return kit_store(text, kit_length(text));
}

/* Copies a block, at most `max` bytes of it; how many it has. */
static inline size_t kit_load(Handle block, char *to, size_t max) {
  size_t n = (size_t)host_length(block);
  for (size_t i = 0; i < n && i < max; i++) to[i] = (char)host_load_u8(block + i);
  return n;
}

static inline void kit_output(const char *bytes, size_t n) {
  host_output_set(kit_store(bytes, n), n);
}

/* Reports a failure: what the plugin's function then returns. */
static inline int32_t kit_fail(const char *message) {
  host_error_set(kit_store_text(message));
  return 1;
}

#endif
