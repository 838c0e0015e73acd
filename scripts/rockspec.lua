#!/usr/bin/env lua
-- Keeps the lists of files in the rockspec, which LuaRocks wants one by one.
--
-- lua scripts/rockspec.lua: writes them anew, to be run when a file came or went.
-- lua scripts/rockspec.lua --check: status 1, and what is wrong, unless they are as it would write.

local here = arg[0]:match "^(.*)/[^/]*$" or "."
local root = here .. "/../"
local path = root .. "rille-0.1.0-1.rockspec"

local function read(name)
  local file = assert(io.open(name, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- The files below a folder whose names end so, sorted, relative to the root.
local function files(folder, ending)
  local command = ("cd '%s' && find %s -name '*%s' | LC_ALL=C sort"):format(root, folder, ending)
  local list, pipe = {}, assert(io.popen(command))
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

local function lua_files()
  local lines = {}
  for _, file in ipairs(files("lua_binding", ".lua")) do
    local name = file:match "^lua_binding/(.*)%.lua$":gsub("/", ".")
    lines[#lines + 1] = ('["%s"] = "%s",'):format(name, file)
  end
  return lines
end

local function c_files()
  local lines = {}
  for _, folder in ipairs { "core", "lua_binding" } do
    for _, file in ipairs(files(folder, ".c")) do lines[#lines + 1] = ('"%s",'):format(file) end
  end
  return lines
end

-- The text with the lines between the marks of `what` replaced.
local function replace(text, what, lines)
  local mark = "Written by scripts/rockspec.lua: " .. what .. ".\n"
  local _, from = text:find(mark, 1, true)
  local indent = text:sub(1, from):match "\n( *)%-%- [^\n]*\n$"
  local to = text:find(indent .. "-- End of what it writes.", from, true)
  for i, line in ipairs(lines) do lines[i] = indent .. line .. "\n" end
  return text:sub(1, from) .. table.concat(lines) .. text:sub(to)
end

local old = read(path)
local new = replace(replace(old, "Lua files", lua_files()), "C files", c_files())
if arg[1] == "--check" then
  if new ~= old then
    print "the rockspec's lists of files are not those of the tree: lua scripts/rockspec.lua"
    os.exit(1)
  end
elseif new ~= old then
  local file = assert(io.open(path, "wb"))
  file:write(new)
  file:close()
end
