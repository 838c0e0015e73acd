-- Exceptions and Lua errors that meet handlers of guests.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

local tag = wasm.tag("i32", "externref")
local source = [[
(module
  (import "host" "f" (func $f (param i32) (result i32)))
  (import "host" "tag" (tag $tag (param i32 externref)))
  (import "host" "luaerror" (tag $luaerror (param externref)))
  (tag $own (export "own") (param i64 f32))
  (func (export "plain") (param i32) (result i32) (call $f (local.get 0)))
  (func (export "tagged") (param i32) (result i32 externref)
    (block $h (result i32 externref)
      (try_table (catch $tag $h)
        (return (call $f (local.get 0)) (ref.null extern)))
      (unreachable)))
  (func (export "lua") (param i32) (result externref)
    (block $h (result externref)
      (try_table (catch $luaerror $h) (drop (call $f (local.get 0))))
      (ref.null extern)))
  (func (export "all") (param i32) (result i32)
    (block $h
      (try_table (catch_all $h) (return (call $f (local.get 0)))))
    (i32.const -1))
  (func (export "ref") (param i32) (result exnref)
    (block $h (result exnref)
      (try_table (catch_all_ref $h) (drop (call $f (local.get 0))))
      (ref.null exn)))
  (func (export "again") (param i32)
    (block $h (result exnref)
      (try_table (catch_all_ref $h) (drop (call $f (local.get 0))))
      (return))
    (throw_ref))
  (func (export "throw") (param i32 externref) (throw $tag (local.get 0) (local.get 1)))
  (func (export "throw_own") (throw $own (i64.const 5) (f32.const 1.5)))
  (func (export "throw_ref") (param exnref) (throw_ref (local.get 0)))
  (func (export "throw_lua") (param externref) (throw $luaerror (local.get 0)))
  (func (export "trap") (result i32)
    (block $h (try_table (catch_all $h) (unreachable)))
    (i32.const -1)))
]]
local module = assert(wasm.load(source))

local action
local function new(options)
  return assert(module:instantiate({host = {
    f = function(x) return action(x) end, tag = tag, luaerror = wasm.luaerror,
  }}, options)).exports
end
local e = new()

-- Calls with f doing that; gives pcall's results.
local function with(f, name, ...)
  action = f
  return pcall(e[name], ...)
end

test("an uncaught exception is an object", function()
  local value = {}
  local ok, x = pcall(e.throw, 7, value)
  eq(ok, false) eq(wasm.type(x), "exception")
  eq(x.kind, "exception") eq(x.tag, tag) eq(x[1], 7) eq(x[2], value)
  eq(x.message:match "^uncaught exception", "uncaught exception")
  eq(type(x.frames), "table") eq(x.frames[1].index, 7)
  eq(tostring(x):match "^uncaught exception" ~= nil, true)
  local _, y = pcall(e.throw_own)
  eq(y.tag, e.own) eq(y[2], 1.5) eq(y[1], 5)
end)

test("the same exception is the same object", function()
  local _, x = pcall(e.throw, 7, nil)
  local _, y = pcall(e.throw_ref, x)
  eq(rawequal(x, y), true)
  local ok, z = with(function() error(x) end, "plain", 1)
  eq(ok, false) eq(rawequal(x, z), true)
  ok, z = with(function() error(x) end, "again", 1)
  eq(ok, false) eq(rawequal(x, z), true)
  eq(rawequal(select(2, with(function() error(x) end, "ref", 1)), x), true)
end)

test("an exception made by Lua", function()
  local value = {}
  local x = wasm.exception(tag, 42, value)
  local ok, a, b = with(function() error(x) end, "tagged", 0)
  eq(ok, true) eq(a, 42) eq(b, value)
  ok, a = with(function() error(x) end, "plain", 0)
  eq(ok, false) eq(rawequal(a, x), true)
  eq(rawequal(select(2, with(function() error(x) end, "ref", 0)), x), true)
  eq(rawequal(select(2, pcall(e.throw_ref, x)), x), true)
  local made = wasm.exception(e.own, 1, 2)
  eq(select(2, with(function() error(made) end, "all", 0)), -1)
end)

test("a Lua error is caught and leaves as the same value", function()
  for _, value in ipairs {"text", {}, 12, 1.5, true, print} do
    local raise = function() error(value, 0) end
    local ok, x = with(raise, "lua", 0)
    eq(ok, true) eq(x, value)
    eq(select(2, with(raise, "all", 0)), -1)
    ok, x = with(raise, "plain", 0)
    eq(ok, false) eq(x, value)
    ok, x = with(raise, "again", 0)
    eq(ok, false) eq(x, value)
    ok, x = with(raise, "tagged", 0)
    eq(ok, false) eq(x, value)
    ok, x = pcall(e.throw_lua, value)
    eq(ok, false) eq(x, value)
  end
  local ok, x = with(function() error() end, "again", 0)
  eq(ok, false) eq(x, nil)
  local caught = select(2, with(function() error "x" end, "ref", 0))
  eq(caught.tag, wasm.luaerror)
  eq(caught[1]:match "x$", "x")
  eq(select(2, pcall(e.throw_ref, caught)), caught[1])
end)

test("traps, exits and limits pass every handler", function()
  eq(select(2, pcall(e.trap)).code, "unreachable")
  local ok, x = with(function() wasm.trap "stop" end, "all", 0)
  eq(ok, false) eq(x.kind, "trap") eq(x.message:match "stop" ~= nil, true)
  local loop = t.exports([[(module (func (export "f") (loop (br 0))))]], {}, {fuel = 1000})
  local _, limit = pcall(loop.f)
  eq(limit.kind, "limit")
  ok, x = with(function() error(limit) end, "all", 0)
  eq(ok, false) eq(rawequal(x, limit), true)
  local _, trap = pcall(e.trap)
  ok, x = with(function() error(trap) end, "all", 0)
  eq(ok, false) eq(rawequal(x, trap), true)
end)

test("nested calls: the inner guest's exception is the outer guest's", function()
  local value = {}
  local ok, a, b = with(function() e.throw(3, value) end, "tagged", 0)
  eq(ok, true) eq(a, 3) eq(b, value)
  local other = new()
  ok, a, b = with(function() other.throw(4, value) end, "tagged", 0)
  eq(ok, true) eq(a, 4) eq(b, value)
  local depth, most = 0, t.is_sanitized and 10 or 50
  ok, a = with(function(x)
    depth = depth + 1
    if depth < most then return e.plain(x) end
    error "deep"
  end, "all", 0)
  eq(ok, true) eq(a, -1) eq(depth, most)
end)

test("a result is a result", function()
  eq(select(2, with(function(x) return x + 1 end, "all", 1)), 2)
  eq(select(2, with(function(x) return x + 1 end, "plain", 1)), 2)
  local ok, x = with(function() return "x" end, "all", 1)
  eq(ok, false) eq(x:match "bad result #1 of 'host.f'" ~= nil or x:match "bad result" ~= nil, true)
end)

test("in coroutines, with yields before the error", function()
  local function run(name, f)
    action = f
    local co = coroutine.create(e[name])
    local results = {coroutine.resume(co, 5)}
    while coroutine.status(co) == "suspended" do
      results = {coroutine.resume(co, (results[2] or 0) * 2)}
    end
    return results[1], results[2]
  end
  local ok, x = run("all", function(n)
    local got = coroutine.yield(n)
    return got + coroutine.yield(100)
  end)
  eq(ok, true) eq(x, 210)
  ok, x = run("all", function(n)
    coroutine.yield(n)
    error "late"
  end)
  eq(ok, true) eq(x, -1)
  local value = {}
  ok, x = run("lua", function(n)
    coroutine.yield(n)
    coroutine.yield(n)
    error(value)
  end)
  eq(ok, true) eq(x, value)
  ok, x = run("again", function(n)
    coroutine.yield(n)
    error(value)
  end)
  eq(ok, false) eq(x, value)
end)

test("many errors", function()
  action = function() error("x", 0) end
  for _ = 1, 20000 do
    if e.all(0) ~= -1 then t.fail "not caught" end
  end
  collectgarbage()
  collectgarbage()
  eq(collectgarbage "count" < 50000, true)
end)

test("out of the start function", function()
  local value = {}
  local start = [[(module (import "h" "f" (func $f)) (func $s (call $f)) (start $s)
    (func (block (try_table (catch_all 0)))))]]
  local ok, x = pcall(wasm.instantiate, start, {h = {f = function() error(value) end}})
  eq(ok, false) eq(x, value)
  local instance, err = wasm.instantiate([[(module (tag $t (export "t") (param i32))
    (func $s (throw $t (i32.const 3))) (start $s))]])
  eq(instance, nil) eq(err.kind, "exception") eq(err[1], 3)
end)

test("legacy handlers", function()
  local old = assert(wasm.instantiate([[
    (module (import "h" "f" (func $f)) (import "h" "tag" (tag $tag (param i32 externref)))
      (func (export "catch") (result i32)
        try (result i32) call $f i32.const 0
        catch $tag drop
        catch_all i32.const -1
        end)
      (func (export "rethrow")
        try call $f
        catch_all rethrow 0
        end))]], {h = {f = function() return action() end, tag = tag}})).exports
  action = function() error(wasm.exception(tag, 6, nil)) end
  eq(old.catch(), 6)
  action = function() error "x" end
  eq(old.catch(), -1)
  local value = {}
  action = function() error(value) end
  eq(select(2, pcall(old.rethrow)), value)
end)
