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
