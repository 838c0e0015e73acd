--- What an Extism plugin is made of: its manifest, checked, and the modules that it names.
--
-- A manifest is the host's own configuration, as a table or as JSON; a module alone is one, too.
-- Whatever is wrong with it is an error that names the field.

local wasm = require "wasm"
local tools = require "wasm.tools"
local json = require "wasm.json"

local manifest = {}

local MAIN = "main"

-- ---- Checks -------------------------------------------------------------------------------------

-- A field's check takes the value and its name and raises what is wrong, for `guarded` to catch.
local function fail(format, ...)
  error({ message = "manifest: " .. format:format(...) }, 0)
end

local function of_type(wanted)
  return function(value, name)
    if type(value) ~= wanted then fail("%s: %s expected, got %s", name, wanted, type(value)) end
  end
end

local is_string = of_type "string"

local function is_count(value, name)
  if type(value) ~= "number" or value < 0 or value ~= math.floor(value) or value >= 2 ^ 53 then
    fail("%s: a whole number of at least 0 expected, got %s", name, tostring(value))
  end
end

local function is_list(check)
  return function(value, name)
    of_type "table"(value, name)
    for key, item in pairs(value) do
      if type(key) ~= "number" then fail("%s: list expected, got a field '%s'", name, key) end
      check(item, ("%s[%d]"):format(name, key))
    end
  end
end

local function is_map(value, name)
  of_type "table"(value, name)
  for key, item in pairs(value) do
    if type(key) ~= "string" then fail("%s: names expected, got a list", name) end
    is_string(item, name .. "." .. key)
  end
end

local function is_object(fields)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  return function(value, name)
    of_type "table"(value, name)
    for key, item in pairs(value) do
      local check = fields[key]
      if not check then
        fail("%s: unknown field '%s' (there are %s)", name, tostring(key),
          table.concat(names, ", "))
      end
      check(item, name == "the manifest" and key or name .. "." .. key)
    end
  end
end

local check_entry_fields = is_object { path = is_string, data = is_string, url = is_string,
  name = is_string, hash = is_string, headers = is_map, method = is_string }

local function check_entry(entry, name)
  check_entry_fields(entry, name)
  local n = 0
  for _, source in ipairs { "path", "data", "url" } do
    if entry[source] then n = n + 1 end
  end
  if n ~= 1 then fail("%s: one of 'path', 'data' and 'url' expected, got %d", name, n) end
  if entry.hash and not entry.hash:match("^" .. ("%x"):rep(64) .. "$") then
    fail("%s.hash: 64 hexadecimal digits expected, got '%s'", name, entry.hash)
  end
end

local check_fields = is_object {
  wasm = is_list(check_entry),
  memory = is_object { max_pages = is_count, max_http_response_bytes = is_count,
    max_var_bytes = is_count },
  config = is_map,
  allowed_hosts = is_list(is_string),
  allowed_paths = is_map,
  timeout_ms = is_count,
}

-- What f(...) gives; nil and an error object for what `fail` raised.
local function guarded(f, ...)
  local ok, result, err = pcall(f, ...)
  if ok then return result, err end
  if type(result) ~= "table" then error(result, 0) end
  return nil, tools.error("malformed", result.message)
end

local function checked(fields)
  check_fields(fields, "the manifest")
  if not fields.wasm or #fields.wasm == 0 then fail "wasm: no module is named" end
  return fields
end

-- ---- Reading ------------------------------------------------------------------------------------

local function is_module(source)
  return source:sub(1, 4) == "\0asm" or source:find "^%s*%(%s*module" or source:find "^%s*%(;" or
    source:find "^%s*;;"
end

local function copy(value)
  if type(value) ~= "table" then return value end
  local result = {}
  for key, item in pairs(value) do result[key] = copy(item) end
  return result
end

--- The fields of a manifest that is given as a table, as JSON, or as a module alone; nil and an
-- error when it is malformed. The table is a copy.
function manifest.read(source)
  if type(source) == "string" then
    if is_module(source) then return { wasm = { { data = source } } } end
    local fields, message = json.decode(source)
    if not fields then
      return nil, tools.error("malformed", "manifest: neither a module nor JSON: " .. message)
    end
    return guarded(checked, fields)
  elseif wasm.type(source) == "module" then
    return { wasm = { { module = source } } }
  end
  return guarded(checked, copy(source))
end

-- ---- Modules ------------------------------------------------------------------------------------

local alphabet = {}
for i = 0, 63 do
  alphabet[("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"):byte(i + 1)] = i
end

-- The bytes of a text in base64; nil when it is none.
local function decode_base64(text)
  text = text:gsub("%s", "")
  local body, padding = text:match "^([%w+/]*)(=*)$"
  if not body or #text % 4 ~= 0 or #padding > 2 then return nil end
  local parts = {}
  for i = 1, #body, 4 do
    local a, b, c, d = body:byte(i, i + 3)
    local bits = alphabet[a] * 262144 + alphabet[b or 65] * 4096 + alphabet[c or 65] * 64 +
      alphabet[d or 65]
    parts[#parts + 1] = string.char(math.floor(bits / 65536), math.floor(bits / 256) % 256,
      bits % 256)
  end
  local bytes = table.concat(parts)
  return bytes:sub(1, #bytes - #padding)
end

local function read_file(path)
  local file, message = io.open(path, "rb")
  if not file then return nil, message end
  local bytes
  bytes, message = file:read "*a"
  file:close()
  return bytes, message
end

local function io_error(place, message)
  return tools.error("io", ("manifest: %s: %s"):format(place, tostring(message)))
end

-- The bytes that an entry means; nil and an error.
local function fetch(entry, place, options)
  if entry.data then
    if is_module(entry.data) then return entry.data end
    local bytes = decode_base64(entry.data)
    if bytes then return bytes end
    return nil, tools.error("malformed", ("manifest: %s.data: neither a module nor base64"):format(
      place))
  elseif entry.path then
    if options.read == false then
      return nil, io_error(place, "the host reads no files for plugins (option 'read')")
    end
    local bytes, message = (options.read or read_file)(entry.path)
    if type(bytes) ~= "string" then return nil, io_error(place, message or "not read") end
    return bytes
  end
  if not options.http then
    return nil, io_error(place, ("'%s' needs the host's option 'http'"):format(entry.url))
  end
  local response, message = options.http { url = entry.url, headers = entry.headers or {},
    method = (entry.method or "GET"):upper() }
  if type(response) ~= "table" then return nil, io_error(place, message or "no response") end
  if response.status and response.status ~= 200 then
    return nil, io_error(place, ("'%s' answered with status %s"):format(entry.url,
      tostring(response.status)))
  end
  return response.body or ""
end

local function load_entry(entry, place, name, options)
  if entry.module then return entry.module end
  local bytes, err = fetch(entry, place, options)
  if not bytes then return nil, err end
  local hash = entry.hash and tools.sha256(bytes)
  if hash and hash ~= entry.hash:lower() then
    return nil, tools.error("invalid", ("manifest: %s: hash mismatch, found %s, expected %s")
      :format(place, hash, entry.hash))
  elseif not is_module(bytes) then -- also an empty file, which would be a module as text
    return nil, tools.error("malformed", ("manifest: %s: not a WebAssembly module"):format(place))
  end
  return wasm.load(bytes, { name = entry.name or name, engine = options.engine,
    features = options.features })
end

--- The modules of a manifest, by name: nil and an error. One alone is "main", else one that is
-- called so, else the last one.
function manifest.modules(fields, options)
  local modules, count = {}, #fields.wasm
  for i, entry in ipairs(fields.wasm) do
    local name = entry.name or MAIN
    if count == 1 or i == count and not modules[MAIN] then name = MAIN end
    local place = ("wasm[%d]"):format(i)
    if modules[name] then
      return nil, tools.error("malformed", ("manifest: %s: a second module '%s'"):format(place,
        name))
    end
    local module, err = load_entry(entry, place, name, options)
    if not module then return nil, err end
    modules[name] = module
  end
  return modules
end

return manifest
