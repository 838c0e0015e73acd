-- The ways into guest code and out of it: signatures of every shape, and what can go wrong on them.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

local letters = {i = "i32", l = "i64", f = "f32", d = "f64"}

-- Text of a module with, for each signature of letters, a function for each parameter that gives
-- it back, and one that gives nothing.
local function echoes(signatures)
  local out = {"(module"}
  for _, signature in ipairs(signatures) do
    local params = signature:gsub(".", function(c) return letters[c] .. " " end)
    for i = 1, #signature do
      out[#out + 1] = ('(func (export "%s%d") (param %s) (result %s) (local.get %d))'):format(
        signature, i, params, letters[signature:sub(i, i)], i - 1)
    end
    out[#out + 1] = ('(func (export "%s") (param %s))'):format(signature, params)
  end
  out[#out + 1] = ")"
  return table.concat(out, "\n")
end

local function all_signatures(most)
  local list, last = {""}, {""}
  for _ = 1, most do
    local longer = {}
    for _, signature in ipairs(last) do
      for c in pairs(letters) do longer[#longer + 1] = signature .. c end
    end
    for _, signature in ipairs(longer) do list[#list + 1] = signature end
    last = longer
  end
  return list
end

-- A value that no other place has.
local function value_of(c, i)
  if c == "i" then return -i end
  if c == "l" then return t.has_integers and math.mininteger + i or -2 ^ 40 - i end
  return i + 0.5
end

local function check_echoes(e, signatures)
  for _, signature in ipairs(signatures) do
    local values = {}
    for i = 1, #signature do values[i] = value_of(signature:sub(i, i), i) end
    for i = 1, #signature do
      eq(e[signature .. i]((table.unpack or unpack)(values)), values[i], signature .. i)
    end
    eq(select("#", e[signature]((table.unpack or unpack)(values))), 0)
  end
end

test("every signature of up to three numbers, on the main thread and in a coroutine", function()
  local signatures = all_signatures(3)
  local e = t.exports(echoes(signatures))
  check_echoes(e, signatures)
  coroutine.wrap(check_echoes)(e, signatures)
end)

test("longer signatures", function()
  local signatures = {"iiii", "dddd", "ffff", "llll", "iiiii", "ddddd", "idididid", "iiiidddd",
    "iiiiddddd", "lfidlfid", "iiiiiiiii", "ddddddddddd"}
  local e = t.exports(echoes(signatures))
  check_echoes(e, signatures)
  coroutine.wrap(check_echoes)(e, signatures)
end)

test("what is no i32 is refused at every place", function()
  local names = {"", "i", "ii", "iii", "iiii", "iiiii", "id"}
  local e = t.exports(echoes(names))
  for _, name in ipairs(names) do
    for i = 1, #name do
      if name:sub(i, i) == "i" then
        local args = {}
        for k = 1, #name do args[k] = k end
        for _, bad in ipairs {2 ^ 32, -2 ^ 31 - 1, 0.5, 1 / 0, "1", {}, true} do
          args[i] = bad
          t.misuse(("bad argument #%d to '%s' (i32 expected"):format(i, name), e[name],
            (table.unpack or unpack)(args, 1, #name))
        end
        t.misuse(("bad argument #%d to '%s' (i32 expected"):format(i, name), e[name],
          (table.unpack or unpack)(args, 1, i - 1))
      end
    end
  end
  eq(e.ii2(1, 4294967295), -1)
  eq(e.ii2(1, -2147483648), -2147483648)
  eq(e.ii2(1, 3.0), 3)
  eq(e.ii1(7, 8, "more", {}), 7)
end)

test("traps, errors and calls by turns", function()
  local e, mode
  local function import(x)
    if mode == "error" then error {x} end
    if mode == "nested" then return e.add(x, 1) end
    if mode == "nested trap" then
      local ok, err = pcall(e.div, x, 0)
      eq(ok, false)
      eq(err.code, "integer divide by zero")
      return e.add(x, 2)
    end
    return x
  end
  e = t.exports([[(module (import "e" "f" (func $f (param i32) (result i32)))
    (memory 1)
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "fadd") (param f64 f64) (result f64) (f64.add (local.get 0) (local.get 1)))
    (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
    (func (export "fload") (param i32) (result f64) (f64.load (local.get 0)))
    (func (export "call") (param i32) (result i32) (call $f (local.get 0)))
    (func (export "fcall") (param f64) (result f64)
      (f64.convert_i32_s (call $f (i32.trunc_f64_s (local.get 0))))))]], {e = {f = import}})
  for i = 1, 100 do
    eq(e.add(i, i), 2 * i)
    eq(e.fadd(i, 0.5), i + 0.5)
    t.traps("trap", "integer divide by zero", e.div, i, 0)
    eq(e.div(i, 1), i)
    t.traps("trap", "out of bounds memory access", e.fload, -i)
    eq(e.fload(i) == 0, true)
    mode = "error"
    local ok, err = pcall(e.call, i)
    eq(ok, false)
    eq(err[1], i)
    eq(pcall(e.fcall, i), false)
    mode = nil
    eq(e.call(i), i)
    eq(e.fcall(i) == i, true)
    mode = "nested"
    eq(e.call(i), i + 1)
    mode = "nested trap"
    eq(e.call(i), i + 2)
    eq(e.fcall(i) == i + 2, true)
  end
end)

test("two instances that call one another, and are called by turns", function()
  local a, b
  a = assert(wasm.instantiate [[(module (global $n (mut i32) (i32.const 0))
    (func (export "next") (param i32) (result i32)
      (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n)))]])
  b = assert(wasm.instantiate([[(module (import "a" "next" (func $next (param i32) (result i32)))
    (func (export "twice") (param i32) (result i32)
      (drop (call $next (local.get 0))) (call $next (local.get 0)))
    (func (export "one") (result i32) (i32.const 1)))]], {a = a}))
  local sum = 0
  for i = 1, 50 do
    sum = sum + i
    eq(a.exports.next(i), sum)
    sum = sum + 2 * i
    eq(b.exports.twice(i), sum)
    eq(b.exports.one(), 1)
    eq(coroutine.wrap(function() return a.exports.next(0) end)(), sum)
  end
end)

test("calls of what is closed, traced or collected", function()
  local i = assert(wasm.instantiate [[(module (func (export "f") (param i32) (result i32)
    (local.get 0)))]])
  local f, seen = i.exports.f, {}
  eq(f(1), 1)
  i:trace(function(event, name, value) seen[#seen + 1] = event .. name .. value end)
  eq(f(2), 2)
  i:trace(nil)
  eq(f(3), 3)
  eq(table.concat(seen, " "), "callf2 returnf2")
  i:close()
  t.misuse("bad call to 'f' (instance is closed)", f, 4)
  for _ = 1, 20 do
    f = assert(wasm.instantiate [[(module (func (export "f") (param i32) (result i32)
      (local.get 0)))]]).exports.f
    t.collect()
    eq(f(5), 5)
  end
end)

test("an interrupt for a call that is over stops no other", function()
  local i = assert(wasm.instantiate [[(module (func (export "f") (param i32) (result i32)
    (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0)))]])
  for _ = 1, 3 do
    eq(i.exports.f(10), 0)
    i:interrupt()
    eq(i.exports.f(10), 0)
  end
end)

test("limits hold in every way in", function()
  local source = [[(module (func (export "spin") (loop $l (br $l)))
    (func (export "id") (param i32) (result i32) (local.get 0)))]]
  local fuel = assert(wasm.instantiate(source, nil, {fuel = 1000}))
  local time = assert(wasm.instantiate(source, nil, {timeout = 0.03}))
  local stack = assert(wasm.instantiate(source, nil, {stack = 100000}))
  local plain = assert(wasm.instantiate(source))
  for i = 1, 3 do
    for _, instance in ipairs {fuel, time, stack, plain} do eq(instance.exports.id(i), i) end
    t.traps("limit", "fuel", fuel.exports.spin)
    fuel:refuel(1000)
    t.traps("limit", "timeout", time.exports.spin)
  end
end)
