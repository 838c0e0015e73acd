-- wasm.loader: manifests, permissions, limits, reloads that fail and succeed, require.
local t = ...
local wasm = t.wasm
local loader = require "wasm.loader"
local manifest = require "wasm.manifest"

-- Files are named <base>_<name>, so that no directory has to be made.
local base = os.tmpname()
local written = { [base] = true }

local function path_of(name) return base .. "_" .. name end

local function write(name, text)
  local path = path_of(name)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  written[path] = true
  return path
end

local function write_wat(name, text)
  return write(name, assert(wasm.wat2wasm(text)))
end

-- A module whose function `version` gives n.
local function versioned(n, more)
  return ([[(module (memory (export "memory") 1) (global (export "count") (mut i32) (i32.const 0))
    (func (export "version") (result i32) (i32.const %d))
    (func (export "up") (result i32)
      (global.set 0 (i32.add (global.get 0) (i32.const 1))) (global.get 0)) %s)]]):format(n,
    more or "")
end

local function fails(kind, text, result, err)
  t.eq(result, nil, "result")
  t.eq(wasm.type(err), "error", "type")
  t.eq(err.kind, kind, "kind")
  if not err.message:find(text, 1, true) then
    t.fail(("message %q has no %q"):format(err.message, text), 2)
  end
  return err
end

-- ---- Manifests ----------------------------------------------------------------------------------

t.test("manifests are data", function()
  local m = assert(manifest.parse [==[
    -- a comment
    return { name = "x", ["a b"] = 'it\'s\n\65\x42\z
      done', [7] = -0x10, 1.5, 2e3; --[[ another ]] true, false,
      nested = { {}, { deep = [[
long]] } }, [-1.5] = [=[]]]=] } ]==])
  t.eq(m.name, "x")
  t.eq(m["a b"], "it's\nABdone")
  t.eq(m[7], -16)
  t.eq(m[1], 1.5)
  t.eq(m[2] == 2000, true)
  t.eq(m[3], true)
  t.eq(m[4], false)
  t.eq(m.nested[2].deep, "long")
  t.eq(m[-1.5], "]]")
  t.eq(next(assert(manifest.parse "{}")), nil)
end)

t.test("malformed manifests say where", function()
  local function bad(text, place, message)
    local err = fails("malformed", message, manifest.parse(text, "m"))
    t.eq(err.line .. ":" .. err.column, place)
    t.eq(tostring(err):sub(1, #place + 3), "m:" .. place .. ":")
  end
  bad("", "1:1", "'{' expected near the end")
  bad("{", "1:2", "the end")
  bad("{ a = os.exit() }", "1:7", "data only")
  bad("{\n  a = 1 + 1 }", "2:9", "'}' expected near '+'")
  bad("{ a = function() end }", "1:7", "data only")
  bad("return setmetatable({}, {})", "1:8", "'{' expected")
  bad("{ 'a\n' }", "1:3", "unfinished string")
  bad("{ 'a", "1:3", "unfinished string")
  bad("{ [[a }", "1:3", "unfinished string")
  bad("{ --[[ }", "1:3", "unfinished comment")
  bad("{ '\\q' }", "1:4", "escape")
  bad("{ '\\999' }", "1:4", "escape")
  bad("{ a = 1, a = 2 }", "1:10", "occurs twice")
  bad("{ 1, [1] = 2 }", "1:6", "occurs twice")
  bad("{ [{}] = 2 }", "1:3", "a key is")
  bad("{ a = 1..2 }", "1:7", "value expected")
  bad("{ a = -x }", "1:7", "value expected")
  bad("{} {}", "1:4", "the end expected")
  bad(("{"):rep(100), "1:17", "nested")
  bad("\27Lua", "1:1", "'{' expected")
  bad("{ a = nil }", "1:7", "data only")
  fails("limit", "65536 bytes", manifest.parse("{" .. (" "):rep(70000) .. "}"))
end)

t.test("manifests of the largest size are read in linear time", function()
  for _, piece in ipairs { "1,", "'a',", "--\n", "--[[]]", "'\\n',", "[[]],", "{},", "a", " ", "-" } do
    local function time(size)
      local text = "{" .. piece:rep(math.floor(size / #piece))
      local began = os.clock()
      manifest.parse(text)
      return os.clock() - began
    end
    local small = time(16000)
    t.eq(time(64000) < 12 * small + 0.5, true, piece)
  end
end)

t.test("a manifest comes from the section, the sidecar, or the host, in this order", function()
  local path = write_wat("three.wasm", [[(module (@custom "manifest" "{ name = 'section' }"))]])
  t.eq(assert(loader.load(path)).manifest.name, "section")
  local sidecar = write("three.manifest.lua", "return { name = 'sidecar', mine = { 1, 2 } }")
  t.eq(assert(loader.load(path)).manifest.name, "sidecar")
  t.eq(assert(loader.load(path)).manifest.mine[2], 2)
  t.eq(assert(loader.load(path, { manifest = { name = "host" } })).manifest.name, "host")
  os.remove(sidecar)
  t.eq(next(assert(loader.load(write_wat("none.wasm", "(module)"))).manifest), nil)
end)

t.test("wrong manifests end the loading, not the host", function()
  local path = write_wat("wrong.wasm", "(module)")
  local function bad(kind, message, text)
    write("wrong.manifest.lua", text)
    fails(kind, message, loader.load(path))
  end
  bad("malformed", "data only", "{ a = os.exit() }")
  bad("malformed", "'name' has to be a string", "{ name = {} }")
  bad("malformed", "'permissions' has to be a list", "{ permissions = { 1 } }")
  bad("malformed", "'permissions' has to be a list", "{ permissions = { a = 'b' } }")
  bad("malformed", "limit 'stack' has to be at most 1 GiB", "{ limits = { stack = 1e12 } }")
  bad("malformed", "unknown limit 'fule'", "{ limits = { fule = 1 } }")
  bad("malformed", "limit 'fuel' has to be", "{ limits = { fuel = -1 } }")
  bad("malformed", "limit 'fuel' has to be", "{ limits = { fuel = 1.5 } }")
  bad("malformed", "'exports' has to be", "{ exports = { a = 1 } }")
  bad("link", "export 'run' is missing", "{ exports = { 'run' } }")
  os.remove(path_of "wrong.manifest.lua")
  write_wat("wrong.wasm", [[(module (@custom "manifest" "{}") (@custom "manifest" "{}"))]])
  fails("malformed", "more than one", loader.load(path))
end)

-- ---- Loading ------------------------------------------------------------------------------------

t.test("a plugin has exports and says what it is", function()
  local p = assert(loader.load(write_wat("first.wasm", versioned(1))))
  t.eq(p.exports.version(), 1)
  t.eq(wasm.type(p.exports.version), "func")
  t.eq(p.name, base:match "[^/]*$" .. "_first")
  t.eq(p.version, 1)
  t.eq(tostring(p):find("version 1", 1, true) ~= nil, true)
  t.eq(tostring(p.exports):find("up (func (result i32))", 1, true) ~= nil, true)
  local names = {}
  for name in pairs(p.exports) do names[#names + 1] = name end
  table.sort(names)
  t.eq(table.concat(names, " "), "count memory up version")
  t.eq(p.exports.nothing, nil)
  t.eq(loader.plugin(p.exports), p)
  t.eq(loader.plugin {}, nil)
  t.eq(loader.plugin(setmetatable({}, { __metatable = 5 })), nil)
end)

t.test("what cannot be loaded is nil and an error", function()
  fails("io", "No such file", loader.load(path_of "nowhere.wasm"))
  fails("malformed", "", loader.load(write("junk.wasm", "\0asm\1\0\0\0\99\99\99")))
  fails("invalid", "", loader.load(write("invalid.wasm", "(module (func (result i32)))")))
  fails("unsupported", "serialised", loader.load(write("native.wasm",
    assert(wasm.load "(module)"):serialize())))
  fails("link", 'import "env" "f"', loader.load(write_wat("import.wasm",
    [[(module (import "env" "f" (func)))]])))
  fails("malformed", "broken_text.wasm:1:1: unknown operator int", loader.load(write("broken_text.wasm",
    "int main;")))
  fails("trap", "unreachable", loader.load(write_wat("start.wasm",
    "(module (func unreachable) (start 0))")))
  fails("trap", "unreachable", loader.load(write_wat("init.wasm",
    [[(module (func (export "_initialize") unreachable))]])))
  fails("limit", "", loader.load(write_wat("spin.wasm",
    "(module (func (loop (br 0))) (start 0))"), { limits = { fuel = 10000 } }))
  fails("limit", "", loader.load(write_wat("large.wasm",
    "(module (memory 1000))"), { limits = { memory = 65536 } }))
end)

t.test("what a host closure raises while loading is returned", function()
  local path = write_wat("raises.wasm",
    [[(module (import "env" "f" (func)) (start 0))]])
  local key = {}
  local p, err = loader.load(path, { imports = { env = { f = function() error(key) end } } })
  t.eq(p, nil)
  t.eq(err, key)
  fails("link", "oh no", loader.load(path, { imports = { env = { f = function() error "oh no" end } } }))
end)

t.test("misuse raises", function()
  local path = write_wat("fine.wasm", "(module)")
  t.misuse("bad argument #1 to 'load' (path expected, got nil)", loader.load)
  t.misuse("bad argument #2 to 'load' (table expected, got number)", loader.load, path, 1)
  t.misuse("unknown option 'import' to 'load' (did you mean 'imports'?)", loader.load, path,
    { import = {} })
  t.misuse("bad option 'imports' to 'load'", loader.load, path, { imports = 1 })
  t.misuse("unknown option 'fule' to 'load' (did you mean 'fuel'?)", loader.load, path,
    { limits = { fule = 1 } })
  t.misuse("limit 'fuel' has to be", loader.load, path, { limits = { fuel = "x" } })
  t.misuse("'permissions' has to be a list", loader.load, path, { permissions = { 1 } })
  t.misuse("the only string is 'hooks'", loader.load, path, { keep = "memory" })
  t.misuse("unknown option 'keeps' to 'install'", loader.install, { keeps = true })
  t.misuse("bad argument #1 to 'reload' (plugin expected, got table)",
    assert(loader.load(path)).reload, {})
  t.eq(assert(loader.load(path, { limits = { fuel = 5, on_limit = "yield" } })).limits.on_limit,
    "yield")
end)

t.test("imports may come from a function that is told who asks", function()
  local path = write_wat("asks.wasm", [[(module (@custom "manifest" "{ level = 7 }")
    (import "env" "f" (func (result i32))) (export "f" (func 0)))]])
  local p = assert(loader.load(path, { name = "asks", imports = function(name, fields)
    t.eq(name, "asks")
    return { env = { f = function() return fields.level end } }
  end }))
  t.eq(p.exports.f(), 7)
end)

-- ---- Permissions and limits ---------------------------------------------------------------------

t.test("imports have to be asked for and granted", function()
  local imports = { env = { log = function() end, exec = function() end }, net = { get = print } }
  local path = write_wat("perm.wasm", [[(module (import "env" "log" (func)) (import "env" "exec" (func)))]])
  local function try(asked, granted)
    return loader.load(path, { imports = imports, permissions = granted,
      manifest = { permissions = asked } })
  end
  assert(try(nil, nil))
  assert(try({ "env.log", "env.exec" }, nil))
  assert(try({ "env.*" }, { "*" }))
  assert(try(nil, { "env.*" }))
  fails("link", 'import "env" "exec" is not among the permissions of the manifest', try({ "env.log" }))
  fails("link", "'env.exec'", try(nil, { "env.log" }))
  fails("link", "the host does not grant the permission 'net.get'", try({ "env.*", "net.get" }, { "env.*" }))
  fails("link", "is not among", try({}, nil))
  fails("link", "is not granted", try(nil, {}))
end)

t.test("the tighter limit holds", function()
  local path = write_wat("tight.wasm", [[(module (func (export "spin") (loop (br 0))))]])
  local p = assert(loader.load(path, { limits = { fuel = 1000, timeout = 50 },
    manifest = { limits = { fuel = 5000, timeout = 20, stack = 100000 } } }))
  t.eq(p.limits.fuel, 1000)
  t.eq(p.limits.timeout, 20)
  t.eq(p.limits.stack, 100000)
  t.traps("limit", "fuel", p.exports.spin)
  p = assert(loader.load(path, { manifest = { limits = { timeout = 0.02 } } }))
  t.traps("limit", "timeout", p.exports.spin)
end)

t.test("WASI is given in parts", function()
  local text = [[(module
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $dir (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "env") (result i32)
      (drop (call $env (i32.const 0) (i32.const 4))) (i32.load (i32.const 0)))
    (func (export "dirs") (result i32) (local $n i32)
      (loop $next
        (if (i32.eqz (call $dir (i32.add (local.get $n) (i32.const 3)) (i32.const 0)))
          (then (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $next))))
      (local.get $n)))]]
  local path = write_wat("wasi.wasm", text)
  local wasi = { env = { A = "1", B = "2" }, dirs = { ["/a"] = "/", ["/b"] = "/tmp" } }
  local function counts(asked, granted)
    local p = assert(loader.load(path, { wasi = wasi, permissions = granted,
      manifest = { permissions = asked } }))
    local e, d = p.exports.env(), p.exports.dirs()
    p:close()
    return e .. " " .. d
  end
  t.eq(counts(nil, nil), "2 2")
  t.eq(counts({ "wasi" }, nil), "0 0")
  t.eq(counts({ "wasi", "wasi.env:A", "wasi.dir:/b" }, nil), "1 1")
  t.eq(counts(nil, { "wasi", "wasi.dir:*" }), "0 2")
  t.eq(counts({ "wasi", "wasi.env:A" }, { "wasi*" }), "1 0")
  fails("link", "is not granted", loader.load(path, { wasi = wasi, permissions = {} }))
  fails("link", "wasi_snapshot_preview1", loader.load(path))
  fails("io", "", loader.load(path, { wasi = { dirs = { ["/x"] = "/no such directory" } } }))
end)

-- ---- Reloading ----------------------------------------------------------------------------------

t.test("a reload is seen through the table of exports", function()
  local path = write_wat("again.wasm", versioned(1))
  local p = assert(loader.load(path))
  local exports, old_version = p.exports, p.exports.version
  t.eq(p:changed(), false)
  write_wat("again.wasm", versioned(2, [[(func (export "new"))]]))
  t.eq(p:changed(), true)
  local ok, changes = p:reload()
  t.eq(ok, true)
  t.eq(table.concat(changes.added, " "), "new")
  t.eq(#changes.removed + #changes.changed, 0)
  t.eq(p.exports, exports)
  t.eq(exports.version(), 2)
  t.eq(old_version(), 1, "a function that was kept")
  t.eq(p.version, 2)
  exports.mine = "stays"
  write_wat("again.wasm", [[(module (func (export "version") (result i64) (i64.const 3)))]])
  ok, changes = p:reload()
  t.eq(ok, true)
  t.eq(table.concat(changes.removed, " "), "count memory new up")
  t.eq(table.concat(changes.changed, " "), "version")
  t.eq(exports.up, nil)
  t.eq(exports.mine, "stays")
end)

t.test("a reload that fails leaves the old one", function()
  local path = write_wat("steady.wasm", versioned(1))
  local logged = 0
  local p = assert(loader.load(path, { limits = { fuel = 1000000, memory = 10 * 65536 },
    imports = { env = { f = function() logged = logged + 1 end } },
    exports = { "up", version = "(func (result i32))" } }))
  p.exports.up()
  local function bad(kind, message, text)
    write("steady.wasm", text)
    fails(kind, message, p:reload())
    t.eq(p.exports.version(), 1)
    t.eq(p.version, 1)
  end
  bad("malformed", "", "junk")
  bad("malformed", "the file is empty", "")
  bad("invalid", "", "(module (func (result i32)))")
  bad("link", 'import "env" "g"', [[(module (import "env" "g" (func)) (func (export "up"))
    (func (export "version") (result i32) unreachable))]])
  bad("trap", "unreachable", versioned(2, "(func $s unreachable) (start $s)"))
  bad("limit", "", versioned(2, "(func $s (loop (br 0))) (start $s)"))
  bad("limit", "", versioned(2, "(memory 100)"))
  bad("link", "export 'up' is missing", [[(module (func (export "version") (result i32) unreachable))]])
  bad("link", "'version' has to be (func (result i32)), not (func (result i64))",
    [[(module (func (export "up")) (func (export "version") (result i64) unreachable))]])
  os.remove(path)
  fails("io", "No such file", p:reload())
  t.eq(p.exports.up(), 2)
  write_wat("steady.wasm", versioned(3))
  assert(p:reload())
  t.eq(p.exports.version(), 3)
  t.eq(p.exports.up(), 1, "state is dropped")
  t.eq(logged, 0)
end)

t.test("state is kept by choice", function()
  local function check(keep, first, second)
    local path = write_wat("state.wasm", versioned(1))
    local p = assert(loader.load(path, { keep = keep }))
    p.exports.up()
    p.exports.up()
    p.exports.memory:grow(1)
    p.exports.memory:write(70000, "here")
    write_wat("state.wasm", versioned(2))
    assert(p:reload())
    t.eq(p.exports.version(), 2)
    t.eq(p.exports.up(), first)
    t.eq(#p.exports.memory, second)
    if second > 65536 then t.eq(p.exports.memory:read(70000, 4), "here") end
  end
  check(nil, 1, 65536)
  check(false, 1, 65536)
  check(true, 3, 131072)
  check({ "count" }, 3, 65536)
  check({ "memory" }, 1, 131072)
  check(function(old, new) new.count.value = old.count.value * 10 end, 21, 65536)
end)

t.test("state that cannot be kept refuses the new version", function()
  local function bad(keep, message, text)
    local path = write_wat("refused.wasm", versioned(1))
    local p = assert(loader.load(path, { keep = keep, limits = { memory = 3 * 65536 } }))
    p.exports.up()
    write_wat("refused.wasm", text)
    fails("link", message, p:reload())
    t.eq(p.exports.up(), 2)
  end
  bad({ "count" }, "'count' cannot be kept", "(module)")
  bad({ "nothing" }, "'nothing' cannot be kept", versioned(2))
  local path = write_wat("grows.wasm", versioned(1))
  local p = assert(loader.load(path, { keep = true, limits = { memory = 2 * 65536 } }))
  p.exports.memory:grow(1)
  write_wat("grows.wasm", versioned(2, "(memory 1)"))
  t.eq(p:reload(), nil)
  t.eq(p.exports.version(), 1)
  bad("hooks", "does not export 'plugin_save'", versioned(2))
  bad(function() return false end, "the host refused", versioned(2))
  bad(function() error "no" end, "no", versioned(2))
end)

-- Keeps a line of text by hooks; the newer one has it somewhere else and counts.
local function hooked(at, more)
  return ([[(module (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
    (func (export "set") (param i32) (global.set $n (local.get 0)))
    (func (export "where") (result i32) (i32.const %d))
    (func (export "size") (result i32) (global.get $n))
    (func (export "plugin_save") (result i32)
      (i32.store (i32.const 8) (i32.const %d)) (i32.store (i32.const 12) (global.get $n)) (i32.const 8))
    (func (export "plugin_alloc") (param i32) (result i32) (i32.const %d))
    (func (export "plugin_restore") (param i32 i32) %s (global.set $n (local.get 1))))]]):format(at,
    at, at, more or "")
end

t.test("hooks hand state over", function()
  local path = write_wat("hooks.wasm", hooked(100))
  local p = assert(loader.load(path, { keep = "hooks" }))
  p.exports.memory:write(100, "remember")
  p.exports.set(8)
  write_wat("hooks.wasm", hooked(5000))
  assert(p:reload())
  t.eq(p.exports.where(), 5000)
  t.eq(p.exports.memory:read(5000, p.exports.size()), "remember")
  write_wat("hooks.wasm", hooked(100, "unreachable"))
  fails("trap", "unreachable", p:reload())
  t.eq(p.exports.where(), 5000)
  write_wat("hooks.wasm", hooked(65535))
  fails("trap", "out of bounds", p:reload())
  t.eq(p.exports.memory:read(5000, p.exports.size()), "remember")
end)

t.test("calls that run or are suspended finish on the old version", function()
  local text = [[(module (import "env" "wait" (func $wait (result i32)))
    (func (export "run") (result i32) (i32.add (call $wait) (i32.const %d))))]]
  local path = write_wat("running.wasm", text:format(1000))
  local p, reload
  p = assert(loader.load(path, { imports = { env = { wait = function()
    if reload then
      reload = false
      assert(p:reload())
      return 5
    end
    return coroutine.yield()
  end } } }))
  local co = coroutine.wrap(p.exports.run)
  co()
  write_wat("running.wasm", text:format(2000))
  reload = true
  t.eq(p.exports.run(), 1005, "reloaded by its own call")
  t.collect()
  t.eq(co(7), 1007, "suspended across the reload")
  local new = coroutine.wrap(p.exports.run)
  new()
  t.eq(new(7), 2007)
end)

t.test("a closed plugin says so", function()
  local p = assert(loader.load(write_wat("closed.wasm", versioned(1))))
  local up, exports = p.exports.up, p.exports
  p:close()
  p:close()
  t.misuse("is closed", function() return exports.up end)
  t.misuse("is closed", p.reload, p)
  t.misuse("is closed", p.changed, p)
  t.misuse("closed", up)
  t.eq(tostring(p):find("closed", 1, true) ~= nil, true)
  t.eq(tostring(exports):find("closed", 1, true) ~= nil, true)
end)

t.test("closing while a call runs is misuse", function()
  local p
  p = assert(loader.load(write_wat("busy.wasm",
    [[(module (import "env" "f" (func $f)) (func (export "run") (call $f)))]]),
    { imports = { env = { f = function() p:close() end } } }))
  t.misuse("is running", p.exports.run)
  t.eq(wasm.type(p.exports.run), "func")
  p:close()
end)

t.test("bad plugins fail alone", function()
  local good = assert(loader.load(write_wat("good.wasm", versioned(1))))
  local bad = assert(loader.load(write_wat("bad.wasm", [[(module (memory (export "memory") 1)
    (func (export "trap") unreachable)
    (func (export "spin") (loop (br 0)))
    (func $deep (export "deep") (call $deep))
    (func (export "eat") (result i32) (loop $l
      (br_if $l (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0)))) (memory.size)))]]),
    { limits = { timeout = 0.1, memory = 20 * 65536, stack = 65536 } }))
  for _ = 1, 3 do
    t.traps("trap", "unreachable", bad.exports.trap)
    t.traps("limit", "timeout", bad.exports.spin)
    t.traps("trap", "call stack exhausted", bad.exports.deep)
    t.eq(bad.exports.eat(), 20)
    t.eq(good.exports.version(), 1)
  end
end)

-- __gc of a value that is not ours.
local function with_finaliser(fn)
  if newproxy then
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = fn
    return proxy
  end
  return setmetatable({}, { __gc = fn })
end

t.test("finalisers may call plugins, reload and close them, and raise", function()
  if warn then warn "@off" end
  local path = write_wat("final.wasm", versioned(1))
  local p = assert(loader.load(path, { limits = { timeout = 1 } }))
  local good = assert(loader.load(write_wat("good.wasm", versioned(1))))
  local n, got = 0, {}
  local function finish(fn)
    for _ = 1, 3 do
      local dropped = with_finaliser(function()
        n = n + 1
        fn()
      end)
      assert(dropped)
      dropped = nil
    end
    for _ = 1, 8 do pcall(collectgarbage) end -- 5.1 raises there what a finaliser raises
  end
  finish(function() got[#got + 1] = p.exports.version() end)
  t.eq(#got, 3)
  t.eq(got[3], 1)
  write_wat("final.wasm", versioned(2))
  finish(function() assert(p:reload()) end)
  t.eq(p.exports.version(), 2)
  t.eq(p.version, 4)
  finish(function() error "in a finaliser" end)
  finish(function() wasm.trap "in a finaliser" end)
  finish(function() p:close() end)
  finish(function() return p.exports.version() end)
  t.eq(n, 18)
  t.eq(good.exports.version(), 1)
  t.misuse("is closed", function() return p.exports.version end)
  good:close()
end)

t.test("misuse is told at the line of the user", function()
  local here = debug.getinfo(1, "S").short_src
  for _, call in ipairs {
    function() loader.load("x.wasm", { limts = {} }) end,
    function() loader.load("x.wasm", { limits = { fule = 1 } }) end,
    function() loader.install { pth = "x" } end,
    function() require "wasm.wasi".new { arg = {} } end,
  } do
    local ok, err = pcall(call)
    t.eq(ok, false)
    t.eq(err:sub(1, #here), here)
    t.eq(err:match "did you mean '%w+'" ~= nil, true)
  end
end)

-- The bar: a thousand reloads while other plugins, and suspended calls of this one, go on.
t.test("a thousand reloads lose no call and no memory", function()
  local n = t.is_sanitized and 100 or 1000
  local text = [[(module (import "env" "pause" (func $pause (result i32)))
    (memory (export "memory") 1) (global $n (export "n") (mut i32) (i32.const 0))
    (func (export "work") (result i32) (i32.add (call $pause) (i32.const %d)))
    (func (export "up") (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))]]
  local imports = { env = { pause = function() return coroutine.yield() end } }
  local path = write_wat("hot.wasm", text:format(0))
  local hot = assert(loader.load(path, { imports = imports, keep = { "n" } }))
  local others = {}
  for i = 1, 5 do
    others[i] = assert(loader.load(write_wat("other" .. i .. ".wasm", text:format(i)),
      { imports = imports }))
  end
  local pending, finished, wrong = {}, 0, 0
  local function start(exports, wanted)
    local co = coroutine.wrap(exports.work)
    co()
    pending[#pending + 1] = { co = co, wanted = wanted }
  end
  local function finish(index)
    local call = table.remove(pending, index)
    if call.co(1000000) ~= 1000000 + call.wanted then wrong = wrong + 1 end
    finished = finished + 1
  end
  local failed, before = 0, nil
  for i = 1, n do
    start(hot.exports, (i - 1) % 10)
    start(others[i % 5 + 1].exports, i % 5 + 1)
    others[i % 5 + 1].exports.up()
    hot.exports.up()
    if i % 7 == 0 then
      write("hot.wasm", "(module (func (result i32)))")
      if hot:reload() == nil then failed = failed + 1 end
    end
    write_wat("hot.wasm", text:format(i % 10))
    assert(hot:reload())
    while #pending > 20 do finish(i * 7 % #pending + 1) end
    if i == n / 5 then
      t.collect()
      before = t.resident()
    end
  end
  while #pending > 0 do finish(#pending) end
  t.eq(finished, 2 * n, "calls that finished")
  t.eq(wrong, 0, "wrong results")
  t.eq(hot.exports.n.value, n, "kept count")
  t.eq(failed, math.floor(n / 7), "refused reloads")
  t.eq(hot.version, n + 1)
  local up = 0
  for i = 1, 5 do up = up + others[i].exports.n.value end
  t.eq(up, n, "calls of the others")
  t.collect()
  local after = t.resident()
  if before and after - before > 4 * 1048576 then
    t.fail(("%d KiB grown in %d reloads"):format((after - before) / 1024, n * 4 / 5))
  end
end)

-- ---- require ------------------------------------------------------------------------------------

t.test("require finds modules, which can be reloaded", function()
  local remove = loader.install { path = base .. "_?.wasm;" .. base .. "_?.wat",
    limits = { fuel = 100000 } }
  write_wat("needed.wasm", versioned(1))
  write("text.wat", versioned(5))
  local needed = require "needed"
  t.eq(needed.version(), 1)
  t.eq(require "needed", needed)
  t.eq(require "text".version(), 5)
  write_wat("needed.wasm", versioned(2))
  t.eq(loader.plugin "needed":reload(), true)
  t.eq(require "needed".version(), 2)
  t.eq(needed.version(), 2)
  t.eq(loader.plugin(needed).name, "needed")
  local err = t.raises("no file '" .. base:gsub("%p", "%%%0") .. "_absent.wasm'", require, "absent")
  t.eq(type(err), "string")
  write("broken.wasm", "junk")
  t.raises("error loading module 'broken' from file '.*_broken.wasm'", require, "broken")
  write_wat("endless.wasm", "(module (func (loop (br 0))) (start 0))")
  t.raises("fuel", require, "endless")
  loader.plugin "needed":close()
  t.eq(package.loaded.needed, nil)
  write_wat("needed.wasm", versioned(3))
  t.eq(require "needed".version(), 3)
  package.loaded.needed, package.loaded.text = nil, nil
  remove()
  t.raises("module 'needed' not found", require, "needed")
end)

for path in pairs(written) do os.remove(path) end
