-- A C library as a Lua module: structures both ways, callbacks, methods. shapes.c says how it was
-- built.
local here = dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")
local ffi = require "wasm.ffi"

local shapes = assert(ffi.load(here .. "/shapes.wasm", [[
  typedef struct point { double x, y; } point;
  typedef struct shape {
    const char *name;
    int n;
    unsigned closed : 1, color : 24;
    point *points;
  } shape;
  double shape_area(const shape *s);
  point shape_center(const shape *s);
  void shape_map(shape *s, point (*f)(point p, int i));
  const shape *shape_largest(const shape *list, int n);
]]))

ffi.metatype(shapes, "point", {
  __tostring = function(p) return ("(%g, %g)"):format(p.x, p.y) end,
})
ffi.metatype(shapes, "shape", {
  __index = { area = shapes.shape_area, center = shapes.shape_center, map = shapes.shape_map },
})

-- Objects in the library's memory live as long as Lua refers to them: what only C points to is kept
-- here.
local kept = {}
local function fill(shape, name, color, points)
  local text = ffi.new(shapes, "char[]", name)
  local list = ffi.new(shapes, "point[?]", #points, points)
  kept[#kept + 1] = { text, list }
  shape.name, shape.n, shape.closed, shape.color, shape.points = text, #points, 1, color, list
end

local list = ffi.new(shapes, "shape[2]")
fill(list[0], "square", 0xff8800, { { 0, 0 }, { 2, 0 }, { 2, 2 }, { 0, 2 } })
fill(list[1], "triangle", 0x0000ff, { { 0, 0 }, { 3, 0 }, { 0, 3 } })

local largest = shapes.shape_largest(list, 2)
print(ffi.string(largest.name), ("%g"):format(largest:area()), tostring(largest:center()))
list[0]:map(function(p, i) return { p.x * 3, p.y + i } end)
print(("%g"):format(list[0]:area()), tostring(list[0].points[3]))
print(("%06x %d %d"):format(list[1].color, list[1].closed, ffi.sizeof(list)))
print(pcall(shapes.shape_area, list[0].points))

--[[ prints
triangle	4.5	(1, 1)
24	(0, 5)
0000ff 1 32
false	###
]]
