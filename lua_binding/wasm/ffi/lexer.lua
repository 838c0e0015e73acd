--- The tokens of C declarations, with what the preprocessor does to them.
--
-- A token is {kind=, text=, line=, column=}: kind is "id" "num" "chr" "str" "punct" "end"; numbers
-- have `value` and `type`, characters and strings `value`. Comments are dropped, lines joined,
-- object-like macros replaced, conditionals followed, #include and unknown pragmas passed over.
-- Macros with arguments are remembered and refused where they are used.

local constant = require "wasm.ffi.constant"

local lexer = {}

local most_tokens = 1e6 -- of expanded macros, which may grow without end

-- Raises what wasm.ffi turns into an error with a place.
function lexer.fail(place, message, ...)
  if select("#", ...) > 0 then message = message:format(...) end
  error({ declaration = true, message = message, line = place.line, column = place.column }, 0)
end

-- ---- Characters to tokens -----------------------------------------------------------------------

local puncts3 = { ["..."] = true, ["<<="] = true, [">>="] = true }
local puncts2 = { ["<<"] = true, [">>"] = true, ["<="] = true, [">="] = true, ["=="] = true,
  ["!="] = true, ["&&"] = true, ["||"] = true, ["->"] = true, ["##"] = true }

local function punct_at(text, at)
  local three, two = text:sub(at, at + 2), text:sub(at, at + 1)
  if puncts3[three] then return three end
  if puncts2[two] then return two end
  return text:sub(at, at):match "[%[%](){}<>;:,=*&|^!~?+%-/%%.#$]"
end

-- Moves over blanks and comments; says whether a line ended on the way.
local function skip_blanks(s)
  local text, ended = s.text, false
  while true do
    local at = s.at
    local c = text:sub(at, at)
    if c == "\n" then
      ended = true
      s.line, s.line_start, s.at = s.line + 1, at + 1, at + 1
    elseif c == "\\" and text:find("^\r?\n", at + 1) then
      s.at = text:find("\n", at, true) + 1
      s.line, s.line_start = s.line + 1, s.at
    elseif c ~= "" and c:find "%s" then
      s.at = at + 1
    elseif c == "/" and text:sub(at + 1, at + 1) == "/" then
      s.at = text:find("\n", at, true) or #text + 1
    elseif c == "/" and text:sub(at + 1, at + 1) == "*" then
      local stop = text:find("*/", at + 2, true)
      if not stop then
        lexer.fail({ line = s.line, column = at - s.line_start + 1 }, "comment without an end")
      end
      for newline in text:sub(at, stop):gmatch "()\n" do
        s.line, s.line_start = s.line + 1, at + newline
      end
      s.at = stop + 2
    else
      return ended
    end
  end
end

local function read_number(token, text, at)
  local stop = at
  while true do
    local c = text:sub(stop, stop)
    local is_exponent = c:find "[+-]" and
      (text:sub(stop - 1, stop - 1):find "[pP]" or
        text:sub(stop - 1, stop - 1):find "[eE]" and not text:find("^0[xX]", at))
    if not c:find "[%w_.]" and not is_exponent then break end
    stop = stop + 1
  end
  token.kind, token.text = "num", text:sub(at, stop - 1)
  local value, type_or_message = constant.number(token.text)
  if not value then lexer.fail(token, "%s", type_or_message) end
  token.value, token.type = value, type_or_message
  return stop
end

local function read_quoted(token, text, at, quote)
  local stop = at + 1
  while true do
    local c = text:sub(stop, stop)
    if c == "" or c == "\n" then lexer.fail(token, "literal without an end") end
    if c == quote then break end
    stop = stop + (c == "\\" and 2 or 1)
  end
  local bytes, message = constant.unescape(text:sub(at + 1, stop - 1))
  if not bytes then lexer.fail(token, "%s", message) end
  token.text = text:sub(at, stop)
  if quote == '"' then
    token.kind, token.value = "str", bytes
  else
    if #bytes ~= 1 then lexer.fail(token, "one character expected in %s", token.text) end
    local byte = bytes:byte()
    token.kind, token.value = "chr", byte < 128 and byte or byte - 256
  end
  return stop + 1
end

-- The next token; `first` tells that it is the first of its line.
local function scan(s)
  local first = skip_blanks(s) or s.is_start
  s.is_start = false
  local text, at = s.text, s.at
  local token = { line = s.line, column = at - s.line_start + 1, first = first }
  local c = text:sub(at, at)
  if c == "" then
    token.kind, token.text, token.first = "end", "end of the declarations", true
  elseif c:find "[%a_]" then
    token.kind, token.text = "id", text:match("^[%w_]+", at)
    s.at = at + #token.text
  elseif c:find "%d" or c == "." and text:find("^%d", at + 1) then
    s.at = read_number(token, text, at)
  elseif c == '"' or c == "'" then
    s.at = read_quoted(token, text, at, c)
  else
    token.kind, token.text = "punct", punct_at(text, at)
    if not token.text then lexer.fail(token, "unexpected character '%s'", c) end
    s.at = at + #token.text
  end
  return token
end

-- ---- A cursor over a list of tokens -------------------------------------------------------------

function lexer.cursor(tokens, last)
  local at = 1
  last = last or tokens[#tokens] or { kind = "end", text = "end", line = 1, column = 1 }
  local finish = { kind = "end", text = last.kind == "end" and last.text or "end of the line",
    line = last.line, column = last.column }
  local cursor = { fail = lexer.fail }
  function cursor.peek(n) return tokens[at + (n or 0)] or finish end
  function cursor.next()
    local token = tokens[at] or finish
    at = at + 1
    return token
  end
  function cursor.accept(text)
    local token = tokens[at]
    if not token or token.text ~= text or token.kind == "str" or token.kind == "chr" then
      return nil
    end
    at = at + 1
    return token
  end
  function cursor.expect(text)
    return cursor.accept(text) or
      lexer.fail(cursor.peek(), "'%s' expected near '%s'", text, cursor.peek().text)
  end
  function cursor.place(to)
    local before = at
    if to then at = to end
    return before
  end
  return cursor
end

-- ---- The preprocessor ---------------------------------------------------------------------------

-- The replacement of a macro, each token where the macro is used. `hidden` has the macros around.
local function expand(p, token, hidden, out)
  local macro = token.kind == "id" and not hidden[token.text] and p.macros[token.text]
  if not macro then
    if #out >= most_tokens then lexer.fail(token, "macros expand to too much") end
    out[#out + 1] = token
    return
  end
  if macro.takes_arguments then
    lexer.fail(token, "macro '%s' takes arguments, which is not supported", token.text)
  end
  hidden[token.text] = true
  for _, inner in ipairs(macro.tokens) do
    local copy = {}
    for key, value in pairs(inner) do copy[key] = value end
    copy.line, copy.column = token.line, token.column
    expand(p, copy, hidden, out)
  end
  hidden[token.text] = nil
end
lexer.expand = expand

local function condition_hooks(p)
  return {
    name = function(cursor, token, depth)
      if token.text == "defined" then
        local is_wrapped = cursor.accept "("
        local name = cursor.next()
        if is_wrapped then cursor.expect ")" end
        return { v = p.macros[name.text] and 1 or 0, k = "i64" }
      end
      local macro = p.macros[token.text]
      if not macro or macro.takes_arguments or depth > 50 then return { v = 0, k = "i64" } end
      local out = {}
      expand(p, token, {}, out)
      if #out == 1 and out[1].kind == "id" then return { v = 0, k = "i64" } end
      return constant.evaluate(lexer.cursor(out, token), condition_hooks(p))
    end,
  }
end

local function holds(p, line, place)
  local cursor = lexer.cursor(line, place)
  local value = constant.evaluate(cursor, condition_hooks(p))
  if cursor.peek().kind ~= "end" then
    lexer.fail(cursor.peek(), "unexpected '%s' in a condition", cursor.peek().text)
  end
  return constant.is_true(value)
end

local function define(p, line, place)
  local name = line[1]
  if not name or name.kind ~= "id" then lexer.fail(place, "name expected after #define") end
  local body = {}
  local is_function = line[2] and line[2].text == "(" and line[2].line == name.line and
    line[2].column == name.column + #name.text
  for i = 2, is_function and 0 or #line do body[#body + 1] = line[i] end
  if not p.macros[name.text] then p.macro_names[#p.macro_names + 1] = name.text end
  p.macros[name.text] = { tokens = body, takes_arguments = is_function or nil, line = name.line,
    column = name.column }
end

local function pragma(p, line, place)
  if not line[1] or line[1].text ~= "pack" then return end
  local words = {}
  for i = 2, #line do words[#words + 1] = line[i].text end
  local text = table.concat(words)
  local n = text:match "^%((%d+)%)$" or text:match "^%(push,(%d+)%)$"
  if text:find "^%(push" then p.packs[#p.packs + 1] = p.pack or false end
  if n then
    n = tonumber(n)
    if n ~= 1 and n ~= 2 and n ~= 4 and n ~= 8 and n ~= 16 then
      lexer.fail(place, "#pragma pack takes 1, 2, 4, 8 or 16")
    end
    p.pack = n
  elseif text == "(pop)" then
    p.pack = table.remove(p.packs) or nil
  elseif text == "()" then
    p.pack = nil
  elseif text ~= "(push)" then
    lexer.fail(place, "#pragma pack%s is not understood", text)
  end
end

local directives = {}

function directives.define(p, line, place) define(p, line, place) end
function directives.undef(p, line) if line[1] then p.macros[line[1].text] = nil end end
function directives.pragma(p, line, place) pragma(p, line, place) end
function directives.include() end
function directives.line() end
function directives.warning() end
function directives.error(_, _, place) lexer.fail(place, "#error") end

-- A conditional is {on=, was_on=, outer=}: `on` while its tokens count.
local function conditional(p, name, line, place)
  local top = p.conditions[#p.conditions]
  local outer = top == nil or top.on
  if name == "if" or name == "ifdef" or name == "ifndef" then
    local on = false
    if outer then
      if name == "if" then
        on = holds(p, line, place)
      else
        if not line[1] then lexer.fail(place, "name expected after #%s", name) end
        on = (p.macros[line[1].text] ~= nil) == (name == "ifdef")
      end
    end
    p.conditions[#p.conditions + 1] = { on = on, was_on = on, outer = outer, place = place }
    return
  end
  if not top then lexer.fail(place, "#%s without #if", name) end
  if name == "endif" then
    p.conditions[#p.conditions] = nil
  elseif name == "else" then
    top.on = top.outer and not top.was_on
    top.was_on = true
  else
    top.on = top.outer and not top.was_on and holds(p, line, place)
    top.was_on = top.was_on or top.on
  end
end

local conditionals = { ["if"] = true, ifdef = true, ifndef = true, elif = true, ["else"] = true,
  endif = true }

local function directive(p, place, line)
  local name = line[1] and line[1].text
  if not name then return end
  table.remove(line, 1)
  if conditionals[name] then return conditional(p, name, line, place) end
  local top = p.conditions[#p.conditions]
  if top and not top.on then return end
  if not directives[name] then lexer.fail(place, "unknown directive '#%s'", name) end
  directives[name](p, line, place)
end

-- The tokens of the text. `p.macros` are kept for what is read later with the same table; every
-- structure token remembers the packing that held where it stands.
function lexer.new_state()
  return { macros = {}, macro_names = {}, packs = {}, conditions = {} }
end

-- Literals of a line that does not count need not be right.
local function skip_line(s)
  local stop = s.text:find("\n", s.at, true) or #s.text + 1
  s.at = stop
end

function lexer.tokens(p, text)
  local s = { text = text, at = 1, line = 1, line_start = 1, is_start = true }
  local out, token = {}, scan(s)
  while token.kind ~= "end" do
    if token.text == "#" and token.first and token.kind == "punct" then
      local place, line, skips = token, {}, false
      token = scan(s)
      local word = token.text
      if not token.first and (word == "include" or word == "error" or word == "warning") then
        line[1], skips = token, true
        skip_line(s)
        token = scan(s)
      end
      while not token.first and not skips do
        line[#line + 1] = token
        token = scan(s)
      end
      directive(p, place, line)
    else
      local top = p.conditions[#p.conditions]
      if not top or top.on then
        token.pack = p.pack
        expand(p, token, {}, out)
      end
      token = scan(s)
    end
  end
  if #p.conditions > 0 then
    lexer.fail(p.conditions[#p.conditions].place, "#if without #endif")
  end
  out[#out + 1] = token
  return out
end

return lexer
