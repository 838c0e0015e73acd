-- How long a function takes: the median of rounds, next to the same function in Lua.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")
local wasm = require "wasm"

local guest = assert(wasm.instantiate [[(module
  (func $fib (export "fib") (param $n i32) (result i32)
    (if (result i32) (i32.lt_s (local.get $n) (i32.const 2))
      (then (local.get $n))
      (else (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1)))
                     (call $fib (i32.sub (local.get $n) (i32.const 2))))))))]]).exports

local function fib(n)
  if n < 2 then return n end
  return fib(n - 1) + fib(n - 2)
end

-- Doubles the number of calls until a round is long enough for the clock.
local function measure(fn, ...)
  local function round(count, ...)
    local began = os.clock()
    for _ = 1, count do fn(...) end
    return os.clock() - began
  end
  local count = 1
  while round(count, ...) < 0.002 do count = count * 2 end
  local times = {}
  for i = 1, 7 do times[i] = round(count, ...) / count * 1e6 end
  table.sort(times)
  return times[4]
end

assert(guest.fib(15) == fib(15))
local in_wasm, in_lua = measure(guest.fib, 15), measure(fib, 15)
print(("fib(15): Wasm %.1f us, Lua %.1f us, ratio %.2f"):format(in_wasm, in_lua, in_lua / in_wasm))

--[[ prints
fib(15): Wasm ### us, Lua ### us, ratio ###
]]
