-- Plugins built with the kits of other languages than C: lua tests/lua/run.lua tests/extism/kits.lua
-- after tests/extism/build_kits.sh, whose folder $RILLE_EXTISM names.
local t = ...
local extism = require "wasm.extism"
local folder = os.getenv "RILLE_EXTISM" or "build/extism"

local function new(fields, options)
  local manifest = { wasm = { { path = folder .. "/words.wasm" } } }
  for name, value in pairs(fields or {}) do manifest[name] = value end
  options = options or {}
  options.functions = { translate = function(current, word)
    return current:store((current:read(word):upper()))
  end }
  return assert(extism.new(manifest, options))
end

t.test("AssemblyScript: input, output, config, log", function()
  local lines = {}
  local plugin = new({ config = { before = "> " } }, { log = function(level, text)
    lines[#lines + 1] = level .. ": " .. text
  end })
  t.eq(plugin:call("words", "pear apple fig"), "> apple\n> fig\n> pear\n")
  t.eq(table.concat(lines), "info: 3 words")
  t.eq(new():call("words", "ü ö"), "ö\nü\n")
end)

t.test("AssemblyScript: variables", function()
  local plugin = new()
  for i = 1, 3 do t.eq(plugin:call "calls", tostring(i)) end
  t.eq(plugin.vars.calls, "3")
  t.eq(plugin:call "forget", "")
  t.eq(plugin:call "calls", "1")
end)

t.test("AssemblyScript: a function of the host", function()
  t.eq(new():call("translated", "word"), "WORD")
end)

t.test("AssemblyScript: bytes", function()
  local plugin = new()
  for n = 1, 40 do
    local text = ("0123456789abcdefghijklmnopqrstuvwxyzABCD"):sub(1, n)
    t.eq(plugin:call("backwards", text), text:reverse())
  end
  local long = ("x"):rep(100000) .. "y"
  t.eq(plugin:call("backwards", long) == long:reverse(), true)
end)

t.test("AssemblyScript: a failing assertion", function()
  local plugin = new()
  t.traps("trap", "unreachable", plugin.call, plugin, "fails")
  t.eq(plugin:call "calls", "1")
end)
