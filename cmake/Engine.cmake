# librille, static and shared. The static one also serves wasm.so and the tests, which reach inside.

set(RILLE_CPU other)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(RILLE_CPU x64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(RILLE_CPU arm64)
endif()

set(RILLE_SOURCES "")
foreach(room base module text runtime interp jit jit/x64 wasi api)
  file(GLOB found CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/core/${room}/*.c ${PROJECT_SOURCE_DIR}/core/${room}/*.S)
  list(APPEND RILLE_SOURCES ${found})
endforeach()

# The compiler knows x86-64 so far: its files that have a machine in them are empty elsewhere. Its middle
# end is built, for its tests, also where the compiler is not.
if(NOT RILLE_CPU STREQUAL "x64" OR NOT UNIX)
  set(RILLE_COMPILER OFF)
endif()

add_library(rille_objects OBJECT ${RILLE_SOURCES})
target_link_libraries(rille_objects PRIVATE rille_flags)
target_compile_definitions(rille_objects PRIVATE $<$<BOOL:${RILLE_COMPILER}>:RILLE_HAS_COMPILER=1>)

# Front ends and the interpreter need no unwinding in a release: they raise with longjmp, and no error of
# a host is ever thrown through them. Their tables would be a seventh of wasm.so.
set(unwound_never "")
foreach(room base module text interp)
  file(GLOB found CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/${room}/*.c)
  list(APPEND unwound_never ${found})
endforeach()
set_source_files_properties(${unwound_never} PROPERTIES COMPILE_OPTIONS
  "$<$<CONFIG:Release>:-fno-asynchronous-unwind-tables>")

add_library(rille_core STATIC $<TARGET_OBJECTS:rille_objects>)
target_include_directories(rille_core PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
target_link_libraries(rille_core PUBLIC Threads::Threads m)

add_library(rille SHARED $<TARGET_OBJECTS:rille_objects>)
target_include_directories(rille PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
target_link_libraries(rille PRIVATE Threads::Threads m)
set_target_properties(rille PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0)
set_target_properties(rille_core PROPERTIES OUTPUT_NAME rille)
target_link_options(rille PRIVATE -Wl,--gc-sections $<$<NOT:$<BOOL:${APPLE}>>:-Wl,--build-id=sha1>
  -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/rille.map)
set_target_properties(rille PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/rille.map)
if(RILLE_SANITIZE)
  target_link_options(rille_core INTERFACE -fsanitize=${RILLE_SANITIZE})
  target_link_options(rille PRIVATE -fsanitize=${RILLE_SANITIZE})
endif()
if(RILLE_COVERAGE)
  target_link_options(rille_core INTERFACE --coverage)
  target_link_options(rille PRIVATE --coverage)
endif()

# The installed tree may be moved: the file finds its prefix from where it lies.
file(RELATIVE_PATH RILLE_PREFIX_FROM_PC
  /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/rille.pc.in ${PROJECT_BINARY_DIR}/rille.pc @ONLY)
install(TARGETS rille rille_core
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/rille.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_BINARY_DIR}/rille.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
