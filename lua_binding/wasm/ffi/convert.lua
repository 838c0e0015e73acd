--- Values both ways: Lua <-> C, in the memory of a library.
--
-- What cannot be converted without loss is refused: fractions and numbers out of range for
-- integers, strings for pointers that the library may keep, pointers to something else. Numbers of
-- n bits may come signed or unsigned, as everywhere in `wasm`. A null pointer is nil.
--
-- A room is the state of one library: `memory`, `exports`, `scope`, allocation (wasm.ffi.room).

local wasm = require "wasm"
local core = require "wasm.ffi.core"
local ctype = require "wasm.ffi.ctype"

local convert = {}

local has_integers = math.type ~= nil
local jit_ffi -- LuaJIT's; elsewhere "ffi" may be anybody's module
if rawget(_G, "jit") then
  local found, module = pcall(require, "ffi")
  jit_ffi = found and module or nil
end
convert.jit_ffi = jit_ffi

-- ---- Misuse -------------------------------------------------------------------------------------

-- Raises with the place of the code that uses this library.
function convert.misuse(message, ...)
  if select("#", ...) > 0 then message = message:format(...) end
  local where = ""
  if debug and debug.getinfo then
    for level = 2, 30 do
      local info = debug.getinfo(level, "Sl")
      if not info then break end
      local ours = info.source:find "wasm/ffi" or info.source:find "^=%[?wasm"
      if info.what ~= "C" and not ours and info.currentline > 0 then
        where = ("%s:%d: "):format(info.short_src, info.currentline)
        break
      end
    end
  end
  error(where .. message, 0)
end
local misuse = convert.misuse

-- What a value is, for messages.
function convert.describe(value)
  if type(value) == "number" then return "number " .. tostring(value) end
  if type(value) == "userdata" then
    local id = core.get(value)
    local info = id and convert.info_of_id(id)
    if info then return "'" .. info.name .. "'" end
  end
  return type(value)
end

local function bad(value, t, what)
  misuse("bad value for %s (%s expected, got %s)", what or "conversion", ctype.text(t),
    convert.describe(value))
end
convert.bad = bad

-- ---- Numbers ------------------------------------------------------------------------------------

-- The kinds of the C part, which does most accesses (lua_ffi.c).
local kind_numbers = { i8 = 0, u8 = 1, i16 = 2, u16 = 3, i32 = 4, u32 = 5, i64 = 6, f32 = 7,
  f64 = 8, bool = 9 }

-- How a number lies in memory: the access of wasm.memory, "bool", or nil for what is no number of
-- at most 64 bits.
local function access_of(t)
  if t.kind == "int" or t.kind == "enum" then
    return (t.signed and "i" or t.size == 8 and "i" or "u") .. t.size * 8
  elseif t.kind == "float" then
    return t.size < 16 and "f" .. t.size * 8 or nil
  elseif t.kind == "bool" then
    return "bool"
  end
end
convert.access_of = access_of

-- The number of the kind if the C part may do all accesses of it.
function convert.kind_number(t)
  if t.size == 8 and (t.kind == "int" or t.kind == "enum") and not t.signed and jit_ffi then
    return nil
  end
  local access = access_of(t)
  return access and kind_numbers[access]
end

local u64_type = jit_ffi and jit_ffi.typeof "uint64_t"
local int64_type = jit_ffi and jit_ffi.typeof "int64_t"

-- 64 bits that are unsigned: LuaJIT has a type for them. Elsewhere they stay what they are.
local function as_unsigned(v)
  if u64_type and type(v) == "number" and v < 0 then v = int64_type(v) end
  if u64_type and type(v) ~= "number" then return u64_type(v) end
  return v
end
convert.as_unsigned = as_unsigned

-- A number of 32 bits or fewer, from any that has the same low bits.
local function wrap(v, bits, signed)
  local range = 2 ^ bits
  v = v % range
  if signed and v >= range / 2 then v = v - range end
  return has_integers and math.tointeger(v) or v
end

local function is_number(v)
  if type(v) ~= "userdata" then return type(v) == "number" or type(v) == "cdata" end
  local metatable = core.get(v) == nil and getmetatable(v)
  local index = type(metatable) == "table" and metatable.__index
  return type(index) == "table" and index.tonumber ~= nil -- a wasm.i64
end

local function enum_value(t, v)
  if type(v) == "string" and t.values then return t.values[v] end
  return v
end

-- The Lua number for an integer type that the value means, or nil.
local function to_integer(t, v)
  if t.kind == "enum" then v = enum_value(t, v) end
  if v == true then v = 1 elseif v == false then v = 0 end
  if t.size == 8 then
    if not is_number(v) then return nil end
    local ok, x = pcall(wasm.i64, v)
    return ok and x or nil
  end
  if type(v) == "cdata" or type(v) == "userdata" then
    if not is_number(v) then return nil end
    v = tonumber(tostring(v):match "^%-?%d+")
  end
  if type(v) ~= "number" or v % 1 ~= 0 then return nil end
  local half = 2 ^ (t.size * 8 - 1)
  if v < -half or v >= half * 2 then return nil end
  return has_integers and math.tointeger(v) or v
end

local function to_bool(v)
  if type(v) == "boolean" then return v end
  if v == 0 then return false elseif v == 1 then return true end
  return nil
end

local function to_float(v)
  if type(v) == "number" then return v + 0.0 end
  if is_number(v) then return tonumber(v) or v:tonumber() end
end

-- The value of a number type as a parameter of WebAssembly: narrow integers are extended.
function convert.to_wasm(t, v, what)
  local x
  if t.kind == "bool" then
    x = to_bool(v)
    if x ~= nil then return x and 1 or 0 end
  elseif t.kind == "float" then
    x = to_float(v)
  else
    x = to_integer(t, v)
    if x and t.size < 4 then x = wrap(x, t.size * 8, t.signed) end
  end
  if x == nil then bad(v, t, what) end
  return x
end

-- The other way; narrow integers may have anything in their upper bits.
function convert.from_wasm(t, v)
  if t.kind == "bool" then return v % 256 ~= 0 end
  if t.kind == "float" then return v end
  if t.size == 8 then return t.signed and v or as_unsigned(v) end
  if t.size < 4 or not t.signed then return wrap(v, t.size * 8, t.signed) end
  return v
end

-- ---- long double: IEEE 754 with 128 bits --------------------------------------------------------

-- x * 2^e without an intermediate overflow.
local function scale(x, e)
  if e > 1100 then return x * math.huge end
  if e < -1200 then return 0.0 * x end
  local half = math.floor(e / 2)
  return x * 2.0 ^ half * 2.0 ^ (e - half)
end

-- The nearest double of four 32-bit words, lowest first.
function convert.from_quad(w0, w1, w2, w3)
  local sign = w3 >= 2 ^ 31 and -1.0 or 1.0
  local exponent = math.floor(w3 / 65536) % 32768
  local high = (w3 % 65536) * 2.0 ^ 32 + w2
  if exponent == 32767 then
    if high == 0 and w1 == 0 and w0 == 0 then return sign * math.huge end
    return 0.0 / 0.0
  end
  if exponent == 0 then return sign * 0.0 end
  if w0 ~= 0 and w1 % 2 == 0 then w1 = w1 + 1 end -- it only decides about rounding
  return sign * scale(2.0 ^ 48 + high + w1 * 2.0 ^ -32, exponent - 16383 - 48)
end

local function split(x)
  local e = math.floor(math.log(x) / math.log(2))
  local m = scale(x, -e)
  while m >= 2 do m, e = m / 2, e + 1 end
  while m < 1 do m, e = m * 2, e - 1 end
  return m - 1, e
end

-- Four words of a double, lowest first.
function convert.to_quad(x)
  local sign = (x < 0 or x == 0 and 1 / x < 0) and 2 ^ 31 or 0
  if x ~= x then return 0, 0, 0, 0x7fff8000 end
  x = math.abs(x)
  if x == math.huge then return 0, 0, 0, sign + 0x7fff0000 end
  if x == 0 then return 0, 0, 0, sign end
  local fraction, e = split(x)
  local top = math.floor(fraction * 65536)
  fraction = fraction * 65536 - top
  local w2 = math.floor(fraction * 2 ^ 32)
  local w1 = (fraction * 2 ^ 32 - w2) * 2 ^ 32
  return 0, w1, w2, sign + (e + 16383) * 65536 + top
end

-- As two i64 for a call: text is taken for an i64 on every Lua.
function convert.quad_to_wasm(v, what)
  local x = to_float(v)
  if not x then bad(v, ctype.ldouble, what) end
  local w0, w1, w2, w3 = convert.to_quad(x)
  return ("0x%08x%08x"):format(w1, w0), ("0x%08x%08x"):format(w3, w2)
end

local function words_of(v)
  return core.arith("&", v, 0xffffffff, "u64"), core.arith(">>", v, 32, "u64")
end

function convert.quad_from_wasm(low, high)
  local w0, w1 = words_of(low)
  local w2, w3 = words_of(high)
  return convert.from_quad(w0, w1, w2, w3)
end

-- ---- Bit-fields ---------------------------------------------------------------------------------

-- The bits of `v` that lie in byte i of a field that begins at `bit`.
local function byte_part(v, i, bit)
  local by = 8 * i - bit
  local part = by < 0 and core.arith("<<", v, -by, "u64") or core.arith(">>", v, by, "u64")
  return core.arith("&", part, 255, "u64")
end

local function load_bits(room, field, at)
  local t, bit, bits = field.type, field.bit_offset, field.bits
  local x = 0
  for i = 0, math.ceil((bit + bits) / 8) - 1 do
    local byte, by = room.memory:load("u8", at + i), 8 * i - bit
    local part = by < 0 and core.arith(">>", byte, -by, "u64") or core.arith("<<", byte, by, "u64")
    x = core.arith("|", x, part, "u64")
  end
  x = core.arith("<<", x, 64 - bits, "u64")
  x = core.arith(">>", x, 64 - bits, t.signed and "i64" or "u64")
  if t.kind == "bool" then return x ~= 0 end
  return t.size == 8 and not t.signed and as_unsigned(x) or x
end

local function is_in_width(v, bits)
  if bits == 64 then return true end
  local x = type(v) == "number" and v or tonumber(tostring(v):match "^%-?%d+")
  return x >= -2 ^ (bits - 1) and x < 2 ^ bits
end

local function store_bits(room, field, at, value, what)
  local t, bit, bits = field.type, field.bit_offset, field.bits
  local x
  if t.kind == "bool" then
    x = to_bool(value)
    if x ~= nil then x = x and 1 or 0 end
  else
    x = to_integer(t, value)
  end
  if x == nil or not is_in_width(x, bits) then
    misuse("bad value for %s (%s of %d bits expected, got %s)", what, ctype.text(t), bits,
      convert.describe(value))
  end
  local mask = core.arith(">>", -1, 64 - bits, "u64")
  x = core.arith("&", x, mask, "u64")
  for i = 0, math.ceil((bit + bits) / 8) - 1 do
    local old = room.memory:load("u8", at + i)
    local kept = old - core.arith("&", old, byte_part(mask, i, bit), "u64")
    room.memory:store("u8", at + i, kept + byte_part(x, i, bit))
  end
end

-- ---- From memory --------------------------------------------------------------------------------

-- The value at an address. Objects and what is in them hold `holder`.
function convert.load(room, t, at, holder, is_const)
  local access = access_of(t)
  if access == "bool" then return room.memory:load("u8", at) ~= 0 end
  if access then
    local v = room.memory:load(access, at)
    if t.size == 8 and t.kind ~= "float" and not t.signed then return as_unsigned(v) end
    return v
  end
  if t.kind == "float" then
    local load = room.memory.load
    return convert.from_quad(load(room.memory, "u32", at), load(room.memory, "u32", at + 4),
      load(room.memory, "u32", at + 8), load(room.memory, "u32", at + 12))
  elseif t.kind == "pointer" then
    local address = room.memory:load("u32", at)
    if address == 0 then return nil end
    return room.new_ref(t, false, address)
  end
  return room.new_ref(t, is_const, at, holder)
end

function convert.load_field(room, field, base, holder, is_const)
  if field.bits then return load_bits(room, field, base + field.offset) end
  return convert.load(room, field.type, base + field.offset, holder, is_const or field.const)
end

-- ---- To memory ----------------------------------------------------------------------------------

-- The address that a pointer of type `t` is given for the value: nil, a pointer or object.
function convert.to_pointer(room, t, value, what)
  if value == nil then return 0 end
  local id, address, is_freed = core.get(value)
  if not id then
    if type(value) == "string" then
      misuse("bad value for %s (a string has no place in the library; copy it with ffi.new(lib, " ..
        "\"char[?]\", #s + 1, s))", what)
    end
    bad(value, t, what)
  end
  local info = convert.info_of_id(id)
  if not info or info.room ~= room then
    misuse("bad value for %s (%s of another library)", what, convert.describe(value))
  end
  if is_freed then misuse("bad value for %s ('%s' was freed)", what, info.name) end
  local from = info.type
  local ok
  if from.kind == "pointer" then
    ok = ctype.may_point(t.to, t.to_const, from.to, from.to_const)
  else
    ok = ctype.may_point(t.to, t.to_const, from, info.is_const)
    if from.kind == "array" then
      ok = ok or ctype.may_point(t.to, t.to_const, from.elem, from.elem_const or info.is_const)
    end
  end
  if not ok then bad(value, t, what) end
  return address, id
end

local function copy_string(room, t, at, value, what)
  if not t.n or t.n == "?" then bad(value, t, what) end
  if #value > t.n then
    misuse("bad value for %s (%s expected, got a string of %d bytes)", what, ctype.text(t), #value)
  end
  room.memory:write(at, #value < t.n and value .. "\0" or value)
end

local function element_type(t, what)
  if not t.n or t.n == "?" then misuse("bad value for %s (its length is unknown)", what) end
  return t.elem, t.elem.size
end

-- Elements from index 0 or 1; one alone stands for all.
local function store_array(room, t, at, list, what, n_given)
  local elem, size = element_type(t, what)
  local first = list[0] ~= nil and 0 or 1
  local n = n_given or 0
  if not n_given then
    while list[first + n] ~= nil do n = n + 1 end
  end
  if n > t.n then
    misuse("bad value for %s (at most %d elements expected, got %d)", what, t.n, n)
  end
  for i = 0, n - 1 do
    convert.store(room, elem, at + i * size, list[first + i], ("%s[%d]"):format(what, i))
  end
  if n == 1 then
    for i = 1, t.n - 1 do room.memory:copy(at + i * size, at, size) end
  end
end

local function store_member(room, field, at, value, what)
  what = ("%s.%s"):format(what, field.name or "?")
  if field.bits then
    store_bits(room, field, at + field.offset, value, what)
  else
    convert.store(room, field.type, at + field.offset, value, what)
  end
end

local function store_positions(room, t, at, list, what, n)
  local named = t.named
  local most = t.kind == "union" and 1 or #named
  if n > most then
    misuse("bad value for %s (at most %d members expected, got %d)", what, most, n)
  end
  for i = 1, n do
    if list[i] ~= nil then store_member(room, named[i], at, list[i], what) end
  end
end

local function store_record(room, t, at, list, what)
  if list[1] ~= nil then
    local n = 0
    while list[n + 1] ~= nil do n = n + 1 end
    return store_positions(room, t, at, list, what, n)
  end
  for name, value in pairs(list) do
    local field = t.fields[name]
    if not field then misuse("'%s' has no member '%s'", t.name, tostring(name)) end
    store_member(room, field, at, value, what)
  end
end

-- Copies an object of the same type; false when the value is none.
local function copy_object(room, t, at, value, what)
  local id, address, is_freed = core.get(value)
  local info = id and convert.info_of_id(id)
  if not info then return false end
  if info.room ~= room then
    misuse("bad value for %s (%s of another library)", what, convert.describe(value))
  end
  local is_same = info.type == t or info.type.kind == "pointer" and info.type.to == t
  if not is_same and t.kind == "array" and info.type.kind == "array" then
    is_same = info.type.elem == t.elem and info.type.n == t.n
  end
  if not is_same then return false end
  if is_freed then misuse("bad value for %s ('%s' was freed)", what, info.name) end
  if address == 0 then misuse("bad value for %s (a NULL pointer)", what) end
  room.memory:copy(at, address, t.size)
  return true
end

-- Writes a value as the type at an address; `what` names the place in messages.
function convert.store(room, t, at, value, what)
  local access = access_of(t)
  if access then
    local x = convert.to_wasm(t, value, what)
    if access == "bool" then access = "u8" end
    room.memory:store(access, at, x)
  elseif t.kind == "float" then
    local x = to_float(value)
    if not x then bad(value, t, what) end
    local words = { convert.to_quad(x) }
    for i = 1, 4 do
      room.memory:store("u32", at + 4 * (i - 1), has_integers and math.tointeger(words[i])
        or words[i])
    end
  elseif t.kind == "pointer" then
    local address
    if type(value) == "function" and t.to.kind == "func" then
      address = room.function_index(t.to, value, what)
    else
      address = convert.to_pointer(room, t, value, what)
    end
    room.memory:store("u32", at, address)
  elseif type(value) == "userdata" and copy_object(room, t, at, value, what) then
    return
  elseif type(value) == "string" and t.kind == "array" and ctype.is_bytes(t.elem) then
    copy_string(room, t, at, value, what)
  elseif type(value) ~= "table" then
    bad(value, t, what)
  elseif t.kind == "array" then
    store_array(room, t, at, value, what)
  else
    store_record(room, t, at, value, what)
  end
end

function convert.store_field(room, field, base, value, what)
  if field.bits then return store_bits(room, field, base + field.offset, value, what) end
  convert.store(room, field.type, base + field.offset, value, what)
end

-- Initialises zeroed memory with the arguments of a constructor.
function convert.init(room, t, at, what, n, first, ...)
  if n == 0 or n == 1 and first == nil then return end
  if ctype.is_record(t) then
    if n == 1 and type(first) == "table" then return store_record(room, t, at, first, what) end
    if n == 1 and type(first) == "userdata" and copy_object(room, t, at, first, what) then
      return
    end
    return store_positions(room, t, at, { first, ... }, what, n)
  end
  if n == 1 and (type(first) == "table" or type(first) == "string" or
    type(first) == "userdata" and core.get(first)) then
    return convert.store(room, t, at, first, what)
  end
  store_array(room, t, at, { first, ... }, what, n)
end

-- ---- Casts --------------------------------------------------------------------------------------

-- The number that a cast makes of a value, which wraps as it does in C.
function convert.cast_number(t, value)
  local id, address = core.get(value)
  if id then value = address end
  if type(value) == "string" and t.kind == "enum" then value = enum_value(t, value) end
  if value == nil and t.kind ~= "float" then value = 0 end
  if type(value) == "boolean" then value = value and 1 or 0 end
  if not is_number(value) then return nil end
  if t.kind == "float" then
    local x = to_float(value)
    if t.size == 4 then x = wasm.global("f32", x).value end
    return x
  end
  if t.kind == "bool" then return to_float(value) ~= 0 end
  if type(value) == "number" and (not has_integers or math.type(value) == "float") then
    if value ~= value or value >= 2 ^ 64 or value < -2 ^ 63 then return nil end
    value = value < 0 and math.ceil(value) or math.floor(value)
    if has_integers and math.type(value) == "float" then value = wasm.i64(value) end
  end
  local x = core.arith("+", value, 0, t.signed and "i64" or "u64")
  if t.size == 8 then return t.signed and x or as_unsigned(x) end
  x = core.arith("&", x, core.arith(">>", -1, 64 - t.size * 8, "u64"), "u64")
  return wrap(x, t.size * 8, t.signed)
end

return convert
