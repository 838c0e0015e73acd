;; A load through a 64-bit address lost the value that was waiting for it in an accumulator.
(module
  (memory i64 1)
  (data (i64.const 8) "\05\00\00\00\00\00\00\00\00\00\00\00\00\00\04\40")
  (func (export "i32") (param i32 i32 i64) (result i32)
    (i32.add (i32.mul (local.get 0) (local.get 1)) (i32.load (local.get 2))))
  (func (export "i64") (param i64 i64 i64) (result i64)
    (i64.sub (i64.xor (local.get 0) (local.get 1)) (i64.load (local.get 2))))
  (func (export "f64") (param f64 f64 i64) (result f64)
    (f64.sub (f64.mul (local.get 0) (local.get 1)) (f64.load offset=8 (local.get 2))))
  (func (export "deep") (param i32 i32 i64) (result i32)
    (i32.sub (i32.mul (local.get 0) (local.get 1))
      (i32.add (i32.shl (local.get 1) (i32.const 1)) (i32.load (local.get 2))))))

(assert_return (invoke "i32" (i32.const 6) (i32.const 7) (i64.const 8)) (i32.const 47))
(assert_return (invoke "i64" (i64.const 6) (i64.const 9) (i64.const 8)) (i64.const 10))
(assert_return (invoke "f64" (f64.const 3) (f64.const 4) (i64.const 8)) (f64.const 9.5))
(assert_return (invoke "deep" (i32.const 6) (i32.const 7) (i64.const 8)) (i32.const 23))
