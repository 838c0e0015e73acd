-- Runs the tests of the Lua module: lua tests/lua/run.lua [file ...]
--
-- The module is found through LUA_CPATH. Each file gets a table of helpers and calls
-- t.test(name, function) for each test. Prints `N passed, N failed`; the exit code says the same.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
local files = {
  "values", "misuse", "errors", "dwarf", "module", "imports", "instance", "memory", "pack", "table",
  "global", "func", "calls", "gc", "exception", "coroutine", "schedule", "limits", "collect",
  "state", "wasi", "loader", "extism", "emscripten", "repl", "ffi", "ffi_parser", "ffi_layout",
  "examples", "luajit", "reference", "hostile", "native",
}

io.stdout:setvbuf "line"
local passed, failed = 0, 0
local t = {wasm = require "wasm", has_integers = math.type ~= nil, is_jit = jit ~= nil}
t.version = _VERSION:match("%d+%.%d+")
if os.getenv "RILLE_ENGINE" then t.wasm.config {engine = os.getenv "RILLE_ENGINE"} end
t.engine = t.wasm.config().engine
local unpack = table.unpack or unpack

local function show(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

function t.fail(message, level)
  error(message, (level or 1) + 1)
end

-- Equal, and of the same numeric subtype; NaN equals NaN.
function t.eq(got, wanted, what)
  local same = got == wanted or (got ~= got and wanted ~= wanted)
  if same and t.has_integers then same = math.type(got) == math.type(wanted) end
  if not same then
    t.fail(("%s: got %s, wanted %s"):format(what or "value", show(got), show(wanted)), 2)
  end
end

-- The arguments after the first n are what the n values have to be.
function t.eqs(got, wanted)
  if (got.n or #got) ~= (wanted.n or #wanted) then
    t.fail(("got %d values, wanted %d"):format(got.n or #got, wanted.n or #wanted), 2)
  end
  for i = 1, wanted.n or #wanted do t.eq(got[i], wanted[i], "value " .. i) end
end

function t.pack(...)
  return {n = select("#", ...), ...}
end

-- The call raises something whose text has the pattern; gives it back.
function t.raises(pattern, f, ...)
  local ok, err = pcall(f, ...)
  if ok then t.fail("nothing was raised, wanted " .. show(pattern), 2) end
  if not tostring(err):find(pattern) then
    t.fail(("raised %s, wanted %s"):format(show(tostring(err)), show(pattern)), 2)
  end
  return err
end

-- A string is raised, and it has this text in it.
function t.misuse(text, f, ...)
  local ok, err = pcall(f, ...)
  if ok then t.fail("nothing was raised, wanted " .. show(text), 2) end
  if type(err) ~= "string" or not err:find(text, 1, true) then
    t.fail(("raised %s, wanted %s"):format(show(err), show(text)), 2)
  end
end

-- An error object of this kind and code.
function t.traps(kind, code, f, ...)
  local ok, err = pcall(f, ...)
  if ok then t.fail("nothing was raised, wanted " .. kind, 2) end
  if t.wasm.type(err) ~= "error" then t.fail("raised " .. show(err), 2) end
  t.eq(err.kind, kind, "kind")
  t.eq(err.code, code, "code")
  return err
end

-- The exports of the module, instantiated.
function t.exports(text, imports, options)
  return assert(t.wasm.instantiate(text, imports, options)).exports
end

function t.collect()
  for _ = 1, 4 do collectgarbage() end
end

-- Sanitizers keep freed memory and take their time: RILLE_SANITIZED=1 says that one is at work.
t.is_sanitized = os.getenv "RILLE_SANITIZED" == "1"

-- Bytes of memory that this process uses, or nil where nobody says.
function t.resident()
  if t.is_sanitized then return nil end
  local f = io.open("/proc/self/statm")
  if not f then return nil end
  local pages = f:read("*a"):match("^%d+ (%d+)")
  f:close()
  return tonumber(pages) * 4096
end

local current
function t.test(name, f, ...)
  local args = t.pack(...)
  local ok, err = xpcall(function() f(unpack(args, 1, args.n)) end, function(err)
    return type(err) == "string" and debug.traceback(err, 2) or tostring(err)
  end)
  if ok then
    passed = passed + 1
  else
    failed = failed + 1
    print(("FAILED %s: %s\n  %s"):format(current, name, err))
  end
end

local function run(file)
  current = file
  local path = file:find("%.lua$") and file or here .. "/" .. file .. ".lua"
  local chunk, message = loadfile(path)
  if not chunk then
    print(message)
    failed = failed + 1
    return
  end
  local ok, err = pcall(chunk, t)
  if not ok then
    print(("FAILED %s: %s"):format(file, tostring(err)))
    failed = failed + 1
  end
end

for _, file in ipairs(arg[1] and arg or files) do run(file) end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1, true)
