-- Instance objects: exports, closing, tracing, snapshots, usage.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

local counter = [[(module (memory (export "m") 1) (global $g (export "g") (mut i32) (i32.const 0))
  (table (export "t") 2 funcref)
  (func $up (export "up") (result i32) (global.set $g (i32.add (global.get $g) (i32.const 1)))
    (i32.store (i32.const 0) (global.get $g)) (global.get $g)) (elem (i32.const 0) $up))]]

test("exports is a plain table", function()
  local i = assert(wasm.instantiate(counter))
  local names = {}
  for name in pairs(i.exports) do names[#names + 1] = name end
  table.sort(names)
  eq(table.concat(names, " "), "g m t up")
  eq(i.exports, i.exports)
  eq(wasm.type(i.module), "module")
  eq(i.nonsense, nil)
  eq(tostring(i.exports):find("up (func (result i32))", 1, true) ~= nil, true)
  eq(tostring(i):find("export m (memory 1)", 1, true) ~= nil, true)
end)

test("instances are separate", function()
  local m = assert(wasm.load(counter))
  local a, b = m:instantiate(), m:instantiate()
  eq(a.exports.up(), 1)
  eq(a.exports.up(), 2)
  eq(b.exports.up(), 1)
  eq(a.exports.g.value, 2)
  eq(a.module, m)
end)

test("close", function()
  local i = assert(wasm.instantiate(counter))
  local e, m, g, tab = i.exports, i.exports.m, i.exports.g, i.exports.t
  local view = m:view("i32", 0, 4)
  local up = e.up
  i:close()
  i:close()
  t.misuse("bad call to 'up' (instance is closed)", up)
  t.misuse("instance is closed", m.load, m, "i32", 0)
  t.misuse("instance is closed", function() return #m end)
  t.misuse("instance is closed", function() return g.value end)
  t.misuse("instance is closed", tab.get, tab, 0)
  t.misuse("closed", function() return view[1] end)
  t.misuse("instance is closed", function() return i.exports end)
  t.misuse("instance is closed", i.usage, i)
  t.misuse("instance is closed", wasm.signature, up)
  eq(tostring(i), "wasm instance (closed)")
  eq(tostring(m):find "closed" ~= nil, true)
  eq(wasm.type(up), "func")
end)

test("what another instance imports stays", function()
  local a = assert(wasm.instantiate(counter))
  local b = assert(wasm.instantiate([[(module (import "a" "m" (memory 1))
    (import "a" "g" (global $g (mut i32))) (import "a" "t" (table $t 2 funcref))
    (func (export "f") (result i32) (i32.add (i32.load (i32.const 0)) (global.get $g)))
    (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))]],
    {a = a}))
  a.exports.up()
  local m, g = a.exports.m, a.exports.g
  a:close()
  eq(b.exports.f(), 2)
  eq(m:load("i32", 0), 1)
  eq(g.value, 1)
  b:close()
  t.misuse("instance is closed", m.load, m, "i32", 0)
end)

test("what Lua made is never closed by an instance", function()
  local memory = wasm.memory {min = 1}
  local i = assert(wasm.instantiate([[(module (import "e" "m" (memory 1)))]], {e = {m = memory}}))
  i:close()
  eq(memory:load("i32", 0), 0)
end)

test("close while it runs", function()
  local i, message
  i = assert(wasm.instantiate([[(module (import "e" "f" (func $f)) (func (export "g") (call $f)))]],
    {e = {f = function()
      local _
      _, message = pcall(i.close, i)
    end}}))
  i.exports.g()
  eq(message, "bad call to 'close' (a call of the instance is running)")
  i:close()
end)

test("close after a call that failed", function()
  local i = assert(wasm.instantiate([[(module (import "e" "f" (func $f)) (func (export "g") (call $f))
    (func (export "h") (param i32)))]], {e = {f = function() error "x" end}}))
  pcall(i.exports.g)
  pcall(i.exports.h)
  i:close()
  local other = t.exports "(module (func (export \"f\") (result i32) (i32.const 1)))"
  eq(other.f(), 1)
end)

if t.version >= "5.4" then
  test("to-be-closed", function()
    local up = load([[local wasm, counter = ...
      local i <close> = wasm.instantiate(counter)
      return i.exports.up]])(wasm, counter)
    t.misuse("instance is closed", up)
  end)
end

test("a function keeps its instance", function()
  local up = assert(wasm.instantiate(counter)).exports.up
  t.collect()
  eq(up(), 1)
  t.collect()
  eq(up(), 2)
end)

test("trace", function()
  local i = assert(wasm.instantiate([[(module (import "env" "f" (func $f (param i32) (result i32)))
    (func (export "g") (param i32) (result i32) (call $f (i32.add (local.get 0) (i32.const 1)))))]],
    {env = {f = function(x) return x * 2 end}}))
  local log = {}
  i:trace(function(...)
    local line = {}
    for k = 1, select("#", ...) do line[k] = tostring((select(k, ...))) end
    log[#log + 1] = table.concat(line, " ")
  end)
  eq(i.exports.g(5), 12)
  eq(table.concat(log, "; "), "call g 5; call env.f 6; return env.f 12; return g 12")
  i:trace(nil)
  eq(i.exports.g(5), 12)
  eq(#log, 4)
  t.misuse("bad argument #1 to 'trace'", i.trace, i, 5)
end)

test("snapshot and reset", function()
  local i = assert(wasm.instantiate(counter))
  i.exports.up()
  local s = i:snapshot()
  for _ = 1, 5 do i.exports.up() end
  i.exports.m:grow(3)
  i.exports.t:grow(2)
  i.exports.m:store("i32", 70000, 5)
  eq(i.exports.up(), 7)
  i:reset(s)
  eq(i.exports.g.value, 1)
  eq(i.exports.m:load("i32", 0), 1)
  eq(i.exports.m:pages(), 1)
  eq(#i.exports.t, 2)
  eq(i.exports.t:get(0), i.exports.up)
  eq(i.exports.up(), 2)
  i.exports.m:grow(1)
  eq(i.exports.m:load("i32", 70000), 0)
  i:reset(s)
  eq(i.exports.up(), 2)
  local other = assert(wasm.instantiate(counter))
  t.misuse("snapshot of this instance expected", other.reset, other, s)
  t.misuse("snapshot expected, got nil", other.reset, other, nil)
end)

test("a large snapshot", function()
  local i = assert(wasm.instantiate [[(module (memory (export "m") 64) (data (i32.const 99) "abc"))]])
  local s = i:snapshot()
  for _ = 1, 3 do
    i.exports.m:fill(0, 7, 64 * 65536)
    i:reset(s)
    eq(i.exports.m:read(98, 5), "\0abc\0")
    eq(i.exports.m:load("u8", 64 * 65536 - 1), 0)
  end
  i:close()
end)

test("usage", function()
  local i = assert(wasm.instantiate(counter, nil, {fuel = 1000}))
  local u = i:usage()
  eq(u.memory >= 65536, true)
  eq(tonumber(tostring(u.fuel)), 1000)
  eq(u.stack, 0)
  eq(wasm.instantiate("(module)"):usage().fuel, nil)
end)
