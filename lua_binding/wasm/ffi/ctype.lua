--- C types as clang has them for wasm32: their sizes, layouts, names, and how they cross calls.
--
-- A type is a table with `kind` ("void" "bool" "int" "float" "enum" "pointer" "array" "struct"
-- "union" "func"), `size` and `align` in bytes (nil while it is incomplete). The same type is the
-- same table: pointers, arrays and functions are made once. Qualifiers belong to the place that has
-- a type, so `const` is a second value next to it: of what a pointer points to (`to_const`), of the
-- elements of an array (`elem_const`), of a field (`const`).
--
-- The layout is that of the Itanium C++ ABI, whose rules for bit-fields clang follows here. How
-- values cross calls is the basic C ABI of WebAssembly's tool conventions.

local ctype = {}

-- ---- Simple types -------------------------------------------------------------------------------

local function simple(kind, name, size, fields)
  local t = { kind = kind, name = name, size = size, align = size }
  for key, value in pairs(fields or {}) do t[key] = value end
  return t
end

local function integer(name, size, signed)
  return simple("int", name, size, { signed = signed })
end

ctype.void = simple("void", "void", nil)
ctype.bool = simple("bool", "bool", 1)
ctype.char = integer("char", 1, true)
ctype.schar = integer("signed char", 1, true)
ctype.uchar = integer("unsigned char", 1, false)
ctype.short = integer("short", 2, true)
ctype.ushort = integer("unsigned short", 2, false)
ctype.int = integer("int", 4, true)
ctype.uint = integer("unsigned int", 4, false)
ctype.long = integer("long", 4, true)
ctype.ulong = integer("unsigned long", 4, false)
ctype.llong = integer("long long", 8, true)
ctype.ullong = integer("unsigned long long", 8, false)
ctype.float = simple("float", "float", 4)
ctype.double = simple("float", "double", 8)
ctype.ldouble = simple("float", "long double", 16)

-- ---- Types made of others -----------------------------------------------------------------------

function ctype.pointer(to, is_const)
  local slot = is_const and "const_pointer" or "plain_pointer"
  local t = to[slot]
  if not t then
    t = { kind = "pointer", size = 4, align = 4, to = to, to_const = is_const or false }
    to[slot] = t
  end
  return t
end

-- `n` is nil for an array of unknown length and "?" for one whose length comes with a call.
function ctype.array(elem, is_const, n)
  local slot = is_const and "const_arrays" or "arrays"
  local known = elem[slot]
  if not known then
    known = setmetatable({}, { __mode = "v" })
    elem[slot] = known
  end
  local key = n or false
  local t = known[key]
  if not t then
    t = { kind = "array", elem = elem, elem_const = is_const or false, n = n, align = elem.align }
    if type(n) == "number" then t.size = n * elem.size end
    known[key] = t
  end
  return t
end

local type_numbers = setmetatable({}, { __mode = "k" })
local last_number = 0

local function number_of(t)
  if not type_numbers[t] then
    last_number = last_number + 1
    type_numbers[t] = last_number
  end
  return type_numbers[t]
end

-- `params` is a list of {type=}; their names belong to a declaration, not to the type.
function ctype.func(result, params)
  local key, nameless = {}, {}
  for i, param in ipairs(params) do
    key[i], nameless[i] = number_of(param.type), { type = param.type }
  end
  local text = table.concat(key, ",")
  local known = result.functions
  if not known then
    known = setmetatable({}, { __mode = "v" })
    result.functions = known
  end
  local t = known[text]
  if not t then
    t = { kind = "func", result = result, params = nameless }
    known[text] = t
  end
  return t
end

-- ---- Layout -------------------------------------------------------------------------------------

local function round_up(x, unit)
  return math.ceil(x / unit) * unit
end

local function to_integer(x)
  return math.tointeger and math.tointeger(x) or x
end

-- The place of a bit-field in bits, and the alignment that it asks of the whole.
local function place_bits(state, field)
  local type_bits = field.type.size * 8
  local natural = field.type.align * 8
  local wanted = (field.aligned or 0) * 8
  local packed = field.packed and field.bits > 0 -- those without width align all the same
  local align = math.max(packed and 1 or natural, wanted, 1)
  if state.pack and field.bits > 0 then -- #pragma pack undoes the attribute, as it does in clang
    align = math.min(packed and math.max(natural, wanted) or align, state.pack * 8)
  end
  local at = state.is_union and 0 or state.bits
  local crosses = not state.pack and at % align + field.bits > type_bits
  if field.bits == 0 or crosses then
    at = round_up(at, align)
  elseif wanted > 0 then
    at = round_up(at, wanted)
  end
  return at, field.name and align or 8
end

local function place_bytes(state, field)
  local align = field.packed and 1 or field.type.align
  align = math.max(align, field.aligned or 1)
  if state.pack then align = math.min(align, state.pack) end
  local at = state.is_union and 0 or round_up(round_up(state.bits, 8), align * 8)
  return at, align * 8
end

-- Gives the members their offsets, and the structure or union its size. `options` has packed,
-- aligned and pack (of #pragma pack).
function ctype.lay_out(t, members, options)
  local state = { bits = 0, is_union = t.kind == "union", pack = options.pack }
  local align, size = 8, 0
  for _, field in ipairs(members) do
    field.packed = field.packed or options.packed
    local at, wants
    if field.bits then
      at, wants = place_bits(state, field)
    else
      at, wants = place_bytes(state, field)
    end
    local width = field.bits or (field.type.size or 0) * 8
    if field.bits then
      local first = math.floor(at / 8)
      field.bit_offset, field.offset = to_integer(at - first * 8), to_integer(first)
    else
      field.offset = to_integer(math.floor(at / 8))
    end
    if state.is_union then
      size = math.max(size, round_up(width, 8))
    else
      state.bits = at + width
      size = math.max(size, round_up(state.bits, 8))
    end
    align = math.max(align, wants)
  end
  align = math.max(align, (options.aligned or 0) * 8)
  t.align = to_integer(math.floor(align / 8))
  t.size = to_integer(math.floor(round_up(size, align) / 8))
  t.members = members
  ctype.index_members(t)
end

-- The members by name, those of nameless members included.
function ctype.index_members(t)
  t.fields, t.named = {}, {}
  for _, field in ipairs(t.members) do
    if field.name then
      t.fields[field.name] = field
      t.named[#t.named + 1] = field
    elseif field.type.fields and not field.bits then
      t.named[#t.named + 1] = field
      for name, inner in pairs(field.type.fields) do
        local copy = {}
        for key, value in pairs(inner) do copy[key] = value end
        copy.offset = field.offset + inner.offset
        copy.const = inner.const or field.const
        t.fields[name] = copy
      end
    end
  end
end

-- ---- Names --------------------------------------------------------------------------------------

local function params_text(t)
  if #t.params == 0 then return "void" end
  local list = {}
  for i, param in ipairs(t.params) do list[i] = ctype.text(param.type, false, param.name) end
  return table.concat(list, ", ")
end

-- The declaration of `inner` with that type, as C writes it: text(t) is the type's name.
function ctype.text(t, is_const, inner)
  inner = inner or ""
  local wraps = inner:find "^%*"
  if t.kind == "pointer" then
    return ctype.text(t.to, t.to_const, "*" .. (is_const and "const " or "") .. inner)
  elseif t.kind == "array" then
    inner = wraps and "(" .. inner .. ")" or inner
    return ctype.text(t.elem, t.elem_const or is_const, ("%s[%s]"):format(inner, t.n or ""))
  elseif t.kind == "func" then
    inner = wraps and "(" .. inner .. ")" or inner
    return ctype.text(t.result, false, ("%s(%s)"):format(inner, params_text(t)))
  end
  local name = (is_const and "const " or "") .. t.name
  if inner == "" then return name end
  return name .. " " .. inner
end

-- The declaration of a function, with the names of the parameters where `params` has them.
function ctype.prototype(t, params, name)
  return ctype.text({ kind = "func", result = t.result, params = params or t.params }, false, name)
end

-- ---- What is like what --------------------------------------------------------------------------

function ctype.is_number(t)
  return t.kind == "int" or t.kind == "float" or t.kind == "enum" or t.kind == "bool"
end

function ctype.is_record(t)
  return t.kind == "struct" or t.kind == "union"
end

-- May a string of bytes be read or written as this?
function ctype.is_bytes(t)
  return t.kind == "int" and t.size == 1
end

local function is_same_target(a, b)
  if a == b then return true end
  local a_like, b_like = a.kind, b.kind
  if a_like == "enum" then a_like = "int" end
  if b_like == "enum" then b_like = "int" end
  if a_like ~= b_like then return false end
  if a_like == "int" or a_like == "float" then return a.size == b.size end
  if a_like == "pointer" then
    return a.to_const == b.to_const and is_same_target(a.to, b.to)
  end
  if a_like == "array" then
    return (a.n == nil or b.n == nil or a.n == b.n) and is_same_target(a.elem, b.elem)
  end
  return a_like == "void" or a_like == "bool"
end

-- May what points to `from` be given where what points to `to` is wanted? As in LuaJIT: signedness
-- does not matter, const may be added, void is like everything.
function ctype.may_point(to, to_const, from, from_const)
  if from_const and not to_const then return false end
  return to.kind == "void" or from.kind == "void" or is_same_target(to, from)
end

-- ---- Calls --------------------------------------------------------------------------------------

local function is_empty(t)
  if t.kind == "array" then return t.n ~= nil and is_empty(t.elem) end
  if not ctype.is_record(t) then return false end
  for _, field in ipairs(t.members or {}) do
    if not (field.bits and not field.name) and not is_empty(field.type) then return false end
  end
  return true
end

-- The one element that a structure is passed as, or nil.
local function only_element(t)
  local found
  for _, field in ipairs(t.members) do
    local inner = field.type
    if not (field.bits and not field.name) and not is_empty(inner) then
      if found then return nil end
      if inner.kind == "array" and inner.n == nil then return nil end
      while inner.kind == "array" and inner.n == 1 do inner = inner.elem end
      if ctype.is_record(inner) then
        found = only_element(inner)
      elseif inner.kind ~= "array" then
        found = inner
      end
      if not found then return nil end
    end
  end
  return found and found.size == t.size and found or nil
end

local function value_type(t)
  if t.kind == "float" then return t.size == 4 and "f32" or t.size == 8 and "f64" or "f128" end
  return t.size == 8 and "i64" or "i32"
end

-- How a value of the type is passed: "none", "i32", "i64", "f32", "f64", "f128" (two i64), or
-- "memory" (a pointer to a copy); and for a record the type of its only element.
function ctype.pass(t)
  if not ctype.is_record(t) then return value_type(t) end
  if t.passed_as then return t.passed_as, t.passed_element end
  local how, element = "memory", nil
  if is_empty(t) then
    how = "none"
  else
    element = only_element(t)
    if element then how = value_type(element) end
  end
  t.passed_as, t.passed_element = how, element
  return how, element
end

-- The result: as pass, or "none" for void; f128 comes back in memory.
function ctype.pass_result(t)
  if t.kind == "void" then return "none" end
  local how, element = ctype.pass(t)
  if how == "f128" then return "memory", element end
  return how, element
end

-- The type of the WebAssembly function, as wasm.signature prints it.
function ctype.signature(t)
  local params = {}
  local result = ctype.pass_result(t.result)
  if result == "memory" then params[1] = "i32" end
  for _, param in ipairs(t.params) do
    local how = ctype.pass(param.type)
    if how == "memory" then
      params[#params + 1] = "i32"
    elseif how == "f128" then
      params[#params + 1] = "i64"
      params[#params + 1] = "i64"
    elseif how ~= "none" then
      params[#params + 1] = how
    end
  end
  local text = "(func"
  if #params > 0 then text = text .. " (param " .. table.concat(params, " ") .. ")" end
  if result ~= "none" and result ~= "memory" then text = text .. " (result " .. result .. ")" end
  return text .. ")"
end

return ctype
