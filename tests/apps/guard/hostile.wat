;; hostile.wat - a request filter that does what its request says: /trap, /loop, /grow or none of it.
(module
  (import "host" "wait" (func $wait (param i32)))
  (memory (export "memory") 1)
  (func (export "plugin_reset"))
  (func (export "plugin_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "last_fingerprint") (result i32) (i32.const 0))
  (func (export "score") (param $at i32) (param $size i32) (result i32)
    (local $what i32)
    (local.set $what (i32.load8_u offset=1 (local.get $at)))
    (if (i32.eq (local.get $what) (i32.const 116)) (then (unreachable)))
    (if (i32.eq (local.get $what) (i32.const 108)) (then (loop $again (br $again))))
    (if (i32.eq (local.get $what) (i32.const 103)) (then
      (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
      (drop (i32.load (i32.const -4)))))
    (i32.const 0)))
