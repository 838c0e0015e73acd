-- A runner of the benchmark: lua rille.lua ENGINE FILE [EXPORT N]. Prints "bench NS" on stderr,
-- processor time, for the second call of the export, or for what lies between bench.start and
-- bench.end of _start. Programs see the current directory.
local wasm = require "wasm"
local native = require "bench_native"

local engine, path, export, n = arg[1], arg[2], arg[3], tonumber(arg[4])
local module = assert(wasm.loadfile(path, {
  engine = engine ~= "default" and engine or nil, eager = engine == "compiler" }))

local function report(began)
  io.stderr:write(("bench %d\n"):format(native.cpu() - began))
end

if export then
  local run = assert(module:instantiate()).exports[export]
  run(n)
  local began = native.cpu()
  local result = run(n)
  report(began)
  print(result)
else
  local began
  local context = require("wasm.wasi").new {
    args = { path }, stdout = "inherit", stderr = "inherit", dirs = { ["."] = "." } }
  local instance = assert(module:instantiate {
    wasi_snapshot_preview1 = context,
    bench = {
      start = function() began = native.cpu() end,
      ["end"] = function() report(began) end,
    },
  })
  local ok, err = pcall(instance.exports._start)
  if not ok and err.kind ~= "exit" then error(err) end
end
