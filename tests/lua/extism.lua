-- wasm.extism: the kernel, manifests, linking, calls, and plugins that misbehave. tests/extism has
-- the plugin in C; what other kits build is in tests/extism/kits.lua.
local t = ...
local wasm = t.wasm
local extism = require "wasm.extism"
local kernel = require "wasm.extism.kernel"
local tools = require "wasm.tools"
local json = require "wasm.json"

local here = arg[0]:match("^(.*)/[^/]*$") or "."
local tally = here .. "/../extism/tally.wasm"

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "*a"
  file:close()
  return bytes
end

local bytes = read_file(tally)

local function greet(current, name) return current:store("hello " .. current:read(name)) end

-- A plugin of tally.c; `fields` are those of the manifest, beside the module.
local function new(fields, options)
  local manifest = { wasm = { { path = tally } } }
  for name, value in pairs(fields or {}) do manifest[name] = value end
  options = options or {}
  options.functions = options.functions or { greet = greet }
  return assert(extism.new(manifest, options))
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

-- ---- JSON ---------------------------------------------------------------------------------------

t.test("JSON is read", function()
  local v = assert(json.decode [[ {"a": [1, -2.5e1, true, false, null], "b": {"c": "x\n\"\\\/"},
    "d": "\u00e9\u20ac\ud83d\ude00\ud800", "e": {}, "f": [], "g": null} ]])
  t.eq(v.a[1] == 1 and v.a[2] == -25 and v.a[3] == true and v.a[4] == false, true)
  t.eq(v.b.c, 'x\n"\\/')
  t.eq(v.d, "\195\169\226\130\172\240\159\152\128\239\191\189")
  t.eq(next(v.e), nil)
  t.eq(#v.f, 0)
  t.eq(v.g, nil)
end)

t.test("JSON that is malformed is placed", function()
  for text, message in pairs {
    ["{"] = "1:2: '\"' expected", ["[1,]"] = "1:4: value expected", ["01"] = "1:1: value expected",
    ["{\"a\":1,\n\"a\":2}"] = "2:1: member 'a' twice", ['"x'] = "1:3: unfinished string",
    ['"\\x"'] = "1:2: unknown escape", ["1 2"] = "1:3: end of text expected",
    ["nul"] = "1:1: value expected", [""] = "1:1: value expected",
    ['"\\u12"'] = "1:4: four hexadecimal digits expected", ["[1 2]"] = "1:4: ',' expected",
  } do
    local v, err = json.decode(text)
    t.eq(v, nil)
    t.eq(err, message)
  end
  t.eq(select(2, json.decode(("["):rep(10000))), "1:65: nested too deeply")
end)

t.test("JSON is written", function()
  t.eq(json.encode { b = { 1, 2 }, a = 'x"\n\0' }, '{"a":"x\\"\\n\\u0000","b":[1,2]}')
  t.eq(json.object {}, "{}")
end)

t.test("SHA-256", function()
  t.eq(tools.sha256 "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  t.eq(tools.sha256 "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  t.eq(tools.sha256(("a"):rep(1000000)),
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  -- Lengths on both sides of where the padding takes another block.
  t.eq(tools.sha256(("b"):rep(55)),
    "eb2c86e932179f4ba13fe8715a26124b77d6bad290b9b4c1cc140cf633300c19")
  t.eq(tools.sha256(("b"):rep(56)),
    "a5fc6e203a4c2b657d0d153885932414b2ffc6a93f0f8bf8b3183315e5a7212c")
  t.eq(tools.sha256(("b"):rep(64)),
    "a0fab1377f49a759b57f63318262ebe89fabfc990e8e93ceac2984561482b9d4")
end)

-- ---- The kernel ---------------------------------------------------------------------------------

t.test("blocks do not overlap and are reused", function()
  local k = assert(kernel.new()).exports
  local live, seed = {}, 1
  local function random(n)
    seed = (seed * 16807) % 2147483647
    return seed % n + 1
  end
  for _ = 1, 3000 do
    if random(100) <= 55 or #live == 0 then
      local n = random(random(50) == 1 and 100000 or 500)
      local at = tonumber(k.alloc(n))
      if at == 0 or at % 16 ~= 0 then t.fail("bad block at " .. at) end
      live[#live + 1] = { at, n }
    else
      local i = random(#live)
      t.eq(tonumber(k.length(live[i][1])), live[i][2])
      k.free(live[i][1])
      t.eq(tonumber(k.length(live[i][1])), 0)
      live[i] = live[#live]
      live[#live] = nil
    end
  end
  table.sort(live, function(a, b) return a[1] < b[1] end)
  for i = 2, #live do
    if live[i - 1][1] + live[i - 1][2] > live[i][1] then t.fail "blocks overlap" end
  end
  k.reset()
  t.eq(tonumber(k.alloc(1)), 4096)
end)

-- Haskell's kit frees the key of config_get itself, after the host has; the value must not be there.
t.test("a block that was freed is not given out at once", function()
  local k = assert(kernel.new()).exports
  local first = k.alloc(8)
  k.free(first)
  t.eq(k.alloc(8) ~= first, true)
  local n = 0
  repeat n = n + 1 until k.alloc(8) == first
  t.eq(n == (65536 - 4096) / 16 - 1, true)
  t.eq(tonumber(k.memory_bytes()), 65536)
  t.eq(tonumber(k.alloc(8)), 65536)
end)

t.test("the kernel's edges", function()
  local k = assert(kernel.new()).exports
  local function n(value) return tonumber(value) end
  t.eq(n(k.alloc(0)), 0)
  t.eq(n(k.alloc(-1)), 0)
  t.eq(n(k.alloc(0x70000001)), 0)
  local size = n(k.memory_bytes())
  k.store_u8(size - 1, 255)
  t.eq(k.load_u8(size - 1), 255)
  t.eq(k.load_u8(size), 0)
  k.store_u64(size - 7, -1)
  t.eq(n(k.load_u64(size - 8)) ~= 0, true)
  t.eq(n(k.load_u64(size - 7)), 0)
  t.eq(n(k.load_u64(-4)), 0)
  local at = k.alloc(10)
  k.memory:write(n(at), "0123456789")
  k.input_set(at, 10)
  t.eq(k.input_load_u8(9), 57)
  t.eq(k.input_load_u8(10), 0)
  t.eq(k.input_load_u8(-1), 0)
  t.eq(n(k.input_load_u64(3)), 0)
  t.eq(n(k.input_load_u64(-8)), 0)
  k.input_set(at, 1000000)
  t.eq(n(k.input_length()), 10)
  k.output_set(at, -1)
  t.eq(n(k.output_length()), 0)
  k.free(at)
  t.eq(n(k.input_length()), 0)
end)

t.test("a kernel's memory ends", function()
  local k = assert(kernel.new(1048576)).exports
  local n = 0
  while n < 100 and tonumber(k.alloc(100000)) ~= 0 do n = n + 1 end
  if n < 8 or n > 10 then t.fail(n .. " blocks of 100 kB in a MiB") end
end)

-- ---- Calls --------------------------------------------------------------------------------------

t.test("input, output, config and variables", function()
  local plugin = new()
  t.eq(plugin:call("count", "the quick brown fox jumps"), "6 6")
  t.eq(plugin:call("count", "over the lazy dog"), "5 11")
  t.eq(plugin:call("forget"), "")
  t.eq(plugin:call("count", "a"), "1 1")
  t.eq(#plugin.vars.total, 4)
  plugin.vars.total = "\7\0\0\0"
  t.eq(plugin:call("count", "a"), "1 8")
  plugin = new({ config = { letters = "xyz" } })
  t.eq(plugin:call("count", "xylophone zebra"), "3 3")
  plugin = new({ config = { letters = "xyz" } }, { config = { letters = "o" } })
  t.eq(plugin:call("count", "xylophone zebra"), "2 2")
end)

t.test("any bytes come and go", function()
  local plugin = new()
  local all = {}
  for i = 0, 255 do all[#all + 1] = string.char(i) end
  local text = table.concat(all):rep(1000)
  t.eq(plugin:call("echo", text) == text, true)
  t.eq(plugin:call "echo", "")
  t.eq(plugin:call("echo", "\0"), "\0")
end)

t.test("functions of the host", function()
  local seen
  local plugin = new(nil, { functions = { greet = function(current, name)
    seen = { current:read(name), current.context, current:read(12345) == nil, current:read(0) }
    current:free(name)
    return current:store("ok")
  end } })
  t.eq(plugin:call("greet", "you", "my context"), "ok")
  t.eqs(seen, { "you", "my context", true, "" })
  t.eq(plugin:call("greet", "you"), "ok")
  t.eq(seen[2], nil)
  plugin = new(nil, { functions = { ["extism:host/user"] = { greet = greet } } })
  t.eq(plugin:call("greet", "you"), "hello you")
end)

t.test("a function of the host raises", function()
  local key = {}
  local plugin = new(nil, { functions = { greet = function() error(key) end } })
  local ok, err = pcall(plugin.call, plugin, "greet", "x")
  t.eq(ok, false)
  t.eq(err, key)
  t.eq(plugin:call("echo", "still here"), "still here")
end)

t.test("a function of the host yields", function()
  local plugin = new(nil, { functions = { greet = function(current, name)
    return current:store(coroutine.yield(current:read(name)))
  end } })
  local co = coroutine.create(function() return plugin:call("greet", "x") end)
  t.eqs(t.pack(coroutine.resume(co)), { true, "x" })
  t.misuse("plugin is busy", plugin.call, plugin, "echo", "y")
  t.eqs(t.pack(coroutine.resume(co, "later")), { true, "later" })
  t.eq(plugin:call("echo", "y"), "y")
end)

t.test("a plugin that calls itself", function()
  local plugin, message
  plugin = new(nil, { functions = { greet = function(current)
    local _, err = pcall(plugin.call, plugin, "echo", "x")
    message = err
    return current:store "x"
  end } })
  t.eq(plugin:call("greet", "x"), "x")
  t.eq(message:find("plugin is busy", 1, true) ~= nil, true)
end)

t.test("a plugin reports an error", function()
  local plugin = new()
  local err = fails("exit", "there are no letters today", plugin:call "fail")
  t.eq(err.code, 1)
  err = fails("exit", "'refuse' returned 7", plugin:call "refuse")
  t.eq(err.code, 7)
  fails("link", "no function 'nothing'", plugin:call "nothing")
  fails("link", "no function 'memory'", plugin:call "memory")
  t.eq(plugin:exists "fail", true)
  t.eq(plugin:exists "nothing", false)
end)

t.test("logging", function()
  for level, wanted in pairs { trace = "one two three four five", info = "three four five",
    error = "five", off = "" } do
    local lines = {}
    local plugin = new(nil, { log_level = level,
      log = function(_, text) lines[#lines + 1] = text end })
    local number = ({ trace = "0", info = "2", error = "4", off = "2147483647" })[level]
    t.eq(plugin:call "chatter", number)
    t.eq(table.concat(lines, " "), wanted)
  end
  t.eq(new():call "chatter", "2147483647")
  local levels = {}
  new(nil, { log = function(level) levels[#levels + 1] = level end }):call "chatter"
  t.eq(table.concat(levels, " "), "info warn error")
end)

-- ---- HTTP ---------------------------------------------------------------------------------------

local function fetcher(hosts, http, memory)
  return new({ allowed_hosts = hosts, memory = memory }, { http = http })
end

t.test("HTTP goes through the host", function()
  local seen
  local plugin = fetcher({ "*.example.org" }, function(request, body)
    seen = { request.url, request.method, request.headers["X-A"], body, request.max_bytes }
    return { status = 201, headers = { b = "2", a = "1" }, body = "welcome" }
  end, { max_http_response_bytes = 100 })
  t.eq(plugin:call("fetch",
    '{"url":"https://api.example.org/x?y","method":"post","headers":{"X-A":"1"}}'),
    '201 {"a":"1","b":"2"}|welcome')
  t.eqs(seen, { "https://api.example.org/x?y", "POST", "1", "body", 100 })
end)

t.test("HTTP without headers, status or body", function()
  local plugin = fetcher({ "*" }, function() return {} end)
  t.eq(plugin:call("fetch", '{"url":"http://x/"}'), "200 |")
end)

t.test("only hosts that are allowed are asked", function()
  local asked = 0
  local plugin = fetcher({ "*.example.org", "b?.com", "[a-c]x.net", "[!a]y.net", "LOCALHOST" },
    function()
      asked = asked + 1
      return { body = "" }
    end)
  local function fetch(url)
    return pcall(plugin.call, plugin, "fetch", json.encode { url = url })
  end
  local good = { "http://a.example.org", "https://a.b.example.org:8080/x", "HTTP://BX.com?q",
    "http://bx.net/", "http://by.net", "http://user:word@by.net#f", "http://localhost:1/" }
  for _, url in ipairs(good) do
    if not fetch(url) then t.fail(url .. " is refused") end
  end
  t.eq(asked, #good)
  for _, url in ipairs { "http://example.org", "http://a.example.org.evil.net/", "http://b.com",
    "http://evil.net/.example.org", "http://a.example.org@evil.net/", "file:///etc/passwd",
    "http://evil.net\\@a.example.org/", "http://dx.net", "http://ay.net", "http://a.example.org\n",
    "http://evil.net#.example.org", "http://evil.net?.example.org", "", "a.example.org",
    "http:///a.example.org", "http://a b.example.org", "gopher://a.example.org" } do
    local ok, err = fetch(url)
    if ok then t.fail(url .. " is not refused") end
    t.eq(err.kind, "trap")
    t.eq(err.message:find("is not allowed", 1, true) ~= nil, true)
  end
  t.eq(asked, #good)
end)

t.test("HTTP that fails", function()
  local cases = {
    { fetcher({ "*" }), '{"url":"http://x/"}', "no option 'http'" },
    { fetcher(nil, function() return {} end), '{"url":"http://x/"}', "is not allowed" },
    { fetcher({ "*" }, function() return nil, "no route" end), '{"url":"http://x/"}', "no route" },
    { fetcher({ "*" }, function() return {} end), "{", "http_request: 1:2" },
    { fetcher({ "*" }, function() return {} end), '{"method":"GET"}', "an object with url" },
    { fetcher({ "*" }, function() return {} end), "[]", "an object with url" },
    { fetcher({ "*" }, function() return { body = ("x"):rep(11) } end,
      { max_http_response_bytes = 10 }), '{"url":"http://x/"}', "exceeds the maximum of 10" },
  }
  for _, case in ipairs(cases) do
    local ok, err = pcall(case[1].call, case[1], "fetch", case[2])
    t.eq(ok, false)
    t.eq(err.kind, "trap")
    if not err.message:find(case[3], 1, true) then
      t.fail(("message %q has no %q"):format(err.message, case[3]))
    end
    t.eq(case[1]:call("echo", "on"), "on")
  end
end)

-- ---- Manifests ----------------------------------------------------------------------------------

local function base64(text)
  local set = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  local parts = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    local function digit(scale)
      local k = math.floor(n / scale) % 64 + 1
      return set:sub(k, k)
    end
    parts[#parts + 1] = digit(262144) .. digit(4096) .. (b and digit(64) or "=") ..
      (c and digit(1) or "=")
  end
  return table.concat(parts)
end

local options = { functions = { greet = greet } }

t.test("manifests in all their forms", function()
  local hash = tools.sha256(bytes)
  for _, source in ipairs {
    bytes,
    { wasm = { { data = bytes } } },
    { wasm = { { data = base64(bytes), hash = hash } } },
    { wasm = { { path = tally, hash = hash:upper(), name = "tally" } } },
    ('{"wasm": [{"path": "%s", "hash": "%s"}], "memory": {"max_pages": 100}}'):format(tally, hash),
    ('{"wasm": [{"data": "%s"}], "config": {"letters": "aeiou"}}'):format(base64(bytes)),
  } do
    local plugin = assert(extism.new(source, options))
    t.eq(plugin:call("count", "banana"), "3 3")
    plugin:close()
  end
  t.eq(assert(extism.new(assert(wasm.load(bytes)), options)):call("count", "banana"), "3 3")
end)

t.test("base64 of every length", function()
  for n = 0, 9 do
    local text = "(module)" .. (" "):rep(n)
    t.eq(wasm.type(assert(extism.new { wasm = { { data = base64(text) } } }).instances.main),
      "instance")
  end
end)

t.test("wrong manifests", function()
  local hash = ("0"):rep(64)
  for message, source in pairs {
    ["wasm: no module is named"] = {},
    ["unknown field 'wsam' (there are allowed_hosts"] = { wsam = {} },
    ["wasm: table expected, got string"] = { wasm = "x.wasm" },
    ["wasm: list expected, got a field 'path'"] = { wasm = { path = "x" } },
    ["wasm[1]: one of 'path', 'data' and 'url' expected, got 0"] = { wasm = { { name = "x" } } },
    ["wasm[2]: one of 'path', 'data' and 'url' expected, got 2"] =
      { wasm = { { path = tally }, { path = "x", data = "y" } } },
    ["wasm[1]: unknown field 'sha'"] = { wasm = { { path = "x", sha = "y" } } },
    ["wasm[1].hash: 64 hexadecimal digits expected"] = { wasm = { { path = tally, hash = "12" } } },
    ["wasm[1].data: neither a module nor base64"] = { wasm = { { data = "!" } } },
    ["wasm[1]: not a WebAssembly module"] = { wasm = { { data = "" } } },
    ["config.a: string expected, got number"] = { config = { a = 1 } },
    ["config: names expected, got a list"] = { config = { "a" } },
    ["memory.max_pages: a whole number of at least 0 expected, got -1"] =
      { memory = { max_pages = -1 } },
    ["memory.pages"] = '{"memory": {"pages": 1}}',
    ["timeout_ms: a whole number"] = { timeout_ms = 0.5 },
    ["allowed_hosts[1]: string expected"] = { allowed_hosts = { 1 } },
    ["allowed_paths./: string expected"] = { allowed_paths = { ["/"] = {} } },
    ["neither a module nor JSON: 1:1: value expected"] = "wasm = 1",
    ["the manifest: table expected, got number"] = "5",
    ["a second module 'main'"] = { wasm = { { path = tally }, { path = tally } } },
  } do
    local plugin, err = extism.new(source, options)
    t.eq(plugin, nil, message)
    if message:find "^memory.pages" then message = "memory: unknown field 'pages'" end
    t.eq(err.kind, "malformed", message)
    if not err.message:find(message, 1, true) then
      t.fail(("message %q has no %q"):format(err.message, message))
    end
  end
  fails("invalid", "wasm[1]: hash mismatch, found " .. tools.sha256(bytes),
    extism.new { wasm = { { path = tally, hash = hash } } })
  fails("io", "no such file", extism.new { wasm = { { path = "no such file" } } })
  fails("malformed", "", extism.new("\0asm\1\0\0\0\1"))
  fails("link", 'import "extism:host/user" "greet"', extism.new(bytes))
  fails("malformed", "neither a module nor JSON", extism.new "")
end)

t.test("files and addresses through functions", function()
  local asked
  local given = { functions = options.functions, read = function(path)
    asked = path
    return bytes
  end }
  t.eq(assert(extism.new({ wasm = { { path = "a/b" } } }, given)):call("count", "a"), "1 1")
  t.eq(asked, "a/b")
  fails("io", "nothing there", extism.new({ wasm = { { path = "a" } } }, { read = function()
    return nil, "nothing there"
  end }))
  fails("io", "the host reads no files", extism.new({ wasm = { { path = tally } } }, { read = false }))
  local source = { wasm = { { url = "https://x/y.wasm", headers = { a = "b" } } } }
  fails("io", "needs the host's option 'http'", extism.new(source))
  given.http = function(request)
    asked = request
    return { body = bytes }
  end
  t.eq(assert(extism.new(source, given)):call("count", "a"), "1 1")
  t.eqs({ asked.url, asked.method, asked.headers.a }, { "https://x/y.wasm", "GET", "b" })
  given.http = function() return { status = 404 } end
  fails("io", "status 404", extism.new(source, given))
  given.http = function() return nil, "no route" end
  fails("io", "no route", extism.new(source, given))
  given.http = function() return {} end
  fails("malformed", "not a WebAssembly module", extism.new(source, given))
end)

t.test("misuse", function()
  t.misuse("bad argument #1 to 'new' (manifest or module expected, got nil)", extism.new)
  t.misuse("bad argument #2 to 'new' (table expected, got number)", extism.new, bytes, 1)
  t.misuse("unknown option 'function' to 'extism.new' (did you mean 'functions'?)", function()
    extism.new(bytes, { ["function"] = {} })
  end)
  t.misuse("bad option 'http' to 'extism.new' (function expected, got table)", extism.new, bytes,
    { http = {} })
  t.misuse("bad option 'log_level'", extism.new, bytes, { log_level = "loud" })
  t.misuse("unknown option 'fuell'", extism.new, bytes, { limits = { fuell = 1 } })
  local plugin = new()
  t.misuse("bad argument #1 to 'call' (name of a function expected, got nil)", plugin.call, plugin)
  t.misuse("bad argument #2 to 'call' (string expected, got table)", plugin.call, plugin, "echo", {})
  t.misuse("plugin expected, got table", plugin.call, {}, "echo")
  plugin:close()
  plugin:close()
  t.misuse("plugin is closed", plugin.call, plugin, "echo")
  t.eq(tostring(plugin), "extism plugin (closed)")
end)

-- ---- Linking ------------------------------------------------------------------------------------

local function exporting(name, n, more)
  return ([[(module %s (func (export "%s") (result i32) (i32.const %d)))]]):format(more or "", name,
    n)
end

t.test("linked modules", function()
  local main = [[(module (import "a" "one" (func $one (result i32)))
    (import "extism:host/user" "two" (func $two (result i32)))
    (func (export "run") (result i32) (i32.add (call $one) (call $two))))]]
  local a = [[(module (import "b" "ten" (func $ten (result i32)))
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (func (export "one") (result i32) (call $ten)))]]
  local plugin = assert(extism.new { wasm = { { name = "a", data = a },
    { name = "b", data = exporting("ten", 10) },
    { name = "extism:host/user", data = exporting("two", 2) }, { data = main } } })
  t.eq(fails("exit", "returned 12", plugin:call "run").code, 12)
  -- A module called main is it, wherever it stands.
  plugin = assert(extism.new { wasm = { { name = "main", data = exporting("run", 3) },
    { name = "b", data = exporting("run", 4) } } })
  t.eq(select(2, plugin:call "run").code, 3)
  fails("link", "the linked module does not export it", extism.new { wasm = {
    { name = "a", data = exporting("two", 10) },
    { name = "extism:host/user", data = exporting("two", 2) }, { data = main } } })
end)

t.test("modules that import one another", function()
  local function half(other, name, base)
    return ([[(module (import "%s" "count" (func $other (param i32) (result i32)))
      (func (export "count") (param $n i32) (result i32)
        (if (result i32) (local.get $n)
          (then (i32.add (i32.const 1) (call $other (i32.sub (local.get $n) (i32.const 1)))))
          (else (i32.const %d))))
      (func (export "%s") (result i32) (call $other (i32.const 5))))]]):format(other, base, name)
  end
  local plugin = assert(extism.new { wasm = { { name = "a", data = half("b", "x", 100) },
    { name = "b", data = half("a", "y", 200) },
    { data = [[(module (import "a" "x" (func $x (result i32))) (import "b" "y" (func $y (result i32)))
      (func (export "run") (result i32) (i32.add (call $x) (call $y))))]] } } })
  t.eq(select(2, plugin:call "run").code, 105 + 205)
  plugin = assert(extism.new { wasm = { { name = "a", data = half("b", "x", 100) },
    { name = "b", data = [[(module (import "a" "missing" (func $f (param i32) (result i32)))
      (func (export "count") (param i32) (result i32) (call $f (i32.const 0))))]] },
    { data = [[(module (import "a" "x" (func $x (result i32)))
      (func (export "run") (result i32) (call $x)))]] } } })
  t.raises('"a" "missing": no function, or called too early', plugin.call, plugin, "run")
end)

t.test("a plugin on the other engine", function()
  for _, engine in ipairs(wasm.config().supported.engines) do
    local plugin = new(nil, { engine = engine })
    t.eq(plugin:call("count", "banana"), "3 3", engine)
  end
end)

t.test("imports that are not there", function()
  fails("link", 'main: import "extism:host/env" "load_u32": no function of Extism 1.x',
    extism.new [[(module (import "extism:host/env" "load_u32" (func)))]])
  fails("link", 'import "extism:host/env" "memory": no function',
    extism.new [[(module (import "extism:host/env" "memory" (memory 1)))]])
  fails("link", 'import "wasi_snapshot_preview1" "sched_yield": the host does not grant WASI',
    extism.new [[(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))))]])
  fails("link", 'import "env" "x": the host gives no such function',
    extism.new [[(module (import "env" "x" (func)))]])
  fails("link", "wanted (func (param i32) (result i64))", extism.new
    [[(module (import "extism:host/env" "config_get" (func (param i32) (result i64))))]])
end)

t.test("what a runtime needs first", function()
  local function order(exports)
    return ([[(module (global $n (mut i32) (i32.const 0))
      (func $add (param i32) (global.set $n
        (i32.add (i32.mul (global.get $n) (i32.const 10)) (local.get 0))))
      (func $initialize (call $add (i32.const 1)))
      (func $ctors (call $add (i32.const 2)))
      (func $haskell (param i32 i32) (call $add (i32.const 3)))
      (func $odd (param i32) (call $add (i32.const 4)))
      (func (export "n") (result i32) (global.get $n)) %s)]]):format(exports)
  end
  local initialize = '(export "_initialize" (func $initialize))'
  local ctors = '(export "__wasm_call_ctors" (func $ctors))'
  local haskell = '(export "hs_init" (func $haskell))'
  for exports, wanted in pairs {
    [""] = 0, [initialize] = 1, [ctors] = 2, [initialize .. ctors] = 2, [haskell] = 3,
    [initialize .. haskell] = 13, [initialize .. ctors .. haskell] = 13,
    ['(export "_initialize" (func $odd))'] = 0,
  } do
    local plugin = assert(extism.new(order(exports)))
    local _, err = plugin:call "n"
    t.eq(err and err.code or 0, wanted, exports)
  end
  -- A linked reactor is initialised, too.
  local plugin = assert(extism.new { wasm = { { name = "a", data = order(initialize) },
    { data = [[(module (import "a" "n" (func $n (result i32)))
      (func (export "run") (result i32) (call $n)))]] } } })
  t.eq(select(2, plugin:call "run").code, 1)
end)

t.test("a start that fails", function()
  fails("trap", "unreachable", extism.new [[(module (func (export "_initialize") (unreachable)))]])
  fails("trap", "unreachable", extism.new [[(module (func $f (unreachable)) (start $f))]])
  fails("limit", "", extism.new({ timeout_ms = 50, wasm = { { data =
    [[(module (func (export "_initialize") (loop $l (br $l))))]] } } }))
  local key = {}
  local ok, err = pcall(extism.new, [[(module (import "extism:host/user" "f" (func $f)) (start $f))]],
    { functions = { f = function() error(key) end } })
  t.eq(ok, false)
  t.eq(err, key)
end)

t.test("WASI, and paths that are allowed", function()
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute(("mkdir '%s'"):format(folder)))
  local file = assert(io.open(folder .. "/note", "w"))
  file:write "hello"
  file:close()
  local source = [[(module
    (import "wasi_snapshot_preview1" "path_open" (func $open
      (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 1) (data (i32.const 0) "note")
    (func (export "read") (result i32) (call $open (i32.const 3) (i32.const 0) (i32.const 0)
      (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 100)))
    (func (export "write") (result i32) (call $open (i32.const 3) (i32.const 0) (i32.const 0)
      (i32.const 4) (i32.const 0) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 100))))]]
  local function codes(paths, wasi)
    local plugin = assert(extism.new({ wasm = { { data = source } }, allowed_paths = paths },
      { wasi = wasi }))
    local _, read = plugin:call "read"
    local _, write = plugin:call "write"
    plugin:close()
    return (read and read.code or 0) .. " " .. (write and write.code or 0)
  end
  t.eq(codes({ [folder] = "/data" }, true), "0 0")
  t.eq(codes({ ["ro:" .. folder] = "/data" }, {}), "0 69") -- EROFS
  t.eq(codes(nil, true), "8 8") -- EBADF
  t.eq(codes(nil, { dirs = { ["/data"] = folder } }), "0 0")
  fails("io", "", extism.new({ wasm = { { data = source } },
    allowed_paths = { [folder .. "/nothing"] = "/data" } }, { wasi = true }))
  os.remove(folder .. "/note")
  os.remove(folder)
end)

t.test("programs that exit, and start afresh", function()
  local plugin = assert(extism.new([[(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (global $n (mut i32) (i32.const 0)) (memory (export "memory") 1)
    (func (export "_start") (global.set $n (i32.const 5)) (call $exit (i32.const 0)))
    (func (export "three") (call $exit (i32.const 3)))
    (func (export "up") (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))]], { wasi = true }))
  t.eq(plugin:call "_start", "")
  t.eq(select(2, plugin:call "up").code, 1)
  t.eq(select(2, plugin:call "up").code, 2)
  t.eq(fails("exit", "'three' returned 3", plugin:call "three").code, 3)
  assert(plugin:reset())
  t.eq(select(2, plugin:call "up").code, 1)
end)

t.test("functions of other types", function()
  local plugin = assert(extism.new [[(module (func (export "none"))
    (func (export "long") (result i64) (i64.const 0)) (func (export "param") (param i32))
    (func (export "two") (result i32 i32) (i32.const 0) (i32.const 0)))]])
  t.eq(plugin:call "none", "")
  t.eq(fails("exit", "returned -1", plugin:call "long").code, -1)
  fails("link", "function 'param' is (func (param i32)), not", plugin:call "param")
  fails("link", "function 'two' is", plugin:call "two")
  t.eq(plugin:exists "two", false)
end)

-- ---- Plugins that misbehave ---------------------------------------------------------------------

t.test("traps leave the plugin usable", function()
  local plugin = new()
  local err = t.traps("trap", "unreachable", plugin.call, plugin, "crash")
  t.eq(#err.frames > 0, true)
  err = t.traps("trap", "unreachable", plugin.call, plugin, "crash_with_words")
  t.eq(err.message:sub(1, 36), "the letters are on fire: unreachable")
  t.eq(#err.frames > 0, true)
  t.eq(plugin:call("echo", "on"), "on")
end)

t.test("loops end", function()
  local plugin = new({ timeout_ms = 50 })
  t.traps("limit", "timeout", plugin.call, plugin, "spin")
  t.eq(plugin:call("echo", "on"), "on")
  plugin = new({ timeout_ms = 3600000 }, { limits = { timeout = 0.05 } })
  t.traps("limit", "timeout", plugin.call, plugin, "spin")
  plugin = new(nil, { limits = { fuel = 100000 } })
  t.traps("limit", "fuel", plugin.call, plugin, "spin")
end)

t.test("memory ends", function()
  local plugin = new({ memory = { max_pages = 64 } })
  local blocks, pages = plugin:call "exhaust":match "^(%d+) (%d+)$"
  blocks, pages = tonumber(blocks), tonumber(pages)
  if blocks < 2 or blocks > 4 then t.fail(blocks .. " MiB in 4") end
  if pages < 32 or pages > 64 then t.fail(pages .. " pages of 64") end
  t.eq(plugin:call("echo", "on"), "on")
  local text = ("x"):rep(5000000)
  t.traps("limit", "memory", plugin.call, plugin, "echo", text)
  t.eq(plugin:call("echo", "on"), "on")
  fails("limit", "", extism.new({ wasm = { { data = "(module (memory 3))" } },
    memory = { max_pages = 2 } }))
end)

t.test("variables end", function()
  local source = [[(module
    (import "extism:host/env" "var_set" (func $set (param i64 i64)))
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (func (export "fill") (call $set (call $alloc (i64.const 10)) (call $alloc (i64.const 90)))))]]
  local function plugin(max)
    return assert(extism.new { wasm = { { data = source } }, memory = { max_var_bytes = max } })
  end
  t.eq(plugin(100):call "fill", "")
  local p = plugin(100)
  t.eq(p:call "fill", "")
  t.eq(p:call "fill", "") -- the same key again
  local err = t.raises("variables of more than 99 bytes", plugin(99).call, plugin(99), "fill")
  t.eq(err.kind, "trap")
  t.raises("variables are disabled", plugin(0).call, plugin(0), "fill")
end)

t.test("handles that are none", function()
  local plugin = new({ allowed_hosts = { "*" } }, { log = function() end, log_level = "trace" })
  for letter, what in pairs { c = "the config key", v = "the variable's key",
    s = "the variable's value", l = "the log message", h = "the HTTP request" } do
    t.raises("invalid handle for " .. what, plugin.call, plugin, "forge",
      letter .. ("x"):rep(100))
  end
  for _, letter in ipairs { "o", "O", "e", "f", "w" } do
    t.eq(plugin:call("forge", letter .. ("x"):rep(100)), "")
  end
end)

t.test("a call is interrupted", function()
  local plugin
  plugin = new(nil, { functions = { greet = function(current)
    plugin:interrupt()
    return current:store ""
  end } })
  t.traps("limit", "interrupt", plugin.call, plugin, "greet", "x")
  t.eq(plugin:call("echo", "on"), "on")
end)

-- ---- Many of them -------------------------------------------------------------------------------

t.test("clones share modules only", function()
  local plugin = new()
  local other = assert(plugin:clone())
  t.eq(plugin:call("count", "aaa"), "3 3")
  t.eq(other:call("count", "a"), "1 1")
  t.eq(plugin.modules == other.modules, true)
end)

t.test("a suspended call that is dropped", function()
  local plugin = new(nil, { functions = { greet = coroutine.yield } })
  local co = coroutine.create(function() return plugin:call("greet", "x") end)
  coroutine.resume(co)
  assert(plugin:reset())
  t.eq(plugin:call("echo", "on"), "on")
  t.eq(coroutine.resume(co, 0), false)
  t.eq(plugin:call("echo", "on"), "on")
end)

t.test("a pool serves calls that overlap", function()
  local pool = assert(extism.pool({ wasm = { { path = tally } } }, { max = 3,
    functions = { greet = function(current, name)
      coroutine.yield()
      return current:store("hello " .. current:read(name))
    end } }))
  local function start(name)
    local co = coroutine.create(function() return pool:call("greet", name) end)
    assert(coroutine.resume(co))
    return co
  end
  local a, b, c = start "a", start "b", start "c"
  local err = fails("limit", "all of 3 plugins are busy", pool:call("greet", "d"))
  t.eq(err.code, "plugins")
  t.eqs(t.pack(coroutine.resume(b)), { true, "hello b" })
  local d = start "d"
  t.eqs(t.pack(coroutine.resume(d)), { true, "hello d" })
  t.eqs(t.pack(coroutine.resume(a)), { true, "hello a" })
  t.eqs(t.pack(coroutine.resume(c)), { true, "hello c" })
  -- One that traps is put back as new; those of calls that were dropped are made up for.
  t.traps("trap", "unreachable", pool.call, pool, "crash")
  for _ = 1, 10 do start "lost" end
  t.eq(pool:call("echo", "x"), "x")
  local last = start "last"
  pool:close()
  t.misuse("pool is closed", pool.call, pool, "echo", "x")
  t.eqs(t.pack(coroutine.resume(last)), { true, "hello last" })
  t.misuse("bad option 'max'", extism.pool, bytes, { max = 0 })
end)

t.test("plugins that are dropped are collected", function()
  local base
  for i = 1, 300 do
    local plugin = new(nil, { functions = { greet = greet } })
    plugin:call("echo", ("x"):rep(1000))
    if i % 50 == 0 then
      if t.is_jit then require "jit".flush() end -- traces hold the functions they call
      t.collect()
      base = base or collectgarbage "count"
    end
  end
  t.collect()
  local grown = collectgarbage "count" - base
  if grown > 300 then t.fail(("%d kB more after 250 plugins"):format(grown)) end
end)

t.test("many calls take no more memory", function()
  local plugin = new()
  for _ = 1, 100 do plugin:call("count", ("a"):rep(100)) end
  local bytes_before = tonumber(plugin.current.kernel.memory_bytes())
  local resident = t.resident()
  for _ = 1, 3000 do plugin:call("count", ("a"):rep(100)) end
  t.eq(tonumber(plugin.current.kernel.memory_bytes()), bytes_before)
  if resident and t.resident() - resident > 4000000 then t.fail "the process grows" end
end)
