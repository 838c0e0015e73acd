-- lua garbage.lua ENGINE: 10^8 allocations in an instance that may have 64 MiB. Prints how many, the
-- seconds, and the resident pages after each tenth.
local wasm = require "wasm"

local function resident_pages()
  local file = assert(io.open "/proc/self/statm")
  local pages = file:read "*a":match "%d+ (%d+)"
  file:close()
  return pages
end

local source = [[(module
  (type $node (struct (field i64) (field (ref null $node))))
  (global $kept (mut (ref null $node)) (ref.null $node))
  (func (export "make") (param $n i32)
    (loop $more
      (global.set $kept (struct.new $node (i64.extend_i32_u (local.get $n)) (ref.null $node)))
      (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))]]
local engine = arg[1] ~= "default" and arg[1] or nil
local module = assert(wasm.load(source, { engine = engine }))
local make = assert(module:instantiate({}, { memory = 64 * 1024 * 1024 })).exports.make
local pages, began = {}, os.clock()
for i = 1, 10 do
  make(10000000)
  pages[i] = resident_pages()
end
print(("%d made, seconds %.2f, pages %s"):format(100000000, os.clock() - began,
  table.concat(pages, " ")))
