-- The layouts of 400 random types, and how calls pass them by value, are those that clang gives
-- them: in a module that clang made (tests/lua/ffi/layouts.wasm, by RILLE_KEEP=1), and for new types
-- where clang and wasm-ld are here.
local t = ...
local wasm = t.wasm
local ctype = require "wasm.ffi.ctype"
local parser = require "wasm.ffi.parser"
local here = arg[0]:match("^(.*)/[^/]*$") or "."
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

local function compile(seed, n, output)
  local source = os.tmpname()
  local file = assert(io.open(source, "w"))
  file:write(layouts.program(layouts.make(seed, n)))
  file:close()
  local command = ("clang --target=wasm32 -O1 -fvisibility=default -w -x c -c -o %s.o %s 2>/dev/null" ..
    " && wasm-ld --no-entry --export-dynamic -o %s %s.o 2>/dev/null"):format(source, source, output,
    source)
  local status = os.execute(command)
  os.remove(source)
  os.remove(source .. ".o")
  return status == true or status == 0
end

if os.getenv "RILLE_KEEP" then assert(compile(1, 400, here .. "/ffi/layouts.wasm")) end

t.test("types that clang laid out before", function()
  check(1, 400, assert(wasm.loadfile(here .. "/ffi/layouts.wasm")))
end)

-- Other types every day.
local seed = math.floor(os.time() / 86400)
local output = os.tmpname()
if compile(seed, 200, output) then
  t.test("types that clang lays out now, seed " .. seed, function()
    check(seed, 200, assert(wasm.loadfile(output)))
  end)
end
os.remove(output)
