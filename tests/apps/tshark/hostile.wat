;; hostile.wat - a dissector that loops on packets of version 2, traps on the version 1 and answers 0
;; to the rest.
(module
  (memory (export "memory") 1)
  (func (export "plugin_reset"))
  (func (export "plugin_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "dissect") (param $at i32) (param $size i32) (result i32)
    (if (i32.eq (i32.load8_u offset=2 (local.get $at)) (i32.const 2)) (then (loop $l (br $l))))
    (if (i32.eq (i32.load8_u offset=2 (local.get $at)) (i32.const 1)) (then (unreachable)))
    (i32.const 0)))
