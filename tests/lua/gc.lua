-- Structures, arrays, i31 and references of the any and extern families.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

local source = [[
(module $shapes
  (type $point (struct (field $x (mut i32)) (field $y (mut f64)) (field $tag i8)
    (field $next (mut (ref null $point)))))
  (type $bytes (array (mut i8)))
  (type $words (array (mut i64)))
  (type $fixed (array i32))
  (type $any (struct (field $value (mut anyref)) (field $host (mut externref))))
  (table (export "t") 10 externref)
  (global (export "g") (mut anyref) (ref.null any))
  (func (export "point") (param i32 f64 (ref null $point)) (result (ref $point))
    (struct.new $point (local.get 0) (local.get 1) (i32.const -2) (local.get 2)))
  (func (export "sum") (param $p (ref null $point)) (result i32) (local $sum i32)
    (block $done (loop $more
      (br_if $done (ref.is_null (local.get $p)))
      (local.set $sum (i32.add (local.get $sum) (struct.get $point $x (local.get $p))))
      (local.set $p (struct.get $point $next (local.get $p)))
      (br $more)))
    (local.get $sum))
  (func (export "bytes") (param i32) (result (ref $bytes))
    (array.new $bytes (i32.const 200) (local.get 0)))
  (func (export "total") (param (ref $bytes)) (result i32) (local $i i32) (local $sum i32)
    (block $done (loop $more
      (br_if $done (i32.ge_u (local.get $i) (array.len (local.get 0))))
      (local.set $sum (i32.add (local.get $sum) (array.get_u $bytes (local.get 0) (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $more)))
    (local.get $sum))
  (func (export "any") (param anyref) (result anyref) (local.get 0))
  (func (export "eq") (param eqref) (result eqref) (local.get 0))
  (func (export "i31") (param i31ref) (result i31ref) (local.get 0))
  (func (export "extern") (param externref) (result externref) (local.get 0))
  (func (export "in") (param externref) (result anyref) (any.convert_extern (local.get 0)))
  (func (export "out") (param anyref) (result externref) (extern.convert_any (local.get 0)))
  (func (export "is_point") (param externref) (result i32)
    (ref.test (ref $point) (any.convert_extern (local.get 0))))
  (func (export "garbage") (param i32)
    (loop $more
      (drop (struct.new_default $any))
      (br_if $more (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
]]

local module = assert(wasm.load(source))
local function instance(options)
  return assert(module:instantiate({}, options))
end
local exports = instance().exports

test("a structure of the guest", function()
  local inner = exports.point(2, 0.5, nil)
  local p = exports.point(40, 1.5, inner)
  eq(wasm.type(p), "struct")
  eq(p[0], 40) eq(p[1], 1.5) eq(p.x, 40) eq(p.y, 1.5)
  eq(p.tag, 254) eq(p[2], 254) eq(p:get_s(2), -2) eq(p:get_s("tag"), -2)
  eq(p.next, inner) eq(rawequal(p[3], inner), true) eq(inner.next, nil)
  p.x = 100
  p.next = nil
  eq(exports.sum(p), 100)
  p[3] = inner
  eq(exports.sum(p), 102)
  t.misuse("field 'tag' is immutable", function() p.tag = 1 end)
  t.misuse("no field 'z' in struct", function() return p.z end)
  t.misuse("no field '4' in struct", function() return p[4] end)
  t.misuse("no field '-1' in struct", function() return p[-1] end)
  t.misuse("bad field 'x' (i32 expected, got string)", function() p.x = "1" end)
  t.misuse("bad field 'next'", function() p.next = 5 end)
  t.misuse("bad argument #1 to 'sum'", exports.sum, {})
  t.misuse("bad argument #1 to 'sum'", exports.sum, exports.bytes(1))
  eq(wasm.signature(p):match "^%(struct %(field %(mut i32%)%)" ~= nil, true)
  eq(tostring(p):match "^wasm struct: " ~= nil, true)
end)

test("an array of the guest", function()
  local a = exports.bytes(3)
  eq(wasm.type(a), "array")
  eq(#a, 3) eq(a[0], 200) eq(a:get_s(2), -56)
  a[1] = 7
  eq(exports.total(a), 407)
  a[1] = -1
  eq(a[1], 255)
  t.raises("out of bounds array access", function() return a[3] end)
  t.raises("out of bounds array access", function() a[-1] = 0 end)
  t.misuse("no field 'x' in array", function() return a.x end)
end)

test("the same object is the same value", function()
  local p = exports.point(1, 2, nil)
  eq(rawequal(exports.any(p), p), true)
  eq(rawequal(exports.eq(p), p), true)
  eq(rawequal(exports["in"](exports.out(p)), p), true)
  local set = {[p] = true}
  eq(set[exports.any(p)], true)
end)

test("constructors", function()
  local Point, Bytes = module:type "point", module:type "bytes"
  local p = Point.new(1, 2.5, -2, nil)
  eq(p.x, 1) eq(p.y, 2.5) eq(p.tag, 254) eq(p.next, nil)
  eq(exports.sum(Point:new(5, 0, 0, p)), 6)
  eq(exports.sum(Point(7, 0, 0, nil)), 7)
  eq(Point.new().x, 0)
  t.misuse("bad argument #1 to 'new' (i32 expected, got string)", Point.new, "x", 1, 1)
  t.misuse("bad argument #4 to 'new'", Point.new, 1, 1, 1)
  t.misuse("bad argument #4 to 'new'", Point.new, 1, 1, 1, 1)
  local a = Bytes.new "hello"
  eq(#a, 5) eq(a[0], 104) eq(exports.total(a), 532)
  eq(#Bytes.new(4), 4) eq(Bytes.new(4, 9)[3], 9) eq(#Bytes.new(0), 0) eq(#Bytes.new "", 0)
  local words = module:type(2).new {10, 20, 30}
  eq(#words, 3) eq(words[2], 30)
  local fixed = module:type "fixed" {1, 2, 3}
  eq(fixed[1], 2)
  t.misuse("field '1' is immutable", function() fixed[1] = 5 end)
  t.misuse("no type named 'nope'", module.type, module, "nope")
  t.misuse("neither struct nor array", module.type, module, 5)
  t.misuse("name or index expected", module.type, module)
  eq(wasm.signature(module:type "words"), "(array (mut i64))")
  t.misuse("element: i64 expected", function() module:type "words" {1, "x"} end)
end)

test("constructors of an instance", function()
  local i = instance()
  local Any = module:type("any", i)
  local value = {}
  local a = Any.new(value, print)
  eq(a.value, value) eq(a.host, print)
  a.value = 5
  a.host = a
  eq(a.value, 5) eq(rawequal(a.host, a), true)
  eq(Any.new(1.5, "text").value, 1.5)
end)

test("small integers", function()
  for _, x in ipairs {0, 1, -1, 2 ^ 30 - 1, -2 ^ 30} do
    x = math.floor(x)
    eq(exports.i31(x), x) eq(exports.any(x), x) eq(exports.eq(x), x) eq(exports["in"](x), x)
    eq(exports.extern(x), x)
  end
  t.misuse("bad argument #1 to 'i31'", exports.i31, 2 ^ 30)
  t.misuse("bad argument #1 to 'i31'", exports.i31, 1.5)
  t.misuse("bad argument #1 to 'i31'", exports.i31, "1")
  t.misuse("bad argument #1 to 'eq'", exports.eq, 2 ^ 30)
  eq(exports.any(2 ^ 30), 2 ^ 30)
end)

test("values of Lua as any", function()
  for _, x in ipairs {1.5, "text", {}, print, true, false, io.stdout} do
    eq(exports.any(x), x) eq(exports["in"](x), x) eq(exports.out(x), x) eq(exports.extern(x), x)
  end
  eq(exports.any(nil), nil) eq(exports.out(nil), nil)
  if t.has_integers then eq(exports.extern(3.0), 3.0) end
  eq(1 / exports.extern(-0.0) < 0, true)
  t.misuse("bad argument #1 to 'eq'", exports.eq, "text")
  eq(exports.is_point(exports.point(0, 0, nil)), 1)
  eq(exports.is_point(exports.bytes(1)), 0)
  eq(exports.is_point "text", 0)
end)

test("in tables and globals", function()
  local i = instance()
  local p = i.exports.point(3, 0, nil)
  i.exports.t:set(0, p)
  eq(rawequal(i.exports.t:get(0), p), true)
  i.exports.g.value = p
  eq(rawequal(i.exports.g.value, p), true)
  i.exports.g.value = 12
  eq(i.exports.g.value, 12)
end)

test("objects outlive what made them", function()
  local p
  do
    local i = instance()
    p = i.exports.point(9, 0, i.exports.point(8, 0, nil))
  end
  for _ = 1, 3 do collectgarbage() end
  eq(p.next.x, 8)
  local q = (function() return module:type "point" (1, 2, 3, nil) end)()
  for _ = 1, 3 do collectgarbage() end
  eq(q.y, 2.0)
  eq(exports.sum(q), 1)
end)

test("objects are found again while they are held, and forgotten after", function()
  local weak = setmetatable({}, {__mode = "v"})
  local i = instance()
  weak[1] = i.exports.point(1, 0, nil)
  for _ = 1, 3 do collectgarbage() end
  eq(weak[1], nil)
  i.exports.g.value = i.exports.point(2, 0, nil)
  for _ = 1, 3 do collectgarbage() end
  i.exports.garbage(200000)
  eq(i.exports.g.value.x, 2)
end)

test("values of Lua in tables are collected when dropped", function()
  local weak = setmetatable({}, {__mode = "k"})
  local i = instance()
  local function count()
    local n = 0
    for _ in pairs(weak) do n = n + 1 end
    return n
  end
  for k = 0, 9 do
    local value = {k}
    weak[value] = true
    i.exports.t:set(k, value)
  end
  for _ = 1, 4 do collectgarbage() end
  eq(count(), 10)
  for k = 0, 8 do i.exports.t:set(k, nil) end
  for _ = 1, 6 do collectgarbage() end
  eq(count(), 1)
  eq(i.exports.t:get(9)[1], 9)
end)

test("values of Lua pass in great numbers", function()
  local i = instance()
  for k = 1, 100000 do
    local value = {k}
    if i.exports.extern(value) ~= value then t.fail "another value" end
  end
  collectgarbage()
  collectgarbage()
  eq(collectgarbage "count" < 50000, true)
end)

test("the heap's limit", function()
  local i = instance {memory = 2 * 1024 * 1024}
  local list
  local ok, err = pcall(function()
    while true do list = i.exports.point(1, 0, list) end
  end)
  eq(ok, false) eq(err.kind, "limit") eq(err.code, "memory")
  list = nil
  collectgarbage()
  collectgarbage()
  eq(i.exports.point(5, 0, nil).x, 5)
end)

test("garbage of a guest is collected in bounded memory", function()
  local i = instance {memory = 1024 * 1024}
  i.exports.garbage(3000000)
  eq(i:usage().memory <= 1024 * 1024, true)
end)
