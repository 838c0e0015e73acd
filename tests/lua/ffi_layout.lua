-- The layouts of 400 random types, and how calls pass them by value, are those that clang gives
-- them: in a module that clang made (tests/lua/ffi/layouts.wasm, by RILLE_KEEP=1), and for new types
-- where clang and wasm-ld are here.
local t = ...
local wasm = t.wasm
local ffi = require "wasm.ffi"
local ctype = require "wasm.ffi.ctype"
local parser = require "wasm.ffi.parser"
local here = arg[0]:match("^(.*)/[^/]*$") or "."
local unpack = table.unpack or unpack
local layouts = dofile(here .. "/ffi/layouts.lua")

local function check(seed, n, module)
  local text, types = layouts.make(seed, n)
  local scope, prototypes = parser.new_scope(), {}
  for i = 1, n do prototypes[i] = layouts.prototype(types, i) .. ";\n" end
  text = text .. table.concat(prototypes)
  local ok, err = pcall(parser.declarations, scope, text)
  if not ok then t.fail(type(err) == "table" and err.message or err) end
  local exports = assert(wasm.instantiate(module)).exports
  local memory, at = exports.memory, exports.table.value
  local function eq(got, what)
    local wanted = memory:load("u32", at)
    at = at + 4
    if got ~= wanted then
      t.fail(("%s is %s, clang says %d"):format(what, tostring(got), wanted), 2)
    end
  end
  for i, entry in ipairs(types) do
    local name = "pass" .. i
    t.eq(ctype.signature(scope.functions[name].type), wasm.signature(exports[name]), entry[1])
    local type = parser.type(scope, entry[1])
    eq(type.size, "sizeof " .. entry[1])
    eq(type.align, "alignment of " .. entry[1])
    for _, field in ipairs(entry[2]) do
      eq(type.fields[field] and type.fields[field].offset, entry[1] .. "." .. field)
    end
  end
end

local function compile(program, output)
  local source = os.tmpname()
  local file = assert(io.open(source, "w"))
  file:write(program)
  file:close()
  local command = ("clang --target=wasm32 -O1 -fvisibility=default -w -x c -c -o %s.o %s 2>/dev/null" ..
    " && wasm-ld --no-entry --export-dynamic -o %s %s.o 2>/dev/null"):format(source, source, output,
    source)
  local status = os.execute(command)
  os.remove(source)
  os.remove(source .. ".o")
  return status == true or status == 0
end

-- Functions that set and get every bit-field: the program, their declarations, and a list of
-- {number of the function, type, name, member}.
local function bit_program(text, types)
  local scope, program, prototypes, list = parser.new_scope(), { text }, { text }, {}
  parser.declarations(scope, text)
  for _, entry in ipairs(types) do
    for name, field in pairs(parser.type(scope, entry[1]).fields) do
      if field.bits then
        local set = ("void set%d(%s *p, long long x)"):format(#list, entry[1])
        local get = ("long long get%d(%s *p)"):format(#list, entry[1])
        program[#program + 1] = ("%s { p->%s = x; } %s { return p->%s; }"):format(set, name, get, name)
        prototypes[#prototypes + 1] = ("%s; %s;"):format(set, get)
        list[#list + 1] = { #list, entry[1], name, field }
      end
    end
  end
  return table.concat(program, "\n"), table.concat(prototypes, "\n"), list
end

-- What C sets is what Lua gets, and what Lua sets leaves the same bytes.
local function check_bits(lib, entry, value, filling)
  local number, type_name, name, field = unpack(entry)
  local size = ffi.sizeof(lib, type_name)
  local bytes, p = ffi.cast(lib, "char *", 4096), ffi.cast(lib, type_name .. " *", 4096)
  ffi.fill(bytes, size, filling)
  lib["set" .. number](p, value)
  local wanted, written = lib["get" .. number](p), ffi.string(bytes, size)
  if field.type.kind == "bool" then wanted = wanted ~= 0 end
  local got = p[0][name]
  ffi.fill(bytes, size, filling)
  p[0][name] = wanted
  if tostring(got):gsub("[UL]", "") ~= tostring(wanted):gsub("[UL]", "") or
    ffi.string(bytes, size) ~= written then
    t.fail(("%s.%s: %s, got %s"):format(type_name, name, tostring(wanted), tostring(got)))
  end
end

if os.getenv "RILLE_KEEP" then
  assert(compile(layouts.program(layouts.make(1, 400)), here .. "/ffi/layouts.wasm"))
end

t.test("types that clang laid out before", function()
  check(1, 400, assert(wasm.loadfile(here .. "/ffi/layouts.wasm")))
end)

-- Other types every day.
local seed = math.floor(os.time() / 86400)
local output = os.tmpname()
if compile(layouts.program(layouts.make(seed, 200)), output) then
  t.test("types that clang lays out now, seed " .. seed, function()
    check(seed, 200, assert(wasm.loadfile(output)))
  end)
  t.test("bit-fields as clang has them, seed " .. seed, function()
    local program, prototypes, list = bit_program(layouts.make(seed, 60))
    assert(compile(program, output))
    local lib = assert(ffi.load(wasm.loadfile(output), prototypes))
    for _, entry in ipairs(list) do
      for _, value in ipairs { 1, 85, -1, 2 ^ 40 + 12345 } do
        check_bits(lib, entry, value, 0)
        check_bits(lib, entry, value, 255)
      end
    end
  end)
end
os.remove(output)
