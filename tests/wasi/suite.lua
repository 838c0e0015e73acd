-- The official test suite of WASI preview 1: lua suite.lua FOLDER [PATTERN]. Each case is a program
-- and a line in CASES.tsv. Programs get a fresh copy of their files as "/".
--
-- RILLE_WALK=1 resolves paths by the engine's own walk, RILLE_TRACE=1 logs the calls, RILLE_ENGINE
-- names the engine.

local wasm = require "wasm"
local wasi = require "wasm.wasi"
local folder, pattern = arg[1], arg[2] or ""
local work = os.getenv "TMPDIR" or "/tmp"

-- As much JSON as the table has: strings, arrays of them, objects of them.
local function read_json(text)
  local at = 1
  local escapes = { n = "\n", t = "\t", r = "\r", b = "\b", f = "\f" }
  local value
  local function skip()
    at = text:find("[^%s,:]", at) or #text + 1
  end
  local function read_string()
    local stop = at + 1
    while text:sub(stop, stop) ~= '"' do
      stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
    end
    local inside = text:sub(at + 1, stop - 1)
    at = stop + 1
    return (inside:gsub("\\(.)", function(c) return escapes[c] or c end))
  end
  function value()
    skip()
    local c = text:sub(at, at)
    if c == '"' then return read_string() end
    local result, close = {}, c == "{" and "}" or "]"
    at = at + 1
    skip()
    while text:sub(at, at) ~= close do
      if c == "{" then
        local key = value()
        result[key] = value()
      else
        result[#result + 1] = value()
      end
      skip()
    end
    at = at + 1
    return result
  end
  return value()
end

local function split(line)
  local fields = {}
  for field in (line .. "\t"):gmatch "(.-)\t" do fields[#fields + 1] = field end
  return fields
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function copy_files(name, root)
  local copy = ("%s/rille-wasi-%d-%s"):format(work, os.time(), name:gsub("/", "-"))
  local from = folder .. "/" .. name:match "^(.*)/" .. "/" .. root
  assert(os.execute(("rm -rf %s && cp -r %s %s"):format(quote(copy), quote(from), quote(copy))))
  return copy
end

local function trace(line)
  io.stderr:write(line, "\n")
end

local function load_program(name)
  local options = { engine = os.getenv "RILLE_ENGINE" }
  return assert(wasm.loadfile(folder .. "/" .. name .. ".wasm", options))
end

local function run_case(fields)
  local name, root = fields[1], fields[4]
  local args = read_json(fields[2])
  table.insert(args, 1, name:match "[^/]*$" .. ".wasm")
  local copy = root ~= "-" and copy_files(name, root)
  local ok, status, context = pcall(wasi.run, load_program(name), {
    args = args,
    env = read_json(fields[3]),
    dirs = copy and { ["/"] = copy } or nil,
    stdin = "inherit",
    stdout = "capture",
    stderr = "capture",
    walks = os.getenv "RILLE_WALK" == "1",
    trace = os.getenv "RILLE_TRACE" == "1" and trace or nil,
  })
  if copy then os.execute("rm -rf " .. quote(copy)) end
  if not ok then return false, tostring(status) end
  if not status then return false, tostring(context) end
  if status ~= tonumber(fields[5]) then
    return false, ("status %d, wanted %s: %s"):format(status, fields[5], context:errors())
  end
  local wanted = fields[6] ~= "-" and read_json(fields[6]) or nil
  if wanted and context:output() ~= wanted then
    return false, ("output %q, wanted %q"):format(context:output(), wanted)
  end
  return true
end

local passed, failed = 0, 0
local header = true
for line in io.lines(folder .. "/CASES.tsv") do
  if not header and line:find(pattern, 1, true) then
    local fields = split(line)
    local ok, good, why = pcall(run_case, fields)
    if ok and good then
      passed = passed + 1
    else
      failed = failed + 1
      print(fields[1] .. ": " .. tostring(ok and why or good))
    end
  end
  header = false
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1, true)
