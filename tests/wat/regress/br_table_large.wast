;; A branch table that is larger than all code before it was written behind the code buffer.
(module
  (global $g (mut i32) (i32.const 0))
  (func (export "pick") (param i32) (result i32)
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (global.set $g (i32.add (i32.mul (global.get $g) (i32.const 3)) (local.get 0)))
    (block (block
      (br_table
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1
        0 1 0 1 0 1 0 1 0 1 1
        (local.get 0)))
      (return (i32.const 10)))
    (i32.const 11)))

(assert_return (invoke "pick" (i32.const 0)) (i32.const 10))
(assert_return (invoke "pick" (i32.const 1)) (i32.const 11))
(assert_return (invoke "pick" (i32.const 2998)) (i32.const 10))
(assert_return (invoke "pick" (i32.const 2999)) (i32.const 11))
(assert_return (invoke "pick" (i32.const 3000)) (i32.const 11))
(assert_return (invoke "pick" (i32.const -1)) (i32.const 11))
