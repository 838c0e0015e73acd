-- Global objects.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

test("value and mutable", function()
  local g = wasm.global("i32", 5, true)
  eq(g.value, 5)
  eq(g.mutable, true)
  g.value = -7
  eq(g.value, -7)
  g.value = 4294967295
  eq(g.value, -1)
  eq(g.nonsense, nil)
  eq(wasm.signature(g), "(global (mut i32))")
  t.misuse("bad value of the global (i32 expected, got string)", function() g.value = "5" end)
  t.misuse("unknown field 'valu' of a global (did you mean 'value'?)", function() g.valu = 5 end)
end)

test("immutable", function()
  local g = wasm.global("f64", 1.5)
  eq(g.value, 1.5)
  eq(g.mutable, false)
  t.misuse("the global is immutable", function() g.value = 2 end)
  eq(wasm.signature(g), "(global f64)")
end)

test("every type", function()
  eq(wasm.global("i64", "-5").value, -5)
  eq(wasm.global("f32", 0.5).value, 0.5)
  eq(wasm.global("v128", "0123456789abcdef").value, "0123456789abcdef")
  local key = {}
  local g = wasm.global("externref", key, true)
  t.collect()
  eq(g.value, key)
  g.value = nil
  eq(g.value, nil)
  local f = wasm.func("", print)
  eq(wasm.global("funcref", f).value, f)
  eq(wasm.global("funcref", nil).value, nil)
  t.misuse("(funcref expected, got number)", wasm.global, "funcref", 5)
  t.misuse("bad argument #3 to 'global' (boolean expected", wasm.global, "i32", 5, "mut")
end)

test("shared with a guest", function()
  local g = wasm.global("i32", 5, true)
  local e = t.exports([[(module (import "e" "g" (global $g (mut i32)))
    (global $own (export "own") (mut externref) (ref.null extern))
    (func (export "up") (global.set $g (i32.add (global.get $g) (i32.const 1)))))]],
    {e = {g = g}})
  e.up()
  eq(g.value, 6)
  e.own.value = g
  t.collect()
  eq(e.own.value, g)
end)
