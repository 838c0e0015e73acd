-- Structures: an array of {double x, y; int hits;} that Lua fills and the guest works on.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")
local wasm = require "wasm"

local guest = assert(wasm.instantiate [[(module
  (memory (export "memory") 1)
  ;; Doubles x of n points at $at and counts a hit each.
  (func (export "stretch") (param $at i32) (param $n i32)
    (loop $next
      (if (local.get $n) (then
        (f64.store (local.get $at) (f64.mul (f64.load (local.get $at)) (f64.const 2)))
        (i32.store offset=16 (local.get $at)
          (i32.add (i32.load offset=16 (local.get $at)) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 24)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $next))))))]]).exports
local memory = guest.memory

-- "ddi" is laid out as C does; "!8 Xd" rounds up to the alignment of the next element.
local points, at = { { 1, 10 }, { 2.5, 20 }, { 4, 30 } }, 0
for _, point in ipairs(points) do at = memory:pack("ddi Xd", at, point[1], point[2], 0) end
print(("%d bytes for %d points"):format(at, #points))

guest.stretch(0, #points)
guest.stretch(0, 1)
at = 0
for _ = 1, #points do
  local x, y, hits
  x, y, hits, at = memory:unpack("ddi Xd", at)
  print(("x %g y %g hits %d"):format(x, y, hits))
end

-- One field of one element, without the rest.
memory:store("i32", 24 + 16, 99)
print(("%d"):format(memory:load("i32", 24 + 16)))

--[[ prints
72 bytes for 3 points
x 4 y 10 hits 2
x 5 y 20 hits 1
x 8 y 30 hits 1
99
]]
