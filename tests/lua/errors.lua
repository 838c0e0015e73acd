-- Three kinds of errors, three ways; what error objects say.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

test("the outside world returns nil, err", function()
  local m, err = wasm.load "not a module"
  eq(m, nil)
  eq(wasm.type(err), "error")
  eq(err.kind, "malformed")
  eq(type(err.message), "string")
  eq(err.line, 1)
  m, err = wasm.load "(module (func (result i32)))"
  eq(m, nil)
  eq(err.kind, "invalid")
  m, err = wasm.load "\0asm\1\0\0\0\1"
  eq(m, nil)
  eq(err.kind, "malformed")
  eq(type(err.offset), "number")
  m, err = wasm.load "\0asm\13\0\1\0"
  eq(m, nil)
  eq(err.kind, "unsupported")
  eq(err.message:find("component") ~= nil, true)
  eq(wasm.type(wasm.load ""), "module") -- the text format allows it
end)

test("loadfile", function()
  local m, err = wasm.loadfile "/nonexistent/x.wasm"
  eq(m, nil)
  eq(err.kind, "io")
  eq(err.file, "/nonexistent/x.wasm")
end)

test("features can be switched off", function()
  local source = "(module (func (param v128)))"
  eq(wasm.validate(source), true)
  local m, err = wasm.load(source, {features = {simd = false}})
  eq(m, nil)
  eq(err.kind == "invalid" or err.kind == "malformed" or err.kind == "unsupported", true)
  wasm.config {features = {simd = false}}
  eq(wasm.load(source), nil)
  eq(wasm.type(wasm.load(source, {features = {simd = true}})), "module")
  wasm.config {features = {}}
  eq(wasm.type(wasm.load(source)), "module")
end)

test("validate", function()
  eq(wasm.validate "(module)", true)
  local ok, err = wasm.validate "(module (func (i32.add)))"
  eq(ok, nil)
  eq(err.kind, "invalid")
end)

test("traps are objects with frames", function()
  local e = t.exports [[(module $m (memory 1)
    (func $inner (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "outer") (param i32) (result i32) (call $inner (local.get 0))))]]
  local err = t.traps("trap", "out of bounds memory access", e.outer, -1)
  eq(err.message:find("out of bounds memory access", 1, true) ~= nil, true)
  eq(#err.frames, 2)
  eq(err.frames[1].func, "inner")
  eq(err.frames[1].module, "m")
  eq(err.frames[1].index, 0)
  eq(err.frames[2].index, 1)
  eq(type(err.frames[1].offset), "number")
  eq(err.frames, err.frames)
  local text = tostring(err)
  eq(text:find("inner", 1, true) ~= nil, true)
  eq(text:sub(1, #err.message), err.message)
  eq(err.nonsense, nil)
  eq(err[1], nil)
end)

-- Small functions, and those that call themselves, are part of their callers in compiled code.
test("frames are the same on every engine", function()
  for _, engine in ipairs(wasm.config().supported.engines) do
    local module = assert(wasm.load([[(module (memory 1)
      (func $get (param i32) (result i32) (i32.load (local.get 0)))
      (func $next (param i32) (result i32) (i32.add (call $get (local.get 0)) (i32.const 1)))
      (func $sum (export "sum") (param i32) (result i32)
        (if (result i32) (i32.gt_s (local.get 0) (i32.const -4))
          (then (i32.add (call $next (local.get 0))
                         (call $sum (i32.sub (local.get 0) (i32.const 1)))))
          (else (unreachable)))))]], {engine = engine}))
    local sum = module:instantiate().exports.sum
    local err = t.traps("trap", "out of bounds memory access", sum, -1)
    eq(#err.frames, 3)
    eq(err.frames[1].func, "get")
    eq(err.frames[2].func, "next")
    eq(err.frames[3].func, "sum")
    err = t.traps("trap", "out of bounds memory access", sum, 2)
    local names = {}
    for i, frame in ipairs(err.frames) do names[i] = frame.func end
    eq(table.concat(names, " "), "get next sum sum sum sum")
  end
end)

test("trap texts", function()
  local e = t.exports [[(module (memory 1) (table 1 funcref) (type $t (func))
    (func (export "unreachable") (unreachable))
    (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
    (func (export "trunc") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
    (func (export "indirect") (param i32) (call_indirect (type $t) (local.get 0)))
    (func $r (export "recurse") (call $r)))]]
  t.traps("trap", "unreachable", e.unreachable)
  t.traps("trap", "integer divide by zero", e.div, 1, 0)
  t.traps("trap", "integer overflow", e.div, -2147483648, -1)
  t.traps("trap", "invalid conversion to integer", e.trunc, 0 / 0)
  t.traps("trap", "uninitialized element", e.indirect, 0)
  t.traps("trap", "undefined element", e.indirect, 1)
  for _ = 1, 20 do t.traps("trap", "call stack exhausted", e.recurse) end
  eq(e.div(6, 3), 2)
end)

test("wasm.trap", function()
  local e = t.exports([[(module (import "e" "f" (func $f))
    (func $mid (call $f)) (func (export "g") (call $mid)))]],
    {e = {f = function() wasm.trap "no such luck" end}})
  local err = t.traps("trap", "no such luck", e.g)
  eq(err.message, "no such luck")
  eq(err.frames[1].func, "mid")
  eq(pcall(wasm.trap, "x"), false)
end)

test("a value that a host closure raises stays the same", function()
  local value
  local e = t.exports([[(module (import "e" "f" (func $f))
    (func $mid (call $f)) (func (export "g") (call $mid)))]],
    {e = {f = function() error(value, 0) end}})
  for _, x in ipairs {"text", 5, true, {}, print, io.stdout, 2.5} do
    value = x
    local ok, err = pcall(e.g)
    eq(ok, false)
    eq(err, x)
  end
  value = nil
  eq(select("#", pcall(e.g)), 2)
  eq(select(2, pcall(e.g)), nil)
end)

test("errors cross nested guests and leave them usable", function()
  local depth, e = 0, nil
  e = t.exports([[(module (import "e" "f" (func $f (param i32) (result i32)))
    (func (export "g") (param i32) (result i32)
      (i32.add (call $f (local.get 0)) (i32.const 1))))]],
    {e = {f = function(n)
      depth = depth + 1
      if n == 0 then error {"bottom"} end
      return e.g(n - 1)
    end}})
  local ok, err = pcall(e.g, 20)
  eq(ok, false)
  eq(err[1], "bottom")
  eq(depth, 21)
  ok, err = pcall(e.g, 0)
  eq(err[1], "bottom")
end)

test("a closure may catch what its guest raises", function()
  local e
  e = t.exports([[(module (import "e" "f" (func $f (result i32)))
    (func (export "g") (result i32) (call $f)) (func (export "trap") (unreachable)))]],
    {e = {f = function()
      local ok, err = pcall(e.trap)
      return ok and 0 or err.code == "unreachable" and 1 or 2
    end}})
  for _ = 1, 1000 do eq(e.g(), 1) end
end)

test("a million errors leak no stack", function()
  local e = t.exports([[(module (import "e" "f" (func $f)) (func $mid (call $f))
    (func (export "g") (call $mid)))]], {e = {f = function() error "x" end}})
  local g = e.g
  for _ = 1, 200000 do pcall(g) end
  local before = t.resident()
  for _ = 1, 200000 do pcall(g) end
  if before then eq(t.resident() - before < 4e6, true) end
end)

test("infinite recursion through Lua ends", function()
  local e
  e = t.exports([[(module (import "e" "f" (func $f)) (func (export "g") (call $f)))]],
    {e = {f = function() e.g() end}})
  for _ = 1, 3 do
    local ok, err = pcall(e.g)
    eq(ok, false)
    eq(tostring(err):find("stack") ~= nil or tostring(err):find("exhausted") ~= nil, true)
  end
end)

test("errors as strings", function()
  local e = t.exports [[(module (func (export "f") (unreachable)))]]
  wasm.config {errors = "string"}
  local ok, err = pcall(e.f)
  wasm.config {errors = "object"}
  eq(ok, false)
  eq(type(err), "string")
  eq(err:find("^unreachable") ~= nil, true)
  t.traps("trap", "unreachable", e.f)
end)

test("error objects are not written to, and have a type", function()
  local _, err = wasm.load "("
  eq(wasm.type(err), "error")
  eq(pcall(function() err.kind = "x" end), false)
end)

test("exceptions made by Lua", function()
  local tag = wasm.tag("i32", "f64")
  eq(wasm.type(tag), "tag")
  eq(wasm.signature(tag):find("i32 f64", 1, true) ~= nil, true)
  local e = wasm.exception(tag, 1, 2)
  eq(wasm.type(e), "exception")
  eq(e.tag, tag)
  eq(e[1], 1)
  eq(e[2], 2.0)
  eq(e.kind, "exception")
  t.misuse("bad argument #2 to 'exception' (i32 expected, got string)", wasm.exception, tag, "x",
           1)
  t.misuse("bad argument #3 to 'exception'", wasm.exception, tag, 1)
  eq(wasm.type(wasm.luaerror), "tag")
end)

test("a backtrace names functions by their exports where nothing else does, and folds repeats", function()
  local i = assert(wasm.instantiate([[(module (func (export "down") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (unreachable)))
    (i32.add (i32.const 1) (call 0 (i32.sub (local.get 0) (i32.const 1))))))]]))
  local _, err = pcall(i.exports.down, 10)
  eq(#err.frames, 11)
  eq(err.frames[1].func, "down")
  local text = tostring(err)
  local lines = select(2, text:gsub("\n", "\n"))
  eq(lines, 4)
  eq(text:match("\n  1: down %(offset 0x%x+%)\n     %(9 more of this%)$") ~= nil, true)
end)

test("traps without signals", function()
  wasm.config {signals = false}
  local ok, failure = pcall(function()
    local e = t.exports([[(module (memory 1) (table 1 funcref) (type $v (func))
      (func (export "load") (param i32) (result i32) (i32.load offset=4 (local.get 0)))
      (func (export "store") (param i32) (i64.store (local.get 0) (i64.const 1)))
      (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
      (func (export "rem") (param i32 i32) (result i32) (i32.rem_u (local.get 0) (local.get 1)))
      (func (export "trunc") (param f32) (result i32) (i32.trunc_f32_s (local.get 0)))
      (func (export "call") (call_indirect (type $v) (i32.const 0)))
      (func $deep (export "deep") (call $deep) (drop (i32.const 1)))
      (func $trap (unreachable)) (func $mid (call $trap)) (func (export "trap") (call $mid)))]])
    t.eq(e.load(65528), 0)
    t.traps("trap", "out of bounds memory access", e.load, 65529)
    t.traps("trap", "out of bounds memory access", e.load, -1)
    t.traps("trap", "out of bounds memory access", e.store, 65529)
    t.traps("trap", "integer divide by zero", e.div, 1, 0)
    t.traps("trap", "integer overflow", e.div, -2147483648, -1)
    t.eq(e.div(-7, -1), 7)
    t.traps("trap", "integer divide by zero", e.rem, 1, 0)
    t.traps("trap", "integer overflow", e.trunc, 1e10)
    t.traps("trap", "invalid conversion to integer", e.trunc, 0 / 0)
    t.traps("trap", "uninitialized element", e.call)
    t.traps("trap", "call stack exhausted", e.deep)
    local err = t.traps("trap", "unreachable", e.trap)
    t.eq(#err.frames, 3)
    t.eq(err.frames[2].func, "mid")
  end)
  wasm.config {signals = true}
  assert(ok, failure)
end)

test("a link error tells of all imports that are wrong", function()
  local m, err = wasm.instantiate([[(module (import "env" "a" (func (param i32)))
    (import "env" "fine" (func)) (import "env" "b" (memory 1)) (import "x" "c" (global i32)))]],
    {env = {a = 5, fine = print, b = "text"}})
  eq(m, nil)
  eq(err.kind, "link")
  eq(err.message, 'import "env" "a": wanted (func (param i32)), given number\n' ..
    'import "env" "b": wanted (memory 1), given string\n' ..
    'import "x" "c": wanted (global i32), given nil: imports has no \'x\'')
  local imports = {}
  for i = 1, 20 do imports[i] = ('(import "e" "f%d" (func))'):format(i) end
  m, err = wasm.instantiate("(module " .. table.concat(imports) .. ")")
  eq(m, nil)
  eq(err.message:match "f16", "f16")
  eq(err.message:match "f17", nil)
  eq(err.message:match "\n(and .*)$", "and 4 more")
end)

test("message handlers see both worlds", function()
  local key = {}
  local raised = "no luck"
  local e = t.exports([[(module $m (import "env" "f" (func $f))
    (func $inner (call $f)) (func (export "g") (call $inner))
    (func $fail (export "fail") (unreachable)))]],
    {env = {f = function() error(raised, 0) end}})
  local function host() e.g() end
  local function check(text, ...)
    for _, wanted in ipairs {...} do
      if not text:find(wanted, 1, true) then t.fail(wanted .. " is not in " .. text) end
    end
  end
  check(select(2, xpcall(host, wasm.traceback)), "no luck", "m!inner", "m!g", "stack traceback",
    "errors.lua")
  check(select(2, xpcall(e.fail, wasm.traceback)), "unreachable", "m!fail", "stack traceback")
  local _, seen = xpcall(host, function(err) return {err, debug.traceback()} end)
  eq(seen[1], "no luck")
  check(seen[2], "errors.lua", "stack traceback")
  _, seen = xpcall(e.fail, function(err) return {err.kind, err.frames[1].func} end)
  eq(seen[1] .. seen[2], "trapfail")
  raised = key
  eq(select(2, xpcall(e.g, wasm.traceback)), key)
  local co = coroutine.create(e.g)
  eq(select(2, coroutine.resume(co)), key)
  check(wasm.traceback "here", "here", "stack traceback", "errors.lua")
  check(wasm.traceback(), "stack traceback")
  eq(wasm.traceback(key), key)
  -- Guests that an error has left are in no backtrace.
  eq(wasm.traceback("here"):find("wasm backtrace", 1, true), nil)
  eq(#t.traps("trap", "out of bounds memory access", wasm.memory().read, wasm.memory(), 0, 1).frames, 0)
end)

test("the same value comes out, through guests and back", function()
  local values = {"text", 42, 1.5, true, false, {}, print, coroutine.create(function() end)}
  local raised
  local e = t.exports([[(module (import "env" "f" (func $f)) (import "env" "again" (func $again))
    (func (export "g") (call $f)) (func (export "h") (call $again)))]],
    {env = {f = function() error(raised, 0) end, again = function() return raised, error(raised, 0) end}})
  for _, value in ipairs(values) do
    raised = value
    for _, name in ipairs {"g", "h"} do
      local ok, got = pcall(e[name])
      eq(ok, false)
      eq(rawequal(got, value), true)
    end
  end
  raised = nil
  local results = t.pack(pcall(e.g))
  eq(results[1], false)
  eq(results[2], nil)
end)

test("an instance goes on after every kind of end", function()
  local i = assert(wasm.instantiate([[(module (memory 1) (tag $e (param i32))
    (type $s (struct (field i32))) (type $a (array (mut i64))) (type $l (array (ref null $a)))
    (func (export "throw") (throw $e (i32.const 1)))
    (func (export "null") (result i32) (struct.get $s 0 (ref.null $s)))
    (func (export "cast") (result i32)
      (struct.get $s 0 (ref.cast (ref $s) (ref.i31 (i32.const 1)))))
    (func (export "heap") (result i32) (local $l (ref null $l)) (local $n i32)
      (local.set $l (array.new_default $l (i32.const 1000)))
      (loop $again
        (drop (array.new $a (i64.const 1) (i32.const 100000)))
        (local.set $l (array.new $l (array.new $a (i64.const 1) (i32.const 100000))
          (i32.const 100000)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 10)))) (local.get $n))
    (func (export "misaligned") (result i32) (i32.atomic.load (i32.const 2)))
    (func (export "wait") (result i32)
      (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0)))
    (func (export "ok") (result i32) (struct.get $s 0 (struct.new $s (i32.const 7)))))]], nil,
    {memory = 1000000}))
  local e = i.exports
  for _ = 1, 3 do
    eq(t.wasm.type(select(2, pcall(e.throw))), "exception")
    eq(e.ok(), 7)
    t.traps("trap", "null structure reference", e.null)
    eq(e.ok(), 7)
    t.traps("trap", "cast failure", e.cast)
    eq(e.ok(), 7)
    eq(pcall(e.heap), false)
    eq(e.ok(), 7)
    t.traps("trap", "unaligned atomic", e.misaligned)
    eq(e.ok(), 7)
    t.traps("trap", "expected shared memory", e.wait)
    eq(e.ok(), 7)
  end
end)
