-- Writes a capture of packets of sensors: lua capture.lua FILE

local function big(n, size)
  local bytes = {}
  for i = size, 1, -1 do
    bytes[i] = string.char(n % 256)
    n = math.floor(n / 256)
  end
  return table.concat(bytes)
end

local function little(n, size) return big(n, size):reverse() end

-- UDP to port 7777 in IPv4 in Ethernet.
local function frame(payload)
  local udp = big(40000, 2) .. big(7777, 2) .. big(8 + #payload, 2) .. "\0\0" .. payload
  local ip = "\69\0" .. big(20 + #udp, 2) .. "\0\0\0\0\64\17\0\0\127\0\0\1\127\0\0\1" .. udp
  return ("\2"):rep(12) .. "\8\0" .. ip
end

local function record(kind, value) return string.char(kind, #value) .. value end

local function packet(version, ...)
  return "SN" .. string.char(version, select("#", ...)) .. table.concat { ... }
end

local packets = {
  packet(1, record(1, "kitchen"), record(2, big(2150, 2)), record(3, big(87, 1))),
  packet(1, record(1, "attic"), record(2, big(65536 - 525, 2))),
  packet(2, record(9, "\1\2\3")),
  "SN\1\3" .. record(1, "cellar"),
  "SN\1\1\1\200short",
  packet(1, record(3, big(101, 1))),
  "other",
  packet(1),
}

local file = assert(io.open(arg[1], "wb"))
file:write(little(0xa1b2c3d4, 4), little(2, 2), little(4, 2), little(0, 4), little(0, 4),
  little(65535, 4), little(1, 4))
for i, payload in ipairs(packets) do
  local bytes = frame(payload)
  file:write(little(1000000000 + i, 4), little(0, 4), little(#bytes, 4), little(#bytes, 4), bytes)
end
file:close()
