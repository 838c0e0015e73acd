-- wasm.wasi: options, streams, clocks, waiting, sockets, commands and reactors.
local t = ...
local wasm, test, eq, raises, misuse = t.wasm, t.test, t.eq, t.raises, t.misuse
local wasi = require "wasm.wasi"

local signatures = {
  args_get = "(param i32 i32) (result i32)",
  args_sizes_get = "(param i32 i32) (result i32)",
  environ_get = "(param i32 i32) (result i32)",
  environ_sizes_get = "(param i32 i32) (result i32)",
  clock_time_get = "(param i32 i64 i32) (result i32)",
  fd_close = "(param i32) (result i32)",
  fd_filestat_set_size = "(param i32 i64) (result i32)",
  fd_prestat_get = "(param i32 i32) (result i32)",
  fd_prestat_dir_name = "(param i32 i32 i32) (result i32)",
  fd_read = "(param i32 i32 i32 i32) (result i32)",
  fd_seek = "(param i32 i64 i32 i32) (result i32)",
  fd_write = "(param i32 i32 i32 i32) (result i32)",
  path_open = "(param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)",
  path_unlink_file = "(param i32 i32 i32) (result i32)",
  poll_oneoff = "(param i32 i32 i32 i32) (result i32)",
  proc_exit = "(param i32)",
  proc_raise = "(param i32) (result i32)",
  random_get = "(param i32 i32) (result i32)",
  sock_accept = "(param i32 i32 i32) (result i32)",
  sock_recv = "(param i32 i32 i32 i32 i32 i32) (result i32)",
  sock_send = "(param i32 i32 i32 i32 i32) (result i32)",
}
local names = {}
for name in pairs(signatures) do names[#names + 1] = name end
table.sort(names)

-- A module that exports each function as it imports it.
local function wrapper_text(from)
  local imports, exports = {}, {}
  for _, name in ipairs(names) do
    local signature = signatures[name]
    if from ~= "wasi_unstable" or name ~= "sock_accept" then
      local gets = {}
      for _ in signature:gmatch "i[36][24]" do gets[#gets + 1] = #gets end
      if signature:find "result" then gets[#gets] = nil end
      for i, index in ipairs(gets) do gets[i] = "(local.get " .. index .. ")" end
      imports[#imports + 1] = ('(import "%s" "%s" (func $%s %s))'):format(from, name, name,
        signature)
      exports[#exports + 1] = ('(func (export "%s") %s (call $%s %s))'):format(name, signature,
        name, table.concat(gets, " "))
    end
  end
  return "(module " .. table.concat(imports, "\n") .. '(memory (export "memory") 2)' ..
    table.concat(exports, "\n") .. ")"
end

local wrapper = assert(wasm.load(wrapper_text "wasi_snapshot_preview1"))

-- exports, memory, context
local function guest(options, limits)
  local context = assert(wasi.new(options))
  local instance = assert(wrapper:instantiate({ wasi_snapshot_preview1 = context }, limits))
  return instance.exports, instance.exports.memory, context, instance
end

local function write(e, m, fd, text)
  m:write(1000, text)
  m:pack("I4I4", 0, 1000, #text)
  local errno = e.fd_write(fd, 0, 1, 8)
  return errno, (m:unpack("I4", 8))
end

local function read(e, m, fd, size)
  m:pack("I4I4", 0, 1000, size or 100)
  local errno = e.fd_read(fd, 0, 1, 8)
  return errno, m:read(1000, (m:unpack("I4", 8)))
end

local all_rights = 2 ^ 30 - 1

local function open(e, m, dir, path, oflags)
  m:write(2000, path)
  local errno = e.path_open(dir, 1, 2000, #path, oflags or 0, all_rights, all_rights, 0, 8)
  return errno, (m:unpack("I4", 8))
end

local work = os.tmpname()
os.remove(work)

local function in_work(f)
  assert(os.execute("mkdir " .. work))
  local ok, err = pcall(f)
  os.execute("rm -rf " .. work)
  if not ok then error(err, 0) end
end

-- ---- Options ------------------------------------------------------------------------------------

test("nothing is granted that is not named", function()
  local e, m, context = guest()
  eq(e.args_sizes_get(0, 4), 0)
  eq(m:unpack("I4", 0), 0)
  eq(e.environ_sizes_get(0, 4), 0)
  eq(m:unpack("I4", 0), 0)
  eq(e.fd_prestat_get(3, 0), 8)
  local errno, text = read(e, m, 0)
  eq(errno, 0)
  eq(text, "")
  eq((write(e, m, 1, "lost")), 0)
  eq(context:output(), "")
  eq(open(e, m, 3, "file"), 8)
  eq(context:fds(), 3)
end)

test("arguments and environment", function()
  local e, m = guest { args = { "prog", "two words", "" }, env = { B = "2", A = "1", C = 3 } }
  eq(e.args_sizes_get(0, 4), 0)
  eq(m:unpack("I4", 0), 3)
  eq(m:unpack("I4", 4), 16)
  eq(e.args_get(100, 200), 0)
  eq(m:read(200, 16), "prog\0two words\0\0")
  eq(e.environ_get(100, 200), 0)
  eq(m:read(200, 12), "A=1\0B=2\0C=3\0")
end)

test("bad options", function()
  misuse("unknown option 'dir' to 'wasi.new' (did you mean 'dirs'?)", wasi.new, { dir = {} })
  misuse("bad option 'args'", wasi.new, { args = "x" })
  misuse("bad option 'args'", wasi.new, { args = { 1 } })
  misuse("zero byte", wasi.new, { args = { "a\0b" } })
  misuse("no name of a variable", wasi.new, { env = { ["A=B"] = "1" } })
  misuse("bad option 'stdin'", wasi.new, { stdin = 1 })
  misuse("bad option 'stdout'", wasi.new, { stdout = "captured" })
  misuse("unknown option 'readonyl'", wasi.new,
    { dirs = { ["/"] = { path = ".", readonyl = true } } })
  misuse("unknown option 'real'", wasi.new, { clock = { real = print } })
  misuse("bad option 'random'", wasi.new, { random = 4 })
  misuse("bad option 'block'", wasi.new, { block = true })
  misuse("unknown option 'fule'", wasi.run, wrapper, { fule = 1 })
  local context, err = wasi.new { dirs = { ["/"] = "/nowhere/at/all" } }
  eq(context, nil)
  eq(err.kind, "io")
  eq(tostring(err):find("/nowhere/at/all", 1, true) ~= nil, true)
  context, err = wasi.new { sockets = { listen = { "127.0.0.1" } } }
  eq(context, nil)
  eq(err.kind, "io")
end)

-- ---- Streams ------------------------------------------------------------------------------------

test("a string to read, captured output", function()
  local e, m, context = guest { stdin = "some input", stdout = "capture", stderr = "capture" }
  eq(select(2, read(e, m, 0, 4)), "some")
  eq(select(2, read(e, m, 0)), " input")
  eq(select(2, read(e, m, 0)), "")
  eq(select(2, write(e, m, 1, "one ")), 4)
  write(e, m, 1, "two")
  write(e, m, 2, "bad")
  eq(context:output(), "one two")
  eq(context:errors(), "bad")
  eq((write(e, m, 0, "x")), 76)
end)

test("functions as streams", function()
  local chunks, asked = { "ab", "c", nil }, {}
  local written = {}
  local e, m = guest {
    stdin = function(max)
      asked[#asked + 1] = max
      return table.remove(chunks, 1)
    end,
    stdout = function(chunk) written[#written + 1] = chunk end,
    stderr = function() error "no errors, please" end,
  }
  eq(select(2, read(e, m, 0, 1)), "a")
  eq(select(2, read(e, m, 0, 9)), "b")
  eq(select(2, read(e, m, 0, 9)), "c")
  eq(select(2, read(e, m, 0, 9)), "")
  eq(#asked, 3)
  write(e, m, 1, "x")
  write(e, m, 1, "yz")
  eq(table.concat(written, "|"), "x|yz")
  raises("no errors, please", write, e, m, 2, "x")
  eq((write(e, m, 1, "still")), 0)
end)

test("bad results of functions", function()
  local e, m = guest {
    stdin = function() return 5 end,
    random = function() return "short" end,
    clock = { realtime = function() return "noon" end },
  }
  raises("bad result of stdin", read, e, m, 0, 5)
  raises("bad result of random", e.random_get, 0, 6)
  raises("bad result of clock", e.clock_time_get, 0, 0, 8)
end)

test("open files", function()
  in_work(function()
    local out = assert(io.open(work .. "/out", "wb"))
    out:write "before "
    local e, m, context = guest { stdout = out }
    write(e, m, 1, "guest ")
    context:close()
    out:seek "end"
    out:write "after"
    out:close()
    local file = assert(io.open(work .. "/out", "rb"))
    eq(file:read(3), "bef")
    e, m = guest { stdin = file }
    eq(select(2, read(e, m, 0)), "ore guest after")
    file:close()
    raises("closed file", wasi.new, { stdin = file })
  end)
end)

-- ---- Directories --------------------------------------------------------------------------------

test("directories in the order of their names", function()
  in_work(function()
    local e, m, context = guest {
      dirs = { ["/b"] = work, ["/a"] = { path = work, readonly = true } },
    }
    eq(e.fd_prestat_get(3, 0), 0)
    eq(m:unpack("I4", 4), 2)
    eq(e.fd_prestat_dir_name(3, 100, 2), 0)
    eq(m:read(100, 2), "/a")
    eq(e.fd_prestat_get(5, 0), 8)
    local errno, fd = open(e, m, 4, "new", 1)
    eq(errno, 0)
    eq((write(e, m, fd, "content")), 0)
    eq(open(e, m, 3, "new", 0), 69)
    eq(open(e, m, 4, "../x", 1), 63)
    eq(context:fds(), 6)
    context:close()
    eq(context:fds(), 0)
    eq(open(e, m, 4, "new"), 8)
    context:close()
    local file = assert(io.open(work .. "/new", "rb"))
    eq(file:read "*a", "content")
    file:close()
  end)
end)

-- ---- Clocks and chance --------------------------------------------------------------------------

test("injected clocks and random numbers", function()
  local now = 1000
  local e, m = guest {
    clock = { realtime = function() return 1234567890123 end, monotonic = function()
      now = now + 1
      return now
    end },
    random = function(n) return ("r"):rep(n) end,
  }
  eq(e.clock_time_get(0, 0, 8), 0)
  eq(m:unpack("I4", 8), 1912276171)
  eq(e.clock_time_get(1, 0, 8), 0)
  eq(m:unpack("I4", 8), 1001)
  eq(e.clock_time_get(1, 0, 8), 0)
  eq(m:unpack("I4", 8), 1002)
  eq(e.clock_time_get(2, 0, 8), 0)
  eq(e.random_get(16, 5), 0)
  eq(m:read(16, 6), "rrrrr\0")
end)

local function subscribe_clock(m, i, userdata, ns)
  local at = 3000 + i * 48
  m:fill(at, 0, 48)
  m:pack("I4", at, userdata)
  m:pack("I4", at + 16, 1)
  m:pack("I4", at + 24, ns)
end

local function subscribe_fd(m, i, userdata, kind, fd)
  local at = 3000 + i * 48
  m:fill(at, 0, 48)
  m:pack("I4", at, userdata)
  m:pack("I1", at + 8, kind)
  m:pack("I4", at + 16, fd)
end

test("sleeping by an injected clock that stands still", function()
  local e, m = guest { clock = { monotonic = function() return 5 end } }
  subscribe_clock(m, 0, 7, 5000000)
  eq(e.poll_oneoff(3000, 4000, 1, 8), 0)
  eq(m:unpack("I4", 8), 1)
  eq(m:unpack("I4", 4000), 7)
end)

-- ---- block --------------------------------------------------------------------------------------

test("block instead of waiting, which yields", function()
  local seen = {}
  local input = { "" }
  local e, m = guest {
    stdin = function() return table.remove(input, 1) end,
    block = function(what) seen[#seen + 1] = what return coroutine.yield(what) end,
  }
  local co = coroutine.create(function() return read(e, m, 0) end)
  local ok, what = coroutine.resume(co)
  eq(ok, true)
  eq(what, seen[1])
  eq(what.events, "r")
  eq(what.fd, nil)
  eq(what.timeout, nil)
  input[1], input[2] = "", "line"
  eq(select(2, coroutine.resume(co)), seen[2])
  local errno, text
  ok, errno, text = coroutine.resume(co)
  eq(ok, true)
  eq(errno, 0)
  eq(text, "line")
  eq(coroutine.status(co), "dead")
end)

test("many guests wait at once in one event loop", function()
  local clock = 0
  local sleeping, done = {}, {}
  for i = 1, 20 do
    local e, m = guest {
      clock = { monotonic = function() return clock end },
      block = function(what) coroutine.yield(what.timeout) end,
    }
    local co = coroutine.create(function()
      for round = 1, 3 do
        subscribe_clock(m, 0, round, i * 1000)
        if e.poll_oneoff(3000, 4000, 1, 8) ~= 0 then error "errno" end
      end
      done[#done + 1] = i
    end)
    sleeping[i] = co
  end
  local rounds = 0
  while next(sleeping) do
    for i, co in pairs(sleeping) do
      assert(coroutine.resume(co))
      if coroutine.status(co) == "dead" then sleeping[i] = nil end
    end
    clock = clock + 1000
    rounds = rounds + 1
  end
  eq(#done, 20)
  eq(done[1], 1)
  eq(done[20], 20)
  eq(rounds, 61)
end)

test("an error of block ends the call", function()
  local e, m = guest {
    stdin = function() return "" end,
    block = function() error({ "mine" }, 0) end,
  }
  local ok, err = pcall(read, e, m, 0)
  eq(ok, false)
  eq(err[1], "mine")
end)

test("a guest called from block has its own memory", function()
  local other_e, other_m = guest { stdout = "capture", trace = function() end }
  local input = { "", "mine" }
  local e, m = guest {
    stdin = function() return table.remove(input, 1) end,
    block = function()
      write(other_e, other_m, 1, "other")
      pcall(other_e.proc_exit, 1)
      pcall(other_e.fd_read, 0, 2 ^ 31 - 8, 1, 0)
    end,
  }
  local errno, text = read(e, m, 0)
  eq(errno, 0)
  eq(text, "mine")
  eq(other_m:read(1000, 5), "other")
end)

test("limits while waiting", function()
  local module = assert(wasm.load [[(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $p (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "sleep") (loop (drop
      (call $p (i32.const 3000) (i32.const 4000) (i32.const 1) (i32.const 8))) (br 0))))]])
  local quiet = function() end
  for _, options in ipairs { { stdin = function() return "" end }, { trace = quiet }, {} } do
    local instance = assert(module:instantiate(
      { wasi_snapshot_preview1 = assert(wasi.new(options)) }, { timeout = 0.05 }))
    subscribe_clock(instance.exports.memory, 0, 1, 4000000000)
    t.traps("limit", "timeout", instance.exports.sleep)
    local co = coroutine.create(function()
      t.traps("limit", "timeout", instance.exports.sleep)
    end)
    assert(coroutine.resume(co))
    eq(coroutine.status(co), "dead")
  end
end)

-- ---- trace --------------------------------------------------------------------------------------

test("trace gets every call", function()
  local lines = {}
  local e, m, context = guest {
    stdout = "capture",
    trace = function(line, name, errno) lines[#lines + 1] = { line, name, errno } end,
  }
  write(e, m, 1, "hi\n")
  eq(context:output(), "hi\n")
  eq(lines[1][1], 'fd_write(fd=1, iovs="hi\\n" [1: 3 bytes]) = SUCCESS nwritten=3')
  eq(lines[1][2], "fd_write")
  eq(lines[1][3], 0)
  eq(e.fd_close(77), 8)
  eq(lines[2][1], "fd_close(fd=77) = BADF")
  eq(lines[2][3], 8)
  t.traps("exit", 3, e.proc_exit, 3)
  eq(lines[3][1], "proc_exit(code=3) ends the run")
end)

-- ---- Exit and signals ---------------------------------------------------------------------------

test("proc_exit ends any call", function()
  local e = guest()
  for _, status in ipairs { 0, 1, 255 } do
    local err = t.traps("exit", status, e.proc_exit, status)
    eq(#err.frames, 1)
  end
  local through = t.exports([[(module (import "e" "f" (func $f (param i32)))
    (func (export "g") (param i32) (call $f (local.get 0))))]],
    { e = { f = function(n) e.proc_exit(n) end } })
  t.traps("exit", 9, through.g, 9)
end)

test("proc_raise", function()
  for _, options in ipairs { {}, { trace = function() end } } do
    local e = guest(options)
    eq(e.proc_raise(0), 0)
    local err = raises("was not granted", e.proc_raise, 6)
    eq(err.kind, "trap")
  end
end)

-- ---- Sockets ------------------------------------------------------------------------------------

test("sockets over loopback", function()
  local blocked = 0
  local server_e, server_m, server = guest { sockets = { listen = { "127.0.0.1:0" } } }
  local address = wasi.addresses(server)[1]
  eq(address:match "^127%.0%.0%.1:%d+$", address)
  local client_e, client_m = guest {
    sockets = { streams = { address } },
    block = function() blocked = blocked + 1 if blocked > 100 then error "nothing came" end end,
  }
  eq(server_e.sock_accept(3, 0, 8), 0)
  local fd = server_m:unpack("I4", 8)
  client_m:write(1000, "ping")
  client_m:pack("I4I4", 0, 1000, 4)
  eq(client_e.sock_send(3, 0, 1, 0, 8), 0)
  server_m:pack("I4I4", 0, 1000, 100)
  eq(server_e.sock_recv(fd, 0, 1, 0, 8, 12), 0)
  eq(server_m:read(1000, (server_m:unpack("I4", 8))), "ping")
  local errno = write(server_e, server_m, fd, "pong")
  eq(errno, 0)
  subscribe_fd(client_m, 0, 1, 1, 3)
  eq(client_e.poll_oneoff(3000, 4000, 1, 8), 0)
  eq(select(2, read(client_e, client_m, 3)), "pong")
  eq(server_e.fd_close(fd), 0)
  eq(select(2, read(client_e, client_m, 3)), "")
end)

test("accepting waits in block", function()
  local client
  local address
  local e, m, context = guest {
    sockets = { listen = { "127.0.0.1:0" } },
    block = function(what)
      eq(type(what.fd), "number")
      eq(what.events, "r")
      client = client or assert(wasi.new { sockets = { streams = { address } } })
    end,
  }
  address = wasi.addresses(context)[1]
  eq(e.sock_accept(3, 0, 8), 0)
  eq(m:unpack("I4", 8), 4)
end)

-- ---- Running ------------------------------------------------------------------------------------

local hello = [[(module
  (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\06\00\00\00hello\n")
  (func (export "_start")
    (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))
    (call $exit (i32.const %d))))]]

test("run", function()
  local module = assert(wasm.load(hello:format(7)))
  local status, context = wasi.run(module, { stdout = "capture" })
  eq(status, 7)
  eq(context:output(), "hello\n")
  eq(context:fds(), 0)
  eq((wasi.run(assert(wasm.load(hello:format(0))))), 0)
  eq((wasi.run(assert(wasm.load [[(module (func (export "_start")))]]))), 0)
  t.traps("trap", "unreachable", wasi.run,
    assert(wasm.load [[(module (func (export "_start") unreachable))]]))
  local nothing, err = wasi.run "/nowhere.wasm"
  eq(nothing, nil)
  eq(err.kind, "io")
  nothing, err = wasi.run(assert(wasm.load [[(module (import "a" "b" (func)))]]))
  eq(nothing, nil)
  eq(err.kind, "link")
  status = wasi.run(
    assert(wasm.load [[(module (import "a" "b" (func $f)) (export "_start" (func $f)))]]),
    { imports = { a = { b = function() end } } })
  eq(status, 0)
  t.traps("limit", "fuel", wasi.run,
    assert(wasm.load [[(module (func (export "_start") (loop (br 0))))]]), { fuel = 1000 })
end)

test("run yields in block", function()
  local module = assert(wasm.load [[(module
    (import "wasi_snapshot_preview1" "fd_read" (func $r (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00\01\00\00\00")
    (func (export "_start")
      (drop (call $r (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 20)))
      (call $exit (i32.load8_u (i32.const 0x40)))))]])
  local input = { "", "", "A" }
  local co = coroutine.create(function()
    return (wasi.run(module, {
      stdin = function() return table.remove(input, 1) end,
      block = function(what) coroutine.yield("waits", what) end,
    }))
  end)
  eq(select(2, coroutine.resume(co)), "waits")
  eq(select(2, coroutine.resume(co)), "waits")
  local _, status = coroutine.resume(co)
  eq(status, 65)
end)

test("exit in the start function", function()
  local module = assert(wasm.load [[(module
    (import "wasi_unstable" "proc_exit" (func $exit (param i32)))
    (func $f (call $exit (i32.const 4))) (start $f))]])
  eq((wasi.run(module)), 4)
end)

test("a module with neither _start nor _initialize is no program", function()
  local status, err = wasi.run(assert(wasm.load [[(module (func (export "add")))]]))
  eq(status, nil)
  eq(err.kind, "link")
  eq(err.message, "no '_start': not a WASI program")
end)

test("misuse has the place of the caller and the function's name", function()
  local function told(wanted, ...)
    local ok, err = pcall(...)
    eq(ok, false)
    if not err:find("^[^:]*wasi%.lua:%d+: ") or err:find("binding", 1, true) or
      err:find("wasm/wasi.lua", 1, true) or not err:find(wanted, 1, true) then
      t.fail(err)
    end
  end
  told("to 'wasi.run' (module or path expected, got nil)", function() wasi.run() end)
  told("'args' to 'wasi.run' (table expected", function() wasi.run(wrapper, { args = 1 }) end)
  told("'env' to 'wasi.new'", function() wasi.new { env = { [""] = "x" } } end)
  told("'env' to 'wasi.new' (string expected", function() wasi.new { env = { A = {} } } end)
  told("the keys are the guest's paths", function() wasi.new { dirs = { "." } } end)
  told("'clock' to 'wasi.run'", function() wasi.run(wrapper, { clock = { realtime = 1 } }) end)
  told("unknown option 'x' to 'wasi.run'", function()
    wasi.run(wrapper, { clock = { x = 1 } })
  end)
end)

test("reactors", function()
  local context = assert(wasi.new { stdout = "capture" })
  local instance = assert(wasm.instantiate([[(module
    (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (global $ready (mut i32) (i32.const 0))
    (data (i32.const 0) "\08\00\00\00\02\00\00\00ok")
    (func (export "_initialize") (global.set $ready (i32.const 1)))
    (func (export "say") (result i32)
      (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))
      (global.get $ready)))]], { wasi_snapshot_preview1 = context }))
  eq(wasi.start(instance), 0)
  eq(instance.exports.say(), 1)
  eq(instance.exports.say(), 1)
  eq(context:output(), "okok")
end)

test("wasi_unstable", function()
  local context = assert(wasi.new { stdout = "capture" })
  local instance = assert(wasm.instantiate(wrapper_text "wasi_unstable",
    { wasi_unstable = context }))
  eq((write(instance.exports, instance.exports.memory, 1, "old")), 0)
  eq(context:output(), "old")
  local missing, err = wasm.instantiate(
    [[(module (import "wasi_unstable" "sock_accept" (func (param i32 i32 i32) (result i32))))]],
    { wasi_unstable = context })
  eq(missing, nil)
  eq(err.kind, "link")
end)

test("a function works on the memory of whoever calls it", function()
  local context = assert(wasi.new { stdout = "capture" })
  local imports = { wasi_snapshot_preview1 = context }
  local a = assert(wrapper:instantiate(imports)).exports
  local b = assert(wrapper:instantiate(imports)).exports
  a.memory:write(1000, "from a")
  b.memory:write(1000, "from b")
  a.memory:pack("I4I4", 0, 1000, 6)
  b.memory:pack("I4I4", 0, 1000, 6)
  -- b's code, called by guest code of a third instance, which has another memory
  local c = assert(wasm.instantiate([[(module
    (import "b" "w" (func $w (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "go") (result i32)
      (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))]],
    { b = { w = b.fd_write } })).exports
  eq(c.go(), 0)
  eq(a.fd_write(1, 0, 1, 8), 0)
  eq(context:output(), "from bfrom a")
  local bare = assert(wasm.instantiate([[(module
    (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
    (func (export "go") (result i32)
      (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))]],
    imports)).exports
  eq(bare.go(), 21)
end)

test("contexts are collected with what uses them", function()
  local alive = setmetatable({}, { __mode = "k" })
  local function make()
    local context
    context = assert(wasi.new { stdin = "x", trace = function() return context end })
    alive[context] = true
    local instance = assert(wrapper:instantiate { wasi_snapshot_preview1 = context })
    instance.exports.fd_close(0)
    return instance
  end
  local kept = make()
  for _ = 1, 20 do make() end
  t.collect()
  local n = 0
  for _ in pairs(alive) do n = n + 1 end
  eq(n <= 2, true)
  eq(kept.exports.fd_close(1), 0)
end)
