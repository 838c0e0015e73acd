--- The memory between a host and an Extism plugin: blocks that both read and write, the input and
-- the output of a call, and the plugin's error.
--
-- It is a Wasm module of its own, so that a plugin, which moves its input byte by byte through
-- these functions, calls from one guest to another and never through Lua. Blocks are looked up in a
-- second memory that plugins cannot reach: nothing a plugin stores makes a block of what is none.
--
-- $map holds an i32 for each 16 bytes of $data: 0 where no block begins, the length of a live one,
-- or the top bit with the number of the next free block of that size class. Its first 256 words
-- belong to the 4096 bytes of $data that are never given out, since address 0 means none; they hold
-- the first free block of each class. Classes are multiples of 16 up to 128, then eighths of powers
-- of two. A free block is given out again only where the memory would have to grow otherwise: some
-- kits free a key that they have handed over, and would free what took its place.

local wasm = require "wasm"

local kernel = {}

local text = [[
(module $extism
  (memory $data (export "memory") 1)
  (memory $map 1)
  (global $position (mut i64) (i64.const 4096)) ;; where the next new block begins
  (global $input (mut i64) (i64.const 0))
  (global $input_length (mut i64) (i64.const 0))
  (global $output (mut i64) (i64.const 0))
  (global $output_length (mut i64) (i64.const 0))
  (global $error (mut i64) (i64.const 0))

  (func $data_size (export "memory_bytes") (result i64)
    (i64.shl (i64.extend_i32_u (memory.size $data)) (i64.const 16)))

  ;; The class of a length of at least 1, and the size of its blocks.
  (func $class (param $n i32) (result i32 i32) (local $shift i32) (local $eighths i32)
    (if (i32.le_u (local.get $n) (i32.const 128)) (then
      (local.set $eighths (i32.shr_u (i32.add (local.get $n) (i32.const 15)) (i32.const 4)))
      (return (local.get $eighths) (i32.shl (local.get $eighths) (i32.const 4)))))
    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
    (local.set $shift (i32.sub (i32.const 28) (i32.clz (local.get $n))))
    (local.set $eighths (i32.shr_u (local.get $n) (local.get $shift)))
    (i32.add (i32.shl (i32.sub (local.get $shift) (i32.const 4)) (i32.const 3))
      (i32.add (local.get $eighths) (i32.const 1)))
    (i32.shl (i32.add (local.get $eighths) (i32.const 1)) (local.get $shift)))

  ;; Makes both memories large enough for blocks up to $end.
  (func $reserve (param $end i64) (result i32) (local $pages i32)
    (local.set $pages (i32.wrap_i64 (i64.shr_u (i64.add (local.get $end) (i64.const 0xffff))
      (i64.const 16))))
    (if (i32.gt_u (local.get $pages) (memory.size $data)) (then
      (if (i32.eq (i32.const -1) (memory.grow $data
            (i32.sub (local.get $pages) (memory.size $data))))
        (then (return (i32.const 0))))))
    (local.set $pages (i32.shr_u (i32.add (local.get $pages) (i32.const 3)) (i32.const 2)))
    (if (i32.gt_u (local.get $pages) (memory.size $map)) (then
      (if (i32.eq (i32.const -1) (memory.grow $map
            (i32.sub (local.get $pages) (memory.size $map))))
        (then (return (i32.const 0))))))
    (i32.const 1))

  (func (export "alloc") (param $n i64) (result i64)
      (local $class i32) (local $size i32) (local $word i32) (local $end i64)
    (if (i64.gt_u (i64.sub (local.get $n) (i64.const 1)) (i64.const 0x6fffffff))
      (then (return (i64.const 0)))) ;; nothing, or too much
    (call $class (i32.wrap_i64 (local.get $n)))
    (local.set $size)
    (local.set $class (i32.shl (i32.const 2)))
    (local.set $end
      (i64.add (global.get $position) (i64.extend_i32_u (local.get $size))))
    (if (i64.gt_u (local.get $end) (call $data_size)) (then
      (local.set $word (i32.load $map (local.get $class)))
      (if (local.get $word) (then ;; the first free one of its class: its word becomes the length
        (local.set $word (i32.shl (local.get $word) (i32.const 2)))
        (i32.store $map (local.get $class)
          (i32.and (i32.load $map (local.get $word)) (i32.const 0x7fffffff)))
        (i32.store $map (local.get $word) (i32.wrap_i64 (local.get $n)))
        (return (i64.extend_i32_u (i32.shl (local.get $word) (i32.const 2))))))
      (if (i64.gt_u (local.get $end) (i64.const 0xffff0000)) (then (return (i64.const 0))))
      (if (i32.eqz (call $reserve (local.get $end))) (then (return (i64.const 0))))))
    (i32.store $map (i32.wrap_i64 (i64.shr_u (global.get $position) (i64.const 2)))
      (i32.wrap_i64 (local.get $n)))
    (global.get $position)
    (global.set $position (local.get $end)))

  ;; The length of the live block that begins there; 0 when there is none.
  (func $length (export "length") (export "length_unsafe") (param $at i64) (result i64)
      (local $word i32)
    (if (i64.ge_u (local.get $at) (global.get $position)) (then (return (i64.const 0))))
    (if (i64.lt_u (local.get $at) (i64.const 4096)) (then (return (i64.const 0))))
    (if (i32.and (i32.wrap_i64 (local.get $at)) (i32.const 15)) (then (return (i64.const 0))))
    (local.set $word
      (i32.load $map (i32.shr_u (i32.wrap_i64 (local.get $at)) (i32.const 2))))
    (i64.extend_i32_u (select (i32.const 0) (local.get $word)
      (i32.lt_s (local.get $word) (i32.const 0)))))

  (func (export "free") (param $at i64) (local $n i32) (local $word i32) (local $class i32)
    (local.set $n (i32.wrap_i64 (call $length (local.get $at))))
    (if (i32.eqz (local.get $n)) (then (return)))
    (if (i64.eq (local.get $at) (global.get $input))
      (then (global.set $input_length (i64.const 0))))
    (call $class (local.get $n))
    (drop)
    (local.set $class (i32.shl (i32.const 2)))
    (local.set $word (i32.shr_u (i32.wrap_i64 (local.get $at)) (i32.const 2)))
    (i32.store $map (local.get $word)
      (i32.or (i32.load $map (local.get $class)) (i32.const 0x80000000)))
    (i32.store $map (local.get $class) (i32.shr_u (local.get $word) (i32.const 2))))

  ;; Loads outside of the memory give 0, stores do nothing.
  (func $fits (param $at i64) (param $n i64) (result i32)
    (i32.and
      (i64.le_u (local.get $at) (call $data_size))
      (i64.le_u (local.get $n) (i64.sub (call $data_size) (local.get $at)))))
  (func (export "load_u8") (param $at i64) (result i32)
    (if (i32.eqz (call $fits (local.get $at) (i64.const 1))) (then (return (i32.const 0))))
    (i32.load8_u $data (i32.wrap_i64 (local.get $at))))
  (func (export "load_u64") (param $at i64) (result i64)
    (if (i32.eqz (call $fits (local.get $at) (i64.const 8))) (then (return (i64.const 0))))
    (i64.load $data (i32.wrap_i64 (local.get $at))))
  (func (export "store_u8") (param $at i64) (param $value i32)
    (if (call $fits (local.get $at) (i64.const 1)) (then
      (i32.store8 $data (i32.wrap_i64 (local.get $at)) (local.get $value)))))
  (func (export "store_u64") (param $at i64) (param $value i64)
    (if (call $fits (local.get $at) (i64.const 8)) (then
      (i64.store $data (i32.wrap_i64 (local.get $at)) (local.get $value)))))

  (func (export "input_load_u8") (param $offset i64) (result i32)
    (if (i64.ge_u (local.get $offset) (global.get $input_length))
      (then (return (i32.const 0))))
    (i32.load8_u $data (i32.wrap_i64 (i64.add (global.get $input) (local.get $offset)))))
  (func (export "input_load_u64") (param $offset i64) (result i64)
    (if (i64.lt_u (global.get $input_length) (i64.const 8)) (then (return (i64.const 0))))
    (if (i64.gt_u (local.get $offset) (i64.sub (global.get $input_length) (i64.const 8)))
      (then (return (i64.const 0))))
    (i64.load $data (i32.wrap_i64 (i64.add (global.get $input) (local.get $offset)))))

  ;; Are these bytes among those that blocks were made of?
  (func $is_given (param $at i64) (param $n i64) (result i32)
    (i32.and
      (i32.and (i64.ge_u (local.get $at) (i64.const 4096))
        (i64.le_u (local.get $at) (global.get $position)))
      (i64.le_u (local.get $n) (i64.sub (global.get $position) (local.get $at)))))
  (func (export "input_set") (param $at i64) (param $n i64)
    (if (i32.or (i64.eqz (local.get $n)) (call $is_given (local.get $at) (local.get $n))) (then
      (global.set $input (local.get $at))
      (global.set $input_length (local.get $n)))))
  (func (export "output_set") (param $at i64) (param $n i64)
    (if (i32.or (i64.eqz (local.get $n)) (call $is_given (local.get $at) (local.get $n))) (then
      (global.set $output (local.get $at))
      (global.set $output_length (local.get $n)))))
  (func (export "input_offset") (result i64) (global.get $input))
  (func (export "input_length") (result i64) (global.get $input_length))
  (func (export "output_offset") (result i64) (global.get $output))
  (func (export "output_length") (result i64) (global.get $output_length))
  (func (export "error_set") (param $at i64)
    (if (i32.or (i64.eqz (local.get $at)) (call $is_given (local.get $at) (i64.const 1)))
      (then (global.set $error (local.get $at)))))
  (func (export "error_get") (result i64) (global.get $error))

  ;; Forgets every block, and what was in them.
  (func (export "reset")
    (memory.fill $data (i32.const 4096) (i32.const 0)
      (i32.wrap_i64 (i64.sub (global.get $position) (i64.const 4096))))
    (memory.fill $map (i32.const 0) (i32.const 0)
      (i32.wrap_i64 (i64.shr_u (global.get $position) (i64.const 2))))
    (global.set $position (i64.const 4096))
    (global.set $input (i64.const 0))
    (global.set $input_length (i64.const 0))
    (global.set $output (i64.const 0))
    (global.set $output_length (i64.const 0))
    (global.set $error (i64.const 0))))
]]

local modules = {} -- of this Lua state, by engine

--- A kernel with memory of its own, `bytes` at most: nil and an error when that is too little. The
-- engine has to be that of the modules that call it.
function kernel.new(bytes, engine)
  engine = engine or wasm.config().engine
  local module = modules[engine or "default"]
  if not module then
    local err
    module, err = wasm.load(text, { name = "extism", engine = engine })
    if not module then return nil, err end
    modules[engine or "default"] = module
  end
  -- A quarter for the map, and a page of each from the start.
  return module:instantiate(nil, { memory = bytes and bytes + bytes / 4 + 131072 })
end

return kernel
