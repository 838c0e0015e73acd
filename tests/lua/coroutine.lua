-- Yields through guest code.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

local function guest(f)
  return t.exports([[(module (import "e" "f" (func $f (param i32) (result i32)))
    (func $deep (param i32) (result i32)
      (if (result i32) (i32.eqz (local.get 0))
        (then (call $f (i32.const 0)))
        (else (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (local.get 0)))))
    (func (export "deep") (param i32) (result i32) (call $deep (local.get 0)))
    (func (export "sum") (param i32) (result i32) (local $s i32)
      (loop $l (if (local.get 0) (then
        (local.set $s (i32.add (local.get $s) (call $f (local.get 0))))
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br $l))))
      (local.get $s))
    (func (export "trap") (param i32) (drop (call $f (local.get 0))) (unreachable)))]],
    {e = {f = f}})
end

test("a closure yields, the guest goes on", function()
  local e = guest(coroutine.yield)
  local co = coroutine.wrap(function() return "done", e.sum(3) end)
  eq(co(), 3)
  eq(co(100), 2)
  eq(co(200), 1)
  t.eqs(t.pack(co(300)), {"done", 600})
end)

test("what resume passes is converted, and checked", function()
  local e = guest(coroutine.yield)
  local co = coroutine.create(function() return e.sum(1) end)
  coroutine.resume(co)
  local ok, err = coroutine.resume(co, "x")
  eq(ok, false)
  eq(err:find("bad result #1 of 'e.f' (i32 expected, got string)", 1, true) ~= nil, true)
  eq(e.sum(0), 0)
end)

test("1000 suspended calls, resumed in reverse", function()
  local e = guest(function() return coroutine.yield() end)
  local cos = {}
  for i = 1, 1000 do
    cos[i] = coroutine.create(function(n) return e.deep(n) end)
    assert(coroutine.resume(cos[i], i % 100))
  end
  t.collect()
  for i = 1000, 1, -1 do
    local n = i % 100
    local ok, r = coroutine.resume(cos[i], 7)
    eq(ok, true)
    eq(r, 7 + n * (n + 1) / 2 - (t.has_integers and 0 or 0) == r and r or -1)
    eq(coroutine.status(cos[i]), "dead")
  end
end)

test("errors after a yield", function()
  local key = {}
  local e = guest(function(n)
    coroutine.yield(n)
    error(key)
  end)
  local co = coroutine.create(function() return e.deep(5) end)
  eq(coroutine.resume(co), true)
  local ok, err = coroutine.resume(co)
  eq(ok, false)
  eq(err, key)
end)

test("traps after a yield", function()
  local e = guest(coroutine.yield)
  local co = coroutine.create(function() return e.trap(1) end)
  coroutine.resume(co)
  local ok, err = coroutine.resume(co, 5)
  eq(ok, false)
  eq(err.code, "unreachable")
  eq(#err.frames, 1)
end)

test("nested: guest, Lua, guest, with yields at the bottom", function()
  local e, depth = nil, 0
  e = guest(function()
    if depth < 5 then
      depth = depth + 1
      local r = e.sum(2)
      depth = depth - 1
      return r
    end
    return coroutine.yield(depth)
  end)
  local co = coroutine.create(function() return e.sum(2) end)
  local ok, v = coroutine.resume(co)
  local n = 0
  while coroutine.status(co) == "suspended" do
    n = n + 1
    ok, v = coroutine.resume(co, 1)
  end
  eq(ok, true)
  eq(v, 64)
  eq(n, 64)
end)

test("a yield, then a nested guest call in the same closure", function()
  local e
  e = guest(function(n)
    if n == 1 then return 5 end
    local x = coroutine.yield(n)
    return e.sum(1) + x + e.sum(1)
  end)
  local co = coroutine.wrap(function() return e.deep(3) end)
  -- deep ends in f(0)
  eq(co(), 0)
  eq(co(100), 5 + 100 + 5 + 6)
end)

test("a coroutine that yielded once and then errs 10^5 times keeps its stack", function()
  local mode = "yield"
  local e = guest(function()
    if mode == "yield" then return coroutine.yield() end
    error "no"
  end)
  local inner = guest(function()
    mode = "yield"
    local x = coroutine.yield()
    mode = "err"
    for _ = 1, 100000 do
      local ok = pcall(e.deep, 3)
      if ok then error "should have failed" end
    end
    return x
  end)
  local co = coroutine.wrap(function()
    e.sum(1)
    mode = "err"
    for _ = 1, 100000 do pcall(e.sum, 1) end
    return inner.deep(2)
  end)
  co()
  co(1)
  eq(co(10), 13)
end)

test("errors in a nested call, caught in the closure, leave the outer call alive", function()
  local e, bad
  bad = guest(function() error "inner" end)
  e = guest(function()
    local ok, err = pcall(bad.deep, 10)
    eq(ok, false)
    eq(err:find "inner" ~= nil, true)
    coroutine.yield()
    ok = pcall(bad.deep, 10)
    eq(ok, false)
    return 1
  end)
  local co = coroutine.wrap(function() return e.sum(3) end)
  co() co() co()
  eq(co(), 3)
end)

test("two coroutines inside one another", function()
  local e
  local function make(n)
    return coroutine.wrap(function() return e.deep(n) end)
  end
  local inner
  e = guest(function()
    if inner then
      local co = inner
      inner = nil
      local v = co()
      coroutine.yield("outer")
      return v
    end
    return 1
  end)
  inner = make(4)
  local co = make(2)
  eq(co(), "outer")
  eq(co(), 1 + 10 + 3)
end)

test("the start function may yield", function()
  local co = coroutine.wrap(function()
    return wasm.instantiate([[(module (import "e" "y" (func $y (result i32)))
      (global $g (export "g") (mut i32) (i32.const 0))
      (func $s (global.set $g (call $y))) (start $s))]], {e = {y = coroutine.yield}})
  end)
  co()
  t.collect()
  local i = co(42)
  eq(wasm.type(i), "instance")
  eq(i.exports.g.value, 42)
  co = coroutine.wrap(function()
    return wasm.instantiate([[(module (import "e" "y" (func $y)) (func $s (call $y) (unreachable))
      (start $s))]], {e = {y = coroutine.yield}})
  end)
  co()
  local none, err = co()
  eq(none, nil)
  eq(err.code, "unreachable")
  co = coroutine.wrap(function()
    return wasm.instantiate([[(module (import "e" "y" (func $y)) (start $y))]],
                            {e = {y = coroutine.yield}})
  end)
  co()
  eq(wasm.type(co()), "instance")
end)

test("m:instantiate in a coroutine", function()
  local m = assert(wasm.load [[(module (import "e" "y" (func $y)) (func $s (call $y)) (start $s))]])
  local co = coroutine.wrap(function() return m:instantiate {e = {y = coroutine.yield}} end)
  co()
  eq(wasm.type(co()), "instance")
end)

test("closing drops suspended calls", function()
  local i = assert(wasm.instantiate([[(module (import "e" "f" (func $f)) (func (export "g") (call $f)))]],
    {e = {f = coroutine.yield}}))
  local co = coroutine.create(i.exports.g)
  eq(coroutine.resume(co), true)
  i:close()
  local ok, err = coroutine.resume(co)
  eq(ok, false)
  eq(err:find("instance is closed", 1, true) ~= nil, true)
end)

test("close from a coroutine while the main thread runs", function()
  local i, message
  i = assert(wasm.instantiate([[(module (import "e" "f" (func $f)) (func (export "g") (call $f)))]],
    {e = {f = function()
      coroutine.wrap(function()
        local _
        _, message = pcall(i.close, i)
      end)()
    end}}))
  i.exports.g()
  eq(message:find("a call of the instance is running", 1, true) ~= nil, true)
end)

test("collected coroutines free their stacks", function()
  local e = guest(coroutine.yield)
  for _ = 1, 3 do
    for _ = 1, 3000 do
      local co = coroutine.create(e.sum)
      assert(coroutine.resume(co, 3))
    end
    t.collect()
  end
  local before = t.resident()
  for _ = 1, 3 do
    for _ = 1, 3000 do coroutine.resume(coroutine.create(e.sum), 3) end
    t.collect()
  end
  if before then eq(t.resident() - before < 3e7, true) end
end)

test("a suspended call keeps its instance, and both are collected together", function()
  local gone = setmetatable({}, {__mode = "k"})
  for _ = 1, 10 do
    local i = assert(wasm.instantiate([[(module (import "e" "f" (func $f)) (func (export "g") (call $f)))]],
      {e = {f = coroutine.yield}}))
    gone[i] = true
    local co = coroutine.create(i.exports.g)
    coroutine.resume(co)
    i = nil
    t.collect()
    coroutine.resume(co)
    eq(coroutine.status(co), "dead")
  end
  for _ = 1, 10 do
    local i = assert(wasm.instantiate([[(module (import "e" "f" (func $f)) (func (export "g") (call $f)))]],
      {e = {f = coroutine.yield}}))
    gone[i] = true
    coroutine.resume(coroutine.create(i.exports.g))
  end
  t.collect()
  t.collect()
  eq(next(gone), nil)
end)

test("coroutine.wrap and iterators", function()
  local e = guest(function(n)
    coroutine.yield(n)
    return 0
  end)
  local seen = {}
  for n in coroutine.wrap(function() e.sum(4) end) do seen[#seen + 1] = n end
  eq(table.concat(seen, ","), "4,3,2,1")
end)

test("pcall around a guest that yields", function()
  if t.version == "5.1" and not t.is_jit then return end
  local e = guest(coroutine.yield)
  local co = coroutine.wrap(function()
    local ok, r = pcall(e.sum, 1)
    local ok2, err = pcall(e.trap, 1)
    return ok, r, ok2, err.code
  end)
  co()
  co(5)
  t.eqs(t.pack(co(1)), {true, 5, false, "unreachable"})
end)

if coroutine.close then
  test("coroutine.close on a suspended guest call", function()
    local e = guest(coroutine.yield)
    for _ = 1, 100 do
      local co = coroutine.create(e.sum)
      coroutine.resume(co, 3)
      eq(coroutine.close(co), true)
    end
    eq(e.sum(0), 0)
  end)
end

test("yields pass through frames of several engines", function()
  local engines = wasm.config().supported.engines
  for _, lower in ipairs(engines) do
    for _, upper in ipairs(engines) do
      local below = assert(assert(wasm.load([[(module
        (import "e" "f" (func $f (param i32) (result i32)))
        (func (export "down") (param i32) (result i32) (i32.mul (i32.const 2)
          (call $f (local.get 0)))))]], {engine = lower})):instantiate {e = {f = function(n)
        if n < 0 then error("negative") end
        return coroutine.yield(n) + coroutine.yield(n + 1)
      end}})
      local above = assert(assert(wasm.load([[(module
        (import "b" "down" (func $down (param i32) (result i32)))
        (func (export "up") (param i32 i32) (result i32) (local $sum i32)
          (loop $l
            (local.set $sum (i32.add (local.get $sum) (call $down (local.get 0))))
            (br_if $l (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
          (local.get $sum)))]], {engine = upper})):instantiate {b = below.exports})
      local coroutines = {}
      for i = 1, 20 do
        coroutines[i] = coroutine.create(above.exports.up)
        t.eqs(t.pack(coroutine.resume(coroutines[i], i, 3)), {true, i})
      end
      for round = 1, 3 do
        for i = 20, 1, -1 do
          t.eqs(t.pack(coroutine.resume(coroutines[i], i)), {true, i + 1})
          local wanted = round < 3 and i or 3 * 2 * (i + 5)
          t.eqs(t.pack(coroutine.resume(coroutines[i], 5)), {true, wanted})
        end
      end
      t.raises("negative", above.exports.up, -1, 1)
      collectgarbage()
      local co = coroutine.create(above.exports.up)
      t.eqs(t.pack(coroutine.resume(co, 1, 1)), {true, 1})
    end
  end
end)
