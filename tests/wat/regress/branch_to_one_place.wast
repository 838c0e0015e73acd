;; A comparison with a loaded operand still loads when its branch goes to one place either way.
(module
  (memory 1)
  (func (export "f64") (result i32)
    (block
      (br_if 0 (f64.le (f64.load offset=7993562 (i32.const 0)) (f64.const 0)))
      (br_if 0 (i32.const 0)))
    (i32.const 1))
  (func (export "i32") (param i32) (result i32)
    (block
      (br_if 0 (i32.eq (i32.load (local.get 0)) (i32.const 5))))
    (unreachable))
  (func (export "two ways") (param i64) (result f64)
    (block
      (br_if 0 (i32.reinterpret_f32 (f32.load offset=2 align=1 (i32.const 0))))
      (i32.const 0)
      (drop (local.tee 0 (i64.const 0)))
      (f64.load offset=7993562 align=1)
      (f64.convert_i32_u (i32.const 0))
      (br_if 0 (f64.le)))
    (unreachable))
  (func (export "f64 then unreachable") (result i32)
    (block
      (br_if 0 (i32.reinterpret_f32 (f32.load offset=2 (i32.const 0))))
      (br_if 0 (f64.le (f64.load offset=7993562 (i32.const 0)) (f64.const 0))))
    (unreachable)))
(assert_trap (invoke "f64") "out of bounds memory access")
(assert_trap (invoke "two ways" (i64.const 0)) "out of bounds memory access")
(assert_trap (invoke "i32" (i32.const 65536)) "out of bounds memory access")
(assert_trap (invoke "f64 then unreachable") "out of bounds memory access")
