--- A prompt for a module: exports are variables, lines are Lua, and commands begin with a colon.
--
-- Imports that nobody gives are stubs that report their calls. Host functions are looked up at
-- every call, so that redefining one takes effect at once. A line editor is used when one is
-- installed (readline or linenoise) and a terminal is there.

local wasm = require "wasm"
local tools = require "wasm.tools"
local describe = require "wasm.describe"

local Session = {}
Session.__index = Session

local session_options = { "imports", "limits", "read", "write", "features", "engine" }

-- ---- Host functions -----------------------------------------------------------------------------

-- The types in "(func (param i32 i64) (result f64))" behind the word `what`.
local function types_of(signature, what)
  local types = {}
  for group in signature:gmatch("%(" .. what .. " ([^()]*)%)") do
    for name in group:gmatch "%S+" do types[#types + 1] = name end
  end
  return types
end

local function zero_of(type_name)
  if type_name == "v128" then return ("\0"):rep(16) end
  return type_name:find "^[if]%d" and 0 or nil
end

-- A function that says that it was called and returns zeros.
local function new_stub(session, name, signature)
  local results, n = {}, 0
  for _, type_name in ipairs(types_of(signature, "result")) do
    n = n + 1
    results[n] = zero_of(type_name)
  end
  return function(...)
    local words = {}
    for i = 1, select("#", ...) do words[i] = tostring((select(i, ...))) end
    session:print(("[%s(%s)]"):format(name, table.concat(words, ", ")))
    return (table.unpack or unpack)(results, 1, n)
  end
end

-- Memories, tables and globals of the type of an import.
local makers = {}
function makers.memory(text)
  local min, max = text:match "(%d+)%s*(%d*)"
  return wasm.memory { min = tonumber(min), max = tonumber(max),
    shared = text:find "shared" and true or nil, index = text:find "i64" and "i64" or nil }
end
function makers.table(text)
  local min, max, kind = text:match "(%d+)%s*(%d*)%s*(%a+)%)"
  return wasm.table { min = tonumber(min), max = tonumber(max), type = kind }
end
function makers.global(text)
  local kind = text:match "(%w+)%)*$"
  return wasm.global(kind, zero_of(kind), text:find("(mut", 1, true) ~= nil)
end
function makers.tag(text) return wasm.tag((table.unpack or unpack)(types_of(text, "param"))) end

-- What stands for one import: functions through `host`, so that they can be replaced.
local function make_import(session, import)
  local host, name = session.host[import.module], import.name
  if host[name] == nil then
    local given = session.imports and session.imports[import.module]
    if given ~= nil then host[name] = given[name] end
  end
  local label = import.module .. "." .. name
  if import.kind == "func" then
    if host[name] == nil then
      host[name] = new_stub(session, label, import.type)
      session.stubs[label] = host[name]
    end
    if wasm.type(host[name]) == "func" then return host[name] end
    return function(...) return host[name](...) end
  end
  if host[name] == nil then host[name] = makers[import.kind](import.type) end
  return host[name]
end

-- The imports of a module. WASI comes from wasm.wasi, with this process's streams and nothing else.
local function make_imports(session, module)
  local imports = {}
  for _, import in ipairs(module.imports) do
    local from = import.module
    if imports[from] == nil and from:find "^wasi_" and not (session.imports or {})[from] then
      session.wasi = session.wasi or require("wasm.wasi").new { args = { "wasm" },
        stdout = "inherit", stderr = "inherit" }
      imports[from] = session.wasi
    elseif type(imports[from]) ~= "userdata" then
      session.host[from] = session.host[from] or {}
      imports[from] = imports[from] or {}
      imports[from][import.name] = make_import(session, import)
    end
  end
  return imports
end

-- assert of 5.1 raises strings only.
local function check(value, err)
  if not value then error(err, 0) end
  return value
end

-- ---- Output -------------------------------------------------------------------------------------

function Session:print(...)
  local words = {}
  for i = 1, select("#", ...) do
    local value = (select(i, ...))
    words[i] = tostring(value)
    if wasm.type(value) == "global" then words[i] = words[i] .. " = " .. tostring(value.value) end
  end
  self.write(table.concat(words, "\t") .. "\n")
end

local function print_results(session, ok, ...)
  if not ok then
    session:print("error: " .. tostring((...)))
  elseif select("#", ...) > 0 then
    session:print(...)
  end
end

--- Bytes as lines of 16, in hexadecimal and as ASCII.
local function dump(memory, at, n)
  local lines = {}
  for from = at, at + n - 1, 16 do
    local bytes = memory:read(from, math.min(16, at + n - from))
    local hex = bytes:gsub(".", function(c) return ("%02x "):format(c:byte()) end)
    hex = #bytes > 8 and hex:sub(1, 24) .. " " .. hex:sub(25) or hex
    lines[#lines + 1] = ("%08x  %-49s |%s|"):format(from, hex, (bytes:gsub("[^\32-\126]", ".")))
  end
  return table.concat(lines, "\n")
end

-- ---- Lua lines ----------------------------------------------------------------------------------

local load_text = loadstring or load

local function compile(text, env)
  if not setfenv then return load(text, "=line", "t", env) end
  local chunk, err = load_text(text, "=line")
  if chunk then setfenv(chunk, env) end
  return chunk, err
end

-- The line as an expression, else as statements; third: more lines are wanted. A line that begins
-- with "=" is an expression, as at the prompt of Lua 5.1.
function Session:compile(line)
  line = line:gsub("^%s*=", "return ", 1)
  local chunk = compile("return " .. line, self.env)
  if chunk then return chunk end
  local err
  chunk, err = compile(line, self.env)
  local is_cut = not chunk and err:find("<eof>'?$") ~= nil
  return chunk, err, is_cut
end

-- The values of an expression, or nil and a message.
function Session:value(text)
  local chunk, err = compile("return " .. text, self.env)
  if not chunk then error(err, 0) end
  return chunk()
end

-- ---- WAT ----------------------------------------------------------------------------------------

-- How many parentheses are open behind the text; strings and comments do not count.
local function open_parentheses(text)
  local depth = 0
  text = text:gsub("\\.", ""):gsub('"[^"]*"', ""):gsub(";;[^\n]*", ""):gsub("%(;.-;%)", "")
  for mark in text:gmatch "[()]" do depth = depth + (mark == "(" and 1 or -1) end
  return depth
end

-- Instantiates text; it may import what the host has and, from "main", what the module exports. Its
-- exports become variables, and `it` is their table.
function Session:add_wat(text)
  if not text:find "^%s*%(module%f[^%w]" then text = "(module " .. text .. ")" end
  local module = check(wasm.load(text, { name = "line", features = self.features,
    engine = self.engine }))
  self.host.main = self.host.main or setmetatable({}, {
    __index = function(_, name) return self.exports[name] end,
  })
  local instance = check(module:instantiate(make_imports(self, module), self.limits))
  for name, value in pairs(instance.exports) do self.extra[name] = value end
  self.env.it = instance.exports
  if next(instance.exports) then self:print(instance.exports) end
end

-- ---- Commands -----------------------------------------------------------------------------------

local commands, help = {}, {}

local function command(name, usage, what, fn)
  commands[name] = fn
  help[#help + 1] = { usage, what, name }
end

command("help", ":help", "this list", function(self)
  self:print "A line is Lua; exports are variables, so are instance, module, exports, host, wasm."
  for _, line in ipairs(help) do self:print(("  %-28s %s"):format(line[1], line[2])) end
  self:print "  (module ...)                 the same as :wat (module ...)"
end)

command("exports", ":exports", "names and signatures of the exports", function(self)
  for _, export in ipairs(self.module.exports) do self:print(export.name, export.type) end
end)

command("imports", ":imports", "imports, and who answers them", function(self)
  for _, import in ipairs(self.module.imports) do
    local label = import.module .. "." .. import.name
    local host = self.host[import.module]
    local by = not host and "wasi" or host[import.name] == self.stubs[label] and "stub" or "host"
    self:print(label, import.type, by)
  end
end)

-- The memory of that name, or the only or first one.
local function find_memory(self, name)
  local found = name and self.env[name]
  if wasm.type(found) == "memory" then return found, true end
  for _, export in ipairs(self.module.exports) do
    if export.kind == "memory" then return self.exports[export.name], false end
  end
  error("the module exports no memory", 0)
end

-- The value of a word of a command, which has to be a number.
local function number_of(self, word, wanted)
  local value = self:value(word)
  if type(value) ~= "number" then error(("%s is wanted, not '%s'"):format(wanted, word), 0) end
  return value
end

command("mem", ":mem [memory] [at [n]]", "bytes in hexadecimal and ASCII", function(self, text)
  local words = {}
  for word in text:gmatch "%S+" do words[#words + 1] = word end
  local memory, was_named = find_memory(self, words[1])
  if was_named then table.remove(words, 1) end
  if #words > 2 then error("wanted: :mem [memory] [at [n]]", 0) end
  local at = self.next_at or 0
  if words[1] then at = number_of(self, words[1], "a memory or an address") end
  if at < 0 or at >= #memory then
    error(("%s is beyond the end of the memory, which has %d bytes"):format(at, #memory), 0)
  end
  local n = math.min(128, #memory - at)
  if words[2] then n = number_of(self, words[2], "a number of bytes") end
  self:print(dump(memory, at, n))
  self.next_at = at + n
end)

-- Can the value stand for this import (or, when the module has none of that name, for a later one)?
local function is_host_value(self, module, name, value)
  local kind = wasm.type(value)
  local meta = getmetatable(value)
  if type(value) == "function" or kind == "func" or type(meta) == "table" and meta.__call then
    return true
  end
  for _, import in ipairs(self.module.imports) do
    if import.module == module and import.name == name then return kind == import.kind end
  end
  return kind ~= nil
end

command("host", ":host [module.name = value]", "redefines a host function; alone: lists",
  function(self, text)
    if text == "" then return commands.imports(self) end
    local module, name, value = text:match "^([^%s=]+)%.([^%s.=]+)%s*=%s*(.+)$"
    if not module then error("wanted: :host module.name = function(...) ... end", 0) end
    local given = self:value(value)
    if not is_host_value(self, module, name, given) then
      error(("a function is wanted for %s.%s, not a %s"):format(module, name, type(given)), 0)
    end
    self.host[module] = self.host[module] or {}
    self.host[module][name] = given
  end)

command("wat", ":wat (module ...)", "instantiates text; it may import from host and \"main\"",
  function(self, text)
    while open_parentheses(text) > 0 do
      local more = self.read ">> "
      if not more then break end
      text = text .. "\n" .. more
    end
    self:add_wat(text)
  end)

command("time", ":time [n] expression", "processor time of one or n evaluations",
  function(self, text)
    if text == "" then error("wanted: :time [n] expression", 0) end
    local count, expression = text:match "^(%d+)%s+(%S.*)$"
    if not expression or not compile("return " .. expression, self.env) then
      count, expression = 1, text
    end
    local chunk, err = compile("return " .. expression, self.env)
    if not chunk then error(err, 0) end
    count = math.max(1, tonumber(count))
    local began = os.clock()
    for _ = 2, count do chunk() end
    print_results(self, true, chunk())
    local seconds = os.clock() - began
    self:print(("%.6f s%s"):format(seconds, count == 1 and "" or
      (", %.1f ns each"):format(seconds / count * 1e9)))
  end)

-- The index of "12", "$name" or "name" by the name section.
local function find_function(module, word)
  if tonumber(word) then return tonumber(word) end
  word = word:gsub("^%$", "")
  for index, name in pairs(describe.function_names(module)) do
    if name == word then return index end
  end
  error(("no function '%s': an export, a name or an index is wanted"):format(word), 0)
end

command("disasm", ":disasm function [passes]",
  "its text, or after passes of the compiler (ir, mach, asm); an export, a name or an index",
  function(self, text)
    local word, passes = text:match "^(%S+)%s*(%S*)$"
    if not word then error("wanted: :disasm export, name or index, and passes", 0) end
    passes = passes ~= "" and passes or nil
    local exported = self.env[word]
    if wasm.type(exported) == "func" then
      return self:print(check(tools.disassemble(exported, passes)))
    end
    local index = find_function(self.module, word)
    self:print(check(tools.disassemble(self.module, index, passes)))
  end)

command("inspect", ":inspect", "sections, features, sizes, names", function(self)
  self:print(describe.text(describe.module(self.module, tools.bytes(self.module), self.path)))
end)

command("usage", ":usage", "memory, fuel and stack of the instance", function(self)
  local usage = self.instance:usage()
  for _, name in ipairs { "memory", "fuel", "stack" } do
    if usage[name] then self:print(name, usage[name]) end
  end
end)

command("trace", ":trace on|off", "shows the calls of exports and imports", function(self, text)
  if text ~= "on" and text ~= "off" then error("wanted: :trace on or :trace off", 0) end
  self.instance:trace(text == "on" and function(...) self:print("trace", ...) end or nil)
end)

command("reset", ":reset", "instantiates the module afresh", function(self) self:instantiate() end)

command("load", ":load [file]", "another module, or this file again", function(self, text)
  self:open(text ~= "" and text or self.path)
  commands.exports(self)
end)

command("quit", ":quit", "ends the prompt", function(self) self.is_done = true end)

-- ---- Sessions -----------------------------------------------------------------------------------

function Session:instantiate()
  local instance = check(self.module:instantiate(make_imports(self, self.module), self.limits))
  self.instance, self.exports = instance, instance.exports
  self.extra, self.next_at = {}, nil
  self.env.instance, self.env.exports, self.env.module = instance, instance.exports, self.module
end

-- A path, a Module or the text of one.
function Session:open(source)
  local module = source
  if type(source) == "string" then
    local err
    local options = { features = self.features, engine = self.engine }
    if source:find "^%s*%(" or source:sub(1, 4) == "\0asm" then
      module, err = wasm.load(source, options)
    else
      module, err = wasm.loadfile(source, options)
    end
    if not module then error(err, 0) end
  end
  self.path = type(source) == "string" and source or module.name or "module"
  self.module = module
  self:instantiate()
end

-- Reads on while the text is cut in the middle.
function Session:complete_line(line)
  local chunk, err, is_cut = self:compile(line)
  while is_cut do
    local more = self.read ">> "
    if not more then break end
    line = line .. "\n" .. more
    chunk, err, is_cut = self:compile(line)
  end
  return chunk, err
end

--- Runs one line (and what it reads on). What goes wrong is printed.
function Session:eval(line)
  local name, rest = line:match "^%s*:(%a+)%s*(.-)%s*$"
  if name then
    local fn = commands[name]
    if not fn then return self:print(("error: no command :%s (try :help)"):format(name)) end
    return print_results(self, pcall(fn, self, rest))
  elseif line:find "^%s*%(module%f[^%w]" then
    return print_results(self, pcall(commands.wat, self, line))
  elseif line:find "^%s*$" then
    return
  end
  local chunk, err = self:complete_line(line)
  if not chunk then return self:print("error: " .. err) end
  print_results(self, pcall(chunk))
end

-- ---- Completion ---------------------------------------------------------------------------------

local methods = {
  memory = "pages grow read write load store unpack pack cstring fill copy view pointer",
  table = "get set grow", global = "value mutable",
  instance = "exports module usage close refuel interrupt trace snapshot reset",
  module = "name imports exports sections instantiate stats serialize type",
}

local function add_matches(list, names, part, prefix)
  for name in pairs(names) do
    if type(name) == "string" and name:sub(1, #part) == part and name:find "^[%a_][%w_]*$" then
      list[prefix .. name] = true
    end
  end
end

-- The value of "a.b.c" without running anything: exports, plain tables and no metamethods.
local function walk(session, path)
  local value
  for name in path:gmatch "[^.]+" do
    if value == nil then
      value = session.env[name]
    elseif type(value) == "table" then
      value = rawget(value, name)
    else
      return nil
    end
  end
  return value
end

local function add_fields(session, list, path, mark, part)
  local value = walk(session, path)
  local prefix = path .. mark
  if type(value) == "table" then
    add_matches(list, value, part, prefix)
  elseif value ~= nil and methods[wasm.type(value)] then
    local names = {}
    for name in methods[wasm.type(value)]:gmatch "%S+" do names[name] = true end
    add_matches(list, names, part, prefix)
  end
end

--- The words that the last word of the text may become, sorted; second: that word.
function Session:complete(text)
  local found = {}
  local word = text:match "^%s*(:%a*)$"
  if word then
    for name in pairs(commands) do
      if name:sub(1, #word - 1) == word:sub(2) then found[":" .. name] = true end
    end
  else
    word = text:match "[%w_.:]*$"
    local path, mark, part = word:match "^(.-)([.:])([%w_]*)$"
    if path and path ~= "" and not path:find ":" then
      add_fields(self, found, path, mark, part)
    elseif not mark then
      for _, names in ipairs { self.exports, self.extra, self.env, _G } do
        add_matches(found, names, word, "")
      end
    end
  end
  local list = {}
  for name in pairs(found) do list[#list + 1] = name end
  table.sort(list)
  return list, word
end

-- ---- Reading lines ------------------------------------------------------------------------------

local function history_path()
  local given = os.getenv "RILLE_HISTORY"
  local home = os.getenv "HOME"
  return given or home and home .. "/.rille_history"
end

local function use_readline(session, editor)
  local path = history_path()
  editor.set_options { histfile = path, keeplines = 1000, auto_add = true }
  -- The word to complete begins at `from`, the cursor stands at `to`.
  editor.set_complete_function(function(text, from, to)
    local list, word = session:complete(text:sub(1, to - 1))
    local before = text:sub(from, math.max(from - 1, to - 1 - #word))
    for i, name in ipairs(list) do list[i] = before .. name end
    return list
  end)
  return editor.readline, function() if path then editor.save_history() end end
end

local function use_linenoise(session, editor)
  local path = history_path()
  local load_history = editor.historyload or editor.history_load
  local save_history = editor.historysave or editor.history_save
  local add_history = editor.historyadd or editor.history_add
  if path and load_history then load_history(path) end
  editor.setcompletion(function(completions, text)
    local list, word = session:complete(text)
    for _, name in ipairs(list) do
      editor.addcompletion(completions, text:sub(1, #text - #word) .. name)
    end
  end)
  return function(prompt)
    local line = editor.linenoise(prompt)
    if line and line ~= "" then add_history(line) end
    return line
  end, function() if path and save_history then save_history(path) end end
end

local function is_terminal()
  local result = os.execute "test -t 0 2>/dev/null"
  return result == true or result == 0
end

local function read_plain(prompt)
  io.write(prompt)
  io.flush()
  return io.read()
end

-- How to read a line, and what to do at the end.
local function choose_reader(session)
  if is_terminal() then
    local found, editor = pcall(require, "readline")
    if found and editor.set_complete_function then return use_readline(session, editor) end
    found, editor = pcall(require, "linenoise")
    if found and editor.setcompletion then return use_linenoise(session, editor) end
  end
  return read_plain, function() end
end

-- -------------------------------------------------------------------------------------------------

local repl = {}

--- A session without a loop: session:eval(line), session:complete(text). `source` is a path, a
-- text or a Module; what is wrong with it is raised. Options: imports, limits, features, engine,
-- read(prompt) -> line or nil, write(text).
function repl.new(source, options)
  options = options or {}
  tools.check("repl", options, session_options)
  local session = setmetatable({ host = {}, stubs = {}, extra = {}, exports = {},
    imports = options.imports, limits = options.limits, features = options.features,
    engine = options.engine, read = options.read or read_plain,
    write = options.write or function(text) io.write(text) end }, Session)
  session.env = setmetatable({ wasm = wasm, host = session.host,
    print = function(...) session:print(...) end }, {
    __index = function(_, name)
      local value = session.extra[name]
      if value == nil then value = session.exports[name] end
      if value == nil then value = _G[name] end
      return value
    end,
  })
  session:open(source)
  return session
end

--- Reads and runs lines until their end, or :quit.
function repl.run(source, options)
  local session = repl.new(source, options)
  local finish = function() end
  if not (options and options.read) then session.read, finish = choose_reader(session) end
  commands.exports(session)
  while not session.is_done do
    local line = session.read "> "
    if not line then
      session:print()
      break
    end
    session:eval(line)
  end
  finish()
end

return setmetatable(repl, { __call = function(_, ...) return repl.run(...) end })
