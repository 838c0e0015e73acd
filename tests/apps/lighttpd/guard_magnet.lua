-- lighttpd: mod_magnet runs this for each request, with the filter of ../guard in front of its files.
-- Suspicious clients are not made to wait, since the server could do nothing else meanwhile.

local function new_check()
  return require "guard".new(os.getenv "GUARD_WASM", function() end)
end

local check = package.loaded["guard.check"] or new_check()
package.loaded["guard.check"] = check

local request = lighty.r
local lines = { request.req_attr["request.orig-uri"] }
for name, value in pairs(request.req_header) do lines[#lines + 1] = name .. ": " .. value end
local ok, score, fingerprint = pcall(check, table.concat(lines, "\n"))
if not ok then return 500 end
if score >= 20 then return 403 end
request.resp_header["X-Score"] = tostring(score)
request.resp_header["X-Fingerprint"] = ("%08x"):format(fingerprint)
