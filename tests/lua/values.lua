-- The table "Values" of the reference: every type, both ways, good and bad.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

local function identity(type)
  return t.exports(([[(module (func (export "id") (param %s) (result %s) (local.get 0)))]])
    :format(type, type)).id
end

test("i32 in and out", function()
  local id = identity "i32"
  for _, x in ipairs {0, 1, -1, 42, 2147483647, -2147483648} do eq(id(x), x) end
  eq(id(4294967295), -1)
  eq(id(2147483648), -2147483648)
  eq(id(3.0), 3)
  eq(id(-1.0), -1)
end)

test("i32 refuses", function()
  local id = identity "i32"
  t.misuse("bad argument #1 to 'id' (i32 expected, got 1.5)", id, 1.5)
  t.misuse("i32 expected", id, 4294967296)
  t.misuse("i32 expected", id, -2147483649)
  t.misuse("i32 expected", id, 0 / 0)
  t.misuse("i32 expected", id, 1 / 0)
  t.misuse("(i32 expected, got string)", id, "1")
  t.misuse("(i32 expected, got nil)", id, nil)
  t.misuse("(i32 expected, got no value)", id)
  t.misuse("(i32 expected, got boolean)", id, true)
  t.misuse("(i32 expected, got table)", id, {})
end)

test("i64 in and out", function()
  local id = identity "i64"
  for _, x in ipairs {0, 1, -1, 2 ^ 31, 2 ^ 52, -2 ^ 52} do
    eq(id(x) == x, true)
  end
  eq(tostring(id "9223372036854775807"):gsub("LL", ""), "9223372036854775807")
  eq(tostring(id "-9223372036854775808"):gsub("LL", ""), "-9223372036854775808")
  eq(tostring(id "0x7fffffffffffffff"):gsub("LL", ""), "9223372036854775807")
  eq(id "18446744073709551615", t.has_integers and -1 or -1)
  eq(id "0xffffffffffffffff", -1)
  eq(id(2 ^ 63) == id "-9223372036854775808", true)
end)

test("i64 refuses", function()
  local id = identity "i64"
  t.misuse("i64 expected", id, 0.5)
  t.misuse("i64 expected", id, 2 ^ 64)
  t.misuse("i64 expected", id, -2 ^ 63 - 2 ^ 11)
  t.misuse("i64 expected", id, "1.5")
  t.misuse("i64 expected", id, "")
  t.misuse("i64 expected", id, "0x")
  t.misuse("i64 expected", id, "-")
  t.misuse("i64 expected", id, "12a")
  t.misuse("i64 expected", id, "18446744073709551616")
  t.misuse("i64 expected", id, "-9223372036854775809")
  t.misuse("i64 expected", id, {})
end)

test("wasm.i64 exists everywhere", function()
  local x = wasm.i64(5)
  eq(tostring(x + wasm.i64(1)):gsub("LL", ""), "6")
  eq(identity "i64"(x) == 5, true)
  t.misuse("bad argument #1 to 'i64' (i64 expected, got 1.5)", wasm.i64, 1.5)
end)

if not t.has_integers then
  test("large i64 are boxed", function()
    local id = identity "i64"
    eq(type(id(2 ^ 53)), "number")
    local x = id "9007199254740993"
    eq(type(x) ~= "number", true)
    eq(tostring(x):gsub("LL", ""), "9007199254740993")
    eq(tostring(id(x)):gsub("LL", ""), "9007199254740993")
    if type(x) == "userdata" then
      eq(x:eq(x), true)
      eq(x:lt(wasm.i64(1)), false)
      eq(wasm.i64(1):le(1), true)
      eq(x:tonumber(), 9007199254740992)
      eq(tostring(x - 1), "9007199254740992")
      eq(tostring(x * 2), "18014398509481986")
      eq(tostring(-x), "-9007199254740993")
      eq(tostring(wasm.i64(-7) / 2), "-4")
      eq(tostring(wasm.i64(-7) % 2), "1")
      eq(x < wasm.i64(1), false)
      eq(x == wasm.i64 "9007199254740993", true)
      t.misuse("divide by zero", function() return x / 0 end)
    end
    local boxed = assert(wasm.load([[(module (func (export "f") (result i64) (i64.const 7)))]],
                                   {i64 = "boxed"}))
    eq(type(boxed:instantiate().exports.f()) ~= "number", true)
  end)
end

test("f32 and f64", function()
  local f32, f64 = identity "f32", identity "f64"
  eq(f64(3.0), 3.0)
  eq(f64(3), 3.0)
  eq(tostring(f64(0.1)), "0.1")
  eq(f32(0.5), 0.5)
  eq(f32(0.1) ~= 0.1, true)
  eq(f32(1e300), 1 / 0)
  eq(f64(-1 / 0), -1 / 0)
  eq(f64(0 / 0), 0 / 0)
  eq(1 / f64(-1 / (1 / 0)), -1 / 0) -- minus zero
  if t.has_integers then
    eq(tostring(f64(3)), "3.0")
    eq(math.type(f32(3)), "float")
  end
  t.misuse("bad argument #1 to 'id' (f64 expected, got string)", f64, "1")
  t.misuse("(f32 expected, got nil)", f32, nil)
end)

test("v128", function()
  local id = identity "v128"
  local s = "0123456789abcdef"
  eq(id(s), s)
  eq(id(("\0"):rep(16)), ("\0"):rep(16))
  t.misuse("v128 as a string of 16 bytes expected, got string of 3 bytes", id, "abc")
  t.misuse("got number", id, 5)
  local swap = t.exports [[(module (func (export "f") (param i32 v128 i64) (result i64 v128 i32)
    (local.get 2) (local.get 1) (local.get 0)))]].f
  t.eqs(t.pack(swap(1, s, 2)), {2, s, 1})
end)

test("externref: the same value in, the same out", function()
  local id = identity "externref"
  local values = {1, -5, 1.5, "x", "", true, false, {}, print, coroutine.create(function() end), io.stdout,
                  2 ^ 60}
  for i = 1, #values do eq(id(values[i]), values[i]) end
  eq(id(nil), nil)
  eq(id(0 / 0), 0 / 0)
  if t.has_integers then
    eq(id(3.0), 3.0)
    eq(id(3), 3)
    eq(id(math.mininteger), math.mininteger)
  end
  t.misuse("externref expected, got no value", id)
end)

test("externref is kept by tables and globals", function()
  local i = assert(wasm.instantiate [[(module
    (table (export "t") 10 externref) (global $g (export "g") (mut externref) (ref.null extern))
    (func (export "put") (param externref i32) (global.set $g (local.get 0))
      (table.set (local.get 1) (local.get 0)))
    (func (export "get") (param i32) (result externref externref)
      (global.get $g) (table.get (local.get 0))))]])
  local e = i.exports
  for k = 0, 9 do e.put({k}, k) end
  t.collect()
  for k = 0, 9 do
    local g, v = e.get(k)
    eq(v[1], k)
    eq(g[1], 9)
  end
  eq(e.t:get(3)[1], 3)
  eq(e.g.value[1], 9)
  eq(select(2, e.get(3)) == e.t:get(3), true)
end)

test("externref of a type that is not nullable", function()
  local i = wasm.instantiate [[(module (func (export "f") (param (ref extern)) (result externref)
    (local.get 0)))]]
  eq(i.exports.f(5), 5)
  t.misuse("(ref extern) expected, got nil", i.exports.f, nil)
end)

test("funcref: the same function each time", function()
  local e = t.exports [[(module (func $a (export "a") (result i32) (i32.const 7)) (func $b)
    (elem declare func $a $b)
    (func (export "get_a") (result funcref) (ref.func $a))
    (func (export "get_b") (result funcref) (ref.func $b))
    (func (export "id") (param funcref) (result funcref) (local.get 0))
    (func (export "null") (result funcref) (ref.null func)))]]
  eq(e.get_a(), e.a)
  eq(e.get_a()(), 7)
  eq(e.get_b(), e.get_b())
  eq(e.id(e.a), e.a)
  eq(e.id(nil), nil)
  eq(e.null(), nil)
  local typed = wasm.func("(result i32)", function() return 9 end)
  eq(e.id(typed), typed)
  t.misuse("funcref expected, got function without a type, see wasm.func", e.id, print)
  t.misuse("funcref expected, got number", e.id, 5)
end)

test("typed function references", function()
  local e = t.exports [[(module (type $f (func (param i32) (result i32)))
    (func (export "inc") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "other"))
    (func (export "call") (param (ref null $f) i32) (result i32)
      (call_ref $f (local.get 1) (local.get 0))))]]
  eq(e.call(e.inc, 5), 6)
  eq(e.call(wasm.func("(param i32) (result i32)", function(x) return x * 2 end), 5), 10)
  t.misuse("got function of another type", e.call, e.other, 5)
  t.traps("trap", "null function reference", e.call, nil, 5)
end)

test("multiple results and extra arguments", function()
  local e = t.exports [[(module
    (func (export "two") (param i32 f64) (result f64 i32) (local.get 1) (local.get 0))
    (func (export "none"))
    (func (export "many") (result i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
      (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6)
      (i32.const 7) (i32.const 8) (i32.const 9) (i32.const 10) (i32.const 11) (i32.const 12)))]]
  t.eqs(t.pack(e.two(1, 2.5)), {2.5, 1})
  t.eqs(t.pack(e.two(1, 2.5, "extra", {})), {2.5, 1})
  eq(select("#", e.none()), 0)
  eq(select("#", e.none(1, 2, 3)), 0)
  t.eqs(t.pack(e.many()), {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
  t.misuse("bad argument #2 to 'two' (f64 expected, got no value)", e.two, 1)
end)

test("300 parameters and results", function()
  local types = ("i32 "):rep(300)
  local gets = {}
  for i = 299, 0, -1 do gets[#gets + 1] = "(local.get " .. i .. ")" end
  local e = t.exports(([[(module (func (export "f") (param %s) (result %s) %s))]])
    :format(types, types, table.concat(gets)))
  local args = {}
  for i = 1, 300 do args[i] = i end
  local results = t.pack(e.f((table.unpack or unpack)(args)))
  eq(results.n, 300)
  for i = 1, 300 do eq(results[i], 301 - i) end
end)

test("host closures get arguments and give results", function()
  local seen
  local e = t.exports([[(module
    (import "e" "f" (func $f (param i32 i64 f32 f64 externref) (result f64 i32)))
    (func (export "g") (param i32 i64 f32 f64 externref) (result f64 i32)
      (call $f (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))))]],
    {e = {f = function(...)
      seen = t.pack(...)
      return 2.5, 7, "extra"
    end}})
  local key = {}
  t.eqs(t.pack(e.g(1, 2, 0.5, 0.25, key)), {2.5, 7})
  t.eqs(seen, {1, 2, 0.5, 0.25, key})
end)

test("a wrong result of a host closure names the import", function()
  local result
  local e = t.exports([[(module (import "env" "get" (func $f (result i32)))
    (func (export "g") (result i32) (call $f)))]], {env = {get = function() return result end}})
  t.misuse("bad result #1 of 'env.get' (i32 expected, got nil)", e.g)
  result = "7"
  t.misuse("bad result #1 of 'env.get' (i32 expected, got string)", e.g)
  result = 2.5
  t.misuse("bad result #1 of 'env.get' (i32 expected, got 2.5)", e.g)
  result = 7.0
  eq(e.g(), 7)
end)
