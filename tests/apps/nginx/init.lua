-- nginx: the filter is made before the workers are, which are copies of this process.

package.loaded["guard.check"] = require "guard".new(os.getenv "GUARD_WASM", function(milliseconds)
  ngx.sleep(milliseconds / 1000)
end)
