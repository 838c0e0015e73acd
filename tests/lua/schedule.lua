-- Guests that share a thread, threads that share a guest, and an interrupt from the terminal.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

local here = arg[0]:match("^(.*)/[^/]*$") or "."
local work = os.tmpname()
os.remove(work)

local endless = [[(module (global $n (export "n") (mut i64) (i64.const 0))
  (func (export "spin")
    (loop $l (global.set $n (i64.add (global.get $n) (i64.const 1))) (br $l))))]]

-- Resumes them by turns; checks that each stops at the limit each time. Gives how far each came.
local function share(limits, limit, turns)
  local guests = {}
  for i = 1, 2 do
    local instance = assert(wasm.instantiate(endless, nil, limits))
    guests[i] = {instance = instance, co = coroutine.create(instance.exports.spin)}
  end
  for _ = 1, turns do
    for _, guest in ipairs(guests) do
      t.eqs(t.pack(coroutine.resume(guest.co)), {true, wasm.limit, limit, guest.instance})
    end
  end
  local counts = {}
  for i, guest in ipairs(guests) do
    counts[i] = tonumber(tostring(guest.instance.exports.n.value))
    local ok, err = coroutine.resume(guest.co, false)
    eq(ok, false)
    eq(err.code, limit)
  end
  return counts
end

test("two endless guests share a thread by fuel", function()
  local counts = share({fuel = 5000, on_limit = "yield"}, "fuel", 200)
  eq(counts[1], counts[2])
  eq(counts[1] > 10000, true)
end)

test("two endless guests share a thread by time", function()
  local counts = share({timeout = 0.01, on_limit = "yield"}, "timeout", 5)
  eq(counts[1] > 0 and counts[2] > 0, true)
end)

test("limits that yield below Lua that was called by a guest", function()
  local inner = assert(wasm.instantiate(endless:gsub("%(br %$l%)",
    "(br_if $l (i64.lt_u (global.get $n) (i64.const 3000)))"), nil, {fuel = 1000000}))
  local outer = assert(wasm.instantiate([[(module (import "e" "f" (func $f))
    (func (export "g") (result i32) (call $f) (call $f) (i32.const 7)))]],
    {e = {f = function() inner.exports.n.value = 0 inner.exports.spin() end}},
    {fuel = 1000, on_limit = "yield"}))
  -- The limits of the instance that was entered first hold for everything below it: the inner guest
  -- uses them up.
  local co = coroutine.create(outer.exports.g)
  local n, results = 0, t.pack(coroutine.resume(co))
  while coroutine.status(co) == "suspended" do
    t.eqs(results, {true, wasm.limit, "fuel", outer})
    n = n + 1
    results = t.pack(coroutine.resume(co))
  end
  t.eqs(results, {true, 7})
  eq(n > 5, true)
end)

test("time that a coroutine is suspended does not count, at any depth", function()
  local e
  local function pass()
    coroutine.yield()
    return e.depth() > 0 and e.down() or 0
  end
  local instance = assert(wasm.instantiate([[(module (import "e" "f" (func $f (result i32)))
    (global $n (mut i32) (i32.const 4))
    (func (export "depth") (result i32) (global.get $n))
    (func (export "down") (result i32)
      (global.set $n (i32.sub (global.get $n) (i32.const 1)))
      (i32.add (call $f) (i32.const 1))))]], {e = {f = pass}}, {timeout = 0.1}))
  e = instance.exports
  local co = coroutine.create(e.down)
  local ok, result = coroutine.resume(co)
  while coroutine.status(co) == "suspended" do
    local clock = os.clock()
    while os.clock() - clock < 0.06 do end
    ok, result = coroutine.resume(co)
  end
  eq(ok, true)
  eq(result, 4)
end)

test("errors and traps inside of resumed guests leave the others alone", function()
  local e = t.exports([[(module (import "e" "f" (func $f (param i32) (result i32)))
    (func (export "run") (param i32) (result i32)
      (if (call $f (local.get 0)) (then (unreachable)))
      (call $f (i32.const -1))))]], {e = {f = function(x)
      local order = coroutine.yield(x)
      if order == "error" then error {x} end
      return order
    end}})
  local cos = {}
  for i = 1, 300 do
    cos[i] = coroutine.create(e.run)
    eq(select(2, coroutine.resume(cos[i], i)), i)
  end
  for i = 300, 1, -1 do
    if i % 3 == 0 then
      local ok, err = coroutine.resume(cos[i], "error")
      eq(ok, false)
      eq(err[1], i)
    elseif i % 3 == 1 then
      local ok, err = coroutine.resume(cos[i], 1)
      eq(ok, false)
      eq(err.code, "unreachable")
    else
      eq(select(2, coroutine.resume(cos[i], 0)), -1)
    end
  end
  for i = 2, 300, 3 do t.eqs(t.pack(coroutine.resume(cos[i], i)), {true, i}) end
end)

test("10,000 suspended coroutines, resumed in random order, collected", function()
  local n = t.is_sanitized and 500 or 10000
  local e = t.exports([[(module (import "e" "f" (func $f (param i32) (result i32)))
    (func (export "run") (param i32) (result i32)
      (i32.add (i32.mul (call $f (local.get 0)) (i32.const 3)) (local.get 0))))]],
    {e = {f = coroutine.yield}})
  local cos, order = {}, {}
  local function suspend_all()
    for i = 1, n do
      cos[i] = coroutine.create(e.run)
      eq(select(2, coroutine.resume(cos[i], i)), i)
    end
  end
  for i = 1, n do cos[i], order[i] = false, i end
  local random = 1
  for i = n, 2, -1 do
    random = random * 16807 % 2147483647
    local k = random % i + 1
    order[i], order[k] = order[k], order[i]
  end
  t.collect()
  local before = t.resident()
  suspend_all()
  local after = t.resident()
  if before then eq((after - before) / n <= 24 * 1024, true, "24 KiB each") end
  for _, i in ipairs(order) do t.eqs(t.pack(coroutine.resume(cos[i], 2 * i)), {true, 7 * i}) end
  suspend_all()
  for i = 1, n do cos[i] = false end
  t.collect()
  suspend_all()
  for i = 1, n do cos[i] = false end
  t.collect()
  if before then eq(t.resident() - before < 0.5 * (after - before), true, "given back") end
end)

-- ---- Threads ------------------------------------------------------------------------------------

-- The module `threads`, or nil where it cannot be built.
local function build_threads()
  local lua = t.is_jit and "luajit-2.1" or "lua" .. t.version
  local include = os.getenv "LUA_INCDIR" or "/usr/include/" .. lua
  local command = ("cc -O1 -shared -fPIC -pthread -I%s -o %s.so %s/threads.c 2>/dev/null"):format(
    include, work, here)
  local done = os.execute(command)
  if done ~= true and done ~= 0 then return nil end
  local open = package.loadlib(work .. ".so", "luaopen_threads")
  os.remove(work .. ".so")
  return open and open()
end

local threads = not t.is_sanitized and build_threads()
if threads then
  test("a state moves between threads, with calls suspended and running", function()
    local e
    e = t.exports([[(module (import "e" "f" (func $f (param i32) (result i32)))
      (memory 1)
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
      (func (export "run") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1)))
      (func $deep (export "deep") (result i32) (i32.add (call $deep) (i32.const 1))))]],
      {e = {f = function(x)
        if x == 0 then return coroutine.yield(x) end
        if x > 1 then -- nested in another thread
          local ok, result = threads.elsewhere(e.run, x - 1)
          eq(ok, true)
          return result
        end
        return x
      end}})
    for i = 1, 10 do
      t.eqs(t.pack(threads.elsewhere(e.add, i, 1)), {true, i + 1})
      eq(e.add(i, 2), i + 2)
      local ok, err = threads.elsewhere(e.load, -1)
      eq(ok, false)
      eq(err.code, "out of bounds memory access")
      t.traps("trap", "out of bounds memory access", e.load, -1)
      ok, err = threads.elsewhere(e.deep)
      eq(ok, false)
      eq(err.code, "call stack exhausted")
      eq(e.run(3), 4)
      local co = coroutine.create(e.run)
      t.eqs(t.pack(threads.elsewhere(coroutine.resume, co, 0)), {true, true, 0})
      if i % 2 == 0 then
        t.eqs(t.pack(coroutine.resume(co, i)), {true, i + 1})
      else
        t.eqs(t.pack(threads.elsewhere(coroutine.resume, co, i)), {true, true, i + 1})
      end
    end
  end)

  test("states in threads of their own", function()
    local results = t.pack(threads.together(4, [[
      local number = ...
      local wasm = require "wasm"
      local instance = assert(wasm.instantiate([=[(module
        (import "e" "f" (func $f (param i32) (result i32))) (memory 1)
        (func (export "run") (param i32) (result i32) (local $sum i32)
          (loop $l
            (local.set $sum (i32.add (local.get $sum) (call $f (local.get 0))))
            (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
          (local.get $sum))
        (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
        (func (export "spin") (loop $l (br $l))))]=],
        {e = {f = function(x)
          if x % 100 == 0 and coroutine.running() then coroutine.yield() end
          return x
        end}}, {timeout = 5}))
      local e = instance.exports
      local spins = assert(wasm.instantiate("(module (func (export \"f\") (loop $l (br $l))))", nil,
        {timeout = 0.02})).exports.f
      for i = 1, 20 do
        local co = coroutine.create(e.run)
        local ok, sum = coroutine.resume(co, 1000)
        while coroutine.status(co) == "suspended" do ok, sum = coroutine.resume(co) end
        assert(ok and sum == 500500, sum)
        assert(not pcall(e.load, -1))
        if i % 10 == 0 then
          local stopped, err = pcall(spins)
          assert(not stopped and err.code == "timeout", tostring(err))
        end
        collectgarbage()
      end
      return "done " .. number
    ]]))
    t.eqs(results, {"done 1", "done 2", "done 3", "done 4"})
  end)
else
  print "schedule: no threads, since threads.c cannot be built here"
end

-- ---- The terminal -------------------------------------------------------------------------------

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Runs the body in a program of its own and interrupts it once it is ready. Gives what it
-- wrote and its status.
local function interrupt(body)
  local chunk = ([[
    package.path, package.cpath = %q, %q
    local e = require "wasm".instantiate("(module (func (export \"spin\") (loop $l (br $l)))" ..
      "(func (export \"one\") (result i32) (i32.const 1)))").exports
    io.stderr:write "ready\n"]]):format(package.path, package.cpath) .. "\n" .. body
  local script = ([[
    err=%s
    %s -e %s 2>"$err" & pid=$!
    (sleep 20; kill -KILL $pid) >/dev/null 2>&1 & guard=$!
    i=0; until grep -q ready "$err" || [ $i -ge 100 ]; do sleep 0.05; i=$((i + 1)); done
    sleep 0.1
    kill -INT $pid
    wait $pid; echo "status $?" >>"$err"
    kill $guard
    cat "$err"; rm -f "$err"]]):format(quote(work), quote(arg[-1]), quote(chunk))
  local pipe = assert(io.popen("sh -c " .. quote(script) .. " 2>&1"))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

if arg[-1] and not t.is_sanitized then
  test("Ctrl-C of the program `lua` stops an endless guest", function()
    local text = interrupt "local ok, err = pcall(e.spin) error(tostring(err) .. e.one(), 0)"
    eq(text:find "interrupted!1\n" ~= nil, true, text)
    eq(text:find("status 1\n", 1, true) ~= nil, true, text)
    text = interrupt "e.spin()"
    eq(text:find "interrupted!" ~= nil, true, text)
    eq(text:find("status 1\n", 1, true) ~= nil, true, text)
  end)
end
