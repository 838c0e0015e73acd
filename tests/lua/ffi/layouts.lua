-- Random structures and unions, as C declarations: layouts.lua gives functions to make them, and to
-- make the C program whose table has what a compiler says about them.
local layouts = {}

local scalars = { "char", "signed char", "unsigned char", "short", "unsigned short", "int",
  "unsigned int", "long", "unsigned long", "long long", "unsigned long long", "float", "double",
  "long double", "_Bool", "void *", "enum color", "function" }
local widths = { { "char", 8 }, { "unsigned char", 8 }, { "short", 16 }, { "unsigned short", 16 },
  { "int", 32 }, { "unsigned int", 32 }, { "long", 32 }, { "long long", 64 },
  { "unsigned long long", 64 }, { "_Bool", 1 }, { "enum color", 32 } }

-- Numbers that are the same on every Lua.
local function new_random(seed)
  return function(n)
    seed = (seed * 16807) % 2147483647
    return seed % n + 1
  end
end

local member

local function nested(random, name, depth, names)
  local parts = {}
  for i = 1, random(3) do parts[i] = member(random, name .. "_" .. i, depth + 1, names, {}) end
  return ("%s { %s };"):format(random(2) == 1 and "struct" or "union", table.concat(parts, " "))
end

function member(random, name, depth, names, offsets)
  local r = random(100)
  if r <= 35 then
    local kind = widths[random(#widths)]
    if random(8) == 1 then
      return ("%s : %d;"):format(kind[1], random(2) == 1 and 0 or random(kind[2]))
    end
    return ("%s %s : %d;"):format(kind[1], name, random(kind[2]))
  end
  if r > 50 and r <= 58 and depth < 2 then return nested(random, name, depth, names) end
  offsets[#offsets + 1] = name
  if r <= 45 and #names > 0 then return ("%s %s;"):format(names[random(#names)], name) end
  local scalar = scalars[random(#scalars)]
  if r <= 50 then return ("%s %s[%d];"):format(scalar, name, random(5)) end
  local attribute = ""
  if r > 94 then
    attribute = (" __attribute__((aligned(%d)))"):format(2 ^ (random(6) - 1))
  elseif r > 88 then
    attribute = " __attribute__((packed))"
  end
  return ("%s %s%s;"):format(scalar, name, attribute)
end

-- The declarations, and a list of {type, names of members with an offset}.
function layouts.make(seed, n)
  local random, names, types = new_random(seed), {}, {}
  local lines = { "enum color { RED, GREEN };", "typedef int (*function)(int);" }
  for i = 1, n do
    local kind = random(5) == 1 and "union" or "struct"
    local parts, offsets = {}, {}
    for j = 1, random(7) do parts[j] = member(random, "m" .. j, 0, names, offsets) end
    local attributes = random(8) == 1 and " __attribute__((packed))" or ""
    if random(12) == 1 then
      attributes = attributes .. (" __attribute__((aligned(%d)))"):format(2 ^ random(4))
    end
    local pack = random(8) == 1 and 2 ^ (random(4) - 1)
    if pack then lines[#lines + 1] = ("#pragma pack(push, %d)"):format(pack) end
    lines[#lines + 1] = ("%s s%d { %s }%s;"):format(kind, i, table.concat(parts, " "), attributes)
    if pack then lines[#lines + 1] = "#pragma pack(pop)" end
    names[i] = ("%s s%d"):format(kind, i)
    types[i] = { names[i], offsets }
  end
  return table.concat(lines, "\n") .. "\n", types
end

-- The declaration of a function that takes and gives the type by value.
function layouts.prototype(types, i)
  return ("%s pass%d(%s x)"):format(types[i][1], i, types[i][1])
end

-- A C file that exports these functions, and `table`: for each type its size, alignment and offsets.
function layouts.program(text, types)
  local rows = {}
  for i, entry in ipairs(types) do
    local name = entry[1]
    text = ("%s%s { %s y; (void)x; return y; }\n"):format(text, layouts.prototype(types, i), name)
    rows[#rows + 1] = ("sizeof(%s)"):format(name)
    rows[#rows + 1] = ("_Alignof(%s)"):format(name)
    for _, field in ipairs(entry[2]) do
      rows[#rows + 1] = ("__builtin_offsetof(%s, %s)"):format(name, field)
    end
  end
  return text .. "const unsigned table[] = {\n  " .. table.concat(rows, ",\n  ") .. "};\n"
end

return layouts
