-- Table objects.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq
local oob = "out of bounds table access"

test("get, set, length, grow", function()
  local tab = wasm.table {min = 2, max = 4}
  local f = wasm.func("(result i32)", function() return 5 end)
  eq(#tab, 2)
  eq(tab:get(0), nil)
  tab:set(0, f)
  eq(tab:get(0), f)
  eq(tab:get(0)(), 5)
  tab:set(0, nil)
  eq(tab:get(0), nil)
  eq(tab:grow(1, f), 2)
  eq(tab:get(2), f)
  eq(tab:grow(0), 3)
  eq(tab:grow(2), nil)
  local _, err = tab:grow(2)
  eq(wasm.type(err), "error")
  eq(wasm.signature(tab), "(table 3 4 funcref)")
  t.traps("trap", oob, tab.get, tab, 3)
  t.traps("trap", oob, tab.set, tab, 3, nil)
  t.traps("trap", oob, tab.get, tab, -1)
  t.misuse("bad argument #1 to 'get' (index expected, got string)", tab.get, tab, "0")
  t.misuse("bad argument #2 to 'set' (value expected)", tab.set, tab, 0)
  t.misuse("bad argument #2 to 'set' (funcref expected, got function without a type", tab.set,
           tab, 0, print)
  t.misuse("(funcref expected, got number)", tab.set, tab, 0, 5)
end)

test("init, externref", function()
  local key = {}
  local tab = wasm.table {type = "externref", min = 3, init = key}
  for i = 0, 2 do eq(tab:get(i), key) end
  tab:set(1, "x")
  t.collect()
  eq(tab:get(1), "x")
  eq(tab:get(2), key)
  local two = wasm.table {min = 2}
  eq(t.traps("trap", oob, two.get, two, 5).message, oob .. " (element 5 of 2)")
  eq(t.traps("trap", oob, two.set, two, 2, nil).message, oob .. " (element 2 of 2)")
  t.misuse("bad option 'init' to 'table'", wasm.table, {min = 1, init = 5})
end)

test("the same element is the same function", function()
  local e = t.exports [[(module (table (export "t") 3 funcref) (func $a (result i32) (i32.const 1))
    (elem (i32.const 0) $a $a))]]
  eq(e.t:get(0), e.t:get(1))
  eq(e.t:get(0)(), 1)
  eq(e.t:get(2), nil)
end)

test("functions of other instances, called through the table", function()
  local a = wasm.instantiate [[(module (global $n (mut i32) (i32.const 10))
    (func (export "f") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (global.get $n)))]]
  local b = wasm.instantiate [[(module (table (export "t") 1 funcref)
    (func (export "call") (result i32) (call_indirect (result i32) (i32.const 0))))]]
  b.exports.t:set(0, a.exports.f)
  a = nil
  t.collect()
  eq(b.exports.call(), 11)
  eq(b.exports.t:get(0)(), 12)
  t.collect()
  eq(b.exports.call(), 13)
end)

test("a typed function that only the table holds", function()
  local e = t.exports [[(module (table (export "t") 1 funcref)
    (func (export "call") (param i32) (result i32)
      (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0))))]]
  e.t:set(0, wasm.func("(param i32) (result i32)", function(x) return x + 1 end))
  t.collect()
  eq(e.call(5), 6)
end)

test("64-bit tables", function()
  local tab = wasm.table {min = 1, index = "i64"}
  eq(wasm.signature(tab), "(table i64 1 funcref)")
  t.traps("trap", oob, tab.get, tab, -1)
end)
