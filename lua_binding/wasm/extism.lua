--- A host for Extism plugins: what their kits import, manifests, and calls with an input and an
-- output.
--
-- A plugin owns a kernel (extism/kernel.lua) and an instance of each module of its manifest. The
-- kernel serves one call at a time: it is emptied when a call begins, and what the call leaves in
-- it is the output. So a plugin refuses a second call while one runs or is suspended; a pool has as
-- many plugins as calls. Who is handed a block owns it, as everywhere in Extism: keys, values and
-- messages of plugins are freed here.

local wasm = require "wasm"
local tools = require "wasm.tools"
local json = require "wasm.json"
local protected = require "wasm.protect"
local kernel = require "wasm.extism.kernel"
local manifest_format = require "wasm.extism.manifest"

local extism = {}

local ENV, USER = "extism:host/env", "extism:host/user"
local WASI = { wasi_snapshot_preview1 = true, wasi_unstable = true }
local PAGE = 65536
local default_var_bytes, default_http_bytes = 1048576, 50 * 1048576
local option_names = { "functions", "wasi", "http", "read", "log", "log_level", "config", "limits",
  "engine", "features" }
local limit_names = { "memory", "fuel", "timeout", "stack", "on_limit" }
local log_levels = { trace = 0, debug = 1, info = 2, warn = 3, error = 4, off = 2147483647 }

-- ---- Blocks of the kernel -----------------------------------------------------------------------

-- What host functions see of a plugin. `kernel` are the kernel's exports.
local Current = {}
Current.__index = Current

--- The bytes of a block; nil when the handle, as a plugin gave it, is none. 0 is the empty one.
function Current:read(handle)
  if handle == 0 then return "" end
  local n = self.kernel.length(handle)
  if n == 0 then return nil end
  return self.kernel.memory:read(tonumber(handle), n)
end

--- A new block with these bytes, for a plugin to free: its handle.
function Current:store(bytes)
  if type(bytes) ~= "string" then
    error(("bad argument #1 to 'store' (string expected, got %s)"):format(type(bytes)), 2)
  end
  if bytes == "" then return 0 end
  local handle = self.kernel.alloc(#bytes)
  if handle == 0 then
    error(tools.error("limit", ("plugin: no memory for a block of %d bytes"):format(#bytes),
      { code = "memory" }), 0)
  end
  self.kernel.memory:write(handle, bytes)
  return handle
end

function Current:free(handle)
  self.kernel.free(handle)
end

-- Reads a block that the plugin hands over; what it is for stands in the trap if it is none.
local function take(current, handle, what)
  local bytes = current:read(handle)
  if not bytes then
    wasm.trap(("invalid handle for %s: %s"):format(what, tostring(handle)))
  end
  current.kernel.free(handle)
  return bytes
end

-- ---- HTTP ---------------------------------------------------------------------------------------

-- Does a name fit a pattern with * ? [a-z] [!a-z]? The last star is the only one gone back to.
local function fits(pattern, name)
  local p, n, star, mark = 1, 1, nil, nil
  while n <= #name do
    local c, class = pattern:sub(p, p), pattern:match("^%[!?%]?[^%]]*%]", p)
    local is_same = c == "?" or c == name:sub(n, n)
    if class then
      local negated, set = class:match "^%[(!?)(.*)%]$"
      set = set:gsub("[%]%%^]", "%%%0")
      is_same = (name:sub(n, n):find("[" .. set .. "]") ~= nil) == (negated == "")
    end
    if c == "*" then
      star, mark, p = p, n, p + 1
    elseif is_same then
      p, n = p + (class and #class or 1), n + 1
    elseif star then
      mark = mark + 1
      p, n = star + 1, mark
    else
      return false
    end
  end
  return pattern:match("^%**$", p) ~= nil
end

-- The host of a URL in lower case; nil for what is no plain http URL. Characters that libraries
-- disagree about are refused, so that nobody else finds another host in it.
local function host_of(url)
  if url:find "[%c%s\\\"<>^`{|}]" then return nil end
  local authority = url:match "^[hH][tT][tT][pP][sS]?://([^/?#]*)"
  if not authority then return nil end
  local host = authority:gsub("^.*@", ""):gsub(":%d*$", "")
  if not (host:find "^[%w%-%._]+$" or host:find "^%[[%x:.]+%]$") then return nil end
  return host:lower()
end

local function is_allowed(plugin, url)
  local host = host_of(url)
  if not host then return false end
  for _, pattern in ipairs(plugin.manifest.allowed_hosts or {}) do
    if fits(pattern:lower(), host) then return true end
  end
  return false
end

local function check_request(request)
  if type(request) ~= "table" or type(request.url) ~= "string" or
    type(request.headers or {}) ~= "table" or type(request.method or "") ~= "string" then
    wasm.trap "http_request: an object with url, headers and method expected"
  end
end

local function http_request(plugin, handle, body_handle)
  local current = plugin.current
  plugin.status, plugin.headers = 0, nil
  local request, message = json.decode(take(current, handle, "the HTTP request"))
  if not request then wasm.trap("http_request: " .. message) end
  check_request(request)
  local body = body_handle ~= 0 and take(current, body_handle, "the HTTP request's body") or nil
  if not is_allowed(plugin, request.url) then
    wasm.trap(("HTTP request to %s is not allowed"):format(request.url))
  elseif not plugin.options.http then
    wasm.trap(("HTTP request to %s: the host has no option 'http'"):format(request.url))
  end
  local max = plugin.manifest.memory.max_http_response_bytes or default_http_bytes
  local response, why = plugin.options.http({ url = request.url, headers = request.headers or {},
    method = (request.method or "GET"):upper(), max_bytes = max }, body)
  if type(response) ~= "table" then
    wasm.trap(("HTTP request to %s: %s"):format(request.url, tostring(why or "no response")))
  end
  plugin.status, plugin.headers = response.status or 200, response.headers
  local answer = response.body or ""
  if #answer > max then
    wasm.trap(("HTTP response of %d bytes exceeds the maximum of %d"):format(#answer, max))
  end
  return current:store(answer)
end

-- ---- extism:host/env ----------------------------------------------------------------------------

local function var_set(plugin, key_handle, value_handle)
  local max = plugin.manifest.memory.max_var_bytes or default_var_bytes
  if max == 0 then wasm.trap "variables are disabled by the host" end
  local key = take(plugin.current, key_handle, "the variable's key")
  if value_handle == 0 then
    plugin.vars[key] = nil
    return
  end
  local value = take(plugin.current, value_handle, "the variable's value")
  local size = #key + #value
  for name, text in pairs(plugin.vars) do
    if name ~= key then size = size + #name + #text end
  end
  if size > max then wasm.trap(("variables of more than %d bytes"):format(max)) end
  plugin.vars[key] = value
end

local function log(plugin, level, handle)
  local sink = plugin.options.log
  if not sink or log_levels[level] < plugin.log_level then
    plugin.current.kernel.free(handle)
    return
  end
  sink(level, take(plugin.current, handle, "the log message"))
end

-- Those functions of the host that are not the kernel's, with their types.
local function env_functions(plugin)
  local current = plugin.current
  local function lookup(name, what)
    return function(handle)
      local value = plugin[name][take(current, handle, what)]
      return value and current:store(value) or 0
    end
  end
  local functions = {
    config_get = wasm.func("(param i64) (result i64)", lookup("config", "the config key")),
    var_get = wasm.func("(param i64) (result i64)", lookup("vars", "the variable's key")),
    var_set = wasm.func("(param i64 i64)", function(...) var_set(plugin, ...) end),
    http_request = wasm.func("(param i64 i64) (result i64)", function(...)
      return http_request(plugin, ...)
    end),
    http_status_code = wasm.func("(result i32)", function() return plugin.status end),
    http_headers = wasm.func("(result i64)", function()
      return plugin.headers and current:store(json.object(plugin.headers)) or 0
    end),
    get_log_level = wasm.func("(result i32)", function()
      return plugin.options.log and plugin.log_level or log_levels.off
    end),
  }
  for level in pairs(log_levels) do
    if level ~= "off" then
      functions["log_" .. level] = wasm.func("(param i64)", function(handle)
        log(plugin, level, handle)
      end)
    end
  end
  return functions
end

-- ---- Linking ------------------------------------------------------------------------------------

local function link_error(name, import, why)
  return tools.error("link", ('%s: import "%s" "%s": %s'):format(name, import.module, import.name,
    why))
end

local function user_function(plugin, import)
  local space = plugin.options.functions
  space = space and space[import.module]
  local f = space and space[import.name]
  if f == nil or wasm.type(f) or type(f) ~= "function" then return f end
  return function(...) return f(plugin.current, ...) end
end

-- A function of a module that is not there yet, since it waits for the one that imports it.
local function later(plugin, import)
  if import.kind ~= "func" then return nil end
  return wasm.func(import.type, function(...)
    local instance = plugin.instances[import.module]
    local f = instance and instance.exports[import.name]
    if wasm.type(f) ~= "func" then
      wasm.trap(('"%s" "%s": no function, or called too early'):format(import.module, import.name))
    end
    return f(...)
  end)
end

-- What one import of a module is given; nil and an error.
local function resolve(plugin, name, import)
  local linked = plugin.instances[import.module]
  if not linked and plugin.modules[import.module] then return later(plugin, import) end
  if linked and linked.exports[import.name] then return linked.exports[import.name] end
  local f = user_function(plugin, import)
  if f then return f end
  if import.module == ENV then
    f = plugin.env[import.name] or plugin.current.kernel[import.name]
    if f and wasm.type(f) == "func" and import.kind == "func" then return f end
    return nil, link_error(name, import, "no function of Extism 1.x (is its kit a newer one?)")
  elseif WASI[import.module] then
    return nil, link_error(name, import, "the host does not grant WASI (option 'wasi')")
  end
  return nil, link_error(name, import,
    linked and "the linked module does not export it" or "the host gives no such function")
end

local function resolve_all(plugin, name, module)
  local imports = {}
  for _, import in ipairs(module.imports) do
    if WASI[import.module] and plugin.context then
      imports[import.module] = plugin.context
    else
      local value, err = resolve(plugin, name, import)
      if value == nil then return nil, err end
      imports[import.module] = imports[import.module] or {}
      imports[import.module][import.name] = value
    end
  end
  return imports
end

local function takes_nothing(f)
  return wasm.type(f) == "func" and wasm.signature(f) == "(func)"
end

-- A reactor's `_initialize`; in the main module also what the kits of other languages need first.
local function initialize(exports, is_main)
  local start, ctors, haskell = exports._initialize, exports.__wasm_call_ctors, exports.hs_init
  if is_main and wasm.type(haskell) == "func" then
    if takes_nothing(start) then start() end
    haskell(0, 0)
  elseif is_main and takes_nothing(ctors) then
    ctors()
  elseif takes_nothing(start) then
    start()
  end
end

-- Instantiates a module after those that it imports. `path` has the modules that wait for it.
local function link(plugin, name, path)
  local module = plugin.modules[name]
  path[name] = true
  for _, import in ipairs(module.imports) do
    local needed = import.module
    if plugin.modules[needed] and not plugin.instances[needed] and not path[needed] then
      local ok, err = link(plugin, needed, path)
      if not ok then return nil, err end
    end
  end
  path[name] = nil
  local imports, err = resolve_all(plugin, name, module)
  if not imports then return nil, err end
  local instance
  instance, err = module:instantiate(imports, plugin.limits)
  if not instance then return nil, err end
  plugin.instances[name] = instance
  initialize(instance.exports, name == "main")
  return true
end

-- ---- Starting -----------------------------------------------------------------------------------

local function imports_wasi(modules)
  for _, module in pairs(modules) do
    for _, import in ipairs(module.imports) do
      if WASI[import.module] then return true end
    end
  end
  return false
end

-- {["host path"] = "guest path"} as wasi.new takes it; "ro:" in front of the former: only to read.
local function add_paths(dirs, paths)
  for path, guest in pairs(paths or {}) do
    local plain = path:match "^ro:(.*)$"
    dirs[guest] = plain and { path = plain, readonly = true } or path
  end
  return dirs
end

-- The context of WASI: the host's own, or one with the host's options and the manifest's paths.
local function open_wasi(plugin)
  local wasi = plugin.options.wasi
  if not wasi or not imports_wasi(plugin.modules) then return true end
  if type(wasi) == "userdata" then
    plugin.context = wasi
    return true
  end
  local options, dirs = {}, {}
  if type(wasi) == "table" then
    for key, value in pairs(wasi) do options[key] = value end
    for guest, dir in pairs(wasi.dirs or {}) do dirs[guest] = dir end
  end
  options.dirs = add_paths(dirs, plugin.manifest.allowed_paths)
  local context, err = require("wasm.wasi").new(options)
  plugin.context, plugin.owns_context = context, true
  if not context then return nil, err end
  return true
end

local function stop(plugin)
  local instances = plugin.instances
  instances[ENV] = plugin.kernel
  for _, instance in pairs(instances) do
    pcall(instance.close, instance) -- one whose call runs goes with the plugin
  end
  if plugin.owns_context and plugin.context then plugin.context:close() end
  plugin.instances, plugin.context = {}, nil
end

-- Everything that a plugin needs before its first call: true, or nil and an error.
local function start(plugin)
  local memory = plugin.limits.memory
  local instance, err = kernel.new(memory, plugin.options.engine)
  if not instance then return nil, err end
  plugin.instances, plugin.kernel = {}, instance
  plugin.current = setmetatable({ kernel = instance.exports, plugin = plugin }, Current)
  plugin.env = env_functions(plugin)
  plugin.is_used_up, plugin.is_busy = false, false
  plugin.status, plugin.headers = 0, nil
  local ok
  ok, err = open_wasi(plugin)
  if not ok then return nil, err end
  return link(plugin, "main", {})
end

local function try_start(plugin)
  local ok, result, err = protected(start, plugin)
  if ok and result then return true end
  stop(plugin)
  if ok then return nil, err end
  if wasm.type(result) == "error" then return nil, result end
  error(result, 0) -- a host function's own
end

-- ---- Plugins ------------------------------------------------------------------------------------

local Plugin = {}
Plugin.__index = Plugin
Plugin.__name = "wasm.extism.plugin"

local function check_open(plugin, function_name)
  if getmetatable(plugin) ~= Plugin then
    error(("bad argument #1 to '%s' (plugin expected, got %s)"):format(function_name,
      type(plugin)), 3)
  elseif plugin.is_closed then
    error("plugin is closed", 3)
  end
end

-- The function to call; nil and an error.
local function entry_of(plugin, name)
  local f = plugin.instances.main.exports[name]
  if wasm.type(f) ~= "func" then
    return nil, tools.error("link", ("plugin: no function '%s'"):format(name))
  end
  local signature = wasm.signature(f)
  local result = signature:match "^%(func %(result (%w+)%)%)$"
  if signature ~= "(func)" and not result then
    return nil, tools.error("link", ("plugin: function '%s' is %s, not (func (result i32))"):format(
      name, signature))
  end
  return f, nil, result
end

local function exit_error(name, code, message)
  return tools.error("exit", message or ("plugin: '%s' returned %s"):format(name, tostring(code)),
    { code = code })
end

-- An error that comes out of a call, with what the plugin said before.
local function raised(err, message)
  if not message or wasm.type(err) ~= "error" or err.kind ~= "trap" then return err end
  return tools.error("trap", ("%s: %s"):format(message, err.message), { code = err.code,
    frames = err.frames })
end

-- The results of a call: output; nil and an error of kind "exit". Raises the rest.
local function finish(plugin, name, ok, result)
  local k = plugin.current.kernel
  local message = k.error_get()
  message = message ~= 0 and plugin.current:read(message) or nil
  local code = ok and result or 0
  if not ok then
    local is_exit = wasm.type(result) == "error" and result.kind == "exit"
    if not is_exit then error(raised(result, message), 0) end
    code = result.code
  end
  if message or code ~= 0 then return nil, exit_error(name, code, message) end
  local n = k.output_length()
  return n == 0 and "" or k.memory:read(tonumber(k.output_offset()), n)
end

--- Calls a function of the plugin with an input: its output; nil and an error of kind "exit" when
-- the plugin reports one (`code` is what it returned), or of kind "link" when there is no such
-- function. Traps and limits are raised. Host functions find `context` in `current.context`.
function Plugin:call(name, input, context)
  check_open(self, "call")
  if type(name) ~= "string" then
    error(("bad argument #1 to 'call' (name of a function expected, got %s)"):format(type(name)), 2)
  elseif input ~= nil and type(input) ~= "string" then
    error(("bad argument #2 to 'call' (string expected, got %s)"):format(type(input)), 2)
  elseif self.is_busy then
    error("plugin is busy: a call of it runs or is suspended", 2)
  end
  if self.is_used_up then
    local ok, err = self:reset()
    if not ok then return nil, err end
  end
  local f, err, result_type = entry_of(self, name)
  if not f then return nil, err end
  local current, k = self.current, self.current.kernel
  k.reset()
  k.input_set(current:store(input or ""), #(input or ""))
  self.is_busy, current.context = true, context
  local ok, result = protected(f)
  if self.current ~= current then error("plugin was reset while its call ran", 0) end
  self.is_busy, current.context = false, nil
  self.is_used_up = name == "_start"
  if ok and result_type ~= "i32" then result = result_type and -1 or 0 end
  return finish(self, name, ok, result)
end

--- Has the plugin a function that can be called like this?
function Plugin:exists(name)
  check_open(self, "exists")
  return entry_of(self, name) ~= nil
end

--- Starts the plugin afresh, after a trap for instance; variables stay. True, or nil and an error.
function Plugin:reset()
  check_open(self, "reset")
  stop(self)
  local ok, err = try_start(self)
  if not ok then self.is_used_up = true end
  return ok, err
end

--- Stops the running call with a limit error; from a host function, a hook or another coroutine.
function Plugin:interrupt()
  check_open(self, "interrupt")
  self.instances.main:interrupt()
end

function Plugin:close()
  if self.is_closed then return end
  stop(self)
  self.is_closed = true
end

Plugin.__close = Plugin.close

function Plugin:__tostring()
  return self.is_closed and "extism plugin (closed)" or
    "extism plugin\n" .. tostring(self.instances.main.module)
end

-- ---- Options ------------------------------------------------------------------------------------

local function check_type(function_name, options, name, ...)
  local value = options[name]
  if value == nil then return end
  for _, wanted in ipairs { ... } do
    if type(value) == wanted then return end
  end
  error(("bad option '%s' to 'extism.%s' (%s expected, got %s)"):format(name, function_name,
    table.concat({ ... }, " or "), type(value)), 4)
end

local function check_options(function_name, options, names)
  if options ~= nil and type(options) ~= "table" then
    error(("bad argument #2 to '%s' (table expected, got %s)"):format(function_name,
      type(options)), 3)
  end
  options = options or {}
  tools.check("extism." .. function_name, options, names)
  check_type(function_name, options, "functions", "table")
  check_type(function_name, options, "wasi", "boolean", "table", "userdata")
  check_type(function_name, options, "http", "function")
  check_type(function_name, options, "log", "function")
  check_type(function_name, options, "config", "table")
  check_type(function_name, options, "limits", "table")
  check_type(function_name, options, "max", "number")
  if options.max and (options.max < 1 or options.max % 1 ~= 0) then
    error(("bad option 'max' to 'extism.%s' (a whole number of at least 1 expected)"):format(
      function_name), 3)
  end
  if options.read then check_type(function_name, options, "read", "function") end
  if options.limits then
    tools.check("extism." .. function_name, options.limits, limit_names)
  end
  if options.log_level and not log_levels[options.log_level] then
    error(("bad option 'log_level' to 'extism.%s' (trace, debug, info, warn, error or off)"):format(
      function_name), 3)
  end
  return options
end

-- Functions by name alone are those of extism:host/user.
local function spaces_of(functions)
  local spaces = {}
  for name, value in pairs(functions or {}) do
    if type(value) == "table" then
      spaces[name] = spaces[name] or {}
      for key, f in pairs(value) do spaces[name][key] = f end
    else
      spaces[USER] = spaces[USER] or {}
      spaces[USER][name] = value
    end
  end
  return spaces
end

-- The tighter ones of the host's limits and the manifest's.
local function limits_of(fields, given)
  local limits = {}
  for _, name in ipairs(limit_names) do limits[name] = given and given[name] end
  local function tighten(name, value)
    if value and (not limits[name] or value < limits[name]) then limits[name] = value end
  end
  tighten("memory", fields.memory.max_pages and fields.memory.max_pages * PAGE)
  tighten("timeout", fields.timeout_ms and fields.timeout_ms / 1000)
  return limits
end

local function merged(a, b)
  local result = {}
  for key, value in pairs(a or {}) do result[key] = value end
  for key, value in pairs(b or {}) do result[key] = value end
  return result
end

-- ---- Making plugins -----------------------------------------------------------------------------

-- What plugins of one manifest share: {manifest=, modules=, options=, limits=}.
local function read_definition(source, options)
  local fields, err = manifest_format.read(source)
  if not fields then return nil, err end
  local modules
  modules, err = manifest_format.modules(fields, options)
  if not modules then return nil, err end
  fields.memory = fields.memory or {}
  local given = merged(options)
  given.functions = spaces_of(options.functions)
  return { manifest = fields, modules = modules, options = given,
    limits = limits_of(fields, options.limits) }
end

local function new_plugin(definition)
  local plugin = setmetatable({
    manifest = definition.manifest, modules = definition.modules, options = definition.options,
    limits = definition.limits, definition = definition, instances = {}, vars = {},
    config = merged(definition.manifest.config, definition.options.config),
    log_level = log_levels[definition.options.log_level or "info"],
    is_closed = false, is_busy = false, is_used_up = false,
  }, Plugin)
  local ok, err = try_start(plugin)
  if not ok then return nil, err end
  return plugin
end

local function check_source(function_name, source)
  if type(source) ~= "string" and type(source) ~= "table" and wasm.type(source) ~= "module" then
    error(("bad argument #1 to '%s' (manifest or module expected, got %s)"):format(function_name,
      type(source)), 3)
  end
end

--- A plugin of a manifest (a table or JSON) or of a module alone; nil and an error.
function extism.new(source, options)
  check_source("new", source)
  options = check_options("new", options, option_names)
  local definition, err = read_definition(source, options)
  if not definition then return nil, err end
  return new_plugin(definition)
end

--- Another plugin of the same modules, with memory and variables of its own; nil and an error.
function Plugin:clone()
  check_open(self, "clone")
  return new_plugin(self.definition)
end

-- ---- Pools --------------------------------------------------------------------------------------

local Pool = {}
Pool.__index = Pool
Pool.__name = "wasm.extism.pool"

--- Plugins for calls that overlap, as those of coroutines do: `max` of them at most. Options are
-- those of `new` besides.
function extism.pool(source, options)
  check_source("pool", source)
  local names = merged(option_names)
  names[#names + 1] = "max"
  options = check_options("pool", options, names)
  local definition, err = read_definition(source, options)
  if not definition then return nil, err end
  local first
  first, err = new_plugin(definition)
  if not first then return nil, err end
  -- A busy plugin is forgotten together with the suspended call that it serves.
  return setmetatable({ definition = definition, max = options.max or 64, refused = 0,
    idle = { first }, busy = setmetatable({}, { __mode = "k" }) }, Pool)
end

local function count_busy(pool)
  local n = 0
  for _ in pairs(pool.busy) do n = n + 1 end
  return n
end

-- Forgets busy plugins whose suspended calls nobody holds any more. That takes a while, so it is
-- tried once for `max` calls that found no plugin.
local function reclaim(pool)
  pool.refused = pool.refused + 1
  if pool.refused % pool.max ~= 1 and pool.max ~= 1 then return end
  local jit = rawget(_G, "jit")
  if jit then jit.flush() end -- traces hold what they were recorded with
  collectgarbage()
  collectgarbage() -- what finalisers of the first one still held
end

-- An idle plugin, or a new one; nil and an error.
local function acquire(pool)
  local plugin = table.remove(pool.idle)
  if plugin then return plugin end
  if count_busy(pool) >= pool.max then reclaim(pool) end
  if count_busy(pool) >= pool.max then
    return nil, tools.error("limit", ("pool: all of %d plugins are busy"):format(pool.max),
      { code = "plugins" })
  end
  return new_plugin(pool.definition)
end

--- `plugin:call` on one that is idle. One whose call raised an error starts afresh.
function Pool:call(name, input, context)
  if self.is_closed then error("pool is closed", 2) end
  local plugin, err = acquire(self)
  if not plugin then return nil, err end
  self.busy[plugin] = true
  local ok, result, why = protected(plugin.call, plugin, name, input, context)
  self.busy[plugin] = nil
  if self.is_closed then
    plugin:close()
  elseif ok or plugin:reset() then
    table.insert(self.idle, plugin)
  end
  if not ok then error(result, 0) end
  if result then return result end
  return nil, why
end

--- Closes the idle plugins; busy ones go when their calls end.
function Pool:close()
  for _, plugin in ipairs(self.idle) do plugin:close() end
  self.idle, self.is_closed = {}, true
end

return extism
