;; hostile.wat - a plugin that never ends.
(module (memory (export "memory") 1)
  (func (export "align") (result i32) (loop $again (br $again)) (i32.const 0)))
