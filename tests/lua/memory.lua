-- Memory objects and views.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq
local oob = "out of bounds memory access"

test("size and growing", function()
  local m = wasm.memory {min = 1, max = 3}
  eq(#m, 65536)
  eq(m:pages(), 1)
  eq(m:grow(1), 1)
  eq(m:pages(), 2)
  eq(m:grow(0), 2)
  local none, err = m:grow(2)
  eq(none, nil)
  eq(wasm.type(err), "error")
  eq(m:pages(), 2)
  eq(wasm.signature(m), "(memory 2 3)")
  eq(#wasm.memory(), 0)
  t.misuse("bad argument #1 to 'grow' (count expected, got -1)", m.grow, m, -1)
  t.misuse("bad argument #1 to 'grow' (count expected, got nil)", m.grow, m, nil)
end)

test("read and write", function()
  local m = wasm.memory {min = 1}
  eq(m:write(10, "hello"), 15)
  eq(m:read(10, 5), "hello")
  eq(m:read(9, 7), "\0hello\0")
  eq(m:read(0, 0), "")
  eq(m:read(65536, 0), "")
  eq(m:write(65536, ""), 65536)
  eq(#m:read(0, 65536), 65536)
  t.traps("trap", oob, m.read, m, 65536, 1)
  t.traps("trap", oob, m.read, m, 0, 65537)
  t.traps("trap", oob, m.read, m, 65537, 0)
  t.traps("trap", oob, m.read, m, 2 ^ 40, 2 ^ 40)
  t.traps("trap", oob, m.write, m, 65535, "xx")
  t.misuse("bad argument #1 to 'read' (address expected, got nil)", m.read, m, nil, 1)
  t.misuse("bad argument #1 to 'read' (address expected, got string)", m.read, m, "x", 1)
  t.misuse("bad argument #1 to 'read' (address expected, got 0.5)", m.read, m, 0.5, 1)
  t.misuse("bad argument #2 to 'read' (count expected, got -1)", m.read, m, 0, -1)
  t.misuse("bad argument #2 to 'write' (string expected, got number)", m.write, m, 0, 5)
end)

test("addresses that a guest returned as signed", function()
  local m = wasm.memory {min = 1}
  t.traps("trap", oob, m.read, m, -1, 1)
  t.traps("trap", oob, m.read, m, -4294967296, 1)
  t.traps("trap", oob, m.load, m, "i32", -4)
end)

test("load and store", function()
  local m = wasm.memory {min = 1}
  local cases = {
    {"i8", -1, "\255"}, {"u8", 255, "\255"}, {"i16", -2, "\254\255"}, {"u16", 65534, "\254\255"},
    {"i32", -3, "\253\255\255\255"}, {"u32", 4294967293, "\253\255\255\255"},
    {"i64", -4, "\252" .. ("\255"):rep(7)}, {"f32", 1.5, "\0\0\192\63"},
    {"f64", -2.0, "\0\0\0\0\0\0\0\192"}, {"v128", "0123456789abcdef", "0123456789abcdef"},
  }
  for _, case in ipairs(cases) do
    m:fill(0, 0, 32)
    m:store(case[1], 8, case[2])
    eq(m:load(case[1], 8), case[2], case[1])
    eq(m:read(8, #case[3]), case[3], case[1])
    eq(m:load("u8", 7), 0)
    eq(m:load("u8", 8 + #case[3]), 0)
    t.traps("trap", oob, m.load, m, case[1], 65536 - #case[3] + 1)
    t.traps("trap", oob, m.store, m, case[1], 65536 - #case[3] + 1, case[2])
    m:store(case[1], 65536 - #case[3], case[2])
  end
  m:store("i8", 0, 255)
  eq(m:load("i8", 0), -1)
  m:store("u16", 0, -1)
  eq(m:load("u16", 0), 65535)
  t.misuse("bad argument #3 to 'store' (i8 expected, got 256)", m.store, m, "i8", 0, 256)
  t.misuse("bad argument #3 to 'store' (u8 expected, got -129)", m.store, m, "u8", 0, -129)
  t.misuse("(i32 expected, got 1.5)", m.store, m, "i32", 0, 1.5)
  t.misuse("(f64 expected, got string)", m.store, m, "f64", 0, "1")
  t.misuse("(i32 expected, got no value)", m.store, m, "i32", 0)
  t.misuse("unknown type 'i23' (did you mean 'i32'?)", m.load, m, "i23", 0)
  t.misuse("unknown type 'int' (i8, u8, i16, u16, i32, u32, i64, f32, f64 or v128)", m.load, m,
    "int", 0)
  t.misuse("type expected, got '0': the type comes first", m.load, m, 0, "i32")
  t.misuse("bad argument #1 to 'read' (memory expected, got number)", m.read, 0, 3)
  t.misuse("bad argument #1 to 'load' (type as a string expected, got no value)", m.load, m)
end)

test("what is out of bounds is told", function()
  local m = wasm.memory {min = 1}
  local function told(text, f, ...)
    eq(t.traps("trap", oob, f, m, ...).message, oob .. " (" .. text .. ")")
  end
  told("4 bytes at 70000 of 65536", m.read, 70000, 4)
  told("1 byte at 65536 of 65536", m.load, "u8", 65536)
  told("8 bytes at 65529 of 65536", m.store, "f64", 65529, 1)
  told("3 bytes at 65534 of 65536", m.write, 65534, "abc")
  told("1 byte at 4294967295 of 65536", m.load, "i8", -1)
end)

test("cstring", function()
  local m = wasm.memory {min = 1}
  m:write(5, "hello\0world")
  eq(m:cstring(5), "hello")
  eq(m:cstring(5, 3), "hel")
  eq(m:cstring(5, 5), "hello")
  eq(m:cstring(5, 0), "")
  eq(m:cstring(0), "")
  m:write(65534, "ab")
  t.traps("trap", oob, m.cstring, m, 65534)
  eq(m:cstring(65534, 2), "ab")
  t.traps("trap", oob, m.cstring, m, 65534, 3)
  t.traps("trap", oob, m.cstring, m, 65537)
end)

test("fill and copy", function()
  local m = wasm.memory {min = 1}
  m:fill(0, 65, 4)
  m:copy(2, 0, 4)
  eq(m:read(0, 8), "AAAAAA\0\0")
  m:write(0, "abcdef")
  m:copy(1, 0, 5)
  eq(m:read(0, 6), "aabcde")
  t.traps("trap", oob, m.fill, m, 65535, 0, 2)
  t.traps("trap", oob, m.copy, m, 0, 65535, 2)
  t.traps("trap", oob, m.copy, m, 65535, 0, 2)
  t.misuse("bad argument #2 to 'fill' (byte expected, got number)", m.fill, m, 0, 300, 1)
end)

test("views", function()
  local m = wasm.memory {min = 1, max = 4}
  local v = m:view("i32", 8, 4)
  eq(#v, 4)
  v[1], v[4] = 5, -6
  eq(v[1], 5)
  eq(v[4], -6)
  eq(m:load("i32", 8), 5)
  eq(m:load("i32", 20), -6)
  m:store("i32", 12, 77)
  eq(v[2], 77)
  eq(v[0], nil)
  eq(v[5], nil)
  eq(v.x, nil)
  eq(v[1.5], nil)
  m:grow(2)
  v[2] = 78
  eq(m:load("i32", 12), 78)
  t.misuse("bad index to a view of 4 elements (5)", function() v[5] = 1 end)
  t.misuse("bad index to a view of 4 elements (x)", function() v.x = 1 end)
  t.misuse("i32 expected, got 1.5", function() v[1] = 1.5 end)
  t.traps("trap", oob, m.view, m, "i32", 65536 * 3 - 4, 2)
  local bytes = m:view("u8", 0, 8)
  bytes[8] = 255
  eq(m:load("u8", 7), 255)
  local doubles = m:view("f64", 64, 2)
  doubles[2] = 0.5
  eq(doubles[2], 0.5)
end)

test("pointer", function()
  local m = wasm.memory {min = 1}
  local p, is_stable = m:pointer()
  eq(type(p), "userdata")
  eq(type(is_stable), "boolean")
end)

test("guests and Lua see the same bytes", function()
  local e = t.exports [[(module (memory (export "m") 1 10)
    (func (export "set") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
    (func (export "get") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))]]
  e.set(100, 5)
  eq(e.m:load("i32", 100), 5)
  e.m:store("i32", 104, 9)
  eq(e.get(104), 9)
  eq(e.grow(2), 1)
  eq(#e.m, 3 * 65536)
  e.m:store("u8", 3 * 65536 - 1, 1)
  eq(e.m:grow(1), 3)
  eq(e.get(4 * 65536 - 4), 0)
  eq(e.grow(100), -1)
end)

test("64-bit and small-page memories", function()
  local m = wasm.memory {min = 1, max = 4, index = "i64"}
  eq(wasm.signature(m), "(memory i64 1 4)")
  m:store("i32", 65532, 7)
  eq(m:grow(1), 1)
  eq(m:load("i32", 65532), 7)
  t.traps("trap", oob, m.read, m, -1, 1)
  local small = wasm.memory {min = 10, pagesize = 1}
  eq(#small, 10)
  t.traps("trap", oob, small.read, small, 0, 11)
  t.misuse("bad option 'pagesize'", wasm.memory, {pagesize = 3})
end)

test("a shared memory that was closed cannot be adopted", function()
  local i = assert(wasm.instantiate [[(module (memory (export "m") 1 2 shared))]])
  local token = wasm.share(i.exports.m)
  eq(wasm.adopt(token), i.exports.m)
  i:close()
  local none, err = wasm.adopt(token)
  eq(none, nil)
  eq(err.kind, "link")
end)
