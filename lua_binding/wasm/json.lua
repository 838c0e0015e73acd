--- JSON (RFC 8259), as far as manifests, plugins and reports need it.
--
-- null is nil, so a member that is null is absent. Numbers are what tonumber makes of them.

local json = {}

local max_depth = 64
local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
local unescapes = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n",
  r = "\r", t = "\t" }

-- ---- Writing ------------------------------------------------------------------------------------

local function encode_string(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    return escapes[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

--- A value as text, the members of objects sorted. An empty table is a list, unless the name of the
-- member that it is the value of is in the set `objects`; `json.object` makes the outermost one.
function json.encode(value, objects, key)
  if type(value) == "string" then return encode_string(value) end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  if not (objects and objects[key]) and (#value > 0 or next(value) == nil) then
    for i, item in ipairs(value) do parts[i] = json.encode(item, objects) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for name, item in pairs(value) do
    parts[#parts + 1] = encode_string(tostring(name)) .. ":" .. json.encode(item, objects, name)
  end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

--- A table as an object, also when it is empty.
function json.object(value)
  return json.encode(value, { object = true }, "object")
end

-- ---- Reading ------------------------------------------------------------------------------------

-- Readers take the text and a position and give a value and the position behind it; what is wrong
-- is raised as {message, position}.
local read_value

local function fail(message, at)
  error({ message, at }, 0)
end

local function skip(text, at)
  return text:match("^[ \t\r\n]*()", at)
end

local function expect(text, at, c)
  if text:sub(at, at) ~= c then fail("'" .. c .. "' expected", at) end
  return at + 1
end

local function utf8_char(code)
  if code < 0x80 then return string.char(code) end
  local bytes, first = {}, 0x40
  while code >= first do -- six bits a byte, until the rest fits into the first one
    table.insert(bytes, 1, string.char(0x80 + code % 64))
    code, first = math.floor(code / 64), first == 0x40 and 0x20 or first / 2
  end
  return string.char(256 - 2 * first + code) .. table.concat(bytes)
end

local function read_hex(text, at)
  local digits = text:match("^%x%x%x%x", at)
  if not digits then fail("four hexadecimal digits expected", at) end
  return tonumber(digits, 16), at + 4
end

-- \uXXXX behind the u, or two of them that are one character.
local function read_unicode(text, at)
  local code
  code, at = read_hex(text, at)
  if code >= 0xd800 and code < 0xdc00 and text:sub(at, at + 1) == "\\u" then
    local low, behind = read_hex(text, at + 2)
    if low >= 0xdc00 and low < 0xe000 then
      return utf8_char(0x10000 + (code - 0xd800) * 0x400 + low - 0xdc00), behind
    end
  end
  if code >= 0xd800 and code < 0xe000 then code = 0xfffd end -- half a character
  return utf8_char(code), at
end

local function read_string(text, at)
  local parts = {}
  while true do
    local plain, behind = text:match('^([^"\\%c]*)()', at)
    parts[#parts + 1], at = plain, behind
    local c = text:sub(at, at)
    if c == '"' then
      return table.concat(parts), at + 1
    elseif c == "\127" then -- a control character for Lua, none for JSON
      parts[#parts + 1], at = c, at + 1
    elseif c ~= "\\" then
      fail("unfinished string", at)
    elseif text:sub(at + 1, at + 1) == "u" then
      parts[#parts + 1], at = read_unicode(text, at + 2)
    else
      local plain_char = unescapes[text:sub(at + 1, at + 1)]
      if not plain_char then fail("unknown escape", at) end
      parts[#parts + 1], at = plain_char, at + 2
    end
  end
end

local function read_number(text, at)
  local integer, behind = text:match("^(%-?%d+)()", at)
  if not integer or integer:match "^%-?0%d" then fail("value expected", at) end
  behind = text:match("^%.%d+()", behind) or behind
  behind = text:match("^[eE][+-]?%d+()", behind) or behind
  return tonumber(text:sub(at, behind - 1)), behind
end

local function read_list(text, at, depth)
  local list, n = {}, 0
  at = skip(text, at)
  if text:sub(at, at) == "]" then return list, at + 1 end
  while true do
    n = n + 1
    list[n], at = read_value(text, at, depth)
    at = skip(text, at)
    if text:sub(at, at) == "]" then return list, at + 1 end
    at = expect(text, at, ",")
  end
end

local function read_object(text, at, depth)
  local object, seen = {}, {}
  at = skip(text, at)
  if text:sub(at, at) == "}" then return object, at + 1 end
  while true do
    local name
    local begin = skip(text, at)
    name, at = read_string(text, expect(text, begin, '"'))
    if seen[name] then fail(("member '%s' twice"):format(name), begin) end
    seen[name] = true
    at = expect(text, skip(text, at), ":")
    object[name], at = read_value(text, at, depth)
    at = skip(text, at)
    if text:sub(at, at) == "}" then return object, at + 1 end
    at = expect(text, at, ",")
  end
end

local words = { t = { "true", true }, f = { "false", false }, n = { "null", nil } }

function read_value(text, at, depth)
  if depth == 0 then fail("nested too deeply", at) end
  at = skip(text, at)
  local c = text:sub(at, at)
  if c == "{" then return read_object(text, at + 1, depth - 1) end
  if c == "[" then return read_list(text, at + 1, depth - 1) end
  if c == '"' then return read_string(text, at + 1) end
  local word = words[c]
  if word and text:sub(at, at + #word[1] - 1) == word[1] then return word[2], at + #word[1] end
  return read_number(text, at)
end

local function read_all(text)
  local value, at = read_value(text, 1, max_depth)
  at = skip(text, at)
  if at <= #text then fail("end of text expected", at) end
  return value
end

--- The value of a text; nil and a message with line and column when it is malformed.
function json.decode(text)
  local ok, value = pcall(read_all, text)
  if ok then return value end
  if type(value) ~= "table" then error(value, 0) end
  local before = text:sub(1, value[2] - 1)
  local _, line = before:gsub("\n", "\n")
  return nil, ("%d:%d: %s"):format(line + 1, #before:match "[^\n]*$" + 1, value[1])
end

return json
