--- Objects and pointers of a library as Lua values: their metatables, one for each C type.
--
-- A value is a Ref of lua_ffi.c; its type's number leads to an info: {room=, type=, is_const=,
-- name=, metatable=}. Numbers in memory are read and written by C code, on LuaJIT by Lua code that
-- traces compile; all else, and whatever is wrong, comes to read() and write() here.

local core = require "wasm.ffi.core"
local convert = require "wasm.ffi.convert"
local ctype = require "wasm.ffi.ctype"

local object = {}

local misuse = convert.misuse
local jit_ffi = convert.jit_ffi
local infos = setmetatable({}, { __mode = "v" }) -- by number
local last_id = 0

local function info_of_id(id)
  return infos[id]
end
convert.info_of_id = info_of_id

local function info_of(x)
  local id = core.get(x)
  return id and infos[id]
end
object.info_of = info_of

-- ---- Checks -------------------------------------------------------------------------------------

-- The address of what a value refers to, of which `size` bytes from `offset` on are wanted.
local function check_place(info, ref, offset, size)
  local _, address, is_freed = core.get(ref)
  if is_freed then misuse("the object of '%s' was freed", info.name) end
  if address == 0 then misuse("NULL pointer '%s'", info.name) end
  local at = address + offset
  local room_size = info.room.size()
  if at < 0 or at + size > room_size then
    misuse("'%s' 0x%08x%s is outside of the library's memory of %d bytes", info.name, address,
      offset == 0 and "" or (" at offset %d"):format(offset), room_size)
  end
  return at
end
object.check_place = check_place

local function show_key(key)
  return type(key) == "string" and "'" .. key .. "'" or "[" .. tostring(key) .. "]"
end

-- The type of what the value refers to, and whether that is const.
local function target_of(info)
  local t = info.type
  if t.kind == "pointer" then return t.to, t.to_const end
  return t, info.is_const
end

-- The user's metatable for the type or what it points to.
local function meta_of(info)
  return info.room.metatypes[(target_of(info))]
end

-- ---- Reading and writing what the fast ways do not ----------------------------------------------

local function element_of(info)
  local t = info.type
  if t.kind == "pointer" then return t.to, t.to_const end
  if t.kind == "array" then return t.elem, t.elem_const or info.is_const end
end

-- The element's type, its const and its address.
local function find_element(info, ref, key)
  local elem, is_const = element_of(info)
  if not elem then misuse("'%s' has no elements", info.name) end
  if elem.kind == "func" then misuse("'%s' points to a function", info.name) end
  if not elem.size then
    misuse("'%s' points to the incomplete type '%s'", info.name, ctype.text(elem))
  end
  if key % 1 ~= 0 or key < -2 ^ 31 or key >= 2 ^ 32 then
    misuse("bad index to '%s' (%s)", info.name, tostring(key))
  end
  key = math.tointeger and math.tointeger(key) or key
  return elem, is_const, check_place(info, ref, key * elem.size, elem.size)
end

local function find_field(info, key)
  local target, is_const = target_of(info)
  return target.fields and target.fields[key], is_const
end

local function field_size(field)
  if field.bits then return math.ceil((field.bit_offset + field.bits) / 8) end
  return field.type.size or 0
end

local function read(ref, key)
  local info = info_of(ref)
  if not info then misuse("C value expected") end
  if type(key) == "number" then
    local elem, is_const, at = find_element(info, ref, key)
    return convert.load(info.room, elem, at, core.holder(ref), is_const)
  end
  local field, is_const = find_field(info, key)
  if field then
    local at = check_place(info, ref, field.offset, field_size(field)) - field.offset
    return convert.load_field(info.room, field, at, core.holder(ref), is_const)
  end
  local meta = meta_of(info)
  local index = meta and meta.__index
  if type(index) == "function" then return index(ref, key) end
  if index ~= nil and index[key] ~= nil then return index[key] end
  local method = info.type.kind == "pointer" and info.type.to.kind == "func" and
    info.room.callback_methods[key]
  if method then return method end
  if type(index) == "table" then return nil end
  misuse("'%s' has no member %s", info.name, show_key(key))
end

local function write(ref, key, value)
  local info = info_of(ref)
  if not info then misuse("C value expected") end
  if type(key) == "number" then
    local elem, is_const, at = find_element(info, ref, key)
    if is_const then misuse("'%s' points to what is const", info.name) end
    return convert.store(info.room, elem, at, value, ("'%s[%d]'"):format(info.name, key))
  end
  local field, is_const = find_field(info, key)
  if field then
    if is_const or field.const then
      misuse("member '%s' of '%s' is const", tostring(key), info.name)
    end
    local at = check_place(info, ref, field.offset, field_size(field)) - field.offset
    return convert.store_field(info.room, field, at, value, ("member '%s'"):format(key))
  end
  local meta = meta_of(info)
  local newindex = meta and meta.__newindex
  if type(newindex) == "function" then return newindex(ref, key, value) end
  if newindex ~= nil then
    newindex[key] = value
    return
  end
  misuse("'%s' has no member %s", info.name, show_key(key))
end

-- ---- Fast accesses on LuaJIT --------------------------------------------------------------------

local jit_access

if jit_ffi then
  jit_ffi.cdef [[
    typedef struct { uint32_t is_freed; } wasm_ffi_owner_;
    typedef struct { const void *mark; const wasm_ffi_owner_ *owner; uint32_t address, type; }
      wasm_ffi_ref_;
  ]]
  local ref_pointer = jit_ffi.typeof "wasm_ffi_ref_ *"
  local cast, number_type = jit_ffi.cast, type
  local names = { i8 = "int8_t", u8 = "uint8_t", i16 = "int16_t", u16 = "uint16_t",
    i32 = "int32_t", u32 = "uint32_t", f32 = "float", f64 = "double" }

  -- The functions for a number at a place. `room.base` is nil and `room.limit` 0 while the memory
  -- may not be read so.
  local function accessors(room, access)
    local size = tonumber(access:sub(2)) / 8
    local pointer = jit_ffi.typeof(names[access] .. " *")
    local is_float = access:sub(1, 1) == "f"
    local low, high = -2 ^ (size * 8 - 1), 2 ^ (size * 8)
    local function get(ref, key, offset)
      local r = cast(ref_pointer, ref)
      local at = r.address + offset
      if r.address == 0 or at < 0 or at + size > room.limit or
        r.owner ~= nil and r.owner.is_freed ~= 0 then
        room.refresh()
        return read(ref, key)
      end
      return cast(pointer, room.base + at)[0]
    end
    local function set(ref, key, value, offset)
      local r = cast(ref_pointer, ref)
      local at = r.address + offset
      if r.address == 0 or at < 0 or at + size > room.limit or
        r.owner ~= nil and r.owner.is_freed ~= 0 or number_type(value) ~= "number" or
        not is_float and (value < low or value >= high or value % 1 ~= 0) then
        room.refresh()
        return write(ref, key, value)
      end
      cast(pointer, room.base + at)[0] = value
    end
    return get, set
  end

  -- Places of `reads` and `writes` are {access, offset}; elements {access, size}.
  function jit_access(room, reads, writes, element, written)
    local getters, setters, offsets = {}, {}, {}
    for name, place in pairs(reads) do
      local get, set = room.accessors(place[1], accessors)
      getters[name], offsets[name] = get, place[2]
      if writes[name] then setters[name] = set end
    end
    local get_element, set_element, size
    if element then
      get_element, set_element = room.accessors(element[1], accessors)
      size = element[2]
    end
    if not written then set_element = nil end
    local function index(ref, key)
      if number_type(key) == "number" then
        if get_element and key % 1 == 0 then return get_element(ref, key, key * size) end
        return read(ref, key)
      end
      local get = getters[key]
      if get then return get(ref, key, offsets[key]) end
      return read(ref, key)
    end
    local function newindex(ref, key, value)
      if number_type(key) == "number" then
        if set_element and key % 1 == 0 then return set_element(ref, key, value, key * size) end
        return write(ref, key, value)
      end
      local set = setters[key]
      if set then return set(ref, key, value, offsets[key]) end
      return write(ref, key, value)
    end
    return index, newindex
  end
end

-- ---- Metatables ---------------------------------------------------------------------------------

-- The places of the numbers among the members, for reading and for writing.
local function places_of(target, is_const, encode)
  local reads, writes = {}, {}
  for name, field in pairs(target.fields or {}) do
    local place = not field.bits and encode(field.type, field.offset)
    if place then
      reads[name] = place
      if not is_const and not field.const then writes[name] = place end
    end
  end
  return reads, writes
end

local function encode_for_c(t, offset)
  local kind = convert.kind_number(t)
  return kind and offset * 16 + kind
end

local function encode_for_jit(t, offset)
  local access = convert.access_of(t)
  if not access or access == "bool" or access == "i64" then return nil end
  return { access, offset }
end

local function make_access(info)
  local target, is_const = target_of(info)
  local elem, elem_const = element_of(info)
  local encode = jit_ffi and encode_for_jit or encode_for_c
  local reads, writes = places_of(target, is_const, encode)
  local element = elem and elem.size and encode(elem, elem.size)
  local written = not elem_const and element or nil
  if jit_ffi then return jit_access(info.room, reads, writes, element, written) end
  return core.access(info.room.memory, reads, read, writes, write, element or nil, written)
end

-- Metamethods that any of two operands may decide about.
local function from_meta(name, ...)
  for i = 1, 2 do
    local info = info_of((select(i, ...)))
    local meta = info and meta_of(info)
    local f = meta and meta[name]
    if f then return f end
  end
end

local function operands(a, b)
  local info_a, info_b = info_of(a), info_of(b)
  return info_a, info_b
end

-- A pointer to the elements of an array, or the pointer itself.
local function as_pointer(info)
  if info.type.kind == "pointer" then return info.type end
  if info.type.kind == "array" then
    return ctype.pointer(info.type.elem, info.type.elem_const or info.is_const)
  end
end

local function move(info, ref, n)
  local t = as_pointer(info)
  if not t or not t.to.size or t.to.kind == "func" then
    misuse("no arithmetic with '%s'", info.name)
  end
  if type(n) ~= "number" or n % 1 ~= 0 then
    misuse("integer expected for arithmetic with '%s', got %s", info.name, convert.describe(n))
  end
  local _, address = core.get(ref)
  local at = (address + n * t.to.size) % 2 ^ 32
  at = math.tointeger and math.tointeger(at) or at
  return info.room.new_ref(t, false, at, core.holder(ref))
end

local function add(a, b)
  local info_a, info_b = operands(a, b)
  if info_a and not info_b then return move(info_a, a, b) end
  if info_b and not info_a then return move(info_b, b, a) end
  misuse("two pointers cannot be added")
end

local function distance(info_a, info_b, a, b)
  local t, u = as_pointer(info_a), as_pointer(info_b)
  local fits = t and u and info_a.room == info_b.room and t.to.size and
    ctype.may_point(t.to, true, u.to, true)
  if not fits then misuse("no difference of '%s' and '%s'", info_a.name, info_b.name) end
  local _, x = core.get(a)
  local _, y = core.get(b)
  local n = (x - y) / t.to.size
  if n % 1 ~= 0 then n = math.floor(n) end
  return math.tointeger and math.tointeger(n) or n
end

local function sub(a, b)
  local info_a, info_b = operands(a, b)
  if info_a and info_b then return distance(info_a, info_b, a, b) end
  if not info_a then misuse("a pointer cannot be subtracted from %s", convert.describe(a)) end
  if type(b) ~= "number" then return move(info_a, a, b) end
  return move(info_a, a, -b)
end

local function compare(a, b)
  local info_a, info_b = operands(a, b)
  if not info_a or not info_b or info_a.room ~= info_b.room or not as_pointer(info_a) or
    not as_pointer(info_b) then
    misuse("%s and %s cannot be compared", convert.describe(a), convert.describe(b))
  end
  local _, x = core.get(a)
  local _, y = core.get(b)
  return x, y
end

local standard = {}

function standard.__eq(a, b)
  local f = from_meta("__eq", a, b)
  if f then return f(a, b) end
  local info_a, info_b = operands(a, b)
  if not info_a or not info_b or info_a.room ~= info_b.room then return false end
  local _, x = core.get(a)
  local _, y = core.get(b)
  return x == y
end

function standard.__lt(a, b)
  local f = from_meta("__lt", a, b)
  if f then return f(a, b) end
  local x, y = compare(a, b)
  return x < y
end

function standard.__le(a, b)
  local f = from_meta("__le", a, b)
  if f then return f(a, b) end
  local x, y = compare(a, b)
  return x <= y
end

function standard.__add(a, b)
  local f = from_meta("__add", a, b)
  if f then return f(a, b) end
  return add(a, b)
end

function standard.__sub(a, b)
  local f = from_meta("__sub", a, b)
  if f then return f(a, b) end
  return sub(a, b)
end

function standard.__len(a)
  local f = from_meta("__len", a)
  if f then return f(a) end
  local info = info_of(a)
  if info.type.kind == "array" and info.type.n then return info.type.n end
  misuse("'%s' has no length", info.name)
end

function standard.__call(a, ...)
  local f = from_meta("__call", a)
  if f then return f(a, ...) end
  local info = info_of(a)
  if info.type.kind ~= "pointer" or info.type.to.kind ~= "func" then
    misuse("'%s' is no function", info.name)
  end
  local _, address, is_freed = core.get(a)
  if is_freed then misuse("the callback was freed") end
  return info.room.function_at(info.type.to, address)(...)
end

function standard.__tostring(a)
  local f = from_meta("__tostring", a)
  if f then return f(a) end
  local info = info_of(a)
  local _, address, is_freed = core.get(a)
  return ("cdata<%s>: 0x%08x%s"):format(info.name, address, is_freed and " (freed)" or "")
end

for _, name in ipairs { "__concat", "__mul", "__div", "__mod", "__pow", "__unm", "__idiv", "__band",
  "__bor", "__bxor", "__bnot", "__shl", "__shr" } do
  standard[name] = function(a, b)
    local f = from_meta(name, a, b)
    if f then return f(a, b) end
    misuse("no %s for %s and %s", name:sub(3), convert.describe(a), convert.describe(b))
  end
end

-- What the user's metatable has beyond the standard ones (__pairs, __close, ...).
local function add_others(metatable, meta)
  for name, f in pairs(meta) do
    if type(name) == "string" and name:find "^__" and metatable[name] == nil and name ~= "__new" and
      name ~= "__gc" and name ~= "__mode" and name ~= "__metatable" then
      metatable[name] = f
    end
  end
end

function object.set_meta(room, t, meta)
  room.metatypes[t] = meta
  for _, list in ipairs { room.infos, room.const_infos } do
    for _, info in pairs(list) do
      if target_of(info) == t then add_others(info.metatable, meta) end
    end
  end
end

local function new_info(room, t, is_const)
  last_id = last_id + 1
  local info = { id = last_id, room = room, type = t, is_const = is_const,
    name = ctype.text(t, is_const) }
  local metatable = { __metatable = "ffi", __name = "cdata" }
  for name, f in pairs(standard) do metatable[name] = f end
  info.metatable = metatable
  metatable.__index, metatable.__newindex = make_access(info)
  metatable[0] = info -- lives as long as its values
  local meta = meta_of(info)
  if meta then add_others(metatable, meta) end
  infos[last_id] = info
  return info
end

function object.info(room, t, is_const)
  local list = is_const and room.const_infos or room.infos
  local info = list[t]
  if not info then
    info = new_info(room, t, is_const or false)
    list[t] = info
  end
  return info
end

-- A value of a pointer type with that address, or the object of another type that lies there.
function object.new_ref(room, t, is_const, address, holder)
  local info = object.info(room, t, is_const)
  return core.new(info.metatable, info.id, address, holder)
end

return object
