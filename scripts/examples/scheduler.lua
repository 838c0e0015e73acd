-- A scheduler: endless guests share one Lua thread fairly, others wait for the host.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")
local wasm = require "wasm"

local tasks, ready = {}, {}
local function spawn(name, fn, ...)
  local co, given = coroutine.create(fn), { ... }
  local task = { name = name, co = co, slices = 0, given = given }
  tasks[#tasks + 1], ready[#ready + 1] = task, task
  return task
end

-- A guest at the end of its fuel yields wasm.limit; the closure below yields "wait" and ticks.
local function step(task, now)
  local ok, what, ticks = coroutine.resume(task.co, (table.unpack or unpack)(task.given))
  task.given = {}
  if not ok then
    task.failure = what
  elseif coroutine.status(task.co) == "dead" then
    task.result = what
  elseif what == wasm.limit then
    task.slices = task.slices + 1
    ready[#ready + 1] = task
  else
    task.wakes, task.given = now + ticks, { now + ticks }
  end
end

local counter = assert(wasm.load [[(module (global $n (export "n") (mut i64) (i64.const 0))
  (func (export "run")
    (loop $l (global.set $n (i64.add (global.get $n) (i64.const 1))) (br $l))))]])
local function new_counter()
  return assert(counter:instantiate(nil, { fuel = 1000, on_limit = "yield" }))
end
local first, second = new_counter(), new_counter()
local a, b = spawn("a", first.exports.run), spawn("b", second.exports.run)

local sleeper = assert(wasm.instantiate([[(module
  (import "host" "sleep" (func $sleep (param i32) (result i32)))
  (func (export "run") (result i32)
    (i32.add (call $sleep (i32.const 3)) (call $sleep (i32.const 4)))))]],
  { host = { sleep = function(ticks) return coroutine.yield("wait", ticks) end } }))
local c = spawn("c", sleeper.exports.run)

for now = 1, 100 do
  local turn = ready
  ready = {}
  for _, task in ipairs(tasks) do
    if task.wakes and task.wakes <= now then
      task.wakes = nil
      turn[#turn + 1] = task
    end
  end
  for _, task in ipairs(turn) do step(task, now) end
end

print(a.slices, b.slices)
print(first.exports.n.value == second.exports.n.value)
print("c slept until 4, then until 8: " .. c.result)

-- Those that never end are dropped; their guest stacks go with the coroutines.
local _, err = coroutine.resume(a.co, false)
print(err.kind, err.code)

--[[ prints
100	100
true
c slept until 4, then until 8: 12
limit	fuel
]]
