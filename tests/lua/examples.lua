-- Every script of scripts/examples runs and prints what its last comment says; ### is a number, or
-- anything at the end of a line.
local t = ...
local here = arg[0]:match("^(.*)/[^/]*$") or "."
local folder = here .. "/../../scripts/examples/"
local names = { "strings", "structs", "callbacks", "plugins", "untrusted", "scheduler", "wasi_tool",
  "benchmark", "generator", "game_loop", "c_library" }

-- What the script prints.
local function run(path)
  local printed, real_print, real_arg = {}, print, arg
  local chunk = assert(loadfile(path))
  print = function(...) -- luacheck: ignore
    local words = {}
    for i = 1, select("#", ...) do words[i] = tostring((select(i, ...))) end
    printed[#printed + 1] = table.concat(words, "\t")
  end
  arg = { [0] = path } -- luacheck: ignore
  local ok, err = pcall(chunk)
  print, arg = real_print, real_arg -- luacheck: ignore
  if not ok then error(err, 0) end
  return table.concat(printed, "\n") .. "\n"
end

local function pattern_of(line)
  line = line:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0")
  return "^" .. line:gsub("###$", ".+"):gsub("###", "[%%d.]+") .. "$"
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "(.-)\n" do lines[#lines + 1] = line end
  return lines
end

for _, name in ipairs(names) do
  t.test(name, function()
    local path = folder .. name .. ".lua"
    local file = assert(io.open(path))
    local text = file:read "*a"
    file:close()
    local got = run(path)
    local wanted = lines_of(text:match "%-%-%[%[ prints\n(.-)%]%]%s*$")
    local lines = lines_of(got)
    if #lines ~= #wanted then t.fail(("%d lines, wanted %d:\n%s"):format(#lines, #wanted, got)) end
    for i, line in ipairs(lines) do
      if not line:find(pattern_of(wanted[i])) then
        t.fail(("line %d is %q, wanted %q"):format(i, line, wanted[i]))
      end
    end
  end)
end
