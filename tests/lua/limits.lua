-- Memory, fuel, timeout, stack, on_limit, interrupt, hooks.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

local spin = [[(module (func (export "spin") (loop $l (br $l)))
  (func (export "count") (param i32) (result i32) (local $i i32)
    (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (local.get 0)))) (local.get $i)))]]

local function fuel_of(i)
  return tonumber(tostring(i:usage().fuel))
end

test("fuel", function()
  local i = assert(wasm.instantiate(spin, nil, {fuel = 10000}))
  t.traps("limit", "fuel", i.exports.spin)
  eq(fuel_of(i), 0)
  t.traps("limit", "fuel", i.exports.count, 10)
  i:refuel(1000)
  eq(i.exports.count(10), 10)
  eq(fuel_of(i) < 1000, true)
  t.misuse("bad argument #1 to 'refuel' (count expected", i.refuel, i, -1)
end)

test("fuel is deterministic", function()
  local left
  for _ = 1, 3 do
    local i = assert(wasm.instantiate(spin, nil, {fuel = 100000}))
    i.exports.count(1000)
    left = left or fuel_of(i)
    eq(fuel_of(i), left)
  end
end)

-- A block is paid for when it is entered, also what follows a call that never returns.
test("fuel of calls that never return is the same in every engine", function()
  local source = [[(module
    (func $trap (result i32) (unreachable))
    (func (export "plain") (result i32)
      (i32.add (i32.mul (call $trap) (i32.const 3)) (i32.const 4)))
    (func (export "loop") (result i32)
      (i32.add (loop (result i32) (i32.mul (call $trap) (i32.const 3))) (i32.const 4)))
    (func (export "block") (result i32)
      (i32.mul (block (result i32) (i32.eqz (call $trap))) (i32.const 4)))
    (func (export "branch") (result i32)
      (block (result i32) (br_if 0 (i32.const 1) (i32.eqz (call $trap))))))]]
  for name, cost in pairs { plain = 6, loop = 6, block = 3, branch = 5 } do
    for _, engine in ipairs(wasm.config().supported.engines) do
      local i = assert(wasm.instantiate(source, nil, {fuel = 100, engine = engine}))
      t.traps("trap", "unreachable", i.exports[name])
      eq(100 - fuel_of(i), cost, name .. " in the " .. engine)
    end
  end
end)

test("zero fuel", function()
  local i = assert(wasm.instantiate(spin, nil, {fuel = 0}))
  t.traps("limit", "fuel", i.exports.count, 1)
end)

test("timeout", function()
  local i = assert(wasm.instantiate(spin, nil, {timeout = 0.05}))
  t.traps("limit", "timeout", i.exports.spin)
  eq(i.exports.count(10), 10)
  t.traps("limit", "timeout", i.exports.spin)
end)

-- What has no loop: recursion that doubles at every level, in one function and in many; tail calls.
test("timeout without loops", function()
  local parts = {"(module (func $f0)"}
  for i = 1, 64 do
    parts[#parts + 1] = ("(func $f%d (call $f%d) (call $f%d))"):format(i, i - 1, i - 1)
  end
  parts[#parts + 1] = [[
    (func $twice (export "twice") (param i32)
      (if (local.get 0) (then (call $twice (i32.sub (local.get 0) (i32.const 1)))
        (call $twice (i32.sub (local.get 0) (i32.const 1))))))
    (func (export "levels") (call $f64))
    (func $a (export "tail") (return_call $b)) (func $b (return_call $a))
    (func $c (export "own") (return_call $c))
    (table funcref (elem $d))
    (func $d (export "table") (return_call_indirect (i32.const 0)))
    (func (export "fine") (result i32) (i32.const 7)))]]
  local i = assert(wasm.instantiate(table.concat(parts, "\n"), nil, {timeout = 0.05}))
  for _, name in ipairs {"twice", "levels", "tail", "own", "table"} do
    t.traps("limit", "timeout", i.exports[name], name == "twice" and 64 or nil)
    eq(i.exports.fine(), 7)
  end
end)

test("tail calls between instances need no stack", function()
  local a = assert(wasm.instantiate([[(module (table (export "t") 2 funcref)
    (global (export "n") (mut i32) (i32.const 0))
    (type $f (func (param i32 i64 f64 f32 i32 i32 i32 i32 i32 i32) (result i64)))
    (memory (export "a") 1)
    (func $even (export "even") (type $f)
      (i32.store (i32.const 0) (local.get 0))
      (if (i32.eqz (local.get 0)) (then (return (i64.extend_i32_s (local.get 9)))))
      (return_call_indirect (type $f) (i32.sub (local.get 0) (i32.const 1)) (local.get 1)
        (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6) (local.get 7)
        (local.get 9) (local.get 8) (i32.const 1)))
    (elem (i32.const 0) $even)
    (func (export "start") (param i32) (result i64)
      (i64.add (i64.extend_i32_u (i32.load (i32.const 8)))
        (call $even (local.get 0) (i64.const 1) (f64.const 2) (f32.const 3) (i32.const 4)
          (i32.const 5) (i32.const 6) (i32.const 7) (i32.const 8) (i32.const 9))))
    (data (i32.const 8) "\64\00"))]]))
  local b = assert(wasm.instantiate([[(module (import "e" "t" (table 2 funcref))
    (import "e" "even" (func $even (param i32 i64 f64 f32 i32 i32 i32 i32 i32 i32) (result i64)))
    (memory (export "b") 1)
    (func $odd (param i32 i64 f64 f32 i32 i32 i32 i32 i32 i32) (result i64)
      (i32.store (i32.const 4) (local.get 0))
      (if (i32.eqz (local.get 0)) (then (return (i64.const -1))))
      (return_call $even (i32.sub (local.get 0) (i32.const 1)) (local.get 1) (local.get 2)
        (local.get 3) (local.get 4) (local.get 5) (local.get 6) (local.get 7) (local.get 8)
        (local.get 9)))
    (elem (i32.const 1) $odd))]], {e = a.exports}))
  eq(tonumber(tostring(a.exports.start(1000000))), 109)
  eq(tonumber(tostring(a.exports.start(1000002))), 108)
  eq(tonumber(tostring(a.exports.start(1000001))), 99)
  eq(b.exports.b:load("u32", 4), 0)
end)

test("fuel of the first instance counts in others", function()
  local spins = [[(module (func (export "count") (param i32) (result i32) (local $i i32)
    (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (local.get 0)))) (local.get $i)))]]
  local used = {}
  for _, engine in ipairs(wasm.config().supported.engines) do
    local spinner = assert(wasm.load(spins, {engine = engine}))
    local caller = assert(wasm.load([[(module (import "e" "count" (func $c (param i32) (result i32)))
      (table funcref (elem $c)) (type $f (func (param i32) (result i32)))
      (func (export "direct") (param i32) (result i32) (call $c (local.get 0)))
      (func (export "tail") (param i32) (result i32) (return_call $c (local.get 0)))
      (func (export "table") (param i32) (result i32)
        (call_indirect (type $f) (local.get 0) (i32.const 0))))]], {engine = engine}))
    for _, way in ipairs {"direct", "tail", "table", "closure"} do
      local other = assert(spinner:instantiate())
      eq(other.exports.count(100), 100)
      local count = other.exports.count
      local first = assert(caller:instantiate({e = {count = way ~= "closure" and count
        or function(n) return count(n) end}}, {fuel = 100000}))
      local call = first.exports[way == "closure" and "direct" or way]
      eq(call(10000), 10000)
      local left = fuel_of(first)
      eq(left < 90000, true)
      used[way] = used[way] or left
      eq(left, used[way], way)
      t.traps("limit", "fuel", call, 1000000)
      eq(fuel_of(first), 0)
      eq(other.exports.count(1000000), 1000000)
    end
  end
end)

test("memory", function()
  local source = [[(module (memory (export "m") 1)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))]]
  local i = assert(wasm.instantiate(source, nil, {memory = 4 * 65536}))
  eq(i.exports.grow(3), 1)
  eq(i.exports.grow(1), -1)
  local none, err = wasm.instantiate(source, nil, {memory = 1000})
  eq(none, nil)
  eq(err.kind, "limit")
  eq(err.code, "memory")
end)

test("stack", function()
  local source = [[(module (func $f (export "f") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
      (else (i32.const 0)))))]]
  local small = assert(wasm.instantiate(source, nil, {stack = 20000}))
  eq(small.exports.f(10), 10)
  t.traps("trap", "call stack exhausted", small.exports.f, 20000)
  eq(small.exports.f(10), 10)
  local large = assert(wasm.instantiate(source, nil, {stack = 64 * 1048576}))
  eq(large.exports.f(100000), 100000)
end)

test("on_limit yields at fuel", function()
  local i = assert(wasm.instantiate(spin, nil, {fuel = 1000, on_limit = "yield"}))
  local co = coroutine.create(i.exports.count)
  local resumed, args = 0, t.pack(coroutine.resume(co, 100000))
  while coroutine.status(co) == "suspended" do
    t.eqs(args, {true, wasm.limit, "fuel", i})
    resumed = resumed + 1
    args = t.pack(coroutine.resume(co))
  end
  t.eqs(args, {true, 100000})
  eq(resumed > 10, true)
end)

test("on_limit: what resume passes", function()
  local i = assert(wasm.instantiate(spin, nil, {fuel = 1000, on_limit = "yield"}))
  local co = coroutine.create(i.exports.count)
  coroutine.resume(co, 100000)
  local ok, r = coroutine.resume(co, 10000000)
  eq(ok, true)
  eq(r, 100000)
  i = assert(wasm.instantiate(spin, nil, {fuel = 1000, on_limit = "yield"}))
  co = coroutine.create(i.exports.spin)
  coroutine.resume(co)
  local err
  ok, err = coroutine.resume(co, false)
  eq(ok, false)
  eq(err.kind, "limit")
  eq(err.code, "fuel")
  i:refuel(1000)
  eq(i.exports.count(1), 1)
  co = coroutine.create(i.exports.spin)
  coroutine.resume(co)
  ok, err = coroutine.resume(co, "more")
  eq(ok, false)
  eq(err:find("bad value to resume at a fuel limit", 1, true) ~= nil, true)
end)

test("on_limit raises where nothing can yield", function()
  local i = assert(wasm.instantiate(spin, nil, {fuel = 1000, on_limit = "yield"}))
  if coroutine.isyieldable and coroutine.isyieldable() then return end
  t.traps("limit", "fuel", i.exports.spin)
end)

test("on_limit yields at timeouts", function()
  local i = assert(wasm.instantiate(spin, nil, {timeout = 0.03, on_limit = "yield"}))
  local co = coroutine.create(i.exports.spin)
  for _ = 1, 3 do
    t.eqs(t.pack(coroutine.resume(co)), {true, wasm.limit, "timeout", i})
  end
  t.eqs(t.pack(coroutine.resume(co, 0.05)), {true, wasm.limit, "timeout", i})
  local ok, err = coroutine.resume(co, false)
  eq(ok, false)
  eq(err.code, "timeout")
  eq(tostring(wasm.limit), "wasm.limit")
end)

-- Suspended for longer than the timeout, then running for some ticks of the clock, by CPU time.
test("suspended time does not count", function()
  local resumed
  local i = assert(wasm.instantiate([[(module (import "e" "y" (func $y (result i32)))
    (import "e" "is_done" (func $is_done (result i32)))
    (func (export "f") (result i32) (local $x i32) (local.set $x (call $y))
      (loop $l (br_if $l (i32.eqz (call $is_done)))) (local.get $x)))]],
    {e = {y = coroutine.yield, is_done = function()
      return os.clock() - resumed > 0.08 and 1 or 0
    end}}, {timeout = 0.5}))
  local co = coroutine.create(i.exports.f)
  eq(coroutine.resume(co), true)
  local clock = os.clock()
  while os.clock() - clock < 0.6 do end
  resumed = os.clock()
  t.eqs(t.pack(coroutine.resume(co, 7)), {true, 7})
end)

test("the timeout holds for nested calls in a coroutine", function()
  local e
  local i = assert(wasm.instantiate([[(module (import "e" "f" (func $f))
    (func (export "g") (call $f)) (func (export "spin") (loop $l (br $l))))]],
    {e = {f = function()
      coroutine.yield()
      e.spin()
    end}}, {timeout = 0.05}))
  e = i.exports
  local co = coroutine.create(e.g)
  coroutine.resume(co)
  local ok, err = coroutine.resume(co)
  eq(ok, false)
  eq(err.code, "timeout")
end)

test("interrupt from a host closure", function()
  local i
  i = assert(wasm.instantiate([[(module (import "e" "f" (func $f))
    (func (export "g") (call $f) (loop $l (br $l))))]], {e = {f = function() i:interrupt() end}}))
  t.traps("limit", "interrupt", i.exports.g)
end)

test("count hooks run while a guest loops", function()
  local i = assert(wasm.instantiate(spin))
  local n = 0
  debug.sethook(function()
    n = n + 1
    if n == 3 then
      debug.sethook()
      error("stopped by the hook", 0)
    end
  end, "", 1000)
  local ok, err = pcall(i.exports.spin)
  debug.sethook()
  eq(ok, false)
  eq(err, "stopped by the hook")
  eq(i.exports.count(5), 5)
end)

test("a hook interrupts", function()
  local i = assert(wasm.instantiate(spin))
  debug.sethook(function()
    debug.sethook()
    i:interrupt()
  end, "", 1000)
  local ok, err = pcall(i.exports.spin)
  debug.sethook()
  eq(ok, false)
  eq(err.code, "interrupt")
end)

-- What an error left behind is no outer call of what is entered from deeper in the C stack.
local function left_by(name, fail)
  test("limits hold after " .. name, function()
    local i = assert(wasm.instantiate(spin, {}, {timeout = 0.05}))
    eq(pcall(fail), false)
    local err
    string.gsub("x", "x", function()
      err = select(2, pcall(i.exports.spin))
    end)
    eq(err.code, "timeout")
    eq(i.exports.count(5), 5)
  end)
end

local failing = assert(wasm.instantiate([[(module (import "e" "f" (func $f))
  (import "e" "r" (func $r (result i32)))
  (func (export "raise") (call $f)) (func (export "bad") (drop (call $r)))
  (func (export "take") (param i32)) (func (export "take_ref") (param externref i32))
  (func (export "wait") (param i32) (loop $l (br_if $l (i32.eqz (local.get 0))))))]],
  {e = {f = function() error("left") end, r = function() return "no number" end}}))
left_by("an error of a host function", failing.exports.raise)
left_by("a bad result", failing.exports.bad)
left_by("a bad argument", function() failing.exports.take("x") end)
left_by("a bad argument after a reference", function() failing.exports.take_ref({}, "x") end)
left_by("an error in a nested call", function()
  local outer = assert(wasm.instantiate([[(module (import "e" "f" (func $f))
    (func (export "g") (call $f)))]], {e = {f = failing.exports.raise}}))
  outer.exports.g()
end)
left_by("a hook", function()
  debug.sethook(function()
    debug.sethook()
    error("hook")
  end, "", 1000)
  failing.exports.wait(0)
end)

test("an error deeper in a call leaves the call as it was", function()
  local i
  i = assert(wasm.instantiate([[(module (import "e" "f" (func $f (param i32) (result i32)))
    (func (export "g") (param i32) (result i32) (i32.add (i32.const 1) (call $f (local.get 0)))))]],
    {e = {f = function(n)
      if n == 0 then error("bottom") end
      eq(pcall(i.exports.g, n - 1), n > 1)
      string.gsub("x", "x", function() eq(pcall(i.exports.g, n - 1), n > 1) end)
      return n
    end}}))
  eq(i.exports.g(5), 6)
end)
