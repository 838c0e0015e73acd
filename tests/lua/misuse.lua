-- Misuse raises strings that name the function, the argument and what was expected.
local t = ...
local wasm, test = t.wasm, t.test

test("loading", function()
  t.misuse("bad argument #1 to 'load' (string expected, got no value)", wasm.load)
  t.misuse("bad argument #1 to 'load' (string expected, got table)", wasm.load, {})
  t.misuse("bad argument #1 to 'validate' (string expected, got nil)", wasm.validate, nil)
  t.misuse("bad argument #1 to 'loadfile' (path expected, got nil)", wasm.loadfile, nil)
  t.misuse("bad argument #1 to 'wat2wasm' (string expected, got nil)", wasm.wat2wasm, nil)
  t.misuse("bad argument #1 to 'wasm2wat' (string expected, got nil)", wasm.wasm2wat, nil)
  t.misuse("bad argument #2 to 'load' (table expected, got number)", wasm.load, "(module)", 5)
end)

test("unknown options name the nearest", function()
  t.misuse("unknown option 'featurs' to 'load' (did you mean 'features'?)", wasm.load,
           "(module)", {featurs = {}})
  t.misuse("unknown option 'Name' to 'load' (did you mean 'name'?)", wasm.load, "(module)",
           {Name = "x"})
  t.misuse("unknown feature 'simdd' to 'load' (did you mean 'simd'?)", wasm.load, "(module)",
           {features = {simdd = true}})
  t.misuse("unknown option 'feul' to 'instantiate' (did you mean 'fuel'?)", wasm.instantiate,
           "(module)", nil, {feul = 1})
  t.misuse("unknown option 'mix' to 'memory' (did you mean 'min'?)", wasm.memory, {mix = 1})
  t.misuse("unknown option 'tipe' to 'table' (did you mean 'type'?)", wasm.table, {tipe = 1})
  t.misuse("unknown option 'error' to 'config' (did you mean 'errors'?)", wasm.config,
           {error = 1})
  t.misuse("a key is a number, not a name", wasm.load, "(module)", {1})
end)

test("option values", function()
  t.misuse("bad option 'name' to 'load' (string expected, got 5)", wasm.load, "(module)",
           {name = 5})
  t.misuse("bad option 'engine' to 'load'", wasm.load, "(module)", {engine = "jit"})
  t.misuse("bad option 'deterministic' to 'load' (boolean expected", wasm.load, "(module)",
           {deterministic = 1})
  t.misuse("bad option 'features' to 'load' (table expected", wasm.load, "(module)",
           {features = "simd"})
  t.misuse("names = booleans expected", wasm.load, "(module)", {features = {simd = 1}})
  t.misuse("bad option 'i64' to 'load'", wasm.load, "(module)", {i64 = "maybe"})
  t.misuse("bad option 'fuel' to 'instantiate' (count expected, got -1)", wasm.instantiate,
           "(module)", nil, {fuel = -1})
  t.misuse("bad option 'fuel' to 'instantiate' (count expected", wasm.instantiate, "(module)",
           nil, {fuel = 1.5})
  for _, bytes in ipairs {1e12, 2 ^ 30 + 1, -1} do
    t.misuse("bad option 'stack' to 'instantiate' (count of at most 1 GiB expected, got ",
             wasm.instantiate, "(module)", nil, {stack = bytes})
  end
  t.misuse("bad option 'timeout' to 'instantiate' (seconds expected", wasm.instantiate,
           "(module)", nil, {timeout = "soon"})
  t.misuse("bad option 'on_limit' to 'instantiate'", wasm.instantiate, "(module)", nil,
           {on_limit = "stop"})
  t.misuse("bad option 'min' to 'memory' (count expected", wasm.memory, {min = "1"})
  t.misuse("a shared memory needs 'max'", wasm.memory, {shared = true})
  t.misuse("bad option 'index' to 'memory'", wasm.memory, {index = "i16"})
  t.misuse("bad option 'type' to 'table'", wasm.table, {type = "i32"})
  t.misuse("bad option 'errors' to 'config'", wasm.config, {errors = "no"})
end)

test("instantiate", function()
  t.misuse("bad argument #1 to 'instantiate' (module or string expected, got nil)",
           wasm.instantiate)
  t.misuse("bad argument #2 to 'instantiate' (table of imports expected, got string)",
           wasm.instantiate, "(module)", "x")
  local m = assert(wasm.load "(module)")
  t.misuse("unknown option 'name' to 'instantiate'", m.instantiate, m, nil, {name = "x"})
end)

test("methods on something else", function()
  local m = assert(wasm.load "(module)")
  t.misuse("bad argument #1 to 'sections' (module expected, got table)", m.sections, {})
  local i = m:instantiate()
  t.misuse("bad argument #1 to 'usage' (instance expected, got no value)", i.usage)
  t.misuse("bad argument #1 to 'read' (memory expected, got table)", wasm.memory().read, {}, 0, 0)
  t.misuse("bad argument #1 to 'get' (table expected, got userdata)", wasm.table().get,
           wasm.memory(), 0)
end)

test("constructors", function()
  t.misuse("bad argument #1 to 'global' (value type as a string expected, got nil)", wasm.global)
  t.misuse("unknown value type 'i33'", wasm.global, "i33", 1)
  t.misuse("bad argument #2 to 'global' (i32 expected, got string)", wasm.global, "i32", "x")
  t.misuse("bad argument #1 to 'func' (function type as a string expected", wasm.func, 5)
  t.misuse("bad argument #1 to 'func'", wasm.func, "(param i33)", print)
  t.misuse("bad argument #2 to 'func' (function expected, got nil)", wasm.func, "(param i32)")
  t.misuse("unknown value type 'x'", wasm.tag, "i32", "x")
  t.misuse("bad argument #1 to 'exception' (tag expected, got no value)", wasm.exception)
  t.misuse("bad argument #1 to 'signature' (a wasm object expected, got number)",
           wasm.signature, 5)
  t.misuse("bad argument #1 to 'share'", wasm.share, 5)
  t.misuse("bad argument #1 to 'adopt'", wasm.adopt, "x")
  t.misuse("bad argument #1 to 'trap' (string expected, got no value)", wasm.trap)
end)
