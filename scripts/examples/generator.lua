-- A generator in Wasm: the guest's loop hands out values one by one, as coroutine.wrap does.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")
local wasm = require "wasm"

local module = assert(wasm.load [[(module
  (import "host" "yield" (func $yield (param i32) (result i32)))
  (func $is_prime (param $n i32) (result i32) (local $d i32)
    (local.set $d (i32.const 2))
    (loop $next
      (if (i32.gt_u (i32.mul (local.get $d) (local.get $d)) (local.get $n))
        (then (return (i32.const 1))))
      (if (i32.eqz (i32.rem_u (local.get $n) (local.get $d))) (then (return (i32.const 0))))
      (local.set $d (i32.add (local.get $d) (i32.const 1)))
      (br $next))
    (unreachable))
  ;; Hands out primes from $n on; what the consumer answers is skipped.
  (func (export "primes") (param $n i32)
    (loop $next
      (if (call $is_prime (local.get $n)) (then
        (local.set $n (i32.add (local.get $n) (call $yield (local.get $n))))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br $next))))]])

local guest = assert(module:instantiate { host = { yield = coroutine.yield } }).exports

-- Many generators run in one instance at the same time, each on a stack of its own.
local function primes(from)
  local next_prime = coroutine.wrap(guest.primes)
  local first = next_prime(from)
  return function(skip)
    local prime = first or next_prime(skip or 0)
    first = nil
    return prime
  end
end

local small, large = primes(2), primes(1000)
local line = {}
for i = 1, 8 do line[i] = small() .. "/" .. large() end
print(table.concat(line, " "))
print(small(100))

--[[ prints
2/1009 3/1013 5/1019 7/1021 11/1031 13/1033 17/1039 19/1049
127
]]
