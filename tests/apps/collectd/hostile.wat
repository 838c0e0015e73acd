;; hostile.wat - traps on the reading 0, loops on others.
(module
  (func (export "add") (param f64) (result f64)
    (if (f64.eq (local.get 0) (f64.const 0)) (then (unreachable)))
    (loop $again (br $again))
    (local.get 0))
  (func (export "outliers") (result i32) (i32.const 0)))
