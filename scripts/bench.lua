-- The benchmarks: lua scripts/bench.lua [--rounds=N] [--engine=E] [--only=TEXT] [GROUP...]
--
-- Groups: calls lua ffi kernels load memory shootout, which run when none is named, and programs
-- compile gc. Every contender runs once a round, in turn; what is printed is the median over the
-- rounds of the ratios within one round, so that a machine that slows down for a while slows both
-- sides. Peers are what is on PATH: node, and any runner that follows the convention of
-- tests/bench/peers (wasm3-bench, iwasm-bench, wazero-bench, others by
-- RILLE_BENCH_PEERS="name=command;..."); of wasm3, iwasm and wazero without a runner the whole
-- process is timed, marked with a star.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
local root = assert(io.popen("cd '" .. here .. "/..' && pwd")):read "*l"
local version = _VERSION:match("%d+%.%d+")
local built = ("%s/%s/lua/%s"):format(root, os.getenv "RILLE_BUILD" or "build/release", version)
local work = root .. "/build/bench/" .. (jit and "luajit" or "lua" .. version)
local shared = os.getenv "RILLE_SHARED" or root .. "/../shared"
package.path = built .. "/?.lua;" .. package.path
package.cpath = built .. "/?.so;" .. work .. "/?.so;" .. package.cpath
local wasm = require "wasm"

local options = { rounds = 5, engine = "default", only = "" }
local native -- the module of tests/bench/native.c

-- ---- Helpers ------------------------------------------------------------------------------------

local function capture(command)
  local pipe = assert(io.popen(command, "r"))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

local function has_command(name)
  return capture("command -v " .. name) ~= ""
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "*a"
  file:close()
  return bytes
end

local function write_file(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

local function list_files(pattern)
  local files = {}
  for path in capture("ls " .. pattern .. " 2>/dev/null"):gmatch "[^\n]+" do
    if path:find(options.only, 1, true) then files[#files + 1] = path end
  end
  return files
end

local function median(values)
  local sorted = {}
  for i, value in ipairs(values) do sorted[i] = value end
  table.sort(sorted)
  local middle = #sorted / 2
  if middle % 1 ~= 0 then return sorted[math.ceil(middle)] end
  return middle > 0 and (sorted[middle] + sorted[middle + 1]) / 2 or nil
end

local function geometric_mean(values)
  local sum = 0
  for _, value in ipairs(values) do sum = sum + math.log(value) end
  return #values > 0 and math.exp(sum / #values) or nil
end

-- The medians of `ours[i] / theirs[i]`; nil where a round failed.
local function median_ratio(ours, theirs)
  local ratios = {}
  for i = 1, options.rounds do
    if ours[i] and theirs[i] then ratios[#ratios + 1] = ours[i] / theirs[i] end
  end
  return median(ratios)
end

local function build(command)
  local ok = os.execute(command)
  return ok == true or ok == 0
end

-- ---- Guest speed --------------------------------------------------------------------------------

-- Runs a command that follows the convention; nanoseconds (nil: it failed) and its output.
local function run_timed(command)
  local text = capture(command .. " 2>&1 </dev/null")
  local ns = tonumber(text:match "bench (%d+)\n")
  return ns, (text:gsub("bench %d+\n", "", 1))
end

local function run_whole_process(command)
  local began = native.now()
  if not build(command .. " >/dev/null 2>&1 </dev/null") then return nil, "" end
  return native.now() - began, ""
end

-- Runs one of our Lua files in a process of its own.
local function lua_command(file)
  return ("LUA_PATH='%s/?.lua' LUA_CPATH='%s/?.so;%s/?.so' %s %s/%s"):format(
    built, built, work, jit and "luajit" or arg[-1] or "lua" .. version, root, file)
end

local function rille_command()
  return lua_command("tests/bench/peers/rille.lua") .. " " .. options.engine
end

-- {name, command (takes FILE [EXPORT N]), run} of what is on this machine.
local function find_peers()
  local peers = {}
  local function add(name, program, command, run)
    if has_command(program) then
      peers[#peers + 1] = { name = name, command = command, run = run or run_timed }
    end
  end
  for name, command in (os.getenv "RILLE_BENCH_PEERS" or ""):gmatch "([^=;]+)=([^;]+)" do
    add(name, command:match "%S+", command)
  end
  add("wasm3", "wasm3-bench", "wasm3-bench")
  add("iwasm", "iwasm-bench", "iwasm-bench")
  add("V8", "node", ("node --no-liftoff --no-wasm-lazy-compilation %s/tests/bench/peers/node.cjs")
    :format(root))
  add("wazero", "wazero-bench", "GOGC=off wazero-bench")
  if not has_command "wasm3-bench" then add("wasm3*", "wasm3", "wasm3", run_whole_process) end
  if not has_command "iwasm-bench" then add("iwasm*", "iwasm", "iwasm", run_whole_process) end
  if not has_command "wazero-bench" then
    add("wazero*", "wazero", "wazero run", run_whole_process)
  end
  return peers
end

-- One row: our milliseconds and, for every contender, how many times longer we take.
local function print_row(name, ours, ratios)
  local cells = { ("%-14s %9s"):format(name, ours and ("%.1f"):format(ours / 1e6) or "failed") }
  for i = 1, #ratios do
    cells[#cells + 1] = ("%9s"):format(ratios[i] and ("%.2f"):format(ratios[i]) or "-")
  end
  print(table.concat(cells, " "))
end

local function print_head(title, contenders)
  local cells = { ("%-14s %9s"):format(title, "ms") }
  for _, contender in ipairs(contenders) do
    cells[#cells + 1] = ("%9s"):format("/" .. contender.name)
  end
  print(table.concat(cells, " "))
end

-- Runs `command_of(contender)` of everyone in turn and prints the row; gives the ratios.
local function race(name, rille, contenders, command_of, expected)
  local times = {}
  for i = 0, #contenders do times[i] = {} end
  for round = 1, options.rounds do
    local ns, output = run_timed(command_of(rille))
    if expected and output ~= expected then ns = nil end
    times[0][round] = ns
    for i, contender in ipairs(contenders) do
      local command = command_of(contender)
      if command then times[i][round] = (contender.run or run_timed)(command) end
    end
  end
  local ratios = {}
  local ours = median(times[0])
  for i = 1, #contenders do
    -- Less than a tenth of a millisecond is no work but noise: the loop was optimised away.
    ratios[i] = ours and ours > 1e5 and median_ratio(times[0], times[i]) or false
  end
  print_row(name, ours, ratios)
  return ratios
end

-- Races over all programs and prints the geometric means.
local function race_all(title, contenders, programs)
  local rille = { name = "rille", command = rille_command() }
  local columns = {}
  print_head(title, contenders)
  for _, program in ipairs(programs) do
    local ratios = race(program.name, rille, contenders, program.command_of, program.expected)
    for i = 1, #contenders do
      columns[i] = columns[i] or {}
      if ratios[i] then columns[i][#columns[i] + 1] = ratios[i] end
    end
  end
  local means = {}
  for i = 1, #contenders do means[i] = geometric_mean(columns[i] or {}) or false end
  local cells = { ("%-14s %9s"):format("geometric mean", "") }
  for i = 1, #contenders do
    cells[#cells + 1] = ("%9s"):format(means[i] and ("%.2f"):format(means[i]) or "-")
  end
  print(table.concat(cells, " "))
end

-- A kernel: the native builds get n, runners FILE run n, whole processes FILE alone.
local function kernel_program(path)
  local name = path:match "([^/]*)%.wasm$"
  local source = path:gsub("%.wasm$", ".c")
  local n = read_file(source):match "KERNEL_N +(%d+)"
  local function command_of(contender)
    if contender.compiler then
      local program = ("%s/%s-%s"):format(work, name, contender.compiler)
      return exists(program) and program .. " " .. n
    elseif contender.run == run_whole_process then
      return contender.command .. " " .. path
    end
    return ("%s %s run %s"):format(contender.command, path, n)
  end
  return { name = name, source = source, command_of = command_of }
end

local groups = {}

function groups.kernels()
  local contenders = {}
  for _, compiler in ipairs { "gcc", "clang" } do
    if has_command(compiler) then
      contenders[#contenders + 1] = { name = compiler .. " -O2", compiler = compiler }
    end
  end
  local programs = {}
  for _, path in ipairs(list_files(root .. "/tests/bench/kernels/*.wasm")) do
    local program = kernel_program(path)
    for _, contender in ipairs(contenders) do
      local flags = " -O2 -ffp-contract=off -fno-math-errno"
      build(("%s -o %s/%s-%s %s %s/tests/bench/kernels/native.c -lm"):format(
        contender.compiler .. flags, work, program.name, contender.compiler, program.source, root))
    end
    programs[#programs + 1] = program
  end
  for _, peer in ipairs(find_peers()) do contenders[#contenders + 1] = peer end
  race_all("kernels", contenders, programs)
end

function groups.shootout()
  local contenders, programs = {}, {}
  for _, peer in ipairs(find_peers()) do
    if peer.run == run_timed then contenders[#contenders + 1] = peer end
  end
  for _, path in ipairs(list_files(shared .. "/real/sightglass/shootout/*.wasm")) do
    -- One program opens files, which is another matter.
    if not read_file(path):find("path_open", 1, true) then
      programs[#programs + 1] = {
        name = path:match "shootout%-(.*)%.wasm$",
        expected = read_file((path:gsub("%.wasm$", ".stderr.expected")))
          .. read_file((path:gsub("%.wasm$", ".stdout.expected"))),
        command_of = function(contender) return contender.command .. " " .. path end,
      }
    end
  end
  if #programs == 0 then
    print("shootout: skipped, no " .. shared .. "/real/sightglass")
  else
    race_all("shootout", contenders, programs)
  end
end

-- Larger programs, which read files beside them.
function groups.programs()
  local contenders, programs = {}, {}
  for _, peer in ipairs(find_peers()) do
    if peer.run == run_timed then contenders[#contenders + 1] = peer end
  end
  local folder = shared .. "/real/sightglass"
  for _, path in ipairs(list_files(folder .. "/*/*.wasm")) do
    local directory, file = path:match "^(.*)/([^/]*)$"
    if file == "benchmark.wasm" or file == "sqlite3.wasm" then
      programs[#programs + 1] = {
        name = directory:match "[^/]*$",
        command_of = function(contender)
          return ("cd %s && %s ./%s"):format(directory, contender.command, file)
        end,
      }
    end
  end
  if #programs == 0 then
    print("programs: skipped, no " .. folder)
  else
    race_all("programs", contenders, programs)
  end
end

-- ---- Garbage ------------------------------------------------------------------------------------

-- Resident pages after each tenth of 10^8 allocations in an instance that may have 64 MiB.
local function print_bounded_heap()
  local text = capture(lua_command("tests/bench/garbage.lua") .. " " .. options.engine)
  local made = tonumber(text:match "%d+")
  local pages = {}
  for n in text:match "pages ([%d ]+)":gmatch "%d+" do pages[#pages + 1] = tonumber(n) end
  print(("%d allocations, 64 MiB allowed: %.2f s, resident pages %d in the second tenth, %d in the "
    .. "last"):format(made, tonumber(text:match "seconds ([%d.]+)"), pages[2], pages[10]))
end

function groups.gc()
  local contenders = {}
  for _, peer in ipairs(find_peers()) do
    if peer.run == run_timed then contenders[#contenders + 1] = peer end
  end
  local text = read_file(root .. "/tests/bench/wat/trees.wat")
  local path = write_file(work .. "/trees.wasm", assert(wasm.wat2wasm(text)))
  race_all("garbage", contenders, { {
    name = "trees of 18",
    command_of = function(contender) return contender.command .. " " .. path .. " trees 18" end,
  } })
  print_bounded_heap()
end

-- ---- Compiling ----------------------------------------------------------------------------------

-- Processor time of all functions, without loading: the threads' sum is what one would take.
function groups.compile()
  print(("%-32s %10s %10s"):format("compile", "ms", "MB/s of code"))
  for _, path in ipairs(list_files(shared .. "/real/npm/*.wasm")) do
    local bytes = read_file(path)
    local least, code_bytes = math.huge, 0
    for _ = 1, math.max(options.rounds, 3) do
      collectgarbage()
      local began = os.clock()
      local lazy = wasm.load(bytes, { engine = "compiler" })
      local middle = os.clock()
      local eager = wasm.load(bytes, { engine = "compiler", eager = true })
      if not (lazy and eager) then break end
      least = math.min(least, (os.clock() - middle) - (middle - began))
      code_bytes = eager:stats().code_bytes
    end
    if least < math.huge then
      print(("%-32s %10.1f %10.2f"):format(path:match "[^/]*$", least * 1e3,
        code_bytes / least / 1e6))
    end
  end
end

-- ---- Calls --------------------------------------------------------------------------------------

local function lua_add(a, b)
  return a + b
end

local function lua_loop(fn, n)
  local began = native.busy()
  for i = 1, n do fn(i, 1) end
  return native.busy() - began
end

local function empty_loop(n)
  local began, sum = native.busy(), 0
  for i = 1, n do sum = sum + i end
  return native.busy() - began, sum
end

local function guest_loop(fn, n)
  local began = native.busy()
  fn(n)
  return native.busy() - began
end

local function load_for_engine(bytes)
  local engine = options.engine ~= "default" and options.engine or nil
  return assert(wasm.load(bytes, { engine = engine }))
end

local function call_rows()
  local bytes = assert(wasm.wat2wasm(read_file(root .. "/tests/bench/calls.wat")))
  local module = load_for_engine(bytes)
  local guest = assert(module:instantiate { env = { add = lua_add } }).exports
  local other = assert(module:instantiate { env = { add = native.add } }).exports
  local function from_lua(fn)
    return { function(n) return lua_loop(fn, n) end, empty_loop }
  end
  local function guest_empty(n)
    return guest_loop(guest.loop_empty, n)
  end
  local function from_guest(exports, name)
    return { function(n) return guest_loop(exports[name], n) end, guest_empty }
  end
  local function from_c(fn)
    return { function(n) return (native.call(fn, n)) end }
  end
  local is_compiled = options.engine == "compiler"
  return {
    { "Lua -> C function", from_lua(native.add), 1 },
    { "Lua -> Lua function", from_lua(lua_add), 1 },
    { "Lua -> guest, (i32 i32) -> i32", from_lua(guest.add), 1, is_compiled and 1.25 or 2 },
    { "Lua -> guest, () -> ()", from_lua(guest.nothing), 1 },
    { "C -> Lua function, lua_call", from_c(lua_add), 5 },
    { "C -> C function, lua_call", from_c(native.add), 6 },
    { "guest -> Lua function", from_guest(guest, "loop_import"), 5,
      is_compiled and 1.35 or 2 },
    { "guest -> C function", from_guest(other, "loop_import"), 6 },
    { "guest -> guest function", from_guest(guest, "loop_own"), 2 },
  }
end

-- The rows: a name, {loop, loop without what is measured}, the number of the row that it is
-- compared with, how many times as long is wanted. A time within a round is the least of some short
-- loops: on a machine that does other things too, long loops measure those. The rows take turns.
local function print_calls(title, rows, n)
  local times = {}
  for i = 1, #rows do times[i] = {} end
  local function run_round()
    local best, least_empty = {}, {}
    for _ = 1, 20 do
      for i, row in ipairs(rows) do
        local loop, empty = row[2][1], row[2][2]
        best[i] = math.min(best[i] or math.huge, (loop(n)))
        least_empty[i] = empty and math.min(least_empty[i] or math.huge, (empty(n))) or 0
      end
    end
    for i in ipairs(rows) do best[i] = (best[i] - least_empty[i]) / n end
    return best
  end
  run_round() -- warms up
  for round = 1, options.rounds do
    for i, ns in ipairs(run_round()) do times[i][round] = ns end
  end
  print(("%-34s %9s %7s %7s  %s"):format(title, "ns", "ratio", "bar", "to"))
  for i, row in ipairs(rows) do
    local bar = row[4] and ("%.2f"):format(row[4]) or ""
    print((("%-34s %9.1f %7.2f %7s  %s"):format(row[1], median(times[i]),
      median_ratio(times[i], times[row[3]]), bar, row[3] ~= i and rows[row[3]][1] or "")
      :gsub("%s+$", "")))
  end
end

function groups.calls()
  print_calls("calls (empty loop subtracted)", call_rows(), 20000)
end

-- ---- What Lua programs do with guests ---------------------------------------------------------

local function yield_loop(body)
  return function(n)
    local co = coroutine.wrap(function() return body(n) end)
    local began = native.busy()
    for _ = 1, n do co(1) end
    return native.busy() - began
  end
end

local function lua_rows()
  local bytes = assert(wasm.wat2wasm [[(module
    (import "env" "wait" (func $wait (param i32) (result i32)))
    (memory (export "mem") 1)
    (func (export "yields") (param $n i32) (result i32)
      (loop $next
        (drop (call $wait (local.get $n)))
        (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $n)))]])
  local guest = assert(load_for_engine(bytes):instantiate { env = { wait = coroutine.yield } })
  local mem, object = guest.exports.mem, native.object()
  local text, yield = ("x"):rep(256), coroutine.yield
  local function loop(body)
    return { body, empty_loop }
  end
  local function plain_yields(n)
    for i = n, 1, -1 do yield(i) end
  end
  return {
    { "text:sub, 16 bytes", loop(function(n)
      local began = native.busy()
      for i = 1, n do text:sub(i % 200 + 1, i % 200 + 16) end
      return native.busy() - began
    end), 1 },
    { "mem:read, 16 bytes", loop(function(n)
      local began = native.busy()
      for i = 1, n do mem:read(i % 200, 16) end
      return native.busy() - began
    end), 1, 1.5 },
    { "empty method of a userdata", loop(function(n)
      local began = native.busy()
      for i = 1, n do object:nothing("i32", i) end
      return native.busy() - began
    end), 3 },
    { 'mem:load("i32", at)', loop(function(n)
      local began = native.busy()
      for i = 1, n do mem:load("i32", i) end
      return native.busy() - began
    end), 3, 1.3 },
    { "method that checks its arguments", loop(function(n)
      local began = native.busy()
      for i = 1, n do object:checked("i32", i) end
      return native.busy() - began
    end), 3 },
    { 'mem:load("i32", at), to that', loop(function(n)
      local began = native.busy()
      for i = 1, n do mem:load("i32", i) end
      return native.busy() - began
    end), 5 },
    { "yield and resume", { yield_loop(plain_yields) }, 7 },
    { "yield and resume through a guest", { yield_loop(guest.exports.yields) }, 7, 2.0 },
  }
end

function groups.lua()
  print_calls("Lua's side", lua_rows(), 20000)
  local page_size = tonumber(capture "getconf PAGESIZE")
  for _, kind in ipairs { "plain", "guest" } do
    local pages = capture(lua_command("tests/bench/suspended.lua") .. " " .. kind)
    print(("suspended coroutine, %-13s %9.0f bytes%s"):format(kind,
      tonumber(pages) * page_size, kind == "guest" and " (bar 24576)" or ""))
  end
end

-- ---- C libraries --------------------------------------------------------------------------------

-- wasm.ffi against the export itself, and against the same access to a table's field.
local function ffi_rows()
  local ffi = require "wasm.ffi"
  local file = root .. "/tests/lua/ffi/abi.wasm"
  local exports = assert(wasm.instantiate(assert(wasm.loadfile(file)))).exports
  local lib = assert(ffi.load(file, [[
    typedef struct { int a, b; double x; } item;
    int add(int a, int b);
    unsigned add_unsigned(unsigned a, unsigned b);
    int letter(const char *text, int i);
    const void *find(const void *bytes, int byte, unsigned long n);]]))
  local fields = { a = 1, b = 2, x = 0.5 }
  local plain = setmetatable({}, { __index = function(_, key) return fields[key] end,
    __newindex = function(_, key, value) fields[key] = value end })
  local item = ffi.new(lib, "item", fields)
  local direct, add, add_unsigned = exports.add, lib.add, lib.add_unsigned
  local letter, find = lib.letter, lib.find
  local function loop(body)
    return { body, empty_loop }
  end
  local function reads(object)
    return loop(function(n)
      local began, sum = native.now(), 0
      for _ = 1, n do sum = sum + object.a end
      return native.now() - began, sum
    end)
  end
  local function writes(object)
    return loop(function(n)
      local began = native.now()
      for i = 1, n do object.a = i end
      return native.now() - began
    end)
  end
  local function calls(fn, a, b, c)
    return loop(function(n)
      local began = native.now()
      for _ = 1, n do fn(a, b, c) end
      return native.now() - began
    end)
  end
  return {
    { "exports.add(i, 1)", calls(direct, 7, 1), 1 },
    { "lib.add(i, 1)", calls(add, 7, 1), 1, 1.5 },
    { "lib.add_unsigned(i, 1)", calls(add_unsigned, 7, 1), 1 },
    { 'lib.letter("a short text", 1)', calls(letter, "a short text", 1), 1, 3.0 },
    { "lib.find(item, 0, 4), a pointer", calls(find, item, 0, 4), 1 },
    { "table field, __index function", reads(plain), 6 },
    { "struct field", reads(item), 6, 2.0 },
    { "table field, __newindex function", writes(plain), 8 },
    { "struct field written", writes(item), 8, 2.0 },
  }
end

function groups.ffi()
  print_calls("C libraries", ffi_rows(), 20000)
end

-- ---- Loading ------------------------------------------------------------------------------------

-- Nanoseconds a call, the least of some rounds; short calls are repeated.
local function time_of(fn)
  local count, best = 1, math.huge
  for _ = 1, math.max(options.rounds, 3) do
    collectgarbage()
    local began = native.now()
    for _ = 1, count do fn() end
    local ns = native.now() - began
    best = math.min(best, ns / count)
    if ns < 2e7 then count = math.ceil(count * 2e7 / math.max(ns, 1e3)) end
  end
  return best
end

function groups.load()
  local files = list_files(("%s/scripts/plugins/*.wasm %s/real/npm/*.wasm"):format(root, shared))
  local total_bytes, total_validate, total_load = 0, 0, 0
  print(("%-32s %10s %14s %10s"):format("load", "bytes", "validate MB/s", "load MB/s"))
  for _, path in ipairs(files) do
    local bytes = read_file(path)
    if wasm.load(bytes) then
      local validate = time_of(function() assert(wasm.validate(bytes)) end)
      local load = time_of(function() assert(wasm.load(bytes)) end)
      total_bytes = total_bytes + #bytes
      total_validate, total_load = total_validate + validate, total_load + load
      print(("%-32s %10d %14.1f %10.1f"):format(path:match "[^/]*$", #bytes,
        #bytes / validate * 1e3, #bytes / load * 1e3))
    end
  end
  if total_bytes > 0 then
    print(("%-32s %10d %14.1f %10.1f"):format("all", total_bytes,
      total_bytes / total_validate * 1e3, total_bytes / total_load * 1e3))
  end
  for _, name in ipairs { "image", "markdown" } do
    local module = assert(wasm.loadfile(("%s/scripts/plugins/%s.wasm"):format(root, name)))
    local ns = time_of(function() assert(module:instantiate()):close() end)
    print(("instantiate and close %s: %.1f us"):format(name, ns / 1e3))
  end
end

-- ---- Memory -------------------------------------------------------------------------------------

function groups.memory()
  local subjects = {
    { "no memory", write_file(work .. "/empty.wat", "(module)") },
    { "one page, untouched", write_file(work .. "/page.wat", "(module (memory 1))") },
    { "one page, written", write_file(work .. "/data.wat",
      "(module (memory 1) (data (i32.const 0) \"x\"))") },
    { "markdown.wasm", root .. "/scripts/plugins/markdown.wasm" },
  }
  local page_size = tonumber(capture "getconf PAGESIZE")
  print(("%-34s %9s"):format("resident memory of an instance", "bytes"))
  for _, subject in ipairs(subjects) do
    local pages = tonumber(capture(lua_command("tests/bench/memory.lua") .. " " .. subject[2]))
    print(("%-34s %9.0f"):format(subject[1], pages * page_size))
  end
end

-- ---- Main ---------------------------------------------------------------------------------------

local function include_directory()
  if jit then return "/usr/include/luajit-2.1" end
  return "/usr/include/lua" .. version
end

local function prepare()
  assert(build("mkdir -p " .. work))
  assert(build(("cc -O2 -shared -fPIC -I%s -o %s/bench_native.so %s/tests/bench/native.c"):format(
    os.getenv "LUA_INCDIR" or include_directory(), work, root)), "tests/bench/native.c: no build")
  native = require "bench_native"
end

local function print_machine()
  local cpu = capture "grep -m1 'model name' /proc/cpuinfo":match ":%s*(.-)%s*$"
  print(("%s, %s cpus, %s"):format(cpu or "unknown cpu", capture "nproc":match "%d+",
    capture "uname -srm":match "[^\n]+"))
  print(("%s, %s, engine %s, commit %s"):format(wasm._VERSION, jit and jit.version or _VERSION,
    options.engine, capture("git -C " .. root .. " rev-parse --short HEAD 2>/dev/null"):match "%S+"
      or "unknown"))
  print(("command: scripts/bench.lua %s (%d rounds)"):format(table.concat(arg, " "),
    options.rounds))
end

local wanted = {}
for _, word in ipairs(arg) do
  local name, value = word:match "^%-%-(%w+)=(.*)$"
  if name and options[name] then
    options[name] = type(options[name]) == "number" and assert(tonumber(value)) or value
  elseif groups[word] then
    wanted[#wanted + 1] = word
  else
    io.stderr:write("bench.lua: what is " .. word .. "?\n")
    os.exit(2)
  end
end
if #wanted == 0 then wanted = { "calls", "lua", "ffi", "kernels", "load", "memory", "shootout" } end
prepare()
print_machine()
for _, name in ipairs(wanted) do
  print()
  groups[name]()
end
