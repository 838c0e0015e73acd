--- Manifests of plugins: data written as a Lua table constructor.
--
-- The text is read by the parser below and never given to Lua, so that a manifest can do nothing:
--
--   [return] { name = "value", ["key"] = 1, [3] = true, { nested = -0x10 }, 'item'; }
--
-- Values are tables, strings (quoted, with Lua's escapes, or in long brackets), numbers, true and
-- false. There are no expressions, names or calls. Comments are Lua's. Limits: 64 KiB, tables 16
-- deep; a key may not occur twice.

local tools = require "wasm" and require "wasm.tools"

local manifest = {}

local MOST_BYTES, MOST_DEPTH = 65536, 16

-- ---- Reading ------------------------------------------------------------------------------------

-- A reader is {text=, at=, depth=}; what is wrong is raised as {at=, message=}.
local function fail(reader, message, at)
  error({ at = at or reader.at, message = message }, 0)
end

-- Past blanks and comments.
local function skip(reader)
  local text = reader.text
  while true do
    local at = text:find("%S", reader.at) or #text + 1
    reader.at = at
    if text:sub(at, at + 1) ~= "--" then return end
    local equals = text:match("^%[(=*)%[", at + 2)
    if equals then
      local _, last = text:find("]" .. equals .. "]", at + 2, true)
      if not last then fail(reader, "unfinished comment") end
      reader.at = last + 1
    else
      reader.at = text:find("\n", at, true) or #text + 1
    end
  end
end

local function peek(reader)
  skip(reader)
  return reader.text:sub(reader.at, reader.at)
end

local function near(reader)
  local word = reader.text:match("^[%w_]+", reader.at) or reader.text:sub(reader.at, reader.at)
  return word == "" and "the end" or "'" .. word:sub(1, 32) .. "'"
end

local function take(reader, mark)
  if peek(reader) ~= mark then
    fail(reader, ("'%s' expected near %s"):format(mark, near(reader)))
  end
  reader.at = reader.at + 1
end

local escapes = { a = "\a", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", v = "\v",
  ["\\"] = "\\", ['"'] = '"', ["'"] = "'", ["\n"] = "\n" }

-- The escape whose backslash is at `at`: its meaning and where the text goes on.
local function read_escape(reader, at)
  local text = reader.text
  local letter = text:sub(at + 1, at + 1)
  if escapes[letter] then return escapes[letter], at + 2 end
  local digits = text:match("^%d%d?%d?", at + 1)
  if digits and tonumber(digits) < 256 then
    return string.char(tonumber(digits)), at + 1 + #digits
  end
  local hex = text:match("^x(%x%x)", at + 1)
  if hex then return string.char(tonumber(hex, 16)), at + 4 end
  if letter == "z" then return "", text:find("%S", at + 2) or #text + 1 end
  fail(reader, "unknown escape in a string", at)
end

local function read_quoted(reader, quote)
  local text, parts = reader.text, {}
  local from = reader.at + 1
  while true do
    local at = text:find('[\\\n"\']', from)
    local mark = at and text:sub(at, at)
    if not at or mark == "\n" then fail(reader, "unfinished string") end
    parts[#parts + 1] = text:sub(from, at - 1)
    if mark == quote then
      reader.at = at + 1
      return table.concat(parts)
    elseif mark == "\\" then
      parts[#parts + 1], from = read_escape(reader, at)
    else
      parts[#parts + 1], from = mark, at + 1
    end
  end
end

local function read_long(reader, equals)
  local from = reader.at + #equals + 2
  local first, last = reader.text:find("]" .. equals .. "]", from, true)
  if not first then fail(reader, "unfinished string") end
  reader.at = last + 1
  return (reader.text:sub(from, first - 1):gsub("^\r?\n", ""))
end

-- Decimal or hexadecimal, with Lua's exponents.
local number_forms = { "^%-?%s*0[xX][%x.]+[pP][+-]?%d+", "^%-?%s*0[xX][%x.]+",
  "^%-?%s*[%d.]+[eE][+-]?%d+", "^%-?%s*[%d.]+" }

local function read_number(reader)
  for _, form in ipairs(number_forms) do
    local word = reader.text:match(form, reader.at)
    local value = word and tonumber((word:gsub("^%-%s*", "")))
    if value then
      reader.at = reader.at + #word
      return word:sub(1, 1) == "-" and -value or value
    end
  end
  fail(reader, "value expected near " .. near(reader))
end

local read_table

local function read_value(reader)
  local mark = peek(reader)
  local text, at = reader.text, reader.at
  if mark == "{" then return read_table(reader) end
  if mark == '"' or mark == "'" then return read_quoted(reader, mark) end
  local equals = text:match("^%[(=*)%[", at)
  if equals then return read_long(reader, equals) end
  local word = text:match("^[%a_][%w_]*", at)
  if word == "true" or word == "false" then
    reader.at = at + #word
    return word == "true"
  elseif word then
    fail(reader, ("a manifest holds data only: no names or calls such as '%s'"):format(
      word:sub(1, 32)))
  end
  return read_number(reader)
end

-- The key in front of '=', or nil in front of an item of a list.
local function read_key(reader)
  local mark = peek(reader)
  local text, at = reader.text, reader.at
  if mark == "[" and not text:find("^%[=*%[", at) then
    reader.at = at + 1
    local key = read_value(reader)
    if type(key) == "table" then fail(reader, "a key is a string, number or boolean", at) end
    if key ~= key then fail(reader, "a key is not NaN", at) end
    take(reader, "]")
    take(reader, "=")
    return key
  end
  local name = text:match("^([%a_][%w_]*)%s*=", at)
  if not name then return nil end
  reader.at = at + #name
  take(reader, "=")
  return name
end

function read_table(reader)
  if reader.depth >= MOST_DEPTH then fail(reader, "tables are nested too deeply") end
  reader.depth = reader.depth + 1
  take(reader, "{")
  local result, n = {}, 0
  while peek(reader) ~= "}" do
    local at = reader.at
    local key = read_key(reader)
    if key == nil then
      n = n + 1
      key = n
    end
    if result[key] ~= nil then fail(reader, ("the key '%s' occurs twice"):format(key), at) end
    result[key] = read_value(reader)
    local mark = peek(reader)
    if mark == "," or mark == ";" then
      reader.at = reader.at + 1
    elseif mark ~= "}" then
      fail(reader, "'}' expected near " .. near(reader))
    end
  end
  reader.at = reader.at + 1
  reader.depth = reader.depth - 1
  return result
end

local function read_all(reader)
  skip(reader)
  local _, last = reader.text:find("^return%f[^%w_]", reader.at)
  if last then reader.at = last + 1 end
  local result = read_table(reader)
  skip(reader)
  if reader.at <= #reader.text then fail(reader, "the end expected near " .. near(reader)) end
  return result
end

local function malformed(text, file, err)
  local before = text:sub(1, err.at - 1)
  local _, newlines = before:gsub("\n", "")
  local line, column = newlines + 1, #before:match "[^\n]*$" + 1
  return tools.error("malformed", ("%s:%d:%d: %s"):format(file, line, column, err.message),
    { file = file, line = line, column = column })
end

--- The table that the text describes; nil and an error that knows its place. `file` is the name
-- for messages.
function manifest.parse(text, file)
  file = file or "manifest"
  if #text > MOST_BYTES then
    return nil, tools.error("limit", ("%s: a manifest has at most %d bytes"):format(file,
      MOST_BYTES), { file = file, code = "manifest" })
  end
  local ok, result = pcall(read_all, { text = text, at = 1, depth = 0 })
  if ok then return result end
  if type(result) ~= "table" or not result.at then error(result, 0) end
  return nil, malformed(text, file, result)
end

-- ---- What the fields have to be -----------------------------------------------------------------

local field_types = { name = "string", version = "string", description = "string",
  permissions = "table", limits = "table", exports = "table" }
local limit_names = { "memory", "fuel", "timeout", "stack" }

local function is_list_of_strings(list)
  local n = 0
  for _, item in pairs(list) do
    n = n + 1
    if type(item) ~= "string" then return false end
  end
  return n == #list
end

local function check_limits(limits)
  local known = {}
  for _, name in ipairs(limit_names) do known[name] = true end
  for name, value in pairs(limits) do
    if not known[name] then
      return ("unknown limit '%s' (known are %s)"):format(tostring(name),
        table.concat(limit_names, ", "))
    end
    if type(value) ~= "number" or value ~= value or value < 0 or
      name ~= "timeout" and (value % 1 ~= 0 or value >= 2 ^ 63) then
      return ("limit '%s' has to be a positive number"):format(name)
    end
    if name == "stack" and value > 2 ^ 30 then return "limit 'stack' has to be at most 1 GiB" end
  end
end

-- A list of names, or {name = type as text, or true for any}.
local function check_exports(exports)
  for name, kind in pairs(exports) do
    local is_item = type(name) == "number" and type(kind) == "string"
    if not is_item and (type(name) ~= "string" or kind ~= true and type(kind) ~= "string") then
      return "'exports' has to be a list of names, or name = \"type\""
    end
  end
end

--- Says what is wrong with a table as a manifest, or nil. Fields that nobody knows are the
-- application's own.
function manifest.check(fields)
  for name, wanted in pairs(field_types) do
    local value = fields[name]
    if value ~= nil and type(value) ~= wanted then
      return ("'%s' has to be a %s, not a %s"):format(name, wanted, type(value))
    end
  end
  if fields.permissions and not is_list_of_strings(fields.permissions) then
    return "'permissions' has to be a list of strings"
  end
  return check_limits(fields.limits or {}) or check_exports(fields.exports or {})
end

return manifest
