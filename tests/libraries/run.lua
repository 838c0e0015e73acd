-- C libraries that others wrote, used through wasm.ffi: lua tests/libraries/run.lua DIR
--
-- DIR holds what build.sh made. Prints `N passed, N failed, N skipped`, a library that is not there
-- being skipped.
local ffi = require "wasm.ffi"
local dir = assert(arg[1], "folder of the libraries expected")
local passed, failed, skipped = 0, 0, 0

local function eq(got, wanted, what)
  if got ~= wanted then
    error(("%s: got %s, wanted %s"):format(what or "value", tostring(got), tostring(wanted)), 2)
  end
end

local function test(name, f, ...)
  local ok, err = pcall(f, ...)
  if ok then
    passed = passed + 1
  else
    failed = failed + 1
    print(("FAILED %s: %s"):format(name, tostring(err)))
  end
end

-- Runs the tests with the library, loaded with these declarations.
local function library(name, declarations, tests)
  local path = ("%s/%s.wasm"):format(dir, name)
  local file = io.open(path, "rb")
  if not file then
    skipped = skipped + 1
    return
  end
  file:close()
  local lib, err = ffi.load(path, declarations)
  if not lib then
    failed = failed + 1
    print(("FAILED %s: %s"):format(name, tostring(err)))
    return
  end
  tests(lib, function(what, f) test(name .. ": " .. what, f) end)
end

-- Text that is neither all alike nor random, the same on every Lua.
local function sample(n)
  local words, parts, seed = { "moon", "rille", "crater", "mare", "basalt", "ridge" }, {}, 1
  for i = 1, n do
    seed = (seed * 1103 + 12345) % 65536
    parts[i] = words[seed % #words + 1] .. (seed % 7 == 0 and "\n" or " ")
  end
  return table.concat(parts)
end

-- ---- zlib ---------------------------------------------------------------------------------------

local zlib_declarations = [[
  #define Z_OK 0
  #define Z_STREAM_END 1
  #define Z_DATA_ERROR (-3)
  #define Z_BUF_ERROR (-5)
  #define Z_FINISH 4
  #define Z_NO_FLUSH 0
  #define Z_DEFLATED 8
  typedef unsigned char Bytef;
  typedef unsigned long uLong;
  typedef uLong uLongf;
  typedef unsigned int uInt;
  typedef void *voidpf;
  typedef voidpf (*alloc_func)(voidpf opaque, uInt items, uInt size);
  typedef void (*free_func)(voidpf opaque, voidpf address);
  typedef struct z_stream_s {
    const Bytef *next_in; uInt avail_in; uLong total_in;
    Bytef *next_out; uInt avail_out; uLong total_out;
    const char *msg; struct internal_state *state;
    alloc_func zalloc; free_func zfree; voidpf opaque;
    int data_type; uLong adler; uLong reserved;
  } z_stream;
  const char *zlibVersion(void);
  uLong compressBound(uLong sourceLen);
  int compress2(Bytef *dest, uLongf *destLen, const Bytef *source, uLong sourceLen, int level);
  int uncompress(Bytef *dest, uLongf *destLen, const Bytef *source, uLong sourceLen);
  uLong crc32(uLong crc, const Bytef *buf, uInt len);
  uLong adler32(uLong adler, const Bytef *buf, uInt len);
  int deflateInit2_(z_stream *strm, int level, int method, int windowBits, int memLevel,
                    int strategy, const char *version, int stream_size);
  int deflate(z_stream *strm, int flush);
  int deflateEnd(z_stream *strm);
  int inflateInit2_(z_stream *strm, int windowBits, const char *version, int stream_size);
  int inflate(z_stream *strm, int flush);
  int inflateEnd(z_stream *strm);
]]

-- A stream's output in pieces of `room` bytes.
local function pump(lib, step, stream, input, room)
  local source = ffi.new(lib, "unsigned char[?]", #input, input)
  local target = ffi.new(lib, "unsigned char[?]", room)
  stream.next_in, stream.avail_in = source, #input
  local parts, status = {}, nil
  repeat
    stream.next_out, stream.avail_out = target, room
    status = step(stream, lib.Z_FINISH)
    parts[#parts + 1] = ffi.string(target, room - stream.avail_out)
  until status ~= lib.Z_OK and status ~= lib.Z_BUF_ERROR
  return table.concat(parts), status
end

library("zlib", zlib_declarations, function(lib, check)
  check("version and checksums", function()
    eq(ffi.string(lib.zlibVersion()):match "^1%.", "1.")
    eq(lib.crc32(0, "123456789", 9), 0xcbf43926)
    eq(lib.adler32(1, "Wikipedia", 9), 0x11e60398)
  end)
  check("compress and uncompress", function()
    for _, text in ipairs { "", "x", sample(20000), ("\0\255"):rep(50000) } do
      for level = 1, 9, 4 do
        local n = ffi.new(lib, "uLong[1]", lib.compressBound(#text))
        local packed = ffi.new(lib, "unsigned char[?]", n[0])
        local source = ffi.new(lib, "unsigned char[?]", #text, text)
        eq(lib.compress2(packed, n, source, #text, level), lib.Z_OK)
        eq(n[0] <= #text + 20, true, "size")
        local m = ffi.new(lib, "uLong[1]", #text)
        local back = ffi.new(lib, "unsigned char[?]", #text)
        eq(lib.uncompress(back, m, packed, n[0]), lib.Z_OK)
        eq(ffi.string(back, m[0]), text)
      end
    end
  end)
  check("streams of gzip", function()
    local text = sample(5000)
    local stream = ffi.new(lib, "z_stream")
    eq(lib.deflateInit2_(stream, 6, lib.Z_DEFLATED, 31, 8, 0, "1", ffi.sizeof(stream)), lib.Z_OK)
    local packed, status = pump(lib, lib.deflate, stream, text, 1000)
    eq(status, lib.Z_STREAM_END)
    eq(lib.deflateEnd(stream), lib.Z_OK)
    eq(packed:sub(1, 2), "\31\139")
    stream = ffi.new(lib, "z_stream")
    eq(lib.inflateInit2_(stream, 31, "1", ffi.sizeof(stream)), lib.Z_OK)
    local back
    back, status = pump(lib, lib.inflate, stream, packed, 777)
    eq(status, lib.Z_STREAM_END)
    eq(back, text)
    eq(lib.inflateEnd(stream), lib.Z_OK)
  end)
  check("an allocator in Lua", function()
    local live, calls = {}, 0
    local alloc = ffi.callback(lib, "alloc_func", function(_, items, size)
      calls = calls + 1
      local block = ffi.new(lib, "char[?]", items * size)
      local address = ffi.cast(lib, "uintptr_t", block)
      live[address] = block
      return block
    end)
    local free = ffi.callback(lib, "free_func", function(_, p)
      live[ffi.cast(lib, "uintptr_t", p)] = nil
    end)
    local stream = ffi.new(lib, "z_stream", { zalloc = alloc, zfree = free })
    eq(lib.inflateInit2_(stream, 15, "1", ffi.sizeof(stream)), lib.Z_OK)
    local out, status = pump(lib, lib.inflate, stream, "no zlib stream", 100)
    eq(out, "")
    eq(status, lib.Z_DATA_ERROR)
    eq(ffi.string(stream.msg), "incorrect header check")
    eq(lib.inflateEnd(stream), lib.Z_OK)
    eq(calls > 0, true)
    eq(next(live), nil)
    alloc:free()
    free:free()
  end)
end)

-- ---- A Markdown parser --------------------------------------------------------------------------

library("md4c", [[
  typedef char MD_CHAR;
  typedef unsigned MD_SIZE;
  #define MD_FLAG_TABLES 0x0100
  #define MD_FLAG_STRIKETHROUGH 0x0200
  #define MD_HTML_FLAG_XHTML 0x0008
  int md_html(const MD_CHAR *input, MD_SIZE input_size,
              void (*process_output)(const MD_CHAR *, MD_SIZE, void *), void *userdata,
              unsigned parser_flags, unsigned renderer_flags);
]], function(lib, check)
  local function html(text, flags)
    local parts = {}
    eq(lib.md_html(text, #text, function(bytes, n) parts[#parts + 1] = ffi.string(bytes, n) end,
      nil, flags or 0, 0), 0)
    return table.concat(parts)
  end
  check("paragraphs", function()
    eq(html "# Moon\n\nA *rille* is a `channel`.",
      "<h1>Moon</h1>\n<p>A <em>rille</em> is a <code>channel</code>.</p>\n")
    eq(html "a < b & \"c\"", "<p>a &lt; b &amp; &quot;c&quot;</p>\n")
  end)
  check("lists and tables", function()
    eq(html "* one\n* two\n", "<ul>\n<li>one</li>\n<li>two</li>\n</ul>\n")
    eq(html("|a|b|\n|---|---|\n|1|2|", lib.MD_FLAG_TABLES):gsub("%s", ""),
      "<table><thead><tr><th>a</th><th>b</th></tr></thead>" ..
      "<tbody><tr><td>1</td><td>2</td></tr></tbody></table>")
    eq(html("~~no~~", lib.MD_FLAG_STRIKETHROUGH), "<p><del>no</del></p>\n")
  end)
  check("a large document", function()
    local part = "## Part\n\n" .. ("word "):rep(50) .. "\n\n"
    eq(select(2, html(part:rep(500)):gsub("<h2>Part</h2>", "")), 500)
  end)
end)

-- ---- Images -------------------------------------------------------------------------------------

library("libstb", [[
  typedef unsigned char stbi_uc;
  stbi_uc *stbi_load_from_memory(const stbi_uc *buffer, int len, int *x, int *y, int *channels,
                                 int desired_channels);
  int stbi_info_from_memory(const stbi_uc *buffer, int len, int *x, int *y, int *comp);
  void stbi_image_free(void *retval_from_stbi_load);
  const char *stbi_failure_reason(void);
  typedef void stbi_write_func(void *context, void *data, int size);
  int stbi_write_png_to_func(stbi_write_func *func, void *context, int w, int h, int comp,
                             const void *data, int stride_in_bytes);
  int stbi_write_jpg_to_func(stbi_write_func *func, void *context, int x, int y, int comp,
                             const void *data, int quality);
]], function(lib, check)
  local w, h = 40, 30
  local function picture()
    local pixels = ffi.new(lib, "stbi_uc[?]", w * h * 3)
    for y = 0, h - 1 do
      for x = 0, w - 1 do
        local at = (y * w + x) * 3
        pixels[at], pixels[at + 1], pixels[at + 2] = x * 6, y * 8, (x + y) % 2 * 255
      end
    end
    return pixels
  end
  local function collector()
    local parts = {}
    return parts, function(_, data, n) parts[#parts + 1] = ffi.string(data, n) end
  end
  local function decode(bytes)
    local size = ffi.new(lib, "int[3]")
    local pixels = lib.stbi_load_from_memory(bytes, #bytes, size, size + 1, size + 2, 3)
    if not pixels then return nil, ffi.string(lib.stbi_failure_reason()) end
    return ffi.gc(pixels, lib.stbi_image_free), size[0], size[1], size[2]
  end
  check("a PNG there and back", function()
    local pixels = picture()
    local parts, collect = collector()
    eq(lib.stbi_write_png_to_func(collect, nil, w, h, 3, pixels, w * 3), 1)
    local png = table.concat(parts)
    eq(png:sub(1, 8), "\137PNG\r\n\26\n")
    local back, bw, bh, channels = decode(png)
    eq(bw, w)
    eq(bh, h)
    eq(channels, 3)
    eq(ffi.string(back, w * h * 3), ffi.string(pixels, w * h * 3))
    local size = ffi.new(lib, "int[3]")
    eq(lib.stbi_info_from_memory(png, #png, size, size + 1, size + 2), 1)
    eq(size[0], w)
  end)
  check("a JPEG comes close", function()
    local pixels = picture()
    for i = 2, w * h * 3 - 1, 3 do pixels[i] = 128 end
    local parts, collect = collector()
    eq(lib.stbi_write_jpg_to_func(collect, nil, w, h, 3, pixels, 95), 1)
    local back = decode(table.concat(parts))
    local worst = 0
    for i = 0, w * h * 3 - 1 do worst = math.max(worst, math.abs(back[i] - pixels[i])) end
    eq(worst < 40, true, "difference")
  end)
  check("what is no image", function()
    local back, reason = decode "no image at all"
    eq(back, nil)
    eq(reason, "unknown image type")
  end)
end)

-- ---- SQL ----------------------------------------------------------------------------------------

local sqlite_declarations = [[
  #define SQLITE_OK 0
  #define SQLITE_ERROR 1
  #define SQLITE_INTERRUPT 9
  #define SQLITE_ROW 100
  #define SQLITE_DONE 101
  #define SQLITE_INTEGER 1
  #define SQLITE_FLOAT 2
  #define SQLITE_TEXT 3
  #define SQLITE_NULL 5
  #define SQLITE_UTF8 1
  #define SQLITE_TRANSIENT (-1)
  typedef struct sqlite3 sqlite3;
  typedef struct sqlite3_stmt sqlite3_stmt;
  typedef struct sqlite3_context sqlite3_context;
  typedef struct sqlite3_value sqlite3_value;
  typedef long long sqlite3_int64;
  const char *sqlite3_libversion(void);
  int sqlite3_open(const char *filename, sqlite3 **db);
  int sqlite3_close(sqlite3 *);
  int sqlite3_exec(sqlite3 *, const char *sql, int (*callback)(void *, int, char **, char **),
                   void *, char **errmsg);
  const char *sqlite3_errmsg(sqlite3 *);
  int sqlite3_prepare_v2(sqlite3 *, const char *sql, int n, sqlite3_stmt **, const char **tail);
  int sqlite3_step(sqlite3_stmt *);
  int sqlite3_reset(sqlite3_stmt *);
  int sqlite3_finalize(sqlite3_stmt *);
  int sqlite3_column_count(sqlite3_stmt *);
  const char *sqlite3_column_name(sqlite3_stmt *, int);
  int sqlite3_column_type(sqlite3_stmt *, int);
  sqlite3_int64 sqlite3_column_int64(sqlite3_stmt *, int);
  double sqlite3_column_double(sqlite3_stmt *, int);
  const unsigned char *sqlite3_column_text(sqlite3_stmt *, int);
  int sqlite3_column_bytes(sqlite3_stmt *, int);
  int sqlite3_bind_int64(sqlite3_stmt *, int, sqlite3_int64);
  int sqlite3_bind_double(sqlite3_stmt *, int, double);
  int sqlite3_bind_text(sqlite3_stmt *, int, const char *, int, void (*)(void *));
  int sqlite3_bind_null(sqlite3_stmt *, int);
  int sqlite3_create_function_v2(sqlite3 *, const char *name, int n, int encoding, void *,
      void (*func)(sqlite3_context *, int, sqlite3_value **),
      void (*step)(sqlite3_context *, int, sqlite3_value **), void (*final)(sqlite3_context *),
      void (*destroy)(void *));
  void sqlite3_result_int64(sqlite3_context *, sqlite3_int64);
  void sqlite3_result_text(sqlite3_context *, const char *, int, void (*)(void *));
  const unsigned char *sqlite3_value_text(sqlite3_value *);
  sqlite3_int64 sqlite3_value_int64(sqlite3_value *);
  int sqlite3_changes(sqlite3 *);
  sqlite3_int64 sqlite3_last_insert_rowid(sqlite3 *);
  void sqlite3_free(void *);
  void sqlite3_progress_handler(sqlite3 *, int, int (*)(void *), void *);
]]

library("sqlite3", sqlite_declarations, function(lib, check)
  local out = ffi.new(lib, "sqlite3 *[1]")
  eq(lib.sqlite3_open(":memory:", out), lib.SQLITE_OK)
  local db = out[0]
  local transient = ffi.cast(lib, "void (*)(void *)", lib.SQLITE_TRANSIENT)

  local function fail(status)
    if status ~= lib.SQLITE_OK then error(ffi.string(lib.sqlite3_errmsg(db)), 0) end
  end

  local function column(statement, i)
    local kind = lib.sqlite3_column_type(statement, i)
    if kind == lib.SQLITE_INTEGER then return lib.sqlite3_column_int64(statement, i) end
    if kind == lib.SQLITE_FLOAT then return lib.sqlite3_column_double(statement, i) end
    if kind == lib.SQLITE_NULL then return nil end
    return ffi.string(lib.sqlite3_column_text(statement, i), lib.sqlite3_column_bytes(statement, i))
  end

  local function bind(statement, i, value)
    if type(value) == "string" then
      fail(lib.sqlite3_bind_text(statement, i, value, #value, transient))
    elseif value % 1 == 0 then
      fail(lib.sqlite3_bind_int64(statement, i, value))
    else
      fail(lib.sqlite3_bind_double(statement, i, value))
    end
  end

  -- The rows as lists.
  local function query(sql, ...)
    local holder = ffi.new(lib, "sqlite3_stmt *[1]")
    fail(lib.sqlite3_prepare_v2(db, sql, #sql, holder, nil))
    local statement, rows = holder[0], {}
    for i = 1, select("#", ...) do bind(statement, i, (select(i, ...))) end
    local status = lib.sqlite3_step(statement)
    while status == lib.SQLITE_ROW do
      local row = {}
      for i = 0, lib.sqlite3_column_count(statement) - 1 do row[i + 1] = column(statement, i) end
      rows[#rows + 1] = row
      status = lib.sqlite3_step(statement)
    end
    local result = lib.sqlite3_finalize(statement)
    if status ~= lib.SQLITE_DONE then fail(result) end
    return rows
  end

  check("tables", function()
    eq(ffi.string(lib.sqlite3_libversion()):match "^3%.", "3.")
    query "create table craters (name text primary key, diameter real, found integer)"
    query("insert into craters values (?, ?, ?)", "Tycho", 85.5, 1645)
    query("insert into craters values (?, ?, ?)", "Copernicus", 93, 1651)
    query("insert into craters values (?, ?, ?)", "Plato", 101.25, 1647)
    local rows = query "select name, diameter from craters where diameter > 90 order by name desc"
    eq(#rows, 2)
    eq(rows[1][1], "Plato")
    eq(rows[1][2], 101.25)
    eq(query("select sum(found), count(*), avg(diameter) from craters")[1][1], 4943)
    eq(lib.sqlite3_last_insert_rowid(db), 3)
  end)
  check("many rows in a transaction", function()
    query "create table n (i integer, square integer)"
    query "begin"
    for i = 1, 2000 do query("insert into n values (?, ?)", i, i * i) end
    query "commit"
    eq(query("select sum(square) from n")[1][1], 2668667000)
    query "create index by_square on n (square)"
    eq(query("select i from n where square = ?", 1234 * 1234)[1][1], 1234)
    eq(query([[with recursive f(a, b) as (select 0, 1 union all select b, a + b from f limit 50)
      select max(a) from f]])[1][1], 7778742049)
  end)
  check("rows by a Lua function", function()
    local rows = {}
    local status = lib.sqlite3_exec(db, "select name, found from craters order by found",
      function(_, n, values, names)
        local row = {}
        for i = 0, n - 1 do row[ffi.string(names[i])] = ffi.string(values[i]) end
        rows[#rows + 1] = row.name .. row.found
        return 0
      end, nil, nil)
    eq(status, lib.SQLITE_OK)
    eq(table.concat(rows, " "), "Tycho1645 Plato1647 Copernicus1651")
  end)
  check("functions in Lua", function()
    local reverse = ffi.callback(lib, "void (*)(sqlite3_context *, int, sqlite3_value **)",
      function(context, _, values)
        local text = ffi.string(lib.sqlite3_value_text(values[0])):reverse()
        lib.sqlite3_result_text(context, text, #text, transient)
      end)
    fail(lib.sqlite3_create_function_v2(db, "backwards", 1, lib.SQLITE_UTF8, nil, reverse, nil, nil,
      nil))
    eq(query("select group_concat(backwards(name)) from (select name from craters order by name)")
      [1][1], "sucinrepoC,otalP,ohcyT")
  end)
  check("errors", function()
    local ok, err = pcall(query, "select * from nowhere")
    eq(ok, false)
    eq(err, "no such table: nowhere")
    ok, err = pcall(query, "insert into craters values ('Tycho', 1, 1)")
    eq(ok, false)
    eq(err, "UNIQUE constraint failed: craters.name")
    eq(lib.sqlite3_open("/etc/passwd", ffi.new(lib, "sqlite3 *[1]")) ~= lib.SQLITE_OK, true)
  end)
  check("a query that never ends is stopped", function()
    local n = 0
    local stop = ffi.callback(lib, "int (*)(void *)", function()
      n = n + 1
      return n > 20
    end)
    lib.sqlite3_progress_handler(db, 1000, stop, nil)
    local ok, err = pcall(query,
      "with recursive f(a) as (select 1 union all select a from f) select count(*) from f")
    eq(ok, false)
    eq(err, "interrupted")
    lib.sqlite3_progress_handler(db, 0, nil, nil)
  end)
  check("closing", function() eq(lib.sqlite3_close(db), lib.SQLITE_OK) end)
end)

print(("%d passed, %d failed, %d skipped"):format(passed, failed, skipped))
os.exit(failed == 0 and 0 or 1, true)
