--- What is in a module, for tools: sections, names, the features it needs, and JSON.

local wasm = require "wasm"
local json = require "wasm.json"

local describe = {}

local section_names = { [0] = "custom", "type", "import", "function", "table", "memory", "global",
  "export", "start", "element", "code", "data", "datacount", "tag" }
local name_kinds = { [0] = "module", "functions", "locals", "labels", "types", "tables", "memories",
  "globals", "elements", "data", "fields", "tags" }

-- An unsigned LEB128 at `at`: value and next position. At the end of the bytes it is 0, so that
-- custom sections, which nobody has validated, can be cut anywhere.
local function read_leb(bytes, at)
  local value, scale = 0, 1
  repeat
    local byte = bytes:byte(at) or 0
    value = value + byte % 128 * scale
    scale, at = scale * 128, at + 1
  until byte < 128
  return value, at
end

local function read_name(bytes, at)
  local size, start = read_leb(bytes, at)
  return bytes:sub(start, start + size - 1), start + size
end

--- Of a valid binary: array of {kind=, name=, offset=, size=, count=}; offset is that of the id.
function describe.sections(bytes)
  local sections, at = {}, 9
  while at <= #bytes do
    local id = bytes:byte(at)
    local size, start = read_leb(bytes, at + 1)
    local section = { kind = section_names[id], offset = at - 1, size = size }
    if id == 0 then
      section.name = read_name(bytes, start)
    elseif id ~= 8 then
      section.count = read_leb(bytes, start)
    end
    sections[#sections + 1] = section
    at = start + size
  end
  return sections
end

-- Calls fn(kind, bytes, start) for each part of the name sections.
local function each_name_part(module, fn)
  for _, section in ipairs(module:sections "name") do
    local at = 1
    while at <= #section do
      local kind = name_kinds[section:byte(at)]
      local size, start = read_leb(section, at + 1)
      if kind and size > 0 then fn(kind, section, start) end
      at = start + size
    end
  end
end

--- How many things of each kind the name section names.
function describe.count_names(module)
  local counts = {}
  each_name_part(module, function(kind, section, start)
    counts[kind] = kind == "module" and 1 or read_leb(section, start)
  end)
  return counts
end

--- The names of functions: index = name.
function describe.function_names(module)
  local names = {}
  each_name_part(module, function(kind, section, at)
    if kind ~= "functions" then return end
    local n, index
    n, at = read_leb(section, at)
    for _ = 1, n do
      if at > #section then break end
      index, at = read_leb(section, at)
      names[index], at = read_name(section, at)
    end
  end)
  return names
end

--- The features beyond 1.0 without which the module does not load, sorted.
function describe.features(bytes)
  local needed = {}
  for name, on in pairs(wasm.config().supported.features) do
    if on and name ~= "mvp" and not wasm.load(bytes, { features = { [name] = false } }) then
      needed[#needed + 1] = name
    end
  end
  table.sort(needed)
  return needed
end

-- The section "producers": {language = {"C 1.0"}, ...}.
local function producers(module)
  local fields = {}
  for _, section in ipairs(module:sections "producers") do
    local n, at = read_leb(section, 1)
    for _ = 1, n do
      if at > #section then break end
      local field, count
      field, at = read_name(section, at)
      count, at = read_leb(section, at)
      fields[field] = fields[field] or {}
      for i = 1, count do
        if at > #section then break end
        local name, version
        name, at = read_name(section, at)
        version, at = read_name(section, at)
        fields[field][i] = version ~= "" and name .. " " .. version or name
      end
    end
  end
  return fields
end

--- Everything, as a table that describe.json takes. `bytes` is a binary or text.
function describe.module(module, bytes, file)
  if bytes:sub(1, 4) ~= "\0asm" then bytes = assert(wasm.wat2wasm(bytes)) end
  return { file = file, size = #bytes, name = module.name, sections = describe.sections(bytes),
    imports = module.imports, exports = module.exports, features = describe.features(bytes),
    names = describe.count_names(module), producers = producers(module), stats = module:stats() }
end

-- ---- JSON ---------------------------------------------------------------------------------------

local objects = { names = true, producers = true, stats = true }

--- A table as JSON, with its keys sorted. Empty tables are lists unless their key says otherwise.
function describe.json(value)
  return json.encode(value, objects)
end

-- ---- Text ---------------------------------------------------------------------------------------

--- The same for people.
function describe.text(d)
  local lines = {}
  local function add(format, ...) lines[#lines + 1] = format:format(...) end
  add("%s: %d bytes, module name %s", d.file, d.size, d.name or "(none)")
  add "sections"
  for _, s in ipairs(d.sections) do
    add("  %-9s %-24s at %-8d %9d bytes %s", s.kind, s.name or "", s.offset, s.size,
      s.count and ("%7d"):format(s.count) or "")
  end
  add("imports (%d)", #d.imports)
  for _, i in ipairs(d.imports) do add("  %s.%s %s", i.module, i.name, i.type) end
  add("exports (%d)", #d.exports)
  for _, e in ipairs(d.exports) do add("  %s %s", e.name, e.type) end
  add("features beyond 1.0: %s", d.features[1] and table.concat(d.features, " ") or "none")
  local names = {}
  for kind, count in pairs(d.names) do names[#names + 1] = ("%d %s"):format(count, kind) end
  table.sort(names)
  add("names: %s", names[1] and table.concat(names, ", ") or "none")
  local made_by = {}
  for field, list in pairs(d.producers) do
    made_by[#made_by + 1] = field .. " " .. table.concat(list, ", ")
  end
  table.sort(made_by)
  if made_by[1] then add("producers: %s", table.concat(made_by, "; ")) end
  return table.concat(lines, "\n")
end

return describe
