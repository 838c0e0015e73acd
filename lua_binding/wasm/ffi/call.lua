--- Calls in both directions: exported functions by their C types, Lua functions as C functions.
--
-- A function whose parameters and result are plain numbers is the exported function itself. Others
-- are Lua functions, written for their number of parameters, that convert each; a C function
-- (lua_ffi.c) comes first and does the usual cases. Strings, structures and
-- Lua functions that are given live for the call: in the frame of the call, which is given back
-- also when the call raises.

local wasm = require "wasm"
local core = require "wasm.ffi.core"
local convert = require "wasm.ffi.convert"
local ctype = require "wasm.ffi.ctype"
local object = require "wasm.ffi.object"
local rooms = require "wasm.ffi.room"

local call = {}

local misuse = convert.misuse
local has_integers = math.type ~= nil
local load_text = loadstring or load

-- pcall, across which 5.1 cannot yield: there the call runs in a coroutine, whose yields go on.
local protected = pcall
if _VERSION == "Lua 5.1" and not convert.jit_ffi and not rawget(_G, "jit") then
  local function forward(co, ok, ...)
    if ok and coroutine.status(co) == "suspended" then
      return forward(co, coroutine.resume(co, coroutine.yield(...)))
    end
    return ok, ...
  end
  function protected(f, ...)
    if not coroutine.running() then return pcall(f, ...) end
    local co = coroutine.create(f)
    return forward(co, coroutine.resume(co, ...))
  end
end
call.protected = protected

-- ---- Arguments ----------------------------------------------------------------------------------

-- May a string be given, which is copied in for the call? As in LuaJIT: for const bytes or void.
local function takes_strings(t)
  return t.kind == "pointer" and t.to_const and (t.to.kind == "void" or ctype.is_bytes(t.to))
end

local function takes_functions(t)
  return t.kind == "pointer" and t.to.kind == "func"
end

local function pass_string(room, frame, text)
  local at = rooms.temporary(room, frame, #text + 1)
  room.memory:write(at, text .. "\0")
  return at
end

local function pass_callback(room, frame, t, fn, what)
  local index, is_new = room.function_index(t.to, fn, what, true)
  if is_new then
    frame.callbacks = frame.callbacks or {}
    frame.callbacks[#frame.callbacks + 1] = index
  end
  return index
end

local converters = {}

-- Each gives a function of the value and the frame, which gives one or two values for WebAssembly.
function converters.pointer(room, t, what, accepts)
  local strings, functions = takes_strings(t), takes_functions(t)
  return function(value, frame)
    if strings and type(value) == "string" then return pass_string(room, frame, value) end
    if functions and type(value) == "function" then
      return pass_callback(room, frame, t, value, what)
    end
    local address, id = convert.to_pointer(room, t, value, what)
    if id then accepts[id] = true end
    return address
  end
end

function converters.f128(_, _, what)
  return function(value) return convert.quad_to_wasm(value, what) end
end

function converters.number(_, t, what)
  return function(value) return convert.to_wasm(t, value, what) end
end

-- A structure that is passed in memory, as its only element, or not at all.
function converters.record(room, t, what)
  local how, element = ctype.pass(t)
  return function(value, frame)
    local size = math.max(t.size, 1)
    local at = rooms.temporary(room, frame, size)
    room.memory:fill(at, 0, size)
    convert.store(room, t, at, value, what)
    if how == "memory" then return at end
    if how == "none" then return nil end
    if how == "f128" then
      return room.memory:load("i64", at), room.memory:load("i64", at + 8)
    end
    if element.kind == "pointer" then return room.memory:load("u32", at) end
    local access = convert.access_of(element)
    return room.memory:load(access == "bool" and "u8" or access, at)
  end
end

local function converter_for(room, t, what, accepts)
  if ctype.is_record(t) then return converters.record(room, t, what) end
  if t.kind == "pointer" then return converters.pointer(room, t, what, accepts) end
  if t.kind == "float" and t.size == 16 then return converters.f128(room, t, what) end
  return converters.number(room, t, what)
end

-- ---- Results ------------------------------------------------------------------------------------

-- An object for a structure that came back as its only element.
local function from_element(room, t, how, element, value)
  local ref, at = rooms.new_object(room, t)
  if how == "none" then return ref end
  if element.kind == "pointer" then
    room.memory:store("u32", at, value)
  else
    local access = convert.access_of(element)
    if element.size < 4 and element.kind ~= "float" then
      value = value % 2 ^ (element.size * 8)
      value = has_integers and math.tointeger(value) or value
    end
    room.memory:store(access == "bool" and "u8" or access, at, value)
  end
  return ref
end

-- A function of what WebAssembly gives, or nil where that is the result.
local function result_for(room, t)
  if t.kind == "void" then return nil end
  if t.kind == "pointer" then
    return function(address)
      if address == 0 then return nil end
      return room.new_ref(t, false, address)
    end
  elseif ctype.is_record(t) then
    local how, element = ctype.pass_result(t)
    return function(value) return from_element(room, t, how, element, value) end
  elseif t.kind == "float" or t.size == 4 and t.kind ~= "bool" and t.signed then
    return nil
  elseif t.size == 8 and (t.signed or not convert.jit_ffi) then
    return nil
  end
  return function(value) return convert.from_wasm(t, value) end
end

-- ---- Exported functions -------------------------------------------------------------------------

-- Can the exported function itself be called? It takes numbers and gives what Lua is to have.
local function is_plain(t, is_result)
  if t.kind == "void" then return true end
  if t.kind == "float" then return t.size < 16 end
  if t.kind ~= "int" or t.size < 4 then return false end
  if not is_result then return true end
  return t.signed or t.size == 8 and not convert.jit_ffi
end

-- Will the argument need the frame?
local function may_need_frame(t)
  return ctype.is_record(t) or takes_strings(t) or takes_functions(t)
end

-- The parts of the text of a function with n parameters: "a1, a2".
local function names(prefix, n)
  local list = {}
  for i = 1, n do list[i] = prefix .. i end
  return table.concat(list, ", ")
end

-- The Lua code of a caller. Its upvalues: f, the converters c1 to cn, r for the result, `sret` that
-- makes room for a result in memory, run(body, ...) that gives body a frame.
local function caller_text(ftype)
  local n, always, tests = #ftype.params, false, {}
  local in_memory = ctype.pass_result(ftype.result) == "memory"
  local lines = { "local f, r, sret, run, check, c = ..." }
  if n > 0 then
    lines[#lines + 1] = ("local %s = %s"):format(names("c", n), names("c.c", n))
  end
  local pre, passed = {}, in_memory and { "s" } or {}
  for i, param in ipairs(ftype.params) do
    local how = ctype.pass(param.type)
    if ctype.is_record(param.type) then
      always = true
    elseif may_need_frame(param.type) then
      tests[#tests + 1] = ("type(a%d) == 'string' or type(a%d) == 'function'"):format(i, i)
    end
    if how == "f128" then
      pre[#pre + 1] = ("local x%d, y%d = c%d(a%d, frame)"):format(i, i, i, i)
      passed[#passed + 1] = ("x%d, y%d"):format(i, i)
    else
      pre[#pre + 1] = ("local x%d = c%d(a%d, frame)"):format(i, i, i)
      if how ~= "none" then passed[#passed + 1] = "x" .. i end
    end
  end
  local result = ("r(f(%s))"):format(table.concat(passed, ", "))
  lines[#lines + 1] = ("local function body(frame%s)"):format(n > 0 and ", " .. names("a", n) or "")
  for _, line in ipairs(pre) do lines[#lines + 1] = "  " .. line end
  if in_memory then
    lines[#lines + 1] = "  local s, result = sret(frame)"
    lines[#lines + 1] = ("  f(%s)"):format(table.concat(passed, ", "))
    result = "result(s)"
    always = true
  end
  lines[#lines + 1] = ("  return %s\nend"):format(result)
  if n > 0 and ftype.params[n].type.kind == "pointer" then
    lines[#lines + 1] = ("return function(%s...)"):format(n > 1 and names("a", n - 1) .. ", " or "")
    lines[#lines + 1] = ("  local a%d = ..."):format(n)
    lines[#lines + 1] = ("  if a%d == nil and select('#', ...) == 0 then check() end"):format(n)
  else
    lines[#lines + 1] = ("return function(%s)"):format(names("a", n))
  end
  local arguments = n > 0 and ", " .. names("a", n) or ""
  if always then
    lines[#lines + 1] = ("  return run(body%s)"):format(arguments)
  else
    if #tests > 0 then
      lines[#lines + 1] = ("  if %s then return run(body%s) end"):format(
        table.concat(tests, " or "), arguments)
    end
    lines[#lines + 1] = ("  return body(nil%s)"):format(arguments)
  end
  lines[#lines + 1] = "end"
  return table.concat(lines, "\n")
end

local function same(value)
  return value
end

-- Gives the body a frame of its own, and that back however it ends.
local function runner(room)
  local function finish(frame, ok, ...)
    rooms.release_frame(room, frame)
    if not ok then error((...), 0) end
    return ...
  end
  return function(body, ...)
    local frame = {}
    return finish(frame, protected(body, frame, ...))
  end
end

-- Makes room for a result in memory: its address, and what gives the value when it is there.
local function sret_for(room, t)
  if t.kind == "float" then
    return function(frame)
      local at = rooms.temporary(room, frame, 16)
      return at, function() return convert.load(room, t, at) end
    end
  end
  local _, element = ctype.pass_result(t)
  return function()
    local ref, at = rooms.new_object(room, t)
    return at, function() return ref end, element
  end
end

-- A last parameter that nobody gave is misuse, while a nil that was given is a null pointer.
local function checker(name, ftype)
  local n = #ftype.params
  return function()
    misuse("bad argument #%d to '%s' (%s expected, got no value)", n, name,
      ctype.text(ftype.params[n].type))
  end
end

local function slow_caller(room, name, ftype, f, accepts)
  local c = {}
  for i, param in ipairs(ftype.params) do
    local what = ("argument #%d of '%s'"):format(i, name)
    c["c" .. i] = converter_for(room, param.type, what, accepts[i])
  end
  local in_memory = ctype.pass_result(ftype.result) == "memory"
  local chunk = assert(load_text(caller_text(ftype), "=[wasm/ffi]"))
  return chunk(f, result_for(room, ftype.result) or same,
    in_memory and sret_for(room, ftype.result) or nil, runner(room), checker(name, ftype), c)
end

-- How the C part passes a type, or nil where it cannot.
local letters = { bool = "?", i8 = "b", u8 = "B", i16 = "h", u16 = "H", i32 = "i", u32 = "I",
  i64 = "l", f32 = "f", f64 = "d" }

local function letter_of(t, is_result)
  if t.kind == "void" then return "v" end
  if t.kind == "pointer" then
    return not is_result and (takes_strings(t) and "s" or takes_functions(t) and "x") or "p"
  end
  if t.kind == "enum" and t.size == 4 then return t.signed and "i" or "I" end
  -- LuaJIT's uint64_t is made by Lua code.
  if is_result and t.size == 8 and t.kind == "int" and not t.signed and convert.jit_ffi then
    return nil
  end
  local access = convert.access_of(t)
  return access and letters[access] or nil
end

local function fast_caller(room, ftype, f, slow, accepts)
  if not room.memory then return slow end
  local text = {}
  for i, param in ipairs(ftype.params) do
    local letter = letter_of(param.type)
    if not letter then return slow end
    text[i] = letter
  end
  local result = letter_of(ftype.result, true)
  if not result or #text > 16 then return slow end
  local info = result == "p" and object.info(room, ftype.result, false)
  room.fast_arena = room.fast_arena or core.arena()
  return core.caller(f, slow, room.memory, result .. table.concat(text), accepts,
    info and info.metatable or nil, info and info.id or 0, room.fast_arena)
end

-- The Lua function for a function of the library.
function call.make(room, name, ftype, f)
  local plain = is_plain(ftype.result, true)
  for _, param in ipairs(ftype.params) do plain = plain and is_plain(param.type) end
  if plain then return f end
  local accepts = {}
  for i, param in ipairs(ftype.params) do
    if param.type.kind == "pointer" then
      local known = room.accepts[param.type] or {}
      room.accepts[param.type] = known
      accepts[i] = known
    else
      accepts[i] = {}
    end
  end
  local caller = fast_caller(room, ftype, f, slow_caller(room, name, ftype, f, accepts), accepts)
  room.origins[caller] = f
  return caller
end

-- ---- Lua functions as C functions ---------------------------------------------------------------

-- What a Lua function is given for a parameter: values from WebAssembly, two for a long double.
local function argument_reader(room, t)
  local how, element = ctype.pass(t)
  if ctype.is_record(t) then
    if how == "memory" then
      return function(address) return room.new_ref(t, false, address) end
    end
    if how == "f128" then
      return function(low, high)
        local ref, at = rooms.new_object(room, t)
        room.memory:store("i64", at, low)
        room.memory:store("i64", at + 8, high)
        return ref
      end
    end
    return function(value) return from_element(room, t, how, element, value) end
  elseif how == "f128" then
    return convert.quad_from_wasm
  elseif t.kind == "pointer" then
    return function(address)
      if address == 0 then return nil end
      return room.new_ref(t, false, address)
    end
  end
  return function(value) return convert.from_wasm(t, value) end
end

-- What WebAssembly is given for the result, after it was stored where the caller wants it.
local function result_writer(room, t, what)
  local how, element = ctype.pass_result(t)
  if t.kind == "void" then return function() end end
  if how == "memory" then
    return function(value, address) convert.store(room, t, address % 2 ^ 32, value, what) end
  elseif ctype.is_record(t) then
    return function(value)
      local _, at = rooms.new_object(room, t)
      convert.store(room, t, at, value, what)
      if how == "none" then return nil end
      local access = element.kind == "pointer" and "u32" or convert.access_of(element)
      return room.memory:load(access == "bool" and "u8" or access, at)
    end
  elseif t.kind == "pointer" then
    return function(value)
      if type(value) == "function" and takes_functions(t) then
        return room.function_index(t.to, value, what)
      end
      return (convert.to_pointer(room, t, value, what))
    end
  end
  return function(value) return convert.to_wasm(t, value, what) end
end

-- The Lua code around a callback: parameters p1 to pn (and q for second halves) to readers r.
local function callback_text(ftype)
  local n, params, values = #ftype.params, {}, {}
  if ctype.pass_result(ftype.result) == "memory" then params[1] = "s" end
  for i, param in ipairs(ftype.params) do
    local how = ctype.pass(param.type)
    if how == "f128" then
      params[#params + 1] = ("p%d, q%d"):format(i, i)
      values[i] = ("r%d(p%d, q%d)"):format(i, i, i)
    elseif how == "none" then
      values[i] = ("r%d()"):format(i)
    else
      params[#params + 1] = "p" .. i
      values[i] = ("r%d(p%d)"):format(i, i)
    end
  end
  local heads = n > 0 and ("local %s = %s\n"):format(names("r", n), names("r.r", n)) or ""
  return ("local box, w, r = ...\n%sreturn function(%s)\n  return w((box.fn(%s)), %s)\nend"):format(
    heads, table.concat(params, ", "), table.concat(values, ", "),
    params[1] == "s" and "s" or "nil")
end

-- A typed function around box.fn.
local function make_callback(room, ftype, box, what)
  local readers = {}
  for i, param in ipairs(ftype.params) do readers["r" .. i] = argument_reader(room, param.type) end
  local writer = result_writer(room, ftype.result, what)
  local chunk = assert(load_text(callback_text(ftype), "=[wasm/ffi]"))
  return wasm.func(ctype.signature(ftype), chunk(box, writer, readers))
end

-- ---- The table of functions ---------------------------------------------------------------------

local function need_table(room)
  if not room.table then
    misuse("library '%s' exports no table of functions, which callbacks need " ..
      "(link it with --export-table --growable-table)", room.name)
  end
end

local function take_slot(room, f)
  need_table(room)
  local index = table.remove(room.slots)
  if index then
    room.table:set(index, f)
    return index
  end
  local ok, err
  index, err = room.table:grow(1, f)
  if not index then
    misuse("the table of functions of library '%s' cannot grow (%s); link it with " ..
      "--growable-table", room.name, tostring(err.message))
  end
  ok = index ~= 0
  if not ok then return take_slot(room, f) end -- index 0 would be a null pointer
  return index
end

local function free_slot(room, index)
  room.table:set(index, nil)
  room.slots[#room.slots + 1] = index
  room.callbacks[index] = nil
end

-- The index of an exported function, which stays in the table once it is there.
local function index_of_export(room, ftype, f, what)
  local wanted, got = ctype.signature(ftype), wasm.signature(f)
  if wanted ~= got then
    misuse("bad value for %s (function of type %s expected, got %s)", what, wanted, got)
  end
  local index = room.indices[f]
  if not index then
    index = take_slot(room, f)
    room.indices[f] = index
  end
  return index
end

-- The index of a Lua function: a new callback, or an exported function's.
local function function_index(room, ftype, fn, what, is_temporary)
  need_table(room)
  local origin = room.origins[fn] or wasm.type(fn) == "func" and fn
  if origin then return index_of_export(room, ftype, origin, what), false end
  if not is_temporary then
    misuse("bad value for %s (a Lua function needs ffi.callback to live longer than a call)", what)
  end
  local index = take_slot(room, make_callback(room, ftype, { fn = fn }, "result of a callback"))
  return index, true
end

-- What a pointer to a function calls.
local function function_at(room, ftype, address)
  need_table(room)
  if address == 0 then misuse("NULL pointer '%s'", ctype.text(ctype.pointer(ftype))) end
  local f = address < #room.table and room.table:get(address)
  if not f then
    misuse("'%s' 0x%08x: there is no such function", ctype.text(ctype.pointer(ftype)), address)
  end
  local wanted, got = ctype.signature(ftype), wasm.signature(f)
  if wanted ~= got then
    misuse("'%s' 0x%08x is a function of type %s", ctype.text(ctype.pointer(ftype)), address, got)
  end
  local made = room.pointed[ftype]
  if not made then
    made = setmetatable({}, { __mode = "k" })
    room.pointed[ftype] = made
  end
  if not made[f] then made[f] = call.make(room, ctype.text(ftype, false, "*"), ftype, f) end
  return made[f]
end

-- ---- Callbacks that live until they are freed ---------------------------------------------------

local function callback_of(room, ref)
  local info = object.info_of(ref)
  local _, address, is_freed = core.get(ref)
  if not info or info.room ~= room then misuse "callback expected" end
  if is_freed then misuse "the callback was freed" end
  local box = room.callbacks[address]
  if not box then misuse("'%s' is no callback", info.name) end
  return box, address
end

local function callback_methods(room)
  local methods = {}
  function methods.free(ref)
    local box, index = callback_of(room, ref)
    free_slot(room, index)
    core.free(box.owner, true)
  end
  function methods.set(ref, fn)
    local box = callback_of(room, ref)
    if type(fn) ~= "function" then
      misuse("bad argument #1 to 'set' (function expected, got %s)", type(fn))
    end
    box.fn = fn
  end
  return methods
end

-- A pointer to a function that calls `fn`.
function call.callback(room, ftype, fn)
  local box = { fn = fn, owner = core.owner(nil, nil, 0) }
  local index = take_slot(room, make_callback(room, ftype, box, "result of a callback"))
  room.callbacks[index] = box
  return room.new_ref(ctype.pointer(ftype), false, index, { box.owner })
end

-- Gives the room what the other parts ask it for.
function call.open(room, functions)
  room.table = functions
  room.accepts, room.indices, room.callbacks, room.pointed = {}, {}, {}, {}
  room.origins = setmetatable({}, { __mode = "k" })
  room.callback_methods = callback_methods(room)
  function room.function_index(...) return function_index(room, ...) end
  function room.function_at(...) return function_at(room, ...) end
  function room.free_slot(index) free_slot(room, index) end
end

return call
