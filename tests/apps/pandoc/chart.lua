-- pandoc: code blocks of the class `chart` are drawn by a guest in Wasm. What it cannot draw stays as
-- it is, with a message.

local wasm = require "wasm"

local module = assert(wasm.loadfile(os.getenv "CHART_WASM"))
local exports = assert(module:instantiate(nil, { memory = 16777216, timeout = 1 })).exports

local function draw(text)
  local memory = exports.memory
  exports.plugin_reset()
  local at = exports.plugin_alloc(#text)
  memory:write(at, text)
  local result, size = memory:unpack("II", exports.chart(at, #text))
  if size == 0 then error(("line %d is no label and number"):format(result), 0) end
  return memory:read(result, size)
end

function CodeBlock(block) -- luacheck: ignore 111
  if not block.classes:includes "chart" then return nil end
  local ok, result = pcall(draw, block.text)
  if not ok then
    io.stderr:write("chart: ", type(result) == "string" and result or result.code, "\n")
    return nil
  end
  return pandoc.CodeBlock((result:gsub("\n$", "")), pandoc.Attr("", { "drawn" }))
end
