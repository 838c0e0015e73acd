rockspec_format = "3.0"
package = "rille"
version = "0.1.0-1"
source = { url = "file://rille-0.1.0.tar.gz" }
description = {
  summary = "WebAssembly for Lua: load, sandbox and call .wasm and .wat modules",
  detailed = [[
The module `wasm` runs WebAssembly 3.0 modules in any Lua from 5.1 to 5.5 and in LuaJIT. The engine
is C11 with no dependency but libc and is linked into the module.]],
  license = "MIT",
}
dependencies = { "lua >= 5.1, < 5.6" }
supported_platforms = { "linux" }
build = {
  type = "cmake",
  variables = {
    CMAKE_BUILD_TYPE = "Release",
    RILLE_TESTS = "OFF",
    RILLE_ROCK_INCDIR = "$(LUA_INCDIR)",
    RILLE_ROCK_LIBDIR = "$(LIBDIR)",
    RILLE_ROCK_LUADIR = "$(LUADIR)",
  },
}
