-- Backtraces of modules with debug information: files, lines, inlined calls; and damage to it.
local t = ...
local wasm = t.wasm
local here = arg[0]:match("^(.*)/[^/]*$") or "."
local data = here .. "/../data/"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "*a"
  file:close()
  return bytes
end

-- {mark = line} of the source.
local marks, n_lines = {}, 0
for line in read(data .. "inlined.c"):gmatch "([^\n]*)\n" do
  n_lines = n_lines + 1
  local mark = line:match "mark: (%w+)"
  if mark then marks[mark] = n_lines end
end

local function instantiate(bytes, engine, log)
  local module = assert(wasm.load(bytes, { engine = engine, name = "inlined" }))
  return assert(module:instantiate { env = { log = log or function() end } }).exports
end

-- "divide:9 average:13" of the frames whose file is the source.
local function lines_of(err)
  local words = {}
  for i, frame in ipairs(err.frames) do
    if frame.file and not frame.file:find "inlined%.c$" then t.fail("file " .. frame.file) end
    words[i] = ("%s:%s"):format(frame.func, frame.line or "?")
  end
  return table.concat(words, " ")
end

local function marked(...)
  local words = {}
  for i, name in ipairs { ... } do words[i] = name .. ":" .. marks[name] end
  return table.concat(words, " ")
end

local function check(bytes, engine)
  local exports = instantiate(bytes, engine, function() wasm.trap "told" end)
  local _, err = pcall(exports.run, 1, 0)
  t.eq(err.code, "integer divide by zero")
  t.eq(lines_of(err), marked("divide", "average", "compute", "run"))
  local _, told = pcall(exports.tell, 1)
  t.eq(lines_of(told), marked("report", "tell"))
  t.eq(err.frames[1].offset == err.frames[3].offset, true, "inlined frames have one place")
  t.eq(err.frames[3].offset == err.frames[4].offset, false)
  local text = tostring(err)
  for _, name in ipairs { "divide", "average", "compute", "run" } do
    local wanted = "inlined.c:" .. marks[name]
    if not text:find(wanted, 1, true) then t.fail(wanted .. " is not in " .. text) end
  end
  t.eq(exports.run(10, 5), 8)
end

for _, engine in ipairs(wasm.config().supported.engines) do
  for version = 4, 5 do
    t.test(("DWARF %d on the %s"):format(version, engine), function()
      check(read(data .. "inlined" .. version .. ".wasm"), engine)
    end)
  end
end

t.test("what clang makes now", function()
  local folder = os.tmpname()
  os.remove(folder)
  local command = ("command -v clang wasm-ld >/dev/null && mkdir '%s' && sh '%sbuild.sh' '%s'")
  local status = os.execute((command .. " 2>/dev/null"):format(folder, data, folder))
  if status == true or status == 0 then
    for version = 4, 5 do check(read(("%s/inlined%d.wasm"):format(folder, version))) end
  end
  os.execute(("rm -rf '%s'"):format(folder))
end)

t.test("without the name section functions are named by their entries", function()
  local bytes = read(data .. "inlined5.wasm"):gsub("\4name", "\4nome")
  local _, err = pcall(instantiate(bytes).run, 1, 0)
  t.eq(lines_of(err), marked("divide", "average", "compute", "run"))
end)

-- The first byte of the debug sections and the last: what can be damaged and stays valid.
local function debug_range(bytes)
  local first = bytes:find(".debug_", 1, true)
  local last = bytes:find("\4name", 1, true)
  return first, last - 8
end

t.test("damaged debug information is no information, and harms nobody", function()
  local seed = 12345
  local function random(n)
    seed = (seed * 16807) % 2147483647
    return seed % n
  end
  for version = 4, 5 do
    local bytes = read(data .. "inlined" .. version .. ".wasm")
    local first, last = debug_range(bytes)
    for _ = 1, 400 do
      local damaged = bytes
      for _ = 1, 1 + random(4) do
        local at = first + random(last - first)
        local values = { 0, 1, 0x7F, 0x80, 0xFF, random(256) }
        damaged = damaged:sub(1, at - 1) .. string.char(values[1 + random(6)]) .. damaged:sub(at + 1)
      end
      local module = wasm.load(damaged)
      if module then
        local exports = module:instantiate({ env = { log = function() end } }).exports
        local ok, err = pcall(exports.run, 1, 0)
        t.eq(ok, false)
        t.eq(err.code, "integer divide by zero")
        t.eq(#err.frames >= 2, true)
        t.eq(type(tostring(err)), "string")
      end
    end
  end
end)

-- A section of one unit made by hand: its name and contents as WAT strings.
local function with_sections(sections)
  local parts = {}
  for name, contents in pairs(sections) do
    local text = contents:gsub(".", function(c) return ("\\%02x"):format(c:byte()) end)
    parts[#parts + 1] = ('(@custom "%s" "%s")'):format(name, text)
  end
  local text = [[(module (func (export "f") unreachable) %s)]]
  return assert(wasm.instantiate(text:format(table.concat(parts)))).exports
end

local function le(n, size)
  local bytes = {}
  for i = 1, size do
    bytes[i] = string.char(n % 256)
    n = math.floor(n / 256)
  end
  return table.concat(bytes)
end

t.test("endless tables end", function()
  -- A unit over the whole code whose line table has 2^63 entries without bytes.
  local abbrev = "\1\17\0\17\1\18\6\16\23\0\0\0"
  local root = "\1" .. le(1, 4) .. le(1000, 4) .. le(0, 4)
  local head = le(5, 2) .. "\1\4" .. le(0, 4)
  local info = le(#head + #root, 4) .. head .. root
  for _, columns in ipairs { "\0", "\1\1\25", "\1\1\33" } do
    local tables = columns .. ("\255"):rep(8) .. "\127" .. columns .. ("\255"):rep(8) .. "\127"
    local fields = "\1\1\1\251\14\13\0\1\1\1\1\0\0\0\1\0\0\1" .. tables
    local line_head = le(5, 2) .. "\4\0" .. le(#fields, 4) .. fields
    local exports = with_sections {
      [".debug_abbrev"] = abbrev, [".debug_info"] = info,
      [".debug_line"] = le(#line_head, 4) .. line_head,
    }
    local began = os.clock()
    t.traps("trap", "unreachable", exports.f)
    t.eq(os.clock() - began < 1, true)
  end
end)

t.test("work is bounded, however often sections are named", function()
  -- Many small units that all point to one line table of a million rows.
  local abbrev = "\1\17\0\17\1\18\6\16\23\0\0\0"
  local unit_head = le(5, 2) .. "\1\4" .. le(0, 4)
  local root = "\1" .. le(1, 4) .. le(2, 4) .. le(0, 4)
  local info = (le(#unit_head + #root, 4) .. unit_head .. root):rep(2000)
  local fields = "\1\1\1\251\14\13\0\1\1\1\1\0\0\0\1\0\0\1\0\0\0\0"
  local program = "\0\5\2" .. le(2, 4) .. ("\1"):rep(100000) .. "\0\1\1"
  local line_head = le(5, 2) .. "\4\0" .. le(#fields, 4) .. fields .. program
  local exports = with_sections {
    [".debug_abbrev"] = abbrev, [".debug_info"] = info,
    [".debug_line"] = le(#line_head, 4) .. line_head,
  }
  local began = os.clock()
  for _ = 1, 200 do t.traps("trap", "unreachable", exports.f) end
  t.eq(os.clock() - began < 5, true)
end)
