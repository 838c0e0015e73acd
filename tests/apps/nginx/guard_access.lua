-- nginx: scores each request in Wasm. The guest may make the client wait, by ngx.sleep: its frames
-- stay where they are while the worker serves others.

local lines = { ngx.var.request_uri }
for name, value in pairs(ngx.req.get_headers()) do
  lines[#lines + 1] = name .. ": " .. (type(value) == "table" and table.concat(value, ", ") or value)
end
local ok, score, fingerprint = pcall(package.loaded["guard.check"], table.concat(lines, "\n"))
if not ok then return ngx.exit(500) end
if score >= 20 then return ngx.exit(403) end
ngx.ctx.score, ngx.ctx.fingerprint = score, ("%08x"):format(fingerprint)
