-- wasm.ffi: a C library (tests/lua/ffi/abi.c) with values of every kind through calls and memory.
local t = ...
local wasm = t.wasm
local ffi = require "wasm.ffi"
local here = arg[0]:match("^(.*)/[^/]*$") or "."
local path = here .. "/ffi/abi.wasm"
local has_integers, is_jit = t.has_integers, t.is_jit

local function read_file(name)
  local file = assert(io.open(name, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local header = read_file(here .. "/ffi/abi.h")
local function load_library() return assert(ffi.load(path, header)) end
local lib = load_library()

-- Equal as numbers, without regard to subtypes.
local function same(got, wanted, what)
  if got ~= wanted and tostring(got) ~= tostring(wanted) then
    t.fail(("%s: got %s, wanted %s"):format(what or "value", tostring(got), tostring(wanted)), 2)
  end
end

-- ---- Calls --------------------------------------------------------------------------------------

t.test("numbers", function()
  t.eq(lib.add(40, 2), 42)
  t.eq(lib.add(0xffffffff, 1), 0)
  t.eq(lib.add_unsigned(0xfffffffe, 1), 4294967295)
  t.eq(lib.add_unsigned(-1, 0), 4294967295)
  same(lib.add_long(2 ^ 40, 2), 2 ^ 40 + 2)
  same(lib.half(3), 1.5)
  t.eq(lib.narrow_signed(127), -128)
  t.eq(lib.narrow_signed(200), -55)
  t.eq(lib.narrow_unsigned(255), 0)
  t.eq(lib.narrow_unsigned(-1), 0)
  t.eq(lib.plain_char(127), -128)
  t.eq(lib.narrow_short(32767), -32768)
  t.eq(lib.narrow_ushort(65535), 0)
  t.eq(lib.negate(true), false)
  t.eq(lib.negate(0), true)
  t.misuse("bad argument #1 to 'add' (i32 expected, got 1.5)", lib.add, 1.5, 1)
  t.misuse("bad value for argument #1 of 'add_unsigned' (unsigned int expected, got number 1.5)",
    lib.add_unsigned, 1.5, 1)
  t.misuse("bad value for argument #1 of 'narrow_signed' (signed char expected, got number 300)",
    lib.narrow_signed, 300)
  t.misuse("unsigned char expected, got number 4294967295", lib.narrow_unsigned, 4294967295)
  t.misuse("bad value for argument #1 of 'negate' (bool expected, got number 2)", lib.negate, 2)
  t.misuse("bad value for argument #2 of 'add_unsigned' (unsigned int expected, got nil)",
    lib.add_unsigned, 1)
end)

t.test("64 bits", function()
  local high = lib.highest()
  if has_integers then
    t.eq(high, -1)
    t.eq(lib.add_long(math.maxinteger, 1), math.mininteger)
  elseif is_jit then
    same(tostring(high), "18446744073709551615ULL")
    same(tostring(lib.add_long("0x7fffffffffffffff", 1)), "-9223372036854775808LL")
    t.eq(lib.add_long(1, 2), 3)
  else
    same(tostring(lib.add_long("0x7fffffffffffffff", 1)), "-9223372036854775808")
    t.eq(lib.add_long(1, 2), 3)
  end
end)

t.test("enumerations", function()
  t.eq(lib.next_color(lib.RED), 5)
  t.eq(lib.next_color "GREEN", lib.BLUE)
  t.eq(lib.sign_of(-5), lib.NEGATIVE)
  t.misuse("enum color expected, got string", lib.next_color, "PURPLE")
end)

t.test("long double", function()
  for _, x in ipairs { 1.0, -3.5, 0.0, 2 ^ 1000, -2 ^ -1000, 1 / 3, math.huge, 123456789.125 } do
    local wanted = x == math.huge and x or x / 2
    if x ~= math.huge then same(lib.quad_half(x), wanted) end
  end
  local list = ffi.new(lib, "long double[3]", { 0.1, -2, 1e300 })
  for i = 0, 2 do same(lib.quad_pick(list, i), list[i]) end
  same(list[0], 0.1)
  list[0] = 0 / 0
  t.eq(list[0] ~= list[0], true)
  list[0] = -math.huge
  same(list[0], -math.huge)
  list[0] = 5e-324
  same(list[0], 5e-324)
end)

t.test("strings", function()
  t.eq(lib.length "hello", 5)
  t.eq(lib.length(("x"):rep(100000)), 100000)
  t.eq(lib.length(nil), -1)
  t.eq(lib.length "", 0)
  t.eq(lib.checksum("abc", 3), 0x1a47e90b)
  t.eq(lib.checksum("a\0c", 3), 0x1adb6bd3 - 0x1adb6bd3 + lib.checksum(
    ffi.new(lib, "unsigned char[3]", "a\0c"), 3))
  t.misuse("bad argument #1 to 'length' (const char * expected, got no value)", lib.length)
  t.misuse("a string has no place in the library", lib.reverse, "text")
  local text = ffi.new(lib, "char[?]", 6, "hello")
  t.eq(ffi.string(lib.reverse(text)), "olleh")
  t.eq(ffi.string(text), "olleh")
  t.eq(lib.duplicate(nil), nil)
  local copy = lib.duplicate "some text"
  t.eq(ffi.string(copy), "some text")
  t.eq(ffi.string(copy, 4), "some")
  t.eq(ffi.string(copy + 5), "text")
  lib.free(copy)
  local found = lib.find("", 65, 0)
  t.eq(found, nil)
end)

t.test("structures by value", function()
  same(lib.point_norm { 3, 4 }, 25)
  same(lib.point_norm { x = 1 }, 1)
  local p = ffi.new(lib, "point", 1, 2)
  same(lib.point_norm(p), 5)
  local sum = lib.point_add(p, { 10, 20 })
  same(sum.x, 11)
  same(sum.y, 22)
  t.eq(ffi.istype(lib, "point", sum), true)
  lib.point_scale(p, 2)
  same(p.x, 2)
  local swapped = lib.pair_swap({ 5, 7 }, 3)
  t.eq(swapped.a, 21)
  t.eq(swapped.b, 5)
  t.eq(lib.quad_ints_sum { { 1, 2, 3, 4 } }, 10)
  t.misuse("struct point expected, got number", lib.point_norm, 5)
  t.misuse("struct point expected, got 'pair'", lib.point_norm, ffi.new(lib, "pair"))
end)

t.test("structures of one element", function()
  t.eq(lib.only_int_twice({ 21 }).value, 42)
  same(lib.only_double_twice({ 0.75 }).value, 1.5)
  same(lib.only_float_twice({ { { 0.5 } } }).inner.value[0], 1)
  t.eq(lib.only_char_next({ 127 }).value, -128)
  same(lib.only_quad_twice({ 1.25 }).value, 2.5)
  same(lib.only_long_twice({ 2 ^ 33 }).value, 2 ^ 34)
  t.eq(lib.only_in_union_twice({ 4 }).i, 8)
  local text = ffi.new(lib, "char[4]", "abc")
  t.eq(ffi.string(lib.only_pointer_next({ text }).value), "bc")
  t.eq(lib.with_nothing(1, {}, 2), 12)
  t.eq(ffi.sizeof(lib.give_nothing(7)), 0)
  t.eq(lib.counter, 7)
  lib.counter = 41
  t.eq(lib.number_next({ i = 41 }, false).i, 42)
  same(lib.number_next({ f = 1.5 }, true).f, 2.5)
end)

t.test("pointers to structures and arrays", function()
  local list = ffi.new(lib, "point[3]", { { 1, 1 }, { 5, 5 }, { 2, 2 } })
  local best = lib.point_largest(list, 3)
  same(best.x, 5)
  t.eq(tostring(best):match "^cdata<(.-)>", "const struct point *")
  t.eq(best == list + 1, true)
  t.eq(best - list, 1)
  t.misuse("is const", function() best.x = 1 end)
  same(lib.mean(ffi.new(lib, "double[4]", { 1, 2, 3, 4 }), 4), 2.5)
  t.misuse("bad value for argument #1 of 'mean' (const double * expected, got 'int [2]')", lib.mean,
    ffi.new(lib, "int[2]"), 2)
  t.misuse("const double * expected, got number", lib.mean, 5, 2)
  t.misuse("point * expected, got 'const struct point *'", lib.point_scale, best, 2)
end)

t.test("errors of the guest", function()
  t.traps("trap", "unreachable", lib.trap, 1)
  t.eq(lib.trap(0), 0)
  local ok, err = pcall(lib.deref, ffi.cast(lib, "int *", 0x7ffffff0))
  t.eq(ok, false)
  t.eq(err.code, "out of bounds memory access")
  -- Strings that were given to calls which raised are forgotten.
  for _ = 1, 3000 do
    pcall(lib.apply_void, function() error "no" end, ("x"):rep(1000))
  end
  t.eq(lib.length "again", 5)
end)

-- ---- Memory -------------------------------------------------------------------------------------

t.test("members of every kind", function()
  local n = ffi.new(lib, "node")
  t.eq(n.next, nil)
  lib.node_fill(n)
  t.eq(n.value, -7)
  t.eq(ffi.string(n.name), "filled")
  t.eq(n.flag, 1)
  t.eq(n.small, 21)
  t.eq(n.level, -5)
  same(n.wide, 0x2123456789abc)
  t.eq(n.a, -1)
  t.eq(n.b, 32767)
  same(n.u.f, 0.5)
  same(n.place.y, -2.5)
  t.eq(n.color, lib.BLUE)
  t.eq(n.is_on, true)
  t.eq(n.fixed, 99)
  same(n.quad, 1 / 3)
  same(n.map(3), 9)
  same(n.big, -5000000000)
  t.eq(n.bytes[2], 200)
  local huge = has_integers and tostring(n.huge) or tostring(n.huge):gsub("[UL]", "")
  t.eq(huge, is_jit and "18364758544493064720" or "-81985529216486896")

  n.flag, n.small, n.level, n.wide = 0, -1, 7, 2 ^ 49 + 5
  t.eq(n.flag, 0)
  t.eq(n.small, 31)
  t.eq(n.level, 7)
  same(n.wide, 2 ^ 49 + 5)
  t.eq(n.value, -7)
  n.place = { y = 8 }
  same(n.place.x, 1.25)
  same(n.place.y, 8)
  n.name = "new"
  t.eq(ffi.string(n.name), "new")
  n.color = "GREEN"
  t.eq(n.color, 5)
  n.is_on = false
  t.eq(n.is_on, false)
  n.quad = -0.25
  same(n.quad, -0.25)
  n.big = -2 ^ 40
  same(n.big, -2 ^ 40)
  n.next = n
  t.eq(n.next.next == n, true)
  n.next = nil
  t.eq(n.next, nil)
  n.bytes = "ab"
  t.eq(n.bytes[1], 98)
  n.map = lib.map_square
  same(n.map(4), 16)

  t.misuse("'struct node' has no member 'nme'", function() return n.nme end)
  t.misuse("'struct node' has no member 'nme'", function() n.nme = 1 end)
  t.misuse("member 'fixed' of 'struct node' is const", function() n.fixed = 1 end)
  t.misuse("bad value for member 'value' (int expected, got number 2.5)", function() n.value = 2.5 end)
  t.misuse("bad value for member 'value' (int expected, got string)", function() n.value = "1" end)
  t.misuse("unsigned int of 5 bits expected, got number 32", function() n.small = 32 end)
  t.misuse("got a string of 9 bytes", function() n.name = "123456789" end)
  t.misuse("a string has no place", function() n.next = "x" end)
  t.misuse("ffi.callback", function() n.map = function() end end)
  t.eq(ffi.sizeof(n), lib.node_size())
end)

t.test("lists", function()
  local head
  for i = 1, 10 do head = lib.node_push(head, i) end
  t.eq(lib.node_sum(head), 55)
  local sum, n = 0, head
  while n do
    sum, n = sum + n.value, n.next
  end
  t.eq(sum, 55)
  while head do
    local following = head.next
    lib.free(head)
    head = following
  end
end)

t.test("arrays", function()
  local list = ffi.new(lib, "int[5]", { 10, 20, 30 })
  t.eq(list[2], 30)
  t.eq(list[3], 0)
  t.eq(#list, 5)
  list[4] = -1
  t.eq(list[4], -1)
  t.eq(ffi.new(lib, "int[4]", 7)[3], 7)
  t.eq(ffi.new(lib, "int[4]", { [0] = 5, 6 })[1], 6)
  t.eq(ffi.new(lib, "int[?]", 3, 1, 2, 3)[2], 3)
  t.eq(ffi.sizeof(ffi.new(lib, "char[]", "four")), 5)
  t.eq(#ffi.new(lib, "short[]", { 1, 2, 3 }), 3)
  local grid = ffi.new(lib, "int[2][3]", { { 1, 2, 3 }, { 4, 5, 6 } })
  t.eq(grid[1][2], 6)
  grid[0] = { 7, 8, 9 }
  t.eq(grid[0][1], 8)
  local p = ffi.cast(lib, "int *", list)
  t.eq(p[1], 20)
  t.eq((p + 2)[0], 30)
  t.eq((2 + p)[-1], 20)
  t.eq((p + 2) - p, 2)
  t.eq(p < p + 1, true)
  t.eq(p + 1 <= p, false)
  t.eq(p == list + 0, true)
  t.eq(p ~= p + 1, true)
  t.misuse("at most 2 elements expected, got 3", ffi.new, lib, "int[2]", { 1, 2, 3 })
  t.misuse("bad index", function() return list[1.5] end)
  t.misuse("no arithmetic", function() return ffi.new(lib, "point") + 1 end)
end)

t.test("variables and constants", function()
  t.eq(lib.counter, 41)
  lib.counter = 100
  t.eq(lib.read_counter(), 100)
  lib.counter = 41
  t.eq(ffi.string(lib.title), "a library")
  t.eq(lib.table[3], 7)
  same(lib.origin.y, -0.5)
  lib.origin = { 3, 4 }
  same(lib.point_norm(lib.origin), 25)
  t.eq(lib.ABI_VERSION, 258)
  t.eq(lib.ABI_NAME, "abi test")
  t.eq(lib.ABI_MASK, 0xfffffff0)
  same(lib.ABI_RATIO, 1500)
  t.eq(lib.ABI_LETTER, 82)
  t.eq(tostring(lib.ABI_BIG):gsub("LL", ""), "81985529216486895")
  t.eq(lib.GREEN, 5)
  t.misuse("declares no 'nothing_here'", function() return lib.nothing_here end)
  t.misuse("has no variable 'point'", function() lib.point = 1 end)
  t.misuse("variable 'title' is const", function() lib.title = nil end)
end)

t.test("listing", function()
  local text = tostring(lib)
  t.eq(text:find("  int add(int a, int b)\n", 1, true) ~= nil, true)
  t.eq(text:find("  void sort(int *list, int n, int (*compare)(const void *, const void *))", 1,
    true) ~= nil, true)
  t.eq(text:find("  const int table[4]", 1, true) ~= nil, true)
end)

-- ---- Callbacks ----------------------------------------------------------------------------------

t.test("functions for a call", function()
  local list = ffi.new(lib, "int[6]", { 3, 1, 2, 9, -5, 0 })
  lib.sort(list, 6, function(a, b)
    return ffi.cast(lib, "const int *", a)[0] - ffi.cast(lib, "const int *", b)[0]
  end)
  t.eq(list[0], -5)
  t.eq(list[5], 9)
  same(lib.apply(function(x) return x + 1 end, 4), 5)
  same(lib.apply(lib.map_square, 5), 25)
  local p = lib.apply_point(function(q, n) return { q.x * n, q.y * n } end, { 1, 2 }, 3)
  same(p.x, 3)
  same(p.y, 6)
  same(lib.apply_quad(function(x, c) return x * 2 + c end, 1.5), 116)
  local seen
  t.eq(lib.apply_bool(function(a, b, c, d)
    seen = { a, b, c, d }
    return true
  end, 65537 + 255), true)
  t.eq(seen[1], 0)
  t.eq(seen[2], 256)
  same(seen[3], -65792)
  t.eq(seen[4], lib.BLUE)
  t.eq(lib.apply_only(function(o) return { o.value + 1 } end, 5).value, 6)
  lib.apply_void(function(text) seen = ffi.string(text) end, "for the call")
  t.eq(seen, "for the call")
  local key = {}
  local ok, err = pcall(lib.apply, function() error(key) end, 1)
  t.eq(ok, false)
  t.eq(err, key)
  t.misuse("bad value for result of a callback (double expected, got string)", lib.apply,
    function() return "x" end, 1)
  t.misuse("function of type (func (param f64) (result f64)) expected, got (func (param i32 i32)",
    lib.apply, lib.add, 1)
end)

t.test("calls within calls", function()
  -- The outer calls take pointers and strings, and so do those that their callbacks make.
  local list = ffi.new(lib, "int[20]")
  for i = 0, 19 do list[i] = (i * 7) % 20 end
  local compare = ffi.callback(lib, "compare_fn", function(a, b)
    t.eq(lib.length(("text"):rep(100)), 400)
    lib.apply_void(function(text) t.eq(ffi.string(text), "inner") end, "inner")
    ffi.new(lib, "char[?]", 5000)
    return lib.compare_ints(ffi.cast(lib, "int *", a), ffi.cast(lib, "int *", b))
  end)
  for _ = 1, 5 do
    lib.sort(list, 20, compare)
    for i = 0, 19 do t.eq(list[i], i) end
    t.collect()
    for i = 0, 19 do list[i] = (i * 13) % 20 end
  end
  local own = load_library()
  compare:set(function()
    ffi.instance(own):close()
    return 0
  end)
  local inner = ffi.callback(own, "compare_fn", function()
    t.misuse("running", function() ffi.instance(own):close() end)
    return 0
  end)
  own.sort(ffi.new(own, "int[2]"), 2, inner)
  lib.sort(list, 2, compare)
  compare:free()
end)

t.test("callbacks that live", function()
  local said = {}
  local hook = ffi.callback(lib, "void_fn", function(text) said[#said + 1] = ffi.string(text) end)
  lib.set_hook(hook)
  t.eq(lib.call_hook "one", 1)
  hook:set(function(text) said[#said + 1] = "! " .. ffi.string(text) end)
  lib.call_hook "two"
  hook "direct"
  t.eq(table.concat(said, ","), "one,! two,! direct")
  hook:free()
  t.traps("trap", "uninitialized element", lib.call_hook, "x")
  t.misuse("was freed", lib.set_hook, hook)
  t.misuse("the callback was freed", hook, "x")
  t.misuse("the callback was freed", function() hook:free() end)
  lib.set_hook(nil)
  t.eq(lib.call_hook "x", 0)
  local f = lib.get_map(2)
  same(f(3), -3)
  t.eq(lib.get_map(0), nil)
  t.misuse("is no callback", function() f:free() end)
  same(lib.apply(f, 4), -4)
  -- Their places in the table come again.
  local first = tonumber(tostring(ffi.callback(lib, "map_fn", function() return 0 end)):match "0x.*")
  for _ = 1, 100 do ffi.callback(lib, "map_fn", function() return 0 end):free() end
  local last = tonumber(tostring(ffi.callback(lib, "map_fn", function() return 0 end)):match "0x.*")
  t.eq(last - first < 3, true)
  t.misuse("'double (*)(double)' 0x0000ffff: there is no such function",
    ffi.cast(lib, "map_fn", 0xffff), 1)
  t.misuse("is a function of type", ffi.cast(lib, "compare_fn", lib.get_map(1)),
    nil, nil)
  t.misuse("NULL pointer", ffi.cast(lib, "map_fn", nil), 1)
end)

t.test("yields", function()
  local co = coroutine.wrap(function()
    return lib.apply(function(x) return x + coroutine.yield(x) end, 5), lib.length "after"
  end)
  same(co(), 5)
  local sum, n = co(10)
  same(sum, 15)
  t.eq(n, 5)
  -- Strings of calls that are suspended stay while others come and go, in any order.
  local function start(text)
    local inner = coroutine.wrap(function()
      local got
      lib.apply_void(function(s)
        coroutine.yield()
        got = ffi.string(s)
      end, text)
      return got
    end)
    inner()
    return inner
  end
  local running = {}
  for i = 1, 50 do running[i] = start(("text %d "):format(i):rep(i)) end
  for _, i in ipairs { 7, 50, 1, 25, 49 } do
    t.eq(running[i](), ("text %d "):format(i):rep(i))
    running[i] = start "again"
    t.eq(lib.length(("y"):rep(5000)), 5000)
  end
  for i = 1, 50 do
    local text = running[i]()
    t.eq(text == "again" or text == ("text %d "):format(i):rep(i), true)
  end
end)

-- ---- Types --------------------------------------------------------------------------------------

t.test("types", function()
  t.eq(ffi.sizeof(lib, "point"), 16)
  t.eq(ffi.sizeof(lib, "long double"), 16)
  t.eq(ffi.sizeof(lib, "long"), 4)
  t.eq(ffi.sizeof(lib, "char *"), 4)
  t.eq(ffi.sizeof(lib, "int[?]", 5), 20)
  t.eq(ffi.alignof(lib, "struct node"), 16)
  t.eq(ffi.offsetof(lib, "struct node", "value"), 4)
  local offset, bit, bits = ffi.offsetof(lib, "node", "small")
  t.eq(offset, 16)
  t.eq(bit, 1)
  t.eq(bits, 5)
  t.eq(ffi.offsetof(lib, "node", "b") - ffi.offsetof(lib, "node", "a"), 2)
  t.eq(ffi.offsetof(lib, "node", "none"), nil)
  local Point = ffi.typeof(lib, "point")
  t.eq(tostring(Point), "ctype<struct point>")
  local p = Point { 1, 2 }
  same(p.y, 2)
  same(Point(p).y, 2)
  t.eq(Point == ffi.typeof(lib, p), true)
  t.eq(ffi.istype(Point, p), true)
  t.eq(ffi.istype(lib, "int", 5), false)
  t.eq(ffi.istype(lib, "struct node", p), false)
  t.eq(ffi.sizeof(Point), 16)
  t.eq(ffi.typeof(lib, "int")(3), 3)
  t.eq(ffi.new(lib, "int"), 0)
  t.misuse("unknown type 'pont' at 1:1", ffi.new, lib, "pont")
  t.misuse("bad argument #2 to 'sizeof' (unexpected ';' at 1:4", ffi.sizeof, lib, "int;")
  t.misuse("library expected, got string", ffi.new, "point")
  t.misuse("library expected, got nil", ffi.sizeof)
end)

t.test("casts", function()
  t.eq(ffi.cast(lib, "uint8_t", 300), 44)
  t.eq(ffi.cast(lib, "int8_t", 200), -56)
  t.eq(ffi.cast(lib, "int", 3.9), 3)
  t.eq(ffi.cast(lib, "int", -3.9), -3)
  t.eq(ffi.cast(lib, "unsigned", -1), 4294967295)
  t.eq(ffi.cast(lib, "bool", 5), true)
  same(ffi.cast(lib, "float", 0.1) == 0.1, false)
  t.eq(ffi.cast(lib, "uintptr_t", ffi.cast(lib, "void *", 4096)), 4096)
  local p = ffi.new(lib, "point", 1, 2)
  same(ffi.cast(lib, "double *", p)[1], 2)
  t.eq(tostring(ffi.cast(lib, "void *", 16)), "cdata<void *>: 0x00000010")
  t.misuse("cannot be cast", ffi.cast, lib, "int", {})
  t.misuse("cannot be cast", ffi.cast, lib, "point", 1)
end)

t.test("metatypes", function()
  local own = load_library()
  local Point
  Point = ffi.metatype(own, "point", {
    __index = { norm = function(p) return own.point_norm(p) end, zero = 0 },
    __add = function(a, b) return Point(a.x + b.x, a.y + b.y) end,
    __eq = function(a, b) return a.x == b.x and a.y == b.y end,
    __lt = function(a, b) return a.x < b.x end,
    __len = function() return 2 end,
    __call = function(p, n) return p.x * n end,
    __tostring = function(p) return ("(%g, %g)"):format(p.x, p.y) end,
    __concat = function(a, b) return tostring(a) .. tostring(b) end,
    __unm = function(p) return Point(-p.x, -p.y) end,
    __new = function(ct, x, y) return ffi.new(ct, x or 0, y or x or 0) end,
  })
  local p = Point(3)
  same(p.y, 3)
  same(p:norm(), 18)
  t.eq(p.zero, 0)
  t.eq(p.none, nil)
  t.eq(tostring(p + Point(1, 2)), "(4, 5)")
  t.eq(p == Point(3, 3), true)
  t.eq(Point(1) < Point(2), true)
  t.eq(#p, 2)
  same(p(10), 30)
  t.eq(p .. "!", "(3, 3)!")
  t.eq(tostring(-p), "(-3, -3)")
  same(own.point_largest(p, 1):norm(), 18)
  t.misuse("has a metatype already", ffi.metatype, own, "point", {})
  t.misuse("structure or union expected", ffi.metatype, own, "int", {})
end)

t.test("bytes", function()
  local a = ffi.new(lib, "char[8]")
  ffi.copy(a, "hi")
  t.eq(ffi.string(a), "hi")
  ffi.copy(lib, a + 2, "abcdef", 3)
  t.eq(ffi.string(a, 5), "hiabc")
  local b = ffi.new(lib, "char[8]")
  ffi.copy(b, a, 8)
  t.eq(ffi.string(b), "hiabc")
  ffi.fill(b, 3, 0x41)
  t.eq(ffi.string(b), "AAAbc")
  ffi.fill(b, 8)
  t.eq(ffi.string(lib, b), "")
  t.eq(ffi.string(ffi.cast(lib, "void *", a), 2), "hi")
  t.misuse("9 bytes for 'char [8]', which has 8", ffi.copy, b, "12345678")
  t.misuse("9 bytes for 'char [8]', which has 8", ffi.fill, b, 9)
  t.misuse("is not to be written", ffi.copy, lib.title, "x")
  t.misuse("needs a length", ffi.string, ffi.new(lib, "point"))
  t.misuse("outside of the library's memory", ffi.string, ffi.cast(lib, "char *", 0xfffffff0))
  t.misuse("C value expected", ffi.string, lib, "text")
end)

t.test("bad pointers", function()
  local null = ffi.cast(lib, "point *", 0)
  t.misuse("NULL pointer 'struct point *'", function() return null.x end)
  t.misuse("NULL pointer 'struct point *'", function() null.x = 1 end)
  t.misuse("NULL pointer 'struct point *'", function() return null[0] end)
  local far = ffi.cast(lib, "int *", 0xfffffffc)
  t.misuse("'int *' 0xfffffffc is outside of the library's memory", function() return far[0] end)
  t.misuse("outside of the library's memory", function() far[0] = 1 end)
  t.misuse("outside of the library's memory", function() return far[-2147483648] end)
  t.misuse("outside of the library's memory", function() return far[1] end)
  t.misuse("points to the incomplete type 'void'", function() return ffi.cast(lib, "void *", 8)[0] end)
  local other = load_library()
  t.misuse("of another library", other.point_scale, ffi.new(lib, "point"), 1)
  t.misuse("of another library", ffi.new, other, "point[1]", { ffi.new(lib, "point") })
end)

-- ---- Lifetimes ----------------------------------------------------------------------------------

t.test("memory is freed", function()
  local own = load_library()
  local function spend(n)
    for _ = 1, n do ffi.new(own, "char[1000]") end
    t.collect()
  end
  spend(40000) -- 40 MB, if it were not
  t.eq(ffi.instance(own).exports.memory:pages() < 300, true)
end)

t.test("what refers to an object keeps it", function()
  local inner = ffi.new(lib, "node").place
  inner.x = 5
  t.collect()
  for _ = 1, 100 do ffi.new(lib, "node") end
  same(inner.x, 5)
  local p = ffi.new(lib, "int[4]", 1, 2, 3, 4) + 2
  t.collect()
  for _ = 1, 100 do ffi.new(lib, "int[4]", 9) end
  t.eq(p[0], 3)
end)

t.test("free", function()
  local p = ffi.new(lib, "point", 1, 2)
  local same_place = ffi.cast(lib, "double *", p)
  ffi.free(p)
  t.misuse("the object of 'struct point' was freed", function() return p.x end)
  t.misuse("was freed", function() p.x = 1 end)
  t.misuse("was freed", function() return same_place[0] end)
  t.misuse("was freed", lib.point_scale, p, 2)
  t.misuse("was freed", ffi.free, p)
  t.eq(tostring(p):find "%(freed%)$" ~= nil, true)
  t.misuse("was not made by ffi.new", ffi.free, ffi.cast(lib, "int *", 8))
end)

t.test("finalisers", function()
  local gone = {}
  local function make(n)
    ffi.gc(ffi.new(lib, "point", n, n), function(p) gone[#gone + 1] = p.x end)
  end
  make(7)
  t.collect()
  same(gone[1], 7)
  local kept = ffi.gc(ffi.new(lib, "point", 8, 8), function() gone[#gone + 1] = "kept" end)
  ffi.gc(kept, nil)
  same(kept.x, 8)
  kept = nil
  t.collect()
  t.eq(#gone, 1)
  local copy = ffi.gc(lib.duplicate "x", lib.free)
  t.eq(ffi.string(copy), "x")
  copy = nil
  t.collect()
  local own = load_library()
  ffi.metatype(own, "pair", { __gc = function(p) gone[#gone + 1] = p.a end })
  ffi.new(own, "pair", 33)
  t.collect()
  t.eq(gone[#gone], 33)
end)

t.test("libraries are collected", function()
  local weak = setmetatable({}, { __mode = "k" })
  for _ = 1, 20 do
    local own = load_library()
    weak[own] = true
    ffi.callback(own, "map_fn", function() return own.counter end)
    own.length "text"
    ffi.new(own, "point").x = 1
  end
  if is_jit then require "jit".flush() end -- traces refer to what they have seen
  t.collect()
  t.collect()
  local n = 0
  for _ in pairs(weak) do n = n + 1 end
  t.eq(n <= 5, true)
end)

-- Finalisers that lua_close runs may use a library, whatever of it is gone already.
t.test("the end of a Lua state", function()
  local script = os.tmpname()
  local file = assert(io.open(script, "w"))
  file:write(([[
    local function at_end(f)
      if not newproxy then return setmetatable({}, { __gc = f }) end
      local proxy = newproxy(true)
      getmetatable(proxy).__gc = f
      return proxy
    end
    local use
    early = at_end(function() use() end)
    local ffi = require "wasm.ffi"
    local lib = assert(ffi.load(%q, "typedef struct { double x, y; } point;" ..
      "int length(const char *); unsigned add_unsigned(unsigned, unsigned);"))
    local p = ffi.new(lib, "point", 1, 2)
    function use()
      pcall(function() for _ = 1, 200 do p.x = p.x + 1 end end)
      pcall(lib.length, "text")
      pcall(lib.add_unsigned, 1, 2)
      pcall(ffi.new, lib, "point")
    end
    use()
    late = at_end(use)
    again = ffi.gc(ffi.new(lib, "point"), use)
    local done = io.open(%q, "w")
    done:write "end"
    done:close()]]):format(path, script .. ".out"))
  file:close()
  local command = ("%s %s >/dev/null 2>&1"):format(arg[-1], script)
  local status = os.execute(command)
  t.eq(status == true or status == 0, true, "exit status")
  t.eq(read_file(script .. ".out"), "end")
  os.remove(script)
  os.remove(script .. ".out")
end)

t.test("errno", function()
  t.eq(lib.set_errno(44), -1)
  t.eq(ffi.errno(lib), 44)
  t.eq(ffi.errno(lib, 0), 44)
  t.eq(ffi.errno(lib), 0)
end)

t.test("a closed instance", function()
  local own = load_library()
  local p = ffi.new(own, "point", 1, 2)
  local q = ffi.new(own, "int[2]")
  same(p.x, 1)
  local length = own.length
  ffi.instance(own):close()
  t.misuse("closed", function() return p.x end)
  t.misuse("closed", function() p.x = 1 end)
  t.misuse("closed", function() return q[0] end)
  t.misuse("closed", own.add, 1, 2)
  t.misuse("closed", length, "x")
  t.misuse("closed", ffi.new, own, "point")
end)

-- ---- Loading ------------------------------------------------------------------------------------

t.test("what the module lacks", function()
  local got, err = ffi.load(path, "int add(int a, long long b);\nint missing(char *);\n" ..
    "extern int nowhere;\nunsigned add_unsigned(unsigned, unsigned);")
  t.eq(got, nil)
  t.eq(err.kind, "link")
  local text = err.message
  t.eq(text:find("'add' is declared as int add(int a, long long b) " ..
    "((func (param i32 i64) (result i32))), but the module has " ..
    "(func (param i32 i32) (result i32))", 1, true) ~= nil, true)
  t.eq(text:find("'missing' is declared (int missing(char *), (func (param i32) (result i32))), " ..
    "but the module does not export it", 1, true) ~= nil, true)
  t.eq(text:find("variable 'nowhere'", 1, true) ~= nil, true)
  t.eq(text:find "add_unsigned", nil)
end)

t.test("loading fails", function()
  local got, err = ffi.load("no such file.wasm", "")
  t.eq(got, nil)
  t.eq(err.kind, "io")
  got, err = ffi.load(path, "int f(int a;")
  t.eq(got, nil)
  t.eq(err.kind, "malformed")
  t.eq(err.line, 1)
  t.eq(err.column, 12)
  t.misuse("bad argument #2 to 'load'", ffi.load, path)
  t.misuse("bad argument #1 to 'load'", ffi.load, 5, "")
  t.misuse("did you mean 'timeout'", ffi.load, path, "", nil, { timout = 1 })
end)

t.test("small modules", function()
  local small = assert(ffi.load([[(module (func (export "twice") (param i32) (result i32)
    (i32.mul (local.get 0) (i32.const 2))))]], "int twice(int x);"))
  t.eq(small.twice(21), 42)
  t.misuse("has no memory", ffi.new, small, "int[2]")
  small = assert(ffi.load(wasm.load [[(module (memory (export "memory") 1)
    (func (export "first") (param i32) (result i32) (i32.load8_u (local.get 0))))]],
    "unsigned char first(const char *text);"))
  t.misuse("exports no 'malloc' and 'free'", small.first, "text")
  t.misuse("exports no 'malloc' and 'free'", ffi.new, small, "int[2]")
  t.eq(small.first(ffi.cast(small, "char *", 16)), 0)
  t.misuse("exports no table", ffi.callback, small, "void (*)(void)", print)
end)

t.test("imports and limits", function()
  local got = {}
  local own = assert(ffi.load([[(module (import "env" "note" (func $note (param i32)))
    (func (export "run") (param i32) (call $note (local.get 0)))
    (func (export "spin") (loop $l (br $l))))]], "void run(int); void spin(void);",
    { env = { note = function(x) got[#got + 1] = x end } }, { fuel = 10000 }))
  own.run(5)
  t.eq(got[1], 5)
  t.traps("limit", "fuel", own.spin)
  local failed, err = ffi.load("(module (import \"a\" \"b\" (func)))", "")
  t.eq(failed, nil)
  t.eq(err.kind, "link")
end)
