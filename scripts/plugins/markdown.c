/* markdown.c - a text filter: a small Markdown to HTML.
 *
 * Headings, paragraphs, bullet lists, fenced code, *emphasis*, **strong**, `code` and
 * [links](address), in one pass over the lines.
 */
#include "plugin.h"

typedef struct Text {
  const char *at, *end;
} Text;

static Bytes out;
static uint32_t out_room;

/* What the lines so far have opened. */
static enum Block { NONE, PARAGRAPH, LIST, FENCE } block;

static void put_bytes(const char *at, uint32_t size) {
  if (out.size + size > out_room) {
    out_room = 2 * (out.size + size);
    char *moved = plugin_alloc(out_room);
    __builtin_memcpy(moved, out.at, out.size);
    out.at = moved;
  }
  __builtin_memcpy(out.at + out.size, at, size);
  out.size += size;
}

static void put(const char *text) {
  const char *end = text;
  while (*end) end++;
  put_bytes(text, (uint32_t)(end - text));
}

static void put_escaped(char c) {
  switch (c) {
    case '<': put("&lt;"); break;
    case '>': put("&gt;"); break;
    case '&': put("&amp;"); break;
    case '"': put("&quot;"); break;
    default: put_bytes(&c, 1);
  }
}

static void put_escaped_text(Text text) {
  while (text.at < text.end) put_escaped(*text.at++);
}

static bool starts_with(Text text, const char *prefix) {
  while (*prefix) {
    if (text.at == text.end || *text.at++ != *prefix++) return false;
  }
  return true;
}

static const char *find(Text text, const char *mark) {
  for (; text.at < text.end; text.at++) {
    if (starts_with(text, mark)) return text.at;
  }
  return NULL;
}

static void render_spans(Text text);

/* Renders what stands between `mark` here and the next one as <tag>; false: there is none. */
static bool render_marked(Text *text, const char *mark, uint32_t mark_size, const char *tag) {
  if (!starts_with(*text, mark)) return false;
  Text inner = {text->at + mark_size, text->end};
  const char *close = find(inner, mark);
  if (!close || close == inner.at) return false;
  inner.end = close;
  put("<"), put(tag), put(">");
  if (*mark == '`') {
    put_escaped_text(inner);
  } else {
    render_spans(inner);
  }
  put("</"), put(tag), put(">");
  text->at = close + mark_size;
  return true;
}

/* [label](address) */
static bool render_link(Text *text) {
  if (!starts_with(*text, "[")) return false;
  const char *middle = find(*text, "](");
  if (!middle) return false;
  Text address = {middle + 2, text->end};
  const char *close = find(address, ")");
  if (!close) return false;
  address.end = close;
  put("<a href=\""), put_escaped_text(address), put("\">");
  render_spans((Text){text->at + 1, middle});
  put("</a>");
  text->at = close + 1;
  return true;
}

static void render_spans(Text text) {
  while (text.at < text.end) {
    if (render_marked(&text, "`", 1, "code") || render_marked(&text, "**", 2, "strong") ||
        render_marked(&text, "*", 1, "em") || render_link(&text)) {
      continue;
    }
    put_escaped(*text.at++);
  }
}

static void close_block(void) {
  static const char *const ends[] = {"", "</p>\n", "</ul>\n", "</code></pre>\n"};
  put(ends[block]);
  block = NONE;
}

static void open_block(enum Block wanted, const char *tags) {
  if (block == wanted) return;
  close_block();
  put(tags);
  block = wanted;
}

static bool render_heading(Text line) {
  char level = 0;
  while (line.at < line.end && *line.at == '#') line.at++, level++;
  if (level == 0 || level > 6 || !starts_with(line, " ")) return false;
  char tag[] = {'h', (char)('0' + level), '\0'};
  close_block();
  put("<"), put(tag), put(">");
  render_spans((Text){line.at + 1, line.end});
  put("</"), put(tag), put(">\n");
  return true;
}

static void render_text_line(Text line) {
  if (line.at == line.end) {
    close_block();
  } else if (starts_with(line, "- ")) {
    open_block(LIST, "<ul>\n");
    put("<li>");
    render_spans((Text){line.at + 2, line.end});
    put("</li>\n");
  } else if (!render_heading(line)) {
    if (block == PARAGRAPH) put("\n");
    open_block(PARAGRAPH, "<p>");
    render_spans(line);
  }
}

static void render_line(Text line) {
  if (starts_with(line, "```")) {
    if (block == FENCE) {
      close_block();
    } else {
      open_block(FENCE, "<pre><code>");
    }
  } else if (block == FENCE) {
    put_escaped_text(line);
    put("\n");
  } else {
    render_text_line(line);
  }
}

EXPORT("to_html") Bytes *to_html(const char *text, uint32_t size) {
  Text rest = {text, text + size};
  out = (Bytes){NULL, 0};
  out_room = 0;
  block = NONE;
  while (rest.at < rest.end) {
    const char *end = find(rest, "\n");
    render_line((Text){rest.at, end ? end : rest.end});
    rest.at = end ? end + 1 : rest.end;
  }
  close_block();
  return &out;
}
