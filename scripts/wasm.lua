#!/usr/bin/env lua
-- The command: lua scripts/wasm.lua run | inspect | wat | compile | repl | bench ...
--
-- Finds the module that was built for the Lua it runs in, or else an installed one. Exit status:
-- the guest's (run), 0, 1 when something failed, 2 for a wrong command line or what is not built.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
local built = here .. "/../build/release/lua/" .. _VERSION:match("%d+%.%d+")
package.path = built .. "/?.lua;" .. package.path
package.cpath = built .. "/?.so;" .. package.cpath

local is_here, wasm = pcall(require, "wasm")
if not is_here then
  local is_missing = tostring(wasm):find("module 'wasm' not found", 1, true)
  io.stderr:write("wasm: ", is_missing and ([[
there is no module for %s here. Build it first: sh scripts/quickstart.sh
(for Lua 5.4; cmake --preset release && cmake --build build/release builds it for every Lua).
]]):format(_VERSION) or tostring(wasm) .. "\n")
  os.exit(2, true)
end

local usage = [==[
usage: lua wasm.lua COMMAND ... | --help | --version
  run [OPTION...] FILE [ARG...]
                          runs a WASI program; its exit status is this one's
      --dir=HOST[::GUEST[::ro]]  a directory, maybe read-only
      --env=NAME=VALUE    a variable of the environment
      --listen=HOST:PORT  a listening socket, behind the directories
      --timeout=SECONDS --fuel=N --memory=BYTES[K|M|G]
                          limits; a program that hits one ends with status 1
      --trace=wasi        every WASI call with arguments and results, to stderr
      --engine=E          "interpreter" or "compiler"
  inspect [--json] FILE   sections, imports, exports, features, sizes, names
  wat FILE                the module as text
  compile [--output=FILE] [--engine=E] FILE
                          compiles all functions, and tells how many, how large and how fast;
                          the file then holds the module with its code, for wasm.load's `native`
  compile --dump=PASSES FILE [FUNC]
                          what the compiler makes of a function (an index, a name or an export; all
                          of them without): ir, mach, asm, or build cfg memopt place isel color
  repl FILE               a prompt with the module's exports as variables
  bench [--seconds=S] FILE EXPORT [ARG...]
                          how long a call takes
FILE is a binary or text module.
]==]

local status_is_shown = false

local function hide_status()
  if status_is_shown then io.stderr:write "\r\27[K" end
  status_is_shown = false
end

local function stderr_is_terminal()
  local result = os.execute "test -t 2"
  return result == true or result == 0
end

-- Says on a terminal what takes long: "compiling big.wasm (14.0 MB) ...", for files over 1 MB.
local function show_status(verb, path)
  local file = io.open(path, "rb")
  local size = file and file:seek "end" or 0
  if file then file:close() end
  if size <= 1e6 or not stderr_is_terminal() then return end
  io.stderr:write(("%s %s (%.1f MB) ..."):format(verb, path, size / 1e6))
  io.stderr:flush()
  status_is_shown = true
end

local function fail(status, message)
  hide_status()
  io.stderr:write("wasm: ", tostring(message), "\n")
  os.exit(status, true)
end

local function fail_usage(message)
  fail(2, message .. " (wasm.lua --help shows the usage)")
end

local function show_usage()
  io.write(usage)
  os.exit(0, true)
end

-- What options want that cannot do without a value.
local wanted_values = { dir = "HOST::GUEST or DIR", env = "NAME=VALUE", listen = "HOST:PORT",
  timeout = "a number", fuel = "a number", memory = "a number", trace = "wasi",
  engine = "interpreter or compiler", output = "a file", seconds = "a number" }

-- Takes leading --name=value options off `args`; `known` maps their names to what takes the value.
local function take_options(args, known)
  while args[1] and args[1]:find "^%-." do
    local option = table.remove(args, 1)
    if option == "--" then break end
    if option == "-h" or option == "--help" then show_usage() end
    local name, value = option:match("^%-%-([%w-]+)=?(.*)$")
    if not known[name] then fail_usage("unknown option " .. option) end
    if value == "" and wanted_values[name] then
      fail_usage(("--%s wants %s, behind '--%s='"):format(name, wanted_values[name], name))
    end
    known[name](value)
  end
end

local function check_engine(value)
  if value ~= "interpreter" and value ~= "compiler" then
    fail_usage(("--engine wants interpreter or compiler, not %q"):format(value))
  end
  return value
end

local function take_file(args)
  return table.remove(args, 1) or fail_usage "a file is wanted"
end

local function load_module(path, options)
  show_status(options and options.eager and "compiling" or "loading", path)
  local module, err = wasm.loadfile(path, options)
  hide_status()
  if not module then fail(1, err) end
  return module
end

local function read_file(path)
  local file, err = io.open(path, "rb")
  if not file then fail(1, err) end
  local bytes = file:read "*a"
  file:close()
  return bytes
end

local function require_wasi()
  local ok, wasi = pcall(require, "wasm.wasi")
  if not ok then fail(2, "WASI is not built yet (no module wasm.wasi)") end
  return wasi
end

local function needs_wasi(module)
  for _, import in ipairs(module.imports) do
    if import.module:match "^wasi_" then return true end
  end
  return false
end

-- The imports of an instance that is not run as a program: WASI when the module asks for it.
local function default_imports(module)
  if not needs_wasi(module) then return nil end
  local context = require_wasi().new { args = { "wasm" }, stdout = "inherit", stderr = "inherit" }
  return { wasi_snapshot_preview1 = context, wasi_unstable = context }
end

local commands = {}

local sizes = { [""] = 1, K = 2 ^ 10, M = 2 ^ 20, G = 2 ^ 30 }

-- "64M" in bytes, as a whole number; nil when it is none.
local function size_of(value)
  local number, unit = value:match "^(%d+)([KMG]?)$"
  return number and math.floor(tonumber(number) * sizes[unit])
end

local function number_option(options, name, convert)
  return function(value)
    options[name] = convert(value)
      or fail_usage(("--%s wants a number, not %q"):format(name, value))
  end
end

-- Options of wasi.run, and the engine.
local function run_options(args)
  local options = { dirs = {}, env = {}, stdin = "inherit", stdout = "inherit",
    stderr = "inherit" }
  local listen, engine = {}, nil
  take_options(args, {
    engine = function(value) engine = check_engine(value) end,
    dir = function(value)
      local parts = {}
      for part in (value .. "::"):gmatch "(.-)::" do parts[#parts + 1] = part end
      if parts[3] and parts[3] ~= "ro" then fail_usage("--dir wants ::ro or nothing at its end") end
      if parts[1] == "" or parts[2] == "" then
        fail_usage("--dir wants HOST::GUEST or DIR, not " .. value)
      end
      options.dirs[parts[2] or parts[1]] = { path = parts[1], readonly = parts[3] == "ro" }
    end,
    env = function(value)
      local name, text = value:match "^([^=]+)=(.*)$"
      if not name then fail_usage("--env wants NAME=VALUE, not " .. value) end
      options.env[name] = text
    end,
    listen = function(value) listen[#listen + 1] = value end,
    timeout = number_option(options, "timeout", function(value)
      local seconds = tonumber(value)
      return seconds and seconds > 0 and seconds
    end),
    fuel = number_option(options, "fuel", size_of),
    memory = number_option(options, "memory", size_of),
    trace = function(value)
      if value ~= "wasi" then fail_usage("--trace wants wasi, not " .. value) end
      options.trace = function(line) io.stderr:write(line, "\n") end
    end,
  })
  if #listen > 0 then options.sockets = { listen = listen } end
  return options, engine
end

function commands.run(args)
  local options, engine = run_options(args)
  local path = take_file(args)
  options.args = { path }
  for _, argument in ipairs(args) do options.args[#options.args + 1] = argument end
  local module = load_module(path, { engine = engine })
  local ok, status, err = pcall(require_wasi().run, module, options)
  if not ok then fail(1, status) end
  if not status then fail(1, err) end
  os.exit(status % 256, true)
end

function commands.inspect(args)
  local as_json = false
  take_options(args, { json = function() as_json = true end })
  local path = take_file(args)
  local module = load_module(path)
  local describe = require "wasm.describe"
  show_status("inspecting", path)
  local description = describe.module(module, read_file(path), path)
  hide_status()
  print(as_json and describe.json(description) or describe.text(description))
end

function commands.wat(args)
  take_options(args, {})
  local path = take_file(args)
  local bytes, text, err = read_file(path), nil, nil
  show_status("printing", path)
  if bytes:sub(1, 1) ~= "\0" then bytes, err = wasm.wat2wasm(bytes) end
  if bytes then text, err = wasm.wasm2wat(bytes) end
  hide_status()
  if not text then fail(1, require "wasm.tools".name_file(err, path)) end
  io.write(text)
end

-- The indices of the functions that are meant: one, or all that the module defines.
local function find_functions(module, word)
  local tools = require "wasm.tools"
  local describe = require "wasm.describe"
  local first, indices = 0, {}
  for _, import in ipairs(module.imports) do
    if import.kind == "func" then first = first + 1 end
  end
  for index = first, module:stats().funcs - 1 do
    if not word or tonumber(word) == index then indices[#indices + 1] = index end
  end
  if word and #indices == 0 then
    local index = tools.export_index(module, word)
    if not index then
      for i, name in pairs(describe.function_names(module)) do
        if name == word:gsub("^%$", "") then index = i end
      end
    end
    indices[1] = index or fail(1, ("no function %q that the module defines"):format(word))
  end
  return indices
end

local function dump_functions(module, passes, word)
  local tools = require "wasm.tools"
  for _, index in ipairs(find_functions(module, word)) do
    local text, err = tools.disassemble(module, index, passes)
    if not text then fail(1, err) end
    io.write(("=== function %d\n"):format(index), text)
  end
end

function commands.compile(args)
  local passes, output, engine
  take_options(args, {
    dump = function(value) passes = value == "" and "asm" or value end,
    output = function(value) output = value end,
    engine = function(value) engine = check_engine(value) end,
  })
  local path = take_file(args)
  if passes then return dump_functions(load_module(path, { engine = engine }), passes, args[1]) end
  local module = load_module(path, { engine = engine, eager = true })
  local stats = module:stats()
  print(("%s: the %s made %d bytes of %d, %d functions, in %.3f s: %.1f MB/s"):format(path,
    stats.engine, stats.prepared_bytes, stats.code_bytes, stats.prepared_funcs,
    stats.prepare_seconds, stats.code_bytes / 1e6 / math.max(stats.prepare_seconds, 1e-9)))
  if not output then return end
  local blob, serial_err = module:serialize()
  if not blob then fail(1, serial_err) end
  local file, err = io.open(output, "wb")
  if not file then fail(1, err) end
  file:write(blob)
  file:close()
end

function commands.repl(args)
  take_options(args, {})
  require "wasm.repl"(take_file(args))
end

-- ---- bench --------------------------------------------------------------------------------------

-- Command-line words as the values that the function's type wants.
local function convert_arguments(signature, words)
  local types, values = {}, {}
  for group in signature:gmatch "%(param([^()]*)%)" do
    for name in group:gmatch "%S+" do types[#types + 1] = name end
  end
  if #types ~= #words then
    fail_usage(("%d arguments are wanted for %s"):format(#types, signature))
  end
  for i, word in ipairs(words) do
    local value = tonumber(word)
    if not value then fail_usage("a number is wanted, not " .. word) end
    values[i] = types[i] == "i64" and word or value
  end
  return values
end

local function time_calls(fn, arguments, count)
  local unpack = table.unpack or unpack
  local began = os.clock()
  for _ = 1, count do fn(unpack(arguments)) end
  return os.clock() - began
end

function commands.bench(args)
  local seconds = 1
  take_options(args, { seconds = function(value) seconds = tonumber(value) or seconds end })
  local path = take_file(args)
  local name = table.remove(args, 1) or fail_usage "an export is wanted"
  local module = load_module(path)
  local instance, err = module:instantiate(default_imports(module))
  if not instance then fail(1, err) end
  local fn = instance.exports[name]
  if wasm.type(fn) ~= "func" then fail(1, ("no exported function %q"):format(name)) end
  local arguments = convert_arguments(wasm.signature(fn), args)
  local count, rounds = 1, {}
  while time_calls(fn, arguments, count) < seconds / 20 do count = count * 2 end
  for i = 1, 9 do rounds[i] = time_calls(fn, arguments, count) / count * 1e9 end
  table.sort(rounds)
  print(("%s: median %.1f ns a call, from %.1f to %.1f (9 rounds of %d calls)"):format(
    name, rounds[5], rounds[1], rounds[9], count))
end

-- -------------------------------------------------------------------------------------------------

local args = {}
for i = 1, #arg do args[i] = arg[i] end
local name = table.remove(args, 1)
if name == "help" or name == "--help" or name == "-h" then
  show_usage()
elseif name == "--version" then
  print(wasm._VERSION)
  os.exit(0, true)
elseif not name then
  fail_usage "a command is wanted"
elseif not commands[name] then
  fail_usage("unknown command " .. name)
end
local ok, err = pcall(commands[name], args)
if not ok then fail(1, err) end
