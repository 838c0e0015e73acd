-- A small plugin host: three plugins written in C, one written right here.
--
-- The plugins are in scripts/plugins: C sources, the built .wasm, and build.sh. Each runs in a
-- sandbox of its own: it sees its memory and what the host passes as imports, nothing else.
-- scripts/quickstart.sh builds what this needs; then `lua5.4 scripts/quickstart.lua` is enough.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
local built = here .. "/../build/release/lua/" .. _VERSION:match("%d+%.%d+")
package.path = built .. "/?.lua;" .. package.path
package.cpath = built .. "/?.so;" .. package.cpath
local wasm = require "wasm"

local function heading(text)
  print(("\n== %s =="):format(text))
end

-- Loads scripts/plugins/<name>.wasm and shows the signatures of its exports.
local function load_plugin(name, imports)
  local module = assert(wasm.loadfile(here .. "/plugins/" .. name .. ".wasm"))
  local plugin = assert(module:instantiate(imports))
  heading(name .. ".wasm")
  for _, import in ipairs(module.imports) do
    print(("  wants  %s.%-18s %s"):format(import.module, import.name, import.type))
  end
  for _, export in ipairs(module.exports) do
    print(("  offers %-25s %s"):format(export.name, wasm.signature(plugin.exports[export.name])))
  end
  print()
  return plugin.exports
end

-- Copies a string into the plugin's memory; gives the two arguments that its functions take.
local function lend(plugin, text)
  local at = plugin.plugin_alloc(#text)
  plugin.memory:write(at, text)
  return at, #text
end

-- The plugins answer with the address of a pair {address, size}.
local function string_at(plugin, pair)
  local at, size = plugin.memory:unpack("I4I4", pair)
  return plugin.memory:read(at, size)
end

-- 1. A text filter: strings in, strings out.
local markdown = load_plugin "markdown"
local html = string_at(markdown, markdown.to_html(lend(markdown, [[
# Plugins, *safely*

A plugin is **just a file**. It cannot open `/etc/passwd` & co.

- written in C
- called from [Lua](lua.html)
]])))
print(html)

-- 2. An image routine: numbers in, 3,600 pixels in shared memory, a picture out.
local image = load_plugin "image"
local picture = image.image_new(76, 48)
image.image_mandelbrot(picture, -0.6, 0, 3.2)
image.image_blur(picture, 1)
image.image_dither(picture, 8)
local _, _, pixels = image.memory:unpack("i4i4I4", picture)
local row = image.memory:view("u8", pixels + 24 * 76, 76)
print(string_at(image, image.image_ascii(picture)))
print(("pixel 40 of row 24 is %d of 255, read through a view"):format(row[40]))

-- 3. A data routine that asks back: which rows count is for the host to say.
local ledger_text = "coffee,-3.50\nsalary,2500.00\nrent,-900.50\nbooks,-42.10\n"
local ledger, wanted
ledger = load_plugin("ledger", { ledger = { keep = function(at, size, cents)
  local label = ledger.memory:read(at, size)
  print(("  Lua is asked: keep %-7s of %8.2f?"):format(label, cents / 100))
  return wanted(label, cents) and 1 or 0
end } })

local function summarize(text, which)
  wanted = which
  local total, mean, least, most, rows, kept =
    ledger.memory:unpack("i8i8i8i8I4I4", ledger.summarize(lend(ledger, text)))
  print(("%d of %d rows kept: total %.2f, mean %.2f, from %.2f to %.2f\n"):format(
    kept, rows, total / 100, mean / 100, least / 100, most / 100))
end

summarize(ledger_text, function(_, cents) return cents < 0 end)

-- 4. The same with no row to keep, of which its author did not think. The trap is an error object;
--    printed, it shows where in the plugin it happened. The plugin is still usable afterwards.
local ok, err = pcall(summarize, ledger_text, function() return false end)
assert(not ok)
print(("the plugin failed: kind %q, code %q"):format(err.kind, err.code))
print(err)
print("\nand goes on:")
summarize("tea,-1.20\n", function() return true end)

-- 5. A plugin in no file at all: the text format, written inline. This one steps through the
--    Collatz sequence and reports each number; the host stops it by raising an error of its own,
--    which comes out of pcall as the same value.
heading "inline text"
local steps = {}
local collatz = assert(wasm.instantiate([[
  (module
    (import "host" "step" (func $step (param i64)))
    (func (export "run") (param $n i64) (result i32) (local $count i32)
      (loop $next
        (call $step (local.get $n))
        (if (i64.gt_u (local.get $n) (i64.const 1))
          (then
            (local.set $n
              (if (result i64) (i64.eqz (i64.and (local.get $n) (i64.const 1)))
                (then (i64.shr_u (local.get $n) (i64.const 1)))
                (else (i64.add (i64.mul (local.get $n) (i64.const 3)) (i64.const 1)))))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (br $next))))
      (local.get $count)))
]], { host = { step = function(n)
  steps[#steps + 1] = n
  if n > 9000 then error { too_big = n } end
end } }))
print(wasm.signature(collatz.exports.run))
print(("6 takes %d steps: %s"):format(collatz.exports.run(6), table.concat(steps, " ")))
ok, err = pcall(collatz.exports.run, 27)
print(("27 was stopped at %s"):format(not ok and err.too_big))
