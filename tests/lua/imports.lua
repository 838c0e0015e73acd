-- What may be imported, and what link errors say.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

local function link_error(text, source, imports)
  local i, err = wasm.instantiate(source, imports)
  if i then t.fail("linked", 2) end
  if wasm.type(err) ~= "error" or err.kind ~= "link" then t.fail(tostring(err), 2) end
  if not err.message:find(text, 1, true) then
    t.fail(("message %q, wanted %q"):format(err.message, text), 2)
  end
end

test("missing imports are named", function()
  local source = [[(module (import "env" "log" (func (param i32))))]]
  link_error('import "env" "log": wanted (func (param i32)), given nil', source)
  link_error("given nil", source, {})
  link_error("given nil", source, {env = {}})
  link_error("given nil", source, {env = {Log = print}})
  link_error("given nil", source, {env = "log"})
end)

test("which level of a missing import is missing", function()
  local source = [[(module (import "env" "on_word" (func)))]]
  local before = 'import "env" "on_word": wanted (func), given nil: '
  link_error(before .. "no imports", source)
  link_error(before .. "imports has no 'env'", source, {x = {}})
  link_error(before .. "imports has no 'env' (did you mean 'enf'?)", source, {enf = {}, enw = {}})
  link_error(before .. "env is a function", source, {env = print})
  link_error(before .. "env has no 'on_word' (did you mean 'onword'?)", source,
             {env = {onword = print, unlike = print, [1] = print}})
  local _, err = wasm.instantiate(source, {env = {unlike = print}})
  eq(err.message, before .. "env has no 'on_word'")
end)

test("imports of another kind", function()
  local f = [[(module (import "a" "b" (func)))]]
  link_error("wanted (func), given number", f, {a = {b = 1}})
  link_error("given table", f, {a = {b = {}}})
  link_error("given (memory 1)", f, {a = {b = wasm.memory {min = 1}}})
  link_error("wanted (memory 1), given function", [[(module (import "a" "b" (memory 1)))]],
             {a = {b = print}})
  link_error("wanted (global i32), given number", [[(module (import "a" "b" (global i32)))]],
             {a = {b = 1}})
  link_error("given (global i32)", [[(module (import "a" "b" (table 1 funcref)))]],
             {a = {b = wasm.global("i32", 1)}})
  link_error("given string", [[(module (import "a" "b" (tag)))]], {a = {b = "x"}})
end)

test("imports of another type", function()
  local e = t.exports [[(module (func (export "f") (param i64)))]]
  link_error('"a" "b"', [[(module (import "a" "b" (func (param i32))))]], {a = {b = e.f}})
  link_error('"a" "b"', [[(module (import "a" "b" (memory 2)))]],
             {a = {b = wasm.memory {min = 1}}})
  link_error('"a" "b"', [[(module (import "a" "b" (memory 1 2)))]],
             {a = {b = wasm.memory {min = 1}}})
  link_error('"a" "b"', [[(module (import "a" "b" (global i32)))]],
             {a = {b = wasm.global("i32", 1, true)}})
  link_error('"a" "b"', [[(module (import "a" "b" (global (mut i64))))]],
             {a = {b = wasm.global("i32", 1, true)}})
  link_error('"a" "b"', [[(module (import "a" "b" (table 1 funcref)))]],
             {a = {b = wasm.table {type = "externref", min = 1}}})
  link_error('"a" "b"', [[(module (import "a" "b" (func (param i32))))]],
             {a = {b = wasm.func("(param f32)", print)}})
end)

test("everything that can be imported", function()
  local memory, global = wasm.memory {min = 1}, wasm.global("i32", 40, true)
  local table_, tag = wasm.table {min = 2}, wasm.tag("i32")
  local first = t.exports [[(module (func (export "two") (result i32) (i32.const 2)))]]
  local i = assert(wasm.instantiate([[(module
    (import "e" "m" (memory 1)) (import "e" "g" (global $g (mut i32)))
    (import "e" "t" (table $t 2 funcref)) (import "e" "tag" (tag (param i32)))
    (import "e" "two" (func $two (result i32))) (import "e" "three" (func $three (result i32)))
    (import "e" "typed" (func $typed (result i32)))
    (export "m" (memory 0)) (export "g" (global 0)) (export "t" (table 0)) (export "tag" (tag 0))
    (export "two" (func $two)) (export "three" (func $three)) (export "typed" (func $typed))
    (func (export "f") (result i32)
      (global.set $g (i32.add (global.get $g) (call $two)))
      (i32.store (i32.const 0) (global.get $g))
      (table.set $t (i32.const 0) (ref.func $two))
      (table.set $t (i32.const 1) (ref.func $three))
      (i32.add (call $three) (call $typed)))
    (elem declare func $two $three))]],
    {e = {m = memory, g = global, t = table_, tag = tag, two = first.two,
          three = function() return 3 end, typed = wasm.func("(result i32)", function()
            return 100
          end)}}))
  eq(i.exports.f(), 103)
  eq(global.value, 42)
  eq(memory:load("i32", 0), 42)
  eq(table_:get(0), first.two)
  eq(table_:get(1)(), 3)
  eq(i.exports.m, memory)
  eq(i.exports.g, global)
  eq(i.exports.t, table_)
  eq(i.exports.tag, tag)
  eq(i.exports.two, first.two)
  eq(i.exports.three(), 3)
  eq(i.exports.three, table_:get(1))
  eq(i.exports.typed(), 100)
  eq(wasm.signature(i.exports.three), "(func (result i32))")
end)

test("an instance as a module of imports, and __index", function()
  local a = wasm.instantiate [[(module (func (export "f") (result i32) (i32.const 5)))]]
  local source = [[(module (import "a" "f" (func $f (result i32)))
    (func (export "g") (result i32) (call $f)))]]
  eq(t.exports(source, {a = a}).g(), 5)
  local asked = {}
  local imports = setmetatable({}, {__index = function(_, module)
    return setmetatable({}, {__index = function(_, name)
      asked[#asked + 1] = module .. "." .. name
      return a.exports[name]
    end})
  end})
  eq(t.exports(source, imports).g(), 5)
  eq(asked[1], "a.f")
  eq(t.exports(source, {a = a.exports}).g(), 5)
end)

test("functions of closed instances are refused", function()
  local a = wasm.instantiate [[(module (func (export "f") (result i32) (i32.const 5)))]]
  local f = a.exports.f
  a:close()
  t.misuse("instance is closed", wasm.instantiate, [[(module (import "a" "f" (func (result i32))))]],
           {a = {f = f}})
  t.misuse("instance is closed", wasm.instantiate, [[(module (import "a" "f" (func (result i32))))]],
           {a = a})
end)

test("errors in __index are raised as they are", function()
  local key = {}
  local ok, err = pcall(wasm.instantiate, [[(module (import "a" "f" (func)))]],
                        setmetatable({}, {__index = function() error(key) end}))
  eq(ok, false)
  eq(err, key)
end)

test("the start function", function()
  local log = {}
  local e = t.exports([[(module (import "e" "f" (func $f (param i32)))
    (func $start (call $f (i32.const 7))) (start $start) (func (export "g")))]],
    {e = {f = function(x) log[#log + 1] = x end}})
  eq(log[1], 7)
  eq(type(e.g), "function")
  local i, err = wasm.instantiate [[(module (func $s (unreachable)) (start $s))]]
  eq(i, nil)
  eq(err.kind, "trap")
  eq(err.code, "unreachable")
  local key = {}
  local ok, raised = pcall(wasm.instantiate, [[(module (import "e" "f" (func $f)) (start $f))]],
                           {e = {f = function() error(key) end}})
  eq(ok, false)
  eq(raised, key)
  local calls = 0
  assert(wasm.instantiate([[(module (import "e" "f" (func $f)) (start $f))]],
                          {e = {f = function() calls = calls + 1 end}}))
  eq(calls, 1)
end)

test("active segments out of bounds", function()
  local i, err = wasm.instantiate [[(module (memory 1) (data (i32.const 65536) "x"))]]
  eq(i, nil)
  eq(err.kind, "trap")
  eq(err.code, "out of bounds memory access")
  i, err = wasm.instantiate [[(module (table 1 funcref) (elem (i32.const 1) $f) (func $f))]]
  eq(i, nil)
  eq(err.code, "out of bounds table access")
end)
