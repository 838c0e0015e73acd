-- The sightglass programs: lua sightglass.lua FOLDER [PATTERN]. Each runs in its own folder, which
-- it sees as "."; what it writes is compared byte for byte. Those of which nothing is expected are
-- left out. RILLE_ENGINE names the engine.

local wasm = require "wasm"
local wasi = require "wasm.wasi"
local folder, pattern = arg[1], arg[2] or ""

local function read_file(path)
  local file = io.open(path, "rb")
  local bytes = file and file:read "*a"
  if file then file:close() end
  return bytes
end

-- What is expected of a stream: the program's own file, else that of its folder.
local function expected(path, stream)
  local own = path:gsub("%.wasm$", "") .. "." .. stream .. ".expected"
  return read_file(own) or read_file(path:match "^(.*)/" .. "/default." .. stream .. ".expected")
end

local function run(path)
  local status, context = wasi.run(assert(wasm.loadfile(path, { engine = os.getenv "RILLE_ENGINE" })), {
    dirs = { ["."] = path:match "^(.*)/" },
    stdout = "capture",
    stderr = "capture",
    imports = { bench = { start = function() end, ["end"] = function() end } },
  })
  if not status then return tostring(context) end
  if status ~= 0 then return ("status %d: %s"):format(status, context:errors()) end
  for stream, got in pairs { stdout = context:output(), stderr = context:errors() } do
    local wanted = expected(path, stream)
    if wanted and wanted ~= got then
      return ("wrote %q, wanted %q"):format(got:sub(1, 200), wanted:sub(1, 200))
    end
  end
end

local passed, failed = 0, 0
local programs = io.popen(("find '%s' -name '*.wasm' | sort"):format(folder))
for path in programs:lines() do
  if path:find(pattern, 1, true) and expected(path, "stdout") then
    local began = os.clock()
    local ok, why = pcall(run, path)
    if ok and not why then
      passed = passed + 1
    else
      failed = failed + 1
      print(path .. ": " .. tostring(why))
    end
    if os.getenv "RILLE_TIMES" then print(("%7.2f s %s"):format(os.clock() - began, path)) end
  end
end
programs:close()
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1, true)
