--- The request filter in guard.c, for a host that gives it its requests.

local wasm = require "wasm"

local guard = {}

--- function(text) -> score, fingerprint; `wait(milliseconds)` delays the client. Requests that
-- overlap, since `wait` may yield, have an instance each, for a guest in C has one stack. One that
-- fails is not used again.
function guard.new(path, wait)
  local module = assert(wasm.loadfile(path))
  local idle = {}
  local function new()
    return assert(module:instantiate({ host = { wait = wait } }, { memory = 4194304, timeout = 1 }))
  end
  return function(text)
    local instance = table.remove(idle) or new()
    local exports = instance.exports
    exports.plugin_reset()
    local at = exports.plugin_alloc(#text)
    exports.memory:write(at, text)
    local score = exports.score(at, #text)
    local fingerprint = exports.last_fingerprint() % 4294967296
    idle[#idle + 1] = instance
    return score, fingerprint
  end
end

return guard
