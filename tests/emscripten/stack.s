# stack.s - the stack pointer, which C cannot name.
  .globaltype __stack_pointer, i32

  .globl emscripten_stack_get_current
  .type emscripten_stack_get_current,@function
  .export_name emscripten_stack_get_current, emscripten_stack_get_current
emscripten_stack_get_current:
  .functype emscripten_stack_get_current () -> (i32)
  global.get __stack_pointer
  end_function

  .globl _emscripten_stack_restore
  .type _emscripten_stack_restore,@function
  .export_name _emscripten_stack_restore, _emscripten_stack_restore
_emscripten_stack_restore:
  .functype _emscripten_stack_restore (i32) -> ()
  local.get 0
  global.set __stack_pointer
  end_function
