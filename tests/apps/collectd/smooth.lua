-- collectd: readings of a sensor, from a file here, are smoothed in Wasm before they are reported.

local wasm = require "wasm"

local guest = assert(wasm.instantiate(assert(wasm.loadfile(os.getenv "SMOOTH_WASM")), nil,
  { memory = 1048576, timeout = 1 })).exports

local function read()
  for line in io.lines(os.getenv "READINGS") do
    local ok, value = pcall(guest.add, tonumber(line))
    if not ok then
      collectd.log_error("smooth: " .. value.code)
      return 1
    end
    collectd.log_info(("smooth: %g"):format(value))
  end
  collectd.log_info(("outliers: %d"):format(guest.outliers()))
  return 0
end

collectd.register_read(read)
