-- lua memory.lua FILE: resident bytes of one instance, the mean over 1,000, in a fresh process.
local wasm = require "wasm"

local function resident_pages()
  collectgarbage()
  local file = assert(io.open "/proc/self/statm")
  local pages = file:read "*a":match "%d+ (%d+)"
  file:close()
  return tonumber(pages)
end

local module = assert(wasm.loadfile(arg[1]))
local kept = { assert(module:instantiate()) }
local before = resident_pages()
for i = 2, 1001 do kept[i] = assert(module:instantiate()) end
local grown = resident_pages() - before
print(grown / (#kept - 1))
