;; hostile.wat - draws nothing: it loops on a text of one byte, traps on others.
(module (memory (export "memory") 1)
  (func (export "plugin_reset"))
  (func (export "plugin_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "chart") (param i32 i32) (result i32)
    (if (i32.eq (local.get 1) (i32.const 1)) (then (loop $again (br $again))))
    (unreachable)))
