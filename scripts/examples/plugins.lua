-- A directory of plugins that are reloaded when their files change, while calls go on.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")
local loader = require "wasm.loader"

local base = os.tmpname() -- stands for a directory
local function save(name, reply, more)
  local file = assert(io.open(base .. "_" .. name .. ".wat", "w"))
  file:write(([[(module
    (@custom "manifest" "return { permissions = { 'env.log' }, exports = { 'hello' } }")
    (import "env" "log" (func $log (param i32)))
    (global $calls (export "calls") (mut i32) (i32.const 0))
    (func (export "hello") (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (call $log (global.get $calls)) (i32.const %d)) %s)]]):format(reply, more or ""))
  file:close()
end

local plugins = {}
local function load_all(names)
  for _, name in ipairs(names) do
    local plugin, err = loader.load(base .. "_" .. name .. ".wat", { name = name,
      imports = { env = { log = function(n) print(("  %s: call %d"):format(name, n)) end } },
      permissions = { "env.log" }, limits = { timeout = 1, memory = 2 ^ 24 }, keep = { "calls" } })
    if plugin then plugins[name] = plugin else print("not loaded: " .. tostring(err)) end
  end
end

-- What a host does now and then, or when a file watcher says so.
local function reload_changed()
  for name, plugin in pairs(plugins) do
    if plugin:changed() then
      local ok, err = plugin:reload()
      print(name .. (ok and " reloaded" or " refused: " .. err.kind))
    end
  end
end

save("one", 1)
save("two", 2)
load_all { "one", "two" }
print(plugins.one.exports.hello(), plugins.two.exports.hello())
save("one", 100)
reload_changed()
print(plugins.one.exports.hello(), plugins.two.exports.hello())
save("one", 5, "(func unreachable_nonsense)")
reload_changed()
save("one", 5, "(func $s unreachable) (start $s)")
reload_changed()
print(plugins.one.exports.hello())
for name, plugin in pairs(plugins) do
  plugin:close()
  os.remove(base .. "_" .. name .. ".wat")
end
os.remove(base)

--[[ prints
  one: call 1
  two: call 1
1	2
one reloaded
  one: call 2
  two: call 2
100	2
one refused: malformed
one refused: trap
  one: call 3
100
]]
