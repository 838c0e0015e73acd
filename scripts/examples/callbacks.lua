-- Callbacks: the guest calls Lua functions through its table, as C calls function pointers.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")
local wasm = require "wasm"

local guest = assert(wasm.instantiate [[(module
  (type $visit (func (param i32) (result i32)))
  (table $table (export "table") 4 funcref)
  ;; The sum of what the function in slot $f says of 1 to $n.
  (func (export "sum") (param $n i32) (param $f i32) (result i32) (local $sum i32)
    (loop $next
      (if (local.get $n) (then
        (local.set $sum (i32.add (local.get $sum)
          (call_indirect $table (type $visit) (local.get $n) (local.get $f))))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $next))))
    (local.get $sum)))]]).exports

local kind = "(param i32) (result i32)"
guest.table:set(0, wasm.func(kind, function(x) return x * x end))
local seen = {}
guest.table:set(1, wasm.func(kind, function(x)
  seen[#seen + 1] = x
  return x % 2
end))
guest.table:set(2, wasm.func(kind, function() error { reason = "enough" } end))

print(guest.sum(10, 0))
print(guest.sum(5, 1), table.concat(seen, " "))

-- What a callback raises comes out as it is; an empty slot is a trap.
local ok, err = pcall(guest.sum, 1, 2)
print(ok, err.reason)
ok, err = pcall(guest.sum, 1, 3)
print(ok, err.code)

--[[ prints
385
3	5 4 3 2 1
false	enough
false	uninitialized element
]]
