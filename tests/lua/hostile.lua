-- Hosts that do in callbacks, finalisers, hooks and trace functions what they should not.
local t = ...
local wasm, test = t.wasm, t.test

-- Something whose finaliser calls f.
local function finalised(f)
  local newproxy = rawget(_G, "newproxy")
  if not newproxy then return setmetatable({}, {__gc = f}) end
  local proxy = newproxy(true)
  getmetatable(proxy).__gc = f
  return proxy
end

local function in_both(f)
  f()
  coroutine.wrap(f)()
end

test("finalisers that call exports, and fail in them, between any two steps of a call", function()
  local exports = t.exports([[(module
    (import "e" "same" (func $same (param externref v128) (result externref)))
    (import "e" "fail" (func $fail (param i32)))
    (func (export "f") (param externref v128 i32) (result externref v128 i32)
      (call $same (local.get 0) (local.get 1)) (local.get 1) (local.get 2))
    (func (export "fail") (param i32) (call $fail (local.get 0))))]], {e = {
      same = function(x) return x end,
      fail = function(n) if n ~= 0 then error({n}) end end,
    }})
  local ran, is_over = 0, false
  local function finaliser()
    ran = ran + 1
    pcall(exports.fail, 1)
    pcall(exports.fail, 0)
    pcall(exports.f, {}, ("y"):rep(16), 3)
    if not is_over then finalised(finaliser) end
  end
  for _ = 1, 10 do finalised(finaliser) end
  in_both(function()
    for i = 1, 3000 do
      local key, bytes = {}, ("%016d"):format(i)
      local a, b, c = exports.f(key, bytes, i)
      if a ~= key or b ~= bytes or c ~= i then t.fail "wrong results" end
    end
    t.collect()
  end)
  is_over = true
  assert(ran > 0)
end)

test("a trace function that calls exports", function()
  local instance = assert(wasm.instantiate([[(module
    (import "e" "next" (func $next (param i32) (result i32)))
    (func (export "f") (param i32 i32) (result i32)
      (i32.add (call $next (local.get 0)) (local.get 1)))
    (func (export "g") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3))))]],
    {e = {next = function(x) return x + 1 end}}))
  local exports, is_inside = instance.exports, false
  instance:trace(function()
    if is_inside then return end
    is_inside = true
    for i = 1, 3 do t.eq(exports.g(i), 3 * i) end
    pcall(exports.f, "x")
    is_inside = false
  end)
  in_both(function()
    for i = 1, 20 do t.eq(exports.f(i, 5), i + 6) end
  end)
end)

test("a hook that calls exports while a guest runs", function()
  local instance = assert(wasm.instantiate [[(module
    (func (export "spin") (loop $l (br $l)))
    (func (export "g") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3))))]])
  local exports = instance.exports
  in_both(function()
    local n = 0
    debug.sethook(function()
      n = n + 1
      t.eq(exports.g(n), 3 * n)
      pcall(exports.g, "x")
      if n == 3 then instance:interrupt() end
    end, "", 1000)
    local _, err = pcall(exports.spin)
    debug.sethook()
    t.eq(err.kind, "limit")
    t.eq(n, 3)
  end)
end)

test("what a snapshot put into a memory is not found in the next one", function()
  for _, pages in ipairs {1, 4, 40, 100} do
    local module = assert(wasm.load(("(module (memory (export \"m\") %d))"):format(pages)))
    for _ = 1, 3 do
      local instance = assert(module:instantiate())
      local memory = instance.exports.m
      t.eq(memory:load("u8", 0), 0)
      t.eq(memory:load("u8", #memory - 1), 0)
      memory:fill(0, 0xAB, #memory)
      local snapshot = instance:snapshot()
      memory:fill(0, 1, #memory)
      instance:reset(snapshot)
      t.eq(memory:load("u8", #memory - 1), 0xAB)
      instance:close()
    end
  end
end)

local bulk = [[(module
  (memory (export "m") 1024 65536) (table 0x100000 funcref) (type $a (array (mut i8)))
  (func (export "fill") (param i32) (memory.fill (i32.const 0) (i32.const 7) (local.get 0)))
  (func (export "copy") (param i32 i32 i32)
    (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "spin_fill") (param i32)
    (loop $l (memory.fill (i32.const 0) (i32.const 7) (local.get 0)) (br $l)))
  (func (export "table") (result i32)
    (table.fill (i32.const 0) (ref.func 0) (i32.const 0x100000))
    (table.set (i32.const 3) (ref.null func))
    (table.copy (i32.const 1) (i32.const 0) (i32.const 0xfffff))
    (ref.is_null (table.get (i32.const 4))))
  (func (export "array") (param i32) (result i32) (local $x (ref $a))
    (local.set $x (array.new_default $a (local.get 0)))
    (array.fill $a (local.get $x) (i32.const 1) (i32.const 9)
      (i32.sub (local.get 0) (i32.const 1)))
    (array.copy $a $a (local.get $x) (i32.const 1) (local.get $x) (i32.const 0)
      (i32.sub (local.get 0) (i32.const 1)))
    (i32.add (array.get_u $a (local.get $x) (i32.const 1))
      (array.get_u $a (local.get $x) (i32.sub (local.get 0) (i32.const 1)))))
  (elem declare func 0))]]

test("long bulk operations do what short ones do", function()
  local exports = t.exports(bulk)
  local memory = exports.m
  local size = 5 * 1048576 + 13
  exports.fill(size)
  t.eq(memory:load("u8", size - 1), 7)
  t.eq(memory:load("u8", size), 0)
  for i = 0, size - 1, 65521 do memory:store("u32", i, i) end
  exports.copy(1000, 0, size)
  for i = 0, size - 1, 65521 do t.eq(memory:load("u32", i + 1000), i) end
  exports.copy(0, 1000, size)
  for i = 0, size - 1, 65521 do t.eq(memory:load("u32", i), i) end
  t.traps("trap", "out of bounds memory access", exports.copy, 0, #memory - size + 1, size)
  t.traps("trap", "out of bounds memory access", exports.fill, #memory + 1)
  t.eq(exports.table(), 1)
  t.eq(exports.array(3000001), 9)
end)

test("a deadline stops bulk operations in the middle", function()
  local instance = assert(wasm.instantiate(bulk, nil, {timeout = 0.02}))
  local exports = instance.exports
  assert(exports.m:grow(16384 - exports.m:pages()))
  local err = t.traps("limit", "timeout", exports.fill, 2 ^ 30)
  t.eq(err.frames[1].func, "fill")
  t.eq(exports.m:load("u8", 2 ^ 30 - 1), 0)
  t.traps("limit", "timeout", exports.spin_fill, 2 ^ 24)
  exports.fill(100)
end)

-- Its finaliser runs when the Lua state is closed. A closure that collects garbage then finalises
-- what the running call needs.
wasm.hostile_exports = t.exports([[(module
  (import "e" "collect" (func $collect (param i32) (result i32)))
  (func (export "f") (param i32) (result i32) (call $collect (local.get 0))))]], {
    e = {collect = function(n) collectgarbage() return n end},
  })
wasm.hostile_last = finalised(function()
  pcall(wasm.hostile_exports.f, 1)
end)
