# How every C file of the project is compiled.
#
# The engine's floating point is the specification's: no contraction, no fast-math. Only errno is
# given up (-fno-math-errno), so that sqrt, floor and the like become single instructions.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_C_FLAGS_DEBUG "-O0 -g")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O1 -g")

find_package(Threads REQUIRED)
find_program(RILLE_CCACHE ccache)
if(RILLE_CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${RILLE_CCACHE})
endif()

add_library(rille_flags INTERFACE)
target_compile_options(rille_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wundef
  -ffp-contract=off -fno-math-errno -ffunction-sections -fdata-sections
  $<$<BOOL:${RILLE_WERROR}>:-Werror>
  $<$<BOOL:${RILLE_COVERAGE}>:--coverage>)
# Calls of Lua's functions go through the table of addresses instead of a stub each: a tenth of the
# time of a short call.
include(CheckCCompilerFlag)
check_c_compiler_flag(-fno-plt RILLE_NO_PLT)
if(RILLE_NO_PLT)
  target_compile_options(rille_flags INTERFACE -fno-plt)
endif()
target_compile_definitions(rille_flags INTERFACE $<$<BOOL:${RILLE_HARD}>:RILLE_HARD=1>)
target_include_directories(rille_flags INTERFACE ${PROJECT_SOURCE_DIR}/include)
target_link_libraries(rille_flags INTERFACE Threads::Threads)
if(RILLE_COVERAGE)
  target_link_options(rille_flags INTERFACE --coverage)
endif()
if(RILLE_SANITIZE)
  target_compile_options(rille_flags INTERFACE
    -fsanitize=${RILLE_SANITIZE} -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(rille_flags INTERFACE -fsanitize=${RILLE_SANITIZE})
endif()

# Kept machine code is taken by the build that made it: the linker tells builds apart.
if(UNIX AND NOT APPLE)
  target_link_options(rille_flags INTERFACE -Wl,--build-id=sha1)
endif()

# Relative relocations packed into bit maps: a seventh of wasm.so. Only where a program linked like
# that starts, since a C library that is older than its linker ignores them.
include(CheckCSourceRuns)
set(packing -Wl,-z,pack-relative-relocs)
set(CMAKE_REQUIRED_FLAGS -fPIE)
set(CMAKE_REQUIRED_LINK_OPTIONS -pie ${packing})
check_c_source_runs("static int x; static int *volatile p = &x; int main(void) { return *p; }"
  RILLE_PACKED_RELOCATIONS)
unset(CMAKE_REQUIRED_FLAGS)
unset(CMAKE_REQUIRED_LINK_OPTIONS)
if(RILLE_PACKED_RELOCATIONS)
  target_link_options(rille_flags INTERFACE ${packing})
endif()
