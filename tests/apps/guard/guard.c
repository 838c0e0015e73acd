/* guard.c - scores a request: how much it looks like an attack.
 *
 * The request is text: its target on the first line, a header on each other one. Percent signs are
 * decoded twice, letters become small and runs of spaces one space; in that, words of attacks are
 * looked for, and each adds to the score. A score between GREY and BLACK makes the client wait: the
 * host does that as it likes. Requests that say the same have the same fingerprint, a keyed hash
 * (HalfSipHash-2-4) that is not to be guessed. guard_lua.lua has all of it in Lua.
 */
#include "../../../scripts/plugins/plugin.h"

IMPORT("host", "wait") void host_wait(uint32_t milliseconds);

enum { GREY = 10, BLACK = 20 };

typedef struct Word {
  const char *text;
  int32_t score;
} Word;

static const Word words[] = {
    {"../", 10},         {"<script", 20},       {"union select", 20},       {"' or '1'='1", 20},
    {"/etc/passwd", 20}, {"sleep(", 10},        {"onerror=", 10},           {"javascript:", 10},
    {"${jndi:", 20},     {"xp_cmdshell", 20},   {"waitfor delay", 20},      {"/bin/sh", 10},
    {"wget http", 10},   {"base64_decode", 10}, {"information_schema", 20}, {"sqlmap", 20},
};

static int32_t hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Decodes %XX in place; the new size. */
static uint32_t decode(char *text, uint32_t size) {
  uint32_t to = 0;
  for (uint32_t i = 0; i < size; i++) {
    char c = text[i];
    if (c == '%' && i + 2 < size) {
      int32_t high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
      if (high >= 0 && low >= 0) {
        c = (char)(high * 16 + low);
        i += 2;
      }
    }
    text[to++] = c;
  }
  return to;
}

/* Small letters, and one space for each run of blanks or plus signs; the new size. */
static uint32_t fold(char *text, uint32_t size) {
  uint32_t to = 0;
  for (uint32_t i = 0; i < size; i++) {
    char c = text[i];
    if (c >= 'A' && c <= 'Z') c = (char)(c + 32);
    if (c == '+' || c == '\t' || c == '\r' || c == '\n') c = ' ';
    if (c != ' ' || to == 0 || text[to - 1] != ' ') text[to++] = c;
  }
  return to;
}

static bool begins(const char *text, uint32_t size, const char *word) {
  uint32_t i = 0;
  while (word[i] != 0 && i < size && text[i] == word[i]) i++;
  return word[i] == 0;
}

/* ---- The words of attacks ----------------------------------------------------------------------
 */

static uint32_t starting[256]; /* the set of words that begin with a character */

static void prepare(void) {
  for (uint32_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    starting[(uint8_t)words[i].text[0]] |= 1u << i;
  }
}

/* The words in a text, as a set. */
static uint32_t find_words(const char *text, uint32_t size) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < size; i++) {
    uint32_t left = starting[(uint8_t)text[i]] & ~found;
    while (left) {
      uint32_t word = (uint32_t)__builtin_ctz(left);
      left &= left - 1;
      if (begins(text + i, size - i, words[word].text)) found |= 1u << word;
    }
  }
  return found;
}

/* ---- The fingerprint ---------------------------------------------------------------------------
 */

static uint32_t fingerprint;
static const uint32_t key[2] = {0x243f6a88, 0x85a308d3};

static uint32_t rotate(uint32_t x, int n) {
  return x << n | x >> (32 - n);
}

static void mix(uint32_t *v, int rounds) {
  while (rounds-- > 0) {
    v[0] += v[1], v[1] = rotate(v[1], 5) ^ v[0], v[0] = rotate(v[0], 16);
    v[2] += v[3], v[3] = rotate(v[3], 8) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 7) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 13) ^ v[2], v[2] = rotate(v[2], 16);
  }
}

static uint32_t hash(const char *text, uint32_t size) {
  uint32_t v[4] = {key[0], key[1], 0x6c796765 ^ key[0], 0x74656462 ^ key[1]};
  uint32_t word, i = 0;
  for (; i + 4 <= size; i += 4) {
    __builtin_memcpy(&word, text + i, 4);
    v[3] ^= word;
    mix(v, 2);
    v[0] ^= word;
  }
  word = size << 24;
  for (int shift = 0; i < size; i++, shift += 8) word |= (uint32_t)(uint8_t)text[i] << shift;
  v[3] ^= word;
  mix(v, 2);
  v[0] ^= word;
  v[2] ^= 0xff;
  mix(v, 4);
  return v[1] ^ v[3];
}

/* ---- What the host calls -----------------------------------------------------------------------
 */

EXPORT("score") int32_t score(char *text, uint32_t size) {
  int32_t sum = 0;
  size = decode(text, size);
  size = decode(text, size);
  size = fold(text, size);
  if (!starting['<']) prepare();
  uint32_t found = find_words(text, size);
  for (; found; found &= found - 1) sum += words[__builtin_ctz(found)].score;
  fingerprint = hash(text, size);
  if (sum >= GREY && sum < BLACK) host_wait(20);
  return sum;
}

/* Of the request that was scored last. */
EXPORT("last_fingerprint") uint32_t last_fingerprint(void) {
  return fingerprint;
}
