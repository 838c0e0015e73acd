# One module for each Lua ABI: build/<preset>/lua/<version>/ holds wasm.so and the Lua files, so that
# this folder is all that LUA_PATH and LUA_CPATH need to name. That of 5.1 serves LuaJIT too.

file(GLOB RILLE_BINDING_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/lua_binding/*.c)
file(GLOB_RECURSE RILLE_LUA_FILES CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/lua_binding
  ${PROJECT_SOURCE_DIR}/lua_binding/*.lua)

# Sets `out` to the folder with the headers of that Lua, or to "".
function(rille_find_lua version out)
  find_path(RILLE_LUA_${version}_INCLUDE lua.h
    HINTS /usr/include/lua${version} /usr/include/lua-${version} /usr/include/lua/${version}
      /usr/local/include/lua${version} /usr/local/include/lua-${version}
      /usr/local/include/lua/${version}
    NO_DEFAULT_PATH)
  set(dir ${RILLE_LUA_${version}_INCLUDE})
  if(dir)
    set(${out} ${dir} PARENT_SCOPE)
  else()
    set(${out} "" PARENT_SCOPE)
  endif()
endfunction()

function(rille_add_lua_module version include_dir)
  set(target wasm_lua${version})
  set(folder ${PROJECT_BINARY_DIR}/lua/${version})
  add_library(${target} MODULE ${RILLE_BINDING_SOURCES})
  target_include_directories(${target} SYSTEM PRIVATE ${include_dir})
  target_compile_definitions(${target} PRIVATE RILLE_STATIC=1)
  target_link_libraries(${target} PRIVATE rille_flags rille_core ${CMAKE_DL_LIBS})
  if(RILLE_LINK_LIBLUA)
    find_library(RILLE_LUA_${version}_LIBRARY NAMES lua${version} lua-${version} REQUIRED)
    target_link_libraries(${target} PRIVATE ${RILLE_LUA_${version}_LIBRARY})
  endif()
  target_link_options(${target} PRIVATE -Wl,--gc-sections
    -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/wasm.map)
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX ".so" OUTPUT_NAME wasm LIBRARY_OUTPUT_DIRECTORY ${folder}
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/wasm.map)

  set(copies "")
  foreach(file ${RILLE_LUA_FILES})
    add_custom_command(OUTPUT ${folder}/${file}
      COMMAND ${CMAKE_COMMAND} -E copy ${PROJECT_SOURCE_DIR}/lua_binding/${file} ${folder}/${file}
      DEPENDS ${PROJECT_SOURCE_DIR}/lua_binding/${file} VERBATIM)
    list(APPEND copies ${folder}/${file})
  endforeach()
  add_custom_target(${target}_files ALL DEPENDS ${copies})

  install(TARGETS ${target} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/lua/${version} COMPONENT lua)
  install(DIRECTORY lua_binding/wasm DESTINATION ${CMAKE_INSTALL_DATADIR}/lua/${version}
    COMPONENT lua FILES_MATCHING PATTERN "*.lua")
endfunction()

if(RILLE_BINDING_SOURCES AND NOT CMAKE_CROSSCOMPILING)
  foreach(version ${RILLE_LUA_VERSIONS})
    rille_find_lua(${version} include_dir)
    if(include_dir)
      message(STATUS "Lua ${version}: ${include_dir}")
      rille_add_lua_module(${version} ${include_dir})
    endif()
  endforeach()
endif()

# The command finds the module of whatever Lua runs it.
install(PROGRAMS scripts/wasm.lua DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT lua)
install(FILES scripts/wasm.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 RENAME wasm.lua.1
  COMPONENT lua)
