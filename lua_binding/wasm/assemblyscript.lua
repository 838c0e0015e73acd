--- What modules of AssemblyScript import, and its objects: strings, which are UTF-16 in the guest's
-- memory, and buffers of bytes.
--
-- In front of an object's address are the number of its class (8 bytes before it) and its size in
-- bytes (4 before). The guest's collector moves nothing, but frees what no guest variable refers to
-- when it runs: what Lua keeps across calls has to be pinned. Making objects needs a module that
-- was compiled with --exportRuntime.

local wasm = require "wasm"
local tools = require "wasm.tools"
local protected = require "wasm.protect"

local assemblyscript = {}

local option_names = { "imports", "wasi", "trace", "log", "seed", "clock", "limits", "name",
  "engine", "features" }
local ARRAY_BUFFER, STRING = 1, 2 -- numbers of classes

-- ---- UTF-16 and UTF-8 ---------------------------------------------------------------------------

-- The encoding of a character, whose code point is at most 0x10ffff.
local function to_utf8(code)
  if code < 0x80 then return string.char(code) end
  local function tail(scale) return 128 + math.floor(code / scale) % 64 end
  if code < 0x800 then return string.char(192 + math.floor(code / 64), tail(1)) end
  if code < 0x10000 then
    return string.char(224 + math.floor(code / 4096), tail(64), tail(1))
  end
  return string.char(240 + math.floor(code / 262144), tail(4096), tail(64), tail(1))
end

-- Half of a pair that lacks the other one becomes U+FFFD.
local function decode_utf16(bytes)
  local parts, at, count = {}, 1, #bytes
  while at < count do
    local low, high = bytes:byte(at, at + 1)
    local code = low + 256 * high
    at = at + 2
    if code >= 0xd800 and code < 0xdc00 and at < count then
      local low2, high2 = bytes:byte(at, at + 1)
      local second = low2 + 256 * high2
      if second >= 0xdc00 and second < 0xe000 then
        code = 0x10000 + (code - 0xd800) * 0x400 + second - 0xdc00
        at = at + 2
      end
    end
    if code >= 0xd800 and code < 0xe000 then code = 0xfffd end
    parts[#parts + 1] = to_utf8(code)
  end
  return table.concat(parts)
end

local function unit(code) return string.char(code % 256, math.floor(code / 256)) end

-- The character at `at` and the position behind it; what is no UTF-8 is one U+FFFD a byte.
local function next_char(text, at)
  local first = text:byte(at)
  if first < 0x80 then return first, at + 1 end
  local n = first >= 0xf0 and first < 0xf5 and 3 or first >= 0xe0 and first < 0xf0 and 2 or
    first >= 0xc2 and first < 0xe0 and 1
  local tail = n and text:match("^[\128-\191]+", at + 1)
  if not tail or #tail < n then return 0xfffd, at + 1 end
  local code = first % (n == 3 and 8 or n == 2 and 16 or 32)
  for i = 1, n do code = code * 64 + tail:byte(i) - 128 end
  local smallest = n == 3 and 0x10000 or n == 2 and 0x800 or 0x80
  if code < smallest or code > 0x10ffff or code >= 0xd800 and code < 0xe000 then
    return 0xfffd, at + 1
  end
  return code, at + n + 1
end

local function encode_utf16(text)
  local parts, at = {}, 1
  while at <= #text do
    local code
    code, at = next_char(text, at)
    if code >= 0x10000 then
      code = code - 0x10000
      parts[#parts + 1] = unit(0xd800 + math.floor(code / 0x400))
      code = 0xdc00 + code % 0x400
    end
    parts[#parts + 1] = unit(code)
  end
  return table.concat(parts)
end

-- ---- Objects ------------------------------------------------------------------------------------

local Program = {}
Program.__index = Program
Program.__name = "wasm.assemblyscript.program"

local function runtime(program, name, level)
  local f = program.exports[name]
  if wasm.type(f) ~= "func" then
    error(("the module exports no '%s': compile it with --exportRuntime"):format(name), level or 3)
  end
  return f
end

-- The bytes of an object of a class; nil for the null address.
local function object_bytes(program, at, class, what)
  if at == nil or at == 0 then return nil end
  local memory = program.memory
  at = at % 4294967296
  if at < 20 or memory:load("u32", at - 8) ~= class then
    error(("no %s at address %d of the guest"):format(what, at), 3)
  end
  return memory:read(at, memory:load("u32", at - 4))
end

--- The string at an address, in UTF-8; nil for null.
function Program:string(at)
  local bytes = object_bytes(self, at, STRING, "string")
  return bytes and decode_utf16(bytes)
end

--- A new string of the guest: its address. It lives until the guest's collector runs, so pass it
-- on at once or `pin` it.
function Program:new_string(text)
  local bytes = encode_utf16(text)
  local at = runtime(self, "__new")(#bytes, STRING)
  self.memory:write(at, bytes)
  return at
end

--- The bytes of an ArrayBuffer; nil for null.
function Program:buffer(at)
  return object_bytes(self, at, ARRAY_BUFFER, "ArrayBuffer")
end

--- A new ArrayBuffer with these bytes: its address.
function Program:new_buffer(bytes)
  local at = runtime(self, "__new")(#bytes, ARRAY_BUFFER)
  self.memory:write(at, bytes)
  return at
end

--- The bytes that a typed array (Uint8Array and its like) is a view of; nil for null.
function Program:view(at)
  if at == nil or at == 0 then return nil end
  local _, start, size = self.memory:unpack("III", at)
  return self.memory:read(start, size)
end

--- Keeps an object, until `unpin`; gives it back.
function Program:pin(at)
  return runtime(self, "__pin")(at)
end

function Program:unpin(at)
  runtime(self, "__unpin")(at)
end

--- Runs the guest's collector.
function Program:collect()
  runtime(self, "__collect")()
end

-- ---- Imports ------------------------------------------------------------------------------------

local function text_at(program, at)
  if not program.memory then return "?" end -- the module exports none
  return program:string(at) or ""
end

local function aborts(program)
  return function(message, file, line, column)
    local text = text_at(program, message)
    wasm.trap(("abort%s, at %s:%d:%d"):format(text ~= "" and ": " .. text or "",
      text_at(program, file), line % 4294967296, column % 4294967296))
  end
end

local function traces(program)
  return function(message, n, ...)
    local sink = program.options.trace
    if not sink then return end
    local values = { ... }
    for i = n + 1, #values do values[i] = nil end
    sink(text_at(program, message), (table.unpack or unpack)(values, 1, n))
  end
end

local function seeds(program)
  return function()
    return program.options.seed or (os.time() + os.clock()) * 1000
  end
end

local function logs(level)
  return function(program)
    return function(at)
      if program.options.log then program.options.log(level, text_at(program, at)) end
    end
  end
end

-- Milliseconds, of a clock that gives nanoseconds.
local function time_of(name, fallback)
  return function(program)
    return function()
      local clock = program.options.clock
      return clock and clock[name] and tonumber(clock[name]()) / 1e6 or fallback() * 1000
    end
  end
end

-- name -> function(program) that makes the function
local env = {
  abort = aborts, trace = traces, seed = seeds,
  ["console.log"] = logs "log", ["console.debug"] = logs "debug", ["console.info"] = logs "info",
  ["console.warn"] = logs "warn", ["console.error"] = logs "error",
  ["Date.now"] = time_of("realtime", os.time),
  ["performance.now"] = time_of("monotonic", os.clock),
}

-- Imports are the host's own first, then those above.
local function collect_imports(program)
  local given = program.options.imports or {}
  local own = setmetatable({}, { __index = function(_, name)
    local value = given.env and given.env[name]
    if value ~= nil then return value end
    return env[name] and env[name](program)
  end })
  local imports = { env = own }
  if program.context then
    imports.wasi_snapshot_preview1, imports.wasi_unstable = program.context, program.context
  end
  return setmetatable(imports, { __index = given })
end

local function start(program)
  local options = program.options
  local err
  if options.wasi then
    program.context = options.wasi
    if type(options.wasi) ~= "userdata" then
      program.context, err = require("wasm.wasi").new(options.wasi ~= true and options.wasi or {})
      if err then return nil, err end
    end
  end
  program.instance, err = program.module:instantiate(collect_imports(program), options.limits)
  if not program.instance then return nil, err end
  program.exports = program.instance.exports
  program.memory = program.exports.memory
  local initialize = program.exports._initialize or program.exports._start
  if wasm.type(initialize) == "func" then initialize() end
  return true
end

--- Instantiates a module (or the source of one): a program with `instance`, `exports` and `memory`;
-- nil and an error.
function assemblyscript.instantiate(source, options)
  if options ~= nil and type(options) ~= "table" then
    error(("bad argument #2 to 'instantiate' (table expected, got %s)"):format(type(options)), 2)
  end
  options = options or {}
  tools.check("assemblyscript.instantiate", options, option_names)
  local module, err = source
  if wasm.type(source) ~= "module" then
    module, err = wasm.load(source, { name = options.name, engine = options.engine,
      features = options.features })
    if not module then return nil, err end
  end
  local program = setmetatable({ module = module, options = options }, Program)
  local ok, result
  ok, result, err = protected(start, program)
  if ok and result then return program end
  if ok then return nil, err end
  if wasm.type(result) == "error" then return nil, result end
  error(result, 0)
end

return assemblyscript
