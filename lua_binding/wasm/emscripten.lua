--- What modules that Emscripten built import besides WASI: their memory's growth, setjmp and
-- longjmp, clocks and dates, abort and exit.
--
-- Such a module calls a function that may longjmp through an import `invoke_<types>`; longjmp is an
-- import that raises. Here it raises a value of our own, which passes the frames between as every
-- Lua error does, and which only `invoke_` catches. Modules whose imports were renamed to single
-- letters (as -O3 does) belong to the JavaScript that was built with them.

local wasm = require "wasm"
local tools = require "wasm.tools"
local protected = require "wasm.protect"

local emscripten = {}

local option_names = { "imports", "wasi", "clock", "on_grow", "missing", "limits", "name", "engine",
  "features" }
local WASI = { wasi_snapshot_preview1 = true, wasi_unstable = true }
local ENOSYS, ESPIPE = 52, 70
local TWO32 = 4294967296

local longjmp = setmetatable({}, { __tostring = function()
  return "longjmp to where no setjmp is active"
end })

local function unsigned(n) return n % TWO32 end

-- ---- Clocks -------------------------------------------------------------------------------------

local system_clock -- function(0 real or 1 monotonic) -> nanoseconds, of this Lua state

local function open_system_clock()
  local instance = assert(wasm.instantiate([[(module
    (import "wasi_snapshot_preview1" "clock_time_get"
      (func $get (param i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "now") (param i32) (result f64)
      (drop (call $get (local.get 0) (i64.const 1) (i32.const 0)))
      (f64.convert_i64_u (i64.load (i32.const 0)))))]],
    { wasi_snapshot_preview1 = assert(require("wasm.wasi").new()) }))
  return instance.exports.now
end

-- Nanoseconds since 1970, or since some moment.
local function now(program, name)
  local clock = program.options.clock
  if clock and clock[name] then return tonumber(clock[name]()) end
  system_clock = system_clock or open_system_clock()
  return system_clock(name == "realtime" and 0 or 1)
end

-- ---- Dates --------------------------------------------------------------------------------------

-- Days since 1970 of a date of the Gregorian calendar; months count from 1, and may be any.
local function days_of(year, month, day)
  year, month = year + math.floor((month - 1) / 12), (month - 1) % 12 + 1
  if month <= 2 then year = year - 1 end
  local era = math.floor(year / 400)
  local year_of_era = year - era * 400
  local day_of_year = math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1
  return era * 146097 + year_of_era * 365 + math.floor(year_of_era / 4) -
    math.floor(year_of_era / 100) + day_of_year - 719468
end

-- struct tm: nine int from the second to the flag of summer time, then offset and name of the zone.
local function read_tm(memory, at)
  local sec, min, hour, day, month, year, wday, yday, isdst = memory:unpack("iiiiiiiii", at)
  return { sec = sec, min = min, hour = hour, day = day, month = month + 1, year = year + 1900,
    wday = wday + 1, yday = yday + 1, isdst = isdst }
end

local function seconds_of(t)
  return days_of(t.year, t.month, t.day) * 86400 + t.hour * 3600 + t.min * 60 + t.sec
end

local function write_tm(memory, at, date, offset)
  memory:pack("iiiiiiiiii", at, date.sec, date.min, date.hour, date.day, date.month - 1,
    date.year - 1900, date.wday - 1, date.yday - 1, date.isdst and 1 or 0, offset)
end

-- A time that is passed as i64, as two halves, or by its address.
local function time_argument(program, import, ...)
  if import.type:find("(param i64", 1, true) then
    return tonumber((...)), (select(2, ...))
  elseif import.type:find("(param i32 i32 i32)", 1, true) then
    local low, high, at = ...
    return unsigned(low) + high * TWO32, at
  end
  local from, at = ...
  return tonumber((program.memory:load("i64", from))), at
end

local function breaks_down(format)
  return function(program, import)
    return function(...)
      local time, at = time_argument(program, import, ...)
      local date = os.date(format, time)
      write_tm(program.memory, at, date, seconds_of(date) - time)
    end
  end
end

-- i64 where the import has one, else the low half, the high one being asked for by getTempRet0.
local function return_time(program, import, time)
  if not import.type:find("(result i64)", 1, true) then
    program.high = math.floor(time / TWO32)
    time = unsigned(time)
  end
  return time
end

local function strftime(program)
  return function(to, max, format, tm)
    local memory = program.memory
    -- As if it were universal time, so that what is printed is what the fields say.
    local ok, text = pcall(os.date, "!" .. memory:cstring(format), seconds_of(read_tm(memory, tm)))
    if not ok or #text + 1 > unsigned(max) then return 0 end
    memory:write(to, text .. "\0")
    return #text
  end
end

-- ---- Memory and ends ----------------------------------------------------------------------------

local function resize(program, wanted)
  local memory = program.memory
  wanted = unsigned(wanted)
  local function grow(bytes)
    local pages = math.ceil(bytes / 65536) - memory:pages()
    return pages <= 0 or memory:grow(pages) ~= nil
  end
  if wanted <= #memory then return 1 end
  -- Some more than asked for, so that many small requests are few growths.
  if not (grow(wanted + math.min(wanted / 5, 100663296)) or grow(wanted)) then return 0 end
  if program.options.on_grow then program.options.on_grow(memory) end
  return 1
end

local function copies(program, import)
  local has_result = import.type:find("result", 1, true)
  return function(to, from, n)
    program.memory:copy(to, from, unsigned(n))
    if has_result then return to end
  end
end

local function exits()
  return function(code)
    error(tools.error("exit", ("exit with status %d"):format(code), { code = code }), 0)
  end
end

local function aborts(program)
  return function(what)
    local text = what and what ~= 0 and program.memory and program.memory:cstring(what, 200)
    wasm.trap(text and "abort: " .. text or "abort")
  end
end

local function assert_fails(program)
  return function(condition, file, line, f)
    local function text(at) return at ~= 0 and program.memory:cstring(at, 200) or "?" end
    wasm.trap(("assertion failed: %s, at %s:%d, %s"):format(text(condition), text(file), line,
      text(f)))
  end
end

-- ---- setjmp and longjmp -------------------------------------------------------------------------

local function call_indirect(program, index, ...)
  local f = program.table:get(unsigned(index))
  if not f then wasm.trap "uninitialized element" end
  return f(...)
end

-- Older modules have no table of functions that can be called, but `dynCall_<types>`.
local function dynamic_call(program, types, index, ...)
  if program.table then return call_indirect(program, index, ...) end
  local call = program.exports["dynCall_" .. types]
  if not call then wasm.trap("neither a table nor dynCall_" .. types .. " is exported") end
  return call(index, ...)
end

local function invokes(program, import)
  local types = import.name:match "^invoke_(.*)$"
  local has_result = import.type:find("result", 1, true)
  return function(...)
    local exports = program.exports
    local save = exports.emscripten_stack_get_current or exports.stackSave
    local restore = exports._emscripten_stack_restore or exports.stackRestore
    local top = save()
    local ok, result = protected(dynamic_call, program, types, ...)
    if ok then return result end
    restore(top)
    if result ~= longjmp then error(result, 0) end
    exports.setThrew(1, 0)
    if has_result then return 0 end
  end
end

local function jumps()
  return function() error(longjmp, 0) end
end

-- ---- The imports --------------------------------------------------------------------------------

local function gives(value)
  return function() return function() return value end end
end

local function no_zone(program)
  return function(...)
    local memory = program.memory
    for i = 1, select("#", ...) do -- seconds west and summer time; then the names
      local at = select(i, ...)
      if i <= 2 then memory:store("i32", at, 0) end
      if i > 2 and select("#", ...) == 4 then memory:write(at, "UTC\0") end
    end
  end
end

-- name -> function(program, import) that makes the function
local env = {
  abort = aborts, _abort_js = aborts, emscripten_abort = aborts,
  __assert_fail = assert_fails,
  exit = exits, _exit = exits, emscripten_force_exit = exits, __call_sighandler = gives(0),
  emscripten_notify_memory_growth = function(program)
    return function()
      if program.options.on_grow then program.options.on_grow(program.memory) end
    end
  end,
  emscripten_resize_heap = function(program)
    return function(wanted) return resize(program, wanted) end
  end,
  emscripten_get_heap_max = function(program)
    return function() return program.heap_max end
  end,
  emscripten_memcpy_big = copies, _emscripten_memcpy_js = copies, emscripten_memcpy_js = copies,
  emscripten_date_now = function(program)
    return function() return now(program, "realtime") / 1e6 end
  end,
  emscripten_get_now = function(program)
    return function() return now(program, "monotonic") / 1e6 end
  end,
  _emscripten_get_now_is_monotonic = gives(1), emscripten_get_now_res = gives(1000),
  clock_gettime = function(program)
    return function(clock, at)
      local ns = now(program, clock == 0 and "realtime" or "monotonic")
      program.memory:pack("ii", at, math.floor(ns / 1e9), math.floor(ns % 1e9))
      return 0
    end
  end,
  gettimeofday = function(program)
    return function(at)
      local ns = now(program, "realtime")
      program.memory:pack("ii", at, math.floor(ns / 1e9), math.floor(ns % 1e9 / 1e3))
      return 0
    end
  end,
  _tzset_js = no_zone,
  _localtime_js = breaks_down "*t", _gmtime_js = breaks_down "!*t",
  _mktime_js = function(program, import)
    return function(at)
      local t = read_tm(program.memory, at)
      t.isdst = t.isdst > 0 or t.isdst == 0 and false or nil
      local time = os.time(t)
      if not time then return return_time(program, import, -1) end
      write_tm(program.memory, at, os.date("*t", time), 0)
      return return_time(program, import, time)
    end
  end,
  _timegm_js = function(program, import)
    return function(at)
      local time = seconds_of(read_tm(program.memory, at))
      write_tm(program.memory, at, os.date("!*t", time), 0)
      return return_time(program, import, time)
    end
  end,
  strftime = strftime, strftime_l = strftime,
  _emscripten_throw_longjmp = jumps, emscripten_throw_longjmp = jumps, __throw_longjmp = jumps,
  emscripten_longjmp = function(program)
    return function(buffer, value)
      program.exports.setThrew(buffer, value ~= 0 and value or 1)
      error(longjmp, 0)
    end
  end,
  getTempRet0 = function(program) return function() return program.high end end,
  setTempRet0 = function(program) return function(value) program.high = value end end,
  __cxa_throw = function() return function() wasm.trap "uncaught C++ exception" end end,
  system = gives(0),
}

-- A function for an import from `env`; nil when there is none.
local function env_function(program, import)
  local name = import.name
  if env[name] then return env[name](program, import) end
  if name:find "^invoke_" then return invokes(program, import) end
  -- What the file system of the JavaScript would do: there is none.
  if name:find "^__syscall_" then return function() return -ENOSYS end end
  return nil
end

local function new_memory(program, import)
  local min, max = import.type:match "(%d+) (%d+)"
  min = min or import.type:match "%d+"
  local memory, err = wasm.memory { min = tonumber(min), max = tonumber(max),
    shared = import.type:find("shared", 1, true) ~= nil }
  program.memory = memory
  return memory, err
end

local function new_table(program, import)
  local min, max = import.type:match "(%d+) (%d+)"
  min = min or import.type:match "%d+"
  local table, err = wasm.table { min = tonumber(min), max = tonumber(max) }
  program.table = table
  return table, err
end

-- fd_seek with its offset in two halves: a module that was built without 64-bit integers in its
-- imports. WASI has no such function; files cannot be had by such a module anyway, only streams.
local function wasi_function(program, import)
  if import.name == "fd_seek" and import.type:find("i32 i32 i32 i32 i32", 1, true) then
    return function() return ESPIPE end
  end
  return require("wasm.wasi").func(program.context, import.module, import.name)
end

-- What one import is given: nil when nobody has it.
local function resolve(program, import)
  local options = program.options
  local space = options.imports and options.imports[import.module]
  if wasm.type(space) == "instance" then space = space.exports end
  local value = space and space[import.name]
  if value ~= nil then return value end
  if WASI[import.module] and program.context then return wasi_function(program, import) end
  if import.kind == "memory" then return new_memory(program, import) end
  if import.kind == "table" then return new_table(program, import) end
  if import.kind == "func" and import.module == "env" then value = env_function(program, import) end
  if value == nil and options.missing then value = options.missing(import) end
  return value
end

local function resolve_all(program)
  local imports = {}
  for _, import in ipairs(program.module.imports) do
    local value, err = resolve(program, import)
    if err then return nil, err end
    imports[import.module] = imports[import.module] or {}
    imports[import.module][import.name] = value
  end
  return imports
end

-- ---- Programs -----------------------------------------------------------------------------------

local Program = {}
Program.__index = Program
Program.__name = "wasm.emscripten.program"

local function find(exports, kind, ...)
  for _, name in ipairs { ... } do
    if wasm.type(exports[name]) == kind then return exports[name] end
  end
  return nil
end

local function heap_max(module)
  for _, list in ipairs { module.exports, module.imports } do
    for _, item in ipairs(list) do
      if item.kind == "memory" then
        return tonumber(item.type:match "%d+ (%d+)" or 65536) * 65536
      end
    end
  end
  return 0
end

local function open_wasi(options)
  local wasi = options.wasi
  if not wasi or type(wasi) == "userdata" then return wasi end
  local given = { clock = options.clock }
  if type(wasi) == "table" then
    for key, value in pairs(wasi) do given[key] = value end
  end
  return require("wasm.wasi").new(given)
end

local function start(program)
  local err
  program.context, err = open_wasi(program.options)
  if err then return nil, err end
  local imports
  imports, err = resolve_all(program)
  if not imports then return nil, err end
  program.instance, err = program.module:instantiate(imports, program.options.limits)
  if not program.instance then return nil, err end
  local exports = program.instance.exports
  program.exports = exports
  program.memory = find(exports, "memory", "memory") or program.memory
  program.table = find(exports, "table", "__indirect_function_table", "table") or program.table
  local init = find(exports, "func", "emscripten_stack_init")
  if init then init() end
  local ctors = find(exports, "func", "__wasm_call_ctors", "_initialize")
  if ctors then ctors() end
  return true
end

--- Instantiates a module (or the source of one) and runs its constructors: a program with
-- `instance`, `exports`, `memory` and `table`; nil and an error.
function emscripten.instantiate(source, options)
  if options ~= nil and type(options) ~= "table" then
    error(("bad argument #2 to 'instantiate' (table expected, got %s)"):format(type(options)), 2)
  end
  options = options or {}
  tools.check("emscripten.instantiate", options, option_names)
  local module, err = source
  if wasm.type(source) ~= "module" then
    module, err = wasm.load(source, { name = options.name, engine = options.engine,
      features = options.features })
    if not module then return nil, err end
  end
  local program = setmetatable({ module = module, options = options, high = 0 }, Program)
  program.heap_max = math.min(heap_max(module), TWO32 - 65536)
  local ok, result
  ok, result, err = protected(start, program)
  if ok and result then return program end
  if ok then return nil, err end
  if wasm.type(result) == "error" then return nil, result end
  error(result, 0)
end

-- Strings on the guest's stack, and the array of their addresses: argc and argv.
local function push_arguments(program, args)
  local alloc = find(program.exports, "func", "_emscripten_stack_alloc", "stackAlloc", "malloc")
  if not alloc then return 0, 0 end
  local at = alloc(4 * (#args + 1))
  for i, arg in ipairs(args) do
    local text = alloc(#arg + 1)
    program.memory:write(text, arg .. "\0")
    program.memory:store("i32", unsigned(at) + 4 * (i - 1), text)
  end
  program.memory:store("i32", unsigned(at) + 4 * #args, 0)
  return #args, at
end

--- Runs `main` with these arguments (the first is the program's name): its status, also when it
-- ends by `exit`. What else ends it is raised.
function Program:main(args)
  local main = find(self.exports, "func", "_start", "__main_argc_argv", "main", "__main_void")
  if not main then
    return nil, tools.error("link", "the module exports no main function")
  end
  local ok, result = protected(main, push_arguments(self, args or { "main" }))
  if ok then return result or 0 end
  if wasm.type(result) == "error" and result.kind == "exit" then return result.code end
  error(result, 0)
end

--- The function with an index of the guest's table, as function pointers are.
function Program:func(index)
  return self.table and self.table:get(unsigned(index))
end

return emscripten
