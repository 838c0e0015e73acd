-- mem:pack and mem:unpack: string.pack's formats with the C ABI of the guest.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

local m = wasm.memory {min = 1}

local function roundtrip(format, bytes, next_at, ...)
  m:fill(0, 0xEE, 64)
  eq(m:pack(format, 0, ...), next_at, format .. " end")
  eq(m:read(0, #bytes), bytes, format .. " bytes")
  local got = t.pack(m:unpack(format, 0))
  local wanted = t.pack(...)
  eq(got.n, wanted.n + 1)
  for i = 1, wanted.n do eq(got[i], wanted[i], format .. " value " .. i) end
  eq(got[got.n], next_at)
end

test("sizes", function()
  roundtrip("b", "\255", 1, -1)
  roundtrip("B", "\255", 1, 255)
  roundtrip("h", "\254\255", 2, -2)
  roundtrip("H", "\1\2", 2, 0x201)
  roundtrip("i", "\255\255\255\255", 4, -1)
  roundtrip("I", "\255\255\255\255", 4, 4294967295)
  roundtrip("l", "\1\0\0\0", 4, 1)
  roundtrip("L", "\1\0\0\0", 4, 1)
  roundtrip("T", "\1\0\0\0", 4, 1)
  roundtrip("j", "\1\0\0\0\0\0\0\0", 8, 1)
  roundtrip("J", "\1\0\0\0\0\0\0\0", 8, 1)
  roundtrip("n", "\0\0\0\0\0\0\240\63", 8, 1.0)
  roundtrip("d", "\0\0\0\0\0\0\240\63", 8, 1.0)
  roundtrip("f", "\0\0\128\63", 4, 1.0)
  roundtrip("i3", "\1\2\3", 3, 0x030201)
  roundtrip("!1 i3", "\255\255\255", 3, -1)
  roundtrip("I2", "\1\2", 2, 0x201)
  roundtrip("!1 i16", "\255" .. ("\255"):rep(15), 16, -1)
end)

test("natural alignment, from address 0", function()
  roundtrip("b i", "\1\0\0\0\2\0\0\0", 8, 1, 2)
  roundtrip("b h b d", "\1\0\2\0\3\0\0\0\0\0\0\0\0\0\240\63", 16, 1, 2, 3, 1.0)
  roundtrip("!1 b i", "\1\2\0\0\0", 5, 1, 2)
  roundtrip("!2 b i", "\1\0\2\0\0\0", 6, 1, 2)
  roundtrip("b Xi b", "\1\0\0\0\2", 5, 1, 2)
  roundtrip("b i3 i", "\1\2\0\0\3\0\0\0", 8, 1, 2, 3)
  roundtrip("b x b", "\1\0\2", 3, 1, 2)
  eq(m:pack("i", 5, 7), 12)
  eq(m:load("i32", 8), 7)
  eq((m:unpack("i", 5)), 7)
end)

test("strings", function()
  roundtrip("z", "abc\0", 4, "abc")
  roundtrip("z i", "abc\0\1\0\0\0", 8, "abc", 1)
  roundtrip("s", "\3\0\0\0abc", 7, "abc")
  roundtrip("s1", "\3abc", 4, "abc")
  roundtrip("c3", "abc", 3, "abc")
  eq(m:pack("c5", 0, "abc"), 5)
  eq(m:read(0, 5), "abc\0\0")
  t.misuse("string longer than given size", m.pack, m, "c2", 0, "abc")
  t.misuse("string contains zeros", m.pack, m, "z", 0, "a\0b")
  t.misuse("string length does not fit", m.pack, m, "s1", 0, ("x"):rep(256))
end)

test("byte order", function()
  roundtrip(">I4", "\1\2\3\4", 4, 0x01020304)
  roundtrip(">H <H", "\1\2\2\1", 4, 0x0102, 0x0102)
  roundtrip(">d", "\63\240\0\0\0\0\0\0", 8, 1.0)
end)

test("ranges", function()
  t.misuse("bad argument #3 to 'pack' (integer overflow)", m.pack, m, "b", 0, 128)
  t.misuse("unsigned overflow", m.pack, m, "B", 0, 256)
  t.misuse("unsigned overflow", m.pack, m, "B", 0, -1)
  t.misuse("integer overflow", m.pack, m, "i", 0, 2147483648)
  t.misuse("bad argument #4 to 'pack' (integer expected, got nil)", m.pack, m, "bb", 0, 1, nil)
  t.misuse("integer expected, got no value", m.pack, m, "bb", 0, 1)
  t.misuse("number expected, got string", m.pack, m, "d", 0, "x")
  t.misuse("string expected, got number", m.pack, m, "z", 0, 1)
end)

test("bad formats", function()
  t.misuse("bad format to 'pack' (invalid option 'y')", m.pack, m, "y", 0)
  t.misuse("bad format to 'unpack' (invalid option 'Q')", m.unpack, m, "Q", 0)
  t.misuse("integral size (17) out of limits", m.unpack, m, "i17", 0)
  t.misuse("integral size (0) out of limits", m.unpack, m, "i0", 0)
  t.misuse("missing size", m.unpack, m, "c", 0)
  t.misuse("invalid next option for 'X'", m.unpack, m, "X", 0)
  t.misuse("format as a string expected", m.unpack, m, nil, 0)
end)

test("bounds", function()
  local oob = "out of bounds memory access"
  t.traps("trap", oob, m.pack, m, "i", 65533, 1)
  t.traps("trap", oob, m.unpack, m, "d", 65529)
  m:write(65533, "abc")
  t.traps("trap", oob, m.unpack, m, "z", 65533)
  m:store("u32", 65532, 4294967295)
  t.traps("trap", oob, m.unpack, m, "s", 65532)
  t.traps("trap", oob, m.unpack, m, "c70000", 0)
  eq(m:unpack("", 65536), 65536)
end)

test("128-bit integers that do not fit", function()
  m:fill(0, 0, 16)
  m:store("u8", 9, 1)
  t.misuse("16-byte integer does not fit", m.unpack, m, "!1 i16", 0)
  t.misuse("16-byte integer does not fit", m.unpack, m, "!1 I16", 0)
end)

if string.pack then
  test("as string.pack does it", function()
    for _, f in ipairs {"<!1 b", "<!4 bi4 h", "<!8 b i8 b i2 z s4 d f", "<!2 b i4 i8"} do
      local values = {1, 2, 3, 4, "five", "six", 7.5, 8.5}
      local ok, bytes = pcall(string.pack, f, table.unpack(values))
      if ok then
        m:fill(0, 0, 128)
        eq(m:pack(f, 0, table.unpack(values)), #bytes)
        eq(m:read(0, #bytes), bytes)
      end
    end
  end)
end
