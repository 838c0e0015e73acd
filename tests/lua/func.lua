-- Typed host functions: wasm.func.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

test("called by Lua, values cross as if there were a guest", function()
  local f = wasm.func("(param i32 f64) (result i64 f32)", function(a, b) return b * 2, a end)
  t.eqs(t.pack(f(4294967295, 3)), {6, -1.0})
  t.misuse("bad argument #1 to 'func' (i32 expected, got string)", f, "1", 2)
  t.misuse("bad argument #2 to 'func' (f64 expected, got no value)", f, 1)
  t.misuse("bad result #1 of 'func' (i64 expected, got 0.5)", f, 1, 0.25)
  eq(wasm.signature(f), "(func (param i32 f64) (result i64 f32))")
end)

test("with and without (func ...)", function()
  eq(wasm.signature(wasm.func("(func (param i32))", print)), "(func (param i32))")
  eq(wasm.signature(wasm.func("", print)), "(func)")
end)

test("references pass as they are", function()
  local key = {}
  local f = wasm.func("(param externref) (result externref)", function(x) return x end)
  eq(f(key), key)
  eq(f(nil), nil)
  local g = wasm.func("(param funcref) (result funcref)", function(x) return x end)
  eq(g(f), f)
  t.misuse("funcref expected", g, print)
end)

test("as imports of many instances", function()
  local n = 0
  local f = wasm.func("(param i32)", function(x) n = n + x end)
  local m = assert(wasm.load [[(module (import "e" "f" (func $f (param i32)))
    (func (export "g") (call $f (i32.const 2))))]])
  for _ = 1, 50 do m:instantiate({e = {f = f}}).exports.g() end
  eq(n, 100)
end)

test("yields through a typed function that Lua calls", function()
  local f = wasm.func("(param i32) (result i32)", function(x) return coroutine.yield(x) + 1 end)
  local co = coroutine.wrap(function() return f(5) end)
  eq(co(), 5)
  eq(co(10), 11)
end)
