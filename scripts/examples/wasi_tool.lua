-- A WASI program as a Lua function: text in by standard input, text out, no file or process.
dofile((arg[0]:match("^(.*)/[^/]*$") or ".") .. "/setup.lua")
local wasm = require "wasm"
local wasi = require "wasm.wasi"

-- Like `tr a-z A-Z`, with the exit status 3 when nothing came.
local upper = assert(wasm.load [[(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $n i32) (local $i i32) (local $c i32) (local $any i32)
    (block $end
      (loop $more
        (i32.store (i32.const 0) (i32.const 64))
        (i32.store (i32.const 4) (i32.const 1024))
        (br_if $end (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br_if $end (i32.eqz (local.tee $n (i32.load (i32.const 8)))))
        (local.set $any (i32.const 1))
        (local.set $i (i32.const 0))
        (loop $each
          (local.set $c (i32.load8_u offset=64 (local.get $i)))
          (if (i32.lt_u (i32.sub (local.get $c) (i32.const 97)) (i32.const 26))
            (then (i32.store8 offset=64 (local.get $i)
              (i32.sub (local.get $c) (i32.const 32)))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $each (i32.lt_u (local.get $i) (local.get $n))))
        (i32.store (i32.const 4) (local.get $n))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br $more)))
    (if (i32.eqz (local.get $any)) (then (call $exit (i32.const 3))))))]])

local function to_upper(text)
  local status, context = wasi.run(upper, { args = { "upper" }, stdin = text, stdout = "capture",
    timeout = 1 })
  if not status then error(context) end
  return context:output(), status
end

print(to_upper "hello, world")
print(#to_upper(("abc"):rep(5000)))
print(to_upper "")

--[[ prints
HELLO, WORLD	0
15000
	3
]]
