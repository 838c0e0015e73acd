-- tshark: a protocol whose dissector is a guest in Wasm. A packet that it fails on, or takes too long
-- for, is marked so; the others go on.

local wasm = require "wasm"

local sensor = Proto("sensor", "Sensor")
local fields = {
  ProtoField.uint8("sensor.version", "Version"),
  ProtoField.uint8("sensor.count", "Records"),
  ProtoField.string("sensor.name", "Name"),
  ProtoField.int16("sensor.temperature", "Temperature (1/100 degree)"),
  ProtoField.uint8("sensor.battery", "Battery (percent)"),
  ProtoField.bytes("sensor.unknown", "Unknown record"),
}
local malformed = ProtoField.string("sensor.malformed", "Malformed")
local failed = ProtoField.string("sensor.failed", "The dissector failed")
sensor.fields = { fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], malformed, failed }

local packet, tree -- of the call that runs
local exports

local host = {
  number = function(field, at, size, value) tree:add(fields[field], packet(at, size), value) end,
  text = function(field, at, size) tree:add(fields[field], packet(at, size)) end,
  malformed = function(at, why, size)
    local rest = at < packet:len() and packet(at) or packet()
    tree:add(malformed, rest, exports.memory:read(why, size))
  end,
}

local module = assert(wasm.loadfile(os.getenv "SENSOR_WASM"))
exports = assert(module:instantiate({ host = host }, { memory = 4194304, timeout = 0.2 })).exports

local function dissect(bytes)
  exports.plugin_reset()
  local at = exports.plugin_alloc(#bytes)
  exports.memory:write(at, bytes)
  return exports.dissect(at, #bytes)
end

function sensor.dissector(buffer, info, root)
  packet, tree = buffer, root:add(sensor, buffer())
  info.cols.protocol = "SENSOR"
  local ok, result = pcall(dissect, buffer:raw())
  if not ok then
    tree:add(failed, buffer(), result.code)
    return buffer:len()
  end
  return result
end

DissectorTable.get("udp.port"):add(7777, sensor)
