-- Module objects and what the module `wasm` does with binaries and texts.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

local source = [[(module $demo
  (import "env" "log" (func (param i32)))
  (import "env" "mem" (memory 1 2))
  (import "env" "tab" (table 1 funcref))
  (import "env" "g" (global (mut i32)))
  (import "env" "t" (tag (param i32)))
  (func (export "f") (param i32 i64) (result f32) (f32.const 0))
  (memory (export "m") 1)
  (table (export "tab") 3 5 externref)
  (global (export "g") f64 (f64.const 1)))]]

test("imports and exports", function()
  local m = assert(wasm.load(source))
  eq(m.name, "demo")
  eq(#m.imports, 5)
  eq(m.imports[1].module, "env")
  eq(m.imports[1].name, "log")
  eq(m.imports[1].kind, "func")
  eq(m.imports[1].type, "(func (param i32))")
  eq(m.imports[2].kind, "memory")
  eq(m.imports[2].type, "(memory 1 2)")
  eq(m.imports[3].type, "(table 1 funcref)")
  eq(m.imports[4].type, "(global (mut i32))")
  eq(m.imports[5].kind, "tag")
  eq(#m.exports, 4)
  eq(m.exports[1].name, "f")
  eq(m.exports[1].type, "(func (param i32 i64) (result f32))")
  eq(m.exports[3].type, "(table 3 5 externref)")
  eq(m.exports[4].type, "(global f64)")
  eq(wasm.type(m), "module")
  eq(m.nonsense, nil)
end)

test("a file name is no text of a module", function()
  for _, name in ipairs {"words.wasm", "a/b.wat"} do
    for _, f in ipairs {wasm.load, wasm.instantiate, wasm.validate} do
      local _, err = f(name)
      eq(err.kind, "malformed")
      eq(err.message:match "%(.*$", "(a file name? wasm.loadfile reads files)")
    end
  end
  for _, text in ipairs {"(words.wasm", "words\n.wasm", "words.lua", ".wat"} do
    local _, err = wasm.load(text)
    eq(err.message:find("a file name", 1, true), nil)
  end
end)

test("tostring and signature", function()
  local m = assert(wasm.load(source))
  local text = tostring(m)
  eq(text:find("wasm module demo", 1, true), 1)
  eq(text:find("import env.log (func (param i32))", 1, true) ~= nil, true)
  eq(text:find("export f (func (param i32 i64) (result f32))", 1, true) ~= nil, true)
  eq(wasm.signature(m):find('(import "env" "log" (func (param i32)))', 1, true) ~= nil, true)
end)

test("the name option", function()
  local m = assert(wasm.load("(module)", {name = "given"}))
  eq(m.name, "given")
  eq(wasm.load("(module)").name, nil)
end)

test("wat2wasm, wasm2wat", function()
  local binary = assert(wasm.wat2wasm(source))
  eq(binary:sub(1, 4), "\0asm")
  eq(wasm.validate(binary), true)
  local text = assert(wasm.wasm2wat(binary))
  eq(text:find("(module", 1, true) ~= nil, true)
  eq(wasm.wat2wasm(text), binary)
  local none, err = wasm.wat2wasm "(modul)"
  eq(none, nil)
  eq(err.kind, "malformed")
  eq(err.line, 1)
  none, err = wasm.wasm2wat "garbage!"
  eq(none, nil)
  eq(err.kind, "malformed")
end)

test("a binary and a text are the same", function()
  local binary = wasm.wat2wasm [[(module (func (export "f") (result i32) (i32.const 5)))]]
  eq(wasm.load(binary):instantiate().exports.f(), 5)
end)

test("loadfile", function()
  local path = os.tmpname()
  for _, text in ipairs {"(module (func (export \"f\") (result i32) (i32.const 6)))"} do
    for _, bytes in ipairs {text, wasm.wat2wasm(text)} do
      local f = assert(io.open(path, "wb"))
      f:write(bytes)
      f:close()
      eq(assert(wasm.loadfile(path)):instantiate().exports.f(), 6)
    end
  end
  local f = assert(io.open(path, "wb"))
  f:write("(module (func (result i32)))")
  f:close()
  local m, err = wasm.loadfile(path)
  eq(m, nil)
  eq(err.kind, "invalid")
  eq(err.file, path)
  eq(err.line, 1)
  eq(err.message:sub(1, #path + 6), path .. ":1:27:")
  f = assert(io.open(path, "wb"))
  f:write "\0asm\1\0\0\0\9\1"
  f:close()
  m, err = wasm.loadfile(path)
  eq(m, nil)
  eq(err.message:sub(1, #path + 2), path .. ": ")
  eq(err.message:find("at offset 0x9", 1, true) ~= nil, true)
  eq(err.offset, 9)
  os.remove(path)
end)

test("custom sections", function()
  local binary = wasm.wat2wasm "(module)" .. "\0\5\1aone" .. "\0\3\1b2" .. "\0\5\1atwo"
  local m = assert(wasm.load(binary))
  local a = m:sections "a"
  eq(#a, 2)
  eq(a[1], "one")
  eq(a[2], "two")
  eq(m:sections("b")[1], "2")
  eq(#m:sections "c", 0)
end)

test("stats", function()
  local s = assert(wasm.load(source)):stats()
  eq(s.imports, 5)
  eq(s.exports, 4)
  eq(s.memories, 2)
  eq(type(s.code_bytes), "number")
end)

test("serialize", function()
  local m = assert(wasm.load [[(module (func (export "f") (result i32) (i32.const 8)))]])
  local s = m:serialize()
  local none, err = wasm.load(s)
  eq(none, nil)
  eq(err.kind, "unsupported")
  eq(assert(wasm.load(s, {native = true})):instantiate().exports.f(), 8)
  none, err = wasm.load(s:sub(1, -2) .. "x", {native = true})
  eq(none, nil)
  eq(err.kind, "malformed")
  for n = 8, #s - 1 do eq(wasm.load(s:sub(1, n), {native = true}), nil) end
  eq(wasm.type(wasm.load("(module)", {native = true})), "module")
end)

test("share and adopt", function()
  local m = assert(wasm.load [[(module (func (export "f") (result i32) (i32.const 9)))]])
  local token = wasm.share(m)
  eq(type(token), "string")
  eq(wasm.share(m), token)
  local other = assert(wasm.adopt(token))
  eq(other:instantiate().exports.f(), 9)
  m, other = nil, nil
  t.collect()
  local none, err = wasm.adopt(token)
  eq(none, nil)
  eq(err.kind, "link")
  local memory = wasm.memory {min = 1, max = 2, shared = true}
  token = wasm.share(memory)
  eq(wasm.adopt(token), memory)
  t.misuse("memory that is not shared", wasm.share, wasm.memory {min = 1})
end)

test("config", function()
  local c = wasm.config()
  eq(c.errors, "object")
  eq(type(c.features), "table")
  eq(type(c.supported.engines[1]), "string")
  eq(c.supported.features.simd, true)
  eq(wasm.config({errors = "object"}).errors, "object")
  eq(wasm._VERSION:find("^rille %d+%.%d+%.%d+$"), 1)
end)

test("wasm.type", function()
  for _, x in ipairs {1, "x", {}, print, true, io.stdout} do eq(wasm.type(x), nil) end
  eq(wasm.type(nil), nil)
  eq(wasm.type(wasm.memory()), "memory")
  eq(wasm.type(wasm.table()), "table")
  eq(wasm.type(wasm.global("i32", 1)), "global")
  eq(wasm.type(wasm.tag()), "tag")
  eq(wasm.type(wasm.func("", print)), "func")
  local i = wasm.instantiate [[(module (func (export "f")))]]
  eq(wasm.type(i), "instance")
  eq(wasm.type(i.exports.f), "func")
end)

test("engines", function()
  for _, engine in ipairs(wasm.config().supported.engines) do
    local m = assert(wasm.load("(module (func (export \"f\") (result i32) (i32.const 3)))",
                               {engine = engine, eager = true, deterministic = true}))
    eq(m:instantiate().exports.f(), 3)
  end
end)

test("what validation finds in text is told by line and column", function()
  local cases = {
    ["3:6: type mismatch"] = "(module\n  (func (result i32)\n    (i32.add\n      (i32.const 1))))",
    ["3:1: type mismatch"] = "(module (func\n i32.const 1\n))",
    ["2:2: duplicate export name"] = '(module (func (export "a"))\n(func (export "a")))',
    ["2:3: type mismatch"] = "(module (memory 1)\n (global i32\n (i64.const 1)))",
    ["4:4: unknown label 3"] = "(module (func\n block\n block\n   br 3\n end\n end))",
    ["2:3: size minimum"] = "(module\n (memory 1 0))",
    ["2:3: unknown function 5"] = "(module (func)\n (start 5))",
    ["3:3: unknown function 9"] = "(module (func\n nop\n (call 9)))",
    ["5:2: type mismatch"] = "(module (func (result i32)\n (if (i32.const 1)\n (then (nop))\n" ..
      " (else (nop))\n)))",
  }
  for wanted, text in pairs(cases) do
    local module, err = wasm.load(text)
    eq(module, nil)
    eq(tostring(err):sub(1, #wanted), wanted)
  end
end)
