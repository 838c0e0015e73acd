--- Constant expressions of C: operators by precedence, with C's integer types.
--
-- A value is {v=, k=}: k is "i32" "u32" "i64" "u64" (v: a number, or boxed beyond 2^53 where Lua
-- has no integers), "f64", or "str". The cursor that is read from has peek(), next(), accept(text),
-- expect(text) and fail(token, message, ...); hooks say what a name and a type in parentheses mean.

local wasm = require "wasm"
local core = require "wasm.ffi.core"

local constant = {}

local levels = { ["||"] = 1, ["&&"] = 2, ["|"] = 3, ["^"] = 4, ["&"] = 5, ["=="] = 6, ["!="] = 6,
  ["<"] = 7, [">"] = 7, ["<="] = 7, [">="] = 7, ["<<"] = 8, [">>"] = 8, ["+"] = 9, ["-"] = 9,
  ["*"] = 10, ["/"] = 10, ["%"] = 10 }
local compares = { ["=="] = true, ["!="] = true, ["<"] = true, [">"] = true, ["<="] = true,
  [">="] = true }
local ranks = { i32 = 1, u32 = 2, i64 = 3, u64 = 4 }
local deepest = 200

local function int(v)
  return { v = v, k = "i32" }
end

local function to_float(value)
  if value.k == "f64" then return value.v end
  local v = value.v
  return (type(v) == "number" and v or tonumber(v) or v:tonumber()) + 0.0
end

local function is_true(value)
  if value.k == "str" then return true end
  if value.k == "f64" then return value.v ~= 0 end
  return core.arith("!=", value.v, 0, value.k) ~= 0
end

-- The value as another kind.
function constant.convert(value, kind)
  if value.k == kind then return value end
  if kind == "f64" then return { v = to_float(value), k = "f64" } end
  local v = value.v
  if value.k == "f64" then
    v = v < 0 and math.ceil(v) or math.floor(v)
    if not (v >= -2 ^ 63 and v < 2 ^ 64) then return nil end
  end
  return { v = core.arith("+", v, 0, kind), k = kind }
end

local function float_binary(op, a, b)
  if op == "+" then return { v = a + b, k = "f64" } end
  if op == "-" then return { v = a - b, k = "f64" } end
  if op == "*" then return { v = a * b, k = "f64" } end
  if op == "/" then return { v = a / b, k = "f64" } end
  local holds
  if op == "==" then holds = a == b
  elseif op == "!=" then holds = a ~= b
  elseif op == "<" then holds = a < b
  elseif op == ">" then holds = a > b
  elseif op == "<=" then holds = a <= b
  elseif op == ">=" then holds = a >= b
  else return nil end
  return int(holds and 1 or 0)
end

local function binary(cursor, token, a, b)
  local op = token.text
  if a.k == "str" or b.k == "str" then
    cursor.fail(token, "a string is no operand of '%s'", op)
  end
  if a.k == "f64" or b.k == "f64" then
    return float_binary(op, to_float(a), to_float(b)) or
      cursor.fail(token, "'%s' takes integers", op)
  end
  local kind = ranks[a.k] >= ranks[b.k] and a.k or b.k
  if op == "<<" or op == ">>" then kind = a.k end
  if (op == "/" or op == "%") and not is_true(b) then cursor.fail(token, "division by zero") end
  local v = core.arith(op, a.v, b.v, kind)
  return { v = v, k = compares[op] and "i32" or kind }
end

local expression

local function unary(cursor, hooks, depth)
  local token = cursor.next()
  local op = token.text
  if depth > deepest then cursor.fail(token, "expression is nested too deeply") end
  if token.kind == "num" then return { v = token.value, k = token.type } end
  if token.kind == "chr" then return int(token.value) end
  if token.kind == "str" then
    local text = token.value
    while cursor.peek().kind == "str" do text = text .. cursor.next().value end
    return { v = text, k = "str" }
  end
  if token.kind == "punct" then
    if op == "(" then
      local cast = hooks.cast and hooks.cast(cursor, depth)
      if cast then return cast(unary(cursor, hooks, depth + 1), token) end
      local value = expression(cursor, hooks, depth + 1)
      cursor.expect ")"
      return value
    elseif op == "-" or op == "+" or op == "~" or op == "!" then
      local value = unary(cursor, hooks, depth + 1)
      if value.k == "str" then cursor.fail(token, "a string is no operand of '%s'", op) end
      if op == "!" then return int(is_true(value) and 0 or 1) end
      if op == "+" then return value end
      if value.k == "f64" then
        if op == "~" then cursor.fail(token, "'~' takes an integer") end
        return { v = -value.v, k = "f64" }
      end
      if op == "-" then return { v = core.arith("-", 0, value.v, value.k), k = value.k } end
      return { v = core.arith("^", value.v, -1, value.k), k = value.k }
    end
  elseif token.kind == "id" then
    local value = hooks.name(cursor, token, depth)
    if value then return value end
    cursor.fail(token, "'%s' is no constant", op)
  end
  cursor.fail(token, "constant expression expected near '%s'", op)
end

local function climb(cursor, hooks, lowest, depth)
  local left = unary(cursor, hooks, depth)
  while true do
    local token = cursor.peek()
    local level = token.kind == "punct" and levels[token.text]
    if not level or level < lowest then return left end
    cursor.next()
    local right = climb(cursor, hooks, level + 1, depth + 1)
    if token.text == "&&" then
      left = int(is_true(left) and is_true(right) and 1 or 0)
    elseif token.text == "||" then
      left = int((is_true(left) or is_true(right)) and 1 or 0)
    else
      left = binary(cursor, token, left, right)
    end
  end
end

function expression(cursor, hooks, depth)
  if depth > deepest then cursor.fail(cursor.peek(), "expression is nested too deeply") end
  local value = climb(cursor, hooks, 1, depth)
  if not cursor.accept "?" then return value end
  local yes = expression(cursor, hooks, depth + 1)
  cursor.expect ":"
  local no = expression(cursor, hooks, depth + 1)
  return is_true(value) and yes or no
end

-- Reads one expression without commas.
function constant.evaluate(cursor, hooks)
  return expression(cursor, hooks, 0)
end

constant.is_true = is_true

-- ---- Literals -----------------------------------------------------------------------------------

local function kind_for(size, is_decimal, suffix)
  local is_unsigned, is_long = suffix:find "u", suffix:find "ll"
  if is_unsigned then return (size < 2 ^ 32 and not is_long) and "u32" or "u64" end
  if not is_long then
    if size < 2 ^ 31 then return "i32" end
    if size < 2 ^ 32 and not is_decimal then return "u32" end
  end
  return (size < 2 ^ 63 or is_decimal) and "i64" or "u64"
end

local suffixes = { [""] = true, u = true, l = true, ul = true, lu = true, ll = true, ull = true,
  llu = true }

-- The value and kind of the text of a number; nil and a message.
function constant.number(text)
  local lower = text:lower()
  local is_hex = lower:find "^0x"
  if not is_hex and lower:find "[.e]" or is_hex and lower:find "[.p]" then
    local digits = lower:gsub("[fl]$", "")
    if is_hex then digits = lower:gsub("l$", "") end
    local value = tonumber(digits)
    if not value then return nil, "malformed number '" .. text .. "'" end
    return value + 0.0, "f64"
  end
  local digits, suffix = lower:match(is_hex and "^0x(%x+)([ul]*)$" or "^(%d+)([ul]*)$")
  local base = is_hex and 16 or 10
  if not is_hex and lower:find "^0b[01]+" then
    digits, suffix = lower:match "^0b([01]+)([ul]*)$"
    base = 2
  elseif digits and base == 10 and digits:find "^0%d" then
    base = 8
  end
  if not digits or not suffixes[suffix] or base == 8 and digits:find "[89]" then
    return nil, "malformed number '" .. text .. "'"
  end
  local size = 0.0
  for digit in digits:gmatch "." do size = size * base + tonumber(digit, 16) end
  if size >= 2 ^ 64 then return nil, "number '" .. text .. "' is too large" end
  local kind = kind_for(size, base == 10, suffix)
  if size < 2 ^ 53 then return core.arith("+", size, 0, kind), kind end
  if base == 10 or base == 16 then
    local ok, value = pcall(wasm.i64, (base == 16 and "0x" or "") .. digits)
    if ok then return value, kind end
  end
  return nil, "number '" .. text .. "' is too large"
end

local escapes = { n = "\n", t = "\t", r = "\r", a = "\a", b = "\b", f = "\f", v = "\v", e = "\27",
  ["\\"] = "\\", ["'"] = "'", ['"'] = '"', ["?"] = "?" }

-- What the escape at `at` (behind the backslash) means, and where it ends; nil and a message.
local function escape_at(text, at)
  local digits = text:match("^[0-7][0-7]?[0-7]?", at)
  if digits then return string.char(tonumber(digits, 8) % 256), at + #digits end
  digits = text:match("^x(%x+)", at)
  if digits then return string.char(tonumber(digits:sub(-2), 16)), at + 1 + #digits end
  local key = text:sub(at, at)
  if not escapes[key] then return nil, "unknown escape '\\" .. key .. "'" end
  return escapes[key], at + 1
end

-- The bytes of a literal's inside; nil and a message.
function constant.unescape(text)
  local parts, at = {}, 1
  while true do
    local slash = text:find("\\", at, true)
    parts[#parts + 1] = text:sub(at, (slash or 0) - 1)
    if not slash then return table.concat(parts) end
    local bytes, after = escape_at(text, slash + 1)
    if not bytes then return nil, after end
    parts[#parts + 1], at = bytes, after
  end
end

return constant
