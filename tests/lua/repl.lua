-- wasm.repl without a terminal: what lines print, completion, and line editors that are played.
local t = ...
local wasm = t.wasm
local repl = require "wasm.repl"
local describe = require "wasm.describe"

local text = [[(module $demo (import "env" "log" (func $log (param i32) (result i32)))
  (import "env" "scale" (global $scale i32))
  (memory (export "memory") 1) (data (i32.const 0) "Hello, \01world")
  (global (export "count") (mut i32) (i32.const 0))
  (func $add (export "add") (param $a i32) (param $b i32) (result i32)
    (drop (call $log (local.get $a))) (i32.add (local.get $a) (local.get $b)))
  (func $hidden (result i32) (i32.const 3))
  (func (export "boom") unreachable))]]

-- A session and a function that gives what a line (and what it reads on) prints.
local function new_session(source, options)
  local out, more = {}, {}
  options = options or {}
  options.write = function(s) out[#out + 1] = s end
  options.read = function() return table.remove(more, 1) end
  local session = repl.new(source or text, options)
  return session, function(line, ...)
    more = { ... }
    session:eval(line)
    local printed = table.concat(out)
    for i = #out, 1, -1 do out[i] = nil end
    return (printed:gsub("\n$", ""))
  end
end

local function has(printed, wanted)
  if not printed:find(wanted, 1, true) then
    t.fail(("%q is not in %q"):format(wanted, printed), 2)
  end
end

t.test("lines are Lua with the exports as variables", function()
  local _, line = new_session()
  t.eq(line "add(40, 2)", "[env.log(40)]\n42")
  t.eq(line "x = 5", "")
  t.eq(line "x", "5")
  t.eq(line "count.value = 3; print(count.value, x)", "3\t5")
  t.eq(line("for i = 1, 2 do", "print(i)", "end"), "1\n2")
  t.eq(line "", "")
  has(line "add(", "error: ")
  has(line "x = = 1", "error: line:1:")
  has(line "boom()", "error: unreachable")
  has(line "boom()", "wasm backtrace")
  has(line "add('x', 1)", "bad argument #1 to 'add'")
  has(line "nothing()", "error: ")
end)

t.test("imports that nobody gives are stubs, and host functions are replaced live", function()
  local _, line = new_session()
  t.eq(line ":imports",
    "env.log\t(func (param i32) (result i32))\tstub\nenv.scale\t(global i32)\thost")
  line ":host env.log = function(x) print('LOG', x) return 0 end"
  t.eq(line "add(1, 2)", "LOG\t1\n3")
  line "host.env.log = function() return 5 end"
  t.eq(line "add(3, 4)", "7")
  line "host.env.log = function() error 'no logging' end"
  has(line "add(3, 4)", "no logging")
  has(line ":host", "host")
  has(line ":host nonsense", "wanted: :host")
  local given = 0
  _, line = new_session(text, { imports = { env = { log = function(x) given = x return 0 end } } })
  line "add(9, 0)"
  t.eq(given, 9)
end)

t.test("what commands and lines get is checked", function()
  local _, line = new_session()
  has(line ":host env.log = 5", "error: a function is wanted for env.log, not a number")
  t.eq(line "add(1, 2)", "[env.log(1)]\n3")
  has(line ":host env.scale = function() end", "")
  has(line ":mem foo", "error: a memory or an address is wanted, not 'foo'")
  has(line ":mem 0 x", "error: a number of bytes is wanted, not 'x'")
  has(line ":mem 70000", "70000 is beyond the end of the memory, which has 65536 bytes")
  has(line ":time", "error: wanted: :time [n] expression")
  t.eq(line "=40 + 2", "42")
  t.eq(line "= 1, 2", "1\t2")
  has(line "count.value = 3", "")
  has(line "count", " = 3")
end)

t.test("memory is shown in hexadecimal and ASCII", function()
  local _, line = new_session()
  t.eq(line ":mem 0 20",
    "00000000  48 65 6c 6c 6f 2c 20 01  77 6f 72 6c 64 00 00 00  |Hello, .world...|\n" ..
    "00000010  00 00 00 00                                       |....|")
  has(line ":mem memory 3 4", "00000003  6c 6f 2c 20")
  has(line ":mem", "00000007  01 77 6f")
  has(line "p = 1", "")
  has(line ":mem p*2 2", "00000002  6c 6c")
  has(line ":mem 65530 100", "out of bounds memory access")
  has(line ":mem 'x'", "an address")
  _, line = new_session "(module)"
  has(line ":mem", "exports no memory")
end)

t.test("functions are disassembled", function()
  local _, line = new_session()
  has(line ":disasm add", "i32.add")
  has(line ":disasm add", "(func $add")
  has(line ":disasm $hidden", "i32.const 3")
  has(line ":disasm 0", 'import "env" "log"')
  has(line ":disasm 99", "no function 99")
  has(line ":disasm nope", "no function 'nope'")
  has(line ":disasm", "wanted")
end)

t.test("text is instantiated in line", function()
  local _, line = new_session()
  has(line('(module (import "main" "add" (func $add (param i32 i32) (result i32)))',
    '(func (export "twice") (param i32) (result i32) (call $add (local.get 0) (local.get 0))))'),
    "twice (func (param i32) (result i32))")
  has(line "twice(21)", "42")
  has(line [[:wat (func (export "one") (result i32) (i32.const 1))]], "one")
  t.eq(line "one() + it.one()", "2")
  has(line "(module (func (result i32)))", "error: ")
  has(line "(module (nonsense))", "error: ")
end)

t.test("time, usage, trace, reset, help", function()
  local session, line = new_session()
  has(line ":time 1 + 1", "2\n0.")
  has(line ":time 1000 1 + 1", "ns each")
  has(line ":time (", "error: ")
  has(line ":usage", "memory\t65536")
  has(line ":trace on", "")
  has(line "add(1, 2)", "trace\tcall\tadd\t1\t2")
  t.eq(line ":trace off", "")
  has(line ":trace", "wanted")
  line "count.value = 7"
  line ":reset"
  t.eq(line "count.value", "0")
  has(line ":help", ":disasm")
  has(line ":inspect", "features beyond 1.0: ")
  has(line ":frob", "no command :frob (try :help)")
  has(line ":load /nowhere.wasm", "No such file")
  t.eq(line "add ~= nil", "true")
  line ":quit"
  t.eq(session.is_done, true)
end)

t.test("words are completed", function()
  local session = new_session()
  local function check(before, ...)
    local list = session:complete(before)
    t.eq(table.concat(list, " "), table.concat({ ... }, " "), before)
  end
  check(":di", ":disasm")
  check("x = ad", "add")
  check("exports.bo", "exports.boom")
  check("memory:cs", "memory:cstring")
  check("print(instance:us", "instance:usage")
  check("string.forma", "string.format")
  check("host.env.l", "host.env.log")
  check("nothing.x")
  check("a:b.c")
  check("print(cou", "count")
end)

t.test("line editors are used as they are documented", function()
  local real = os.execute
  os.execute = function() return 0 end -- luacheck: ignore
  local log = {}
  local lines = { "x = add(1, 1)", ":quit" }
  package.loaded.linenoise = { historyload = function() end, historysave = function() log.saved = true end,
    historyadd = function(line) log[#log + 1] = line end,
    setcompletion = function(fn) log.complete = fn end,
    addcompletion = function(c, line) c[#c + 1] = line end,
    linenoise = function() return table.remove(lines, 1) end }
  local kept = package.preload.readline
  package.loaded.readline, package.preload.readline = nil, function() error "not here" end
  local real_write = io.write
  io.write = function() end -- luacheck: ignore
  local ok, err = pcall(repl, text)
  io.write = real_write -- luacheck: ignore
  local matches = {}
  if ok then log.complete(matches, "y = mem") end
  lines = { ":quit" }
  package.preload.readline, package.loaded.readline = kept, { set_options = function() end,
    set_complete_function = function(fn) log.complete = fn end,
    readline = function() return table.remove(lines, 1) end, save_history = function() end }
  io.write = function() end -- luacheck: ignore
  local ok_too, err_too = pcall(repl, text)
  io.write = real_write -- luacheck: ignore
  package.loaded.linenoise, package.loaded.readline = nil, nil
  os.execute = real -- luacheck: ignore
  if not (ok and ok_too) then t.fail(tostring(err) .. tostring(err_too)) end
  t.eq(log[1], "x = add(1, 1)")
  t.eq(log.saved, true)
  t.eq(matches[1], "y = memory")
  t.eq(log.complete("f(mem", 1, 6)[1], "f(memory")
  t.eq(log.complete("f(mem", 3, 6)[1], "memory")
end)

t.test("what cannot be opened is raised", function()
  t.raises("No such file", repl.new, "/nowhere.wasm")
  t.misuse("unknown option 'import' to 'repl'", repl.new, text, { import = {} })
end)

t.test("descriptions are JSON, and survive broken custom sections", function()
  local module = assert(wasm.load(text))
  local d = describe.module(module, text, "demo.wat")
  local json = describe.json(d)
  has(json, '"name":"demo"')
  has(json, '"names":{')
  has(json, '"features":[')
  has(describe.json(describe.module(wasm.load "(module)", "(module)", "e")), '"names":{}')
  t.eq(d.sections[1].kind .. d.sections[1].offset, "type8")
  for _, junk in ipairs { "\\01", "\\01\\ff\\ff\\ff\\ff\\0f\\ff\\ff", "\\ff\\ff\\ff\\ff\\0f\\01", "" } do
    module = assert(wasm.load(('(module (@custom "producers" "%s"))'):format(junk)))
    describe.text(describe.module(module, "(module)", "junk"))
    module = assert(wasm.load(('(module (@custom "name" "%s"))'):format(junk)))
    describe.function_names(module)
  end
end)

-- A strict reader of JSON: the end of the value that begins at `at`, or an error.
local read_value
local function skip_space(json, at) return json:find("[^ \t\r\n]", at) or #json + 1 end

local function read_string(json, at)
  assert(json:sub(at, at) == '"', "a string is wanted")
  at = at + 1
  while true do
    local c = json:sub(at, at)
    assert(c ~= "" and c:byte() >= 32, "a control character or the end in a string")
    if c == '"' then return at + 1 end
    if c == "\\" then
      local escape = json:match('^["\\/bfnrt]', at + 1) or json:match("^u%x%x%x%x", at + 1)
      at = at + #assert(escape, "a wrong escape")
    end
    at = at + 1
  end
end

local function read_list(json, at, close, read_item)
  at = skip_space(json, at + 1)
  if json:sub(at, at) == close then return at + 1 end
  while true do
    at = skip_space(json, read_item(json, at))
    local c = json:sub(at, at)
    if c == close then return at + 1 end
    assert(c == ",", "a comma is wanted")
    at = skip_space(json, at + 1)
  end
end

local function read_member(json, at)
  at = skip_space(json, read_string(json, at))
  assert(json:sub(at, at) == ":", "a colon is wanted")
  return read_value(json, skip_space(json, at + 1))
end

function read_value(json, at)
  local c = json:sub(at, at)
  if c == '"' then return read_string(json, at) end
  if c == "[" then return read_list(json, at, "]", read_value) end
  if c == "{" then return read_list(json, at, "}", read_member) end
  local word = json:match("^%-?%d+%.?%d*[eE]?[+-]?%d*", at) or json:match("^%l+", at)
  assert(word and (tonumber(word) or word == "true" or word == "false" or word == "null"), "no value")
  return at + #word
end

local function check_json(json)
  local ends = skip_space(json, read_value(json, skip_space(json, 1)))
  t.eq(ends, #json + 1)
end

t.test("descriptions are JSON that a strict reader takes", function()
  t.eq(pcall(check_json, '{"a":01x}'), false)
  t.eq(pcall(check_json, '["a\n"]'), false)
  t.eq(pcall(check_json, '[1,]'), false)
  local here = arg[0]:match "^(.*)/[^/]*$" or "."
  for _, name in ipairs { "ledger", "image", "markdown" } do
    local path = here .. "/../../scripts/plugins/" .. name .. ".wasm"
    local file = assert(io.open(path, "rb"))
    local bytes = file:read "*a"
    file:close()
    check_json(describe.json(describe.module(assert(wasm.load(bytes)), bytes, path)))
  end
  local strange = [[(module (import "a\22\5c" "\00\01\7f\n" (func)) (func (export "\u{1F600}"))
    (@custom "\t" "x") (memory (export "") 1) (tag (export "t") (param i32)))]]
  local d = describe.module(assert(wasm.load(strange)), strange, 'a "file"\n\\')
  check_json(describe.json(d))
  check_json(describe.json(describe.module(wasm.load "(module)", "(module)", "e")))
end)
