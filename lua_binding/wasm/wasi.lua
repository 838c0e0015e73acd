--- WASI preview 1 for programs that run under a script.
--
-- Reads and checks options; the functions themselves are C (wasm.wasi.core). A function that may
-- ask a Lua function of the user is a Lua closure around a try that never waits, so that `block`
-- may yield.

local wasm = require "wasm"
local tools = require "wasm.tools"
local core = require "wasm.wasi.core"
local protected = require "wasm.protect"

local wasi = {}

local context_options = { "args", "env", "dirs", "stdin", "stdout", "stderr", "clock", "random",
  "sockets", "block", "trace", "raise", "walks" }
local limit_options = { "memory", "fuel", "timeout", "stack", "on_limit" }
local run_options = { "imports" }
for _, list in ipairs { context_options, limit_options } do
  for _, name in ipairs(list) do run_options[#run_options + 1] = name end
end

-- The function that the user called and whose options are read: nothing in between yields.
local called

local function complain(name, message)
  tools.misuse(("bad option '%s' to '%s' (%s)"):format(name, called, message))
end

local function misuse(name, wanted, value)
  complain(name, ("%s expected, got %s"):format(wanted, type(value)))
end

-- ---- Options ------------------------------------------------------------------------------------

local function check_text(name, text)
  if type(text) ~= "string" then misuse(name, "string", text) end
  if text:find("\0", 1, true) then
    complain(name, "a zero byte in a string")
  end
  return text
end

local function read_args(args)
  if args == nil then return nil end
  if type(args) ~= "table" then misuse("args", "table", args) end
  local list = {}
  for i, arg in ipairs(args) do list[i] = check_text("args", arg) end
  return list
end

-- {NAME = "value"}, sorted, so that a program sees the same on every run.
local function read_env(env)
  if env == nil then return nil end
  if type(env) ~= "table" then misuse("env", "table", env) end
  local list = {}
  for name, value in pairs(env) do
    check_text("env", name)
    if type(value) == "number" then value = tostring(value) end
    if name == "" or name:find("=", 1, true) then
      complain("env", ("%q is no name of a variable"):format(name))
    end
    list[#list + 1] = name .. "=" .. check_text("env", value)
  end
  table.sort(list)
  return list
end

-- {["/guest"] = "path" or {path=, readonly=}}: in the order of their names.
local function read_dirs(dirs)
  if dirs == nil then return nil end
  if type(dirs) ~= "table" then misuse("dirs", "table", dirs) end
  local list = {}
  for guest, dir in pairs(dirs) do
    if type(guest) ~= "string" then
      complain("dirs", ("the keys are the guest's paths, as in {['/'] = '.'}, got a %s"):format(
        type(guest)))
    end
    check_text("dirs", guest)
    if type(dir) ~= "table" then dir = { path = dir } end
    tools.check(called, dir, { "path", "readonly" })
    list[#list + 1] = { guest = guest, path = check_text("dirs", dir.path),
      readonly = dir.readonly and true or false }
  end
  table.sort(list, function(a, b) return a.guest < b.guest end)
  return list
end

local function is_open_file(name, value)
  local kind = io.type(value)
  if kind == "closed file" then
    complain(name, "a closed file as a standard stream")
  end
  return kind == "file"
end

local function read_input(value)
  if value == nil or value == "inherit" or type(value) == "function" then return value end
  if type(value) == "string" then return { value } end
  if is_open_file("stdin", value) then return value end
  misuse("stdin", "'inherit', string, open file or function", value)
end

local function read_output(name, value)
  if value == nil or value == "inherit" or value == "capture" or type(value) == "function" or
    is_open_file(name, value) then
    return value
  end
  misuse(name, "'inherit', 'capture', open file or function", value)
end

local function check_function(name, value)
  if value ~= nil and type(value) ~= "function" then misuse(name, "function", value) end
  return value
end

local function read_clock(clock)
  if clock == nil then return nil end
  tools.check(called, clock, { "realtime", "monotonic" })
  check_function("clock", clock.realtime)
  check_function("clock", clock.monotonic)
  return clock
end

-- A connected socket: the host's descriptor, an object that knows it (LuaSocket), or an address.
local function stream_of(value, opened)
  if type(value) == "string" then
    local fd, err = core.open(value, false)
    if fd then opened[#opened + 1] = fd end
    return fd, err
  elseif type(value) == "number" then
    return value
  end
  local ok, fd = pcall(function() return value:getfd() end)
  if ok and type(fd) == "number" then return fd end
  complain("sockets", "a stream is a descriptor, an address or has getfd")
end

-- The host's descriptors, those of them that were opened here, and the addresses of listeners.
local function open_sockets(sockets)
  local fds, opened, addresses = {}, {}, {}
  if sockets == nil then return fds, opened, addresses end
  tools.check(called, sockets, { "listen", "streams" })
  local function close_all(err)
    for _, fd in ipairs(opened) do core.close(fd) end
    return nil, err
  end
  for _, address in ipairs(sockets.listen or {}) do
    local fd, err = core.open(address, true)
    if not fd then return close_all(err) end
    opened[#opened + 1], fds[#fds + 1] = fd, fd
    addresses[#addresses + 1] = core.name(fd)
  end
  for _, stream in ipairs(sockets.streams or {}) do
    local fd, err = stream_of(stream, opened)
    if not fd then return close_all(err) end
    fds[#fds + 1] = fd
  end
  return fds, opened, addresses
end

-- ---- Calls that may wait ------------------------------------------------------------------------

local EINTR = 27

-- Makes the function that a guest calls, of the C function that tries.
local function waiting_by(block)
  return function(try)
    return function(...)
      local errno, attempt, what = try(nil, ...)
      while attempt do
        if block then
          block(what)
        elseif not core.wait(attempt, what) then
          return EINTR -- a limit or an interrupt stops the guest when it goes on
        end
        errno, attempt, what = try(attempt, ...)
      end
      return errno
    end
  end
end

-- ---- Contexts -----------------------------------------------------------------------------------

local addresses_of = setmetatable({}, { __mode = "k" })

local function new_context(options)
  local given = {
    args = read_args(options.args),
    env = read_env(options.env),
    dirs = read_dirs(options.dirs),
    stdin = read_input(options.stdin),
    stdout = read_output("stdout", options.stdout),
    stderr = read_output("stderr", options.stderr),
    clock = read_clock(options.clock),
    random = check_function("random", options.random),
    trace = check_function("trace", options.trace),
    wrap = waiting_by(check_function("block", options.block)),
    blocks = options.block ~= nil,
    raise = options.raise,
    walks = options.walks,
  }
  local opened, addresses
  given.sockets, opened, addresses = open_sockets(options.sockets)
  if not given.sockets then return nil, opened end
  local context, err = core.new(given)
  for _, fd in ipairs(opened) do core.close(fd) end
  if context then addresses_of[context] = addresses end
  return context, err
end

--- A context for `imports.wasi_snapshot_preview1`; nil and an error when a directory or socket
-- cannot be opened.
function wasi.new(options)
  options = options or {}
  called = "wasi.new"
  tools.check(called, options, context_options)
  local context, err = new_context(options)
  return context, err
end

--- The addresses that the listeners of a context are bound to, e.g. "127.0.0.1:40123".
function wasi.addresses(context)
  return addresses_of[context] or {}
end

--- One function of a context, for imports that have others of somebody else beside it: nil when
-- there is none of that name. `module` is "wasi_snapshot_preview1" or "wasi_unstable".
function wasi.func(context, module, name)
  return core.func(context, module, name)
end

-- ---- Running ------------------------------------------------------------------------------------

local function is_exit(err)
  return wasm.type(err) == "error" and err.kind == "exit"
end

--- Runs an instance: `_start` of a command, `_initialize` of a reactor. Gives the exit status; what
-- else ends the program is raised.
function wasi.start(instance)
  local entry = instance.exports._start or instance.exports._initialize
  if not entry then return 0 end
  local ok, err = protected(entry)
  if ok then return 0 end
  if is_exit(err) then return err.code end
  error(err, 0)
end

local function pick(options, names)
  local picked = {}
  for _, name in ipairs(names) do picked[name] = options[name] end
  return picked
end

local function run(module, context, options)
  local imports = setmetatable({ wasi_snapshot_preview1 = context, wasi_unstable = context },
    { __index = options.imports })
  local instance, err = module:instantiate(imports, pick(options, limit_options))
  if not instance then
    if is_exit(err) then return err.code end
    return nil, err
  end
  if not instance.exports._start and not instance.exports._initialize then
    return nil, tools.error("link", "no '_start': not a WASI program")
  end
  return wasi.start(instance)
end

--- Runs a module (or the file of that path) as a program: exit status and its closed context,
-- whose captured output can still be read; nil and an error when it cannot be loaded, linked or
-- given what the options name, or when it is no program. Options are those of `wasi.new`, the
-- limits of an instance, and `imports`.
function wasi.run(module, options)
  if type(module) ~= "string" and wasm.type(module) ~= "module" then
    tools.misuse(("bad argument #1 to 'wasi.run' (module or path expected, got %s)"):format(
      type(module)))
  end
  options = options or {}
  tools.check("wasi.run", options, run_options)
  local err
  local given = pick(options, context_options)
  if type(module) == "string" then
    given.args = given.args or { module }
    module, err = wasm.loadfile(module)
    if not module then return nil, err end
  end
  local context
  called = "wasi.run"
  context, err = new_context(given)
  if not context then return nil, err end
  local ok, status, why = protected(run, module, context, options)
  context:close()
  if not ok then error(status, 0) end
  if not status then return nil, why end
  return status, context
end

return wasi
