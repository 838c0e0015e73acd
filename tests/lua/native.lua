-- Code that is made at once, kept in files, and carried in serialised modules.
local t = ...
local wasm, test, eq = t.wasm, t.test, t.eq

local has_compiler = false
for _, name in ipairs(wasm.config().supported.engines) do
  has_compiler = has_compiler or name == "compiler"
end

-- Direct, indirect and recursive calls, types that are compared, exceptions, helpers and traps.
local parts = { [[(module
  (type $two (func (param i32 i32) (result i32)))
  (type $pair (struct (field i32) (field i32)))
  (memory (export "m") 1)
  (table funcref (elem $add $sub))
  (tag $t (param i32))
  (func $add (type $two) (i32.add (local.get 0) (local.get 1)))
  (func $sub (type $two) (i32.sub (local.get 0) (local.get 1)))
  (func $throw (param i32) (throw $t (local.get 0)))
  (func (export "fill") (param i32) (memory.fill (i32.const 0) (local.get 0) (i32.const 100)))
  (func (export "pick") (param i32 i32 i32) (result i32)
    (call_indirect (type $two) (local.get 1) (local.get 2) (local.get 0)))
  (func (export "catch") (param i32) (result i32)
    (block $h (result i32)
      (try_table (catch $t $h) (call $throw (local.get 0)))
      (i32.const -1)))
  (func (export "cast") (param i32) (result i32)
    (struct.get $pair 1 (ref.cast (ref $pair)
      (select (result anyref) (struct.new $pair (i32.const 1) (i32.const 2))
        (ref.i31 (i32.const 0)) (local.get 0)))))
  (func $fac (export "fac") (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 1))
      (else (i64.mul (local.get 0) (call $fac (i64.sub (local.get 0) (i64.const 1)))))))]] }
for i = 1, 40 do
  parts[#parts + 1] = ([[(func (export "g%d") (param i32) (result i32)
    (call $%s (local.get 0) (i32.const %d)))]]):format(i, i % 2 == 0 and "add" or "sub", i)
end
local source = table.concat(parts, "\n") .. ")"
local n_funcs = 8 + 40

local function check_code(module)
  local instance = assert(module:instantiate())
  local e = instance.exports
  eq(e.pick(0, 5, 3), 8)
  eq(e.pick(1, 5, 3), 2)
  eq(e.catch(42), 42)
  eq(e.cast(1), 2)
  eq(tostring(e.fac(10)), "3628800")
  e.fill(7)
  eq(e.m:load("u8", 99), 7)
  for i = 1, 40 do eq(e["g" .. i](100), i % 2 == 0 and 100 + i or 100 - i) end
  t.raises("undefined element", e.pick, 2, 0, 0)
  local err = t.raises("cast failure", e.cast, 0)
  eq(err.kind, "trap")
  assert(#err.frames == 1)
  instance:close()
end

local function load(options)
  options = options or {}
  options.engine = has_compiler and "compiler" or "interpreter"
  return assert(wasm.load(source, options))
end

test("eager and lazy modules do the same", function()
  local lazy, eager = load(), load { eager = true }
  eq(lazy:stats().prepared_funcs, 0)
  eq(lazy:stats().engine, has_compiler and "compiler" or "interpreter")
  if has_compiler then
    eq(eager:stats().prepared_funcs, n_funcs)
    assert(eager:stats().prepared_bytes > 0 and eager:stats().prepare_seconds > 0)
  end
  check_code(lazy)
  check_code(eager)
  assert(lazy:stats().prepared_funcs > 0)
  if has_compiler then eq(eager:stats().prepared_funcs, n_funcs) end
end)

test("eager modules under other limits", function()
  local module = load { eager = true }
  local e = module:instantiate(nil, { fuel = 1000 }).exports
  eq(e.pick(0, 5, 3), 8)
  if has_compiler then eq(module:stats().prepared_funcs, 2 * n_funcs) end
  check_code(module)
end)

test("modules without functions of their own", function()
  for _, text in ipairs { "(module)", [[(module (import "" "" (func)) (export "f" (func 0)))]] } do
    local module = assert(wasm.load(text, { eager = true }))
    eq(wasm.type(wasm.load(module:serialize(), { native = true })), "module")
  end
end)

test("serialised modules", function()
  local module = load()
  local blob = module:serialize()
  eq(type(blob), "string")
  eq(blob, module:serialize()) -- whatever order the cores worked in
  local again = assert(wasm.load(blob, { native = true, engine = module:stats().engine }))
  if has_compiler then eq(again:stats().kept_funcs, n_funcs) end
  check_code(again)
  eq(again:serialize(), blob)
  -- The interpreter takes the module and leaves the code.
  again = assert(wasm.load(blob, { native = true, engine = "interpreter" }))
  eq(again:stats().kept_funcs, 0)
  check_code(again)
end)

local function refused(kind, pattern, ...)
  local nothing, err = ...
  eq(nothing, nil)
  eq(err.kind, kind)
  assert(err.message:find(pattern), err.message)
end

local function write_file(path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
end

test("serialised modules are refused where nobody asked for them", function()
  local blob = load():serialize()
  refused("unsupported", "serialised", wasm.load(blob))
  refused("unsupported", "serialised", wasm.load(blob, { native = false }))
  refused("unsupported", "serialised", wasm.instantiate(blob))
  local path = os.tmpname()
  write_file(path, blob)
  refused("unsupported", "serialised", wasm.loadfile(path))
  refused("unsupported", "serialised", wasm.loadfile(path, { native = true }))
  os.remove(path)
end)

test("damaged serialised modules are refused", function()
  local blob = load():serialize()
  for _, at in ipairs { 9, 17, 48, 49, 57, 100, #blob / 2 - #blob / 2 % 1, #blob - 100, #blob } do
    local byte = blob:byte(at)
    local bad = blob:sub(1, at - 1) .. string.char((byte + 1) % 256) .. blob:sub(at + 1)
    refused("malformed", "damaged", wasm.load(bad, { native = true }))
  end
  for n = 8, #blob - 1, 97 do
    refused("malformed", "damaged", wasm.load(blob:sub(1, n), { native = true }))
  end
  refused("malformed", "damaged", wasm.load(blob .. "x", { native = true }))
end)

test("functions are named for perf", function()
  local stat = io.open "/proc/self/stat"
  if not stat then return end
  local path = "/tmp/perf-" .. stat:read "*a":match "^%d+" .. ".map"
  stat:close()
  wasm.config { perf = true }
  local module = load()
  check_code(module)
  wasm.config { perf = false }
  local map = io.open(path)
  if not has_compiler then return eq(map, nil) end
  local text = map:read "*a"
  map:close()
  os.remove(path)
  assert(text:find "%x+ %x+ wasm:[^\n]*fac\n", text)
  assert(text:find "entry of type", text)
end)

-- ---- The cache ----------------------------------------------------------------------------------

local function with_cache(f)
  local dir = os.tmpname()
  os.remove(dir)
  wasm.config { cache = dir }
  local ok, err = pcall(f, dir)
  wasm.config { cache = false }
  os.execute("rm -rf '" .. dir .. "'")
  if not ok then error(err, 0) end
end

local function only_file(dir)
  local pipe = io.popen("ls -A '" .. dir .. "'")
  local names = {}
  for name in pipe:lines() do names[#names + 1] = name end
  pipe:close()
  eq(#names, 1, "files in the cache")
  return dir .. "/" .. names[1]
end

-- Loads and runs the module; were all functions taken from the cache?
local function is_hit()
  local module = load()
  check_code(module)
  local kept = module:stats().kept_funcs
  assert(kept == 0 or kept == n_funcs)
  return kept ~= 0
end

test("a wrong cache option is misuse", function()
  t.misuse("bad option 'cache' to 'config'", wasm.config, { cache = true })
  t.misuse("bad option 'cache' to 'config'", wasm.config, { cache = {} })
end)

if not has_compiler then return end

test("the cache keeps code", function()
  with_cache(function(dir)
    eq(is_hit(), false)
    local path = only_file(dir)
    eq(is_hit(), true)
    eq(only_file(dir), path)
    -- Another way to compile the same is another file.
    local module = load()
    eq(module:instantiate(nil, { fuel = 1000 }).exports.pick(0, 5, 3), 8)
    eq(module:stats().kept_funcs, 0)
    eq(load { deterministic = true }:instantiate().exports.pick(0, 5, 3), 8)
    local count = io.popen("ls -A '" .. dir .. "' | wc -l")
    eq(count:read "*a":match "%d+", "3")
    count:close()
  end)
end)

test("a cache that cannot be written is no error", function()
  wasm.config { cache = "/nowhere/at/all" }
  local hit = is_hit()
  wasm.config { cache = false }
  eq(hit, false)
end)

-- What `spoil` does to the file in the cache makes it useless once; then it is there again.
local function spoiled(name, spoil, is_final)
  test("the cache refuses " .. name, function()
    with_cache(function(dir)
      eq(is_hit(), false)
      local path = only_file(dir)
      eq(is_hit(), true)
      if spoil(path) == false then return end
      eq(is_hit(), false)
      if not is_final then eq(is_hit(), true) end
    end)
  end)
end

local function run(command)
  local status = os.execute(command)
  return status == true or status == 0
end

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "*a"
  file:close()
  return bytes
end

-- Keeps what the file is apart from its bytes.
local function rewrite(path, bytes)
  local file = assert(io.open(path, "r+b"))
  file:write(bytes)
  file:close()
end

spoiled("a file that the group may write", function(path) assert(run("chmod g+w " .. path)) end)
spoiled("a file that others may write", function(path) assert(run("chmod o+w " .. path)) end)
spoiled("a file of another user", function(path)
  return run("chown 12345 " .. path .. " 2>/dev/null") -- the superuser only
end)
spoiled("a symbolic link", function(path)
  assert(run(("mv %s %s.real && ln -s %s.real %s"):format(path, path, path, path)))
end)
spoiled("a directory", function(path) assert(run(("rm %s && mkdir %s"):format(path, path))) end,
  true)
spoiled("a pipe", function(path) assert(run(("rm %s && mkfifo %s"):format(path, path))) end)
spoiled("an empty file", function(path) write_file(path, "") assert(run("chmod 600 " .. path)) end)
spoiled("a file that is cut", function(path)
  local bytes = read_file(path)
  write_file(path, bytes:sub(1, -2))
end)
spoiled("a file with a bit changed in its code", function(path)
  local bytes = read_file(path)
  rewrite(path, bytes:sub(1, -100) .. string.char(bytes:byte(-99) ~= 0 and 0 or 1) .. bytes:sub(-98))
end)
spoiled("a file of another module", function(path)
  local other = path .. ".other"
  wasm.config { cache = other }
  assert(assert(wasm.load("(module (func (export \"f\")))", { engine = "compiler" })):instantiate())
  assert(run(("cat %s/* > %s; rm -r %s"):format(other, path, other)))
end)
