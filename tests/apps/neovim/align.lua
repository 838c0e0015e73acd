--- A plugin of Neovim whose work is done in Wasm, a step at a time, while the editor goes on.

local wasm = require "wasm"

local align = {}

-- The lines of a buffer, as the guest's imports.
local function host_of(buffer, exports)
  return {
    line = function(number, to, max)
      local text = vim.api.nvim_buf_get_lines(buffer, number, number + 1, false)[1]
      if not text then return -1 end
      exports().memory:write(to, text:sub(1, max))
      return #text
    end,
    replace = function(number, at, size)
      vim.api.nvim_buf_set_lines(buffer, number, number + 1, false, { exports().memory:read(at, size) })
    end,
    breathe = coroutine.yield,
  }
end

--- Aligns the tables of a buffer by the guest of that path; `done(tables or nil, err)` is called
-- when it has. The guest works for a millisecond, then the event loop has its turn.
function align.start(path, buffer, done)
  local instance
  local host = host_of(buffer, function() return instance.exports end)
  instance = assert(wasm.instantiate(assert(wasm.loadfile(path)), { host = host },
    { memory = 4194304, timeout = 1 }))
  local co = coroutine.create(instance.exports.align)
  local function step()
    local deadline = vim.loop.hrtime() + 1e6
    local ok, result
    repeat
      ok, result = coroutine.resume(co)
    until not ok or coroutine.status(co) == "dead" or vim.loop.hrtime() > deadline
    if not ok then
      done(nil, result)
    elseif coroutine.status(co) == "dead" then
      done(result)
    else
      vim.defer_fn(step, 0)
    end
  end
  step()
end

return align
