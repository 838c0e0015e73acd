-- A game loop: the guest owns the world and is called once a frame; the host draws through a view.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")
local wasm = require "wasm"

local game = assert(wasm.instantiate [[(module
  (memory (export "memory") 1)
  ;; Balls are {float x, y, vx, vy} from address 0 on; three of them.
  (data (i32.const 0) "\00\00\00\00\00\00\20\41\00\00\a0\40\00\00\00\00")
  (data (i32.const 16) "\00\00\40\40\00\00\a0\40\00\00\20\41\00\00\00\00")
  (data (i32.const 32) "\00\00\20\41\00\00\40\41\00\00\20\c1\00\00\00\00")
  (func (export "update") (param $dt f32) (local $at i32)
    (loop $next
      (f32.store offset=12 (local.get $at)
        (f32.sub (f32.load offset=12 (local.get $at)) (f32.mul (f32.const 10) (local.get $dt))))
      (f32.store (local.get $at) (f32.add (f32.load (local.get $at))
        (f32.mul (f32.load offset=8 (local.get $at)) (local.get $dt))))
      (f32.store offset=4 (local.get $at) (f32.add (f32.load offset=4 (local.get $at))
        (f32.mul (f32.load offset=12 (local.get $at)) (local.get $dt))))
      (if (f32.lt (f32.load offset=4 (local.get $at)) (f32.const 0)) (then
        (f32.store offset=4 (local.get $at) (f32.neg (f32.load offset=4 (local.get $at))))
        (f32.store offset=12 (local.get $at) (f32.neg (f32.load offset=12 (local.get $at))))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 48))))))]])

-- The view is live: no copy is made, and it stays right when the memory grows.
local balls = game.exports.memory:view("f32", 0, 12)

local function draw()
  local rows = {}
  for y = 0, 4 do rows[y] = ("."):rep(24) end
  for ball = 0, 2 do
    local x, y = math.floor(balls[ball * 4 + 1]) % 24, math.floor(balls[ball * 4 + 2] / 4)
    if rows[y] then rows[y] = rows[y]:sub(1, x) .. "o" .. rows[y]:sub(x + 2) end
  end
  for y = 4, 0, -1 do print(rows[y]) end
end

-- A fixed step: the same on every machine. A snapshot is a saved game.
local start = game:snapshot()
for _ = 1, 60 do game.exports.update(1 / 64) end
draw()
local height = balls[2]
game:reset(start)
print(("again from height %g"):format(balls[2]))
for _ = 1, 60 do game.exports.update(1 / 64) end
print(balls[2] == height)

--[[ prints
........................
........................
........................
o...o...................
............o...........
again from height 10
true
]]
