-- wasm.emscripten on modules of tests/emscripten and of ../shared/real, if that is there; and
-- wasm.assemblyscript on one of the latter (the others need npm: tests/kits).
local t = ...
local wasm = t.wasm
local emscripten = require "wasm.emscripten"

local here = arg[0]:match("^(.*)/[^/]*$") or "."

local function read_file(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local bytes = file:read "*a"
  file:close()
  return bytes
end

-- ---- setjmp and longjmp -------------------------------------------------------------------------

local jumps = assert(wasm.load(assert(read_file(here .. "/../emscripten/jumps.wasm"))))

local function load_jumps(host)
  return assert(emscripten.instantiate(jumps, { imports = { env = { host = host or function(what)
    return what * 2
  end } } }))
end

t.test("longjmp ends where setjmp was", function()
  local e = load_jumps().exports
  local top = e.emscripten_stack_get_current()
  t.eq(e.jump(0, 42), 42)
  t.eq(e.jump(50, -7), -7)
  t.eq(e.jump(3, 0), 1)
  t.eq(e.nest(), 307)
  t.eq(e["repeat"](100), 200)
  t.eq(e.emscripten_stack_get_current(), top)
end)

t.test("longjmp across the host", function()
  local program
  program = load_jumps(function(what)
    if what < 0 then program.exports.leap(-what) end
    return what * 2
  end)
  t.eq(program.exports.ask_host(21), 42)
  t.eq(program.exports.ask_host(-9), -9)
  t.raises("longjmp to where no setjmp is active", program.exports.leap, 3)
end)

t.test("traps and errors of the host pass setjmp", function()
  local key = {}
  local e = load_jumps().exports
  t.traps("trap", "unreachable", e.crash)
  t.eq(e.jump(1, 5), 5)
  e = load_jumps(function() error(key) end).exports
  local ok, err = pcall(e.ask_host, 1)
  t.eq(ok, false)
  t.eq(err, key)
end)

t.test("a host yields between setjmp and longjmp", function()
  local program
  program = load_jumps(function(what)
    local value = coroutine.yield(what)
    if value < 0 then program.exports.leap(-value) end
    return value
  end)
  local co = coroutine.create(program.exports.ask_host)
  t.eqs(t.pack(coroutine.resume(co, 1)), { true, 1 })
  t.eqs(t.pack(coroutine.resume(co, 5)), { true, 5 })
  co = coroutine.create(program.exports.ask_host)
  coroutine.resume(co, 1)
  t.eqs(t.pack(coroutine.resume(co, -8)), { true, -8 })
end)

-- ---- Memory, ends, time -------------------------------------------------------------------------

-- A module that exports its imports from env, as f1, f2, ...
local function exporting(imports, more)
  local lines, exports = {}, {}
  for i, import in ipairs(imports) do
    local name, kind = import:match "^(%S+) ?(.*)$"
    lines[i] = ('(import "env" "%s" (func $f%d %s))'):format(name, i, kind)
    exports[i] = ('(export "%s" (func $f%d))'):format(name, i)
  end
  return ("(module %s (memory (export \"memory\") 1 10) %s %s)"):format(table.concat(lines),
    table.concat(exports), more or "")
end

t.test("memory grows", function()
  local grown = 0
  local p = assert(emscripten.instantiate(exporting { "emscripten_resize_heap (param i32) (result i32)",
    "emscripten_get_heap_max (result i32)", "emscripten_notify_memory_growth (param i32)" },
    { on_grow = function(memory)
      grown = grown + 1
      t.eq(wasm.type(memory), "memory")
    end }))
  t.eq(p.exports.emscripten_get_heap_max(), 655360)
  t.eq(p.exports.emscripten_resize_heap(100), 1)
  t.eq(#p.memory, 65536)
  t.eq(p.exports.emscripten_resize_heap(200000), 1)
  t.eq(#p.memory, 262144)
  t.eq(p.exports.emscripten_resize_heap(655360), 1)
  t.eq(#p.memory, 655360)
  t.eq(p.exports.emscripten_resize_heap(655361), 0)
  t.eq(p.exports.emscripten_resize_heap(-1), 0)
  p.exports.emscripten_notify_memory_growth(0)
  t.eq(grown, 3)
end)

t.test("memory is copied", function()
  local p = assert(emscripten.instantiate(exporting { "emscripten_memcpy_big (param i32 i32 i32) (result i32)",
    "_emscripten_memcpy_js (param i32 i32 i32)" }))
  p.memory:write(10, "hello")
  t.eq(p.exports.emscripten_memcpy_big(100, 10, 5), 100)
  p.exports._emscripten_memcpy_js(103, 10, 2)
  t.eq(p.memory:read(100, 5), "helhe")
  t.traps("trap", "out of bounds memory access", p.exports._emscripten_memcpy_js, 0, 65530, 10)
end)

t.test("abort, assertions and exit", function()
  local p = assert(emscripten.instantiate(exporting({ "abort", "_abort_js",
    "__assert_fail (param i32 i32 i32 i32)", "exit (param i32)", "__cxa_throw (param i32 i32 i32)" },
    [[(func (export "main") (param i32 i32) (result i32) (call $f4 (i32.const 7)) (i32.const 0))
      (data (i32.const 16) "x > 0\00a.c\00f\00")]])))
  local e = p.exports
  t.traps("trap", "abort", e.abort)
  t.traps("trap", "abort", e._abort_js)
  t.traps("trap", "assertion failed: x > 0, at a.c:12, f", e.__assert_fail, 16, 22, 12, 26)
  t.traps("trap", "uncaught C++ exception", e.__cxa_throw, 0, 0, 0)
  t.traps("exit", 3, e.exit, 3)
  t.eq(p:main { "x" }, 7)
end)

t.test("clocks", function()
  local imports = { "emscripten_date_now (result f64)", "emscripten_get_now (result f64)",
    "_emscripten_get_now_is_monotonic (result i32)", "clock_gettime (param i32 i32) (result i32)",
    "gettimeofday (param i32 i32) (result i32)" }
  local p = assert(emscripten.instantiate(exporting(imports), { clock = {
    realtime = function() return 1500000000.5e9 end, monotonic = function() return 2.5e9 end } }))
  local e = p.exports
  t.eq(e.emscripten_date_now() == 1500000000500, true)
  t.eq(e.emscripten_get_now() == 2500, true)
  t.eq(e._emscripten_get_now_is_monotonic(), 1)
  t.eq(e.clock_gettime(0, 8), 0)
  t.eqs({ p.memory:unpack("ii", 8) }, { 1500000000, 500000000, 16 })
  t.eq(e.clock_gettime(1, 8), 0)
  t.eqs({ p.memory:unpack("ii", 8) }, { 2, 500000000, 16 })
  t.eq(e.gettimeofday(8, 0), 0)
  t.eqs({ p.memory:unpack("ii", 8) }, { 1500000000, 500000, 16 })
  e = assert(emscripten.instantiate(exporting(imports))).exports
  t.eq(math.abs(e.emscripten_date_now() / 1000 - os.time()) < 5, true)
  local before = e.emscripten_get_now()
  t.eq(e.emscripten_get_now() >= before, true)
end)

t.test("dates", function()
  local p = assert(emscripten.instantiate(exporting { "_gmtime_js (param i64 i32)",
    "_timegm_js (param i32) (result i64)", "_mktime_js (param i32) (result i64)",
    "_localtime_js (param i64 i32)", "strftime (param i32 i32 i32 i32) (result i32)",
    "_tzset_js (param i32 i32 i32 i32)" }))
  local e, m = p.exports, p.memory
  -- 29 February 2024, a Thursday, 12:34:56
  for _, case in ipairs { { 1709210096, 56, 34, 12, 29, 1, 124, 4, 59 },
    { 0, 0, 0, 0, 1, 0, 70, 4, 0 }, { -1, 59, 59, 23, 31, 11, 69, 3, 364 },
    { 4107542399, 59, 59, 23, 28, 1, 200, 0, 58 } } do
    e._gmtime_js(case[1], 64)
    t.eqs({ m:unpack("iiiiiiiii", 64) }, { case[2], case[3], case[4], case[5], case[6], case[7],
      case[8], case[9], 0, 100 })
    m:pack("iiiiiiiii", 128, case[2], case[3], case[4], case[5], case[6], case[7], 0, 0, 0)
    t.eq(e._timegm_js(128) == case[1], true)
    t.eq(m:read(64, 36), m:read(128, 36))
  end
  e._localtime_js(1709210096, 64)
  m:store("i32", 64 + 32, -1)
  t.eq(e._mktime_js(64) == 1709210096, true)
  -- The 13th month is the next year's first.
  m:pack("iiiiiiiii", 128, 0, 0, 0, 1, 12, 123, 0, 0, 0)
  t.eq(e._timegm_js(128) == 1704067200, true)
  e._gmtime_js(1709210096, 64)
  m:write(256, "%Y-%m-%d %H:%M:%S\0")
  t.eq(e.strftime(300, 100, 256, 64), 19)
  t.eq(m:cstring(300), "2024-02-29 12:34:56")
  t.eq(e.strftime(300, 19, 256, 64), 0)
  e._tzset_js(0, 4, 400, 410)
  t.eq(m:cstring(400), "UTC")
end)

t.test("memory and table that are imported", function()
  local p = assert(emscripten.instantiate [[(module (import "env" "memory" (memory 2 4))
    (import "env" "table" (table 3 3 funcref)) (import "env" "invoke_ii" (func $invoke
      (param i32 i32) (result i32)))
    (global $top (mut i32) (i32.const 1000))
    (func (export "stackSave") (result i32) (global.get $top))
    (func (export "stackRestore") (param i32) (global.set $top (local.get 0)))
    (func (export "setThrew") (param i32 i32))
    (func $double (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (elem (i32.const 1) $double)
    (func (export "run") (param i32 i32) (result i32) (call $invoke (local.get 0) (local.get 1))))]])
  t.eq(p.memory:pages(), 2)
  t.eq(p.exports.run(1, 21), 42)
  t.eq(p:func(1)(4), 8)
  t.traps("trap", "uninitialized element", p.exports.run, 0, 1)
  t.traps("trap", "out of bounds table access", p.exports.run, 3, 1)
end)

t.test("imports that are not there", function()
  local source = exporting { "some_function (param i32) (result i32)" }
  local p, err = emscripten.instantiate(source)
  t.eq(p, nil)
  t.eq(err.kind, "link")
  t.eq(err.message:find('import "env" "some_function"', 1, true) ~= nil, true)
  p = assert(emscripten.instantiate(source, { missing = function(import)
    return function(x) return x + #import.name end
  end }))
  t.eq(p.exports.some_function(1), 14)
  p = assert(emscripten.instantiate(exporting { "__syscall_openat (param i32 i32 i32 i32) (result i32)" }))
  t.eq(p.exports.__syscall_openat(0, 0, 0, 0), -52)
  p, err = emscripten.instantiate [[(module (func (export "__wasm_call_ctors") (unreachable)))]]
  t.eq(p, nil)
  t.eq(err.kind, "trap")
  t.misuse("unknown option 'import'", emscripten.instantiate, source, { import = {} })
end)

-- ---- Modules of others --------------------------------------------------------------------------

local shared = os.getenv "RILLE_SHARED"

-- A test that gets the program of a module of ../shared/real, if it is there.
local function test_real(name, path, options, f)
  local bytes = shared and read_file(("%s/real/%s.wasm"):format(shared, path))
  if bytes then
    t.test(name, function() f(assert(emscripten.instantiate(bytes, options)), bytes) end)
  end
end

local grown = 0
test_real("a module that is told of growth", "guests/imports/emscripten/grow",
  { wasi = true, on_grow = function() grown = grown + 1 end }, function(p)
    t.eq(p:main(), 0)
    t.eq(grown > 0, true)
  end)

test_real("invoke of every type", "guests/imports/emscripten/invoke", nil, function(_, bytes)
  -- Its table is no export, as it would be for JavaScript.
  local text = wasm.wasm2wat(bytes):gsub("%)%s*$", '(export "__indirect_function_table" (table 0)))')
  local p = assert(emscripten.instantiate(text))
  local e = p.exports
  t.eq(e.call_v_i32(0), 42)
  t.eq(e.call_i32_i32(2, 1), 1)
  t.eq(e.call_i32i32_i32(4, 1, 2), 3)
  t.eq(e.call_i32i32i32_i32(6, 1, 2, 4), 7)
  t.eq(e.calli32_i32i32i32i32_i32(8, 1, 2, 4, 8), 15)
  e.call_v_v(10)
  e.call_i32_v(12, 1)
  e.calli32_i32i32i32i32_v(18, 1, 2, 3, 4)
  t.traps("trap", "unreachable", e.call_v_i32, 1)
  t.traps("trap", "unreachable", e.calli32_i32i32i32i32_v, 19, 1, 2, 3, 4)
  e.call_invoke_v_with_longjmp_throw(20)
  t.traps("trap", "unreachable", e.call_invoke_v_with_longjmp_throw, 21)
end)

test_real("a program of the C++ library", "jetstream/gcc-loops", { wasi = { stdout = "capture" } },
  function(p)
    t.eq(p:main(), 0)
    t.eq(p.context:output():match "^Results: %((%x+)%)", "47f38110")
  end)

-- wasmoon is Lua 5.4, whose errors are longjmps.
test_real("Lua in a guest raises and catches errors", "npm/wasmoon", { wasi = { stdout = "capture" } },
  function(p)
    local e = p.exports
    local function text(s)
      local at = e.malloc(#s + 1)
      p.memory:write(at, s .. "\0")
      return at
    end
    local L = e.luaL_newstate()
    e.luaL_openlibs(L)
    local function run(source)
      if e.luaL_loadstring(L, text(source)) ~= 0 or e.lua_pcallk(L, 0, 1, 0, 0, 0) ~= 0 then
        local message = p.memory:cstring(e.lua_tolstring(L, -1, 0))
        e.lua_settop(L, 0)
        return nil, message
      end
      local result = p.memory:cstring(e.luaL_tolstring(L, -1, 0))
      e.lua_settop(L, 0)
      return result
    end
    t.eq(run "return 6 * 7", "42")
    t.eq(run [[local n = 0
      for i = 1, 500 do
        local ok, err = pcall(error, i)
        if not ok then n = n + err end
      end
      return n]], "125250")
    t.eq(run [[local co = coroutine.wrap(function(a)
        local ok, err = pcall(function() error("x" .. coroutine.yield(a + 1), 0) end)
        return err
      end)
      return co(1) .. co("y")]], "2xy")
    t.eq(select(2, run "error('outermost', 0)"), "outermost")
    t.eq(select(2, run "return +"):match "unexpected symbol", "unexpected symbol")
    t.eq(run "return os.date('!%Y', 0) .. os.time { year = 2000, month = 1, day = 1, hour = 12 }",
      "1970" .. os.time { year = 2000, month = 1, day = 1, hour = 12 })
    t.eq(run "return tostring(os.clock() >= 0)", "true")
    e.lua_close(L)
  end)

test_real("SQLite in memory", "npm/sqlite3", { wasi = true }, function(p)
  local e = p.exports
  local function text(s)
    local at = e.sqlite3_malloc(#s + 1)
    p.memory:write(at, s .. "\0")
    return at
  end
  local room = e.sqlite3_malloc(8)
  t.eq(e.sqlite3_open(text ":memory:", room), 0)
  local db = p.memory:load("i32", room)
  t.eq(e.sqlite3_exec(db, text [[create table t (a, b); insert into t values (1, 'one'), (2, 'two'),
    (3, 'three'); update t set b = upper(b) where a > 1]], 0, 0, 0), 0)
  t.eq(e.sqlite3_prepare_v2(db, text [[select sum(a), group_concat(b, ' '), date(86400, 'unixepoch')
    from t]], -1, room, 0), 0)
  local statement = p.memory:load("i32", room)
  t.eq(e.sqlite3_step(statement), 100)
  t.eq(e.sqlite3_column_int(statement, 0), 6)
  t.eq(p.memory:cstring(e.sqlite3_column_text(statement, 1)), "one TWO THREE")
  t.eq(p.memory:cstring(e.sqlite3_column_text(statement, 2)), "1970-01-02")
  t.eq(e.sqlite3_finalize(statement), 0)
  t.eq(e.sqlite3_close_v2(db), 0)
end)

local registered = {}
test_real("the constructors of OpenCV", "npm/opencv", { wasi = true, missing = function(import)
  local count = import.name:match "^_embind_register_"
  return function()
    if count then registered[import.name] = (registered[import.name] or 0) + 1 end
    if import.type:find("result", 1, true) then return 0 end
  end
end }, function()
  t.eq(registered._embind_register_class, 40)
  t.eq(registered._embind_register_function, 409)
end)

local example = shared and read_file(shared .. "/real/guests/imports/assemblyscript/example/index.wasm")
if example then
  t.test("a module of AssemblyScript traces and aborts", function()
    local lines = {}
    local p = assert(require("wasm.assemblyscript").instantiate(example, { trace = function(...)
      lines[#lines + 1] = table.concat({ ... }, " ")
    end }))
    local ok, err = pcall(p.exports.hello_world, 3, 4)
    t.eq(ok, true, tostring(err))
    t.eq(#lines, 1)
    err = t.raises("abort: ", p.exports.goodbye_world)
    t.eq(err.kind, "trap")
  end)
end
