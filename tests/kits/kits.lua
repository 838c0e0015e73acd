-- Modules built by compilers from npm: lua tests/lua/run.lua tests/kits/kits.lua after
-- tests/kits/build.sh, whose folder $RILLE_KITS names.
local t = ...
local extism = require "wasm.extism"
local assemblyscript = require "wasm.assemblyscript"
local folder = os.getenv "RILLE_KITS" or "build/kits"

local function read_file(name)
  local file = assert(io.open(folder .. "/" .. name, "rb"))
  local bytes = file:read "*a"
  file:close()
  return bytes
end

-- ---- Extism plugins -----------------------------------------------------------------------------

local function new(fields, options)
  local manifest = { wasm = { { path = folder .. "/words.wasm" } } }
  for name, value in pairs(fields or {}) do manifest[name] = value end
  options = options or {}
  options.functions = { translate = function(current, word)
    return current:store((current:read(word):upper()))
  end }
  return assert(extism.new(manifest, options))
end

t.test("a plugin: input, output, config, log", function()
  local lines = {}
  local plugin = new({ config = { before = "> " } }, { log = function(level, text)
    lines[#lines + 1] = level .. ": " .. text
  end })
  t.eq(plugin:call("words", "pear apple fig"), "> apple\n> fig\n> pear\n")
  t.eq(table.concat(lines), "info: 3 words")
  t.eq(new():call("words", "ü ö"), "ö\nü\n")
end)

t.test("a plugin: variables", function()
  local plugin = new()
  for i = 1, 3 do t.eq(plugin:call "calls", tostring(i)) end
  t.eq(plugin.vars.calls, "3")
  t.eq(plugin:call "forget", "")
  t.eq(plugin:call "calls", "1")
end)

t.test("a plugin: a function of the host", function()
  t.eq(new():call("translated", "word"), "WORD")
end)

t.test("a plugin: bytes", function()
  local plugin = new()
  for n = 1, 40 do
    local text = ("0123456789abcdefghijklmnopqrstuvwxyzABCD"):sub(1, n)
    t.eq(plugin:call("backwards", text), text:reverse())
  end
  local long = ("x"):rep(100000) .. "y"
  t.eq(plugin:call("backwards", long) == long:reverse(), true)
end)

t.test("a plugin: a failing assertion", function()
  local plugin = new()
  t.traps("trap", "unreachable", plugin.call, plugin, "fails")
  t.eq(plugin:call "calls", "1")
end)

-- ---- Objects ------------------------------------------------------------------------------------

local objects = read_file "objects.wasm"

local function load(options, name)
  return assert(assemblyscript.instantiate(name and read_file(name) or objects, options))
end

t.test("strings both ways", function()
  local p = load()
  for _, text in ipairs { "", "you", "\195\188\226\130\172", "\240\159\152\128 smile", "a\0b" } do
    t.eq(p:string(p.exports.greet(p:new_string(text))), "Hello, " .. text .. "!")
  end
  t.eq(p.exports.units(p:new_string "\240\159\152\128"), 2)
  t.eq(p:string(p.exports.nothing()), nil)
  local long = ("0123456789"):rep(20000)
  t.eq(p:string(p.exports.greet(p:new_string(long))) == "Hello, " .. long .. "!", true)
end)

t.test("strings that are no UTF-8 or UTF-16", function()
  local p = load()
  local bad = "\239\191\189"
  for text, wanted in pairs { ["\255"] = bad, ["a\195"] = "a" .. bad, ["\192\128"] = bad .. bad,
    ["\237\160\128"] = bad:rep(3), ["\244\144\128\128"] = bad:rep(4), ["\128x"] = bad .. "x",
    ["\224\128\128"] = bad:rep(3) } do
    t.eq(p:string(p:new_string(text)), wanted)
  end
  local at = p:new_string "\240\159\152\128"
  p.memory:store("u16", at, 0x41)
  t.eq(p:string(at), "A" .. bad)
  p.memory:store("u16", at, 0xd83d)
  p.memory:store("u16", at + 2, 0x41)
  t.eq(p:string(at), bad .. "A")
end)

t.test("what is no string", function()
  local p = load()
  t.misuse("no string at address 5 of the guest", p.string, p, 5)
  t.misuse("no string at address", p.string, p, p:new_buffer "x")
  t.misuse("no ArrayBuffer at address", p.buffer, p, p:new_string "x")
  t.traps("trap", "out of bounds memory access", p.string, p, -4)
end)

t.test("buffers and views", function()
  local p = load()
  t.eq(p:buffer(p.exports.reversed(p:new_buffer "abc\0d")), "d\0cba")
  t.eq(p:view(p.exports.squares(6)), "\1\4\9\16\25")
  t.eq(p:view(0), nil)
end)

t.test("what is pinned stays", function()
  local p = load()
  local at = p:pin(p:new_string "held by Lua")
  p.exports.keep(p:new_string "held by the guest")
  p:collect()
  p.exports.litter(30000)
  t.eq(p:string(at), "held by Lua")
  t.eq(p:string(p.exports.recall()), "held by the guest")
  t.eq(p:string(p.exports.joined(at, at)), "held by Luaheld by Lua")
  p:unpin(at)
  p:collect()
end)

t.test("abort says why and where", function()
  local p = load()
  local err = t.raises("abort: too hot, at objects.ts:%d+:%d+", p.exports.fail, p:new_string "too hot")
  t.eq(err.kind, "trap")
  t.eq(p.exports.units(p:new_string "on"), 2)
end)

t.test("trace, log, seed and clock", function()
  local seen = {}
  local function add(...)
    for i = 1, select("#", ...) do seen[#seen + 1] = tostring((select(i, ...))) end
  end
  local p = load { trace = add, log = add, seed = 42, clock = { realtime = function() return 5e15 end } }
  p.exports.note()
  t.eq(table.concat(seen, " "):gsub("%.0", ""), "numbers 1 2.5 -3 log logged error wrong")
  t.eq(p.exports.today() == 5e9, true)
  local first = p.exports.random()
  t.eq(load({ seed = 42 }).exports.random(), first)
  t.eq(load({ seed = 43 }).exports.random() ~= first, true)
  load().exports.note()
  t.eq(math.abs(load().exports.today() - os.time() * 1000) < 5000, true)
end)

t.test("a module without its runtime", function()
  local p = load(nil, "plain.wasm")
  t.misuse("the module exports no '__new': compile it with --exportRuntime", p.new_string, p, "x")
  t.eq(p:string(p.exports.recall()), "")
end)

t.test("what cannot be instantiated", function()
  local p, err = assemblyscript.instantiate [[(module (import "env" "other" (func)))]]
  t.eq(p, nil)
  t.eq(err.kind, "link")
  p, err = assemblyscript.instantiate "\0asm"
  t.eq(p, nil)
  t.eq(err.kind, "malformed")
  t.misuse("unknown option 'tracee'", assemblyscript.instantiate, objects, { tracee = print })
end)
