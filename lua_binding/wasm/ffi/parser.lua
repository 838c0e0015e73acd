--- C declarations: recursive descent over the tokens of wasm.ffi.lexer.
--
-- A scope holds what was declared: `typedefs`, `tags`, `functions`, `variables`, `constants` and
-- the macros. Types are those of wasm.ffi.ctype. What cannot be had in WebAssembly's C ABI, or not
-- by this library, is refused where it stands: variadic functions, complex and 128-bit numbers,
-- function bodies, initialisers.

local constant = require "wasm.ffi.constant"
local ctype = require "wasm.ffi.ctype"
local lexer = require "wasm.ffi.lexer"

local parser = {}

local fail = lexer.fail
local deepest = 100
local most_bytes = 2 ^ 31

local builtin = {
  int8_t = ctype.schar, uint8_t = ctype.uchar, int16_t = ctype.short, uint16_t = ctype.ushort,
  int32_t = ctype.int, uint32_t = ctype.uint, int64_t = ctype.llong, uint64_t = ctype.ullong,
  intptr_t = ctype.long, uintptr_t = ctype.ulong, size_t = ctype.ulong, ssize_t = ctype.long,
  ptrdiff_t = ctype.long, wchar_t = ctype.int, wint_t = ctype.int, bool = ctype.bool,
  intmax_t = ctype.llong, uintmax_t = ctype.ullong, off_t = ctype.llong, time_t = ctype.llong,
  char16_t = ctype.ushort, char32_t = ctype.uint,
}
for _, bits in ipairs { 8, 16, 32, 64 } do
  for _, sign in ipairs { "", "u" } do
    local t = builtin[("%sint%d_t"):format(sign, bits)]
    builtin[("%sint_least%d_t"):format(sign, bits)] = t
    builtin[("%sint_fast%d_t"):format(sign, bits)] = t
  end
end
builtin.va_list = ctype.pointer(ctype.void)
builtin.__builtin_va_list = builtin.va_list

local qualifiers = { const = "const", __const = "const", __const__ = "const", volatile = "other",
  __volatile__ = "other", restrict = "other", __restrict = "other", __restrict__ = "other",
  _Nonnull = "other", _Nullable = "other" }
local storage = { typedef = true, extern = true, static = true, register = true, auto = true,
  inline = true, __inline = true, __inline__ = true, _Noreturn = true, __extension__ = true,
  _Thread_local = true, __thread = true }
local words = { void = true, char = true, short = true, int = true, long = true, float = true,
  double = true, signed = true, unsigned = true, _Bool = true, __signed__ = "signed",
  __signed = "signed" }
local refused = {}
for _, name in ipairs { "_Atomic", "typeof", "__typeof__", "_BitInt", "__float128", "_Float16",
  "_Generic" } do
  refused[name] = name .. " is"
end
for _, name in ipairs { "__int128", "__int128_t", "__uint128_t" } do
  refused[name] = "128-bit integers are"
end
refused._Complex, refused.__complex__ = "complex numbers are", "complex numbers are"

-- ---- Scopes -------------------------------------------------------------------------------------

function parser.new_scope()
  local scope = { typedefs = {}, tags = {}, functions = {}, variables = {}, constants = {},
    order = {}, lexing = lexer.new_state() }
  for _, name in ipairs { "__wasm__", "__wasm32__", "__STDC__" } do
    scope.lexing.macros[name] = { tokens = { { kind = "num", text = "1", value = 1, type = "i32",
      line = 1, column = 1 } } }
  end
  return scope
end

local function is_typedef(scope, name)
  local t = scope.typedefs[name]
  if t then return t.type, t.const end
  if builtin[name] then return builtin[name], false end
end

local function starts_type(scope, token)
  if token.kind ~= "id" then return false end
  local name = token.text
  return words[name] ~= nil or qualifiers[name] ~= nil or storage[name] ~= nil or
    name == "struct" or name == "union" or name == "enum" or name == "__attribute__" or
    refused[name] ~= nil or is_typedef(scope, name) ~= nil
end

-- ---- Constant expressions -----------------------------------------------------------------------

local type_name

local kinds_of = { int = function(t)
  return (t.signed and "i" or "u") .. (t.size == 8 and "64" or "32")
end }

local function cast_to(t, value, token)
  if value.k == "str" then fail(token, "a string cannot be cast in a constant") end
  if t.kind == "float" then return constant.convert(value, "f64") end
  if t.kind == "bool" then return { v = constant.is_true(value) and 1 or 0, k = "i32" } end
  if t.kind ~= "int" and t.kind ~= "enum" then
    fail(token, "a constant cannot have the type '%s'", ctype.text(t))
  end
  local kind = kinds_of.int(t)
  local result = constant.convert(value, kind)
  if not result then fail(token, "constant is out of range for '%s'", ctype.text(t)) end
  if t.size < 4 then
    local range = 2 ^ (t.size * 8)
    local v = result.v % range
    if t.signed and v >= range / 2 then v = v - range end
    result = { v = math.tointeger and math.tointeger(v) or v, k = "i32" }
  end
  return result
end

local function hooks_of(scope)
  if scope.hooks then return scope.hooks end
  local hooks = {}
  function hooks.name(cursor, token)
    local name = token.text
    if name == "sizeof" or name == "_Alignof" or name == "__alignof__" or name == "alignof" then
      cursor.expect "("
      if not starts_type(scope, cursor.peek()) then
        fail(cursor.peek(), "type expected in %s", name)
      end
      local t = type_name(scope, cursor)
      cursor.expect ")"
      local value = name == "sizeof" and t.size or name ~= "sizeof" and t.align
      if not value then fail(token, "'%s' has no known size", ctype.text(t)) end
      return { v = value, k = "u32" }
    end
    return scope.constants[name]
  end
  function hooks.cast(cursor)
    if not starts_type(scope, cursor.peek()) then return nil end
    local t = type_name(scope, cursor)
    cursor.expect ")"
    return function(value, token) return cast_to(t, value, token) end
  end
  scope.hooks = hooks
  return hooks
end

local function evaluate(scope, cursor)
  return constant.evaluate(cursor, hooks_of(scope))
end

local function integer_constant(scope, cursor, what)
  local token = cursor.peek()
  local value = evaluate(scope, cursor)
  if value.k == "str" or value.k == "f64" then fail(token, "%s must be an integer", what) end
  return value, token
end

local function small_constant(scope, cursor, what, most)
  local value, token = integer_constant(scope, cursor, what)
  local v = value.v
  if type(v) ~= "number" or v < 0 or v > most then
    fail(token, "%s is out of range (%s)", what, tostring(v))
  end
  return v, token
end

-- ---- Attributes ---------------------------------------------------------------------------------

local function skip_parentheses(cursor)
  local depth = 1
  while depth > 0 do
    local token = cursor.next()
    if token.kind == "end" then fail(token, "')' expected") end
    if token.text == "(" then depth = depth + 1 elseif token.text == ")" then depth = depth - 1 end
  end
end

local function read_attribute(scope, cursor, into)
  local token = cursor.next()
  local name = token.text:gsub("^__", ""):gsub("__$", "")
  if name == "packed" then
    into.packed = true
  elseif name == "aligned" then
    into.aligned, into.aligned_at = 16, token
    if cursor.accept "(" then
      local n, at = small_constant(scope, cursor, "alignment", 2 ^ 16)
      if n < 1 or math.log(n) / math.log(2) % 1 > 1e-9 then
        fail(at, "alignment must be a power of two")
      end
      into.aligned = n
      cursor.expect ")"
    end
  elseif name == "vector_size" or name == "mode" or name == "ms_struct" or
    name == "transparent_union" then
    fail(token, "attribute '%s' is not supported", name)
  elseif cursor.accept "(" then
    skip_parentheses(cursor)
  end
end

-- __attribute__((...)), _Alignas(n) and __asm__("...") into a table.
local function read_attributes(scope, cursor, into)
  while true do
    local token = cursor.peek()
    if token.text == "__attribute__" or token.text == "__attribute" then
      cursor.next()
      cursor.expect "("
      cursor.expect "("
      while not cursor.accept ")" do
        if not cursor.accept "," then read_attribute(scope, cursor, into) end
      end
      cursor.expect ")"
    elseif token.text == "_Alignas" then
      cursor.next()
      cursor.expect "("
      if starts_type(scope, cursor.peek()) then
        into.aligned = type_name(scope, cursor).align
      else
        into.aligned = small_constant(scope, cursor, "alignment", 2 ^ 16)
      end
      into.aligned_at = token
      cursor.expect ")"
    elseif token.text == "__asm__" or token.text == "asm" then
      cursor.next()
      cursor.expect "("
      skip_parentheses(cursor)
    else
      return into
    end
  end
end

-- ---- Structures, unions, enumerations -----------------------------------------------------------

local declarator, specifiers

local function check_member(cursor, t, field, place, is_last_ok)
  if t.kind == "func" then fail(place, "a member cannot be a function") end
  if t.size == nil and not (t.kind == "array" and t.n == nil and is_last_ok) then
    fail(place, "member '%s' has the incomplete type '%s'", field.name or "?", ctype.text(t))
  end
  if t.kind == "array" and t.n == "?" then fail(cursor.peek(), "'?' is no length of a member") end
end

local function read_width(scope, cursor, field, place)
  local t = field.type
  if t.kind ~= "int" and t.kind ~= "bool" and t.kind ~= "enum" then
    fail(place, "a bit-field cannot have the type '%s'", ctype.text(t))
  end
  local most = t.kind == "bool" and 1 or t.size * 8
  local n, at = small_constant(scope, cursor, "width of a bit-field", most)
  if n == 0 and field.name then fail(at, "bit-field '%s' has no width", field.name) end
  field.bits = n
end

local function add_member(scope, cursor, list, names, base, base_const, attributes)
  local place = cursor.peek()
  local field = {}
  if place.text == ":" then
    field.type, field.const = base, base_const
  else
    field.name, field.type, field.const, place = declarator(scope, cursor, base, base_const, true)
  end
  if cursor.accept ":" then read_width(scope, cursor, field, place) end
  local own = read_attributes(scope, cursor, {})
  field.packed = own.packed or attributes.packed
  field.aligned = own.aligned or attributes.aligned
  local following = cursor.peek()
  local ends = following.text == ";" and cursor.peek(1).text == "}"
  check_member(cursor, field.type, field, place, ends)
  if field.name then
    if names[field.name] then fail(place, "member '%s' is there twice", field.name) end
    names[field.name] = true
  end
  list[#list + 1] = field
end

local function add_nameless(cursor, list, names, base, place, attributes)
  if not ctype.is_record(base) or not base.is_nameless then
    if ctype.is_record(base) or base.kind == "enum" then return end
    fail(place, "member name expected near '%s'", cursor.peek().text)
  end
  for name in pairs(base.fields) do
    if names[name] then fail(place, "member '%s' is there twice", name) end
    names[name] = true
  end
  list[#list + 1] = { type = base, aligned = attributes.aligned }
end

local function read_members(scope, cursor)
  local list, names = {}, {}
  while not cursor.accept "}" do
    local place = cursor.peek()
    if place.text ~= ";" then
      local base, base_const, how = specifiers(scope, cursor)
      if how.storage then fail(place, "'%s' is not for members", how.storage) end
      local attributes = how.attributes
      if cursor.peek().text == ";" then
        add_nameless(cursor, list, names, base, place, attributes)
      else
        repeat
          add_member(scope, cursor, list, names, base, base_const, attributes)
        until not cursor.accept ","
      end
    end
    cursor.expect ";"
  end
  return list
end

local function tagged(scope, kind, tag, place)
  local t = scope.tags[tag]
  if t and t.kind ~= kind then fail(place, "'%s' is declared as %s already", tag, t.name) end
  if not t then
    t = { kind = kind, name = kind .. " " .. tag, tag = tag }
    scope.tags[tag] = t
  end
  return t
end

local nameless = 0

local function new_nameless(kind)
  nameless = nameless + 1
  return { kind = kind, name = ("%s <nameless %d>"):format(kind, nameless), is_nameless = true }
end

local function read_record(scope, cursor, kind)
  local options = read_attributes(scope, cursor, {})
  local token = cursor.peek()
  local t
  if token.kind == "id" then
    cursor.next()
    t = tagged(scope, kind, token.text, token)
    read_attributes(scope, cursor, options)
  end
  local brace = cursor.accept "{"
  if not brace then
    if not t then fail(cursor.peek(), "name or '{' expected after '%s'", kind) end
    return t
  end
  t = t or new_nameless(kind)
  if t.members or t.is_open then fail(token, "'%s' is defined twice", t.name) end
  t.is_open = true
  scope.depth = (scope.depth or 0) + 1
  if scope.depth > deepest then fail(brace, "declarations are nested too deeply") end
  local members = read_members(scope, cursor)
  scope.depth = scope.depth - 1
  read_attributes(scope, cursor, options)
  options.pack = brace.pack
  t.is_open = nil
  ctype.lay_out(t, members, options)
  if t.size > most_bytes then fail(token, "'%s' is too large", t.name) end
  return t
end

local function enum_layout(lowest, highest)
  if lowest >= 0 and highest < 2 ^ 32 then return 4, false end
  if lowest >= -2 ^ 31 and highest < 2 ^ 31 then return 4, true end
  return 8, lowest < 0
end

local function to_float(value)
  local v = value.v
  local x = type(v) == "number" and v + 0.0 or (tonumber(v) or v:tonumber()) + 0.0
  if value.k == "u64" and x < 0 then x = x + 2 ^ 64 end
  return x
end

local function read_enumerators(scope, cursor, t)
  local value, lowest, highest = nil, 0, 0
  local core = require "wasm.ffi.core"
  t.values, t.list = {}, {}
  while not cursor.accept "}" do
    local token = cursor.next()
    if token.kind ~= "id" then fail(token, "name expected near '%s'", token.text) end
    if scope.constants[token.text] then fail(token, "'%s' is defined twice", token.text) end
    read_attributes(scope, cursor, {})
    if cursor.accept "=" then
      value = integer_constant(scope, cursor, "value of '" .. token.text .. "'")
    elseif value then
      local k = value.k
      local as_float = to_float(value)
      if k == "i32" and as_float == 2 ^ 31 - 1 then k = "i64" end
      if k == "u32" and as_float == 2 ^ 32 - 1 then k = "i64" end
      value = { v = core.arith("+", value.v, 1, k), k = k }
    else
      value = { v = 0, k = "i32" }
    end
    lowest, highest = math.min(lowest, to_float(value)), math.max(highest, to_float(value))
    scope.constants[token.text] = value
    t.values[token.text] = value.v
    t.list[#t.list + 1] = token.text
    if not cursor.accept "," then
      cursor.expect "}"
      break
    end
  end
  t.size, t.signed = enum_layout(lowest, highest)
  t.align = t.size
end

local function read_enum(scope, cursor)
  local options = read_attributes(scope, cursor, {})
  local token = cursor.peek()
  local t
  if token.kind == "id" then
    cursor.next()
    t = tagged(scope, "enum", token.text, token)
  end
  if not cursor.accept "{" then
    if not t then fail(cursor.peek(), "name or '{' expected after 'enum'") end
    if not t.size then t.size, t.align, t.signed = 4, 4, false end
    return t
  end
  t = t or new_nameless "enum"
  if t.values then fail(token, "'%s' is defined twice", t.name) end
  read_enumerators(scope, cursor, t)
  read_attributes(scope, cursor, options)
  if options.packed then fail(token, "packed enumerations are not supported") end
  return t
end

-- ---- Specifiers ---------------------------------------------------------------------------------

local combinations = {
  ["void"] = ctype.void, ["_Bool"] = ctype.bool, ["char"] = ctype.char,
  ["char signed"] = ctype.schar, ["char unsigned"] = ctype.uchar,
  ["short"] = ctype.short, ["short unsigned"] = ctype.ushort,
  ["int"] = ctype.int, ["unsigned"] = ctype.uint,
  ["long"] = ctype.long, ["long unsigned"] = ctype.ulong,
  ["long long"] = ctype.llong, ["long long unsigned"] = ctype.ullong,
  ["float"] = ctype.float, ["double"] = ctype.double, ["double long"] = ctype.ldouble,
}

-- The type that the words mean in any order: int is implied, and signed but for char.
local function combine(list, place)
  table.sort(list)
  local text = " " .. table.concat(list, " ") .. " "
  if #list > 1 then
    if text:find " short " or text:find " long " and not text:find " double " or
      text:find " signed " and not text:find " char " or text:find " unsigned " then
      text = text:gsub(" int ", " ", 1)
    end
    if not text:find " char " and text ~= " signed " then text = text:gsub(" signed ", " ", 1) end
  end
  text = text:match "^%s*(.-)%s*$"
  if text == "signed" or text == "" then text = "int" end
  local t = combinations[text]
  if not t then fail(place, "'%s' is no type", table.concat(list, " ")) end
  return t
end

function specifiers(scope, cursor)
  local place, list = cursor.peek(), {}
  local t, is_const
  local how = { attributes = {} }
  while true do
    read_attributes(scope, cursor, how.attributes)
    local token = cursor.peek()
    local name = token.kind == "id" and token.text
    if not name then
      break
    elseif qualifiers[name] then
      cursor.next()
      is_const = is_const or qualifiers[name] == "const"
    elseif storage[name] then
      cursor.next()
      if name == "typedef" or name == "extern" or name == "static" then how.storage = name end
    elseif refused[name] then
      fail(token, "%s not supported", refused[name])
    elseif words[name] and not t then
      cursor.next()
      list[#list + 1] = words[name] == true and name or words[name]
    elseif t or #list > 0 then
      break
    elseif name == "struct" or name == "union" then
      cursor.next()
      t = read_record(scope, cursor, name)
    elseif name == "enum" then
      cursor.next()
      t = read_enum(scope, cursor)
    else
      local found, const = is_typedef(scope, name)
      if not found then break end
      cursor.next()
      t, is_const = found, is_const or const
    end
  end
  if not t then
    if #list == 0 then
      local token = cursor.peek()
      if token.kind == "id" then fail(token, "unknown type '%s'", token.text) end
      fail(token, "type expected near '%s'", token.text)
    end
    t = combine(list, place)
  end
  return t, is_const or false, how
end

-- ---- Declarators --------------------------------------------------------------------------------

local function read_params(scope, cursor)
  local params = {}
  if cursor.accept ")" then return params end
  if cursor.peek().text == "void" and cursor.peek(1).text == ")" then
    cursor.next()
    cursor.next()
    return params
  end
  repeat
    local place = cursor.peek()
    if place.text == "..." then
      fail(place, "functions with variable arguments ('...') are not supported")
    end
    local base, const = specifiers(scope, cursor)
    local name, t, t_const, at = declarator(scope, cursor, base, const, false)
    read_attributes(scope, cursor, {})
    if t.kind == "array" then
      t = ctype.pointer(t.elem, t.elem_const or t_const)
    elseif t.kind == "func" then
      t = ctype.pointer(t)
    elseif t.kind == "void" then
      fail(at, "a parameter cannot be void")
    end
    params[#params + 1] = { type = t, name = name, place = at }
  until not cursor.accept ","
  cursor.expect ")"
  return params
end

local function array_of(elem, const, n, place)
  if elem.kind == "func" then fail(place, "an array of functions") end
  if elem.kind == "void" or elem.size == nil then
    fail(place, "an array of the incomplete type '%s'", ctype.text(elem))
  end
  if type(n) == "number" and n * elem.size > most_bytes then fail(place, "array is too large") end
  return ctype.array(elem, const, n)
end

local function read_length(scope, cursor)
  while qualifiers[cursor.peek().text] or cursor.peek().text == "static" do cursor.next() end
  if cursor.accept "]" then return nil end
  if cursor.accept "?" then
    cursor.expect "]"
    return "?"
  end
  local n = small_constant(scope, cursor, "length of an array", most_bytes)
  cursor.expect "]"
  return n
end

-- The arrays and parameter lists behind a declarator, outermost first.
local function read_suffix(scope, cursor, t, const)
  local place = cursor.peek()
  if cursor.accept "[" then
    local n = read_length(scope, cursor)
    local elem, elem_const = read_suffix(scope, cursor, t, const)
    return array_of(elem, elem_const, n, place), false
  elseif cursor.accept "(" then
    local params = read_params(scope, cursor)
    local result = read_suffix(scope, cursor, t, const)
    if result.kind == "func" or result.kind == "array" then
      fail(place, "a function cannot return the type '%s'", ctype.text(result))
    end
    return ctype.func(result, params), false, params
  end
  return t, const
end

-- Is the parenthesis around a declarator, not around parameters?
local function is_nested(scope, cursor)
  if cursor.peek().text ~= "(" then return false end
  local inner = cursor.peek(1)
  if inner.text == "*" or inner.text == "(" or inner.text == "[" then return true end
  return inner.kind == "id" and not starts_type(scope, inner) or inner.text == "__attribute__"
end

local function read_pointers(scope, cursor, t, const)
  read_attributes(scope, cursor, {})
  while cursor.accept "*" do
    t, const = ctype.pointer(t, const), false
    while true do
      local word = qualifiers[cursor.peek().text]
      if not word then break end
      cursor.next()
      const = const or word == "const"
    end
    read_attributes(scope, cursor, {})
  end
  return t, const
end

-- Gives the name (or nil), the type, whether it is const, the place, and a function's parameters.
function declarator(scope, cursor, t, const, needs_name)
  t, const = read_pointers(scope, cursor, t, const)
  local place = cursor.peek()
  if is_nested(scope, cursor) then
    scope.depth = (scope.depth or 0) + 1
    if scope.depth > deepest then fail(place, "declarations are nested too deeply") end
    cursor.next()
    local inside = cursor.place()
    skip_parentheses(cursor)
    t, const = read_suffix(scope, cursor, t, const)
    local after = cursor.place(inside)
    local name, inner, inner_const, at, params = declarator(scope, cursor, t, const, needs_name)
    cursor.expect ")"
    cursor.place(after)
    scope.depth = scope.depth - 1
    return name, inner, inner_const, at, params
  end
  local name
  if place.kind == "id" and not (words[place.text] or storage[place.text]) then
    name = cursor.next().text
  elseif needs_name then
    fail(place, "name expected near '%s'", place.text)
  end
  local params
  t, const, params = read_suffix(scope, cursor, t, const)
  return name, t, const, place, params
end

-- A type without a name, as in sizeof(...).
function type_name(scope, cursor)
  local base, const, how = specifiers(scope, cursor)
  if how.storage then fail(cursor.peek(), "'%s' is not for a type", how.storage) end
  local name, t, t_const, place = declarator(scope, cursor, base, const, false)
  if name then fail(place, "unexpected '%s'", name) end
  return t, t_const
end

-- ---- Declarations -------------------------------------------------------------------------------

local function note(scope, list, name, entry)
  if not scope[list][name] then
    scope.order[#scope.order + 1] = { list = list, name = name }
  end
  scope[list][name] = entry
end

local function declare_typedef(scope, name, t, const, place, attributes)
  local known = scope.typedefs[name]
  if known and (known.type ~= t or known.const ~= const) then
    fail(place, "typedef '%s' is another type already: %s", name, ctype.text(known.type))
  end
  if attributes.aligned then fail(attributes.aligned_at, "an aligned typedef is not supported") end
  if t.is_nameless and not t.typedef then t.name, t.typedef = name, name end
  scope.typedefs[name] = { type = t, const = const }
end

local function declare(scope, name, t, const, place, params)
  if t.kind == "func" then
    local known = scope.functions[name]
    if known and known.type ~= t then
      fail(place, "'%s' is declared with another type already: %s", name,
        ctype.text(known.type, false, name))
    end
    note(scope, "functions", name, { type = t, params = params, line = place.line,
      column = place.column })
  elseif t.kind == "void" then
    fail(place, "variable '%s' cannot be void", name)
  else
    note(scope, "variables", name, { type = t, const = const, line = place.line,
      column = place.column })
  end
end

local function static_assert(scope, cursor)
  cursor.expect "("
  local value, token = integer_constant(scope, cursor, "condition")
  local message = "static assertion failed"
  if cursor.accept "," then
    local text = cursor.next()
    if text.kind ~= "str" then fail(text, "string expected") end
    message = message .. ": " .. text.value
  end
  cursor.expect ")"
  cursor.expect ";"
  if not constant.is_true(value) then fail(token, "%s", message) end
end

local function refuse_rest(cursor, t)
  local token = cursor.peek()
  if token.text == "{" and t.kind == "func" then
    fail(token, "a declaration has no function body")
  elseif token.text == "=" then
    fail(token, "a declaration has no initialiser")
  end
end

local function declaration(scope, cursor)
  local token = cursor.peek()
  if token.text == "_Static_assert" or token.text == "static_assert" then
    cursor.next()
    return static_assert(scope, cursor)
  end
  if cursor.accept ";" then return end
  local base, base_const, how = specifiers(scope, cursor)
  if cursor.accept ";" then return end
  repeat
    local name, t, const, place, params = declarator(scope, cursor, base, base_const, true)
    local attributes = read_attributes(scope, cursor, {})
    attributes.aligned = attributes.aligned or how.attributes.aligned
    attributes.aligned_at = attributes.aligned_at or how.attributes.aligned_at
    refuse_rest(cursor, t)
    if how.storage == "typedef" then
      declare_typedef(scope, name, t, const, place, attributes)
    else
      declare(scope, name, t, const, place, params)
    end
  until not cursor.accept ","
  if not cursor.accept ";" then
    fail(cursor.peek(), "';' expected near '%s'", cursor.peek().text)
  end
end

-- Macros that are constant expressions become constants; others are for the declarations only.
local function read_macros(scope)
  for _, name in ipairs(scope.lexing.macro_names) do
    local macro = scope.lexing.macros[name]
    if macro and not macro.takes_arguments and #macro.tokens > 0 and not scope.constants[name] then
      local ok, value = pcall(function()
        local out = {}
        lexer.expand(scope.lexing, { kind = "id", text = name, line = macro.line,
          column = macro.column }, {}, out)
        local cursor = lexer.cursor(out)
        local result = evaluate(scope, cursor)
        return cursor.peek().kind == "end" and result or nil
      end)
      if ok and value then scope.constants[name] = value end
    end
  end
end

-- Reads declarations into the scope. Raises as lexer.fail does.
function parser.declarations(scope, text)
  local cursor = lexer.cursor(lexer.tokens(scope.lexing, text))
  while cursor.peek().kind ~= "end" do
    if cursor.peek().text == "extern" and cursor.peek(1).kind == "str" then
      fail(cursor.peek(1), "extern \"C\" is for C++; guard it with #ifdef __cplusplus")
    end
    declaration(scope, cursor)
  end
  read_macros(scope)
end

-- The type that a text means, and whether it is const. A structure's tag may stand alone.
function parser.type(scope, text)
  local cursor = lexer.cursor(lexer.tokens(scope.lexing, text))
  local first = cursor.peek()
  if first.kind == "id" and not starts_type(scope, first) and scope.tags[first.text] then
    local t = scope.tags[first.text]
    text = text:gsub("^%s*", function(blank) return blank .. t.kind .. " " end, 1)
    cursor = lexer.cursor(lexer.tokens(scope.lexing, text))
  end
  local t, const = type_name(scope, cursor)
  if cursor.peek().kind ~= "end" then
    fail(cursor.peek(), "unexpected '%s'", cursor.peek().text)
  end
  return t, const
end

return parser
