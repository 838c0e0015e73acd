-- LuaJIT: guest memory through ffi.cast over mem:pointer().
local t = ...
if not t.is_jit then return end
local ffi = require "ffi"

t.test("a cast pointer and the guest see the same bytes", function()
  local e = t.exports [[(module (memory (export "memory") 1 10)
    (func (export "get") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "set") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
    (func (export "grow") (result i32) (memory.grow (i32.const 3))))]]
  local pointer, is_stable = e.memory:pointer()
  local ints = ffi.cast("int32_t *", pointer)
  for i = 0, 65536 / 4 - 1 do ints[i] = i * 3 end
  for i = 0, 65536 / 4 - 1, 101 do t.eq(e.get(i * 4), i * 3) end
  e.set(400, -7)
  t.eq(ints[100], -7)
  t.eq(e.grow(), 1)
  local again, still_stable = e.memory:pointer()
  t.eq(is_stable, still_stable)
  if is_stable then t.eq(again, pointer) end
  local bytes = ffi.cast("uint8_t *", again)
  bytes[#e.memory - 1] = 200
  t.eq(e.memory:load("u8", #e.memory - 1), 200)
  t.eq(ffi.string(bytes + 400, 2), "\249\255")
end)

t.test("a loop over a cast pointer is compiled and right", function()
  local memory = t.wasm.memory { min = 16 }
  local bytes = ffi.cast("uint8_t *", (memory:pointer()))
  local n, sum = #memory, 0
  for i = 0, n - 1 do bytes[i] = i % 251 end
  for i = 0, n - 1 do sum = sum + bytes[i] end
  local wanted = 0
  for i = 0, n - 1 do wanted = wanted + i % 251 end
  t.eq(sum, wanted)
  t.eq(memory:read(250, 3), "\250\0\1")
end)

t.test("structures lie where C puts them", function()
  ffi.cdef "struct rille_test_item { uint8_t kind; double weight; uint16_t tags[3]; };"
  local memory = t.wasm.memory { min = 1 }
  local at = memory:pack("BdHHH", 64, 7, 2.5, 1, 2, 65535)
  local item = ffi.cast("struct rille_test_item *", ffi.cast("uint8_t *", (memory:pointer())) + 64)
  t.eq(item.kind, 7)
  t.eq(item.weight, 2.5)
  t.eq(item.tags[2], 65535)
  t.eq(at, 64 + 22)
  item.weight = -1
  t.eq(select(2, memory:unpack("Bd", 64)), -1)
end)

-- As web servers do it: load, fork, and go on in every worker.
t.test("four workers of a fork go on", function()
  if ffi.os ~= "Linux" then return end
  ffi.cdef [[int fork(void); int waitpid(int, int *, int); void _exit(int);
    unsigned alarm(unsigned);]]
  local text = [[(module (import "e" "f" (func $f (param i32) (result i32))) (memory 1)
    (func (export "g") (param i32) (result i32) (call $f (local.get 0)))
    (func (export "spin") (loop $l (br $l))))]]
  local function make(n, options)
    return assert(t.wasm.instantiate(text, {e = {f = function(x) return x + n end}}, options))
  end
  local before = make(1, {timeout = 0.05})
  t.traps("limit", "timeout", before.exports.spin)
  local function work(n)
    t.eq(before.exports.g(n), n + 1)
    t.eq(make(n).exports.g(5), n + 5)
    t.traps("limit", "timeout", make(n, {timeout = 0.05}).exports.spin)
    t.traps("limit", "timeout", before.exports.spin)
    t.eq(coroutine.wrap(before.exports.g)(n), n + 1)
    t.collect()
  end
  local workers, status = {}, ffi.new "int[1]"
  for n = 1, 4 do
    workers[n] = ffi.C.fork()
    if workers[n] == 0 then
      ffi.C.alarm(60)
      ffi.C._exit(pcall(work, n) and 0 or 1)
    end
  end
  for n = 1, 4 do
    t.eq(ffi.C.waitpid(workers[n], status, 0), workers[n])
    t.eq(status[0], 0)
  end
  work(5)
end)
