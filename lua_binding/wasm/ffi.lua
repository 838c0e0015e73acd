--- C libraries as Lua modules, in a sandbox: what LuaJIT's ffi is for shared objects, for Wasm.
--
-- A library is a plain table whose fields are its functions (put there when they are first asked
-- for), constants and variables; everything else takes it as an argument. The parts: lexer, parser,
-- constant and ctype read C declarations; convert, object and room are values in guest
-- memory; call is functions. lua_ffi.c has what needs C.

local wasm = require "wasm"
local tools = require "wasm.tools"
local core = require "wasm.ffi.core"
local ctype = require "wasm.ffi.ctype"
local parser = require "wasm.ffi.parser"
local convert = require "wasm.ffi.convert"
local object = require "wasm.ffi.object"
local rooms = require "wasm.ffi.room"
local call = require "wasm.ffi.call"

local ffi = {}

local misuse = convert.misuse
local room_key = {} -- of a library's own field

local function room_behind(lib)
  return type(lib) == "table" and rawget(lib, room_key) or nil
end

local load_options = { "name", "engine", "features", "eager", "deterministic", "memory", "fuel",
  "timeout", "stack", "on_limit", "wasi", "malloc", "free" }
local module_options = { "name", "engine", "features", "eager", "deterministic" }
local limit_options = { "memory", "fuel", "timeout", "stack", "on_limit" }

local function pick(options, list)
  local picked = {}
  for _, name in ipairs(list) do picked[name] = options[name] end
  return picked
end

-- ---- Loading ------------------------------------------------------------------------------------

local function load_module(source, options)
  if wasm.type(source) == "module" then return source end
  if type(source) ~= "string" then
    misuse("bad argument #1 to 'load' (path or module expected, got %s)", type(source))
  end
  local is_source = source:find "^%z" or source:find "^%s*%(module"
  return (is_source and wasm.load or wasm.loadfile)(source, pick(options, module_options))
end

-- The imports, with a WASI context that grants nothing where the module wants one.
local function complete_imports(module, imports, options)
  local wants = false
  for _, import in ipairs(module.imports) do
    wants = wants or import.module == "wasi_snapshot_preview1"
  end
  if not wants or imports and imports.wasi_snapshot_preview1 ~= nil then return imports end
  local context, err = require "wasm.wasi".new(options.wasi or {})
  if not context then return nil, err end
  return setmetatable({ wasi_snapshot_preview1 = context }, { __index = imports })
end

-- Reactors set themselves up.
local function initialise(instance)
  local start = instance.exports._initialize
  if not start then return true end
  local ok, err = call.protected(start)
  if ok then return true end
  if wasm.type(err) == "error" then return nil, err end
  error(err, 0)
end

local function read_declarations(text, name)
  local scope = parser.new_scope()
  local ok, err = pcall(parser.declarations, scope, text)
  if ok then return scope end
  if type(err) ~= "table" or not err.declaration then error(err, 0) end
  local message = ("declarations of %s:%d:%d: %s"):format(name, err.line, err.column, err.message)
  return nil, tools.error("malformed", message, { line = err.line, column = err.column })
end

local function check_function(name, entry, exports)
  local f = exports[name]
  local declared = ctype.prototype(entry.type, entry.params, name)
  if f == nil then
    return ("'%s' is declared (%s, %s), but the module does not export it"):format(name, declared,
      ctype.signature(entry.type))
  elseif wasm.type(f) ~= "func" then
    return ("'%s' is declared (%s), but the module exports a %s"):format(name, declared,
      wasm.type(f))
  elseif wasm.signature(f) ~= ctype.signature(entry.type) then
    return ("'%s' is declared as %s (%s), but the module has %s"):format(name, declared,
      ctype.signature(entry.type), wasm.signature(f))
  end
end

local function check_variable(name, entry, exports)
  local g = exports[name]
  if wasm.type(g) == "global" and wasm.signature(g):find "i32" then return end
  return ("variable '%s' is declared (%s), but the module does not export its address"):format(name,
    ctype.text(entry.type, entry.const, name))
end

-- What is declared and not there, a line each.
local function check_exports(scope, exports)
  local lines = {}
  for _, entry in ipairs(scope.order) do
    local declared = scope[entry.list][entry.name]
    local check = entry.list == "functions" and check_function or check_variable
    lines[#lines + 1] = check(entry.name, declared, exports)
  end
  if #lines == 0 then return true end
  return nil, tools.error("link", table.concat(lines, "\n"))
end

local function find_export(exports, kind, name)
  if wasm.type(exports[name]) == kind then return exports[name] end
  for _, value in pairs(exports) do
    if wasm.type(value) == kind then return value end
  end
end

local function find_memory(module, exports, imports)
  local memory = find_export(exports, "memory", "memory")
  if memory then return memory end
  for _, import in ipairs(module.imports) do
    if import.kind == "memory" then return imports[import.module][import.name] end
  end
end

local function find_allocator(exports, options)
  local malloc, free = exports[options.malloc or "malloc"], exports[options.free or "free"]
  local fits = wasm.type(malloc) == "func" and wasm.type(free) == "func" and
    wasm.signature(malloc) == "(func (param i32) (result i32))" and
    wasm.signature(free):find "^%(func %(param i32%)"
  if fits then return malloc, free end
end

local function base_name(source, module)
  if wasm.type(source) == "string" or type(source) == "string" and not source:find "[%z(]" then
    return source:match "([^/]+)$" or source
  end
  return module.name or "library"
end

-- ---- The library as a table ---------------------------------------------------------------------

local function constant_value(value)
  if value.k == "u64" then return convert.as_unsigned(value.v) end
  return value.v
end

local function variable_place(room, entry, name)
  local address = room.exports[name].value
  if address < 0 then address = address + 2 ^ 32 end
  address = math.tointeger and math.tointeger(address) or address
  local size = entry.type.size or 0
  if address == 0 or address + size > room.size() then
    misuse("variable '%s' lies outside of the library's memory", name)
  end
  return address
end

local function listing(room)
  local lines = { ("library %s:"):format(room.name) }
  for _, entry in ipairs(room.scope.order) do
    local declared = room.scope[entry.list][entry.name]
    if entry.list == "functions" then
      lines[#lines + 1] = "  " .. ctype.prototype(declared.type, declared.params, entry.name)
    else
      lines[#lines + 1] = "  " .. ctype.text(declared.type, declared.const, entry.name)
    end
  end
  return table.concat(lines, "\n")
end

local function new_library(room)
  local scope = room.scope
  local lib = { [room_key] = room }
  local function index(_, name)
    local entry = scope.functions[name]
    if entry then
      local f = call.make(room, name, entry.type, room.exports[name])
      rawset(lib, name, f)
      return f
    end
    local value = scope.constants[name]
    if value then
      rawset(lib, name, constant_value(value))
      return rawget(lib, name)
    end
    entry = scope.variables[name]
    if entry then
      local at = variable_place(room, entry, name)
      return convert.load(room, entry.type, at, nil, entry.const)
    end
    misuse("library '%s' declares no '%s'", room.name, tostring(name))
  end
  local function newindex(_, name, value)
    local entry = scope.variables[name]
    if not entry then misuse("library '%s' has no variable '%s'", room.name, tostring(name)) end
    if entry.const then misuse("variable '%s' is const", name) end
    local at = variable_place(room, entry, name)
    convert.store(room, entry.type, at, value, ("variable '%s'"):format(name))
  end
  -- `index` has the library as an upvalue, and the library the metatable: nothing outside holds it.
  setmetatable(lib, { __index = index, __newindex = newindex, __metatable = "ffi",
    __tostring = function() return listing(room) end, __name = "library" })
  return lib
end

--- Loads a module as a C library: `source` is a path, a binary, a text or a module, `declarations`
-- the C declarations of what it exports.
function ffi.load(source, declarations, imports, options)
  if type(declarations) ~= "string" then
    misuse("bad argument #2 to 'load' (declarations as a string expected, got %s)",
      type(declarations))
  end
  options = options or {}
  tools.check("load", options, load_options)
  local module, err = load_module(source, options)
  if not module then return nil, err end
  local name = base_name(source, module)
  local scope
  scope, err = read_declarations(declarations, name)
  if not scope then return nil, err end
  imports, err = complete_imports(module, imports, options)
  if err then return nil, err end
  local instance
  instance, err = module:instantiate(imports, pick(options, limit_options))
  if not instance then return nil, err end
  local ok
  ok, err = initialise(instance)
  if not ok then return nil, err end
  ok, err = check_exports(scope, instance.exports)
  if not ok then return nil, err end
  local malloc, free = find_allocator(instance.exports, options)
  local room = rooms.new { name = name, memory = find_memory(module, instance.exports, imports),
    malloc = malloc, free = free, scope = scope, exports = instance.exports }
  room.instance = instance
  if options.on_limit == "yield" then room.expose() end -- the instance is given to who resumes
  call.open(room, find_export(instance.exports, "table", "__indirect_function_table"))
  return new_library(room)
end

-- ---- Arguments of the functions -----------------------------------------------------------------

local ctype_mark = {}
local ctype_meta

local function room_of(lib, name)
  local room = room_behind(lib)
  if not room then
    misuse("bad argument #1 to '%s' (library expected, got %s)", name, convert.describe(lib))
  end
  return room
end

local function is_ctype(x)
  return type(x) == "table" and rawget(x, ctype_mark) ~= nil
end

local function need_memory(room)
  if not room.memory then misuse("library '%s' has no memory", room.name) end
end

-- The type that a text, a ctype or a value means in the room.
local function resolve(room, ct, name, at)
  if type(ct) == "string" then
    local ok, t, is_const = pcall(rooms.parse, room, ct)
    if ok then return t, is_const end
    if type(t) ~= "table" or not t.declaration then error(t, 0) end
    misuse("bad argument #%d to '%s' (%s at %d:%d of \"%s\")", at, name, t.message, t.line,
      t.column, ct)
  end
  local info = is_ctype(ct) and ct[ctype_mark] or object.info_of(ct)
  if not info then
    misuse("bad argument #%d to '%s' (C type expected, got %s)", at, name, convert.describe(ct))
  end
  if info.room ~= room then
    misuse("bad argument #%d to '%s' (a type of another library)", at, name)
  end
  return info.type, info.is_const
end

-- Splits the arguments (lib, ...) or (...), where the first value knows its library.
local function with_room(name, first, ...)
  local room = room_behind(first)
  if room then return room, 1, ... end
  local info = is_ctype(first) and first[ctype_mark] or object.info_of(first)
  if info then return info.room, 0, first, ... end
  return room_of(first, name)
end

-- A C value: its info and address, which is checked to be of `room`.
local function check_value(room, x, name, at)
  local info = object.info_of(x)
  if not info then
    misuse("bad argument #%d to '%s' (C value expected, got %s)", at, name, convert.describe(x))
  end
  if info.room ~= room then
    misuse("bad argument #%d to '%s' (a value of another library)", at, name)
  end
  return info
end

-- ---- Types --------------------------------------------------------------------------------------

local function new_ctype(room, t, is_const)
  return setmetatable({ [ctype_mark] = { room = room, type = t, is_const = is_const or false } },
    ctype_meta)
end

--- The type that a text or a value has, as an object; calling it makes a value.
function ffi.typeof(...)
  local room, shift, ct = with_room("typeof", ...)
  return new_ctype(room, resolve(room, ct, "typeof", shift + 1))
end

-- The size of a type, with the number of elements where that is open.
local function size_of(t, n, name)
  if t.kind == "array" and (t.n == nil or t.n == "?") then
    if type(n) ~= "number" or n < 0 or n % 1 ~= 0 then
      if t.n == nil and n == nil then return nil end
      misuse("bad argument to '%s' (number of elements expected, got %s)", name,
        convert.describe(n))
    end
    if n * t.elem.size >= 2 ^ 31 then misuse("bad argument to '%s' (too many elements)", name) end
    return math.tointeger and math.tointeger(n * t.elem.size) or n * t.elem.size
  end
  return t.size
end

--- Bytes, or nil for an incomplete type.
function ffi.sizeof(...)
  local room, shift, ct, n = with_room("sizeof", ...)
  return size_of(resolve(room, ct, "sizeof", shift + 1), n, "sizeof")
end

function ffi.alignof(...)
  local room, shift, ct = with_room("alignof", ...)
  return (resolve(room, ct, "alignof", shift + 1)).align
end

--- The offset of a member, and of a bit-field its first bit and number of bits.
function ffi.offsetof(...)
  local room, shift, ct, field = with_room("offsetof", ...)
  local t = resolve(room, ct, "offsetof", shift + 1)
  local found = t.fields and t.fields[field]
  if not found then return nil end
  if found.bits then return found.offset, found.bit_offset, found.bits end
  return found.offset
end

--- Has the value that type? A structure also when the value points to one.
function ffi.istype(...)
  local room, shift, ct, x = with_room("istype", ...)
  local t = resolve(room, ct, "istype", shift + 1)
  local info = object.info_of(x)
  if not info or info.room ~= room then return false end
  if info.type == t then return true end
  if t.kind == "pointer" and info.type.kind == "pointer" then
    return t.to == info.type.to
  end
  return ctype.is_record(t) and info.type.kind == "pointer" and info.type.to == t
end

--- Gives a structure or union metamethods and methods; for good.
function ffi.metatype(...)
  local room, shift, ct, meta = with_room("metatype", ...)
  local t = resolve(room, ct, "metatype", shift + 1)
  if not ctype.is_record(t) then
    misuse("bad argument #%d to 'metatype' (structure or union expected, got '%s')", shift + 1,
      ctype.text(t))
  end
  if type(meta) ~= "table" then
    misuse("bad argument #%d to 'metatype' (table expected, got %s)", shift + 2, type(meta))
  end
  if room.metatypes[t] then misuse("'%s' has a metatype already", ctype.text(t)) end
  object.set_meta(room, t, meta)
  return new_ctype(room, t)
end

-- ---- Making values ------------------------------------------------------------------------------

local function add_finaliser(info, ref, fn)
  local _, address = core.get(ref)
  local before = core.holder(ref)
  -- The value itself would be held by what is to happen when nobody holds it: another one is made.
  local function finalise(at)
    info.room.refresh()
    local inner = info.room.new_ref(info.type, info.is_const, at, before)
    fn(inner)
  end
  core.hold(ref, { core.owner(finalise, address, 0), before, is_user = true })
end

-- The array type with its length, and the number of initialisers and these.
local function construct_array(t, n, ...)
  if type(n) ~= "number" then
    if t.n == nil and type(n) == "string" and ctype.is_bytes(t.elem) then
      return ctype.array(t.elem, t.elem_const, #n + 1), 1, n
    elseif t.n == nil and type(n) == "table" then
      return ctype.array(t.elem, t.elem_const, #n), 1, n
    end
  end
  if n == nil then misuse("number of elements expected for '%s'", ctype.text(t)) end
  size_of(t, n, "new")
  n = math.tointeger and math.tointeger(n) or n
  return ctype.array(t.elem, t.elem_const, n), select("#", ...), ...
end

local function construct(room, is_const, t, n, ...)
  if t.kind == "array" and type(t.n) ~= "number" then
    return construct(room, is_const, construct_array(t, ...))
  end
  if ctype.is_number(t) then
    local value = ...
    if n == 0 or value == nil then value = t.kind == "bool" and false or 0 end
    local number = convert.cast_number(t, value)
    if number == nil then convert.bad(value, t) end
    return number
  end
  need_memory(room)
  if t.kind == "pointer" then
    local what = "'" .. ctype.text(t) .. "'"
    return room.new_ref(t, false, (convert.to_pointer(room, t, (...), what)))
  end
  if not t.size then misuse("'%s' is incomplete", ctype.text(t)) end
  local ref, at = rooms.new_object(room, t)
  convert.init(room, t, at, "'" .. ctype.text(t) .. "'", n, ...)
  local meta = room.metatypes[t]
  if meta and meta.__gc then add_finaliser(object.info_of(ref), ref, meta.__gc) end
  return ref
end

ctype_meta = {
  __metatable = "ffi",
  __name = "ctype",
  __call = function(self, ...)
    local info = self[ctype_mark]
    local meta = info.room.metatypes[info.type]
    if meta and meta.__new then return meta.__new(self, ...) end
    return construct(info.room, info.is_const, info.type, select("#", ...), ...)
  end,
  __tostring = function(self)
    local info = self[ctype_mark]
    return ("ctype<%s>"):format(ctype.text(info.type, info.is_const))
  end,
  __eq = function(a, b)
    return is_ctype(a) and is_ctype(b) and a[ctype_mark].type == b[ctype_mark].type and
      a[ctype_mark].room == b[ctype_mark].room
  end,
}

local function new_value(room, shift, ct, ...)
  local t, is_const = resolve(room, ct, "new", shift + 1)
  return construct(room, is_const, t, select("#", ...), ...)
end

--- A new object in the library's memory, zeroed and then initialised as in LuaJIT; a number for a
-- type of numbers.
function ffi.new(...)
  return new_value(with_room("new", ...))
end

local function cast_pointer(room, t, value, at)
  local info = object.info_of(value)
  if info then
    if info.room ~= room then misuse("bad argument #%d to 'cast' (of another library)", at) end
    local _, address = core.get(value)
    return room.new_ref(t, false, address, core.holder(value))
  end
  if type(value) == "function" and t.to.kind == "func" then
    return room.new_ref(t, false, room.function_index(t.to, value, "argument of 'cast'"))
  end
  local number = convert.cast_number(ctype.ulong, value)
  if number == nil then
    misuse("bad argument #%d to 'cast' (cannot be cast to '%s': %s)", at, ctype.text(t),
      convert.describe(value))
  end
  return room.new_ref(t, false, number)
end

--- The value as another type: pointers as C casts them, numbers wrapped to fit.
function ffi.cast(...)
  local room, shift, ct, value = with_room("cast", ...)
  local t = resolve(room, ct, "cast", shift + 1)
  if t.kind == "func" then t = ctype.pointer(t) end
  if t.kind == "array" then t = ctype.pointer(t.elem, t.elem_const) end
  if t.kind == "pointer" then return cast_pointer(room, t, value, shift + 2) end
  local number
  if ctype.is_number(t) then number = convert.cast_number(t, value) end
  if number == nil then
    misuse("bad argument #%d to 'cast' (cannot be cast to '%s': %s)", shift + 2, ctype.text(t),
      convert.describe(value))
  end
  return number
end

-- ---- Bytes --------------------------------------------------------------------------------------

local function check_length(n, name, at)
  if type(n) ~= "number" or n < 0 or n % 1 ~= 0 or n >= 2 ^ 32 then
    misuse("bad argument #%d to '%s' (count of bytes expected, got %s)", at, name,
      convert.describe(n))
  end
  return math.tointeger and math.tointeger(n) or n
end

-- How many bytes the object has from where the value begins, or nil for what a pointer points to.
local function known_size(info)
  if info.type.kind ~= "pointer" then return info.type.size end
end

--- The bytes up to a zero, or so many.
function ffi.string(...)
  local room, shift, value, n = with_room("string", ...)
  local info = check_value(room, value, "string", shift + 1)
  local t = info.type
  if n ~= nil then
    n = check_length(n, "string", shift + 2)
    return room.memory:read(object.check_place(info, value, 0, n), n)
  end
  local elem = t.kind == "pointer" and t.to or t.kind == "array" and t.elem
  if not elem or not (ctype.is_bytes(elem) or elem.kind == "void") then
    misuse("bad argument #%d to 'string' ('%s' needs a length)", shift + 1, info.name)
  end
  local at = object.check_place(info, value, 0, 1)
  local ok, text = pcall(room.memory.cstring, room.memory, at, known_size(info))
  if not ok then
    misuse("bad argument #%d to 'string' (no zero before the end of the memory)", shift + 1)
  end
  return text
end

-- Where bytes are written to; n of them have to be there.
local function check_target(room, value, n, name, at)
  local info = check_value(room, value, name, at)
  local t = info.type
  if t.kind == "pointer" and (t.to_const or t.to.kind == "func") or info.is_const or
    t.kind == "array" and t.elem_const then
    misuse("bad argument #%d to '%s' ('%s' is not to be written)", at, name, info.name)
  end
  local size = known_size(info)
  if size and n > size then
    misuse("bad argument #%d to '%s' (%d bytes for '%s', which has %d)", at, name, n, info.name,
      size)
  end
  return object.check_place(info, value, 0, n)
end

--- copy(to, string) with a zero behind it, copy(to, string or value, n).
function ffi.copy(...)
  local room, shift, to, from, n = with_room("copy", ...)
  if type(from) == "string" then
    if n == nil then
      from = from .. "\0"
    else
      n = check_length(n, "copy", shift + 3)
      if n > #from then
        misuse("bad argument #%d to 'copy' (%d bytes of a string of %d)", shift + 3, n, #from)
      end
      from = from:sub(1, n)
    end
    room.memory:write(check_target(room, to, #from, "copy", shift + 1), from)
    return
  end
  n = check_length(n, "copy", shift + 3)
  local info = check_value(room, from, "copy", shift + 2)
  local source = object.check_place(info, from, 0, n)
  room.memory:copy(check_target(room, to, n, "copy", shift + 1), source, n)
end

--- fill(to, n [, byte])
function ffi.fill(...)
  local room, shift, to, n, byte = with_room("fill", ...)
  n = check_length(n, "fill", shift + 2)
  byte = byte == nil and 0 or convert.cast_number(ctype.uchar, byte)
  if not byte then misuse("bad argument #%d to 'fill' (byte expected)", shift + 3) end
  room.memory:fill(check_target(room, to, n, "fill", shift + 1), byte, n)
end

-- ---- Lifetimes ----------------------------------------------------------------------------------

--- Calls fn(value) when nobody refers to the value any more; nil takes that back. Gives the value.
function ffi.gc(...)
  local room, shift, value, fn = with_room("gc", ...)
  local info = check_value(room, value, "gc", shift + 1)
  if fn ~= nil and type(fn) ~= "function" and type(fn) ~= "userdata" and type(fn) ~= "table" then
    misuse("bad argument #%d to 'gc' (function expected, got %s)", shift + 2, type(fn))
  end
  local holder = core.holder(value)
  if holder and holder.is_user then
    core.free(holder[1])
    if holder[2] then core.hold(value, holder[2]) end
  end
  if fn ~= nil then add_finaliser(info, value, fn) end
  return value
end

--- Frees an object of ffi.new at once. It and everything that refers to it is misuse from then on.
function ffi.free(...)
  local room, shift, value = with_room("free", ...)
  local info = check_value(room, value, "free", shift + 1)
  local _, _, is_freed = core.get(value)
  if is_freed then misuse("the object of '%s' was freed", info.name) end
  local holder = core.holder(value)
  if not holder then
    misuse("bad argument #%d to 'free' ('%s' was not made by ffi.new)", shift + 1, info.name)
  end
  while holder do
    local fn, argument = core.free(holder[1], true)
    if fn then fn(argument) end
    holder = holder[2]
  end
end

--- A C function that calls fn: a pointer to it, which lives until its :free().
function ffi.callback(...)
  local room, shift, ct, fn = with_room("callback", ...)
  local t = resolve(room, ct, "callback", shift + 1)
  if t.kind == "pointer" then t = t.to end
  if t.kind ~= "func" then
    misuse("bad argument #%d to 'callback' (type of a function expected, got '%s')", shift + 1,
      ctype.text(t))
  end
  if type(fn) ~= "function" then
    misuse("bad argument #%d to 'callback' (function expected, got %s)", shift + 2, type(fn))
  end
  return call.callback(room, t, fn)
end

-- ---- The rest -----------------------------------------------------------------------------------

local function errno_address(room)
  local exports = room.exports
  local location = exports.__errno_location
  if wasm.type(location) == "func" then return location() % 2 ^ 32 end
  if wasm.type(exports.errno) == "global" then return exports.errno.value % 2 ^ 32 end
  misuse("library '%s' exports no 'errno' (link it with --export=errno)", room.name)
end

--- The library's errno; with a number, sets it and gives what it was.
function ffi.errno(lib, value)
  local room = room_of(lib, "errno")
  local at = errno_address(room)
  at = math.tointeger and math.tointeger(at) or at
  local before = room.memory:load("i32", at)
  if value ~= nil then convert.store(room, ctype.int, at, value, "argument #2 of 'errno'") end
  return before
end

--- The instance behind a library, for its limits, usage and snapshots.
function ffi.instance(lib)
  local room = room_of(lib, "instance")
  room.expose()
  return room.instance
end

return ffi
