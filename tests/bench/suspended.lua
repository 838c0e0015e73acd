-- lua suspended.lua KIND: resident bytes of one coroutine that yielded, the mean over 10,000, in a
-- fresh process. KIND is "guest" (from a host function that a guest called) or "plain".
local wasm = require "wasm"
local kind, count = arg[1], 10000

local function resident_pages()
  collectgarbage()
  local file = assert(io.open "/proc/self/statm")
  local pages = file:read "*a":match "%d+ (%d+)"
  file:close()
  return tonumber(pages)
end

local module = assert(wasm.load(assert(wasm.wat2wasm [[(module
  (import "env" "wait" (func $wait (param i32) (result i32)))
  (func (export "run") (param i32) (result i32) (call $wait (local.get 0))))]])))
local run = assert(module:instantiate { env = { wait = coroutine.yield } }).exports.run
local function plain(x)
  return (coroutine.yield(x))
end
local body = kind == "guest" and run or plain

local kept = {}
for i = 1, count do kept[i] = false end
local function suspend(i)
  local co = coroutine.create(body)
  assert(select(2, assert(coroutine.resume(co, i))) == i)
  return co
end
local first = suspend(0)
local before = resident_pages()
for i = 1, count do kept[i] = suspend(i) end
print((resident_pages() - before) / count)
for i = 1, count do assert(select(2, coroutine.resume(kept[i], i + 1)) == i + 1) end
assert(coroutine.resume(first, 1))
