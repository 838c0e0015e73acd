--- Wasm modules as Lua modules: a searcher for `require`, and plugins that are reloaded while the
-- host runs.
--
-- A plugin is a table of the loader; `plugin.exports` is one table for its whole life, whose fields
-- are replaced by those of the new instance when it is reloaded. A reload makes everything that is
-- new before it touches anything that is there, so that a failure changes nothing. The old instance
-- is not closed but let go: its running and suspended calls end on it, then it is collected.

local wasm = require "wasm"
local tools = require "wasm.tools"
local manifest_format = require "wasm.manifest"
local protected = require "wasm.protect"

local loader = {}

local load_options = { "name", "imports", "wasi", "limits", "permissions", "manifest", "exports",
  "keep", "engine", "features" }
local install_options = { "path", "imports", "wasi", "limits", "permissions", "exports", "keep",
  "engine", "features", "position" }
local limit_names = { "memory", "fuel", "timeout", "stack", "on_limit" }

-- ---- Files --------------------------------------------------------------------------------------

-- The contents; nil and an error of kind "io".
local function read_file(path)
  local file, message = io.open(path, "rb")
  local text
  if file then
    text, message = file:read "*a"
    file:close()
    if text then return text end
    message = path .. ": " .. tostring(message)
  end
  return nil, tools.error("io", message, { file = path })
end

local function is_readable(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

-- plugins/a.wasm has its manifest in plugins/a.manifest.lua
local function sidecar_of(path)
  return (path:gsub("%.[^./\\]*$", "")) .. ".manifest.lua"
end

-- ---- Manifests ----------------------------------------------------------------------------------

-- The table given by the host, else the sidecar file, else the custom section "manifest", else {};
-- nil and an error when it is malformed.
local function find_manifest(path, module, given)
  local fields, place = given, "manifest of " .. path
  if not fields then
    local err
    local sidecar = sidecar_of(path)
    local text = is_readable(sidecar) and read_file(sidecar)
    local section = module:sections "manifest"
    if not text and #section > 1 then
      return nil, tools.error("malformed", place .. ": there is more than one custom section")
    end
    if text then place = sidecar end
    text = text or section[1]
    if not text then return {} end
    fields, err = manifest_format.parse(text, place)
    if not fields then return nil, err end
  end
  local complaint = manifest_format.check(fields)
  if complaint then
    return nil, tools.error("malformed", place .. ": " .. complaint, { file = path })
  end
  return fields
end

-- What holds is the tighter one of the host's limits and the manifest's.
local function tighter_limits(host, wanted)
  local limits = {}
  for _, name in ipairs(limit_names) do limits[name] = host[name] end
  for name, value in pairs(wanted) do
    if limits[name] == nil or value < limits[name] then limits[name] = value end
  end
  return limits
end

-- ---- Permissions --------------------------------------------------------------------------------

-- "env.log" is in a list that has it, "env.*" or "*". No list has everything.
local function is_listed(list, name)
  if not list then return true end
  for _, entry in ipairs(list) do
    local prefix = entry:match "^(.*)%*$"
    if entry == name or prefix and name:sub(1, #prefix) == prefix then return true end
  end
  return false
end

local function link_error(path, message, ...)
  return tools.error("link", path .. ": " .. message:format(...), { file = path })
end

local function is_wasi(name)
  return name == "wasi_snapshot_preview1" or name == "wasi_unstable"
end

-- Every import has to be asked for by the manifest, if that has a list, and granted by the host, if
-- that has one. Nil and an error when one is not.
local function check_permissions(path, module, asked, granted)
  for _, name in ipairs(asked or {}) do
    if not is_listed(granted, name) then
      return nil, link_error(path, "the host does not grant the permission '%s'", name)
    end
  end
  for _, import in ipairs(module.imports) do
    local name = is_wasi(import.module) and "wasi" or import.module .. "." .. import.name
    if not is_listed(asked, name) then
      return nil, link_error(path, 'import "%s" "%s" is not among the permissions of the manifest',
        import.module, import.name)
    elseif not is_listed(granted, name) then
      return nil, link_error(path, 'import "%s" "%s" is not granted (permission \'%s\')',
        import.module, import.name, name)
    end
  end
  return true
end

-- The part of a table of WASI options that both lists have.
local function permitted_wasi(options, asked, granted)
  local function both(name)
    return is_listed(asked, name) and is_listed(granted, name)
  end
  local function pick(list, prefix)
    if type(list) ~= "table" then return list end
    local picked = {}
    for name, value in pairs(list) do
      if both(prefix .. tostring(name)) then picked[name] = value end
    end
    return picked
  end
  local result = {}
  for name, value in pairs(options) do result[name] = value end
  result.dirs = pick(options.dirs, "wasi.dir:")
  result.env = pick(options.env, "wasi.env:")
  if not both "wasi.sockets" then result.sockets = nil end
  return result
end

-- ---- Instances ----------------------------------------------------------------------------------

local function imports_wasi(module)
  for _, import in ipairs(module.imports) do
    if is_wasi(import.module) then return true end
  end
  return false
end

-- The imports, with a WASI context of the plugin's own if it is given one. Third: the context, to
-- be closed with the plugin.
local function collect_imports(plugin, module, fields)
  local options = plugin.options
  local imports, context = options.imports, nil
  if type(imports) == "function" then imports = imports(plugin.name, fields) end
  if options.wasi and imports_wasi(module) then
    local wasi = options.wasi
    if type(wasi) == "table" then
      local err
      wasi = permitted_wasi(wasi, fields.permissions, options.permissions)
      context, err = require("wasm.wasi").new(wasi)
      if not context then return nil, err end
      wasi = context
    end
    imports = setmetatable({ wasi_snapshot_preview1 = wasi, wasi_unstable = wasi },
      { __index = imports })
  end
  return imports or {}, nil, context
end

-- {name = type or true} of a list or such a table.
local function each_export(wanted)
  local list = {}
  for name, kind in pairs(wanted or {}) do
    if type(name) == "number" then name, kind = kind, true end
    list[#list + 1] = { name = name, kind = kind }
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

local function squeeze(text)
  return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""):gsub("^%(func ?(.*)%)$", "%1"))
end

-- Does the module export what is wanted of it? Nil and an error if not.
local function check_exports(path, module, wanted)
  local types = {}
  for _, export in ipairs(module.exports) do types[export.name] = export.type end
  for _, export in ipairs(each_export(wanted)) do
    local given = types[export.name]
    if not given then
      return nil, link_error(path, "the export '%s' is missing", export.name)
    elseif export.kind ~= true and squeeze(export.kind) ~= squeeze(given) then
      return nil, link_error(path, "the export '%s' has to be %s, not %s", export.name,
        export.kind, given)
    end
  end
  return true
end

-- Fills in everything about one version of a plugin: {source=, module=, manifest=, limits=,
-- instance=, context=}. True, or nil and an error. What host closures raise comes out as it is.
local function load_version(plugin, version)
  local options, path = plugin.options, plugin.path
  local source, err = read_file(path)
  if not source then return nil, err end
  if source == "" then -- which would be a module as text: more likely somebody is writing it
    return nil, tools.error("malformed", path .. ": the file is empty", { file = path })
  end
  version.source = source
  version.module, err = wasm.load(source, { name = plugin.name, engine = options.engine,
    features = options.features })
  if not version.module then return nil, tools.name_file(err, path) end
  local fields
  fields, err = find_manifest(path, version.module, options.manifest)
  if not fields then return nil, err end
  version.manifest = fields
  version.limits = tighter_limits(options.limits or {}, fields.limits or {})
  local ok
  ok, err = check_permissions(path, version.module, fields.permissions, options.permissions)
  if ok then ok, err = check_exports(path, version.module, fields.exports) end
  if ok then ok, err = check_exports(path, version.module, options.exports) end
  if not ok then return nil, err end
  local imports
  imports, err, version.context = collect_imports(plugin, version.module, fields)
  if not imports then return nil, err end
  version.instance, err = version.module:instantiate(imports, version.limits)
  if not version.instance then return nil, err end
  local initialize = version.instance.exports._initialize
  if wasm.type(initialize) == "func" then initialize() end
  return true
end

-- An error for what was raised: error objects, and the host's own values, as they are.
local function as_error(path, value)
  if type(value) ~= "string" then return value end
  return tools.error("link", path .. ": " .. value, { file = path })
end

local function discard(version)
  if version.context then version.context:close() end
  if version.instance then pcall(version.instance.close, version.instance) end
end

local function try_version(plugin)
  local version = {}
  local ok, is_loaded, err = protected(load_version, plugin, version)
  if ok and is_loaded then return version end
  discard(version)
  if not ok then err = as_error(plugin.path, is_loaded) end
  return nil, err
end

-- ---- State that a reload keeps ------------------------------------------------------------------

-- Copies memories and mutable globals of these names; with `all`, those that both versions have.
local function copy_state(old, new, names)
  local wanted = names
  if not wanted then
    wanted = {}
    for name in pairs(old) do wanted[#wanted + 1] = name end
  end
  for _, name in ipairs(wanted) do
    local from, to = old[name], new[name]
    local kind = wasm.type(from)
    local can_copy = wasm.type(to) == kind and
      (kind == "memory" or kind == "global" and from.mutable and to.mutable)
    if not can_copy and names then
      error(("'%s' cannot be kept: no memory or mutable global of both versions"):format(name), 0)
    elseif can_copy and kind == "memory" then
      local missing = from:pages() - to:pages()
      local is_grown, err = true, nil
      if missing > 0 then is_grown, err = to:grow(missing) end
      if not is_grown then error(err, 0) end
      to:write(0, from:read(0, #from))
    elseif can_copy then
      to.value = from.value
    end
  end
end

local function hook(exports, name, version)
  if wasm.type(exports[name]) ~= "func" then
    error(("state cannot be kept: the %s version does not export '%s'"):format(version, name), 0)
  end
  return exports[name]
end

-- The plugin's own hooks: `plugin_save` gives the address of a pair {address, size}; the new
-- version allocates that much and gets it by `plugin_restore`.
local function hand_over(old, new)
  local save, alloc = hook(old, "plugin_save", "old"), hook(new, "plugin_alloc", "new")
  local restore = hook(new, "plugin_restore", "new")
  local at, size = old.memory:unpack("I4I4", save())
  local bytes = old.memory:read(at, size)
  local to = alloc(size)
  new.memory:write(to, bytes)
  restore(to, size)
end

local function keep_state(keep, old, new)
  if type(keep) == "function" then
    if keep(old, new) == false then error("the host refused the new version", 0) end
  elseif keep == "hooks" then
    hand_over(old, new)
  elseif keep then
    copy_state(old, new, keep ~= true and keep or nil)
  end
end

-- ---- Plugins ------------------------------------------------------------------------------------

local Plugin = {}
Plugin.__index = Plugin
Plugin.__name = "wasm.plugin"

local function check_open(plugin, function_name)
  if getmetatable(plugin) ~= Plugin then
    error(("bad argument #1 to '%s' (plugin expected, got %s)"):format(function_name,
      type(plugin)), 3)
  end
  if plugin.is_closed then error(("plugin '%s' is closed"):format(plugin.name), 3) end
end

-- The table in front of the exports. It is a plain one, so that a field costs what a field costs
-- and `pairs` works everywhere.
local function new_front(plugin)
  return setmetatable({}, {
    __name = "wasm.plugin.exports",
    plugin = plugin,
    __index = function()
      if plugin.is_closed then error(("plugin '%s' is closed"):format(plugin.name), 2) end
    end,
    __tostring = function()
      if plugin.is_closed then return ("wasm plugin '%s' (closed)"):format(plugin.name) end
      return tostring(plugin.instance.exports)
    end,
  })
end

-- Makes the version the current one. Fields that others have put into the table stay.
local function adopt(plugin, version)
  for name, value in pairs(plugin.own) do
    if rawget(plugin.exports, name) == value then plugin.exports[name] = nil end
  end
  plugin.own = {}
  for name, value in pairs(version.instance.exports) do
    plugin.own[name] = value
    plugin.exports[name] = value
  end
  plugin.instance, plugin.module, plugin.manifest = version.instance, version.module,
    version.manifest
  plugin.limits, plugin.context, plugin.source = version.limits, version.context, version.source
  plugin.version = plugin.version + 1
end

-- {added = {...}, removed = {...}, changed = {...}}: names of exports, sorted.
local function compare_exports(old, new)
  local changes = { added = {}, removed = {}, changed = {} }
  local before = {}
  for _, export in ipairs(old.exports) do before[export.name] = export.type end
  for _, export in ipairs(new.exports) do
    local was = before[export.name]
    before[export.name] = nil
    if not was then
      changes.added[#changes.added + 1] = export.name
    elseif was ~= export.type then
      changes.changed[#changes.changed + 1] = export.name
    end
  end
  for name in pairs(before) do changes.removed[#changes.removed + 1] = name end
  for _, list in pairs(changes) do table.sort(list) end
  return changes
end

--- Loads the file anew. True and what changed of the exports; nil and an error, with the old
-- version untouched, when anything about the new one fails.
function Plugin:reload()
  check_open(self, "reload")
  local version, err = try_version(self)
  if not version then return nil, err end
  local changes = compare_exports(self.module, version.module)
  local ok, why = protected(keep_state, self.options.keep, self.instance.exports,
    version.instance.exports)
  if ok and self.is_closed then ok, why = false, "the plugin was closed meanwhile" end
  if not ok then
    discard(version)
    return nil, as_error(self.path, why)
  end
  adopt(self, version)
  return true, changes
end

--- Does the file hold something else than what was loaded?
function Plugin:changed()
  check_open(self, "changed")
  local text = read_file(self.path)
  return text ~= nil and text ~= self.source
end

--- Closes the current instance. A second time is fine; while one of its calls runs it is misuse.
function Plugin:close()
  if self.is_closed then return end
  check_open(self, "close")
  self.instance:close()
  self.is_closed = true
  if self.context then self.context:close() end
  for name, value in pairs(self.own) do
    if rawget(self.exports, name) == value then self.exports[name] = nil end
  end
  self.own, self.instance, self.module, self.context, self.source = {}, nil, nil, nil, nil
  local loaded = self.required_as
  if loaded and package.loaded[loaded] == self.exports then package.loaded[loaded] = nil end
end

function Plugin:__tostring()
  if self.is_closed then return ("wasm plugin '%s' (closed)"):format(self.name) end
  return ("wasm plugin '%s' from %s, version %d"):format(self.name, self.path, self.version)
end

Plugin.__close = Plugin.close

-- ---- Loading ------------------------------------------------------------------------------------

local function check_option(function_name, options, name, ...)
  local value = options[name]
  if value == nil then return end
  for _, wanted in ipairs { ... } do
    if type(value) == wanted then return end
  end
  error(("bad option '%s' to '%s' (%s expected, got %s)"):format(name, function_name,
    table.concat({ ... }, " or "), type(value)), 4)
end

-- Misuse is found before anything is loaded, so that what is raised later is the plugin's doing.
local function check_options(function_name, options, names)
  tools.check(function_name, options, names)
  check_option(function_name, options, "name", "string")
  check_option(function_name, options, "path", "string")
  check_option(function_name, options, "imports", "table", "userdata", "function")
  check_option(function_name, options, "wasi", "table", "userdata")
  check_option(function_name, options, "limits", "table")
  check_option(function_name, options, "permissions", "table")
  check_option(function_name, options, "manifest", "table")
  check_option(function_name, options, "exports", "table")
  check_option(function_name, options, "keep", "boolean", "string", "table", "function")
  check_option(function_name, options, "position", "number")
  if type(options.keep) == "string" and options.keep ~= "hooks" then
    error(("bad option 'keep' to '%s' (the only string is 'hooks', got '%s')"):format(
      function_name, options.keep), 3)
  end
  if options.limits then tools.check(function_name, options.limits, limit_names) end
end

-- The reader of manifests checks the same things of tables that the host gives.
local function check_manifest(options)
  local limits
  if options.limits then
    limits = {}
    for name, value in pairs(options.limits) do limits[name] = value end
    limits.on_limit = nil
  end
  local complaint = options.manifest and manifest_format.check(options.manifest) or
    manifest_format.check { permissions = options.permissions, exports = options.exports,
      limits = limits }
  if complaint then error(("bad option to 'load' (%s)"):format(complaint), 3) end
end

local function name_of(path)
  return (path:gsub("^.*[/\\]", ""):gsub("%.[^.]*$", ""))
end

--- Loads the file as a plugin: nil and an error for everything that is wrong with it.
function loader.load(path, options)
  if type(path) ~= "string" then
    error(("bad argument #1 to 'load' (path expected, got %s)"):format(type(path)), 2)
  end
  if options ~= nil and type(options) ~= "table" then
    error(("bad argument #2 to 'load' (table expected, got %s)"):format(type(options)), 2)
  end
  options = options or {}
  check_options("load", options, load_options)
  check_manifest(options)
  local plugin = setmetatable({ path = path, name = options.name or name_of(path),
    options = options, version = 0, own = {}, is_closed = false }, Plugin)
  plugin.exports = new_front(plugin)
  local version, err = try_version(plugin)
  if not version then return nil, err end
  adopt(plugin, version)
  return plugin
end

--- The plugin behind what `require` or `plugin.exports` gave, or behind a name that was required;
-- nil when there is none.
function loader.plugin(front)
  if type(front) == "string" then front = package.loaded[front] end
  if type(front) ~= "table" then return nil end
  local meta = getmetatable(front)
  return type(meta) == "table" and meta.__name == "wasm.plugin.exports" and meta.plugin or nil
end

-- ---- require ------------------------------------------------------------------------------------

-- The first file that exists, or nil and a line for each that does not.
local function search(name, path)
  local tried = {}
  local file_name = name:gsub("%.", "/")
  for template in path:gmatch "[^;]+" do
    local file = template:gsub("%?", (file_name:gsub("%%", "%%%%")))
    if is_readable(file) then return file end
    tried[#tried + 1] = ("\n\tno file '%s'"):format(file)
  end
  return nil, table.concat(tried)
end

local function new_searcher(options)
  local path = options.path or "./?.wasm;./plugins/?.wasm"
  return function(name)
    local file, tried = search(name, path)
    if not file then return tried end
    return function()
      local given = {}
      for _, key in ipairs(load_options) do given[key] = options[key] end
      given.name = name
      local plugin, err = loader.load(file, given)
      if not plugin then
        error(("error loading module '%s' from file '%s':\n\t%s"):format(name, file,
          tostring(err)), 0)
      end
      plugin.required_as = name
      return plugin.exports
    end, file
  end
end

--- Lets `require` find Wasm modules. Gives a function that takes the searcher away again.
function loader.install(options)
  if options ~= nil and type(options) ~= "table" then
    error(("bad argument #1 to 'install' (table expected, got %s)"):format(type(options)), 2)
  end
  options = options or {}
  check_options("install", options, install_options)
  check_manifest(options)
  local searchers = package.searchers or package.loaders
  local searcher = new_searcher(options)
  local at = math.max(1, math.min(options.position or #searchers + 1, #searchers + 1))
  table.insert(searchers, at, searcher)
  return function()
    for i = #searchers, 1, -1 do
      if searchers[i] == searcher then table.remove(searchers, i) end
    end
  end
end

return loader
