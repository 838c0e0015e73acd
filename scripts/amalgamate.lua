#!/usr/bin/env lua
-- Writes the engine as one C file: lua scripts/amalgamate.lua FOLDER makes rille.c and rille.h.
--
-- To be compiled with any C11 compiler and linked with -lm -pthread:
--   cc -O2 -ffp-contract=off -fno-math-errno -c rille.c
-- Headers come once, where they are first included; .def files at each inclusion. What several
-- files have for themselves under one name gets the file's name in front; what files share gets
-- "rille__", so that nothing of the program around can clash with it. Definitions:
--   RILLE_NO_COMPILER   leaves the compiler to machine code out
--   RILLE_PLAIN_NAMES   keeps the names of shared functions, for tests that look inside

local here = arg[0]:match "^(.*)/[^/]*$" or "."
local root = here .. "/../"
local rooms = { "base", "module", "text", "runtime", "interp", "jit", "jit/x64", "wasi", "api" }

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

-- "core/jit/x64/../mach.h" without the dots
local function normal(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then parts[#parts] = nil else parts[#parts + 1] = part end
  end
  return table.concat(parts, "/")
end

local function files_of(room)
  local list = {}
  local pipe = assert(io.popen(("cd '%s' && LC_ALL=C ls core/%s/*.c"):format(root, room)))
  for path in pipe:lines() do list[#list + 1] = path end
  pipe:close()
  return list
end

-- ---- Tokens -------------------------------------------------------------------------------------

local keywords = {}
for word in ([[auto break case char const continue default do double else enum extern float for goto
  if inline int long register restrict return short signed sizeof static struct switch typedef union
  unsigned void volatile while _Atomic _Noreturn _Static_assert __asm__ __attribute__]])
  :gmatch "%S+" do
  keywords[word] = true
end

-- Calls visit(kind, text, end) for each piece of the text; together they are the whole of it.
-- Kinds: "space" (comments too), "line" (a directive with its continuations), "text" (strings,
-- characters and numbers), "name", "mark".
local function tokenize(text, visit)
  local at, n = 1, #text
  local is_line_start = true
  while at <= n do
    local kind, to = "mark", at
    local _, space = text:find("^%s+", at)
    local _, comment = text:find("^/%*.-%*/", at)
    local _, line_comment = text:find("^//[^\n]*", at)
    local _, name = text:find("^[%a_][%w_]*", at)
    local _, number = text:find("^%d[%w_.]*", at)
    local quote = text:match("^[\"']", at)
    if space or comment or line_comment then
      kind, to = "space", space or comment or line_comment
      if space and text:sub(at, to):find "\n" then is_line_start = true end
    elseif is_line_start and text:sub(at, at) == "#" then
      kind = "line"
      to = at
      repeat
        to = text:find("\n", to + 1, true) or n + 1
      until text:sub(to - 1, to - 1) ~= "\\"
      to = to - 1
    elseif name then
      kind, to = "name", name
    elseif number then
      kind, to = "text", number
    elseif quote then
      kind, to = "text", at + 1
      while text:sub(to, to) ~= quote do
        to = to + (text:sub(to, to) == "\\" and 2 or 1)
      end
    end
    if kind ~= "space" then is_line_start = false end
    visit(kind, text:sub(at, to), to + 1)
    at = to + 1
  end
end

-- What a file declares outside of functions: {name = "static" or "shared" or "type"}. Enumeration
-- constants and tags are "type"; "macro"; and "made" by a macro that pastes the name together.
local function declared_names(text, is_header)
  local names, depth, parentheses = {}, 0, 0
  local is_static, is_typedef, in_enum, in_record, has_name
  local last, previous, enum_depth
  local function finish()
    if is_typedef and last then names[last] = "type" end
    is_static, is_typedef, in_enum, in_record, has_name = false, false, false, false, false
    last = nil
  end
  tokenize(text, function(kind, token, behind)
    if kind == "line" then
      local macro = token:match "^#%s*define%s+([%w_]+)"
      if macro then names[macro] = "macro" end
      return
    elseif kind == "space" or kind == "text" then
      return
    end
    if depth == 0 and parentheses == 0 then
      if token == "static" then
        finish() -- a macro may stand before it
        is_static = true
      elseif token == "typedef" then is_typedef = true
      elseif token == "enum" then in_enum = true
      elseif token == "struct" or token == "union" then in_record = true
      end
      if kind == "name" and not keywords[token] then
        if (previous == "struct" or previous == "union" or previous == "enum") and
          text:find("^%s*{", behind) then
          names[token] = "type"
        end
        last = token
      elseif token == "," and is_static and not has_name and previous == last then
        names[last] = "static" -- of several in one declaration
      elseif (token == "(" or token == "=" or token == "[" or token == ";") and last and
        not has_name and not is_typedef then
        if previous == last and (is_static or token == "(") then
          names[last] = is_static and "static" or names[last] or "shared"
        end
        has_name = true
      end
    end
    local is_macro_call = depth == 0 and parentheses == 1 and previous == "(" and last and
      last:find "^%u[%u_]+$"
    if is_macro_call and not is_header and kind == "name" and token:find "^%l" and
      text:find("^,", behind) then
      names[token] = names[token] or "static" -- LONG(fill_long, ...) defines it
    end
    if token == "{" then
      if in_enum and not enum_depth then enum_depth = depth end
      depth = depth + 1
    elseif token == "}" then
      depth = depth - 1
      if enum_depth == depth then enum_depth = nil end
      if depth == 0 and not in_record and not in_enum and not is_typedef then finish() end
      if depth == 0 then in_record, in_enum = false, false end
    elseif token == "(" then
      parentheses = parentheses + 1
    elseif token == ")" then
      parentheses = parentheses - 1
      local is_macro = parentheses == 0 and depth == 0 and last and last:find "^%u[%u_]+$"
      if is_macro and not text:find("^%s*[;{,=(]", behind) then finish() end
    elseif token == ";" and depth == 0 and parentheses == 0 then
      finish()
    elseif enum_depth and kind == "name" and depth == enum_depth + 1 and
      (previous == "{" or previous == ",") then
      names[token] = "type"
    end
    previous = token
  end)
  for name in text:gmatch "\nAPI_CAST%([^\n]*, ([%w_]+)%)" do names[name .. "_of"] = "made" end
  return names
end

-- Replaces names, but for members of structures.
local function rename(text, map)
  if not next(map) then return text end
  local out, previous, record_depth, depth, is_record = {}, nil, nil, 0, false
  local function replace(line)
    return (line:gsub("[%a_][%w_]*", function(name) return map[name] end))
  end
  local function is_member(behind)
    return record_depth and depth > record_depth and
      (text:find("^%s*[;,:%[]", behind) or previous == "*" and text:find("^%s*%)", behind))
  end
  tokenize(text, function(kind, token, behind)
    if kind == "name" and map[token] and previous ~= "." and previous ~= "->" and
      not is_member(behind) then
      out[#out + 1] = map[token]
    elseif kind == "line" and not token:find "^#%s*include" then
      out[#out + 1] = replace(token)
    else
      out[#out + 1] = token
    end
    if token == "struct" or token == "union" then is_record = true end
    if token == "{" then
      if is_record and not record_depth then record_depth = depth end
      depth, is_record = depth + 1, false
    elseif token == "}" then
      depth = depth - 1
      if record_depth == depth then record_depth = nil end
    elseif token == ";" or token == "(" or token == ")" then
      is_record = false
    end
    if kind == "mark" and token == ">" and previous == "-" then
      previous = "->"
    elseif kind ~= "space" then
      previous = token
    end
  end)
  return table.concat(out)
end

-- ---- Who declares what --------------------------------------------------------------------------

-- {path = {path=, text=, names=, includes= (headers), closure= (set of headers)}}
local files = {}

local function add_file(path)
  if files[path] then return files[path] end
  local text = read(root .. path)
  local names = declared_names(text, path:find "%.h$")
  local file = { path = path, text = text, names = names, includes = {} }
  files[path] = file
  for name in ("\n" .. text):gmatch '\n#include "([^"]+)"' do
    local target = normal(path:match "^(.*)/" .. "/" .. name)
    if target:find "%.h$" and target ~= "include/rille.h" then
      file.includes[#file.includes + 1] = target
      add_file(target)
    end
  end
  return file
end

local function closure_of(file)
  if file.closure then return file.closure end
  file.closure = {}
  for _, path in ipairs(file.includes) do
    file.closure[path] = true
    for inner in pairs(closure_of(files[path])) do file.closure[inner] = true end
  end
  return file.closure
end

-- The files that declare each name: {name = {path = kind}}. What a header that a file includes has
-- declared is the header's.
local function find_owners()
  local owners = {}
  for path, file in pairs(files) do
    for name, kind in pairs(file.names) do
      local is_own = true
      for header in pairs(closure_of(file)) do
        if files[header].names[name] then is_own = false end
      end
      if is_own then
        owners[name] = owners[name] or {}
        owners[name][path] = kind
      end
    end
  end
  return owners
end

-- What a name becomes that several files have for themselves.
local function unique_name(path, name)
  return path:match "([^/]+)%.[ch]$" .. "__" .. name
end

-- {name = new name} for one file: of names with several owners, those that it sees. Macros are
-- undefined behind a file instead.
local function renames_of(file, owners)
  local map = {}
  for name, paths in pairs(owners) do
    local n = 0
    for _, kind in pairs(paths) do n = n + (kind == "macro" and 0 or 1) end
    for path, kind in pairs(paths) do
      local is_seen = path == file.path or closure_of(file)[path]
      if is_seen and n > 1 and (kind == "static" or kind == "type") then
        map[name] = unique_name(path, name)
      end
    end
  end
  return map
end

-- Functions and data of headers that are defined elsewhere, sorted.
local function shared_names(owners)
  local found, list = {}, {}
  for name, paths in pairs(owners) do
    for path, kind in pairs(paths) do
      if path:find "%.h$" and kind == "shared" and not name:find "^rille_" then
        found[name] = true
      end
    end
  end
  for path, file in pairs(files) do
    for declaration in file.text:gmatch "\nextern ([^\n;]+);" do
      if path:find "%.h$" then found[declaration:gsub("%[.*", ""):match "([%w_]+)$"] = true end
    end
  end
  for name in pairs(found) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- ---- Putting together ---------------------------------------------------------------------------

local sources = {}
for _, room in ipairs(rooms) do
  for _, path in ipairs(files_of(room)) do sources[#sources + 1] = add_file(path) end
end
local owners = find_owners()
local seen = { ["include/rille.h"] = true }

-- The text of a file with its names made unique and project includes put in: .def files always,
-- headers when they were not seen yet.
local function expand(path, map, text)
  text = rename(text or files[path].text, map)
  return (("\n" .. text):gsub('\n#include "([^"]+)"[^\n]*', function(name)
    local target = normal(path:match "^(.*)/" .. "/" .. name)
    if target:find "%.def$" then
      return "\n" .. expand(target, map, read(root .. target)):gsub("%s+$", "")
    elseif seen[target] then
      return "\n"
    end
    seen[target] = true
    return "\n" .. expand(target, renames_of(files[target], owners)):gsub("%s+$", "") .. "\n"
  end))
end

-- Headers that are included under a condition: they come before everything, without it.
local function conditional_headers()
  local list = {}
  for _, source in ipairs(sources) do
    local depth = 0
    for line in source.text:gmatch "[^\n]+" do
      if line:find "^#if" then depth = depth + 1 end
      if line:find "^#endif" then depth = depth - 1 end
      local name = line:match '^#include "([^"]+%.h)"'
      if name and depth > 0 then
        list[#list + 1] = normal(source.path:match "^(.*)/" .. "/" .. name)
      end
    end
  end
  return list
end

-- Macros of a C file end with it. Those that a header of another room has, too, end before it.
local function undefine_macros(out, source, is_before)
  local list = {}
  for name in source.text:gmatch "\n#%s*define%s+([%w_]+)" do
    local is_wanted = name ~= "_GNU_SOURCE"
    if is_before then
      is_wanted = false
      for path in pairs(owners[name] or {}) do is_wanted = is_wanted or path:find "%.h$" ~= nil end
    end
    if is_wanted then list[#list + 1] = "#undef " .. name .. "\n" end
  end
  table.sort(list)
  out[#out + 1] = table.concat(list)
end

local out = { [[
/* rille.c - Rille, a WebAssembly engine, as one file; its interface is rille.h. Made from the
 * sources by scripts/amalgamate.lua. MIT licence.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifndef RILLE_STATIC
#define RILLE_STATIC 1
#endif
#define RILLE_ROCK 1
#include "rille.h"

#if !defined(RILLE_PLAIN_NAMES)
]] }
for _, name in ipairs(shared_names(owners)) do
  out[#out + 1] = ("#define %s rille__%s\n"):format(name, name)
end
out[#out + 1] = "#endif\n"
for _, path in ipairs(conditional_headers()) do
  if not seen[path] then
    seen[path] = true
    out[#out + 1] = expand(path, renames_of(files[path], owners)) .. "\n"
  end
end
for _, source in ipairs(sources) do
  undefine_macros(out, source, true)
  out[#out + 1] = expand(source.path, renames_of(source, owners))
  undefine_macros(out, source)
end

local folder = arg[1] or error("a folder is wanted", 0)
os.execute("mkdir -p '" .. folder:gsub("'", "'\\''") .. "'")
write(folder .. "/rille.c", table.concat(out))
write(folder .. "/rille.h", read(root .. "include/rille.h"))
