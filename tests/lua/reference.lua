-- Every example of the reference runs, and prints what it says in `-->` comments of print lines.
local t = ...
local here = arg[0]:match("^(.*)/[^/]*$") or "."
local path = here .. "/../../lua_binding/README.md"
local file = io.open(path)
if not file then return end
local text = file:read "*a"
file:close()

local load = loadstring or load
local n = 0
for block in text:gmatch("```lua\n(.-)```") do
  n = n + 1
  t.test("example " .. n .. ": " .. block:match "\n(.-)\n", function()
    local printed, real_print = {}, print
    print = function(...) -- luacheck: ignore
      local line = {}
      for i = 1, select("#", ...) do line[i] = tostring((select(i, ...))) end
      printed[#printed + 1] = table.concat(line, "  ")
    end
    local chunk = assert(load(block, "=README"))
    local ok, err = pcall(chunk)
    print = real_print -- luacheck: ignore
    if not ok then error(err, 0) end
    local all = table.concat(printed, "\n")
    for wanted in block:gmatch("print%b()%s*%-%->%s*([^\n]+)") do
      if not wanted:find(", then", 1, true) and not wanted:find("...", 1, true) and
        not wanted:find("and an error", 1, true) and not all:find(wanted, 1, true) then
        error(("wanted %q in %q"):format(wanted, all), 0)
      end
    end
  end)
end
t.test("there are examples", function() t.eq(n > 20, true) end)

-- The annotations for editors name everything that the modules have.
t.test("annotations are complete", function()
  local meta = assert(io.open(here .. "/../../lua_binding/wasm/meta.lua"))
  local types = meta:read "*a"
  meta:close()
  local function check(prefix, names)
    for name in pairs(names) do
      if type(name) == "string" and not name:find "^__" and
        not types:find(("function %s%s("):format(prefix, name), 1, true) and
        not types:find(("---@field %s "):format(name), 1, true) then
        t.fail(prefix .. name .. " has no annotation")
      end
    end
  end
  local wasm = t.wasm
  check("wasm.", wasm)
  check("wasi.", require "wasm.wasi")
  check("loader.", require "wasm.loader")
  check("ffi.", require "wasm.ffi")
  check("repl.", require "wasm.repl")
  check("Memory:", debug.getregistry()["wasm.memory"].__index)
  check("Table:", debug.getregistry()["wasm.table"].__index)
end)

-- The reference names everything that the modules and objects have.
t.test("the reference is complete", function()
  local absent = {}
  local function check(prefix, names)
    for name in pairs(names) do
      local is_name = type(name) == "string" and not name:find "^__"
      if is_name and not text:find(prefix .. name .. "%f[^%w_]") then
        absent[#absent + 1] = (prefix .. name):gsub("%%", "")
      end
    end
  end
  local registry = debug.getregistry()
  check("wasm%.", t.wasm)
  check("wasi%.", require "wasm.wasi")
  check("loader%.", require "wasm.loader")
  check("ffi%.", require "wasm.ffi")
  check("repl%.", { new = true })
  for kind, prefix in pairs { memory = "mem:", table = "t:" } do
    check(prefix, registry["wasm." .. kind].__index)
  end
  for _, kind in ipairs { "instance", "module" } do
    local i = assert(t.wasm.instantiate "(module)")
    local object = kind == "module" and i.module or i
    for _, name in ipairs { "usage", "close", "refuel", "interrupt", "trace", "snapshot", "reset",
      "sections", "instantiate", "stats", "serialize", "type" } do
      local has, method = pcall(function() return object[name] end)
      if has and type(method) == "function" then check(kind .. ":", { [name] = true }) end
    end
  end
  table.sort(absent)
  t.eq(table.concat(absent, " "), "")
end)
