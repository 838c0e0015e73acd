-- Untrusted code: limits of time, fuel, memory and stack, and nothing imported that was not given.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")
local wasm = require "wasm"

local source = [[(module
  (memory (export "memory") 1)
  (func (export "spin") (loop (br 0)))
  (func $deep (export "deep") (call $deep))
  (func (export "eat") (result i32)
    (loop $more (br_if $more (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
    (memory.size))
  (func (export "peek") (result i32) (i32.load (i32.const -1)))
  (func (export "honest") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))]]

local function attempt(instance, name, ...)
  local ok, result = pcall(instance.exports[name], ...)
  print(name, ok and result or result.kind .. ": " .. result.code)
end

local instance = assert(wasm.instantiate(source, nil,
  { timeout = 0.05, memory = 10 * 65536, stack = 64 * 1024 }))
for _, name in ipairs { "spin", "deep", "eat", "peek" } do attempt(instance, name) end
attempt(instance, "honest", 41)

-- Fuel is deterministic: the same program stops at the same place on every machine.
local metered = assert(wasm.instantiate(source, nil, { fuel = 10000 }))
attempt(metered, "spin")
attempt(metered, "honest", 1)
metered:refuel(1000)
attempt(metered, "honest", 1)

-- A module that wants more than it is given is refused, and says what it wanted.
local greedy, err = wasm.instantiate [[(module (import "os" "system" (func (param i32))))]]
print(greedy, err.kind)

--[[ prints
spin	limit: timeout
deep	trap: call stack exhausted
eat	10
peek	trap: out of bounds memory access
honest	42
spin	limit: fuel
honest	limit: fuel
honest	2
nil	link
]]
