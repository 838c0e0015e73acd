-- Strings both ways: into the memory of a plugin written in C, and back.
local here = dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")
local wasm = require "wasm"

local plugin = assert(wasm.loadfile(here .. "/../plugins/markdown.wasm"))
local markdown = assert(plugin:instantiate()).exports

-- The guest lends room for the text; its answer is the address of a pair {address, size}.
local function to_html(text)
  local at = markdown.plugin_alloc(#text)
  markdown.memory:write(at, text)
  local result, size = markdown.memory:unpack("I4I4", markdown.to_html(at, #text))
  local html = markdown.memory:read(result, size)
  markdown.plugin_reset()
  return html
end

print((to_html "# Hello\n\nA *string* with a `zero` is **fine**.":gsub("\n+$", "")))

-- A string that ends with a zero, as C has them, needs no size.
markdown.memory:write(64, "terminated\0ignored")
print(markdown.memory:cstring(64))

--[[ prints
<h1>Hello</h1>
<p>A <em>string</em> with a <code>zero</code> is <strong>fine</strong>.</p>
terminated
]]
