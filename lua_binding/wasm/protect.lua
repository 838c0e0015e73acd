--- pcall across which a coroutine can yield on every Lua. 5.1 cannot: there the call runs in a
-- coroutine of its own, whose yields go on to the one around it.

local unpack = table.unpack or unpack

if _VERSION ~= "Lua 5.1" or rawget(_G, "jit") then return pcall end

local function count(...)
  return { n = select("#", ...), ... }
end

return function(f, ...)
  if not coroutine.running() then return pcall(f, ...) end
  local co = coroutine.create(f)
  local given = count(...)
  while true do
    local got = count(coroutine.resume(co, unpack(given, 1, given.n)))
    if coroutine.status(co) == "dead" then return unpack(got, 1, got.n) end
    given = count(coroutine.yield(unpack(got, 2, got.n)))
  end
end
