-- Lua's collector frees what nobody holds, cycles included.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

local function flat(n, f)
  for i = 1, n do f(i) end
  t.collect()
  local before, lua_before = t.resident(), collectgarbage "count"
  for i = 1, n do f(i) end
  t.collect()
  eq(collectgarbage "count" - lua_before < 500, true, "Lua memory")
  if before then
    local grown = t.resident() - before
    if grown > 16e6 then t.fail(("grew by %d bytes"):format(grown), 2) end
  end
end

test("a closure that refers to its instance", function()
  local m = assert(wasm.load [[(module (import "e" "f" (func $f (result i32))) (memory 1)
    (func (export "g") (result i32) (call $f)))]])
  flat(10000, function(n)
    local i
    i = m:instantiate {e = {f = function() return i and n or 0 end}}
    if i.exports.g() ~= n then error "wrong" end
  end)
end)

-- Each of them joins a store that goes on, and owns a memory, a table and globals.
test("instances that fail leave nothing in the stores they were to join", function()
  local host = assert(wasm.instantiate [[(module (table (export "t") 4 funcref) (func (export "f"))
    (global (export "g") funcref (ref.null func)))]])
  local failing = {
    data = [[(import "h" "f" (func)) (memory 1) (data (i32.const 65536) "a")]],
    element = [[(import "h" "g" (global funcref)) (table 4 funcref) (memory 1) (func $f)
      (global funcref (ref.func $f)) (elem (i32.const 0) $f) (elem (i32.const 4) $f)]],
    memory = [[(import "h" "t" (table 1 funcref)) (table 100 funcref) (memory 3)]],
    link = [[(import "h" "f" (func)) (import "h" "f" (memory 1))]],
  }
  for name, fields in pairs(failing) do
    local m = assert(wasm.load("(module " .. fields .. ")"))
    flat(t.is_sanitized and 300 or name == "data" and 50000 or 5000, function()
      local none, err = m:instantiate({h = host}, {memory = 100000})
      if none or not err then error "not failed" end
    end)
  end
end)

-- What was written to an imported table before a later segment failed is called afterwards.
test("functions of an instance that failed stay where they were written", function()
  local host = assert(wasm.instantiate [[(module (table (export "t") 4 funcref)
    (func (export "call") (result i32) (call_indirect (result i32) (i32.const 1))))]])
  for n = 1, 3 do
    local none, err = wasm.instantiate([[(module (import "h" "t" (table 4 funcref))
      (import "e" "f" (func $f (result i32))) (memory 1) (data (i32.const 8) "\05")
      (func $g (result i32) (i32.add (call $f) (i32.load (i32.const 8))))
      (elem (i32.const 1) $g) (data (i32.const 65536) "a"))]],
      {h = host, e = {f = function() return n end}})
    eq(none, nil)
    eq(err.code, "out of bounds memory access")
    t.collect()
    eq(host.exports.call(), n + 5)
  end
end)

test("plugins that share a function, a memory and a global are freed one by one", function()
  local m = assert(wasm.load [[(module (import "e" "log" (func $log (param i32)))
    (import "e" "m" (memory 1)) (import "e" "g" (global (mut i32))) (memory 1)
    (func (export "run") (call $log (i32.const 1))))]])
  local imports = {e = {log = function() end, m = wasm.memory {min = 1},
                        g = wasm.global("i32", 0, true)}}
  local alive = setmetatable({}, {__mode = "k"})
  local plugins = {}
  for k = 1, 1000 do
    plugins[k] = m:instantiate(imports)
    alive[plugins[k]] = true
  end
  local function count()
    t.collect()
    local n = 0
    for _ in pairs(alive) do n = n + 1 end
    return n
  end
  eq(count(), 1000)
  for k = 1, 1000, 2 do plugins[k] = nil end
  eq(count(), 500)
  -- In a function of its own: LuaJIT keeps what lies in stale slots of a loop.
  local function run_all()
    for _, plugin in pairs(plugins) do plugin.exports.run() end
  end
  run_all()
  plugins = nil
  eq(count(), 0)
end)

test("extern values are freed with their instance", function()
  local m = assert(wasm.load [[(module (table 1 externref) (func (export "put") (param externref)
    (table.set (i32.const 0) (local.get 0))))]])
  local alive = setmetatable({}, {__mode = "k"})
  for _ = 1, 100 do
    local i = m:instantiate()
    local value = {i}
    alive[value] = true
    i.exports.put(value)
  end
  t.collect()
  eq(next(alive), nil)
end)

test("tables joined with instances", function()
  local m = assert(wasm.load [[(module (import "e" "t" (table 1 funcref)) (import "e" "f" (func $f))
    (func $g (call $f)) (elem (i32.const 0) $g))]])
  flat(3000, function()
    local tab, i = wasm.table {min = 1}, nil
    i = m:instantiate {e = {t = tab, f = function() return i, tab end}}
    tab:get(0)()
  end)
end)

test("chains of instances", function()
  local m = assert(wasm.load [[(module (import "e" "f" (func $f)) (func (export "f") (call $f)))]])
  flat(300, function()
    local f = function() end
    for _ = 1, 10 do f = m:instantiate({e = {f = f}}).exports.f end
    f()
  end)
end)

test("many memories, in proportion", function()
  flat(5000, function() wasm.memory {min = 1}:store("i32", 0, 1) end)
end)

test("modules and errors", function()
  flat(2000, function(n)
    wasm.load(("(module (func (export \"f%d\") (result i32) (i32.const %d)))"):format(n, n))
    wasm.load "(module (func (result i32)))"
    pcall(wasm.load "(module (func $f (unreachable)) (export \"f\" (func $f)))":instantiate().exports.f)
  end)
end)

test("typed functions", function()
  flat(5000, function()
    local f
    f = wasm.func("(param externref)", function() return f end)
    f {}
  end)
end)

test("new extern values in one instance", function()
  local e = t.exports [[(module (func (export "f") (param externref) (result externref)
    (local.get 0)))]]
  local shared = {}
  for _ = 1, 20000 do e.f(shared) end
  for n = 1, 1000 do eq(e.f(n), n) end
end)
