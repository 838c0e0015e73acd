--- The state of one library: its memory and its allocator.
--
-- Memory of objects is the guest's own, from its malloc. What nobody refers to any more is freed at
-- the next allocation, never inside a finaliser: guest code might be running there. What is needed
-- for one call lies in an arena, a block of the guest's memory that is used as a stack; calls in
-- several coroutines may end in another order than they began, so that it counts them.

local core = require "wasm.ffi.core"
local convert = require "wasm.ffi.convert"
local object = require "wasm.ffi.object"
local parser = require "wasm.ffi.parser"

local room_methods = {}

local misuse = convert.misuse
local jit_ffi = convert.jit_ffi
local arena_size = 8192

-- ---- Allocation ---------------------------------------------------------------------------------

local function need_allocator(room)
  if not room.malloc then
    misuse("library '%s' exports no 'malloc' and 'free', which this needs", room.name)
  end
end

local function free_pending(room)
  local pending = room.pending
  while #pending > 0 do room.free(table.remove(pending)) end
end

-- n bytes of the guest's memory that the caller frees.
local function allocate(room, n)
  need_allocator(room)
  if #room.pending > 0 then free_pending(room) end
  local at = room.malloc(n > 0 and n or 1)
  if at < 0 then at = at + 2 ^ 32 end
  if at == 0 then
    collectgarbage()
    free_pending(room)
    at = room.malloc(n > 0 and n or 1) % 2 ^ 32
    if at == 0 then misuse("library '%s' has no memory for %d bytes", room.name, n) end
  end
  if at + n > room.size() then
    misuse("malloc of library '%s' gave 0x%08x, which is outside of its memory", room.name, at)
  end
  return math.tointeger and math.tointeger(at) or at
end

-- A new object with zeroed memory, freed when nobody refers to it.
function room_methods.new_object(room, t, size)
  size = size or t.size
  local at = allocate(room, size)
  room.memory:fill(at, 0, size)
  local holder = { core.owner(room.release, at, size) }
  return object.new_ref(room, t, false, at, holder), at
end

-- Memory for a call: the frame is given back by release_frame.
function room_methods.temporary(room, frame, n)
  local arena = room.arena
  n = math.ceil(n / 16) * 16
  if not arena then
    arena = { top = 0, live = 0, base = allocate(room, arena_size) }
    room.arena = arena
    if room.fast_arena then
      core.set_arena(room.fast_arena, allocate(room, arena_size), arena_size)
    end
  end
  if arena.top + n > arena_size then
    local at = allocate(room, n)
    frame[#frame + 1] = at
    return at
  end
  if not frame.start then
    frame.start = arena.top
    arena.live = arena.live + 1
  end
  local at = arena.base + arena.top
  arena.top = arena.top + n
  frame.stop = arena.top
  return math.tointeger and math.tointeger(at) or at
end

function room_methods.release_frame(room, frame)
  local arena = room.arena
  if frame.start then
    arena.live = arena.live - 1
    if arena.live == 0 then
      arena.top = 0
    elseif arena.top == frame.stop then
      arena.top = frame.start
    end
  end
  for i = 1, #frame do room.free(frame[i]) end
  if frame.callbacks then
    for _, index in ipairs(frame.callbacks) do room.free_slot(index) end
  end
end

-- ---- Making -------------------------------------------------------------------------------------

-- On LuaJIT traces read memory by themselves: up to `limit` bytes from `base`. Not while the user
-- could close the instance. Values are finalised in the reverse of the order in which they were
-- made, so that the guard made here ends it before the memory goes.
local function watch_memory(room)
  room.limit = 0
  if not jit_ffi then
    room.refresh = function() end
    return
  end
  function room.refresh()
    room.limit = 0
    if room.is_exposed or not room.memory then return end
    local ok, size = pcall(function() return #room.memory end)
    if not ok then return end
    local pointer, is_stable = room.memory:pointer()
    if is_stable then room.base, room.limit = jit_ffi.cast("uint8_t *", pointer), size end
  end
  local known = {}
  function room.accessors(access, make)
    if not known[access] then known[access] = { make(room, access) } end
    return known[access][1], known[access][2]
  end
  room.guard = core.owner(function()
    room.limit, room.is_exposed = 0, true
  end, nil, 0)
  room.refresh()
end

-- options: name, memory, malloc, free, scope
function room_methods.new(options)
  local room = { name = options.name, memory = options.memory, malloc = options.malloc,
    free = options.free, scope = options.scope, exports = options.exports, infos = {},
    const_infos = {}, metatypes = {}, pending = {}, slots = {}, parsed = {} }
  local pending = room.pending
  function room.release(address) pending[#pending + 1] = address end
  local memory = room.memory
  function room.size() return #memory end
  function room.new_ref(t, is_const, address, holder)
    return object.new_ref(room, t, is_const, address, holder)
  end
  watch_memory(room)
  function room.expose()
    room.is_exposed = true
    room.refresh()
  end
  return room
end

-- The type that a text means in the library, and whether it is const.
function room_methods.parse(room, text)
  local known = room.parsed[text]
  if not known then
    local t, is_const = parser.type(room.scope, text)
    known = { t, is_const }
    room.parsed[text] = known
  end
  return known[1], known[2]
end

return room_methods
