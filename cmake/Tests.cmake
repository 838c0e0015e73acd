# Test programs, all under build/<preset>/tests. They may reach inside the engine, so they link the
# static library; only example.c keeps to rille.h and the shared one, as a user would.

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
set(RILLE_TEST_DIR ${PROJECT_SOURCE_DIR}/tests)

find_path(CMOCKA_INCLUDE cmocka.h)
find_library(CMOCKA_LIBRARY cmocka)

function(rille_add_program name)
  add_executable(${name} ${ARGN})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/core ${RILLE_TEST_DIR})
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
  target_link_libraries(${name} PRIVATE rille_flags rille_core)
endfunction()

# Each of these is a program of its own: the script runner, the corpus, round trips, fuzzers.
file(GLOB programs CONFIGURE_DEPENDS ${RILLE_TEST_DIR}/spec/*.c)
list(APPEND programs ${RILLE_TEST_DIR}/fuzz/mutate.c ${RILLE_TEST_DIR}/fuzz/dwarf.c)
foreach(source ${programs})
  get_filename_component(name ${source} NAME_WE)
  rille_add_program(${name} ${source})
endforeach()

# The compiler's passes without machine code: the passes alone, and test scripts run by eval.c, which
# stands in the interpreter's place.
rille_add_program(ir_passes ${RILLE_TEST_DIR}/ir/passes.c)
set(RILLE_EVAL ${RILLE_TEST_DIR}/ir/eval.c ${RILLE_TEST_DIR}/ir/eval_helper.c)
rille_add_program(wast_ir ${RILLE_EVAL} ${RILLE_TEST_DIR}/spec/wast.c)
# Beside the interpreter, on random modules: the evaluator has a name of its own then.
file(GLOB RILLE_DIFFER CONFIGURE_DEPENDS ${RILLE_TEST_DIR}/fuzz/*.c)
list(FILTER RILLE_DIFFER EXCLUDE REGEX "/(mutate|dwarf)[.]c$")
rille_add_program(ir_differ ${RILLE_EVAL} ${RILLE_DIFFER})
target_compile_definitions(ir_differ PRIVATE RILLE_EVAL_BESIDE)

rille_add_program(bench_wasi ${RILLE_TEST_DIR}/bench/wasi.c)

if(CMOCKA_INCLUDE AND CMOCKA_LIBRARY)
  file(GLOB unit_tests CONFIGURE_DEPENDS ${RILLE_TEST_DIR}/unit/test_*.c)
  foreach(source ${unit_tests})
    get_filename_component(name ${source} NAME_WE)
    if(name MATCHES "^test_(x64|arm64)" AND NOT CMAKE_MATCH_1 STREQUAL RILLE_CPU)
      continue()
    endif()
    if(name MATCHES "_engine$" AND NOT RILLE_COMPILER)
      continue()
    endif()
    rille_add_program(${name} ${source})
    target_include_directories(${name} SYSTEM PRIVATE ${CMOCKA_INCLUDE})
    target_link_libraries(${name} PRIVATE ${CMOCKA_LIBRARY})
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  endforeach()
else()
  message(STATUS "cmocka not found: the unit tests are not built")
endif()

if(EXISTS ${RILLE_TEST_DIR}/unit/example.c)
  add_executable(example ${RILLE_TEST_DIR}/unit/example.c)
  target_link_libraries(example PRIVATE rille_flags rille)
  add_test(NAME example COMMAND example WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
endif()

# Lua states in threads, for the thread sanitizer: a program that embeds Lua 5.4.
find_library(RILLE_LIBLUA NAMES lua5.4 lua-5.4)
if(RILLE_LIBLUA AND TARGET wasm_lua5.4)
  add_executable(lua_threads ${RILLE_TEST_DIR}/threads/lua_threads.c)
  target_include_directories(lua_threads SYSTEM PRIVATE ${RILLE_LUA_5.4_INCLUDE})
  target_link_libraries(lua_threads PRIVATE rille_flags ${RILLE_LIBLUA})
endif()
