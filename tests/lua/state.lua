-- Opening twice, finalisers, odd orders at the end.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

test("opened twice it is the same state", function()
  local loaded = package.loaded.wasm
  package.loaded.wasm = nil
  local again = require "wasm"
  package.loaded.wasm = loaded
  local m = wasm.memory {min = 1}
  eq(again.type(m), "memory")
  eq(again.limit, wasm.limit)
end)

test("explicit __gc is harmless", function()
  if not debug.getmetatable then return end
  local objects = {wasm.memory(), wasm.table(), wasm.global("i32", 1), wasm.tag("i32"),
                   assert(wasm.load "(module)"), assert(wasm.instantiate "(module)")}
  for _, object in ipairs(objects) do
    local gc = debug.getmetatable(object).__gc
    gc(object)
    gc(object)
    pcall(tostring, object)
    pcall(wasm.signature, object)
    pcall(function() return #object end)
  end
end)

test("a new tag is no finalised one at the same address", function()
  if not debug.getmetatable then return end
  local old = {}
  for i = 1, 100 do
    old[i] = wasm.tag("i32")
    debug.getmetatable(old[i]).__gc(old[i])
    eq(wasm.signature(wasm.tag("i32")), "(tag (param i32))")
  end
end)

test("objects used by finalisers when the state is closed", function()
  -- Runs after the tests, in lua_close; a crash there fails the run.
  local e = t.exports([[(module (import "e" "f" (func $f (param externref)))
    (memory (export "m") 1) (func (export "g") (param externref) (call $f (local.get 0))))]],
    {e = {f = function() end}})
  local hold = {e}
  local proxy = newproxy and newproxy(true)
  local function last()
    pcall(hold[1].g, {})
    pcall(hold[1].m.load, hold[1].m, "i32", 0)
    if t.is_sanitized then return end -- Lua never finalises what is made now
    pcall(coroutine.wrap(hold[1].g), 1)
    pcall(wasm.instantiate, "(module (memory 1))")
    pcall(wasm.load, "(")
  end
  if proxy then
    getmetatable(proxy).__gc = last
  else
    proxy = setmetatable({}, {__gc = last})
  end
  _G.held_until_the_end = {proxy, e}
end)
