#!/usr/bin/env lua
-- Keeps the lists of files in the rockspec, which LuaRocks wants one by one, and that of system
-- headers in core/base/rock.h.
--
-- lua scripts/rockspec.lua: writes them anew, to be run when a file came or went.
-- lua scripts/rockspec.lua --check: status 1, and what is wrong, unless they are as it would write.

local here = arg[0]:match "^(.*)/[^/]*$" or "."
local root = here .. "/../"

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

-- The headers of the C library that some file includes. Those of compilers and tools are included
-- under conditions, and declare nothing that is linked.
local function system_headers()
  local seen, lines = {}, {}
  for _, folder in ipairs { "core", "lua_binding" } do
    for _, ending in ipairs { ".c", ".h" } do
      for _, file in ipairs(files(folder, ending)) do
        local text = "\n" .. read(root .. file)
        for name in text:gmatch "\n#include <([^>]+)>" do seen[name] = true end
      end
    end
  end
  for name in pairs(seen) do
    local is_other = name:find "^lua" or name:find "^lauxlib" or name:find "^valgrind/" or
      name:find "^sanitizer/" or name:find "intrin" or name:find "^arm_" or name == "cpuid.h"
    if not is_other then lines[#lines + 1] = ("#include <%s>"):format(name) end
  end
  table.sort(lines)
  return lines
end

-- The text with the lines between the marks of `what` replaced.
local function replace(text, what, lines)
  local _, mark = text:find("Written by scripts/rockspec.lua: " .. what .. ".", 1, true)
  local from = text:find("\n", mark, true)
  local indent = text:sub(1, mark):match "\n( *)[^\n]*$"
  local to = text:find(indent .. "[-/]+[-*] End of what it writes%.", from)
  for i, line in ipairs(lines) do lines[i] = indent .. line .. "\n" end
  return text:sub(1, from) .. table.concat(lines) .. text:sub(to)
end

local is_wrong = false

local function keep(name, what, lines)
  local old = read(root .. name)
  local new = replace(old, what, lines)
  if new == old then return end
  is_wrong = true
  if arg[1] == "--check" then
    print(("%s: the list of %s is old: lua scripts/rockspec.lua"):format(name, what))
    return
  end
  local file = assert(io.open(root .. name, "wb"))
  file:write(new)
  file:close()
end

local rockspec = "rille-0.1.0-1.rockspec"
keep(rockspec, "Lua files", lua_files())
keep(rockspec, "C files", c_files())
keep("core/base/rock.h", "system headers", system_headers())
os.exit(is_wrong and arg[1] == "--check" and 1 or 0)
