-- Finds the module that was built for the Lua it runs in; an installed one needs none of this.
local here = arg[0]:match("^(.*)/[^/]*$") or "."
local built = here .. "/../../build/release/lua/" .. _VERSION:match("%d+%.%d+")
package.path = package.path .. ";" .. built .. "/?.lua"
package.cpath = package.cpath .. ";" .. built .. "/?.so"
return here
